// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that copy a message and leave it: peeking, and reading a broadcast.
 *
 * A copy can sleep, so it is made without mailbox.lock. Meanwhile the message can
 * leave the mailbox. Then the last call that copies it frees it.
 */
#include "peek.h"
#include "poller.h"
#include "share.h"

/* Whether a neighbour in mailbox.peeks has the same message. */
static bool is_peek_at(const struct rb_node *node,
		       const struct mbx_message *msg)
{
	return node && rb_entry(node, struct mbx_peek, node)->msg == msg;
}

/**
 * mbx_peek_begin() - keep a message from being freed
 * @mb: the mailbox
 * @peek: to be initialized; mbx_peek_end() ends it
 * @msg: the message
 */
void mbx_peek_begin(struct mailbox *mb, struct mbx_peek *peek,
		    struct mbx_message *msg)
{
	struct rb_node **link = &mb->peeks.rb_node, *parent = NULL;

	lockdep_assert_held(&mb->lock);
	while (*link) {
		parent = *link;
		if (msg < rb_entry(parent, struct mbx_peek, node)->msg)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	peek->msg = msg;
	rb_link_node(&peek->node, parent, link);
	rb_insert_color(&peek->node, &mb->peeks);
	if (!(msg->flags & MBX_MSG_PEEKED)) {
		msg->flags |= MBX_MSG_PEEKED;
		mbx_share_peeked(msg, true);
	}
}

/**
 * mbx_peek_end() - undo mbx_peek_begin()
 * @mb: the mailbox
 * @peek: the argument of mbx_peek_begin()
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_peek_end(struct mailbox *mb, struct mbx_peek *peek)
{
	struct mbx_message *msg = peek->msg;
	struct mbx_deferred deferred;

	mbx_deferred_init(&deferred);
	/* Whoever peeked may go on to wait for another message. */
	deferred.waits = true;
	spin_lock(&mb->lock);
	/* In the tree, entries with the same message are neighbours. */
	if (!is_peek_at(rb_prev(&peek->node), msg) &&
	    !is_peek_at(rb_next(&peek->node), msg)) {
		if (mbx_share_peeked(msg, false)) {
			/* A send can drop this message now. */
			mbx_queue_events(mb, MBX_POLL_OUT, &deferred);
			deferred.everyone = true;
		}
		msg->flags &= ~MBX_MSG_PEEKED;
		if (mbx_message_released(msg))
			mbx_defer_release(mb, msg, &deferred);
	}
	rb_erase(&peek->node, &mb->peeks);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
}

/**
 * mbx_defer_release() - free a message once that is possible
 * @mb: the mailbox
 * @msg: the message, which is in no queue
 * @deferred: to be flushed without the lock; frees the message, unless a call peeks
 *	at it: then the last such call frees it
 */
void mbx_defer_release(struct mailbox *mb, struct mbx_message *msg,
		       struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	if (unlikely(msg->flags & MBX_MSG_PEEKED)) {
		msg->flags |= MBX_MSG_RELEASED;
		return;
	}
	msg->node.next = deferred->garbage;
	deferred->garbage = &msg->node;
}
