// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state of a mailbox: asking for it, changing it, ending it. */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

MBOX_API int mbox_stat(struct mbox *mb, struct mbox_stat *st)
{
	return ioctl(mb->fd, MBOX_IOC_STAT, st);
}

MBOX_API int mbox_set_perm(struct mbox *mb, uid_t uid, gid_t gid, mode_t mode)
{
	if (mode != (mode_t)-1 && mode & ~0777) {
		errno = EINVAL;
		return -1;
	}
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(mb->fd, uid, gid) < 0)
		return -1;
	if (mode != (mode_t)-1 && fchmod(mb->fd, mode) < 0)
		return -1;

	return 0;
}

MBOX_API int mbox_set_capacity(struct mbox *mb, uint32_t capacity)
{
	struct mbox_set_capacity arg = { .capacity = capacity };

	return ioctl(mb->fd, MBOX_IOC_SET_CAPACITY, &arg);
}

MBOX_API int mbox_expel(struct mbox *mb, uint64_t *reader, uint64_t *unread, unsigned int flags)
{
	struct mbox_expel arg = {
		.reader = reader ? *reader : 0,
		.unread = unread ? *unread : 0,
		.flags = flags,
	};

	if (ioctl(mb->fd, MBOX_IOC_EXPEL, &arg) < 0)
		return -1;
	if (reader)
		*reader = arg.reader;
	if (unread)
		*unread = arg.unread;

	return 0;
}

MBOX_API int mbox_set_reader(struct mbox *mb, unsigned int policy)
{
	struct mbox_set_reader arg = { .policy = policy };

	return ioctl(mb->fd, MBOX_IOC_SET_READER, &arg);
}

MBOX_API int mbox_destroy(struct mbox *mb)
{
	return ioctl(mb->fd, MBOX_IOC_DESTROY);
}
