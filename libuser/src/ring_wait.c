// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sleeping until a ring has something to do, and waking sleepers.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <time.h>

#include "ring.h"

/* Looks at the ring before a call sleeps, at most. */
#define SPIN_MOST    (1U << 30)
#define SPIN_RANGE   8
/* Processor pauses between two looks. */
#define PAUSE_MAX    64

/* ring_call.stuck at which a call takes the ring for corrupt. */
#define STUCK_MAX 1024

void mbox__ring_wake(struct mbox *mb, const struct mbox__side *s, int side, unsigned int n)
{
	struct mbox_ring_wake arg = { .side = side, .n = n };
	int saved = errno;

	RING_PROBE(ring_wake, s->ring.id, side, n);
	/* It fails only if the mailbox was destroyed, which wakes all sleepers. */
	ioctl(mb->fd, MBOX_IOC_RING_WAKE, &arg);
	errno = saved;
}

/*
 * A call that was woken is done. One wake-up may have stood for several: two
 * messages that became ready in the wrong order wake the same sleeper.
 */
void mbox__ring_pass_on(struct mbox *mb, struct mbox__side *s, int side)
{
	ring_fence(&s->ring);
	if (sleepers(s, side) && ready(s, side))
		mbox__ring_wake(mb, s, side, 1);
}

static void relax(const struct mbox__side *s)
{
	if (s->yields) {
		sched_yield();
		return;
	}
#if __has_builtin(__builtin_ia32_pause)
	__builtin_ia32_pause();
#endif
}

/*
 * Look at the ring for a while before sleeping: longer if that has avoided sleeps,
 * less long if it has not. Returns whether there is something to do.
 */
static bool spin(struct mbox *mb, struct mbox__side *s, int side)
{
	unsigned int max = atomic_load_explicit(&mb->spin_max, memory_order_relaxed);
	unsigned int limit = atomic_load_explicit(&s->spin, memory_order_relaxed);
	unsigned int pause = 1, i, k;

	if (limit > max)
		limit = max;
	for (i = 0; i < limit; i += pause) {
		/* Each look takes a cache line from a CPU that writes to it. */
		if (!s->yields && pause < PAUSE_MAX)
			pause *= 2;
		for (k = 0; k < pause; k++)
			relax(s);
		if (side == RECEIVERS && ring_quiet(&s->ring) && !state_of(s, side))
			continue;
		if (ready(s, side) || state_of(s, side)) {
			limit = limit < max / 2 ? 2 * limit : max;
			atomic_store_explicit(&s->spin, limit, memory_order_relaxed);
			return true;
		}
	}
	/* Yielding wastes no time that other threads could use: keep the limit. */
	if (s->yields)
		return false;
	/* Never too short to notice when looking pays again. */
	limit -= limit / 8;
	if (limit < max / SPIN_RANGE)
		limit = max / SPIN_RANGE;
	atomic_store_explicit(&s->spin, limit, memory_order_relaxed);

	return false;
}

static bool deadline_passed(const struct ring_call *call)
{
	struct timespec now;

	if (!call->deadline_ns)
		return false;
	clock_gettime(call->flags & MBOX_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);

	return now.tv_sec * 1000000000ULL + now.tv_nsec >= call->deadline_ns;
}

/*
 * There was nothing to do: wait. Returns 0 to try again, or -1 and errno.
 */
int mbox__ring_sleep(struct mbox *mb, struct mbox__side *s, int side, struct ring_call *call)
{
	struct mbox_ring_wait arg = {
		.side = side,
		.flags = call->flags & MBOX_REALTIME,
		.deadline_ns = call->deadline_ns,
	};
	bool nonblock;
	uint64_t progress, next;
	int ret;

	if (call->flags & MBOX_DONTWAIT) {
		errno = EAGAIN;
		return -1;
	}
	if (!call->counted) {
		enter(s);
		call->counted = true;
	}
	nonblock = atomic_load_explicit(&s->nonblock, memory_order_relaxed);
	if (!call->slept && !nonblock && spin(mb, s, side))
		return 0;
	if (++call->sleeps % 64 == 0 && deadline_passed(call)) {
		errno = ETIMEDOUT;
		return -1;
	}
	progress = ring_progress(&s->ring);
	next = side == SENDERS ? ring_tail(&s->ring) : ring_head(&s->ring);
	/* Not ready: a spurious wake-up, which can happen at any time. */
	call->stuck = ready(s, side) && progress == call->progress ? call->stuck + 1 : 0;
	call->progress = progress;
	if (call->stuck > STUCK_MAX) {
		errno = EIO;
		return -1;
	}
	call->slept = true;

	RING_PROBE(ring_wait, s->ring.id, side, next);
	ret = ioctl(mb->fd, MBOX_IOC_RING_WAIT, &arg);
	RING_PROBE(ring_resume, s->ring.id, side, ret);
	/* Without MBOX_DONTWAIT it comes from O_NONBLOCK. */
	if (nonblock != (ret < 0 && errno == EAGAIN))
		atomic_store_explicit(&s->nonblock, !nonblock, memory_order_relaxed);

	return ret;
}

MBOX_API int mbox_set_spin(struct mbox *mb, unsigned int n)
{
	struct mbox__side *s;
	int side;

	if (!mb->ring) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (n > SPIN_MOST)
		n = SPIN_MOST;
	mb->spin_set = true;
	atomic_store(&mb->spin_max, n);
	for (side = RECEIVERS; side <= SENDERS; side++) {
		s = atomic_load(&mb->side[side]);
		if (s)
			atomic_store(&s->spin, n);
	}

	return 0;
}
