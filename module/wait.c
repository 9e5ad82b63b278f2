// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleeping: how long a call waits, and what ends the wait.
 *
 * A waiting call is not woken to try again. The thread that makes its operation
 * possible carries the operation out for it, under mailbox.lock, and then completes it
 * (mbx_waiter_complete()). (Calls that peek or read broadcasts are the exception.) The
 * waker stores mbx_waiter.done with release order; the sleeper loads it with acquire
 * order. A call that gives up checks it once more under the lock. If the call was
 * completed in the meantime, its result counts.
 */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "mailbox.h"
#include "wait.h"
#include "waiter.h"

/**
 * mbx_wait_opts_init() - set the options of a call
 * @opts: to be filled in
 * @flags: MBOX_* flags, already checked
 * @deadline_ns: as in struct mbox_msg
 * @nonblock: the handle is O_NONBLOCK
 */
void mbx_wait_opts_init(struct mbx_wait_opts *opts, u32 flags, u64 deadline_ns,
			bool nonblock)
{
	bool real = flags & MBOX_REALTIME;

	mbx_wait_opts_nonblock(opts, nonblock || flags & MBOX_DONTWAIT);
	opts->flags = flags;
	if (likely(!deadline_ns))
		return;

	if (deadline_ns < KTIME_MAX)
		opts->deadline = deadline_ns;
	if (real)
		opts->clock = CLOCK_REALTIME;
	else
		opts->deadline = mbx_monotonic_to_host(opts->deadline);
	if (!opts->nowait_err && mbx_deadline_passed(opts))
		opts->nowait_err = -ETIMEDOUT;
}

/**
 * mbx_deadline_passed() - whether the deadline of a call has passed
 * @opts: how it may wait
 */
bool mbx_deadline_passed(const struct mbx_wait_opts *opts)
{
	bool real = opts->clock == CLOCK_REALTIME;

	return opts->deadline != KTIME_MAX &&
	       opts->deadline <= (real ? ktime_get_real() : ktime_get());
}

/**
 * mbx_wait_goes_on() - whether a call that was woken may look once more
 * @opts: how it may wait
 *
 * For calls that look for their message themselves: other calls may be faster each time,
 * so that a call neither sleeps nor ends.
 *
 * Return: 0, or -ERESTARTSYS, -ETIMEDOUT.
 */
int mbx_wait_goes_on(const struct mbx_wait_opts *opts)
{
	if (signal_pending(current))
		return -ERESTARTSYS;
	if (mbx_deadline_passed(opts))
		return -ETIMEDOUT;
	return 0;
}

/**
 * mbx_try_goes_on() - whether a call tries once more what takes several holds of a lock
 * @opts: how it may wait
 * @left: 1 more than the tries that count as a single step; less this one
 *
 * Others can make further tries necessary, for as long as they like.
 *
 * Return: 0, or opts->nowait_err or as mbx_wait_goes_on() once no try is left.
 */
int mbx_try_goes_on(const struct mbx_wait_opts *opts, u64 *left)
{
	if (*left > 1) {
		--*left;
		return 0;
	}
	return mbx_wait_goes_on(opts) ?: opts->nowait_err;
}

/**
 * struct mbx_alarm - wakes a task at a time besides its deadline
 * @timer: the timer
 * @task: the task
 */
struct mbx_alarm {
	struct hrtimer timer;
	struct task_struct *task;
};

static enum hrtimer_restart wake(struct hrtimer *timer)
{
	wake_up_process(container_of(timer, struct mbx_alarm, timer)->task);
	return HRTIMER_NORESTART;
}

/**
 * mbx_alarm_new() - have the current task woken at a time besides its deadline
 * @end: the time, in CLOCK_MONOTONIC
 *
 * Context: Process context, may sleep.
 * Return: an object for mbx_alarm_free(), or NULL if there is no memory.
 */
struct mbx_alarm *mbx_alarm_new(ktime_t end)
{
	struct mbx_alarm *alarm = kmalloc(sizeof(*alarm), GFP_KERNEL_ACCOUNT);

	if (!alarm)
		return NULL;
	alarm->task = current;
	mbx_hrtimer_setup(&alarm->timer, wake, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	hrtimer_start(&alarm->timer, end, HRTIMER_MODE_ABS);
	return alarm;
}

/**
 * mbx_alarm_free() - undo mbx_alarm_new()
 * @alarm: its return value, or NULL
 */
void mbx_alarm_free(struct mbx_alarm *alarm)
{
	if (!alarm)
		return;
	hrtimer_cancel(&alarm->timer);
	kfree(alarm);
}

/**
 * mbx_sleep_on() - sleep until a call is completed, or gives up
 * @w: the call
 * @opts: how it may wait
 *
 * Context: Process context, without mailbox.lock.
 * Return: 0, or -ERESTARTSYS, -ETIMEDOUT; on an error the caller has to take the lock
 * and check @w->done once more.
 */
int mbx_sleep_on(struct mbx_waiter *w, const struct mbx_wait_opts *opts)
{
	ktime_t deadline = opts->deadline;
	ktime_t *expires = deadline == KTIME_MAX ? NULL : &deadline;
	int ret = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		/* Pairs with the release in mbx_waiter_complete(). */
		if (smp_load_acquire(&w->done))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		if (!schedule_hrtimeout_range_clock(expires, 0,
						    HRTIMER_MODE_ABS,
						    opts->clock)) {
			ret = -ETIMEDOUT;
			break;
		}
	}
	__set_current_state(TASK_RUNNING);
	return ret;
}

/**
 * mbx_wait() - wait until a call is completed, or gives up
 * @mb: the mailbox
 * @w: the call; there is nothing to undo if it gives up
 * @opts: how it may wait
 *
 * Context: Process context, without mailbox.lock.
 * Return: the result that it was completed with, or -ERESTARTSYS, -ETIMEDOUT.
 */
int mbx_wait(struct mailbox *mb, struct mbx_waiter *w,
	     const struct mbx_wait_opts *opts)
{
	int ret = mbx_sleep_on(w, opts);

	if (!ret)
		return w->result;
	spin_lock(&mb->lock);
	if (w->done)
		ret = w->result;
	else
		mbx_waiter_del(mb, w);
	spin_unlock(&mb->lock);
	return ret;
}
