// SPDX-License-Identifier: GPL-2.0-only
/* MBOX_INHERIT: a server has its caller's priority until it has replied. */
#include <semaphore.h>
#include <sys/wait.h>

#include "calls.h"
#include "kill.h"

#define RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"
/* Long beside a call, and short beside the kernel's own watchdogs. */
#define LOAD_MS min_ms(2000 * time_factor(), 8000)
#define MAIN_PRIO 60

#ifndef SCHED_FLAG_RESET_ON_FORK
#define SCHED_FLAG_RESET_ON_FORK 1
#endif

static int min_ms(int a, int b)
{
	return a < b ? a : b;
}

/* ---- scheduling ---------------------------------------------------------- */

/* struct sched_attr, whose header and the C library's exclude each other. */
struct scheduling {
	__u32 size;
	__u32 policy;
	__u64 flags;
	__s32 nice;
	__u32 prio;
	__u64 runtime;
	__u64 deadline;
	__u64 period;
	__u32 util_min;
	__u32 util_max;
};

static struct scheduling scheduling_of(pid_t tid)
{
	struct scheduling s = { 0 };

	if (syscall(SYS_sched_getattr, tid, &s, sizeof(s), 0))
		memset(&s, POISON, sizeof(s));
	return s;
}

static long set_scheduling(pid_t tid, int policy, int prio, int nice)
{
	struct scheduling s = {
		.size = sizeof(s),
		.policy = policy & ~SCHED_RESET_ON_FORK,
		.flags = policy & SCHED_RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0,
		.nice = nice,
		.prio = prio,
	};

	return neg(syscall(SYS_sched_setattr, tid, &s, 0));
}

/* Policy and priority in one number, to compare and to print. */
#define AS(policy, prio) ((policy) * 1000L + (prio))
#define FIFO(prio) AS(SCHED_FIFO, prio)
#define OTHER AS(SCHED_OTHER, 0)

static long as(pid_t tid)
{
	struct scheduling s = scheduling_of(tid);

	return AS(s.policy, s.prio);
}

static bool same_scheduling(pid_t tid, const struct scheduling *before)
{
	struct scheduling now = scheduling_of(tid);

	report_change("policy", before->policy, now.policy);
	report_change("flags", before->flags, now.flags);
	report_change("nice", before->nice, now.nice);
	report_change("priority", before->prio, now.prio);
	report_change("slice", before->runtime, now.runtime);
	report_change("util_min", before->util_min, now.util_min);
	report_change("util_max", before->util_max, now.util_max);
	return !memcmp(&now, before, sizeof(now));
}

/* For what happens a moment after something that can be seen. */
static long await_as(pid_t tid, long expected)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (as(tid) != expected && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	return as(tid);
}

/* ---- a thread that does as it is told ------------------------------------ */

struct worker {
	pthread_t thread;
	pid_t tid;
	sem_t go;
	sem_t done;
	long (*fn)(struct worker *w);
	long ret;
	int fd;
	int other_fd;
	int arg;
	__u64 token;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	/* Not what the test's own thread has by then. */
	w->ret = set_scheduling(0, SCHED_OTHER, 0, 0);
	w->tid = syscall(SYS_gettid);
	for (;;) {
		sem_post(&w->done);
		sem_wait(&w->go);
		if (!w->fn)
			return NULL;
		w->ret = w->fn(w);
	}
}

static void begin(struct worker *w, long (*fn)(struct worker *w))
{
	w->fn = fn;
	sem_post(&w->go);
}

static long end(struct worker *w)
{
	sem_wait(&w->done);
	return w->ret;
}

static long do_it(struct worker *w, long (*fn)(struct worker *w))
{
	begin(w, fn);
	return end(w);
}

static int worker_start(struct worker *w, int fd)
{
	memset(w, 0, sizeof(*w));
	w->fd = fd;
	sem_init(&w->go, 0, 0);
	sem_init(&w->done, 0, 0);
	if (thread_start(&w->thread, work, w))
		return -1;
	return end(w);
}

static void worker_stop(struct worker *w)
{
	if (!w->tid)
		return;
	begin(w, NULL);
	pthread_join(w->thread, NULL);
	w->tid = 0;
}

static long w_get(struct worker *w)
{
	return get_request(w->fd, 0, &w->token);
}

static long w_answer(struct worker *w)
{
	return answer(w->fd, w->token, w->arg);
}

static long w_next(struct worker *w)
{
	return reply_recv(w->fd, &w->token, w->arg, 0);
}

/* Pass what it owes on to another server, and answer with what that one says. */
static long w_pass_on(struct worker *w)
{
	__u32 value = 1, rep = POISON32;
	struct mbox_request req = {
		.buf = (uintptr_t)&value, .len = 4, .rep = (uintptr_t)&rep, .rep_len = 4,
	};
	long ret = raw(w->other_fd, MBOX_IOC_CALL, &req);

	return ret == 4 ? answer(w->fd, w->token, rep) : ret;
}

/* Serve @arg requests, each with the number that it brings. */
static long w_serve(struct worker *w)
{
	long value = 0, i;

	w->token = 0;
	for (i = 0; i < w->arg; i++) {
		value = reply_recv(w->fd, &w->token, value, 0);
		if (value < 0)
			return value;
	}
	return answer(w->fd, w->token, value);
}

/* How many milliseconds @arg calls take, with real-time priority. */
static long w_call(struct worker *w)
{
	__u32 value = 0, rep;
	struct mbox_request req = {
		.buf = (uintptr_t)&value, .len = 4, .rep = (uintptr_t)&rep, .rep_len = 4,
	};
	__s64 start;
	long ret;

	ret = set_scheduling(0, SCHED_FIFO, 50, 0);
	start = now_ns(CLOCK_MONOTONIC);
	for (value = 1; !ret && value <= (__u32)w->arg; value++) {
		ret = raw(w->fd, MBOX_IOC_CALL, &req);
		if (ret >= 0)
			ret = ret == 4 && rep == value ? 0 : -EBADMSG;
	}
	return ret ? ret : (now_ns(CLOCK_MONOTONIC) - start) / NSEC_PER_MSEC;
}

