// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it takes to make a queue and to close it, without a message: one that has no name,
 * and one whose name is made and removed.
 */
#include <err.h>

#include "../measure.h"
#include "compare.h"

static const struct shape shape = { 8, 2, 1, 1 };

static void make_and_close(void *arg)
{
	const struct transport *t = arg;
	struct channel c = { .transport = t, .len = shape.size };

	if (!t->open(&c, &shape))
		err(1, "%s", t->name);
	t->close(&c);
}

static void make_and_close_named(void *arg)
{
	const struct transport *t = arg;
	struct channel c = { .transport = t, .len = shape.size };

	if (!t->open_named(&c, &shape))
		err(1, "%s", t->name);
	t->close(&c);
}

/* A queue of POSIX has a name, at first. */
static bool can(const struct transport *t, bool named)
{
	if (t->apart || t->rpc || t->kind == MEMORY)
		return false;

	return named ? !!t->open_named : !t->variant && t->open != t->open_named;
}

static void measure_life_of(const char *measure, bool named)
{
	struct row row = { measure, shape.size, 1, 1 };
	struct result results[TRANSPORTS_MOST] = { 0 };
	unsigned int i;

	for (i = 0; i < ntransports; i++) {
		const struct transport *t = transports[i];
		struct channel c;

		/* What cannot be opened is told once. */
		if (!can(t, named) || !open_channel(&c, t, &shape))
			continue;
		t->close(&c);
		results[i].there = true;
		results[i].middle = pair_cost(named ? make_and_close_named : make_and_close,
					      (void *)t);
	}
	report(&row, results, NULL);
}

void measure_life(void)
{
	if (wanted("life"))
		measure_life_of("life", false);
	if (wanted("life-named"))
		measure_life_of("life-named", true);
}
