// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: calls that wait, what ends the wait, which are woken, poll and epoll.
 */
#include <poll.h>
#include <sys/epoll.h>

#include "rings.h"

static int polled(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	p.revents = (short)POISON32;
	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

FIXTURE(ring_wait)
{
	struct mbox *mb;
	int fd;
};

FIXTURE_VARIANT(ring_wait)
{
	__u32 flags;
	bool asym_fences;
	/* Go to sleep at once, or check first. */
	unsigned int spin;
};

FIXTURE_VARIANT_ADD(ring_wait, shared)
{
	.flags = 0,
	.spin = 0,
};

FIXTURE_VARIANT_ADD(ring_wait, shared_spinning)
{
	.flags = 0,
	.spin = 2000,
};

FIXTURE_VARIANT_ADD(ring_wait, one_to_one)
{
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.spin = 0,
};

FIXTURE_VARIANT_ADD(ring_wait, one_to_one_asymmetric)
{
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.asym_fences = true,
	.spin = 0,
};

FIXTURE_SETUP(ring_wait)
{
	self->mb = new_ring_with(variant->asym_fences, variant->flags, 2, 64);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	ASSERT_EQ(0, neg(mbox_set_spin(self->mb, variant->spin)));
}

FIXTURE_TEARDOWN(ring_wait)
{
	EXPECT_EQ(0, mbox_close(self->mb));
}

TEST_F(ring_wait, receiver_waits_for_a_message)
{
	struct ring_call c = { 0 };

	ASSERT_EQ(0, ring_recv_start(&c, self->mb));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, ring_put(self->mb, 7));
	EXPECT_EQ(7, ring_join(&c));
	EXPECT_EQ(0, await_waiting(self->fd, 0, 0));
}

TEST_F(ring_wait, sender_waits_for_room)
{
	struct ring_call c = { 0 };

	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	ASSERT_EQ(0, ring_send_start(&c, self->mb, 3));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(0, ring_join(&c));
	EXPECT_EQ(2, ring_take(self->mb));
	EXPECT_EQ(3, ring_take(self->mb));
	EXPECT_EQ(0, await_waiting(self->fd, 0, 0));
}

TEST_F(ring_wait, deadline_is_ETIMEDOUT)
{
	const unsigned int flags[] = { 0, MBOX_REALTIME };
	struct timespec deadline;
	__u32 value = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		clockid_t clock = flags[i] ? CLOCK_REALTIME : CLOCK_MONOTONIC;
		__s64 start = now_ns(clock);

		deadline = deadline_in(clock, 50);
		EXPECT_EQ(-ETIMEDOUT,
			  neg(mbox_timedrecv(self->mb, &value, 4, flags[i], &deadline)));
		EXPECT_GE(now_ns(clock) - start, 50 * NSEC_PER_MSEC - 1);
		ASSERT_EQ(0, ring_put(self->mb, 1));
		ASSERT_EQ(0, ring_put(self->mb, 2));
		start = now_ns(clock);
		deadline = deadline_in(clock, 50);
		EXPECT_EQ(-ETIMEDOUT,
			  neg(mbox_timedsend(self->mb, &value, 4, flags[i], &deadline)));
		EXPECT_GE(now_ns(clock) - start, 50 * NSEC_PER_MSEC - 1);
		EXPECT_EQ(1, ring_take(self->mb));
		EXPECT_EQ(2, ring_take(self->mb));
	}
	EXPECT_EQ(0, await_waiting(self->fd, 0, 0));
}

TEST_F(ring_wait, past_deadline_receives_a_queued_message)
{
	struct timespec past = { .tv_nsec = 0 };
	__u32 value = 5;

	EXPECT_EQ(-ETIMEDOUT, neg(mbox_timedrecv(self->mb, &value, 4, 0, &past)));
	EXPECT_EQ(0, neg(mbox_timedsend(self->mb, &value, 4, 0, &past)));
	value = 0;
	EXPECT_EQ(4, neg(mbox_timedrecv(self->mb, &value, 4, 0, &past)));
	EXPECT_EQ(5U, value);
}

