// SPDX-License-Identifier: GPL-2.0-only
/* MBOX_LEASE: messages that come back unless they are acknowledged. */
#include <poll.h>

#include "calls.h"
#include "leases.h"
#include "peers.h"

#define NSEC_PER_SEC 1000000000ULL

FIXTURE(lease)
{
	/* Another handle is another worker. */
	int fd;
	int other;
};

FIXTURE_VARIANT(lease)
{
	__u32 flags;
	__u32 capacity;
};

FIXTURE_VARIANT_ADD(lease, plain) { .capacity = 8 };
FIXTURE_VARIANT_ADD(lease, unbounded) { .capacity = MBOX_UNBOUNDED };
FIXTURE_VARIANT_ADD(lease, fair) { .flags = MBOX_FAIR, .capacity = 32 };
FIXTURE_VARIANT_ADD(lease, drop_oldest) { .flags = MBOX_DROP_OLDEST, .capacity = 8 };
FIXTURE_VARIANT_ADD(lease, drop_newest) { .flags = MBOX_DROP_NEWEST, .capacity = 8 };
FIXTURE_VARIANT_ADD(lease, hangup) { .flags = MBOX_HANGUP, .capacity = 8 };
FIXTURE_VARIANT_ADD(lease, inherit) { .flags = MBOX_INHERIT, .capacity = 8 };

FIXTURE_SETUP(lease)
{
	self->fd = new_mailbox(variant->flags, variant->capacity);
	ASSERT_LE(0, self->fd);
	self->other = open_again(self->fd, O_RDWR);
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
}

FIXTURE_TEARDOWN(lease)
{
	close(self->fd);
	close(self->other);
}

TEST_F(lease, message_is_gone_until_it_is_acknowledged)
{
	struct mbox_msg msg;

	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, lease_msg(self->fd, 0, 0, &msg));
	EXPECT_NE(0ULL, msg.token);
	EXPECT_EQ(1U, msg.deliveries);
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->other));
	EXPECT_EQ(-EAGAIN, take_as(self->other, MBOX_PEEK, 0, 0));
	EXPECT_EQ(1U, stat_of(self->fd).leased);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(0, ack(self->fd, msg.token));
	EXPECT_EQ(0U, stat_of(self->fd).leased);
	EXPECT_EQ(1U, stat_of(self->fd).received);
	EXPECT_EQ(-EAGAIN, take(self->other));
}

TEST_F(lease, nack_puts_it_back)
{
	struct mbox_msg msg;
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->fd, &token));
	EXPECT_EQ(0, nack(self->fd, token, 0));
	EXPECT_EQ(0U, stat_of(self->fd).received);
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(1, lease_msg(self->other, 0, 0, &msg));
	EXPECT_EQ(2U, msg.deliveries);
	EXPECT_EQ(1U, stat_of(self->fd).redelivered);
	EXPECT_EQ(0, nack(self->other, msg.token, 0));
	/* Whoever receives it without a lease learns how often others had it. */
	EXPECT_EQ(1, receive_msg(self->fd, 0, &msg));
	EXPECT_EQ(2U, msg.deliveries);
	EXPECT_EQ(0ULL, msg.token);
}

TEST_F(lease, uncounted_message_was_never_on_lease)
{
	struct mbox_lease arg = { .flags = MBOX_NACK_UNCOUNTED };
	struct mbox_msg msg;
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->fd, &token));
	ASSERT_EQ(0, nack(self->fd, token, 0));
	ASSERT_EQ(1, lease(self->fd, &arg.token));
	EXPECT_EQ(1U, stat_of(self->fd).redelivered);
	EXPECT_EQ(0, raw(self->fd, MBOX_IOC_NACK, &arg));
	EXPECT_EQ(-ESRCH, raw(self->fd, MBOX_IOC_NACK, &arg));
	EXPECT_EQ(1, lease_msg(self->other, 0, 0, &msg));
	EXPECT_EQ(1U, msg.deliveries);
	EXPECT_EQ(1U, stat_of(self->fd).redelivered);
	/* Later, too. */
	arg.token = msg.token;
	arg.delay_ns = NSEC_PER_MSEC;
	EXPECT_EQ(0, raw(self->other, MBOX_IOC_NACK, &arg));
	msg = (struct mbox_msg){ .buf = (uintptr_t)&token, .len = sizeof(token),
				 .flags = MBOX_LEASE };
	EXPECT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(1U, msg.deliveries);
	arg.token = msg.token;
	EXPECT_EQ(0, raw(self->fd, MBOX_IOC_NACK, &arg));
	EXPECT_EQ(1, receive_msg(self->fd, 0, &msg));
	EXPECT_EQ(0U, msg.deliveries);
}

TEST(flags_of_an_ack_or_nack_are_checked)
{
	int fd = new_mailbox(0, 8);
	struct mbox_lease arg, bad[4] = { { .flags = MBOX_NACK_UNCOUNTED }, { .reserved = 1 },
					  { .flags = 1U << 31 }, { .delay_ns = 1 } };
	unsigned int i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(fd, &arg.token));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		bad[i].token = arg.token;
		EXPECT_EQ(-EINVAL, raw(fd, MBOX_IOC_ACK, &bad[i]))
			TH_LOG("case %u", i);
		if (i == 1 || i == 2)
			EXPECT_EQ(-EINVAL, raw(fd, MBOX_IOC_NACK, &bad[i]))
				TH_LOG("case %u", i);
	}
	EXPECT_EQ(1U, stat_of(fd).leased);
	EXPECT_EQ(0, ack(fd, arg.token));
	close(fd);
}

