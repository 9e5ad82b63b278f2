/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of rings share. The protocol is in ring_core.h.
 *
 * A handle maps its mailbox when it first sends, and again when it first receives.
 * A mailbox may admit only one sender or one receiver, so a handle that does not
 * send must not count as a sender. Mappings are not inherited over fork(2), so
 * each process maps the ring itself; a page that the kernel empties in a child
 * tells the child from its parent.
 *
 * A handle may be closed while calls sleep on it in other threads. A call counts
 * itself before it sleeps. The last call to leave a closed handle unmaps the ring,
 * closes the descriptor and frees the memory. Calls that do not sleep are not
 * counted: that would cost each message two locked instructions.
 *
 * The functions here are those that each message needs. They are inline because
 * most of them cost less than a call.
 */
#ifndef MBOX_RING_H
#define MBOX_RING_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 32)
#include <sys/single_threaded.h>
#define SINGLE_THREADED (__libc_single_threaded)
#endif
#endif
#ifndef SINGLE_THREADED
#define SINGLE_THREADED 0
#endif

#include "internal.h"
#include "probe.h"
#include "ring_core.h"

/* Not on the fast path: keep it out of callers. */
#define SELDOM static __attribute__((noinline))
/* On the fast path: inline it in every caller. */
#define ALWAYS static inline __attribute__((always_inline))

#define RECEIVERS MBOX_RING_RECEIVERS
#define SENDERS MBOX_RING_SENDERS

#define SEND_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME)
#define RECV_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_TRUNC)

/* Flags that only queues have, or that mbox_peek() does not have. */
#define QUEUE_SEND_FLAGS (MBOX_SYNC | MBOX_NORESTART)
#define QUEUE_RECV_FLAGS (MBOX_PEEK | MBOX_LEASE | MBOX_TRUNC | MBOX_MATCH | MBOX_MATCH_NOT | \
			  MBOX_MATCH_LE | MBOX_LONGEST | MBOX_NORESTART)

/**
 * struct mbox__side - a mailbox, mapped to send or to receive
 * @ring: the protocol's view
 * @kernel: MBOX_RING_KERNEL
 * @generation: number of the process that mapped it
 * @fixed: MBOX_FIXED
 * @locked: calls on this side must not overlap: they take @lock
 * @lock: see @locked
 * @spin: looks before the next sleep
 * @yields: the process runs on one CPU only
 * @nonblock: whether the descriptor had O_NONBLOCK when that was last seen
 * @closed: the handle was closed while calls slept
 * @calls: calls that may sleep, and 1 for the handle
 * @serial: unique among the sides of the process
 * @peeked: position that mbox_peek() returned last, plus 1; 0: none
 * @map: the regions
 * @former: a side that a forked child inherited and cannot use
 */
struct mbox__side {
	struct ring ring;
	const struct mbox_ring_kernel *kernel;
	uint64_t generation;
	bool fixed;
	bool locked;
	pthread_mutex_t lock;
	atomic_uint spin;
	bool yields;
	atomic_bool nonblock;
	atomic_bool closed;
	atomic_uint calls;
	uint64_t serial;
	atomic_ullong peeked;
	struct {
		void *addr;
		size_t size;
	} map[MBOX_RING_REGIONS];
	struct mbox__side *former;
};

/**
 * struct ring_call - a call that sleeps until it succeeds
 * @flags: flags of the call
 * @deadline_ns: when it gives up, 0: never
 * @slept: it may have been woken
 * @counted: it is in mbox__side.calls
 * @sleeps: how often it was about to sleep
 * @stuck: how often in a row the ring looked ready then, and no position had
 *	changed since the time before
 * @progress: ring_progress() at the last of them
 */
struct ring_call {
	uint32_t flags;
	uint64_t deadline_ns;
	bool slept;
	bool counted;
	unsigned int sleeps;
	unsigned int stuck;
	uint64_t progress;
};

/* ---- ring_side.c -------------------------------------------------------- */

/* Map a side for this process. Several threads may try at once. */
struct mbox__side *mbox__ring_attach(struct mbox *mb, int side);

/* The end of a call that enter() has counted. */
void mbox__ring_leave(struct mbox *mb, struct mbox__side *s);

/* The side, or NULL if this process has not mapped it. */
static inline struct mbox__side *mapped_side(struct mbox *mb, int side)
{
	struct mbox__side *s = atomic_load_explicit(&mb->side[side], memory_order_acquire);
	atomic_ullong *page = atomic_load_explicit(&mbox__generation_page, memory_order_relaxed);

	if (s && s->generation == atomic_load_explicit(page, memory_order_relaxed))
		return s;

	return NULL;
}

