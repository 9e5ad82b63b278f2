// SPDX-License-Identifier: GPL-2.0-only
/* MBOX_HANGUP: what becomes of a side when nobody is left on the other. */
#include <poll.h>

#include "peers.h"

FIXTURE(hangup)
{
	int receiver;
	int sender;
};

FIXTURE_SETUP(hangup)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);

	self->receiver = raw_create(NULL, O_RDONLY, &attr);
	ASSERT_LE(0, self->receiver);
	self->sender = open_again(self->receiver, O_WRONLY);
	ASSERT_LE(0, self->sender);
}

FIXTURE_TEARDOWN(hangup)
{
	close(self->receiver);
	close(self->sender);
}

static int polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	p.revents = (short)POISON32;
	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

TEST_F(hangup, nothing_happens_while_both_sides_are_there)
{
	EXPECT_EQ(-EAGAIN, take(self->receiver));
	EXPECT_EQ(0, polled(self->receiver));
	EXPECT_EQ(POLLOUT, polled(self->sender));
	EXPECT_EQ(0, put(self->sender, 1));
	EXPECT_EQ(POLLIN, polled(self->receiver));
	EXPECT_EQ(1, take(self->receiver));
}

TEST_F(hangup, receive_without_senders_is_EPIPE)
{
	struct mbox_msg msg = { .flags = 0, .deadline_ns = 1 };
	char c = (char)POISON;

	close(self->sender);
	EXPECT_EQ(-EPIPE, raw_recv(self->receiver, &c, 1, 0));
	EXPECT_EQ(-EPIPE, raw_recv(self->receiver, &c, 1, MBOX_DONTWAIT));
	EXPECT_EQ(-EPIPE, raw_recv(self->receiver, &c, 1, MBOX_PEEK));
	EXPECT_EQ(-EPIPE, raw_recv(self->receiver, &c, 1, MBOX_MATCH));
	EXPECT_EQ(-EPIPE, raw(self->receiver, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0, neg(read(self->receiver, &c, 1)));
	EXPECT_EQ((char)POISON, c);
	EXPECT_EQ(POLLHUP, polled(self->receiver) & (POLLHUP | POLLERR));
}

TEST_F(hangup, what_is_queued_comes_before_EPIPE)
{
	__u32 value = POISON32;

	ASSERT_EQ(0, put(self->sender, 1));
	ASSERT_EQ(0, put(self->sender, 2));
	close(self->sender);
	EXPECT_EQ(POLLIN | POLLHUP, polled(self->receiver) & (POLLIN | POLLHUP));
	EXPECT_EQ(1, take(self->receiver));
	EXPECT_EQ(4, neg(read(self->receiver, &value, sizeof(value))));
	EXPECT_EQ(2U, value);
	EXPECT_EQ(-EPIPE, take(self->receiver));
	EXPECT_EQ(0, neg(read(self->receiver, &value, sizeof(value))));
}

TEST_F(hangup, waiting_receivers_are_woken)
{
	struct call calls[4] = { 0 };
	int copy = dup(self->sender), i;

	calls[1].msg.flags = MBOX_PEEK;
	calls[2].msg.flags = MBOX_MATCH;
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, recv_start(&calls[i], self->receiver));
	ASSERT_EQ(0, await_waiting(self->receiver, 0, 4));
	/* Not the last one. */
	close(self->sender);
	ASSERT_EQ(4U, stat_of(self->receiver).waiting_receivers);
	close(copy);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-EPIPE, call_join(&calls[i]));
}

static int sender_that_dies(void *arg)
{
	char c;

	return read(*(int *)arg, &c, 1) != 1;
}

