// SPDX-License-Identifier: GPL-2.0-only
/* Mailboxes as a walk finds them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "list.h"
#include "text.h"

#define NAME_WIDTH_MAX 40

bool list_add(struct list *list, const struct mbox_walk *item)
{
	struct mbox_walk *items;

	/* Grows whenever n is a power of two. */
	if (!(list->n & (list->n - 1))) {
		items = realloc(list->items, (list->n ? 2 * list->n : 1) * sizeof(*items));
		if (!items)
			return false;
		list->items = items;
	}
	list->items[list->n++] = *item;

	return true;
}

bool list_read(struct list *list)
{
	struct mbox_walk pos = { 0 };

	while (mbox_walk(&pos) == 0) {
		if (!list_add(list, &pos))
			return false;
	}

	return errno == ENOENT;
}

bool list_all(struct list *list)
{
	if (list_read(list))
		return true;
	print_perror("cannot list mailboxes");

	return false;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t left = ((const struct mbox_walk *)a)->id;
	uint64_t right = ((const struct mbox_walk *)b)->id;

	return left < right ? -1 : left > right;
}

void list_sort(struct list *list)
{
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), compare_ids);
}

const struct mbox_walk *list_find_id(const struct list *list, uint64_t id)
{
	const struct mbox_walk key = { .id = id };

	return list->n ? bsearch(&key, list->items, list->n, sizeof(key), compare_ids) : NULL;
}

static bool is_target(const struct mbox_walk *item, const struct target *target)
{
	if (target->name)
		return !strcmp(item->name, target->name);

	return item->id == target->id;
}

bool list_target(struct list *list, const struct list *all, const char *text)
{
	struct target target;
	size_t i;

	if (!parse_target(text, &target))
		return false;

	/* An empty name is how the walk shows that there is none. */
	if (target.name && !*target.name) {
		print_error("a name is not empty");
		return false;
	}

	for (i = 0; i < all->n; i++) {
		if (!is_target(&all->items[i], &target))
			continue;
		if (list_add(list, &all->items[i]))
			return true;
		print_perror("cannot show '%s'", text);
		return false;
	}
	print_error("no mailbox '%s' that you may see", text);

	return false;
}

void list_free(struct list *list)
{
	free(list->items);
	list->items = NULL;
	list->n = 0;
}

int list_name_width(const struct list *list)
{
	int width, widest = strlen("NAME");
	size_t i;

	for (i = 0; i < list->n; i++) {
		width = text_width(list->items[i].name);
		/* A few long names do not push the columns of all away. */
		if (width > widest && width <= NAME_WIDTH_MAX)
			widest = width;
	}

	return widest;
}
