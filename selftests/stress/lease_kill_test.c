// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers with jobs on lease that are killed at random moments: every job is done, none is
 * acknowledged twice, and those of one priority are delivered in order.
 *
 * MBOX_KILLS says how many workers are killed.
 */
#include "leases.h"
#include "random.h"

#define WORKERS 6
#define PRIOS 3
#define JOBS_MAX 400000
/* So many jobs are in the mailbox at a time. */
#define AHEAD 40

/**
 * struct board - what all processes see
 * @done: how often the job was worked on
 * @acked: how often it was acknowledged, as far as the worker could tell
 * @disorder: a worker got jobs of one priority in another order than they were sent
 * @failed: what a call of a worker returned that must not fail
 */
struct board {
	__u32 done[JOBS_MAX];
	__u32 acked[JOBS_MAX];
	__u32 disorder;
	long failed;
};

FIXTURE(lease_kill)
{
	struct board *board;
	int fd;
	__u32 sent;
	/* What a worker does at random. */
	__u64 seed;
	pid_t workers[WORKERS];
};

FIXTURE_VARIANT(lease_kill)
{
	__u32 flags;
	__u32 capacity;
};

FIXTURE_VARIANT_ADD(lease_kill, plain) { .capacity = 64 };
FIXTURE_VARIANT_ADD(lease_kill, fair) { .flags = MBOX_FAIR, .capacity = 256 };
FIXTURE_VARIANT_ADD(lease_kill, unbounded) { .capacity = MBOX_UNBOUNDED };

FIXTURE_SETUP(lease_kill)
{
	self->board = shared_memory(sizeof(*self->board));
	ASSERT_TRUE(!!self->board);
	self->fd = new_mailbox(variant->flags, variant->capacity);
	ASSERT_LE(0, self->fd);
	self->seed = random_seed();
}

FIXTURE_TEARDOWN(lease_kill)
{
	munmap(self->board, sizeof(*self->board));
	close(self->fd);
}

static long fail(struct board *board, long ret)
{
	__atomic_store_n(&board->failed, ret, __ATOMIC_SEQ_CST);
	return 1;
}

/* In a child, which ends only by being killed. */
static int work(void *arg)
{
	FIXTURE_DATA(lease_kill) *self = arg;
	struct board *board = self->board;
	struct random random = { .state = self->seed };
	__u32 last[PRIOS] = { 0 };
	int fd = open_again(self->fd, O_RDONLY);
	struct mbox_msg msg;
	long job, ret;

	if (fd < 0)
		return fail(board, fd);
	for (;;) {
		/* Now and then by type, which takes one from the middle. */
		job = -EAGAIN;
		if (one_in(&random, 8))
			job = lease_msg(fd, MBOX_MATCH_LE, 0, &msg);
		if (job == -EAGAIN)
			job = lease_msg(fd, 0, WAIT, &msg);
		if (job < 0 || job >= JOBS_MAX)
			return fail(board, job);
		/* Others may have had it before; one that is new comes after all new ones. */
		if (msg.deliveries == 1 && !(msg.flags & MBOX_MATCH_LE)) {
			if ((__u32)job < last[msg.prio])
				__atomic_store_n(&board->disorder, 1, __ATOMIC_SEQ_CST);
			last[msg.prio] = job;
		}
		__atomic_fetch_add(&board->done[job], 1, __ATOMIC_SEQ_CST);
		if (one_in(&random, 10)) {
			ret = nack(fd, msg.token, random_below(&random, 2) * 1000);
			if (ret)
				return fail(board, ret);
			continue;
		}
		ret = ack(fd, msg.token);
		if (ret)
			return fail(board, ret);
		__atomic_fetch_add(&board->acked[job], 1, __ATOMIC_SEQ_CST);
	}
}

static int send_some(FIXTURE_DATA(lease_kill) *self)
{
	struct mbox_stat st = stat_of(self->fd);
	__u32 n = st.queued + st.leased;
	long ret;

	while (n++ < AHEAD && self->sent < JOBS_MAX) {
		ret = put_as(self->fd, self->sent, self->sent % PRIOS, self->sent % 7);
		if (ret)
			return ret;
		self->sent++;
	}
	return 0;
}

/* Let the workers do what is left. */
static int drain(FIXTURE_DATA(lease_kill) *self)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct mbox_stat st;

	do {
		st = stat_of(self->fd);
		if (!st.queued && !st.leased)
			return 0;
		pause_briefly();
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	return -ETIMEDOUT;
}

TEST_F_TIMEOUT(lease_kill, no_job_is_lost, 3600)
{
	struct random random = { .state = self->seed };
	int i, k, n = env_number("MBOX_KILLS", 150);
	__u32 job;

	for (i = 0; i < WORKERS; i++) {
		self->seed = random_next(&random);
		self->workers[i] = spawn(work, self);
	}
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, send_some(self));
		usleep(random_below(&random, 3000));
		k = random_below(&random, WORKERS);
		kill(self->workers[k], SIGKILL);
		ASSERT_EQ(1000 + SIGKILL, reap(self->workers[k]));
		self->seed = random_next(&random);
		self->workers[k] = spawn(work, self);
	}
	EXPECT_EQ(0, drain(self));
	for (i = 0; i < WORKERS; i++) {
		kill(self->workers[i], SIGKILL);
		EXPECT_EQ(1000 + SIGKILL, reap(self->workers[i]));
	}
	EXPECT_EQ(0, self->board->failed);
	EXPECT_EQ(0U, self->board->disorder);
	EXPECT_LT(0U, self->sent);
	for (job = 0; job < self->sent; job++) {
		ASSERT_LE(1U, self->board->done[job]) TH_LOG("job %u was not done", job);
		ASSERT_GE(1U, self->board->acked[job]) TH_LOG("job %u", job);
	}
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(0U, stat_of(self->fd).leased);
	EXPECT_EQ(self->sent, stat_of(self->fd).received);
	TH_LOG("%d workers killed, %u jobs, %llu of them delivered again", n, self->sent,
	       (unsigned long long)stat_of(self->fd).redelivered);
}

TEST_HARNESS_MAIN
