// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ring mailboxes: mapping them, sending and receiving without system calls,
 * sleeping when there is nothing to do. The protocol is in ring_core.h.
 *
 * A handle maps its mailbox when it first sends, and again when it first
 * receives: a mailbox may admit only one of each, and only those who do it
 * shall count. Mappings are not inherited over fork(2), so each process does so
 * for itself: a page that the kernel empties in a child tells it apart.
 */
/* Regions are far apart: off_t must have 64 bits everywhere. */
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

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
#include "ring_core.h"

/* Out of the way of what each message does. */
#define SELDOM static __attribute__((noinline))
/* Part of what each message does, wherever that is. */
#define ALWAYS static inline __attribute__((always_inline))

#define RECEIVERS MBOX_RING_RECEIVERS
#define SENDERS	  MBOX_RING_SENDERS

#define SEND_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME)
#define RECV_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_TRUNC)

/*
 * Looks at the ring before a call sleeps: some tens of microseconds. On one CPU
 * each look is a turn for the others, without which nothing can change.
 */
#define SPIN_DEFAULT 1000
#define SPIN_ONE_CPU 64
#define SPIN_MOST    (1U << 30)
#define SPIN_RANGE   8
/* Processor pauses between two looks. */
#define PAUSE_MAX    64

/*
 * How often a call is told that there is something to do, finds nothing, and
 * nobody else has got on either, before it takes the ring for broken.
 */
#define IDLE_MAX 1024

/**
 * struct mbox__side - a mailbox, mapped to send or to receive
 * @ring: the protocol's view
 * @kernel: MBOX_RING_KERNEL
 * @generation: of the process that mapped it
 * @fixed: MBOX_FIXED
 * @locked: calls on this side must not overlap, @lock keeps them apart
 * @lock: see @locked
 * @spin: looks before the next sleep
 * @yields: there is one CPU only
 * @peeked: position that mbox_peek() showed
 * @peek_slot: its payload, NULL: none
 * @map: the regions
 * @former: one that a forked child inherited and cannot use
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
	uint64_t peeked;
	const void *peek_slot;
	struct {
		void *addr;
		size_t size;
	} map[MBOX_RING_REGIONS];
	struct mbox__side *former;
};

/* ---- who am I ----------------------------------------------------------- */

/* A number for this process; 0 after a fork until it takes one. */
static _Atomic(atomic_ullong *) generation_page;
static atomic_ullong last_generation;

static atomic_ullong *make_generation_page(void)
{
	size_t size = sysconf(_SC_PAGESIZE);
	atomic_ullong *none = NULL;
	int saved;
	void *page;

	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, size, MADV_WIPEONFORK) < 0) {
		saved = errno;
		munmap(page, size);
		errno = saved;
		return NULL;
	}
	if (atomic_compare_exchange_strong(&generation_page, &none, page))
		return page;
	munmap(page, size);

	return none;
}

/* This process's number, or 0 and errno. */
static uint64_t current_generation(void)
{
	atomic_ullong *page = atomic_load_explicit(&generation_page, memory_order_acquire);
	unsigned long long now = 0, new;

	if (!page)
		page = make_generation_page();
	if (!page)
		return 0;
	now = atomic_load_explicit(page, memory_order_relaxed);
	if (now)
		return now;
	new = atomic_fetch_add(&last_generation, 1) + 1;
	if (atomic_compare_exchange_strong(page, &now, new))
		return new;

	return now;
}

/* ---- mapping ------------------------------------------------------------ */

static void unmap(struct mbox__side *s)
{
	int i, saved = errno;

	for (i = 0; i < MBOX_RING_REGIONS; i++)
		if (s->map[i].addr)
			munmap(s->map[i].addr, s->map[i].size);
	pthread_mutex_destroy(&s->lock);
	free(s);
	errno = saved;
}

static int map_region(struct mbox__side *s, int fd, int region, size_t size, bool write)
{
	int prot = PROT_READ | (write ? PROT_WRITE : 0);
	void *addr;

	addr = mmap(NULL, size, prot, MAP_SHARED | MAP_POPULATE, fd, MBOX_RING_OFFSET(region));
	if (addr == MAP_FAILED) {
		/* The handle lacks the right. */
		if (errno == EACCES)
			errno = EBADF;
		return -1;
	}
	s->map[region].addr = addr;
	s->map[region].size = size;

	return 0;
}

