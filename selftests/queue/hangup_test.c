// SPDX-License-Identifier: GPL-2.0-only
/* MBOX_HANGUP: what a side sees when the last handle of the other is closed. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "slow.h"

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

TEST_F(hangup, no_hangup_while_both_sides_are_open)
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

TEST_F(hangup, queued_messages_come_before_EPIPE)
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

TEST_F(hangup, death_of_the_last_sender_is_EPIPE)
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

TEST_F(hangup, new_sender_ends_the_hangup)
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

/* ---- a side that has not come yet ---------------------------------------- */

TEST_F(hangup, receive_waits_for_the_first_sender)
{
	struct mbox_msg msg = { .deadline_ns = 1 };
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	int fd = raw_create(NULL, O_RDONLY, &attr), sender;
	struct call c = { 0 };

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EAGAIN, take(fd));
	EXPECT_EQ(-ETIMEDOUT, raw(fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0, polled(fd));
	ASSERT_EQ(0, recv_start(&c, fd));
	ASSERT_EQ(0, await_waiting(fd, 0, 1));
	sender = open_again(fd, O_WRONLY);
	ASSERT_EQ(0, put(sender, 6));
	EXPECT_EQ(6, recv_join(&c));
	close(sender);
	EXPECT_EQ(-EPIPE, take(fd));
	close(fd);
}

TEST_F(hangup, send_waits_for_the_first_receiver)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 1);
	int fd = raw_create(NULL, O_WRONLY, &attr), receiver;
	struct call c = { 0 };

	ASSERT_LE(0, fd);
	EXPECT_EQ(POLLOUT, polled(fd));
	EXPECT_EQ(0, put(fd, 1));
	EXPECT_EQ(0, polled(fd));
	EXPECT_EQ(-EAGAIN, put(fd, 2));
	ASSERT_EQ(0, send_start(&c, fd, 3));
	ASSERT_EQ(0, await_waiting(fd, 1, 0));
	receiver = open_again(fd, O_RDONLY);
	EXPECT_EQ(1, take(receiver));
	EXPECT_EQ(0, call_join(&c));
	close(receiver);
	EXPECT_EQ(-EPIPE, put(fd, 4));
	close(fd);
}

/* A server makes its mailbox, and waits for the first of its clients. */
TEST_F(hangup, named_mailbox_remembers_former_peers)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	char name[64];
	int fd;

	test_name(name, sizeof(name), "hangup");
	fd = raw_create(name, O_RDONLY | O_EXCL, &attr);
	ASSERT_LE(0, fd);
	close(fd);
	/* Receivers have been there, by another handle. */
	fd = raw_open(name, O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EPIPE, put(fd, 1));
	close(fd);
	fd = raw_open(name, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EPIPE, take(fd));
	close(fd);
	raw_unlink(name);
}

TEST_F(hangup, closed_read_write_handle_has_been_on_both_sides)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	int both = raw_create(NULL, O_RDWR, &attr), fd;

	ASSERT_LE(0, both);
	fd = open_again(both, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EAGAIN, take(fd));
	close(both);
	EXPECT_EQ(-EPIPE, take(fd));
	EXPECT_EQ(POLLHUP, polled(fd));
	close(fd);
}

/* Which is what a server does that outlives its clients. */
TEST_F(hangup, holder_of_a_handle_of_the_other_side_gets_no_hangup)
{
	int kept = open_again(self->receiver, O_WRONLY);

	ASSERT_LE(0, kept);
	close(self->sender);
	self->sender = -1;
	EXPECT_EQ(-EAGAIN, take(self->receiver));
	EXPECT_EQ(0, polled(self->receiver));
	close(kept);
	EXPECT_EQ(-EPIPE, take(self->receiver));
}

/* In a socket it is open, though no process has a descriptor of it. */
TEST_F(hangup, handle_in_flight_counts_as_a_peer)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
	int sv[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &self->sender, sizeof(int));
	ASSERT_EQ(1, sendmsg(sv[0], &m, 0));
	close(self->sender);
	self->sender = -1;
	EXPECT_EQ(-EAGAIN, take(self->receiver));
	close(sv[0]);
	close(sv[1]);
	EXPECT_EQ(-EPIPE, take(self->receiver));
}