TEST_F(ring_wait, O_NONBLOCK_is_EAGAIN)
{
	__u32 value = 0;

	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, neg(mbox_recv(self->mb, &value, 4, 0)));
	EXPECT_EQ(0, neg(mbox_send(self->mb, &value, 4, 0)));
	EXPECT_EQ(0, neg(mbox_send(self->mb, &value, 4, 0)));
	EXPECT_EQ(-EAGAIN, neg(mbox_send(self->mb, &value, 4, 0)));
	EXPECT_TRUE(!mbox_reserve(self->mb, 4, 0) && errno == EAGAIN);
	EXPECT_EQ(4, neg(mbox_recv(self->mb, &value, 4, 0)));
	EXPECT_EQ(4, neg(mbox_recv(self->mb, &value, 4, 0)));
}

TEST_F(ring_wait, signal_is_EINTR)
{
	struct ring_call c = { 0 };

	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, ring_recv_start(&c, self->mb));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	pthread_kill(c.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, ring_join(&c));
	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	ASSERT_EQ(0, ring_send_start(&c, self->mb, 3));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	pthread_kill(c.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, ring_join(&c));
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(2, ring_take(self->mb));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

TEST_F(ring_wait, SA_RESTART_restarts_the_wait)
{
	struct ring_call c = { 0 };

	ASSERT_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, ring_recv_start(&c, self->mb));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	pthread_kill(c.thread, SIGUSR1);
	ASSERT_EQ(0, await_signals(1));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, ring_put(self->mb, 9));
	EXPECT_EQ(9, ring_join(&c));
}

TEST_F(ring_wait, destroy_is_EIDRM_for_every_call)
{
	/* Longer than msg_max. */
	char buf[65] = { 0 };
	struct mbox_msg msg = msg_of(buf, 4, 0);
	struct ring_call in = { 0 };
	const void *slot;
	size_t len;

	ASSERT_EQ(0, ring_recv_start(&in, self->mb));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, neg(mbox_destroy(self->mb)));
	EXPECT_EQ(-EIDRM, ring_join(&in));
	EXPECT_EQ(-EIDRM, ring_put(self->mb, 1));
	EXPECT_EQ(-EIDRM, ring_take(self->mb));
	EXPECT_EQ(-EIDRM, neg(mbox_sendmmsg(self->mb, &msg, 1, 0)));
	EXPECT_EQ(-EIDRM, neg(mbox_recvmmsg(self->mb, &msg, 1, 0)));
	slot = mbox_reserve(self->mb, 4, 0);
	EXPECT_TRUE(!slot && errno == EIDRM);
	slot = mbox_peek(self->mb, &len, 0);
	EXPECT_TRUE(!slot && errno == EIDRM);
	/* The length is checked later, as on a queue. */
	EXPECT_EQ(-EIDRM, neg(mbox_send(self->mb, buf, sizeof(buf), 0)));
	slot = mbox_reserve(self->mb, sizeof(buf), 0);
	EXPECT_TRUE(!slot && errno == EIDRM);
	EXPECT_EQ(-EIDRM, neg(mbox_destroy(self->mb)));
	EXPECT_EQ(POLLERR | POLLHUP, polled(self->fd, POLLIN | POLLOUT));
}

