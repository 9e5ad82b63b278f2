/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands of mboxctl share. */
#ifndef MBOXCTL_COMMON_H
#define MBOXCTL_COMMON_H

#include <getopt.h>
#include <mbox.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit status, part of the manual. */
enum {
	EXIT_OK = 0,
	/* Something failed; the rest of the arguments was still tried. */
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	/* A message could not be had or sent in the time given. */
	EXIT_TIMEOUT = 3,
};

/* Options without a letter: numbers above every letter. */
enum {
	OPT_FIRST = 256,
	OPT_MATCH_NOT,
	OPT_MATCH_LE,
	OPT_NO_NEWLINE,
	OPT_SKIP,
	OPT_DROP_OLDEST,
	OPT_DROP_NEWEST,
	OPT_HANGUP,
	OPT_FAIR,
	OPT_BROADCAST,
	OPT_INHERIT,
	OPT_FIXED,
	OPT_RING,
	OPT_ONE_SENDER,
	OPT_ONE_RECEIVER,
};

/**
 * struct command - one command of mboxctl
 * @name: what the user types
 * @summary: one line for the list of commands
 * @run: gets its own argc and argv, returns the exit status
 */
struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

int cmd_call(int argc, char **argv);
int cmd_create(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_recv(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_set_capacity(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_unlink(int argc, char **argv);

/* "mboxctl" or "mboxctl send": what precedes each error. */
extern char prog_name[64];

__attribute__((format(printf, 1, 2))) void print_error(const char *fmt, ...);
/* print_error() and what errno says. */
__attribute__((format(printf, 1, 2))) void print_perror(const char *fmt, ...);

/*
 * The answer to a wrong option or argument: with a message, if getopt_long()
 * has not printed one, and a pointer to the help. Returns EXIT_USAGE.
 */
__attribute__((format(printf, 1, 2))) int usage_error(const char *fmt, ...);
int usage_try_help(void);

void print_version(void);

/* Whole numbers, in C notation; print an error and return false if not. */
bool parse_u64(const char *text, const char *what, uint64_t max, uint64_t *value);
bool parse_u32(const char *text, const char *what, uint32_t max, uint32_t *value);
/* A number of messages, or "unbounded". */
bool parse_capacity(const char *text, uint32_t *capacity);
/* Seconds, also with a fraction, as nanoseconds. */
bool parse_seconds(const char *text, uint64_t *ns);
/* For deadline_ns of a message: CLOCK_MONOTONIC. */
uint64_t deadline_after(uint64_t timeout_ns);

/**
 * struct target - the mailbox that an argument names
 * @name: its name, or NULL
 * @id: its id if it has no name here
 */
struct target {
	const char *name;
	uint64_t id;
};

/* "NAME", "name:NAME" or "id:NUMBER". Prints an error and returns false. */
bool parse_target(const char *text, struct target *target);
struct mbox *open_target(const struct target *target, int oflags);

/* Checks what was written to stdout; EXIT_FAILED if it went wrong. */
int finish_stdout(int status);

#endif /* MBOXCTL_COMMON_H */
