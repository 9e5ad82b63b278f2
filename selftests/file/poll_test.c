// SPDX-License-Identifier: GPL-2.0-only
/* poll and epoll: what they report, and which pollers are woken. */
#include <poll.h>
#include <sys/epoll.h>

#include "peers.h"

static int polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	p.revents = (short)POISON32;
	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

FIXTURE(polling)
{
	int fd;
	int ep;
};

FIXTURE_SETUP(polling)
{
	self->fd = new_mailbox(0, 2);
	self->ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->ep);
}

FIXTURE_TEARDOWN(polling)
{
	close(self->ep);
	close(self->fd);
}

TEST_F(polling, bounded_mailbox_reports_messages_and_room)
{
	EXPECT_EQ(POLLOUT, polled(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(POLLIN | POLLOUT, polled(self->fd));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(POLLIN, polled(self->fd));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(POLLIN | POLLOUT, polled(self->fd));
	ASSERT_EQ(2, take(self->fd));
	EXPECT_EQ(POLLOUT, polled(self->fd));
}

TEST_F(polling, unbounded_mailbox_always_reports_room)
{
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	EXPECT_EQ(POLLOUT, polled(self->fd));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, put(self->fd, i));
	EXPECT_EQ(POLLIN | POLLOUT, polled(self->fd));
}

TEST_F(polling, rendezvous_reports_waiting_calls)
{
	struct call receiver = { 0 }, sender = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(0, polled(self->fd));
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(POLLOUT, polled(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, polled(self->fd));
	ASSERT_EQ(1, recv_join(&receiver));
	ASSERT_EQ(0, send_start(&sender, self->fd, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(POLLIN, polled(self->fd));
	ASSERT_EQ(2, take(self->fd));
	EXPECT_EQ(0, polled(self->fd));
	EXPECT_EQ(0, call_join(&sender));
}

TEST_F(polling, overflow_policies_always_report_room)
{
	static const __u32 policies[] = { MBOX_DROP_OLDEST, MBOX_DROP_NEWEST };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		fd = new_mailbox(policies[i], 1);
		EXPECT_EQ(POLLOUT, polled(fd));
		ASSERT_EQ(0, put(fd, 1));
		EXPECT_EQ(POLLIN | POLLOUT, polled(fd));
		ASSERT_EQ(0, raw_set_capacity(fd, 0));
		EXPECT_EQ(POLLIN | POLLOUT, polled(fd));
		close(fd);
	}
}

TEST_F(polling, only_events_of_the_handles_right_are_reported)
{
	int reader = open_again(self->fd, O_RDONLY), writer = open_again(self->fd, O_WRONLY);

	EXPECT_EQ(0, polled(reader));
	EXPECT_EQ(POLLOUT, polled(writer));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(POLLIN, polled(reader));
	EXPECT_EQ(POLLOUT, polled(writer));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, polled(writer));
	close(reader);
	close(writer);
}

TEST_F(polling, capacity_changes_show)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	EXPECT_EQ(POLLIN, polled(self->fd));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(POLLIN | POLLOUT, polled(self->fd));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(POLLIN, polled(self->fd));
}

TEST_F(polling, send_wakes_a_poller)
{
	struct poller p;

	ASSERT_EQ(0, poller_start(&p, self->fd, POLLIN));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(POLLIN, poller_join(&p));
}

TEST_F(polling, receive_wakes_a_poller)
{
	struct poller p;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, poller_start(&p, self->fd, POLLOUT));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(POLLOUT, poller_join(&p));
}

/* Between its polls a handle waits for nothing, and is not told of what changes then. */
TEST_F(polling, poller_is_woken_again_after_changes_between_its_polls)
{
	struct poller p;
	int i;

	for (i = 1; i <= 20; i++) {
		ASSERT_EQ(0, poller_start(&p, self->fd, POLLIN));
		ASSERT_EQ(0, put(self->fd, i));
		EXPECT_EQ(POLLIN, poller_join(&p));
		/* It comes and goes, and a message makes room and another one takes it. */
		ASSERT_EQ(i, take(self->fd));
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(0, put(self->fd, i));
		EXPECT_EQ(POLLIN, polled(self->fd));
		ASSERT_EQ(0, poller_start(&p, self->fd, POLLOUT));
		ASSERT_EQ(i, take(self->fd));
		EXPECT_EQ(POLLOUT, poller_join(&p));
		ASSERT_EQ(i, take(self->fd));
		EXPECT_EQ(POLLOUT, polled(self->fd));
	}
}

