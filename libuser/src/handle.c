// SPDX-License-Identifier: LGPL-2.1-or-later
/* Handles: where they come from and how they end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "internal.h"

/* What statfs(2) reports of a mailbox: "mbox". */
#define FS_MAGIC 0x6d626f78

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
 * Whether a destroyed mailbox was a ring: on a queue there is no such ioctl, on a
 * ring this one fails otherwise.
 */
static bool was_ring(int fd)
{
	struct mbox_ring_wait arg = { .flags = MBOX_DONTWAIT };

	return ioctl(fd, MBOX_IOC_RING_WAIT, &arg) >= 0 || errno != EOPNOTSUPP;
}

/* Complete a handle that has a descriptor. */
static void look(struct mbox *mb)
{
	/* Destroyed already, it fails in every call in the way of its kind. */
	if (learn(mb) < 0) {
		mb->eof = true;
		mb->ring = was_ring(mb->fd);
	}
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

	look(mb);

	return mb;
}

/* A handle of a path that leads to a mailbox. */
static struct mbox *open_path(const char *path, int oflags)
{
	struct mbox *mb;
	int saved;

	if (oflags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC)) {
		errno = EINVAL;
		return NULL;
	}
	mb = calloc(1, sizeof(*mb));
	if (!mb)
		return NULL;

	mb->fd = open(path, oflags | O_CLOEXEC);
	if (mb->fd < 0) {
		saved = errno;
		free(mb);
		errno = saved;
		return NULL;
	}
	look(mb);

	return mb;
}

/* Opening another FIFO could wait, so this is checked before. */
static bool is_mailbox(const char *path)
{
	struct statfs fs;
	struct stat st;

	if (statfs(path, &fs) < 0 || stat(path, &st) < 0)
		return false;
	if ((unsigned int)fs.f_type == FS_MAGIC && S_ISFIFO(st.st_mode))
		return true;
	errno = EINVAL;

	return false;
}

/* The permission bits are not compared: they depend on the umask, and change. */
static bool has_attr(struct mbox *mb, const struct mbox_attr *attr)
{
	int saved = errno;
	struct mbox_stat st;

	if (mbox_stat(mb, &st) < 0) {
		errno = saved;
		return true;
	}

	return st.attr.mode == attr->mode && st.attr.flags == attr->flags &&
	       st.attr.capacity == attr->capacity && st.attr.msg_max == attr->msg_max;
}

MBOX_API struct mbox *mbox_create(const char *name, int oflags, const struct mbox_attr *attr)
{
	return mbox_create_with(name, oflags, attr, NULL);
}

/* A program can know more options than this library, as long as they have no value. */
static bool read_options(struct mbox_options *to, const struct mbox_options *from)
{
	const char *tail = (const char *)from + sizeof(*to);
	size_t i;

	*to = (struct mbox_options)MBOX_OPTIONS_INIT;
	if (from->size < sizeof(from->size)) {
		errno = EINVAL;
		return false;
	}
	for (i = sizeof(*to); i < from->size; i++)
		if (*tail++) {
			errno = E2BIG;
			return false;
		}
	memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
	to->size = sizeof(*to);

	return true;
}

MBOX_API struct mbox *mbox_create_with(const char *name, int oflags, const struct mbox_attr *attr,
				       const struct mbox_options *options)
{
	struct mbox_create arg = { .oflags = oflags | O_CLOEXEC, .attr = MBOX_ATTR_INIT };
	struct mbox *mb;
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
	if (options && !read_options(&arg.options, options))
		return NULL;

	mb = mbox__handle_from_control(MBOX_IOC_CREATE, &arg);
	if (mb && name && !(oflags & O_EXCL) && !has_attr(mb, &arg.attr))
		errno = EEXIST;

	return mb;
}

MBOX_API struct mbox *mbox_open(const char *name, int oflags)
{
	struct mbox_open arg = { .oflags = oflags | O_CLOEXEC };
	int len;

	if (name && strchr(name, '/'))
		return is_mailbox(name) ? open_path(name, oflags) : NULL;
	len = mbox__name_len(name);
	if (len < 0)
		return NULL;

	arg.name = (uintptr_t)name;
	arg.name_len = len;

	return mbox__handle_from_control(MBOX_IOC_OPEN, &arg);
}

MBOX_API struct mbox *mbox_open_id(uint64_t id, int oflags)
{
	struct mbox_open arg = { .oflags = oflags | O_CLOEXEC, .id = id };

	return mbox__handle_from_control(MBOX_IOC_OPEN, &arg);
}

MBOX_API struct mbox *mbox_reopen(struct mbox *mb, int oflags)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", mb->fd);

	return open_path(path, oflags);
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
	if (!mbox__ring_close(mb))
		return 0;
	free(mb);

	return close(fd);
}
