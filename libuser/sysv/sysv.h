/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libmbox-sysv share.
 */
#ifndef MBOX_SYSV_H
#define MBOX_SYSV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ipc.h>

#include "mbox.h"

/* Sides of a queue. */
#define SYSV_RECEIVE 0
#define SYSV_SEND 1

/**
 * struct sysv_queue - what this process knows of a queue
 * @refs: calls that use it, and one while it is in the table; with the last one, the
 *	descriptors are closed. The memory remains, for another queue
 * @id: of the queue, and of its mailbox
 * @key: of the queue
 * @msg_max: length of its longest message
 * @fd: handles to receive from it and to send to it, which can be the same; -1: none yet
 * @next: the next one in its place of the table, or in the list of unused ones
 */
struct sysv_queue {
	atomic_uint refs;
	atomic_int id;
	key_t key;
	uint32_t msg_max;
	atomic_int fd[2];
	struct sysv_queue *_Atomic next;
};

/* ---- queue.c: names, ids and handles ------------------------------------------ */

/* What a name has room for; sysv__name_of_key() fills it. */
#define SYSV_NAME_SIZE 40
void sysv__name_of_key(char *name, key_t key);
/* Likewise, another one in each call. Returns false and errno if there is none. */
bool sysv__name_of_private(char *name);
/* Whether it is the name of a queue, and of which key. */
bool sysv__key_of_name(const char *name, key_t *key);

/*
 * The queue with an id, and its handle for one side, open. Returns NULL and errno: EINVAL
 * if there is no such queue, EACCES without permission. For sysv__put().
 */
struct sysv_queue *sysv__get(int id, int side);
void sysv__put(struct sysv_queue *queue);

/* Keep a handle that was just opened with these rights. Its descriptor is used up. */
void sysv__keep(int id, key_t key, uint32_t msg_max, int fd, int oflags);

/* Know nothing of it any more. */
void sysv__forget(int id);

/*
 * Whether the program has closed or replaced that descriptor of the queue, which is not used
 * again then. Keeps errno.
 */
bool sysv__was_closed(int id, int fd);

/* Open the mailbox with that id; returns a descriptor, or -1 and errno. */
int sysv__open_id(int id, int oflags);

/* The mailbox with that id, if the caller may see it and it is a queue. */
bool sysv__look_up(int id, struct mbox_walk *walk, key_t *key);

/* A control ioctl, with the errors of msgget(2). */
int sysv__control(unsigned long cmd, void *arg);

/* ---- memory.c: addresses that may be bad --------------------------------------- */

/* Whether memory can be read: false and EFAULT if not. */
bool sysv__can_read(const void *addr, size_t len);
/* Likewise written. @len: four bytes at least, and no more than the smallest page. */
bool sysv__can_write(void *addr, size_t len);

#endif /* MBOX_SYSV_H */
