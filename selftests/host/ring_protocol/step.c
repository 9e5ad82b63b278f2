// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: step
 *
 * A participant killed after each single instruction of each call, in each state
 * of the ring that the call can find. Then its slots are given up, as the kernel
 * does it, and others must find all that was committed, once, nothing that was
 * not, and a ring with room for its capacity.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "plain_ring.h"

#define CAPACITY	3
#define MSG_MAX		40
#define STEPS_MAX	100000

enum call { SEND, COMMIT, ABANDON, RECEIVE, RELEASE, CALLS };

static const char *const call_name[CALLS] = {
	"ring_send", "ring_claim, ring_commit", "ring_claim, ring_abandon",
	"ring_receive", "ring_front, ring_release",
};

/* What happened to the ring before. */
enum before {
	FRESH,
	/* All slots were used, in several laps. */
	USED,
	/* One message is in it. */
	ONE,
	/* All but one slot are full. */
	ALMOST_FULL,
	FULL,
	/* A sender died when it had claimed a slot, and before it moved the tail. */
	LAGGING,
	/* And then a receiver went past the slot. */
	OVERTAKEN,
	BEFORE,
};

static const char *const before_name[BEFORE] = {
	"fresh", "used", "one message", "almost full", "full", "tail lags", "tail overtaken",
};

/* What the child reports, in shared memory. */
static struct report {
	volatile uint32_t begun;
	volatile uint32_t done;
	volatile int result;
	unsigned char buf[MSG_MAX];
	uint32_t len;
} *report;

static struct memory m;
/* Messages that must be in the ring, by number; then the next number. */
static unsigned int in_ring[64], n_in_ring, next;
static unsigned long kills;

static uint32_t make(unsigned char *buf, unsigned int number)
{
	uint32_t len = 1 + number * 7 % MSG_MAX;

	memset(buf, number, len);
	return len;
}

static bool is(const unsigned char *buf, uint32_t len, unsigned int number)
{
	unsigned char want[MSG_MAX];

	return make(want, number) == len && !memcmp(buf, want, len);
}

static int send_next(struct ring *r)
{
	unsigned char buf[MSG_MAX];
	uint32_t len = make(buf, next);
	int result = ring_send(r, buf, len);

	if (result == RING_OK)
		in_ring[n_in_ring++] = next++;
	return result;
}

/* The front of what must be in the ring. */
static void forget_first(void)
{
	memmove(in_ring, in_ring + 1, --n_in_ring * sizeof(*in_ring));
}

static const char *receive_first(struct ring *r)
{
	unsigned char buf[MSG_MAX];
	uint32_t len;

	if (ring_receive(r, buf, sizeof(buf), false, &len) != RING_OK)
		return "a message is missing";
	if (!is(buf, len, in_ring[0]))
		return "not the message that was expected";
	forget_first();
	return NULL;
}

static void recover(unsigned int owner)
{
	ring_recover(m.slots, m.info.slots, m.info.stride, owner);
}

static void prepare(enum before before, uint32_t flags)
{
	struct ring tx, rx;
	unsigned int i, n = 0;
	uint64_t t;

	n_in_ring = 0;
	next = 1;
	memory_fresh(&m, before == USED ? -5ULL : 0);
	memory_join(&m, &tx, 4);
	memory_join(&m, &rx, 0);
	for (i = 0; before == USED && i < 3 * CAPACITY; i++)
		if (send_next(&tx) != RING_OK || receive_first(&rx))
			errx(1, "cannot prepare");
	if (before == ONE)
		n = 1;
	else if (before == ALMOST_FULL)
		n = CAPACITY - 1;
	else if (before == FULL)
		n = CAPACITY;
	for (i = 0; i < n; i++)
		if (send_next(&tx) != RING_OK)
			errx(1, "cannot prepare");
	if (before == LAGGING || before == OVERTAKEN) {
		/* With one sender, it is committed at that moment. */
		if (flags & MBOX_ONE_SENDER) {
			send_next(&tx);
			--*m.tail;
			if (before == OVERTAKEN && receive_first(&rx))
				errx(1, "cannot prepare");
			return;
		}
		t = *m.tail;
		memory_slot(&m, t)->word = memory_word(t, 4, MBOX_SLOT_BUSY);
		recover(4);
		if (before == OVERTAKEN) {
			ring_receive(&rx, &t, 0, true, &i);
			if (*m.head != t + 1)
				errx(1, "cannot prepare");
		}
	}
}

/* In the child, which is stepped through it. */
static void act(enum call call)
{
	unsigned char buf[MSG_MAX];
	const void *payload;
	uint32_t len = 0;
	struct ring r;
	uint64_t pos;
	int result;

	memory_join(&m, &r, call < RECEIVE ? 1 : 0);
	len = make(buf, next);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	report->begun = 1;
	switch (call) {
	case SEND:
		result = ring_send(&r, buf, len);
		break;
	case COMMIT:
	case ABANDON:
		result = ring_claim(&r, &pos);
		if (result != RING_OK)
			break;
		if (call == COMMIT) {
			memcpy(ring_payload(&r, pos), buf, len);
			ring_commit(&r, pos, len);
		} else {
			ring_abandon(&r, pos);
		}
		break;
	case RECEIVE:
		result = ring_receive(&r, report->buf, MSG_MAX, false, &len);
		report->len = len;
		break;
	default:
		result = ring_front(&r, &pos, &payload, &len);
		if (result != RING_OK)
			break;
		memcpy(report->buf, payload, len);
		report->len = len;
		ring_release(&r, pos);
		break;
	}
	report->result = result;
	report->done = 1;
	raise(SIGSTOP);
}

