// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mailbox: attributes, lifetime, destruction.
 *
 * Lifetime
 *
 * A mailbox and its inode are one object (fs.c). Its name, if it has one, each file and
 * each lookup in progress holds a reference to the inode; so do mounts of a single
 * mailbox. The last reference frees the mailbox. Destroying it removes name and id; the
 * mailbox stays until the last reference is dropped, and every call on it fails. Others
 * than its user can hold such a reference (O_PATH, a mount), so the user is charged only
 * until the last handle is closed, and the memory of a ring is freed then.
 *
 * A message belongs to the mailbox, or to the one call that holds it. A call that waits is
 * on the stack of its task, or in its transaction, and is linked into a list or tree of
 * the mailbox. It is unlinked under the lock before its memory is freed.
 *
 * Locks
 *
 *   inode_lock		of the directory: names
 *   namespace_lock	ids
 *   creations_lock	ioctls that create a mailbox
 *   mailbox.lock	everything in a mailbox that changes
 *   mbx_outlet.lock	the last sender of a handle, its mbx_want
 *   users_lock		the table of users, their stakes
 *   mbx_user.lock	calls and handles that wait for room under a limit
 *   ring.lock		processes that have mapped a ring
 *   inherit_lock	boosted priorities (an rt_mutex)
 *   links_lock		direct links (an rt_mutex)
 *
 * No locks nest, with these exceptions. namespace_lock, creations_lock and users_lock
 * nest inside inode_lock, inode.i_lock nests inside namespace_lock, and the d_lock of a
 * dentry inside both. mailbox.lock nests inside inode_lock where rename(2) replaces the
 * name of a mailbox, and frees that if it is small: Linux 6.1 drops its last reference
 * before the lock. mailbox.lock nests inside links_lock and inside inherit_lock. users_lock,
 * mbx_user.lock and mailbox.lock nest inside mbx_outlet.lock. ring.lock, mailbox.lock,
 * users_lock and mbx_user.lock nest inside the kernel's mmap_lock. Under mailbox.lock tasks
 * may be woken, a timer started, and a signal sent that a handler catches (notify.c); no other
 * function that takes a lock is called. After the lock is dropped, mbx_flush_deferred()
 * frees messages, tells pollers and sends other signals (struct mbx_deferred). No user
 * memory is accessed under any of these locks.
 */
#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "ack.h"
#include "age.h"
#include "compat.h"
#include "dead_letter.h"
#include "exchange.h"
#include "expire.h"
#include "fds.h"
#include "fs.h"
#include "history.h"
#include "lease.h"
#include "limits.h"
#include "mailbox.h"
#include "namespace.h"
#include "notify.h"
#include "ring.h"
#include "trace.h"

/* The largest msg_max that even a privileged process can choose. */
#define MSG_MAX_HARD ((1U << 24) - 1)

static unsigned int msg_max_limit = 1U << 20;
module_param(msg_max_limit, uint, 0644);
MODULE_PARM_DESC(msg_max_limit, "largest msg_max of a new mailbox (1 MiB)");

/**
 * mbx_msg_max_limit() - the largest msg_max of a new mailbox of an ordinary user
 */
unsigned int mbx_msg_max_limit(void)
{
	return READ_ONCE(msg_max_limit);
}

/**
 * mbx_attr_check() - check attributes from user space
 * @attr: the attributes
 *
 * Return: 0, or -EINVAL.
 */
