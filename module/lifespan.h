/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lifespans: messages that are dropped when their time is over.
 */
#ifndef MBX_LIFESPAN_H
#define MBX_LIFESPAN_H

#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/rbtree.h>
#include <linux/workqueue.h>

#include "mailbox.h"

/* What a lifespan is charged. */
#define MBX_LIFESPAN_COST 64U

/**
 * struct mbx_lifespan - the lifespan of a message
 * @node: in mbx_lifespans.queued while the message is in a queue; otherwise empty; under
 *	mailbox.lock
 * @end: when it ends, in CLOCK_MONOTONIC
 * @all: the lifespans of the mailbox
 * @msg: the message
 * @blocked: the message is in mailbox.blocked_sends; under mailbox.lock
 */
struct mbx_lifespan {
	struct rb_node node;
	ktime_t end;
	struct mbx_lifespans *all;
	struct mbx_message *msg;
	bool blocked;
};

/**
 * struct mbx_lifespans - the lifespans of a mailbox
 * @mb: the mailbox
 * @queued: those of the messages in its queues, by their end; under mailbox.lock
 * @timer: expires at the first end, or earlier
 * @work: drops the messages, on behalf of @timer
 * @ended: @timer must not be started any more; under mailbox.lock
 */
struct mbx_lifespans {
	struct mailbox *mb;
	struct rb_root_cached queued;
	struct hrtimer timer;
	struct work_struct work;
	bool ended;
};

int mbx_lifespans_make(struct mailbox *mb, work_func_t drop);
void mbx_lifespans_end(struct mailbox *mb);
int mbx_lifespan_attach(struct mbx_message *msg, struct mailbox *mb, ktime_t end, bool unasked);
void __mbx_lifespan_queued(struct mbx_message *msg, bool blocked);
void __mbx_lifespan_unqueued(struct mbx_message *msg);
struct mbx_message *mbx_lifespan_first_over(struct mailbox *mb);
void mbx_lifespans_start_timer(struct mailbox *mb);
u64 __mbx_lifespan_left(const struct mbx_message *msg);

/* When a lifespan of that many nanoseconds ends that begins now; 0: there is none. */
static inline ktime_t mbx_lifespan_from_now(u64 ns)
{
	return likely(!ns) ? 0 : ktime_add_safe(ktime_get(), min_t(u64, ns, KTIME_MAX));
}

/* The lifespan of a message, or NULL. */
static inline struct mbx_lifespan *mbx_lifespan_of(const struct mbx_message *msg)
{
	if (likely(!(msg->flags & MBX_MSG_SPECIAL)))
		return NULL;
	return mbx_ext((struct mbx_message *)msg)->lifespan;
}

/* A message was added to a queue. */
static inline void mbx_lifespan_queued(struct mbx_message *msg, bool blocked)
{
	if (unlikely(mbx_lifespan_of(msg)))
		__mbx_lifespan_queued(msg, blocked);
}

/* A message was removed from its queue. */
static inline void mbx_lifespan_unqueued(struct mbx_message *msg)
{
	if (unlikely(mbx_lifespan_of(msg)))
		__mbx_lifespan_unqueued(msg);
}

/* Whether a message has a lifespan that has ended. */
static inline bool mbx_lifespan_over(const struct mbx_message *msg)
{
	struct mbx_lifespan *lifespan = mbx_lifespan_of(msg);

	return unlikely(lifespan) && lifespan->end <= ktime_get();
}

/* What is left of the lifespan of a message in nanoseconds, at least 1; 0: it has none. */
static inline u64 mbx_lifespan_left(const struct mbx_message *msg)
{
	return likely(!(msg->flags & MBX_MSG_SPECIAL)) ? 0 : __mbx_lifespan_left(msg);
}

#endif /* MBX_LIFESPAN_H */
