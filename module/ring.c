// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: the shared memory. Mapping it is in ring_map.c, what it says in
 * ring_state.c, sleeping in ring_wait.c.
 *
 * Programs pass messages to each other without the kernel. The kernel allocates
 * the memory, lets each mapping write only what its handle has the right to, puts
 * participants to sleep that have nothing to do, and gives up the slots that a
 * sender was filling when it ended. Documentation/ring.rst has the protocol.
 *
 * Distrust
 *
 * Programs can change the shared memory to anything at any time. The kernel reads
 * a word of it once, uses it as an index only after masking, and bases only one
 * decision on it: whether a caller sleeps, and a sleeper can always be killed. The
 * only loop over shared memory has as many steps as there are slots.
 *
 * Locks
 *
 * ring.lock is a spinlock, taken alone or under mmap_lock.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include "limits.h"
#include "ring.h"
#include "ring_shared.h"

/* Slots start at cache lines; the same on every CPU. */
#define SLOT_ALIGN 64U

/* ---- the memory ---------------------------------------------------------- */

static u32 slot_stride(u32 msg_max)
{
	return round_up(sizeof(struct mbox_ring_slot) + msg_max, SLOT_ALIGN);
}

/**
 * mbx_ring_attr_check() - check the attributes of a ring
 * @attr: the attributes; msg_max was checked
 *
 * Return: 0, or -EINVAL.
 */
int mbx_ring_attr_check(const struct mbox_attr *attr)
{
	u64 size;

	if (!attr->capacity || attr->capacity > MBOX_RING_CAPACITY_MAX)
		return -EINVAL;
	size = (u64)roundup_pow_of_two(attr->capacity) *
	       slot_stride(attr->msg_max);
	return size > MBOX_RING_SIZE_MAX ? -EINVAL : 0;
}

/* Every slot looks as if its message of the previous lap had been received. */
static void init_slots(struct mbx_ring *ring)
{
	u32 i;

	for (i = 0; i <= ring->mask; i++) {
		u64 pos = ((u64)i - ring->mask - 1) & MBX_POS_MASK;

		mbx_ring_slot_at(ring, i)->word = pos << MBOX_SLOT_POS_SHIFT |
						  MBOX_SLOT_COMMITTED;
		if (i % RECOVER_AT_ONCE == 0)
			cond_resched();
	}
}

static int alloc_regions(struct mbx_ring *ring)
{
	size_t size = 3 * PAGE_SIZE + ring->slots_size;
	void *regions;

	BUILD_BUG_ON(sizeof(*ring->kernel) > PAGE_SIZE);
	/* A user can ask for more than there is: that deserves no warning. */
	regions = __vmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO |
					  __GFP_NOWARN);
	if (!regions)
		return -ENOMEM;
	ring->kernel = regions;
	ring->tail = regions + PAGE_SIZE;
	ring->head = regions + 2 * PAGE_SIZE;
	ring->slots = regions + 3 * PAGE_SIZE;
	init_slots(ring);
	return 0;
}

/**
 * mbx_ring_new() - make the memory of a ring
 * @attr: attributes of the mailbox, already checked
 * @user: the user whose limit is charged until the last mbx_ring_put()
 *
 * Context: Process context, may sleep.
 * Return: the ring, or -ENOMEM, -EDQUOT.
 */
struct mbx_ring *mbx_ring_new(const struct mbox_attr *attr,
			      struct mbx_user *user)
{
	u32 n = roundup_pow_of_two(attr->capacity);
	struct mbx_ring *ring;
	int ret = -ENOMEM;

	ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	if (!ring)
		return ERR_PTR(-ENOMEM);
	refcount_set(&ring->refs, 1);
	ring->capacity = attr->capacity;
	ring->mask = n - 1;
	ring->msg_max = attr->msg_max;
	ring->stride = slot_stride(attr->msg_max);
	ring->flags = attr->flags;
	ring->asym_sides = mbx_ring_asym_sides(attr->flags);
	ring->slots_size = PAGE_ALIGN((size_t)n * ring->stride);
	ring->charged = 3 * PAGE_SIZE + ring->slots_size;
	spin_lock_init(&ring->lock);
	ring->attached = RB_ROOT;
	xa_init_flags(&ring->owners, XA_FLAGS_ALLOC1);
	mbx_ring_wait_init(ring);

	ret = mbx_charge_bytes(user, ring->charged, true);
	if (ret)
		goto err_free;
	ret = alloc_regions(ring);
	if (ret)
		goto err_uncharge;
	return ring;

err_uncharge:
	mbx_uncharge_bytes(user, ring->charged);
err_free:
	kfree(ring);
	return ERR_PTR(ret);
}

/**
 * mbx_ring_get() - use the memory of a ring without a handle
 * @ring: the ring; the caller has a reference to its mailbox
 *
 * Return: whether there still is the memory; then mbx_ring_put() has to follow.
 */
bool mbx_ring_get(struct mbx_ring *ring)
{
	return refcount_inc_not_zero(&ring->refs);
}

/**
 * mbx_ring_put() - drop a reference to the memory of a ring
 * @ring: the ring; when this is the last reference, it is not mapped any more
 * @user: the user that was charged
 *
 * Context: Process context, may sleep.
 */
void mbx_ring_put(struct mbx_ring *ring, struct mbx_user *user)
{
	if (!refcount_dec_and_test(&ring->refs))
		return;
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&ring->attached));
	mbx_ring_wait_exit(ring);
	vfree(ring->kernel);
	mbx_uncharge_bytes(user, ring->charged);
}

/**
 * mbx_ring_free() - free a ring
 * @ring: the ring, whose memory is gone
 */
void mbx_ring_free(struct mbx_ring *ring)
{
	xa_destroy(&ring->owners);
	kfree(ring);
}
