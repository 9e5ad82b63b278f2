// SPDX-License-Identifier: GPL-2.0-only
/* How full a mailbox has been, how old its messages are, and how long they waited. */
#include "leases.h"
#include "peers.h"

/* Longer than any tick. */
#define LONG_MS 60
#define LONG_NS (LONG_MS * NSEC_PER_MSEC)
/* The place of the shortest wait that is told apart from none, at 100 ticks a second. */
#define SLACK_NS (20 * NSEC_PER_MSEC)

static const __u32 policies[] = { 0, MBOX_FAIR, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_BROADCAST,
				  MBOX_BROADCAST | MBOX_DROP_OLDEST, MBOX_HANGUP };

FIXTURE(age)
{
	int fd;
};

FIXTURE_SETUP(age)
{
	self->fd = new_mailbox(0, 100);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(age)
{
	close(self->fd);
}

static void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

static __u64 sum_of(const struct mbox_stat *st)
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < MBOX_WAIT_BUCKETS; i++)
		sum += st->waited[i];
	return sum;
}

/* Whether a message has waited about @least to @most ns, according to its place. */
static bool waited_about(const struct mbox_stat *st, int place, __s64 least, __s64 most)
{
	__s64 low = place ? (NSEC_PER_MSEC << (place - 1)) : 0;
	__s64 high = NSEC_PER_MSEC << place;

	return st->waited[place] && low <= most + SLACK_NS && high >= least - SLACK_NS;
}

TEST_F(age, begins_anew_with_a_delay)
{
	__s64 start, age;
	__u64 token;
	int delay;

	for (delay = 0; delay < 2; delay++) {
		ASSERT_EQ(0, put(self->fd, 1));
		sleep_ms(LONG_MS);
		ASSERT_EQ(1, lease(self->fd, &token));
		start = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, nack(self->fd, token, delay));
		while (!stat_of(self->fd).queued)
			pause_briefly();
		age = stat_of(self->fd).oldest_ns;
		EXPECT_LE(delay ? 0 : LONG_NS - SLACK_NS, age);
		EXPECT_GE(now_ns(CLOCK_MONOTONIC) - (delay ? start : 0) + SLACK_NS, age);
		EXPECT_EQ(1, take(self->fd));
	}
}

TEST_F(age, highest_is_the_most_at_one_time)
{
	unsigned int i;
	int fd;

	EXPECT_EQ(0, stat_of(self->fd).highest);
	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		fd = new_mailbox(policies[i], 3);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, put(fd, 1));
		EXPECT_EQ(1, stat_of(fd).highest);
		ASSERT_EQ(0, put_as(fd, 2, 5, 0));
		ASSERT_LT(0, take(fd));
		ASSERT_EQ(0, put(fd, 3));
		EXPECT_EQ(2, stat_of(fd).highest)
			TH_LOG("flags %#x", policies[i]);
		ASSERT_EQ(0, raw_set_capacity(fd, 1));
		ASSERT_LT(0, take(fd));
		ASSERT_LT(0, take(fd));
		EXPECT_EQ(2, stat_of(fd).highest);
		close(fd);
	}
}

TEST_F(age, message_for_a_waiting_receiver_fills_nothing)
{
	struct call receiver = { 0 };
	struct mbox_stat st;

	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(7, recv_join(&receiver));
	st = stat_of(self->fd);
	EXPECT_EQ(0, st.highest);
	EXPECT_EQ(1, st.received);
	EXPECT_EQ(1, sum_of(&st));
}

TEST_F(age, oldest_grows_until_it_is_received)
{
	struct mbox_stat st;
	__s64 seen, younger;
	unsigned int i;
	int fd;

	EXPECT_EQ(0, stat_of(self->fd).oldest_ns);
	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		fd = new_mailbox(policies[i], 3);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, put(fd, 1));
		sleep_ms(LONG_MS);
		ASSERT_EQ(0, put(fd, 2));
		st = stat_of(fd);
		seen = now_ns(CLOCK_MONOTONIC);
		EXPECT_LE(LONG_NS - SLACK_NS, (__s64)st.oldest_ns)
			TH_LOG("flags %#x", policies[i]);
		ASSERT_EQ(1, take(fd));
		younger = stat_of(fd).oldest_ns;
		EXPECT_GT((__s64)st.oldest_ns + now_ns(CLOCK_MONOTONIC) - seen, younger);
		ASSERT_EQ(2, take(fd));
		EXPECT_EQ(0, stat_of(fd).oldest_ns);
		close(fd);
	}
}