/* ---- the fixture --------------------------------------------------------- */

FIXTURE(inherit)
{
	int fd;
	int server;
	int client;
	/* For calls that have nothing to do with those. */
	int others;
	__u64 token;
	struct scheduling own;
	struct worker w;
	struct worker v;
	struct caller c[3];
};

static int open_all(FIXTURE_DATA(inherit) *self, __u32 flags)
{
	close(self->client);
	close(self->server);
	close(self->fd);
	self->fd = new_mailbox(flags, 8);
	self->server = open_again(self->fd, O_RDONLY);
	self->client = open_again(self->fd, O_WRONLY);
	return self->fd < 0 || self->server < 0 || self->client < 0 ? -EBADF : 0;
}

FIXTURE_SETUP(inherit)
{
	self->fd = -1;
	self->server = -1;
	self->client = -1;
	self->others = -1;
	ASSERT_EQ(0, open_all(self, MBOX_INHERIT));
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, set_scheduling(0, SCHED_OTHER, 0, 0));
	self->own = scheduling_of(0);
	ASSERT_EQ(OTHER, as(0));
}

FIXTURE_TEARDOWN(inherit)
{
	/* Ends calls that go on until then. */
	raw_destroy(self->others);
	worker_stop(&self->w);
	worker_stop(&self->v);
	close(self->others);
	close(self->client);
	close(self->server);
	close(self->fd);
}

/* Start call @i, with real-time priority @prio, and wait until it waits. */
#define CALL(self, i, prio) do {					\
	(self)->c[i].call.rt_prio = (prio);				\
	ASSERT_EQ(0, caller_start(&(self)->c[i], (self)->client, (i) + 1)); \
	ASSERT_EQ(0, await_callers(self, 1));				\
} while (0)

/* And take its request. */
#define TAKEN(self, i, prio) do {					\
	CALL(self, i, prio);						\
	ASSERT_EQ((i) + 1, get_request((self)->server, 0, &(self)->token)); \
} while (0)

#define DONE(self, i, reply) EXPECT_EQ(reply, caller_join(&(self)->c[i]))

/* Until so many requests are in the mailbox. */
static int await_callers(FIXTURE_DATA(inherit) *self, __u32 queued)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (stat_of(self->fd).queued != queued) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return -ETIMEDOUT;
		pause_briefly();
	}
	return 0;
}

/* ---- lending ------------------------------------------------------------- */

TEST_F(inherit, server_is_boosted_until_its_reply)
{
	CALL(self, 0, 30);
	EXPECT_EQ(OTHER, as(0));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
}

/* The reply meets a call whose thread has left the kernel. */
TEST_F(inherit, stopped_caller_that_is_restarted)
{
	__u32 value = 7, rep = 0;
	struct mbox_request req = {
		.buf = (uintptr_t)&value, .len = 4, .rep = (uintptr_t)&rep, .rep_len = 4,
	};
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (set_scheduling(0, SCHED_FIFO, 30, 0))
			_exit(1);
		_exit(raw(self->client, MBOX_IOC_CALL, &req) != 4 || rep != 9);
	}
	ASSERT_EQ(7, get_request(self->server, 0, &self->token));
	EXPECT_EQ(FIFO(30), as(0));
	ASSERT_EQ(0, kill(pid, SIGSTOP));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	EXPECT_EQ(0, answer(self->server, self->token, 9));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	ASSERT_EQ(0, kill(pid, SIGCONT));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(inherit, request_boosts_a_waiting_receiver)
{
	ASSERT_EQ(0, worker_start(&self->w, self->server));
	begin(&self->w, w_get);
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	self->c[0].call.rt_prio = 30;
	ASSERT_EQ(0, caller_start(&self->c[0], self->client, 5));
	EXPECT_EQ(5, end(&self->w));
	EXPECT_EQ(FIFO(30), as(self->w.tid));
	EXPECT_EQ(OTHER, as(0));
	self->w.arg = 50;
	EXPECT_EQ(0, do_it(&self->w, w_answer));
	EXPECT_EQ(OTHER, as(self->w.tid));
	DONE(self, 0, 50);
}

TEST_F(inherit, every_real_time_priority_is_inherited)
{
	unsigned int i;
	static const int prios[] = { 1, 2, 50, 98, 99 };

	for (i = 0; i < ARRAY_SIZE(prios); i++) {
		TAKEN(self, 0, prios[i]);
		EXPECT_EQ(FIFO(prios[i]), as(0));
		EXPECT_EQ(0, answer(self->server, self->token, 10));
		EXPECT_TRUE(same_scheduling(0, &self->own));
		DONE(self, 0, 10);
	}
}

TEST_F(inherit, mailbox_without_the_flag_does_not_boost)
{
	ASSERT_EQ(0, open_all(self, 0));
	TAKEN(self, 0, 30);
	EXPECT_EQ(OTHER, as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	DONE(self, 0, 10);
}

TEST_F(inherit, callers_without_real_time_priority_do_not_boost)
{
	self->c[0].call.nice = -10;
	TAKEN(self, 0, 0);
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
}

TEST_F(inherit, ordinary_messages_do_not_boost)
{
	struct call c = { .rt_prio = 30 };

	ASSERT_EQ(0, send_start(&c, self->client, 7));
	ASSERT_EQ(0, call_join(&c));
	EXPECT_EQ(7, get_request(self->server, 0, &self->token));
	EXPECT_TRUE(same_scheduling(0, &self->own));
}

TEST_F(inherit, peek_does_not_boost)
{
	CALL(self, 0, 30);
	EXPECT_EQ(1, take_as(self->server, MBOX_PEEK, 0, 0));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	DONE(self, 0, 10);
}

TEST_F(inherit, receiver_without_a_token_is_not_boosted)
{
	__u32 value;

	CALL(self, 0, 30);
	EXPECT_EQ(4, neg(read(self->server, &value, 4)));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, -EPIPE);
}

