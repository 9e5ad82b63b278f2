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
#include <sys/stat.h>

#include "../src/internal.h"
#include "mq.h"

/**
 * struct place - the thread of the registration with one mailbox
 * @base: for libmbox
 * @next: the next one in places
 * @dev: the mailbox, with @ino
 * @ino: its number in the file system
 * @helper: the thread
 * @listed: this is in places
 */
struct place {
	struct mbox__registrant base;
	struct place *next;
	dev_t dev;
	ino_t ino;
	struct mbox__helper *helper;
	bool listed;
};

/* Changes while registrations are locked. */
static struct place *_Atomic places;

static struct mbox__helper **find(struct mbox__registrant *r, bool make)
{
	struct place *own = (struct place *)r, *p;

	for (p = places; p; p = p->next)
		if (p->dev == own->dev && p->ino == own->ino) {
			p->base.fd = own->base.fd;
			return &p->helper;
		}
	if (!make)
		return NULL;
	own->listed = true;
	own->next = places;
	places = own;

	return &own->helper;
}

/* Wants a place on the heap, because it may stay. */
static int register_thread(const struct place *at, const struct sigevent *sev)
{
	struct place *p = malloc(sizeof(*p));
	int saved, ret;

	if (!p)
		return -1;
	*p = *at;
	ret = mbox__register(&p->base, sev);
	saved = errno;
	if (!p->listed)
		free(p);
	errno = saved;

	return ret;
}

MBOX_API int mq_notify(mqd_t mqd, const struct sigevent *sev)
{
	struct place at = { .base = { mqd, find } };
	struct mbox_stat mailbox;
	struct sigevent other;
	struct stat st;

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
	if (mq__stat(mqd, &mailbox) < 0 || fstat(mqd, &st) < 0)
		return -1;
	at.dev = st.st_dev;
	at.ino = st.st_ino;
	if (sev && sev->sigev_notify == SIGEV_THREAD)
		return register_thread(&at, sev);

	return mbox__register(&at.base, sev);
}

void mq__notify_closed(mqd_t mqd)
{
	struct place *p, *next, *kept = NULL, *closed = NULL;
	int saved = errno;
	sigset_t mask;

	if (!places)
		return;

	mbox__registrations_lock(&mask);
	for (p = places; p; p = next) {
		struct place **to = p->base.fd == mqd ? &closed : &kept;

		next = p->next;
		p->next = *to;
		*to = p;
	}
	places = kept;
	mbox__registrations_unlock(&mask);
	while (closed) {
		p = closed;
		closed = p->next;
		mbox__helper_end(p->helper);
		free(p);
	}
	errno = saved;
}
