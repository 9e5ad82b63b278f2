/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions of the library that send and receive a message.
 */
#ifndef SELFTESTS_API_VARIANTS_H
#define SELFTESTS_API_VARIANTS_H

#include "peers.h"

enum api_variant { PLAIN, WITH_FLAGS, NO_DEADLINE, DEADLINE, STRUCTURE, BATCH };

/* 0 or -errno. */
static inline long send_by(enum api_variant api, struct mbox *mb, const void *buf, size_t len)
{
	static const struct timespec later = { .tv_sec = INT32_MAX };
	struct mbox_msg msg = msg_of(buf, len, 0);
	long ret;

	errno = 0;
	switch (api) {
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
static inline long recv_by(enum api_variant api, struct mbox *mb, void *buf, size_t len)
{
	static const struct timespec later = { .tv_sec = INT32_MAX };
	struct mbox_msg msg = msg_of(buf, len, 0);
	long ret;

	errno = 0;
	switch (api) {
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

#endif /* SELFTESTS_API_VARIANTS_H */
