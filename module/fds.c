// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors in messages.
 *
 * If a file in a message could keep that message alive, closing all descriptors would
 * not free it. AF_UNIX has a garbage collector for such cycles. This module rejects
 * files that can hold other files: mailboxes, AF_UNIX sockets, and files of other
 * drivers that could be either. Only files that are known to be safe may travel. Among
 * them are handles of MBOX_LEAF mailboxes, because nothing in such a mailbox holds a
 * file: design.rst has the argument.
 *
 * A name also keeps a mailbox and its messages, and a file can keep the name: a file
 * of the network namespace, or of a file system that holds this namespace. So files
 * stay in messages only while the mailbox has a handle. When the last handle is
 * closed, no call is in progress, and only the messages hold the files.
 */
#include <linux/dcache.h>
#include <linux/eventfd.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "fds.h"
#include "fs.h"
#include "limits.h"
#include "mailbox.h"

static bool is_safe_socket(struct file *file)
{
	struct socket *sock = sock_from_file(file);

	/* IPV6_ADDRFORM changes ops, but never from or to AF_UNIX. */
	return sock && READ_ONCE(sock->ops)->family != PF_UNIX;
}

static bool is_eventfd(struct file *file)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fileget(file);

	if (IS_ERR(ctx))
		return false;
	eventfd_ctx_put(ctx);
	return true;
}

/*
 * The kernel has no function that identifies these files, but it names them itself,
 * and this file system has no other files.
 */
static bool is_anon_named(const struct file *file, const char *name)
{
	return file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strcmp(file->f_path.dentry->d_name.name, name);
}

/* Anonymous files that are safe. */
static bool is_safe_anon(struct file *file)
{
	return is_eventfd(file) || is_anon_named(file, "[timerfd]") ||
	       is_anon_named(file, "[pidfd]");
}

/* No other process can use a handle of a direct link, so it would be useless there. */
static bool is_leaf(struct inode *inode)
{
	const struct mailbox *mb = mbx_mailbox_of(inode);

	return mb->flags & MBOX_LEAF && !mb->direct;
}

static bool may_travel(struct file *file)
{
	struct inode *inode = file_inode(file);

	/* A descriptor of O_PATH refers to the place of a file, not to its content. */
	if (file->f_mode & FMODE_PATH || mbx_is_pidfs(inode))
		return true;
	/* A handle has the type of a FIFO. */
	if (mbx_is_fs_file(inode))
		return is_leaf(inode);
	if (inode->i_sb->s_magic == ANON_INODE_FS_MAGIC ||
	    mbx_is_anon_inode(inode))
		return is_safe_anon(file);
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
	case S_IFCHR:
	case S_IFBLK:
		return true;
	case S_IFSOCK:
		return is_safe_socket(file);
	}
	return false;
}

/* Add the file of a descriptor of the current process. */
static int add_file(struct mbx_fds *fds, int fd)
{
	struct file *file = fget_raw(fd);

	if (!file)
		return -EBADF;
	if (!may_travel(file)) {
		fput(file);
		return -ELOOP;
	}
	fds->files[fds->n++] = file;
	return 0;
}

/**
 * mbx_fds_cost() - the memory of the files of a message
 * @n: how many
 */
unsigned long mbx_fds_cost(unsigned int n)
{
	return mbx_kmalloc_size(struct_size((struct mbx_fds *)NULL, files, n));
}

static void put_files(struct file **files, unsigned int n)
{
	while (n--)
		fput(files[n]);
}

static int charge_fds(struct mbx_sender *sender, unsigned int n, bool unasked)
{
	int ret;

	ret = mbx_charge_fds(sender->user, n, sender->privileged);
	if (ret || !sender->stake)
		return ret;
	if (unasked) {
		atomic_add(n, &sender->stake->fds);
		return 0;
	}
	ret = mbx_charge_stake_fds(sender->stake, n, sender->privileged);
	if (ret) {
		mbx_uncharge_fds(sender->user, n);
		/* Pairs with the READ_ONCE() of poll. */
		WRITE_ONCE(sender->refused_fds, n);
	}
	return ret;
}

static void uncharge_fds(struct mbx_sender *sender, unsigned int n)
{
	if (sender->stake)
		mbx_uncharge_stake_fds(sender->stake, n);
	mbx_uncharge_fds(sender->user, n);
}

/* Charge the memory of the files of a message. */
static int charge_memory(struct mbx_message *msg, unsigned int n, bool unasked)
{
	struct mbx_sender *sender = msg->sender;
	int ret;

	if (unasked) {
		mbx_charge_unasked(sender->user, mbx_fds_cost(n));
		return 0;
	}
	ret = mbx_charge_bytes(sender->user, mbx_fds_cost(n), sender->privileged);
	if (ret)
		/* Pairs with the READ_ONCE() of poll. */
		WRITE_ONCE(sender->refused, mbx_ext(msg)->cost + mbx_fds_cost(n));
	return ret;
}

