// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: sleeping and waking.
 *
 * A sleeper is counted where the other side sees the count, then looks at the
 * ring, then sleeps. The other side publishes, then reads the count. A full fence
 * between the two steps on each side makes sure that one of them sees the other;
 * it may be asymmetric (ring_fence.c).
 *
 * Bounds
 *
 * Sleepers are in a tree by priority and arrival. They are woken some at a time,
 * with mailbox.lock dropped in between. A sleeper that arrives after a thread began
 * to wake others has seen the reason for it, and is left out.
 *
 * The thread that began may be less urgent than the sleepers, and so may not run for
 * long. So what is left to wake is noted in the ring (struct mbx_ring_waking), and
 * each sleeper that is woken first wakes some of the others.
 */
#include <linux/fs.h>
#include <linux/preempt.h>
#include <linux/rbtree_augmented.h>
#include <linux/sched/task.h>
#include <linux/workqueue.h>

#include "deferred.h"
#include "mailbox.h"
#include "poller.h"
#include "ring.h"
#include "ring_shared.h"
#include "trace.h"
#include "wait.h"

/* A side is watched; in struct mbox_ring_kernel, beside the count of sleepers. */
#define WATCHED BIT(31)
/* Sleepers that are taken out in one hold of mailbox.lock, and then woken. */
#define WAKE_AT_ONCE 12

/**
 * struct sleeper - a call that waits, on the stack of its task
 * @node: in mbx_ring.sleepers
 * @age: the larger, the earlier it arrived: ~ of mbx_ring.arrivals
 * @max_age: largest @age in the subtree of @node
 * @w: the task, its priority, and whether it was woken
 */
struct sleeper {
	struct rb_node node;
	u64 age;
	u64 max_age;
	struct mbx_waiter w;
};

/* ---- what a side waits for ------------------------------------------------ */

/* MBOX_HANGUP: the other side had handles, and the last one was closed. */
bool mbx_ring_orphaned(const struct mailbox *mb, unsigned int side)
{
	lockdep_assert_held(&mb->lock);
	if (!(mb->flags & MBOX_HANGUP))
		return false;
	return side == MBOX_RING_SENDERS ? mbx_receivers_gone(mb) : mbx_senders_gone(mb);
}

/* ---- waking -------------------------------------------------------------- */

/* Whether the other side has to tell of everything: to pollers, or by SIGIO. */
static bool side_watched(const struct mailbox *mb, unsigned int side)
{
	const struct mbx_watch *watch = mb->watch;

	if (mb->ring->polled & BIT(side))
		return true;
	/*
	 * fasync_helper() changes these without mailbox.lock; all its callers
	 * publish afterwards.
	 */
	return watch && data_race(watch->asyncs[side]);
}

/**
 * mbx_ring_publish() - show programs the state and the counts of sleepers
 * @mb: the mailbox, whose lock the caller holds
 */
void mbx_ring_publish(struct mailbox *mb)
{
	struct mbx_ring *ring = mb->ring;
	u32 state = mb->dead ? MBOX_RING_DEAD : 0;
	u32 receivers = mb->waiting_receivers;
	u32 senders = mb->waiting_senders;

	lockdep_assert_held(&mb->lock);
	if (mbx_ring_orphaned(mb, MBOX_RING_RECEIVERS))
		state |= MBOX_RING_NO_SENDER;
	if (mbx_ring_orphaned(mb, MBOX_RING_SENDERS))
		state |= MBOX_RING_NO_RECEIVER;
	if (side_watched(mb, MBOX_RING_RECEIVERS))
		receivers |= WATCHED;
	if (side_watched(mb, MBOX_RING_SENDERS))
		senders |= WATCHED;
	/* Pairs with the acquire of state_of(), libuser/src/ring.h. */
	smp_store_release(&ring->kernel->state, state);
	WRITE_ONCE(ring->kernel->receivers, receivers);
	WRITE_ONCE(ring->kernel->senders, senders);
}

/* The events of poll(2) on one side. */
static __poll_t side_events(unsigned int side)
{
	return side == MBOX_RING_SENDERS ? MBX_POLL_OUT : MBX_POLL_IN;
}

static u32 *side_count(struct mailbox *mb, unsigned int side)
{
	return side == MBOX_RING_SENDERS ? &mb->waiting_senders : &mb->waiting_receivers;
}

static u64 age_of(const struct sleeper *s)
{
	return s->age;
}

