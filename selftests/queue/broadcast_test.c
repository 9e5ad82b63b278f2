// SPDX-License-Identifier: GPL-2.0-only
/* MBOX_BROADCAST: every receiving handle gets every message. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "random.h"
#include "slow.h"

#define N 3

FIXTURE(broadcast)
{
	/* One that sends and does not receive, and some that receive. */
	int fd;
	int reader[N];
	struct slow slow;
};

FIXTURE_SETUP(broadcast)
{
	struct mbox_attr attr = attr_of(MBOX_BROADCAST, 4);
	int i;

	self->fd = raw_create(NULL, O_WRONLY | O_CLOEXEC, &attr);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < N; i++) {
		self->reader[i] = open_again(self->fd, O_RDONLY);
		ASSERT_LE(0, self->reader[i]);
	}
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
}

FIXTURE_TEARDOWN(broadcast)
{
	int i;

	for (i = 0; i < N; i++)
		close(self->reader[i]);
	close(self->fd);
}

/* The same, with other flags and another capacity. */
static void renew(FIXTURE_DATA(broadcast) *self, __u32 flags, __u32 capacity)
{
	struct mbox_attr attr = attr_of(MBOX_BROADCAST | flags, capacity);
	int i;

	close(self->fd);
	self->fd = raw_create(NULL, O_WRONLY | O_CLOEXEC, &attr);
	for (i = 0; i < N; i++) {
		close(self->reader[i]);
		self->reader[i] = open_again(self->fd, O_RDONLY);
	}
}

/* What a receive says of lost messages, and the number; POISON32: nothing. */
struct got {
	struct mbox_msg msg;
	__u32 value;
};

static long receive(int fd, __u32 flags, struct got *got)
{
	got->value = POISON32;
	got->msg = msg_of(&got->value, sizeof(got->value), flags | MBOX_DONTWAIT);
	got->msg.lost = POISON32;
	return raw(fd, MBOX_IOC_RECV, &got->msg);
}

TEST_F(broadcast, each_handle_receives_a_copy)
{
	int i;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	for (i = 0; i < N; i++) {
		EXPECT_EQ(1, take(self->reader[i]));
		EXPECT_EQ(2, take(self->reader[i]));
		EXPECT_EQ(-EAGAIN, take(self->reader[i]));
	}
}

TEST_F(broadcast, payload_is_stored_once)
{
	static char big[8192];
	struct mbox_stat st;
	int i;

	ASSERT_EQ(0, raw_send(self->fd, big, sizeof(big), 0));
	st = stat_of(self->fd);
	EXPECT_EQ(1U, st.queued);
	EXPECT_EQ(8192U, st.bytes);
	EXPECT_EQ(1U, st.sent);
	for (i = 0; i < N; i++)
		EXPECT_EQ(8192, raw_recv(self->reader[i], big, sizeof(big), MBOX_DONTWAIT));
	st = stat_of(self->fd);
	EXPECT_EQ(0U, st.queued);
	EXPECT_EQ(0U, st.bytes);
	EXPECT_EQ((__u64)N, st.received);
}

TEST_F(broadcast, message_stays_until_the_last_handle_received_it)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(1, take(self->reader[0]));
	EXPECT_EQ(2, take(self->reader[0]));
	EXPECT_EQ(1, take(self->reader[1]));
	EXPECT_EQ(2U, stat_of(self->fd).queued);
	EXPECT_EQ(1, take(self->reader[2]));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(2, take(self->reader[2]));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(2, take(self->reader[1]));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(broadcast, new_handle_receives_only_later_messages)
{
	int late;

	ASSERT_EQ(0, put(self->fd, 1));
	late = open_again(self->fd, O_RDONLY);
	ASSERT_LE(0, late);
	EXPECT_EQ(-EAGAIN, take(late));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(2, take(late));
	EXPECT_EQ(-EAGAIN, take(late));
	EXPECT_EQ(1, take(self->reader[0]));
	close(late);
}

TEST_F(broadcast, priorities_do_not_change_the_order)
{
	struct got got;

	ASSERT_EQ(0, put_as(self->fd, 1, 0, 5));
	ASSERT_EQ(0, put_as(self->fd, 2, 7, 6));
	ASSERT_EQ(4, receive(self->reader[0], 0, &got));
	EXPECT_EQ(1U, got.value);
	EXPECT_EQ(5U, got.msg.type);
	EXPECT_EQ((__u32)getpid(), got.msg.pid);
	ASSERT_EQ(4, receive(self->reader[0], 0, &got));
	EXPECT_EQ(2U, got.value);
	EXPECT_EQ(7U, got.msg.prio);
}

TEST_F(broadcast, descriptors_of_one_handle_share_its_place)
{
	int copy = dup(self->reader[0]);

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(1, take(copy));
	EXPECT_EQ(2, take(self->reader[0]));
	EXPECT_EQ(-EAGAIN, take(copy));
	close(copy);
}

TEST_F(broadcast, read_write_handle_receives_its_own_messages)
{
	int both = open_again(self->fd, O_RDWR);

	ASSERT_LE(0, both);
	ASSERT_EQ(0, put(both, 1));
	EXPECT_EQ(1, take(both));
	EXPECT_EQ(1, take(self->reader[1]));
	close(both);
}

