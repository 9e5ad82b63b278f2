// SPDX-License-Identifier: GPL-2.0-only
/* Which calls are woken, in which order; and that none is forgotten. */
#include "peers.h"

#define MANY 100

FIXTURE(order)
{
	struct call c[MANY];
	int expected[MANY];
	int fd;
};

FIXTURE_SETUP(order)
{
	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(order)
{
	close(self->fd);
}

/* Starts n calls one after the other, each when the one before waits. */
static int start_all(FIXTURE_DATA(order) *self, unsigned int cmd, int n)
{
	int i, ret;

	for (i = 0; i < n; i++) {
		self->c[i].value = cmd == MBOX_IOC_SEND ? (__u32)i : POISON32;
		ret = call_start(&self->c[i], self->fd, cmd);
		if (!ret && cmd == MBOX_IOC_SEND)
			ret = await_waiting(self->fd, i + 1, 0);
		else if (!ret)
			ret = await_waiting(self->fd, 0, i + 1);
		if (ret)
			return ret;
	}
	return 0;
}

/* By real-time priority, then nice value, then time. */
static void expect_order(FIXTURE_DATA(order) *self, int n)
{
	int i, j, before;

	for (i = 0; i < n; i++) {
		before = 0;
		for (j = 0; j < n; j++) {
			struct call *a = &self->c[i], *b = &self->c[j];

			if (b->rt_prio != a->rt_prio)
				before += b->rt_prio > a->rt_prio;
			else if (b->nice != a->nice)
				before += b->nice < a->nice;
			else
				before += j < i;
		}
		self->expected[before] = i;
	}
}

/* The k-th message goes to the receiver that is k-th in the expected order. */
static void check_receivers(struct __test_metadata *_metadata, FIXTURE_DATA(order) *self, int n)
{
	int i;

	expect_order(self, n);
	ASSERT_EQ(0, start_all(self, MBOX_IOC_RECV, n));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, put(self->fd, i));
	for (i = 0; i < n; i++) {
		EXPECT_EQ(i, recv_join(&self->c[self->expected[i]]))
			TH_LOG("receiver %d", self->expected[i]);
	}
}

/* The k-th place goes to the sender that is k-th in the expected order. */
static void check_senders(struct __test_metadata *_metadata, FIXTURE_DATA(order) *self, int n)
{
	bool full = !put(self->fd, 1000);
	int i;

	expect_order(self, n);
	ASSERT_EQ(0, start_all(self, MBOX_IOC_SEND, n));
	if (full)
		EXPECT_EQ(1000, take(self->fd));
	for (i = 0; i < n; i++) {
		EXPECT_EQ(self->expected[i], take(self->fd))
			TH_LOG("message %d", i);
	}
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, call_join(&self->c[i]));
}

/* Priorities of all kinds, several callers of each. */
static void set_priorities(FIXTURE_DATA(order) *self, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (i % 4 == 0)
			self->c[i].nice = i * 11 % 39 - 20;
		else
			self->c[i].rt_prio = i * 37 % 20 + 1;
	}
}

TEST_F(order, a_hundred_receivers_by_time)
{
	check_receivers(_metadata, self, MANY);
}

TEST_F(order, a_hundred_receivers_by_priority)
{
	set_priorities(self, MANY);
	check_receivers(_metadata, self, MANY);
}

TEST_F(order, a_hundred_senders_by_time)
{
	check_senders(_metadata, self, MANY);
}

TEST_F(order, a_hundred_senders_by_priority)
{
	set_priorities(self, MANY);
	check_senders(_metadata, self, MANY);
}

TEST_F(order, senders_of_a_rendezvous_by_priority_and_time)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	set_priorities(self, 30);
	check_senders(_metadata, self, 30);
}

TEST_F(order, message_priority_comes_before_the_senders)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	self->c[0].rt_prio = 50;
	self->c[1].msg.prio = 1;
	ASSERT_EQ(0, start_all(self, MBOX_IOC_SEND, 2));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(0, take(self->fd));
	EXPECT_EQ(0, call_join(&self->c[0]));
	EXPECT_EQ(0, call_join(&self->c[1]));
}

