/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the servers of several event loops share: their clients, and how they answer them.
 * What is about the loop is in the file of the example.
 */
#ifndef _CLIENTS_H
#define _CLIENTS_H

#include <stdbool.h>

#include "example.h"

#define CLIENTS 3
#define REQUESTS 20

static struct mbox *clients_end, *server_end;
static int answered;

/* A client: each number that it sends comes back doubled. */
static inline void call(int client)
{
	int i, number;

	mbox_close(server_end);
	for (i = 0; i < REQUESTS; i++) {
		number = client * REQUESTS + i;
		TRY(mbox_call(clients_end, &number, sizeof(number), &number, sizeof(number), NULL));
		if (number != (client * REQUESTS + i) * 2)
			say("a wrong answer");
	}
}

/* A mailbox with clients; the server gets the handle that receives. */
static inline struct mbox *start_clients(void)
{
	struct mbox *mb = new_mailbox(MBOX_QUEUE, MBOX_HANGUP, 64);
	int i;

	clients_end = TRY_NEW(mbox_reopen(mb, O_WRONLY));
	server_end = TRY_NEW(mbox_reopen(mb, O_RDONLY));
	mbox_close(mb);
	for (i = 0; i < CLIENTS; i++)
		start(call, i);
	/* Otherwise the last client to go would not be the last. */
	mbox_close(clients_end);

	return server_end;
}

/* [answer] */
/* Answer what is there, and never wait. Returns false when all clients have gone. */
static inline bool answer(struct mbox *mb)
{
	int number;

	for (;;) {
		struct mbox_msg request = MBOX_MSG_INIT(&number, sizeof(number));

		request.flags = MBOX_DONTWAIT;
		if (mbox_recvmsg(mb, &request) < 0)
			break;
		number *= 2;
		/* A caller that has given up is no reason to stop. */
		if (!mbox_reply(mb, request.token, &number, sizeof(number)))
			answered++;
	}
	if (errno == EPIPE)
		return false;
	if (errno != EAGAIN)
		give_up("mbox_recvmsg");

	return true;
}

/* [/answer] */

/* The loop has ended. */
static inline void end(struct mbox *mb)
{
	mbox_close(mb);
	join();
	say("%d requests were answered, and the clients have gone", answered);
}

#endif /* _CLIENTS_H */
