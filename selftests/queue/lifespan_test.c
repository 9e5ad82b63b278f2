// SPDX-License-Identifier: GPL-2.0-only
/* Lifespans: messages that are dropped when their time is over, wherever they wait. */
#include <poll.h>

#include "leases.h"
#include "random.h"
#include "slow.h"

/* Over before anything else happens. */
#define SHORT_NS 1
/* Long enough to do something before. */
#define SOME_MS (100 * time_factor())
#define SOME_NS (SOME_MS * NSEC_PER_MSEC)
/* Never. */
#define LONG_NS (3600LL * 1000 * NSEC_PER_MSEC)

static const __u32 policies[] = { 0, MBOX_FAIR, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_HANGUP };

FIXTURE(lifespan)
{
	int fd;
};

FIXTURE_SETUP(lifespan)
{
	self->fd = new_mailbox(0, 2);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(lifespan)
{
	close(self->fd);
}

static long put_for(int fd, __u32 value, __u32 prio, __u64 ns, __u32 flags)
{
	struct mbox_msg msg = msg_of(&value, sizeof(value), flags);

	msg.prio = prio;
	msg.type = value;
	msg.lifespan_ns = ns;
	return raw(fd, MBOX_IOC_SEND, &msg);
}

static long take_left(int fd, __u32 flags, __u64 *left)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), flags | MBOX_DONTWAIT);
	long ret;

	memset(&msg.lifespan_ns, POISON, sizeof(msg.lifespan_ns));
	ret = raw(fd, MBOX_IOC_RECV, &msg);
	*left = msg.lifespan_ns;
	return ret < 0 ? ret : (long)value;
}

static int send_for_start(struct call *c, int fd, __u32 value, __u64 ns, __u32 flags)
{
	memset(c, 0, sizeof(*c));
	c->msg.lifespan_ns = ns;
	c->msg.flags = flags;
	c->msg.buf = (uintptr_t)&c->value;
	c->msg.len = sizeof(c->value);
	return send_start(c, fd, value);
}

/* Whether everything that was sent is accounted for. */
static bool adds_up(int fd)
{
	struct mbox_stat st = stat_of(fd);

	return st.sent == st.received + st.queued + st.dropped + st.expired;
}

TEST_F(lifespan, message_is_never_received_afterwards)
{
	unsigned int i;
	__u64 left;
	int fd;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		fd = new_mailbox(policies[i], 4);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, put_for(fd, 1, 9, SHORT_NS, 0));
		ASSERT_EQ(0, put_for(fd, 2, 0, LONG_NS, 0));
		EXPECT_EQ(2, take_left(fd, MBOX_PEEK, &left));
		EXPECT_EQ(2, take_left(fd, 0, &left))
			TH_LOG("flags %#x", policies[i]);
		EXPECT_LT(0, left);
		EXPECT_GE(LONG_NS, left);
		EXPECT_EQ(-EAGAIN, take(fd));
		EXPECT_EQ(1, stat_of(fd).expired);
		EXPECT_EQ(0, stat_of(fd).dropped);
		EXPECT_TRUE(adds_up(fd));
		close(fd);
	}
}

/* By whatever call: a type, a peek behind another, read(2), a batch. */
TEST_F(lifespan, fdinfo_counts_the_ends)
{
	char path[64], text[4096];

	ASSERT_EQ(0, put_for(self->fd, 1, 0, SHORT_NS, 0));
	ASSERT_EQ(0, put_for(self->fd, 2, 0, LONG_NS, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_MATCH, 1, 0));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_TRUE(!!strstr(text, "mbox-expired:\t1\n"));
}

TEST_F(lifespan, no_kind_of_receive_gets_it)
{
	struct mbox_msg msgs[2];
	__u32 values[2];
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 100));
	for (i = 0; i < 70; i++)
		ASSERT_EQ(0, put_for(self->fd, 7, 0, SHORT_NS, 0));
	ASSERT_EQ(0, put_for(self->fd, 8, 0, LONG_NS, 0));
	ASSERT_EQ(0, put_for(self->fd, 7, 0, SHORT_NS, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_MATCH, 7, 0));
	ASSERT_EQ(0, put_for(self->fd, 7, 0, SHORT_NS, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->fd, MBOX_PEEK, 0, 1));
	EXPECT_EQ(8, take_as(self->fd, MBOX_PEEK, 0, 0));
	ASSERT_EQ(0, put_for(self->fd, 9, 5, SHORT_NS, 0));
	ASSERT_EQ(4, read(self->fd, values, 4));
	EXPECT_EQ(8, values[0]);
	ASSERT_EQ(0, put_for(self->fd, 9, 5, SHORT_NS, 0));
	ASSERT_EQ(0, put_for(self->fd, 10, 0, LONG_NS, 0));
	for (i = 0; i < 2; i++)
		msgs[i] = msg_of(&values[i], 4, 0);
	EXPECT_EQ(1, raw_vec(self->fd, MBOX_IOC_RECVV, msgs, 2, MBOX_DONTWAIT));
	EXPECT_EQ(10, values[0]);
	EXPECT_EQ(0, stat_of(self->fd).queued);
	EXPECT_TRUE(adds_up(self->fd));
}

