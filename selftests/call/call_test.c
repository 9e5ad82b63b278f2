// SPDX-License-Identifier: GPL-2.0-only
/* Call and reply: everything that ends a call. */
#include <poll.h>
#include <sys/wait.h>

#include "calls.h"
#include "slow.h"

FIXTURE(call)
{
	int fd;
	int server;
	int client;
	__u64 token;
	int pipe[2];
	struct mbox_stat before;
	struct caller c;
	struct caller other;
	struct slow slow;
};

static int open_three(FIXTURE_DATA(call) *self, __u32 flags, __u32 capacity)
{
	struct mbox_attr attr = attr_of(flags, capacity);

	close(self->fd);
	close(self->server);
	close(self->client);
	attr.msg_max = 1 << 20;
	self->fd = raw_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	self->server = open_again(self->fd, O_RDONLY);
	self->client = open_again(self->fd, O_WRONLY);
	self->before = stat_of(self->fd);
	return self->fd < 0 || self->server < 0 || self->client < 0 ? -EBADF : 0;
}

FIXTURE_SETUP(call)
{
	self->fd = -1;
	self->server = -1;
	self->client = -1;
	ASSERT_EQ(0, open_three(self, 0, 4));
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, catch_signal(SIGUSR2, SA_RESTART));
}

FIXTURE_TEARDOWN(call)
{
	close(self->client);
	close(self->server);
	close(self->fd);
}

/* Whether nothing has changed, but how full the mailbox has been. */
static bool as_before(FIXTURE_DATA(call) *self)
{
	self->before.highest = stat_of(self->fd).highest;
	return same_stat(self->fd, &self->before);
}

/* A call whose request is in the mailbox. */
#define QUEUED(self, value) do {					\
	ASSERT_EQ(0, caller_start(&(self)->c, (self)->client, value));	\
	ASSERT_EQ(0, await_waiting((self)->fd, 1, 0));			\
} while (0)

/* A call whose request the server has. */
#define TAKEN(self, value) do {						\
	ASSERT_EQ(0, caller_start(&(self)->c, (self)->client, value));	\
	ASSERT_EQ(value, get_request((self)->server, 0, &(self)->token)); \
	ASSERT_EQ(0, await_waiting((self)->fd, 1, 0));			\
	ASSERT_NE(0U, (self)->token);					\
} while (0)

/* ---- replies ------------------------------------------------------------- */

TEST_F(call, caller_receives_the_reply)
{
	struct mbox_stat st;

	TAKEN(self, 5);
	EXPECT_EQ(0, answer(self->server, self->token, 50));
	EXPECT_EQ(50, caller_join(&self->c));
	st = stat_of(self->fd);
	EXPECT_EQ(1U, st.sent);
	EXPECT_EQ(1U, st.received);
	EXPECT_EQ(0U, st.queued);
	EXPECT_EQ(0U, st.waiting_senders);
}

TEST_F(call, request_is_delivered_to_a_waiting_receiver)
{
	struct call server = { 0 };

	ASSERT_EQ(0, recv_start(&server, self->server));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, caller_start(&self->c, self->client, 6));
	EXPECT_EQ(6, recv_join(&server));
	EXPECT_NE(0U, server.msg.token);
	EXPECT_EQ(0, answer(self->server, server.msg.token, 60));
	EXPECT_EQ(60, caller_join(&self->c));
}

TEST_F(call, library_calls_and_replies)
{
	struct mbox *client = mbox_from_fd(self->client), *server = mbox_from_fd(self->server);
	struct mbox_msg msg;
	char text[16], rep[16];
	pid_t pid;

	ASSERT_TRUE(client && server);
	pid = fork();
	if (!pid) {
		msg = msg_of(text, sizeof(text), 0);
		if (mbox_reply_recv(server, 0, NULL, 0, &msg) != 4 || memcmp(text, "ping", 4))
			_exit(1);
		if (mbox_reply(server, msg.token, "pong!", 5))
			_exit(2);
		msg = msg_of(text, sizeof(text), 0);
		if (mbox_recvmsg(server, &msg) != 4)
			_exit(3);
		if (mbox_reply_recv(server, msg.token, "last", 4, &msg) != 4)
			_exit(4);
		_exit(mbox_reply(server, msg.token, NULL, 0) ? 5 : 0);
	}
	memset(rep, POISON, sizeof(rep));
	EXPECT_EQ(5, mbox_call(client, "ping", 4, rep, sizeof(rep), NULL));
	EXPECT_EQ(0, memcmp(rep, "pong!\xa5", 6));
	EXPECT_EQ(4, mbox_call(client, "ping", 4, rep, sizeof(rep), NULL));
	EXPECT_EQ(0, mbox_call(client, "ping", 4, NULL, 0, NULL));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(call, library_rejects_bad_arguments)
{
	static const struct timespec bad = { .tv_nsec = -1 }, past = { .tv_nsec = 1 };
	struct mbox *client = mbox_from_fd(self->client), *server = mbox_from_fd(self->server);
	char rep[4];

	ASSERT_TRUE(client && server);
	EXPECT_EQ(-EINVAL, neg(mbox_call(client, "a", 1, rep, 4, &bad)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_call(client, "a", 1, rep, 4, &past)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_call(client, "a", SIZE_MAX, rep, 4, NULL)));
	EXPECT_EQ(-ESRCH, neg(mbox_reply(server, 1, "a", SIZE_MAX)));
	EXPECT_EQ(-EBADF, neg(mbox_reply(client, 1, "a", SIZE_MAX)));
	EXPECT_TRUE(as_before(self));
}

TEST_F(call, requests_and_replies_of_every_length)
{
	static const size_t lengths[] = { 0, 1, 100, 3999, 4032, 4033, 9000, 1 << 20 };
	char *out = malloc(1 << 20), *in = malloc(1 << 20);
	struct mbox_msg msg;
	unsigned int i, k;

	for (i = 0; i < 1 << 20; i++)
		out[i] = i * 7 ^ i >> 9;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (k = 0; k < ARRAY_SIZE(lengths); k++) {
			struct caller c = { .req = {
				.buf = (uintptr_t)out, .len = lengths[i],
				.rep = (uintptr_t)in, .rep_len = lengths[k],
			} };

			/* 0 would be taken for "not set". */
			if (!c.req.rep_len)
				c.req.rep_len = 1;
			memset(in, POISON, 1 << 20);
			ASSERT_EQ(0, caller_start(&c, self->client, 0));
			msg = msg_of(in, 1 << 20, 0);
			ASSERT_EQ((long)lengths[i], raw(self->server, MBOX_IOC_RECV, &msg));
			ASSERT_EQ(0, memcmp(in, out, lengths[i]));
			memset(in, POISON, 1 << 20);
			ASSERT_EQ(0, raw_reply(self->server, msg.token, out, lengths[k]));
			ASSERT_EQ((long)lengths[k], call_join(&c.call));
			ASSERT_EQ(0, memcmp(in, out, lengths[k]));
			ASSERT_TRUE(lengths[k] == 1 << 20 || in[lengths[k]] == (char)POISON);
		}
	}
}

