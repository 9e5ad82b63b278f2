// SPDX-License-Identifier: GPL-2.0-only
/*
 * Crowds: more calls wait than are completed under one hold of the lock. None is
 * forgotten, none is overtaken, and each gets what it asked for.
 */
#include <sched.h>
#include <semaphore.h>

#include "calls.h"
#include "slow.h"
#include "urgent.h"

/* Many times what is done in one go. */
#define CROWD 100

FIXTURE(crowd)
{
	struct call *c;
	struct caller *callers;
	int fd;
};

FIXTURE_SETUP(crowd)
{
	self->c = calloc(CROWD, sizeof(*self->c));
	self->callers = calloc(CROWD, sizeof(*self->callers));
	ASSERT_TRUE(self->c && self->callers);
	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(crowd)
{
	free(self->c);
	free(self->callers);
	close(self->fd);
}

static int receive(struct call *c, int fd, __u32 flags, __u64 type)
{
	c->msg = msg_of(&c->value, sizeof(c->value), flags);
	c->msg.type = type;
	return recv_start(c, fd);
}

TEST_F(crowd, growing_the_capacity_admits_all_senders_in_order)
{
	int i;

	ASSERT_EQ(0, put(self->fd, 0));
	for (i = 0; i < CROWD; i++) {
		ASSERT_EQ(0, send_start(&self->c[i], self->fd, i + 1));
		ASSERT_EQ(0, await_waiting(self->fd, i + 1, 0));
	}
	ASSERT_EQ(0, raw_set_capacity(self->fd, CROWD + 2));
	/* No call waits any more, so this overtook none. */
	EXPECT_EQ(CROWD + 1U, stat_of(self->fd).queued);
	ASSERT_EQ(0, put(self->fd, CROWD + 1));
	for (i = 0; i < CROWD + 2; i++)
		EXPECT_EQ(i, take(self->fd));
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(0, call_join(&self->c[i]));
}

/* A sender that tries all the time, while those that waited before it are let in. */
#define NEWCOMER 10000

struct newcomer {
	int fd;
	int stop;
};

static void *try_to_overtake(void *arg)
{
	struct newcomer *n = arg;

	while (!__atomic_load_n(&n->stop, __ATOMIC_ACQUIRE))
		put(n->fd, NEWCOMER);
	return NULL;
}

TEST_F(crowd, new_sender_does_not_overtake_senders_being_admitted)
{
	struct newcomer newcomer;
	int round, i, fd, value;
	pthread_t thread;

	for (round = 0; round < 20; round++) {
		fd = new_mailbox(0, 1);
		ASSERT_LE(0, fd);
		newcomer = (struct newcomer){ .fd = fd };
		ASSERT_EQ(0, put(fd, 0));
		for (i = 0; i < CROWD; i++) {
			ASSERT_EQ(0, send_start(&self->c[i], fd, i + 1));
			ASSERT_EQ(0, await_waiting(fd, i + 1, 0));
		}
		ASSERT_EQ(0, thread_start(&thread, try_to_overtake, &newcomer));
		pause_briefly();
		ASSERT_EQ(0, raw_set_capacity(fd, 4 * CROWD));
		__atomic_store_n(&newcomer.stop, 1, __ATOMIC_RELEASE);
		pthread_join(thread, NULL);
		for (i = 0; i < CROWD; i++)
			EXPECT_EQ(0, call_join(&self->c[i]));
		for (i = 0; i <= CROWD; i++) {
			value = take(fd);
			EXPECT_EQ(i, value);
			if (i != value)
				break;
		}
		close(fd);
	}
}

/* ---- a thread that is preempted in the middle ----------------------------------- */

/* Real-time threads of CPU 0, and one that keeps what is less urgent from running there. */
#define URGENT 12
/* The hog goes on until the test has seen what it waits for; this is for one that never does. */
#define HOG_MS 10000

struct preempted {
	int fd;
	int hog_runs;
	int hog_stop;
	int woken;
	sem_t hog;
};

static int use_cpu_0_as(int policy, int prio)
{
	struct sched_param param = { .sched_priority = prio };

	return stay_on(0) ?: neg(sched_setscheduler(0, policy, &param));
}

FIXTURE(preempted)
{
	struct rescue rescue;
};

FIXTURE_SETUP(preempted)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, stay_on(1));
	ASSERT_EQ(0, rescue_off(&self->rescue));
}

FIXTURE_TEARDOWN(preempted)
{
	EXPECT_EQ(0, rescue_on(&self->rescue));
}

