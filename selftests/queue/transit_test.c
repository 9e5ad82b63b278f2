// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages in transit: what happens to them while they are being copied.
 */
#include <sys/uio.h>

#include "slow.h"

FIXTURE(transit)
{
	struct slow slow;
	struct call receiver;
	struct call sender;
	int fd;
	int error;
};

FIXTURE_SETUP(transit)
{
	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
	self->error = slow_init(&self->slow);
	if (!self->error)
		self->receiver.msg = msg_of(self->slow.page, self->slow.size, 0);
}

FIXTURE_TEARDOWN(transit)
{
	close(self->slow.uffd);
	close(self->fd);
}

#define NEED_USERFAULTFD(self) do {					\
	if ((self)->error)						\
		SKIP(return, "userfaultfd: %s", strerror(-(self)->error)); \
} while (0)

/* A receiver that has the first message, and is stuck in the copy. */
static int receive_slowly(FIXTURE_DATA(transit) *self)
{
	int ret = call_start(&self->receiver, self->fd, MBOX_IOC_RECV);

	return ret ? ret : slow_await(&self->slow);
}

/* A sender that waits for its receipt. */
static int send_and_wait(FIXTURE_DATA(transit) *self, __u32 value)
{
	int ret = send_start(&self->sender, self->fd, value);

	return ret ? ret : await_waiting(self->fd, 1, 0);
}

TEST_F(transit, message_in_flight_is_received_by_no_other)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, receive_slowly(self));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_PEEK, 0, 0));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->receiver));
	EXPECT_EQ(1, *(int *)self->slow.page);
}

TEST_F(transit, other_calls_do_not_wait_for_the_copy)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, receive_slowly(self));
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(0, raw_set_capacity(self->fd, 5));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->receiver));
}

TEST_F(transit, failed_copy_puts_it_back_beyond_the_capacity)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, receive_slowly(self));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, send_and_wait(self, 3));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&self->receiver));
	EXPECT_EQ(2U, stat_of(self->fd).queued);
	EXPECT_EQ(0U, stat_of(self->fd).received);
	EXPECT_EQ(1, take(self->fd));
	/* Capacity still holds back the sender. */
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(0, call_join(&self->sender));
	EXPECT_EQ(3, take(self->fd));
}

TEST_F(transit, failed_copy_puts_it_in_front_of_its_priority)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 8));
	ASSERT_EQ(0, put_as(self->fd, 1, 5, 0));
	ASSERT_EQ(0, receive_slowly(self));
	ASSERT_EQ(0, put_as(self->fd, 2, 5, 0));
	ASSERT_EQ(0, put_as(self->fd, 3, 6, 0));
	ASSERT_EQ(0, put_as(self->fd, 4, 4, 0));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&self->receiver));
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(4, take(self->fd));
}

TEST_F(transit, failed_copy_goes_to_a_receiver_that_arrived_meanwhile)
{
	struct call next = { 0 };

	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, receive_slowly(self));
	ASSERT_EQ(0, recv_start(&next, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&self->receiver));
	EXPECT_EQ(1, recv_join(&next));
	EXPECT_EQ(1U, stat_of(self->fd).received);
}

TEST_F(transit, failed_copy_after_destroy)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, receive_slowly(self));
	ASSERT_EQ(0, raw_destroy(self->fd));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_GT(0, call_join(&self->receiver));
	EXPECT_EQ(-EIDRM, take(self->fd));
}

/* Sends that wait for the receipt: at a rendezvous, and with MBOX_SYNC. */
FIXTURE(receipt)
{
	struct slow slow;
	struct call receiver;
	struct call sender;
	int fd;
	int error;
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

FIXTURE_VARIANT_ADD(receipt, sync)
{
	.capacity = 1, .flags = MBOX_SYNC,
};

FIXTURE_SETUP(receipt)
{
	self->fd = new_mailbox(0, variant->capacity);
	ASSERT_LE(0, self->fd);
	self->error = slow_init(&self->slow);
	if (!self->error)
		self->receiver.msg = msg_of(self->slow.page, self->slow.size, 0);
	self->sender.msg.flags = variant->flags;
}

FIXTURE_TEARDOWN(receipt)
{
	close(self->slow.uffd);
	close(self->fd);
}

/* The receiver has the message of the sender, which waits for the copy. */
static int begin_receipt(FIXTURE_DATA(receipt) *self)
{
	int ret;

	ret = send_start(&self->sender, self->fd, 1);
	ret = ret ? ret : await_waiting(self->fd, 1, 0);
	ret = ret ? ret : call_start(&self->receiver, self->fd, MBOX_IOC_RECV);
	ret = ret ? ret : slow_await(&self->slow);
	return ret ? ret : await_waiting(self->fd, 1, 0);
}

TEST_F(receipt, comes_after_the_copy)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, begin_receipt(self));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->receiver));
	EXPECT_EQ(0, call_join(&self->sender));
}