TEST_F(lifespan, time_left_is_told)
{
	__u64 left;

	ASSERT_EQ(0, put_for(self->fd, 1, 0, SOME_NS * 100, 0));
	ASSERT_EQ(0, put(self->fd, 2));
	usleep(SOME_MS * 1000);
	EXPECT_EQ(1, take_left(self->fd, MBOX_PEEK, &left));
	EXPECT_GE(SOME_NS * 99, (__s64)left);
	EXPECT_LT(SOME_NS, (__s64)left);
	EXPECT_EQ(1, take_left(self->fd, 0, &left));
	EXPECT_EQ(2, take_left(self->fd, 0, &left));
	EXPECT_EQ(0, left);
	/* The longest does not overflow. */
	ASSERT_EQ(0, put_for(self->fd, 3, 0, ~0ULL, 0));
	EXPECT_EQ(3, take_left(self->fd, 0, &left));
	EXPECT_LT(LONG_NS, (__s64)left);
}

/* A receiver that waits has it at once. */
TEST_F(lifespan, waiting_receiver_gets_the_shortest)
{
	struct call receiver = { 0 };

	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put_for(self->fd, 5, 0, SHORT_NS, 0));
	EXPECT_EQ(5, recv_join(&receiver));
	EXPECT_LT(0, receiver.msg.lifespan_ns);
	EXPECT_EQ(0, stat_of(self->fd).expired);
}

TEST_F(lifespan, end_makes_room_for_a_waiting_sender)
{
	static const __u32 flags[] = { 0, MBOX_FAIR, MBOX_HANGUP };
	struct call sender;
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = new_mailbox(flags[i], 1);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, put_for(fd, 1, 0, SOME_NS, 0));
		memset(&sender, 0, sizeof(sender));
		ASSERT_EQ(0, send_start(&sender, fd, 2));
		/* Nothing else is done here: it has to end by itself. */
		EXPECT_EQ(0, call_join(&sender));
		EXPECT_EQ(2, take(fd))
			TH_LOG("flags %#x", flags[i]);
		EXPECT_EQ(1, stat_of(fd).expired);
		EXPECT_TRUE(adds_up(fd));
		close(fd);
	}
}

TEST_F(lifespan, end_makes_room_for_a_call_that_does_not_wait)
{
	ASSERT_EQ(0, put_for(self->fd, 1, 0, SHORT_NS, 0));
	ASSERT_EQ(0, put_for(self->fd, 2, 0, SHORT_NS, 0));
	EXPECT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(0, put(self->fd, 4));
	EXPECT_EQ(-EAGAIN, put(self->fd, 5));
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(4, take(self->fd));
}

TEST_F(lifespan, poll_sees_the_end)
{
	struct pollfd pfd = { .fd = self->fd, .events = POLLIN | POLLOUT };

	ASSERT_EQ(0, put_for(self->fd, 1, 0, SHORT_NS, 0));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLOUT, pfd.revents);
	ASSERT_EQ(0, put_for(self->fd, 1, 0, SOME_NS, 0));
	ASSERT_EQ(0, put_for(self->fd, 2, 0, SOME_NS, 0));
	/* It sleeps, unless the lifespans are over already. */
	pfd.events = POLLOUT;
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLOUT, pfd.revents);
}

/* Those of a short lifespan leave in the order of their ends, whatever their place. */
TEST_F(lifespan, ends_in_any_order)
{
	__u32 i, n = 90;

	ASSERT_EQ(0, raw_set_capacity(self->fd, n));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, put_for(self->fd, i, i * 31 % 7,
				     i % 3 ? SHORT_NS + i * 37 % 50 : LONG_NS, 0));
	EXPECT_EQ(n / 3, stat_of(self->fd).queued);
	EXPECT_EQ(n - n / 3, stat_of(self->fd).expired);
	for (i = 0; i < n / 3; i++)
		EXPECT_EQ(0, take(self->fd) % 3);
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_TRUE(adds_up(self->fd));
}

