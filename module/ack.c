// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of leases: acknowledged, put back at once or later, put back by the end of the
 * handle, dropped with the mailbox.
 *
 * A lease is removed from its handle first. From then on the message belongs to the call
 * that removed it. A message that comes back later keeps its struct mbx_lease, which is
 * then in mbx_delays.root of the mailbox: it belongs to no handle.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "ack.h"
#include "age.h"
#include "exchange.h"
#include "inherit.h"
#include "lease.h"
#include "trace.h"
#include "transaction.h"

/* The longest time until the work looks again, so that no number of jiffies overflows. */
#define LATEST (HZ * 3600UL)

/**
 * struct mbx_delays - messages of a mailbox that come back later
 * @work: puts them back
 * @root: their leases, the first to come back first; under mailbox.lock
 * @mb: the mailbox
 */
struct mbx_delays {
	struct delayed_work work;
	struct rb_root_cached root;
	struct mailbox *mb;
};

/* ---- coming back later ------------------------------------------------------- */

static struct mbx_lease *first_delayed(const struct mailbox *mb)
{
	struct rb_node *node;

	lockdep_assert_held(&mb->lock);
	node = mb->delays ? rb_first_cached(&mb->delays->root) : NULL;
	return node ? rb_entry(node, struct mbx_lease, node) : NULL;
}

static bool comes_before(struct rb_node *a, const struct rb_node *b)
{
	return ktime_before(rb_entry(a, struct mbx_lease, node)->due,
			    rb_entry(b, struct mbx_lease, node)->due);
}

/* When the next message comes back, or KTIME_MAX. */
static ktime_t next_due(struct mailbox *mb)
{
	struct mbx_lease *lease;
	ktime_t due;

	spin_lock(&mb->lock);
	lease = first_delayed(mb);
	due = lease ? lease->due : KTIME_MAX;
	spin_unlock(&mb->lock);
	return due;
}

/* Have the work run when the next message comes back. */
static void schedule_next(struct mailbox *mb)
{
	ktime_t due = next_due(mb), set;
	unsigned long ticks;
	s64 left;

	/* Others may do the same for another message at this time: the earliest counts. */
	while (due != KTIME_MAX) {
		left = max_t(s64, ktime_sub(due, ktime_get()), 0);
		ticks = min_t(u64, nsecs_to_jiffies64(left) + 1, LATEST);
		mod_delayed_work(system_unbound_wq, &mb->delays->work, ticks);
		set = due;
		due = next_due(mb);
		if (due == set)
			break;
	}
}

/* Whether a message is of no use any more: its sender, or the caller, has given up. */
static bool is_given_up(struct mailbox *mb, struct mbx_message *msg)
{
	struct mbx_transaction *txn = mbx_transaction_of(msg);

	if (msg->flags & MBX_MSG_WITHDRAWN)
		return true;
	if (!txn)
		return false;
	/* A request that comes back later is queued already: its token is used up. */
	if (txn->state == MBX_TRANSACTION_QUEUED)
		return !txn->caller;
	return !mbx_transaction_return(mb, txn);
}

/* Whether a message has been on lease so often that it does not come back. */
static bool is_dead_letter(const struct mailbox *mb, const struct mbx_message *msg)
{
	return mb->max_deliveries && msg->flags & MBX_MSG_AGAIN &&
	       msg->deliveries >= mb->max_deliveries;
}

/* End a message that has been on lease too often. */
static void end_as_dead_letter(struct mailbox *mb, struct mbx_message *msg,
			       struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	trace_mbox_dead_letter(mb, msg);
	mb->dead_letters++;
	/* If it goes to another mailbox, that is its receiver. */
	if (mb->dead_letter) {
		msg->flags |= MBX_MSG_LETTER;
		mbx_count_received(mb, msg);
	} else {
		mb->dropped++;
	}
	mbx_end_leased(mb, msg, -EPIPE, deferred);
}

/* Put back a message on lease, or drop it if that has become useless. */
static void go_back(struct mailbox *mb, struct mbx_message *msg, bool behind,
		    struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	if (mb->dead) {
		mbx_end_leased(mb, msg, -EIDRM, deferred);
		return;
	}
	if (is_given_up(mb, msg)) {
		mb->sent--;
		mbx_end_leased(mb, msg, -EPIPE, deferred);
		return;
	}
	if (!behind && is_dead_letter(mb, msg)) {
		end_as_dead_letter(mb, msg, deferred);
		return;
	}
	mbx_unhold(mb, msg);
	msg->flags &= ~(MBX_MSG_LEASED | MBX_MSG_TRANSIT);
	if (behind)
		mbx_arrive_again(mb, msg);
	mbx_requeue(mb, msg, behind, deferred);
	mbx_room_made(mb, deferred);
	mbx_check_end(mb, deferred);
}