/* ---- without receivers ---------------------------------------------------- */

TEST_F(broadcast, send_without_receivers_succeeds_and_drops)
{
	int i;

	for (i = 0; i < N; i++)
		close(self->reader[i]);
	for (i = 0; i < 10; i++)
		EXPECT_EQ(0, put(self->fd, i));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(10U, stat_of(self->fd).sent);
	self->reader[0] = open_again(self->fd, O_RDONLY);
	EXPECT_EQ(-EAGAIN, take(self->reader[0]));
	EXPECT_EQ(0, put(self->fd, 11));
	EXPECT_EQ(11, take(self->reader[0]));
}

TEST_F(broadcast, hangup_wakes_both_sides)
{
	struct call c = { 0 };
	int i;

	renew(self, MBOX_HANGUP, 4);
	for (i = 1; i < N; i++)
		close(self->reader[i]);
	ASSERT_EQ(0, put(self->fd, 1));
	close(self->reader[0]);
	EXPECT_EQ(-EPIPE, put(self->fd, 1));
	self->reader[0] = open_again(self->fd, O_RDONLY);
	self->reader[1] = open_again(self->fd, O_RDONLY);
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(2, take(self->reader[1]));
	ASSERT_EQ(0, recv_start(&c, self->reader[1]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	close(self->fd);
	EXPECT_EQ(-EPIPE, call_join(&c));
	/* What was sent is still to be had. */
	EXPECT_EQ(2, take(self->reader[0]));
	EXPECT_EQ(-EPIPE, take(self->reader[0]));
}

/* ---- the slow receiver ---------------------------------------------------- */

static void fill(FIXTURE_DATA(broadcast) *self, int n)
{
	int i;

	for (i = 0; i < n; i++)
		put(self->fd, i);
}

TEST_F(broadcast, senders_wait_for_the_slowest_receiver)
{
	struct call c = { 0 };
	int i;

	fill(self, 4);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(i, take(self->reader[0]));
		EXPECT_EQ(i, take(self->reader[1]));
	}
	EXPECT_EQ(-EAGAIN, put(self->fd, 4));
	ASSERT_EQ(0, send_start(&c, self->fd, 4));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(-EAGAIN, take(self->reader[0]));
	EXPECT_EQ(0, take(self->reader[2]));
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(4, take(self->reader[0]));
	EXPECT_EQ(1, take(self->reader[2]));
	EXPECT_EQ(0U, stat_of(self->fd).dropped);
}

TEST_F(broadcast, senders_continue_when_the_slowest_receiver_closes)
{
	struct call c = { 0 };
	int i;

	fill(self, 4);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i, take(self->reader[0]));
	EXPECT_EQ(0, take(self->reader[1]));
	ASSERT_EQ(0, send_start(&c, self->fd, 4));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	close(self->reader[2]);
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(4, take(self->reader[0]));
	for (i = 1; i < 5; i++)
		EXPECT_EQ(i, take(self->reader[1]));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(broadcast, senders_continue_when_all_receivers_close)
{
	struct call c = { 0 };
	int i;

	fill(self, 4);
	ASSERT_EQ(0, send_start(&c, self->fd, 4));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	for (i = 0; i < N; i++)
		close(self->reader[i]);
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(5U, stat_of(self->fd).sent);
}

/* A receiver that has nothing left is not told of a message that waits. */
TEST_F(broadcast, blocked_send_is_not_received)
{
	struct call sender = { 0 }, receiver = { 0 };
	char small;
	int i;

	fill(self, 4);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i, take(self->reader[0]));
	/* No room for it, but it was not sent yet. */
	receiver.msg = msg_of(&small, sizeof(small), 0);
	receiver.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	ASSERT_EQ(0, recv_start(&receiver, self->reader[0]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, send_start(&sender, self->fd, 4));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 1));
	EXPECT_EQ(0, take(self->reader[1]));
	EXPECT_EQ(0, take(self->reader[2]));
	EXPECT_EQ(0, call_join(&sender));
	EXPECT_EQ(-EMSGSIZE, call_join(&receiver));
	EXPECT_EQ(4, take(self->reader[0]));
}

