// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exercise 2, mended: in and out count all items that ever went in and out. They do not
 * go round, only the places in the array do. Their difference is how many there are,
 * also after the numbers have overflowed, because they are unsigned and the number of
 * slots is a power of two. The rings of mbox do it so.
 */
#include "example.h"

#define SLOTS 8

static int slot[SLOTS];
/* Soon to overflow, to show that it does no harm. */
static unsigned int in = -3U, out = -3U;

/* [mended] */
static int is_full(void)
{
	return in - out == SLOTS;
}

static void insert(int item)
{
	slot[in++ % SLOTS] = item;
}

/* [/mended] */

static int take_out(void)
{
	return slot[out++ % SLOTS];
}

int main(void)
{
	int n = 0, i;

	while (!is_full())
		insert(n++);
	say("a buffer of %d slots is full with %d items", SLOTS, n);

	for (i = 0; in != out; i++) {
		if (take_out() != i)
			say("item %d is not in its order", i);
	}
	say("%d items came out in their order, and it is empty", i);

	return 0;
}
