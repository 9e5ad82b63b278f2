// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The side of a ring that a handle sends or receives on: mapping it for this
 * process, counting the calls on it, and giving it up.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

/*
 * Looks at the ring before a call sleeps: some tens of microseconds. On one CPU
 * each look yields the CPU: nothing changes unless other threads run.
 */
#define SPIN_DEFAULT 1000
#define SPIN_ONE_CPU 64

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

	addr = mbox__map_memory(size, prot, MAP_SHARED | MAP_POPULATE, fd,
				MBOX_RING_OFFSET(region));
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

	/* An error means more CPUs than fit into the set. */
	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) == 1;
}

/* The id of the mailbox, or 0. */
static uint64_t id_for_probes(const struct mbox *mb)
{
	struct mbox_stat st;
	int saved = errno;

	if (MBOX_PROBES && !ioctl(mb->fd, MBOX_IOC_STAT, &st))
		return st.id;
	errno = saved;

	return 0;
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
	/* The process may be a sender, but not through these mappings. */
	if (!send)
		mine.owner = 0;
	ring_init(&s->ring, &mine, s->map[MBOX_RING_TAIL].addr, s->map[MBOX_RING_HEAD].addr,
		  s->map[MBOX_RING_SLOTS].addr);
	s->ring.asym_fence = info->barrier & 1U << side;
	s->ring.id = id_for_probes(mb);
	s->kernel = s->map[MBOX_RING_KERNEL].addr;
	s->fixed = info->flags & MBOX_FIXED;
	s->locked = info->flags & (send ? MBOX_ONE_SENDER : MBOX_ONE_RECEIVER);
	if (!mb->spin_set)
		mb->spin_max = one_cpu() ? SPIN_ONE_CPU : SPIN_DEFAULT;
	s->yields = one_cpu();
	atomic_init(&s->spin, mb->spin_max);
	atomic_init(&s->nonblock, fcntl(mb->fd, F_GETFL) & O_NONBLOCK);

	return 0;
}

/*
 * Only one thread maps a side: a mailbox may admit only one mapping. Returns false
 * if another thread has mapped it. A mapping that was under way in the parent at
 * fork(2) does not go on in the child.
 */
static bool begin_attach(struct mbox *mb, int side, uint64_t generation)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	unsigned long long now;

	for (;;) {
		if (mapped_side(mb, side))
			return false;
		now = atomic_load(&mb->attaching[side]);
		if (now != generation &&
		    atomic_compare_exchange_strong(&mb->attaching[side], &now, generation))
			return true;
		/* The other thread may need this CPU, and have a lower priority. */
		nanosleep(&pause, NULL);
	}
}

struct mbox__side *mbox__ring_attach(struct mbox *mb, int side)
{
	static atomic_ullong last_serial;
	uint64_t generation = mbox__generation();
	struct mbox__side *s;

	if (!generation)
		return NULL;
	if (!begin_attach(mb, side, generation))
		return mapped_side(mb, side);
	s = mapped_side(mb, side);
	if (s)
		goto out;
	s = aligned_alloc(RING_LINE, (sizeof(*s) + RING_LINE - 1) / RING_LINE * RING_LINE);
	if (!s)
		goto out;
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	s->generation = generation;
	s->serial = atomic_fetch_add(&last_serial, 1) + 1;
	atomic_init(&s->calls, 1);
	if (map_all(mb, s, side) < 0) {
		unmap(s);
		s = NULL;
		goto out;
	}
	/* Other threads may be using it: it is freed with the handle. */
	s->former = atomic_load(&mb->side[side]);
	atomic_store(&mb->side[side], s);
out:
	atomic_store(&mb->attaching[side], 0);

	return s;
}

/* ---- calls and the handle ----------------------------------------------- */

void mbox__ring_leave(struct mbox *mb, struct mbox__side *s)
{
	int fd = mb->fd, saved = errno;

	if (atomic_fetch_sub(&s->calls, 1) != 1)
		return;
	/* The handle was closed, and this was the last call on this side. */
	unmap(s);
	if (atomic_fetch_sub(&mb->left, 1) == 1) {
		free(mb);
		close(fd);
	}
	errno = saved;
}

/* Returns whether a call still sleeps on the side. */
static bool close_side(struct mbox__side *s)
{
	struct mbox__side *former;

	if (!s)
		return false;
	for (former = s->former; former; former = s->former) {
		s->former = former->former;
		free(former);
	}
	/* A parent's mapping is not inherited; its addresses may be in use. */
	if (s->generation != mbox__generation()) {
		free(s);
		return false;
	}
	atomic_store(&s->closed, true);
	if (atomic_fetch_sub(&s->calls, 1) != 1)
		return true;
	unmap(s);

	return false;
}

bool mbox__ring_close(struct mbox *mb)
{
	int side;

	/* Both sides, and this call. */
	atomic_store(&mb->left, 3);
	for (side = RECEIVERS; side <= SENDERS; side++)
		if (!close_side(atomic_load(&mb->side[side])))
			atomic_fetch_sub(&mb->left, 1);

	return atomic_fetch_sub(&mb->left, 1) == 1;
}
