/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of a ring, made as the module makes it, in a program that needs no
 * module: each region between pages that cannot be touched. Shared with the
 * children of the process.
 */
#ifndef SELFTESTS_PLAIN_RING_H
#define SELFTESTS_PLAIN_RING_H

#include <err.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../libuser/src/ring_core.h"

/**
 * struct memory - a ring
 * @info: what the kernel would tell a mapping; set the owner before ring_init()
 * @kernel: the kernel's region
 * @map: all of it
 * @size: its size
 */
struct memory {
	struct mbox_ring_info info;
	struct mbox_ring_kernel *kernel;
	ring_word *tail;
	ring_word *head;
	unsigned char *slots;
	void *map;
	size_t size;
};

static inline struct mbox_ring_slot *memory_slot(const struct memory *m, uint64_t pos)
{
	return (struct mbox_ring_slot *)(m->slots + (pos & (m->info.slots - 1)) * m->info.stride);
}

static inline uint64_t memory_word(uint64_t pos, unsigned int owner, unsigned int state)
{
	return pos << MBOX_SLOT_POS_SHIFT | owner << MBOX_SLOT_OWNER_SHIFT | state;
}

/* A fresh ring whose first position is @start. */
static inline void memory_fresh(struct memory *m, uint64_t start)
{
	uint64_t pos;

	memset(m->kernel, 0, sizeof(*m->kernel));
	memset(m->slots, 0, (size_t)m->info.slots * m->info.stride);
	*m->tail = start;
	*m->head = start;
	for (pos = start - m->info.slots; pos != start; pos++)
		memory_slot(m, pos)->word = memory_word(pos, 0, MBOX_SLOT_COMMITTED);
}

static inline void memory_make(struct memory *m, uint32_t capacity, uint32_t msg_max,
			       uint32_t flags, uint64_t start)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct mbox_ring_info *info = &m->info;
	unsigned char *at;

	memset(m, 0, sizeof(*m));
	info->version = MBOX_RING_VERSION;
	info->capacity = capacity;
	info->msg_max = msg_max;
	info->flags = flags;
	info->stride = (sizeof(struct mbox_ring_slot) + msg_max + 63) & ~63;
	for (info->slots = 1; info->slots < capacity; info->slots *= 2)
		;
	info->slots_size = ((size_t)info->slots * info->stride + page - 1) & ~(page - 1);

	m->size = 8 * page + info->slots_size;
	m->map = mmap(NULL, m->size, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->map == MAP_FAILED)
		err(1, "mmap");
	at = m->map;
	m->kernel = (void *)(at + page);
	m->tail = (void *)(at + 3 * page);
	m->head = (void *)(at + 5 * page);
	/* The end of the last slot is that of the page. */
	m->slots = at + 7 * page + info->slots_size - (size_t)info->slots * info->stride;
	if (mprotect(at + page, page, PROT_READ | PROT_WRITE) ||
	    mprotect(at + 3 * page, page, PROT_READ | PROT_WRITE) ||
	    mprotect(at + 5 * page, page, PROT_READ | PROT_WRITE) ||
	    mprotect(at + 7 * page, info->slots_size, PROT_READ | PROT_WRITE))
		err(1, "mprotect");
	memory_fresh(m, start);
}

static inline void memory_free(struct memory *m)
{
	munmap(m->map, m->size);
}

/* A participant; @owner is 0 for a receiver. */
static inline void memory_join(struct memory *m, struct ring *r, unsigned int owner)
{
	struct mbox_ring_info info = m->info;

	info.owner = owner;
	ring_init(r, &info, m->tail, m->head, m->slots);
}

#endif /* SELFTESTS_PLAIN_RING_H */
