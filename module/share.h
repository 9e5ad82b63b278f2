/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each user has of a mailbox with MBOX_FAIR.
 */
#ifndef MBOX_SHARE_H
#define MBOX_SHARE_H

#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct mailbox;

/**
 * struct mbox_share - a user's messages in a mailbox
 * @node: in mailbox.shares
 * @mb: the mailbox
 * @uid: the user
 * @refs: messages of this user, wherever they are, and sends under way
 * @stored: how many are in the mailbox
 *
 * Under mailbox.lock, but for @mb and @uid, which are constant.
 */
struct mbox_share {
	struct rb_node node;
	struct mailbox *mb;
	kuid_t uid;
	u32 refs;
	u32 stored;
};

struct mbox_share *mbox_share_get(struct mailbox *mb, kuid_t uid);
void mbox_share_put(struct mbox_share *share);
bool mbox_share_has_room(const struct mailbox *mb, kuid_t uid);

#endif /* MBOX_SHARE_H */
