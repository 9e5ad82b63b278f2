// SPDX-License-Identifier: GPL-2.0-only
/*
 * The protocol of a ring in plain memory, step by step: what each call returns
 * and leaves behind, what others find when a participant stopped anywhere, and
 * that no value in shared memory leads a call astray. Needs no module.
 */
#include <errno.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "random.h"
#include "plain_ring.h"

/* A message whose bytes all depend on its number. */
static uint32_t message_len(const struct ring *r, unsigned int n)
{
	return n * 7 % (r->msg_max + 1);
}

static int put(struct ring *r, unsigned int n)
{
	unsigned char buf[512];

	memset(buf, n, sizeof(buf));
	return ring_send(r, buf, message_len(r, n));
}

/* The number of the next message modulo 256, or -result. */
static int take(struct ring *r, unsigned int n)
{
	unsigned char buf[512];
	uint32_t len = ~0U, i;
	int result;

	memset(buf, ~n, sizeof(buf));
	result = ring_receive(r, buf, r->msg_max, false, &len);
	if (result != RING_OK)
		return -result;
	if (len != message_len(r, n))
		return -1000;
	for (i = 0; i < len; i++)
		if (buf[i] != (unsigned char)n)
			return -1001;
	return buf[len] == (unsigned char)~n ? n & 255 : -1002;
}

FIXTURE(ring)
{
	struct memory m;
	struct ring a, b, rx;
};

FIXTURE_VARIANT(ring)
{
	uint32_t flags;
	uint32_t capacity;
	uint32_t msg_max;
	uint64_t start;
};

FIXTURE_VARIANT_ADD(ring, many) {
	.capacity = 4, .msg_max = 64,
};

FIXTURE_VARIANT_ADD(ring, capacity_of_one) {
	.capacity = 1, .msg_max = 1,
};

FIXTURE_VARIANT_ADD(ring, capacity_not_a_power_of_two) {
	.capacity = 5, .msg_max = 200,
};

FIXTURE_VARIANT_ADD(ring, position_in_the_word_wraps) {
	.capacity = 6, .msg_max = 48, .start = (1ULL << 50) - 3,
};

FIXTURE_VARIANT_ADD(ring, position_wraps) {
	.capacity = 3, .msg_max = 49, .start = -2ULL,
};

FIXTURE_VARIANT_ADD(ring, one_sender) {
	.flags = MBOX_ONE_SENDER, .capacity = 5, .msg_max = 64, .start = -3ULL,
};

FIXTURE_VARIANT_ADD(ring, one_receiver) {
	.flags = MBOX_ONE_RECEIVER, .capacity = 5, .msg_max = 64, .start = -3ULL,
};

FIXTURE_VARIANT_ADD(ring, one_of_each) {
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.capacity = 5, .msg_max = 64, .start = (1ULL << 50) - 3,
};

FIXTURE_VARIANT_ADD(ring, one_of_each_and_one_slot) {
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, .capacity = 1, .msg_max = 16,
};

FIXTURE_SETUP(ring)
{
	memory_make(&self->m, variant->capacity, variant->msg_max, variant->flags,
		    variant->start);
	memory_join(&self->m, &self->a, 1);
	memory_join(&self->m, &self->b, MBOX_SLOT_OWNER_MAX);
	memory_join(&self->m, &self->rx, 0);
}

FIXTURE_TEARDOWN(ring)
{
	memory_free(&self->m);
}

TEST_F(ring, fills_to_its_capacity_and_wraps_around)
{
	unsigned int lap, i, sent = 0, received = 0;

	for (lap = 0; lap < 40; lap++) {
		for (i = 0; i < variant->capacity; i++) {
			EXPECT_TRUE(ring_has_room(&self->a));
			ASSERT_EQ(RING_OK, put(&self->a, sent++));
			EXPECT_TRUE(ring_has_message(&self->rx));
		}
		EXPECT_FALSE(ring_has_room(&self->a));
		ASSERT_EQ(RING_FULL, put(&self->a, sent));
		for (i = lap % 2; i < variant->capacity; i++, received++)
			ASSERT_EQ(received & 255, take(&self->rx, received));
		/* With one left in it, too. */
		if (lap % 2) {
			for (i = 1; i < variant->capacity; i++)
				ASSERT_EQ(RING_OK, put(&self->a, sent++));
			ASSERT_EQ(RING_FULL, put(&self->a, sent));
			for (i = 0; i < variant->capacity; i++, received++)
				ASSERT_EQ(received & 255, take(&self->rx, received));
		}
		EXPECT_FALSE(ring_has_message(&self->rx));
		ASSERT_EQ(-RING_EMPTY, take(&self->rx, received));
		ASSERT_EQ(sent, received);
	}
	EXPECT_EQ(variant->start + sent, *self->m.tail);
	EXPECT_EQ(variant->start + sent, *self->m.head);
}