TEST_F(order, growing_admits_the_first_of_the_senders)
{
	int i;

	ASSERT_EQ(0, put(self->fd, 1000));
	set_priorities(self, 10);
	expect_order(self, 10);
	ASSERT_EQ(0, start_all(self, MBOX_IOC_SEND, 10));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 5));
	ASSERT_EQ(6U, stat_of(self->fd).waiting_senders);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, call_join(&self->c[self->expected[i]]));
	EXPECT_EQ(1000, take(self->fd));
	for (i = 0; i < 10; i++)
		EXPECT_EQ(self->expected[i], take(self->fd));
	for (i = 4; i < 10; i++)
		EXPECT_EQ(0, call_join(&self->c[self->expected[i]]));
}

TEST_F(order, new_sender_does_not_overtake_a_waiting_sender)
{
	int i;

	ASSERT_EQ(0, put(self->fd, 1000));
	ASSERT_EQ(0, start_all(self, MBOX_IOC_SEND, 5));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(i ? i - 1 : 1000, take(self->fd));
		EXPECT_EQ(-EAGAIN, put(self->fd, 99));
	}
	EXPECT_EQ(4, take(self->fd));
	EXPECT_EQ(0, put(self->fd, 99));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, call_join(&self->c[i]));
}

TEST_F(order, message_goes_to_the_first_receiver_that_wants_it)
{
	int i;

	for (i = 0; i < 3; i++) {
		self->c[i].msg.flags = MBOX_MATCH;
		self->c[i].msg.type = i;
	}
	ASSERT_EQ(0, start_all(self, MBOX_IOC_RECV, 4));
	ASSERT_EQ(0, put_as(self->fd, 10, 0, 2));
	EXPECT_EQ(10, recv_join(&self->c[2]));
	ASSERT_EQ(0, put_as(self->fd, 11, 0, 9));
	EXPECT_EQ(11, recv_join(&self->c[3]));
	ASSERT_EQ(0, put_as(self->fd, 12, 0, 9));
	EXPECT_EQ(2U, stat_of(self->fd).waiting_receivers);
	EXPECT_EQ(12, take(self->fd));
	ASSERT_EQ(0, put_as(self->fd, 13, 0, 1));
	EXPECT_EQ(13, recv_join(&self->c[1]));
	ASSERT_EQ(0, put_as(self->fd, 14, 0, 0));
	EXPECT_EQ(14, recv_join(&self->c[0]));
}

TEST_F(order, message_passes_receivers_that_are_too_small)
{
	char small[2];
	int i;

	for (i = 0; i < 2; i++)
		self->c[i].msg = msg_of(small, sizeof(small), 0);
	ASSERT_EQ(0, start_all(self, MBOX_IOC_RECV, 3));
	ASSERT_EQ(0, put(self->fd, 5));
	EXPECT_EQ(-EMSGSIZE, call_join(&self->c[0]));
	EXPECT_EQ(-EMSGSIZE, call_join(&self->c[1]));
	EXPECT_EQ(5, recv_join(&self->c[2]));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(order, several_peeks_return_one_message)
{
	int i;

	for (i = 0; i < 3; i++)
		self->c[i].msg.flags = MBOX_PEEK;
	ASSERT_EQ(0, start_all(self, MBOX_IOC_RECV, 3));
	ASSERT_EQ(0, put(self->fd, 5));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(5, recv_join(&self->c[i]));
	EXPECT_EQ(5, take(self->fd));
}

struct urgent_peeker {
	pthread_t thread;
	int *order;
	int fd;
	int place;
};

static void *urgent_peeker(void *arg)
{
	const struct sched_param urgent = { .sched_priority = 50 };
	struct urgent_peeker *p = arg;
	__u32 value;

	p->place = -1;
	if (!sched_setscheduler(0, SCHED_FIFO, &urgent) &&
	    raw_recv(p->fd, &value, sizeof(value), MBOX_PEEK) == sizeof(value))
		p->place = __atomic_fetch_add(p->order, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* More than the list keeps in order, too: all are woken. */
TEST_F(order, urgent_peeks_in_the_order_of_arrival)
{
	struct urgent_peeker p[MANY];
	int i, n, order;

	/* On one CPU they run in the order in which they are woken. */
	ASSERT_EQ(0, stay_on(0));
	for (n = 5; n <= MANY; n += MANY - 5) {
		order = 0;
		for (i = 0; i < n; i++) {
			p[i].fd = self->fd;
			p[i].order = &order;
			ASSERT_EQ(0, thread_start(&p[i].thread, urgent_peeker, &p[i]));
			ASSERT_EQ(0, await_waiting(self->fd, 0, i + 1));
		}
		ASSERT_EQ(0, put(self->fd, 5));
		for (i = 0; i < n; i++) {
			pthread_join(p[i].thread, NULL);
			EXPECT_LE(0, p[i].place);
			if (n <= 64)
				EXPECT_EQ(i, p[i].place);
		}
		EXPECT_EQ(n, order);
		EXPECT_EQ(5, take(self->fd));
	}
}

TEST_F(order, peek_that_skips_all_messages_waits_for_more)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 4));
	ASSERT_EQ(0, put(self->fd, 5));
	self->c[0].msg.flags = MBOX_PEEK;
	self->c[0].msg.skip = 2;
	ASSERT_EQ(0, start_all(self, MBOX_IOC_RECV, 1));
	ASSERT_EQ(0, put(self->fd, 6));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(7, recv_join(&self->c[0]));
	EXPECT_EQ(3U, stat_of(self->fd).queued);
}