TEST_F(call, request_has_the_fields_of_a_message)
{
	struct mbox_msg msg = msg_of(&self->other.value, 4, 0);
	struct pollfd pfd = { .fd = self->server, .events = POLLIN };

	self->c.req.prio = 7;
	self->c.req.type = 9;
	QUEUED(self, 3);
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(-EAGAIN, take_as(self->server, MBOX_MATCH, 8, 0));
	msg.flags = MBOX_MATCH;
	msg.type = 9;
	ASSERT_EQ(4, raw(self->server, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(7U, msg.prio);
	EXPECT_EQ((__u32)getpid(), msg.pid);
	EXPECT_EQ(getuid(), msg.uid);
	EXPECT_EQ(0, answer(self->server, msg.token, 1));
	EXPECT_EQ(1, caller_join(&self->c));
}

TEST_F(call, other_messages_have_no_token)
{
	ASSERT_EQ(0, put(self->client, 4));
	EXPECT_EQ(4, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0U, self->token);
	EXPECT_EQ(-ESRCH, answer(self->server, 0, 1));
}

TEST_F(call, batch_receives_a_token_for_each_request)
{
	__u32 values[2] = { POISON32, POISON32 };
	struct mbox_msg msgs[2] = { msg_of(&values[0], 4, 0), msg_of(&values[1], 4, 0) };

	QUEUED(self, 1);
	ASSERT_EQ(0, put(self->client, 2));
	ASSERT_EQ(2, raw_vec(self->server, MBOX_IOC_RECVV, msgs, 2, 0));
	EXPECT_NE(0U, msgs[0].token);
	EXPECT_EQ(0U, msgs[1].token);
	EXPECT_EQ(0, answer(self->server, msgs[0].token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

TEST_F(call, replies_in_any_order)
{
	__u64 first;

	TAKEN(self, 1);
	first = self->token;
	ASSERT_EQ(0, caller_start(&self->other, self->client, 2));
	ASSERT_EQ(2, get_request(self->server, 0, &self->token));
	EXPECT_NE(first, self->token);
	EXPECT_EQ(0, answer(self->server, self->token, 20));
	EXPECT_EQ(20, caller_join(&self->other));
	EXPECT_EQ(0, answer(self->server, first, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

/* ---- tokens -------------------------------------------------------------- */

TEST_F(call, second_reply_to_a_token_is_ESRCH)
{
	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 11));
	EXPECT_EQ(10, caller_join(&self->c));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 12));
}

TEST_F(call, token_is_bound_to_the_handle)
{
	int other = open_again(self->fd, O_RDWR);
	int same = dup(self->server);

	TAKEN(self, 1);
	EXPECT_EQ(-ESRCH, answer(other, self->token, 11));
	EXPECT_EQ(-ESRCH, answer(self->fd, self->token, 11));
	/* This one has no right to receive. */
	EXPECT_EQ(-EBADF, answer(self->client, self->token, 11));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token + 1, 11));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token - 1, 11));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	/* A duplicate is the same handle. */
	EXPECT_EQ(0, answer(same, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
	close(same);
	close(other);
}

TEST_F(call, token_of_another_mailbox_is_invalid)
{
	int there = new_mailbox(0, 4);
	__u64 token;

	TAKEN(self, 1);
	ASSERT_EQ(0, caller_start(&self->other, there, 2));
	ASSERT_EQ(2, get_request(there, 0, &token));
	EXPECT_EQ(-ESRCH, answer(self->server, token, 11));
	EXPECT_EQ(-ESRCH, answer(there, self->token, 11));
	EXPECT_EQ(0, answer(there, token, 20));
	EXPECT_EQ(20, caller_join(&self->other));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
	close(there);
}

TEST_F(call, peek_returns_no_token)
{
	QUEUED(self, 1);
	EXPECT_EQ(1, get_request(self->server, MBOX_PEEK, &self->token));
	EXPECT_EQ(0U, self->token);
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

/* A receiver without the token cannot reply: the call fails at once. */
TEST_F(call, read_of_a_request_is_EPIPE_for_the_caller)
{
	__u32 value = POISON32;

	QUEUED(self, 1);
	EXPECT_EQ(4, read(self->server, &value, 4));
	EXPECT_EQ(1U, value);
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
}

TEST_F(call, receive_without_room_for_the_token_is_EPIPE_for_the_caller)
{
	size_t size = offsetof(struct mbox_msg, token) + 7;
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, 4, 0);

	QUEUED(self, 1);
	EXPECT_EQ(4, raw(self->server, sized(MBOX_IOC_RECV, size), &msg));
	EXPECT_EQ(-EPIPE, caller_join(&self->c));

	/* One byte more, and the token is in it. */
	QUEUED(self, 2);
	msg = msg_of(&value, 4, 0);
	EXPECT_EQ(4, raw(self->server, sized(MBOX_IOC_RECV, size + 1), &msg));
	EXPECT_EQ(0, answer(self->server, msg.token, 20));
	EXPECT_EQ(20, caller_join(&self->c));
}

TEST_F(call, waiting_receiver_without_room_for_the_token_is_EPIPE_for_the_caller)
{
	struct call server = { 0 };

	ASSERT_EQ(0, call_start(&server, self->server, sized(MBOX_IOC_RECV, MBOX_MSG_SIZE_MIN)));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, caller_start(&self->c, self->client, 6));
	EXPECT_EQ(6, recv_join(&server));
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
}

TEST_F(call, failed_read_keeps_the_request)
{
	struct mbox_stat before;

	QUEUED(self, 1);
	before = stat_of(self->fd);
	EXPECT_EQ(-1, syscall(SYS_read, self->server, 1L, 4L));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-EFAULT, raw_recv(self->server, (void *)1, 4, 0));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

/* ---- lengths and addresses ----------------------------------------------- */

TEST_F(call, reply_longer_than_the_buffer_is_EMSGSIZE_for_both)
{
	__u64 value = 1;

	TAKEN(self, 1);
	EXPECT_EQ(-EMSGSIZE, raw_reply(self->server, self->token, &value, 5));
	EXPECT_EQ(-EMSGSIZE, caller_join(&self->c));
	EXPECT_EQ(POISON32, self->c.rep);
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 10));
}

