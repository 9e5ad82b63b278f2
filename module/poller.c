// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pollers: the handles that are polled, and other recipients of events.
 *
 * The entries of poll, epoll and io_uring are in the wait queue of the handle that
 * they poll, and mailbox.pollers lists the handles that are polled. The kernel wakes
 * a whole wait queue without a break, so one queue for all handles would let users
 * make that as long as they like.
 *
 * A sender or receiver that causes an event drops mailbox.lock and then walks the
 * list. It takes the lock from one handle to the next, and keeps its place with an
 * entry of its own in the list. A handle that is added meanwhile goes to the end of
 * the list and is not told: its poll call sees the current state.
 *
 * An event wakes every entry that is not exclusive, and one exclusive entry
 * (EPOLLEXCLUSIVE) of all queues together. Among exclusive entries, that of the
 * handle that was polled first comes first.
 *
 * A handle stays in the list until its queue is found empty, or until it is closed.
 * RCU keeps its memory while its queue is woken.
 *
 * The watch of a mailbox is in the list as well. So if the list is empty, a sender or
 * receiver knows that there is nothing to tell.
 */
#include <linux/fs.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "mailbox.h"
#include "poller.h"

/* Send the signals of O_ASYNC for one side. */
static void signal_side(struct mailbox *mb, bool send, __poll_t events)
{
	/* Pairs with the release in mbx_watch_make(). */
	struct mbx_watch *watch = smp_load_acquire(&mb->watch);
	int band = send ? POLL_OUT : POLL_IN;

	if (!watch)
		return;
	if (events & EPOLLHUP)
		band = POLL_HUP;
	kill_fasync(&watch->asyncs[send], SIGIO, band);
}

/* ---- pollers -------------------------------------------------------------- */

/* How many entries of the list are passed before the lock is dropped. */
#define STEPS_AT_ONCE 64

/*
 * Callback of mbx_poller.divider. Pollers always sleep interruptibly, so the mode can
 * carry another meaning here: with TASK_INTERRUPTIBLE, the wake-up stops at the
 * divider and the exclusive entries behind it are not woken.
 */
static int divide(struct wait_queue_entry *entry, unsigned int mode, int flags,
		  void *key)
{
	return mode == TASK_INTERRUPTIBLE;
}

/**
 * mbx_poller_init() - prepare a handle for being polled
 * @poller: the poller of the handle
 */
void mbx_poller_init(struct mbx_poller *poller)
{
	INIT_LIST_HEAD(&poller->link.node);
	poller->link.seq = 0;
	init_waitqueue_head(&poller->queue);
	init_waitqueue_func_entry(&poller->divider, divide);
	/* Later entries go to the head, exclusive ones to the tail. */
	add_wait_queue_exclusive(&poller->queue, &poller->divider);
}

/**
 * mbx_poller_leave() - a handle is closed
 * @mb: the mailbox
 * @poller: the poller of the handle; to be freed after a grace period
 */
void mbx_poller_leave(struct mailbox *mb, struct mbx_poller *poller)
{
	spin_lock(&mb->lock);
	list_del_init(&poller->link.node);
	spin_unlock(&mb->lock);
}

/* Whether the queue contains nothing but the divider. */
static bool is_idle(const struct mbx_poller *poller)
{
	/*
	 * No barrier: a thread that adds an entry takes the lock afterwards, and
	 * then adds the poller to the list again.
	 */
	return list_is_singular(&poller->queue.head);
}

/**
 * mbx_poller_join() - a handle is polled
 * @mb: the mailbox
 * @poller: the poller of the handle; poll_wait() was called for its queue
 *
 * The handle is told of all changes to the state that the caller sees before it drops
 * mailbox.lock.
 */
void mbx_poller_join(struct mailbox *mb, struct mbx_poller *poller)
{
	lockdep_assert_held(&mb->lock);
	if (!list_empty(&poller->link.node) || is_idle(poller))
		return;
	poller->link.seq = ++mb->arrivals;
	list_add_tail(&poller->link.node, &mb->pollers);
}

static bool has_exclusive(const struct mbx_poller *poller)
{
	/* No barrier here either: a new entry checks the state afterwards. */
	return !list_is_last(&poller->divider.entry, &poller->queue.head);
}

static void let_others_have_the_lock(struct mailbox *mb)
	__must_hold(&mb->lock)
{
	spin_unlock(&mb->lock);
	cond_resched();
	spin_lock(&mb->lock);
}

/*
 * The next poller behind @cursor with a number up to @last, or NULL. Moves @cursor
 * behind it. May drop the lock and take it again.
 */
