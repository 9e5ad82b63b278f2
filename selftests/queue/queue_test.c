// SPDX-License-Identifier: GPL-2.0-only
/* Messages inside a mailbox: order, selection, peeking, capacity, overflow. */
#include "peers.h"

FIXTURE(queue)
{
	int fd;
};

FIXTURE_SETUP(queue)
{
	self->fd = new_mailbox(0, 8);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(queue)
{
	close(self->fd);
}

/* Every message that is there, in the order in which it is received. */
#define EXPECT_TAKES(fd, ...) do {					\
	const long __want[] = { __VA_ARGS__ };				\
	unsigned int __i;						\
									\
	for (__i = 0; __i < ARRAY_SIZE(__want); __i++)			\
		EXPECT_EQ(__want[__i], take(fd))			\
			TH_LOG("message %u", __i);			\
	EXPECT_EQ(-EAGAIN, take(fd));					\
} while (0)

TEST_F(queue, equal_priorities_are_first_in_first_out)
{
	int i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, put(self->fd, i));
	EXPECT_TAKES(self->fd, 0, 1, 2, 3, 4);
}

TEST_F(queue, higher_priority_first_then_fifo)
{
	static const __u32 prio[] = { 0, 7, 0, MBOX_PRIO_MAX, 7, 1, MBOX_PRIO_MAX, 7 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prio); i++)
		ASSERT_EQ(0, put_as(self->fd, i, prio[i], 0));
	EXPECT_TAKES(self->fd, 3, 6, 1, 4, 7, 5, 0, 2);
}

TEST_F(queue, priorities_interleave_with_receives)
{
	ASSERT_EQ(0, put_as(self->fd, 1, 5, 0));
	ASSERT_EQ(0, put_as(self->fd, 2, 3, 0));
	EXPECT_EQ(1, take(self->fd));
	ASSERT_EQ(0, put_as(self->fd, 3, 3, 0));
	ASSERT_EQ(0, put_as(self->fd, 4, 4, 0));
	EXPECT_EQ(4, take(self->fd));
	ASSERT_EQ(0, put_as(self->fd, 5, 3, 0));
	EXPECT_TAKES(self->fd, 2, 3, 5);
}

/* Compares with an order computed here, over many priorities. */
TEST_F(queue, a_thousand_priorities)
{
	static __u32 prio[1000];
	unsigned int i, best, n = ARRAY_SIZE(prio);
	char taken[ARRAY_SIZE(prio)] = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, n));
	for (i = 0; i < n; i++) {
		prio[i] = i * 7919 % 613 * 53 % (MBOX_PRIO_MAX + 1);
		ASSERT_EQ(0, put_as(self->fd, i, prio[i], 0));
	}
	while (n--) {
		best = ~0U;
		for (i = 0; i < ARRAY_SIZE(prio); i++)
			if (!taken[i] && (best == ~0U || prio[i] > prio[best]))
				best = i;
		taken[best] = 1;
		ASSERT_EQ((long)best, take(self->fd));
	}
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(queue, priority_out_of_range_is_EINVAL)
{
	struct mbox_stat before = stat_of(self->fd);

	EXPECT_EQ(-EINVAL, put_as(self->fd, 1, MBOX_PRIO_MAX + 1, 0));
	EXPECT_EQ(-EINVAL, put_as(self->fd, 1, ~0U, 0));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(0, put_as(self->fd, 1, MBOX_PRIO_MAX, 0));
}

TEST_F(queue, library_carries_priority_and_type)
{
	struct mbox *mb = mbox_from_fd(dup(self->fd));
	struct mbox_msg msg = msg_of("abc", 3, 0);
	char text[8];

	ASSERT_TRUE(!!mb);
	msg.prio = 12;
	msg.type = 1ULL << 40;
	ASSERT_EQ(0, mbox_sendmsg(mb, &msg));
	memset(text, POISON, sizeof(text));
	msg = msg_of(text, sizeof(text), MBOX_MATCH);
	msg.type = 1ULL << 40;
	ASSERT_EQ(3, mbox_recvmsg(mb, &msg));
	EXPECT_EQ(0, memcmp(text, "abc", 3));
	EXPECT_EQ(3U, msg.len);
	EXPECT_EQ(12U, msg.prio);
	EXPECT_EQ(1ULL << 40, msg.type);
	EXPECT_EQ(0, mbox_close(mb));
}

