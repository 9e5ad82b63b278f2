// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exercise 3: two producers, A and B, put an item into a bounded buffer at the same
 * time. Each looks which slot is free, fills it, and counts on. What is in the buffer if
 * their steps alternate? The parent says who makes its next step, so that what otherwise
 * happens once in a million times happens each time.
 */
#include "example.h"

#define SLOTS 8
#define STEPS 3

static volatile struct {
	char slot[SLOTS];
	int in;
} *buffer;

/* The parent lets a producer go on by a message, and gets one when the step is done. */
static struct mbox *go[2], *done;

static void wait_for_go(int number)
{
	char text[64];

	recv_text(go[number], text);
}

static void step(int number)
{
	char text[64];

	send_text(go[number], "go");
	recv_text(done, text);
}

/* [naive] */
static void produce(int number)
{
	char name = 'A' + number;
	int in;

	wait_for_go(number);
	in = buffer->in;
	say("%c: slot %d is free", name, in);
	send_text(done, "done");

	wait_for_go(number);
	buffer->slot[in] = name;
	say("%c: fills slot %d", name, in);
	send_text(done, "done");

	wait_for_go(number);
	buffer->in = in + 1;
	say("%c: the next slot is %d", name, in + 1);
	send_text(done, "done");
}

/* [/naive] */

int main(void)
{
	int i;

	buffer = shared_memory(sizeof(*buffer));
	done = new_mailbox(MBOX_QUEUE, 0, 1);
	for (i = 0; i < 2; i++)
		go[i] = new_mailbox(MBOX_QUEUE, 0, 1);
	start(produce, 0);
	start(produce, 1);

	for (i = 0; i < STEPS; i++) {
		step(0);
		step(1);
	}
	join();
	say("2 items were put in, %d is there: %s", buffer->in, (char *)buffer->slot);

	return 0;
}
