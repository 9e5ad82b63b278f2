// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options, jobs, figures; and what is done before and after, when the module is
 * not in use.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fuzz.h"

#define REPORT_SEC	30
#define MAX_JOBS	8

struct options options = { .times = 1, .jobs = 1 };

static uint64_t start_ns;
static pid_t pids[MAX_JOBS];

void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "fuzz: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

/* ---- before and after --------------------------------------------------- */

static void note_coverage(void)
{
	struct cover c = {}, fresh;

	cover_collect(&c);
	corpus_claim(&c, &fresh);
}

static void prepare(void)
{
	corpus_init();
	jobs = share(sizeof(*jobs));
	/* Checks that find something want it. */
	shared = share(sizeof(*shared));
	if (!cover_init())
		printf("no KCOV: without coverage\n");
	check_log_open();
	/* For fail-nth; without this, it spares allocations that may sleep. */
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	if (module_file && cover_available()) {
		module_unload();
		cover_enable(COVER_MAIN);
		module_load();
		cover_disable(COVER_MAIN);
		note_coverage();
	}
	cover_find_module();
	module_params_init();
	tracing_init();
}

static void end_by_signal(int sig)
{
	unsigned int i;

	for (i = 0; i < options.jobs; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	tracing_end();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Mailboxes that only their names hold, and a message in one. */
static void leave_something(void)
{
	struct mbox_create create = {
		.name = (uintptr_t)"left", .name_len = 4,
		.oflags = O_RDWR | O_CLOEXEC,
		.attr.capacity = 4, .attr.msg_max = 64, .attr.perm = 0600,
	};
	int device = open(DEVICE, O_RDWR | O_CLOEXEC);
	struct mbox_msg m = {};
	int fd;

	fd = ioctl(device, MBOX_IOC_CREATE, &create);
	ioctl(fd, MBOX_IOC_SEND, &m);
	create.name_len = 3;
	close(ioctl(device, MBOX_IOC_CREATE, &create));
	close(fd);
	close(device);
}

static void finish(void)
{
	if (module_file && cover_available()) {
		leave_something();
		cover_reset();
		cover_enable(COVER_MAIN);
		module_unload();
		cover_disable(COVER_MAIN);
		note_coverage();
		module_load();
	}
	check_log();
	cover_write(corpus_reached());
	if (shared->broken) {
		printf("FAILED: %s\n", shared->why);
		exit(1);
	}
}

/* ---- jobs --------------------------------------------------------------- */

static void report(const char *word)
{
	double s = (now_ns(CLOCK_MONOTONIC) - start_ns) / 1e9;

	printf("%s: %.0f s, %llu programs (%.1f/s), %llu operations, %llu ioctls (%.0f/s), %u places, corpus %u, %llu mailboxes checked, %llu processes lost\n",
	       word, s, (unsigned long long)jobs->programs, jobs->programs / s,
	       (unsigned long long)jobs->calls,
	       (unsigned long long)jobs->ioctls, jobs->ioctls / s,
	       cover_count(corpus_reached()), corpus_size(),
	       (unsigned long long)jobs->checks,
	       (unsigned long long)jobs->lost);
	fflush(stdout);
}

static void start_jobs(void)
{
	unsigned int i;

	fflush(stdout);
	for (i = 0; i < options.jobs; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork: %s", strerror(errno));
		if (pids[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		job_main(i);
	}
}

/* Returns whether all jobs ended well; the first that does not ends all. */
static bool wait_for_jobs(void)
{
	uint64_t next = start_ns + REPORT_SEC * NSEC;
	unsigned int i, left = options.jobs;
	bool good = true;
	int status;
	pid_t pid;

	while (left) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid > 0) {
			left--;
			good = good && !status;
			for (i = 0; !good && i < options.jobs; i++)
				kill(pids[i], SIGKILL);
			continue;
		}
		usleep(50000);
		if (now_ns(CLOCK_MONOTONIC) >= next) {
			report("so far");
			next += REPORT_SEC * NSEC;
		}
	}
	report("end");
	return good;
}

/* ---- options ------------------------------------------------------------ */

static const char usage[] =
"usage: fuzz [OPTION]...\n"
"Run programs of operations on mailboxes, from several processes at once.\n"
"\n"
"  --minutes N      for how long\n"
"  --programs N     how many\n"
"  --jobs N         so many programs at a time, apart from each other\n"
"  --seed N         where the random numbers begin (default: the clock)\n"
"  --corpus PATH    begin with these programs; may be repeated\n"
"  --blind          programs depend on the seed alone, not on what they reach\n"
"  --steady         the tracepoints are on from the first program to the last, and\n"
"                   perf has none: for machines that may execute an instruction\n"
"                   which another CPU has replaced, as QEMU before 8.1 does\n"
"  --replay PATH    run these programs only: a file, a folder or hexadecimal\n"
"  --times N        each so many times\n"
"  --distill        of all programs, write those that are needed to the log\n"
"  --show PATH      print programs\n"
"  --module FILE    unload the module and load it from there, as that has\n"
"                   coverage too\n"
"  --port           write the log to the debug console of QEMU\n";

enum {
	MINUTES = 1, PROGRAMS, JOBS, SEED, CORPUS, BLIND, STEADY, REPLAY, TIMES,
	DISTILL, SHOW, MODULE, PORT, HELP,
};

static const struct option longopts[] = {
	{ "minutes", required_argument, NULL, MINUTES },
	{ "programs", required_argument, NULL, PROGRAMS },
	{ "jobs", required_argument, NULL, JOBS },
	{ "seed", required_argument, NULL, SEED },
	{ "corpus", required_argument, NULL, CORPUS },
	{ "blind", no_argument, NULL, BLIND },
	{ "steady", no_argument, NULL, STEADY },
	{ "replay", required_argument, NULL, REPLAY },
	{ "times", required_argument, NULL, TIMES },
	{ "distill", no_argument, NULL, DISTILL },
	{ "show", required_argument, NULL, SHOW },
	{ "module", required_argument, NULL, MODULE },
	{ "port", no_argument, NULL, PORT },
	{ "help", no_argument, NULL, HELP },
	{}
};

static void show(const char *path, const struct program *p)
{
	printf("# %s\n", path);
	program_show(p, stdout);
}

static void parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (opt) {
		case MINUTES:
			options.minutes = atof(optarg);
			break;
		case PROGRAMS:
			options.programs = strtoull(optarg, NULL, 0);
			break;
		case JOBS:
			options.jobs = atoi(optarg);
			if (options.jobs < 1 || options.jobs > MAX_JOBS)
				die("1 to %u jobs", MAX_JOBS);
			break;
		case SEED:
			options.seed = strtoull(optarg, NULL, 0);
			break;
		case CORPUS:
			if (options.nseeds < ARRAY_SIZE(options.seeds))
				options.seeds[options.nseeds++] = optarg;
			break;
		case BLIND:
			options.blind = true;
			break;
		case STEADY:
			options.steady = true;
			break;
		case REPLAY:
			if (options.nreplays < ARRAY_SIZE(options.replays))
				options.replays[options.nreplays++] = optarg;
			break;
		case TIMES:
			options.times = atoi(optarg);
			break;
		case DISTILL:
			options.distill = true;
			break;
		case SHOW:
			corpus_load(optarg, show);
			exit(0);
		case MODULE:
			module_file = optarg;
			break;
		case PORT:
			options.port = true;
			break;
		case HELP:
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	bool good;

	options.seed = now_ns(CLOCK_REALTIME);
	parse(argc, argv);
	if (access(DEVICE, R_OK)) {
		printf("no %s\n", DEVICE);
		return 4;
	}
	prepare();
	if (options.port)
		log_to_port();
	start_ns = now_ns(CLOCK_MONOTONIC);
	if (options.minutes)
		options.end_ns = start_ns + options.minutes * 60 * NSEC;
	if (!options.nreplays)
		printf("seed %llu\n", (unsigned long long)options.seed);
	tracing_begin();
	start_jobs();
	signal(SIGINT, end_by_signal);
	signal(SIGTERM, end_by_signal);
	good = wait_for_jobs();
	tracing_end();
	if (!good) {
		cover_write(corpus_reached());
		return 1;
	}
	module_settle();
	if (options.distill)
		corpus_distill();
	finish();
	return 0;
}