TEST_F(inherit, lower_caller_does_not_lower_the_server)
{
	struct scheduling own;

	ASSERT_EQ(0, set_scheduling(0, SCHED_FIFO, 40, 0));
	own = scheduling_of(0);
	TAKEN(self, 0, 30);
	EXPECT_TRUE(same_scheduling(0, &own));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &own));
	DONE(self, 0, 10);
	TAKEN(self, 0, 41);
	EXPECT_EQ(FIFO(41), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &own));
	DONE(self, 0, 10);
}

TEST_F(inherit, batch_of_requests_boosts_to_the_highest)
{
	__u32 values[2];
	struct mbox_msg msgs[2] = { msg_of(&values[0], 4, 0), msg_of(&values[1], 4, 0) };

	self->c[0].call.rt_prio = 45;
	ASSERT_EQ(0, caller_start(&self->c[0], self->client, 1));
	ASSERT_EQ(0, await_callers(self, 1));
	self->c[1].call.rt_prio = 35;
	ASSERT_EQ(0, caller_start(&self->c[1], self->client, 2));
	ASSERT_EQ(0, await_callers(self, 2));
	ASSERT_EQ(2, raw_vec(self->server, MBOX_IOC_RECVV, msgs, 2, 0));
	EXPECT_EQ(FIFO(45), as(0));
	EXPECT_EQ(0, answer(self->server, msgs[0].token, 10));
	EXPECT_EQ(FIFO(35), as(0));
	EXPECT_EQ(0, answer(self->server, msgs[1].token, 20));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
	DONE(self, 1, 20);
}

static long set_deadline(pid_t tid)
{
	struct scheduling s = {
		.size = sizeof(s), .policy = 6, .runtime = 10 * NSEC_PER_MSEC,
		.deadline = 100 * NSEC_PER_MSEC, .period = 100 * NSEC_PER_MSEC,
	};

	return neg(syscall(SYS_sched_setattr, tid, &s, 0));
}

static long w_call_with_deadline(struct worker *w)
{
	__u32 value = 1, rep;
	struct mbox_request req = {
		.buf = (uintptr_t)&value, .len = 4, .rep = (uintptr_t)&rep, .rep_len = 4,
	};
	long ret = set_deadline(0);

	return ret ? ret : raw(w->fd, MBOX_IOC_CALL, &req);
}

TEST_F(inherit, deadline_caller_boosts_to_the_highest_priority)
{
	ASSERT_EQ(0, worker_start(&self->w, self->client));
	if (set_deadline(self->w.tid))
		SKIP(return, "no SCHED_DEADLINE");
	begin(&self->w, w_call_with_deadline);
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(FIFO(99), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(4, end(&self->w));
}

TEST_F(inherit, deadline_server_is_not_boosted)
{
	struct scheduling own;

	ASSERT_EQ(0, worker_start(&self->w, self->server));
	if (set_deadline(self->w.tid))
		SKIP(return, "no SCHED_DEADLINE");
	own = scheduling_of(self->w.tid);
	CALL(self, 0, 30);
	ASSERT_EQ(1, do_it(&self->w, w_get));
	EXPECT_TRUE(same_scheduling(self->w.tid, &own));
	EXPECT_EQ(0, do_it(&self->w, w_answer));
	EXPECT_TRUE(same_scheduling(self->w.tid, &own));
	DONE(self, 0, 0);
}

/* ---- several debts ------------------------------------------------------- */

TEST_F(inherit, server_has_the_highest_priority_of_its_pending_replies)
{
	static const int prios[] = { 20, 40, 30 };
	__u64 tokens[3];
	int i;

	for (i = 0; i < 3; i++) {
		TAKEN(self, i, prios[i]);
		tokens[i] = self->token;
		EXPECT_EQ(i ? FIFO(40) : FIFO(20), as(0));
	}
	EXPECT_EQ(0, answer(self->server, tokens[0], 10));
	EXPECT_EQ(FIFO(40), as(0));
	EXPECT_EQ(0, answer(self->server, tokens[1], 20));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, tokens[2], 30));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
	DONE(self, 1, 20);
	DONE(self, 2, 30);
}

TEST_F(inherit, equal_priorities_boost_until_the_last_reply)
{
	__u64 first;

	TAKEN(self, 0, 30);
	first = self->token;
	TAKEN(self, 1, 30);
	EXPECT_EQ(0, answer(self->server, self->token, 20));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, first, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
	DONE(self, 1, 20);
}

TEST_F(inherit, pending_replies_in_several_mailboxes_add_up)
{
	int there = new_mailbox(MBOX_INHERIT, 1);
	struct caller c = { .call.rt_prio = 50 };
	__u64 token;

	TAKEN(self, 0, 30);
	ASSERT_EQ(0, caller_start(&c, there, 3));
	ASSERT_EQ(3, get_request(there, 0, &token));
	EXPECT_EQ(FIFO(50), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(FIFO(50), as(0));
	EXPECT_EQ(0, answer(there, token, 30));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
	EXPECT_EQ(30, caller_join(&c));
	close(there);
}

#define MANY	48

TEST_F(inherit, each_of_many_servers_is_boosted_by_its_own_caller)
{
	static struct caller callers[MANY];
	static struct worker servers[MANY];
	int i, k, round;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, worker_start(&servers[i], self->server));
	for (round = 0; round < 2; round++) {
		memset(callers, 0, sizeof(callers));
		for (i = 0; i < MANY; i++) {
			begin(&servers[i], w_get);
			ASSERT_EQ(0, await_waiting(self->fd, 0, i + 1));
		}
		for (i = 0; i < MANY; i++) {
			callers[i].call.rt_prio = i + 1;
			ASSERT_EQ(0, caller_start(&callers[i], self->client, i));
			ASSERT_EQ(i, end(&servers[i]));
		}
		for (i = 0; i < MANY; i++)
			EXPECT_EQ(FIFO(i + 1), as(servers[i].tid));
		/* They are done in another order than they began. */
		for (i = 0; i < MANY; i++) {
			k = i * 7 % MANY;
			servers[k].arg = 100 + k;
			EXPECT_EQ(0, do_it(&servers[k], w_answer));
			EXPECT_EQ(OTHER, as(servers[k].tid));
			EXPECT_EQ(100 + k, caller_join(&callers[k]));
		}
	}
	for (i = 0; i < MANY; i++)
		worker_stop(&servers[i]);
}