static void *hog(void *arg)
{
	struct preempted *p = arg;
	__s64 end;

	if (use_cpu_0_as(SCHED_FIFO, 10))
		return NULL;
	sem_wait(&p->hog);
	end = now_ns(CLOCK_MONOTONIC) + HOG_MS * NSEC_PER_MSEC;
	__atomic_store_n(&p->hog_runs, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&p->hog_stop, __ATOMIC_ACQUIRE))
		if (now_ns(CLOCK_MONOTONIC) > end)
			return p;
	return NULL;
}

/* Return 0 if the hog ran until now. */
static int hog_stop(struct preempted *p, pthread_t thread)
{
	void *ret;

	__atomic_store_n(&p->hog_stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, &ret);
	return ret ? -1 : 0;
}

static void woken(struct preempted *p)
{
	__atomic_fetch_add(&p->woken, 1, __ATOMIC_RELEASE);
	/* The hog is next on this CPU. */
	sem_post(&p->hog);
}

static void *urgent_reader(void *arg)
{
	struct preempted *p = arg;
	int fd = open_again(p->fd, O_RDONLY);
	__u32 value;

	if (!use_cpu_0_as(SCHED_FIFO, 50) && raw_recv(fd, &value, sizeof(value), 0) == 4)
		woken(p);
	close(fd);
	return NULL;
}

static void *urgent_sender(void *arg)
{
	struct preempted *p = arg;
	__u32 value = 1;

	if (!use_cpu_0_as(SCHED_FIFO, 50) && !raw_send(p->fd, &value, sizeof(value), 0))
		woken(p);
	return NULL;
}

static void *idle_sender(void *arg)
{
	struct preempted *p = arg;

	return (void *)(long)(use_cpu_0_as(SCHED_IDLE, 0) ?: put(p->fd, 1));
}

static void *idle_grower(void *arg)
{
	struct preempted *p = arg;

	return (void *)(long)(use_cpu_0_as(SCHED_IDLE, 0) ?:
			      raw_set_capacity(p->fd, 4 * URGENT));
}

TEST_F(preempted, readers_do_not_wait_for_an_idle_sender)
{
	struct preempted p = { .fd = new_mailbox(MBOX_BROADCAST, 4) };
	pthread_t readers[URGENT], sender, other;
	void *ret;
	int i;

	ASSERT_EQ(0, sem_init(&p.hog, 0, 0));
	for (i = 0; i < URGENT; i++)
		ASSERT_EQ(0, thread_start(&readers[i], urgent_reader, &p));
	ASSERT_EQ(0, await_waiting(p.fd, 0, URGENT));
	ASSERT_EQ(0, thread_start(&other, hog, &p));
	usleep(20000);
	ASSERT_EQ(0, thread_start(&sender, idle_sender, &p));
	for (i = 0; i < URGENT; i++)
		pthread_join(readers[i], NULL);
	/* The hog ran after the first of them, and longer than all of them took. */
	EXPECT_EQ(0, hog_stop(&p, other));
	pthread_join(sender, &ret);
	EXPECT_EQ(0, (long)ret);
	EXPECT_EQ(URGENT, p.woken);
	close(p.fd);
}

TEST_F(preempted, sender_does_not_wait_for_an_idle_thread_that_lets_others_in)
{
	struct preempted p = { .fd = new_mailbox(0, 1) };
	pthread_t senders[URGENT], grower, other;
	__u32 value = 2;
	void *ret;
	int i;

	ASSERT_EQ(0, put(p.fd, 0));
	ASSERT_EQ(0, sem_init(&p.hog, 0, 0));
	for (i = 0; i < URGENT; i++)
		ASSERT_EQ(0, thread_start(&senders[i], urgent_sender, &p));
	ASSERT_EQ(0, await_waiting(p.fd, URGENT, 0));
	ASSERT_EQ(0, thread_start(&other, hog, &p));
	usleep(20000);
	ASSERT_EQ(0, thread_start(&grower, idle_grower, &p));
	while (!__atomic_load_n(&p.hog_runs, __ATOMIC_ACQUIRE))
		pause_briefly();
	EXPECT_EQ(0, raw_send(p.fd, &value, sizeof(value), 0));
	EXPECT_EQ(0, hog_stop(&p, other));
	for (i = 0; i < URGENT; i++)
		pthread_join(senders[i], NULL);
	pthread_join(grower, &ret);
	EXPECT_EQ(0, (long)ret);
	EXPECT_EQ(URGENT, p.woken);
	close(p.fd);
}

/* More sleepers of a ring than are woken at a time. */
#define SLEEPERS 40

