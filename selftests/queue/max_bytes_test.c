// SPDX-License-Identifier: GPL-2.0-only
/* Queues that are full by the bytes of their messages. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <sys/wait.h>

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

/* @nice: of the thread that sends */
static int send_nice_start(struct call *c, int fd, size_t len, __u32 flags, int nice)
{
	memset(c, 0, sizeof(*c));
	c->msg = msg_of(payload, len, flags);
	c->nice = nice;
	return call_start(c, fd, MBOX_IOC_SEND);
}

static int send_len_start(struct call *c, int fd, size_t len)
{
	return send_nice_start(c, fd, len, 0, 0);
}

static int events_of(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	poll(&pfd, 1, 0);
	return pfd.revents;
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

/* It is the first to wait, and has room: so it need not wait. */
TEST_F(max_bytes, urgent_send_does_not_wait_behind_a_longer_one)
{
	struct call longer, urgent;

	ASSERT_EQ(0, send_len(self->fd, 60));
	ASSERT_EQ(0, send_len_start(&longer, self->fd, 50));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, send_nice_start(&urgent, self->fd, 30, 0, -5));
	EXPECT_EQ(0, call_join(&urgent));
	EXPECT_EQ(90, stat_of(self->fd).bytes);
	/* Nor when it may not wait. */
	urgent.msg = msg_of(payload, 5, MBOX_DONTWAIT);
	ASSERT_EQ(0, call_start(&urgent, self->fd, MBOX_IOC_SEND));
	EXPECT_EQ(0, call_join(&urgent));
	/* It has no more room than there is. */
	ASSERT_EQ(0, call_start(&urgent, self->fd, MBOX_IOC_SEND));
	EXPECT_EQ(0, call_join(&urgent));
	ASSERT_EQ(0, call_start(&urgent, self->fd, MBOX_IOC_SEND));
	EXPECT_EQ(-EAGAIN, call_join(&urgent));
	EXPECT_EQ(1, stat_of(self->fd).waiting_senders);
	while (recv_len(self->fd) > 0)
		;
	EXPECT_EQ(0, call_join(&longer));
}

/* The places at which a sender that is less urgent than others waits. */
TEST_F(max_bytes, less_urgent_send_waits_behind_a_longer_one)
{
	struct call longer, other;

	ASSERT_EQ(0, send_len(self->fd, 60));
	ASSERT_EQ(0, send_len_start(&longer, self->fd, 50));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, send_nice_start(&other, self->fd, 30, 0, 5));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	EXPECT_EQ(60, recv_len(self->fd));
	EXPECT_EQ(0, call_join(&longer));
	EXPECT_EQ(0, call_join(&other));
}

/* If the urgent sender waits for bytes itself, it is still the next to get them. */
TEST_F(max_bytes, urgent_send_is_let_in_first)
{
	struct call longer, urgent;

	ASSERT_EQ(0, send_len(self->fd, 20));
	ASSERT_EQ(0, send_len(self->fd, 70));
	ASSERT_EQ(0, send_len_start(&longer, self->fd, 50));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, send_nice_start(&urgent, self->fd, 30, 0, -5));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	EXPECT_EQ(20, recv_len(self->fd));
	EXPECT_EQ(0, call_join(&urgent));
	EXPECT_EQ(1, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(70, recv_len(self->fd));
	EXPECT_EQ(0, call_join(&longer));
}

/**
 * struct urgent_poll - a thread that polls for room, more urgent than those that wait
 * @fd: its handle
 * @begun: it is about to poll
 * @revents: what it was told
 * @ret: what a send of one byte returned then
 */
struct urgent_poll {
	int fd;
	bool begun;
	int revents;
	long ret;
};