TEST_F(ring, one_message_at_a_time)
{
	unsigned int i;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(RING_OK, put(&self->a, i));
		ASSERT_EQ(i & 255, take(&self->rx, i));
		ASSERT_EQ(-RING_EMPTY, take(&self->rx, i));
	}
}

TEST_F(ring, empty_ring_is_quiet)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		EXPECT_TRUE(ring_quiet(&self->rx));
		ASSERT_EQ(RING_OK, put(&self->a, i));
		EXPECT_FALSE(ring_quiet(&self->rx));
		ASSERT_EQ(i, take(&self->rx, i));
	}
}

TEST_F(ring, slot_is_filled_in_place)
{
	uint32_t len;
	uint64_t pos;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(RING_OK, ring_claim(&self->a, &pos));
		EXPECT_EQ(variant->start + i, pos);
		memset(ring_payload(&self->a, pos), i, variant->msg_max);
		/* Nothing to receive, and a receiver has to sleep. */
		EXPECT_FALSE(ring_has_message(&self->rx));
		ASSERT_EQ(-RING_EMPTY, take(&self->rx, i));
		len = message_len(&self->a, i);
		ring_commit(&self->a, pos, len);
		ASSERT_EQ(i & 255, take(&self->rx, i));
	}
}

TEST_F(ring, claimed_slot_blocks_receivers)
{
	uint64_t first, second;

	if (variant->capacity < 3)
		SKIP(return, "needs three slots");
	ASSERT_EQ(RING_OK, ring_claim(&self->a, &first));
	ASSERT_EQ(RING_OK, ring_claim(&self->a, &second));
	ASSERT_EQ(RING_OK, put(&self->a, 2));
	memset(ring_payload(&self->a, second), 1, variant->msg_max);
	ring_commit(&self->a, second, message_len(&self->a, 1));
	EXPECT_EQ(-RING_EMPTY, take(&self->rx, 0));
	EXPECT_FALSE(ring_has_message(&self->rx));
	memset(ring_payload(&self->a, first), 0, variant->msg_max);
	ring_commit(&self->a, first, message_len(&self->a, 0));
	EXPECT_TRUE(ring_has_message(&self->rx));
	EXPECT_EQ(0, take(&self->rx, 0));
	EXPECT_EQ(1, take(&self->rx, 1));
	EXPECT_EQ(2, take(&self->rx, 2));
	EXPECT_EQ(-RING_EMPTY, take(&self->rx, 3));
}

TEST_F(ring, abandoned_slots_are_skipped)
{
	unsigned int i, lap;
	uint64_t pos;

	for (lap = 0; lap < 10; lap++) {
		for (i = 0; i < variant->capacity; i++) {
			ASSERT_EQ(RING_OK, ring_claim(&self->a, &pos));
			ring_abandon(&self->a, pos);
		}
		EXPECT_EQ(RING_FULL, put(&self->a, 0));
		/* There is something to do, though not to receive. */
		EXPECT_TRUE(ring_has_message(&self->rx));
		EXPECT_EQ(-RING_EMPTY, take(&self->rx, 0));
		EXPECT_FALSE(ring_has_message(&self->rx));
		for (i = 0; i + 1 < variant->capacity; i++) {
			ASSERT_EQ(RING_OK, ring_claim(&self->a, &pos));
			ring_abandon(&self->a, pos);
		}
		ASSERT_EQ(RING_OK, put(&self->a, lap));
		EXPECT_EQ(lap, take(&self->rx, lap));
	}
}

