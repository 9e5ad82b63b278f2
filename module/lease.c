// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: their memory, the trees that they are in, and how they count.
 *
 * A lease is allocated before the call has a message, and charged to the user of the
 * receiver. It counts in mailbox.held from the moment at which its message leaves the
 * mailbox, so that the message makes no room. It is added to the leases of the handle
 * after the copy: until then the message is in flight (recv.c). What ends a lease is in
 * ack.c.
 */
#include <linux/err.h>
#include <linux/slab.h>

#include "lease.h"
#include "limits.h"
#include "mailbox.h"
#include "share.h"

static struct kmem_cache *lease_cache;

/**
 * mbx_lease_new() - make a lease that is charged to the user of the current process
 * @leases: the leases of the handle
 *
 * Context: Process context, may sleep.
 * Return: the lease, or -EDQUOT, -ENOMEM.
 */
struct mbx_lease *mbx_lease_new(struct mbx_leases *leases)
{
	struct mbx_user *user = mbx_user_get();
	struct mbx_lease *lease;
	int ret;

	if (!user)
		return ERR_PTR(-ENOMEM);
	ret = mbx_charge_bytes(user, MBX_LEASE_COST, true);
	if (ret)
		goto err_put_user;
	lease = kmem_cache_alloc(lease_cache, GFP_KERNEL_ACCOUNT);
	if (!lease) {
		ret = -ENOMEM;
		goto err_uncharge;
	}
	lease->leases = leases;
	lease->msg = NULL;
	lease->payer = user;
	return lease;

err_uncharge:
	mbx_uncharge_bytes(user, MBX_LEASE_COST);
err_put_user:
	mbx_user_put(user);
	return ERR_PTR(ret);
}

/**
 * mbx_lease_free() - uncharge and free a lease
 * @lease: a lease that is in no tree
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_lease_free(struct mbx_lease *lease)
{
	struct mbx_user *payer = lease->payer;

	kmem_cache_free(lease_cache, lease);
	mbx_uncharge_bytes(payer, MBX_LEASE_COST);
	mbx_user_put(payer);
}

/* ---- room ------------------------------------------------------------------ */

/**
 * mbx_limit_update() - compute mailbox.limit
 * @mb: the mailbox; its capacity, or mailbox.held, has changed
 */
void mbx_limit_update(struct mailbox *mb)
{
	u32 capacity = mb->capacity;

	/* There a lease makes room, as any other receive does. */
	if (!capacity || capacity == MBOX_UNBOUNDED || mb->flags & MBOX_DROP_OLDEST)
		mb->limit = capacity;
	else
		mb->limit = capacity - min(capacity, mb->held);
}

static void count_held(struct mailbox *mb, struct mbx_message *msg, int change)
{
	lockdep_assert_held(&mb->lock);
	mb->held += change;
	mbx_limit_update(mb);
	/* As for the capacity: there a lease makes room. */
	if (!(mb->flags & MBOX_DROP_OLDEST))
		mb->held_bytes += change > 0 ? (u64)msg->len : -(u64)msg->len;
	if (mb->flags & MBOX_FAIR)
		mbx_share_count(mb, mbx_ext(msg)->share, change);
}

/**
 * mbx_hold() - a message that has left the mailbox goes on counting
 * @mb: the mailbox
 * @msg: the message
 */
void mbx_hold(struct mailbox *mb, struct mbx_message *msg)
{
	count_held(mb, msg, 1);
}

/**
 * mbx_unhold() - undo mbx_hold()
 * @mb: the mailbox
 * @msg: the message
 */
void mbx_unhold(struct mailbox *mb, struct mbx_message *msg)
{
	count_held(mb, msg, -1);
	mbx_unpart(mb);
}

/* ---- leases of a handle ------------------------------------------------------ */

/**
 * mbx_lease_part() - have messages that leave the queue leave a gap there
 * @mb: the mailbox; called before a message is removed that goes on lease
 */
void mbx_lease_part(struct mailbox *mb)
{
	lockdep_assert_held(&mb->lock);
	mb->store_flags |= MBX_STORE_PARTED;
	mb->stored.parted = true;
}

/**
 * mbx_lease_take() - a message leaves the mailbox on lease
 * @mb: the mailbox
 * @lease: the lease, from mbx_lease_new()
 * @msg: the message
 * @token: its token if it is a request, otherwise 0
 */
void mbx_lease_take(struct mailbox *mb, struct mbx_lease *lease, struct mbx_message *msg,
		    u64 token)
{
	lockdep_assert_held(&mb->lock);
	lease->msg = msg;
	/* Unique in the mailbox, as the token of a request. */
	lease->token = token ?: ++mb->arrivals;
	mbx_hold(mb, msg);
}

/**
 * mbx_lease_add() - the copy has succeeded: the handle has the message on lease
 * @mb: the mailbox
 * @lease: the lease
 */
void mbx_lease_add(struct mailbox *mb, struct mbx_lease *lease)
{
	struct mbx_leases *leases = lease->leases;
	struct rb_node **link = &leases->root.rb_node, *parent = NULL;

	lockdep_assert_held(&mb->lock);
	while (*link) {
		parent = *link;
		if (lease->token < rb_entry(parent, struct mbx_lease, node)->token)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&lease->node, parent, link);
	rb_insert_color(&lease->node, &leases->root);
	if (!leases->count++)
		hlist_add_head(&leases->lessee, &mb->lessees);
}

/**
 * mbx_lease_remove() - undo mbx_lease_add()
 * @mb: the mailbox
 * @lease: the lease
 */
void mbx_lease_remove(struct mailbox *mb, struct mbx_lease *lease)
{
	struct mbx_leases *leases = lease->leases;

	lockdep_assert_held(&mb->lock);
	rb_erase(&lease->node, &leases->root);
	if (!--leases->count)
		hlist_del(&leases->lessee);
}

/**
 * mbx_lease_find() - find a lease
 * @leases: the leases of the handle
 * @token: its token
 *
 * Return: the lease, or NULL.
 */
struct mbx_lease *mbx_lease_find(const struct mbx_leases *leases, u64 token)
{
	struct rb_node *node = leases->root.rb_node;
	struct mbx_lease *lease;

	while (node) {
		lease = rb_entry(node, struct mbx_lease, node);
		if (token == lease->token)
			return lease;
		node = token < lease->token ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/**
 * mbx_leases_count() - how many messages a handle has on lease
 * @mb: the mailbox
 * @leases: the leases of the handle
 */
u32 mbx_leases_count(struct mailbox *mb, const struct mbx_leases *leases)
{
	u32 count;

	spin_lock(&mb->lock);
	count = leases->count;
	spin_unlock(&mb->lock);
	return count;
}

int __init mbx_lease_init(void)
{
	lease_cache = kmem_cache_create("mbox_lease", sizeof(struct mbx_lease), 0,
					SLAB_ACCOUNT, NULL);
	return lease_cache ? 0 : -ENOMEM;
}

void mbx_lease_exit(void)
{
	kmem_cache_destroy(lease_cache);
}
