/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ways in which the library sends and receives a message.
 */
#ifndef SELFTESTS_WAYS_H
#define SELFTESTS_WAYS_H

#include <sys/mman.h>

#include "peers.h"

enum way { PLAIN, WITH_FLAGS, NO_DEADLINE, DEADLINE, STRUCTURE, BATCH };

/* 0 or -errno. */
static inline long send_by(enum way way, struct mbox *mb, const void *buf, size_t len)
{
	static const struct timespec later = { .tv_sec = INT32_MAX };
	struct mbox_msg msg = msg_of(buf, len, 0);
	long ret;

	errno = 0;
	switch (way) {
	case PLAIN:
		return neg(mbox_send(mb, buf, len, 0));
	case WITH_FLAGS:
		return neg(mbox_send(mb, buf, len, MBOX_REALTIME));
	case NO_DEADLINE:
		return neg(mbox_timedsend(mb, buf, len, 0, NULL));
	case DEADLINE:
		return neg(mbox_timedsend(mb, buf, len, 0, &later));
	case STRUCTURE:
		return neg(mbox_sendmsg(mb, &msg));
	case BATCH:
		ret = neg(mbox_sendmmsg(mb, &msg, 1, 0));
		return ret < 0 ? ret : ret - 1;
	}
	return -ENOSYS;
}

/* The length or -errno. */
static inline long recv_by(enum way way, struct mbox *mb, void *buf, size_t len)
{
	static const struct timespec later = { .tv_sec = INT32_MAX };
	struct mbox_msg msg = msg_of(buf, len, 0);
	long ret;

	errno = 0;
	switch (way) {
	case PLAIN:
		return neg(mbox_recv(mb, buf, len, 0));
	case WITH_FLAGS:
		return neg(mbox_recv(mb, buf, len, MBOX_REALTIME));
	case NO_DEADLINE:
		return neg(mbox_timedrecv(mb, buf, len, 0, NULL));
	case DEADLINE:
		return neg(mbox_timedrecv(mb, buf, len, 0, &later));
	case STRUCTURE:
		return neg(mbox_recvmsg(mb, &msg));
	case BATCH:
		ret = neg(mbox_recvmmsg(mb, &msg, 1, 0));
		return ret == 1 ? (long)msg.len : ret ? ret : -ENOMSG;
	}
	return -ENOSYS;
}

static inline void *no_access_page(void)
{
	void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? NULL : page;
}

#endif /* SELFTESTS_WAYS_H */
