// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bounded buffer: several producers and consumers share a buffer of few slots. A
 * producer waits while it is full, and a consumer while it is empty. A mailbox is such a
 * buffer, a queue as well as a ring, and each of its slots is used.
 */
#include "example.h"

#define SLOTS 4
#define PRODUCERS 3
#define CONSUMERS 2
/* Of each producer. */
#define ITEMS 100

/* What tells a consumer to end. */
#define END (-1)

static struct mbox *buffer, *consumed;

/* [producer] */
static void produce(int number)
{
	int item;

	for (item = number * ITEMS; item < (number + 1) * ITEMS; item++)
		TRY(mbox_send(buffer, &item, sizeof(item), 0));
}

/* [/producer] */
/* [consumer] */
static void consume(int number)
{
	int item;

	(void)number;
	for (;;) {
		TRY(mbox_recv(buffer, &item, sizeof(item), 0));
		if (item == END)
			return;
		TRY(mbox_send(consumed, &item, sizeof(item), 0));
	}
}

/* [/consumer] */

/* How many items there is room for, tried out. */
static int slots(void)
{
	int item = 0, n = 0;

	/* [slots] */
	while (mbox_send(buffer, &item, sizeof(item), MBOX_DONTWAIT) == 0)
		n++;
	/* [/slots] */
	if (errno != EAGAIN)
		give_up("mbox_send");
	while (mbox_recv(buffer, &item, sizeof(item), MBOX_DONTWAIT) >= 0)
		;

	return n;
}

static void run(const char *name, unsigned int mode)
{
	int seen[PRODUCERS * ITEMS] = { 0 };
	int i, item;

	buffer = new_mailbox(mode, 0, SLOTS);
	consumed = new_mailbox(MBOX_QUEUE, 0, MBOX_UNBOUNDED);
	say("%s of %d slots: %d used, then it is full", name, SLOTS, slots());

	for (i = 0; i < PRODUCERS; i++)
		start(produce, i);
	for (i = 0; i < CONSUMERS; i++)
		start(consume, i);

	for (i = 0; i < PRODUCERS * ITEMS; i++) {
		TRY(mbox_recv(consumed, &item, sizeof(item), 0));
		if (seen[item]++)
			say("item %d came twice", item);
	}
	for (i = 0; i < CONSUMERS; i++) {
		item = END;
		TRY(mbox_send(buffer, &item, sizeof(item), 0));
	}
	join();
	say("%s: %d items of %d producers came to %d consumers, each once", name,
	    PRODUCERS * ITEMS, PRODUCERS, CONSUMERS);
	mbox_close(buffer);
	mbox_close(consumed);
}

int main(void)
{
	run("queue", MBOX_QUEUE);
	run("ring", MBOX_RING);

	return 0;
}
