// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Messages: sending and receiving. Each function is one system call, without
 * allocation, lock or global state, so that signal handlers can call it.
 *
 * Calls without flags are write(2) and read(2): they take a shorter way through
 * the kernel than an ioctl, which matters at the cost of a small message. With a
 * length of 0 those do nothing, so empty messages go the other way.
 */
#include <errno.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

/*
 * The ioctls accept a message structure that ends early. The short form is the
 * required part; the timed form ends with the deadline. The less is copied, the
 * cheaper is the call.
 */
#define MSG_SIZE_TIMED offsetof(struct mbox_msg, prio)

#define IOC_SIZED(ioc, size) _IOC(_IOC_DIR(ioc), _IOC_TYPE(ioc), _IOC_NR(ioc), (size))

#define IOC_SEND_SHORT IOC_SIZED(MBOX_IOC_SEND, MBOX_MSG_SIZE_MIN)
#define IOC_RECV_SHORT IOC_SIZED(MBOX_IOC_RECV, MBOX_MSG_SIZE_MIN)
#define IOC_SEND_TIMED IOC_SIZED(MBOX_IOC_SEND, MSG_SIZE_TIMED)
#define IOC_RECV_TIMED IOC_SIZED(MBOX_IOC_RECV, MSG_SIZE_TIMED)

/*
 * read(2) and write(2) fail for a buffer that cannot be that long, whatever the
 * message needs of it. No message is longer than this, and the ioctls only look
 * at what they use.
 */
#define RW_MAX (1 << 24)

static bool fits_rw(size_t len)
{
	return len - 1 < RW_MAX;
}

#define NSEC_PER_SEC 1000000000

int64_t mbox__deadline_to_ns(const struct timespec *ts)
{
	/* time_t may have 32 bits. */
	int64_t sec = ts->tv_sec;

	if (sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= NSEC_PER_SEC) {
		errno = EINVAL;
		return -1;
	}

	/* The far future: as far as the kernel's clocks go, 292 years. */
	if (sec >= INT64_MAX / NSEC_PER_SEC)
		return INT64_MAX;

	/* 0 would mean "no deadline". */
	if (!sec && !ts->tv_nsec)
		return 1;

	return sec * NSEC_PER_SEC + ts->tv_nsec;
}

int mbox__send_too_long(size_t len)
{
	if (len <= INT_MAX)
		return 0;
	errno = EMSGSIZE;
	return 1;
}

MBOX_API int mbox_send(struct mbox *mb, const void *buf, size_t len, unsigned int flags)
{
	struct mbox_msg msg;

	if (mb->ring)
		return mbox__ring_send(mb, buf, len, flags, 0);
	if (mbox__send_too_long(len))
		return -1;

	/* A message is written whole, or not at all. */
	if (!flags && fits_rw(len))
		return write(mb->fd, buf, len) < 0 ? -1 : 0;

	msg.buf = (uintptr_t)buf;
	msg.len = len;
	msg.flags = flags;

	return ioctl(mb->fd, IOC_SEND_SHORT, &msg);
}

MBOX_API ssize_t mbox_recv(struct mbox *mb, void *buf, size_t len, unsigned int flags)
{
	struct mbox_msg msg;

	if (mb->ring)
		return mbox__ring_recv(mb, buf, len, flags, 0);

	/* The end of the file would look like an empty message. */
	if (!flags && !mb->eof && fits_rw(len))
		return read(mb->fd, buf, len);

	msg.buf = (uintptr_t)buf;
	msg.len = mbox__clamp_len(len);
	msg.flags = flags;

	return ioctl(mb->fd, IOC_RECV_SHORT, &msg);
}

MBOX_API int mbox_timedsend(struct mbox *mb, const void *buf, size_t len, unsigned int flags,
			    const struct timespec *deadline)
{
	struct mbox_msg msg;
	int64_t ns;

	if (!deadline)
		return mbox_send(mb, buf, len, flags);

	ns = mbox__deadline_to_ns(deadline);
	if (ns < 0)
		return -1;
	if (mb->ring)
		return mbox__ring_send(mb, buf, len, flags, ns);
	if (mbox__send_too_long(len))
		return -1;

	msg.buf = (uintptr_t)buf;
	msg.len = len;
	msg.flags = flags;
	msg.deadline_ns = ns;

	return ioctl(mb->fd, IOC_SEND_TIMED, &msg);
}

MBOX_API ssize_t mbox_timedrecv(struct mbox *mb, void *buf, size_t len, unsigned int flags,
				const struct timespec *deadline)
{
	struct mbox_msg msg;
	int64_t ns;

	if (!deadline)
		return mbox_recv(mb, buf, len, flags);

	ns = mbox__deadline_to_ns(deadline);
	if (ns < 0)
		return -1;
	if (mb->ring)
		return mbox__ring_recv(mb, buf, len, flags, ns);

	msg.buf = (uintptr_t)buf;
	msg.len = mbox__clamp_len(len);
	msg.flags = flags;
	msg.deadline_ns = ns;

	return ioctl(mb->fd, IOC_RECV_TIMED, &msg);
}

MBOX_API int mbox_sendmsg(struct mbox *mb, struct mbox_msg *msg)
{
	if (mb->ring)
		return mbox__ring_sendmsg(mb, msg);

	return ioctl(mb->fd, MBOX_IOC_SEND, msg);
}

MBOX_API ssize_t mbox_recvmsg(struct mbox *mb, struct mbox_msg *msg)
{
	if (mb->ring)
		return mbox__ring_recvmsg(mb, msg);

	return ioctl(mb->fd, MBOX_IOC_RECV, msg);
}

static int batch(struct mbox *mb, unsigned long cmd, struct mbox_msg *vec, unsigned int n,
		 unsigned int flags)
{
	struct mbox_vec arg = {
		.msgs = (uintptr_t)vec,
		.n = n,
		.flags = flags,
		.msg_size = sizeof(*vec),
	};

	return ioctl(mb->fd, cmd, &arg);
}

MBOX_API int mbox_sendmmsg(struct mbox *mb, struct mbox_msg *vec, unsigned int n,
			   unsigned int flags)
{
	if (mb->ring)
		return mbox__ring_batch(mb, vec, n, flags, true);

	return batch(mb, MBOX_IOC_SENDV, vec, n, flags);
}

MBOX_API int mbox_recvmmsg(struct mbox *mb, struct mbox_msg *vec, unsigned int n,
			   unsigned int flags)
{
	if (mb->ring)
		return mbox__ring_batch(mb, vec, n, flags, false);

	return batch(mb, MBOX_IOC_RECVV, vec, n, flags);
}
