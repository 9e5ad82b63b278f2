/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The other side of a test: calls that wait in a thread, signals for them,
 * descriptors passed over AF_UNIX.
 */
#ifndef SELFTESTS_PEERS_H
#define SELFTESTS_PEERS_H

#include <poll.h>
#include <pthread.h>
#include <sys/un.h>

#include "wrappers.h"

/**
 * struct call - one ioctl in a thread of its own
 * @cmd: the ioctl
 * @arg: its argument, if it is not @msg
 * @msg: the argument of a send or a receive; buf and len are those of @value
 *	unless set
 * @value: the message
 * @rt_prio: run with SCHED_FIFO at this priority, unless 0
 * @nice: nice value
 * @ret: the result, or -errno
 */
struct call {
	pthread_t thread;
	int fd;
	unsigned int cmd;
	void *arg;
	struct mbox_msg msg;
	__u32 value;
	int rt_prio;
	int nice;
	pid_t tid;
	long ret;
};

static inline void *call_run(void *arg)
{
	struct call *c = arg;
	struct sched_param param = { .sched_priority = c->rt_prio };

	c->ret = 0;
	if (c->rt_prio)
		c->ret = neg(sched_setscheduler(0, SCHED_FIFO, &param));
	if (c->nice)
		c->ret = neg(setpriority(PRIO_PROCESS, syscall(SYS_gettid), c->nice));
	__atomic_store_n(&c->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	if (!c->ret)
		c->ret = raw(c->fd, c->cmd, c->arg ? c->arg : &c->msg);
	return NULL;
}

/* Small stacks: some tests have many of these. */
static inline int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	ret = pthread_create(thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -ret;
}

static inline int call_start(struct call *c, int fd, unsigned int cmd)
{
	c->fd = fd;
	c->cmd = cmd;
	c->tid = 0;
	if (!c->msg.buf && !c->msg.len) {
		c->msg.buf = (uintptr_t)&c->value;
		c->msg.len = sizeof(c->value);
	}
	return thread_start(&c->thread, call_run, c);
}

static inline int send_start(struct call *c, int fd, __u32 value)
{
	c->value = value;
	return call_start(c, fd, MBOX_IOC_SEND);
}

static inline int recv_start(struct call *c, int fd)
{
	c->value = POISON32;
	return call_start(c, fd, MBOX_IOC_RECV);
}

/* The result of the call, or -errno. */
static inline long call_join(struct call *c)
{
	pthread_join(c->thread, NULL);
	return c->ret;
}

/* The number that it received, or -errno. */
static inline long recv_join(struct call *c)
{
	long ret = call_join(c);

	if (ret < 0)
		return ret;
	return ret == sizeof(c->value) && c->value <= INT32_MAX ? (long)c->value : -EBADMSG;
}

/*
 * Until thread *@tid sleeps in the kernel, wherever: for calls that stat does
 * not count.
 */
static inline int await_asleep(pid_t *tid)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	char path[64], text[128];
	const char *state;

	do {
		snprintf(path, sizeof(path), "/proc/%d/stat",
			 __atomic_load_n(tid, __ATOMIC_ACQUIRE));
		if (!read_file(path, text, sizeof(text))) {
			state = strrchr(text, ')');
			if (state && state[2] == 'S')
				return 0;
		}
		pause_briefly();
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	return -ETIMEDOUT;
}

/**
 * struct poller - ppoll(2) in a thread
 * @fd: of which file
 * @events: for which events
 * @ret: the events, or -errno
 */
struct poller {
	pthread_t thread;
	pid_t tid;
	int fd;
	short events;
	int ret;
};

static inline void *poller_run(void *arg)
{
	struct poller *p = arg;
	struct pollfd pfd = { .fd = p->fd, .events = p->events };

	__atomic_store_n(&p->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	/* Without a limit: at its end it would check once more by itself. */
	p->ret = ppoll(&pfd, 1, NULL, NULL) < 0 ? -errno : pfd.revents;
	return NULL;
}

/* Return when it sleeps. */
static inline int poller_start(struct poller *p, int fd, short events)
{
	p->fd = fd;
	p->events = events;
	p->tid = 0;
	return thread_start(&p->thread, poller_run, p) ?: await_asleep(&p->tid);
}

/* The events, or -errno. */
static inline int poller_join(struct poller *p)
{
	pthread_join(p->thread, NULL);
	return p->ret;
}

/* Signals: how often the handler ran, in the whole process. */
static volatile int signals_seen;

static inline void count_signal(int sig)
{
	(void)sig;
	__atomic_fetch_add(&signals_seen, 1, __ATOMIC_SEQ_CST);
}

static inline int catch_signal(int sig, int flags)
{
	struct sigaction action = {
		.sa_handler = count_signal,
		.sa_flags = flags,
	};

	signals_seen = 0;
	return neg(sigaction(sig, &action, NULL));
}

static inline int await_signals(int n)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (__atomic_load_n(&signals_seen, __ATOMIC_SEQ_CST) < n) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return -ETIMEDOUT;
		pause_briefly();
	}
	return 0;
}

static inline int pass_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &hdr, 0) == 1 ? 0 : neg(-1);
}

static inline int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC) != 1)
		return neg(-1);
	cmsg = CMSG_FIRSTHDR(&hdr);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -ENOMSG;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

#endif /* SELFTESTS_PEERS_H */
