// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings whose participant is killed after each single instruction of a call:
 * a child is traced k instructions far, and killed, for every k until the call
 * is complete. After each death the others send and receive, what was committed
 * arrives once, and nothing else does.
 *
 * The first child is stepped through the whole call. The others take the same steps,
 * so on x86 they run to a breakpoint where it was after k instructions.
 *
 * MBOX_STEP is the distance between two such k, on average.
 */
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "kill.h"
#include "ring_memory.h"

#define MSG_MAX 100U
#define TRACE_MAX 4096

/* The messages. */
enum { WARM_UP = 1, BEFORE, OURS, OTHERS, FILLER, AFTER };

/* What the child is stepped through. */
enum action { SEND, RESERVE_COMMIT, RESERVE_DISCARD, RECV, PEEK_RELEASE };

/* What the others do at the time. */
enum others {
	NOTHING,
	/* The other side of the ring waits, and has to be woken. */
	OTHER_SIDE_SLEEPS,
	/* There is nothing for the child to do: it sleeps, and is woken. */
	CHILD_SLEEPS,
};

/* What the child leaves behind. */
struct child {
	__u32 done;
	__u32 value;
};

FIXTURE(step)
{
	struct mbox *mb;
	int fd;
	__u64 id;
	struct ring_memory memory;
	struct child *child;
	pid_t pid;
	/* Position that the call is about. */
	__u64 pos;
	/* Messages in the ring before it. */
	unsigned int filled;
	struct random random;
	unsigned int stride;
	/* Where the first child was after each instruction. */
	unsigned long pc[TRACE_MAX];
	unsigned int length;
	/* Children that did not come by where the first one was. */
	unsigned int strayed;
	/* Deaths in sleep. */
	unsigned int asleep;
};

FIXTURE_VARIANT(step)
{
	__u32 flags;
	__u32 capacity;
	enum action act;
	enum others others;
};

#define VARIANT(name, ...) \
	FIXTURE_VARIANT_ADD(step, name) \
	{ \
		__VA_ARGS__ \
	}
#define ONE_TO_ONE (MBOX_ONE_SENDER | MBOX_ONE_RECEIVER)

VARIANT(send, 0, 4, SEND, NOTHING);
VARIANT(send_into_one_place, 0, 1, SEND, NOTHING);
VARIANT(send_alone, ONE_TO_ONE, 4, SEND, NOTHING);
VARIANT(send_alone_into_one_place, ONE_TO_ONE, 1, SEND, NOTHING);
VARIANT(send_wakes, 0, 4, SEND, OTHER_SIDE_SLEEPS);
VARIANT(send_alone_wakes, ONE_TO_ONE, 4, SEND, OTHER_SIDE_SLEEPS);
VARIANT(send_sleeps, 0, 1, SEND, CHILD_SLEEPS);
VARIANT(send_alone_sleeps, ONE_TO_ONE, 4, SEND, CHILD_SLEEPS);
VARIANT(commit, 0, 4, RESERVE_COMMIT, NOTHING);
VARIANT(commit_alone, ONE_TO_ONE, 4, RESERVE_COMMIT, NOTHING);
VARIANT(commit_wakes, 0, 1, RESERVE_COMMIT, OTHER_SIDE_SLEEPS);
VARIANT(discard, 0, 4, RESERVE_DISCARD, NOTHING);
VARIANT(discard_alone, ONE_TO_ONE, 1, RESERVE_DISCARD, NOTHING);
VARIANT(recv, 0, 4, RECV, NOTHING);
VARIANT(recv_alone, ONE_TO_ONE, 4, RECV, NOTHING);
VARIANT(recv_from_one_place, 0, 1, RECV, NOTHING);
VARIANT(recv_wakes, 0, 4, RECV, OTHER_SIDE_SLEEPS);
VARIANT(recv_alone_wakes, ONE_TO_ONE, 1, RECV, OTHER_SIDE_SLEEPS);
VARIANT(recv_sleeps, 0, 4, RECV, CHILD_SLEEPS);
VARIANT(recv_alone_sleeps, ONE_TO_ONE, 1, RECV, CHILD_SLEEPS);
VARIANT(release, 0, 4, PEEK_RELEASE, NOTHING);
VARIANT(release_alone, ONE_TO_ONE, 4, PEEK_RELEASE, NOTHING);
VARIANT(release_wakes, ONE_TO_ONE, 1, PEEK_RELEASE, OTHER_SIDE_SLEEPS);

