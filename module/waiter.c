// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiters: the trees and lists of calls that wait. The caller holds mailbox.lock.
 *
 * Receivers that take any message are in mailbox.receivers, the most urgent one first.
 * Receivers that ask for a type (choosers) are in mailbox.choosers, ordered by what
 * they ask for. Each node knows the most urgent waiter of its subtree, so one descent
 * finds the best of a range of types. In both trees each node knows the longest buffer
 * of its subtree, so a receiver with a large enough buffer is found as fast.
 *
 * Senders that wait for room are in mailbox.senders, or (MBOX_FAIR) in the share of
 * their user. Senders whose message was accepted are in mailbox.accepted, in no order:
 * they are found by their message or their transaction.
 */
#include <linux/bug.h>
#include <linux/rbtree_augmented.h>
#include <linux/sched.h>
#include <linux/sched/rt.h>
#include <linux/string.h>

#include "mailbox.h"
#include "share.h"
#include "waiter.h"

/* How many of the peekers of real-time priority are in order: a bound of the search. */
#define PEEKERS_IN_ORDER 64

/**
 * mbx_waiter_prio() - the priority that the current task would have as a waiter
 *
 * Return: the priority; lower is more urgent.
 */
int mbx_waiter_prio(void)
{
	/*
	 * task_struct.prio is -1 (deadline) to 139, and mbx_message.wprio is unsigned.
	 * Another thread may change the priority concurrently: the value read here
	 * counts for as long as the call waits.
	 */
	return data_race(current->prio) + 1;
}

/**
 * mbx_waiter_init() - the current task is going to wait
 * @w: the call; the structure that contains it has been cleared
 * @count: the mailbox's counter of such calls
 */
void mbx_waiter_init(struct mbx_waiter *w, u32 *count)
{
	w->count = count;
	w->task = current;
	w->prio = mbx_waiter_prio();
}

/* A call begins to wait. If it waits again, it keeps its number and so its position. */
static void arrive(struct mailbox *mb, struct mbx_waiter *w,
		   enum mbx_place place)
{
	lockdep_assert_held(&mb->lock);
	if (!w->seq)
		w->seq = ++mb->arrivals;
	w->place = place;
	++*w->count;
}

static bool waits_before(struct rb_node *a, const struct rb_node *b)
{
	return mbx_waiter_before(rb_entry(a, struct mbx_waiter, node),
				 rb_entry(b, struct mbx_waiter, node));
}

/* ---- receivers --------------------------------------------------------------- */

static struct mbx_recv_waiter *receiver(struct rb_node *node)
{
	return rb_entry(node, struct mbx_recv_waiter, waiter.node);
}

static u32 buf_len_of(const struct mbx_recv_waiter *w)
{
	return w->buf_len;
}

RB_DECLARE_CALLBACKS_MAX(static, buf_len_callbacks, struct mbx_recv_waiter,
			 waiter.node, u32, max_buf_len, buf_len_of);

/* Insert a receiver in the order of scheduling priority, then of arrival. */
static void link_receiver(struct mailbox *mb, struct mbx_recv_waiter *w)
{
	struct rb_node **link = &mb->receivers.rb_root.rb_node, *parent = NULL;
	struct mbx_recv_waiter *other;
	bool first = true;

	w->max_buf_len = w->buf_len;
	while (*link) {
		parent = *link;
		other = receiver(parent);
		if (w->buf_len > other->max_buf_len)
			other->max_buf_len = w->buf_len;
		if (mbx_waiter_before(&w->waiter, &other->waiter)) {
			link = &parent->rb_left;
		} else {
			link = &parent->rb_right;
			first = false;
		}
	}
	rb_link_node(&w->waiter.node, parent, link);
	rb_insert_augmented_cached(&w->waiter.node, &mb->receivers, first,
				   &buf_len_callbacks);
}

static bool subtree_takes(struct rb_node *node, u32 len)
{
	return node && receiver(node)->max_buf_len >= len;
}

