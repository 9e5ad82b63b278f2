// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call and reply.
 *
 * A call sends a request and then waits for the reply. A request is an ordinary
 * message with a transaction. While it is in the mailbox, the caller can withdraw it
 * like any other message. A receiver that takes it gets a token. The token names the
 * transaction only on the handle that received the request.
 *
 * A reply is allocated when the server sends it, and charged to the user of the
 * caller. That user does not choose the moment, so replies may take its memory up to
 * twice the limit. This happens only while its callers do not run. Beyond that, the
 * call ends with -EDQUOT, and the server learns that the caller has gone.
 *
 * transaction.c has the states of a transaction and what may end a call in each.
 *
 * Interruptions
 *
 * A waiting thread has to leave the kernel when it is stopped, frozen or traced, when
 * io_uring has completions for it, and to run a signal handler. Then it enters the
 * ioctl again, unless it has run a handler without SA_RESTART. Meanwhile its call is
 * parked: the call goes on waiting without a task. A request that is still in the
 * mailbox keeps its place, and one that was taken is not sent twice. The same thread
 * finds its call again by its number on the same handle. If the reply arrives meanwhile,
 * the transaction keeps it.
 *
 * The module is not told when a thread has run a handler without SA_RESTART and will
 * not come back. mbx_transaction_comes_back() therefore checks the pending signals: if
 * one of them has such a handler or is fatal, the call ends at once. It cannot foresee
 * a signal that arrives a moment later, or a handler with SA_RESTART that jumps away.
 * Either one leaves a parked call whose reply is never read. Such a call ends at its
 * deadline, or when the caller's handle is closed.
 *
 * If the reply has arrived by the deadline, the server was told that the caller has
 * it. The call is then kept as long as its thread is stopped, frozen or traced, and a
 * moment longer.
 */
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "call.h"
#include "compat.h"
#include "copy_out.h"
#include "exchange.h"
#include "fds.h"
#include "inherit.h"
#include "lease.h"
#include "limits.h"
#include "trace.h"

/*
 * How many calls are ended in one hold of mailbox.lock. All their tasks fit into
 * mbx_deferred.tasks, so none is woken under the lock.
 */
#define END_AT_ONCE 2

static struct workqueue_struct *expiries;

static void expire(struct work_struct *work);

/**
 * mbx_tokens_shutdown() - end the calls that a closed handle has not replied to
 * @mb: the mailbox
 * @tokens: the requests of the handle
 */
void mbx_tokens_shutdown(struct mailbox *mb, struct mbx_tokens *tokens)
{
	struct mbx_deferred deferred;
	struct rb_node *node;
	unsigned int n;

	BUILD_BUG_ON(ARRAY_SIZE(deferred.tasks) < END_AT_ONCE);
	do {
		mbx_deferred_init(&deferred);
		spin_lock(&mb->lock);
		for (n = 0; n < END_AT_ONCE; n++) {
			node = rb_first(&tokens->root);
			if (!node)
				break;
			mbx_transaction_complete(mb,
						 rb_entry(node, struct mbx_transaction, node),
						 -EPIPE, &deferred);
		}
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		cond_resched();
	} while (n == END_AT_ONCE);
}

/* ---- interruptions ------------------------------------------------------- */

static ktime_t time_of(clockid_t clock)
{
	return clock == CLOCK_REALTIME ? ktime_get_real() : ktime_get();
}

/*
 * The current task enters a parked call again. Return its transaction, with the
 * reference of the call, or an error.
 */
static struct mbx_transaction *come_back(struct mailbox *mb,
					 const struct mbx_wait_opts *opts,
					 const struct mbx_resume *resume)
{
	struct mbx_transaction *txn;
	int ret = 0;

	spin_lock(&mb->lock);
	txn = mbx_parked_find(resume->parked, resume->number);
	if (resume->number > resume->parked->last) {
		ret = -EINVAL;
	} else if (!txn || txn->thread != task_pid(current)) {
		/* The call has ended, or a handler forked and this is the child. */
		ret = mbx_deadline_passed(opts) ? -ETIMEDOUT : -EINTR;
	} else {
		mbx_transaction_unpark(mb, txn);
		txn->waiter.waiter.task = current;
	}
	spin_unlock(&mb->lock);
	if (ret)
		return ERR_PTR(ret);
	cancel_delayed_work_sync(&txn->expiry);
	return txn;
}

