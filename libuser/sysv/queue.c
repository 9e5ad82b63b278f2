// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Queues: which mailbox is which queue, and which of them this process has open.
 *
 * The mailbox of a queue has a name, so that it survives without a process: name.c. The id
 * of the queue is that of the mailbox: the kernel gives an id to one mailbox only, so that
 * the id of a queue that was removed never means another one.
 *
 * The calls of System V name a queue by its id alone. So a process keeps a handle for each
 * id that it has used, in a table that calls read without a lock. A child of fork(2)
 * begins with an empty table: it may have other rights than its parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../src/internal.h"
#include "sysv.h"

/* Descriptors from here on, where programs do not expect to find or to get one. */
#define FD_FIRST 500

struct sysv_queue *_Atomic sysv__table[SYSV_PLACES];
static struct sysv_queue *unused;
/* Of changes to both, and to the descriptors of a queue. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

/* ---- asking the kernel --------------------------------------------------------- */

int sysv__control(unsigned long cmd, void *arg)
{
	int ret = mbox__control(cmd, arg);

	if (ret >= 0)
		return ret;
	switch (errno) {
	case ENODEV:
		errno = ENOSYS;
		break;
	case EDQUOT:
		errno = ENOSPC;
		break;
	case EMFILE:
	case ENFILE:
		errno = ENOMEM;
		break;
	}

	return ret;
}

int sysv__open_id(int id, int oflags)
{
	struct mbox_open arg = { .oflags = oflags | O_CLOEXEC, .id = id };
	int fd = sysv__control(MBOX_IOC_OPEN, &arg);

	if (fd < 0 && errno == ENOENT)
		errno = EINVAL;

	return fd;
}

bool sysv__look_up(int id, struct mbox_walk *walk, key_t *key)
{
	*walk = (struct mbox_walk){ .id = id - 1 };

	return sysv__control(MBOX_IOC_WALK, walk) == 0 && walk->id == (uint64_t)id &&
	       sysv__is_queue(walk, key);
}

/*
 * What has such a name but is no queue of System V counts too, whoever made it: then an index
 * of MSG_STAT is EINVAL, as one of a queue that was removed.
 */
int sysv__add_up(struct mbox_total *total, uint32_t max)
{
	*total = (struct mbox_total){
		.prefix = (uintptr_t)SYSV_PREFIX,
		.prefix_len = sizeof(SYSV_PREFIX) - 1,
		.max = max,
	};

	return sysv__control(MBOX_IOC_TOTAL, total);
}

/* ---- the table ------------------------------------------------------------------ */

static void lock(sigset_t *mask)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, mask);
	pthread_mutex_lock(&changing);
}

static void unlock(const sigset_t *mask)
{
	pthread_mutex_unlock(&changing);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

/* close(2) is a cancellation point, and the calls of System V that close are none. */
static void close_quietly(int fd)
{
	int saved = errno;

	if (fd >= 0)
		syscall(SYS_close, fd);
	errno = saved;
}

/* Whether a descriptor is one of the queue, even if the queue was removed. */
static bool is_of(int fd, int id)
{
	struct mbox_stat st;
	int saved = errno;
	bool ret;

	if (ioctl(fd, MBOX_IOC_STAT, &st) == 0)
		ret = st.id == (uint64_t)id;
	else
		ret = errno == EIDRM;
	errno = saved;

	return ret;
}

/* The program may have closed it, and have another file of its own there. */
static void close_own(int fd, int id)
{
	if (fd >= 0 && is_of(fd, id))
		close_quietly(fd);
}

static void close_both(struct sysv_queue *queue)
{
	int receive = atomic_exchange(&queue->fd[SYSV_RECEIVE], -1);
	int send = atomic_exchange(&queue->fd[SYSV_SEND], -1);

	close_own(receive, queue->id);
	if (send != receive)
		close_own(send, queue->id);
}

void sysv__put(struct sysv_queue *queue)
{
	sigset_t mask;

	if (atomic_fetch_sub_explicit(&queue->refs, 1, memory_order_release) != 1)
		return;
	atomic_thread_fence(memory_order_acquire);
	close_both(queue);
	lock(&mask);
	queue->next = unused;
	unused = queue;
	unlock(&mask);
}

/*
 * One that is in the table, with a reference. Its memory may belong to another queue at
 * any time before there is a reference, but it remains memory of a queue.
 */
static inline struct sysv_queue *find(int id)
{
	struct sysv_queue *queue;
	unsigned int refs;

	queue = atomic_load_explicit(sysv__place_of(id), memory_order_acquire);
	while (queue) {
		if (atomic_load_explicit(&queue->id, memory_order_relaxed) != id) {
			queue = atomic_load_explicit(&queue->next, memory_order_acquire);
			continue;
		}
		refs = atomic_load_explicit(&queue->refs, memory_order_relaxed);
		do {
			if (!refs)
				return NULL;
		} while (!atomic_compare_exchange_weak_explicit(&queue->refs, &refs, refs + 1,
								memory_order_acquire,
								memory_order_relaxed));
		if (atomic_load_explicit(&queue->id, memory_order_relaxed) == id)
			return queue;
		sysv__put(queue);
		return NULL;
	}

	return NULL;
}

/* Under the lock: the queue, or NULL. */
static struct sysv_queue *in_table(int id)
{
	struct sysv_queue *queue;

	for (queue = *sysv__place_of(id); queue; queue = queue->next)
		if (queue->id == id)
			return queue;

	return NULL;
}

/* Under the lock: the queue, which is put into the table if it is not there; or NULL. */
static struct sysv_queue *enter(int id, key_t key, uint32_t msg_max)
{
	struct sysv_queue *_Atomic *place = sysv__place_of(id);
	struct sysv_queue *queue = in_table(id);

	if (queue)
		return queue;
	queue = unused;
	if (queue)
		unused = queue->next;
	else
		queue = malloc(sizeof(*queue));
	if (!queue)
		return NULL;
	queue->fd[SYSV_RECEIVE] = -1;
	queue->fd[SYSV_SEND] = -1;
	queue->key = key;
	queue->msg_max = msg_max;
	queue->id = id;
	queue->next = *place;
	atomic_store_explicit(&queue->refs, 1, memory_order_release);
	atomic_store_explicit(place, queue, memory_order_release);

	return queue;
}

/* Under the lock: out of the table. Returns whether it was there. */
static struct sysv_queue *take_out(int id)
{
	struct sysv_queue *_Atomic *at;
	struct sysv_queue *queue;

	for (at = sysv__place_of(id); (queue = *at); at = &queue->next)
		if (queue->id == id) {
			*at = queue->next;
			return queue;
		}

	return NULL;
}

/* Use up a descriptor: give it a high number if there is one. */
static int move_up(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FD_FIRST);

	if (moved < 0)
		return fd;
	close_quietly(fd);

	return moved;
}

