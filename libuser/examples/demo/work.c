// SPDX-License-Identifier: GPL-2.0-only
/* Jobs that survive their worker, and calls that do not wait. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"

#define CALLS 3

/* The next job on lease, which must be @expected. Returns its token. */
static uint64_t take_job(struct mbox *mb, const char *expected, unsigned int deliveries)
{
	char text[100] = "";
	struct mbox_msg msg = {
		.buf = (uintptr_t)text,
		.len = sizeof(text) - 1,
		.flags = MBOX_LEASE,
	};

	CHECK(mbox_recvmsg(mb, &msg) >= 0);
	CHECK(!strcmp(text, expected) && msg.deliveries == deliveries);

	return msg.token;
}

void show_lease(void)
{
	struct mbox_stat st;
	struct mbox *mb;
	pid_t pid;

	step("A lease: a job comes back when its worker is killed.",
	     "Work is done at least once, whatever happens to those who do it.");

	mb = create(NULL, 4);
	send_text(mb, "job 1");
	send_text(mb, "job 2");
	pid = begin_child();
	if (pid == 0) {
		/* A handle of its own: what it has on lease ends with it. */
		struct mbox *own = mbox_reopen(mb, O_RDONLY);

		CHECK(own);
		take_job(own, "job 1", 1);
		kill(getpid(), SIGKILL);
		_exit(1);
	}
	end_killed(pid);
	saw("worker %d took 'job 1' on lease, and was killed before it acknowledged", pid);
	CHECK(mbox_ack(mb, take_job(mb, "job 1", 2)) == 0);
	CHECK(mbox_ack(mb, take_job(mb, "job 2", 1)) == 0);
	CHECK(mbox_stat(mb, &st) == 0 && st.redelivered == 1 && !st.queued && !st.leased);
	saw("the next worker got 'job 1' again, in its old place, and then 'job 2'");
	mbox_close(mb);
}

/* Takes all requests before it replies to the last one first. */
static void serve_backwards(struct mbox *mb)
{
	char text[CALLS][16] = { 0 };
	struct mbox_msg msg[CALLS];
	int i;

	for (i = 0; i < CALLS; i++) {
		msg[i] = (struct mbox_msg){ .buf = (uintptr_t)text[i], .len = sizeof(text[i]) - 1 };
		CHECK(mbox_recvmsg(mb, &msg[i]) >= 0);
	}
	while (i--)
		CHECK(mbox_reply(mb, msg[i].token, text[i], strlen(text[i])) == 0);
}

void show_started_calls(void)
{
	static const char *const requests[CALLS] = { "one", "two", "three" };
	uint64_t tokens[CALLS], token;
	struct mbox *mb, *own;
	char text[16];
	struct mbox_msg req = { 0 }, rep;
	pid_t pid;
	int i;

	step("Calls that do not wait: many requests, replies as they come.",
	     "One thread of an event loop keeps many servers busy.");

	mb = create(NULL, CALLS);
	pid = begin_child();
	if (pid == 0) {
		own = mbox_reopen(mb, O_RDONLY);
		CHECK(own);
		serve_backwards(own);
		_exit(0);
	}
	for (i = 0; i < CALLS; i++) {
		req.buf = (uintptr_t)requests[i];
		req.len = strlen(requests[i]);
		CHECK(mbox_call_start(mb, &req, sizeof(text) - 1, &tokens[i]) == 0);
	}
	saw("%d calls were started, and this process went on", CALLS);
	printf("    replies, in the order in which process %d made them:", pid);
	for (i = CALLS - 1; i >= 0; i--) {
		memset(text, 0, sizeof(text));
		rep = (struct mbox_msg){ .buf = (uintptr_t)text, .len = sizeof(text) - 1 };
		token = 0;
		CHECK(mbox_call_wait(mb, &token, &rep, NULL) == (ssize_t)strlen(requests[i]));
		CHECK(token == tokens[i] && !strcmp(text, requests[i]));
		printf(" '%s'", text);
	}
	printf("\n");
	end_child(pid);
	mbox_close(mb);
}
