// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions of <mqueue.h> on mailboxes, for programs that are not compiled for them:
 * mbox_mq(7).
 *
 * A message queue descriptor is the descriptor of a handle. What a call has to know of
 * its queue, it asks the kernel: the descriptor may have been inherited, duplicated or
 * received. Only a thread for SIGEV_THREAD belongs to the process.
 *
 * Names, limits and errors are those of Linux's own message queues and of the C library
 * around them; where POSIX leaves a choice, so is the choice.
 */
#include <errno.h>
#include <limits.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../src/internal.h"
#include "mq.h"

/* Attributes of a queue for which a program names none, if the kernel has no defaults. */
#define MAXMSG_DEFAULT 10
#define MSGSIZE_DEFAULT 8192

#define DEFAULTS "/proc/sys/fs/mqueue/"

/* ---- names ---------------------------------------------------------------- */

/*
 * The name of a mailbox in the name of a queue, or NULL and errno, in the order in which
 * the C library and the kernel look at a name.
 */
static const char *name_of(const char *name, uint32_t *len)
{
	size_t n;

	if (*name != '/') {
		errno = EINVAL;
		return NULL;
	}

	name++;
	n = strnlen(name, PATH_MAX);
	*len = n;
	errno = 0;
	if (!n)
		errno = ENOENT;
	else if (n == PATH_MAX)
		errno = ENAMETOOLONG;
	else if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		errno = EACCES;
	else if (n > MBOX_NAME_MAX)
		errno = ENAMETOOLONG;

	return errno ? NULL : name;
}

/* ---- opening -------------------------------------------------------------- */

