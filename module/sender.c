// SPDX-License-Identifier: GPL-2.0-only
/*
 * Senders: the identity of a process that sends, and the accounts that its messages are
 * charged to.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "mailbox.h"
#include "sender.h"

/* The owner of a mailbox, as shares of a sender count it. */
static kuid_t owner_for(const struct mailbox *mb, const struct cred *cred)
{
	if (!uid_eq(mb->inode.i_uid, mb->user->uid))
		return mb->inode.i_uid;
	return mbx_owner_seen_from(mb->user, mbx_mailbox_user_ns(mb), cred->user_ns);
}

static struct mbx_sender *sender_new(const struct mailbox *mb, bool privileged)
{
	const struct cred *cred = current_cred();
	struct mbx_sender *sender;

	sender = kmalloc(sizeof(*sender), GFP_KERNEL_ACCOUNT);
	if (!sender)
		return NULL;
	sender->user = mbx_user_get();
	if (!sender->user)
		goto err_free;
	sender->account = mbx_user_seen_from(mbx_mailbox_user_ns(mb), sender->user);
	sender->stake = mbx_stake_get(sender->account, owner_for(mb, cred));
	if (IS_ERR(sender->stake))
		goto err_put_user;
	refcount_set(&sender->refs, 1);
	sender->pid = get_pid(task_tgid(current));
	sender->uid = cred->uid;
	sender->gid = cred->gid;
	sender->ns = cred->user_ns;
	rcu_read_lock();
	sender->memcg = mbx_current_memcg();
	rcu_read_unlock();
	sender->key = sender->account->uid;
	atomic_set(&sender->charged, 0);
	sender->slow = true;
	sender->privileged = privileged;
	sender->refused = 0;
	sender->refused_fds = 0;
	return sender;

err_put_user:
	mbx_user_put(sender->user);
err_free:
	kfree(sender);
	return NULL;
}

/* mbx_sender_get() if the last sender is not the current process. */
struct mbx_sender *__mbx_sender_get(struct mbx_outlet *outlet)
{
	struct mbx_sender *sender, *old;

	sender = sender_new(outlet->to, outlet->privileged);
	if (!sender)
		return NULL;
	refcount_inc(&sender->refs);
	spin_lock(&outlet->lock);
	old = rcu_replace_pointer(outlet->sender, sender, lockdep_is_held(&outlet->lock));
	spin_unlock(&outlet->lock);
	if (old)
		mbx_sender_put(old);
	return sender;
}

/**
 * mbx_sender_put() - drop a reference
 * @sender: the sender
 */
void mbx_sender_put(struct mbx_sender *sender)
{
	if (!refcount_dec_and_test(&sender->refs))
		return;
	put_pid(sender->pid);
	if (sender->stake)
		mbx_stake_put(sender->stake);
	else if (atomic_read(&sender->charged))
		mbx_uncharge_bytes(sender->user, MBX_SENDER_COST);
	mbx_user_put(sender->user);
	kfree_rcu(sender, rcu);
}

/* ---- charges --------------------------------------------------------------- */

/**
 * mbx_sender_cost() - how much to charge with the next message for the sender itself
 * @sender: the sender
 */
unsigned int mbx_sender_cost(const struct mbx_sender *sender)
{
	return atomic_read(&sender->charged) ? 0 : MBX_SENDER_COST;
}

/**
 * mbx_sender_share_has_room() - whether the sender's stake has room for one message
 * @sender: the sender
 * @cost: memory of the message
 * @nfds: number of descriptors in it
 */
bool mbx_sender_share_has_room(const struct mbx_sender *sender,
			       unsigned int cost, unsigned int nfds)
{
	if (!sender->stake)
		return true;
	if (mbx_lacking(sender->stake, NULL, cost + mbx_sender_cost(sender)))
		return false;
	return !nfds || !mbx_lacking_fds(sender->stake, nfds);
}

/**
 * mbx_sender_has_room() - whether the limits have room for one message of a sender
 * @sender: the sender
 * @cost: memory of the message
 * @nfds: number of descriptors in it
 */
bool mbx_sender_has_room(const struct mbx_sender *sender, unsigned int cost,
			 unsigned int nfds)
{
	return !mbx_lacking(NULL, sender->user,
			    cost + mbx_sender_cost(sender)) &&
	       mbx_sender_share_has_room(sender, cost, nfds);
}

/**
 * mbx_sender_excess() - what must be freed for a message that was charged without limits
 * @sender: its sender
 * @cost: memory of the message
 * @nfds: number of descriptors in it
 */
