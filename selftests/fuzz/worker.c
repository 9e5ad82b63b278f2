// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: the threads of the processes, which live from program to
 * program, because processes are expensive to make in a checking kernel.
 *
 * A program is over in steps: a worker does its operations; the last of a process
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

/* Every worker gets a signal this often, so that no call waits for ever. */
#define TICK_NSEC	5000000
/* How long the next operation of a staggered program waits for one to end. */
#define STAGGER_NSEC	1000000
#define STAGGER_MAX	20000000

struct process process;

static pid_t processes[PROCS];
static struct worker workers[WORKERS];
static __thread struct worker *worker_self;

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

void worker_tick(struct worker *l, bool on)
{
	struct itimerspec spec = {};

	if (on)
		spec.it_value.tv_nsec = TICK_NSEC;
	spec.it_interval = spec.it_value;
	timer_settime(l->timer, 0, &spec, NULL);
	spec = (struct itimerspec){};
	timer_settime(l->nudge, 0, &spec, NULL);
}

void nudge(struct worker *l, uint8_t when)
{
	struct itimerspec spec = {
		.it_value.tv_nsec = (1 + (when & 63)) * 20000,
	};

	if (!l->child)
		timer_settime(l->nudge, 0, &spec, NULL);
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
	if (worker_self && worker_self->failing)
		siglongjmp(worker_self->jump, 1);
	signal(SIGSEGV, SIG_DFL);
}

static void run_failing(struct worker *l, const struct op *op)
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

static void run_op(struct worker *l, const struct op *op)
{
	const struct operation *operation = operation_of(op);

	if (l->fail_nth && operation->may_fail && l->fail_fd >= 0)
		run_failing(l, op);
	else
		operation->run(l, op);
}

void worker_run_ops(struct worker *l, unsigned int from, unsigned int to)
{
	const struct program *p = &shared->program;
	unsigned int i, skip = 0;

	for (i = from; i < p->n && i < to; i++) {
		const struct op *op = &p->ops[i];

		if (op->worker % WORKERS != l->index)
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
void worker_become_child(struct worker *l)
{
	const struct itimerval tick = {
		.it_value.tv_usec = TICK_NSEC / 1000,
		.it_interval.tv_usec = TICK_NSEC / 1000,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	l->child = true;
	l->nchildren = 0;
	l->ncrowd = 0;
	l->left = 0;
	l->fail_fd = -1;
	memory_become_child(l);
	setitimer(ITIMER_REAL, &tick, NULL);
	cover_enable(COVER_CHILD + l->index);
}

/* ---- a worker's life ------------------------------------------------------ */

static void close_everything(struct process *p)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		p->slots[i] = -1;
	/* Also what a race between workers has left without a slot. */
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
	fs_reset_process();
	if (shared->has_memory)
		memory_renew();
}

/* How many workers of the mask are of this process, and how many processes. */
static void count_workers(uint32_t mask, unsigned int proc, unsigned int *nworkers,
			  unsigned int *nprocs)
{
	unsigned int i, seen = 0;

	*nworkers = 0;
	for (i = 0; i < WORKERS; i++) {
		if (!(mask & 1 << i))
			continue;
		seen |= 1 << worker_process(i);
		*nworkers += worker_process(i) == proc;
	}
	*nprocs = __builtin_popcount(seen);
}

static void run_worker(struct worker *l)
{
	unsigned int nworkers, nprocs, ended;

	l->fail_nth = 0;
	l->ticket = 0;
	l->left = 0;
	worker_tick(l, true);
	worker_run_ops(l, 0, MAX_OPS);
	worker_tick(l, false);
	crowd_join(l);
	ops_process_reset(l);
	ops_process_reap(l);
	__atomic_store_n(&l->shared->at, MAX_OPS, __ATOMIC_RELAXED);
	count_workers(shared->workers, l->proc->index, &nworkers, &nprocs);
	ended = __atomic_add_fetch(&l->proc->ended, 1, __ATOMIC_ACQ_REL);
	/* The rest is for the last. */
	if (ended < nworkers)
		return;
	l->proc->ended = 0;
	end_process(l->proc, nprocs);
}

/* The file is the thread's that opens it. */
static void open_fail_file(struct worker *l)
{
	l->fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	__atomic_store_n(&l->ready, true, __ATOMIC_RELEASE);
}

static void *worker_main(void *arg)
{
	struct worker *l = arg;
	uint32_t done = 0, go;
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM,
	};

	worker_self = l;
	l->shared->pid = getpid();
	l->shared->tid = syscall(SYS_gettid);
	event._sigev_un._tid = l->shared->tid;
	if (timer_create(CLOCK_MONOTONIC, &event, &l->timer))
		die("timer_create: %s", strerror(errno));
	event.sigev_signo = SIGUSR1;
	if (timer_create(CLOCK_MONOTONIC, &event, &l->nudge))
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
		run_worker(l);
		if (!__atomic_sub_fetch(&shared->running, 1, __ATOMIC_ACQ_REL))
			futex_wake(&shared->running);
	}
	return NULL;
}

