// SPDX-License-Identifier: GPL-2.0-only
/*
 * The exchange of messages: who is served by whom.
 *
 * Whoever makes the operation of a waiting call possible carries it out for
 * it: a receiver is handed its message, a sender finds its message accepted.
 * So nobody overtakes a call that waits, no wake-up is lost when a call gives
 * up, and these hold whenever mailbox.lock is free:
 *
 *  - while receivers wait, no message that one of them asks for is stored, nor
 *    with a sender that waits;
 *  - while senders wait, there is no room, or (MBOX_FAIR) none for them.
 *
 * The messages of waiting senders are in mailbox.offers. Without capacity that
 * is where receivers find all their messages. With capacity it is full then, so
 * there is something stored, and only a receiver that asks for a type can find
 * nothing in it and something in the offers.
 *
 * The exception is a call with MBOX_PEEK: it takes nothing, so it is woken to
 * look for itself.
 *
 * The way of a message:
 *
 *   sender -> mailbox.stored -> receiver (in transit) -> freed
 *   sender that waits: mailbox.offers -> stored, or a receiver
 *
 * In transit, the receiver copies it to user space without the lock. Where the
 * sender waits for the receipt (MBOX_SYNC, or no capacity), it is in
 * mailbox.syncers from the moment at which its message was accepted; the
 * receiver takes the lock again after the copy, and either confirms the
 * receipt or learns that the sender gave up, and then forgets what it copied.
 * A receiver that fails to copy puts the message back in front.
 *
 * The sender of a request is in mailbox.callers from that moment on, until it
 * has its reply (call.c).
 *
 * With MBOX_BROADCAST no message goes to one receiver: broadcast.c.
 *
 * Whoever looks at a message (MBOX_PEEK) copies it without the lock as well,
 * and is in mailbox.peeks meanwhile. If the message leaves the mailbox before
 * he is done, the last to be done with it frees it.
 */
#include "broadcast.h"
#include "call.h"
#include "exchange.h"
#include "trace.h"

/* How many messages are dropped before the lock is given to others. */
#define DROP_AT_ONCE 256

/* ---- the end of a message ----------------------------------------------- */

/* mbox_is_peeked() where somebody looks at something. */
bool __mbox_is_peeked(const struct mailbox *mb, const struct mbox_message *msg)
{
	struct mbox_peek *peek;

	lockdep_assert_held(&mb->lock);
	list_for_each_entry(peek, &mb->peeks, node)
		if (peek->msg == msg)
			return true;
	return false;
}

/**
 * mbox_retire() - a message is in no list and of no more use
 * @mb: the mailbox
 * @msg: the message; who looks at it will free it, otherwise @after does
 * @after: to be run without the lock
 */
void mbox_retire(struct mailbox *mb, struct mbox_message *msg,
		 struct mbox_after *after)
{
	struct mbox_peek *peek;

	lockdep_assert_held(&mb->lock);
	list_for_each_entry(peek, &mb->peeks, node) {
		if (peek->msg == msg) {
			peek->owner = true;
			return;
		}
	}
	msg->node.next = after->garbage;
	after->garbage = &msg->node;
}

/**
 * mbox_drop_oldest() - make room by dropping the oldest message
 * @mb: a mailbox with MBOX_DROP_OLDEST and something stored
 * @after: to be run without the lock
 */
void mbox_drop_oldest(struct mailbox *mb, struct mbox_after *after)
{
	struct mbox_message_ext *ext;
	struct mbox_message *msg;

	lockdep_assert_held(&mb->lock);
	if (mb->flags & MBOX_BROADCAST) {
		msg = mbox_queue_first(&mb->stored);
	} else {
		ext = list_first_entry(&mb->ages, struct mbox_message_ext, age);
		msg = (struct mbox_message *)(ext + 1);
	}
	if (mbox_unstore(mb, msg)) {
		mb->dropped++;
		trace_mbox_drop(mb, msg);
	}
	mbox_confirm(mb, msg, -EPIPE, after);
	if (mbox_ticket_of(msg))
		mbox_ticket_end(mb, mbox_ticket_of(msg), -EPIPE, after);
	mbox_retire(mb, msg, after);
}

