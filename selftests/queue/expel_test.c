// SPDX-License-Identifier: GPL-2.0-only
/* Readers of broadcasts that the owner expels, so that others go on without them. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "kill.h"
#include "signals.h"
#include "slow.h"

#define N 3

FIXTURE(expel)
{
	/* One that sends and does not receive, and readers 1 to N. */
	int fd;
	int reader[N];
};

FIXTURE_SETUP(expel)
{
	struct mbox_attr attr = attr_of(MBOX_BROADCAST, 4);
	int i;

	self->fd = raw_create(NULL, O_WRONLY | O_CLOEXEC, &attr);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < N; i++) {
		self->reader[i] = open_again(self->fd, O_RDONLY);
		ASSERT_LE(0, self->reader[i]);
	}
}

FIXTURE_TEARDOWN(expel)
{
	int i;

	for (i = 0; i < N; i++)
		close(self->reader[i]);
	close(self->fd);
}

/* The same, with other flags, capacity and history. */
static void renew(FIXTURE_DATA(expel) *self, __u32 flags, __u32 capacity, __u32 history)
{
	struct mbox_create arg = {
		.oflags = O_WRONLY | O_CLOEXEC,
		.attr = attr_of(MBOX_BROADCAST | flags, capacity),
		.options = MBOX_OPTIONS_INIT,
	};
	int i;

	arg.options.history = history;
	close(self->fd);
	self->fd = raw_control(MBOX_IOC_CREATE, &arg);
	for (i = 0; i < N; i++) {
		close(self->reader[i]);
		self->reader[i] = open_again(self->fd, O_RDONLY);
	}
}

static long expel_as(int fd, struct mbox_expel *expel, __u64 reader, __u64 unread, __u32 flags)
{
	*expel = (struct mbox_expel){ .reader = reader, .unread = unread, .flags = flags };
	return raw(fd, MBOX_IOC_EXPEL, expel);
}

/* The number of the reader that was expelled, or -errno. */
static long expel(int fd, __u64 reader)
{
	struct mbox_expel arg;
	long ret = expel_as(fd, &arg, reader, 0, 0);

	return ret ? ret : (long)arg.reader;
}

static short events_of(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	poll(&pfd, 1, 0);
	return pfd.revents;
}

static int send_some(int fd, int n)
{
	int i, ret;

	for (i = 0; i < n; i++) {
		ret = put(fd, i);
		if (ret)
			return ret;
	}
	return 0;
}

TEST_F(expel, slowest_is_found_and_told)
{
	struct mbox_expel arg;

	ASSERT_EQ(0, send_some(self->fd, 4));
	EXPECT_EQ(0, take(self->reader[0]));
	EXPECT_EQ(0, take(self->reader[2]));
	EXPECT_EQ(0, expel_as(self->fd, &arg, 0, 0, MBOX_EXPEL_LOOK));
	EXPECT_EQ(2, arg.reader);
	EXPECT_EQ(4, arg.unread);
	EXPECT_EQ(3, stat_of(self->fd).recv_handles);
	EXPECT_EQ(0, take(self->reader[1]));
	EXPECT_EQ(1, take(self->reader[1]));
	/* Of equal ones the first. */
	EXPECT_EQ(0, expel_as(self->fd, &arg, 0, 3, 0));
	EXPECT_EQ(1, arg.reader);
	EXPECT_EQ(3, arg.unread);
	EXPECT_EQ(3, stat_of(self->fd).dropped);
	EXPECT_EQ(2, stat_of(self->fd).recv_handles);
	EXPECT_EQ(0, expel_as(self->fd, &arg, 0, 0, 0));
	EXPECT_EQ(3, arg.reader);
	/* The others go on. */
	EXPECT_EQ(2, take(self->reader[1]));
	EXPECT_EQ(3, take(self->reader[1]));
	EXPECT_EQ(-EAGAIN, take(self->reader[1]));
	EXPECT_EQ(0, stat_of(self->fd).queued);
}

