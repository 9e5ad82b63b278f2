/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs that show what a standard says of some functions, one row for each sentence: the
 * steps of a row run in a process of its own, and what they return is printed. A script runs
 * such a program twice, on the kernel's own queues and on mailboxes, and compares the two
 * outputs (conformance.sh). So a row judges nothing by itself.
 *
 * A line is NUMBER|NAME OF THE DIFFERENCE|SENTENCE|STEP=RESULT; ...
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct row - a sentence, and the steps that show whether it is true
 * @sentence: the page, and what it says
 * @steps: run in a process of their own
 * @difference: name of the difference between the two implementations, or NULL
 * @optional: it needs what not every kernel has
 */
struct row {
	const char *sentence;
	void (*steps)(void);
	const char *difference;
	bool optional;
};

/**
 * struct suite - the rows of a program
 * @tables: tables of rows, each with an end of zeros; NULL after the last one
 * @begin: called before each row, with its number
 * @enter: called in the process of each row, or NULL
 * @end: called after each row, however it ended
 * @no_optional: without a number, leave out optional rows
 */
struct suite {
	const struct row *const *tables;
	void (*begin)(unsigned int number);
	void (*enter)(void);
	void (*end)(void);
	bool no_optional;
};

int run_suite(const struct suite *suite, char **numbers);
int print_differences(const struct suite *suite);
void *shared_memory(size_t size);

void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
long add_result(const char *step, long ret);
int add_opened(const char *step, int ret);

/* A step, and what it returns: 0, a number, or the name of its error. */
#define CALL(step) add_result(#step, (step))
/* Likewise, but which number it is does not matter. */
#define OPEN(step) add_opened(#step, (step))
/* A value, under its own name. */
#define SHOW(value) add(#value "=%ld; ", (long)(value))
/* A number of 33 bits and its last bits, or something else if a long has 32. */
#define BITS_33(last, otherwise) ((long)(LONG_MAX > INT_MAX ? 0x100000000 + (last) : (otherwise)))

char state_of(int tid);
void await_asleep(atomic_int *tid);
void become(unsigned int uid, unsigned int gid);
/* The clock of all processes, with 64 bits whatever time_t has; and the year 2040. */
#define AFTER_2038 2208988800LL
int64_t clock_seconds(void);
void set_clock(int64_t seconds);
void in_child(void (*steps)(void));

#endif /* CONFORMANCE_H */
