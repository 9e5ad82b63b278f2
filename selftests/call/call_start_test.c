// SPDX-License-Identifier: GPL-2.0-only
/* Calls that do not wait: started, ended in every way, fetched once. */
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "calls.h"
#include "slow.h"
#include "urgent.h"

#define MANY 3000

FIXTURE(start)
{
	int fd;
	int server;
	int client;
	__u64 call;
	__u64 token;
	struct slow slow;
};

static int open_three(FIXTURE_DATA(start) *self, __u32 flags, __u32 capacity)
{
	struct mbox_attr attr = attr_of(flags, capacity);

	close(self->fd);
	close(self->server);
	close(self->client);
	attr.msg_max = 1 << 16;
	self->fd = raw_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	self->server = open_again(self->fd, O_RDONLY);
	self->client = open_again(self->fd, O_WRONLY);
	return self->fd < 0 || self->server < 0 || self->client < 0 ? -EBADF : 0;
}

FIXTURE_SETUP(start)
{
	self->fd = -1;
	self->server = -1;
	self->client = -1;
	ASSERT_EQ(0, open_three(self, 0, 4));
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, catch_signal(SIGUSR2, SA_RESTART));
}

FIXTURE_TEARDOWN(start)
{
	close(self->client);
	close(self->server);
	close(self->fd);
}

/* A call whose request is in the mailbox. */
#define QUEUED(self, value) \
	ASSERT_EQ(0, start_call((self)->client, value, 0, 0, &(self)->call))

/* A call whose request the server has. */
#define TAKEN(self, value) do {						\
	QUEUED(self, value);						\
	ASSERT_EQ(value, get_request((self)->server, MBOX_DONTWAIT, &(self)->token)); \
	ASSERT_NE(0U, (self)->token);					\
} while (0)

static long await_info(int fd, const char *key, long expected)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (fdinfo_number(fd, key) != expected && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	return fdinfo_number(fd, key);
}

#define CALLS "mbox-calls:\t"
#define ENDED "mbox-calls-ended:\t"
#define WAITING "mbox-calls-waiting:\t"

static bool is_ready(int fd, int timeout)
{
	struct pollfd pfd = { .fd = fd, .events = POLLPRI };

	return poll(&pfd, 1, timeout) == 1 && pfd.revents & POLLPRI;
}

/* MBOX_IOC_CALL_WAIT in a thread. */
struct collector {
	struct call call;
	struct mbox_call_wait arg;
	struct mbox_msg rep;
	__u32 value;
};

static int collector_start(struct collector *c, int fd, __u64 token, __u64 deadline_ns)
{
	c->value = POISON32;
	c->rep = msg_of(&c->value, sizeof(c->value), 0);
	c->arg = (struct mbox_call_wait){
		.token = token,
		.rep = (uintptr_t)&c->rep,
		.deadline_ns = deadline_ns,
		.msg_size = sizeof(c->rep),
	};
	c->call.arg = &c->arg;
	return call_start(&c->call, fd, MBOX_IOC_CALL_WAIT);
}

static long collector_join(struct collector *c)
{
	long ret = call_join(&c->call);

	if (ret < 0)
		return ret;
	return ret == sizeof(c->value) && c->value <= INT32_MAX ? (long)c->value : -EBADMSG;
}

/* ---- replies --------------------------------------------------------------- */

TEST_F(start, reply_is_fetched_once)
{
	__u64 token;

	TAKEN(self, 5);
	EXPECT_EQ(1, fdinfo_number(self->client, CALLS));
	EXPECT_EQ(0, fdinfo_number(self->client, ENDED));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
	EXPECT_EQ(0, answer(self->server, self->token, 50));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0, fdinfo_number(self->client, CALLS));
	EXPECT_EQ(1, fdinfo_number(self->client, ENDED));
	token = self->call;
	EXPECT_EQ(50, fetch_call(self->client, &token));
	EXPECT_EQ(self->call, token);
	EXPECT_EQ(-ESRCH, fetch_call(self->client, &token));
	EXPECT_EQ(0U, token);
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
	EXPECT_EQ(0, fdinfo_number(self->client, ENDED));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 51));
}

TEST_F(start, request_has_the_fields_of_a_message)
{
	__u32 value = 3;
	struct mbox_msg req = msg_of(&value, sizeof(value), 0), msg;

	req.prio = 7;
	req.type = 9;
	ASSERT_EQ(0, raw_call_start(self->client, &req, 4, &self->call));
	EXPECT_EQ(-EAGAIN, take_as(self->server, MBOX_MATCH, 8, 0));
	msg = msg_of(&value, sizeof(value), MBOX_MATCH);
	msg.type = 9;
	ASSERT_EQ(4, raw(self->server, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(7U, msg.prio);
	EXPECT_EQ((__u32)getpid(), msg.pid);
	EXPECT_EQ(0, answer(self->server, msg.token, 1));
	EXPECT_EQ(1, fetch_any_call(self->client));
}

TEST_F(start, request_is_delivered_to_a_waiting_receiver)
{
	struct call server = { 0 };

	ASSERT_EQ(0, recv_start(&server, self->server));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	QUEUED(self, 6);
	EXPECT_EQ(6, recv_join(&server));
	EXPECT_EQ(0, answer(self->server, server.msg.token, 60));
	EXPECT_EQ(60, fetch_call(self->client, &self->call));
}

TEST_F(start, replies_are_told_in_the_order_of_arrival)
{
	__u64 calls[4], tokens[4], token;
	static const int order[] = { 2, 0, 3, 1 };
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, start_call(self->client, i, 0, 0, &calls[i]));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(i, get_request(self->server, MBOX_DONTWAIT, &tokens[i]));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, answer(self->server, tokens[order[i]], 10 + order[i]));
	for (i = 0; i < 4; i++) {
		token = 0;
		EXPECT_EQ(10 + order[i], fetch_call(self->client, &token));
		EXPECT_EQ(calls[order[i]], token);
	}
}

TEST_F(start, one_of_several_can_be_fetched_first)
{
	__u64 calls[3], tokens[3], token;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, start_call(self->client, i, 0, 0, &calls[i]));
		ASSERT_EQ(i, get_request(self->server, MBOX_DONTWAIT, &tokens[i]));
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, answer(self->server, tokens[i], 10 + i));
	token = calls[1];
	EXPECT_EQ(11, fetch_call(self->client, &token));
	token = calls[2];
	EXPECT_EQ(-EAGAIN, fetch_call(self->client, &token));
	EXPECT_EQ(10, fetch_any_call(self->client));
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
	ASSERT_EQ(0, answer(self->server, tokens[2], 12));
	EXPECT_EQ(12, fetch_any_call(self->client));
}

TEST_F(start, thousands_are_outstanding)
{
	static __u64 calls[MANY], tokens[MANY];
	static unsigned char seen[MANY];
	__u64 token;
	long value;
	int i;

	ASSERT_EQ(0, open_three(self, 0, MBOX_UNBOUNDED));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, start_call(self->client, i, 0, 0, &calls[i]));
	EXPECT_EQ(MANY, fdinfo_number(self->client, CALLS));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(i, get_request(self->server, MBOX_DONTWAIT, &tokens[i]));
	for (i = MANY - 1; i >= 0; i--)
		ASSERT_EQ(0, answer(self->server, tokens[i], i));
	EXPECT_EQ(MANY, fdinfo_number(self->client, ENDED));
	/* Every second one by its token, the others in order. */
	for (i = 0; i < MANY; i += 2) {
		ASSERT_EQ(i, fetch_call(self->client, &calls[i]));
		seen[i]++;
	}
	for (i = 0; i < MANY / 2; i++) {
		token = 0;
		value = fetch_call(self->client, &token);
		ASSERT_EQ(MANY - 1 - 2 * i, value);
		ASSERT_EQ(calls[value], token);
		seen[value]++;
	}
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(1, seen[i]);
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
}