TEST_F(inherit, nested_call_passes_the_boost_on)
{
	int there = new_mailbox(MBOX_INHERIT, 1);
	__u64 token;

	ASSERT_EQ(0, worker_start(&self->w, self->server));
	self->w.other_fd = there;
	CALL(self, 0, 30);
	ASSERT_EQ(1, do_it(&self->w, w_get));
	begin(&self->w, w_pass_on);
	ASSERT_EQ(1, get_request(there, 0, &token));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(FIFO(30), as(self->w.tid));
	EXPECT_EQ(0, answer(there, token, 77));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(0, end(&self->w));
	EXPECT_EQ(OTHER, as(self->w.tid));
	DONE(self, 0, 77);
	close(there);
}

/* ---- taking back --------------------------------------------------------- */

/*
 * Others that wait for the lock give whoever has it their priority, in the midst of
 * its being taken back.
 */
TEST_F(inherit, attributes_are_restored_beside_other_calls)
{
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "there is one CPU");
	self->others = new_mailbox(MBOX_INHERIT, 1);
	ASSERT_EQ(0, stay_on(1));
	ASSERT_EQ(0, worker_start(&self->v, self->others));
	ASSERT_EQ(0, worker_start(&self->w, self->others));
	ASSERT_EQ(0, stay_on(0));
	self->v.arg = INT32_MAX;
	begin(&self->v, w_serve);
	self->w.arg = INT32_MAX;
	begin(&self->w, w_call);
	for (i = 0; i < 300; i++) {
		TAKEN(self, 0, 30);
		ASSERT_EQ(0, answer(self->server, self->token, 10));
		ASSERT_TRUE(same_scheduling(0, &self->own)) TH_LOG("call %d", i);
		DONE(self, 0, 10);
	}
	EXPECT_EQ(0, raw_destroy(self->others));
	EXPECT_EQ(-EIDRM, end(&self->w));
	EXPECT_EQ(-EIDRM, end(&self->v));
}

TEST_F(inherit, scheduling_attributes_are_restored)
{
	static const struct {
		int policy, prio, nice;
	} all[] = {
		{ SCHED_OTHER, 0, 7 }, { SCHED_OTHER, 0, -20 }, { SCHED_BATCH, 0, 5 },
		{ SCHED_IDLE, 0, 0 }, { SCHED_OTHER | SCHED_RESET_ON_FORK, 0, 0 },
		{ SCHED_RR, 10, 0 }, { SCHED_FIFO, 10, 0 },
		{ SCHED_RR | SCHED_RESET_ON_FORK, 1, 0 },
	};
	struct scheduling own;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		ASSERT_EQ(0, set_scheduling(0, all[i].policy, all[i].prio, all[i].nice));
		own = scheduling_of(0);
		TAKEN(self, 0, 30);
		EXPECT_EQ(AS(own.prio ? own.policy : SCHED_FIFO, 30), as(0));
		EXPECT_EQ(0, answer(self->server, self->token, 10));
		EXPECT_TRUE(same_scheduling(0, &own)) TH_LOG("case %u", i);
		DONE(self, 0, 10);
		ASSERT_EQ(0, set_scheduling(0, SCHED_OTHER, 0, 0));
	}
}

TEST_F(inherit, slice_and_timer_slack_are_restored)
{
	struct scheduling s = { .size = sizeof(s), .runtime = 5 * NSEC_PER_MSEC }, own;

	ASSERT_EQ(0, neg(syscall(SYS_sched_setattr, 0, &s, 0)));
	ASSERT_EQ(0, prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0));
	own = scheduling_of(0);
	TAKEN(self, 0, 30);
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &own));
	EXPECT_EQ(123456, prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	DONE(self, 0, 10);
}

TEST_F(inherit, nice_value_changed_during_the_boost_is_kept)
{
	TAKEN(self, 0, 30);
	ASSERT_EQ(0, setpriority(PRIO_PROCESS, 0, 11));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(OTHER, as(0));
	EXPECT_EQ(11, getpriority(PRIO_PROCESS, 0));
	DONE(self, 0, 10);
}

TEST_F(inherit, reply_of_another_thread_deboosts_the_server)
{
	ASSERT_EQ(0, worker_start(&self->w, self->server));
	CALL(self, 0, 30);
	ASSERT_EQ(1, do_it(&self->w, w_get));
	EXPECT_EQ(FIFO(30), as(self->w.tid));
	EXPECT_EQ(0, answer(self->server, self->w.token, 10));
	EXPECT_EQ(OTHER, as(self->w.tid));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
}

TEST_F(inherit, reply_that_is_too_long_deboosts_the_server)
{
	char rep[8] = { 0 };

	TAKEN(self, 0, 30);
	EXPECT_EQ(-EMSGSIZE, raw_reply(self->server, self->token, rep, sizeof(rep)));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, -EMSGSIZE);
}

TEST_F(inherit, failed_reply_keeps_the_boost)
{
	TAKEN(self, 0, 30);
	EXPECT_EQ(-EFAULT, raw_reply(self->server, self->token, (void *)1, 4));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token + 1, 10));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
}

TEST_F(inherit, request_put_back_deboosts_the_server)
{
	struct mbox_msg msg = msg_of((void *)1, 4, 0);

	CALL(self, 0, 30);
	EXPECT_EQ(-EFAULT, raw(self->server, MBOX_IOC_RECV, &msg));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	ASSERT_EQ(0, worker_start(&self->w, self->server));
	ASSERT_EQ(1, do_it(&self->w, w_get));
	EXPECT_EQ(FIFO(30), as(self->w.tid));
	EXPECT_EQ(0, do_it(&self->w, w_answer));
	EXPECT_EQ(OTHER, as(self->w.tid));
	DONE(self, 0, 0);
}