/* Under the lock: keep a descriptor for the sides that it has rights for. */
static void keep_for_sides(struct sysv_queue *queue, int fd, int oflags)
{
	bool kept = false;
	int none = -1;

	if (oflags != O_WRONLY)
		kept = atomic_compare_exchange_strong(&queue->fd[SYSV_RECEIVE], &none, fd);
	none = -1;
	if (oflags != O_RDONLY)
		kept |= atomic_compare_exchange_strong(&queue->fd[SYSV_SEND], &none, fd);
	/* Another thread was faster. */
	if (!kept)
		close_quietly(fd);
}

void sysv__keep(int id, key_t key, uint32_t msg_max, int fd, int oflags)
{
	struct sysv_queue *queue;
	sigset_t mask;

	fd = move_up(fd);
	lock(&mask);
	queue = enter(id, key, msg_max);
	if (queue)
		keep_for_sides(queue, fd, oflags);
	else
		close_quietly(fd);
	unlock(&mask);
}

void sysv__forget(int id)
{
	struct sysv_queue *queue;
	sigset_t mask;

	lock(&mask);
	queue = take_out(id);
	unlock(&mask);
	if (queue)
		sysv__put(queue);
}

/* Under the lock: that descriptor is not the queue's any more. */
static void drop(struct sysv_queue *queue, int fd)
{
	int side, same;

	for (side = 0; side < 2; side++) {
		same = fd;
		atomic_compare_exchange_strong(&queue->fd[side], &same, -1);
	}
}

/*
 * If the other side has another descriptor, it keeps it. Another thread may have found the
 * same before, and have opened the queue again, even with the same number: so all this is
 * under the lock.
 */
bool sysv__was_closed(int id, int fd)
{
	struct sysv_queue *queue = NULL;
	sigset_t mask;
	bool closed;

	lock(&mask);
	closed = !is_of(fd, id);
	if (closed)
		queue = in_table(id);
	if (queue)
		drop(queue, fd);
	unlock(&mask);

	return closed;
}

/* Both rights if there are both, so that one handle serves both sides. */
static int open_side(int id, int side, int *oflags)
{
	int fd;

	*oflags = O_RDWR;
	fd = sysv__open_id(id, *oflags);
	if (fd >= 0 || errno != EACCES)
		return fd;
	*oflags = side == SYSV_SEND ? O_WRONLY : O_RDONLY;

	return sysv__open_id(id, *oflags);
}

/* Open a queue, or its other side, and put it into the table. */
static bool open_queue(int id, int side)
{
	struct mbox_walk walk;
	int oflags, fd;
	key_t key;

	if (id <= 0) {
		errno = EINVAL;
		return false;
	}
	/* Before it is known what it is: without permission, that cannot be seen. */
	fd = open_side(id, side, &oflags);
	if (fd < 0)
		return false;
	if (!sysv__look_up(id, &walk, &key)) {
		close_quietly(fd);
		errno = EINVAL;
		return false;
	}
	sysv__keep(id, key, walk.stat.attr.msg_max, fd, oflags);

	return true;
}

struct sysv_queue *sysv__get(int id, int side)
{
	struct sysv_queue *queue;
	int tries;

	/* Another thread may forget what this one has opened, for a new attempt of its own. */
	for (tries = 0; tries < 100; tries++) {
		queue = find(id);
		if (queue) {
			if (queue->fd[side] >= 0)
				return queue;
			sysv__put(queue);
		}
		if (!open_queue(id, side)) {
			/* It was removed. */
			if (errno == EINVAL)
				sysv__forget(id);
			return NULL;
		}
	}
	errno = ENOMEM;

	return NULL;
}

/* ---- fork(2) --------------------------------------------------------------------- */

/* Of the thread that forks. */
static sigset_t mask_of_fork;

static void before_fork(void)
{
	sigset_t mask;

	lock(&mask);
	mask_of_fork = mask;
}

static void after_fork_in_parent(void)
{
	sigset_t mask = mask_of_fork;

	unlock(&mask);
}

/* The threads that had references are not there any more. */
static void after_fork_in_child(void)
{
	struct sysv_queue *queue;
	int i;

	for (i = 0; i < SYSV_PLACES; i++) {
		while ((queue = sysv__table[i])) {
			sysv__table[i] = queue->next;
			close_both(queue);
			queue->refs = 0;
			queue->next = unused;
			unused = queue;
		}
	}
	pthread_mutex_init(&changing, NULL);
	pthread_sigmask(SIG_SETMASK, &mask_of_fork, NULL);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