static struct mbx_poller *next_poller(struct mailbox *mb,
				      struct mbx_poll_link *cursor, u64 last)
{
	struct mbx_poller *poller;
	struct mbx_poll_link *link;
	unsigned int steps = 0;

	lockdep_assert_held(&mb->lock);
	while (!list_is_last(&cursor->node, &mb->pollers)) {
		link = list_next_entry(cursor, node);
		if (link->seq > last)
			return NULL;
		list_move(&cursor->node, &link->node);
		if (link->seq) {
			poller = container_of(link, struct mbx_poller, link);
			if (!is_idle(poller))
				return poller;
			list_del_init(&link->node);
		}
		if (++steps == STEPS_AT_ONCE) {
			let_others_have_the_lock(mb);
			steps = 0;
		}
	}
	return NULL;
}

/*
 * Wake the entries of one handle: with @everyone all, otherwise those that are not
 * exclusive, and with @exclusive one exclusive entry. Return whether that was woken.
 */
static bool wake_poller(struct mbx_poller *poller, __poll_t events,
			bool everyone, bool exclusive)
{
	void *key = poll_to_key(events);

	if (exclusive && !everyone && has_exclusive(poller))
		return mbx_wake_one(&poller->queue, key);
	if (everyone)
		__wake_up(&poller->queue, TASK_NORMAL, 0, key);
	else
		__wake_up(&poller->queue, TASK_INTERRUPTIBLE, 1, key);
	return false;
}

/*
 * The only poller, or NULL: there is none, or there are more, or another thread has its
 * cursor in the list.
 */
static struct mbx_poller *only_poller(struct mailbox *mb)
{
	struct mbx_poll_link *link;

	lockdep_assert_held(&mb->lock);
	if (!list_is_singular(&mb->pollers))
		return NULL;
	link = list_first_entry(&mb->pollers, struct mbx_poll_link, node);
	return link->seq ? container_of(link, struct mbx_poller, link) : NULL;
}

/**
 * mbx_pollers_wait() - whether events are to be told
 * @mb: the mailbox
 *
 * Between two calls of poll(2) its handle waits for nothing. If it is the only one, it
 * leaves the list, which costs less here than in mbx_poll_tell().
 *
 * Return: false if mailbox.pollers is empty now.
 */
bool mbx_pollers_wait(struct mailbox *mb)
{
	struct mbx_poller *poller = only_poller(mb);

	if (!poller || !is_idle(poller))
		return true;
	list_del_init(&poller->link.node);
	return false;
}

/* Tell all pollers of @events: all exclusive entries, or one. */
static void tell(struct mailbox *mb, __poll_t events, bool everyone)
{
	struct mbx_poll_link cursor = {};
	struct mbx_poller *poller;
	bool exclusive = true;
	u64 last;

	spin_lock(&mb->lock);
	poller = only_poller(mb);
	if (poller && !is_idle(poller)) {
		/* Without a cursor, because there is no next one. */
		rcu_read_lock();
		spin_unlock(&mb->lock);
		wake_poller(poller, events, everyone, exclusive);
		rcu_read_unlock();
		return;
	}
	last = mb->arrivals;
	list_add(&cursor.node, &mb->pollers);
	for (;;) {
		poller = next_poller(mb, &cursor, last);
		if (!poller)
			break;
		rcu_read_lock();
		spin_unlock(&mb->lock);
		if (wake_poller(poller, events, everyone, exclusive))
			exclusive = false;
		rcu_read_unlock();
		cond_resched();
		spin_lock(&mb->lock);
	}
	list_del(&cursor.node);
	spin_unlock(&mb->lock);
}

/**
 * mbx_poll_tell() - tell pollers and O_ASYNC handles of events
 * @mb: the mailbox
 * @events: the events
 * @everyone: wake all exclusive entries, not only one of them
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_poll_tell(struct mailbox *mb, __poll_t events, bool everyone)
{
	if (events & MBX_POLL_IN)
		signal_side(mb, false, events);
	if (events & MBX_POLL_OUT)
		signal_side(mb, true, events);
	if (everyone) {
		tell(mb, events, true);
		return;
	}
	/*
	 * One after the other: an exclusive entry that waits for one event must not
	 * use up the wake-up for the other.
	 */
	if (events & MBX_POLL_IN)
		tell(mb, MBX_POLL_IN, false);
	if (events & MBX_POLL_OUT)
		tell(mb, MBX_POLL_OUT, false);
}

/**
 * struct mbx_call_poller - a call that the end of a mailbox wakes
 * @rcu: frees it
 * @poller: its poller
 * @entry: in the queue of @poller, for the task
 */
