// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copy or map: nanoseconds of a send and a receive by message size, through the
 * library: a queue, whose messages the kernel copies, and rings, whose messages
 * are in memory that is mapped. One process does both in turn, so that none
 * waits. The three take turns, batch by batch, and the sizes round by round. What
 * counts is the batch that a tenth of all are faster than: on a busy machine most are
 * disturbed.
 *
 * usage: crossover [BATCHES], of each size in a round
 *
 * The output is a table for gnuplot; what it says about it is in comments.
 */
#include <mbox.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "measure.h"

#define SIZE_LARGEST (1U << 20)
/* Less than a user's limit, with both rings and the queue. */
#define RING_BYTES (4U << 20)
#define CAPACITY_MAX 64
#define BATCH_NS 300000
#define BATCHES_MAX 1001
#define ROUNDS 10
#define NSIZES_MAX 32

enum {
	QUEUE,
	RING,
	RING_ONE,
	NKINDS,
};

static const struct {
	const char *name;
	uint32_t mode;
	uint32_t flags;
} kinds[NKINDS] = {
	[QUEUE] = { "queue", MBOX_QUEUE, 0 },
	[RING] = { "ring", MBOX_RING, 0 },
	[RING_ONE] = { "ring, one and one", MBOX_RING, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER },
};

static char sent[SIZE_LARGEST], got[SIZE_LARGEST];

static struct mbox *create(int kind, uint32_t size)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;

	attr.mode = kinds[kind].mode;
	attr.flags = kinds[kind].flags;
	attr.msg_max = size;
	attr.capacity = RING_BYTES / (size + 64);
	if (attr.capacity > CAPACITY_MAX)
		attr.capacity = CAPACITY_MAX;
	mb = mbox_create(NULL, O_RDWR, &attr);
	if (!mb)
		err(1, "%s of %u bytes", kinds[kind].name, size);

	return mb;
}

static uint64_t batch_ns(struct mbox *mb, uint32_t size, unsigned int pairs)
{
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < pairs; i++)
		if (mbox_send(mb, sent, size, 0) || mbox_recv(mb, got, size, 0) != size)
			err(1, "%u bytes", size);

	return now_ns() - start;
}

/* That the bytes arrive, at least once. */
static void check_content(struct mbox *mb, uint32_t size)
{
	memset(got, 0, size);
	batch_ns(mb, size, 1);
	if (memcmp(sent, got, size))
		errx(1, "%u bytes: another message arrived", size);
}

/* One more round: @batches of each kind, in turn. */
static void measure(uint32_t size, unsigned int batches, double (*samples)[ROUNDS * BATCHES_MAX],
		    unsigned int at)
{
	unsigned int pairs[NKINDS], i;
	struct mbox *mb[NKINDS];
	int k;

	for (k = 0; k < NKINDS; k++) {
		mb[k] = create(k, size);
		check_content(mb[k], size);
		/* Long enough for the clock, short enough to be seldom disturbed. */
		pairs[k] = 1;
		while (batch_ns(mb[k], size, pairs[k]) < BATCH_NS)
			pairs[k] *= 2;
	}
	for (i = at; i < at + batches; i++)
		for (k = 0; k < NKINDS; k++)
			samples[k][i] = (double)batch_ns(mb[k], size, pairs[k]) / pairs[k];
	for (k = 0; k < NKINDS; k++)
		mbox_close(mb[k]);
}

/* Where the difference to the queue is positive and then negative, or the reverse. */
static void report(int kind, const uint32_t *sizes, double ns[][NKINDS], int n)
{
	double here, next;
	bool any = false;
	int i;

	for (i = 0; i + 1 < n; i++) {
		here = ns[i][kind] - ns[i][QUEUE];
		next = ns[i + 1][kind] - ns[i + 1][QUEUE];
		if (here * next > 0)
			continue;
		any = true;
		printf("# %s: %s than the queue from about %.0f bytes on\n", kinds[kind].name,
		       next < 0 ? "faster" : "slower",
		       sizes[i] + (sizes[i + 1] - sizes[i]) * here / (here - next));
	}
	if (!any)
		printf("# %s: %s than the queue at every size\n", kinds[kind].name,
		       ns[0][kind] < ns[0][QUEUE] ? "faster" : "slower");
}

int main(int argc, char **argv)
{
	unsigned int batches = argc > 1 ? atoi(argv[1]) : 31, round;
	static double samples[NSIZES_MAX][NKINDS][ROUNDS * BATCHES_MAX];
	static double ns[NSIZES_MAX][NKINDS];
	uint32_t sizes[NSIZES_MAX];
	int n = 0, s, k;
	size_t i;

	if (batches < 1 || batches > BATCHES_MAX)
		errx(2, "usage: crossover [BATCHES]");
	for (i = 0; i < sizeof(sent); i++)
		sent[i] = i * 31 + 7;

	for (sizes[n] = 8; sizes[n] < SIZE_LARGEST; n++)
		sizes[n + 1] = 2 * sizes[n];
	n++;

	for (round = 0; round < ROUNDS; round++)
		for (s = 0; s < n; s++)
			measure(sizes[s], batches, samples[s], round * batches);

	printf("# nanoseconds of a send and a receive by one process\n");
	printf("%-9s", "# bytes");
	for (k = 0; k < NKINDS; k++)
		printf(" %18s", kinds[k].name);
	printf(" %12s %12s\n", "queue/ring", "queue/1:1");
	for (s = 0; s < n; s++) {
		printf("%-9u", sizes[s]);
		for (k = 0; k < NKINDS; k++) {
			qsort(samples[s][k], ROUNDS * batches, sizeof(double), compare_double);
			ns[s][k] = samples[s][k][ROUNDS * batches / 10];
			printf(" %18.1f", ns[s][k]);
		}
		printf(" %12.2f %12.2f\n", ns[s][QUEUE] / ns[s][RING],
		       ns[s][QUEUE] / ns[s][RING_ONE]);
	}
	for (k = RING; k < NKINDS; k++)
		report(k, sizes, ns, n);

	return 0;
}
