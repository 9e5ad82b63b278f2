// SPDX-License-Identifier: GPL-2.0-only
/* Sends that end with the receipt: capacity 0, and MBOX_SYNC at any capacity. */
#include "peers.h"

/* Both kinds behave alike for the sender. */
FIXTURE(receipt)
{
	int fd;
};

FIXTURE_VARIANT(receipt)
{
	__u32 capacity;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(receipt, rendezvous)
{
	.capacity = 0, .flags = 0,
};

FIXTURE_VARIANT_ADD(receipt, sync_rendezvous)
{
	.capacity = 0, .flags = MBOX_SYNC,
};

FIXTURE_VARIANT_ADD(receipt, sync_bounded)
{
	.capacity = 4, .flags = MBOX_SYNC,
};

FIXTURE_VARIANT_ADD(receipt, sync_unbounded)
{
	.capacity = MBOX_UNBOUNDED, .flags = MBOX_SYNC,
};

FIXTURE_SETUP(receipt)
{
	self->fd = new_mailbox(0, variant->capacity);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(receipt)
{
	close(self->fd);
}

/* A sender that waits, as the n-th. */
static int start(struct call *c, int fd, __u32 flags, __u32 value, __u32 n)
{
	c->msg.flags = flags;
	return send_start(c, fd, value) ?: await_waiting(fd, n, 0);
}

TEST_F(receipt, completes_with_a_receive)
{
	struct call c = { 0 };

	ASSERT_EQ(0, start(&c, self->fd, variant->flags, 3, 1));
	EXPECT_EQ(variant->capacity ? 1U : 0U, stat_of(self->fd).queued);
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(1U, stat_of(self->fd).sent);
	EXPECT_EQ(1U, stat_of(self->fd).received);
}

TEST_F(receipt, completes_with_a_receiver_that_waits)
{
	__u32 value = 4;
	struct call c = { 0 };

	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, raw_send(self->fd, &value, sizeof(value), variant->flags));
	/* The receiver has it already. */
	EXPECT_EQ(4U, c.value);
	EXPECT_EQ(4, recv_join(&c));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(receipt, DONTWAIT_succeeds_only_with_a_receiver)
{
	struct call c = { 0 };
	__u32 value = 4;

	EXPECT_EQ(-EAGAIN, raw_send(self->fd, &value, 4, variant->flags | MBOX_DONTWAIT));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, raw_send(self->fd, &value, 4, variant->flags | MBOX_DONTWAIT));
	EXPECT_EQ(-EAGAIN, raw_send(self->fd, &value, 4, variant->flags | MBOX_DONTWAIT));
	EXPECT_EQ(4, recv_join(&c));
}

TEST_F(receipt, O_NONBLOCK_succeeds_only_with_a_receiver)
{
	int fd = open_again(self->fd, O_WRONLY | O_NONBLOCK);
	struct call c = { 0 };
	__u32 value = 4;

	EXPECT_EQ(-EAGAIN, raw_send(fd, &value, 4, variant->flags));
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, raw_send(fd, &value, 4, variant->flags));
	EXPECT_EQ(4, recv_join(&c));
	close(fd);
}

TEST_F(receipt, peek_is_not_a_receipt)
{
	struct call c = { 0 };

	ASSERT_EQ(0, start(&c, self->fd, variant->flags, 3, 1));
	EXPECT_EQ(3, take_as(self->fd, MBOX_PEEK, 0, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_PEEK, 0, 1));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0U, stat_of(self->fd).received);
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(0, call_join(&c));
}

TEST_F(receipt, short_buffer_is_not_a_receipt)
{
	const __u32 value = 3;
	struct call c = { 0 };
	char byte = (char)POISON;

	ASSERT_EQ(0, start(&c, self->fd, variant->flags, value, 1));
	EXPECT_EQ(-EMSGSIZE, raw_recv(self->fd, &byte, 1, MBOX_DONTWAIT));
	EXPECT_EQ((char)POISON, byte);
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(4, raw_recv(self->fd, &byte, 1, MBOX_DONTWAIT | MBOX_TRUNC));
	EXPECT_EQ(*(const char *)&value, byte);
	EXPECT_EQ(0, call_join(&c));
}

TEST_F(receipt, fault_is_not_a_receipt)
{
	struct mbox_stat before;
	struct call c = { 0 };
	int i;

	ASSERT_EQ(0, start(&c, self->fd, variant->flags, 3, 1));
	before = stat_of(self->fd);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, raw_recv(self->fd, bad_buffer(), 4, MBOX_DONTWAIT));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(0, call_join(&c));
}

