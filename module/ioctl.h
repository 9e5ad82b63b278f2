/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dispatch of ioctls: from a number to its handler.
 */
#ifndef MBX_IOCTL_H
#define MBX_IOCTL_H

#include <linux/build_bug.h>
#include <linux/fs.h>
#include <linux/mbox.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>

/* The argument of any ioctl, in the layout of this version. */
union mbx_arg {
	struct mbox_info info;
	struct mbox_create create;
	struct mbox_open open;
	struct mbox_unlink unlink;
	struct mbox_walk walk;
	struct mbox_direct direct;
	struct mbox_total total;
	struct mbox_msg msg;
	struct mbox_vec vec;
	struct mbox_stat stat;
	struct mbox_set_capacity set_capacity;
	struct mbox_ring_wait ring_wait;
	struct mbox_ring_wake ring_wake;
	struct mbox_request request;
	struct mbox_reply reply;
	struct mbox_reply_recv reply_recv;
	struct mbox_notify notify;
	struct mbox_lease lease;
	struct mbox_call_start call_start;
	struct mbox_call_wait call_wait;
	struct mbox_call_cancel call_cancel;
	struct mbox_callmsg callmsg;
	struct mbox_replymsg replymsg;
	struct mbox_expel expel;
	struct mbox_set_reader set_reader;
};

/* Most arguments are at most so long: those of calls that are made for each message. */
#define MBX_ARG_USUAL 128

/**
 * struct mbx_ioctl - one ioctl
 * @cmd: its number, with the direction and the size of this version
 * @min: size of the part that every caller must pass
 * @fn: the handler; @arg is a copy of the caller's structure, filled up with zeros;
 *	@uarg and @usize are the address and the size of the caller's structure
 */
struct mbx_ioctl {
	unsigned int cmd;
	unsigned int min;
	long (*fn)(struct file *file, union mbx_arg *arg, void __user *uarg,
		   size_t usize);
};

/*
 * A row of a table. Its place is the number of the ioctl minus @first, the number of
 * the table's first ioctl. @type is the structure of this version, and @last is the
 * last field that every caller must pass. The tables have a fixed length, so a row
 * that belongs to another table does not compile. Neither does a row whose structure
 * has another size than the number says.
 */
#define MBX_IOCTL(first, number, handler, type, last) \
	[_IOC_NR(number) - (first)] = { \
		.cmd = (number) + \
		       BUILD_BUG_ON_ZERO(sizeof(type) != _IOC_SIZE(number)) + \
		       BUILD_BUG_ON_ZERO(sizeof(type) > sizeof(union mbx_arg)), \
		.min = offsetofend(type, last), \
		.fn = handler, \
	}

/* A row for an ioctl without a structure. */
#define MBX_IOCTL_PLAIN(first, number, handler) \
	[_IOC_NR(number) - (first)] = { \
		.cmd = (number) + BUILD_BUG_ON_ZERO(_IOC_SIZE(number)), \
		.fn = handler, \
	}

/**
 * mbx_ioctl_respond() - copy the results of an ioctl to user space
 * @uarg: address of the caller's structure
 * @usize: size of the caller's structure
 * @arg: the results
 * @size: size of @arg
 *
 * Return: 0 or -EFAULT.
 */
static inline int mbx_ioctl_respond(void __user *uarg, size_t usize,
				    const void *arg, size_t size)
{
	return copy_to_user(uarg, arg, min(usize, size)) ? -EFAULT : 0;
}

long mbx_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
	       const struct mbx_ioctl *table, unsigned int first,
	       unsigned int n);

#endif /* MBX_IOCTL_H */
