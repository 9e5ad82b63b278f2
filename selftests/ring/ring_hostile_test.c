// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings with a participant that writes what it wants wherever it can. Others
 * use the library, with buffers that end where their memory does: their calls
 * may fail, but do not crash, and end at their deadline. Other mailboxes and
 * the kernel do not notice.
 *
 * MBOX_SEED repeats the choices of a run, MBOX_HOSTILE_MS says how long the
 * ring is scribbled on.
 */
#include <poll.h>
#include <sys/epoll.h>

#include "kill.h"
#include "ring_memory.h"

#define CAPACITY 6U
#define MSG_MAX 200U
#define NVICTIMS 3
/* How long a call may take, and how much later it may return. */
#define CALL_MS 40
#define SLACK_MS (3000 * time_factor())
/* After so many errors that do not go away, a victim takes another ring. */
#define GIVE_UP 20

enum result { DONE, TIMED_OUT, FULL_OR_EMPTY, TOO_SHORT, BROKEN, GONE, OTHERWISE, NRESULTS };

/**
 * struct victim - a process that uses the library, and what became of it
 * @calls: by result
 * @longest_ns: the longest call
 * @error: of a result that may not be
 * @line: where that was
 */
struct victim {
	pid_t pid;
	struct random random;
	__u32 calls[NRESULTS];
	__s64 longest_ns;
	long error;
	__u32 line;
};

struct scene {
	struct victim victim[NVICTIMS];
	struct random random;
	__u32 stop;
	__u32 scribbles;
	__u32 line;
};

FIXTURE(hostile)
{
	struct mbox *mb;
	int fd;
	__u64 id;
	struct scene *scene;
	unsigned long seed;
	unsigned int ms;
	int mailboxes;
	long users;
};

FIXTURE_VARIANT(hostile)
{
	__u32 flags;
	/* What the hostile one may write: its sides of the ring. */
	unsigned int sides;
	/* How many of the victims send and receive; the others do both. */
	unsigned int senders;
	unsigned int receivers;
};

FIXTURE_VARIANT_ADD(hostile, sender) {
	.flags = 0,
	.sides = 1 << MBOX_RING_SENDERS,
	.senders = 1,
	.receivers = 1,
};

FIXTURE_VARIANT_ADD(hostile, receiver) {
	.flags = 0,
	.sides = 1 << MBOX_RING_RECEIVERS,
	.senders = 1,
	.receivers = 1,
};

FIXTURE_VARIANT_ADD(hostile, both) {
	.flags = 0,
	.sides = 3,
	.senders = 1,
	.receivers = 1,
};

FIXTURE_VARIANT_ADD(hostile, only_sender) {
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.sides = 1 << MBOX_RING_SENDERS,
	.senders = 0,
	.receivers = 1,
};

FIXTURE_VARIANT_ADD(hostile, only_receiver) {
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.sides = 1 << MBOX_RING_RECEIVERS,
	.senders = 1,
	.receivers = 0,
};

FIXTURE_SETUP(hostile)
{
	self->seed = random_seed();
	self->ms = env_number("MBOX_HOSTILE_MS", time_factor() > 1 ? 6000 : 2500);
	TH_LOG("MBOX_SEED=%lu MBOX_HOSTILE_MS=%u", self->seed, self->ms);
	self->mailboxes = count_mailboxes();
	self->users = module_users();
	self->mb = new_ring_with(true, variant->flags, CAPACITY, MSG_MAX);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	self->id = stat_of(self->fd).id;
	self->scene = shared_memory(sizeof(*self->scene));
	ASSERT_TRUE(!!self->scene);
	self->scene->random.state = self->seed;
}

FIXTURE_TEARDOWN(hostile)
{
	munmap(self->scene, sizeof(*self->scene));
	mbox_close(self->mb);
	EXPECT_EQ(self->mailboxes, count_mailboxes());
	EXPECT_EQ(self->users, module_users());
}

/* ---- the hostile one ---------------------------------------------------- */

static __u64 odd_position(struct random *r, __u64 base)
{
	static const __u64 edges[] = {
		0, 1ULL << 50, 1ULL << 49, 1ULL << 63, -1ULL, INT64_MAX, 1ULL << 32, 1ULL << 31,
	};
	__u64 near = random_below(r, 2 * CAPACITY + 4) - CAPACITY - 2ULL;

	switch (random_below(r, 4)) {
	case 0:
		return edges[random_below(r, sizeof(edges) / sizeof(edges[0]))] + near;
	case 1:
		return random_next(r);
	default:
		return base + near;
	}
}