/**
 * struct killed_waker - an idle process that wakes the sleepers of a ring, and is killed
 * @p: the sleepers
 * @n: how many it wakes
 */
struct killed_waker {
	struct preempted p;
	__u32 n;
};

static void *urgent_sleeper(void *arg)
{
	struct mbox_ring_wait wait = { .side = MBOX_RING_RECEIVERS };
	struct preempted *p = arg;

	if (!use_cpu_0_as(SCHED_FIFO, 50) && !raw(p->fd, MBOX_IOC_RING_WAIT, &wait))
		woken(p);
	return NULL;
}

static int idle_waker(void *arg)
{
	struct killed_waker *w = arg;
	struct mbox_ring_wake wake = { .side = MBOX_RING_RECEIVERS, .n = w->n };

	CHECK_EQ(0, use_cpu_0_as(SCHED_IDLE, 0));
	return raw(w->p.fd, MBOX_IOC_RING_WAKE, &wake);
}

/* Return 0, or how far the sleepers came. */
static int wake_and_die(__u32 n, int *wakes)
{
	struct mbox_attr attr = attr_of(0, 4);
	struct killed_waker w = { .n = n };
	pthread_t sleepers[SLEEPERS], other;
	struct preempted *p = &w.p;
	pid_t waker;
	int i;

	attr.mode = MBOX_RING;
	p->fd = raw_create(NULL, O_RDWR, &attr);
	CHECK(p->fd >= 0);
	CHECK_EQ(0, sem_init(&p->hog, 0, 0));
	for (i = 0; i < SLEEPERS; i++)
		CHECK_EQ(0, thread_start(&sleepers[i], urgent_sleeper, p));
	CHECK_EQ(0, await_waiting(p->fd, 0, SLEEPERS));
	CHECK_EQ(0, thread_start(&other, hog, p));
	usleep(20000);
	waker = spawn(idle_waker, &w);
	while (!__atomic_load_n(&p->hog_runs, __ATOMIC_ACQUIRE))
		pause_briefly();
	kill(waker, SIGKILL);
	CHECK_EQ(0, await_waiting(p->fd, 0, SLEEPERS - n));
	/* It comes to its end when the hog lets it run. */
	CHECK_EQ(0, hog_stop(p, other));
	CHECK_EQ(1000 + SIGKILL, reap(waker));
	*wakes = __atomic_load_n(&p->woken, __ATOMIC_ACQUIRE);
	CHECK_EQ(0, raw_destroy(p->fd));
	for (i = 0; i < SLEEPERS; i++)
		pthread_join(sleepers[i], NULL);
	close(p->fd);
	return 0;
}

TEST_F(preempted, sleepers_of_a_ring_do_not_wait_for_an_idle_waker_that_is_killed)
{
	const __u32 n[] = { SLEEPERS, SLEEPERS - 5 };
	int wakes;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(n); i++) {
		wakes = 0;
		EXPECT_EQ(0, wake_and_die(n[i], &wakes));
		EXPECT_EQ((int)n[i], wakes);
	}
}

/* Senders, a receiver and changes of capacity, all at once: nothing is left behind. */
struct mill {
	int fd;
	int left;
};

static void *change_capacity(void *arg)
{
	struct mill *mill = arg;

	while (__atomic_load_n(&mill->left, __ATOMIC_ACQUIRE)) {
		raw_set_capacity(mill->fd, 1);
		raw_set_capacity(mill->fd, CROWD);
	}
	return NULL;
}

static void *send_with_deadlines(void *arg)
{
	struct mill *mill = arg;
	struct mbox_msg msg;
	__u32 value = 1;
	int i;

	for (i = 0; i < 300; i++) {
		msg = msg_of(&value, sizeof(value), i % 3 ? 0 : MBOX_SYNC);
		msg.deadline_ns = now_ns(CLOCK_MONOTONIC) + (i % 7) * NSEC_PER_MSEC;
		msg.type = i % 5;
		raw(mill->fd, MBOX_IOC_SEND, &msg);
	}
	__atomic_fetch_sub(&mill->left, 1, __ATOMIC_RELEASE);
	return NULL;
}

