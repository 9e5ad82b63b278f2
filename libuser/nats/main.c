// SPDX-License-Identifier: LGPL-2.1-or-later
/* mbox-nats: options, signals and the loop. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bridge.h"

#define METRICS_PERIOD NSEC_PER_SEC

/**
 * struct arguments - the options
 * @file: file of routes; NULL: none
 * @lines: lines of such a file
 * @count: how many
 * @check: read all, and end
 */
struct arguments {
	const char *file;
	char **lines;
	unsigned int count;
	bool check;
};

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

void say(const char *fmt, ...)
{
	char text[1024];
	va_list va;

	va_start(va, fmt);
	vsnprintf(text, sizeof(text), fmt, va);
	va_end(va);
	fprintf(stderr, "mbox-nats: %s\n", text);
}

/* sd_notify(3), which is one datagram. */
void notify_manager(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(to.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
		   offsetof(struct sockaddr_un, sun_path) + len) < 0)
		say("%s: %s", path, strerror(errno));
	close(fd);
}

/* ---- what is to be done ------------------------------------------------------ */

static bool read_conf(struct conf *conf, const struct arguments *args)
{
	const char *folder = getenv("RUNTIME_DIRECTORY");
	bool ok = true;
	unsigned int i;

	memset(conf, 0, sizeof(*conf));
	conf->name = strdup("mbox-nats");
	conf->reconnect_ms = 500;
	conf->pending = 64 << 20;
	if (args->file)
		ok = conf_read(conf, args->file);
	for (i = 0; i < args->count; i++) {
		char *line = strdup(args->lines[i]);

		ok = line && conf_line(conf, line, "command line") && ok;
		free(line);
	}
	if (ok && !conf->count) {
		say("no route; see mbox-nats(1)");
		ok = false;
	}
	if (!conf->state && folder)
		conf->state = strdup(folder);
	if (!conf->metrics && folder && asprintf(&conf->metrics, "%s/metrics", folder) < 0)
		conf->metrics = NULL;
	return ok;
}

/* Take the route out of the configuration: it is the caller's then. */
static struct route_conf take_route(struct conf *conf, unsigned int i)
{
	struct route_conf route = conf->routes[i];

	conf->routes[i] = conf->routes[--conf->count];
	return route;
}

static struct route_conf *find_route(struct conf *conf, const char *text, unsigned int *at)
{
	for (*at = 0; *at < conf->count; ++*at) {
		if (!strcmp(conf->routes[*at].text, text))
			return &conf->routes[*at];
	}
	return NULL;
}

/*
 * Start all routes that are still in the configuration, in the order of the file. One that
 * cannot start stays in it, and false is returned.
 */