static __u64 odd_word(struct random *r, __u64 base)
{
	__u32 owner = one_in(r, 4) ? random_next(r) & MBOX_SLOT_OWNER_MAX : random_below(r, 8);

	if (one_in(r, 8))
		return random_next(r);
	return make_word(odd_position(r, base), owner, random_below(r, 4));
}

static __u32 odd_length(struct random *r)
{
	static const __u32 lengths[] = {
		0, 1, MSG_MAX, MSG_MAX + 1, ~0U, 1U << 31, INT32_MAX, 4096, 1U << 20,
	};

	return one_in(r, 8) ? random_next(r)
			    : lengths[random_below(r, sizeof(lengths) / sizeof(lengths[0]))];
}

static void scribble(struct random *r, struct ring_memory *m, unsigned int sides)
{
	__u64 head = __atomic_load_n(m->head, __ATOMIC_RELAXED);
	__u64 tail = __atomic_load_n(m->tail, __ATOMIC_RELAXED);
	struct mbox_ring_slot *slot = slot_of(m, random_next(r));
	__u64 base = one_in(r, 2) ? head : tail;
	unsigned int i;

	if (sides & 1 << MBOX_RING_RECEIVERS && (sides == 1 << MBOX_RING_RECEIVERS || one_in(r, 4)))
		__atomic_store_n(m->head, odd_position(r, base), __ATOMIC_RELAXED);
	if (!(sides & 1 << MBOX_RING_SENDERS))
		return;
	switch (random_below(r, 6)) {
	case 0:
		__atomic_store_n(m->tail, odd_position(r, base), __ATOMIC_RELAXED);
		break;
	case 1:
		__atomic_store_n(&slot->len, odd_length(r), __ATOMIC_RELAXED);
		break;
	case 2:
		/* A message, of whoever, as long as it likes. */
		slot = slot_of(m, head);
		__atomic_store_n(&slot->len, odd_length(r), __ATOMIC_RELAXED);
		__atomic_store_n(&slot->word,
				 make_word(head, random_below(r, 9), MBOX_SLOT_COMMITTED),
				 __ATOMIC_RELAXED);
		break;
	case 3:
		/* Both contradict each other all the time. */
		for (i = 0; i < 1000; i++) {
			slot = slot_of(m, head);
			__atomic_store_n(&slot->word, odd_word(r, head), __ATOMIC_RELAXED);
			__atomic_store_n(m->tail, head + i % 3, __ATOMIC_RELAXED);
		}
		break;
	default:
		__atomic_store_n(&slot->word, odd_word(r, base), __ATOMIC_RELAXED);
	}
}

/* As the ring was at first: the others make progress before the next attack. */
static void mend(struct ring_memory *m, unsigned int sides)
{
	__u64 head = 0;
	unsigned int i;

	if (sides & 1 << MBOX_RING_RECEIVERS)
		__atomic_store_n(m->head, 0, __ATOMIC_RELAXED);
	else
		head = __atomic_load_n(m->head, __ATOMIC_RELAXED);
	if (!(sides & 1 << MBOX_RING_SENDERS))
		return;
	__atomic_store_n(m->tail, head, __ATOMIC_RELAXED);
	for (i = 0; i < m->info->slots; i++)
		__atomic_store_n(&slot_of(m, head + i)->word,
				 make_word(head + i - m->info->slots, 0, MBOX_SLOT_COMMITTED),
				 __ATOMIC_RELAXED);
}

static void wake_all(int fd)
{
	struct mbox_ring_wake wake = { .n = ~0U };

	for (wake.side = 0; wake.side < 2; wake.side++)
		raw(fd, MBOX_IOC_RING_WAKE, &wake);
}

struct attack {
	struct scene *scene;
	__u64 id;
	unsigned int sides;
};

static int run_hostile(void *arg)
{
	static const int rights[] = { 0, O_RDONLY, O_WRONLY, O_RDWR };
	struct attack *a = arg;
	struct scene *s = a->scene;
	struct ring_memory m;
	int fd;

	fd = raw_open_id(a->id, rights[a->sides]);
	CHECK(fd >= 0);
	CHECK_EQ(0, map_ring(&m, fd, a->sides));
	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		scribble(&s->random, &m, a->sides);
		NOTE(s->scribbles, s->scribbles + 1);
		if (one_in(&s->random, 16))
			wake_all(fd);
		if (one_in(&s->random, 40)) {
			mend(&m, a->sides);
			wake_all(fd);
			usleep(random_below(&s->random, 3000));
		}
		/* A new owner number, and what it left is swept up. */
		if (one_in(&s->random, 2000)) {
			unmap_ring(&m);
			CHECK_EQ(0, map_ring(&m, fd, a->sides));
		}
	}
	return 0;
}