/* It fails to copy what it was delivered, and the next waiter gets that. */
TEST_F(inherit, request_put_back_boosts_the_next_receiver)
{
	struct call bad = { .msg = msg_of((void *)1, 4, 0) };

	ASSERT_EQ(0, call_start(&bad, self->server, MBOX_IOC_RECV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, worker_start(&self->w, self->server));
	begin(&self->w, w_get);
	ASSERT_EQ(0, await_waiting(self->fd, 0, 2));
	self->c[0].call.rt_prio = 30;
	ASSERT_EQ(0, caller_start(&self->c[0], self->client, 5));
	EXPECT_EQ(-EFAULT, call_join(&bad));
	EXPECT_EQ(5, end(&self->w));
	EXPECT_EQ(FIFO(30), as(self->w.tid));
	EXPECT_EQ(0, do_it(&self->w, w_answer));
	EXPECT_EQ(OTHER, as(self->w.tid));
	DONE(self, 0, 0);
}

TEST_F(inherit, expired_caller_deboosts_the_server)
{
	self->c[0].req.deadline_ns = in_ms(CLOCK_MONOTONIC, 400 * time_factor());
	self->c[0].call.rt_prio = 30;
	ASSERT_EQ(0, caller_start(&self->c[0], self->client, 1));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	DONE(self, 0, -ETIMEDOUT);
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
}

TEST_F(inherit, interrupted_caller_deboosts_the_server)
{
	TAKEN(self, 0, 30);
	EXPECT_EQ(FIFO(30), as(0));
	ASSERT_EQ(0, pthread_kill(self->c[0].call.thread, SIGUSR1));
	DONE(self, 0, -EINTR);
	EXPECT_TRUE(same_scheduling(0, &self->own));
}

static int call_for_ever(void *arg)
{
	FIXTURE_DATA(inherit) *self = arg;
	__u32 value = 1;
	struct mbox_request req = { .buf = (uintptr_t)&value, .len = 4 };

	CHECK_EQ(0, set_scheduling(0, SCHED_FIFO, 30, 0));
	raw(self->client, MBOX_IOC_CALL, &req);
	return 1;
}

TEST_F(inherit, killed_caller_deboosts_the_server)
{
	pid_t pid = spawn(call_for_ever, self);

	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(FIFO(30), as(0));
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 10));
}

TEST_F(inherit, closing_the_handle_deboosts_the_server)
{
	TAKEN(self, 0, 30);
	TAKEN(self, 1, 40);
	EXPECT_EQ(FIFO(40), as(0));
	close(self->server);
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, -EPIPE);
	DONE(self, 1, -EPIPE);
	self->server = -1;
}

TEST_F(inherit, destroy_deboosts_the_server)
{
	ASSERT_EQ(0, worker_start(&self->w, self->server));
	CALL(self, 0, 30);
	ASSERT_EQ(1, do_it(&self->w, w_get));
	TAKEN(self, 1, 40);
	EXPECT_EQ(FIFO(30), as(self->w.tid));
	EXPECT_EQ(FIFO(40), as(0));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(OTHER, as(self->w.tid));
	DONE(self, 0, -EIDRM);
	DONE(self, 1, -EIDRM);
}

TEST_F(inherit, exit_of_the_server_thread_keeps_the_call)
{
	ASSERT_EQ(0, worker_start(&self->w, self->server));
	CALL(self, 0, 30);
	ASSERT_EQ(1, do_it(&self->w, w_get));
	worker_stop(&self->w);
	EXPECT_EQ(0, answer(self->server, self->w.token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
}

static int take_and_wait(void *arg)
{
	FIXTURE_DATA(inherit) *self = arg;
	int fd = open_again(self->fd, O_RDONLY);
	__u64 token;

	CHECK_EQ(1, get_request(fd, 0, &token));
	CHECK_EQ(FIFO(30), as(0));
	pause();
	return 1;
}

TEST_F(inherit, killed_server_releases_its_boost)
{
	pid_t pid;

	CALL(self, 0, 30);
	pid = spawn(take_and_wait, self);
	ASSERT_EQ(0, await_callers(self, 0));
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	DONE(self, 0, -EPIPE);
}

/* ---- reply and receive --------------------------------------------------- */

TEST_F(inherit, reply_recv_that_waits_is_deboosted)
{
	ASSERT_EQ(0, worker_start(&self->w, self->server));
	CALL(self, 0, 30);
	ASSERT_EQ(1, do_it(&self->w, w_get));
	begin(&self->w, w_next);
	DONE(self, 0, 0);
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(OTHER, await_as(self->w.tid, OTHER));
	self->c[1].call.rt_prio = 20;
	ASSERT_EQ(0, caller_start(&self->c[1], self->client, 2));
	EXPECT_EQ(2, end(&self->w));
	EXPECT_EQ(FIFO(20), as(self->w.tid));
	EXPECT_EQ(0, do_it(&self->w, w_answer));
	EXPECT_EQ(OTHER, as(self->w.tid));
	DONE(self, 1, 0);
}

/* The longest waiter comes first; the boost does not count any more. */
TEST_F(inherit, waiting_server_queues_by_its_own_priority)
{
	ASSERT_EQ(0, worker_start(&self->v, self->server));
	begin(&self->v, w_get);
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	self->c[0].call.rt_prio = 30;
	ASSERT_EQ(0, caller_start(&self->c[0], self->client, 1));
	ASSERT_EQ(1, end(&self->v));

	ASSERT_EQ(0, worker_start(&self->w, self->server));
	begin(&self->w, w_get);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 1));
	begin(&self->v, w_next);
	DONE(self, 0, 0);
	ASSERT_EQ(0, await_waiting(self->fd, 0, 2));
	ASSERT_EQ(0, put(self->client, 7));
	EXPECT_EQ(7, end(&self->w));
	ASSERT_EQ(0, put(self->client, 8));
	EXPECT_EQ(8, end(&self->v));
}

TEST_F(inherit, reply_recv_that_finds_a_request_has_its_priority)
{
	static const int prios[] = { 20, 40, 10 };
	int i;

	TAKEN(self, 0, prios[0]);
	for (i = 1; i < 3; i++) {
		CALL(self, i, prios[i]);
		EXPECT_EQ(FIFO(prios[i - 1]), as(0));
		ASSERT_EQ(i + 1, reply_recv(self->server, &self->token, i * 10, 0));
		EXPECT_EQ(FIFO(prios[i]), as(0));
		DONE(self, i - 1, i * 10);
	}
	EXPECT_EQ(-EAGAIN, reply_recv(self->server, &self->token, 30, MBOX_DONTWAIT));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 2, 30);
}