/* A number in a file of the kernel's, or @otherwise. */
static uint32_t read_default(const char *path, uint32_t otherwise)
{
	unsigned long value = 0;
	char text[24] = "";
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return otherwise;
	if (read(fd, text, sizeof(text) - 1) > 0)
		value = strtoul(text, NULL, 10);
	close(fd);

	return value && value < UINT32_MAX ? value : otherwise;
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* As the kernel's own queues: the default, or the limit if that is less. */
static void get_defaults(struct mbox_attr *to)
{
	to->capacity = lesser(read_default(DEFAULTS "msg_default", MAXMSG_DEFAULT),
			      read_default(DEFAULTS "msg_max", UINT32_MAX));
	to->msg_max = lesser(read_default(DEFAULTS "msgsize_default", MSGSIZE_DEFAULT),
			     read_default(DEFAULTS "msgsize_max", UINT32_MAX));
}

/* What the kernel cannot take becomes 0, which it does not take either. */
static uint32_t to_u32(long value)
{
	return value > 0 && (unsigned long)value < MBOX_UNBOUNDED ? value : 0;
}

static void set_attr(struct mbox_attr *to, mode_t mode, const struct mq_attr *from)
{
	*to = (struct mbox_attr){ .mode = MBOX_QUEUE, .perm = mode & 0777 };
	if (!from) {
		get_defaults(to);
		return;
	}
	to->capacity = to_u32(from->mq_maxmsg);
	to->msg_max = to_u32(from->mq_msgsize);
	/* A mailbox can have no capacity, a queue cannot. */
	if (!to->capacity)
		to->msg_max = 0;
}

static int open_mailbox(const char *name, uint32_t len, int oflag)
{
	struct mbox_open arg = {
		.name = (uintptr_t)name,
		.name_len = len,
		.oflags = (oflag & (O_ACCMODE | O_NONBLOCK)) | O_CLOEXEC,
	};

	return mbox__control(MBOX_IOC_OPEN, &arg);
}

/* Whether there is a queue of that name, which the caller may be able to use or not. */
static bool exists(const char *name, uint32_t len)
{
	int fd = open_mailbox(name, len, O_RDONLY);

	if (fd >= 0)
		close(fd);

	return fd >= 0 || errno == EACCES;
}

static int open_queue(const char *name, uint32_t len, int oflag)
{
	if ((oflag & O_ACCMODE) != O_ACCMODE)
		return open_mailbox(name, len, oflag);

	/* With both bits, a queue can be created but not opened. */
	errno = exists(name, len) ? EINVAL : ENOENT;

	return -1;
}

static int create_queue(const char *name, uint32_t len, int oflag, const struct mbox_attr *attr)
{
	struct mbox_create arg = {
		.name = (uintptr_t)name,
		.name_len = len,
		.oflags = (oflag & (O_ACCMODE | O_NONBLOCK)) | O_CLOEXEC | O_EXCL,
		.attr = *attr,
	};
	int fd = mbox__control(MBOX_IOC_CREATE, &arg);

	/* That there is one counts more than attributes for another. */
	if (fd < 0 && errno == EINVAL)
		errno = exists(name, len) ? EEXIST : EINVAL;

	return fd;
}

/*
 * Open before creating, and create only what was not there: so the attributes do not
 * matter if the queue exists, and fs.protected_fifos, which is about FIFOs in directories
 * such as that of mailboxes, does not either.
 */
static int open_or_create(const char *name, uint32_t len, int oflag, mode_t mode,
			  const struct mq_attr *mq_attr)
{
	bool known = false;
	struct mbox_attr attr;
	int fd;

	for (;;) {
		if (!(oflag & O_CREAT) || !(oflag & O_EXCL)) {
			fd = open_queue(name, len, oflag);
			if (fd >= 0 || errno != ENOENT || !(oflag & O_CREAT))
				return fd;
		}

		if (!known)
			set_attr(&attr, mode, mq_attr);
		known = true;
		fd = create_queue(name, len, oflag, &attr);
		if (fd >= 0 || errno != EEXIST || oflag & O_EXCL)
			return fd;
	}
}

MBOX_API mqd_t mq_open(const char *name, int oflag, ...)
{
	const struct mq_attr *attr = NULL;
	mode_t mode = 0;
	uint32_t len;
	int cancel;
	va_list ap;
	mqd_t ret;

	if (oflag & O_CREAT) {
		va_start(ap, oflag);
		mode = va_arg(ap, mode_t);
		attr = va_arg(ap, struct mq_attr *);
		va_end(ap);
	}

	name = name_of(name, &len);
	if (!name)
		return -1;

	/* open(2), read(2) and close(2) are cancellation points, mq_open(3) is none. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	ret = open_or_create(name, len, oflag, mode, attr);
	pthread_setcancelstate(cancel, NULL);
	/* The limit of mailboxes; and no module. */
	if (ret < 0 && errno == EDQUOT)
		errno = ENOSPC;
	else if (ret < 0 && errno == ENODEV)
		errno = ENOSYS;

	return ret;
}

/* What <mqueue.h> makes of a call with two arguments, with _FORTIFY_SOURCE. */
mqd_t __mq_open_2(const char *name, int oflag);

MBOX_API mqd_t __mq_open_2(const char *name, int oflag)
{
	static const char text[] =
		"*** invalid mq_open call: O_CREAT without mode and attr ***: terminated\n";

	if (oflag & O_CREAT) {
		if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
			_exit(127);
		abort();
	}

	return mq_open(name, oflag);
}

MBOX_API int mq_close(mqd_t mqd)
{
	return mq__close(mqd);
}

MBOX_API int mq_unlink(const char *name)
{
	struct mbox_unlink arg = { 0 };
	int ret;

	name = name_of(name, &arg.name_len);
	if (!name)
		return -1;

	arg.name = (uintptr_t)name;
	ret = mbox__control(MBOX_IOC_UNLINK, &arg);
	if (ret < 0 && errno == ENODEV)
		errno = ENOSYS;

	return ret;
}

/* ---- attributes ----------------------------------------------------------- */

/* Fails with EBADF for everything that is no queue. */
int mq__stat(mqd_t mqd, struct mbox_stat *st)
{
	if (ioctl(mqd, MBOX_IOC_STAT, st) < 0) {
		/* Other files have other errors for an ioctl that they do not know. */
		if (errno != EIDRM)
			errno = EBADF;
		return -1;
	}
	if (st->attr.mode == MBOX_QUEUE)
		return 0;
	errno = EBADF;

	return -1;
}

/* <mqueue.h> declares that no argument is NULL. The C library does not rely on it. */
MBOX_API int set_and_get(mqd_t mqd, const struct mq_attr *attr, struct mq_attr *old)
	__asm__("mq_setattr");

MBOX_API int set_and_get(mqd_t mqd, const struct mq_attr *attr, struct mq_attr *old)
{
	struct mbox_stat st;
	int flags, nonblock;

	if (attr && attr->mq_flags & ~(long)O_NONBLOCK) {
		errno = EINVAL;
		return -1;
	}
	if (mq__stat(mqd, &st) < 0)
		return -1;
	flags = fcntl(mqd, F_GETFL);
	if (flags < 0)
		return -1;

	/* The same memory may be meant. */
	nonblock = attr && attr->mq_flags & O_NONBLOCK;
	/* Unlike F_SETFL, it changes no other flag that another thread is setting. */
	if (attr && ioctl(mqd, FIONBIO, &nonblock) < 0)
		return -1;
	if (old) {
		memset(old, 0, sizeof(*old));
		old->mq_flags = flags & O_NONBLOCK;
		old->mq_maxmsg = st.attr.capacity;
		old->mq_msgsize = st.attr.msg_max;
		old->mq_curmsgs = st.queued;
	}

	return 0;
}

MBOX_API int mq_getattr(mqd_t mqd, struct mq_attr *attr)
{
	return set_and_get(mqd, NULL, attr);
}
