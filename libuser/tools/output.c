// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where messages are written. A message that was received is in no mailbox any
 * more, so a write that is going to fail is better found out before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

/* Interrupts the call that waits. */
#define WATCH_SIGNAL SIGUSR1
#define WATCH_REPEAT_NS 10000000

static bool file_ready(int fd, const struct stat *st, size_t len)
{
	int flags = fcntl(fd, F_GETFL);
	struct rlimit limit;
	off_t pos;

	if (flags < 0)
		return false;
	if ((flags & O_ACCMODE) == O_RDONLY) {
		errno = EBADF;
		return false;
	}
	pos = flags & O_APPEND ? st->st_size : lseek(fd, 0, SEEK_CUR);
	if (pos < 0 || !len)
		return pos >= 0;
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    (limit.rlim_cur < (rlim_t)pos || limit.rlim_cur - pos < len)) {
		errno = EFBIG;
		return false;
	}
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, pos, len) == 0)
		return true;

	/* Other errors mean that this file system cannot tell. */
	return errno != ENOSPC && errno != EDQUOT && errno != EFBIG && errno != EIO;
}

static bool has_reader(int fd, int timeout)
{
	struct pollfd pfd = { .fd = fd };
	int n;

	do
		n = poll(&pfd, 1, timeout);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return true;
	errno = pfd.revents & POLLNVAL ? EBADF : EPIPE;

	return false;
}

bool output_ready(FILE *output, size_t len)
{
	int fd = fileno(output);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode))
		return file_ready(fd, &st, len);
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
		return has_reader(fd, 0);
	if (S_ISDIR(st.st_mode)) {
		errno = EBADF;
		return false;
	}
	/* Nothing is written, but /dev/full and a terminal that is gone say so. */
	if (S_ISCHR(st.st_mode) && write(fd, "", 0) < 0)
		return errno == EINVAL || errno == EAGAIN || errno == EINTR;

	return true;
}

bool output_is_file(FILE *output)
{
	struct stat st;

	return fstat(fileno(output), &st) == 0 && S_ISREG(st.st_mode);
}

/**
 * struct watch - the output that is watched
 * @fd: its descriptor
 * @reader: the thread to interrupt
 * @gone: nobody reads it any more
 */
static struct watch {
	int fd;
	pthread_t reader;
	volatile sig_atomic_t gone;
} watch;

static void interrupt(int sig)
{
	(void)sig;
}

static void *watch_output(void *arg)
{
	const struct timespec pause = { .tv_nsec = WATCH_REPEAT_NS };

	(void)arg;
	if (has_reader(watch.fd, -1))
		return NULL;
	watch.gone = 1;
	/* The signal can come just before the call that it is to interrupt. */
	for (;;) {
		pthread_kill(watch.reader, WATCH_SIGNAL);
		nanosleep(&pause, NULL);
	}

	return NULL;
}

bool output_watch(FILE *output)
{
	/* Without SA_RESTART. */
	struct sigaction action = { .sa_handler = interrupt };
	sigset_t all, old;
	pthread_t thread;
	struct stat st;
	int ret;

	watch.fd = fileno(output);
	watch.reader = pthread_self();
	if (fstat(watch.fd, &st) < 0)
		return false;
	if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
		return true;

	sigaction(WATCH_SIGNAL, &action, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&thread, NULL, watch_output, NULL);
	sigdelset(&old, WATCH_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret)
		ret = pthread_detach(thread);
	errno = ret;

	return !ret;
}

bool output_gone(void)
{
	return watch.gone;
}
