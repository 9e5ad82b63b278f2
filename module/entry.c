// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of the entries that messages have in an index: allocation and charges.
 */
#include <linux/err.h>
#include <linux/slab.h>

#include "entry.h"
#include "limits.h"
#include "sender.h"

static struct kmem_cache *entry_cache;

/**
 * mbx_entry_alloc() - allocate the entry of a message, charged to its sender
 * @flags: GFP_KERNEL, perhaps with __GFP_NOFAIL
 *
 * The caller charges the sender.
 *
 * Context: Process context, may sleep.
 * Return: the entry, or NULL.
 */
struct mbx_entry *mbx_entry_alloc(gfp_t flags)
{
	struct mbx_entry *entry;

	entry = kmem_cache_alloc(entry_cache, flags | __GFP_ACCOUNT);
	if (entry)
		entry->payer = NULL;
	return entry;
}

/**
 * mbx_entry_free() - free an entry
 * @entry: an entry that is in no index
 */
void mbx_entry_free(struct mbx_entry *entry)
{
	kmem_cache_free(entry_cache, entry);
}

/**
 * mbx_entry_new() - make an entry that is charged to the user of the current process
 *
 * For a message that its sender made without an entry: a receiver could otherwise bring
 * the sender over its limit.
 *
 * Context: Process context, may sleep.
 * Return: the entry, or -EDQUOT, -ENOMEM.
 */
struct mbx_entry *mbx_entry_new(void)
{
	struct mbx_user *user = mbx_user_get();
	struct mbx_entry *entry;
	int ret;

	if (!user)
		return ERR_PTR(-ENOMEM);
	ret = mbx_charge_bytes(user, MBX_ENTRY_COST, true);
	if (ret)
		goto err_put_user;
	entry = mbx_entry_alloc(GFP_KERNEL);
	if (!entry) {
		ret = -ENOMEM;
		goto err_uncharge;
	}
	entry->payer = user;
	return entry;

err_uncharge:
	mbx_uncharge_bytes(user, MBX_ENTRY_COST);
err_put_user:
	mbx_user_put(user);
	return ERR_PTR(ret);
}

/**
 * mbx_entry_new_unasked() - as mbx_entry_new(), but without a limit
 * @sender: the sender of the message, charged if there is no memory for an account
 *
 * This cannot fail. A call makes at most one such entry.
 *
 * Context: Process context, may sleep.
 * Return: the entry.
 */
struct mbx_entry *mbx_entry_new_unasked(struct mbx_sender *sender)
{
	struct mbx_entry *entry = mbx_entry_alloc(GFP_KERNEL | __GFP_NOFAIL);

	entry->payer = mbx_user_get();
	if (entry->payer)
		mbx_charge_unasked(entry->payer, MBX_ENTRY_COST);
	else
		mbx_sender_charge_unasked(sender, MBX_ENTRY_COST);
	return entry;
}

/**
 * mbx_entry_release() - uncharge and free an entry
 * @entry: an entry that is in no index
 * @sender: the sender of its message; not used if the entry has a payer
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_entry_release(struct mbx_entry *entry, struct mbx_sender *sender)
{
	struct mbx_user *payer = entry->payer;

	if (payer) {
		mbx_uncharge_bytes(payer, MBX_ENTRY_COST);
		mbx_user_put(payer);
	} else {
		mbx_sender_uncharge_part(sender, MBX_ENTRY_COST);
	}
	mbx_entry_free(entry);
}

int __init mbx_entry_init(void)
{
	entry_cache = kmem_cache_create("mbox_entry", sizeof(struct mbx_entry),
					0, SLAB_ACCOUNT, NULL);
	return entry_cache ? 0 : -ENOMEM;
}

void mbx_entry_exit(void)
{
	kmem_cache_destroy(entry_cache);
}
