// SPDX-License-Identifier: GPL-2.0-only
/* Readers of broadcasts that choose whether senders wait for them. */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "peers.h"
#include "random.h"

#define N 2

FIXTURE(reader)
{
	/* One that sends and does not receive, and readers. */
	int fd;
	int reader[N];
};

static int new_with(__u32 flags, __u32 capacity, __u32 history, __u64 max_bytes)
{
	struct mbox_create arg = {
		.oflags = O_WRONLY | O_CLOEXEC,
		.attr = attr_of(MBOX_BROADCAST | flags, capacity),
		.options = MBOX_OPTIONS_INIT,
	};

	arg.options.history = history;
	arg.options.max_bytes = max_bytes;
	return raw_control(MBOX_IOC_CREATE, &arg);
}

static void close_all(FIXTURE_DATA(reader) *self)
{
	int i;

	for (i = 0; i < N; i++)
		close(self->reader[i]);
	close(self->fd);
}

static void open_all(FIXTURE_DATA(reader) *self, int fd)
{
	int i;

	self->fd = fd;
	for (i = 0; i < N; i++)
		self->reader[i] = open_again(fd, O_RDONLY);
}

FIXTURE_SETUP(reader)
{
	open_all(self, new_with(0, 4, 0, 0));
	ASSERT_LE(0, self->reader[N - 1]);
}

FIXTURE_TEARDOWN(reader)
{
	close_all(self);
}

static void renew(FIXTURE_DATA(reader) *self, __u32 flags, __u32 capacity, __u32 history,
		  __u64 max_bytes)
{
	close_all(self);
	open_all(self, new_with(flags, capacity, history, max_bytes));
}

static long choose(int fd, __u32 policy)
{
	struct mbox_set_reader arg = { .policy = policy };

	return raw(fd, MBOX_IOC_SET_READER, &arg);
}

static short events_of(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	poll(&pfd, 1, 0);
	return pfd.revents;
}

static long put_some(int fd, int first, int n)
{
	long ret = 0;
	int i;

	for (i = first; i < first + n && !ret; i++)
		ret = put(fd, i);
	return ret;
}

/* Receive @first, having lost @lost before it. Return 0, or what was wrong. */
static long take_after(int fd, int first, int lost)
{
	__u32 value;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
	long ret = raw(fd, MBOX_IOC_RECV, &msg);

	if (ret < 0)
		return ret;
	if (value != (__u32)first)
		return 1000 + value;
	return (int)msg.lost == lost && !!(msg.flags & MBOX_LOST) == !!lost ? 0 : 2000 + msg.lost;
}

/* Without choices, for comparison: as always. */
static const struct {
	__u32 flags;
	const char *name;
	long full;
	long wait;
	const char *waits;
	const char *drops;
} kinds[] = {
	{ 0, "wait", -EAGAIN, 0, "wait", "drop-oldest" },
	{ MBOX_DROP_OLDEST, "drop-oldest", 0, -EPERM, "drop-oldest", "drop-oldest" },
	{ MBOX_DROP_OLDEST | MBOX_ALLOW_WAIT, "drop-oldest", 0, 0, "wait", "drop-oldest" },
	{ MBOX_DROP_NEWEST, "drop-newest", 0, -EPERM, "drop-newest", "drop-oldest" },
};

static bool has_policy(int fd, const char *policy)
{
	char path[64], text[4096], line[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (read_file(path, text, sizeof(text)))
		return false;
	snprintf(line, sizeof(line), "\nmbox-reader-policy:\t%s\n", policy);
	return strstr(text, line);
}

TEST_F(reader, policy_is_in_fdinfo)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		renew(self, kinds[i].flags, 4, 0, 0);
		ASSERT_LE(0, self->fd);
		EXPECT_TRUE(has_policy(self->reader[0], kinds[i].name));
		EXPECT_EQ(kinds[i].wait, choose(self->reader[0], MBOX_READER_WAIT));
		EXPECT_TRUE(has_policy(self->reader[0], kinds[i].waits));
		EXPECT_EQ(0, choose(self->reader[0], MBOX_READER_DROP));
		EXPECT_TRUE(has_policy(self->reader[0], kinds[i].drops));
		EXPECT_TRUE(has_policy(self->reader[1], kinds[i].name));
		EXPECT_EQ(0, choose(self->reader[0], MBOX_READER_DEFAULT));
		EXPECT_TRUE(has_policy(self->reader[0], kinds[i].name));
		EXPECT_FALSE(has_policy(self->fd, kinds[i].name));
	}
}