/* Return whether there was nothing left to drop. */
static bool drop_some(struct mailbox *mb, struct mbox_after *after)
{
	struct mbox_message *msg;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	for (n = 0; n < DROP_AT_ONCE; n++) {
		msg = mbox_queue_first(&mb->stored);
		if (!msg)
			return true;
		mbox_unstore(mb, msg);
		mbox_retire(mb, msg, after);
	}
	return false;
}

/**
 * mbox_drop_all() - empty a mailbox at its end
 * @mb: the mailbox, to which nothing can be added any more
 *
 * Context: Process context, without mailbox.lock.
 */
void mbox_drop_all(struct mailbox *mb)
{
	struct mbox_after after;
	bool empty;

	do {
		mbox_after_init(&after);
		spin_lock(&mb->lock);
		empty = drop_some(mb, &after);
		spin_unlock(&mb->lock);
		mbox_after_run(mb, &after);
	} while (!empty);
}

/**
 * mbox_store_with_flags() - mbox_store() with some of MBOX_STORE_FLAGS
 * @mb: the mailbox
 * @msg: the message
 * @arrived: as for mbox_announce()
 * @after: to be run without the lock
 */
void mbox_store_with_flags(struct mailbox *mb, struct mbox_message *msg,
			   bool arrived, struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	if (mb->flags & MBOX_BROADCAST) {
		mbox_broadcast_store(mb, msg, after);
		return;
	}
	mbox_queue_add(&mb->stored, msg);
	if (mb->flags & MBOX_DROP_OLDEST)
		list_add_tail(&mbox_ext(msg)->age, &mb->ages);
	if (mb->flags & MBOX_FAIR)
		mbox_ext(msg)->share->stored++;
	mbox_announce(mb, msg, arrived, after);
}

/**
 * mbox_unstore_with_flags() - the part of mbox_unstore() for MBOX_STORE_FLAGS
 * @mb: the mailbox
 * @msg: the message
 *
 * Return: whether it was still meant for somebody.
 */
bool mbox_unstore_with_flags(struct mailbox *mb, struct mbox_message *msg)
{
	lockdep_assert_held(&mb->lock);
	if (mb->flags & MBOX_BROADCAST)
		return mbox_broadcast_unstore(mb, msg);
	if (mb->flags & MBOX_DROP_OLDEST)
		list_del(&mbox_ext(msg)->age);
	if (mb->flags & MBOX_FAIR)
		mbox_ext(msg)->share->stored--;
	return true;
}

/**
 * mbox_begin_look() - keep a message from being freed
 * @mb: the mailbox
 * @peek: to be ended with mbox_end_look()
 * @msg: the message
 */
void mbox_begin_look(struct mailbox *mb, struct mbox_peek *peek,
		     struct mbox_message *msg)
{
	lockdep_assert_held(&mb->lock);
	peek->msg = msg;
	peek->owner = false;
	list_add(&peek->node, &mb->peeks);
}

/**
 * mbox_end_look() - let a message go
 * @mb: the mailbox
 * @peek: of mbox_begin_look()
 *
 * Context: Process context, without mailbox.lock.
 */
