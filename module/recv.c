// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receiving: find a message or wait until one is delivered, copy it out, complete the
 * receive call.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "transaction.h"
#include "age.h"
#include "exchange.h"
#include "fds.h"
#include "inherit.h"
#include "recv.h"
#include "trace.h"

/**
 * struct in_flight - a message that left the mailbox and is not received yet
 * @msg: the message
 * @token: token of a request that the receiver can reply to, otherwise 0
 * @fds: files of the message, once it is received, otherwise NULL
 * @flags: MBX_MSG_UNUSUAL of the message when it left the mailbox
 */
struct in_flight {
	struct mbx_message *msg;
	struct mbx_fds *fds;
	u64 token;
	u8 flags;
};

/* Whether the message is a request whose token the receiver does not get. */
static bool is_unanswerable(const struct in_flight *in_flight)
{
	return !in_flight->token && mbx_transaction_of(in_flight->msg);
}

/*
 * Whether a receiver searches mailbox.blocked_sends too. With capacity, these messages
 * are not in the mailbox yet, so MBOX_PEEK does not show them. But a receiver that asks
 * for a type takes one if no stored message has that type: it need not wait until
 * there is room for it.
 */
static bool sees_blocked_sends(const struct mailbox *mb, const struct mbx_match *match)
{
	return !mb->capacity || (match->flags & MBX_MATCH_FLAGS &&
				 !(match->flags & MBOX_PEEK));
}

/* Find the message for a receiver, or NULL. *@from is set to its queue. */
static inline struct mbx_message *find(struct mailbox *mb,
				       const struct mbx_match *match,
				       struct mbx_queue **from)
{
	struct mbx_message *msg;
	u32 skip = match->skip;

	*from = &mb->stored;
	msg = mbx_queue_find(&mb->stored, match, &skip);
	if (likely(msg) || !mb->blocked_sends.count || !sees_blocked_sends(mb, match))
		return msg;
	*from = &mb->blocked_sends;
	return mbx_queue_find(&mb->blocked_sends, match, &skip);
}

/* Accept the message of a sender that waits, and take it. */
static void accept_blocked(struct mailbox *mb, struct mbx_message *msg,
			   struct mbx_deferred *deferred)
{
	struct mbx_send_waiter *w = mbx_waiter_of(mb, msg);

	if (WARN_ON_ONCE(!w))
		mbx_queue_remove(&mb->blocked_sends, msg);
	else
		mbx_accept_blocked_send(mb, w, deferred);
}

/* Take a message out of the mailbox for the receive call: it is then in flight. */
static inline void take(struct mailbox *mb, struct mbx_message *msg,
			struct mbx_queue *from,
			const struct mbx_recv_args *args,
			struct in_flight *in_flight, struct mbx_deferred *deferred)
{
	if (likely(from == &mb->stored))
		mbx_unstore(mb, msg);
	else
		accept_blocked(mb, msg, deferred);
	in_flight->token = 0;
	in_flight->flags = msg->flags & MBX_MSG_UNUSUAL;
	if (unlikely(in_flight->flags)) {
		mbx_take_off(mb, msg);
		in_flight->token = mbx_transaction_take(mb, msg, args->tokens,
							args->pi_task);
	}
	mbx_count_received(mb, msg);
	trace_mbox_recv(mb, msg);
	mbx_room_made(mb, deferred);
}

/* What locate() and try_recv() return, besides 0 (a message) and errors. */
enum {
	NOTHING = 1,
	/* mbx_index_build() has to be called first. */
	UNINDEXED,
};

/* Whether find() takes few steps. */
static inline bool can_find(const struct mailbox *mb,
			    const struct mbx_match *match)
{
	return mbx_queue_can_find(&mb->stored) &&
	       (!sees_blocked_sends(mb, match) || mbx_queue_can_find(&mb->blocked_sends));
}