TEST_F(hangup, death_of_the_last_sender_counts)
{
	struct call c = { 0 };
	int go[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(go));
	pid = spawn(sender_that_dies, &go[0]);
	close(self->sender);
	ASSERT_EQ(0, recv_start(&c, self->receiver));
	ASSERT_EQ(0, await_waiting(self->receiver, 0, 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(-EPIPE, call_join(&c));
}

TEST_F(hangup, a_new_sender_ends_it)
{
	struct call c = { 0 };

	close(self->sender);
	EXPECT_EQ(-EPIPE, take(self->receiver));
	self->sender = open_again(self->receiver, O_WRONLY);
	EXPECT_EQ(-EAGAIN, take(self->receiver));
	EXPECT_EQ(0, polled(self->receiver));
	ASSERT_EQ(0, recv_start(&c, self->receiver));
	ASSERT_EQ(0, await_waiting(self->receiver, 0, 1));
	ASSERT_EQ(0, put(self->sender, 5));
	EXPECT_EQ(5, recv_join(&c));
}

TEST_F(hangup, before_the_first_sender_it_is_the_same)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	int fd = raw_create(NULL, O_RDONLY, &attr);

	EXPECT_EQ(-EPIPE, take(fd));
	EXPECT_EQ(POLLHUP, polled(fd) & POLLHUP);
	close(fd);
	fd = raw_create(NULL, O_WRONLY, &attr);
	EXPECT_EQ(-EPIPE, put(fd, 1));
	close(fd);
}

TEST_F(hangup, send_without_receivers_is_EPIPE)
{
	struct mbox_msg msg = { .deadline_ns = 1 };
	struct mbox_stat before;

	ASSERT_EQ(0, catch_signal(SIGPIPE, 0));
	close(self->receiver);
	self->receiver = -1;
	before = stat_of(self->sender);
	EXPECT_EQ(-EPIPE, raw_send(self->sender, "x", 1, 0));
	EXPECT_EQ(-EPIPE, raw_send(self->sender, "x", 1, MBOX_DONTWAIT));
	EXPECT_EQ(-EPIPE, raw_send(self->sender, "x", 1, MBOX_SYNC));
	EXPECT_EQ(-EPIPE, raw(self->sender, MBOX_IOC_SEND, &msg));
	EXPECT_EQ(-EPIPE, neg(write(self->sender, "x", 1)));
	EXPECT_EQ(0, signals_seen);
	EXPECT_TRUE(same_stat(self->sender, &before));
	EXPECT_EQ(POLLERR | POLLHUP, polled(self->sender) & (POLLERR | POLLHUP));
}

TEST_F(hangup, length_is_checked_before_EPIPE)
{
	close(self->receiver);
	self->receiver = -1;
	EXPECT_EQ(-EMSGSIZE, raw_send(self->sender, NULL, 8193, 0));
}

TEST_F(hangup, waiting_senders_are_woken)
{
	struct call calls[3] = { 0 };
	int i;

	calls[1].msg.flags = MBOX_SYNC;
	ASSERT_EQ(0, put(self->sender, 1));
	ASSERT_EQ(0, put(self->sender, 2));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, send_start(&calls[i], self->sender, 3));
	ASSERT_EQ(0, await_waiting(self->sender, 3, 0));
	close(self->receiver);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EPIPE, call_join(&calls[i]));
	EXPECT_EQ(0U, stat_of(self->sender).waiting_senders);
	EXPECT_EQ(2U, stat_of(self->sender).queued);
	self->receiver = open_again(self->sender, O_RDONLY);
	EXPECT_EQ(1, take(self->receiver));
	EXPECT_EQ(2, take(self->receiver));
	EXPECT_EQ(-EAGAIN, take(self->receiver));
}

TEST_F(hangup, waiting_synchronous_sender_is_woken)
{
	struct call c = { .msg.flags = MBOX_SYNC };

	ASSERT_EQ(0, send_start(&c, self->sender, 3));
	ASSERT_EQ(0, await_waiting(self->sender, 1, 0));
	ASSERT_EQ(1U, stat_of(self->sender).queued);
	close(self->receiver);
	EXPECT_EQ(-EPIPE, call_join(&c));
	self->receiver = open_again(self->sender, O_RDONLY);
	EXPECT_EQ(-EAGAIN, take(self->receiver));
}

