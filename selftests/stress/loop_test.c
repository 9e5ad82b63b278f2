// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that look again and again, because others change the mailbox meanwhile: a fatal
 * signal ends each of them.
 */
#include "kill.h"
#include "slow.h"

/* What is stopped by the end of a test. */
#define NOISY 3

/**
 * struct loop - a process whose call is kept busy
 * @fd: the mailbox
 * @name: of a mailbox that comes and goes
 * @ready: the process is about to make its call
 * @stop: the threads that keep it busy are to end
 * @noise: what they do, until then
 * @threads: those
 */
struct loop {
	int fd;
	char name[64];
	__u32 ready;
	__u32 stop;
	void (*noise)(struct loop *loop);
	pthread_t threads[NOISY];
};

static void *make_noise(void *arg)
{
	struct loop *loop = arg;

	while (!__atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE))
		loop->noise(loop);
	return NULL;
}

FIXTURE(loop)
{
	struct loop *loop;
};

FIXTURE_SETUP(loop)
{
	self->loop = shared_memory(sizeof(*self->loop));
	self->loop->fd = -1;
}

FIXTURE_TEARDOWN(loop)
{
	close(self->loop->fd);
	munmap(self->loop, sizeof(*self->loop));
}

/* Kill the process, and return how long it lived on, in milliseconds, or -errno. */
static long kill_and_reap(pid_t pid)
{
	__s64 begin = now_ns(CLOCK_MONOTONIC);
	int ret;

	if (kill(pid, SIGKILL))
		return neg(-1);
	ret = reap(pid);
	if (ret != 1000 + SIGKILL)
		return ret < 0 ? ret : -EPROTO;
	return (now_ns(CLOCK_MONOTONIC) - begin) / NSEC_PER_MSEC;
}

/* Run @fn in a process, keep it busy, and kill it several times. */
static long kill_in_loop(struct loop *loop, int (*fn)(void *arg),
			 void (*noise)(struct loop *loop))
{
	long ms, most = 0;
	int i, lap;
	pid_t pid;

	loop->noise = noise;
	for (i = 0; i < NOISY; i++)
		if (thread_start(&loop->threads[i], make_noise, loop))
			return -ENOMEM;
	for (lap = 0; lap < 5 && most >= 0; lap++) {
		loop->ready = 0;
		pid = spawn(fn, loop);
		while (!__atomic_load_n(&loop->ready, __ATOMIC_ACQUIRE))
			pause_briefly();
		usleep(20000);
		ms = kill_and_reap(pid);
		most = ms < 0 || ms > most ? ms : most;
	}
	__atomic_store_n(&loop->stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < NOISY; i++)
		pthread_join(loop->threads[i], NULL);
	return most;
}

#define EXPECT_SOON(ms) do {						\
	long __ms = (ms);						\
									\
	EXPECT_LE(0, __ms);						\
	EXPECT_GT(WAIT_LIMIT_MS / 8, __ms);				\
} while (0)

static void send_and_take(struct loop *loop)
{
	put(loop->fd, 1);
	take(loop->fd);
}

static void send_one(struct loop *loop)
{
	put(loop->fd, 1);
}

/* ---- a call that peeks is woken for messages that it does not ask for ---------- */

static int peek_for_a_type(void *arg)
{
	struct loop *loop = arg;
	__u32 value;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_PEEK | MBOX_MATCH);

	msg.type = 99;
	NOTE(loop->ready, 1);
	return raw(loop->fd, MBOX_IOC_RECV, &msg);
}

TEST_F(loop, kill_ends_a_peek)
{
	self->loop->fd = new_mailbox(0, 4);
	EXPECT_SOON(kill_in_loop(self->loop, peek_for_a_type, send_and_take));
}

/* ---- threads with one handle get each other's broadcasts ------------------------ */

static void *receive_broadcasts(void *arg)
{
	struct loop *loop = arg;
	__u32 value;

	NOTE(loop->ready, 1);
	while (raw_recv(loop->fd, &value, sizeof(value), 0) == sizeof(value))
		;
	return NULL;
}

static int receive_in_threads(void *arg)
{
	pthread_t threads[4];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(0, thread_start(&threads[i], receive_broadcasts, arg));
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	return 1;
}

TEST_F(loop, kill_ends_the_receivers_of_broadcasts)
{
	self->loop->fd = new_mailbox(MBOX_BROADCAST | MBOX_DROP_OLDEST, 4);
	EXPECT_SOON(kill_in_loop(self->loop, receive_in_threads, send_one));
}

