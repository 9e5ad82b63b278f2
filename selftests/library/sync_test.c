// SPDX-License-Identifier: GPL-2.0-only
/*
 * Semaphores, mutexes, condition variables and barriers, between processes that are
 * killed at any moment.
 */
#include "peers.h"
#include "random.h"
#include "rings.h"

#include <pthread.h>
#include <stdatomic.h>

FIXTURE(sync)
{
	char name[64];
	struct timespec past;
	struct timespec soon;
};

FIXTURE_SETUP(sync)
{
	test_name(self->name, sizeof(self->name), "sync");
	self->past = (struct timespec){ 0 };
	self->soon = deadline_in(CLOCK_MONOTONIC, 50);
}

FIXTURE_TEARDOWN(sync)
{
	mbox_barrier_unlink(self->name);
	mbox_unlink(self->name);
}

/* ---- semaphores ------------------------------------------------------------ */

TEST_F(sync, semaphore_counts)
{
	struct mbox_sem *sem = mbox_sem_open(self->name, O_CREAT | O_EXCL, 0600, 3);
	struct mbox_sem *other;
	unsigned int value, i;

	ASSERT_TRUE(!!sem);
	for (i = 3; i > 0; i--) {
		ASSERT_EQ(0, neg(mbox_sem_value(sem, &value)));
		EXPECT_EQ(i, value);
		EXPECT_EQ(0, neg(mbox_sem_wait(sem, NULL)));
	}
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_sem_wait(sem, &self->past)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_sem_wait(sem, &self->soon)));
	/* Another object holds none of these tokens. */
	other = mbox_sem_open(self->name, 0, 0, 9);
	ASSERT_TRUE(!!other);
	EXPECT_EQ(-EPERM, neg(mbox_sem_post(other)));
	EXPECT_EQ(0, neg(mbox_sem_post(sem)));
	EXPECT_EQ(0, neg(mbox_sem_wait(other, &self->past)));
	EXPECT_EQ(0, neg(mbox_sem_spend(other)));
	EXPECT_EQ(-EPERM, neg(mbox_sem_spend(other)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_sem_wait(other, &self->past)));
	EXPECT_EQ(0, neg(mbox_sem_add(other, 200)));
	ASSERT_EQ(0, neg(mbox_sem_value(sem, &value)));
	EXPECT_EQ(200U, value);
	/* The two that it still holds come back. */
	EXPECT_EQ(0, mbox_sem_close(sem));
	ASSERT_EQ(0, neg(mbox_sem_value(other, &value)));
	EXPECT_EQ(202U, value);
	EXPECT_EQ(0, mbox_sem_close(other));
	EXPECT_EQ(0, mbox_sem_close(NULL));
}

TEST_F(sync, opening_follows_the_flags)
{
	struct mbox_sem *sem;

	EXPECT_TRUE(!mbox_sem_open(self->name, 0, 0600, 1) && errno == ENOENT);
	EXPECT_TRUE(!mbox_sem_open(NULL, 0, 0600, 1) && errno == EINVAL);
	EXPECT_TRUE(!mbox_sem_open(self->name, O_CREAT | O_TRUNC, 0600, 1) && errno == EINVAL);
	sem = mbox_sem_open(self->name, O_CREAT, 0600, 1);
	ASSERT_TRUE(!!sem);
	EXPECT_TRUE(!mbox_sem_open(self->name, O_CREAT | O_EXCL, 0600, 1) && errno == EEXIST);
	EXPECT_TRUE(!mbox_mutex_open(self->name, O_CREAT | O_EXCL, 0600) && errno == EEXIST);
	EXPECT_TRUE(!mbox_cond_open(self->name, O_CREAT | O_EXCL, 0600) && errno == EEXIST);
	EXPECT_TRUE(!mbox_barrier_open(self->name, O_CREAT, 0600, 0) && errno == EINVAL);
	EXPECT_TRUE(!mbox_barrier_open(NULL, 0, 0600, 0) && errno == EINVAL);
	mbox_sem_close(sem);
	sem = mbox_sem_open(NULL, O_CREAT, 0600, 1);
	ASSERT_TRUE(!!sem);
	EXPECT_EQ(0, neg(mbox_sem_wait(sem, &self->past)));
	EXPECT_EQ(0, neg(mbox_sem_post(sem)));
	EXPECT_EQ(0, neg(mbox_sem_wait(sem, &self->past)));
	mbox_sem_close(sem);
}