TEST_F(lifespan, sync_send_fails_with_EPIPE)
{
	EXPECT_EQ(-EPIPE, put_for(self->fd, 1, 0, SOME_NS, MBOX_SYNC));
	EXPECT_EQ(1, stat_of(self->fd).expired);
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_TRUE(adds_up(self->fd));
}

/* A message that is still with its sender ends, too. */
TEST_F(lifespan, waiting_send_fails_with_EPIPE)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(-EPIPE, put_for(self->fd, 3, 0, SOME_NS, 0));
	EXPECT_EQ(1, stat_of(self->fd).expired);
	EXPECT_EQ(0, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_TRUE(adds_up(self->fd));
}

/* It would begin anew each time, and the message never die. */
TEST_F(lifespan, interrupted_send_is_not_restarted)
{
	static const __u32 capacities[] = { 2, 0 };
	struct call sender;
	unsigned int i;

	ASSERT_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	for (i = 0; i < ARRAY_SIZE(capacities) * 2; i++) {
		ASSERT_EQ(0, raw_set_capacity(self->fd, capacities[i / 2]));
		ASSERT_EQ(0, send_for_start(&sender, self->fd, 3, LONG_NS, i % 2 * MBOX_SYNC));
		ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
		pthread_kill(sender.thread, SIGUSR1);
		EXPECT_EQ(-EINTR, call_join(&sender));
		EXPECT_EQ(0, stat_of(self->fd).waiting_senders);
		EXPECT_EQ(2, stat_of(self->fd).sent);
		EXPECT_TRUE(adds_up(self->fd));
	}
	/* One without a lifespan is. */
	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	ASSERT_EQ(0, send_for_start(&sender, self->fd, 4, 0, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	pthread_kill(sender.thread, SIGUSR1);
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(0, call_join(&sender));
	EXPECT_EQ(0, stat_of(self->fd).expired);
}

TEST_F(lifespan, rendezvous_fails_with_EPIPE)
{
	struct call sender;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(-EPIPE, put_for(self->fd, 1, 0, SOME_NS, 0));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	ASSERT_EQ(0, send_for_start(&sender, self->fd, 2, LONG_NS, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(0, call_join(&sender));
	EXPECT_TRUE(adds_up(self->fd));
}

TEST_F(lifespan, unbounded_mailbox_empties)
{
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, put_for(self->fd, i, 0, SHORT_NS, 0));
	EXPECT_EQ(0, stat_of(self->fd).queued);
	EXPECT_EQ(1000, stat_of(self->fd).expired);
}

/* The oldest are dropped as ever, with or without a lifespan. */
TEST_F(lifespan, drop_oldest_goes_on)
{
	int fd = new_mailbox(MBOX_DROP_OLDEST, 2);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, put_for(fd, 1, 0, LONG_NS, 0));
	ASSERT_EQ(0, put_for(fd, 2, 0, SHORT_NS, 0));
	ASSERT_EQ(0, put(fd, 3));
	EXPECT_EQ(0, stat_of(fd).dropped);
	ASSERT_EQ(0, put(fd, 4));
	EXPECT_EQ(1, stat_of(fd).dropped);
	EXPECT_EQ(3, take(fd));
	EXPECT_EQ(4, take(fd));
	EXPECT_TRUE(adds_up(fd));
	close(fd);
}

/* A receiver that copies it may keep it; what comes back after its time is dropped. */
TEST_F(lifespan, copy_in_flight_is_not_cut_short)
{
	struct call receiver = { 0 };
	struct slow slow;
	int i, error;

	for (i = 0; i < 2; i++) {
		error = slow_init(&slow);
		if (error)
			SKIP(return, "userfaultfd: %s", strerror(-error));
		ASSERT_EQ(0, put_for(self->fd, 1, 0, SOME_NS, 0));
		receiver.msg = msg_of(slow.page, slow.size, 0);
		ASSERT_EQ(0, call_start(&receiver, self->fd, MBOX_IOC_RECV));
		ASSERT_EQ(0, slow_await(&slow));
		usleep(SOME_MS * 2000);
		EXPECT_EQ(0, stat_of(self->fd).expired);
		ASSERT_EQ(0, i ? slow_fail(&slow) : slow_go_on(&slow));
		EXPECT_EQ(i ? -EFAULT : 4, call_join(&receiver));
		EXPECT_EQ(i, stat_of(self->fd).expired);
		EXPECT_EQ(-EAGAIN, take(self->fd));
		EXPECT_TRUE(adds_up(self->fd));
		slow_end(&slow);
	}
}

/* Likewise a receiver that has it on lease, whether the lifespan has ended or not. */
TEST_F(lifespan, lease_is_not_cut_short)
{
	unsigned int i;
	__u64 token;
	int fd;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		fd = new_mailbox(policies[i], 4);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, put_for(fd, 1, 0, SOME_NS, 0));
		ASSERT_EQ(1, lease(fd, &token));
		usleep(SOME_MS * 2000);
		EXPECT_EQ(1, stat_of(fd).leased);
		EXPECT_EQ(0, stat_of(fd).expired);
		EXPECT_EQ(0, ack(fd, token));
		EXPECT_EQ(1, stat_of(fd).received);
		EXPECT_EQ(0, stat_of(fd).expired);
		EXPECT_TRUE(adds_up(fd));
		close(fd);
	}
}