/* Every kind of mailbox with every pair of policies: what a send does when it is full. */
TEST_F(reader, every_combination)
{
	static const __u32 policies[] = { MBOX_READER_DEFAULT, MBOX_READER_WAIT, MBOX_READER_DROP };
	bool slow_holds, waits, drops_new;
	unsigned int i, slow, fast;
	long ret;
	int n;

	for (i = 0; i < ARRAY_SIZE(kinds) * 9; i++) {
		unsigned int kind = i / 9;

		slow = i / 3 % 3;
		fast = i % 3;
		renew(self, kinds[kind].flags, 4, 0, 0);
		ret = choose(self->reader[0], policies[slow]);
		EXPECT_EQ(slow == MBOX_READER_WAIT ? kinds[kind].wait : 0, ret);
		/* A policy that is refused changes nothing. */
		slow_holds = slow == MBOX_READER_DROP ? false :
			     slow == MBOX_READER_WAIT && !ret ? true :
			     !(kinds[kind].flags & MBOX_DROP_OLDEST);
		choose(self->reader[1], policies[fast]);
		ASSERT_EQ(0, put_some(self->fd, 0, 4));
		for (n = 0; n < 4; n++)
			EXPECT_EQ(n, take(self->reader[1]));
		waits = slow_holds && !(kinds[kind].flags & MBOX_DROP_NEWEST);
		drops_new = slow_holds && kinds[kind].flags & MBOX_DROP_NEWEST;
		EXPECT_EQ(waits ? 0 : POLLOUT, events_of(self->fd));
		EXPECT_EQ(waits ? -EAGAIN : 0, put(self->fd, 4))
			TH_LOG("kind %u, slow %u, fast %u", kind, slow, fast);
		EXPECT_EQ(waits ? 0 : 1, stat_of(self->fd).dropped);
		EXPECT_EQ(4, stat_of(self->fd).queued);
		EXPECT_EQ(0, take_after(self->reader[0], !slow_holds, !slow_holds));
		EXPECT_EQ(waits || drops_new ? -EAGAIN : 4, take(self->reader[1]));
	}
}

/* Both fall behind: whoever is waited for decides, and the other loses nothing then. */
TEST_F(reader, message_that_one_holds_is_kept_for_both)
{
	ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
	ASSERT_EQ(0, put_some(self->fd, 0, 4));
	EXPECT_EQ(-EAGAIN, put(self->fd, 4));
	EXPECT_EQ(0, take_after(self->reader[0], 0, 0));
	/* Now the first is held by nobody, the second is. */
	EXPECT_EQ(POLLOUT, events_of(self->fd));
	EXPECT_EQ(0, put(self->fd, 4));
	EXPECT_EQ(-EAGAIN, put(self->fd, 5));
	EXPECT_EQ(0, take_after(self->reader[1], 1, 1));
	EXPECT_EQ(-EAGAIN, put(self->fd, 5));
	EXPECT_EQ(0, take_after(self->reader[0], 1, 0));
	EXPECT_EQ(0, put(self->fd, 5));
	EXPECT_EQ(1, stat_of(self->fd).dropped);
}

TEST_F(reader, without_one_that_is_waited_for_no_send_waits)
{
	ASSERT_EQ(0, choose(self->reader[0], MBOX_READER_DROP));
	ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
	EXPECT_EQ(0, put_some(self->fd, 0, 100));
	EXPECT_EQ(0, take_after(self->reader[0], 96, 96));
	EXPECT_EQ(0, take_after(self->reader[1], 96, 96));
	EXPECT_EQ(96, stat_of(self->fd).dropped);
}