TEST_F(call, reply_longer_than_msg_max_is_EMSGSIZE)
{
	char *big = calloc(1, (1 << 20) + 1);

	self->c.req.rep = (uintptr_t)big;
	self->c.req.rep_len = (1 << 20) + 1;
	TAKEN(self, 1);
	EXPECT_EQ(-EMSGSIZE, raw_reply(self->server, self->token, big, (1 << 20) + 1));
	EXPECT_EQ(-EMSGSIZE, call_join(&self->c.call));
}

TEST_F(call, request_longer_than_msg_max_is_EMSGSIZE)
{
	struct mbox_attr attr = attr_of(MBOX_FIXED, 4);
	struct mbox_request req = { .buf = (uintptr_t)&self->c, .len = 101 };
	int fd;

	attr.msg_max = 100;
	fd = raw_create(NULL, O_RDWR, &attr);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EMSGSIZE, raw(fd, MBOX_IOC_CALL, &req));
	req.len = 99;
	EXPECT_EQ(-EMSGSIZE, raw(fd, MBOX_IOC_CALL, &req));
	EXPECT_EQ(0U, stat_of(fd).sent);
	close(fd);
}

TEST_F(call, fault_in_the_reply_buffer_keeps_the_token)
{
	TAKEN(self, 1);
	EXPECT_EQ(-EFAULT, raw_reply(self->server, self->token, (void *)1, 4));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

TEST_F(call, fault_in_the_callers_reply_buffer_is_EFAULT_for_the_caller)
{
	self->c.req.rep = 1;
	self->c.req.rep_len = 4;
	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(-EFAULT, caller_join(&self->c));
}

TEST_F(call, fault_in_the_request_buffer_sends_nothing)
{
	struct mbox_request req = { .buf = 1, .len = 4 };

	EXPECT_EQ(-EFAULT, raw(self->client, MBOX_IOC_CALL, &req));
	EXPECT_TRUE(as_before(self));
}

TEST_F(call, invalid_fields_are_EINVAL)
{
	struct mbox_request good = { .buf = (uintptr_t)&self->c, .len = 4 }, bad;
	struct mbox_reply reply = { .token = 1, .reserved = 1 };
	int bit;

	for (bit = 0; bit < 32; bit++) {
		bad = good;
		bad.flags = 1U << bit;
		if (bad.flags == MBOX_REALTIME)
			continue;
		EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL, &bad))
			TH_LOG("bit %d", bit);
	}
	bad = good;
	bad.prio = MBOX_PRIO_MAX + 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL, &bad));
	EXPECT_EQ(-EBADF, raw(self->server, MBOX_IOC_CALL, &good));
	EXPECT_EQ(-EINVAL, raw(self->server, MBOX_IOC_REPLY, &reply));
	EXPECT_TRUE(as_before(self));
}

/* ---- giving up ----------------------------------------------------------- */

TEST_F(call, nonblocking_call_fails_and_sends_nothing)
{
	struct mbox_request req = { .buf = (uintptr_t)&self->c, .len = 4, .deadline_ns = 1 };
	int fd = open_again(self->fd, O_WRONLY | O_NONBLOCK);

	self->before = stat_of(self->fd);
	EXPECT_EQ(-ETIMEDOUT, raw(self->client, MBOX_IOC_CALL, &req));
	EXPECT_EQ(-EAGAIN, raw(fd, MBOX_IOC_CALL, &req));
	req.deadline_ns = 0;
	EXPECT_EQ(-EAGAIN, raw(fd, MBOX_IOC_CALL, &req));
	EXPECT_TRUE(as_before(self));
	close(fd);
}

TEST_F(call, deadline_withdraws_the_request)
{
	self->c.req.deadline_ns = in_ms(CLOCK_MONOTONIC, 50);
	ASSERT_EQ(0, caller_start(&self->c, self->client, 1));
	EXPECT_EQ(-ETIMEDOUT, caller_join(&self->c));
	EXPECT_TRUE(as_before(self));

	self->c.req.flags = MBOX_REALTIME;
	self->c.req.deadline_ns = in_ms(CLOCK_REALTIME, 50);
	ASSERT_EQ(0, caller_start(&self->c, self->client, 1));
	EXPECT_EQ(-ETIMEDOUT, caller_join(&self->c));
	EXPECT_TRUE(as_before(self));
}

TEST_F(call, deadline_of_the_caller_invalidates_the_token)
{
	self->c.req.deadline_ns = in_ms(CLOCK_MONOTONIC, 300 * time_factor());
	ASSERT_EQ(0, caller_start(&self->c, self->client, 1));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(-ETIMEDOUT, caller_join(&self->c));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 10));
	EXPECT_EQ(POISON32, self->c.rep);
}

TEST_F(call, signal_withdraws_the_request)
{
	QUEUED(self, 1);
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, caller_join(&self->c));
	EXPECT_TRUE(as_before(self));
}

TEST_F(call, restarted_call_sends_the_request_once)
{
	QUEUED(self, 1);
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR2));
	ASSERT_EQ(0, await_signals(1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(-EAGAIN, take(self->server));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
	EXPECT_EQ(1U, stat_of(self->fd).sent);
}

TEST_F(call, restarted_call_keeps_its_deadline)
{
	self->c.req.deadline_ns = in_ms(CLOCK_MONOTONIC, 300 * time_factor());
	QUEUED(self, 1);
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR2));
	EXPECT_EQ(-ETIMEDOUT, caller_join(&self->c));
	EXPECT_LE(self->c.req.deadline_ns, (__u64)now_ns(CLOCK_MONOTONIC));
	EXPECT_EQ(1, signals_seen);
	EXPECT_TRUE(as_before(self));
}

TEST_F(call, signal_to_the_caller_invalidates_the_token)
{
	TAKEN(self, 1);
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, caller_join(&self->c));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 10));
	EXPECT_EQ(-EAGAIN, take(self->server));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
}

