// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exercise 1, mended: the consumer receives from a mailbox. The kernel lets it sleep
 * while there is nothing, and wakes it when there is. It looks once.
 */
#include "example.h"

#define SLOTS 8

static struct mbox *buffer;
static volatile long *looks;

/* [mended] */
static void consume(int number)
{
	int item;

	(void)number;
	++*looks;
	TRY(mbox_recv(buffer, &item, sizeof(item), 0));
	say("the consumer has item %d", item);
}

/* [/mended] */

int main(void)
{
	int item = 42;

	buffer = new_mailbox(MBOX_QUEUE, 0, SLOTS);
	looks = shared_memory(sizeof(*looks));
	start(consume, 0);
	until_waiting(buffer, 0, 1);
	say("the consumer has looked %ld time, and sleeps", *looks);

	TRY(mbox_send(buffer, &item, sizeof(item), 0));
	join();

	return 0;
}
