/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sleeping and waking as the module does it, with a futex in place of its wait
 * queues: count the sleeper, then evaluate the condition, then sleep. The count
 * is where participants look, in the kernel's region.
 */
#ifndef SELFTESTS_RING_SLEEP_H
#define SELFTESTS_RING_SLEEP_H

#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>

#include "plain_ring.h"

/**
 * struct sleepers - one side's, in shared memory
 * @count: in the kernel's region
 * @event: the futex
 */
struct sleepers {
	uint32_t *count;
	uint32_t event;
	uint32_t reserved[13];
};

static inline bool sleep_condition(const struct ring *r, int side)
{
	return side == MBOX_RING_RECEIVERS ? ring_has_message(r) : ring_has_room(r);
}

/* Once in each participant, for asymmetric fences. */
static inline int membarrier_register(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
}

/* Until the condition may have come true, or @ms milliseconds, if not 0. */
static inline void sleep_wait(struct sleepers *s, const struct ring *r, int side, int ms)
{
	struct timespec limit = { ms / 1000, ms % 1000 * 1000000 };
	uint32_t event;

	__atomic_fetch_add(s->count, 1, __ATOMIC_SEQ_CST);
	event = __atomic_load_n(&s->event, __ATOMIC_ACQUIRE);
	/* Pairs with ring_fence(). */
	if (r->asym_fence)
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
	else
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* The thread that wakes it also uncounts it. */
	if (sleep_condition(r, side) ||
	    syscall(SYS_futex, &s->event, FUTEX_WAIT, event, ms ? &limit : NULL, NULL, 0))
		__atomic_fetch_sub(s->count, 1, __ATOMIC_SEQ_CST);
}

static inline void sleep_wake(struct sleepers *s, int n)
{
	long woken;

	__atomic_fetch_add(&s->event, 1, __ATOMIC_SEQ_CST);
	woken = syscall(SYS_futex, &s->event, FUTEX_WAKE, n, NULL, NULL, 0);
	if (woken > 0)
		__atomic_fetch_sub(s->count, woken, __ATOMIC_SEQ_CST);
}

/* What a participant does after it published something. */
static inline void sleep_tell(struct sleepers *s, const struct ring *r)
{
	ring_fence(r);
	if (__atomic_load_n(s->count, __ATOMIC_RELAXED))
		sleep_wake(s, 1);
}

#endif /* SELFTESTS_RING_SLEEP_H */