TEST_F(broadcast, growing_the_capacity_admits_senders)
{
	struct call c = { 0 };

	fill(self, 4);
	ASSERT_EQ(0, send_start(&c, self->fd, 4));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(0, raw_set_capacity(self->fd, 5));
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(5U, stat_of(self->fd).queued);
	EXPECT_EQ(-EINVAL, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(5U, stat_of(self->fd).attr.capacity);
}

TEST_F(broadcast, unbounded_mailbox_keeps_all)
{
	int i;

	renew(self, 0, MBOX_UNBOUNDED);
	fill(self, 1000);
	EXPECT_EQ(1000U, stat_of(self->fd).queued);
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(i, take(self->reader[1]));
	close(self->reader[0]);
	close(self->reader[2]);
	self->reader[0] = -1;
	self->reader[2] = -1;
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(0U, stat_of(self->fd).bytes);
}

TEST_F(broadcast, slow_receiver_loses_the_oldest)
{
	struct got got;
	int i;

	renew(self, MBOX_DROP_OLDEST, 4);
	fill(self, 2);
	EXPECT_EQ(0, take(self->reader[0]));
	EXPECT_EQ(1, take(self->reader[0]));
	EXPECT_EQ(0, take(self->reader[1]));
	for (i = 2; i < 7; i++)
		ASSERT_EQ(0, put(self->fd, i));
	/* 3 to 6 are left. */
	EXPECT_EQ(4U, stat_of(self->fd).queued);
	EXPECT_EQ(3U, stat_of(self->fd).dropped);
	ASSERT_EQ(4, receive(self->reader[0], 0, &got));
	EXPECT_EQ(3U, got.value);
	EXPECT_EQ(1U, got.msg.lost);
	EXPECT_EQ(MBOX_DONTWAIT | MBOX_LOST, got.msg.flags);
	ASSERT_EQ(4, receive(self->reader[1], 0, &got));
	EXPECT_EQ(3U, got.value);
	EXPECT_EQ(2U, got.msg.lost);
	ASSERT_EQ(4, receive(self->reader[2], 0, &got));
	EXPECT_EQ(3U, got.value);
	EXPECT_EQ(3U, got.msg.lost);
	/* It was told, and lost no more. */
	ASSERT_EQ(4, receive(self->reader[2], 0, &got));
	EXPECT_EQ(4U, got.value);
	EXPECT_EQ(0U, got.msg.lost);
	EXPECT_EQ(MBOX_DONTWAIT, got.msg.flags);
}

TEST_F(broadcast, fast_receiver_loses_nothing)
{
	struct got got;
	int i;

	renew(self, MBOX_DROP_OLDEST, 2);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(4, receive(self->reader[0], 0, &got));
		EXPECT_EQ((__u32)i, got.value);
		EXPECT_EQ(0U, got.msg.lost);
	}
	ASSERT_EQ(4, receive(self->reader[1], 0, &got));
	EXPECT_EQ(18U, got.value);
	EXPECT_EQ(18U, got.msg.lost);
}

TEST_F(broadcast, handle_can_lose_every_message)
{
	struct got got;

	renew(self, MBOX_DROP_OLDEST, 1);
	fill(self, 10);
	ASSERT_EQ(4, receive(self->reader[0], 0, &got));
	EXPECT_EQ(9U, got.value);
	EXPECT_EQ(9U, got.msg.lost);
	EXPECT_EQ(-EAGAIN, take(self->reader[0]));
	/* The others are not where the first message is either. */
	EXPECT_EQ(9, take(self->reader[1]));
	EXPECT_EQ(9, take(self->reader[2]));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(broadcast, peek_keeps_the_lost_count)
{
	struct got got;

	renew(self, MBOX_DROP_OLDEST, 2);
	fill(self, 3);
	ASSERT_EQ(4, receive(self->reader[0], MBOX_PEEK, &got));
	EXPECT_EQ(1U, got.value);
	EXPECT_EQ(1U, got.msg.lost);
	EXPECT_EQ(MBOX_DONTWAIT | MBOX_PEEK | MBOX_LOST, got.msg.flags);
	ASSERT_EQ(4, receive(self->reader[0], 0, &got));
	EXPECT_EQ(1U, got.msg.lost);
}

TEST_F(broadcast, failed_receive_keeps_the_lost_count)
{
	struct got got;
	char byte;

	renew(self, MBOX_DROP_OLDEST, 2);
	fill(self, 3);
	EXPECT_EQ(-EMSGSIZE, raw_recv(self->reader[0], &byte, 1, MBOX_DONTWAIT));
	EXPECT_EQ(-EFAULT, raw_recv(self->reader[0], (void *)8, 8, MBOX_DONTWAIT));
	fill(self, 1);
	ASSERT_EQ(4, receive(self->reader[0], 0, &got));
	EXPECT_EQ(2U, got.value);
	EXPECT_EQ(2U, got.msg.lost);
}

TEST_F(broadcast, read_continues_after_lost_messages)
{
	__u32 value = POISON32;

	renew(self, MBOX_DROP_OLDEST, 2);
	fill(self, 5);
	EXPECT_EQ(4, neg(read(self->reader[0], &value, sizeof(value))));
	EXPECT_EQ(3U, value);
}

/* A program that was compiled before there was a count. */
TEST_F(broadcast, short_structure_gets_MBOX_LOST)
{
	const size_t size = offsetof(struct mbox_msg, lost);
	struct got got = { .msg.lost = POISON32 };

	renew(self, MBOX_DROP_OLDEST, 2);
	fill(self, 5);
	got.msg.buf = (uintptr_t)&got.value;
	got.msg.len = sizeof(got.value);
	ASSERT_EQ(4, raw(self->reader[0], sized(MBOX_IOC_RECV, size), &got.msg));
	EXPECT_EQ(3U, got.value);
	EXPECT_EQ(MBOX_LOST, got.msg.flags);
	EXPECT_EQ(POISON32, got.msg.lost);
}

TEST_F(broadcast, drop_newest_drops_for_all_handles)
{
	struct got got;
	int i;

	renew(self, MBOX_DROP_NEWEST, 2);
	fill(self, 5);
	EXPECT_EQ(3U, stat_of(self->fd).dropped);
	for (i = 0; i < N; i++) {
		EXPECT_EQ(0, take(self->reader[i]));
		EXPECT_EQ(1, take(self->reader[i]));
		EXPECT_EQ(-EAGAIN, receive(self->reader[i], 0, &got));
	}
}

/* ---- waiting -------------------------------------------------------------- */

TEST_F(broadcast, message_wakes_all_waiting_receivers)
{
	struct call c[N] = { 0 };
	int i;

	for (i = 0; i < N; i++)
		ASSERT_EQ(0, recv_start(&c[i], self->reader[i]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, N));
	ASSERT_EQ(0, put(self->fd, 5));
	for (i = 0; i < N; i++)
		EXPECT_EQ(5, recv_join(&c[i]));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(broadcast, threads_with_one_handle_share_its_messages)
{
	struct call c[4] = { 0 };
	__u32 seen = 0;
	long value;
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, recv_start(&c[i], self->reader[0]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 4));
	fill(self, 4);
	for (i = 0; i < 4; i++) {
		value = recv_join(&c[i]);
		ASSERT_LE(0, value);
		ASSERT_GT(4, value);
		seen |= 1U << value;
	}
	EXPECT_EQ(0xfU, seen);
	EXPECT_EQ(-EAGAIN, take(self->reader[0]));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i, take(self->reader[1]));
}