static void *poll_urgently(void *arg)
{
	struct urgent_poll *p = arg;
	struct pollfd pfd = { .fd = p->fd, .events = POLLOUT };

	if (setpriority(PRIO_PROCESS, syscall(SYS_gettid), -5))
		return NULL;
	__atomic_store_n(&p->begun, true, __ATOMIC_RELEASE);
	if (poll(&pfd, 1, WAIT_LIMIT_MS) == 1)
		p->revents = pfd.revents;
	p->ret = send_len(p->fd, 1);
	return NULL;
}

/* What a thread that is more urgent than all that wait is told at once. */
static void *look_urgently(void *arg)
{
	struct urgent_poll *p = arg;
	struct pollfd pfd = { .fd = p->fd, .events = POLLOUT };

	p->ret = neg(setpriority(PRIO_PROCESS, syscall(SYS_gettid), -5));
	if (!p->ret)
		p->ret = neg(poll(&pfd, 1, 0));
	p->revents = pfd.revents;
	return NULL;
}

static long looked(struct urgent_poll *p)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, look_urgently, p) || pthread_join(thread, NULL))
		return -1;
	return p->ret;
}

/* A thread that polls for others of its process would find room for ever, and they not. */
TEST_F(max_bytes, poll_waits_for_the_turn_of_the_thread_that_was_refused)
{
	struct urgent_poll p = { .fd = self->fd };
	struct call longer, other;

	ASSERT_EQ(0, send_len(self->fd, 60));
	ASSERT_EQ(0, send_len_start(&longer, self->fd, 50));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(1, looked(&p));
	EXPECT_EQ(POLLOUT, p.revents);
	ASSERT_EQ(0, send_nice_start(&other, self->fd, 30, MBOX_DONTWAIT, 5));
	EXPECT_EQ(-EAGAIN, call_join(&other));
	EXPECT_EQ(0, looked(&p));
	EXPECT_EQ(0, p.revents);
	EXPECT_EQ(60, recv_len(self->fd));
	EXPECT_EQ(0, call_join(&longer));
	EXPECT_EQ(1, looked(&p));
	EXPECT_EQ(POLLOUT, p.revents);
}

TEST_F(max_bytes, urgent_poller_is_told_of_room_beside_a_longer_send)
{
	struct urgent_poll p = { .fd = self->fd };
	struct call longer;
	pthread_t thread;

	ASSERT_EQ(0, send_len(self->fd, 10));
	ASSERT_EQ(0, send_len(self->fd, 90));
	ASSERT_EQ(0, send_len_start(&longer, self->fd, 50));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, thread_start(&thread, poll_urgently, &p));
	while (!__atomic_load_n(&p.begun, __ATOMIC_ACQUIRE))
		sched_yield();
	usleep(50000);
	EXPECT_EQ(10, recv_len(self->fd));
	pthread_join(thread, NULL);
	EXPECT_EQ(POLLOUT, p.revents);
	EXPECT_EQ(0, p.ret);
	/* To a thread that is not, there is none. */
	EXPECT_EQ(0, events_of(self->fd));
	EXPECT_EQ(1, stat_of(self->fd).waiting_senders);
	while (recv_len(self->fd) > 0)
		;
	EXPECT_EQ(0, call_join(&longer));
}

static int fill_as_other_user(void *arg)
{
	int fd = *(int *)arg;

	CHECK_EQ(0, neg(setresuid(USER_A, USER_A, USER_A)));
	while (!send_len(fd, 1))
		;
	/* Until it is killed. */
	return raw_send(fd, payload, 1, 0);
}

/* MBOX_FAIR: who waits for a place of its own user has no claim to the bytes. */
TEST_F(max_bytes, user_without_a_place_does_not_hold_back_others)
{
	int fd = new_with(MBOX_FAIR, 4, 100);
	pid_t child;

	ASSERT_LE(0, fd);
	child = spawn(fill_as_other_user, &fd);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, await_waiting(fd, 1, 0));
	EXPECT_EQ(2, stat_of(fd).queued);
	EXPECT_EQ(0, send_len(fd, 1));
	EXPECT_EQ(1, stat_of(fd).waiting_senders);
	EXPECT_EQ(0, kill(child, SIGKILL));
	reap(child);
	close(fd);
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