int mbx_attr_check(const struct mbox_attr *attr)
{
	/* Each says what a send call does when there is no room. */
	const u32 overflow = MBOX_DROP_OLDEST | MBOX_DROP_NEWEST | MBOX_FAIR;
	u32 flags;

	switch (attr->mode) {
	case MBOX_QUEUE:
		flags = MBX_QUEUE_FLAGS;
		break;
	case MBOX_RING:
		flags = MBX_RING_FLAGS;
		break;
	default:
		return -EINVAL;
	}
	if (attr->flags & ~flags || hweight32(attr->flags & overflow) > 1)
		return -EINVAL;
	if (attr->flags & MBOX_ALLOW_WAIT &&
	    (!(attr->flags & MBOX_BROADCAST) || !(attr->flags & MBOX_DROP_OLDEST)))
		return -EINVAL;
	if (attr->flags & MBOX_BROADCAST &&
	    (!attr->capacity ||
	     attr->flags & (MBOX_FAIR | MBOX_INHERIT)))
		return -EINVAL;
	if (attr->perm & ~0777)
		return -EINVAL;
	if (!attr->msg_max || attr->msg_max > MSG_MAX_HARD)
		return -EINVAL;
	if (attr->msg_max > mbx_msg_max_limit() && !mbx_unlimited())
		return -EINVAL;
	return attr->mode == MBOX_RING ? mbx_ring_attr_check(attr) : 0;
}

const struct mbox_options mbx_no_options = {
	.size = sizeof(mbx_no_options),
	.dead_letter = -1,
};

/**
 * mbx_options_check() - check options from user space
 * @options: the options; if there are none, they become mbx_no_options
 * @attr: the attributes, already checked
 *
 * Return: 0, or -EINVAL, -EBADF, -ELOOP, -EIDRM.
 */
int mbx_options_check(struct mbox_options *options, const struct mbox_attr *attr)
{
	if (!options->size) {
		if (memchr_inv(options, 0, sizeof(*options)))
			return -EINVAL;
		*options = mbx_no_options;
		return 0;
	}
	/* Of a newer program: mbx_ioctl() has checked that what it adds is zero. */
	if (options->size < sizeof(*options))
		return -EINVAL;
	if (options->history && (!(attr->flags & MBOX_BROADCAST) ||
				 options->history > attr->capacity))
		return -EINVAL;
	if (options->max_bytes && attr->mode == MBOX_RING)
		return -EINVAL;
	/* No message could ever be sent. */
	if (options->max_bytes && attr->flags & MBOX_FIXED &&
	    options->max_bytes < attr->msg_max)
		return -EINVAL;
	return mbx_dead_letter_check(attr, options);
}

/**
 * mbx_mailbox_new() - make a mailbox that cannot be looked up yet
 * @attr: its attributes, already checked
 * @options: its options, already checked
 * @ring: the memory of a ring, charged to the current process's user; NULL of a queue. The
 *	mailbox takes it over, and sets it to NULL
 * @sb: the instance of the file system that it is in
 *
 * The caller is charged for the mailbox, and sets up the rest of its inode.
 *
 * Context: Process context, may sleep.
 * Return: the mailbox with a reference, or -ENOMEM, -EDQUOT, -EPERM, and the errors of
 * mbx_options_check().
 */
struct mailbox *mbx_mailbox_new(const struct mbox_attr *attr,
				const struct mbox_options *options,
				struct mbx_ring **ring, struct super_block *sb)
{
	struct mbx_history *history = NULL;
	struct mbx_user *user;
	struct inode *inode;
	struct mailbox *mb;
	int ret;

	/* Any receiver of this mailbox can be boosted to real-time priority. */
	if (attr->flags & MBOX_INHERIT && !capable(CAP_SYS_NICE))
		return ERR_PTR(-EPERM);
	user = mbx_user_get();
	if (!user)
		return ERR_PTR(-ENOMEM);
	ret = mbx_charge_mailbox(user);
	if (ret)
		goto err_put_user;
	if (options->history) {
		history = mbx_history_new(options->history);
		if (!history) {
			ret = -ENOMEM;
			goto err_uncharge;
		}
	}
	inode = new_inode(sb);
	if (!inode) {
		ret = -ENOMEM;
		goto err_free_history;
	}
	mb = mbx_mailbox_of(inode);

