// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: bench [-r REPETITIONS] [-n MESSAGES] [-c CAPACITY] [CASE]...
 *
 * The protocol between processes, without the module, against rings that give
 * no guarantee about the dead or the hostile:
 *
 *   one-to-one    a ring for one sender and one receiver, whose indices are in
 *                 lines of their own, with each side's copy of the other's
 *   many-to-many  Concurrency Kit's ck_ring, 2 x 2 and 4 x 4 processes
 *   copy          what a message of a ring for many is copied with, in and out, against
 *                 two memcpy() of one process, by size
 *
 * In the mailbox's ring they sleep when there is nothing to do, after they have
 * looked SPIN times; in the others they look for ever. Each repetition runs all
 * variants, one after the other; the table has the medians.
 */
#include <ck_ring.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "sleep.h"

#define MESSAGE		64
#define SPIN		2000
#define PARTIES_MAX	8
/* A run takes no longer. */
#define LIMIT_NS	2000000000ULL
#define PAUSES_MAX	64
#define REPETITIONS_MAX	101

/* ---- the plain ring for two ------------------------------------------------ */

#define PLAIN_STRIDE	128

/**
 * struct plain - one sender, one receiver, indices in pairs of lines
 * @tail: written by the sender
 * @head_seen: the sender's copy of @head
 * @head: written by the receiver
 * @tail_seen: the receiver's copy of @tail
 */
struct plain {
	uint64_t tail;
	uint64_t head_seen;
	uint64_t reserved0[14];
	uint64_t head;
	uint64_t tail_seen;
	uint64_t reserved1[14];
	uint64_t mask;
	uint64_t reserved2[15];
	unsigned char slots[];
};

static inline bool plain_send(struct plain *p, const void *buf, uint32_t len)
{
	uint64_t t = __atomic_load_n(&p->tail, __ATOMIC_RELAXED);
	unsigned char *slot = p->slots + (t & p->mask) * PLAIN_STRIDE;

	if (t - p->head_seen > p->mask) {
		p->head_seen = __atomic_load_n(&p->head, __ATOMIC_ACQUIRE);
		if (t - p->head_seen > p->mask)
			return false;
	}
	memcpy(slot, &len, sizeof(len));
	memcpy(slot + 16, buf, len);
	__atomic_store_n(&p->tail, t + 1, __ATOMIC_RELEASE);
	return true;
}

static inline bool plain_receive(struct plain *p, void *buf, uint32_t *len)
{
	uint64_t h = __atomic_load_n(&p->head, __ATOMIC_RELAXED);
	const unsigned char *slot = p->slots + (h & p->mask) * PLAIN_STRIDE;
	const unsigned char *ahead = p->slots + ((h + RING_AHEAD) & p->mask) * PLAIN_STRIDE;

	if (h == p->tail_seen) {
		p->tail_seen = __atomic_load_n(&p->tail, __ATOMIC_ACQUIRE);
		if (h == p->tail_seen)
			return false;
	}
	/* As the mailbox's does it; it is worth something here, too. */
	__builtin_prefetch(ahead);
	__builtin_prefetch(ahead + RING_LINE);
	memcpy(len, slot, sizeof(*len));
	memcpy(buf, slot + 16, *len);
	__atomic_store_n(&p->head, h + 1, __ATOMIC_RELEASE);
	return true;
}

/* ---- Concurrency Kit's ----------------------------------------------------- */

struct entry {
	uint32_t len;
	unsigned char payload[MESSAGE];
};

CK_RING_PROTOTYPE(entry, entry)

/*
 * Made in advance: a message that was written just before would still be in the
 * CPU's store buffer, where a wide load cannot find it.
 */
#define MESSAGES	64
static uint64_t messages[MESSAGES][MESSAGE / 8];

static void make_messages(void)
{
	unsigned int i, k;

	for (i = 0; i < MESSAGES; i++)
		for (k = 0; k < MESSAGE / 8; k++)
			messages[i][k] = i + 1;
}

/* ---- a run ----------------------------------------------------------------- */

enum kind { RING, PLAIN, CK };