/* In every way of sending, and none of them waits. */
static void expect_all_too_long(struct __test_metadata *_metadata, int fd, size_t len)
{
	struct mbox_msg msg = msg_of(payload, len, 0), rep = msg_of(NULL, 0, 0);
	struct mbox_msg msgs[2] = { msg_of(payload, 1, 0), msg };
	struct iovec iov = { .iov_base = payload, .iov_len = len };
	struct mbox_callmsg callmsg = {
		.req = (uintptr_t)&msg, .rep = (uintptr_t)&rep, .msg_size = sizeof(msg),
	};
	struct mbox_call_start start = {
		.req = (uintptr_t)&msg, .msg_size = sizeof(msg),
	};
	struct mbox_request request = { .buf = (uintptr_t)payload, .len = len };
	__u64 sent = stat_of(fd).sent;

	EXPECT_EQ(-EMSGSIZE, send_len(fd, len));
	EXPECT_EQ(-EMSGSIZE, raw_send(fd, payload, len, 0));
	msg.deadline_ns = 1;
	EXPECT_EQ(-EMSGSIZE, raw(fd, MBOX_IOC_SEND, &msg));
	msg.deadline_ns = 0;
	msg.lifespan_ns = 1000 * NSEC_PER_MSEC;
	EXPECT_EQ(-EMSGSIZE, raw(fd, MBOX_IOC_SEND, &msg));
	msg.lifespan_ns = 0;
	EXPECT_EQ(-EMSGSIZE, raw_vec(fd, MBOX_IOC_SENDV, msgs + 1, 1, 0));
	EXPECT_EQ(-EMSGSIZE, neg(write(fd, payload, len)));
	EXPECT_EQ(-EMSGSIZE, neg(writev(fd, &iov, 1)));
	EXPECT_EQ(-EMSGSIZE, neg(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(-EMSGSIZE, raw(fd, MBOX_IOC_CALL, &request));
	EXPECT_EQ(-EMSGSIZE, raw(fd, MBOX_IOC_CALLMSG, &callmsg));
	EXPECT_EQ(-EMSGSIZE, raw(fd, MBOX_IOC_CALL_START, &start));
	msg.flags = MBOX_DONTWAIT;
	EXPECT_EQ(-EMSGSIZE, raw(fd, MBOX_IOC_CALL_START, &start));
	EXPECT_EQ(sent, stat_of(fd).sent);
	/* Those of a batch before it are sent. */
	EXPECT_EQ(1, raw_vec(fd, MBOX_IOC_SENDV, msgs, 2, 0));
	EXPECT_EQ(sent + 1, stat_of(fd).sent);
}

TEST_F(max_bytes, longer_message_is_EMSGSIZE_in_every_way)
{
	static const __u32 flags[] = {
		0, MBOX_FAIR, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_HANGUP, MBOX_LEAF,
	};
	struct call receiver = { 0 };
	char buf[200];
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = new_with(flags[i], 10, 100);
		ASSERT_LE(0, fd);
		expect_all_too_long(_metadata, fd, 101);
		EXPECT_EQ(0, stat_of(fd).dropped)
			TH_LOG("flags %#x", flags[i]);
		EXPECT_EQ(1, recv_len(fd));
		EXPECT_EQ(0, send_len(fd, 100));
		EXPECT_EQ(100, recv_len(fd));
		close(fd);
	}
	/* Whether a receiver waits or not. */
	receiver.msg = msg_of(buf, sizeof(buf), 0);
	ASSERT_EQ(0, call_start(&receiver, self->fd, MBOX_IOC_RECV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(-EMSGSIZE, raw_send(self->fd, payload, 101, 0));
	EXPECT_EQ(1, stat_of(self->fd).waiting_receivers);
	EXPECT_EQ(0, raw_send(self->fd, payload, 100, 0));
	EXPECT_EQ(100, call_join(&receiver));
}

TEST_F(max_bytes, msg_max_is_told_as_created)
{
	struct mbox_attr attr = attr_of(0, 10);

	EXPECT_EQ(attr.msg_max, stat_of(self->fd).attr.msg_max);
	EXPECT_LT(100, stat_of(self->fd).attr.msg_max);
}

TEST_F(max_bytes, more_than_msg_max_changes_nothing)
{
	size_t len = attr_of(0, 10).msg_max;
	int fd = new_with(0, 10, len * 2 + 1);
	char *buf = calloc(1, len + 1);

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, buf);
	EXPECT_EQ(-EMSGSIZE, raw_send(fd, buf, len + 1, 0));
	EXPECT_EQ(0, raw_send(fd, buf, len, 0));
	EXPECT_EQ(0, raw_send(fd, buf, len, 0));
	EXPECT_EQ(0, raw_send(fd, buf, 1, 0));
	EXPECT_EQ(-EAGAIN, raw_send(fd, buf, 1, MBOX_DONTWAIT));
	free(buf);
	close(fd);
}

/* No message would ever have room. */
TEST_F(max_bytes, fixed_messages_must_fit)
{
	size_t len = attr_of(0, 10).msg_max;
	char *buf = calloc(1, len);
	int fd;

	ASSERT_NE(NULL, buf);
	EXPECT_EQ(-EINVAL, new_with(MBOX_FIXED, 10, 1));
	EXPECT_EQ(-EINVAL, new_with(MBOX_FIXED, 10, len - 1));
	EXPECT_EQ(-EINVAL, new_with(MBOX_FIXED | MBOX_BROADCAST, 10, len - 1));
	fd = new_with(MBOX_FIXED, 10, len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, raw_send(fd, buf, len, 0));
	EXPECT_EQ(-EAGAIN, raw_send(fd, buf, len, MBOX_DONTWAIT));
	free(buf);
	close(fd);
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

/* Ways of sending that do not wait. Each returns -EAGAIN when there is no room. */
static long refused_send(int fd, size_t len)
{
	return send_len(fd, len);
}

static long refused_batch(int fd, size_t len)
{
	struct mbox_msg msgs[2] = { msg_of(payload, len, 0), msg_of(payload, 1, 0) };

	return raw_vec(fd, MBOX_IOC_SENDV, msgs, 2, MBOX_DONTWAIT);
}

static long refused_write(int fd, size_t len)
{
	int flags = fcntl(fd, F_GETFL);
	long ret;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	ret = neg(write(fd, payload, len));
	fcntl(fd, F_SETFL, flags);
	return ret;
}

static long refused_pwritev2(int fd, size_t len)
{
	struct iovec iov = { .iov_base = payload, .iov_len = len };

	return neg(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT));
}

static long refused_call_start(int fd, size_t len)
{
	struct mbox_msg msg = msg_of(payload, len, MBOX_DONTWAIT);
	struct mbox_call_start start = { .req = (uintptr_t)&msg, .msg_size = sizeof(msg) };

	return raw(fd, MBOX_IOC_CALL_START, &start);
}

static long (*const refused_ways[])(int fd, size_t len) = {
	refused_send, refused_batch, refused_write, refused_pwritev2, refused_call_start,
};

TEST_F(max_bytes, no_way_of_sending_overtakes_a_sender_that_waits)
{
	struct call sender;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused_ways); i++) {
		int fd = new_with(0, 10, 100);

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, send_len(fd, 60));
		ASSERT_EQ(0, send_len_start(&sender, fd, 50));
		ASSERT_EQ(0, await_waiting(fd, 1, 0));
		EXPECT_EQ(-EAGAIN, refused_ways[i](fd, 1))
			TH_LOG("way %u", i);
		EXPECT_EQ(60, recv_len(fd));
		EXPECT_EQ(0, call_join(&sender));
		EXPECT_EQ(50, recv_len(fd));
		EXPECT_EQ(0, stat_of(fd).bytes);
		close(fd);
	}
}

