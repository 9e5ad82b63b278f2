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

/* ---- name.c: names --------------------------------------------------------------- */

/* What each begins with. */
#define SYSV_PREFIX "sysv-"
/* What a name has room for; sysv__name_of_key() fills it. */
#define SYSV_NAME_SIZE 40
void sysv__name_of_key(char *name, key_t key);
/* Likewise, another one in each call. Returns false and errno if there is none. */
bool sysv__name_of_private(char *name);
/* Whether the mailbox is a queue, and of which key. */
bool sysv__is_queue(const struct mbox_walk *mailbox, key_t *key);

/* ---- queue.c: ids and handles --------------------------------------------------- */

/*
 * The queue with an id, and its handle for one side, open. Returns NULL and errno: EINVAL
 * if there is no such queue, EACCES without permission. For sysv__put().
 */
struct sysv_queue *sysv__get(int id, int side);
void sysv__put(struct sysv_queue *queue);

/* The table of queues, each in the list at the place that its id says. */
#define SYSV_PLACES 256
extern struct sysv_queue *_Atomic sysv__table[SYSV_PLACES];

static inline struct sysv_queue *_Atomic *sysv__place_of(int id)
{
	return &sysv__table[(unsigned int)id % SYSV_PLACES];
}

/*
 * The same in few steps and without a reference, if the queue is open for that side; otherwise
 * NULL. For a process with one thread: only a signal handler can make it forget the queue, and
 * afterwards the call must not look at the queue again. If a handler does so meanwhile, the
 * way may lead through unused ones, which have no descriptor.
 */
static inline struct sysv_queue *sysv__known(int id, int side)
{
	struct sysv_queue *queue;

	queue = atomic_load_explicit(sysv__place_of(id), memory_order_acquire);
	while (queue && atomic_load_explicit(&queue->id, memory_order_relaxed) != id)
		queue = atomic_load_explicit(&queue->next, memory_order_relaxed);
	if (!queue || atomic_load_explicit(&queue->fd[side], memory_order_relaxed) < 0)
		return NULL;

	return queue;
}

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

/*
 * Add up the queues that the caller may see, at most @max of them if that is not 0. The id
 * is that of the last one. Returns 0, or -1 and errno.
 */
int sysv__add_up(struct mbox_total *total, uint32_t max);

/* A control ioctl, with the errors of msgget(2). */
int sysv__control(unsigned long cmd, void *arg);

/* ---- memory.c: addresses that may be bad --------------------------------------- */

/* Parts of memory that are readable or not as a whole: no page is smaller. */
#define SYSV_PART_SHIFT 12
#define SYSV_PARTS 64
/* Parts that were good: the number of each, plus 1, in the place that its last bits say. */
extern atomic_uintptr_t sysv__good[SYSV_PARTS];

bool sysv__ask_can_read(const void *addr, size_t len);

/* Whether memory can be read: false and EFAULT if not. */
static inline bool sysv__can_read(const void *addr, size_t len)
{
	uintptr_t first = (uintptr_t)addr >> SYSV_PART_SHIFT;
	uintptr_t last = ((uintptr_t)addr + len - 1) >> SYSV_PART_SHIFT;

	if (first == last && atomic_load_explicit(&sysv__good[first % SYSV_PARTS],
						  memory_order_relaxed) == first + 1)
		return true;

	return sysv__ask_can_read(addr, len);
}

/* Likewise written. @len: four bytes at least, and no more than the smallest page. */
bool sysv__can_write(void *addr, size_t len);

#endif /* MBOX_SYSV_H */
