// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's message queues: POSIX and System V; and what stands in for POSIX queues.
 */
#include <dlfcn.h>
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

/* The functions of the same names in libmbox-mq.so. */
static struct {
	mqd_t (*open)(const char *name, int flags, ...);
	int (*close)(mqd_t mq);
	int (*unlink)(const char *name);
	int (*send)(mqd_t mq, const char *data, size_t len, unsigned int prio);
	ssize_t (*receive)(mqd_t mq, char *data, size_t len, unsigned int *prio);
} drop_in;

static bool load_drop_in(void)
{
	void *library = dlopen("libmbox-mq.so", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return false;
	*(void **)&drop_in.open = dlsym(library, "mq_open");
	*(void **)&drop_in.close = dlsym(library, "mq_close");
	*(void **)&drop_in.unlink = dlsym(library, "mq_unlink");
	*(void **)&drop_in.send = dlsym(library, "mq_send");
	*(void **)&drop_in.receive = dlsym(library, "mq_receive");

	return drop_in.open && drop_in.close && drop_in.unlink && drop_in.send && drop_in.receive;
}

static bool open_drop_in(struct channel *c, const struct shape *shape)
{
	struct mq_attr attr = { .mq_maxmsg = shape->capacity, .mq_msgsize = shape->size };
	char name[64];

	if (!drop_in.receive && !load_drop_in())
		return false;
	snprintf(name, sizeof(name), "/mbox-bench-%d", getpid());
	c->mq = drop_in.open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (c->mq == (mqd_t)-1)
		return false;
	drop_in.unlink(name);

	return true;
}

static void close_drop_in(struct channel *c)
{
	drop_in.close(c->mq);
}

static bool send_drop_in(struct channel *c)
{
	return !drop_in.send(c->mq, sent.data, c->len, 0);
}

static bool recv_drop_in(struct channel *c)
{
	return drop_in.receive(c->mq, got.data, c->len, NULL) == c->len;
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

const struct transport mq_drop_in = {
	.name = "POSIX mq, drop-in",
	.kind = OURS,
	.open = open_drop_in,
	.close = close_drop_in,
	.send = send_drop_in,
	.recv = recv_drop_in,
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
