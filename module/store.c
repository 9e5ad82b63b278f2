// SPDX-License-Identifier: GPL-2.0-only
/*
 * The storage policies: plain, MBOX_DROP_OLDEST, MBOX_FAIR, MBOX_BROADCAST.
 *
 * MBOX_DROP_NEWEST is not a storage policy: it decides what happens to a message that
 * is not stored (send.c).
 */
#include "history.h"
#include "peek.h"
#include "poller.h"
#include "store.h"

/* How many messages are checked for their user. */
#define OWN_AT_ONCE 8

enum {
	PLAIN,
	DROP_OLDEST,
	FAIR,
	BROADCAST,
};

/* ---- plain ----------------------------------------------------------------- */

static void insert(struct mailbox *mb, struct mbx_message *msg, bool front,
		   struct mbx_deferred *deferred)
{
	struct mbx_entry *entry = mbx_queue_insert(&mb->stored, msg, front);

	/* The blocked sends have an index, and the stored messages have none yet. */
	if (unlikely(entry))
		mbx_defer_entry(entry, msg->sender, deferred);
}

static bool plain_store(struct mailbox *mb, struct mbx_message *msg, bool front,
			struct mbx_deferred *deferred)
{
	insert(mb, msg, front, deferred);
	return true;
}

static void remove(struct mailbox *mb, struct mbx_message *msg)
{
	mbx_queue_remove(&mb->stored, msg);
	mbx_unpart(mb);
}

static bool plain_unstore(struct mailbox *mb, struct mbx_message *msg)
{
	remove(mb, msg);
	return true;
}

static struct mbx_waiter *plain_next_sender(const struct mailbox *mb)
{
	/* Not cached: no call that need not wait asks for it. */
	struct rb_node *node = rb_first(&mb->senders);

	return node ? rb_entry(node, struct mbx_waiter, node) : NULL;
}

static bool plain_readable(const struct mailbox *mb,
			   const struct mbx_reader *reader)
{
	return mb->stored.count || mb->blocked_sends.count;
}

static const struct mbx_store_ops plain = {
	.store = plain_store,
	.unstore = plain_unstore,
	.next_sender = plain_next_sender,
	.readable = plain_readable,
};

/* ---- MBOX_DROP_OLDEST -------------------------------------------------------- */

static bool drop_oldest_store(struct mailbox *mb, struct mbx_message *msg,
			      bool front, struct mbx_deferred *deferred)
{
	insert(mb, msg, front, deferred);
	if (front)
		list_add(&mbx_ext(msg)->arrival, &mb->arrival_list);
	else
		list_add_tail(&mbx_ext(msg)->arrival, &mb->arrival_list);
	mbx_share_add(msg, front);
	if (front) {
		/* At a limit, a send can drop this message now. */
		mbx_queue_events(mb, MBX_POLL_OUT, deferred);
		deferred->everyone = true;
	}
	return true;
}

static bool drop_oldest_unstore(struct mailbox *mb, struct mbx_message *msg)
{
	mbx_share_remove(msg);
	list_del(&mbx_ext(msg)->arrival);
	remove(mb, msg);
	return true;
}

static struct mbx_message *drop_oldest_make_room(const struct mailbox *mb)
{
	struct mbx_message_ext *ext;

	ext = list_first_entry(&mb->arrival_list, struct mbx_message_ext, arrival);
	return mbx_ext_message(ext);
}

/* The messages of each user can be dropped independently. */
static bool drop_oldest_drops_own_first(const struct mailbox *mb,
					const struct mbx_share *share,
					const struct mbx_shortage *shortage)
{
	return true;
}

static const struct mbx_store_ops drop_oldest = {
	.store = drop_oldest_store,
	.unstore = drop_oldest_unstore,
	.next_sender = plain_next_sender,
	.make_room = drop_oldest_make_room,
	.drops_own_first = drop_oldest_drops_own_first,
	.readable = plain_readable,
};

/* ---- MBOX_FAIR --------------------------------------------------------------- */

static bool fair_store(struct mailbox *mb, struct mbx_message *msg, bool front,
		       struct mbx_deferred *deferred)
{
	insert(mb, msg, front, deferred);
	mbx_share_count(mb, mbx_ext(msg)->share, 1);
	return true;
}

static bool fair_unstore(struct mailbox *mb, struct mbx_message *msg)
{
	remove(mb, msg);
	mbx_share_count(mb, mbx_ext(msg)->share, -1);
	return true;
}

static const struct mbx_store_ops fair = {
	.store = fair_store,
	.unstore = fair_unstore,
	.has_room_for = mbx_share_has_room,
	.next_sender = mbx_share_next_sender,
	.readable = plain_readable,
};

/* ---- MBOX_BROADCAST ---------------------------------------------------------- */

static void defer_copy(struct mailbox *mb, struct mbx_message *copy,
		       struct mbx_deferred *deferred)
{
	if (copy)
		mbx_defer_release(mb, copy, deferred);
}

