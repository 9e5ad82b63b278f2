// SPDX-License-Identifier: GPL-2.0-only
/*
 * mboxctl monitor: what goes on in mailboxes, as figures at intervals, or event
 * by event from the kernel's tracepoints.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "list.h"
#include "text.h"

#define TRACING "/sys/kernel/tracing"

/**
 * struct monitor - what to show
 * @names: the mailboxes, or NULL: all
 * @nnames: how many
 * @interval_ns: time between two looks
 * @count: how many looks or events; 0: without end
 * @json: objects instead of a table
 * @events: event by event
 */
struct monitor {
	char **names;
	int nnames;
	uint64_t interval_ns;
	uint64_t count;
	bool json;
	bool events;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* The signals that end it come only while it waits with the mask in @waiting. */
static void catch_signals(sigset_t *waiting)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = stop };
	sigset_t blocked;
	size_t i;

	sigemptyset(&blocked);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		sigaddset(&blocked, signals[i]);
		sigaction(signals[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, waiting);
}

/* ---- figures ------------------------------------------------------------- */

static const struct mbox_walk *find_id(const struct list *list, uint64_t id)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (list->items[i].id == id)
			return &list->items[i];

	return NULL;
}

static bool is_chosen(const struct list *chosen, const struct mbox_walk *item)
{
	return !chosen || find_id(chosen, item->id);
}

/* The figures since @before; without it, since the mailbox was created. */
static void print_row(const struct mbox_walk *item, const struct mbox_walk *before, int width)
{
	static const struct mbox_stat nothing;
	const struct mbox_stat *old = before ? &before->stat : &nothing;
	const struct mbox_stat *st = &item->stat;

	printf("%8" PRIu64 "  ", (uint64_t)item->id);
	text_print_padded(*item->name ? item->name : "-", width);
	printf("  %10" PRIu64 "  %10" PRIu64 "  %8" PRIu64 "  %8" PRIu32 "  %10" PRIu64
	       "  %5" PRIu32 "  %5" PRIu32 "\n",
	       (uint64_t)(st->sent - old->sent), (uint64_t)(st->received - old->received),
	       (uint64_t)(st->dropped - old->dropped), st->queued, (uint64_t)st->bytes,
	       st->waiting_senders, st->waiting_receivers);
}

static void print_heading(int width)
{
	printf("%8s  %-*s  %10s  %10s  %8s  %8s  %10s  %5s  %5s\n", "ID", width, "NAME", "SENT",
	       "RECEIVED", "DROPPED", "QUEUED", "BYTES", "SEND", "RECV");
}

static void print_gone(const struct monitor *job, const struct mbox_walk *item, int width)
{
	if (job->json) {
		printf("{\"id\":%" PRIu64 ",\"gone\":true}\n", (uint64_t)item->id);
		return;
	}
	printf("%8" PRIu64 "  ", (uint64_t)item->id);
	text_print_padded(*item->name ? item->name : "-", width);
	printf("  gone\n");
}

/* Those that are new, have changed, or are no more. Returns how many. */
static size_t print_changes(const struct monitor *job, const struct list *now,
			    const struct list *before, const struct list *chosen, int width)
{
	const struct mbox_walk *old;
	size_t i, n = 0;

	for (i = 0; i < now->n; i++) {
		const struct mbox_walk *item = &now->items[i];

		if (!is_chosen(chosen, item))
			continue;
		old = find_id(before, item->id);
		if (old && !memcmp(&old->stat, &item->stat, sizeof(old->stat)))
			continue;
		if (job->json) {
			list_print_json_item(item);
			putchar('\n');
		} else {
			print_row(item, old, width);
		}
		n++;
	}
	for (i = 0; i < before->n; i++) {
		if (!is_chosen(chosen, &before->items[i]) || find_id(now, before->items[i].id))
			continue;
		print_gone(job, &before->items[i], width);
		n++;
	}

	return n;
}

/* Waits until the next look; the signals that end it are let in here. */
static void wait_for_next(const struct monitor *job, const sigset_t *waiting)
{
	struct timespec ts = {
		.tv_sec = job->interval_ns / 1000000000,
		.tv_nsec = job->interval_ns % 1000000000,
	};

	fflush(stdout);
	ppoll(NULL, 0, &ts, waiting);
}

static int monitor_figures(const struct monitor *job, const struct list *chosen,
			   const sigset_t *waiting)
{
	struct list before = { 0 }, now = { 0 };
	int width, status = EXIT_OK;
	uint64_t i;

	for (i = 0; !stopped && !ferror(stdout) && (!job->count || i < job->count); i++) {
		if (i)
			wait_for_next(job, waiting);
		if (stopped)
			break;
		if (!list_all(&now)) {
			status = EXIT_FAILED;
			break;
		}
		width = list_name_width(chosen ? chosen : &now);
		if (!i && !job->json)
			print_heading(width);
		print_changes(job, &now, &before, chosen, width);
		list_free(&before);
		before = now;
		now = (struct list){ 0 };
	}
	list_free(&now);
	list_free(&before);

	return status;
}

/* ---- events --------------------------------------------------------------- */

/* A trace of our own, beside what others trace. */
static char instance[64];

static bool write_setting(const char *file, const char *text)
{
	size_t len = strlen(text);
	char path[128];
	bool done;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", instance, file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = write(fd, text, len) == (ssize_t)len;
	close(fd);

	return done;
}

