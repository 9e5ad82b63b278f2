// SPDX-License-Identifier: GPL-2.0-only
/* Calls with everything: descriptors in requests and replies, both clocks. */
#include <poll.h>
#include <sys/wait.h>

#include "calls.h"
#include "fds.h"

FIXTURE(callmsg)
{
	int fd;
	int server;
	int client;
	int pipe[2];
	int open;
	__u64 call;
	struct got got;
};

static int open_three(FIXTURE_DATA(callmsg) *self, __u32 flags, __u32 capacity)
{
	close(self->fd);
	close(self->server);
	close(self->client);
	self->fd = new_mailbox(flags, capacity);
	self->server = open_again(self->fd, O_RDONLY);
	self->client = open_again(self->fd, O_WRONLY);
	return self->fd < 0 || self->server < 0 || self->client < 0 ? -EBADF : 0;
}

FIXTURE_SETUP(callmsg)
{
	self->fd = -1;
	self->server = -1;
	self->client = -1;
	ASSERT_EQ(0, open_three(self, 0, 4));
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, catch_signal(SIGUSR2, SA_RESTART));
	self->open = open_descriptors();
}

FIXTURE_TEARDOWN(callmsg)
{
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->client);
	close(self->server);
	close(self->fd);
}

/* MBOX_IOC_CALLMSG in a thread. */
struct caller2 {
	struct call call;
	struct mbox_callmsg arg;
	struct mbox_msg req;
	struct mbox_msg rep;
	__u32 value;
	__u32 answer;
	int fds[4];
};

static int caller2_start(struct caller2 *c, int fd, __u32 value, __u32 room)
{
	c->value = value;
	c->answer = POISON32;
	memset(c->fds, POISON, sizeof(c->fds));
	c->req.buf = (uintptr_t)&c->value;
	c->req.len = sizeof(c->value);
	c->rep = msg_of(&c->answer, sizeof(c->answer), 0);
	c->rep.nfds = room;
	c->rep.fds = room ? (uintptr_t)c->fds : 0;
	c->arg.req = (uintptr_t)&c->req;
	c->arg.rep = (uintptr_t)&c->rep;
	c->arg.msg_size = sizeof(c->req);
	c->call.arg = &c->arg;
	return call_start(&c->call, fd, MBOX_IOC_CALLMSG);
}

static long caller2_join(struct caller2 *c)
{
	long ret = call_join(&c->call);

	if (ret < 0)
		return ret;
	return ret == sizeof(c->answer) && c->answer <= INT32_MAX ? (long)c->answer : -EBADMSG;
}

static long raw_replymsg(int fd, __u64 token, __u32 value, const int *fds, __u32 n)
{
	struct mbox_replymsg arg = {
		.token = token,
		.buf = (uintptr_t)&value,
		.len = sizeof(value),
		.nfds = n,
		.fds = (uintptr_t)fds,
	};

	return raw(fd, MBOX_IOC_REPLYMSG, &arg);
}

/* Files are closed some time later. */
static bool pipe_is_closed(FIXTURE_DATA(callmsg) *self, int timeout)
{
	struct pollfd pfd = { .fd = self->pipe[0] };

	return poll(&pfd, 1, timeout) == 1 && pfd.revents & POLLHUP;
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return !fstat(a, &sa) && !fstat(b, &sb) && sa.st_ino == sb.st_ino &&
	       sa.st_dev == sb.st_dev;
}

/* Reply with the only descriptor of the pipe's end. */
static long give_away(FIXTURE_DATA(callmsg) *self, __u64 token)
{
	long ret = raw_replymsg(self->server, token, 70, &self->pipe[1], 1);

	close(self->pipe[1]);
	self->pipe[1] = -1;
	return ret;
}

/* ---- calls that wait ----------------------------------------------------------- */

