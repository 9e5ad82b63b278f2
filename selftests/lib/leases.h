/* SPDX-License-Identifier: GPL-2.0-only */
/* The raw calls of a worker: on lease, acknowledge, put back. */
#ifndef SELFTESTS_LEASES_H
#define SELFTESTS_LEASES_H

#include "wrappers.h"

/* For lease_msg(): the call may wait. */
#define WAIT 1

static inline long ack(int fd, __u64 token)
{
	struct mbox_lease arg = { .token = token };

	return raw(fd, MBOX_IOC_ACK, &arg);
}

static inline long nack(int fd, __u64 token, __u64 delay_ns)
{
	struct mbox_lease arg = { .token = token, .delay_ns = delay_ns };

	return raw(fd, MBOX_IOC_NACK, &arg);
}

/* The number received, with all that the call tells, or -errno. */
static inline long receive_msg(int fd, __u32 flags, struct mbox_msg *msg)
{
	__u32 value = POISON32;
	long ret;

	*msg = msg_of(&value, sizeof(value), flags);
	msg->token = ~0ULL;
	msg->deliveries = POISON32;
	ret = raw(fd, MBOX_IOC_RECV, msg);
	if (ret < 0)
		return ret;
	return ret == sizeof(value) && value <= INT32_MAX ? (long)value : -EBADMSG;
}

static inline long lease_msg(int fd, __u32 flags, int wait, struct mbox_msg *msg)
{
	return receive_msg(fd, flags | MBOX_LEASE | (wait ? 0 : MBOX_DONTWAIT), msg);
}

/* The number received, and its token, or -errno. These do not wait. */
static inline long lease_as(int fd, __u32 flags, __u64 type, __u64 *token)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), flags | MBOX_LEASE | MBOX_DONTWAIT);
	long ret;

	msg.type = type;
	*token = ~0ULL;
	ret = raw(fd, MBOX_IOC_RECV, &msg);
	if (ret < 0)
		return ret;
	*token = msg.token;
	return ret == sizeof(value) && value <= INT32_MAX ? (long)value : -EBADMSG;
}

static inline long lease(int fd, __u64 *token)
{
	return lease_as(fd, 0, 0, token);
}

/* An anonymous mailbox, open for both, with options for dead letters. */
static inline int new_with(__u32 flags, __u32 capacity, __u32 max_deliveries, int dead_letter)
{
	struct mbox_create arg = {
		.oflags = O_RDWR | O_CLOEXEC,
		.attr = attr_of(flags, capacity),
		.options = {
			.size = sizeof(arg.options),
			.max_deliveries = max_deliveries,
			.dead_letter = dead_letter,
		},
	};

	return raw_control(MBOX_IOC_CREATE, &arg);
}

#endif /* SELFTESTS_LEASES_H */