static bool start_routes(struct bridge *bridge, struct conf *conf)
{
	struct route **link = &bridge->routes, *route;
	unsigned int i;
	bool ok = true;

	while (*link)
		link = &(*link)->next;
	for (i = 0; i < conf->count; i++) {
		route = route_new(bridge, &conf->routes[i]);
		if (!route) {
			say("%s: %s", conf->routes[i].text, strerror(errno));
			ok = false;
			continue;
		}
		/* The route has it now. */
		conf->routes[i] = (struct route_conf){ 0 };
		*link = route;
		link = &route->next;
		if (bridge->nc && route_attach(route) != NATS_OK)
			say("%s: cannot subscribe", route->conf.text);
	}
	return ok;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_connection(const struct conf *a, const struct conf *b)
{
	return same(a->servers, b->servers) && same(a->name, b->name) &&
	       same(a->credentials, b->credentials) && same(a->nkey, b->nkey) &&
	       same(a->nkey_seed, b->nkey_seed) && same(a->user, b->user) &&
	       same(a->password, b->password) && same(a->token, b->token) &&
	       same(a->ca, b->ca) && same(a->cert, b->cert) && same(a->key, b->key) &&
	       a->tls == b->tls && same(a->domain, b->domain) && same(a->state, b->state) &&
	       a->reconnect_ms == b->reconnect_ms && a->pending == b->pending;
}

/* ---- the loop ---------------------------------------------------------------- */

static bool any_busy(struct bridge *bridge)
{
	struct route *route;

	for (route = bridge->routes; route; route = route->next) {
		if (route->stopping && route->ops->busy(route))
			return true;
	}
	return false;
}

static int timeout_ms(struct bridge *bridge)
{
	uint64_t due = bridge->nc ? UINT64_MAX : bridge->connect_ns, now = now_ns();
	struct route *route;

	if (bridge->metrics_ns < due && metrics_changed(bridge))
		due = bridge->metrics_ns;
	for (route = bridge->routes; route; route = route->next) {
		if (route->again)
			return 0;
		if (route->due_ns < due)
			due = route->due_ns;
	}
	if (due == UINT64_MAX)
		return -1;
	if (due <= now)
		return 0;
	due = (due - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return due > 3600000 ? 3600000 : due;
}

/* One turn: sleep until there is something to do, and do it. False: there are signals. */
static bool turn(struct bridge *bridge, uint64_t until)
{
	struct epoll_event events[16];
	struct route *route;
	bool ok = true;
	eventfd_t value;
	int timeout = timeout_ms(bridge), i, n;

	if (until != UINT64_MAX) {
		uint64_t now = now_ns();
		uint64_t left = until > now ? (until - now) / NSEC_PER_MSEC + 1 : 0;

		if (timeout < 0 || (uint64_t)timeout > left)
			timeout = left;
	}
	n = epoll_wait(bridge->epoll, events, 16, timeout);
	bridge->now = now_ns();
	for (i = 0; i < n; i++) {
		if (events[i].data.ptr == &bridge->event)
			eventfd_read(bridge->event, &value);
		else if (events[i].data.ptr == &bridge->epoll)
			ok = false;
		else if (events[i].events & (EPOLLHUP | EPOLLERR))
			route_hung_up(events[i].data.ptr);
	}
	connection_run(bridge);
	for (route = bridge->routes; route; route = route->next)
		route_run(route);
	stats_run(bridge);
	if (bridge->now >= bridge->metrics_ns && metrics_changed(bridge)) {
		metrics_write(bridge);
		bridge->metrics_ns = bridge->now + METRICS_PERIOD;
	}
	return ok;
}

/* Stop the routes that leave, after what they have under way has ended. */
static void stop_routes(struct bridge *bridge)
{
	uint64_t until = now_ns() + DRAIN;
	struct route *route;

	while (bridge->up && any_busy(bridge) && now_ns() < until)
		turn(bridge, until);
	for (route = bridge->routes; route; route = route->next) {
		if (route->stopping)
			route_stop(route);
	}
}

static void free_stopped(struct bridge *bridge)
{
	struct route **link = &bridge->routes, *route;

	while ((route = *link)) {
		if (!route->stopping) {
			link = &route->next;
			continue;
		}
		*link = route->next;
		route_free(route);
	}
}

static void reload(struct bridge *bridge, const struct arguments *args)
{
	struct route *route;
	struct conf conf;
	unsigned int i;
	bool ok;

	notify_manager("RELOADING=1");
	if (!read_conf(&conf, args)) {
		say("all goes on as before");
		conf_free(&conf);
		notify_manager("READY=1");
		return;
	}
	if (!same_connection(&conf, &bridge->conf))
		say("only the routes are changed: a new connection needs a restart");
	for (route = bridge->routes; route; route = route->next) {
		if (find_route(&conf, route->conf.text, &i)) {
			struct route_conf known = take_route(&conf, i);

			route_conf_free(&known);
		} else {
			route_leave(route);
		}
	}
	stop_routes(bridge);
	free_stopped(bridge);
	ok = start_routes(bridge, &conf);
	conf_free(&conf);
	if (bridge->nc && bridge->up)
		natsConnection_FlushTimeout(bridge->nc, WRITE_DEADLINE);
	say(ok ? "reloaded" : "reloaded; not all routes could be started");
	notify_manager("READY=1");
}

/* Return whether to go on. */
static bool handle_signals(struct bridge *bridge, const struct arguments *args, int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP:
			reload(bridge, args);
			break;
		case SIGUSR1:
			metrics_write(bridge);
			break;
		default:
			return false;
		}
	}
	return true;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	/* The threads of libnats inherit this. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool prepare(struct bridge *bridge, int *signals)
{
	struct epoll_event event = { .events = EPOLLIN };
	uint64_t random[2] = { 0 };
	time_t now = time(NULL);

	bridge->metrics_ns = 0;
	if (getrandom(random, sizeof(random), 0) < 0)
		return false;
	snprintf(bridge->id, sizeof(bridge->id), "%011" PRIX64 "%011" PRIX64, random[0] >> 20,
		 random[1] >> 20);
	strftime(bridge->started, sizeof(bridge->started), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	*signals = open_signals();
	bridge->epoll = epoll_create1(EPOLL_CLOEXEC);
	bridge->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*signals < 0 || bridge->epoll < 0 || bridge->event < 0)
		return false;
	event.data.ptr = &bridge->event;
	if (epoll_ctl(bridge->epoll, EPOLL_CTL_ADD, bridge->event, &event))
		return false;
	event.data.ptr = &bridge->epoll;
	return !epoll_ctl(bridge->epoll, EPOLL_CTL_ADD, *signals, &event);
}

static int run(struct bridge *bridge, const struct arguments *args)
{
	struct conf conf;
	struct route *route;
	int signals;

	if (!read_conf(&conf, args)) {
		conf_free(&conf);
		return 2;
	}
	bridge->conf = conf;
	if (args->check) {
		conf_free(&bridge->conf);
		return 0;
	}
	/* The signals first: they are for none of the threads of libnats. */
	if (!prepare(bridge, &signals) || nats_Open(-1) != NATS_OK) {
		say("cannot start: %s", strerror(errno));
		return 1;
	}
	if (!start_routes(bridge, &bridge->conf))
		return 1;
	connection_start(bridge);
	for (;;) {
		bool told = !turn(bridge, UINT64_MAX);

		if (!bridge->ready) {
			bridge->ready = true;
			notify_manager("READY=1");
		}
		if (told && !handle_signals(bridge, args, signals))
			break;
	}
	notify_manager("STOPPING=1");
	say("ending");
	for (route = bridge->routes; route; route = route->next)
		route_leave(route);
	stop_routes(bridge);
	connection_stop(bridge);
	/* With what was lost at the end. */
	metrics_write(bridge);
	free_stopped(bridge);
	conf_free(&bridge->conf);
	close(bridge->epoll);
	close(signals);
	nats_CloseAndWait(1000);
	close(bridge->event);
	return 0;
}

