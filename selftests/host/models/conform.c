// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether ring_core.h does what the model does: its functions run as coroutines
 * that can be interrupted before each access to shared memory. All schedules with
 * at most a given number of interruptions are tried, one after the other, each
 * from the beginning, and in each the same properties hold as in slots.pml. An
 * interruption may also be the end of the participant.
 *
 * Each access is a step in itself, so this is about interleavings, not about
 * memory orders.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static void step(const volatile void *where);
static bool cas_fails(const volatile void *where);
static void written(volatile void *where);
static void *copy(void *to, const void *from, size_t len);

/* The accesses of ring_core.h, interrupted. The orders do not matter here. */
#define __atomic_load_n(p, order) \
	({ \
		const volatile __typeof__(*(p)) *at = (p); \
		step(at); \
		*at; \
	})
#define __atomic_store_n(p, v, order) \
	({ \
		volatile __typeof__(*(p)) *at = (p); \
		__typeof__(*(p)) new_value = (v); \
		step(at); \
		*at = new_value; \
		written(at); \
	})
#define __atomic_compare_exchange_n(p, e, v, weak, ok, no) \
	({ \
		volatile __typeof__(*(p)) *at = (p); \
		bool done; \
		step(at); \
		done = *at == *(e) || !cas_fails(at); \
		if (done) { \
			*at = (v); \
			written(at); \
		} else { \
			*(e) = *at; \
		} \
		done; \
	})
#define memcpy(to, from, len) copy(to, from, len)
#include "ring_core.h"
#undef memcpy

#define SENDERS_MAX 2
#define PARTIES_MAX 4
#define SLOTS_MAX 4
#define STRIDE 64
#define MSG_MAX 24
#define MESSAGES_MAX 12
#define STACK (64 * 1024)
/* Far more than any schedule has, if it comes to an end. */
#define STEPS_MAX 4000
/* Positions in words wrap around during each run. */
#define START ((1ULL << 50) - 3)

static struct {
	unsigned int capacity;
	unsigned int slots;
	unsigned int flags;
	unsigned int senders;
	unsigned int receivers;
	unsigned int count[SENDERS_MAX];
	unsigned int interruptions;
	unsigned int deaths;
	bool in_place;
	const char *defect;
} opt = {
	.capacity = 2,
	.senders = 2,
	.receivers = 2,
	.count = { 2, 1 },
	.interruptions = 2,
	.defect = "",
};

/* The ring. */
static struct {
	__aligned_u64 tail;
	__aligned_u64 head;
	unsigned char slots[SLOTS_MAX * STRIDE] __attribute__((aligned(64)));
} shared;

enum state { READY, NO_ROOM, NO_MESSAGE, DONE };

static struct party {
	ucontext_t context;
	enum state state;
	struct ring ring;
	/* The message that is being sent, and what is left to send. */
	unsigned int message;
	unsigned int last;
	/* What was true at some moment of the present call. */
	bool saw_full;
	bool saw_empty;
} parties[PARTIES_MAX];

static unsigned char stacks[PARTIES_MAX][STACK] __attribute__((aligned(64)));
static ucontext_t scheduler;
static struct party *running;
static unsigned int n_parties, ran_last;

/* What no participant knows: which message is where, and its fate. */
static unsigned int in_slot[SLOTS_MAX];
static bool committed[MESSAGES_MAX];
static bool taken[MESSAGES_MAX];

/* ---- schedules ----------------------------------------------------------- */

/* Choices of this schedule: what was chosen, out of how many. */
static struct {
	unsigned char chosen;
	unsigned char of;
} choices[STEPS_MAX];
static unsigned int n_choices, n_fixed, steps, interrupted, died;
static unsigned long schedules;

static void fail(const char *why)
{
	unsigned int i;

	printf("# %s: schedule %lu:", why, schedules);
	for (i = 0; i < n_choices; i++)
		if (choices[i].chosen)
			printf(" %u:%u", i, choices[i].chosen);
	printf("\n# tail %+lld head %+lld", (long long)(shared.tail - START),
	       (long long)(shared.head - START));
	for (i = 0; i < opt.slots; i++) {
		uint64_t word = *(uint64_t *)(shared.slots + i * STRIDE);

		printf(" slot %+lld/%llu/%llu",
		       (long long)((int64_t)(((word >> 14) - START) << 14) >> 14),
		       (unsigned long long)(word >> 2 & 4095), (unsigned long long)(word & 3));
	}
	printf("\n");
	exit(1);
}

