/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A directory whose lock is held: a thread reads it into memory that does not come for as
 * long as a test wants.
 */
#ifndef SELFTESTS_LOCKED_DIR_H
#define SELFTESTS_LOCKED_DIR_H

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "slow.h"

struct locked_dir {
	int fd;
	long ret;
	bool locked;
	pthread_t thread;
	struct slow slow;
};

/* The thread leaves the network namespace, so as not to keep it. */
static inline void *locked_dir_run(void *arg)
{
	struct locked_dir *l = arg;

	l->ret = neg(unshare(CLONE_NEWNET));
	lseek(l->fd, 0, SEEK_SET);
	if (!l->ret)
		l->ret = neg(syscall(SYS_getdents64, l->fd, l->slow.page, l->slow.size));
	return NULL;
}

/* Lock a directory by a descriptor. Return 0, or -errno: the kernel cannot do that. */
static inline int locked_dir_start(struct locked_dir *l, int fd)
{
	int ret = slow_init(&l->slow);

	l->fd = fd;
	ret = ret ?: thread_start(&l->thread, locked_dir_run, l) ?: slow_await(&l->slow);
	l->locked = !ret;
	return ret;
}

/* Unlock it. Return what the thread read, or -errno. */
static inline long locked_dir_end(struct locked_dir *l)
{
	int ret = slow_go_on(&l->slow);

	l->locked = false;
	if (ret)
		return ret;
	pthread_join(l->thread, NULL);
	slow_end(&l->slow);
	return l->ret;
}

#endif /* SELFTESTS_LOCKED_DIR_H */
