// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending. try_send() decides what happens to a message. The other functions make the
 * message, wait, and withdraw the message if the sender gives up.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "transaction.h"
#include "exchange.h"
#include "expire.h"
#include "fds.h"
#include "history.h"
#include "index.h"
#include "inherit.h"
#include "poller.h"
#include "limits.h"
#include "send.h"
#include "started.h"
#include "trace.h"

/* What try_send() returns, besides errors. */
enum {
	SENT,
	AWAIT_RECEIPT,
	AWAIT_REPLY,
	AWAIT_ROOM,
	/* Drop the lock and call try_send() again: it has been held long enough. */
	GO_ON,
	/* The same, where others can make that necessary again and again. */
	UNSURE,
	/* Give the message an entry for an index and call try_send() again. */
	UNINDEXED,
	/* Make the copy for the history and call try_send() again. */
	UNCOPIED,
};

/*
 * Whether a message needs a copy for the history before it is stored. A message that is to
 * wait for room has one only if few others wait. @room: there is room.
 */
static bool lacks_copy(const struct mailbox *mb, const struct mbx_message *msg,
		       const struct mbx_wait_opts *opts, bool room)
{
	lockdep_assert_held(&mb->lock);
	if (!mb->history || msg->flags & MBX_MSG_COPIED)
		return false;
	/* Readers can choose: whether there will be room is not known yet. */
	if (room || mb->flags & MBOX_DROP_OLDEST || mb->store_flags & MBX_STORE_CHOICES)
		return true;
	return !mbx_drops(mb) && !opts->nowait_err && mbx_history_queues_copy(mb);
}

/*
 * Drop messages until there is room for @len bytes, up to a limit. Return whether there is
 * room.
 */
static bool drop_oldest(struct mailbox *mb, u32 len, struct mbx_deferred *deferred)
{
	unsigned int left = MBX_WAKE_AT_ONCE;

	return mbx_drop_for(mb, len, &left, deferred);
}

static void drop_newest(struct mailbox *mb, struct mbx_message *msg)
{
	mbx_count_sent(mb, msg);
	mb->dropped++;
	trace_mbox_drop(mb, msg);
}

/* Whether the message stays in the mailbox if it is not delivered to a receiver. */
static bool is_kept(const struct mailbox *mb, const struct mbx_message *msg,
		    const struct mbx_wait_opts *opts, bool sync)
{
	if (sync && opts->nowait_err)
		return false;
	if (mbx_has_room_for(mb, msg->sender->key, msg->len))
		return true;
	if (mbx_drops(mb))
		return mb->flags & MBOX_DROP_OLDEST && mb->capacity;
	return !opts->nowait_err;
}

/*
 * Send without waiting, or return what to wait for. If this returns SENT,
 * AWAIT_RECEIPT or AWAIT_REPLY, the caller does not own the message any more.
 */
static __always_inline int try_send(struct mailbox *mb, struct mbx_message *msg,
				    const struct mbx_wait_opts *opts, bool sync,
				    bool request, struct mbx_deferred *deferred)
{
	const int accepted = request ? AWAIT_REPLY : SENT;
	struct mbx_recv_waiter *receiver = NULL;
	bool arrived = true, ack, room;
	u32 special;

	lockdep_assert_held(&mb->lock);
	if (unlikely(mb->dead))
		return -EIDRM;
	if (unlikely(mb->flags & MBOX_HANGUP)) {
		if (mbx_no_receivers(mb))
			return -EPIPE;
		msg->flags |= MBX_MSG_HANGUP;
	}

	/* Messages whose lifespan has ended take no room. */
	if (mbx_has_expired(mb)) {
		mbx_expire_some(mb, deferred);
		if (mbx_has_expired(mb) || deferred->more)
			return GO_ON;
	}

	/*
	 * A call that admits waiting senders may be less urgent than this one, which
	 * may wait behind them: so admit some here too. This comes before the search
	 * for a receiver, which alone can take as many steps as the lock may be held
	 * for.
	 */
	if (unlikely(mbx_has_backlog(mb))) {
		mbx_admit_senders(mb, deferred);
		if (mbx_receivers_wait(mb) || deferred->more & MBX_MORE_PASS)
			return GO_ON;
	}
	if (mbx_receivers_wait(mb)) {
		bool kept = is_kept(mb, msg, opts, sync);

		/* No receiver fails for a message that cannot be queued after all. */
		if (kept && mbx_needs_entry(mb, msg))
			return UNINDEXED;
		receiver = mbx_next_receiver(mb, msg, kept, deferred);
	}
	if (receiver) {
		/* A nonblocking call does not wait for the receiver's copy either. */
		ack = (sync || !mb->capacity) && !opts->nowait_err && !request;
		if (ack)
			msg->flags |= MBX_MSG_ACK;
		mbx_count_sent(mb, msg);
		trace_mbox_send(mb, msg);
		mbx_deliver_to_waiter(mb, receiver, msg, deferred);
		return ack ? AWAIT_RECEIPT : accepted;
	}
	if (unlikely(sync && opts->nowait_err))
		return opts->nowait_err;

	/* One check for all policies: most mailboxes have none of these flags. */
	special = mb->store_flags;
	room = mbx_has_room(mb);
	if (unlikely(special)) {
		if (mbx_needs_entry(mb, msg))
			return UNINDEXED;
		room = mbx_has_room_for(mb, msg->sender->key, msg->len);
		if (lacks_copy(mb, msg, opts, room))
			return UNCOPIED;
	}
	if (unlikely(!room)) {
		switch (mbx_when_full(mb)) {
		case MBX_FULL_WAIT:
			/* Since the call began, max_bytes may have shrunk. */
			if (unlikely(msg->len > mb->len_max))
				return -EMSGSIZE;
			return opts->nowait_err ?: AWAIT_ROOM;
		case MBX_FULL_UNKNOWN:
			return UNSURE;
		case MBX_FULL_DROP_NEWEST:
			drop_newest(mb, msg);
			if (sync || request)
				return -EPIPE;
			mbx_defer_release(mb, msg, deferred);
			return SENT;
		case MBX_FULL_DROP_OLDEST:
			if (!drop_oldest(mb, msg->len, deferred))
				return GO_ON;
			/* The message replaces another: it does not notify. */
			arrived = false;
			break;
		}
	}
	if (unlikely(sync))
		msg->flags |= MBX_MSG_ACK;
	mbx_count_sent(mb, msg);
	if (unlikely(special)) {
		mbx_store_by_policy(mb, msg, arrived, deferred);
	} else {
		mbx_queue_add(&mb->stored, msg);
		mbx_announce(mb, msg, arrived, deferred);
	}
	trace_mbox_send(mb, msg);
	return sync ? AWAIT_RECEIPT : accepted;
}