TEST_F(ring_wait, destroy_is_EIDRM_for_messages_in_place)
{
	const void *peeked;
	void *slot;
	size_t len;

	ASSERT_EQ(0, ring_put(self->mb, 1));
	peeked = mbox_peek(self->mb, &len, 0);
	ASSERT_TRUE(!!peeked);
	slot = mbox_reserve(self->mb, 4, 0);
	ASSERT_TRUE(!!slot);
	ASSERT_EQ(0, neg(mbox_destroy(self->mb)));
	EXPECT_EQ(-EINVAL, neg(mbox_release(self->mb, slot)));
	EXPECT_EQ(-EIDRM, neg(mbox_release(self->mb, peeked)));
	EXPECT_EQ(-EINVAL, neg(mbox_release(self->mb, peeked)));
	EXPECT_EQ(-EINVAL, neg(mbox_commit(self->mb, &len, 4)));
	/* The length is checked later. */
	EXPECT_EQ(-EIDRM, neg(mbox_commit(self->mb, slot, 65)));
	EXPECT_EQ(-EINVAL, neg(mbox_commit(self->mb, slot, 4)));
	EXPECT_EQ(-EINVAL, neg(mbox_discard(self->mb, slot)));
}

TEST_F(ring_wait, destroy_is_EIDRM_for_every_reservation)
{
	void *slot[2];

	slot[0] = mbox_reserve(self->mb, 4, 0);
	slot[1] = mbox_reserve(self->mb, 4, 0);
	ASSERT_TRUE(slot[0] && slot[1]);
	ASSERT_EQ(0, neg(mbox_destroy(self->mb)));
	EXPECT_EQ(-EIDRM, neg(mbox_discard(self->mb, slot[1])));
	EXPECT_EQ(-EIDRM, neg(mbox_commit(self->mb, slot[0], 4)));
	EXPECT_EQ(-EINVAL, neg(mbox_discard(self->mb, slot[0])));
	EXPECT_EQ(-EINVAL, neg(mbox_discard(self->mb, slot[1])));
}

TEST_F(ring_wait, destroy_is_EIDRM_for_senders)
{
	struct ring_call out = { 0 };

	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	ASSERT_EQ(0, ring_send_start(&out, self->mb, 3));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, neg(mbox_destroy(self->mb)));
	EXPECT_EQ(-EIDRM, ring_join(&out));
	/* What was in it is gone for the library. */
	EXPECT_EQ(-EIDRM, ring_take(self->mb));
}

static int ping(void *arg)
{
	struct mbox **mb = arg;
	__u32 i, value;

	for (i = 0; i < 500; i++) {
		CHECK_EQ(4, neg(mbox_recv(mb[0], &value, 4, 0)));
		CHECK_EQ(i, value);
		CHECK_EQ(0, neg(mbox_send(mb[1], &value, 4, 0)));
	}
	return 0;
}

TEST_F(ring_wait, ping_pong_between_processes)
{
	struct mbox *mb[2] = { self->mb, new_ring(variant->flags, 2, 64) };
	__u32 i, value;
	pid_t pid;

	ASSERT_TRUE(!!mb[1]);
	pid = spawn(ping, mb);
	for (i = 0; i < 500; i++) {
		ASSERT_EQ(0, neg(mbox_send(mb[0], &i, 4, 0)));
		ASSERT_EQ(4, neg(mbox_recv(mb[1], &value, 4, 0)));
		ASSERT_EQ(i, value);
	}
	EXPECT_EQ(0, reap(pid));
	mbox_close(mb[1]);
}

TEST_F(ring_wait, poll_reports_both_sides)
{
	EXPECT_EQ(POLLOUT, polled(self->fd, POLLIN | POLLOUT));
	ASSERT_EQ(0, ring_put(self->mb, 1));
	EXPECT_EQ(POLLIN | POLLOUT, polled(self->fd, POLLIN | POLLOUT));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	EXPECT_EQ(POLLIN, polled(self->fd, POLLIN | POLLOUT));
	EXPECT_EQ(0, polled(self->fd, POLLOUT));
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(POLLIN | POLLOUT, polled(self->fd, POLLIN | POLLOUT));
}

TEST_F(ring_wait, poll_is_woken_by_a_message)
{
	struct poller p[3];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, poller_start(&p[i], self->fd, POLLIN));
	ASSERT_EQ(0, ring_put(self->mb, 1));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(POLLIN, poller_join(&p[i]));
}