TEST_F(start, replies_of_every_length)
{
	static const size_t lengths[] = { 0, 1, 100, 3900, 4032, 4033, 9000, 1 << 16 };
	char *out = malloc(1 << 16), *in = malloc(1 << 16);
	struct mbox_msg req = msg_of("r", 1, 0), rep, msg;
	unsigned int i;

	for (i = 0; i < 1 << 16; i++)
		out[i] = i * 7 ^ i >> 9;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		ASSERT_EQ(0, raw_call_start(self->client, &req, lengths[i], &self->call));
		msg = msg_of(in, 1 << 16, 0);
		ASSERT_EQ(1, raw(self->server, MBOX_IOC_RECV, &msg));
		memset(in, POISON, 1 << 16);
		ASSERT_EQ(0, raw_reply(self->server, msg.token, out, lengths[i]));
		rep = msg_of(in, lengths[i], MBOX_DONTWAIT);
		rep.prio = POISON32;
		ASSERT_EQ((long)lengths[i], raw_call_wait(self->client, &self->call, &rep, 0));
		ASSERT_EQ(lengths[i], rep.len);
		ASSERT_EQ(POISON32, rep.prio);
		ASSERT_EQ(0, memcmp(in, out, lengths[i]));
		ASSERT_TRUE(lengths[i] == 1 << 16 || in[lengths[i]] == (char)POISON);
	}
}

TEST_F(start, library_starts_fetches_and_cancels)
{
	struct mbox *client = mbox_from_fd(self->client);
	static const struct timespec bad = { .tv_nsec = -1 }, past = { .tv_nsec = 1 };
	struct mbox_msg req = msg_of("ping", 4, 0), rep, msg;
	char text[8] = "";
	uint64_t call = 0, token = 0;

	ASSERT_TRUE(!!client);
	ASSERT_EQ(0, mbox_call_start(client, &req, 8, &call));
	ASSERT_NE(0U, call);
	rep = msg_of(text, sizeof(text), 0);
	rep.token = 99;
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_call_wait(client, &token, &rep, &past)));
	EXPECT_EQ(0U, token);
	EXPECT_EQ(0U, rep.token);
	EXPECT_EQ(-EINVAL, neg(mbox_call_wait(client, &token, &rep, &bad)));
	rep.len = 0;
	EXPECT_EQ(4, raw_recv(self->server, text, 4, MBOX_PEEK));
	msg = msg_of(text, 4, 0);
	ASSERT_EQ(4, raw(self->server, MBOX_IOC_RECV, &msg));
	ASSERT_EQ(0, raw_reply(self->server, msg.token, "pong", 4));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_call_wait(client, &token, &rep, NULL)));
	EXPECT_EQ(0U, rep.token);
	rep = msg_of(text, sizeof(text), 0);
	EXPECT_EQ(4, mbox_call_wait(client, &token, &rep, NULL));
	EXPECT_EQ(call, token);
	EXPECT_EQ(call, rep.token);
	EXPECT_EQ(0, memcmp(text, "pong", 4));

	ASSERT_EQ(0, mbox_call_start(client, &req, 8, &call));
	EXPECT_EQ(0, mbox_call_cancel(client, call));
	EXPECT_EQ(-ESRCH, neg(mbox_call_cancel(client, call)));
	token = call;
	EXPECT_EQ(-ESRCH, neg(mbox_call_wait(client, &token, &rep, NULL)));
	EXPECT_EQ(call, token);
}

/* ---- room for the request --------------------------------------------------- */

TEST_F(start, full_mailbox_is_EAGAIN)
{
	__u64 call;
	int i;

	for (i = 0; i < 4; i++)
		QUEUED(self, i);
	EXPECT_EQ(-EAGAIN, start_call(self->client, 9, MBOX_DONTWAIT, 0, &call));
	EXPECT_EQ(~0ULL, call);
	ASSERT_EQ(0, fcntl(self->client, F_SETFL, O_NONBLOCK | O_WRONLY));
	EXPECT_EQ(-EAGAIN, start_call(self->client, 9, 0, 0, &call));
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
	EXPECT_EQ(4, fdinfo_number(self->client, CALLS));
	EXPECT_EQ(0, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, start_call(self->client, 9, 0, 0, &call));
}

TEST_F(start, without_capacity_a_receiver_has_to_wait)
{
	struct call server = { 0 };
	__u64 call;

	ASSERT_EQ(0, open_three(self, 0, 0));
	EXPECT_EQ(-EAGAIN, start_call(self->client, 9, MBOX_DONTWAIT, 0, &call));
	ASSERT_EQ(0, recv_start(&server, self->server));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(0, start_call(self->client, 9, MBOX_DONTWAIT, 0, &call));
	EXPECT_EQ(9, recv_join(&server));
	EXPECT_EQ(0, answer(self->server, server.msg.token, 90));
	EXPECT_EQ(90, fetch_call(self->client, &call));
}

/* MBOX_IOC_CALL_START in a thread. */
struct starter {
	struct call call;
	struct mbox_call_start arg;
	struct mbox_msg req;
	__u32 value;
};

static int starter_start(struct starter *s, int fd, __u32 value, __u64 deadline_ns)
{
	s->value = value;
	s->req = msg_of(&s->value, sizeof(s->value), 0);
	s->req.deadline_ns = deadline_ns;
	s->arg = (struct mbox_call_start){
		.req = (uintptr_t)&s->req,
		.msg_size = sizeof(s->req),
		.rep_max = 4,
	};
	s->call.arg = &s->arg;
	return call_start(&s->call, fd, MBOX_IOC_CALL_START);
}

TEST_F(start, waits_for_room)
{
	static const __u32 flags[] = { 0, MBOX_FAIR, MBOX_HANGUP };
	struct starter s = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_EQ(0, open_three(self, flags[i], 1));
		QUEUED(self, 1);
		ASSERT_EQ(0, starter_start(&s, self->client, 2, 0));
		ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
		EXPECT_EQ(1, fdinfo_number(self->client, CALLS));
		EXPECT_EQ(1, get_request(self->server, 0, &self->token));
		EXPECT_EQ(0, call_join(&s.call));
		EXPECT_EQ(2, fdinfo_number(self->client, CALLS));
		EXPECT_EQ(0, answer(self->server, self->token, 10));
		EXPECT_EQ(2, get_request(self->server, 0, &self->token));
		EXPECT_EQ(0, answer(self->server, self->token, 20));
		EXPECT_EQ(10, fetch_any_call(self->client));
		EXPECT_EQ(20, fetch_call(self->client, &s.arg.token));
		EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	}
}