TEST_F(lease, close_puts_everything_back_in_order)
{
	__u64 token;
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, put_as(self->fd, i, i % 2, 0));
	for (i = 0; i < 6; i++)
		ASSERT_LE(0, lease(self->other, &token));
	close(self->other);
	EXPECT_EQ(0U, stat_of(self->fd).leased);
	for (i = 1; i < 8; i += 2)
		EXPECT_EQ(i, take(self->fd));
	for (i = 0; i < 8; i += 2)
		EXPECT_EQ(i, take(self->fd));
	self->other = -1;
}

static int lease_and_die(void *arg)
{
	int fd = open_again(*(int *)arg, O_RDONLY);
	__u64 token;

	CHECK_EQ(1, lease(fd, &token));
	CHECK_EQ(2, lease(fd, &token));
	raise(SIGKILL);
	return 1;
}

TEST_F(lease, death_puts_it_back)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(1000 + SIGKILL, in_child(lease_and_die, &self->fd));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
}

static int lease_and_exec(void *arg)
{
	int fd = open_again(*(int *)arg, O_RDONLY);
	__u64 token;

	CHECK_EQ(1, lease(fd, &token));
	execl("/bin/true", "true", NULL);
	execl("/usr/bin/true", "true", NULL);
	execl("/bin/busybox", "true", NULL);
	return 1;
}

TEST_F(lease, exec_puts_it_back)
{
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, in_child(lease_and_exec, &self->fd));
	EXPECT_EQ(1, take(self->fd));
}

static int lease_through(void *arg)
{
	__u64 token;

	return lease(*(int *)arg, &token) == 1 ? 0 : 1;
}

TEST_F(lease, belongs_to_the_open_file_description)
{
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, in_child(lease_through, &self->other));
	EXPECT_EQ(1U, stat_of(self->fd).leased);
	close(self->other);
	EXPECT_EQ(1, take(self->fd));
	self->other = -1;
}

/* Whatever the order in which they go back, they are received in that of their arrival. */
static void shuffled_nacks(struct __test_metadata *_metadata, int fd, int other, int n,
			   unsigned int seed)
{
	__u64 tokens[8];
	int i, k;

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, put_as(fd, i, 0, i));
	/* Not in order: by type. */
	for (i = 0; i < n; i++) {
		k = (i * 3 + seed) % n;
		ASSERT_EQ(k, lease_as(fd, MBOX_MATCH, k, &tokens[i]));
	}
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, nack(fd, tokens[(i * 5 + seed) % n], 0));
	for (i = 0; i < n; i++)
		EXPECT_EQ(i, take(other));
}

TEST_F(lease, order_survives_any_order_of_nacks)
{
	unsigned int seed;

	for (seed = 0; seed < 8; seed++)
		shuffled_nacks(_metadata, self->fd, self->other, 8, seed);
}

TEST_F(lease, later_messages_do_not_overtake_one_that_comes_back)
{
	__u64 last, middle;

	ASSERT_EQ(0, put_as(self->fd, 1, 0, 1));
	ASSERT_EQ(0, put_as(self->fd, 2, 0, 2));
	ASSERT_EQ(0, put_as(self->fd, 3, 0, 3));
	ASSERT_EQ(3, lease_as(self->fd, MBOX_MATCH, 3, &last));
	ASSERT_EQ(0, put_as(self->fd, 4, 0, 4));
	ASSERT_EQ(2, lease_as(self->fd, MBOX_MATCH, 2, &middle));
	ASSERT_EQ(0, put_as(self->fd, 5, 0, 5));
	EXPECT_EQ(0, nack(self->fd, last, 0));
	EXPECT_EQ(0, put_as(self->fd, 6, 0, 6));
	EXPECT_EQ(0, nack(self->fd, middle, 0));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(4, take(self->fd));
	EXPECT_EQ(5, take(self->fd));
	EXPECT_EQ(6, take(self->fd));
}

TEST_F(lease, waiting_receiver_gets_it_on_lease)
{
	struct call receiver = { .msg.flags = MBOX_LEASE };

	ASSERT_EQ(0, recv_start(&receiver, self->other));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, recv_join(&receiver));
	EXPECT_EQ(1U, receiver.msg.deliveries);
	EXPECT_EQ(1U, stat_of(self->fd).leased);
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(0, nack(self->other, receiver.msg.token, 0));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
}

TEST_F(lease, one_that_comes_back_goes_to_a_waiting_receiver)
{
	struct call receiver = { .msg.flags = MBOX_LEASE };
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->fd, &token));
	ASSERT_EQ(0, recv_start(&receiver, self->other));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, nack(self->fd, token, 0));
	EXPECT_EQ(1, recv_join(&receiver));
	EXPECT_EQ(2U, receiver.msg.deliveries);
	EXPECT_EQ(0, ack(self->other, receiver.msg.token));
}

TEST_F(lease, token_is_good_once_and_for_its_handle)
{
	__u64 token, second;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(1, lease(self->fd, &token));
	ASSERT_EQ(2, lease(self->fd, &second));
	EXPECT_NE(token, second);
	EXPECT_EQ(-ESRCH, ack(self->other, token));
	EXPECT_EQ(-ESRCH, nack(self->other, token, 0));
	EXPECT_EQ(-ESRCH, ack(self->fd, 0));
	EXPECT_EQ(-ESRCH, ack(self->fd, token ^ (1ULL << 40)));
	EXPECT_EQ(-ESRCH, answer(self->fd, token, 1));
	EXPECT_EQ(0, ack(self->fd, token));
	EXPECT_EQ(-ESRCH, ack(self->fd, token));
	EXPECT_EQ(-ESRCH, nack(self->fd, token, 0));
	EXPECT_EQ(0, nack(self->fd, second, 0));
	EXPECT_EQ(-ESRCH, nack(self->fd, second, 0));
	EXPECT_EQ(-ESRCH, ack(self->fd, second));
}

