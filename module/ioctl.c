// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dispatch of ioctls. /dev/mbox and the handles have tables with one row for each
 * ioctl. The structure of an ioctl can grow: its number contains the size of the
 * structure that the program was compiled with, and the module copies the part that
 * both know. Nothing here takes a lock.
 */
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "ioctl.h"
#include "user_copy.h"

/* Copy the argument to @karg, which has room for it, and call the handler. */
static __always_inline long carry_out(struct file *file, const struct mbx_ioctl *ioctl,
				      unsigned int cmd, void __user *uarg, void *karg)
{
	unsigned int usize = _IOC_SIZE(cmd), ksize = _IOC_SIZE(ioctl->cmd);
	unsigned int size = min(ksize, usize);

	if (size < ksize)
		memset(karg + size, 0, ksize - size);
	if (_IOC_DIR(cmd) & _IOC_WRITE) {
		if (!mbx_copy_from_user(karg, uarg, size))
			return -EFAULT;
	} else {
		memset(karg, 0, size);
	}
	return ioctl->fn(file, karg, uarg, usize);
}

/* A function of its own: the compiler may clear all of a variable on the stack. */
static noinline long carry_out_large(struct file *file, const struct mbx_ioctl *ioctl,
				     unsigned int cmd, void __user *uarg)
{
	union mbx_arg karg;

	return carry_out(file, ioctl, cmd, uarg, &karg);
}

/**
 * mbx_ioctl() - carry out an ioctl
 * @file: the file
 * @cmd: the number of the ioctl
 * @arg: address of the caller's structure
 * @table: the ioctls of @file, by number
 * @first: number of the first ioctl in the table
 * @n: length of the table
 *
 * Return: what the handler returns, or -ENOTTY, -EINVAL, -E2BIG, -EFAULT.
 */
long mbx_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
	       const struct mbx_ioctl *table, unsigned int first,
	       unsigned int n)
{
	void __user *uarg = (void __user *)arg;
	unsigned int nr = _IOC_NR(cmd) - first;
	unsigned int usize = _IOC_SIZE(cmd);
	/* carry_out() fills it. */
	u64 karg[MBX_ARG_USUAL / sizeof(u64)] __uninitialized;
	const struct mbx_ioctl *ioctl;
	unsigned int ksize;
	int ret;

	if (unlikely(nr >= n))
		return -ENOTTY;
	ioctl = &table[array_index_nospec(nr, n)];
	/* Everything in the number except the size must match. */
	if (unlikely((cmd ^ ioctl->cmd) & ~IOCSIZE_MASK))
		return -ENOTTY;
	if (unlikely(usize < ioctl->min))
		return -EINVAL;

	ksize = _IOC_SIZE(ioctl->cmd);
	if (unlikely(usize > ksize)) {
		ret = check_zeroed_user(uarg + ksize, usize - ksize);
		if (ret <= 0)
			return ret ?: -E2BIG;
	}
	if (unlikely(ksize > sizeof(karg)))
		return carry_out_large(file, ioctl, cmd, uarg);
	return carry_out(file, ioctl, cmd, uarg, karg);
}