TEST_F(start, waits_for_a_receiver)
{
	struct starter s = { 0 };

	ASSERT_EQ(0, open_three(self, 0, 0));
	ASSERT_EQ(0, starter_start(&s, self->client, 2, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(2, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, call_join(&s.call));
	EXPECT_EQ(0, answer(self->server, self->token, 20));
	EXPECT_EQ(20, fetch_call(self->client, &s.arg.token));
}

/* Without capacity, a request that comes back is blocked again, without its thread. */
TEST_F(start, request_that_could_not_be_copied_is_blocked_again)
{
	struct starter s = { 0 };

	ASSERT_EQ(0, open_three(self, 0, 0));
	ASSERT_EQ(0, starter_start(&s, self->client, 2, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(-EFAULT, raw_recv(self->server, (void *)1, 4, 0));
	EXPECT_EQ(0, call_join(&s.call));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(1, fdinfo_number(self->client, CALLS));
	EXPECT_EQ(2, get_request(self->server, MBOX_PEEK, &self->token));
	EXPECT_EQ(-EFAULT, raw_recv(self->server, (void *)1, 4, 0));
	EXPECT_EQ(2, get_request(self->server, 0, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 20));
	EXPECT_EQ(20, fetch_call(self->client, &s.arg.token));
	/* And can be withdrawn there. */
	ASSERT_EQ(0, starter_start(&s, self->client, 3, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(-EFAULT, raw_recv(self->server, (void *)1, 4, 0));
	EXPECT_EQ(0, call_join(&s.call));
	EXPECT_EQ(0, raw_call_cancel(self->client, s.arg.token));
	EXPECT_EQ(-EAGAIN, take(self->server));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
}

TEST_F(start, deadline_while_it_waits_for_room_is_ETIMEDOUT)
{
	__u64 call;
	int i;

	for (i = 0; i < 4; i++)
		QUEUED(self, i);
	EXPECT_EQ(-ETIMEDOUT, start_call(self->client, 9, 0, 1, &call));
	EXPECT_EQ(-ETIMEDOUT, start_call(self->client, 9, 0, in_ms(CLOCK_MONOTONIC, 20), &call));
	EXPECT_EQ(-ETIMEDOUT, start_call(self->client, 9, MBOX_REALTIME,
					 in_ms(CLOCK_REALTIME, 20), &call));
	EXPECT_EQ(~0ULL, call);
	EXPECT_EQ(4, fdinfo_number(self->client, CALLS));
	EXPECT_EQ(4U, stat_of(self->fd).sent);
}

TEST_F(start, signals_while_it_waits_for_room)
{
	struct starter s = { 0 };

	ASSERT_EQ(0, open_three(self, 0, 1));
	QUEUED(self, 1);
	ASSERT_EQ(0, starter_start(&s, self->client, 2, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	/* It waits again. */
	ASSERT_EQ(0, pthread_kill(s.call.thread, SIGUSR2));
	ASSERT_EQ(0, await_asleep(&s.call.tid));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	ASSERT_EQ(0, pthread_kill(s.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&s.call));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(1, fdinfo_number(self->client, CALLS));
	EXPECT_EQ(1U, stat_of(self->fd).sent);
}

TEST_F(start, end_of_the_mailbox_while_it_waits_for_room)
{
	struct starter s = { 0 };

	ASSERT_EQ(0, open_three(self, 0, 1));
	QUEUED(self, 1);
	ASSERT_EQ(0, starter_start(&s, self->client, 2, 0));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, call_join(&s.call));
	/* The call was not started: only the other one has an end. */
	EXPECT_EQ(-EIDRM, fetch_call(self->client, &self->call));
	EXPECT_NE(0U, self->call);
	self->call = 0;
	EXPECT_EQ(-EIDRM, fetch_call(self->client, &self->call));
	EXPECT_EQ(0U, self->call);
}

/* ---- the ends of a call ------------------------------------------------------ */

TEST_F(start, deadline_of_a_queued_request_withdraws_it)
{
	__u64 token;

	ASSERT_EQ(0, start_call(self->client, 1, 0, in_ms(CLOCK_MONOTONIC, 20), &self->call));
	EXPECT_TRUE(is_ready(self->client, WAIT_LIMIT_MS));
	EXPECT_EQ(-EAGAIN, take(self->server));
	token = 0;
	EXPECT_EQ(-ETIMEDOUT, fetch_call(self->client, &token));
	EXPECT_EQ(self->call, token);
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(start, deadline_of_a_taken_request_makes_the_reply_ESRCH)
{
	__u64 token = 0;

	ASSERT_EQ(0, start_call(self->client, 1, MBOX_REALTIME,
				in_ms(CLOCK_REALTIME, 500 * time_factor()), &self->call));
	ASSERT_EQ(1, get_request(self->server, MBOX_DONTWAIT, &self->token));
	EXPECT_TRUE(is_ready(self->client, WAIT_LIMIT_MS));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 1));
	EXPECT_EQ(-ETIMEDOUT, fetch_call(self->client, &token));
	EXPECT_EQ(self->call, token);
}

TEST_F(start, deadline_that_has_passed_ends_the_call_at_once)
{
	__u64 token = 0;

	ASSERT_EQ(0, start_call(self->client, 1, 0, 1, &self->call));
	EXPECT_TRUE(is_ready(self->client, WAIT_LIMIT_MS));
	EXPECT_EQ(-ETIMEDOUT, fetch_call(self->client, &token));
	EXPECT_EQ(self->call, token);
}

TEST_F(start, deadline_after_the_reply_has_no_effect)
{
	__u64 deadline = in_ms(CLOCK_MONOTONIC, 500 * time_factor());

	ASSERT_EQ(0, start_call(self->client, 1, 0, deadline, &self->call));
	ASSERT_EQ(1, get_request(self->server, MBOX_DONTWAIT, &self->token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	while ((__u64)now_ns(CLOCK_MONOTONIC) < deadline + 100 * NSEC_PER_MSEC)
		usleep(10000);
	EXPECT_EQ(10, fetch_call(self->client, &self->call));
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
}

TEST_F(start, closing_the_server_is_EPIPE)
{
	__u64 token = 0;

	TAKEN(self, 1);
	close(self->server);
	self->server = -1;
	EXPECT_TRUE(is_ready(self->client, WAIT_LIMIT_MS));
	EXPECT_EQ(-EPIPE, fetch_call(self->client, &token));
	EXPECT_EQ(self->call, token);
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
}

TEST_F(start, receiving_without_a_token_is_EPIPE)
{
	__u32 value;

	QUEUED(self, 1);
	EXPECT_EQ(4, read(self->server, &value, 4));
	EXPECT_EQ(-EPIPE, fetch_call(self->client, &self->call));
}

TEST_F(start, dropping_the_request_is_EPIPE)
{
	ASSERT_EQ(0, open_three(self, MBOX_DROP_OLDEST, 1));
	QUEUED(self, 1);
	ASSERT_EQ(0, put(self->client, 2));
	EXPECT_EQ(-EPIPE, fetch_call(self->client, &self->call));
	/* A new request that is dropped is not started. */
	ASSERT_EQ(0, open_three(self, MBOX_DROP_NEWEST, 1));
	ASSERT_EQ(0, put(self->client, 2));
	EXPECT_EQ(-EPIPE, start_call(self->client, 3, 0, 0, &self->call));
	EXPECT_EQ(~0ULL, self->call);
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
}

TEST_F(start, last_receiver_of_a_HANGUP_mailbox_is_EPIPE)
{
	int i;

	ASSERT_EQ(0, open_three(self, MBOX_HANGUP, 100));
	for (i = 0; i < 100; i++)
		QUEUED(self, i);
	close(self->fd);
	close(self->server);
	self->fd = -1;
	self->server = -1;
	EXPECT_EQ(100, await_info(self->client, ENDED, 100));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(-EPIPE, fetch_any_call(self->client));
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
	EXPECT_EQ(-EPIPE, start_call(self->client, 1, 0, 0, &self->call));
}

TEST_F(start, destroying_is_EIDRM_once_for_each_call)
{
	__u64 token;
	int i;

	ASSERT_EQ(0, open_three(self, 0, 200));
	for (i = 0; i < 100; i++) {
		QUEUED(self, i);
		if (i & 1)
			ASSERT_LE(0, get_request(self->server, 0, &self->token));
	}
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < 100; i++) {
		token = 0;
		/* It can be fetched, so it has ended. */
		if (!i)
			EXPECT_EQ(-ESRCH, raw_call_cancel(self->client, self->call));
		EXPECT_EQ(-EIDRM, fetch_call(self->client, &token));
		EXPECT_NE(0U, token);
		EXPECT_EQ(-EIDRM, raw_call_cancel(self->client, token));
		EXPECT_EQ(-EIDRM, fetch_call(self->client, &token));
		EXPECT_EQ(0U, token);
	}
	EXPECT_EQ(-EIDRM, raw_call_cancel(self->client, self->call));
	EXPECT_EQ(-EIDRM, raw_call_cancel(self->client, 0));
	EXPECT_EQ(-EIDRM, raw_call_cancel(self->fd, 1));
	token = 0;
	EXPECT_EQ(-EIDRM, fetch_call(self->client, &token));
	EXPECT_EQ(0U, token);
	EXPECT_EQ(-EIDRM, start_call(self->client, 1, 0, 0, &token));
}

TEST_F(start, reply_that_is_too_long_is_EMSGSIZE_for_both)
{
	__u64 value = 1;

	TAKEN(self, 1);
	EXPECT_EQ(-EMSGSIZE, raw_reply(self->server, self->token, &value, 5));
	self->token = 0;
	EXPECT_EQ(-EMSGSIZE, fetch_call(self->client, &self->token));
	EXPECT_EQ(self->call, self->token);
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
}

TEST_F(start, closing_the_caller_withdraws_its_requests)
{
	__u64 tokens[2];
	int other = open_again(self->fd, O_WRONLY), i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, start_call(other, i, 0, 0, &self->call));
	ASSERT_EQ(0, get_request(self->server, 0, &tokens[0]));
	ASSERT_EQ(1, get_request(self->server, 0, &tokens[1]));
	EXPECT_EQ(0, answer(self->server, tokens[1], 1));
	QUEUED(self, 7);
	close(other);
	EXPECT_EQ(-ESRCH, answer(self->server, tokens[0], 1));
	EXPECT_EQ(7, get_request(self->server, MBOX_DONTWAIT, &self->token));
	EXPECT_EQ(-EAGAIN, take(self->server));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
}

TEST_F(start, closing_a_handle_with_many_calls)
{
	int other, i;

	ASSERT_EQ(0, open_three(self, 0, MBOX_UNBOUNDED));
	other = open_again(self->fd, O_WRONLY);
	for (i = 0; i < 10000; i++)
		ASSERT_EQ(0, start_call(other, i, 0, i & 1 ? in_ms(CLOCK_MONOTONIC, 3600000) : 0,
					&self->call));
	for (i = 0; i < 3000; i++)
		ASSERT_EQ(i, get_request(self->server, 0, &self->token));
	close(other);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 1));
}

static int start_and_be_killed(void *arg)
{
	FIXTURE_DATA(start) *self = arg;
	int fd = open_again(self->fd, O_WRONLY);

	CHECK_EQ(0, start_call(fd, 1, 0, 0, &self->call));
	CHECK_EQ(0, start_call(fd, 2, 0, 0, &self->call));
	CHECK_EQ(1, get_request(self->server, 0, &self->token));
	raise(SIGKILL);
	return 1;
}

TEST_F(start, killing_the_caller_withdraws_its_requests)
{
	ASSERT_EQ(1000 + SIGKILL, in_child(start_and_be_killed, self));
	EXPECT_EQ(0, await_waiting(self->fd, 0, 0));
	EXPECT_EQ(-EAGAIN, take(self->server));
}

/* ---- cancelling ---------------------------------------------------------------- */

TEST_F(start, cancelling_withdraws_a_queued_request)
{
	__u64 first;

	QUEUED(self, 1);
	first = self->call;
	QUEUED(self, 2);
	EXPECT_EQ(0, raw_call_cancel(self->client, first));
	EXPECT_EQ(2, get_request(self->server, MBOX_DONTWAIT, &self->token));
	EXPECT_EQ(-EAGAIN, take(self->server));
	EXPECT_EQ(-ESRCH, fetch_call(self->client, &first));
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
	EXPECT_EQ(1, fdinfo_number(self->client, CALLS));
}

TEST_F(start, cancelling_a_taken_request_makes_the_reply_ESRCH)
{
	TAKEN(self, 1);
	EXPECT_EQ(0, raw_call_cancel(self->client, self->call));
	EXPECT_EQ(-ESRCH, answer(self->server, self->token, 1));
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
}

TEST_F(start, cancelling_makes_room)
{
	struct call sender = { 0 };

	ASSERT_EQ(0, open_three(self, 0, 1));
	QUEUED(self, 1);
	ASSERT_EQ(0, send_start(&sender, self->client, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	EXPECT_EQ(0, raw_call_cancel(self->client, self->call));
	EXPECT_EQ(0, call_join(&sender));
	EXPECT_EQ(2, take(self->server));
}

TEST_F(start, a_call_that_has_ended_cannot_be_cancelled)
{
	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(-ESRCH, raw_call_cancel(self->client, self->call));
	EXPECT_EQ(10, fetch_call(self->client, &self->call));
}

TEST_F(start, tokens_are_bound_to_the_handle)
{
	int other = open_again(self->fd, O_WRONLY);
	int same = dup(self->client);
	__u64 token;

	TAKEN(self, 1);
	token = self->call;
	EXPECT_EQ(-ESRCH, raw_call_cancel(other, token));
	EXPECT_EQ(-ESRCH, raw_call_cancel(self->client, 0));
	EXPECT_EQ(-ESRCH, raw_call_cancel(self->client, token + 1));
	EXPECT_EQ(-ESRCH, fetch_call(other, &token));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_FALSE(is_ready(other, 0));
	EXPECT_EQ(-EAGAIN, fetch_any_call(other));
	/* A duplicate is the same handle. */
	EXPECT_TRUE(is_ready(same, 0));
	EXPECT_EQ(10, fetch_call(same, &self->call));
	close(same);
	close(other);
}

/* ---- waiting for the end --------------------------------------------------------- */

TEST_F(start, a_thread_waits_for_one_call)
{
	struct collector c = { 0 };
	__u64 first, first_token;

	TAKEN(self, 1);
	first = self->call;
	first_token = self->token;
	TAKEN(self, 2);
	ASSERT_EQ(0, collector_start(&c, self->client, self->call, 0));
	ASSERT_EQ(1, await_info(self->client, WAITING, 1));
	/* The other one does not concern it. */
	EXPECT_EQ(0, answer(self->server, first_token, 10));
	EXPECT_EQ(1, fdinfo_number(self->client, WAITING));
	EXPECT_EQ(0, answer(self->server, self->token, 20));
	EXPECT_EQ(20, collector_join(&c));
	EXPECT_EQ(1U, c.arg.ended);
	EXPECT_EQ(self->call, c.arg.token);
	EXPECT_EQ(10, fetch_call(self->client, &first));
}

TEST_F(start, threads_wait_for_any_call)
{
	struct collector c[3] = { 0 };
	__u64 tokens[3], all = 0;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, collector_start(&c[i], self->client, 0, 0));
		ASSERT_EQ(i + 1, await_info(self->client, WAITING, i + 1));
	}
	for (i = 0; i < 3; i++) {
		QUEUED(self, i);
		ASSERT_EQ(i, get_request(self->server, 0, &tokens[i]));
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, answer(self->server, tokens[i], 1 << i));
	for (i = 0; i < 3; i++)
		all += collector_join(&c[i]);
	EXPECT_EQ(7U, all);
}

/* By priority, then by time: real-time ones, then by nice value. */
static const struct {
	int rt_prio;
	int nice;
	int place;
} in_line[] = {
	{ 0, 0, 6 }, { 20, 0, 3 }, { 50, 0, 0 }, { 20, 0, 4 }, { 50, 0, 1 }, { 50, 0, 2 },
	{ 0, 0, 7 }, { 0, -5, 5 }, { 0, 5, 9 }, { 0, 0, 8 },
};

static int start_in_line(FIXTURE_DATA(start) *self, struct collector *c, __u64 token)
{
	int i, ret;

	for (i = 0; i < (int)ARRAY_SIZE(in_line); i++) {
		c[i].call.rt_prio = in_line[i].rt_prio;
		c[i].call.nice = in_line[i].nice;
		ret = collector_start(&c[i], self->client, token,
				      in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS));
		if (ret)
			return ret;
		if (await_info(self->client, WAITING, i + 1) != i + 1)
			return -ETIMEDOUT;
	}
	return 0;
}

TEST_F(start, threads_wait_for_any_call_in_order)
{
	struct collector c[ARRAY_SIZE(in_line)] = { 0 };
	__u64 tokens[ARRAY_SIZE(in_line)];
	int i, k, n = ARRAY_SIZE(in_line);

	ASSERT_EQ(0, open_three(self, 0, n));
	ASSERT_EQ(0, start_in_line(self, c, 0));
	for (i = 0; i < n; i++) {
		QUEUED(self, i);
		ASSERT_EQ(i, get_request(self->server, 0, &tokens[i]));
	}
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, answer(self->server, tokens[i], i));
		/* Once it has the end, and before the next is woken, which could take that. */
		for (k = 0; in_line[k].place != i; k++)
			;
		EXPECT_EQ(i, collector_join(&c[k]));
	}
}

TEST_F(start, threads_wait_for_one_call_in_order)
{
	struct collector c[ARRAY_SIZE(in_line)] = { 0 };
	int i;

	TAKEN(self, 1);
	ASSERT_EQ(0, start_in_line(self, c, self->call));
	ASSERT_EQ(0, answer(self->server, self->token, 10));
	for (i = 0; i < (int)ARRAY_SIZE(in_line); i++)
		EXPECT_EQ(in_line[i].place ? -ESRCH : 10, collector_join(&c[i]));
}

/* One that was woken may find the end taken, or be interrupted: then another is woken. */
TEST_F(start, threads_that_wait_again_miss_no_end)
{
	struct collector c[2] = { 0 };
	int i, k;

	for (k = 0; k < 20; k++) {
		for (i = 0; i < 2; i++) {
			c[i] = (struct collector){ .call.rt_prio = k & 1 ? 50 : 0 };
			ASSERT_EQ(0, collector_start(&c[i], self->client, 0, 0));
			ASSERT_EQ(i + 1, await_info(self->client, WAITING, i + 1));
		}
		TAKEN(self, 1);
		ASSERT_EQ(0, pthread_kill(c[0].call.thread, SIGUSR2));
		/* It fetches the end itself, or the thread that was woken does. */
		ASSERT_EQ(0, answer(self->server, self->token, 10));
		fetch_any_call(self->client);
		TAKEN(self, 2);
		ASSERT_EQ(0, answer(self->server, self->token, 20));
		TAKEN(self, 3);
		ASSERT_EQ(0, answer(self->server, self->token, 30));
		for (i = 0; i < 2; i++)
			EXPECT_LT(0, collector_join(&c[i]));
		while (fetch_any_call(self->client) >= 0)
			;
	}
}

TEST_F(start, several_threads_wait_for_one_call)
{
	struct collector c[4] = { 0 };
	long ret, found = 0, none = 0;
	int i;

	TAKEN(self, 1);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, collector_start(&c[i], self->client, self->call, 0));
	ASSERT_EQ(4, await_info(self->client, WAITING, 4));
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	for (i = 0; i < 4; i++) {
		ret = collector_join(&c[i]);
		found += ret == 10;
		none += ret == -ESRCH;
	}
	EXPECT_EQ(1, found);
	EXPECT_EQ(3, none);
}

