// SPDX-License-Identifier: GPL-2.0-only
/*
 * The exchange of messages: which waiting call is completed.
 *
 * A call that makes the operation of a waiting call possible carries it out: it
 * delivers a message to a receiver, or accepts the message of a sender. So no call
 * overtakes one that waits, and no wake-up is lost when a call gives up. These
 * invariants hold whenever mailbox.lock is free, unless a thread is still to continue
 * work of mbx_deferred.more:
 *
 *  - While receivers wait, no message that one of them asks for is stored or blocked.
 *    The exception is a message that is too long for all of them; they are being
 *    made to fail.
 *  - While senders wait, there is no room, or (MBOX_FAIR) none for them, or
 *    (mailbox.max_bytes) none for the message of the first.
 *
 * The messages of waiting senders are in mailbox.blocked_sends. Without capacity,
 * receivers find all their messages there. With capacity, messages are stored too
 * while senders wait, and a receiver searches the blocked sends only for a type that
 * no stored message has.
 *
 * A call with MBOX_PEEK takes no message, so it is woken and then peeks itself.
 *
 * A message is owned by what frees it or passes it on:
 *
 *   step                        from                  to
 *   mbx_store()                 the send call         mailbox.stored
 *   store_plainly(), send.c     the send call         mailbox.stored
 *   mbx_queue_blocked_send()    the send call         mailbox.blocked_sends
 *   mbx_accept_blocked_send()   blocked_sends         the caller
 *   mbx_deliver_to_waiter()     the caller            the receive call, in flight
 *   take(), recv.c              stored or blocked     the receive call, in flight
 *   take_first(), recv.c        stored                the receive call, in flight
 *   complete_recv(), recv.c     the receive call      released, or put back
 *   mbx_put_back()              the receive call      another receiver, stored or
 *                                                     blocked_sends
 *   mbx_withdraw(), send.c      stored or blocked     released; if it is in flight,
 *                                                     complete_recv() releases it
 *   mbx_defer_release()         the caller            mbx_flush_deferred(), or the
 *                                                     last call that peeks at it
 *
 * A receive call copies a message in flight to user space without the lock. With
 * MBOX_SYNC, and without capacity, the send call waits for the receipt: it is in
 * mailbox.accepted from the acceptance of its message on. After the copy the receiver
 * takes the lock again. It confirms the receipt, or it learns that the send call gave
 * up, and forgets what it copied. A receiver that fails to copy puts the message back
 * in front.
 *
 * A call with a request is in mailbox.accepted until it has its reply (call.c).
 *
 * With MBOX_BROADCAST a message is never delivered to one receiver (broadcast.c).
 *
 * A call that peeks copies its message without the lock, too, and is in mailbox.peeks
 * meanwhile. If the message leaves the mailbox first, the last call that peeks at it
 * frees it.
 */
#include <linux/err.h>

#include "age.h"
#include "exchange.h"
#include "expire.h"
#include "history.h"
#include "lease.h"
#include "started.h"
#include "transaction.h"
#include "trace.h"

/* How many messages are checked for readers that hold them, for each sender let in. */
#define HELD_FOR_EACH 2

/* ---- the end of a message ----------------------------------------------- */

/**
 * mbx_transaction_complete() - tell a caller how its call ended, if it still waits
 * @mb: the mailbox
 * @txn: the transaction of the call; may be gone when this returns, unless the
 *	current thread has a reference
 * @result: 0 if there is a reply, or an error
 * @deferred: to be run without the lock
 */
void mbx_transaction_complete(struct mailbox *mb, struct mbx_transaction *txn, int result,
			      struct mbx_deferred *deferred)
{
	struct mbx_send_waiter *w = txn->caller;

	lockdep_assert_held(&mb->lock);
	if (!w)
		return;
	mbx_tokens_remove(txn);
	txn->caller = NULL;
	/* The server is deboosted after the caller is woken. */
	if (txn->pi_task) {
		txn->pi_task = NULL;
		refcount_inc(&txn->refs);
		txn->ended = deferred->ended;
		deferred->ended = txn;
	}
	mbx_waiter_complete(mb, &w->waiter, result, deferred);
}

/**
 * mbx_drop_taken() - release a message and end the call that waits with it
 * @mb: the mailbox
 * @msg: the message, which is in no queue
 * @result: what such a call returns
 * @deferred: to be run without the lock
 */
void mbx_drop_taken(struct mailbox *mb, struct mbx_message *msg, int result,
		    struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	mbx_confirm(mb, msg, result, deferred);
	if (mbx_transaction_of(msg))
		mbx_transaction_complete(mb, mbx_transaction_of(msg), result, deferred);
	mbx_defer_release(mb, msg, deferred);
}

/**
 * mbx_end_leased() - release a message that was on lease, and that does not come back
 * @mb: the mailbox
 * @msg: the message
 * @result: 0: it was acknowledged; otherwise why not
 * @deferred: to be run without the lock
 */
