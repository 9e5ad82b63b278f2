// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages inside a mailbox: order and selection. The caller holds the lock
 * of the mailbox that the queue is part of.
 */
#include "queue.h"

static bool is_leader(const struct mbox_message *msg)
{
	return !RB_EMPTY_NODE(&msg->rb);
}

/**
 * mbox_match() - whether a receiver asks for this message
 * @match: what it asks for; @match->skip has no part in this
 * @msg: the message
 */
bool mbox_match(const struct mbox_match *match, const struct mbox_message *msg)
{
	if (likely(!(match->flags & MBOX_MATCH_FLAGS)))
		return true;
	if (match->flags & MBOX_MATCH_NOT)
		return msg->type != match->type;
	if (match->flags & MBOX_MATCH_LE)
		return msg->type <= match->type;
	return msg->type == match->type;
}

/* The message that is received after @msg, or NULL. */
static struct mbox_message *next_message(struct mbox_message *msg)
{
	struct mbox_message *next = list_next_entry(msg, node);
	struct rb_node *node;

	if (!is_leader(next))
		return next;
	node = rb_next(&next->rb);
	return node ? rb_entry(node, struct mbox_message, rb) : NULL;
}

/* mbox_queue_find() where there is a condition. */
struct mbox_message *__mbox_queue_find(const struct mbox_queue *queue,
				       const struct mbox_match *match,
				       u32 *skip)
{
	struct mbox_message *msg = mbox_queue_first(queue);
	struct mbox_message *lowest = NULL;

	for (; msg; msg = next_message(msg)) {
		if (!mbox_match(match, msg))
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

static void count_in(struct mbox_queue *queue, struct mbox_message *msg)
{
	queue->bytes += msg->len;
	queue->count++;
}

/*
 * The leader of the priority of @msg. Where there is none, @msg becomes it and
 * NULL is returned.
 */
static struct mbox_message *find_leader(struct mbox_queue *queue,
					struct mbox_message *msg)
{
	struct rb_node **link = &queue->leaders.rb_root.rb_node;
	struct mbox_message *leader = mbox_queue_first(queue);
	struct rb_node *parent = NULL;
	bool highest = true;

	if (likely(leader && leader->prio == msg->prio))
		return leader;
	while (*link) {
		parent = *link;
		leader = rb_entry(parent, struct mbox_message, rb);
		if (leader->prio == msg->prio)
			return leader;
		if (msg->prio > leader->prio) {
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

static void add_as_leader(struct mbox_queue *queue, struct mbox_message *leader,
			  struct mbox_message *msg)
{
	list_add_tail(&msg->node, &leader->node);
	rb_replace_node_cached(&leader->rb, &msg->rb, &queue->leaders);
	RB_CLEAR_NODE(&leader->rb);
}

/* mbox_queue_add() to a queue that is not empty. */
void __mbox_queue_add(struct mbox_queue *queue, struct mbox_message *msg)
{
	struct mbox_message *leader = find_leader(queue, msg);

	if (leader) {
		RB_CLEAR_NODE(&msg->rb);
		list_add_tail(&msg->node, &leader->node);
	}
	count_in(queue, msg);
}

/**
 * mbox_queue_add_last() - add a message behind all others
 * @queue: a queue in which messages are in the order of their arrival, each a
 *	leader, whatever their priorities
 * @msg: the message
 */
void mbox_queue_add_last(struct mbox_queue *queue, struct mbox_message *msg)
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
 * mbox_queue_add_front() - add a message in front of those of its priority
 * @queue: the queue
 * @msg: the message
 */
void mbox_queue_add_front(struct mbox_queue *queue, struct mbox_message *msg)
{
	struct mbox_message *leader = find_leader(queue, msg);

	if (leader)
		add_as_leader(queue, leader, msg);
	count_in(queue, msg);
}

/**
 * mbox_queue_add_offer() - add the message of a sender that waits
 * @queue: the offers of a mailbox
 * @msg: the message, with the scheduling priority of its sender in @msg->wprio
 * @front: before, not behind, those of equal standing
 *
 * Within one message priority, offers are in the order in which their senders
 * are to be woken.
 */
void mbox_queue_add_offer(struct mbox_queue *queue, struct mbox_message *msg,
			  bool front)
{
	/* The first standing that has to come behind. */
	unsigned int behind = msg->wprio + !front;
	struct mbox_message *leader = find_leader(queue, msg);
	struct mbox_message *pos;

	count_in(queue, msg);
	if (!leader)
		return;
	if (leader->wprio >= behind) {
		add_as_leader(queue, leader, msg);
		return;
	}
	pos = list_prev_entry(leader, node);
	while (pos->wprio >= behind)
		pos = list_prev_entry(pos, node);
	RB_CLEAR_NODE(&msg->rb);
	list_add(&msg->node, &pos->node);
}

/**
 * mbox_queue_remove() - take a message out
 * @queue: the queue
 * @msg: a message in it
 */
void mbox_queue_remove(struct mbox_queue *queue, struct mbox_message *msg)
{
	struct mbox_message *next;

	if (queue->count == 1) {
		queue->leaders = RB_ROOT_CACHED;
		queue->bytes = 0;
		queue->count = 0;
		return;
	}
	if (is_leader(msg)) {
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