/* Let a message come back at some time. */
static void delay(struct mailbox *mb, struct mbx_lease *lease, u64 delay_ns)
{
	ktime_t now = ktime_get();

	lockdep_assert_held(&mb->lock);
	lease->due = delay_ns < KTIME_MAX - now ? now + delay_ns : KTIME_MAX - 1;
	rb_add_cached(&lease->node, &mb->delays->root, comes_before);
}

/* The transaction of a message that is to be put back, with a reference, or NULL. */
static struct mbx_transaction *hold_transaction(struct mbx_message *msg)
{
	struct mbx_transaction *txn = mbx_transaction_of(msg);

	if (txn)
		refcount_inc(&txn->refs);
	return txn;
}

/* Its server is not to be boosted any more. */
static void put_transaction(struct mailbox *mb, struct mbx_transaction *txn)
{
	if (!txn)
		return;
	mbx_inherit_update(mb, txn);
	mbx_transaction_put(txn);
}

/* Put back the next message that is due. Return false if there is none. */
static bool undelay_one(struct mailbox *mb)
{
	struct mbx_deferred deferred;
	struct mbx_transaction *txn;
	struct mbx_lease *lease;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	lease = first_delayed(mb);
	if (!lease || ktime_after(lease->due, ktime_get())) {
		spin_unlock(&mb->lock);
		return false;
	}
	rb_erase_cached(&lease->node, &mb->delays->root);
	txn = hold_transaction(lease->msg);
	mbx_uncount_received(mb, lease->msg);
	mbx_prepare_put_back(mb, lease->msg, &deferred);
	go_back(mb, lease->msg, true, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	put_transaction(mb, txn);
	mbx_lease_free(lease);
	return true;
}

static void undelay(struct work_struct *work)
{
	struct mbx_delays *delays = container_of(to_delayed_work(work), struct mbx_delays, work);

	while (undelay_one(delays->mb))
		cond_resched();
	schedule_next(delays->mb);
}

/* Make sure that the mailbox has a struct mbx_delays. Return 0 or -ENOMEM. */
static int make_delays(struct mailbox *mb)
{
	struct mbx_delays *new;

	/* Pairs with the release below. */
	if (smp_load_acquire(&mb->delays))
		return 0;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	INIT_DELAYED_WORK(&new->work, undelay);
	new->root = RB_ROOT_CACHED;
	new->mb = mb;
	spin_lock(&mb->lock);
	if (!mb->delays) {
		/* Pairs with the acquire above. */
		smp_store_release(&mb->delays, new);
		new = NULL;
	}
	spin_unlock(&mb->lock);
	kfree(new);
	return 0;
}

/* ---- acknowledging ----------------------------------------------------------- */

/**
 * mbx_ack() - end a message that is on lease
 * @mb: the mailbox
 * @leases: the leases of the handle
 * @token: names the lease
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM, -ESRCH.
 */
int mbx_ack(struct mailbox *mb, struct mbx_leases *leases, u64 token)
{
	struct mbx_deferred deferred;
	struct mbx_lease *lease = NULL;
	int ret = 0;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (mb->dead)
		ret = -EIDRM;
	else
		lease = mbx_lease_find(leases, token);
	if (lease) {
		mbx_lease_remove(mb, lease);
		trace_mbox_ack(mb, lease->msg, token);
		mbx_end_leased(mb, lease->msg, 0, &deferred);
	}
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (!lease)
		return ret ?: -ESRCH;
	mbx_lease_free(lease);
	return 0;
}

/* ---- putting back ------------------------------------------------------------ */

/*
 * Put back a message on lease. The lease is in no tree any more. Return whether the
 * message comes back later, with its lease. The lock is dropped and taken again only
 * before the message goes back.
 */
static bool return_lease(struct mailbox *mb, struct mbx_lease *lease, u64 delay_ns,
			 struct mbx_deferred *deferred)
	__must_hold(&mb->lock)
{
	struct mbx_message *msg = lease->msg;

	trace_mbox_nack(mb, msg, lease->token);
	/* What comes back later counts as received until then. */
	if (delay_ns && !is_dead_letter(mb, msg) && !is_given_up(mb, msg)) {
		delay(mb, lease, delay_ns);
		return true;
	}
	mbx_uncount_received(mb, msg);
	mbx_prepare_put_back(mb, msg, deferred);
	go_back(mb, msg, false, deferred);
	return false;
}

/* Forget that a message was ever on lease. */
static void forget_deliveries(struct mailbox *mb, struct mbx_message *msg)
{
	lockdep_assert_held(&mb->lock);
	msg->flags &= ~MBX_MSG_AGAIN;
}

/**
 * mbx_nack() - put back a message that is on lease
 * @mb: the mailbox
 * @leases: the leases of the handle
 * @token: names the lease
 * @delay_ns: after which time; 0: now
 * @uncounted: the message comes back as if it had never been on lease
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM, -ESRCH, -ENOMEM.
 */
int mbx_nack(struct mailbox *mb, struct mbx_leases *leases, u64 token, u64 delay_ns,
	     bool uncounted)
{
	struct mbx_transaction *txn = NULL;
	struct mbx_lease *lease = NULL;
	struct mbx_deferred deferred;
	bool later = false;
	int ret = 0;

	if (delay_ns)
		ret = make_delays(mb);
	if (ret)
		return ret;
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (mb->dead)
		ret = -EIDRM;
	else
		lease = mbx_lease_find(leases, token);
	if (lease) {
		mbx_lease_remove(mb, lease);
		txn = hold_transaction(lease->msg);
		if (uncounted)
			forget_deliveries(mb, lease->msg);
		later = return_lease(mb, lease, delay_ns, &deferred);
	}
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (!lease)
		return ret ?: -ESRCH;
	put_transaction(mb, txn);
	if (later)
		schedule_next(mb);
	else
		mbx_lease_free(lease);
	return 0;
}

/* Put back one message of a handle. Return false if it has none on lease. */
static bool return_one(struct mailbox *mb, struct mbx_leases *leases)
{
	struct mbx_deferred deferred;
	struct mbx_transaction *txn;
	struct mbx_lease *lease;
	struct rb_node *node;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	node = rb_first(&leases->root);
	if (!node) {
		spin_unlock(&mb->lock);
		return false;
	}
	lease = rb_entry(node, struct mbx_lease, node);
	mbx_lease_remove(mb, lease);
	txn = hold_transaction(lease->msg);
	return_lease(mb, lease, 0, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	put_transaction(mb, txn);
	mbx_lease_free(lease);
	return true;
}

/**
 * mbx_leases_shutdown() - put back all that a closed handle has on lease
 * @mb: the mailbox
 * @leases: the leases of the handle
 *
 * There may be many, so each is put back in a hold of the lock of its own.
 *
 * Context: Process context, may sleep.
 */
void mbx_leases_shutdown(struct mailbox *mb, struct mbx_leases *leases)
{
	while (return_one(mb, leases))
		cond_resched();
}

/* ---- dropping ---------------------------------------------------------------- */

/* Any lease of a mailbox, or one that comes back later; NULL if there is none. */
static struct mbx_lease *take_any(struct mailbox *mb)
{
	struct mbx_leases *leases;
	struct mbx_lease *lease;

	lockdep_assert_held(&mb->lock);
	if (!hlist_empty(&mb->lessees)) {
		leases = hlist_entry(mb->lessees.first, struct mbx_leases, lessee);
		lease = rb_entry(rb_first(&leases->root), struct mbx_lease, node);
		mbx_lease_remove(mb, lease);
		return lease;
	}
	lease = first_delayed(mb);
	if (lease)
		rb_erase_cached(&lease->node, &mb->delays->root);
	return lease;
}

/**
 * mbx_leases_drop() - drop all messages on lease of a mailbox that ends
 * @mb: the mailbox; no message can go on lease any more
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_leases_drop(struct mailbox *mb)
{
	const int result = mb->dead ? -EIDRM : -EPIPE;
	struct mbx_deferred deferred;
	struct mbx_lease *lease;

	for (;;) {
		mbx_deferred_init(&deferred);
		spin_lock(&mb->lock);
		lease = take_any(mb);
		if (lease)
			mbx_end_leased(mb, lease->msg, result, &deferred);
		spin_unlock(&mb->lock);
		if (!lease)
			return;
		mbx_flush_deferred(mb, &deferred);
		mbx_lease_free(lease);
		cond_resched();
	}
}

/**
 * mbx_leases_release() - free what a mailbox has for leases
 * @mb: the mailbox, which has no handles any more
 */
void mbx_leases_release(struct mailbox *mb)
{
	if (!mb->delays)
		return;
	cancel_delayed_work_sync(&mb->delays->work);
	mbx_leases_drop(mb);
	kfree(mb->delays);
}
