// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleeping and waking.
 *
 * A waiting call is never told to try again: whoever makes its operation
 * possible carries it out for it, under the lock, and then wakes it (see
 * exchange.c). A wake-up is the release of mbox_waiter.done, paired with the
 * acquire of the sleeper; a call that gives up looks once more under the lock,
 * and if it was served in the meantime, it has succeeded.
 */
#include <linux/cred.h>
#include <linux/freezer.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "broadcast.h"
#include "compat.h"
#include "exchange.h"
#include "inherit.h"
#include "notify.h"
#include "ring.h"
#include "trace.h"
#include "wait.h"

/*
 * Only wait queues have a wake-up that says that the waker is about to sleep,
 * so that the scheduler need not look for another CPU.
 */
static void wake_task_sync(struct task_struct *task)
{
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(queue);
	struct wait_queue_entry entry;

	init_waitqueue_entry(&entry, task);
	__add_wait_queue(&queue, &entry);
	__wake_up_sync_key(&queue, TASK_NORMAL, NULL);
}

static void wake_tasks(struct mbox_after *after)
{
	unsigned int i;

	for (i = 0; i < after->ntasks; i++) {
		if (after->sync)
			wake_task_sync(after->tasks[i]);
		else
			wake_up_process(after->tasks[i]);
		put_task_struct(after->tasks[i]);
	}
	after->ntasks = 0;
}

/* Signals for the handles with O_ASYNC of one side. */
static void signal_side(struct mailbox *mb, bool send, __poll_t events)
{
	/* Pairs with the release in mbox_watch_make(). */
	struct mbox_watch *watch = smp_load_acquire(&mb->watch);
	int band = send ? POLL_OUT : POLL_IN;

	if (!watch)
		return;
	if (events & EPOLLHUP)
		band = POLL_HUP;
	kill_fasync(&watch->asyncs[send], SIGIO, band);
}

static void report_events(struct mailbox *mb, const struct mbox_after *after)
{
	if (after->events & MBOX_POLL_IN)
		signal_side(mb, false, after->events);
	if (after->events & MBOX_POLL_OUT)
		signal_side(mb, true, after->events);
	if (after->everyone) {
		__wake_up(&mb->pollers, TASK_NORMAL, 0,
			  poll_to_key(after->events));
		return;
	}
	/* One at a time: an exclusive waiter must not use up the other's. */
	if (after->events & MBOX_POLL_IN)
		wake_up_poll(&mb->pollers, MBOX_POLL_IN);
	if (after->events & MBOX_POLL_OUT)
		wake_up_poll(&mb->pollers, MBOX_POLL_OUT);
}

static void lend(struct mailbox *mb, struct mbox_after *after)
{
	mbox_inherit_update(mb, after->handed);
	mbox_ticket_put(after->handed);
}

static void take_back(struct mailbox *mb, struct mbox_after *after)
{
	struct mbox_ticket *ticket = after->ended;

	while (ticket) {
		struct mbox_ticket *next = ticket->ended;

		mbox_inherit_update(mb, ticket);
		mbox_ticket_put(ticket);
		ticket = next;
	}
}

/* The part of mbox_after_run() that is seldom needed. */
void __mbox_after_run(struct mailbox *mb, struct mbox_after *after)
{
	struct mbox_message *msg;

	/* Others may keep a task without it from running at all. */
	if (unlikely(after->handed))
		lend(mb, after);
	if (after->ntasks)
		wake_tasks(after);
	/* Others may keep the current task without it from going on. */
	if (unlikely(after->ended))
		take_back(mb, after);
	if (after->events)
		report_events(mb, after);
	if (after->notice)
		mbox_notice_run(after->notice);
	while (after->garbage) {
		msg = list_entry(after->garbage, struct mbox_message, node);
		after->garbage = msg->node.next;
		mbox_message_free(msg);
		cond_resched();
	}
}

/**
 * mbox_call_init() - work out how a call may wait
 * @call: to be filled in
 * @flags: MBOX_* flags, already checked
 * @deadline_ns: as in struct mbox_msg
 * @nonblock: the handle is O_NONBLOCK
 */
void mbox_call_init(struct mbox_call *call, u32 flags, u64 deadline_ns,
		    bool nonblock)
{
	bool real = flags & MBOX_REALTIME;

	mbox_call_nonblock(call, nonblock || flags & MBOX_DONTWAIT);
	call->flags = flags;
	if (likely(!deadline_ns))
		return;

	if (deadline_ns < KTIME_MAX)
		call->deadline = deadline_ns;
	if (real)
		call->clock = CLOCK_REALTIME;
	else
		call->deadline = mbox_monotonic_to_host(call->deadline);
	if (!call->again &&
	    call->deadline <= (real ? ktime_get_real() : ktime_get()))
		call->again = -ETIMEDOUT;
}

