// SPDX-License-Identifier: GPL-2.0-only
/* Queues with many receivers that userfaultfd stops inside the copy of a peek. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "holds.h"

static struct {
	int fd;
	char *pages;
	size_t size;
} slow;

static void job_peek_slowly(unsigned int i)
{
	struct mbox_msg msg = {
		.buf = (uintptr_t)slow.pages + i * slow.size,
		.len = 64,
		.flags = MBOX_PEEK,
		/* Half of them at one message. */
		.skip = i % 2 ? 0 : i,
	};

	mbox_recvmsg(s.mb, &msg);
}

static void go_on(unsigned int i, unsigned int n)
{
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)slow.pages + i * slow.size, .len = n * slow.size },
	};

	must(ioctl(slow.fd, UFFDIO_ZEROPAGE, &zero), "UFFDIO_ZEROPAGE");
}

static void stop_peekers(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	slow.size = getpagesize();
	slow.fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	must(slow.fd, "userfaultfd");
	slow.pages = mmap(NULL, npeekers * slow.size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slow.pages == MAP_FAILED)
		err(1, "mmap");
	reg.range.start = (uintptr_t)slow.pages;
	reg.range.len = npeekers * slow.size;
	must(ioctl(slow.fd, UFFDIO_API, &api), "UFFDIO_API");
	must(ioctl(slow.fd, UFFDIO_REGISTER, &reg), "UFFDIO_REGISTER");
	start_all(npeekers, job_peek_slowly);
}

static void prepare_stopped(void)
{
	prepare_drop();
	stop_peekers();
}

static void prepare_stopped_keep(void)
{
	prepare_deep();
	stop_peekers();
}

static void then_stopped(void)
{
	OPERATION("a peek ends", go_on(npeekers / 2, 1));
	OPERATION("a peek of the first ends", go_on(npeekers / 2 + 1, 1));
	OPERATION("peeks end", go_on(npeekers / 2 + 2, npeekers / 4));
	OPERATION("destroy", mbox_destroy(s.mb));
	OPERATION("all peeks end", close(slow.fd));
	await_workers();
	munmap(slow.pages, npeekers * slow.size);
}

const struct state peeker_states[] = {
	{ "stopped peekers", prepare_stopped_keep, then_stopped },
	{ "stopped peekers, drop", prepare_stopped, then_stopped },
	{ NULL },
};