/**
 * struct run - one measurement, in shared memory
 * @room: for a message
 * @ready: participants that are about to start
 * @go: those that know that all are ready
 * @start: when the first sender started
 * @end: when the last participant was done
 * @sum: of the first words of all that was received
 * @slept: calls that slept
 * @woke: wake-ups
 * @progress: of each receiver, now and then: messages that are left
 */
struct run {
	struct memory m;
	struct sleepers receivers;
	struct sleepers senders;
	struct plain *plain;
	ck_ring_t *ck;
	struct entry *entries;
	enum kind kind;
	unsigned int pairs;
	uint32_t room;
	uint64_t messages;
	uint32_t ready;
	uint32_t go;
	uint64_t start;
	uint64_t end;
	uint64_t sum;
	uint64_t slept;
	uint64_t woke;
	struct {
		uint64_t left;
		uint64_t reserved[15];
	} progress[PARTIES_MAX];
};

static inline void relax(void)
{
#if __has_builtin(__builtin_ia32_pause)
	__builtin_ia32_pause();
#endif
}

/* Spinning for ever, but not while the other side waits for this CPU. */
static inline void spin(unsigned int *n)
{
	relax();
	if (++*n % SPIN == 0)
		sched_yield();
}

/*
 * Longer from one look to the next: each takes the line that the other side
 * writes with every message.
 */
