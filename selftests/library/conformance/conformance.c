// SPDX-License-Identifier: GPL-2.0-only
/* What runs the rows of conformance.h, and what their steps have in common. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

static char out[8192];
static size_t used;

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

int add_opened(const char *step, int ret)
{
	int error = errno;

	if (ret < 0)
		add("%s=%s; ", step, strerrorname_np(error) ?: "?");
	else
		add("%s=ok; ", step);

	return ret;
}

char state_of(int tid)
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

/* As another user, without capabilities and other groups. */
void become(unsigned int uid, unsigned int gid)
{
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) {
		add("cannot become %u; ", uid);
		_exit(3);
	}
}

/* As the kernel has it for 64 bits of time. */
struct kernel_time {
	int64_t sec;
	int64_t nsec;
};

#ifndef SYS_clock_settime64
#define SYS_clock_gettime64 SYS_clock_gettime
#define SYS_clock_settime64 SYS_clock_settime
#endif

int64_t clock_seconds(void)
{
	struct kernel_time t = { 0 };

	syscall(SYS_clock_gettime64, CLOCK_REALTIME, &t);

	return t.sec;
}

void set_clock(int64_t seconds)
{
	struct kernel_time t = { .sec = seconds };

	if (syscall(SYS_clock_settime64, CLOCK_REALTIME, &t)) {
		add("cannot set the clock; ");
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

/* Memory of all processes of a row. */
void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}

	return memory;
}

static void run_row(const struct suite *suite, unsigned int number, const struct row *row,
		    int limit)
{
	char text[sizeof(out)];
	size_t got = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	suite->begin(number);
	if (pipe(fds)) {
		perror("pipe");
		exit(2);
	}
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		close(fds[0]);
		umask(022);
		alarm(limit);
		used = 0;
		if (suite->enter)
			suite->enter();
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
	suite->end();
}

/* The names of the differences, each as often as there are rows with it. */
int print_differences(const struct suite *suite)
{
	const struct row *const *table, *row;

	for (table = suite->tables; *table; table++)
		for (row = *table; row->steps; row++)
			if (row->difference)
				puts(row->difference);

	return 0;
}

/* Run the rows with these numbers, or if there are none, all. Returns the exit status. */
int run_suite(const struct suite *suite, char **numbers)
{
	const char *factor = getenv("MBOX_TIME_FACTOR");
	int limit = 30 * (factor ? atoi(factor) : 1);
	const struct row *const *table, *row;
	unsigned int n = 0;
	bool wanted;
	char **a;

	for (table = suite->tables; *table; table++) {
		for (row = *table; row->steps; row++) {
			wanted = !*numbers && !(suite->no_optional && row->optional);
			n++;
			for (a = numbers; *a; a++)
				wanted |= (unsigned int)atoi(*a) == n;
			if (wanted)
				run_row(suite, n, row, limit);
		}
	}

	return 0;
}