/* Nothing finds the files in the mailbox any more. */
static void unlink_fds(struct mbx_fds *fds)
{
	spin_lock(&fds->mb->lock);
	hlist_del_init(&fds->node);
	spin_unlock(&fds->mb->lock);
}

/* The files are closed. */
static void free_fds(struct mbx_fds *fds)
{
	uncharge_fds(fds->sender, fds->n);
	mbx_uncharge_bytes(fds->sender->user, mbx_fds_cost(fds->max));
	mbx_sender_put(fds->sender);
	kfree(fds);
}

/* Not the kernel's queue for closing files, which a file that closes slowly would stop. */
static struct workqueue_struct *closing_queue;

static void close_fds(struct work_struct *work)
{
	struct mbx_fds *fds = container_of(work, struct mbx_fds, closing);
	unsigned int i;

	for (i = 0; i < fds->n; i++)
		__fput_sync(fds->files[i]);
	free_fds(fds);
}

/**
 * mbx_fds_free_later() - have a work item close the files of a message
 * @fds: the files, which are charged until they are closed
 *
 * For a task that may wait before it returns to user space: whoever waits for the end of
 * a pipe, or for a file system to be unmounted, would wait for that task.
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_fds_free_later(struct mbx_fds *fds)
{
	unlink_fds(fds);
	INIT_WORK(&fds->closing, close_fds);
	queue_work(closing_queue, &fds->closing);
}

/**
 * mbx_fds_free() - close the files of a message
 * @fds: the files
 *
 * The current task closes them when it returns to user space. A thread of the kernel
 * leaves them to a work item.
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_fds_free(struct mbx_fds *fds)
{
	if (current->flags & PF_KTHREAD) {
		mbx_fds_free_later(fds);
		return;
	}
	unlink_fds(fds);
	put_files(fds->files, fds->n);
	free_fds(fds);
}

/**
 * mbx_fds_detach_later() - mbx_fds_free_later() for the files of a message that stays
 * @msg: a message that no other call can find
 */
void mbx_fds_detach_later(struct mbx_message *msg)
{
	struct mbx_fds *fds = mbx_fds_of(msg);

	if (!fds)
		return;
	mbx_ext(msg)->fds = NULL;
	mbx_fds_free_later(fds);
}

int __init mbx_fds_init(void)
{
	closing_queue = alloc_workqueue("mbox_close", WQ_UNBOUND, 0);
	return closing_queue ? 0 : -ENOMEM;
}

/* No message is left. */
void mbx_fds_exit(void)
{
	destroy_workqueue(closing_queue);
}

/*
 * Take the files of one message if the mailbox has no handle. Return how many, and a
 * reference to their sender; 0: the mailbox has a handle, or no message has files.
 */
static unsigned int take_files(struct mailbox *mb, struct file **files,
			       struct mbx_sender **sender)
{
	struct mbx_fds *fds;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	if (mb->handles || hlist_empty(&mb->fds))
		return 0;
	fds = hlist_entry(mb->fds.first, struct mbx_fds, node);
	hlist_del_init(&fds->node);
	n = fds->n;
	memcpy(files, fds->files, n * sizeof(*files));
	fds->n = 0;
	fds->given_up = true;
	refcount_inc(&fds->sender->refs);
	*sender = fds->sender;
	return n;
}

/**
 * mbx_fds_give_up() - close the files of all messages of a mailbox without a handle
 * @mb: the mailbox
 *
 * The messages stay, and a later receiver is told that files are missing. If a handle
 * is opened meanwhile, the remaining files stay too.
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_fds_give_up(struct mailbox *mb)
{
	struct file *files[MBOX_FDS_MAX];
	struct mbx_sender *sender;
	unsigned int n;

	for (;;) {
		spin_lock(&mb->lock);
		n = take_files(mb, files, &sender);
		spin_unlock(&mb->lock);
		if (!n)
			return;
		put_files(files, n);
		uncharge_fds(sender, n);
		mbx_sender_put(sender);
		cond_resched();
	}
}

/**
 * mbx_fds_check() - whether mbx_fds_attach() would take descriptors
 * @mb: the mailbox that they are to be sent to
 * @ufds: descriptors of the current process
 * @n: how many, from 1 to MBOX_FDS_MAX
 *
 * Other threads can make the descriptors refer to other files at any time.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT, -EBADF, -ELOOP.
 */
int mbx_fds_check(const struct mailbox *mb, const s32 __user *ufds, unsigned int n)
{
	s32 numbers[MBOX_FDS_MAX];
	unsigned int i;
	int ret = 0;

	if (mb->flags & MBOX_LEAF)
		return -ELOOP;
	if (copy_from_user(numbers, ufds, n * sizeof(*ufds)))
		return -EFAULT;
	for (i = 0; i < n && !ret; i++) {
		struct file *file = fget_raw(numbers[i]);

		if (!file)
			return -EBADF;
		if (!may_travel(file))
			ret = -ELOOP;
		fput(file);
	}
	return ret;
}

