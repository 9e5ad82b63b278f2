// SPDX-License-Identifier: GPL-2.0-only
/*
 * A counting semaphore: six processes share two printers. Each process that prints
 * meets another one at a barrier before it gives its printer back. So the program ends
 * only if two print at once, and counts whether three ever do.
 */
#include "example.h"

#define PROCESSES 6
#define PRINTERS 2

static char semaphore[64], meeting[64];
static struct {
	int printing, most;
} *shared;

static void print(int number)
{
	struct mbox_sem *printers = TRY_NEW(mbox_sem_open(semaphore, 0, 0, 0));
	struct mbox_barrier *pair = TRY_NEW(mbox_barrier_open(meeting, 0, 0, PRINTERS));
	int now, most;

	(void)number;
	/* [use] */
	TRY(mbox_sem_wait(printers, NULL));
	now = __atomic_add_fetch(&shared->printing, 1, __ATOMIC_SEQ_CST);
	/* [/use] */
	most = __atomic_load_n(&shared->most, __ATOMIC_SEQ_CST);
	while (now > most &&
	       !__atomic_compare_exchange_n(&shared->most, &most, now, 0, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
	TRY(mbox_barrier_wait(pair, NULL));
	/* [release] */
	__atomic_sub_fetch(&shared->printing, 1, __ATOMIC_SEQ_CST);
	TRY(mbox_sem_post(printers));
	/* [/release] */
	mbox_barrier_close(pair);
	mbox_sem_close(printers);
}

int main(void)
{
	struct mbox_barrier *pair;
	struct mbox_sem *printers;
	int i;

	shared = shared_memory(sizeof(*shared));
	snprintf(semaphore, sizeof(semaphore), "printers-%d", getpid());
	snprintf(meeting, sizeof(meeting), "pair-%d", getpid());
	/* [create] */
	printers = TRY_NEW(mbox_sem_open(semaphore, O_CREAT | O_EXCL, 0600, PRINTERS));
	/* [/create] */
	pair = TRY_NEW(mbox_barrier_open(meeting, O_CREAT | O_EXCL, 0600, PRINTERS));

	for (i = 0; i < PROCESSES; i++)
		start(print, i);
	join();
	say("%d processes have printed, at most %d at once", PROCESSES, shared->most);

	mbox_sem_close(printers);
	mbox_barrier_close(pair);
	TRY(mbox_unlink(semaphore));
	TRY(mbox_barrier_unlink(meeting));

	return 0;
}