void mbox_end_look(struct mailbox *mb, struct mbox_peek *peek)
{
	struct mbox_after after;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	list_del(&peek->node);
	if (peek->owner)
		mbox_retire(mb, peek->msg, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
}

/* ---- to receivers -------------------------------------------------------- */

/**
 * mbox_wake_peekers() - let those look who wait to look
 * @mb: the mailbox
 * @after: to be run without the lock
 */
void mbox_wake_peekers(struct mailbox *mb, struct mbox_after *after)
{
	struct mbox_waiter *w, *next;

	lockdep_assert_held(&mb->lock);
	list_for_each_entry_safe(w, next, &mb->peekers, node)
		mbox_serve(mb, w, 0, after);
}

/**
 * mbox_wake_readers() - let those look who wait for a message to all
 * @mb: a mailbox with MBOX_BROADCAST
 * @after: to be run without the lock
 */
void mbox_wake_readers(struct mailbox *mb, struct mbox_after *after)
{
	struct mbox_waiter *w, *next;

	lockdep_assert_held(&mb->lock);
	list_for_each_entry_safe(w, next, &mb->receivers, node)
		mbox_serve(mb, w, 0, after);
}

/* mbox_find_receiver() where there are some. */
struct mbox_waiter *mbox_first_receiver(struct mailbox *mb,
					const struct mbox_message *msg)
{
	struct mbox_waiter *w;

	lockdep_assert_held(&mb->lock);
	/* A message is not for one of them, but for all. */
	if (mb->flags & MBOX_BROADCAST)
		return NULL;
	list_for_each_entry(w, &mb->receivers, node)
		if (msg->len <= w->room && mbox_match(w->match, msg))
			return w;
	return NULL;
}

/**
 * mbox_refuse_short() - fail those who ask for a message but have no room
 * @mb: the mailbox
 * @msg: the message
 * @until: the receiver that gets it, or NULL
 * @after: to be run without the lock
 *
 * They fail as if they had come after the message, as in msgrcv(2).
 */
void mbox_refuse_short(struct mailbox *mb, const struct mbox_message *msg,
		       const struct mbox_waiter *until,
		       struct mbox_after *after)
{
	struct mbox_waiter *w, *next;

	lockdep_assert_held(&mb->lock);
	/* They see it when it is their turn. */
	if (mb->flags & MBOX_BROADCAST)
		return;
	list_for_each_entry_safe(w, next, &mb->receivers, node) {
		if (w == until)
			return;
		if (msg->len > w->room && mbox_match(w->match, msg))
			mbox_serve(mb, w, -EMSGSIZE, after);
	}
}

/*
 * Its receiver is the last to be served, so it is not woken before
 * mbox_after_run(). Were there another, that one would see to it itself.
 */
static void note_handed(struct mbox_ticket *ticket, struct mbox_after *after)
{
	if (!ticket->debtor || after->handed)
		return;
	refcount_inc(&ticket->refs);
	after->handed = ticket;
}

/**
 * mbox_hand() - hand a message to a receiver that waits
 * @mb: the mailbox
 * @w: the receiver
 * @msg: the message, which is in no list
 * @after: to be run without the lock
 */
void mbox_hand(struct mailbox *mb, struct mbox_waiter *w,
	       struct mbox_message *msg, struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	mbox_refuse_short(mb, msg, w, after);
	w->msg = msg;
	w->ack = msg->flags & MBOX_MSG_ACK;
	if (w->ack)
		msg->flags |= MBOX_MSG_TRANSIT;
	w->peeked = mbox_is_peeked(mb, msg);
	w->token = mbox_ticket_take(mb, msg, w->tokens, w->debtor);
	if (unlikely(w->debtor && w->token))
		note_handed(mbox_ticket_of(msg), after);
	mb->received++;
	trace_mbox_recv(mb, msg);
	mbox_serve(mb, w, 0, after);
}

/*
 * The message of a rendezvous comes back: take its acceptance back too.
 * Return whether that was so; otherwise it is to be stored.
 */
static bool offer_again(struct mailbox *mb, struct mbox_message *msg,
			struct mbox_after *after)
{
	struct mbox_ticket *ticket = mbox_ticket_of(msg);
	struct mbox_waiter *w = NULL;

	lockdep_assert_held(&mb->lock);
	if (ticket)
		w = ticket->caller;
	else if (msg->flags & MBOX_MSG_ACK)
		w = mbox_waiter_of(&mb->syncers, msg);
	if (!w)
		return false;
	if (mb->capacity) {
		if (w->sync || ticket)
			return false;
		/* There is a capacity now, so this is an ordinary send. */
		msg->flags &= ~MBOX_MSG_ACK;
		mbox_serve(mb, w, 0, after);
		return false;
	}
	msg->flags &= ~MBOX_MSG_ACK;
	mb->sent--;
	w->accepted = false;
	mbox_waiter_del(w);
	mbox_waiter_add(&mb->senders, w, true);
	mbox_offer(mb, w, true, after);
	return true;
}

/**
 * mbox_put_back() - a receiver could not take its message
 * @mb: the mailbox
 * @msg: the message
 * @after: to be run without the lock
 *
 * It goes to the next receiver, or in front of its priority, whatever the
 * capacity: that holds senders back, and this one was let in before.
 */
void mbox_put_back(struct mailbox *mb, struct mbox_message *msg,
		   struct mbox_after *after)
{
	struct mbox_waiter *receiver;

	lockdep_assert_held(&mb->lock);
	trace_mbox_recover(mb, msg);
	receiver = mbox_find_receiver(mb, msg);
	if (receiver) {
		mbox_hand(mb, receiver, msg, after);
		return;
	}
	if (offer_again(mb, msg, after))
		return;
	mbox_queue_add_front(&mb->stored, msg);
	if (mb->flags & MBOX_DROP_OLDEST)
		list_add(&mbox_ext(msg)->age, &mb->ages);
	if (mb->flags & MBOX_FAIR)
		mbox_ext(msg)->share->stored++;
	mbox_announce(mb, msg, true, after);
}

/**
 * mbox_end_receivers() - make every receive call that waits fail
 * @mb: the mailbox
 * @result: with this
 * @after: to be run without the lock
 */
void mbox_end_receivers(struct mailbox *mb, int result,
			struct mbox_after *after)
{
	struct mbox_waiter *w, *next;

	lockdep_assert_held(&mb->lock);
	list_for_each_entry_safe(w, next, &mb->receivers, node)
		mbox_serve(mb, w, result, after);
	list_for_each_entry_safe(w, next, &mb->peekers, node)
		mbox_serve(mb, w, result, after);
	mbox_report(mb, EPOLLHUP | EPOLLERR | MBOX_POLL_IN, after);
	after->everyone = true;
}

/* ---- from senders -------------------------------------------------------- */

/**
 * mbox_waiter_of() - the call that waits with a message
 * @waiters: the list that it is in; it is mostly the first
 * @msg: the message
 */
struct mbox_waiter *mbox_waiter_of(struct list_head *waiters,
				   const struct mbox_message *msg)
{
	struct mbox_waiter *w;

	list_for_each_entry(w, waiters, node)
		if (w->msg == msg)
			return w;
	WARN_ON_ONCE(1);
	return NULL;
}

/**
 * mbox_offer() - show the message of a sender that waits
 * @mb: the mailbox
 * @w: the sender, in mailbox.senders
 * @front: it was there before those of equal standing
 * @after: to be run without the lock
 */
void mbox_offer(struct mailbox *mb, struct mbox_waiter *w, bool front,
		struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	w->msg->wprio = w->prio;
	mbox_queue_add_offer(&mb->offers, w->msg, front);
	if (!mb->capacity)
		mbox_announce(mb, w->msg, true, after);
	else
		mbox_refuse_short(mb, w->msg, NULL, after);
}

/**
 * mbox_accept() - take the message of a sender that waits
 * @mb: the mailbox
 * @w: the sender; gone when this returns, unless it waits for the receipt or for
 *	a reply
 * @after: to be run without the lock
 *
 * The message is in no list then; the caller stores it or hands it on.
 */
void mbox_accept(struct mailbox *mb, struct mbox_waiter *w,
		 struct mbox_after *after)
{
	struct mbox_message *msg = w->msg;

	lockdep_assert_held(&mb->lock);
	mbox_queue_remove(&mb->offers, msg);
	mb->sent++;
	trace_mbox_send(mb, msg);
	if (w->ticket) {
		w->accepted = true;
		list_move_tail(&w->node, &mb->callers);
	} else if (w->sync || !mb->capacity) {
		msg->flags |= MBOX_MSG_ACK;
		w->accepted = true;
		list_move_tail(&w->node, &mb->syncers);
	} else {
		mbox_serve(mb, w, 0, after);
	}
}

/**
 * mbox_confirm() - tell the sender of an accepted message what became of it
 * @mb: the mailbox
 * @msg: the message
 * @result: 0 when it was received, or an error
 * @after: to be run without the lock
 */
void mbox_confirm(struct mailbox *mb, struct mbox_message *msg, int result,
		  struct mbox_after *after)
{
	struct mbox_waiter *w;

	lockdep_assert_held(&mb->lock);
	if (!(msg->flags & MBOX_MSG_ACK))
		return;
	w = mbox_waiter_of(&mb->syncers, msg);
	if (w)
		mbox_serve(mb, w, result, after);
}

/* The first sender that can be let in where there is room, or NULL. */
static struct mbox_waiter *next_sender(const struct mailbox *mb)
{
	struct mbox_waiter *w;

	lockdep_assert_held(&mb->lock);
	list_for_each_entry(w, &mb->senders, node)
		if (mbox_has_room_for(mb, w->msg->sender->uid))
			return w;
	return NULL;
}

/**
 * mbox_admit_senders() - let senders in while there is room
 * @mb: the mailbox
 * @after: to be run without the lock
 */
void mbox_admit_senders(struct mailbox *mb, struct mbox_after *after)
{
	struct mbox_message *msg;
	struct mbox_waiter *w;

	lockdep_assert_held(&mb->lock);
	while (mbox_has_room(mb)) {
		w = next_sender(mb);
		if (!w) {
			mbox_report_room(mb, after);
			return;
		}
		msg = w->msg;
		mbox_accept(mb, w, after);
		/* No receiver waits for it, or it would have it already. */
		mbox_store(mb, msg, false, after);
	}
}

/* Make the calls fail whose request was accepted. */
static void end_callers(struct mailbox *mb, int result,
			struct mbox_after *after)
{
	struct mbox_waiter *w, *next;
	struct mbox_message *msg;
	bool queued;

	lockdep_assert_held(&mb->lock);
	list_for_each_entry_safe(w, next, &mb->callers, node) {
		msg = w->msg;
		queued = w->ticket->state == MBOX_TICKET_QUEUED;
		mbox_ticket_end(mb, w->ticket, result, after);
		if (!queued)
			continue;
		mb->sent--;
		mbox_unstore(mb, msg);
		mbox_retire(mb, msg, after);
	}
}

/**
 * mbox_end_senders() - make every send call that waits fail
 * @mb: the mailbox
 * @result: with this
 * @after: to be run without the lock
 *
 * Their messages go too, also those that a receiver is copying just now.
 */
void mbox_end_senders(struct mailbox *mb, int result, struct mbox_after *after)
{
	struct mbox_waiter *w, *next;
	struct mbox_message *msg;

	lockdep_assert_held(&mb->lock);
	list_for_each_entry_safe(w, next, &mb->senders, node) {
		msg = w->msg;
		mbox_queue_remove(&mb->offers, msg);
		if (w->ticket)
			mbox_ticket_end(mb, w->ticket, result, after);
		else
			mbox_serve(mb, w, result, after);
		mbox_retire(mb, msg, after);
	}
	list_for_each_entry_safe(w, next, &mb->syncers, node) {
		msg = w->msg;
		mb->sent--;
		mbox_serve(mb, w, result, after);
		if (msg->flags & MBOX_MSG_TRANSIT) {
			msg->flags |= MBOX_MSG_WITHDRAWN;
			continue;
		}
		mbox_unstore(mb, msg);
		mbox_retire(mb, msg, after);
	}
	end_callers(mb, result, after);
	mbox_report(mb, EPOLLHUP | EPOLLERR | MBOX_POLL_OUT, after);
	after->everyone = true;
}
