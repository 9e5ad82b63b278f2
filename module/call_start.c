// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that do not wait.
 *
 * mbx_call_start() sends the request of a call and returns its number. The call waits
 * for its reply without a thread (started.c). It ends once: by a reply, at its deadline,
 * by the end of the server or of the mailbox. mbx_call_wait() tells each end once.
 * mbx_call_cancel() withdraws a call that has not ended, and then no end is told.
 *
 * The caller is charged for the longest reply at the start. So a reply finds its memory
 * charged whenever it comes, and a reply that has not been fetched costs no other user
 * anything.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "call.h"
#include "call_start.h"
#include "exchange.h"
#include "fds.h"
#include "inherit.h"
#include "limits.h"
#include "trace.h"

/* ---- the deadline ----------------------------------------------------------- */

/* The deadline of a call may have passed. */
static void expire(struct work_struct *work)
{
	struct mbx_transaction *txn = container_of(to_delayed_work(work),
						   struct mbx_transaction, expiry);
	const struct mbx_wait_opts opts = {
		.deadline = txn->deadline,
		.clock = txn->clock,
	};
	struct mailbox *mb = txn->mb;
	struct mbx_deferred deferred;
	bool waits, passed;

	/* A thread that removes the call waits for this function. */
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	waits = txn->listed && !txn->waiter.waiter.done;
	passed = mbx_deadline_passed(&opts);
	if (waits && passed) {
		mbx_withdraw(mb, &txn->waiter, -ETIMEDOUT, &deferred);
		mbx_started_end(mb, txn, -ETIMEDOUT, &deferred);
	}
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (waits && !passed)
		mbx_expire_later(txn);
	else if (waits)
		mbx_inherit_update(mb, txn);
}

/* Have @expire called at the deadline, unless the call is over by now. */
static void arm(struct mbx_transaction *txn)
{
	struct mailbox *mb = txn->mb;
	bool listed;

	if (txn->deadline == KTIME_MAX)
		return;
	mbx_expire_later(txn);
	spin_lock(&mb->lock);
	listed = txn->listed;
	spin_unlock(&mb->lock);
	/* A thread that removes the call later cancels this. */
	if (!listed)
		cancel_delayed_work_sync(&txn->expiry);
}

/* ---- the end ------------------------------------------------------------------ */

/*
 * Drop a call that was removed, with the reference of the list. Calls of mbx_call_wait()
 * that wait for it search again, and find nothing.
 */
static void drop(struct mailbox *mb, struct mbx_transaction *txn)
{
	struct mbx_deferred deferred;
	u32 reserved = 0;
	bool more;

	do {
		mbx_deferred_init(&deferred);
		spin_lock(&mb->lock);
		more = mbx_started_dismiss(mb, &txn->collectors, &deferred);
		reserved += mbx_transaction_unreserve(mb, txn);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		cond_resched();
	} while (more);
	if (reserved)
		mbx_uncharge_bytes(txn->sender->user, reserved);
	cancel_delayed_work_sync(&txn->expiry);
	mbx_inherit_update(mb, txn);
	mbx_transaction_put(txn);
}

/* Remove a call that no thread is telling the end of, and end it if it has not ended. */
static void remove(struct mailbox *mb, struct mbx_transaction *txn, int result,
		   struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	/* This can make room and let senders in. */
	if (!txn->waiter.waiter.done)
		mbx_withdraw(mb, &txn->waiter, result, deferred);
	mbx_started_remove(mb, txn);
}

/* The error if a handle has no call of some number. */
static int not_found(const struct mailbox *mb)
{
	return mb->dead ? -EIDRM : -ESRCH;
}

/**
 * mbx_call_cancel() - withdraw a call
 * @mb: the mailbox that the handle sends to
 * @started: the calls of the handle
 * @token: its number
 *
 * Context: Process context, may sleep.
 * Return: 0; -ESRCH: no such call, or it has ended; -EIDRM: no such call, and the mailbox was
 * destroyed.
 */