RB_DECLARE_CALLBACKS_MAX(static, age_callbacks, struct sleeper, node, u64, max_age,
			 age_of);

static void add_sleeper(struct mailbox *mb, unsigned int side, struct sleeper *s)
{
	struct rb_root *root = &mb->ring->sleepers[side];
	struct rb_node **link = &root->rb_node, *parent = NULL;

	lockdep_assert_held(&mb->lock);
	memset(s, 0, sizeof(*s));
	s->age = ~++mb->ring->arrivals;
	s->max_age = s->age;
	s->w.task = current;
	/* It may change at any time: the value read here counts for the whole sleep. */
	s->w.prio = data_race(current->prio);
	while (*link) {
		struct sleeper *pos = rb_entry(*link, struct sleeper, node);

		parent = *link;
		/* It arrived last, so it is behind all of its priority. */
		link = s->w.prio < pos->w.prio ? &parent->rb_left : &parent->rb_right;
	}
	/* All others are older, so no @max_age above it changes. */
	rb_link_node(&s->node, parent, link);
	rb_insert_augmented(&s->node, root, &age_callbacks);
	++*side_count(mb, side);
}

static void remove_sleeper(struct mailbox *mb, unsigned int side, struct sleeper *s)
{
	lockdep_assert_held(&mb->lock);
	rb_erase_augmented(&s->node, &mb->ring->sleepers[side], &age_callbacks);
	--*side_count(mb, side);
}

static bool has_age(const struct rb_node *node, u64 age)
{
	return node && rb_entry(node, struct sleeper, node)->max_age >= age;
}

/* The most urgent sleeper that is at least that old, or NULL. */
static struct sleeper *next_sleeper(struct mailbox *mb, unsigned int side, u64 age)
{
	struct rb_node *node = mb->ring->sleepers[side].rb_node;

	lockdep_assert_held(&mb->lock);
	if (!has_age(node, age))
		return NULL;
	while (has_age(node->rb_left, age) || rb_entry(node, struct sleeper, node)->age < age)
		node = has_age(node->rb_left, age) ? node->rb_left : node->rb_right;
	return rb_entry(node, struct sleeper, node);
}

/*
 * Have up to @n of the present sleepers woken. Return how many the caller is to wake,
 * if others do not: so the callers together wake all, and each of them comes to an end
 * even if sleepers come back.
 */
static u32 begin_waking(struct mailbox *mb, unsigned int side, u32 n)
{
	struct mbx_ring_waking *waking = &mb->ring->waking[side];
	u32 count = *side_count(mb, side);

	lockdep_assert_held(&mb->lock);
	n = min(n, count);
	/* There are fewer tasks than would make the sum too large. */
	WRITE_ONCE(waking->n, min(waking->n + n, count));
	waking->age = ~mb->ring->arrivals;
	return n;
}

/* Take up to @max of the sleepers out that are to be woken. Return how many. */
static u32 take_sleepers(struct mailbox *mb, unsigned int side, u32 max,
			 struct task_struct **tasks)
{
	struct mbx_ring_waking *waking = &mb->ring->waking[side];
	u32 left = waking->n, n = 0;
	struct sleeper *s;
	int result = 0;

	lockdep_assert_held(&mb->lock);
	if (mb->dead)
		result = -EIDRM;
	else if (side == MBOX_RING_SENDERS && mbx_ring_orphaned(mb, side))
		result = -EPIPE;
	for (; left && n < max; left--) {
		s = next_sleeper(mb, side, waking->age);
		if (!s) {
			/* The others have left by themselves. */
			left = 0;
			break;
		}
		remove_sleeper(mb, side, s);
		trace_mbox_wake(mb, task_pid_nr(s->w.task), result);
		tasks[n++] = get_task_struct(s->w.task);
		s->w.result = result;
		/* Pairs with the acquire in mbx_sleep_on(). */
		smp_store_release(&s->w.done, true);
	}
	WRITE_ONCE(waking->n, left);
	return n;
}

/* Wake up to @max of the sleepers that are to be woken. Return how many there were. */
static u32 wake_some(struct mailbox *mb, unsigned int side, u32 max)
{
	struct task_struct *tasks[WAKE_AT_ONCE];
	u32 i, n;

	spin_lock(&mb->lock);
	n = take_sleepers(mb, side, min_t(u32, max, WAKE_AT_ONCE), tasks);
	mbx_ring_publish(mb);
	/* No other thread can wake these: the first must not keep the caller from it. */
	preempt_disable();
	spin_unlock(&mb->lock);
	for (i = 0; i < n; i++)
		wake_up_process(tasks[i]);
	preempt_enable();
	for (i = 0; i < n; i++)
		put_task_struct(tasks[i]);
	return n;
}

