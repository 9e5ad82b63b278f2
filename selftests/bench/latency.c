// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long after a send a SCHED_FIFO receiver runs that waited for it: a sender
 * of ordinary priority, other work on every CPU, percentiles over many messages,
 * a mailbox beside a POSIX message queue. The two take turns, message by message,
 * so that both see the same load. Nothing is judged: the figures mean something
 * on a quiet machine with a kernel made for it, and little under emulation.
 *
 * usage: latency [MESSAGES]
 */
#include <err.h>
#include <errno.h>
#include <mbox.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "realtime.h"

#define MQ_NAME "/mbox-bench-latency"
#define FIFO_PRIORITY 80
#define PAUSE_US 500

/**
 * struct lane - one receiver and what it waits on
 * @name: for the table
 * @mb: the mailbox, or NULL
 * @mq: the message queue, if @mb is NULL
 * @samples: nanoseconds of each message
 * @n: how many messages
 * @done: how many have arrived; what the sender waits for
 * @tid: the receiver
 */
struct lane {
	const char *name;
	struct mbox *mb;
	mqd_t mq;
	uint64_t *samples;
	unsigned int n;
	atomic_uint done;
	pthread_t tid;
};

static atomic_bool stop;

static void lane_send(struct lane *lane, uint64_t stamp)
{
	int ret;

	if (lane->mb)
		ret = mbox_send(lane->mb, &stamp, sizeof(stamp), 0);
	else
		ret = mq_send(lane->mq, (char *)&stamp, sizeof(stamp), 0);
	if (ret < 0)
		err(1, "%s: send", lane->name);
}

static uint64_t lane_recv(struct lane *lane)
{
	uint64_t stamp = 0;
	ssize_t ret;

	if (lane->mb)
		ret = mbox_recv(lane->mb, &stamp, sizeof(stamp), 0);
	else
		ret = mq_receive(lane->mq, (char *)&stamp, sizeof(stamp), NULL);
	if (ret != sizeof(stamp))
		err(1, "%s: receive", lane->name);

	return stamp;
}

static void *receiver(void *arg)
{
	struct lane *lane = arg;
	uint64_t stamp;
	unsigned int i;

	for (i = 0; i < lane->n; i++) {
		stamp = lane_recv(lane);
		lane->samples[i] = now_ns() - stamp;
		atomic_fetch_add(&lane->done, 1);
	}

	return NULL;
}

/* Half of it in user space, half in the kernel: allocations, copies, wake-ups. */
static void *load(void *arg)
{
	static const char data[512];
	volatile unsigned int sink = 0;
	char back[sizeof(data)];
	unsigned int i;
	int fds[2];

	if (pipe(fds))
		err(1, "pipe");
	while (!atomic_load(&stop)) {
		for (i = 0; i < 20000; i++)
			sink += i;
		for (i = 0; i < 20; i++)
			if (write(fds[1], data, sizeof(data)) != sizeof(data) ||
			    read(fds[0], back, sizeof(back)) != sizeof(back))
				err(1, "pipe");
	}
	close(fds[0]);
	close(fds[1]);

	return NULL;
}

static void send_all(struct lane *lanes, unsigned int n)
{
	unsigned int i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < 2; k++) {
			/* Long enough for the receiver to be asleep again. */
			usleep(PAUSE_US);
			lane_send(&lanes[k], now_ns());
			while (atomic_load(&lanes[k].done) <= i)
				usleep(50);
		}
	}
}

/* All receivers on @cpu, the sender on CPU 0. */
static void measure(struct lane *lanes, unsigned int n, int cpu, const char *where)
{
	cpu_set_t first;
	int k;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first))
		err(1, "sched_setaffinity");
	for (k = 0; k < 2; k++) {
		lanes[k].n = n;
		lanes[k].done = 0;
		start(&lanes[k].tid, receiver, &lanes[k], cpu, FIFO_PRIORITY);
	}
	send_all(lanes, n);
	for (k = 0; k < 2; k++)
		pthread_join(lanes[k].tid, NULL);

	printf("\nreceivers on %s\n", where);
	print_head();
	for (k = 0; k < 2; k++)
		print_row(lanes[k].name, lanes[k].samples, lanes[k].n);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct mq_attr mqattr = { .mq_maxmsg = 10, .mq_msgsize = sizeof(uint64_t) };
	struct lane lanes[2] = { { .name = "mbox" }, { .name = "mq" } };
	unsigned int n = argc > 1 ? atoi(argv[1]) : 3000;
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct mbox_attr attr = MBOX_ATTR_INIT;
	pthread_t *loads;
	int i;

	if (n < 1)
		errx(2, "usage: latency [MESSAGES]");
	attr.capacity = mqattr.mq_maxmsg;
	attr.msg_max = mqattr.mq_msgsize;
	lanes[0].mb = mbox_create(NULL, O_RDWR, &attr);
	if (!lanes[0].mb)
		err(1, "mbox_create");
	lanes[1].mq = mq_open(MQ_NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &mqattr);
	if (lanes[1].mq == (mqd_t)-1)
		err(1, "mq_open");
	mq_unlink(MQ_NAME);
	for (i = 0; i < 2; i++) {
		lanes[i].samples = calloc(n, sizeof(uint64_t));
		if (!lanes[i].samples)
			err(1, "samples");
	}

	loads = calloc(cpus, sizeof(*loads));
	if (!loads)
		err(1, "loads");
	for (i = 0; i < cpus; i++)
		start(&loads[i], load, NULL, i, 0);

	printf("us from a send to a SCHED_FIFO receiver that waits; %u messages each\n", n);
	printf("%s kernel\n",
	       access("/sys/kernel/realtime", F_OK) ? "not a real-time" : "real-time");
	measure(lanes, n, 0, "the sender's CPU");
	if (cpus > 1)
		measure(lanes, n, 1, "another CPU");

	atomic_store(&stop, true);
	for (i = 0; i < cpus; i++)
		pthread_join(loads[i], NULL);

	return 0;
}
