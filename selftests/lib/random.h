/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers for tests that do things at random: the same from the same seed, on
 * every machine, so that what a test found can be found again.
 */
#ifndef SELFTESTS_RANDOM_H
#define SELFTESTS_RANDOM_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/**
 * struct random - a generator
 * @state: any number is a seed
 */
struct random {
	__u64 state;
};

/* SplitMix64. */
static inline __u64 random_next(struct random *r)
{
	__u64 z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* From 0 to @n - 1. */
static inline unsigned int random_below(struct random *r, unsigned int n)
{
	return (random_next(r) >> 32) % n;
}

/* True once in @n times. */
static inline bool one_in(struct random *r, unsigned int n)
{
	return !random_below(r, n);
}

/* Of the environment, or the default. */
static inline unsigned long env_number(const char *name, unsigned long missing)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : missing;
}

/* MBOX_SEED, or another for each run. */
static inline unsigned long random_seed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return env_number("MBOX_SEED", (now.tv_nsec / 1000 ^ now.tv_sec ^ getpid()) & 0xffffff);
}

#endif /* SELFTESTS_RANDOM_H */
