/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counting instructions. In a virtual machine with -icount shift=0 one guest
 * nanosecond is one instruction, so a clock counts them, the same in every run.
 * (Elsewhere the programs work too, but measure time, with all its noise.)
 *
 * A median over many short batches leaves out those in which a timer tick or a
 * refill of an allocator's cache falls.
 */
#ifndef MBOX_BENCH_MEASURE_H
#define MBOX_BENCH_MEASURE_H

#include <err.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define BATCHES 101
#define PAIRS 20

typedef void (*pair_fn)(void *arg);

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static inline int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline uint64_t median(uint64_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_u64);

	return values[n / 2];
}

static inline void run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		err(1, "CPU %d", cpu);
}

/* Through a pointer that the compiler cannot see through, as all pairs are. */
static inline void pair_nothing(void *arg)
{
	(void)arg;
}

static inline uint64_t batch_cost(pair_fn volatile *pair, void *arg)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < PAIRS; i++)
		(*pair)(arg);

	return now_ns() - start;
}

/* The median cost of a batch, without what an empty one costs. */
static inline double pair_cost(pair_fn pair, void *arg)
{
	pair_fn volatile counted = pair, empty = pair_nothing;
	uint64_t with[BATCHES], without[BATCHES];
	int i;

	/* Symbols are bound and caches are filled before it counts. */
	batch_cost(&counted, arg);
	batch_cost(&empty, arg);

	for (i = 0; i < BATCHES; i++) {
		with[i] = batch_cost(&counted, arg);
		without[i] = batch_cost(&empty, arg);
	}

	return ((double)median(with, BATCHES) - (double)median(without, BATCHES)) / PAIRS;
}

#endif /* MBOX_BENCH_MEASURE_H */
