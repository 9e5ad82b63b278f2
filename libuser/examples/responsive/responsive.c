// SPDX-License-Identifier: GPL-2.0-only
/*
 * A responsive receiver: it has work of its own, and looks for messages between two
 * steps of it. poll(2) with a time limit of 0 looks and does not wait.
 */
#include <poll.h>

#include "example.h"

static struct mbox *questions;

/* Ask how far the work is. */
static long ask(void)
{
	long steps;

	TRY(mbox_call(questions, "?", 1, &steps, sizeof(steps), NULL));

	return steps;
}

/* The other process: it asks until it has seen the work go on, and then ends it. */
static void user(int number)
{
	long first = ask();

	(void)number;
	say("the worker answers a question");
	while (ask() == first)
		;
	say("the worker has gone on with its work, and answers again");
	TRY(mbox_send(questions, "stop", 4, 0));
}

int main(void)
{
	long steps = 0;

	questions = new_mailbox(MBOX_QUEUE, 0, 1);
	start(user, 0);

	/* [loop] */
	for (;;) {
		struct pollfd there = { .fd = mbox_fd(questions), .events = POLLIN };
		char text[8];
		struct mbox_msg msg = MBOX_MSG_INIT(text, sizeof(text));

		if (TRY(poll(&there, 1, 0)) == 0) {
			/* Here would be the work. */
			steps++;
			continue;
		}
		TRY(mbox_recvmsg(questions, &msg));
		/* Only a question has a token, and gets an answer. */
		if (!msg.token)
			break;
		TRY(mbox_reply(questions, msg.token, &steps, sizeof(steps)));
	}
	/* [/loop] */
	join();

	return 0;
}