static void child_holds_a_token(const char *name, int ready)
{
	struct mbox_sem *sem = mbox_sem_open(name, 0, 0, 0);

	if (sem && !mbox_sem_wait(sem, NULL) && write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

TEST_F(sync, token_of_a_killed_process_comes_back)
{
	struct mbox_sem *sem = mbox_sem_open(self->name, O_CREAT, 0600, 1);
	struct timespec limit = deadline_in(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	int ready[2];
	char byte;
	pid_t pid;

	ASSERT_TRUE(!!sem);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid)
		child_holds_a_token(self->name, ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_sem_wait(sem, &self->past)));
	kill(pid, SIGKILL);
	EXPECT_EQ(1, neg(mbox_sem_wait(sem, &limit)));
	EXPECT_EQ(0, neg(mbox_sem_post(sem)));
	/* Told once. */
	EXPECT_EQ(0, neg(mbox_sem_wait(sem, &self->past)));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	mbox_sem_close(sem);
	close(ready[0]);
	close(ready[1]);
}

/* Flow control: more than can be lost by the processes that are killed. */
#define CREDITS 100
#define KILLS 60

/* A message for each credit, as fast as credits come. */
static void child_sends_for_credits(const char *name, const char *data)
{
	struct mbox_sem *credits = mbox_sem_open(name, 0, 0, 0);
	struct mbox *mb = mbox_open(data, O_WRONLY);

	while (credits && mb && mbox_sem_wait(credits, NULL) >= 0 &&
	       !mbox_sem_spend(credits) && !mbox_send(mb, "", 1, 0))
		;
	_exit(1);
}

/* Receive up to @n messages, with a credit for each. Return how many, or -errno. */
static int receive_for_credits(struct mbox *mb, struct mbox_sem *credits, int n)
{
	char byte;
	int i;

	for (i = 0; i < n && mbox_recv(mb, &byte, 1, MBOX_DONTWAIT) == 1; i++)
		if (mbox_sem_add(credits, 1))
			return neg(-1);
	return i;
}

/*
 * A credit is lost only by a process that is killed after it has spent it and before it has
 * sent. So there are never more messages than credits, and what is left is accounted for.
 */
TEST_F(sync, killed_senders_never_exceed_their_credits)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct random r = { .state = random_seed() };
	struct mbox_sem *credits;
	unsigned int value;
	char data[80];
	struct mbox_stat st;
	struct mbox *mb;
	int i, kills, ret, received = 0;
	pid_t pids[3];

	snprintf(data, sizeof(data), "%s.data", self->name);
	attr.capacity = MBOX_UNBOUNDED;
	mb = mbox_create(data, O_RDWR | O_EXCL, &attr);
	credits = mbox_sem_open(self->name, O_CREAT | O_EXCL, 0600, CREDITS);
	ASSERT_TRUE(mb && credits);
	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		if (!pids[i])
			child_sends_for_credits(self->name, data);
	}
	for (kills = 0; kills < KILLS; kills++) {
		i = random_below(&r, 3);
		usleep(random_below(&r, 3000));
		ret = receive_for_credits(mb, credits, 1 + random_below(&r, CREDITS));
		ASSERT_LE(0, ret);
		received += ret;
		kill(pids[i], SIGKILL);
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
		pids[i] = fork();
		if (!pids[i])
			child_sends_for_credits(self->name, data);
	}
	for (i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
	}
	ASSERT_EQ(0, neg(mbox_stat(mb, &st)));
	ASSERT_EQ(0, neg(mbox_sem_value(credits, &value)));
	EXPECT_GE(CREDITS, (int)st.highest);
	EXPECT_GE(CREDITS, (int)(st.queued + value));
	EXPECT_LE(CREDITS - (KILLS + 3), (int)(st.queued + value));
	EXPECT_LT(CREDITS, received);
	TH_LOG("%d received, %d credits lost", received, CREDITS - (int)(st.queued + value));
	mbox_sem_close(credits);
	mbox_close(mb);
	mbox_unlink(data);
}

