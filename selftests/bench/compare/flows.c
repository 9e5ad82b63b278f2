// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages between processes that wait for each other: one way, from several senders,
 * to several receivers, and there and back. The receiver checks each message.
 *
 * On one CPU, whether a wake-up preempts the waker decides how much a message takes, and
 * what decides that is when the processes started: in one run a transport needs half as
 * much again as in another one. So there are measures in which none preempts
 * (SCHED_BATCH), and which are the same in every run.
 */
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../measure.h"
#include "compare.h"

#define PARTIES_MOST 80
#define TRIPS_MOST 20000
#define TRIPS_KEPT (TRIPS_MOST * 10)

/* How much may be in a channel. */
#define CAPACITY 64
#define BYTES_MOST (4U << 20)

/* Of what the processes wait for, one after the other. */
enum gate {
	JOIN,
	WARM,
	RUN,
	NGATES,
};

/**
 * struct scene - what the processes share
 * @pids: all, the senders first
 * @end: when a receiver was done
 * @trips: what each round trip took
 */
static struct scene {
	pid_t pids[PARTIES_MOST];
	uint64_t end[PARTIES_MOST];
	double trips[TRIPS_MOST];
} *scene;

/**
 * struct flow - one run
 * @there: the channel
 * @back: another one, for round trips
 * @shape: its shape
 * @n: messages of each sender
 * @trip: whether they come back
 * @rpc: whether they are calls of libtirpc's
 * @batch: whether they are of SCHED_BATCH
 * @cpus: CPUs for the processes; 0: all
 */
struct flow {
	struct channel there;
	struct channel back;
	struct shape shape;
	unsigned int n;
	bool trip;
	bool rpc;
	bool batch;
	int cpus;
};

static int gates[NGATES][2], ready[2];

/* In a process of the run: without it, the others would wait for ever. */
static void check(bool good, const struct flow *f, const char *what)
{
	if (good)
		return;
	warn("%s: %s, %zu bytes", f->there.transport->name, what, f->shape.size);
	kill(getppid(), SIGTERM);
	_exit(1);
}

static void wait_at(enum gate gate, const struct flow *f)
{
	char byte;

	check(write(ready[1], "", 1) == 1, f, "ready");
	check(read(gates[gate][0], &byte, 1) == 0, f, "gate");
}

static void send_messages(struct flow *f, unsigned int sender, unsigned int n)
{
	const struct transport *t = f->there.transport;
	unsigned int i;

	for (i = 0; i < n; i++) {
		sent.number = (uint64_t)sender << 32 | i;
		check(t->send(&f->there), f, "send");
	}
}

static void recv_messages(struct flow *f, unsigned int n)
{
	const struct transport *t = f->there.transport;
	uint32_t next[PARTIES_MOST] = { 0 };
	unsigned int i, sender;

	for (i = 0; i < n; i++) {
		check(t->recv(&f->there), f, "receive");
		sender = got.number >> 32;
		check(sender < f->shape.senders &&
		      (f->shape.receivers > 1 || (uint32_t)got.number == next[sender]),
		      f, "another message");
		next[sender]++;
	}
}

static void make_trips(struct flow *f, unsigned int n)
{
	const struct transport *t = f->there.transport;
	uint64_t start;
	unsigned int i;

	for (i = 0; i < n; i++) {
		sent.number = i;
		start = now_ns();
		if (t->call)
			check(t->call(&f->there), f, "call");
		else
			check(t->send(&f->there) && t->recv(&f->back), f, "trip");
		scene->trips[i] = now_ns() - start;
		check(got.number == i, f, "another message");
	}
}

static void answer_trips(struct flow *f, unsigned int n)
{
	const struct transport *t = f->there.transport;
	unsigned int i;

	if (t->serve) {
		check(t->serve(&f->there, n), f, "serve");
		return;
	}
	for (i = 0; i < n; i++) {
		check(t->recv(&f->there), f, "receive");
		sent.number = got.number;
		check(t->send(&f->back), f, "answer");
	}
}