TEST_F(start, cancelling_is_ESRCH_for_those_that_wait)
{
	struct collector c[4] = { 0 };
	int i;

	TAKEN(self, 1);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, collector_start(&c[i], self->client, self->call, 0));
	ASSERT_EQ(4, await_info(self->client, WAITING, 4));
	EXPECT_EQ(0, raw_call_cancel(self->client, self->call));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-ESRCH, collector_join(&c[i]));
}

TEST_F(start, destroying_ends_every_wait)
{
	struct collector c[40] = { 0 };
	int i, ended = 0;

	TAKEN(self, 1);
	for (i = 0; i < 40; i++)
		ASSERT_EQ(0, collector_start(&c[i], self->client, i & 1 ? self->call : 0, 0));
	ASSERT_EQ(40, await_info(self->client, WAITING, 40));
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < 40; i++) {
		long ret = collector_join(&c[i]);

		EXPECT_EQ(-EIDRM, ret);
		ended += c[i].arg.ended;
	}
	EXPECT_EQ(1, ended);
}

TEST_F(start, a_wait_ends_at_its_own_deadline)
{
	__u64 token;
	__u32 value;
	struct mbox_msg rep = msg_of(&value, 4, 0);

	TAKEN(self, 1);
	token = 0;
	EXPECT_EQ(-ETIMEDOUT, raw_call_wait(self->client, &token, &rep,
					    in_ms(CLOCK_MONOTONIC, 20)));
	EXPECT_EQ(0U, token);
	token = self->call;
	EXPECT_EQ(-ETIMEDOUT, raw_call_wait(self->client, &token, &rep, 1));
	EXPECT_EQ(0U, token);
	rep.flags = MBOX_REALTIME;
	token = self->call;
	EXPECT_EQ(-ETIMEDOUT, raw_call_wait(self->client, &token, &rep,
					    in_ms(CLOCK_REALTIME, 20)));
	/* The call goes on. */
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, fetch_call(self->client, &self->call));
}

