// SPDX-License-Identifier: GPL-2.0-only
/*
 * The history of a broadcast mailbox.
 *
 * A message that every handle has received leaves mailbox.stored: its place is free, its
 * files are closed, and its sender is not charged any more. So what stays for later
 * handles is a copy, which is charged to the creator of the mailbox. The copy takes the
 * number of the message, and so the positions of readers continue from the copies into
 * mailbox.stored (reader.c).
 *
 * The copy is made just before the message is stored. Only the last messages need one: a
 * message that is not one of them any more gives its copy up. Of the messages of senders
 * that wait for room, no more have one than of the last messages, whatever their number:
 * others must not use up the creator's limit. A message that is stored without a copy gets
 * it from the first receiver.
 */
#include <linux/slab.h>

#include "history.h"
#include "limits.h"
#include "message.h"

/**
 * mbx_history_new() - make the history of a new mailbox
 * @limit: how many messages a new handle gets first
 *
 * Return: the history, or NULL when there is no memory.
 */
struct mbx_history *mbx_history_new(u32 limit)
{
	struct mbx_history *history = kzalloc(sizeof(*history), GFP_KERNEL_ACCOUNT);

	if (!history)
		return NULL;
	history->limit = limit;
	history->kept.leaders = RB_ROOT_CACHED;
	return history;
}

/**
 * mbx_history_copy() - copy a message
 * @mb: a mailbox with a history
 * @msg: the message, which is in no queue, or which the caller peeks at
 *
 * Context: Process context, may sleep.
 * Return: the copy, or NULL: there is no memory for it, or the limit of the creator has
 * no room.
 */
struct mbx_message *mbx_history_copy(struct mailbox *mb, struct mbx_message *msg)
{
	return mbx_message_copy(msg, mb->user);
}

/**
 * mbx_history_queues_copy() - whether one more message that waits for room may have a copy
 * @mb: a mailbox with a history
 */
bool mbx_history_queues_copy(const struct mailbox *mb)
{
	lockdep_assert_held(&mb->lock);
	return mb->blocked_sends.count < mb->history->limit;
}

/**
 * mbx_history_lacks_copy() - whether a message is one of the last and has no copy
 * @mb: a mailbox with MBOX_BROADCAST
 * @msg: a message that was stored and may have left mailbox.stored, or a copy
 */
bool mbx_history_lacks_copy(const struct mailbox *mb, struct mbx_message *msg)
{
	const struct mbx_message_ext *ext = mbx_ext(msg);

	lockdep_assert_held(&mb->lock);
	/* The numbers of mailbox.stored are the last ones. */
	return mb->history && !ext->payer && !ext->copy &&
	       mb->next_seq - ext->seq <= min(mb->history->limit, mb->stored.count);
}

/**
 * mbx_history_take_copy() - a message leaves mailbox.stored, and its copy takes its place
 * @mb: a mailbox with a history
 * @msg: the message, with its number, which every handle has received
 *
 * Return: the copy, or NULL if there is none.
 */
struct mbx_message *mbx_history_take_copy(struct mailbox *mb, struct mbx_message *msg)
{
	struct mbx_message_ext *ext = mbx_ext(msg);
	struct mbx_message *copy = ext->copy;

	lockdep_assert_held(&mb->lock);
	if (!copy)
		return NULL;
	ext->copy = NULL;
	copy->arrival = msg->arrival;
	mbx_ext(copy)->seq = ext->seq;
	mbx_ext(copy)->cursors = 0;
	mbx_ext(copy)->choosers = 0;
	mbx_queue_add_last(&mb->history->kept, copy);
	return copy;
}

/**
 * mbx_history_gap() - what was kept cannot be received any more
 * @mb: a mailbox with a history; no handle reads it
 * @first: number of the first message that can be
 */
void mbx_history_gap(struct mailbox *mb, u64 first)
{
	lockdep_assert_held(&mb->lock);
	WARN_ON_ONCE(mb->history->late);
	mb->history->first = first;
}

/**
 * mbx_history_trim() - remove a copy that no handle can get any more
 * @mb: a mailbox with a history
 *
 * Return: the copy, which the caller releases, or NULL when there is none.
 */
struct mbx_message *mbx_history_trim(struct mailbox *mb)
{
	struct mbx_history *history = mb->history;
	struct mbx_message *copy = mbx_queue_first(&history->kept);
	struct mbx_message_ext *ext;

	lockdep_assert_held(&mb->lock);
	if (!copy)
		return NULL;
	ext = mbx_ext(copy);
	if (ext->seq >= history->first) {
		/* One of the last, or the next one of some handle. */
		if (mb->next_seq - ext->seq <= history->limit || ext->cursors)
			return NULL;
		history->first = ext->seq + 1;
	}
	mbx_queue_remove(&history->kept, copy);
	return copy;
}
