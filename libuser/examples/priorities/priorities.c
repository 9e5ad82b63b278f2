// SPDX-License-Identifier: GPL-2.0-only
/* Priorities: the most urgent message comes first, and of equal ones the oldest. */
#include "example.h"

int main(void)
{
	struct mbox *mb = new_mailbox(MBOX_QUEUE, 0, 64);
	char text[64];
	int i;

	/* [send] */
	TRY(mbox_send_prio(mb, "a letter", 8, 0, 0));
	TRY(mbox_send_prio(mb, "a telegram", 10, 5, 0));
	TRY(mbox_send_prio(mb, "the fire brigade", 16, MBOX_PRIO_MAX, 0));
	TRY(mbox_send_prio(mb, "a second telegram", 17, 5, 0));
	/* [/send] */

	for (i = 0; i < 4; i++) {
		struct mbox_msg msg = MBOX_MSG_INIT(text, sizeof(text));
		int len = TRY(mbox_recvmsg(mb, &msg));

		say("priority %u: %.*s", msg.prio, len, text);
	}

	return 0;
}
