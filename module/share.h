/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each user has of a mailbox with MBOX_FAIR or MBOX_DROP_OLDEST.
 */
#ifndef MBX_SHARE_H
#define MBX_SHARE_H

#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct mailbox;
struct mbx_message;
struct mbx_sender;
struct mbx_user;
struct mbx_waiter;

/**
 * struct mbx_share - a user's messages in a mailbox
 * @node: in mailbox.shares
 * @contender: MBOX_FAIR: in mailbox.contenders while there are @waiters
 * @waiters: MBOX_FAIR: waiting senders of the user, the most urgent one first
 * @best: the most urgent of all waiters in the subtree of @contender
 * @mb: the mailbox
 * @uid: the user
 * @account: MBOX_DROP_OLDEST: the account of the user, which its messages keep. Users of
 *	different namespaces can have one user id, but the messages of one make no room
 *	for those of another
 * @refs: references: one for each message of the user that exists
 * @stored: number of messages of the user in mailbox.stored
 * @own: MBOX_DROP_OLDEST: these messages, the oldest first
 * @bytes: MBOX_DROP_OLDEST: the memory that dropping them would free: of those that no
 *	call peeks at
 * @fds: likewise, how many descriptors
 * @dropping: how much of @bytes calls are still to drop
 *
 * Under mailbox.lock, except @mb, @uid and @account, which are constant.
 */
struct mbx_share {
	struct rb_node node;
	struct rb_node contender;
	struct rb_root_cached waiters;
	struct mbx_waiter *best;
	struct mailbox *mb;
	kuid_t uid;
	const struct mbx_user *account;
	u32 refs;
	u32 stored;
	struct list_head own;
	u64 bytes;
	u64 dropping;
	u32 fds;
};

kuid_t mbx_current_key(const struct mailbox *mb);
struct mbx_share *mbx_share_get(struct mailbox *mb,
				const struct mbx_sender *sender);
struct mbx_share *mbx_share_get_surely(struct mailbox *mb,
				       const struct mbx_sender *sender);
void mbx_share_put(struct mbx_share *share);
void mbx_share_list(struct mailbox *mb, struct mbx_share *share);
void mbx_share_unlist(struct mailbox *mb, struct mbx_share *share);
void mbx_share_count(struct mailbox *mb, struct mbx_share *share, int change);
struct mbx_waiter *mbx_share_next_sender(const struct mailbox *mb);
struct mbx_share *mbx_share_find(const struct mailbox *mb, kuid_t uid,
				 const struct mbx_user *account);
void mbx_share_add(struct mbx_message *msg, bool front);
void mbx_share_remove(struct mbx_message *msg);
bool mbx_share_peeked(struct mbx_message *msg, bool peeked);
bool mbx_share_has_room(const struct mailbox *mb, kuid_t uid);

#endif /* MBX_SHARE_H */
