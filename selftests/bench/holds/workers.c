// SPDX-License-Identifier: GPL-2.0-only
/* Threads that wait for something when a state wants them to. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "holds.h"

#define STACK 16384

static struct worker {
	pthread_t thread;
	uint32_t go;
	uint32_t busy;
	job_fn job;
} *workers;
static uint32_t working;

static void *work(void *arg)
{
	struct worker *w = arg;
	uint32_t seen = 0;

	for (;;) {
		while (__atomic_load_n(&w->go, __ATOMIC_ACQUIRE) == seen)
			syscall(SYS_futex, &w->go, FUTEX_WAIT_PRIVATE, seen, NULL);
		seen++;
		w->job(w - workers);
		__atomic_store_n(&w->busy, 0, __ATOMIC_RELEASE);
		__atomic_fetch_sub(&working, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

void start_workers(void)
{
	pthread_attr_t attr;
	unsigned int i;
	char *stacks;
	int ret;

	workers = calloc(nwaiters, sizeof(*workers));
	stacks = mmap(NULL, (size_t)nwaiters * STACK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!workers || stacks == MAP_FAILED)
		err(1, "workers");
	for (i = 0; i < nwaiters; i++) {
		pthread_attr_init(&attr);
		pthread_attr_setstack(&attr, stacks + (size_t)i * STACK, STACK);
		ret = pthread_create(&workers[i].thread, &attr, work, &workers[i]);
		if (ret)
			errx(1, "worker %u: %s", i, strerror(ret));
	}
	quiet();
}

static void start(unsigned int i, job_fn job)
{
	workers[i].job = job;
	workers[i].busy = 1;
	__atomic_fetch_add(&working, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&workers[i].go, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &workers[i].go, FUTEX_WAKE_PRIVATE, 1);
}

/* One that has nothing to do. */
void start_another(job_fn job)
{
	unsigned int i;

	for (i = 0; i < nwaiters; i++) {
		if (!__atomic_load_n(&workers[i].busy, __ATOMIC_ACQUIRE)) {
			start(i, job);
			return;
		}
	}
	errx(1, "%s: all workers wait", s.state->name);
}

/* The first n workers do the job, until they wait. */
void start_all(unsigned int n, job_fn job)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		start(i, job);
	quiet();
	s.nworkers = n;
	if (__atomic_load_n(&working, __ATOMIC_ACQUIRE) != n)
		errx(1, "%s: %u of %u wait", s.state->name, working, n);
}

/* The first n workers get a signal. */
void signal_all(unsigned int n, int sig)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		pthread_kill(workers[i].thread, sig);
}

void await_workers(void)
{
	while (__atomic_load_n(&working, __ATOMIC_ACQUIRE))
		quiet();
}

/* A worker that had to leave waits again. */
void wait_again(void)
{
	bool again = false;
	unsigned int i;

	if (!s.state->job || __atomic_load_n(&working, __ATOMIC_ACQUIRE) >= s.nworkers)
		return;
	if (s.state->empty)
		while (recv_from(s.mb, 0, 0, MBOX_DONTWAIT, 0) >= 0)
			;
	for (i = 0; i < s.nworkers; i++) {
		if (!__atomic_load_n(&workers[i].busy, __ATOMIC_ACQUIRE)) {
			start(i, s.state->job);
			again = true;
		}
	}
	if (again)
		quiet();
}
