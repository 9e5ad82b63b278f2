/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rows of mq_conformance use.
 */
#ifndef MQ_CONFORMANCE_H
#define MQ_CONFORMANCE_H

#include <mqueue.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

/**
 * struct row - a sentence, and the steps that show whether it is true
 * @sentence: the page, and what it says
 * @steps: run in a process of their own
 * @difference: name of the difference between the two implementations, or NULL
 */
struct row {
	const char *sentence;
	void (*steps)(void);
	const char *difference;
};

struct table {
	const struct row *rows;
};

/* All rows; the last has none. */
extern const struct table tables[];
extern const struct row open_rows[], message_rows[], wait_rows[], notify_rows[], file_rows[];

/* Memory of all processes of a row. */
struct shared {
	atomic_int tid;
	atomic_int tid2;
	atomic_int flag;
	atomic_int result;
	atomic_int error;
	char text[64];
};

extern char name[64], name2[64];
extern struct shared *shared;

void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
long add_result(const char *step, long ret);
int add_opened(const char *step, int fd);

/* A step, and what it returns: 0, a number, or the name of its error. */
#define CALL(step) add_result(#step, (step))
#define OPEN(step) add_opened(#step, (step))
/* A value, under its own name. */
#define SHOW(value) add(#value "=%ld; ", (long)(value))

mqd_t make(long maxmsg, long msgsize, int oflag);
char state_of(int tid);
void await_asleep(atomic_int *tid);
struct timespec after_ms(long ms);
bool is_past(const struct timespec *t);
void become(unsigned int uid);
void in_child(void (*steps)(void));
int after_exec(int what);

#endif /* MQ_CONFORMANCE_H */
