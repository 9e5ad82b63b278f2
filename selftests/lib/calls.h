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

#endif /* SELFTESTS_CALLS_H */
