/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages in the order in which they are received: highest priority first,
 * first-in first-out within one.
 *
 * The messages of one priority form a ring. The first of them, the leader, is
 * in a tree of the priorities in use, with the highest cached. So a queue
 * allocates nothing, and only the number of different priorities in it, never
 * its depth, has a share in the cost.
 */
#ifndef MBOX_QUEUE_H
#define MBOX_QUEUE_H

#include <linux/mbox.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#include "message.h"

#define MBOX_MATCH_FLAGS (MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE)

/**
 * struct mbox_queue - messages in order
 * @leaders: first message of each priority, highest first
 * @bytes: payload of all
 * @count: number of messages
 *
 * All under the lock of the mailbox that it is part of.
 */
struct mbox_queue {
	struct rb_root_cached leaders;
	u64 bytes;
	u32 count;
};

/**
 * struct mbox_match - which message a receiver asks for
 * @type: what to compare with
 * @flags: MBOX_MATCH, MBOX_MATCH_NOT or MBOX_MATCH_LE; 0: any message
 * @skip: matching messages to look past
 */
struct mbox_match {
	u64 type;
	u32 flags;
	u32 skip;
};

bool mbox_match(const struct mbox_match *match, const struct mbox_message *msg);
struct mbox_message *__mbox_queue_find(const struct mbox_queue *queue,
				       const struct mbox_match *match,
				       u32 *skip);
void __mbox_queue_add(struct mbox_queue *queue, struct mbox_message *msg);
void mbox_queue_add_last(struct mbox_queue *queue, struct mbox_message *msg);
void mbox_queue_add_front(struct mbox_queue *queue, struct mbox_message *msg);
void mbox_queue_add_offer(struct mbox_queue *queue, struct mbox_message *msg,
			  bool front);
void mbox_queue_remove(struct mbox_queue *queue, struct mbox_message *msg);

static inline struct mbox_message *mbox_queue_first(const struct mbox_queue *queue)
{
	struct rb_node *node = rb_first_cached(&queue->leaders);

	return node ? rb_entry(node, struct mbox_message, rb) : NULL;
}

/**
 * mbox_queue_add() - add a message behind those of its priority
 * @queue: the queue
 * @msg: the message
 */
static inline void mbox_queue_add(struct mbox_queue *queue,
				  struct mbox_message *msg)
{
	if (queue->count) {
		__mbox_queue_add(queue, msg);
		return;
	}
	rb_link_node(&msg->rb, NULL, &queue->leaders.rb_root.rb_node);
	rb_insert_color_cached(&msg->rb, &queue->leaders, true);
	INIT_LIST_HEAD(&msg->node);
	queue->bytes = msg->len;
	queue->count = 1;
}

/**
 * mbox_queue_find() - the message that a receiver gets
 * @queue: where to look
 * @match: what it asks for
 * @skip: how many matching messages to look past; counted down
 *
 * Without a condition this is the first message. With one it looks at every
 * message up to the first that fits (at all of them for MBOX_MATCH_LE), as
 * msgrcv(2) does.
 *
 * Return: the message, which stays in the queue, or NULL.
 */
static inline struct mbox_message *
mbox_queue_find(const struct mbox_queue *queue, const struct mbox_match *match,
		u32 *skip)
{
	if (likely(!(match->flags & MBOX_MATCH_FLAGS) && !*skip))
		return mbox_queue_first(queue);
	return __mbox_queue_find(queue, match, skip);
}

#endif /* MBOX_QUEUE_H */
