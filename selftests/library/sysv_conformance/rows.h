/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rows of sysv_conformance use.
 */
#ifndef SYSV_CONFORMANCE_H
#define SYSV_CONFORMANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/types.h>

#include "../conformance/conformance.h"

/* All rows; those that are optional need MSG_COPY. */
extern const struct row get_rows[], message_rows[], control_rows[], wait_rows[];

/* Memory of all processes of a row. */
struct shared {
	atomic_int tid;
	atomic_int flag;
	atomic_int count;
	atomic_int ids[16];
};

/* Of the row. */
extern key_t key;
extern struct shared *shared;

/* Longest text of a message that take() can receive. */
#define TEXT_MAX 16384

struct message {
	long type;
	char text[TEXT_MAX];
};

/* As OPEN(), of msgget(2). */
#define GET(step) add_opened(#step, (step))

/* A queue that nobody else uses. */
int make(int mode);
/* Its state; the row ends if there is none. */
struct msqid_ds state(int id);
/* Set a part of it. */
int set_mode(int id, int mode);
int set_qbytes(int id, unsigned long qbytes);

int snd(int id, long type, const char *text, int flags);
int snd_len(int id, long type, size_t len, int flags);
/* Receive without waiting, and add what came. */
void take(int id, long type, int flags);
void take_len(int id, size_t len, long type, int flags);

/* Memory whose first @len bytes are good, and then none. */
void *before_bad(size_t len);
/* How many the process has, and a few that are always the same. */
int descriptors(void);
int after_exec(int id);

#endif /* SYSV_CONFORMANCE_H */
