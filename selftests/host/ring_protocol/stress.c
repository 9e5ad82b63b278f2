// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: stress [-n MESSAGES] [-s SEED]
 *
 * Threads send and receive through one ring, every way there is: whole messages,
 * slots that are filled in place, slots that are given up. Each message arrives
 * once, whole, and a sender's in their order. To be built with a sanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "random.h"
#include "plain_ring.h"

#define PARTIES_MAX	8
#define MSG_MAX		120

/* What is in a message; the rest is made of it. */
struct head {
	uint32_t sender;
	uint32_t number;
};

static struct memory m;
static unsigned int senders, receivers, messages, seed;
/* A bit for each message that arrived. */
static uint64_t *arrived[PARTIES_MAX];
static unsigned int count;

static uint32_t message_make(unsigned char *buf, struct head h)
{
	uint32_t len = sizeof(h) + (h.number * 31 + h.sender) % (MSG_MAX - sizeof(h) + 1), i;

	memcpy(buf, &h, sizeof(h));
	for (i = sizeof(h); i < len; i++)
		buf[i] = h.sender * 17 + h.number * 3 + i;
	return len;
}

static void message_check(const unsigned char *buf, uint32_t len, uint32_t *last)
{
	unsigned char want[MSG_MAX];
	struct head h;
	uint64_t bit;

	if (len < sizeof(h))
		errx(1, "a message of %u bytes", len);
	memcpy(&h, buf, sizeof(h));
	if (h.sender >= senders || h.number >= messages)
		errx(1, "message %u of sender %u", h.number, h.sender);
	if (message_make(want, h) != len || memcmp(want, buf, len))
		errx(1, "message %u of sender %u is torn", h.number, h.sender);
	/* What one receiver takes is in the order of the ring. */
	if (h.number + 1 <= last[h.sender])
		errx(1, "message %u of sender %u after %u", h.number, h.sender, last[h.sender] - 1);
	last[h.sender] = h.number + 1;
	bit = 1ULL << h.number % 64;
	if (__atomic_fetch_or(&arrived[h.sender][h.number / 64], bit, __ATOMIC_RELAXED) & bit)
		errx(1, "message %u of sender %u twice", h.number, h.sender);
	__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
}

static void *sender(void *arg)
{
	uint32_t id = (uintptr_t)arg, len, i;
	struct random rnd = { seed + id };
	unsigned char buf[MSG_MAX];
	struct ring r;
	uint64_t pos;
	int result;

	memory_join(&m, &r, id + 1);
	for (i = 0; i < messages; ) {
		len = message_make(buf, (struct head){ id, i });
		if (one_in(&rnd, 4)) {
			result = ring_claim(&r, &pos);
			if (result == RING_OK && one_in(&rnd, 3)) {
				ring_abandon(&r, pos);
				continue;
			}
			if (result == RING_OK) {
				if (!ring_claimed(&r, ring_payload(&r, pos), &pos))
					errx(1, "a claimed slot is not");
				ring__copy_in(&r, ring_payload(&r, pos), buf, len);
				ring_commit(&r, pos, len);
			}
		} else {
			result = ring_send(&r, buf, len);
		}
		if (result == RING_OK)
			i++;
		else if (result == RING_FULL)
			sched_yield();
		else
			errx(1, "send: result %d", result);
	}
	return NULL;
}

static void *receiver(void *arg)
{
	struct random rnd = { seed + 100 + (uintptr_t)arg };
	uint32_t last[PARTIES_MAX] = { 0 }, len;
	unsigned char buf[MSG_MAX];
	const void *payload;
	struct ring r;
	uint64_t pos;
	int result;

	memory_join(&m, &r, 0);
	while (__atomic_load_n(&count, __ATOMIC_RELAXED) < senders * messages) {
		if (one_in(&rnd, 4)) {
			result = ring_front(&r, &pos, &payload, &len);
			if (result == RING_OK) {
				ring__copy_out(buf, payload, len);
				if (!ring_release(&r, pos))
					continue;
			}
		} else {
			result = ring_receive(&r, buf, sizeof(buf) / (one_in(&rnd, 4) ? 4 : 1),
					      false, &len);
			if (result == RING_SHORT) {
				if (len <= sizeof(buf) / 4 || len > sizeof(buf))
					errx(1, "too short for %u bytes", len);
				continue;
			}
		}
		if (result == RING_OK)
			message_check(buf, len, last);
		else if (result == RING_EMPTY)
			sched_yield();
		else
			errx(1, "receive: result %d", result);
	}
	return NULL;
}

static void run(uint32_t flags, unsigned int m_senders, unsigned int n_receivers,
		uint32_t capacity, uint64_t start)
{
	pthread_t threads[2 * PARTIES_MAX];
	unsigned int i;

	senders = m_senders;
	receivers = n_receivers;
	count = 0;
	memory_make(&m, capacity, MSG_MAX, flags, start);
	for (i = 0; i < senders; i++)
		arrived[i] = calloc(messages / 64 + 1, sizeof(uint64_t));
	for (i = 0; i < senders + receivers; i++)
		if (pthread_create(&threads[i], NULL, i < senders ? sender : receiver,
				   (void *)(uintptr_t)(i < senders ? i : i - senders)))
			errx(1, "pthread_create");
	for (i = 0; i < senders + receivers; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < senders; i++)
		free(arrived[i]);
	if (count != senders * messages || *m.tail != *m.head)
		errx(1, "%u of %u messages, %llu left", count, senders * messages,
		     (unsigned long long)(*m.tail - *m.head));
	memory_free(&m);
	printf("ok: %u x %u, capacity %u: %u messages\n", senders, receivers, capacity, count);
}

int main(int argc, char **argv)
{
	const uint32_t one = MBOX_ONE_SENDER, alone = MBOX_ONE_RECEIVER;
	int c;

	messages = 20000;
	seed = time(NULL);
	while ((c = getopt(argc, argv, "n:s:")) != -1) {
		switch (c) {
		case 'n':
			messages = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %u\n", seed);
	run(one | alone, 1, 1, 1, 0);
	run(one | alone, 1, 1, 64, -100ULL);
	run(one, 1, 3, 5, 0);
	run(one, 1, 4, 16, (1ULL << 50) - 1000);
	run(alone, 3, 1, 5, 0);
	run(alone, 4, 1, 16, (1ULL << 50) - 1000);
	run(0, 1, 1, 1, 0);
	run(0, 2, 2, 1, 0);
	run(0, 2, 2, 2, -1000ULL);
	run(0, 3, 3, 3, 0);
	run(0, 4, 4, 16, (1ULL << 50) - 1000);
	run(0, 8, 2, 64, 0);
	run(0, 2, 8, 7, 0);
	return 0;
}
