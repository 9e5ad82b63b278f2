// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's message queues: POSIX and System V.
 */
#include <sys/msg.h>
#include <unistd.h>

#include "compare.h"

static bool open_mq(struct channel *c, const struct shape *shape)
{
	struct mq_attr attr = { .mq_maxmsg = shape->capacity, .mq_msgsize = shape->size };
	char name[64];

	snprintf(name, sizeof(name), "/mbox-bench-%d", getpid());
	c->mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (c->mq == (mqd_t)-1)
		return false;
	mq_unlink(name);

	return true;
}

static void close_mq(struct channel *c)
{
	mq_close(c->mq);
}

static bool send_mq_prio(struct channel *c, unsigned int prio)
{
	return !mq_send(c->mq, sent.data, c->len, prio);
}

static bool send_mq(struct channel *c)
{
	return !mq_send(c->mq, sent.data, c->len, 0);
}

static bool recv_mq(struct channel *c)
{
	return mq_receive(c->mq, got.data, c->len, NULL) == c->len;
}

static bool open_sysv(struct channel *c, const struct shape *shape)
{
	struct msqid_ds ds;

	c->id = msgget(IPC_PRIVATE, 0600);
	if (c->id < 0)
		return false;
	if (!msgctl(c->id, IPC_STAT, &ds)) {
		ds.msg_qbytes = (unsigned long)shape->capacity * shape->size;
		if (!msgctl(c->id, IPC_SET, &ds))
			return true;
	}
	msgctl(c->id, IPC_RMID, NULL);

	return false;
}

static void close_sysv(struct channel *c)
{
	msgctl(c->id, IPC_RMID, NULL);
}

static bool send_sysv_type(struct channel *c, unsigned int type)
{
	sent.type = type + 1;

	return !msgsnd(c->id, &sent, c->len, 0);
}

static bool send_sysv(struct channel *c)
{
	sent.type = 1;

	return !msgsnd(c->id, &sent, c->len, 0);
}

static bool recv_sysv_type(struct channel *c, unsigned int type)
{
	return msgrcv(c->id, &got, c->len, type + 1, 0) == c->len;
}

static bool recv_sysv(struct channel *c)
{
	return msgrcv(c->id, &got, c->len, 0, 0) == c->len;
}

const struct transport posix_mq = {
	.name = "POSIX mq",
	.kind = KERNEL,
	.one_of_many = true,
	.open = open_mq,
	.close = close_mq,
	.send = send_mq,
	.recv = recv_mq,
	.send_prio = send_mq_prio,
};

const struct transport system_v = {
	.name = "System V",
	.kind = KERNEL,
	.one_of_many = true,
	.open = open_sysv,
	.close = close_sysv,
	.send = send_sysv,
	.recv = recv_sysv,
	.send_type = send_sysv_type,
	.recv_type = recv_sysv_type,
};
