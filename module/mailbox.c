// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mailbox: attributes, lifetime, destruction.
 *
 * Lifetime
 *
 * A mailbox is counted by its handles, by its name while it has one, and by
 * lookups under way. The last of them frees it. Destroying it does not: it
 * takes name and id away and leaves an empty shell in which every call fails.
 * A message belongs to the mailbox, or to the one call that holds it; a call
 * that waits is on the stack of its task, in a list of the mailbox, and leaves
 * the list under the lock before its stack frame ends.
 *
 * Locks
 *
 *   namespace_lock	names and ids
 *   mailbox.lock	all that changes in a mailbox
 *   handle.lock		the identity that a handle caches
 *   users_lock		the table of users
 *   ring.lock		who has mapped a ring (a mutex, under mmap_lock)
 *   inherit_lock	priorities that were lent (an rt_mutex)
 *   links_lock		direct links (a mutex)
 *
 * Under links_lock the others are taken, but for ring.lock. Of these, only
 * mailbox.lock is taken inside another, which is inherit_lock, and an entry is
 * added to mailbox.pollers or removed under mailbox.lock (mbox_watch_update()).
 * Under mailbox.lock tasks are woken, and nothing else is called that takes a
 * lock: messages are freed, poll waiters told, and signals sent, after it is
 * dropped (struct mbox_after). No user memory is touched under any of them.
 */
#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs_struct.h>
#include <linux/nsproxy.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

#include "broadcast.h"
#include "exchange.h"
#include "limits.h"
#include "mailbox.h"
#include "namespace.h"
#include "notify.h"
#include "ring.h"
#include "trace.h"

static struct kmem_cache *mailbox_cache;
static atomic64_t last_id = ATOMIC64_INIT(0);

/**
 * mbox_attr_check() - check attributes from user space
 * @attr: the attributes
 *
 * Return: 0, or -EINVAL.
 */
int mbox_attr_check(const struct mbox_attr *attr)
{
	/* Each says what a send does where it has no room. */
	const u32 overflow = MBOX_DROP_OLDEST | MBOX_DROP_NEWEST | MBOX_FAIR;
	u32 flags;

	switch (attr->mode) {
	case MBOX_QUEUE:
		flags = MBOX_QUEUE_FLAGS;
		break;
	case MBOX_RING:
		flags = MBOX_RING_FLAGS;
		break;
	default:
		return -EINVAL;
	}
	if (attr->flags & ~flags || hweight32(attr->flags & overflow) > 1)
		return -EINVAL;
	if (attr->flags & MBOX_BROADCAST &&
	    (!attr->capacity ||
	     attr->flags & (MBOX_FAIR | MBOX_INHERIT)))
		return -EINVAL;
	if (attr->perm & ~0777)
		return -EINVAL;
	if (!attr->msg_max || attr->msg_max > MBOX_MSG_MAX_HARD)
		return -EINVAL;
	if (attr->msg_max > READ_ONCE(mbox_msg_max_limit) &&
	    !capable(CAP_SYS_RESOURCE))
		return -EINVAL;
	return attr->mode == MBOX_RING ? mbox_ring_attr_check(attr) : 0;
}

/**
 * mbox_mailbox_new() - make a mailbox that nobody knows yet
 * @attr: its attributes, already checked
 * @name: its name, or NULL
 * @name_len: length of the name
 *
 * The caller becomes the owner, and its limit of mailboxes is charged.
 *
 * Context: Process context, may sleep.
 * Return: the mailbox with a reference, or -ENOMEM, -EDQUOT, -EPERM.
 */
struct mailbox *mbox_mailbox_new(const struct mbox_attr *attr, const char *name,
				 size_t name_len)
{
	struct mailbox *mb;
	int ret = -ENOMEM;

	/* Whoever may receive from it can be given real-time priority. */
	if (attr->flags & MBOX_INHERIT && !capable(CAP_SYS_NICE))
		return ERR_PTR(-EPERM);
	mb = kmem_cache_zalloc(mailbox_cache, GFP_KERNEL_ACCOUNT);
	if (!mb)
		return ERR_PTR(-ENOMEM);
	if (name) {
		mb->name = kmemdup_nul(name, name_len, GFP_KERNEL_ACCOUNT);
		if (!mb->name)
			goto err_free;
		mb->name_len = name_len;
	}
	mb->user = mbox_user_get(current_uid());
	if (!mb->user)
		goto err_free_name;
	ret = mbox_charge_mailbox(mb->user);
	if (ret)
		goto err_put_user;
	if (attr->mode == MBOX_RING) {
		mb->ring = mbox_ring_new(attr, mb->user);
		if (IS_ERR(mb->ring)) {
			ret = PTR_ERR(mb->ring);
			goto err_uncharge;
		}
	}

	spin_lock_init(&mb->lock);
	mb->capacity = attr->capacity;
	mb->msg_max = attr->msg_max;
	mb->flags = attr->flags;
	mb->perm = attr->perm & ~current_umask();
	mb->uid = current_fsuid();
	mb->gid = current_fsgid();
	mb->stored.leaders = RB_ROOT_CACHED;
	mb->offers.leaders = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&mb->receivers);
	INIT_LIST_HEAD(&mb->senders);
	INIT_LIST_HEAD(&mb->syncers);
	INIT_LIST_HEAD(&mb->callers);
	INIT_LIST_HEAD(&mb->peekers);
	INIT_LIST_HEAD(&mb->peeks);
	if (mb->flags & MBOX_DROP_OLDEST && !(mb->flags & MBOX_BROADCAST))
		INIT_LIST_HEAD(&mb->ages);
	/* So that tokens of different mailboxes are not mistaken. */
	mb->last_token = get_random_u64();
	init_waitqueue_head(&mb->pollers);
	kref_init(&mb->refs);
	mb->id = atomic64_inc_return(&last_id);
	mb->user_ns = get_user_ns(current->nsproxy->net_ns->user_ns);
	return mb;

