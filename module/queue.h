/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages in the order in which they are received: highest rank first, and
 * first-in first-out within a rank. The rank of a message is its priority.
 *
 * The messages of one rank form a circular list. The first of them, the leader, is in
 * a tree of the ranks in use, which caches the highest. So a queue allocates nothing,
 * and the cost depends on the number of different ranks, not on the depth.
 *
 * A message that was on lease goes back to its place, by its arrival number. A list has no
 * way to find that place. So the messages of a rank can have several such lists (segments),
 * whose leaders are in the tree in the order of arrival, and a message that is removed
 * leaves a gap between two segments: a message behind it becomes a leader. If there is
 * none yet, the message before it is sealed (MBX_MSG_SEALED), and the next message of the
 * rank becomes a leader. Queues do so (@parted) only while messages are on lease, and until
 * they are empty.
 *
 * In mailbox.blocked_sends, the rank also includes the scheduling priority of the
 * sender.
 */
#ifndef MBX_QUEUE_H
#define MBX_QUEUE_H

#include <linux/mbox.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#include "index.h"
#include "message.h"

#define MBX_MATCH_FLAGS (MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE)

/**
 * struct mbx_queue - messages in order
 * @leaders: first message of each rank, highest rank first
 * @index: finds messages other than the first; NULL until a receiver asks for one
 * @bytes: payload of all messages
 * @count: number of messages
 * @highest: the highest @count so far
 * @parted: whether a rank can have several segments
 * @blocked_sends: whether it is mailbox.blocked_sends; constant
 *
 * Under mailbox.lock.
 */
struct mbx_queue {
	struct rb_root_cached leaders;
	struct mbx_index *index;
	u64 bytes;
	u32 count;
	u32 highest;
	bool parted;
	bool blocked_sends;
};

/**
 * struct mbx_match - which message a receiver asks for
 * @type: the type to compare with
 * @flags: MBOX_MATCH, MBOX_MATCH_NOT or MBOX_MATCH_LE; 0: any message
 * @skip: how many matching messages to skip
 */
struct mbx_match {
	u64 type;
	u32 flags;
	u32 skip;
};

bool mbx_match(const struct mbx_match *match, const struct mbx_message *msg);
bool mbx_queue_can_find(const struct mbx_queue *queue);
struct mbx_message *__mbx_queue_find(const struct mbx_queue *queue,
				     const struct mbx_match *match,
				     u32 *skip);
void __mbx_queue_add(struct mbx_queue *queue, struct mbx_message *msg);
void mbx_queue_add_last(struct mbx_queue *queue, struct mbx_message *msg);
struct mbx_entry *mbx_queue_insert(struct mbx_queue *queue,
				   struct mbx_message *msg, bool front);
void mbx_queue_unlink(struct mbx_queue *queue, struct mbx_message *msg);
void mbx_queue_remove(struct mbx_queue *queue, struct mbx_message *msg);
void mbx_queue_seal(struct mbx_queue *queue, const struct mbx_message *msg);

/* The rank of a message in a queue. */
static inline u32 mbx_queue_rank(const struct mbx_queue *queue,
				 const struct mbx_message *msg)
{
	return queue->blocked_sends ? msg->prio << 8 | (U8_MAX - msg->wprio) : msg->prio;
}

/**
 * mbx_is_first_wanted() - whether a receiver asks for the first message
 * @match: what it asks for
 */
static inline bool mbx_is_first_wanted(const struct mbx_match *match)
{
	return likely(!(match->flags & MBX_MATCH_FLAGS) && !match->skip);
}

static inline struct mbx_message *mbx_queue_first(const struct mbx_queue *queue)
{
	struct rb_node *node = rb_first_cached(&queue->leaders);

	return node ? rb_entry(node, struct mbx_message, rb) : NULL;
}

static inline bool mbx_queue_is_leader(const struct mbx_message *msg)
{
	return !RB_EMPTY_NODE(&msg->rb);
}

/* The leader behind another in the order of a queue, or NULL. */
static inline struct mbx_message *mbx_queue_next_leader(struct mbx_message *leader)
{
	struct rb_node *node = rb_next(&leader->rb);

	return node ? rb_entry(node, struct mbx_message, rb) : NULL;
}

/**
 * mbx_queue_next() - the message behind another in the order of a queue
 * @msg: a message in the queue
 *
 * Return: the next message, or NULL.
 */
static inline struct mbx_message *mbx_queue_next(struct mbx_message *msg)
{
	struct mbx_message *next = list_next_entry(msg, node);

	return mbx_queue_is_leader(next) ? mbx_queue_next_leader(next) : next;
}

/**
 * mbx_queue_add() - add a message behind those of its priority
 * @queue: a queue without an index, not mailbox.blocked_sends
 * @msg: the message
 */
static inline void mbx_queue_add(struct mbx_queue *queue,
				 struct mbx_message *msg)
{
	if (queue->count) {
		__mbx_queue_add(queue, msg);
		return;
	}
	rb_link_node(&msg->rb, NULL, &queue->leaders.rb_root.rb_node);
	rb_insert_color_cached(&msg->rb, &queue->leaders, true);
	INIT_LIST_HEAD(&msg->node);
	queue->bytes = msg->len;
	queue->count = 1;
	if (unlikely(!queue->highest))
		queue->highest = 1;
}

/**
 * __mbx_queue_remove() - remove a message
 * @queue: a queue without an index
 * @msg: a message in it
 */
static inline void __mbx_queue_remove(struct mbx_queue *queue, struct mbx_message *msg)
{
	if (queue->count > 1) {
		mbx_queue_unlink(queue, msg);
		return;
	}
	queue->leaders = RB_ROOT_CACHED;
	queue->bytes = 0;
	queue->count = 0;
}

/**
 * mbx_queue_find() - find the message that a receiver asks for
 * @queue: the queue; mbx_queue_can_find() must have returned true, unless
 *	the receiver asks for the first message
 * @match: what it asks for
 * @skip: how many matching messages to skip; counted down
 *
 * With a type, the message is selected as by msgrcv(2).
 *
 * Return: the message, which stays in the queue, or NULL.
 */
static inline struct mbx_message *
mbx_queue_find(const struct mbx_queue *queue, const struct mbx_match *match,
	       u32 *skip)
{
	if (likely(!(match->flags & MBX_MATCH_FLAGS) && !*skip))
		return mbx_queue_first(queue);
	return __mbx_queue_find(queue, match, skip);
}

#endif /* MBX_QUEUE_H */
