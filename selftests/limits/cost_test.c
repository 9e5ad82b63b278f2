// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a send and a receive cost does not depend on what else is there: deep
 * queues, many priorities, many mailboxes. What many mailboxes cost is linear.
 */
#include "mboxfs.h"

/* Pairs per sample, and samples of which the fastest counts. */
#define PAIRS		200
#define SAMPLES		50
/* A logarithm may show, and so may caches; a walk of the queue would be 1000. */
#define ALLOWED		4

FIXTURE(cost)
{
	long alone;
	int fd;
	bool skip;
};

/* Nanoseconds of a send and a receive, at their fastest. */
static long pair_cost(int fd, __u32 prio)
{
	long best = -1, cost;
	int sample, i;
	__s64 start;

	for (sample = 0; sample < SAMPLES; sample++) {
		start = now_ns(CLOCK_MONOTONIC);
		for (i = 0; i < PAIRS; i++)
			if (put_as(fd, i, prio, 0) || take(fd) < 0)
				return -1;
		cost = (now_ns(CLOCK_MONOTONIC) - start) / PAIRS;
		if (best < 0 || cost < best)
			best = cost;
	}
	return best;
}

FIXTURE_SETUP(cost)
{
	self->skip = kernel_checks_itself();
	self->fd = new_mailbox(0, MBOX_UNBOUNDED);
	ASSERT_LE(0, self->fd);
	self->alone = pair_cost(self->fd, 0);
	ASSERT_LT(0, self->alone);
}

FIXTURE_TEARDOWN(cost)
{
	close(self->fd);
}

static void compare(struct __test_metadata *_metadata, FIXTURE_DATA(cost) *self, int fd,
		    __u32 prio, const char *with)
{
	long cost = pair_cost(fd, prio);

	TH_LOG("send and receive: %ld ns; %s: %ld ns", self->alone, with, cost);
	EXPECT_LT(0, cost);
	EXPECT_GT(ALLOWED * self->alone, cost);
}

#define NEED_SPEED(self) do {						\
	if ((self)->skip)						\
		SKIP(return, "a debug kernel checks whole lists");	\
} while (0)

TEST_F_TIMEOUT(cost, cost_is_independent_of_the_queue_length, 60)
{
	int i;

	NEED_SPEED(self);
	for (i = 0; i < 100000; i++)
		ASSERT_EQ(0, put(self->fd, i));
	compare(_metadata, self, self->fd, 0, "with 100000 messages queued");
	compare(_metadata, self, self->fd, 1, "before 100000 of a lower priority");
}

TEST_F_TIMEOUT(cost, cost_is_independent_of_the_number_of_priorities, 60)
{
	int i;

	NEED_SPEED(self);
	for (i = 0; i < 100000; i++)
		ASSERT_EQ(0, put_as(self->fd, i, i % (MBOX_PRIO_MAX + 1), 0));
	compare(_metadata, self, self->fd, MBOX_PRIO_MAX / 2,
		"with 100000 messages of 32768 priorities");
	compare(_metadata, self, self->fd, MBOX_PRIO_MAX, "as the highest of them");
}

TEST_F_TIMEOUT(cost, cost_is_independent_of_the_number_of_mailboxes, 60)
{
	struct mbox_attr attr = attr_of(0, 4);
	char name[64];
	int i, fd;

	NEED_SPEED(self);
	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "mbox-test-cost-%d", i);
		fd = raw_create(name, O_RDWR, &attr);
		EXPECT_LE(0, fd);
		close(fd);
	}
	compare(_metadata, self, self->fd, 0, "with 10000 other mailboxes");
	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "mbox-test-cost-%d", i);
		EXPECT_EQ(0, raw_unlink(name));
	}
}

/* Opening a name among many: a few steps more, not all of them. */
static long open_cost(const char *name)
{
	long best = -1, cost;
	int sample, fd;
	__s64 start;

	for (sample = 0; sample < 1000; sample++) {
		start = now_ns(CLOCK_MONOTONIC);
		fd = raw_open(name, O_RDWR);
		cost = now_ns(CLOCK_MONOTONIC) - start;
		close(fd);
		if (fd < 0)
			return -1;
		if (best < 0 || cost < best)
			best = cost;
	}
	return best;
}

