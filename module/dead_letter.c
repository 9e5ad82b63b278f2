// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dead letters: messages that came back too often go to another mailbox.
 *
 * A mailbox can name another one when it is made, and then holds a reference to it, and
 * counts as one of its sending handles. It does not count in mailbox.handles: files in
 * dead letters are given up with the last handle of a process, or a name could keep what
 * keeps the name.
 *
 * A mailbox is made after the one that it names, so a chain of them has an end. It is short
 * (MBX_CHAIN_MAX), because the last reference to the first one can free all of them, each
 * from the function that frees the one before.
 *
 * The locks of the two mailboxes do not nest. A message that is to be moved is released as
 * if it were to be freed (mbx_defer_release()), with MBX_MSG_LETTER. So calls that peek at
 * it are waited for, and mbx_flush_deferred() moves it without a lock.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "age.h"
#include "dead_letter.h"
#include "exchange.h"
#include "fds.h"
#include "fs.h"
#include "trace.h"
#include "transaction.h"

/* The most mailboxes in a row, each of which names the next one. */
#define MBX_CHAIN_MAX 8

/* ---- the mailbox that is named ------------------------------------------------- */

/* Whether a mailbox can have the dead letters of one with these attributes. */
static int check_target(const struct mailbox *target, const struct file *file,
			const struct mbox_attr *attr)
{
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	/* A MBOX_LEAF mailbox has no descriptors, and dead letters keep theirs. */
	if (target->ring || target->direct ||
	    target->flags & (MBOX_BROADCAST | MBOX_FIXED | MBOX_LEAF) ||
	    target->msg_max < attr->msg_max)
		return -EINVAL;
	/* A data race: it may change at any time. */
	if (!data_race(target->capacity))
		return -EINVAL;
	if (target->depth >= MBX_CHAIN_MAX - 1)
		return -ELOOP;
	return READ_ONCE(target->dead) ? -EIDRM : 0;
}

/* The file that options name, with a reference, or an error. */
static struct file *get_target(const struct mbox_attr *attr,
			       const struct mbox_options *options)
{
	struct file *file = fget(options->dead_letter);
	int ret = -EINVAL;

	if (!file)
		return ERR_PTR(-EBADF);
	if (mbx_is_fs_file(file_inode(file)))
		ret = check_target(mbx_mailbox_of(file_inode(file)), file, attr);
	if (!ret)
		return file;
	fput(file);
	return ERR_PTR(ret);
}

/**
 * mbx_dead_letter_check() - check the options for dead letters
 * @attr: the attributes of the mailbox, already checked
 * @options: the options
 *
 * Return: 0, or -EINVAL, -EBADF, -ELOOP, -EIDRM.
 */
int mbx_dead_letter_check(const struct mbox_attr *attr, const struct mbox_options *options)
{
	struct file *file;

	if (!options->max_deliveries && options->dead_letter == -1)
		return 0;
	/* They have no leases. */
	if (attr->mode == MBOX_RING || attr->flags & MBOX_BROADCAST)
		return -EINVAL;
	if (options->dead_letter == -1)
		return 0;
	/* Its handles travel because it holds nothing that could hold them. */
	if (attr->flags & MBOX_LEAF)
		return -EINVAL;
	file = get_target(attr, options);
	if (IS_ERR(file))
		return PTR_ERR(file);
	fput(file);
	return 0;
}

/**
 * mbx_dead_letter_attach() - give a new mailbox its options for dead letters
 * @mb: the mailbox
 * @attr: its attributes
 * @options: the options, already checked; the descriptor may be another one by now
 *
 * Context: Process context, may sleep.
 * Return: as mbx_dead_letter_check().
 */
int mbx_dead_letter_attach(struct mailbox *mb, const struct mbox_attr *attr,
			   const struct mbox_options *options)
{
	struct mailbox *target;
	struct file *file;
	int ret = 0;

	mb->max_deliveries = options->max_deliveries;
	if (options->dead_letter == -1)
		return 0;
	file = get_target(attr, options);
	if (IS_ERR(file))
		return PTR_ERR(file);
	target = mbx_mailbox_of(file_inode(file));
	/* The file system of @mb keeps that of its inodes, and no other. */
	if (target->inode.i_sb != mb->inode.i_sb)
		ret = -EINVAL;
	if (!ret) {
		spin_lock(&target->lock);
		if (target->dead) {
			ret = -EIDRM;
		} else {
			target->send_handles++;
			target->had_senders = true;
		}
		spin_unlock(&target->lock);
	}
	if (!ret) {
		ihold(&target->inode);
		mb->dead_letter = target;
		mb->depth = target->depth + 1;
		/* What the policy of the other mailbox needs is in the extension. */
		if (target->flags & MBX_STORE_FLAGS)
			mb->flags |= MBX_FLAG_EXT;
	}
	fput(file);
	return ret;
}

/**
 * mbx_dead_letter_detach() - a mailbox ends, and so does what it is to another one
 * @mb: the mailbox
 *
 * Context: Process context, may sleep.
 */
void mbx_dead_letter_detach(struct mailbox *mb)
{
	struct mbx_deferred deferred;
	struct mailbox *target;

	spin_lock(&mb->lock);
	target = mb->dead_letter;
	mb->dead_letter = NULL;
	spin_unlock(&mb->lock);
	if (!target)
		return;
	mbx_deferred_init(&deferred);
	spin_lock(&target->lock);
	target->send_handles--;
	if (target->flags & MBOX_HANGUP && mbx_senders_gone(target) && !target->dead)
		mbx_shutdown_waiters(target, MBX_MAY_RECV, &deferred);
	spin_unlock(&target->lock);
	mbx_flush_deferred(target, &deferred);
	iput(&target->inode);
}

