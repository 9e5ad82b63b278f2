// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutual exclusion by a token: a mailbox with one message. A process receives the
 * message before its critical section, and sends it back after it. While one process
 * has it, all others wait in receive.
 */
#include "example.h"

#define PROCESSES 4
#define ROUNDS 200

static struct mbox *mailbox;
static volatile long *counter;

static void count(int number)
{
	char token;
	int i;

	(void)number;
	for (i = 0; i < ROUNDS; i++) {
		/* [section] */
		TRY(mbox_recv(mailbox, &token, 1, 0));
		/* The critical section: read, add, write. */
		*counter = *counter + 1;
		TRY(mbox_send(mailbox, &token, 1, 0));
		/* [/section] */
	}
}

int main(void)
{
	int i;

	/* [token] */
	mailbox = new_mailbox(MBOX_QUEUE, 0, 1);
	TRY(mbox_send(mailbox, "T", 1, 0));
	/* [/token] */
	counter = shared_memory(sizeof(*counter));

	for (i = 0; i < PROCESSES; i++)
		start(count, i);
	join();
	say("%d processes added 1 %d times each: %ld", PROCESSES, ROUNDS, *counter);

	return 0;
}