TEST_F(expel, expelled_handle_is_notified_of_nothing)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_NONE };

	ASSERT_EQ(1, expel(self->fd, 1));
	EXPECT_EQ(-ENOTCONN, raw(self->reader[0], MBOX_IOC_NOTIFY, &arg));
	EXPECT_EQ(0, raw(self->reader[1], MBOX_IOC_NOTIFY, &arg));
	arg.kind = MBOX_NOTIFY_OFF;
	EXPECT_EQ(0, raw(self->reader[0], MBOX_IOC_NOTIFY, &arg));
}

/* A registration that was made before ends: another process can have it. */
TEST_F(expel, registration_of_it_ends)
{
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct mbox_notify by_event = { .kind = MBOX_NOTIFY_EVENTFD, .fd = event };
	struct mbox_notify by_signal = { .kind = MBOX_NOTIFY_SIGNAL, .signo = SIGUSR1 };
	eventfd_t count;

	ASSERT_LE(0, event);
	ASSERT_EQ(0, block_signal(SIGUSR1));
	/* That of another handle stays. */
	ASSERT_EQ(0, raw(self->reader[1], MBOX_IOC_NOTIFY, &by_event));
	ASSERT_EQ(1, expel(self->fd, 1));
	EXPECT_EQ(-EBUSY, raw(self->reader[2], MBOX_IOC_NOTIFY, &by_signal));
	EXPECT_EQ(-EAGAIN, neg(eventfd_read(event, &count)));
	/* Like the end of the mailbox, it adds 1 to an eventfd, and then no more. */
	ASSERT_EQ(2, expel(self->fd, 2));
	EXPECT_EQ(0, eventfd_read(event, &count));
	EXPECT_EQ(1, count);
	EXPECT_EQ(0, raw(self->reader[2], MBOX_IOC_NOTIFY, &by_signal));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EAGAIN, neg(eventfd_read(event, &count)));
	EXPECT_EQ(SI_MESGQ, code_of_next(SIGUSR1));
	/* Nor does it send a signal. */
	EXPECT_EQ(0, raw(self->reader[2], MBOX_IOC_NOTIFY, &by_signal));
	ASSERT_EQ(3, expel(self->fd, 3));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_TRUE(no_signal(SIGUSR1));
	close(event);
}

TEST_F(expel, nobody_is_slow_who_has_received_all)
{
	struct mbox_expel arg;
	int i;

	EXPECT_EQ(-ESRCH, expel_as(self->fd, &arg, 0, 0, MBOX_EXPEL_LOOK));
	EXPECT_EQ(-ESRCH, expel_as(self->fd, &arg, 0, 0, 0));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-ESRCH, expel_as(self->fd, &arg, 0, 2, 0));
	EXPECT_EQ(0, arg.reader);
	EXPECT_EQ(2, arg.unread);
	EXPECT_EQ(-ESRCH, expel_as(self->fd, &arg, 2, 2, 0));
	for (i = 0; i < N; i++)
		EXPECT_EQ(1, take(self->reader[i]));
	EXPECT_EQ(-ESRCH, expel_as(self->fd, &arg, 0, 0, 0));
	/* By its number it goes all the same. */
	EXPECT_EQ(0, expel_as(self->fd, &arg, 2, 0, 0));
	EXPECT_EQ(0, arg.unread);
	EXPECT_EQ(2, stat_of(self->fd).recv_handles);
	EXPECT_EQ(0, stat_of(self->fd).dropped);
}

TEST_F(expel, numbers_are_never_used_again)
{
	struct mbox_expel arg;
	int late;

	EXPECT_EQ(-ESRCH, expel(self->fd, 4));
	EXPECT_EQ(-ESRCH, expel(self->fd, ~0ULL));
	EXPECT_EQ(2, expel(self->fd, 2));
	EXPECT_EQ(-ESRCH, expel(self->fd, 2));
	close(self->reader[2]);
	EXPECT_EQ(-ESRCH, expel(self->fd, 3));
	late = open_again(self->fd, O_RDONLY);
	self->reader[2] = late;
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, expel_as(self->fd, &arg, 4, 0, MBOX_EXPEL_LOOK));
	EXPECT_EQ(1, arg.unread);
	EXPECT_EQ(1, take(late));
	/* A handle that only sends has none. */
	EXPECT_EQ(-ESRCH, expel(self->fd, 5));
}