TEST_F(crowd, no_sender_is_left_while_the_capacity_changes)
{
	struct mill mill = { .fd = self->fd, .left = 20 };
	pthread_t senders[20], changer;
	struct mbox_msg msg;
	struct mbox_stat st;
	__u32 value;
	int i;

	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, thread_start(&senders[i], send_with_deadlines, &mill));
	ASSERT_EQ(0, thread_start(&changer, change_capacity, &mill));
	i = 0;
	while (__atomic_load_n(&mill.left, __ATOMIC_ACQUIRE) || stat_of(self->fd).queued) {
		msg = msg_of(&value, sizeof(value), ++i % 2 ? 0 : MBOX_MATCH);
		msg.type = i % 5;
		msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 20);
		raw(self->fd, MBOX_IOC_RECV, &msg);
	}
	for (i = 0; i < 20; i++)
		pthread_join(senders[i], NULL);
	pthread_join(changer, NULL);
	st = stat_of(self->fd);
	EXPECT_EQ(0U, st.queued);
	EXPECT_EQ(0U, st.waiting_senders);
	EXPECT_EQ(st.sent, st.received);
	/* There is room, and a receiver gets what is sent. */
	ASSERT_EQ(0, recv_start(&self->c[0], self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 9));
	EXPECT_EQ(9, recv_join(&self->c[0]));
}

TEST_F(crowd, growing_the_capacity_admits_fair_senders)
{
	int fair = new_mailbox(MBOX_FAIR, 1), i;

	ASSERT_LE(0, fair);
	ASSERT_EQ(0, put(fair, 0));
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(0, send_start(&self->c[i], fair, i + 1));
	ASSERT_EQ(0, await_waiting(fair, CROWD, 0));
	/* One user has at most half. */
	ASSERT_EQ(0, raw_set_capacity(fair, 40));
	ASSERT_EQ(0, await_waiting(fair, CROWD - 19, 0));
	EXPECT_EQ(20U, stat_of(fair).queued);
	ASSERT_EQ(0, raw_set_capacity(fair, MBOX_UNBOUNDED));
	ASSERT_EQ(0, await_waiting(fair, 0, 0));
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(0, call_join(&self->c[i]));
	EXPECT_EQ(CROWD + 1U, stat_of(fair).queued);
	close(fair);
}

/* Senders that come back as soon as they are let in, while others are being let in. */
#define RETURNING 30

struct returning {
	int fd;
	int stop;
	__s64 limit;
};

static void *send_again_and_again(void *arg)
{
	struct returning *r = arg;
	__u32 value = 1;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE) && now_ns(CLOCK_MONOTONIC) < r->limit)
		raw_send(r->fd, &value, sizeof(value), 0);
	return NULL;
}

/* How long it takes to let them in, in milliseconds. */
static long grow_among_returning(__u32 flags)
{
	struct returning r = { .fd = new_mailbox(flags, 1) };
	pthread_t threads[RETURNING];
	__s64 begin, end;
	long ret;
	int i;

	r.limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS / 2);
	ret = put(r.fd, 0);
	for (i = 0; i < RETURNING; i++)
		ret = ret ?: thread_start(&threads[i], send_again_and_again, &r);
	ret = ret ?: await_waiting(r.fd, RETURNING, 0);
	if (ret)
		return ret;
	begin = now_ns(CLOCK_MONOTONIC);
	ret = raw_set_capacity(r.fd, MBOX_UNBOUNDED);
	end = now_ns(CLOCK_MONOTONIC);
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < RETURNING; i++)
		pthread_join(threads[i], NULL);
	if (!ret && stat_of(r.fd).waiting_senders)
		ret = -EPROTO;
	close(r.fd);
	return ret ?: (end - begin) / NSEC_PER_MSEC;
}

TEST_F(crowd, growing_the_capacity_ends_although_senders_come_back)
{
	static const __u32 flags[] = { 0, MBOX_FAIR };
	long ms;
	int i;

	for (i = 0; i < 10; i++) {
		ms = grow_among_returning(flags[i % 2]);
		EXPECT_LE(0, ms);
		EXPECT_GT(WAIT_LIMIT_MS / 8, ms);
	}
}

