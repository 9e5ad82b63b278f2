// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which messages a mailbox has got, by their keys.
 *
 * Two tables: keys go to the newer one, and when that has SEEN_MIN, the older one is
 * emptied and becomes the newer. So the last SEEN_MIN are always known, memory is fixed,
 * and no key is ever removed from the middle of a table.
 */
#include <stdlib.h>
#include <string.h>

#include "bridge.h"

/* At most half full, so that a search is short. */
#define TABLE_SIZE (2 * SEEN_MIN)

/**
 * struct seen - keys
 * @table: both tables; 0: a free place
 * @newer: which one is the newer
 * @count: keys in it
 */
struct seen {
	uint64_t table[2][TABLE_SIZE];
	unsigned int newer;
	unsigned int count;
};

struct seen *seen_new(void)
{
	return calloc(1, sizeof(struct seen));
}

/* Where @key is, or would go. */
static uint64_t *place_of(uint64_t *table, uint64_t key)
{
	/* 2^64 divided by the golden ratio spreads numbers that follow each other. */
	unsigned int at = (key * 0x9e3779b97f4a7c15ULL) >> 32;

	for (at %= TABLE_SIZE; table[at] && table[at] != key; at = (at + 1) % TABLE_SIZE)
		;
	return &table[at];
}

bool seen_has(struct seen *seen, uint64_t key)
{
	key = key ?: 1;
	return *place_of(seen->table[0], key) || *place_of(seen->table[1], key);
}

void seen_add(struct seen *seen, uint64_t key)
{
	if (seen->count == SEEN_MIN) {
		seen->newer ^= 1;
		seen->count = 0;
		memset(seen->table[seen->newer], 0, sizeof(seen->table[0]));
	}
	key = key ?: 1;
	*place_of(seen->table[seen->newer], key) = key;
	seen->count++;
}

void seen_free(struct seen *seen)
{
	free(seen);
}
