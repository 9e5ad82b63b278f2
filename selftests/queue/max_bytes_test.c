// SPDX-License-Identifier: GPL-2.0-only
/* Queues that are full by the bytes of their messages. */
#include <poll.h>

#include "peers.h"

static char payload[200];

FIXTURE(max_bytes)
{
	int fd;
};

static int new_with(__u32 flags, __u32 capacity, __u64 max_bytes)
{
	struct mbox_create arg = {
		.oflags = O_RDWR | O_CLOEXEC,
		.attr = attr_of(flags, capacity),
		.options = MBOX_OPTIONS_INIT,
	};

	arg.options.max_bytes = max_bytes;
	return raw_control(MBOX_IOC_CREATE, &arg);
}

FIXTURE_SETUP(max_bytes)
{
	self->fd = new_with(0, 10, 100);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(max_bytes)
{
	close(self->fd);
}

static long send_len(int fd, size_t len)
{
	return raw_send(fd, payload, len, MBOX_DONTWAIT);
}

/* Its length, or -errno. */
static long recv_len(int fd)
{
	char buf[sizeof(payload)];

	return raw_recv(fd, buf, sizeof(buf), MBOX_DONTWAIT);
}

static int send_len_start(struct call *c, int fd, size_t len)
{
	memset(c, 0, sizeof(*c));
	c->msg = msg_of(payload, len, 0);
	return call_start(c, fd, MBOX_IOC_SEND);
}

TEST_F(max_bytes, send_beyond_it_is_EAGAIN)
{
	EXPECT_EQ(0, send_len(self->fd, 40));
	EXPECT_EQ(0, send_len(self->fd, 40));
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 21));
	EXPECT_EQ(0, send_len(self->fd, 20));
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 1));
	/* It takes no bytes. */
	EXPECT_EQ(0, send_len(self->fd, 0));
	EXPECT_EQ(100, stat_of(self->fd).bytes);
	EXPECT_EQ(40, recv_len(self->fd));
	EXPECT_EQ(0, send_len(self->fd, 40));
}

TEST_F(max_bytes, capacity_counts_too)
{
	int fd = new_with(0, 2, 100);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, send_len(fd, 1));
	EXPECT_EQ(0, send_len(fd, 1));
	EXPECT_EQ(-EAGAIN, send_len(fd, 1));
	close(fd);
}

TEST_F(max_bytes, unbounded_mailbox_can_have_it)
{
	int fd = new_with(0, MBOX_UNBOUNDED, 100);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, send_len(fd, 100));
	EXPECT_EQ(-EAGAIN, send_len(fd, 1));
	close(fd);
}

TEST_F(max_bytes, waiting_send_goes_on_when_there_is_room)
{
	struct call sender;

	ASSERT_EQ(0, send_len(self->fd, 50));
	ASSERT_EQ(0, send_len(self->fd, 50));
	ASSERT_EQ(0, send_len_start(&sender, self->fd, 60));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(50, recv_len(self->fd));
	/* That was not enough. */
	EXPECT_EQ(1, stat_of(self->fd).waiting_senders);
	/* And this would overtake it. */
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 1));
	EXPECT_EQ(50, recv_len(self->fd));
	EXPECT_EQ(0, call_join(&sender));
	EXPECT_EQ(60, recv_len(self->fd));
}

TEST_F(max_bytes, sender_that_gives_up_lets_others_in)
{
	struct call longer, shorter;

	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, send_len(self->fd, 60));
	ASSERT_EQ(0, send_len_start(&longer, self->fd, 50));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, send_len_start(&shorter, self->fd, 40));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	pthread_kill(longer.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, call_join(&longer));
	EXPECT_EQ(0, call_join(&shorter));
	EXPECT_EQ(100, stat_of(self->fd).bytes);
}

TEST_F(max_bytes, lifespan_of_the_first_lets_others_in)
{
	struct call longer, shorter;

	ASSERT_EQ(0, send_len(self->fd, 60));
	memset(&longer, 0, sizeof(longer));
	longer.msg = msg_of(payload, 50, 0);
	longer.msg.lifespan_ns = 200 * NSEC_PER_MSEC * time_factor();
	ASSERT_EQ(0, call_start(&longer, self->fd, MBOX_IOC_SEND));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, send_len_start(&shorter, self->fd, 40));
	EXPECT_EQ(-EPIPE, call_join(&longer));
	EXPECT_EQ(0, call_join(&shorter));
}

