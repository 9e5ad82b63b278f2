// SPDX-License-Identifier: GPL-2.0-only
/*
 * A send and a receive by one process, by what is there already: messages in the queue,
 * queues, priorities, types.
 */
#include <err.h>

#include "../measure.h"
#include "compare.h"

#define SIZE 8

/**
 * struct crowd - what is there, and what is done with it
 * @channels: the queues
 * @nchannels: how many
 * @n: of priorities or types
 * @seed: of the random numbers
 */
struct crowd {
	struct channel channels[MANY_MOST];
	unsigned int nchannels;
	unsigned int n;
	uint64_t seed;
};

static struct crowd crowd;

/* A linear congruential generator: few instructions, always the same number. */
static unsigned int random_below(unsigned int n)
{
	crowd.seed = crowd.seed * 6364136223846793005ULL + 1442695040888963407ULL;

	return (crowd.seed >> 33) % n;
}

static void check(bool good)
{
	if (!good)
		err(1, "%s: with %u", crowd.channels[0].transport->name, crowd.n);
}

static void pair(void *arg)
{
	struct channel *c = &crowd.channels[random_below(crowd.nchannels)];

	check(c->transport->send(c) && c->transport->recv(c));
}

static void pair_prio(void *arg)
{
	struct channel *c = crowd.channels;

	check(c->transport->send_prio(c, random_below(crowd.n)) && c->transport->recv(c));
}

static void pair_type(void *arg)
{
	struct channel *c = crowd.channels;
	unsigned int type = random_below(crowd.n);

	check(c->transport->send_type(c, type) && c->transport->recv_type(c, type));
}

enum crowding {
	DEPTH,
	QUEUES,
	PRIORITIES,
	TYPES,
};

static const struct {
	const char *name;
	pair_fn pair;
	unsigned int n[7];
} kinds[] = {
	[DEPTH] = { "depth", pair, { 1, 10, 100, 1000, 10000, 100000 } },
	[QUEUES] = { "queues", pair, { 1, 10, 100, 1000, MANY_MOST } },
	[PRIORITIES] = { "priorities", pair_prio, { 1, 10, 100, 1000, MBOX_PRIO_MAX + 1 } },
	[TYPES] = { "types", pair_type, { 1, 10, 100, 1000 } },
};

static bool can(const struct transport *t, enum crowding what)
{
	if (t->apart || t->variant || (options.quick && t != &queue_rw))
		return false;

	return what == DEPTH ? t->kind != MEMORY :
	       what == QUEUES ? t->one_of_many :
	       what == PRIORITIES ? !!t->send_prio : !!t->send_type;
}

/* Room for one more than there are already. */
static bool fill(const struct transport *t, enum crowding what, unsigned int n)
{
	struct shape shape = { SIZE, what == QUEUES ? 2 : n + 1, 1, 1 };
	struct channel *c = crowd.channels;
	unsigned int i;

	crowd.seed = 1;
	crowd.n = n;
	for (i = 0; i < (what == QUEUES ? n : 1); i++) {
		if (!open_channel(&c[i], t, &shape))
			break;
		crowd.nchannels = i + 1;
		/* Used once: it then has memory for the next message. */
		check(t->send(&c[i]) && t->recv(&c[i]));
	}
	if (i < (what == QUEUES ? n : 1))
		return false;
	/* A pair puts one message more there for a moment. */
	for (i = 0; what == DEPTH && i < n - 1; i++)
		check(t->send(c));
	for (i = 0; what == PRIORITIES && i < n; i++)
		check(t->send_prio(c, i));
	for (i = 0; what == TYPES && i < n; i++)
		check(t->send_type(c, i));

	return true;
}

static double sample(pair_fn pair)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < PAIRS; i++)
		pair(NULL);

	return (double)(now_ns() - start) / PAIRS;
}

static struct result measure(const struct transport *t, enum crowding what, unsigned int n)
{
	uint64_t end = now_ns() + options.ms * 10000000ULL;
	double values[RUNS_MOST];
	struct result r = { 0 };
	unsigned int s = 0;

	if (fill(t, what, n)) {
		/* Less often where each takes long. */
		while (s < options.samples && (!s || now_ns() < end))
			values[s++] = sample(kinds[what].pair);
		r = summary(values, s);
		r.late = 0;
	}
	while (crowd.nchannels) {
		crowd.nchannels--;
		t->close(&crowd.channels[crowd.nchannels]);
	}
	return r;
}

static void measure_kind(enum crowding what)
{
	double first[TRANSPORTS_MOST] = { 0 };
	unsigned int k, i;

	for (k = 0; kinds[what].n[k]; k++) {
		struct row row = { kinds[what].name, SIZE, kinds[what].n[k], 1 };
		struct result results[TRANSPORTS_MOST] = { 0 };

		/* The first and the last of them. */
		if (options.quick && k && kinds[what].n[k + 1])
			continue;
		for (i = 0; i < ntransports; i++)
			if (can(transports[i], what))
				results[i] = measure(transports[i], what, kinds[what].n[k]);
		report(&row, results, first);
	}
}

void measure_flat(void)
{
	enum crowding what;

	for (what = DEPTH; what <= TYPES; what++)
		if (wanted(kinds[what].name))
			measure_kind(what);
}
