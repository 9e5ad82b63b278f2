/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands of mboxctl share. */
#ifndef MBOXCTL_COMMON_H
#define MBOXCTL_COMMON_H

#include <mbox.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "options.h"

/* Exit status, part of the manual. */
enum {
	EXIT_OK = 0,
	/* Something failed; the rest of the arguments was still tried. */
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	/* A message could not be had or sent in the time given. */
	EXIT_TIMEOUT = 3,
};

/*
 * With --status, a reply ends with so many bytes: 0, and the exit status of the command.
 * Part of the manual.
 */
#define STATUS_LEN 2

extern const struct command apply_command;
extern const struct command bench_command;
extern const struct command call_command;
extern const struct command chmod_command;
extern const struct command chown_command;
extern const struct command create_command;
extern const struct command doctor_command;
extern const struct command expel_command;
extern const struct command export_command;
extern const struct command help_command;
extern const struct command info_command;
extern const struct command ls_command;
extern const struct command monitor_command;
extern const struct command recv_command;
extern const struct command rm_command;
extern const struct command send_command;
extern const struct command serve_command;
extern const struct command set_capacity_command;
extern const struct command stat_command;
extern const struct command tap_command;
extern const struct command unlink_command;
extern const struct command who_command;

/* "mboxctl" or "mboxctl send": what precedes each error. */
extern char prog_name[64];

__attribute__((format(printf, 1, 2))) void print_error(const char *fmt, ...);
__attribute__((format(printf, 1, 0))) void print_verror(const char *fmt, va_list va);
/* print_error() and what errno says. */
__attribute__((format(printf, 1, 2))) void print_perror(const char *fmt, ...);
/* The same of a file: there, EDQUOT and ENODEV say nothing of mailboxes. */
__attribute__((format(printf, 1, 2))) void print_file_perror(const char *fmt, ...);

/* What errors begin with from now on: "FILE:LINE: "; @file NULL: nothing. */
void set_error_place(const char *file, unsigned long line);

/* Whole numbers, in C notation; print an error and return false if not. */
bool parse_u64(const char *text, const char *what, uint64_t max, uint64_t *value);
bool parse_u32(const char *text, const char *what, uint32_t max, uint32_t *value);
/* A number of messages, or "unbounded". */
bool parse_capacity(const char *text, uint32_t *capacity);
/* Seconds, in decimal and also with a fraction, as nanoseconds. */
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
/* Any right will do: the owner may have left itself only one. */
struct mbox *open_target_anyhow(const struct target *target);
/* What senders do when this receiver of broadcasts falls behind: mbox_set_reader(). */
bool set_reader(struct mbox *mb, unsigned int policy, const char *mailbox);
/*
 * An O_PATH descriptor of the mailbox at a path. It gives no right and is no handle.
 * Prints an error and returns -1.
 */
int open_mailbox_path(const char *path);

/*
 * Before anything is opened: what is opened must not become standard input, output
 * or error because that was closed.
 */
void open_standard_files(void);
/* Closes stdout; EXIT_FAILED if that or anything written to it went wrong. */
int finish_stdout(int status);

#endif /* MBOXCTL_COMMON_H */
