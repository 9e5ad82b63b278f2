// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: nats_worker MAILBOX FILE
 * Add each message of MAILBOX to FILE as a line, and then acknowledge it. It can be killed
 * at any moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <mbox.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct mbox *mb = argc == 3 ? mbox_open(argv[1], O_RDONLY) : NULL;
	int fd = mb ? open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
	char line[256];

	if (fd < 0) {
		fprintf(stderr, "nats_worker: %s\n", strerror(errno));
		return 1;
	}
	for (;;) {
		struct mbox_msg msg = MBOX_MSG_INIT(line, sizeof(line) - 1);

		msg.flags = MBOX_LEASE;
		if (mbox_recvmsg(mb, &msg) < 0)
			return 1;
		line[msg.len] = '\n';
		if (write(fd, line, msg.len + 1) != (ssize_t)msg.len + 1 || mbox_ack(mb, msg.token))
			return 1;
	}
}
