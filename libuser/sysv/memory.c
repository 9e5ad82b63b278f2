// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Addresses that may be bad. The kernel returns EFAULT for them, and so does this library
 * for what it reads and writes itself: the type of a message, and the structures of
 * msgctl(2). It asks the kernel, and remembers the last pages that were good.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sysv.h"

/* What rt_sigprocmask(2) reads. */
#define SIGSET_SIZE 8

atomic_uintptr_t sysv__good[SYSV_PARTS];

/*
 * rt_sigprocmask(2) reads the set before it looks at what to do with it. At the beginning of
 * the first part it would see none.
 */
static bool is_readable(uintptr_t part)
{
	return syscall(SYS_rt_sigprocmask, -1, (part << SYSV_PART_SHIFT) + SIGSET_SIZE, NULL,
		       SIGSET_SIZE) == 0 || errno != EFAULT;
}

bool sysv__ask_can_read(const void *addr, size_t len)
{
	uintptr_t part = (uintptr_t)addr >> SYSV_PART_SHIFT;
	uintptr_t last = ((uintptr_t)addr + len - 1) >> SYSV_PART_SHIFT;
	int saved = errno;

	for (; part <= last; part++) {
		atomic_uintptr_t *place = &sysv__good[part % SYSV_PARTS];

		if (atomic_load_explicit(place, memory_order_relaxed) == part + 1)
			continue;
		if (!is_readable(part)) {
			errno = EFAULT;
			return false;
		}
		atomic_store_explicit(place, part + 1, memory_order_relaxed);
	}
	errno = saved;

	return true;
}

/*
 * getcpu(2) writes as much as that, all or nothing, whatever the state of the system: reads
 * of random numbers can be short, or fail before there are any.
 */
static bool is_writable(uintptr_t addr)
{
	return syscall(SYS_getcpu, addr, NULL, NULL) == 0 || errno != EFAULT;
}

/*
 * The last bytes and the first ones: there are no more than two parts. They get other
 * content, so the caller must be about to write them.
 */
bool sysv__can_write(void *addr, size_t len)
{
	uintptr_t first = (uintptr_t)addr, last = first + len - sizeof(unsigned int);
	int saved = errno;

	if (!is_writable(last) || !is_writable(first)) {
		errno = EFAULT;
		return false;
	}
	errno = saved;

	return true;
}
