// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copy or map: nanoseconds in which a message of some size gets from one who sends to one who
 * receives, through the library: by a queue, whose messages the kernel copies; by rings, whose
 * messages are in memory that is mapped; and in a memfd of which a queue carries the
 * descriptor. One process does both in turn, so that none waits. The kinds take turns, batch
 * by batch, and the sizes round by round. What counts is the batch that a tenth of all are
 * faster than: on a busy machine most are disturbed.
 *
 * usage: crossover [BATCHES], of each size in a round
 *
 * The output is a table for gnuplot; what it says about it is in comments.
 */
#include <mbox.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measure.h"

#define SIZE_LARGEST (1U << 20)
/* Less than a user's limit, with both rings and the queue. */
#define RING_BYTES (4U << 20)
#define CAPACITY_MAX 64
#define BATCH_NS 300000
#define BATCHES_MAX 1001
#define ROUNDS 10
#define NSIZES_MAX 32

/**
 * struct place - where messages of one kind and size go through
 * @mb: the mailbox
 * @size: of a message
 * @shared: memory of that size, of MEMFD_KEPT
 */
struct place {
	struct mbox *mb;
	uint32_t size;
	char *shared;
};

static char sent[SIZE_LARGEST], got[SIZE_LARGEST];
/* Whether what arrives is looked at. */
static bool checking;

static void arrived(const char *data, uint32_t size)
{
	if (checking && memcmp(sent, data, size))
		errx(1, "%u bytes: another message arrived", size);
}

static void pair_copied(struct place *p)
{
	if (mbox_send(p->mb, sent, p->size, 0) || mbox_recv(p->mb, got, p->size, 0) != p->size)
		err(1, "%u bytes", p->size);
	arrived(got, p->size);
}

static void send_memory(struct place *p)
{
	int mem = memfd_create("data", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct mbox_msg msg = { .fds = MBOX_PTR(&mem), .nfds = 1 };

	if (mem < 0 || write(mem, sent, p->size) != p->size ||
	    fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) ||
	    mbox_sendmsg(p->mb, &msg))
		err(1, "memfd of %u bytes", p->size);
	close(mem);
}

/* Memory for each message, which the receiver maps and gives up again. */
static void pair_mapped(struct place *p)
{
	int mem = -1;
	struct mbox_msg msg = { .fds = MBOX_PTR(&mem), .nfds = 1 };
	char *data;

	send_memory(p);
	if (mbox_recvmsg(p->mb, &msg) || !(fcntl(mem, F_GET_SEALS) & F_SEAL_SHRINK))
		err(1, "memfd of %u bytes", p->size);
	data = mmap(NULL, p->size, PROT_READ, MAP_SHARED | MAP_POPULATE, mem, 0);
	if (data == MAP_FAILED)
		err(1, "mmap of %u bytes", p->size);
	arrived(data, p->size);
	munmap(data, p->size);
	close(mem);
}

/* Memory that both map for good. The message says that there is something. */
static void pair_kept(struct place *p)
{
	uint32_t len;

	memcpy(p->shared, sent, p->size);
	if (mbox_send(p->mb, &p->size, sizeof(p->size), 0) ||
	    mbox_recv(p->mb, &len, sizeof(len), 0) != sizeof(len))
		err(1, "memfd of %u bytes", p->size);
	arrived(p->shared, len);
}

enum {
	QUEUE,
	RING,
	RING_ONE,
	MEMFD,
	MEMFD_KEPT,
	NKINDS,
};

static const struct {
	const char *name;
	uint32_t mode;
	uint32_t flags;
	void (*pair)(struct place *p);
} kinds[NKINDS] = {
	[QUEUE] = { "queue", MBOX_QUEUE, 0, pair_copied },
	[RING] = { "ring", MBOX_RING, 0, pair_copied },
	[RING_ONE] = { "ring, 1:1", MBOX_RING, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, pair_copied },
	[MEMFD] = { "memfd", MBOX_QUEUE, 0, pair_mapped },
	[MEMFD_KEPT] = { "memfd, kept", MBOX_QUEUE, 0, pair_kept },
};

static struct place create(int kind, uint32_t size)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct place p = { .size = size };
	int mem;

	attr.mode = kinds[kind].mode;
	attr.flags = kinds[kind].flags;
	attr.msg_max = kind < MEMFD ? size : 64;
	attr.capacity = RING_BYTES / (size + 64);
	if (attr.capacity > CAPACITY_MAX)
		attr.capacity = CAPACITY_MAX;
	p.mb = mbox_create(NULL, O_RDWR, &attr);
	if (!p.mb)
		err(1, "%s of %u bytes", kinds[kind].name, size);
	if (kind != MEMFD_KEPT)
		return p;
	/* One process is both sides, so it could do without the second mapping. */
	mem = memfd_create("data", MFD_CLOEXEC);
	if (mem < 0 || ftruncate(mem, size))
		err(1, "memfd of %u bytes", size);
	p.shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, mem, 0);
	if (p.shared == MAP_FAILED)
		err(1, "mmap of %u bytes", size);
	close(mem);

	return p;
}

static void end(struct place *p)
{
	mbox_close(p->mb);
	if (p->shared)
		munmap(p->shared, p->size);
}

static uint64_t batch_ns(int kind, struct place *p, unsigned int pairs)
{
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < pairs; i++)
		kinds[kind].pair(p);

	return now_ns() - start;
}

/* That the bytes arrive, at least once. */
static void check_content(int kind, struct place *p)
{
	memset(got, 0, p->size);
	checking = true;
	batch_ns(kind, p, 1);
	checking = false;
}

/* One more round: @batches of each kind, in turn. */
static void measure(uint32_t size, unsigned int batches, double (*samples)[ROUNDS * BATCHES_MAX],
		    unsigned int at)
{
	unsigned int pairs[NKINDS], i;
	struct place places[NKINDS];
	int k;

	for (k = 0; k < NKINDS; k++) {
		places[k] = create(k, size);
		check_content(k, &places[k]);
		/* Long enough for the clock, short enough to be seldom disturbed. */
		pairs[k] = 1;
		while (batch_ns(k, &places[k], pairs[k]) < BATCH_NS)
			pairs[k] *= 2;
	}
	for (i = at; i < at + batches; i++)
		for (k = 0; k < NKINDS; k++)
			samples[k][i] = (double)batch_ns(k, &places[k], pairs[k]) / pairs[k];
	for (k = 0; k < NKINDS; k++)
		end(&places[k]);
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
		printf(" %12s", kinds[k].name);
	printf(" %10s %10s\n", "queue/ring", "queue/1:1");
	for (s = 0; s < n; s++) {
		printf("%-9u", sizes[s]);
		for (k = 0; k < NKINDS; k++) {
			qsort(samples[s][k], ROUNDS * batches, sizeof(double), compare_double);
			ns[s][k] = samples[s][k][ROUNDS * batches / 10];
			printf(" %12.1f", ns[s][k]);
		}
		printf(" %10.2f %10.2f\n", ns[s][QUEUE] / ns[s][RING],
		       ns[s][QUEUE] / ns[s][RING_ONE]);
	}
	for (k = RING; k < NKINDS; k++)
		report(k, sizes, ns, n);

	return 0;
}