TEST_F(polling, each_side_is_reported_to_who_asks_for_it)
{
	struct pollfd in = { .fd = self->fd, .events = POLLIN };
	struct pollfd out = { .fd = self->fd, .events = POLLOUT };
	struct pollfd hup = { .fd = self->fd };

	EXPECT_EQ(0, poll(&in, 1, 0));
	EXPECT_EQ(1, poll(&out, 1, 0));
	EXPECT_EQ(POLLOUT, out.revents);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, poll(&in, 1, 0));
	EXPECT_EQ(POLLIN, in.revents);
	EXPECT_EQ(0, poll(&hup, 1, 0));
	/* The end is reported to all of them. */
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(1, poll(&in, 1, 0));
	EXPECT_EQ(POLLERR | POLLHUP, in.revents);
	EXPECT_EQ(1, poll(&out, 1, 0));
	EXPECT_EQ(POLLERR | POLLHUP, out.revents);
	EXPECT_EQ(1, poll(&hup, 1, 0));
	EXPECT_EQ(POLLERR | POLLHUP, hup.revents);
}

TEST_F(polling, growing_wakes_a_poller)
{
	struct poller p;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, poller_start(&p, self->fd, POLLOUT));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(POLLOUT, poller_join(&p));
}

TEST_F(polling, overdue_rendezvous_wakes_pollers_of_both_sides)
{
	struct call receiver = { 0 }, sender = { 0 };
	struct poller p;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(0, poller_start(&p, self->fd, POLLOUT));
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	EXPECT_EQ(POLLOUT, poller_join(&p));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, recv_join(&receiver));
	ASSERT_EQ(0, poller_start(&p, self->fd, POLLIN));
	ASSERT_EQ(0, send_start(&sender, self->fd, 2));
	EXPECT_EQ(POLLIN, poller_join(&p));
	ASSERT_EQ(2, take(self->fd));
	ASSERT_EQ(0, call_join(&sender));
}

TEST_F(polling, message_that_is_put_back_wakes_a_poller)
{
	struct call bad = { .msg = msg_of(bad_buffer(), 4, 0) };
	struct poller p;

	ASSERT_EQ(0, recv_start(&bad, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, poller_start(&p, self->fd, POLLIN));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EFAULT, call_join(&bad));
	EXPECT_EQ(POLLIN, poller_join(&p));
}

TEST_F(polling, withdrawn_message_wakes_a_poller)
{
	struct call sync = { .msg.flags = MBOX_SYNC };
	struct poller p;

	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, send_start(&sync, self->fd, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, poller_start(&p, self->fd, POLLOUT));
	pthread_kill(sync.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, call_join(&sync));
	EXPECT_EQ(POLLOUT, poller_join(&p));
}

static int watch(int ep, int fd, __u32 events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return neg(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
}

/* The events that are there now; 0 for none. */
static int seen(int ep)
{
	struct epoll_event event = { .events = POISON32 };
	int n = epoll_wait(ep, &event, 1, 0);

	return n < 0 ? -errno : n ? (int)event.events : 0;
}

TEST_F(polling, level_triggered_reports_until_drained)
{
	ASSERT_EQ(0, watch(self->ep, self->fd, EPOLLIN));
	EXPECT_EQ(0, seen(self->ep));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(EPOLLIN, seen(self->ep));
	EXPECT_EQ(EPOLLIN, seen(self->ep));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(EPOLLIN, seen(self->ep));
	ASSERT_EQ(2, take(self->fd));
	EXPECT_EQ(0, seen(self->ep));
}

TEST_F(polling, edge_triggered_reports_each_arrival_once)
{
	ASSERT_EQ(0, watch(self->ep, self->fd, EPOLLIN | EPOLLET));
	EXPECT_EQ(0, seen(self->ep));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(EPOLLIN, seen(self->ep));
	EXPECT_EQ(0, seen(self->ep));
	/* Another one, although the first is still there. */
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(EPOLLIN, seen(self->ep));
	EXPECT_EQ(0, seen(self->ep));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(2, take(self->fd));
	EXPECT_EQ(0, seen(self->ep));
	ASSERT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(EPOLLIN, seen(self->ep));
}

TEST_F(polling, edge_triggered_reports_room)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, watch(self->ep, self->fd, EPOLLOUT | EPOLLET));
	EXPECT_EQ(0, seen(self->ep));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(EPOLLOUT, seen(self->ep));
	EXPECT_EQ(0, seen(self->ep));
	ASSERT_EQ(0, put(self->fd, 3));
	ASSERT_EQ(-EAGAIN, put(self->fd, 4));
	ASSERT_EQ(2, take(self->fd));
	EXPECT_EQ(EPOLLOUT, seen(self->ep));
}

