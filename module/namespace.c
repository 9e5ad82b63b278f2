// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names and ids.
 *
 * They belong to the network namespace of the process that creates the
 * mailbox, and are looked up in that of the process that asks. A mailbox does
 * not keep the namespace alive: at its end the names go, with the mailboxes
 * that nothing else holds, and handles that were taken elsewhere go on with a
 * mailbox that has no name and no id to be found by.
 *
 * One lock serves all namespaces. It is taken to create, open, unlink, list
 * and release, never to send or receive.
 */
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "mailbox.h"
#include "namespace.h"

/**
 * struct mbox_namespace - what can be found in one network namespace
 * @names: mailboxes by name; under namespace_lock
 * @ids: mailboxes by id; under namespace_lock
 */
struct mbox_namespace {
	struct rb_root names;
	struct rb_root ids;
};

static DEFINE_SPINLOCK(namespace_lock);
static unsigned int namespace_key;

static struct mbox_namespace *current_namespace(void)
{
	return net_generic(current->nsproxy->net_ns, namespace_key);
}

static int compare(const char *name, size_t len, const struct mailbox *mb)
{
	int diff = memcmp(name, mb->name, min_t(size_t, len, mb->name_len));

	return diff ?: (int)len - (int)mb->name_len;
}

/*
 * Where @name is (*@link points to it) or would be (*@link is NULL, to be
 * linked below *@parent).
 */
static struct rb_node **find_name(struct mbox_namespace *ns, const char *name,
				  size_t len, struct rb_node **parent)
{
	struct rb_node **link = &ns->names.rb_node;
	int diff;

	lockdep_assert_held(&namespace_lock);
	*parent = NULL;
	while (*link) {
		diff = compare(name, len,
			       rb_entry(*link, struct mailbox, name_node));
		if (!diff)
			break;
		*parent = *link;
		link = diff < 0 ? &(*link)->rb_left : &(*link)->rb_right;
	}
	return link;
}

/* The mailbox with the lowest id from @id on. */
static struct mailbox *find_id(struct mbox_namespace *ns, u64 id)
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

static void add_id(struct mbox_namespace *ns, struct mailbox *mb)
{
	struct rb_node **link = &ns->ids.rb_node;
	struct rb_node *parent = NULL;

	lockdep_assert_held(&namespace_lock);
	while (*link) {
		parent = *link;
		if (mb->id < rb_entry(parent, struct mailbox, id_node)->id)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&mb->id_node, parent, link);
	rb_insert_color(&mb->id_node, &ns->ids);
}

/**
 * mbox_namespace_publish() - make a mailbox known by its id and its name
 * @mb: a new mailbox; if it has a name, the name gets a reference
 *
 * Return: 0, or -EEXIST.
 */
int mbox_namespace_publish(struct mailbox *mb)
{
	struct mbox_namespace *ns = current_namespace();
	struct rb_node **link, *parent;

	spin_lock(&namespace_lock);
	if (mb->name) {
		link = find_name(ns, mb->name, mb->name_len, &parent);
		if (*link) {
			spin_unlock(&namespace_lock);
			return -EEXIST;
		}
		rb_link_node(&mb->name_node, parent, link);
		rb_insert_color(&mb->name_node, &ns->names);
		/* Pairs with the READ_ONCE() of those who show the name. */
		WRITE_ONCE(mb->named, true);
		kref_get(&mb->refs);
	}
	add_id(ns, mb);
	mb->ns = ns;
	mb->published = true;
	spin_unlock(&namespace_lock);
	return 0;
}

/**
 * mbox_namespace_find() - look up a name
 * @name: the name
 * @len: its length
 *
 * Return: the mailbox with a reference, or NULL.
 */
struct mailbox *mbox_namespace_find(const char *name, size_t len)
{
	struct mbox_namespace *ns = current_namespace();
	struct mailbox *mb = NULL;
	struct rb_node **link, *parent;

	spin_lock(&namespace_lock);
	link = find_name(ns, name, len, &parent);
	if (*link) {
		/* The name holds a reference, so there is one to add to. */
		mb = rb_entry(*link, struct mailbox, name_node);
		kref_get(&mb->refs);
	}
	spin_unlock(&namespace_lock);
	return mb;
}

/* Like find_id(), passing over mailboxes that are being released. */
static struct mailbox *get_from(struct mbox_namespace *ns, u64 id)
{
	struct mailbox *mb = find_id(ns, id);
	struct rb_node *node;