/* Find a message that the call can take. *@from is set to its queue. */
static inline int locate(struct mailbox *mb, const struct mbx_match *match,
			 const struct mbx_wait_opts *opts, size_t buf_len,
			 struct mbx_message **msg, struct mbx_queue **from)
{
	lockdep_assert_held(&mb->lock);
	if (unlikely(mb->dead))
		return -EIDRM;
	*from = &mb->stored;
	*msg = NULL;
	if (mbx_is_first_wanted(match))
		*msg = mbx_queue_first(&mb->stored);
	else if (!can_find(mb, match))
		return UNINDEXED;
	if (unlikely(!*msg))
		*msg = find(mb, match, from);
	if (unlikely(!*msg)) {
		if (mbx_at_end(mb))
			return -EPIPE;
		return opts->nowait_err ?: NOTHING;
	}
	return unlikely((*msg)->len > buf_len) ? -EMSGSIZE : 0;
}

/* Receive without waiting. If this returns 0, the caller owns @in_flight->msg. */
static inline int try_recv(struct mailbox *mb, const struct mbx_match *match,
			   const struct mbx_wait_opts *opts, size_t buf_len,
			   const struct mbx_recv_args *args,
			   struct in_flight *in_flight, struct mbx_deferred *deferred)
{
	struct mbx_message *msg;
	struct mbx_queue *from;
	int ret;

	lockdep_assert_held(&mb->lock);
	ret = locate(mb, match, opts, buf_len, &msg, &from);
	if (unlikely(ret))
		return ret;
	in_flight->msg = msg;
	take(mb, msg, from, args, in_flight, deferred);
	return 0;
}

/* Put back a message that was not received, or drop it if that has become useless. */
static void give_back(struct mailbox *mb, struct mbx_message *msg,
		      struct mbx_deferred *deferred)
{
	struct mbx_transaction *txn = mbx_transaction_of(msg);

	lockdep_assert_held(&mb->lock);
	mbx_uncount_received(mb, msg);
	if (mb->dead) {
		/* A call may still wait with this message: end it. */
		mbx_drop_taken(mb, msg, -EIDRM, deferred);
	} else if (txn && !mbx_transaction_return(mb, txn)) {
		mb->sent--;
		mbx_defer_release(mb, msg, deferred);
	} else {
		mbx_put_back(mb, msg, deferred);
	}
}

/*
 * Give a message the entry that it needs to be put back. This may drop the lock and
 * take it again. It returns without dropping the lock after its last check.
 */
static void prepare_to_put_back(struct mailbox *mb, struct mbx_message *msg,
				struct mbx_deferred *deferred)
	__must_hold(&mb->lock)
{
	struct mbx_transaction *txn = mbx_transaction_of(msg);
	struct mbx_entry *entry = NULL;

	while (!(msg->flags & MBX_MSG_WITHDRAWN) && !mb->dead &&
	       (!txn || mbx_transaction_wanted(txn)) &&
	       mbx_needs_entry(mb, msg)) {
		if (entry) {
			mbx_message_give_entry(msg, entry);
			entry = NULL;
			break;
		}
		spin_unlock(&mb->lock);
		entry = mbx_entry_new_unasked(msg->sender);
		cond_resched();
		spin_lock(&mb->lock);
	}
	/* Rare: the state changed while the lock was dropped. The entry is unused. */
	if (entry)
		mbx_defer_entry(entry, msg->sender, deferred);
}

/*
 * Complete a receive call after the copy, whose result is @ret. Return 0, an error, or
 * 1: the sender gave up in the meantime.
 */
