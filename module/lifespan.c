// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lifespans: messages that are dropped when their time is over.
 *
 * The messages of a mailbox that have a lifespan and are in one of its queues are also in
 * a tree by the end of it. So the first to end is found at once, and no queue is searched.
 * A timer is set to the first end, and schedules work that drops what is over: mailbox.lock
 * is not taken in interrupts. Calls do not rely on that work, which more urgent threads can
 * delay: they drop such messages themselves first.
 */
#include <linux/slab.h>

#include "compat.h"
#include "lifespan.h"
#include "limits.h"
#include "sender.h"

static_assert(sizeof(struct mbx_lifespan) <= MBX_LIFESPAN_COST);

static enum hrtimer_restart schedule_drop(struct hrtimer *timer)
{
	struct mbx_lifespans *all = container_of(timer, struct mbx_lifespans, timer);

	queue_work(system_highpri_wq, &all->work);
	return HRTIMER_NORESTART;
}

/**
 * mbx_lifespans_make() - make a mailbox ready for messages with a lifespan
 * @mb: the mailbox
 * @drop: the work that drops messages whose lifespan has ended
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int mbx_lifespans_make(struct mailbox *mb, work_func_t drop)
{
	struct mbx_lifespans *all;

	/* Pairs with the release below. */
	if (smp_load_acquire(&mb->lifespans))
		return 0;
	all = kzalloc(sizeof(*all), GFP_KERNEL_ACCOUNT);
	if (!all)
		return -ENOMEM;
	all->mb = mb;
	all->queued = RB_ROOT_CACHED;
	mbx_hrtimer_setup(&all->timer, schedule_drop, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	INIT_WORK(&all->work, drop);
	spin_lock(&mb->lock);
	if (!mb->lifespans) {
		mb->store_flags |= MBX_STORE_LIFESPANS;
		/* Pairs with the acquire above. */
		smp_store_release(&mb->lifespans, all);
		all = NULL;
	}
	spin_unlock(&mb->lock);
	kfree(all);
	return 0;
}

/**
 * mbx_lifespans_end() - stop the timer of a mailbox and its work, for good
 * @mb: the mailbox, which no call uses any more
 *
 * Context: Process context, may sleep.
 */
void mbx_lifespans_end(struct mailbox *mb)
{
	struct mbx_lifespans *all = mb->lifespans;

	if (!all)
		return;
	spin_lock(&mb->lock);
	all->ended = true;
	spin_unlock(&mb->lock);
	hrtimer_cancel(&all->timer);
	cancel_work_sync(&all->work);
}

/**
 * mbx_lifespan_attach() - give a new message a lifespan
 * @msg: a message of the current process, with a struct mbx_message_ext
 * @mb: the mailbox; mbx_lifespans_make() has returned 0
 * @end: when it ends
 * @unasked: the caller charges MBX_LIFESPAN_COST
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EDQUOT, -ENOMEM.
 */
int mbx_lifespan_attach(struct mbx_message *msg, struct mailbox *mb, ktime_t end, bool unasked)
{
	struct mbx_message_ext *ext = mbx_ext(msg);
	struct mbx_sender *sender = msg->sender;
	struct mbx_lifespan *lifespan;
	int ret;

	/* The limit of a stake is checked for whole messages only. */
	if (!unasked) {
		ret = mbx_charge_bytes(sender->user, MBX_LIFESPAN_COST, sender->privileged);
		if (ret) {
			/* Pairs with the READ_ONCE() of poll. */
			WRITE_ONCE(sender->refused, ext->cost + MBX_LIFESPAN_COST);
			return ret;
		}
		if (sender->stake)
			atomic_long_add(MBX_LIFESPAN_COST, &sender->stake->bytes);
		ext->cost += MBX_LIFESPAN_COST;
	}
	/* If this fails, the caller frees the message and so uncharges it. */
	lifespan = kmalloc(sizeof(*lifespan), GFP_KERNEL_ACCOUNT);
	if (!lifespan)
		return -ENOMEM;
	RB_CLEAR_NODE(&lifespan->node);
	lifespan->end = end;
	lifespan->all = mb->lifespans;
	lifespan->msg = msg;
	ext->lifespan = lifespan;
	return 0;
}

static struct mbx_lifespan *first_to_end(const struct mbx_lifespans *all)
{
	struct rb_node *node = rb_first_cached(&all->queued);

	return node ? rb_entry(node, struct mbx_lifespan, node) : NULL;
}

static bool ends_before(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct mbx_lifespan, node)->end <
	       rb_entry(b, struct mbx_lifespan, node)->end;
}

/**
 * mbx_lifespans_start_timer() - set the timer to the first end
 * @mb: a mailbox with lifespans
 */
void mbx_lifespans_start_timer(struct mailbox *mb)
{
	struct mbx_lifespans *all = mb->lifespans;
	struct mbx_lifespan *first = first_to_end(all);

	lockdep_assert_held(&mb->lock);
	if (first && !all->ended)
		hrtimer_start(&all->timer, first->end, HRTIMER_MODE_ABS);
}

/* mbx_lifespan_queued() of a message with a lifespan. */
void __mbx_lifespan_queued(struct mbx_message *msg, bool blocked)
{
	struct mbx_lifespan *lifespan = mbx_lifespan_of(msg);
	struct mbx_lifespans *all = lifespan->all;

	lockdep_assert_held(&all->mb->lock);
	lifespan->blocked = blocked;
	rb_add_cached(&lifespan->node, &all->queued, ends_before);
	/* If another message was the first to end, the timer expires in time anyway. */
	if (first_to_end(all) == lifespan)
		mbx_lifespans_start_timer(all->mb);
}

/* mbx_lifespan_unqueued() of a message with a lifespan. The timer may expire in vain. */
void __mbx_lifespan_unqueued(struct mbx_message *msg)
{
	struct mbx_lifespan *lifespan = mbx_lifespan_of(msg);

	lockdep_assert_held(&lifespan->all->mb->lock);
	rb_erase_cached(&lifespan->node, &lifespan->all->queued);
	RB_CLEAR_NODE(&lifespan->node);
}

/**
 * mbx_lifespan_first_over() - the message in a mailbox whose lifespan has ended first
 * @mb: the mailbox
 *
 * Return: the message, or NULL when no lifespan has ended.
 */
struct mbx_message *mbx_lifespan_first_over(struct mailbox *mb)
{
	struct mbx_lifespan *first;

	lockdep_assert_held(&mb->lock);
	if (!mb->lifespans)
		return NULL;
	first = first_to_end(mb->lifespans);
	return first && first->end <= ktime_get() ? first->msg : NULL;
}

/* mbx_lifespan_left() of a message that may have a lifespan. */
noinline u64 __mbx_lifespan_left(const struct mbx_message *msg)
{
	struct mbx_lifespan *lifespan = mbx_lifespan_of(msg);

	if (!lifespan)
		return 0;
	if (lifespan->end == KTIME_MAX)
		return KTIME_MAX;
	/* It is not dropped any more once a receiver has it. */
	return max_t(s64, lifespan->end - ktime_get(), 1);
}
