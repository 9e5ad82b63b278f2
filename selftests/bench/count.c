// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions of a send and a receive that never wait, by message size: a
 * mailbox against a POSIX message queue, both through their C library and both
 * as bare system calls; and rings, which make no system call. Exits 1 if the
 * mailbox needs more than the message queue at any size.
 *
 * See measure.h for where to run it.
 */
#include <mbox.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

#define NAME "/mbox-bench-count"

static const size_t sizes[] = { 8, 64, 1024, 4096 };

#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

/**
 * struct channels - all kinds, and what is sent through them
 * @mb: the mailbox
 * @ring: the same as a ring
 * @ring_one: a ring for one sender and one receiver
 * @mq: the message queue
 * @len: length of the message
 * @sent: the message
 * @got: room for a message
 */
struct channels {
	struct mbox *mb;
	struct mbox *ring;
	struct mbox *ring_one;
	mqd_t mq;
	size_t len;
	char sent[4096];
	char got[4096];
};

static inline void pair_through(struct channels *c, struct mbox *mb)
{
	if (mbox_send(mb, c->sent, c->len, 0) < 0 ||
	    mbox_recv(mb, c->got, sizeof(c->got), 0) != (ssize_t)c->len)
		err(1, "mbox, %zu bytes", c->len);
}

static void pair_mbox(void *arg)
{
	struct channels *c = arg;

	pair_through(c, c->mb);
}

static void pair_ring(void *arg)
{
	struct channels *c = arg;

	pair_through(c, c->ring);
}

static void pair_ring_one(void *arg)
{
	struct channels *c = arg;

	pair_through(c, c->ring_one);
}

static void pair_mq(void *arg)
{
	struct channels *c = arg;

	if (mq_send(c->mq, c->sent, c->len, 0) < 0 ||
	    mq_receive(c->mq, c->got, sizeof(c->got), NULL) != (ssize_t)c->len)
		err(1, "mq, %zu bytes", c->len);
}

static void pair_mbox_raw(void *arg)
{
	struct channels *c = arg;
	struct mbox_msg msg;

	msg.buf = (uintptr_t)c->sent;
	msg.len = c->len;
	msg.flags = 0;
	if (syscall(SYS_ioctl, mbox_fd(c->mb),
		    _IOC(_IOC_WRITE, MBOX_IOC_MAGIC, _IOC_NR(MBOX_IOC_SEND), MBOX_MSG_SIZE_MIN),
		    &msg) < 0)
		err(1, "SEND, %zu bytes", c->len);

	msg.buf = (uintptr_t)c->got;
	msg.len = sizeof(c->got);
	msg.flags = 0;
	if (syscall(SYS_ioctl, mbox_fd(c->mb),
		    _IOC(_IOC_READ | _IOC_WRITE, MBOX_IOC_MAGIC, _IOC_NR(MBOX_IOC_RECV),
			 MBOX_MSG_SIZE_MIN),
		    &msg) != (long)c->len)
		err(1, "RECV, %zu bytes", c->len);
}

static void pair_mq_raw(void *arg)
{
	struct channels *c = arg;

	if (syscall(SYS_mq_timedsend, c->mq, c->sent, c->len, 0, NULL) < 0)
		err(1, "mq_timedsend, %zu bytes", c->len);
	if (syscall(SYS_mq_timedreceive, c->mq, c->got, sizeof(c->got), NULL, NULL) != (long)c->len)
		err(1, "mq_timedreceive, %zu bytes", c->len);
}

static struct mbox *create(uint32_t mode, uint32_t flags, uint32_t capacity, uint32_t msg_max)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;

	attr.mode = mode;
	attr.flags = flags;
	attr.capacity = capacity;
	attr.msg_max = msg_max;
	mb = mbox_create(NULL, O_RDWR, &attr);
	if (!mb)
		err(1, "mbox_create");

	return mb;
}

static void open_channels(struct channels *c)
{
	struct mq_attr mqattr = { .mq_maxmsg = 10, .mq_msgsize = sizeof(c->sent) };

	c->mb = create(MBOX_QUEUE, 0, mqattr.mq_maxmsg, mqattr.mq_msgsize);
	c->ring = create(MBOX_RING, 0, mqattr.mq_maxmsg, mqattr.mq_msgsize);
	c->ring_one = create(MBOX_RING, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, mqattr.mq_maxmsg,
			     mqattr.mq_msgsize);

	c->mq = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &mqattr);
	if (c->mq == (mqd_t)-1)
		err(1, "mq_open");
	mq_unlink(NAME);

	/* Also touches the pages. */
	memset(c->sent, 's', sizeof(c->sent));
	memset(c->got, 'g', sizeof(c->got));
}

int main(void)
{
	double mbox, mq, mbox_raw, mq_raw, ring, ring_one;
	static struct channels c;
	int status = 0;
	size_t i;

	open_channels(&c);

	printf("instructions of a send and a receive that do not wait\n");
	printf("%6s %9s %9s %6s %14s %14s %9s %9s\n", "size", "mbox", "mq", "ratio",
	       "mbox syscalls", "mq syscalls", "ring", "1:1 ring");
	for (i = 0; i < NSIZES; i++) {
		c.len = sizes[i];
		mbox = pair_cost(pair_mbox, &c);
		mq = pair_cost(pair_mq, &c);
		mbox_raw = pair_cost(pair_mbox_raw, &c);
		mq_raw = pair_cost(pair_mq_raw, &c);
		ring = pair_cost(pair_ring, &c);
		ring_one = pair_cost(pair_ring_one, &c);
		printf("%6zu %9.1f %9.1f %6.3f %14.1f %14.1f %9.1f %9.1f\n", c.len, mbox, mq,
		       mbox / mq, mbox_raw, mq_raw, ring, ring_one);
		if (mbox > mq)
			status = 1;
	}
	printf("mbox against mq: at most 1.000: %s\n", status ? "too much" : "ok");

	return status;
}