TEST_F(expel, every_receive_of_it_is_ENOTCONN)
{
	struct mbox_reply_recv reply_recv = { .next_size = sizeof(struct mbox_msg) };
	struct mbox_msg msg;
	int fd = self->reader[1], copy = dup(fd);
	char buf[8];

	ASSERT_EQ(0, send_some(self->fd, 2));
	ASSERT_EQ(2, expel(self->fd, 2));
	EXPECT_EQ(-ENOTCONN, take(fd));
	EXPECT_EQ(-ENOTCONN, raw_recv(fd, buf, sizeof(buf), 0));
	EXPECT_EQ(-ENOTCONN, raw_recv(fd, buf, sizeof(buf), MBOX_PEEK));
	EXPECT_EQ(-ENOTCONN, take_as(fd, MBOX_PEEK, 0, 5));
	EXPECT_EQ(-ENOTCONN, neg(read(fd, buf, sizeof(buf))));
	EXPECT_EQ(-ENOTCONN, take(copy));
	msg = msg_of(buf, sizeof(buf), 0);
	EXPECT_EQ(-ENOTCONN, raw_vec(fd, MBOX_IOC_RECVV, &msg, 1, 0));
	msg = msg_of(buf, sizeof(buf), 0);
	reply_recv.next = (uintptr_t)&msg;
	EXPECT_EQ(-ENOTCONN, raw(fd, MBOX_IOC_REPLY_RECV, &reply_recv));
	/* Later messages are not for it either. */
	ASSERT_EQ(0, send_some(self->fd, 2));
	EXPECT_EQ(-ENOTCONN, take(fd));
	EXPECT_EQ(POLLERR | POLLHUP, events_of(fd, POLLIN));
	EXPECT_EQ(POLLIN, events_of(self->reader[0], POLLIN));
	/* That the mailbox is gone counts more. */
	close(copy);
	copy = open_again(self->fd, O_RDWR);
	ASSERT_EQ(0, raw_destroy(copy));
	EXPECT_EQ(-EIDRM, take(fd));
	close(copy);
}

TEST_F(expel, right_to_send_stays)
{
	int both = open_again(self->fd, O_RDWR);

	ASSERT_LE(0, both);
	ASSERT_EQ(4, expel(self->fd, 4));
	EXPECT_EQ(-ENOTCONN, take(both));
	EXPECT_EQ(0, put(both, 7));
	EXPECT_EQ(7, take(self->reader[0]));
	EXPECT_EQ(POLLOUT | POLLERR | POLLHUP, events_of(both, POLLIN | POLLOUT));
	close(both);
	EXPECT_EQ(3, stat_of(self->fd).recv_handles);
}

TEST_F(expel, senders_go_on)
{
	struct call senders[2];
	int i;

	ASSERT_EQ(0, send_some(self->fd, 4));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(i, take(self->reader[0]));
		EXPECT_EQ(i, take(self->reader[2]));
	}
	for (i = 0; i < 2; i++) {
		memset(&senders[i], 0, sizeof(senders[i]));
		ASSERT_EQ(0, send_start(&senders[i], self->fd, 4 + i));
		ASSERT_EQ(0, await_waiting(self->fd, i + 1, 0));
	}
	EXPECT_EQ(0, events_of(self->fd, POLLOUT));
	EXPECT_EQ(2, expel(self->fd, 0));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, call_join(&senders[i]));
	EXPECT_EQ(4, stat_of(self->fd).dropped);
	EXPECT_EQ(2, stat_of(self->fd).queued);
	EXPECT_EQ(POLLOUT, events_of(self->fd, POLLOUT));
	EXPECT_EQ(4, take(self->reader[0]));
	EXPECT_EQ(5, take(self->reader[0]));
	EXPECT_EQ(4, take(self->reader[2]));
	EXPECT_EQ(5, take(self->reader[2]));
	EXPECT_EQ(0, stat_of(self->fd).queued);
}

