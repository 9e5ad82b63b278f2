// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dining philosophers: between each two of them lies one fork, and each needs both
 * of its neighbours' forks to eat. If each takes the left fork first, all can wait for
 * the right one for ever. Here each takes the fork of the lower number first, so they
 * never wait in a circle. A fork is a mailbox with one message.
 */
#include "example.h"

#define PHILOSOPHERS 5
#define MEALS 20

static struct mbox *forks[PHILOSOPHERS];
static volatile int *in_use;

/* [dine] */
static void dine(int number)
{
	int left = number, right = (number + 1) % PHILOSOPHERS;
	int first = left < right ? left : right;
	int second = left < right ? right : left;
	int meal;
	char fork;

	for (meal = 0; meal < MEALS; meal++) {
		TRY(mbox_recv(forks[first], &fork, 1, 0));
		TRY(mbox_recv(forks[second], &fork, 1, 0));
		/* Eat. */
		if (in_use[left]++ || in_use[right]++)
			say("two philosophers use one fork");
		in_use[left]--;
		in_use[right]--;
		TRY(mbox_send(forks[second], &fork, 1, 0));
		TRY(mbox_send(forks[first], &fork, 1, 0));
	}
}

/* [/dine] */

int main(void)
{
	int i;

	in_use = shared_memory(PHILOSOPHERS * sizeof(*in_use));
	for (i = 0; i < PHILOSOPHERS; i++) {
		forks[i] = new_mailbox(MBOX_QUEUE, 0, 1);
		TRY(mbox_send(forks[i], "F", 1, 0));
	}
	for (i = 0; i < PHILOSOPHERS; i++)
		start(dine, i);
	join();
	say("%d philosophers have had %d meals each", PHILOSOPHERS, MEALS);

	return 0;
}