static bool one_cpu(void)
{
	cpu_set_t set;

	/* More CPUs than fit is an error, and more than one. */
	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) == 1;
}

static int map_all(struct mbox *mb, struct mbox__side *s, int side)
{
	bool send = side == SENDERS, recv = side == RECEIVERS;
	size_t page = sysconf(_SC_PAGESIZE);
	const struct mbox_ring_info *info;
	struct mbox_ring_info mine;

	if (map_region(s, mb->fd, MBOX_RING_INFO, page, false) < 0)
		return -1;
	info = s->map[MBOX_RING_INFO].addr;
	if (info->version != MBOX_RING_VERSION) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	if (map_region(s, mb->fd, MBOX_RING_KERNEL, page, false) < 0 ||
	    map_region(s, mb->fd, MBOX_RING_TAIL, page, send) < 0 ||
	    map_region(s, mb->fd, MBOX_RING_HEAD, page, recv) < 0 ||
	    map_region(s, mb->fd, MBOX_RING_SLOTS, info->slots_size, send) < 0)
		return -1;

	mine = *info;
	/* The number is the process's, but with these mappings it does not send. */
	if (!send)
		mine.owner = 0;
	ring_init(&s->ring, &mine, s->map[MBOX_RING_TAIL].addr, s->map[MBOX_RING_HEAD].addr,
		  s->map[MBOX_RING_SLOTS].addr);
	s->ring.barrier = info->barrier & 1U << side;
	s->kernel = s->map[MBOX_RING_KERNEL].addr;
	s->fixed = info->flags & MBOX_FIXED;
	s->locked = info->flags & (send ? MBOX_ONE_SENDER : MBOX_ONE_RECEIVER);
	if (!mb->spin_set)
		mb->spin_max = one_cpu() ? SPIN_ONE_CPU : SPIN_DEFAULT;
	s->yields = one_cpu();
	atomic_init(&s->spin, mb->spin_max);

	return 0;
}

/* Map a side for this process. Several threads may try at once. */
static struct mbox__side *attach(struct mbox *mb, int side)
{
	struct mbox__side *s, *old = atomic_load(&mb->side[side]);
	uint64_t generation = current_generation();

	if (!generation)
		return NULL;
	s = aligned_alloc(RING_LINE, (sizeof(*s) + RING_LINE - 1) / RING_LINE * RING_LINE);
	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	s->generation = generation;
	if (map_all(mb, s, side) < 0) {
		unmap(s);
		return NULL;
	}
	do {
		if (old && old->generation == generation) {
			unmap(s);
			return old;
		}
		/* Others may be looking at it: it is freed with the handle. */
		s->former = old;
	} while (!atomic_compare_exchange_weak(&mb->side[side], &old, s));

	return s;
}

/* The side, if this process has mapped it; else NULL. */
static inline struct mbox__side *mapped_side(struct mbox *mb, int side)
{
	struct mbox__side *s = atomic_load_explicit(&mb->side[side], memory_order_acquire);
	atomic_ullong *page = atomic_load_explicit(&generation_page, memory_order_relaxed);

	if (s && s->generation == atomic_load_explicit(page, memory_order_relaxed))
		return s;

	return NULL;
}

static struct mbox__side *get_side(struct mbox *mb, int side)
{
	struct mbox__side *s = mapped_side(mb, side);

	return s ? s : attach(mb, side);
}

void mbox__ring_close(struct mbox *mb)
{
	struct mbox__side *s, *former;
	int side;

	for (side = RECEIVERS; side <= SENDERS; side++) {
		s = atomic_load(&mb->side[side]);
		if (!s)
			continue;
		former = s->former;
		/* What a parent mapped is not there; something else may be. */
		if (s->generation == current_generation())
			unmap(s);
		else
			free(s);
		for (s = former; s; s = former) {
			former = s->former;
			free(s);
		}
	}
}

/* ---- sleeping and waking ------------------------------------------------ */

SELDOM void wake(struct mbox *mb, int side, unsigned int n)
{
	struct mbox_ring_wake arg = { .side = side, .n = n };
	int saved = errno;

	/* It fails only if there is nobody to wake any more. */
	ioctl(mb->fd, MBOX_IOC_RING_WAKE, &arg);
	errno = saved;
}

