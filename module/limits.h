/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one user may take: mailboxes and bytes of queued messages. A user is a
 * kernel uid, whatever user namespace it is seen through.
 */
#ifndef MBOX_LIMITS_H
#define MBOX_LIMITS_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/uidgid.h>

/* A message counts at least this much, so that empty ones are bounded too. */
#define MBOX_CHARGE_MIN 64U
/* Nothing raises msg_max beyond this. */
#define MBOX_MSG_MAX_HARD ((1U << 24) - 1)

/**
 * struct mbox_user - what one user has taken
 * @node: in the table of users; under users_lock
 * @refs: holders of a pointer to this; under users_lock
 * @uid: the user
 * @mailboxes: mailboxes that it created and that exist
 * @bytes: bytes of its messages that are queued
 * @fds: descriptors in them
 */
struct mbox_user {
	struct hlist_node node;
	unsigned int refs;
	kuid_t uid;
	atomic_t mailboxes;
	atomic_long_t bytes;
	atomic_t fds;
};

extern unsigned int mbox_user_mailboxes;
extern unsigned long mbox_user_bytes;
extern unsigned int mbox_msg_max_limit;

struct mbox_user *mbox_user_get(kuid_t uid);
void mbox_user_put(struct mbox_user *user);
int mbox_charge_mailbox(struct mbox_user *user);
void mbox_uncharge_mailbox(struct mbox_user *user);
int mbox_charge_above(struct mbox_user *user, unsigned long cost);
int mbox_charge_fds(struct mbox_user *user, unsigned int n);
void mbox_uncharge_fds(struct mbox_user *user, unsigned int n);

/**
 * mbox_charge_bytes() - count a message
 * @user: its sender
 * @len: its payload
 *
 * Return: 0, or -EDQUOT.
 */
static inline int mbox_charge_bytes(struct mbox_user *user, u32 len)
{
	unsigned long cost = max(len, MBOX_CHARGE_MIN);
	unsigned long sum = atomic_long_add_return(cost, &user->bytes);

	if (likely(sum <= READ_ONCE(mbox_user_bytes)))
		return 0;
	return mbox_charge_above(user, cost);
}

static inline void mbox_uncharge_bytes(struct mbox_user *user, u32 len)
{
	atomic_long_sub(max(len, MBOX_CHARGE_MIN), &user->bytes);
}

#endif /* MBOX_LIMITS_H */