/* ---- mutexes ---------------------------------------------------------------- */

TEST_F(sync, mutex_has_one_owner)
{
	struct mbox_mutex *a = mbox_mutex_open(self->name, O_CREAT, 0600);
	struct mbox_mutex *b = mbox_mutex_open(self->name, O_CREAT, 0600);

	ASSERT_TRUE(a && b);
	EXPECT_EQ(-EPERM, neg(mbox_mutex_unlock(a)));
	EXPECT_EQ(0, neg(mbox_mutex_lock(a, NULL)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_mutex_lock(a, &self->past)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_mutex_lock(b, &self->soon)));
	EXPECT_EQ(-EPERM, neg(mbox_mutex_unlock(b)));
	EXPECT_EQ(-EINVAL, neg(mbox_mutex_consistent(a)));
	EXPECT_EQ(-EINVAL, neg(mbox_mutex_consistent(b)));
	EXPECT_EQ(0, neg(mbox_mutex_unlock(a)));
	EXPECT_EQ(0, neg(mbox_mutex_lock(b, &self->past)));
	EXPECT_EQ(0, neg(mbox_mutex_unlock(b)));
	mbox_mutex_close(b);
	mbox_mutex_close(a);
	EXPECT_EQ(0, mbox_mutex_close(NULL));
}

TEST_F(sync, next_owners_are_told_until_one_says_consistent)
{
	struct mbox_mutex *a = mbox_mutex_open(self->name, O_CREAT, 0600);
	struct mbox_mutex *b = mbox_mutex_open(self->name, O_CREAT, 0600);

	ASSERT_TRUE(a && b);
	EXPECT_EQ(0, neg(mbox_mutex_lock(a, NULL)));
	/* As a death. */
	EXPECT_EQ(0, mbox_mutex_close(a));
	errno = 0;
	EXPECT_EQ(1, mbox_mutex_lock(b, &self->past));
	EXPECT_EQ(EOWNERDEAD, errno);
	EXPECT_EQ(0, neg(mbox_mutex_unlock(b)));
	EXPECT_EQ(1, mbox_mutex_lock(b, &self->past));
	EXPECT_EQ(0, neg(mbox_mutex_consistent(b)));
	EXPECT_EQ(-EINVAL, neg(mbox_mutex_consistent(b)));
	EXPECT_EQ(0, neg(mbox_mutex_unlock(b)));
	EXPECT_EQ(0, mbox_mutex_lock(b, &self->past));
	EXPECT_EQ(0, neg(mbox_mutex_unlock(b)));
	mbox_mutex_close(b);
}

/* What a mutex protects: two numbers that are the same whenever it is free. */
struct pair {
	volatile unsigned long first;
	volatile unsigned long second;
	atomic_ulong wrong;
	atomic_ulong repaired;
	atomic_ulong inside;
};

static void count_under_the_mutex(const char *name, struct pair *pair)
{
	struct mbox_mutex *mutex = mbox_mutex_open(name, 0, 0);
	int died;

	if (!mutex)
		_exit(1);
	for (;;) {
		died = mbox_mutex_lock(mutex, NULL);
		if (died < 0)
			_exit(1);
		if (died) {
			pair->second = pair->first;
			atomic_fetch_add(&pair->repaired, 1);
			/* A process killed inside has not gone out. */
			atomic_store(&pair->inside, 0);
			mbox_mutex_consistent(mutex);
		}
		if (atomic_fetch_add(&pair->inside, 1) || pair->first != pair->second)
			atomic_fetch_add(&pair->wrong, 1);
		pair->first++;
		if (!(pair->first % 8))
			sched_yield();
		pair->second++;
		atomic_fetch_sub(&pair->inside, 1);
		if (mbox_mutex_unlock(mutex))
			_exit(1);
	}
}

