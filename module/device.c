// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/mbox: creating, opening, unlinking and listing mailboxes; and the way
 * of every ioctl, also those of handles, from the number to the handler.
 */
#include <linux/cred.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "device.h"
#include "direct.h"
#include "handle.h"
#include "mailbox.h"
#include "namespace.h"
#include "trace.h"

/*
 * A number of its own in the range for local use, so that depmod can tell
 * udev to make the node before the module is there.
 */
#define MBOX_MINOR 250

#define OPEN_FLAGS (O_ACCMODE | O_NONBLOCK | O_CLOEXEC)
#define CREATE_FLAGS (OPEN_FLAGS | O_CREAT | O_EXCL)

/**
 * mbox_ioctl() - carry out an ioctl
 * @file: on what
 * @cmd: which
 * @arg: address of the caller's structure
 * @table: the ioctls that @file has, by number
 * @first: number of the first in the table
 * @n: length of the table
 *
 * Return: what the handler returns, or -ENOTTY, -EINVAL, -E2BIG, -EFAULT.
 */
long mbox_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
		const struct mbox_ioctl *table, unsigned int first,
		unsigned int n)
{
	void __user *uarg = (void __user *)arg;
	unsigned int nr = _IOC_NR(cmd) - first;
	unsigned int usize = _IOC_SIZE(cmd);
	const struct mbox_ioctl *ioctl;
	unsigned int ksize, size;
	union mbox_arg karg;
	long ret;

	if (unlikely(_IOC_TYPE(cmd) != MBOX_IOC_MAGIC || nr >= n))
		return -ENOTTY;
	ioctl = &table[array_index_nospec(nr, n)];
	if (unlikely(_IOC_DIR(cmd) != _IOC_DIR(ioctl->cmd)))
		return -ENOTTY;
	if (unlikely(usize < ioctl->min))
		return -EINVAL;

	ksize = _IOC_SIZE(ioctl->cmd);
	size = min(ksize, usize);
	if (unlikely(usize > ksize)) {
		ret = check_zeroed_user(uarg + ksize, usize - ksize);
		if (ret <= 0)
			return ret ?: -E2BIG;
	}
	memset((void *)&karg + size, 0, ksize - size);
	if (_IOC_DIR(cmd) & _IOC_WRITE) {
		if (copy_from_user(&karg, uarg, size))
			return -EFAULT;
	} else {
		memset(&karg, 0, size);
	}

	ret = ioctl->fn(file, &karg, uarg, usize);
	if (ret >= 0 && _IOC_DIR(cmd) & _IOC_READ && !ioctl->copies_out &&
	    copy_to_user(uarg, &karg, size))
		return -EFAULT;
	return ret;
}

static unsigned int rights_of(unsigned int oflags)
{
	switch (oflags & O_ACCMODE) {
	case O_RDONLY:
		return MBOX_MAY_RECV;
	case O_WRONLY:
		return MBOX_MAY_SEND;
	case O_RDWR:
		return MBOX_MAY_RECV | MBOX_MAY_SEND;
	}
	return 0;
}

/* Copy a name in. Return its length or an error. */
static int get_name(char *name, u64 uname, u32 len)
{
	if (len > MBOX_NAME_MAX)
		return -ENAMETOOLONG;
	if (copy_from_user(name, u64_to_user_ptr(uname), len))
		return -EFAULT;
	if (memchr(name, '/', len) || memchr(name, '\0', len))
		return -EINVAL;
	return len;
}

static long ioctl_info(struct file *file, union mbox_arg *arg,
		       void __user *uarg, size_t usize)
{
	arg->info.abi = MBOX_ABI_VERSION;
	arg->info.modes = 1U << MBOX_QUEUE | 1U << MBOX_RING;
	arg->info.attr_flags = MBOX_ATTR_FLAGS;
	arg->info.call_flags = MBOX_SEND_FLAGS | MBOX_RECV_FLAGS |
			       MBOX_WAITFORONE | MBOX_CTRUNC | MBOX_LOST;
	return 0;
}

static long open_existing(struct mailbox *mb, unsigned int oflags,
			  struct mbox_create *create, void __user *ucreate)
{
	unsigned int rights = rights_of(oflags);
	struct mbox_new_handle new;
	int ret;

	if (!mbox_mailbox_may(mb, rights))
		return -EACCES;
	ret = mbox_handle_prepare(mb, oflags, rights, &new);
	if (ret)
		return ret;
	if (create) {
		create->id = mb->id;
		if (copy_to_user(ucreate, create, sizeof(*create))) {
			mbox_handle_abort(&new);
			return -EFAULT;
		}
	}
	return mbox_handle_publish(&new);
}

/* All that can fail comes before others can see the mailbox. */
static long create_new(struct mbox_create *create, void __user *ucreate,
		       const char *name, int len)
{
	struct mbox_new_handle new;
	struct mailbox *mb;
	int ret;

	mb = mbox_mailbox_new(&create->attr, len ? name : NULL, len);
	if (IS_ERR(mb))
		return PTR_ERR(mb);
	ret = mbox_handle_prepare(mb, create->oflags, rights_of(create->oflags),
				  &new);
	if (ret)
		goto out;
	create->id = mb->id;
	ret = -EFAULT;
	if (copy_to_user(ucreate, create, sizeof(*create)))
		goto err_abort;
	ret = mbox_namespace_publish(mb);
	if (ret)
		goto err_abort;
	trace_mbox_create(mb);
	ret = mbox_handle_publish(&new);
	goto out;

err_abort:
	mbox_handle_abort(&new);
out:
	mbox_mailbox_put(mb);
	return ret;
}