TEST_F(callmsg, descriptors_travel_both_ways)
{
	struct caller2 c = { 0 };

	c.req.nfds = 1;
	c.req.fds = (uintptr_t)&self->pipe[0];
	c.req.prio = 5;
	c.req.type = 6;
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(4, recv_fds(self->server, 0, 1, &self->got));
	EXPECT_EQ(7U, self->got.value);
	EXPECT_EQ(5U, self->got.msg.prio);
	EXPECT_EQ(6U, self->got.msg.type);
	ASSERT_EQ(1U, self->got.msg.nfds);
	EXPECT_TRUE(same_file(self->pipe[0], self->got.fds[0]));
	EXPECT_EQ(0, raw_replymsg(self->server, self->got.msg.token, 70, self->pipe, 2));
	EXPECT_EQ(70, caller2_join(&c));
	ASSERT_EQ(2U, c.rep.nfds);
	EXPECT_EQ(4U, c.rep.len);
	EXPECT_EQ(0U, c.rep.flags);
	EXPECT_TRUE(same_file(self->pipe[1], c.fds[1]));
	EXPECT_EQ(FD_CLOEXEC, fcntl(c.fds[0], F_GETFD));
	EXPECT_EQ(O_WRONLY, fcntl(c.fds[1], F_GETFL) & O_ACCMODE);
	EXPECT_EQ(self->open + 3, open_descriptors());
	EXPECT_EQ(-ESRCH, raw_replymsg(self->server, self->got.msg.token, 70, self->pipe, 2));
}

TEST_F(callmsg, replies_without_descriptors)
{
	struct caller2 c = { 0 };
	__u64 token;

	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 2));
	ASSERT_EQ(7, get_request(self->server, 0, &token));
	EXPECT_EQ(0, answer(self->server, token, 70));
	EXPECT_EQ(70, caller2_join(&c));
	EXPECT_EQ(0U, c.rep.nfds);
	EXPECT_EQ(0U, c.rep.flags);
	EXPECT_EQ((int)POISON32, c.fds[0]);
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 2));
	ASSERT_EQ(7, get_request(self->server, 0, &token));
	EXPECT_EQ(0, raw_replymsg(self->server, token, 70, NULL, 0));
	EXPECT_EQ(70, caller2_join(&c));
}

TEST_F(callmsg, descriptors_without_room_are_closed)
{
	struct caller2 c = { 0 };
	struct caller plain = { 0 };
	__u64 token;

	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 0));
	ASSERT_EQ(7, get_request(self->server, 0, &token));
	EXPECT_EQ(0, give_away(self, token));
	EXPECT_EQ(70, caller2_join(&c));
	EXPECT_EQ(0U, c.rep.nfds);
	EXPECT_EQ(MBOX_CTRUNC, c.rep.flags);
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));

	/* MBOX_IOC_CALL has no room. */
	close(self->pipe[0]);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	ASSERT_EQ(0, caller_start(&plain, self->client, 8));
	ASSERT_EQ(8, get_request(self->server, 0, &token));
	EXPECT_EQ(0, give_away(self, token));
	EXPECT_EQ(70, caller_join(&plain));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	EXPECT_EQ(self->open - 1, open_descriptors());
}

TEST_F(callmsg, library_calls_and_replies_with_descriptors)
{
	struct mbox *client = mbox_from_fd(self->client), *server = mbox_from_fd(self->server);
	struct mbox_msg req = msg_of("ping", 4, 0), rep;
	char text[8] = "";
	int fd = -1;
	pid_t pid;

	ASSERT_TRUE(client && server);
	pid = fork();
	if (!pid) {
		struct mbox_msg msg = msg_of(text, sizeof(text), 0);

		if (mbox_recvmsg(server, &msg) != 4)
			_exit(1);
		rep = msg_of("pong!", 5, 0);
		rep.nfds = 1;
		rep.fds = (uintptr_t)&self->pipe[1];
		_exit(mbox_replymsg(server, msg.token, &rep) ? 2 : 0);
	}
	rep = msg_of(text, sizeof(text), 0);
	rep.nfds = 1;
	rep.fds = (uintptr_t)&fd;
	EXPECT_EQ(5, mbox_callmsg(client, &req, &rep));
	EXPECT_EQ(1U, rep.nfds);
	EXPECT_TRUE(same_file(self->pipe[1], fd));
	EXPECT_EQ(0, reap(pid));
}

TEST_F(callmsg, deadlines_on_both_clocks)
{
	struct caller2 c = { 0 };

	c.req.deadline_ns = in_ms(CLOCK_MONOTONIC, 20);
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 0));
	EXPECT_EQ(-ETIMEDOUT, caller2_join(&c));
	c.req.flags = MBOX_REALTIME;
	c.req.deadline_ns = in_ms(CLOCK_REALTIME, 20);
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 0));
	EXPECT_EQ(-ETIMEDOUT, caller2_join(&c));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

