// SPDX-License-Identifier: GPL-2.0-only
/* The history of a broadcast mailbox: what a handle that comes late gets first. */
#include <poll.h>

#include "random.h"
#include "slow.h"

static int new_with(__u32 flags, __u32 capacity, __u32 history)
{
	struct mbox_attr attr = attr_of(MBOX_BROADCAST | flags, capacity);
	struct mbox_create arg = {
		.oflags = O_RDWR | O_CLOEXEC,
		.attr = attr,
		.options = MBOX_OPTIONS_INIT,
	};

	arg.options.history = history;
	return raw_control(MBOX_IOC_CREATE, &arg);
}

/* A handle that only sends, so that it holds nothing back. */
static int sender_with(__u32 flags, __u32 capacity, __u32 history)
{
	int fd = new_with(flags, capacity, history), sender;

	if (fd < 0)
		return fd;
	sender = open_again(fd, O_WRONLY);
	close(fd);
	return sender;
}

#define EXPECT_TAKES(fd, ...) do {					\
	const long __want[] = { __VA_ARGS__ };				\
	unsigned int __i;						\
									\
	for (__i = 0; __i < ARRAY_SIZE(__want); __i++)			\
		EXPECT_EQ(__want[__i], take(fd))			\
			TH_LOG("message %u", __i);			\
	EXPECT_EQ(-EAGAIN, take(fd));					\
} while (0)

FIXTURE(history)
{
	int fd;
};

FIXTURE_SETUP(history)
{
	self->fd = sender_with(0, 4, 2);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(history)
{
	close(self->fd);
}

TEST_F(history, newcomer_gets_the_last_messages)
{
	int reader, i;

	for (i = 1; i <= 5; i++)
		ASSERT_EQ(0, put(self->fd, i));
	/* They take no place. */
	EXPECT_EQ(0, stat_of(self->fd).queued);
	reader = open_again(self->fd, O_RDONLY);
	EXPECT_TAKES(reader, 4, 5);
	ASSERT_EQ(0, put(self->fd, 6));
	EXPECT_TAKES(reader, 6);
	close(reader);
	reader = open_again(self->fd, O_RDONLY);
	EXPECT_TAKES(reader, 5, 6);
	close(reader);
}

TEST_F(history, last_value)
{
	int fd = sender_with(0, 1, 1), reader, i;

	ASSERT_LE(0, fd);
	reader = open_again(fd, O_RDONLY);
	EXPECT_EQ(-EAGAIN, take(reader));
	close(reader);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, put(fd, i));
		reader = open_again(fd, O_RDONLY);
		EXPECT_TAKES(reader, i);
		close(reader);
	}
	close(fd);
}

TEST_F(history, fewer_messages_than_the_history)
{
	int reader;

	ASSERT_EQ(0, put(self->fd, 7));
	reader = open_again(self->fd, O_RDONLY);
	EXPECT_TAKES(reader, 7);
	close(reader);
}

/* What a slow reader has not read is in the mailbox; a newcomer gets it from there. */
TEST_F(history, goes_on_into_what_others_have_not_read)
{
	int slow, reader, i;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	slow = open_again(self->fd, O_RDONLY);
	EXPECT_TAKES(slow, 1, 2);
	ASSERT_EQ(0, put(self->fd, 3));
	reader = open_again(self->fd, O_RDONLY);
	for (i = 4; i <= 6; i++)
		ASSERT_EQ(0, put(self->fd, i));
	EXPECT_EQ(4, stat_of(self->fd).queued);
	EXPECT_EQ(-EAGAIN, put(self->fd, 7));
	EXPECT_TAKES(reader, 2, 3, 4, 5, 6);
	EXPECT_TAKES(slow, 3, 4, 5, 6);
	EXPECT_EQ(0, stat_of(self->fd).queued);
	close(reader);
	close(slow);
	reader = open_again(self->fd, O_RDONLY);
	EXPECT_TAKES(reader, 5, 6);
	close(reader);
}

