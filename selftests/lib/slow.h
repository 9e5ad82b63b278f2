/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers that userfaultfd holds back, so that a copy to or from them stops for
 * as long as a test wants.
 */
#ifndef SELFTESTS_SLOW_H
#define SELFTESTS_SLOW_H

#include <linux/userfaultfd.h>

#include "peers.h"

/* A page that does not come until it is told to. */
struct slow {
	int uffd;
	char *page;
	size_t size;
};

static inline int slow_init(struct slow *s)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	s->size = getpagesize();
	s->uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (s->uffd < 0)
		return neg(-1);
	s->page = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->page == MAP_FAILED)
		return neg(-1);
	reg.range.start = (uintptr_t)s->page;
	reg.range.len = s->size;
	if (ioctl(s->uffd, UFFDIO_API, &api) || ioctl(s->uffd, UFFDIO_REGISTER, &reg))
		return neg(-1);
	return 0;
}

/* Until a copy waits for the page. */
static inline int slow_await(struct slow *s)
{
	struct uffd_msg event;

	if (read(s->uffd, &event, sizeof(event)) != sizeof(event))
		return neg(-1);
	return event.event == UFFD_EVENT_PAGEFAULT ? 0 : -EPROTO;
}

/* The copy goes on. */
static inline int slow_go_on(struct slow *s)
{
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)s->page, .len = s->size },
	};

	return neg(ioctl(s->uffd, UFFDIO_ZEROPAGE, &zero));
}

/* The copy fails. */
static inline int slow_fail(struct slow *s)
{
	struct uffdio_range range = { .start = (uintptr_t)s->page, .len = s->size };

	if (munmap(s->page, s->size))
		return neg(-1);
	/* The address is free now. */
	s->page = NULL;
	return neg(ioctl(s->uffd, UFFDIO_WAKE, &range));
}

/* No copy uses it any more. */
static inline void slow_end(struct slow *s)
{
	if (s->page)
		munmap(s->page, s->size);
	close(s->uffd);
}

#endif /* SELFTESTS_SLOW_H */
