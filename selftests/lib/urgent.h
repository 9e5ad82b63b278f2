/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests in which nothing less urgent may run on CPU 0. */
#ifndef SELFTESTS_URGENT_H
#define SELFTESTS_URGENT_H

#include "wrappers.h"

/*
 * The scheduler lets the less urgent run for a part of each second: by limiting real-time
 * threads, and since 6.12 by a deadline server. Either would end what the tests wait for.
 */
static const struct {
	const char *path;
	const char *off;
} rescuers[] = {
	{ "/proc/sys/kernel/sched_rt_runtime_us", "-1" },
	{ "/sys/kernel/debug/sched/fair_server/cpu0/runtime", "0" },
};

/* What the settings were; empty: not changed. */
struct rescue {
	char was[ARRAY_SIZE(rescuers)][32];
};

static inline int rescue_off(struct rescue *r)
{
	size_t i;
	int ret;

	memset(r, 0, sizeof(*r));
	for (i = 0; i < ARRAY_SIZE(rescuers); i++) {
		if (access(rescuers[i].path, F_OK))
			continue;
		ret = read_file(rescuers[i].path, r->was[i], sizeof(r->was[i]));
		if (!ret)
			ret = write_file(rescuers[i].path, "%s", rescuers[i].off);
		if (ret)
			return ret;
	}
	return 0;
}

static inline int rescue_on(const struct rescue *r)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rescuers); i++)
		if (r->was[i][0])
			ret = write_file(rescuers[i].path, "%s", r->was[i]) ?: ret;
	return ret;
}

#endif /* SELFTESTS_URGENT_H */