err_uncharge:
	mbox_uncharge_mailbox(mb->user);
err_put_user:
	mbox_user_put(mb->user);
err_free_name:
	kfree(mb->name);
err_free:
	kmem_cache_free(mailbox_cache, mb);
	return ERR_PTR(ret);
}

static void mailbox_release(struct kref *refs)
{
	struct mailbox *mb = container_of(refs, struct mailbox, refs);

	mbox_namespace_forget_id(mb);
	/* Destroying has said so already; an attempt to create is no event. */
	if (mb->published && !mb->dead)
		trace_mbox_destroy(mb, false);

	mbox_drop_all(mb);
	if (mb->ring)
		mbox_ring_free(mb->ring, mb->user);
	mbox_uncharge_mailbox(mb->user);
	mbox_user_put(mb->user);
	put_user_ns(mb->user_ns);
	kfree(mb->watch);
	kfree(mb->name);
	kmem_cache_free(mailbox_cache, mb);
}

/**
 * mbox_mailbox_put() - give a reference back
 * @mb: the mailbox
 */
void mbox_mailbox_put(struct mailbox *mb)
{
	kref_put(&mb->refs, mailbox_release);
}

static bool has_override(struct mailbox *mb)
{
	return ns_capable(mb->user_ns, CAP_IPC_OWNER);
}

/* The permission bits that are meant for the caller. */
static unsigned int class_bits(struct mailbox *mb)
{
	if (uid_eq(current_fsuid(), mb->uid))
		return mb->perm >> 6;
	if (in_group_p(mb->gid))
		return mb->perm >> 3;
	return mb->perm;
}

/**
 * mbox_mailbox_may() - whether the caller may open a mailbox
 * @mb: the mailbox
 * @rights: MBOX_MAY_RECV, MBOX_MAY_SEND
 *
 * The class of bits is chosen as for files: the first of owner, group and
 * others that fits decides, even if a later one would allow more.
 */
bool mbox_mailbox_may(struct mailbox *mb, unsigned int rights)
{
	return !(rights & ~class_bits(mb)) || has_override(mb);
}

/**
 * mbox_mailbox_visible() - whether a walk shows a mailbox to the caller
 * @mb: the mailbox
 */
bool mbox_mailbox_visible(struct mailbox *mb)
{
	return uid_eq(current_fsuid(), mb->uid) ||
	       class_bits(mb) & (MBOX_MAY_RECV | MBOX_MAY_SEND) ||
	       ns_capable_noaudit(mb->user_ns, CAP_IPC_OWNER);
}

/**
 * mbox_mailbox_owned() - whether the caller has the owner's powers
 * @mb: the mailbox; a direct link is owned by both its processes, and nobody
 *	else gets as far as to ask
 */
bool mbox_mailbox_owned(struct mailbox *mb)
{
	return mb->direct || uid_eq(current_fsuid(), mb->uid) ||
	       has_override(mb);
}

/* Nobody who waits on one side will get what it waits for. */
static void end_side(struct mailbox *mb, bool send, int result,
		     struct mbox_after *after)
{
	/* What is left in a ring is there for receivers to find. */
	if (mb->ring)
		mbox_ring_end(mb, send, result == -EPIPE && !send ? 0 : result,
			      after);
	else if (send)
		mbox_end_senders(mb, result, after);
	else
		mbox_end_receivers(mb, result, after);
}

/**
 * mbox_mailbox_attach() - count a handle
 * @mb: the mailbox
 * @rights: what the handle may do
 * @reader: the handle's; NULL where there is none (a direct link)
 *
 * Return: 0, or -EIDRM.
 */
int mbox_mailbox_attach(struct mailbox *mb, unsigned int rights,
			struct mbox_reader *reader)
{
	int ret = 0;

	spin_lock(&mb->lock);
	if (mb->dead) {
		ret = -EIDRM;
		goto out;
	}
	if (rights & MBOX_MAY_RECV) {
		mb->recv_handles++;
		if (mb->flags & MBOX_BROADCAST)
			mbox_broadcast_join(mb, reader);
	}
	if (rights & MBOX_MAY_SEND)
		mb->send_handles++;
	if (mb->ring)
		mbox_ring_publish(mb);
	kref_get(&mb->refs);
	trace_mbox_attach(mb, rights);
out:
	spin_unlock(&mb->lock);
	return ret;
}

