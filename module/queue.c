// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages inside a mailbox: order and selection. The caller holds mailbox.lock.
 */
#include "queue.h"

/**
 * mbx_match() - whether a receiver asks for this message
 * @match: what it asks for; @match->skip is ignored
 * @msg: the message
 */
bool mbx_match(const struct mbx_match *match, const struct mbx_message *msg)
{
	if (likely(!(match->flags & MBX_MATCH_FLAGS)))
		return true;
	if (match->flags & MBOX_MATCH_NOT)
		return msg->type != match->type;
	if (match->flags & MBOX_MATCH_LE)
		return msg->type <= match->type;
	return msg->type == match->type;
}

/**
 * mbx_queue_can_find() - whether mbx_queue_find() takes few steps
 * @queue: the queue
 *
 * Return: true if it does; false: mbx_index_build() has to be called first.
 */
bool mbx_queue_can_find(const struct mbx_queue *queue)
{
	return queue->count <= MBX_SCAN_MAX ||
	       (queue->index && !queue->index->cursor);
}

/* mbx_queue_find() for a message other than the first. */
struct mbx_message *__mbx_queue_find(const struct mbx_queue *queue,
				     const struct mbx_match *match,
				     u32 *skip)
{
	struct mbx_message *msg = mbx_queue_first(queue);
	struct mbx_message *lowest = NULL;

	if (queue->count > MBX_SCAN_MAX)
		return mbx_index_find(queue->index, match, skip);
	for (; msg; msg = mbx_queue_next(msg)) {
		if (!mbx_match(match, msg))
			continue;
		if (match->flags & MBOX_MATCH_LE) {
			if (!lowest || msg->type < lowest->type)
				lowest = msg;
			continue;
		}
		if (!*skip)
			return msg;
		--*skip;
	}
	return lowest;
}

static void count_in(struct mbx_queue *queue, struct mbx_message *msg)
{
	queue->bytes += msg->len;
	if (++queue->count > queue->highest)
		queue->highest = queue->count;
}

/*
 * Find the leader of the rank of @msg. If there is none, @msg becomes the leader and
 * the function returns NULL.
 */
static __always_inline struct mbx_message *
find_leader(struct mbx_queue *queue, struct mbx_message *msg)
{
	struct rb_node **link = &queue->leaders.rb_root.rb_node;
	struct mbx_message *leader = mbx_queue_first(queue);
	const u32 rank = mbx_queue_rank(queue, msg);
	struct rb_node *parent = NULL;
	bool highest = true;
	u32 other;

	if (likely(leader && mbx_queue_rank(queue, leader) == rank))
		return leader;
	while (*link) {
		parent = *link;
		leader = rb_entry(parent, struct mbx_message, rb);
		other = mbx_queue_rank(queue, leader);
		if (other == rank)
			return leader;
		if (rank > other) {
			link = &parent->rb_left;
		} else {
			link = &parent->rb_right;
			highest = false;
		}
	}
	rb_link_node(&msg->rb, parent, link);
	rb_insert_color_cached(&msg->rb, &queue->leaders, highest);
	INIT_LIST_HEAD(&msg->node);
	return NULL;
}

static void add_as_leader(struct mbx_queue *queue, struct mbx_message *leader,
			  struct mbx_message *msg)
{
	list_add_tail(&msg->node, &leader->node);
	rb_replace_node_cached(&leader->rb, &msg->rb, &queue->leaders);
	RB_CLEAR_NODE(&leader->rb);
}

static void add_behind(struct mbx_message *leader, struct mbx_message *msg)
{
	RB_CLEAR_NODE(&msg->rb);
	list_add_tail(&msg->node, &leader->node);
}

/* mbx_queue_add() for a queue that is not empty. */
void __mbx_queue_add(struct mbx_queue *queue, struct mbx_message *msg)
{
	struct mbx_message *leader = find_leader(queue, msg);

	if (leader)
		add_behind(leader, msg);
	count_in(queue, msg);
}

/**
 * mbx_queue_add_last() - add a message behind all others
 * @queue: a queue in the order of arrival: each message is a leader, and priorities
 *	do not count
 * @msg: the message
 */
void mbx_queue_add_last(struct mbx_queue *queue, struct mbx_message *msg)
{
	struct rb_node **link = &queue->leaders.rb_root.rb_node;
	struct rb_node *parent = NULL;

	while (*link) {
		parent = *link;
		link = &parent->rb_right;
	}
	rb_link_node(&msg->rb, parent, link);
	rb_insert_color_cached(&msg->rb, &queue->leaders, !parent);
	INIT_LIST_HEAD(&msg->node);
	count_in(queue, msg);
}

/**
 * mbx_queue_insert() - add a message to any queue
 * @queue: the queue
 * @msg: the message; with @queue->index it has an entry, unless its place is in the
 *	part that is not indexed yet
 * @front: add it in front of the messages of its rank, not behind them
 *
 * Return: NULL, or the entry of the message if the queue has no index; the caller owns
 * it now, and it is still charged.
 */
struct mbx_entry *mbx_queue_insert(struct mbx_queue *queue,
				   struct mbx_message *msg, bool front)
{
	struct mbx_entry *entry = mbx_message_take_entry(msg);
	struct mbx_message *leader = find_leader(queue, msg);

	if (leader && front)
		add_as_leader(queue, leader, msg);
	else if (leader)
		add_behind(leader, msg);
	count_in(queue, msg);
	if (!entry || !queue->index)
		return entry;
	mbx_index_add(queue->index, entry, msg, mbx_queue_rank(queue, msg), front);
	return NULL;
}

/* __mbx_queue_remove() for a queue with other messages. */
void mbx_queue_unlink(struct mbx_queue *queue, struct mbx_message *msg)
{
	struct mbx_message *next;

	if (mbx_queue_is_leader(msg)) {
		next = list_next_entry(msg, node);
		if (next == msg)
			rb_erase_cached(&msg->rb, &queue->leaders);
		else
			rb_replace_node_cached(&msg->rb, &next->rb,
					       &queue->leaders);
	}
	list_del(&msg->node);
	queue->bytes -= msg->len;
	queue->count--;
}

/**
 * mbx_queue_remove() - remove a message from any queue
 * @queue: the queue
 * @msg: a message in it
 */
void mbx_queue_remove(struct mbx_queue *queue, struct mbx_message *msg)
{
	struct mbx_index *index = queue->index;
	struct mbx_entry *entry = NULL;

	if (unlikely(index)) {
		if (index->cursor == msg)
			index->cursor = mbx_queue_next(msg);
		entry = mbx_index_remove(index, msg);
	}
	__mbx_queue_remove(queue, msg);
	if (entry)
		mbx_message_give_entry(msg, entry);
}
