// SPDX-License-Identifier: GPL-2.0-only
/* Routes of mbox-nats, from the file of counters that it writes. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "routes.h"
#include "text.h"

#define PREFIX "mbox_nats_"

static const char *arrow(const struct route_row *row)
{
	return strcmp(row->kind, "serve") ? "->" : "<-";
}

/*
 * The value of label @key at *@at, without its escapes, which makes it no longer; *@at is
 * behind it then. NULL: it is another one.
 */
static char *take_label(char **at, const char *key)
{
	size_t len = strlen(key);
	char *from, *to, *value;

	if (strncmp(*at, key, len) || strncmp(*at + len, "=\"", 2))
		return NULL;
	from = *at + len + 2;
	to = from;
	value = from;
	while (*from && *from != '"') {
		if (*from == '\\' && from[1]) {
			from++;
			*to++ = *from == 'n' ? '\n' : *from;
			from++;
		} else {
			*to++ = *from++;
		}
	}
	if (!*from)
		return NULL;
	from++;
	if (*from == ',')
		from++;
	*to = '\0';
	*at = from;

	return value;
}

static bool is_same(const struct route_row *a, const struct route_row *b)
{
	return !strcmp(a->kind, b->kind) && !strcmp(a->mailbox, b->mailbox) &&
	       !strcmp(a->subject, b->subject) && !strcmp(a->group, b->group);
}

const struct route_row *routes_find(const struct routes *routes, const struct route_row *row,
				    size_t hint)
{
	size_t i;

	if (hint < routes->n && is_same(&routes->rows[hint], row))
		return &routes->rows[hint];
	for (i = 0; i < routes->n; i++) {
		if (is_same(&routes->rows[i], row))
			return &routes->rows[i];
	}

	return NULL;
}

static void free_row(struct route_row *row)
{
	free(row->kind);
	free(row->mailbox);
	free(row->subject);
	free(row->group);
}

/* Returns NULL with errno set. */
static struct route_row *add(struct routes *routes, const struct route_row *row)
{
	struct route_row *rows, copy = {
		.kind = strdup(row->kind),
		.mailbox = strdup(row->mailbox),
		.subject = strdup(row->subject),
		.group = strdup(row->group),
	};

	rows = reallocarray(routes->rows, routes->n + 1, sizeof(*rows));
	if (rows)
		routes->rows = rows;
	if (!rows || !copy.kind || !copy.mailbox || !copy.subject || !copy.group) {
		free_row(&copy);
		errno = ENOMEM;
		return NULL;
	}
	rows[routes->n] = copy;

	return &rows[routes->n++];
}

/* Rows begin with 0. What the file has twice, because it was reloaded, is one route. */
static void count(struct route_row *row, const char *name, uint64_t value)
{
	if (!strcmp(name, "messages"))
		row->messages += value;
	else if (!strcmp(name, "bytes"))
		row->bytes += value;
	else if (!strcmp(name, "errors"))
		row->errors += value;
	else if (!strcmp(name, "retries"))
		row->retries += value;
	else if (!strcmp(name, "duplicates"))
		row->duplicates += value;
	else if (!strcmp(name, "dropped") || !strcmp(name, "rejected"))
		row->lost += value;
}

/*
 * mbox_nats_NAME_total{kind="KIND",mailbox="MAILBOX",subject="SUBJECT",group="GROUP"} VALUE,
 * perhaps without the group. Each metric has the routes in the same order; @place is that of
 * this line. Returns false with errno set.
 */
static bool read_line(struct routes *routes, char *line, size_t *place)
{
	char *at = strchr(line, '{'), *end;
	const struct route_row *found;
	char none = '\0';
	struct route_row row;

	if (!at) {
		if (!strncmp(line, PREFIX "connected ", strlen(PREFIX "connected ")))
			routes->connected = line[strlen(PREFIX "connected ")] == '1';
		*place = 0;
		return true;
	}
	*at++ = '\0';
	end = strstr(line, "_total");
	row.kind = take_label(&at, "kind");
	row.mailbox = row.kind ? take_label(&at, "mailbox") : NULL;
	row.subject = row.mailbox ? take_label(&at, "subject") : NULL;
	row.group = row.subject ? take_label(&at, "group") : NULL;
	if (!row.group)
		row.group = &none;
	if (strncmp(line, PREFIX, strlen(PREFIX)) || !end || !row.subject || *at != '}')
		return true;
	*end = '\0';
	found = routes_find(routes, &row, (*place)++);
	if (!found)
		found = add(routes, &row);
	if (!found)
		return false;
	count(&routes->rows[found - routes->rows], line + strlen(PREFIX),
	      strtoull(at + 1, NULL, 10));

	return true;
}

/* A pipe or a terminal could keep the caller waiting. Returns NULL with errno set. */
static FILE *open_regular(const char *file)
{
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	FILE *from = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		from = fdopen(fd, "r");
	else
		errno = EINVAL;
	if (!from)
		close(fd);

	return from;
}

bool routes_read(struct routes *routes, const char *file)
{
	FILE *from = open_regular(file);
	size_t size = 0, place = 0;
	struct stat st = { 0 };
	char *line = NULL;
	bool done = true;

	*routes = (struct routes){ 0 };
	if (!from)
		return false;
	if (!fstat(fileno(from), &st))
		routes->written = st.st_mtim;
	while (done && getline(&line, &size, from) >= 0)
		done = read_line(routes, line, &place);
	done = done && !ferror(from);
	free(line);
	fclose(from);
	if (!done)
		routes_free(routes);

	return done;
}

void routes_free(struct routes *routes)
{
	size_t i;

	for (i = 0; i < routes->n; i++)
		free_row(&routes->rows[i]);
	free(routes->rows);
	*routes = (struct routes){ 0 };
}

/* Returns NULL without memory. */
static char *name_of(const struct route_row *row)
{
	bool import = !strcmp(row->kind, "import");
	char *name;

	if (asprintf(&name, "%s %s %s %s%s%s", row->kind, import ? row->subject : row->mailbox,
		     arrow(row), import ? row->mailbox : row->subject, *row->group ? " of " : "",
		     row->group) < 0)
		return NULL;

	return name;
}

void routes_print_name(const struct route_row *row, int width)
{
	char *name = name_of(row);

	text_print_cut(name ? name : "", width);
	free(name);
}

int routes_name_width(const struct routes *routes)
{
	int width, widest = 0;
	char *name;
	size_t i;

	for (i = 0; i < routes->n; i++) {
		name = name_of(&routes->rows[i]);
		width = name ? text_width(name) : 0;
		if (width > widest)
			widest = width;
		free(name);
	}

	return widest;
}

static void print_text(const char *key, const char *text)
{
	printf("\"%s\":", key);
	text_print_json(text);
	putchar(',');
}

void routes_print_json(const struct routes *routes, const struct route_row *row)
{
	putchar('{');
	print_text("kind", row->kind);
	print_text("mailbox", row->mailbox);
	print_text("subject", row->subject);
	print_text("group", row->group);
	printf("\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"errors\":%" PRIu64
	       ",\"retries\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"lost\":%" PRIu64
	       ",\"connected\":%s}",
	       row->messages, row->bytes, row->errors, row->retries, row->duplicates, row->lost,
	       routes->connected ? "true" : "false");
}
