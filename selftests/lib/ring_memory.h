/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory of a ring, mapped by the test itself. */
#ifndef SELFTESTS_RING_MEMORY_H
#define SELFTESTS_RING_MEMORY_H

#include <sys/mman.h>
#include <sys/wait.h>

#include "rings.h"

/* One region. The address, or NULL and errno. */
static inline void *map_region(int fd, unsigned int region, size_t size, int prot)
{
	void *addr;

	errno = 0;
	addr = mmap64(NULL, size, prot, MAP_SHARED, fd, MBOX_RING_OFFSET(region));
	return addr == MAP_FAILED ? NULL : addr;
}

/**
 * struct ring_memory - all regions
 * @info: MBOX_RING_INFO
 * @kernel: MBOX_RING_KERNEL
 * @tail: MBOX_RING_TAIL
 * @head: MBOX_RING_HEAD
 * @slots: MBOX_RING_SLOTS
 * @slots_size: its size
 */
struct ring_memory {
	const struct mbox_ring_info *info;
	const struct mbox_ring_kernel *kernel;
	__u64 *tail;
	__u64 *head;
	unsigned char *slots;
	size_t slots_size;
};

static inline void unmap_ring(struct ring_memory *m)
{
	size_t page = sysconf(_SC_PAGESIZE);

	if (m->slots)
		munmap(m->slots, m->slots_size);
	if (m->head)
		munmap(m->head, page);
	if (m->tail)
		munmap(m->tail, page);
	if (m->kernel)
		munmap((void *)m->kernel, page);
	if (m->info)
		munmap((void *)m->info, page);
	memset(m, 0, sizeof(*m));
}

/*
 * Map everything, with PROT_WRITE the memory of these sides: bits of
 * MBOX_RING_RECEIVERS and MBOX_RING_SENDERS. Returns 0 or -errno.
 */
static inline int map_ring(struct ring_memory *m, int fd, unsigned int sides)
{
	int send = sides & 1 << MBOX_RING_SENDERS ? PROT_WRITE : 0;
	int recv = sides & 1 << MBOX_RING_RECEIVERS ? PROT_WRITE : 0;
	size_t page = sysconf(_SC_PAGESIZE);
	int ret;

	memset(m, 0, sizeof(*m));
	m->info = map_region(fd, MBOX_RING_INFO, page, PROT_READ);
	if (!m->info)
		return neg(-1);
	m->slots_size = m->info->slots_size;
	m->kernel = map_region(fd, MBOX_RING_KERNEL, page, PROT_READ);
	if (m->kernel)
		m->tail = map_region(fd, MBOX_RING_TAIL, page, PROT_READ | send);
	if (m->tail)
		m->head = map_region(fd, MBOX_RING_HEAD, page, PROT_READ | recv);
	if (m->head)
		m->slots = map_region(fd, MBOX_RING_SLOTS, m->slots_size, PROT_READ | send);
	if (m->slots)
		return 0;
	ret = neg(-1);
	unmap_ring(m);
	return ret;
}

static inline struct mbox_ring_slot *slot_of(const struct ring_memory *m, __u64 pos)
{
	size_t index = pos & (m->info->slots - 1);

	return (struct mbox_ring_slot *)(m->slots + index * m->info->stride);
}

static inline __u64 word_of(const struct ring_memory *m, __u64 pos)
{
	return __atomic_load_n(&slot_of(m, pos)->word, __ATOMIC_SEQ_CST);
}

static inline __u64 make_word(__u64 pos, __u32 owner, unsigned int state)
{
	return pos << MBOX_SLOT_POS_SHIFT | owner << MBOX_SLOT_OWNER_SHIFT | state;
}

/* The state of position @pos; 0 when its slot bears another one. */
static inline unsigned int state_of(const struct ring_memory *m, __u64 pos)
{
	__u64 word = word_of(m, pos);

	if ((word ^ make_word(pos, 0, 0)) >> MBOX_SLOT_POS_SHIFT)
		return 0;
	return word & MBOX_SLOT_STATE_MASK;
}

/* The words in which the kernel counts sleepers. */
static inline int await_words(const struct ring_memory *m, __u32 senders, __u32 receivers)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (__atomic_load_n(&m->kernel->senders, __ATOMIC_SEQ_CST) != senders ||
	       __atomic_load_n(&m->kernel->receivers, __ATOMIC_SEQ_CST) != receivers) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return -ETIMEDOUT;
		pause_briefly();
	}
	return 0;
}

/* Until another thread has stored @value. */
static inline int await_value(const __u32 *where, __u32 value)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (__atomic_load_n(where, __ATOMIC_SEQ_CST) != value) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return -ETIMEDOUT;
		pause_briefly();
	}
	return 0;
}

#endif /* SELFTESTS_RING_MEMORY_H */