	mb->user = user;
	mb->ring = *ring;
	*ring = NULL;
	spin_lock_init(&mb->lock);
	mb->capacity = attr->capacity;
	mb->limit = attr->capacity;
	mb->msg_max = attr->msg_max;
	mb->flags = attr->flags;
	mbx_store_init(mb);
	mb->stored.leaders = RB_ROOT_CACHED;
	mb->blocked_sends.leaders = RB_ROOT_CACHED;
	mb->blocked_sends.blocked_sends = true;
	mb->receivers = RB_ROOT_CACHED;
	INIT_HLIST_HEAD(&mb->accepted);
	INIT_LIST_HEAD(&mb->peekers);
	INIT_LIST_HEAD(&mb->waking);
	INIT_LIST_HEAD(&mb->collectors);
	/*
	 * Random, so that a token of another mailbox is not valid here, and far from the
	 * end of the numbers.
	 */
	mb->arrivals = get_random_u64() >> 1;
	INIT_HLIST_HEAD(&mb->lessees);
	INIT_LIST_HEAD(&mb->pollers);
	mb->history = history;
	mb->len_max = attr->msg_max;
	mb->max_bytes = options->max_bytes;
	if (mb->max_bytes) {
		mb->len_max = min_t(u64, mb->len_max, mb->max_bytes);
		mb->store_flags |= MBX_STORE_BYTES;
	}
	ret = mbx_dead_letter_attach(mb, attr, options);
	if (ret) {
		/* This releases all of it. */
		iput(inode);
		return ERR_PTR(ret);
	}
	return mb;

err_free_history:
	kfree(history);
err_uncharge:
	mbx_uncharge_mailbox(user);
err_put_user:
	mbx_user_put(user);
	return ERR_PTR(ret);
}

/* Give back the memory of a ring, unless that is done. */
static void give_back(struct mailbox *mb)
{
	if (mb->given_back)
		return;
	mb->given_back = true;
	if (mb->ring)
		mbx_ring_put(mb->ring, mb->user);
}

/*
 * A handle is closed, or the instance has done what it had to do: if that was the last of a
 * destroyed mailbox, its user is not charged for it any more.
 */
static void uncharge_dead(struct mailbox *mb)
{
	bool done;

	spin_lock(&mb->lock);
	done = mb->dead && !mb->handles && !mb->late_put && !mb->late_name && !mb->uncharged;
	mb->uncharged |= done;
	spin_unlock(&mb->lock);
	if (done)
		mbx_uncharge_mailbox(mb->user);
}

/**
 * mbx_mailbox_release() - release all that a mailbox holds
 * @mb: the mailbox, without references
 */
void mbx_mailbox_release(struct mailbox *mb)
{
	/*
	 * mbx_mailbox_destroy() has its own event. A mailbox that was never
	 * published has none.
	 */
	if (mb->published && !mb->dead)
		trace_mbox_destroy(mb, false);

	/* First: it could put back messages. */
	mbx_leases_release(mb);
	mbx_lifespans_end(mb);
	mbx_drop_all(mb);
	mbx_dead_letter_detach(mb);
	give_back(mb);
	if (!mb->uncharged)
		mbx_uncharge_mailbox(mb->user);
	if (mb->ring)
		mbx_ring_free(mb->ring);
	mbx_message_free_spares(mb);
	mbx_user_put(mb->user);
	if (mb->direct) {
		put_pid(mb->receiver_pid);
		put_pid(mb->sender_pid);
	}
	kfree(mb->stored.index);
	kfree(mb->blocked_sends.index);
	kfree(mb->watch);
	kfree(mb->lifespans);
	kfree(mb->history);
	if (mb->store_flags & MBX_STORE_CHOICES)
		kfree(mb->choices);
}

static bool has_override(struct mailbox *mb)
{
	return ns_capable(mbx_mailbox_user_ns(mb), CAP_IPC_OWNER);
}

/**
 * mbx_mailbox_visible() - whether a mailbox is listed for the caller
 * @mb: the mailbox
 */
