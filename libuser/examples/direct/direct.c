// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct communication: each process names the other one. Two processes have one link,
 * which is there as soon as one of them names the other, and it works both ways.
 */
#include "example.h"

/* [primitives] */
static void send_to(pid_t process, const char *message)
{
	struct mbox *link = TRY_NEW(mbox_direct(process, O_WRONLY));

	send_text(link, message);
	mbox_close(link);
}

static void receive_from(pid_t process, char message[64])
{
	struct mbox *link = TRY_NEW(mbox_direct(process, O_RDONLY));

	recv_text(link, message);
	mbox_close(link);
}

/* [/primitives] */

/* The process Q. */
static void answer(int number)
{
	struct mbox *link;
	char message[64];
	pid_t p = getppid();

	(void)number;
	/* [link] */
	/* While it is open, P finds this end of the link present. */
	link = TRY_NEW(mbox_direct(p, O_RDWR));
	/* [/link] */
	/* [answer] */
	receive_from(p, message);
	say("Q: receive(P) gives '%s'", message);
	send_to(p, "and from Q to P");
	/* [/answer] */
	/* P closes its end when it has all. */
	if (mbox_recv(link, message, 1, 0) >= 0 || errno != EPIPE)
		give_up("the end of the link");
}

/* The process P. */
int main(void)
{
	struct mbox *link;
	char message[64];
	pid_t q = start(answer, 0);

	link = TRY_NEW(mbox_direct(q, O_RDWR));
	/* [ask] */
	send_to(q, "from P to Q");
	receive_from(q, message);
	say("P: receive(Q) gives '%s'", message);
	/* [/ask] */
	mbox_close(link);
	join();

	return 0;
}