TEST_F(lease, destroy_drops_it)
{
	struct mbox_msg msg;
	__u64 token, used, later;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, put(self->fd, 3));
	ASSERT_EQ(1, lease(self->fd, &used));
	ASSERT_EQ(2, lease(self->fd, &later));
	ASSERT_EQ(3, lease_msg(self->fd, 0, 0, &msg));
	token = msg.token;
	ASSERT_EQ(0, ack(self->fd, used));
	ASSERT_EQ(0, nack(self->fd, later, 3600 * NSEC_PER_SEC));
	ASSERT_EQ(0, raw_destroy(self->other));
	EXPECT_EQ(-EIDRM, ack(self->fd, token));
	EXPECT_EQ(-EIDRM, nack(self->fd, token, 0));
	EXPECT_EQ(-EIDRM, ack(self->fd, used));
}

TEST_F(lease, shows_in_fdinfo)
{
	char path[64], text[4096];
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->fd, &token));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "mbox-leases:\t1\n"));
	EXPECT_NE(NULL, strstr(text, "mbox-leased:\t1\n"));
	EXPECT_NE(NULL, strstr(text, "mbox-redelivered:\t0\n"));
	ASSERT_EQ(0, nack(self->fd, token, 0));
	ASSERT_EQ(1, lease(self->fd, &token));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->other);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "mbox-leases:\t0\n"));
	/* That of the mailbox, whichever handle it was. */
	EXPECT_NE(NULL, strstr(text, "mbox-redelivered:\t1\n"));
}

TEST_F(lease, works_with_trunc)
{
	struct mbox_msg msg = msg_of(NULL, 0, MBOX_LEASE | MBOX_TRUNC | MBOX_DONTWAIT);

	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0, nack(self->fd, msg.token, 0));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(lease, works_with_batches)
{
	struct mbox_msg msgs[4];
	__u32 values[4];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, put(self->fd, i));
	for (i = 0; i < 4; i++)
		msgs[i] = msg_of(&values[i], sizeof(values[i]), 0);
	EXPECT_EQ(3, raw_vec(self->fd, MBOX_IOC_RECVV, msgs, 4, MBOX_LEASE | MBOX_DONTWAIT));
	EXPECT_EQ(3U, stat_of(self->fd).leased);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(i, (int)values[i]);
		EXPECT_EQ(0, ack(self->fd, msgs[i].token));
	}
}

TEST_F(lease, short_or_bad_buffer_changes_nothing)
{
	struct mbox_msg msg = msg_of(NULL, 0, MBOX_LEASE | MBOX_DONTWAIT);
	struct mbox_stat before;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	before = stat_of(self->fd);
	EXPECT_EQ(-EMSGSIZE, raw(self->fd, MBOX_IOC_RECV, &msg));
	msg = msg_of(bad_buffer(), 4, MBOX_LEASE | MBOX_DONTWAIT);
	EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_TRUE(same_stat(self->fd, &before));
	/* A failed copy is no delivery. */
	EXPECT_EQ(1, lease_msg(self->fd, 0, 0, &msg));
	EXPECT_EQ(1U, msg.deliveries);
	EXPECT_EQ(2, take(self->fd));
}

TEST_F(lease, delayed_message_is_not_seen_until_it_is_due)
{
	struct pollfd pfd = { .fd = self->other, .events = POLLIN };
	__s64 begin = now_ns(CLOCK_MONOTONIC);
	struct call receiver = { 0 };
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->fd, &token));
	ASSERT_EQ(0, nack(self->fd, token, NSEC_PER_SEC / 2));
	EXPECT_EQ(-ESRCH, ack(self->fd, token));
	EXPECT_EQ(-EAGAIN, take(self->other));
	EXPECT_EQ(-EAGAIN, take_as(self->other, MBOX_PEEK, 0, 0));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_EQ(1U, stat_of(self->fd).leased);
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(2, take(self->other));
	ASSERT_EQ(0, recv_start(&receiver, self->other));
	EXPECT_EQ(1, recv_join(&receiver));
	EXPECT_EQ(1U, receiver.msg.deliveries);
	EXPECT_LE(begin + (__s64)NSEC_PER_SEC / 2, now_ns(CLOCK_MONOTONIC));
	EXPECT_EQ(0U, stat_of(self->fd).leased);
}

TEST_F(lease, delayed_messages_come_back_behind_their_priority)
{
	__u64 tokens[3];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, put_as(self->fd, i, i, 0));
	for (i = 2; i >= 0; i--)
		ASSERT_EQ(i, lease(self->fd, &tokens[i]));
	/* These are there before any of the others comes back. */
	ASSERT_EQ(0, put_as(self->fd, 10, 0, 0));
	ASSERT_EQ(0, put_as(self->fd, 11, 1, 0));
	ASSERT_EQ(0, nack(self->fd, tokens[0], 40 * NSEC_PER_MSEC));
	ASSERT_EQ(0, nack(self->fd, tokens[1], 20 * NSEC_PER_MSEC));
	ASSERT_EQ(0, nack(self->fd, tokens[2], 3600 * NSEC_PER_SEC));
	while (stat_of(self->fd).leased > 1)
		pause_briefly();
	EXPECT_EQ(11, take(self->fd));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(10, take(self->fd));
	EXPECT_EQ(0, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(1U, stat_of(self->fd).leased);
}