/**
 * mbx_fds_attach() - attach files to a message
 * @msg: a message with a struct mbx_message_ext, which no other thread can see
 * @mb: the mailbox that the message is for; the caller has a handle
 * @ufds: descriptors of the current process
 * @n: how many, from 1 to MBOX_FDS_MAX
 * @unasked: charge them whatever the limit of bytes and of the stake; the caller makes
 *	room
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT, -EBADF, -ELOOP, -ETOOMANYREFS, -EDQUOT,
 * -ENOMEM, and -ENOBUFS: the stake of the user is as large as it may be.
 */
int mbx_fds_attach(struct mbx_message *msg, struct mailbox *mb,
		   const s32 __user *ufds, unsigned int n, bool unasked)
{
	s32 numbers[MBOX_FDS_MAX];
	struct mbx_fds *fds;
	unsigned int i;
	int ret;

	if (mb->flags & MBOX_LEAF)
		return -ELOOP;
	if (copy_from_user(numbers, ufds, n * sizeof(*ufds)))
		return -EFAULT;
	ret = charge_fds(msg->sender, n, unasked);
	if (ret)
		return ret;
	ret = charge_memory(msg, n, unasked);
	if (ret)
		goto err_uncharge_fds;
	fds = kzalloc(struct_size(fds, files, n), GFP_KERNEL_ACCOUNT);
	if (!fds) {
		ret = -ENOMEM;
		goto err_uncharge_bytes;
	}
	refcount_inc(&msg->sender->refs);
	fds->sender = msg->sender;
	fds->max = n;
	fds->mb = mb;
	INIT_HLIST_NODE(&fds->node);

	for (i = 0; i < n && !ret; i++)
		ret = add_file(fds, numbers[i]);
	if (ret) {
		uncharge_fds(fds->sender, n - fds->n);
		mbx_fds_free(fds);
		return ret;
	}
	spin_lock(&mb->lock);
	hlist_add_head(&fds->node, &mb->fds);
	spin_unlock(&mb->lock);
	mbx_ext(msg)->fds = fds;
	mbx_ext(msg)->nfds = n;
	return 0;

err_uncharge_bytes:
	mbx_uncharge_bytes(msg->sender->user, mbx_fds_cost(n));
err_uncharge_fds:
	uncharge_fds(msg->sender, n);
	return ret;
}

/**
 * mbx_fds_prepare() - whether a receiver can take the files of a message
 * @fds: the files
 * @ufds: where their descriptors are to go
 * @max: how many fit there
 *
 * Called while the message can still be put back. Later, only other threads of the
 * same process can make mbx_fds_deliver() fail; then files are missing, and the
 * receiver is told with MBOX_CTRUNC. The array is written with its old values, because
 * the receive can still fail.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT, -EMFILE, -ENOMEM.
 */
int mbx_fds_prepare(const struct mbx_fds *fds, s32 __user *ufds,
		    unsigned int max)
{
	unsigned int i, n = min(fds->n, max);
	s32 numbers[MBOX_FDS_MAX];
	int ret = 0;

	for (i = 0; i < n; i++) {
		ret = get_unused_fd_flags(O_CLOEXEC);
		if (ret < 0)
			break;
		numbers[i] = ret;
	}
	while (i--)
		put_unused_fd(numbers[i]);
	if (ret < 0)
		return ret;
	if (copy_from_user(numbers, ufds, n * sizeof(*ufds)) ||
	    copy_to_user(ufds, numbers, n * sizeof(*ufds)))
		return -EFAULT;
	return 0;
}

/**
 * mbx_fds_deliver() - install files in the current process
 * @fds: the files; the caller still owns them afterwards
 * @ufds: where their descriptors go
 * @max: how many fit there
 * @umsg: NULL, or the structure of the receiver
 * @usize: size of that structure
 *
 * The message was received, so this cannot fail: files that cannot be installed are
 * missing.
 *
 * Context: Process context, may sleep.
 */
void mbx_fds_deliver(const struct mbx_fds *fds, s32 __user *ufds,
		     unsigned int max, struct mbox_msg __user *umsg,
		     size_t usize)
{
	unsigned int i, n = min(fds->n, max);

	for (i = 0; i < n; i++)
		if (mbx_receive_fd(fds->files[i], &ufds[i], O_CLOEXEC) < 0)
			break;
	if (umsg) {
		bool cut = i < fds->n || fds->given_up;

		/* If the address is no longer mapped, nothing can read @nfds either. */
		if (usize >= offsetofend(struct mbox_msg, nfds) &&
		    put_user(i, &umsg->nfds))
			cut = true;
		if (cut)
			mbx_note_flag(umsg, MBOX_CTRUNC);
	}
}