/* Nor is it on a side if it only creates the mailbox. */
TEST_F(hangup, creator_without_rights_has_been_on_no_side)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	int creator, receiver, sender;
	char name[64];

	test_name(name, sizeof(name), "hangup");
	creator = raw_create(name, O_ACCMODE | O_EXCL, &attr);
	ASSERT_LE(0, creator);
	EXPECT_EQ(0U, stat_of(creator).send_handles);
	EXPECT_EQ(0U, stat_of(creator).recv_handles);
	sender = raw_open(name, O_WRONLY);
	EXPECT_EQ(0, put(sender, 1));
	close(creator);
	EXPECT_EQ(0, put(sender, 2));
	receiver = raw_open(name, O_RDONLY);
	EXPECT_EQ(1, take(receiver));
	EXPECT_EQ(2, take(receiver));
	close(receiver);
	EXPECT_EQ(-EPIPE, put(sender, 3));
	close(sender);
	raw_unlink(name);
}

static int open_without_room(void *arg)
{
	__u64 id = *(__u64 *)arg;
	struct rlimit none = { 0, 0 };
	int device = open_device(), lowest = dup(0);
	struct mbox_open open = { .id = id, .oflags = O_WRONLY };

	CHECK(device >= 0 && lowest >= 0);
	close(lowest);
	none.rlim_cur = lowest;
	none.rlim_max = lowest;
	CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	CHECK_EQ(-EMFILE, raw(device, MBOX_IOC_OPEN, &open));
	return 0;
}

TEST_F(hangup, failed_open_is_not_a_former_peer)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	int fd = raw_create(NULL, O_RDONLY, &attr);
	struct call c = { 0 };
	int sender;
	__u64 id;

	ASSERT_LE(0, fd);
	id = stat_of(fd).id;
	ASSERT_EQ(0, recv_start(&c, fd));
	ASSERT_EQ(0, await_waiting(fd, 0, 1));
	EXPECT_EQ(0, in_child(open_without_room, &id));
	EXPECT_EQ(1U, stat_of(fd).waiting_receivers);
	EXPECT_EQ(-EAGAIN, take(fd));
	EXPECT_EQ(0, polled(fd));
	sender = open_again(fd, O_WRONLY);
	ASSERT_EQ(0, put(sender, 3));
	EXPECT_EQ(3, recv_join(&c));
	close(sender);
	close(fd);
}

/* Pollers are not woken by hangups of other mailboxes. */
TEST_F(hangup, mailboxes_without_clients_wake_no_event_loop)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	int ep = epoll_create1(EPOLL_CLOEXEC), fds[20], i, client;
	struct epoll_event event;

	ASSERT_LE(0, ep);
	for (i = 0; i < 20; i++) {
		fds[i] = raw_create(NULL, O_RDONLY, &attr);
		ASSERT_LE(0, fds[i]);
		event = (struct epoll_event){ .events = EPOLLIN, .data.u32 = i };
		ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event));
	}
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 50));
	/* Nor is there anything to do when a client comes. */
	client = open_again(fds[7], O_WRONLY);
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 50));
	ASSERT_EQ(0, put(client, 1));
	ASSERT_EQ(1, epoll_wait(ep, &event, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(7U, event.data.u32);
	EXPECT_EQ((__u32)EPOLLIN, event.events);
	EXPECT_EQ(1, take(fds[7]));
	close(client);
	ASSERT_EQ(1, epoll_wait(ep, &event, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(7U, event.data.u32);
	EXPECT_EQ((__u32)EPOLLHUP, event.events);
	for (i = 0; i < 20; i++)
		close(fds[i]);
	close(ep);
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

TEST_F(hangup, read_write_handle_counts_on_both_sides)
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

TEST_F(hangup, read_returns_0_at_hangup)
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

/* ---- the last message is in flight when the last sender goes ----------------- */

FIXTURE(last_in_flight)
{
	struct slow slow;
	struct call slow_receiver;
	struct call other;
	int error;
	int receiver;
	int second;
};

FIXTURE_VARIANT(last_in_flight)
{
	__u32 capacity;
	/* The receiver waits for the message, or takes it from the queue. */
	bool waits;
};

FIXTURE_VARIANT_ADD(last_in_flight, taken) { .capacity = 2 };
FIXTURE_VARIANT_ADD(last_in_flight, delivered) { .capacity = 2, .waits = true };
FIXTURE_VARIANT_ADD(last_in_flight, rendezvous) { .waits = true };

FIXTURE_SETUP(last_in_flight)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, variant->capacity);
	int sender;

	self->receiver = raw_create(NULL, O_RDONLY, &attr);
	ASSERT_LE(0, self->receiver);
	sender = open_again(self->receiver, O_WRONLY);
	self->second = open_again(self->receiver, O_RDONLY);
	ASSERT_LE(0, self->second);
	self->error = slow_init(&self->slow);
	if (self->error)
		SKIP(return, "userfaultfd: %s", strerror(-self->error));
	self->slow_receiver.msg = msg_of(self->slow.page, self->slow.size, 0);
	if (!variant->waits)
		ASSERT_EQ(0, put(sender, 1));
	ASSERT_EQ(0, call_start(&self->slow_receiver, self->receiver, MBOX_IOC_RECV));
	if (variant->waits) {
		ASSERT_EQ(0, await_waiting(self->receiver, 0, 1));
		ASSERT_EQ(0, put(sender, 1));
	}
	ASSERT_EQ(0, slow_await(&self->slow));
	close(sender);
	ASSERT_EQ(0, stat_of(self->receiver).queued);
}

FIXTURE_TEARDOWN(last_in_flight)
{
	if (!self->error)
		slow_end(&self->slow);
	close(self->receiver);
	close(self->second);
}

TEST_F(last_in_flight, receive_waits_until_it_is_received)
{
	char c = (char)POISON;

	EXPECT_EQ(-EAGAIN, take(self->second));
	ASSERT_EQ(0, fcntl(self->second, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, neg(read(self->second, &c, 1)));
	ASSERT_EQ(0, fcntl(self->second, F_SETFL, 0));
	EXPECT_EQ(0, polled(self->second));
	ASSERT_EQ(0, recv_start(&self->other, self->second));
	ASSERT_EQ(0, await_waiting(self->second, 0, 1));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->slow_receiver));
	EXPECT_EQ(1, *(int *)self->slow.page);
	EXPECT_EQ(-EPIPE, call_join(&self->other));
	EXPECT_EQ(-EPIPE, take(self->second));
	EXPECT_EQ(POLLHUP, polled(self->second));
	EXPECT_EQ(1U, stat_of(self->second).received);
}

TEST_F(last_in_flight, waiting_receiver_gets_it_when_the_copy_fails)
{
	ASSERT_EQ(0, recv_start(&self->other, self->second));
	ASSERT_EQ(0, await_waiting(self->second, 0, 1));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&self->slow_receiver));
	EXPECT_EQ(1, recv_join(&self->other));
	EXPECT_EQ(-EPIPE, take(self->second));
	EXPECT_EQ(1U, stat_of(self->second).received);
}

