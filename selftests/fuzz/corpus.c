// SPDX-License-Identifier: GPL-2.0-only
/*
 * The corpus: programs that reach something that those before them did not. All
 * jobs have it together.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

#define CORPUS_MAX	4096
/* How many entries the repository is to have. */
#define DISTILLED_MAX	100

static struct kept {
	uint32_t lock;
	unsigned int size;
	struct cover reached;
	struct entry entries[CORPUS_MAX];
} *kept;

void corpus_init(void)
{
	kept = share(sizeof(*kept));
}

unsigned int corpus_size(void)
{
	return __atomic_load_n(&kept->size, __ATOMIC_RELAXED);
}

void corpus_add(const struct program *p, const struct cover *c)
{
	struct entry *e;

	lock(&kept->lock);
	/* A full corpus forgets at random. */
	e = &kept->entries[kept->size < CORPUS_MAX ? kept->size++ :
						     below(CORPUS_MAX)];
	e->program = *p;
	e->cover = *c;
	unlock(&kept->lock);
}

/* The newest are picked more often: what is behind them is less explored. */
void corpus_pick(struct program *p)
{
	uint32_t i;

	lock(&kept->lock);
	i = below(kept->size);
	if (below(2))
		i = kept->size - 1 - below(1 + kept->size / 8);
	*p = kept->entries[i].program;
	unlock(&kept->lock);
}

unsigned int corpus_claim(const struct cover *c, struct cover *fresh)
{
	unsigned int n;

	lock(&kept->lock);
	n = cover_new(c, &kept->reached, fresh);
	cover_add(&kept->reached, c);
	unlock(&kept->lock);
	return n;
}

const struct cover *corpus_reached(void)
{
	return &kept->reached;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

void corpus_load(const char *path,
		 void (*fn)(const char *path, const struct program *p))
{
	struct dirent **names;
	struct program p;
	char file[4096];
	struct stat st;
	int i, n;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		if (!program_from_file(&p, path))
			die("%s: not a program", path);
		fn(path, &p);
		return;
	}
	n = scandir(path, &names, NULL, by_name);
	if (n < 0)
		die("%s: %s", path, strerror(errno));
	for (i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && program_from_file(&p, file))
			fn(file, &p);
		free(names[i]);
	}
	free(names);
}

/* Greedy: again and again the entry that adds most for its length. */
void corpus_distill(void)
{
	unsigned int i, n, gain, best_gain;
	struct cover all = {}, fresh;
	struct entry *best;

	for (n = 0; n < DISTILLED_MAX; n++) {
		best = NULL;
		best_gain = 0;
		for (i = 0; i < kept->size; i++) {
			struct entry *e = &kept->entries[i];

			gain = cover_new(&e->cover, &all, &fresh) * 1000;
			gain /= 4 + e->program.n;
			if (gain > best_gain) {
				best = e;
				best_gain = gain;
			}
		}
		if (!best)
			break;
		cover_add(&all, &best->cover);
		log_program("D", &best->program);
	}
	printf("distilled %u programs to %u, which reach %u places\n",
	       kept->size, n, cover_count(&all));
}