TEST_F(sync, killed_owners_leave_the_data_repaired)
{
	struct mbox_mutex *mutex = mbox_mutex_open(self->name, O_CREAT, 0600);
	struct timespec limit;
	struct random r = { .state = random_seed() };
	struct pair *pair;
	pid_t pids[3];
	int i, kills;

	ASSERT_TRUE(!!mutex);
	pair = mmap(NULL, sizeof(*pair), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(pair != MAP_FAILED);
	/* The children are to be no holders of the parent's handle. */
	mbox_mutex_close(mutex);
	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		if (!pids[i])
			count_under_the_mutex(self->name, pair);
	}
	for (kills = 0; kills < 150; kills++) {
		i = random_below(&r, 3);
		usleep(random_below(&r, 3000));
		kill(pids[i], SIGKILL);
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
		pids[i] = fork();
		if (!pids[i])
			count_under_the_mutex(self->name, pair);
	}
	for (i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
	}
	mutex = mbox_mutex_open(self->name, 0, 0);
	ASSERT_TRUE(!!mutex);
	limit = deadline_in(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	EXPECT_LE(0, neg(mbox_mutex_lock(mutex, &limit)));
	EXPECT_EQ(0U, atomic_load(&pair->wrong));
	EXPECT_LT(0U, pair->first);
	TH_LOG("%lu rounds, %lu repairs", pair->first, atomic_load(&pair->repaired));
	mbox_mutex_close(mutex);
	munmap(pair, sizeof(*pair));
}

/* ---- condition variables ------------------------------------------------------ */

struct monitor {
	struct mbox_mutex *mutex;
	struct mbox_cond *cond;
	int ready;
	long ret;
};

static void *wait_until_ready(void *arg)
{
	struct monitor *m = arg;

	if (mbox_mutex_lock(m->mutex, NULL))
		return (void *)1;
	while (!m->ready) {
		m->ret = neg(mbox_cond_wait(m->cond, m->mutex, NULL));
		if (m->ret < 0)
			return (void *)2;
	}
	m->ready--;
	return (void *)(intptr_t)(mbox_mutex_unlock(m->mutex) ? 3 : 0);
}

static unsigned int waiting(FIXTURE_DATA(sync) *self)
{
	struct mbox *mb = mbox_open(self->name, O_RDWR);
	struct mbox_stat st = { 0 };

	if (mb) {
		mbox_stat(mb, &st);
		mbox_close(mb);
	}
	return st.queued;
}

static bool await_queued(FIXTURE_DATA(sync) *self, unsigned int n)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (waiting(self) != n && now_ns(CLOCK_MONOTONIC) < limit)
		usleep(1000);
	return waiting(self) == n;
}

TEST_F(sync, signal_wakes_one_and_broadcast_all)
{
	struct monitor m = { .mutex = mbox_mutex_open(NULL, O_CREAT, 0600),
			     .cond = mbox_cond_open(self->name, O_CREAT, 0600) };
	pthread_t threads[4];
	void *result;
	int i;

	ASSERT_TRUE(m.mutex && m.cond);
	/* It has no memory. */
	EXPECT_EQ(0, neg(mbox_cond_signal(m.cond)));
	EXPECT_EQ(0, neg(mbox_cond_broadcast(m.cond)));
	EXPECT_EQ(0U, waiting(self));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, wait_until_ready, &m));
	ASSERT_TRUE(await_queued(self, 4));
	ASSERT_EQ(0, neg(mbox_mutex_lock(m.mutex, NULL)));
	m.ready = 1;
	EXPECT_EQ(0, neg(mbox_cond_signal(m.cond)));
	EXPECT_EQ(3U, waiting(self));
	ASSERT_EQ(0, neg(mbox_mutex_unlock(m.mutex)));
	/* One has gone on, and the others wait. */
	ASSERT_TRUE(await_queued(self, 3));
	ASSERT_EQ(0, neg(mbox_mutex_lock(m.mutex, NULL)));
	m.ready += 3;
	EXPECT_EQ(0, neg(mbox_cond_broadcast(m.cond)));
	EXPECT_EQ(0U, waiting(self));
	ASSERT_EQ(0, neg(mbox_mutex_unlock(m.mutex)));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &result));
		EXPECT_TRUE(!result);
	}
	EXPECT_EQ(0, m.ready);
	mbox_cond_close(m.cond);
	mbox_mutex_close(m.mutex);
	EXPECT_EQ(0, mbox_cond_close(NULL));
}

