// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl bench: what messages cost on this machine, by mailboxes and by other means. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "table.h"
#include "transport.h"

#define NSEC_PER_SEC 1000000000.0
#define SIZES_MOST 8
/* Odd, for a median that was measured. */
#define ROUNDS 9
/* Messages between two looks at the clock, which costs as much as some of them. */
#define BATCH 16
/* Seconds until a partner that does not answer counts as gone. */
#define PATIENCE 10

/* ---- measuring ------------------------------------------------------------- */

enum measure {
	PAIR,
	TRIP,
	NMEASURES,
};

/**
 * struct row - a line of the table
 * @transport: what is measured
 * @size: bytes of a message
 * @n: rounds that gave a value
 * @ns: nanoseconds in each of them; after measure_all() the first is the median
 * @queue: the row of the first transport for the same size
 */
struct row {
	const struct transport *transport;
	size_t size;
	unsigned int n;
	double ns[NMEASURES][ROUNDS];
	const struct row *queue;
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* Sends through @to and receives from @from for @slice_ns; sets *@ns to those of each time. */
static bool measure(const struct transport *t, struct channel *to, struct channel *from,
		    double slice_ns, double *ns)
{
	double begin = 0, took = 0;
	unsigned long n = 0;

	do {
		for (int i = 0; i < BATCH; i++) {
			if (!t->send(to) || !t->recv(from))
				return false;
		}
		/* The first ones find caches and processors cold, and do not count. */
		if (begin == 0) {
			begin = now_ns();
			continue;
		}
		n += BATCH;
		took = now_ns() - begin;
	} while (!n || took < slice_ns);
	*ns = took / n;

	return true;
}

/* The other process, which sends back what it receives; it ends with its parent. */
static pid_t start_partner(const struct transport *t, struct channel *to, struct channel *from)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent && t->recv(to) && t->send(from))
		;
	_exit(1);
}

/* Before anything is closed: the reason may be a limit, and how much is used of it. */
static bool cannot_measure(const struct row *row)
{
	const char *name = row->transport->name;

	if (row->transport < transports + NMAILBOXES)
		print_perror("cannot measure %s with %zu bytes", name, row->size);
	else
		print_file_perror("cannot measure %s with %zu bytes", name, row->size);

	return false;
}

