// SPDX-License-Identifier: GPL-2.0-only
/*
 * A receiver with io_uring(7): a read is in progress on each of two mailboxes at once,
 * and the program waits for whichever ends first. liburing wraps the system calls.
 */
#include <liburing.h>

#include "example.h"

#define SENDERS 2
#define MESSAGES 5

static struct mbox *mailboxes[SENDERS];
static int message[SENDERS];
static struct io_uring uring;

static void send_some(int number)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		TRY(mbox_send(mailboxes[number], &i, sizeof(i), 0));
}

/* liburing returns the error, and does not set errno. */
static int try_uring(int result, const char *what)
{
	errno = -result;
	if (result < 0)
		give_up(what);

	return result;
}

/* [begin] */
static void begin_read(int i)
{
	struct io_uring_sqe *sqe = TRY_NEW(io_uring_get_sqe(&uring));

	io_uring_prep_read(sqe, mbox_fd(mailboxes[i]), &message[i], sizeof(message[i]), 0);
	io_uring_sqe_set_data(sqe, &message[i]);
}

/* [/begin] */

int main(void)
{
	int received[SENDERS] = { 0 };
	struct io_uring_cqe *end;
	int i, n;

	try_uring(io_uring_queue_init(SENDERS, &uring, 0), "io_uring_queue_init");
	for (i = 0; i < SENDERS; i++) {
		mailboxes[i] = new_mailbox(MBOX_QUEUE, 0, 64);
		begin_read(i);
		start(send_some, i);
	}

	/* [loop] */
	for (n = 0; n < SENDERS * MESSAGES; n++) {
		try_uring(io_uring_submit(&uring), "io_uring_submit");
		try_uring(io_uring_wait_cqe(&uring, &end), "io_uring_wait_cqe");
		try_uring(end->res, "read");
		i = (int *)io_uring_cqe_get_data(end) - message;
		io_uring_cqe_seen(&uring, end);
		if (message[i] != received[i]++)
			say("a message came out of order");
		if (received[i] < MESSAGES)
			begin_read(i);
	}
	/* [/loop] */
	join();
	for (i = 0; i < SENDERS; i++)
		say("sender %d: %d messages in order", i, received[i]);
	io_uring_queue_exit(&uring);

	return 0;
}
