// SPDX-License-Identifier: GPL-2.0-only
/* What is tried in each state of a queue. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "holds.h"

#define BATCH 256
/* A type that no message has. */
#define NO_TYPE (1ULL << 40)

void small_operations(void)
{
	struct pollfd pfd = { .fd = mbox_fd(s.mb), .events = POLLIN | POLLOUT };
	struct mbox_walk walk = { 0 };
	struct mbox_stat st;
	char path[64], text[4096];
	int fd;

	OPERATION("stat", mbox_stat(s.mb, &st));
	OPERATION("walk", mbox_walk(&walk));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mbox_fd(s.mb));
	fd = open(path, O_RDONLY);
	OPERATION("fdinfo", read(fd, text, sizeof(text)));
	close(fd);
	OPERATION("poll", poll(&pfd, 1, 0));
	pfd.events = 0;
	OPERATION("poll, waits", poll(&pfd, 1, 1));
}

void epoll_operations(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(0);

	OPERATION("epoll: add", epoll_ctl(ep, EPOLL_CTL_ADD, mbox_fd(s.mb), &event));
	OPERATION("epoll: remove", epoll_ctl(ep, EPOLL_CTL_DEL, mbox_fd(s.mb), &event));
	close(ep);
}

static void handle_operations(void)
{
	struct sigevent sev = { .sigev_notify = SIGEV_NONE };
	struct mbox *mb;
	int fd;

	OPERATION("open", mb = mbox_open(NAME, O_RDWR));
	if (!mb)
		err(1, "mbox_open");
	OPERATION("notify", mbox_notify(mb, &sev));
	OPERATION("notify, off", mbox_notify(mb, NULL));
	fd = mbox_fd(mb);
	OPERATION("O_ASYNC", fcntl(fd, F_SETFL, O_ASYNC));
	OPERATION("O_ASYNC, off", fcntl(fd, F_SETFL, 0));
	OPERATION("close", mbox_close(mb));
}

static void peek_operations(void)
{
	uint32_t flags = MBOX_PEEK | MBOX_DONTWAIT;

	OPERATION("peek", recv_from(s.mb, 0, 0, flags, 0));
	OPERATION("peek, skip all but one", recv_from(s.mb, 0, nmessages - 10, flags, 0));
	OPERATION("peek, type", recv_from(s.mb, NO_TYPE, 0, flags | MBOX_MATCH, 0));
	OPERATION("peek, waits", recv_from(s.mb, NO_TYPE, 0, MBOX_PEEK | MBOX_MATCH, soon()));
}

static void recv_badly(uint64_t type, uint32_t len)
{
	struct mbox_msg msg = {
		.buf = getpagesize() / 2,
		.len = len,
		.flags = MBOX_DONTWAIT | MBOX_MATCH,
		.type = type,
	};

	mbox_recvmsg(s.mb, &msg);
}

static void match_operations(void)
{
	/* Of messages, or of those that waiting senders have. */
	uint64_t types = s.state->job ? nwaiters : nmessages;
	uint32_t flags = MBOX_DONTWAIT;

	OPERATION("recv, no such type", recv_from(s.mb, NO_TYPE, 0, flags | MBOX_MATCH, 0));
	OPERATION("recv, type", recv_from(s.mb, types / 2, 0, flags | MBOX_MATCH, 0));
	OPERATION("recv, last type", recv_from(s.mb, types, 0, flags | MBOX_MATCH, 0));
	OPERATION("recv, bad address", recv_badly(types - 1, sizeof(uint64_t)));
	OPERATION("recv, too short", recv_badly(types - 1, 1));
	OPERATION("recv, other type", recv_from(s.mb, 1, 0, flags | MBOX_MATCH_NOT, 0));
	OPERATION("recv, lowest type", recv_from(s.mb, NO_TYPE, 0, flags | MBOX_MATCH_LE, 0));
	OPERATION("recv, type, waits", recv_from(s.mb, NO_TYPE, 0, MBOX_MATCH, soon()));
	urgent(true);
	OPERATION("recv, urgent, waits", recv_from(s.mb, NO_TYPE, 0, MBOX_MATCH, soon()));
	urgent(false);
}

static void send_operations(void)
{
	uint64_t data[BATCH] = { 0 };
	struct mbox_msg msgs[BATCH] = { 0 };
	int i;

	for (i = 0; i < BATCH; i++) {
		msgs[i].buf = (uintptr_t)&data[i];
		msgs[i].len = sizeof(data[i]);
	}
	OPERATION("send, waits", send_to(s.mb, 0, 1, 0, soon()));
	urgent(true);
	OPERATION("send, urgent, waits", send_to(s.mb, 0, 1, 0, soon()));
	urgent(false);
	OPERATION("send, sync, waits", send_to(s.mb, 0, 1, MBOX_SYNC, soon()));
	urgent(true);
	OPERATION("send, sync, urgent, waits", send_to(s.mb, 0, 1, MBOX_SYNC, soon()));
	urgent(false);
	OPERATION("call, waits", call_for(soon()));
	urgent(true);
	OPERATION("call, urgent, waits", call_for(soon()));
	urgent(false);
	OPERATION("send", send_to(s.mb, 0, 1, MBOX_DONTWAIT, 0));
	OPERATION("send, type", send_to(s.mb, 0, nwaiters / 2, MBOX_DONTWAIT, 0));
	OPERATION("send, no such type", send_to(s.mb, 0, NO_TYPE, MBOX_DONTWAIT, 0));
	OPERATION("send, priority", send_to(s.mb, MBOX_PRIO_MAX / 2, 1, MBOX_DONTWAIT, 0));
	OPERATION("sendmmsg", mbox_sendmmsg(s.mb, msgs, BATCH, MBOX_DONTWAIT));
	OPERATION("recv", recv_from(s.mb, 0, 0, MBOX_DONTWAIT, 0));
	OPERATION("recvmmsg", mbox_recvmmsg(s.mb, msgs, BATCH, MBOX_DONTWAIT));
}

static void capacity_operations(void)
{
	struct mbox_stat st;

	must(mbox_stat(s.mb, &st), "stat");
	OPERATION("capacity, one more", mbox_set_capacity(s.mb, st.queued + 1));
	OPERATION("recv, room for one", recv_from(s.mb, 0, 0, MBOX_DONTWAIT, 0));
	OPERATION("capacity, less", mbox_set_capacity(s.mb, 1));
	OPERATION("recv, no room", recv_from(s.mb, 0, 0, MBOX_DONTWAIT, 0));
	OPERATION("send, less capacity", send_to(s.mb, 0, 1, MBOX_DONTWAIT, 0));
	OPERATION("capacity, unbounded", mbox_set_capacity(s.mb, MBOX_UNBOUNDED));
	must(mbox_set_capacity(s.mb, st.attr.capacity), "set_capacity");
}

void every_operation(void)
{
	small_operations();
	epoll_operations();
	handle_operations();
	peek_operations();
	match_operations();
	send_operations();
	capacity_operations();
}

/* Ends the state. */
void hang_up(void)
{
	OPERATION("close, the last of a side", mbox_close(s.handles[0]));
	s.handles[0] = NULL;
	must(mbox_unlink(NAME), "unlink");
	await_workers();
	mbox_close(s.mb);
	s.mb = NULL;
}
