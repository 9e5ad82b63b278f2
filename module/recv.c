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
#include "expire.h"
#include "fds.h"
#include "inherit.h"
#include "lease.h"
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
	u32 flags;
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
 * there is room for it. Nor does any receiver wait for room that is on lease.
 */
static bool sees_blocked_sends(const struct mailbox *mb, const struct mbx_match *match)
{
	if (match->flags & MBOX_PEEK)
		return !mb->capacity;
	return mbx_blocked_can_go(mb) || match->flags & MBX_MATCH_FLAGS;
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
		in_flight->token = mbx_transaction_take(mb, msg, mbx_reply_tokens(args),
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
	/* Drop the lock and try again: more lifespans have ended than one hold is for. */
	STALE,
};

/* Whether find() takes few steps. */
static inline bool can_find(const struct mailbox *mb,
			    const struct mbx_match *match)
{
	return mbx_queue_can_find(&mb->stored) &&
	       (!sees_blocked_sends(mb, match) || mbx_queue_can_find(&mb->blocked_sends));
}

/* Find a message that the call can take. *@from is set to its queue. */
static __always_inline int locate(struct mailbox *mb, const struct mbx_match *match,
				  const struct mbx_wait_opts *opts, size_t buf_len,
				  const struct mbx_recv_args *args,
				  struct mbx_message **msg, struct mbx_queue **from,
				  struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	if (unlikely(mb->dead))
		return -EIDRM;
	if (mbx_has_expired(mb)) {
		mbx_expire_some(mb, deferred);
		if (mbx_has_expired(mb))
			return STALE;
	}
	*from = &mb->stored;
	*msg = NULL;
	if (mbx_is_first_wanted(match))
		*msg = mbx_queue_first(&mb->stored);
	else if (!can_find(mb, match))
		return UNINDEXED;
	if (unlikely(!*msg))
		*msg = find(mb, match, from);
	if (unlikely(!*msg)) {
		if (mbx_at_end(mb, args->tokens ? &args->tokens->leases : NULL))
			return -EPIPE;
		return opts->nowait_err ?: NOTHING;
	}
	return unlikely((*msg)->len > buf_len) ? -EMSGSIZE : 0;
}

/* Receive without waiting. If this returns 0, the caller owns @in_flight->msg. */
static __always_inline int try_recv(struct mailbox *mb, const struct mbx_match *match,
				    const struct mbx_wait_opts *opts, size_t buf_len,
				    const struct mbx_recv_args *args,
				    struct in_flight *in_flight, struct mbx_deferred *deferred)
{
	struct mbx_message *msg;
	struct mbx_queue *from;
	int ret;

	lockdep_assert_held(&mb->lock);
	ret = locate(mb, match, opts, buf_len, args, &msg, &from, deferred);
	if (unlikely(ret))
		return ret;
	in_flight->msg = msg;
	take(mb, msg, from, args, in_flight, deferred);
	return 0;
}

/* try_recv() with MBOX_LEASE. */
static noinline int try_lease(struct mailbox *mb, const struct mbx_match *match,
			      const struct mbx_wait_opts *opts, size_t buf_len,
			      const struct mbx_recv_args *args, struct mbx_lease *lease,
			      struct in_flight *in_flight, struct mbx_deferred *deferred)
{
	struct mbx_message *msg;
	struct mbx_queue *from;
	int ret;

	lockdep_assert_held(&mb->lock);
	ret = locate(mb, match, opts, buf_len, args, &msg, &from, deferred);
	if (ret)
		return ret;
	mbx_lease_part(mb);
	if (from == &mb->stored) {
		mbx_unstore(mb, msg);
	} else {
		accept_blocked(mb, msg, deferred);
		mbx_queue_seal(&mb->stored, msg);
	}
	in_flight->msg = msg;
	in_flight->flags = msg->flags & MBX_MSG_UNUSUAL;
	mbx_take_off(mb, msg);
	in_flight->token = mbx_transaction_take(mb, msg, mbx_reply_tokens(args),
						args->pi_task);
	mbx_lease_take(mb, lease, msg, in_flight->token);
	mbx_count_received(mb, msg);
	trace_mbox_recv(mb, msg);
	/* With MBOX_DROP_OLDEST, and without capacity. */
	mbx_room_made(mb, deferred);
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
 * The copy of a message that goes on lease has succeeded. If it has files (in_flight.fds),
 * the lease is added after they are installed: another thread could end it meanwhile.
 */
static void begin_lease(struct mailbox *mb, struct in_flight *in_flight,
			struct mbx_lease *lease, struct mbx_deferred *deferred)
{
	struct mbx_message *msg = in_flight->msg;
	struct mbx_send_waiter *w;

	lockdep_assert_held(&mb->lock);
	if (msg->flags & MBX_MSG_ACK) {
		w = mbx_waiter_of(mb, msg);
		if (w && w->sync) {
			msg->flags |= MBX_MSG_TRANSIT;
		} else {
			/* Without capacity, the sender waits for the receipt only. */
			mbx_confirm(mb, msg, 0, deferred);
			msg->flags &= ~MBX_MSG_ACK;
		}
	}
	if (msg->flags & MBX_MSG_AGAIN) {
		msg->deliveries++;
		mb->redelivered++;
	} else {
		msg->deliveries = 1;
	}
	msg->flags |= MBX_MSG_AGAIN | MBX_MSG_LEASED;
	trace_mbox_lease(mb, msg, lease->token);
	in_flight->fds = mbx_fds_of(msg);
}

/*
 * Give the handle a lease whose message has been received. Return false if the mailbox has
 * been destroyed: then the message is dropped, and the caller frees the lease.
 */
static bool add_lease(struct mailbox *mb, struct mbx_lease *lease,
		      struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	if (mb->dead) {
		mbx_end_leased(mb, lease->msg, -EIDRM, deferred);
		return false;
	}
	mbx_lease_add(mb, lease);
	mbx_check_end(mb, deferred);
	return true;
}

/*
 * Complete a receive call after the copy, whose result is @ret. Return 0, an error, or
 * 1: the sender gave up in the meantime. With MBOX_LEASE, @lease is the lease.
 */
static noinline int complete_recv(struct mailbox *mb, struct in_flight *in_flight,
				  struct mbx_lease *lease, int ret)
{
	struct mbx_transaction *txn = mbx_transaction_of(in_flight->msg);
	struct mbx_message *msg = in_flight->msg;
	struct mbx_transaction *returned = NULL;
	struct mbx_deferred deferred;
	bool added = true;

	/* Releasing the message drops its reference on the transaction. */
	if (ret && txn) {
		refcount_inc(&txn->refs);
		returned = txn;
	}
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (ret)
		mbx_prepare_put_back(mb, msg, &deferred);
	if (in_flight->flags & MBX_MSG_HANGUP)
		mb->in_flight--;
	if (in_flight->flags & MBX_MSG_ACK)
		msg->flags &= ~MBX_MSG_TRANSIT;
	if (lease && (ret || msg->flags & MBX_MSG_WITHDRAWN))
		mbx_unhold(mb, msg);
	if (msg->flags & MBX_MSG_WITHDRAWN) {
		/* The call goes on, perhaps to wait for another message. */
		deferred.waits = true;
		mbx_uncount_received(mb, msg);
		mbx_defer_release(mb, msg, &deferred);
		ret = ret ?: 1;
	} else if (!ret && lease) {
		begin_lease(mb, in_flight, lease, &deferred);
		if (!in_flight->fds)
			added = add_lease(mb, lease, &deferred);
	} else if (!ret) {
		mbx_confirm(mb, msg, 0, &deferred);
		if (txn && !in_flight->token)
			mbx_transaction_complete(mb, txn, -EPIPE, &deferred);
		in_flight->fds = mbx_fds_detach(msg);
		mbx_defer_release(mb, msg, &deferred);
	} else {
		give_back(mb, msg, &deferred);
	}
	if (lease && ret)
		mbx_room_made(mb, &deferred);
	/* The other receivers have waited for this. */
	if (in_flight->flags & MBX_MSG_HANGUP)
		mbx_check_end(mb, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (!added)
		mbx_lease_free(lease);
	if (returned) {
		mbx_inherit_update(mb, returned);
		mbx_transaction_put(returned);
	}
	return ret;
}

/*
 * A try returned STALE. The messages whose lifespan had ended before the call do not count
 * against its deadline, and a call that may not wait goes on until they are gone. *@left,
 * which is 0 at first, is the number of tries for that. Return 0 or an error.
 */
static noinline int stale_goes_on(struct mailbox *mb, const struct mbx_wait_opts *opts, u64 *left)
{
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	if (!*left)
		*left = 1 + mbx_expire_rounds(mb);
	return mbx_try_goes_on(opts, left);
}

/* A message without anything unusual could not be copied. Return the error. */
static noinline int put_back_uncopied(struct mailbox *mb, struct mbx_message *msg)
{
	struct in_flight in_flight = { .msg = msg };

	return complete_recv(mb, &in_flight, NULL, -EFAULT);
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
	struct mbx_deferred deferred;
	u32 deliveries = 0;
	u64 left = 0;
	ssize_t ret;

	for (;;) {
		mbx_deferred_init(&deferred);
		spin_lock(&mb->lock);
		ret = locate(mb, match, opts, buf_len, args, &msg, &from, &deferred);
		if (!ret) {
			mbx_peek_begin(mb, &peek, msg);
			if (msg->flags & MBX_MSG_AGAIN)
				deliveries = msg->deliveries;
		} else if (ret == NOTHING) {
			w = (struct mbx_waiter){};
			mbx_waiter_init(&w, &mb->waiting_receivers);
			mbx_waiter_add_peeker(mb, &w);
			trace_mbox_wait(mb, false);
		}
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);

		if (!ret)
			break;
		if (ret == STALE) {
			ret = stale_goes_on(mb, opts, &left);
			if (ret)
				return ret;
			continue;
		}
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
	if (!ret && deliveries)
		ret = mbx_copy_out_deliveries(deliveries, args);
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
		       const struct mbx_recv_args *args, struct mbx_lease *lease, u64 seq,
		       struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	*w = (struct mbx_recv_waiter){
		.waiter.seq = seq,
		.buf_len = min_t(size_t, buf_len, U32_MAX),
		.match = match,
		.tokens = mbx_reply_tokens(args),
		.pi_task = args->pi_task,
		.lease = lease,
		.flags = lease ? MBX_MSG_LEASED : 0,
	};
	mbx_waiter_init(&w->waiter, &mb->waiting_receivers);
	if (unlikely(w->pi_task))
		w->waiter.prio = mbx_pi_task_prio(w->pi_task) + 1;
	trace_mbox_wait(mb, false);
	if (unlikely(mb->flags & MBOX_HANGUP && args->tokens))
		w->siblings = &args->tokens->leases.waiters;
	mbx_waiter_add_receiver(mb, w);
	/* Now a nonblocking send can succeed. */
	if (mbx_passes_on(mb))
		mbx_queue_room_events(mb, deferred);
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
				 const struct mbx_recv_args *args, struct mbx_lease *lease,
				 struct in_flight *in_flight, u64 *seq)
{
	struct mbx_deferred deferred = {};
	struct mbx_recv_waiter w;
	int ret;

	spin_lock(&mb->lock);
	if (unlikely(lease))
		ret = try_lease(mb, match, opts, buf_len, args, lease, in_flight,
				&deferred);
	else
		ret = try_recv(mb, match, opts, buf_len, args, in_flight, &deferred);
	if (ret == NOTHING)
		begin_wait(mb, &w, match, buf_len, args, lease, *seq, &deferred);
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

static __always_inline int recv_now(struct mailbox *mb, const struct mbx_match *match,
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
	u64 seq = 0, left = 0;
	ssize_t len;
	int ret;

	for (;;) {
		ret = NOTHING;
		if (!tried)
			ret = recv_now(mb, match, opts, buf_len, args, &in_flight);
		if (unlikely(ret == NOTHING))
			ret = wait_to_recv(mb, match, opts, buf_len, args, NULL,
					   &in_flight, &seq);
		if (unlikely(ret == UNINDEXED)) {
			ret = mbx_index_build(mb);
			if (!ret)
				continue;
		}
		if (unlikely(ret == STALE)) {
			ret = stale_goes_on(mb, opts, &left);
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
			mbx_note_receiver(mb);
			mbx_message_received(mb, in_flight.msg);
			return len;
		}
		if (!ret && in_flight.flags & MBX_MSG_AGAIN)
			ret = mbx_copy_out_deliveries(in_flight.msg->deliveries, args);
		if (!ret && mbx_fds_of(in_flight.msg))
			ret = mbx_fds_prepare(mbx_fds_of(in_flight.msg),
					      args->fds, args->nfds);
		if (!ret && !(in_flight.flags & MBX_MSG_COMPLETED) &&
		    !is_unanswerable(&in_flight)) {
			in_flight.fds = mbx_fds_detach(in_flight.msg);
			mbx_message_free(in_flight.msg);
		} else {
			ret = complete_recv(mb, &in_flight, NULL, ret);
		}
		if (!ret) {
			mbx_note_receiver(mb);
			if (unlikely(in_flight.fds)) {
				mbx_fds_deliver(in_flight.fds, args->fds,
						args->nfds, args->umsg,
						args->usize);
				if (args->batch)
					mbx_fds_free_later(in_flight.fds);
				else
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

/* Copy a message that goes on lease to the receiver. Return 0 or an error. */
static int copy_leased(const struct in_flight *in_flight, const struct mbx_lease *lease,
		       const struct mbx_recv_args *args)
{
	struct mbx_message *msg = in_flight->msg;
	u32 deliveries = 1;
	int ret;

	if (in_flight->flags & MBX_MSG_AGAIN)
		deliveries += msg->deliveries;
	ret = mbx_copy_out(msg, lease->token, 0, args);
	if (!ret)
		ret = mbx_copy_out_deliveries(deliveries, args);
	if (!ret && mbx_fds_of(msg))
		ret = mbx_fds_prepare(mbx_fds_of(msg), args->fds, args->nfds);
	return ret;
}

/* The message is received: install its files, and then add the lease. */
static void finish_lease(struct mailbox *mb, const struct in_flight *in_flight,
			 struct mbx_lease *lease, const struct mbx_recv_args *args)
{
	struct mbx_deferred deferred;
	bool added;

	mbx_fds_deliver(in_flight->fds, args->fds, args->nfds, args->umsg, args->usize);
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	added = add_lease(mb, lease, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (!added)
		mbx_lease_free(lease);
}

/*
 * MBOX_LEASE: receive a message, and keep it until it is acknowledged. As receive(), but
 * the call takes the lock again after the copy, and the message is not freed.
 */
static noinline ssize_t receive_on_lease(struct mailbox *mb, const struct mbx_recv_args *args,
					 const struct mbx_match *match,
					 const struct mbx_wait_opts *opts, size_t buf_len)
{
	struct in_flight in_flight;
	struct mbx_lease *lease;
	u64 seq = 0, left = 0;
	ssize_t len;
	int ret;

	lease = mbx_lease_new(&args->tokens->leases);
	if (IS_ERR(lease))
		return PTR_ERR(lease);
	for (;;) {
		ret = wait_to_recv(mb, match, opts, buf_len, args, lease, &in_flight, &seq);
		if (ret == UNINDEXED) {
			ret = mbx_index_build(mb);
			if (!ret)
				continue;
		}
		if (ret == STALE) {
			ret = stale_goes_on(mb, opts, &left);
			if (!ret)
				continue;
		}
		if (ret)
			break;
		if (in_flight.token)
			mbx_inherit_update(mb, mbx_transaction_of(in_flight.msg));
		len = in_flight.msg->len;
		ret = copy_leased(&in_flight, lease, args);
		ret = complete_recv(mb, &in_flight, lease, ret);
		if (!ret) {
			mbx_note_receiver(mb);
			if (in_flight.fds)
				finish_lease(mb, &in_flight, lease, args);
			return len;
		}
		mbx_undo_copy_out(args);
		/* The sender gave up: go on as if the message had not been sent. */
		if (ret > 0 && fatal_signal_pending(current))
			ret = -EINTR;
		if (ret < 0)
			break;
	}
	mbx_lease_free(lease);
	return ret;
}

/* The first message, if it can be received and nobody is to be told of it, or NULL. */
static inline struct mbx_message *take_first(struct mailbox *mb, size_t buf_len)
{
	struct mbx_message *msg;

	lockdep_assert_held(&mb->lock);
	/* With mailbox.max_bytes, there is nobody either who waits for the room. */
	if (unlikely(mb->dead || mb->store_flags & ~MBX_STORE_BYTES ||
		     mb->blocked_sends.count || !list_empty(&mb->pollers)))
		return NULL;
	msg = mbx_queue_first(&mb->stored);
	if (unlikely(!msg || msg->len > buf_len || msg->flags & MBX_MSG_UNUSUAL))
		return NULL;
	__mbx_queue_remove(&mb->stored, msg);
	mbx_count_received(mb, msg);
	trace_mbox_recv(mb, msg);
	return msg;
}

/**
 * mbx_recv_otherwise() - do what mbx_recv_bytes() did not do
 * @mb: the mailbox
 * @args: buffer of the receiver
 * @nonblock: the call must not wait
 *
 * Context: Process context, may sleep.
 * Return: as mbx_recv().
 */
ssize_t mbx_recv_otherwise(struct mailbox *mb, const struct mbx_recv_args *args, bool nonblock)
{
	static const struct mbx_match any;
	struct mbx_wait_opts opts;

	mbx_wait_opts_nonblock(&opts, nonblock);
	return receive(mb, args, &any, &opts, true);
}

/**
 * mbx_recv_bytes() - receive the bytes of any message
 * @mb: the mailbox, without MBOX_BROADCAST
 * @user: where they go
 * @len: how many fit there
 *
 * The same as mbx_recv() without options, but in few steps if there is a message and
 * nobody waits.
 *
 * Context: Process context, may sleep.
 * Return: as mbx_recv(), or MBX_OTHERWISE: the caller has to call mbx_recv_otherwise(),
 * which needs structures that take time to clear.
 */
ssize_t mbx_recv_bytes(struct mailbox *mb, void __user *user, size_t len)
{
	struct mbx_message *msg;
	ssize_t ret;

	spin_lock(&mb->lock);
	msg = take_first(mb, len);
	spin_unlock(&mb->lock);
	if (unlikely(!msg))
		return MBX_OTHERWISE;
	ret = msg->len;
	if (unlikely(!mbx_message_copy_to(msg, user)))
		return put_back_uncopied(mb, msg);
	mbx_note_receiver(mb);
	mbx_message_received(mb, msg);
	return ret;
}

/*
 * Copy a message that take_first() returned. If it cannot be done, the message is put back.
 * Return 0 or the error.
 */
static inline int copy_first(struct mailbox *mb, struct mbx_message *msg,
			     const struct mbx_recv_args *args, struct mbx_seen_sender *seen)
{
	if (likely(mbx_message_copy_to(msg, u64_to_user_ptr(args->kmsg->buf)) &&
		   !mbx_copy_out_meta(msg, 0, 0, args, seen)))
		return 0;
	mbx_undo_copy_out(args);
	return put_back_uncopied(mb, msg);
}

/**
 * mbx_recv_at_once() - receive any message
 * @mb: the mailbox; with MBOX_BROADCAST, no message is received
 * @args: buffer of the receiver, whose length is that of @args->kmsg
 *
 * The same as mbx_recv() without options, but in few steps, and only if there is a message
 * and nobody waits.
 *
 * Context: Process context, may sleep.
 * Return: as mbx_recv(), or MBX_OTHERWISE: the caller has to call mbx_recv(), which waits
 * or says what is wrong.
 */
ssize_t mbx_recv_at_once(struct mailbox *mb, const struct mbx_recv_args *args)
{
	struct mbx_seen_sender seen = {};
	struct mbx_message *msg;
	ssize_t len;
	int ret;

	spin_lock(&mb->lock);
	msg = take_first(mb, args->kmsg->len);
	spin_unlock(&mb->lock);
	if (unlikely(!msg))
		return MBX_OTHERWISE;
	len = msg->len;
	ret = copy_first(mb, msg, args, &seen);
	if (unlikely(ret))
		return ret;
	mbx_note_receiver(mb);
	mbx_message_received(mb, msg);
	return len;
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
 * Return: how many messages were received, or -EFAULT: the first one could not be copied.
 */
int mbx_recv_some(struct mailbox *mb, size_t usize, const struct mbox_msg *msgs,
		  void __user *umsgs, unsigned int n)
{
	struct mbx_message *received[MBX_SOME];
	struct mbx_recv_args args = { .usize = usize };
	struct mbx_seen_sender seen = {};
	struct mbx_message *msg;
	unsigned int i;
	int ret = 0;

	/* One at a time: so a message is put back before the next one has left. */
	for (i = 0; i < n; i++) {
		spin_lock(&mb->lock);
		msg = take_first(mb, msgs[i].len);
		spin_unlock(&mb->lock);
		if (!msg)
			break;
		args.umsg = umsgs + i * usize;
		args.kmsg = &msgs[i];
		ret = copy_first(mb, msg, &args, &seen);
		if (unlikely(ret))
			break;
		received[i] = msg;
	}
	if (!i)
		return ret;
	mbx_note_receiver(mb);
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

	if (unlikely(opts->flags & (MBOX_PEEK | MBOX_LEASE))) {
		if (!(opts->flags & MBOX_LEASE))
			return peek_message(mb, args, match, opts, buf_len);
		/* What stays in the mailbox is not on lease; and a lease needs its token. */
		if (opts->flags & MBOX_PEEK || !mbx_reply_tokens(args))
			return -EINVAL;
		return receive_on_lease(mb, args, match, opts, buf_len);
	}
	return receive(mb, args, match, opts, false);
}
