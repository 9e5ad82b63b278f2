// SPDX-License-Identifier: GPL-2.0-only
/* Receiving from whichever of several mailboxes has a message. */
#include "peers.h"
#include "random.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/time.h>

#define N 4

FIXTURE(group)
{
	struct mbox_group *group;
	struct mbox *mb[N];
	struct mbox *from;
	__u32 value;
	struct mbox_msg msg;
};

FIXTURE_SETUP(group)
{
	int i;

	self->group = mbox_group_new(0);
	ASSERT_TRUE(!!self->group);
	for (i = 0; i < N; i++) {
		self->mb[i] = mbox_create(NULL, O_RDWR, NULL);
		ASSERT_TRUE(!!self->mb[i]);
	}
	self->msg = msg_of(&self->value, sizeof(self->value), MBOX_DONTWAIT);
}

FIXTURE_TEARDOWN(group)
{
	int i;

	mbox_group_free(self->group);
	for (i = 0; i < N; i++)
		mbox_close(self->mb[i]);
}

static void add_all(struct __test_metadata *_metadata, FIXTURE_DATA(group) *self)
{
	int i;

	for (i = 0; i < N; i++)
		ASSERT_EQ(0, neg(mbox_group_add(self->group, self->mb[i], 0)));
}

/* The next message's number, or -errno. */
static long next(FIXTURE_DATA(group) *self)
{
	long ret = neg(mbox_recv_any(self->group, &self->msg, &self->from));

	self->msg.len = sizeof(self->value);
	return ret < 0 ? ret : self->value;
}

static void fill(struct __test_metadata *_metadata, FIXTURE_DATA(group) *self, int i, int n)
{
	while (n--)
		ASSERT_EQ(0, put(mbox_fd(self->mb[i]), i));
}

TEST_F(group, each_mailbox_has_its_turn)
{
	int seen[N] = { 0 };
	int i, round;

	add_all(_metadata, self);
	for (i = 0; i < N; i++)
		fill(_metadata, self, i, i ? 3 : 40);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < N; i++) {
			long got = next(self);

			ASSERT_LE(0, got);
			ASSERT_TRUE(self->from == self->mb[got]);
			seen[got]++;
		}
		for (i = 0; i < N; i++)
			EXPECT_EQ(round + 1, seen[i]);
	}
	for (i = 0; i < 37; i++)
		EXPECT_EQ(0, next(self));
	EXPECT_EQ(-EAGAIN, next(self));
	EXPECT_TRUE(!self->from);
	EXPECT_EQ((__u32)MBOX_DONTWAIT, self->msg.flags);
}

TEST_F(group, higher_rank_comes_first)
{
	int i;

	for (i = 0; i < N; i++)
		ASSERT_EQ(0, neg(mbox_group_add(self->group, self->mb[i], i)));
	for (i = 0; i < N; i++)
		fill(_metadata, self, i, 2);
	for (i = N - 1; i >= 0; i--) {
		EXPECT_EQ(i, next(self));
		EXPECT_EQ(i, next(self));
	}
}

TEST_F(group, highest_priority_comes_first_if_asked)
{
	struct mbox_group *plain = self->group;
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *ring;
	int i;

	attr.mode = MBOX_RING;
	ring = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!ring);
	self->group = mbox_group_new(MBOX_GROUP_PRIO);
	ASSERT_TRUE(!!self->group);
	add_all(_metadata, self);
	ASSERT_EQ(0, neg(mbox_group_add(self->group, ring, 0)));
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, put_as(mbox_fd(self->mb[i]), i, 10 + (i * 3) % N, 0));
		ASSERT_EQ(0, put_as(mbox_fd(self->mb[i]), i, 1, 0));
	}
	/* A ring has no priorities, so its message is of the lowest. */
	self->value = 99;
	ASSERT_EQ(0, neg(mbox_send(ring, &self->value, 4, 0)));
	EXPECT_EQ(1, next(self));
	EXPECT_EQ(2, next(self));
	EXPECT_EQ(3, next(self));
	EXPECT_EQ(0, next(self));
	for (i = 0; i < N; i++)
		EXPECT_GT(N, next(self));
	EXPECT_EQ(99, next(self));
	EXPECT_TRUE(self->from == ring);
	EXPECT_EQ(-EAGAIN, next(self));
	mbox_group_free(self->group);
	self->group = plain;
	mbox_close(ring);
}

static void *send_later(void *arg)
{
	usleep(50000);
	return (void *)(intptr_t)put(mbox_fd(arg), 7);
}

