/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals that a test keeps blocked, and takes one by one with what they say.
 */
#ifndef SELFTESTS_SIGNALS_H
#define SELFTESTS_SIGNALS_H

#include "peers.h"

/* One that is queued, so that none is merged with another. */
#define QUEUED	(SIGRTMIN + 3)

static inline sigset_t set_of(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return set;
}

static inline int block_signal(int sig)
{
	sigset_t set = set_of(sig);

	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static inline int unblock_signal(int sig)
{
	sigset_t set = set_of(sig);

	return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* The next of the signals of that number, or -EAGAIN after @ms. */
static inline int take_signal(int sig, siginfo_t *info, int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NSEC_PER_MSEC };
	sigset_t set = set_of(sig);

	memset(info, POISON, sizeof(*info));
	return neg(sigtimedwait(&set, info, &ts));
}

/* si_code of the next one, or -errno. */
static inline int code_of_next(int sig)
{
	siginfo_t info;
	int ret = take_signal(sig, &info, WAIT_LIMIT_MS);

	return ret < 0 ? ret : info.si_code;
}

/*
 * Whether none is there: the kernel sends them in the call that is their cause,
 * before it returns.
 */
static inline bool no_signal(int sig)
{
	siginfo_t info;

	return take_signal(sig, &info, 0) == -EAGAIN;
}

#endif /* SELFTESTS_SIGNALS_H */
