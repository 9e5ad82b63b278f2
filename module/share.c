// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fair shares: a user may have at most half of the places that other users leave.
 *
 * So there is always a place for the next user, and users that send as much as they can
 * end up with equal shares. The rule needs to know how many messages each user has now,
 * and not how many users there will be.
 *
 * With f free places, a user that has n messages may have half of f + n places, rounded
 * up: there is room for one more message exactly if n < f. So the users whose senders
 * wait (contenders) are in a tree by n, in which each node knows the most urgent sender
 * of its subtree. The next sender is the most urgent one of the users with n < f.
 */
#include <linux/cred.h>
#include <linux/rbtree_augmented.h>
#include <linux/slab.h>

#include "limits.h"
#include "mailbox.h"
#include "share.h"
#include "waiter.h"

/**
 * mbx_current_key() - the user of the current process, as a mailbox sees it
 * @mb: the mailbox
 */
kuid_t mbx_current_key(const struct mailbox *mb)
{
	return mbx_uid_seen_from(mbx_mailbox_user_ns(mb), current_user_ns(),
				 current_uid());
}

/* Whether a user comes before that of a share in mailbox.shares. */
static bool before(kuid_t uid, const struct mbx_user *account,
		   const struct mbx_share *share)
{
	if (!uid_eq(uid, share->uid))
		return uid_lt(uid, share->uid);
	return account < share->account;
}

/**
 * mbx_share_find() - find the share of a user
 * @mb: a mailbox with MBOX_FAIR or MBOX_DROP_OLDEST
 * @uid: the user
 * @account: its account with MBOX_DROP_OLDEST, otherwise NULL
 *
 * Return: its share, or NULL.
 */
