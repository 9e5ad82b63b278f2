// SPDX-License-Identifier: GPL-2.0-only
/* Tables whose columns the user chooses, printed by libsmartcols. */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"
#include "table.h"
#include "text.h"

/**
 * struct table - a table that is being filled
 * @kind: what can be in it
 * @choice: how it is printed
 * @chosen: numbers of the columns that it has
 * @n: how many
 * @sort: the one that it is sorted by, or NULL
 * @scols: the table
 * @error: why a row could not be added, or 0
 */
struct table {
	const struct table_kind *kind;
	const struct table_choice *choice;
	unsigned int chosen[TABLE_COLUMNS_MAX];
	unsigned int n;
	struct libscols_column *sort;
	struct libscols_table *scols;
	int error;
};

bool table_option(struct table_choice *choice, int id, const char *arg)
{
	switch (id) {
	case 'o':
		choice->columns = arg;
		return true;
	case OPT_SORT:
		choice->sort = arg;
		return true;
	case OPT_NOHEADINGS:
		choice->noheadings = true;
		return true;
	case 'r':
		choice->raw = true;
		return true;
	case 'J':
		choice->json = true;
		return true;
	default:
		return false;
	}
}

bool table_choice_valid(const struct table_choice *choice, bool all)
{
	if (all && (choice->columns || choice->sort || choice->noheadings || choice->raw ||
		    choice->json || choice->tree >= 0))
		usage_error("--json prints everything: it has no columns to choose");
	else if (choice->json && (choice->raw || choice->noheadings))
		usage_error("JSON has no headings and is never raw");
	else
		return true;

	return false;
}

void table_print_columns(const struct table_kind *kind)
{
	unsigned int i;

	printf("\nColumns, with those marked * that are there by default:\n");
	for (i = 0; i < kind->n; i++)
		printf("  %c %-12s  %s\n", kind->columns[i].shown ? '*' : ' ',
		       kind->columns[i].name, kind->columns[i].about);
}

/* The column that the first @len bytes of @text name, or -1. */
static int find_column(const struct table_kind *kind, const char *text, size_t len)
{
	unsigned int i;

	for (i = 0; i < kind->n; i++) {
		if (strlen(kind->columns[i].name) == len &&
		    !strncasecmp(kind->columns[i].name, text, len))
			return i;
	}
	print_error("unknown column: '%.*s'", (int)len, text);

	return -1;
}

static bool has_column(const struct table *table, unsigned int column)
{
	unsigned int i;

	for (i = 0; i < table->n; i++) {
		if (table->chosen[i] == column)
			return true;
	}

	return false;
}

/* Twice the same tells nothing, and would be twice the same key. */
static void choose_column(struct table *table, unsigned int column)
{
	if (!has_column(table, column))
		table->chosen[table->n++] = column;
}

/* Names with commas between them. */
static bool choose_named(struct table *table, const char *text)
{
	size_t len;
	int column;

	for (;;) {
		len = strcspn(text, ",");
		column = find_column(table->kind, text, len);
		if (column < 0)
			return false;
		choose_column(table, column);
		if (!text[len])
			return true;
		text += len + 1;
	}
}

static void choose_shown(struct table *table)
{
	unsigned int i;

	if (table->choice->shown) {
		choose_named(table, table->choice->shown);
		return;
	}
	for (i = 0; i < table->kind->n; i++) {
		if (table->kind->columns[i].shown)
			choose_column(table, i);
	}
}

static bool choose_columns(struct table *table, const char *text)
{
	if (!text || *text == '+')
		choose_shown(table);

	return !text || choose_named(table, text + (*text == '+'));
}

/* Nothing is before each number, and words are behind them. */
static int compare_numbers(struct libscols_cell *a, struct libscols_cell *b, void *data)
{
	const char *text[2] = { scols_cell_get_data(a), scols_cell_get_data(b) };
	double value[2];
	int rank[2], i;
	char *end;

	(void)data;
	for (i = 0; i < 2; i++) {
		value[i] = text[i] ? strtod(text[i], &end) : 0;
		if (!text[i] || !*text[i] || !strcmp(text[i], "-"))
			rank[i] = 0;
		else
			rank[i] = *end ? 2 : 1;
	}
	if (rank[0] != rank[1])
		return rank[0] - rank[1];
	if (rank[0] == 2)
		return strcmp(text[0], text[1]);

	return (value[0] > value[1]) - (value[0] < value[1]);
}

static struct libscols_column *add_column(struct table *table, unsigned int number, int flags)
{
	const struct table_column *column = &table->kind->columns[number];
	struct libscols_column *scol;

	if (column->cells != TABLE_TEXT)
		flags |= SCOLS_FL_RIGHT;
	scol = scols_table_new_column(table->scols, column->name, 0, flags);
	if (!scol)
		return NULL;
	scols_column_set_cmpfunc(scol,
				 column->cells == TABLE_TEXT ? scols_cmpstr_cells : compare_numbers,
				 NULL);
	if (column->cells == TABLE_NUMBER)
		scols_column_set_json_type(scol, SCOLS_JSON_NUMBER);

