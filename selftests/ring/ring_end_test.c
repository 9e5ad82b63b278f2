// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings whose participants end, each at a chosen moment: killed, unmapped,
 * closed, replaced by exec, or just one of their threads.
 */
#include "kill.h"
#include "ring_memory.h"
#include "../../libuser/src/ring_core.h"

#define CAPACITY 4U
#define MSG_MAX 100U
/* As many as a test needs. */
#define NSLEEPERS 4

/* How far a child has come. */
struct progress {
	__u32 stage;
	__u32 value;
};

FIXTURE(end)
{
	struct mbox *mb;
	int fd;
	struct ring_memory memory;
	struct progress *child;
	int mailboxes;
	long users;
};

FIXTURE_SETUP(end)
{
	self->mailboxes = count_mailboxes();
	self->users = module_users();
	self->mb = new_ring(0, CAPACITY, MSG_MAX);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	ASSERT_EQ(0, map_ring(&self->memory, self->fd, 0));
	self->child = shared_memory(NSLEEPERS * sizeof(*self->child));
	ASSERT_TRUE(!!self->child);
}

FIXTURE_TEARDOWN(end)
{
	EXPECT_EQ(0, await_waiting(self->fd, 0, 0));
	EXPECT_EQ(0, self->memory.kernel->senders);
	EXPECT_EQ(0, self->memory.kernel->receivers);
	unmap_ring(&self->memory);
	munmap(self->child, NSLEEPERS * sizeof(*self->child));
	EXPECT_EQ(0, mbox_close(self->mb));
	EXPECT_EQ(self->mailboxes, count_mailboxes());
	EXPECT_EQ(self->users, module_users());
}

/* What a child is given. */
struct job {
	struct mbox *mb;
	struct progress *progress;
	int cpu;
	unsigned int n;
};

static pid_t spawn_job(int (*fn)(void *arg), FIXTURE_DATA(end) *self, unsigned int nth,
		       unsigned int n)
{
	struct job job = {
		.mb = self->mb,
		.progress = &self->child[nth],
		.cpu = -1,
		.n = n,
	};

	job.progress->stage = 0;
	return spawn(fn, &job);
}

/* Receive one number, sleeping at once, and note it. */
static int receive_one(void *arg)
{
	struct job *job = arg;
	__u32 value = POISON32;

	if (job->cpu >= 0)
		CHECK_EQ(0, stay_on(job->cpu));
	CHECK_EQ(0, mbox_set_spin(job->mb, 0));
	CHECK_EQ(sizeof(value), mbox_recv(job->mb, &value, sizeof(value), 0));
	NOTE(job->progress->value, value);
	NOTE(job->progress->stage, 1);
	return 0;
}

static int send_one(void *arg)
{
	struct job *job = arg;

	CHECK_EQ(0, mbox_set_spin(job->mb, 0));
	CHECK_EQ(0, mbox_send(job->mb, &job->n, sizeof(job->n), 0));
	NOTE(job->progress->stage, 1);
	return 0;
}

/* Reserve that many places and stay. */
static int reserve_and_stay(void *arg)
{
	struct job *job = arg;
	unsigned int i;

	for (i = 0; i < job->n; i++)
		CHECK(mbox_reserve(job->mb, 1, MBOX_DONTWAIT));
	NOTE(job->progress->stage, 1);
	for (;;)
		pause();
}

/* ---- sleepers ----------------------------------------------------------- */

/*
 * The receiver that is woken has the CPU of the test, which does not let it run
 * before it is killed.
 */
TEST_F(end, woken_receiver_that_is_killed_leaves_the_message_to_another)
{
	struct sched_param ordinary = { 0 }, first = { .sched_priority = 10 };
	struct job job = { .mb = self->mb, .progress = &self->child[0] };
	struct mbox_stat st;
	pid_t chosen, other;
	cpu_set_t cpus;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(cpus), &cpus));
	ASSERT_EQ(0, mbox_set_spin(self->mb, 0));
	chosen = spawn(receive_one, &job);
	ASSERT_LT(0, chosen);
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	job.progress = &self->child[1];
	job.cpu = -1;
	other = spawn(receive_one, &job);
	ASSERT_LT(0, other);
	ASSERT_EQ(0, await_waiting(self->fd, 0, 2));
	/* So that its memory is mapped. */
	ASSERT_EQ(-EMSGSIZE, neg(mbox_send(self->mb, &st, MSG_MAX + 1, 0)));

	ASSERT_EQ(0, stay_on(0));
	ASSERT_EQ(0, neg(sched_setscheduler(0, SCHED_FIFO, &first)));
	ring_put(self->mb, 7);
	raw_stat(self->fd, &st);
	kill(chosen, SIGKILL);
	ASSERT_EQ(0, neg(sched_setscheduler(0, SCHED_OTHER, &ordinary)));
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));

	EXPECT_EQ(1, st.waiting_receivers);
	EXPECT_EQ(1000 + SIGKILL, reap(chosen));
	EXPECT_EQ(0, reap(other));
	EXPECT_EQ(7, self->child[1].value);
	EXPECT_EQ(0, self->child[0].stage);
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

