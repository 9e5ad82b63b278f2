// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sending and receiving: one system call each, once the process knows the queue, without
 * lock and allocation.
 */
#include <errno.h>
#include <pthread.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <time.h>
#if __GLIBC_PREREQ(2, 32)
#include <sys/single_threaded.h>
#endif

#include "../src/internal.h"
#include "sysv.h"

#ifndef MSG_EXCEPT
#define MSG_EXCEPT 020000
#endif
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

/* The part of a message structure that a call needs; the shorter, the cheaper. */
#define IOC_UP_TO(ioc, field) \
	_IOC(_IOC_DIR(ioc), _IOC_TYPE(ioc), _IOC_NR(ioc), offsetof(struct mbox_msg, field))

/* How long a send sleeps that waits for a larger limit before it looks again. */
#define PAUSE_NS 20000000

/* What a program has in front of the text. */
struct head {
	long type;
	char text[];
};

static void put(void *queue)
{
	sysv__put(queue);
}

/*
 * The thread can be cancelled by another one, which it has to be while it waits. Its
 * reference goes with it.
 */
static int threads_transfer(struct sysv_queue *queue, int fd, unsigned long cmd,
			    struct mbox_msg *msg)
{
	int type, ret;

	pthread_cleanup_push(put, queue);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	ret = ioctl(fd, cmd, msg);
	pthread_setcanceltype(type, NULL);
	pthread_cleanup_pop(0);

	return ret;
}

/* A cancellation point. */
static inline int transfer(struct sysv_queue *queue, int fd, unsigned long cmd,
			   struct mbox_msg *msg)
{
#if __GLIBC_PREREQ(2, 32)
	if (__libc_single_threaded) {
		/* It may have cancelled itself. */
		pthread_testcancel();
		return ioctl(fd, cmd, msg);
	}
#endif
	return threads_transfer(queue, fd, cmd, msg);
}

/*
 * After an error: a descriptor is the process's, and programs close those that they do not
 * know. Returns whether to try again with another one.
 */
static bool was_closed(int fd, int id)
{
	if (errno != EBADF && errno != ENOTTY && errno != EINVAL && errno != EOPNOTSUPP)
		return false;

	return sysv__was_closed(id, fd);
}

/* An error of both calls, in the words of their pages. */
static int failed(int id, int flags)
{
	switch (errno) {
	case EIDRM:
		sysv__forget(id);
		/* It did not wait, so the queue was removed before. */
		if (flags & IPC_NOWAIT)
			errno = EINVAL;
		break;
	case EDQUOT:
		errno = ENOMEM;
		break;
	}

	return -1;
}

/* ---- sending --------------------------------------------------------------------- */

/*
 * A message that is longer than all that the queue may have now waits until that changes,
 * for which mailboxes have no call: so it looks again and again. Returns whether to do so.
 */
static bool pause_for_limit(int flags)
{
	const struct timespec t = { .tv_nsec = PAUSE_NS };

	if (flags & IPC_NOWAIT) {
		errno = EAGAIN;
		return false;
	}

	return nanosleep(&t, NULL) == 0;
}

MBOX_API int msgsnd(int id, const void *msgp, size_t len, int flags)
{
	struct sysv_queue *queue;
	struct mbox_msg msg;
	int ret, fd;
	long type;

	if (!sysv__can_read(msgp, sizeof(type)))
		return -1;
	memcpy(&type, msgp, sizeof(type));
	if (type < 1) {
		errno = EINVAL;
		return -1;
	}

	msg.buf = (uintptr_t)msgp + offsetof(struct head, text);
	msg.flags = MBOX_NORESTART | (flags & IPC_NOWAIT ? MBOX_DONTWAIT : 0);
	msg.deadline_ns = 0;
	msg.prio = 0;
	msg.skip = 0;
	msg.type = type;
	do {
		queue = sysv__get(id, SYSV_SEND);
		if (!queue)
			return -1;
		if (len > queue->msg_max) {
			sysv__put(queue);
			errno = EINVAL;
			return -1;
		}
		msg.len = len;
		fd = atomic_load_explicit(&queue->fd[SYSV_SEND], memory_order_relaxed);
		ret = transfer(queue, fd, IOC_UP_TO(MBOX_IOC_SEND, token), &msg);
		sysv__put(queue);
		if (ret == 0)
			return 0;
	} while (errno == EMSGSIZE ? pause_for_limit(flags) : was_closed(fd, id));

	return failed(id, flags);
}

