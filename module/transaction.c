// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions: a caller, its request and the reply.
 *
 * The states of a request, and what can happen in each:
 *
 *   QUEUED	a receiver takes the request, or it is dropped
 *   TAKEN	in handle.tokens: a reply, or closing the handle, ends the call
 *   REPLYING	not in handle.tokens: a reply is being copied without the lock
 *
 * In every state the caller can give up, and destroying the mailbox ends the call.
 * Once the call has ended, mbx_transaction.caller is NULL, no token leads to the
 * transaction, and a reply fails with ESRCH.
 */
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "limits.h"
#include "mailbox.h"
#include "message.h"
#include "transaction.h"

/* It includes the sender, which a parked call may be the last to hold. */
#define TRANSACTION_COST \
	(mbx_kmalloc_size(sizeof(struct mbx_transaction)) + MBX_SENDER_COST)

static __always_inline struct mbx_transaction *
new_transaction(struct mbx_outlet *outlet, u32 buf_len, unsigned int cost, u32 reserved)
{
	struct mbx_sender *sender;
	struct mbx_transaction *txn;
	int ret;

	sender = mbx_sender_get(outlet);
	if (!sender)
		return ERR_PTR(-ENOMEM);
	ret = mbx_charge_bytes(sender->user, TRANSACTION_COST + reserved,
			       sender->privileged);
	if (ret) {
		/* Pairs with the READ_ONCE() of poll. */
		WRITE_ONCE(sender->refused, cost + TRANSACTION_COST + reserved);
		goto err_put_sender;
	}
	txn = kzalloc(sizeof(*txn), GFP_KERNEL_ACCOUNT);
	if (!txn) {
		ret = -ENOMEM;
		goto err_uncharge;
	}
	txn->sender = sender;
	txn->buf_len = buf_len;
	/* Checked now, because another process makes the reply. */
	txn->unlimited = mbx_is_exempt(sender->privileged);
	refcount_set(&txn->refs, 1);
	return txn;

err_uncharge:
	mbx_uncharge_bytes(sender->user, TRANSACTION_COST + reserved);
err_put_sender:
	mbx_sender_put(sender);
	return ERR_PTR(ret);
}

/**
 * mbx_transaction_new() - make the transaction of a call
 * @outlet: where the handle sends to
 * @buf_len: longest reply that the caller can receive
 * @cost: memory of the request
 *
 * The caller is charged for it.
 *
 * Context: Process context, may sleep.
 * Return: the transaction with a reference, or -EDQUOT, -ENOMEM.
 */
struct mbx_transaction *mbx_transaction_new(struct mbx_outlet *outlet, u32 buf_len,
					    unsigned int cost)
{
	return new_transaction(outlet, buf_len, cost, 0);
}

/**
 * mbx_transaction_start() - make the transaction of a call that no thread waits for
 * @outlet: where the handle sends to
 * @started: the calls of the handle
 * @buf_len: longest reply that the caller can receive
 * @cost: memory of the request
 *
 * The caller is charged for it, and for the longest reply: when the reply comes, no
 * thread of the caller need be there to make room.
 *
 * Context: Process context, may sleep.
 * Return: the transaction with a reference, or -EDQUOT, -ENOMEM.
 */
struct mbx_transaction *mbx_transaction_start(struct mbx_outlet *outlet,
					      struct mbx_started *started,
					      u32 buf_len, unsigned int cost)
{
	u32 reserved = mbx_message_cost(buf_len, true);
	struct mbx_transaction *txn;

	txn = new_transaction(outlet, buf_len, cost, reserved);
	if (IS_ERR(txn))
		return txn;
	txn->reserved = reserved;
	txn->mb = outlet->to;
	INIT_LIST_HEAD(&txn->end);
	txn->collectors = RB_ROOT_CACHED;
	refcount_inc(&started->refs);
	txn->started = started;
	return txn;
}

/**
 * mbx_started_new() - make the calls of a handle, none yet
 *
 * Context: Process context, may sleep.
 * Return: the object with a reference, or NULL.
 */
struct mbx_started *mbx_started_new(void)
{
	struct mbx_started *started = kzalloc(sizeof(*started), GFP_KERNEL_ACCOUNT);

	if (!started)
		return NULL;
	refcount_set(&started->refs, 1);
	INIT_LIST_HEAD(&started->ended);
	started->collectors = RB_ROOT_CACHED;
	return started;
}

/**
 * mbx_started_put() - drop a reference
 * @started: the calls of a handle
 */
void mbx_started_put(struct mbx_started *started)
{
	if (refcount_dec_and_test(&started->refs))
		kfree(started);
}

/**
 * mbx_transaction_refused() - a limit has no room for the request of a call
 * @txn: the transaction of the call, which fails
 *
 * There must be room for both before the call can succeed.
 */