struct mbx_call_poller {
	struct rcu_head rcu;
	struct mbx_poller poller;
	struct wait_queue_entry entry;
};

/* Messages come and go, and any number of calls may wait: these are not woken. */
static int wake_at_end(struct wait_queue_entry *entry, unsigned int mode, int sync,
		       void *key)
{
	if (!(key_to_poll(key) & (EPOLLHUP | EPOLLERR)))
		return 0;
	return default_wake_function(entry, mode, sync, key);
}

/**
 * mbx_call_poller_new() - let the end of a mailbox, or of a side, wake the current task
 * @mb: the mailbox
 *
 * Context: Process context, may sleep.
 * Return: an object for mbx_call_poller_free(), or NULL if there is no memory.
 */
struct mbx_call_poller *mbx_call_poller_new(struct mailbox *mb)
{
	struct mbx_call_poller *call;

	call = kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	if (!call)
		return NULL;
	mbx_poller_init(&call->poller);
	init_wait_entry(&call->entry, 0);
	call->entry.func = wake_at_end;
	add_wait_queue(&call->poller.queue, &call->entry);
	spin_lock(&mb->lock);
	mbx_poller_join(mb, &call->poller);
	spin_unlock(&mb->lock);
	return call;
}

/**
 * mbx_call_poller_free() - undo mbx_call_poller_new()
 * @mb: the mailbox
 * @call: its return value
 */
void mbx_call_poller_free(struct mailbox *mb, struct mbx_call_poller *call)
{
	remove_wait_queue(&call->poller.queue, &call->entry);
	mbx_poller_leave(mb, &call->poller);
	kfree_rcu(call, rcu);
}

/* ---- watches -------------------------------------------------------------- */

/**
 * mbx_watch_make() - make the watch of a mailbox, unless it has one
 * @mb: the mailbox
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int mbx_watch_make(struct mailbox *mb)
{
	struct mbx_watch *watch;

	/* Pairs with the release below. */
	if (smp_load_acquire(&mb->watch))
		return 0;
	watch = kzalloc(sizeof(*watch), GFP_KERNEL_ACCOUNT);
	if (!watch)
		return -ENOMEM;
	INIT_LIST_HEAD(&watch->link.node);
	spin_lock(&mb->lock);
	if (!mb->watch) {
		/* Pairs with the acquires of readers without the lock. */
		smp_store_release(&mb->watch, watch);
		watch = NULL;
	}
	spin_unlock(&mb->lock);
	kfree(watch);
	return 0;
}

/**
 * mbx_watch_update() - the recipients in a watch changed
 * @mb: the mailbox, which has a watch
 *
 * A send or receive call checks only whether mailbox.pollers is empty. So the watch is
 * in that list while it has a recipient.
 */
void mbx_watch_update(struct mailbox *mb)
{
	struct mbx_watch *watch = mb->watch;
	bool needed;

	lockdep_assert_held(&mb->lock);
	/*
	 * fasync_helper() changes these without mailbox.lock; all its callers call
	 * this function afterwards.
	 */
	needed = data_race(watch->asyncs[false] || watch->asyncs[true]);
	if (watch->reg)
		needed = true;
	if (needed == !list_empty(&watch->link.node))
		return;
	if (needed)
		list_add_tail(&watch->link.node, &mb->pollers);
	else
		list_del_init(&watch->link.node);
}

/**
 * mbx_watch_fasync() - add a handle to the lists of O_ASYNC, or remove it
 * @watch: the watch that has the lists
 * @fd: as for file_operations.fasync
 * @file: the handle
 * @on: whether its owner is to get signals
 * @rights: rights of the handle, which select the lists; on an error the handle is in
 *	none of them
 *
 * The caller has to call mbx_watch_update() afterwards.
 *
 * Return: 0 if nothing changed, 1 if something did, or -ENOMEM.
 */
int mbx_watch_fasync(struct mbx_watch *watch, int fd, struct file *file,
		     bool on, unsigned int rights)
{
	int ret = 0;

	if (rights & MBX_MAY_RECV)
		ret = fasync_helper(fd, file, on, &watch->asyncs[false]);
	if (ret < 0 || !(rights & MBX_MAY_SEND))
		return ret;
	ret = fasync_helper(fd, file, on, &watch->asyncs[true]);
	/* Only adding a handle can fail. */
	if (ret < 0 && rights & MBX_MAY_RECV)
		fasync_helper(-1, file, 0, &watch->asyncs[false]);
	return ret;
}