/* Values 0 to 5, of types 3, 1, 2, 1, 0, 3; priorities in brackets below. */
static int put_types(int fd)
{
	return put_as(fd, 0, 0, 3) || put_as(fd, 1, 0, 1) || put_as(fd, 2, 0, 2) ||
	       put_as(fd, 3, 9, 1) || put_as(fd, 4, 0, ~0ULL) || put_as(fd, 5, 0, 3);
}

TEST_F(queue, match_takes_the_first_of_a_type)
{
	ASSERT_EQ(0, put_types(self->fd));
	EXPECT_EQ(3, take_as(self->fd, MBOX_MATCH, 1, 0));
	EXPECT_EQ(1, take_as(self->fd, MBOX_MATCH, 1, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_MATCH, 1, 0));
	EXPECT_EQ(0, take_as(self->fd, MBOX_MATCH, 3, 0));
	EXPECT_EQ(4, take_as(self->fd, MBOX_MATCH, ~0ULL, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_MATCH, 0, 0));
	EXPECT_TAKES(self->fd, 2, 5);
}

TEST_F(queue, match_not_takes_the_first_of_another_type)
{
	ASSERT_EQ(0, put_types(self->fd));
	EXPECT_EQ(3, take_as(self->fd, MBOX_MATCH_NOT, 3, 0));
	EXPECT_EQ(1, take_as(self->fd, MBOX_MATCH_NOT, 3, 0));
	EXPECT_EQ(2, take_as(self->fd, MBOX_MATCH | MBOX_MATCH_NOT, 3, 0));
	EXPECT_EQ(4, take_as(self->fd, MBOX_MATCH_NOT, 3, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_MATCH_NOT, 3, 0));
	EXPECT_TAKES(self->fd, 0, 5);
}

TEST_F(queue, match_le_takes_the_lowest_type_not_above)
{
	ASSERT_EQ(0, put_types(self->fd));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_MATCH_LE, 0, 0));
	/* Of equal types the one of the higher priority. */
	EXPECT_EQ(3, take_as(self->fd, MBOX_MATCH_LE, 3, 0));
	EXPECT_EQ(1, take_as(self->fd, MBOX_MATCH_LE, 3, 0));
	EXPECT_EQ(2, take_as(self->fd, MBOX_MATCH | MBOX_MATCH_LE, 3, 0));
	EXPECT_EQ(0, take_as(self->fd, MBOX_MATCH_LE, 3, 0));
	EXPECT_EQ(5, take_as(self->fd, MBOX_MATCH_LE, 3, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_MATCH_LE, 3, 0));
	EXPECT_EQ(4, take_as(self->fd, MBOX_MATCH_LE, ~0ULL, 0));
}

TEST_F(queue, type_is_ignored_without_match)
{
	ASSERT_EQ(0, put_as(self->fd, 5, 0, 77));
	EXPECT_EQ(5, take_as(self->fd, 0, 78, 0));
}

TEST_F(queue, peek_leaves_everything)
{
	struct mbox_stat before;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, put_as(self->fd, i, i, i));
	before = stat_of(self->fd);
	EXPECT_EQ(2, take_as(self->fd, MBOX_PEEK, 0, 0));
	EXPECT_EQ(2, take_as(self->fd, MBOX_PEEK, 0, 0));
	EXPECT_EQ(1, take_as(self->fd, MBOX_PEEK, 0, 1));
	EXPECT_EQ(0, take_as(self->fd, MBOX_PEEK, 0, 2));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_PEEK, 0, 3));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_PEEK, 0, ~0U));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_TAKES(self->fd, 2, 1, 0);
}