/* Ways of receiving. Each returns the length. */
static long received_by_read(int fd)
{
	char buf[sizeof(payload)];

	return neg(read(fd, buf, sizeof(buf)));
}

static long received_in_batch(int fd)
{
	char buf[2][sizeof(payload)];
	struct mbox_msg msgs[2] = {
		msg_of(buf[0], sizeof(buf[0]), 0), msg_of(buf[1], sizeof(buf[1]), 0),
	};
	long ret = raw_vec(fd, MBOX_IOC_RECVV, msgs, 2, MBOX_WAITFORONE);

	return ret > 0 ? msgs[0].len : ret;
}

TEST_F(max_bytes, every_way_of_receiving_lets_a_sender_in)
{
	static long (*const ways[])(int fd) = { recv_len, received_by_read, received_in_batch };
	struct call sender;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		ASSERT_EQ(0, send_len(self->fd, 60));
		ASSERT_EQ(0, send_len_start(&sender, self->fd, 50));
		ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
		EXPECT_EQ(60, ways[i](self->fd))
			TH_LOG("way %u", i);
		EXPECT_EQ(0, call_join(&sender));
		/* The batch can have both. */
		if (stat_of(self->fd).queued)
			EXPECT_EQ(50, recv_len(self->fd));
	}
}

TEST_F(max_bytes, batch_ends_where_the_bytes_end)
{
	struct mbox_msg msgs[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msgs); i++)
		msgs[i] = msg_of(payload, 40, 0);
	EXPECT_EQ(2, raw_vec(self->fd, MBOX_IOC_SENDV, msgs, ARRAY_SIZE(msgs), MBOX_DONTWAIT));
	EXPECT_EQ(80, stat_of(self->fd).bytes);
	EXPECT_EQ(-EAGAIN, raw_vec(self->fd, MBOX_IOC_SENDV, msgs, ARRAY_SIZE(msgs),
				   MBOX_DONTWAIT));
	msgs[0].len = 20;
	EXPECT_EQ(1, raw_vec(self->fd, MBOX_IOC_SENDV, msgs, ARRAY_SIZE(msgs), MBOX_DONTWAIT));
	EXPECT_EQ(100, stat_of(self->fd).bytes);
}

