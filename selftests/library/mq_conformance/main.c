// SPDX-License-Identifier: GPL-2.0-only
/*
 * What POSIX and the manual pages say of message queues, one row for each sentence:
 * the steps of a row run in a process of its own, and what they return is printed.
 * mq_test.sh runs this program twice, on the kernel's own queues and with
 * libmbox-mq.so, and compares the two outputs. So a row judges nothing by itself.
 *
 * usage: mq_conformance [-w] [NUMBER...]
 * -w: print what kind of file a queue is, "mqueue" or "mbox", by each symbol version of
 * mq_open(3) that programs may have been linked with.
 *
 * A line is NUMBER|NAME OF THE DIFFERENCE|SENTENCE|STEP=RESULT; ...
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

static char out[8192];
static size_t used;

char name[64], name2[64];
struct shared *shared;

void add(const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(out + used, sizeof(out) - used, format, ap);
	va_end(ap);
	used += n;
	if (used >= sizeof(out)) {
		fprintf(stderr, "a row has too much to say\n");
		_exit(2);
	}
}

long add_result(const char *step, long ret)
{
	int error = errno;

	if (ret < 0)
		add("%s=%s; ", step, strerrorname_np(error) ?: "?");
	else
		add("%s=%ld; ", step, ret);

	return ret;
}

/* Which number a descriptor has does not matter. */
int add_opened(const char *step, int fd)
{
	int error = errno;

	if (fd < 0)
		add("%s=%s; ", step, strerrorname_np(error) ?: "?");
	else
		add("%s=ok; ", step);

	return fd;
}

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

char state_of(pid_t tid)
{
	char path[64], text[512] = "", *end;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return '?';
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	end = strrchr(text, ')');

	return end && end[1] ? end[2] : '?';
}

/*
 * Wait until a thread that has nothing else to sleep at sleeps in its call: it stores its
 * number just before.
 */
void await_asleep(atomic_int *tid)
{
	char state;

	while (!*tid)
		usleep(1000);
	do {
		state = state_of(*tid);
		if (state == '?' || state == 'Z')
			return;
		usleep(1000);
	} while (state != 'S');
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

/* As another user, without capabilities. */
void become(uid_t uid)
{
	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid)) {
		add("cannot become %d; ", uid);
		_exit(3);
	}
}

/* Run the steps of a row as another process, and add what they add. */
void in_child(void (*steps)(void))
{
	char text[sizeof(out)];
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(fds))
		_exit(3);
	pid = fork();
	if (!pid) {
		used = 0;
		steps();
		if (write(fds[1], out, used) < 0)
			_exit(3);
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text, sizeof(text) - 1)) > 0) {
		text[n] = '\0';
		add("%s", text);
	}
	close(fds[0]);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		add("signal %s; ", sigabbrev_np(WTERMSIG(status)));
}

static void run_row(unsigned int number, const struct row *row, int limit)
{
	char text[sizeof(out)];
	size_t got = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	snprintf(name, sizeof(name), "/conformance-%d-%u", getpid(), number);
	snprintf(name2, sizeof(name2), "/conformance-%d-%u-b", getpid(), number);
	memset(shared, 0, sizeof(*shared));
	if (pipe(fds)) {
		perror("pipe");
		exit(2);
	}
	pid = fork();
	if (!pid) {
		const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

		setpgid(0, 0);
		close(fds[0]);
		/* How much memory queues may have is another matter. */
		setrlimit(RLIMIT_MSGQUEUE, &none);
		umask(022);
		alarm(limit);
		used = 0;
		row->steps();
		if (write(fds[1], out, used) < 0)
			_exit(2);
		_exit(0);
	}
	close(fds[1]);
	setpgid(pid, pid);
	while ((n = read(fds[0], text + got, sizeof(text) - 1 - got)) > 0)
		got += n;
	text[got] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	kill(-pid, SIGKILL);
	printf("%u|%s|%s|%s", number, row->difference ?: "", row->sentence, text);
	if (WIFSIGNALED(status))
		printf("signal %s", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		printf("exit %d", WEXITSTATUS(status));
	printf("\n");
	fflush(stdout);
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

static int which(void)
{
	snprintf(name, sizeof(name), "/conformance-%d", getpid());
	print_kind(mq_open(name, O_CREAT | O_RDWR, 0600, NULL));
	print_kind(__mq_open_2(name, O_RDONLY));
#ifdef OLD_VERSION
	print_kind(old_open(name, O_RDONLY));
#endif
	mq_unlink(name);

	return 0;
}

const struct table tables[] = {
	{ open_rows }, { message_rows }, { wait_rows }, { notify_rows }, { file_rows }, { 0 },
};

int main(int argc, char **argv)
{
	const char *factor = getenv("MBOX_TIME_FACTOR");
	int limit = 30 * (factor ? atoi(factor) : 1);
	unsigned int i, n = 0;
	int a;

	if (argc > 1 && !strcmp(argv[1], "-w"))
		return which();
	/* In another process image, after an exec: what is left. */
	if (argc > 2 && !strcmp(argv[1], "-x"))
		return after_exec(atoi(argv[2]));

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (i = 0; tables[i].rows; i++) {
		const struct row *row;

		for (row = tables[i].rows; row->steps; row++) {
			bool wanted = argc < 2;

			n++;
			for (a = 1; a < argc; a++)
				wanted |= (unsigned int)atoi(argv[a]) == n;
			if (wanted)
				run_row(n, row, limit);
		}
	}

	return 0;
}