/* No handle can receive a message: keep a copy for those that are opened later. */
static void keep_for_later(struct mailbox *mb, struct mbx_message *msg,
			   struct mbx_deferred *deferred)
{
	mbx_readers_skip(mb, msg);
	/* One came, and there may be more to remove from before. */
	defer_copy(mb, mbx_history_trim(mb), deferred);
	defer_copy(mb, mbx_history_trim(mb), deferred);
}

static bool broadcast_store(struct mailbox *mb, struct mbx_message *msg,
			    bool front, struct mbx_deferred *deferred)
{
	/* A reader receives a message by moving on, so no message is put back. */
	if (WARN_ON_ONCE(front))
		return false;
	if (!mb->recv_handles && !mb->stored.count) {
		if (mb->history)
			keep_for_later(mb, msg, deferred);
		return false;
	}
	/* Without a handle, what is stored is just being removed. */
	if (!mb->recv_handles && !mb->history)
		return false;
	mbx_readers_store(mb, msg);
	if (mb->history)
		defer_copy(mb, mbx_readers_surplus(mb), deferred);
	if (mb->flags & MBOX_DROP_OLDEST)
		mbx_share_add(msg, false);
	return true;
}

static bool broadcast_unstore(struct mailbox *mb, struct mbx_message *msg)
{
	if (mb->flags & MBOX_DROP_OLDEST)
		mbx_share_remove(msg);
	return mbx_readers_unstore(mb, msg);
}

static struct mbx_message *broadcast_make_room(const struct mailbox *mb)
{
	return mbx_queue_first(&mb->stored);
}

/*
 * Messages are dropped from the front, without gaps. So a user can drop its own only if
 * no message of another user comes first, and none that a reader holds.
 */
static bool broadcast_drops_own_first(const struct mailbox *mb,
				      const struct mbx_share *share,
				      const struct mbx_shortage *shortage)
{
	struct rb_node *node = rb_first_cached(&mb->stored.leaders);
	bool choices = mb->store_flags & MBX_STORE_CHOICES;
	struct mbx_message *msg;
	unsigned int n, fds = 0;
	u64 bytes = 0;

	lockdep_assert_held(&mb->lock);
	if (choices && mbx_readers_hold_late(mb))
		return false;
	if (share->stored == mb->stored.count && !choices)
		return true;
	for (n = 0; node && n < OWN_AT_ONCE; n++, node = rb_next(node)) {
		msg = rb_entry(node, struct mbx_message, rb);
		if (mbx_ext(msg)->share != share || (choices && mbx_readers_hold(mb, msg)))
			return false;
		if (!(msg->flags & MBX_MSG_PEEKED)) {
			bytes += mbx_ext(msg)->cost;
			fds += mbx_ext(msg)->nfds;
		}
		if (bytes >= shortage->bytes && fds >= shortage->fds)
			return true;
	}
	return false;
}

/* How many messages are checked for readers that hold them. */
#define HELD_AT_ONCE 16

/* mbx_when_full() if mailbox.store_flags has MBX_STORE_CHOICES. */
enum mbx_full mbx_when_full_by_readers(struct mailbox *mb)
{
	lockdep_assert_held(&mb->lock);
	/* What is dropped makes room for the senders that wait. */
	if (!mb->blocked_sends.count) {
		switch (mbx_readers_spare(mb, HELD_AT_ONCE)) {
		case MBX_SPARE_ENOUGH:
			return MBX_FULL_DROP_OLDEST;
		case MBX_SPARE_UNKNOWN:
			return MBX_FULL_UNKNOWN;
		case MBX_SPARE_NONE:
			break;
		}
	}
	return mb->flags & MBOX_DROP_NEWEST ? MBX_FULL_DROP_NEWEST : MBX_FULL_WAIT;
}

static const struct mbx_store_ops broadcast = {
	.for_all = true,
	.store = broadcast_store,
	.unstore = broadcast_unstore,
	.next_sender = plain_next_sender,
	.make_room = broadcast_make_room,
	.drops_own_first = broadcast_drops_own_first,
	.readable = mbx_reader_has_unread,
};

/* ---- selecting a policy ------------------------------------------------------- */

const struct mbx_store_ops *const mbx_store_policies[] = {
	[PLAIN] = &plain,
	[DROP_OLDEST] = &drop_oldest,
	[FAIR] = &fair,
	[BROADCAST] = &broadcast,
};

/**
 * mbx_store_init() - set the policy of a new mailbox
 * @mb: the mailbox, with its flags
 */
void mbx_store_init(struct mailbox *mb)
{
	mb->store_flags = mb->flags & MBX_STORE_FLAGS;
	if (mb->flags & MBOX_BROADCAST)
		mb->policy = BROADCAST;
	else if (mb->flags & MBOX_DROP_OLDEST)
		mb->policy = DROP_OLDEST;
	else if (mb->flags & MBOX_FAIR)
		mb->policy = FAIR;
	else
		mb->policy = PLAIN;
	if (mb->policy == DROP_OLDEST)
		INIT_LIST_HEAD(&mb->arrival_list);
}