/* What the server works on is not asked for again: the call waits on. */
TEST_F(call, restarted_call_keeps_its_token)
{
	TAKEN(self, 1);
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR2));
	ASSERT_EQ(0, await_signals(1));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
	EXPECT_EQ(-EAGAIN, take(self->server));
	EXPECT_EQ(1U, stat_of(self->fd).sent);
}

static int call_in_child(void *arg)
{
	__u32 value = 1;
	struct mbox_request req = { .buf = (uintptr_t)&value, .len = 4 };

	raw(*(int *)arg, MBOX_IOC_CALL, &req);
	return 0;
}

TEST_F(call, SIGKILL_withdraws_the_request)
{
	pid_t pid = spawn(call_in_child, &self->client);

	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_TRUE(as_before(self));
}

TEST_F(call, SIGKILL_of_the_caller_invalidates_the_token)
{
	pid_t pid = spawn(call_in_child, &self->client);

	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 10));
}

/* ---- the end of the server ----------------------------------------------- */

TEST_F(call, closing_the_handle_is_EPIPE_for_the_caller)
{
	TAKEN(self, 1);
	close(self->server);
	self->server = -1;
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(call, closing_a_duplicate_does_not_end_the_call)
{
	int same = dup(self->server);

	TAKEN(self, 1);
	close(self->server);
	self->server = same;
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

TEST_F(call, closing_keeps_requests_not_yet_received)
{
	QUEUED(self, 1);
	close(self->server);
	self->server = open_again(self->fd, O_RDONLY);
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

static int serve_nobody(void *arg)
{
	FIXTURE_DATA(call) *self = arg;
	int fd = open_again(self->fd, O_RDONLY);

	/* In the parent, others would hold it. */
	close(self->server);
	if (get_request(fd, 0, &self->token) != 1)
		return 1;
	pause();
	return 0;
}

TEST_F(call, death_of_the_server_is_EPIPE_for_the_caller)
{
	pid_t pid = spawn(serve_nobody, self);

	QUEUED(self, 1);
	while (stat_of(self->fd).received != 1)
		pause_briefly();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
}

/* It replies when it is told to, and ends with the other end of @pipe. */
static int reply_later(int pipe, int fd, __u64 token)
{
	char c;

	/* Not for longer than the test. */
	alarm(2 * WAIT_LIMIT_MS / 1000);
	if (read(pipe, &c, 1) != 1)
		return 0;
	return answer(fd, token, 10) ? 1 : 0;
}

/* As serve_nobody(), but a child has its handle. */
static int serve_with_a_child(void *arg)
{
	FIXTURE_DATA(call) *self = arg;
	int fd = open_again(self->fd, O_RDONLY);

	close(self->server);
	close(self->pipe[1]);
	if (get_request(fd, 0, &self->token) != 1)
		return 1;
	if (!fork())
		_exit(reply_later(self->pipe[0], fd, self->token));
	/* The parent knows by this that there is a child. */
	if (put(self->fd, 2))
		return 1;
	pause();
	return 0;
}

/* The call of a server that was killed while its child has the handle. */
#define ORPHANED(self) do {						\
	pid_t pid;							\
									\
	ASSERT_EQ(0, pipe((self)->pipe));				\
	pid = spawn(serve_with_a_child, self);				\
	QUEUED(self, 1);						\
	while (stat_of((self)->fd).sent != 2)				\
		pause_briefly();					\
	ASSERT_EQ(0, kill(pid, SIGKILL));				\
	EXPECT_EQ(1000 + SIGKILL, reap(pid));				\
	EXPECT_EQ(0, await_waiting((self)->fd, 1, 0));			\
} while (0)

TEST_F(call, call_survives_the_server_if_a_child_has_the_handle)
{
	ORPHANED(self);
	ASSERT_EQ(1, write(self->pipe[1], "", 1));
	EXPECT_EQ(10, caller_join(&self->c));
	close(self->pipe[0]);
	close(self->pipe[1]);
}

TEST_F(call, closing_the_last_copy_of_the_handle_is_EPIPE_for_the_caller)
{
	ORPHANED(self);
	close(self->pipe[1]);
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
	close(self->pipe[0]);
}

/* The handle is the library's, so it is closed there. */
static int serve_and_exec(void *arg)
{
	FIXTURE_DATA(call) *self = arg;
	struct mbox *mb = mbox_open_id(stat_of(self->fd).id, O_RDONLY);

	CHECK(mb);
	close(self->pipe[1]);
	CHECK_EQ(1, get_request(mbox_fd(mb), 0, &self->token));
	CHECK_EQ(0, dup2(self->pipe[0], 0));
	execl("/bin/sh", "sh", "-c", "read line", NULL);
	CHECK(!"exec");
	return 1;
}

TEST_F(call, exec_of_the_server_is_EPIPE_for_the_caller)
{
	pid_t pid;

	ASSERT_EQ(0, pipe(self->pipe));
	pid = spawn(serve_and_exec, self);
	ASSERT_EQ(0, caller_start(&self->c, self->client, 1));
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	close(self->pipe[1]);
	EXPECT_LE(0, reap(pid));
	close(self->pipe[0]);
}

TEST_F(call, destroy_is_EIDRM_for_every_caller)
{
	TAKEN(self, 1);
	ASSERT_EQ(0, caller_start(&self->other, self->client, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, caller_join(&self->c));
	EXPECT_EQ(-EIDRM, caller_join(&self->other));
	EXPECT_EQ(-EIDRM, answer(self->server, self->token, 10));
	EXPECT_EQ(-EIDRM, raw(self->client, MBOX_IOC_CALL, &self->c.req));
}

TEST_F(call, dropped_as_the_oldest_is_EPIPE)
{
	ASSERT_EQ(0, open_three(self, MBOX_DROP_OLDEST, 1));
	QUEUED(self, 1);
	ASSERT_EQ(0, put(self->client, 2));
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
	EXPECT_EQ(1U, stat_of(self->fd).dropped);
	EXPECT_EQ(2, take(self->server));
	EXPECT_EQ(-EAGAIN, take(self->server));
}

TEST_F(call, request_drops_the_oldest_message)
{
	ASSERT_EQ(0, open_three(self, MBOX_DROP_OLDEST, 1));
	ASSERT_EQ(0, put(self->client, 2));
	QUEUED(self, 1);
	EXPECT_EQ(1U, stat_of(self->fd).dropped);
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

TEST_F(call, dropped_as_the_newest_is_EPIPE)
{
	ASSERT_EQ(0, open_three(self, MBOX_DROP_NEWEST, 1));
	ASSERT_EQ(0, put(self->client, 2));
	ASSERT_EQ(0, caller_start(&self->c, self->client, 1));
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
	EXPECT_EQ(1U, stat_of(self->fd).dropped);
	EXPECT_EQ(2, take(self->server));
	EXPECT_EQ(-EAGAIN, take(self->server));
}

TEST_F(call, hangup_is_EPIPE)
{
	ASSERT_EQ(0, open_three(self, MBOX_HANGUP, 4));
	close(self->fd);
	self->fd = self->client;
	TAKEN(self, 1);
	ASSERT_EQ(0, caller_start(&self->other, self->client, 2));
	ASSERT_EQ(0, await_waiting(self->client, 2, 0));
	close(self->server);
	self->server = -1;
	EXPECT_EQ(-EPIPE, caller_join(&self->c));
	EXPECT_EQ(-EPIPE, caller_join(&self->other));
	EXPECT_EQ(-EPIPE, raw(self->client, MBOX_IOC_CALL, &self->c.req));
	EXPECT_EQ(0U, stat_of(self->client).queued);
	self->fd = -1;
}

/* ---- capacity ------------------------------------------------------------ */

TEST_F(call, request_waits_for_room)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->client, 1));
	QUEUED(self, 2);
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(1, take(self->server));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	ASSERT_EQ(2, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 20));
	EXPECT_EQ(20, caller_join(&self->c));
}