TEST_F(expel, waiting_receive_of_it_ends_and_others_go_on)
{
	struct call calls[N] = { 0 };
	int i;

	for (i = 0; i < N; i++)
		ASSERT_EQ(0, recv_start(&calls[i], self->reader[i]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, N));
	EXPECT_EQ(2, expel(self->fd, 2));
	EXPECT_EQ(-ENOTCONN, recv_join(&calls[1]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, N - 1));
	ASSERT_EQ(0, put(self->fd, 9));
	EXPECT_EQ(9, recv_join(&calls[0]));
	EXPECT_EQ(9, recv_join(&calls[2]));
}

TEST_F(expel, poller_and_epoll_are_told)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct poller pollers[2];

	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->reader[1], &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	/* Whatever a poller waits for. */
	ASSERT_EQ(0, poller_start(&pollers[0], self->reader[1], POLLIN));
	ASSERT_EQ(0, poller_start(&pollers[1], self->reader[1], 0));
	EXPECT_EQ(2, expel(self->fd, 2));
	EXPECT_EQ(POLLERR | POLLHUP, poller_join(&pollers[0]));
	EXPECT_EQ(POLLERR | POLLHUP, poller_join(&pollers[1]));
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(EPOLLERR | EPOLLHUP, event.events);
	close(epoll);
}

/* It discards what it copies: the message is not received. */
TEST_F(expel, receive_that_copies_discards)
{
	struct call receiver = { 0 };
	struct slow slow;
	int error = slow_init(&slow);

	if (error)
		SKIP(return, "userfaultfd: %s", strerror(-error));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, take(self->reader[0]));
	EXPECT_EQ(1, take(self->reader[2]));
	receiver.msg = msg_of(slow.page, slow.size, 0);
	ASSERT_EQ(0, call_start(&receiver, self->reader[1], MBOX_IOC_RECV));
	ASSERT_EQ(0, slow_await(&slow));
	EXPECT_EQ(2, expel(self->fd, 0));
	EXPECT_EQ(0, stat_of(self->fd).queued);
	ASSERT_EQ(0, slow_go_on(&slow));
	EXPECT_EQ(-ENOTCONN, call_join(&receiver));
	EXPECT_EQ(2, stat_of(self->fd).received);
	slow_end(&slow);
}