/* ---- moving a message ------------------------------------------------------------ */

/* Take a message out of its mailbox. Return the other one, with a reference, or NULL. */
static struct mailbox *leave(struct mailbox *mb, struct mbx_message *msg)
{
	struct mbx_fds *fds = mbx_fds_of(msg);
	struct mailbox *target;

	spin_lock(&mb->lock);
	target = mb->dead_letter;
	if (target)
		ihold(&target->inode);
	if (fds)
		hlist_del_init(&fds->node);
	spin_unlock(&mb->lock);
	return target;
}

/* Make a message one of the other mailbox. */
static void readdress(struct mbx_message *msg, struct mailbox *target)
{
	struct mbx_message_ext *ext;

	msg->flags &= MBX_MSG_EXT | MBX_MSG_SPECIAL | MBX_MSG_ENTRY;
	if (target->flags & MBOX_HANGUP)
		msg->flags |= MBX_MSG_HANGUP;
	if (!(msg->flags & MBX_MSG_SPECIAL))
		return;
	ext = mbx_ext(msg);
	/* The call has ended. */
	if (ext->txn)
		mbx_transaction_put(ext->txn);
	ext->txn = NULL;
	if (ext->share)
		mbx_share_put(ext->share);
	ext->share = NULL;
	/* It ends with the first mailbox; its memory stays charged. */
	kfree(ext->lifespan);
	ext->lifespan = NULL;
	if (target->flags & (MBOX_FAIR | MBOX_DROP_OLDEST)) {
		ext->share = mbx_share_get_surely(target, msg->sender);
		INIT_LIST_HEAD(&ext->own);
	}
	if (ext->fds)
		ext->fds->mb = target;
}

/*
 * Make room by the drop policy. Return whether there is enough, or nothing to drop; with
 * MBOX_DROP_NEWEST it is the message itself that is to be dropped, if there is no room.
 */
static bool make_room(struct mailbox *target, struct mbx_deferred *deferred)
{
	unsigned int n;

	lockdep_assert_held(&target->lock);
	if (!(target->flags & MBOX_DROP_OLDEST))
		return true;
	for (n = 0; n < MBX_WAKE_AT_ONCE; n++) {
		if (mbx_has_room(target) || !target->stored.count)
			return true;
		mbx_drop_oldest(target, deferred);
	}
	return mbx_has_room(target);
}

/* Store a message, or deliver it to a receiver that waits. */
static void arrive(struct mailbox *target, struct mbx_message *msg,
		   struct mbx_deferred *deferred)
{
	struct mbx_recv_waiter *receiver;

	lockdep_assert_held(&target->lock);
	receiver = mbx_find_receiver(target, msg, true, deferred);
	mbx_count_sent(target, msg);
	if (mbx_fds_of(msg) && !mbx_fds_of(msg)->given_up)
		hlist_add_head(&mbx_fds_of(msg)->node, &target->fds);
	trace_mbox_send(target, msg);
	if (receiver) {
		mbx_deliver_to_waiter(target, receiver, msg, deferred);
	} else if (target->flags & MBOX_DROP_NEWEST && !mbx_has_room(target)) {
		target->dropped++;
		trace_mbox_drop(target, msg);
		mbx_defer_release(target, msg, deferred);
	} else {
		/* By the policy, also the plain one: it may have an entry to give up. */
		mbx_store_by_policy(target, msg, true, deferred);
	}
}

enum {
	STORED,
	GO_ON,
	UNINDEXED,
	ENDED,
};

static int try_to_bury(struct mailbox *target, struct mbx_message *msg, bool *give_up)
{
	struct mbx_deferred deferred;
	int ret = STORED;

	mbx_deferred_init(&deferred);
	spin_lock(&target->lock);
	if (target->dead)
		ret = ENDED;
	else if (mbx_needs_entry(target, msg))
		ret = UNINDEXED;
	else if (!make_room(target, &deferred))
		ret = GO_ON;
	else
		arrive(target, msg, &deferred);
	*give_up = !target->handles;
	spin_unlock(&target->lock);
	mbx_flush_deferred(target, &deferred);
	return ret;
}

/**
 * mbx_bury() - move a dead letter
 * @mb: the mailbox that it was in
 * @msg: the message, which no other call can find
 *
 * It is stored beyond the capacity: it was accepted before. Its sender stays charged for
 * it, so there are not more of them than the sender may have.
 *
 * Context: Process context, without mailbox.lock. May sleep.
 */
void mbx_bury(struct mailbox *mb, struct mbx_message *msg)
{
	struct mailbox *target = leave(mb, msg);
	bool give_up;
	int ret = ENDED;

	if (target) {
		readdress(msg, target);
		do {
			ret = try_to_bury(target, msg, &give_up);
			if (ret == UNINDEXED)
				mbx_message_give_entry(msg, mbx_entry_new_unasked(msg->sender));
			cond_resched();
		} while (ret == GO_ON || ret == UNINDEXED);
	}
	if (ret == ENDED) {
		spin_lock(&mb->lock);
		mbx_uncount_received(mb, msg);
		mb->dropped++;
		spin_unlock(&mb->lock);
		mbx_message_free(msg);
	} else if (give_up) {
		mbx_fds_give_up(target);
	}
	if (target)
		iput(&target->inode);
}