TEST_F(ring_wait, poll_is_woken_by_room)
{
	struct poller p;

	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	ASSERT_EQ(0, poller_start(&p, self->fd, POLLOUT));
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(POLLOUT, poller_join(&p));
}

static int send_in_turn(void *arg)
{
	struct mbox *mb = arg;
	__u32 i;

	for (i = 0; i < 300; i++) {
		CHECK_EQ(0, neg(mbox_send(mb, &i, 4, 0)));
		if (i % 7 == 0)
			pause_briefly();
	}
	return 0;
}

/* Each edge is followed by taking what is there; a lost one would hang. */
TEST_F(ring_wait, edge_triggered_epoll_leads_to_every_message)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	__u32 next = 0;
	long value;
	pid_t pid;
	int ep;

	ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->fd, &ev));
	pid = spawn(send_in_turn, self->mb);
	while (next < 300) {
		ASSERT_EQ(1, neg(epoll_wait(ep, &ev, 1, WAIT_LIMIT_MS)));
		while ((value = ring_take(self->mb)) >= 0)
			ASSERT_EQ(next++, value);
		ASSERT_EQ(-EAGAIN, value);
	}
	EXPECT_EQ(0, reap(pid));
	close(ep);
}

/* Each instance is told, whichever of them takes the message. */
TEST_F(ring_wait, exclusive_epoll_instances_are_all_woken)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE };
	int ep[2], i, lap;

	for (i = 0; i < 2; i++) {
		ep[i] = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_LE(0, ep[i]);
		ASSERT_EQ(0, epoll_ctl(ep[i], EPOLL_CTL_ADD, self->fd, &ev));
	}
	for (lap = 0; lap < 20; lap++) {
		ASSERT_EQ(0, ring_put(self->mb, lap));
		for (i = 0; i < 2; i++)
			ASSERT_EQ(1, neg(epoll_wait(ep[i], &ev, 1, WAIT_LIMIT_MS)));
		ASSERT_EQ(lap, ring_take(self->mb));
		ASSERT_EQ(-EAGAIN, ring_take(self->mb));
	}
	for (i = 0; i < 2; i++)
		close(ep[i]);
}

/*
 * Several of a side.
 */

#define SLEEPERS 8

TEST(each_sleeper_gets_its_message)
{
	struct ring_call c[SLEEPERS] = { 0 };
	struct mbox *mb = new_ring(0, SLEEPERS, 4);
	long sum = 0;
	int lap, i;

	ASSERT_TRUE(!!mb);
	mbox_set_spin(mb, 0);
	for (lap = 0; lap < 20; lap++) {
		for (i = 0; i < SLEEPERS; i++)
			ASSERT_EQ(0, ring_recv_start(&c[i], mb));
		ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, SLEEPERS));
		for (i = 0; i < SLEEPERS; i++)
			ASSERT_EQ(0, ring_put(mb, i));
		for (sum = 0, i = 0; i < SLEEPERS; i++)
			sum += ring_join(&c[i]);
		ASSERT_EQ(SLEEPERS * (SLEEPERS - 1) / 2, sum);
	}
	mbox_close(mb);
}

/* More than the kernel wakes at a time. */
#define CROWD 100

/**
 * struct raw_sleeper - a thread in MBOX_IOC_RING_WAIT
 * @fd: of the ring
 * @prio: its real-time priority; 0: none
 * @woken: out: the how manieth it was
 * @order: counts them
 */
struct raw_sleeper {
	pthread_t thread;
	int fd;
	int prio;
	int woken;
	int *order;
	long ret;
};

