// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call and reply.
 *
 * A call is a send that goes on to wait for an answer. Its request is a
 * message like others, with a ticket. While the request is in the mailbox, the
 * caller can withdraw it like any message. Whoever takes it gets a token, which
 * finds the ticket among those of the receiving handle and nowhere else. The
 * reply is copied into memory that the caller has provided and paid for, so a
 * reply cannot fail for want of memory.
 *
 * Where the ticket is, and who may end the call:
 *
 *   QUEUED	withdrawn by the caller, dropped with the request, or taken
 *   TAKEN	in handle.tokens: ended by the reply, or by closing the handle
 *   REPLYING	with the one who replies, who copies without the lock
 *
 * The caller can give up at any time, and destroying the mailbox ends all. The
 * call has ended when ticket.caller is NULL; from then on nothing finds the
 * ticket, and a reply is ESRCH.
 */
#include <linux/slab.h>

#include "call.h"
#include "exchange.h"
#include "inherit.h"
#include "trace.h"

static struct mbox_ticket *ticket_new(struct mbox_sender **cache,
				      spinlock_t *lock, size_t room)
{
	struct mbox_ticket *ticket;

	ticket = kzalloc(sizeof(*ticket), GFP_KERNEL_ACCOUNT);
	if (!ticket)
		return ERR_PTR(-ENOMEM);
	ticket->reply = mbox_message_alloc(cache, lock, room, false);
	if (IS_ERR(ticket->reply)) {
		int ret = PTR_ERR(ticket->reply);

		kfree(ticket);
		return ERR_PTR(ret);
	}
	refcount_set(&ticket->refs, 1);
	return ticket;
}

/**
 * mbox_ticket_put() - give a reference back
 * @ticket: the ticket
 *
 * Context: Process context, without mailbox.lock.
 */
void mbox_ticket_put(struct mbox_ticket *ticket)
{
	if (!refcount_dec_and_test(&ticket->refs))
		return;
	WARN_ON_ONCE(ticket->lent_to);
	mbox_message_free(ticket->reply);
	kfree(ticket);
}

/* ---- tokens -------------------------------------------------------------- */

static void add_token(struct mbox_tokens *tokens, struct mbox_ticket *ticket)
{
	struct rb_node **link = &tokens->root.rb_node, *parent = NULL;
	const struct mbox_ticket *other;

	while (*link) {
		parent = *link;
		other = rb_entry(parent, struct mbox_ticket, node);
		if (ticket->token < other->token)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&ticket->node, parent, link);
	rb_insert_color(&ticket->node, &tokens->root);
	tokens->count++;
	ticket->tokens = tokens;
}

static void remove_token(struct mbox_ticket *ticket)
{
	struct mbox_tokens *tokens = ticket->tokens;

	if (!tokens)
		return;
	rb_erase(&ticket->node, &tokens->root);
	tokens->count--;
	ticket->tokens = NULL;
}

