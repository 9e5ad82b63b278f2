// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending. What a send call can meet is worked out in one place, try_send();
 * the rest is waiting for it and taking it back.
 */
#include <linux/cred.h>

#include "call.h"
#include "exchange.h"
#include "fds.h"
#include "inherit.h"
#include "send.h"
#include "trace.h"

/* What try_send() found, besides errors. */
enum {
	SENT,
	AWAIT_RECEIPT,
	AWAIT_REPLY,
	AWAIT_ROOM,
};

/* Apply the overflow policy. Return whether the new message was dropped. */
static bool overflow(struct mailbox *mb, struct mbox_message *msg,
		     struct mbox_after *after)
{
	if (mb->flags & MBOX_DROP_OLDEST && mb->capacity) {
		while (!mbox_has_room(mb))
			mbox_drop_oldest(mb, after);
		return false;
	}
	mb->sent++;
	mb->dropped++;
	trace_mbox_drop(mb, msg);
	return true;
}

/*
 * Send without waiting, or say what to wait for. With SENT, AWAIT_RECEIPT and
 * AWAIT_REPLY the message is out of the caller's hands.
 */
static __always_inline int try_send(struct mailbox *mb, struct mbox_message *msg,
				    const struct mbox_call *call, bool sync,
				    bool request, struct mbox_after *after)
{
	const int accepted = request ? AWAIT_REPLY : SENT;
	struct mbox_waiter *receiver;
	bool arrived = true;

	lockdep_assert_held(&mb->lock);
	if (unlikely(mb->dead))
		return -EIDRM;
	if (unlikely(mbox_no_receivers(mb)))
		return -EPIPE;

	receiver = mbox_find_receiver(mb, msg);
	if (receiver) {
		/* A call that cannot wait does not wait for the copy either. */
		bool ack = (sync || !mb->capacity) && !call->again &&
			   !request;

		if (ack)
			msg->flags |= MBOX_MSG_ACK;
		mb->sent++;
		trace_mbox_send(mb, msg);
		mbox_hand(mb, receiver, msg, after);
		return ack ? AWAIT_RECEIPT : accepted;
	}
	if (unlikely(sync && call->again))
		return call->again;

	if (unlikely(!mbox_has_room_for(mb, msg->sender->uid))) {
		if (!mbox_drops(mb))
			return call->again ?: AWAIT_ROOM;
		if (overflow(mb, msg, after)) {
			if (sync || request)
				return -EPIPE;
			mbox_retire(mb, msg, after);
			return SENT;
		}
		/* It takes the place of another. */
		arrived = false;
	}
	if (unlikely(sync))
		msg->flags |= MBOX_MSG_ACK;
	mb->sent++;
	mbox_store(mb, msg, arrived, after);
	trace_mbox_send(mb, msg);
	return sync ? AWAIT_RECEIPT : accepted;
}

/*
 * The sender gives up, because of @ret: nothing of its message shall remain.
 * What somebody has begun to work on cannot be sent once more, so such a call
 * is not restarted. Return what the call returns.
 */
static int withdraw(struct mailbox *mb, struct mbox_waiter *w, int ret,
		    struct mbox_after *after)
{
	struct mbox_message *msg = w->msg;

	lockdep_assert_held(&mb->lock);
	mbox_waiter_del(w);
	if (w->ticket && mbox_ticket_abandon(mb, w->ticket))
		return ret == -ERESTARTSYS ? -EINTR : ret;
	if (!w->accepted) {
		mbox_queue_remove(&mb->offers, msg);
		mbox_retire(mb, msg, after);
		return ret;
	}
	mb->sent--;
	if (msg->flags & MBOX_MSG_TRANSIT) {
		msg->flags |= MBOX_MSG_WITHDRAWN;
		return ret;
	}
	mbox_unstore(mb, msg);
	mbox_retire(mb, msg, after);
	mbox_room_made(mb, after);
	return ret;
}

/* Begin to wait for what try_send() found. */
static void begin_wait(struct mailbox *mb, struct mbox_waiter *w,
		       struct mbox_message *msg, struct mbox_ticket *ticket,
		       const struct mbox_call *call, int what,
		       struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	mbox_waiter_init(w, &mb->waiting_senders);
	w->msg = msg;
	w->sync = call->flags & MBOX_SYNC;
	w->accepted = what != AWAIT_ROOM;
	w->ticket = ticket;
	if (ticket) {
		ticket->caller = w;
		/* The one who is woken is the one who will be waited for. */
		after->sync = true;
	}
	if (what == AWAIT_ROOM) {
		mbox_waiter_add(&mb->senders, w, false);
		mbox_offer(mb, w, false, after);
	} else {
		mbox_waiter_add(ticket ? &mb->callers : &mb->syncers, w, false);
	}
	trace_mbox_wait(mb, true);
}

/*
 * Send, and wait for what try_send() finds. The message is out of the caller's
 * hands, however it ends. Apart, so that a call that does not wait need not
 * clear what only this needs.
 */