/**
 * mbx_expire_later() - schedule the check of the deadline
 * @txn: the transaction of the call
 *
 * CLOCK_REALTIME can be set meanwhile, so the next check is at most a minute away.
 */
void mbx_expire_later(struct mbx_transaction *txn)
{
	s64 ms = ktime_ms_delta(txn->deadline, time_of(txn->clock));

	if (txn->deadline == KTIME_MAX)
		return;
	ms = clamp_t(s64, ms + 1, 1, MSEC_PER_SEC * 60);
	queue_delayed_work(expiries, &txn->expiry, msecs_to_jiffies(ms));
}

/* Whether a thread is stopped, traced or frozen, and so cannot enter its call again. */
static bool is_held(struct pid *thread)
{
	const unsigned long held = JOBCTL_STOPPED | JOBCTL_TRACED |
				   JOBCTL_TRAP_FREEZE;
	struct task_struct *task;
	bool ret = false;

	rcu_read_lock();
	task = pid_task(thread, PIDTYPE_PID);
	if (task) {
		/* If either one is changing, a later check sees it. */
		ret = data_race(task->jobctl) & held ||
		      READ_ONCE(task->__state) & TASK_FROZEN;
	}
	rcu_read_unlock();
	return ret;
}

/*
 * Whether a completed call waits for its thread beyond the deadline. A thread that
 * was let go needs a moment to enter the call again. So the call is given up only
 * when two checks in a row find the thread free.
 */
static bool is_awaited(struct mbx_transaction *txn)
{
	bool left = txn->left;

	lockdep_assert_held(&txn->mb->lock);
	txn->left = !is_held(txn->thread);
	return !(left && txn->left);
}

/* Check a parked call: end it at its deadline, or later if the reply has arrived. */
static void expire(struct work_struct *work)
{
	struct mbx_transaction *txn = container_of(to_delayed_work(work),
						   struct mbx_transaction, expiry);
	const struct mbx_wait_opts opts = {
		.deadline = txn->deadline,
		.clock = txn->clock,
	};
	bool early = false, awaited = false, ends = false;
	struct mailbox *mb = txn->mb;
	struct mbx_deferred deferred;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (txn->parked) {
		early = !mbx_deadline_passed(&opts);
		awaited = !early && txn->waiter.waiter.done &&
			  is_awaited(txn);
		ends = !early && !awaited;
	}
	if (ends) {
		/* Once the call is unparked, a close of its handle does not wait. */
		mbx_mailbox_hold(mb);
		mbx_transaction_unpark(mb, txn);
		if (!txn->waiter.waiter.done)
			mbx_withdraw(mb, &txn->waiter, -ETIMEDOUT, &deferred);
	}
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (early)
		mbx_expire_later(txn);
	else if (awaited)
		queue_delayed_work(expiries, &txn->expiry, HZ);
	if (!ends)
		return;
	mbx_inherit_update(mb, txn);
	mbx_transaction_put(txn);
	mbx_mailbox_unhold(mb);
}

