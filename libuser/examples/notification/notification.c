// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notification by a signal: the receiver does not wait for messages, and does not look
 * for them either. It gets a signal when a message comes into the empty mailbox. There
 * is one signal for a registration, so it registers again, and then takes all messages
 * that are there: in this order, none is overlooked.
 */
#include <signal.h>

#include "example.h"

static struct mbox *mb;

static void send_some(int number)
{
	while (number--)
		send_text(mb, "news");
}

/* [register] */
static void ask_for_a_signal(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGUSR1,
	};

	TRY(mbox_notify(mb, &event));
}

/* [/register] */

int main(void)
{
	struct timespec none = { 0 };
	sigset_t signals;
	char text[64];
	int n;

	mb = new_mailbox(MBOX_QUEUE, 0, 64);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);

	ask_for_a_signal();
	start(send_some, 3);
	/* [signal] */
	TRY(sigwaitinfo(&signals, NULL));
	say("a signal: there is a message");
	/* [/signal] */
	join();
	if (sigtimedwait(&signals, NULL, &none) < 0)
		say("no signal for the two messages that came then");

	/* [again] */
	ask_for_a_signal();
	for (n = 0; mbox_recv(mb, text, sizeof(text), MBOX_DONTWAIT) >= 0; n++)
		;
	say("registered again, and received %d messages", n);
	/* [/again] */

	start(send_some, 1);
	TRY(sigwaitinfo(&signals, NULL));
	say("a signal: there is a message");
	join();

	return 0;
}
