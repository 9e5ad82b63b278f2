// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffering: how many messages can a link hold? With capacity zero the sender meets the
 * receiver, with a bounded capacity the sender waits only while all places are taken,
 * and with an unbounded one it never waits. The sender here does not wait: a send that
 * would have to wait fails.
 */
#include "example.h"

/* Enough to show that there is no bound. */
#define MANY 1000

static void fill(const char *name, unsigned int capacity)
{
	struct mbox *mb;
	int n = 0;

	/* [capacity] */
	mb = new_mailbox(MBOX_QUEUE, 0, capacity);
	while (n < MANY && mbox_send(mb, "letter", 6, MBOX_DONTWAIT) == 0)
		n++;
	/* [/capacity] */
	if (n == MANY)
		say("%s: %d messages sent, and still no need to wait", name, n);
	else
		say("%s: %d messages sent, the next would have to wait", name, n);
	mbox_close(mb);
}

int main(void)
{
	fill("zero capacity", 0);
	fill("bounded capacity of 3", 3);
	fill("unbounded capacity", MBOX_UNBOUNDED);

	return 0;
}
