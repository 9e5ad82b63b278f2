/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernel versions, and nothing else. The code outside this file
 * reads as if written for the newest kernel.
 */
#ifndef MBX_COMPAT_H
#define MBX_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/magic.h>
#include <linux/namei.h>
#include <linux/nsproxy.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/wait.h>
#include <linux/xattr.h>

/* Commit bc292ab00f6c (6.3) made vm_flags const; only these functions change it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define mbx_vm_flags_set(vma, flags) ((void)((vma)->vm_flags |= (flags)))
#define mbx_vm_flags_clear(vma, flags) ((void)((vma)->vm_flags &= ~(flags)))
#else
#define mbx_vm_flags_set(vma, flags) vm_flags_set(vma, flags)
#define mbx_vm_flags_clear(vma, flags) vm_flags_clear(vma, flags)
#endif

/* Older kernels have no name for a variable that CONFIG_INIT_STACK_ALL_ZERO does not clear. */
#ifndef __uninitialized
#if __has_attribute(__uninitialized__)
#define __uninitialized __attribute__((__uninitialized__))
#else
#define __uninitialized
#endif
#endif

/*
 * Since 6.8 receive_fd() writes the number itself, before another thread can use the
 * descriptor. Before 6.8, a descriptor whose number cannot be written is closed again.
 */
static inline int mbx_receive_fd(struct file *file, s32 __user *ufd,
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

/* Commit 3652117f8548 (6.8) removed the count, which is always 1. */
static inline void mbx_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/* Since 6.9 pidfds have their own file system. */
static inline bool mbx_is_pidfs(const struct inode *inode)
{
#ifdef PID_FS_MAGIC
	return inode->i_sb->s_magic == PID_FS_MAGIC;
#else
	return false;
#endif
}

/*
 * Since 6.16 anonymous inodes have the type of regular files, and a flag. Before 6.16
 * they have no type.
 */
static inline bool mbx_is_anon_inode(const struct inode *inode)
{
#ifdef S_ANON_INODE
	return inode->i_flags & S_ANON_INODE;
#else
	return false;
#endif
}

/*
 * Wake the entries of a wait queue, but only one of the exclusive ones. Return whether
 * an exclusive entry was woken. __wake_up() returns that since commit ee7dc86b6d3e
 * (6.3).
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
struct mbx_queue_end {
	struct wait_queue_entry entry;
	bool reached;
};

static inline int mbx_reach_end(struct wait_queue_entry *entry,
				unsigned int mode, int flags, void *key)
{
	struct mbx_queue_end *end =
		container_of(entry, struct mbx_queue_end, entry);

	/* Wake-ups by other tasks pass over this entry. */
	if (entry->private != current)
		return 0;
	end->reached = true;
	return 1;
}
#endif

static inline bool mbx_wake_one(wait_queue_head_t *queue, void *key)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	struct mbx_queue_end end = {};

	init_waitqueue_func_entry(&end.entry, mbx_reach_end);
	end.entry.private = current;
	add_wait_queue_exclusive(queue, &end.entry);
	__wake_up(queue, TASK_NORMAL, 1, key);
	remove_wait_queue(queue, &end.entry);
	return !end.reached;
#else
	return __wake_up(queue, TASK_NORMAL, 1, key);
#endif
}

/*
 * timens_ktime_to_host() calls a function that is not exported to modules, so this
 * applies the offset of the caller's time namespace itself.
 */
static inline ktime_t mbx_monotonic_to_host(ktime_t t)
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
 * Since commit 857b158dc5e8 (6.12) a thread with a normal policy can request its own
 * slice. Return it, or 0 for the default.
 */
static inline u64 mbx_custom_slice(const struct task_struct *task)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return 0;
#else
	/* Another thread may be changing it: either value will do. */
	return data_race(task->se.custom_slice ? task->se.slice : 0);
#endif
}

/*
 * The memory that kmalloc() takes for @size bytes, at most a page. Commit
 * 05a940656e1e (6.2) added a function for it.
 */
static inline unsigned int mbx_kmalloc_size(unsigned int size)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	unsigned int pow = max_t(unsigned int, roundup_pow_of_two(size),
				 KMALLOC_MIN_SIZE);

	/* Two sizes of kmalloc() are not powers of two. */
	if (KMALLOC_MIN_SIZE <= 32 && pow == 128 && size <= 96)
		return 96;
	if (KMALLOC_MIN_SIZE <= 64 && pow == 256 && size <= 192)
		return 192;
	return pow;
#else
	return kmalloc_size_roundup(size);
#endif
}

/*
 * Commit abf08576afe3 (6.3) and others made inode operations take a mapping of ids
 * instead of a user namespace.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define mbx_idmap user_namespace
#define mbx_nop_idmap (&init_user_ns)
#else
#define mbx_idmap mnt_idmap
#define mbx_nop_idmap (&nop_mnt_idmap)
#endif

/* The last arguments of ->create(). Since 7.3 it is only one. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#define MBX_CREATE_ARGS umode_t mode, bool excl
#else
#define MBX_CREATE_ARGS umode_t mode
#endif

/* Commit 0d72b92883c6 (6.6) added the mask. */
static inline void mbx_fillattr(struct mbx_idmap *idmap, u32 mask, struct inode *inode,
				struct kstat *stat)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	generic_fillattr(idmap, inode, stat);