static uint32_t sleepers(const struct mbox__side *s, int side)
{
	const __u32 *count = side == SENDERS ? &s->kernel->senders : &s->kernel->receivers;

	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* Something was published for the other side: @n messages, or room for them. */
ALWAYS void published(struct mbox *mb, struct mbox__side *s, int other, unsigned int n)
{
	/* Pairs with the kernel's between counting a sleeper and looking. */
	ring_fence(&s->ring);
	if (sleepers(s, other))
		wake(mb, other, n);
}

static bool ready(const struct mbox__side *s, int side)
{
	return side == SENDERS ? ring_has_room(&s->ring) : ring_has_message(&s->ring);
}

/*
 * A call that was woken is done. One wake-up may have stood for several: two
 * messages that became ready in the wrong order wake the same sleeper.
 */
static void pass_on(struct mbox *mb, struct mbox__side *s, int side)
{
	ring_fence(&s->ring);
	if (sleepers(s, side) && ready(s, side))
		wake(mb, side, 1);
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

/* 0, or MBOX_RING_DEAD and so on, of what concerns this side. */
static uint32_t state_of(const struct mbox__side *s, int side)
{
	uint32_t mine = side == SENDERS ? MBOX_RING_NO_RECEIVER : MBOX_RING_NO_SENDER;

	/* Pairs with the kernel's: what a sender left behind is seen after it. */
	return __atomic_load_n(&s->kernel->state, __ATOMIC_ACQUIRE) & (MBOX_RING_DEAD | mine);
}

/*
 * Look some more before going to sleep. Where that has been worth it, longer;
 * where it has not, not so long.
 */
static bool spin(struct mbox *mb, struct mbox__side *s, int side)
{
	unsigned int max = atomic_load_explicit(&mb->spin_max, memory_order_relaxed);
	unsigned int limit = atomic_load_explicit(&s->spin, memory_order_relaxed);
	unsigned int pause = 1, i, k;

	if (limit > max)
		limit = max;
	for (i = 0; i < limit; i += pause) {
		/* Each look takes memory from those who are writing to it. */
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
	/* A turn for others costs nothing that they would not have used. */
	if (s->yields)
		return false;
	/* Never too short to find out that it would be worth it again. */
	limit -= limit / 8;
	if (limit < max / SPIN_RANGE)
		limit = max / SPIN_RANGE;
	atomic_store_explicit(&s->spin, limit, memory_order_relaxed);

	return false;
}

/**
 * struct attempt - a call that tries until it succeeds
 * @flags: flags of the call
 * @deadline_ns: when it gives up, 0: never
 * @slept: it may have been woken
 * @fruitless: how often it was told to look, and found nothing
 * @idle: how often in a row that was so without anybody else getting on
 * @moved: what the positions were then, added up
 */
struct attempt {
	uint32_t flags;
	uint64_t deadline_ns;
	bool slept;
	unsigned int fruitless;
	unsigned int idle;
	uint64_t moved;
};

static bool deadline_passed(const struct attempt *a)
{
	struct timespec now;

	if (!a->deadline_ns)
		return false;
	clock_gettime(a->flags & MBOX_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);

	return now.tv_sec * 1000000000ULL + now.tv_nsec >= a->deadline_ns;
}

/*
 * There was nothing to do: wait. Returns 0 to try again, or -1 and errno.
 */
static int wait_side(struct mbox *mb, struct mbox__side *s, int side, struct attempt *a)
{
	struct mbox_ring_wait arg = {
		.side = side,
		.flags = a->flags & MBOX_REALTIME,
		.deadline_ns = a->deadline_ns,
	};
	uint64_t moved;

	if (a->flags & MBOX_DONTWAIT) {
		errno = EAGAIN;
		return -1;
	}
	if (!a->slept && spin(mb, s, side))
		return 0;
	if (++a->fruitless % 64 == 0 && deadline_passed(a)) {
		errno = ETIMEDOUT;
		return -1;
	}
	moved = ring_progress(&s->ring);
	/* A call that really slept can be woken for nothing at any time. */
	a->idle = ready(s, side) && moved == a->moved ? a->idle + 1 : 0;
	a->moved = moved;
	if (a->idle > IDLE_MAX) {
		errno = EIO;
		return -1;
	}
	a->slept = true;

	return ioctl(mb->fd, MBOX_IOC_RING_WAIT, &arg);
}

/* Why a call fails before it looks at the ring; 0: it does not. */
static int state_error(uint32_t state)
{
	if (state & MBOX_RING_DEAD)
		return -EIDRM;

	return state ? -EPIPE : 0;
}

/* Keep other threads from a side that is made for one. */
static bool lock_side(struct mbox__side *s)
{
	if (!s->locked || SINGLE_THREADED)
		return false;
	pthread_mutex_lock(&s->lock);

	return true;
}

static void unlock_side(struct mbox__side *s, bool locked)
{
	if (locked)
		pthread_mutex_unlock(&s->lock);
}

/* ---- sending ------------------------------------------------------------ */

/* Claim a slot, or send @buf at once. Returns 0, or -1 and errno. */
static int send_attempts(struct mbox *mb, struct mbox__side *s, const void *buf, size_t len,
			 uint64_t *pos, struct attempt *a)
{
	int result, error;
	bool locked;

	for (;;) {
		error = state_error(state_of(s, SENDERS));
		if (error)
			break;
		locked = lock_side(s);
		result = pos ? ring_claim(&s->ring, pos) : ring_send(&s->ring, buf, len);
		unlock_side(s, locked);
		if (result == RING_OK)
			return 0;
		if (result == RING_BROKEN) {
			error = -EIO;
			break;
		}
		if (wait_side(mb, s, SENDERS, a) < 0)
			return -1;
	}
	errno = -error;

	return -1;
}

/* A call is over: a wake-up that it may have got must not be for nothing. */
static int finish(struct mbox *mb, struct mbox__side *s, int side, const struct attempt *a, int ret)
{
	int saved = errno;

	if (a->slept)
		pass_on(mb, s, side);
	errno = saved;

	return ret;
}

static inline bool is_sendable(const struct mbox__side *s, size_t len)
{
	return len <= s->ring.msg_max && (!s->fixed || len == s->ring.msg_max);
}

static int check_len(const struct mbox__side *s, size_t len)
{
	if (is_sendable(s, len))
		return 0;
	errno = EMSGSIZE;

	return -1;
}

static int check_flags(uint32_t flags, uint32_t known)
{
	const uint32_t others = MBOX_SYNC | MBOX_PEEK | MBOX_TRUNC | MBOX_MATCH | MBOX_MATCH_NOT |
				MBOX_MATCH_LE;

	if (!(flags & ~known))
		return 0;
	/* Queues have more. */
	errno = flags & ~(known | others) ? EINVAL : EOPNOTSUPP;

	return -1;
}

SELDOM int send_with_care(struct mbox *mb, const void *buf, size_t len, uint32_t flags,
			  uint64_t deadline_ns)
{
	struct attempt a = { .flags = flags, .deadline_ns = deadline_ns };
	struct mbox__side *s;
	int ret;

	if (check_flags(flags, SEND_FLAGS) < 0)
		return -1;
	s = get_side(mb, SENDERS);
	if (!s || check_len(s, len) < 0)
		return -1;
	ret = send_attempts(mb, s, buf, len, NULL, &a);
	if (!ret)
		published(mb, s, RECEIVERS, 1);

	return finish(mb, s, SENDERS, &a, ret);
}

/* Nothing but what a message needs; where something is not so, with care. */
int mbox__ring_send(struct mbox *mb, const void *buf, size_t len, uint32_t flags,
		    uint64_t deadline_ns)
{
	struct mbox__side *s = mapped_side(mb, SENDERS);

	if (s && !(flags & ~SEND_FLAGS) && is_sendable(s, len) && !state_of(s, SENDERS) &&
	    (!s->locked || SINGLE_THREADED) && ring_send(&s->ring, buf, len) == RING_OK) {
		published(mb, s, RECEIVERS, 1);
		return 0;
	}

	return send_with_care(mb, buf, len, flags, deadline_ns);
}

/* ---- receiving ---------------------------------------------------------- */

/* Receive, or look at the next message. Returns 0, or -1 and errno. */
static int recv_attempts(struct mbox *mb, struct mbox__side *s, void *buf, uint32_t room,
			 const void **slot, uint32_t *len, struct attempt *a)
{
	uint32_t state;
	uint64_t head;
	bool locked;
	int result;

	for (;;) {
		/* First: what came before the last sender left is still there. */
		state = state_of(s, RECEIVERS);
		if (state & MBOX_RING_DEAD) {
			errno = EIDRM;
			return -1;
		}
		locked = lock_side(s);
		head = ring_head(&s->ring);
		if (slot)
			result = ring_front(&s->ring, &s->peeked, slot, len);
		else
			result = ring_receive(&s->ring, buf, room, a->flags & MBOX_TRUNC, len);
		unlock_side(s, locked);
		if (result == RING_OK && !slot)
			return 0;
		/* Passing what was abandoned has made room, too. */
		if (ring_head(&s->ring) != head)
			published(mb, s, SENDERS, 1);
		switch (result) {
		case RING_OK:
			return 0;
		case RING_BROKEN:
			errno = EIO;
			return -1;
		case RING_SHORT:
			errno = EMSGSIZE;
			return -1;
		}
		if (state) {
			errno = EPIPE;
			return -1;
		}
		if (wait_side(mb, s, RECEIVERS, a) < 0)
			return -1;
	}
}

SELDOM ssize_t recv_with_care(struct mbox *mb, void *buf, size_t len, uint32_t flags,
			      uint64_t deadline_ns)
{
	struct attempt a = { .flags = flags, .deadline_ns = deadline_ns };
	struct mbox__side *s;
	uint32_t full = 0;
	int ret;

	if (check_flags(flags, RECV_FLAGS) < 0)
		return -1;
	s = get_side(mb, RECEIVERS);
	if (!s)
		return -1;
	ret = recv_attempts(mb, s, buf, len < UINT32_MAX ? len : UINT32_MAX, NULL, &full, &a);
	if (!ret)
		published(mb, s, SENDERS, 1);
	if (finish(mb, s, RECEIVERS, &a, ret) < 0)
		return -1;

	return full;
}

/* As mbox__ring_send(). */
ssize_t mbox__ring_recv(struct mbox *mb, void *buf, size_t len, uint32_t flags,
			uint64_t deadline_ns)
{
	struct mbox__side *s = mapped_side(mb, RECEIVERS);
	uint32_t full, room = len < UINT32_MAX ? len : UINT32_MAX;
	uint64_t head;

	if (s && !(flags & ~SEND_FLAGS) && !state_of(s, RECEIVERS) &&
	    (!s->locked || SINGLE_THREADED)) {
		head = ring_head(&s->ring);
		if (ring_receive(&s->ring, buf, room, false, &full) == RING_OK) {
			published(mb, s, SENDERS, 1);
			return full;
		}
		if (ring_head(&s->ring) != head)
			published(mb, s, SENDERS, 1);
	}

	return recv_with_care(mb, buf, len, flags, deadline_ns);
}

/* ---- messages with everything, and several ------------------------------ */

int mbox__ring_sendmsg(struct mbox *mb, const struct mbox_msg *msg)
{
	if (msg->prio > MBOX_PRIO_MAX || msg->skip || msg->token || msg->nfds > MBOX_FDS_MAX ||
	    (msg->fds && !msg->nfds)) {
		errno = EINVAL;
		return -1;
	}
	/* A slot has no place for them. */
	if (msg->prio || msg->type || msg->nfds) {
		errno = EOPNOTSUPP;
		return -1;
	}

	return mbox__ring_send(mb, (const void *)(uintptr_t)msg->buf, msg->len, msg->flags,
			       msg->deadline_ns);
}

ssize_t mbox__ring_recvmsg(struct mbox *mb, struct mbox_msg *msg)
{
	ssize_t len;

	if (msg->skip || msg->nfds > MBOX_FDS_MAX || (msg->fds && !msg->nfds)) {
		errno = EINVAL;
		return -1;
	}
	len = mbox__ring_recv(mb, (void *)(uintptr_t)msg->buf, msg->len, msg->flags,
			      msg->deadline_ns);
	if (len < 0)
		return -1;
	msg->len = len;
	msg->prio = 0;
	msg->type = 0;
	msg->token = 0;
	msg->pid = 0;
	msg->uid = 0;
	msg->gid = 0;
	msg->nfds = 0;
	msg->lost = 0;

	return len;
}

int mbox__ring_batch(struct mbox *mb, struct mbox_msg *vec, unsigned int n, unsigned int flags,
		     bool send)
{
	uint32_t own = flags & ~MBOX_WAITFORONE;
	struct mbox_msg msg;
	unsigned int i;
	int ret;

	if (send && flags & MBOX_WAITFORONE) {
		errno = EINVAL;
		return -1;
	}
	if (check_flags(own, send ? SEND_FLAGS : RECV_FLAGS) < 0 ||
	    !get_side(mb, send ? SENDERS : RECEIVERS))
		return -1;
	if (n > MBOX_BATCH_MAX)
		n = MBOX_BATCH_MAX;
	for (i = 0; i < n; i++) {
		msg = vec[i];
		msg.flags |= own;
		ret = send ? mbox__ring_sendmsg(mb, &msg) : (int)mbox__ring_recvmsg(mb, &msg);
		if (ret < 0)
			return i ? (int)i : -1;
		if (!send) {
			msg.flags = vec[i].flags;
			vec[i] = msg;
		}
		if (flags & MBOX_WAITFORONE)
			own |= MBOX_DONTWAIT;
	}

	return n;
}

/* ---- in place ----------------------------------------------------------- */

/* For what only rings have. */
static struct mbox__side *side_of_ring(struct mbox *mb, int side)
{
	if (mb->ring)
		return get_side(mb, side);
	errno = EOPNOTSUPP;

	return NULL;
}

MBOX_API void *mbox_reserve(struct mbox *mb, size_t len, unsigned int flags)
{
	struct attempt a = { .flags = flags };
	struct mbox__side *s;
	uint64_t pos;
	int ret;

	s = side_of_ring(mb, SENDERS);
	if (!s || check_flags(flags, MBOX_DONTWAIT) < 0 || check_len(s, len) < 0)
		return NULL;
	ret = send_attempts(mb, s, NULL, 0, &pos, &a);
	if (finish(mb, s, SENDERS, &a, ret) < 0)
		return NULL;

	return ring_payload(&s->ring, pos);
}

MBOX_API int mbox_commit(struct mbox *mb, void *slot, size_t len)
{
	struct mbox__side *s;
	uint64_t pos;

	s = side_of_ring(mb, SENDERS);
	if (!s)
		return -1;
	if (!ring_claimed(&s->ring, slot, &pos)) {
		errno = EINVAL;
		return -1;
	}
	if (check_len(s, len) < 0)
		return -1;
	ring_commit(&s->ring, pos, len);
	published(mb, s, RECEIVERS, 1);

	return 0;
}

MBOX_API int mbox_discard(struct mbox *mb, void *slot)
{
	struct mbox__side *s;
	uint64_t pos;

	s = side_of_ring(mb, SENDERS);
	if (!s)
		return -1;
	if (!ring_claimed(&s->ring, slot, &pos)) {
		errno = EINVAL;
		return -1;
	}
	ring_abandon(&s->ring, pos);
	/* Messages behind it may be what receivers wait for. */
	published(mb, s, RECEIVERS, 1);

	return 0;
}

MBOX_API const void *mbox_peek(struct mbox *mb, size_t *len, unsigned int flags)
{
	struct attempt a = { .flags = flags };
	const void *slot = NULL;
	struct mbox__side *s;
	uint32_t full = 0;
	int ret;

	s = side_of_ring(mb, RECEIVERS);
	if (!s || check_flags(flags, MBOX_DONTWAIT) < 0)
		return NULL;
	ret = recv_attempts(mb, s, NULL, 0, &slot, &full, &a);
	if (ret < 0) {
		finish(mb, s, RECEIVERS, &a, ret);
		return NULL;
	}
	s->peek_slot = slot;
	*len = full;

	return slot;
}

MBOX_API int mbox_release(struct mbox *mb, const void *slot)
{
	struct mbox__side *s;
	bool locked, received;

	s = side_of_ring(mb, RECEIVERS);
	if (!s)
		return -1;
	if (!slot || slot != s->peek_slot) {
		errno = EINVAL;
		return -1;
	}
	s->peek_slot = NULL;
	locked = lock_side(s);
	received = ring_release(&s->ring, s->peeked);
	unlock_side(s, locked);
	/* This call may have been woken for messages behind it, too. */
	pass_on(mb, s, RECEIVERS);
	if (!received) {
		errno = ESTALE;
		return -1;
	}
	published(mb, s, SENDERS, 1);

	return 0;
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