/* The receiver came first, and takes the message with a bad buffer. */
TEST_F(receipt, fault_of_a_waiting_receiver_is_not_a_receipt)
{
	struct call sender = { 0 }, bad = { .msg = msg_of(bad_buffer(), 4, 0) };

	ASSERT_EQ(0, recv_start(&bad, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, start(&sender, self->fd, variant->flags, 3, 1));
	EXPECT_EQ(-EFAULT, call_join(&bad));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(0, call_join(&sender));
}

static int send_as_another_user(void *arg)
{
	int *fd = arg, i;

	CHECK_EQ(0, become(1001, 1001));
	for (i = 0; i < 3; i++)
		CHECK_EQ(0, put(*fd, i));
	return 0;
}

/*
 * With MBOX_DROP_OLDEST at capacity 0, a message that no receiver waits for is dropped.
 * A sender whose receiver failed waits for another receiver nevertheless.
 */
TEST(fault_of_a_receiver_of_a_dropping_mailbox)
{
	static const __u32 flags[] = { MBOX_DROP_OLDEST, MBOX_DROP_NEWEST };
	struct call sender, bad;
	int fd, i;

	for (i = 0; i < 2; i++) {
		memset(&sender, 0, sizeof(sender));
		memset(&bad, 0, sizeof(bad));
		bad.msg = msg_of(bad_buffer(), 4, 0);
		fd = new_mailbox(flags[i], 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, recv_start(&bad, fd));
		ASSERT_EQ(0, await_waiting(fd, 0, 1));
		ASSERT_EQ(0, send_start(&sender, fd, 3));
		EXPECT_EQ(-EFAULT, call_join(&bad));
		EXPECT_EQ(1U, stat_of(fd).waiting_senders);
		EXPECT_EQ(0, in_child(send_as_another_user, &fd));
		EXPECT_EQ(3U, stat_of(fd).dropped);
		ASSERT_EQ(0, raw_set_capacity(fd, 1));
		EXPECT_EQ(0, call_join(&sender));
		EXPECT_EQ(3, take(fd));
		close(fd);
	}
}

TEST_F(receipt, message_goes_to_the_next_receiver_after_a_fault)
{
	struct call good = { 0 }, bad = { .msg = msg_of(bad_buffer(), 4, 0) };
	__u32 value = 5;

	ASSERT_EQ(0, recv_start(&bad, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, recv_start(&good, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 2));
	EXPECT_EQ(0, raw_send(self->fd, &value, sizeof(value), variant->flags));
	EXPECT_EQ(-EFAULT, call_join(&bad));
	EXPECT_EQ(5, recv_join(&good));
}

TEST_F(receipt, receiver_finds_the_highest_priority)
{
	static const __u32 prio[] = { 3, 0, 9, 3 };
	static const long order[] = { 2, 0, 3, 1 };
	struct call c[4] = { 0 };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		c[i].msg.prio = prio[i];
		c[i].msg.type = i;
		ASSERT_EQ(0, start(&c[i], self->fd, variant->flags, i, i + 1));
	}
	EXPECT_EQ(0, take_as(self->fd, MBOX_PEEK, 0, 1));
	EXPECT_EQ(1, take_as(self->fd, MBOX_PEEK, 0, 3));
	EXPECT_EQ(1, take_as(self->fd, MBOX_PEEK | MBOX_MATCH, 1, 0));
	EXPECT_EQ(0, take_as(self->fd, MBOX_PEEK | MBOX_MATCH_LE, 3, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_MATCH, 4, 0));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(order[i], take(self->fd));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, call_join(&c[i]));
}

TEST_F(receipt, receiver_chooses_by_type)
{
	struct call c[3] = { 0 };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		c[i].msg.type = i;
		ASSERT_EQ(0, start(&c[i], self->fd, variant->flags, i, i + 1));
	}
	EXPECT_EQ(1, take_as(self->fd, MBOX_MATCH, 1, 0));
	EXPECT_EQ(0, call_join(&c[1]));
	EXPECT_EQ(2, take_as(self->fd, MBOX_MATCH_NOT, 0, 0));
	EXPECT_EQ(0, call_join(&c[2]));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0, take(self->fd));
	EXPECT_EQ(0, call_join(&c[0]));
}

TEST_F(receipt, waiting_receiver_of_another_type_gives_no_receipt)
{
	struct call c = { .msg.flags = MBOX_MATCH, .msg.type = 7 };
	__u32 value = 4;
	struct mbox_msg msg = msg_of(&value, 4, variant->flags | MBOX_DONTWAIT);

	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	msg.type = 6;
	EXPECT_EQ(-EAGAIN, raw(self->fd, MBOX_IOC_SEND, &msg));
	msg.type = 7;
	EXPECT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	EXPECT_EQ(4, recv_join(&c));
}

