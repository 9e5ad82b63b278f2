// SPDX-License-Identifier: GPL-2.0-only
/*
 * "Ready" and "ok": the data are in shared memory, and the messages only say whose turn
 * it is. The writer says "ready" when a page is complete, and does not touch it again
 * before the reader has said "ok".
 */
#include "example.h"

#define PAGES 3

static struct mbox *ready, *ok;
static char *page;

static void write_pages(int number)
{
	char answer[64];
	int i;

	(void)number;
	for (i = 1; i <= PAGES; i++) {
		/* [writer] */
		snprintf(page, 4096, "this is page %d", i);
		send_text(ready, "ready");
		recv_text(ok, answer);
		/* [/writer] */
	}
	send_text(ready, "end");
}

int main(void)
{
	char message[64];

	ready = new_mailbox(MBOX_QUEUE, 0, 1);
	ok = new_mailbox(MBOX_QUEUE, 0, 1);
	page = shared_memory(4096);
	start(write_pages, 0);

	/* [reader] */
	for (recv_text(ready, message); !strcmp(message, "ready"); recv_text(ready, message)) {
		say("%s: %s", message, page);
		send_text(ok, "ok");
	}
	/* [/reader] */
	join();

	return 0;
}
