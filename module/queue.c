// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages inside a mailbox: order and selection. The caller holds mailbox.lock.
 */
#include "lifespan.h"
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

/* ---- segments ------------------------------------------------------------ */

/**
 * struct place - a place in the tree of leaders
 * @link: where a new leader would be
 * @parent: its parent
 * @highest: whether it would be the first one
 * @equal: a leader of the rank has that arrival number
 */
struct place {
	struct rb_node **link;
	struct rb_node *parent;
	bool highest;
	bool equal;
};

/* The leader of the last segment of a rank that begins before @until, or NULL. */
static struct mbx_message *find_segment(struct mbx_queue *queue, u32 rank, u64 until,
					struct place *place)
{
	struct mbx_message *leader, *found = NULL;
	u32 other;

	*place = (struct place){
		.link = &queue->leaders.rb_root.rb_node,
		.highest = true,
	};
	while (*place->link) {
		place->parent = *place->link;
		leader = rb_entry(place->parent, struct mbx_message, rb);
		other = mbx_queue_rank(queue, leader);
		if (rank > other || (rank == other && until <= leader->arrival)) {
			if (rank == other && until == leader->arrival)
				place->equal = true;
			place->link = &place->parent->rb_left;
			continue;
		}
		if (rank == other)
			found = leader;
		place->link = &place->parent->rb_right;
		place->highest = false;
	}
	return found;
}

/* The last message of a segment. */
static struct mbx_message *last_of(struct mbx_message *leader)
{
	return list_prev_entry(leader, node);
}

static void link_leader(struct mbx_queue *queue, struct mbx_message *msg,
			const struct place *place)
{
	rb_link_node(&msg->rb, place->parent, place->link);
	rb_insert_color_cached(&msg->rb, &queue->leaders, place->highest);
}

/*
 * The arrival numbers of a rank rise strictly, or segments would be cut in the wrong
 * place. So a message for which there is no gap goes in front of its rank: it left the
 * queue before the first message went on lease.
 */
static void insert_by_arrival(struct mbx_queue *queue, struct mbx_message *msg)
{
	const u32 rank = mbx_queue_rank(queue, msg);
	struct mbx_message *leader, *first;
	struct place place;

	leader = find_segment(queue, rank, msg->arrival, &place);
	if (place.equal || (leader && last_of(leader)->arrival >= msg->arrival)) {
		leader = find_segment(queue, rank, 0, &place);
		/* The leader of the first segment is the one that follows. */
		first = place.parent ? rb_entry(place.parent, struct mbx_message, rb) : NULL;
		if (first && mbx_queue_rank(queue, first) != rank)
			first = mbx_queue_next_leader(first);
		if (!WARN_ON_ONCE(!first))
			msg->arrival = first->arrival - 1;
	}
	link_leader(queue, msg, &place);
	INIT_LIST_HEAD(&msg->node);
	/* Others of its rank that are behind it may be on lease. */
	msg->flags |= MBX_MSG_SEALED;
}

/* Add a message that has just been accepted to a queue with segments. */
static void add_parted(struct mbx_queue *queue, struct mbx_message *msg)
{
	struct mbx_message *leader;
	struct place place;

	msg->flags &= ~MBX_MSG_SEALED;
	leader = find_segment(queue, mbx_queue_rank(queue, msg), U64_MAX, &place);
	if (leader && !(last_of(leader)->flags & MBX_MSG_SEALED)) {
		add_behind(leader, msg);
		return;
	}
	link_leader(queue, msg, &place);
	INIT_LIST_HEAD(&msg->node);
}

/* Make a gap where a message is that is about to be removed from a queue with segments. */
static void leave_gap(struct mbx_queue *queue, struct mbx_message *msg)
{
	struct mbx_message *next = list_next_entry(msg, node);
	struct mbx_message *prev = list_prev_entry(msg, node);
	struct mbx_message *leader, *last;
	struct place place;

	if (mbx_queue_is_leader(msg))
		return;
	prev->flags |= MBX_MSG_SEALED;
	if (mbx_queue_is_leader(next))
		return;
	leader = find_segment(queue, mbx_queue_rank(queue, msg), next->arrival, &place);
	if (WARN_ON_ONCE(!leader))
		return;
	last = last_of(leader);
	link_leader(queue, next, &place);
	/* Cut the circle of @leader to @msg off that of @next to @last. */
	msg->node.next = &leader->node;
	leader->node.prev = &msg->node;
	next->node.prev = &last->node;
	last->node.next = &next->node;
}

/**
 * mbx_queue_seal() - leave a gap for a message that is not in the queue
 * @queue: a queue with segments
 * @msg: a message that arrived after all those of its rank that are in the queue, or that
 *	has a gap already
 */
void mbx_queue_seal(struct mbx_queue *queue, const struct mbx_message *msg)
{
	struct mbx_message *leader;
	struct place place;

	leader = find_segment(queue, mbx_queue_rank(queue, msg), U64_MAX, &place);
	if (leader)
		last_of(leader)->flags |= MBX_MSG_SEALED;
}

/* ---- adding and removing -------------------------------------------------- */

/*
 * A message that goes in front of its rank gets a lower number than those behind it, so
 * that the numbers of a rank always rise.
 */
static void add_in_front(struct mbx_queue *queue, struct mbx_message *leader,
			 struct mbx_message *msg)
{
	if (!queue->blocked_sends && msg->arrival >= leader->arrival)
		msg->arrival = leader->arrival - 1;
	add_as_leader(queue, leader, msg);
}

/* Link a message into a queue. */
static void link_message(struct mbx_queue *queue, struct mbx_message *msg, bool front)
{
	struct mbx_message *leader;

	if (queue->parted && front) {
		insert_by_arrival(queue, msg);
	} else if (queue->parted) {
		add_parted(queue, msg);
	} else {
		leader = find_leader(queue, msg);
		if (leader && front)
			add_in_front(queue, leader, msg);
		else if (leader)
			add_behind(leader, msg);
	}
}

/**
 * mbx_queue_insert() - add a message to any queue
 * @queue: the queue
 * @msg: the message; with @queue->index it has an entry, unless its place is in the
 *	part that is not indexed yet
 * @front: it has been in the queue before: with @queue->parted it goes back to its
 *	place by arrival, otherwise in front of the messages of its rank, not behind them
 *
 * Return: NULL, or the entry of the message if the queue has no index; the caller owns
 * it now, and it is still charged.
 */
struct mbx_entry *mbx_queue_insert(struct mbx_queue *queue,
				   struct mbx_message *msg, bool front)
{
	struct mbx_entry *entry = mbx_message_take_entry(msg);

	link_message(queue, msg, front);
	count_in(queue, msg);
	mbx_lifespan_queued(msg, queue->blocked_sends);
	if (!entry || !queue->index)
		return entry;
	mbx_index_add(queue, entry, msg, front);
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
	if (unlikely(queue->parted)) {
		leave_gap(queue, msg);
		msg->flags &= ~MBX_MSG_SEALED;
	}
	__mbx_queue_remove(queue, msg);
	mbx_lifespan_unqueued(msg);
	if (entry)
		mbx_message_give_entry(msg, entry);
}