/* Have pollers of one side be told when the lock is dropped. */
static void announce(struct mailbox *mb, unsigned int side, struct mbx_deferred *deferred)
{
	struct mbx_ring *ring = mb->ring;

	lockdep_assert_held(&mb->lock);
	/* Pollers were told of the end, after which nothing changes. */
	if (mb->dead || !side_watched(mb, side))
		return;
	if (!mbx_queue_events(mb, side_events(side), deferred) &&
	    ring->polled & BIT(side)) {
		/* No poller is left, and the next one marks the side itself. */
		ring->polled &= ~BIT(side);
		ring->fenced &= ~BIT(side);
		ring->poll_ends++;
	}
	/* All of them: the poller that takes the message tells no other. */
	deferred->everyone = true;
}

/* Wake up to @n sleepers of one side, and @tell all its pollers. */
static void wake_side(struct mailbox *mb, unsigned int side, u32 n, bool tell)
{
	struct mbx_deferred deferred;
	u32 left, woken;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (tell)
		announce(mb, side, &deferred);
	left = begin_waking(mb, side, n);
	spin_unlock(&mb->lock);
	for (;;) {
		woken = wake_some(mb, side, left);
		left -= woken;
		if (!left || !woken)
			break;
		cond_resched();
	}
	mbx_flush_deferred(mb, &deferred);
}

/* The caller was woken, and others are to be: wake some of them. */
static void wake_next(struct mailbox *mb, unsigned int side)
{
	/* The waker's thread has written it before it woke the caller, or 0 later. */
	if (!READ_ONCE(mb->ring->waking[side].n))
		return;
	wake_some(mb, side, WAKE_AT_ONCE);
}

/**
 * mbx_ring_wake_all() - wake all sleepers and tell all pollers
 * @mb: the mailbox
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_ring_wake_all(struct mailbox *mb)
{
	wake_side(mb, MBOX_RING_RECEIVERS, U32_MAX, true);
	wake_side(mb, MBOX_RING_SENDERS, U32_MAX, true);
}

/**
 * mbx_ring_wake() - wake sleepers of one side
 * @mb: the mailbox
 * @side: MBOX_RING_RECEIVERS or MBOX_RING_SENDERS
 * @n: at most that many
 *
 * Return: 0, or -EIDRM.
 */
int mbx_ring_wake(struct mailbox *mb, unsigned int side, u32 n)
{
	/* Pairs with the WRITE_ONCE() of destroy, which wakes all. */
	if (READ_ONCE(mb->dead))
		return -EIDRM;
	wake_side(mb, side, n, true);
	return 0;
}

/**
 * mbx_ring_shutdown() - no call on one side can succeed any more
 * @mb: the mailbox, whose lock the caller holds; mbx_ring_shutdown_run() follows
 *	when it was dropped
 * @side: MBOX_RING_RECEIVERS or MBOX_RING_SENDERS
 * @deferred: deferred work of the caller
 */
void mbx_ring_shutdown(struct mailbox *mb, unsigned int side, struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	mbx_ring_publish(mb);
	mbx_queue_events(mb, EPOLLHUP | EPOLLERR | side_events(side), deferred);
	deferred->everyone = true;
}

/* Whether no call on one side can succeed any more. */
static bool has_ended(struct mailbox *mb, unsigned int side)
{
	bool ended;

	spin_lock(&mb->lock);
	ended = mb->dead || mbx_ring_orphaned(mb, side);
	spin_unlock(&mb->lock);
	return ended;
}

/**
 * mbx_ring_shutdown_run() - wake the sides of mbx_ring_shutdown()
 * @mb: the mailbox
 *
 * If a side has come back meanwhile, its calls can go on waiting.
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_ring_shutdown_run(struct mailbox *mb)
{
	unsigned int side;

	for (side = 0; side < MBX_RING_SIDES; side++)
		if (has_ended(mb, side))
			wake_side(mb, side, U32_MAX, false);
}

/* The fences that mbx_ring_fence_side() has put off. */
static void fence_late(struct work_struct *work)
{
	struct mbx_ring *ring = container_of(to_delayed_work(work),
					     struct mbx_ring, fence_work);
	struct mailbox *mb = READ_ONCE(ring->mb);
	unsigned int side;

	/* What is put off from here on needs another fence. */
	spin_lock(&ring->lock);
	ring->late = false;
	spin_unlock(&ring->lock);
	for (side = 0; side < MBX_RING_SIDES; side++)
		if (mbx_ring_is_asym(ring, side))
			mbx_ring_interrupt_side(mb, side, false);
	/* Pairs with the fence of a side whose fence is not asymmetric. */
	smp_mb();
	for (side = 0; side < MBX_RING_SIDES; side++)
		if (mbx_ring_ready(ring, side))
			wake_side(mb, side, 1, true);
}

