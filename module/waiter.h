/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that wait: which of them is next.
 *
 * Any number of calls can wait at a mailbox, and they are searched under its lock. So
 * each search takes O(log n) steps: for the most urgent call, the most urgent call that
 * a message matches, the call that waits with a message.
 */
#ifndef MBX_WAITER_H
#define MBX_WAITER_H

#include <linux/container_of.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#include "queue.h"

struct mailbox;
struct mbx_lease;
struct mbx_pi_task;
struct mbx_share;
struct mbx_transaction;
struct mbx_tokens;
struct task_struct;

/**
 * enum mbx_place - the list or tree that a waiter is in
 * @MBX_PLACE_NONE: none
 * @MBX_PLACE_RECEIVERS: in mailbox.receivers
 * @MBX_PLACE_CHOOSERS: in mailbox.choosers
 * @MBX_PLACE_PEEKERS: in mailbox.peekers or mailbox.waking
 * @MBX_PLACE_COLLECTORS: a struct mbx_collector
 * @MBX_PLACE_SENDERS: in mailbox.senders
 * @MBX_PLACE_SHARE: in mbx_share.waiters of its user
 * @MBX_PLACE_ACCEPTED: in mailbox.accepted
 */
enum mbx_place {
	MBX_PLACE_NONE,
	MBX_PLACE_RECEIVERS,
	MBX_PLACE_CHOOSERS,
	MBX_PLACE_PEEKERS,
	MBX_PLACE_COLLECTORS,
	MBX_PLACE_SENDERS,
	MBX_PLACE_SHARE,
	MBX_PLACE_ACCEPTED,
};

/**
 * struct mbx_waiter - a call that waits
 * @node: in a tree of waiters; under mailbox.lock
 * @entry: in a list of waiters; under mailbox.lock
 * @accepted: in mailbox.accepted; under mailbox.lock
 * @seq: number of its arrival, kept when it waits again; 0: it has none yet
 * @count: the mailbox's counter of such calls
 * @task: the task; NULL while the call is parked (struct mbx_parked)
 * @prio: scheduling priority when it began to wait; lower is more urgent
 * @place: the list or tree that it is in; under mailbox.lock
 * @done: the call is completed and in no list; set last, with release order, pairs
 *	with the acquire in mbx_sleep_on()
 * @result: 0 or an error; valid once @done is set
 *
 * On the stack of its task, or in its transaction.
 */
struct mbx_waiter {
	union {
		struct rb_node node;
		struct list_head entry;
		struct hlist_node accepted;
	};
	u64 seq;
	u32 *count;
	struct task_struct *task;
	int prio;
	u8 place;
	bool done;
	int result;
};

/**
 * struct mbx_recv_waiter - a call that waits until a message is delivered to it
 * @waiter: the call
 * @best: MBX_PLACE_CHOOSERS: the most urgent waiter of its subtree
 * @max_buf_len: the largest @buf_len of its subtree
 * @buf_len: the longest message that it can receive
 * @flags: MBX_MSG_UNUSUAL of @msg when it was delivered; MBX_MSG_LEASED if @lease is set
 * @msg: the message that was delivered
 * @match: what the call asks for
 * @tokens: tokens of its handle, or NULL
 * @pi_task: MBOX_INHERIT: its task, if it has @tokens
 * @token: token of the request that was delivered, or 0
 * @lease: MBOX_LEASE: the lease for the message, otherwise NULL
 * @own: in @siblings
 * @siblings: MBOX_HANGUP: mbx_leases.waiters of its handle, otherwise NULL
 */
struct mbx_recv_waiter {
	struct mbx_waiter waiter;
	struct mbx_recv_waiter *best;
	u32 max_buf_len;
	u32 buf_len;
	u32 flags;
	struct mbx_message *msg;
	const struct mbx_match *match;
	struct mbx_tokens *tokens;
	struct mbx_pi_task *pi_task;
	u64 token;
	struct mbx_lease *lease;
	struct hlist_node own;
	struct hlist_head *siblings;
};

