// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: shared memory, sleep and wake, and repair after a death.
 *
 * Messages pass from program to program without the kernel. It creates the
 * memory, lets each mapping write only what its handle has the right to, puts
 * those to sleep who have nothing to do, and gives up the slots of senders that
 * ended while they were filling them. Documentation/ring.rst has the protocol.
 *
 * Distrust
 *
 * All that programs can write may change at any time to anything. What is read
 * from there is read once, used as an index only after masking, and decides
 * nothing but whether a caller sleeps, which it can always be killed in. The
 * only loop over shared memory has as many steps as there are slots.
 *
 * Sleeping
 *
 * A sleeper is counted where the other side sees it, then looks whether there
 * is something to do, then sleeps. The other side publishes, then looks at the
 * count. A full barrier between the two steps on each side makes sure that one
 * of them sees the other. Where the other side is one process, the barrier is
 * most of what a message costs it. If the kernel can give it for that process,
 * by an interrupt to the CPUs on which it runs (as membarrier(2) does), it does
 * so before a sleeper looks for the last time, and the fast path goes without.
 * In a virtual machine, where such an interrupt is a call of the hypervisor, it
 * costs more than it saves.
 *
 * A mailbox's lists of waiters, counts and wait queue are those that queues use.
 *
 * Locks: mmap_lock, then ring.lock; or ring.lock alone; or mailbox.lock alone.
 */
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#ifdef CONFIG_X86
#include <asm/cpufeature.h>
#endif

#include "compat.h"
#include "limits.h"
#include "mailbox.h"
#include "ring.h"
#include "trace.h"
#include "wait.h"

/* Slots start at cache lines, of whatever CPU the other kernel has. */
#define SLOT_ALIGN 64U
/* Somebody polls; in struct mbox_ring_kernel beside the number of sleepers. */
#define ARMED BIT(31)
/* Slots that are looked at before others may run. */
#define RECOVER_AT_ONCE 1024
#define POS_MASK (U64_MAX >> MBOX_SLOT_POS_SHIFT)

/**
 * struct mbox_ring - the memory of a ring and who has mapped it
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
 * @ordered: sides that the kernel gives their barriers, as in
 *	mbox_ring_info.barrier
 * @charged: bytes that the creator was charged
 * @armed: sides that somebody polls for, by bit; under mailbox.lock
 * @lock: protects the rest, and struct attach
 * @attached: who has mapped something
 * @owners: owner numbers in use
 * @senders: mappings that send
 * @receivers: mappings that receive
 * @cpus: where one side runs, for order_others()
 */
struct mbox_ring {
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
	u32 ordered;
	u32 charged;
	unsigned long armed;
	struct mutex lock;
	struct list_head attached;
	struct ida owners;
	unsigned int senders;
	unsigned int receivers;
	cpumask_var_t cpus;
};

/**
 * struct attach - what one process has mapped through one handle
 * @node: in mbox_ring.attached
 * @mb: the mailbox, which the mapped file keeps
 * @file: the handle; only compared
 * @mm: the process's memory, one reference of mmgrab()
 * @info: MBOX_RING_INFO, a page of its own
 * @maps: mappings, of any region
 * @send_maps: those that write to slots
 * @recv_maps: those that write to the head
 */
struct attach {
	struct list_head node;
	struct mailbox *mb;
	struct file *file;
	struct mm_struct *mm;
	struct mbox_ring_info *info;
	unsigned int maps;
	unsigned int send_maps;
	unsigned int recv_maps;
};

/* ---- the memory ---------------------------------------------------------- */

static u32 slot_stride(u32 msg_max)
{
	return round_up(sizeof(struct mbox_ring_slot) + msg_max, SLOT_ALIGN);
}

static struct mbox_ring_slot *slot_at(const struct mbox_ring *ring, u64 pos)
{
	return ring->slots + (size_t)(pos & ring->mask) * ring->stride;
}

/**
 * mbox_ring_attr_check() - check the attributes of a ring
 * @attr: the attributes; msg_max was checked
 *
 * Return: 0, or -EINVAL.
 */
