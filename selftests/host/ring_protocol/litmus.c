// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: litmus [-n ROUNDS]
 *
 * The one place where both sides write first and read then (store buffering): a
 * participant publishes and looks for sleepers, while the other counts itself
 * and looks whether it has to sleep. They must not miss each other. As a control,
 * the same without the fences, where machines do let them.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "sleep.h"

enum fences { NONE, FULL, ASYMMETRIC };

static struct memory m;
static struct ring tx, rx;
static enum fences fences;
static int side;
static unsigned int rounds = 200000;
/* Where each thread is, and what it saw. */
static _Alignas(128) unsigned int at[2];
static _Alignas(128) uint32_t sleepers_seen;
static _Alignas(128) bool work_seen;

static void meet(unsigned int me, unsigned int *step)
{
	unsigned int tries = 0;

	__atomic_store_n(&at[me], ++*step, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&at[!me], __ATOMIC_SEQ_CST) < *step)
		if (++tries % 1000 == 0)
			sched_yield();
}

/* Does not move between the two steps, but the CPU may. */
static void compiler_barrier(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void *publisher(void *arg)
{
	struct ring *r = side == MBOX_RING_RECEIVERS ? &tx : &rx;
	uint32_t *count = side == MBOX_RING_RECEIVERS ? &m.kernel->receivers : &m.kernel->senders;
	unsigned int i, step = 0;
	uint32_t len;
	char c = 0;
	int result;

	for (i = 0; i < rounds; i++) {
		meet(0, &step);
		if (side == MBOX_RING_RECEIVERS)
			result = ring_send(r, &c, 1);
		else
			result = ring_receive(r, &c, 1, false, &len);
		if (result != RING_OK)
			errx(1, "publisher: result %d", result);
		if (fences == NONE)
			compiler_barrier();
		else
			ring_fence(r);
		sleepers_seen = __atomic_load_n(count, __ATOMIC_RELAXED);
		meet(0, &step);
		meet(0, &step);
	}
	return NULL;
}

static unsigned long sleeper(void)
{
	struct ring *r = side == MBOX_RING_RECEIVERS ? &rx : &tx;
	uint32_t *count = side == MBOX_RING_RECEIVERS ? &m.kernel->receivers : &m.kernel->senders;
	unsigned long missed = 0;
	unsigned int i, step = 0;
	uint32_t len;
	char c = 0;
	int result;

	for (i = 0; i < rounds; i++) {
		meet(1, &step);
		__atomic_store_n(count, 1, __ATOMIC_RELAXED);
		if (fences == ASYMMETRIC)
			syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
		else if (fences == FULL)
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
		else
			compiler_barrier();
		work_seen = sleep_condition(r, side);
		meet(1, &step);
		missed += !work_seen && !sleepers_seen;
		/* As it was. */
		__atomic_store_n(count, 0, __ATOMIC_RELAXED);
		if (side == MBOX_RING_RECEIVERS)
			result = ring_receive(r, &c, 1, false, &len);
		else
			result = ring_send(r, &c, 1);
		if (result != RING_OK)
			errx(1, "sleeper: result %d", result);
		meet(1, &step);
	}
	return missed;
}

static unsigned long run(enum fences f, int of, uint32_t flags)
{
	static const char *const name[] = { "no fence", "full fence", "asymmetric fence" };
	unsigned long missed;
	pthread_t thread;
	char c = 0;

	fences = f;
	side = of;
	memory_make(&m, 1, 8, flags, 0);
	m.info.barrier = f == ASYMMETRIC;
	memory_join(&m, &tx, 1);
	memory_join(&m, &rx, 0);
	at[0] = 0;
	at[1] = 0;
	if (side == MBOX_RING_SENDERS)
		ring_send(&tx, &c, 1);
	if (pthread_create(&thread, NULL, publisher, NULL))
		errx(1, "pthread_create");
	missed = sleeper();
	pthread_join(thread, NULL);
	memory_free(&m);
	printf("%s: %s, %s sleep: %lu of %u missed each other\n",
	       f == NONE ? "control" : missed ? "not ok" : "ok", name[f],
	       of == MBOX_RING_RECEIVERS ? "receivers" : "senders", missed, rounds);
	return f == NONE ? 0 : missed;
}

int main(int argc, char **argv)
{
	const uint32_t alone = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER;
	unsigned long missed = 0;
	int c;

	while ((c = getopt(argc, argv, "n:")) != -1) {
		if (c != 'n')
			return 2;
		rounds = strtoul(optarg, NULL, 0);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (membarrier_register())
		err(1, "membarrier");
	for (c = MBOX_RING_RECEIVERS; c <= MBOX_RING_SENDERS; c++) {
		missed += run(NONE, c, alone);
		missed += run(FULL, c, alone);
		missed += run(ASYMMETRIC, c, alone);
		missed += run(FULL, c, 0);
		missed += run(ASYMMETRIC, c, 0);
	}
	return missed != 0;
}
