// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles of rings: several of one open file, closed while calls wait on them,
 * shared by threads that peek at messages in place, in unusual programs.
 */
#include <sys/personality.h>

#include "rings.h"

#define CAPACITY 4

/* ---- several handles of one open file ------------------------------------ */

FIXTURE(twin)
{
	struct mbox *mb;
	struct mbox *twin;
};

FIXTURE_VARIANT(twin)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(twin, shared) {
	.flags = 0,
};

FIXTURE_VARIANT_ADD(twin, one_sender) {
	.flags = MBOX_ONE_SENDER,
};

FIXTURE_VARIANT_ADD(twin, one_receiver) {
	.flags = MBOX_ONE_RECEIVER,
};

FIXTURE_SETUP(twin)
{
	self->mb = new_ring(variant->flags, CAPACITY, 4);
	ASSERT_TRUE(!!self->mb);
	self->twin = mbox_from_fd(dup(mbox_fd(self->mb)));
	ASSERT_TRUE(!!self->twin);
}

FIXTURE_TEARDOWN(twin)
{
	EXPECT_EQ(0, mbox_close(self->mb));
	EXPECT_EQ(0, mbox_close(self->twin));
}

/* Two views of one position would send to the same slots. */
TEST_F(twin, copy_of_the_descriptor_is_another_sender)
{
	long want = variant->flags & MBOX_ONE_SENDER ? -EBUSY : 0;

	ASSERT_EQ(0, ring_put(self->mb, 1));
	EXPECT_EQ(want, ring_put(self->twin, 2));
	ASSERT_EQ(0, ring_put(self->mb, 3));
	EXPECT_EQ(1, ring_take(self->mb));
	if (!want)
		EXPECT_EQ(2, ring_take(self->mb));
	EXPECT_EQ(3, ring_take(self->mb));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

TEST_F(twin, copy_of_the_descriptor_is_another_receiver)
{
	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(variant->flags & MBOX_ONE_RECEIVER ? -EBUSY : 2, ring_take(self->twin));
	EXPECT_EQ(variant->flags & MBOX_ONE_RECEIVER ? 2 : -EAGAIN, ring_take(self->mb));
}

TEST_F(twin, next_participant_is_admitted_after_close)
{
	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(1, ring_take(self->mb));
	ASSERT_EQ(0, mbox_close(self->mb));
	self->mb = NULL;
	EXPECT_EQ(0, ring_put(self->twin, 2));
	EXPECT_EQ(2, ring_take(self->twin));
}

#define THREADS 4

static void *first_call(void *arg)
{
	return (void *)ring_put(arg, 1);
}

/* One of them maps the ring, and the others are no second sender for that. */
TEST_F(twin, threads_map_the_ring_concurrently)
{
	pthread_t threads[THREADS];
	struct mbox *mb;
	void *ret;
	int lap, i;

	for (lap = 0; lap < 50; lap++) {
		mb = new_ring(variant->flags, THREADS, 4);
		ASSERT_TRUE(!!mb);
		for (i = 0; i < THREADS; i++)
			ASSERT_EQ(0, thread_start(&threads[i], first_call, mb));
		for (i = 0; i < THREADS; i++) {
			pthread_join(threads[i], &ret);
			ASSERT_EQ(0, (long)ret);
		}
		for (i = 0; i < THREADS; i++)
			ASSERT_EQ(1, ring_take(mb));
		mbox_close(mb);
	}
}

/* ---- closed while a call waits ------------------------------------------- */

enum kind { RECV, TIMEDRECV, RECVMSG, RECVMMSG, PEEK, SEND, TIMEDSEND, SENDMSG, SENDMMSG, RESERVE };

FIXTURE(closed)
{
	int unused;
};

FIXTURE_VARIANT(closed)
{
	enum kind kind;
	/* Its result when it could go on after the handle was closed. */
	long want;
};

#define CLOSED_VARIANT(_name, _kind, _want)				\
	FIXTURE_VARIANT_ADD(closed, _name) {				\
		.kind = _kind,						\
		.want = _want,						\
	}

CLOSED_VARIANT(recv, RECV, 4);
CLOSED_VARIANT(timedrecv, TIMEDRECV, 4);
CLOSED_VARIANT(recvmsg, RECVMSG, 4);
CLOSED_VARIANT(recvmmsg, RECVMMSG, 2);
CLOSED_VARIANT(peek, PEEK, -EBADF);
CLOSED_VARIANT(send, SEND, 0);
CLOSED_VARIANT(timedsend, TIMEDSEND, 0);
CLOSED_VARIANT(sendmsg, SENDMSG, 0);
CLOSED_VARIANT(sendmmsg, SENDMMSG, 2);
CLOSED_VARIANT(reserve, RESERVE, -EBADF);

FIXTURE_SETUP(closed)
{
}

FIXTURE_TEARDOWN(closed)
{
}

struct waiting {
	struct mbox *mb;
	enum kind kind;
	long ret;
};

static void *wait_in_call(void *arg)
{
	struct waiting *w = arg;
	struct timespec deadline = deadline_in(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	__u32 value[2] = { 7, 8 };
	struct mbox_msg vec[2] = {
		msg_of(&value[0], sizeof(value[0]), 0),
		msg_of(&value[1], sizeof(value[1]), 0),
	};
	size_t len;

	switch (w->kind) {
	case RECV:
		w->ret = neg(mbox_recv(w->mb, value, 4, 0));
		break;
	case TIMEDRECV:
		w->ret = neg(mbox_timedrecv(w->mb, value, 4, 0, &deadline));
		break;
	case RECVMSG:
		w->ret = neg(mbox_recvmsg(w->mb, vec));
		break;
	case RECVMMSG:
		w->ret = neg(mbox_recvmmsg(w->mb, vec, 2, 0));
		break;
	case PEEK:
		w->ret = mbox_peek(w->mb, &len, 0) ? 1 : -errno;
		break;
	case SEND:
		w->ret = neg(mbox_send(w->mb, value, 4, 0));
		break;
	case TIMEDSEND:
		w->ret = neg(mbox_timedsend(w->mb, value, 4, 0, &deadline));
		break;
	case SENDMSG:
		w->ret = neg(mbox_sendmsg(w->mb, vec));
		break;
	case SENDMMSG:
		w->ret = neg(mbox_sendmmsg(w->mb, vec, 2, 0));
		break;
	case RESERVE:
		w->ret = mbox_reserve(w->mb, 4, 0) ? 1 : -errno;
		break;
	}
	return NULL;
}

TEST_F(closed, close_does_not_end_a_waiting_call)
{
	bool send = variant->kind >= SEND;
	struct waiting w = { .kind = variant->kind, .ret = POISON32 };
	struct mbox *other;
	pthread_t thread;
	int fd, i;

	w.mb = new_ring(0, CAPACITY, 4);
	ASSERT_TRUE(!!w.mb);
	other = open_ring(w.mb, O_RDWR);
	ASSERT_TRUE(!!other);
	for (i = 0; send && i < CAPACITY; i++)
		ASSERT_EQ(0, ring_put(other, i));
	ASSERT_EQ(0, thread_start(&thread, wait_in_call, &w));
	ASSERT_EQ(0, await_waiting(mbox_fd(other), send, !send));
	fd = mbox_fd(w.mb);
	EXPECT_EQ(0, mbox_close(w.mb));
	/* A batch waits again for its second message. */
	for (i = 0; i < (variant->want == 2 ? 2 : 1); i++) {
		ASSERT_EQ(0, await_waiting(mbox_fd(other), send, !send));
		ASSERT_EQ(send ? i : 0, send ? ring_take(other) : ring_put(other, i));
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(variant->want, w.ret);
	/* The descriptor is closed with the call, and the memory with it. */
	EXPECT_EQ(-EBADF, neg(fcntl(fd, F_GETFD)));
	EXPECT_EQ(1U, stat_of(mbox_fd(other)).send_handles);
	/* Its reservation blocks no other participant; the message that it peeked at is there. */
	if (variant->kind == PEEK)
		EXPECT_EQ(0, ring_take(other));
	while (send && (i = ring_take(other)) >= 0)
		;
	EXPECT_EQ(0, ring_put(other, 9));
	EXPECT_EQ(9, ring_take(other));
	mbox_close(other);
}

static int close_inherited(void *arg)
{
	struct mbox *mb = arg;
	int fd = mbox_fd(mb);

	CHECK_EQ(0, mbox_close(mb));
	CHECK_EQ(-1, fcntl(fd, F_GETFD));
	return 0;
}

/* The thread that waits is the parent's. */
TEST(close_in_a_child_does_not_end_the_parents_wait)
{
	struct mbox *mb = new_ring(0, CAPACITY, 4);
	struct ring_call c = { 0 };

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, ring_recv_start(&c, mb));
	ASSERT_EQ(0, await_waiting(mbox_fd(mb), 0, 1));
	EXPECT_EQ(0, in_child(close_inherited, mb));
	ASSERT_EQ(0, ring_put(mb, 3));
	EXPECT_EQ(3, ring_join(&c));
	mbox_close(mb);
}

/* ---- peeked at in place -------------------------------------------------- */

FIXTURE(peeked)
{
	struct mbox *mb;
};

FIXTURE_VARIANT(peeked)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(peeked, shared) {
	.flags = 0,
};

FIXTURE_VARIANT_ADD(peeked, one_receiver) {
	.flags = MBOX_ONE_RECEIVER,
};

FIXTURE_SETUP(peeked)
{
	self->mb = new_ring(variant->flags, CAPACITY, 4);
	ASSERT_TRUE(!!self->mb);
}

FIXTURE_TEARDOWN(peeked)
{
	mbox_close(self->mb);
}

TEST_F(peeked, release_of_a_received_message_is_ESTALE)
{
	const void *slot;
	size_t len;
	int i;

	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(0, ring_put(self->mb, i));
	slot = mbox_peek(self->mb, &len, 0);
	ASSERT_TRUE(!!slot);
	EXPECT_EQ(0, ring_take(self->mb));
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(-ESTALE, neg(mbox_release(self->mb, slot)));
	/* Nothing comes again, and the ring goes on. */
	for (i = 2; i < CAPACITY; i++)
		EXPECT_EQ(i, ring_take(self->mb));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	for (i = 0; i < 3 * CAPACITY; i++) {
		ASSERT_EQ(0, ring_put(self->mb, i));
		ASSERT_EQ(i, ring_take(self->mb));
	}
}

struct looker {
	struct mbox *mb;
	const void *slot;
	long ret;
};

static void *release_it(void *arg)
{
	struct looker *l = arg;

	l->ret = neg(mbox_release(l->mb, l->slot));
	return NULL;
}

TEST_F(peeked, another_thread_may_release_it)
{
	struct looker l = { .mb = self->mb };
	pthread_t thread;
	size_t len;

	ASSERT_EQ(0, ring_put(self->mb, 1));
	l.slot = mbox_peek(self->mb, &len, 0);
	ASSERT_TRUE(!!l.slot);
	ASSERT_EQ(0, thread_start(&thread, release_it, &l));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, l.ret);
	EXPECT_EQ(-ESTALE, neg(mbox_release(self->mb, l.slot)));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

static void *peek_it(void *arg)
{
	struct looker *l = arg;
	size_t len;

	l->slot = mbox_peek(l->mb, &len, 0);
	return NULL;
}

/* The same place in the ring, a lap later. */
TEST_F(peeked, release_of_a_reused_place_is_ESTALE)
{
	struct looker l = { .mb = self->mb };
	pthread_t thread;
	const void *slot;
	size_t len;
	int i;

	ASSERT_EQ(0, ring_put(self->mb, 0));
	slot = mbox_peek(self->mb, &len, 0);
	ASSERT_TRUE(!!slot);
	for (i = 1; i < CAPACITY + 1; i++) {
		ASSERT_EQ(i - 1, ring_take(self->mb));
		ASSERT_EQ(0, ring_put(self->mb, i));
	}
	ASSERT_EQ(0, thread_start(&thread, peek_it, &l));
	pthread_join(thread, NULL);
	ASSERT_TRUE(l.slot == slot);
	EXPECT_EQ(-ESTALE, neg(mbox_release(self->mb, slot)));
	EXPECT_EQ(CAPACITY, ring_take(self->mb));
}

#define MESSAGES 20000

struct crowd {
	struct mbox *mb;
	unsigned char *times;
	long failed;
};

/* Count only what was received: what is stale may be torn. */
static void *peek_and_release(void *arg)
{
	struct crowd *c = arg;
	const __u32 *slot;
	__u32 value;
	size_t len;
	long ret;

	for (;;) {
		slot = mbox_peek(c->mb, &len, 0);
		if (!slot)
			return (void *)(long)errno;
		value = __atomic_load_n(slot, __ATOMIC_RELAXED);
		ret = neg(mbox_release(c->mb, slot));
		if (ret == -ESTALE)
			continue;
		if (ret)
			return (void *)-ret;
		if (value == MESSAGES)
			return NULL;
		__atomic_fetch_add(&c->times[value], 1, __ATOMIC_RELAXED);
	}
}

TEST_F_TIMEOUT(peeked, threads_receive_each_message_once, 120)
{
	struct crowd c = { .mb = self->mb, .times = calloc(MESSAGES, 1) };
	struct mbox *to = open_ring(self->mb, O_WRONLY);
	pthread_t threads[2];
	__u32 i;
	void *ret;

	ASSERT_TRUE(c.times && to);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, thread_start(&threads[i], peek_and_release, &c));
	/* The last ones end the threads. */
	for (i = 0; i < MESSAGES; i++)
		ASSERT_EQ(0, neg(mbox_send(to, &i, sizeof(i), 0)));
	for (i = 0; i < 2; i++) {
		__u32 end = MESSAGES;

		ASSERT_EQ(0, neg(mbox_send(to, &end, sizeof(end), 0)));
	}
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], &ret);
		EXPECT_EQ(0, (long)ret);
	}
	for (i = 0; i < MESSAGES; i++)
		if (c.times[i] != 1)
			break;
	EXPECT_EQ(MESSAGES, i);
	free(c.times);
	mbox_close(to);
}

