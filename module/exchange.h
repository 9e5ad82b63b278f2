/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How messages pass between senders, the mailbox and receivers. The caller holds
 * mailbox.lock, unless the description of a function says otherwise.
 */
#ifndef MBX_EXCHANGE_H
#define MBX_EXCHANGE_H

#include "announce.h"
#include "peek.h"
#include "state.h"
#include "store.h"

/*
 * How much is done in one hold of the lock, besides MBX_WAKE_AT_ONCE: messages that
 * are dropped, and receivers with short buffers that fail.
 */
#define MBX_DROP_AT_ONCE 8
#define MBX_PASS_AT_ONCE 6

void mbx_transaction_complete(struct mailbox *mb, struct mbx_transaction *txn, int result,
			      struct mbx_deferred *deferred);
void mbx_drop_taken(struct mailbox *mb, struct mbx_message *msg, int result,
		    struct mbx_deferred *deferred);

void mbx_end_leased(struct mailbox *mb, struct mbx_message *msg, int result,
		    struct mbx_deferred *deferred);

struct mbx_recv_waiter *mbx_next_receiver(struct mailbox *mb,
					  const struct mbx_message *msg,
					  bool kept, struct mbx_deferred *deferred);
void mbx_deliver_to_waiter(struct mailbox *mb, struct mbx_recv_waiter *w,
			   struct mbx_message *msg, struct mbx_deferred *deferred);
void mbx_queue_blocked_send(struct mailbox *mb, struct mbx_send_waiter *w, bool front,
			    struct mbx_deferred *deferred);
void mbx_accept_blocked_send(struct mailbox *mb, struct mbx_send_waiter *w,
			     struct mbx_deferred *deferred);
void mbx_confirm(struct mailbox *mb, struct mbx_message *msg, int result,
		 struct mbx_deferred *deferred);
void mbx_admit_senders(struct mailbox *mb, struct mbx_deferred *deferred);
bool mbx_drop_for(struct mailbox *mb, u32 len, unsigned int *left, struct mbx_deferred *deferred);
void mbx_drop_oldest(struct mailbox *mb, struct mbx_deferred *deferred);
bool mbx_may_drop_own(struct mailbox *mb, const struct mbx_sender *sender,
		      const struct mbx_shortage *shortage);
bool mbx_drop_own(struct mailbox *mb, struct mbx_share *share,
		  const struct mbx_shortage *shortage, bool waits);
void mbx_drop_read(struct mailbox *mb, struct mbx_deferred *deferred);
void mbx_store_by_policy(struct mailbox *mb, struct mbx_message *msg,
			 bool arrived, struct mbx_deferred *deferred);
void mbx_put_back(struct mailbox *mb, struct mbx_message *msg,
		  struct mbx_deferred *deferred);
void mbx_requeue(struct mailbox *mb, struct mbx_message *msg, bool behind,
		 struct mbx_deferred *deferred);
void mbx_prepare_put_back(struct mailbox *mb, struct mbx_message *msg,
			  struct mbx_deferred *deferred);
void mbx_fail_blocked_send(struct mailbox *mb, struct mbx_message *msg, int result,
			   struct mbx_deferred *deferred);
void mbx_shutdown_waiters(struct mailbox *mb, unsigned int sides,
			  struct mbx_deferred *deferred);
void mbx_drop_all(struct mailbox *mb);
void mbx_exchange_more(struct mailbox *mb, struct mbx_deferred *deferred);

/**
 * mbx_find_receiver() - find the receiver that gets a message
 * @mb: the mailbox
 * @msg: the message
 * @kept: if no receiver gets the message, the mailbox keeps it
 * @deferred: to be run without the lock
 *
 * Receivers that ask for such a message and come first, but whose buffers are too
 * short, fail as if they had come after the message, as in msgrcv(2). If no receiver
 * gets the message and the mailbox does not keep it, they go on waiting. At most
 * MBX_PASS_AT_ONCE of them fail here; the others fail in mbx_flush_deferred().
 *
 * Return: the receiver, or NULL when none waits that takes the message.
 */
static inline struct mbx_recv_waiter *
mbx_find_receiver(struct mailbox *mb, const struct mbx_message *msg,
		  bool kept, struct mbx_deferred *deferred)
{
	if (!mbx_receivers_wait(mb))
		return NULL;
	return mbx_next_receiver(mb, msg, kept, deferred);
}

/* A message with one of MBX_MSG_UNUSUAL goes to a receive call, and is then in flight. */
static inline void mbx_take_off(struct mailbox *mb, struct mbx_message *msg)
{
	if (msg->flags & MBX_MSG_ACK)
		msg->flags |= MBX_MSG_TRANSIT;
	if (msg->flags & MBX_MSG_HANGUP)
		mb->in_flight++;
}

/**
 * mbx_store() - store a message that no receiver waits for
 * @mb: the mailbox
 * @msg: the message
 * @arrived: as for mbx_announce()
 * @deferred: to be run without the lock
 */
static inline void mbx_store(struct mailbox *mb, struct mbx_message *msg,
			     bool arrived, struct mbx_deferred *deferred)
{
	if (unlikely(mb->store_flags)) {
		mbx_store_by_policy(mb, msg, arrived, deferred);
		return;
	}
	mbx_queue_add(&mb->stored, msg);
	mbx_announce(mb, msg, arrived, deferred);
}

/*
 * Queue the events for room. With MBOX_FAIR the room may be closed to some users, and with
 * mailbox.max_bytes it may be too small for some handles, so all pollers are told.
 */
static inline void mbx_queue_room_events(struct mailbox *mb,
					 struct mbx_deferred *deferred)
{
	if (likely(list_empty(&mb->pollers)) || !mbx_pollers_wait(mb))
		return;
	mbx_queue_events(mb, MBX_POLL_OUT, deferred);
	if (unlikely(mb->store_flags & (MBOX_FAIR | MBX_STORE_BYTES)))
		deferred->everyone = true;
}

/* A message has left. If there is room now, let senders in or tell pollers. */
static inline void mbx_room_made(struct mailbox *mb, struct mbx_deferred *deferred)
{
	if (unlikely(mb->blocked_sends.count))
		mbx_admit_senders(mb, deferred);
	else if (mbx_has_room(mb))
		mbx_queue_room_events(mb, deferred);
}

/* MBOX_HANGUP: end the receive calls that waited only for a message that is gone now. */
static inline void mbx_check_end(struct mailbox *mb, struct mbx_deferred *deferred)
{
	if (mb->flags & MBOX_HANGUP && !mb->dead && mbx_at_end(mb, mbx_only_lessee(mb)))
		mbx_shutdown_waiters(mb, MBX_MAY_RECV, deferred);
}

#endif /* MBX_EXCHANGE_H */