static void *raw_sleep(void *arg)
{
	struct raw_sleeper *s = arg;
	struct mbox_ring_wait wait = { .side = MBOX_RING_RECEIVERS };
	struct sched_param param = { .sched_priority = s->prio };

	if (s->prio)
		sched_setscheduler(0, SCHED_FIFO, &param);
	s->ret = raw(s->fd, MBOX_IOC_RING_WAIT, &wait);
	s->woken = __atomic_add_fetch(s->order, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static long raw_wake(int fd, __u32 n)
{
	struct mbox_ring_wake wake = { .side = MBOX_RING_RECEIVERS, .n = n };

	return raw(fd, MBOX_IOC_RING_WAKE, &wake);
}

TEST(wake_wakes_no_more_than_asked)
{
	struct raw_sleeper s[CROWD] = { 0 };
	struct mbox *mb = new_ring(0, 1, 4);
	const __u32 rounds[] = { 1, 12, 13, 30, 0, UINT32_MAX };
	__u32 left = CROWD;
	size_t i;
	int order = 0;

	ASSERT_TRUE(!!mb);
	for (i = 0; i < CROWD; i++) {
		s[i].fd = mbox_fd(mb);
		s[i].order = &order;
		s[i].prio = i % 3;
		ASSERT_EQ(0, thread_start(&s[i].thread, raw_sleep, &s[i]));
	}
	ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, CROWD));
	for (i = 0; i < ARRAY_SIZE(rounds); i++) {
		ASSERT_EQ(0, raw_wake(mbox_fd(mb), rounds[i]));
		left = rounds[i] < left ? left - rounds[i] : 0;
		EXPECT_EQ(left, stat_of(mbox_fd(mb)).waiting_receivers);
	}
	for (i = 0; i < CROWD; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(0, s[i].ret);
	}
	mbox_close(mb);
}

TEST(sleepers_are_woken_by_priority_then_by_time)
{
	const int prios[] = { 0, 10, 0, 20, 10, 30, 0 };
	const int expected[] = { 5, 3, 1, 4, 0, 2, 6 };
	struct raw_sleeper s[ARRAY_SIZE(prios)] = { 0 };
	struct mbox *mb = new_ring(0, 1, 4);
	int order = 0;
	size_t i;

	ASSERT_TRUE(!!mb);
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		s[i].fd = mbox_fd(mb);
		s[i].order = &order;
		s[i].prio = prios[i];
		ASSERT_EQ(0, thread_start(&s[i].thread, raw_sleep, &s[i]));
		ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, i + 1));
	}
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		ASSERT_EQ(0, raw_wake(mbox_fd(mb), 1));
		pthread_join(s[expected[i]].thread, NULL);
		EXPECT_EQ((int)i + 1, s[expected[i]].woken);
	}
	mbox_close(mb);
}

TEST(destroy_wakes_many_sleepers)
{
	struct raw_sleeper s[CROWD] = { 0 };
	struct mbox *mb = new_ring(0, 1, 4);
	int order = 0, i;

	ASSERT_TRUE(!!mb);
	for (i = 0; i < CROWD; i++) {
		s[i].fd = mbox_fd(mb);
		s[i].order = &order;
		ASSERT_EQ(0, thread_start(&s[i].thread, raw_sleep, &s[i]));
	}
	ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, CROWD));
	ASSERT_EQ(0, raw_destroy(mbox_fd(mb)));
	for (i = 0; i < CROWD; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(-EIDRM, s[i].ret);
	}
	mbox_close(mb);
}

/* Both wake-ups go to the first sleeper, which has to pass one on. */
TEST(commits_out_of_order_wake_both_receivers)
{
	struct ring_call c[2] = { 0 };
	struct mbox *mb = new_ring(0, 4, 4);
	__u32 *first, *second;
	int lap;

	ASSERT_TRUE(!!mb);
	mbox_set_spin(mb, 0);
	for (lap = 0; lap < 20; lap++) {
		ASSERT_EQ(0, ring_recv_start(&c[0], mb));
		ASSERT_EQ(0, ring_recv_start(&c[1], mb));
		ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 2));
		first = mbox_reserve(mb, 4, 0);
		second = mbox_reserve(mb, 4, 0);
		ASSERT_TRUE(first && second);
		*first = 1;
		*second = 2;
		ASSERT_EQ(0, neg(mbox_commit(mb, second, 4)));
		/* Woken for nothing, it sleeps again. */
		ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 2));
		ASSERT_EQ(0, neg(mbox_commit(mb, first, 4)));
		EXPECT_EQ(3, ring_join(&c[0]) + ring_join(&c[1]));
	}
	mbox_close(mb);
}