struct mbx_share *mbx_share_find(const struct mailbox *mb, kuid_t uid,
				 const struct mbx_user *account)
{
	struct rb_node *node = mb->shares.rb_node;
	struct mbx_share *share;

	lockdep_assert_held(&mb->lock);
	while (node) {
		share = rb_entry(node, struct mbx_share, node);
		if (uid_eq(share->uid, uid) && share->account == account)
			return share;
		node = before(uid, account, share) ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static void add_share(struct mailbox *mb, struct mbx_share *share)
{
	struct rb_node **link = &mb->shares.rb_node, *parent = NULL;

	lockdep_assert_held(&mb->lock);
	while (*link) {
		parent = *link;
		if (before(share->uid, share->account,
			   rb_entry(parent, struct mbx_share, node)))
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&share->node, parent, link);
	rb_insert_color(&share->node, &mb->shares);
}

static struct mbx_share *get(struct mailbox *mb, const struct mbx_sender *sender,
			     gfp_t flags)
{
	const struct mbx_user *account = NULL;
	struct mbx_share *share, *new = NULL;

	if (mb->flags & MBOX_DROP_OLDEST)
		account = sender->account;
	spin_lock(&mb->lock);
	share = mbx_share_find(mb, sender->key, account);
	if (!share) {
		spin_unlock(&mb->lock);
		new = kzalloc(sizeof(*new), flags);
		if (!new)
			return NULL;
		new->mb = mb;
		new->uid = sender->key;
		new->account = account;
		INIT_LIST_HEAD(&new->own);
		spin_lock(&mb->lock);
		share = mbx_share_find(mb, sender->key, account);
		if (!share) {
			share = new;
			new = NULL;
			add_share(mb, share);
		}
	}
	share->refs++;
	spin_unlock(&mb->lock);
	kfree(new);
	return share;
}

/**
 * mbx_share_get() - find or make the share of a user
 * @mb: a mailbox with MBOX_FAIR or MBOX_DROP_OLDEST
 * @sender: a sender of the user; the caller has a message of it
 *
 * Context: Process context, may sleep.
 * Return: the share with a reference, or NULL when there is no memory.
 */
struct mbx_share *mbx_share_get(struct mailbox *mb, const struct mbx_sender *sender)
{
	return get(mb, sender, GFP_KERNEL_ACCOUNT);
}

/**
 * mbx_share_get_surely() - as mbx_share_get(), but this cannot fail
 * @mb: a mailbox with MBOX_FAIR or MBOX_DROP_OLDEST
 * @sender: a sender of the user; the caller has a message of it
 *
 * Context: Process context, may sleep.
 * Return: the share with a reference.
 */
struct mbx_share *mbx_share_get_surely(struct mailbox *mb,
				       const struct mbx_sender *sender)
{
	return get(mb, sender, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
}

/**
 * mbx_share_put() - drop a reference
 * @share: the share
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_share_put(struct mbx_share *share)
{
	struct mailbox *mb = share->mb;
	bool last;

	spin_lock(&mb->lock);
	last = --share->refs == 0;
	if (last)
		rb_erase(&share->node, &mb->shares);
	spin_unlock(&mb->lock);
	if (last)
		kfree(share);
}

/* ---- senders that wait ---------------------------------------------------- */

static struct mbx_share *contender(const struct rb_node *node)
{
	return rb_entry(node, struct mbx_share, contender);
}

static struct mbx_waiter *best_of(const struct rb_node *node)
{
	return node ? contender(node)->best : NULL;
}

static bool update_best(struct mbx_share *share, bool exit)
{
	struct mbx_waiter *best = mbx_waiters_first(&share->waiters);

	best = mbx_waiter_first(best, best_of(share->contender.rb_left));
	best = mbx_waiter_first(best, best_of(share->contender.rb_right));
	if (exit && share->best == best)
		return true;
	share->best = best;
	return false;
}

RB_DECLARE_CALLBACKS(static, contender_callbacks, struct mbx_share, contender,
		     best, update_best);

/**
 * mbx_share_list() - make a user a contender if its senders wait
 * @mb: a mailbox with MBOX_FAIR
 * @share: the user's share
 */
void mbx_share_list(struct mailbox *mb, struct mbx_share *share)
{
	struct rb_node **link = &mb->contenders.rb_node, *parent = NULL;
	struct mbx_waiter *w = mbx_waiters_first(&share->waiters);

	lockdep_assert_held(&mb->lock);
	if (!w)
		return;
	while (*link) {
		parent = *link;
		contender(parent)->best =
			mbx_waiter_first(contender(parent)->best, w);
		if (share->stored < contender(parent)->stored)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	share->best = w;
	rb_link_node(&share->contender, parent, link);
	rb_insert_augmented(&share->contender, &mb->contenders,
			    &contender_callbacks);
}

/**
 * mbx_share_unlist() - undo mbx_share_list()
 * @mb: a mailbox with MBOX_FAIR
 * @share: the user's share
 *
 * To be called before @share->stored or @share->waiters changes.
 */
void mbx_share_unlist(struct mailbox *mb, struct mbx_share *share)
{
	lockdep_assert_held(&mb->lock);
	if (mbx_waiters_first(&share->waiters))
		rb_erase_augmented(&share->contender, &mb->contenders,
				   &contender_callbacks);
}

/**
 * mbx_share_count() - a message of a user is stored or removed
 * @mb: a mailbox with MBOX_FAIR
 * @share: the user's share
 * @change: 1 or -1
 */
void mbx_share_count(struct mailbox *mb, struct mbx_share *share, int change)
{
	mbx_share_unlist(mb, share);
	share->stored += change;
	mbx_share_list(mb, share);
}

/**
 * mbx_share_next_sender() - the most urgent sender whose user has room
 * @mb: a mailbox with MBOX_FAIR that has room
 *
 * Return: a sender that waits, or NULL.
 */
struct mbx_waiter *mbx_share_next_sender(const struct mailbox *mb)
{
	const u32 free = mb->limit - mb->stored.count;
	struct rb_node *node = mb->contenders.rb_node;
	struct mbx_waiter *best = NULL;

	lockdep_assert_held(&mb->lock);
	if (mb->capacity == MBOX_UNBOUNDED)
		return best_of(node);
	while (node) {
		if (contender(node)->stored >= free) {
			node = node->rb_left;
			continue;
		}
		best = mbx_waiter_first(best,
					mbx_waiters_first(&contender(node)->waiters));
		best = mbx_waiter_first(best, best_of(node->rb_left));
		node = node->rb_right;
	}
	return best;
}

/* A message can be dropped to make room for others of its user. */
static void can_free(struct mbx_share *share, const struct mbx_message_ext *ext)
{
	share->bytes += ext->cost;
	share->fds += ext->nfds;
}

static void cannot_free(struct mbx_share *share, const struct mbx_message_ext *ext)
{
	share->bytes -= ext->cost;
	share->fds -= ext->nfds;
}

/**
 * mbx_share_add() - a message of a user is stored
 * @msg: the message, in a mailbox with MBOX_DROP_OLDEST
 * @front: it is older than the user's other messages
 */
void mbx_share_add(struct mbx_message *msg, bool front)
{
	struct mbx_message_ext *ext = mbx_ext(msg);
	struct mbx_share *share = ext->share;

	lockdep_assert_held(&share->mb->lock);
	if (front)
		list_add(&ext->own, &share->own);
	else
		list_add_tail(&ext->own, &share->own);
	share->stored++;
	if (!(msg->flags & MBX_MSG_PEEKED))
		can_free(share, ext);
}

/**
 * mbx_share_remove() - undo mbx_share_add()
 * @msg: the message
 */
void mbx_share_remove(struct mbx_message *msg)
{
	struct mbx_message_ext *ext = mbx_ext(msg);
	struct mbx_share *share = ext->share;

	lockdep_assert_held(&share->mb->lock);
	list_del_init(&ext->own);
	share->stored--;
	if (!(msg->flags & MBX_MSG_PEEKED))
		cannot_free(share, ext);
}

/**
 * mbx_share_peeked() - a call begins to peek at a message, or the last one has ended
 * @msg: the message
 * @peeked: whether it began
 *
 * Return: whether the message counts in a share.
 */
bool mbx_share_peeked(struct mbx_message *msg, bool peeked)
{
	struct mbx_message_ext *ext = mbx_ext(msg);

	if (!(msg->flags & MBX_MSG_SPECIAL) || !ext->share || list_empty(&ext->own))
		return false;
	if (peeked)
		cannot_free(ext->share, ext);
	else
		can_free(ext->share, ext);
	return true;
}

/**
 * mbx_share_has_room() - whether a user may have one more message
 * @mb: a mailbox with MBOX_FAIR that has room
 * @uid: the user
 */
bool mbx_share_has_room(const struct mailbox *mb, kuid_t uid)
{
	const struct mbx_share *share = mbx_share_find(mb, uid, NULL);

	if (mb->capacity == MBOX_UNBOUNDED)
		return true;
	return !share || share->stored < mb->limit - mb->stored.count;
}