static void create_names(int from, int to)
{
	struct mbox_attr attr = attr_of(0, 4);
	char name[64];
	int i;

	for (i = from; i < to; i++) {
		snprintf(name, sizeof(name), "mbox-test-cost-%d", i);
		close(raw_create(name, O_RDWR, &attr));
	}
}

TEST_F_TIMEOUT(cost, cost_of_open_is_independent_of_the_number_of_mailboxes, 60)
{
	long alone, among;
	char name[64];
	int i;

	NEED_SPEED(self);
	create_names(0, 1);
	alone = open_cost("mbox-test-cost-0");
	create_names(1, 10000);
	among = open_cost("mbox-test-cost-5000");
	TH_LOG("open: %ld ns; among 10000: %ld ns", alone, among);
	EXPECT_LT(0, alone);
	EXPECT_LT(0, among);
	EXPECT_GT(ALLOWED * alone, among);
	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "mbox-test-cost-%d", i);
		EXPECT_EQ(0, raw_unlink(name));
	}
}

/* Of one mailbox, nanoseconds: the least of all rounds. */
struct passage {
	const char *dir;
	long create, list, walk, remove;
};

static void keep_least(long *least, __s64 start, int n)
{
	long cost = (now_ns(CLOCK_MONOTONIC) - start) / n;

	if (!*least || cost < *least)
		*least = cost;
}

/* @n mailboxes come, are listed by both ways, and go. */
static int pass(struct passage *p, int n)
{
	struct mbox_attr attr = attr_of(0, 4);
	char path[128], *name;
	int i, fd, there = count_mailboxes();
	__s64 start = now_ns(CLOCK_MONOTONIC);

	name = path + snprintf(path, sizeof(path), "%s/", p->dir);
	for (i = 0; i < n; i++) {
		sprintf(name, "mailbox-%d", i);
		fd = raw_create(name, O_RDWR | O_EXCL, &attr);
		CHECK(fd >= 0);
		close(fd);
	}
	keep_least(&p->create, start, n);
	start = now_ns(CLOCK_MONOTONIC);
	/* And "." and "..". */
	CHECK_EQ(there + n + 2, count_entries(p->dir));
	keep_least(&p->list, start, n);
	start = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(there + n, count_mailboxes());
	keep_least(&p->walk, start, n);
	start = now_ns(CLOCK_MONOTONIC);
	for (i = 0; i < n; i++) {
		sprintf(name, "mailbox-%d", i);
		CHECK_EQ(0, unlink(path));
	}
	keep_least(&p->remove, start, n);
	CHECK_EQ(there, count_mailboxes());
	return 0;
}

/* Each of ten times as many costs less than twice as much. */
static bool is_linear(const struct passage *few, const struct passage *many)
{
	return many->create < 2 * few->create && many->list < 2 * few->list &&
	       many->walk < 2 * few->walk && many->remove < 2 * few->remove;
}

TEST_F_TIMEOUT(fs, cost_of_10000_mailboxes_is_linear, 120)
{
	struct passage few = { .dir = self->dir }, many = { .dir = self->dir };
	int i;

	if (kernel_checks_itself())
		SKIP(return, "a debug kernel checks whole lists");
	/* Again if something else took the time. */
	for (i = 0; i < 5 && (!i || !is_linear(&few, &many)); i++) {
		ASSERT_EQ(0, pass(&few, 1000));
		ASSERT_EQ(0, pass(&few, 1000));
		ASSERT_EQ(0, pass(&many, 10000));
	}
	TH_LOG("each of 1000: create %ld, list %ld, walk %ld, remove %ld ns", few.create, few.list,
	       few.walk, few.remove);
	TH_LOG("each of 10000: create %ld, list %ld, walk %ld, remove %ld ns", many.create,
	       many.list, many.walk, many.remove);
	EXPECT_LT(many.create, 2 * few.create);
	EXPECT_LT(many.list, 2 * few.list);
	EXPECT_LT(many.walk, 2 * few.walk);
	EXPECT_LT(many.remove, 2 * few.remove);
}

TEST_F_TIMEOUT(afterwards, the_module_is_not_in_use, 60)
{
	EXPECT_GE(0, await_unused_module());
}

TEST_HARNESS_MAIN