TEST_F(sync, wait_that_gives_up_owns_the_mutex_again)
{
	struct mbox_mutex *mutex = mbox_mutex_open(NULL, O_CREAT, 0600);
	struct mbox_cond *cond = mbox_cond_open(self->name, O_CREAT, 0600);

	ASSERT_TRUE(mutex && cond);
	EXPECT_EQ(-EPERM, neg(mbox_cond_wait(cond, mutex, NULL)));
	ASSERT_EQ(0, neg(mbox_mutex_lock(mutex, NULL)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_cond_wait(cond, mutex, &self->soon)));
	EXPECT_EQ(0U, waiting(self));
	EXPECT_EQ(0, neg(mbox_cond_signal(cond)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_cond_wait(cond, mutex, &self->past)));
	EXPECT_EQ(0, neg(mbox_mutex_unlock(mutex)));
	mbox_cond_close(cond);
	mbox_mutex_close(mutex);
}

/* A bounded buffer: numbers that are put in, and taken out, in order. */
#define SLOTS 3

/**
 * struct buffer - what a monitor protects
 * @in, @out: how many were put in and taken out
 * @slot: the numbers
 * @wrong: a process has found another number, or too many of them
 */
struct buffer {
	volatile unsigned long in, out;
	volatile unsigned long slot[SLOTS];
	atomic_ulong wrong;
	atomic_ulong told;
};

/* What a call on the monitor has told; a dead owner has either counted or not. */
static void go_on(struct buffer *b, struct mbox_mutex *mutex, int ret)
{
	if (ret < 0)
		_exit(1);
	if (!ret)
		return;
	atomic_fetch_add(&b->told, 1);
	if (mbox_mutex_consistent(mutex))
		_exit(2);
}

/* Puts in or takes out, until it is killed. */
static void child_uses_the_buffer(const char *name, struct buffer *b, bool puts)
{
	char text[80];
	struct mbox_cond *full, *empty;
	struct mbox_mutex *mutex;

	snprintf(text, sizeof(text), "%s.lock", name);
	mutex = mbox_mutex_open(text, 0, 0);
	snprintf(text, sizeof(text), "%s.full", name);
	full = mbox_cond_open(text, 0, 0);
	empty = mbox_cond_open(name, 0, 0);
	if (!mutex || !full || !empty)
		_exit(3);
	for (;;) {
		go_on(b, mutex, mbox_mutex_lock(mutex, NULL));
		while (b->in - b->out == (puts ? SLOTS : 0))
			go_on(b, mutex, mbox_cond_wait(puts ? full : empty, mutex, NULL));
		if (b->in - b->out > SLOTS)
			atomic_fetch_add(&b->wrong, 1);
		if (puts) {
			b->slot[b->in % SLOTS] = b->in;
			b->in++;
		} else {
			if (b->slot[b->out % SLOTS] != b->out)
				atomic_fetch_add(&b->wrong, 1);
			b->out++;
		}
		if (mbox_cond_signal(puts ? empty : full) || mbox_mutex_unlock(mutex))
			_exit(4);
	}
}

