// SPDX-License-Identifier: GPL-2.0-only
/*
 * One operation, again and again, between window_begin() and window_end(): for a plugin
 * of QEMU that counts the instructions of each function (plugin/profile.c). Says how
 * often it was done.
 */
#include <err.h>
#include <fcntl.h>
#include <mbox.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <unistd.h>

/* What goes to this port, QEMU writes to a file. */
#define DEBUG_PORT 0xe9
#define TIMES 200
#define SIZE_MAX_BYTES 65536
#define BATCH 32

static struct mbox *mb, *back;
static mqd_t mq, mq_back;
static int msqid, pipes[2];
static size_t size;
static char in[SIZE_MAX_BYTES], out[SIZE_MAX_BYTES];
static struct {
	long type;
	char data[SIZE_MAX_BYTES];
} sysv;
static struct mbox_msg batch[BATCH];

/* The plugin is told the addresses of these. */
__attribute__((noinline, used)) void window_begin(void)
{
	asm volatile("" ::: "memory");
}

__attribute__((noinline, used)) void window_end(void)
{
	asm volatile("" ::: "memory");
}

static void check(int wrong, const char *what)
{
	if (wrong)
		err(1, "%s", what);
}

/* What the plugin calls functions by. */
static void show_symbols(void)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512];
	size_t len;

	check(!file || ioperm(DEBUG_PORT, 1, 1), "symbols");
	while (fgets(line, sizeof(line), file)) {
		if (!strchr("tTwW", line[17]))
			continue;
		len = strlen(line);
		asm volatile("rep outsb" : : "S"(line), "c"(len), "d"(DEBUG_PORT) : "memory");
	}
	/* With it, each return to user space would take longer. */
	check(ioperm(DEBUG_PORT, 1, 0), "ioperm");
	fclose(file);
}

static struct mbox *create(void)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *new;

	attr.capacity = 2 * BATCH;
	attr.msg_max = SIZE_MAX_BYTES;
	new = mbox_create(NULL, O_RDWR, &attr);
	check(!new, "mbox_create");
	return new;
}

