/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads that the kernel makes for requests of io_uring that wait. */
#ifndef SELFTESTS_WORKERS_H
#define SELFTESTS_WORKERS_H

#include <dirent.h>

#include "wrappers.h"

/* How many this process has. */
static inline int workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	char path[300], name[32];
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		if (!read_file(path, name, sizeof(name)))
			n += !strncmp(name, "iou-wrk", 7);
	}
	if (dir)
		closedir(dir);
	return n;
}

#endif /* SELFTESTS_WORKERS_H */
