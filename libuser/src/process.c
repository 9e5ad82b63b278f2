// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The process: a number that tells it from its parent and its children, and
 * mapping memory.
 */
/* Regions of a ring are far apart: off_t must have 64 bits everywhere. */
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

/* Holds the number of this process; 0 after a fork(2) until it takes one. */
atomic_ullong *_Atomic mbox__generation_page;
static atomic_ullong last_generation;

/*
 * mmap(2) fails with EAGAIN at the limit of locked memory. A caller of this library
 * would take that for a full or an empty ring, and wait in vain.
 */
void *mbox__map_memory(size_t size, int prot, int flags, int fd, uint64_t offset)
{
	void *addr = mmap(NULL, size, prot, flags, fd, offset);

	if (addr == MAP_FAILED && errno == EAGAIN)
		errno = ENOMEM;

	return addr;
}

static atomic_ullong *make_generation_page(void)
{
	size_t size = sysconf(_SC_PAGESIZE);
	atomic_ullong *none = NULL;
	int saved;
	void *page;

	page = mbox__map_memory(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, size, MADV_WIPEONFORK) < 0) {
		saved = errno;
		munmap(page, size);
		errno = saved;
		return NULL;
	}
	if (atomic_compare_exchange_strong(&mbox__generation_page, &none, page))
		return page;
	munmap(page, size);

	return none;
}

uint64_t mbox__generation(void)
{
	atomic_ullong *page = atomic_load_explicit(&mbox__generation_page, memory_order_acquire);
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
