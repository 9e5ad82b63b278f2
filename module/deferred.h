/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Deferred work: work that comes up under mailbox.lock and is done after the lock is
 * dropped.
 */
#ifndef MBX_DEFERRED_H
#define MBX_DEFERRED_H

#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/poll.h>
#include <linux/types.h>

#include "mailbox.h"

struct mbx_entry;
struct mbx_registration;
struct mbx_sender;
struct mbx_transaction;
struct mbx_waiter;
struct task_struct;

/* Some calls in mailbox.waking are still to be woken. */
#define MBX_MORE_WAKE 0x01
/* Senders may be waiting although there is room. */
#define MBX_MORE_ADMIT 0x02
/* Calls still wait on a side that was shut down. */
#define MBX_MORE_END 0x04
/* Messages that every reader has received are still stored. */
#define MBX_MORE_TRIM 0x08
/* Receivers still wait that a message was too long for. */
#define MBX_MORE_PASS 0x10
/* There are entries to free. */
#define MBX_MORE_ENTRIES 0x20

/**
 * struct mbx_passed - a message with which receivers with short buffers fail
 * @type: type of the message
 * @prio: scheduling priority of the receiver that gets the message, or INT_MAX
 * @len: length of the message
 * @seq: number of that receiver
 * @last: number of the last call that waited before the message came
 */
struct mbx_passed {
	u64 type;
	int prio;
	u32 len;
	u64 seq;
	u64 last;
};

/**
 * struct mbx_deferred - work to do after mailbox.lock is dropped
 * @garbage: messages to free, a chain of their nodes
 * @reg: NULL, or a notify registration to run; @events is not 0 then
 * @events: poll events to report
 * @everyone: report them to all exclusive waiters too, not to one of them
 * @waits: the current task may wait before it returns to user space, so files in @garbage
 *	are closed by another
 * @wake_sync: the current task is about to sleep and leaves its CPU to @tasks
 * @crowd: there were too many for @tasks: all are woken under the lock
 * @ntasks: entries of @tasks
 * @more: MBX_MORE_*: work that would have taken too long under the lock
 * @work: not 0 if @ntasks or @more is not 0
 * @wake: MBX_MORE_WAKE: the number of the last call of mailbox.waking to wake
 * @passed: MBX_MORE_PASS: the message
 * @tasks: tasks to wake, each with a reference
 * @delivered: MBOX_INHERIT: NULL, or a request that was delivered to one of @tasks,
 *	with a reference; that task is boosted before it is woken
 * @entries: MBX_MORE_ENTRIES: entries to free; calls that wait for as much memory are
 *	told
 * @ended: calls that ended, each with a reference. MBOX_INHERIT: their servers are
 *	deboosted after the callers are woken. Those that were started: their handles are
 *	told, if they are polled
 */
struct mbx_deferred {
	struct list_head *garbage;
	struct mbx_registration *reg;
	__poll_t events;
	bool everyone;
	bool waits;
	bool wake_sync;
	bool crowd;
	union {
		struct {
			u16 ntasks;
			u16 more;
		};
		u32 work;
	};
	u64 wake;
	struct mbx_passed passed;
	struct task_struct *tasks[2];
	struct mbx_entry *entries;
	struct mbx_transaction *delivered;
	struct mbx_transaction *ended;
};

/*
 * Start without any work. Fast paths use an initializer instead: where the compiler
 * clears all variables on the stack, this would clear the structure twice.
 */
static inline void mbx_deferred_init(struct mbx_deferred *deferred)
{
	*deferred = (struct mbx_deferred){};
}

void __mbx_flush_deferred(struct mailbox *mb, struct mbx_deferred *deferred);

/**
 * mbx_flush_deferred() - do the deferred work
 * @mb: the mailbox
 * @deferred: the work
 *
 * Context: Process context, without mailbox.lock.
 */
static inline void mbx_flush_deferred(struct mailbox *mb, struct mbx_deferred *deferred)
{
	if (unlikely(deferred->events || deferred->work || deferred->garbage ||
		     deferred->ended))
		__mbx_flush_deferred(mb, deferred);
}

/**
 * mbx_queue_events() - queue poll events for pollers and O_ASYNC handles
 * @mb: the mailbox
 * @events: the events
 * @deferred: to be run without the lock
 *
 * Return: false if mailbox.pollers is empty; then no notify registration exists either.
 */
static inline bool mbx_queue_events(struct mailbox *mb, __poll_t events,
				    struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	/* A poller that comes later sees the present state. */
	if (likely(list_empty(&mb->pollers)))
		return false;
	deferred->events |= events;
	return true;
}

void mbx_waiter_complete(struct mailbox *mb, struct mbx_waiter *w, int result,
			 struct mbx_deferred *deferred);

void mbx_defer_entry(struct mbx_entry *entry, struct mbx_sender *sender,
		     struct mbx_deferred *deferred);

void mbx_deferred_setup(void (*more)(struct mailbox *mb,
				     struct mbx_deferred *deferred),
			void (*bury)(struct mailbox *mb, struct mbx_message *msg));

#endif /* MBX_DEFERRED_H */