static unsigned int choose(unsigned int of)
{
	if (of == 1)
		return 0;
	if (n_choices == STEPS_MAX)
		fail("no end");
	if (n_choices == n_fixed) {
		choices[n_choices].chosen = 0;
		choices[n_choices].of = of;
		n_fixed++;
	}
	if (choices[n_choices].of != of)
		fail("the run is not repeatable");
	return choices[n_choices++].chosen;
}

/* The next schedule: another last choice. False: there is none. */
static bool next_schedule(void)
{
	n_fixed = n_choices;
	while (n_fixed) {
		if (++choices[n_fixed - 1].chosen < choices[n_fixed - 1].of)
			return true;
		n_fixed--;
	}
	return false;
}

static bool is_shared(const volatile void *where)
{
	uintptr_t offset = (uintptr_t)where - (uintptr_t)&shared;

	return offset < sizeof(shared);
}

static uint64_t word_at(uint64_t pos)
{
	return *(uint64_t *)(shared.slots + (pos & (opt.slots - 1)) * STRIDE);
}

static bool bears(uint64_t word, uint64_t pos)
{
	return word >> MBOX_SLOT_POS_SHIFT == pos << MBOX_SLOT_POS_SHIFT >> MBOX_SLOT_POS_SHIFT;
}

/* The truth, of which the tail may be late. */
static bool is_full(void)
{
	uint64_t claimed = shared.head;

	while (claimed - shared.head < opt.slots && bears(word_at(claimed), claimed))
		claimed++;
	return claimed - shared.head >= opt.capacity;
}

static bool has_message(void)
{
	uint64_t word = word_at(shared.head);

	return bears(word, shared.head) && (word & MBOX_SLOT_STATE_MASK) != MBOX_SLOT_BUSY;
}

static void look(void)
{
	bool full = is_full(), message = has_message();
	unsigned int i;

	for (i = 0; i < n_parties; i++) {
		parties[i].saw_full |= full;
		parties[i].saw_empty |= !message;
	}
}

static bool can_run(const struct party *p)
{
	switch (p->state) {
	case READY:
		return true;
	case NO_ROOM:
		/* What the kernel looks at. */
		return (int64_t)(shared.tail - shared.head) < (int64_t)opt.capacity;
	case NO_MESSAGE:
		return has_message();
	default:
		return false;
	}
}

/* The nth party that can run, other than @p, counted from the last one that ran. */
static struct party *other(const struct party *p, unsigned int n)
{
	unsigned int i;

	for (i = 1; i <= n_parties; i++) {
		struct party *next = &parties[(ran_last + i) % n_parties];

		if (next != p && can_run(next) && !n--)
			return next;
	}
	return NULL;
}

static void switch_to(struct party *next)
{
	struct party *last = running;

	running = next;
	ran_last = next - parties;
	swapcontext(last ? &last->context : &scheduler, &next->context);
}

static void reborn(void);

static void die(void)
{
	struct party *p = running;

	died++;
	p->state = READY;
	p->context.uc_stack.ss_sp = stacks[p - parties];
	p->context.uc_stack.ss_size = STACK;
	p->context.uc_link = NULL;
	makecontext(&p->context, reborn, 0);
	/* Its stack is used up from the top again: leave it first. */
	running = p;
	setcontext(&scheduler);
}

/* Before each access to shared memory. */
static void step(const volatile void *where)
{
	unsigned int others = 0, chosen;
	bool may_die;

	if (!running || !is_shared(where))
		return;
	if (++steps > STEPS_MAX)
		fail("no end");
	if (interrupted < opt.interruptions)
		while (other(running, others))
			others++;
	may_die = died < opt.deaths;
	chosen = choose(1 + others + may_die);
	if (!chosen)
		return;
	if (chosen > others)
		die();
	interrupted++;
	switch_to(other(running, chosen - 1));
}

/* The running party cannot go on, or is done. */
static void stop(enum state state)
{
	running->state = state;
	if (state != DONE && can_run(running)) {
		running->state = READY;
		return;
	}
	/* The scheduler chooses the next. */
	swapcontext(&running->context, &scheduler);
	running->state = READY;
}

/* ---- what happens -------------------------------------------------------- */

static bool cas_fails(const volatile void *where)
{
	/* Defects that have to be found. */
	if (!strcmp(opt.defect, "take-by-store") && where == &shared.head)
		return false;
	if (!strcmp(opt.defect, "claim-by-store") && where != &shared.head &&
	    where != &shared.tail)
		return false;
	return true;
}