static void close_it(FIXTURE_DATA(reader) *self)
{
	close(self->reader[0]);
	self->reader[0] = -1;
}

static void expel_it(FIXTURE_DATA(reader) *self)
{
	struct mbox_expel arg = { .reader = 1 };

	raw(self->fd, MBOX_IOC_EXPEL, &arg);
}

static void receive_with_it(FIXTURE_DATA(reader) *self)
{
	char buf[8];

	raw_recv(self->reader[0], buf, sizeof(buf), 0);
}

static void let_it_drop(FIXTURE_DATA(reader) *self)
{
	choose(self->reader[0], MBOX_READER_DROP);
}

static void grow(FIXTURE_DATA(reader) *self)
{
	raw_set_capacity(self->fd, 5);
}

static void (*const ends[])(FIXTURE_DATA(reader) *self) = {
	close_it, expel_it, receive_with_it, let_it_drop, grow,
};

/* Every way in which a reader ceases to hold up senders wakes them and tells pollers. */
TEST_F(reader, waiting_senders_and_pollers_go_on)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	struct call sender;
	struct poller poller;
	unsigned int i;
	int epoll;

	for (i = 0; i < ARRAY_SIZE(ends) * 4; i++) {
		__u32 flags = i & 1 ? MBOX_DROP_OLDEST | MBOX_ALLOW_WAIT : 0;
		bool polls = i & 2;

		renew(self, flags, 4, 0, 0);
		ASSERT_EQ(0, choose(self->reader[0], MBOX_READER_WAIT));
		ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
		ASSERT_EQ(0, put_some(self->fd, 0, 4));
		epoll = epoll_create1(EPOLL_CLOEXEC);
		memset(&sender, 0, sizeof(sender));
		if (polls) {
			event.events = EPOLLOUT | EPOLLET;
			ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &event));
			EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
			ASSERT_EQ(0, poller_start(&poller, self->fd, POLLOUT));
		} else {
			ASSERT_EQ(0, send_start(&sender, self->fd, 4));
			ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
		}
		ends[i / 4](self);
		if (polls) {
			EXPECT_EQ(POLLOUT, poller_join(&poller));
			EXPECT_EQ(1, epoll_wait(epoll, &event, 1, WAIT_LIMIT_MS));
			EXPECT_EQ(0, put(self->fd, 4));
		} else {
			EXPECT_EQ(0, call_join(&sender)) TH_LOG("end %u", i / 4);
		}
		/* The other one has lost the first message for it, unless there is more room. */
		EXPECT_EQ(0, take_after(self->reader[1], ends[i / 4] != grow,
					ends[i / 4] != grow));
		close(epoll);
	}
}

#define MANY 40

/* More senders than are let in at once. */
TEST_F(reader, many_waiting_senders_go_on)
{
	static struct call senders[MANY];
	int i;

	ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
	ASSERT_EQ(0, put_some(self->fd, 0, 4));
	memset(senders, 0, sizeof(senders));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, send_start(&senders[i], self->fd, 4 + i));
		ASSERT_EQ(0, await_waiting(self->fd, i + 1, 0));
	}
	/* None overtakes them. */
	EXPECT_EQ(-EAGAIN, put(self->fd, 99));
	close(self->reader[0]);
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(0, call_join(&senders[i]));
	EXPECT_EQ(0, take_after(self->reader[1], MANY, MANY));
	EXPECT_EQ(MANY + 1, take(self->reader[1]));
	self->reader[0] = open_again(self->fd, O_RDONLY);
}

/* What was not held once is held when a reader that has not read it is waited for. */
TEST_F(reader, choice_holds_what_the_reader_has_not_received)
{
	ASSERT_EQ(0, choose(self->reader[0], MBOX_READER_DROP));
	ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
	ASSERT_EQ(0, put_some(self->fd, 0, 5));
	EXPECT_EQ(POLLOUT, events_of(self->fd));
	ASSERT_EQ(0, choose(self->reader[0], MBOX_READER_WAIT));
	EXPECT_EQ(0, events_of(self->fd));
	EXPECT_EQ(-EAGAIN, put(self->fd, 5));
	/* It had lost one before. */
	EXPECT_EQ(0, take_after(self->reader[0], 1, 1));
	EXPECT_EQ(0, put(self->fd, 5));
	EXPECT_EQ(-EAGAIN, put(self->fd, 6));
	ASSERT_EQ(0, choose(self->reader[0], MBOX_READER_DROP));
	EXPECT_EQ(0, put(self->fd, 6));
}