	while (mb && !kref_get_unless_zero(&mb->refs)) {
		node = rb_next(&mb->id_node);
		mb = node ? rb_entry(node, struct mailbox, id_node) : NULL;
	}
	return mb;
}

/**
 * mbox_namespace_next() - the mailbox with the next id
 * @id: the id before
 *
 * Return: the mailbox with a reference, or NULL.
 */
struct mailbox *mbox_namespace_next(u64 id)
{
	struct mbox_namespace *ns = current_namespace();
	struct mailbox *mb;

	if (id == U64_MAX)
		return NULL;
	spin_lock(&namespace_lock);
	mb = get_from(ns, id + 1);
	spin_unlock(&namespace_lock);
	return mb;
}

/**
 * mbox_namespace_find_id() - look up an id
 * @id: the id
 *
 * Return: the mailbox with a reference, or NULL.
 */
struct mailbox *mbox_namespace_find_id(u64 id)
{
	struct mbox_namespace *ns = current_namespace();
	struct mailbox *mb;

	spin_lock(&namespace_lock);
	mb = find_id(ns, id);
	if (mb && (mb->id != id || !kref_get_unless_zero(&mb->refs)))
		mb = NULL;
	spin_unlock(&namespace_lock);
	return mb;
}

/* Return whether there was a name, whose reference is now the caller's. */
static bool drop_name(struct mailbox *mb)
{
	lockdep_assert_held(&namespace_lock);
	if (!mb->named)
		return false;
	rb_erase(&mb->name_node, &mb->ns->names);
	WRITE_ONCE(mb->named, false);
	return true;
}

static void drop_id(struct mailbox *mb)
{
	lockdep_assert_held(&namespace_lock);
	if (!mb->ns)
		return;
	rb_erase(&mb->id_node, &mb->ns->ids);
	mb->ns = NULL;
}

/**
 * mbox_namespace_unlink() - take a name away
 * @name: the name
 * @len: its length
 *
 * Return: 0, or -ENOENT, -EACCES.
 */
int mbox_namespace_unlink(const char *name, size_t len)
{
	struct mailbox *mb = mbox_namespace_find(name, len);
	bool had_name;
	int ret = 0;

	if (!mb)
		return -ENOENT;
	if (!mbox_mailbox_owned(mb)) {
		ret = -EACCES;
		goto out;
	}
	spin_lock(&namespace_lock);
	had_name = drop_name(mb);
	spin_unlock(&namespace_lock);
	if (had_name)
		mbox_mailbox_put(mb);
	else
		ret = -ENOENT;
out:
	mbox_mailbox_put(mb);
	return ret;
}

/**
 * mbox_namespace_forget() - take name and id away
 * @mb: the mailbox, of which the caller holds a reference
 */
void mbox_namespace_forget(struct mailbox *mb)
{
	bool had_name;

	spin_lock(&namespace_lock);
	had_name = drop_name(mb);
	drop_id(mb);
	spin_unlock(&namespace_lock);
	if (had_name)
		mbox_mailbox_put(mb);
}

/**
 * mbox_namespace_forget_id() - take the id away, at the end of a mailbox
 * @mb: a mailbox without references, hence without a name
 */
void mbox_namespace_forget_id(struct mailbox *mb)
{
	spin_lock(&namespace_lock);
	drop_id(mb);
	spin_unlock(&namespace_lock);
}

/* The end of a network namespace, or of the module. */
static void __net_exit namespace_exit_net(struct net *net)
{
	struct mbox_namespace *ns = net_generic(net, namespace_key);
	struct rb_node *node;
	struct mailbox *mb;
	bool had_name;

	spin_lock(&namespace_lock);
	while ((node = rb_first(&ns->ids))) {
		mb = rb_entry(node, struct mailbox, id_node);
		had_name = drop_name(mb);
		drop_id(mb);
		if (!had_name)
			continue;
		spin_unlock(&namespace_lock);
		mbox_mailbox_put(mb);
		cond_resched();
		spin_lock(&namespace_lock);
	}
	spin_unlock(&namespace_lock);
}

static struct pernet_operations namespace_ops = {
	.exit = namespace_exit_net,
	.id = &namespace_key,
	.size = sizeof(struct mbox_namespace),
};

int __init mbox_namespace_init(void)
{
	return register_pernet_subsys(&namespace_ops);
}

void mbox_namespace_exit(void)
{
	unregister_pernet_subsys(&namespace_ops);
}