TEST_F(start, a_wait_is_interrupted)
{
	struct collector c = { 0 };

	TAKEN(self, 1);
	ASSERT_EQ(0, collector_start(&c, self->client, self->call, 0));
	ASSERT_EQ(1, await_info(self->client, WAITING, 1));
	ASSERT_EQ(0, pthread_kill(c.call.thread, SIGUSR2));
	ASSERT_EQ(0, await_asleep(&c.call.tid));
	ASSERT_EQ(1, await_info(self->client, WAITING, 1));
	ASSERT_EQ(0, pthread_kill(c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, collector_join(&c));
	EXPECT_EQ(0U, c.arg.ended);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(10, fetch_call(self->client, &self->call));
}

static int use_cpu_0(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	return neg(sched_setaffinity(0, sizeof(cpus), &cpus));
}

static int become_urgent(bool on)
{
	const struct sched_param param = { .sched_priority = on ? 50 : 0 };

	return neg(sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param));
}

/* A signal that comes after the end does not lose it. */
TEST_F(start, a_signal_after_the_wake_up)
{
	struct collector c = { 0 }, other = { 0 };
	__u64 calls[3], tokens[3];
	struct rescue rescue;
	int i;

	ASSERT_EQ(0, rescue_off(&rescue));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, start_call(self->client, i, 0, 0, &calls[i]));
		ASSERT_EQ(i, get_request(self->server, MBOX_DONTWAIT, &tokens[i]));
	}
	/* No thread runs here while this one is urgent. */
	ASSERT_EQ(0, use_cpu_0());
	ASSERT_EQ(0, collector_start(&c, self->client, 0, 0));
	ASSERT_EQ(1, await_info(self->client, WAITING, 1));
	/* The thread is woken in vain. */
	ASSERT_EQ(0, become_urgent(true));
	EXPECT_EQ(0, answer(self->server, tokens[0], 10));
	EXPECT_EQ(10, fetch_any_call(self->client));
	ASSERT_EQ(0, become_urgent(false));
	ASSERT_EQ(1, await_info(self->client, WAITING, 1));
	ASSERT_EQ(0, collector_start(&other, self->client, 0, 0));
	ASSERT_EQ(2, await_info(self->client, WAITING, 2));
	ASSERT_EQ(0, become_urgent(true));
	EXPECT_EQ(0, answer(self->server, tokens[1], 20));
	EXPECT_EQ(0, -pthread_kill(c.call.thread, SIGUSR1));
	ASSERT_EQ(0, become_urgent(false));
	EXPECT_EQ(0, rescue_on(&rescue));
	EXPECT_EQ(20, collector_join(&c));
	EXPECT_EQ(1, fdinfo_number(self->client, WAITING));
	EXPECT_EQ(0, answer(self->server, tokens[2], 30));
	EXPECT_EQ(30, collector_join(&other));
}

