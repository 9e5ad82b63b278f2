// SPDX-License-Identifier: GPL-2.0-only
/*
 * mboxctl monitor: what goes on in mailboxes, as figures at intervals, as lines or on a
 * screen, or event by event from the kernel's tracepoints.
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
#include "live.h"
#include "routes.h"
#include "text.h"

#define TRACING "/sys/kernel/tracing"

/* Less is no interval, but a loop. */
#define INTERVAL_MIN_NS 1000000

/* How often --wait looks. */
#define WAIT_REPEAT_NS 50000000

/**
 * struct monitor - what to show
 * @names: the mailboxes, or NULL: all
 * @nnames: how many
 * @interval_ns: time between two looks
 * @count: how many looks or events; 0: without end
 * @json: objects instead of a table
 * @events: event by event
 * @live: on a screen
 * @wait: first wait until all mailboxes are there
 * @routes: the file of mbox-nats whose routes are shown; NULL: mailboxes are
 */
struct monitor {
	char **names;
	int nnames;
	uint64_t interval_ns;
	uint64_t count;
	bool json;
	bool events;
	bool live;
	bool wait;
	const char *routes;
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

/* Whether nothing has happened: that messages grow older is no change. */
static bool is_unchanged(const struct mbox_stat *before, const struct mbox_stat *now)
{
	struct mbox_stat aged = *before;

	aged.oldest_ns = now->oldest_ns;

	return !memcmp(&aged, now, sizeof(aged));
}

static bool is_chosen(const struct list *chosen, const struct mbox_walk *item)
{
	return !chosen || list_find_id(chosen, item->id);
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
	       "  %8.3f  %5" PRIu32 "  %5" PRIu32 "\n",
	       (uint64_t)(st->sent - old->sent), (uint64_t)(st->received - old->received),
	       (uint64_t)(st->dropped - old->dropped), st->queued, (uint64_t)st->bytes,
	       st->oldest_ns / 1e9, st->waiting_senders, st->waiting_receivers);
}