static struct mbox_callmsg callmsg_of(const struct mbox_msg *req, const struct mbox_msg *rep)
{
	return (struct mbox_callmsg){
		.req = (uintptr_t)req, .rep = (uintptr_t)rep, .msg_size = sizeof(*req),
	};
}

TEST_F(callmsg, MBOX_DONTWAIT_waits_for_the_reply)
{
	struct caller2 c = { .req.flags = MBOX_DONTWAIT };
	__u64 token;

	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 0));
	ASSERT_EQ(7, get_request(self->server, 0, &token));
	ASSERT_EQ(0, await_asleep(&c.call.tid));
	EXPECT_EQ(0, answer(self->server, token, 70));
	EXPECT_EQ(70, caller2_join(&c));
	/* The deadline is that of the reply. */
	c = (struct caller2){
		.req.flags = MBOX_DONTWAIT,
		.req.deadline_ns = in_ms(CLOCK_MONOTONIC, 30),
	};
	ASSERT_EQ(0, caller2_start(&c, self->client, 8, 0));
	EXPECT_EQ(-ETIMEDOUT, caller2_join(&c));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(callmsg, MBOX_DONTWAIT_in_a_full_mailbox_is_EAGAIN)
{
	struct mbox_msg req = msg_of("abcd", 4, MBOX_DONTWAIT), rep = msg_of(NULL, 0, 0);
	struct mbox_callmsg arg = callmsg_of(&req, &rep);
	struct mbox_stat before;
	__u32 value;
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, raw_send(self->fd, &i, 4, MBOX_DONTWAIT));
	before = stat_of(self->fd);
	EXPECT_EQ(-EAGAIN, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	req.deadline_ns = in_ms(CLOCK_MONOTONIC, 10000);
	EXPECT_EQ(-EAGAIN, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	EXPECT_TRUE(same_stat(self->fd, &before));
	/* There is room, but no time for a reply. */
	ASSERT_EQ(4, raw_recv(self->fd, &value, 4, MBOX_DONTWAIT));
	before = stat_of(self->fd);
	req.deadline_ns = 1;
	EXPECT_EQ(-ETIMEDOUT, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	EXPECT_TRUE(same_stat(self->fd, &before));
	/* O_NONBLOCK: the reply cannot be there. */
	req.deadline_ns = 0;
	ASSERT_EQ(0, fcntl(self->client, F_SETFL, O_NONBLOCK | O_WRONLY));
	EXPECT_EQ(-EAGAIN, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	EXPECT_TRUE(same_stat(self->fd, &before));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, raw(self->client, MBOX_IOC_CALLMSG, &arg));
}

TEST_F(callmsg, MBOX_DONTWAIT_without_capacity_needs_a_receiver)
{
	struct mbox_msg req = msg_of("abcd", 4, MBOX_DONTWAIT), rep = msg_of(NULL, 0, 0);
	struct mbox_callmsg arg = callmsg_of(&req, &rep);
	struct caller2 c = { .req.flags = MBOX_DONTWAIT };
	struct call server = { 0 };

	ASSERT_EQ(0, open_three(self, 0, 0));
	EXPECT_EQ(-EAGAIN, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	ASSERT_EQ(0, recv_start(&server, self->server));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 0));
	EXPECT_EQ(7, recv_join(&server));
	EXPECT_EQ(0, answer(self->server, server.msg.token, 70));
	EXPECT_EQ(70, caller2_join(&c));
}

TEST_F(callmsg, MBOX_DONTWAIT_goes_on_after_a_signal)
{
	struct caller2 c = { .req.flags = MBOX_DONTWAIT };
	__u64 token;
	int i;

	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 0));
	ASSERT_EQ(7, get_request(self->server, 0, &token));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, raw_send(self->fd, &i, 4, MBOX_DONTWAIT));
	ASSERT_EQ(0, await_asleep(&c.call.tid));
	/* That the mailbox is full now does not matter to a call that is on its way. */
	ASSERT_EQ(0, pthread_kill(c.call.thread, SIGUSR2));
	ASSERT_EQ(0, await_asleep(&c.call.tid));
	EXPECT_EQ(0, answer(self->server, token, 70));
	EXPECT_EQ(70, caller2_join(&c));
}