static inline struct mbox__side *get_side(struct mbox *mb, int side)
{
	struct mbox__side *s = mapped_side(mb, side);

	return s ? s : mbox__ring_attach(mb, side);
}

/* For functions that only rings have. */
static inline struct mbox__side *side_of_ring(struct mbox *mb, int side)
{
	if (mb->ring)
		return get_side(mb, side);
	errno = EOPNOTSUPP;

	return NULL;
}

/* Count a call, so that it can go on after the handle was closed. */
static inline void enter(struct mbox__side *s)
{
	atomic_fetch_add(&s->calls, 1);
}

/* Whether the handle was closed while the call slept. */
static inline bool closed_meanwhile(struct mbox__side *s, const struct ring_call *call)
{
	return call->counted && atomic_load(&s->closed);
}

/* Serialize the threads of a side that is for one sender or receiver. */
static inline bool lock_side(struct mbox__side *s)
{
	if (!s->locked || SINGLE_THREADED)
		return false;
	pthread_mutex_lock(&s->lock);

	return true;
}

static inline void unlock_side(struct mbox__side *s, bool locked)
{
	if (locked)
		pthread_mutex_unlock(&s->lock);
}

/* ---- ring_wait.c -------------------------------------------------------- */

/* Wake up to @n calls that sleep on a side; @s is the caller's. */
void mbox__ring_wake(struct mbox *mb, const struct mbox__side *s, int side, unsigned int n);

/*
 * At the end of a call that was woken. One wake-up may stand for several things to
 * do: two messages that became ready in the wrong order wake the same sleeper.
 */
void mbox__ring_pass_on(struct mbox *mb, struct mbox__side *s, int side);

/* Wait until there may be something to do. Returns 0, or -1 and errno. */
int mbox__ring_sleep(struct mbox *mb, struct mbox__side *s, int side, struct ring_call *call);

static inline uint32_t sleepers(const struct mbox__side *s, int side)
{
	const __u32 *count = side == SENDERS ? &s->kernel->senders : &s->kernel->receivers;

	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* After @n messages, or room for them, were published for the side @other. */
ALWAYS void published(struct mbox *mb, struct mbox__side *s, int other, unsigned int n)
{
	/* Pairs with the kernel's fence between counting a sleeper and looking. */
	ring_fence(&s->ring);
	if (sleepers(s, other))
		mbox__ring_wake(mb, s, other, n);
}

static inline bool ready(const struct mbox__side *s, int side)
{
	return side == SENDERS ? ring_has_room(&s->ring) : ring_has_message(&s->ring);
}

/* MBOX_RING_DEAD and the other flags that concern this side. */
static inline uint32_t state_of(const struct mbox__side *s, int side)
{
	uint32_t mine = side == SENDERS ? MBOX_RING_NO_RECEIVER : MBOX_RING_NO_SENDER;

	/* Pairs with the kernel's release: what the last sender sent is seen after it. */
	return __atomic_load_n(&s->kernel->state, __ATOMIC_ACQUIRE) & (MBOX_RING_DEAD | mine);
}

static inline bool is_dead(const struct mbox__side *s, int side)
{
	return state_of(s, side) & MBOX_RING_DEAD;
}

/*
 * The end of a call: pass a wake-up on that it may have consumed. If the call has
 * slept, the handle and the side may be gone afterwards.
 */
static inline int finish(struct mbox *mb, struct mbox__side *s, int side,
			 const struct ring_call *call, int ret)
{
	int saved = errno;

	if (call->slept)
		mbox__ring_pass_on(mb, s, side);
	if (call->counted)
		mbox__ring_leave(mb, s);
	errno = saved;

	return ret;
}

/* ---- arguments ---------------------------------------------------------- */

static inline int check_flags(uint32_t flags, uint32_t known, uint32_t of_queues)
{
	if (!(flags & ~known))
		return 0;
	errno = flags & ~(known | of_queues) ? EINVAL : EOPNOTSUPP;

	return -1;
}

static inline int check_send_flags(uint32_t flags, uint32_t known)
{
	return check_flags(flags, known, QUEUE_SEND_FLAGS);
}

static inline bool has_both(uint32_t flags, uint32_t both)
{
	return (flags & both) == both;
}

static inline int check_recv_flags(uint32_t flags, uint32_t known)
{
	/* On a queue these are EINVAL, too. */
	if (has_both(flags, MBOX_LEASE | MBOX_PEEK) ||
	    has_both(flags, MBOX_MATCH_NOT | MBOX_MATCH_LE)) {
		errno = EINVAL;
		return -1;
	}

	return check_flags(flags, known, QUEUE_RECV_FLAGS);
}

#endif /* MBOX_RING_H */
