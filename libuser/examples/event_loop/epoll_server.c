// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server with several mailboxes and one thread: epoll(7) tells it which of them has
 * requests. Other descriptors, such as sockets and timers, could be among them.
 */
#include <sys/epoll.h>

#include "example.h"

#define SERVICES 3
#define REQUESTS 20

static struct mbox *services[SERVICES];

/* A client of one service: each request is answered with its number and that of the service. */
static void call(int service)
{
	int i, answer[2];

	for (i = 0; i < REQUESTS; i++) {
		TRY(mbox_call(services[service], &i, sizeof(i), answer, sizeof(answer), NULL));
		if (answer[0] != i || answer[1] != service)
			say("a wrong answer");
	}
}

static void answer(int service)
{
	int numbers[2] = { 0, service };
	struct mbox_msg request = MBOX_MSG_INIT(numbers, sizeof(numbers[0]));

	TRY(mbox_recvmsg(services[service], &request));
	TRY(mbox_reply(services[service], request.token, numbers, sizeof(numbers)));
}

int main(void)
{
	int answered[SERVICES] = { 0 };
	struct epoll_event events[SERVICES];
	int ep = TRY(epoll_create1(EPOLL_CLOEXEC));
	int i, n, all = 0;

	/* [add] */
	for (i = 0; i < SERVICES; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		services[i] = new_mailbox(MBOX_QUEUE, 0, 64);
		TRY(epoll_ctl(ep, EPOLL_CTL_ADD, mbox_fd(services[i]), &event));
	}
	/* [/add] */
	for (i = 0; i < SERVICES; i++)
		start(call, i);

	/* [loop] */
	while (all < SERVICES * REQUESTS) {
		n = TRY(epoll_wait(ep, events, SERVICES, -1));
		for (i = 0; i < n; i++, all++) {
			answer(events[i].data.u32);
			answered[events[i].data.u32]++;
		}
	}
	/* [/loop] */
	join();
	for (i = 0; i < SERVICES; i++)
		say("service %d has answered %d requests", i, answered[i]);

	return 0;
}