static noinline int complete_recv(struct mailbox *mb, struct in_flight *in_flight, int ret)
{
	struct mbx_transaction *txn = mbx_transaction_of(in_flight->msg);
	struct mbx_message *msg = in_flight->msg;
	struct mbx_transaction *returned = NULL;
	struct mbx_deferred deferred;

	/* Releasing the message drops its reference on the transaction. */
	if (ret && txn) {
		refcount_inc(&txn->refs);
		returned = txn;
	}
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (ret)
		prepare_to_put_back(mb, msg, &deferred);
	if (in_flight->flags & MBX_MSG_HANGUP)
		mb->in_flight--;
	if (in_flight->flags & MBX_MSG_ACK)
		msg->flags &= ~MBX_MSG_TRANSIT;
	if (msg->flags & MBX_MSG_WITHDRAWN) {
		mbx_uncount_received(mb, msg);
		mbx_defer_release(mb, msg, &deferred);
		ret = ret ?: 1;
	} else if (!ret) {
		mbx_confirm(mb, msg, 0, &deferred);
		if (txn && !in_flight->token)
			mbx_transaction_complete(mb, txn, -EPIPE, &deferred);
		in_flight->fds = mbx_fds_detach(msg);
		mbx_defer_release(mb, msg, &deferred);
	} else {
		give_back(mb, msg, &deferred);
	}
	/* The other receivers have waited for this. */
	if (in_flight->flags & MBX_MSG_HANGUP && !mb->dead && mbx_at_end(mb))
		mbx_shutdown_waiters(mb, MBX_MAY_RECV, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (returned) {
		mbx_inherit_update(mb, returned);
		mbx_transaction_put(returned);
	}
	return ret;
}

/* A message without anything unusual could not be copied. Return the error. */
static noinline int put_back_uncopied(struct mailbox *mb, struct mbx_message *msg)
{
	struct in_flight in_flight = { .msg = msg };

	return complete_recv(mb, &in_flight, -EFAULT);
}

/*
 * MBOX_PEEK: copy a message, and leave it in the mailbox. A call that waits is woken to
 * search again, because no message is delivered to it.
 */
static noinline ssize_t peek_message(struct mailbox *mb,
				     const struct mbx_recv_args *args,
				     const struct mbx_match *match,
				     const struct mbx_wait_opts *opts, size_t buf_len)
{
	struct mbx_message *msg;
	struct mbx_queue *from;
	struct mbx_waiter w;
	struct mbx_peek peek;
	ssize_t ret;

	for (;;) {
		spin_lock(&mb->lock);
		ret = locate(mb, match, opts, buf_len, &msg, &from);
		if (!ret) {
			mbx_peek_begin(mb, &peek, msg);
		} else if (ret == NOTHING) {
			w = (struct mbx_waiter){};
			mbx_waiter_init(&w, &mb->waiting_receivers);
			mbx_waiter_add_peeker(mb, &w);
			trace_mbox_wait(mb, false);
		}
		spin_unlock(&mb->lock);

		if (!ret)
			break;
		if (ret == UNINDEXED) {
			ret = mbx_index_build(mb);
		} else if (ret == NOTHING) {
			ret = mbx_wait(mb, &w, opts);
			if (!ret)
				mbx_wake_next(mb);
		}
		/* The message may be one for other receivers, again and again. */
		ret = ret ?: mbx_wait_goes_on(opts);
		if (ret)
			return ret;
	}

	ret = mbx_copy_out(msg, 0, 0, args);
	if (ret)
		mbx_undo_copy_out(args);
	else
		ret = msg->len;
	mbx_peek_end(mb, &peek);
	return ret;
}

/* Begin to wait for a message. @seq: number of an earlier arrival, or 0. */
static void begin_wait(struct mailbox *mb, struct mbx_recv_waiter *w,
		       const struct mbx_match *match, size_t buf_len,
		       const struct mbx_recv_args *args, u64 seq,
		       struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	*w = (struct mbx_recv_waiter){
		.waiter.seq = seq,
		.buf_len = min_t(size_t, buf_len, U32_MAX),
		.match = match,
		.tokens = args->tokens,
		.pi_task = args->pi_task,
	};
	mbx_waiter_init(&w->waiter, &mb->waiting_receivers);
	if (unlikely(w->pi_task))
		w->waiter.prio = mbx_pi_task_prio(w->pi_task) + 1;
	trace_mbox_wait(mb, false);
	mbx_waiter_add_receiver(mb, w);
	/* Now a nonblocking send can succeed. */
	if (!mb->capacity)
		mbx_queue_events(mb, MBX_POLL_OUT, deferred);
}

/*
 * Try again to receive, and wait if there is still no message. Return 0 with the
 * message in @in_flight, an error, or UNINDEXED. @seq keeps the place of a call that
 * waits more than once. A function of its own, so that a call that does not wait does
 * not have to clear the structures for waiting.
 */
static noinline int wait_to_recv(struct mailbox *mb,
				 const struct mbx_match *match,
				 const struct mbx_wait_opts *opts, size_t buf_len,
				 const struct mbx_recv_args *args,
				 struct in_flight *in_flight, u64 *seq)
{
	struct mbx_deferred deferred = {};
	struct mbx_recv_waiter w;
	int ret;

	spin_lock(&mb->lock);
	ret = try_recv(mb, match, opts, buf_len, args, in_flight, &deferred);
	if (ret == NOTHING)
		begin_wait(mb, &w, match, buf_len, args, *seq, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (ret != NOTHING)
		return ret;
	*seq = w.waiter.seq;

	if (unlikely(w.pi_task))
		mbx_pi_task_rest(w.pi_task);
	ret = mbx_wait(mb, &w.waiter, opts);
	in_flight->msg = w.msg;
	in_flight->token = w.token;
	in_flight->flags = w.flags;
	return ret;
}

static inline int recv_now(struct mailbox *mb, const struct mbx_match *match,
			   const struct mbx_wait_opts *opts, size_t buf_len,
			   const struct mbx_recv_args *args, struct in_flight *in_flight)
{
	struct mbx_deferred deferred = {};
	int ret;

	spin_lock(&mb->lock);
	ret = try_recv(mb, match, opts, buf_len, args, in_flight, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	return ret;
}

/*
 * mbx_recv() without MBOX_PEEK. @tried: it is known that there was no message just now.
 */
static ssize_t receive(struct mailbox *mb, const struct mbx_recv_args *args,
		       const struct mbx_match *match, const struct mbx_wait_opts *opts,
		       bool tried)
{
	size_t buf_len = opts->flags & MBOX_TRUNC ? SIZE_MAX : args->to.len;
	struct in_flight in_flight;
	u64 seq = 0;
	ssize_t len;
	int ret;

	for (;;) {
		ret = NOTHING;
		if (!tried)
			ret = recv_now(mb, match, opts, buf_len, args, &in_flight);
		if (unlikely(ret == NOTHING))
			ret = wait_to_recv(mb, match, opts, buf_len, args,
					   &in_flight, &seq);
		if (unlikely(ret == UNINDEXED)) {
			ret = mbx_index_build(mb);
			if (!ret)
				continue;
		}
		if (unlikely(ret))
			return ret;

		if (unlikely(in_flight.token))
			mbx_inherit_update(mb, mbx_transaction_of(in_flight.msg));
		len = in_flight.msg->len;
		ret = mbx_copy_out(in_flight.msg, in_flight.token, 0, args);
		if (likely(!ret && !in_flight.flags)) {
			mbx_message_received(mb, in_flight.msg);
			return len;
		}
		if (!ret && mbx_fds_of(in_flight.msg))
			ret = mbx_fds_prepare(mbx_fds_of(in_flight.msg),
					      args->fds, args->nfds);
		if (!ret && !(in_flight.flags & MBX_MSG_COMPLETED) &&
		    !is_unanswerable(&in_flight)) {
			in_flight.fds = mbx_fds_detach(in_flight.msg);
			mbx_message_free(in_flight.msg);
		} else {
			ret = complete_recv(mb, &in_flight, ret);
		}
		if (!ret) {
			if (unlikely(in_flight.fds)) {
				mbx_fds_deliver(in_flight.fds, args->fds,
						args->nfds, args->umsg,
						args->usize);
				mbx_fds_free(in_flight.fds);
			}
			return len;
		}
		mbx_undo_copy_out(args);
		if (ret < 0)
			return ret;
		/* The sender gave up: go on as if the message had not been sent. */
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

/* The first message, if it can be received and nobody is to be told of it, or NULL. */
static inline struct mbx_message *take_first(struct mailbox *mb, size_t buf_len)
{
	struct mbx_message *msg;

	lockdep_assert_held(&mb->lock);
	if (unlikely(mb->dead || mb->store_flags || mb->blocked_sends.count ||
		     !list_empty(&mb->pollers)))
		return NULL;
	msg = mbx_queue_first(&mb->stored);
	if (unlikely(!msg || msg->len > buf_len || msg->flags & MBX_MSG_UNUSUAL))
		return NULL;
	__mbx_queue_remove(&mb->stored, msg);
	mbx_count_received(mb, msg);
	trace_mbox_recv(mb, msg);
	return msg;
}

/* For what mbx_recv_bytes() does not do: it needs structures that take time to clear. */
static noinline ssize_t recv_otherwise(struct mailbox *mb, void __user *user, size_t len,
				       bool nonblock)
{
	const struct mbx_recv_args args = { .to = { .user = user, .len = len } };
	static const struct mbx_match any;
	struct mbx_wait_opts opts;

	mbx_wait_opts_nonblock(&opts, nonblock);
	return receive(mb, &args, &any, &opts, true);
}

/**
 * mbx_recv_bytes() - receive the bytes of any message
 * @mb: the mailbox, without MBOX_BROADCAST
 * @user: where they go
 * @len: how many fit there
 * @nonblock: the call must not wait
 *
 * The same as mbx_recv() without options, but in few steps if there is a message and
 * nobody waits.
 *
 * Context: Process context, may sleep.
 * Return: as mbx_recv().
 */
ssize_t mbx_recv_bytes(struct mailbox *mb, void __user *user, size_t len, bool nonblock)
{
	struct mbx_message *msg;
	ssize_t ret;

	spin_lock(&mb->lock);
	msg = take_first(mb, len);
	spin_unlock(&mb->lock);
	if (unlikely(!msg))
		return recv_otherwise(mb, user, len, nonblock);
	ret = msg->len;
	if (unlikely(!mbx_message_copy_to(msg, user)))
		return put_back_uncopied(mb, msg);
	mbx_message_received(mb, msg);
	return ret;
}

/**
 * mbx_recv_some() - receive messages until one cannot be received at once
 * @mb: the mailbox; with MBOX_BROADCAST, no message is received
 * @usize: size of a struct mbox_msg of the caller
 * @msgs: what each call asks for: any message
 * @umsgs: where @msgs came from
 * @n: how many, at most MBX_SOME
 *
 * The next message is up to mbx_recv(), which waits or says what is wrong.
 *
 * Context: Process context, may sleep.
 * Return: how many messages were received.
 */
unsigned int mbx_recv_some(struct mailbox *mb, size_t usize, const struct mbox_msg *msgs,
			   void __user *umsgs, unsigned int n)
{
	struct mbx_message *received[MBX_SOME];
	struct mbx_recv_args args = { .usize = usize };
	struct mbx_seen_sender seen = {};
	struct mbx_message *msg;
	unsigned int i;

	/* One at a time: so a message is put back before the next one has left. */
	for (i = 0; i < n; i++) {
		spin_lock(&mb->lock);
		msg = take_first(mb, msgs[i].len);
		spin_unlock(&mb->lock);
		if (!msg)
			break;
		args.umsg = umsgs + i * usize;
		args.kmsg = &msgs[i];
		if (unlikely(!mbx_message_copy_to(msg, u64_to_user_ptr(msgs[i].buf)) ||
			     mbx_copy_out_meta(msg, 0, 0, &args, &seen))) {
			mbx_undo_copy_out(&args);
			put_back_uncopied(mb, msg);
			break;
		}
		received[i] = msg;
	}
	mbx_messages_received(mb, received, i);
	return i;
}

/**
 * mbx_recv() - receive a message
 * @mb: the mailbox
 * @args: buffers of the receiver
 * @match: which message it asks for
 * @opts: how the call may wait
 *
 * Context: Process context, may sleep.
 * Return: the full length of the message, or -EIDRM, -EPIPE, -EMSGSIZE,
 * -EFAULT, -EMFILE, -ENOMEM, -EDQUOT, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS, -EINTR; with
 * an error, no message has left the mailbox.
 */
ssize_t mbx_recv(struct mailbox *mb, const struct mbx_recv_args *args,
		 const struct mbx_match *match, const struct mbx_wait_opts *opts)
{
	size_t buf_len = opts->flags & MBOX_TRUNC ? SIZE_MAX : args->to.len;

	if (unlikely(opts->flags & MBOX_PEEK))
		return peek_message(mb, args, match, opts, buf_len);
	return receive(mb, args, match, opts, false);
}
