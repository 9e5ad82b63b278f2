// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receiving: find a message or wait to be handed one, copy it out, settle.
 */
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "call.h"
#include "exchange.h"
#include "fds.h"
#include "inherit.h"
#include "recv.h"
#include "trace.h"

/**
 * struct taken - a message in transit
 * @msg: the message
 * @token: names a request that can be replied to, otherwise 0
 * @fds: its files, once it was received, otherwise NULL
 * @ack: its sender waits for the receipt
 * @peeked: somebody looked at it when it left the mailbox, and may still
 */
struct taken {
	struct mbox_message *msg;
	struct mbox_fds *fds;
	u64 token;
	bool ack;
	bool peeked;
};

/* A request, and the receiver does not learn its token. */
static bool is_unanswerable(const struct taken *taken)
{
	return !taken->token && mbox_ticket_of(taken->msg);
}

/*
 * Whether a receiver is shown the messages of waiting senders. With capacity
 * they are not in the mailbox yet, so there is nothing to look at (MBOX_PEEK);
 * but a receiver that finds nothing of the type it asks for need not wait until
 * one that would do has been let in.
 */
static bool sees_offers(const struct mailbox *mb, const struct mbox_match *match)
{
	return !mb->capacity || (match->flags & MBOX_MATCH_FLAGS &&
				 !(match->flags & MBOX_PEEK));
}

/* Find what the receiver gets; NULL: nothing. *@from says where it is. */
static inline struct mbox_message *find(struct mailbox *mb,
					const struct mbox_match *match,
					struct mbox_queue **from)
{
	struct mbox_message *msg;
	u32 skip = match->skip;

	*from = &mb->stored;
	msg = mbox_queue_find(&mb->stored, match, &skip);
	if (likely(msg) || !mb->offers.count || !sees_offers(mb, match))
		return msg;
	*from = &mb->offers;
	return mbox_queue_find(&mb->offers, match, &skip);
}

/* Take a message out of the mailbox. */
static inline void take(struct mailbox *mb, struct mbox_message *msg,
			struct mbox_queue *from,
			const struct mbox_receipt *receipt,
			struct taken *taken, struct mbox_after *after)
{
	if (likely(from == &mb->stored))
		mbox_unstore(mb, msg);
	else
		mbox_accept(mb, mbox_waiter_of(&mb->senders, msg), after);
	taken->peeked = mbox_is_peeked(mb, msg);
	taken->ack = msg->flags & MBOX_MSG_ACK;
	if (unlikely(taken->ack))
		msg->flags |= MBOX_MSG_TRANSIT;
	taken->token = mbox_ticket_take(mb, msg, receipt->tokens,
					receipt->debtor);
	mb->received++;
	trace_mbox_recv(mb, msg);
	mbox_room_made(mb, after);
}

/* What locate() and try_recv() found, besides a message (0) and errors. */
#define NOTHING 1

/* Find a message that the call can have; *@from says where it is. */
static inline int locate(struct mailbox *mb, const struct mbox_match *match,
			 const struct mbox_call *call, size_t room,
			 struct mbox_message **msg, struct mbox_queue **from)
{
	lockdep_assert_held(&mb->lock);
	if (unlikely(mb->dead))
		return -EIDRM;
	*msg = find(mb, match, from);
	if (unlikely(!*msg)) {
		if (mbox_no_senders(mb))
			return -EPIPE;
		return call->again ?: NOTHING;
	}
	return unlikely((*msg)->len > room) ? -EMSGSIZE : 0;
}

/* Receive without waiting. The message is the caller's then, in @taken. */
static inline int try_recv(struct mailbox *mb, const struct mbox_match *match,
			   const struct mbox_call *call, size_t room,
			   const struct mbox_receipt *receipt,
			   struct taken *taken, struct mbox_after *after)
{
	struct mbox_message *msg;
	struct mbox_queue *from;
	int ret;

	lockdep_assert_held(&mb->lock);
	ret = locate(mb, match, call, room, &msg, &from);
	if (unlikely(ret))
		return ret;
	taken->msg = msg;
	take(mb, msg, from, receipt, taken, after);
	return 0;
}

/*
 * After the copy: settle what became of a message in transit. @ret is how the
 * copy went. Return 0, an error, or 1: the sender gave up in the meantime.
 */