TEST_F(call, deadline_and_signal_end_the_wait_for_room)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->client, 1));
	self->before = stat_of(self->fd);
	QUEUED(self, 2);
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, caller_join(&self->c));
	EXPECT_TRUE(as_before(self));
	self->c.req.deadline_ns = in_ms(CLOCK_MONOTONIC, 50);
	ASSERT_EQ(0, caller_start(&self->c, self->client, 1));
	EXPECT_EQ(-ETIMEDOUT, caller_join(&self->c));
	EXPECT_TRUE(as_before(self));
}

TEST_F(call, destroyed_while_waiting_for_room_is_EIDRM)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->client, 1));
	QUEUED(self, 2);
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, caller_join(&self->c));
}

TEST_F(call, chosen_by_type_while_it_waits_for_room)
{
	struct mbox_msg msg = msg_of(&self->other.value, 4, MBOX_MATCH);

	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->client, 1));
	self->c.req.type = 9;
	QUEUED(self, 2);
	msg.type = 9;
	ASSERT_EQ(4, raw(self->server, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0, answer(self->server, msg.token, 20));
	EXPECT_EQ(20, caller_join(&self->c));
	EXPECT_EQ(1, take(self->server));
}

TEST_F(call, request_waits_for_a_receiver_at_a_rendezvous)
{
	struct call server = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	self->before = stat_of(self->fd);
	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));

	ASSERT_EQ(0, recv_start(&server, self->server));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, caller_start(&self->c, self->client, 2));
	EXPECT_EQ(2, recv_join(&server));
	EXPECT_EQ(0, answer(self->server, server.msg.token, 20));
	EXPECT_EQ(20, caller_join(&self->c));

	/* A receiver that fails leaves the request to others. */
	QUEUED(self, 3);
	EXPECT_EQ(-EFAULT, raw_recv(self->server, (void *)1, 4, 0));
	ASSERT_EQ(3, get_request(self->server, 0, &self->token));
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, caller_join(&self->c));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 30));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(call, failed_copy_at_a_rendezvous_blocks_the_caller_again)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	QUEUED(self, 1);
	self->before = stat_of(self->fd);
	EXPECT_EQ(-EFAULT, raw_recv(self->server, (void *)1, 4, 0));
	EXPECT_TRUE(as_before(self));
	/* It is among those that wait, so one of a higher priority is before it. */
	self->other.req.prio = 1;
	ASSERT_EQ(0, caller_start(&self->other, self->client, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	ASSERT_EQ(2, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 20));
	EXPECT_EQ(20, caller_join(&self->other));
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

TEST_F(call, growing_the_capacity_admits_the_request)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	QUEUED(self, 1);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	ASSERT_EQ(1, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

/* ---- reply and receive --------------------------------------------------- */

TEST_F(call, reply_recv_replies_and_receives)
{
	self->token = 0;
	QUEUED(self, 1);
	ASSERT_EQ(1, reply_recv(self->server, &self->token, 0, 0));
	ASSERT_EQ(0, caller_start(&self->other, self->client, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	ASSERT_EQ(2, reply_recv(self->server, &self->token, 10, 0));
	EXPECT_EQ(10, caller_join(&self->c));
	EXPECT_EQ(-EAGAIN, reply_recv(self->server, &self->token, 20, MBOX_DONTWAIT));
	EXPECT_EQ(20, caller_join(&self->other));
	/* The reply was made, and the structure says so. */
	EXPECT_EQ(0U, self->token);
}

TEST_F(call, failed_reply_of_reply_recv_receives_nothing)
{
	__u64 token;

	ASSERT_EQ(0, put(self->client, 3));
	token = 12345;
	EXPECT_EQ(-ESRCH, reply_recv(self->server, &token, 1, MBOX_DONTWAIT));
	EXPECT_EQ(12345U, token);
	token = 0;
	EXPECT_EQ(3, reply_recv(self->server, &token, 1, MBOX_DONTWAIT));
	EXPECT_EQ(0U, token);
}

TEST_F(call, reply_recv_checks_its_arguments_before_it_replies)
{
	struct mbox_msg msg = msg_of(&self->other, 4, 0), bad = msg;
	struct mbox_reply_recv good = {
		.reply.buf = (uintptr_t)&self->other, .reply.len = 4,
		.next = (uintptr_t)&msg, .next_size = sizeof(msg),
	}, arg;
	int writer = open_again(self->fd, O_WRONLY);

	TAKEN(self, 1);
	good.reply.token = self->token;
	arg = good;
	arg.reserved = 1;
	EXPECT_EQ(-EINVAL, raw(self->server, MBOX_IOC_REPLY_RECV, &arg));
	arg = good;
	arg.reply.reserved = 1;
	EXPECT_EQ(-EINVAL, raw(self->server, MBOX_IOC_REPLY_RECV, &arg));
	arg = good;
	arg.next_size = MBOX_MSG_SIZE_MIN - 1;
	EXPECT_EQ(-EINVAL, raw(self->server, MBOX_IOC_REPLY_RECV, &arg));
	arg.next_size = 4097;
	EXPECT_EQ(-EINVAL, raw(self->server, MBOX_IOC_REPLY_RECV, &arg));
	arg = good;
	arg.next = 1;
	EXPECT_EQ(-EFAULT, raw(self->server, MBOX_IOC_REPLY_RECV, &arg));
	arg = good;
	arg.next = (uintptr_t)&bad;
	bad.flags = MBOX_SYNC;
	EXPECT_EQ(-EINVAL, raw(self->server, MBOX_IOC_REPLY_RECV, &arg));
	EXPECT_EQ(-EBADF, raw(writer, MBOX_IOC_REPLY_RECV, &good));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
	close(writer);
}

TEST_F(call, restarted_reply_recv_does_not_reply_again)
{
	struct call server = { 0 };
	struct mbox_msg msg = msg_of(&server.value, 4, 0);
	struct mbox_reply_recv arg = {
		.reply.buf = (uintptr_t)&self->other.value, .reply.len = 4,
		.next = (uintptr_t)&msg, .next_size = sizeof(msg),
	};

	self->other.value = 10;
	TAKEN(self, 1);
	arg.reply.token = self->token;
	server.arg = &arg;
	ASSERT_EQ(0, call_start(&server, self->server, MBOX_IOC_REPLY_RECV));
	EXPECT_EQ(10, caller_join(&self->c));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, pthread_kill(server.thread, SIGUSR2));
	ASSERT_EQ(0, await_signals(1));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->client, 7));
	EXPECT_EQ(7, recv_join(&server));
	EXPECT_EQ(0U, msg.token);
}

TEST_F(call, signal_during_reply_recv_is_EINTR)
{
	struct call server = { 0 };
	struct mbox_msg msg = msg_of(&server.value, 4, 0);
	struct mbox_reply_recv arg = { .next = (uintptr_t)&msg, .next_size = sizeof(msg) };

	TAKEN(self, 1);
	arg.reply.token = self->token;
	self->c.req.rep_len = 4;
	server.arg = &arg;
	ASSERT_EQ(0, call_start(&server, self->server, MBOX_IOC_REPLY_RECV));
	EXPECT_EQ(0, call_join(&self->c.call));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, pthread_kill(server.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&server));
	EXPECT_EQ(0U, arg.reply.token);
}