bool mbx_mailbox_visible(struct mailbox *mb)
{
	return uid_eq(current_fsuid(), mb->inode.i_uid) ||
	       ns_capable_noaudit(mbx_mailbox_user_ns(mb), CAP_IPC_OWNER) ||
	       !mbx_fs_may(mb, MBX_MAY_RECV) || !mbx_fs_may(mb, MBX_MAY_SEND);
}

/**
 * mbx_mailbox_owned() - whether the caller may act as the owner
 * @mb: the mailbox; a direct link is owned by both its processes, and only they
 *	get here
 */
bool mbx_mailbox_owned(struct mailbox *mb)
{
	return mb->direct || uid_eq(current_fsuid(), mb->inode.i_uid) ||
	       has_override(mb);
}

/* Fail the calls that wait on one side: what they wait for will not happen. */
static void end_side(struct mailbox *mb, bool send, struct mbx_deferred *deferred)
{
	if (mb->ring)
		mbx_ring_shutdown(mb, send ? MBOX_RING_SENDERS : MBOX_RING_RECEIVERS,
				  deferred);
	else
		mbx_shutdown_waiters(mb, send ? MBX_MAY_SEND : MBX_MAY_RECV,
				     deferred);
}

/**
 * mbx_mailbox_attach() - count a handle
 * @mb: the mailbox
 * @rights: what the handle may do
 * @reader: the reader of the handle; NULL: none (a direct link)
 *
 * Return: 0, or -EIDRM.
 */
int mbx_mailbox_attach(struct mailbox *mb, unsigned int rights,
		       struct mbx_reader *reader)
{
	int ret = 0;

	spin_lock(&mb->lock);
	if (mb->dead) {
		ret = -EIDRM;
		goto out;
	}
	if (rights & MBX_MAY_RECV) {
		mb->recv_handles++;
		if (mb->flags & MBOX_BROADCAST)
			mbx_reader_join(mb, reader);
	}
	if (rights & MBX_MAY_SEND)
		mb->send_handles++;
	if (mb->ring)
		mbx_ring_publish(mb);
	mb->handles++;
	trace_mbox_attach(mb, rights);
out:
	spin_unlock(&mb->lock);
	return ret;
}

/**
 * mbx_mailbox_arrived() - a process gets a handle that was counted
 * @mb: the mailbox
 * @rights: what the handle may do
 *
 * MBOX_HANGUP takes effect only on a side that has had a handle. If an open fails
 * after mbx_mailbox_attach(), its side has had none.
 */
void mbx_mailbox_arrived(struct mailbox *mb, unsigned int rights)
{
	struct mbx_deferred deferred;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (rights & MBX_MAY_RECV) {
		mb->had_receivers = true;
		/* The owner may have expelled it already. */
		if (unlikely(mb->flags & MBOX_BROADCAST && mb->flags & MBOX_HANGUP) &&
		    !mb->dead && mbx_receivers_gone(mb))
			end_side(mb, true, &deferred);
	}
	if (rights & MBX_MAY_SEND)
		mb->had_senders = true;
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
}

/* A mailbox is dead: give up what is in it. */
static void clear(struct mailbox *mb)
{
	mbx_drop_all(mb);
	mbx_leases_drop(mb);
	mbx_dead_letter_detach(mb);
}

/* A handle is closed, and all messages that the close dropped are freed. */
static void leave(struct mailbox *mb)
{
	bool last, ends, done;

	spin_lock(&mb->lock);
	last = !--mb->handles;
	ends = last && mb->flags & MBOX_TEMPORARY && !mb->dead;
	/* No other handle can come, and a mapping is one. */
	done = last && (ends || mb->dead);
	if (ends) {
		/* Pairs with the READ_ONCE() of calls that check it without the lock. */
		WRITE_ONCE(mb->dead, true);
		trace_mbox_destroy(mb, false);
	}
	spin_unlock(&mb->lock);
	if (ends) {
		mbx_namespace_forget(mb);
		clear(mb);
	} else if (last) {
		mbx_fds_give_up(mb);
	}
	if (done)
		give_back(mb);
	/*
	 * After all else, as in mbx_mailbox_destroy(). The name takes memory as
	 * long as it stays.
	 */
	if (ends)
		mbx_fs_forget_soon(mb);
	if (done)
		uncharge_dead(mb);
}

