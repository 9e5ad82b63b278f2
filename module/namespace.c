// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ids, and the end of network namespaces.
 *
 * Name and id of a mailbox belong to the network namespace of the instance of the file
 * system that the mailbox is in. An ioctl searches the network namespace of the calling
 * process. A mailbox does not keep its namespace alive. When the namespace ends, its
 * mailboxes cannot be looked up any more. They lose name and id some time later, and
 * those without other references are freed. A handle that is still open elsewhere
 * continues to work.
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

#include "instance.h"
#include "mailbox.h"
#include "namespace.h"

/* How many mailboxes are looked at in one hold of the lock. */
#define LOOK_AT_ONCE 32

static DEFINE_SPINLOCK(namespace_lock);
static unsigned int namespace_key;
/*
 * Instances of namespaces that have ended, in the order of the inode number of the
 * namespace and of the last id. The kernel may reuse the inode number while mailboxes are
 * left there, so the ids of the next namespace with that number begin above theirs. Under
 * namespace_lock.
 */
static struct rb_root left_behind = RB_ROOT;

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
 * namespaces that are there. Tracepoints, fdinfo and listings show the inode number of the
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
	/* Pairs with the release of the thread that made the instance. */
	struct mbx_instance *instance = smp_load_acquire(&ns->instance);
	struct rb_node *node = instance ? instance->ids.rb_node : NULL;
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
 * @mb: a new mailbox; without an id, it gets one
 *
 * Return: 0, or -ESTALE: the namespace has ended.
 */
