// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print the frequency of the time stamp counter in kHz. Under TCG a guest reads
 * the host's counter, and finds its frequency by timers that a busy host serves
 * late; a clock that is several times too fast makes time limits end early.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct reading {
	uint64_t ticks;
	int64_t ns;
};

/* Counter and clock at one moment: the attempt that was interrupted least. */
static struct reading take(void)
{
	struct reading best = { 0 };
	uint64_t least = UINT64_MAX;
	int i;

	for (i = 0; i < 100; i++) {
		uint64_t before = __rdtsc(), after;
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		after = __rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		best.ticks = before + least / 2;
		best.ns = ts.tv_sec * 1000000000LL + ts.tv_nsec;
	}
	return best;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	struct reading a, b;

	a = take();
	nanosleep(&pause, NULL);
	b = take();
	printf("%.0f\n", (b.ticks - a.ticks) * 1e6 / (b.ns - a.ns));
	return 0;
}