/**
 * mbx_withdraw() - a sender gives up: remove its message
 * @mb: the mailbox
 * @w: the sender, which is not completed
 * @ret: the error of the call
 * @deferred: to be flushed without the lock
 *
 * A request that a receiver has taken must not be sent again, so its call is not
 * restarted. With a transaction, the caller has to call mbx_inherit_update().
 *
 * Return: what the call returns.
 */
int mbx_withdraw(struct mailbox *mb, struct mbx_send_waiter *w, int ret,
		 struct mbx_deferred *deferred)
{
	bool accepted = mbx_send_accepted(w);
	struct mbx_message *msg = w->msg;

	lockdep_assert_held(&mb->lock);
	mbx_waiter_del(mb, &w->waiter);
	if (w->txn && mbx_transaction_abandon(mb, w->txn))
		return ret == -ERESTARTSYS ? -EINTR : ret;
	if (!accepted) {
		mbx_queue_remove(&mb->blocked_sends, msg);
		mbx_defer_release(mb, msg, deferred);
		/* There may be room for a shorter message. */
		if (unlikely(mb->store_flags & MBX_STORE_BYTES))
			mbx_admit_senders(mb, deferred);
		return ret;
	}
	/* The receiver may have done what the message asks for: do not send it again. */
	if (msg->flags & MBX_MSG_LEASED) {
		if (!w->txn)
			msg->flags |= MBX_MSG_WITHDRAWN;
		return ret == -ERESTARTSYS ? -EINTR : ret;
	}
	mb->sent--;
	if (msg->flags & MBX_MSG_TRANSIT) {
		msg->flags |= MBX_MSG_WITHDRAWN;
		return ret;
	}
	mbx_unstore(mb, msg);
	mbx_defer_release(mb, msg, deferred);
	mbx_room_made(mb, deferred);
	return ret;
}

/**
 * mbx_send_wait() - wait until a sender is completed, or gives up
 * @mb: the mailbox
 * @w: the sender
 * @opts: how it may wait
 *
 * Context: Process context, without mailbox.lock.
 * Return: the result that it was completed with, or -ERESTARTSYS, -ETIMEDOUT, -EINTR.
 * With -ERESTARTSYS and a transaction, the call is either parked or withdrawn.
 */