TEST_F(group, call_waits_for_the_first_message)
{
	pthread_t thread;

	add_all(_metadata, self);
	self->msg.flags = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_later, self->mb[2]));
	EXPECT_EQ(7, next(self));
	EXPECT_TRUE(self->from == self->mb[2]);
	EXPECT_EQ(0U, self->msg.flags);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_F(group, deadline_ends_the_wait)
{
	static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };
	unsigned int i;

	add_all(_metadata, self);
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		__u64 begin = now_ns(CLOCK_MONOTONIC);
		struct timespec ts;

		clock_gettime(clocks[i], &ts);
		self->msg.flags = i ? MBOX_REALTIME : 0;
		self->msg.deadline_ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec + 30 * NSEC_PER_MSEC;
		EXPECT_EQ(-ETIMEDOUT, next(self));
		EXPECT_LE(30 * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - begin);
		EXPECT_TRUE(!self->from);
		/* What has passed still takes what is there. */
		self->msg.deadline_ns = 1;
		EXPECT_EQ(-ETIMEDOUT, next(self));
		fill(_metadata, self, 1, 1);
		EXPECT_EQ(1, next(self));
	}
	self->msg.flags = 0;
	self->msg.deadline_ns = ~0ULL;
	fill(_metadata, self, 3, 1);
	EXPECT_EQ(3, next(self));
}

static void on_alarm(int sig)
{
}

TEST_F(group, handler_ends_the_wait)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

	add_all(_metadata, self);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	self->msg.flags = 0;
	/* Again and again: one may come before the call. */
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &(struct itimerval){
				.it_value.tv_usec = 50000, .it_interval.tv_usec = 50000 }, NULL));
	EXPECT_EQ(-EINTR, next(self));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL));
}

TEST_F(group, error_says_which_mailbox_it_is)
{
	add_all(_metadata, self);
	ASSERT_EQ(0, neg(mbox_destroy(self->mb[1])));
	fill(_metadata, self, 2, 2);
	/* Each has its turn. */
	EXPECT_TRUE((next(self) == -EIDRM) != (next(self) == -EIDRM));
	EXPECT_EQ(0, neg(mbox_group_remove(self->group, self->mb[1])));
	EXPECT_EQ(2, next(self));
	EXPECT_EQ(-EAGAIN, next(self));
	self->msg.len = 1;
	fill(_metadata, self, 3, 1);
	EXPECT_EQ(-EMSGSIZE, next(self));
	EXPECT_TRUE(self->from == self->mb[3]);
	EXPECT_EQ(3, next(self));
}

TEST_F(group, bad_arguments_are_refused)
{
	struct mbox *sender = mbox_reopen(self->mb[0], O_WRONLY);

	ASSERT_TRUE(!!sender);
	EXPECT_TRUE(!mbox_group_new(1U << 31) && errno == EINVAL);
	EXPECT_EQ(-EBADF, neg(mbox_group_add(self->group, sender, 0)));
	EXPECT_EQ(0, neg(mbox_group_add(self->group, self->mb[0], 0)));
	EXPECT_EQ(-EEXIST, neg(mbox_group_add(self->group, self->mb[0], 0)));
	EXPECT_EQ(-ENOENT, neg(mbox_group_remove(self->group, self->mb[1])));
	fill(_metadata, self, 0, 1);
	self->msg.flags = MBOX_DONTWAIT | MBOX_MATCH;
	EXPECT_EQ(-EINVAL, next(self));
	self->msg.flags = MBOX_DONTWAIT | MBOX_PEEK;
	EXPECT_EQ(-EINVAL, next(self));
	self->msg.flags = MBOX_DONTWAIT | 1U << 31;
	EXPECT_EQ(-EINVAL, next(self));
	self->msg.flags = MBOX_DONTWAIT;
	EXPECT_EQ(0, next(self));
	EXPECT_EQ(0, neg(mbox_group_remove(self->group, self->mb[0])));
	EXPECT_EQ(-ENOENT, neg(mbox_group_remove(self->group, self->mb[0])));
	EXPECT_EQ(-EAGAIN, next(self));
	mbox_group_free(NULL);
	mbox_close(sender);
}

TEST_F(group, descriptor_is_readable_while_a_mailbox_is)
{
	struct pollfd p = { .fd = mbox_group_fd(self->group), .events = POLLIN };

	add_all(_metadata, self);
	EXPECT_EQ(FD_CLOEXEC, fcntl(p.fd, F_GETFD));
	EXPECT_EQ(0, poll(&p, 1, 0));
	fill(_metadata, self, 3, 1);
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(3, next(self));
	EXPECT_EQ(0, poll(&p, 1, 0));
}

TEST_F(group, many_mailboxes_come_and_go)
{
	const int n = 100;
	struct mbox *mb[100];
	int i;

	for (i = 0; i < n; i++) {
		mb[i] = mbox_create(NULL, O_RDWR, NULL);
		ASSERT_TRUE(!!mb[i]);
		ASSERT_EQ(0, neg(mbox_group_add(self->group, mb[i], 0)));
		ASSERT_EQ(0, put(mbox_fd(mb[i]), i));
	}
	for (i = 0; i < n; i += 2)
		ASSERT_EQ(0, neg(mbox_group_remove(self->group, mb[i])));
	for (i = 0; i < n / 2; i++)
		EXPECT_EQ(1, next(self) & 1);
	EXPECT_EQ(-EAGAIN, next(self));
	for (i = 1; i < n; i += 2)
		ASSERT_EQ(0, neg(mbox_group_remove(self->group, mb[i])));
	for (i = 0; i < n; i++)
		mbox_close(mb[i]);
}

