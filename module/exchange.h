/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How messages pass between those who send, the mailbox, and those who
 * receive. Everything here needs mailbox.lock.
 */
#ifndef MBOX_EXCHANGE_H
#define MBOX_EXCHANGE_H

#include "notify.h"
#include "share.h"
#include "wait.h"

/**
 * struct mbox_peek - a message that is being looked at, on the looker's stack
 * @node: in mailbox.peeks; under mailbox.lock
 * @msg: the message
 * @owner: it has left the mailbox, and the looker is to free it; under
 *	mailbox.lock
 */
struct mbox_peek {
	struct list_head node;
	struct mbox_message *msg;
	bool owner;
};

/* Flags with which storing a message is more than putting it into the queue. */
#define MBOX_STORE_FLAGS (MBOX_DROP_OLDEST | MBOX_FAIR | MBOX_BROADCAST)

static inline bool mbox_has_room(const struct mailbox *mb)
{
	return mb->stored.count < mb->capacity;
}

/* Room for one more message of that user. */
static inline bool mbox_has_room_for(const struct mailbox *mb, kuid_t uid)
{
	if (!mbox_has_room(mb))
		return false;
	return likely(!(mb->flags & MBOX_FAIR)) || mbox_share_has_room(mb, uid);
}

static inline bool mbox_drops(const struct mailbox *mb)
{
	return mb->flags & (MBOX_DROP_OLDEST | MBOX_DROP_NEWEST);
}

/* MBOX_HANGUP, and nobody is there to receive. */
static inline bool mbox_no_receivers(const struct mailbox *mb)
{
	return mb->flags & MBOX_HANGUP && !mb->recv_handles;
}

/* MBOX_HANGUP, and nobody is there to send. */
static inline bool mbox_no_senders(const struct mailbox *mb)
{
	return mb->flags & MBOX_HANGUP && !mb->send_handles;
}

bool __mbox_is_peeked(const struct mailbox *mb, const struct mbox_message *msg);
void mbox_retire(struct mailbox *mb, struct mbox_message *msg,
		 struct mbox_after *after);
void mbox_wake_peekers(struct mailbox *mb, struct mbox_after *after);
void mbox_wake_readers(struct mailbox *mb, struct mbox_after *after);
void mbox_store_with_flags(struct mailbox *mb, struct mbox_message *msg,
			   bool arrived, struct mbox_after *after);
bool mbox_unstore_with_flags(struct mailbox *mb, struct mbox_message *msg);

struct mbox_waiter *mbox_waiter_of(struct list_head *waiters,
				   const struct mbox_message *msg);
struct mbox_waiter *mbox_first_receiver(struct mailbox *mb,
					const struct mbox_message *msg);
void mbox_refuse_short(struct mailbox *mb, const struct mbox_message *msg,
		       const struct mbox_waiter *until,
		       struct mbox_after *after);
void mbox_hand(struct mailbox *mb, struct mbox_waiter *w,
	       struct mbox_message *msg, struct mbox_after *after);
void mbox_offer(struct mailbox *mb, struct mbox_waiter *w, bool front,
		struct mbox_after *after);
void mbox_accept(struct mailbox *mb, struct mbox_waiter *w,
		 struct mbox_after *after);
void mbox_confirm(struct mailbox *mb, struct mbox_message *msg, int result,
		  struct mbox_after *after);
void mbox_admit_senders(struct mailbox *mb, struct mbox_after *after);
void mbox_drop_oldest(struct mailbox *mb, struct mbox_after *after);
void mbox_put_back(struct mailbox *mb, struct mbox_message *msg,
		   struct mbox_after *after);
void mbox_begin_look(struct mailbox *mb, struct mbox_peek *peek,
		     struct mbox_message *msg);
void mbox_end_look(struct mailbox *mb, struct mbox_peek *peek);

void mbox_end_receivers(struct mailbox *mb, int result,
			struct mbox_after *after);
void mbox_end_senders(struct mailbox *mb, int result, struct mbox_after *after);
void mbox_drop_all(struct mailbox *mb);

/**
 * mbox_find_receiver() - who gets this message
 * @mb: the mailbox
 * @msg: the message
 *
 * Return: the first receiver that waits for such a message and has room for
 * it, or NULL.
 */
static inline struct mbox_waiter *
mbox_find_receiver(struct mailbox *mb, const struct mbox_message *msg)
{
	if (likely(list_empty(&mb->receivers)))
		return NULL;
	return mbox_first_receiver(mb, msg);
}

/**
 * mbox_is_peeked() - whether somebody looks at a message
 * @mb: the mailbox
 * @msg: the message
 */
static inline bool mbox_is_peeked(const struct mailbox *mb,
				  const struct mbox_message *msg)
{
	return unlikely(!list_empty(&mb->peeks)) && __mbox_is_peeked(mb, msg);
}

/*
 * There is something to receive that was not there before: it @arrived, or has
 * come up from those that wait behind others.
 */
static inline void mbox_announce(struct mailbox *mb,
				 const struct mbox_message *msg, bool arrived,
				 struct mbox_after *after)
{
	if (mbox_report(mb, MBOX_POLL_IN, after) && arrived)
		mbox_notice_arrived(mb, msg, after);
	if (unlikely(!list_empty(&mb->receivers)))
		mbox_refuse_short(mb, msg, NULL, after);
	if (unlikely(!list_empty(&mb->peekers)))
		mbox_wake_peekers(mb, after);
}

static inline void mbox_store(struct mailbox *mb, struct mbox_message *msg,
			      bool arrived, struct mbox_after *after)
{
	if (unlikely(mb->flags & MBOX_STORE_FLAGS)) {
		mbox_store_with_flags(mb, msg, arrived, after);
		return;
	}
	mbox_queue_add(&mb->stored, msg);
	mbox_announce(mb, msg, arrived, after);
}

/* Return whether it was still meant for somebody. */
static inline bool mbox_unstore(struct mailbox *mb, struct mbox_message *msg)
{
	bool wanted = true;

	if (unlikely(mb->flags & MBOX_STORE_FLAGS))
		wanted = mbox_unstore_with_flags(mb, msg);
	mbox_queue_remove(&mb->stored, msg);
	return wanted;
}

/* There is room, on a MBOX_FAIR mailbox perhaps not for everybody. */
static inline void mbox_report_room(struct mailbox *mb,
				    struct mbox_after *after)
{
	mbox_report(mb, MBOX_POLL_OUT, after);
	if (unlikely(mb->flags & MBOX_FAIR))
		after->everyone = true;
}

/* A message has left: if there is room now, somebody may want it. */
static inline void mbox_room_made(struct mailbox *mb, struct mbox_after *after)
{
	if (unlikely(!list_empty(&mb->senders)))
		mbox_admit_senders(mb, after);
	else if (mbox_has_room(mb))
		mbox_report_room(mb, after);
}

#endif /* MBOX_EXCHANGE_H */