/**
 * mbx_mailbox_keep_late() - set mailbox.late_put, if it can take long to free a mailbox
 * @mb: a mailbox that has a name
 *
 * What it holds now does not matter: whoever has a handle can still send.
 *
 * Return: whether it was set. The user stays charged until mbx_mailbox_put_late().
 */
bool mbx_mailbox_keep_late(struct mailbox *mb)
{
	bool keeps;

	spin_lock(&mb->lock);
	/* What is destroyed has nothing left. */
	keeps = !mb->dead;
	mb->late_put = keeps;
	spin_unlock(&mb->lock);
	return keeps;
}

/**
 * mbx_mailbox_put_late() - drop the reference of mbx_mailbox_keep_late()
 * @mb: the mailbox
 */
void mbx_mailbox_put_late(struct mailbox *mb)
{
	spin_lock(&mb->lock);
	mb->late_put = false;
	spin_unlock(&mb->lock);
	uncharge_dead(mb);
	mbx_mailbox_put(mb);
}

/**
 * mbx_mailbox_forgotten() - drop the reference of mbx_late_forget()
 * @mb: the mailbox, which has no name any more
 */
void mbx_mailbox_forgotten(struct mailbox *mb)
{
	spin_lock(&mb->lock);
	mb->late_name = false;
	spin_unlock(&mb->lock);
	uncharge_dead(mb);
	mbx_mailbox_put(mb);
}

/* A handle can receive nothing more. */
static void receiver_gone(struct mailbox *mb, struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	mb->recv_handles--;
	if (mb->flags & MBOX_HANGUP && mbx_receivers_gone(mb))
		end_side(mb, true, deferred);
}

/**
 * mbx_mailbox_detach() - a handle is closed
 * @mb: the mailbox
 * @rights: what the handle could do
 * @reader: the reader of the handle; NULL: none (a direct link)
 */
void mbx_mailbox_detach(struct mailbox *mb, unsigned int rights,
			struct mbx_reader *reader)
{
	bool reads = rights & MBX_MAY_RECV && mb->flags & MBOX_BROADCAST;
	struct mbx_deferred deferred;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	/* It does not count any more. */
	if (reads && mbx_reader_expelled(reader))
		rights &= ~MBX_MAY_RECV;
	if (reads)
		mbx_reader_leave(mb, reader);
	if (rights & MBX_MAY_RECV)
		receiver_gone(mb, &deferred);
	if (rights & MBX_MAY_SEND) {
		mb->send_handles--;
		if (mb->flags & MBOX_HANGUP && mbx_senders_gone(mb))
			end_side(mb, false, &deferred);
	}
	if (reads && !mb->dead)
		mbx_drop_read(mb, &deferred);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (mb->ring)
		mbx_ring_shutdown_run(mb);
	leave(mb);
}

/**
 * mbx_mailbox_set_capacity() - change the capacity
 * @mb: the mailbox
 * @capacity: the new one
 * @max_bytes: the new limit of bytes; 0: it stays as it is
 *
 * Return: 0, or -EOPNOTSUPP, -EINVAL, -EPERM, -EIDRM.
 */