TEST_F(broadcast, deadline_ends_the_wait)
{
	struct got got;

	got.msg = msg_of(&got.value, sizeof(got.value), 0);
	got.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 20);
	EXPECT_EQ(-ETIMEDOUT, raw(self->reader[0], MBOX_IOC_RECV, &got.msg));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_receivers);
	ASSERT_EQ(0, put(self->fd, 1));
	/* It has passed, and something is ready. */
	EXPECT_EQ(4, raw(self->reader[0], MBOX_IOC_RECV, &got.msg));
}

TEST_F(broadcast, signal_during_the_wait_is_EINTR)
{
	struct call c = { 0 };

	ASSERT_EQ(0, recv_start(&c, self->reader[0]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, pthread_kill(c.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&c));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_receivers);
}

TEST_F(broadcast, destroy_ends_every_call)
{
	struct call receiver = { 0 }, sender = { 0 };
	int both = open_again(self->fd, O_RDWR);

	fill(self, 4);
	ASSERT_EQ(0, recv_start(&receiver, self->reader[0]));
	EXPECT_EQ(0, recv_join(&receiver));
	ASSERT_EQ(0, take(self->reader[1]) < 0);
	while (take(self->reader[0]) >= 0)
		;
	ASSERT_EQ(0, recv_start(&receiver, self->reader[0]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, send_start(&sender, self->fd, 9));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 1));
	ASSERT_EQ(0, raw_destroy(both));
	EXPECT_EQ(-EIDRM, call_join(&receiver));
	EXPECT_EQ(-EIDRM, call_join(&sender));
	EXPECT_EQ(-EIDRM, take(self->reader[1]));
	EXPECT_EQ(-EIDRM, put(self->fd, 1));
	close(both);
}

TEST_F(broadcast, poll_reports_messages_of_the_handle)
{
	struct pollfd fds[2] = {
		{ .fd = self->reader[0], .events = POLLIN },
		{ .fd = self->fd, .events = POLLOUT },
	};

	EXPECT_EQ(1, poll(fds, 2, 0));
	EXPECT_EQ(POLLOUT, fds[1].revents);
	fill(self, 4);
	EXPECT_EQ(1, poll(fds, 2, 0));
	EXPECT_EQ(POLLIN, fds[0].revents);
	while (take(self->reader[0]) >= 0)
		;
	/* There are messages, but not for this handle, and not for one more. */
	EXPECT_EQ(0, poll(fds, 2, 0));
	EXPECT_EQ(0, take(self->reader[1]));
	EXPECT_EQ(0, poll(fds, 2, 0));
	EXPECT_EQ(0, take(self->reader[2]));
	EXPECT_EQ(1, poll(fds, 2, 0));
	EXPECT_EQ(POLLOUT, fds[1].revents);
}

/* Of threads that wait for the same message one is woken; these wait for their own. */
TEST_F(broadcast, exclusive_pollers_are_all_woken)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int epoll[N];
	int i;

	for (i = 0; i < N; i++) {
		epoll[i] = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_LE(0, epoll[i]);
		ASSERT_EQ(0, epoll_ctl(epoll[i], EPOLL_CTL_ADD, self->reader[i], &event));
	}
	ASSERT_EQ(0, put(self->fd, 1));
	for (i = 0; i < N; i++) {
		EXPECT_EQ(1, epoll_wait(epoll[i], &event, 1, 0));
		close(epoll[i]);
	}
}

/* ---- receiving in other ways ---------------------------------------------- */

TEST_F(broadcast, failed_receive_changes_nothing)
{
	struct mbox_stat before;
	char byte = 'x';

	ASSERT_EQ(0, put(self->fd, 3));
	before = stat_of(self->fd);
	EXPECT_EQ(-EMSGSIZE, raw_recv(self->reader[0], &byte, 1, 0));
	EXPECT_EQ(-EFAULT, raw_recv(self->reader[0], (void *)8, 8, 0));
	EXPECT_EQ('x', byte);
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(3, take(self->reader[0]));
}

