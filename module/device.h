/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctl table, shared by /dev/mbox and by handles.
 */
#ifndef MBOX_DEVICE_H
#define MBOX_DEVICE_H

#include <linux/fs.h>
#include <linux/mbox.h>

/* Any argument of an ioctl, as the handlers see it. */
union mbox_arg {
	struct mbox_info info;
	struct mbox_create create;
	struct mbox_open open;
	struct mbox_unlink unlink;
	struct mbox_walk walk;
	struct mbox_direct direct;
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
};

/**
 * struct mbox_ioctl - one ioctl
 * @cmd: its number, with direction and size of this version
 * @min: size of the part that every caller must pass
 * @copies_out: the handler itself copies its results to user space
 * @fn: the handler; @arg is a copy of the caller's structure, continued with
 *	zeros, @usize the size of the caller's
 */
struct mbox_ioctl {
	unsigned int cmd;
	unsigned int min;
	bool copies_out;
	long (*fn)(struct file *file, union mbox_arg *arg, void __user *uarg,
		   size_t usize);
};

long mbox_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
		const struct mbox_ioctl *table, unsigned int first,
		unsigned int n);

int mbox_device_init(void);
void mbox_device_exit(void);

#endif /* MBOX_DEVICE_H */