/* ---- memory --------------------------------------------------------------- */

#define NEED_SLOW(self) do {						\
	int __ret = slow_init(&(self)->slow);				\
									\
	if (__ret)							\
		SKIP(return, "no userfaultfd: %s", strerror(-__ret));	\
} while (0)

/* A call of another process, as an ordinary user. */
struct remote {
	int fd;
	__u32 rep_len;
	long ret;
};

static int call_as_user_a(void *arg)
{
	struct remote *r = arg;
	char *reply = malloc(r->rep_len);
	struct mbox_request req = {
		.buf = (uintptr_t)"q", .len = 1,
		.rep = (uintptr_t)reply, .rep_len = r->rep_len,
	};

	CHECK_EQ(0, become(USER_A, GROUP_A));
	r->ret = raw(r->fd, MBOX_IOC_CALL, &req);
	return 0;
}

static int send_as_user_a(void *arg)
{
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, put(*(int *)arg, 1));
	return 0;
}

/* Callers that could get a long reply have not got it yet. */
TEST_F(call, reply_is_charged_only_when_it_is_sent)
{
	enum { CALLERS = 40 };
	struct remote *r = shared_memory(CALLERS * sizeof(*r));
	int other = new_mailbox(0, MBOX_UNBOUNDED), i;
	pid_t pids[CALLERS];
	__u64 token;

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < CALLERS; i++) {
		r[i] = (struct remote){ .fd = self->client, .rep_len = 1 << 20 };
		pids[i] = spawn(call_as_user_a, &r[i]);
	}
	ASSERT_EQ(0, await_waiting(self->fd, CALLERS, 0));
	EXPECT_EQ(0, in_child(send_as_user_a, &other));
	for (i = 0; i < CALLERS; i++) {
		struct mbox_msg msg = msg_of(&token, sizeof(token), 0);

		ASSERT_EQ(1, raw(self->server, MBOX_IOC_RECV, &msg));
		EXPECT_EQ(0, answer(self->server, msg.token, 7));
	}
	for (i = 0; i < CALLERS; i++) {
		EXPECT_EQ(0, reap(pids[i]));
		EXPECT_LE(0, r[i].ret);
	}
	close(other);
	munmap(r, CALLERS * sizeof(*r));
}

/* As call_as_user_a(), but what it gets stays in the kernel. */
static int call_and_take_nothing(void *arg)
{
	struct mbox_request req = { .buf = (uintptr_t)"q", .len = 1 };
	struct remote *r = arg;
	struct slow slow;

	CHECK_EQ(0, slow_init(&slow));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	req.rep = (uintptr_t)slow.page;
	req.rep_len = r->rep_len;
	r->ret = raw(r->fd, MBOX_IOC_CALL, &req);
	return 0;
}

/* Replies may take as much again as the limit, while callers do not take them. */
TEST_F(call, replies_beyond_the_callers_limit_are_EDQUOT)
{
	enum { CALLERS = 4, LEN = 50000 };
	struct remote *r = shared_memory(CALLERS * sizeof(*r));
	long saved = param_get("user_bytes");
	static char text[LEN];
	pid_t pids[CALLERS];
	int i;

	NEED_SLOW(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < CALLERS; i++) {
		r[i] = (struct remote){ .fd = self->client, .rep_len = LEN };
		pids[i] = spawn(call_and_take_nothing, &r[i]);
		ASSERT_EQ(0, await_waiting(self->fd, i + 1, 0));
	}
	ASSERT_EQ(0, param_set("user_bytes", 2 * LEN));
	for (i = 0; i < CALLERS; i++) {
		struct mbox_msg msg = msg_of(text, 1, 0);
		struct mbox_reply reply = { .buf = (uintptr_t)text, .len = LEN };

		ASSERT_EQ(1, raw(self->server, MBOX_IOC_RECV, &msg));
		reply.token = msg.token;
		EXPECT_EQ(i < 3 ? 0 : -ESRCH, raw(self->server, MBOX_IOC_REPLY, &reply));
		/* The token is used. */
		EXPECT_EQ(-ESRCH, raw(self->server, MBOX_IOC_REPLY, &reply));
	}
	EXPECT_EQ(0, reap(pids[3]));
	EXPECT_EQ(-EDQUOT, r[3].ret);
	for (i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		reap(pids[i]);
	}
	param_set("user_bytes", saved);
	munmap(r, CALLERS * sizeof(*r));
}

