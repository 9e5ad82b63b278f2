// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that would wait: each kind of them, and everything that ends the wait.
 */
#include "peers.h"

#define TYPE 5

FIXTURE(blocked)
{
	struct mbox_stat before;
	struct call call;
	int fd;
};

FIXTURE_VARIANT(blocked)
{
	unsigned int cmd;
	__u32 capacity;
	/* Messages that are there already, of no interest to the call. */
	int filled;
	__u32 flags;
};

#define BLOCKED_VARIANT(name, command, cap, fill, call_flags)		\
	FIXTURE_VARIANT_ADD(blocked, name) {				\
		.cmd = command,						\
		.capacity = cap,					\
		.filled = fill,						\
		.flags = call_flags,					\
	}

BLOCKED_VARIANT(receiver_bounded, MBOX_IOC_RECV, 1, 0, 0);
BLOCKED_VARIANT(receiver_rendezvous, MBOX_IOC_RECV, 0, 0, 0);
BLOCKED_VARIANT(receiver_unbounded, MBOX_IOC_RECV, MBOX_UNBOUNDED, 0, 0);
BLOCKED_VARIANT(receiver_of_a_type, MBOX_IOC_RECV, 3, 2, MBOX_MATCH);
BLOCKED_VARIANT(receiver_that_peeks, MBOX_IOC_RECV, 1, 0, MBOX_PEEK);
BLOCKED_VARIANT(sender_bounded, MBOX_IOC_SEND, 2, 2, 0);
BLOCKED_VARIANT(sender_rendezvous, MBOX_IOC_SEND, 0, 0, 0);
BLOCKED_VARIANT(sender_sync_bounded, MBOX_IOC_SEND, 2, 2, MBOX_SYNC);
BLOCKED_VARIANT(sender_sync_rendezvous, MBOX_IOC_SEND, 0, 0, MBOX_SYNC);
BLOCKED_VARIANT(sender_sync_with_room, MBOX_IOC_SEND, 2, 1, MBOX_SYNC);
BLOCKED_VARIANT(sender_sync_unbounded, MBOX_IOC_SEND, MBOX_UNBOUNDED, 1, MBOX_SYNC);

FIXTURE_SETUP(blocked)
{
	int i;

	self->fd = new_mailbox(0, variant->capacity);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < variant->filled; i++)
		ASSERT_EQ(0, put(self->fd, i));
	/* A send that fails may have been accepted before: the highest fill tells. */
	if (variant->capacity > variant->filled) {
		ASSERT_EQ(0, put_as(self->fd, 99, 1, 0));
		ASSERT_EQ(99, take(self->fd));
	}
	self->before = stat_of(self->fd);
	self->call.msg.flags = variant->flags;
	self->call.msg.type = TYPE;
}

FIXTURE_TEARDOWN(blocked)
{
	close(self->fd);
}

#define SENDS(variant) ((variant)->cmd == MBOX_IOC_SEND)

static long issue(FIXTURE_DATA(blocked) *self, const FIXTURE_VARIANT(blocked) *variant)
{
	struct call *c = &self->call;

	c->value = SENDS(variant) ? 77 : POISON32;
	c->msg.buf = (uintptr_t)&c->value;
	c->msg.len = sizeof(c->value);
	return raw(self->fd, variant->cmd, &c->msg);
}

/* Starts the call in a thread, and returns when it waits. */
static int start(FIXTURE_DATA(blocked) *self, const FIXTURE_VARIANT(blocked) *variant)
{
	self->call.value = SENDS(variant) ? 77 : POISON32;
	if (call_start(&self->call, self->fd, variant->cmd))
		return -1;
	return await_waiting(self->fd, SENDS(variant), !SENDS(variant));
}

/* What the call waits for happens; 0 when it then ends as it should. */
static int release(FIXTURE_DATA(blocked) *self, const FIXTURE_VARIANT(blocked) *variant)
{
	int i;

	if (!SENDS(variant)) {
		if (put_as(self->fd, 77, 0, TYPE))
			return -ENOSPC;
		return recv_join(&self->call) == 77 ? 0 : -EPROTO;
	}
	for (i = 0; i < variant->filled; i++)
		if (take(self->fd) != i)
			return -ENOMSG;
	if (take(self->fd) != 77)
		return -ENOMSG;
	return call_join(&self->call);
}

