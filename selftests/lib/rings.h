/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings through the library: one number a message, and calls that wait in a
 * thread.
 */
#ifndef SELFTESTS_RINGS_H
#define SELFTESTS_RINGS_H

#include "peers.h"

static inline struct mbox *new_ring(__u32 flags, __u32 capacity, __u32 msg_max)
{
	struct mbox_attr attr = attr_of(flags, capacity);

	attr.mode = MBOX_RING;
	attr.msg_max = msg_max;
	return mbox_create(NULL, O_RDWR | O_CLOEXEC, &attr);
}

/*
 * A ring whose only sender and only receiver have asymmetric fences, or not. By
 * default they have none in a virtual machine.
 */
static inline struct mbox *new_ring_with(bool asym_fences, __u32 flags, __u32 capacity,
					 __u32 msg_max)
{
	struct mbox *mb;

	if (param_set("ring_barriers", asym_fences))
		return NULL;
	mb = new_ring(flags, capacity, msg_max);
	return param_set("ring_barriers", -1) ? NULL : mb;
}

/* Another handle on the same ring. */
static inline struct mbox *open_ring(struct mbox *mb, int oflags)
{
	return mbox_open_id(stat_of(mbox_fd(mb)).id, oflags | O_CLOEXEC);
}

/* Neither waits. */
static inline long ring_put(struct mbox *mb, __u32 value)
{
	return neg(mbox_send(mb, &value, sizeof(value), MBOX_DONTWAIT));
}

static inline long ring_take(struct mbox *mb)
{
	__u32 value = POISON32;
	long ret = neg(mbox_recv(mb, &value, sizeof(value), MBOX_DONTWAIT));

	if (ret < 0)
		return ret;
	return ret == sizeof(value) && value <= INT32_MAX ? (long)value : -EBADMSG;
}

/**
 * struct ring_call - a call of the library in a thread of its own
 * @mb: on which handle
 * @send: which call
 * @value: sent or received
 * @deadline: NULL for none
 * @flags: of the call
 * @ret: 0, the number received, or -errno
 */
struct ring_call {
	pthread_t thread;
	struct mbox *mb;
	bool send;
	__u32 value;
	const struct timespec *deadline;
	unsigned int flags;
	pid_t tid;
	long ret;
};

static inline void *ring_call_run(void *arg)
{
	struct ring_call *c = arg;

	__atomic_store_n(&c->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	if (c->send) {
		c->ret = neg(mbox_timedsend(c->mb, &c->value, sizeof(c->value), c->flags,
					    c->deadline));
		return NULL;
	}
	c->value = POISON32;
	c->ret = neg(mbox_timedrecv(c->mb, &c->value, sizeof(c->value), c->flags, c->deadline));
	if (c->ret >= 0)
		c->ret = c->ret == sizeof(c->value) ? (long)c->value : -EBADMSG;
	return NULL;
}

static inline int ring_send_start(struct ring_call *c, struct mbox *mb, __u32 value)
{
	c->mb = mb;
	c->send = true;
	c->value = value;
	return thread_start(&c->thread, ring_call_run, c);
}

static inline int ring_recv_start(struct ring_call *c, struct mbox *mb)
{
	c->mb = mb;
	c->send = false;
	return thread_start(&c->thread, ring_call_run, c);
}

static inline long ring_join(struct ring_call *c)
{
	pthread_join(c->thread, NULL);
	return c->ret;
}

static inline struct timespec deadline_in(clockid_t clock, int ms)
{
	__s64 ns = in_ms(clock, ms);
	struct timespec ts = {
		.tv_sec = ns / (1000 * NSEC_PER_MSEC),
		.tv_nsec = ns % (1000 * NSEC_PER_MSEC),
	};

	return ts;
}

#endif /* SELFTESTS_RINGS_H */
