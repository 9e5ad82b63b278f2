// SPDX-License-Identifier: GPL-2.0-only
/*
 * mboxctl monitor --live: mailboxes on a screen, the busiest first, each with the rates of
 * the last interval and a sparkline of the intervals before; and below them the routes of
 * mbox-nats.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "live.h"
#include "routes.h"
#include "text.h"

/* How many rates a mailbox keeps: a sparkline is at most as wide. */
#define SAMPLES 128

/* What a terminal has that does not say its size. */
#define DEFAULT_ROWS 24
#define DEFAULT_COLUMNS 80

/* When nothing has happened for so long, mbox-nats does not write: it does so every second. */
#define ROUTES_IDLE 3

/* A name gets at most a part of the line, and not less than this. */
#define NAME_PART 3
#define NAME_WIDTH_MIN 8

/* Control sequences of ECMA-48, and of DEC for the screen, the cursor and line wrap. */
#define ENTER_SCREEN "\033[?1049h\033[?25l\033[?7l"
#define LEAVE_SCREEN "\033[?7h\033[?25h\033[?1049l"
#define HOME "\033[H"
#define END_OF_LINE "\033[K"
#define END_OF_SCREEN "\033[J"
#define REVERSE "\033[7m"
#define PLAIN "\033[0m"

/**
 * struct row - a mailbox
 * @item: as the last look found it
 * @sent: messages sent a second, in the last interval
 * @received: likewise
 * @dropped: likewise
 * @samples: what @sent was in the last intervals, a circle
 * @n: how many there were; the last is samples[(n - 1) % SAMPLES]
 */
struct row {
	struct mbox_walk item;
	double sent;
	double received;
	double dropped;
	float samples[SAMPLES];
	uint64_t n;
};

/**
 * struct bridge - the routes of mbox-nats
 * @now: as the file has them
 * @before: as it had them before it last changed
 */
struct bridge {
	struct routes now;
	struct routes before;
};

/**
 * struct screen - what is shown
 * @rows: the mailboxes, in the order of their ids
 * @n: how many
 * @looked: CLOCK_MONOTONIC of the last look in seconds, 0 before the first
 * @bridge: the routes
 */
struct screen {
	struct row *rows;
	size_t n;
	double looked;
	struct bridge bridge;
};

static volatile sig_atomic_t suspended;

static void suspend(int sig)
{
	(void)sig;
	suspended = 1;
}

/* Only ends a wait, so that the screen is drawn in its new size. */
static void resize(int sig)
{
	(void)sig;
}

static double seconds_of(const struct timespec *ts)
{
	return ts->tv_sec + ts->tv_nsec / 1e9;
}

static double now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return seconds_of(&ts);
}

/* ---- looking ---------------------------------------------------------------- */

static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now > before && seconds > 0 ? (now - before) / seconds : 0;
}

/* @row is a mailbox that was there at the last look, as @old. */
static void continue_row(struct row *row, const struct row *old, double seconds)
{
	const struct mbox_stat *before = &old->item.stat, *now = &row->item.stat;

	memcpy(row->samples, old->samples, sizeof(row->samples));
	row->sent = rate(now->sent, before->sent, seconds);
	row->received = rate(now->received, before->received, seconds);
	row->dropped = rate(now->dropped, before->dropped, seconds);
	row->samples[old->n % SAMPLES] = row->sent;
	row->n = old->n + 1;
}

/* The file is read again whether it has changed or not: it is short. */
static void look_at_routes(struct bridge *bridge, const char *file)
{
	struct routes fresh;

	if (!routes_read(&fresh, file)) {
		routes_free(&bridge->now);
		routes_free(&bridge->before);
		return;
	}
	if (seconds_of(&fresh.written) == seconds_of(&bridge->now.written)) {
		routes_free(&fresh);
		return;
	}
	routes_free(&bridge->before);
	bridge->before = bridge->now;
	bridge->now = fresh;
}