void mbx_end_leased(struct mailbox *mb, struct mbx_message *msg, int result,
		    struct mbx_deferred *deferred)
{
	struct mbx_transaction *txn = mbx_transaction_of(msg);

	lockdep_assert_held(&mb->lock);
	mbx_unhold(mb, msg);
	msg->flags &= ~(MBX_MSG_LEASED | MBX_MSG_TRANSIT);
	/* The sender that waited for the receipt may have given up. */
	if (!(msg->flags & MBX_MSG_WITHDRAWN))
		mbx_confirm(mb, msg, result, deferred);
	/* Without a reply by now, there will be none. */
	if (txn)
		mbx_transaction_complete(mb, txn, result ?: -EPIPE, deferred);
	mbx_defer_release(mb, msg, deferred);
	mbx_room_made(mb, deferred);
	mbx_check_end(mb, deferred);
}

/* Drop a message by the overflow policy. */
static void drop_stored(struct mailbox *mb, struct mbx_message *msg,
			struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	if (mbx_unstore(mb, msg)) {
		mb->dropped++;
		trace_mbox_drop(mb, msg);
	}
	mbx_drop_taken(mb, msg, -EPIPE, deferred);
}

/**
 * mbx_drop_oldest() - make room by dropping the oldest message
 * @mb: a mailbox with MBOX_DROP_OLDEST and something stored
 * @deferred: to be run without the lock
 */
void mbx_drop_oldest(struct mailbox *mb, struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	drop_stored(mb, mbx_store_ops(mb)->make_room(mb), deferred);
}

/**
 * mbx_drop_for() - drop messages until there is room for another
 * @mb: a mailbox that may drop its oldest messages
 * @len: length of the other message
 * @left: how many may be dropped in this hold of the lock; less those that were
 * @deferred: to be run without the lock
 *
 * Return: whether there is room.
 */
bool mbx_drop_for(struct mailbox *mb, u32 len, unsigned int *left, struct mbx_deferred *deferred)
{
	for (; *left && !mbx_can_take(mb, len); --*left)
		mbx_drop_oldest(mb, deferred);
	return mbx_can_take(mb, len);
}

/*
 * What readers have not received is held by fewer of them: if there was no room, there may
 * be now. With MBOX_DROP_OLDEST that can be the room of a user at its limit, whose own
 * message is no longer held. @room: a message has left.
 */
static void readers_went_on(struct mailbox *mb, bool room, struct mbx_deferred *deferred)
{
	if (mb->blocked_sends.count)
		mbx_admit_senders(mb, deferred);
	else if (room || !mbx_has_room(mb) || mb->flags & MBOX_DROP_OLDEST)
		mbx_queue_room_events(mb, deferred);
	/* There may be room for many: wake all exclusive pollers. */
	deferred->everyone = true;
}

/**
 * mbx_drop_read() - release the messages that every reader has received
 * @mb: a mailbox with MBOX_BROADCAST
 * @deferred: to be run without the lock
 */
void mbx_drop_read(struct mailbox *mb, struct mbx_deferred *deferred)
{
	struct mbx_message *msg;
	bool room = false;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	for (n = 0; n < MBX_DROP_AT_ONCE; n++) {
		msg = mbx_readers_done(mb);
		if (msg) {
			mbx_unstore(mb, msg);
			room = true;
		} else if (mb->history) {
			msg = mbx_history_trim(mb);
		}
		if (!msg)
			break;
		mbx_defer_release(mb, msg, deferred);
	}
	if (unlikely(mb->store_flags & MBX_STORE_CHOICES))
		readers_went_on(mb, room, deferred);
	else if (room)
		mbx_room_made(mb, deferred);
	if (n == MBX_DROP_AT_ONCE)
		deferred->more |= MBX_MORE_TRIM;
}

static bool may_drop_own(const struct mailbox *mb, const struct mbx_share *share,
			 const struct mbx_shortage *shortage)
{
	return share && share->bytes >= share->dropping + shortage->bytes &&
	       share->fds >= shortage->fds &&
	       mbx_store_ops(mb)->drops_own_first(mb, share, shortage);
}

/**
 * mbx_may_drop_own() - whether mbx_drop_own() would drop that much
 * @mb: a mailbox with MBOX_DROP_OLDEST
 * @sender: a sender of the user
 * @shortage: how much to free
 *
 * Context: Process context, without mailbox.lock.
 */
bool mbx_may_drop_own(struct mailbox *mb, const struct mbx_sender *sender,
		      const struct mbx_shortage *shortage)
{
	bool ret;

	spin_lock(&mb->lock);
	ret = may_drop_own(mb, mbx_share_find(mb, sender->key, sender->account),
			   shortage);
	spin_unlock(&mb->lock);
	return ret;
}