TEST_F(ring, slots_of_the_dead_are_abandoned)
{
	struct mbox_ring_info *info = &self->m.info;
	uint64_t dead, alive;

	if (variant->capacity < 3 || variant->flags & MBOX_ONE_SENDER)
		SKIP(return, "needs three slots and two senders");
	ASSERT_EQ(RING_OK, put(&self->a, 0));
	ASSERT_EQ(RING_OK, ring_claim(&self->a, &dead));
	ASSERT_EQ(RING_OK, ring_claim(&self->b, &alive));
	EXPECT_EQ(1, ring_recover(self->m.slots, info->slots, info->stride, 1));
	EXPECT_EQ(0, ring_recover(self->m.slots, info->slots, info->stride, 1));
	EXPECT_EQ(memory_word(dead, 1, MBOX_SLOT_ABANDONED), memory_slot(&self->m, dead)->word);
	EXPECT_EQ(0, take(&self->rx, 0));
	/* Not those of others. */
	EXPECT_EQ(-RING_EMPTY, take(&self->rx, 1));
	memset(ring_payload(&self->b, alive), 1, variant->msg_max);
	ring_commit(&self->b, alive, message_len(&self->b, 1));
	EXPECT_EQ(1, take(&self->rx, 1));
	ASSERT_EQ(RING_OK, put(&self->b, 2));
	EXPECT_EQ(2, take(&self->rx, 2));
}

/* The sender stopped after it took the word and before it moved the tail. */
TEST_F(ring, others_move_a_lagging_tail)
{
	unsigned int i, n;
	uint64_t t;

	if (variant->flags & MBOX_ONE_SENDER)
		SKIP(return, "needs two senders");
	for (i = n = 0; i < 20; i++) {
		t = *self->m.tail;
		memory_slot(&self->m, t)->word = memory_word(t, 1, MBOX_SLOT_BUSY);
		if (i % 2) {
			/* A receiver first: the head overtakes the tail. */
			EXPECT_EQ(1, ring_recover(self->m.slots, self->m.info.slots,
						  self->m.info.stride, 1));
			EXPECT_EQ(-RING_EMPTY, take(&self->rx, 0));
			EXPECT_EQ(t + 1, *self->m.head);
			EXPECT_TRUE(ring_has_room(&self->b));
		}
		if (variant->capacity == 1 && !(i % 2)) {
			EXPECT_EQ(RING_FULL, put(&self->b, n));
			ring_recover(self->m.slots, self->m.info.slots,
				     self->m.info.stride, 1);
			EXPECT_EQ(-RING_EMPTY, take(&self->rx, 0));
		}
		ASSERT_EQ(RING_OK, put(&self->b, n));
		EXPECT_EQ(t + 2, *self->m.tail);
		ring_recover(self->m.slots, self->m.info.slots, self->m.info.stride, 1);
		EXPECT_EQ(n, take(&self->rx, n));
		n++;
	}
}

TEST_F(ring, the_next_sender_moves_a_lagging_tail)
{
	unsigned int i;
	uint64_t t;

	if (!(variant->flags & MBOX_ONE_SENDER))
		SKIP(return, "needs one sender at a time");
	for (i = 0; i < 20; i++) {
		t = *self->m.tail;
		ASSERT_EQ(RING_OK, put(&self->a, i));
		*self->m.tail = t;
		if (i % 2)
			EXPECT_EQ(i, take(&self->rx, i));
		memory_join(&self->m, &self->a, 1);
		EXPECT_EQ(t + 1, *self->m.tail);
		if (!(i % 2))
			EXPECT_EQ(i, take(&self->rx, i));
		EXPECT_EQ(-RING_EMPTY, take(&self->rx, i));
	}
}

TEST_F(ring, a_short_buffer_leaves_the_message)
{
	unsigned char buf[512], want[512];
	uint32_t len, room;

	memset(want, 0xa5, sizeof(want));
	ASSERT_EQ(RING_OK, ring_send(&self->a, want, variant->msg_max));
	for (room = 0; room < variant->msg_max; room++) {
		len = 0;
		ASSERT_EQ(RING_SHORT, ring_receive(&self->rx, buf, room, false, &len));
		ASSERT_EQ(variant->msg_max, len);
	}
	ASSERT_EQ(RING_OK, ring_receive(&self->rx, buf, variant->msg_max, false, &len));
	ASSERT_EQ(variant->msg_max, len);
	EXPECT_EQ(0, memcmp(buf, want, len));
	EXPECT_FALSE(ring_has_message(&self->rx));
}

