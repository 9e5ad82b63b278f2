// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ports: the server has a port that all clients know. A client makes a port of its own
 * for the answer, and sends the right to write to it along with the request. No other
 * process can find that port, which has no name.
 */
#include "example.h"

static struct mbox *server_port;

static void serve_one(void)
{
	char text[64];
	int fd = -1;
	struct mbox_msg request = MBOX_MSG_INIT(text, sizeof(text) - 1);
	struct mbox *port;

	/* [server] */
	request.nfds = 1;
	request.fds = MBOX_PTR(&fd);
	text[TRY(mbox_recvmsg(server_port, &request))] = 0;
	port = TRY_NEW(mbox_from_fd(fd));
	send_text(port, strcmp(text, "capital of France?") ? "Rome" : "Paris");
	mbox_close(port);
	/* [/server] */
}

static void serve(int requests)
{
	while (requests--)
		serve_one();
}

static void ask(const char *question)
{
	char answer[64];
	struct mbox_msg request = MBOX_MSG_INIT(question, strlen(question));
	struct mbox *port, *to_send;
	int fd;

	/* [client] */
	port = new_mailbox(MBOX_QUEUE, MBOX_LEAF, 1);
	to_send = TRY_NEW(mbox_reopen(port, O_WRONLY));
	fd = mbox_fd(to_send);
	request.nfds = 1;
	request.fds = MBOX_PTR(&fd);
	TRY(mbox_sendmsg(server_port, &request));
	recv_text(port, answer);
	say("%s %s", question, answer);
	/* [/client] */
	mbox_close(to_send);
	mbox_close(port);
}

int main(void)
{
	server_port = new_mailbox(MBOX_QUEUE, 0, 64);
	start(serve, 2);
	ask("capital of France?");
	ask("capital of Italy?");
	join();

	return 0;
}
