/* SPDX-License-Identifier: GPL-2.0-only */
/* Mailboxes as a walk finds them, for the commands that show them. */
#ifndef MBOXCTL_LIST_H
#define MBOXCTL_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <mbox.h>

/**
 * struct list - mailboxes, as they were found
 * @items: a growing array
 * @n: how many
 */
struct list {
	struct mbox_walk *items;
	size_t n;
};

/*
 * list_read() and list_all() find the mailboxes that the caller may see, in the order of
 * their ids. These return false with errno set; list_all() also prints an error.
 */
bool list_read(struct list *list);
bool list_all(struct list *list);
bool list_add(struct list *list, const struct mbox_walk *item);
void list_free(struct list *list);

/* Into the order of ids. */
void list_sort(struct list *list);
/* In a list in that order: the mailbox with an id, or NULL. */
const struct mbox_walk *list_find_id(const struct list *list, uint64_t id);

/* Adds the mailbox that an argument names. Prints an error and returns false. */
bool list_target(struct list *list, const struct list *all, const char *text);

/* How wide a column of their names is. */
int list_name_width(const struct list *list);
void list_print_json_item(const struct mbox_walk *item);

#endif /* MBOXCTL_LIST_H */
