// SPDX-License-Identifier: GPL-2.0-only
/* What mboxctl bench measures: mailboxes and other means to send messages. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport.h"

/* Messages that a channel holds; one is in use. */
#define CAPACITY 8

/* Sent and received: contents do not matter. System V wants a type in front. */
static struct {
	long type;
	char data[TRANSPORT_SIZE_MOST];
} message = { .type = 1 };

static bool open_mailbox(struct channel *c, uint32_t mode)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.mode = mode;
	attr.capacity = CAPACITY;
	attr.msg_max = c->size;
	c->mb = mbox_create(NULL, O_RDWR, &attr);

	return c->mb;
}

static bool open_queue(struct channel *c)
{
	return open_mailbox(c, MBOX_QUEUE);
}

static bool open_ring(struct channel *c)
{
	return open_mailbox(c, MBOX_RING);
}

static bool send_mailbox(struct channel *c)
{
	return mbox_send(c->mb, message.data, c->size, 0) == 0;
}

static bool recv_mailbox(struct channel *c)
{
	return mbox_recv(c->mb, message.data, c->size, 0) == (ssize_t)c->size;
}

static void close_mailbox(struct channel *c)
{
	mbox_close(c->mb);
}

static bool open_mq(struct channel *c)
{
	struct mq_attr attr = { .mq_maxmsg = CAPACITY, .mq_msgsize = c->size };
	char name[64];

	snprintf(name, sizeof(name), "/mboxctl-bench-%d", getpid());
	c->mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (c->mq == (mqd_t)-1)
		return false;
	mq_unlink(name);

	return true;
}

static bool send_mq(struct channel *c)
{
	return mq_send(c->mq, message.data, c->size, 0) == 0;
}

static bool recv_mq(struct channel *c)
{
	return mq_receive(c->mq, message.data, c->size, NULL) == (ssize_t)c->size;
}

static void close_mq(struct channel *c)
{
	mq_close(c->mq);
}

static bool open_sysv(struct channel *c)
{
	c->id = msgget(IPC_PRIVATE, 0600);

	return c->id >= 0;
}

static bool send_sysv(struct channel *c)
{
	return msgsnd(c->id, &message, c->size, 0) == 0;
}

static bool recv_sysv(struct channel *c)
{
	return msgrcv(c->id, &message, c->size, 0, 0) == (ssize_t)c->size;
}

static void close_sysv(struct channel *c)
{
	msgctl(c->id, IPC_RMID, NULL);
}

static bool send_fd(struct channel *c)
{
	return write(c->fds[1], message.data, c->size) == (ssize_t)c->size;
}

/* A pipe may give a long message in parts. */
static bool recv_fd(struct channel *c)
{
	ssize_t len;
	size_t done;

	for (done = 0; done < c->size; done += len) {
		len = read(c->fds[0], message.data + done, c->size - done);
		if (len <= 0)
			return false;
	}

	return true;
}

static void close_fds(struct channel *c)
{
	close(c->fds[0]);
	close(c->fds[1]);
}

/* A message that does not fit would wait for a receiver. */
static bool open_pipe(struct channel *c)
{
	if (pipe2(c->fds, O_CLOEXEC) < 0)
		return false;
	if (fcntl(c->fds[1], F_GETPIPE_SZ) >= (int)c->size ||
	    fcntl(c->fds[1], F_SETPIPE_SZ, (int)c->size) >= 0)
		return true;
	close_fds(c);

	return false;
}

static bool open_sockets(struct channel *c)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, c->fds) == 0;
}

const struct transport transports[NTRANSPORTS] = {
	{ "mbox queue", open_queue, send_mailbox, recv_mailbox, close_mailbox },
	{ "mbox ring", open_ring, send_mailbox, recv_mailbox, close_mailbox },
	{ "POSIX mq", open_mq, send_mq, recv_mq, close_mq },
	{ "System V", open_sysv, send_sysv, recv_sysv, close_sysv },
	{ "pipe", open_pipe, send_fd, recv_fd, close_fds },
	{ "SEQPACKET", open_sockets, send_fd, recv_fd, close_fds },
};
