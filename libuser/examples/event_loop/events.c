// SPDX-License-Identifier: GPL-2.0-only
/*
 * An event loop with thousands of calls outstanding, and its server. The client starts
 * calls while there is room, and fetches their ends as they come; epoll(7) tells it
 * which of the two it can do. It has one thread, and so has the server, which collects
 * requests and replies to them in an order of its own. Each call has a deadline, so the
 * client also learns of requests that the server never answers.
 */
#include <errno.h>
#include <mbox.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS 4000
#define AT_ONCE 2000
/* The server never answers this one. */
#define UNANSWERED 1042

/* ---- the server -------------------------------------------------------------- */

struct request {
	uint64_t token;
	long number;
};

/* Answer all that was collected, the last one first. */
static void answer(struct mbox *mb, struct request *requests, int n)
{
	long result;

	while (n--) {
		result = requests[n].number * 2;
		/* A caller that has given up is no reason to stop. */
		if (requests[n].number != UNANSWERED)
			mbox_reply(mb, requests[n].token, &result, sizeof(result));
	}
}

static int serve(struct mbox *mb)
{
	static struct request requests[64];
	struct mbox_msg msg;
	int n = 0;

	for (;;) {
		msg = (struct mbox_msg){
			.buf = (uintptr_t)&requests[n].number,
			.len = sizeof(long),
			/* Wait only when there is nothing to answer. */
			.flags = n ? MBOX_DONTWAIT : 0,
		};
		if (n < 64 && mbox_recvmsg(mb, &msg) >= 0) {
			requests[n++].token = msg.token;
			continue;
		}
		if (!n)
			return errno != EPIPE;
		answer(mb, requests, n);
		n = 0;
	}
}

/* ---- the client -------------------------------------------------------------- */

/* A call in progress: what it is about, found by the token of the call. */
struct work {
	uint64_t token;
	long number;
};

static struct work works[AT_ONCE];
static long started, outstanding, replies, timeouts;

static uint64_t in_seconds(int s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (now.tv_sec + s) * 1000000000ULL + now.tv_nsec;
}

/* Start calls until there is no room. Returns -1 on an error. */
static int start_some(struct mbox *mb)
{
	while (started < CALLS && outstanding < AT_ONCE) {
		struct work *work = &works[0];
		struct mbox_msg req = {
			.buf = (uintptr_t)&started,
			.len = sizeof(started),
			.flags = MBOX_DONTWAIT,
			.deadline_ns = in_seconds(started == UNANSWERED ? 1 : 60),
		};

		while (work->token)
			work++;
		if (mbox_call_start(mb, &req, sizeof(long), &work->token))
			return errno == EAGAIN ? 0 : -1;
		work->number = started++;
		outstanding++;
	}

	return 0;
}

/* One call has ended. */
static int finish(uint64_t token, ssize_t len, int error, long result)
{
	struct work *work;

	for (work = works; work < works + AT_ONCE && work->token != token;)
		work++;
	if (work == works + AT_ONCE)
		return -1;
	work->token = 0;
	outstanding--;
	if (len == sizeof(result) && result == work->number * 2)
		replies++;
	else if (len < 0 && error == ETIMEDOUT && work->number == UNANSWERED)
		timeouts++;
	else
		return -1;

	return 0;
}

/* Fetch the ends that are there. */
static int fetch_some(struct mbox *mb)
{
	for (;;) {
		uint64_t token = 0;
		long result = 0;
		struct mbox_msg rep = {
			.buf = (uintptr_t)&result,
			.len = sizeof(result),
			.flags = MBOX_DONTWAIT,
		};
		ssize_t len = mbox_call_wait(mb, &token, &rep, NULL);
		int error = errno;

		if (!rep.token)
			return error == EAGAIN ? 0 : -1;
		if (finish(rep.token, len, error, result))
			return -1;
	}
}

static int run(struct mbox *mb)
{
	struct epoll_event event = { .events = EPOLLPRI | EPOLLOUT };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, mbox_fd(mb), &event))
		return -1;
	/* [loop] */
	while (replies + timeouts < CALLS) {
		/* With all calls started, or enough, room is of no interest. */
		event.events = EPOLLPRI;
		if (started < CALLS && outstanding < AT_ONCE)
			event.events |= EPOLLOUT;
		if (epoll_ctl(ep, EPOLL_CTL_MOD, mbox_fd(mb), &event) ||
		    epoll_wait(ep, &event, 1, -1) < 0)
			return -1;
		if (event.events & EPOLLPRI && fetch_some(mb))
			return -1;
		if (event.events & EPOLLOUT && start_some(mb))
			return -1;
	}
	/* [/loop] */
	close(ep);

	return 0;
}

int main(void)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb, *client, *server;

	attr.flags = MBOX_HANGUP;
	mb = mbox_create(NULL, O_RDWR, &attr);
	if (!mb) {
		perror("mbox_create");
		return 1;
	}
	client = mbox_reopen(mb, O_WRONLY);
	server = mbox_reopen(mb, O_RDONLY);
	if (!client || !server) {
		perror("mbox_reopen");
		return 1;
	}
	mbox_close(mb);

	if (fork() == 0) {
		/* Its end is the end of the client. */
		mbox_close(client);
		return serve(server);
	}
	mbox_close(server);
	if (run(client)) {
		perror("a call failed");
		return 1;
	}
	mbox_close(client);
	wait(NULL);
	printf("%ld replies, %ld without\n", replies, timeouts);

	return 0;
}