TEST_F(receipt, big_message_is_acknowledged)
{
	static char out[8192], in[8192];
	struct call c = { .msg = msg_of(out, sizeof(out), 0) };

	memset(out, 'b', sizeof(out));
	memset(in, POISON, sizeof(in));
	ASSERT_EQ(0, start(&c, self->fd, variant->flags, 0, 1));
	EXPECT_EQ((long)sizeof(in), raw_recv(self->fd, in, sizeof(in), MBOX_DONTWAIT));
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(0, memcmp(in, out, sizeof(in)));
}

TEST_F(receipt, interrupted_sender_withdraws_the_message)
{
	struct call c = { 0 };

	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, start(&c, self->fd, variant->flags, 3, 1));
	ASSERT_EQ(0, pthread_kill(c.thread, SIGUSR1));
	ASSERT_EQ(-EINTR, call_join(&c));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(0U, stat_of(self->fd).bytes);
	EXPECT_EQ(0U, stat_of(self->fd).sent);
}

/* Capacity 0 turned into another one, and back, with senders waiting. */
FIXTURE(capacity)
{
	struct call c[3];
	int fd;
};

FIXTURE_SETUP(capacity)
{
	int i;

	self->fd = new_mailbox(0, 0);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, start(&self->c[i], self->fd, 0, i, i + 1));
}

FIXTURE_TEARDOWN(capacity)
{
	close(self->fd);
}

TEST_F(capacity, growing_completes_waiting_senders)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(0, call_join(&self->c[0]));
	EXPECT_EQ(0, call_join(&self->c[1]));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(2U, stat_of(self->fd).queued);
	EXPECT_EQ(-EAGAIN, put(self->fd, 9));
	EXPECT_EQ(0, take(self->fd));
	EXPECT_EQ(0, call_join(&self->c[2]));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
}

TEST_F(capacity, unbounded_completes_all)
{
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, call_join(&self->c[i]));
	EXPECT_EQ(3U, stat_of(self->fd).queued);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i, take(self->fd));
}

TEST_F(capacity, shrinking_to_rendezvous_keeps_senders_waiting)
{
	struct call more = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 3));
	EXPECT_EQ(0, call_join(&self->c[0]));
	EXPECT_EQ(0, call_join(&self->c[1]));
	EXPECT_EQ(0, call_join(&self->c[2]));
	ASSERT_EQ(0, send_start(&more, self->fd, 3));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(3U, stat_of(self->fd).queued);
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0, take(self->fd));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(0, call_join(&more));
}

/* A SYNC message that is withdrawn leaves its place to others. */
FIXTURE(withdrawn)
{
	struct call sync;
	struct call next;
	int fd;
};

FIXTURE_SETUP(withdrawn)
{
	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
}

FIXTURE_TEARDOWN(withdrawn)
{
	close(self->fd);
}

TEST_F(withdrawn, by_a_signal_makes_room)
{
	ASSERT_EQ(0, start(&self->sync, self->fd, MBOX_SYNC, 1, 1));
	ASSERT_EQ(0, start(&self->next, self->fd, 0, 2, 2));
	ASSERT_EQ(0, pthread_kill(self->sync.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&self->sync));
	EXPECT_EQ(0, call_join(&self->next));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(withdrawn, by_a_deadline_makes_room)
{
	self->sync.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 200);
	self->sync.msg.flags = MBOX_SYNC;
	ASSERT_EQ(0, send_start(&self->sync, self->fd, 1));
	ASSERT_EQ(0, send_start(&self->next, self->fd, 2));
	EXPECT_EQ(-ETIMEDOUT, call_join(&self->sync));
	/* Whichever of them came in first. */
	EXPECT_EQ(0, call_join(&self->next));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

static int sync_in_child(void *arg)
{
	raw_send(*(int *)arg, "sync", 4, MBOX_SYNC);
	return 0;
}

TEST_F(withdrawn, by_SIGKILL_makes_room)
{
	pid_t pid = spawn(sync_in_child, &self->fd);

	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, start(&self->next, self->fd, 0, 2, 2));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(0, call_join(&self->next));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(withdrawn, between_others_keeps_their_order)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 5));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, start(&self->sync, self->fd, MBOX_SYNC, 2, 1));
	ASSERT_EQ(0, put(self->fd, 3));
	ASSERT_EQ(0, put_as(self->fd, 0, 1, 0));
	ASSERT_EQ(0, pthread_kill(self->sync.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&self->sync));
	EXPECT_EQ(0, take(self->fd));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_HARNESS_MAIN
