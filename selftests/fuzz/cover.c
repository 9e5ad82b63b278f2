// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage: KCOV writes the address of every place of the module that a task
 * passes into an area of ours. There is an area for each worker, one for its
 * children and one for the main process, all made before the processes are.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcov.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "fuzz.h"

#define KCOV_FILE	"/sys/kernel/debug/kcov"
#define SECTIONS	"/sys/module/mbox/sections"
/* Entries of an area; what does not fit is lost. */
#define AREA_SIZE	(32UL << 10)
#define TABLE_SIZE	(4 * MAX_SITES)
#define MAX_SECTIONS	32

static int files[COVER_AREAS];
static unsigned long *areas[COVER_AREAS];
static bool available;

/*
 * What all jobs know: places by address, numbered in the order in which they
 * were met, and pairs of places that followed one another.
 */
static struct known {
	uint32_t lock;
	unsigned int nplaces;
	unsigned long table[TABLE_SIZE];
	uint16_t numbers[TABLE_SIZE];
	unsigned long places[MAX_SITES];
	uint8_t edges[MAX_EDGES];
} *known;

static struct section {
	char name[32];
	unsigned long start;
} sections[MAX_SECTIONS];
static unsigned int nsections;

bool cover_init(void)
{
	unsigned int i;
	void *area;

	if (!known)
		known = share(sizeof(*known));
	for (i = 0; i < COVER_AREAS; i++) {
		files[i] = open(KCOV_FILE, O_RDWR | O_CLOEXEC);
		if (files[i] < 0)
			return false;
		if (ioctl(files[i], KCOV_INIT_TRACE, AREA_SIZE)) {
			/* A program of 32 bits on a kernel of 64. */
			if (errno != ENOTTY)
				die("kcov: %s", strerror(errno));
			close(files[i]);
			return false;
		}
		area = mmap(NULL, AREA_SIZE * sizeof(long),
			    PROT_READ | PROT_WRITE, MAP_SHARED, files[i], 0);
		if (area == MAP_FAILED)
			die("kcov: mmap: %s", strerror(errno));
		areas[i] = area;
		/* Only the main process reads them. */
		madvise(area, AREA_SIZE * sizeof(long), MADV_DONTFORK);
	}
	available = true;
	return true;
}

bool cover_available(void)
{
	return available;
}

/* Where the module is; it moves when it is loaded again. */
void cover_find_module(void)
{
	char path[300], text[32];
	struct dirent *entry;
	DIR *dir;
	int fd;

	if (!available)
		return;
	nsections = 0;
	dir = opendir(SECTIONS);
	if (!dir)
		die("%s: %s", SECTIONS, strerror(errno));
	while ((entry = readdir(dir)) && nsections < MAX_SECTIONS) {
		/* .text, .init.text, .text.unlikely ... */
		if (!strstr(entry->d_name, ".text") ||
		    strlen(entry->d_name) >= sizeof(sections->name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", SECTIONS, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		memset(text, 0, sizeof(text));
		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
			die("%s: %s", path, strerror(errno));
		close(fd);
		strcpy(sections[nsections].name, entry->d_name);
		sections[nsections++].start = strtoul(text, NULL, 16);
	}
	closedir(dir);
}

void cover_enable(unsigned int area)
{
	if (available)
		ioctl(files[area], KCOV_ENABLE, KCOV_TRACE_PC);
}

void cover_disable(unsigned int area)
{
	if (available)
		ioctl(files[area], KCOV_DISABLE, 0);
}

void cover_reset(void)
{
	unsigned int i;

	for (i = 0; available && i < COVER_AREAS; i++)
		__atomic_store_n(&areas[i][0], 0, __ATOMIC_RELAXED);
}

static unsigned int place_number(unsigned long address)
{
	unsigned int i = address * 0x9e3779b97f4a7c15ULL >> 50;

	for (i %= TABLE_SIZE; known->table[i]; i = (i + 1) % TABLE_SIZE)
		if (known->table[i] == address)
			return known->numbers[i];
	if (known->nplaces == MAX_SITES)
		die("more than %u places", MAX_SITES);
	known->table[i] = address;
	known->numbers[i] = known->nplaces;
	known->places[known->nplaces] = address;
	return known->nplaces++;
}

unsigned int cover_collect(struct cover *c)
{
	unsigned int i, site, edge, last, fresh = 0;
	unsigned long n, j;

	if (!available)
		return 0;
	lock(&known->lock);
	for (i = 0; i < COVER_AREAS; i++) {
		n = MIN(__atomic_load_n(&areas[i][0], __ATOMIC_RELAXED),
			AREA_SIZE - 1);
		last = 0;
		for (j = 1; j <= n; j++) {
			site = place_number(areas[i][j]);
			c->sites[site / 64] |= 1ULL << site % 64;
			edge = (last * 31 + site) % MAX_EDGES;
			fresh += !known->edges[edge];
			known->edges[edge] = 1;
			last = site + 1;
		}
	}
	unlock(&known->lock);
	return fresh;
}

unsigned int cover_count(const struct cover *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(c->sites); i++)
		n += __builtin_popcountll(c->sites[i]);
	return n;
}

unsigned int cover_new(const struct cover *c, const struct cover *known,
		       struct cover *fresh)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c->sites); i++)
		fresh->sites[i] = c->sites[i] & ~known->sites[i];
	return cover_count(fresh);
}

bool cover_contains(const struct cover *c, const struct cover *part)
{
	struct cover rest;

	return !cover_new(part, c, &rest);
}

void cover_add(struct cover *to, const struct cover *c)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c->sites); i++)
		to->sites[i] |= c->sites[i];
}

void cover_write(const struct cover *c)
{
	const struct section *best;
	unsigned int i, j;

	for (i = 0; i < known->nplaces; i++) {
		if (!(c->sites[i / 64] >> i % 64 & 1))
			continue;
		best = NULL;
		for (j = 0; j < nsections; j++)
			if (sections[j].start <= known->places[i] &&
			    (!best || sections[j].start > best->start))
				best = &sections[j];
		if (best)
			log_line("C %s %lx", best->name,
				 known->places[i] - best->start);
	}
}