TEST_F(max_bytes, longer_message_never_fits)
{
	struct call receiver = { 0 };
	char buf[200];

	EXPECT_EQ(-EAGAIN, send_len(self->fd, 101));
	EXPECT_EQ(-EMSGSIZE, raw_send(self->fd, payload, 101, 0));
	EXPECT_EQ(0, stat_of(self->fd).sent);
	EXPECT_EQ(0, send_len(self->fd, 100));
	EXPECT_EQ(100, recv_len(self->fd));
	/* A receiver that waits takes it from the sender. */
	receiver.msg = msg_of(buf, sizeof(buf), 0);
	ASSERT_EQ(0, call_start(&receiver, self->fd, MBOX_IOC_RECV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, raw_send(self->fd, payload, 150, 0));
	EXPECT_EQ(150, call_join(&receiver));
}

TEST_F(max_bytes, drop_oldest_makes_room_for_bytes)
{
	int fd = new_with(MBOX_DROP_OLDEST, 10, 100), i;

	ASSERT_LE(0, fd);
	for (i = 1; i <= 9; i++)
		ASSERT_EQ(0, send_len(fd, i));
	ASSERT_EQ(0, send_len(fd, 90));
	EXPECT_EQ(8, stat_of(fd).dropped);
	EXPECT_EQ(9, recv_len(fd));
	/* What never fits is dropped itself. */
	EXPECT_EQ(0, send_len(fd, 101));
	EXPECT_EQ(9, stat_of(fd).dropped);
	EXPECT_EQ(90, recv_len(fd));
	EXPECT_EQ(-EAGAIN, recv_len(fd));
	close(fd);
}

TEST_F(max_bytes, drop_newest_drops_itself)
{
	int fd = new_with(MBOX_DROP_NEWEST, 10, 100);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, send_len(fd, 90));
	ASSERT_EQ(0, send_len(fd, 20));
	EXPECT_EQ(1, stat_of(fd).dropped);
	EXPECT_EQ(90, recv_len(fd));
	close(fd);
}

TEST_F(max_bytes, fair_and_broadcast_have_it_too)
{
	static const __u32 flags[] = { MBOX_FAIR, MBOX_BROADCAST, MBOX_HANGUP };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = new_with(flags[i], 10, 100);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, send_len(fd, 60));
		EXPECT_EQ(-EAGAIN, send_len(fd, 60));
		EXPECT_EQ(60, recv_len(fd));
		EXPECT_EQ(0, send_len(fd, 60));
		close(fd);
	}
}

TEST_F(max_bytes, poll_says_whether_there_are_bytes)
{
	struct pollfd pfd = { .fd = self->fd, .events = POLLOUT };
	struct poller poller;

	EXPECT_EQ(1, poll(&pfd, 1, 0));
	ASSERT_EQ(0, send_len(self->fd, 100));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	ASSERT_EQ(0, poller_start(&poller, self->fd, POLLOUT));
	EXPECT_EQ(100, recv_len(self->fd));
	EXPECT_EQ(POLLOUT, poller_join(&poller));
}

TEST_F(max_bytes, lease_keeps_its_bytes)
{
	char buf[100];
	struct mbox_msg msg = msg_of(buf, sizeof(buf), MBOX_DONTWAIT | MBOX_LEASE);
	struct mbox_lease ack = { 0 };

	ASSERT_EQ(0, send_len(self->fd, 60));
	ASSERT_EQ(60, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 60));
	ack.token = msg.token;
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_ACK, &ack));
	EXPECT_EQ(0, send_len(self->fd, 60));
}

TEST_F(max_bytes, ring_is_EINVAL)
{
	struct mbox_create arg = { .oflags = O_RDWR, .attr = attr_of(0, 4),
				   .options = MBOX_OPTIONS_INIT };

	arg.attr.mode = MBOX_RING;
	arg.options.max_bytes = 100;
	EXPECT_EQ(-EINVAL, raw_control(MBOX_IOC_CREATE, &arg));
}

TEST_HARNESS_MAIN