int mbox_ring_attr_check(const struct mbox_attr *attr)
{
	u64 size;

	if (!attr->capacity || attr->capacity > MBOX_RING_CAPACITY_MAX)
		return -EINVAL;
	size = (u64)roundup_pow_of_two(attr->capacity) *
	       slot_stride(attr->msg_max);
	return size > MBOX_RING_SIZE_MAX ? -EINVAL : 0;
}

/* Every slot looks as if its message of the lap before were received. */
static void init_slots(struct mbox_ring *ring)
{
	u32 i;

	for (i = 0; i <= ring->mask; i++) {
		u64 pos = ((u64)i - ring->mask - 1) & POS_MASK;

		slot_at(ring, i)->word = pos << MBOX_SLOT_POS_SHIFT |
					 MBOX_SLOT_COMMITTED;
		if (i % RECOVER_AT_ONCE == 0)
			cond_resched();
	}
}

static int alloc_regions(struct mbox_ring *ring)
{
	size_t size = 3 * PAGE_SIZE + ring->slots_size;
	void *regions;

	BUILD_BUG_ON(sizeof(*ring->kernel) > PAGE_SIZE);
	/* As much as any user asks for: a failure is no reason for a warning. */
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

/*
 * Which sides of a new ring the kernel gives their barriers.
 *
 * The mask of the CPUs on which a process runs is kept, and entering and
 * leaving it are full barriers, where the TLB of another CPU is emptied by an
 * interrupt: on x86.
 */
static u32 ordered_sides(u32 flags)
{
#ifdef CONFIG_X86
	int wanted = READ_ONCE(mbox_ring_barriers);

	if (wanted < 0)
		wanted = !boot_cpu_has(X86_FEATURE_HYPERVISOR);
	if (wanted)
		return (flags & MBOX_ONE_RECEIVER ? BIT(MBOX_RING_RECEIVERS) : 0) |
		       (flags & MBOX_ONE_SENDER ? BIT(MBOX_RING_SENDERS) : 0);
#endif
	return 0;
}

/**
 * mbox_ring_new() - make the memory of a ring
 * @attr: attributes of the mailbox, already checked
 * @user: whose limit is charged, and stays so until mbox_ring_free()
 *
 * Context: Process context, may sleep.
 * Return: the ring, or -ENOMEM, -EDQUOT.
 */
struct mbox_ring *mbox_ring_new(const struct mbox_attr *attr,
				struct mbox_user *user)
{
	u32 n = roundup_pow_of_two(attr->capacity);
	struct mbox_ring *ring;
	int ret = -ENOMEM;

	ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	if (!ring)
		return ERR_PTR(-ENOMEM);
	if (!zalloc_cpumask_var(&ring->cpus, GFP_KERNEL_ACCOUNT))
		goto err_free;
	ring->capacity = attr->capacity;
	ring->mask = n - 1;
	ring->msg_max = attr->msg_max;
	ring->stride = slot_stride(attr->msg_max);
	ring->flags = attr->flags;
	ring->ordered = ordered_sides(attr->flags);
	ring->slots_size = PAGE_ALIGN((size_t)n * ring->stride);
	ring->charged = 3 * PAGE_SIZE + ring->slots_size;
	mutex_init(&ring->lock);
	INIT_LIST_HEAD(&ring->attached);
	ida_init(&ring->owners);

	ret = mbox_charge_bytes(user, ring->charged);
	if (ret)
		goto err_free_cpus;
	ret = alloc_regions(ring);
	if (ret)
		goto err_uncharge;
	return ring;

err_uncharge:
	mbox_uncharge_bytes(user, ring->charged);
err_free_cpus:
	free_cpumask_var(ring->cpus);
err_free:
	kfree(ring);
	return ERR_PTR(ret);
}

/**
 * mbox_ring_free() - give the memory of a ring back
 * @ring: the ring, which nobody has mapped any more
 * @user: who was charged
 */
void mbox_ring_free(struct mbox_ring *ring, struct mbox_user *user)
{
	WARN_ON_ONCE(!list_empty(&ring->attached));
	vfree(ring->kernel);
	mbox_uncharge_bytes(user, ring->charged);
	ida_destroy(&ring->owners);
	free_cpumask_var(ring->cpus);
	kfree(ring);
}

/* ---- sleeping ------------------------------------------------------------ */

/* Whether a receiver would find something other than an empty ring. */
static bool has_message(const struct mbox_ring *ring)
{
	u64 head = READ_ONCE(*ring->head);
	u64 word = READ_ONCE(slot_at(ring, head)->word);
	u64 pos = word >> MBOX_SLOT_POS_SHIFT;
	bool busy = (word & MBOX_SLOT_STATE_MASK) == MBOX_SLOT_BUSY;

	if (pos == (head & POS_MASK))
		return !busy;
	return pos != ((head - ring->mask - 1) & POS_MASK);
}

/* The same for a sender and a full ring. */
static bool has_room(const struct mbox_ring *ring)
{
	u64 tail = READ_ONCE(*ring->tail);
	u64 head = READ_ONCE(*ring->head);

	/* Signed: receivers go by the slots, and can be ahead of the tail. */
	return (s64)(tail - head) < (s64)ring->capacity;
}

static bool side_ready(const struct mbox_ring *ring, bool send)
{
	return send ? has_room(ring) : has_message(ring);
}

/* MBOX_HANGUP, and nobody is left on the other side. */
static bool side_orphaned(const struct mailbox *mb, bool send)
{
	lockdep_assert_held(&mb->lock);
	return mb->flags & MBOX_HANGUP &&
	       !(send ? mb->recv_handles : mb->send_handles);
}

/* Whether the kernel gives one side its barriers. */
static bool orders_side(const struct mbox_ring *ring, bool send)
{
	return ring->ordered &
	       BIT(send ? MBOX_RING_SENDERS : MBOX_RING_RECEIVERS);
}

static void full_barrier(void *unused)
{
	/* In place of the one in ring_fence(), libuser/src/ring_core.h. */
	smp_mb();
}

/*
 * Order the memory of those on the other side of @send, which was counted: what
 * they have published so far is seen, and what they publish later comes with a
 * look at the count of sleepers.
 */
static void order_others(struct mbox_ring *ring, bool send)
{
	struct attach *at;

	mutex_lock(&ring->lock);
	cpumask_clear(ring->cpus);
	list_for_each_entry(at, &ring->attached, node)
		if (send ? at->recv_maps : at->send_maps)
			cpumask_or(ring->cpus, ring->cpus, mm_cpumask(at->mm));
	on_each_cpu_mask(ring->cpus, full_barrier, NULL, true);
	mutex_unlock(&ring->lock);
}

/* Look whether a side is ready, after it was counted. */
static bool side_ready_ordered(struct mbox_ring *ring, bool send)
{
	/* Pairs with the fence of the other side, after it has published. */
	smp_mb();
	if (side_ready(ring, send))
		return true;
	if (!orders_side(ring, !send))
		return false;
	order_others(ring, send);
	return side_ready(ring, send);
}

/* Whether the other side has to tell the kernel of everything. */
static bool side_armed(const struct mailbox *mb, bool send)
{
	const struct mbox_watch *watch = mb->watch;

	if (mb->ring->armed & BIT(send))
		return true;
	/* fasync_helper() changes it without our lock; who calls it comes here. */
	return watch && data_race(watch->asyncs[send]);
}

/**
 * mbox_ring_publish() - show programs the state, and who sleeps
 * @mb: the mailbox, whose lock the caller holds
 */
void mbox_ring_publish(struct mailbox *mb)
{
	struct mbox_ring *ring = mb->ring;
	u32 state = mb->dead ? MBOX_RING_DEAD : 0;
	u32 receivers = mb->waiting_receivers;
	u32 senders = mb->waiting_senders;

	lockdep_assert_held(&mb->lock);
	if (side_orphaned(mb, false))
		state |= MBOX_RING_NO_SENDER;
	if (side_orphaned(mb, true))
		state |= MBOX_RING_NO_RECEIVER;
	if (side_armed(mb, false))
		receivers |= ARMED;
	if (side_armed(mb, true))
		senders |= ARMED;
	WRITE_ONCE(ring->kernel->state, state);
	WRITE_ONCE(ring->kernel->receivers, receivers);
	WRITE_ONCE(ring->kernel->senders, senders);
}

/**
 * mbox_ring_order() - those who get signals are going to look for themselves
 * @mb: the mailbox, to whose programs it was shown that they are there
 * @rights: which sides they are on
 */
void mbox_ring_order(struct mailbox *mb, unsigned int rights)
{
	struct mbox_ring *ring = mb->ring;

	/* Pairs with the fence of the other side, after it has published. */
	smp_mb();
	if (rights & MBOX_MAY_RECV && orders_side(ring, true))
		order_others(ring, false);
	if (rights & MBOX_MAY_SEND && orders_side(ring, false))
		order_others(ring, true);
}

static struct list_head *side_waiters(struct mailbox *mb, bool send)
{
	return send ? &mb->senders : &mb->receivers;
}

/* Wake up to @n of one side, with @result, and all who poll. */
static void wake_side(struct mailbox *mb, bool send, u32 n, int result,
		      struct mbox_after *after)
{
	struct list_head *waiters = side_waiters(mb, send);

	lockdep_assert_held(&mb->lock);
	for (; n && !list_empty(waiters); n--)
		mbox_serve(mb, list_first_entry(waiters, struct mbox_waiter, node),
			   result, after);
	if (side_armed(mb, send)) {
		/* O_ASYNC keeps it armed, who polls comes back. */
		mb->ring->armed &= ~BIT(send);
		mbox_report(mb, send ? MBOX_POLL_OUT : MBOX_POLL_IN, after);
		/* The next message comes without a call: nobody is told later. */
		after->everyone = true;
	}
	mbox_ring_publish(mb);
}

/**
 * mbox_ring_end() - wake one side for good
 * @mb: the mailbox, whose lock the caller holds
 * @send: the senders
 * @result: what their calls return; 0: they look for themselves
 * @after: to be run without the lock
 */
void mbox_ring_end(struct mailbox *mb, bool send, int result,
		   struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	wake_side(mb, send, U32_MAX, result, after);
	mbox_report(mb, EPOLLHUP | EPOLLERR | (send ? MBOX_POLL_OUT : MBOX_POLL_IN),
		    after);
	after->everyone = true;
}

/*
 * Count the caller among those who wait. Return 0, or what the call returns.
 * A call that does not wait need not be counted.
 */
static int begin_wait(struct mailbox *mb, bool send, struct mbox_waiter *w,
		      const struct mbox_call *call, bool *orphaned)
{
	int ret = 0;

	spin_lock(&mb->lock);
	*orphaned = side_orphaned(mb, send);
	if (mb->dead) {
		ret = -EIDRM;
	} else if (*orphaned && send) {
		ret = -EPIPE;
	} else if (!*orphaned && !call->again) {
		mbox_waiter_init(w, send ? &mb->waiting_senders : &mb->waiting_receivers);
		mbox_waiter_add(side_waiters(mb, send), w, false);
		mbox_ring_publish(mb);
		trace_mbox_wait(mb, send);
	}
	spin_unlock(&mb->lock);
	return ret;
}

/* The caller does not wait any more; @ret says why. */
static int end_wait(struct mailbox *mb, struct mbox_waiter *w, int ret)
{
	spin_lock(&mb->lock);
	if (w->done) {
		/* Chosen at the same time: it must not be for nothing. */
		ret = w->result;
	} else {
		mbox_waiter_del(w);
		mbox_ring_publish(mb);
	}
	spin_unlock(&mb->lock);
	return ret;
}

/**
 * mbox_ring_wait() - sleep until one side has something to do
 * @mb: the mailbox
 * @send: the senders
 * @call: how it may wait
 *
 * Context: Process context, may sleep.
 * Return: 0 when the caller should look again, or -EIDRM, -EPIPE, -EAGAIN,
 * -ETIMEDOUT, -ERESTARTSYS.
 */
int mbox_ring_wait(struct mailbox *mb, bool send, const struct mbox_call *call)
{
	struct mbox_ring *ring = mb->ring;
	struct mbox_waiter w;
	bool orphaned;
	int ret;

	ret = begin_wait(mb, send, &w, call, &orphaned);
	if (ret)
		return ret;
	if (orphaned || call->again) {
		if (side_ready(ring, send))
			return 0;
		return orphaned ? -EPIPE : call->again;
	}

	if (side_ready_ordered(ring, send))
		return end_wait(mb, &w, 0);
	ret = mbox_sleep_on(&w, call);
	return ret ? end_wait(mb, &w, ret) : w.result;
}

/**
 * mbox_ring_wake() - wake those who sleep
 * @mb: the mailbox
 * @send: the senders
 * @n: at most that many
 *
 * Return: 0, or -EIDRM.
 */
int mbox_ring_wake(struct mailbox *mb, bool send, u32 n)
{
	struct mbox_after after;
	int ret = 0;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	if (mb->dead)
		ret = -EIDRM;
	else
		wake_side(mb, send, n, 0, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	return ret;
}

/**
 * mbox_ring_poll() - which calls would not wait
 * @mb: the mailbox
 * @file: a handle
 * @wait: as for file_operations.poll
 * @rights: rights of the handle
 *
 * The sides that are asked about are armed whatever is found: who polls for
 * edges looks only once after each.
 */
__poll_t mbox_ring_poll(struct mailbox *mb, struct file *file,
			poll_table *wait, unsigned int rights)
{
	__poll_t want = poll_requested_events(wait), events = 0;
	bool recv = rights & MBOX_MAY_RECV && want & MBOX_POLL_IN;
	bool send = rights & MBOX_MAY_SEND && want & MBOX_POLL_OUT;
	struct mbox_ring *ring = mb->ring;

	poll_wait(file, &mb->pollers, wait);
	spin_lock(&mb->lock);
	if (mb->dead) {
		spin_unlock(&mb->lock);
		return EPOLLERR | EPOLLHUP;
	}
	if (rights & MBOX_MAY_RECV && side_orphaned(mb, false))
		events |= EPOLLHUP;
	if (rights & MBOX_MAY_SEND && side_orphaned(mb, true))
		events |= EPOLLERR | EPOLLHUP;
	ring->armed |= recv << MBOX_RING_RECEIVERS | send << MBOX_RING_SENDERS;
	mbox_ring_publish(mb);
	spin_unlock(&mb->lock);

	if (recv && side_ready_ordered(ring, false))
		events |= MBOX_POLL_IN;
	if (send && side_ready_ordered(ring, true))
		events |= MBOX_POLL_OUT;
	return events;
}

/* ---- mapping ------------------------------------------------------------- */

/*
 * Give up the slots that a sender was filling when it ended. Its mapping is
 * gone, so nobody but a liar changes them meanwhile.
 */
static void recover(struct mailbox *mb, u32 owner)
{
	struct mbox_ring *ring = mb->ring;
	u64 busy = (u64)owner << MBOX_SLOT_OWNER_SHIFT | MBOX_SLOT_BUSY;
	u64 who = BIT_ULL(MBOX_SLOT_POS_SHIFT) - 1;
	unsigned int found = 0;
	u32 i;

	for (i = 0; i <= ring->mask; i++) {
		u64 *word = &slot_at(ring, i)->word;
		u64 old = READ_ONCE(*word);

		if ((old & who) == busy &&
		    cmpxchg64(word, old, old - MBOX_SLOT_BUSY + MBOX_SLOT_ABANDONED) == old)
			found++;
		if (i % RECOVER_AT_ONCE == 0)
			cond_resched();
	}
	trace_mbox_ring_recover(mb, owner, found);
}

/* Let everybody look what has changed. */
static void wake_all(struct mailbox *mb)
{
	struct mbox_after after;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	wake_side(mb, false, U32_MAX, 0, &after);
	wake_side(mb, true, U32_MAX, 0, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
}

static unsigned int region_of(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff >> (32 - PAGE_SHIFT);
}

/* Mappings that may write count, even if they are not writable at present. */
static bool is_sending(const struct vm_area_struct *vma)
{
	return region_of(vma) == MBOX_RING_SLOTS && vma->vm_flags & VM_MAYWRITE;
}

static bool is_receiving(const struct vm_area_struct *vma)
{
	return region_of(vma) == MBOX_RING_HEAD && vma->vm_flags & VM_MAYWRITE;
}

static int start_sending(struct mbox_ring *ring, struct attach *at)
{
	int owner;

	if (ring->flags & MBOX_ONE_SENDER && ring->senders)
		return -EBUSY;
	owner = ida_alloc_range(&ring->owners, 1, MBOX_SLOT_OWNER_MAX,
				GFP_KERNEL_ACCOUNT);
	if (owner < 0)
		return owner == -ENOSPC ? -EUSERS : owner;
	ring->senders++;
	WRITE_ONCE(at->info->owner, owner);
	trace_mbox_ring_attach(at->mb, true, owner);
	return 0;
}

static void stop_sending(struct mbox_ring *ring, struct attach *at)
{
	u32 owner = at->info->owner;

	recover(at->mb, owner);
	WRITE_ONCE(at->info->owner, 0);
	ida_free(&ring->owners, owner);
	ring->senders--;
}

static int start_receiving(struct mbox_ring *ring, struct attach *at)
{
	if (ring->flags & MBOX_ONE_RECEIVER && ring->receivers)
		return -EBUSY;
	ring->receivers++;
	trace_mbox_ring_attach(at->mb, false, 0);
	return 0;
}

static struct attach *find_attach(struct mbox_ring *ring,
				  const struct vm_area_struct *vma)
{
	struct attach *at;

	lockdep_assert_held(&ring->lock);
	list_for_each_entry(at, &ring->attached, node)
		if (at->file == vma->vm_file && at->mm == vma->vm_mm)
			return at;
	return NULL;
}

static struct attach *new_attach(struct mailbox *mb,
				 const struct vm_area_struct *vma)
{
	struct mbox_ring *ring = mb->ring;
	struct mbox_ring_info *info;
	struct attach *at;

	lockdep_assert_held(&ring->lock);
	BUILD_BUG_ON(sizeof(*info) > PAGE_SIZE);
	at = kzalloc(sizeof(*at), GFP_KERNEL_ACCOUNT);
	if (!at)
		return NULL;
	info = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!info) {
		kfree(at);
		return NULL;
	}
	info->version = MBOX_RING_VERSION;
	info->capacity = ring->capacity;
	info->slots = ring->mask + 1;
	info->msg_max = ring->msg_max;
	info->stride = ring->stride;
	info->flags = ring->flags;
	info->barrier = ring->ordered;
	info->slots_size = ring->slots_size;
	at->info = info;
	at->mb = mb;
	at->file = vma->vm_file;
	at->mm = vma->vm_mm;
	mmgrab(at->mm);
	list_add_tail(&at->node, &ring->attached);
	return at;
}

static void free_attach(struct attach *at)
{
	list_del(&at->node);
	mmdrop(at->mm);
	free_page((unsigned long)at->info);
	kfree(at);
}

/* One more mapping. On an error, nothing is counted. */
static int add_map(struct attach *at, const struct vm_area_struct *vma)
{
	struct mbox_ring *ring = at->mb->ring;
	int ret = 0;

	lockdep_assert_held(&ring->lock);
	if (is_sending(vma)) {
		if (!at->send_maps)
			ret = start_sending(ring, at);
		if (!ret)
			at->send_maps++;
	} else if (is_receiving(vma)) {
		if (!at->recv_maps)
			ret = start_receiving(ring, at);
		if (!ret)
			at->recv_maps++;
	}
	if (!ret)
		at->maps++;
	return ret;
}

/* A move by mremap(2), which is refused later, or a fork after MADV_DOFORK. */
static void ring_vma_open(struct vm_area_struct *vma)
{
	struct attach *at = vma->vm_private_data;
	struct mbox_ring *ring = at->mb->ring;

	mutex_lock(&ring->lock);
	/* Never the first of its kind: that one is still there. */
	add_map(at, vma);
	mutex_unlock(&ring->lock);
}

static void ring_vma_close(struct vm_area_struct *vma)
{
	struct attach *at = vma->vm_private_data;
	struct mailbox *mb = at->mb;
	struct mbox_ring *ring = mb->ring;
	bool gone = false;

	mutex_lock(&ring->lock);
	if (is_sending(vma) && !--at->send_maps) {
		stop_sending(ring, at);
		gone = true;
	}
	if (is_receiving(vma) && !--at->recv_maps) {
		ring->receivers--;
		gone = true;
	}
	if (!--at->maps)
		free_attach(at);
	mutex_unlock(&ring->lock);
	/*
	 * Whoever ended may have been woken for something that it did not do,
	 * and may have left abandoned slots for others to pass.
	 */
	if (gone)
		wake_all(mb);
}

static int ring_vma_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int ring_vma_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static size_t region_size(const struct mbox_ring *ring, unsigned int region)
{
	return region == MBOX_RING_SLOTS ? ring->slots_size : PAGE_SIZE;
}

static vm_fault_t ring_vma_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct attach *at = vma->vm_private_data;
	struct mbox_ring *ring = at->mb->ring;
	size_t offset = (size_t)(vmf->pgoff - vma->vm_pgoff) << PAGE_SHIFT;
	unsigned int region = region_of(vma);
	struct page *page;

	if (offset >= region_size(ring, region))
		return VM_FAULT_SIGBUS;
	switch (region) {
	case MBOX_RING_INFO:
		page = virt_to_page(at->info);
		break;
	case MBOX_RING_KERNEL:
		page = vmalloc_to_page(ring->kernel);
		break;
	case MBOX_RING_TAIL:
		page = vmalloc_to_page(ring->tail);
		break;
	case MBOX_RING_HEAD:
		page = vmalloc_to_page(ring->head);
		break;
	default:
		page = vmalloc_to_page(ring->slots + offset);
		break;
	}
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct ring_vm_ops = {
	.open = ring_vma_open,
	.close = ring_vma_close,
	.may_split = ring_vma_split,
	.mremap = ring_vma_mremap,
	.fault = ring_vma_fault,
};

/* What a region's writers have the right to; 0: nobody writes to it. */
static unsigned int writers_right(unsigned int region)
{
	switch (region) {
	case MBOX_RING_TAIL:
	case MBOX_RING_SLOTS:
		return MBOX_MAY_SEND;
	case MBOX_RING_HEAD:
		return MBOX_MAY_RECV;
	}
	return 0;
}

/**
 * mbox_ring_mmap() - map a region
 * @mb: the mailbox
 * @vma: which, and where to
 * @rights: rights of the handle
 *
 * Context: Process context, under mmap_lock.
 * Return: 0, or -EOPNOTSUPP, -EINVAL, -EACCES, -EIDRM, -EBUSY, -EUSERS,
 * -ENOMEM.
 */
int mbox_ring_mmap(struct mailbox *mb, struct vm_area_struct *vma,
		   unsigned int rights)
{
	struct mbox_ring *ring = mb->ring;
	unsigned int region = region_of(vma);
	struct attach *at;
	int ret = -ENOMEM;

	if (!(vma->vm_flags & VM_SHARED) || region >= MBOX_RING_REGIONS ||
	    vma->vm_pgoff & ((1UL << (32 - PAGE_SHIFT)) - 1) ||
	    vma->vm_end - vma->vm_start != region_size(ring, region))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC ||
	    (vma->vm_flags & VM_WRITE && !(rights & writers_right(region))))
		return -EACCES;
	/* Pairs with the WRITE_ONCE() of destroy. */
	if (READ_ONCE(mb->dead))
		return -EIDRM;
	mbox_vm_flags_clear(vma, VM_MAYEXEC);
	if (!(vma->vm_flags & VM_WRITE))
		mbox_vm_flags_clear(vma, VM_MAYWRITE);
	mbox_vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);

	mutex_lock(&ring->lock);
	at = find_attach(ring, vma) ?: new_attach(mb, vma);
	if (at) {
		ret = add_map(at, vma);
		if (ret && !at->maps)
			free_attach(at);
	}
	mutex_unlock(&ring->lock);
	if (ret)
		return ret;
	vma->vm_private_data = at;
	vma->vm_ops = &ring_vm_ops;
	return 0;
}

/* ---- seeing inside ------------------------------------------------------- */

/**
 * mbox_ring_stat() - what the shared memory says; it may lie
 * @mb: the mailbox
 * @st: to be filled in
 */
void mbox_ring_stat(const struct mailbox *mb, struct mbox_stat *st)
{
	const struct mbox_ring *ring = mb->ring;
	u64 tail = READ_ONCE(*ring->tail);
	u64 head = READ_ONCE(*ring->head);

	/* Receivers can be ahead of a tail whose sender has died. */
	st->sent = max(tail, head);
	st->received = head;
	st->queued = min_t(u64, st->sent - head, ring->capacity);
}
