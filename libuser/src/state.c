// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state of a mailbox: asking for it, changing it, ending it. */
#include <sys/ioctl.h>

#include "internal.h"

MBOX_API int mbox_stat(struct mbox *mb, struct mbox_stat *st)
{
	return ioctl(mb->fd, MBOX_IOC_STAT, st);
}

MBOX_API int mbox_set_capacity(struct mbox *mb, uint32_t capacity)
{
	struct mbox_set_capacity arg = { .capacity = capacity };

	return ioctl(mb->fd, MBOX_IOC_SET_CAPACITY, &arg);
}

MBOX_API int mbox_destroy(struct mbox *mb)
{
	return ioctl(mb->fd, MBOX_IOC_DESTROY);
}