/* ---- the victims -------------------------------------------------------- */

/* @size bytes that end where the memory does, on both sides. */
static unsigned char *guarded(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	unsigned char *p;

	p = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p + page, page, PROT_READ | PROT_WRITE))
		return NULL;
	return p + 2 * page - size;
}

static enum result result_of(long ret)
{
	if (ret >= 0)
		return DONE;
	switch (errno) {
	case EAGAIN:
		return FULL_OR_EMPTY;
	case ETIMEDOUT:
		return TIMED_OUT;
	case EMSGSIZE:
		return TOO_SHORT;
	case EIO:
		return BROKEN;
	case EIDRM:
		return GONE;
	}
	return OTHERWISE;
}

static long victim_send(struct victim *v, struct mbox *mb, const unsigned char *buf,
			const struct timespec *deadline)
{
	struct mbox_msg msgs[3];
	void *place;
	int i;

	switch (random_below(&v->random, 4)) {
	case 0:
		place = mbox_reserve(mb, MSG_MAX, MBOX_DONTWAIT);
		if (!place)
			return -1;
		memset(place, 0x11, MSG_MAX);
		if (mbox_commit(mb, place, MSG_MAX) && errno != EINVAL)
			return -1;
		/* EINVAL: another process wrote that it is not ours. */
		return 0;
	case 1:
		for (i = 0; i < 3; i++) {
			msgs[i] = msg_of(buf, MSG_MAX, 0);
			msgs[i].deadline_ns = deadline->tv_sec * 1000000000ULL + deadline->tv_nsec;
		}
		return mbox_sendmmsg(mb, msgs, 3, 0);
	default:
		return mbox_timedsend(mb, buf, random_below(&v->random, MSG_MAX + 1), 0, deadline);
	}
}

static long victim_recv(struct victim *v, struct mbox *mb, unsigned char *buf, size_t size,
			const struct timespec *deadline)
{
	unsigned int flags = one_in(&v->random, 2) ? MBOX_TRUNC : 0;
	volatile unsigned char sum = 0;
	const unsigned char *place;
	struct mbox_msg msgs[3];
	size_t len, j;
	long ret;
	int i;

	switch (random_below(&v->random, 4)) {
	case 0:
		place = mbox_peek(mb, &len, MBOX_DONTWAIT);
		if (!place)
			return -1;
		/* All that it says is there can be read. */
		for (j = 0; j < len; j++)
			sum += place[j];
		if (len > MSG_MAX)
			return -2;
		ret = mbox_release(mb, place);
		return ret && errno == ESTALE ? 0 : ret;
	case 1:
		for (i = 0; i < 3; i++) {
			msgs[i] = msg_of(buf, size, flags);
			msgs[i].deadline_ns = deadline->tv_sec * 1000000000ULL + deadline->tv_nsec;
		}
		ret = mbox_recvmmsg(mb, msgs, 3, MBOX_WAITFORONE);
		for (i = 0; i < ret; i++)
			if (msgs[i].len > MSG_MAX || (!flags && msgs[i].len > size))
				return -2;
		return ret;
	default:
		ret = mbox_timedrecv(mb, buf, size, flags, deadline);
		if (ret > (long)MSG_MAX || (!flags && ret > (long)size))
			return -2;
		return ret;
	}
}

/* Whatever it says, it returns. */
static long victim_poll(struct victim *v, int fd, int ep)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };
	struct epoll_event event;

	if (one_in(&v->random, 2))
		return poll(&pfd, 1, CALL_MS / 4);
	return epoll_wait(ep, &event, 1, CALL_MS / 4);
}

struct part {
	struct scene *scene;
	unsigned int nth;
	__u64 id;
	int oflags;
};

#define VICTIM_CHECK(v, cond) \
	do { \
		if (!(cond)) { \
			(v)->error = errno; \
			(v)->line = __LINE__; \
			return 1; \
		} \
	} while (0)