int mbx_send_wait(struct mailbox *mb, struct mbx_send_waiter *w,
		  const struct mbx_wait_opts *opts)
{
	struct mbx_transaction *txn = w->txn;
	struct mbx_deferred deferred;
	bool comes_back;
	int ret;

	ret = mbx_sleep_on(&w->waiter, opts);
	if (!ret)
		return w->waiter.result;

	comes_back = txn && ret == -ERESTARTSYS &&
		     mbx_transaction_comes_back(txn);
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (w->waiter.done)
		ret = w->waiter.result;
	else if (comes_back)
		mbx_transaction_park(mb, txn);
	else
		ret = mbx_withdraw(mb, w, ret, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (txn)
		mbx_inherit_update(mb, txn);
	return ret;
}

/* The last room was taken while the copy for the history was made. */
static void give_up_copy(struct mailbox *mb, struct mbx_message *msg,
			 struct mbx_deferred *deferred)
{
	struct mbx_message_ext *ext = mbx_ext(msg);

	lockdep_assert_held(&mb->lock);
	if (ext->copy)
		mbx_defer_release(mb, ext->copy, deferred);
	ext->copy = NULL;
}

/*
 * A send of @len bytes failed because it would have had to wait. If mailbox.max_bytes is the
 * reason, poll leaves out EPOLLOUT until there is room for as much.
 */
static noinline void note_refused(struct mbx_outlet *outlet, u32 len)
{
	struct mailbox *mb = outlet->to;

	if (!READ_ONCE(mb->max_bytes))
		return;
	spin_lock(&mb->lock);
	outlet->refused = 0;
	if (!mbx_has_room_for(mb, mbx_current_key(mb), len) &&
	    mbx_when_full(mb) == MBX_FULL_WAIT) {
		outlet->refused = len;
		outlet->refused_to = task_tgid_nr(current);
		outlet->refused_prio = mbx_waiter_prio();
	}
	spin_unlock(&mb->lock);
}

/* Begin to wait for @what, which try_send() returned. */
static void begin_wait(struct mailbox *mb, struct mbx_send_waiter *w,
		       struct mbx_message *msg, struct mbx_transaction *txn,
		       const struct mbx_wait_opts *opts, int what,
		       struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	*w = (struct mbx_send_waiter){
		.msg = msg,
		.txn = txn,
		.sync = opts->flags & MBOX_SYNC,
	};
	RB_CLEAR_NODE(&w->by_msg);
	mbx_waiter_init(&w->waiter, &mb->waiting_senders);
	if (txn) {
		txn->caller = w;
		/* The task that is woken is the one that this call waits for. */
		deferred->wake_sync = true;
	}
	if (what == AWAIT_ROOM) {
		if (unlikely(mb->history) && !mbx_history_queues_copy(mb))
			give_up_copy(mb, msg, deferred);
		mbx_waiter_add_sender(mb, w);
		mbx_queue_blocked_send(mb, w, false, deferred);
	} else {
		mbx_waiter_accept(mb, w);
	}
	trace_mbox_wait(mb, true);
}

/*
 * The thread that lets waiting senders in may be less urgent than this one. So this one
 * does that work until its own message is accepted.
 */
static noinline void admit_until_accepted(struct mailbox *mb,
					  const struct mbx_send_waiter *w)
{
	struct mbx_deferred deferred;
	bool more;

	do {
		mbx_deferred_init(&deferred);
		deferred.waits = true;
		spin_lock(&mb->lock);
		more = mbx_has_backlog(mb) && !w->waiter.done && !mbx_send_accepted(w);
		if (more)
			mbx_admit_senders(mb, &deferred);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		cond_resched();
	} while (more && !signal_pending(current));
}

/*
 * A message has been charged beyond the limits: drop older messages of the same user for
 * it. Return 0, or -EDQUOT: that is not enough, and none was dropped.
 */
static int drop_for(struct mailbox *mb, struct mbx_message *msg,
		    const struct mbx_transaction *txn, const struct mbx_wait_opts *opts)
{
	bool waits = txn || opts->flags & MBOX_SYNC;
	struct mbx_message_ext *ext = mbx_ext(msg);
	struct mbx_sender *sender = msg->sender;
	struct mbx_shortage excess;
	unsigned int cost = ext->cost;

	if (msg->flags & MBX_MSG_ENTRY)
		cost += MBX_ENTRY_COST;
	excess = mbx_sender_excess(sender, cost, ext->nfds);
	if ((!excess.bytes && !excess.fds) || mbx_drop_own(mb, ext->share, &excess, waits))
		return 0;
	/* Pairs with the READ_ONCE() of poll. */
	if (ext->nfds)
		cost += mbx_fds_cost(ext->nfds);
	WRITE_ONCE(sender->refused, cost);
	WRITE_ONCE(sender->refused_fds, excess.fds ? ext->nfds : 0);
	return -EDQUOT;
}

/*
 * A try returned UNSURE. *@left, which is 0 at first, is how many more of them a call makes
 * as if it were one step. Return 0 or an error.
 */
static int unsure_goes_on(struct mailbox *mb, const struct mbx_wait_opts *opts, u64 *left)
{
	if (!*left)
		*left = 2 + READ_ONCE(mb->stored.count) / MBX_WAKE_AT_ONCE;
	return mbx_try_goes_on(opts, left);
}

/*
 * Do what @what, from try_send(), asks for before the next try. *@left is 0 before the
 * first. Return 0 or an error.
 */
static noinline int prepare(struct mailbox *mb, struct mbx_message *msg, int what,
			    const struct mbx_wait_opts *opts, u64 *left)
{
	const bool drops = mb->flags & MBOX_DROP_OLDEST;
	int ret;

	if (fatal_signal_pending(current))
		return -EINTR;
	cond_resched();
	if (what == UNSURE)
		return unsure_goes_on(mb, opts, left);
	if (what == UNCOPIED) {
		/* In no queue: nobody else changes its flags. */
		mbx_ext(msg)->copy = mbx_history_copy(mb, msg);
		msg->flags |= MBX_MSG_COPIED;
	}
	if (what != UNINDEXED)
		return 0;
	ret = mbx_message_add_entry(msg, drops);
	if (ret || !drops)
		return ret;
	return drop_for(mb, msg, mbx_transaction_of(msg), opts);
}

/* Free a message that try_send() has refused with @ret. */
static void free_refused(struct mbx_outlet *outlet, struct mbx_message *msg,
			 const struct mbx_wait_opts *opts, int ret)
{
	if (ret == opts->nowait_err)
		note_refused(outlet, msg->len);
	mbx_message_free(msg);
}

/*
 * Send, and wait for what try_send() returns. This consumes the message, also on an
 * error. A function of its own, so that a call that does not wait does not have to
 * clear the structures for waiting.
 */
static noinline int send_and_wait(struct mbx_outlet *outlet, struct mbx_message *msg,
				  struct mbx_transaction *txn,
				  const struct mbx_wait_opts *opts)
{
	struct mbx_deferred deferred;
	struct mbx_send_waiter own, *w = txn ? &txn->waiter : &own;
	struct mailbox *mb = outlet->to;
	u64 left = 0;
	int ret;

	for (;;) {
		mbx_deferred_init(&deferred);
		deferred.waits = true;
		spin_lock(&mb->lock);
		ret = try_send(mb, msg, opts, opts->flags & MBOX_SYNC, txn,
			       &deferred);
		if (ret > 0 && ret < GO_ON)
			begin_wait(mb, w, msg, txn, opts, ret, &deferred);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		if (likely(ret < GO_ON))
			break;
		ret = prepare(mb, msg, ret, opts, &left);
		if (ret)
			break;
	}
	if (ret < 0)
		free_refused(outlet, msg, opts, ret);
	if (ret <= 0)
		return ret;
	if (ret == AWAIT_ROOM)
		admit_until_accepted(mb, w);
	return mbx_send_wait(mb, w, opts);
}

/*
 * Whether a call would fail now. Checked before the message is allocated when failure
 * is likely: for nonblocking calls, so that retrying on a full mailbox does not
 * allocate and copy each time, and with MBOX_HANGUP. With a request that may not wait for
 * its reply either (mbx_waits_for_all()), it always fails: the reply cannot be there yet.
 */
static noinline int precheck(struct mbx_outlet *outlet, size_t len,
			     const struct mbx_wait_opts *opts, bool request)
{
	struct mailbox *mb = outlet->to;
	int ret = 0;

	spin_lock(&mb->lock);
	if (mb->dead)
		ret = -EIDRM;
	else if (mbx_no_receivers(mb))
		ret = -EPIPE;
	else if (mbx_has_expired(mb))
		/* This is up to try_send(). */
		ret = request ? opts->nowait_err : 0;
	else if (request || (!mbx_receivers_wait(mb) &&
			     (opts->flags & MBOX_SYNC ||
			      (!mbx_has_room_for(mb, mbx_current_key(mb), len) &&
			       mbx_when_full(mb) == MBX_FULL_WAIT))))
		ret = opts->nowait_err;
	spin_unlock(&mb->lock);
	if (ret && ret == opts->nowait_err)
		note_refused(outlet, len);
	return ret;
}

static inline int send_check(struct mbx_outlet *outlet, const struct mbx_send_args *args,
			     const struct mbx_wait_opts *opts, bool request)
{
	struct mailbox *mb = outlet->to;
	size_t len = args->from.len;

	/* Pairs with mbx_mailbox_destroy(); checked again later, under the lock. */
	if (unlikely(READ_ONCE(mb->dead)))
		return -EIDRM;
	if (unlikely(len > READ_ONCE(mb->len_max) ||
		     (mb->flags & MBOX_FIXED && len != mb->msg_max)))
		return -EMSGSIZE;
	if (unlikely(opts->nowait_err || mb->flags & MBOX_HANGUP))
		return precheck(outlet, len, opts, request);
	return 0;
}

/**
 * mbx_send_check() - check whether a message can be sent, before it is made
 * @outlet: where the handle sends to
 * @args: what to send
 * @opts: how the call may wait
 * @request: it is a request, and fails if the call may not wait (mbx_waits_for_all())
 *
 * Return: 0, or -EIDRM, -EMSGSIZE, -EPIPE, -EAGAIN, -ETIMEDOUT.
 */
int mbx_send_check(struct mbx_outlet *outlet, const struct mbx_send_args *args,
		   const struct mbx_wait_opts *opts, bool request)
{
	return send_check(outlet, args, opts, request);
}

/* Whether the message needs a struct mbx_message_ext. */
static inline bool needs_ext(const struct mailbox *mb,
			     const struct mbx_send_args *args)
{
	return args->txn || args->nfds || args->lifespan_end ||
	       mb->flags & (MBX_STORE_FLAGS | MBX_FLAG_EXT);
}

/* What the message is charged, without an entry for an index. */
static unsigned int cost_of(const struct mailbox *mb, const struct mbx_send_args *args)
{
	unsigned int cost = mbx_message_cost(args->from.len, needs_ext(mb, args));

	return args->lifespan_end ? cost + MBX_LIFESPAN_COST : cost;
}

/*
 * Give a new message all but its payload. If that fails, free it. @unasked: charge this
 * whatever the limits.
 */
static __always_inline struct mbx_message *
equip_message(struct mailbox *mb, struct mbx_message *msg,
	      const struct mbx_send_args *args, bool unasked)
{
	struct mbx_transaction *txn = args->txn;
	int ret;

	msg->prio = args->prio;
	msg->type = args->type;
	if (unlikely(txn)) {
		refcount_inc(&txn->refs);
		mbx_ext(msg)->txn = txn;
	}
	if (unlikely(mb->flags & (MBOX_FAIR | MBOX_DROP_OLDEST))) {
		mbx_ext(msg)->share = mbx_share_get(mb, msg->sender);
		if (!mbx_ext(msg)->share) {
			mbx_message_free(msg);
			return ERR_PTR(-ENOMEM);
		}
		INIT_LIST_HEAD(&mbx_ext(msg)->own);
	}
	if (unlikely(args->lifespan_end)) {
		ret = mbx_lifespan_attach(msg, mb, args->lifespan_end, unasked);
		if (ret) {
			mbx_message_free(msg);
			return ERR_PTR(ret);
		}
	}
	if (unlikely(args->nfds)) {
		ret = mbx_fds_attach(msg, mb, args->fds, args->nfds, unasked);
		if (ret) {
			mbx_message_free(msg);
			return ERR_PTR(ret);
		}
	}
	return msg;
}

static inline struct mbx_message *make_message(struct mbx_outlet *outlet,
					       const struct mbx_send_args *args)
{
	struct mailbox *mb = outlet->to;
	struct mbx_message *msg;

	msg = mbx_message_new(outlet, &args->from,
			      needs_ext(mb, args));
	if (IS_ERR(msg))
		return msg;
	return equip_message(mb, msg, args, false);
}

/* ---- limits --------------------------------------------------------------- */

/* The error with which a send call would fail even if there were room, or 0. */
static int sending_ended(struct mailbox *mb)
{
	int ret = 0;

	spin_lock(&mb->lock);
	if (mb->dead)
		ret = -EIDRM;
	else if (mbx_no_receivers(mb))
		ret = -EPIPE;
	spin_unlock(&mb->lock);
	return ret;
}

static void count_sender(struct mailbox *mb, int change)
{
	spin_lock(&mb->lock);
	mb->waiting_senders += change;
	if (change > 0)
		trace_mbox_wait(mb, true);
	spin_unlock(&mb->lock);
}

/* What sleep_at_share() returns besides 0 and errors: the lifespan has ended. */
#define OVER 1

/*
 * Wait until the stake of the sender's user with the owner of the mailbox has room for
 * @cost. The limit of the user itself is checked later, when the message is made. A
 * poller (mbx_call_poller_new()) wakes the task at the end of the mailbox, and an alarm
 * (mbx_alarm_new()) at @end, the end of the lifespan.
 */
static int sleep_at_share(struct mailbox *mb, struct mbx_want *want,
			  const struct mbx_sender *sender, unsigned int cost,
			  unsigned int nfds, ktime_t end, const struct mbx_wait_opts *opts)
{
	ktime_t deadline = opts->deadline;
	ktime_t *expires = deadline == KTIME_MAX ? NULL : &deadline;
	int ret = 0;

	for (;;) {
		const struct mbx_need need = {
			.stake = sender->stake,
			.bytes = cost,
			.own = mbx_sender_cost(sender),
			.fds = nfds,
		};

		mbx_want_need(want, sender->user, &need);
		if (mbx_sender_share_has_room(sender, cost, nfds))
			break;
		mbx_want_on(want);
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		ret = sending_ended(mb);
		if (!ret && end && end <= ktime_get())
			ret = OVER;
		if (!ret && signal_pending(current))
			ret = -ERESTARTSYS;
		if (!ret && !mbx_want_told(want) &&
		    !schedule_hrtimeout_range_clock(expires, 0,
						    HRTIMER_MODE_ABS,
						    opts->clock))
			ret = -ETIMEDOUT;
		__set_current_state(TASK_RUNNING);
		if (ret)
			break;
		cond_resched();
	}
	return ret;
}

static int wait_at_share(struct mbx_outlet *outlet, const struct mbx_send_args *args,
			 const struct mbx_wait_opts *opts)
{
	struct mailbox *mb = outlet->to;
	unsigned int cost = cost_of(mb, args);
	struct mbx_sender *sender = mbx_sender_get(outlet);
	struct mbx_alarm *alarm = NULL;
	struct mbx_call_poller *poller;
	struct mbx_want want;
	int ret = -ENOMEM;

	if (!sender)
		return -ENOMEM;
	poller = mbx_call_poller_new(mb);
	if (!poller)
		goto out;
	if (args->lifespan_end) {
		alarm = mbx_alarm_new(args->lifespan_end);
		if (!alarm)
			goto out_free_poller;
	}
	mbx_want_init(&want, NULL, current);
	count_sender(mb, 1);
	ret = sleep_at_share(mb, &want, sender, cost, args->nfds, args->lifespan_end, opts);
	/* The room may have come later than the end. */
	if (!ret && args->lifespan_end && args->lifespan_end <= ktime_get())
		ret = OVER;
	count_sender(mb, -1);
	mbx_want_cancel(&want);
	mbx_alarm_free(alarm);
out_free_poller:
	mbx_call_poller_free(mb, poller);
out:
	mbx_sender_put(sender);
	return ret;
}

/*
 * Whether a message could be made if there were room, as far as that can be checked
 * now. A call that fails must have no effect, so this comes before other messages are
 * dropped to make room.
 */
static int check_args(const struct mailbox *mb, const struct mbx_send_args *args)
{
	const struct mbx_buffer *from = &args->from;
	size_t missing;

	if (from->iter)
		missing = fault_in_iov_iter_readable(from->iter, from->len);
	else
		missing = fault_in_readable(from->user, from->len);
	if (missing)
		return -EFAULT;
	return args->nfds ? mbx_fds_check(mb, args->fds, args->nfds) : 0;
}

/* MBOX_DROP_NEWEST, for a message that could not be made. */
static int drop_unmade(struct mailbox *mb, const struct mbx_send_args *args,
		       const struct mbx_wait_opts *opts)
{
	int ret = sending_ended(mb);

	if (!ret)
		ret = check_args(mb, args);
	if (ret)
		return ret;
	spin_lock(&mb->lock);
	mbx_count_sent_dropped(mb);
	spin_unlock(&mb->lock);
	return args->txn || opts->flags & MBOX_SYNC ? -EPIPE : 0;
}

/* The lifespan of a message ended before there was room under a limit to make it. */
static int expire_unmade(struct mailbox *mb, const struct mbx_send_args *args)
{
	int ret = check_args(mb, args);

	if (ret)
		return ret;
	spin_lock(&mb->lock);
	if (mb->dead) {
		ret = -EIDRM;
	} else {
		mbx_count_sent_expired(mb);
		ret = -EPIPE;
	}
	spin_unlock(&mb->lock);
	return ret;
}

/* Make a message that is not charged yet. */
static struct mbx_message *stage_message(struct mailbox *mb, struct mbx_sender *sender,
					 const struct mbx_send_args *args)
{
	struct mbx_message *msg;
	int ret;

	msg = mbx_message_stage(sender, &args->from);
	if (IS_ERR(msg))
		return msg;
	msg = equip_message(mb, msg, args, true);
	if (IS_ERR(msg))
		return msg;
	ret = sending_ended(mb);
	/* A data race: if the index is made later, prepare() adds the entry. */
	if (!ret && data_race(mb->store_flags) & MBX_STORE_INDEXED)
		ret = mbx_message_add_entry(msg, true);
	if (!ret)
		return msg;
	mbx_message_free(msg);
	return ERR_PTR(ret);
}

/*
 * MBOX_DROP_OLDEST at a limit: make a message, and drop older messages of the same user
 * for it. A call that fails must have no effect, so everything that can fail comes
 * before the first message is dropped.
 */
static struct mbx_message *replace_own(struct mbx_outlet *outlet,
				       const struct mbx_send_args *args,
				       const struct mbx_wait_opts *opts)
{
	struct mailbox *mb = outlet->to;
	unsigned int cost = cost_of(mb, args);
	struct mbx_sender *sender = mbx_sender_get(outlet);
	struct mbx_message *msg;
	bool first;
	int ret;

	if (!sender)
		return ERR_PTR(-ENOMEM);
	first = mbx_sender_cost(sender);
	ret = mbx_stage(sender->user, cost, sender->privileged);
	if (ret) {
		mbx_sender_put(sender);
		return ERR_PTR(ret);
	}
	msg = stage_message(mb, sender, args);
	if (!IS_ERR(msg)) {
		mbx_message_charge(msg, cost);
		ret = drop_for(mb, msg, args->txn, opts);
		if (ret) {
			mbx_message_free(msg);
			msg = ERR_PTR(ret);
		}
	}
	/* A sender without any message is not to be charged for one that failed. */
	if (IS_ERR(msg) && first)
		mbx_sender_retract(sender);
	mbx_unstage(sender->user, cost);
	mbx_sender_put(sender);
	return msg;
}

/* Make room for a message by the policy of the mailbox, or wait for room. */
static struct mbx_message *try_again(struct mbx_outlet *outlet, const struct mbx_send_args *args,
				     const struct mbx_wait_opts *opts, int ret)
{
	struct mailbox *mb = outlet->to;
	bool drops = mb->flags & MBOX_DROP_OLDEST;

	if (!drops && ret == -EDQUOT)
		return ERR_PTR(ret);
	if (!drops && opts->nowait_err)
		return ERR_PTR(opts->nowait_err);
	if (!drops) {
		ret = wait_at_share(outlet, args, opts);
		if (ret == OVER)
			ret = expire_unmade(mb, args);
		if (ret)
			return ERR_PTR(ret);
	}
	mbx_buffer_rewind(&args->from);
	if (drops)
		return replace_own(outlet, args, opts);
	return make_message(outlet, args);
}

/*
 * Make a message that a limit, which @ret tells, left no room for: make room by the
 * policy of the mailbox, or wait. Return the message, an error, or NULL: the message
 * was dropped.
 */
static noinline struct mbx_message *
make_when_allowed(struct mbx_outlet *outlet, const struct mbx_send_args *args,
		  const struct mbx_wait_opts *opts, int ret)
{
	struct mailbox *mb = outlet->to;
	struct mbx_message *msg;

	for (;;) {
		if (ret != -ENOBUFS && ret != -EDQUOT)
			return ERR_PTR(ret);
		if (ret == -ENOBUFS && mb->flags & MBOX_DROP_NEWEST)
			return ERR_PTR(drop_unmade(mb, args, opts));
		msg = try_again(outlet, args, opts, ret);
		if (!IS_ERR(msg)) {
			WRITE_ONCE(msg->sender->refused, 0);
			WRITE_ONCE(msg->sender->refused_fds, 0);
			return msg;
		}
		ret = PTR_ERR(msg);
		if (ret != -ENOBUFS)
			return msg;
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);
		cond_resched();
	}
}

