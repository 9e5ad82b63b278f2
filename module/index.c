// SPDX-License-Identifier: GPL-2.0-only
/*
 * Indexes of queues.
 *
 * An index has two trees, one in the order of the queue and one by type. Each node
 * counts the nodes of its subtree. So it takes O(log n) steps to find the k-th message
 * or the k-th of a type, or to count the messages of a type before another message.
 * To find the k-th message that is not of a type, each of O(log n) steps needs such a
 * count: O(log n) times O(log n).
 *
 * A third tree finds the entry of a message, since the header has no space for a
 * pointer to it. Only a message that is in no queue has the pointer (MBX_MSG_ENTRY).
 *
 * An index is built while the mailbox is in use, a few messages at a time, from the
 * first message to the last. New messages are added to it from the beginning, so
 * their senders allocate entries. Those of older messages are charged to the user that
 * asks for the index: if they were charged to the senders, a receiver could bring each
 * sender over its limit.
 *
 * Within a rank, stored messages are in the order of their arrival numbers. The messages
 * of blocked sends have none yet. There the numbers of messages that are older than the
 * index are between those of messages that are put back in front and those of new ones.
 */
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/rbtree_augmented.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "index.h"
#include "mailbox.h"
#include "queue.h"

/* Start of the numbers: put back in front, older than the index, and new. */
#define FRONT_START (-(1LL << 62))
#define OLD_START (-(1LL << 61))
#define BACK_START 0

/* How many messages are added in one hold of the lock. */
#define ADD_AT_ONCE 8
/* How many messages are visited in one hold of the lock. */
#define STEPS_AT_ONCE 30

/* ---- trees that count ---------------------------------------------------- */

static struct mbx_entry *order_entry(const struct rb_node *node)
{
	return rb_entry_safe(node, struct mbx_entry, by_order);
}

static struct mbx_entry *type_entry(const struct rb_node *node)
{
	return rb_entry_safe(node, struct mbx_entry, by_type);
}

static u32 order_count(const struct rb_node *node)
{
	return node ? order_entry(node)->norder : 0;
}

static u32 type_count(const struct rb_node *node)
{
	return node ? type_entry(node)->ntype : 0;
}

static bool update_order(struct mbx_entry *entry, bool exit)
{
	u32 n = 1 + order_count(entry->by_order.rb_left) +
		order_count(entry->by_order.rb_right);

	if (exit && entry->norder == n)
		return true;
	entry->norder = n;
	return false;
}

static bool update_type(struct mbx_entry *entry, bool exit)
{
	u32 n = 1 + type_count(entry->by_type.rb_left) +
		type_count(entry->by_type.rb_right);

	if (exit && entry->ntype == n)
		return true;
	entry->ntype = n;
	return false;
}

RB_DECLARE_CALLBACKS(static, order_callbacks, struct mbx_entry, by_order,
		     norder, update_order);
RB_DECLARE_CALLBACKS(static, type_callbacks, struct mbx_entry, by_type,
		     ntype, update_type);

/* Whether @a is before @b in the queue. */
static bool before(const struct mbx_entry *a, const struct mbx_entry *b)
{
	return a->rank != b->rank ? a->rank > b->rank : a->seq < b->seq;
}

static bool type_before(const struct mbx_entry *a, const struct mbx_entry *b)
{
	if (a->msg->type != b->msg->type)
		return a->msg->type < b->msg->type;
	return before(a, b);
}

static void link_by_order(struct mbx_index *index, struct mbx_entry *entry)
{
	struct rb_node **link = &index->by_order.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		order_entry(parent)->norder++;
		if (before(entry, order_entry(parent)))
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	entry->norder = 1;
	rb_link_node(&entry->by_order, parent, link);
	rb_insert_augmented(&entry->by_order, &index->by_order,
			    &order_callbacks);
}

static void link_by_type(struct mbx_index *index, struct mbx_entry *entry)
{
	struct rb_node **link = &index->by_type.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		type_entry(parent)->ntype++;
		if (type_before(entry, type_entry(parent)))
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	entry->ntype = 1;
	rb_link_node(&entry->by_type, parent, link);
	rb_insert_augmented(&entry->by_type, &index->by_type, &type_callbacks);
}

static void link_by_msg(struct mbx_index *index, struct mbx_entry *entry)
{
	struct rb_node **link = &index->by_msg.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (entry->msg < rb_entry(parent, struct mbx_entry, by_msg)->msg)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&entry->by_msg, parent, link);
	rb_insert_color(&entry->by_msg, &index->by_msg);
}

