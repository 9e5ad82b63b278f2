/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rings: the protocol in shared memory, without a system call.
 *
 * The position p = 0, 1, 2, ... of a message is in slot p modulo n. Three kinds
 * of words carry the protocol:
 *
 *   tail	the next position to be claimed. It lags by one while a sender
 *		is between its two steps, or died there; whoever notices moves
 *		it on.
 *   head	the next position to be received.
 *   slot	position, owner, state. It goes from the previous lap's position
 *		(COMMITTED or ABANDONED) to BUSY, and then to COMMITTED or
 *		ABANDONED, of its own.
 *
 * tail - head is between -1 and the capacity at any moment. Each store of one of
 * these words is a release and each load an acquire. So a participant that sees a
 * word sees everything that led to it; the checks for corruption below rest on
 * that. If words that were read one after the other contradict each other, the
 * first is read again. Either it changed (then another participant made progress,
 * and the call tries again) or the memory is corrupt.
 *
 * Each word of shared memory is read once and checked before it is used. Whatever
 * other participants write, and whenever, no access is outside the slots, and no
 * function loops forever.
 *
 * With MBOX_ONE_SENDER, calls that send on one struct ring must not overlap; with
 * MBOX_ONE_RECEIVER, calls that receive. All other calls may overlap, from any
 * number of threads.
 */
#ifndef MBOX_RING_CORE_H
#define MBOX_RING_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <linux/mbox.h>

/* Where there are probes for tracers, probe.h comes first. */
#ifndef RING_PROBE
#define RING_PROBE(name, id, a, b) ((void)0)
#endif

/* What the functions return. */
enum {
	RING_OK = 0,
	/* No room. Also after RING_TRIES attempts in which others were faster. */
	RING_FULL,
	/* Nothing to receive. Also after RING_TRIES attempts, likewise. */
	RING_EMPTY,
	/* The message is longer than the buffer, and still in the ring. */
	RING_SHORT,
	/* The shared memory contradicts the protocol. */
	RING_BROKEN,
};

/*
 * Attempts before a call gives up: only a participant that breaks the protocol can
 * use them up. A receiver gets as many more as there are slots, to pass abandoned
 * ones.
 */
#define RING_TRIES	(1U << 16)

/* Internal: try again. */
#define RING_RETRY	(-1)

#define RING_LINE	64

/*
 * A receiver prefetches the slot so many positions ahead: it is in the cache of the
 * sender's CPU, and the hardware prefetches it too late.
 */
#define RING_AHEAD	8

/*
 * Longer payloads are copied by the C library, which is several times as fast as single
 * words. ThreadSanitizer takes that for a data race.
 */
#ifdef __SANITIZE_THREAD__
#define RING_WORDS_MOST	UINT32_MAX
#else
#define RING_WORDS_MOST	64
#endif

/* Not on the fast path: keep it out of callers. */
#define RING_SLOW static __attribute__((noinline, unused))
/* On the fast path. The compiler takes the notes of a probe for long code. */
#define RING_FAST static inline __attribute__((always_inline))

/* A shared word: aligned on 32-bit machines too, or it would not be atomic. */
typedef __aligned_u64 ring_word;

/**
 * struct ring - one participant's view of a ring
 * @tail: the shared tail; written by senders
 * @head: the shared head; written by receivers
 * @slots: the first slot; written by senders
 * @mask: number of slots - 1
 * @stride: bytes from slot to slot
 * @msg_max: longest message
 * @capacity: most messages
 * @owner: owner number, in its place in a slot's word; 0: not a sender
 * @one_sender: MBOX_ONE_SENDER
 * @one_receiver: MBOX_ONE_RECEIVER
 * @asym_fence: the fence of this side is asymmetric: the kernel executes it here
 *	(as membarrier(2) does) when the other side is about to sleep
 * @head_seen: sender: an earlier value of @head; while it leaves room, the real one
 *	need not be read
 * @id: id of the mailbox, for probes; 0: not known
 * @tail_next: sender, @one_sender: the value of @tail
 * @head_next: receiver, @one_receiver: the value of @head
 */
