// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exercise 3, mended: the three steps are a critical section, and the one that has the
 * token is in it. The parent lets B go on after the first step of A, as before, but B
 * waits for the token until A has made all its steps.
 */
#include "example.h"

#define SLOTS 8
#define STEPS 3

static volatile struct {
	char slot[SLOTS];
	int in;
} *buffer;

static struct mbox *go[2], *done, *mutex;

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

/* [mended] */
static void produce(int number)
{
	char name = 'A' + number, token;
	int in;

	TRY(mbox_recv(mutex, &token, 1, 0));

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

	TRY(mbox_send(mutex, &token, 1, 0));
}

/* [/mended] */

int main(void)
{
	int i;

	buffer = shared_memory(sizeof(*buffer));
	done = new_mailbox(MBOX_QUEUE, 0, 1);
	for (i = 0; i < 2; i++)
		go[i] = new_mailbox(MBOX_QUEUE, 0, 1);
	mutex = new_mailbox(MBOX_QUEUE, 0, 1);
	TRY(mbox_send(mutex, "T", 1, 0));

	start(produce, 0);
	step(0);
	start(produce, 1);
	until_waiting(mutex, 0, 1);
	say("B waits for the token");
	for (i = 1; i < STEPS; i++)
		step(0);
	for (i = 0; i < STEPS; i++)
		step(1);
	join();
	say("2 items were put in, %d are there: %s", buffer->in, (char *)buffer->slot);

	return 0;
}