/* Returns false with errno set. */
static bool look(struct screen *screen, const struct live *live)
{
	double now = now_seconds(), seconds = screen->looked ? now - screen->looked : 0;
	struct list all = { 0 };
	struct row *rows;
	size_t i, n = 0, old = 0;

	rows = list_read(&all) ? calloc(all.n + 1, sizeof(*rows)) : NULL;
	if (!rows) {
		list_free(&all);
		return false;
	}
	/* Both are in the order of ids. */
	for (i = 0; i < all.n; i++) {
		if (live->chosen && !list_find_id(live->chosen, all.items[i].id))
			continue;
		rows[n].item = all.items[i];
		while (old < screen->n && screen->rows[old].item.id < rows[n].item.id)
			old++;
		if (old < screen->n && screen->rows[old].item.id == rows[n].item.id)
			continue_row(&rows[n], &screen->rows[old], seconds);
		n++;
	}
	list_free(&all);
	free(screen->rows);
	screen->rows = rows;
	screen->n = n;
	screen->looked = now;
	look_at_routes(&screen->bridge, live->routes);

	return true;
}

/* ---- drawing ---------------------------------------------------------------- */

/* The busiest first; those that are equally busy in the order of their ids. */
static int compare_rows(const void *a, const void *b)
{
	const struct row *left = *(const struct row *const *)a;
	const struct row *right = *(const struct row *const *)b;
	double busy = left->sent + left->received, other = right->sent + right->received;

	if (busy != other)
		return busy > other ? -1 : 1;

	return left->item.id < right->item.id ? -1 : left->item.id > right->item.id;
}

/* @row's last rates in @width columns, the highest of them as high as a line is. */
static void print_sparkline(const struct row *row, int width)
{
	static const char *const blocks[] = {
		" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█",
	};
	static const char *const ascii[] = { " ", ".", ":", "-", "=", "+", "*", "#", "@" };
	const char *const *bars = text_has_utf8() ? blocks : ascii;
	const int levels = sizeof(blocks) / sizeof(blocks[0]) - 1;
	float highest = 0, sample;
	uint64_t first, i;
	int level;

	if (width > SAMPLES)
		width = SAMPLES;
	first = row->n > (uint64_t)width ? row->n - width : 0;
	for (i = first; i < row->n; i++) {
		if (row->samples[i % SAMPLES] > highest)
			highest = row->samples[i % SAMPLES];
	}
	/* New ones come in from the right. */
	printf("%*s", width - (int)(row->n - first), "");
	for (i = first; i < row->n; i++) {
		sample = row->samples[i % SAMPLES];
		level = highest > 0 ? (int)(sample / highest * levels) : 0;
		/* Little is not nothing. */
		if (sample > 0 && !level)
			level = 1;
		fputs(bars[level], stdout);
	}
}

/* How wide the columns other than the name and the sparkline are. */
#define FIGURES_WIDTH (3 * (2 + 9) + 2 + 8 + 2 + 8)

static void print_row(const struct row *row, int name_width, int spark_width)
{
	const struct mbox_stat *st = &row->item.stat;

	if (*row->item.name)
		text_print_cut(row->item.name, name_width);
	else
		printf("id:%-*" PRIu64, name_width - (int)strlen("id:"), (uint64_t)row->item.id);
	printf("  %9.0f  %9.0f  %9.0f  %8" PRIu32 "  %8.1f", row->sent, row->received,
	       row->dropped, st->queued, st->oldest_ns / 1e9);
	if (spark_width > 0) {
		fputs("  ", stdout);
		print_sparkline(row, spark_width);
	}
	fputs(END_OF_LINE "\r\n", stdout);
}

/*
 * Between the last two times that the file was written; none, if that is long ago. What was
 * written after a rest has happened since the last look.
 */