/*
 * A thread that was woken in vain waits again where it waited before: of equally urgent ones,
 * before those that came after it.
 */
TEST_F(start, a_thread_that_is_woken_in_vain_keeps_its_place)
{
	struct collector c[3] = { 0 };
	__u64 calls[4], tokens[4];
	struct rescue rescue;
	int i;

	ASSERT_EQ(0, rescue_off(&rescue));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, start_call(self->client, i, 0, 0, &calls[i]));
		ASSERT_EQ(i, get_request(self->server, MBOX_DONTWAIT, &tokens[i]));
	}
	/* No thread runs here while this one is urgent. */
	ASSERT_EQ(0, use_cpu_0());
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, collector_start(&c[i], self->client, 0,
					     in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS)));
		ASSERT_EQ(i + 1, await_info(self->client, WAITING, i + 1));
	}
	ASSERT_EQ(0, become_urgent(true));
	EXPECT_EQ(0, answer(self->server, tokens[0], 10));
	EXPECT_EQ(2, fdinfo_number(self->client, WAITING));
	EXPECT_EQ(10, fetch_any_call(self->client));
	ASSERT_EQ(0, become_urgent(false));
	EXPECT_EQ(0, rescue_on(&rescue));
	ASSERT_EQ(3, await_info(self->client, WAITING, 3));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, answer(self->server, tokens[i + 1], 20 + i));
		EXPECT_EQ(20 + i, collector_join(&c[i]));
	}
}

/* ---- copies that fail ------------------------------------------------------------ */

TEST_F(start, a_reply_that_does_not_fit_stays)
{
	__u32 value = POISON32;
	struct mbox_msg rep;
	__u64 token;

	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 0x01020304));
	token = 0;
	rep = msg_of(&value, 3, 0);
	EXPECT_EQ(-EMSGSIZE, raw_call_wait(self->client, &token, &rep, 0));
	EXPECT_EQ(0U, token);
	EXPECT_EQ(POISON32, value);
	EXPECT_EQ(3U, rep.len);
	EXPECT_TRUE(is_ready(self->client, 0));
	rep.flags = MBOX_TRUNC;
	EXPECT_EQ(4, raw_call_wait(self->client, &token, &rep, 0));
	EXPECT_EQ(self->call, token);
	EXPECT_EQ(4U, rep.len);
	EXPECT_NE(POISON32, value);
	EXPECT_FALSE(is_ready(self->client, 0));
}

TEST_F(start, bad_addresses_leave_the_reply)
{
	struct mbox_msg rep;
	struct mbox_call_wait arg = { .rep = (uintptr_t)&rep, .msg_size = sizeof(rep) };

	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	rep = msg_of((void *)1, 4, 0);
	EXPECT_EQ(-EFAULT, raw(self->client, MBOX_IOC_CALL_WAIT, &arg));
	EXPECT_EQ(0U, arg.ended);
	EXPECT_EQ(0U, arg.token);
	arg.rep = 1;
	EXPECT_EQ(-EFAULT, raw(self->client, MBOX_IOC_CALL_WAIT, &arg));
	EXPECT_EQ(-EFAULT, raw(self->client, MBOX_IOC_CALL_WAIT, (void *)8));
	EXPECT_EQ(10, fetch_call(self->client, &self->call));
}

TEST_F(start, bad_addresses_start_nothing)
{
	struct mbox_msg req = msg_of((void *)1, 4, 0);
	struct mbox_call_start *fixed;
	__u64 token;

	EXPECT_EQ(-EFAULT, raw_call_start(self->client, &req, 4, &token));
	EXPECT_EQ(~0ULL, token);
	EXPECT_EQ(-EFAULT, raw_call_start(self->client, (void *)1, 4, &token));
	/* Where the token could not be written. */
	req = msg_of("abcd", 4, 0);
	fixed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*fixed = (struct mbox_call_start){ .req = (uintptr_t)&req, .msg_size = sizeof(req) };
	ASSERT_EQ(0, mprotect(fixed, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, raw(self->client, MBOX_IOC_CALL_START, fixed));
	munmap(fixed, 4096);
	EXPECT_EQ(0U, stat_of(self->fd).sent);
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
}

/* While one thread copies a reply, the call belongs to it. */
TEST_F(start, a_reply_that_is_being_copied_is_not_told_twice)
{
	struct collector c = { 0 }, other = { 0 };

	ASSERT_EQ(0, slow_init(&self->slow));
	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	c.rep = msg_of(self->slow.page, 4, 0);
	c.arg = (struct mbox_call_wait){ .rep = (uintptr_t)&c.rep, .msg_size = sizeof(c.rep) };
	c.call.arg = &c.arg;
	ASSERT_EQ(0, call_start(&c.call, self->client, MBOX_IOC_CALL_WAIT));
	ASSERT_EQ(0, slow_await(&self->slow));
	EXPECT_FALSE(is_ready(self->client, 0));
	EXPECT_EQ(-EAGAIN, fetch_any_call(self->client));
	EXPECT_EQ(-ESRCH, raw_call_cancel(self->client, self->call));
	ASSERT_EQ(0, collector_start(&other, self->client, self->call, 0));
	ASSERT_EQ(1, await_info(self->client, WAITING, 1));
	/* It fails, and the other thread gets the reply. */
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&c.call));
	EXPECT_EQ(10, collector_join(&other));
	slow_end(&self->slow);
}

/* However long a thread copies, the end of the mailbox is over. */
TEST_F(start, destroying_while_a_reply_is_being_copied)
{
	struct collector c = { 0 }, other[40] = { 0 }, late = { 0 };
	int i;

	ASSERT_EQ(0, slow_init(&self->slow));
	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	c.rep = msg_of(self->slow.page, 4, 0);
	c.arg = (struct mbox_call_wait){ .rep = (uintptr_t)&c.rep, .msg_size = sizeof(c.rep) };
	c.call.arg = &c.arg;
	ASSERT_EQ(0, call_start(&c.call, self->client, MBOX_IOC_CALL_WAIT));
	ASSERT_EQ(0, slow_await(&self->slow));
	for (i = 0; i < 40; i++)
		ASSERT_EQ(0, collector_start(&other[i], self->client, self->call, 0));
	ASSERT_EQ(40, await_info(self->client, WAITING, 40));
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < 40; i++) {
		EXPECT_EQ(-EIDRM, collector_join(&other[i]));
		EXPECT_EQ(0U, other[i].arg.ended);
	}
	ASSERT_EQ(0, collector_start(&late, self->client, self->call, 0));
	EXPECT_EQ(-EIDRM, collector_join(&late));
	EXPECT_EQ(-EIDRM, fetch_any_call(self->client));
	/* It fails, and the reply can be fetched. */
	ASSERT_EQ(0, slow_fail(&self->slow));
	EXPECT_EQ(-EFAULT, call_join(&c.call));
	EXPECT_EQ(10, fetch_call(self->client, &self->call));
	EXPECT_EQ(-EIDRM, fetch_call(self->client, &self->call));
	slow_end(&self->slow);
}