TEST_F(end, killed_receivers_are_uncounted)
{
	pid_t pid[NSLEEPERS];
	int i;

	for (i = 0; i < NSLEEPERS; i++) {
		pid[i] = spawn_job(receive_one, self, i, 0);
		ASSERT_LT(0, pid[i]);
		ASSERT_EQ(0, await_waiting(self->fd, 0, i + 1));
		ASSERT_EQ(i + 1, self->memory.kernel->receivers);
	}
	/* From the front, from the middle. */
	ASSERT_EQ(0, kill(pid[0], SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid[0]));
	EXPECT_EQ(0, await_waiting(self->fd, 0, 3));
	EXPECT_EQ(0, await_words(&self->memory, 0, 3));
	ASSERT_EQ(0, kill(pid[2], SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid[2]));
	EXPECT_EQ(0, await_waiting(self->fd, 0, 2));
	EXPECT_EQ(0, await_words(&self->memory, 0, 2));
	/* The others are there. */
	EXPECT_EQ(0, ring_put(self->mb, 1));
	EXPECT_EQ(0, ring_put(self->mb, 2));
	EXPECT_EQ(0, reap(pid[1]));
	EXPECT_EQ(0, reap(pid[3]));
	EXPECT_EQ(3, self->child[1].value + self->child[3].value);
}

TEST_F(end, killed_senders_are_uncounted)
{
	pid_t pid[NSLEEPERS];
	unsigned int i;
	long sum = 0;

	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(0, ring_put(self->mb, i));
	for (i = 0; i < NSLEEPERS; i++) {
		pid[i] = spawn_job(send_one, self, i, 100 + i);
		ASSERT_LT(0, pid[i]);
		ASSERT_EQ(0, await_waiting(self->fd, i + 1, 0));
		ASSERT_EQ(i + 1, self->memory.kernel->senders);
	}
	ASSERT_EQ(0, kill(pid[0], SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid[0]));
	EXPECT_EQ(0, await_waiting(self->fd, 3, 0));
	EXPECT_EQ(0, await_words(&self->memory, 3, 0));
	ASSERT_EQ(0, kill(pid[2], SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid[2]));
	EXPECT_EQ(0, await_words(&self->memory, 2, 0));
	for (i = 0; i < CAPACITY; i++)
		EXPECT_EQ(i, ring_take(self->mb));
	EXPECT_EQ(0, reap(pid[1]));
	EXPECT_EQ(0, reap(pid[3]));
	sum = ring_take(self->mb);
	sum += ring_take(self->mb);
	EXPECT_EQ(101 + 103, sum);
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

/* Each end of a mapping wakes the sleepers, for nothing. */
TEST_F_TIMEOUT(end, calls_succeed_while_participants_start_and_end, 60)
{
	struct ring_call receiver = { 0 };
	size_t page = sysconf(_SC_PAGESIZE);
	unsigned int i;
	void *head;

	ASSERT_EQ(0, mbox_set_spin(self->mb, 0));
	ASSERT_EQ(0, ring_recv_start(&receiver, self->mb));
	for (i = 0; i < 1500; i++) {
		int fd = open_again(self->fd, O_RDONLY);

		ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
		head = map_region(fd, MBOX_RING_HEAD, page, PROT_READ | PROT_WRITE);
		ASSERT_TRUE(!!head);
		ASSERT_EQ(0, munmap(head, page));
		close(fd);
	}
	EXPECT_EQ(0, ring_put(self->mb, 7));
	EXPECT_EQ(7, ring_join(&receiver));
}

/* ---- open reservations -------------------------------------------------- */

TEST_F(end, killed_sender_releases_reserved_slots)
{
	struct mbox_stat st;
	pid_t pid;
	int i;

	pid = spawn_job(reserve_and_stay, self, 0, 3);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, await_value(&self->child->stage, 1));
	EXPECT_EQ(0, ring_put(self->mb, 7));
	EXPECT_EQ(-EAGAIN, ring_put(self->mb, 8));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(MBOX_SLOT_BUSY, state_of(&self->memory, i));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(MBOX_SLOT_ABANDONED, state_of(&self->memory, i));
	EXPECT_EQ(MBOX_SLOT_COMMITTED, state_of(&self->memory, 3));
	EXPECT_EQ(7, ring_take(self->mb));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	ASSERT_EQ(0, raw_stat(self->fd, &st));
	EXPECT_EQ(0, st.queued);
	/* All places are there again. */
	for (i = 0; i < CAPACITY; i++)
		EXPECT_EQ(0, ring_put(self->mb, i));
	EXPECT_EQ(-EAGAIN, ring_put(self->mb, 9));
	for (i = 0; i < CAPACITY; i++)
		EXPECT_EQ(i, ring_take(self->mb));
}