TEST_F(callmsg, MBOX_DONTWAIT_and_what_a_full_mailbox_drops)
{
	struct caller2 c = { .req.flags = MBOX_DONTWAIT };
	__u64 token;
	__u32 i = 9;

	ASSERT_EQ(0, open_three(self, MBOX_DROP_NEWEST, 1));
	ASSERT_EQ(0, raw_send(self->fd, &i, 4, 0));
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 0));
	EXPECT_EQ(-EPIPE, caller2_join(&c));
	ASSERT_EQ(0, open_three(self, MBOX_DROP_OLDEST, 1));
	ASSERT_EQ(0, raw_send(self->fd, &i, 4, 0));
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 0));
	/* Until it has dropped the message. */
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(7, get_request(self->server, 0, &token));
	EXPECT_EQ(0, answer(self->server, token, 70));
	EXPECT_EQ(70, caller2_join(&c));
}

TEST_F(callmsg, is_restarted_with_its_ticket)
{
	struct caller2 c = { 0 };

	c.req.nfds = 1;
	c.req.fds = (uintptr_t)&self->pipe[0];
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(4, recv_fds(self->server, 0, 1, &self->got));
	ASSERT_EQ(0, await_asleep(&c.call.tid));
	ASSERT_EQ(0, pthread_kill(c.call.thread, SIGUSR2));
	ASSERT_EQ(0, await_signals(1));
	ASSERT_EQ(0, await_asleep(&c.call.tid));
	/* It was not sent again. */
	EXPECT_EQ(-EAGAIN, take(self->server));
	EXPECT_EQ(0, raw_replymsg(self->server, self->got.msg.token, 70, &self->pipe[1], 1));
	EXPECT_EQ(70, caller2_join(&c));
	EXPECT_EQ(1U, c.rep.nfds);
	EXPECT_EQ(0U, c.arg.ticket);
	ASSERT_EQ(0, caller2_start(&c, self->client, 8, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, await_asleep(&c.call.tid));
	ASSERT_EQ(0, pthread_kill(c.call.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, caller2_join(&c));
}

TEST_F(callmsg, invalid_arguments)
{
	struct mbox_msg req = msg_of("a", 1, 0), rep = msg_of(NULL, 0, 0);
	struct mbox_callmsg arg = {
		.req = (uintptr_t)&req, .rep = (uintptr_t)&rep, .msg_size = sizeof(req),
	};
	struct mbox_stat before = stat_of(self->fd);
	int bit;

	for (bit = 0; bit < 32; bit++) {
		req.flags = 1U << bit;
		if (req.flags != MBOX_REALTIME && req.flags != MBOX_DONTWAIT)
			EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALLMSG, &arg));
		req.flags = 0;
		rep.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALLMSG, &arg));
		rep.flags = 0;
	}
	arg.reserved = 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	arg.reserved = 0;
	arg.ticket = 1;
	EXPECT_EQ(-EINVAL, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	arg.ticket = 0;
	EXPECT_EQ(-EBADF, raw(self->server, MBOX_IOC_CALLMSG, &arg));
	req.lifespan_ns = 1;
	EXPECT_EQ(-EOPNOTSUPP, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	req.lifespan_ns = 0;
	req.nfds = 1;
	req.fds = (uintptr_t)&self->client;
	EXPECT_EQ(-ELOOP, raw(self->client, MBOX_IOC_CALLMSG, &arg));
	EXPECT_TRUE(same_stat(self->fd, &before));
}

/* ---- replies ------------------------------------------------------------------- */

TEST_F(callmsg, a_reply_that_fails_leaves_the_token)
{
	struct mbox_replymsg arg = { .len = 0 };
	struct caller2 c = { 0 };
	int bad = 9999, many[MBOX_FDS_MAX + 1] = { 0 };

	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 1));
	ASSERT_EQ(7, get_request(self->server, 0, (__u64 *)&arg.token));
	EXPECT_EQ(-EBADF, raw_replymsg(self->server, arg.token, 1, &bad, 1));
	EXPECT_EQ(-ELOOP, raw_replymsg(self->server, arg.token, 1, &self->client, 1));
	EXPECT_EQ(-EFAULT, raw_replymsg(self->server, arg.token, 1, (int *)1, 1));
	EXPECT_EQ(-EINVAL, raw_replymsg(self->server, arg.token, 1, many, MBOX_FDS_MAX + 1));
	EXPECT_EQ(-EINVAL, raw_replymsg(self->server, arg.token, 1, many, 0));
	EXPECT_EQ(-EINVAL, raw_replymsg(self->server, arg.token, 1, NULL, 1));
	arg.buf = 1;
	arg.len = 4;
	EXPECT_EQ(-EFAULT, raw(self->server, MBOX_IOC_REPLYMSG, &arg));
	EXPECT_EQ(1U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(self->open, open_descriptors());
	EXPECT_EQ(0, give_away(self, arg.token));
	EXPECT_EQ(70, caller2_join(&c));
	EXPECT_EQ(1U, c.rep.nfds);
}