static mqd_t create_mq(void)
{
	struct mq_attr attr = { .mq_maxmsg = BATCH, .mq_msgsize = SIZE_MAX_BYTES };
	mqd_t new = mq_open("/mbox-profile", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	check(new == (mqd_t)-1 || mq_unlink("/mbox-profile"), "mq_open");
	return new;
}

/* ---- operations ----------------------------------------------------------- */

static void do_pair(void)
{
	check(mbox_send(mb, out, size, 0) || mbox_recv(mb, in, sizeof(in), 0) < 0, "pair");
}

static void do_pair_msg(void)
{
	struct mbox_msg msg = { .buf = (uintptr_t)out, .len = size, .prio = 1 };

	check(mbox_sendmsg(mb, &msg), "sendmsg");
	msg = (struct mbox_msg){ .buf = (uintptr_t)in, .len = sizeof(in) };
	check(mbox_recvmsg(mb, &msg) < 0, "recvmsg");
}

static void do_pair_mq(void)
{
	check(mq_send(mq, out, size, 0) || mq_receive(mq, in, sizeof(in), NULL) < 0, "mq");
}

static void do_pair_sysv(void)
{
	sysv.type = 1;
	check(msgsnd(msqid, &sysv, size, 0) || msgrcv(msqid, &sysv, size, 0, 0) < 0, "sysv");
}

static void do_pair_pipe(void)
{
	check(write(pipes[1], out, size) < 0 || read(pipes[0], in, sizeof(in)) < 0, "pipe");
}

/* A pair, when many messages are sent before the first is received. */
static void do_burst(void)
{
	int i;

	for (i = 0; i < BATCH; i++)
		check(mbox_send(mb, out, size, 0), "burst");
	for (i = 0; i < BATCH; i++)
		check(mbox_recv(mb, in, sizeof(in), 0) < 0, "burst");
}

static void do_burst_msg(void)
{
	struct mbox_msg msg;
	int i;

	for (i = 0; i < BATCH; i++) {
		msg = (struct mbox_msg){ .buf = (uintptr_t)out, .len = size };
		check(mbox_sendmsg(mb, &msg), "burst_msg");
	}
	for (i = 0; i < BATCH; i++) {
		msg = (struct mbox_msg){ .buf = (uintptr_t)in, .len = sizeof(in) };
		check(mbox_recvmsg(mb, &msg) < 0, "burst_msg");
	}
}

static void do_burst_mq(void)
{
	int i;

	for (i = 0; i < BATCH; i++)
		check(mq_send(mq, out, size, 0), "burst_mq");
	for (i = 0; i < BATCH; i++)
		check(mq_receive(mq, in, sizeof(in), NULL) < 0, "burst_mq");
}

static void do_batch(void)
{
	size_t i;

	for (i = 0; i < BATCH; i++)
		batch[i] = (struct mbox_msg){ .buf = (uintptr_t)out, .len = size };
	check(mbox_sendmmsg(mb, batch, BATCH, 0) != BATCH, "mbox_sendmmsg");
	for (i = 0; i < BATCH; i++)
		batch[i] = (struct mbox_msg){ .buf = (uintptr_t)in, .len = size };
	check(mbox_recvmmsg(mb, batch, BATCH, 0) != BATCH, "mbox_recvmmsg");
}

static void do_trip(void)
{
	check(mbox_send(mb, out, size, 0) || mbox_recv(back, in, sizeof(in), 0) < 0, "trip");
}

static void do_trip_mq(void)
{
	check(mq_send(mq, out, size, 0) || mq_receive(mq_back, in, sizeof(in), NULL) < 0,
	      "trip_mq");
}

static void do_call(void)
{
	check(mbox_call(mb, out, size, in, sizeof(in), NULL) < 0, "mbox_call");
}

/* ---- the other side ------------------------------------------------------- */

static char other_buf[SIZE_MAX_BYTES];

static void *serve_trips(void *arg)
{
	for (;;)
		check(mbox_recv(mb, other_buf, sizeof(other_buf), 0) < 0 ||
		      mbox_send(back, other_buf, size, 0), "other side");
	return arg;
}

static void *serve_trips_mq(void *arg)
{
	for (;;)
		check(mq_receive(mq, other_buf, sizeof(other_buf), NULL) < 0 ||
		      mq_send(mq_back, other_buf, size, 0), "other side");
	return arg;
}

static void *serve_calls(void *arg)
{
	struct mbox_msg m;
	uint64_t token = 0;

	for (;;) {
		m = (struct mbox_msg){ .buf = (uintptr_t)other_buf, .len = sizeof(other_buf) };
		if (token)
			check(mbox_reply_recv(mb, token, other_buf, size, &m) < 0, "server");
		else
			check(mbox_recvmsg(mb, &m) < 0, "server");
		token = m.token;
	}
	return arg;
}

static const struct operation {
	const char *name;
	void (*fn)(void);
	void *(*other)(void *arg);
} operations[] = {
	{ "pair", do_pair },
	{ "pair_msg", do_pair_msg },
	{ "pair_mq", do_pair_mq },
	{ "pair_sysv", do_pair_sysv },
	{ "pair_pipe", do_pair_pipe },
	{ "burst", do_burst },
	{ "burst_msg", do_burst_msg },
	{ "burst_mq", do_burst_mq },
	{ "batch", do_batch },
	{ "trip", do_trip, serve_trips },
	{ "trip_mq", do_trip_mq, serve_trips_mq },
	{ "call", do_call, serve_calls },
};

#define N_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static int usage(void)
{
	size_t i;

	fprintf(stderr, "usage: profile OPERATION SIZE; an operation is one of");
	for (i = 0; i < N_OPERATIONS; i++)
		fprintf(stderr, " %s", operations[i].name);
	fprintf(stderr, "; SIZE is at most %d\n", SIZE_MAX_BYTES);
	return 2;
}

int main(int argc, char **argv)
{
	/* Whether a wake-up preempts must not depend on when the threads started. */
	const struct sched_param param = { 0 };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	const struct operation *op = operations;
	pthread_t other;
	int i;

	if (argc != 3)
		return usage();
	while (op < operations + N_OPERATIONS && strcmp(op->name, argv[1]))
		op++;
	size = strtoul(argv[2], NULL, 10);
	if (op == operations + N_OPERATIONS || size > SIZE_MAX_BYTES)
		return usage();

	check(sched_setscheduler(0, SCHED_BATCH, &param), "SCHED_BATCH");
	check(setrlimit(RLIMIT_MSGQUEUE, &all), "RLIMIT_MSGQUEUE");
	show_symbols();
	mb = create();
	back = create();
	mq = create_mq();
	mq_back = create_mq();
	msqid = msgget(IPC_PRIVATE, 0600);
	check(msqid < 0, "msgget");
	check(pipe2(pipes, O_DIRECT), "pipe2");
	if (op->other)
		check(pthread_create(&other, NULL, op->other, NULL), "pthread_create");
	for (i = 0; i < TIMES; i++)
		op->fn();
	window_begin();
	for (i = 0; i < TIMES; i++)
		op->fn();
	window_end();
	printf("%d\n", TIMES);
	msgctl(msqid, IPC_RMID, NULL);
	return 0;
}