void mbx_transaction_refused(struct mbx_transaction *txn)
{
	struct mbx_sender *sender = txn->sender;

	/* Pairs with the READ_ONCE() of poll. */
	WRITE_ONCE(sender->refused,
		   READ_ONCE(sender->refused) + TRANSACTION_COST + txn->reserved);
}

/**
 * mbx_transaction_put() - drop a reference
 * @txn: the transaction
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_transaction_put(struct mbx_transaction *txn)
{
	if (!refcount_dec_and_test(&txn->refs))
		return;
	WARN_ON_ONCE(txn->boosted_task);
	if (txn->reply)
		mbx_message_free(txn->reply);
	mbx_uncharge_bytes(txn->sender->user, TRANSACTION_COST + txn->reserved);
	mbx_sender_put(txn->sender);
	if (unlikely(txn->thread))
		put_pid(txn->thread);
	if (unlikely(txn->started))
		mbx_started_put(txn->started);
	kfree(txn);
}

/**
 * mbx_transaction_unreserve() - give back what is charged for a reply that cannot come
 * @mb: the mailbox
 * @txn: the transaction of the call
 *
 * A server that keeps the request keeps the transaction too, maybe for ever.
 *
 * Return: how much memory the caller has to uncharge, without the lock; 0 if the call goes
 * on, if it has its reply, or if a reply to it is being made. The call that makes the reply
 * gives the memory back after it has freed the reply.
 */
u32 mbx_transaction_unreserve(struct mailbox *mb, struct mbx_transaction *txn)
{
	u32 reserved = txn->reserved;

	lockdep_assert_held(&mb->lock);
	if (txn->caller || txn->reply || txn->state == MBX_TRANSACTION_REPLYING)
		return 0;
	txn->reserved = 0;
	return reserved;
}

/* ---- calls by number ------------------------------------------------------ */

static bool has_lower_number(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct mbx_transaction, home_node)->number <
	       rb_entry(b, struct mbx_transaction, home_node)->number;
}

/**
 * mbx_numbers_add() - add a call to those of its handle
 * @root: the calls by number
 * @txn: the transaction of the call, with its number
 */
void mbx_numbers_add(struct rb_root *root, struct mbx_transaction *txn)
{
	rb_add(&txn->home_node, root, has_lower_number);
}

/**
 * mbx_numbers_find() - find a call of a handle
 * @root: the calls by number
 * @number: its number
 *
 * Return: its transaction, or NULL.
 */
struct mbx_transaction *mbx_numbers_find(const struct rb_root *root, u64 number)
{
	struct rb_node *node = root->rb_node;
	struct mbx_transaction *txn;