#define THREADS 4
#define EACH 500

struct taker {
	struct mbox_group *group;
	atomic_int *left;
	long failed;
};

static void *take_some(void *arg)
{
	struct taker *t = arg;
	struct mbox *from;
	__u32 value;
	struct mbox_msg msg;
	long ret;

	for (;;) {
		msg = msg_of(&value, sizeof(value), 0);
		ret = neg(mbox_recv_any(t->group, &msg, &from));
		if (ret != 4) {
			t->failed = ret;
			return NULL;
		}
		/* The last messages send the threads home. */
		if (value == POISON32)
			return NULL;
		atomic_fetch_sub(t->left, 1);
	}
}

TEST_F(group, threads_share_a_group)
{
	struct taker takers[THREADS];
	pthread_t threads[THREADS];
	atomic_int left = N * EACH;
	int i, j;

	add_all(_metadata, self);
	for (i = 0; i < THREADS; i++) {
		takers[i] = (struct taker){ .group = self->group, .left = &left };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, take_some, &takers[i]));
	}
	for (j = 0; j < EACH; j++) {
		for (i = 0; i < N; i++) {
			self->value = j;
			ASSERT_EQ(0, neg(mbox_send(self->mb[i], &self->value, 4, 0)));
		}
	}
	self->value = POISON32;
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, neg(mbox_send(self->mb[0], &self->value, 4, 0)));
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, takers[i].failed);
	}
	/* A thread can go home while another mailbox has messages. */
	self->msg.flags = MBOX_DONTWAIT;
	while (next(self) >= 0)
		atomic_fetch_sub(&left, 1);
	EXPECT_EQ(0, atomic_load(&left));
}

/* ---- killed ----------------------------------------------------------------- */

#define JOBS_MAX 100000

/* By job: how often it was worked on, and acknowledged. */
struct board {
	FIXTURE_DATA(group) *self;
	__u32 done[JOBS_MAX];
	__u32 acked[JOBS_MAX];
};

/* Jobs of any mailbox on lease, until it is killed. */
static int work_on_any(void *arg)
{
	struct board *board = arg;
	struct mbox_group *group = mbox_group_new(0);
	struct mbox_msg msg;
	struct mbox *mb;
	__u32 job;
	int i;

	CHECK(group);
	for (i = 0; i < N; i++) {
		mb = mbox_from_fd(open_again(mbox_fd(board->self->mb[i]), O_RDONLY));
		CHECK(mb);
		CHECK_EQ(0, neg(mbox_group_add(group, mb, 0)));
	}
	for (;;) {
		msg = msg_of(&job, sizeof(job), MBOX_LEASE);
		CHECK_EQ(4, neg(mbox_recv_any(group, &msg, &mb)));
		CHECK(job < JOBS_MAX);
		__atomic_fetch_add(&board->done[job], 1, __ATOMIC_SEQ_CST);
		CHECK_EQ(0, neg(mbox_ack(mb, msg.token)));
		__atomic_fetch_add(&board->acked[job], 1, __ATOMIC_SEQ_CST);
	}
}

TEST_F(group, killed_workers_lose_no_job)
{
	unsigned long kills = env_number("MBOX_KILLS", 60), seed = random_seed(), i;
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct board *board = shared_memory(sizeof(*board));
	struct random random = { .state = seed };
	__u32 job, n = 0;
	struct mbox_stat st;
	pid_t pids[3];
	int k;

	TH_LOG("MBOX_SEED=%lu MBOX_KILLS=%lu", seed, kills);
	ASSERT_TRUE(!!board);
	board->self = self;
	for (k = 0; k < 3; k++)
		pids[k] = spawn(work_on_any, board);
	for (i = 0; i < kills; i++) {
		for (k = 0; k < 3 * N && n < JOBS_MAX; k++)
			if (!put(mbox_fd(self->mb[k % N]), n))
				n++;
		usleep(random_below(&random, 3000));
		k = random_below(&random, 3);
		kill(pids[k], SIGKILL);
		ASSERT_EQ(1000 + SIGKILL, reap(pids[k]));
		pids[k] = spawn(work_on_any, board);
	}
	for (k = 0; k < N; k++) {
		do {
			st = stat_of(mbox_fd(self->mb[k]));
			pause_briefly();
		} while ((st.queued || st.leased) && now_ns(CLOCK_MONOTONIC) < limit);
		EXPECT_EQ(0U, st.queued);
		EXPECT_EQ(0U, st.leased);
	}
	for (k = 0; k < 3; k++) {
		kill(pids[k], SIGKILL);
		EXPECT_EQ(1000 + SIGKILL, reap(pids[k]));
	}
	EXPECT_LT(0U, n);
	for (job = 0; job < n; job++) {
		ASSERT_LE(1U, board->done[job]) TH_LOG("job %u was not done", job);
		ASSERT_GE(1U, board->acked[job]) TH_LOG("job %u", job);
	}
	munmap(board, sizeof(*board));
}

TEST_HARNESS_MAIN
