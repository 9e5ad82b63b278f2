// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls that are about /dev/mbox and not about a handle. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

int mbox__control(unsigned long cmd, void *arg)
{
	int cancel, saved, ret, fd;

	/* A cancelled thread would leave the descriptor open. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	fd = open("/dev/mbox", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		/* A node without a driver behind it is ENXIO or ENODEV. */
		if (errno == ENOENT || errno == ENXIO)
			errno = ENODEV;
		ret = -1;
		goto out;
	}

	ret = ioctl(fd, cmd, arg);
	saved = errno;
	close(fd);
	errno = saved;

out:
	pthread_setcancelstate(cancel, NULL);

	return ret;
}

int mbox__name_len(const char *name)
{
	size_t len;

	/* The kernel takes an empty name for "none": anonymous, or by id. */
	if (!name || !*name) {
		errno = EINVAL;
		return -1;
	}

	len = strnlen(name, MBOX_NAME_MAX + 1);
	if (len > MBOX_NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}

	return len;
}

MBOX_API int mbox_unlink(const char *name)
{
	struct mbox_unlink arg = { 0 };
	int len;

	len = mbox__name_len(name);
	if (len < 0)
		return -1;

	arg.name = (uintptr_t)name;
	arg.name_len = len;

	return mbox__control(MBOX_IOC_UNLINK, &arg);
}

MBOX_API int mbox_walk(struct mbox_walk *pos)
{
	return mbox__control(MBOX_IOC_WALK, pos);
}

MBOX_API int mbox_info(struct mbox_info *info)
{
	return mbox__control(MBOX_IOC_INFO, info);
}
