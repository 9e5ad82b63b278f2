// SPDX-License-Identifier: GPL-2.0-only
/* A program for POSIX message queues, as it is, on the kernel's queues and on mailboxes. */
#include <errno.h>
#include <mqueue.h>
#include <stdlib.h>
#include <unistd.h>

#include "demo.h"

#define PROGRAM "mbox-mq_rate"
#define PRELOAD "LD_PRELOAD=libmbox-mq.so "

/* The two take turns. */
#define RUNS 5
#define MESSAGES 4000

/* Messages per second, as the program says. */
static double run_program(const char *environment, const char *queue)
{
	char command[100];
	double rate = 0;
	FILE *output;

	snprintf(command, sizeof(command), "%s" PROGRAM " %s %d", environment, queue, MESSAGES);
	output = popen(command, "r");
	CHECK(output);
	CHECK(fscanf(output, "%lf", &rate) == 1 && rate > 0);
	CHECK(pclose(output) == 0);

	return rate;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void show_drop_in(void)
{
	double kernel[RUNS], mailbox[RUNS];
	struct mbox_stat st;
	struct mbox *mb;
	char queue[32];
	int i;

	step("A program for POSIX message queues, unmodified: the kernel's, and on a mailbox.",
	     "LD_PRELOAD is all it takes: no line of the program changes, none is compiled.");

	/* The loader says so if it does not find the library, and goes on without. */
	if (system("command -v " PROGRAM " >/dev/null") ||
	    system(PRELOAD "true 2>&1 | grep -q libmbox-mq") == 0) {
		saw("left out: " PROGRAM " or libmbox-mq.so is not installed");
		return;
	}
	snprintf(queue, sizeof(queue), "/demo-mq-%d", getpid());
	for (i = 0; i < RUNS; i++) {
		kernel[i] = run_program("", queue);
		/* The queue is the kernel's if there is no such mailbox. */
		CHECK(i || (!mbox_open(queue + 1, O_RDONLY) && errno == ENOENT));
		mailbox[i] = run_program(PRELOAD, queue);
	}
	qsort(kernel, RUNS, sizeof(kernel[0]), compare);
	qsort(mailbox, RUNS, sizeof(mailbox[0]), compare);
	saw("messages per second: %.0f with the kernel's queue, %.0f with libmbox-mq.so",
	    kernel[RUNS / 2], mailbox[RUNS / 2]);

	mb = mbox_open(queue + 1, O_RDONLY);
	CHECK(mb && mbox_stat(mb, &st) == 0);
	CHECK(st.sent == RUNS * MESSAGES && st.received == st.sent);
	saw("the mailbox '%s' has seen %llu of them, as mboxctl stat would show", queue + 1,
	    (unsigned long long)st.sent);
	mbox_close(mb);
	CHECK(mbox_unlink(queue + 1) == 0);
	CHECK(mq_unlink(queue) == 0);
}