int mbx_mailbox_set_capacity(struct mailbox *mb, u32 capacity, u64 max_bytes)
{
	struct mbx_deferred deferred;
	int ret = 0;

	if (mb->ring)
		return -EOPNOTSUPP;
	/* What these do with a message relies on that it can have room. */
	if (max_bytes && (!READ_ONCE(mb->max_bytes) ||
			  mb->flags & (MBOX_FIXED | MBOX_DROP_OLDEST |
				       MBOX_DROP_NEWEST | MBOX_FAIR | MBOX_BROADCAST)))
		return -EOPNOTSUPP;
	if (!capacity && mb->flags & MBOX_BROADCAST)
		return -EINVAL;
	if (!mbx_mailbox_owned(mb))
		return -EPERM;

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (mb->dead) {
		ret = -EIDRM;
	} else {
		mb->capacity = capacity;
		if (max_bytes) {
			/* Read without the lock, to fail before a message is made. */
			WRITE_ONCE(mb->max_bytes, max_bytes);
			WRITE_ONCE(mb->len_max, min_t(u64, mb->msg_max, max_bytes));
		}
		mbx_limit_update(mb);
		mbx_admit_senders(mb, &deferred);
		/* Without capacity, peeking shows the messages of blocked sends. */
		if (!capacity)
			mbx_wake_peekers(mb, &deferred);
		/* And a waiting receiver makes the mailbox writable. */
		if (mbx_passes_on(mb))
			mbx_queue_events(mb, MBX_POLL_OUT, &deferred);
		/* There may be room for many: wake all exclusive pollers. */
		deferred.everyone = true;
	}
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	return ret;
}

static struct mbx_reader *find_reader(const struct mailbox *mb, u64 number)
{
	struct mbx_reader *reader = mbx_reader_from(mb, number);

	return reader && reader->number == number ? reader : NULL;
}

/* Expel a reader, or only tell its state. Return 0, -ESRCH or -EIDRM. */
static int expel_one(struct mailbox *mb, u64 number, struct mbox_expel *expel,
		     struct mbx_deferred *deferred)
{
	struct mbx_reader *reader;
	u64 unread;

	lockdep_assert_held(&mb->lock);
	if (mb->dead)
		return -EIDRM;
	reader = find_reader(mb, number);
	unread = reader ? mbx_reader_unread(mb, reader) : 0;
	if (!reader || unread < expel->unread)
		return -ESRCH;
	expel->reader = number;
	expel->unread = unread;
	if (expel->flags & MBOX_EXPEL_LOOK)
		return 0;
	trace_mbox_expel(mb, number, unread);
	mbx_reader_expel(mb, reader);
	mb->dropped += unread;
	receiver_gone(mb, deferred);
	/* Calls with this handle find that it is expelled; others go on waiting. */
	mbx_wake_peekers(mb, deferred);
	mbx_queue_events(mb, MBX_POLL_IN | EPOLLERR, deferred);
	deferred->everyone = true;
	/* Before senders go on, whose messages must not notify it. */
	deferred->reg = mbx_registration_expelled(mb, reader);
	mbx_drop_read(mb, deferred);
	return 0;
}

/**
 * mbx_mailbox_expel() - end the receiving of a handle that others wait for
 * @mb: the mailbox
 * @expel: which one; set to what it was on success
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EOPNOTSUPP, -EPERM, -ESRCH, -EIDRM, -EINTR, -ERESTARTSYS.
 */
int mbx_mailbox_expel(struct mailbox *mb, struct mbox_expel *expel)
{
	bool slowest = !expel->reader, again;
	struct mbx_deferred deferred;
	u64 number = expel->reader, most = 0;
	int ret;

	if (!(mb->flags & MBOX_BROADCAST))
		return -EOPNOTSUPP;
	if (!mbx_mailbox_owned(mb))
		return -EPERM;
	/* The slowest of readers that have received all is not slow. */
	if (slowest)
		expel->unread = max_t(u64, expel->unread, 1);
	do {
		if (slowest)
			number = mbx_reader_slowest(mb, &most);
		if (fatal_signal_pending(current))
			return -EINTR;
		mbx_deferred_init(&deferred);
		spin_lock(&mb->lock);
		ret = expel_one(mb, number, expel, &deferred);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		/* Meanwhile it may have been closed, or have gone on. Others may be as slow. */
		again = slowest && ret == -ESRCH && number && most >= expel->unread;
		if (again && signal_pending(current))
			return -ERESTARTSYS;
	} while (again);
	return ret;
}