TEST_F(lease, delayed_message_survives_its_handle)
{
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->other, &token));
	ASSERT_EQ(0, nack(self->other, token, 50 * NSEC_PER_MSEC));
	close(self->other);
	self->other = -1;
	while (take(self->fd) != 1)
		pause_briefly();
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(lease, mailbox_that_ends_drops_delayed_messages)
{
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->fd, &token));
	/* Some in the future, some now. */
	ASSERT_EQ(0, nack(self->fd, token, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_LE(1, lease(self->fd, &token));
	ASSERT_EQ(0, nack(self->fd, token, ~0ULL));
}

/* ---- requests ------------------------------------------------------------ */

TEST_F(lease, reply_acknowledges_a_request)
{
	struct caller caller = { 0 };
	struct mbox_msg msg;

	ASSERT_EQ(0, caller_start(&caller, self->fd, 7));
	EXPECT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(1U, stat_of(self->fd).leased);
	EXPECT_EQ(0, answer(self->other, msg.token, 8));
	EXPECT_EQ(8, caller_join(&caller));
	EXPECT_EQ(0U, stat_of(self->fd).leased);
	EXPECT_EQ(-ESRCH, ack(self->other, msg.token));
	EXPECT_EQ(-ESRCH, answer(self->other, msg.token, 8));
}

TEST_F(lease, ack_without_a_reply_fails_the_call)
{
	struct caller caller = { 0 };
	struct mbox_msg msg;

	ASSERT_EQ(0, caller_start(&caller, self->fd, 7));
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(0, ack(self->other, msg.token));
	EXPECT_EQ(-EPIPE, caller_join(&caller));
	EXPECT_EQ(-ESRCH, answer(self->other, msg.token, 8));
}

TEST_F(lease, request_that_comes_back_leaves_its_caller_waiting)
{
	struct caller caller = { 0 };
	struct mbox_msg msg;
	__u64 first;

	ASSERT_EQ(0, caller_start(&caller, self->fd, 7));
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	first = msg.token;
	EXPECT_EQ(0, nack(self->other, first, 0));
	EXPECT_EQ(-ESRCH, answer(self->other, first, 8));
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_NE(first, msg.token);
	EXPECT_EQ(2U, msg.deliveries);
	/* The worker dies. */
	close(self->other);
	self->other = open_again(self->fd, O_RDWR);
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(3U, msg.deliveries);
	EXPECT_EQ(0, nack(self->other, msg.token, NSEC_PER_MSEC));
	EXPECT_EQ(-ESRCH, answer(self->other, msg.token, 8));
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(0, answer(self->other, msg.token, 9));
	EXPECT_EQ(9, caller_join(&caller));
}

/* Have a caller whose request is on lease give up. */
static long interrupt_caller(struct caller *caller)
{
	pthread_kill(caller->call.thread, SIGUSR1);
	return caller_join(caller);
}

TEST_F(lease, request_whose_caller_has_gone_does_not_come_back)
{
	struct caller caller = { 0 };
	struct mbox_msg msg;

	ASSERT_EQ(0, caller_start(&caller, self->fd, 7));
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(-EINTR, interrupt_caller(&caller));
	EXPECT_EQ(1U, stat_of(self->fd).leased);
	EXPECT_EQ(0, nack(self->other, msg.token, 0));
	EXPECT_EQ(-EAGAIN, take(self->fd));

	ASSERT_EQ(0, caller_start(&caller, self->fd, 7));
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(-EINTR, interrupt_caller(&caller));
	/* The lease ends with the reply that finds no caller. */
	EXPECT_EQ(-ESRCH, answer(self->other, msg.token, 8));
	EXPECT_EQ(0U, stat_of(self->fd).leased);

	ASSERT_EQ(0, caller_start(&caller, self->fd, 7));
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	ASSERT_EQ(0, nack(self->other, msg.token, 20 * NSEC_PER_MSEC));
	EXPECT_EQ(-EINTR, interrupt_caller(&caller));
	while (stat_of(self->fd).leased)
		pause_briefly();
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(lease, reply_that_cannot_be_copied_keeps_the_lease)
{
	struct caller caller = { 0 };
	struct mbox_msg msg;
	char large[64] = "";

	ASSERT_EQ(0, caller_start(&caller, self->fd, 7));
	ASSERT_EQ(7, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(-EFAULT, raw_reply(self->other, msg.token, bad_buffer(), 4));
	EXPECT_EQ(1U, stat_of(self->fd).leased);
	EXPECT_EQ(-EMSGSIZE, raw_reply(self->other, msg.token, large, sizeof(large)));
	EXPECT_EQ(-EMSGSIZE, caller_join(&caller));
	EXPECT_EQ(0U, stat_of(self->fd).leased);
	EXPECT_EQ(-ESRCH, ack(self->other, msg.token));
}

/* ---- the receipt --------------------------------------------------------- */

TEST_F(lease, sync_send_completes_at_the_ack)
{
	struct call sender = { .msg.flags = MBOX_SYNC };
	struct mbox_msg msg;

	ASSERT_EQ(0, send_start(&sender, self->fd, 1));
	ASSERT_EQ(1, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0, nack(self->other, msg.token, 0));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	ASSERT_EQ(1, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(0, nack(self->other, msg.token, NSEC_PER_MSEC));
	ASSERT_EQ(1, lease_msg(self->other, 0, WAIT, &msg));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0, ack(self->other, msg.token));
	EXPECT_EQ(0, call_join(&sender));
}

TEST_F(lease, sync_send_that_gives_up_leaves_the_lease)
{
	struct call sender = { .msg.flags = MBOX_SYNC };
	struct mbox_msg msg;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, send_start(&sender, self->fd, 1));
		ASSERT_EQ(1, lease_msg(self->other, 0, WAIT, &msg));
		ASSERT_EQ(0, pthread_kill(sender.thread, SIGUSR1));
		EXPECT_EQ(-EINTR, call_join(&sender));
		EXPECT_EQ(1U, stat_of(self->fd).leased);
		/* It does not come back, at once or later. */
		EXPECT_EQ(0, round ? nack(self->other, msg.token, round == 2) :
				     ack(self->other, msg.token));
		while (stat_of(self->fd).leased)
			pause_briefly();
		EXPECT_EQ(-EAGAIN, take(self->fd));
	}
}

TEST_F(lease, interrupted_sync_send_is_not_restarted)
{
	struct call sender = { .msg.flags = MBOX_SYNC };
	struct mbox_msg msg;

	ASSERT_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, send_start(&sender, self->fd, 1));
	ASSERT_EQ(1, lease_msg(self->other, 0, WAIT, &msg));
	ASSERT_EQ(0, pthread_kill(sender.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&sender));
	EXPECT_EQ(0, nack(self->other, msg.token, 0));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(lease, destroy_ends_a_sync_send)
{
	struct call sender = { .msg.flags = MBOX_SYNC };
	struct mbox_msg msg;

	ASSERT_EQ(0, send_start(&sender, self->fd, 1));
	ASSERT_EQ(1, lease_msg(self->other, 0, WAIT, &msg));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, call_join(&sender));
	EXPECT_EQ(-EIDRM, ack(self->other, msg.token));
}

