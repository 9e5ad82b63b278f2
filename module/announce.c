// SPDX-License-Identifier: GPL-2.0-only
/*
 * Announcing a message to the calls that it is never delivered to: calls that peek,
 * and calls that read broadcasts. They are woken, and each of them searches the
 * mailbox itself.
 */
#include "announce.h"
#include "waiter.h"

/**
 * mbx_wake_peekers() - wake the calls that wait to peek or to read a broadcast
 * @mb: the mailbox
 * @deferred: to be run without the lock
 *
 * The first MBX_WAKE_AT_ONCE calls are woken here. The others are moved to
 * mailbox.waking and woken by mbx_flush_deferred(). Calls that begin to wait
 * meanwhile are not woken.
 */
void mbx_wake_peekers(struct mailbox *mb, struct mbx_deferred *deferred)
{
	struct mbx_waiter *w;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	for (n = 0; n < MBX_WAKE_AT_ONCE; n++) {
		w = mbx_waiter_in_list(&mb->peekers);
		if (!w)
			break;
		mbx_waiter_complete(mb, w, 0, deferred);
	}
	list_splice_tail_init(&mb->peekers, &mb->waking);
	/* The list may still hold calls that a less urgent thread was to wake. */
	if (list_empty(&mb->waking))
		return;
	deferred->more |= MBX_MORE_WAKE;
	/* No waiting call has a higher number. */
	deferred->wake = mb->arrivals;
}

/**
 * mbx_wake_more() - continue mbx_wake_peekers()
 * @mb: the mailbox
 * @last: number of the last call to wake, its lower half
 * @deferred: to be run without the lock
 */
void mbx_wake_more(struct mailbox *mb, u64 last, struct mbx_deferred *deferred)
{
	struct mbx_waiter *w;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	for (n = 0; n < MBX_WAKE_AT_ONCE; n++) {
		w = mbx_waiter_in_list(&mb->waking);
		if (!w || w->seq > last)
			return;
		mbx_waiter_complete(mb, w, 0, deferred);
	}
	if (!(deferred->more & MBX_MORE_WAKE) || last > deferred->wake)
		deferred->wake = last;
	deferred->more |= MBX_MORE_WAKE;
}

/**
 * mbx_wake_next() - a call that was woken wakes some of those behind it
 * @mb: the mailbox
 *
 * The thread that is to wake the others may be less urgent than they are, and so may not
 * run for long. It still wakes those that are left.
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_wake_next(struct mailbox *mb)
{
	struct mbx_deferred deferred;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	mbx_wake_more(mb, mb->arrivals, &deferred);
	spin_unlock(&mb->lock);
	/* Each call that was woken here does the same. */
	deferred.more &= ~MBX_MORE_WAKE;
	mbx_flush_deferred(mb, &deferred);
}