/* Producers and consumers in a monitor, killed wherever they are. */
TEST_F(sync, killed_processes_leave_a_monitor_that_works)
{
	unsigned long kills = env_number("MBOX_KILLS", 150), before;
	struct random r = { .state = random_seed() };
	struct mbox_cond *full, *empty;
	char lock[80], text[80];
	struct mbox_mutex *mutex;
	struct buffer *b;
	unsigned long n;
	pid_t pids[4];
	__s64 limit;
	int i;

	snprintf(lock, sizeof(lock), "%s.lock", self->name);
	snprintf(text, sizeof(text), "%s.full", self->name);
	mutex = mbox_mutex_open(lock, O_CREAT | O_EXCL, 0600);
	full = mbox_cond_open(text, O_CREAT | O_EXCL, 0600);
	empty = mbox_cond_open(self->name, O_CREAT | O_EXCL, 0600);
	ASSERT_TRUE(mutex && full && empty);
	b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(b != MAP_FAILED);
	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		if (!pids[i])
			child_uses_the_buffer(self->name, b, i & 1);
	}
	for (n = 0; n < kills; n++) {
		i = random_below(&r, 4);
		usleep(random_below(&r, 3000));
		kill(pids[i], SIGKILL);
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
		pids[i] = fork();
		if (!pids[i])
			child_uses_the_buffer(self->name, b, i & 1);
	}
	/* A signal of a process that was killed may be lost. Then all of them go on. */
	EXPECT_EQ(0, neg(mbox_cond_broadcast(full)));
	EXPECT_EQ(0, neg(mbox_cond_broadcast(empty)));
	before = b->out;
	limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	while (b->out < before + 10 * SLOTS && now_ns(CLOCK_MONOTONIC) < limit)
		usleep(1000);
	EXPECT_LE(before + 10 * SLOTS, b->out);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, waitpid(pids[i], NULL, WNOHANG));
		kill(pids[i], SIGKILL);
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
	}
	EXPECT_EQ(0U, atomic_load(&b->wrong));
	TH_LOG("%lu taken out, %lu owners died", b->out, atomic_load(&b->told));
	/* Of those that have died, none waits. */
	EXPECT_EQ(0U, waiting(self));
	mbox_cond_close(empty);
	mbox_cond_close(full);
	mbox_mutex_close(mutex);
	mbox_unlink(lock);
	mbox_unlink(text);
	munmap(b, sizeof(*b));
}

static void child_waits(const char *lock, const char *name)
{
	struct mbox_mutex *mutex = mbox_mutex_open(lock, 0, 0);
	struct mbox_cond *cond = mbox_cond_open(name, 0, 0);

	if (mutex && cond && !mbox_mutex_lock(mutex, NULL) && !mbox_cond_wait(cond, mutex, NULL))
		_exit(0);
	_exit(1);
}

TEST_F(sync, signal_passes_over_the_dead)
{
	char lock[80];
	struct mbox_mutex *mutex;
	struct mbox_cond *cond;
	pid_t pids[3];
	int i, status;

	snprintf(lock, sizeof(lock), "%s.lock", self->name);
	mutex = mbox_mutex_open(lock, O_CREAT, 0600);
	cond = mbox_cond_open(self->name, O_CREAT, 0600);
	ASSERT_TRUE(mutex && cond);
	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		if (!pids[i])
			child_waits(lock, self->name);
		ASSERT_TRUE(await_queued(self, i + 1));
	}
	kill(pids[0], SIGKILL);
	ASSERT_EQ(pids[0], waitpid(pids[0], &status, 0));
	EXPECT_EQ(0, neg(mbox_cond_signal(cond)));
	ASSERT_EQ(pids[1], waitpid(pids[1], &status, 0));
	EXPECT_EQ(0, status);
	/* It exited as the owner, so this one learns of a death. */
	EXPECT_EQ(0, neg(mbox_cond_signal(cond)));
	ASSERT_EQ(pids[2], waitpid(pids[2], &status, 0));
	EXPECT_EQ(1, WEXITSTATUS(status));
	mbox_cond_close(cond);
	mbox_mutex_close(mutex);
}

/* ---- barriers ------------------------------------------------------------------ */

#define PARTIES 4
#define ROUNDS 30

struct party {
	struct mbox_barrier *barrier;
	atomic_int *arrived;
	atomic_int *last;
	int wrong;
};

static void *go_round(void *arg)
{
	struct party *p = arg;
	int round, ret;

	for (round = 1; round <= ROUNDS; round++) {
		atomic_fetch_add(p->arrived, 1);
		ret = neg(mbox_barrier_wait(p->barrier, NULL));
		if (ret < 0 || atomic_load(p->arrived) < round * PARTIES)
			p->wrong = ret ? ret : 1000 + round;
		if (ret == 1)
			atomic_fetch_add(p->last, 1);
	}
	return NULL;
}