static void written(volatile void *where)
{
	unsigned char *at = (unsigned char *)(uintptr_t)where;
	unsigned int slot, offset, last, i;
	uint64_t word;

	if (!running || !is_shared(where))
		return;
	if (at == (unsigned char *)&shared.head) {
		slot = (shared.head - 1) & (opt.slots - 1);
		word = word_at(shared.head - 1);
		if (bears(word, shared.head - 1) &&
		    (word & MBOX_SLOT_STATE_MASK) == MBOX_SLOT_COMMITTED) {
			if (taken[in_slot[slot]])
				fail("received twice");
			taken[in_slot[slot]] = true;
			/* First in, first out: no later one of this sender's yet. */
			last = in_slot[slot] > opt.count[0] ? MESSAGES_MAX - 1 : opt.count[0];
			for (i = in_slot[slot] + 1; i <= last; i++)
				if (taken[i])
					fail("overtaken");
		}
	} else if (at >= shared.slots) {
		offset = at - shared.slots;
		slot = offset / STRIDE;
		word = word_at(slot);
		if (!(offset % STRIDE) && (word & MBOX_SLOT_STATE_MASK) == MBOX_SLOT_COMMITTED) {
			committed[running->message] = true;
			in_slot[slot] = running->message;
		}
	}
	look();
}

static void *copy(void *to, const void *from, size_t len)
{
	size_t half = len / 2;

	if (!is_shared(to) && !is_shared(from))
		return memmove(to, from, len);
	step(&shared);
	memmove(to, from, half);
	step(&shared);
	return memmove((char *)to + half, (const char *)from + half, len - half);
}

static unsigned int length_of(unsigned int message)
{
	return message % 2 ? 16 : 12;
}

static void check(const unsigned char *buf, unsigned int len)
{
	unsigned int i, message = buf[0];

	if (!message || message >= MESSAGES_MAX || len != length_of(message))
		fail("torn: its number or length");
	for (i = 0; i < len; i++)
		if (buf[i] != message)
			fail("torn");
	if (!committed[message])
		fail("not committed");
	if (!taken[message])
		fail("received and still there");
}

/* ---- participants -------------------------------------------------------- */

static void init_ring(struct party *p)
{
	bool sender = p - parties < (long)opt.senders;
	struct mbox_ring_info info = {
		.version = MBOX_RING_VERSION,
		.owner = sender ? p - parties + 1 : 0,
		.capacity = opt.capacity,
		.slots = opt.slots,
		.msg_max = MSG_MAX,
		.stride = STRIDE,
		.flags = opt.flags,
	};

	ring_init(&p->ring, &info, &shared.tail, &shared.head, shared.slots);
}

static int send_one(struct party *p)
{
	unsigned int len = length_of(p->message);
	unsigned char buf[MSG_MAX];
	uint64_t pos;
	int result;

	memset(buf, p->message, sizeof(buf));
	if (!opt.in_place)
		return ring_send(&p->ring, buf, len);
	result = ring_claim(&p->ring, &pos);
	if (result != RING_OK)
		return result;
	if (p->message % 3 == 0) {
		ring_abandon(&p->ring, pos);
		return RING_OK;
	}
	ring__copy_in(&p->ring, ring_payload(&p->ring, pos), buf, len);
	ring_commit(&p->ring, pos, len);
	return RING_OK;
}

static void sender(struct party *p)
{
	int result;

	while (p->message <= p->last) {
		p->saw_full = false;
		look();
		result = send_one(p);
		if (result == RING_BROKEN)
			fail("a sender takes it for corrupt");
		if (result == RING_OK) {
			p->message++;
			continue;
		}
		if (!p->saw_full)
			fail("full, says a sender, and it never was");
		stop(NO_ROOM);
	}
}

static int receive_one(struct party *p, unsigned char *buf, uint32_t *len)
{
	const void *payload;
	uint64_t pos;
	int result;

	if (!opt.in_place)
		return ring_receive(&p->ring, buf, MSG_MAX, false, len);
	result = ring_front(&p->ring, &pos, &payload, len);
	if (result != RING_OK)
		return result;
	ring__copy_out(buf, payload, *len);
	return ring_release(&p->ring, pos) ? RING_OK : RING_SHORT;
}

static void receiver(struct party *p)
{
	unsigned char buf[MSG_MAX + 8];
	uint32_t len;
	int result;

	for (;;) {
		p->saw_empty = false;
		look();
		memset(buf, 0, sizeof(buf));
		result = receive_one(p, buf, &len);
		if (result == RING_BROKEN)
			fail("a receiver takes it for corrupt");
		if (result == RING_OK)
			check(buf, len);
		if (result != RING_EMPTY)
			continue;
		if (!p->saw_empty)
			fail("empty, says a receiver, and it never was");
		stop(NO_MESSAGE);
	}
}

