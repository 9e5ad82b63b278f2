// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lanes: the worker processes and their threads, which live from program to
 * program, because processes are expensive to make in a checking kernel.
 *
 * A program is over in steps: a lane does its operations; the last of a process
 * ends what was begun and not waited for; when all processes are there, each of
 * them in its turn checks its mailboxes; then every descriptor is closed.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "fuzz.h"

/* Every lane gets a signal this often, so that no call waits for ever. */
#define TICK_NSEC	5000000
/* How long the next operation of a staggered program waits for one to end. */
#define STAGGER_NSEC	1000000
#define STAGGER_MAX	20000000

struct process process;

static pid_t workers[PROCS];
static struct lane lanes[LANES];
static __thread struct lane *lane_self;

/* Wait until @n have come. */
static void barrier(uint32_t *word, uint32_t n)
{
	uint32_t there = __atomic_add_fetch(word, 1, __ATOMIC_ACQ_REL);

	if (there == n)
		futex_wake(word);
	while ((there = __atomic_load_n(word, __ATOMIC_ACQUIRE)) < n)
		futex_wait(word, there, NSEC);
}

/* ---- slots -------------------------------------------------------------- */

int slot_fd(uint8_t b)
{
	unsigned int i;
	int fd;

	/* The next slot that has one, so that fewer operations are in vain. */
	for (i = 0; i < SLOTS; i++) {
		fd = __atomic_load_n(&process.slots[(b + i) % SLOTS],
				     __ATOMIC_RELAXED);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

void slot_put(uint8_t b, int fd)
{
	int old = __atomic_exchange_n(&process.slots[b % SLOTS], fd,
				      __ATOMIC_RELAXED);

	if (old >= 0)
		close(old);
}

int slot_take(uint8_t b)
{
	unsigned int i;
	int fd;

	for (i = 0; i < SLOTS; i++) {
		fd = __atomic_exchange_n(&process.slots[(b + i) % SLOTS], -1,
					 __ATOMIC_RELAXED);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

void lane_tick(struct lane *l, bool on)
{
	struct itimerspec spec = {};

	if (on)
		spec.it_value.tv_nsec = TICK_NSEC;
	spec.it_interval = spec.it_value;
	timer_settime(l->timer, 0, &spec, NULL);
}

/* ---- operations --------------------------------------------------------- */

static void step(unsigned int i, uint8_t state)
{
	if (state == 1)
		shared->began[i] = now_ns(CLOCK_MONOTONIC_RAW);
	__atomic_store_n(&shared->state[i], state, __ATOMIC_RELEASE);
	if (!(shared->program.flags & PROGRAM_STAGGERED))
		return;
	__atomic_add_fetch(&shared->progress, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&shared->progress_waiters, __ATOMIC_SEQ_CST))
		futex_wake(&shared->progress);
}

/*
 * In a staggered program, wait until the operation before has ended or is, as
 * it seems, waiting.
 */
static void wait_for_turn(unsigned int i)
{
	uint64_t start, now;
	uint32_t progress;
	uint8_t before;

	if (!i || !(shared->program.flags & PROGRAM_STAGGERED))
		return;
	start = now_ns(CLOCK_MONOTONIC_RAW);
	for (;;) {
		progress = __atomic_load_n(&shared->progress, __ATOMIC_ACQUIRE);
		before = __atomic_load_n(&shared->state[i - 1],
					 __ATOMIC_ACQUIRE);
		now = now_ns(CLOCK_MONOTONIC_RAW);
		if (before == 2 || now - start > STAGGER_MAX ||
		    (before == 1 && now - shared->began[i - 1] > STAGGER_NSEC))
			return;
		__atomic_add_fetch(&shared->progress_waiters, 1,
				   __ATOMIC_SEQ_CST);
		futex_wait(&shared->progress, progress, STAGGER_NSEC);
		__atomic_sub_fetch(&shared->progress_waiters, 1,
				   __ATOMIC_SEQ_CST);
	}
}

/*
 * The failure that an operation asked for can hit the kernel's return from a
 * signal handler instead, which ends in SIGSEGV.
 */
static void bad_access(int sig)
{
	if (lane_self && lane_self->failing)
		siglongjmp(lane_self->jump, 1);
	signal(SIGSEGV, SIG_DFL);
}

static void run_failing(struct lane *l, const struct op *op)
{
	char text[8];
	int len = snprintf(text, sizeof(text), "%u", l->fail_nth);

	l->fail_nth = 0;
	l->failing = true;
	/* Whenever it comes back here, the operation is over. */
	if (!sigsetjmp(l->jump, 1) &&
	    pwrite(l->fail_fd, text, len, 0) == len)
		operation_of(op)->run(l, op);
	while (pwrite(l->fail_fd, "0", 1, 0) != 1)
		;
	l->failing = false;
}

static void run_op(struct lane *l, const struct op *op)
{
	const struct operation *operation = operation_of(op);

	if (l->fail_nth && operation->may_fail && l->fail_fd >= 0)
		run_failing(l, op);
	else
		operation->run(l, op);
}

void lane_run_ops(struct lane *l, unsigned int from, unsigned int to)
{
	const struct program *p = &shared->program;
	unsigned int i, skip = 0;

	for (i = from; i < p->n && i < to; i++) {
		const struct op *op = &p->ops[i];

		if (op->lane % LANES != l->index)
			continue;
		/* What a fork gave to its child. */
		if (i < skip)
			continue;
		wait_for_turn(i);
		l->at = i;
		__atomic_store_n(&l->shared->at, i, __ATOMIC_RELAXED);
		step(i, 1);
		run_op(l, op);
		step(i, 2);
		l->shared->calls++;
		if (operation_of(op)->run == op_fork && !l->child)
			skip = i + 1 + fork_ops(op);
	}
}

/* In a new child: what is its own is not its parent's. */
void lane_become_child(struct lane *l)
{
	const struct itimerval tick = {
		.it_value.tv_usec = TICK_NSEC / 1000,
		.it_interval.tv_usec = TICK_NSEC / 1000,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	l->child = true;
	l->nchildren = 0;
	l->fail_fd = -1;
	memory_become_child(l);
	setitimer(ITIMER_REAL, &tick, NULL);
	cover_enable(COVER_CHILD + l->index);
}

/* ---- a lane's life ------------------------------------------------------ */

static void close_everything(struct process *p)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		p->slots[i] = -1;
	/* Also what a race between lanes has left without a slot. */
	syscall(SYS_close_range, p->base, ~0U, 0);
}

static void end_process(struct process *p, unsigned int nprocs)
{
	if (p->uring)
		uring_settle(p->uring);
	barrier(&shared->arrived, nprocs);
	/* No other process receives from mailboxes meanwhile. */
	lock(&shared->checking);
	check_process(p);
	unlock(&shared->checking);
	close_everything(p);
	if (shared->has_memory)
		memory_renew();
}

/* How many lanes of the mask are of this process, and how many processes. */
static void count_lanes(uint32_t mask, unsigned int proc, unsigned int *nlanes,
			unsigned int *nprocs)
{
	unsigned int i, seen = 0;

	*nlanes = 0;
	for (i = 0; i < LANES; i++) {
		if (!(mask & 1 << i))
			continue;
		seen |= 1 << lane_process(i);
		*nlanes += lane_process(i) == proc;
	}
	*nprocs = __builtin_popcount(seen);
}

static void run_lane(struct lane *l)
{
	unsigned int nlanes, nprocs, ended;

	l->fail_nth = 0;
	lane_tick(l, true);
	lane_run_ops(l, 0, MAX_OPS);
	lane_tick(l, false);
	ops_process_reset(l);
	ops_process_reap(l);
	__atomic_store_n(&l->shared->at, MAX_OPS, __ATOMIC_RELAXED);
	count_lanes(shared->lanes, l->proc->index, &nlanes, &nprocs);
	ended = __atomic_add_fetch(&l->proc->ended, 1, __ATOMIC_ACQ_REL);
	/* The rest is for the last. */
	if (ended < nlanes)
		return;
	l->proc->ended = 0;
	end_process(l->proc, nprocs);
}

/* The file is the thread's that opens it. */
static void open_fail_file(struct lane *l)
{
	l->fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	__atomic_store_n(&l->ready, true, __ATOMIC_RELEASE);
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	uint32_t done = 0, go;
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM,
	};

	lane_self = l;
	l->shared->pid = getpid();
	l->shared->tid = syscall(SYS_gettid);
	event._sigev_un._tid = l->shared->tid;
	if (timer_create(CLOCK_MONOTONIC, &event, &l->timer))
		die("timer_create: %s", strerror(errno));
	cover_enable(l->index);
	if (!l->ready)
		open_fail_file(l);
	/* The one before us has been told to end with a program half done. */
	done = __atomic_load_n(&l->shared->go, __ATOMIC_ACQUIRE);
	__atomic_add_fetch(&shared->arrived, 1, __ATOMIC_ACQ_REL);
	for (;;) {
		while ((go = __atomic_load_n(&l->shared->go,
					     __ATOMIC_ACQUIRE)) == done)
			futex_wait(&l->shared->go, done, NSEC);
		done = go;
		run_lane(l);
		if (!__atomic_sub_fetch(&shared->running, 1, __ATOMIC_ACQ_REL))
			futex_wake(&shared->running);
	}
	return NULL;
}

/* ---- processes ---------------------------------------------------------- */

unsigned int lane_process(unsigned int lane)
{
	return lane ? lane - 1 : 0;
}

static void nothing(int sig)
{
}

static void no_sigpipe(int sig)
{
	broken("SIGPIPE");
}

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = {
		.sa_handler = handler, .sa_flags = flags,
	};

	sigaction(sig, &action, NULL);
}

static int open_base(void)
{
	int fd = fcntl(0, F_DUPFD, 3);

	close(fd);
	return fd;
}

static void worker(unsigned int index)
{
	struct process *p = &process;
	pthread_t thread;
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	handle(SIGALRM, nothing, 0);
	handle(SIGUSR1, nothing, SA_RESTART);
	handle(SIGUSR2, nothing, 0);
	handle(SIGPIPE, no_sigpipe, 0);
	handle(SIGSEGV, bad_access, SA_NODEFER);
	signal(SIGIO, SIG_IGN);
	p->index = index;
	p->device = open(DEVICE, O_RDWR | O_CLOEXEC);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->uring = uring_new();
	if (p->device < 0 || p->epoll < 0)
		die("%s: %s", DEVICE, strerror(errno));
	memory_init_process();
	for (i = 0; i < LANES; i++) {
		if (lane_process(i) != index)
			continue;
		if (!p->nlanes++)
			p->first_lane = i;
		lanes[i].index = i;
		lanes[i].proc = p;
		lanes[i].shared = &shared->lane[i];
		memory_init_lane(&lanes[i]);
	}
	for (i = 0; i < SLOTS; i++)
		p->slots[i] = -1;
	for (i = p->first_lane + 1; i < p->first_lane + p->nlanes; i++) {
		if (pthread_create(&thread, NULL, lane_main, &lanes[i]))
			die("pthread_create");
		while (!__atomic_load_n(&lanes[i].ready, __ATOMIC_ACQUIRE))
			usleep(1000);
	}
	open_fail_file(&lanes[p->first_lane]);
	p->base = open_base();
	lane_main(&lanes[p->first_lane]);
}

/* The last process has a clock of its own. */
static void enter_time_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWTIME))
		return;
	write_file("/proc/self/timens_offsets", "monotonic 1000 0");
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		setns(fd, 0);
	close(fd);
}

void workers_start(void)
{
	unsigned int i;

	shared->arrived = 0;
	for (i = 0; i < PROCS; i++) {
		workers[i] = fork();
		if (workers[i] < 0)
			die("fork: %s", strerror(errno));
		if (workers[i])
			continue;
		if (i == PROCS - 1)
			enter_time_namespace();
		worker(i);
		_exit(1);
	}
	for (i = 0; shared->arrived < LANES; i++) {
		if (i == 6000 || !workers_alive())
			die("the worker processes do not start");
		usleep(10000);
	}
}

void workers_stop(void)
{
	unsigned int i;

	for (i = 0; i < PROCS; i++)
		if (workers[i] > 0)
			kill(workers[i], SIGKILL);
	for (i = 0; i < PROCS; i++)
		if (workers[i] > 0)
			waitpid(workers[i], NULL, 0);
	memset(workers, 0, sizeof(workers));
}

bool workers_alive(void)
{
	unsigned int i;
	int status;

	for (i = 0; i < PROCS; i++)
		if (waitpid(workers[i], &status, WNOHANG) == workers[i]) {
			workers[i] = 0;
			printf("# worker %u ended: status %#x\n", i, status);
			return false;
		}
	return true;
}