TEST_F(ring, message_is_truncated_to_the_buffer)
{
	unsigned char buf[512], want[512];
	uint32_t len, room, i;

	for (room = 0; room < variant->msg_max; room++) {
		memset(want, 'a' + room, sizeof(want));
		ASSERT_EQ(RING_OK, ring_send(&self->a, want, variant->msg_max));
		memset(buf, 0, sizeof(buf));
		ASSERT_EQ(RING_OK, ring_receive(&self->rx, buf, room, true, &len));
		EXPECT_EQ(variant->msg_max, len);
		for (i = 0; i < sizeof(buf); i++)
			ASSERT_EQ(i < room ? want[0] : 0, buf[i]);
		EXPECT_EQ(-RING_EMPTY, take(&self->rx, 0));
	}
}

TEST_F(ring, any_alignment_of_the_buffers)
{
	unsigned char from[640], to[640];
	uint32_t len, n, i;

	for (i = 0; i < sizeof(from); i++)
		from[i] = i * 37;
	for (n = 0; n <= variant->msg_max; n++) {
		for (i = 0; i < 16; i++) {
			ASSERT_EQ(RING_OK, ring_send(&self->a, from + i, n));
			memset(to, 0xee, sizeof(to));
			ASSERT_EQ(RING_OK, ring_receive(&self->rx, to + 15 - i, n, false, &len));
			ASSERT_EQ(n, len);
			ASSERT_EQ(0, memcmp(from + i, to + 15 - i, n));
			ASSERT_EQ(0xee, to[15 - i + n]);
		}
	}
}

TEST_F(ring, peeked_slot_stays_until_it_is_released)
{
	const void *payload, *again;
	uint64_t pos, pos2;
	uint32_t len, i;

	if (!(variant->flags & MBOX_ONE_RECEIVER))
		SKIP(return, "needs one receiver");
	for (i = 1; i < 50; i++) {
		EXPECT_EQ(RING_EMPTY, ring_front(&self->rx, &pos, &payload, &len));
		ASSERT_EQ(RING_OK, put(&self->a, i));
		ASSERT_EQ(RING_OK, ring_front(&self->rx, &pos, &payload, &len));
		EXPECT_EQ(message_len(&self->a, i), len);
		if (len)
			EXPECT_EQ(i, *(const unsigned char *)payload);
		ASSERT_EQ(RING_OK, ring_front(&self->rx, &pos2, &again, &len));
		EXPECT_EQ(pos, pos2);
		EXPECT_TRUE(payload == again);
		EXPECT_EQ(pos, *self->m.head);
		/* The next receiver has it if this one dies. */
		memory_join(&self->m, &self->rx, 0);
		ASSERT_EQ(RING_OK, ring_front(&self->rx, &pos, &payload, &len));
		EXPECT_TRUE(payload == again);
		ring_release(&self->rx, pos);
		EXPECT_EQ(pos + 1, *self->m.head);
	}
}

TEST_F(ring, only_the_owner_finds_a_claimed_slot)
{
	uint64_t pos, found = 0;
	unsigned char *payload;
	int i;

	ASSERT_EQ(RING_OK, put(&self->a, 0));
	ASSERT_EQ(0, take(&self->rx, 0));
	ASSERT_EQ(RING_OK, ring_claim(&self->a, &pos));
	payload = ring_payload(&self->a, pos);
	EXPECT_TRUE(ring_claimed(&self->a, payload, &found));
	EXPECT_EQ(pos << MBOX_SLOT_POS_SHIFT, found << MBOX_SLOT_POS_SHIFT);
	EXPECT_FALSE(ring_claimed(&self->b, payload, &found));
	for (i = 1; i < 4096; i++) {
		EXPECT_FALSE(ring_claimed(&self->a, payload + i, &found));
		EXPECT_FALSE(ring_claimed(&self->a, payload - i, &found));
	}
	EXPECT_FALSE(ring_claimed(&self->a, NULL, &found));
	EXPECT_FALSE(ring_claimed(&self->a, (void *)-1L, &found));
	EXPECT_FALSE(ring_claimed(&self->a, (void *)(1UL << 31), &found));
	ring_claimed(&self->a, payload, &found);
	ring_commit(&self->a, found, 0);
	EXPECT_FALSE(ring_claimed(&self->a, payload, &found));
	EXPECT_EQ(0, take(&self->rx, 0));
}

/* ---- what the protocol cannot have written -------------------------------- */

