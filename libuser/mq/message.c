// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sending and receiving: one system call each, without lock and allocation, so that signal
 * handlers can call these functions, as they can call those of the C library.
 */
#include <errno.h>
#include <mqueue.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <time.h>
#if __GLIBC_PREREQ(2, 32)
#include <sys/single_threaded.h>
#endif

#include "../src/internal.h"
#include "mq.h"

#define NSEC_PER_SEC 1000000000

/* The parts of a message structure that a call needs; the shorter, the cheaper. */
#define IOC_UP_TO(ioc, field) \
	_IOC(_IOC_DIR(ioc), _IOC_TYPE(ioc), _IOC_NR(ioc), offsetof(struct mbox_msg, field))

/* On 32-bit systems, for programs with 64 bits of time. */
struct time64 {
	int64_t tv_sec;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	int32_t pad;
	int32_t tv_nsec;
#else
	int32_t tv_nsec;
	int32_t pad;
#endif
};

/* Nanoseconds of a deadline, or -1 and errno. As the kernel, before all else. */
static int64_t deadline_of(int64_t sec, long nsec)
{
	if (sec < 0 || nsec < 0 || nsec >= NSEC_PER_SEC) {
		errno = EINVAL;
		return -1;
	}
	/* The far future: as far as the kernel's clocks go, 292 years. */
	if (sec >= INT64_MAX / NSEC_PER_SEC)
		return INT64_MAX;
	/* 0 would mean "no deadline". */
	if (!sec && !nsec)
		return 1;

	return sec * NSEC_PER_SEC + nsec;
}

/* The error of an ioctl, in the words of mq_send(3) and mq_receive(3). */
static int failed(void)
{
	switch (errno) {
	case EAGAIN:
	case EFAULT:
	case EIDRM:
	case EINTR:
	case EMSGSIZE:
	case ENOMEM:
	case ETIMEDOUT:
		break;
	case EDQUOT:
		errno = ENOMEM;
		break;
	default:
		/* It is no queue: other files have other errors for what they do not know. */
		errno = EBADF;
	}

	return -1;
}

/* The thread can be cancelled by another one, which it has to be while it waits. */
static int threads_transfer(mqd_t mqd, unsigned long cmd, struct mbox_msg *msg)
{
	int type, ret;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	ret = ioctl(mqd, cmd, msg);
	pthread_setcanceltype(type, NULL);

	return ret;
}

/* A cancellation point. */
static inline int transfer(mqd_t mqd, unsigned long cmd, struct mbox_msg *msg)
{
	int ret;

#if __GLIBC_PREREQ(2, 32)
	if (__libc_single_threaded) {
		/* It may have cancelled itself. */
		pthread_testcancel();
		ret = ioctl(mqd, cmd, msg);
		return ret < 0 ? failed() : ret;
	}
#endif
	ret = threads_transfer(mqd, cmd, msg);

	return ret < 0 ? failed() : ret;
}

static int send_until(mqd_t mqd, const char *buf, size_t len, unsigned int prio, int64_t deadline)
{
	struct mbox_msg msg;

	if (prio > MBOX_PRIO_MAX) {
		errno = EINVAL;
		return -1;
	}

	msg.buf = (uintptr_t)buf;
	msg.len = mbox__clamp_len(len);
	msg.flags = MBOX_REALTIME;
	msg.deadline_ns = deadline;
	msg.prio = prio;
	msg.skip = 0;
	if (!deadline && !prio)
		return transfer(mqd, IOC_UP_TO(MBOX_IOC_SEND, deadline_ns), &msg);

	return transfer(mqd, IOC_UP_TO(MBOX_IOC_SEND, type), &msg);
}

static ssize_t receive_until(mqd_t mqd, char *buf, size_t len, unsigned int *prio,
			     int64_t deadline)
{
	struct mbox_msg msg;
	int ret;

	msg.buf = (uintptr_t)buf;
	msg.len = mbox__clamp_len(len);
	msg.flags = MBOX_LONGEST | MBOX_REALTIME;
	if (!prio && !deadline)
		return transfer(mqd, IOC_UP_TO(MBOX_IOC_RECV, deadline_ns), &msg);

	msg.deadline_ns = deadline;
	msg.skip = 0;
	ret = transfer(mqd, IOC_UP_TO(MBOX_IOC_RECV, type), &msg);
	if (ret >= 0 && prio)
		*prio = msg.prio;

	return ret;
}

MBOX_API int mq_send(mqd_t mqd, const char *buf, size_t len, unsigned int prio)
{
	return send_until(mqd, buf, len, prio, 0);
}

MBOX_API ssize_t mq_receive(mqd_t mqd, char *buf, size_t len, unsigned int *prio)
{
	return receive_until(mqd, buf, len, prio, 0);
}

/* <mqueue.h> declares that no argument is NULL. The C library does not rely on it. */
MBOX_API int timed_send(mqd_t mqd, const char *buf, size_t len, unsigned int prio,
			const struct timespec *until) __asm__("mq_timedsend");
MBOX_API ssize_t timed_receive(mqd_t mqd, char *buf, size_t len, unsigned int *prio,
			       const struct timespec *until) __asm__("mq_timedreceive");

MBOX_API int timed_send(mqd_t mqd, const char *buf, size_t len, unsigned int prio,
			const struct timespec *until)
{
	int64_t deadline = until ? deadline_of(until->tv_sec, until->tv_nsec) : 0;

	return deadline < 0 ? -1 : send_until(mqd, buf, len, prio, deadline);
}

MBOX_API ssize_t timed_receive(mqd_t mqd, char *buf, size_t len, unsigned int *prio,
			       const struct timespec *until)
{
	int64_t deadline = until ? deadline_of(until->tv_sec, until->tv_nsec) : 0;

	return deadline < 0 ? -1 : receive_until(mqd, buf, len, prio, deadline);
}

/* Declared by <mqueue.h> only where they are what mq_timedsend() means. */
int __mq_timedsend_time64(mqd_t mqd, const char *buf, size_t len, unsigned int prio,
			  const struct time64 *until);
ssize_t __mq_timedreceive_time64(mqd_t mqd, char *buf, size_t len, unsigned int *prio,
				 const struct time64 *until);

MBOX_API int __mq_timedsend_time64(mqd_t mqd, const char *buf, size_t len, unsigned int prio,
				   const struct time64 *until)
{
	int64_t deadline = until ? deadline_of(until->tv_sec, until->tv_nsec) : 0;

	return deadline < 0 ? -1 : send_until(mqd, buf, len, prio, deadline);
}

MBOX_API ssize_t __mq_timedreceive_time64(mqd_t mqd, char *buf, size_t len, unsigned int *prio,
					  const struct time64 *until)
{
	int64_t deadline = until ? deadline_of(until->tv_sec, until->tv_nsec) : 0;

	return deadline < 0 ? -1 : receive_until(mqd, buf, len, prio, deadline);
}