#else
	generic_fillattr(idmap, mask, inode, stat);
#endif
}

/* Since 6.6 functions set the times of an inode. All times become the present. */
static inline void mbx_inode_init_times(struct inode *inode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	inode->i_ctime = current_time(inode);
	inode->i_mtime = inode->i_ctime;
	inode->i_atime = inode->i_ctime;
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	inode->i_mtime = inode_set_ctime_current(inode);
	inode->i_atime = inode->i_mtime;
#else
	simple_inode_init_ts(inode);
#endif
}

static inline void mbx_inode_set_mtime(struct inode *inode, struct timespec64 mtime)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	inode->i_mtime = mtime;
#else
	inode_set_mtime_to_ts(inode, mtime);
#endif
}

static inline void mbx_inode_set_atime(struct inode *inode, struct timespec64 atime)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	inode->i_atime = atime;
#else
	inode_set_atime_to_ts(inode, atime);
#endif
}

/* A directory has changed. */
static inline void mbx_inode_touch(struct inode *inode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	inode->i_ctime = current_time(inode);
	inode->i_mtime = inode->i_ctime;
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	inode->i_mtime = inode_set_ctime_current(inode);
#else
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
#endif
}

/* The attributes of an inode have changed. */
static inline void mbx_inode_changed(struct inode *inode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	inode->i_ctime = current_time(inode);
#else
	inode_set_ctime_current(inode);
#endif
}

/* Commit 138060ba92b3 (6.2) and others made operations on ACLs take a dentry. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define mbx_acl_target inode

static inline struct inode *mbx_acl_inode(struct inode *inode)
{
	return inode;
}
#else
#define mbx_acl_target dentry

static inline struct inode *mbx_acl_inode(struct dentry *dentry)
{
	return d_inode(dentry);
}
#endif

static inline int mbx_acl_chmod(struct mbx_idmap *idmap, struct dentry *dentry,
				umode_t mode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	return posix_acl_chmod(idmap, d_inode(dentry), mode);
#else
	return posix_acl_chmod(idmap, dentry, mode);
#endif
}

/*
 * Before 6.4 ACLs need handlers of extended attributes. With handlers the kernel asks no
 * security module to set a label, unless a handler leaves it to that.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static inline int mbx_set_label(const struct xattr_handler *handler,
				struct mbx_idmap *idmap, struct dentry *dentry,
				struct inode *inode, const char *name,
				const void *value, size_t size, int flags)
{
	return value ? -EAGAIN : -EOPNOTSUPP;
}
#endif

static inline void mbx_serve_acls(struct super_block *sb)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	static const struct xattr_handler label_handler = {
		.prefix = XATTR_SECURITY_PREFIX,
		.set = mbx_set_label,
	};
	static const struct xattr_handler *handlers[] = {
		&posix_acl_access_xattr_handler,
		&posix_acl_default_xattr_handler,
		&label_handler,
		NULL,
	};

	sb->s_xattr = handlers;
#endif
}

/*
 * The names of security labels. Return their length, or an error. Older kernels return
 * the length, even if it does not fit. Newer ones move the buffer.
 */
static inline ssize_t mbx_labels_length(int (*list)(struct inode *, char *, size_t),
					struct inode *inode, char *buffer, size_t size)
{
	ssize_t len = list(inode, buffer, size);

	return buffer && len > (ssize_t)size ? -ERANGE : len;
}

static inline ssize_t mbx_labels_moved(int (*list)(struct inode *, char **, ssize_t *),
				       struct inode *inode, char *buffer, size_t size)
{
	ssize_t left = size;
	int ret = list(inode, &buffer, &left);

	return ret ? ret : (ssize_t)size - left;
}

#define mbx_labels \
	__builtin_choose_expr(__same_type(security_inode_listsecurity, \
					  int(struct inode *, char *, size_t)), \
			      mbx_labels_length, mbx_labels_moved)

static inline ssize_t mbx_list_labels(struct inode *inode, char *buffer, size_t size)
{
	return mbx_labels(security_inode_listsecurity, inode, buffer, size);
}

/* The dentry of a name that is there. Since 6.16 the name is a struct qstr. */
static inline struct dentry *mbx_lookup(const char *name, struct dentry *dir)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
	return lookup_positive_unlocked(name, dir, strlen(name));
#else
	return lookup_noperm_positive_unlocked(&QSTR(name), dir);
#endif
}

/* Commit 908a1d775422 (6.13) made one function of two steps. */
static inline void mbx_hrtimer_setup(struct hrtimer *timer,
				     enum hrtimer_restart (*fn)(struct hrtimer *timer),
				     clockid_t clock, enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
#else
	hrtimer_setup(timer, fn, clock, mode);
#endif
}

/* Commit 0357ef03c94e (6.14) made two bits of FMODE_NONOTIFY. */
static inline void mbx_file_no_events(struct file *file)
{
#ifdef FMODE_FSNOTIFY_MASK
	file->f_mode &= ~FMODE_FSNOTIFY_MASK;
#endif
	file->f_mode |= FMODE_NONOTIFY;
}

#endif /* MBX_COMPAT_H */