TEST_F(inherit, failed_reply_recv_keeps_the_boost)
{
	__u64 none = self->token + 1;

	TAKEN(self, 0, 30);
	none = self->token + 1;
	EXPECT_EQ(-ESRCH, reply_recv(self->server, &none, 10, 0));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);
}

TEST_F(inherit, failed_receive_does_not_boost)
{
	EXPECT_EQ(-EAGAIN, get_request(self->server, MBOX_DONTWAIT, &self->token));
	CALL(self, 0, 30);
	EXPECT_EQ(-EMSGSIZE, raw_recv(self->server, &self->token, 1, 0));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(-EAGAIN, get_request(self->server, MBOX_DONTWAIT, &(__u64){ 0 }));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	DONE(self, 0, 10);
}

/* ---- others' changes ----------------------------------------------------- */

TEST_F(inherit, priority_set_from_outside_is_kept)
{
	static const struct {
		int policy, prio;
	} all[] = {
		{ SCHED_OTHER, 0 }, { SCHED_BATCH, 0 }, { SCHED_FIFO, 30 }, { SCHED_FIFO, 20 },
		{ SCHED_FIFO, 50 }, { SCHED_RR, 30 }, { SCHED_RR | SCHED_RESET_ON_FORK, 55 },
	};
	struct scheduling theirs;
	unsigned int i;

	ASSERT_EQ(0, worker_start(&self->w, self->server));
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		ASSERT_EQ(0, set_scheduling(self->w.tid, SCHED_IDLE, 0, 0));
		CALL(self, 0, 30);
		ASSERT_EQ(1, do_it(&self->w, w_get));
		EXPECT_EQ(FIFO(30), as(self->w.tid));
		ASSERT_EQ(0, set_scheduling(self->w.tid, all[i].policy, all[i].prio, 0));
		theirs = scheduling_of(self->w.tid);
		EXPECT_EQ(0, do_it(&self->w, w_answer));
		EXPECT_TRUE(same_scheduling(self->w.tid, &theirs)) TH_LOG("case %u", i);
		DONE(self, 0, 0);
	}
}

TEST_F(inherit, priority_set_from_outside_is_not_changed_by_older_requests)
{
	struct scheduling theirs;
	__u64 first;

	ASSERT_EQ(0, worker_start(&self->w, self->server));
	CALL(self, 0, 30);
	ASSERT_EQ(1, do_it(&self->w, w_get));
	first = self->w.token;
	ASSERT_EQ(0, set_scheduling(self->w.tid, SCHED_BATCH, 0, 3));
	theirs = scheduling_of(self->w.tid);
	CALL(self, 1, 20);
	ASSERT_EQ(2, do_it(&self->w, w_get));
	EXPECT_EQ(FIFO(20), as(self->w.tid));
	EXPECT_EQ(0, do_it(&self->w, w_answer));
	EXPECT_TRUE(same_scheduling(self->w.tid, &theirs));
	EXPECT_EQ(0, answer(self->server, first, 10));
	EXPECT_TRUE(same_scheduling(self->w.tid, &theirs));
	DONE(self, 0, 10);
	DONE(self, 1, 0);
}

/* As an ordinary user: what cannot be had without the loan goes with it. */
static int keep_what_was_lent(void *arg)
{
	FIXTURE_DATA(inherit) *self = arg;
	struct rlimit limit = { 0, 0 };
	__u64 token;

	CHECK_EQ(0, setrlimit(RLIMIT_RTPRIO, &limit));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(1, get_request(self->server, 0, &token));
	CHECK_EQ(FIFO(30), as(0));
	CHECK_EQ(-EPERM, set_scheduling(0, SCHED_FIFO, 30, 0));
	CHECK_EQ(-EPERM, set_scheduling(0, SCHED_FIFO | SCHED_RESET_ON_FORK, 31, 0));
	CHECK_EQ(0, set_scheduling(0, SCHED_FIFO | SCHED_RESET_ON_FORK, 20, 0));
	CHECK_EQ(0, answer(self->server, token, 10));
	CHECK_EQ(OTHER, as(0));
	return 0;
}

TEST_F(inherit, server_that_may_not_set_its_priority_is_deboosted)
{
	CALL(self, 0, 30);
	EXPECT_EQ(0, in_child(keep_what_was_lent, self));
	DONE(self, 0, 10);
}

static int keep_what_is_allowed(void *arg)
{
	FIXTURE_DATA(inherit) *self = arg;
	struct rlimit limit = { 20, 20 };
	__u64 token;

	CHECK_EQ(0, setrlimit(RLIMIT_RTPRIO, &limit));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(1, get_request(self->server, 0, &token));
	CHECK_EQ(0, set_scheduling(0, SCHED_FIFO | SCHED_RESET_ON_FORK, 20, 0));
	CHECK_EQ(0, answer(self->server, token, 10));
	CHECK_EQ(FIFO(20), as(0));
	return 0;
}

TEST_F(inherit, server_that_may_set_its_priority_keeps_it)
{
	CALL(self, 0, 30);
	EXPECT_EQ(0, in_child(keep_what_is_allowed, self));
	DONE(self, 0, 10);
}

static int child_has_its_own(void *arg)
{
	CHECK_EQ(OTHER, as(0));
	CHECK_EQ(0, sched_getscheduler(0) & SCHED_RESET_ON_FORK);
	return 0;
}

TEST_F(inherit, forked_children_are_not_boosted)
{
	TAKEN(self, 0, 30);
	EXPECT_EQ(SCHED_FIFO | SCHED_RESET_ON_FORK, sched_getscheduler(0));
	EXPECT_EQ(0, in_child(child_has_its_own, NULL));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(SCHED_OTHER, sched_getscheduler(0));
	DONE(self, 0, 10);
}

/* ---- creation ------------------------------------------------------------ */

