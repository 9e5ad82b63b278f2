// SPDX-License-Identifier: GPL-2.0-only
/*
 * What POSIX and the manual pages say of System V message queues, one row for each
 * sentence: the steps of a row run in a process of its own, and what they return is
 * printed. sysv_test.sh runs this program twice, on the kernel's own queues and with
 * libmbox-sysv.so, and compares the two outputs. So a row judges nothing by itself.
 *
 * usage: sysv_conformance [-w | -c | [-n] [NUMBER...]]
 * -w: print whose queues these are, "kernel" or "mbox"
 * -c: print whether they have MSG_COPY, "yes" or "no"
 * -n: leave out the rows that need it
 *
 * A line is NUMBER|NAME OF THE DIFFERENCE|SENTENCE|STEP=RESULT; ...
 */
#include <dirent.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static char out[8192];
static size_t used;

key_t key;
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

int add_got(const char *step, int ret)
{
	int error = errno;

	if (ret < 0)
		add("%s=%s; ", step, strerrorname_np(error) ?: "?");
	else
		add("%s=ok; ", step);

	return ret;
}

int make(int mode)
{
	int id = msgget(key, IPC_CREAT | IPC_EXCL | mode);

	if (id < 0) {
		add("no queue: %s; ", strerrorname_np(errno));
		_exit(3);
	}

	return id;
}

struct msqid_ds state(int id)
{
	struct msqid_ds ds;

	if (msgctl(id, IPC_STAT, &ds)) {
		add("no state: %s; ", strerrorname_np(errno));
		memset(&ds, 0, sizeof(ds));
	}

	return ds;
}

int set_mode(int id, int mode)
{
	struct msqid_ds ds = state(id);

	ds.msg_perm.mode = mode;

	return msgctl(id, IPC_SET, &ds);
}

int set_qbytes(int id, unsigned long qbytes)
{
	struct msqid_ds ds = state(id);

	ds.msg_qbytes = qbytes;

	return msgctl(id, IPC_SET, &ds);
}

int snd(int id, long type, const char *text, int flags)
{
	struct message m = { .type = type };

	memcpy(m.text, text, strlen(text));

	return msgsnd(id, &m, strlen(text), flags);
}

int snd_len(int id, long type, size_t len, int flags)
{
	static struct message m;

	m.type = type;
	memset(m.text, 'x', sizeof(m.text));

	return msgsnd(id, &m, len, flags);
}

void take_len(int id, size_t len, long type, int flags)
{
	static struct message m;
	ssize_t n;

	m.type = -7;
	n = msgrcv(id, &m, len, type, flags | IPC_NOWAIT);
	if (n < 0)
		add("%s; ", strerrorname_np(errno));
	else if (n > 40)
		add("%zd bytes %ld; ", n, m.type);
	else
		add("'%.*s' %ld; ", (int)n, m.text, m.type);
}

void take(int id, long type, int flags)
{
	take_len(id, TEXT_MAX, type, flags);
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
	char now;

	while (!*tid)
		usleep(1000);
	do {
		now = state_of(*tid);
		if (now == '?' || now == 'Z')
			return;
		usleep(1000);
	} while (now != 'S');
}

int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);

	return n;
}

void *before_bad(size_t len)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + page, page, PROT_NONE)) {
		add("no memory; ");
		_exit(3);
	}

	return p + page - len;
}

/* As another user, without capabilities and other groups. */
void become(unsigned int uid, unsigned int gid)
{
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) {
		add("cannot become %u; ", uid);
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

	key = 0x5e000000 | (getpid() & 0xffff) << 8 | number;
	memset(shared, 0, sizeof(*shared));
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
	msgctl(msgget(key, 0), IPC_RMID, NULL);
}

/* The kernel lists its own. */
static int whose(void)
{
	int id = msgget(IPC_PRIVATE, 0600), listed;
	bool found = false;
	char line[512];
	FILE *f;

	if (id < 0) {
		printf("none: %s\n", strerrorname_np(errno));
		return 0;
	}
	f = fopen("/proc/sysvipc/msg", "re");
	while (f && fgets(line, sizeof(line), f))
		found |= sscanf(line, "%*d %d", &listed) == 1 && listed == id;
	if (f)
		fclose(f);
	printf("%s\n", found ? "kernel" : "mbox");
	msgctl(id, IPC_RMID, NULL);

	return 0;
}

static int has_copy(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	struct message m;
	bool copies;

	copies = msgrcv(id, &m, 1, 0, MSG_COPY | IPC_NOWAIT) >= 0 || errno != ENOSYS;
	printf("%s\n", copies ? "yes" : "no");
	msgctl(id, IPC_RMID, NULL);

	return 0;
}

const struct table tables[] = {
	{ get_rows }, { message_rows }, { control_rows }, { wait_rows }, { 0 },
};

int main(int argc, char **argv)
{
	const char *factor = getenv("MBOX_TIME_FACTOR");
	int limit = 30 * (factor ? atoi(factor) : 1);
	unsigned int i, n = 0;
	bool no_copy = false;
	int a, first = 1;

	if (argc > 1 && !strcmp(argv[1], "-w"))
		return whose();
	if (argc > 1 && !strcmp(argv[1], "-c"))
		return has_copy();
	/* In another process image, after an exec. */
	if (argc > 2 && !strcmp(argv[1], "-x"))
		return after_exec(atoi(argv[2]));
	if (argc > 1 && !strcmp(argv[1], "-n")) {
		no_copy = true;
		first = 2;
	}

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (i = 0; tables[i].rows; i++) {
		const struct row *row;

		for (row = tables[i].rows; row->steps; row++) {
			bool wanted = argc <= first && !(no_copy && row->copies);

			n++;
			for (a = first; a < argc; a++)
				wanted |= (unsigned int)atoi(argv[a]) == n;
			if (wanted)
				run_row(n, row, limit);
		}
	}

	return 0;
}