/* Drop some messages. Return whether there are more to drop; *@left is how much. */
static bool drop_some_own(struct mailbox *mb, struct mbx_share *share,
			  struct mbx_shortage *left, struct mbx_deferred *deferred)
{
	struct mbx_message_ext *ext;
	struct mbx_message *msg;
	unsigned long bytes;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	for (n = 0; (left->bytes || left->fds) && n < MBX_WAKE_AT_ONCE; n++) {
		ext = list_first_entry_or_null(&share->own, struct mbx_message_ext,
					       own);
		if (!ext)
			break;
		msg = mbx_ext_message(ext);
		if (!(msg->flags & MBX_MSG_PEEKED)) {
			bytes = min_t(unsigned long, left->bytes, ext->cost);
			left->bytes -= bytes;
			share->dropping -= bytes;
			left->fds -= min(left->fds, ext->nfds);
		}
		drop_stored(mb, msg, deferred);
	}
	if (n == MBX_WAKE_AT_ONCE && (left->bytes || left->fds))
		return true;
	share->dropping -= left->bytes;
	return false;
}

/**
 * mbx_drop_own() - drop the oldest messages of a user
 * @mb: a mailbox with MBOX_DROP_OLDEST
 * @share: the share of the user; the caller has a reference
 * @shortage: how much to free
 * @waits: as in struct mbx_deferred
 *
 * If all messages of the user together do not take that much, none is dropped. This is
 * decided at the beginning. If a receiver takes such a message, or peeks at it, before
 * it is dropped here, its memory is freed soon.
 *
 * Context: Process context, without mailbox.lock.
 * Return: whether that much was freed.
 */
bool mbx_drop_own(struct mailbox *mb, struct mbx_share *share,
		  const struct mbx_shortage *shortage, bool waits)
{
	struct mbx_shortage left = *shortage;
	struct mbx_deferred deferred;
	bool more, begun = false;

	do {
		mbx_deferred_init(&deferred);
		deferred.waits = waits;
		spin_lock(&mb->lock);
		if (!begun && !may_drop_own(mb, share, &left)) {
			spin_unlock(&mb->lock);
			return false;
		}
		if (!begun)
			share->dropping += left.bytes;
		begun = true;
		more = drop_some_own(mb, share, &left, &deferred);
		mbx_room_made(mb, &deferred);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		cond_resched();
	} while (more);
	return true;
}

/*
 * Return whether nothing is left to drop. Calls can still wait with these messages
 * while another thread ends those calls a few at a time.
 */
static bool drop_some(struct mailbox *mb, struct mbx_deferred *deferred)
{
	const int result = mb->dead ? -EIDRM : -EPIPE;
	struct mbx_message *msg;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	for (n = 0; n < MBX_DROP_AT_ONCE; n++) {
		/* One more task would make mbx_waiter_complete() wake these here. */
		if (deferred->ntasks == ARRAY_SIZE(deferred->tasks))
			break;
		msg = mbx_queue_first(&mb->stored);
		if (!msg && mb->history) {
			msg = mbx_queue_first(&mb->history->kept);
			if (msg)
				mbx_queue_remove(&mb->history->kept, msg);
		} else if (msg) {
			mbx_unstore(mb, msg);
		}
		if (!msg)
			return true;
		mbx_drop_taken(mb, msg, result, deferred);
	}
	return false;
}

/**
 * mbx_drop_all() - drop all messages of a mailbox that no process will receive from
 * @mb: the mailbox; no message can be added any more
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_drop_all(struct mailbox *mb)
{
	struct mbx_deferred deferred;
	bool empty;

	do {
		mbx_deferred_init(&deferred);
		spin_lock(&mb->lock);
		empty = drop_some(mb, &deferred);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
	} while (!empty);
}

/* mbx_store() when mailbox.store_flags is not 0. */
void mbx_store_by_policy(struct mailbox *mb, struct mbx_message *msg,
			 bool arrived, struct mbx_deferred *deferred)
{
	const struct mbx_store_ops *ops = mbx_store_ops(mb);

	lockdep_assert_held(&mb->lock);
	if (!ops->store(mb, msg, false, deferred)) {
		mbx_defer_release(mb, msg, deferred);
		return;
	}
	/* Each message is new to every reader, even if earlier ones are unread. */
	if (ops->for_all)
		deferred->everyone = true;
	mbx_announce(mb, msg, arrived || ops->for_all, deferred);
}

/* ---- to receivers -------------------------------------------------------- */

/*
 * Too many receivers with short buffers come before @w (if @w is NULL, all receivers
 * have short buffers) to fail in one hold of the lock. mbx_flush_deferred() completes
 * the others.
 */
static void note_passed(struct mailbox *mb, const struct mbx_message *msg,
			const struct mbx_recv_waiter *w, struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	deferred->more |= MBX_MORE_PASS;
	deferred->passed = (struct mbx_passed){
		.type = msg->type,
		.len = msg->len,
		.prio = w ? w->waiter.prio : INT_MAX,
		.seq = w ? w->waiter.seq : 0,
		.last = mb->arrivals,
	};
}

