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
	__s64 limit = in_ms(CLOCK_MONOTONIC, PATIENCE_MS);

	if (!one_in(r, 8))
		while (!__atomic_load_n(started, __ATOMIC_SEQ_CST) &&
		       now_ns(CLOCK_MONOTONIC) < limit)
			sched_yield();
	spin_us(random_below(r, one_in(r, 4) ? 3000 : 400));
}

/* What its limits are for is free again: all of it, to the byte. */
static inline int use_all_bytes(void *arg)
{
	struct mbox_attr attr = attr_of(0, MBOX_UNBOUNDED);
	char *big = calloc(1, 1 << 18);
	int fd, i;

	attr.msg_max = 1 << 18;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = raw_create(NULL, O_RDWR, &attr);
	CHECK(fd >= 0);
	for (i = 0; i < 4; i++)
		CHECK_EQ(0, raw_send(fd, big, 1 << 18, 0));
	CHECK_EQ(-EDQUOT, raw_send(fd, big, 1, 0));
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
	ASSERT_EQ(0, param_set("user_bytes", 1 << 20));			\
	EXPECT_EQ(0, in_child(use_all_bytes, NULL));			\
	ASSERT_EQ(0, param_set("user_bytes", (self)->user_bytes));	\
	ASSERT_EQ(0, param_set("user_mailboxes", 16));			\
	EXPECT_EQ(0, in_child(use_all_mailboxes, NULL));		\
	ASSERT_EQ(0, param_set("user_mailboxes", (self)->user_mailboxes)); \
} while (0)

#endif /* SELFTESTS_KILL_H */
