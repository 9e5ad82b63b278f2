// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asymmetric addressing: the sender names the receiver, and the receiver learns from
 * the message who sent it. The kernel says so, not the sender.
 */
#include "example.h"

static struct mbox *port;

static void send_number(int number)
{
	TRY(mbox_send(port, &number, sizeof(number), 0));
}

int main(void)
{
	pid_t senders[3];
	int i, number;

	port = new_mailbox(MBOX_QUEUE, 0, 3);
	for (i = 0; i < 3; i++)
		senders[i] = start(send_number, i);

	for (i = 0; i < 3; i++) {
		/* [receive] */
		struct mbox_msg msg = MBOX_MSG_INIT(&number, sizeof(number));

		TRY(mbox_recvmsg(port, &msg));
		if ((pid_t)msg.pid != senders[number])
			say("a message came from another process");
		/* [/receive] */
	}
	join();
	say("receive(id): the sender of each of 3 messages is known");

	return 0;
}