/* ---- waiting ------------------------------------------------------------- */

/* Look whether a side is ready, after it was counted. */
static bool side_ready_fenced(struct mailbox *mb, unsigned int side)
{
	struct mbx_ring *ring = mb->ring;

	/* Pairs with the fence of the other side, after it has published. */
	smp_mb();
	if (mbx_ring_ready(ring, side))
		return true;
	if (!mbx_ring_is_asym(ring, mbx_ring_peer(side)) ||
	    !mbx_ring_fence_side(mb, mbx_ring_peer(side)))
		return false;
	return mbx_ring_ready(ring, side);
}

/*
 * Count the caller as a sleeper, unless it may not sleep. Return 0, or the error
 * of the call.
 */
static int begin_wait(struct mailbox *mb, unsigned int side, struct sleeper *s,
		      const struct mbx_wait_opts *opts, bool *orphaned)
{
	int ret = 0;

	spin_lock(&mb->lock);
	*orphaned = mbx_ring_orphaned(mb, side);
	if (mb->dead) {
		ret = -EIDRM;
	} else if (*orphaned && side == MBOX_RING_SENDERS) {
		ret = -EPIPE;
	} else if (!*orphaned && !opts->nowait_err) {
		add_sleeper(mb, side, s);
		mbx_ring_publish(mb);
		trace_mbox_wait(mb, side == MBOX_RING_SENDERS);
	}
	spin_unlock(&mb->lock);
	return ret;
}

/* The caller does not sleep any more, for the reason @ret. */
static int end_wait(struct mailbox *mb, unsigned int side, struct sleeper *s, int ret)
{
	spin_lock(&mb->lock);
	if (s->w.done) {
		/* It was woken at the same time: the wake-up must not be lost. */
		ret = s->w.result;
	} else {
		remove_sleeper(mb, side, s);
		mbx_ring_publish(mb);
	}
	spin_unlock(&mb->lock);
	return ret;
}

/**
 * mbx_ring_wait() - sleep until the caller's side has something to do
 * @mb: the mailbox
 * @side: MBOX_RING_RECEIVERS or MBOX_RING_SENDERS
 * @opts: how it may wait
 *
 * Context: Process context, may sleep.
 * Return: 0 when the caller should look again, or -EIDRM, -EPIPE, -EAGAIN,
 * -ETIMEDOUT, -ERESTARTSYS.
 */
int mbx_ring_wait(struct mailbox *mb, unsigned int side, const struct mbx_wait_opts *opts)
{
	struct mbx_ring *ring = mb->ring;
	struct sleeper s;
	bool orphaned;
	u32 owner;
	int ret;

	ret = begin_wait(mb, side, &s, opts, &orphaned);
	if (ret)
		return ret;
	if (orphaned || opts->nowait_err) {
		if (mbx_ring_ready(ring, side))
			return 0;
		return orphaned ? -EPIPE : opts->nowait_err;
	}

	if (side_ready_fenced(mb, side)) {
		ret = end_wait(mb, side, &s, 0);
	} else {
		mbx_ring_stalled(ring, &owner);
		ret = mbx_sleep_on(&s.w, opts);
		ret = ret ? end_wait(mb, side, &s, ret) : s.w.result;
	}
	if (s.w.done)
		wake_next(mb, side);
	return ret;
}

/* ---- beginning and end --------------------------------------------------- */

void mbx_ring_wait_init(struct mbx_ring *ring)
{
	ring->sleepers[MBOX_RING_RECEIVERS] = RB_ROOT;
	ring->sleepers[MBOX_RING_SENDERS] = RB_ROOT;
	INIT_DELAYED_WORK(&ring->fence_work, fence_late);
}

void mbx_ring_wait_exit(struct mbx_ring *ring)
{
	cancel_delayed_work_sync(&ring->fence_work);
}