TEST_F(receipt, does_not_come_after_a_failed_copy)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, begin_receipt(self));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&self->receiver));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(0, call_join(&self->sender));
}

TEST_F(receipt, interrupted_sender_withdraws_the_message)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, begin_receipt(self));
	pthread_kill(self->sender.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, call_join(&self->sender));
	/* The receiver is left with nothing, and goes on waiting. */
	ASSERT_EQ(0, slow_go_on(&self->slow));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0U, stat_of(self->fd).sent);
	EXPECT_EQ(0U, stat_of(self->fd).received);
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(4, call_join(&self->receiver));
	EXPECT_EQ(2, *(int *)self->slow.page);
}

TEST_F(receipt, deadline_of_the_sender_withdraws_the_message)
{
	NEED_USERFAULTFD(self);
	self->sender.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 1500 * time_factor());
	ASSERT_EQ(0, begin_receipt(self));
	EXPECT_EQ(-ETIMEDOUT, call_join(&self->sender));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_GT(0, call_join(&self->receiver));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(0U, stat_of(self->fd).sent);
}

TEST_F(receipt, withdrawn_message_is_EAGAIN_for_the_receiver)
{
	struct mbox_msg before;

	NEED_USERFAULTFD(self);
	self->sender.msg.prio = 3;
	self->sender.msg.type = 4;
	self->receiver.msg.flags = MBOX_DONTWAIT | MBOX_MATCH_NOT;
	self->receiver.msg.type = 99;
	before = self->receiver.msg;
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, begin_receipt(self));
	pthread_kill(self->sender.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, call_join(&self->sender));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(-EAGAIN, call_join(&self->receiver));
	EXPECT_EQ(0, memcmp(&before, &self->receiver.msg, sizeof(before)));
}

TEST_F(receipt, receive_restarts_after_a_withdrawn_message)
{
	static char text[100];
	struct mbox_msg msg = msg_of(text, sizeof(text), MBOX_DONTWAIT);

	NEED_USERFAULTFD(self);
	self->sender.msg.type = 4;
	self->receiver.msg.flags = MBOX_MATCH_NOT;
	self->receiver.msg.type = 99;
	/* For a kernel that makes it ask for something else. */
	self->receiver.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS / 2);
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, begin_receipt(self));
	pthread_kill(self->sender.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, call_join(&self->sender));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	/* It asks again for what it asked at first, with all its room. */
	ASSERT_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	pthread_kill(self->receiver.thread, SIGUSR1);
	ASSERT_EQ(0, await_signals(1));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	msg.type = 4;
	EXPECT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	EXPECT_EQ((long)sizeof(text), call_join(&self->receiver));
}

/* readv(2) in a thread. */
struct reader {
	pthread_t thread;
	int fd;
	struct iovec iov[2];
	long ret;
};

static void *reader_run(void *arg)
{
	struct reader *r = arg;

	errno = 0;
	r->ret = neg(readv(r->fd, r->iov, 2));
	return NULL;
}

TEST_F(receipt, message_withdrawn_from_a_vector_receive)
{
	char head[2] = { (char)POISON, (char)POISON };
	struct reader r = { .fd = self->fd,
			    .iov = { { head, 2 }, { self->slow.page, self->slow.size } } };

	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, send_start(&self->sender, self->fd, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, thread_start(&r.thread, reader_run, &r));
	ASSERT_EQ(0, slow_await(&self->slow));
	pthread_kill(self->sender.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, call_join(&self->sender));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	/* The next one begins where the first did. */
	ASSERT_EQ(0, raw_send(self->fd, "abcd", 4, MBOX_DONTWAIT));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(4, r.ret);
	EXPECT_EQ(0, memcmp(head, "ab", 2));
	EXPECT_EQ(0, memcmp(self->slow.page, "cd", 3));
}

static int sync_in_child(void *arg)
{
	FIXTURE_DATA(receipt) *self = arg;

	raw_send(self->fd, "abcd", 4, self->sender.msg.flags);
	return 0;
}