static void back_off(unsigned int *tries)
{
	unsigned int i, n = *tries < 6 ? 1 << *tries : PAUSES_MAX;

	for (i = 0; i < n; i++)
		relax();
	*tries += n;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void tell(struct sleepers *s, const struct ring *r, uint64_t *woke)
{
	ring_fence(r);
	if (__atomic_load_n(s->count, __ATOMIC_RELAXED)) {
		++*woke;
		sleep_wake(s, 1);
	}
}

/* For runs that are given up. */
static inline void progress(struct run *run, unsigned int id, uint64_t left)
{
	if (left % 64 == 0)
		__atomic_store_n(&run->progress[id].left, left, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void ring_sender(struct run *run, unsigned int id, uint64_t n)
{
	unsigned int tries = 0, side = MBOX_RING_SENDERS;
	uint64_t slept = 0, woke = 0;
	struct ring r;
	int result;

	memory_join(&run->m, &r, id + 1);
	while (n) {
		result = ring_send(&r, messages[n % MESSAGES], MESSAGE);
		if (result == RING_OK) {
			tell(&run->receivers, &r, &woke);
			n--;
			tries = 0;
		} else if (result != RING_FULL) {
			errx(1, "send: result %d", result);
		} else if (tries < SPIN) {
			back_off(&tries);
		} else {
			tries = 0;
			slept++;
			sleep_wait(&run->senders, &r, side, 0);
		}
	}
	__atomic_fetch_add(&run->slept, slept, __ATOMIC_RELAXED);
	__atomic_fetch_add(&run->woke, woke, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void ring_receiver(struct run *run, unsigned int id, uint64_t n)
{
	unsigned int tries = 0, side = MBOX_RING_RECEIVERS;
	uint64_t sum = 0, slept = 0, woke = 0;
	uint64_t buf[MESSAGE / 8];
	struct ring r;
	uint32_t len;
	int result;

	memory_join(&run->m, &r, 0);
	while (n) {
		result = ring_receive(&r, buf, run->room, false, &len);
		if (result == RING_OK) {
			tell(&run->senders, &r, &woke);
			/* A wake-up is passed on. */
			if (run->pairs > 1 &&
			    __atomic_load_n(run->receivers.count, __ATOMIC_RELAXED) &&
			    ring_has_message(&r))
				sleep_wake(&run->receivers, 1);
			sum += buf[0];
			progress(run, id, n--);
			tries = 0;
		} else if (result != RING_EMPTY) {
			errx(1, "receive: result %d", result);
		} else if (tries < SPIN) {
			do
				back_off(&tries);
			while (ring_quiet(&r) && tries < SPIN);
		} else {
			tries = 0;
			slept++;
			sleep_wait(&run->receivers, &r, side, 0);
		}
	}
	__atomic_fetch_add(&run->sum, sum, __ATOMIC_RELAXED);
	__atomic_fetch_add(&run->slept, slept, __ATOMIC_RELAXED);
	__atomic_fetch_add(&run->woke, woke, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void plain_sender(struct run *run, unsigned int id, uint64_t n)
{
	struct plain *p = run->plain;
	unsigned int tries = 0;

	while (n) {
		if (plain_send(p, messages[n % MESSAGES], MESSAGE))
			n--;
		else
			spin(&tries);
	}
}

static __attribute__((noinline)) void plain_receiver(struct run *run, unsigned int id, uint64_t n)
{
	struct plain *p = run->plain;
	uint64_t buf[MESSAGE / 8], sum = 0;
	unsigned int tries = 0;
	uint32_t len;

	while (n) {
		if (plain_receive(p, buf, &len)) {
			sum += buf[0];
			progress(run, id, n--);
		} else {
			spin(&tries);
		}
	}
	__atomic_fetch_add(&run->sum, sum, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void ck_sender(struct run *run, unsigned int id, uint64_t n)
{
	struct entry e = { .len = MESSAGE };
	unsigned int tries = 0;

	while (n) {
		memcpy(e.payload, messages[n % MESSAGES], MESSAGE);
		if (ck_ring_enqueue_mpmc_entry(run->ck, run->entries, &e))
			n--;
		else
			spin(&tries);
	}
}

static __attribute__((noinline)) void ck_receiver(struct run *run, unsigned int id, uint64_t n)
{
	uint64_t buf[MESSAGE / 8], sum = 0;
	unsigned int tries = 0;
	struct entry e;

	while (n) {
		if (ck_ring_dequeue_mpmc_entry(run->ck, run->entries, &e)) {
			memcpy(buf, e.payload, e.len);
			sum += buf[0];
			progress(run, id, n--);
		} else {
			spin(&tries);
		}
	}
	__atomic_fetch_add(&run->sum, sum, __ATOMIC_RELAXED);
}

static void *shared(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (map == MAP_FAILED)
		err(1, "mmap");
	return map;
}

/* On CPU @cpu of those that this process may use. */
static void pin(unsigned int cpu)
{
	cpu_set_t allowed, one;
	unsigned int i, n;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	cpu %= CPU_COUNT(&allowed);
	for (i = n = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &allowed) && n++ == cpu) {
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			sched_setaffinity(0, sizeof(one), &one);
			return;
		}
	}
}

/*
 * Where it may, against whatever else the machine does. Not in real time when
 * there are more processes than CPUs: ck_ring's wait for one another.
 */
static void undisturbed(unsigned int pairs, unsigned int id)
{
	struct sched_param param = { .sched_priority = 1 };

	if (pairs == 1) {
		pin(id);
		sched_setscheduler(0, SCHED_FIFO, &param);
	} else {
		setpriority(PRIO_PROCESS, 0, -20);
	}
}

static void participate(struct run *run, unsigned int id)
{
	static void (*const part[][2])(struct run *run, unsigned int id, uint64_t n) = {
		[RING] = { ring_receiver, ring_sender },
		[PLAIN] = { plain_receiver, plain_sender },
		[CK] = { ck_receiver, ck_sender },
	};
	bool sends = id < run->pairs;
	uint64_t end, seen;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	undisturbed(run->pairs, id);
	if (run->m.info.barrier && membarrier_register())
		err(1, "membarrier");
	/* Asleep until all are there, then together. */
	__atomic_fetch_add(&run->ready, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&run->ready, __ATOMIC_ACQUIRE) < 2 * run->pairs)
		usleep(100);
	__atomic_fetch_add(&run->go, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&run->go, __ATOMIC_ACQUIRE) < 2 * run->pairs)
		usleep(10);
	if (!id)
		run->start = now();
	part[run->kind][sends](run, sends ? id : id - run->pairs, run->messages / run->pairs);
	end = now();
	seen = __atomic_load_n(&run->end, __ATOMIC_RELAXED);
	while (seen < end && !__atomic_compare_exchange_n(&run->end, &seen, end, false,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	_exit(0);
}

/* Nanoseconds per message. */
static double measure(enum kind kind, unsigned int pairs, uint64_t count,
		      uint32_t capacity, bool asym_fence, uint64_t *slept, uint64_t *woke,
		      unsigned int *cut)
{
	struct run *run = shared(sizeof(*run));
	uint32_t flags = pairs == 1 ? MBOX_ONE_SENDER | MBOX_ONE_RECEIVER : 0;
	size_t plain_size = sizeof(struct plain) + (size_t)capacity * PLAIN_STRIDE;
	size_t entries_size = (size_t)capacity * sizeof(struct entry);
	uint64_t took, done, expected, each = count / pairs;
	pid_t pid[PARTIES_MAX];
	unsigned int i;
	int status;

	run->kind = kind;
	/* Unknown to the compiler, which would else copy in another way. */
	run->room = MESSAGE;
	run->pairs = pairs;
	run->messages = count;
	memory_make(&run->m, capacity, MESSAGE, flags, 0);
	run->m.info.barrier = asym_fence;
	run->receivers.count = &run->m.kernel->receivers;
	run->senders.count = &run->m.kernel->senders;
	run->plain = shared(plain_size);
	run->plain->mask = capacity - 1;
	run->ck = shared(sizeof(*run->ck));
	run->entries = shared(entries_size);
	ck_ring_init(run->ck, capacity);

	for (i = 0; i < pairs; i++)
		run->progress[i].left = each;
	for (i = 0; i < 2 * pairs; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			err(1, "fork");
		if (!pid[i])
			participate(run, i);
	}
	for (i = 0; i < 2 * pairs; ) {
		if (!waitpid(pid[i], &status, WNOHANG)) {
			if (run->start && now() - run->start > LIMIT_NS)
				break;
			usleep(1000);
		} else if (status) {
			errx(1, "a participant ended with status %#x", status);
		} else {
			i++;
		}
	}
	took = run->end - run->start;
	if (i < 2 * pairs) {
		took = now() - run->start;
		for (; i < 2 * pairs; i++) {
			kill(pid[i], SIGKILL);
			waitpid(pid[i], NULL, 0);
		}
		done = 1;
		for (i = 0; i < pairs; i++)
			done += each - run->progress[i].left;
		++*cut;
		goto out;
	}
	for (expected = 0, i = 0; i < each; i++)
		expected += messages[i % MESSAGES][0];
	/* From each down to 1. */
	expected += messages[each % MESSAGES][0] - messages[0][0];
	if (run->sum != pairs * expected)
		errx(1, "what was received is not what was sent");
	done = each * pairs;
out:
	*slept += run->slept;
	*woke += run->woke;

	memory_free(&run->m);
	munmap(run->plain, plain_size);
	munmap(run->ck, sizeof(*run->ck));
	munmap(run->entries, entries_size);
	munmap(run, sizeof(*run));
	return (double)took / done;
}

/* ---- copies ---------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define COPY_MOST	65536
#define COPIES_BYTES	200000
#define COPY_BATCHES	101

static unsigned char copied[COPY_MOST], copy[COPY_MOST];
static unsigned char payload[COPY_MOST] __attribute__((aligned(RING_LINE)));

static __attribute__((noinline)) void copy_as_ring(const struct ring *r, uint32_t len)
{
	ring__copy_in(r, payload, copied, len);
	ring__copy_out(copy, payload, len);
}

static __attribute__((noinline)) void copy_plainly(const struct ring *r, uint32_t len)
{
	memcpy(payload, copied, len);
	__asm__ volatile("" : : : "memory");
	memcpy(copy, payload, len);
	__asm__ volatile("" : : : "memory");
}

static double copies_ns(void (*volatile copy_once)(const struct ring *r, uint32_t len),
			uint32_t len)
{
	unsigned int i, n = COPIES_BYTES / (len + 64) + 1;
	struct ring r = { 0 };
	uint64_t start = now();

	for (i = 0; i < n; i++)
		copy_once(&r, len);

	return (double)(now() - start) / n;
}

/* The batches take turns. What counts is that which a quarter is faster than. */
static void measure_copies(void)
{
	static const uint32_t sizes[] = { 8, 64, 256, 1024, 4096, 16384, COPY_MOST };
	double ring[COPY_BATCHES], plain[COPY_BATCHES];
	unsigned int i, k;

	printf("%-11s %11s %11s %7s\n", "copy, bytes", "ring", "memcpy", "ratio");
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (k = 0; k < COPY_BATCHES; k++) {
			ring[k] = copies_ns(copy_as_ring, sizes[i]);
			plain[k] = copies_ns(copy_plainly, sizes[i]);
		}
		qsort(ring, COPY_BATCHES, sizeof(*ring), by_value);
		qsort(plain, COPY_BATCHES, sizeof(*plain), by_value);
		k = COPY_BATCHES / 4;
		printf("%-11u %8.1f ns %8.1f ns %7.2f\n", sizes[i], ring[k], plain[k],
		       ring[k] / plain[k]);
	}
}

/* ---- cases ----------------------------------------------------------------- */

/**
 * struct variant - one line of the table
 * @target: what its speed should be at least, relative to the first of its case;
 *	0: none
 * @ns: of each repetition
 * @cut: repetitions that took too long, and count for what they had done
 */
static struct variant {
	const char *name;
	const char *what;
	enum kind kind;
	unsigned int pairs;
	bool asym_fence;
	double target;
	double ns[REPETITIONS_MAX];
	uint64_t slept;
	uint64_t woke;
	unsigned int cut;
} variants[] = {
	{ "one-to-one", "plain ring", PLAIN, 1 },
	{ "one-to-one", "mailbox, full fence", RING, 1 },
	{ "one-to-one", "mailbox, asymmetric", RING, 1, true, 0.9 },
	{ "2x2", "ck_ring", CK, 2 },
	{ "2x2", "mailbox, full fence", RING, 2 },
	{ "2x2", "mailbox, asymmetric", RING, 2, true, 1.0 },
	{ "4x4", "ck_ring", CK, 4 },
	{ "4x4", "mailbox, full fence", RING, 4 },
	{ "4x4", "mailbox, asymmetric", RING, 4, true, 1.0 },
};

#define VARIANTS (sizeof(variants) / sizeof(*variants))

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	uint64_t count = 300000;
	unsigned int repetitions = 9, i, k;
	uint32_t capacity = 1024;
	struct variant *v, *first = variants;
	int c;

	while ((c = getopt(argc, argv, "r:n:c:")) != -1) {
		switch (c) {
		case 'r':
			repetitions = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			count = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			capacity = strtoul(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	}
	if (!repetitions || repetitions > REPETITIONS_MAX || count < 8 ||
	    !capacity || capacity & (capacity - 1))
		errx(2, "bad arguments");

	make_messages();
	setpriority(PRIO_PROCESS, 0, -20);
	if (wanted("copy", argv + optind))
		measure_copies();
	if (argc == optind + 1 && !strcmp(argv[optind], "copy"))
		return 0;
	for (k = 0; k < repetitions; k++)
		for (v = variants; v < variants + VARIANTS; v++)
			if (wanted(v->name, argv + optind))
				v->ns[k] = measure(v->kind, v->pairs, count, capacity,
						   v->asym_fence, &v->slept, &v->woke, &v->cut);

	printf("%u-byte messages, capacity %u, %llu messages, %u repetitions\n", MESSAGE,
	       capacity, (unsigned long long)count, repetitions);
	printf("%-11s %-20s %8s %8s %8s %7s %9s %9s\n", "case", "ring", "median", "least",
	       "most", "speed", "sleeps/M", "wakes/M");
	for (i = 0; i < VARIANTS; i++) {
		v = variants + i;
		if (!wanted(v->name, argv + optind))
			continue;
		qsort(v->ns, repetitions, sizeof(*v->ns), by_value);
		if (strcmp(v->name, first->name) || i == 0)
			first = v;
		printf("%-11s %-20s %5.1f ns %5.1f ns %5.1f ns %7.2f %9.0f %9.0f",
		       v->name, v->what, v->ns[repetitions / 2], v->ns[0],
		       v->ns[repetitions - 1],
		       first->ns[repetitions / 2] / v->ns[repetitions / 2],
		       v->slept * 1e6 / repetitions / count,
		       v->woke * 1e6 / repetitions / count);
		if (v->cut)
			printf("  %u cut short", v->cut);
		if (v->target)
			printf("  target %.1f", v->target);
		putchar('\n');
	}
	return 0;
}