/* mbx_find_receiver() when receivers wait. */
struct mbx_recv_waiter *mbx_next_receiver(struct mailbox *mb,
					  const struct mbx_message *msg,
					  bool kept, struct mbx_deferred *deferred)
{
	struct mbx_recv_waiter *w, *small[MBX_PASS_AT_ONCE];
	unsigned int n = 0, i;

	lockdep_assert_held(&mb->lock);
	for (;;) {
		w = mbx_waiter_for(mb, msg->type, 0);
		if (!w || msg->len <= w->buf_len)
			break;
		if (n == ARRAY_SIZE(small)) {
			w = mbx_waiter_for(mb, msg->type, msg->len);
			if (w || kept)
				note_passed(mb, msg, w, deferred);
			break;
		}
		/* Remove this one, so that the next one is found. */
		mbx_waiter_del(mb, &w->waiter);
		small[n++] = w;
	}
	for (i = 0; i < n; i++) {
		mbx_waiter_add_receiver(mb, small[i]);
		if (w || kept)
			mbx_waiter_complete(mb, &small[i]->waiter, -EMSGSIZE, deferred);
	}
	return w;
}

/* Whether a receiver waited before the message came, and ahead of its receiver. */
static bool was_passed(const struct mbx_recv_waiter *w,
		       const struct mbx_passed *passed)
{
	int prio = w->waiter.prio;
	u64 seq = w->waiter.seq;

	if (w->buf_len >= passed->len || seq > passed->last)
		return false;
	return prio < passed->prio ||
	       (prio == passed->prio && seq < passed->seq);
}

/*
 * Make some more receivers fail that a message was too long for. If the first receiver
 * now has a buffer that is long enough, the message has left the mailbox: otherwise
 * this receiver would have taken it. Then the receivers behind it can go on waiting.
 */
static void pass_some(struct mailbox *mb, const struct mbx_passed *passed,
		      struct mbx_deferred *deferred)
{
	struct mbx_recv_waiter *w;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	for (n = 0; n < MBX_WAKE_AT_ONCE; n++) {
		w = mbx_waiter_for(mb, passed->type, 0);
		if (!w || !was_passed(w, passed))
			return;
		mbx_waiter_complete(mb, &w->waiter, -EMSGSIZE, deferred);
	}
	deferred->more |= MBX_MORE_PASS;
	deferred->passed = *passed;
}

/*
 * Have mbx_flush_deferred() boost the receiver of a request. The receiver is completed
 * last, so it is woken only after the boost. A second receiver that is delivered a
 * request raises its own priority when it runs.
 */
static void note_delivered(struct mbx_transaction *txn, struct mbx_deferred *deferred)
{
	if (!txn->pi_task || deferred->delivered)
		return;
	refcount_inc(&txn->refs);
	deferred->delivered = txn;
}

/* A message that is in no list goes on lease. */
static void deliver_on_lease(struct mailbox *mb, struct mbx_recv_waiter *w,
			     struct mbx_message *msg)
{
	mbx_lease_part(mb);
	mbx_queue_seal(&mb->stored, msg);
	mbx_lease_take(mb, w->lease, msg, w->token);
}

/**
 * mbx_deliver_to_waiter() - deliver a message to a waiting receiver
 * @mb: the mailbox
 * @w: the receiver
 * @msg: the message, which is in no list
 * @deferred: to be run without the lock
 */
void mbx_deliver_to_waiter(struct mailbox *mb, struct mbx_recv_waiter *w,
			   struct mbx_message *msg, struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	w->msg = msg;
	/* It is MBX_MSG_LEASED already if the call has a lease. */
	w->flags |= msg->flags & MBX_MSG_UNUSUAL;
	if (unlikely(w->flags))
		mbx_take_off(mb, msg);
	w->token = mbx_transaction_take(mb, msg, w->tokens, w->pi_task);
	if (unlikely(w->flags & MBX_MSG_LEASED))
		deliver_on_lease(mb, w, msg);
	if (unlikely(w->pi_task && w->token))
		note_delivered(mbx_transaction_of(msg), deferred);
	mbx_count_received(mb, msg);
	trace_mbox_recv(mb, msg);
	mbx_waiter_complete(mb, &w->waiter, 0, deferred);
}

/*
 * Without capacity, a message that comes back is blocked again, and its acceptance is
 * undone. Return whether this was done; otherwise the message is to be stored.
 */
static bool block_again(struct mailbox *mb, struct mbx_message *msg,
			struct mbx_deferred *deferred)
{
	struct mbx_transaction *txn = mbx_transaction_of(msg);
	struct mbx_send_waiter *w = NULL;

