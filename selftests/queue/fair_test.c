// SPDX-License-Identifier: GPL-2.0-only
/* MBOX_FAIR: what a user may have of a mailbox. */
#include <poll.h>

#include "peers.h"

FIXTURE(fair)
{
	int fd;
	/* What a child is to do, and as which user. */
	uid_t uid;
	__u32 value;
	__u32 prio;
};

FIXTURE_SETUP(fair)
{
	self->fd = new_mailbox(MBOX_FAIR, 8);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
}

FIXTURE_TEARDOWN(fair)
{
	close(self->fd);
}

/* In a child: as many as there is room for; the exit status is their number. */
static int send_all(void *arg)
{
	FIXTURE_DATA(fair) *self = arg;
	long ret;
	int n = 0;

	if (become(self->uid, GROUP_A))
		return 200;
	while (n < 100 && !(ret = put(self->fd, self->value)))
		n++;
	return n == 100 || ret == -EAGAIN ? n : 201;
}

static int filled_by(FIXTURE_DATA(fair) *self, uid_t uid)
{
	self->uid = uid;
	self->value = uid;
	return in_child(send_all, self);
}

/* In a child: one message, which waits. */
static int send_one(void *arg)
{
	FIXTURE_DATA(fair) *self = arg;
	struct mbox_msg msg = msg_of(&self->value, sizeof(self->value), 0);

	CHECK_EQ(0, become(self->uid, GROUP_A));
	msg.prio = self->prio;
	return raw(self->fd, MBOX_IOC_SEND, &msg) ? 1 : 0;
}

static pid_t sender(FIXTURE_DATA(fair) *self, uid_t uid, __u32 value)
{
	self->uid = uid;
	self->value = value;
	return spawn(send_one, self);
}

TEST_F(fair, one_user_gets_half)
{
	EXPECT_EQ(4, filled_by(self, USER_A));
	EXPECT_EQ(0, filled_by(self, USER_A));
	EXPECT_EQ(4U, stat_of(self->fd).queued);
}

TEST_F(fair, new_user_has_room)
{
	EXPECT_EQ(4, filled_by(self, USER_A));
	EXPECT_EQ(2, filled_by(self, USER_B));
	EXPECT_EQ(1, filled_by(self, 3000));
	EXPECT_EQ(1, filled_by(self, 3001));
	/* Each place is taken now. */
	EXPECT_EQ(0, filled_by(self, 3002));
	EXPECT_EQ(8U, stat_of(self->fd).queued);
}

TEST_F(fair, last_place_belongs_to_a_waiting_user)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	EXPECT_EQ(1, filled_by(self, USER_A));
	EXPECT_EQ(0, filled_by(self, USER_B));
	EXPECT_EQ(USER_A, take(self->fd));
	EXPECT_EQ(1, filled_by(self, USER_B));
}

TEST_F(fair, shares_become_equal)
{
	int i, a = 0, b = 0;
	long from;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 9));
	EXPECT_EQ(5, filled_by(self, USER_A));
	for (i = 0; i < 9; i++) {
		filled_by(self, USER_A);
		filled_by(self, USER_B);
		ASSERT_LT(0, take(self->fd));
	}
	filled_by(self, USER_A);
	filled_by(self, USER_B);
	while ((from = take(self->fd)) > 0) {
		a += from == USER_A;
		b += from == USER_B;
	}
	EXPECT_EQ(3, a);
	EXPECT_EQ(3, b);
}

/* Without the flag, the first one gets all. */
TEST_F(fair, queue_without_the_flag_is_not_fair)
{
	close(self->fd);
	self->fd = new_mailbox(0, 8);
	EXPECT_EQ(8, filled_by(self, USER_A));
}

TEST_F(fair, unbounded_and_rendezvous_ignore_the_flag)
{
	struct call c = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	EXPECT_EQ(100, filled_by(self, USER_A));
	while (take(self->fd) >= 0)
		;
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(0, filled_by(self, USER_A));
	ASSERT_EQ(0, send_start(&c, self->fd, 5));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(5, take(self->fd));
	EXPECT_EQ(0, call_join(&c));
}

TEST_F(fair, send_waits_for_messages_of_its_own_user)
{
	pid_t pid;

	EXPECT_EQ(4, filled_by(self, USER_A));
	pid = sender(self, USER_A, 7);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	/* Others do not. */
	EXPECT_EQ(2, filled_by(self, USER_B));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	/* Half of what they have left is less now. */
	EXPECT_EQ(USER_A, take(self->fd));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(USER_A, take(self->fd));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
}

