/* SPDX-License-Identifier: GPL-2.0-only */
/* Routes of mbox-nats, from the file of counters that it writes. */
#ifndef MBOXCTL_ROUTES_H
#define MBOXCTL_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Where the unit of mbox-nats has it. */
#define ROUTES_FILE "/run/mbox-nats/metrics"

/**
 * struct route_row - a route, with all that it has done
 * @kind: export, import, serve or call
 * @mailbox: its mailbox
 * @subject: its subject
 * @group: its queue group or durable consumer, or ""
 * @messages: messages, requests or calls that were passed on
 * @bytes: their payloads
 * @errors: those that failed
 * @retries: those that were sent again
 * @duplicates: those that the other side had already
 * @lost: those that were dropped, because they came too fast or nobody can take them
 */
struct route_row {
	char *kind;
	char *mailbox;
	char *subject;
	char *group;
	uint64_t messages;
	uint64_t bytes;
	uint64_t errors;
	uint64_t retries;
	uint64_t duplicates;
	uint64_t lost;
};

/**
 * struct routes - routes as a file had them
 * @rows: a growing array, in the order of the file
 * @n: how many
 * @connected: whether there is a connection to NATS
 * @written: when the file was
 */
struct routes {
	struct route_row *rows;
	size_t n;
	bool connected;
	struct timespec written;
};

/*
 * Returns false with errno set, which is EINVAL for what is no regular file; a text of
 * another kind has no routes.
 */
bool routes_read(struct routes *routes, const char *file);
void routes_free(struct routes *routes);
/* The same route in another reading, or NULL; @hint is its place if nothing has changed. */
const struct route_row *routes_find(const struct routes *routes, const struct route_row *row,
				    size_t hint);
/* "KIND MAILBOX -> SUBJECT", as a line of the file of routes, in exactly @width columns. */
void routes_print_name(const struct route_row *row, int width);
/* How wide the widest of these is. */
int routes_name_width(const struct routes *routes);
void routes_print_json(const struct routes *routes, const struct route_row *row);

#endif /* MBOXCTL_ROUTES_H */
