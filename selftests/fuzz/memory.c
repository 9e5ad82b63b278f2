// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers.
 *
 * Every message of n bytes has n + i as its i-th byte, modulo 256. All memory
 * that messages are sent from therefore has its own address in each byte,
 * modulo 256, and a message begins where that fits its length. So a receiver
 * can tell whether what it got is a message, without one being written.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "fuzz.h"

/* The largest message that can be sent, and what an offset may add. */
#define PATTERN_SIZE	((1UL << 20) + (64UL << 10))
/* Half of it to send from, half of it to receive to. */
#define FAULT_SIZE	(8 * PAGE)
#define SHAKY_SIZE	(4 * PAGE)
/* Room around, so that an address that is a little wrong hits nothing. */
#define GUARD		(1UL << 20)

static uint8_t *pattern;
static uint8_t *hole;
static uint8_t *shaky;
/* Pages that appear only when they are touched, a little later. */
static uint8_t *lazy;
static int fault_fd = -1;

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size + 2 * GUARD, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return (uint8_t *)p + GUARD;
}

static void map_at(void *at, size_t size, int prot, int flags, int fd)
{
	if (mmap(at, size, prot, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		die("mmap: %s", strerror(errno));
}

static void make_pattern(void)
{
	int fd = memfd_create("pattern", MFD_CLOEXEC);
	uint8_t page[PAGE];
	size_t i;

	for (i = 0; i < sizeof(page); i++)
		page[i] = i;
	for (i = 0; i < PATTERN_SIZE; i += sizeof(page))
		if (write(fd, page, sizeof(page)) != sizeof(page))
			die("memfd: %s", strerror(errno));
	pattern = reserve(PATTERN_SIZE);
	map_at(pattern, PATTERN_SIZE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd);
	close(fd);
}

static void *fill_lazily(void *unused)
{
	struct uffdio_copy copy;
	struct uffd_msg msg;

	while (read(fault_fd, &msg, sizeof(msg)) == sizeof(msg)) {
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		/* Long enough for the others to do something meanwhile. */
		usleep(4000);
		memset(&copy, 0, sizeof(copy));
		copy.src = (uintptr_t)pattern;
		copy.dst = msg.arg.pagefault.address & ~(PAGE - 1);
		copy.len = PAGE;
		ioctl(fault_fd, UFFDIO_COPY, &copy);
	}
	return unused;
}

static void make_lazy(void)
{
	struct uffdio_register reg = {};
	struct uffdio_api api = { .api = UFFD_API };
	pthread_t thread;

	lazy = reserve(FAULT_SIZE);
	map_at(lazy, FAULT_SIZE, PROT_READ | PROT_WRITE,
	       MAP_PRIVATE | MAP_ANONYMOUS, -1);
	fault_fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fault_fd < 0)
		return;
	reg.range.start = (uintptr_t)lazy;
	reg.range.len = FAULT_SIZE;
	reg.mode = UFFDIO_REGISTER_MODE_MISSING;
	if (ioctl(fault_fd, UFFDIO_API, &api) ||
	    ioctl(fault_fd, UFFDIO_REGISTER, &reg) ||
	    pthread_create(&thread, NULL, fill_lazily, NULL)) {
		close(fault_fd);
		fault_fd = -1;
	}
}

void memory_init_process(void)
{
	make_pattern();
	hole = reserve(16 * PAGE);
	shaky = reserve(SHAKY_SIZE);
	map_at(shaky, SHAKY_SIZE, PROT_READ | PROT_WRITE,
	       MAP_PRIVATE | MAP_ANONYMOUS, -1);
	make_lazy();
}

void memory_init_worker(struct worker *l)
{
	int fd = memfd_create("argument", MFD_CLOEXEC);

	l->recv = reserve(RECV_SIZE);
	map_at(l->recv, RECV_SIZE, PROT_READ | PROT_WRITE,
	       MAP_PRIVATE | MAP_ANONYMOUS, -1);
	/* So that injected failures do not hit page faults. */
	memset(l->recv, 0, 64 << 10);
	l->arg = reserve(16 * PAGE);
	map_at(l->arg, 16 * PAGE, PROT_READ | PROT_WRITE,
	       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
	if (ftruncate(fd, PAGE))
		die("memfd: %s", strerror(errno));
	l->arg_shared = reserve(PAGE);
	map_at(l->arg_shared, PAGE, PROT_READ | PROT_WRITE,
	       MAP_SHARED | MAP_POPULATE, fd);
	l->arg_readonly = reserve(PAGE);
	map_at(l->arg_readonly, PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd);
	close(fd);
}

/* What a child shares with its parent is not the child's to write to. */
void memory_become_child(struct worker *l)
{
	l->arg_shared = NULL;
	fault_fd = -1;
}

/* Between programs: pages that were touched shall be missing again. */
void memory_renew(void)
{
	madvise(lazy, FAULT_SIZE, MADV_DONTNEED);
	map_at(shaky, SHAKY_SIZE, PROT_READ | PROT_WRITE,
	       MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* Change memory that a call may be receiving to. */
void memory_shake(uint8_t how)
{
	uint8_t *at = shaky + (how >> 4) % 4 * PAGE;

	switch (how & 3) {
	case 0:
		madvise(at, PAGE, MADV_DONTNEED);
		break;
	case 1:
		mprotect(at, PAGE, PROT_READ);
		break;
	case 2:
		mprotect(at, PAGE, PROT_READ | PROT_WRITE);
		break;
	case 3:
		munmap(at, PAGE);
		break;
	}
}

void *memory_hole(void)
{
	return hole;
}

static void *bad_address(uint8_t kind)
{
	static const uint64_t addresses[] = {
		0, 1, 0x7ffffffff000, 0x7fffffffefff, 0x800000000000,
		0xffff888000000000, 0xffffffff81000000, 0xfffffffffffff000,
		0xffffffffffffffff,
	};

	return (void *)(uintptr_t)addresses[kind % ARRAY_SIZE(addresses)];
}

void *memory_source(struct worker *l, uint8_t kind, size_t len)
{
	size_t offset = len & 255;

	switch (kind) {
	case 160 ... 175:
		/* The end is missing. */
		return pattern + PATTERN_SIZE - 256 * (1 + (kind & 15)) +
		       offset;
	case 176 ... 183:
		return hole + offset;
	case 184 ... 195:
		return bad_address(kind);
	case 196 ... 211:
		if (fault_fd >= 0 && len <= 2 * PAGE)
			return lazy + (kind & 1) * PAGE + offset;
	}
	return pattern + offset;
}

void *memory_target(struct worker *l, uint8_t kind, size_t room, bool *sure)
{
	*sure = true;
	switch (kind) {
	case 160 ... 175:
		return l->recv + RECV_SIZE - 1 - 16 * (kind & 15);
	case 176 ... 183:
		*sure = false;
		return kind & 1 ? hole : pattern;
	case 184 ... 195:
		*sure = false;
		return bad_address(kind);
	case 196 ... 211:
		if (fault_fd < 0)
			break;
		/* Workers of one process share these pages. */
		*sure = false;
		/* Late, and then missing all the same. */
		if (kind >= 208)
			return lazy + FAULT_SIZE - 1 - (kind & 3) * 8;
		return lazy + (4 + (kind & 3)) * PAGE + 64;
	case 212 ... 227:
		*sure = false;
		return shaky + (kind & 3) * PAGE;
	}
	return l->recv;
}

bool memory_is_message(const void *data, size_t have, size_t len)
{
	return have <= PATTERN_SIZE - 256 &&
	       !memcmp(data, pattern + (len & 255), have);
}
