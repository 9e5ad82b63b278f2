// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/mbox: creates, opens, unlinks and lists mailboxes, and opens direct links.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "device.h"
#include "direct.h"
#include "fs.h"
#include "handle.h"
#include "handle_file.h"
#include "handle_ioctl.h"
#include "instance.h"
#include "ioctl.h"
#include "limits.h"
#include "mailbox.h"
#include "namespace.h"
#include "trace.h"

/*
 * A fixed number in the range for local use. Because it is fixed, depmod can tell udev
 * to create the node before the module is loaded.
 */
#define MBX_MINOR 250

/* The numbers of the ioctls of /dev/mbox. */
#define FIRST_NR 0x00
#define N_IOCTLS 7

#define OPEN_FLAGS (O_ACCMODE | O_NONBLOCK | O_CLOEXEC)
#define CREATE_FLAGS (OPEN_FLAGS | O_CREAT | O_EXCL)

static unsigned int rights_of(unsigned int oflags)
{
	switch (oflags & O_ACCMODE) {
	case O_RDONLY:
		return MBX_MAY_RECV;
	case O_WRONLY:
		return MBX_MAY_SEND;
	case O_RDWR:
		return MBX_MAY_RECV | MBX_MAY_SEND;
	}
	return 0;
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Copy a name in. Return its length or an error. */
static int get_name(char *name, u64 uname, u32 len)
{
	if (len > MBOX_NAME_MAX)
		return -ENAMETOOLONG;
	if (copy_from_user(name, u64_to_user_ptr(uname), len))
		return -EFAULT;
	name[len] = '\0';
	if (memchr(name, '/', len) || memchr(name, '\0', len) || is_dots(name))
		return -EINVAL;
	return len;
}

static long ioctl_info(struct file *file, union mbx_arg *arg,
		       void __user *uarg, size_t usize)
{
	struct mbox_info info = {
		.abi = MBOX_ABI_VERSION,
		.modes = 1U << MBOX_QUEUE | 1U << MBOX_RING,
		.attr_flags = MBX_ATTR_FLAGS,
		.call_flags = MBX_SEND_FLAGS | MBX_RECV_FLAGS |
			      MBOX_WAITFORONE | MBOX_CTRUNC | MBOX_LOST,
		.msg_max_limit = mbx_msg_max_limit(),
	};
	struct mbx_usage usage;
	int ret = mbx_usage(&usage);

	if (ret)
		return ret;
	info.user_mailboxes = usage.mailboxes_max;
	info.mailboxes = usage.mailboxes;
	info.user_bytes = usage.bytes_max;
	info.bytes = usage.bytes;
	info.fds = usage.fds;
	return mbx_ioctl_respond(uarg, usize, &info, sizeof(info));
}

/* Let a file that was opened by its name be used. */
static long install(int fd, struct file *file)
{
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

/* Create a mailbox with a name, or open what has that name. */
static long create_named(const struct mbox_create *create,
			 struct mbox_create __user *ucreate, const char *name)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(create->oflags & O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = mbx_fs_create(name, &create->attr, &create->options,
			     create->oflags);
	if (!IS_ERR(file))
		/* If the address is no longer mapped, nothing can read the id either. */
		put_user(mbx_file_mailbox(file)->id, &ucreate->id);
	return install(fd, file);
}

static long create_anonymous(const struct mbox_create *create,
			     struct mbox_create __user *ucreate)
{
	struct vfsmount *mnt = mbx_instance_mount();
	struct mbx_new_handle new;
	struct mailbox *mb;
	int ret;

	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	mb = mbx_fs_anonymous(mnt, &create->attr, &create->options);
	if (IS_ERR(mb))
		return PTR_ERR(mb);
	ret = mbx_handle_prepare(mb, mnt, mbx_mailbox_fops(mb), create->oflags,
				 rights_of(create->oflags), &new);
	if (ret)
		goto out;
	/* The caller is a process of the namespace, so it has not ended. */
	mbx_namespace_publish(mb);
	/* If the address is no longer mapped, nothing can read the id either. */
	put_user(mb->id, &ucreate->id);
	trace_mbox_create(mb, "", 0);
	ret = mbx_handle_publish(&new);
out:
	mbx_mailbox_put(mb);
	return ret;
}

/*
 * A call that fails leaves @uarg unchanged, and what it creates can be found at once. So
 * the id is first written with its old value, to check that it can be written, and with
 * the new id when the mailbox is there.
 */
static long ioctl_create(struct file *file, union mbx_arg *arg,
			 void __user *uarg, size_t usize)
{
	struct mbox_create *create = &arg->create;
	struct mbox_create __user *ucreate = uarg;
	char name[MBOX_NAME_MAX + 1];
	int len;
	long ret;

	if (create->oflags & ~CREATE_FLAGS || create->reserved)
		return -EINVAL;
	/* With a name, a handle without rights serves to create the mailbox. */
	if (!rights_of(create->oflags) && !create->name_len)
		return -EINVAL;
	ret = mbx_attr_check(&create->attr);
	if (ret)
		return ret;
	ret = mbx_options_check(&create->options, &create->attr);
	if (ret)
		return ret;
	len = get_name(name, create->name, create->name_len);
	if (len < 0)
		return len;
	if (put_user(create->id, &ucreate->id))
		return -EFAULT;
	if (!len)
		return create_anonymous(create, ucreate);
	return create_named(create, ucreate, name);
}

static long open_name(const char *name, unsigned int oflags)
{
	int fd = get_unused_fd_flags(oflags & O_CLOEXEC);

	return fd < 0 ? fd : install(fd, mbx_fs_open(name, oflags));
}

static long open_mailbox(struct mailbox *mb, unsigned int oflags)
{
	unsigned int rights = rights_of(oflags);
	struct vfsmount *mnt = mbx_instance_mount();
	struct mbx_new_handle new;
	struct file *file;
	int fd, ret;

	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	ret = mbx_fs_may(mb, rights);
	if (ret)
		return ret;
	fd = get_unused_fd_flags(oflags & O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = mbx_fs_reopen(mb, oflags & (O_ACCMODE | O_NONBLOCK));
	if (file)
		return install(fd, file);
	put_unused_fd(fd);
	ret = mbx_handle_prepare(mb, mnt, mbx_mailbox_fops(mb), oflags, rights,
				 &new);
	return ret ? ret : mbx_handle_publish(&new);
}

static long open_id(u64 id, unsigned int oflags)
{
	struct mailbox *mb = mbx_namespace_find_id(id);
	long ret;

	if (!mb)
		return -ENOENT;
	ret = open_mailbox(mb, oflags);
	mbx_mailbox_put(mb);
	return ret;
}

static long ioctl_open(struct file *file, union mbx_arg *arg,
		       void __user *uarg, size_t usize)
{
	const struct mbox_open *open = &arg->open;
	char name[MBOX_NAME_MAX + 1];
	int len;
	long ret;

	if (open->oflags & ~OPEN_FLAGS || !rights_of(open->oflags))
		return -EINVAL;
	if (open->name_len && open->id)
		return -EINVAL;
	len = get_name(name, open->name, open->name_len);
	if (len < 0)
		return len;

	ret = len ? open_name(name, open->oflags) : open_id(open->id, open->oflags);
	/* A mailbox that was destroyed after it was found does not exist. */
	return ret == -EIDRM ? -ENOENT : ret;
}

static long ioctl_unlink(struct file *file, union mbx_arg *arg,
			 void __user *uarg, size_t usize)
{
	const struct mbox_unlink *unlink = &arg->unlink;
	char name[MBOX_NAME_MAX + 1];
	int len;

	if (unlink->reserved || !unlink->name_len)
		return -EINVAL;
	len = get_name(name, unlink->name, unlink->name_len);
	if (len < 0)
		return len;
	return mbx_fs_unlink(name);
}

static long ioctl_walk(struct file *file, union mbx_arg *arg,
		       void __user *uarg, size_t usize)
{
	struct mbox_walk *walk = &arg->walk;
	u64 id = walk->id;
	struct name_snapshot name;
	struct mailbox *mb;
	bool found = false;

	while (!found) {
		mb = mbx_namespace_next(id);
		if (!mb)
			return -ENOENT;
		id = mb->id;
		if (mbx_mailbox_visible(mb) &&
		    !mbx_mailbox_stat(mb, &walk->stat)) {
			found = true;
			walk->id = id;
			walk->ns = mb->net_ino;
			memset(walk->name, 0, sizeof(walk->name));
			if (mbx_fs_name(mb, &name)) {
				memcpy(walk->name, name.name.name,
				       min_t(size_t, name.name.len,
					     MBOX_NAME_MAX));
				release_dentry_name_snapshot(&name);
			}
		}
		mbx_mailbox_put(mb);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return mbx_ioctl_respond(uarg, usize, walk, sizeof(*walk));
}

static long ioctl_total(struct file *file, union mbx_arg *arg,
			void __user *uarg, size_t usize)
{
	struct mbox_total *to = &arg->total;
	char prefix[MBOX_NAME_MAX];
	struct mbx_total total = {
		.prefix = prefix,
		.prefix_len = to->prefix_len,
		.caller = current_fsuid(),
		.seen = to->id,
		.last = to->id,
		.left = to->max ?: U64_MAX,
	};
	struct mailbox *mb;

	if (to->prefix_len > MBOX_NAME_MAX)
		return -ENAMETOOLONG;
	if (copy_from_user(prefix, u64_to_user_ptr(to->prefix), to->prefix_len))
		return -EFAULT;
	while (total.left && !total.ended) {
		mb = mbx_namespace_add_up(&total);
		if (mb) {
			if (mbx_mailbox_visible(mb))
				mbx_total_add(&total, mb);
			mbx_mailbox_put(mb);
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	to->id = total.last;
	to->mailboxes = total.mailboxes;
	to->queued = total.queued;
	to->bytes = total.bytes;
	return mbx_ioctl_respond(uarg, usize, to, sizeof(*to));
}

static long ioctl_direct(struct file *file, union mbx_arg *arg,
			 void __user *uarg, size_t usize)
{
	const struct mbox_direct *direct = &arg->direct;
	unsigned int rights = rights_of(direct->oflags);
	struct mbx_new_handle new;
	struct mbx_endpoint *endpoint;
	int ret;

	if (direct->oflags & ~OPEN_FLAGS || !rights || direct->flags ||
	    direct->reserved)
		return -EINVAL;
	endpoint = mbx_direct_open(direct->pid);
	if (IS_ERR(endpoint))
		return PTR_ERR(endpoint);
	ret = mbx_handle_prepare_direct(endpoint, &mbx_direct_fops,
					direct->oflags, rights, &new);
	if (ret)
		return ret;
	/* Before the publication: after it, another thread may close the descriptor. */
	mbx_direct_opened(endpoint);
	return mbx_handle_publish(&new);
}

#define IOCTL(number, handler, type, last) \
	MBX_IOCTL(FIRST_NR, number, handler, struct type, last)

static const struct mbx_ioctl control_ioctls[N_IOCTLS] = {
	IOCTL(MBOX_IOC_INFO, ioctl_info, mbox_info, modes),
	IOCTL(MBOX_IOC_CREATE, ioctl_create, mbox_create, id),
	IOCTL(MBOX_IOC_OPEN, ioctl_open, mbox_open, id),
	IOCTL(MBOX_IOC_UNLINK, ioctl_unlink, mbox_unlink, reserved),
	IOCTL(MBOX_IOC_WALK, ioctl_walk, mbox_walk, stat.recv_handles),
	IOCTL(MBOX_IOC_DIRECT, ioctl_direct, mbox_direct, reserved),
	IOCTL(MBOX_IOC_TOTAL, ioctl_total, mbox_total, bytes),
};

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mbx_ioctl(file, cmd, arg, control_ioctls, FIRST_NR,
			 N_IOCTLS);
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MBX_MINOR,
	.name = "mbox",
	.fops = &device_fops,
	.mode = 0666,
};

int __init mbx_device_init(void)
{
	int ret = misc_register(&device);

	if (ret == -EBUSY) {
		/* Another driver has the number: the module must be loaded by hand. */
		device.minor = MISC_DYNAMIC_MINOR;
		ret = misc_register(&device);
	}
	return ret;
}

void mbx_device_exit(void)
{
	misc_deregister(&device);
}

MODULE_ALIAS("devname:mbox");
MODULE_ALIAS_MISCDEV(MBX_MINOR);