static int run_victim(void *arg)
{
	struct part *part = arg;
	struct victim *v = &part->scene->victim[part->nth];
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	unsigned char *out = guarded(MSG_MAX), *in;
	struct timespec deadline;
	enum result result;
	struct mbox *mb;
	size_t size;
	__s64 begin;
	long ret;
	int ep;

	VICTIM_CHECK(v, out);
	memset(out, 0x77, MSG_MAX);
	size = part->nth % 2 ? MSG_MAX / 3 : MSG_MAX;
	in = guarded(size);
	VICTIM_CHECK(v, in);
	mb = mbox_open_id(part->id, part->oflags);
	VICTIM_CHECK(v, mb);
	ep = epoll_create1(EPOLL_CLOEXEC);
	VICTIM_CHECK(v, !epoll_ctl(ep, EPOLL_CTL_ADD, mbox_fd(mb), &event));
	while (!__atomic_load_n(&part->scene->stop, __ATOMIC_SEQ_CST)) {
		bool send = part->oflags != O_RDONLY &&
			    (part->oflags == O_WRONLY || one_in(&v->random, 2));

		begin = now_ns(CLOCK_MONOTONIC);
		deadline = deadline_in(CLOCK_MONOTONIC, CALL_MS);
		errno = 0;
		if (one_in(&v->random, 10))
			ret = victim_poll(v, mbox_fd(mb), ep);
		else if (send)
			ret = victim_send(v, mb, out, &deadline);
		else
			ret = victim_recv(v, mb, in, size, &deadline);
		result = result_of(ret);
		VICTIM_CHECK(v, ret != -2);
		VICTIM_CHECK(v, result != OTHERWISE);
		NOTE(v->calls[result], v->calls[result] + 1);
		if (now_ns(CLOCK_MONOTONIC) - begin > v->longest_ns)
			NOTE(v->longest_ns, now_ns(CLOCK_MONOTONIC) - begin);
		/* A new start, as after an error that stays. */
		if (result == BROKEN && one_in(&v->random, GIVE_UP)) {
			mbox_close(mb);
			mb = mbox_open_id(part->id, part->oflags);
			VICTIM_CHECK(v, mb);
			VICTIM_CHECK(v, !epoll_ctl(ep, EPOLL_CTL_ADD, mbox_fd(mb), &event));
		}
	}
	mbox_close(mb);
	return 0;
}

/* ---- the other participants ----------------------------------------------------- */

/* Other mailboxes work as ever, in this process and at this time. */
static int work_elsewhere(struct mbox *ring, int queue, __u32 n)
{
	CHECK_EQ(0, ring_put(ring, n));
	CHECK_EQ(n, ring_take(ring));
	CHECK_EQ(-EAGAIN, ring_take(ring));
	CHECK_EQ(0, put(queue, n));
	CHECK_EQ(n, take(queue));
	return 0;
}

static int look_at_it(int fd, __u64 id)
{
	struct mbox_walk walk = { .id = id - 1 };
	struct mbox_stat st;
	char path[64], text[512];

	CHECK_EQ(0, raw_stat(fd, &st));
	CHECK(st.queued <= CAPACITY);
	CHECK_EQ(0, raw_control(MBOX_IOC_WALK, &walk));
	CHECK(walk.id == id);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	CHECK_EQ(0, read_file(path, text, sizeof(text)));
	return 0;
}