TEST_F(lifespan, lease_put_back_in_time_goes_on_to_its_end)
{
	__u64 token, left;

	ASSERT_EQ(0, put_for(self->fd, 1, 0, LONG_NS, 0));
	ASSERT_EQ(0, put_for(self->fd, 2, 0, SOME_NS * 2, 0));
	ASSERT_EQ(1, lease(self->fd, &token));
	ASSERT_EQ(0, nack(self->fd, token, 0));
	EXPECT_EQ(1, take_left(self->fd, 0, &left));
	EXPECT_GT(LONG_NS, left);
	ASSERT_EQ(2, lease(self->fd, &token));
	ASSERT_EQ(0, nack(self->fd, token, 0));
	/* The timer has it again. */
	while (!stat_of(self->fd).expired)
		pause_briefly();
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_TRUE(adds_up(self->fd));
}

/* At once, after a delay, and with the handle. */
TEST_F(lifespan, lease_put_back_after_its_end_is_dropped)
{
	unsigned int i, how;
	__u64 token;
	int fd, other;

	for (i = 0; i < ARRAY_SIZE(policies) * 3; i++) {
		how = i % 3;
		fd = new_mailbox(policies[i / 3], 1);
		ASSERT_LE(0, fd);
		other = open_again(fd, O_RDWR);
		ASSERT_LE(0, other);
		ASSERT_EQ(0, put_for(fd, 1, 0, SOME_NS, 0));
		ASSERT_EQ(1, lease(other, &token));
		usleep(SOME_MS * 2000);
		if (how == 2)
			close(other);
		else
			ASSERT_EQ(0, nack(other, token, how));
		while (stat_of(fd).leased)
			pause_briefly();
		EXPECT_EQ(-EAGAIN, take(fd));
		EXPECT_EQ(1, stat_of(fd).expired)
			TH_LOG("flags %#x, way %u", policies[i / 3], how);
		EXPECT_EQ(0, stat_of(fd).dropped);
		EXPECT_EQ(0, stat_of(fd).received);
		EXPECT_TRUE(adds_up(fd));
		/* Its place is free. */
		EXPECT_EQ(0, put(fd, 2));
		EXPECT_EQ(2, take(fd));
		if (how != 2)
			close(other);
		close(fd);
	}
}

TEST_F(lifespan, sync_send_ends_with_the_lease_that_comes_back_late)
{
	struct call sender;
	__u64 token;
	int late;

	for (late = 0; late < 2; late++) {
		ASSERT_EQ(0, send_for_start(&sender, self->fd, 1, SOME_NS * 5, MBOX_SYNC));
		ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
		ASSERT_EQ(1, lease(self->fd, &token));
		usleep(SOME_MS * 8000);
		/* The sender waits for the receiver, however long that has it. */
		EXPECT_EQ(1, stat_of(self->fd).waiting_senders);
		ASSERT_EQ(0, late ? nack(self->fd, token, 0) : ack(self->fd, token));
		EXPECT_EQ(late ? -EPIPE : 0, call_join(&sender));
		EXPECT_EQ(late, stat_of(self->fd).expired);
		EXPECT_EQ(-EAGAIN, take(self->fd));
		EXPECT_TRUE(adds_up(self->fd));
	}
}