TEST_F(max_bytes, refused_send_is_not_polled_until_it_fits)
{
	unsigned int i;
	int other;

	for (i = 0; i < ARRAY_SIZE(refused_ways); i++) {
		int fd = new_with(0, 10, 100);

		ASSERT_LE(0, fd);
		other = open_again(fd, O_RDWR);
		ASSERT_LE(0, other);
		ASSERT_EQ(0, send_len(fd, 30));
		ASSERT_EQ(0, send_len(fd, 20));
		ASSERT_EQ(0, send_len(fd, 30));
		EXPECT_EQ(POLLOUT, events_of(fd));
		ASSERT_EQ(-EAGAIN, refused_ways[i](fd, 60));
		EXPECT_EQ(0, events_of(fd))
			TH_LOG("way %u", i);
		/* It is this handle that waits for so much. */
		EXPECT_EQ(POLLOUT, events_of(other));
		/* A shorter one has room: the sender no longer waits for more. */
		EXPECT_EQ(0, send_len(fd, 5));
		EXPECT_EQ(POLLOUT, events_of(fd));
		ASSERT_EQ(-EAGAIN, refused_ways[i](fd, 60));
		EXPECT_EQ(0, events_of(fd));
		EXPECT_EQ(30, recv_len(fd));
		EXPECT_EQ(0, events_of(fd));
		EXPECT_EQ(20, recv_len(fd));
		EXPECT_EQ(POLLOUT, events_of(fd));
		EXPECT_EQ(0, send_len(fd, 60));
		/* It is told once, and forgotten then. */
		EXPECT_EQ(POLLOUT, events_of(fd));
		close(other);
		close(fd);
	}
}