static int create_as_a_user(void *arg)
{
	struct mbox_attr attr = attr_of(MBOX_INHERIT, 8);
	const char *name = arg;

	attr.perm = 0777;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EPERM, new_mailbox(MBOX_INHERIT, 8));
	/* What exists is opened, and whoever made it had the privilege. */
	CHECK(raw_create(name, O_RDWR, &attr) >= 0);
	return 0;
}

TEST_F(inherit, creation_without_CAP_SYS_NICE_is_EPERM)
{
	struct mbox_attr attr = attr_of(MBOX_INHERIT, 8);
	char name[64];
	int fd;

	umask(0);
	attr.perm = 0666;
	fd = raw_create(test_name(name, sizeof(name), "inherit"), O_RDWR, &attr);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MBOX_INHERIT, stat_of(fd).attr.flags);
	EXPECT_EQ(0, in_child(create_as_a_user, name));
	EXPECT_EQ(0, raw_unlink(name));
	close(fd);
}

TEST_F(inherit, flag_on_a_ring_is_EINVAL)
{
	struct mbox_attr attr = attr_of(MBOX_INHERIT, 8);

	attr.mode = MBOX_RING;
	EXPECT_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
}

TEST_F(inherit, requests_boost_at_a_rendezvous_and_after_an_overflow)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	self->c[0].call.rt_prio = 30;
	ASSERT_EQ(0, caller_start(&self->c[0], self->client, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	DONE(self, 0, 10);

	/* A request that is dropped was lent nothing for. */
	ASSERT_EQ(0, open_all(self, MBOX_INHERIT | MBOX_DROP_OLDEST));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	CALL(self, 0, 30);
	EXPECT_EQ(0, put(self->fd, 5));
	DONE(self, 0, -EPIPE);
	EXPECT_TRUE(same_scheduling(0, &self->own));
}

/* ---- killed at random ---------------------------------------------------- */

#define NWORKERS 5
#define NCALLERS 3
#define OWED_MAX 3

static int call_at_random(struct random *r, int fd, __u32 *started)
{
	__u32 value = 1, rep;
	struct mbox_request req = {
		.buf = (uintptr_t)&value, .len = 4, .rep = (uintptr_t)&rep, .rep_len = 4,
	};

	NOTE(*started, 1);
	for (;;) {
		if (one_in(r, 4))
			CHECK_EQ(0, set_scheduling(0, SCHED_OTHER, 0, 0));
		else
			CHECK_EQ(0, set_scheduling(0, SCHED_FIFO, 1 + random_below(r, 50), 0));
		req.deadline_ns = one_in(r, 2) ? 0 : soon(r);
		raw(fd, MBOX_IOC_CALL, &req);
		/* Not to have the CPU for itself. */
		pause_briefly();
	}
}

/* A caller that gives up takes its priority back itself, when it gets to that. */
static bool has_its_own(void)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (as(0) != OTHER) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return false;
		pause_briefly();
	}
	return true;
}

/* Takes up to OWED_MAX requests, replies to some of them, closes its handle. */
static int serve_at_random(struct random *r, int anchor, __u32 *started)
{
	__u64 token[OWED_MAX];
	unsigned int n, i;
	__u32 value = 0;
	int fd;

	NOTE(*started, 1);
	for (;;) {
		struct mbox_msg msg = msg_of(&value, 4, 0);

		fd = open_again(anchor, O_RDONLY);
		CHECK(fd >= 0);
		for (n = 0; n < OWED_MAX; n++) {
			msg.buf = one_in(r, 8) ? 1 : (uintptr_t)&value;
			msg.deadline_ns = soon(r);
			if (raw(fd, MBOX_IOC_RECV, &msg) < 0)
				break;
			token[n] = msg.token;
		}
		for (i = 0; i < n && !one_in(r, 6); i++)
			answer(fd, token[i], 1);
		if (i < n && one_in(r, 2))
			reply_recv(fd, &token[i], 1, MBOX_DONTWAIT);
		close(fd);
		CHECK(has_its_own());
		CHECK_EQ(0, sched_getscheduler(0) & SCHED_RESET_ON_FORK);
	}
}

/* Servers check that they have their own when they owe nothing. */
TEST_F_TIMEOUT(inherit, processes_killed_at_random_leave_no_boost, 3600)
{
	unsigned int n, i, kills = env_number("MBOX_KILLS", 60);
	struct random random = { random_seed() }, r;
	pid_t pid[NWORKERS];
	__u32 *started;

	started = shared_memory(getpagesize());
	ASSERT_TRUE(!!started);
	TH_LOG("MBOX_SEED=%llu", (unsigned long long)random.state);
	for (n = 0; n < kills + NWORKERS; n++) {
		i = n % NWORKERS;
		if (n >= NWORKERS) {
			pause_briefly();
			random_moment(&random, &started[i]);
			ASSERT_EQ(0, kill(pid[i], SIGKILL));
			ASSERT_EQ(1000 + SIGKILL, reap(pid[i]));
		}
		if (n >= kills)
			continue;
		started[i] = 0;
		r.state = random_next(&random);
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(i < NCALLERS ? call_at_random(&r, self->client, &started[i]) :
					     serve_at_random(&r, self->fd, &started[i]));
		}
	}
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(2U, stat_of(self->fd).recv_handles);
}

/* ---- what it is for ------------------------------------------------------ */

FIXTURE(loaded)
{
	int fd;
	bool stop;
	char runtime[32];
	struct worker server;
	struct worker load;
	struct worker caller;
};

static bool *stop_load;

/* Has the CPU for itself, from all of lower priority. */
static long w_spin(struct worker *w)
{
	__s64 limit;
	long ret;

	ret = set_scheduling(0, SCHED_FIFO, 30, 0);
	limit = in_ms(CLOCK_MONOTONIC, LOAD_MS);
	while (!__atomic_load_n(stop_load, __ATOMIC_RELAXED) && now_ns(CLOCK_MONOTONIC) < limit)
		;
	return ret;
}

FIXTURE_SETUP(loaded)
{
	/* Throttling would give the CPU to the server after a while. */
	ASSERT_EQ(0, read_file(RT_RUNTIME, self->runtime, sizeof(self->runtime)));
	ASSERT_EQ(0, write_file(RT_RUNTIME, "-1"));
	ASSERT_EQ(0, stay_on(0));
	stop_load = &self->stop;
	self->fd = -1;
}