/* Whether a reader may have senders wait for it. */
static bool may_wait(const struct mailbox *mb)
{
	return !mbx_drops(mb) || mb->flags & MBOX_ALLOW_WAIT;
}

/**
 * mbx_mailbox_set_reader() - a reader chooses what senders do when it falls behind
 * @mb: the mailbox
 * @reader: the reader of a handle with the right to receive
 * @policy: MBOX_READER_DEFAULT and so on
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EOPNOTSUPP, -EPERM, -ENOMEM, -EIDRM, -ENOTCONN.
 */
int mbx_mailbox_set_reader(struct mailbox *mb, struct mbx_reader *reader, u32 policy)
{
	struct mbx_deferred deferred;
	bool chooses;
	int ret = 0;

	if (!(mb->flags & MBOX_BROADCAST))
		return -EOPNOTSUPP;
	if (policy == MBOX_READER_WAIT && !may_wait(mb))
		return -EPERM;
	chooses = policy == (mb->flags & MBOX_DROP_OLDEST ? MBOX_READER_WAIT : MBOX_READER_DROP);
	/* How much is free without what is held would be a sum over all messages. */
	if (chooses && mb->max_bytes)
		return -EOPNOTSUPP;
	if (chooses) {
		ret = mbx_choices_make(mb);
		if (ret)
			return ret;
	}
	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (mb->dead) {
		ret = -EIDRM;
	} else if (mbx_reader_expelled(reader)) {
		ret = -ENOTCONN;
	} else {
		mbx_reader_choose(mb, reader, chooses);
		/* If nothing holds the first message any more, senders go on. */
		mbx_drop_read(mb, &deferred);
	}
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	return ret;
}

static bool has_expelled(struct mailbox *mb, const struct mbx_reader *reader)
{
	bool expelled;

	spin_lock(&mb->lock);
	expelled = mbx_reader_expelled(reader);
	spin_unlock(&mb->lock);
	return expelled;
}

/**
 * mbx_mailbox_notify() - mbx_notify(), unless the handle can receive nothing more
 * @mb: the mailbox
 * @reader: the reader of the handle
 * @arg: the argument of the ioctl
 *
 * Context: Process context, may sleep.
 * Return: as mbx_notify(), or -ENOTCONN.
 */
int mbx_mailbox_notify(struct mailbox *mb, const struct mbx_reader *reader,
		       const struct mbox_notify *arg)
{
	struct mbx_registration *reg = NULL;
	int ret;

	if (!(mb->flags & MBOX_BROADCAST) || arg->kind == MBOX_NOTIFY_OFF)
		return mbx_notify(mb, reader, arg);
	if (has_expelled(mb, reader))
		return -ENOTCONN;
	ret = mbx_notify(mb, reader, arg);
	/* If it was expelled meanwhile: as if that had been after the registration. */
	spin_lock(&mb->lock);
	if (mbx_reader_expelled(reader))
		reg = mbx_registration_expelled(mb, reader);
	spin_unlock(&mb->lock);
	if (reg)
		mbx_registration_run(reg);
	return ret;
}

/**
 * mbx_mailbox_destroy() - destroy a mailbox
 * @mb: the mailbox
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EPERM, -EIDRM.
 */
int mbx_mailbox_destroy(struct mailbox *mb)
{
	struct mbx_deferred deferred;

	if (!mbx_mailbox_owned(mb))
		return -EPERM;

	mbx_namespace_forget(mb);

	mbx_deferred_init(&deferred);
	spin_lock(&mb->lock);
	if (mb->dead) {
		spin_unlock(&mb->lock);
		return -EIDRM;
	}
	/* Pairs with the READ_ONCE() of calls that check it without the lock. */
	WRITE_ONCE(mb->dead, true);
	trace_mbox_destroy(mb, true);
	end_side(mb, true, &deferred);
	end_side(mb, false, &deferred);
	deferred.reg = mbx_registration_destroyed(mb);
	spin_unlock(&mb->lock);
	mbx_flush_deferred(mb, &deferred);
	if (mb->ring)
		mbx_ring_shutdown_run(mb);
	clear(mb);
	/*
	 * Last: this waits for the lock of the directory, which another process can hold for as
	 * long as it likes, or until the caller is killed. Meanwhile, every way to open the
	 * mailbox finds that it is dead.
	 */
	mbx_fs_forget(mb);
	return 0;
}