TEST_F(lifespan, descriptors_are_closed)
{
	struct pollfd pfd;
	int pipes[2];
	struct mbox_msg msg;
	__u32 value = 0;

	ASSERT_EQ(0, pipe(pipes));
	msg = msg_of(&value, 4, 0);
	msg.fds = (uintptr_t)&pipes[1];
	msg.nfds = 1;
	msg.lifespan_ns = SOME_NS;
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	close(pipes[1]);
	/* The writing end is closed with the message, by nobody who calls. */
	pfd = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLHUP, pfd.revents);
	close(pipes[0]);
}

/* Whatever became of the messages, as many as before are possible. */
static int fill_again_and_again(void *arg)
{
	int *param = arg, fd, i, n[2] = { 0 };

	CHECK_EQ(0, become(USER_B, 4711));
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK(fd >= 0);
	CHECK_EQ(5, pwrite(*param, "65536", 5, 0));
	for (i = 0; i < 2; i++) {
		while (!put_for(fd, 1, 0, SOME_NS * 20, MBOX_DONTWAIT))
			n[i]++;
		CHECK_EQ(-EDQUOT, put_for(fd, 1, 0, LONG_NS, MBOX_DONTWAIT));
		/* Without a lifespan, a message is smaller. */
		CHECK(n[i] > 100);
		for (; take(fd) >= 0; )
			;
		while (stat_of(fd).queued)
			pause_briefly();
	}
	CHECK_EQ(n[0], n[1]);
	CHECK_EQ(2 * n[0], (int)(stat_of(fd).received + stat_of(fd).expired));
	return 0;
}

TEST_F(lifespan, memory_is_charged_and_uncharged)
{
	int param = open(PARAM_DIR "user_bytes", O_WRONLY);
	long saved = param_get("user_bytes");

	ASSERT_LE(0, param);
	EXPECT_EQ(0, in_child(fill_again_and_again, &param));
	param_set("user_bytes", saved);
	close(param);
}

/* A request ends its caller's wait, and is not received. */
TEST_F(lifespan, message_in_front_of_a_request)
{
	struct mbox_request request = { 0 };
	struct call caller = { 0 };
	__u32 value = 7;

	ASSERT_EQ(0, put_for(self->fd, 1, 0, SHORT_NS, 0));
	ASSERT_EQ(0, put_for(self->fd, 2, 0, SHORT_NS, 0));
	request.buf = (uintptr_t)&value;
	request.len = 4;
	caller.arg = &request;
	ASSERT_EQ(0, call_start(&caller, self->fd, MBOX_IOC_CALL));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(7, take_as(self->fd, MBOX_PEEK, 0, 0));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, call_join(&caller));
}

TEST_F(lifespan, broadcast_is_EOPNOTSUPP)
{
	int fd = new_mailbox(MBOX_BROADCAST, 2);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, put_for(fd, 1, 0, LONG_NS, MBOX_DONTWAIT));
	EXPECT_EQ(0, stat_of(fd).sent);
	close(fd);
}

TEST_F(lifespan, ring_is_EOPNOTSUPP)
{
	struct mbox_attr attr = attr_of(0, 2);
	struct mbox_msg msg = msg_of("x", 1, 0);
	struct mbox *mb;

	attr.mode = MBOX_RING;
	mb = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!mb);
	msg.lifespan_ns = LONG_NS;
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_sendmsg(mb, &msg)));
	mbox_close(mb);
}

/* The timer of a mailbox that ends with messages in it does not run any more. */
TEST_F(lifespan, mailbox_may_end_before_its_messages)
{
	int i, fd;

	for (i = 0; i < 200; i++) {
		fd = new_mailbox(i & 1 ? MBOX_DROP_OLDEST : 0, 4);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, put_for(fd, 1, 0, 1 + i * 1000, 0));
		ASSERT_EQ(0, put_for(fd, 2, 0, 1 + i * 500, 0));
		if (i % 3 == 0)
			ASSERT_EQ(0, raw_destroy(fd));
		close(fd);
	}
}

/* Senders of messages that end at once keep no receiver from ending. */
struct flood {
	pthread_t thread;
	int fd;
	volatile bool stop;
};

static void *flood_with_short(void *arg)
{
	struct flood *flood = arg;

	while (!flood->stop)
		put_for(flood->fd, 1, 0, SHORT_NS, MBOX_DONTWAIT);
	return NULL;
}