TEST_F(expel, last_one_ends_the_side_of_a_hangup_mailbox)
{
	struct call sender = { 0 };
	int i;

	renew(self, MBOX_HANGUP, 2, 0);
	ASSERT_EQ(0, send_some(self->fd, 2));
	ASSERT_EQ(0, send_start(&sender, self->fd, 3));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	for (i = 1; i < N; i++)
		EXPECT_EQ(i, expel(self->fd, 0));
	EXPECT_EQ(1, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(N, expel(self->fd, 0));
	EXPECT_EQ(-EPIPE, call_join(&sender));
	EXPECT_EQ(-EPIPE, put(self->fd, 4));
	/* Until one comes again. */
	close(self->reader[0]);
	self->reader[0] = open_again(self->fd, O_RDONLY);
	EXPECT_EQ(0, put(self->fd, 5));
	EXPECT_EQ(5, take(self->reader[0]));
}

TEST_F(expel, without_readers_messages_are_discarded)
{
	int i;

	ASSERT_EQ(0, send_some(self->fd, 4));
	for (i = 1; i <= N; i++)
		EXPECT_EQ(i, expel(self->fd, i));
	EXPECT_EQ(0, stat_of(self->fd).queued);
	EXPECT_EQ(0, stat_of(self->fd).recv_handles);
	EXPECT_EQ(12, stat_of(self->fd).dropped);
	EXPECT_EQ(0, send_some(self->fd, 20));
	EXPECT_EQ(0, stat_of(self->fd).queued);
	/* Their handles count as closed, once. */
	for (i = 0; i < N; i++) {
		close(self->reader[i]);
		self->reader[i] = open_again(self->fd, O_RDONLY);
		EXPECT_EQ(i + 1, stat_of(self->fd).recv_handles);
	}
	ASSERT_EQ(0, put(self->fd, 6));
	for (i = 0; i < N; i++)
		EXPECT_EQ(6, take(self->reader[i]));
}

TEST_F(expel, works_with_every_policy)
{
	static const __u32 flags[] = { 0, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_HANGUP };
	unsigned int i;
	int late, n;

	for (i = 0; i < ARRAY_SIZE(flags) * 2; i++) {
		renew(self, flags[i / 2], 4, i % 2 * 2);
		ASSERT_EQ(0, send_some(self->fd, 4));
		for (n = 0; n < 4; n++)
			EXPECT_EQ(n, take(self->reader[0]));
		/* Two that read the history, of which one stops. */
		late = open_again(self->fd, O_RDONLY);
		EXPECT_EQ(2, expel(self->fd, 0));
		EXPECT_EQ(3, expel(self->fd, 0))
			TH_LOG("flags %#x, history %u", flags[i / 2], i % 2 * 2);
		EXPECT_EQ(i % 2 ? 4 : -ESRCH, expel(self->fd, 0));
		EXPECT_EQ(i % 2 ? -ENOTCONN : -EAGAIN, take(late));
		EXPECT_EQ(0, stat_of(self->fd).queued);
		ASSERT_EQ(0, send_some(self->fd, 4));
		for (n = 0; n < 4; n++)
			EXPECT_EQ(n, take(self->reader[0]));
		close(late);
	}
}

/* How far it had lost messages does not matter. */
TEST_F(expel, reader_that_lost_messages)
{
	struct mbox_expel arg;

	renew(self, MBOX_DROP_OLDEST, 4, 0);
	ASSERT_EQ(0, send_some(self->fd, 10));
	EXPECT_EQ(6, stat_of(self->fd).dropped);
	EXPECT_EQ(0, expel_as(self->fd, &arg, 2, 0, 0));
	EXPECT_EQ(4, arg.unread);
	EXPECT_EQ(10, stat_of(self->fd).dropped);
	EXPECT_EQ(6, take(self->reader[0]));
	EXPECT_EQ(-ENOTCONN, take(self->reader[1]));
}

TEST_F(expel, fdinfo_tells_the_reader)
{
	char path[64], text[4096];

	ASSERT_EQ(0, send_some(self->fd, 3));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->reader[1]);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\nmbox-reader:\t2\nmbox-unread:\t3\n"));
	ASSERT_EQ(2, expel(self->fd, 2));
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\nmbox-reader:\t2\nmbox-expelled:\tyes\nmbox-unread:\t0\n"
			       "mbox-lost:\t0\n"));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_EQ(NULL, strstr(text, "\nmbox-reader:"));
}

TEST_F(expel, library_tells_which)
{
	struct mbox *mb = mbox_from_fd(dup(self->fd));
	uint64_t reader = 0, unread = 2;

	ASSERT_NE(NULL, mb);
	ASSERT_EQ(0, send_some(self->fd, 3));
	EXPECT_EQ(0, take(self->reader[0]));
	EXPECT_EQ(0, mbox_expel(mb, &reader, &unread, MBOX_EXPEL_LOOK));
	EXPECT_EQ(2U, reader);
	EXPECT_EQ(3U, unread);
	EXPECT_EQ(0, mbox_expel(mb, NULL, NULL, 0));
	EXPECT_EQ(-ENOTCONN, take(self->reader[1]));
	reader = 1;
	unread = 3;
	EXPECT_EQ(-ESRCH, neg(mbox_expel(mb, &reader, &unread, 0)));
	EXPECT_EQ(1U, reader);
	EXPECT_EQ(3U, unread);
	EXPECT_EQ(0, mbox_expel(mb, &reader, NULL, 0));
	EXPECT_EQ(-ENOTCONN, take(self->reader[0]));
	EXPECT_EQ(-EINVAL, neg(mbox_expel(mb, NULL, NULL, 2)));
	EXPECT_EQ(0, mbox_close(mb));
}