	while (node) {
		txn = rb_entry(node, struct mbx_transaction, home_node);
		if (number == txn->number)
			return txn;
		node = number < txn->number ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/* ---- tokens -------------------------------------------------------------- */

/**
 * mbx_tokens_add() - a handle has to reply to a request
 * @tokens: the tokens of the handle
 * @txn: the transaction of the request, with its token
 */
void mbx_tokens_add(struct mbx_tokens *tokens, struct mbx_transaction *txn)
{
	struct rb_node **link = &tokens->root.rb_node, *parent = NULL;
	const struct mbx_transaction *other;

	while (*link) {
		parent = *link;
		other = rb_entry(parent, struct mbx_transaction, node);
		if (txn->token < other->token)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&txn->node, parent, link);
	rb_insert_color(&txn->node, &tokens->root);
	tokens->count++;
	txn->tokens = tokens;
}

/**
 * mbx_tokens_remove() - no handle has to reply to a request any more
 * @txn: the transaction of the request; may be in no tokens
 */
void mbx_tokens_remove(struct mbx_transaction *txn)
{
	struct mbx_tokens *tokens = txn->tokens;

	if (!tokens)
		return;
	rb_erase(&txn->node, &tokens->root);
	tokens->count--;
	txn->tokens = NULL;
}

/**
 * mbx_tokens_find() - find a request
 * @tokens: the tokens of the handle that received it
 * @token: its token
 *
 * Return: its transaction, or NULL.
 */
struct mbx_transaction *mbx_tokens_find(const struct mbx_tokens *tokens,
					u64 token)
{
	struct rb_node *node = tokens->root.rb_node;
	struct mbx_transaction *txn;

	while (node) {
		txn = rb_entry(node, struct mbx_transaction, node);
		if (token == txn->token)
			return txn;
		node = token < txn->token ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/* mbx_transaction_take() for a request. */
u64 __mbx_transaction_take(struct mailbox *mb, struct mbx_transaction *txn,
			   struct mbx_tokens *tokens, struct mbx_pi_task *pi_task)
{
	lockdep_assert_held(&mb->lock);
	txn->state = MBX_TRANSACTION_TAKEN;
	if (!tokens)
		return 0;
	if (txn->inherits)
		txn->pi_task = pi_task;
	/* Unique in the mailbox, so that a token is valid on one handle only. */
	txn->token = ++mb->arrivals;
	mbx_tokens_add(tokens, txn);
	return txn->token;
}

/**
 * mbx_transaction_return() - a receiver failed to copy a request
 * @mb: the mailbox
 * @txn: the transaction of the request
 *
 * Return: true if the request has to be put back; false if no caller waits for the
 * reply any more, or the reply is on its way.
 */
bool mbx_transaction_return(struct mailbox *mb, struct mbx_transaction *txn)
{
	lockdep_assert_held(&mb->lock);
	if (!mbx_transaction_wanted(txn))
		return false;
	mbx_tokens_remove(txn);
	txn->pi_task = NULL;
	txn->state = MBX_TRANSACTION_QUEUED;
	return true;
}

/**
 * mbx_transaction_abandon() - the caller gives up
 * @mb: the mailbox
 * @txn: the transaction of the call
 *
 * Return: whether a receiver took the request, so that it cannot be withdrawn.
 */
bool mbx_transaction_abandon(struct mailbox *mb, struct mbx_transaction *txn)
{
	lockdep_assert_held(&mb->lock);
	mbx_tokens_remove(txn);
	txn->pi_task = NULL;
	txn->caller = NULL;
	return txn->state != MBX_TRANSACTION_QUEUED;
}

/**
 * mbx_tokens_count() - how many requests a handle has not replied to
 * @mb: the mailbox
 * @tokens: the tokens of the handle
 */
u32 mbx_tokens_count(struct mailbox *mb, const struct mbx_tokens *tokens)
{
	u32 count;

	spin_lock(&mb->lock);
	count = tokens->count;
	spin_unlock(&mb->lock);
	return count;
}

/* ---- calls whose thread has left the kernel ------------------------------- */

/* Whether a signal keeps an interrupted call from being restarted. */
static bool ends_calls(int sig, const struct k_sigaction *action)
{
	if (action->sa.sa_handler == SIG_IGN)
		return false;
	if (action->sa.sa_handler == SIG_DFL)
		return !sig_kernel_ignore(sig) && !sig_kernel_stop(sig);
	return !(action->sa.sa_flags & SA_RESTART);
}

/**
 * mbx_transaction_comes_back() - whether the current task can enter the call again
 * @txn: the transaction of the call, which was interrupted
 *
 * Context: Process context, without mailbox.lock.
 * Return: false if a pending signal prevents it. A tracer can cancel such a signal, so
 * for a traced thread this is true unless a fatal signal is pending.
 */
bool mbx_transaction_comes_back(const struct mbx_transaction *txn)
{
	struct sighand_struct *sighand = rcu_dereference_raw(current->sighand);
	bool comes_back = true;
	sigset_t pending;
	int sig;

	if (!txn->home || fatal_signal_pending(current))
		return false;
	if (current->ptrace)
		return true;
	spin_lock_irq(&sighand->siglock);
	sigorsets(&pending, &current->pending.signal,
		  &current->signal->shared_pending.signal);
	sigandnsets(&pending, &pending, &current->blocked);
	for (sig = 1; sig <= _NSIG; sig++)
		if (sigismember(&pending, sig) &&
		    ends_calls(sig, &sighand->action[sig - 1]))
			comes_back = false;
	spin_unlock_irq(&sighand->siglock);
	return comes_back;
}

/**
 * mbx_transaction_park() - let a call wait without its thread
 * @mb: the mailbox
 * @txn: the transaction of the call; takes over the thread's reference
 *
 * A request that is still in the mailbox stays there, so it keeps its place.
 */
void mbx_transaction_park(struct mailbox *mb, struct mbx_transaction *txn)
{
	struct mbx_parked *home = txn->home;

	lockdep_assert_held(&mb->lock);
	if (!txn->number) {
		txn->number = ++home->last;
		txn->thread = get_pid(task_pid(current));
	}
	mbx_numbers_add(&home->root, txn);
	txn->parked = true;
	txn->left = false;
	txn->waiter.waiter.task = NULL;
}

/**
 * mbx_transaction_unpark() - undo mbx_transaction_park(), except for the task
 * @mb: the mailbox
 * @txn: the transaction of the call
 */
void mbx_transaction_unpark(struct mailbox *mb, struct mbx_transaction *txn)
{
	lockdep_assert_held(&mb->lock);
	rb_erase(&txn->home_node, &txn->home->root);
	txn->parked = false;
}

/**
 * mbx_parked_find() - find a parked call
 * @parked: the parked calls of its handle
 * @number: its number
 *
 * Return: its transaction, or NULL.
 */
struct mbx_transaction *mbx_parked_find(const struct mbx_parked *parked,
					u64 number)
{
	return mbx_numbers_find(&parked->root, number);
}