static bool sends(const FIXTURE_VARIANT(step) *variant)
{
	return variant->act < RECV;
}

FIXTURE_SETUP(step)
{
	self->mb = new_ring(variant->flags, variant->capacity, MSG_MAX);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	self->id = stat_of(self->fd).id;
	ASSERT_EQ(0, map_ring(&self->memory, self->fd, 0));
	self->child = shared_memory(sizeof(*self->child));
	ASSERT_TRUE(!!self->child);
	/* Waking the tracer on another CPU for each step takes far longer. */
	ASSERT_EQ(0, stay_on(0));
	self->random.state = random_seed();
	/* What is slow on a debug kernel is each step, and their sum. */
	/* All of them where that is quick; some of the longer ways of 32 bits. */
	self->stride = env_number("MBOX_STEP", time_factor() > 1 ? 4 * time_factor() :
					       sizeof(long) < 8 ? 8 : 1);
}

FIXTURE_TEARDOWN(step)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		reap(self->pid);
	}
	EXPECT_EQ(0, self->memory.kernel->senders);
	EXPECT_EQ(0, self->memory.kernel->receivers);
	unmap_ring(&self->memory);
	munmap(self->child, sizeof(*self->child));
	mbox_close(self->mb);
}

/* ---- the child ---------------------------------------------------------- */

static int operate(struct mbox *mb, enum action act, __u32 value, __u32 *received)
{
	const __u32 *shown;
	__u32 *place;
	size_t len;

	switch (act) {
	case SEND:
		return mbox_send(mb, &value, sizeof(value), 0);
	case RECV:
		return mbox_recv(mb, received, sizeof(*received), 0) == sizeof(*received) ? 0 : -1;
	case PEEK_RELEASE:
		shown = mbox_peek(mb, &len, 0);
		if (!shown)
			return -1;
		NOTE(*received, *shown);
		return mbox_release(mb, shown);
	default:
		place = mbox_reserve(mb, sizeof(value), 0);
		if (!place)
			return -1;
		*place = value;
		if (act == RESERVE_COMMIT)
			return mbox_commit(mb, place, sizeof(value));
		return mbox_discard(mb, place);
	}
}

