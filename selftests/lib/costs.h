/* SPDX-License-Identifier: GPL-2.0-only */
/* What messages and their senders are charged, found out by setting the limit. */
#ifndef SELFTESTS_COSTS_H
#define SELFTESTS_COSTS_H

#include "wrappers.h"

/*
 * A message of a new user, behind as many equal ones, and how many bytes it had to be
 * allowed for all.
 */
struct probe {
	int param;
	__u32 flags;
	size_t len;
	__u32 nfds;
	int queued;
	long cost;
};

/* In a child: the least limit at which the send succeeds. */
static inline int find_cost(void *arg)
{
	struct mbox_attr attr = attr_of(0, 4);
	struct probe *p = arg;
	long low = 0, high = 4 << 20, middle;
	int fds[MBOX_FDS_MAX] = { 0 }, i;
	struct mbox_msg msg = { 0 };
	char text[32], *buf;
	int fd;

	CHECK_EQ(0, become(USER_B, 4711));
	buf = calloc(1, p->len + 1);
	attr.flags = p->flags;
	attr.msg_max = 1 << 20;
	fd = raw_create(NULL, O_RDWR, &attr);
	CHECK(fd >= 0);
	msg = msg_of(buf, p->len, 0);
	msg.nfds = p->nfds;
	msg.fds = p->nfds ? (uintptr_t)fds : 0;
	for (i = 0; i < p->queued; i++)
		CHECK_EQ(0, raw(fd, MBOX_IOC_SEND, &msg));
	while (high - low > 1) {
		middle = (low + high) / 2;
		snprintf(text, sizeof(text), "%ld\n", middle);
		CHECK_EQ((long)strlen(text), pwrite(p->param, text, strlen(text), 0));
		if (raw(fd, MBOX_IOC_SEND, &msg)) {
			low = middle;
			continue;
		}
		high = middle;
		CHECK_EQ((long)p->len, raw_recv(fd, buf, p->len + 1, 0));
	}
	p->cost = high;
	return 0;
}

static inline long bytes_needed(size_t len, __u32 flags, __u32 nfds, int queued)
{
	struct probe *p = shared_memory(sizeof(*p));
	long saved = param_get("user_bytes"), cost;

	p->len = len;
	p->flags = flags;
	p->nfds = nfds;
	p->queued = queued;
	p->param = open(PARAM_DIR "user_bytes", O_WRONLY);
	cost = in_child(find_cost, p) ? -1 : p->cost;
	close(p->param);
	param_set("user_bytes", saved);
	munmap(p, sizeof(*p));
	return cost;
}

/* What a sender is charged besides its messages. */
static inline long cost_of_sender(void)
{
	static long cost;

	if (!cost)
		cost = 2 * bytes_needed(0, 0, 0, 0) - bytes_needed(0, 0, 0, 1);
	return cost;
}

/* What a message of @len bytes with @nfds descriptors is charged in such a mailbox. */
static inline long cost_with(size_t len, __u32 flags, __u32 nfds)
{
	return bytes_needed(len, flags, nfds, 0) - cost_of_sender();
}

#endif /* SELFTESTS_COSTS_H */