/* Senders wait for a handle that reads the history, as for any other. */
TEST_F(history, newcomer_is_waited_for)
{
	int reader, i;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	reader = open_again(self->fd, O_RDONLY);
	for (i = 3; i <= 6; i++)
		ASSERT_EQ(0, put(self->fd, i));
	EXPECT_EQ(-EAGAIN, put(self->fd, 7));
	EXPECT_EQ(1, take(reader));
	EXPECT_EQ(2, take(reader));
	EXPECT_EQ(-EAGAIN, put(self->fd, 7));
	EXPECT_EQ(3, take(reader));
	EXPECT_EQ(0, put(self->fd, 7));
	EXPECT_TAKES(reader, 4, 5, 6, 7);
	close(reader);
}

TEST_F(history, newcomer_that_leaves_holds_nothing_back)
{
	int reader, i;

	ASSERT_EQ(0, put(self->fd, 1));
	reader = open_again(self->fd, O_RDONLY);
	for (i = 2; i <= 5; i++)
		ASSERT_EQ(0, put(self->fd, i));
	close(reader);
	EXPECT_EQ(0, stat_of(self->fd).queued);
	reader = open_again(self->fd, O_RDONLY);
	EXPECT_TAKES(reader, 4, 5);
	close(reader);
}

TEST_F(history, drop_oldest_makes_newcomers_lose_it)
{
	int fd = sender_with(MBOX_DROP_OLDEST, 2, 2), reader, i;
	struct mbox_msg msg;
	__u32 value;

	ASSERT_LE(0, fd);
	for (i = 1; i <= 3; i++)
		ASSERT_EQ(0, put(fd, i));
	reader = open_again(fd, O_RDONLY);
	for (i = 4; i <= 6; i++)
		ASSERT_EQ(0, put(fd, i));
	msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
	ASSERT_EQ(4, raw(reader, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(5, value);
	/* 2, 3 and 4, of which only 4 was in the mailbox. */
	EXPECT_EQ(3, msg.lost);
	EXPECT_EQ(1, stat_of(fd).dropped);
	EXPECT_TAKES(reader, 6);
	close(reader);
	reader = open_again(fd, O_RDONLY);
	EXPECT_TAKES(reader, 5, 6);
	close(reader);
	close(fd);
}

TEST_F(history, priorities_do_not_reorder_it)
{
	int reader;

	ASSERT_EQ(0, put_as(self->fd, 1, 9, 0));
	ASSERT_EQ(0, put_as(self->fd, 2, 10, 0));
	reader = open_again(self->fd, O_RDONLY);
	EXPECT_TAKES(reader, 1, 2);
	close(reader);
}

TEST_F(history, peek_and_skip_see_it)
{
	int reader;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	reader = open_again(self->fd, O_RDONLY);
	ASSERT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(1, take_as(reader, MBOX_PEEK, 0, 0));
	EXPECT_EQ(2, take_as(reader, MBOX_PEEK, 0, 1));
	EXPECT_EQ(3, take_as(reader, MBOX_PEEK, 0, 2));
	EXPECT_EQ(-EAGAIN, take_as(reader, MBOX_PEEK, 0, 3));
	EXPECT_TAKES(reader, 1, 2, 3);
	close(reader);
}

TEST_F(history, poll_sees_it)
{
	struct pollfd pfd = { .events = POLLIN };

	ASSERT_EQ(0, put(self->fd, 1));
	pfd.fd = open_again(self->fd, O_RDONLY);
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(1, take(pfd.fd));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	close(pfd.fd);
}

/* The sender is the one of the message, with its own type and priority. */
TEST_F(history, says_who_sent_it)
{
	char payload[5000], got[5000];
	struct mbox_msg msg = msg_of(payload, sizeof(payload), 0);
	int reader;
	unsigned int i;

	for (i = 0; i < sizeof(payload); i++)
		payload[i] = i * 7 + i / 256;
	msg.prio = 3;
	msg.type = 99;
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	reader = open_again(self->fd, O_RDONLY);
	msg = msg_of(got, sizeof(got), MBOX_DONTWAIT);
	ASSERT_EQ(5000, raw(reader, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0, memcmp(got, payload, sizeof(got)));
	EXPECT_EQ(getpid(), (pid_t)msg.pid);
	EXPECT_EQ(3, msg.prio);
	EXPECT_EQ(99, msg.type);
	close(reader);
}

TEST_F(history, keeps_no_descriptors)
{
	struct mbox_msg msg = msg_of("x", 1, 0);
	int pipes[2], reader, got[1] = { -1 };
	struct pollfd pfd;
	char buf[4];

	ASSERT_EQ(0, pipe(pipes));
	msg.fds = (uintptr_t)&pipes[1];
	msg.nfds = 1;
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	close(pipes[1]);
	pfd = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLHUP, pfd.revents);
	reader = open_again(self->fd, O_RDONLY);
	msg = msg_of(buf, sizeof(buf), MBOX_DONTWAIT);
	msg.fds = (uintptr_t)got;
	msg.nfds = 1;
	EXPECT_EQ(1, raw(reader, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0, msg.nfds);
	close(reader);
	close(pipes[0]);
}

static void numbers_of(int fd, unsigned int n[3])
{
	char path[64], line[256];
	FILE *file;

	memset(n, 0xff, 3 * sizeof(*n));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "mbox-history: %u %u %u", &n[0], &n[1], &n[2]);
	if (file)
		fclose(file);
}

/* The creator pays for what is kept, and the sender only for what is not received. */
static int creator_at_its_limit(void *arg)
{
	int *param = arg, fd, other, reader, i;
	unsigned int n[3];
	char big[1000] = { 0 };

	CHECK_EQ(0, become(USER_B, 4711));
	fd = sender_with(0, 100, 50);
	other = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK(fd >= 0 && other >= 0);
	CHECK_EQ(5, pwrite(*param, "32768", 5, 0));
	for (i = 0; i < 50; i++)
		CHECK_EQ(0, raw_send(fd, big, sizeof(big), MBOX_DONTWAIT));
	numbers_of(fd, n);
	CHECK_EQ(50, (int)n[0]);
	/* The last one had no room: what came before it would be out of date. */
	CHECK(n[2] > 0);
	reader = open_again(fd, O_RDONLY);
	for (i = 0; raw_recv(reader, big, sizeof(big), MBOX_DONTWAIT) > 0; i++)
		;
	CHECK(i < 50);
	close(reader);
	close(fd);
	/* All is uncharged. */
	fd = sender_with(0, 100, 1);
	CHECK_EQ(0, raw_send(fd, big, sizeof(big), MBOX_DONTWAIT));
	numbers_of(fd, n);
	CHECK_EQ(1, (int)n[1]);
	CHECK_EQ(0, (int)n[2]);
	close(fd);
	close(other);
	return 0;
}

TEST_F(history, is_charged_to_the_creator)
{
	int param = open(PARAM_DIR "user_bytes", O_WRONLY);
	long saved = param_get("user_bytes");

	ASSERT_LE(0, param);
	EXPECT_EQ(0, in_child(creator_at_its_limit, &param));
	param_set("user_bytes", saved);
	close(param);
}

/* How many messages the limit of the user has room for. */
static int count_fitting(int fd, const char *payload, size_t len)
{
	int n;

	for (n = 0; !raw_send(fd, payload, len, MBOX_DONTWAIT); n++)
		;
	return n;
}

/* Senders that wait, however many, take no more from the creator than its history. */
static int creator_with_waiting_senders(void *arg)
{
	int *param = arg, fd, reader, other, i, fit;
	struct call senders[16] = { 0 };
	const int n = ARRAY_SIZE(senders);
	unsigned int numbers[3];
	char big[1000] = { 0 };

	CHECK_EQ(0, become(USER_B, 4711));
	fd = sender_with(0, 1, 1);
	reader = open_again(fd, O_RDONLY);
	other = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK(fd >= 0 && reader >= 0 && other >= 0);
	CHECK_EQ(6, pwrite(*param, "131072", 6, 0));
	fit = count_fitting(other, big, sizeof(big));
	while (raw_recv(other, big, sizeof(big), MBOX_DONTWAIT) > 0)
		;
	CHECK_EQ(0, raw_send(fd, big, sizeof(big), MBOX_DONTWAIT));
	for (i = 0; i < n; i++) {
		senders[i].msg = msg_of(big, sizeof(big), 0);
		CHECK_EQ(0, call_start(&senders[i], fd, MBOX_IOC_SEND));
	}
	CHECK_EQ(0, await_waiting(fd, n, 0));
	/* Besides the messages, there are two copies, and some for the sender itself. */
	CHECK(count_fitting(other, big, sizeof(big)) >= fit - (n + 1) - 5);
	while (raw_recv(other, big, sizeof(big), MBOX_DONTWAIT) > 0)
		;
	/* Each message gets its copy from its receiver. */
	for (i = 0; i <= n; i++)
		CHECK_EQ((int)sizeof(big), (int)raw_recv(reader, big, sizeof(big), 0));
	for (i = 0; i < n; i++)
		CHECK_EQ(0, call_join(&senders[i]));
	numbers_of(fd, numbers);
	CHECK_EQ(1, (int)numbers[1]);
	CHECK_EQ(0, (int)numbers[2]);
	close(reader);
	reader = open_again(fd, O_RDONLY);
	CHECK_EQ((int)sizeof(big), (int)raw_recv(reader, big, sizeof(big), MBOX_DONTWAIT));
	CHECK_EQ(-EAGAIN, (int)raw_recv(reader, big, sizeof(big), MBOX_DONTWAIT));
	close(reader);
	close(fd);
	close(other);
	return 0;
}

TEST_F(history, waiting_senders_do_not_use_up_the_limit)
{
	int param = open(PARAM_DIR "user_bytes", O_WRONLY);
	long saved = param_get("user_bytes");

	ASSERT_LE(0, param);
	EXPECT_EQ(0, in_child(creator_with_waiting_senders, &param));
	param_set("user_bytes", saved);
	close(param);
}

/* A sender waits when the last reader goes: newcomers get its message all the same. */
TEST_F(history, message_of_a_waiting_sender_is_kept)
{
	struct call sender = { 0 };
	int reader, i;

	reader = open_again(self->fd, O_RDONLY);
	for (i = 1; i <= 4; i++)
		ASSERT_EQ(0, put(self->fd, i));
	ASSERT_EQ(0, send_start(&sender, self->fd, 5));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	close(reader);
	EXPECT_EQ(0, call_join(&sender));
	reader = open_again(self->fd, O_RDONLY);
	EXPECT_TAKES(reader, 4, 5);
	close(reader);
}

TEST_F(history, fdinfo_shows_it)
{
	unsigned int n[3];
	int i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, put(self->fd, i));
	numbers_of(self->fd, n);
	EXPECT_EQ(2, n[0]);
	EXPECT_EQ(2, n[1]);
	EXPECT_EQ(0, n[2]);
}

TEST_F(history, wrong_options_are_EINVAL)
{
	struct mbox_create arg = { .oflags = O_RDWR, .attr = attr_of(0, 4),
				   .options = MBOX_OPTIONS_INIT };

	EXPECT_EQ(-EINVAL, new_with(0, 4, 5));
	EXPECT_EQ(-EINVAL, new_with(0, 4, ~0U));
	arg.options.history = 1;
	EXPECT_EQ(-EINVAL, raw_control(MBOX_IOC_CREATE, &arg));
	arg.attr.mode = MBOX_RING;
	EXPECT_EQ(-EINVAL, raw_control(MBOX_IOC_CREATE, &arg));
}

TEST_F(history, library_makes_it)
{
	struct mbox_options options = MBOX_OPTIONS_INIT;
	struct mbox_attr attr = attr_of(MBOX_BROADCAST, 3);
	struct mbox *mb, *late;
	char c;

	options.history = 1;
	mb = mbox_create_with(NULL, O_RDWR, &attr, &options);
	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, mbox_send(mb, "a", 1, 0));
	ASSERT_EQ(1, mbox_recv(mb, &c, 1, 0));
	late = mbox_reopen(mb, O_RDONLY);
	ASSERT_TRUE(!!late);
	EXPECT_EQ(1, mbox_recv(late, &c, 1, MBOX_DONTWAIT));
	EXPECT_EQ('a', c);
	mbox_close(late);
	mbox_close(mb);
}

