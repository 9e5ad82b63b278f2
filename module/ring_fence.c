// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: asymmetric fences.
 *
 * A publisher executes a full fence between storing a message and reading the
 * count of sleepers. That fence is most of what a message costs. If a side is one
 * process, the kernel can execute the fence in its place, as membarrier(2) does.
 * The publisher then only keeps the compiler from reordering. A sleeper of the
 * other side, before it looks at the ring for the last time, interrupts each CPU
 * on which the publisher runs, and the interrupt is a full fence. In a virtual
 * machine an interrupt is a call of the hypervisor, and costs more than it saves.
 *
 * Limits
 *
 * The interrupted process may belong to another user than the sleeper. So the
 * interrupts of a tick are limited for each ring, for all rings that one user has
 * made, so that other users have some left, and for all rings. Beyond the limit a
 * sleeper goes to sleep without the fence, and fence_late() makes up for it in the
 * next tick. Only a message that was being published at that moment has to wait
 * for the tick: after any later one the publisher sees the sleeper in the count.
 * One late fence makes up for all sleepers of a ring. Late fences have a limit of
 * their own, for all rings that one user has made. Each gets its tick when it is put
 * off, the next one with a place left: so they come in order, and the rings of one user
 * do not delay those of another.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

#ifdef CONFIG_X86
#include <asm/cpufeature.h>
#endif

#include "limits.h"
#include "mailbox.h"
#include "ring.h"
#include "ring_shared.h"

static int ring_barriers = -1;
module_param(ring_barriers, int, 0644);
MODULE_PARM_DESC(ring_barriers, "omit the memory fences of the only sender or receiver of new rings: 0 never, 1 always, -1 unless in a virtual machine (-1)");

/* Interrupts in a tick: of one ring, of those of one user, and of all. */
#define RING_FENCES 32
#define USER_FENCES 128
#define ALL_FENCES 256
/* Late ones in a tick, of the rings of one user. */
#define USER_LATE_FENCES 64

/*
 * Which sides of a new ring have asymmetric fences.
 *
 * The mask of the CPUs on which a process runs is kept, and entering and
 * leaving it are full fences, where the TLB of another CPU is emptied by an
 * interrupt: on x86.
 */
u32 mbx_ring_asym_sides(u32 flags)
{
#ifdef CONFIG_X86
	int wanted = READ_ONCE(ring_barriers);

	if (wanted < 0)
		wanted = !boot_cpu_has(X86_FEATURE_HYPERVISOR);
	if (wanted)
		return (flags & MBOX_ONE_RECEIVER ? BIT(MBOX_RING_RECEIVERS) : 0) |
		       (flags & MBOX_ONE_SENDER ? BIT(MBOX_RING_SENDERS) : 0);
#endif
	return 0;
}

/* Whether the fences of a side are asymmetric. */
bool mbx_ring_is_asym(const struct mbx_ring *ring, unsigned int side)
{
	return ring->asym_sides & BIT(side);
}

static void fence_here(void *unused)
{
	/* In place of the one in ring_fence(), libuser/src/ring_core.h. */
	smp_mb();
}

/* Whether several rings together may interrupt once more in this tick. */
static bool below_limit(unsigned long *tick, atomic_t *fences, int limit)
{
	unsigned long now = jiffies;

	/* Without a lock: two may begin the same tick, which lets in a few more. */
	if (READ_ONCE(*tick) != now) {
		WRITE_ONCE(*tick, now);
		atomic_set(fences, 0);
	}
	return atomic_inc_return(fences) <= limit;
}

static bool may_interrupt(struct mailbox *mb)
{
	struct mbx_user *user = mbx_user_top(mb->user);
	struct mbx_ring *ring = mb->ring;
	unsigned long now = jiffies;
	static unsigned long tick;
	static atomic_t fences;

	lockdep_assert_held(&ring->lock);
	if (ring->fence_tick != now) {
		ring->fence_tick = now;
		ring->fences = 0;
	}
	if (ring->fences++ >= RING_FENCES)
		return false;
	return below_limit(&user->fence_tick, &user->fences, USER_FENCES) &&
	       below_limit(&tick, &fences, ALL_FENCES);
}

/* Reserve places for @n late fences in one tick. Return how many ticks it is away. */
static unsigned long reserve_late(struct mbx_user *user, unsigned int n)
{
	unsigned long now = jiffies, delay;

	spin_lock(&user->lock);
	if (time_before_eq(user->late_tick, now)) {
		user->late_tick = now + 1;
		user->late_fences = 0;
	} else if (user->late_fences + n > USER_LATE_FENCES) {
		user->late_tick++;
		user->late_fences = 0;
	}
	user->late_fences += n;
	delay = user->late_tick - now;
	spin_unlock(&user->lock);
	return delay;
}

/* Have fence_late() execute the fences of a ring, unless that is due already. */
static void put_off(struct mailbox *mb)
{
	struct mbx_ring *ring = mb->ring;
	bool due;

	spin_lock(&ring->lock);
	due = ring->late;
	ring->late = true;
	spin_unlock(&ring->lock);
	if (due)
		return;
	/* Always the same. The caller's handle keeps it. */
	WRITE_ONCE(ring->mb, mb);
	schedule_delayed_work(&ring->fence_work,
			      reserve_late(mbx_user_top(mb->user),
					   hweight32(ring->asym_sides)));
}

/*
 * Execute a full fence on each CPU on which the only process of a side runs.
 * Return false, without having done so, at the limit of interrupts.
 */
bool mbx_ring_interrupt_side(struct mailbox *mb, unsigned int side,
			     bool limited)
{
	struct mbx_ring *ring = mb->ring;
	struct mm_struct *mm = NULL;
	bool allowed = true;

	spin_lock(&ring->lock);
	if (ring->only[side]) {
		allowed = !limited || may_interrupt(mb);
		if (allowed) {
			mm = ring->only[side]->mm;
			mmgrab(mm);
		}
	}
	spin_unlock(&ring->lock);
	if (!mm)
		return allowed;
	/* A CPU that it comes to later executes one in the switch. */
	on_each_cpu_mask(mm_cpumask(mm), fence_here, NULL, true);
	mmdrop(mm);
	return true;
}

/*
 * Execute the fence of a side, after a sleeper of the other side was counted: it
 * then sees what that side has published so far, and whatever is published later
 * is followed by a look at the count. Return false when fence_late() will do so.
 */
bool mbx_ring_fence_side(struct mailbox *mb, unsigned int side)
{
	if (mbx_ring_interrupt_side(mb, side, true))
		return true;
	put_off(mb);
	return false;
}

/**
 * mbx_ring_fence_peers() - a handle with O_ASYNC is about to look at the ring
 * @mb: the mailbox, which has published that the handle is told of events
 * @rights: rights of the handle
 */
void mbx_ring_fence_peers(struct mailbox *mb, unsigned int rights)
{
	struct mbx_ring *ring = mb->ring;

	/* Pairs with the fence of the other side, after it has published. */
	smp_mb();
	if (rights & MBX_MAY_RECV &&
	    mbx_ring_is_asym(ring, MBOX_RING_SENDERS))
		mbx_ring_fence_side(mb, MBOX_RING_SENDERS);
	if (rights & MBX_MAY_SEND &&
	    mbx_ring_is_asym(ring, MBOX_RING_RECEIVERS))
		mbx_ring_fence_side(mb, MBOX_RING_RECEIVERS);
}