TEST_F(end, killed_sender_wakes_calls_blocked_by_its_slots)
{
	struct ring_call receiver = { 0 }, senders[2] = { 0 };
	struct mbox *other;
	pid_t pid;
	long sum;

	pid = spawn_job(reserve_and_stay, self, 0, CAPACITY);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, await_value(&self->child->stage, 1));
	other = open_ring(self->mb, O_RDWR);
	ASSERT_TRUE(!!other);
	ASSERT_EQ(0, ring_recv_start(&receiver, self->mb));
	ASSERT_EQ(0, ring_send_start(&senders[0], other, 1));
	ASSERT_EQ(0, ring_send_start(&senders[1], self->mb, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(0, ring_join(&senders[0]));
	EXPECT_EQ(0, ring_join(&senders[1]));
	sum = ring_join(&receiver);
	sum += ring_take(self->mb);
	EXPECT_EQ(3, sum);
	EXPECT_EQ(0, mbox_close(other));
}

TEST_F(end, close_releases_reserved_slots)
{
	struct mbox *other = open_ring(self->mb, O_WRONLY);
	void *place;

	ASSERT_TRUE(!!other);
	place = mbox_reserve(other, 1, 0);
	ASSERT_TRUE(!!place);
	ASSERT_TRUE(!!mbox_reserve(other, 1, 0));
	EXPECT_EQ(0, mbox_commit(other, place, 0));
	EXPECT_EQ(0, ring_put(self->mb, 7));
	EXPECT_EQ(0, neg(mbox_recv(self->mb, NULL, 0, MBOX_DONTWAIT)));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	EXPECT_EQ(0, mbox_close(other));
	EXPECT_EQ(MBOX_SLOT_ABANDONED, state_of(&self->memory, 1));
	EXPECT_EQ(7, ring_take(self->mb));
}

/* The descriptor stays open, and so do the other regions. */
TEST_F(end, unmapping_the_slots_releases_claimed_slots)
{
	struct ring_memory memory;
	struct ring ring;
	uint64_t pos;
	__u32 owner;

	ASSERT_EQ(0, map_ring(&memory, self->fd, 1 << MBOX_RING_SENDERS));
	owner = memory.info->owner;
	EXPECT_EQ(1, owner);
	ring_init(&ring, memory.info, memory.tail, memory.head, memory.slots);
	ASSERT_EQ(RING_OK, ring_claim(&ring, &pos));
	EXPECT_EQ(make_word(0, owner, MBOX_SLOT_BUSY), word_of(&self->memory, 0));
	/* Another participant's stays. */
	memory.slots += memory.info->stride;
	ring__store((ring_word *)memory.slots, make_word(1, owner + 1, MBOX_SLOT_BUSY));
	memory.slots -= memory.info->stride;
	ASSERT_EQ(0, munmap(memory.slots, memory.slots_size));
	memory.slots = NULL;
	EXPECT_EQ(make_word(0, owner, MBOX_SLOT_ABANDONED), word_of(&self->memory, 0));
	EXPECT_EQ(make_word(1, owner + 1, MBOX_SLOT_BUSY), word_of(&self->memory, 1));
	/* It does not send any more, and could again. */
	EXPECT_EQ(0, memory.info->owner);
	memory.slots =
		map_region(self->fd, MBOX_RING_SLOTS, memory.slots_size, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(!!memory.slots);
	EXPECT_EQ(1, memory.info->owner);
	unmap_ring(&memory);
}

/* What it runs instead has inherited the handle, and not the memory. */
static int reserve_and_exec(void *arg)
{
	struct job *job = arg;
	int sock[2];

	CHECK(mbox_reserve(job->mb, 1, 0));
	CHECK_EQ(0, fcntl(mbox_fd(job->mb), F_SETFD, 0));
	/* No process writes to it. */
	CHECK_EQ(0, pipe(sock));
	CHECK_EQ(0, dup2(sock[0], 0));
	NOTE(job->progress->stage, 1);
	execlp("sh", "sh", "-c", "read line", NULL);
	CHECK(!"exec");
	return 1;
}

TEST_F(end, exec_releases_reserved_slots)
{
	struct ring_call receiver = { 0 };
	pid_t pid;

	ASSERT_EQ(0, ring_recv_start(&receiver, self->mb));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	pid = spawn_job(reserve_and_exec, self, 0, 0);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, await_value(&self->child->stage, 1));
	EXPECT_EQ(0, ring_put(self->mb, 7));
	EXPECT_EQ(7, ring_join(&receiver));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
}

static void *reserve_in_thread(void *arg)
{
	return mbox_reserve(arg, sizeof(__u32), 0);
}

TEST_F(end, exit_of_a_thread_releases_nothing)
{
	pthread_t thread;
	__u32 *place;

	ASSERT_EQ(0, thread_start(&thread, reserve_in_thread, self->mb));
	ASSERT_EQ(0, pthread_join(thread, (void **)&place));
	ASSERT_TRUE(!!place);
	EXPECT_EQ(0, ring_put(self->mb, 8));
	EXPECT_EQ(MBOX_SLOT_BUSY, state_of(&self->memory, 0));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	*place = 7;
	EXPECT_EQ(0, mbox_commit(self->mb, place, sizeof(*place)));
	EXPECT_EQ(7, ring_take(self->mb));
	EXPECT_EQ(8, ring_take(self->mb));
}

TEST_F(end, exit_of_a_forked_child_releases_nothing_of_its_parent)
{
	__u32 *place = mbox_reserve(self->mb, sizeof(*place), 0);
	pid_t pid;

	ASSERT_TRUE(!!place);
	pid = spawn_job(send_one, self, 0, 8);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(MBOX_SLOT_BUSY, state_of(&self->memory, 0));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	*place = 7;
	EXPECT_EQ(0, mbox_commit(self->mb, place, sizeof(*place)));
	EXPECT_EQ(7, ring_take(self->mb));
	EXPECT_EQ(8, ring_take(self->mb));
}

/* ---- receivers ---------------------------------------------------------- */

static int peek_and_stay(void *arg)
{
	struct job *job = arg;
	const __u32 *place;
	size_t len;

	place = mbox_peek(job->mb, &len, 0);
	CHECK(place);
	CHECK_EQ(7, *place);
	NOTE(job->progress->stage, 1);
	for (;;)
		pause();
}

TEST_F(end, peeked_message_of_a_killed_receiver_goes_to_the_next)
{
	pid_t pid;

	EXPECT_EQ(0, ring_put(self->mb, 7));
	pid = spawn_job(peek_and_stay, self, 0, 0);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, await_value(&self->child->stage, 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(7, ring_take(self->mb));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

/* ---- what is left ------------------------------------------------------- */

static int own_a_large_ring(void *arg)
{
	struct job *job = arg;
	struct mbox *mb;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	mb = new_ring(0, 512, 1000);
	CHECK(mb);
	CHECK_EQ(0, ring_put(mb, 1));
	CHECK_EQ(1, ring_take(mb));
	CHECK(mbox_reserve(mb, 1, 0));
	/* There is no second one within the limit. */
	CHECK(!new_ring(0, 512, 1000));
	CHECK_EQ(EDQUOT, errno);
	NOTE(job->progress->stage, 1);
	for (;;)
		pause();
}

TEST_F(end, memory_of_killed_participants_is_freed)
{
	long before = param_get("user_bytes");
	pid_t pid = -1;
	int i, ret;

	ASSERT_LT(0, before);
	ASSERT_EQ(0, param_set("user_bytes", 700000));
	for (i = 0; i < 5; i++) {
		pid = spawn_job(own_a_large_ring, self, 0, 0);
		ret = await_value(&self->child->stage, 1);
		kill(pid, SIGKILL);
		EXPECT_EQ(1000 + SIGKILL, reap(pid));
		EXPECT_EQ(0, ret);
	}
	ASSERT_EQ(0, param_set("user_bytes", before));
}

/* ---- one of a kind ------------------------------------------------------ */

/* ---- urgent ones meanwhile ---------------------------------------------- */

#define MANY_SLOTS (1U << 18)

static int end_idly(void *arg)
{
	struct sched_param none = { 0 };
	struct job *job = arg;

	CHECK_EQ(0, stay_on(0));
	CHECK(mbox_reserve(job->mb, 1, 0));
	CHECK_EQ(0, sched_setscheduler(0, SCHED_IDLE, &none));
	NOTE(job->progress->stage, 1);
	while (__atomic_load_n(&job->progress->value, __ATOMIC_ACQUIRE) == 0)
		usleep(1000);
	return 0;
}

static int keep_busy(void *arg)
{
	CHECK_EQ(0, stay_on(0));
	for (;;)
		;
}

/* How long opening and mapping a ring takes at most while an idle sender of it ends. */
static int measure_beside_an_end(struct progress *progress, __s64 *longest)
{
	struct sched_param urgent = { .sched_priority = 50 }, none = { 0 };
	struct mbox *mb = new_ring(0, MANY_SLOTS, 16);
	struct job job = { .mb = mb, .progress = progress };
	__s64 begin, took;
	pid_t sender, busy;
	void *info;
	int fd;

	*longest = 0;
	CHECK(mb);
	progress->stage = 0;
	progress->value = 0;
	sender = spawn(end_idly, &job);
	CHECK_EQ(0, await_value(&progress->stage, 1));
	busy = spawn(keep_busy, NULL);
	CHECK_EQ(0, sched_setscheduler(0, SCHED_FIFO, &urgent));
	NOTE(progress->value, 1);
	for (begin = now_ns(CLOCK_MONOTONIC);
	     now_ns(CLOCK_MONOTONIC) < begin + 300 * NSEC_PER_MSEC;) {
		took = now_ns(CLOCK_MONOTONIC);
		fd = open_again(mbox_fd(mb), O_RDONLY);
		info = map_region(fd, MBOX_RING_INFO, sysconf(_SC_PAGESIZE), PROT_READ);
		took = now_ns(CLOCK_MONOTONIC) - took;
		if (took > *longest)
			*longest = took;
		munmap(info, sysconf(_SC_PAGESIZE));
		close(fd);
		pause_briefly();
	}
	sched_setscheduler(0, SCHED_OTHER, &none);
	kill(busy, SIGKILL);
	CHECK_EQ(1000 + SIGKILL, reap(busy));
	CHECK_EQ(0, reap(sender));
	mbox_close(mb);
	return 0;
}

/*
 * The kernel goes through all slots when a sender ends, on the sender's CPU and
 * with its priority. Whoever maps, polls or sleeps meanwhile does not wait for it.
 */
TEST_F_TIMEOUT(end, urgent_calls_do_not_wait_for_an_idle_sender_that_ends, 120)
{
	__s64 longest = 0;
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, stay_on(1));
	/* Something else may hold up the machine, but not each time. */
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, measure_beside_an_end(&self->child[0], &longest));
		if (longest < 100 * NSEC_PER_MSEC * time_factor())
			break;
	}
	EXPECT_LT(longest, 100 * NSEC_PER_MSEC * time_factor());
}