static bool measure_trip(struct row *row, struct channel *there, struct channel *back,
			 double slice_ns)
{
	const struct transport *t = row->transport;
	pid_t pid = start_partner(t, there, back);
	bool done;
	int err;

	if (pid < 0)
		return false;
	/* If the partner is gone, a receive would wait for ever. */
	alarm(PATIENCE + (unsigned int)(2 * slice_ns / NSEC_PER_SEC));
	done = measure(t, there, back, slice_ns, &row->ns[TRIP][row->n]);
	err = errno;
	alarm(0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	errno = err;

	return done;
}

/* One round of one row. */
static bool measure_row(struct row *row, double slice_ns)
{
	struct channel there = { .size = row->size }, back = { .size = row->size };
	const struct transport *t = row->transport;
	bool done;

	if (!t->open(&there))
		return cannot_measure(row);
	if (t->open(&back)) {
		done = measure(t, &there, &there, slice_ns, &row->ns[PAIR][row->n]) &&
		       measure_trip(row, &there, &back, slice_ns);
		if (!done)
			cannot_measure(row);
		t->close(&back);
	} else {
		done = cannot_measure(row);
	}
	t->close(&there);

	return done;
}

static int compare_ns(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/*
 * Measures all rows in turn, round by round: what else the machine does meets all of
 * them. Returns whether mailboxes could be measured.
 */
static bool measure_all(struct row *rows, unsigned int n, double seconds)
{
	double slice_ns = seconds * NSEC_PER_SEC / (n * ROUNDS * NMEASURES);
	struct sigaction act = { .sa_handler = on_alarm };
	sigset_t ends, before;
	bool good = true;

	sigaction(SIGALRM, &act, NULL);
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	for (unsigned int i = 0; i < n * ROUNDS; i++) {
		struct row *row = &rows[i % n];

		if (row->n < i / n)
			continue;
		/* A System V queue outlives the process that made it. */
		sigprocmask(SIG_BLOCK, &ends, &before);
		if (measure_row(row, slice_ns)) {
			row->n++;
		} else {
			good = good && row->transport >= transports + NMAILBOXES;
			row->n = 0;
		}
		sigprocmask(SIG_SETMASK, &before, NULL);
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\r%u%%\r", 100 * i / (n * ROUNDS));
	}
	for (unsigned int i = 0; i < n; i++) {
		for (int m = 0; m < NMEASURES; m++) {
			qsort(rows[i].ns[m], rows[i].n, sizeof(double), compare_ns);
			rows[i].ns[m][0] = rows[i].ns[m][rows[i].n / 2];
		}
	}

	return good;
}

/* ---- the table ------------------------------------------------------------- */

enum {
	TRANSPORT,
	SIZE,
	PAIR_NS,
	PAIR_RATIO,
	TRIP_NS,
	TRIP_RATIO,
};

static const struct table_column columns[] = {
	{ "TRANSPORT", TABLE_TEXT, true, "what carries the messages" },
	{ "SIZE", TABLE_NUMBER, true, "bytes of a message" },
	{ "PAIR-NS", TABLE_NUMBER, true, "nanoseconds of a send and a receive that do not wait" },
	{ "PAIR-RATIO", TABLE_NUMBER, true, "the same, in relation to a queue mailbox" },
	{ "TRIP-NS", TABLE_NUMBER, true, "nanoseconds to another process and back" },
	{ "TRIP-RATIO", TABLE_NUMBER, true, "the same, in relation to a queue mailbox" },
};

static void print_cell(FILE *cell, unsigned int column, const void *data)
{
	const struct row *row = data;
	enum measure m = column < TRIP_NS ? PAIR : TRIP;

	if (column == TRANSPORT)
		fputs(row->transport->name, cell);
	else if (column == SIZE)
		fprintf(cell, "%zu", row->size);
	else if (!row->n)
		return;
	else if (column == PAIR_NS || column == TRIP_NS)
		fprintf(cell, "%.0f", row->ns[m][0]);
	else if (row->queue->n)
		fprintf(cell, "%.2f", row->ns[m][0] / row->queue->ns[m][0]);
}

static const struct table_kind bench_table = {
	.name = "transports",
	.columns = columns,
	.n = sizeof(columns) / sizeof(columns[0]),
	.print = print_cell,
};

/**
 * struct bench_job - what is measured
 * @sizes: of messages
 * @nsizes: how many
 * @seconds: how long all of it takes
 * @choice: how the table is printed
 */
struct bench_job {
	size_t sizes[SIZES_MOST];
	unsigned int nsizes;
	double seconds;
	struct table_choice choice;
};

static bool parse_sizes(struct bench_job *job, const char *arg)
{
	char *text = strdup(arg), *rest = text, *word;
	bool good = text;
	uint32_t size;

	if (!text)
		print_perror("cannot read sizes");
	job->nsizes = 0;
	while (good && (word = strsep(&rest, ","))) {
		good = parse_u32(word, "size", TRANSPORT_SIZE_MOST, &size);
		if (good && (!size || job->nsizes == SIZES_MOST)) {
			print_error("there are 1 to %d sizes of 1 to %d bytes", SIZES_MOST,
				    TRANSPORT_SIZE_MOST);
			good = false;
		}
		if (good)
			job->sizes[job->nsizes++] = size;
	}
	free(text);

	return good;
}

static bool set_option(void *data, int id, const char *arg)
{
	struct bench_job *job = data;
	uint64_t ns;

	switch (id) {
	case 's':
		return parse_sizes(job, arg);
	case 'T':
		if (!parse_seconds(arg, &ns))
			return false;
		job->seconds = ns / NSEC_PER_SEC;
		return true;
	default:
		return table_option(&job->choice, id, arg);
	}
}

static int run_bench(int argc, char **argv)
{
	struct bench_job job = {
		.sizes = { 64, 4096 },
		.nsizes = 2,
		.seconds = 3,
		.choice = TABLE_CHOICE_INIT,
	};
	struct row rows[SIZES_MOST * NTRANSPORTS] = { 0 };
	struct table *table;
	unsigned int i, n;
	int status;
	bool good;

	status = parse_options(&bench_command, argc, argv, &job);
	if (status >= 0)
		return status;
	if (optind != argc)
		return usage_error("bench takes no operands");
	if (!table_choice_valid(&job.choice, false))
		return EXIT_USAGE;
	table = table_new(&bench_table, &job.choice, &status);
	if (!table)
		return status;

	n = job.nsizes * NTRANSPORTS;
	for (i = 0; i < n; i++) {
		rows[i].transport = &transports[i % NTRANSPORTS];
		rows[i].size = job.sizes[i / NTRANSPORTS];
		rows[i].queue = &rows[i - i % NTRANSPORTS];
	}
	good = measure_all(rows, n, job.seconds);
	for (i = 0; i < n; i++)
		table_add(table, &rows[i], NULL);
	status = table_print(table);
	if (!job.choice.json && !job.choice.raw && !job.choice.noheadings)
		printf("Compare ratios within one run; times depend on the machine.\n");

	return good ? status : EXIT_FAILED;
}

const struct command bench_command = {
	.name = "bench",
	.operands = "",
	.summary = "measure what messages cost on this machine",
	.about = "Measure mailboxes and other means to send messages, in turns: POSIX and System\n"
		 "V message queues, pipes, and sockets for packets. The median of nine rounds\n"
		 "counts.\n",
	.options = {
		{ 's', "size", "BYTES", "sizes of messages, with commas between them (default\n"
					"64,4096)" },
		{ 'T', "time", "SECONDS", "how long to measure, in all (default 3)" },
		TABLE_OPTIONS,
	},
	.notes = "Compare ratios within one run; times depend on the machine and on what else it\n"
		 "does.\n",
	.table = &bench_table,
	.set = set_option,
	.run = run_bench,
};