TEST_F(broadcast, truncated_receive_returns_a_part)
{
	__u8 byte = POISON;

	/* Whichever byte is the first. */
	ASSERT_EQ(0, put(self->fd, 0x03030303));
	EXPECT_EQ(4, raw_recv(self->reader[0], &byte, 1, MBOX_TRUNC));
	EXPECT_EQ(3, byte);
	EXPECT_EQ(-EAGAIN, take(self->reader[0]));
}

TEST_F(broadcast, peek_leaves_the_message)
{
	fill(self, 3);
	EXPECT_EQ(0, take_as(self->reader[0], MBOX_PEEK, 0, 0));
	EXPECT_EQ(2, take_as(self->reader[0], MBOX_PEEK, 0, 2));
	EXPECT_EQ(-EAGAIN, take_as(self->reader[0], MBOX_PEEK, 0, 3));
	EXPECT_EQ(-EAGAIN, take_as(self->reader[0], MBOX_PEEK, 0, UINT32_MAX));
	EXPECT_EQ(0, take(self->reader[0]));
	EXPECT_EQ(1, take_as(self->reader[0], MBOX_PEEK, 0, 0));
	EXPECT_EQ(0, take(self->reader[1]));
}

TEST_F(broadcast, peek_waits_for_a_message)
{
	struct call c = { 0 };

	c.msg = msg_of(&c.value, sizeof(c.value), MBOX_PEEK);
	c.msg.skip = 1;
	ASSERT_EQ(0, recv_start(&c, self->reader[0]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(2, recv_join(&c));
	EXPECT_EQ(1, take(self->reader[0]));
}

TEST_F(broadcast, batches_carry_the_lost_counts)
{
	__u32 values[6] = { 0 };
	struct mbox_msg msgs[6];
	int i;

	for (i = 0; i < 6; i++)
		msgs[i] = msg_of(&values[i], sizeof(values[i]), MBOX_DONTWAIT);
	fill(self, 4);
	EXPECT_EQ(4, raw_vec(self->reader[1], MBOX_IOC_RECVV, msgs, 6, 0));
	for (i = 0; i < 4; i++)
		EXPECT_EQ((__u32)i, values[i]);
	EXPECT_EQ(0, take(self->reader[0]));
}

TEST_F(broadcast, each_handle_receives_its_own_descriptors)
{
	int out[2], in[N], i;
	char byte = 0;
	struct mbox_msg msg = msg_of(&byte, 1, MBOX_DONTWAIT);
	struct pollfd pfd;

	ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
	msg.fds = (uintptr_t)&out[1];
	msg.nfds = 1;
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	close(out[1]);
	for (i = 0; i < N; i++) {
		in[i] = -1;
		msg.fds = (uintptr_t)&in[i];
		msg.nfds = 1;
		ASSERT_EQ(1, raw(self->reader[i], MBOX_IOC_RECV, &msg));
		EXPECT_EQ(1U, msg.nfds);
		EXPECT_EQ(MBOX_DONTWAIT, msg.flags);
		EXPECT_EQ(1, neg(write(in[i], &byte, 1)));
		EXPECT_EQ(1, neg(read(out[0], &byte, 1)));
	}
	/* The message is gone, and so is its hold on the pipe. */
	for (i = 0; i < N; i++)
		close(in[i]);
	pfd.fd = out[0];
	pfd.events = 0;
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLHUP, pfd.revents);
	close(out[0]);
}

/* ---- what there is not ---------------------------------------------------- */

TEST_F(broadcast, contradicting_attributes_are_EINVAL)
{
	EXPECT_EQ(-EINVAL, new_mailbox(MBOX_BROADCAST, 0));
	EXPECT_EQ(-EINVAL, new_mailbox(MBOX_BROADCAST | MBOX_FAIR, 4));
	EXPECT_EQ(-EINVAL, new_mailbox(MBOX_BROADCAST | MBOX_INHERIT, 4));
	EXPECT_EQ(-EINVAL, new_mailbox(MBOX_BROADCAST | MBOX_DROP_OLDEST | MBOX_DROP_NEWEST, 4));
}

TEST_F(broadcast, ring_with_the_flag_is_EINVAL)
{
	struct mbox_attr attr = attr_of(MBOX_BROADCAST, 4);

	attr.mode = MBOX_RING;
	EXPECT_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
}

TEST_F(broadcast, SYNC_calls_and_selection_are_EOPNOTSUPP)
{
	struct mbox_request request = { 0 };
	struct mbox_stat before;

	ASSERT_EQ(0, put(self->fd, 1));
	before = stat_of(self->fd);
	EXPECT_EQ(-EOPNOTSUPP, raw_send(self->fd, "", 1, MBOX_SYNC));
	EXPECT_EQ(-EOPNOTSUPP, raw_send(self->fd, "", 1, MBOX_SYNC | MBOX_DONTWAIT));
	EXPECT_EQ(-EOPNOTSUPP, raw(self->fd, MBOX_IOC_CALL, &request));
	EXPECT_EQ(-EOPNOTSUPP, take_as(self->reader[0], MBOX_MATCH, 0, 0));
	EXPECT_EQ(-EOPNOTSUPP, take_as(self->reader[0], MBOX_MATCH_NOT, 1, 0));
	EXPECT_EQ(-EOPNOTSUPP, take_as(self->reader[0], MBOX_MATCH_LE, 1, 0));
	EXPECT_TRUE(same_stat(self->fd, &before));
}

TEST_F(broadcast, MBOX_LOST_as_input_is_EINVAL)
{
	EXPECT_EQ(-EINVAL, raw_send(self->fd, "", 1, MBOX_LOST));
	EXPECT_EQ(-EINVAL, raw_recv(self->reader[0], NULL, 0, MBOX_LOST));
}

TEST_F(broadcast, fdinfo_reports_the_position_of_a_handle)
{
	char path[64], text[1024];

	renew(self, MBOX_DROP_OLDEST, 2);
	fill(self, 3);
	EXPECT_EQ(1, take(self->reader[0]));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->reader[0]);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_TRUE(!!strstr(text, "\nmbox-unread:\t1\n"));
	EXPECT_TRUE(!!strstr(text, "\nmbox-lost:\t0\n"));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->reader[1]);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_TRUE(!!strstr(text, "\nmbox-unread:\t2\n"));
	EXPECT_TRUE(!!strstr(text, "\nmbox-lost:\t1\n"));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_FALSE(!!strstr(text, "mbox-unread"));
}

