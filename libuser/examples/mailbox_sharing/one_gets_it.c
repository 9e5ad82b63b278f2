// SPDX-License-Identifier: GPL-2.0-only
/*
 * P1, P2 and P3 share a mailbox. P1 sends one message while P2 and P3 both wait in
 * receive. Which of them gets it? Exactly one: the one that has waited longest.
 */
#include "example.h"

static struct mbox *mb, *reports;

static void receive(int number)
{
	char text[64], report[80];

	recv_text(mb, text);
	snprintf(report, sizeof(report), "P%d has %s", number, text);
	send_text(reports, report);
}

int main(void)
{
	char report[64];

	mb = new_mailbox(MBOX_QUEUE, 0, 64);
	reports = new_mailbox(MBOX_QUEUE, 0, 64);

	/* [share] */
	start(receive, 2);
	until_waiting(mb, 0, 1);
	start(receive, 3);
	until_waiting(mb, 0, 2);

	send_text(mb, "the message");
	recv_text(reports, report);
	say("%s", report);
	until_waiting(mb, 0, 1);
	say("the other one still waits");
	/* [/share] */

	send_text(mb, "the next message");
	recv_text(reports, report);
	say("%s", report);
	join();

	return 0;
}