static int expel_as_another_user(void *arg)
{
	FIXTURE_DATA(expel) *self = arg;
	struct mbox_expel look;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EPERM, expel(self->fd, 0));
	CHECK_EQ(-EPERM, expel(self->reader[1], 2));
	CHECK_EQ(-EPERM, expel_as(self->fd, &look, 0, 0, MBOX_EXPEL_LOOK));
	return 0;
}

TEST_F(expel, needs_the_owner)
{
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, in_child(expel_as_another_user, self));
	EXPECT_EQ(3, stat_of(self->fd).recv_handles);
}

TEST_F(expel, bad_arguments_change_nothing)
{
	static const struct mbox_expel read_only;
	struct mbox_attr attr = attr_of(0, 4);
	int queue = new_mailbox(0, 4), ring;
	struct mbox_expel arg;

	attr.mode = MBOX_RING;
	ring = raw_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	ASSERT_LE(0, ring);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EINVAL, expel_as(self->fd, &arg, 1, 0, 2));
	arg = (struct mbox_expel){ .reader = 1, .reserved = 1 };
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_EXPEL, &arg));
	EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_EXPEL, NULL));
	/* What cannot be written back. */
	EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_EXPEL, (void *)&read_only));
	EXPECT_EQ(-EOPNOTSUPP, expel(queue, 0));
	EXPECT_EQ(-EOPNOTSUPP, expel(ring, 0));
	EXPECT_EQ(3, stat_of(self->fd).recv_handles);
	EXPECT_EQ(1, take(self->reader[0]));
	close(queue);
	close(ring);
}

/* ---- many, and races ------------------------------------------------------- */

#define MANY 200

TEST_F(expel, slowest_of_many)
{
	int fds[MANY], i;
	struct mbox_expel arg;

	for (i = 0; i < MANY; i++) {
		fds[i] = open_again(self->fd, O_RDONLY);
		ASSERT_LE(0, fds[i]);
	}
	ASSERT_EQ(0, send_some(self->fd, 2));
	for (i = 0; i < N; i++)
		EXPECT_EQ(0, take(self->reader[i]));
	for (i = 0; i < MANY; i++)
		if (i != MANY - 7)
			EXPECT_EQ(0, take(fds[i]));
	EXPECT_EQ(0, expel_as(self->fd, &arg, 0, 0, 0));
	EXPECT_EQ(N + MANY - 6, (int)arg.reader);
	EXPECT_EQ(2, arg.unread);
	EXPECT_EQ(-ENOTCONN, take(fds[MANY - 7]));
	EXPECT_EQ(1, stat_of(self->fd).queued);
	for (i = 0; i < MANY; i++)
		close(fds[i]);
}

/* A thread that expels the slowest again and again. */
struct bouncer {
	pthread_t thread;
	int fd;
	bool stop;
	long expelled;
	long error;
};

static void *bounce(void *arg)
{
	struct bouncer *b = arg;
	long ret;

	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		ret = expel(b->fd, 0);
		if (ret > 0)
			b->expelled++;
		else if (ret != -ESRCH)
			b->error = ret;
	}
	return NULL;
}

