/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages per second from one process to another, each on a CPU of its own or
 * both on one, and what they ask of the kernel for that. The receiver checks
 * that all messages arrive, in order.
 */
#ifndef MBOX_BENCH_BETWEEN_H
#define MBOX_BENCH_BETWEEN_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

/**
 * struct transport - a way to send messages
 * @name: for tables
 * @open: make one; the sender inherits it
 * @close: end it, in the receiver
 * @send: send a message with @number in it, true if that worked
 * @recv: receive one and store its number, true if that worked
 */
struct transport {
	const char *name;
	void (*open)(void);
	void (*close)(void);
	bool (*send)(uint64_t number);
	bool (*recv)(uint64_t *number);
};

/**
 * struct passage - what a number of messages took
 * @ns: from the first to the last
 * @calls: system calls of both sides; negative: not known
 */
struct passage {
	uint64_t ns;
	double calls;
};

/* A counter of the system calls of one process, or -1. */
static inline int count_calls(pid_t pid)
{
	static const char file[] = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id";
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	static unsigned long long id;
	static bool looked;
	FILE *in;

	if (!looked) {
		looked = true;
		/* Where it is mounted already, this fails. */
		mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
		in = fopen(file, "r");
		if (in && fscanf(in, "%llu", &id) != 1)
			id = 0;
		if (in)
			fclose(in);
	}
	if (!id)
		return -1;
	attr.config = id;

	return syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static inline double calls_counted(int counter)
{
	uint64_t n;

	if (read(counter, &n, sizeof(n)) != sizeof(n))
		err(1, "a counter of system calls");
	close(counter);

	return n;
}

static inline void send_all(const struct transport *t, uint64_t n, int go)
{
	uint64_t i;
	char byte;

	/* One message before the clock runs: what is made at first use. */
	if (!t->send(0) || read(go, &byte, 1) != 1)
		err(1, "%s: the first message", t->name);
	for (i = 1; i <= n; i++)
		if (!t->send(i))
			err(1, "%s: send", t->name);
}

static inline void expect(const struct transport *t, uint64_t number)
{
	uint64_t got = ~number;

	if (!t->recv(&got))
		err(1, "%s: receive", t->name);
	if (got != number)
		errx(1, "%s: message %llu instead of %llu", t->name, (unsigned long long)got,
		     (unsigned long long)number);
}

/* Let @n messages pass. The caller is the receiver. */
static inline struct passage pass(const struct transport *t, uint64_t n, int send_cpu, int recv_cpu)
{
	struct passage p = { .calls = -1 };
	int go[2], sent, received, status;
	uint64_t i, start;
	pid_t pid;

	t->open();
	if (pipe(go))
		err(1, "pipe");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_on(send_cpu);
		send_all(t, n, go[0]);
		_exit(0);
	}
	run_on(recv_cpu);
	expect(t, 0);
	/* It has to reach its read(2), which is not to be counted. */
	usleep(1000);
	sent = count_calls(pid);
	received = count_calls(0);
	start = now_ns();
	if (write(go[1], "", 1) != 1)
		err(1, "pipe");
	for (i = 1; i <= n; i++)
		expect(t, i);
	p.ns = now_ns() - start;
	/* Without the write(2) and this read(2); the sender may have called _exit(2). */
	if (received >= 0 && sent >= 0)
		p.calls = calls_counted(received) - 2 + calls_counted(sent);
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "%s: the sender ended with %#x", t->name, status);
	close(go[0]);
	close(go[1]);
	t->close();

	return p;
}

/* How many messages take about @ms, found by trying more and more. */
static inline uint64_t messages_in(const struct transport *t, unsigned int ms, int send_cpu,
				   int recv_cpu)
{
	struct passage p;
	uint64_t n = 32;

	for (;;) {
		p = pass(t, n, send_cpu, recv_cpu);
		if (p.ns >= ms * 1000000ULL / 4)
			return n * (ms * 1e6 / p.ns) + 1;
		n *= 2;
	}
}

#endif /* MBOX_BENCH_BETWEEN_H */