static int refused_in_a_child(void *arg)
{
	int fd = *(int *)arg;

	CHECK_EQ(-EAGAIN, send_len(fd, 60));
	CHECK_EQ(0, events_of(fd));
	return 0;
}

TEST_F(max_bytes, refusal_concerns_the_process_that_sent)
{
	ASSERT_EQ(0, send_len(self->fd, 60));
	EXPECT_EQ(0, in_child(refused_in_a_child, &self->fd));
	EXPECT_EQ(POLLOUT, events_of(self->fd));
}

TEST_F(max_bytes, refused_at_the_capacity_waits_for_a_place)
{
	int fd = new_with(0, 1, 100);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, send_len(fd, 1));
	ASSERT_EQ(-EAGAIN, send_len(fd, 100));
	EXPECT_EQ(0, events_of(fd));
	EXPECT_EQ(1, recv_len(fd));
	EXPECT_EQ(POLLOUT, events_of(fd));
	close(fd);
}

/* Every way in which bytes leave ends the wait of a poller that was refused. */
TEST_F(max_bytes, refused_poller_is_told_of_room)
{
	char buf[100];
	struct mbox_msg msg = msg_of(buf, sizeof(buf), MBOX_DONTWAIT | MBOX_LEASE);
	struct pollfd pfd = { .fd = self->fd, .events = POLLOUT };
	struct mbox_lease ack = { 0 };
	struct poller poller;
	long ret;
	int i;

	for (i = 0; i < 3; i++) {
		struct mbox_msg mortal = msg_of(payload, 60, 0);

		if (i == 2)
			mortal.lifespan_ns = 100 * NSEC_PER_MSEC * time_factor();
		ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &mortal));
		if (i == 1) {
			ASSERT_EQ(60, raw(self->fd, MBOX_IOC_RECV, &msg));
			ack.token = msg.token;
		}
		ret = send_len(self->fd, 50);
		/* The lifespan may be over already. */
		ASSERT_TRUE(ret == -EAGAIN || (i == 2 && !ret));
		if (i == 2) {
			EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
			continue;
		}
		ASSERT_EQ(0, poller_start(&poller, self->fd, POLLOUT));
		if (i == 0)
			EXPECT_EQ(60, recv_len(self->fd));
		if (i == 1)
			EXPECT_EQ(0, raw(self->fd, MBOX_IOC_ACK, &ack));
		EXPECT_EQ(POLLOUT, poller_join(&poller));
		while (recv_len(self->fd) > 0)
			;
	}
}

/* Room that is not enough for one of two is told to the other. */
TEST_F(max_bytes, exclusive_poller_does_not_use_up_the_event)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLEXCLUSIVE | EPOLLET };
	int other = open_again(self->fd, O_RDWR), fds[2] = { self->fd, other };
	int epolls[2], i;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, send_len(self->fd, 10));
	ASSERT_EQ(0, send_len(self->fd, 90));
	ASSERT_EQ(-EAGAIN, send_len(self->fd, 60));
	ASSERT_EQ(-EAGAIN, send_len(other, 10));
	for (i = 0; i < 2; i++) {
		epolls[i] = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_LE(0, epolls[i]);
		ASSERT_EQ(0, epoll_ctl(epolls[i], EPOLL_CTL_ADD, fds[i], &event));
		EXPECT_EQ(0, epoll_wait(epolls[i], &event, 1, 0));
		event.events = EPOLLOUT | EPOLLEXCLUSIVE | EPOLLET;
	}
	EXPECT_EQ(10, recv_len(self->fd));
	EXPECT_EQ(0, epoll_wait(epolls[0], &event, 1, 0));
	EXPECT_EQ(1, epoll_wait(epolls[1], &event, 1, 0));
	/* And the edge of the first comes with its room. */
	EXPECT_EQ(90, recv_len(self->fd));
	EXPECT_EQ(1, epoll_wait(epolls[0], &event, 1, 0));
	EXPECT_EQ(0, send_len(self->fd, 60));
	for (i = 0; i < 2; i++)
		close(epolls[i]);
	close(other);
}