TEST_F(crowd, each_message_goes_to_a_receiver_that_asks_for_its_type)
{
	int i;

	/* Types 1000 and up, and at the end of the list the few that matter. */
	for (i = 0; i < CROWD - 3; i++)
		ASSERT_EQ(0, receive(&self->c[i], self->fd, MBOX_MATCH, 1000 + i));
	ASSERT_EQ(0, await_waiting(self->fd, 0, CROWD - 3));
	ASSERT_EQ(0, receive(&self->c[i++], self->fd, MBOX_MATCH_NOT, 7));
	ASSERT_EQ(0, await_waiting(self->fd, 0, CROWD - 2));
	ASSERT_EQ(0, receive(&self->c[i++], self->fd, MBOX_MATCH_LE, 7));
	ASSERT_EQ(0, await_waiting(self->fd, 0, CROWD - 1));
	ASSERT_EQ(0, receive(&self->c[i++], self->fd, 0, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 0, CROWD));

	/* 7 is not for the first, and the second came before the third. */
	ASSERT_EQ(0, put_as(self->fd, 1, 0, 7));
	EXPECT_EQ(1, recv_join(&self->c[CROWD - 2]));
	ASSERT_EQ(0, put_as(self->fd, 2, 0, 7));
	EXPECT_EQ(2, recv_join(&self->c[CROWD - 1]));
	ASSERT_EQ(0, put_as(self->fd, 3, 0, 8));
	EXPECT_EQ(3, recv_join(&self->c[CROWD - 3]));
	for (i = CROWD - 4; i >= 0; i--) {
		ASSERT_EQ(0, put_as(self->fd, i, 0, 1000 + i));
		EXPECT_EQ(i, recv_join(&self->c[i]));
	}
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(crowd, receivers_of_equal_priority_are_served_in_order_of_arrival)
{
	static const __u32 flags[] = { 0, MBOX_MATCH, MBOX_MATCH_NOT, MBOX_MATCH_LE };
	int i;

	for (i = 0; i < CROWD; i++) {
		/* All of these take type 5. */
		ASSERT_EQ(0, receive(&self->c[i], self->fd, flags[i % 4],
				     i % 4 == 2 ? i : i % 4 == 3 ? 5 + i : 5));
		ASSERT_EQ(0, await_waiting(self->fd, 0, i + 1));
	}
	for (i = 0; i < CROWD; i++) {
		ASSERT_EQ(0, put_as(self->fd, i, 0, 5));
		EXPECT_EQ(i, recv_join(&self->c[i]));
	}
}

TEST_F(crowd, receivers_with_short_buffers_fail_and_the_next_one_gets_the_message)
{
	int i;

	for (i = 0; i < CROWD; i++) {
		self->c[i].msg = msg_of(&self->c[i].value, i == CROWD - 1 ? 4 : 1, 0);
		ASSERT_EQ(0, recv_start(&self->c[i], self->fd));
		ASSERT_EQ(0, await_waiting(self->fd, 0, i + 1));
	}
	ASSERT_EQ(0, put(self->fd, 5));
	for (i = 0; i < CROWD - 1; i++)
		EXPECT_EQ(-EMSGSIZE, call_join(&self->c[i]));
	EXPECT_EQ(5, recv_join(&self->c[i]));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(crowd, message_stays_when_all_buffers_are_short)
{
	int i;

	for (i = 0; i < CROWD; i++) {
		self->c[i].msg = msg_of(&self->c[i].value, 1, 0);
		ASSERT_EQ(0, recv_start(&self->c[i], self->fd));
	}
	ASSERT_EQ(0, await_waiting(self->fd, 0, CROWD));
	ASSERT_EQ(0, put(self->fd, 5));
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(-EMSGSIZE, call_join(&self->c[i]));
	EXPECT_EQ(5, take(self->fd));
}

/* The one that takes the message is found behind any number that do not. */
TEST_F(crowd, receiver_behind_short_buffers_gets_a_message_that_cannot_be_queued)
{
	static const __u32 flags[] = { 0, MBOX_MATCH, MBOX_MATCH_NOT, MBOX_MATCH_LE };
	__u32 value = 7;
	struct mbox_msg msg;
	int fd, k, i;

	for (k = 0; k < 4; k++) {
		fd = new_mailbox(0, 0);
		ASSERT_LE(0, fd);
		for (i = 0; i < CROWD; i++) {
			self->c[i].msg = msg_of(&self->c[i].value,
						i == CROWD - 2 ? 4 : 1, flags[k]);
			self->c[i].msg.type = flags[k] == MBOX_MATCH ? 5 : 6 + i % 9;
			ASSERT_EQ(0, recv_start(&self->c[i], fd));
			ASSERT_EQ(0, await_waiting(fd, 0, i + 1));
		}
		msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
		msg.type = 5;
		ASSERT_EQ(0, raw(fd, MBOX_IOC_SEND, &msg));
		EXPECT_EQ(4, call_join(&self->c[CROWD - 2]));
		EXPECT_EQ(7, self->c[CROWD - 2].value);
		/* Those before it fail, the one behind it goes on waiting. */
		for (i = 0; i < CROWD - 2; i++)
			EXPECT_EQ(-EMSGSIZE, call_join(&self->c[i]));
		EXPECT_EQ(1U, stat_of(fd).waiting_receivers);
		raw_destroy(fd);
		EXPECT_EQ(-EIDRM, call_join(&self->c[CROWD - 1]));
		close(fd);
	}
}

/* No receiver gets it, so none fails. */
TEST_F(crowd, short_buffers_do_not_fail_on_a_message_that_is_not_queued)
{
	int fd = new_mailbox(0, 0), i;

	ASSERT_LE(0, fd);
	for (i = 0; i < CROWD; i++) {
		self->c[i].msg = msg_of(&self->c[i].value, 1, 0);
		ASSERT_EQ(0, recv_start(&self->c[i], fd));
	}
	ASSERT_EQ(0, await_waiting(fd, 0, CROWD));
	EXPECT_EQ(-EAGAIN, put(fd, 1));
	EXPECT_EQ((__u32)CROWD, stat_of(fd).waiting_receivers);
	raw_destroy(fd);
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(-EIDRM, call_join(&self->c[i]));
	close(fd);
}

TEST_F(crowd, all_that_wait_to_peek_see_a_message)
{
	int i;

	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(0, receive(&self->c[i], self->fd, MBOX_PEEK, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 0, CROWD));
	ASSERT_EQ(0, put(self->fd, 6));
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(6, recv_join(&self->c[i]));
	EXPECT_EQ(6, take(self->fd));
}

TEST_F(crowd, all_readers_of_a_broadcast_are_woken)
{
	int sender = new_mailbox(MBOX_BROADCAST, 4), fd[CROWD], i;

	ASSERT_LE(0, sender);
	for (i = 0; i < CROWD; i++) {
		fd[i] = open_again(sender, O_RDONLY);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, receive(&self->c[i], fd[i], 0, 0));
	}
	ASSERT_EQ(0, await_waiting(sender, 0, CROWD));
	ASSERT_EQ(0, put(sender, 7));
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(7, recv_join(&self->c[i]));
	for (i = 0; i < CROWD; i++)
		close(fd[i]);
	close(sender);
}

FIXTURE(all_end)
{
	struct call receivers[CROWD], peekers[CROWD], senders[CROWD];
	struct caller callers[CROWD];
	int fd;
};

FIXTURE_SETUP(all_end)
{
	memset(self, 0, sizeof(*self));
	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(all_end)
{
	close(self->fd);
}

TEST_F(all_end, destroy_ends_every_receiver_and_peeker)
{
	int i;

	for (i = 0; i < CROWD; i++) {
		ASSERT_EQ(0, receive(&self->receivers[i], self->fd, i % 2 ? MBOX_MATCH : 0, i));
		ASSERT_EQ(0, receive(&self->peekers[i], self->fd, MBOX_PEEK, 0));
	}
	ASSERT_EQ(0, await_waiting(self->fd, 0, 2 * CROWD));
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < CROWD; i++) {
		EXPECT_EQ(-EIDRM, call_join(&self->receivers[i]));
		EXPECT_EQ(-EIDRM, call_join(&self->peekers[i]));
	}
}

TEST_F(all_end, destroy_ends_every_sender_and_caller)
{
	struct call *sync = self->receivers;
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 2 * CROWD));
	for (i = 0; i < CROWD; i++) {
		sync[i].msg = msg_of(&sync[i].value, sizeof(sync[i].value), MBOX_SYNC);
		ASSERT_EQ(0, send_start(&sync[i], self->fd, i));
		ASSERT_EQ(0, caller_start(&self->callers[i], self->fd, i));
	}
	ASSERT_EQ(0, await_waiting(self->fd, 2 * CROWD, 0));
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(0, send_start(&self->senders[i], self->fd, i));
	ASSERT_EQ(0, await_waiting(self->fd, 3 * CROWD, 0));
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < CROWD; i++) {
		EXPECT_EQ(-EIDRM, call_join(&self->senders[i]));
		EXPECT_EQ(-EIDRM, call_join(&sync[i]));
		EXPECT_EQ(-EIDRM, caller_join(&self->callers[i]));
	}
}