/* ---- unusual programs ---------------------------------------------------- */

static int with_executable_mappings(void *arg)
{
	struct mbox *mb = arg;
	__u32 value = 5;

	CHECK(personality(READ_IMPLIES_EXEC) != -1);
	CHECK_EQ(0, mbox_send(mb, &value, sizeof(value), 0));
	value = 0;
	CHECK_EQ(sizeof(value), mbox_recv(mb, &value, sizeof(value), 0));
	CHECK_EQ(5, value);
	return 0;
}

TEST(ring_works_with_READ_IMPLIES_EXEC)
{
	struct mbox *mb = new_ring(0, CAPACITY, 4);

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, in_child(with_executable_mappings, mb));
	mbox_close(mb);
}

/* With so many retries, each call would take a second. */
TEST(O_NONBLOCK_does_not_retry)
{
	struct mbox *mb = new_ring(0, 1, 4);
	__s64 begin;
	__u32 value;
	int i;

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, fcntl(mbox_fd(mb), F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, mbox_set_spin(mb, 1 << 26));
	ASSERT_EQ(0, ring_put(mb, 1));
	ASSERT_EQ(1, ring_take(mb));
	begin = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < 20; i++)
		ASSERT_EQ(-EAGAIN, neg(mbox_recv(mb, &value, sizeof(value), 0)));
	EXPECT_LT(now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin, 200 * NSEC_PER_MSEC * time_factor());
	mbox_close(mb);
}