/*
 * A mailbox ends two calls, and a more urgent thread fails to fetch the second before the
 * thread that ended them goes on.
 */
static int fail_and_end(int fd, struct mbox_call_wait *fixed, struct mbox_msg *rep)
{
	const struct sched_param urgent = { .sched_priority = 50 };
	struct call call = { .arg = fixed };
	__u64 first, second;

	CHECK_EQ(0, start_call(fd, 1, 0, 0, &first));
	CHECK_EQ(0, start_call(fd, 2, 0, 0, &second));
	/* It is the last of the two that the kernel ends. */
	CHECK_EQ(0, mprotect(fixed, 4096, PROT_READ | PROT_WRITE));
	*fixed = (struct mbox_call_wait){
		.token = first,
		.rep = (uintptr_t)rep,
		.msg_size = sizeof(*rep),
	};
	CHECK_EQ(0, mprotect(fixed, 4096, PROT_READ));
	CHECK_EQ(0, call_start(&call, fd, MBOX_IOC_CALL_WAIT));
	CHECK_EQ(0, -pthread_setschedparam(call.thread, SCHED_FIFO, &urgent));
	CHECK_EQ(1, await_info(fd, WAITING, 1));
	CHECK_EQ(0, raw_destroy(fd));
	CHECK_EQ(-EFAULT, call_join(&call));
	CHECK_EQ(-EIDRM, fetch_call(fd, &first));
	CHECK_EQ(-EIDRM, fetch_call(fd, &second));
	CHECK_EQ(0, close(fd));
	return 0;
}

static int fail_and_end_often(void *arg)
{
	FIXTURE_DATA(start) *self = arg;
	const struct rlimit prio = { .rlim_cur = 99, .rlim_max = 99 };
	struct mbox_call_wait *fixed;
	struct mbox_msg rep;
	__u32 value;
	int fd, i;

	fixed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(fixed != MAP_FAILED);
	rep = msg_of(&value, sizeof(value), 0);
	CHECK_EQ(0, use_cpu_0());
	CHECK_EQ(0, neg(setrlimit(RLIMIT_RTPRIO, &prio)));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	/* If the memory of one call were lost each time, the limit would be met. */
	for (i = 0; i < 150; i++) {
		fd = new_mailbox(0, 4);
		CHECK(fd >= 0);
		CHECK_EQ(0, fail_and_end(fd, fixed, &rep));
	}
	return self->fd < 0;
}

TEST_F(start, a_fetch_that_fails_while_the_mailbox_ends_calls)
{
	ASSERT_EQ(0, param_set("user_bytes", 64 * 1024));
	EXPECT_EQ(0, in_child(fail_and_end_often, self));
	EXPECT_EQ(0, param_set("user_bytes", 16 << 20));
}

/* ---- poll ------------------------------------------------------------------------ */

TEST_F(start, poll_reports_POLLPRI)
{
	struct pollfd pfd = { .fd = self->client, .events = POLLPRI | POLLOUT };

	TAKEN(self, 1);
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLOUT, pfd.revents);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLPRI | POLLOUT, pfd.revents);
	EXPECT_FALSE(is_ready(self->server, 0));
	EXPECT_EQ(10, fetch_any_call(self->client));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLOUT, pfd.revents);
}

TEST_F(start, a_reply_wakes_poll)
{
	int before;

	/* Polled before the first call, and not. */
	for (before = 0; before < 2; before++) {
		struct poller p = { 0 };
		int fd = open_again(self->fd, O_WRONLY);

		if (!before)
			ASSERT_EQ(0, start_call(fd, 1, 0, 0, &self->call));
		ASSERT_EQ(0, poller_start(&p, fd, POLLPRI));
		if (before)
			ASSERT_EQ(0, start_call(fd, 1, 0, 0, &self->call));
		ASSERT_EQ(1, get_request(self->server, 0, &self->token));
		EXPECT_EQ(0, answer(self->server, self->token, 10));
		EXPECT_EQ(POLLPRI, poller_join(&p));
		EXPECT_EQ(10, fetch_any_call(fd));
		close(fd);
	}
}

TEST_F(start, epoll_reports_each_edge)
{
	struct epoll_event event = { .events = EPOLLPRI | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC), i;

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->client, &event));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	for (i = 0; i < 3; i++) {
		TAKEN(self, i);
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
		EXPECT_EQ(0, answer(self->server, self->token, i));
		EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
		EXPECT_EQ((__u32)EPOLLPRI, event.events & EPOLLPRI);
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i, fetch_any_call(self->client));
	close(ep);
}

TEST_F(start, other_handles_are_not_told)
{
	struct epoll_event event = { .events = EPOLLPRI | EPOLLET };
	int other = open_again(self->fd, O_WRONLY);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	__u64 call;

	ASSERT_EQ(0, start_call(other, 9, 0, 0, &call));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, other, &event));
	EXPECT_EQ(9, get_request(self->server, 0, &self->token));
	TAKEN(self, 1);
	EXPECT_EQ(0, answer(self->server, self->token, 10));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	close(ep);
	close(other);
}

/* ---- arguments -------------------------------------------------------------------- */

TEST_F(start, invalid_arguments_are_EINVAL)
{
	struct mbox_msg msg = msg_of("abcd", 4, 0);
	struct mbox_call_start s = { .req = (uintptr_t)&msg, .msg_size = sizeof(msg) };
	struct mbox_call_wait w = { .rep = (uintptr_t)&msg, .msg_size = sizeof(msg) };
	int bit;

	for (bit = 0; bit < 32; bit++) {
		msg.flags = 1U << bit;
		if (!(msg.flags & (MBOX_DONTWAIT | MBOX_REALTIME)))
			EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_START, &s));
		if (!(msg.flags & (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_TRUNC)))
			EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_WAIT, &w));
	}
	msg = msg_of("abcd", 4, 0);
	msg.prio = MBOX_PRIO_MAX + 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_START, &s));
	msg = msg_of("abcd", 4, 0);
	msg.skip = 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_START, &s));
	msg = msg_of("abcd", 4, 0);
	msg.token = 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_START, &s));
	msg = msg_of("abcd", 4, 0);
	msg.nfds = 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_START, &s));
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_WAIT, &w));
	msg = msg_of("abcd", 4, 0);
	s.msg_size = MBOX_MSG_SIZE_MIN - 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_START, &s));
	s.msg_size = 4097;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_START, &s));
	w.msg_size = MBOX_MSG_SIZE_MIN - 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_WAIT, &w));
	w.msg_size = 4097;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_WAIT, &w));
	w.msg_size = sizeof(msg);
	w.ended = 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALL_WAIT, &w));
	EXPECT_EQ(0U, stat_of(self->fd).sent);
}

/* What a call has instead is a deadline. */
TEST_F(start, request_with_a_lifespan_is_EOPNOTSUPP)
{
	struct mbox_msg msg = msg_of("abcd", 4, 0);
	struct mbox_call_start s = { .req = (uintptr_t)&msg, .msg_size = sizeof(msg) };

	msg.lifespan_ns = 1;
	EXPECT_EQ(-EOPNOTSUPP, raw(self->client, MBOX_IOC_CALL_START, &s));
	EXPECT_EQ(-EBADF, raw(self->server, MBOX_IOC_CALL_START, &s));
	EXPECT_EQ(0U, stat_of(self->fd).sent);
}

