// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exercise 2: a bounded buffer with two indices, in and out, which go round. Where they
 * are equal, is it empty or full? The naive code leaves a slot free so that they are
 * equal only if it is empty. How many items does it hold? And what happens to the code
 * that fills each slot?
 */
#include "example.h"

#define SLOTS 8

static int slot[SLOTS], in, out;

static int is_empty(void)
{
	return in == out;
}

/* [naive] */
static int is_full(void)
{
	return (in + 1) % SLOTS == out;
}

static void insert(int item)
{
	slot[in] = item;
	in = (in + 1) % SLOTS;
}

/* [/naive] */

int main(void)
{
	int n = 0;

	while (!is_full())
		insert(n++);
	say("a buffer of %d slots is full with %d items", SLOTS, n);

	insert(n++);
	if (is_empty())
		say("with %d items it looks empty", n);

	return 0;
}