/* Processes that share the handle share its policy; another handle does not. */
TEST_F(reader, policy_is_that_of_the_open_file)
{
	int copy = dup(self->reader[0]), other;

	ASSERT_EQ(0, choose(copy, MBOX_READER_DROP));
	EXPECT_TRUE(has_policy(self->reader[0], "drop-oldest"));
	close(copy);
	EXPECT_TRUE(has_policy(self->reader[0], "drop-oldest"));
	other = open_again(self->reader[0], O_RDONLY);
	EXPECT_TRUE(has_policy(other, "wait"));
	close(other);
}

TEST_F(reader, capacity_that_shrinks_needs_more_than_one_message)
{
	int i;

	renew(self, 0, 100, 0, 0);
	ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
	ASSERT_EQ(0, put_some(self->fd, 0, 100));
	for (i = 0; i < 90; i++)
		EXPECT_EQ(i, take(self->reader[0]));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 10));
	/* Ten that are held are left. */
	EXPECT_EQ(-EAGAIN, put(self->fd, 100));
	EXPECT_EQ(100, stat_of(self->fd).queued);
	EXPECT_EQ(90, take(self->reader[0]));
	EXPECT_EQ(0, put(self->fd, 100));
	EXPECT_EQ(10, stat_of(self->fd).queued);
	EXPECT_EQ(0, take_after(self->reader[1], 91, 91));
}

/* ---- bytes ----------------------------------------------------------------- */

TEST_F(reader, another_policy_with_max_bytes_is_EOPNOTSUPP)
{
	renew(self, 0, 10, 0, 200);
	EXPECT_EQ(-EOPNOTSUPP, choose(self->reader[0], MBOX_READER_DROP));
	EXPECT_EQ(0, choose(self->reader[0], MBOX_READER_WAIT));
	EXPECT_EQ(0, choose(self->reader[0], MBOX_READER_DEFAULT));
	renew(self, MBOX_DROP_OLDEST | MBOX_ALLOW_WAIT, 10, 0, 200);
	EXPECT_EQ(-EOPNOTSUPP, choose(self->reader[0], MBOX_READER_WAIT));
	EXPECT_EQ(0, choose(self->reader[0], MBOX_READER_DROP));
}

/* ---- history --------------------------------------------------------------- */

TEST_F(reader, late_reader_holds_the_history_or_loses_it)
{
	int late, i, round;

	for (round = 0; round < 2; round++) {
		renew(self, 0, 4, 4, 0);
		ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
		ASSERT_EQ(0, put_some(self->fd, 0, 3));
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(i, take(self->reader[0]));
			EXPECT_EQ(i, take(self->reader[1]));
		}
		late = open_again(self->fd, O_RDONLY);
		if (round)
			ASSERT_EQ(0, choose(late, MBOX_READER_DROP));
		ASSERT_EQ(0, put_some(self->fd, 3, 4));
		for (i = 3; i < 7; i++)
			EXPECT_EQ(i, take(self->reader[0]));
		EXPECT_EQ(round ? 0 : -EAGAIN, put(self->fd, 7));
		if (round) {
			EXPECT_EQ(0, take_after(late, 4, 4));
			EXPECT_EQ(0, take_after(self->reader[1], 4, 1));
		} else {
			for (i = 0; i < 3; i++)
				EXPECT_EQ(0, take_after(late, i, 0));
			EXPECT_EQ(-EAGAIN, put(self->fd, 7));
			EXPECT_EQ(0, take_after(late, 3, 0));
			EXPECT_EQ(0, put(self->fd, 7));
			EXPECT_EQ(0, take_after(self->reader[1], 4, 1));
		}
		close(late);
	}
}

