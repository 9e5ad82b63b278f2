// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mq_notify(3).
 *
 * A registration belongs to the process and is in the kernel, which ends it when the
 * process closes the descriptor, exits or executes. Only the thread of SIGEV_THREAD has
 * to be found again, by the mailbox that it is for: when another registration with that
 * mailbox succeeds, or its descriptor is closed, the thread's own has ended.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../src/internal.h"
#include "mq.h"

/**
 * struct place - the thread of the registration with one mailbox
 * @next: the next one in places
 * @dev: the mailbox, with @ino
 * @ino: its number in the file system
 * @fd: the descriptor that registered last
 * @helper: the thread
 */
struct place {
	struct place *next;
	uint64_t dev;
	uint64_t ino;
	int fd;
	struct mbox__helper *helper;
};

/**
 * struct request - one call of mq_notify()
 * @base: for libmbox
 * @dev: the mailbox, with @ino
 * @ino: its number in the file system
 * @spare: becomes its place if there is none; NULL: it has become that
 */
struct request {
	struct mbox__registrant base;
	uint64_t dev;
	uint64_t ino;
	struct place *spare;
};

/* Changes while registrations are locked. */
static struct place *_Atomic places;
/* Number of the process whose places these are. */
static uint64_t places_of;

/*
 * A child of fork(2) has neither the registrations nor the threads of its parent, and the
 * list may have been in the middle of a change.
 */
static void forget_places_of_parent(void)
{
	uint64_t generation = mbox__generation();

	if (places_of == generation)
		return;
	places = NULL;
	places_of = generation;
}

static struct mbox__helper **find(struct mbox__registrant *r, bool make)
{
	struct request *own = (struct request *)r;
	struct place *p;

	forget_places_of_parent();
	for (p = places; p; p = p->next)
		if (p->dev == own->dev && p->ino == own->ino) {
			p->fd = own->base.fd;
			return &p->helper;
		}
	if (!make)
		return NULL;
	p = own->spare;
	own->spare = NULL;
	*p = (struct place){ .next = places, .dev = own->dev, .ino = own->ino, .fd = own->base.fd };
	places = p;

	return &p->helper;
}

/* Once it is in the list, a place is another thread's to free. */
static int register_thread(struct request *own, const struct sigevent *sev)
{
	int saved, ret;

	own->spare = malloc(sizeof(*own->spare));
	if (!own->spare)
		return -1;
	ret = mbox__register(&own->base, sev);
	saved = errno;
	free(own->spare);
	errno = saved;

	return ret;
}

MBOX_API int mq_notify(mqd_t mqd, const struct sigevent *sev)
{
	struct request own = { .base = { mqd, find } };
	struct mbox_stat mailbox;
	struct sigevent other;
	struct mbox__file file;

	if (sev && sev->sigev_notify != SIGEV_NONE && sev->sigev_notify != SIGEV_SIGNAL &&
	    sev->sigev_notify != SIGEV_THREAD) {
		errno = EINVAL;
		return -1;
	}
	if (sev && sev->sigev_notify == SIGEV_SIGNAL) {
		if (sev->sigev_signo < 0 || sev->sigev_signo >= NSIG) {
			errno = EINVAL;
			return -1;
		}
		/* As kill(2) has it: no signal is sent. */
		if (!sev->sigev_signo) {
			other = *sev;
			other.sigev_notify = SIGEV_NONE;
			sev = &other;
		}
	}
	if (mq__stat(mqd, &mailbox) < 0 || mbox__get_file(mqd, &file) < 0)
		return -1;
	own.dev = file.dev;
	own.ino = file.ino;
	if (sev && sev->sigev_notify == SIGEV_THREAD)
		return register_thread(&own, sev);

	return mbox__register(&own.base, sev);
}

/* Take those of a descriptor out of the list. */
static struct place *take_out(mqd_t mqd)
{
	struct place *p, *next, *kept = NULL, *taken = NULL;

	for (p = places; p; p = next) {
		struct place **to = p->fd == mqd ? &taken : &kept;

		next = p->next;
		p->next = *to;
		*to = p;
	}
	places = kept;

	return taken;
}

/* close(2) is a cancellation point, mq_close(3) is none. */
int mq__close(mqd_t mqd)
{
	struct place *p, *closed = NULL;
	int saved, ret;
	sigset_t mask;

	if (!places)
		return syscall(SYS_close, mqd);

	/* Locked: at once, the number can be that of another thread's queue. */
	mbox__registrations_lock(&mask);
	ret = syscall(SYS_close, mqd);
	saved = errno;
	forget_places_of_parent();
	if (!ret)
		closed = take_out(mqd);
	mbox__registrations_unlock(&mask);
	while (closed) {
		p = closed;
		closed = p->next;
		mbox__helper_end(p->helper);
		free(p);
	}
	errno = saved;

	return ret;
}
