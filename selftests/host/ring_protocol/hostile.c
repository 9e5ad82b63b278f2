// SPDX-License-Identifier: GPL-2.0-only
/*
 * A libFuzzer target: the bytes are a peer that writes whatever it likes to all
 * of the shared memory, between the calls, and by a second thread during them.
 * The calls must end, with a result that they have, and touch nothing outside
 * the ring (it lies between pages that fault) and their buffers.
 */
#include <pthread.h>
#include <stdio.h>

#include "random.h"
#include "plain_ring.h"

#define CALLS_MAX	64

static struct memory m;
/* The second thread: 0 it rests, else what its numbers start from. */
static uint64_t scribbling;
static uint64_t scribbled;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/**
 * struct input - what is left of the bytes
 */
struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t byte(struct input *in)
{
	if (!in->size)
		return 0;
	in->size--;
	return *in->data++;
}

/* Near what is there, or anything. */
static uint64_t value(struct input *in, uint64_t now)
{
	uint64_t any = 0;
	unsigned int i;

	switch (byte(in) % 8) {
	case 0:
		for (i = 0; i < 8; i++)
			any = any << 8 | byte(in);
		return any;
	case 1:
		return now + (int8_t)byte(in);
	case 2:
		return now ^ 1ULL << byte(in) % 64;
	case 3:
		return now + ((uint64_t)(int8_t)byte(in) << MBOX_SLOT_POS_SHIFT);
	case 4:
		return __atomic_load_n(m.tail, __ATOMIC_RELAXED) + (int8_t)byte(in);
	case 5:
		return __atomic_load_n(m.head, __ATOMIC_RELAXED) + (int8_t)byte(in);
	case 6:
		return memory_word(__atomic_load_n(m.head, __ATOMIC_RELAXED) + (int8_t)byte(in),
				   byte(in) % 4, byte(in) % 4);
	default:
		return memory_word(__atomic_load_n(m.tail, __ATOMIC_RELAXED) + (int8_t)byte(in),
				   byte(in) % 4, byte(in) % 4);
	}
}

static void scribble(struct input *in)
{
	struct mbox_ring_slot *slot = memory_slot(&m, byte(in));
	uint64_t *at;

	switch (byte(in) % 4) {
	case 0:
		at = (uint64_t *)m.tail;
		break;
	case 1:
		at = (uint64_t *)m.head;
		break;
	case 2:
		at = (uint64_t *)&slot->word;
		break;
	default:
		__atomic_store_n(&slot->len, value(in, slot->len), __ATOMIC_RELAXED);
		return;
	}
	__atomic_store_n(at, value(in, *at), __ATOMIC_RELAXED);
}

static void *scribbler(void *arg)
{
	uint8_t bytes[16];
	struct random rnd;
	unsigned int i;

	for (;;) {
		rnd.state = __atomic_exchange_n(&scribbling, 0, __ATOMIC_ACQUIRE);
		if (!rnd.state) {
			usleep(10);
			continue;
		}
		for (;;) {
			struct input in = { bytes, sizeof(bytes) };

			for (i = 0; i < sizeof(bytes); i++)
				bytes[i] = random_next(&rnd) >> 32;
			scribble(&in);
			if (__atomic_load_n(&scribbling, __ATOMIC_RELAXED) == 1)
				break;
		}
		__atomic_store_n(&scribbling, 0, __ATOMIC_RELEASE);
		__atomic_fetch_add(&scribbled, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void expect(bool good, const char *call, int result)
{
	if (good)
		return;
	fprintf(stderr, "%s: result %d\n", call, result);
	abort();
}

static int sender_result(const char *call, int result)
{
	expect(result == RING_OK || result == RING_FULL || result == RING_BROKEN, call, result);
	return result;
}

static void receive(struct ring *r, uint32_t room, bool trunc)
{
	/* Exactly as much as it may write to. */
	unsigned char *buf = malloc(room);
	uint32_t len = 0;
	int result = ring_receive(r, buf, room, trunc, &len);

	expect(result >= RING_OK && result <= RING_BROKEN && result != RING_FULL,
	       "receive", result);
	expect(result != RING_OK || (len <= m.info.msg_max && (trunc || len <= room)),
	       "receive: length", len);
	expect(result != RING_SHORT || (len <= m.info.msg_max && len > room && !trunc),
	       "receive: too long", len);
	free(buf);
}

static void call(struct ring *tx, struct ring *rx, struct input *in)
{
	unsigned char buf[256] = { 0 };
	const void *payload;
	uint64_t pos;
	uint32_t len;
	int result;

	switch (byte(in) % 12) {
	case 0:
	case 1:
		sender_result("send", ring_send(tx, buf, byte(in) % (m.info.msg_max + 1)));
		break;
	case 2:
		if (sender_result("claim", ring_claim(tx, &pos)) != RING_OK)
			break;
		memset(ring_payload(tx, pos), 1, m.info.msg_max);
		if (ring_claimed(tx, ring_payload(tx, pos), &pos))
			ring_commit(tx, pos, byte(in) % (m.info.msg_max + 1));
		break;
	case 3:
		if (sender_result("claim", ring_claim(tx, &pos)) == RING_OK)
			ring_abandon(tx, pos);
		break;
	case 4:
		sender_result("claim", ring_claim(tx, &pos));
		break;
	case 5:
	case 6:
		receive(rx, byte(in), false);
		break;
	case 7:
		receive(rx, byte(in), true);
		break;
	case 8:
		result = ring_front(rx, &pos, &payload, &len);
		expect(result == RING_OK || result == RING_EMPTY || result == RING_BROKEN,
		       "front", result);
		if (result != RING_OK)
			break;
		expect(len <= m.info.msg_max, "front: length", len);
		memcpy(buf, payload, len);
		ring_release(rx, pos);
		break;
	case 9:
		ring_has_message(rx);
		ring_has_room(tx);
		ring_quiet(rx);
		break;
	case 10:
		ring_recover(m.slots, m.info.slots, m.info.stride, byte(in) % 4);
		break;
	case 11:
		/* Their successors. */
		memory_join(&m, tx, 1);
		memory_join(&m, rx, 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t starts[] = { 0, -1ULL, (1ULL << 50) - 1, 1ULL << 32 };
	struct input in = { data, size };
	uint64_t before = __atomic_load_n(&scribbled, __ATOMIC_ACQUIRE);
	uint8_t kind = byte(&in), sizes = byte(&in);
	static pthread_t thread;
	struct ring tx, rx;
	unsigned int n;

	memory_make(&m, 1 + sizes % 9, 1 + sizes % 200,
		    (kind & 1 ? MBOX_ONE_SENDER : 0) | (kind & 2 ? MBOX_ONE_RECEIVER : 0),
		    starts[kind >> 2 & 3]);
	memory_join(&m, &tx, 1);
	memory_join(&m, &rx, 0);
	if (kind & 16) {
		if (!thread && pthread_create(&thread, NULL, scribbler, NULL))
			abort();
		__atomic_store_n(&scribbling, 2 + kind + sizes * 256ULL + size * 65536,
				 __ATOMIC_RELEASE);
		/* Until it is at it. */
		while (__atomic_load_n(&scribbling, __ATOMIC_ACQUIRE))
			;
	}
	for (n = 0; in.size && n < CALLS_MAX; n++) {
		if (byte(&in) & 1)
			scribble(&in);
		else
			call(&tx, &rx, &in);
	}
	if (kind & 16) {
		__atomic_store_n(&scribbling, 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&scribbled, __ATOMIC_ACQUIRE) == before)
			;
	}
	memory_free(&m);
	return 0;
}