static void usage(FILE *to)
{
	fputs("usage: mbox-nats [-t] [-f FILE] [-s URL[,URL]...] [LINE]...\n"
	      "Connect mailboxes and subjects of NATS. LINE is a line of FILE:\n"
	      "  export MAILBOX -> SUBJECT [jetstream]\n"
	      "  import SUBJECT [queue GROUP | durable NAME] -> MAILBOX\n"
	      "  serve MAILBOX <- SUBJECT\n"
	      "  call MAILBOX -> SUBJECT\n"
	      "  -f, --file=FILE   routes and settings, read again after SIGHUP\n"
	      "  -s, --server=URL  where NATS is (nats://127.0.0.1:4222)\n"
	      "  -t, --test        read all this, and end\n"
	      "  -h, --help        this text\n"
	      "  -V, --version     the version\n"
	      "mbox-nats(1) has the rest.\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "server", required_argument, NULL, 's' },
		{ "test", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct arguments args = { .lines = calloc(argc + 1, sizeof(char *)) };
	struct bridge bridge = { 0 };
	int opt, status;

	if (!args.lines)
		return 1;
	while ((opt = getopt_long(argc, argv, "f:s:thV", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			args.file = optarg;
			break;
		case 's':
			if (asprintf(&args.lines[args.count++], "server %s", optarg) < 0)
				return 1;
			break;
		case 't':
			args.check = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			printf("mbox-nats (libmbox) v%s, libnats %s\n", MBOX_VERSION,
			       nats_GetVersion());
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	while (optind < argc)
		args.lines[args.count++] = argv[optind++];
	setlinebuf(stderr);
	status = run(&bridge, &args);
	free(args.lines);
	return status;
}
