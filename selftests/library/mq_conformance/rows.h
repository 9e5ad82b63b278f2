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

#include "../conformance/conformance.h"

/* All rows. */
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

mqd_t make(long maxmsg, long msgsize, int oflag);
struct timespec after_ms(long ms);
bool is_past(const struct timespec *t);
int after_exec(int what);

#endif /* MQ_CONFORMANCE_H */