static double route_rate(const struct bridge *bridge, size_t i, double interval)
{
	const struct route_row *row = &bridge->now.rows[i], *before;
	double written = seconds_of(&bridge->now.written);
	double seconds = written - seconds_of(&bridge->before.written);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	before = routes_find(&bridge->before, row, i);
	if (!before || seconds_of(&now) - written > ROUTES_IDLE)
		return 0;

	if (seconds > interval + 1)
		seconds = interval + 1;

	return rate(row->messages, before->messages, seconds);
}

#define ROUTE_FIGURES_WIDTH (4 * (2 + 9))

static void draw_routes(const struct bridge *bridge, int columns, size_t room, double interval)
{
	int width = routes_name_width(&bridge->now), most = columns - ROUTE_FIGURES_WIDTH;
	const struct route_row *row;
	size_t i;

	if (width < (int)strlen("ROUTE (not connected)"))
		width = strlen("ROUTE (not connected)");
	if (width > most)
		width = most > NAME_WIDTH_MIN ? most : NAME_WIDTH_MIN;
	printf(REVERSE);
	text_print_cut(bridge->now.connected ? "ROUTE" : "ROUTE (not connected)", width);
	printf("  %9s  %9s  %9s  %9s" END_OF_LINE PLAIN "\r\n", "MSGS/s", "ERRORS", "RETRIES",
	       "LOST");
	for (i = 0; i < bridge->now.n && i < room; i++) {
		row = &bridge->now.rows[i];
		routes_print_name(row, width);
		printf("  %9.0f  %9" PRIu64 "  %9" PRIu64 "  %9" PRIu64 END_OF_LINE "\r\n",
		       route_rate(bridge, i, interval), row->errors, row->retries, row->lost);
	}
}

static void size_of_terminal(int *lines, int *columns)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*lines = size.ws_row ? size.ws_row : DEFAULT_ROWS;
	*columns = size.ws_col ? size.ws_col : DEFAULT_COLUMNS;
}

/* The width of the column of names: that of the widest that is not too wide. */
static int width_of_names(const struct screen *screen, int columns)
{
	int most = columns / NAME_PART, widest = NAME_WIDTH_MIN, width;
	size_t i;

	for (i = 0; i < screen->n; i++) {
		width = text_width(screen->rows[i].item.name);
		if (width > widest)
			widest = width;
	}
	if (widest > most)
		widest = most;

	return widest > NAME_WIDTH_MIN ? widest : NAME_WIDTH_MIN;
}

/* Returns false with errno set. */
static bool draw(const struct screen *screen, const struct live *live)
{
	const struct row **order = malloc((screen->n + 1) * sizeof(*order));
	/* With the line above them. */
	size_t i, room, most, routes = screen->bridge.now.n + 1;
	int lines, columns, name_width, spark_width;

	if (!order)
		return false;
	for (i = 0; i < screen->n; i++)
		order[i] = &screen->rows[i];
	qsort(order, screen->n, sizeof(*order), compare_rows);

	size_of_terminal(&lines, &columns);
	name_width = width_of_names(screen, columns);
	spark_width = columns - name_width - FIGURES_WIDTH - 2;
	/* The two lines above, and the last, where the cursor stays. */
	room = lines > 4 ? lines - 3 : 1;
	/* What the mailboxes do not need, and half of the lines in any case. */
	most = screen->n < room - room / 2 ? room - screen->n : room / 2;
	if (routes > most)
		routes = most;
	if (routes > 1)
		room -= routes;

	printf(HOME "%zu mailbox%s, every %g s; press q to end" END_OF_LINE "\r\n", screen->n,
	       screen->n == 1 ? "" : "es", live->interval_ns / 1e9);
	printf(REVERSE "%-*s  %9s  %9s  %9s  %8s  %8s%s" END_OF_LINE PLAIN "\r\n", name_width,
	       "NAME", "SENT/s", "RECV/s", "DROP/s", "QUEUED", "OLDEST",
	       spark_width >= (int)strlen("SENT") ? "  SENT" : "");
	for (i = 0; i < screen->n && i < room; i++)
		print_row(order[i], name_width, spark_width);
	if (routes > 1)
		draw_routes(&screen->bridge, columns, routes - 1, live->interval_ns / 1e9);
	routes = routes > 1 ? screen->bridge.now.n - (routes - 1) : screen->bridge.now.n;
	if (i < screen->n && routes)
		printf("and %zu more, %zu more routes", screen->n - i, routes);
	else if (i < screen->n)
		printf("and %zu more", screen->n - i);
	else if (routes)
		printf("and %zu more routes", routes);
	fputs(END_OF_LINE END_OF_SCREEN, stdout);
	free(order);

	return !fflush(stdout);
}

