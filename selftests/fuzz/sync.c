// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for each other, in memory that processes share.
 */
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "fuzz.h"

void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return p;
}

void lock(uint32_t *word)
{
	unsigned int tries = 0;

	while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE)) {
		if (++tries < 20)
			sched_yield();
		else
			usleep(500);
	}
}

void unlock(uint32_t *word)
{
	__atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

void futex_wait(uint32_t *word, uint32_t value, long nsec)
{
	struct timespec ts = { .tv_sec = nsec / NSEC, .tv_nsec = nsec % NSEC };

	syscall(SYS_futex, word, FUTEX_WAIT, value, &ts, NULL, 0);
}

void futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
}