/* Send a message that has been made. This consumes it, also on an error. */
static int send_made(struct mbx_outlet *outlet, struct mbx_message *msg,
		     struct mbx_transaction *txn, const struct mbx_wait_opts *opts)
	__releases(&outlet->to->lock)
{
	struct mbx_deferred deferred = {};
	struct mailbox *mb = outlet->to;
	int ret = AWAIT_ROOM;

	if (likely(!txn && !(opts->flags & MBOX_SYNC) && mb->capacity))
		ret = try_send(mb, msg, opts, false, false, &deferred);
	if (unlikely(outlet->refused) && !ret)
		outlet->refused = 0;
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (likely(!ret))
		return 0;
	/* This also handles GO_ON and what follows it. */
	if (ret > 0)
		return send_and_wait(outlet, msg, txn, opts);
	free_refused(outlet, msg, opts, ret);
	return ret;
}

/*
 * Whether mailbox.max_bytes is all that is special in a mailbox, and leaves room for a
 * message. A send that was refused, which poll remembers, is up to try_send().
 */
static inline bool has_only_bytes(const struct mbx_outlet *outlet, u32 len)
{
	const struct mailbox *mb = outlet->to;

	return mb->store_flags == MBX_STORE_BYTES && !mb->blocked_sends.count &&
	       !outlet->refused && mbx_has_bytes_for(mb, len);
}