TEST_F(queue, peek_skips_matching_messages)
{
	ASSERT_EQ(0, put_types(self->fd));
	EXPECT_EQ(0, take_as(self->fd, MBOX_PEEK | MBOX_MATCH, 3, 0));
	EXPECT_EQ(5, take_as(self->fd, MBOX_PEEK | MBOX_MATCH, 3, 1));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_PEEK | MBOX_MATCH, 3, 2));
	EXPECT_EQ(2, take_as(self->fd, MBOX_PEEK | MBOX_MATCH_NOT, 3, 2));
	EXPECT_EQ(6U, stat_of(self->fd).queued);
}

TEST_F(queue, bounded_is_full_at_its_capacity)
{
	__u32 capacity, i;

	for (capacity = 1; capacity < 70; capacity += 17) {
		ASSERT_EQ(0, raw_set_capacity(self->fd, capacity));
		for (i = 0; i < capacity; i++)
			ASSERT_EQ(0, put(self->fd, i));
		EXPECT_EQ(-EAGAIN, put(self->fd, i));
		EXPECT_EQ(capacity, stat_of(self->fd).queued);
		for (i = 0; i < capacity; i++)
			ASSERT_EQ(i, take(self->fd));
		EXPECT_EQ(-EAGAIN, take(self->fd));
	}
}

TEST_F(queue, unbounded_is_never_full)
{
	__u32 i, n = 5000;

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, put(self->fd, i));
	EXPECT_EQ(n, stat_of(self->fd).queued);
	for (i = 0; i < n; i++)
		ASSERT_EQ(i, take(self->fd));
	EXPECT_EQ(0U, stat_of(self->fd).bytes);
}

TEST_F(queue, rendezvous_needs_a_waiting_receiver)
{
	struct call c = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(-EAGAIN, put(self->fd, 1));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(-EAGAIN, put(self->fd, 3));
	EXPECT_EQ(2, recv_join(&c));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(queue, shrinking_loses_nothing)
{
	__u32 i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, put(self->fd, i));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(8U, stat_of(self->fd).queued);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(-EAGAIN, put(self->fd, 9));
		EXPECT_EQ(i, take(self->fd));
	}
	EXPECT_EQ(-EAGAIN, put(self->fd, 9));
	EXPECT_EQ(6, take(self->fd));
	EXPECT_EQ(0, put(self->fd, 8));
	EXPECT_TAKES(self->fd, 7, 8);
}

TEST_F(queue, shrinking_to_rendezvous_loses_nothing)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(2U, stat_of(self->fd).queued);
	EXPECT_EQ(-EAGAIN, put(self->fd, 3));
	EXPECT_TAKES(self->fd, 1, 2);
	EXPECT_EQ(-EAGAIN, put(self->fd, 3));
}

TEST_F(queue, growing_makes_room)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EAGAIN, put(self->fd, 2));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(-EAGAIN, put(self->fd, 3));
	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	EXPECT_EQ(0, put(self->fd, 3));
	EXPECT_TAKES(self->fd, 1, 2, 3);
}

FIXTURE(policy)
{
	int oldest;
	int newest;
};

FIXTURE_SETUP(policy)
{
	self->oldest = new_mailbox(MBOX_DROP_OLDEST, 3);
	self->newest = new_mailbox(MBOX_DROP_NEWEST, 3);
	ASSERT_LE(0, self->oldest);
	ASSERT_LE(0, self->newest);
}

FIXTURE_TEARDOWN(policy)
{
	close(self->oldest);
	close(self->newest);
}

TEST_F(policy, drop_oldest_keeps_the_newest)
{
	int i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, put(self->oldest, i));
	EXPECT_EQ(7U, stat_of(self->oldest).dropped);
	EXPECT_EQ(10U, stat_of(self->oldest).sent);
	EXPECT_EQ(12U, stat_of(self->oldest).bytes);
	EXPECT_TAKES(self->oldest, 7, 8, 9);
}

