// SPDX-License-Identifier: GPL-2.0-only
/*
 * A barrier: no process begins with the next phase before all have ended this one. Each
 * computes its part, and after the barrier the parts of the others are complete.
 */
#include "example.h"

#define PROCESSES 3
#define PHASES 4

static char name[64];
static volatile int *part;

static void compute(int number)
{
	struct mbox_barrier *barrier = TRY_NEW(mbox_barrier_open(name, 0, 0, PROCESSES));
	int phase, i, sum;

	for (phase = 1; phase <= PHASES; phase++) {
		/* [phase] */
		part[number] = phase;
		TRY(mbox_barrier_wait(barrier, NULL));
		/* Here all parts are those of this phase. */
		for (sum = 0, i = 0; i < PROCESSES; i++)
			sum += part[i];
		/* They are read before one of them changes. */
		TRY(mbox_barrier_wait(barrier, NULL));
		/* [/phase] */
		if (sum != PROCESSES * phase)
			say("process %d: a part was missing", number);
		else if (number == 0)
			say("phase %d: all %d parts are there", phase, PROCESSES);
	}
	mbox_barrier_close(barrier);
}

int main(void)
{
	struct mbox_barrier *barrier;
	int i;

	part = shared_memory(PROCESSES * sizeof(*part));
	snprintf(name, sizeof(name), "phases-%d", getpid());
	barrier = TRY_NEW(mbox_barrier_open(name, O_CREAT | O_EXCL, 0600, PROCESSES));
	for (i = 0; i < PROCESSES; i++)
		start(compute, i);
	join();
	mbox_barrier_close(barrier);
	TRY(mbox_barrier_unlink(name));

	return 0;
}