struct mbx_shortage mbx_sender_excess(const struct mbx_sender *sender,
				      unsigned int cost, unsigned int nfds)
{
	struct mbx_shortage excess = {};

	if (mbx_is_exempt(sender->privileged))
		return excess;
	/* The cost of the sender counts in the stake with any message. */
	excess.bytes = mbx_excess(sender->stake, sender->user, cost + MBX_SENDER_COST);
	if (nfds && sender->stake)
		excess.fds = mbx_excess_fds(sender->stake, nfds);
	return excess;
}

/*
 * The sender itself is charged together with its first message. Without a stake it
 * stays charged until it is freed, so that later messages need not count. With a stake
 * this would let senders without messages fill the stake, and nothing that the owner
 * receives would make room for the calls that wait. So a sender with a stake is charged
 * only while it has messages.
 *
 * begin_message() returns how much to charge besides the message. began_message() gets
 * the result of the charge.
 */
static unsigned int begin_message(struct mbx_sender *sender)
{
	if (!sender->stake)
		return mbx_sender_cost(sender);
	/* Read once: not 0 exactly if the message is not counted yet. */
	return atomic_inc_not_zero(&sender->charged) ? 0 : MBX_SENDER_COST;
}

static noinline void uncharge_slowly(struct mbx_sender *sender,
				     unsigned int cost)
{
	if (sender->stake)
		mbx_uncharge_stake(sender->stake, cost);
	mbx_uncharge_bytes(sender->user, cost);
}

/* A message is uncharged. Return how much to uncharge for the sender itself. */
static unsigned int end_message(struct mbx_sender *sender)
{
	if (sender->stake && atomic_dec_and_test(&sender->charged))
		return MBX_SENDER_COST;
	return 0;
}

static int began_message(struct mbx_sender *sender, unsigned int own, int ret)
{
	unsigned int surplus = 0;

	if (ret && !own)
		surplus = end_message(sender);
	else if (!ret && own && atomic_inc_return(&sender->charged) > 1)
		/* Another thread has charged the sender first. */
		surplus = own;
	if (surplus)
		uncharge_slowly(sender, surplus);
	/* Pairs with READ_ONCE() in charge and uncharge; either value will do there. */
	if (!ret && !sender->stake && !sender->user->parent)
		WRITE_ONCE(sender->slow, false);
	return ret;
}

/* mbx_sender_charge() with several accounts, or for the first message. */
int __mbx_sender_charge(struct mbx_sender *sender, unsigned int cost)
{
	unsigned int own = begin_message(sender);
	int ret;

	if (sender->stake)
		ret = mbx_charge_stake(sender->stake, sender->user, cost + own,
				       sender->privileged);
	else
		ret = mbx_charge_bytes(sender->user, cost + own, sender->privileged);
	return began_message(sender, own, ret);
}

/* mbx_sender_uncharge() likewise. */
void __mbx_sender_uncharge(struct mbx_sender *sender, unsigned int cost)
{
	uncharge_slowly(sender, cost + end_message(sender));
}

/**
 * mbx_sender_retract() - uncharge a sender whose first message failed
 * @sender: the sender
 *
 * If another thread has sent with it meanwhile, the next message charges it again.
 */
void mbx_sender_retract(struct mbx_sender *sender)
{
	/* A sender with a stake is charged only while it has messages. */
	if (sender->stake)
		return;
	WRITE_ONCE(sender->slow, true);
	if (atomic_xchg(&sender->charged, 0))
		mbx_uncharge_bytes(sender->user, MBX_SENDER_COST);
}

/**
 * mbx_sender_uncharge_part() - uncharge a part of the memory of a message
 * @sender: its sender
 * @cost: how much memory
 */
void mbx_sender_uncharge_part(struct mbx_sender *sender, unsigned int cost)
{
	uncharge_slowly(sender, cost);
}

/**
 * mbx_sender_charge_unasked() - charge memory without checking a limit
 * @sender: the sender
 * @cost: how much memory
 *
 * Return: how many users were charged.
 */
unsigned int mbx_sender_charge_unasked(struct mbx_sender *sender,
				       unsigned int cost)
{
	if (sender->stake)
		atomic_long_add(cost, &sender->stake->bytes);
	return mbx_charge_unasked(sender->user, cost);
}

/**
 * mbx_sender_charge_other() - charge a message that another process makes
 * @sender: its user is charged, up to twice its limit
 * @cost: memory of the message
 * @unlimited: charge without a limit
 *
 * Return: 0, or -EDQUOT.
 */
int mbx_sender_charge_other(struct mbx_sender *sender, unsigned int cost,
			    bool unlimited)
{
	unsigned int own = begin_message(sender);
	int ret;

	ret = mbx_charge_other(sender->user, cost + own, unlimited);
	if (!ret && sender->stake)
		atomic_long_add(cost + own, &sender->stake->bytes);
	return began_message(sender, own, ret);
}