static void print_heading(int width)
{
	printf("%8s  %-*s  %10s  %10s  %8s  %8s  %10s  %8s  %5s  %5s\n", "ID", width, "NAME",
	       "SENT", "RECEIVED", "DROPPED", "QUEUED", "BYTES", "OLDEST", "SEND", "RECV");
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
		old = list_find_id(before, item->id);
		if (old && is_unchanged(&old->stat, &item->stat))
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
		if (!is_chosen(chosen, &before->items[i]) || list_find_id(now, before->items[i].id))
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

/* ---- routes ---------------------------------------------------------------- */

/* The figures since @before; without it, since mbox-nats began. */
static void print_route(const struct route_row *now, const struct route_row *before, int width)
{
	static const struct route_row nothing;
	const struct route_row *old = before ? before : &nothing;

	routes_print_name(now, width);
	printf("  %10" PRIu64 "  %12" PRIu64 "  %8" PRIu64 "  %8" PRIu64 "  %10" PRIu64
	       "  %8" PRIu64 "\n",
	       now->messages - old->messages, now->bytes - old->bytes, now->errors - old->errors,
	       now->retries - old->retries, now->duplicates - old->duplicates,
	       now->lost - old->lost);
}

static bool is_same_route(const struct route_row *a, const struct route_row *b)
{
	return a->messages == b->messages && a->bytes == b->bytes && a->errors == b->errors &&
	       a->retries == b->retries && a->duplicates == b->duplicates && a->lost == b->lost;
}

/* A bridge that was started again counts from 0, as if the route were new. */
static bool is_newer(const struct route_row *now, const struct route_row *before)
{
	return before && now->messages >= before->messages && now->bytes >= before->bytes &&
	       now->errors >= before->errors && now->retries >= before->retries &&
	       now->duplicates >= before->duplicates && now->lost >= before->lost;
}

/* Those that are new or have changed. */
static void print_changed_routes(const struct monitor *job, const struct routes *now,
				 const struct routes *before, int width)
{
	const struct route_row *row, *old;
	size_t i;

	for (i = 0; i < now->n; i++) {
		row = &now->rows[i];
		old = routes_find(before, row, i);
		if (old && is_same_route(row, old) &&
		    (!job->json || now->connected == before->connected))
			continue;
		if (job->json) {
			routes_print_json(now, row);
			putchar('\n');
		} else {
			print_route(row, is_newer(row, old) ? old : NULL, width);
		}
	}
}

static int monitor_routes(const struct monitor *job, const struct list *chosen,
			  const sigset_t *waiting)
{
	struct routes before = { 0 }, now = { 0 };
	int width, status = EXIT_OK;
	uint64_t i;

	(void)chosen;
	for (i = 0; !stopped && !ferror(stdout) && (!job->count || i < job->count); i++) {
		if (i)
			wait_for_next(job, waiting);
		if (stopped)
			break;
		if (!routes_read(&now, job->routes)) {
			print_perror("cannot read '%s'", job->routes);
			status = EXIT_FAILED;
			break;
		}
		width = routes_name_width(&now);
		if (width < (int)strlen("ROUTE"))
			width = strlen("ROUTE");
		if (!i && !job->json)
			printf("%-*s  %10s  %12s  %8s  %8s  %10s  %8s\n", width, "ROUTE",
			       "MESSAGES", "BYTES", "ERRORS", "RETRIES", "DUPLICATES", "LOST");
		print_changed_routes(job, &now, &before, width);
		routes_free(&before);
		before = now;
	}
	routes_free(&before);

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

/*
 * Every event has the mailbox's id and its namespace, which is the same for all
 * that were chosen. Returns false without memory.
 */
static bool filter_ids(const struct list *chosen)
{
	const size_t each = sizeof("id == 18446744073709551615 || ");
	const size_t both = sizeof("() && ns == 18446744073709551615");
	size_t i, len = 0;
	char *text;
	bool done;

	if (!chosen || !chosen->n)
		return true;
	text = malloc(chosen->n * each + both);
	if (!text)
		return false;
	len = sprintf(text, "(");
	for (i = 0; i < chosen->n; i++)
		len += sprintf(text + len, "%sid == %" PRIu64, i ? " || " : "",
			       (uint64_t)chosen->items[i].id);
	sprintf(text + len, ") && ns == %" PRIu64, (uint64_t)chosen->items[0].ns);
	done = write_setting("events/mbox/filter", text);
	free(text);

	return done;
}

/*
 * An event in trace_pipe is
 *
 *	TASK-PID [CPU] FLAGS TIME: mbox_EVENT: FIELDS
 *
 * with the name of the task in 16 columns, right-aligned. The name is whatever its
 * user likes, newlines and the rest of an event included, so that it is taken by
 * its length, and everything else, which is the kernel's, up to the newline. The
 * name has at most 15 bytes: a line that does not begin with a blank is no event.
 */
#define TASK_WIDTH 16

/* The bytes of the first line or event in @text; 0: its end is not there yet. */
static size_t event_len(const char *text, size_t len)
{
	size_t skip = len && *text == ' ' ? TASK_WIDTH : 0;
	const char *end = len > skip ? memchr(text + skip, '\n', len - skip) : NULL;

	return end ? end + 1 - text : 0;
}

/*
 * The name of the mailbox that an event is about, as the last word of its line, unless the
 * event has it. Names are looked up again when an event has an id that is not known.
 */
static void print_mailbox(const char *fields)
{
	static struct list known;
	const struct mbox_walk *item;
	const char *text = strstr(fields, ": id=");
	unsigned long long id;

	if (!text || !strncmp(fields, "create:", strlen("create:")) ||
	    sscanf(text, ": id=%llu", &id) != 1)
		return;
	item = list_find_id(&known, id);
	if (!item) {
		list_free(&known);
		if (!list_all(&known))
			return;
		item = list_find_id(&known, id);
	}
	if (!item || !*item->name)
		return;
	printf(" mailbox=");
	text_print_word(stdout, item->name);
}

/* Prints time, task, event and fields. Returns whether it is an event. */
static bool print_event(char *text)
{
	char task[TASK_WIDTH + 1], *time, *name;
	int pid;

	if (*text != ' ' || strlen(text) < TASK_WIDTH)
		return false;
	memcpy(task, text, TASK_WIDTH);
	task[TASK_WIDTH] = '\0';
	text += TASK_WIDTH;
	name = strstr(text, ": mbox_");
	if (!name || sscanf(text, "-%d", &pid) != 1)
		return false;
	*name = '\0';
	time = strrchr(text, ' ');
	printf("%s ", time ? time + 1 : "-");
	text_print_word(stdout, task + strspn(task, " "));
	printf("-%d ", pid);
	text_print_fields(stdout, name + strlen(": mbox_"));
	print_mailbox(name + strlen(": mbox_"));
	putchar('\n');

	return true;
}

/* What the kernel could not keep, because nobody read it. */
static void print_lost(const char *text)
{
	const char *what = strstr(text, "[LOST ");
	unsigned long n;

	if (what && sscanf(what, "[LOST %lu EVENTS]", &n) == 1)
		print_error("%lu events were lost", n);
	else if (what)
		print_error("events were lost");
}

/**
 * struct trace - what was read of trace_pipe
 * @text: what has not been shown yet
 * @len: how much of that there is
 */
struct trace {
	char text[1 << 16];
	size_t len;
};

/* Shows the events that are there, at most *@left; 0 is no limit. */
static void print_events(struct trace *trace, uint64_t *left)
{
	char *text = trace->text, *end = text + trace->len;
	size_t len;

	while ((len = event_len(text, end - text))) {
		text[len - 1] = '\0';
		if (*text != ' ')
			print_lost(text);
		else if (print_event(text) && *left && !--*left)
			return;
		text += len;
	}
	/* None is as long as the room for them. */
	if (text == trace->text && trace->len == sizeof(trace->text))
		text = end;
	trace->len = end - text;
	memmove(trace->text, text, trace->len);
}

static int follow_events(const struct monitor *job, const sigset_t *waiting)
{
	static struct trace trace;
	struct pollfd pfd = { .events = POLLIN };
	uint64_t left = job->count;
	char path[128];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/trace_pipe", instance);
	pfd.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (pfd.fd < 0) {
		print_perror("cannot read '%s'", path);
		return EXIT_FAILED;
	}
	while (!stopped && !ferror(stdout) && (!job->count || left)) {
		if (ppoll(&pfd, 1, NULL, waiting) < 0)
			break;
		n = read(pfd.fd, trace.text + trace.len, sizeof(trace.text) - trace.len);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			break;
		trace.len += n;
		print_events(&trace, &left);
		fflush(stdout);
	}
	close(pfd.fd);

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

/* Whether a walk finds it now; wrong arguments are for list_target() to report. */
static bool is_there(const struct list *all, const char *text)
{
	struct target target;
	size_t i;

	if (!parse_target(text, &target))
		return true;
	for (i = 0; i < all->n; i++) {
		if (target.name ? !strcmp(all->items[i].name, target.name) :
				  all->items[i].id == target.id)
			return true;
	}

	return false;
}

/* Until all given mailboxes are there. Returns false if they cannot be listed. */
static bool wait_for_mailboxes(const struct monitor *job)
{
	const struct timespec pause = { .tv_nsec = WAIT_REPEAT_NS };
	struct list all = { 0 };
	int i;

	for (;;) {
		if (!list_all(&all))
			return false;
		for (i = 0; i < job->nnames && is_there(&all, job->names[i]); i++)
			;
		list_free(&all);
		if (i == job->nnames)
			return true;
		nanosleep(&pause, NULL);
	}
}

static int monitor_live(const struct monitor *job, const struct list *chosen,
			const sigset_t *waiting)
{
	const struct live live = {
		.chosen = chosen,
		.routes = job->routes ? job->routes : ROUTES_FILE,
		.interval_ns = job->interval_ns,
		.count = job->count,
		.stopped = &stopped,
		.waiting = waiting,
	};

	return live_show(&live);
}

static int show_activity(const struct monitor *job)
{
	int (*show)(const struct monitor *, const struct list *, const sigset_t *) =
		job->events ? monitor_events : job->live ? monitor_live :
		job->routes ? monitor_routes : monitor_figures;
	struct list all = { 0 }, chosen = { 0 };
	const struct list *only = job->nnames ? &chosen : NULL;
	int i, status = EXIT_OK;
	bool found = true;
	sigset_t waiting;

	if (only && job->wait && !wait_for_mailboxes(job))
		return EXIT_FAILED;
	if (only) {
		if (!list_all(&all))
			status = EXIT_FAILED;
		for (i = 0; status == EXIT_OK && i < job->nnames; i++)
			found &= list_target(&chosen, &all, job->names[i]);
		list_free(&all);
		list_sort(&chosen);
	}
	/* Those that are there, whatever else was asked for. */
	if (status == EXIT_OK && (!only || chosen.n)) {
		catch_signals(&waiting);
		status = show(job, only, &waiting);
	}
	if (!found)
		status = EXIT_FAILED;
	list_free(&chosen);

	return status;
}

static bool set_option(void *data, int id, const char *arg)
{
	struct monitor *job = data;

	switch (id) {
	case 'i':
		if (!parse_seconds(arg, &job->interval_ns))
			return false;
		if (job->interval_ns >= INTERVAL_MIN_NS)
			break;
		print_error("the interval '%s' is too short", arg);
		return false;
	case 'n':
		return parse_u64(arg, "count", UINT64_MAX, &job->count);
	case 'e':
		job->events = true;
		break;
	case 'j':
		job->json = true;
		break;
	case 'l':
		job->live = true;
		break;
	case 'r':
		job->routes = arg;
		break;
	case 'w':
		job->wait = true;
		break;
	}

	return true;
}

static int run_monitor(int argc, char **argv)
{
	struct monitor job = { .interval_ns = 1000000000 };
	int status;

	status = parse_options(&monitor_command, argc, argv, &job);
	if (status >= 0)
		return status;

	if (job.events + job.json + job.live > 1)
		return usage_error("--events, --json and --live exclude each other");
	job.names = argv + optind;
	job.nnames = argc - optind;
	if (job.routes && job.events)
		return usage_error("--events and --routes exclude each other");
	if (job.routes && !job.live && (job.nnames || job.wait))
		return usage_error("--routes takes no mailbox without --live");

	return show_activity(&job);
}

const struct command monitor_command = {
	.name = "monitor",
	.operands = "[MAILBOX...]",
	.summary = "show activity in mailboxes",
	.about = "Show activity in the mailboxes that you may see, or in the given ones. First\n"
		 "there is a line for each mailbox. Each update adds a line for each mailbox that\n"
		 "has changed, with the messages sent, received and dropped since its previous\n"
		 "line. The command ends when it is interrupted.\n",
	.options = {
		{ 'i', "interval", "SECONDS", "time between updates, at least 0.001 (default 1)" },
		{ 'n', "count", "COUNT",
		  "end after that many updates or events\n"
		  "(default: never)" },
		{ 'e', "events", NULL, "show each event, with its time and task (for root)" },
		{ 'j', "json", NULL, "print one JSON object a line" },
		{ 'l', "live", NULL, "draw a screen, the busiest mailbox first" },
		{ 'r', "routes", "FILE",
		  "show the routes of mbox-nats, which writes FILE;\n"
		  "with --live, below the mailboxes" },
		{ 'w', "wait", NULL, "wait until all the given mailboxes exist" },
	},
	.set = set_option,
	.run = run_monitor,
};
