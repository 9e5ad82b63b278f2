// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that were started: those of one handle, and who waits for their end.
 *
 * A call that was started waits without a thread, in its transaction, from the moment
 * at which its request is accepted. It is in mbx_started.root of its handle until a
 * thread has told its end (mbx_call_wait()). When it ends, by a reply or otherwise, it
 * goes to the end of mbx_started.ended, and one waiting call is woken: the most urgent of
 * those that wait for this call, or else of those that wait for any. That
 * call searches again, as one that peeks does. Then the handle is told, if it is polled.
 *
 * A thread that tells the end removes the call from mbx_started.ended, copies the reply
 * without the lock, and then removes the call from mbx_started.root. If the copy fails,
 * it puts the call back in front.
 *
 * Before its request is accepted, a call is one of a sender that waits for room: the
 * thread waits with a struct mbx_send_waiter of its own (mbx_send_start()).
 */
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/wait.h>

#include "deferred.h"
#include "mailbox.h"
#include "poller.h"
#include "started.h"
#include "trace.h"

/**
 * mbx_started_add() - the request of a call has been accepted
 * @mb: the mailbox
 * @txn: its transaction, with @txn->number; the list takes a reference
 */
void mbx_started_add(struct mailbox *mb, struct mbx_transaction *txn)
{
	struct mbx_started *started = txn->started;

	lockdep_assert_held(&mb->lock);
	mbx_numbers_add(&started->root, txn);
	refcount_inc(&txn->refs);
	txn->listed = true;
	started->count++;
}

/**
 * mbx_started_remove() - undo mbx_started_add(), except for the reference
 * @mb: the mailbox
 * @txn: the transaction
 */
void mbx_started_remove(struct mailbox *mb, struct mbx_transaction *txn)
{
	struct mbx_started *started = txn->started;

	lockdep_assert_held(&mb->lock);
	rb_erase(&txn->home_node, &started->root);
	txn->listed = false;
	if (!txn->waiter.waiter.done)
		started->count--;
	if (list_empty(&txn->end))
		return;
	list_del_init(&txn->end);
	started->unread--;
}

/**
 * mbx_started_find() - find a call
 * @started: the calls of its handle
 * @number: its number
 *
 * Return: its transaction, or NULL.
 */
struct mbx_transaction *mbx_started_find(const struct mbx_started *started, u64 number)
{
	return mbx_numbers_find(&started->root, number);
}

/**
 * mbx_started_accept() - accept the request of a call whose thread waits for room
 * @mb: the mailbox
 * @w: the waiting thread; gone when this returns
 * @deferred: to be run without the lock
 *
 * From now on the call waits without its thread, at the same place in the order.
 */
void mbx_started_accept(struct mailbox *mb, struct mbx_send_waiter *w,
			struct mbx_deferred *deferred)
{
	struct mbx_transaction *txn = w->txn;
	struct mbx_send_waiter *own = &txn->waiter;

	lockdep_assert_held(&mb->lock);
	*own = (struct mbx_send_waiter){
		.msg = w->msg,
		.txn = txn,
		.waiter.seq = w->waiter.seq,
		.waiter.count = w->waiter.count,
		.waiter.prio = w->waiter.prio,
	};
	RB_CLEAR_NODE(&own->by_msg);
	txn->caller = own;
	mbx_waiter_complete(mb, &w->waiter, 0, deferred);
	mbx_waiter_accept(mb, own);
	mbx_started_add(mb, txn);
}

/**
 * mbx_started_offer() - wake a call that waits for the end of a call
 * @mb: the mailbox
 * @txn: the transaction of the call that has ended
 * @first: the end goes before those that are to be told
 * @deferred: to be run without the lock
 *
 * The caller has mbx_started_tell() called without the lock.
 */
void mbx_started_offer(struct mailbox *mb, struct mbx_transaction *txn, bool first,
		       struct mbx_deferred *deferred)
{
	struct mbx_started *started = txn->started;
	struct mbx_waiter *w;

