// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flow control by credits: the receiver says how many messages it can take, and the
 * sender spends a credit for each one. The mailbox is unbounded, and still no more than
 * the credits are in it. The sender here is faster, so it comes to wait for credits.
 */
#include "example.h"

#define CREDITS 3
#define MESSAGES 12

static char name[64];
static struct mbox *data;

static void send_all(int number)
{
	struct mbox_sem *credits = TRY_NEW(mbox_sem_open(name, 0, 0, 0));
	int i;

	(void)number;
	for (i = 0; i < MESSAGES; i++) {
		/* [sender] */
		TRY(mbox_sem_wait(credits, NULL));
		TRY(mbox_sem_spend(credits));
		TRY(mbox_send(data, &i, sizeof(i), 0));
		/* [/sender] */
	}
	mbox_sem_close(credits);
}

int main(void)
{
	struct mbox_sem *credits;
	struct mbox *tokens;
	struct mbox_stat st;
	int i, message;

	data = new_mailbox(MBOX_QUEUE, 0, MBOX_UNBOUNDED);
	snprintf(name, sizeof(name), "credits-%d", getpid());
	credits = TRY_NEW(mbox_sem_open(name, O_CREAT | O_EXCL, 0600, CREDITS));
	start(send_all, 0);

	/* A semaphore is a mailbox of tokens, and here the sender waits for one. */
	tokens = TRY_NEW(mbox_open(name, O_RDONLY));
	until_waiting(tokens, 0, 1);
	mbox_close(tokens);

	for (i = 0; i < MESSAGES; i++) {
		/* [receiver] */
		TRY(mbox_recv(data, &message, sizeof(message), 0));
		TRY(mbox_sem_add(credits, 1));
		/* [/receiver] */
		if (message != i)
			say("message %d came as number %d", message, i);
	}
	join();
	TRY(mbox_stat(data, &st));
	say("%d messages, and never more than %u of them unread", MESSAGES, st.highest);
	mbox_sem_close(credits);
	TRY(mbox_unlink(name));

	return 0;
}