/*
 * The number that a process has for the caller: of the initial pid namespace, or else of
 * another one, while the process has one there.
 */
static u32 process_here(u32 number)
{
	struct pid *pid;
	u32 ret;

	if (task_active_pid_ns(current) == &init_pid_ns)
		return number;
	rcu_read_lock();
	pid = find_pid_ns(number, &init_pid_ns);
	/* The number may have been used again, for a thread. */
	ret = pid && pid_task(pid, PIDTYPE_TGID) ? pid_vnr(pid) : 0;
	rcu_read_unlock();
	return ret;
}

/**
 * mbx_mailbox_stat() - get the state of a mailbox
 * @mb: the mailbox
 * @st: out
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EIDRM.
 */
int mbx_mailbox_stat(struct mailbox *mb, struct mbox_stat *st)
{
	int ret = -EIDRM;

	memset(st, 0, sizeof(*st));
	st->id = mb->id;
	st->attr.mode = mb->ring ? MBOX_RING : MBOX_QUEUE;
	st->attr.flags = mb->flags & ~MBX_FLAG_EXT;
	st->attr.msg_max = mb->msg_max;
	st->attr.perm = mb->inode.i_mode & 0777;
	st->uid = from_kuid_munged(current_user_ns(), mb->inode.i_uid);
	st->gid = from_kgid_munged(current_user_ns(), mb->inode.i_gid);
	mbx_expire(mb);
	st->oldest_ns = mbx_oldest_age(mb);

	spin_lock(&mb->lock);
	if (!mb->dead)
		ret = 0;
	st->attr.capacity = mb->capacity;
	st->queued = mb->stored.count;
	st->bytes = mb->stored.bytes;
	st->waiting_senders = mb->waiting_senders;
	st->waiting_receivers = mb->waiting_receivers;
	st->sent = mb->sent;
	st->received = mbx_received(mb);
	st->dropped = mb->dropped;
	st->send_handles = mb->send_handles;
	st->recv_handles = mb->recv_handles;
	st->highest = mb->stored.highest;
	st->leased = mb->held;
	st->redelivered = mb->flags & MBOX_BROADCAST ? 0 : mb->redelivered;
	st->expired = mb->expired;
	st->dead_letters = mb->dead_letters;
	memcpy(st->waited, mb->waited, sizeof(st->waited));
	st->last_sender = process_here(mb->last_sender);
	st->last_receiver = process_here(READ_ONCE(mb->last_receiver));
	spin_unlock(&mb->lock);
	/* It was looked for first, and may have been received since then. */
	if (!st->queued)
		st->oldest_ns = 0;
	/* Without a handle, it can be destroyed at any time, and then closed. */
	if (mb->ring && mbx_ring_get(mb->ring)) {
		mbx_ring_stat(mb, st);
		mbx_ring_put(mb->ring, mb->user);
	}
	return ret;
}

/**
 * mbx_mailbox_getattr() - show the state of a mailbox as that of a file
 * @mb: the mailbox
 *
 * Return: the size. The times of the last send and receive are in the inode.
 */
u64 mbx_mailbox_getattr(struct mailbox *mb)
{
	u64 bytes;

	spin_lock(&mb->lock);
	bytes = mb->stored.bytes;
	mbx_note_last_sent(mb);
	mbx_note_last_received(mb);
	spin_unlock(&mb->lock);
	return bytes;
}