/* It is behind more priorities than are looked at together. */
TEST_F(age, oldest_has_any_priority)
{
	__u32 i, n = 99;

	ASSERT_EQ(0, put_as(self->fd, 1000, n / 2, 0));
	sleep_ms(LONG_MS);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, put_as(self->fd, i, i, 0));
	EXPECT_LE(LONG_NS - SLACK_NS, (__s64)stat_of(self->fd).oldest_ns);
	for (i = n - 1; i > n / 2; i--)
		ASSERT_EQ((long)i, take(self->fd));
	EXPECT_LE(LONG_NS - SLACK_NS, (__s64)stat_of(self->fd).oldest_ns);
	ASSERT_EQ(1000, take(self->fd));
	sleep_ms(LONG_MS);
	ASSERT_EQ(0, put_as(self->fd, 5, 1000, 0));
	/* Of priority 0. */
	EXPECT_LE(LONG_NS - SLACK_NS, (__s64)stat_of(self->fd).oldest_ns);
	while (take(self->fd) >= 0)
		;
	EXPECT_EQ(0, stat_of(self->fd).oldest_ns);
}

TEST_F(age, message_that_was_put_back_stays_old)
{
	struct mbox_stat before, st;

	ASSERT_EQ(0, put(self->fd, 1));
	sleep_ms(LONG_MS);
	before = stat_of(self->fd);
	EXPECT_EQ(-EFAULT, raw_recv(self->fd, (void *)8, 4, MBOX_DONTWAIT));
	st = stat_of(self->fd);
	EXPECT_LE(before.oldest_ns, st.oldest_ns);
	EXPECT_EQ(0, sum_of(&st));
	EXPECT_EQ(0, st.received);
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(age, waits_are_counted_by_their_length)
{
	__s64 begin, put_by, least, most;
	struct mbox_stat st;
	unsigned int i;
	int fd, place;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		fd = new_mailbox(policies[i], 3);
		ASSERT_LE(0, fd);
		begin = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, put(fd, 1));
		put_by = now_ns(CLOCK_MONOTONIC);
		sleep_ms(LONG_MS);
		least = now_ns(CLOCK_MONOTONIC) - put_by;
		ASSERT_EQ(1, take(fd));
		most = now_ns(CLOCK_MONOTONIC) - begin;
		st = stat_of(fd);
		for (place = 0; place < MBOX_WAIT_BUCKETS && !st.waited[place]; place++)
			;
		ASSERT_GT(MBOX_WAIT_BUCKETS, place);
		EXPECT_LT(0, place);
		EXPECT_TRUE(waited_about(&st, place, least, most))
			TH_LOG("flags %#x: %lld to %lld ns are at %d", policies[i],
			       (long long)least, (long long)most, place);
		EXPECT_EQ(1, sum_of(&st));
		close(fd);
	}
}

/* Each receive is counted in one place, by whatever call. */
TEST_F(age, waits_add_up_to_what_was_received)
{
	struct mbox_msg msgs[4];
	struct mbox_stat st;
	__u32 values[4];
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, put_as(self->fd, i, 0, i));
	for (i = 0; i < 4; i++)
		msgs[i] = msg_of(&values[i], 4, 0);
	ASSERT_EQ(4, raw_vec(self->fd, MBOX_IOC_RECVV, msgs, 4, MBOX_DONTWAIT));
	ASSERT_EQ(4, read(self->fd, values, 4));
	ASSERT_EQ(6, take_as(self->fd, MBOX_MATCH, 6, 0));
	ASSERT_EQ(5, take_as(self->fd, MBOX_PEEK, 0, 0));
	ASSERT_EQ(5, take(self->fd));
	EXPECT_EQ(-EMSGSIZE, raw_recv(self->fd, values, 1, MBOX_DONTWAIT));
	st = stat_of(self->fd);
	EXPECT_EQ(7, st.received);
	EXPECT_EQ(7, sum_of(&st));
}

TEST_F(age, fdinfo_shows_them)
{
	EXPECT_EQ(0, fdinfo_number(self->fd, "mbox-highest:\t"));
	EXPECT_EQ(0, fdinfo_number(self->fd, "mbox-oldest-ns:\t"));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	sleep_ms(LONG_MS);
	EXPECT_EQ(2, fdinfo_number(self->fd, "mbox-highest:\t"));
	EXPECT_LE(LONG_NS - SLACK_NS, fdinfo_number(self->fd, "mbox-oldest-ns:\t"));
	EXPECT_EQ(0, fdinfo_number(self->fd, "mbox-waited:\t"));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(2, take(self->fd));
	/* They are further back in that line. */
	EXPECT_EQ(0, fdinfo_number(self->fd, "mbox-waited:\t"));
	EXPECT_EQ(2, fdinfo_number(self->fd, "mbox-highest:\t"));
}

TEST_F(age, ring_has_none)
{
	struct mbox_attr attr = attr_of(0, 4);
	struct mbox_stat st;
	struct mbox *mb;

	attr.mode = MBOX_RING;
	mb = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, mbox_send(mb, "x", 1, 0));
	sleep_ms(LONG_MS);
	memset(&st, POISON, sizeof(st));
	ASSERT_EQ(0, mbox_stat(mb, &st));
	EXPECT_EQ(1, st.queued);
	EXPECT_EQ(0, st.highest);
	EXPECT_EQ(0, st.oldest_ns);
	EXPECT_EQ(0, sum_of(&st));
	mbox_close(mb);
}

TEST_HARNESS_MAIN