TEST_F(history, destroy_drops_it)
{
	int fd = new_with(0, 4, 4), reader;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(1, take(fd));
	reader = open_again(fd, O_RDONLY);
	ASSERT_EQ(0, put(fd, 2));
	ASSERT_EQ(0, raw_destroy(fd));
	EXPECT_EQ(-EIDRM, take(reader));
	close(reader);
	close(fd);
}

/* Readers that come, read some and go, while others send: in order, without gaps. */
struct late_reader {
	pthread_t thread;
	int fd;
	int bad;
};

static void *come_and_go(void *arg)
{
	struct late_reader *r = arg;
	int i, j, reader;
	long last, got;

	for (i = 0; i < 200; i++) {
		reader = open_again(r->fd, O_RDONLY);
		last = -1;
		for (j = 0; j < i % 9; j++) {
			got = take(reader);
			if (got < 0)
				break;
			if (last >= 0 && got != last + 1)
				r->bad++;
			last = got;
		}
		close(reader);
	}
	return NULL;
}

TEST_F(history, readers_come_and_go)
{
	struct late_reader readers[3] = { 0 };
	int fd = sender_with(0, 8, 5), i;
	long ret;

	ASSERT_LE(0, fd);
	for (i = 0; i < 3; i++) {
		readers[i].fd = fd;
		ASSERT_EQ(0, thread_start(&readers[i].thread, come_and_go, &readers[i]));
	}
	for (i = 0; i < 3000; ) {
		ret = put(fd, i);
		if (!ret)
			i++;
		else
			ASSERT_EQ(-EAGAIN, ret);
	}
	for (i = 0; i < 3; i++) {
		pthread_join(readers[i].thread, NULL);
		EXPECT_EQ(0, readers[i].bad);
	}
	EXPECT_EQ(0, stat_of(fd).queued);
	close(fd);
}

