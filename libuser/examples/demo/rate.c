// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages per second through a mailbox, as a queue and as a ring, a POSIX message
 * queue and a pipe.
 *
 * Everything runs on one CPU: what a wake-up across CPUs costs depends on the
 * machine more than on the transport, and in an emulator on nothing else.
 * Runs of the three take turns, so that a disturbance meets all of them.
 */
#define _GNU_SOURCE

#include <mbox.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

#define RUNS 5
#define RUN_MS 120

/* Messages in a mailbox and in a message queue; more of that needs privilege. */
#define CAPACITY 10
#define SIZE_MAX_SHOWN 4096

/**
 * struct transport - one way to send messages
 * @name: of the column
 * @open: make one
 * @close: end it
 * @send: send @len bytes, true if that worked
 * @recv: receive a message of @len bytes, true if that worked
 */
struct transport {
	const char *name;
	void (*open)(void);
	void (*close)(void);
	bool (*send)(const char *buf, size_t len);
	bool (*recv)(char *buf, size_t len);
};

static struct mbox *mb;
static mqd_t mq;
static int pipe_fds[2];

static void open_mailbox(uint32_t mode)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.mode = mode;
	attr.capacity = CAPACITY;
	attr.msg_max = SIZE_MAX_SHOWN;
	mb = mbox_create(NULL, O_RDWR, &attr);
	CHECK(mb);
}

static void open_queue(void)
{
	open_mailbox(MBOX_QUEUE);
}

static void open_ring(void)
{
	open_mailbox(MBOX_RING);
}

static void close_mbox(void)
{
	mbox_close(mb);
}

static bool send_mbox(const char *buf, size_t len)
{
	return mbox_send(mb, buf, len, 0) == 0;
}

static bool recv_mbox(char *buf, size_t len)
{
	return mbox_recv(mb, buf, SIZE_MAX_SHOWN, 0) == (ssize_t)len;
}

static void open_mq(void)
{
	struct mq_attr attr = { .mq_maxmsg = CAPACITY, .mq_msgsize = SIZE_MAX_SHOWN };
	char name[32];

	snprintf(name, sizeof(name), "/demo-%d", getpid());
	mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	CHECK(mq != (mqd_t)-1);
	CHECK(mq_unlink(name) == 0);
}

static void close_mq(void)
{
	mq_close(mq);
}

static bool send_mq(const char *buf, size_t len)
{
	return mq_send(mq, buf, len, 0) == 0;
}

static bool recv_mq(char *buf, size_t len)
{
	return mq_receive(mq, buf, SIZE_MAX_SHOWN, NULL) == (ssize_t)len;
}

static void open_pipe(void)
{
	CHECK(pipe(pipe_fds) == 0);
}

static void close_pipe(void)
{
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static bool send_pipe(const char *buf, size_t len)
{
	return write(pipe_fds[1], buf, len) == (ssize_t)len;
}

/* A pipe knows no messages: it has to be told where the next one ends. */
static bool recv_pipe(char *buf, size_t len)
{
	return read(pipe_fds[0], buf, len) == (ssize_t)len;
}

static const struct transport transports[] = {
	{ "ring", open_ring, close_mbox, send_mbox, recv_mbox },
	{ "queue", open_queue, close_mbox, send_mbox, recv_mbox },
	{ "POSIX mq", open_mq, close_mq, send_mq, recv_mq },
	{ "pipe", open_pipe, close_pipe, send_pipe, recv_pipe },
};

#define NTRANSPORTS (sizeof(transports) / sizeof(transports[0]))

static char buffer[SIZE_MAX_SHOWN];

/* One process sends and receives @n messages in turn. */
static void run_alone(const struct transport *t, size_t len, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		CHECK(t->send(buffer, len) && t->recv(buffer, len));
}

/* A child sends @n messages, this process receives them. */
static void run_between(const struct transport *t, size_t len, unsigned int n)
{
	unsigned int i;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		for (i = 0; i < n; i++)
			CHECK(t->send(buffer, len));
		_exit(0);
	}
	for (i = 0; i < n; i++)
		CHECK(t->recv(buffer, len));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

typedef void (*run_fn)(const struct transport *t, size_t len, unsigned int n);

static double rate(const struct transport *t, run_fn run, size_t len, unsigned int n)
{
	struct timespec start, end;

	t->open();
	clock_gettime(CLOCK_MONOTONIC, &start);
	run(t, len, n);
	clock_gettime(CLOCK_MONOTONIC, &end);
	t->close();

	return n / (end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9);
}

/* How many messages take about RUN_MS, found by trying more and more. */
static unsigned int messages_per_run(const struct transport *t, run_fn run, size_t len)
{
	unsigned int n = 64;
	double per_second;

	for (;;) {
		per_second = rate(t, run, len, n);
		if (n / per_second * 1000 >= RUN_MS / 4.0)
			return per_second * RUN_MS / 1000 + 1;
		n *= 2;
	}
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void show_row(const char *what, run_fn run, size_t len)
{
	double rates[NTRANSPORTS][RUNS];
	unsigned int n[NTRANSPORTS];
	size_t i, j;

	for (i = 0; i < NTRANSPORTS; i++)
		n[i] = messages_per_run(&transports[i], run, len);
	for (j = 0; j < RUNS; j++) {
		for (i = 0; i < NTRANSPORTS; i++)
			rates[i][j] = rate(&transports[i], run, len, n[i]);
	}

	printf("    %-34s %4zu bytes", what, len);
	for (i = 0; i < NTRANSPORTS; i++) {
		qsort(rates[i], RUNS, sizeof(rates[i][0]), compare_double);
		printf(" %10.0f", rates[i][RUNS / 2]);
	}
	printf("\n");
	fflush(stdout);
}

void show_rates(void)
{
	cpu_set_t cpus;
	size_t i;

	/* The children inherit it. */
	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);

	printf("    %-45s", "(medians of 5 runs on one CPU)");
	for (i = 0; i < NTRANSPORTS; i++)
		printf(" %10s", transports[i].name);
	printf("\n");

	show_row("one process, send and receive", run_alone, 64);
	show_row("one process, send and receive", run_alone, SIZE_MAX_SHOWN);
	show_row("from one process to another", run_between, 64);
	show_row("from one process to another", run_between, SIZE_MAX_SHOWN);

	printf("    (mailboxes and mq hold %d messages, the pipe 64 KiB)\n", CAPACITY);
}