/**
 * mbox_mailbox_detach() - a handle is closed
 * @mb: the mailbox; may be gone afterwards
 * @rights: what the handle could do
 * @reader: the handle's; NULL where there is none (a direct link)
 */
void mbox_mailbox_detach(struct mailbox *mb, unsigned int rights,
			 struct mbox_reader *reader)
{
	bool reads = rights & MBOX_MAY_RECV && mb->flags & MBOX_BROADCAST;
	struct mbox_after after;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	if (reads)
		mbox_broadcast_leave(mb, reader);
	if (rights & MBOX_MAY_RECV && !--mb->recv_handles &&
	    mb->flags & MBOX_HANGUP)
		end_side(mb, true, -EPIPE, &after);
	if (rights & MBOX_MAY_SEND && !--mb->send_handles &&
	    mb->flags & MBOX_HANGUP)
		end_side(mb, false, -EPIPE, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	if (reads)
		mbox_broadcast_trim(mb);
	mbox_mailbox_put(mb);
}

/**
 * mbox_mailbox_set_capacity() - change the capacity
 * @mb: the mailbox
 * @capacity: the new one
 *
 * Return: 0, or -EOPNOTSUPP, -EINVAL, -EPERM, -EIDRM.
 */
int mbox_mailbox_set_capacity(struct mailbox *mb, u32 capacity)
{
	struct mbox_after after;
	int ret = 0;

	if (mb->ring)
		return -EOPNOTSUPP;
	if (!capacity && mb->flags & MBOX_BROADCAST)
		return -EINVAL;
	if (!mbox_mailbox_owned(mb))
		return -EPERM;

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	if (mb->dead) {
		ret = -EIDRM;
	} else {
		mb->capacity = capacity;
		mbox_admit_senders(mb, &after);
		/* Without capacity the messages of waiting senders are seen. */
		if (!capacity)
			mbox_wake_peekers(mb, &after);
		/* And receivers that wait are what lets others send. */
		if (!capacity && !list_empty(&mb->receivers))
			mbox_report(mb, MBOX_POLL_OUT, &after);
		/* Room for many: tell all who poll for it. */
		after.everyone = true;
	}
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);
	return ret;
}

/**
 * mbox_mailbox_destroy() - end a mailbox for everybody
 * @mb: the mailbox
 *
 * Return: 0, or -EPERM, -EIDRM.
 */
int mbox_mailbox_destroy(struct mailbox *mb)
{
	struct mbox_after after;

	if (!mbox_mailbox_owned(mb))
		return -EPERM;

	/* First, so that whoever still finds the name finds it alive. */
	mbox_namespace_forget(mb);

	mbox_after_init(&after);
	spin_lock(&mb->lock);
	if (mb->dead) {
		spin_unlock(&mb->lock);
		return -EIDRM;
	}
	/* Pairs with the READ_ONCE() of calls that look before they work. */
	WRITE_ONCE(mb->dead, true);
	trace_mbox_destroy(mb, true);
	end_side(mb, true, -EIDRM, &after);
	end_side(mb, false, -EIDRM, &after);
	mbox_notice_destroyed(mb, &after);
	spin_unlock(&mb->lock);
	mbox_after_run(mb, &after);

	mbox_drop_all(mb);
	return 0;
}

/**
 * mbox_mailbox_stat() - report the state of a mailbox
 * @mb: the mailbox
 * @st: out
 *
 * Return: 0, or -EIDRM.
 */
int mbox_mailbox_stat(struct mailbox *mb, struct mbox_stat *st)
{
	int ret = -EIDRM;

	memset(st, 0, sizeof(*st));
	st->id = mb->id;
	st->attr.mode = mb->ring ? MBOX_RING : MBOX_QUEUE;
	st->attr.flags = mb->flags;
	st->attr.msg_max = mb->msg_max;
	st->attr.perm = mb->perm;
	st->uid = from_kuid_munged(current_user_ns(), mb->uid);
	st->gid = from_kgid_munged(current_user_ns(), mb->gid);

	spin_lock(&mb->lock);
	if (!mb->dead)
		ret = 0;
	st->attr.capacity = mb->capacity;
	st->queued = mb->stored.count;
	st->bytes = mb->stored.bytes;
	st->waiting_senders = mb->waiting_senders;
	st->waiting_receivers = mb->waiting_receivers;
	st->sent = mb->sent;
	st->received = mb->received;
	st->dropped = mb->dropped;
	st->send_handles = mb->send_handles;
	st->recv_handles = mb->recv_handles;
	spin_unlock(&mb->lock);
	if (mb->ring)
		mbox_ring_stat(mb, st);
	return ret;
}

int __init mbox_mailbox_init(void)
{
	mailbox_cache = kmem_cache_create("mbox_mailbox",
					  sizeof(struct mailbox), 0,
					  SLAB_ACCOUNT, NULL);
	return mailbox_cache ? 0 : -ENOMEM;
}

void mbox_mailbox_exit(void)
{
	kmem_cache_destroy(mailbox_cache);
}