TEST_F(order, peek_for_a_type_waits_for_it)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 4));
	self->c[0].msg.flags = MBOX_PEEK | MBOX_MATCH;
	self->c[0].msg.type = 3;
	ASSERT_EQ(0, start_all(self, MBOX_IOC_RECV, 1));
	ASSERT_EQ(0, put_as(self->fd, 6, 0, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put_as(self->fd, 7, 0, 3));
	EXPECT_EQ(7, recv_join(&self->c[0]));
	EXPECT_EQ(2U, stat_of(self->fd).queued);
}

TEST_F(order, receiver_comes_before_peekers)
{
	self->c[0].msg.flags = MBOX_PEEK;
	ASSERT_EQ(0, start_all(self, MBOX_IOC_RECV, 2));
	ASSERT_EQ(0, put(self->fd, 5));
	EXPECT_EQ(5, recv_join(&self->c[1]));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 6));
	EXPECT_EQ(6, recv_join(&self->c[0]));
	EXPECT_EQ(6, take(self->fd));
}

/*
 * Two callers wait, and the first of them gives up just when it is chosen. Then
 * the second one must be served, or the first was.
 */
FIXTURE(race)
{
	int fd;
	int lost;
	int won;
};

FIXTURE_SETUP(race)
{
	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
}

FIXTURE_TEARDOWN(race)
{
	TH_LOG("chosen %d times, gave up %d times", self->won, self->lost);
	close(self->fd);
}

#define ROUNDS 120

/* Asleep it would come too late. */
static void wait_until(__s64 when)
{
	while (now_ns(CLOCK_MONOTONIC) < when)
		;
}

/* Somewhere before, at or after it: a wake-up takes its time, too. */
static __s64 around(__s64 deadline, int round)
{
	return deadline + (round % 20 - 6) * NSEC_PER_MSEC / 10;
}

static void signal_shortly_before(struct call *c, int round)
{
	pthread_kill(c->thread, SIGUSR1);
	wait_until(now_ns(CLOCK_MONOTONIC) + round % 16 * NSEC_PER_MSEC / 50);
}