static long ioctl_create(struct file *file, union mbox_arg *arg,
			 void __user *uarg, size_t usize)
{
	struct mbox_create *create = &arg->create;
	char name[MBOX_NAME_MAX];
	struct mailbox *mb;
	int len;
	long ret;

	if (create->oflags & ~CREATE_FLAGS || !rights_of(create->oflags) ||
	    create->reserved)
		return -EINVAL;
	ret = mbox_attr_check(&create->attr);
	if (ret)
		return ret;
	len = get_name(name, create->name, create->name_len);
	if (len < 0)
		return len;

	for (;;) {
		mb = len ? mbox_namespace_find(name, len) : NULL;
		if (!mb) {
			ret = create_new(create, uarg, name, len);
			/* Somebody else was faster: there is one now. */
			if (ret == -EEXIST && !(create->oflags & O_EXCL))
				continue;
			return ret;
		}
		ret = -EEXIST;
		if (!(create->oflags & O_EXCL))
			ret = open_existing(mb, create->oflags, create, uarg);
		mbox_mailbox_put(mb);
		/* Destroyed since it was found: there is none now. */
		if (ret != -EIDRM)
			return ret;
	}
}

static long ioctl_open(struct file *file, union mbox_arg *arg,
		       void __user *uarg, size_t usize)
{
	const struct mbox_open *open = &arg->open;
	char name[MBOX_NAME_MAX];
	struct mailbox *mb;
	int len;
	long ret;

	if (open->oflags & ~OPEN_FLAGS || !rights_of(open->oflags))
		return -EINVAL;
	if (open->name_len && open->id)
		return -EINVAL;
	len = get_name(name, open->name, open->name_len);
	if (len < 0)
		return len;

	mb = len ? mbox_namespace_find(name, len) : mbox_namespace_find_id(open->id);
	if (!mb)
		return -ENOENT;
	ret = open_existing(mb, open->oflags, NULL, NULL);
	mbox_mailbox_put(mb);
	/* Destroyed since it was found: there is none now. */
	return ret == -EIDRM ? -ENOENT : ret;
}

static long ioctl_unlink(struct file *file, union mbox_arg *arg,
			 void __user *uarg, size_t usize)
{
	const struct mbox_unlink *unlink = &arg->unlink;
	char name[MBOX_NAME_MAX];
	int len;

	if (unlink->reserved || !unlink->name_len)
		return -EINVAL;
	len = get_name(name, unlink->name, unlink->name_len);
	if (len < 0)
		return len;
	return mbox_namespace_unlink(name, len);
}

static long ioctl_walk(struct file *file, union mbox_arg *arg,
		       void __user *uarg, size_t usize)
{
	struct mbox_walk *walk = &arg->walk;
	u64 id = walk->id;
	struct mailbox *mb;
	bool found = false;

	while (!found) {
		mb = mbox_namespace_next(id);
		if (!mb)
			return -ENOENT;
		id = mb->id;
		if (mbox_mailbox_visible(mb) &&
		    !mbox_mailbox_stat(mb, &walk->stat)) {
			found = true;
			walk->id = id;
			memset(walk->name, 0, sizeof(walk->name));
			if (READ_ONCE(mb->named))
				memcpy(walk->name, mb->name, mb->name_len);
		}
		mbox_mailbox_put(mb);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static long ioctl_direct(struct file *file, union mbox_arg *arg,
			 void __user *uarg, size_t usize)
{
	const struct mbox_direct *direct = &arg->direct;
	unsigned int rights = rights_of(direct->oflags);
	struct mbox_new_handle new;
	struct mbox_end *end;
	int ret;

	if (direct->oflags & ~OPEN_FLAGS || !rights || direct->flags ||
	    direct->reserved)
		return -EINVAL;
	end = mbox_direct_open(direct->pid);
	if (IS_ERR(end))
		return PTR_ERR(end);
	ret = mbox_handle_prepare_direct(end, direct->oflags, rights, &new);
	if (ret)
		return ret;
	/* First, as another thread may close the new descriptor. */
	mbox_direct_opened(end);
	return mbox_handle_publish(&new);
}

static const struct mbox_ioctl control_ioctls[] = {
	{ MBOX_IOC_INFO, 8, false, ioctl_info },
	{ MBOX_IOC_CREATE, sizeof(struct mbox_create), true, ioctl_create },
	{ MBOX_IOC_OPEN, sizeof(struct mbox_open), false, ioctl_open },
	{ MBOX_IOC_UNLINK, sizeof(struct mbox_unlink), false, ioctl_unlink },
	{ MBOX_IOC_WALK, sizeof(struct mbox_walk), false, ioctl_walk },
	{ MBOX_IOC_DIRECT, sizeof(struct mbox_direct), false, ioctl_direct },
};

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mbox_ioctl(file, cmd, arg, control_ioctls, 0,
			  ARRAY_SIZE(control_ioctls));
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MBOX_MINOR,
	.name = "mbox",
	.fops = &device_fops,
	.mode = 0666,
};

int __init mbox_device_init(void)
{
	int ret = misc_register(&device);

	if (ret == -EBUSY) {
		/* The number is taken here; without it, load by hand. */
		device.minor = MISC_DYNAMIC_MINOR;
		ret = misc_register(&device);
	}
	return ret;
}

void mbox_device_exit(void)
{
	misc_deregister(&device);
}

MODULE_ALIAS("devname:mbox");
MODULE_ALIAS_MISCDEV(MBOX_MINOR);