TEST_F(polling, oneshot_reports_once_until_rearmed)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };

	ASSERT_EQ(0, watch(self->ep, self->fd, EPOLLIN | EPOLLONESHOT));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(EPOLLIN, seen(self->ep));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(0, seen(self->ep));
	ASSERT_EQ(0, epoll_ctl(self->ep, EPOLL_CTL_MOD, self->fd, &event));
	EXPECT_EQ(EPOLLIN, seen(self->ep));
	EXPECT_EQ(0, seen(self->ep));
}

/* Takes messages when its own epoll says so, until it takes the last one. */
struct taker {
	pthread_t thread;
	pid_t tid;
	int ep;
	int fd;
	__u32 events;
	int taken;
	int woken;
};

#define LAST 9999

static void *taker_run(void *arg)
{
	struct epoll_event event;
	struct taker *t = arg;
	long value = 0;

	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	while (value != LAST && epoll_wait(t->ep, &event, 1, -1) == 1) {
		t->woken++;
		do {
			value = take(t->fd);
			t->taken += value >= 0;
		} while (value >= 0 && value != LAST && t->events & EPOLLET);
	}
	return NULL;
}

static int taker_start(struct taker *t, int fd, __u32 events)
{
	t->fd = fd;
	t->events = events;
	t->ep = epoll_create1(EPOLL_CLOEXEC);
	return watch(t->ep, fd, events) ?: thread_start(&t->thread, taker_run, t);
}

/* Every message is received once, while the sender polls for room. */
static void takers_take_all(struct __test_metadata *_metadata, int fd, __u32 events)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	int i, n = 500, taken = 0;
	struct taker t[4] = { 0 };

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, taker_start(&t[i], fd, events));
	for (i = 0; i < n + 4; i++) {
		while (put(fd, i < n ? i : LAST))
			ASSERT_EQ(1, poll(&room, 1, -1));
	}
	for (i = 0; i < 4; i++) {
		pthread_join(t[i].thread, NULL);
		taken += t[i].taken;
		close(t[i].ep);
	}
	EXPECT_EQ(n + 4, taken);
}

TEST_F(polling, level_triggered_loses_nothing)
{
	takers_take_all(_metadata, self->fd, EPOLLIN);
}

TEST_F(polling, edge_triggered_loses_nothing)
{
	takers_take_all(_metadata, self->fd, EPOLLIN | EPOLLET);
}

TEST_F(polling, exclusive_loses_nothing)
{
	takers_take_all(_metadata, self->fd, EPOLLIN | EPOLLEXCLUSIVE);
}

TEST_F(polling, exclusive_edge_triggered_loses_nothing)
{
	takers_take_all(_metadata, self->fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET);
}

TEST_F(polling, exclusive_wakes_not_all_pollers)
{
	struct taker t[4] = { 0 };
	int i, woken = 0;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, taker_start(&t[i], self->fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET));
		ASSERT_EQ(0, await_asleep(&t[i].tid));
	}
	/* Each message ends one of them. */
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, put(self->fd, LAST));
		while (stat_of(self->fd).queued)
			pause_briefly();
	}
	for (i = 0; i < 4; i++) {
		pthread_join(t[i].thread, NULL);
		woken += t[i].woken;
		close(t[i].ep);
	}
	EXPECT_EQ(4, woken);
}

TEST_F(polling, exclusive_pollers_of_one_side_do_not_hide_the_other)
{
	struct taker t = { 0 };
	int out = epoll_create1(EPOLL_CLOEXEC);

	/* Asked first, and content with what it waits for never happening. */
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, watch(out, self->fd, EPOLLOUT | EPOLLEXCLUSIVE));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(2, take(self->fd));
	ASSERT_EQ(0, taker_start(&t, self->fd, EPOLLIN | EPOLLEXCLUSIVE));
	ASSERT_EQ(0, await_asleep(&t.tid));
	ASSERT_EQ(0, put(self->fd, LAST));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(1, t.taken);
	close(t.ep);
	close(out);
}