/* End one parked call of a closed handle. Return false if there is none. */
static bool end_parked(struct mailbox *mb, struct mbx_parked *parked)
{
	struct mbx_transaction *txn;
	struct mbx_deferred deferred;
	struct rb_node *node;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	node = rb_first(&parked->root);
	if (!node) {
		spin_unlock(&mb->lock);
		return false;
	}
	txn = rb_entry(node, struct mbx_transaction, home_node);
	mbx_transaction_unpark(mb, txn);
	/* This can make room and let senders in. */
	if (!txn->waiter.waiter.done)
		mbx_withdraw(mb, &txn->waiter, -EPIPE, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	cancel_delayed_work_sync(&txn->expiry);
	mbx_inherit_update(mb, txn);
	mbx_transaction_put(txn);
	return true;
}

/**
 * mbx_parked_shutdown() - end the parked calls of a closed handle
 * @mb: the mailbox that the handle sends to
 * @parked: the calls of the handle
 */
void mbx_parked_shutdown(struct mailbox *mb, struct mbx_parked *parked)
{
	while (end_parked(mb, parked))
		cond_resched();
}

int __init mbx_parked_init(void)
{
	expiries = alloc_workqueue("mbox", WQ_UNBOUND, 0);
	return expiries ? 0 : -ENOMEM;
}

/* No handle is left that could queue work. */
void mbx_parked_exit(void)
{
	destroy_workqueue(expiries);
}

/* ---- the caller ---------------------------------------------------------- */

/* Tell the thread the number of its parked call. Return what the ioctl returns. */
static int leave(struct mailbox *mb, struct mbx_transaction *txn,
		 const struct mbx_resume *resume)
{
	struct mbx_deferred deferred;

	if (likely(!put_user(txn->number, resume->unumber))) {
		mbx_expire_later(txn);
		return -ERESTARTSYS;
	}
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	mbx_transaction_unpark(mb, txn);
	if (!txn->waiter.waiter.done)
		mbx_withdraw(mb, &txn->waiter, -EINTR, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	mbx_inherit_update(mb, txn);
	mbx_transaction_put(txn);
	return -EINTR;
}

/*
 * Copy the reply to the caller. Return its length or an error. The call has ended, so
 * files that the caller has no room for are missing, and it is told.
 */
static __always_inline ssize_t copy_reply(const struct mbx_transaction *txn,
					  const struct mbx_buffer *to,
					  const struct mbx_reply_args *args)
{
	u32 len = txn->reply->len;
	struct mbx_buffer reply = *to;
	int ret;

	/* A call that is entered again may come with a shorter buffer. */
	if (len > to->len)
		return -EMSGSIZE;
	if (args) {
		ret = mbx_reply_copy_out(txn->reply, args);
		if (!ret)
			mbx_reply_install(txn->reply, args);
		return ret ? ret : (ssize_t)len;
	}
	reply.len = len;
	ret = mbx_message_copy_out(txn->reply, &reply);
	return ret ? ret : (ssize_t)len;
}

/* mbx_call() and mbx_callmsg(): @reply_args is not NULL then, and has @to. */
static __always_inline ssize_t
do_call(struct mbx_outlet *outlet, struct mbx_send_args *args, const struct mbx_buffer *to,
	const struct mbx_reply_args *reply_args, const struct mbx_wait_opts *opts,
	const struct mbx_resume *resume)
{
	struct mailbox *mb = outlet->to;
	u32 buf_len = min_t(size_t, to->len, mb->msg_max);
	struct mbx_transaction *txn;
	ssize_t ret;

	if (unlikely(resume->number)) {
		txn = come_back(mb, opts, resume);
		if (IS_ERR(txn)) {
			ret = PTR_ERR(txn);
			goto out;
		}
		ret = mbx_send_wait(mb, &txn->waiter, opts);
		goto finish;
	}
	ret = mbx_send_check(outlet, args, opts, mbx_waits_for_all(opts));
	if (ret)
		return ret;
	/* With MBOX_DONTWAIT the deadline is that of the reply alone. */
	if (opts->flags & MBOX_DONTWAIT && mbx_deadline_passed(opts))
		return -ETIMEDOUT;
	txn = mbx_transaction_new(outlet, buf_len,
				  mbx_message_cost(args->from.len, true));
	if (IS_ERR(txn))
		return PTR_ERR(txn);
	if (mb->flags & MBOX_INHERIT) {
		txn->prio = mbx_inherit_prio();
		txn->inherits = txn->prio;
	}

	INIT_DELAYED_WORK(&txn->expiry, expire);
	txn->mb = mb;
	txn->clock = opts->clock;
	txn->deadline = opts->deadline;
	if (resume->unumber)
		txn->home = resume->parked;

	args->txn = txn;
	ret = mbx_send(outlet, args, opts);
finish:
	if (unlikely(ret == -ERESTARTSYS && txn->parked))
		return leave(mb, txn, resume);
	if (!ret)
		ret = copy_reply(txn, to, reply_args);
	mbx_transaction_put(txn);
out:
	/* Lets the caller use the structure again; a fault here does no harm. */
	if (unlikely(resume->number))
		put_user(0, resume->unumber);
	return ret;
}

/**
 * mbx_call() - send a request and wait for the reply
 * @outlet: where the handle sends to
 * @args: the request
 * @to: where the reply goes
 * @opts: how the call may wait
 * @resume: which parked call goes on, and how this one can
 *
 * Context: Process context, may sleep.
 * Return: the length of the reply, or an error: those of mbx_send(), and
 * -EPIPE (no reply will come), -EMSGSIZE (the reply is longer than @to), -EINTR
 * (a signal arrived after the request was taken), -EFAULT (also for the reply, which
 * is lost then), -EINVAL (there is no such call).
 */
ssize_t mbx_call(struct mbx_outlet *outlet, struct mbx_send_args *args,
		 const struct mbx_buffer *to, const struct mbx_wait_opts *opts,
		 const struct mbx_resume *resume)
{
	return do_call(outlet, args, to, NULL, opts, resume);
}

/**
 * mbx_callmsg() - send a request, and wait for a reply that may have descriptors
 * @outlet: where the handle sends to
 * @args: the request
 * @reply: where the reply goes
 * @opts: how the call may wait
 * @resume: which parked call goes on, and how this one can
 *
 * Context: Process context, may sleep.
 * Return: as mbx_call().
 */
ssize_t mbx_callmsg(struct mbx_outlet *outlet, struct mbx_send_args *args,
		    const struct mbx_reply_args *reply, const struct mbx_wait_opts *opts,
		    const struct mbx_resume *resume)
{
	return do_call(outlet, args, &reply->to, reply, opts, resume);
}

/* ---- the server ---------------------------------------------------------- */

/*
 * The lease of a request, or NULL. The reply owns it from now on: so no other call ends it
 * or puts the request back meanwhile.
 */
static struct mbx_lease *take_lease(struct mailbox *mb, const struct mbx_tokens *tokens,
				    u64 token)
{
	struct mbx_lease *lease = mbx_lease_find(&tokens->leases, token);

	if (!lease || !mbx_transaction_of(lease->msg))
		return NULL;
	mbx_lease_remove(mb, lease);
	return lease;
}

/*
 * Find the call to reply to. Return 0 and a reference in *@found, or an error. *@lease is
 * set to the lease of the request.
 */
static int begin_reply(struct mailbox *mb, const struct mbx_tokens *tokens,
		       u64 token, size_t len, struct mbx_transaction **found,
		       struct mbx_lease **lease, struct mbx_deferred *deferred)
{
	struct mbx_transaction *txn;

	lockdep_assert_held(&mb->lock);
	if (mb->dead)
		return -EIDRM;
	if (unlikely(tokens->leases.count))
		*lease = take_lease(mb, tokens, token);
	txn = mbx_tokens_find(tokens, token);
	if (!txn)
		return -ESRCH;
	if (len > txn->buf_len) {
		mbx_transaction_complete(mb, txn, -EMSGSIZE, deferred);
		return -EMSGSIZE;
	}
	mbx_tokens_remove(txn);
	txn->state = MBX_TRANSACTION_REPLYING;
	refcount_inc(&txn->refs);
	*found = txn;
	return 0;
}

/* After the copy: @reply is the reply, or the error with which making it failed. */
static int end_reply(struct mailbox *mb, struct mbx_tokens *tokens,
		     struct mbx_transaction *txn, struct mbx_message *reply,
		     struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	if (!txn->caller)
		return mb->dead ? -EIDRM : -ESRCH;
	if (IS_ERR(reply) && PTR_ERR(reply) == -EDQUOT) {
		mbx_transaction_complete(mb, txn, -EDQUOT, deferred);
		return -ESRCH;
	}
	if (IS_ERR(reply)) {
		txn->state = MBX_TRANSACTION_TAKEN;
		mbx_tokens_add(tokens, txn);
		return PTR_ERR(reply);
	}
	txn->reply = reply;
	trace_mbox_reply(mb, txn);
	deferred->wake_sync = true;
	mbx_transaction_complete(mb, txn, 0, deferred);
	return 0;
}

/*
 * The reply of a request on lease has ended with @ret. Return the lease, if it is to be
 * freed, or NULL: the token stays valid.
 */
static struct mbx_lease *end_lease(struct mailbox *mb, struct mbx_lease *lease, u64 token,
				   int ret, struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	if (!lease)
		return NULL;
	/* Otherwise the reply could not be made. */
	if (ret && ret != -EIDRM && ret != -ESRCH && ret != -EMSGSIZE) {
		mbx_lease_add(mb, lease);
		return NULL;
	}
	trace_mbox_ack(mb, lease->msg, token);
	mbx_end_leased(mb, lease->msg, mb->dead ? -EIDRM : 0, deferred);
	return lease;
}

/*
 * Make a reply to a call that was started, or with descriptors. These are charged to the
 * caller too, who chose the server. Their array is small, and their number is limited.
 */
static noinline struct mbx_message *make_reply(struct mailbox *mb,
					       struct mbx_transaction *txn,
					       const struct mbx_buffer *from,
					       const s32 __user *fds, u32 nfds)
{
	struct mbx_message *reply;
	int ret;

	reply = mbx_message_with_ext(txn->sender, from, txn->unlimited, txn->started);
	if (IS_ERR(reply) || !nfds)
		return reply;
	ret = mbx_fds_attach(reply, mb, fds, nfds, true);
	if (!ret)
		return reply;
	mbx_message_free(reply);
	return ERR_PTR(ret);
}

/* The call had ended before its reply, which has been freed, was made. */
static noinline void unreserve(struct mailbox *mb, struct mbx_transaction *txn)
{
	u32 reserved;

	spin_lock(&mb->lock);
	/* The token is gone, so no other call makes a reply. */
	txn->state = MBX_TRANSACTION_TAKEN;
	reserved = mbx_transaction_unreserve(mb, txn);
	spin_unlock(&mb->lock);
	mbx_uncharge_bytes(txn->sender->user, reserved);
}

/* mbx_reply() and mbx_replymsg(). */
static __always_inline int do_reply(struct mailbox *mb, struct mbx_tokens *tokens,
				    u64 token, const struct mbx_buffer *from,
				    const s32 __user *fds, u32 nfds)
{
	struct mbx_lease *lease = NULL;
	struct mbx_transaction *txn;
	struct mbx_message *reply;
	struct mbx_deferred deferred;
	bool over;
	int ret;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	ret = begin_reply(mb, tokens, token, from->len, &txn, &lease, &deferred);
	if (ret)
		lease = end_lease(mb, lease, token, ret, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (ret) {
		if (lease)
			mbx_lease_free(lease);
		return ret;
	}

	if (unlikely(nfds || txn->started))
		reply = make_reply(mb, txn, from, fds, nfds);
	else
		reply = mbx_message_for(txn->sender, from, txn->unlimited);

	mbx_deferred_init(&deferred);
	/* MBOX_IOC_REPLY_RECV: for the next message. */
	deferred.waits = true;
	spin_lock(&mb->lock);
	ret = end_reply(mb, tokens, txn, reply, &deferred);
	/* If so, it stays so. */
	over = ret && txn->started && !txn->caller;
	lease = end_lease(mb, lease, token, ret, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (ret && !IS_ERR(reply))
		mbx_message_free(reply);
	if (unlikely(over))
		unreserve(mb, txn);
	if (lease)
		mbx_lease_free(lease);
	mbx_transaction_put(txn);
	return ret;
}

/**
 * mbx_reply() - reply to a request
 * @mb: the mailbox that the request came from
 * @tokens: the requests of the handle that received it
 * @token: names the request
 * @from: the reply
 *
 * If the request is on lease, the reply acknowledges it. So does a reply that fails
 * because the call has ended, or that ends it.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM, -ESRCH, -EMSGSIZE (this ends the call), -EFAULT or -ENOMEM
 * (the token stays valid).
 */
int mbx_reply(struct mailbox *mb, struct mbx_tokens *tokens, u64 token,
	      const struct mbx_buffer *from)
{
	return do_reply(mb, tokens, token, from, NULL, 0);
}

/**
 * mbx_replymsg() - reply to a request with descriptors
 * @mb: the mailbox that the request came from
 * @tokens: the requests of the handle that received it
 * @token: names the request
 * @from: the reply
 * @fds: descriptors of the current process
 * @nfds: number of @fds, already checked
 *
 * Context: Process context, may sleep.
 * Return: as mbx_reply(), or -EBADF, -ELOOP, -ETOOMANYREFS (the token stays valid).
 */
int mbx_replymsg(struct mailbox *mb, struct mbx_tokens *tokens, u64 token,
		 const struct mbx_buffer *from, const s32 __user *fds, u32 nfds)
{
	return do_reply(mb, tokens, token, from, fds, nfds);
}
