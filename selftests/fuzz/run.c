// SPDX-License-Identifier: GPL-2.0-only
/*
 * One program, from beginning to end, as the main process sees it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fuzz.h"

/* A program that takes this long hangs. */
#define WAIT_LIMIT_SEC	60

static uint64_t programs_run;

static uint32_t workers_of(const struct program *p)
{
	uint32_t mask = 0;
	unsigned int i;

	for (i = 0; i < p->n; i++)
		mask |= 1 << p->ops[i].worker % WORKERS;
	return mask;
}

static bool is_wild(const struct program *p)
{
	unsigned int i;

	for (i = 0; i < p->n; i++)
		if (op_is_wild(&p->ops[i]))
			return true;
	return false;
}

static bool uses_memory(const struct program *p)
{
	unsigned int i;

	/* See memory.c: from there on, pages that change. */
	for (i = 0; i < p->n; i++)
		if (p->ops[i].a[5] >= 196)
			return true;
	return program_has(p, "memory");
}

static void print_file(const char *path)
{
	char text[1024];
	ssize_t len;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	printf("# %s\n", path);
	while ((len = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, len, stdout);
	close(fd);
}

/* Where the workers are that should have ended. */
static void show_hang(void)
{
	static const char *const files[] = { "syscall", "stack", "status" };
	char path[300];
	unsigned int i, j;

	for (i = 0; i < WORKERS; i++) {
		const struct worker_shared *l = &shared->worker[i];

		printf("# worker %u is at operation %u\n", i, l->at);
		for (j = 0; j < ARRAY_SIZE(files); j++) {
			snprintf(path, sizeof(path), "/proc/%d/task/%d/%s",
				 l->pid, l->tid, files[j]);
			print_file(path);
		}
	}
	printf("# running %u, arrived %u, checking %u\n", shared->running,
	       shared->arrived, shared->checking);
	fflush(stdout);
	write_file("/proc/sysrq-trigger", "w");
}

static void __attribute__((noreturn)) failed(const struct program *p)
{
	while (shared->broken == 1)
		usleep(1000);
	/* One job is to be heard. */
	if (!__atomic_exchange_n(&jobs->failed, 1, __ATOMIC_ACQ_REL)) {
		printf("FAILED: %s\n", shared->why);
		program_show(p, stdout);
		fflush(stdout);
		log_program("F", p);
		log_line("E %s", shared->why);
	}
	exit(1);
}

/* Returns whether the program has ended; if not, a process has. */
static bool wait_for_end(void)
{
	uint64_t limit = now_ns(CLOCK_MONOTONIC) + WAIT_LIMIT_SEC * NSEC;
	uint32_t running;

	while ((running = __atomic_load_n(&shared->running,
					  __ATOMIC_ACQUIRE))) {
		futex_wait(&shared->running, running, NSEC / 10);
		if (!processes_alive())
			return false;
		if (now_ns(CLOCK_MONOTONIC) > limit) {
			show_hang();
			broken("the program hangs");
			return true;
		}
	}
	return true;
}

static void start_workers(uint32_t workers)
{
	unsigned int i;

	for (i = 0; i < WORKERS; i++) {
		if (!(workers & 1 << i))
			continue;
		shared->worker[i].calls = 0;
		shared->worker[i].ioctls = 0;
		__atomic_add_fetch(&shared->worker[i].go, 1, __ATOMIC_ACQ_REL);
		futex_wake(&shared->worker[i].go);
	}
}

static void empty_inboxes(void)
{
	char byte, control[256];
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *head;
	unsigned int i, n;
	int fd;

	for (i = 0; i < PROCS; i++) {
		for (;;) {
			msg.msg_control = control;
			msg.msg_controllen = sizeof(control);
			if (recvmsg(inbox_rx[i], &msg, MSG_DONTWAIT) < 0)
				break;
			head = CMSG_FIRSTHDR(&msg);
			if (!head)
				continue;
			for (n = 0; CMSG_LEN(n * sizeof(fd)) < head->cmsg_len;
			     n++) {
				memcpy(&fd, CMSG_DATA(head) + n * sizeof(fd),
				       sizeof(fd));
				close(fd);
			}
		}
	}
}

static void clean_up(const struct program *p)
{
	if (program_has(p, "pass"))
		empty_inboxes();
	if (program_has_params(p)) {
		module_params_reset();
		unlock(&jobs->param_lock);
	}
	check_nothing_left();
	if (program_has(p, "setns") && !setns(net_ns[1], CLONE_NEWNET)) {
		check_nothing_left();
		setns(net_ns[0], CLONE_NEWNET);
	}
	if (!(programs_run % 64))
		check_limits();
	check_log();
}

static void add_figures(void)
{
	unsigned int i;

	programs_run++;
	__atomic_add_fetch(&jobs->programs, 1, __ATOMIC_RELAXED);
	for (i = 0; i < WORKERS; i++) {
		struct worker_shared *l = &shared->worker[i];

		__atomic_add_fetch(&jobs->calls, l->calls, __ATOMIC_RELAXED);
		__atomic_add_fetch(&jobs->ioctls, l->ioctls, __ATOMIC_RELAXED);
		l->calls = 0;
		l->ioctls = 0;
	}
}

/* When a job has run its last program. */
void run_end(void)
{
	static const struct program none;

	check_limits();
	if (shared->broken)
		failed(&none);
}

static void forget_requests(void)
{
	memset(shared->requests, 0, sizeof(shared->requests));
	memset(shared->lengths, 0, sizeof(shared->lengths));
	shared->nrequests = 0;
	shared->events = 0;
	memset(shared->tickets, 0, sizeof(shared->tickets));
	shared->ntickets = 0;
	memset(shared->started, 0, sizeof(shared->started));
	memset(shared->over, 0, sizeof(shared->over));
	shared->nstarted = 0;
	shared->calls_away = 0;
	shared->quota = 0;
}

unsigned int run_program(const struct program *p, struct cover *c)
{
	unsigned int fresh;
	char what[16];

	tracing_step(programs_run);
	snprintf(what, sizeof(what), "P %u", job);
	log_program(what, p);
	if (program_has_params(p))
		lock(&jobs->param_lock);
	shared->program = *p;
	shared->wild = is_wild(p);
	shared->has_params = program_has_params(p);
	shared->has_setuid = program_has(p, "setuid") ||
			     program_has(p, "poor") || program_has(p, "quota");
	shared->has_setns = program_has(p, "setns");
	shared->has_nice = program_has(p, "nice");
	shared->has_memory = uses_memory(p);
	shared->progress_waiters = 0;
	forget_requests();
	shared->workers = workers_of(p);
	memset(shared->state, 0, sizeof(shared->state));
	shared->arrived = 0;
	shared->checking = 0;
	shared->running = __builtin_popcount(shared->workers);
	cover_reset();
	start_workers(shared->workers);
	if (!wait_for_end()) {
		__atomic_add_fetch(&jobs->lost, 1, __ATOMIC_RELAXED);
		log_program("W", p);
		processes_stop();
		/* With it, what it may have spoilt. */
		processes_start();
	}
	add_figures();
	if (!shared->broken)
		clean_up(p);
	fresh = cover_collect(c);
	if (shared->broken)
		failed(p);
	return fresh;
}
