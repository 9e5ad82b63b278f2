// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rendezvous: with capacity zero there is no place where a message could stay. The one
 * that comes first, sender or receiver, waits for the other.
 */
#include "example.h"

static struct mbox *meeting;

static void send_one(int number)
{
	/* [sender] */
	(void)number;
	send_text(meeting, "hello");
	/* Here a receiver has the message. */
	/* [/sender] */
}

static void receive_one(int number)
{
	char text[64];

	(void)number;
	recv_text(meeting, text);
	say("the receiver has: %s", text);
}

int main(void)
{
	struct mbox_stat st;
	char text[64];

	meeting = new_mailbox(MBOX_QUEUE, 0, 0);

	start(send_one, 0);
	until_waiting(meeting, 1, 0);
	TRY(mbox_stat(meeting, &st));
	say("the sender came first and waits; messages that are stored: %u", st.queued);
	recv_text(meeting, text);
	join();
	say("the receiver came, took '%s', and the sender went on", text);

	start(receive_one, 0);
	until_waiting(meeting, 0, 1);
	say("the receiver came first and waits");
	send_text(meeting, "hello again");
	join();

	return 0;
}