/* A sender without room does not block one that has room. */
TEST_F(fair, waiting_senders_are_passed_over)
{
	pid_t first, second;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(1, filled_by(self, USER_A));
	self->prio = 9;
	EXPECT_EQ(0, reap(sender(self, USER_B, 5)));
	self->prio = 0;
	first = sender(self, USER_A, 6);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	second = sender(self, USER_B, 7);
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	/* That of the other user goes: its place is not for the first. */
	EXPECT_EQ(5, take(self->fd));
	EXPECT_EQ(0, reap(second));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(USER_A, take(self->fd));
	EXPECT_EQ(0, reap(first));
	EXPECT_EQ(7, take(self->fd));
	EXPECT_EQ(6, take(self->fd));
}

TEST_F(fair, growing_the_capacity_admits_senders)
{
	pid_t pid;

	EXPECT_EQ(4, filled_by(self, USER_A));
	pid = sender(self, USER_A, 7);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 9));
	EXPECT_EQ(0, reap(pid));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(0, filled_by(self, USER_B));
	EXPECT_EQ(5U, stat_of(self->fd).queued);
}

TEST_F(fair, waiting_receivers_are_served)
{
	struct call c = { 0 };

	EXPECT_EQ(4, filled_by(self, USER_A));
	c.msg.flags = MBOX_MATCH;
	c.msg.type = 3;
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, put_as(self->fd, 8, 0, 3));
	EXPECT_EQ(8, recv_join(&c));
	/* And are not counted. */
	EXPECT_EQ(2, filled_by(self, USER_B));
}

TEST_F(fair, message_put_back_counts_for_its_user)
{
	int i;

	EXPECT_EQ(4, filled_by(self, USER_A));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, raw_recv(self->fd, (void *)1, 4, 0));
	EXPECT_EQ(0, filled_by(self, USER_A));
	EXPECT_EQ(USER_A, take_as(self->fd, MBOX_PEEK, 0, 0));
	EXPECT_EQ(0, filled_by(self, USER_A));
	EXPECT_EQ(USER_A, take(self->fd));
	EXPECT_EQ(1, filled_by(self, USER_A));
}

TEST_F(fair, withdrawn_message_does_not_count)
{
	struct call c = { .msg.flags = MBOX_SYNC };
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, send_start(&c, self->fd, 1));
		ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
		ASSERT_EQ(0, pthread_kill(c.thread, SIGUSR1));
		ASSERT_EQ(-EINTR, call_join(&c));
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, put(self->fd, i));
	EXPECT_EQ(-EAGAIN, put(self->fd, i));
}

static int poll_out(void *arg)
{
	FIXTURE_DATA(fair) *self = arg;
	struct pollfd pfd = { .fd = self->fd, .events = POLLOUT };

	CHECK_EQ(0, become(self->uid, GROUP_A));
	return poll(&pfd, 1, 0) == 1 && pfd.revents == POLLOUT ? 1 : 0;
}

TEST_F(fair, poll_reports_the_room_of_the_callers_user)
{
	self->uid = USER_A;
	EXPECT_EQ(1, in_child(poll_out, self));
	EXPECT_EQ(4, filled_by(self, USER_A));
	EXPECT_EQ(0, in_child(poll_out, self));
	self->uid = USER_B;
	EXPECT_EQ(1, in_child(poll_out, self));
	EXPECT_EQ(USER_A, take(self->fd));
	self->uid = USER_A;
	EXPECT_EQ(1, in_child(poll_out, self));
}

static int poll_until_out(void *arg)
{
	FIXTURE_DATA(fair) *self = arg;
	struct pollfd pfd = { .fd = self->fd, .events = POLLOUT };

	CHECK_EQ(0, become(self->uid, GROUP_A));
	CHECK_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	CHECK_EQ(0, put(self->fd, 9));
	return 0;
}

TEST_F(fair, poll_is_woken_by_room_in_the_share)
{
	pid_t pid;

	EXPECT_EQ(4, filled_by(self, USER_A));
	self->uid = USER_A;
	pid = spawn(poll_until_out, self);
	ASSERT_EQ(0, await_asleep(&pid));
	EXPECT_EQ(USER_A, take(self->fd));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(4U, stat_of(self->fd).queued);
}

TEST_F(fair, other_policies_with_the_flag_are_EINVAL)
{
	struct mbox_attr attr = attr_of(MBOX_FAIR | MBOX_DROP_OLDEST, 8);

	EXPECT_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
	attr.flags = MBOX_FAIR | MBOX_DROP_NEWEST;
	EXPECT_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
	EXPECT_EQ(MBOX_FAIR, stat_of(self->fd).attr.flags);
}

TEST_HARNESS_MAIN
