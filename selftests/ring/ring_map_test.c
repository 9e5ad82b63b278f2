// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping a ring: what each right may map and how, what cannot be done to a
 * mapping afterwards, which participants are admitted, and the calls for it.
 */
#include <sys/mount.h>
#include <sys/uio.h>

#include "kill.h"
#include "ring_memory.h"

#define CAPACITY 8U
#define MSG_MAX 2000U

FIXTURE(map)
{
	struct mbox *mb;
	int fd;
	size_t page;
	size_t slots_size;
	struct ring_memory memory;
};

FIXTURE_SETUP(map)
{
	self->page = sysconf(_SC_PAGESIZE);
	self->mb = new_ring(0, CAPACITY, MSG_MAX);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	ASSERT_EQ(0, map_ring(&self->memory, self->fd, 0));
	self->slots_size = self->memory.slots_size;
	ASSERT_LT(2 * self->page, self->slots_size);
}

FIXTURE_TEARDOWN(map)
{
	unmap_ring(&self->memory);
	EXPECT_EQ(0, mbox_close(self->mb));
}

static size_t size_of_region(FIXTURE_DATA(map) *self, unsigned int region)
{
	return region == MBOX_RING_SLOTS ? self->slots_size : self->page;
}

/* The mapping is undone; 0 or -errno. */
static int try_map(int fd, size_t size, int prot, int flags, __u64 offset)
{
	void *addr;

	errno = 0;
	addr = mmap64(NULL, size, prot, flags, fd, offset);
	if (addr == MAP_FAILED)
		return neg(-1);
	return neg(munmap(addr, size));
}

static bool may_write(unsigned int region, int oflags)
{
	switch (region) {
	case MBOX_RING_TAIL:
	case MBOX_RING_SLOTS:
		return oflags != O_RDONLY;
	case MBOX_RING_HEAD:
		return oflags != O_WRONLY;
	}
	return false;
}

/* ---- what may be mapped ------------------------------------------------- */

TEST_F(map, each_right_maps_its_regions_writable)
{
	static const int prots[] = {
		PROT_NONE,
		PROT_READ,
		PROT_WRITE,
		PROT_READ | PROT_WRITE,
	};
	static const int rights[] = { O_RDONLY, O_WRONLY, O_RDWR };
	unsigned int region, i, j;

	for (i = 0; i < 3; i++) {
		int fd = open_again(self->fd, rights[i]);

		ASSERT_LE(0, fd);
		for (region = 0; region < MBOX_RING_REGIONS; region++) {
			size_t size = size_of_region(self, region);
			__u64 offset = MBOX_RING_OFFSET(region);

			for (j = 0; j < 4; j++) {
				int expected =
					prots[j] & PROT_WRITE && !may_write(region, rights[i])
						? -EACCES
						: 0;

				EXPECT_EQ(expected, try_map(fd, size, prots[j], MAP_SHARED, offset))
				{
					TH_LOG("region %u, prot %d, right %d", region, prots[j],
					       rights[i]);
				}
				EXPECT_EQ(-EINVAL, try_map(fd, size, prots[j], MAP_PRIVATE, offset))
				{
					TH_LOG("region %u, prot %d, right %d", region, prots[j],
					       rights[i]);
				}
			}
		}
		close(fd);
	}
}

TEST_F(map, mapping_cannot_be_executable)
{
	unsigned int region;
	int prot, ret;

	for (region = 0; region < MBOX_RING_REGIONS; region++) {
		for (prot = PROT_EXEC; prot < 2 * PROT_EXEC; prot++) {
			ret = try_map(self->fd, size_of_region(self, region), prot, MAP_SHARED,
				      MBOX_RING_OFFSET(region));
			EXPECT_TRUE(ret == -EACCES || ret == -EPERM);
		}
	}
}