/* A sender that is refused and polls, against a receiver: neither waits for ever. */
TEST_F(max_bytes, refused_senders_never_miss_an_edge)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int rounds = 2000, i, epoll, status;
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		unsigned int seed = 1;
		int fd = open_again(self->fd, O_WRONLY);

		epoll = epoll_create1(EPOLL_CLOEXEC);
		if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
			_exit(1);
		for (i = 0; i < rounds; i++) {
			size_t len = 1 + rand_r(&seed) % 100;

			while (send_len(fd, len))
				if (epoll_wait(epoll, &event, 1, WAIT_LIMIT_MS) != 1)
					_exit(2);
		}
		_exit(0);
	}
	for (i = 0; i < rounds; i++) {
		char buf[sizeof(payload)];
		struct mbox_msg msg = msg_of(buf, sizeof(buf), 0);

		msg.deadline_ns = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS * 2);
		ASSERT_LT(0, raw(self->fd, MBOX_IOC_RECV, &msg));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
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

/* While leases take the room, a message goes straight to a receiver that waits. */
TEST_F(max_bytes, receiver_that_waits_beside_a_lease_makes_it_writable)
{
	char buf[100];
	struct mbox_msg msg = msg_of(buf, sizeof(buf), MBOX_DONTWAIT | MBOX_LEASE);
	struct poller poller;
	struct call receiver = { .msg = msg_of(payload, sizeof(payload), 0) };

	ASSERT_EQ(0, send_len(self->fd, 60));
	ASSERT_EQ(60, raw(self->fd, MBOX_IOC_RECV, &msg));
	ASSERT_EQ(-EAGAIN, send_len(self->fd, 60));
	EXPECT_EQ(0, events_of(self->fd));
	ASSERT_EQ(0, poller_start(&poller, self->fd, POLLOUT));
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	EXPECT_EQ(POLLOUT, poller_join(&poller));
	EXPECT_EQ(0, send_len(self->fd, 60));
	EXPECT_EQ(60, call_join(&receiver));
}

static long set_max_bytes(int fd, __u32 capacity, __u64 max_bytes)
{
	struct mbox_set_capacity arg = { .capacity = capacity, .max_bytes = max_bytes };

	return raw(fd, MBOX_IOC_SET_CAPACITY, &arg);
}

TEST_F(max_bytes, change_takes_effect_at_once)
{
	EXPECT_EQ(0, send_len(self->fd, 100));
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 1));
	ASSERT_EQ(0, set_max_bytes(self->fd, 10, 150));
	EXPECT_EQ(0, send_len(self->fd, 50));
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 1));
	EXPECT_EQ(-EMSGSIZE, send_len(self->fd, 151));
	/* Less than there is: nothing is lost, and nothing more comes in. */
	ASSERT_EQ(0, set_max_bytes(self->fd, 10, 60));
	EXPECT_EQ(2U, stat_of(self->fd).queued);
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 10));
	EXPECT_EQ(-EMSGSIZE, send_len(self->fd, 61));
	EXPECT_EQ(100, recv_len(self->fd));
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 11));
	EXPECT_EQ(0, send_len(self->fd, 10));
	EXPECT_EQ(50, recv_len(self->fd));
	EXPECT_EQ(10, recv_len(self->fd));
}

