// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fair shares: a user may have at most half of the room that the others leave.
 *
 * So there is always a place for who comes next, and users that send as much as
 * they can end up with equal parts. It needs to know of each user only how much
 * it has now, and no number of users in advance.
 */
#include <linux/slab.h>

#include "mailbox.h"
#include "share.h"

static struct mbox_share *find_share(const struct mailbox *mb, kuid_t uid)
{
	struct rb_node *node = mb->shares.rb_node;
	struct mbox_share *share;

	lockdep_assert_held(&mb->lock);
	while (node) {
		share = rb_entry(node, struct mbox_share, node);
		if (uid_eq(share->uid, uid))
			return share;
		node = uid_lt(uid, share->uid) ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static void add_share(struct mailbox *mb, struct mbox_share *share)
{
	struct rb_node **link = &mb->shares.rb_node, *parent = NULL;

	lockdep_assert_held(&mb->lock);
	while (*link) {
		parent = *link;
		if (uid_lt(share->uid,
			   rb_entry(parent, struct mbox_share, node)->uid))
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&share->node, parent, link);
	rb_insert_color(&share->node, &mb->shares);
}

/**
 * mbox_share_get() - find or make the share of a user
 * @mb: a mailbox with MBOX_FAIR
 * @uid: the user
 *
 * Context: Process context, may sleep.
 * Return: the share with a reference, or NULL when there is no memory.
 */
struct mbox_share *mbox_share_get(struct mailbox *mb, kuid_t uid)
{
	struct mbox_share *share, *new = NULL;

	spin_lock(&mb->lock);
	share = find_share(mb, uid);
	if (!share) {
		spin_unlock(&mb->lock);
		new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
		if (!new)
			return NULL;
		new->mb = mb;
		new->uid = uid;
		spin_lock(&mb->lock);
		share = find_share(mb, uid);
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
 * mbox_share_put() - give a reference back
 * @share: the share
 *
 * Context: Process context, without mailbox.lock.
 */
void mbox_share_put(struct mbox_share *share)
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

/**
 * mbox_share_has_room() - whether a user may have one message more
 * @mb: a mailbox with MBOX_FAIR, and room
 * @uid: the user
 */
bool mbox_share_has_room(const struct mailbox *mb, kuid_t uid)
{
	const struct mbox_share *share = find_share(mb, uid);
	u32 own = share ? share->stored : 0;
	u32 others = mb->stored.count - own;

	if (mb->capacity == MBOX_UNBOUNDED)
		return true;
	/* Half, rounded up: of one place too, somebody can have it. */
	return own < mb->capacity - others - (mb->capacity - others) / 2;
}