/* A call that failed has left no trace, and its peer finds nothing of it. */
#define EXPECT_NO_TRACE(self, variant) do {				\
	int __i;							\
									\
	EXPECT_TRUE(same_stat((self)->fd, &(self)->before));		\
	for (__i = 0; __i < (variant)->filled; __i++)			\
		EXPECT_EQ(__i, take((self)->fd));			\
	EXPECT_EQ(-EAGAIN, take((self)->fd));				\
} while (0)

TEST_F(blocked, DONTWAIT_is_EAGAIN)
{
	self->call.msg.flags |= MBOX_DONTWAIT;
	EXPECT_EQ(-EAGAIN, issue(self, variant));
	/* Even with a deadline. */
	self->call.msg.deadline_ns = 1;
	EXPECT_EQ(-EAGAIN, issue(self, variant));
	self->call.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 3600 * 1000);
	EXPECT_EQ(-EAGAIN, issue(self, variant));
	EXPECT_NO_TRACE(self, variant);
}

TEST_F(blocked, O_NONBLOCK_is_EAGAIN)
{
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, issue(self, variant));
	self->call.msg.deadline_ns = 1;
	EXPECT_EQ(-EAGAIN, issue(self, variant));
	EXPECT_NO_TRACE(self, variant);
}

TEST_F(blocked, past_deadline_is_ETIMEDOUT)
{
	self->call.msg.deadline_ns = 1;
	EXPECT_EQ(-ETIMEDOUT, issue(self, variant));
	self->call.msg.deadline_ns = in_ms(CLOCK_MONOTONIC, -1);
	EXPECT_EQ(-ETIMEDOUT, issue(self, variant));
	self->call.msg.flags |= MBOX_REALTIME;
	EXPECT_EQ(-ETIMEDOUT, issue(self, variant));
	self->call.msg.deadline_ns = in_ms(CLOCK_REALTIME, -1);
	EXPECT_EQ(-ETIMEDOUT, issue(self, variant));
	EXPECT_NO_TRACE(self, variant);
}

TEST_F(blocked, deadline_of_either_clock_is_ETIMEDOUT)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		self->call.msg.flags = variant->flags;
		if (clocks[i] == CLOCK_REALTIME)
			self->call.msg.flags |= MBOX_REALTIME;
		self->call.msg.deadline_ns = in_ms(clocks[i], 30);
		EXPECT_EQ(-ETIMEDOUT, issue(self, variant));
		EXPECT_LE((__s64)self->call.msg.deadline_ns, now_ns(clocks[i]));
		EXPECT_GT((__s64)self->call.msg.deadline_ns + 10000 * NSEC_PER_MSEC,
			  now_ns(clocks[i]));
	}
	EXPECT_NO_TRACE(self, variant);
}

TEST_F(blocked, wait_ends_when_the_other_side_calls)
{
	ASSERT_EQ(0, start(self, variant));
	EXPECT_EQ(0, release(self, variant));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0U, stat_of(self->fd).waiting_receivers);
}

TEST_F(blocked, far_deadline_waits)
{
	self->call.msg.deadline_ns = ~0ULL;
	ASSERT_EQ(0, start(self, variant));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, call_join(&self->call));
}

TEST_F(blocked, signal_is_EINTR)
{
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, start(self, variant));
	ASSERT_EQ(0, pthread_kill(self->call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&self->call));
	EXPECT_EQ(1, signals_seen);
	EXPECT_NO_TRACE(self, variant);
}

TEST_F(blocked, signal_with_SA_RESTART_restarts)
{
	int i;

	ASSERT_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, start(self, variant));
	for (i = 1; i <= 3; i++) {
		ASSERT_EQ(0, pthread_kill(self->call.thread, SIGUSR1));
		ASSERT_EQ(0, await_signals(i));
		ASSERT_EQ(0, await_waiting(self->fd, SENDS(variant), !SENDS(variant)));
	}
	EXPECT_EQ(0, release(self, variant));
}

TEST_F(blocked, signal_with_SA_RESTART_is_EINTR_if_asked_for)
{
	self->call.msg.flags |= MBOX_NORESTART;
	ASSERT_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, start(self, variant));
	ASSERT_EQ(0, pthread_kill(self->call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&self->call));
	EXPECT_EQ(1, signals_seen);
	EXPECT_NO_TRACE(self, variant);
}

