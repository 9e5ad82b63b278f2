// SPDX-License-Identifier: GPL-2.0-only
/*
 * Send and receive can each wait (blocking, synchronous) or not (nonblocking,
 * asynchronous). Here are the four combinations.
 */
#include "example.h"

static struct mbox *mb;

static void send_and_wait(int number)
{
	(void)number;
	/* Also where there is room, MBOX_SYNC waits until a receiver has the message. */
	TRY(mbox_send(mb, "m", 1, MBOX_SYNC));
}

static void receive_and_wait(int number)
{
	char c;

	(void)number;
	TRY(mbox_recv(mb, &c, 1, 0));
}

static void both_wait(void)
{
	char c;

	/* [both] */
	start(send_and_wait, 0);
	TRY(mbox_recv(mb, &c, 1, 0));
	/* [/both] */
	join();
	say("blocking send, blocking receive: both are done at the same time");
}

static void only_the_sender_waits(void)
{
	char c;

	/* [sender] */
	if (mbox_recv(mb, &c, 1, MBOX_DONTWAIT) < 0)
		say("blocking send, nonblocking receive: no message yet: %s", strerror(errno));
	start(send_and_wait, 0);
	until_waiting(mb, 1, 0);
	TRY(mbox_recv(mb, &c, 1, MBOX_DONTWAIT));
	/* [/sender] */
	join();
	say("blocking send, nonblocking receive: the sender waited for the receiver");
}

static void only_the_receiver_waits(void)
{
	/* [receiver] */
	start(receive_and_wait, 0);
	until_waiting(mb, 0, 1);
	TRY(mbox_send(mb, "m", 1, MBOX_DONTWAIT));
	/* [/receiver] */
	join();
	say("nonblocking send, blocking receive: the receiver waited for the sender");
}

static void neither_waits(void)
{
	char c;
	int n = 0;

	/* [neither] */
	while (mbox_send(mb, "m", 1, MBOX_DONTWAIT) == 0)
		n++;
	say("nonblocking send, nonblocking receive: %d sent, then: %s", n, strerror(errno));
	for (n = 0; mbox_recv(mb, &c, 1, MBOX_DONTWAIT) >= 0; n++)
		;
	say("nonblocking send, nonblocking receive: %d received, then: %s", n, strerror(errno));
	/* [/neither] */
}

int main(void)
{
	mb = new_mailbox(MBOX_QUEUE, 0, 2);
	both_wait();
	only_the_sender_waits();
	only_the_receiver_waits();
	neither_waits();

	return 0;
}