static int call_with_little(void *arg)
{
	struct mbox_request req = { .buf = (uintptr_t)"q", .len = 1,
				    .deadline_ns = 1 };
	int fd = *(int *)arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	req.deadline_ns = in_ms(CLOCK_MONOTONIC, 200);
	CHECK_EQ(-EDQUOT, raw(fd, MBOX_IOC_CALL, &req));
	return 0;
}

TEST_F(call, transactions_are_charged_to_the_caller)
{
	long saved = param_get("user_bytes");

	/* Enough for the request and its sender alone. */
	ASSERT_EQ(0, param_set("user_bytes", 400));
	EXPECT_EQ(0, in_child(call_with_little, &self->client));
	param_set("user_bytes", saved);
}

/* ---- while something is copied ------------------------------------------- */

static int slow_reply_start(FIXTURE_DATA(call) *self, struct call *server, struct mbox_reply *arg)
{
	arg->token = self->token;
	arg->buf = (uintptr_t)self->slow.page;
	arg->len = 4;
	server->arg = arg;
	return call_start(server, self->server, MBOX_IOC_REPLY) ?: slow_await(&self->slow);
}

TEST_F(call, caller_interrupted_while_the_reply_is_copied)
{
	struct mbox_reply arg = { 0 };
	struct call server = { 0 };

	NEED_SLOW(self);
	TAKEN(self, 1);
	ASSERT_EQ(0, slow_reply_start(self, &server, &arg));
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, caller_join(&self->c));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(-ESRCH, call_join(&server));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
}

TEST_F(call, destroyed_while_the_reply_is_copied)
{
	struct mbox_reply arg = { 0 };
	struct call server = { 0 };

	NEED_SLOW(self);
	TAKEN(self, 1);
	ASSERT_EQ(0, slow_reply_start(self, &server, &arg));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, caller_join(&self->c));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	EXPECT_EQ(-EIDRM, call_join(&server));
}

TEST_F(call, second_reply_during_the_copy_of_the_first)
{
	struct mbox_reply arg = { 0 };
	struct call server = { 0 };

	NEED_SLOW(self);
	TAKEN(self, 1);
	ASSERT_EQ(0, slow_reply_start(self, &server, &arg));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 10));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&server));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

static int slow_recv_start(FIXTURE_DATA(call) *self, struct call *server)
{
	server->msg = msg_of(self->slow.page, 4, 0);
	return call_start(server, self->server, MBOX_IOC_RECV) ?: slow_await(&self->slow);
}

TEST_F(call, caller_interrupted_while_the_request_is_copied)
{
	struct call server = { 0 };

	NEED_SLOW(self);
	QUEUED(self, 1);
	ASSERT_EQ(0, slow_recv_start(self, &server));
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, caller_join(&self->c));
	ASSERT_EQ(0, slow_go_on(&self->slow));
	/* The request is there, and the token is not good any more. */
	EXPECT_EQ(4, call_join(&server));
	EXPECT_NE(0U, server.msg.token);
	EXPECT_EQ(-ESRCH, answer(self->server, server.msg.token, 10));
}

TEST_F(call, abandoned_request_is_not_put_back)
{
	struct call server = { 0 };

	NEED_SLOW(self);
	QUEUED(self, 1);
	ASSERT_EQ(0, slow_recv_start(self, &server));
	ASSERT_EQ(0, pthread_kill(self->c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, caller_join(&self->c));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&server));
	EXPECT_TRUE(as_before(self));
}

TEST_F(call, request_that_one_receiver_failed_to_copy_goes_to_the_next)
{
	struct call server = { 0 }, next = { 0 };

	NEED_SLOW(self);
	QUEUED(self, 1);
	ASSERT_EQ(0, slow_recv_start(self, &server));
	ASSERT_EQ(0, recv_start(&next, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 1));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&server));
	EXPECT_EQ(1, recv_join(&next));
	EXPECT_EQ(-ESRCH, answer(self->server, next.msg.token, 10));
	EXPECT_EQ(0, answer(self->fd, next.msg.token, 10));
	EXPECT_EQ(10, caller_join(&self->c));
}

TEST_F(call, destroyed_while_the_request_is_copied_is_EIDRM)
{
	struct call server = { 0 };

	NEED_SLOW(self);
	QUEUED(self, 1);
	ASSERT_EQ(0, slow_recv_start(self, &server));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, caller_join(&self->c));
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&server));
}

/* ---- seeing inside, limits ----------------------------------------------- */

static int requests_of(int fd)
{
	return fdinfo_number(fd, "mbox-requests:");
}

TEST_F(call, fdinfo_counts_pending_replies)
{
	EXPECT_EQ(0, requests_of(self->server));
	TAKEN(self, 1);
	EXPECT_EQ(1, requests_of(self->server));
	EXPECT_EQ(0, requests_of(self->fd));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(0, requests_of(self->server));
	EXPECT_EQ(10, caller_join(&self->c));
}

static int call_at_the_limit(void *arg)
{
	FIXTURE_DATA(call) *self = arg;
	char *big = calloc(1, 1 << 20);
	struct mbox_request req = {
		.buf = (uintptr_t)big, .len = 1000,
		.rep = (uintptr_t)big, .rep_len = 1 << 16,
	};
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	/* Free again, to the byte, however a call ends. */
	for (i = 0; i < 50; i++) {
		req.deadline_ns = in_ms(CLOCK_MONOTONIC, 1);
		CHECK_EQ(-ETIMEDOUT, raw(self->client, MBOX_IOC_CALL, &req));
	}
	return 0;
}

TEST_F(call, request_is_charged_to_the_caller)
{
	long bytes = param_get("user_bytes");

	ASSERT_EQ(0, param_set("user_bytes", 4096));
	EXPECT_EQ(0, in_child(call_at_the_limit, self));
	ASSERT_EQ(0, param_set("user_bytes", bytes));
	EXPECT_TRUE(as_before(self));
}

/* ---- many ---------------------------------------------------------------- */

#define MANY 1000