/**
 * mbox_waiter_init() - the current task is going to wait
 * @w: on its stack
 * @count: the mailbox's counter of such calls
 */
void mbox_waiter_init(struct mbox_waiter *w, u32 *count)
{
	memset(w, 0, sizeof(*w));
	w->count = count;
	w->task = current;
	/*
	 * From -1 (deadline) to 139; mbox_message.wprio has no sign. Others may
	 * be changing it: what was seen counts as long as the call waits.
	 */
	w->prio = data_race(current->prio) + 1;
}

/**
 * mbox_waiter_add() - put a call among those that wait
 * @waiters: a list of the mailbox, whose lock the caller holds
 * @w: the call
 * @front: it came before those of equal priority, not after them
 *
 * The order is by scheduling priority, then by the time at which they came.
 */
void mbox_waiter_add(struct list_head *waiters, struct mbox_waiter *w,
		     bool front)
{
	/* The first priority that has to come behind. */
	int behind = w->prio + !front;
	struct mbox_waiter *pos;

	list_for_each_entry_reverse(pos, waiters, node)
		if (pos->prio < behind)
			break;
	list_add(&w->node, &pos->node);
	++*w->count;
}

/**
 * mbox_waiter_del() - a call does not wait any more
 * @w: the call; the caller holds the lock of the mailbox
 */
void mbox_waiter_del(struct mbox_waiter *w)
{
	list_del(&w->node);
	--*w->count;
}

/**
 * mbox_serve() - tell a call how it ended
 * @mb: the mailbox
 * @w: the call; gone when this returns
 * @result: what it returns, 0 for success
 * @after: to be run without the lock
 */
void mbox_serve(struct mailbox *mb, struct mbox_waiter *w, int result,
		struct mbox_after *after)
{
	struct task_struct *task = w->task;

	lockdep_assert_held(&mb->lock);
	mbox_waiter_del(w);
	trace_mbox_wake(mb, task_pid_nr(task), result);
	if (after->ntasks == ARRAY_SIZE(after->tasks))
		wake_tasks(after);
	after->tasks[after->ntasks++] = get_task_struct(task);
	w->result = result;
	/* Pairs with the acquire in mbox_sleep_on(). */
	smp_store_release(&w->done, true);
}

/**
 * mbox_sleep_on() - sleep until a call is served, or gives up
 * @w: the call
 * @call: how it may wait
 *
 * Context: Process context, without mailbox.lock.
 * Return: 0, or -ERESTARTSYS, -ETIMEDOUT; with an error, the caller has to
 * take the lock and look at @w->done once more.
 */
int mbox_sleep_on(struct mbox_waiter *w, const struct mbox_call *call)
{
	ktime_t deadline = call->deadline;
	ktime_t *expires = deadline == KTIME_MAX ? NULL : &deadline;
	int ret = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		/* Pairs with the release in mbox_serve(). */
		if (smp_load_acquire(&w->done))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		if (!schedule_hrtimeout_range_clock(expires, 0,
						    HRTIMER_MODE_ABS,
						    call->clock)) {
			ret = -ETIMEDOUT;
			break;
		}
	}
	__set_current_state(TASK_RUNNING);
	return ret;
}

/**
 * mbox_wait() - wait until a call is served, or gives up
 * @mb: the mailbox
 * @w: the call, which leaves nothing behind when it gives up
 * @call: how it may wait
 *
 * Context: Process context, without mailbox.lock.
 * Return: what it was served with, or -ERESTARTSYS, -ETIMEDOUT.
 */
int mbox_wait(struct mailbox *mb, struct mbox_waiter *w,
	      const struct mbox_call *call)
{
	int ret = mbox_sleep_on(w, call);

	if (!ret)
		return w->result;
	spin_lock(&mb->lock);
	if (w->done)
		ret = w->result;
	else
		mbox_waiter_del(w);
	spin_unlock(&mb->lock);
	return ret;
}

/* Whether a receive call would find something. */
static bool can_receive(struct mailbox *mb, const struct mbox_reader *reader)
{
	lockdep_assert_held(&mb->lock);
	if (mb->flags & MBOX_BROADCAST)
		return mbox_broadcast_unread(mb, reader);
	return mb->stored.count || mb->offers.count;
}

/**
 * mbox_poll() - which calls would not wait
 * @mb: the mailbox
 * @reader: how far the handle has read (MBOX_BROADCAST)
 * @file: a handle
 * @mode: FMODE_READ, FMODE_WRITE: what it may do, and is reported
 * @wait: as for file_operations.poll
 */