/* ---- descriptors --------------------------------------------------------- */

TEST_F(lease, descriptors_are_installed_at_each_delivery)
{
	int pipes[2], sent, got[2];
	struct pollfd pfd;
	struct mbox_msg msg = msg_of(NULL, 0, MBOX_DONTWAIT);
	int i;

	ASSERT_EQ(0, pipe(pipes));
	sent = pipes[1];
	msg.nfds = 1;
	msg.fds = (uintptr_t)&sent;
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	close(pipes[1]);
	for (i = 0; i < 2; i++) {
		msg = msg_of(NULL, 0, MBOX_DONTWAIT | MBOX_LEASE);
		msg.nfds = 1;
		msg.fds = (uintptr_t)&got[i];
		ASSERT_EQ(0, raw(self->fd, MBOX_IOC_RECV, &msg));
		EXPECT_EQ(1U, msg.nfds);
		EXPECT_EQ(4, write(got[i], "abcd", 4));
		close(got[i]);
		ASSERT_EQ(0, i ? 0 : nack(self->fd, msg.token, 0));
	}
	pfd = (struct pollfd){ .fd = pipes[0] };
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_EQ(0, ack(self->fd, msg.token));
	/* The last writer is gone. */
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLHUP, pfd.revents);
	close(pipes[0]);
}

/* ---- room ---------------------------------------------------------------- */

TEST(leased_messages_take_room)
{
	int fd = new_mailbox(0, 2);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	__u64 token, second;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(0, put(fd, 2));
	ASSERT_EQ(1, lease(fd, &token));
	EXPECT_EQ(-EAGAIN, put(fd, 3));
	ASSERT_EQ(2, lease(fd, &second));
	EXPECT_EQ(-EAGAIN, put(fd, 3));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	EXPECT_EQ(0, ack(fd, token));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(0, put(fd, 3));
	EXPECT_EQ(-EAGAIN, put(fd, 4));
	/* What comes back counts as before. */
	EXPECT_EQ(0, nack(fd, second, 0));
	EXPECT_EQ(-EAGAIN, put(fd, 4));
	EXPECT_EQ(2, take(fd));
	EXPECT_EQ(0, put(fd, 4));
	close(fd);
}

TEST(ack_lets_a_sender_in)
{
	int fd = new_mailbox(0, 1);
	struct call sender = { 0 };
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(fd, &token));
	ASSERT_EQ(0, send_start(&sender, fd, 2));
	ASSERT_EQ(0, await_waiting(fd, 1, 0));
	EXPECT_EQ(0U, stat_of(fd).queued);
	EXPECT_EQ(0, ack(fd, token));
	EXPECT_EQ(0, call_join(&sender));
	EXPECT_EQ(2, take(fd));
	close(fd);
}

TEST(delayed_messages_take_room)
{
	int fd = new_mailbox(0, 1);
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(fd, &token));
	ASSERT_EQ(0, nack(fd, token, 3600 * NSEC_PER_SEC));
	EXPECT_EQ(-EAGAIN, put(fd, 2));
	close(fd);
}

TEST(receiver_does_not_wait_for_room_that_is_on_lease)
{
	int fd = new_mailbox(0, 1), other = open_again(fd, O_RDWR);
	struct pollfd pfd = { .fd = other, .events = POLLIN | POLLOUT };
	struct call sender = { 0 }, receiver = { .msg.flags = MBOX_LEASE };
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(fd, &token));
	ASSERT_EQ(0, send_start(&sender, fd, 2));
	ASSERT_EQ(0, await_waiting(fd, 1, 0));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLIN, pfd.revents);
	EXPECT_EQ(2, take(other));
	EXPECT_EQ(0, call_join(&sender));
	/* And one that waits makes a nonblocking send possible. */
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	ASSERT_EQ(0, recv_start(&receiver, other));
	ASSERT_EQ(0, await_waiting(fd, 0, 1));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLOUT, pfd.revents);
	EXPECT_EQ(0, put(fd, 3));
	EXPECT_EQ(3, recv_join(&receiver));
	EXPECT_EQ(2U, stat_of(fd).leased);
	EXPECT_EQ(-EAGAIN, put(fd, 4));
	close(fd);
	close(other);
}