TEST_F_TIMEOUT(call, thousand_concurrent_calls, 120)
{
	struct caller *c = calloc(MANY, sizeof(*c));
	__u64 *tokens = calloc(MANY, sizeof(*tokens));
	long value;
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, caller_start(&c[i], self->client, i));
	for (i = 0; i < MANY; i++) {
		__u64 token;

		value = get_request(self->server, 0, &token);
		ASSERT_LE(0, value);
		ASSERT_GT(MANY, value);
		tokens[value] = token;
	}
	EXPECT_EQ(MANY, requests_of(self->server));
	/* Some in one order, some in another, and some not at all. */
	for (i = 0; i < MANY; i += 3)
		ASSERT_EQ(0, answer(self->server, tokens[i], i * 2));
	for (i = MANY - 3; i > 0; i -= 3)
		ASSERT_EQ(0, answer(self->server, tokens[i], i * 2));
	close(self->server);
	self->server = -1;
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(i % 3 < 2 && (i % 3 == 0 || i <= MANY - 3) ? i * 2 : -EPIPE,
			  caller_join(&c[i])) {
			TH_LOG("caller %d", i);
		}
}

/* Replies go to the right callers, with several threads on one handle. */
#define SERVERS 4
#define CLIENTS 6
#define ROUNDS 200

static int quit_value = 0x7fffffff;

static void *serve(void *arg)
{
	int fd = *(int *)arg;
	__u64 token = 0;
	long ret = 0;

	for (;;) {
		ret = reply_recv(fd, &token, ret + 1, 0);
		if (ret == quit_value) {
			answer(fd, token, 0);
			return NULL;
		}
		if (ret < 0)
			return (void *)ret;
	}
}

static void *ask(void *arg)
{
	static int next;
	int fd = *(int *)arg, i, base = __atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST) * ROUNDS;
	struct mbox_request req = { .len = 4, .rep_len = 4 };
	__u32 value, rep;
	long ret;

	req.buf = (uintptr_t)&value;
	req.rep = (uintptr_t)&rep;
	for (i = 0; i < ROUNDS; i++) {
		value = base + i;
		rep = POISON32;
		ret = raw(fd, MBOX_IOC_CALL, &req);
		if (ret != 4 || rep != value + 1)
			return (void *)(ret < 0 ? ret : -EBADMSG);
	}
	return NULL;
}

TEST_F(call, servers_share_one_handle)
{
	pthread_t server[SERVERS], client[CLIENTS];
	void *ret;
	int i;

	for (i = 0; i < SERVERS; i++)
		ASSERT_EQ(0, thread_start(&server[i], serve, &self->server));
	for (i = 0; i < CLIENTS; i++)
		ASSERT_EQ(0, thread_start(&client[i], ask, &self->client));
	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, pthread_join(client[i], &ret));
		EXPECT_TRUE(!ret);
	}
	for (i = 0; i < SERVERS; i++) {
		ASSERT_EQ(0, caller_start(&self->c, self->client, quit_value));
		EXPECT_EQ(0, caller_join(&self->c));
	}
	for (i = 0; i < SERVERS; i++) {
		ASSERT_EQ(0, pthread_join(server[i], &ret));
		EXPECT_TRUE(!ret);
	}
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0, requests_of(self->server));
}

/* A server asks another one before it replies, many times over. */
#define DEPTH 8

static void *pass_on(void *arg)
{
	int *fds = arg;
	struct mbox_request req = { .len = 4, .rep_len = 4 };
	__u32 rep = POISON32, value;
	__u64 token;
	long ret;

	ret = get_request(fds[0], 0, &token);
	if (ret < 0)
		return (void *)ret;
	value = ret + 1;
	req.buf = (uintptr_t)&value;
	req.rep = (uintptr_t)&rep;
	if (fds[1] < 0)
		rep = value;
	else if (raw(fds[1], MBOX_IOC_CALL, &req) != 4)
		return (void *)-EBADMSG;
	return (void *)answer(fds[0], token, rep);
}

TEST_F(call, server_can_make_calls_before_it_replies)
{
	pthread_t thread[DEPTH];
	int fds[DEPTH + 1], i;
	void *ret;

	for (i = 0; i < DEPTH; i++)
		fds[i] = i ? new_mailbox(0, i % 3) : self->fd;
	fds[DEPTH] = -1;
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(0, thread_start(&thread[i], pass_on, &fds[i]));
	ASSERT_EQ(0, caller_start(&self->c, self->client, 100));
	EXPECT_EQ(100 + DEPTH, caller_join(&self->c));
	for (i = 0; i < DEPTH; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], &ret));
		EXPECT_TRUE(!ret);
	}
	for (i = 1; i < DEPTH; i++)
		close(fds[i]);
}

/* Whoever comes first, both sides say the same of each call. */
static void *ask_in_a_hurry(void *arg)
{
	int fd = *(int *)arg;
	struct mbox_request req = { .len = 4, .rep_len = 4 };
	__u32 value = 1, rep;
	long i, done = 0, ret;

	req.buf = (uintptr_t)&value;
	req.rep = (uintptr_t)&rep;
	for (i = 0; i < 10 * ROUNDS; i++) {
		req.deadline_ns = now_ns(CLOCK_MONOTONIC) + i % 40 * 10000 * time_factor();
		ret = raw(fd, MBOX_IOC_CALL, &req);
		if (ret == 4)
			done++;
		else if (ret != -ETIMEDOUT)
			return (void *)ret;
	}
	return (void *)done;
}

static void *serve_and_count(void *arg)
{
	int fd = *(int *)arg;
	__u64 token;
	long done = 0, ret;

	for (;;) {
		ret = get_request(fd, 0, &token);
		if (ret == quit_value)
			return (void *)done;
		if (ret < 0)
			return (void *)ret;
		ret = answer(fd, token, 1);
		if (!ret)
			done++;
		else if (ret != -ESRCH)
			return (void *)ret;
	}
}

TEST_F(call, deadlines_race_with_replies)
{
	long asked = 0, served = 0;
	pthread_t server, client[2];
	void *ret;
	int i;

	ASSERT_EQ(0, thread_start(&server, serve_and_count, &self->server));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, thread_start(&client[i], ask_in_a_hurry, &self->client));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(client[i], &ret));
		ASSERT_LE(0, (long)ret);
		asked += (long)ret;
	}
	ASSERT_EQ(0, put(self->client, quit_value));
	ASSERT_EQ(0, pthread_join(server, &ret));
	served = (long)ret;
	EXPECT_EQ(asked, served);
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(0, requests_of(self->server));
}

TEST_HARNESS_MAIN
