// SPDX-License-Identifier: GPL-2.0-only
/*
 * The poll events of a handle, and O_ASYNC.
 *
 * mbx_poll() returns the events for the calls on a handle that would not wait.
 * mbx_fasync() adds the handle to the lists of O_ASYNC, or removes it. Senders and
 * receivers do not use this file: they tell pollers of later events by poller.c.
 */
#include <linux/fs.h>

#include "exchange.h"
#include "expire.h"
#include "poll.h"
#include "poller.h"
#include "ring.h"

/* The events of a handle that receives nothing more. */
static __poll_t end_of_reading(struct mailbox *mb, const struct mbx_reader *reader,
			       const struct mbx_leases *leases)
{
	if (mb->flags & MBOX_BROADCAST && mbx_reader_expelled(reader))
		return EPOLLERR | EPOLLHUP;
	return mbx_at_end(mb, leases) ? EPOLLHUP : 0;
}

/**
 * mbx_poll() - get the poll events of a handle
 * @mb: the mailbox
 * @reader: how far the handle has read (MBOX_BROADCAST)
 * @leases: what it has on lease
 * @poller: the poller of the handle for @mb
 * @file: the handle
 * @mode: FMODE_READ, FMODE_WRITE: the sides to get the events of
 * @wait: as for file_operations.poll
 */
__poll_t mbx_poll(struct mailbox *mb, const struct mbx_reader *reader,
		  const struct mbx_leases *leases, struct mbx_poller *poller,
		  struct file *file, fmode_t mode, poll_table *wait)
{
	__poll_t events = 0;

	poll_wait(file, &poller->queue, wait);
	mbx_expire(mb);
	spin_lock(&mb->lock);
	mbx_poller_join(mb, poller);
	if (mb->dead) {
		events = EPOLLERR | EPOLLHUP;
		goto out;
	}
	if (mode & FMODE_READ) {
		if (mbx_store_ops(mb)->readable(mb, reader))
			events |= MBX_POLL_IN;
		if (unlikely(mb->flags & (MBOX_HANGUP | MBOX_BROADCAST)))
			events |= end_of_reading(mb, reader, leases);
	}
	if (mode & FMODE_WRITE) {
		/* For the shortest message: its length is not known yet. */
		if (poll_requested_events(wait) & MBX_POLL_OUT &&
		    (mbx_has_room_for(mb, mbx_current_key(mb), 1) ||
		     mbx_when_full(mb) != MBX_FULL_WAIT || mbx_passes_on(mb)))
			events |= MBX_POLL_OUT;
		if (mbx_no_receivers(mb))
			events |= EPOLLERR | EPOLLHUP;
	}
out:
	spin_unlock(&mb->lock);
	return events;
}

/* A thread that polls for one that is less urgent does not find its turn to be that one's. */
static bool has_room_again(const struct mailbox *mb, const struct mbx_outlet *outlet)
{
	return mbx_has_room_for(mb, mbx_current_key(mb), outlet->refused) &&
	       mbx_sends_first(mb, outlet->refused_prio);
}

/**
 * mbx_poll_refused() - whether a message that was refused still has no room
 * @outlet: where the handle sends to, and which message mailbox.max_bytes left no room for
 *
 * The caller has called mbx_poll() before, so that it is told when there may be room.
 */
bool mbx_poll_refused(struct mbx_outlet *outlet)
{
	struct mailbox *mb = outlet->to;
	bool refused = false;

	if (likely(!READ_ONCE(mb->max_bytes)))
		return false;
	spin_lock(&mb->lock);
	if (outlet->refused && outlet->refused_to == task_tgid_nr(current)) {
		refused = !mb->dead && !mbx_no_receivers(mb) && !mbx_passes_on(mb) &&
			  !has_room_again(mb, outlet) &&
			  mbx_when_full(mb) == MBX_FULL_WAIT;
		if (!refused)
			outlet->refused = 0;
	}
	spin_unlock(&mb->lock);
	return refused;
}

/**
 * mbx_fasync() - O_ASYNC of a handle is set or cleared
 * @mb: the mailbox
 * @fd: as for file_operations.fasync
 * @file: the handle
 * @on: whether its owner is to get signals
 * @rights: rights of the handle
 *
 * Return: 0 if nothing changed, 1 if something did, or -ENOMEM.
 */
int mbx_fasync(struct mailbox *mb, int fd, struct file *file, bool on,
	       unsigned int rights)
{
	int ret;

	ret = mbx_watch_make(mb);
	if (ret)
		return ret;
	ret = mbx_watch_fasync(mb->watch, fd, file, on, rights);
	/* Of concurrent callers, the last to take the lock sees all changes. */
	spin_lock(&mb->lock);
	mbx_watch_update(mb);
	if (mb->ring)
		mbx_ring_publish(mb);
	spin_unlock(&mb->lock);
	if (mb->ring && on && ret >= 0)
		mbx_ring_fence_peers(mb, rights);
	return ret;
}
