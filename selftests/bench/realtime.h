/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads with a CPU and a priority, and tables of how long something took.
 */
#ifndef MBOX_BENCH_REALTIME_H
#define MBOX_BENCH_REALTIME_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "measure.h"

/* On one CPU; @priority 0 is an ordinary one. */
static inline void start(pthread_t *tid, void *(*fn)(void *), void *arg, int cpu, int priority)
{
	struct sched_param param = { .sched_priority = priority };
	pthread_attr_t attr;
	cpu_set_t cpus;
	int ret;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, priority ? SCHED_FIFO : SCHED_OTHER);
	pthread_attr_setschedparam(&attr, &param);
	pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	ret = pthread_create(tid, &attr, fn, arg);
	if (ret) {
		errno = ret;
		err(1, "thread with priority %d", priority);
	}
	pthread_attr_destroy(&attr);
}

static inline void print_head(void)
{
	printf("%-10s %9s %9s %9s %9s %9s %9s\n", "", "min", "50 %", "90 %", "99 %", "99.9 %",
	       "max");
}

/* In microseconds; @samples are nanoseconds, and are sorted. */
static inline void print_row(const char *name, uint64_t *samples, unsigned int n)
{
	static const double points[] = { 0, 0.5, 0.9, 0.99, 0.999, 1 };
	unsigned int i, at;

	qsort(samples, n, sizeof(*samples), compare_u64);
	printf("%-10s", name);
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		at = points[i] * (n - 1);
		printf(" %9.1f", samples[at] / 1000.0);
	}
	printf("\n");
}

#endif /* MBOX_BENCH_REALTIME_H */