TEST_F_TIMEOUT(hostile, hostile_participant_affects_only_its_own_ring, 120)
{
	struct attack attack = { self->scene, self->id, variant->sides };
	unsigned int victims = variant->flags ? 1 : NVICTIMS, i, j;
	struct mbox *other = new_ring(0, 4, MSG_MAX);
	int queue = new_mailbox(0, 4), status;
	__u32 sum[NRESULTS] = { 0 };
	__s64 end, longest = 0;
	pid_t hostile;
	__u32 n = 0;

	ASSERT_TRUE(!!other);
	ASSERT_LE(0, queue);
	hostile = spawn(run_hostile, &attack);
	ASSERT_LT(0, hostile);
	for (i = 0; i < victims; i++) {
		struct part part = {
			.scene = self->scene,
			.nth = i,
			.id = self->id,
			.oflags = i < variant->senders			      ? O_WRONLY
				  : i < variant->senders + variant->receivers ? O_RDONLY
									      : O_RDWR,
		};

		self->scene->victim[i].random.state = self->seed + i;
		self->scene->victim[i].pid = spawn(run_victim, &part);
		ASSERT_LT(0, self->scene->victim[i].pid);
	}
	end = in_ms(CLOCK_MONOTONIC, self->ms);
	while (now_ns(CLOCK_MONOTONIC) < end) {
		ASSERT_EQ(0, work_elsewhere(other, queue, n++ % 1000));
		ASSERT_EQ(0, look_at_it(self->fd, self->id));
		pause_briefly();
	}
	NOTE(self->scene->stop, 1);
	EXPECT_EQ(0, reap(hostile));
	for (i = 0; i < victims; i++) {
		struct victim *v = &self->scene->victim[i];

		status = reap(v->pid);
		EXPECT_EQ(0, status)
		{
			TH_LOG("victim %u: line %u: %s", i, v->line, strerror(v->error));
		}
		for (j = 0; j < NRESULTS; j++)
			sum[j] += v->calls[j];
		if (longest < v->longest_ns)
			longest = v->longest_ns;
	}
	TH_LOG("%u scribbles; calls: %u done, %u timed out, %u EAGAIN, %u EMSGSIZE, %u EIO",
	       self->scene->scribbles, sum[DONE], sum[TIMED_OUT], sum[FULL_OR_EMPTY],
	       sum[TOO_SHORT], sum[BROKEN]);
	TH_LOG("the longest took %lld ms", longest / NSEC_PER_MSEC);
	EXPECT_LT(0U, sum[DONE]);
	EXPECT_LT(0U, self->scene->scribbles);
	EXPECT_GT((CALL_MS + SLACK_MS) * NSEC_PER_MSEC, longest);
	EXPECT_LT(0U, n);
	EXPECT_EQ(0, await_waiting(self->fd, 0, 0));
	EXPECT_EQ(0, mbox_destroy(self->mb));
	EXPECT_EQ(-EIDRM, ring_take(self->mb));
	EXPECT_EQ(0, mbox_close(other));
	close(queue);
}

/* ---- what stays as it is ------------------------------------------------ */

FIXTURE(crafted)
{
	struct mbox *mb;
	int fd;
	struct ring_memory memory;
};

FIXTURE_SETUP(crafted)
{
	self->mb = new_ring(0, CAPACITY, MSG_MAX);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	ASSERT_EQ(0, map_ring(&self->memory, self->fd, 3));
	mbox_set_spin(self->mb, 4);
}

FIXTURE_TEARDOWN(crafted)
{
	unmap_ring(&self->memory);
	mbox_close(self->mb);
}

static const __u64 heads[] = {
	0, 1, 7, 8, (1ULL << 50) - 1, 1ULL << 50, (1ULL << 63) - 1, 1ULL << 63, -1ULL, -8ULL,
};

static const __s64 offsets[] = {
	0, 1, -1, 8, -8, 16, -16, 1LL << 49, 1LL << 62,
};

static const __u32 lens[] = { 0, MSG_MAX, MSG_MAX + 1, 1U << 31, ~0U };

#define NHEADS (sizeof(heads) / sizeof(heads[0]))
#define NOFFSETS (sizeof(offsets) / sizeof(offsets[0]))
#define NLENS (sizeof(lens) / sizeof(lens[0]))

/* Every head, tail, word at the front, and state; the length follows from these. */
TEST_F_TIMEOUT(crafted, every_value_of_a_word_gives_a_result_in_time, 120)
{
	unsigned char *buf = guarded(MSG_MAX / 2);
	struct ring_memory *m = &self->memory;
	unsigned int i, done = 0, failed = 0;
	struct timespec deadline;
	__s64 longest = 0, ns;
	long ret;

	ASSERT_TRUE(!!buf);
	for (i = 0; i < 4 * NOFFSETS * NOFFSETS * NHEADS; i++) {
		unsigned int state = i % 4, word = i / 4 % NOFFSETS;
		unsigned int tail = i / 4 / NOFFSETS % NOFFSETS;
		__u64 head = heads[i / 4 / NOFFSETS / NOFFSETS];
		struct mbox_ring_slot *slot = slot_of(m, head);

		*m->head = head;
		*m->tail = head + offsets[tail];
		slot->word = make_word(head + offsets[word], word, state);
		slot->len = lens[i % NLENS];
		deadline = deadline_in(CLOCK_MONOTONIC, 1);
		ns = now_ns(CLOCK_MONOTONIC);
		ret = neg(mbox_timedrecv(self->mb, buf, MSG_MAX / 2, i % 2 ? MBOX_TRUNC : 0,
					 &deadline));
		ASSERT_TRUE(ret >= 0 ? ret <= MSG_MAX
				     : ret == -EIO || ret == -ETIMEDOUT || ret == -EMSGSIZE)
		{
			TH_LOG("receive number %u: %ld", i, ret);
		}
		done += ret >= 0;
		failed += ret == -EIO;
		deadline = deadline_in(CLOCK_MONOTONIC, 1);
		ret = neg(mbox_timedsend(self->mb, buf, 1, 0, &deadline));
		ASSERT_TRUE(ret == 0 || ret == -EIO || ret == -ETIMEDOUT)
		{
			TH_LOG("send number %u: %ld", i, ret);
		}
		ns = now_ns(CLOCK_MONOTONIC) - ns;
		if (ns > longest)
			longest = ns;
	}
	TH_LOG("%u received, %u EIO, the longest took %lld ms", done, failed,
	       longest / NSEC_PER_MSEC);
	EXPECT_LT(0U, done);
	EXPECT_LT(0U, failed);
	EXPECT_GT(SLACK_MS * NSEC_PER_MSEC, longest);
}