	lockdep_assert_held(&mb->lock);
	if (txn)
		w = txn->caller;
	else if (msg->flags & MBX_MSG_ACK)
		w = mbx_waiter_of(mb, msg);
	if (!w)
		return false;
	if (mb->capacity) {
		if (w->sync || txn)
			return false;
		/* The mailbox has capacity now, so this is an ordinary send. */
		msg->flags &= ~MBX_MSG_ACK;
		mbx_waiter_complete(mb, &w->waiter, 0, deferred);
		return false;
	}
	msg->flags &= ~MBX_MSG_ACK;
	mb->sent--;
	mbx_waiter_unaccept(mb, w);
	mbx_queue_blocked_send(mb, w, true, deferred);
	return true;
}

/**
 * mbx_put_back() - put back the message of a receiver that failed to copy it
 * @mb: the mailbox
 * @msg: the message
 * @deferred: to be run without the lock
 *
 * The message goes to the next receiver, or in front of the messages of its priority. If
 * its lifespan has ended, it is dropped.
 * The capacity is not checked: it holds back senders, and this message was accepted
 * before. The caller has checked in this hold of the lock that mbx_needs_entry() is
 * false.
 */
void mbx_put_back(struct mailbox *mb, struct mbx_message *msg,
		  struct mbx_deferred *deferred)
{
	struct mbx_recv_waiter *receiver;

	lockdep_assert_held(&mb->lock);
	trace_mbox_recover(mb, msg);
	if (mbx_lifespan_over(msg)) {
		mbx_expire_taken(mb, msg, deferred);
		return;
	}
	receiver = mbx_find_receiver(mb, msg, true, deferred);
	if (receiver) {
		mbx_deliver_to_waiter(mb, receiver, msg, deferred);
		return;
	}
	if (block_again(mb, msg, deferred))
		return;
	mbx_store_ops(mb)->store(mb, msg, true, deferred);
	mbx_announce(mb, msg, true, deferred);
}

/**
 * mbx_requeue() - put back a message that was on lease
 * @mb: the mailbox
 * @msg: the message
 * @behind: it goes behind its priority, and not to its place by arrival
 * @deferred: to be run without the lock
 *
 * As mbx_put_back(), but a sender that waits for the receipt goes on waiting for it:
 * without capacity too, the message is stored. If its lifespan has ended, it is dropped.
 */
void mbx_requeue(struct mailbox *mb, struct mbx_message *msg, bool behind,
		 struct mbx_deferred *deferred)
{
	struct mbx_recv_waiter *receiver;

	lockdep_assert_held(&mb->lock);
	if (mbx_lifespan_over(msg)) {
		mbx_expire_taken(mb, msg, deferred);
		return;
	}
	receiver = mbx_find_receiver(mb, msg, true, deferred);
	if (receiver) {
		mbx_deliver_to_waiter(mb, receiver, msg, deferred);
		return;
	}
	mbx_store_ops(mb)->store(mb, msg, !behind, deferred);
	mbx_announce(mb, msg, true, deferred);
}

/**
 * mbx_prepare_put_back() - give a message the entry that it needs to be put back
 * @mb: the mailbox
 * @msg: the message
 * @deferred: to be run without the lock
 *
 * This may drop the lock and take it again. It returns without dropping the lock after
 * its last check.
 */