static struct mbox_ticket *find_token(const struct mbox_tokens *tokens,
				      u64 token)
{
	struct rb_node *node = tokens->root.rb_node;
	struct mbox_ticket *ticket;

	while (node) {
		ticket = rb_entry(node, struct mbox_ticket, node);
		if (token == ticket->token)
			return ticket;
		node = token < ticket->token ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/* mbox_ticket_take() of a request. */
u64 __mbox_ticket_take(struct mailbox *mb, struct mbox_ticket *ticket,
		       struct mbox_tokens *tokens, struct mbox_debtor *debtor)
{
	lockdep_assert_held(&mb->lock);
	ticket->state = MBOX_TICKET_TAKEN;
	if (!tokens)
		return 0;
	if (ticket->prio)
		ticket->debtor = debtor;
	/* No number twice, so that none is good on a handle it is not for. */
	if (!++mb->last_token)
		++mb->last_token;
	ticket->token = mb->last_token;
	add_token(tokens, ticket);
	return ticket->token;
}

/**
 * mbox_ticket_return() - a receiver could not take its request
 * @mb: the mailbox
 * @ticket: the request's
 *
 * Return: whether it goes back; otherwise nobody waits for an answer any more,
 * or one is on its way.
 */
bool mbox_ticket_return(struct mailbox *mb, struct mbox_ticket *ticket)
{
	lockdep_assert_held(&mb->lock);
	if (!ticket->caller || ticket->state != MBOX_TICKET_TAKEN)
		return false;
	remove_token(ticket);
	ticket->debtor = NULL;
	ticket->state = MBOX_TICKET_QUEUED;
	return true;
}

/**
 * mbox_ticket_abandon() - the caller gives up
 * @mb: the mailbox
 * @ticket: the call's
 *
 * Return: whether somebody took the request, so that it cannot be withdrawn.
 */
bool mbox_ticket_abandon(struct mailbox *mb, struct mbox_ticket *ticket)
{
	lockdep_assert_held(&mb->lock);
	remove_token(ticket);
	ticket->debtor = NULL;
	ticket->caller = NULL;
	return ticket->state != MBOX_TICKET_QUEUED;
}

/**
 * mbox_ticket_end() - tell a caller how its call ended, if it still waits
 * @mb: the mailbox
 * @ticket: the call's; may be gone when this returns, unless the caller of this
 *	has a reference
 * @result: 0 when there is a reply, or an error
 * @after: to be run without the lock
 */
void mbox_ticket_end(struct mailbox *mb, struct mbox_ticket *ticket, int result,
		     struct mbox_after *after)
{
	struct mbox_waiter *w = ticket->caller;

	lockdep_assert_held(&mb->lock);
	if (!w)
		return;
	remove_token(ticket);
	ticket->caller = NULL;
	/* The priority goes back once the caller was woken. */
	if (ticket->debtor) {
		ticket->debtor = NULL;
		refcount_inc(&ticket->refs);
		ticket->ended = after->ended;
		after->ended = ticket;
	}
	mbox_serve(mb, w, result, after);
}

/**
 * mbox_tokens_count() - how many requests have not been replied to
 * @mb: the mailbox
 * @tokens: a handle's
 */
u32 mbox_tokens_count(struct mailbox *mb, const struct mbox_tokens *tokens)
{
	u32 count;

	spin_lock(&mb->lock);
	count = tokens->count;
	spin_unlock(&mb->lock);
	return count;
}

/**
 * mbox_tokens_end() - nobody will reply to what a handle received
 * @mb: the mailbox
 * @tokens: of a handle that is closed
 */
void mbox_tokens_end(struct mailbox *mb, struct mbox_tokens *tokens)
{
	struct mbox_after after;
	struct rb_node *node;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	while ((node = rb_first(&tokens->root)))
		mbox_ticket_end(mb, rb_entry(node, struct mbox_ticket, node),
				-EPIPE, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
}

/* ---- the caller ---------------------------------------------------------- */

/**
 * mbox_call() - send a request and wait for the reply
 * @mb: where to
 * @cache: identity of the handle's last sender
 * @lock: protects *@cache
 * @draft: the request
 * @to: where the reply goes
 * @call: how it may wait
 *
 * Context: Process context, may sleep.
 * Return: the length of the reply, or an error: those of mbox_send(), and
 * -EPIPE (nobody will reply), -EMSGSIZE (the reply is longer than @to), -EINTR
 * (a signal came after the request had been taken), -EFAULT (also for the
 * reply, which is lost then).
 */
ssize_t mbox_call(struct mailbox *mb, struct mbox_sender **cache,
		  spinlock_t *lock, struct mbox_draft *draft,
		  const struct mbox_buffer *to, const struct mbox_call *call)
{
	size_t room = min_t(size_t, to->len, mb->msg_max);
	struct mbox_buffer reply = *to;
	struct mbox_ticket *ticket;
	ssize_t ret;

	ret = mbox_send_check(mb, draft, call, true);
	if (ret)
		return ret;
	ticket = ticket_new(cache, lock, room);
	if (IS_ERR(ticket))
		return PTR_ERR(ticket);
	if (mb->flags & MBOX_INHERIT)
		ticket->prio = mbox_inherit_prio();

	draft->ticket = ticket;
	ret = mbox_send(mb, cache, lock, draft, call);
	if (!ret) {
		reply.len = ticket->len;
		ret = mbox_message_copy_out(ticket->reply, &reply);
		if (!ret)
			ret = ticket->len;
	}
	mbox_ticket_put(ticket);
	return ret;
}

/* ---- the server ---------------------------------------------------------- */

/* Find whom to reply to. Return 0 and a reference in *@found, or an error. */
static int begin_reply(struct mailbox *mb, const struct mbox_tokens *tokens,
		       u64 token, size_t len, struct mbox_ticket **found,
		       struct mbox_after *after)
{
	struct mbox_ticket *ticket;

	lockdep_assert_held(&mb->lock);
	if (mb->dead)
		return -EIDRM;
	ticket = find_token(tokens, token);
	if (!ticket)
		return -ESRCH;
	if (len > ticket->reply->len) {
		mbox_ticket_end(mb, ticket, -EMSGSIZE, after);
		return -EMSGSIZE;
	}
	remove_token(ticket);
	ticket->state = MBOX_TICKET_REPLYING;
	refcount_inc(&ticket->refs);
	*found = ticket;
	return 0;
}

/* After the copy; @ret is how it went. */
static int end_reply(struct mailbox *mb, struct mbox_tokens *tokens,
		     struct mbox_ticket *ticket, size_t len, int ret,
		     struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	if (!ticket->caller)
		return mb->dead ? -EIDRM : -ESRCH;
	if (ret) {
		ticket->state = MBOX_TICKET_TAKEN;
		add_token(tokens, ticket);
		return ret;
	}
	ticket->len = len;
	trace_mbox_reply(mb, ticket);
	after->sync = true;
	mbox_ticket_end(mb, ticket, 0, after);
	return 0;
}

/**
 * mbox_reply() - reply to a request
 * @mb: the mailbox that it came from
 * @tokens: of the handle that received it
 * @token: of the request
 * @from: the reply
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM, -ESRCH, -EMSGSIZE (which ends the call), -EFAULT (the
 * token stays good).
 */
int mbox_reply(struct mailbox *mb, struct mbox_tokens *tokens, u64 token,
	       const struct mbox_buffer *from)
{
	struct mbox_ticket *ticket;
	struct mbox_after after;
	int ret;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	ret = begin_reply(mb, tokens, token, from->len, &ticket, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	if (ret)
		return ret;

	ret = mbox_message_copy_in(ticket->reply, from);

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	ret = end_reply(mb, tokens, ticket, from->len, ret, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	mbox_ticket_put(ticket);
	return ret;
}