struct ring {
	ring_word *tail;
	ring_word *head;
	unsigned char *slots;
	uint32_t mask;
	uint32_t stride;
	uint32_t msg_max;
	uint32_t capacity;
	uint32_t owner;
	bool one_sender;
	bool one_receiver;
	bool asym_fence;
	uint64_t id;

	__attribute__((aligned(RING_LINE))) ring_word head_seen;
	ring_word tail_next;

	__attribute__((aligned(RING_LINE))) ring_word head_next;
};

/* Every load of a shared word pairs with every store and CAS of it. */
static inline uint64_t ring__load(const ring_word *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void ring__store(ring_word *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline bool ring__cas(ring_word *word, uint64_t from, uint64_t to)
{
	ring_word expected = from;

	return __atomic_compare_exchange_n(word, &expected, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline struct mbox_ring_slot *ring__slot(const struct ring *r, uint64_t pos)
{
	size_t index = pos & r->mask;

	return (struct mbox_ring_slot *)(r->slots + index * r->stride);
}

static inline uint64_t ring__word(const struct ring *r, uint64_t pos, unsigned int state)
{
	return pos << MBOX_SLOT_POS_SHIFT | r->owner | state;
}

/* Does a word belong to position @pos? */
static inline bool ring__bears(uint64_t word, uint64_t pos)
{
	return !((word ^ pos << MBOX_SLOT_POS_SHIFT) >> MBOX_SLOT_POS_SHIFT);
}

/* The word without its owner: position and state in one comparison. */
static inline uint64_t ring__ownerless(uint64_t word)
{
	return word & ~((uint64_t)MBOX_SLOT_OWNER_MAX << MBOX_SLOT_OWNER_SHIFT);
}

/* Is it a word that a receiver has passed? */
static inline bool ring__done(uint64_t word)
{
	unsigned int state = word & MBOX_SLOT_STATE_MASK;

	return state == MBOX_SLOT_COMMITTED || state == MBOX_SLOT_ABANDONED;
}

static inline void *ring_payload(const struct ring *r, uint64_t pos)
{
	return ring__slot(r, pos) + 1;
}

static inline void ring__prefetch(const struct ring *r, uint64_t pos)
{
	const unsigned char *slot = (const unsigned char *)ring__slot(r, pos + RING_AHEAD);

	__builtin_prefetch(slot);
	__builtin_prefetch(slot + RING_LINE);
}

/*
 * A copy of memory that may change meanwhile. The C library does not look at the bytes,
 * and the compiler does not look past the barriers: it neither moves an access across
 * the copy, nor reads the source again instead of the destination.
 */
static inline void ring__copy_long(void *to, const void *from, uint32_t len)
{
	__asm__ volatile("" : : : "memory");
	memcpy(to, from, len);
	__asm__ volatile("" : : : "memory");
}

/*
 * With several receivers, one may be copying a message that another has received
 * already and that a sender overwrites; it then discards the copy. So the accesses
 * to short payloads are atomic. They are in whole words: the stride leaves room for the
 * last one.
 */
static inline void ring__copy_in(const struct ring *r, void *payload, const void *buf, uint32_t len)
{
	const unsigned char *from = buf;
	unsigned long *to = payload;
	size_t i;

	if (r->one_receiver) {
		memcpy(payload, buf, len);
		return;
	}
	if (len > RING_WORDS_MOST) {
		ring__copy_long(payload, buf, len);
		return;
	}
#pragma GCC unroll 8
	for (i = 0; i < len / sizeof(*to); i++) {
		unsigned long unit;

		memcpy(&unit, from + i * sizeof(unit), sizeof(unit));
		__atomic_store_n(to + i, unit, __ATOMIC_RELAXED);
	}
	from += i * sizeof(*to);
	to += i;
	len %= sizeof(*to);
	if (len) {
		unsigned long last = 0;

		memcpy(&last, from, len);
		__atomic_store_n(to, last, __ATOMIC_RELAXED);
	}
}

static inline void ring__copy_out(void *buf, const void *payload, uint32_t len)
{
	const unsigned long *from = payload;
	unsigned char *to = buf;
	size_t i;

	if (len > RING_WORDS_MOST) {
		ring__copy_long(buf, payload, len);
		return;
	}
#pragma GCC unroll 8
	for (i = 0; i < len / sizeof(*from); i++) {
		unsigned long unit = __atomic_load_n(from + i, __ATOMIC_RELAXED);

		memcpy(to + i * sizeof(unit), &unit, sizeof(unit));
	}
	from += i;
	to += i * sizeof(*from);
	len %= sizeof(*from);
	if (len) {
		unsigned long last = __atomic_load_n(from, __ATOMIC_RELAXED);

		memcpy(to, &last, len);
	}
}

/**
 * ring_init() - start to take part
 * @r: to be filled
 * @info: contents of MBOX_RING_INFO, trusted; its owner number is not 0 for a
 *	sender, after the slots were mapped
 * @tail: MBOX_RING_TAIL
 * @head: MBOX_RING_HEAD
 * @slots: MBOX_RING_SLOTS
 */
static inline void ring_init(struct ring *r, const struct mbox_ring_info *info,
			     void *tail, void *head, void *slots)
{
	memset(r, 0, sizeof(*r));
	r->tail = tail;
	r->head = head;
	r->slots = slots;
	r->mask = info->slots - 1;
	r->stride = info->stride;
	r->msg_max = info->msg_max;
	r->capacity = info->capacity;
	r->owner = info->owner << MBOX_SLOT_OWNER_SHIFT;
	r->one_sender = info->flags & MBOX_ONE_SENDER;
	r->one_receiver = info->flags & MBOX_ONE_RECEIVER;
	r->asym_fence = info->barrier;
	r->head_seen = ring__load(r->head);
	r->head_next = r->head_seen;
	r->tail_next = ring__load(r->tail);
	/*
	 * The sender before this one may have died between its two steps. By CAS:
	 * of several threads that do this, one may be sending already.
	 */
	if (r->one_sender && r->owner &&
	    ring__bears(ring__load(&ring__slot(r, r->tail_next)->word), r->tail_next)) {
		ring__cas(r->tail, r->tail_next, r->tail_next + 1);
		r->tail_next++;
	}
}

RING_SLOW int ring__room_now(struct ring *r, uint64_t t)
{
	/* Pairs with the receivers' store of the head: they have read the slot. */
	uint64_t h = ring__load(r->head);
	int64_t used = t - h;

	ring__store(&r->head_seen, h);
	if (used < 0) {
		/* A receiver took position t: it was claimed. */
		if (used == -1 && !r->one_sender) {
			ring__cas(r->tail, t, t + 1);
			return RING_RETRY;
		}
		return ring__load(r->tail) == t ? RING_BROKEN : RING_RETRY;
	}
	if (used < r->capacity)
		return RING_OK;
	return used == r->capacity ? RING_FULL : RING_BROKEN;
}

/* Is there room for position @t, which was read from the tail? */
static inline int ring__room(struct ring *r, uint64_t t)
{
	/* Pairs with the store above, of another thread. */
	if (t - ring__load(&r->head_seen) < r->capacity)
		return RING_OK;
	return ring__room_now(r, t);
}

/* ring_claim() where there may be other senders. */
RING_FAST int ring__claim_shared(struct ring *r, uint64_t *pos)
{
	struct mbox_ring_slot *slot;
	unsigned int tries;
	uint64_t t, word;
	int result;

	for (tries = 0; tries < RING_TRIES; tries++) {
		t = ring__load(r->tail);
		result = ring__room(r, t);
		if (result == RING_RETRY)
			continue;
		if (result != RING_OK)
			return result;
		slot = ring__slot(r, t);
		word = ring__load(&slot->word);
		if (ring__bears(word, t - r->mask - 1)) {
			/* A receiver is past it, so no sender is filling it. */
			if (!ring__done(word))
				return RING_BROKEN;
			if (ring__cas(&slot->word, word, ring__word(r, t, MBOX_SLOT_BUSY))) {
				ring__cas(r->tail, t, t + 1);
				*pos = t;
				return RING_OK;
			}
		} else if (ring__bears(word, t)) {
			/* Its sender has not moved the tail yet, or died. */
			ring__cas(r->tail, t, t + 1);
		} else if (ring__load(r->tail) == t) {
			return RING_BROKEN;
		}
	}
	return RING_FULL;
}

/**
 * ring_claim() - get a slot to fill
 * @r: the ring; a sender
 * @pos: where to store the position
 *
 * Must be followed by ring_commit() or ring_abandon(): receivers do not get past
 * the slot before.
 *
 * Return: RING_OK, RING_FULL, RING_BROKEN
 */
static inline int ring_claim(struct ring *r, uint64_t *pos)
{
	struct mbox_ring_slot *slot;
	uint64_t t, word;
	int result;

	if (!r->one_sender)
		return ring__claim_shared(r, pos);

	t = r->tail_next;
	result = ring__room(r, t);
	if (result != RING_OK)
		return result == RING_RETRY ? RING_BROKEN : result;
	slot = ring__slot(r, t);
	word = ring__load(&slot->word);
	if (!ring__bears(word, t - r->mask - 1) || !ring__done(word))
		return RING_BROKEN;
	ring__store(&slot->word, ring__word(r, t, MBOX_SLOT_BUSY));
	ring__store(r->tail, t + 1);
	r->tail_next = t + 1;
	*pos = t;
	return RING_OK;
}

/**
 * ring_commit() - let receivers have a claimed slot
 * @r: the ring
 * @pos: from ring_claim()
 * @len: length of the payload, at most msg_max
 */
RING_FAST void ring_commit(struct ring *r, uint64_t pos, uint32_t len)
{
	struct mbox_ring_slot *slot = ring__slot(r, pos);

	/* Before a receiver can have it: a tracer sees the send first. */
	RING_PROBE(ring_send, r->id, pos, len);
	/*
	 * Pairs with the load in ring_receive(): a receiver that sees the length
	 * of a later lap then sees that the head moved on.
	 */
	__atomic_store_n(&slot->len, len, __ATOMIC_RELEASE);
	/* Pairs with the receivers' load of the word: then the payload is there. */
	ring__store(&slot->word, ring__word(r, pos, MBOX_SLOT_COMMITTED));
}

/**
 * ring_abandon() - give a claimed slot back, empty
 * @r: the ring
 * @pos: from ring_claim()
 *
 * The slot is free again when the receivers have passed it.
 */
static inline void ring_abandon(struct ring *r, uint64_t pos)
{
	ring__store(&ring__slot(r, pos)->word, ring__word(r, pos, MBOX_SLOT_ABANDONED));
}

/**
 * ring_claimed() - the position of a slot that was claimed through @r
 * @r: the ring
 * @payload: what may be a result of ring_payload()
 * @pos: where to store the position, modulo 2^50, which is enough for
 *	ring_commit() and ring_abandon()
 *
 * Return: false when @payload is no slot, or not one that @r's owner is filling
 */
static inline bool ring_claimed(const struct ring *r, const void *payload, uint64_t *pos)
{
	uintptr_t offset = (uintptr_t)payload - (uintptr_t)r->slots - sizeof(struct mbox_ring_slot);
	uint64_t word;

	if (offset % r->stride || offset / r->stride > r->mask)
		return false;
	word = ring__load((const ring_word *)(r->slots + offset));
	*pos = word >> MBOX_SLOT_POS_SHIFT;
	return word == ring__word(r, *pos, MBOX_SLOT_BUSY) &&
	       (*pos & r->mask) == offset / r->stride;
}

RING_SLOW int ring__send_shared(struct ring *r, const void *buf, uint32_t len)
{
	uint64_t t;
	int result = ring__claim_shared(r, &t);

	if (result == RING_OK) {
		ring__copy_in(r, ring_payload(r, t), buf, len);
		ring_commit(r, t, len);
	}
	return result;
}

/**
 * ring_send() - send a message
 * @r: the ring; a sender
 * @buf: the message
 * @len: its length, at most msg_max
 *
 * Return: RING_OK, RING_FULL, RING_BROKEN
 */
RING_FAST int ring_send(struct ring *r, const void *buf, uint32_t len)
{
	uint64_t t;
	int result;

	if (!r->one_sender)
		return ring__send_shared(r, buf, len);

	/*
	 * No other sender writes to the slots: the word need not be read and need
	 * not become BUSY. It is stored before the tail, which lags by at most one.
	 */
	t = r->tail_next;
	result = ring__room(r, t);
	if (result != RING_OK)
		return result == RING_RETRY ? RING_BROKEN : result;
	ring__copy_in(r, ring_payload(r, t), buf, len);
	ring_commit(r, t, len);
	ring__store(r->tail, t + 1);
	r->tail_next = t + 1;
	return RING_OK;
}

/* The only receiver is done with position @pos, which is @head_next. */
static inline void ring__pass(struct ring *r, uint64_t pos)
{
	r->head_next = pos + 1;
	/* Pairs with ring__room(): the message was read before. */
	ring__store(r->head, pos + 1);
}

/**
 * ring_release() - receive the message that ring_front() showed
 * @r: the ring; a receiver
 * @pos: from ring_front()
 *
 * Return: false when it was received since, and what was read may be torn
 */
static inline bool ring_release(struct ring *r, uint64_t pos)
{
	/* Pairs with ring__room(): the message was read before. */
	if (!r->one_receiver)
		return ring__cas(r->head, pos, pos + 1);
	/* Received since: the head must not go back. */
	if (r->head_next != pos)
		return false;
	ring__pass(r, pos);
	return true;
}

/**
 * ring_len() - the length of a message that ring_front() showed
 * @r: the ring; a receiver
 * @pos: from ring_front()
 *
 * For a probe: if the message was received since, it may be another one's length.
 */
static inline uint32_t ring_len(const struct ring *r, uint64_t pos)
{
	return __atomic_load_n(&ring__slot(r, pos)->len, __ATOMIC_RELAXED);
}

RING_SLOW int ring__front(struct ring *r, uint64_t *pos, const void **payload, uint32_t *len)
{
	uint32_t tries = RING_TRIES + r->mask;

	while (tries--) {
		uint64_t h = r->one_receiver ? r->head_next : ring__load(r->head);
		const struct mbox_ring_slot *slot = ring__slot(r, h);
		/* Pairs with ring_commit(): the message is there. */
		uint64_t word = ring__load(&slot->word);
		uint64_t here = h << MBOX_SLOT_POS_SHIFT;

		switch (ring__ownerless(word) - here) {
		case MBOX_SLOT_COMMITTED:
			/* Pairs with ring_commit(), of a later lap. */
			*len = __atomic_load_n(&slot->len, __ATOMIC_ACQUIRE);
			if (*len > r->msg_max) {
				if (!r->one_receiver && ring__load(r->head) != h)
					continue;
				return RING_BROKEN;
			}
			*pos = h;
			*payload = slot + 1;
			return RING_OK;
		case MBOX_SLOT_ABANDONED:
			ring_release(r, h);
			continue;
		case MBOX_SLOT_BUSY:
			return RING_EMPTY;
		}
		if (ring__bears(word, h - r->mask - 1))
			return ring__done(word) ? RING_EMPTY : RING_BROKEN;
		if (r->one_receiver || ring__load(r->head) == h)
			return RING_BROKEN;
	}
	return RING_EMPTY;
}

/**
 * ring_front() - look at the next message
 * @r: the ring; a receiver
 * @pos: where to store its position
 * @payload: where to store its place in the ring
 * @len: where to store its length
 *
 * It stays the next message until ring_release(), unless another receiver takes
 * it meanwhile.
 *
 * Return: RING_OK, RING_EMPTY, RING_BROKEN
 */
static inline int ring_front(struct ring *r, uint64_t *pos, const void **payload, uint32_t *len)
{
	if (r->one_receiver) {
		const struct mbox_ring_slot *slot = ring__slot(r, r->head_next);
		/* Pairs with ring_commit(): the message is there. */
		uint64_t word = ring__load(&slot->word);

		ring__prefetch(r, r->head_next);
		word -= r->head_next << MBOX_SLOT_POS_SHIFT;
		if (ring__ownerless(word) == MBOX_SLOT_COMMITTED) {
			uint32_t n = __atomic_load_n(&slot->len, __ATOMIC_RELAXED);

			*len = n;
			*pos = r->head_next;
			*payload = slot + 1;
			return n <= r->msg_max ? RING_OK : RING_BROKEN;
		}
	}
	return ring__front(r, pos, payload, len);
}

RING_SLOW int ring__receive_shared(struct ring *r, void *buf, uint32_t room, bool trunc,
				   uint32_t *len)
{
	uint32_t tries = RING_TRIES + r->mask;

	while (tries--) {
		uint64_t h = ring__load(r->head);
		const struct mbox_ring_slot *slot = ring__slot(r, h);
		/* Pairs with ring_commit(): the message is there. */
		uint64_t word = ring__load(&slot->word);
		uint64_t here = h << MBOX_SLOT_POS_SHIFT;
		uint32_t n;

		switch (ring__ownerless(word) - here) {
		case MBOX_SLOT_COMMITTED:
			/* Pairs with ring_commit(), of a later lap. */
			n = __atomic_load_n(&slot->len, __ATOMIC_ACQUIRE);
			if (n > r->msg_max || (n > room && !trunc)) {
				if (ring__load(r->head) != h)
					continue;
				*len = n;
				return n > r->msg_max ? RING_BROKEN : RING_SHORT;
			}
			ring__copy_out(buf, slot + 1, n < room ? n : room);
			/* Pairs with ring__room(): the message was read before. */
			if (!ring__cas(r->head, h, h + 1))
				continue;
			RING_PROBE(ring_receive, r->id, h, n);
			*len = n;
			return RING_OK;
		case MBOX_SLOT_ABANDONED:
			ring__cas(r->head, h, h + 1);
			continue;
		case MBOX_SLOT_BUSY:
			return RING_EMPTY;
		}
		if (ring__bears(word, h - r->mask - 1))
			return ring__done(word) ? RING_EMPTY : RING_BROKEN;
		if (ring__load(r->head) == h)
			return RING_BROKEN;
	}
	return RING_EMPTY;
}

/**
 * ring_receive() - receive a message
 * @r: the ring; a receiver
 * @buf: where to store the message; overwritten whatever the result
 * @room: size of @buf
 * @trunc: whether a longer message is cut to @room bytes
 * @len: where to store its full length, also of one that is too long
 *
 * Return: RING_OK, RING_EMPTY, RING_SHORT, RING_BROKEN
 */
RING_FAST int ring_receive(struct ring *r, void *buf, uint32_t room, bool trunc, uint32_t *len)
{
	const void *payload;
	uint64_t pos;
	uint32_t n;
	int result;

	if (!r->one_receiver)
		return ring__receive_shared(r, buf, room, trunc, len);

	result = ring_front(r, &pos, &payload, &n);
	if (result != RING_OK)
		return result;
	*len = n;
	if (n > room) {
		if (!trunc)
			return RING_SHORT;
		n = room;
	}
	memcpy(buf, payload, n);
	ring__pass(r, pos);
	RING_PROBE(ring_receive, r->id, pos, *len);
	return RING_OK;
}

/**
 * ring_has_message() - does a receiver find something to do?
 * @r: the ring
 *
 * What the kernel evaluates before it puts a receiver to sleep. Also true when
 * ring_receive() would have abandoned slots to skip, or an error to return.
 */
static inline bool ring_has_message(const struct ring *r)
{
	uint64_t h = ring__load(r->head);
	uint64_t word = ring__load(&ring__slot(r, h)->word);

	if (ring__bears(word, h))
		return (word & MBOX_SLOT_STATE_MASK) != MBOX_SLOT_BUSY;
	return !ring__bears(word, h - r->mask - 1);
}

/**
 * ring_quiet() - is there probably nothing to receive?
 * @r: the ring; a receiver
 *
 * For receivers that look repeatedly. ring_has_message() reads the slot that a sender
 * is about to fill, and each look takes it out of the sender's cache; this reads the
 * tail, which a sender writes when it has filled a slot. It can be true although
 * there is a message, if its sender stopped before it moved the tail: only
 * ring_receive() is exact.
 */
static inline bool ring_quiet(const struct ring *r)
{
	return ring__load(r->tail) == (r->one_receiver ? r->head_next : ring__load(r->head));
}

/**
 * ring_has_room() - does a sender find room?
 * @r: the ring
 *
 * What the kernel evaluates before it puts a sender to sleep. The difference is
 * signed: the tail may lag.
 */
static inline bool ring_has_room(const struct ring *r)
{
	uint64_t t = ring__load(r->tail);

	return (int64_t)(t - ring__load(r->head)) < (int64_t)r->capacity;
}

/**
 * ring_head() - the position that is received next
 * @r: the ring
 */
static inline uint64_t ring_head(const struct ring *r)
{
	return ring__load(r->head);
}

/**
 * ring_tail() - the position that is sent next
 * @r: the ring
 */
static inline uint64_t ring_tail(const struct ring *r)
{
	return ring__load(r->tail);
}

/**
 * ring_progress() - a number that changes with each message sent or received
 * @r: the ring
 */
static inline uint64_t ring_progress(const struct ring *r)
{
	return ring__load(r->tail) + ring__load(r->head);
}

/**
 * ring_fence() - order what was just published before a look at the sleepers
 * @r: the ring
 *
 * Pairs with the kernel's fence between counting a sleeper and evaluating its
 * condition. With an asymmetric fence, the kernel there makes every CPU that runs
 * this participant execute a full one, so here only the compiler must not reorder.
 */
static inline void ring_fence(const struct ring *r)
{
	if (r->asym_fence)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	else
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/**
 * ring_recover() - what the kernel does when a sender's mapping ends
 * @slots: the first slot
 * @n: number of slots
 * @stride: bytes from slot to slot
 * @owner: the sender's owner number
 *
 * Return: the number of slots that were abandoned for it
 */
static inline unsigned int ring_recover(void *slots, uint32_t n, uint32_t stride, uint32_t owner)
{
	const uint64_t mask = (1U << MBOX_SLOT_POS_SHIFT) - 1;
	const uint64_t busy = (uint64_t)owner << MBOX_SLOT_OWNER_SHIFT | MBOX_SLOT_BUSY;
	unsigned int found = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		ring_word *word = (ring_word *)((unsigned char *)slots + (size_t)i * stride);
		uint64_t was = ring__load(word);

		if ((was & mask) == busy)
			found += ring__cas(word, was, was | MBOX_SLOT_ABANDONED);
	}
	return found;
}

#endif /* MBOX_RING_CORE_H */
