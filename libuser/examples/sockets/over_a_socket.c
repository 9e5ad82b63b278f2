// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets and mailboxes together: the handle of a mailbox without a name goes over an
 * AF_UNIX socket to another process, with the right that it has.
 */
#include <sys/socket.h>

#include "example.h"

static int sockets[2];

/* Room for one descriptor beside the data of a socket's message. */
union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr alignment;
};

static void send_handle(int socket, struct mbox *mb)
{
	union control control = { "" };
	char byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = mbox_fd(mb);

	/* [send] */
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	TRY(sendmsg(socket, &msg, 0));
	/* [/send] */
}

static struct mbox *recv_handle(int socket)
{
	union control control;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	/* [receive] */
	TRY(recvmsg(socket, &msg, MSG_CMSG_CLOEXEC));
	memcpy(&fd, CMSG_DATA((struct cmsghdr *)TRY_NEW(CMSG_FIRSTHDR(&msg))), sizeof(fd));
	return TRY_NEW(mbox_from_fd(fd));
	/* [/receive] */
}

static void write_letter(int number)
{
	struct mbox *mb = recv_handle(sockets[number]);
	char text[64];

	send_text(mb, "hello");
	if (mbox_recv(mb, text, sizeof(text), MBOX_DONTWAIT) < 0)
		say("the handle that came over the socket cannot receive: %s", strerror(errno));
}

int main(void)
{
	struct mbox *mb, *to_send;
	char text[64];

	TRY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	/* The child is there before the mailbox, so it cannot inherit it. */
	start(write_letter, 1);

	mb = new_mailbox(MBOX_QUEUE, 0, 1);
	to_send = TRY_NEW(mbox_reopen(mb, O_WRONLY));
	send_handle(sockets[0], to_send);
	join();
	recv_text(mb, text);
	say("but it can send: %s", text);

	return 0;
}