TEST_F(all_end, closing_the_last_receiver_ends_every_sender_and_caller_of_a_hangup_mailbox)
{
	int reader = new_mailbox(MBOX_HANGUP, 1), fd, i;

	ASSERT_LE(0, reader);
	fd = open_again(reader, O_WRONLY);
	ASSERT_LE(0, fd);
	/* From here on, only the sender's handle can send. */
	close(reader);
	reader = open_again(fd, O_RDONLY);
	ASSERT_LE(0, reader);
	ASSERT_EQ(0, put(fd, 0));
	for (i = 0; i < CROWD; i++) {
		ASSERT_EQ(0, send_start(&self->senders[i], fd, i));
		ASSERT_EQ(0, caller_start(&self->callers[i], fd, i));
	}
	ASSERT_EQ(0, await_waiting(fd, 2 * CROWD, 0));
	close(reader);
	for (i = 0; i < CROWD; i++) {
		EXPECT_EQ(-EPIPE, call_join(&self->senders[i]));
		EXPECT_EQ(-EPIPE, caller_join(&self->callers[i]));
	}
	close(fd);
}

/* Peeks that are stopped in their copy, and messages that go meanwhile. */
#define STOPPED 40

TEST(dropped_messages_stay_with_the_peeks_that_copy_them)
{
	int fd = new_mailbox(MBOX_DROP_OLDEST, 2 * STOPPED), i;
	static struct call peeks[STOPPED];
	struct mbox_stat st;
	struct slow slow;

	if (slow_init(&slow))
		SKIP(return, "no userfaultfd");
	ASSERT_LE(0, fd);
	for (i = 0; i < 2 * STOPPED; i++)
		ASSERT_EQ(0, put(fd, i));
	for (i = 0; i < STOPPED; i++) {
		/* Two at each message, so that the first to end is not the last. */
		peeks[i].msg = msg_of(slow.page + 8 * i, 4, MBOX_PEEK);
		peeks[i].msg.skip = i / 2;
		ASSERT_EQ(0, call_start(&peeks[i], fd, MBOX_IOC_RECV));
	}
	for (i = 0; i < STOPPED; i++)
		ASSERT_EQ(0, await_asleep(&peeks[i].tid));
	ASSERT_EQ(0, raw_set_capacity(fd, 1));
	ASSERT_EQ(0, put(fd, 1000));
	st = stat_of(fd);
	EXPECT_EQ(1U, st.queued);
	EXPECT_EQ(2U * STOPPED, st.dropped);
	ASSERT_EQ(0, slow_go_on(&slow));
	for (i = 0; i < STOPPED; i++) {
		EXPECT_EQ(4, call_join(&peeks[i]));
		EXPECT_EQ(i / 2, *(int *)(slow.page + 8 * i));
	}
	EXPECT_EQ(1000, take(fd));
	close(fd);
}