static noinline int send_and_wait(struct mailbox *mb, struct mbox_message *msg,
				  struct mbox_ticket *ticket,
				  const struct mbox_call *call)
{
	struct mbox_after after = {};
	struct mbox_waiter w;
	int ret;

	spin_lock(&mb->lock);
	ret = try_send(mb, msg, call, call->flags & MBOX_SYNC, ticket, &after);
	if (ret > 0)
		begin_wait(mb, &w, msg, ticket, call, ret, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	if (ret < 0)
		mbox_message_free(msg);
	if (ret <= 0)
		return ret;

	ret = mbox_sleep_on(&w, call);
	if (!ret)
		return w.result;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	if (w.done)
		ret = w.result;
	else
		ret = withdraw(mb, &w, ret, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	if (ticket)
		mbox_inherit_update(mb, ticket);
	return ret;
}

/*
 * Whether a call would fail now. Asked before the message is made where that is
 * likely: of those who may not wait, so that who tries again and again at a full
 * mailbox does not allocate and copy each time; and with MBOX_HANGUP. Nobody has
 * a reply before there is a request.
 */
static noinline int hopeless(struct mailbox *mb, const struct mbox_call *call,
			     bool request)
{
	int ret = 0;

	spin_lock(&mb->lock);
	if (mb->dead)
		ret = -EIDRM;
	else if (mbox_no_receivers(mb))
		ret = -EPIPE;
	else if (request || (list_empty(&mb->receivers) &&
			     (call->flags & MBOX_SYNC ||
			      (!mbox_has_room_for(mb, current_uid()) &&
			       !mbox_drops(mb)))))
		ret = call->again;
	spin_unlock(&mb->lock);
	return ret;
}

static inline int send_check(struct mailbox *mb, const struct mbox_draft *draft,
			     const struct mbox_call *call, bool request)
{
	size_t len = draft->from.len;

	/* Pairs with the WRITE_ONCE() of destroy; checked again later. */
	if (unlikely(READ_ONCE(mb->dead)))
		return -EIDRM;
	if (unlikely(len > mb->msg_max ||
		     (mb->flags & MBOX_FIXED && len != mb->msg_max)))
		return -EMSGSIZE;
	if (unlikely(call->again || mb->flags & MBOX_HANGUP))
		return hopeless(mb, call, request);
	return 0;
}

/**
 * mbox_send_check() - whether a message can be sent, as far as is known before
 * it is made
 * @mb: where to
 * @draft: the message
 * @call: how the call may wait
 * @request: it is one, whose reply will be waited for
 *
 * Return: 0, or -EIDRM, -EMSGSIZE, -EPIPE, -EAGAIN, -ETIMEDOUT.
 */
int mbox_send_check(struct mailbox *mb, const struct mbox_draft *draft,
		    const struct mbox_call *call, bool request)
{
	return send_check(mb, draft, call, request);
}

static inline struct mbox_message *make_message(struct mailbox *mb,
						struct mbox_sender **cache,
						spinlock_t *lock,
						const struct mbox_draft *draft)
{
	struct mbox_ticket *ticket = draft->ticket;
	struct mbox_message *msg;
	int ret;

	msg = mbox_message_new(cache, lock, &draft->from,
			       ticket || draft->nfds ||
				       mb->flags & MBOX_STORE_FLAGS);
	if (IS_ERR(msg))
		return msg;
	msg->prio = draft->prio;
	msg->type = draft->type;
	if (unlikely(ticket)) {
		refcount_inc(&ticket->refs);
		mbox_ext(msg)->ticket = ticket;
	}
	if (unlikely(mb->flags & MBOX_FAIR)) {
		mbox_ext(msg)->share = mbox_share_get(mb, msg->sender->uid);
		if (!mbox_ext(msg)->share) {
			mbox_message_free(msg);
			return ERR_PTR(-ENOMEM);
		}
	}
	if (unlikely(draft->nfds)) {
		ret = mbox_fds_attach(msg, draft->fds, draft->nfds);
		if (ret) {
			mbox_message_free(msg);
			return ERR_PTR(ret);
		}
	}
	return msg;
}

/**
 * mbox_send() - send a message
 * @mb: where to
 * @cache: identity of the handle's last sender
 * @lock: protects *@cache
 * @draft: the message
 * @call: how it may wait
 *
 * With a ticket, it also waits for the reply.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM, -EMSGSIZE, -EPIPE, -EFAULT, -EDQUOT, -ENOMEM, -EBADF,
 * -ELOOP, -ETOOMANYREFS, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS; with an error, the
 * message went nowhere (with -EPIPE it may have been accepted, counted, and
 * dropped). With a ticket, see mbox_call().
 */
int mbox_send(struct mailbox *mb, struct mbox_sender **cache, spinlock_t *lock,
	      const struct mbox_draft *draft, const struct mbox_call *call)
{
	struct mbox_ticket *ticket = draft->ticket;
	struct mbox_after after = {};
	struct mbox_message *msg;
	int ret;

	ret = send_check(mb, draft, call, ticket);
	if (unlikely(ret))
		return ret;
	msg = make_message(mb, cache, lock, draft);
	if (IS_ERR(msg))
		return PTR_ERR(msg);

	spin_lock(&mb->lock);
	if (likely(!ticket && !(call->flags & MBOX_SYNC) && mb->capacity))
		ret = try_send(mb, msg, call, false, false, &after);
	else
		ret = AWAIT_ROOM;
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	if (likely(!ret))
		return 0;
	if (ret > 0)
		return send_and_wait(mb, msg, ticket, call);
	mbox_message_free(msg);
	return ret;
}