/* Begins with the history, again and again, until it is killed. */
static int read_from_the_history(void *arg)
{
	int fd = *(int *)arg, reader, i;
	long last, got;

	for (;;) {
		reader = open_again(fd, O_RDONLY);
		CHECK(reader >= 0);
		last = -1;
		for (i = 0; i < 20; i++) {
			got = take(reader);
			if (got < 0)
				continue;
			CHECK(last < 0 || got == last + 1);
			last = got;
		}
		close(reader);
	}
}

/* No message waits for a killed reader, and the history stays what it is. */
TEST_F(history, killed_readers_hold_nothing_back)
{
	unsigned long kills = env_number("MBOX_KILLS", 60), seed = random_seed(), i;
	struct random random = { .state = seed };
	int fd = sender_with(0, 8, 5), k, n = 0, reader;
	pid_t pids[3];
	__s64 until;
	long ret;

	TH_LOG("MBOX_SEED=%lu MBOX_KILLS=%lu", seed, kills);
	ASSERT_LE(0, fd);
	for (k = 0; k < 3; k++)
		pids[k] = spawn(read_from_the_history, &fd);
	for (i = 0; i < kills; i++) {
		until = now_ns(CLOCK_MONOTONIC) + random_below(&random, 3000) * 1000;
		do {
			ret = put(fd, n);
			ASSERT_TRUE(!ret || ret == -EAGAIN);
			n += !ret;
		} while (now_ns(CLOCK_MONOTONIC) < until);
		k = random_below(&random, 3);
		kill(pids[k], SIGKILL);
		ASSERT_EQ(1000 + SIGKILL, reap(pids[k]));
		pids[k] = spawn(read_from_the_history, &fd);
	}
	for (k = 0; k < 3; k++) {
		kill(pids[k], SIGKILL);
		EXPECT_EQ(1000 + SIGKILL, reap(pids[k]));
	}
	EXPECT_EQ(0U, stat_of(fd).queued);
	EXPECT_EQ(0U, stat_of(fd).recv_handles);
	/* There is room for as many as ever. */
	for (k = 0; k < 20; k++)
		ASSERT_EQ(0, put(fd, n++));
	reader = open_again(fd, O_RDONLY);
	EXPECT_TAKES(reader, n - 5, n - 4, n - 3, n - 2, n - 1);
	close(reader);
	close(fd);
}

TEST_HARNESS_MAIN