TEST_F(callmsg, a_reply_needs_the_right_to_receive)
{
	struct caller2 c = { 0 };
	__u64 token;

	ASSERT_EQ(0, caller2_start(&c, self->client, 1, 0));
	ASSERT_EQ(1, get_request(self->server, 0, &token));
	EXPECT_EQ(-EBADF, raw_replymsg(self->client, token, 70, NULL, 0));
	EXPECT_EQ(-EBADF, raw_replymsg(self->client, token + 1, 70, NULL, 0));
	/* Without a mailbox, too: the right is checked first. */
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EBADF, raw_replymsg(self->client, token, 70, NULL, 0));
	EXPECT_EQ(-EIDRM, raw_replymsg(self->server, token, 70, NULL, 0));
	EXPECT_EQ(-EIDRM, caller2_join(&c));
}

TEST_F(callmsg, descriptors_of_a_reply_to_a_caller_that_left_are_closed)
{
	__u64 token;

	ASSERT_EQ(0, start_call(self->client, 1, 0, 0, &self->call));
	ASSERT_EQ(1, get_request(self->server, 0, &token));
	ASSERT_EQ(0, raw_call_cancel(self->client, self->call));
	EXPECT_EQ(-ESRCH, give_away(self, token));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
}

TEST_F(callmsg, a_leaf_carries_none)
{
	struct mbox_msg req = msg_of("a", 1, 0);
	__u64 token;

	ASSERT_EQ(0, open_three(self, MBOX_LEAF, 4));
	req.nfds = 1;
	req.fds = (uintptr_t)&self->pipe[0];
	EXPECT_EQ(-ELOOP, raw_call_start(self->client, &req, 4, &token));
	ASSERT_EQ(0, start_call(self->client, 1, 0, 0, &self->call));
	ASSERT_EQ(1, get_request(self->server, 0, &token));
	EXPECT_EQ(-ELOOP, raw_replymsg(self->server, token, 1, &self->pipe[1], 1));
	EXPECT_EQ(0, answer(self->server, token, 10));
	EXPECT_EQ(10, fetch_call(self->client, &self->call));
}

/* ---- calls that do not wait ------------------------------------------------------- */

/* Fetch the reply to self->call with room for that many descriptors. */
static long fetch_fds(FIXTURE_DATA(callmsg) *self, __u32 room)
{
	__u64 token = self->call;

	memset(&self->got, POISON, sizeof(self->got));
	self->got.msg = msg_of(&self->got.value, 4, MBOX_DONTWAIT);
	self->got.msg.nfds = room;
	self->got.msg.fds = room ? (uintptr_t)self->got.fds : 0;
	return raw_call_wait(self->client, &token, &self->got.msg, 0);
}

TEST_F(callmsg, started_calls_have_descriptors_too)
{
	__u32 value = 7;
	struct mbox_msg req = msg_of(&value, 4, 0);

	req.nfds = 1;
	req.fds = (uintptr_t)&self->pipe[0];
	ASSERT_EQ(0, raw_call_start(self->client, &req, 4, &self->call));
	ASSERT_EQ(4, recv_fds(self->server, 0, 1, &self->got));
	ASSERT_EQ(1U, self->got.msg.nfds);
	close(self->got.fds[0]);
	EXPECT_EQ(0, give_away(self, self->got.msg.token));
	EXPECT_FALSE(pipe_is_closed(self, 0));
	ASSERT_EQ(4, fetch_fds(self, 1));
	EXPECT_EQ(1U, self->got.msg.nfds);
	EXPECT_EQ(MBOX_DONTWAIT, self->got.msg.flags);
	EXPECT_FALSE(pipe_is_closed(self, 0));
	close(self->got.fds[0]);
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
}