/* ---- senders give up while their messages are being received --------------------- */

static int receive_until_killed(void *arg)
{
	struct loop *loop = arg;
	__u32 value;

	NOTE(loop->ready, 1);
	while (raw_recv(loop->fd, &value, sizeof(value), 0) >= 0)
		;
	return 1;
}

static void send_and_give_up(struct loop *loop)
{
	__u32 value = 1;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);

	msg.deadline_ns = now_ns(CLOCK_MONOTONIC) + 50000;
	raw(loop->fd, MBOX_IOC_SEND, &msg);
}

TEST_F(loop, kill_ends_the_receiver_of_messages_that_are_withdrawn)
{
	self->loop->fd = new_mailbox(0, 0);
	EXPECT_SOON(kill_in_loop(self->loop, receive_until_killed, send_and_give_up));
}

/* ---- a name is created that others destroy ---------------------------------------- */

static int create_until_killed(void *arg)
{
	struct mbox_attr attr = attr_of(0, 4);
	struct loop *loop = arg;
	int fd;

	NOTE(loop->ready, 1);
	do {
		fd = raw_create(loop->name, O_RDWR, &attr);
		if (fd >= 0)
			close(fd);
	} while (fd >= 0 || fd == -EIDRM);
	return 1;
}

static void create_and_destroy(struct loop *loop)
{
	struct mbox_attr attr = attr_of(0, 4);
	int fd = raw_create(loop->name, O_RDWR, &attr);

	if (fd < 0)
		return;
	raw_destroy(fd);
	close(fd);
}

TEST_F(loop, kill_ends_the_creation_of_a_name_that_others_destroy)
{
	test_name(self->loop->name, sizeof(self->loop->name), "loop");
	EXPECT_SOON(kill_in_loop(self->loop, create_until_killed, create_and_destroy));
	raw_unlink(self->loop->name);
}

/* ---- a send drops more messages than in one go ------------------------------------- */

#define MANY 60000U

static int send_into_less_capacity(void *arg)
{
	struct loop *loop = arg;

	NOTE(loop->ready, 1);
	put(loop->fd, 1);
	return 1;
}

static int fill_to_be_dropped(void)
{
	int fd = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	unsigned int i;

	CHECK(fd >= 0);
	for (i = 0; i < MANY; i++)
		CHECK_EQ(0, raw_send(fd, "", 0, 0));
	CHECK_EQ(0, raw_set_capacity(fd, 1));
	return fd;
}

/* What it has dropped is dropped, and the rest stays. */
TEST_F(loop, kill_ends_a_send_that_drops_many_messages)
{
	pid_t pid;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU");
	self->loop->fd = fill_to_be_dropped();
	ASSERT_LT(1, self->loop->fd);
	pid = spawn(send_into_less_capacity, self->loop);
	while (!stat_of(self->loop->fd).dropped)
		;
	EXPECT_SOON(kill_and_reap(pid));
	EXPECT_GT(MANY - 1, stat_of(self->loop->fd).dropped);
	EXPECT_EQ(MANY, stat_of(self->loop->fd).dropped + stat_of(self->loop->fd).queued);
	/* The next send drops them. */
	EXPECT_EQ(0, put(self->loop->fd, 1));
	EXPECT_EQ(1U, stat_of(self->loop->fd).queued);
}

/* ---- a send waits at a limit while others get the room ------------------------------ */

static int send_at_the_limit(void *arg)
{
	struct loop *loop = arg;
	__u32 value = 1;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	NOTE(loop->ready, 1);
	for (;;)
		CHECK_EQ(0, raw_send(loop->fd, &value, sizeof(value), 0));
}

static void take_one(struct loop *loop)
{
	if (take(loop->fd) < 0)
		pause_briefly();
}

TEST_F(loop, kill_ends_a_send_that_waits_at_a_limit)
{
	long saved = param_get("user_bytes");
	pid_t others[3];
	size_t i;

	self->loop->fd = new_mailbox(0, MBOX_UNBOUNDED);
	ASSERT_EQ(0, param_set("user_bytes", 8000));
	for (i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = spawn(send_at_the_limit, self->loop);
	EXPECT_SOON(kill_in_loop(self->loop, send_at_the_limit, take_one));
	for (i = 0; i < ARRAY_SIZE(others); i++)
		EXPECT_SOON(kill_and_reap(others[i]));
	param_set("user_bytes", saved);
}

TEST_HARNESS_MAIN