TEST_F(policy, drop_oldest_goes_by_arrival_not_priority)
{
	ASSERT_EQ(0, put_as(self->oldest, 1, 9, 0));
	ASSERT_EQ(0, put_as(self->oldest, 2, 0, 0));
	ASSERT_EQ(0, put_as(self->oldest, 3, 5, 0));
	ASSERT_EQ(0, put_as(self->oldest, 4, 0, 0));
	ASSERT_EQ(0, put_as(self->oldest, 5, 1, 0));
	EXPECT_TAKES(self->oldest, 3, 5, 4);
}

TEST_F(policy, drop_oldest_drops_down_to_a_shrunk_capacity)
{
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->oldest, 6));
	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, put(self->oldest, i));
	ASSERT_EQ(0, raw_set_capacity(self->oldest, 2));
	EXPECT_EQ(6U, stat_of(self->oldest).queued);
	ASSERT_EQ(0, put(self->oldest, 6));
	EXPECT_EQ(5U, stat_of(self->oldest).dropped);
	EXPECT_TAKES(self->oldest, 5, 6);
}

TEST_F(policy, drop_newest_keeps_the_oldest)
{
	int i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, put_as(self->newest, i, i, 0));
	EXPECT_EQ(7U, stat_of(self->newest).dropped);
	EXPECT_EQ(3U, stat_of(self->newest).queued);
	EXPECT_TAKES(self->newest, 2, 1, 0);
	ASSERT_EQ(0, put(self->newest, 11));
	EXPECT_TAKES(self->newest, 11);
}

TEST_F(policy, blocking_send_does_not_wait)
{
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, raw_send(self->oldest, &i, sizeof(i), 0));
		ASSERT_EQ(0, raw_send(self->newest, &i, sizeof(i), 0));
	}
	EXPECT_TAKES(self->oldest, 2, 3, 4);
	EXPECT_TAKES(self->newest, 0, 1, 2);
}

TEST_F(policy, rendezvous_drops_without_a_receiver)
{
	int fds[] = { self->oldest, self->newest };
	struct call c = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		ASSERT_EQ(0, raw_set_capacity(fds[i], 0));
		EXPECT_EQ(0, put(fds[i], 1));
		EXPECT_EQ(0, raw_send(fds[i], "", 0, 0));
		EXPECT_EQ(2U, stat_of(fds[i]).dropped);
		EXPECT_EQ(0U, stat_of(fds[i]).queued);
		EXPECT_EQ(-EAGAIN, take(fds[i]));
		ASSERT_EQ(0, recv_start(&c, fds[i]));
		ASSERT_EQ(0, await_waiting(fds[i], 0, 1));
		EXPECT_EQ(0, put(fds[i], 2));
		EXPECT_EQ(2, recv_join(&c));
		EXPECT_EQ(2U, stat_of(fds[i]).dropped);
	}
}

TEST_F(policy, dropped_synchronous_send_is_EPIPE)
{
	struct call c = { .msg.flags = MBOX_SYNC };
	int i;

	ASSERT_EQ(0, send_start(&c, self->oldest, 1));
	ASSERT_EQ(0, await_waiting(self->oldest, 1, 0));
	for (i = 2; i < 5; i++)
		ASSERT_EQ(0, put(self->oldest, i));
	EXPECT_EQ(-EPIPE, call_join(&c));
	EXPECT_EQ(0U, stat_of(self->oldest).waiting_senders);
	EXPECT_TAKES(self->oldest, 2, 3, 4);

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, put(self->newest, i));
	EXPECT_EQ(-EPIPE, raw_send(self->newest, &i, sizeof(i), MBOX_SYNC));
	EXPECT_TAKES(self->newest, 0, 1, 2);
}

TEST_HARNESS_MAIN