/* ---- receiving -------------------------------------------------------------------- */

/* What to receive, and whether there is such a thing. */
static bool set_match(struct mbox_msg *msg, long type, int flags)
{
	msg->skip = 0;
	msg->type = 0;
	if (flags & MSG_COPY) {
		if (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)) {
			errno = EINVAL;
			return false;
		}
		msg->flags |= MBOX_PEEK;
		/* There is none of a number below 0, and no queue has so many messages. */
		msg->skip = type < 0 || type > INT_MAX ? UINT32_MAX : (uint32_t)type;
		return true;
	}
	if (!type)
		return true;
	if (type < 0) {
		msg->flags |= MBOX_MATCH_LE;
		msg->type = type == LONG_MIN ? LONG_MAX : -type;
	} else {
		msg->flags |= flags & MSG_EXCEPT ? MBOX_MATCH_NOT : MBOX_MATCH;
		msg->type = type;
	}

	return true;
}

/* In the words of msgrcv(2). */
static ssize_t receive_failed(int id, int flags)
{
	switch (errno) {
	case EAGAIN:
		errno = ENOMSG;
		break;
	case EMSGSIZE:
		/* The kernel's own copy finds out later. */
		errno = flags & MSG_COPY && flags & MSG_NOERROR ? EINVAL : E2BIG;
		break;
	default:
		failed(id, flags);
	}

	return -1;
}

/*
 * Whether the memory of the type can be written is known if the kernel has just written
 * the text, and both are in one page.
 */
static bool store_type(void *msgp, long type, int len)
{
	const uintptr_t page = ~(uintptr_t)4095;
	uintptr_t addr = (uintptr_t)msgp;

	if ((!len || (addr & page) != ((addr + sizeof(type)) & page)) &&
	    !sysv__can_write(msgp, sizeof(type)))
		return false;
	memcpy(msgp, &type, sizeof(type));

	return true;
}

MBOX_API ssize_t msgrcv(int id, void *msgp, size_t len, long type, int flags)
{
	struct sysv_queue *queue;
	struct mbox_msg msg;
	int ret, fd;

	if ((ssize_t)len < 0) {
		errno = EINVAL;
		return -1;
	}
	do {
		msg.buf = (uintptr_t)msgp + offsetof(struct head, text);
		msg.len = mbox__clamp_len(len);
		msg.flags = MBOX_NORESTART;
		if (flags & IPC_NOWAIT)
			msg.flags |= MBOX_DONTWAIT;
		/* A copy is not cut. */
		if ((flags & (MSG_NOERROR | MSG_COPY)) == MSG_NOERROR)
			msg.flags |= MBOX_TRUNC;
		msg.deadline_ns = 0;
		msg.prio = 0;
		if (!set_match(&msg, type, flags))
			return -1;
		queue = sysv__get(id, SYSV_RECEIVE);
		if (!queue)
			return -1;
		fd = atomic_load_explicit(&queue->fd[SYSV_RECEIVE], memory_order_relaxed);
		ret = transfer(queue, fd, IOC_UP_TO(MBOX_IOC_RECV, token), &msg);
		sysv__put(queue);
	} while (ret < 0 && was_closed(fd, id));
	if (ret < 0)
		return receive_failed(id, flags);

	if ((size_t)ret > len)
		ret = len;
	if (!store_type(msgp, msg.type, ret))
		return -1;

	return ret;
}