TEST_F(sync, barrier_holds_all_until_the_last)
{
	struct mbox_barrier *barrier = mbox_barrier_open(self->name, O_CREAT, 0600, PARTIES);
	atomic_int arrived = 0, last = 0;
	struct party parties[PARTIES];
	pthread_t threads[PARTIES];
	int i;

	ASSERT_TRUE(!!barrier);
	for (i = 0; i < PARTIES; i++) {
		/* Half of them by an object of their own. */
		parties[i] = (struct party){ barrier, &arrived, &last, 0 };
		if (i % 2 == 0)
			parties[i].barrier = mbox_barrier_open(self->name, 0, 0, i * 99);
		ASSERT_TRUE(!!parties[i].barrier);
	}
	for (i = 0; i < PARTIES; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, go_round, &parties[i]));
	for (i = 0; i < PARTIES; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, parties[i].wrong);
		if (i % 2 == 0)
			EXPECT_EQ(0, mbox_barrier_close(parties[i].barrier));
	}
	EXPECT_EQ(ROUNDS, atomic_load(&last));
	EXPECT_EQ(0U, waiting(self));
	mbox_barrier_close(barrier);
}

TEST_F(sync, barrier_counts_only_who_waits)
{
	struct mbox_barrier *barrier = mbox_barrier_open(self->name, O_CREAT, 0600, 2);
	struct mbox_barrier *one = mbox_barrier_open(NULL, O_CREAT, 0600, 1);
	struct mbox_mutex *mutex;
	char name[MBOX_NAME_MAX + 1];
	int status;
	pid_t pid;

	ASSERT_TRUE(barrier && one);
	EXPECT_EQ(1, neg(mbox_barrier_wait(one, &self->past)));
	EXPECT_EQ(1, neg(mbox_barrier_wait(one, NULL)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_barrier_wait(barrier, &self->soon)));
	pid = fork();
	if (!pid) {
		barrier = mbox_barrier_open(self->name, 0, 0, 2);
		mbox_barrier_wait(barrier, NULL);
		_exit(1);
	}
	ASSERT_TRUE(await_queued(self, 1));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_barrier_wait(barrier, &self->soon)));
	pid = fork();
	if (!pid) {
		barrier = mbox_barrier_open(self->name, 0, 0, 2);
		_exit(barrier ? mbox_barrier_wait(barrier, NULL) : 9);
	}
	EXPECT_LE(0, neg(mbox_barrier_wait(barrier, NULL)));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
	/* What cannot be completed leaves no name. */
	snprintf(name, sizeof(name), "%s2.lock", self->name);
	mutex = mbox_mutex_open(name, O_CREAT, 0);
	ASSERT_TRUE(!!mutex);
	ASSERT_EQ(0, seteuid(1234));
	snprintf(name, sizeof(name), "%s2", self->name);
	EXPECT_TRUE(!mbox_barrier_open(name, O_CREAT, 0600, 2) && errno == EACCES);
	ASSERT_EQ(0, seteuid(0));
	EXPECT_TRUE(!mbox_barrier_open(name, 0, 0600, 2) && errno == ENOENT);
	snprintf(name, sizeof(name), "%s2.lock", self->name);
	EXPECT_EQ(0, neg(mbox_unlink(name)));
	mbox_mutex_close(mutex);
	memset(name, 'x', MBOX_NAME_MAX);
	name[MBOX_NAME_MAX] = 0;
	EXPECT_TRUE(!mbox_barrier_open(name, O_CREAT, 0600, 2) && errno == ENAMETOOLONG);
	mbox_barrier_close(one);
	mbox_barrier_close(barrier);
	EXPECT_EQ(0, mbox_barrier_close(NULL));
}

/* Passes the barrier until it is killed; counts when it comes, and when it has passed. */
static void child_goes_rounds(const char *name, atomic_ulong *counts)
{
	struct mbox_barrier *barrier = mbox_barrier_open(name, 0, 0, PARTIES);
	int ret;

	while (barrier) {
		atomic_fetch_add(&counts[0], 1);
		ret = mbox_barrier_wait(barrier, NULL);
		if (ret < 0)
			break;
		atomic_fetch_add(&counts[1], 1);
		atomic_fetch_add(&counts[2], ret);
	}
	_exit(1);
}