/* What one says of another's place is not believed. */
TEST_F(crafted, exit_releases_only_slots_with_the_own_number)
{
	__u32 owner = self->memory.info->owner;
	struct ring_memory watch, *m = &self->memory;
	unsigned int i;

	ASSERT_EQ(0, map_ring(&watch, self->fd, 1 << MBOX_RING_RECEIVERS));
	for (i = 0; i < 8; i++)
		slot_of(m, i)->word = make_word(i * 1000, owner + (i % 2), i % 4);
	unmap_ring(m);
	for (i = 0; i < 8; i++) {
		unsigned int state = i % 4;

		if (state == MBOX_SLOT_BUSY && i % 2 == 0)
			state = MBOX_SLOT_ABANDONED;
		EXPECT_EQ(make_word(i * 1000, owner + (i % 2), state), slot_of(&watch, i)->word);
	}
	unmap_ring(&watch);
}

/* A sleeper that is woken again and again, and never finds a message. */
TEST_F_TIMEOUT(crafted, deadline_holds_despite_spurious_wake_ups, 120)
{
	/* Before the deadline is made: the process can be stopped in between. */
	__s64 begin = now_ns(CLOCK_MONOTONIC);
	struct timespec deadline = deadline_in(CLOCK_MONOTONIC, 300);
	struct mbox_ring_wake wake = { .side = MBOX_RING_RECEIVERS, .n = ~0U };
	struct ring_call receiver = { .deadline = &deadline };
	pid_t parent = getpid(), pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			raw(self->fd, MBOX_IOC_RING_WAKE, &wake);
		_exit(0);
	}
	ASSERT_EQ(0, ring_recv_start(&receiver, self->mb));
	EXPECT_EQ(-ETIMEDOUT, ring_join(&receiver));
	EXPECT_GT(in_ms(CLOCK_MONOTONIC, 0), begin + 299 * NSEC_PER_MSEC);
	EXPECT_LT(in_ms(CLOCK_MONOTONIC, 0), begin + (300 + SLACK_MS) * NSEC_PER_MSEC);
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
}

/* And one for which the memory announces a message that does not exist. */
TEST_F(crafted, signal_and_SIGKILL_end_a_call_that_never_finds_a_message)
{
	struct progress {
		__u32 stage;
	} *child = shared_memory(sizeof(*child));
	pid_t parent = getpid(), pid;

	ASSERT_TRUE(!!child);
	/* Busy for ever. */
	slot_of(&self->memory, 0)->word = make_word(0, 77, MBOX_SLOT_BUSY);
	*self->memory.tail = 1;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		__u32 value;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(125);
		catch_signal(SIGUSR1, 0);
		NOTE(child->stage, 1);
		if (neg(mbox_recv(self->mb, &value, sizeof(value), 0)) != -EINTR)
			_exit(1);
		NOTE(child->stage, 2);
		mbox_recv(self->mb, &value, sizeof(value), 0);
		_exit(2);
	}
	ASSERT_EQ(0, await_value(&child->stage, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, kill(pid, SIGUSR1));
	ASSERT_EQ(0, await_value(&child->stage, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(0, await_waiting(self->fd, 0, 0));
	munmap(child, sizeof(*child));
}

TEST_HARNESS_MAIN