/* ---- races ---------------------------------------------------------------- */

/* It is dropped while it is being copied: the copy is good all the same. */
TEST_F(broadcast, message_can_be_dropped_during_a_copy)
{
	struct call c = { 0 };

	ASSERT_EQ(0, slow_init(&self->slow));
	renew(self, MBOX_DROP_OLDEST, 1);
	ASSERT_EQ(0, put(self->fd, 1));
	c.msg = msg_of(self->slow.page, 64, 0);
	ASSERT_EQ(0, recv_start(&c, self->reader[0]));
	ASSERT_EQ(0, slow_await(&self->slow));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, put(self->fd, 3));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&c));
	EXPECT_EQ(1U, *(__u32 *)self->slow.page);
	EXPECT_EQ(0U, c.msg.lost);
	c.msg = msg_of(&c.value, sizeof(c.value), MBOX_DONTWAIT);
	EXPECT_EQ(4, raw(self->reader[0], MBOX_IOC_RECV, &c.msg));
	EXPECT_EQ(3U, c.value);
	EXPECT_EQ(1U, c.msg.lost);
}

/* Another thread takes it meanwhile: then this one has the next. */
TEST_F(broadcast, message_can_be_received_during_a_copy)
{
	struct call c = { 0 };

	ASSERT_EQ(0, slow_init(&self->slow));
	ASSERT_EQ(0, put(self->fd, 1));
	c.msg = msg_of(self->slow.page, 64, 0);
	ASSERT_EQ(0, recv_start(&c, self->reader[0]));
	ASSERT_EQ(0, slow_await(&self->slow));
	EXPECT_EQ(1, take(self->reader[0]));
	EXPECT_EQ(1, take(self->reader[1]));
	EXPECT_EQ(1, take(self->reader[2]));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&c));
	EXPECT_EQ(2U, *(__u32 *)self->slow.page);
}

#define SENDERS 3
#define EACH 400

struct crowd {
	int fd;
	int index;
	bool lossy;
	struct random random;
};

static int crowd_send(void *arg)
{
	struct crowd *crowd = arg;
	__u32 value;
	int i;

	for (i = 0; i < EACH; i++) {
		value = crowd->index << 16 | i;
		CHECK_EQ(0, raw_send(crowd->fd, &value, sizeof(value), 0));
	}
	return 0;
}

/*
 * Each sender's messages come in their order, and those that did not come are
 * counted. The end is the handle's of the last sender (MBOX_HANGUP).
 */
static int crowd_receive(void *arg)
{
	struct crowd *crowd = arg;
	__u32 next[SENDERS] = { 0 }, total = 0, from;
	struct got got;
	long ret;

	for (;;) {
		got.msg = msg_of(&got.value, sizeof(got.value), 0);
		ret = raw(crowd->fd, MBOX_IOC_RECV, &got.msg);
		if (ret == -EPIPE)
			break;
		CHECK_EQ(4, ret);
		from = got.value >> 16;
		CHECK(from < SENDERS);
		CHECK((got.value & 0xffff) >= next[from]);
		CHECK(crowd->lossy || (got.value & 0xffff) == next[from]);
		next[from] = (got.value & 0xffff) + 1;
		total += got.msg.lost + 1;
		if (crowd->lossy && one_in(&crowd->random, 50))
			pause_briefly();
	}
	CHECK_EQ(SENDERS * EACH, total);
	return 0;
}

/* Receivers that open, receive a few messages, and close. */
static int crowd_disturb(void *arg)
{
	struct crowd *crowd = arg;
	__u64 id = stat_of(crowd->fd).id;
	int fd, i;

	for (i = 0; i < 100; i++) {
		fd = raw_open_id(id, O_RDONLY);
		CHECK(fd >= 0);
		take(fd);
		take(fd);
		close(fd);
	}
	return 0;
}

