// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions of a send and a receive that never wait, by the number of
 * messages in the mailbox and by the number of mailboxes. Exits 1 if they grow.
 *
 * See measure.h for where to run it.
 *
 * "Grow" means by more than 30 % between the reference and the largest number.
 * Messages of many priorities are kept in order by their priority, and a
 * balanced tree of at most 32768 priorities is about 7 levels deeper with
 * 100,000 messages than with 100: some 10 instructions a level, well below the
 * tolerance. A cost that grew with the number itself would be 1000 times as
 * high, and one that grew with its square root 30 times.
 */
#include <mbox.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "measure.h"

#define TOLERANCE 1.3
#define MAILBOXES_MAX 10000

static const unsigned int depths[] = { 1, 10, 100, 1000, 10000, 100000 };
static const unsigned int counts[] = { 1, 10, 100, 1000, MAILBOXES_MAX };

#define NDEPTHS (sizeof(depths) / sizeof(depths[0]))
#define NCOUNTS (sizeof(counts) / sizeof(counts[0]))
/* depths[] of 100: a mailbox in ordinary use. */
#define REFERENCE 2

/**
 * struct bench - mailboxes and what goes through them
 * @boxes: the mailboxes
 * @n: how many
 * @many_prios: each message gets a random priority
 * @seed: of the random numbers
 */
struct bench {
	struct mbox *boxes[MAILBOXES_MAX];
	unsigned int n;
	int many_prios;
	uint64_t seed;
};

/* A linear congruential generator: few instructions, always the same number. */
static uint32_t random_u32(struct bench *b)
{
	b->seed = b->seed * 6364136223846793005ULL + 1442695040888963407ULL;

	return b->seed >> 33;
}

static void send_one(struct bench *b, struct mbox *mb)
{
	struct mbox_msg msg = { 0 };
	uint64_t data = 0;

	msg.buf = (uintptr_t)&data;
	msg.len = sizeof(data);
	/* Drawn in either case, so that both cost the same here. */
	msg.prio = random_u32(b) & MBOX_PRIO_MAX;
	if (!b->many_prios)
		msg.prio = 0;
	if (mbox_sendmsg(mb, &msg) < 0)
		err(1, "mbox_sendmsg");
}

static inline void recv_one(struct mbox *mb)
{
	uint64_t data;

	if (mbox_recv(mb, &data, sizeof(data), 0) != sizeof(data))
		err(1, "mbox_recv");
}

static void pair(void *arg)
{
	struct bench *b = arg;
	struct mbox *mb;

	mb = b->boxes[random_u32(b) % b->n];
	send_one(b, mb);
	recv_one(mb);
}

static struct mbox *create(void)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;

	attr.capacity = MBOX_UNBOUNDED;
	attr.msg_max = sizeof(uint64_t);
	mb = mbox_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	if (!mb)
		err(1, "mbox_create");

	return mb;
}

static int judge(const char *what, double reference, double last)
{
	double ratio = last / reference;

	printf("%s: ratio %.3f, at most %.1f: %s\n", what, ratio, TOLERANCE,
	       ratio <= TOLERANCE ? "ok" : "too much");

	return ratio > TOLERANCE;
}

static int measure_depths(struct bench *b, int many_prios)
{
	double cost, reference = 0;
	unsigned int filled = 0;
	size_t i;

	b->many_prios = many_prios;
	b->seed = 1;
	b->boxes[0] = create();
	b->n = 1;

	printf("%s\n%10s %12s\n", many_prios ? "random priorities" : "one priority", "queued",
	       "instructions");
	for (i = 0; i < NDEPTHS; i++) {
		/* A pair puts one message more there for a moment. */
		for (; filled < depths[i] - 1; filled++)
			send_one(b, b->boxes[0]);
		cost = pair_cost(pair, b);
		if (i == REFERENCE)
			reference = cost;
		printf("%10u %12.1f\n", depths[i], cost);
	}
	mbox_close(b->boxes[0]);

	return judge("depth", reference, cost);
}

static int measure_mailboxes(struct bench *b)
{
	double cost, reference = 0;
	size_t i;

	b->many_prios = 0;
	b->seed = 1;
	b->n = 0;

	printf("number of mailboxes\n%10s %12s\n", "mailboxes", "instructions");
	for (i = 0; i < NCOUNTS; i++) {
		/* Each is used once before: it then has memory for the next message. */
		while (b->n < counts[i]) {
			b->boxes[b->n] = create();
			send_one(b, b->boxes[b->n]);
			recv_one(b->boxes[b->n++]);
		}
		cost = pair_cost(pair, b);
		if (!i)
			reference = cost;
		printf("%10u %12.1f\n", counts[i], cost);
	}
	while (b->n)
		mbox_close(b->boxes[--b->n]);

	return judge("mailboxes", reference, cost);
}

int main(void)
{
	struct rlimit limit = { MAILBOXES_MAX + 100, MAILBOXES_MAX + 100 };
	static struct bench b;
	int status = 0;

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "room for %d descriptors", MAILBOXES_MAX);

	status |= measure_depths(&b, 0);
	status |= measure_depths(&b, 1);
	status |= measure_mailboxes(&b);

	return status;
}