TEST_F(hangup, waiting_rendezvous_sender_is_woken)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 0);
	struct call c = { 0 };

	close(self->receiver);
	close(self->sender);
	self->receiver = raw_create(NULL, O_RDONLY, &attr);
	self->sender = open_again(self->receiver, O_WRONLY);
	ASSERT_EQ(0, send_start(&c, self->sender, 3));
	ASSERT_EQ(0, await_waiting(self->sender, 1, 0));
	close(self->receiver);
	EXPECT_EQ(-EPIPE, call_join(&c));
	self->receiver = -1;
}

TEST_F(hangup, a_handle_with_both_rights_is_both_sides)
{
	int both = open_again(self->receiver, O_RDWR);
	struct call c = { 0 };

	close(self->sender);
	EXPECT_EQ(-EAGAIN, take(self->receiver));
	close(self->receiver);
	EXPECT_EQ(0, put(both, 1));
	EXPECT_EQ(1, take(both));
	ASSERT_EQ(0, recv_start(&c, both));
	ASSERT_EQ(0, await_waiting(both, 0, 1));
	ASSERT_EQ(0, put(both, 2));
	EXPECT_EQ(2, recv_join(&c));
	close(both);
	self->sender = -1;
	self->receiver = -1;
}

TEST_F(hangup, end_of_file_for_a_program_that_reads)
{
	char text[16];
	size_t len = 0;
	ssize_t ret;

	ASSERT_EQ(0, raw_send(self->sender, "ab", 2, 0));
	ASSERT_EQ(0, raw_send(self->sender, "cd", 2, 0));
	close(self->sender);
	while ((ret = read(self->receiver, text + len, sizeof(text) - len)) > 0)
		len += ret;
	EXPECT_EQ(0, ret);
	EXPECT_EQ(4U, len);
	EXPECT_EQ(0, memcmp(text, "abcd", 4));
}

struct poller {
	pthread_t thread;
	pid_t tid;
	int fd;
	short events;
	int ret;
};

static void *poll_in_thread(void *arg)
{
	struct poller *p = arg;
	struct pollfd pfd = { .fd = p->fd, .events = p->events };

	__atomic_store_n(&p->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	p->ret = poll(&pfd, 1, -1) == 1 ? pfd.revents : -errno;
	return NULL;
}

TEST_F(hangup, wakes_who_polls_to_receive)
{
	struct poller p = { .fd = self->receiver, .events = POLLIN };

	ASSERT_EQ(0, thread_start(&p.thread, poll_in_thread, &p));
	ASSERT_EQ(0, await_asleep(&p.tid));
	close(self->sender);
	pthread_join(p.thread, NULL);
	EXPECT_EQ(POLLHUP, p.ret & POLLHUP);
}

TEST_F(hangup, wakes_who_polls_to_send)
{
	struct poller p = { .fd = self->sender, .events = POLLOUT };

	ASSERT_EQ(0, put(self->sender, 1));
	ASSERT_EQ(0, put(self->sender, 2));
	ASSERT_EQ(0, thread_start(&p.thread, poll_in_thread, &p));
	ASSERT_EQ(0, await_asleep(&p.tid));
	close(self->receiver);
	pthread_join(p.thread, NULL);
	EXPECT_EQ(POLLERR, p.ret & POLLERR);
	self->receiver = -1;
}

TEST_F(hangup, without_the_flag_nothing_of_it)
{
	struct mbox_attr attr = attr_of(0, 1);
	int receiver = raw_create(NULL, O_RDONLY, &attr), sender;
	struct call c = { 0 };

	EXPECT_EQ(-EAGAIN, take(receiver));
	EXPECT_EQ(0, polled(receiver));
	ASSERT_EQ(0, recv_start(&c, receiver));
	ASSERT_EQ(0, await_waiting(receiver, 0, 1));
	sender = open_again(receiver, O_WRONLY);
	close(sender);
	EXPECT_EQ(1U, stat_of(receiver).waiting_receivers);
	sender = open_again(receiver, O_WRONLY);
	ASSERT_EQ(0, put(sender, 4));
	EXPECT_EQ(4, recv_join(&c));
	close(receiver);
	EXPECT_EQ(0, put(sender, 5));
	EXPECT_EQ(-EAGAIN, put(sender, 6));
	EXPECT_EQ(0, polled(sender));
	close(sender);
}

TEST_HARNESS_MAIN
