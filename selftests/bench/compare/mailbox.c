// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes by every way of calling: queues, rings, direct links, calls.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compare.h"

static bool create(struct channel *c, const struct shape *shape, const char *name, uint32_t mode,
		   uint32_t flags)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.mode = mode;
	attr.flags = flags;
	attr.capacity = shape->capacity;
	attr.msg_max = shape->size;
	c->mb = mbox_create(name, O_RDWR | (name ? O_EXCL : 0), &attr);

	return c->mb;
}

static bool open_queue(struct channel *c, const struct shape *shape)
{
	return create(c, shape, NULL, MBOX_QUEUE, 0);
}

static bool open_queue_named(struct channel *c, const struct shape *shape)
{
	char name[64];

	snprintf(name, sizeof(name), "mbox-bench-%d", getpid());

	return create(c, shape, name, MBOX_QUEUE, 0) && !mbox_unlink(name);
}

static bool open_ring(struct channel *c, const struct shape *shape)
{
	return create(c, shape, NULL, MBOX_RING, 0);
}

static bool open_ring_one(struct channel *c, const struct shape *shape)
{
	return create(c, shape, NULL, MBOX_RING, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER);
}

static void close_mailbox(struct channel *c)
{
	mbox_close(c->mb);
}

static bool send_mailbox(struct channel *c)
{
	return !mbox_send(c->mb, sent.data, c->len, 0);
}

static bool recv_mailbox(struct channel *c)
{
	return mbox_recv(c->mb, got.data, c->len, 0) == c->len;
}

/* ---- by other calls --------------------------------------------------------- */

#define SEND_SHORT _IOC(_IOC_WRITE, MBOX_IOC_MAGIC, _IOC_NR(MBOX_IOC_SEND), MBOX_MSG_SIZE_MIN)
#define RECV_SHORT _IOC(_IOC_READ | _IOC_WRITE, MBOX_IOC_MAGIC, _IOC_NR(MBOX_IOC_RECV), \
			MBOX_MSG_SIZE_MIN)

static bool send_ioctl(struct channel *c)
{
	struct mbox_msg msg;

	msg.buf = (uintptr_t)sent.data;
	msg.len = c->len;
	msg.flags = 0;

	return syscall(SYS_ioctl, mbox_fd(c->mb), SEND_SHORT, &msg) >= 0;
}

static bool recv_ioctl(struct channel *c)
{
	struct mbox_msg msg;

	msg.buf = (uintptr_t)got.data;
	msg.len = c->len;
	msg.flags = 0;

	return syscall(SYS_ioctl, mbox_fd(c->mb), RECV_SHORT, &msg) == c->len;
}

static bool send_msg(struct channel *c, unsigned int prio, unsigned int type)
{
	struct mbox_msg msg = { 0 };

	msg.buf = (uintptr_t)sent.data;
	msg.len = c->len;
	msg.prio = prio;
	msg.type = type;

	return mbox_sendmsg(c->mb, &msg) >= 0;
}

static bool recv_msg(struct channel *c, unsigned int type, unsigned int flags)
{
	struct mbox_msg msg = { 0 };

	msg.buf = (uintptr_t)got.data;
	msg.len = c->len;
	msg.type = type;
	msg.flags = flags;

	return mbox_recvmsg(c->mb, &msg) == c->len;
}

static bool send_plain_msg(struct channel *c)
{
	return send_msg(c, 0, 0);
}

static bool recv_plain_msg(struct channel *c)
{
	return recv_msg(c, 0, 0);
}

static bool send_prio(struct channel *c, unsigned int prio)
{
	return send_msg(c, prio, 0);
}

static bool send_type(struct channel *c, unsigned int type)
{
	return send_msg(c, 0, type);
}

static bool recv_type(struct channel *c, unsigned int type)
{
	return recv_msg(c, type, MBOX_MATCH);
}

/* ---- several in one call ---------------------------------------------------- */

