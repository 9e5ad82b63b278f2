/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages with descriptors. */
#ifndef SELFTESTS_FDS_H
#define SELFTESTS_FDS_H

#include "wrappers.h"

/* A message with a number and these descriptors. */
static inline long send_fds(int fd, __u32 flags, const int *fds, __u32 n)
{
	__u32 value = 7;
	struct mbox_msg msg = msg_of(&value, sizeof(value), flags | MBOX_DONTWAIT);

	msg.nfds = n;
	msg.fds = (uintptr_t)fds;
	return raw(fd, MBOX_IOC_SEND, &msg);
}

/* What came: the result, and the structure with its array. */
struct got {
	struct mbox_msg msg;
	__u32 value;
	int fds[MBOX_FDS_MAX + 1];
};

static inline long recv_fds(int fd, __u32 flags, __u32 room, struct got *got)
{
	memset(got, POISON, sizeof(*got));
	got->msg = msg_of(&got->value, sizeof(got->value), flags | MBOX_DONTWAIT);
	got->msg.nfds = room;
	if (room)
		got->msg.fds = (uintptr_t)got->fds;
	return raw(fd, MBOX_IOC_RECV, &got->msg);
}

/* Files are closed some time later. */
static inline bool is_gone(__u64 id)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	int fd;

	do {
		fd = raw_open_id(id, O_RDONLY);
		if (fd == -ENOENT)
			return true;
		close(fd);
		pause_briefly();
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	return false;
}

#endif /* SELFTESTS_FDS_H */
