/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Killing at random moments, and what must not be left behind.
 */
#ifndef SELFTESTS_KILL_H
#define SELFTESTS_KILL_H

#include <sys/mman.h>
#include <sys/wait.h>

#include "peers.h"
#include "random.h"

/* The compiler shall not move notes across system calls. */
#define NOTE(where, what) __atomic_store_n(&(where), what, __ATOMIC_SEQ_CST)

static inline __u64 soon(struct random *r)
{
	return now_ns(CLOCK_MONOTONIC) + random_below(r, 300) * 1000;
}

static inline void spin_us(unsigned int us)
{
	__s64 end = now_ns(CLOCK_MONOTONIC) + us * 1000LL;

	while (now_ns(CLOCK_MONOTONIC) < end)
		;
}

/* A moment of its life: mostly not before it has begun to work. */
static inline void random_moment(struct random *r, __u32 *started)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	if (!one_in(r, 8))
		while (!__atomic_load_n(started, __ATOMIC_SEQ_CST) &&
		       now_ns(CLOCK_MONOTONIC) < limit)
			sched_yield();
	spin_us(random_below(r, one_in(r, 4) ? 3000 : 400));
}

/* An empty message takes a header; its sender counts once. */
struct allowance {
	uid_t uid;
	long n;
};

static inline int send_all(void *arg)
{
	struct mbox_attr attr = attr_of(0, MBOX_UNBOUNDED);
	struct allowance *a = arg;
	long ret;
	int fd;

	CHECK_EQ(0, become(a->uid, GROUP_A));
	fd = raw_create(NULL, O_RDWR, &attr);
	CHECK(fd >= 0);
	while (!(ret = raw_send(fd, "", 0, 0)))
		a->n++;
	CHECK_EQ(-EDQUOT, ret);
	return 0;
}

/* How many empty messages a user may have, or -1. */
static inline long count_allowed(uid_t uid)
{
	struct allowance *a = shared_memory(sizeof(*a));
	long n;

	a->uid = uid;
	n = in_child(send_all, a) ? -1 : a->n;
	munmap(a, sizeof(*a));
	return n;
}

/* Has sent nothing before. */
#define USER_FRESH 4712

/* What its limits are for is free again: all of it, to the byte. */
static inline int use_all_bytes(void)
{
	long n, low = 0, high = 1 << 16, middle;

	CHECK_EQ(0, param_set("user_bytes", high));
	n = count_allowed(USER_FRESH);
	CHECK(n > 0);
	/* The least limit for as many: they take all of it. */
	while (high - low > 1) {
		middle = (low + high) / 2;
		CHECK_EQ(0, param_set("user_bytes", middle));
		if (count_allowed(USER_FRESH) < n)
			low = middle;
		else
			high = middle;
	}
	CHECK_EQ(0, param_set("user_bytes", high));
	CHECK_EQ(n, count_allowed(USER_A));
	CHECK_EQ(0, param_set("user_bytes", high - 1));
	CHECK_EQ(n - 1, count_allowed(USER_A));
	return 0;
}

static inline int use_all_mailboxes(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);
	long i, n = param_get("user_mailboxes");

	CHECK(n > 0);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	/* One is the anchor. */
	for (i = 1; i < n; i++)
		CHECK(raw_create(NULL, O_RDWR, &attr) >= 0);
	CHECK_EQ(-EDQUOT, raw_create(NULL, O_RDWR, &attr));
	return 0;
}

/*
 * The account of a user lives as long as something is on it. With a mailbox
 * that stays, what is wrong with it cannot vanish with it.
 */
static inline int drop_anchor(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK(raw_create(arg, O_RDWR | O_EXCL, &attr) >= 0);
	return 0;
}

static inline long module_users(void)
{
	char text[32];

	if (read_file("/sys/module/mbox/refcnt", text, sizeof(text)))
		return -1;
	return atol(text);
}

#define EXPECT_NOTHING_LEFT(self) do {					\
	EXPECT_EQ((self)->mailboxes, count_mailboxes());		\
	EXPECT_EQ((self)->users, module_users());			\
	EXPECT_EQ(0, use_all_bytes());					\
	ASSERT_EQ(0, param_set("user_bytes", (self)->user_bytes));	\
	ASSERT_EQ(0, param_set("user_mailboxes", 16));			\
	EXPECT_EQ(0, in_child(use_all_mailboxes, NULL));		\
	ASSERT_EQ(0, param_set("user_mailboxes", (self)->user_mailboxes)); \
} while (0)

#endif /* SELFTESTS_KILL_H */