int mbx_call_cancel(struct mailbox *mb, struct mbx_started *started, u64 token)
{
	struct mbx_transaction *txn;
	struct mbx_deferred deferred;
	int ret = 0;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	txn = mbx_started_find(started, token);
	if (!txn)
		ret = not_found(mb);
	else if (mb->dead || txn->waiter.waiter.done)
		/* Its end is told, or will be in a moment. */
		ret = -ESRCH;
	else
		remove(mb, txn, -ECANCELED, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (!ret)
		drop(mb, txn);
	return ret;
}

/**
 * mbx_started_shutdown() - withdraw the calls of a closed handle
 * @mb: the mailbox that the handle sent to
 * @started: its calls; drops the reference of the handle
 */
void mbx_started_shutdown(struct mailbox *mb, struct mbx_started *started)
{
	struct mbx_transaction *txn;
	struct mbx_deferred deferred;
	struct rb_node *node;

	for (;;) {
		mbx_deferred_init(&deferred);
		spin_lock(&mb->lock);
		node = rb_first(&started->root);
		txn = node ? rb_entry(node, struct mbx_transaction, home_node) : NULL;
		if (txn)
			remove(mb, txn, -EPIPE, &deferred);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		if (!txn)
			break;
		drop(mb, txn);
	}
	mbx_started_polled(started, NULL);
	mbx_started_put(started);
}

/* ---- start ---------------------------------------------------------------------- */

/**
 * mbx_call_start() - send a request, and do not wait for the reply
 * @outlet: where the handle sends to
 * @started: the calls of the handle
 * @args: the request
 * @rep_max: length of the longest reply
 * @opts: how the call may wait until the request is accepted; its deadline is also that of
 *	the reply
 * @utoken: where the number of the call goes
 * @old: what is there; it is written again if the call fails
 *
 * Context: Process context, may sleep.
 * Return: 0, or an error as mbx_send(); with an error, no receiver gets the request.
 */
int mbx_call_start(struct mbx_outlet *outlet, struct mbx_started *started,
		   struct mbx_send_args *args, u32 rep_max,
		   const struct mbx_wait_opts *opts, u64 __user *utoken, u64 old)
{
	struct mailbox *mb = outlet->to;
	struct mbx_transaction *txn;
	int ret;

	ret = mbx_send_check(outlet, args, opts, false);
	if (ret)
		return ret;
	txn = mbx_transaction_start(outlet, started, min(rep_max, mb->msg_max),
				    mbx_message_cost(args->from.len, true));
	if (IS_ERR(txn))
		return PTR_ERR(txn);
	INIT_DELAYED_WORK(&txn->expiry, expire);
	txn->clock = opts->clock;
	txn->deadline = opts->deadline;
	/* The server is boosted only while a thread waits for this call alone. */
	txn->inherits = mb->flags & MBOX_INHERIT;
	spin_lock(&mb->lock);
	/* Unique in the mailbox, so that it is valid on one handle only. */
	txn->number = ++mb->arrivals;
	spin_unlock(&mb->lock);

	/* Before the request is sent: afterwards, a fault could not undo that. */
	if (put_user(txn->number, utoken)) {
		ret = -EFAULT;
		goto out;
	}
	args->txn = txn;
	ret = mbx_send_start(outlet, args, opts);
	if (!ret)
		arm(txn);
	else
		put_user(old, utoken);
out:
	mbx_transaction_put(txn);
	return ret;
}

/* ---- wait ----------------------------------------------------------------------- */

/* What find_end() returns, besides 0 and errors. */
enum {
	NOT_YET = 1,
};

/* Find a call that has ended, or return NOT_YET with *@found, if it asks for one call. */
static int find_end(struct mailbox *mb, struct mbx_started *started, u64 token,
		    struct mbx_transaction **found)
{
	struct mbx_transaction *txn;

	lockdep_assert_held(&mb->lock);
	if (token) {
		txn = mbx_started_find(started, token);
		*found = txn;
		if (!txn)
			return not_found(mb);
		if (!list_empty(&txn->end))
			return 0;
		/*
		 * Another thread is telling the end, which can take for ever. No call waits for
		 * that in a destroyed mailbox: the thread that ends all waits would find it
		 * again and again.
		 */
		return mb->dead && txn->waiter.waiter.done ? -EIDRM : NOT_YET;
	}
	*found = list_first_entry_or_null(&started->ended, struct mbx_transaction, end);
	if (*found)
		return 0;
	/* The calls of a destroyed mailbox end a few at a time. */
	return mb->dead && !started->count ? -EIDRM : NOT_YET;
}

/* MBOX_INHERIT: the current thread waits for this call alone. */
static void begin_boost(struct mailbox *mb, struct mbx_transaction *txn,
			unsigned int prio)
{
	lockdep_assert_held(&mb->lock);
	refcount_inc(&txn->refs);
	txn->prio = max(txn->prio, prio);
}

/* It does not wait any more. With several threads, the last one ends the boost. */
static void end_boost(struct mailbox *mb, struct mbx_transaction *txn)
{
	spin_lock(&mb->lock);
	if (RB_EMPTY_ROOT(&txn->collectors.rb_root))
		txn->prio = 0;
	spin_unlock(&mb->lock);
	mbx_inherit_update(mb, txn);
	mbx_transaction_put(txn);
}

/*
 * Take a call that has ended, or join the calls that wait for one and return NOT_YET; then
 * *@boosts is whether the thread lends its priority to *@found meanwhile. A thread that was
 * woken searches before it gives up with @stop: no other was woken.
 */
static int take_or_join(struct mailbox *mb, struct mbx_started *started, u64 token,
			const struct mbx_wait_opts *opts, int stop,
			struct mbx_collector *c, struct mbx_transaction **found, bool *boosts)
{
	struct mbx_transaction *txn;
	int ret;

	spin_lock(&mb->lock);
	ret = find_end(mb, started, token, found);
	txn = *found;
	if (ret == NOT_YET && stop) {
		ret = stop;
	} else if (ret == NOT_YET && opts->nowait_err) {
		ret = opts->nowait_err;
	} else if (ret == NOT_YET) {
		mbx_waiter_init(&c->waiter, &started->waiting);
		mbx_waiter_add_collector(mb, c, txn ? &txn->collectors : &started->collectors);
		*boosts = txn && txn->inherits;
		if (*boosts)
			begin_boost(mb, txn, mbx_inherit_prio());
	} else if (!ret) {
		list_del_init(&txn->end);
		started->unread--;
	}
	spin_unlock(&mb->lock);
	return ret;
}

/* Wait until it is worth searching again. */
static int wait_for_end(struct mailbox *mb, struct mbx_collector *c, struct mbx_transaction *txn,
			bool boosts, const struct mbx_wait_opts *opts)
{
	int ret;

	if (boosts)
		mbx_inherit_update(mb, txn);
	ret = mbx_wait(mb, &c->waiter, opts);
	if (boosts)
		end_boost(mb, txn);
	return ret;
}

/*
 * Take a call that has ended, so that no other thread tells of it. Return 0, or an
 * error of the waiting thread.
 */
static int take_end(struct mailbox *mb, struct mbx_started *started, u64 token,
		    const struct mbx_wait_opts *opts, struct mbx_transaction **found)
{
	struct mbx_collector c = {};
	bool again = false, boosts;
	int ret, stop = 0;

	for (;;) {
		/* If it waits again, it keeps its place. */
		c = (struct mbx_collector){ .waiter.seq = c.waiter.seq };
		ret = take_or_join(mb, started, token, opts, stop, &c, found, &boosts);
		if (ret != NOT_YET)
			return ret;
		ret = wait_for_end(mb, &c, *found, boosts, opts);
		if (ret)
			return ret;
		stop = again ? mbx_wait_goes_on(opts) : 0;
		again = true;
	}
}

/* The end could not be told: it is the first again. */
static void put_back(struct mailbox *mb, struct mbx_transaction *txn)
{
	/* The handle holds it while its ioctl runs; another thread can drop @txn. */
	struct mbx_started *started = txn->started;
	struct mbx_deferred deferred;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	/*
	 * The thread that ended the call may still have it in its mbx_deferred.ended. So
	 * @txn->ended is not free, and the handle is told here.
	 */
	mbx_started_offer(mb, txn, true, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	mbx_started_tell(started);
}

/* Copy the end of a call to the thread that asked for it. Return 0 or an error. */
static int tell_end(struct mbx_transaction *txn, const struct mbx_collect_args *args,
		    const struct mbx_wait_opts *opts)
{
	const struct mbx_reply_args *to = &args->reply;
	struct mbx_message *reply = txn->reply;
	int ret;

	if (put_user(txn->number, args->utoken) || put_user(1, args->uended))
		return -EFAULT;
	if (!reply)
		return 0;
	if (reply->len > to->to.len && !(opts->flags & MBOX_TRUNC))
		return -EMSGSIZE;
	ret = mbx_reply_copy_out(reply, to);
	if (!ret && mbx_fds_of(reply))
		ret = mbx_fds_prepare(mbx_fds_of(reply), u64_to_user_ptr(to->kmsg->fds),
				      to->kmsg->nfds);
	if (ret)
		mbx_reply_undo_copy_out(to);
	return ret;
}

/**
 * mbx_call_wait() - wait until a call has ended, and tell how
 * @mb: the mailbox that the handle sends to
 * @started: the calls of the handle
 * @args: which call, and where its end goes
 * @opts: how the thread may wait
 *
 * Context: Process context, may sleep.
 * Return: the length of the reply, or the error that ended the call; then @args->uended is
 * set. Or an error of this function: -ESRCH, -EIDRM (and no call has an end to tell, or
 * another thread is telling that of the call asked for), -EMSGSIZE, -EFAULT, -EMFILE,
 * -ENOMEM, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS.
 */
ssize_t mbx_call_wait(struct mailbox *mb, struct mbx_started *started,
		      const struct mbx_collect_args *args, const struct mbx_wait_opts *opts)
{
	struct mbx_transaction *txn;
	ssize_t ret;

	ret = take_end(mb, started, args->token, opts, &txn);
	if (ret)
		return ret;
	ret = tell_end(txn, args, opts);
	if (ret) {
		put_back(mb, txn);
		/* If the address is no longer mapped, nothing can read it either. */
		put_user(0, args->uended);
		put_user(args->token, args->utoken);
		return ret;
	}
	spin_lock(&mb->lock);
	mbx_started_remove(mb, txn);
	spin_unlock(&mb->lock);
	ret = txn->waiter.waiter.result;
	if (txn->reply) {
		ret = txn->reply->len;
		mbx_reply_install(txn->reply, &args->reply);
	}
	drop(mb, txn);
	return ret;
}