TEST_F(start, short_structures_are_enough)
{
	__u32 value = 5;
	struct mbox_msg msg = msg_of(&value, 4, 0);
	struct mbox_call_start s = {
		.req = (uintptr_t)&msg, .msg_size = MBOX_MSG_SIZE_MIN, .rep_max = 4,
	};
	struct mbox_call_wait w = { .rep = (uintptr_t)&msg, .msg_size = MBOX_MSG_SIZE_MIN };

	ASSERT_EQ(0, raw(self->client, MBOX_IOC_CALL_START, &s));
	ASSERT_EQ(5, get_request(self->server, 0, &self->token));
	ASSERT_EQ(0, answer(self->server, self->token, 50));
	msg.nfds = POISON32;
	ASSERT_EQ(4, raw(self->client, MBOX_IOC_CALL_WAIT, &w));
	EXPECT_EQ(50U, value);
	EXPECT_EQ(s.token, w.token);
	EXPECT_EQ(POISON32, msg.nfds);
}

TEST_F(start, rights_and_modes)
{
	struct mbox_attr attr = attr_of(0, 4);
	__u64 token = 1;
	int fd;

	EXPECT_EQ(-EBADF, start_call(self->server, 1, 0, 0, &token));
	EXPECT_EQ(-EBADF, fetch_call(self->server, &token));
	EXPECT_EQ(-EBADF, raw_call_cancel(self->server, 1));
	fd = new_mailbox(MBOX_BROADCAST, 4);
	EXPECT_EQ(-EOPNOTSUPP, start_call(fd, 1, 0, 0, &token));
	EXPECT_EQ(-EOPNOTSUPP, fetch_call(fd, &token));
	EXPECT_EQ(-EOPNOTSUPP, raw_call_cancel(fd, 1));
	close(fd);
	attr.mode = MBOX_RING;
	fd = raw_create(NULL, O_RDWR, &attr);
	EXPECT_EQ(-EOPNOTSUPP, start_call(fd, 1, 0, 0, &token));
	EXPECT_EQ(-EOPNOTSUPP, fetch_call(fd, &token));
	EXPECT_EQ(-EOPNOTSUPP, raw_call_cancel(fd, 1));
	close(fd);
}

TEST_F(start, request_that_is_too_long_is_EMSGSIZE)
{
	struct mbox_msg req = msg_of("", (1 << 16) + 1, 0);

	EXPECT_EQ(-EMSGSIZE, raw_call_start(self->client, &req, 4, &self->call));
	EXPECT_EQ(0, fdinfo_number(self->client, CALLS));
}

/* ---- limits ----------------------------------------------------------------------- */

static int start_at_the_limit(void *arg)
{
	FIXTURE_DATA(start) *self = arg;
	struct mbox_msg req = msg_of("r", 1, MBOX_DONTWAIT);
	__u64 call, first = 0;
	int fd, n = 0, i;
	long ret;

	/* Its own mailbox, so that no share of another owner counts. */
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK(fd >= 0);
	/* No reply has come, and still they are charged. */
	for (;;) {
		ret = raw_call_start(fd, &req, 8192, &call);
		if (ret)
			break;
		first = first ?: call;
		n++;
	}
	CHECK_EQ(-EDQUOT, ret);
	CHECK(n > 10 && n < 256 * 1024 / 8192);
	CHECK_EQ(-EDQUOT, raw_call_start(fd, &req, 8192, &call));
	/* Withdrawn, and there is room for one. */
	CHECK_EQ(0, raw_call_cancel(fd, first));
	CHECK_EQ(0, raw_call_start(fd, &req, 8192, &call));
	CHECK_EQ(-EDQUOT, raw_call_start(fd, &req, 8192, &call));
	/* The replies always have room. */
	for (i = 0; i < n; i++) {
		static char text[8192];
		struct mbox_msg msg = msg_of(text, sizeof(text), 0), rep;
		__u64 token = 0;

		CHECK_EQ(1, raw(fd, MBOX_IOC_RECV, &msg));
		CHECK_EQ(0, raw_reply(fd, msg.token, text, sizeof(text)));
		rep = msg_of(text, sizeof(text), 0);
		CHECK_EQ(8192, raw_call_wait(fd, &token, &rep, 0));
	}
	CHECK_EQ(0, raw_call_start(fd, &req, 8192, &call));
	return self->fd < 0;
}

TEST_F(start, the_caller_is_charged_at_the_start)
{
	ASSERT_EQ(0, param_set("user_bytes", 256 * 1024));
	EXPECT_EQ(0, in_child(start_at_the_limit, self));
	EXPECT_EQ(0, param_set("user_bytes", 16 << 20));
}

/* How many calls with replies of 8 KiB the limit has room for. They are withdrawn. */
static int room_for_calls(int fd)
{
	struct mbox_msg req = msg_of("r", 1, MBOX_DONTWAIT);
	__u64 calls[64];
	int n = 0, i;

	while (n < 64 && !raw_call_start(fd, &req, 8192, &calls[n]))
		n++;
	for (i = 0; i < n; i++)
		if (raw_call_cancel(fd, calls[i]))
			return -1;
	return n;
}

/* MBOX_IOC_REPLY in a thread. */
static int reply_start(struct call *call, struct mbox_reply *arg, int fd, __u64 token,
		       const struct slow *slow)
{
	*arg = (struct mbox_reply){
		.token = token,
		.buf = (uintptr_t)slow->page,
		.len = 4096,
	};
	call->arg = arg;
	return call_start(call, fd, MBOX_IOC_REPLY);
}

/* The requests stay on lease for ever. */
static int keep_requests(void *arg)
{
	FIXTURE_DATA(start) *self = arg;
	struct mbox_msg req = msg_of("r", 1, MBOX_DONTWAIT), msg, rep;
	struct call server = { 0 };
	struct mbox_reply reply;
	int fd, before, i;
	__u64 call;
	char byte;

	CHECK_EQ(0, slow_init(&self->slow));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK(fd >= 0);
	before = room_for_calls(fd);
	CHECK(before > 10 && before < 256 * 1024 / 8192);
	/* Given up while the reply is copied: the memory is given back once. */
	CHECK_EQ(0, raw_call_start(fd, &req, 8192, &call));
	msg = msg_of(&byte, 1, MBOX_LEASE | MBOX_DONTWAIT);
	CHECK_EQ(1, raw(fd, MBOX_IOC_RECV, &msg));
	CHECK_EQ(0, reply_start(&server, &reply, fd, msg.token, &self->slow));
	CHECK_EQ(0, slow_await(&self->slow));
	CHECK_EQ(0, raw_call_cancel(fd, call));
	CHECK_EQ(before - 1, room_for_calls(fd));
	CHECK_EQ(0, slow_go_on(&self->slow));
	CHECK_EQ(-ESRCH, call_join(&server));
	CHECK_EQ(before, room_for_calls(fd));

	for (i = 0; i < 40; i++) {
		req.deadline_ns = i & 1 ? in_ms(CLOCK_MONOTONIC, 300) : 0;
		req.flags = i & 1 ? 0 : MBOX_DONTWAIT;
		CHECK_EQ(0, raw_call_start(fd, &req, 8192, &call));
		msg = msg_of(&byte, 1, MBOX_LEASE | MBOX_DONTWAIT);
		CHECK_EQ(1, raw(fd, MBOX_IOC_RECV, &msg));
		rep = msg_of(&byte, 1, 0);
		if (!(i & 1))
			CHECK_EQ(0, raw_call_cancel(fd, call));
		else
			CHECK_EQ(-ETIMEDOUT, raw_call_wait(fd, &call, &rep, 0));
	}
	slow_end(&self->slow);
	return 0;
}

TEST_F(start, a_server_that_keeps_requests_keeps_no_memory_for_replies)
{
	ASSERT_EQ(0, param_set("user_bytes", 256 * 1024));
	EXPECT_EQ(0, in_child(keep_requests, self));
	EXPECT_EQ(0, param_set("user_bytes", 16 << 20));
}

TEST_HARNESS_MAIN
