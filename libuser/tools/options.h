/* SPDX-License-Identifier: GPL-2.0-only */
/* The options of each command: one table for parsing and for the help texts. */
#ifndef MBOXCTL_OPTIONS_H
#define MBOXCTL_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

/* Options without a letter have numbers from here on, above every letter. */
#define OPT_FIRST 256

/* The value of a macro, as text. */
#define TEXT_OF(x) #x
#define VALUE_OF(x) TEXT_OF(x)

struct table_kind;

/* Room in a command's table, whose last row is empty. */
#define OPTIONS_MAX 24

/**
 * struct option_row - one option of a command
 * @id: its letter, or a number from OPT_FIRST if it has only a long name
 * @name: its long name
 * @arg: the name of its argument, or NULL if it takes none
 * @help: what it does; may have several lines
 */
struct option_row {
	int id;
	const char *name;
	const char *arg;
	const char *help;
};

/**
 * struct command - one command of mboxctl
 * @name: what the user types; NULL: mboxctl itself
 * @operands: as the usage line has them
 * @summary: one line for the list of commands
 * @about: what it does, as lines
 * @options: its options except --help and --version, which every command has
 * @notes: lines below the options, or NULL
 * @table: the table that it prints, whose columns are listed last, or NULL
 * @commands: of mboxctl itself, the commands; ends with NULL
 * @options_first: the first operand ends the options: what follows has its own
 * @set: apply an option to the command's job; prints an error and returns false if
 *	the argument is wrong
 * @run: gets its own argc and argv, returns the exit status
 */
struct command {
	const char *name;
	const char *operands;
	const char *summary;
	const char *about;
	struct option_row options[OPTIONS_MAX];
	const char *notes;
	const struct table_kind *table;
	const struct command *const *commands;
	bool options_first;
	bool (*set)(void *job, int id, const char *arg);
	int (*run)(int argc, char **argv);
};

/*
 * Applies the options in @argv to @job. Returns -1 when the operands follow, from
 * @optind on, or the exit status: after --help, --version or an error.
 */
int parse_options(const struct command *command, int argc, char **argv, void *job);

/*
 * The answer to a wrong option or operand: a message, and a pointer to the help.
 * Returns EXIT_USAGE.
 */
__attribute__((format(printf, 1, 2))) int usage_error(const char *fmt, ...);
/* The same after a message that is printed already. */
int usage_try_help(void);

#endif /* MBOXCTL_OPTIONS_H */
