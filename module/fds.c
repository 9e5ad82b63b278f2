// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors in messages.
 *
 * A file in a message that nobody receives must not keep that message alive, or
 * closing all descriptors would not free it. AF_UNIX has a garbage collector
 * for such circles; here, what can hold messages or other files does not
 * travel: mailboxes, AF_UNIX sockets, and whatever is made by another driver
 * and could be either. What may travel is a list of what is known to be safe.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "fds.h"
#include "limits.h"
#include "recv.h"

static bool is_safe_socket(struct file *file)
{
	struct socket *sock = sock_from_file(file);

	/* ops change with IPV6_ADDRFORM, but never from or to AF_UNIX. */
	return sock && READ_ONCE(sock->ops)->family != PF_UNIX;
}

static bool may_travel(struct file *file)
{
	struct inode *inode = file_inode(file);

	if (inode->i_sb->s_magic == ANON_INODE_FS_MAGIC ||
	    mbox_is_anon_inode(inode))
		return false;
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
static int add_file(struct mbox_fds *fds, int fd)
{
	struct file *file = fget(fd);

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
 * mbox_fds_free() - close what a message carries
 * @fds: its files
 *
 * Context: Process context, without mailbox.lock.
 */
void mbox_fds_free(struct mbox_fds *fds)
{
	unsigned int i;

	for (i = 0; i < fds->n; i++)
		fput(fds->files[i]);
	mbox_uncharge_fds(fds->sender->user, fds->n);
	mbox_sender_put(fds->sender);
	kfree(fds);
}

/**
 * mbox_fds_attach() - give files to a message
 * @msg: a message with a struct mbox_message_ext, which nobody else can see
 * @ufds: descriptors of the current process
 * @n: how many, from 1 to MBOX_FDS_MAX
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT, -EBADF, -ELOOP, -ETOOMANYREFS, -ENOMEM.
 */
int mbox_fds_attach(struct mbox_message *msg, const s32 __user *ufds,
		    unsigned int n)
{
	s32 numbers[MBOX_FDS_MAX];
	struct mbox_fds *fds;
	unsigned int i;
	int ret;

	if (copy_from_user(numbers, ufds, n * sizeof(*ufds)))
		return -EFAULT;
	ret = mbox_charge_fds(msg->sender->user, n);
	if (ret)
		return ret;
	fds = kzalloc(struct_size(fds, files, n), GFP_KERNEL_ACCOUNT);
	if (!fds) {
		mbox_uncharge_fds(msg->sender->user, n);
		return -ENOMEM;
	}
	refcount_inc(&msg->sender->refs);
	fds->sender = msg->sender;

	for (i = 0; i < n && !ret; i++)
		ret = add_file(fds, numbers[i]);
	if (ret) {
		mbox_uncharge_fds(fds->sender->user, n - fds->n);
		mbox_fds_free(fds);
		return ret;
	}
	mbox_ext(msg)->fds = fds;
	return 0;
}

/**
 * mbox_fds_prepare() - whether a receiver can take the files of a message
 * @fds: the files
 * @ufds: where their numbers are to go
 * @room: for how many
 *
 * Asked while the message can still go back. What is different afterwards, when
 * it cannot, is what other threads of the same process did; then files can be
 * missing, and MBOX_CTRUNC says so.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT, -EMFILE, -ENOMEM.
 */
int mbox_fds_prepare(const struct mbox_fds *fds, s32 __user *ufds,
		     unsigned int room)
{
	unsigned int i, n = min(fds->n, room);
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
	memset(numbers, -1, sizeof(numbers));
	return copy_to_user(ufds, numbers, n * sizeof(*ufds)) ? -EFAULT : 0;
}

/**
 * mbox_fds_deliver() - install files in the current process
 * @fds: the files; still the message's when this returns
 * @ufds: where their numbers go
 * @room: for how many
 * @umsg: NULL, or the receiver's structure
 * @usize: its size
 *
 * The message was received, so nothing here can fail any more.
 *
 * Context: Process context, may sleep.
 */
void mbox_fds_deliver(const struct mbox_fds *fds, s32 __user *ufds,
		      unsigned int room, struct mbox_msg __user *umsg,
		      size_t usize)
{
	unsigned int i, n = min(fds->n, room);

	for (i = 0; i < n; i++)
		if (mbox_receive_fd(fds->files[i], &ufds[i], O_CLOEXEC) < 0)
			break;
	if (umsg) {
		bool cut = i < fds->n;

		/* Where these addresses are gone, so is who would read them. */
		if (usize >= offsetofend(struct mbox_msg, nfds) &&
		    put_user(i, &umsg->nfds))
			cut = true;
		if (cut)
			mbox_note_flag(umsg, MBOX_CTRUNC);
	}
}