FIXTURE(only)
{
	struct mbox *mb;
	struct progress *child;
};

FIXTURE_SETUP(only)
{
	self->mb = new_ring_with(true, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, CAPACITY, MSG_MAX);
	ASSERT_TRUE(!!self->mb);
	self->child = shared_memory(sizeof(*self->child));
	ASSERT_TRUE(!!self->child);
}

FIXTURE_TEARDOWN(only)
{
	munmap(self->child, sizeof(*self->child));
	EXPECT_EQ(0, mbox_close(self->mb));
}

TEST_F(only, next_sender_is_admitted_after_the_only_one_is_killed)
{
	struct job job = { .mb = self->mb, .progress = self->child, .cpu = -1, .n = 2 };
	pid_t pid;

	pid = spawn(reserve_and_stay, &job);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, await_value(&self->child->stage, 1));
	EXPECT_EQ(-EBUSY, ring_put(self->mb, 1));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(0, ring_put(self->mb, 1));
	EXPECT_EQ(0, ring_put(self->mb, 2));
	EXPECT_EQ(-EAGAIN, ring_put(self->mb, 3));
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(2, ring_take(self->mb));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	for (job.n = 0; job.n < CAPACITY; job.n++)
		EXPECT_EQ(0, ring_put(self->mb, job.n));
}

TEST_F(only, next_receiver_is_admitted_after_the_only_one_is_killed)
{
	struct job job = { .mb = self->mb, .progress = self->child };
	pid_t pid;

	EXPECT_EQ(0, ring_put(self->mb, 7));
	pid = spawn(peek_and_stay, &job);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, await_value(&self->child->stage, 1));
	EXPECT_EQ(-EBUSY, ring_take(self->mb));
	EXPECT_EQ(0, ring_put(self->mb, 8));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(7, ring_take(self->mb));
	EXPECT_EQ(8, ring_take(self->mb));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

TEST_HARNESS_MAIN