static void take_part(struct flow *f, unsigned int i)
{
	bool sender = i < f->shape.senders;
	unsigned int share = sender ? 1 : f->shape.senders, many = f->shape.receivers;
	const struct sched_param param = { 0 };
	unsigned int warm = f->n / 8 + 1, g;
	pid_t other;

	if (f->cpus)
		run_on(sender ? 0 : f->cpus - 1);
	check(!f->batch || !sched_setscheduler(0, SCHED_BATCH, &param), f, "SCHED_BATCH");
	wait_at(JOIN, f);
	if (f->there.transport->join) {
		other = scene->pids[sender ? f->shape.senders : 0];
		check(f->there.transport->join(&f->there, other), f, "join");
		f->back = f->there;
	}

	wait_at(WARM, f);
	for (g = WARM; g <= RUN; g++) {
		unsigned int n = g == WARM ? warm : f->n;

		if (f->trip && sender)
			make_trips(f, n);
		else if (f->trip)
			answer_trips(f, n);
		else if (sender)
			send_messages(f, i, n);
		else
			recv_messages(f, n * share / many);
		if (g == WARM)
			wait_at(RUN, f);
	}
	scene->end[i] = now_ns();
}

static void start_process(struct flow *f, unsigned int i)
{
	pid_t pid = fork();
	int g;

	if (pid < 0)
		err(1, "fork");
	if (pid) {
		scene->pids[i] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (g = 0; g < NGATES; g++)
		close(gates[g][1]);
	take_part(f, i);
	_exit(0);
}

static void wait_for_all(unsigned int n)
{
	char byte;

	while (n--)
		if (read(ready[0], &byte, 1) != 1)
			errx(1, "a process ended early");
}

static void open_gates(void)
{
	int g;

	if (pipe(ready))
		err(1, "pipe");
	for (g = 0; g < NGATES; g++)
		if (pipe(gates[g]))
			err(1, "pipe");
}

/* From the start to the end of the last receiver. */
static uint64_t run(struct flow *f)
{
	unsigned int all = f->shape.senders + f->shape.receivers, i;
	uint64_t start, end = 0;
	int status, g;

	open_gates();
	fflush(stdout);
	for (i = 0; i < all; i++)
		start_process(f, i);
	close(ready[1]);
	for (g = 0; g < NGATES; g++) {
		wait_for_all(all);
		start = now_ns();
		close(gates[g][1]);
	}
	for (i = 0; i < all; i++)
		if (waitpid(scene->pids[i], &status, 0) != scene->pids[i] || status)
			errx(1, "%s: a process ended with %#x", f->there.transport->name, status);
	close(ready[0]);
	for (g = 0; g < NGATES; g++)
		close(gates[g][0]);
	for (i = f->shape.senders; i < all; i++)
		if (scene->end[i] > end)
			end = scene->end[i];

	return end - start;
}

static bool open_flow(struct flow *f, const struct transport *t)
{
	if (!open_channel(&f->there, t, &f->shape))
		return false;
	if (!f->trip || t->call || t->both_ways) {
		f->back = f->there;
		return true;
	}
	if (open_channel(&f->back, t, &f->shape))
		return true;
	t->close(&f->there);

	return false;
}

static void close_flow(struct flow *f)
{
	const struct transport *t = f->there.transport;

	t->close(&f->there);
	if (f->trip && !t->call && !t->both_ways)
		t->close(&f->back);
}

/* Nanoseconds of a message, or negative: not with this transport. */
static double pass_all(const struct transport *t, struct flow *f)
{
	double ns;

	if (!open_flow(f, t))
		return -1;
	ns = run(f);
	close_flow(f);

	return ns / f->n / f->shape.senders;
}

static unsigned int capacity_of(size_t size)
{
	return size * CAPACITY <= BYTES_MOST ? CAPACITY : BYTES_MOST / size;
}

/*
 * How many messages of each sender take about the time of a run. A few messages take mostly
 * the start of the processes, so that their number is only good for a second look.
 */
static unsigned int messages_of(const struct transport *t, struct flow *f)
{
	unsigned int least = f->shape.size > 65536 ? 8 : 64, look;
	double ns;

	f->n = f->shape.size > 65536 ? 4 : 64;
	for (look = 0; look < 2; look++) {
		ns = pass_all(t, f);
		if (ns < 0)
			return 0;
		ns = options.ms * 1e6 / ns / f->shape.senders;
		f->n = ns < least ? least : ns;
		if (f->trip && f->n > TRIPS_MOST)
			f->n = TRIPS_MOST;
	}

	return f->n;
}

static void measure(const char *what, struct flow *f)
{
	static double values[TRANSPORTS_MOST][TRIPS_KEPT];
	struct row row = { what, f->shape.size, f->shape.senders, f->cpus };
	struct result results[TRANSPORTS_MOST] = { 0 };
	unsigned int n[TRANSPORTS_MOST], kept[TRANSPORTS_MOST] = { 0 }, r, i, k;
	uint64_t start = now_ns();
	double clock = 0, ns;

	/* What one look at the clock takes, by many. */
	for (k = 0; k < 1000; k++)
		clock = now_ns();
	clock = (clock - start) / 1000;

	f->shape.capacity = capacity_of(f->shape.size);
	for (i = 0; i < ntransports; i++) {
		n[i] = 0;
		if (!transports[i]->variant && transports[i]->rpc == f->rpc &&
		    (transports[i]->send || f->trip))
			n[i] = messages_of(transports[i], f);
	}
	for (r = 0; r < options.runs; r++) {
		for (i = 0; i < ntransports; i++) {
			if (!n[i])
				continue;
			f->n = n[i];
			ns = pass_all(transports[i], f);
			if (!f->trip)
				values[i][kept[i]++] = ns;
			for (k = 0; f->trip && k < f->n && kept[i] < TRIPS_KEPT; k++)
				values[i][kept[i]++] = scene->trips[k] - clock;
		}
	}
	for (i = 0; i < ntransports; i++)
		if (n[i])
			results[i] = summary(values[i], kept[i]);
	report(&row, results, NULL);
}

static void share_scene(void)
{
	if (scene)
		return;
	scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (scene == MAP_FAILED)
		err(1, "mmap");
}

static void measure_one(const char *what, size_t size, unsigned int senders, unsigned int receivers,
			int cpus)
{
	struct flow f = {
		.shape = { .size = size, .senders = senders, .receivers = receivers },
		.rpc = !strncmp(what, "rpc", strlen("rpc")),
		.batch = strstr(what, "-batch"),
		.cpus = cpus,
	};

	f.trip = f.rpc || !strncmp(what, "trip", strlen("trip"));
	share_scene();
	measure(what, &f);
}

/* By size. With a CPU for each process, none preempts the other anyway. */
static void measure_sizes(const char *what, const size_t *sizes, unsigned int n, int cpus)
{
	unsigned int i;

	if (!wanted(what) || cpus > options.cpus)
		return;
	for (i = 0; i < n; i++)
		measure_one(what, sizes[i], 1, 1, cpus);
}

void measure_trips(void)
{
	static const size_t sizes[] = { 64, 1024, 4096, 65536 };
	static const size_t sizes_rpc[] = { 64, 1024, 4096, 32768 };
	unsigned int n = options.quick ? 1 : sizeof(sizes) / sizeof(sizes[0]);

	measure_sizes("trip-batch", sizes, n, 1);
	measure_sizes("rpc-batch", sizes_rpc, n, 1);
	if (options.quick)
		return;
	measure_sizes("rpc", sizes_rpc, n, 1);
	measure_sizes("trip", sizes, n, 1);
	measure_sizes("trip", sizes, n, 2);
}

static void measure_senders(const char *what, int cpus)
{
	static const unsigned int senders[] = { 4, 16, 64 };
	unsigned int n = options.quick ? 1 : sizeof(senders) / sizeof(senders[0]), i;

	if (!wanted(what))
		return;
	for (i = 0; i < n; i++)
		measure_one(what, 64, senders[i], 1, cpus);
}

void measure_flows(void)
{
	static const size_t sizes[] = { 8, 64, 256, 1024, 4096, 16384, 65536, SIZE_MOST };
	static const size_t few[] = { 64, 4096 };
	unsigned int n = sizeof(sizes) / sizeof(sizes[0]);

	if (options.quick) {
		measure_sizes("one-way-batch", few, sizeof(few) / sizeof(few[0]), 1);
		measure_senders("fan-in-batch", 1);
		return;
	}
	measure_sizes("one-way-batch", sizes, n, 1);
	measure_sizes("one-way", sizes, n, 1);
	measure_sizes("one-way", sizes, n, 2);
	measure_senders("fan-in-batch", 1);
	measure_senders("fan-in", 0);
	if (wanted("many-batch"))
		measure_one("many-batch", 64, 4, 4, 1);
	if (wanted("many"))
		measure_one("many", 64, 4, 4, 0);
}