/* ---- processes ---------------------------------------------------------- */

unsigned int worker_process(unsigned int worker)
{
	return worker ? worker - 1 : 0;
}

static void nothing(int sig)
{
}

static void restarting(int sig)
{
	struct worker *l = worker_self;

	if (l && __atomic_load_n(&l->calling, __ATOMIC_ACQUIRE))
		call_interrupted(l);
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

/* A pidfd of a process that has exited, and was waited for. */
static int exited_pidfd(void)
{
	pid_t pid = fork();
	int fd;

	if (!pid)
		_exit(0);
	fd = syscall(SYS_pidfd_open, pid, 0);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}

static void process_main(unsigned int index)
{
	struct process *p = &process;
	pthread_t thread;
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	handle(SIGALRM, nothing, 0);
	handle(SIGUSR1, restarting, SA_RESTART);
	handle(SIGUSR2, nothing, 0);
	handle(SIGPIPE, no_sigpipe, 0);
	handle(SIGSEGV, bad_access, SA_NODEFER);
	signal(SIGIO, SIG_IGN);
	p->index = index;
	p->device = open(DEVICE, O_RDWR | O_CLOEXEC);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->gone = exited_pidfd();
	p->uring = uring_new();
	if (p->device < 0 || p->epoll < 0)
		die("%s: %s", DEVICE, strerror(errno));
	memory_init_process();
	fs_init_process();
	for (i = 0; i < WORKERS; i++) {
		if (worker_process(i) != index)
			continue;
		if (!p->nworkers++)
			p->first_worker = i;
		workers[i].index = i;
		workers[i].proc = p;
		workers[i].shared = &shared->worker[i];
		memory_init_worker(&workers[i]);
	}
	for (i = 0; i < SLOTS; i++)
		p->slots[i] = -1;
	for (i = p->first_worker + 1; i < p->first_worker + p->nworkers; i++) {
		if (pthread_create(&thread, NULL, worker_main, &workers[i]))
			die("pthread_create");
		while (!__atomic_load_n(&workers[i].ready, __ATOMIC_ACQUIRE))
			usleep(1000);
	}
	open_fail_file(&workers[p->first_worker]);
	p->base = open_base();
	worker_main(&workers[p->first_worker]);
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

void processes_start(void)
{
	unsigned int i;

	shared->arrived = 0;
	for (i = 0; i < PROCS; i++) {
		processes[i] = fork();
		if (processes[i] < 0)
			die("fork: %s", strerror(errno));
		if (processes[i])
			continue;
		if (i == PROCS - 1)
			enter_time_namespace();
		process_main(i);
		_exit(1);
	}
	for (i = 0; shared->arrived < WORKERS; i++) {
		if (i == 6000 || !processes_alive())
			die("the processes do not start");
		usleep(10000);
	}
}

void processes_stop(void)
{
	unsigned int i;

	for (i = 0; i < PROCS; i++)
		if (processes[i] > 0)
			kill(processes[i], SIGKILL);
	for (i = 0; i < PROCS; i++)
		if (processes[i] > 0)
			waitpid(processes[i], NULL, 0);
	memset(processes, 0, sizeof(processes));
}

bool processes_alive(void)
{
	unsigned int i;
	int status;

	for (i = 0; i < PROCS; i++)
		if (waitpid(processes[i], &status, WNOHANG) == processes[i]) {
			processes[i] = 0;
			printf("# process %u ended: status %#x\n", i, status);
			return false;
		}
	return true;
}
