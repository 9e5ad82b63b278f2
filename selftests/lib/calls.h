/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls in threads of their own, and the raw calls of a server. */
#ifndef SELFTESTS_CALLS_H
#define SELFTESTS_CALLS_H

#include "peers.h"

/**
 * struct caller - one call in a thread of its own
 * @call: the thread
 * @req: its argument; buf and rep are @value and @rep unless set
 * @value: the request
 * @rep: the reply
 */
struct caller {
	struct call call;
	struct mbox_request req;
	__u32 value;
	__u32 rep;
};

static inline int caller_start(struct caller *c, int fd, __u32 value)
{
	c->value = value;
	c->rep = POISON32;
	if (!c->req.buf && !c->req.len) {
		c->req.buf = (uintptr_t)&c->value;
		c->req.len = sizeof(c->value);
	}
	if (!c->req.rep && !c->req.rep_len) {
		c->req.rep = (uintptr_t)&c->rep;
		c->req.rep_len = sizeof(c->rep);
	}
	c->call.arg = &c->req;
	return call_start(&c->call, fd, MBOX_IOC_CALL);
}

/* The number in the reply, or -errno. */
static inline long caller_join(struct caller *c)
{
	long ret = call_join(&c->call);

	if (ret < 0)
		return ret;
	return ret == sizeof(c->rep) && c->rep <= INT32_MAX ? (long)c->rep : -EBADMSG;
}

static inline long raw_reply(int fd, __u64 token, const void *buf, size_t len)
{
	struct mbox_reply arg = { .token = token, .buf = (uintptr_t)buf, .len = len };

	return raw(fd, MBOX_IOC_REPLY, &arg);
}

static inline long answer(int fd, __u64 token, __u32 value)
{
	return raw_reply(fd, token, &value, sizeof(value));
}

/* The request's number, and its token; -errno. */
static inline long get_request(int fd, __u32 flags, __u64 *token)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), flags);
	long ret;

	*token = ~0ULL;
	ret = raw(fd, MBOX_IOC_RECV, &msg);
	if (ret < 0)
		return ret;
	*token = msg.token;
	return ret == sizeof(value) && value <= INT32_MAX ? (long)value : -EBADMSG;
}

/* Reply, then get the next request: its number and its token, or -errno. */
static inline long reply_recv(int fd, __u64 *token, __u32 value, __u32 flags)
{
	__u32 in = POISON32;
	struct mbox_msg msg = msg_of(&in, sizeof(in), flags);
	struct mbox_reply_recv arg = {
		.reply.token = *token,
		.reply.buf = (uintptr_t)&value,
		.reply.len = sizeof(value),
		.next = (uintptr_t)&msg,
		.next_size = sizeof(msg),
	};
	long ret = raw(fd, MBOX_IOC_REPLY_RECV, &arg);

	*token = ret < 0 ? arg.reply.token : msg.token;
	return ret < 0 ? ret : (long)in;
}

/* ---- calls that do not wait ----------------------------------------------- */

/* Start a call with this request: its token is in *@token; or -errno. */
static inline long raw_call_start(int fd, const struct mbox_msg *req, __u32 rep_max,
				  __u64 *token)
{
	struct mbox_call_start arg = {
		.req = (uintptr_t)req,
		.msg_size = sizeof(*req),
		.rep_max = rep_max,
		.token = ~0ULL,
	};
	long ret = raw(fd, MBOX_IOC_CALL_START, &arg);

	*token = arg.token;
	return ret;
}

/* Fetch a call: *@token is 0 if it is not the call that failed. */
static inline long raw_call_wait(int fd, __u64 *token, struct mbox_msg *rep, __u64 deadline_ns)
{
	struct mbox_call_wait arg = {
		.token = *token,
		.rep = (uintptr_t)rep,
		.deadline_ns = deadline_ns,
		.msg_size = sizeof(*rep),
	};
	long ret = raw(fd, MBOX_IOC_CALL_WAIT, &arg);

	*token = arg.ended ? arg.token : 0;
	return ret;
}

static inline long raw_call_cancel(int fd, __u64 token)
{
	struct mbox_call_cancel arg = { .token = token };

	return raw(fd, MBOX_IOC_CALL_CANCEL, &arg);
}

/* Most requests and replies are one number. */
static inline long start_call(int fd, __u32 value, __u32 flags, __u64 deadline_ns, __u64 *token)
{
	struct mbox_msg req = msg_of(&value, sizeof(value), flags);

	req.deadline_ns = deadline_ns;
	return raw_call_start(fd, &req, sizeof(value), token);
}

/* The number in the reply to *@token (0: to any), or -errno; does not wait. */
static inline long fetch_call(int fd, __u64 *token)
{
	__u32 value = POISON32;
	struct mbox_msg rep = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
	long ret = raw_call_wait(fd, token, &rep, 0);

	if (ret < 0)
		return ret;
	return ret == sizeof(value) && value <= INT32_MAX ? (long)value : -EBADMSG;
}

static inline long fetch_any_call(int fd)
{
	__u64 token = 0;

	return fetch_call(fd, &token);
}

#endif /* SELFTESTS_CALLS_H */