/* A reader that begins with what is stored holds what others do not. */
TEST_F(reader, late_reader_holds_what_is_stored)
{
	int late;

	renew(self, 0, 4, 4, 0);
	ASSERT_EQ(0, choose(self->reader[0], MBOX_READER_DROP));
	ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
	ASSERT_EQ(0, put_some(self->fd, 0, 6));
	late = open_again(self->fd, O_RDONLY);
	EXPECT_EQ(0, events_of(self->fd));
	EXPECT_EQ(-EAGAIN, put(self->fd, 6));
	EXPECT_EQ(0, take_after(late, 2, 0));
	EXPECT_EQ(0, put(self->fd, 6));
	EXPECT_EQ(0, take_after(self->reader[0], 3, 3));
	close(late);
}

/* ---- who may, and what is wrong --------------------------------------------- */

TEST_F(reader, allow_wait_is_for_broadcasts_that_drop_the_oldest)
{
	static const __u32 bad[] = {
		0, MBOX_BROADCAST, MBOX_DROP_OLDEST, MBOX_BROADCAST | MBOX_DROP_NEWEST,
	};
	struct mbox_attr attr;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		attr = attr_of(bad[i] | MBOX_ALLOW_WAIT, 4);
		EXPECT_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
	}
	attr = attr_of(MBOX_ALLOW_WAIT, 4);
	attr.mode = MBOX_RING;
	EXPECT_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
}

TEST_F(reader, errors)
{
	struct mbox_set_reader arg = { .policy = MBOX_READER_DROP, .reserved = 1 };
	struct mbox_expel expel = { .reader = 1 };
	struct mbox_attr attr = attr_of(0, 4);
	int queue = new_mailbox(0, 4), ring, both;

	attr.mode = MBOX_RING;
	ring = raw_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	ASSERT_LE(0, ring);
	EXPECT_EQ(-EINVAL, choose(self->reader[0], 3));
	EXPECT_EQ(-EINVAL, raw(self->reader[0], MBOX_IOC_SET_READER, &arg));
	EXPECT_EQ(-EFAULT, raw(self->reader[0], MBOX_IOC_SET_READER, NULL));
	EXPECT_EQ(-EBADF, choose(self->fd, MBOX_READER_DROP));
	EXPECT_EQ(-EOPNOTSUPP, choose(queue, MBOX_READER_DROP));
	EXPECT_EQ(-EOPNOTSUPP, choose(ring, MBOX_READER_DROP));
	EXPECT_TRUE(has_policy(self->reader[0], "wait"));
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_EXPEL, &expel));
	EXPECT_EQ(-ENOTCONN, choose(self->reader[0], MBOX_READER_DROP));
	EXPECT_EQ(-ENOTCONN, choose(self->reader[0], MBOX_READER_DEFAULT));
	both = open_again(self->fd, O_RDWR);
	EXPECT_EQ(0, choose(both, MBOX_READER_DROP));
	ASSERT_EQ(0, raw_destroy(both));
	EXPECT_EQ(-EIDRM, choose(both, MBOX_READER_DROP));
	EXPECT_EQ(-EIDRM, choose(both, MBOX_READER_DEFAULT));
	close(both);
	close(queue);
	close(ring);
}

TEST_F(reader, library_chooses)
{
	struct mbox *mb = mbox_from_fd(dup(self->reader[0]));

	ASSERT_NE(NULL, mb);
	EXPECT_EQ(0, mbox_set_reader(mb, MBOX_READER_DROP));
	EXPECT_TRUE(has_policy(self->reader[0], "drop-oldest"));
	EXPECT_EQ(-EINVAL, neg(mbox_set_reader(mb, 7)));
	EXPECT_EQ(0, mbox_close(mb));
}

/* ---- the end of a process, and races ---------------------------------------- */

