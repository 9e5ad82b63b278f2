// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings as programs make them in shared memory, for several senders and receivers (D.
 * Vyukov's queue: each slot has the position at which it can be written, or read). They
 * have no rule for a participant that dies or lies. What differs is how they sleep: two
 * eventfds that count messages and free slots, or a futex for each side.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compare.h"

#define LINE 64

/* A side's position, and those of the other side that sleep until it moves. */
struct side {
	uint64_t at __attribute__((aligned(2 * LINE)));
	uint32_t moved __attribute__((aligned(LINE)));
	uint32_t sleepers;
};

/**
 * struct plain - the shared memory
 * @bytes: all of it
 * @mask: number of slots - 1
 * @stride: bytes from slot to slot
 * @tail: where senders are
 * @head: where receivers are
 * @slots: the slots
 */
struct plain {
	size_t bytes;
	uint64_t mask;
	size_t stride;
	struct side tail;
	struct side head;
	unsigned char slots[] __attribute__((aligned(2 * LINE)));
};

/* Written by whoever has the position @turn allows. */
struct slot {
	uint64_t turn;
	unsigned char data[];
};

typedef bool (*try_fn)(struct channel *c);

static struct slot *slot_at(struct plain *p, uint64_t pos)
{
	return (struct slot *)(p->slots + (pos & p->mask) * p->stride);
}

static bool open_memory(struct channel *c, const struct shape *shape)
{
	uint64_t slots = 1, i;
	struct plain *p;
	size_t stride, bytes;

	/* With one, a slot's turns to be read and to be written would be the same. */
	while (slots < shape->capacity || slots < 2)
		slots *= 2;
	stride = (sizeof(struct slot) + shape->size + LINE - 1) / LINE * LINE;
	bytes = sizeof(*p) + slots * stride;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	p->bytes = bytes;
	p->mask = slots - 1;
	p->stride = stride;
	for (i = 0; i < slots; i++)
		slot_at(p, i)->turn = i;
	c->ring = p;

	return true;
}

static void close_memory(struct channel *c)
{
	munmap(c->ring, c->ring->bytes);
}

/* Go on from position @pos, if no other participant was faster. */
static bool claim(uint64_t *side, uint64_t pos)
{
	return __atomic_compare_exchange_n(side, &pos, pos + 1, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

static bool try_send(struct channel *c)
{
	struct plain *p = c->ring;
	uint64_t pos = __atomic_load_n(&p->tail.at, __ATOMIC_RELAXED), turn;
	struct slot *slot;

	for (;;) {
		slot = slot_at(p, pos);
		turn = __atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE);
		if ((int64_t)(turn - pos) < 0)
			return false;
		if (turn == pos && claim(&p->tail.at, pos))
			break;
		pos = __atomic_load_n(&p->tail.at, __ATOMIC_RELAXED);
	}
	memcpy(slot->data, sent.data, c->len);
	__atomic_store_n(&slot->turn, pos + 1, __ATOMIC_RELEASE);

	return true;
}

static bool try_recv(struct channel *c)
{
	struct plain *p = c->ring;
	uint64_t pos = __atomic_load_n(&p->head.at, __ATOMIC_RELAXED), turn;
	struct slot *slot;

	for (;;) {
		slot = slot_at(p, pos);
		turn = __atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE);
		if ((int64_t)(turn - (pos + 1)) < 0)
			return false;
		if (turn == pos + 1 && claim(&p->head.at, pos))
			break;
		pos = __atomic_load_n(&p->head.at, __ATOMIC_RELAXED);
	}
	memcpy(got.data, slot->data, c->len);
	__atomic_store_n(&slot->turn, pos + p->mask + 1, __ATOMIC_RELEASE);

	return true;
}

/* ---- asleep in a futex --------------------------------------------------------- */

static void moved(struct side *side)
{
	/* Pairs with that of sleep_until_moved(): either sees what the other wrote. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&side->sleepers, __ATOMIC_RELAXED))
		return;
	__atomic_fetch_add(&side->moved, 1, __ATOMIC_RELAXED);
	syscall(SYS_futex, &side->moved, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static bool sleep_until_moved(struct channel *c, struct side *side, try_fn try)
{
	bool done;

	__atomic_fetch_add(&side->sleepers, 1, __ATOMIC_RELAXED);
	for (;;) {
		uint32_t before = __atomic_load_n(&side->moved, __ATOMIC_RELAXED);

		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		done = try(c);
		if (done)
			break;
		syscall(SYS_futex, &side->moved, FUTEX_WAIT, before, NULL, NULL, 0);
	}
	__atomic_fetch_sub(&side->sleepers, 1, __ATOMIC_RELAXED);

	return true;
}

static bool send_futex(struct channel *c)
{
	if (!try_send(c))
		sleep_until_moved(c, &c->ring->head, try_send);
	moved(&c->ring->tail);

	return true;
}

static bool recv_futex(struct channel *c)
{
	if (!try_recv(c))
		sleep_until_moved(c, &c->ring->tail, try_recv);
	moved(&c->ring->head);

	return true;
}

/* ---- asleep in eventfds ---------------------------------------------------------- */

static void close_eventfds(struct channel *c)
{
	close_memory(c);
	close(c->fds[0]);
	close(c->fds[1]);
}

static bool open_eventfds(struct channel *c, const struct shape *shape)
{
	if (!open_memory(c, shape))
		return false;
	c->fds[0] = eventfd(0, EFD_SEMAPHORE);
	c->fds[1] = eventfd(c->ring->mask + 1, EFD_SEMAPHORE);
	if (c->fds[0] >= 0 && c->fds[1] >= 0)
		return true;
	close_eventfds(c);

	return false;
}

/* Take one off @take, do it, and add one to @add. */
static bool between(struct channel *c, int take, int add, try_fn try)
{
	uint64_t one = 1;

	if (read(take, &one, sizeof(one)) != sizeof(one))
		return false;
	/* The slot is another's for a moment, if that one was overtaken. */
	while (!try(c))
		sched_yield();

	return write(add, &one, sizeof(one)) == sizeof(one);
}

static bool send_eventfd(struct channel *c)
{
	return between(c, c->fds[1], c->fds[0], try_send);
}

static bool recv_eventfd(struct channel *c)
{
	return between(c, c->fds[0], c->fds[1], try_recv);
}

const struct transport shared_eventfd = {
	.name = "eventfd, memory",
	.kind = MEMORY,
	.open = open_eventfds,
	.close = close_eventfds,
	.send = send_eventfd,
	.recv = recv_eventfd,
};

const struct transport shared_futex = {
	.name = "futex, memory",
	.kind = MEMORY,
	.open = open_memory,
	.close = close_memory,
	.send = send_futex,
	.recv = recv_futex,
};
