/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernel versions, and nothing else. The code outside
 * this file reads as if written for the newest kernel.
 */
#ifndef MBOX_COMPAT_H
#define MBOX_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/magic.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>
#include <linux/version.h>

/* Commit 2c92ca849fcc (6.10) took the second argument of __assign_str() away. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define mbox_assign_str(dst, src) __assign_str(dst, src)
#else
#define mbox_assign_str(dst, src) __assign_str(dst)
#endif

/* Commit bc292ab00f6c (6.3) made vm_flags constant but for these. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define mbox_vm_flags_set(vma, flags) ((void)((vma)->vm_flags |= (flags)))
#define mbox_vm_flags_clear(vma, flags) ((void)((vma)->vm_flags &= ~(flags)))
#else
#define mbox_vm_flags_set(vma, flags) vm_flags_set(vma, flags)
#define mbox_vm_flags_clear(vma, flags) vm_flags_clear(vma, flags)
#endif

/*
 * Since 6.8 receive_fd() writes the number itself, before anybody can use the
 * file. Until then, a number that cannot be written has to be taken back.
 */
static inline int mbox_receive_fd(struct file *file, s32 __user *ufd,
				  unsigned int oflags)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	int fd = receive_fd(file, oflags);

	if (fd >= 0 && put_user(fd, ufd)) {
		close_fd(fd);
		return -EFAULT;
	}
	return fd;
#else
	return receive_fd(file, ufd, oflags);
#endif
}

/* Commit 3652117f8548 (6.8) took the number away: it is always 1. */
static inline void mbox_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/*
 * Since 6.16 inodes without a name have the type of regular files, and a flag.
 * Until then they have no type; but from 6.9 on those of processes do.
 */
static inline bool mbox_is_anon_inode(const struct inode *inode)
{
#ifdef S_ANON_INODE
	return inode->i_flags & S_ANON_INODE;
#elif defined(PID_FS_MAGIC)
	return inode->i_sb->s_magic == PID_FS_MAGIC;
#else
	return false;
#endif
}

/*
 * timens_ktime_to_host() calls a function that is not exported to modules, so
 * the offset of the caller's time namespace is applied here.
 */
static inline ktime_t mbox_monotonic_to_host(ktime_t t)
{
#ifdef CONFIG_TIME_NS
	struct timens_offsets *offsets = &current->nsproxy->time_ns->offsets;
	ktime_t offset = timespec64_to_ktime(offsets->monotonic);

	if (offset > 0 && t < offset)
		return 0;
	return offset < 0 && t > KTIME_MAX + offset ? KTIME_MAX : t - offset;
#else
	return t;
#endif
}

/*
 * Since commit 857b158dc5e8 (6.12) an ordinary thread can ask for a slice of its
 * own. Return it, or 0 for the default.
 */
static inline u64 mbox_custom_slice(const struct task_struct *task)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return 0;
#else
	/* Others may be changing it: what is seen counts. */
	return data_race(task->se.custom_slice ? task->se.slice : 0);
#endif
}

#endif /* MBOX_COMPAT_H */