TEST_F(max_bytes, without_a_new_one_it_stays)
{
	ASSERT_EQ(0, set_max_bytes(self->fd, 3, 0));
	EXPECT_EQ(3U, stat_of(self->fd).attr.capacity);
	EXPECT_EQ(-EMSGSIZE, send_len(self->fd, 101));
	EXPECT_EQ(0, send_len(self->fd, 100));
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 1));
}

TEST_F(max_bytes, more_than_msg_max_after_a_change)
{
	struct mbox_attr attr = stat_of(self->fd).attr;

	ASSERT_EQ(0, set_max_bytes(self->fd, 10, UINT64_MAX));
	EXPECT_EQ(attr.msg_max, stat_of(self->fd).attr.msg_max);
	EXPECT_EQ(-EMSGSIZE, send_len(self->fd, (size_t)attr.msg_max + 1));
	EXPECT_EQ(0, send_len(self->fd, 150));
	EXPECT_EQ(0, send_len(self->fd, 150));
}

TEST_F(max_bytes, waiting_sends_go_on_when_it_grows)
{
	struct call first, second;

	ASSERT_EQ(0, send_len(self->fd, 100));
	ASSERT_EQ(0, send_len_start(&first, self->fd, 60));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, send_len_start(&second, self->fd, 30));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	ASSERT_EQ(0, set_max_bytes(self->fd, 10, 160));
	EXPECT_EQ(0, call_join(&first));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, set_max_bytes(self->fd, 10, 190));
	EXPECT_EQ(0, call_join(&second));
	EXPECT_EQ(190, stat_of(self->fd).bytes);
}

TEST_F(max_bytes, message_that_waits_when_it_shrinks_is_EMSGSIZE)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	struct call senders[20], behind;
	unsigned int i;

	ASSERT_EQ(0, send_len(self->fd, 50));
	for (i = 0; i < ARRAY_SIZE(senders); i++)
		ASSERT_EQ(0, send_len_start(&senders[i], self->fd, 100));
	ASSERT_EQ(0, await_waiting(self->fd, i, 0));
	ASSERT_EQ(0, send_len_start(&behind, self->fd, 40));
	ASSERT_EQ(0, await_waiting(self->fd, i + 1, 0));
	ASSERT_EQ(0, set_max_bytes(self->fd, 10, 99));
	for (i = 0; i < ARRAY_SIZE(senders); i++)
		EXPECT_EQ(-EMSGSIZE, call_join(&senders[i]));
	EXPECT_EQ(0, call_join(&behind));
	EXPECT_EQ(50, recv_len(self->fd));
	EXPECT_EQ(40, recv_len(self->fd));
	EXPECT_EQ(0, poll(&p, 1, 0));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
}

TEST_F(max_bytes, pollers_are_told_when_it_grows)
{
	struct pollfd p = { .fd = self->fd, .events = POLLOUT };
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, send_len(self->fd, 90));
	EXPECT_EQ(-EAGAIN, send_len(self->fd, 20));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, set_max_bytes(self->fd, 10, 110));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 1000));
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(0, send_len(self->fd, 20));
	close(epoll);
}

TEST_F(max_bytes, change_is_EOPNOTSUPP_where_it_is_fixed)
{
	static const __u32 flags[] = {
		MBOX_FIXED, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_FAIR, MBOX_BROADCAST,
	};
	unsigned int i;
	int fd;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		/* As long as the longest message, which MBOX_FIXED needs. */
		fd = new_with(flags[i], 10, attr_of(0, 0).msg_max);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EOPNOTSUPP, set_max_bytes(fd, 5, 200));
		EXPECT_EQ(10U, stat_of(fd).attr.capacity);
		EXPECT_EQ(0, set_max_bytes(fd, 5, 0));
		close(fd);
	}
	/* It has none that could be changed. */
	fd = new_with(0, 10, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, set_max_bytes(fd, 5, 200));
	EXPECT_EQ(10U, stat_of(fd).attr.capacity);
	close(fd);
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
