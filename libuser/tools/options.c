// SPDX-License-Identifier: GPL-2.0-only
/* Options: how they are parsed, and the help texts, both from a command's table. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "options.h"
#include "table.h"

/* With --help, --version and the end of the list. */
#define LONGOPTS_MAX (OPTIONS_MAX + 3)

static const struct option_row common_options[] = {
	{ 'h', "help", NULL, "display this help and exit" },
	{ 'v', "version", NULL, "output version information and exit" },
};

#define NCOMMON ((int)(sizeof(common_options) / sizeof(common_options[0])))

/* Row @i of @command's options and then of those that every command has, or NULL. */
static const struct option_row *option_at(const struct command *command, int i)
{
	int n = 0;

	while (n < OPTIONS_MAX && command->options[n].name)
		n++;
	if (i < n)
		return &command->options[i];

	return i - n < NCOMMON ? &common_options[i - n] : NULL;
}

/* ---- help ------------------------------------------------------------------ */

/* Prints @text, whose further lines begin below its first. */
static void print_indented(const char *text, int column)
{
	for (; *text; text++) {
		putchar(*text);
		if (*text == '\n')
			printf("%*s", column, "");
	}
	putchar('\n');
}

/* Makes "  -o, --output FILE"; returns its length. */
static int option_text(const struct option_row *row, char *text, size_t size)
{
	char letter[8] = "";

	if (row->id < OPT_FIRST)
		snprintf(letter, sizeof(letter), "-%c,", row->id);

	return snprintf(text, size, "  %3s --%s%s%s", letter, row->name, row->arg ? " " : "",
			row->arg ? row->arg : "");
}

static void print_options(const struct command *command)
{
	const struct option_row *row;
	int i, len, width = 0;
	char text[80];

	for (i = 0; (row = option_at(command, i)); i++) {
		len = option_text(row, text, sizeof(text));
		if (len > width)
			width = len;
	}
	for (i = 0; (row = option_at(command, i)); i++) {
		option_text(row, text, sizeof(text));
		printf("%-*s  ", width, text);
		print_indented(row->help, width + 2);
	}
}

static void print_help(const struct command *command)
{
	const struct command *const *sub = command->commands;

	printf("Usage: %s%s%s%s\n", prog_name, sub ? "" : " [OPTIONS]",
	       *command->operands ? " " : "", command->operands);
	printf("\n%s", command->about);
	if (sub)
		printf("\nCommands:\n");
	for (; sub && *sub; sub++)
		printf("  %-14s%s\n", (*sub)->name, (*sub)->summary);
	printf("\nOptions:\n");
	print_options(command);
	if (command->notes)
		printf("\n%s", command->notes);
	if (command->table)
		table_print_columns(command->table);
}

static void print_version(void)
{
	printf("mboxctl (libmbox) v%s\n", MBOX_VERSION);
	printf("License: GPL-2.0-only\n");
	printf("This is free software: you are free to change and redistribute it.\n");
	printf("There is NO WARRANTY, to the extent permitted by law.\n");
}

/* ---- errors ---------------------------------------------------------------- */

int usage_try_help(void)
{
	fprintf(stderr, "try %s --help\n", prog_name);
	return EXIT_USAGE;
}

int usage_error(const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	print_verror(fmt, va);
	va_end(va);

	return usage_try_help();
}

/* The long option that @text can mean, up to a '='; -1: none; -2: several. */
static int find_long(const char *text, const struct option *longopts)
{
	size_t len = strcspn(text, "=");
	int i, found = -1;

	for (i = 0; longopts[i].name; i++) {
		if (strncmp(longopts[i].name, text, len))
			continue;
		if (strlen(longopts[i].name) == len)
			return i;
		found = found == -1 ? i : -2;
	}

	return found;
}

/* getopt_long() refused @arg, which begins with "--" and is longer. */
static void explain_long(const char *arg, const struct option *longopts)
{
	int i = find_long(arg + 2, longopts);

	if (i == -2)
		print_error("option '%s' is ambiguous", arg);
	else if (i < 0)
		print_error("unrecognized option '%s'", arg);
	else if (longopts[i].has_arg)
		print_error("option '--%s' requires an argument", longopts[i].name);
	else
		print_error("option '--%s' does not take an argument", longopts[i].name);
}

/*
 * getopt_long() refused an option. Its own messages do not do: an option is text
 * from others, too, and print_error() escapes it.
 */
static void explain_option(char **argv, const char *shortopts, const struct option *longopts)
{
	const char *known = NULL;

	/* optopt is a letter, or the value of a long option, or 0. */
	if (optopt > 0 && optopt < OPT_FIRST && optopt != ':')
		known = strchr(shortopts, optopt);
	if (!strncmp(argv[optind - 1], "--", 2) && (known || !optopt || optopt >= OPT_FIRST))
		explain_long(argv[optind - 1], longopts);
	else if (known && known[1] == ':')
		print_error("option requires an argument -- '%c'", optopt);
	else
		print_error("invalid option -- '%c'", optopt);
}

/* ---- parsing --------------------------------------------------------------- */

/* What getopt_long() wants of the table. */
static void make_getopt(const struct command *command, char *shortopts, struct option *longopts)
{
	const struct option_row *row;
	int i;

	if (command->options_first)
		*shortopts++ = '+';
	for (i = 0; (row = option_at(command, i)); i++) {
		longopts[i].name = row->name;
		longopts[i].has_arg = row->arg ? required_argument : no_argument;
		longopts[i].val = row->id;
		if (row->id >= OPT_FIRST)
			continue;
		*shortopts++ = row->id;
		if (row->arg)
			*shortopts++ = ':';
	}
}

int parse_options(const struct command *command, int argc, char **argv, void *job)
{
	struct option longopts[LONGOPTS_MAX] = { 0 };
	char shortopts[2 * LONGOPTS_MAX] = "";
	int id;

	make_getopt(command, shortopts, longopts);
	opterr = 0;
	/* Makes getopt_long() of glibc start afresh. */
	optind = 0;
	for (;;) {
		id = getopt_long(argc, argv, shortopts, longopts, NULL);
		switch (id) {
		case -1:
			return -1;
		case 'h':
			print_help(command);
			return EXIT_OK;
		case 'v':
			print_version();
			return EXIT_OK;
		case '?':
			explain_option(argv, shortopts, longopts);
			return usage_try_help();
		default:
			if (!command->set(job, id, optarg))
				return usage_try_help();
		}
	}
}