/*
 * Whether nothing keeps a message of that length from being stored, and nobody is to be
 * told of it. What wants more than that is up to try_send(). Only under the lock the answer
 * lasts.
 */
static inline bool can_store(const struct mbx_outlet *outlet, u32 len)
{
	const struct mailbox *mb = outlet->to;

	return likely(!mb->dead && (!mb->store_flags || has_only_bytes(outlet, len)) &&
		      !mb->waiting_receivers && mbx_has_room(mb) && list_empty(&mb->pollers));
}

static inline void store_plainly(struct mailbox *mb, struct mbx_message *msg)
{
	mbx_count_sent(mb, msg);
	mbx_queue_add(&mb->stored, msg);
	trace_mbox_send(mb, msg);
}

/* The two ways out of mbx_send_bytes(), which need structures that take time to clear. */
static noinline int send_otherwise(struct mbx_outlet *outlet, void __user *user, size_t len,
				   bool nonblock)
{
	const struct mbx_send_args args = { .from = { .user = user, .len = len } };
	struct mbx_wait_opts opts;

	mbx_wait_opts_nonblock(&opts, nonblock);
	return mbx_send(outlet, &args, &opts);
}

static noinline int send_made_bytes(struct mbx_outlet *outlet, struct mbx_message *msg,
				    bool nonblock)
	__releases(&outlet->to->lock)
{
	struct mbx_wait_opts opts;

	mbx_wait_opts_nonblock(&opts, nonblock);
	return send_made(outlet, msg, NULL, &opts);
}

