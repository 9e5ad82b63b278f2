// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exercise 1: a bounded buffer whose consumer waits by looking again and again. How
 * often does it look before there is an item? The producer here takes its time: it
 * begins when the consumer has looked a million times.
 */
#include "example.h"

#define SLOTS 8
#define MILLION 1000000

static volatile struct {
	int slot[SLOTS];
	int in, out;
	long looks;
} *buffer;

/* [naive] */
static void consume(int number)
{
	(void)number;
	while (buffer->in == buffer->out)
		buffer->looks++;
	say("the consumer has item %d", buffer->slot[buffer->out]);
	buffer->out = (buffer->out + 1) % SLOTS;
}

/* [/naive] */

int main(void)
{
	buffer = shared_memory(sizeof(*buffer));
	start(consume, 0);
	while (buffer->looks < MILLION)
		sched_yield();
	say("the consumer has looked a million times, and there was nothing");

	buffer->slot[0] = 42;
	/* The item is there before the consumer can see that it is. */
	__atomic_store_n(&buffer->in, 1, __ATOMIC_RELEASE);
	join();

	return 0;
}