TEST_F(blocked, restart_keeps_the_deadline)
{
	__s64 deadline = in_ms(CLOCK_MONOTONIC, 500);
	int i;

	self->call.msg.deadline_ns = deadline;
	ASSERT_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, call_start(&self->call, self->fd, variant->cmd));
	/* Signals that hit the call keep coming until the deadline. */
	for (i = 0; now_ns(CLOCK_MONOTONIC) < deadline; i++) {
		pthread_kill(self->call.thread, SIGUSR1);
		pause_briefly();
	}
	EXPECT_EQ(-ETIMEDOUT, call_join(&self->call));
	EXPECT_LE(deadline, now_ns(CLOCK_MONOTONIC));
	EXPECT_LT(0, signals_seen);
	EXPECT_NO_TRACE(self, variant);
}

struct killed {
	FIXTURE_DATA(blocked) *self;
	const FIXTURE_VARIANT(blocked) *variant;
};

static int issue_in_child(void *arg)
{
	struct killed *k = arg;

	issue(k->self, k->variant);
	return 0;
}

TEST_F(blocked, SIGKILL_leaves_nothing)
{
	struct killed k = { self, variant };
	pid_t pid = spawn(issue_in_child, &k);

	ASSERT_EQ(0, await_waiting(self->fd, SENDS(variant), !SENDS(variant)));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_NO_TRACE(self, variant);
	/* The mailbox goes on. */
	if (variant->capacity) {
		EXPECT_EQ(0, put(self->fd, 1));
		EXPECT_EQ(1, take(self->fd));
	}
}

TEST_F(blocked, stop_and_continue_do_not_end_the_wait)
{
	struct killed k = { self, variant };
	pid_t pid = spawn(issue_in_child, &k);
	int status, i;

	ASSERT_EQ(0, await_waiting(self->fd, SENDS(variant), !SENDS(variant)));
	ASSERT_EQ(0, kill(pid, SIGSTOP));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, kill(pid, SIGCONT));
	ASSERT_EQ(0, await_waiting(self->fd, SENDS(variant), !SENDS(variant)));
	if (SENDS(variant)) {
		for (i = 0; i < variant->filled; i++)
			EXPECT_EQ(i, take(self->fd));
		EXPECT_EQ(77, take(self->fd));
	} else {
		EXPECT_EQ(0, put_as(self->fd, 77, 0, TYPE));
	}
	EXPECT_EQ(0, reap(pid));
}

/* A past deadline takes what is ready at once. */
FIXTURE(ready)
{
	int fd;
	__u64 past;
};

FIXTURE_SETUP(ready)
{
	self->fd = new_mailbox(0, 2);
	ASSERT_LE(0, self->fd);
	self->past = in_ms(CLOCK_MONOTONIC, -1000);
}

FIXTURE_TEARDOWN(ready)
{
	close(self->fd);
}

static long timed(int fd, unsigned int cmd, __u32 *value, __u32 flags, __u64 deadline)
{
	struct mbox_msg msg = msg_of(value, sizeof(*value), flags);

	msg.deadline_ns = deadline;
	return raw(fd, cmd, &msg);
}

TEST_F(ready, past_deadline_sends_where_there_is_room)
{
	static const __u32 capacities[] = { 1, MBOX_UNBOUNDED };
	__u32 value = 6;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		ASSERT_EQ(0, raw_set_capacity(self->fd, capacities[i]));
		EXPECT_EQ(0, timed(self->fd, MBOX_IOC_SEND, &value, 0, self->past));
		EXPECT_EQ(6, take(self->fd));
		EXPECT_EQ(0, timed(self->fd, MBOX_IOC_SEND, &value, MBOX_REALTIME, 1));
		EXPECT_EQ(6, take(self->fd));
	}
}

TEST_F(ready, past_deadline_receives_what_is_queued)
{
	__u32 value = POISON32;

	ASSERT_EQ(0, put(self->fd, 6));
	ASSERT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(4, timed(self->fd, MBOX_IOC_RECV, &value, 0, self->past));
	EXPECT_EQ(6U, value);
	EXPECT_EQ(4, timed(self->fd, MBOX_IOC_RECV, &value, MBOX_REALTIME, 1));
	EXPECT_EQ(7U, value);
	EXPECT_EQ(-ETIMEDOUT, timed(self->fd, MBOX_IOC_RECV, &value, 0, self->past));
}