/* Every event has the mailbox's id. Returns false without memory. */
static bool filter_ids(const struct list *chosen)
{
	const size_t each = sizeof("id == 18446744073709551615 || ");
	size_t i, len = 0;
	char *text;
	bool done;

	if (!chosen)
		return true;
	text = malloc(chosen->n * each + 1);
	if (!text)
		return false;
	for (i = 0; i < chosen->n; i++)
		len += sprintf(text + len, "%sid == %" PRIu64, i ? " || " : "",
			       (uint64_t)chosen->items[i].id);
	done = write_setting("events/mbox/filter", text);
	free(text);

	return done;
}

/*
 * "  task-pid  [cpu] flags  time: mbox_event: fields" without what says little:
 * time, task, event, fields.
 */
static void print_event(char *line)
{
	char *task = line + strspn(line, " ");
	char *cpu = strstr(task, " [");
	char *name = strstr(task, ": mbox_");
	char *time, *end;

	if (!cpu || !name || cpu > name)
		return;
	for (end = cpu; end > task && end[-1] == ' ';)
		end--;
	*end = '\0';
	*name = '\0';
	time = strrchr(cpu + 1, ' ');
	printf("%s %s %s\n", time ? time + 1 : "-", task, name + strlen(": mbox_"));
}

static int follow_events(const struct monitor *job, const sigset_t *waiting)
{
	struct pollfd pfd = { .events = POLLIN };
	char path[128], *line = NULL;
	size_t size = 0;
	uint64_t n = 0;
	FILE *pipe;

	snprintf(path, sizeof(path), "%s/trace_pipe", instance);
	pipe = fopen(path, "re");
	if (!pipe)
		return EXIT_FAILED;
	pfd.fd = fileno(pipe);
	/* What stdio has read ahead would not be polled for. */
	setvbuf(pipe, NULL, _IONBF, 0);
	while (!stopped && !ferror(stdout) && (!job->count || n < job->count)) {
		if (ppoll(&pfd, 1, NULL, waiting) < 0 || getline(&line, &size, pipe) < 0)
			break;
		line[strcspn(line, "\n")] = '\0';
		if (!strstr(line, ": mbox_"))
			continue;
		print_event(line);
		fflush(stdout);
		n++;
	}
	free(line);
	fclose(pipe);

	return EXIT_OK;
}

static int monitor_events(const struct monitor *job, const struct list *chosen,
			  const sigset_t *waiting)
{
	int status = EXIT_FAILED;

	snprintf(instance, sizeof(instance), TRACING "/instances/mboxctl-%d", getpid());
	if (mkdir(instance, 0700) < 0) {
		print_perror("cannot trace in '%s'", TRACING);
		return EXIT_FAILED;
	}
	if (!filter_ids(chosen) || !write_setting("events/mbox/enable", "1"))
		print_perror("cannot trace mailboxes");
	else
		status = follow_events(job, waiting);
	write_setting("events/mbox/enable", "0");
	rmdir(instance);

	return status;
}

/* ---- the command ---------------------------------------------------------- */

static void monitor_help(void)
{
	printf("Usage: mboxctl monitor [OPTIONS] [NAME...]\n");
	printf("\n");
	printf("Show what goes on in the mailboxes that you may see, or in the given ones: at\n");
	printf("first all of them, then, at intervals, those in which something has changed,\n");
	printf("with what was sent, received and dropped since the line before. Ends when it\n");
	printf("is interrupted.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -i, --interval SECONDS  time between two looks (default 1)\n");
	printf("  -n, --count N           end after N looks, or after N events\n");
	printf("  -e, --events            show every event, with time and task (for root)\n");
	printf("  -j, --json              output a JSON object a line\n");
	printf("  -h, --help              display this help and exit\n");
	printf("  -v, --version           output version information and exit\n");
}

static int run_monitor(const struct monitor *job)
{
	struct list all = { 0 }, chosen = { 0 };
	const struct list *only = job->nnames ? &chosen : NULL;
	int i, status = EXIT_OK;
	sigset_t waiting;

	if (only) {
		if (!list_all(&all))
			status = EXIT_FAILED;
		for (i = 0; status == EXIT_OK && i < job->nnames; i++)
			if (!list_target(&chosen, &all, job->names[i]))
				status = EXIT_FAILED;
		list_free(&all);
	}
	if (status == EXIT_OK) {
		catch_signals(&waiting);
		status = (job->events ? monitor_events : monitor_figures)(job, only, &waiting);
	}
	list_free(&chosen);

	return status;
}

int cmd_monitor(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' },
		{ "events", no_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct monitor job = { .interval_ns = 1000000000 };
	int opt;

	for (;;) {
		opt = getopt_long(argc, argv, "i:n:ejhv", longopts, NULL);
		if (opt < 0)
			break;

		switch (opt) {
		case 'i':
			if (!parse_seconds(optarg, &job.interval_ns))
				return usage_try_help();
			break;
		case 'n':
			if (!parse_u64(optarg, "count", UINT64_MAX, &job.count))
				return usage_try_help();
			break;
		case 'e':
			job.events = true;
			break;
		case 'j':
			job.json = true;
			break;
		case 'h':
			monitor_help();
			return EXIT_OK;
		case 'v':
			print_version();
			return EXIT_OK;
		default:
			return usage_try_help();
		}
	}
	if (job.events && job.json)
		return usage_error("--events and --json exclude each other");
	job.names = argv + optind;
	job.nnames = argc - optind;

	return run_monitor(&job);
}
