/* SPDX-License-Identifier: GPL-2.0-only */
/* What mboxctl bench measures: mailboxes and other means to send messages. */
#ifndef MBOXCTL_TRANSPORT_H
#define MBOXCTL_TRANSPORT_H

#include <mbox.h>
#include <mqueue.h>
#include <stdbool.h>
#include <stddef.h>

#define TRANSPORT_SIZE_MOST 65536

/**
 * struct channel - carries messages in one direction
 * @size: bytes of each
 * @mb: a mailbox
 * @mq: a POSIX message queue
 * @id: a System V message queue
 * @fds: a pipe or sockets: the receiver's, the sender's
 */
struct channel {
	size_t size;
	struct mbox *mb;
	mqd_t mq;
	int id;
	int fds[2];
};

/**
 * struct transport - a way to send messages; each function fails with errno
 * @name: for tables and errors
 * @open: make a channel for messages of its size
 * @send: send one
 * @recv: receive one
 * @close: end a channel
 */
struct transport {
	const char *name;
	bool (*open)(struct channel *c);
	bool (*send)(struct channel *c);
	bool (*recv)(struct channel *c);
	void (*close)(struct channel *c);
};

#define NTRANSPORTS 6
/* The first ones are mailboxes. */
#define NMAILBOXES 2

extern const struct transport transports[NTRANSPORTS];

#endif /* MBOXCTL_TRANSPORT_H */