/* The first waiter of a subtree whose buffer takes @len bytes, or NULL. */
static struct mbx_recv_waiter *first_that_takes(struct rb_node *node, u32 len)
{
	if (!subtree_takes(node, len))
		return NULL;
	while (subtree_takes(node->rb_left, len) || receiver(node)->buf_len < len)
		node = subtree_takes(node->rb_left, len) ? node->rb_left : node->rb_right;
	return receiver(node);
}

/* ---- receivers that ask for a type ---------------------------------------- */

/* How a chooser compares types. */
enum kind {
	EQUAL,
	UNEQUAL,
	AT_MOST,
};

/**
 * struct choice - key of a chooser in the tree
 * @kind: how it compares types
 * @type: the type that it compares with
 */
struct choice {
	enum kind kind;
	u64 type;
};

static struct choice choice_of(const struct mbx_recv_waiter *w)
{
	u32 flags = w->match->flags;

	return (struct choice){
		.kind = flags & MBOX_MATCH_NOT ? UNEQUAL : flags & MBOX_MATCH_LE ? AT_MOST
										 : EQUAL,
		.type = w->match->type,
	};
}

static int compare(struct choice a, struct choice b)
{
	if (a.kind != b.kind)
		return a.kind < b.kind ? -1 : 1;
	if (a.type != b.type)
		return a.type < b.type ? -1 : 1;
	return 0;
}

/* mbx_waiter_first() for receivers. */
static struct mbx_recv_waiter *first_of(struct mbx_recv_waiter *a,
					struct mbx_recv_waiter *b)
{
	if (!a || !b)
		return a ?: b;
	return mbx_waiter_before(&b->waiter, &a->waiter) ? b : a;
}

static bool update_subtree(struct mbx_recv_waiter *w, bool exit)
{
	struct rb_node *sides[] = {
		w->waiter.node.rb_left,
		w->waiter.node.rb_right,
	};
	struct mbx_recv_waiter *best = w;
	u32 max_buf_len = w->buf_len;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sides); i++) {
		if (!sides[i])
			continue;
		best = first_of(best, receiver(sides[i])->best);
		max_buf_len = max(max_buf_len, receiver(sides[i])->max_buf_len);
	}
	if (exit && w->best == best && w->max_buf_len == max_buf_len)
		return true;
	w->best = best;
	w->max_buf_len = max_buf_len;
	return false;
}

static void propagate(struct rb_node *node, struct rb_node *stop)
{
	while (node != stop && !update_subtree(receiver(node), true))
		node = rb_parent(node);
}

static void copy(struct rb_node *from, struct rb_node *to)
{
	receiver(to)->best = receiver(from)->best;
	receiver(to)->max_buf_len = receiver(from)->max_buf_len;
}

static void rotate(struct rb_node *from, struct rb_node *to)
{
	copy(from, to);
	update_subtree(receiver(from), false);
}

/* RB_DECLARE_CALLBACKS() is for one value only. */
static const struct rb_augment_callbacks chooser_callbacks = {
	.propagate = propagate,
	.copy = copy,
	.rotate = rotate,
};