static void crowd_run(struct __test_metadata *_metadata, FIXTURE_DATA(broadcast) *self,
		      __u32 flags)
{
	pid_t receiver[N], sender[SENDERS], other;
	struct crowd crowd = { .lossy = flags };
	int i;

	renew(self, MBOX_HANGUP | flags, 8);
	for (i = 0; i < SENDERS; i++) {
		crowd.fd = self->fd;
		crowd.index = i;
		sender[i] = spawn(crowd_send, &crowd);
	}
	other = spawn(crowd_disturb, &crowd);
	close(self->fd);
	self->fd = -1;
	for (i = 0; i < N; i++) {
		crowd.fd = self->reader[i];
		crowd.random.state = i + 1;
		receiver[i] = spawn(crowd_receive, &crowd);
	}
	for (i = 0; i < N; i++) {
		close(self->reader[i]);
		self->reader[i] = -1;
	}
	for (i = 0; i < SENDERS; i++)
		EXPECT_EQ(0, reap(sender[i]));
	EXPECT_EQ(0, reap(other));
	for (i = 0; i < N; i++)
		EXPECT_EQ(0, reap(receiver[i]));
}

TEST_F_TIMEOUT(broadcast, many_receivers_get_everything_in_order, 60)
{
	crowd_run(_metadata, self, 0);
}

TEST_F_TIMEOUT(broadcast, many_receivers_count_their_lost_messages, 60)
{
	crowd_run(_metadata, self, MBOX_DROP_OLDEST);
}

/* ---- against a model -------------------------------------------------------- */

#define MODEL_STEPS 5000
#define MODEL_READERS 6

/* Numbers are sent in turn: what was sent, and what is left, is [first, next). */
struct model {
	__u32 capacity;
	bool drops;
	__u32 first;
	__u32 next;
	__u64 dropped;
	int fd[MODEL_READERS];
	__u32 at[MODEL_READERS];
	__u32 lost[MODEL_READERS];
};

/* What every handle has received is gone. */
static void model_trim(struct model *m)
{
	__u32 slowest = m->next;
	int i;

	for (i = 0; i < MODEL_READERS; i++)
		if (m->fd[i] >= 0 && m->at[i] < slowest)
			slowest = m->at[i];
	m->first = slowest;
}

static bool model_has_readers(const struct model *m)
{
	int i;

	for (i = 0; i < MODEL_READERS; i++)
		if (m->fd[i] >= 0)
			return true;
	return false;
}

static long model_send(struct model *m)
{
	int i;

	/* Then it goes nowhere. The number is used all the same. */
	if (!model_has_readers(m)) {
		m->first = ++m->next;
		return 0;
	}
	while (m->next - m->first >= m->capacity) {
		if (!m->drops)
			return -EAGAIN;
		for (i = 0; i < MODEL_READERS; i++) {
			if (m->fd[i] >= 0 && m->at[i] == m->first) {
				m->at[i]++;
				m->lost[i]++;
			}
		}
		m->first++;
		m->dropped++;
		model_trim(m);
	}
	m->next++;
	return 0;
}

static long model_take(struct model *m, int i)
{
	long value = m->at[i];

	if (m->at[i] == m->next)
		return -EAGAIN;
	m->at[i]++;
	m->lost[i] = 0;
	model_trim(m);
	return value;
}

static void model_run(struct __test_metadata *_metadata, FIXTURE_DATA(broadcast) *self,
		      bool drops, unsigned long seed)
{
	struct model m = { .capacity = 3, .drops = drops };
	struct random random = { .state = seed };
	struct got got;
	__u32 lost;
	long want;
	int i, n;

	renew(self, drops ? MBOX_DROP_OLDEST : 0, m.capacity);
	for (i = 0; i < N; i++) {
		close(self->reader[i]);
		self->reader[i] = -1;
	}
	memset(m.fd, -1, sizeof(m.fd));

	for (n = 0; n < MODEL_STEPS; n++) {
		i = random_below(&random, MODEL_READERS);
		switch (random_below(&random, 16)) {
		case 0:
			if (m.fd[i] >= 0) {
				close(m.fd[i]);
				m.fd[i] = -1;
				model_trim(&m);
				break;
			}
			m.fd[i] = open_again(self->fd, O_RDONLY);
			ASSERT_LE(0, m.fd[i]);
			m.at[i] = m.next;
			m.lost[i] = 0;
			break;
		case 1:
			m.capacity = 1 + random_below(&random, 5);
			ASSERT_EQ(0, raw_set_capacity(self->fd, m.capacity));
			break;
		case 2 ... 6:
			want = m.next;
			ASSERT_EQ(model_send(&m), put(self->fd, want));
			break;
		default:
			if (m.fd[i] < 0)
				break;
			lost = m.lost[i];
			want = model_take(&m, i);
			ASSERT_EQ(want < 0 ? want : 4, receive(m.fd[i], 0, &got)) {
				TH_LOG("seed %lu, step %d", seed, n);
			}
			if (want < 0)
				break;
			ASSERT_EQ((__u32)want, got.value) {
				TH_LOG("seed %lu, step %d", seed, n);
			}
			ASSERT_EQ(lost, got.msg.lost);
		}
		ASSERT_EQ(m.next - m.first, stat_of(self->fd).queued) {
			TH_LOG("seed %lu, step %d", seed, n);
		}
		ASSERT_EQ(m.dropped, stat_of(self->fd).dropped);
	}
	for (i = 0; i < MODEL_READERS; i++)
		if (m.fd[i] >= 0)
			close(m.fd[i]);
}