int mbx_namespace_publish(struct mailbox *mb)
{
	struct mbx_instance *instance = mbx_instance_of(mb->inode.i_sb);
	struct rb_node **link, *parent = NULL;

	spin_lock(&namespace_lock);
	if (!instance->ns) {
		spin_unlock(&namespace_lock);
		return -ESTALE;
	}
	if (!mb->id)
		mbx_namespace_number(instance->ns, mb);
	link = &instance->ids.rb_node;
	while (*link) {
		parent = *link;
		if (mb->id < rb_entry(parent, struct mailbox, id_node)->id)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&mb->id_node, parent, link);
	rb_insert_color(&mb->id_node, &instance->ids);
	mb->inode.i_private = instance;
	mb->published = true;
	spin_unlock(&namespace_lock);
	return 0;
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
 * mbx_total_add() - add a mailbox to others
 * @total: what there is so far
 * @mb: the mailbox
 *
 * Without mailbox.lock: messages come and go all the time, and who adds up many mailboxes
 * should wait for none of them.
 */
void mbx_total_add(struct mbx_total *total, struct mailbox *mb)
{
	if (READ_ONCE(mb->dead))
		return;
	total->last = mb->id;
	total->left--;
	total->mailboxes++;
	/* They change concurrently: any value of late will do. */
	total->queued += data_race(mb->stored.count);
	/*
	 * Likewise. A kernel of 32 bits reads two halves, and the sum is 4 GiB off if the
	 * mailbox grows beyond that between them.
	 */
	total->bytes += data_race(mb->stored.bytes);
}

/* Whether the mailbox has a name that begins so. */
static bool has_name(struct mailbox *mb, const struct mbx_total *total)
{
	struct dentry *dentry;
	bool ret = false;

	spin_lock(&mb->inode.i_lock);
	dentry = mb->dentry;
	if (dentry) {
		spin_lock(&dentry->d_lock);
		ret = dentry->d_name.len >= total->prefix_len &&
		      !memcmp(dentry->d_name.name, total->prefix, total->prefix_len);
		spin_unlock(&dentry->d_lock);
	}
	spin_unlock(&mb->inode.i_lock);
	return ret;
}

/**
 * mbx_namespace_add_up() - add up some mailboxes of the current namespace
 * @total: what to add up, and what there is so far; mbx_total.ended or mbx_total.left
 *	says whether to call this again
 *
 * Mailboxes of other users are for the caller to check, without the lock.
 *
 * Return: a mailbox with a reference, which the caller may be allowed to see and then
 * adds; or NULL.
 */
struct mailbox *mbx_namespace_add_up(struct mbx_total *total)
{
	struct mbx_namespace *ns = mbx_namespace_current();
	struct mailbox *mb = NULL, *unsure = NULL;
	struct rb_node *node;
	unsigned int n;
	bool named;

	spin_lock(&namespace_lock);
	if (total->seen != U64_MAX)
		mb = find_id(ns, total->seen + 1);
	for (n = 0; mb && !unsure && total->left && n < LOOK_AT_ONCE; n++) {
		total->seen = mb->id;
		named = has_name(mb, total);
		/* Eviction of its inode would have to remove the id first, under this lock. */
		if (named && uid_eq(mb->inode.i_uid, total->caller))
			mbx_total_add(total, mb);
		else if ((named || !total->prefix_len) && igrab(&mb->inode))
			unsure = mb;
		node = rb_next(&mb->id_node);
		mb = node ? rb_entry(node, struct mailbox, id_node) : NULL;
	}
	total->ended = !mb;
	spin_unlock(&namespace_lock);
	return unsure;
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
	struct mbx_instance *instance = mb->inode.i_private;

	lockdep_assert_held(&namespace_lock);
	if (!instance)
		return;
	rb_erase(&mb->id_node, &instance->ids);
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

/* What the ids of a new namespace begin above. */
static u64 highest_left(u32 net_ino)
{
	struct rb_node *node = left_behind.rb_node;
	u64 id = MBX_ROOT_INO;

	lockdep_assert_held(&namespace_lock);
	while (node) {
		struct mbx_instance *instance = rb_entry(node, struct mbx_instance, left);

		if (instance->net_ino > net_ino) {
			node = node->rb_left;
			continue;
		}
		/* Those with the number come one after the other, the highest id last. */
		if (instance->net_ino == net_ino)
			id = instance->last_id;
		node = node->rb_right;
	}
	return id;
}

static bool is_before(const struct mbx_instance *a, const struct mbx_instance *b)
{
	return a->net_ino < b->net_ino ||
	       (a->net_ino == b->net_ino && a->last_id < b->last_id);
}

static void leave_behind(struct mbx_instance *instance)
{
	struct rb_node **link = &left_behind.rb_node, *parent = NULL;

	lockdep_assert_held(&namespace_lock);
	while (*link) {
		parent = *link;
		if (is_before(instance, rb_entry(parent, struct mbx_instance, left)))
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&instance->left, parent, link);
	rb_insert_color(&instance->left, &left_behind);
}

/**
 * mbx_namespace_gone() - no mailbox of an instance is left
 * @instance: the instance
 */
void mbx_namespace_gone(struct mbx_instance *instance)
{
	spin_lock(&namespace_lock);
	/* Not if it could not be set up. */
	if (!RB_EMPTY_NODE(&instance->left))
		rb_erase(&instance->left, &left_behind);
	spin_unlock(&namespace_lock);
}

static int __net_init namespace_init_net(struct net *net)
{
	struct mbx_namespace *ns = mbx_namespace_of(net);

	ns->net = net;
	spin_lock(&namespace_lock);
	atomic64_set(&ns->last_id, highest_left(net->ns.inum));
	spin_unlock(&namespace_lock);
	return 0;
}

/**
 * mbx_namespace_first() - find a mailbox that a namespace has left behind
 * @instance: the instance of the namespace
 *
 * Return: a mailbox that has an id, with a reference, or NULL.
 */
struct mailbox *mbx_namespace_first(struct mbx_instance *instance)
{
	struct mailbox *found = NULL;
	struct rb_node *node;

	while (!found) {
		spin_lock(&namespace_lock);
		node = rb_first(&instance->ids);
		if (!node) {
			spin_unlock(&namespace_lock);
			return NULL;
		}
		found = rb_entry(node, struct mailbox, id_node);
		if (!igrab(&found->inode)) {
			drop_id(found);
			found = NULL;
		}
		spin_unlock(&namespace_lock);
	}
	return found;
}

/*
 * A network namespace ends, or the module is unloaded. The kernel ends the namespaces one
 * after the other, so this must not wait for anything that a process can hold up, such as
 * the lock of the directory.
 */
static void __net_exit namespace_exit_net(struct net *net)
{
	struct mbx_namespace *ns = mbx_namespace_of(net);
	struct mbx_instance *instance = ns->instance;

	if (!instance)
		return;
	ns->instance = NULL;
	spin_lock(&namespace_lock);
	/* Read without the lock by a thread that is about to create a mailbox. */
	WRITE_ONCE(instance->ns, NULL);
	instance->net_ino = net->ns.inum;
	instance->last_id = atomic64_read(&ns->last_id);
	leave_behind(instance);
	spin_unlock(&namespace_lock);
	mbx_instance_end(instance);
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
