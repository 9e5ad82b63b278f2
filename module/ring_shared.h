/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of rings share.
 */
#ifndef MBX_RING_SHARED_H
#define MBX_RING_SHARED_H

#include <linux/mbox.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct file;
struct mailbox;
struct mbx_user;
struct mm_struct;
struct pid;

/* Slots that are looked at before others may run, where kernels do not preempt. */
#define RECOVER_AT_ONCE 64

/* MBOX_RING_RECEIVERS and MBOX_RING_SENDERS. */
#define MBX_RING_SIDES 2

#define MBX_POS_MASK (U64_MAX >> MBOX_SLOT_POS_SHIFT)

/**
 * struct mbx_ring_waking - the sleepers of a side that are to be woken
 * @n: how many more at most; under mailbox.lock, also read without it
 * @age: only those of at least this age; under mailbox.lock
 */
struct mbx_ring_waking {
	u32 n;
	u64 age;
};

/**
 * struct mbx_ring - the memory of a ring and the processes that mapped it
 * @refs: references to the memory: that of the mailbox, which it has until it is dead and
 *	has no handle, and those of calls that use the memory without a handle
 * @kernel: MBOX_RING_KERNEL; under mailbox.lock
 * @tail: MBOX_RING_TAIL, untrusted
 * @head: MBOX_RING_HEAD, untrusted
 * @slots: MBOX_RING_SLOTS, untrusted
 * @slots_size: its size
 * @capacity: most messages
 * @mask: number of slots - 1
 * @stride: bytes from one to the next
 * @msg_max: longest message
 * @flags: flags of the mailbox
 * @asym_sides: sides whose fences are asymmetric, by bit; mbox_ring_info.barrier
 * @charged: bytes that the creator was charged
 * @sleepers: sleeping calls of receivers and of senders, by priority and arrival;
 *	under mailbox.lock
 * @arrivals: number of the last of them; under mailbox.lock
 * @waking: those of @sleepers that are to be woken, by side
 * @polled: sides with pollers, by bit; under mailbox.lock
 * @fenced: those of @polled for which the other side's fence was executed since;
 *	under mailbox.lock
 * @poll_ends: changes when bits leave @polled; under mailbox.lock
 * @mb: the mailbox, for @fence_work
 * @fence_work: executes fences that were beyond the limit
 * @late: a fence was put off that @fence_work has not begun to execute; under @lock
 * @lock: protects the rest, and struct mbx_attach
 * @attached: struct mbx_attach, by file and memory
 * @owners: struct mbx_attach by owner number; a number in use stays reserved
 *	until its slots are given up
 * @senders: mappings that send
 * @receivers: mappings that receive
 * @only: the receiver and the sender, on sides of @asym_sides
 * @fence_tick: when @fences began to count, in jiffies
 * @fences: interrupts to other CPUs since
 * @stalled_word: word of a slot that holds up receivers
 * @stalled_since: when the kernel first saw it; 0: no slot holds them up
 */
struct mbx_ring {
	refcount_t refs;
	struct mbox_ring_kernel *kernel;
	u64 *tail;
	u64 *head;
	void *slots;
	size_t slots_size;
	u32 capacity;
	u32 mask;
	u32 stride;
	u32 msg_max;
	u32 flags;
	u32 asym_sides;
	u32 charged;
	struct rb_root sleepers[MBX_RING_SIDES];
	u64 arrivals;
	struct mbx_ring_waking waking[MBX_RING_SIDES];
	u32 polled;
	u32 fenced;
	u32 poll_ends;
	struct mailbox *mb;
	struct delayed_work fence_work;
	bool late;
	spinlock_t lock;
	struct rb_root attached;
	struct xarray owners;
	unsigned int senders;
	unsigned int receivers;
	struct mbx_attach *only[MBX_RING_SIDES];
	unsigned long fence_tick;
	unsigned int fences;
	u64 stalled_word;
	u64 stalled_since;
};

/**
 * struct mbx_attach - what one process has mapped through one handle
 * @node: in mbx_ring.attached
 * @mb: the mailbox; the mapped file has a reference
 * @file: the handle; only compared
 * @mm: the process's memory, one reference of mmgrab()
 * @pid: the process that mapped first, one reference
 * @user: the user that is charged, one reference
 * @info: MBOX_RING_INFO, a page of its own
 * @owner: its owner number, 0: it does not send
 * @maps: mappings, of any region
 * @send_maps: those that write to slots
 * @recv_maps: those that write to the head
 */
struct mbx_attach {
	struct rb_node node;
	struct mailbox *mb;
	struct file *file;
	struct mm_struct *mm;
	struct pid *pid;
	struct mbx_user *user;
	struct mbox_ring_info *info;
	u32 owner;
	unsigned int maps;
	unsigned int send_maps;
	unsigned int recv_maps;
};

static inline unsigned int mbx_ring_peer(unsigned int side)
{
	return side == MBOX_RING_SENDERS ? MBOX_RING_RECEIVERS : MBOX_RING_SENDERS;
}

static inline struct mbox_ring_slot *
mbx_ring_slot_at(const struct mbx_ring *ring, u64 pos)
{
	return ring->slots + (size_t)(pos & ring->mask) * ring->stride;
}

bool mbx_ring_ready(const struct mbx_ring *ring, unsigned int side);
u64 mbx_ring_stalled(struct mbx_ring *ring, u32 *owner);

u32 mbx_ring_asym_sides(u32 flags);
bool mbx_ring_is_asym(const struct mbx_ring *ring, unsigned int side);
bool mbx_ring_interrupt_side(struct mailbox *mb, unsigned int side,
			     bool limited);
bool mbx_ring_fence_side(struct mailbox *mb, unsigned int side);

void mbx_ring_wait_init(struct mbx_ring *ring);
void mbx_ring_wait_exit(struct mbx_ring *ring);
void mbx_ring_wake_all(struct mailbox *mb);
bool mbx_ring_orphaned(const struct mailbox *mb, unsigned int side);

#endif /* MBX_RING_SHARED_H */