/* ---- many handles ----------------------------------------------------------- */

#define HANDLES 200

/* How many handles have something to receive. */
static int count_seen(int ep)
{
	struct epoll_event events[HANDLES];

	return epoll_wait(ep, events, HANDLES, 0);
}

TEST_F(polling, every_handle_is_woken)
{
	int fds[HANDLES], i, round;

	for (i = 0; i < HANDLES; i++) {
		fds[i] = open_again(self->fd, i & 1 ? O_RDWR : O_RDONLY);
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(0, watch(self->ep, fds[i], EPOLLIN | EPOLLET));
	}
	for (round = 0; round < 3; round++) {
		EXPECT_EQ(0, count_seen(self->ep));
		ASSERT_EQ(0, put(self->fd, 1));
		EXPECT_EQ(HANDLES, count_seen(self->ep));
		EXPECT_EQ(1, take(self->fd));
	}
	/* Those that are closed are not, and those in between still are. */
	for (i = 0; i < HANDLES; i += 3)
		close(fds[i]);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(HANDLES - (HANDLES + 2) / 3, count_seen(self->ep));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(HANDLES - (HANDLES + 2) / 3, count_seen(self->ep));
	for (i = 0; i < HANDLES; i++)
		if (i % 3)
			close(fds[i]);
}

/* One of all handles for each message. */
TEST_F(polling, exclusive_on_different_handles_wakes_one)
{
	struct taker t[4] = { 0 };
	int fds[4], i, woken = 0, round;

	for (i = 0; i < 4; i++) {
		fds[i] = open_again(self->fd, O_RDONLY);
		ASSERT_EQ(0, taker_start(&t[i], fds[i], EPOLLIN | EPOLLEXCLUSIVE | EPOLLET));
		ASSERT_EQ(0, await_asleep(&t[i].tid));
	}
	for (round = 0; round < 4; round++) {
		ASSERT_EQ(0, put(self->fd, LAST));
		while (stat_of(self->fd).queued)
			pause_briefly();
	}
	for (i = 0; i < 4; i++) {
		pthread_join(t[i].thread, NULL);
		woken += t[i].woken;
		close(t[i].ep);
		close(fds[i]);
	}
	EXPECT_EQ(4, woken);
}

static void *wait_once(void *arg)
{
	struct epoll_event event;
	struct taker *t = arg;

	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	t->woken = epoll_wait(t->ep, &event, 1, -1);
	return NULL;
}

/* What is not exclusive is told, whatever comes before it. */
TEST_F(polling, exclusive_does_not_hide_handles_behind_it)
{
	int first = open_again(self->fd, O_RDONLY), later;
	struct taker t = { .ep = epoll_create1(EPOLL_CLOEXEC) };

	ASSERT_EQ(0, watch(t.ep, first, EPOLLIN | EPOLLEXCLUSIVE));
	later = open_again(self->fd, O_RDONLY);
	ASSERT_EQ(0, watch(self->ep, later, EPOLLIN | EPOLLET));
	ASSERT_EQ(0, thread_start(&t.thread, wait_once, &t));
	ASSERT_EQ(0, await_asleep(&t.tid));
	ASSERT_EQ(0, put(self->fd, 1));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(1, t.woken);
	EXPECT_EQ(EPOLLIN, seen(self->ep));
	close(t.ep);
	close(first);
	close(later);
}

/* An idle one, which does not wait, is passed. */
TEST_F(polling, exclusive_poller_that_does_not_wait_is_skipped)
{
	int idle = open_again(self->fd, O_RDONLY), ep = epoll_create1(EPOLL_CLOEXEC), i;
	struct taker t = { 0 };

	ASSERT_EQ(0, watch(ep, idle, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET));
	ASSERT_EQ(0, taker_start(&t, self->fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, await_asleep(&t.tid));
		ASSERT_EQ(0, put(self->fd, i < 4 ? i : LAST));
		while (stat_of(self->fd).queued)
			pause_briefly();
	}
	pthread_join(t.thread, NULL);
	EXPECT_EQ(5, t.taken);
	close(t.ep);
	close(ep);
	close(idle);
}

