// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory in one direction: the sender writes, and the receiver can only read. A
 * handle without the right to send maps the messages of a ring without the right to
 * write, so a receiver that writes gets a page fault, and the message stays as it is.
 */
#include <setjmp.h>
#include <signal.h>

#include "example.h"

static struct mbox *ring;
static sigjmp_buf before_the_write;

static void after_the_fault(int signal)
{
	(void)signal;
	siglongjmp(before_the_write, 1);
}

/* [writer] */
static void write_weather(int number)
{
	char *slot = TRY_NEW(mbox_reserve(ring, 64, 0));

	(void)number;
	strcpy(slot, "rain");
	TRY(mbox_commit(ring, slot, strlen("rain") + 1));
}

/* [/writer] */

int main(void)
{
	struct mbox *reader;
	const char *slot;
	size_t len;

	ring = new_mailbox(MBOX_RING, 0, 1);
	start(write_weather, 0);

	/* [reader] */
	reader = TRY_NEW(mbox_reopen(ring, O_RDONLY));
	slot = TRY_NEW((void *)mbox_peek(reader, &len, 0));
	say("the reader reads: %s", slot);
	/* [/reader] */

	signal(SIGSEGV, after_the_fault);
	signal(SIGBUS, after_the_fault);
	if (sigsetjmp(before_the_write, 1) == 0) {
		strcpy((char *)slot, "sun!");
		say("the reader has written");
	} else {
		say("the reader writes: a fault");
	}
	say("the reader reads: %s", slot);
	TRY(mbox_release(reader, slot));
	join();

	return 0;
}