TEST_F(ready, past_deadline_meets_a_waiting_sender)
{
	__u32 value = POISON32;
	struct call c = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(0, send_start(&c, self->fd, 8));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(4, timed(self->fd, MBOX_IOC_RECV, &value, 0, self->past));
	EXPECT_EQ(8U, value);
	EXPECT_EQ(0, call_join(&c));
}

TEST_F(ready, past_deadline_meets_a_waiting_receiver)
{
	struct call c = { 0 };
	__u32 value = 9;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, timed(self->fd, MBOX_IOC_SEND, &value, 0, self->past));
	EXPECT_EQ(9, recv_join(&c));
}

TEST_F(ready, REALTIME_and_MONOTONIC_are_distinguished)
{
	struct call c = { .msg.deadline_ns = in_ms(CLOCK_REALTIME, 0) };
	__u32 value = POISON32;

	/* Years after the monotonic clock's start: it waits. */
	if (now_ns(CLOCK_REALTIME) < now_ns(CLOCK_MONOTONIC) + 86400000 * NSEC_PER_MSEC)
		SKIP(return, "the clocks are too close together");
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, recv_join(&c));
	EXPECT_EQ(-ETIMEDOUT, timed(self->fd, MBOX_IOC_RECV, &value, MBOX_REALTIME,
				    in_ms(CLOCK_MONOTONIC, 3600 * 1000)));
}

TEST_F(ready, deadlines_of_the_library)
{
	static const struct timespec bad[] = {
		{ .tv_sec = -1 }, { .tv_nsec = -1 }, { .tv_nsec = 1000000000 },
		{ .tv_sec = 1, .tv_nsec = 1000000001 } };
	struct mbox *mb = mbox_from_fd(dup(self->fd));
	struct timespec past = { 0 }, soon;
	unsigned int i;
	char c;

	ASSERT_TRUE(!!mb);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, neg(mbox_timedrecv(mb, &c, 1, 0, &bad[i])));
		EXPECT_EQ(-EINVAL, neg(mbox_timedsend(mb, &c, 1, 0, &bad[i])));
	}
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_timedrecv(mb, &c, 1, 0, &past)));
	EXPECT_EQ(0, mbox_timedsend(mb, "a", 1, 0, &past));
	clock_gettime(CLOCK_REALTIME, &soon);
	EXPECT_EQ(0, mbox_timedsend(mb, "b", 1, MBOX_REALTIME, &soon));
	soon.tv_nsec = (soon.tv_nsec + 20000000) % 1000000000;
	soon.tv_sec += soon.tv_nsec < 20000000;
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_timedsend(mb, "c", 1, MBOX_REALTIME, &soon)));
	EXPECT_EQ(1, mbox_timedrecv(mb, &c, 1, 0, NULL));
	EXPECT_EQ('a', c);
	EXPECT_EQ(0, mbox_close(mb));
}

static int in_time_namespace(void *arg)
{
	__u32 value = POISON32;
	int fd = *(int *)arg;
	__s64 deadline;

	deadline = in_ms(CLOCK_MONOTONIC, 30);
	CHECK_EQ(-ETIMEDOUT, timed(fd, MBOX_IOC_RECV, &value, 0, deadline));
	CHECK(now_ns(CLOCK_MONOTONIC) >= deadline);
	/* Past here, although the host's clock is not there yet. */
	deadline = in_ms(CLOCK_MONOTONIC, -1000 * 1000);
	CHECK_EQ(-ETIMEDOUT, timed(fd, MBOX_IOC_RECV, &value, 0, deadline));
	return 0;
}

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

TEST_F(ready, deadlines_are_of_the_callers_time_namespace)
{
	pid_t pid;

	if (unshare(CLONE_NEWTIME))
		SKIP(return, "no time namespace: %s", strerror(errno));
	ASSERT_EQ(0, write_file("/proc/self/timens_offsets", "monotonic 100000 0\n"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(in_time_namespace(&self->fd));
	EXPECT_EQ(0, reap(pid));
}

TEST_HARNESS_MAIN
