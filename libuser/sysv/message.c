// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sending and receiving: one system call each, once the process knows the queue, without
 * lock and allocation.
 */
#include <errno.h>
#include <pthread.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
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
#define IOC_SEND IOC_UP_TO(MBOX_IOC_SEND, token)
#define IOC_RECEIVE IOC_UP_TO(MBOX_IOC_RECV, token)

/* A function of its own, so that what is usual has few registers to save. */
#define OTHERWISE __attribute__((noinline))

/* How long a send sleeps that waits for a larger limit before it looks again. */
#define PAUSE_NS 20000000

/* What a program has in front of the text. */
struct head {
	long type;
	char text[];
};

/**
 * struct held - a queue that a call has a reference to
 * @queue: the queue
 * @fd: its handle for the call
 */
struct held {
	struct sysv_queue *queue;
	int fd;
};

/* False and errno if there is none. For put(). */
static bool get(struct held *held, int id, int side)
{
	held->queue = sysv__get(id, side);
	if (!held->queue)
		return false;
	held->fd = atomic_load_explicit(&held->queue->fd[side], memory_order_relaxed);

	return true;
}

static void put(void *held)
{
	sysv__put(((struct held *)held)->queue);
}

/*
 * The thread can be cancelled by another one, which it has to be while it waits. Its
 * reference goes with it.
 */
static int transfer(struct held *held, unsigned long cmd, struct mbox_msg *msg)
{
	int type, ret;

	pthread_cleanup_push(put, held);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	ret = ioctl(held->fd, cmd, msg);
	pthread_setcanceltype(type, NULL);
	pthread_cleanup_pop(1);

	return ret;
}

/*
 * The queue without a reference, if the process has one thread and has used it before. Only
 * a signal handler can make the process forget the queue then, and a call does not look at
 * it after the system call. If the handler runs before that, and uses another queue besides,
 * the call can get that one's descriptor: mbox_sysv(7) forbids it.
 */
static inline struct sysv_queue *known(int id, int side)
{
#if __GLIBC_PREREQ(2, 32)
	if (__libc_single_threaded)
		return sysv__known(id, side);
#endif
	return NULL;
}

/* ioctl(2) in fewer steps than ioctl() and syscall(), which take any arguments. */
static inline int call_ioctl(int fd, unsigned long cmd, struct mbox_msg *msg)
{
#if defined(__x86_64__) && !defined(__ILP32__)
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(SYS_ioctl), "D"((long)fd), "S"(cmd), "d"(msg)
			 : "rcx", "r11", "memory");
	if (ret >= 0)
		return ret;
	errno = -ret;

	return -1;
#else
	return syscall(SYS_ioctl, fd, cmd, msg);
#endif
}

