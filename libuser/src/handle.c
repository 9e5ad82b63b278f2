// SPDX-License-Identifier: LGPL-2.1-or-later
/* Handles: where they come from and how they end. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

/* What the handle has to know of its mailbox. */
static int learn(struct mbox *mb)
{
	struct mbox_stat st;

	if (ioctl(mb->fd, MBOX_IOC_STAT, &st) < 0)
		return -1;
	mb->eof = st.attr.flags & MBOX_HANGUP;
	mb->ring = st.attr.mode == MBOX_RING;

	return 0;
}

/*
 * The handle is allocated before the call, because a mailbox that was created
 * cannot be taken back when memory is short afterwards.
 */
struct mbox *mbox__handle_from_control(unsigned long cmd, void *arg)
{
	struct mbox *mb;
	int saved;

	mb = calloc(1, sizeof(*mb));
	if (!mb)
		return NULL;

	mb->fd = mbox__control(cmd, arg);
	if (mb->fd < 0) {
		saved = errno;
		free(mb);
		errno = saved;
		return NULL;
	}

	/* Destroyed already, it fails in every call, whichever way. */
	if (learn(mb) < 0)
		mb->eof = true;

	return mb;
}

MBOX_API struct mbox *mbox_create(const char *name, int oflags, const struct mbox_attr *attr)
{
	struct mbox_create arg = { .oflags = oflags, .attr = MBOX_ATTR_INIT };
	int len;

	if (name) {
		len = mbox__name_len(name);
		if (len < 0)
			return NULL;
		arg.name = (uintptr_t)name;
		arg.name_len = len;
	}

	if (attr)
		arg.attr = *attr;

	return mbox__handle_from_control(MBOX_IOC_CREATE, &arg);
}

MBOX_API struct mbox *mbox_open(const char *name, int oflags)
{
	struct mbox_open arg = { .oflags = oflags };
	int len;

	len = mbox__name_len(name);
	if (len < 0)
		return NULL;

	arg.name = (uintptr_t)name;
	arg.name_len = len;

	return mbox__handle_from_control(MBOX_IOC_OPEN, &arg);
}

MBOX_API struct mbox *mbox_open_id(uint64_t id, int oflags)
{
	struct mbox_open arg = { .oflags = oflags, .id = id };

	return mbox__handle_from_control(MBOX_IOC_OPEN, &arg);
}

MBOX_API struct mbox *mbox_from_fd(int fd)
{
	struct mbox *mb;
	int saved;

	mb = calloc(1, sizeof(*mb));
	if (!mb)
		return NULL;
	mb->fd = fd;

	/* Only a mailbox handle answers this. */
	if (learn(mb) < 0) {
		saved = errno == ENOTTY ? EINVAL : errno;
		free(mb);
		errno = saved;
		return NULL;
	}

	return mb;
}

MBOX_API int mbox_fd(const struct mbox *mb)
{
	return mb->fd;
}

MBOX_API int mbox_close(struct mbox *mb)
{
	int fd;

	if (!mb)
		return 0;

	fd = mb->fd;
	mbox__helper_end(mb->helper);
	mbox__ring_close(mb);
	free(mb);

	return close(fd);
}