TEST(sync_send_times_out_while_the_message_is_on_lease)
{
	int fd = new_mailbox(0, 4), other = open_again(fd, O_RDWR);
	struct call sender = { .msg.flags = MBOX_SYNC };
	struct mbox_msg msg;

	sender.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 1000 * time_factor());
	ASSERT_EQ(0, send_start(&sender, fd, 1));
	ASSERT_EQ(1, lease_msg(other, 0, WAIT, &msg));
	EXPECT_EQ(-ETIMEDOUT, call_join(&sender));
	EXPECT_EQ(0, ack(other, msg.token));
	close(other);
	close(fd);
}

TEST(rendezvous_ends_with_the_lease)
{
	int fd = new_mailbox(0, 0), other = open_again(fd, O_RDWR);
	struct call sender = { 0 };
	struct mbox_msg msg;

	ASSERT_EQ(0, send_start(&sender, fd, 1));
	ASSERT_EQ(1, lease_msg(other, 0, WAIT, &msg));
	EXPECT_EQ(0, call_join(&sender));
	/* It comes back as the oldest, and no sender waits for it. */
	close(other);
	EXPECT_EQ(1U, stat_of(fd).queued);
	ASSERT_EQ(0, send_start(&sender, fd, 2));
	ASSERT_EQ(0, await_waiting(fd, 1, 0));
	EXPECT_EQ(1, take(fd));
	EXPECT_EQ(1U, stat_of(fd).waiting_senders);
	EXPECT_EQ(2, take(fd));
	EXPECT_EQ(0, call_join(&sender));
	close(fd);
}

TEST(rendezvous_with_sync_waits_for_the_ack)
{
	int fd = new_mailbox(0, 0), other = open_again(fd, O_RDWR);
	struct call sender = { .msg.flags = MBOX_SYNC };
	struct mbox_msg msg;

	ASSERT_EQ(0, send_start(&sender, fd, 1));
	ASSERT_EQ(1, lease_msg(other, 0, WAIT, &msg));
	EXPECT_EQ(1U, stat_of(fd).waiting_senders);
	close(other);
	EXPECT_EQ(1U, stat_of(fd).queued);
	EXPECT_EQ(1U, stat_of(fd).waiting_senders);
	ASSERT_EQ(1, lease_msg(fd, 0, WAIT, &msg));
	EXPECT_EQ(0, ack(fd, msg.token));
	EXPECT_EQ(0, call_join(&sender));
	close(fd);
}

TEST(lease_makes_room_where_old_messages_are_dropped)
{
	int fd = new_mailbox(MBOX_DROP_OLDEST, 2);
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(0, put(fd, 2));
	ASSERT_EQ(1, lease(fd, &token));
	EXPECT_EQ(0, put(fd, 3));
	EXPECT_EQ(0U, stat_of(fd).dropped);
	/* The mailbox has one more than it should: that is the first to be dropped. */
	EXPECT_EQ(0, nack(fd, token, 0));
	EXPECT_EQ(3U, stat_of(fd).queued);
	EXPECT_EQ(0U, stat_of(fd).dropped);
	EXPECT_EQ(0, put(fd, 4));
	EXPECT_EQ(2U, stat_of(fd).dropped);
	EXPECT_EQ(3, take(fd));
	EXPECT_EQ(4, take(fd));
	close(fd);
}

TEST(full_of_leases_drops_the_newest)
{
	int fd = new_mailbox(MBOX_DROP_NEWEST, 1);
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(fd, &token));
	EXPECT_EQ(0, put(fd, 2));
	EXPECT_EQ(1U, stat_of(fd).dropped);
	EXPECT_EQ(-EAGAIN, take(fd));
	close(fd);
}

TEST(leases_count_in_a_fair_share)
{
	int fd = new_mailbox(MBOX_FAIR, 8);
	__u64 token;
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, put(fd, i));
	EXPECT_EQ(-EAGAIN, put(fd, 4));
	ASSERT_EQ(0, lease(fd, &token));
	EXPECT_EQ(-EAGAIN, put(fd, 4));
	EXPECT_EQ(0, ack(fd, token));
	EXPECT_EQ(0, put(fd, 4));
	EXPECT_EQ(-EAGAIN, put(fd, 5));
	close(fd);
}

TEST(shrinking_drops_no_lease)
{
	int fd = new_mailbox(0, 4);
	__u64 tokens[2];

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(0, put(fd, 2));
	ASSERT_EQ(1, lease(fd, &tokens[0]));
	ASSERT_EQ(2, lease(fd, &tokens[1]));
	ASSERT_EQ(0, raw_set_capacity(fd, 1));
	EXPECT_EQ(0, nack(fd, tokens[1], 0));
	EXPECT_EQ(0, nack(fd, tokens[0], 0));
	EXPECT_EQ(-EAGAIN, put(fd, 3));
	EXPECT_EQ(1, take(fd));
	EXPECT_EQ(2, take(fd));
	EXPECT_EQ(0, put(fd, 3));
	close(fd);
}

/* ---- hangup -------------------------------------------------------------- */

