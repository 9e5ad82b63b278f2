// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deferred work: work that comes up under mailbox.lock and is done after the lock is
 * dropped.
 *
 * A thread that holds mailbox.lock queues in its struct mbx_deferred the tasks to
 * wake, the events to report and the messages to free. After it has dropped the lock,
 * it calls mbx_flush_deferred(), which wakes the tasks, boosts and deboosts threads,
 * reports the events to pollers, notifies, and frees the messages. struct mbx_deferred
 * is on the stack of the thread, and no other thread uses it.
 *
 * If work would take too long in one hold of the lock, a part of it is done.
 * mbx_deferred.more says what is left, and mbx_flush_deferred() calls the function
 * that continues it.
 */
#include <linux/init.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "transaction.h"
#include "deferred.h"
#include "entry.h"
#include "fds.h"
#include "inherit.h"
#include "mailbox.h"
#include "message.h"
#include "notify.h"
#include "poller.h"
#include "sender.h"
#include "started.h"
#include "trace.h"
#include "waiter.h"

/*
 * A wake-up can tell the scheduler that the waker is about to sleep, so that it need
 * not search for another CPU. Only wait queues have such a wake-up.
 */
static void wake_task_sync(struct task_struct *task)
{
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(queue);
	struct wait_queue_entry entry;

	init_waitqueue_entry(&entry, task);
	__add_wait_queue(&queue, &entry);
	__wake_up_sync_key(&queue, TASK_NORMAL, NULL);
}

/* Wake both: no other thread can, so the first must not keep the caller from it. */
static void wake_two(struct task_struct **tasks)
{
	preempt_disable();
	wake_up_process(tasks[0]);
	wake_up_process(tasks[1]);
	preempt_enable();
}

static void wake_tasks(struct mbx_deferred *deferred)
{
	unsigned int i, n = deferred->ntasks;

	BUILD_BUG_ON(ARRAY_SIZE(deferred->tasks) != 2);
	if (unlikely(n == 2))
		wake_two(deferred->tasks);
	else if (n && deferred->wake_sync)
		wake_task_sync(deferred->tasks[0]);
	else if (n)
		wake_up_process(deferred->tasks[0]);
	for (i = 0; i < n; i++)
		put_task_struct(deferred->tasks[i]);
	deferred->ntasks = 0;
}

static void boost(struct mailbox *mb, struct mbx_deferred *deferred)
{
	mbx_inherit_update(mb, deferred->delivered);
	mbx_transaction_put(deferred->delivered);
}

static void finish_ended(struct mailbox *mb, struct mbx_deferred *deferred)
{
	struct mbx_transaction *txn = deferred->ended;

	while (txn) {
		struct mbx_transaction *next = txn->ended;

		mbx_inherit_update(mb, txn);
		if (txn->started)
			mbx_started_tell(txn->started);
		mbx_transaction_put(txn);
		txn = next;
	}
}

static void free_entries(struct mbx_deferred *deferred)
{
	struct mbx_entry *entry;

	while ((entry = deferred->entries)) {
		struct mbx_sender *sender = entry->sender;

		deferred->entries = entry->next;
		mbx_entry_release(entry, sender);
		mbx_sender_put(sender);
	}
	deferred->more &= ~MBX_MORE_ENTRIES;
}

/* Continues the work in mbx_deferred.more; set once, before the first mailbox. */
static void (*go_on)(struct mailbox *mb, struct mbx_deferred *deferred) __ro_after_init;

/* Moves a message with MBX_MSG_LETTER; set likewise. */
static void (*move)(struct mailbox *mb, struct mbx_message *msg) __ro_after_init;

/**
 * mbx_deferred_setup() - set the functions that do work of layers above
 * @more: continues mbx_deferred.more; called without mailbox.lock; leaves nothing in
 *	mbx_deferred.more
 * @bury: moves a message to the dead-letter mailbox; called without mailbox.lock
 *
 * This file cannot call the functions directly, since they are in layers above.
 */
void __init mbx_deferred_setup(void (*more)(struct mailbox *mb,
					    struct mbx_deferred *deferred),
			       void (*bury)(struct mailbox *mb, struct mbx_message *msg))
{
	go_on = more;
	move = bury;
}

/* Slow path of mbx_flush_deferred(). */
void __mbx_flush_deferred(struct mailbox *mb, struct mbx_deferred *deferred)
{
	struct mbx_message *msg;

	/* Before the wake-up: without a boost, the server may not get to run at all. */
	if (unlikely(deferred->delivered))
		boost(mb, deferred);
	if (deferred->ntasks)
		wake_tasks(deferred);
	/* After the wake-up: without its boost, the current task may not get to run. */
	if (unlikely(deferred->ended))
		finish_ended(mb, deferred);
	if (deferred->events)
		mbx_poll_tell(mb, deferred->events, deferred->everyone);
	if (deferred->reg)
		mbx_registration_run(deferred->reg);
	if (unlikely(deferred->more & MBX_MORE_ENTRIES))
		free_entries(deferred);
	if (unlikely(deferred->more))
		go_on(mb, deferred);
	while (deferred->garbage) {
		msg = list_entry(deferred->garbage, struct mbx_message, node);
		deferred->garbage = msg->node.next;
		if (unlikely(msg->flags & MBX_MSG_LETTER)) {
			move(mb, msg);
		} else {
			if (deferred->waits)
				mbx_fds_detach_later(msg);
			mbx_message_free(msg);
		}
		cond_resched();
	}
}

/**
 * mbx_defer_entry() - free an entry without the lock
 * @entry: an entry that is in no index
 * @sender: the sender that it is charged to
 * @deferred: to be run without the lock
 */
void mbx_defer_entry(struct mbx_entry *entry, struct mbx_sender *sender,
		     struct mbx_deferred *deferred)
{
	refcount_inc(&sender->refs);
	entry->sender = sender;
	entry->next = deferred->entries;
	deferred->entries = entry;
	deferred->more |= MBX_MORE_ENTRIES;
}

/**
 * mbx_waiter_complete() - complete a waiting call
 * @mb: the mailbox
 * @w: the call; may be gone when this returns
 * @result: what the call returns, 0 for success
 * @deferred: to be run without the lock
 */
void mbx_waiter_complete(struct mailbox *mb, struct mbx_waiter *w, int result,
			 struct mbx_deferred *deferred)
{
	struct task_struct *task = w->task;

	lockdep_assert_held(&mb->lock);
	mbx_waiter_del(mb, w);
	trace_mbox_wake(mb, task ? task_pid_nr(task) : 0, result);
	/* A parked call has no task. */
	if (likely(task)) {
		if (deferred->ntasks == ARRAY_SIZE(deferred->tasks)) {
			wake_tasks(deferred);
			deferred->crowd = true;
		}
		deferred->tasks[deferred->ntasks++] = get_task_struct(task);
	} else {
		mbx_started_ended(mb, mbx_send_waiter(w), result, deferred);
	}
	w->result = result;
	/* Pairs with the acquire in mbx_sleep_on(). */
	smp_store_release(&w->done, true);
	/*
	 * The wake-ups can have the current task preempted as soon as it drops the lock. So
	 * none is left for later, unless a task has to be boosted before.
	 */
	if (unlikely(deferred->crowd && !deferred->delivered))
		wake_tasks(deferred);
}