/* ---- stalled ------------------------------------------------------------- */

static int reserve_and_stop(void *arg)
{
	struct mbox *mb = arg;
	void *slot = mbox_reserve(mb, 4, 0);

	CHECK(slot);
	raise(SIGSTOP);
	CHECK_EQ(0, mbox_commit(mb, slot, 4));
	return 0;
}

TEST(stat_reports_a_stopped_sender)
{
	struct mbox *mb = new_ring(0, CAPACITY, 4);
	struct mbox_stat st;
	__u64 before;
	int status;
	pid_t pid;

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0U, stat_of(mbox_fd(mb)).stalled_ns);
	EXPECT_EQ(0U, stat_of(mbox_fd(mb)).stalled_pid);
	pid = spawn(reserve_and_stop, mb);
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, ring_put(mb, 1));
	EXPECT_EQ(-EAGAIN, ring_take(mb));
	before = stat_of(mbox_fd(mb)).stalled_ns;
	EXPECT_LT(0U, before);
	usleep(20000);
	st = stat_of(mbox_fd(mb));
	EXPECT_LE(before + 20 * NSEC_PER_MSEC, st.stalled_ns);
	EXPECT_EQ((__u32)pid, st.stalled_pid);
	EXPECT_EQ(0U, st.reserved);
	kill(pid, SIGCONT);
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0U, stat_of(mbox_fd(mb)).stalled_ns);
	EXPECT_EQ(0U, stat_of(mbox_fd(mb)).stalled_pid);
	mbox_close(mb);
}

TEST_HARNESS_MAIN
