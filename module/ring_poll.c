// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: poll.
 *
 * A side stays polled as long as there is a poller in the wait queue: a multishot
 * poll of io_uring looks only once and is told from then on. The first poll
 * executes the other side's fence whatever it finds, because a poller for edges
 * does not look again until it is told of something.
 */
#include <linux/poll.h>

#include "mailbox.h"
#include "poller.h"
#include "ring.h"
#include "ring_shared.h"

/*
 * Execute the other side's fence for pollers of the sides @unfenced, which were
 * marked as polled when mbx_ring.poll_ends was @poll_ends.
 */
static void fence_for_poll(struct mailbox *mb, u32 unfenced, u32 poll_ends)
{
	struct mbx_ring *ring = mb->ring;
	u32 fenced = 0;
	unsigned int side;

	for (side = 0; side < MBX_RING_SIDES; side++)
		if (unfenced & BIT(side) &&
		    mbx_ring_fence_side(mb, mbx_ring_peer(side)))
			fenced |= BIT(side);
	spin_lock(&mb->lock);
	if (ring->poll_ends == poll_ends)
		ring->fenced |= fenced;
	spin_unlock(&mb->lock);
}

/**
 * mbx_ring_poll() - tell which calls would not wait
 * @mb: the mailbox
 * @poller: the poller of the handle
 * @file: the handle
 * @wait: as for file_operations.poll
 * @rights: rights of the handle
 *
 * Marks the sides that the caller asks about as polled whatever it finds: a poller
 * for edges looks only once after each edge.
 */
__poll_t mbx_ring_poll(struct mailbox *mb, struct mbx_poller *poller,
		       struct file *file, poll_table *wait,
		       unsigned int rights)
{
	__poll_t want = poll_requested_events(wait), events = 0;
	bool recv = rights & MBX_MAY_RECV && want & MBX_POLL_IN;
	bool send = rights & MBX_MAY_SEND && want & MBX_POLL_OUT;
	u32 polled = recv << MBOX_RING_RECEIVERS | send << MBOX_RING_SENDERS;
	struct mbx_ring *ring = mb->ring;
	u32 unfenced = 0, poll_ends, owner;

	poll_wait(file, &poller->queue, wait);
	spin_lock(&mb->lock);
	if (mb->dead) {
		spin_unlock(&mb->lock);
		return EPOLLERR | EPOLLHUP;
	}
	if (rights & MBX_MAY_RECV && mbx_ring_orphaned(mb, MBOX_RING_RECEIVERS))
		events |= EPOLLHUP;
	if (rights & MBX_MAY_SEND && mbx_ring_orphaned(mb, MBOX_RING_SENDERS))
		events |= EPOLLERR | EPOLLHUP;
	mbx_poller_join(mb, poller);
	ring->polled |= polled;
	if (recv && mbx_ring_is_asym(ring, MBOX_RING_SENDERS))
		unfenced |= BIT(MBOX_RING_RECEIVERS);
	if (send && mbx_ring_is_asym(ring, MBOX_RING_RECEIVERS))
		unfenced |= BIT(MBOX_RING_SENDERS);
	unfenced &= ~ring->fenced;
	poll_ends = ring->poll_ends;
	mbx_ring_publish(mb);
	spin_unlock(&mb->lock);

	/* Pairs with the fence of the other side, after it has published. */
	smp_mb();
	if (unfenced)
		fence_for_poll(mb, unfenced, poll_ends);
	if (recv && mbx_ring_ready(ring, MBOX_RING_RECEIVERS))
		events |= MBX_POLL_IN;
	if (send && mbx_ring_ready(ring, MBOX_RING_SENDERS))
		events |= MBX_POLL_OUT;
	if (recv && !(events & MBX_POLL_IN))
		mbx_ring_stalled(ring, &owner);
	return events;
}