/* The system call for such a queue. A cancellation point. */
static inline int transfer_alone(int fd, unsigned long cmd, struct mbox_msg *msg)
{
	/* The only thread may have cancelled itself. */
	pthread_testcancel();

	return call_ioctl(fd, cmd, msg);
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

static void restore_signals(void *mask)
{
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

/* @mask: of signals in the pauses. */
static int look_for_limit(int id, struct mbox_msg *msg, const sigset_t *mask)
{
	const struct timespec t = { .tv_nsec = PAUSE_NS };
	struct held held;

	for (;;) {
		if (ppoll(NULL, 0, &t, mask) < 0 || !get(&held, id, SYSV_SEND))
			return -1;
		if (!transfer(&held, IOC_SEND, msg))
			return 0;
		if (errno == EMSGSIZE)
			continue;
		errno = EAGAIN;
		return -1;
	}
}

/*
 * A message that is longer than all that the queue may have now waits until that changes,
 * for which mailboxes have no call: so it looks again and again, without waiting. A signal
 * between two pauses would not end the call, so signals come in pauses only. Returns 0 if
 * the message was sent, otherwise -1 and errno; EAGAIN: now the call that waits knows more.
 */
static int send_at_larger_limit(int id, struct mbox_msg *msg)
{
	sigset_t all, mask;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	pthread_cleanup_push(restore_signals, &mask);
	msg->flags |= MBOX_DONTWAIT;
	ret = look_for_limit(id, msg, &mask);
	msg->flags &= ~MBOX_DONTWAIT;
	pthread_cleanup_pop(1);

	return ret;
}

static bool is_too_long(const struct sysv_queue *queue, size_t len)
{
	if (len <= queue->msg_max)
		return false;
	errno = EINVAL;

	return true;
}

/* The other ways to send. @fd: a call with it failed, see errno; -1: none was made. */
static OTHERWISE int send_otherwise(int id, size_t len, int flags, struct mbox_msg *msg, int fd)
{
	struct held held;
	int ret;

	for (;;) {
		if (fd >= 0 && errno == EMSGSIZE) {
			if (flags & IPC_NOWAIT)
				errno = EAGAIN;
			else if (!send_at_larger_limit(id, msg))
				return 0;
			if (flags & IPC_NOWAIT || errno != EAGAIN)
				return failed(id, flags);
		} else if (fd >= 0 && !was_closed(fd, id)) {
			return failed(id, flags);
		}
		if (!get(&held, id, SYSV_SEND))
			return -1;
		if (is_too_long(held.queue, len)) {
			put(&held);
			return -1;
		}
		ret = transfer(&held, IOC_SEND, msg);
		if (!ret)
			return 0;
		fd = held.fd;
	}
}

MBOX_API int msgsnd(int id, const void *msgp, size_t len, int flags)
{
	struct sysv_queue *queue;
	struct mbox_msg msg;
	int fd = -1;
	long type;

	if (!sysv__can_read(msgp, sizeof(type)))
		return -1;
	memcpy(&type, msgp, sizeof(type));
	if (type < 1) {
		errno = EINVAL;
		return -1;
	}

	msg.buf = (uintptr_t)msgp + offsetof(struct head, text);
	msg.len = len;
	msg.flags = MBOX_NORESTART | (flags & IPC_NOWAIT ? MBOX_DONTWAIT : 0);
	msg.deadline_ns = 0;
	msg.prio = 0;
	msg.skip = 0;
	msg.type = type;
	queue = known(id, SYSV_SEND);
	if (queue) {
		if (is_too_long(queue, len))
			return -1;
		fd = queue->fd[SYSV_SEND];
		if (!transfer_alone(fd, IOC_SEND, &msg))
			return 0;
	}

	return send_otherwise(id, len, flags, &msg, fd);
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

/* The other ways to receive. @fd: as for send_otherwise(). */
static OTHERWISE int receive_otherwise(int id, int flags, struct mbox_msg *msg, int fd)
{
	struct held held;
	int ret;

	for (;;) {
		if (fd >= 0 && !was_closed(fd, id))
			return receive_failed(id, flags);
		if (!get(&held, id, SYSV_RECEIVE))
			return -1;
		ret = transfer(&held, IOC_RECEIVE, msg);
		if (ret >= 0)
			return ret;
		fd = held.fd;
	}
}

MBOX_API ssize_t msgrcv(int id, void *msgp, size_t len, long type, int flags)
{
	struct sysv_queue *queue;
	struct mbox_msg msg;
	int ret = -1, fd = -1;

	if ((ssize_t)len < 0) {
		errno = EINVAL;
		return -1;
	}
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
	queue = known(id, SYSV_RECEIVE);
	if (queue) {
		fd = queue->fd[SYSV_RECEIVE];
		ret = transfer_alone(fd, IOC_RECEIVE, &msg);
	}
	if (ret < 0) {
		ret = receive_otherwise(id, flags, &msg, fd);
		if (ret < 0)
			return -1;
	}

	if ((size_t)ret > len)
		ret = len;
	if (!store_type(msgp, msg.type, ret))
		return -1;

	return ret;
}