/**
 * mbx_send_bytes() - send a message that has nothing but its bytes
 * @outlet: where the handle sends to
 * @user: the payload
 * @len: its length
 * @nonblock: the call must not wait
 *
 * The same as mbx_send() without options, but in few steps if the mailbox has room and
 * nobody waits.
 *
 * Context: Process context, may sleep.
 * Return: as mbx_send().
 */
int mbx_send_bytes(struct mbx_outlet *outlet, void __user *user, size_t len, bool nonblock)
{
	struct mailbox *mb = outlet->to;
	struct mbx_message *msg;

	if (unlikely(mb->flags & ~MBX_PLAIN_FLAGS || len > READ_ONCE(mb->len_max)))
		return send_otherwise(outlet, user, len, nonblock);
	/*
	 * A call that may not wait does not make a message for a full mailbox. A data race:
	 * can_store() decides.
	 */
	if (nonblock && !data_race(mbx_has_room(mb)))
		return send_otherwise(outlet, user, len, nonblock);
	msg = mbx_message_of(outlet, user, len);
	if (IS_ERR(msg)) {
		/* That a mailbox is destroyed counts more than other errors. */
		if (PTR_ERR(msg) == -ENOBUFS || READ_ONCE(mb->dead))
			return send_otherwise(outlet, user, len, nonblock);
		return PTR_ERR(msg);
	}
	msg->prio = 0;
	msg->type = 0;
	spin_lock(&mb->lock);
	if (can_store(outlet, len)) {
		store_plainly(mb, msg);
		spin_unlock(&mb->lock);
		return 0;
	}
	return send_made_bytes(outlet, msg, nonblock);
}