/**
 * struct mbx_send_waiter - a call that waits with its message
 * @waiter: the call
 * @by_msg: in mailbox.by_msg while the call can be found by @msg; otherwise empty
 * @msg: the message, in mailbox.blocked_sends until it is accepted
 * @txn: the transaction of a request, or NULL
 * @sync: the call waits until @msg is received
 */
struct mbx_send_waiter {
	struct mbx_waiter waiter;
	struct rb_node by_msg;
	struct mbx_message *msg;
	struct mbx_transaction *txn;
	bool sync;
};

/**
 * struct mbx_collector - a call that waits for the end of a call that was started
 * @waiter: the call; @waiter.node is in @tree
 * @tree: collectors of a struct mbx_started or struct mbx_transaction
 * @all: in mailbox.collectors
 */
struct mbx_collector {
	struct mbx_waiter waiter;
	struct rb_root_cached *tree;
	struct list_head all;
};

static inline struct mbx_recv_waiter *mbx_recv_waiter(struct mbx_waiter *w)
{
	return container_of(w, struct mbx_recv_waiter, waiter);
}

static inline struct mbx_collector *mbx_collector(struct mbx_waiter *w)
{
	return container_of(w, struct mbx_collector, waiter);
}

static inline struct mbx_send_waiter *mbx_send_waiter(struct mbx_waiter *w)
{
	return container_of(w, struct mbx_send_waiter, waiter);
}

/* Whether its message was accepted, and so is no longer in mailbox.blocked_sends. */
static inline bool mbx_send_accepted(const struct mbx_send_waiter *w)
{
	return w->waiter.place == MBX_PLACE_ACCEPTED;
}

/* Whether @a comes before @b: it is more urgent, or as urgent and arrived first. */
static inline bool mbx_waiter_before(const struct mbx_waiter *a,
				     const struct mbx_waiter *b)
{
	return a->prio != b->prio ? a->prio < b->prio : a->seq < b->seq;
}

/* The first of two waiters, either of which may be NULL. */
static inline struct mbx_waiter *mbx_waiter_first(struct mbx_waiter *a,
						  struct mbx_waiter *b)
{
	if (!a || !b)
		return a ?: b;
	return mbx_waiter_before(b, a) ? b : a;
}

/* The first waiter of a tree, or NULL. */
static inline struct mbx_waiter *
mbx_waiters_first(const struct rb_root_cached *tree)
{
	struct rb_node *node = rb_first_cached(tree);

	return node ? rb_entry(node, struct mbx_waiter, node) : NULL;
}

/* A call that waits for the end of a call that was started, or NULL. */
struct mbx_waiter *mbx_collector_first(struct mailbox *mb);

/* The first waiter of a list, or NULL. */
static inline struct mbx_waiter *mbx_waiter_in_list(struct list_head *list)
{
	return list_first_entry_or_null(list, struct mbx_waiter, entry);
}

int mbx_waiter_prio(void);
void mbx_waiter_init(struct mbx_waiter *w, u32 *count);
void mbx_waiter_add_receiver(struct mailbox *mb, struct mbx_recv_waiter *w);
void mbx_waiter_add_sender(struct mailbox *mb, struct mbx_send_waiter *w);
void mbx_waiter_add_peeker(struct mailbox *mb, struct mbx_waiter *w);
void mbx_waiter_add_collector(struct mailbox *mb, struct mbx_collector *c,
			      struct rb_root_cached *tree);
void mbx_waiter_accept(struct mailbox *mb, struct mbx_send_waiter *w);
void mbx_waiter_unaccept(struct mailbox *mb, struct mbx_send_waiter *w);
void mbx_waiter_del(struct mailbox *mb, struct mbx_waiter *w);

struct mbx_send_waiter *mbx_waiter_of(struct mailbox *mb,
				      const struct mbx_message *msg);
struct mbx_recv_waiter *mbx_waiter_for(const struct mailbox *mb, u64 type,
				       u32 len);
struct mbx_waiter *mbx_waiter_any_receiver(struct mailbox *mb);

#endif /* MBX_WAITER_H */
