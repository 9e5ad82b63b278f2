/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The messages that a mailbox has accepted, and the policy by which it stores them.
 *
 * A policy is one struct mbx_store_ops. Most mailboxes have the plain one. It is also
 * implemented inline: if mailbox.store_flags is 0, callers bypass the operations and
 * access the queue directly.
 */
#ifndef MBX_STORE_H
#define MBX_STORE_H

#include "deferred.h"
#include "reader.h"
#include "share.h"
#include "state.h"
#include "waiter.h"

/**
 * struct mbx_store_ops - how a mailbox stores its messages
 * @for_all: each message is for every reader (MBOX_BROADCAST)
 * @store: add a message behind those of its priority, or with @front before them.
 *	Return false, without storing it, if no process can ever receive it
 * @unstore: remove a stored message. Return whether a receiver has yet to get it
 * @has_room_for: if the mailbox has room, whether a user may have one more message;
 *	NULL: every user may
 * @next_sender: the sender to be admitted next if there is room, or NULL
 * @make_room: the message to drop for a new one; NULL: messages are not dropped
 * @drops_own_first: with @make_room: whether the next messages to be dropped belong to
 *	the user of the share, up to that much memory and that many descriptors
 * @readable: whether a receive call would find a message
 *
 * All are called under mailbox.lock.
 */
struct mbx_store_ops {
	bool for_all;
	bool (*store)(struct mailbox *mb, struct mbx_message *msg, bool front,
		      struct mbx_deferred *deferred);
	bool (*unstore)(struct mailbox *mb, struct mbx_message *msg);
	bool (*has_room_for)(const struct mailbox *mb, kuid_t uid);
	struct mbx_waiter *(*next_sender)(const struct mailbox *mb);
	struct mbx_message *(*make_room)(const struct mailbox *mb);
	bool (*drops_own_first)(const struct mailbox *mb,
				const struct mbx_share *share,
				const struct mbx_shortage *shortage);
	bool (*readable)(const struct mailbox *mb,
			 const struct mbx_reader *reader);
};

extern const struct mbx_store_ops *const mbx_store_policies[];

/* The policy of a mailbox. */
static inline const struct mbx_store_ops *
mbx_store_ops(const struct mailbox *mb)
{
	return mbx_store_policies[mb->policy];
}

void mbx_store_init(struct mailbox *mb);

/* Whether waiting senders are still being admitted, and no send may overtake them. */
static inline bool mbx_has_backlog(const struct mailbox *mb)
{
	return mb->store_flags & MBX_STORE_BACKLOG && mb->blocked_sends.count;
}

/*
 * Whether a message of a task of that priority would be the next to be let in, before
 * those of all senders that wait now. The mailbox has room.
 */
static inline bool mbx_sends_first(const struct mailbox *mb, int prio)
{
	struct mbx_waiter *next = NULL;

	if (mb->blocked_sends.count)
		next = mbx_store_ops(mb)->next_sender(mb);
	return !next || prio < next->prio;
}

/* mbx_has_room_for() if the mailbox has room and mailbox.store_flags is not 0. */
static inline bool mbx_has_room_by_policy(const struct mailbox *mb, kuid_t uid, u32 len)
{
	const struct mbx_store_ops *ops = mbx_store_ops(mb);

	if (mbx_has_backlog(mb))
		return false;
	/*
	 * A short message does not overtake a long one that waits, unless its sender is
	 * more urgent. Then that would be the first to wait, with room for its message.
	 */
	if (mb->store_flags & MBX_STORE_BYTES &&
	    !(mbx_has_bytes_for(mb, len) && mbx_sends_first(mb, mbx_waiter_prio())))
		return false;
	return !ops->has_room_for || ops->has_room_for(mb, uid);
}

/* Whether there is room for one more message of a user, of that length. */
static inline bool mbx_has_room_for(const struct mailbox *mb, kuid_t uid, u32 len)
{
	if (!mbx_has_room(mb))
		return false;
	return likely(!mb->store_flags) || mbx_has_room_by_policy(mb, uid, len);
}

/* What a send does if there is no room. */
enum mbx_full {
	MBX_FULL_WAIT,
	MBX_FULL_DROP_OLDEST,
	MBX_FULL_DROP_NEWEST,
	/* Not known yet: ask again in another hold of the lock. */
	MBX_FULL_UNKNOWN,
};

enum mbx_full mbx_when_full_by_readers(struct mailbox *mb);

/* What a send does for which there is no room. */
static inline enum mbx_full mbx_when_full(struct mailbox *mb)
{
	if (unlikely(mb->store_flags & MBX_STORE_CHOICES))
		return mbx_when_full_by_readers(mb);
	if (mb->flags & MBOX_DROP_OLDEST && mb->capacity)
		return MBX_FULL_DROP_OLDEST;
	return mbx_drops(mb) ? MBX_FULL_DROP_NEWEST : MBX_FULL_WAIT;
}

/* Whether a message needs an entry for an index before it can be queued. */
static inline bool mbx_needs_entry(const struct mailbox *mb,
				   const struct mbx_message *msg)
{
	return unlikely(mb->store_flags & MBX_STORE_INDEXED) &&
	       !(msg->flags & MBX_MSG_ENTRY);
}

/* Remove a stored message. Return whether a receiver has yet to get it. */
static inline bool mbx_unstore(struct mailbox *mb, struct mbx_message *msg)
{
	if (unlikely(mb->store_flags))
		return mbx_store_ops(mb)->unstore(mb, msg);
	__mbx_queue_remove(&mb->stored, msg);
	return true;
}

#endif /* MBX_STORE_H */