static void link_chooser(struct mailbox *mb, struct mbx_recv_waiter *w)
{
	struct rb_node **link = &mb->choosers.rb_node, *parent = NULL;
	struct choice choice = choice_of(w);
	struct mbx_recv_waiter *other;
	int order;

	while (*link) {
		parent = *link;
		other = receiver(parent);
		other->best = first_of(other->best, w);
		if (w->buf_len > other->max_buf_len)
			other->max_buf_len = w->buf_len;
		order = compare(choice, choice_of(other));
		if (order < 0 ||
		    (!order && mbx_waiter_before(&w->waiter, &other->waiter)))
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	w->best = w;
	w->max_buf_len = w->buf_len;
	rb_link_node(&w->waiter.node, parent, link);
	rb_insert_augmented(&w->waiter.node, &mb->choosers, &chooser_callbacks);
}

/**
 * struct search - state of a search for a chooser
 * @len: length that its buffer must have at least
 * @best: the most urgent chooser found so far; of a subtree, only the most urgent one
 *	is considered
 * @others: a subtree that has a chooser with such a buffer, though its most urgent one
 *	has a shorter one, or NULL
 */
struct search {
	u32 len;
	struct mbx_recv_waiter *best;
	struct rb_node *others;
};

static void look_at(struct search *search, struct mbx_recv_waiter *w)
{
	if (w->buf_len >= search->len)
		search->best = first_of(search->best, w);
}

static void look_below(struct search *search, struct rb_node *node)
{
	if (!subtree_takes(node, search->len))
		return;
	if (receiver(node)->best->buf_len >= search->len)
		look_at(search, receiver(node)->best);
	else
		search->others = node;
}

/* Search the choosers from @low to @high, both included. */
static void search_between(const struct mailbox *mb, struct search *search,
			   struct choice low, struct choice high)
{
	struct rb_node *node = mb->choosers.rb_node, *side;

	while (node) {
		if (compare(choice_of(receiver(node)), low) < 0)
			node = node->rb_right;
		else if (compare(choice_of(receiver(node)), high) > 0)
			node = node->rb_left;
		else
			break;
	}
	if (!node)
		return;
	look_at(search, receiver(node));
	for (side = node->rb_left; side;) {
		if (compare(choice_of(receiver(side)), low) < 0) {
			side = side->rb_right;
			continue;
		}
		look_at(search, receiver(side));
		look_below(search, side->rb_right);
		side = side->rb_left;
	}
	for (side = node->rb_right; side;) {
		if (compare(choice_of(receiver(side)), high) > 0) {
			side = side->rb_left;
			continue;
		}
		look_at(search, receiver(side));
		look_below(search, side->rb_left);
		side = side->rb_right;
	}
}

/* mbx_waiter_for() for receivers in mailbox.choosers. */
static struct mbx_recv_waiter *chooser_for(const struct mailbox *mb, u64 type,
					   u32 len)
{
	struct search search = { .len = len };

	search_between(mb, &search, (struct choice){ EQUAL, type },
		       (struct choice){ EQUAL, type });
	if (type)
		search_between(mb, &search, (struct choice){ UNEQUAL, 0 },
			       (struct choice){ UNEQUAL, type - 1 });
	if (type != U64_MAX)
		search_between(mb, &search, (struct choice){ UNEQUAL, type + 1 },
			       (struct choice){ UNEQUAL, U64_MAX });
	search_between(mb, &search, (struct choice){ AT_MOST, type },
		       (struct choice){ AT_MOST, U64_MAX });
	return search.best ?: first_that_takes(search.others, len);
}

/**
 * mbx_waiter_for() - find a receiver that waits for a message
 * @mb: the mailbox
 * @type: type of the message
 * @len: length that the buffer of the receiver must have at least; 0: any length
 *
 * Return: the most urgent receiver, or NULL. With @len, a chooser may be returned
 * though it is not the most urgent one with such a buffer, if choosers with shorter
 * buffers come before it.
 */
struct mbx_recv_waiter *mbx_waiter_for(const struct mailbox *mb, u64 type,
				       u32 len)
{
	struct rb_node *first = rb_first_cached(&mb->receivers);
	struct mbx_recv_waiter *w;

	lockdep_assert_held(&mb->lock);
	if (len)
		w = first_that_takes(mb->receivers.rb_root.rb_node, len);
	else
		w = first ? receiver(first) : NULL;
	if (RB_EMPTY_ROOT(&mb->choosers))
		return w;
	return first_of(w, chooser_for(mb, type, len));
}

struct mbx_waiter *mbx_collector_first(struct mailbox *mb)
{
	struct mbx_collector *c;

	lockdep_assert_held(&mb->lock);
	c = list_first_entry_or_null(&mb->collectors, struct mbx_collector, all);
	return c ? &c->waiter : NULL;
}

/**
 * mbx_waiter_any_receiver() - get a call that waits to receive or to peek
 * @mb: the mailbox
 *
 * Return: the call, or NULL.
 */
struct mbx_waiter *mbx_waiter_any_receiver(struct mailbox *mb)
{
	struct mbx_waiter *w = mbx_waiters_first(&mb->receivers);

	lockdep_assert_held(&mb->lock);
	if (!w && !RB_EMPTY_ROOT(&mb->choosers))
		w = &receiver(mb->choosers.rb_node)->best->waiter;
	return w ?: mbx_waiter_in_list(&mb->peekers);
}

/**
 * mbx_waiter_add_receiver() - a call begins to wait for a message
 * @mb: the mailbox
 * @w: the call, with @w->match
 */
void mbx_waiter_add_receiver(struct mailbox *mb, struct mbx_recv_waiter *w)
{
	if (likely(!(w->match->flags & MBX_MATCH_FLAGS))) {
		arrive(mb, &w->waiter, MBX_PLACE_RECEIVERS);
		link_receiver(mb, w);
	} else {
		arrive(mb, &w->waiter, MBX_PLACE_CHOOSERS);
		link_chooser(mb, w);
	}
	if (unlikely(w->siblings))
		hlist_add_head(&w->own, w->siblings);
}

/**
 * mbx_waiter_add_peeker() - a call begins to wait for a message to peek at
 * @mb: the mailbox
 * @w: the call
 *
 * A message wakes all of them, those of real-time priority first, in the order of priority
 * and arrival. Where very many wait, this order is not complete.
 */
void mbx_waiter_add_peeker(struct mailbox *mb, struct mbx_waiter *w)
{
	struct list_head *prev = &mb->peekers;
	struct mbx_waiter *other;
	unsigned int n = 0;

	arrive(mb, w, MBX_PLACE_PEEKERS);
	if (w->prio > MAX_RT_PRIO) {
		list_add_tail(&w->entry, &mb->peekers);
		return;
	}
	list_for_each_entry(other, &mb->peekers, entry) {
		if (n++ == PEEKERS_IN_ORDER || mbx_waiter_before(w, other))
			break;
		prev = &other->entry;
	}
	list_add(&w->entry, prev);
}

/**
 * mbx_waiter_add_collector() - a call begins to wait for the end of a call
 * @mb: the mailbox
 * @c: the waiting call
 * @tree: where it waits
 */
void mbx_waiter_add_collector(struct mailbox *mb, struct mbx_collector *c,
			      struct rb_root_cached *tree)
{
	arrive(mb, &c->waiter, MBX_PLACE_COLLECTORS);
	c->tree = tree;
	rb_add_cached(&c->waiter.node, tree, waits_before);
	list_add_tail(&c->all, &mb->collectors);
}

/* ---- senders -------------------------------------------------------------- */

static struct mbx_send_waiter *by_msg(struct rb_node *node)
{
	return rb_entry(node, struct mbx_send_waiter, by_msg);
}

static void link_by_msg(struct mailbox *mb, struct mbx_send_waiter *w)
{
	struct rb_node **link = &mb->by_msg.rb_node, *parent = NULL;

	if (!RB_EMPTY_NODE(&w->by_msg))
		return;
	while (*link) {
		parent = *link;
		if (w->msg < by_msg(parent)->msg)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&w->by_msg, parent, link);
	rb_insert_color(&w->by_msg, &mb->by_msg);
}

static void unlink_by_msg(struct mailbox *mb, struct mbx_send_waiter *w)
{
	if (RB_EMPTY_NODE(&w->by_msg))
		return;
	rb_erase(&w->by_msg, &mb->by_msg);
	RB_CLEAR_NODE(&w->by_msg);
}

/**
 * mbx_waiter_of() - find the call that waits with a message
 * @mb: the mailbox
 * @msg: a message of mailbox.blocked_sends, or with MBX_MSG_ACK
 *
 * Return: the call, or NULL.
 */
struct mbx_send_waiter *mbx_waiter_of(struct mailbox *mb,
				      const struct mbx_message *msg)
{
	struct rb_node *node = mb->by_msg.rb_node;

	lockdep_assert_held(&mb->lock);
	while (node) {
		if (by_msg(node)->msg == msg)
			return by_msg(node);
		node = msg < by_msg(node)->msg ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static void link_sender(struct mailbox *mb, struct mbx_send_waiter *w)
{
	struct mbx_share *share;

	if (likely(!(mb->flags & MBOX_FAIR))) {
		w->waiter.place = MBX_PLACE_SENDERS;
		rb_add(&w->waiter.node, &mb->senders, waits_before);
	} else {
		share = mbx_ext(w->msg)->share;
		w->waiter.place = MBX_PLACE_SHARE;
		mbx_share_unlist(mb, share);
		rb_add_cached(&w->waiter.node, &share->waiters, waits_before);
		mbx_share_list(mb, share);
	}
}

static void unlink_contender(struct mailbox *mb, struct mbx_send_waiter *w)
{
	struct mbx_share *share = mbx_ext(w->msg)->share;

	mbx_share_unlist(mb, share);
	rb_erase_cached(&w->waiter.node, &share->waiters);
	mbx_share_list(mb, share);
}

/**
 * mbx_waiter_add_sender() - a call begins to wait for room or for a receiver
 * @mb: the mailbox
 * @w: the call, with @w->msg
 */
void mbx_waiter_add_sender(struct mailbox *mb, struct mbx_send_waiter *w)
{
	arrive(mb, &w->waiter, MBX_PLACE_NONE);
	link_by_msg(mb, w);
	link_sender(mb, w);
}

/* Remove a waiter from its tree or list. */
static void leave_place(struct mailbox *mb, struct mbx_waiter *w)
{
	switch (w->place) {
	case MBX_PLACE_RECEIVERS:
		hlist_del_init(&mbx_recv_waiter(w)->own);
		rb_erase_augmented_cached(&w->node, &mb->receivers,
					  &buf_len_callbacks);
		break;
	case MBX_PLACE_CHOOSERS:
		hlist_del_init(&mbx_recv_waiter(w)->own);
		rb_erase_augmented(&w->node, &mb->choosers, &chooser_callbacks);
		break;
	case MBX_PLACE_SENDERS:
		rb_erase(&w->node, &mb->senders);
		break;
	case MBX_PLACE_SHARE:
		unlink_contender(mb, mbx_send_waiter(w));
		break;
	case MBX_PLACE_PEEKERS:
		list_del(&w->entry);
		break;
	case MBX_PLACE_COLLECTORS:
		rb_erase_cached(&w->node, mbx_collector(w)->tree);
		list_del(&mbx_collector(w)->all);
		break;
	case MBX_PLACE_ACCEPTED:
		hlist_del(&w->accepted);
		break;
	}
	w->place = MBX_PLACE_NONE;
}

/**
 * mbx_waiter_accept() - a call begins to wait for the receipt or the reply
 * @mb: the mailbox
 * @w: the call, which waited for room or a receiver before, or did not wait yet
 */
void mbx_waiter_accept(struct mailbox *mb, struct mbx_send_waiter *w)
{
	lockdep_assert_held(&mb->lock);
	if (w->waiter.place == MBX_PLACE_NONE)
		arrive(mb, &w->waiter, MBX_PLACE_NONE);
	else
		leave_place(mb, &w->waiter);
	w->waiter.place = MBX_PLACE_ACCEPTED;
	hlist_add_head(&w->waiter.accepted, &mb->accepted);
	/* A request can be freed while its caller still waits for the reply. */
	if (w->txn)
		unlink_by_msg(mb, w);
	else
		link_by_msg(mb, w);
}

/**
 * mbx_waiter_unaccept() - undo mbx_waiter_accept()
 * @mb: the mailbox
 * @w: the call, which waits for room or a receiver again, in its old position
 */
void mbx_waiter_unaccept(struct mailbox *mb, struct mbx_send_waiter *w)
{
	lockdep_assert_held(&mb->lock);
	leave_place(mb, &w->waiter);
	link_by_msg(mb, w);
	link_sender(mb, w);
}

/**
 * mbx_waiter_del() - a call stops waiting
 * @mb: the mailbox
 * @w: the call
 */
void mbx_waiter_del(struct mailbox *mb, struct mbx_waiter *w)
{
	lockdep_assert_held(&mb->lock);
	if (w->place >= MBX_PLACE_SENDERS)
		unlink_by_msg(mb, mbx_send_waiter(w));
	leave_place(mb, w);
	--*w->count;
}
