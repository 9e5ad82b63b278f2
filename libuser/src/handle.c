// SPDX-License-Identifier: LGPL-2.1-or-later
/* Handles: where they come from and how they end. */
#define _GNU_SOURCE

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

/* Complete a handle that has a descriptor. Return whether that is one of a mailbox. */
static bool look(struct mbox *mb)
{
	if (learn(mb) == 0)
		return true;
	if (errno == ENOTTY)
		return false;
	/* Destroyed already, it fails in every call in the way of its kind. */
	mb->eof = true;
	mb->ring = was_ring(mb->fd);

	return true;
}

/* Complete a handle whose descriptor was opened, or free it if that failed. */
static struct mbox *finish(struct mbox *mb)
{
	int saved;

	if (mb->fd >= 0) {
		if (look(mb))
			return mb;
		close(mb->fd);
		errno = EINVAL;
	}
	saved = errno;
	free(mb);
	errno = saved;

	return NULL;
}

/*
 * The handle is allocated before the call, because a mailbox that was created
 * cannot be taken back when memory is short afterwards.
 */
struct mbox *mbox__handle_from_control(unsigned long cmd, void *arg)
{
	struct mbox *mb;

	mb = calloc(1, sizeof(*mb));
	if (!mb)
		return NULL;

	mb->fd = mbox__control(cmd, arg);

	return finish(mb);
}

/* Opening another FIFO could wait, and opening a device do anything. */
static bool is_mailbox(int fd)
{
	struct mbox__file file;
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || mbox__get_file(fd, &file) < 0)
		return false;
	if ((unsigned int)fs.f_type == FS_MAGIC && S_ISFIFO(file.mode))
		return true;
	errno = EINVAL;

	return false;
}

static int open_again(int fd, int oflags)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

	return open(path, oflags | O_CLOEXEC);
}

/*
 * Without /proc, the path is followed a second time. If it leads somewhere else now, the
 * open does not wait there, and is undone.
 */
static int open_same(const char *path, int found, int oflags)
{
	struct mbox__file first, second;
	int fd;

	fd = open(path, oflags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (mbox__get_file(found, &first) < 0 || mbox__get_file(fd, &second) < 0 ||
	    first.dev != second.dev || first.ino != second.ino ||
	    (!(oflags & O_NONBLOCK) && fcntl(fd, F_SETFL, oflags & ~O_CLOEXEC) < 0)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}

	return fd;
}

/*
 * Open what a path leads to if that is a mailbox. The path may lead somewhere else a moment
 * later, so it is followed once, and what it led to is opened after the check.
 */
static int open_checked(const char *path, int oflags)
{
	int found, fd = -1, saved;

	found = open(path, O_PATH | O_CLOEXEC);
	if (found < 0)
		return -1;
	if (is_mailbox(found)) {
		fd = open_again(found, oflags);
		if (fd < 0 && errno == ENOENT)
			fd = open_same(path, found, oflags);
	}
	saved = errno;
	close(found);
	errno = saved;

	return fd;
}

/* A handle that is to be opened with these flags, without a descriptor yet; or NULL. */
static struct mbox *new_handle(int oflags)
{
	if (!(oflags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC)))
		return calloc(1, sizeof(struct mbox));
	errno = EINVAL;

	return NULL;
}

/* A handle of a path that leads to a mailbox. */
static struct mbox *open_path(const char *path, int oflags)
{
	struct mbox *mb = new_handle(oflags);

	if (!mb)
		return NULL;

	mb->fd = open_checked(path, oflags);

	return finish(mb);
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
		return open_path(name, oflags);
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
	struct mbox *again = new_handle(oflags);

	if (!again)
		return NULL;

	again->fd = open_again(mb->fd, oflags);

	return finish(again);
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