TEST_F(last_in_flight, pollers_are_told_when_the_copy_fails)
{
	struct poller p;

	ASSERT_EQ(0, poller_start(&p, self->second, POLLIN));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&self->slow_receiver));
	EXPECT_EQ(POLLIN, poller_join(&p) & POLLIN);
	EXPECT_EQ(1, take(self->second));
	EXPECT_EQ(-EPIPE, take(self->second));
}

TEST_F(last_in_flight, pollers_are_told_when_it_is_received)
{
	struct poller p;

	ASSERT_EQ(0, poller_start(&p, self->second, POLLIN));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->slow_receiver));
	EXPECT_EQ(POLLHUP, poller_join(&p));
}

TEST_F(last_in_flight, destroy_ends_the_waiting_receive)
{
	int both = open_again(self->receiver, O_RDWR);

	ASSERT_EQ(0, recv_start(&self->other, self->second));
	ASSERT_EQ(0, await_waiting(self->second, 0, 1));
	ASSERT_EQ(0, raw_destroy(both));
	EXPECT_EQ(-EIDRM, call_join(&self->other));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&self->slow_receiver));
	close(both);
}

TEST_F(last_in_flight, new_sender_ends_the_hangup)
{
	int sender = open_again(self->receiver, O_WRONLY);

	ASSERT_LE(0, sender);
	ASSERT_EQ(0, recv_start(&self->other, self->second));
	ASSERT_EQ(0, await_waiting(self->second, 0, 1));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(4, call_join(&self->slow_receiver));
	EXPECT_EQ(1U, stat_of(self->second).waiting_receivers);
	close(sender);
	EXPECT_EQ(-EPIPE, call_join(&self->other));
}

TEST_F(hangup, hangup_wakes_pollers_for_messages)
{
	struct poller p;

	ASSERT_EQ(0, poller_start(&p, self->receiver, POLLIN));
	close(self->sender);
	EXPECT_EQ(POLLHUP, poller_join(&p) & POLLHUP);
}

TEST_F(hangup, hangup_wakes_pollers_for_room)
{
	struct poller p;

	ASSERT_EQ(0, put(self->sender, 1));
	ASSERT_EQ(0, put(self->sender, 2));
	ASSERT_EQ(0, poller_start(&p, self->sender, POLLOUT));
	close(self->receiver);
	EXPECT_EQ(POLLERR, poller_join(&p) & POLLERR);
	self->receiver = -1;
}

TEST_F(hangup, no_hangup_without_the_flag)
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
