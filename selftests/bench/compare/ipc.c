// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's message queues: POSIX and System V; and what stands in for them.
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

static bool ask_mq(struct channel *c, int cmd)
{
	struct mq_attr attr;

	return !mq_getattr(c->mq, &attr);
}

/* The functions of the same names in libmbox-mq.so and libmbox-sysv.so. */
static struct {
	mqd_t (*open)(const char *name, int flags, ...);
	int (*close)(mqd_t mq);
	int (*unlink)(const char *name);
	int (*send)(mqd_t mq, const char *data, size_t len, unsigned int prio);
	ssize_t (*receive)(mqd_t mq, char *data, size_t len, unsigned int *prio);
	int (*getattr)(mqd_t mq, struct mq_attr *attr);
	int (*msgget)(key_t key, int flags);
	int (*msgctl)(int id, int cmd, struct msqid_ds *ds);
	int (*msgsnd)(int id, const void *msg, size_t len, int flags);
	ssize_t (*msgrcv)(int id, void *msg, size_t len, long type, int flags);
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
	*(void **)&drop_in.getattr = dlsym(library, "mq_getattr");

	return drop_in.open && drop_in.close && drop_in.unlink && drop_in.send &&
	       drop_in.receive && drop_in.getattr;
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

static bool ask_drop_in(struct channel *c, int cmd)
{
	struct mq_attr attr;

	return !drop_in.getattr(c->mq, &attr);
}

/* Room for what each command of msgctl() returns. */
union state {
	struct msqid_ds ds;
	struct msginfo info;
};

/* Give a new queue room for as many messages as the others have. @control: msgctl() */
static bool set_capacity(struct channel *c, const struct shape *shape,
			 int (*control)(int id, int cmd, struct msqid_ds *ds))
{
	struct msqid_ds ds;

	if (c->id < 0)
		return false;
	if (!control(c->id, IPC_STAT, &ds)) {
		ds.msg_qbytes = (unsigned long)shape->capacity * shape->size;
		if (!control(c->id, IPC_SET, &ds))
			return true;
	}
	control(c->id, IPC_RMID, NULL);

	return false;
}

static bool open_sysv(struct channel *c, const struct shape *shape)
{
	c->id = msgget(IPC_PRIVATE, 0600);

	return set_capacity(c, shape, msgctl);
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

static bool ask_sysv(struct channel *c, int cmd)
{
	union state state;

	return msgctl(c->id, cmd, &state.ds) >= 0;
}

static bool load_sysv_drop_in(void)
{
	void *library = dlopen("libmbox-sysv.so", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return false;
	*(void **)&drop_in.msgget = dlsym(library, "msgget");
	*(void **)&drop_in.msgctl = dlsym(library, "msgctl");
	*(void **)&drop_in.msgsnd = dlsym(library, "msgsnd");
	*(void **)&drop_in.msgrcv = dlsym(library, "msgrcv");

	return drop_in.msgget && drop_in.msgctl && drop_in.msgsnd && drop_in.msgrcv;
}

static bool open_sysv_drop_in(struct channel *c, const struct shape *shape)
{
	if (!drop_in.msgrcv && !load_sysv_drop_in())
		return false;
	c->id = drop_in.msgget(IPC_PRIVATE, 0600);

	return set_capacity(c, shape, drop_in.msgctl);
}

static void close_sysv_drop_in(struct channel *c)
{
	drop_in.msgctl(c->id, IPC_RMID, NULL);
}

static bool send_sysv_drop_in(struct channel *c)
{
	sent.type = 1;

	return !drop_in.msgsnd(c->id, &sent, c->len, 0);
}

static bool recv_sysv_drop_in(struct channel *c)
{
	return drop_in.msgrcv(c->id, &got, c->len, 0, 0) == c->len;
}

static bool ask_sysv_drop_in(struct channel *c, int cmd)
{
	union state state;

	return drop_in.msgctl(c->id, cmd, &state.ds) >= 0;
}

const struct transport posix_mq = {
	.name = "POSIX mq",
	.kind = KERNEL,
	.one_of_many = true,
	.open = open_mq,
	.open_named = open_mq,
	.close = close_mq,
	.send = send_mq,
	.recv = recv_mq,
	.send_prio = send_mq_prio,
	.asks_as = MQ_GETATTR,
	.ask = ask_mq,
};

const struct transport mq_drop_in = {
	.name = "POSIX mq, drop-in",
	.kind = OURS,
	.open = open_drop_in,
	.open_named = open_drop_in,
	.close = close_drop_in,
	.send = send_drop_in,
	.recv = recv_drop_in,
	.asks_as = MQ_GETATTR,
	.ask = ask_drop_in,
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
	.asks_as = MSGCTL,
	.ask = ask_sysv,
};

const struct transport sysv_drop_in = {
	.name = "System V, drop-in",
	.kind = OURS,
	.open = open_sysv_drop_in,
	.close = close_sysv_drop_in,
	.send = send_sysv_drop_in,
	.recv = recv_sysv_drop_in,
	.asks_as = MSGCTL,
	.ask = ask_sysv_drop_in,
};