/* An only sender does not read words that no other participant may write. */
static int find_as_sender(struct ring *r)
{
	uint64_t pos;

	return r->one_sender ? ring_claim(r, &pos) : put(r, 1);
}

#define EXPECT_SENDERS(result)	EXPECT_EQ(result, find_as_sender(&self->a))
#define EXPECT_RECEIVERS(result) EXPECT_EQ(-(result), take(&self->rx, 1))

TEST_F(ring, a_head_too_far_behind_is_corruption)
{
	*self->m.head -= variant->capacity + 1;
	self->a.head_seen = *self->m.head;
	EXPECT_SENDERS(RING_BROKEN);
	*self->m.head -= 1ULL << 62;
	self->a.head_seen = *self->m.head;
	EXPECT_SENDERS(RING_BROKEN);
}

TEST_F(ring, a_head_too_far_ahead_is_corruption)
{
	*self->m.head += 2;
	self->a.head_seen = *self->m.head;
	EXPECT_SENDERS(RING_BROKEN);
	EXPECT_TRUE(ring_has_room(&self->a));
	*self->m.head += 1ULL << 62;
	self->a.head_seen = *self->m.head;
	EXPECT_SENDERS(RING_BROKEN);
}

/* Every state, owner and position but the one that may be there. */
TEST_F(ring, a_foreign_word_is_corruption)
{
	const uint64_t n = self->m.info.slots, pos = variant->start;
	struct mbox_ring_slot *slot = memory_slot(&self->m, pos);
	const uint64_t positions[] = {
		pos - 2 * n, pos - n - 1, pos - n + 1, pos + n, pos + 1, pos - 1,
		pos + (1ULL << 49), pos - n + (1ULL << 49),
	};
	unsigned int i, state, owner;

	for (i = 0; i < ARRAY_SIZE(positions); i++) {
		/* With one slot, the next position but one is the next lap's. */
		if (positions[i] == pos || positions[i] == pos - n)
			continue;
		for (state = 0; state < 4; state++) {
			for (owner = 0; owner <= MBOX_SLOT_OWNER_MAX; owner += 4095) {
				slot->word = memory_word(positions[i], owner, state);
				EXPECT_TRUE(ring_has_message(&self->rx));
				EXPECT_SENDERS(RING_BROKEN);
				EXPECT_RECEIVERS(RING_BROKEN);
			}
		}
	}
	for (state = 0; state < 4; state++) {
		if (state == MBOX_SLOT_COMMITTED || state == MBOX_SLOT_ABANDONED)
			continue;
		slot->word = memory_word(pos - n, 5, state);
		EXPECT_SENDERS(RING_BROKEN);
		EXPECT_RECEIVERS(RING_BROKEN);
	}
	slot->word = memory_word(pos, 5, 0);
	EXPECT_RECEIVERS(RING_BROKEN);
	EXPECT_EQ(pos, *self->m.head);
}

TEST_F(ring, a_length_beyond_msg_max_is_corruption)
{
	const uint32_t lengths[] = { variant->msg_max + 1, 1U << 16, 1U << 31, ~0U };
	unsigned char buf[512];
	unsigned int i;
	uint32_t len;

	ASSERT_EQ(RING_OK, put(&self->a, 1));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		memory_slot(&self->m, variant->start)->len = lengths[i];
		EXPECT_EQ(RING_BROKEN, ring_receive(&self->rx, buf, 0, true, &len));
		EXPECT_EQ(RING_BROKEN, ring_receive(&self->rx, buf, ~0U, false, &len));
		EXPECT_EQ(RING_BROKEN, ring_receive(&self->rx, buf, 0, false, &len));
	}
	EXPECT_EQ(variant->start, *self->m.head);
}