TEST_F(polling, exclusive_on_different_handles_loses_nothing)
{
	struct pollfd room = { .fd = self->fd, .events = POLLOUT };
	int fds[4], i, n = 500, taken = 0;
	struct taker t[4] = { 0 };

	for (i = 0; i < 4; i++) {
		fds[i] = open_again(self->fd, O_RDONLY);
		ASSERT_EQ(0, taker_start(&t[i], fds[i], EPOLLIN | EPOLLEXCLUSIVE));
	}
	for (i = 0; i < n + 4; i++) {
		while (put(self->fd, i < n ? i : LAST))
			ASSERT_EQ(1, poll(&room, 1, -1));
	}
	for (i = 0; i < 4; i++) {
		pthread_join(t[i].thread, NULL);
		taken += t[i].taken;
		close(t[i].ep);
		close(fds[i]);
	}
	EXPECT_EQ(n + 4, taken);
}

/* Handles that are polled come and go while events are told. */
struct churner {
	pthread_t thread;
	__u64 id;
	bool *over;
	int failed;
};

static void *churner_run(void *arg)
{
	struct churner *c = arg;
	int ep = epoll_create1(EPOLL_CLOEXEC), fds[8] = { 0 }, i;

	while (!__atomic_load_n(c->over, __ATOMIC_RELAXED)) {
		for (i = 0; i < 8; i++) {
			fds[i] = raw_open_id(c->id, O_RDWR);
			c->failed |= fds[i] < 0 || watch(ep, fds[i], EPOLLIN | EPOLLOUT);
		}
		seen(ep);
		for (i = 0; i < 8; i++)
			close(fds[i]);
	}
	close(ep);
	return NULL;
}

TEST_F(polling, poll_while_handles_are_opened_and_closed)
{
	struct churner c[2] = { 0 };
	bool over = false;
	struct pollfd in = { .fd = self->fd, .events = POLLIN };
	int i;

	for (i = 0; i < 2; i++) {
		c[i].id = stat_of(self->fd).id;
		c[i].over = &over;
		ASSERT_EQ(0, thread_start(&c[i].thread, churner_run, &c[i]));
	}
	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(1, poll(&in, 1, WAIT_LIMIT_MS));
		ASSERT_EQ(i, take(self->fd));
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_FALSE(c[i].failed);
	}
}

/* A sender that, once it is let in, interrupts another one that waits. */
struct interrupter {
	pthread_t thread;
	int fd;
	pthread_t other;
	long ret;
};

static void *interrupter_run(void *arg)
{
	const struct sched_param param = { .sched_priority = 40 };
	struct interrupter *s = arg;
	__u32 value = 7;

	s->ret = neg(sched_setscheduler(0, SCHED_FIFO, &param));
	if (!s->ret)
		s->ret = raw_send(s->fd, &value, sizeof(value), 0);
	if (!s->ret)
		s->ret = -pthread_kill(s->other, SIGUSR1);
	return NULL;
}

/*
 * Senders are let in two at a time, and in between, poll says that there is no room for others.
 * They are more urgent than the thread that makes room, on the same CPU, so that they run in
 * between. There the fourth one interrupts the last one, so there is none to be let in after
 * that, but those that poll have to be told.
 */
TEST_F(polling, last_sender_gives_up_while_others_are_let_in)
{
	struct interrupter fourth = { .fd = self->fd };
	struct call first[3] = { 0 }, last = { .rt_prio = 20 };
	int i;

	ASSERT_EQ(0, stay_on(0));
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	for (i = 0; i < 3; i++) {
		first[i].rt_prio = 50;
		ASSERT_EQ(0, send_start(&first[i], self->fd, i));
	}
	ASSERT_EQ(0, send_start(&last, self->fd, 5));
	ASSERT_EQ(0, await_waiting(self->fd, 4, 0));
	fourth.other = last.thread;
	ASSERT_EQ(0, thread_start(&fourth.thread, interrupter_run, &fourth));
	ASSERT_EQ(0, await_waiting(self->fd, 5, 0));
	ASSERT_EQ(0, watch(self->ep, self->fd, EPOLLOUT));
	ASSERT_EQ(0, seen(self->ep));
	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	EXPECT_EQ(EPOLLOUT, seen(self->ep));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, call_join(&first[i]));
	pthread_join(fourth.thread, NULL);
	EXPECT_EQ(0, fourth.ret);
	/* It was not let in before it was interrupted. */
	EXPECT_EQ(-EINTR, call_join(&last));
}

TEST_HARNESS_MAIN