/* A reader that is waited for is killed: the sender goes on. */
TEST_F(reader, kill_of_a_reader_that_is_waited_for)
{
	struct call sender;
	int i, status, pipes[2];
	pid_t child;
	char c;

	renew(self, MBOX_DROP_OLDEST | MBOX_ALLOW_WAIT, 4, 0, 0);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, pipe(pipes));
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			int fd = open_again(self->fd, O_RDONLY);

			if (choose(fd, MBOX_READER_WAIT) || write(pipes[1], "", 1) != 1)
				_exit(1);
			pause();
		}
		ASSERT_EQ(1, read(pipes[0], &c, 1));
		ASSERT_EQ(0, put_some(self->fd, 0, 4));
		memset(&sender, 0, sizeof(sender));
		ASSERT_EQ(0, send_start(&sender, self->fd, 4));
		ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
		kill(child, SIGKILL);
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(0, call_join(&sender));
		close(pipes[0]);
		close(pipes[1]);
		while (take(self->reader[0]) >= 0)
			;
	}
}

/* Threads that open, choose, receive, and close or are expelled, at random. */
struct restless {
	pthread_t thread;
	int fd;
	__u32 seed;
	bool stop;
	long error;
};

static void *fidget(void *arg)
{
	struct restless *r = arg;
	struct random random;
	struct mbox_expel expel;
	int fd, n, last;
	long ret;

	random.state = r->seed;
	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		fd = open_again(r->fd, O_RDONLY);
		if (fd < 0) {
			r->error = fd;
			break;
		}
		last = -1;
		for (n = random_below(&random, 40); n; n--) {
			ret = choose(fd, random_below(&random, 3));
			if (ret && ret != -ENOTCONN)
				r->error = ret;
			ret = take(fd);
			/* In order, whatever is lost. */
			if (ret >= 0 ? ret <= last : ret != -EAGAIN && ret != -ENOTCONN)
				r->error = ret;
			if (ret >= 0)
				last = ret;
			if (one_in(&random, 16)) {
				memset(&expel, 0, sizeof(expel));
				ret = raw(r->fd, MBOX_IOC_EXPEL, &expel);
				if (ret && ret != -ESRCH)
					r->error = ret;
			}
		}
		close(fd);
	}
	return NULL;
}

TEST_F(reader, races_with_close_and_expel)
{
	static const struct {
		__u32 flags, history;
	} modes[] = {
		{ 0, 0 }, { 0, 3 }, { MBOX_DROP_OLDEST | MBOX_ALLOW_WAIT, 0 },
		{ MBOX_DROP_OLDEST | MBOX_ALLOW_WAIT, 4 },
	};
	struct restless restless[3];
	unsigned int m, i;
	long ret;
	int n;

	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		renew(self, modes[m].flags, 8, modes[m].history, 0);
		ASSERT_EQ(0, choose(self->reader[0], MBOX_READER_DROP));
		close(self->reader[1]);
		for (i = 0; i < ARRAY_SIZE(restless); i++) {
			restless[i] = (struct restless){ .fd = self->fd, .seed = 7 * m + i };
			ASSERT_EQ(0, thread_start(&restless[i].thread, fidget, &restless[i]));
		}
		for (n = 0; n < 1000; n++) {
			struct mbox_msg msg = msg_of(&n, sizeof(n), 0);

			msg.deadline_ns = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
			EXPECT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
		}
		for (i = 0; i < ARRAY_SIZE(restless); i++) {
			__atomic_store_n(&restless[i].stop, true, __ATOMIC_RELEASE);
			pthread_join(restless[i].thread, NULL);
			EXPECT_EQ(0, restless[i].error);
		}
		/* Only this one is left, and is not waited for. */
		self->reader[1] = open_again(self->fd, O_RDONLY);
		ASSERT_EQ(0, choose(self->reader[1], MBOX_READER_DROP));
		ret = choose(self->reader[0], MBOX_READER_DROP);
		EXPECT_TRUE(!ret || ret == -ENOTCONN);
		EXPECT_EQ(0, put_some(self->fd, 1000, 100));
		while (take(self->reader[0]) >= 0)
			;
		while (take(self->reader[1]) >= 0)
			;
		EXPECT_EQ(0, stat_of(self->fd).queued);
		EXPECT_EQ(0, stat_of(self->fd).waiting_senders);
	}
}

TEST_HARNESS_MAIN