/*
 * A receiver is stopped in its copy, which fails at about the time at which the
 * mailbox is destroyed. Return 0 when that went so, and the receive failed.
 */
static long fail_while_destroying(int fd, struct slow *slow)
{
	struct call receiver = { .msg = msg_of(slow->page, 4, 0) };
	long ret;

	ret = call_start(&receiver, fd, MBOX_IOC_RECV);
	if (ret)
		return ret;
	ret = slow_await(slow);
	ret = ret ?: slow_fail(slow);
	ret = ret ?: raw_destroy(fd);
	return call_join(&receiver) ? ret : -EPROTO;
}

/*
 * A receive that fails while a mailbox is destroyed, and calls that wait with their
 * messages are being ended: the failed one leaves none of them with a message that
 * is gone.
 */
TEST(receive_fails_while_destroy_ends_a_crowd)
{
	static struct call sync[CROWD];
	struct slow slow;
	int fd, i, round;

	for (round = 0; round < 5; round++) {
		if (slow_init(&slow))
			SKIP(return, "no userfaultfd");
		fd = new_mailbox(0, 2 * CROWD);
		ASSERT_LE(0, fd);
		memset(sync, 0, sizeof(sync));
		for (i = 0; i < CROWD; i++) {
			sync[i].msg = msg_of(&sync[i].value, sizeof(sync[i].value), MBOX_SYNC);
			sync[i].msg.prio = i;
			ASSERT_EQ(0, send_start(&sync[i], fd, i));
		}
		ASSERT_EQ(0, await_waiting(fd, CROWD, 0));
		ASSERT_EQ(0, fail_while_destroying(fd, &slow));
		for (i = 0; i < CROWD; i++)
			EXPECT_EQ(-EIDRM, call_join(&sync[i]));
		close(fd);
		close(slow.uffd);
	}
}

/* The same with requests. */
TEST(request_fails_to_be_received_while_destroy_ends_a_crowd)
{
	static struct caller callers[CROWD];
	struct slow slow;
	int fd, i, round;

	for (round = 0; round < 5; round++) {
		if (slow_init(&slow))
			SKIP(return, "no userfaultfd");
		fd = new_mailbox(0, 2 * CROWD);
		ASSERT_LE(0, fd);
		memset(callers, 0, sizeof(callers));
		for (i = 0; i < CROWD; i++)
			ASSERT_EQ(0, caller_start(&callers[i], fd, i));
		ASSERT_EQ(0, await_waiting(fd, CROWD, 0));
		ASSERT_EQ(0, fail_while_destroying(fd, &slow));
		for (i = 0; i < CROWD; i++)
			EXPECT_EQ(-EIDRM, caller_join(&callers[i]));
		close(fd);
		close(slow.uffd);
	}
}