/* All words at random: no result but those that there are, and an end. */
TEST_F(ring, random_memory_ends_every_call)
{
	struct random rnd = { 1 };
	unsigned int round, i;
	unsigned char buf[512];
	const void *payload;
	uint64_t pos;
	uint32_t len;
	int result;

	for (round = 0; round < 20000; round++) {
		uint64_t base = random_next(&rnd) >> random_below(&rnd, 64);

		*self->m.tail = base + random_below(&rnd, 4) - 1;
		*self->m.head = base - random_below(&rnd, 8);
		for (i = 0; i < self->m.info.slots; i++) {
			struct mbox_ring_slot *slot = memory_slot(&self->m, i);

			slot->word = memory_word(base + random_below(&rnd, 12) - 8,
						 random_below(&rnd, 3), random_below(&rnd, 4));
			slot->len = random_next(&rnd) >> random_below(&rnd, 64);
		}
		memory_join(&self->m, &self->a, 1);
		memory_join(&self->m, &self->rx, 0);
		for (i = 0; i < 8; i++) {
			result = ring_send(&self->a, buf, variant->msg_max);
			ASSERT_TRUE(result == RING_OK || result == RING_FULL ||
				    result == RING_BROKEN);
			result = ring_claim(&self->a, &pos);
			ASSERT_TRUE(result == RING_OK || result == RING_FULL ||
				    result == RING_BROKEN);
			result = ring_receive(&self->rx, buf, i, i % 2, &len);
			ASSERT_LE(RING_OK, result);
			ASSERT_NE(RING_FULL, result);
			ASSERT_GE(RING_BROKEN, result);
			if (variant->flags & MBOX_ONE_RECEIVER) {
				result = ring_front(&self->rx, &pos, &payload, &len);
				ASSERT_TRUE(result == RING_OK || result == RING_EMPTY ||
					    result == RING_BROKEN);
				if (result == RING_OK)
					ASSERT_GE(variant->msg_max, len);
			}
			ring_has_message(&self->rx);
			ring_has_room(&self->a);
		}
	}
}

/* The tail that was read belongs to a lap that has passed since. */
TEST(stale_snapshot_is_not_corruption)
{
	struct memory m;
	struct ring a;
	uint64_t h;

	memory_make(&m, 4, 8, 0, 0);
	memory_join(&m, &a, 1);
	/* The head moved on between the two loads: the tail did, too. */
	h = 9;
	*m.head = h;
	*m.tail = h;
	a.head_seen = h;
	EXPECT_EQ(RING_RETRY, ring__room(&a, 3));
	/* But not if it still is what was read. */
	*m.tail = 3;
	EXPECT_EQ(RING_BROKEN, ring__room(&a, 3));
	/* By one: a sender stopped before it moved the tail. */
	*m.tail = 8;
	EXPECT_EQ(RING_RETRY, ring__room(&a, 8));
	EXPECT_EQ(9, *m.tail);
	memory_free(&m);
}

/* Receivers map the tail and the slots for reading, senders the head. */
TEST(each_side_writes_only_its_own_words)
{
	size_t page = sysconf(_SC_PAGESIZE);
	uint32_t flags, len;
	struct memory m;
	struct ring a, rx;
	char c = 'x';
	int i;

	for (flags = 0; flags < 4; flags++) {
		memory_make(&m, 1, 8, (flags & 1 ? MBOX_ONE_SENDER : 0) |
			    (flags & 2 ? MBOX_ONE_RECEIVER : 0), 0);
		memory_join(&m, &a, 1);
		memory_join(&m, &rx, 0);
		for (i = 0; i < 3; i++) {
			ASSERT_EQ(0, mprotect(m.head, page, PROT_READ));
			EXPECT_TRUE(ring_has_room(&a));
			EXPECT_FALSE(ring_has_message(&a));
			EXPECT_EQ(RING_OK, ring_send(&a, &c, 1));
			EXPECT_EQ(RING_FULL, ring_send(&a, &c, 1));
			ASSERT_EQ(0, mprotect(m.head, page, PROT_READ | PROT_WRITE));

			ASSERT_EQ(0, mprotect(m.tail, page, PROT_READ));
			ASSERT_EQ(0, mprotect((void *)((uintptr_t)m.slots & ~(page - 1)),
					      m.info.slots_size, PROT_READ));
			memory_join(&m, &rx, 0);
			EXPECT_TRUE(ring_has_message(&rx));
			EXPECT_EQ(RING_SHORT, ring_receive(&rx, &c, 0, false, &len));
			EXPECT_EQ(RING_OK, ring_receive(&rx, &c, 1, false, &len));
			EXPECT_EQ(RING_EMPTY, ring_receive(&rx, &c, 1, false, &len));
			ASSERT_EQ(0, mprotect(m.tail, page, PROT_READ | PROT_WRITE));
			ASSERT_EQ(0, mprotect((void *)((uintptr_t)m.slots & ~(page - 1)),
					      m.info.slots_size, PROT_READ | PROT_WRITE));
		}
		memory_free(&m);
	}
}

TEST_HARNESS_MAIN