/* ---- the terminal ------------------------------------------------------------ */

/* As standard input was; valid while @changed. */
static struct termios cooked;
static bool changed;

/* Keys come at once, and are not shown. Signals from the keyboard stay what they are. */
static void enter_screen(void)
{
	struct termios raw;

	if (isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &cooked)) {
		raw = cooked;
		raw.c_lflag &= ~(ICANON | ECHO);
		changed = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	fputs(ENTER_SCREEN, stdout);
}

static void leave_screen(void)
{
	fputs(LEAVE_SCREEN, stdout);
	fflush(stdout);
	if (changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
	changed = false;
}

/* The signals that it takes besides those of @stopped, blocked but while it waits. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = suspend };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTSTP);
	sigaddset(&blocked, SIGWINCH);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGTSTP, &action, NULL);
	action.sa_handler = resize;
	sigaction(SIGWINCH, &action, NULL);
}

enum wait_end {
	WAIT_OVER,
	WAIT_REDRAW,
	WAIT_QUIT,
};

/* Until @until, a key or a signal. */
static enum wait_end wait_until(double until, const struct live *live)
{
	struct pollfd keys = { .fd = changed ? STDIN_FILENO : -1, .events = POLLIN };
	double left = until - now_seconds();
	struct timespec ts;
	char key;
	int n;

	if (left < 0)
		left = 0;
	ts.tv_sec = left;
	ts.tv_nsec = (left - ts.tv_sec) * 1e9;
	n = ppoll(&keys, 1, &ts, live->waiting);
	if (suspended) {
		suspended = 0;
		leave_screen();
		raise(SIGSTOP);
		enter_screen();
		return WAIT_REDRAW;
	}
	if (n < 0)
		return WAIT_REDRAW;
	if (!n)
		return WAIT_OVER;
	/* A terminal that is gone is the end, too. */
	if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q')
		return WAIT_QUIT;

	/* Keys that keep coming do not keep the figures from moving. */
	return now_seconds() < until ? WAIT_REDRAW : WAIT_OVER;
}

int live_show(const struct live *live)
{
	enum wait_end end = WAIT_OVER;
	struct screen screen = { 0 };
	int error = 0;
	double until;
	uint64_t i;

	if (!isatty(STDOUT_FILENO)) {
		print_error("--live needs a terminal");
		return EXIT_FAILED;
	}
	catch_signals();
	enter_screen();
	for (i = 0; end != WAIT_QUIT && !*live->stopped && (!live->count || i < live->count); i++) {
		if (!look(&screen, live)) {
			error = errno;
			break;
		}
		until = screen.looked + live->interval_ns / 1e9;
		do {
			if (!draw(&screen, live)) {
				error = errno;
				end = WAIT_QUIT;
				break;
			}
			end = wait_until(until, live);
		} while (end == WAIT_REDRAW && !*live->stopped);
	}
	/* An error is printed where it stays to be seen. */
	leave_screen();
	free(screen.rows);
	routes_free(&screen.bridge.now);
	routes_free(&screen.bridge.before);
	if (!error)
		return EXIT_OK;
	errno = error;
	print_perror("cannot show mailboxes");

	return EXIT_FAILED;
}