static struct mbx_entry *find_entry(const struct mbx_index *index,
				    const struct mbx_message *msg)
{
	struct rb_node *node = index->by_msg.rb_node;
	struct mbx_entry *entry;

	while (node) {
		entry = rb_entry(node, struct mbx_entry, by_msg);
		if (entry->msg == msg)
			return entry;
		node = msg < entry->msg ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/* ---- adding and removing ------------------------------------------------- */

static void add(struct mbx_index *index, struct mbx_entry *entry,
		struct mbx_message *msg, u32 rank, s64 seq)
{
	entry->msg = msg;
	entry->rank = rank;
	entry->seq = seq;
	link_by_order(index, entry);
	link_by_type(index, entry);
	link_by_msg(index, entry);
}

/**
 * mbx_index_add() - add a message to the index of a queue
 * @queue: the queue, which has an index; the caller holds mailbox.lock
 * @entry: the entry for the message
 * @msg: the message, which is in the queue
 * @front: it was put before the messages of its rank, not behind them
 */
void mbx_index_add(struct mbx_queue *queue, struct mbx_entry *entry,
		   struct mbx_message *msg, bool front)
{
	struct mbx_index *index = queue->index;
	s64 seq = msg->arrival;

	if (queue->blocked_sends)
		seq = front ? --index->front : ++index->back;
	add(index, entry, msg, mbx_queue_rank(queue, msg), seq);
}

/**
 * mbx_index_remove() - remove a message from the index
 * @index: the index of the queue; the caller holds mailbox.lock
 * @msg: the message
 *
 * Return: its entry, which the caller owns now, or NULL if it has none yet.
 */
struct mbx_entry *mbx_index_remove(struct mbx_index *index,
				   struct mbx_message *msg)
{
	struct mbx_entry *entry = find_entry(index, msg);

	if (!entry)
		return NULL;
	rb_erase_augmented(&entry->by_order, &index->by_order,
			   &order_callbacks);
	rb_erase_augmented(&entry->by_type, &index->by_type, &type_callbacks);
	rb_erase(&entry->by_msg, &index->by_msg);
	return entry;
}

/* ---- finding ------------------------------------------------------------- */

/* The entry with @k entries before it in the queue, or NULL. */
static struct mbx_entry *nth_in_order(const struct mbx_index *index, u32 k)
{
	struct rb_node *node = index->by_order.rb_node;
	u32 left;

	while (node) {
		left = order_count(node->rb_left);
		if (k == left)
			return order_entry(node);
		if (k < left) {
			node = node->rb_left;
		} else {
			k -= left + 1;
			node = node->rb_right;
		}
	}
	return NULL;
}

/* The entry with @k entries before it in the tree of types, or NULL. */
static struct mbx_entry *nth_by_type(const struct mbx_index *index, u32 k)
{
	struct rb_node *node = index->by_type.rb_node;
	u32 left;

	while (node) {
		left = type_count(node->rb_left);
		if (k == left)
			return type_entry(node);
		if (k < left) {
			node = node->rb_left;
		} else {
			k -= left + 1;
			node = node->rb_right;
		}
	}
	return NULL;
}

/*
 * Count the entries of the tree of types that come before those of @type. With @until,
 * also count those of @type that come before @until in the queue.
 */
static u32 count_before(const struct mbx_index *index, u64 type,
			const struct mbx_entry *until)
{
	struct rb_node *node = index->by_type.rb_node;
	const struct mbx_entry *entry;
	u32 n = 0;

	while (node) {
		entry = type_entry(node);
		if (entry->msg->type < type ||
		    (entry->msg->type == type && until &&
		     before(entry, until))) {
			n += type_count(node->rb_left) + 1;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return n;
}

/* Count the messages of a type. */
static u32 count_type(const struct mbx_index *index, u64 type)
{
	u32 behind = type_count(index->by_type.rb_node);

	if (type != U64_MAX)
		behind = count_before(index, type + 1, NULL);
	return behind - count_before(index, type, NULL);
}

/* The entry not of @type with @k such entries before it in the queue, or NULL. */
static struct mbx_entry *nth_other(const struct mbx_index *index, u64 type,
				   u32 k)
{
	u32 base = count_before(index, type, NULL), passed = 0, others;
	struct rb_node *node = index->by_order.rb_node;
	struct mbx_entry *entry;

	while (node) {
		entry = order_entry(node);
		others = passed + order_count(node->rb_left) -
			 (count_before(index, type, entry) - base);
		if (others == k && entry->msg->type != type)
			return entry;
		if (others > k) {
			node = node->rb_left;
		} else {
			passed += order_count(node->rb_left) + 1;
			node = node->rb_right;
		}
	}
	return NULL;
}

/**
 * mbx_index_find() - find the message that a receiver gets
 * @index: the index of the queue; the caller holds mailbox.lock
 * @match: what the receiver asks for
 * @skip: in: how many matching messages to skip; out: how many are left to skip
 *
 * Return: the message, which stays in the queue, or NULL.
 */
struct mbx_message *mbx_index_find(const struct mbx_index *index,
				   const struct mbx_match *match, u32 *skip)
{
	u32 matching = order_count(index->by_order.rb_node);
	struct mbx_entry *entry;

	if (match->flags & MBOX_MATCH_LE && !(match->flags & MBOX_MATCH_NOT)) {
		entry = nth_by_type(index, 0);
		return entry && entry->msg->type <= match->type ? entry->msg : NULL;
	}
	if (match->flags & MBOX_MATCH_NOT)
		matching -= count_type(index, match->type);
	else if (match->flags & MBOX_MATCH)
		matching = count_type(index, match->type);
	if (*skip >= matching) {
		*skip -= matching;
		return NULL;
	}

	if (match->flags & MBOX_MATCH_NOT)
		entry = nth_other(index, match->type, *skip);
	else if (match->flags & MBOX_MATCH)
		entry = nth_by_type(index, *skip + count_before(index,
								match->type, NULL));
	else
		entry = nth_in_order(index, *skip);
	*skip = 0;
	return WARN_ON_ONCE(!entry) ? NULL : entry->msg;
}

/* ---- building ------------------------------------------------------------ */

/* Make sure that the queue has an index, perhaps empty. Return 0 or -ENOMEM. */
static int begin(struct mailbox *mb, struct mbx_queue *queue)
{
	struct mbx_index *index;

	/* Pairs with the WRITE_ONCE() below; checked again there, under the lock. */
	if (READ_ONCE(queue->index))
		return 0;
	index = kzalloc(sizeof(*index), GFP_KERNEL_ACCOUNT);
	if (!index)
		return -ENOMEM;
	index->front = FRONT_START;
	index->old = OLD_START;
	index->back = BACK_START;
	spin_lock(&mb->lock);
	if (!queue->index) {
		index->cursor = mbx_queue_first(queue);
		WRITE_ONCE(queue->index, index);
		mb->store_flags |= MBX_STORE_INDEXED;
		index = NULL;
	}
	spin_unlock(&mb->lock);
	kfree(index);
	return 0;
}

/* Add at most @n messages to the index. Return how many of @entries were used. */
static unsigned int add_some(struct mbx_queue *queue,
			     struct mbx_entry *entries[], unsigned int n)
{
	struct mbx_index *index = queue->index;
	unsigned int used = 0, steps;
	struct mbx_message *msg;

	for (steps = 0; steps < STEPS_AT_ONCE && index->cursor; steps++) {
		msg = index->cursor;
		if (!find_entry(index, msg)) {
			if (used == n)
				break;
			add(index, entries[used++], msg, mbx_queue_rank(queue, msg),
			    queue->blocked_sends ? ++index->old : (s64)msg->arrival);
		}
		index->cursor = mbx_queue_next(msg);
	}
	return used;
}

/*
 * Check whether the user of the current process has room for the entries, so that a
 * call that fails does not use up the rest of its limit. Return 0, -ENOMEM or -EDQUOT.
 */
static int check_limit(struct mailbox *mb, const struct mbx_queue *queue)
{
	struct mbx_user *user = mbx_user_get();
	unsigned long n;
	int ret = 0;

	if (!user)
		return -ENOMEM;
	spin_lock(&mb->lock);
	n = queue->count;
	if (queue->index)
		n -= order_count(queue->index->by_order.rb_node);
	spin_unlock(&mb->lock);
	if (n && mbx_lacking(NULL, user, n * MBX_ENTRY_COST) && !mbx_unlimited())
		ret = -EDQUOT;
	mbx_user_put(user);
	return ret;
}

/* Make entries until there are @n. Return how many there are; *@ret: why not more. */
static unsigned int make_entries(struct mbx_entry *entries[], unsigned int have,
				 unsigned int n, int *ret)
{
	struct mbx_entry *entry;

	while (have < n) {
		entry = mbx_entry_new();
		if (IS_ERR(entry)) {
			*ret = PTR_ERR(entry);
			break;
		}
		entries[have++] = entry;
	}
	return have;
}

/* Build the index of a queue. Return 0, -ENOMEM, -EDQUOT or -ERESTARTSYS. */
static int build(struct mailbox *mb, struct mbx_queue *queue)
{
	struct mbx_entry *entries[ADD_AT_ONCE];
	unsigned int n = 0, used;
	int ret, shortage = 0;
	bool more;

	ret = check_limit(mb, queue) ?: begin(mb, queue);
	while (!ret) {
		n = make_entries(entries, n, ADD_AT_ONCE, &shortage);
		spin_lock(&mb->lock);
		used = add_some(queue, entries, n);
		more = queue->index->cursor;
		spin_unlock(&mb->lock);
		/* Move the unused entries to the front. */
		memmove(entries, entries + used, (n - used) * sizeof(*entries));
		n -= used;
		if (!more)
			break;
		if (!used && !n)
			ret = shortage;
		else if (signal_pending(current))
			/* The part of the index that was built stays. */
			ret = -ERESTARTSYS;
		cond_resched();
	}
	while (n)
		mbx_entry_release(entries[--n], NULL);
	return ret;
}

/**
 * mbx_index_build() - build the indexes of a mailbox
 * @mb: the mailbox
 *
 * The index of the blocked sends is built first. Until it is complete, a message that
 * moves from there to the stored messages may have no entry. It then gets one in the
 * same way as messages that are older than the index.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM, -EDQUOT, -ERESTARTSYS.
 */
int mbx_index_build(struct mailbox *mb)
{
	int ret = build(mb, &mb->blocked_sends);

	return ret ?: build(mb, &mb->stored);
}