/* Receivers that come back with short buffers do not hold up a sender. */
static void *receive_too_little(void *arg)
{
	struct mill *mill = arg;
	char byte;

	while (__atomic_load_n(&mill->left, __ATOMIC_ACQUIRE))
		raw_recv(mill->fd, &byte, 1, 0);
	return NULL;
}

TEST(retried_short_receives_do_not_delay_a_sender)
{
	struct mill mill = { .fd = new_mailbox(0, 0), .left = 1 };
	pthread_t t[30];
	struct mbox_msg msg;
	__u32 value = 1;
	__s64 start;
	long ret;
	int i;

	ASSERT_LE(0, mill.fd);
	for (i = 0; i < 30; i++)
		ASSERT_EQ(0, thread_start(&t[i], receive_too_little, &mill));
	for (i = 0; i < 20; i++) {
		start = now_ns(CLOCK_MONOTONIC);
		ret = put(mill.fd, 1);
		EXPECT_EQ(-EAGAIN, ret);
		msg = msg_of(&value, sizeof(value), 0);
		msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 20);
		EXPECT_EQ(-ETIMEDOUT, raw(mill.fd, MBOX_IOC_SEND, &msg));
		EXPECT_GT(2000 * NSEC_PER_MSEC * time_factor(), now_ns(CLOCK_MONOTONIC) - start);
	}
	__atomic_store_n(&mill.left, 0, __ATOMIC_RELEASE);
	raw_destroy(mill.fd);
	for (i = 0; i < 30; i++)
		pthread_join(t[i], NULL);
	close(mill.fd);
}

/* Nor a receiver that has to put its message back. */
TEST(retried_short_receives_do_not_delay_a_failed_receive)
{
	struct mill mill = { .fd = new_mailbox(0, 4), .left = 1 };
	pthread_t t[30];
	__s64 start;
	int i;

	ASSERT_LE(0, mill.fd);
	for (i = 0; i < 30; i++)
		ASSERT_EQ(0, thread_start(&t[i], receive_too_little, &mill));
	ASSERT_EQ(0, put(mill.fd, 1));
	start = now_ns(CLOCK_MONOTONIC);
	for (i = 0; i < 500; i++)
		EXPECT_EQ(-EFAULT, raw_recv(mill.fd, NULL, 4, MBOX_DONTWAIT));
	EXPECT_GT(20000 * NSEC_PER_MSEC * time_factor(), now_ns(CLOCK_MONOTONIC) - start);
	EXPECT_EQ(1, take(mill.fd));
	__atomic_store_n(&mill.left, 0, __ATOMIC_RELEASE);
	raw_destroy(mill.fd);
	for (i = 0; i < 30; i++)
		pthread_join(t[i], NULL);
	close(mill.fd);
}

/* A receiver whose message is withdrawn keeps its place among the waiting ones. */
TEST(withdrawn_message_does_not_cost_a_receiver_its_place)
{
	struct call first = { 0 }, second = { 0 }, sender = { 0 };
	int fd = new_mailbox(0, 0);
	struct slow slow;

	if (slow_init(&slow))
		SKIP(return, "no userfaultfd");
	ASSERT_LE(0, fd);
	first.msg = msg_of(slow.page, 4, 0);
	ASSERT_EQ(0, call_start(&first, fd, MBOX_IOC_RECV));
	ASSERT_EQ(0, await_waiting(fd, 0, 1));
	/* It is handed to the first, which stops in its copy, and times out. */
	sender.msg = msg_of(&sender.value, sizeof(sender.value), 0);
	sender.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 1500 * time_factor());
	ASSERT_EQ(0, send_start(&sender, fd, 1));
	ASSERT_EQ(0, slow_await(&slow));
	ASSERT_EQ(0, recv_start(&second, fd));
	ASSERT_EQ(0, await_waiting(fd, 1, 1));
	EXPECT_EQ(-ETIMEDOUT, call_join(&sender));
	ASSERT_EQ(0, slow_go_on(&slow));
	ASSERT_EQ(0, await_waiting(fd, 0, 2));
	ASSERT_EQ(0, put(fd, 2));
	ASSERT_EQ(0, put(fd, 3));
	EXPECT_EQ(4, call_join(&first));
	EXPECT_EQ(2, *(int *)slow.page);
	EXPECT_EQ(3, recv_join(&second));
	close(fd);
}

TEST_HARNESS_MAIN
