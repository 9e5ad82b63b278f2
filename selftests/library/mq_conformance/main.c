// SPDX-License-Identifier: GPL-2.0-only
/*
 * What POSIX and the manual pages say of message queues (conformance.h); mq_test.sh runs it
 * on the kernel's own and with libmbox-mq.so.
 *
 * usage: mq_conformance [-w | -d | NUMBER...]
 * -w: print what kind of file a queue is, "mqueue" or "mbox", by each symbol version of
 * mq_open(3) that programs may have been linked with, and by calls with a time limit.
 * -d: print the names of the differences
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

char name[64], name2[64];
struct shared *shared;

mqd_t make(long maxmsg, long msgsize, int oflag)
{
	struct mq_attr attr = { .mq_maxmsg = maxmsg, .mq_msgsize = msgsize };
	mqd_t q = mq_open(name, O_CREAT | O_EXCL | oflag, 0600, &attr);

	if (q < 0) {
		add("no queue: %s; ", strerrorname_np(errno));
		_exit(3);
	}

	return q;
}

struct timespec after_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}

	return t;
}

bool is_past(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);

	return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

static void begin(unsigned int number)
{
	snprintf(name, sizeof(name), "/conformance-%d-%u", getpid(), number);
	snprintf(name2, sizeof(name2), "/conformance-%d-%u-b", getpid(), number);
	memset(shared, 0, sizeof(*shared));
}

static void enter(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	/* How much memory queues may have is another matter. */
	setrlimit(RLIMIT_MSGQUEUE, &none);
}

static void end(void)
{
	mq_unlink(name);
	mq_unlink(name2);
}

static void print_kind(mqd_t q)
{
	struct statfs fs;

	if (q < 0 || fstatfs(q, &fs))
		printf("none: %s\n", strerrorname_np(errno));
	else
		printf("%s\n", fs.f_type == 0x19800202 ? "mqueue" :
				fs.f_type == 0x6d626f78 ? "mbox" : "?");
	mq_close(q);
}

/* What a program has that was linked with glibc 2.33 or earlier. */
#if defined(__x86_64__) && __GLIBC_PREREQ(2, 34)
#define OLD_VERSION
mqd_t old_open(const char *path, int oflag, ...);
__asm__(".symver old_open, mq_open@GLIBC_2.3.4");
#endif

/* What <mqueue.h> calls with _FORTIFY_SOURCE. */
mqd_t __mq_open_2(const char *path, int oflag);

/* Such calls fail if they are not those of the library whose queue it is. */
static void print_kind_of_timed(mqd_t q)
{
	const struct timespec t = { .tv_sec = sizeof(time_t) == 8 ? (time_t)INT64_MAX : INT32_MAX };
	char text[8192];

	if (mq_timedsend(q, "a", 1, 0, &t) || mq_timedreceive(q, text, sizeof(text), NULL, &t) != 1)
		printf("another's: %s\n", strerrorname_np(errno));
	print_kind(q);
}

static int which(void)
{
	snprintf(name, sizeof(name), "/conformance-%d", getpid());
	print_kind(mq_open(name, O_CREAT | O_RDWR, 0600, NULL));
	print_kind(__mq_open_2(name, O_RDONLY));
#ifdef OLD_VERSION
	print_kind(old_open(name, O_RDONLY));
#endif
	print_kind_of_timed(mq_open(name, O_RDWR));
	mq_unlink(name);

	return 0;
}

static const struct row *const tables[] = {
	open_rows, message_rows, wait_rows, notify_rows, file_rows, NULL,
};

static const struct suite suite = {
	.tables = tables,
	.begin = begin,
	.enter = enter,
	.end = end,
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "-w"))
		return which();
	if (argc > 1 && !strcmp(argv[1], "-d"))
		return print_differences(&suite);
	/* In another process image, after an exec: what is left. */
	if (argc > 2 && !strcmp(argv[1], "-x"))
		return after_exec(atoi(argv[2]));

	shared = shared_memory(sizeof(*shared));

	return run_suite(&suite, argv + 1);
}