static void receivers_race(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self,
			   int round, bool by_signal)
{
	__s64 deadline = in_ms(CLOCK_MONOTONIC, 6);
	struct call first = { .rt_prio = 1 }, second = { 0 };
	long ret;

	if (!by_signal)
		first.msg.deadline_ns = deadline;
	ASSERT_EQ(0, recv_start(&second, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, recv_start(&first, self->fd));
	if (by_signal) {
		ASSERT_EQ(0, await_waiting(self->fd, 0, 2));
		if (round & 1)
			signal_shortly_before(&first, round);
		ASSERT_EQ(0, put(self->fd, 1));
		if (!(round & 1))
			pthread_kill(first.thread, SIGUSR1);
	} else {
		wait_until(around(deadline, round));
		ASSERT_EQ(0, put(self->fd, 1));
	}
	ret = recv_join(&first);
	if (ret == 1) {
		self->won++;
		ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
		ASSERT_EQ(0, put(self->fd, 2));
		ASSERT_EQ(2, recv_join(&second));
	} else {
		self->lost++;
		ASSERT_EQ(by_signal ? -EINTR : -ETIMEDOUT, ret);
		ASSERT_EQ(1, recv_join(&second));
	}
	ASSERT_EQ(0U, stat_of(self->fd).queued);
}

static void senders_race(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self,
			 int round, bool by_signal)
{
	__s64 deadline = in_ms(CLOCK_MONOTONIC, 6);
	struct call first = { .rt_prio = 1 }, second = { 0 };
	long ret;

	if (!by_signal)
		first.msg.deadline_ns = deadline;
	ASSERT_EQ(0, put(self->fd, 0));
	ASSERT_EQ(0, send_start(&second, self->fd, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, send_start(&first, self->fd, 1));
	if (by_signal) {
		ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
		if (round & 1)
			signal_shortly_before(&first, round);
		ASSERT_EQ(0, take(self->fd));
		if (!(round & 1))
			pthread_kill(first.thread, SIGUSR1);
	} else {
		wait_until(around(deadline, round));
		ASSERT_EQ(0, take(self->fd));
	}
	ret = call_join(&first);
	if (!ret) {
		self->won++;
		ASSERT_EQ(1, take(self->fd));
	} else {
		self->lost++;
		ASSERT_EQ(by_signal ? -EINTR : -ETIMEDOUT, ret);
	}
	ASSERT_EQ(0, call_join(&second));
	ASSERT_EQ(2, take(self->fd));
	ASSERT_EQ(-EAGAIN, take(self->fd));
}

TEST_F_TIMEOUT(race, deadline_of_a_chosen_receiver, 60)
{
	int round;

	for (round = 0; round < ROUNDS; round++)
		receivers_race(_metadata, self, round, false);
}

TEST_F_TIMEOUT(race, signal_to_a_chosen_receiver, 60)
{
	int round;

	for (round = 0; round < ROUNDS; round++)
		receivers_race(_metadata, self, round, true);
}

TEST_F_TIMEOUT(race, deadline_of_a_chosen_sender, 60)
{
	int round;

	for (round = 0; round < ROUNDS; round++)
		senders_race(_metadata, self, round, false);
}

TEST_F_TIMEOUT(race, signal_to_a_chosen_sender, 60)
{
	int round;

	for (round = 0; round < ROUNDS; round++)
		senders_race(_metadata, self, round, true);
}

static int receive_in_child(void *arg)
{
	char buf[8];

	raw_recv(*(int *)arg, buf, sizeof(buf), 0);
	return 0;
}

TEST_F_TIMEOUT(race, SIGKILL_of_a_chosen_receiver, 60)
{
	struct call second;
	int round;
	pid_t pid;

	for (round = 0; round < ROUNDS; round++) {
		memset(&second, 0, sizeof(second));
		pid = spawn(receive_in_child, &self->fd);
		ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
		ASSERT_EQ(0, recv_start(&second, self->fd));
		ASSERT_EQ(0, await_waiting(self->fd, 0, 2));
		if (round & 1)
			kill(pid, SIGKILL);
		ASSERT_EQ(0, put(self->fd, 1));
		if (!(round & 1))
			kill(pid, SIGKILL);
		ASSERT_GE(1000 + SIGKILL, reap(pid));
		/* It had the message in full, or the second one has it. */
		if (stat_of(self->fd).waiting_receivers) {
			self->won++;
			ASSERT_EQ(0U, stat_of(self->fd).queued);
			ASSERT_EQ(0, put(self->fd, 2));
			ASSERT_EQ(2, recv_join(&second));
		} else {
			self->lost++;
			ASSERT_EQ(1, recv_join(&second));
		}
	}
}

/* A sender that gives up while a receiver is copying its message. */
TEST_F_TIMEOUT(race, rendezvous_that_times_out_is_all_or_nothing, 60)
{
	int round;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	for (round = 0; round < ROUNDS; round++) {
		__s64 deadline = in_ms(CLOCK_MONOTONIC, 6);
		struct call c = { .msg.deadline_ns = deadline };
		long ret;

		ASSERT_EQ(0, send_start(&c, self->fd, 1));
		wait_until(around(deadline, round));
		ret = take(self->fd);
		if (ret == 1) {
			self->won++;
			ASSERT_EQ(0, call_join(&c));
		} else {
			self->lost++;
			ASSERT_EQ(-EAGAIN, ret);
			ASSERT_EQ(-ETIMEDOUT, call_join(&c));
		}
	}
}

TEST_HARNESS_MAIN