TEST(no_end_while_another_handle_has_a_lease)
{
	int fd = new_mailbox(MBOX_HANGUP, 4);
	int one = open_again(fd, O_RDONLY), two = open_again(fd, O_RDONLY);
	struct pollfd pfd = { .fd = two, .events = POLLIN };
	struct call receiver = { 0 };
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(one, &token));
	close(fd);
	EXPECT_EQ(-EAGAIN, take(two));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	/* It is up to this handle whether the message comes back. */
	EXPECT_EQ(-EPIPE, take(one));
	pfd.fd = one;
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLHUP, pfd.revents);
	ASSERT_EQ(0, recv_start(&receiver, two));
	ASSERT_EQ(0, await_waiting(two, 0, 1));
	EXPECT_EQ(0, nack(one, token, 0));
	EXPECT_EQ(1, recv_join(&receiver));
	EXPECT_EQ(-EPIPE, take(two));
	close(one);
	close(two);
}

/* Calls of the handle that has the only lease learn of the end while they wait. */
TEST(waiting_calls_of_the_only_lessee_find_the_end)
{
	int fd = new_mailbox(MBOX_HANGUP, 4), sender = open_again(fd, O_WRONLY);
	int one = open_again(fd, O_RDONLY);
	struct call receiver = { .msg = { .buf = 1, .len = 2 } };
	struct call peeker = { .msg = { .flags = MBOX_PEEK } };
	struct mbox_msg msg = msg_of("long", 4, MBOX_SYNC | MBOX_DONTWAIT);
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(one, &token));
	close(fd);
	ASSERT_EQ(0, recv_start(&receiver, one));
	ASSERT_EQ(0, recv_start(&peeker, one));
	ASSERT_EQ(0, await_waiting(one, 0, 2));
	/* Too long for the receiver, and not kept: it goes on waiting. */
	EXPECT_EQ(-EAGAIN, raw(sender, MBOX_IOC_SEND, &msg));
	close(sender);
	EXPECT_EQ(-EPIPE, call_join(&receiver));
	EXPECT_EQ(-EPIPE, call_join(&peeker));
	EXPECT_EQ(0, ack(one, token));
	close(one);
}

TEST(ack_of_the_last_message_is_the_end)
{
	int fd = new_mailbox(MBOX_HANGUP, 4);
	int one = open_again(fd, O_RDONLY), two = open_again(fd, O_RDONLY);
	struct call receivers[2] = { 0 };
	struct poller poller;
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(one, &token));
	ASSERT_EQ(0, recv_start(&receivers[0], one));
	ASSERT_EQ(0, recv_start(&receivers[1], two));
	ASSERT_EQ(0, await_waiting(fd, 0, 2));
	/* The handle with the lease has nothing to wait for. */
	close(fd);
	EXPECT_EQ(-EPIPE, call_join(&receivers[0]));
	EXPECT_EQ(1U, stat_of(one).waiting_receivers);
	ASSERT_EQ(0, poller_start(&poller, two, POLLIN));
	EXPECT_EQ(0, ack(one, token));
	EXPECT_EQ(-EPIPE, call_join(&receivers[1]));
	EXPECT_EQ(POLLHUP, poller_join(&poller));
	close(one);
	close(two);
}

TEST(end_of_file_for_a_reader_with_a_lease)
{
	int fd = new_mailbox(MBOX_HANGUP, 4), one = open_again(fd, O_RDONLY);
	__u64 token;
	char byte;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(one, &token));
	close(fd);
	EXPECT_EQ(0, read(one, &byte, 1));
	EXPECT_EQ(0, ack(one, token));
	close(one);
}

TEST(no_end_while_a_message_is_delayed)
{
	int fd = new_mailbox(MBOX_HANGUP, 4), one = open_again(fd, O_RDONLY);
	struct call receiver = { 0 };
	__u64 token;

	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, lease(one, &token));
	ASSERT_EQ(0, nack(one, token, 50 * NSEC_PER_MSEC));
	close(fd);
	ASSERT_EQ(0, recv_start(&receiver, one));
	EXPECT_EQ(1, recv_join(&receiver));
	EXPECT_EQ(-EPIPE, take(one));
	close(one);
}

/* ---- errors -------------------------------------------------------------- */

TEST(lease_excludes_peek)
{
	int fd = new_mailbox(0, 4);

	ASSERT_EQ(0, put(fd, 1));
	EXPECT_EQ(-EINVAL, take_as(fd, MBOX_LEASE | MBOX_PEEK, 0, 0));
	EXPECT_EQ(-EINVAL, raw_send(fd, "", 1, MBOX_LEASE));
	close(fd);
}

TEST(lease_needs_a_structure_with_a_token)
{
	int fd = new_mailbox(0, 4);
	struct mbox_msg msg = msg_of(NULL, 0, MBOX_LEASE | MBOX_TRUNC | MBOX_DONTWAIT);

	ASSERT_EQ(0, put(fd, 1));
	EXPECT_EQ(-EINVAL, raw(fd, sized(MBOX_IOC_RECV, offsetof(struct mbox_msg, token)), &msg));
	EXPECT_EQ(1, take(fd));
	close(fd);
}