FIXTURE_TEARDOWN(loaded)
{
	self->stop = true;
	worker_stop(&self->caller);
	worker_stop(&self->load);
	worker_stop(&self->server);
	close(self->fd);
	write_file(RT_RUNTIME, "%s", self->runtime);
}

/* Milliseconds of @n calls while the load runs, or -errno. */
static long calls_under_load(FIXTURE_DATA(loaded) *self, __u32 flags, int n)
{
	long ret;

	self->fd = new_mailbox(flags, 4);
	if (self->fd < 0 || worker_start(&self->server, self->fd) ||
	    worker_start(&self->load, -1) || worker_start(&self->caller, self->fd))
		return -ECHILD;
	self->server.arg = n;
	self->caller.arg = n;
	begin(&self->server, w_serve);
	ret = await_waiting(self->fd, 0, 1);
	if (ret)
		return ret;
	/* Above all of them, to start the caller in the midst of the load. */
	ret = set_scheduling(0, SCHED_FIFO, MAIN_PRIO, 0);
	if (ret)
		return ret;
	begin(&self->load, w_spin);
	while (as(self->load.tid) != FIFO(30))
		pause_briefly();
	ret = set_scheduling(self->caller.tid, SCHED_FIFO, 50, 0);
	if (ret)
		return ret;
	ret = do_it(&self->caller, w_call);
	self->stop = true;
	if (end(&self->load) || end(&self->server))
		return -EPROTO;
	return ret;
}

TEST_F(loaded, one_call_is_not_delayed_by_load)
{
	long ms = calls_under_load(self, MBOX_INHERIT, 1);

	EXPECT_LE(0, ms);
	EXPECT_GT(LOAD_MS / 2, ms);
}

TEST_F(loaded, many_calls_are_not_delayed_by_load)
{
	long ms = calls_under_load(self, MBOX_INHERIT, 20);

	EXPECT_LE(0, ms);
	EXPECT_GT(LOAD_MS / 2, ms);
}

/* What has no real-time priority gets a little time after almost a second of load. */
TEST_F(loaded, call_without_the_flag_is_delayed_by_load)
{
	EXPECT_LE(500, calls_under_load(self, 0, 1));
}

/* ---- calls that do not wait ----------------------------------------------- */

/* MBOX_IOC_CALL_WAIT in a thread of that priority, until it waits. */
struct collector {
	struct call call;
	struct mbox_call_wait arg;
	struct mbox_msg rep;
	__u32 value;
};

static int collector_start(struct collector *c, int fd, __u64 token, int prio)
{
	*c = (struct collector){ .value = POISON32 };
	c->rep = msg_of(&c->value, sizeof(c->value), 0);
	c->arg.token = token;
	c->arg.rep = (uintptr_t)&c->rep;
	c->arg.msg_size = sizeof(c->rep);
	c->call.arg = &c->arg;
	c->call.rt_prio = prio;
	return call_start(&c->call, fd, MBOX_IOC_CALL_WAIT) ?: await_asleep(&c->call.tid);
}

TEST_F(inherit, a_started_call_lends_nothing)
{
	struct call c = { .rt_prio = 30 };
	struct mbox_call_start arg = { .rep_max = 4, .msg_size = sizeof(c.msg) };
	__u32 value = 1;

	c.msg = msg_of(&value, 4, 0);
	arg.req = (uintptr_t)&c.msg;
	c.arg = &arg;
	ASSERT_EQ(0, call_start(&c, self->client, MBOX_IOC_CALL_START));
	ASSERT_EQ(0, call_join(&c));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, fetch_call(self->client, (__u64 *)&arg.token));
}

TEST_F(inherit, a_thread_that_waits_for_one_started_call_lends_its_priority)
{
	struct collector c;
	__u64 call;

	/* The request is taken before, or after the thread begins to wait. */
	ASSERT_EQ(0, start_call(self->client, 1, 0, 0, &call));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(OTHER, as(0));
	ASSERT_EQ(0, collector_start(&c, self->client, call, 30));
	EXPECT_EQ(FIFO(30), await_as(syscall(SYS_gettid), FIFO(30)));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(4, call_join(&c.call));

	ASSERT_EQ(0, start_call(self->client, 2, 0, 0, &call));
	ASSERT_EQ(0, collector_start(&c, self->client, call, 30));
	EXPECT_EQ(OTHER, as(0));
	ASSERT_EQ(2, get_request(self->server, 0, &self->token));
	EXPECT_EQ(FIFO(30), as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	EXPECT_EQ(4, call_join(&c.call));
}

TEST_F(inherit, a_thread_that_gives_up_lends_nothing_any_more)
{
	struct collector c;
	__u64 call;

	ASSERT_EQ(0, start_call(self->client, 1, 0, 0, &call));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	ASSERT_EQ(0, collector_start(&c, self->client, call, 30));
	EXPECT_EQ(FIFO(30), await_as(syscall(SYS_gettid), FIFO(30)));
	ASSERT_EQ(0, pthread_kill(c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&c.call));
	EXPECT_TRUE(same_scheduling(0, &self->own));
	/* And again, with another one. */
	ASSERT_EQ(0, collector_start(&c, self->client, call, 20));
	EXPECT_EQ(FIFO(20), await_as(syscall(SYS_gettid), FIFO(20)));
	ASSERT_EQ(0, raw_call_cancel(self->client, call));
	EXPECT_EQ(-ESRCH, call_join(&c.call));
	EXPECT_EQ(OTHER, await_as(syscall(SYS_gettid), OTHER));
}

TEST_F(inherit, a_thread_that_waits_for_any_call_lends_nothing)
{
	struct collector c;
	__u64 call;

	ASSERT_EQ(0, start_call(self->client, 1, 0, 0, &call));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	ASSERT_EQ(0, collector_start(&c, self->client, 0, 30));
	EXPECT_EQ(OTHER, as(0));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(4, call_join(&c.call));
}

TEST_HARNESS_MAIN