__poll_t mbox_poll(struct mailbox *mb, const struct mbox_reader *reader,
		   struct file *file, fmode_t mode, poll_table *wait)
{
	__poll_t events = 0;

	poll_wait(file, &mb->pollers, wait);
	spin_lock(&mb->lock);
	if (mb->dead) {
		events = EPOLLERR | EPOLLHUP;
		goto out;
	}
	if (mode & FMODE_READ) {
		if (can_receive(mb, reader))
			events |= MBOX_POLL_IN;
		if (mbox_no_senders(mb))
			events |= EPOLLHUP;
	}
	if (mode & FMODE_WRITE) {
		if (mbox_has_room_for(mb, current_uid()) || mbox_drops(mb) ||
		    (!mb->capacity && !list_empty(&mb->receivers)))
			events |= MBOX_POLL_OUT;
		if (mbox_no_receivers(mb))
			events |= EPOLLERR | EPOLLHUP;
	}
out:
	spin_unlock(&mb->lock);
	return events;
}

/* ---- signals for O_ASYNC ------------------------------------------------ */

/* mbox_watch.entry is nobody to be woken. */
static int skip_entry(struct wait_queue_entry *entry, unsigned int mode,
		      int flags, void *key)
{
	return 0;
}

/**
 * mbox_watch_make() - somebody else than a poller may have to be told
 * @mb: the mailbox, which has a mailbox.watch then
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int mbox_watch_make(struct mailbox *mb)
{
	struct mbox_watch *watch;

	/* Pairs with the release below. */
	if (smp_load_acquire(&mb->watch))
		return 0;
	watch = kzalloc(sizeof(*watch), GFP_KERNEL_ACCOUNT);
	if (!watch)
		return -ENOMEM;
	init_waitqueue_func_entry(&watch->entry, skip_entry);
	spin_lock(&mb->lock);
	if (!mb->watch) {
		/* Pairs with those who look without the lock. */
		smp_store_release(&mb->watch, watch);
		watch = NULL;
	}
	spin_unlock(&mb->lock);
	kfree(watch);
	return 0;
}

/**
 * mbox_watch_update() - who is to be told of events has changed
 * @mb: the mailbox, which has a mailbox.watch; the caller holds its lock
 *
 * A send and a receive look only whether mailbox.pollers is empty. So it must
 * not be while there are others than pollers.
 */
void mbox_watch_update(struct mailbox *mb)
{
	struct mbox_watch *watch = mb->watch;
	bool needed;

	lockdep_assert_held(&mb->lock);
	/* fasync_helper() changes these without our lock; who calls it comes here. */
	needed = data_race(watch->asyncs[false] || watch->asyncs[true]);
	if (watch->notice)
		needed = true;
	if (needed == watch->added)
		return;
	watch->added = needed;
	if (needed)
		add_wait_queue(&mb->pollers, &watch->entry);
	else
		remove_wait_queue(&mb->pollers, &watch->entry);
}

/* The lists of the sides on which a handle is: in both or, on an error, none. */
static int change_lists(struct mbox_watch *watch, int fd, struct file *file,
			bool on, unsigned int rights)
{
	int ret = 0;

	if (rights & MBOX_MAY_RECV)
		ret = fasync_helper(fd, file, on, &watch->asyncs[false]);
	if (ret < 0 || !(rights & MBOX_MAY_SEND))
		return ret;
	ret = fasync_helper(fd, file, on, &watch->asyncs[true]);
	/* Only when it is to be turned on. */
	if (ret < 0 && rights & MBOX_MAY_RECV)
		fasync_helper(-1, file, 0, &watch->asyncs[false]);
	return ret;
}

/**
 * mbox_fasync() - O_ASYNC of a handle changes
 * @mb: the mailbox
 * @fd: as for file_operations.fasync
 * @file: the handle
 * @on: whether its owner is to get signals
 * @rights: rights of the handle
 *
 * Return: 0 or 1 when nothing or something has changed, or -ENOMEM.
 */
int mbox_fasync(struct mailbox *mb, int fd, struct file *file, bool on,
		unsigned int rights)
{
	int ret;

	ret = mbox_watch_make(mb);
	if (ret)
		return ret;
	ret = change_lists(mb->watch, fd, file, on, rights);
	/* Whoever is last to take the lock sees all that has changed. */
	spin_lock(&mb->lock);
	mbox_watch_update(mb);
	if (mb->ring)
		mbox_ring_publish(mb);
	spin_unlock(&mb->lock);
	if (mb->ring && on && ret >= 0)
		mbox_ring_order(mb, rights);
	return ret;
}