TEST(discarded_place_does_not_block_later_messages)
{
	struct ring_call c = { 0 };
	struct mbox *mb = new_ring(0, 4, 4);
	__u32 *first;

	ASSERT_TRUE(!!mb);
	first = mbox_reserve(mb, 4, 0);
	ASSERT_TRUE(!!first);
	ASSERT_EQ(0, ring_put(mb, 2));
	ASSERT_EQ(0, ring_recv_start(&c, mb));
	ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 1));
	ASSERT_EQ(0, neg(mbox_discard(mb, first)));
	EXPECT_EQ(2, ring_join(&c));
	mbox_close(mb);
}

/* A receiver that passes discarded places makes room, and finds nothing. */
TEST(passing_discarded_places_wakes_a_sender)
{
	struct ring_call in = { 0 }, out = { 0 };
	struct mbox *mb = new_ring(0, 1, 4);
	__u32 *slot;

	ASSERT_TRUE(!!mb);
	mbox_set_spin(mb, 0);
	slot = mbox_reserve(mb, 4, 0);
	ASSERT_TRUE(!!slot);
	ASSERT_EQ(0, ring_recv_start(&in, mb));
	ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 1));
	ASSERT_EQ(0, ring_send_start(&out, mb, 5));
	ASSERT_EQ(0, await_waiting(mbox_fd(mb), 1, 1));
	ASSERT_EQ(0, neg(mbox_discard(mb, slot)));
	EXPECT_EQ(0, ring_join(&out));
	EXPECT_EQ(5, ring_join(&in));
	mbox_close(mb);
}

static void *recv_short(void *arg)
{
	struct ring_call *c = arg;
	char byte;

	c->ret = neg(mbox_recv(c->mb, &byte, 1, 0));
	return NULL;
}

/* A receiver whose buffer is short was woken for nothing: the next one is. */
TEST(short_receiver_passes_the_wake_up_on)
{
	struct ring_call tiny = { 0 }, c = { 0 };
	struct mbox *mb = new_ring(0, 4, 4);

	ASSERT_TRUE(!!mb);
	mbox_set_spin(mb, 0);
	tiny.mb = mb;
	ASSERT_EQ(0, thread_start(&tiny.thread, recv_short, &tiny));
	ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 1));
	ASSERT_EQ(0, ring_recv_start(&c, mb));
	ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 2));
	ASSERT_EQ(0, ring_put(mb, 3));
	EXPECT_EQ(-EMSGSIZE, ring_join(&tiny));
	EXPECT_EQ(3, ring_join(&c));
	mbox_close(mb);
}

static int wait_for_ever(void *arg)
{
	__u32 value;

	mbox_recv(arg, &value, 4, 0);
	return 0;
}

/* Killed at any moment around its wake-up: another one gets the message. */
TEST(killed_sleeper_leaves_its_message_to_another)
{
	struct ring_call c = { 0 };
	struct mbox *mb = new_ring(0, 4, 4);
	int lap, laps = 40 / time_factor() + 1;
	bool taken;
	pid_t pid;
	long got;

	ASSERT_TRUE(!!mb);
	mbox_set_spin(mb, 0);
	for (lap = 0; lap < laps; lap++) {
		pid = spawn(wait_for_ever, mb);
		ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 1));
		ASSERT_EQ(0, ring_recv_start(&c, mb));
		ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 2));
		ASSERT_EQ(0, ring_put(mb, lap));
		kill(pid, SIGKILL);
		got = reap(pid);
		ASSERT_TRUE(got == 0 || got == 1000 + SIGKILL);
		/* It may have been quick enough to take it. */
		taken = !stat_of(mbox_fd(mb)).queued;
		ASSERT_EQ(0, taken ? ring_put(mb, lap) : 0);
		ASSERT_EQ(lap, ring_join(&c));
		while (ring_take(mb) >= 0)
			;
	}
	mbox_close(mb);
}

