// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selective receive: the receiver says which type of message it wants next, and the
 * others stay in their order.
 */
#include "example.h"

enum { ORDER = 1, PAYMENT, COMPLAINT };

static struct mbox *mb;

static void send_typed(int64_t type, const char *text)
{
	struct mbox_msg msg = MBOX_MSG_INIT(text, strlen(text));

	msg.type = type;
	TRY(mbox_sendmsg(mb, &msg));
}

static void receive(const char *what, int64_t type, unsigned int flags)
{
	char text[64];
	struct mbox_msg msg = MBOX_MSG_INIT(text, sizeof(text));
	int len;

	/* [receive] */
	msg.type = type;
	msg.flags = flags;
	len = TRY(mbox_recvmsg(mb, &msg));
	say("%s: %.*s", what, len, text);
	/* [/receive] */
}

int main(void)
{
	mb = new_mailbox(MBOX_QUEUE, 0, 64);
	send_typed(COMPLAINT, "it does not work");
	send_typed(PAYMENT, "here are 5 euros");
	send_typed(ORDER, "one more, please");
	send_typed(COMPLAINT, "it still does not");
	send_typed(PAYMENT, "here are 10 euros");

	receive("a payment", PAYMENT, MBOX_MATCH);
	receive("no complaint", COMPLAINT, MBOX_MATCH_NOT);
	receive("the lowest type", COMPLAINT, MBOX_MATCH_LE);
	receive("any", 0, 0);
	receive("any", 0, 0);

	return 0;
}