static void step(pid_t child)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) || waitpid(child, &status, 0) != child ||
	    !WIFSTOPPED(status))
		errx(1, "the child ended");
}

/* Run the call for @steps instructions and kill it. Returns whether it was done. */
static bool killed_after(enum call call, unsigned long steps)
{
	pid_t child;
	int status;

	memset(report, 0, sizeof(*report));
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		act(call);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		errx(1, "the child ended");
	while (!report->begun)
		step(child);
	while (steps-- && !report->done)
		step(child);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	kills++;
	return report->done;
}

/* What is wrong with the ring now, or NULL. */
static const char *check(enum call call, uint32_t flags)
{
	bool sent_in_doubt = call == SEND || call == COMMIT;
	bool taken_in_doubt = call == RECEIVE || call == RELEASE;
	unsigned int doubtful = next++, i;
	unsigned char buf[MSG_MAX];
	const char *wrong;
	struct ring tx, rx;
	uint32_t len;
	int result;

	/* Before the kernel has noticed, if there may be others. */
	if (!(flags & MBOX_ONE_SENDER)) {
		memory_join(&m, &tx, 2);
		result = send_next(&tx);
		if (result != RING_OK && result != RING_FULL)
			return "send failed, before recovery";
	}
	recover(1);
	memory_join(&m, &tx, 3);
	memory_join(&m, &rx, 0);

	if (report->done && report->result == RING_OK && taken_in_doubt) {
		if (!n_in_ring || !is(report->buf, report->len, in_ring[0]))
			return "it received something else";
		forget_first();
		taken_in_doubt = false;
	}
	/* All of it, in order, but for what is in doubt. */
	for (;;) {
		result = ring_receive(&rx, buf, sizeof(buf), false, &len);
		if (result != RING_OK)
			break;
		if (sent_in_doubt && is(buf, len, doubtful)) {
			if (report->done && report->result != RING_OK)
				return "sent, although it failed";
			sent_in_doubt = false;
			continue;
		}
		if (taken_in_doubt && n_in_ring > 1 && is(buf, len, in_ring[1]))
			forget_first();
		taken_in_doubt = false;
		if (!n_in_ring || !is(buf, len, in_ring[0]))
			return "not the message that was expected";
		forget_first();
	}
	if (result != RING_EMPTY)
		return "receive failed";
	if (taken_in_doubt && n_in_ring == 1)
		forget_first();
	if (n_in_ring)
		return "messages are missing";
	if (sent_in_doubt && report->done && report->result == RING_OK)
		return "sent, and lost";
	if (ring_has_message(&rx) || !ring_has_room(&tx))
		return "the kernel would not let them sleep";

	for (i = 0; i < 3 * CAPACITY; i++) {
		while ((result = send_next(&tx)) == RING_OK)
			;
		if (result != RING_FULL || n_in_ring != CAPACITY)
			return "not as much room as there should be";
		while (n_in_ring) {
			wrong = receive_first(&rx);
			if (wrong)
				return wrong;
		}
	}
	return NULL;
}

static unsigned long sweep(enum call call, enum before before, uint32_t flags)
{
	unsigned long steps = 0;
	const char *wrong;
	bool done;

	do {
		prepare(before, flags);
		done = killed_after(call, steps);
		wrong = check(call, flags);
		if (wrong) {
			printf("not ok: %s, flags %#x, %s, killed after %lu instructions: %s\n",
			       call_name[call], flags, before_name[before], steps, wrong);
			exit(1);
		}
	} while (!done && ++steps < STEPS_MAX);
	return steps;
}

int main(void)
{
	static const uint32_t all_flags[] = {
		0, MBOX_ONE_SENDER, MBOX_ONE_RECEIVER, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	};
	unsigned int i, call, before;
	unsigned long most, steps;
	unsigned char buf[8];

	/* Linked now, not in the child. */
	memcpy(buf, call_name, sizeof(buf));
	setvbuf(stdout, NULL, _IOLBF, 0);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED)
		err(1, "mmap");
	for (i = 0; i < sizeof(all_flags) / sizeof(*all_flags); i++) {
		memory_make(&m, CAPACITY, MSG_MAX, all_flags[i], 0);
		for (call = 0; call < CALLS; call++) {
			most = 0;
			for (before = 0; before < BEFORE; before++) {
				steps = sweep(call, before, all_flags[i]);
				most = steps > most ? steps : most;
			}
			printf("ok: %s, flags %#x: %u states, up to %lu instructions\n",
			       call_name[call], all_flags[i], BEFORE, most);
		}
		memory_free(&m);
	}
	printf("%lu kills\n", kills);
	return 0;
}