/**
 * mbx_send_at_once() - send a message that has nothing but bytes, type and priority
 * @outlet: where the handle sends to
 * @m: the message
 *
 * The same as mbx_send(), but in few steps, and only if the mailbox has room and nobody
 * waits.
 *
 * Context: Process context, may sleep.
 * Return: as mbx_send(), or MBX_OTHERWISE: the caller has to call mbx_send(), which waits
 * or says what is wrong with the message.
 */
int mbx_send_at_once(struct mbx_outlet *outlet, const struct mbox_msg *m)
{
	struct mailbox *mb = outlet->to;
	struct mbx_message *msg;
	int ret;

	if (mb->flags & ~MBX_PLAIN_FLAGS || m->len > READ_ONCE(mb->len_max))
		return MBX_OTHERWISE;
	/* A data race: to make a message that cannot be stored would be useless. */
	if (!data_race(can_store(outlet, m->len)))
		return MBX_OTHERWISE;
	msg = mbx_message_of(outlet, u64_to_user_ptr(m->buf), m->len);
	if (IS_ERR(msg)) {
		ret = PTR_ERR(msg);
		/* That a mailbox is destroyed counts more than other errors. */
		return ret == -ENOBUFS || READ_ONCE(mb->dead) ? MBX_OTHERWISE : ret;
	}
	msg->prio = m->prio;
	msg->type = m->type;
	spin_lock(&mb->lock);
	if (can_store(outlet, m->len)) {
		store_plainly(mb, msg);
		spin_unlock(&mb->lock);
		return 0;
	}
	spin_unlock(&mb->lock);
	mbx_message_free(msg);
	return MBX_OTHERWISE;
}

/**
 * mbx_send_some() - send messages until one cannot be sent at once
 * @outlet: where the handle sends to
 * @msgs: the messages, which have nothing but bytes, type and priority
 * @n: how many, at most MBX_SOME
 *
 * The next message is up to mbx_send(), which waits or says what is wrong with it.
 *
 * Context: Process context, may sleep.
 * Return: how many messages were sent.
 */
