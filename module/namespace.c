// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ids, and the end of network namespaces.
 *
 * Name and id of a mailbox belong to the network namespace of the instance of the file
 * system that the mailbox is in. An ioctl searches the network namespace of the calling
 * process. A mailbox does not keep its namespace alive. When the namespace ends, its
 * mailboxes lose name and id, and those without other references are freed. A handle
 * that is still open elsewhere continues to work.
 *
 * One lock protects the ids of all namespaces. It is taken to create, list, open by id
 * and release mailboxes, never to send or receive. A mailbox keeps its id until its
 * inode is evicted. A lookup that finds an inode whose eviction has begun takes the
 * mailbox for gone.
 */
#include <linux/fs.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "fs.h"
#include "instance.h"
#include "mailbox.h"
#include "namespace.h"

static DEFINE_SPINLOCK(namespace_lock);
static unsigned int namespace_key;
/*
 * Highest id of the mailboxes that outlived their namespace. The kernel may reuse
 * the inode number of that namespace, so ids of new namespaces begin above this one.
 * It begins with the inode number of the directory. Under namespace_lock.
 */
static u64 orphan_id = MBX_ROOT_INO;

/**
 * mbx_namespace_of() - what a network namespace has
 * @net: the network namespace
 */
struct mbx_namespace *mbx_namespace_of(struct net *net)
{
	return net_generic(net, namespace_key);
}

/**
 * mbx_namespace_current() - what the network namespace of the current process has
 */
struct mbx_namespace *mbx_namespace_current(void)
{
	return mbx_namespace_of(current->nsproxy->net_ns);
}

/**
 * mbx_namespace_number() - give a new mailbox an id
 * @ns: its namespace
 * @mb: the mailbox
 *
 * Each namespace has its own counter, so that ids reveal nothing of other
 * namespaces. Tracepoints, fdinfo and listings show the inode number of the
 * namespace beside the id; the two together identify one mailbox.
 */
void mbx_namespace_number(struct mbx_namespace *ns, struct mailbox *mb)
{
	mb->id = atomic64_inc_return(&ns->last_id);
	mb->net_ino = ns->net->ns.inum;
	mb->inode.i_ino = mb->id;
}

/* The mailbox with the lowest id that is not below @id, or NULL. */
static struct mailbox *find_id(struct mbx_namespace *ns, u64 id)
{
	struct rb_node *node = ns->ids.rb_node;
	struct mailbox *found = NULL;

	lockdep_assert_held(&namespace_lock);
	while (node) {
		struct mailbox *mb = rb_entry(node, struct mailbox, id_node);

		if (mb->id < id) {
			node = node->rb_right;
			continue;
		}
		found = mb;
		node = node->rb_left;
	}
	return found;
}

/**
 * mbx_namespace_publish() - let a mailbox be looked up by its id
 * @ns: its namespace
 * @mb: a new mailbox
 */
void mbx_namespace_publish(struct mbx_namespace *ns, struct mailbox *mb)
{
	struct rb_node **link, *parent = NULL;

	spin_lock(&namespace_lock);
	link = &ns->ids.rb_node;
	while (*link) {
		parent = *link;
		if (mb->id < rb_entry(parent, struct mailbox, id_node)->id)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&mb->id_node, parent, link);
	rb_insert_color(&mb->id_node, &ns->ids);
	mb->inode.i_private = ns;
	mb->published = true;
	spin_unlock(&namespace_lock);
}

/**
 * mbx_namespace_next() - find the mailbox with the next higher id
 * @id: the previous id
 *
 * Return: the mailbox with a reference, or NULL.
 */
struct mailbox *mbx_namespace_next(u64 id)
{
	struct mbx_namespace *ns = mbx_namespace_current();
	struct mailbox *mb, *found = NULL;

	while (!found && id != U64_MAX) {
		spin_lock(&namespace_lock);
		mb = find_id(ns, id + 1);
		if (!mb) {
			spin_unlock(&namespace_lock);
			return NULL;
		}
		id = mb->id;
		if (igrab(&mb->inode))
			found = mb;
		spin_unlock(&namespace_lock);
	}
	return found;
}

/**
 * mbx_namespace_find_id() - look up an id
 * @id: the id
 *
 * Return: the mailbox with a reference, or NULL.
 */
struct mailbox *mbx_namespace_find_id(u64 id)
{
	struct mbx_namespace *ns = mbx_namespace_current();
	struct mailbox *mb;

	spin_lock(&namespace_lock);
	mb = find_id(ns, id);
	if (mb && (mb->id != id || !igrab(&mb->inode)))
		mb = NULL;
	spin_unlock(&namespace_lock);
	return mb;
}

static void drop_id(struct mailbox *mb)
{
	struct mbx_namespace *ns = mb->inode.i_private;

	lockdep_assert_held(&namespace_lock);
	if (!ns)
		return;
	rb_erase(&mb->id_node, &ns->ids);
	mb->inode.i_private = NULL;
}

/**
 * mbx_namespace_forget() - remove the id of a mailbox
 * @mb: the mailbox
 */
void mbx_namespace_forget(struct mailbox *mb)
{
	spin_lock(&namespace_lock);
	drop_id(mb);
	spin_unlock(&namespace_lock);
}

static int __net_init namespace_init_net(struct net *net)
{
	struct mbx_namespace *ns = mbx_namespace_of(net);

	ns->net = net;
	spin_lock(&namespace_lock);
	atomic64_set(&ns->last_id, orphan_id);
	spin_unlock(&namespace_lock);
	return 0;
}

/* Remove a mailbox from a namespace that ends. Return whether there was one. */
static bool forget_first(struct mbx_namespace *ns)
{
	struct rb_node *node;
	struct mailbox *mb;
	bool lives;

	spin_lock(&namespace_lock);
	node = rb_first(&ns->ids);
	if (!node) {
		spin_unlock(&namespace_lock);
		return false;
	}
	mb = rb_entry(node, struct mailbox, id_node);
	lives = igrab(&mb->inode);
	drop_id(mb);
	spin_unlock(&namespace_lock);
	if (!lives)
		return true;
	mbx_fs_forget(mb);
	/* Without its name, only handles, mounts and lookups refer to it. */
	spin_lock(&namespace_lock);
	if (atomic_read(&mb->inode.i_count) > 1)
		orphan_id = max(orphan_id, mb->id);
	spin_unlock(&namespace_lock);
	mbx_mailbox_put(mb);
	return true;
}

/* A network namespace ends, or the module is unloaded. */
static void __net_exit namespace_exit_net(struct net *net)
{
	struct mbx_namespace *ns = mbx_namespace_of(net);

	mbx_instance_close(ns);
	while (forget_first(ns))
		cond_resched();
	mbx_instance_end(ns);
}

static struct pernet_operations namespace_ops = {
	.init = namespace_init_net,
	.exit = namespace_exit_net,
	.id = &namespace_key,
	.size = sizeof(struct mbx_namespace),
};

int __init mbx_namespace_init(void)
{
	return register_pernet_subsys(&namespace_ops);
}

void mbx_namespace_exit(void)
{
	unregister_pernet_subsys(&namespace_ops);
}