/*
 * MBOX_HANGUP.
 */

TEST(hangup_is_EPIPE_for_receivers_of_an_empty_ring)
{
	struct mbox *both = new_ring(MBOX_HANGUP, 4, 4), *in, *out;
	struct ring_call c = { 0 };

	ASSERT_TRUE(!!both);
	in = open_ring(both, O_RDONLY);
	out = open_ring(both, O_WRONLY);
	ASSERT_TRUE(in && out);
	mbox_close(both);
	ASSERT_EQ(0, ring_put(out, 1));
	ASSERT_EQ(0, ring_put(out, 2));
	EXPECT_EQ(POLLIN, polled(mbox_fd(in), POLLIN));
	EXPECT_EQ(1, ring_take(in));
	EXPECT_EQ(2, ring_take(in));
	ASSERT_EQ(0, ring_recv_start(&c, in));
	ASSERT_EQ(0, await_waiting(mbox_fd(in), 0, 1));
	ASSERT_EQ(0, ring_put(out, 3));
	EXPECT_EQ(3, ring_join(&c));
	ASSERT_EQ(0, ring_put(out, 4));
	ASSERT_EQ(0, ring_recv_start(&c, in));
	EXPECT_EQ(4, ring_join(&c));
	ASSERT_EQ(0, ring_recv_start(&c, in));
	ASSERT_EQ(0, await_waiting(mbox_fd(in), 0, 1));
	mbox_close(out);
	EXPECT_EQ(-EPIPE, ring_join(&c));
	EXPECT_EQ(-EPIPE, ring_take(in));
	EXPECT_EQ(POLLHUP, polled(mbox_fd(in), POLLIN) & POLLHUP);
	/* A new sender brings it back. */
	out = open_ring(in, O_WRONLY);
	ASSERT_TRUE(!!out);
	EXPECT_EQ(-EAGAIN, ring_take(in));
	EXPECT_EQ(0, ring_put(out, 5));
	mbox_close(out);
	EXPECT_EQ(5, ring_take(in));
	EXPECT_EQ(-EPIPE, ring_take(in));
	mbox_close(in);
}

TEST(hangup_is_EPIPE_for_senders)
{
	struct mbox *both = new_ring(MBOX_HANGUP, 1, 4), *in, *out;
	struct ring_call c = { 0 };

	ASSERT_TRUE(!!both);
	in = open_ring(both, O_RDONLY);
	out = open_ring(both, O_WRONLY);
	ASSERT_TRUE(in && out);
	mbox_close(both);
	ASSERT_EQ(0, ring_put(out, 1));
	ASSERT_EQ(0, ring_send_start(&c, out, 2));
	ASSERT_EQ(0, await_waiting(mbox_fd(out), 1, 0));
	mbox_close(in);
	EXPECT_EQ(-EPIPE, ring_join(&c));
	EXPECT_EQ(-EPIPE, ring_put(out, 3));
	EXPECT_EQ(POLLERR | POLLHUP, polled(mbox_fd(out), POLLOUT) & (POLLERR | POLLHUP));
	mbox_close(out);
}

TEST(spin_changes_no_result)
{
	struct mbox *mb = new_ring(0, 2, 4);

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, neg(mbox_set_spin(mb, UINT32_MAX)));
	EXPECT_EQ(-EAGAIN, ring_take(mb));
	EXPECT_EQ(0, ring_put(mb, 1));
	EXPECT_EQ(0, neg(mbox_set_spin(mb, 0)));
	EXPECT_EQ(1, ring_take(mb));
	mbox_close(mb);
}

TEST_HARNESS_MAIN
