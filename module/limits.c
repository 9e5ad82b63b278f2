// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits per user.
 *
 * The counters are charged first and compared afterwards: two charges at the
 * limit can both be refused, but never both be granted.
 */
#include <linux/capability.h>
#include <linux/hashtable.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "limits.h"

static DEFINE_HASHTABLE(users, 6);
static DEFINE_SPINLOCK(users_lock);

static struct mbox_user *lookup_user(kuid_t uid)
{
	struct mbox_user *user;

	lockdep_assert_held(&users_lock);
	hash_for_each_possible(users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/**
 * mbox_user_get() - find or make the account of a user
 * @uid: the user
 *
 * Context: Process context, may sleep.
 * Return: the account with a reference, or NULL when there is no memory.
 */
struct mbox_user *mbox_user_get(kuid_t uid)
{
	struct mbox_user *user, *new = NULL;

	spin_lock(&users_lock);
	user = lookup_user(uid);
	if (!user) {
		spin_unlock(&users_lock);
		new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
		if (!new)
			return NULL;
		new->uid = uid;
		spin_lock(&users_lock);
		user = lookup_user(uid);
		if (!user) {
			user = new;
			new = NULL;
			hash_add(users, &user->node, __kuid_val(uid));
		}
	}
	user->refs++;
	spin_unlock(&users_lock);
	kfree(new);
	return user;
}

/**
 * mbox_user_put() - give a reference back
 * @user: the account
 *
 * Context: Any but interrupts.
 */
void mbox_user_put(struct mbox_user *user)
{
	bool last;

	spin_lock(&users_lock);
	last = --user->refs == 0;
	if (last)
		hash_del(&user->node);
	spin_unlock(&users_lock);
	if (last)
		kfree(user);
}

/**
 * mbox_charge_mailbox() - count a mailbox
 * @user: its creator
 *
 * Return: 0, or -EDQUOT.
 */
int mbox_charge_mailbox(struct mbox_user *user)
{
	unsigned int n = atomic_inc_return(&user->mailboxes);

	if (likely(n <= READ_ONCE(mbox_user_mailboxes)) ||
	    capable(CAP_SYS_RESOURCE))
		return 0;
	atomic_dec(&user->mailboxes);
	return -EDQUOT;
}

void mbox_uncharge_mailbox(struct mbox_user *user)
{
	atomic_dec(&user->mailboxes);
}

/* mbox_charge_bytes() above the limit: @cost was counted. */
int mbox_charge_above(struct mbox_user *user, unsigned long cost)
{
	if (capable(CAP_SYS_RESOURCE))
		return 0;
	atomic_long_sub(cost, &user->bytes);
	return -EDQUOT;
}

/**
 * mbox_charge_fds() - count descriptors in a message
 * @user: its sender
 * @n: how many
 *
 * The limit is that of unix(7): as many as the process may have open.
 *
 * Return: 0, or -ETOOMANYREFS.
 */
int mbox_charge_fds(struct mbox_user *user, unsigned int n)
{
	unsigned int sum = atomic_add_return(n, &user->fds);

	if (sum <= rlimit(RLIMIT_NOFILE) || capable(CAP_SYS_RESOURCE))
		return 0;
	atomic_sub(n, &user->fds);
	return -ETOOMANYREFS;
}

void mbox_uncharge_fds(struct mbox_user *user, unsigned int n)
{
	atomic_sub(n, &user->fds);
}