TEST_F(receipt, SIGKILL_of_the_sender_withdraws_the_message)
{
	pid_t pid;

	NEED_USERFAULTFD(self);
	pid = spawn(sync_in_child, self);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	self->receiver.msg.flags = MBOX_DONTWAIT;
	ASSERT_EQ(0, call_start(&self->receiver, self->fd, MBOX_IOC_RECV));
	ASSERT_EQ(0, slow_await(&self->slow));
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(-EAGAIN, call_join(&self->receiver));
	EXPECT_EQ(0U, stat_of(self->fd).sent);
}

TEST_F(receipt, destroy_fails_both_sides_or_neither)
{
	long sent, received;

	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, begin_receipt(self));
	ASSERT_EQ(0, raw_destroy(self->fd));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	sent = call_join(&self->sender);
	received = call_join(&self->receiver);
	EXPECT_TRUE((sent == 0 && received == 4) || (sent == -EIDRM && received == -EIDRM));
}

/* Looking at a message that goes away meanwhile. */
FIXTURE(peek)
{
	struct slow slow;
	struct call peeker;
	int fd;
	int error;
};

FIXTURE_VARIANT(peek)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(peek, plain)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(peek, drop_oldest)
{
	.flags = MBOX_DROP_OLDEST,
};

FIXTURE_SETUP(peek)
{
	self->fd = new_mailbox(variant->flags, 2);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, put(self->fd, 0x10203));
	self->error = slow_init(&self->slow);
	if (self->error)
		return;
	self->peeker.msg = msg_of(self->slow.page, self->slow.size, MBOX_PEEK);
	ASSERT_EQ(0, call_start(&self->peeker, self->fd, MBOX_IOC_RECV));
	ASSERT_EQ(0, slow_await(&self->slow));
}

FIXTURE_TEARDOWN(peek)
{
	close(self->slow.uffd);
	close(self->fd);
}

TEST_F(peek, message_is_received_during_the_copy)
{
	NEED_USERFAULTFD(self);
	EXPECT_EQ(0x10203, take(self->fd));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->peeker));
	EXPECT_EQ(0x10203, *(int *)self->slow.page);
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(peek, message_is_dropped_during_the_copy)
{
	int i;

	NEED_USERFAULTFD(self);
	for (i = 0; i < 4; i++)
		put(self->fd, i);
	EXPECT_EQ(variant->flags ? 3U : 0U, stat_of(self->fd).dropped);
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->peeker));
	EXPECT_EQ(0x10203, *(int *)self->slow.page);
	EXPECT_EQ(variant->flags ? 2 : 0x10203, take(self->fd));
}

TEST_F(peek, mailbox_is_destroyed_during_the_copy)
{
	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, raw_destroy(self->fd));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->peeker));
	EXPECT_EQ(0x10203, *(int *)self->slow.page);
}

TEST_F(peek, failed_copy_changes_nothing)
{
	struct mbox_stat before = stat_of(self->fd);

	NEED_USERFAULTFD(self);
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&self->peeker));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(0x10203, take(self->fd));
}

TEST_F(peek, others_peek_and_receive_during_the_copy)
{
	int i;

	NEED_USERFAULTFD(self);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0x10203, take_as(self->fd, MBOX_PEEK, 0, 0));
	EXPECT_EQ(0x10203, take(self->fd));
	ASSERT_EQ(0, put(self->fd, 9));
	EXPECT_EQ(9, take_as(self->fd, MBOX_PEEK, 0, 0));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->peeker));
	EXPECT_EQ(9, take(self->fd));
}

/* A sender stuck in reading its own buffer has not sent anything yet. */
TEST_F(transit, unfinished_send_is_not_queued)
{
	NEED_USERFAULTFD(self);
	self->sender.msg = msg_of(self->slow.page, 8, 0);
	ASSERT_EQ(0, call_start(&self->sender, self->fd, MBOX_IOC_SEND));
	ASSERT_EQ(0, slow_await(&self->slow));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(0U, stat_of(self->fd).sent);
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, take(self->fd));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(0, call_join(&self->sender));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
}

TEST_F(transit, destroy_during_an_unfinished_send)
{
	NEED_USERFAULTFD(self);
	self->sender.msg = msg_of(self->slow.page, 8, 0);
	ASSERT_EQ(0, call_start(&self->sender, self->fd, MBOX_IOC_SEND));
	ASSERT_EQ(0, slow_await(&self->slow));
	ASSERT_EQ(0, raw_destroy(self->fd));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(-EIDRM, call_join(&self->sender));
}

TEST_HARNESS_MAIN