static noinline int settle(struct mailbox *mb, struct taken *taken, int ret)
{
	struct mbox_ticket *ticket = mbox_ticket_of(taken->msg);
	struct mbox_message *msg = taken->msg;
	struct mbox_ticket *returned = NULL;
	struct mbox_after after;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	if (taken->ack)
		msg->flags &= ~MBOX_MSG_TRANSIT;
	if (msg->flags & MBOX_MSG_WITHDRAWN) {
		mb->received--;
		mbox_retire(mb, msg, &after);
		ret = ret ?: 1;
	} else if (!ret) {
		mbox_confirm(mb, msg, 0, &after);
		if (ticket && !taken->token)
			mbox_ticket_end(mb, ticket, -EPIPE, &after);
		taken->fds = mbox_fds_detach(msg);
		mbox_retire(mb, msg, &after);
	} else {
		mb->received--;
		if (ticket) {
			refcount_inc(&ticket->refs);
			returned = ticket;
		}
		if (ticket && !mbox_ticket_return(mb, ticket)) {
			mb->sent--;
			mbox_retire(mb, msg, &after);
		} else if (mb->dead) {
			mbox_retire(mb, msg, &after);
		} else {
			mbox_put_back(mb, msg, &after);
		}
	}
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	if (returned) {
		mbox_inherit_update(mb, returned);
		mbox_ticket_put(returned);
	}
	return ret;
}

/* Write what a receive call tells its caller: the length, and all from @prio. */
static int write_meta(const struct mbox_receipt *receipt,
		      const struct mbox_msg *meta)
{
	const size_t from = offsetof(struct mbox_msg, prio);

	if (put_user(meta->len, &receipt->umsg->len))
		return -EFAULT;
	if (receipt->usize <= from)
		return 0;
	if (copy_to_user((void __user *)receipt->umsg + from,
			 (const void *)meta + from,
			 min(receipt->usize, sizeof(*meta)) - from))
		return -EFAULT;
	return 0;
}

static int put_meta(const struct mbox_message *msg, u64 token, u64 lost,
		    const struct mbox_receipt *receipt)
{
	const struct mbox_sender *sender = msg->sender;
	struct mbox_msg meta = *receipt->kmsg;

	meta.len = msg->len;
	meta.prio = msg->prio;
	meta.type = msg->type;
	meta.token = token;
	meta.nfds = 0;
	meta.lost = lost;
	meta.pid = pid_vnr(sender->pid);
	meta.uid = from_kuid_munged(current_user_ns(), sender->euid);
	meta.gid = from_kgid_munged(current_user_ns(), sender->egid);
	return write_meta(receipt, &meta);
}

/**
 * mbox_note_flag() - tell a receiver something about the message that it got
 * @umsg: its structure
 * @flag: to be added to the flags in it; those of a batch are not in it
 *
 * Where this address is gone, so is who would read it.
 */
void mbox_note_flag(struct mbox_msg __user *umsg, u32 flag)
{
	u32 flags;

	if (!get_user(flags, &umsg->flags))
		put_user(flags | flag, &umsg->flags);
}

/**
 * mbox_undo_copy_out() - a message that was copied out was not received
 * @receipt: where it went
 *
 * What the call will read when it is restarted has to be what it was; where that
 * memory cannot be written any more, nobody is there to be misled.
 */
void mbox_undo_copy_out(const struct mbox_receipt *receipt)
{
	mbox_buffer_rewind(&receipt->to);
	if (receipt->umsg)
		write_meta(receipt, receipt->kmsg);
}

static inline int copy_out(struct mbox_message *msg, u64 token, u64 lost,
			   const struct mbox_receipt *receipt)
{
	int ret = mbox_message_copy_out(msg, &receipt->to);

	if (!ret && receipt->umsg)
		ret = put_meta(msg, token, lost, receipt);
	return ret;
}

/**
 * mbox_copy_out() - copy a message to a receiver
 * @msg: the message
 * @token: of the request that it is, or 0
 * @lost: how many messages the receiver lost before it
 * @receipt: where to
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
int mbox_copy_out(struct mbox_message *msg, u64 token, u64 lost,
		  const struct mbox_receipt *receipt)
{
	return copy_out(msg, token, lost, receipt);
}

/*
 * MBOX_PEEK: copy a message, and leave it. Whoever waits is woken to look for
 * himself.
 */
static noinline ssize_t look(struct mailbox *mb,
			     const struct mbox_receipt *receipt,
			     const struct mbox_match *match,
			     const struct mbox_call *call, size_t room)
{
	struct mbox_message *msg;
	struct mbox_queue *from;
	struct mbox_waiter w;
	struct mbox_peek peek;
	ssize_t ret;

	for (;;) {
		spin_lock(&mb->lock);
		ret = locate(mb, match, call, room, &msg, &from);
		if (!ret) {
			mbox_begin_look(mb, &peek, msg);
		} else if (ret == NOTHING) {
			mbox_waiter_init(&w, &mb->waiting_receivers);
			mbox_waiter_add(&mb->peekers, &w, false);
			trace_mbox_wait(mb, false);
		}
		spin_unlock(&mb->lock);

		if (ret < 0)
			return ret;
		if (!ret)
			break;
		ret = mbox_wait(mb, &w, call);
		if (ret)
			return ret;
	}

	ret = copy_out(msg, 0, 0, receipt);
	if (ret)
		mbox_undo_copy_out(receipt);
	else
		ret = msg->len;
	mbox_end_look(mb, &peek);
	return ret;
}