void mbx_prepare_put_back(struct mailbox *mb, struct mbx_message *msg,
			  struct mbx_deferred *deferred)
	__must_hold(&mb->lock)
{
	struct mbx_transaction *txn = mbx_transaction_of(msg);
	struct mbx_entry *entry = NULL;

	while (!(msg->flags & MBX_MSG_WITHDRAWN) && !mb->dead &&
	       (!txn || mbx_transaction_goes_on(txn)) &&
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

/* ---- from senders -------------------------------------------------------- */

/**
 * mbx_queue_blocked_send() - add the message of a waiting sender to blocked_sends
 * @mb: the mailbox
 * @w: the sender, which waits for room or a receiver
 * @front: the message goes before those of equal rank
 * @deferred: to be run without the lock
 */
void mbx_queue_blocked_send(struct mailbox *mb, struct mbx_send_waiter *w, bool front,
			    struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	w->msg->wprio = w->waiter.prio;
	/* It has an index if any message has an entry. */
	WARN_ON_ONCE(mbx_queue_insert(&mb->blocked_sends, w->msg, front));
	if (mbx_blocked_can_go(mb))
		mbx_announce(mb, w->msg, true, deferred);
}

/**
 * mbx_accept_blocked_send() - accept the message of a waiting sender
 * @mb: the mailbox
 * @w: the sender; gone when this returns, unless it waits for the receipt or for
 *	a reply
 * @deferred: to be run without the lock
 *
 * Afterwards the message is in no list; the caller stores or delivers it.
 */
void mbx_accept_blocked_send(struct mailbox *mb, struct mbx_send_waiter *w,
			     struct mbx_deferred *deferred)
{
	struct mbx_message *msg = w->msg;

	lockdep_assert_held(&mb->lock);
	mbx_queue_remove(&mb->blocked_sends, msg);
	mbx_count_sent(mb, msg);
	trace_mbox_send(mb, msg);
	if (w->txn && w != &w->txn->waiter) {
		mbx_started_accept(mb, w, deferred);
	} else if (w->txn) {
		mbx_waiter_accept(mb, w);
	} else if (w->sync || !mb->capacity) {
		msg->flags |= MBX_MSG_ACK;
		mbx_waiter_accept(mb, w);
	} else {
		mbx_waiter_complete(mb, &w->waiter, 0, deferred);
	}
}

/**
 * mbx_confirm() - tell the sender of an accepted message what became of it
 * @mb: the mailbox
 * @msg: the message
 * @result: 0 when it was received, or an error
 * @deferred: to be run without the lock
 */
void mbx_confirm(struct mailbox *mb, struct mbx_message *msg, int result,
		 struct mbx_deferred *deferred)
{
	struct mbx_send_waiter *w;

	lockdep_assert_held(&mb->lock);
	if (!(msg->flags & MBX_MSG_ACK))
		return;
	w = mbx_waiter_of(mb, msg);
	if (!WARN_ON_ONCE(!w))
		mbx_waiter_complete(mb, &w->waiter, result, deferred);
}

/* Since its sender began to wait, max_bytes has shrunk: the message never has room. */
static bool too_long(const struct mailbox *mb, const struct mbx_message *msg)
{
	return unlikely(msg->len > mb->len_max);
}

/* Let one sender in. Return false if this has to wait for another hold of the lock. */
static bool admit(struct mailbox *mb, struct mbx_send_waiter *w,
		  struct mbx_deferred *deferred)
{
	struct mbx_recv_waiter *receiver;
	struct mbx_message *msg = w->msg;

	lockdep_assert_held(&mb->lock);
	/* @deferred can note only one message in mbx_deferred.passed. */
	if (deferred->more & MBX_MORE_PASS)
		return false;
	if (mbx_lifespan_over(msg)) {
		mbx_expire_blocked(mb, msg, deferred);
		return true;
	}
	if (too_long(mb, msg)) {
		mbx_fail_blocked_send(mb, msg, -EMSGSIZE, deferred);
		return true;
	}
	/* A receiver can have begun to wait while this message was still blocked. */
	receiver = mbx_find_receiver(mb, msg, true, deferred);
	mbx_accept_blocked_send(mb, w, deferred);
	if (receiver)
		mbx_deliver_to_waiter(mb, receiver, msg, deferred);
	else
		mbx_store(mb, msg, false, deferred);
	return true;
}

/* There is room for more senders. @begun: another thread goes on with that already. */
static void leave_backlog(struct mailbox *mb, bool begun, struct mbx_deferred *deferred)
{
	mb->store_flags |= MBX_STORE_BACKLOG;
	if (!begun)
		deferred->more |= MBX_MORE_ADMIT;
}

/*
 * Drop messages that no reader holds, at most *@left of them, until there is room for
 * @len bytes. Return whether there is, or may be in another hold of the lock.
 */
static enum mbx_spare make_room(struct mailbox *mb, u32 len, unsigned int *left,
				struct mbx_deferred *deferred)
{
	enum mbx_spare spare;

	if (mbx_can_take(mb, len))
		return MBX_SPARE_ENOUGH;
	spare = mbx_readers_spare(mb, HELD_FOR_EACH);
	if (spare != MBX_SPARE_ENOUGH)
		return spare;
	return mbx_drop_for(mb, len, left, deferred) ? MBX_SPARE_ENOUGH : MBX_SPARE_UNKNOWN;
}

/*
 * mbx_admit_senders() with readers that have chosen their policy: messages can have to be
 * looked at and dropped for each sender.
 */
static void admit_past_readers(struct mailbox *mb, bool begun, struct mbx_deferred *deferred)
{
	unsigned int n, left = MBX_DROP_AT_ONCE;
	struct mbx_waiter *w;
	enum mbx_spare room;

	lockdep_assert_held(&mb->lock);
	for (n = 0;; n++) {
		w = mbx_store_ops(mb)->next_sender(mb);
		if (!w) {
			mbx_queue_room_events(mb, deferred);
			return;
		}
		room = MBX_SPARE_UNKNOWN;
		if (n < MBX_WAKE_AT_ONCE)
			room = make_room(mb, mbx_send_waiter(w)->msg->len, &left, deferred);
		if (room == MBX_SPARE_NONE)
			return;
		if (room == MBX_SPARE_UNKNOWN || !admit(mb, mbx_send_waiter(w), deferred)) {
			leave_backlog(mb, begun, deferred);
			return;
		}
	}
}

/**
 * mbx_admit_senders() - let senders in while there is room
 * @mb: the mailbox
 * @deferred: to be run without the lock
 *
 * If there is room for more than MBX_WAKE_AT_ONCE senders, mbx_flush_deferred() lets
 * the others in. Until then no sender overtakes them (MBX_STORE_BACKLOG). The thread
 * that set this flag does that work, and calls that run meanwhile let in some too.
 */
void mbx_admit_senders(struct mailbox *mb, struct mbx_deferred *deferred)
{
	bool begun = mb->store_flags & MBX_STORE_BACKLOG;
	struct mbx_waiter *w;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	mb->store_flags &= ~MBX_STORE_BACKLOG;
	/* The waiting senders are being made to fail. */
	if (mb->dead || mbx_no_receivers(mb))
		return;
	if (unlikely(mb->store_flags & MBX_STORE_CHOICES)) {
		admit_past_readers(mb, begun, deferred);
		return;
	}
	for (n = 0; mbx_has_room(mb); n++) {
		w = mbx_store_ops(mb)->next_sender(mb);
		if (!w) {
			mbx_queue_room_events(mb, deferred);
			return;
		}
		/*
		 * The next sender waits for more bytes, and others wait behind it. A more
		 * urgent one that polls can have room for a shorter message.
		 */
		if (!mbx_has_bytes_for(mb, mbx_send_waiter(w)->msg->len) &&
		    !too_long(mb, mbx_send_waiter(w)->msg)) {
			mbx_queue_room_events(mb, deferred);
			return;
		}
		if (n == MBX_WAKE_AT_ONCE || !admit(mb, mbx_send_waiter(w), deferred)) {
			leave_backlog(mb, begun, deferred);
			return;
		}
	}
}

/* ---- shutdown of a side --------------------------------------------------- */

/**
 * mbx_fail_blocked_send() - make a call fail that waits for room or for a receiver
 * @mb: the mailbox
 * @msg: its message, in mailbox.blocked_sends
 * @result: what the call returns
 * @deferred: to be run without the lock
 */
void mbx_fail_blocked_send(struct mailbox *mb, struct mbx_message *msg, int result,
			   struct mbx_deferred *deferred)
{
	struct mbx_send_waiter *w = mbx_waiter_of(mb, msg);

	lockdep_assert_held(&mb->lock);
	mbx_queue_remove(&mb->blocked_sends, msg);
	if (WARN_ON_ONCE(!w))
		return;
	if (w->txn)
		mbx_transaction_complete(mb, w->txn, result, deferred);
	else
		mbx_waiter_complete(mb, &w->waiter, result, deferred);
	mbx_defer_release(mb, msg, deferred);
}

/*
 * Make a call fail whose message was accepted, and release the message. A receiver
 * that is copying the message discards it, unless the message is a request.
 */
static void fail_accepted(struct mailbox *mb, struct mbx_send_waiter *w, int result,
			  struct mbx_deferred *deferred)
{
	struct mbx_message *msg = w->msg;
	bool remove = true;

	lockdep_assert_held(&mb->lock);
	if (w->txn) {
		/* One that comes back later is queued, but not stored. */
		remove = w->txn->state == MBX_TRANSACTION_QUEUED &&
			 !(msg->flags & MBX_MSG_LEASED);
		mbx_transaction_complete(mb, w->txn, result, deferred);
		if (remove)
			mb->sent--;
	} else {
		/* If it comes back from a lease, it is not sent any more. */
		if (!(msg->flags & MBX_MSG_LEASED))
			mb->sent--;
		mbx_waiter_complete(mb, &w->waiter, result, deferred);
		if (msg->flags & MBX_MSG_TRANSIT) {
			msg->flags |= MBX_MSG_WITHDRAWN;
			remove = false;
		}
	}
	if (!remove)
		return;
	mbx_unstore(mb, msg);
	mbx_defer_release(mb, msg, deferred);
}

/*
 * A receive call that waits in vain, or NULL. If one handle has all the messages on lease
 * that can be put back, only its own calls do.
 */
static struct mbx_waiter *receiver_at_end(struct mailbox *mb)
{
	struct mbx_leases *only;

	lockdep_assert_held(&mb->lock);
	if (mb->dead || mbx_at_end(mb, NULL))
		return mbx_waiter_any_receiver(mb);
	only = mbx_only_lessee(mb);
	if (!only || hlist_empty(&only->waiters))
		return NULL;
	return &hlist_entry(only->waiters.first, struct mbx_recv_waiter, own)->waiter;
}

/* Make one call of a side fail. Return whether there was one. */
static bool shutdown_one(struct mailbox *mb, bool send, int result,
			 struct mbx_deferred *deferred)
{
	struct mbx_message *msg;
	struct mbx_waiter *w;

	lockdep_assert_held(&mb->lock);
	if (!send) {
		w = receiver_at_end(mb);
		if (w)
			mbx_waiter_complete(mb, w, result, deferred);
		return w;
	}
	msg = mbx_queue_first(&mb->blocked_sends);
	if (msg) {
		mbx_fail_blocked_send(mb, msg, result, deferred);
		return true;
	}
	if (hlist_empty(&mb->accepted)) {
		/* All calls have ended: what waits for the end of others does so in vain. */
		w = mb->dead ? mbx_collector_first(mb) : NULL;
		if (w)
			mbx_waiter_complete(mb, w, 0, deferred);
		return w;
	}
	w = hlist_entry(mb->accepted.first, struct mbx_waiter, accepted);
	fail_accepted(mb, mbx_send_waiter(w), result, deferred);
	return true;
}

/* The result of the waiting calls of a side; 0: they may go on waiting. */
static int shutdown_result(const struct mailbox *mb, bool send)
{
	if (mb->dead)
		return -EIDRM;
	if (send ? mbx_no_receivers(mb) : mbx_at_end(mb, mbx_only_lessee(mb)))
		return -EPIPE;
	return 0;
}

static void shutdown_some(struct mailbox *mb, struct mbx_deferred *deferred)
{
	unsigned int n = 0;
	int send, result;

	lockdep_assert_held(&mb->lock);
	for (send = 1; send >= 0; send--) {
		result = shutdown_result(mb, send);
		while (result && n < MBX_WAKE_AT_ONCE &&
		       shutdown_one(mb, send, result, deferred))
			n++;
	}
	if (n == MBX_WAKE_AT_ONCE)
		deferred->more |= MBX_MORE_END;
}

/**
 * mbx_shutdown_waiters() - make all calls fail that wait in vain
 * @mb: the mailbox; it was destroyed, or one of its sides is gone
 * @sides: MBX_MAY_SEND: calls that wait to send, MBX_MAY_RECV: to receive
 * @deferred: to be run without the lock
 *
 * If there are many, mbx_flush_deferred() ends the others, unless the side has come
 * back by then.
 */
void mbx_shutdown_waiters(struct mailbox *mb, unsigned int sides,
			  struct mbx_deferred *deferred)
{
	__poll_t events = EPOLLHUP | EPOLLERR;

	lockdep_assert_held(&mb->lock);
	if (sides & MBX_MAY_SEND)
		events |= MBX_POLL_OUT;
	if (sides & MBX_MAY_RECV)
		events |= MBX_POLL_IN;
	mbx_queue_events(mb, events, deferred);
	deferred->everyone = true;
	/* Of the calls that peek, those of that handle find the end themselves. */
	if (sides & MBX_MAY_RECV && !mb->dead && mbx_only_lessee(mb))
		mbx_wake_peekers(mb, deferred);
	shutdown_some(mb, deferred);
}

/* Some thread continues with MBX_MORE_ADMIT as long as MBX_STORE_BACKLOG is set. */
static void keep_admitting(struct mailbox *mb, struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	if (mbx_has_backlog(mb))
		deferred->more |= MBX_MORE_ADMIT;
	else
		mb->store_flags &= ~MBX_STORE_BACKLOG;
}

/**
 * mbx_exchange_more() - continue work that would have taken too long under the lock
 * @mb: the mailbox
 * @deferred: the work; mbx_deferred.more is 0 afterwards
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_exchange_more(struct mailbox *mb, struct mbx_deferred *deferred)
{
	struct mbx_passed passed = deferred->passed;
	u16 more = deferred->more, others;
	u64 last = deferred->wake;
	struct mbx_deferred next;

	deferred->more = 0;
	while (more) {
		mbx_deferred_init(&next);
		next.waits = deferred->waits;
		/* Done alone, since any other work can set MBX_MORE_PASS again. */
		others = more & MBX_MORE_PASS ? more & ~MBX_MORE_PASS : 0;
		spin_lock(&mb->lock);
		if (more & MBX_MORE_PASS) {
			pass_some(mb, &passed, &next);
			more = 0;
		}
		if (more & MBX_MORE_END)
			shutdown_some(mb, &next);
		/*
		 * If receivers have come back, remaining senders may have room. Whoever polls
		 * has not been told of room yet, also if the last sender has given up meanwhile.
		 */
		if (more & MBX_MORE_ADMIT ||
		    (more & MBX_MORE_END && mb->blocked_sends.count))
			mbx_admit_senders(mb, &next);
		if (more & MBX_MORE_ADMIT)
			keep_admitting(mb, &next);
		if (more & MBX_MORE_WAKE)
			mbx_wake_more(mb, last, &next);
		if (more & MBX_MORE_TRIM)
			mbx_drop_read(mb, &next);
		spin_unlock(&mb->lock);
		more = (next.more & ~MBX_MORE_ENTRIES) | others;
		if (next.more & MBX_MORE_WAKE)
			last = next.wake;
		if (next.more & MBX_MORE_PASS)
			passed = next.passed;
		next.more &= MBX_MORE_ENTRIES;
		mbx_flush_deferred(mb, &next);
		cond_resched();
	}
}
