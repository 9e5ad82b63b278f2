// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: what the shared memory says.
 *
 * Programs can write anything into it, at any time. So a word is read once, used
 * as an index only after masking, and decides only whether a caller sleeps; a
 * sleeper can always be killed.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/pid.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "mailbox.h"
#include "ring.h"
#include "ring_shared.h"

/* Whether a receiver would find a message, an abandoned slot or an error. */
static bool has_message(const struct mbx_ring *ring)
{
	u64 head = READ_ONCE(*ring->head);
	u64 word = READ_ONCE(mbx_ring_slot_at(ring, head)->word);
	u64 pos = word >> MBOX_SLOT_POS_SHIFT;
	bool busy = (word & MBOX_SLOT_STATE_MASK) == MBOX_SLOT_BUSY;

	if (pos == (head & MBX_POS_MASK))
		return !busy;
	return pos != ((head - ring->mask - 1) & MBX_POS_MASK);
}

/* Whether a sender would find room. */
static bool has_room(const struct mbx_ring *ring)
{
	u64 tail = READ_ONCE(*ring->tail);
	u64 head = READ_ONCE(*ring->head);

	/* Signed: receivers decide by the slots, so the head can be past the tail. */
	return (s64)(tail - head) < (s64)ring->capacity;
}

/**
 * mbx_ring_ready() - whether a call of one side would find something to do
 * @ring: the ring
 * @side: MBOX_RING_RECEIVERS or MBOX_RING_SENDERS
 */
bool mbx_ring_ready(const struct mbx_ring *ring, unsigned int side)
{
	return side == MBOX_RING_SENDERS ? has_room(ring) : has_message(ring);
}

/**
 * mbx_ring_stalled() - whether a reserved slot holds up the receivers
 * @ring: the ring
 * @owner: where to store the owner number in that slot
 *
 * The kernel checks this when a call is about to sleep, when a program polls, and
 * in MBOX_IOC_STAT. So the stall may have begun earlier than the kernel saw it.
 *
 * Return: when the kernel first saw the stall (CLOCK_MONOTONIC), or 0 if there is
 * none.
 */
u64 mbx_ring_stalled(struct mbx_ring *ring, u32 *owner)
{
	u64 head = READ_ONCE(*ring->head);
	u64 word = READ_ONCE(mbx_ring_slot_at(ring, head)->word);
	u64 since;

	spin_lock(&ring->lock);
	if (word >> MBOX_SLOT_POS_SHIFT != (head & MBX_POS_MASK) ||
	    (word & MBOX_SLOT_STATE_MASK) != MBOX_SLOT_BUSY) {
		ring->stalled_since = 0;
	} else if (!ring->stalled_since || ring->stalled_word != word) {
		ring->stalled_word = word;
		ring->stalled_since = ktime_get_ns();
	}
	since = ring->stalled_since;
	spin_unlock(&ring->lock);
	*owner = word >> MBOX_SLOT_OWNER_SHIFT & MBOX_SLOT_OWNER_MAX;
	return since;
}

/**
 * mbx_ring_stat() - fill in what the shared memory says, which may be false
 * @mb: the mailbox
 * @st: to be filled in
 */
void mbx_ring_stat(const struct mailbox *mb, struct mbox_stat *st)
{
	struct mbx_ring *ring = mb->ring;
	u64 tail = READ_ONCE(*ring->tail);
	u64 head = READ_ONCE(*ring->head);
	struct mbx_attach *at;
	u32 owner;
	u64 since;

	/* The head can be past a tail whose sender ended before it moved it. */
	st->sent = max(tail, head);
	st->received = head;
	st->queued = min_t(u64, st->sent - head, ring->capacity);

	since = mbx_ring_stalled(ring, &owner);
	if (!since)
		return;
	/* Not 0 either if it was first seen just now. */
	st->stalled_ns = max_t(u64, ktime_get_ns() - since, 1);
	spin_lock(&ring->lock);
	at = xa_load(&ring->owners, owner);
	if (at)
		st->stalled_pid = pid_vnr(at->pid);
	spin_unlock(&ring->lock);
}
