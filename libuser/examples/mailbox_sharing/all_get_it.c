// SPDX-License-Identifier: GPL-2.0-only
/*
 * P1, P2 and P3 share a mailbox. P1 sends one message, and with MBOX_BROADCAST each
 * receiver gets it. Each opens the mailbox itself, because what counts is the handle,
 * and a handle that is inherited is the same one.
 */
#include "example.h"

static struct mbox *mb, *ready, *reports;

static void receive(int number)
{
	struct mbox *mine;
	char text[64], report[80];

	/* [receiver] */
	mine = TRY_NEW(mbox_reopen(mb, O_RDONLY));
	send_text(ready, "ready");
	recv_text(mine, text);
	/* [/receiver] */
	snprintf(report, sizeof(report), "P%d has %s", number, text);
	TRY(mbox_send_prio(reports, report, strlen(report), 9 - number, 0));
}

int main(void)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	char text[64];

	/* P1 does not receive. */
	attr.flags = MBOX_BROADCAST;
	mb = TRY_NEW(mbox_create(NULL, O_WRONLY, &attr));
	ready = new_mailbox(MBOX_QUEUE, 0, 2);
	reports = new_mailbox(MBOX_QUEUE, 0, 2);
	start(receive, 2);
	start(receive, 3);
	recv_text(ready, text);
	recv_text(ready, text);

	send_text(mb, "the message");
	/* Both reports are there, and that of P2 has the higher priority. */
	join();
	recv_text(reports, text);
	say("%s", text);
	recv_text(reports, text);
	say("%s", text);

	return 0;
}