TEST_F(lifespan, flood_does_not_hold_up_receivers)
{
	static const __u32 flags[] = { 0, MBOX_PEEK, MBOX_LEASE };
	struct flood floods[4] = { 0 };
	unsigned int i, j;
	struct mbox_msg msg;
	__u32 value;

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < ARRAY_SIZE(floods); i++) {
		floods[i].fd = self->fd;
		ASSERT_EQ(0, thread_start(&floods[i].thread, flood_with_short, &floods[i]));
	}
	for (i = 0; i < 300; i++) {
		j = i % ARRAY_SIZE(flags);
		EXPECT_EQ(-EAGAIN, take_as(self->fd, flags[j], 0, 0))
			TH_LOG("flags %#x", flags[j]);
	}
	/* A receiver that waits could have such a message; one that peeks has none. */
	for (i = 0; i < 3; i++) {
		msg = msg_of(&value, sizeof(value), MBOX_PEEK);
		msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 20);
		EXPECT_EQ(-ETIMEDOUT, raw(self->fd, MBOX_IOC_RECV, &msg));
	}
	for (i = 0; i < ARRAY_SIZE(floods); i++)
		floods[i].stop = true;
	for (i = 0; i < ARRAY_SIZE(floods); i++)
		pthread_join(floods[i].thread, NULL);
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_TRUE(adds_up(self->fd));
}

/* Senders, receivers and the timer at once: each message has one end. */
static void *send_many(void *arg)
{
	int fd = *(int *)arg, i;

	for (i = 0; i < 2000; i++)
		put_for(fd, i, i % 3, i % 5 * 20000 + 1, i % 7 ? 0 : MBOX_DONTWAIT);
	return NULL;
}

TEST_F(lifespan, race_of_senders_receivers_and_the_timer)
{
	pthread_t threads[3];
	unsigned int i, j;
	int fd;

	for (j = 0; j < ARRAY_SIZE(policies); j++) {
		fd = new_mailbox(policies[j] & ~MBOX_HANGUP, 5);
		ASSERT_LE(0, fd);
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			ASSERT_EQ(0, thread_start(&threads[i], send_many, &fd));
		for (i = 0; i < 2000; i++)
			take_as(fd, i % 5 ? 0 : MBOX_PEEK, 0, 0);
		for (i = 0; i < ARRAY_SIZE(threads); i++)
			pthread_join(threads[i], NULL);
		while (take(fd) >= 0)
			;
		EXPECT_EQ(0, stat_of(fd).queued);
		EXPECT_EQ(0, stat_of(fd).waiting_senders);
		EXPECT_TRUE(adds_up(fd))
			TH_LOG("flags %#x", policies[j]);
		close(fd);
	}
}

/* Until it is killed: mostly while it waits for room. */
static int send_and_take(void *arg)
{
	FIXTURE_DATA(lifespan) *self = arg;
	int fd = open_again(self->fd, O_RDWR);
	__u64 token;
	__u32 i;

	CHECK(fd >= 0);
	for (i = 0;; i++) {
		put_for(fd, i, i % 3, i % 5 * 200000 + 1, i % 7 ? 0 : MBOX_DONTWAIT);
		if (!(i % 4))
			take(fd);
		if (!(i % 6))
			lease(fd, &token);
	}
}

/* Messages outlive their senders, and leases do not outlive theirs. */
TEST_F(lifespan, messages_of_killed_processes_end)
{
	unsigned long kills = env_number("MBOX_KILLS", 60), seed = random_seed(), i;
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct random random = { .state = seed };
	struct mbox_stat st;
	pid_t pids[3];
	int k;

	TH_LOG("MBOX_SEED=%lu MBOX_KILLS=%lu", seed, kills);
	for (k = 0; k < 3; k++)
		pids[k] = spawn(send_and_take, self);
	for (i = 0; i < kills; i++) {
		usleep(random_below(&random, 3000));
		k = random_below(&random, 3);
		kill(pids[k], SIGKILL);
		ASSERT_EQ(1000 + SIGKILL, reap(pids[k]));
		pids[k] = spawn(send_and_take, self);
	}
	for (k = 0; k < 3; k++) {
		kill(pids[k], SIGKILL);
		EXPECT_EQ(1000 + SIGKILL, reap(pids[k]));
	}
	/* No process receives what is left. */
	do {
		st = stat_of(self->fd);
		pause_briefly();
	} while (st.queued && now_ns(CLOCK_MONOTONIC) < limit);
	EXPECT_EQ(0U, st.queued);
	EXPECT_EQ(0U, st.leased);
	EXPECT_EQ(0U, st.waiting_senders);
	EXPECT_LT(0U, st.expired);
	EXPECT_LT(0U, st.received);
	EXPECT_TRUE(adds_up(self->fd));
}

TEST_HARNESS_MAIN