static struct mbox_msg *fill(struct channel *c, unsigned int n, char *data)
{
	static struct mbox_msg msgs[BATCH_MOST];
	unsigned int i;

	for (i = 0; i < n; i++) {
		msgs[i] = (struct mbox_msg){ 0 };
		msgs[i].buf = (uintptr_t)data;
		msgs[i].len = c->len;
	}
	return msgs;
}

static bool send_batch(struct channel *c, unsigned int n)
{
	return mbox_sendmmsg(c->mb, fill(c, n, sent.data), n, 0) == (int)n;
}

static bool recv_batch(struct channel *c, unsigned int n)
{
	return mbox_recvmmsg(c->mb, fill(c, n, got.data), n, 0) == (int)n;
}

/* ---- direct links ------------------------------------------------------------ */

static bool open_direct(struct channel *c, const struct shape *shape)
{
	struct mbox_info info;

	/* Each process opens it, when it knows the other. */
	return !mbox_info(&info);
}

static bool join_direct(struct channel *c, pid_t other)
{
	c->mb = mbox_direct(other, O_RDWR);

	return c->mb;
}

static void close_direct(struct channel *c)
{
	/* Its processes have ended. */
}

/* ---- calls ------------------------------------------------------------------- */

static bool call(struct channel *c)
{
	return mbox_call(c->mb, sent.data, c->len, got.data, c->len, NULL) == c->len;
}

static bool serve(struct channel *c, unsigned int n)
{
	struct mbox_msg msg = { 0 };
	uint64_t token;

	msg.buf = (uintptr_t)got.data;
	msg.len = c->len;
	if (mbox_recvmsg(c->mb, &msg) < 0)
		return false;
	while (--n) {
		token = msg.token;
		msg = (struct mbox_msg){ 0 };
		msg.buf = (uintptr_t)got.data;
		msg.len = c->len;
		if (mbox_reply_recv(c->mb, token, got.data, c->len, &msg) < 0)
			return false;
	}
	return !mbox_reply(c->mb, msg.token, got.data, c->len);
}

const struct transport queue_rw = {
	.name = "queue",
	.one_of_many = true,
	.open = open_queue,
	.open_named = open_queue_named,
	.close = close_mailbox,
	.send = send_mailbox,
	.recv = recv_mailbox,
	.send_many = send_batch,
	.recv_many = recv_batch,
	.send_prio = send_prio,
	.send_type = send_type,
	.recv_type = recv_type,
};

const struct transport queue_ioctl = {
	.name = "queue, ioctl",
	.variant = true,
	.open = open_queue,
	.close = close_mailbox,
	.send = send_ioctl,
	.recv = recv_ioctl,
};

const struct transport queue_sendmsg = {
	.name = "queue, sendmsg",
	.variant = true,
	.open = open_queue,
	.close = close_mailbox,
	.send = send_plain_msg,
	.recv = recv_plain_msg,
};

const struct transport ring_many = {
	.name = "ring",
	.open = open_ring,
	.close = close_mailbox,
	.send = send_mailbox,
	.recv = recv_mailbox,
	.send_many = send_batch,
	.recv_many = recv_batch,
};

const struct transport ring_one = {
	.name = "ring, 1:1",
	.one = true,
	.open = open_ring_one,
	.close = close_mailbox,
	.send = send_mailbox,
	.recv = recv_mailbox,
	.send_many = send_batch,
	.recv_many = recv_batch,
};

const struct transport direct = {
	.name = "direct link",
	.size_most = 8192,
	.one = true,
	.apart = true,
	.both_ways = true,
	.open = open_direct,
	.join = join_direct,
	.close = close_direct,
	.send = send_mailbox,
	.recv = recv_mailbox,
};

const struct transport calls = {
	.name = "mbox_call",
	.apart = true,
	.open = open_queue,
	.close = close_mailbox,
	.call = call,
	.serve = serve,
};
