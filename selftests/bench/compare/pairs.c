// SPDX-License-Identifier: GPL-2.0-only
/*
 * A send and a receive by one process, which never waits: single messages by size, and
 * batches. What has no call for several messages makes as many calls.
 */
#include <err.h>
#include <string.h>

#include "../measure.h"
#include "compare.h"

static bool no_call(struct channel *c)
{
	return true;
}

/* What the loops themselves take. */
static const struct transport nothing = { .name = "nothing", .send = no_call, .recv = no_call };

static void send_some(struct channel *c, unsigned int n)
{
	unsigned int i;

	if (n > 1 && c->transport->send_many) {
		if (!c->transport->send_many(c, n))
			err(1, "%s: send %u of %zu bytes", c->transport->name, n, c->len);
		return;
	}
	for (i = 0; i < n; i++)
		if (!c->transport->send(c))
			err(1, "%s: send %zu bytes", c->transport->name, c->len);
}

static void recv_some(struct channel *c, unsigned int n)
{
	unsigned int i;

	if (n > 1 && c->transport->recv_many) {
		if (!c->transport->recv_many(c, n))
			err(1, "%s: receive %u of %zu bytes", c->transport->name, n, c->len);
		return;
	}
	for (i = 0; i < n; i++)
		if (!c->transport->recv(c))
			err(1, "%s: receive %zu bytes", c->transport->name, c->len);
}

/* Nanoseconds of a message, of @pairs times @n. */
static double sample(struct channel *c, unsigned int pairs, unsigned int n)
{
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < pairs; i++) {
		send_some(c, n);
		recv_some(c, n);
	}
	return (double)(now_ns() - start) / pairs / n;
}

/* That the bytes arrive, and with them whether messages of this size can be sent. */
static bool try_one(struct channel *c)
{
	memset(got.data, 0, c->len);
	if (!c->transport->send(c)) {
		warn("%s: not with %zu bytes", c->transport->name, c->len);
		return false;
	}
	recv_some(c, 1);
	if (memcmp(sent.data, got.data, c->len))
		errx(1, "%s: another message of %zu bytes arrived", c->transport->name, c->len);

	return true;
}

static void measure(const char *what, size_t size, unsigned int n, unsigned int capacity)
{
	static double values[TRANSPORTS_MOST][RUNS_MOST], empty[RUNS_MOST];
	struct shape shape = { size, capacity, 1, 1 };
	/* Most of them without a timer's tick in it. */
	unsigned int pairs = size > 65536 ? 1 : (PAIRS + n - 1) / n, s, i, k;
	unsigned int samples = size > 65536 ? options.samples / 5 + 1 : options.samples;
	struct result results[TRANSPORTS_MOST] = { 0 };
	struct channel channels[TRANSPORTS_MOST], none = { .transport = &nothing, .len = size };
	struct row row = { what, size, n, 1 };
	double overhead;

	for (i = 0; i < ntransports; i++) {
		if (transports[i]->apart || !open_channel(&channels[i], transports[i], &shape))
			continue;
		results[i].there = try_one(&channels[i]);
		if (!results[i].there)
			transports[i]->close(&channels[i]);
		else
			sample(&channels[i], pairs, n);
	}
	for (s = 0; s < samples; s++) {
		empty[s] = sample(&none, pairs, n);
		for (i = 0; i < ntransports; i++)
			if (results[i].there)
				values[i][s] = sample(&channels[i], pairs, n);
	}
	overhead = summary(empty, samples).middle;
	for (i = 0; i < ntransports; i++) {
		if (!results[i].there)
			continue;
		for (k = 0; k < samples; k++)
			values[i][k] -= overhead;
		results[i] = summary(values[i], samples);
		/* Of one message alone it would say how often the timer ticks. */
		results[i].late = 0;
		transports[i]->close(&channels[i]);
	}
	report(&row, results, NULL);
}

void measure_pairs(void)
{
	static const size_t sizes[] = { 8, 64, 256, 1024, 4096, 16384, 65536, SIZE_MOST };
	static const size_t few[] = { 8, 64, 256, 1024, 4096, 65536 };
	static const unsigned int batches[] = { 1, 8, 32, BATCH_MOST };
	static const size_t batch_sizes[] = { 8, 64, 256, 1024, 4096 };
	unsigned int i, k;

	if (wanted("pair") && options.quick)
		for (i = 0; i < sizeof(few) / sizeof(few[0]); i++)
			measure("pair", few[i], 1, 4);
	if (wanted("pair") && !options.quick)
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			measure("pair", sizes[i], 1, 4);
	if (wanted("batch") && options.quick)
		for (k = 0; k < sizeof(batch_sizes) / sizeof(batch_sizes[0]); k++)
			measure("batch", batch_sizes[k], 32, BATCH_MOST);
	/* Of 64 and 1024 bytes. */
	if (wanted("batch") && !options.quick)
		for (k = 1; k < sizeof(batch_sizes) / sizeof(batch_sizes[0]); k += 2)
			for (i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
				measure("batch", batch_sizes[k], batches[i], BATCH_MOST);
}
