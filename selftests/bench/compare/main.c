// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes beside every other way to send messages, in one run. All transports take
 * turns, so that a disturbance meets each of them.
 *
 * usage: compare [-q] [-r RUNS] [-s SAMPLES] [-t MS] [-m MEASURE]
 *
 * -q takes few sizes and short runs. RUNS is how often processes exchange messages for
 * about MS milliseconds, SAMPLES how often a process times 20 pairs of a send and a
 * receive. MEASURE is the only one to be measured: pair, batch, trip, one-way, fan-in,
 * many, rpc, depth, queues, priorities, types, life, life-named, mq-getattr, ipc-stat,
 * ipc-info, msg-info; and trip-batch, one-way-batch, fan-in-batch, many-batch, rpc-batch, in
 * which a wake-up does not preempt (flows.c). rpc is measured where libtirpc was there when
 * this was built.
 *
 * Needs the module, and root for queues that hold as much as the others. The output is a
 * table whose columns are separated by tabs, a line for each transport:
 *
 *   measure     what was measured
 *   bytes       of a message
 *   n           messages in a batch, senders, messages or priorities in a queue, queues
 *   cpus        CPUs of the processes; 0: all
 *   transport   its name
 *   kind        ours, kernel, or memory: shared memory that a program manages itself
 *   ns          nanoseconds of a message, a round trip or a life: the median
 *   p99         the 99th percentile, of round trips
 *   lowest, highest
 *   ratio       ns, divided by that of the fastest of kind kernel
 *   fastest     its name
 *   growth      ns, divided by that of the smallest n
 *
 * In a virtual machine that counts instructions (measure.h) a nanosecond is one of them.
 */
#include <err.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../measure.h"
#include "compare.h"

struct message sent, got;

const struct transport *const transports[] = {
	&queue_rw, &queue_ioctl, &queue_sendmsg, &ring_many, &ring_one,
	&direct, &calls, &mq_drop_in, &sysv_drop_in, &posix_mq, &system_v, &seqpacket,
	&dgram, &byte_pipe, &packet_pipe, &shared_eventfd, &shared_futex,
#ifdef HAVE_TIRPC
	&rpc_by_mbox_run, &rpc_by_svc_run, &rpc_by_socket,
#endif
};

const unsigned int ntransports = sizeof(transports) / sizeof(transports[0]);
_Static_assert(sizeof(transports) / sizeof(transports[0]) <= TRANSPORTS_MOST, "too many");

struct options options = { .runs = 7, .samples = 101, .ms = 100 };

bool wanted(const char *measure)
{
	return !options.only || !strcmp(options.only, measure);
}

/* Whether @t is up to it. What cannot be opened is named, once. */
bool open_channel(struct channel *c, const struct transport *t, const struct shape *shape)
{
	static const struct transport *named[TRANSPORTS_MOST];
	bool several = shape->senders > 1 || shape->receivers > 1;
	size_t most = t->size_most ? t->size_most : SIZE_MOST;
	unsigned int i;

	if (several && t->atomic_most)
		most = t->atomic_most;
	if (shape->size > most || (several && t->one))
		return false;
	*c = (struct channel){ .transport = t, .len = shape->size };
	if (t->open(c, shape))
		return true;
	for (i = 0; named[i] && named[i] != t; i++)
		;
	if (!named[i])
		warn("%s: not with %u messages of %zu bytes", t->name, shape->capacity,
		     shape->size);
	named[i] = t;

	return false;
}

struct result summary(double *values, unsigned int n)
{
	struct result r = { .there = true };

	qsort(values, n, sizeof(*values), compare_double);
	r.middle = values[n / 2];
	r.late = n >= 100 ? values[n * 99 / 100] : 0;
	r.lowest = values[0];
	r.highest = values[n - 1];

	return r;
}

static void print_number(double value)
{
	if (value)
		printf("\t%.1f", value);
	else
		printf("\t-");
}

/* @first: of each transport, the median at the smallest n; NULL: that says nothing here. */
void report(const struct row *row, const struct result *results, double *first)
{
	static const char *const kinds[] = {
		[OURS] = "ours",
		[KERNEL] = "kernel",
		[MEMORY] = "memory",
	};
	const char *fastest = "-";
	double best = 0;
	unsigned int i;

	for (i = 0; i < ntransports; i++) {
		if (!results[i].there || transports[i]->kind != KERNEL ||
		    (best && results[i].middle >= best))
			continue;
		best = results[i].middle;
		fastest = transports[i]->name;
	}
	for (i = 0; i < ntransports; i++) {
		const struct result *r = &results[i];

		if (!r->there)
			continue;
		printf("%s\t%zu\t%u\t%d\t%s\t%s\t%.1f", row->measure, row->size, row->n, row->cpus,
		       transports[i]->name, kinds[transports[i]->kind], r->middle);
		print_number(r->late);
		print_number(r->lowest);
		print_number(r->highest);
		if (best)
			printf("\t%.3f\t%s", r->middle / best, fastest);
		else
			printf("\t-\t-");
		if (first && !first[i])
			first[i] = r->middle;
		if (first)
			printf("\t%.3f\n", r->middle / first[i]);
		else
			printf("\t-\n");
	}
	fflush(stdout);
}

static void write_limit(const char *file, unsigned int limit)
{
	FILE *out = fopen(file, "w");

	if (!out || fprintf(out, "%u\n", limit) < 0 || fclose(out))
		warn("%s", file);
}

/* Limits of this program alone: it gets message queues of its own. */
static void raise_limits(void)
{
	struct rlimit files = { 4 * MANY_MOST, 4 * MANY_MOST };
	struct rlimit bytes = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_NOFILE, &files))
		warn("room for %d descriptors", 4 * MANY_MOST);
	if (setrlimit(RLIMIT_MSGQUEUE, &bytes))
		warn("room for message queues");
	if (unshare(CLONE_NEWIPC)) {
		warn("message queues of its own");
		return;
	}
	write_limit("/proc/sys/kernel/msgmax", SIZE_MOST);
}

static unsigned int number(const char *text, unsigned int most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value < 1 || value > most)
		errx(2, "'%s' is not a number from 1 to %u", text, most);

	return value;
}

int main(int argc, char **argv)
{
	int opt;

	options.cpus = sysconf(_SC_NPROCESSORS_ONLN);
	while ((opt = getopt(argc, argv, "qr:s:t:m:")) >= 0) {
		if (opt == 'q') {
			options.quick = true;
			options.runs = 3;
			options.samples = 51;
			options.ms = 20;
		} else if (opt == 'r') {
			options.runs = number(optarg, RUNS_MOST);
		} else if (opt == 's') {
			options.samples = number(optarg, RUNS_MOST);
		} else if (opt == 't') {
			options.ms = number(optarg, 10000);
		} else if (opt == 'm') {
			options.only = optarg;
		} else {
			return 2;
		}
	}
	if (optind != argc)
		errx(2, "usage: compare [-q] [-r RUNS] [-s SAMPLES] [-t MS] [-m MEASURE]");

	raise_limits();
	/* Touches the pages. */
	memset(&sent, 's', sizeof(sent));
	memset(&got, 'g', sizeof(got));

	puts("measure\tbytes\tn\tcpus\ttransport\tkind\tns\tp99\tlowest\thighest\tratio\tfastest\tgrowth");
	measure_pairs();
	measure_trips();
	measure_flows();
	measure_flat();
	measure_life();
	measure_state();

	return 0;
}
