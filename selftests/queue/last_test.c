// SPDX-License-Identifier: GPL-2.0-only
/* Which process sent the last message, and which received the last one. */
#include <sched.h>

#include "leases.h"
#include "peers.h"

FIXTURE(last)
{
	int fd;
};

FIXTURE_SETUP(last)
{
	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(last)
{
	close(self->fd);
}

#define EXPECT_LAST(sender, receiver, fd) do {				\
	struct mbox_stat _st = stat_of(fd);				\
									\
	EXPECT_EQ((__u32)(sender), _st.last_sender);			\
	EXPECT_EQ((__u32)(receiver), _st.last_receiver);		\
} while (0)

/* These wait. */
static int put_in_child(void *arg)
{
	const __u32 value = 1;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);

	return raw(*(int *)arg, MBOX_IOC_SEND, &msg) != 0;
}

static int take_in_child(void *arg)
{
	__u32 value;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);

	return raw(*(int *)arg, MBOX_IOC_RECV, &msg) != sizeof(value);
}

TEST_F(last, none_at_first)
{
	EXPECT_LAST(0, 0, self->fd);
}

TEST_F(last, processes_of_the_last_calls)
{
	pid_t sender, receiver;

	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_LAST(getpid(), 0, self->fd);
	receiver = spawn(take_in_child, &self->fd);
	ASSERT_EQ(0, reap(receiver));
	/* It has exited, and is told all the same. */
	EXPECT_LAST(getpid(), receiver, self->fd);
	sender = spawn(put_in_child, &self->fd);
	ASSERT_EQ(0, reap(sender));
	EXPECT_LAST(sender, receiver, self->fd);
	ASSERT_EQ(1, take(self->fd));
	EXPECT_LAST(sender, getpid(), self->fd);
}

/* The sender hands it over, but it is not the receiver. */
TEST_F(last, receiver_that_waited)
{
	pid_t pid = spawn(take_in_child, &self->fd);

	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, reap(pid));
	EXPECT_LAST(getpid(), pid, self->fd);
}

/* The receiver lets its message in, but it is not the sender. */
TEST_F(last, sender_that_waited)
{
	pid_t pid;

	ASSERT_EQ(0, put(self->fd, 1));
	pid = spawn(put_in_child, &self->fd);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_LAST(getpid(), 0, self->fd);
	ASSERT_EQ(1, take(self->fd));
	EXPECT_LAST(pid, getpid(), self->fd);
	EXPECT_EQ(0, reap(pid));
}

TEST_F(last, rendezvous)
{
	int fd = new_mailbox(0, 0);
	pid_t pid = spawn(put_in_child, &fd);

	ASSERT_EQ(0, await_waiting(fd, 1, 0));
	EXPECT_LAST(0, 0, fd);
	ASSERT_EQ(1, take(fd));
	EXPECT_LAST(pid, getpid(), fd);
	EXPECT_EQ(0, reap(pid));
	close(fd);
}

TEST_F(last, sender_of_a_message_that_is_dropped)
{
	static const __u32 policies[] = { MBOX_DROP_NEWEST, MBOX_DROP_OLDEST };
	size_t i;

	for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		int fd = new_mailbox(policies[i], 1);
		pid_t pid;

		ASSERT_EQ(0, put(fd, 1));
		pid = spawn(put_in_child, &fd);
		ASSERT_EQ(0, reap(pid));
		EXPECT_LAST(pid, 0, fd);
		close(fd);
	}
}

/* A call that fails leaves no trace, nor does one that looks. */
TEST_F(last, calls_that_take_nothing)
{
	__u32 value;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT | MBOX_PEEK);
	void *volatile nowhere = NULL;

	EXPECT_EQ(-EAGAIN, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_LAST(0, 0, self->fd);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_LAST(getpid(), 0, self->fd);
	msg = msg_of(&value, 1, MBOX_DONTWAIT);
	EXPECT_EQ(-EMSGSIZE, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_LAST(getpid(), 0, self->fd);
	msg = msg_of(NULL, 4, MBOX_DONTWAIT);
	EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(-1, read(self->fd, nowhere, sizeof(value)));
	EXPECT_LAST(getpid(), 0, self->fd);
	msg = msg_of(&value, 4, MBOX_DONTWAIT);
	EXPECT_EQ(-EAGAIN, raw(self->fd, MBOX_IOC_SEND, &msg));
	EXPECT_LAST(getpid(), 0, self->fd);
}

/* Broadcasts keep their readers where other mailboxes count leases. */
TEST_F(last, broadcast)
{
	int fd = new_mailbox(MBOX_BROADCAST, 1);
	__u64 id = stat_of(fd).id;
	int other = raw_open_id(id, O_RDONLY);
	pid_t pid;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, put(fd, 1));
	pid = spawn(take_in_child, &other);
	ASSERT_EQ(0, reap(pid));
	EXPECT_LAST(getpid(), pid, fd);
	EXPECT_EQ(0U, stat_of(fd).redelivered);
	ASSERT_EQ(1, take(fd));
	EXPECT_LAST(getpid(), getpid(), fd);
	EXPECT_EQ(2U, stat_of(fd).received);
	close(other);
	close(fd);
}

TEST_F(last, lease)
{
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->fd, &token));
	EXPECT_LAST(getpid(), getpid(), self->fd);
	ASSERT_EQ(0, nack(self->fd, token, 0));
	EXPECT_EQ(0U, stat_of(self->fd).received);
	ASSERT_EQ(1, lease(self->fd, &token));
	EXPECT_EQ(1U, stat_of(self->fd).redelivered);
	EXPECT_EQ(1U, stat_of(self->fd).received);
}

/* The first process of another pid namespace, where this one has no number. */
static int in_pid_namespace(void *arg)
{
	int fd = *(int *)arg;
	struct mbox_stat st = stat_of(fd);
	pid_t pid;

	CHECK_EQ(1, getpid());
	CHECK_EQ(0U, st.last_sender);
	CHECK_EQ(1L, take(fd));
	CHECK_EQ(1U, stat_of(fd).last_receiver);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		put(fd, 2);
		pause();
		_exit(1);
	}
	while (!stat_of(fd).queued)
		pause_briefly();
	CHECK_EQ((__u32)pid, stat_of(fd).last_sender);
	kill(pid, SIGKILL);
	CHECK_EQ(1000 + SIGKILL, reap(pid));
	/* It has no number any more. */
	CHECK_EQ(0U, stat_of(fd).last_sender);

	return 0;
}

TEST_F(last, pid_namespace_of_the_caller)
{
	pid_t pid;

	ASSERT_EQ(0, put(self->fd, 1));
	if (unshare(CLONE_NEWPID))
		SKIP(return, "unshare: %s", strerror(errno));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(in_pid_namespace(&self->fd));
	EXPECT_EQ(0, reap(pid));
	/* Here, all of them have numbers: the first one's, and that of its child. */
	EXPECT_EQ((__u32)pid, stat_of(self->fd).last_receiver);
	EXPECT_LT((__u32)pid, stat_of(self->fd).last_sender);
}

TEST_HARNESS_MAIN