/* Readers come, receive, close and are expelled, while others send: nothing is left. */
TEST_F(expel, races_with_close_and_receive)
{
	struct bouncer bouncer = { .fd = self->fd };
	struct call sender;
	long ret;
	int i, fd;

	for (i = 0; i < N; i++)
		close(self->reader[i]);
	ASSERT_EQ(0, thread_start(&bouncer.thread, bounce, &bouncer));
	for (i = 0; i < 500; i++) {
		fd = open_again(self->fd, O_RDONLY);
		ASSERT_LE(0, fd);
		memset(&sender, 0, sizeof(sender));
		ASSERT_EQ(0, send_start(&sender, self->fd, i));
		EXPECT_EQ(0, call_join(&sender));
		ret = take(fd);
		EXPECT_TRUE(ret == i || ret == -ENOTCONN)
			TH_LOG("received %ld", ret);
		close(fd);
	}
	/* Now one that is never read: it has to be expelled, or the sends would wait. */
	fd = open_again(self->fd, O_RDONLY);
	for (i = 0; i < 50; i++)
		EXPECT_EQ(0, raw_send(self->fd, &i, sizeof(i), 0));
	__atomic_store_n(&bouncer.stop, true, __ATOMIC_RELEASE);
	pthread_join(bouncer.thread, NULL);
	EXPECT_EQ(0, bouncer.error);
	EXPECT_LT(0, bouncer.expelled);
	EXPECT_EQ(-ENOTCONN, take(fd));
	close(fd);
	EXPECT_EQ(0, stat_of(self->fd).queued);
	EXPECT_EQ(0, stat_of(self->fd).recv_handles);
	for (i = 0; i < N; i++)
		self->reader[i] = open_again(self->fd, O_RDONLY);
}

/* Opens, receives, and opens again when it has been expelled. */
static int receive_again_and_again(FIXTURE_DATA(expel) *self, __u32 *started)
{
	char buf[8];
	int fd;

	for (;;) {
		fd = open_again(self->fd, O_RDONLY);
		if (fd < 0)
			return 1;
		NOTE(*started, 1);
		while (raw_recv(fd, buf, sizeof(buf), 0) >= 0)
			;
		close(fd);
	}
}

static int expel_again_and_again(FIXTURE_DATA(expel) *self, __u32 *started)
{
	long ret;

	for (;;) {
		ret = expel(self->fd, 0);
		if (ret < 0 && ret != -ESRCH)
			return 1;
		NOTE(*started, 1);
	}
}

static pid_t begin(FIXTURE_DATA(expel) *self, __u32 *started,
		   int (*fn)(FIXTURE_DATA(expel) *self, __u32 *started))
{
	pid_t child;

	*started = 0;
	child = fork();
	if (!child)
		_exit(fn(self, started));
	return child;
}

/* A reader is killed while it is expelled, and the owner while it expels. */
TEST_F(expel, kill_of_reader_and_owner)
{
	struct random random = { random_seed() };
	__u32 *started = shared_memory(2 * sizeof(*started));
	struct mbox_msg msg;
	int i, n, status;
	pid_t child[2];

	ASSERT_NE(NULL, started);
	for (i = 0; i < N; i++)
		close(self->reader[i]);
	for (i = 0; i < 40; i++) {
		child[0] = begin(self, &started[0], receive_again_and_again);
		child[1] = begin(self, &started[1], expel_again_and_again);
		ASSERT_LT(0, child[0]);
		ASSERT_LT(0, child[1]);
		random_moment(&random, &started[0]);
		for (n = 0; n < 40; n++) {
			msg = msg_of(&n, sizeof(n), 0);
			msg.deadline_ns = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
			ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
			if (n != 20)
				continue;
			random_moment(&random, &started[i % 2]);
			kill(child[i % 2], SIGKILL);
		}
		kill(child[!(i % 2)], SIGKILL);
		for (n = 0; n < 2; n++) {
			ASSERT_EQ(child[n], waitpid(child[n], &status, 0));
			EXPECT_TRUE(WIFSIGNALED(status));
		}
		EXPECT_EQ(0, stat_of(self->fd).recv_handles);
		EXPECT_EQ(0, stat_of(self->fd).queued);
		EXPECT_EQ(0, stat_of(self->fd).waiting_receivers);
	}
	for (i = 0; i < N; i++)
		self->reader[i] = open_again(self->fd, O_RDONLY);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, take(self->reader[0]));
	munmap(started, 2 * sizeof(*started));
}

TEST_HARNESS_MAIN