/* A round takes as many that come as the barrier is for, also if some of them are killed. */
TEST_F(sync, killed_processes_leave_a_barrier_that_works)
{
	struct mbox_barrier *barrier = mbox_barrier_open(self->name, O_CREAT, 0600, PARTIES);
	unsigned long kills = env_number("MBOX_KILLS", 150), n, before;
	struct random r = { .state = random_seed() };
	pid_t pids[PARTIES + 1];
	atomic_ulong *counts;
	__s64 limit;
	int i;

	ASSERT_TRUE(!!barrier);
	counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(counts != MAP_FAILED);
	/* One more than are needed, so that it goes on while one is away. */
	for (i = 0; i <= PARTIES; i++) {
		pids[i] = fork();
		if (!pids[i])
			child_goes_rounds(self->name, counts);
	}
	for (n = 0; n < kills; n++) {
		i = random_below(&r, PARTIES + 1);
		usleep(random_below(&r, 3000));
		kill(pids[i], SIGKILL);
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
		pids[i] = fork();
		if (!pids[i])
			child_goes_rounds(self->name, counts);
	}
	/* It goes on. */
	before = atomic_load(&counts[1]);
	limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	while (atomic_load(&counts[1]) < before + 10 * PARTIES && now_ns(CLOCK_MONOTONIC) < limit)
		usleep(1000);
	EXPECT_LE(before + 10 * PARTIES, atomic_load(&counts[1]));
	for (i = 0; i <= PARTIES; i++) {
		EXPECT_EQ(0, waitpid(pids[i], NULL, WNOHANG));
		kill(pids[i], SIGKILL);
		ASSERT_EQ(pids[i], waitpid(pids[i], NULL, 0));
	}
	/* Whoever has passed has come, and of each round all, unless it was killed. */
	EXPECT_GE(atomic_load(&counts[0]), atomic_load(&counts[1]));
	EXPECT_GE(atomic_load(&counts[0]), PARTIES * atomic_load(&counts[2]));
	EXPECT_GE(PARTIES * (atomic_load(&counts[2]) + kills + PARTIES + 1),
		  atomic_load(&counts[1]));
	/* This one goes on with a round whose last thread has been killed. */
	self->soon = deadline_in(CLOCK_MONOTONIC, 50);
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_barrier_wait(barrier, &self->soon)));
	EXPECT_EQ(0U, waiting(self));
	TH_LOG("%lu have passed", atomic_load(&counts[1]));
	mbox_barrier_close(barrier);
	munmap(counts, 4096);
}

/* A thread that died while it let the others through: the next one goes on with it. */
TEST_F(sync, barrier_that_was_left_open_lets_all_through)
{
	struct mbox_barrier *barrier = mbox_barrier_open(self->name, O_CREAT, 0600, 3);
	struct mbox_msg open = { .type = 1, .prio = MBOX_PRIO_MAX };
	struct mbox_mutex *mutex;
	struct mbox *mb;
	char lock[80];
	pid_t pids[2];
	int i, status;

	ASSERT_TRUE(!!barrier);
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			barrier = mbox_barrier_open(self->name, 0, 0, 3);
			_exit(barrier ? mbox_barrier_wait(barrier, NULL) : 9);
		}
	}
	ASSERT_TRUE(await_queued(self, 2));
	snprintf(lock, sizeof(lock), "%s.lock", self->name);
	mutex = mbox_mutex_open(lock, 0, 0);
	mb = mbox_open(self->name, O_RDWR);
	ASSERT_TRUE(mutex && mb);
	ASSERT_EQ(0, neg(mbox_mutex_lock(mutex, NULL)));
	ASSERT_EQ(0, neg(mbox_sendmsg(mb, &open)));
	mbox_close(mb);
	mbox_mutex_close(mutex);
	/* The next round: alone, so it ends at the deadline. */
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_barrier_wait(barrier, &self->soon)));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0U, waiting(self));
	mbox_barrier_close(barrier);
}

TEST_HARNESS_MAIN