static void run_party(void)
{
	struct party *p = running;

	init_ring(p);
	if (p - parties < (long)opt.senders)
		sender(p);
	else
		receiver(p);
	stop(DONE);
}

/* After a death: the kernel recovers, and another process takes the place. */
static void reborn(void)
{
	struct party *p = running;

	if (p - parties < (long)opt.senders) {
		if (strcmp(opt.defect, "no-recovery"))
			ring_recover(shared.slots, opt.slots, STRIDE, p - parties + 1);
		p->message++;
	}
	run_party();
}

/* ---- runs ---------------------------------------------------------------- */

static void prepare(struct party *p)
{
	getcontext(&p->context);
	p->context.uc_stack.ss_sp = stacks[p - parties];
	p->context.uc_stack.ss_size = STACK;
	p->context.uc_link = NULL;
	makecontext(&p->context, run_party, 0);
}

static void begin(void)
{
	unsigned int i, first = 1;

	memset(&shared, 0, sizeof(shared));
	memset(committed, 0, sizeof(committed));
	memset(taken, 0, sizeof(taken));
	shared.tail = START;
	shared.head = START;
	for (i = 0; i < opt.slots; i++) {
		uint64_t pos = START + i - opt.slots;

		*(uint64_t *)(shared.slots + (pos & (opt.slots - 1)) * STRIDE) =
			pos << MBOX_SLOT_POS_SHIFT | MBOX_SLOT_COMMITTED;
	}
	n_parties = opt.senders + opt.receivers;
	for (i = 0; i < n_parties; i++) {
		struct party *p = &parties[i];

		p->state = READY;
		if (i < opt.senders) {
			p->message = first;
			p->last = first + opt.count[i] - 1;
			first += opt.count[i];
		}
		prepare(p);
	}
	ran_last = n_parties - 1;
	n_choices = 0;
	steps = 0;
	interrupted = 0;
	died = 0;
}

static void run_schedule(void)
{
	unsigned int i, n, chosen;

	begin();
	for (;;) {
		running = NULL;
		for (n = 0; other(NULL, n); n++)
			;
		if (!n)
			break;
		/* In turn, unless an interruption is spent on another order. */
		chosen = interrupted < opt.interruptions ? choose(n) : 0;
		interrupted += chosen != 0;
		switch_to(other(NULL, chosen));
	}
	for (i = 0; i < opt.senders; i++)
		if (parties[i].state != DONE)
			fail("a sender waits for ever");
	for (i = 1; i < MESSAGES_MAX; i++)
		if (committed[i] && !taken[i])
			fail("a message is lost");
}

static void usage(void)
{
	fprintf(stderr, "usage: conform [-c CAPACITY] [-1 SENDERS] [-2 RECEIVERS] [-a MESSAGES]\n"
			"[-b MESSAGES] [-i INTERRUPTIONS] [-k DEATHS] [-p] [-s] [-r] [-x DEFECT]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:1:2:a:b:i:k:psrx:")) >= 0) {
		switch (c) {
		case 'c':
			opt.capacity = atoi(optarg);
			break;
		case '1':
			opt.senders = atoi(optarg);
			break;
		case '2':
			opt.receivers = atoi(optarg);
			break;
		case 'a':
			opt.count[0] = atoi(optarg);
			break;
		case 'b':
			opt.count[1] = atoi(optarg);
			break;
		case 'i':
			opt.interruptions = atoi(optarg);
			break;
		case 'k':
			opt.deaths = atoi(optarg);
			break;
		case 'p':
			opt.in_place = true;
			break;
		case 's':
			opt.flags |= MBOX_ONE_SENDER;
			opt.senders = 1;
			break;
		case 'r':
			opt.flags |= MBOX_ONE_RECEIVER;
			opt.receivers = 1;
			break;
		case 'x':
			opt.defect = optarg;
			break;
		default:
			usage();
		}
	}
	opt.slots = 1;
	while (opt.slots < opt.capacity)
		opt.slots *= 2;
	if (optind != argc || opt.slots > SLOTS_MAX || opt.senders > SENDERS_MAX ||
	    opt.senders + opt.receivers > PARTIES_MAX ||
	    opt.count[0] + opt.count[1] >= MESSAGES_MAX)
		usage();

	do {
		schedules++;
		run_schedule();
	} while (next_schedule());
	printf("# %lu schedules\n", schedules);
	return 0;
}