TEST_F(callmsg, EMFILE_leaves_the_reply_to_be_fetched)
{
	struct rlimit limit, none;
	__u64 token;

	ASSERT_EQ(0, start_call(self->client, 1, 0, 0, &self->call));
	ASSERT_EQ(1, get_request(self->server, 0, &token));
	ASSERT_EQ(0, raw_replymsg(self->server, token, 10, self->pipe, 2));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = dup(0) + 1;
	close(none.rlim_cur - 1);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, fetch_fds(self, 2));
	EXPECT_EQ(2U, self->got.msg.nfds);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(self->open, open_descriptors());
	ASSERT_EQ(4, fetch_fds(self, 2));
	EXPECT_EQ(2U, self->got.msg.nfds);
}

TEST_F(callmsg, closing_the_caller_closes_descriptors_of_replies)
{
	int other = open_again(self->fd, O_WRONLY);
	__u64 token;

	ASSERT_EQ(0, start_call(other, 1, 0, 0, &self->call));
	ASSERT_EQ(1, get_request(self->server, 0, &token));
	ASSERT_EQ(0, give_away(self, token));
	EXPECT_FALSE(pipe_is_closed(self, 0));
	close(other);
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
}

TEST_F(callmsg, a_name_alone_keeps_no_reply)
{
	struct mbox_attr attr = attr_of(0, 4);
	char name[64];
	__u64 token;
	int fd;

	test_name(name, sizeof(name), "callmsg");
	fd = raw_create(name, O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start_call(fd, 1, 0, 0, &self->call));
	ASSERT_EQ(1, get_request(fd, 0, &token));
	ASSERT_EQ(0, raw_replymsg(fd, token, 70, &self->pipe[1], 1));
	close(self->pipe[1]);
	self->pipe[1] = -1;
	close(fd);
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	raw_unlink(name);
}

/* A client passes the mailbox on which it wants what comes later. */
TEST_F(callmsg, handles_of_a_leaf_in_requests_and_replies)
{
	struct caller2 c = { 0 };
	int port = new_mailbox(MBOX_LEAF, 4), way = open_again(port, O_WRONLY);

	c.req.nfds = 1;
	c.req.fds = (uintptr_t)&way;
	ASSERT_EQ(0, caller2_start(&c, self->client, 7, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(4, recv_fds(self->server, 0, 1, &self->got));
	ASSERT_EQ(1U, self->got.msg.nfds);
	EXPECT_EQ(0, put(self->got.fds[0], 42));
	EXPECT_EQ(0, raw_replymsg(self->server, self->got.msg.token, 70, self->got.fds, 1));
	EXPECT_EQ(70, caller2_join(&c));
	EXPECT_EQ(0, put(c.fds[0], 43));
	EXPECT_EQ(42, take(port));
	EXPECT_EQ(43, take(port));
	close(c.fds[0]);
	close(way);
	close(port);
}

/* ---- limits --------------------------------------------------------------------- */

static int too_many_replies(void *arg)
{
	FIXTURE_DATA(callmsg) *self = arg;
	struct rlimit limit = { 64, 64 };
	int many[MBOX_FDS_MAX], fd, i;
	__u64 calls[3], tokens[3];

	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(0, 8);
	CHECK(fd >= 0);
	CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (i = 0; i < MBOX_FDS_MAX; i++)
		many[i] = self->pipe[0];
	for (i = 0; i < 3; i++) {
		CHECK_EQ(0, start_call(fd, i, 0, 0, &calls[i]));
		CHECK_EQ(i, get_request(fd, 0, &tokens[i]));
	}
	CHECK_EQ(0, raw_replymsg(fd, tokens[0], 1, many, 32));
	CHECK_EQ(0, raw_replymsg(fd, tokens[1], 1, many, 32));
	CHECK_EQ(-ETOOMANYREFS, raw_replymsg(fd, tokens[2], 1, many, 1));
	/* Not fetched, but closed. */
	CHECK_EQ(1, fetch_call(fd, &calls[0]));
	CHECK_EQ(0, raw_replymsg(fd, tokens[2], 1, many, 32));
	return 0;
}

TEST_F(callmsg, descriptors_beyond_the_limit_are_ETOOMANYREFS)
{
	EXPECT_EQ(0, in_child(too_many_replies, self));
}

TEST_HARNESS_MAIN
