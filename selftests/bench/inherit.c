// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a call of high real-time priority takes, to a server of ordinary
 * priority, while something of middle priority keeps their CPU busy: with
 * MBOX_INHERIT and without. The two take turns, call by call, so that both see the
 * same load. Without it, a call takes until the load rests, whatever the priority of
 * the caller. Nothing is judged.
 *
 * usage: inherit [CALLS]
 */
#include <mbox.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "realtime.h"

#define RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"
#define CALLER_PRIORITY 80
#define LOAD_PRIORITY 40
/* How long the load has the CPU, and leaves it to others, each time. */
#define BUSY_US 20000
#define REST_US 2000
/* Between two calls; the server is back at its receive by then, if it is let. */
#define PAUSE_US 700

/**
 * struct lane - one mailbox and its server
 * @name: for the table
 * @mb: the mailbox
 * @samples: nanoseconds of each call
 * @server: the thread
 */
struct lane {
	const char *name;
	struct mbox *mb;
	uint64_t *samples;
	pthread_t server;
};

static struct lane lanes[2] = { { .name = "without" }, { .name = "with" } };
static char runtime[32];
static atomic_bool stop;
static unsigned int n;

static void *serve(void *arg)
{
	struct lane *lane = arg;
	uint64_t token = 0, value = 0;
	struct mbox_msg msg;
	unsigned int i;

	for (i = 0; i < n; i++) {
		memset(&msg, 0, sizeof(msg));
		msg.buf = (uintptr_t)&value;
		msg.len = sizeof(value);
		if (mbox_reply_recv(lane->mb, token, &value, sizeof(value), &msg) < 0)
			err(1, "%s: receive", lane->name);
		token = msg.token;
	}
	if (mbox_reply(lane->mb, token, &value, sizeof(value)))
		err(1, "%s: reply", lane->name);

	return NULL;
}

static void *load(void *arg)
{
	uint64_t end;

	while (!atomic_load(&stop)) {
		end = now_ns() + BUSY_US * 1000ULL;
		while (now_ns() < end)
			;
		usleep(REST_US);
	}

	return NULL;
}

static void *call(void *arg)
{
	uint64_t value, start;
	unsigned int i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < 2; k++) {
			usleep(PAUSE_US);
			start = now_ns();
			if (mbox_call(lanes[k].mb, &start, sizeof(start), &value, sizeof(value),
				      NULL) != sizeof(value))
				err(1, "%s: call", lanes[k].name);
			lanes[k].samples[i] = now_ns() - start;
			if (value != start)
				errx(1, "%s: another reply", lanes[k].name);
		}
	}

	return NULL;
}

static void write_runtime(const char *text)
{
	FILE *file = fopen(RT_RUNTIME, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		warn(RT_RUNTIME);
}

static void restore_throttling(void)
{
	write_runtime(runtime);
}

/* Throttling would let the server run now and then. */
static void stop_throttling(void)
{
	FILE *file = fopen(RT_RUNTIME, "r");

	if (!file || !fgets(runtime, sizeof(runtime), file))
		err(1, RT_RUNTIME);
	fclose(file);
	atexit(restore_throttling);
	write_runtime("-1");
}

int main(int argc, char **argv)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	pthread_t loader, caller;
	int k;

	n = argc > 1 ? atoi(argv[1]) : 500;
	if (n < 1)
		errx(2, "usage: inherit [CALLS]");
	for (k = 0; k < 2; k++) {
		attr.flags = k ? MBOX_INHERIT : 0;
		lanes[k].mb = mbox_create(NULL, O_RDWR, &attr);
		if (!lanes[k].mb)
			err(1, "mbox_create");
		lanes[k].samples = calloc(n, sizeof(uint64_t));
		if (!lanes[k].samples)
			err(1, "samples");
	}

	stop_throttling();
	for (k = 0; k < 2; k++)
		start(&lanes[k].server, serve, &lanes[k], 0, 0);
	usleep(PAUSE_US);
	start(&loader, load, NULL, 0, LOAD_PRIORITY);
	start(&caller, call, NULL, 0, CALLER_PRIORITY);
	pthread_join(caller, NULL);
	atomic_store(&stop, true);
	pthread_join(loader, NULL);
	for (k = 0; k < 2; k++)
		pthread_join(lanes[k].server, NULL);

	printf("us of a call while a load of middle priority runs; %u calls each\n", n);
	printf("load: busy %d us, rests %d us; %s kernel\n", BUSY_US, REST_US,
	       access("/sys/kernel/realtime", F_OK) ? "not a real-time" : "real-time");
	print_head();
	for (k = 0; k < 2; k++)
		print_row(lanes[k].name, lanes[k].samples, n);

	return 0;
}
