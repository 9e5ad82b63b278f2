// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What many programs would write around the calls: a time-out instead of a deadline, a
 * priority without a structure, a buffer that fits, a pair of handles.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* Most messages are shorter; a longer one costs one more call. */
#define FIRST_SIZE 4096

/* The deadline of a call with a time-out. Returns 0, or -1 and errno. */
static int deadline_of(struct timespec *ts, unsigned int milliseconds, unsigned int flags)
{
	/* A flag may not choose another clock. */
	if (flags & MBOX_REALTIME) {
		errno = EINVAL;
		return -1;
	}
	if (clock_gettime(CLOCK_MONOTONIC, ts) < 0)
		return -1;
	ts->tv_sec += milliseconds / 1000;
	ts->tv_nsec += milliseconds % 1000 * 1000000L;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}

	return 0;
}

MBOX_API int mbox_send_for(struct mbox *mb, const void *buf, size_t len, unsigned int flags,
			   unsigned int milliseconds)
{
	struct timespec deadline;

	if (deadline_of(&deadline, milliseconds, flags) < 0)
		return -1;

	return mbox_timedsend(mb, buf, len, flags, &deadline);
}

MBOX_API ssize_t mbox_recv_for(struct mbox *mb, void *buf, size_t len, unsigned int flags,
			       unsigned int milliseconds)
{
	struct timespec deadline;

	if (deadline_of(&deadline, milliseconds, flags) < 0)
		return -1;

	return mbox_timedrecv(mb, buf, len, flags, &deadline);
}

MBOX_API int mbox_send_prio(struct mbox *mb, const void *buf, size_t len, unsigned int prio,
			    unsigned int flags)
{
	struct mbox_msg msg = {
		.buf = (uintptr_t)buf,
		.len = len,
		.flags = flags,
		.prio = prio,
	};

	if (mbox__send_too_long(len))
		return -1;

	return mbox_sendmsg(mb, &msg);
}

/* How long a buffer must be that was too short, or -1 and errno. */
static ssize_t needed_size(struct mbox *mb, unsigned int flags)
{
	struct mbox_stat st;

	if (!mb->ring)
		return mbox_recv(mb, NULL, 0, flags | MBOX_PEEK | MBOX_TRUNC | MBOX_DONTWAIT);
	if (mbox_stat(mb, &st) < 0)
		return -1;

	return st.attr.msg_max;
}

MBOX_API ssize_t mbox_recv_alloc(struct mbox *mb, void **buf, unsigned int flags,
				 const struct timespec *deadline)
{
	size_t size = FIRST_SIZE;
	ssize_t len, needed;
	int before = errno, saved;
	char *mem, *cut;

	/* A message that is cut does not need a buffer that fits. */
	if (flags & MBOX_TRUNC) {
		errno = EINVAL;
		return -1;
	}
	for (;;) {
		/* One byte more, for the zero. */
		mem = malloc(size + 1);
		if (!mem)
			return -1;
		len = mbox_timedrecv(mb, mem, size, flags, deadline);
		if (len >= 0)
			break;
		saved = errno;
		free(mem);
		errno = saved;
		if (errno != EMSGSIZE)
			return -1;
		needed = needed_size(mb, flags);
		/* If another receiver took that message, the next one may be short. */
		if (needed < 0 && errno != EAGAIN)
			return -1;
		size = needed > FIRST_SIZE ? needed : FIRST_SIZE;
	}
	mem[len] = 0;
	cut = realloc(mem, len + 1);
	*buf = cut ? cut : mem;
	errno = before;

	return len;
}

MBOX_API int mbox_pipe(struct mbox *ends[2])
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *both, *in, *out;
	int saved;

	attr.flags = MBOX_HANGUP;
	both = mbox_create(NULL, O_RDWR, &attr);
	if (!both)
		return -1;
	in = mbox_reopen(both, O_RDONLY);
	out = in ? mbox_reopen(both, O_WRONLY) : NULL;
	saved = errno;
	/* Both sides are open, so this is no hangup. */
	mbox_close(both);
	if (!out) {
		if (in)
			mbox_close(in);
		errno = saved;
		return -1;
	}
	ends[0] = in;
	ends[1] = out;

	return 0;
}