TEST_F(map, other_sizes_and_offsets_are_EINVAL)
{
	size_t size = self->slots_size, page = self->page;
	__u64 slots = MBOX_RING_OFFSET(MBOX_RING_SLOTS);
	int fd = self->fd;

	EXPECT_EQ(-EINVAL, try_map(fd, size - page, PROT_READ, MAP_SHARED, slots));
	EXPECT_EQ(-EINVAL, try_map(fd, size + page, PROT_READ, MAP_SHARED, slots));
	EXPECT_EQ(-EINVAL, try_map(fd, page, PROT_READ, MAP_SHARED, slots));
	EXPECT_EQ(-EINVAL, try_map(fd, page, PROT_READ, MAP_SHARED, slots + page));
	EXPECT_EQ(-EINVAL, try_map(fd, size - page, PROT_READ, MAP_SHARED, slots + page));
	EXPECT_EQ(-EINVAL, try_map(fd, 2 * page, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, try_map(fd, page, PROT_READ, MAP_SHARED, page));
	EXPECT_EQ(-EINVAL, try_map(fd, page, PROT_READ, MAP_SHARED, slots - page));
	EXPECT_EQ(-EINVAL,
		  try_map(fd, page, PROT_READ, MAP_SHARED, MBOX_RING_OFFSET(MBOX_RING_REGIONS)));
	EXPECT_EQ(-EINVAL,
		  try_map(fd, size, PROT_READ, MAP_SHARED, MBOX_RING_OFFSET(MBOX_RING_REGIONS)));
	EXPECT_GT(0, try_map(fd, page, PROT_READ, MAP_SHARED, MBOX_RING_OFFSET(1 << 10)));
	EXPECT_GT(0, try_map(fd, page, PROT_READ, MAP_SHARED, INT64_MAX & -page));
	/* mmap(2) itself counts in pages. */
	EXPECT_EQ(0, try_map(fd, 1, PROT_READ, MAP_SHARED, 0));
}

TEST_F(map, mmap_of_a_queue_fails)
{
	int fd = new_mailbox(0, 4);

	ASSERT_LE(0, fd);
	EXPECT_GT(0, try_map(fd, self->page, PROT_READ, MAP_SHARED, 0));
	close(fd);
}

/* ---- what cannot be done afterwards ------------------------------------- */

TEST_F(map, protection_cannot_be_raised)
{
	unsigned int region;

	for (region = 0; region < MBOX_RING_REGIONS; region++) {
		size_t size = size_of_region(self, region);
		void *addr = map_region(self->fd, region, size, PROT_READ);

		ASSERT_TRUE(!!addr);
		EXPECT_EQ(-EACCES, neg(mprotect(addr, size, PROT_READ | PROT_WRITE)));
		EXPECT_EQ(-EACCES, neg(mprotect(addr, size, PROT_WRITE)));
		EXPECT_EQ(-EACCES, neg(mprotect(addr, size, PROT_READ | PROT_EXEC)));
		EXPECT_EQ(0, neg(mprotect(addr, size, PROT_NONE)));
		EXPECT_EQ(0, neg(mprotect(addr, size, PROT_READ)));
		EXPECT_EQ(0, munmap(addr, size));
		addr = map_region(self->fd, region, size, PROT_NONE);
		ASSERT_TRUE(!!addr);
		EXPECT_EQ(-EACCES, neg(mprotect(addr, size, PROT_READ | PROT_WRITE)));
		EXPECT_EQ(0, munmap(addr, size));
		if (!may_write(region, O_RDWR))
			continue;
		/* It was writable: it stays a sender or receiver, and may be again. */
		addr = map_region(self->fd, region, size, PROT_READ | PROT_WRITE);
		ASSERT_TRUE(!!addr);
		EXPECT_EQ(0, neg(mprotect(addr, size, PROT_READ)));
		EXPECT_EQ(0, neg(mprotect(addr, size, PROT_READ | PROT_WRITE)));
		EXPECT_EQ(-EACCES, neg(mprotect(addr, size, PROT_READ | PROT_EXEC)));
		EXPECT_EQ(0, munmap(addr, size));
	}
}

/* The ways in which a debugger gets around PROT_READ. */
TEST_F(map, protection_cannot_be_bypassed)
{
	static const __u64 value = 0x0123456789abcdefULL;
	void *region[MBOX_RING_REGIONS] = {
		(void *)self->memory.info, (void *)self->memory.kernel, self->memory.tail,
		self->memory.head,	   self->memory.slots,
	};
	struct iovec local = { .iov_base = (void *)&value, .iov_len = sizeof(value) };
	int mem = open("/proc/self/mem", O_RDWR), i;

	ASSERT_LE(0, mem);
	for (i = 0; i < MBOX_RING_REGIONS; i++) {
		struct iovec remote = { .iov_base = region[i], .iov_len = sizeof(value) };
		__u64 before = *(volatile __u64 *)region[i], seen = ~before;

		EXPECT_GT(0, neg(pwrite64(mem, &value, sizeof(value), (uintptr_t)region[i])));
		EXPECT_GT(0, neg(process_vm_writev(getpid(), &local, 1, &remote, 1, 0)));
		EXPECT_EQ(before, *(volatile __u64 *)region[i]);
		/* Reading is all right. */
		EXPECT_EQ(sizeof(seen), pread64(mem, &seen, sizeof(seen), (uintptr_t)region[i]));
		EXPECT_EQ(before, seen);
	}
	close(mem);
	EXPECT_EQ(0, ring_put(self->mb, 1));
	EXPECT_EQ(1, ring_take(self->mb));
}

TEST_F(map, mapping_cannot_be_split)
{
	size_t size = self->slots_size, page = self->page;
	unsigned char *slots;

	slots = map_region(self->fd, MBOX_RING_SLOTS, size, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(!!slots);
	EXPECT_EQ(-EINVAL, neg(munmap(slots, page)));
	EXPECT_EQ(-EINVAL, neg(munmap(slots + page, page)));
	EXPECT_EQ(-EINVAL, neg(munmap(slots + size - page, page)));
	EXPECT_EQ(-EINVAL, neg(mprotect(slots, page, PROT_READ)));
	EXPECT_EQ(-EINVAL, neg(mprotect(slots + page, size - page, PROT_NONE)));
	EXPECT_GT(0, neg(madvise(slots, page, MADV_DOFORK)));
	EXPECT_GT(0, neg((long)mmap(slots + page, page, PROT_READ,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
	/* All of it is still there. */
	memset(slots, 1, size);
	EXPECT_EQ(1, self->memory.info->owner);
	EXPECT_EQ(0, munmap(slots, size));
	EXPECT_EQ(0, self->memory.info->owner);
}

TEST_F(map, mapping_replaced_as_a_whole_ends)
{
	size_t size = self->slots_size;
	unsigned char *slots;

	slots = map_region(self->fd, MBOX_RING_SLOTS, size, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(!!slots);
	EXPECT_EQ(1, self->memory.info->owner);
	((struct mbox_ring_slot *)slots)->word = make_word(0, 1, MBOX_SLOT_BUSY);
	ASSERT_TRUE(slots ==
		    mmap(slots, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, self->memory.info->owner);
	EXPECT_EQ(make_word(0, 1, MBOX_SLOT_ABANDONED), word_of(&self->memory, 0));
	munmap(slots, size);
}

TEST_F(map, mapping_cannot_be_moved_or_resized)
{
	size_t size = self->slots_size, page = self->page;
	unsigned char *slots, *place;

	slots = map_region(self->fd, MBOX_RING_SLOTS, size, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(!!slots);
	place = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(place != MAP_FAILED);

#define TRY_MREMAP(old, new, flags, ...) neg((long)mremap(slots, old, new, flags, ##__VA_ARGS__))
	EXPECT_GT(0, TRY_MREMAP(size, size, MREMAP_MAYMOVE | MREMAP_FIXED, place));
	EXPECT_GT(0, TRY_MREMAP(size, size + page, 0));
	EXPECT_GT(0, TRY_MREMAP(size, size + page, MREMAP_MAYMOVE));
	EXPECT_GT(0, TRY_MREMAP(size, size - page, 0));
	EXPECT_GT(0, TRY_MREMAP(size, size - page, MREMAP_MAYMOVE | MREMAP_FIXED, place));
	EXPECT_GT(0, TRY_MREMAP(page, page, MREMAP_MAYMOVE | MREMAP_FIXED, place));
	EXPECT_GT(0, TRY_MREMAP(0, size, MREMAP_MAYMOVE));
	EXPECT_GT(0, TRY_MREMAP(0, page, MREMAP_MAYMOVE));
#ifdef MREMAP_DONTUNMAP
	EXPECT_GT(0, TRY_MREMAP(size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
#endif
	memset(slots, 1, size);
	EXPECT_EQ(1, self->memory.slots[size - 1]);
	EXPECT_EQ(1, self->memory.info->owner);
	EXPECT_EQ(0, munmap(slots, size));
	EXPECT_EQ(0, self->memory.info->owner);
	munmap(place, 2 * size);
}

TEST_F(map, memory_cannot_be_truncated_or_punched)
{
	size_t size = self->slots_size;
	unsigned char *slots;

	slots = map_region(self->fd, MBOX_RING_SLOTS, size, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(!!slots);
	memset(slots, 0x5a, size);
	EXPECT_GT(0, neg(madvise(slots, size, MADV_REMOVE)));
	/* These are about this process's page tables alone. */
	madvise(slots, size, MADV_DONTNEED);
	madvise(slots, size, MADV_FREE);
	madvise(slots, size, MADV_PAGEOUT);
	EXPECT_EQ(0x5a, slots[0]);
	EXPECT_EQ(0x5a, slots[size - 1]);
	EXPECT_GT(0, neg(ftruncate(self->fd, 0)));
	EXPECT_GT(0, neg(fallocate(self->fd, 0, 0, size)));
	EXPECT_GT(0, neg(fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size)));
	lseek(self->fd, 0, SEEK_END);
	lseek(self->fd, 4096, SEEK_SET);
	EXPECT_EQ(-EOPNOTSUPP, neg(write(self->fd, slots, 1)));
	EXPECT_EQ(-EOPNOTSUPP, neg(read(self->fd, slots, 1)));
	EXPECT_EQ(0x5a, self->memory.slots[size / 2]);
	EXPECT_EQ(0, munmap(slots, size));
}

/* ---- fork --------------------------------------------------------------- */

static int touch(void *arg)
{
	unsigned char vec;

	/* Nothing is mapped there. */
	CHECK_EQ(-1, mincore(arg, 1, &vec));
	CHECK_EQ(ENOMEM, errno);
	return 0;
}

TEST_F(map, forked_child_does_not_inherit_the_mapping)
{
	EXPECT_EQ(0, in_child(touch, (void *)self->memory.info));
	EXPECT_EQ(0, in_child(touch, (void *)self->memory.kernel));
	EXPECT_EQ(0, in_child(touch, self->memory.tail));
	EXPECT_EQ(0, in_child(touch, self->memory.head));
	EXPECT_EQ(0, in_child(touch, self->memory.slots));
}

struct inheritance {
	unsigned char *slots;
	__u32 stage;
};

static int hold(void *arg)
{
	struct inheritance *i = arg;

	i->slots[0]++;
	NOTE(i->stage, 1);
	while (pause())
		;
	return 0;
}

/* With MADV_DOFORK it does: then the number is in use until the last one ends. */
TEST_F(map, child_with_MADV_DOFORK_keeps_the_owner_number)
{
	size_t size = self->slots_size;
	struct inheritance *shared;
	unsigned char *slots;
	pid_t pid;
	long ret;

	shared = shared_memory(sizeof(*shared));
	ASSERT_TRUE(!!shared);
	slots = map_region(self->fd, MBOX_RING_SLOTS, size, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(!!slots);
	((struct mbox_ring_slot *)slots)->word = make_word(0, 1, MBOX_SLOT_BUSY);
	ret = neg(madvise(slots, size, MADV_DOFORK));
	if (ret == -EINVAL)
		SKIP(return, "no MADV_DOFORK for memory that must not grow");
	ASSERT_EQ(0, ret);
	shared->slots = slots + sizeof(struct mbox_ring_slot);
	pid = spawn(hold, shared);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, await_value(&shared->stage, 1));
	EXPECT_EQ(1, slots[sizeof(struct mbox_ring_slot)]);
	EXPECT_EQ(0, munmap(slots, size));
	EXPECT_EQ(1, self->memory.info->owner);
	EXPECT_EQ(make_word(0, 1, MBOX_SLOT_BUSY), word_of(&self->memory, 0));
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(0, self->memory.info->owner);
	EXPECT_EQ(make_word(0, 1, MBOX_SLOT_ABANDONED), word_of(&self->memory, 0));
	munmap(shared, sizeof(*shared));
}

/* ---- admission ---------------------------------------------------- */

TEST_F_TIMEOUT(map, owner_numbers_run_out_with_EUSERS_and_are_reused, 120)
{
	struct rlimit files = { MBOX_SLOT_OWNER_MAX + 100, MBOX_SLOT_OWNER_MAX + 100 };
	static int fd[MBOX_SLOT_OWNER_MAX + 1];
	static void *slots[MBOX_SLOT_OWNER_MAX + 1];
	const struct mbox_ring_info *info;
	size_t size = self->slots_size;
	unsigned int i;

	if (setrlimit(RLIMIT_NOFILE, &files))
		SKIP(return, "not so many descriptors: %s", strerror(errno));
	for (i = 0; i < MBOX_SLOT_OWNER_MAX; i++) {
		fd[i] = open_again(self->fd, O_WRONLY);
		ASSERT_LE(0, fd[i]);
		slots[i] = map_region(fd[i], MBOX_RING_SLOTS, size, PROT_READ | PROT_WRITE);
		ASSERT_TRUE(!!slots[i])
		{
			TH_LOG("number %u: %s", i + 1, strerror(errno));
		}
	}
	fd[i] = open_again(self->fd, O_WRONLY);
	EXPECT_TRUE(!map_region(fd[i], MBOX_RING_SLOTS, size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EUSERS, errno);
	EXPECT_EQ(-EUSERS, ring_put(self->mb, 1));
	/* Receiving needs none. */
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	/* A second mapping is no second sender. */
	EXPECT_EQ(0, try_map(fd[99], size, PROT_READ | PROT_WRITE, MAP_SHARED,
			     MBOX_RING_OFFSET(MBOX_RING_SLOTS)));
	ASSERT_EQ(0, munmap(slots[99], size));
	slots[i] = map_region(fd[i], MBOX_RING_SLOTS, size, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(!!slots[i]);
	info = map_region(fd[i], MBOX_RING_INFO, self->page, PROT_READ);
	ASSERT_TRUE(!!info);
	EXPECT_EQ(100, info->owner);
	munmap((void *)info, self->page);
	for (i = 0; i <= MBOX_SLOT_OWNER_MAX; i++) {
		if (i != 99)
			EXPECT_EQ(0, munmap(slots[i], size));
		close(fd[i]);
	}
	EXPECT_EQ(0, ring_put(self->mb, 1));
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(1, stat_of(self->fd).send_handles);
}

static int map_one(struct ring_memory *m, int fd, unsigned int side)
{
	return map_ring(m, fd, 1 << side);
}

static int other_process_maps(void *arg)
{
	struct ring_memory m;
	int fd = *(int *)arg;

	CHECK_EQ(-EBUSY, map_one(&m, fd, MBOX_RING_SENDERS));
	CHECK_EQ(-EBUSY, map_one(&m, fd, MBOX_RING_RECEIVERS));
	CHECK_EQ(0, map_ring(&m, fd, 0));
	return 0;
}

TEST_F(map, only_participant_is_admitted_and_then_the_next)
{
	struct mbox *mb = new_ring(MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, 4, 8);
	struct ring_memory first, second;
	unsigned int side;
	int fd, other;

	ASSERT_TRUE(!!mb);
	fd = mbox_fd(mb);
	other = open_again(fd, O_RDWR);
	ASSERT_LE(0, other);
	for (side = 0; side < 2; side++) {
		ASSERT_EQ(0, map_one(&first, fd, side));
		EXPECT_EQ(-EBUSY, map_one(&second, other, side));
		/* By the same handle it would be another with positions of its own. */
		EXPECT_EQ(-EBUSY, map_one(&second, fd, side));
		unmap_ring(&first);
		EXPECT_EQ(0, map_one(&second, other, side));
		EXPECT_EQ(-EBUSY, map_one(&first, fd, side));
		unmap_ring(&second);
	}
	ASSERT_EQ(0, map_ring(&first, fd, 3));
	EXPECT_EQ(0, in_child(other_process_maps, &fd));
	/* A mapping that was made read-only is still one that could write. */
	ASSERT_EQ(0, mprotect(first.slots, first.slots_size, PROT_READ));
	EXPECT_EQ(-EBUSY, map_one(&second, other, MBOX_RING_SENDERS));
	/* A closed descriptor is no end of it. */
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_EQ(-EBUSY, map_one(&second, other, MBOX_RING_SENDERS));
	unmap_ring(&first);
	EXPECT_EQ(0, map_ring(&second, other, 3));
	unmap_ring(&second);
	close(other);
}

/* ---- destroy ------------------------------------------------------------ */

/* Whether a line of /proc/cpuinfo begins with @key and has @text in it. */
static bool cpuinfo_has(const char *key, const char *text)
{
	char line[4096];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, key, strlen(key)) && strstr(line, text);
	if (f)
		fclose(f);
	return found;
}

static long barriers_of(__u32 flags)
{
	struct mbox *mb = new_ring(flags, 4, 8);
	struct ring_memory memory;
	long ret = -1;

	if (mb && !map_ring(&memory, mbox_fd(mb), 0)) {
		ret = memory.info->barrier;
		unmap_ring(&memory);
	}
	mbox_close(mb);
	return ret;
}

TEST(asymmetric_fences_are_for_the_only_participant)
{
	/* User-mode Linux has no interrupts between CPUs that would be one. */
	const long able = on_machine("x86_64") && !cpuinfo_has("vendor_id", "User Mode");
	const long receiver = able << MBOX_RING_RECEIVERS;
	const long sender = able << MBOX_RING_SENDERS;
	const bool wanted[] = { false, true, !cpuinfo_has("flags", " hypervisor") };
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, param_set("ring_barriers", i == 2 ? -1 : i));
		EXPECT_EQ(0, barriers_of(0));
		EXPECT_EQ(wanted[i] * receiver, barriers_of(MBOX_ONE_RECEIVER));
		EXPECT_EQ(wanted[i] * sender, barriers_of(MBOX_ONE_SENDER));
		EXPECT_EQ(wanted[i] * (sender | receiver),
			  barriers_of(MBOX_ONE_SENDER | MBOX_ONE_RECEIVER));
	}
}

#define TRACEFS		"/sys/kernel/tracing/"
#define PROBE		TRACEFS "events/mbox_test/late/"
/* Rings of one user, how often it has memory ordered in a row, and how often all that. */
#define RINGS		16
#define ORDERS		400
#define ROUNDS		30

/* A ring of a user, and what its other side is ordered for. */
struct ordered {
	struct mbox *mb;
	struct ring_memory memory;
};

static int make_ordered(struct ordered *r, uid_t uid)
{
	int ret;

	CHECK_EQ(0, neg(setresuid(uid, -1, -1)));
	r->mb = new_ring(MBOX_ONE_SENDER, 4, 8);
	CHECK(r->mb);
	ret = map_ring(&r->memory, mbox_fd(r->mb), 3);
	CHECK_EQ(0, neg(setresuid(0, -1, -1)));
	return ret;
}

/* Whoever begins to get signals has the sender's memory ordered. */
static void have_ordered(const struct ordered *r)
{
	fcntl(mbox_fd(r->mb), F_SETFL, O_RDWR | O_ASYNC);
	fcntl(mbox_fd(r->mb), F_SETFL, O_RDWR);
}

/* In how many rounds the first user's, and the second's was put off. */
static int count_late(int late[2])
{
	int second = 0, seen[2] = { 0 };
	char line[512];
	FILE *f = fopen(TRACEFS "trace", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "late:")) {
			late[second] += !seen[second];
			seen[second] = 1;
		} else if (strstr(line, "second user")) {
			second = 1;
		} else if (strstr(line, "end of round")) {
			second = 0;
			memset(seen, 0, sizeof(seen));
		}
	}
	fclose(f);
	return 0;
}

/* Return the time that the first user's fastest round took, or -1. */
static __s64 order_in_turns(int late[2])
{
	struct ordered first[RINGS], second;
	int marker = open(TRACEFS "trace_marker", O_WRONLY);
	__s64 begin, took, fastest = INT64_MAX;
	int i, round;

	CHECK(marker >= 0);
	for (i = 0; i < RINGS; i++)
		CHECK_EQ(0, make_ordered(&first[i], USER_A));
	CHECK_EQ(0, make_ordered(&second, USER_B));
	for (round = 0; round < ROUNDS; round++) {
		begin = now_ns(CLOCK_MONOTONIC);
		for (i = 0; i < ORDERS; i++)
			have_ordered(&first[i % RINGS]);
		took = now_ns(CLOCK_MONOTONIC) - begin;
		if (took < fastest)
			fastest = took;
		CHECK(write(marker, "second user", 11) == 11);
		have_ordered(&second);
		CHECK(write(marker, "end of round", 12) == 12);
		usleep(20000);
	}
	close(marker);
	return count_late(late) ? -1 : fastest;
}

/* Which are interrupts, so many in a tick; more are put off. */
TEST(asymmetric_fences_of_one_user_leave_some_to_others)
{
	int late[2] = { 0 };
	struct timespec tick;
	__s64 took;

	if (!on_machine("x86_64") || cpuinfo_has("vendor_id", "User Mode"))
		SKIP(return, "no barriers by interrupt");
	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (write_file(TRACEFS "kprobe_events", "p:mbox_test/late queue_delayed_work_on"))
		SKIP(return, "no probes in the kernel");
	ASSERT_EQ(0, param_set("ring_barriers", 1));
	write_file(TRACEFS "trace", "\n");
	EXPECT_EQ(0, write_file(PROBE "filter", "common_pid == %d", getpid()));
	EXPECT_EQ(0, write_file(PROBE "enable", "1"));
	ASSERT_EQ(0, clock_getres(CLOCK_MONOTONIC_COARSE, &tick));
	took = order_in_turns(late);
	write_file(PROBE "enable", "0");
	write_file(TRACEFS "kprobe_events", "-:mbox_test/late");
	EXPECT_EQ(0, param_set("ring_barriers", -1));
	EXPECT_LT(0, took);
	EXPECT_EQ(0, late[1]);
	/* What one user has in a tick is a third of a round. */
	if (took > 2 * tick.tv_nsec)
		SKIP(return, "too slow to use up what one user has");
	EXPECT_LT(0, late[0]);
}

/* Rings of one user, and how many late barriers in a tick the module allows it. */
#define LATE_RINGS	200
#define LATE_IN_A_TICK	64
#define LATE_MAX	8192

/* The largest number of late barriers that the trace shows for one tick. */
static int most_in_a_tick(void)
{
	static double at[LATE_MAX];
	char line[512], *text, *delay;
	struct timespec res;
	double tick, when;
	FILE *f = fopen(TRACEFS "trace", "r");
	int n = 0, first = 0, most = 0, i;

	CHECK(f);
	CHECK(!clock_getres(CLOCK_MONOTONIC_COARSE, &res));
	tick = (double)res.tv_nsec / (1000 * NSEC_PER_MSEC);
	while (n < LATE_MAX && fgets(line, sizeof(line), f)) {
		text = strstr(line, ": late:");
		delay = strstr(line, "delay=");
		if (!text || !delay)
			continue;
		/* The time stamp is the word before the name of the event. */
		while (text > line && text[-1] != ' ')
			text--;
		when = atof(text) + atoi(delay + 6) * tick;
		for (i = n++; i > 0 && at[i - 1] > when; i--)
			at[i] = at[i - 1];
		at[i] = when;
	}
	fclose(f);
	for (i = 0; i < n; i++) {
		while (at[i] - at[first] > tick)
			first++;
		if (i - first + 1 > most)
			most = i - first + 1;
	}
	printf("# %d late barriers, at most %d in a tick\n", n, most);
	return most;
}

static int make_late(struct ordered *rings)
{
	int i, round;

	for (i = 0; i < LATE_RINGS; i++)
		CHECK_EQ(0, make_ordered(&rings[i], USER_A));
	write_file(TRACEFS "trace", "\n");
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 3 * LATE_RINGS; i++)
			have_ordered(&rings[i % LATE_RINGS]);
		usleep(50000);
	}
	return 0;
}

/* A tick by the clock is a part of two by the kernel's count. */
TEST(late_fences_of_one_user_are_limited)
{
	static struct ordered rings[LATE_RINGS];
	int most;

	if (!on_machine("x86_64") || cpuinfo_has("vendor_id", "User Mode"))
		SKIP(return, "no barriers by interrupt");
	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (write_file(TRACEFS "kprobe_events",
		       "p:mbox_test/late queue_delayed_work_on delay=%%cx:u64"))
		SKIP(return, "no probes in the kernel");
	ASSERT_EQ(0, param_set("ring_barriers", 1));
	EXPECT_EQ(0, write_file(PROBE "filter", "common_pid == %d", getpid()));
	EXPECT_EQ(0, write_file(PROBE "enable", "1"));
	EXPECT_EQ(0, make_late(rings));
	write_file(PROBE "enable", "0");
	most = most_in_a_tick();
	write_file(TRACEFS "kprobe_events", "-:mbox_test/late");
	EXPECT_EQ(0, param_set("ring_barriers", -1));
	EXPECT_GE(2 * LATE_IN_A_TICK + 8, most);
	if (!most)
		SKIP(return, "too slow to use up what one user has");
}

/* ---- the limit of the user ------------------------------------------------- */

#define MAPPABLE 3

/* Whether the user can have a message, beside its mappings. */
static long send_one(int fd)
{
	static char text[2048];

	return raw_send(fd, text, sizeof(text), 0);
}

/* For each handle one page is charged, whichever regions are mapped. */
static int map_up_to_the_limit(void *arg)
{
	FIXTURE_DATA(map) *self = arg;
	void *info[MAPPABLE + 1], *kernel;
	int fd[MAPPABLE + 1], queue, i;
	struct mbox *mb;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	queue = new_mailbox(0, 4);
	CHECK(queue >= 0);
	for (i = 0; i <= MAPPABLE; i++) {
		fd[i] = open_again(self->fd, O_RDWR);
		CHECK(fd[i] >= 0);
		info[i] = map_region(fd[i], MBOX_RING_INFO, self->page, PROT_READ);
		if (i < MAPPABLE)
			CHECK(info[i]);
	}
	CHECK(!info[MAPPABLE] && errno == EDQUOT);
	CHECK_EQ(-EDQUOT, send_one(queue));
	kernel = map_region(fd[0], MBOX_RING_KERNEL, self->page, PROT_READ);
	CHECK(kernel);
	mb = mbox_from_fd(fd[MAPPABLE]);
	CHECK(mb);
	CHECK_EQ(-EDQUOT, ring_put(mb, 1));
	CHECK_EQ(-EDQUOT, ring_take(mb));

	/* It counts until the last region is unmapped. */
	CHECK_EQ(0, munmap(info[0], self->page));
	CHECK_EQ(-EDQUOT, ring_put(mb, 1));
	CHECK_EQ(0, munmap(kernel, self->page));
	CHECK_EQ(0, ring_put(mb, 1));
	CHECK_EQ(1, ring_take(mb));
	CHECK_EQ(-EDQUOT, send_one(queue));
	CHECK_EQ(0, mbox_close(mb));
	CHECK_EQ(0, send_one(queue));
	return 0;
}

TEST_F(map, mappings_count_for_the_user_that_makes_them)
{
	long saved = param_get("user_bytes");
	int i;

	ASSERT_EQ(0, fchmod(self->fd, 0666));
	/* Beside the page, not even half a message is left for each. */
	ASSERT_EQ(0, param_set("user_bytes", MAPPABLE * (self->page + 512)));
	/* What a process had that has ended is free again. */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, in_child(map_up_to_the_limit, self));
	param_set("user_bytes", saved);
}

TEST_F(map, memory_stays_when_the_mailbox_is_destroyed)
{
	struct ring_call receiver = { 0 };
	struct ring_memory writable, late;
	struct mbox_ring_wait wait = { .side = MBOX_RING_SENDERS };
	struct mbox_ring_wake wake = { .side = MBOX_RING_SENDERS };
	struct mbox *other = open_ring(self->mb, O_RDWR);

	ASSERT_TRUE(!!other);
	ASSERT_EQ(0, map_ring(&writable, self->fd, 3));
	EXPECT_EQ(0, self->memory.kernel->state);
	ASSERT_EQ(0, ring_recv_start(&receiver, self->mb));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, mbox_destroy(self->mb));
	EXPECT_EQ(-EIDRM, ring_join(&receiver));
	EXPECT_EQ(-EIDRM, map_ring(&late, self->fd, 0));
	EXPECT_EQ(-EIDRM, map_ring(&late, self->fd, 3));
	EXPECT_EQ(MBOX_RING_DEAD, self->memory.kernel->state);
	EXPECT_EQ(CAPACITY, self->memory.info->capacity);
	memset(writable.slots, 0xff, writable.slots_size);
	*writable.head = ~0ULL;
	*writable.tail = 12345;
	EXPECT_EQ(0xff, self->memory.slots[self->slots_size - 1]);
	/* One that was mapped before, and one that was not. */
	EXPECT_EQ(-EIDRM, ring_take(self->mb));
	EXPECT_EQ(-EIDRM, ring_put(other, 1));
	EXPECT_EQ(-EIDRM, ring_take(other));
	EXPECT_EQ(-EIDRM, raw(self->fd, MBOX_IOC_RING_WAIT, &wait));
	EXPECT_EQ(-EIDRM, raw(self->fd, MBOX_IOC_RING_WAKE, &wake));
	unmap_ring(&writable);
	EXPECT_EQ(0, mbox_close(other));
}

/* ---- wait and wake ------------------------------------------------------ */

static long wait_with(int fd, __u32 side, __u32 flags, __u64 deadline_ns)
{
	struct mbox_ring_wait arg = { .side = side, .flags = flags, .deadline_ns = deadline_ns };

	return raw(fd, MBOX_IOC_RING_WAIT, &arg);
}

static long wake_with(int fd, __u32 side, __u32 n)
{
	struct mbox_ring_wake arg = { .side = side, .n = n };

	return raw(fd, MBOX_IOC_RING_WAKE, &arg);
}

TEST_F(map, wait_and_wake_reject_bad_arguments)
{
	int receiver = open_again(self->fd, O_RDONLY), sender = open_again(self->fd, O_WRONLY);
	int queue = new_mailbox(0, 4);
	__u32 flag;

	EXPECT_EQ(-EINVAL, wait_with(self->fd, 2, 0, 1));
	EXPECT_EQ(-EINVAL, wait_with(self->fd, ~0U, 0, 1));
	EXPECT_EQ(-EINVAL, wake_with(self->fd, 2, 1));
	EXPECT_EQ(-EINVAL, wake_with(self->fd, ~0U, 1));
	for (flag = 1; flag; flag <<= 1)
		if (!(flag & (MBOX_REALTIME | MBOX_DONTWAIT)))
			EXPECT_EQ(-EINVAL, wait_with(self->fd, MBOX_RING_RECEIVERS, flag, 1));
	EXPECT_EQ(-EBADF, wait_with(receiver, MBOX_RING_SENDERS, 0, 1));
	EXPECT_EQ(-EBADF, wait_with(sender, MBOX_RING_RECEIVERS, 0, 1));
	/* There is room, and nothing to receive. */
	EXPECT_EQ(0, wait_with(sender, MBOX_RING_SENDERS, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, wait_with(receiver, MBOX_RING_RECEIVERS, 0, 1));
	EXPECT_EQ(-ETIMEDOUT, wait_with(receiver, MBOX_RING_RECEIVERS, MBOX_REALTIME,
					in_ms(CLOCK_REALTIME, 5)));
	EXPECT_EQ(-EAGAIN, wait_with(receiver, MBOX_RING_RECEIVERS, MBOX_DONTWAIT, 0));
	/* Either right may wake both sides. */
	EXPECT_EQ(0, wake_with(receiver, MBOX_RING_RECEIVERS, 0));
	EXPECT_EQ(0, wake_with(receiver, MBOX_RING_SENDERS, ~0U));
	EXPECT_EQ(0, wake_with(sender, MBOX_RING_RECEIVERS, ~0U));
	EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_RING_WAIT, NULL));
	EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_RING_WAKE, NULL));
	EXPECT_EQ(-EOPNOTSUPP, wait_with(queue, MBOX_RING_RECEIVERS, 0, 1));
	EXPECT_EQ(-EOPNOTSUPP, wake_with(queue, MBOX_RING_RECEIVERS, 1));
	close(receiver);
	close(sender);
	close(queue);
}

TEST_HARNESS_MAIN