/* Stops when it is warm; what comes after that is stepped through. */
static int run_child(struct child *child, __u64 id, enum action act, unsigned int fill)
{
	__u32 filler = FILLER;
	pid_t pid = getpid();
	struct mbox *mb;
	int ret;

	mb = mbox_open_id(id, O_RDWR);
	CHECK(mb);
	CHECK_EQ(0, mbox_set_spin(mb, 0));
	CHECK_EQ(0, operate(mb, act, BEFORE, &child->value));
	while (fill--)
		CHECK_EQ(0, mbox_send(mb, &filler, sizeof(filler), 0));
	NOTE(child->value, POISON32);
	CHECK_EQ(0, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	syscall(SYS_kill, pid, SIGSTOP);
	ret = operate(mb, act, OURS, &child->value);
	NOTE(child->done, ret ? 2 : 1);
	for (;;)
		syscall(SYS_kill, pid, SIGSTOP);
}

/* ---- the others --------------------------------------------------------- */

#define WRONG(...) \
	do { \
		fprintf(stderr, "# " __VA_ARGS__); \
		fputc('\n', stderr); \
		return -1; \
	} while (0)

/* With a handle of their own, so that the next one is admitted. */
static int put_from_outside(FIXTURE_DATA(step) *self, __u32 value)
{
	struct timespec limit = deadline_in(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct mbox *mb = mbox_open_id(self->id, O_WRONLY);
	long ret;

	ret = mb ? neg(mbox_timedsend(mb, &value, sizeof(value), 0, &limit)) : -ENOENT;
	mbox_close(mb);
	if (ret)
		WRONG("sending %u: %s", value, strerror(-ret));
	return 0;
}

static int take_from_outside(FIXTURE_DATA(step) *self, long expected)
{
	struct mbox *mb = mbox_open_id(self->id, O_RDONLY);
	long ret = mb ? ring_take(mb) : -ENOENT;

	mbox_close(mb);
	if (ret != expected)
		WRONG("received %ld, not %ld", ret, expected);
	return 0;
}

/* With what the ring has to have in it when the call begins. */
static int start_child(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant)
{
	bool sleeps = variant->others == CHILD_SLEEPS;
	unsigned int fill, i;
	int status;

	self->filled = 0;
	self->child->done = 0;
	/* What it receives to be warm. */
	if (!sends(variant) && put_from_outside(self, WARM_UP))
		return -1;
	/* The first one sends it to be warm. */
	fill = sends(variant) && sleeps ? variant->capacity - 1 : 0;
	self->pid = fork();
	if (!self->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run_child(self->child, self->id, variant->act, fill));
	}
	if (self->pid < 0 || waitpid(self->pid, &status, 0) != self->pid)
		WRONG("no child: %s", strerror(errno));
	if (!WIFSTOPPED(status))
		WRONG("the child ended with %#x", status);
	if (sends(variant)) {
		if (sleeps)
			self->filled = variant->capacity;
		else if (take_from_outside(self, variant->act == RESERVE_DISCARD ? -EAGAIN
										       : BEFORE))
			return -1;
		return 0;
	}
	if (sleeps)
		return 0;
	/* A sender that is to sleep needs it to be full. */
	fill = variant->others == OTHER_SIDE_SLEEPS ? variant->capacity
						    : (variant->capacity + 1) / 2;
	for (i = 0; i < fill; i++)
		if (put_from_outside(self, i ? FILLER : OURS))
			return -1;
	self->filled = fill;
	return 0;
}

/* ---- stepping ----------------------------------------------------------- */

#if defined(__x86_64__)
#define PC_OFFSET offsetof(struct user, regs.rip)
#elif defined(__i386__)
#define PC_OFFSET offsetof(struct user, regs.eip)
#endif

/* What has become of the child. */
enum stop {
	STEPPED,
	ASLEEP,
	/* It stopped itself, behind the call. */
	FINISHED,
	LOST,
};

/* Let it run until it stops. It can come to a call in which it sleeps. */
static enum stop resume(FIXTURE_DATA(step) *self, int request, bool may_sleep)
{
	unsigned int looks;
	struct mbox_stat st;
	int status;
	pid_t ret;

	if (request >= 0 && ptrace(request, self->pid, NULL, NULL))
		return LOST;
	for (looks = 0;; looks++) {
		ret = waitpid(self->pid, &status, may_sleep ? WNOHANG : 0);
		if (ret == self->pid) {
			if (!WIFSTOPPED(status))
				return LOST;
			if (WSTOPSIG(status) == SIGTRAP)
				return STEPPED;
			return WSTOPSIG(status) == SIGSTOP ? FINISHED : LOST;
		}
		if (ret < 0)
			return LOST;
		if (!raw_stat(self->fd, &st) && st.waiting_senders + st.waiting_receivers)
			return ASLEEP;
		sched_yield();
	}
}

/* Let the child do what it waits for. */
static int help_child(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant)
{
	if (sends(variant)) {
		self->filled--;
		return take_from_outside(self, BEFORE);
	}
	self->filled++;
	return put_from_outside(self, OURS);
}

/* The same, and if it sleeps it is helped, once. */
static enum stop resume_awake(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant,
			      int request, bool *may_sleep)
{
	enum stop stop = resume(self, request, *may_sleep);

	if (stop != ASLEEP)
		return stop;
	*may_sleep = false;
	if (help_child(self, variant))
		return LOST;
	return resume(self, -1, false);
}

static unsigned long child_pc(FIXTURE_DATA(step) *self)
{
#ifdef PC_OFFSET
	return ptrace(PTRACE_PEEKUSER, self->pid, PC_OFFSET, NULL);
#else
	return 0;
#endif
}

/* @k instructions, or all there are. Writes down where it went if it is the first. */
static int run_by_steps(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant,
			unsigned int k)
{
	bool may_sleep = variant->others == CHILD_SLEEPS, first = !self->length;
	unsigned int i;

	for (i = 0; i < k && !__atomic_load_n(&self->child->done, __ATOMIC_SEQ_CST); i++) {
		if (first && i < TRACE_MAX)
			self->pc[i] = child_pc(self);
		if (resume_awake(self, variant, PTRACE_SINGLESTEP, &may_sleep) != STEPPED)
			WRONG("the child cannot be stepped");
	}
	if (first)
		self->length = i;
	return 0;
}

#ifdef PC_OFFSET
/* To a breakpoint, as often as the first child came by before instruction @k. */
static int run_to(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant, unsigned int k)
{
	bool may_sleep = variant->others == CHILD_SLEEPS;
	unsigned long pc = self->pc[k], text;
	unsigned int i, passes = 0;
	enum stop stop;

	for (i = 0; i < k; i++)
		passes += self->pc[i] == pc;
	errno = 0;
	text = ptrace(PTRACE_PEEKTEXT, self->pid, pc, NULL);
	if (errno)
		WRONG("no text at %#lx: %s", pc, strerror(errno));
	for (;;) {
		if (ptrace(PTRACE_POKETEXT, self->pid, pc, (text & ~0xffUL) | 0xcc))
			WRONG("no breakpoint at %#lx: %s", pc, strerror(errno));
		stop = resume_awake(self, variant, PTRACE_CONT, &may_sleep);
		if (stop == FINISHED) {
			/* It took another path: a sleeper was just waking. */
			self->strayed++;
			return 0;
		}
		if (stop != STEPPED || child_pc(self) != pc + 1)
			WRONG("the child does not come by %#lx", pc);
		if (ptrace(PTRACE_POKETEXT, self->pid, pc, text) ||
		    ptrace(PTRACE_POKEUSER, self->pid, PC_OFFSET, pc))
			WRONG("ptrace: %s", strerror(errno));
		if (!passes--)
			return 0;
		if (resume_awake(self, variant, PTRACE_SINGLESTEP, &may_sleep) != STEPPED)
			WRONG("the child cannot be stepped");
	}
}
#else
#define run_to run_by_steps
#endif

/* @k: one that there is not: all of them; or into its sleep. */
#define COMPLETE UINT32_MAX
#define INTO_SLEEP (UINT32_MAX - 1)

static int run_and_kill(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant,
			unsigned int k)
{
	int ret = 0, status;

	if (k == COMPLETE) {
		ret = run_by_steps(self, variant, k);
	} else if (k == INTO_SLEEP) {
		if (resume(self, PTRACE_CONT, true) != ASLEEP)
			WRONG("the child does not sleep");
		self->asleep++;
	} else {
		ret = run_to(self, variant, k);
	}
	if (ret)
		return ret;
	if (kill(self->pid, SIGKILL))
		WRONG("kill: %s", strerror(errno));
	while (waitpid(self->pid, &status, 0) == self->pid && !WIFSIGNALED(status))
		;
	self->pid = 0;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		WRONG("the child ended with %#x", status);
	if (self->child->done == 2)
		WRONG("its call failed");
	return 0;
}

/* ---- afterwards --------------------------------------------------------- */

/* All that is there, in order; then the ring works as ever. */
static int drain(FIXTURE_DATA(step) *self, const long *expected, unsigned int n, __u32 capacity)
{
	struct mbox *mb = mbox_open_id(self->id, O_RDWR);
	unsigned int i;
	long ret;

	if (!mb)
		WRONG("open: %s", strerror(errno));
	for (i = 0; i < n; i++) {
		ret = ring_take(mb);
		if (ret != expected[i])
			WRONG("received %ld as number %u, not %ld", ret, i, expected[i]);
	}
	ret = ring_take(mb);
	if (ret != -EAGAIN)
		WRONG("received %ld instead of nothing", ret);
	for (i = 0; i < capacity; i++) {
		ret = ring_put(mb, 100 + i);
		if (ret)
			WRONG("sending number %u of %u: %s", i, capacity, strerror(-ret));
	}
	ret = ring_put(mb, 1);
	if (ret != -EAGAIN)
		WRONG("one too many: %ld", ret);
	for (i = 0; i < capacity; i++) {
		ret = ring_take(mb);
		if (ret != 100 + i)
			WRONG("received %ld, not %u", ret, 100 + i);
	}
	return mbox_close(mb);
}

/* Whether the sender got as far as committing. */
static int was_sent(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant, bool *sent)
{
	unsigned int state = state_of(&self->memory, self->pos);

	*sent = state == MBOX_SLOT_COMMITTED;
	if (state == MBOX_SLOT_BUSY)
		WRONG("the place of the dead is busy");
	if (variant->act == RESERVE_DISCARD && *sent)
		WRONG("it was sent without being committed");
	if (self->child->done && !*sent && variant->act != RESERVE_DISCARD)
		WRONG("it returned and has sent nothing");
	return 0;
}

/* What the sender has sent comes; a receiver that sleeps gets it. */
static int check_sent(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant,
		      struct ring_call *sleeper, bool *happened)
{
	long expected[8], got;
	unsigned int n = 0, i;

	if (was_sent(self, variant, happened))
		return -1;
	if (sleeper) {
		/* If it was not, something else has to come. */
		if (!*happened && put_from_outside(self, AFTER))
			return -1;
		got = ring_join(sleeper);
		mbox_close(sleeper->mb);
		if (got != (*happened ? OURS : AFTER))
			WRONG("the sleeper has received %ld", got);
		return drain(self, NULL, 0, variant->capacity);
	}
	for (i = 0; i < self->filled; i++)
		expected[n++] = self->filled == variant->capacity && !i ? BEFORE : FILLER;
	if (*happened)
		expected[n++] = OURS;
	/* Past what was abandoned, if there is room behind it. */
	if (self->filled + 1 < variant->capacity) {
		if (put_from_outside(self, AFTER))
			return -1;
		expected[n++] = AFTER;
	}
	return drain(self, expected, n, variant->capacity);
}

/* What the receiver has not received comes; a sender that sleeps goes on. */
static int check_received(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant,
			  struct ring_call *sleeper, bool *happened)
{
	__u64 head = __atomic_load_n(self->memory.head, __ATOMIC_SEQ_CST);
	long expected[8], ret;
	unsigned int n = 0, i;

	*happened = head == self->pos + 1;
	if (!*happened && head != self->pos)
		WRONG("the head is at %llu, and not at %llu", (unsigned long long)head,
		      (unsigned long long)self->pos);
	if (*happened && self->child->value != OURS)
		WRONG("it has received %u", self->child->value);
	if (self->child->done && !*happened)
		WRONG("it returned and has received nothing");
	if (sleeper) {
		/* If there is no room yet, make some. */
		if (!*happened && take_from_outside(self, OURS))
			return -1;
		ret = ring_join(sleeper);
		mbox_close(sleeper->mb);
		if (ret)
			WRONG("the sleeper: %ld", ret);
		for (i = 1; i < self->filled; i++)
			expected[n++] = FILLER;
		expected[n++] = OTHERS;
		return drain(self, expected, n, variant->capacity);
	}
	for (i = 0; i < self->filled; i++)
		if (i || !*happened)
			expected[n++] = i ? FILLER : OURS;
	if (self->filled < variant->capacity) {
		if (put_from_outside(self, AFTER))
			return -1;
		expected[n++] = AFTER;
	}
	return drain(self, expected, n, variant->capacity);
}

static int start_sleeper(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant,
			 struct ring_call *call, struct timespec *limit)
{
	struct mbox *mb = mbox_open_id(self->id, O_RDWR);

	if (!mb)
		WRONG("open: %s", strerror(errno));
	memset(call, 0, sizeof(*call));
	mbox_set_spin(mb, 0);
	*limit = deadline_in(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	call->deadline = limit;
	if (sends(variant) ? ring_recv_start(call, mb) : ring_send_start(call, mb, OTHERS))
		WRONG("no thread");
	return await_waiting(self->fd, !sends(variant), sends(variant));
}

static int one_death(FIXTURE_DATA(step) *self, const FIXTURE_VARIANT(step) *variant,
		     unsigned int k, bool *happened)
{
	bool sleeps = variant->others == OTHER_SIDE_SLEEPS;
	struct ring_call sleeper;
	struct timespec limit;

	if (start_child(self, variant) ||
	    (sleeps && start_sleeper(self, variant, &sleeper, &limit)))
		return -1;
	self->pos = __atomic_load_n(sends(variant) ? self->memory.tail : self->memory.head,
				    __ATOMIC_SEQ_CST);
	if (run_and_kill(self, variant, k))
		return -1;
	return sends(variant) ? check_sent(self, variant, sleeps ? &sleeper : NULL, happened)
			      : check_received(self, variant, sleeps ? &sleeper : NULL, happened);
}

TEST_F_TIMEOUT(step, killed_after_each_instruction, 600)
{
	bool happened = false, before = false;
	unsigned int k, n = 2, strayed = 0;

	/* A step ends the reservation of a load-exclusive: CAS never succeeds. */
	if (on_machine("aarch64"))
		SKIP(return, "compare-and-swap cannot be stepped through on this architecture");
	/* A step and a page fault at once are SIGSEGV in QEMU. */
	if (on_machine("s390x"))
		SKIP(return, "stores that fault cannot be stepped through on this architecture");
	/* The library knows whether there were ever threads: the second is as all others. */
	ASSERT_EQ(0, one_death(self, variant, COMPLETE, &happened));
	self->length = 0;
	ASSERT_EQ(0, one_death(self, variant, COMPLETE, &happened));
	EXPECT_EQ(variant->act != RESERVE_DISCARD, happened);
	ASSERT_LT(20U, self->length);
	ASSERT_GT(TRACE_MAX, self->length);
	for (k = 0; k < self->length; n++) {
		ASSERT_EQ(0, one_death(self, variant, k, &happened))
		{
			TH_LOG("after %u instructions", k);
		}
		/* What has happened after some has happened after more. */
		if (self->strayed == strayed) {
			ASSERT_LE(before, happened)
			{
				TH_LOG("after %u instructions", k);
			}
			before = happened;
		}
		strayed = self->strayed;
		k += 1 + (self->stride > 1 ? random_below(&self->random, 2 * self->stride - 1) : 0);
	}
	if (variant->others == CHILD_SLEEPS) {
		ASSERT_EQ(0, one_death(self, variant, INTO_SLEEP, &happened));
		EXPECT_FALSE(happened);
		EXPECT_EQ(1, self->asleep);
	}
	EXPECT_GE(n / 20 + 1, self->strayed);
	TH_LOG("%u instructions, %u deaths, %u of them elsewhere", self->length,
	       n + self->asleep, self->strayed);
}

TEST_HARNESS_MAIN