TEST(broadcasts_and_rings_have_no_leases)
{
	struct mbox_attr ring = MBOX_ATTR_INIT;
	int fd = new_mailbox(MBOX_BROADCAST, 4);

	EXPECT_EQ(-EOPNOTSUPP, take_as(fd, MBOX_LEASE, 0, 0));
	EXPECT_EQ(-EOPNOTSUPP, ack(fd, 1));
	EXPECT_EQ(-EOPNOTSUPP, nack(fd, 1, 0));
	close(fd);
	ring.mode = MBOX_RING;
	fd = raw_create(NULL, O_RDWR | O_CLOEXEC, &ring);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, take_as(fd, MBOX_LEASE, 0, 0));
	EXPECT_EQ(-EOPNOTSUPP, ack(fd, 1));
	EXPECT_EQ(-EOPNOTSUPP, nack(fd, 1, 0));
	close(fd);
}

TEST(ack_needs_the_right_to_receive)
{
	int fd = new_mailbox(0, 4), out = open_again(fd, O_WRONLY);
	struct mbox_lease arg = { .token = 1, .delay_ns = 1 };

	EXPECT_EQ(-EBADF, ack(out, 1));
	EXPECT_EQ(-EBADF, nack(out, 1, 0));
	EXPECT_EQ(-EBADF, take_as(out, MBOX_LEASE, 0, 0));
	EXPECT_EQ(-EINVAL, raw(fd, MBOX_IOC_ACK, &arg));
	close(out);
	close(fd);
}

/* ---- limits -------------------------------------------------------------- */

static int lease_up_to_the_limit(void *arg)
{
	__u64 token, last = 0;
	long ret;
	int n = 0;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	while ((ret = lease(*(int *)arg, &token)) >= 0) {
		last = token;
		n++;
	}
	CHECK_EQ(-EDQUOT, ret);
	CHECK(n > 0 && n < 1000);
	/* It can still receive. */
	CHECK_EQ(n, take(*(int *)arg));
	/* And an ack makes room for the next lease. */
	CHECK_EQ(0, ack(*(int *)arg, last));
	CHECK_EQ(n + 1, lease(*(int *)arg, &token));
	return 0;
}

TEST(leases_are_charged_to_the_receiver)
{
	long limit = param_get("user_bytes");
	int fd = new_mailbox(0, MBOX_UNBOUNDED);
	int i;

	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, put(fd, i));
	ASSERT_EQ(0, param_set("user_bytes", 16384));
	EXPECT_EQ(0, in_child(lease_up_to_the_limit, &fd));
	ASSERT_EQ(0, param_set("user_bytes", limit));
	close(fd);
}

/* In long queues, messages are found by an index. */
TEST(order_survives_in_an_indexed_queue)
{
	int fd = new_mailbox(0, MBOX_UNBOUNDED), other = open_again(fd, O_RDWR);
	static __u64 tokens[500];
	int i, k;

	for (i = 0; i < 500; i++)
		ASSERT_EQ(0, put_as(fd, i, 0, i));
	/* Without an entry, and with one. */
	for (i = 0; i < 50; i++)
		ASSERT_EQ(i, lease(other, &tokens[i]));
	for (i = 50; i < 250; i++) {
		k = 50 + (i - 50) * 7 % 450;
		ASSERT_EQ(k, lease_as(other, MBOX_MATCH, k, &tokens[i]));
	}
	for (i = 249; i >= 0; i -= 2)
		ASSERT_EQ(0, nack(other, tokens[i], 0));
	for (i = 500; i < 510; i++)
		ASSERT_EQ(0, put_as(fd, i, 0, i));
	close(other);
	for (i = 0; i < 510; i += 3) {
		EXPECT_EQ(i, take_as(fd, MBOX_MATCH, i, 0));
		EXPECT_EQ(i + 1, take_as(fd, MBOX_MATCH_NOT, ~0ULL, 0));
		EXPECT_EQ(i + 2, take(fd));
	}
	close(fd);
}

TEST(handle_with_many_leases_ends)
{
	int n = kernel_checks_itself() ? 20000 : 100000;
	int fd = new_mailbox(0, MBOX_UNBOUNDED), other = open_again(fd, O_RDWR);
	__u64 token;
	int i;

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, put(fd, i));
	for (i = 0; i < n; i++)
		ASSERT_EQ(i, lease(other, &token));
	close(other);
	EXPECT_EQ((__u32)n, stat_of(fd).queued);
	for (i = 0; i < n; i++)
		ASSERT_EQ(i, take(fd));
	close(fd);
}

/* ---- direct links -------------------------------------------------------- */

static int peer_sends(void *arg)
{
	int fd = raw_direct(getppid(), O_RDWR | O_CLOEXEC);
	const int *opened = arg;
	char c;

	CHECK(fd >= 0);
	/* Nobody can open a link to a process that has exited. */
	CHECK_EQ(1, read(opened[0], &c, 1));
	CHECK_EQ(0, put(fd, 1));
	CHECK_EQ(0, put(fd, 2));
	return 0;
}

TEST(direct_links_have_leases)
{
	int opened[2], fd, other;
	struct mbox_msg msg;
	pid_t pid;

	ASSERT_EQ(0, pipe(opened));
	pid = spawn(peer_sends, opened);
	fd = raw_direct(pid, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	other = raw_direct(pid, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, other);
	ASSERT_EQ(1, write(opened[1], "", 1));
	EXPECT_EQ(1, lease_msg(fd, 0, WAIT, &msg));
	EXPECT_EQ(0, reap(pid));
	/* The peer has gone, and this message can come back. */
	EXPECT_EQ(2, take(other));
	EXPECT_EQ(-EAGAIN, take(other));
	EXPECT_EQ(0, nack(fd, msg.token, 0));
	EXPECT_EQ(1, take(other));
	EXPECT_EQ(-EPIPE, take(other));
	close(fd);
	close(other);
	close(opened[0]);
	close(opened[1]);
}

TEST_HARNESS_MAIN
