// SPDX-License-Identifier: GPL-2.0-only
/*
 * A job: which programs are run, and which of them are kept.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "fuzz.h"

struct shared *shared;
struct jobs *jobs;
unsigned int job;
int net_ns[2];
int inbox_tx[PROCS];
int inbox_rx[PROCS];

static unsigned int loaded;

uint32_t job_user(uint8_t b)
{
	const uint32_t ids[] = {
		0, 1001 + 10 * job, 1002 + 10 * job, 65534 - job,
	};

	return ids[b & 3];
}

/* Namespaces of the job's own, so that it sees no other's mailboxes. */
static void prepare_namespaces(void)
{
	if (unshare(CLONE_NEWNET))
		die("unshare: %s", strerror(errno));
	net_ns[1] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET))
		die("unshare: %s", strerror(errno));
	net_ns[0] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void prepare(void)
{
	int i, pair[2];

	signal(SIGPIPE, SIG_IGN);
	shared = share(sizeof(*shared));
	cover_init();
	check_log_open();
	prepare_namespaces();
	for (i = 0; i < PROCS; i++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
			die("socketpair: %s", strerror(errno));
		inbox_tx[i] = pair[0];
		inbox_rx[i] = pair[1];
	}
	processes_start();
}

static bool time_is_up(void)
{
	uint64_t done = __atomic_load_n(&jobs->programs, __ATOMIC_RELAXED);

	if (options.programs && done >= options.programs)
		return true;
	return options.end_ns && now_ns(CLOCK_MONOTONIC) >= options.end_ns;
}

/* Whether a program still reaches @wanted, in one of a few runs. */
static bool reaches(const struct program *p, const struct cover *wanted,
		    struct cover *c)
{
	unsigned int i;

	for (i = 0; i < 2 && !time_is_up(); i++) {
		memset(c, 0, sizeof(*c));
		run_program(p, c);
		if (cover_contains(c, wanted))
			return true;
	}
	return false;
}

/* Take away every operation that has no part in reaching @wanted. */
static void minimise(struct program *p, const struct cover *wanted,
		     struct cover *c)
{
	struct program shorter;
	struct cover with;
	unsigned int i;

	/* What depends on chance would lose its cause. */
	if (!reaches(p, wanted, &with))
		return;
	for (i = p->n; i-- && p->n > 1 && !time_is_up();) {
		shorter = *p;
		program_remove(&shorter, i);
		if (!reaches(&shorter, wanted, &with))
			continue;
		*p = shorter;
		*c = with;
	}
}

static void try_program(struct program *p)
{
	struct cover c = {}, fresh;
	unsigned int new_edges;

	new_edges = run_program(p, &c);
	if (corpus_claim(&c, &fresh)) {
		minimise(p, &fresh, &c);
		cover_add(&c, &fresh);
		corpus_add(p, &c);
		log_program("K", p);
	} else if (new_edges) {
		corpus_add(p, &c);
	}
}

static void load_program(const char *path, const struct program *p)
{
	struct cover c = {}, fresh;

	if (loaded++ % options.jobs != job || time_is_up())
		return;
	run_program(p, &c);
	corpus_claim(&c, &fresh);
	corpus_add(p, &c);
}

static void replay_program(const char *path, const struct program *p)
{
	struct cover c = {}, fresh;
	unsigned int i;

	if (loaded++ % options.jobs != job)
		return;
	printf("# %s\n", path);
	fflush(stdout);
	for (i = 0; i < options.times; i++)
		run_program(p, &c);
	corpus_claim(&c, &fresh);
	corpus_add(p, &c);
}

static void fuzz(void)
{
	struct program p, other;

	while (!time_is_up()) {
		if (options.blind || !corpus_size() || !below(6)) {
			program_generate(&p);
		} else {
			corpus_pick(&p);
			corpus_pick(&other);
			program_mutate(&p, &other);
		}
		try_program(&p);
	}
}

void job_main(unsigned int number)
{
	unsigned int i;

	job = number;
	prepare();
	random_seed(options.seed + job * 0x632be59bd9b4e019ULL);
	for (i = 0; i < options.nreplays; i++)
		corpus_load(options.replays[i], replay_program);
	if (!options.nreplays) {
		for (i = 0; i < options.nseeds; i++)
			corpus_load(options.seeds[i], load_program);
		fuzz();
	}
	processes_stop();
	run_end();
	exit(0);
}