	lockdep_assert_held(&mb->lock);
	if (first)
		list_add(&txn->end, &started->ended);
	else
		list_add_tail(&txn->end, &started->ended);
	started->unread++;
	w = mbx_waiters_first(&txn->collectors);
	if (!w)
		w = mbx_waiters_first(&started->collectors);
	if (w)
		mbx_waiter_complete(mb, w, 0, deferred);
}

/* Offer the end of a call, once, and have its handle told. */
static void first_offer(struct mailbox *mb, struct mbx_transaction *txn,
			struct mbx_deferred *deferred)
{
	mbx_started_offer(mb, txn, false, deferred);
	/* If its server is to be deboosted, it is in the list already. */
	if (deferred->ended == txn)
		return;
	refcount_inc(&txn->refs);
	txn->ended = deferred->ended;
	deferred->ended = txn;
}

/**
 * mbx_started_ended() - a call without a thread is being completed
 * @mb: the mailbox
 * @w: the call, which may be a parked one
 * @result: 0 if there is a reply, or an error
 * @deferred: to be run without the lock
 */
void mbx_started_ended(struct mailbox *mb, struct mbx_send_waiter *w, int result,
		       struct mbx_deferred *deferred)
{
	struct mbx_transaction *txn = container_of(w, struct mbx_transaction, waiter);

	lockdep_assert_held(&mb->lock);
	if (!txn->started)
		return;
	txn->started->count--;
	trace_mbox_call_end(mb, txn, result);
	first_offer(mb, txn, deferred);
}

/**
 * mbx_started_end() - end a call that has been withdrawn
 * @mb: the mailbox
 * @txn: its transaction
 * @result: the error
 * @deferred: to be run without the lock
 */
void mbx_started_end(struct mailbox *mb, struct mbx_transaction *txn, int result,
		     struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	txn->waiter.waiter.result = result;
	txn->waiter.waiter.done = true;
	txn->started->count--;
	trace_mbox_call_end(mb, txn, result);
	first_offer(mb, txn, deferred);
}

/**
 * mbx_started_dismiss() - wake some calls that wait in vain
 * @mb: the mailbox
 * @collectors: the calls
 * @deferred: to be run without the lock
 *
 * Return: whether there are more.
 */
bool mbx_started_dismiss(struct mailbox *mb, struct rb_root_cached *collectors,
			 struct mbx_deferred *deferred)
{
	struct mbx_waiter *w;

	lockdep_assert_held(&mb->lock);
	/* One more task would make mbx_waiter_complete() wake these under the lock. */
	while (deferred->ntasks < ARRAY_SIZE(deferred->tasks)) {
		w = mbx_waiters_first(collectors);
		if (!w)
			return false;
		mbx_waiter_complete(mb, w, 0, deferred);
	}
	return true;
}

/* ---- poll ------------------------------------------------------------------ */

/**
 * mbx_started_polled() - the handle is polled from now on, or is being closed
 * @started: its calls
 * @poller: its poller, or NULL; freed after a grace period
 */
void mbx_started_polled(struct mbx_started *started, struct mbx_poller *poller)
{
	/* Pairs with the acquire in mbx_started_tell(). */
	smp_store_release(&started->poller, poller);
}

/**
 * mbx_started_tell() - tell a handle that a call has ended
 * @started: its calls
 *
 * Only this handle is told, so this does not go through mailbox.pollers.
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_started_tell(struct mbx_started *started)
{
	struct mbx_poller *poller;

	rcu_read_lock();
	/* Pairs with the release in mbx_started_polled(). */
	poller = smp_load_acquire(&started->poller);
	/*
	 * Without a key: io_uring passes over a wake-up for EPOLLPRI alone. Then other
	 * pollers of the handle look in vain, so an exclusive one must not use this up.
	 */
	if (poller)
		__wake_up(&poller->queue, TASK_NORMAL, 0, NULL);
	rcu_read_unlock();
}

/**
 * mbx_started_ready() - whether the end of a call can be told
 * @mb: the mailbox
 * @started: the calls of a handle
 */
bool mbx_started_ready(struct mailbox *mb, const struct mbx_started *started)
{
	bool ret;

	spin_lock(&mb->lock);
	ret = !list_empty(&started->ended);
	spin_unlock(&mb->lock);
	return ret;
}
