// SPDX-License-Identifier: LGPL-2.1-or-later
/* Properties of a message, as headers of NATS. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bridge.h"

static natsStatus put_number(natsMsg *to, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return natsMsgHeader_Set(to, key, text);
}

/**
 * headers_put() - tell the properties of a message that was received
 * @to: gets the headers; what is 0 gets none
 * @msg: the message
 *
 * Return: what libnats says.
 */
natsStatus headers_put(natsMsg *to, const struct mbox_msg *msg)
{
	natsStatus status = NATS_OK;
	char text[40];

	if (msg->prio)
		status = put_number(to, HEADER_PRIO, msg->prio);
	if (status == NATS_OK && msg->type)
		status = put_number(to, HEADER_TYPE, msg->type);
	if (status == NATS_OK && msg->lifespan_ns)
		status = put_number(to, HEADER_LIFESPAN, msg->lifespan_ns);
	if (status == NATS_OK && msg->deliveries > 1)
		status = put_number(to, HEADER_DELIVERIES, msg->deliveries);
	snprintf(text, sizeof(text), "%u %u %u", msg->uid, msg->gid, msg->pid);
	return status == NATS_OK ? natsMsgHeader_Set(to, HEADER_SENDER, text) : status;
}

/* A decimal number, and nothing else; *text goes behind it. */
static bool get_number(const char **text, uint64_t max, uint64_t *value)
{
	const char *p = *text;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned int digit = *p - '0';

		if (v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*text = p;
	*value = v;
	return true;
}

bool header_is(natsMsg *msg, const char *key, const char **value)
{
	return natsMsgHeader_Get(msg, key, value) == NATS_OK && *value;
}

/* 0: there is none, and *value is as before; -1: it is no such number. */
static int number_of(natsMsg *from, const char *key, uint64_t max, uint64_t *value)
{
	const char *text;
	natsStatus status = natsMsgHeader_Get(from, key, &text);

	if (status == NATS_NOT_FOUND)
		return 0;
	if (status != NATS_OK || !text)
		return -1;
	return get_number(&text, max, value) && !*text ? 0 : -1;
}

static int identity_of(natsMsg *from, struct identity *identity)
{
	uint64_t uid, gid, pid;
	const char *text;
	natsStatus status = natsMsgHeader_Get(from, HEADER_SENDER, &text);

	if (status == NATS_NOT_FOUND)
		return 0;
	if (status != NATS_OK || !text)
		return -1;
	/* The last numbers are no users. */
	if (!get_number(&text, UINT32_MAX - 1, &uid) || *text++ != ' ' ||
	    !get_number(&text, UINT32_MAX - 1, &gid) || *text++ != ' ' ||
	    !get_number(&text, UINT32_MAX, &pid) || *text)
		return -1;
	identity->known = true;
	identity->uid = uid;
	identity->gid = gid;
	return 0;
}

/**
 * headers_get() - take the properties of a message from its headers
 * @from: the message of NATS
 * @msg: prio, type and lifespan_ns are set
 * @identity: who sent it, or NULL: that header is not read
 *
 * Return: 0, or -1: a header is not what it should be.
 */
int headers_get(natsMsg *from, struct mbox_msg *msg, struct identity *identity)
{
	uint64_t prio = 0, type = 0, lifespan = 0;

	if (number_of(from, HEADER_PRIO, MBOX_PRIO_MAX, &prio) ||
	    number_of(from, HEADER_TYPE, UINT64_MAX, &type) ||
	    number_of(from, HEADER_LIFESPAN, INT64_MAX, &lifespan))
		return -1;
	msg->prio = prio;
	msg->type = type;
	msg->lifespan_ns = lifespan;
	return identity ? identity_of(from, identity) : 0;
}

/*
 * The kernel takes the real ids of the thread that sends. Only this thread gets other ones:
 * the functions of the C library would change all. What permits comes from the effective
 * ids, which stay.
 */

/* On 32-bit machines with calls from the time of 16-bit ids, those have the plain names. */
#ifdef SYS_setresuid32
#define SETRESUID SYS_setresuid32
#define SETRESGID SYS_setresgid32
#else
#define SETRESUID SYS_setresuid
#define SETRESGID SYS_setresgid
#endif

/**
 * identity_take() - be another user and group for the next message
 * @identity: which
 *
 * Needs CAP_SETUID and CAP_SETGID.
 *
 * Return: 0, or -1 and errno; nothing has changed then.
 */
int identity_take(const struct identity *identity)
{
	if (!identity->known)
		return 0;
	if (syscall(SETRESGID, identity->gid, -1, -1))
		return -1;
	if (syscall(SETRESUID, identity->uid, -1, -1)) {
		int error = errno;

		identity_drop(identity);
		errno = error;
		return -1;
	}
	return 0;
}

/* Undo identity_take(). */
void identity_drop(const struct identity *identity)
{
	if (!identity->known)
		return;
	if (syscall(SETRESUID, geteuid(), -1, -1) ||
	    syscall(SETRESGID, getegid(), -1, -1)) {
		/* Who it is now would be said of all that follow. */
		say("cannot become user %u again: %s", geteuid(), strerror(errno));
		abort();
	}
}