	return scol;
}

static bool add_columns(struct table *table, const struct table_choice *choice, int sort)
{
	struct libscols_column *scol;
	unsigned int i;

	for (i = 0; i < table->n; i++) {
		scol = add_column(table, table->chosen[i],
				  choice->tree >= 0 && !i ? SCOLS_FL_TREE : 0);
		if (!scol)
			return false;
		if ((int)table->chosen[i] == sort)
			table->sort = scol;
	}
	if (sort < 0 || table->sort)
		return true;
	table->sort = add_column(table, sort, SCOLS_FL_HIDDEN);
	table->chosen[table->n++] = sort;

	return table->sort;
}

static void table_free(struct table *table)
{
	scols_unref_table(table->scols);
	free(table);
}

struct table *table_new(const struct table_kind *kind, const struct table_choice *choice,
			int *status)
{
	struct table *table;
	int sort = -1;

	*status = EXIT_FAILED;
	table = calloc(1, sizeof(*table));
	if (!table) {
		print_perror("cannot make a table");
		return NULL;
	}
	table->kind = kind;
	table->choice = choice;
	if (choice->sort)
		sort = find_column(kind, choice->sort, strlen(choice->sort));
	if (choice->tree >= 0)
		choose_column(table, choice->tree);
	if ((choice->sort && sort < 0) || !choose_columns(table, choice->columns)) {
		*status = usage_try_help();
		free(table);
		return NULL;
	}

	table->scols = scols_new_table();
	if (!table->scols || scols_table_set_name(table->scols, kind->name) < 0 ||
	    !add_columns(table, choice, sort)) {
		errno = ENOMEM;
		print_perror("cannot make a table");
		table_free(table);
		return NULL;
	}
	/* What would be encoded is already, as all output of mboxctl is. */
	scols_table_enable_noencoding(table->scols, 1);
	scols_table_enable_noheadings(table->scols, choice->noheadings);
	if (choice->raw)
		scols_table_enable_raw(table->scols, 1);
	if (choice->json)
		scols_table_enable_json(table->scols, 1);
	*status = EXIT_OK;

	return table;
}

/* What a stream in memory has in *@text, to be freed; NULL: there is no memory. */
static char *closed(FILE *out, char **text)
{
	if (fclose(out) == 0)
		return *text;
	free(*text);

	return NULL;
}

/* What a cell has, to be freed; NULL: there is no memory. */
static char *cell_bytes(const struct table *table, unsigned int column, const void *row)
{
	const struct table_choice *choice = table->choice;
	char *bytes = NULL;
	size_t len;
	FILE *out;

	out = open_memstream(&bytes, &len);
	if (!out)
		return NULL;
	table->kind->print(out, column, row);
	/* JSON has null; above other rows it is clear that there is nothing. */
	if (!ftell(out) && !choice->json && (choice->tree < 0 || choice->raw))
		fputc('-', out);

	return closed(out, &bytes);
}

/* @bytes as @print writes them, to be freed; NULL: there is no memory. */
static char *escaped(const char *bytes, void (*print)(FILE *out, const char *text))
{
	char *text = NULL;
	size_t len;
	FILE *out;

	out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	print(out, bytes);

	return closed(out, &text);
}

/* What a cell has as it is printed, to be freed. */
static char *cell_text(const struct table *table, unsigned int column, const void *row)
{
	char *bytes = cell_bytes(table, column, row), *text;

	/* In raw output, libsmartcols writes everything odd as \xNN. */
	if (!bytes || table->choice->raw)
		return bytes;
	text = escaped(bytes, text_print);
	/* It never comes to an end with what is no text in the locale, as UTF-8 in "C". */
	if (text && mbstowcs(NULL, text, 0) == (size_t)-1) {
		free(text);
		text = escaped(bytes, text_print_ascii);
	}
	free(bytes);

	return text;
}

struct libscols_line *table_add(struct table *table, const void *row,
				struct libscols_line *parent)
{
	struct libscols_line *line;
	unsigned int i;
	char *text;

	line = scols_table_new_line(table->scols, parent);
	if (!line)
		table->error = ENOMEM;
	for (i = 0; line && i < table->n; i++) {
		text = cell_text(table, table->chosen[i], row);
		if (!text || scols_line_refer_data(line, i, text) < 0) {
			free(text);
			table->error = ENOMEM;
			return NULL;
		}
	}

	return line;
}

int table_print(struct table *table)
{
	int ret = -table->error;

	if (!ret && table->sort)
		ret = scols_sort_table(table->scols, table->sort);
	if (!ret)
		ret = scols_print_table(table->scols);
	if (ret) {
		errno = -ret;
		print_perror("cannot print a table");
	}
	table_free(table);

	return ret ? EXIT_FAILED : EXIT_OK;
}