/* Begin to wait for a message. */
static void begin_wait(struct mailbox *mb, struct mbox_waiter *w,
		       const struct mbox_match *match, size_t room,
		       const struct mbox_receipt *receipt,
		       struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	mbox_waiter_init(w, &mb->waiting_receivers);
	w->match = match;
	w->room = min_t(size_t, room, U32_MAX);
	w->tokens = receipt->tokens;
	w->debtor = receipt->debtor;
	if (unlikely(w->debtor))
		w->prio = mbox_debtor_prio(w->debtor) + 1;
	trace_mbox_wait(mb, false);
	mbox_waiter_add(&mb->receivers, w, false);
	/* Now a send that does not wait can succeed. */
	if (!mb->capacity)
		mbox_report(mb, MBOX_POLL_OUT, after);
}

/*
 * There was nothing: wait, if that is still so. Return 0 with the message in
 * @taken, or an error. Apart, so that a call that does not wait need not clear
 * what only this needs.
 */
static noinline int wait_to_recv(struct mailbox *mb,
				 const struct mbox_match *match,
				 const struct mbox_call *call, size_t room,
				 const struct mbox_receipt *receipt,
				 struct taken *taken)
{
	struct mbox_after after = {};
	struct mbox_waiter w;
	int ret;

	spin_lock(&mb->lock);
	ret = try_recv(mb, match, call, room, receipt, taken, &after);
	if (ret == NOTHING)
		begin_wait(mb, &w, match, room, receipt, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	if (ret != NOTHING)
		return ret;

	if (unlikely(w.debtor))
		mbox_debtor_rest(w.debtor);
	ret = mbox_wait(mb, &w, call);
	taken->msg = w.msg;
	taken->token = w.token;
	taken->ack = w.ack;
	taken->peeked = w.peeked;
	return ret;
}

/**
 * mbox_recv() - receive a message
 * @mb: where from
 * @receipt: where to put it
 * @match: which message
 * @call: how it may wait
 *
 * Context: Process context, may sleep.
 * Return: the full length of the message, or -EIDRM, -EPIPE, -EMSGSIZE,
 * -EFAULT, -EMFILE, -ENOMEM, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS; with an error,
 * no message has left the mailbox.
 */
ssize_t mbox_recv(struct mailbox *mb, const struct mbox_receipt *receipt,
		  const struct mbox_match *match, const struct mbox_call *call)
{
	size_t room = call->flags & MBOX_TRUNC ? SIZE_MAX : receipt->to.len;
	struct taken taken;
	ssize_t len;
	int ret;

	if (unlikely(call->flags & MBOX_PEEK))
		return look(mb, receipt, match, call, room);
	for (;;) {
		struct mbox_after after = {};

		spin_lock(&mb->lock);
		ret = try_recv(mb, match, call, room, receipt, &taken, &after);
		spin_unlock(&mb->lock);
		mbox_after_run(mb, &after);
		if (unlikely(ret == NOTHING))
			ret = wait_to_recv(mb, match, call, room, receipt,
					   &taken);
		if (unlikely(ret))
			return ret;

		if (unlikely(taken.token))
			mbox_inherit_update(mb, mbox_ticket_of(taken.msg));
		len = taken.msg->len;
		ret = copy_out(taken.msg, taken.token, 0, receipt);
		if (unlikely(!ret && mbox_fds_of(taken.msg)))
			ret = mbox_fds_prepare(mbox_fds_of(taken.msg),
					       receipt->fds, receipt->nfds);
		if (likely(!ret && !taken.ack && !taken.peeked &&
			   !is_unanswerable(&taken))) {
			taken.fds = mbox_fds_detach(taken.msg);
			mbox_message_free(taken.msg);
		} else {
			ret = settle(mb, &taken, ret);
		}
		if (!ret) {
			if (unlikely(taken.fds)) {
				mbox_fds_deliver(taken.fds, receipt->fds,
						 receipt->nfds, receipt->umsg,
						 receipt->usize);
				mbox_fds_free(taken.fds);
			}
			return len;
		}
		mbox_undo_copy_out(receipt);
		if (ret < 0)
			return ret;
		/* The sender gave up: as if this had never come. */
	}
}
