/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables whose columns the user chooses, printed by libsmartcols. */
#ifndef MBOXCTL_TABLE_H
#define MBOXCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 32

/* The options of a command that prints a table: rows of its struct command. */
#define OPT_NOHEADINGS (OPT_FIRST + 200)
#define OPT_SORT (OPT_FIRST + 201)
#define TABLE_OPTIONS \
	{ 'o', "output", "COLUMNS", \
	  "print these columns, with commas between them;\n'+COLUMNS': these too" }, \
	{ OPT_SORT, "sort", "COLUMN", "sort the rows by this column, upwards" }, \
	{ OPT_NOHEADINGS, "noheadings", NULL, "print no line of headings" }, \
	{ 'r', "raw", NULL, "print no padding, and blanks in cells as \\x20" }, \
	{ 'J', "json-table", NULL, "print the columns that are chosen as JSON" }

/* Numbers are to the right, and sorted by value. */
enum table_cells {
	TABLE_TEXT,
	TABLE_NUMBER,
	/* Numbers and words. */
	TABLE_MIXED,
};

/**
 * struct table_column - a column that a table can have
 * @name: its heading, which is also how it is asked for
 * @cells: what it has
 * @shown: it is there unless the user chooses
 * @about: what it has, for the help
 */
struct table_column {
	const char *name;
	enum table_cells cells;
	bool shown;
	const char *about;
};

/**
 * struct table_kind - a table that a command can print
 * @name: what its rows are, in JSON
 * @columns: those that there are
 * @n: how many, at most TABLE_COLUMNS_MAX
 * @print: write the cell of @row in column number @column, not escaped; nothing: it is empty
 */
struct table_kind {
	const char *name;
	const struct table_column *columns;
	unsigned int n;
	void (*print)(FILE *cell, unsigned int column, const void *row);
};

/**
 * struct table_choice - what the user asks for
 * @columns: -o, or NULL
 * @shown: the columns that are there by default, as -o has them; NULL: those of the kind
 * @sort: --sort, or NULL
 * @noheadings: --noheadings
 * @raw: -r
 * @json: -J
 * @tree: the column through which rows are below others, which comes first, or -1
 */
struct table_choice {
	const char *columns;
	const char *shown;
	const char *sort;
	bool noheadings;
	bool raw;
	bool json;
	int tree;
};

#define TABLE_CHOICE_INIT \
	{ \
		.tree = -1 \
	}

struct table;
struct libscols_line;

/* Applies one of TABLE_OPTIONS; false: it is none of them. */
bool table_option(struct table_choice *choice, int id, const char *arg);
/*
 * Whether the options go together, and with --json if @all. Otherwise it has said what is
 * wrong, as usage_error() does.
 */
bool table_choice_valid(const struct table_choice *choice, bool all);
/* The columns, for the help of a command, which prints them with their meaning. */
void table_print_columns(const struct table_kind *kind);

/*
 * A table without rows, or NULL after it has printed an error. @choice stays in use.
 * *@status is EXIT_OK, or then EXIT_USAGE if the choice is wrong, or EXIT_FAILED.
 */
struct table *table_new(const struct table_kind *kind, const struct table_choice *choice,
			int *status);
/*
 * Adds a row, with @parent below that one; NULL: there is no memory, which
 * table_print() reports.
 */
struct libscols_line *table_add(struct table *table, const void *row,
				struct libscols_line *parent);
/* Sorts and prints the rows, and frees the table. Returns an exit status. */
int table_print(struct table *table);

#endif /* MBOXCTL_TABLE_H */