unsigned int mbx_send_some(struct mbx_outlet *outlet, const struct mbox_msg *msgs,
			   unsigned int n)
{
	struct mbx_message *made[MBX_SOME];
	struct mailbox *mb = outlet->to;
	unsigned int i, sent;

	/* A data race: to make messages that cannot be stored would be useless. */
	if (!n || mb->flags & ~MBX_PLAIN_FLAGS || !data_race(can_store(outlet, msgs[0].len)))
		return 0;
	/* Another data race: likewise beyond the capacity. */
	n = min(n, data_race(mb->limit - min(mb->stored.count, mb->limit)));
	n = mbx_messages_of(outlet, msgs, n, made);
	spin_lock(&mb->lock);
	for (sent = 0; sent < n && can_store(outlet, made[sent]->len); sent++)
		store_plainly(mb, made[sent]);
	spin_unlock(&mb->lock);
	for (i = sent; i < n; i++)
		mbx_message_free(made[i]);
	return sent;
}

/* ---- calls that are started ------------------------------------------------ */

/* The request is accepted: from now on the call waits without a thread. */
static void begin_started(struct mailbox *mb, struct mbx_transaction *txn,
			  struct mbx_message *msg)
{
	struct mbx_send_waiter *w = &txn->waiter;

	lockdep_assert_held(&mb->lock);
	w->msg = msg;
	w->txn = txn;
	RB_CLEAR_NODE(&w->by_msg);
	mbx_waiter_init(&w->waiter, &mb->waiting_senders);
	w->waiter.task = NULL;
	txn->caller = w;
	mbx_waiter_accept(mb, w);
	mbx_started_add(mb, txn);
}

/* Send the request of a call, and wait until it is accepted. This consumes the message. */
static int start_made(struct mbx_outlet *outlet, struct mbx_message *msg,
		      struct mbx_transaction *txn, const struct mbx_wait_opts *opts)
{
	struct mailbox *mb = outlet->to;
	struct mbx_deferred deferred;
	struct mbx_send_waiter w;
	u64 left = 0;
	int ret;

	for (;;) {
		mbx_deferred_init(&deferred);
		deferred.waits = true;
		spin_lock(&mb->lock);
		ret = try_send(mb, msg, opts, false, true, &deferred);
		if (ret == AWAIT_REPLY)
			begin_started(mb, txn, msg);
		else if (ret == AWAIT_ROOM)
			begin_wait(mb, &w, msg, txn, opts, ret, &deferred);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		if (likely(ret < GO_ON))
			break;
		ret = prepare(mb, msg, ret, opts, &left);
		if (ret)
			break;
	}
	if (ret < 0)
		free_refused(outlet, msg, opts, ret);
	if (ret != AWAIT_ROOM)
		return min(ret, 0);
	admit_until_accepted(mb, &w);
	ret = mbx_sleep_on(&w.waiter, opts);
	if (!ret)
		return w.waiter.result;
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (w.waiter.done)
		ret = w.waiter.result;
	else
		ret = mbx_withdraw(mb, &w, ret, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	return ret;
}

/**
 * mbx_send_start() - send the request of a call that does not wait for its reply
 * @outlet: where the handle sends to
 * @args: the request, with a transaction
 * @opts: how the call may wait until the request is accepted
 *
 * Context: Process context, may sleep.
 * Return: 0, or an error as mbx_send(); with an error, no receiver gets the request.
 */
int mbx_send_start(struct mbx_outlet *outlet, const struct mbx_send_args *args,
		   const struct mbx_wait_opts *opts)
{
	struct mbx_message *msg = make_message(outlet, args);

	if (IS_ERR(msg)) {
		msg = make_when_allowed(outlet, args, opts, PTR_ERR(msg));
		if (msg == ERR_PTR(-EDQUOT))
			mbx_transaction_refused(args->txn);
		if (IS_ERR(msg))
			return PTR_ERR(msg);
	}
	return start_made(outlet, msg, args->txn, opts);
}

/**
 * mbx_send() - send a message
 * @outlet: where the handle sends to
 * @args: what to send
 * @opts: how the call may wait
 *
 * With a transaction, the call also waits for the reply.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM, -EMSGSIZE, -EPIPE, -EFAULT, -EDQUOT, -ENOMEM, -EBADF,
 * -ELOOP, -ETOOMANYREFS, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS, -EINTR; with an error, no
 * receiver gets the message (with -EPIPE it may have been accepted, counted, and
 * dropped). With a transaction, see mbx_call().
 */
int mbx_send(struct mbx_outlet *outlet, const struct mbx_send_args *args,
	     const struct mbx_wait_opts *opts)
{
	struct mailbox *mb = outlet->to;
	struct mbx_transaction *txn = args->txn;
	struct mbx_message *msg;
	int ret;

	ret = send_check(outlet, args, opts, txn && mbx_waits_for_all(opts));
	if (unlikely(ret))
		return ret;
	if (unlikely(args->lifespan_end)) {
		ret = mbx_lifespans_make(mb, mbx_expire_work);
		if (ret)
			return ret;
	}
	msg = make_message(outlet, args);
	if (IS_ERR(msg)) {
		msg = make_when_allowed(outlet, args, opts,
					PTR_ERR(msg));
		if (txn && msg == ERR_PTR(-EDQUOT))
			mbx_transaction_refused(txn);
		if (IS_ERR_OR_NULL(msg))
			return PTR_ERR_OR_ZERO(msg);
	}

	spin_lock(&mb->lock);
	return send_made(outlet, msg, txn, opts);
}
