// SPDX-License-Identifier: GPL-2.0-only
/*
 * What POSIX and the manual pages say of System V message queues (conformance.h);
 * sysv_test.sh runs it on the kernel's own and with libmbox-sysv.so.
 *
 * usage: sysv_conformance [-w | -c | -d | -l | [-n] [NUMBER...]]
 * -w: print whose queues these are, "kernel" or "mbox"
 * -c: print whether they have MSG_COPY, "yes" or "no"
 * -d: print the names of the differences
 * -l: leave two queues: one with a key and a message of three bytes, and a private one.
 *     Print them as "mboxctl ls --sysv" does
 * -n: leave out the rows that need it
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rows.h"

key_t key;
struct shared *shared;

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

static void begin(unsigned int number)
{
	key = 0x5e000000 | (getpid() & 0xffff) << 8 | number;
	memset(shared, 0, sizeof(*shared));
}

static void end(void)
{
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

static int leave_queues(void)
{
	int id[2] = { msgget(0xabc123, IPC_CREAT | IPC_EXCL | 0640), msgget(IPC_PRIVATE, 0600) };
	struct msqid_ds ds;
	unsigned int i;

	if (snd(id[0], 1, "abc", IPC_NOWAIT))
		return 1;
	for (i = 0; i < 2; i++) {
		if (msgctl(id[i], IPC_STAT, &ds))
			return 1;
		printf("0x%08x %d %d %04o %lu %lu\n", ds.msg_perm.__key, id[i],
		       (int)ds.msg_perm.uid, ds.msg_perm.mode, (unsigned long)ds.__msg_cbytes,
		       (unsigned long)ds.msg_qnum);
	}

	return 0;
}

static const struct row *const tables[] = {
	get_rows, message_rows, control_rows, wait_rows, NULL,
};

int main(int argc, char **argv)
{
	struct suite suite = { .tables = tables, .begin = begin, .end = end };

	if (argc > 1 && !strcmp(argv[1], "-w"))
		return whose();
	if (argc > 1 && !strcmp(argv[1], "-c"))
		return has_copy();
	if (argc > 1 && !strcmp(argv[1], "-d"))
		return print_differences(&suite);
	if (argc > 1 && !strcmp(argv[1], "-l"))
		return leave_queues();
	/* In another process image, after an exec. */
	if (argc > 2 && !strcmp(argv[1], "-x"))
		return after_exec(atoi(argv[2]));
	suite.no_optional = argc > 1 && !strcmp(argv[1], "-n");

	shared = shared_memory(sizeof(*shared));

	return run_suite(&suite, argv + 1 + suite.no_optional);
}