TEST_F_TIMEOUT(broadcast, random_steps_follow_a_model, 60)
{
	unsigned long seed = random_seed();

	TH_LOG("MBOX_SEED=%lu", seed);
	model_run(_metadata, self, false, seed);
	model_run(_metadata, self, true, seed + 1);
}

/* A killed receiver blocks no sender. */
static int stop_reading(void *arg)
{
	int *fd = arg;

	take(*fd);
	pause();
	return 0;
}

TEST_F(broadcast, killed_receiver_does_not_block_senders)
{
	int doomed = open_again(self->fd, O_RDONLY);
	struct call c = { 0 };
	pid_t pid;
	int i;

	ASSERT_LE(0, doomed);
	pid = spawn(stop_reading, &doomed);
	close(doomed);
	fill(self, 4);
	for (i = 0; i < N; i++)
		while (take(self->reader[i]) >= 0)
			;
	ASSERT_EQ(0, send_start(&c, self->fd, 9));
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(9, take(self->reader[0]));
}

/* ---- SIGKILL at random moments ---------------------------------------------- */

#define DOOMED_MAX 200

/**
 * struct doomed - what a sender that is killed leaves behind
 * @begun: how many sends it has begun
 * @done: how many have returned
 */
struct doomed {
	__u32 begun;
	__u32 done;
};

struct doom {
	struct doomed *sender;
	__u32 index;
	__u64 id;
	int fd;
};

static int send_until_killed(void *arg)
{
	struct doom *doom = arg;
	struct doomed *me = &doom->sender[doom->index];
	__u32 value;

	for (;;) {
		value = doom->index << 16 | me->begun;
		__atomic_store_n(&me->begun, me->begun + 1, __ATOMIC_RELEASE);
		CHECK_EQ(0, raw_send(doom->fd, &value, sizeof(value), 0));
		__atomic_store_n(&me->done, me->done + 1, __ATOMIC_RELEASE);
		/* Not more than the limit of bytes holds. */
		if (me->done == 500)
			pause();
	}
}

static int read_until_killed(void *arg)
{
	struct doom *doom = arg;
	int fd = raw_open_id(doom->id, O_RDONLY | O_CLOEXEC);
	__u32 value;

	CHECK(fd >= 0);
	for (;;)
		CHECK_EQ(4, raw_recv(fd, &value, sizeof(value), 0));
}

/*
 * Two readers that live see the same: of each sender all that was sent for sure,
 * at most one more, which it was sending when it was killed, and in its order.
 */
TEST_F_TIMEOUT(broadcast, killed_processes_lose_and_duplicate_nothing, 120)
{
	unsigned long kills = env_number("MBOX_KILLS", 60), seed = random_seed(), i;
	struct random random = { .state = seed };
	struct doom doom = { 0 };
	__u32 seen[DOOMED_MAX] = { 0 };
	pid_t sender, reader;
	long value, other;

	TH_LOG("MBOX_SEED=%lu MBOX_KILLS=%lu", seed, kills);
	if (kills > DOOMED_MAX)
		kills = DOOMED_MAX;
	renew(self, 0, MBOX_UNBOUNDED);
	close(self->reader[2]);
	self->reader[2] = -1;
	doom.fd = self->fd;
	doom.id = stat_of(self->fd).id;
	doom.sender = shared_memory(sizeof(*doom.sender) * DOOMED_MAX);
	ASSERT_TRUE(!!doom.sender);

	for (i = 0; i < kills; i++) {
		struct timespec ts = { .tv_nsec = random_below(&random, 8) * NSEC_PER_MSEC };

		doom.index = i;
		reader = spawn(read_until_killed, &doom);
		sender = spawn(send_until_killed, &doom);
		nanosleep(&ts, NULL);
		kill(one_in(&random, 2) ? sender : reader, SIGKILL);
		kill(sender, SIGKILL);
		kill(reader, SIGKILL);
		EXPECT_EQ(1000 + SIGKILL, reap(sender));
		EXPECT_EQ(1000 + SIGKILL, reap(reader));
	}
	while ((value = take(self->reader[0])) >= 0) {
		other = take(self->reader[1]);
		ASSERT_EQ(value, other);
		ASSERT_GT(kills, (unsigned long)value >> 16);
		ASSERT_EQ(seen[value >> 16], value & 0xffff);
		seen[value >> 16]++;
	}
	EXPECT_EQ(-EAGAIN, take(self->reader[1]));
	for (i = 0; i < kills; i++) {
		EXPECT_LE(doom.sender[i].done, seen[i]);
		EXPECT_LE(seen[i], doom.sender[i].begun);
	}
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(2U, stat_of(self->fd).recv_handles);
	EXPECT_EQ(1U, stat_of(self->fd).send_handles);
	munmap(doom.sender, sizeof(*doom.sender) * DOOMED_MAX);
}

TEST_HARNESS_MAIN
