// SPDX-License-Identifier: LGPL-2.1-or-later
/* Direct links: a handle like others, opened by naming a process. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

MBOX_API struct mbox *mbox_direct(pid_t peer, int oflags)
{
	struct mbox_direct arg = { .pid = peer, .oflags = oflags | O_CLOEXEC };

	return mbox__handle_from_control(MBOX_IOC_DIRECT, &arg);
}

/*
 * The number in the line of /proc/self/fdinfo/@fd that begins with @key. Return
 * -1 and errno when it cannot be read; EBADF when there is no such line.
 */
static int fdinfo_number(int fd, const char *key, long *number)
{
	char path[64], text[1024], *line;
	ssize_t len;
	int info;

	/* A thread can have descriptors of its own. */
	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -1;
	len = read(info, text, sizeof(text) - 1);
	close(info);
	if (len < 0)
		return -1;

	text[len] = '\0';
	line = strstr(text, key);
	if (!line) {
		errno = EBADF;
		return -1;
	}
	*number = strtol(line + strlen(key), NULL, 10);

	return 0;
}

/* Whether the caller sees a pidfd's process, which has its number; -1 and errno. */
static int process_exists(int pidfd)
{
	if (!syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) || errno == EPERM)
		return true;

	/* EINVAL: it is not in the caller's pid namespace. */
	return errno == ESRCH || errno == EINVAL ? false : -1;
}

/*
 * The kernel finds the peer by a number, which could be another process's by
 * then. Both numbers come from the same folder: if they are the same, and the
 * pidfd's process still has its own, then the link leads to that process.
 */
static int is_link_to(struct mbox *mb, int pidfd, long number)
{
	long peer;

	if (fdinfo_number(mb->fd, "\nmbox-peer:\t", &peer) < 0)
		return -1;

	return peer == number ? process_exists(pidfd) : false;
}

static struct mbox *open_link(int pidfd, int oflags)
{
	struct mbox *mb;
	long number;
	int ret;

	/* It says whether this is a pidfd. */
	ret = process_exists(pidfd);
	if (ret > 0)
		ret = fdinfo_number(pidfd, "\nPid:\t", &number);
	else if (!ret)
		goto no_such_process;
	if (ret < 0)
		return NULL;
	/* None in /proc's pid namespace, or none any more. */
	if (number <= 0)
		goto no_such_process;

	mb = mbox_direct(number, oflags);
	if (!mb)
		return NULL;
	ret = is_link_to(mb, pidfd, number);
	if (ret > 0)
		return mb;
	if (ret < 0)
		ret = errno;
	mbox_close(mb);
	if (ret) {
		errno = ret;
		return NULL;
	}
no_such_process:
	errno = ESRCH;

	return NULL;
}

MBOX_API struct mbox *mbox_direct_pidfd(int pidfd, int oflags)
{
	struct mbox *mb;
	int cancel;

	/* A cancelled thread would leave descriptors open. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	mb = open_link(pidfd, oflags);
	pthread_setcancelstate(cancel, NULL);

	return mb;
}
