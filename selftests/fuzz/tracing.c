// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's tracepoints: on from time to time, for all, because to switch
 * them takes longer than a program does; or on all the time, if --steady.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "fuzz.h"

#define EVENTS	"/sys/kernel/tracing/events/mbox"
/* Of so many programs of the first job, so many are traced. */
#define PERIOD	1000
#define TRACED	60

static int perf[WORKERS * 16];
static unsigned int nperf;
/* The tracepoints, or some of them, without us. */
static bool was_on;

static void attach(unsigned long event)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr),
		.config = event,
		.sample_period = 1, .sample_type = PERF_SAMPLE_RAW,
	};
	unsigned int i;
	int fd;

	for (i = 0; i < WORKERS && nperf < ARRAY_SIZE(perf); i++) {
		fd = syscall(SYS_perf_event_open, &attr, shared->worker[i].tid,
			     -1, -1, 0);
		if (fd >= 0)
			perf[nperf++] = fd;
	}
}

/* As perf(1) does it. */
static void attach_all(void)
{
	char path[300], text[16];
	struct dirent *entry;
	DIR *dir;
	int fd;

	dir = opendir(EVENTS);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), EVENTS "/%s/id", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		memset(text, 0, sizeof(text));
		if (read(fd, text, sizeof(text) - 1) > 0)
			attach(strtoul(text, NULL, 10));
		close(fd);
	}
	if (dir)
		closedir(dir);
}

/* As they were before. What perf has ends with its descriptors. */
void tracing_end(void)
{
	if (!was_on)
		write_file(EVENTS "/enable", "0");
}

/* Before the first job begins. */
void tracing_init(void)
{
	int fd = open(EVENTS "/enable", O_RDONLY | O_CLOEXEC);
	char state = '0';

	if (fd < 0)
		return;
	was_on = read(fd, &state, 1) == 1 && state != '0';
	close(fd);
}

/* While no job runs. */
void tracing_begin(void)
{
	if (options.steady)
		write_file(EVENTS "/enable", "1");
}

void tracing_step(uint64_t program)
{
	if (options.steady || job || program % PERIOD > TRACED)
		return;
	if (program % PERIOD == 0) {
		write_file(EVENTS "/enable", "1");
		attach_all();
	} else if (program % PERIOD == TRACED) {
		tracing_end();
		while (nperf)
			close(perf[--nperf]);
	}
}

/* Have what was recorded made into text. */
long op_trace(struct worker *l, const struct op *op)
{
	int fd = open("/sys/kernel/tracing/trace", O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t len = 0;
	int i;

	if (fd < 0)
		return -errno;
	for (i = 0; i < 4; i++)
		len = read(fd, text, sizeof(text));
	close(fd);
	return len;
}
