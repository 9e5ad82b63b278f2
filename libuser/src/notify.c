// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Being notified of a message, as mq_notify(3) has it.
 *
 * The kernel sends signals, and adds to an eventfd. For SIGEV_THREAD a thread
 * waits for that, and then is the one that runs the program's function. It and
 * the handle have a reference each to what they share, so that neither has to
 * wait for the other, with one exception: who ends a registration waits until
 * its descriptor is closed.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

/**
 * struct mbox__helper - a thread that waits for a notification
 * @lock: protects @revoked and @closed
 * @has_closed: @closed has become true
 * @refs: the handle and the thread
 * @generation: number of the process that the thread is in
 * @eventfd: what it waits for, ENDED or a message; -1 from just before it is closed
 * @handle: descriptor of the handle, good unless @revoked
 * @revoked: the registration was taken back, so a message that came before does not count
 * @closed: @eventfd is
 * @function: to be run
 * @value: its argument
 * @mask: signals that are blocked while it runs
 */
struct mbox__helper {
	pthread_mutex_t lock;
	pthread_cond_t has_closed;
	atomic_int refs;
	uint64_t generation;
	atomic_int eventfd;
	int handle;
	bool revoked;
	bool closed;
	void (*function)(union sigval value);
	union sigval value;
	sigset_t mask;
};

/* Added to the eventfd when nobody waits for the thread any more. The kernel adds 1. */
#define ENDED 2

/* Orders registrations with the helpers that are kept for them. */
static pthread_mutex_t registering = PTHREAD_MUTEX_INITIALIZER;

/* In a child of fork(2), no thread has it locked; another one of the parent's may have. */
static void renew_lock(void)
{
	pthread_mutex_init(&registering, NULL);
}

/* There is no memory for it: then there will be none for a registration either. */
static void __attribute__((constructor)) renew_lock_in_children(void)
{
	pthread_atfork(NULL, NULL, renew_lock);
}

static void put(struct mbox__helper *h)
{
	if (atomic_fetch_sub(&h->refs, 1) > 1)
		return;
	pthread_cond_destroy(&h->has_closed);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static bool is_destroyed(int fd)
{
	struct mbox_stat st = { 0 };

	return ioctl(fd, MBOX_IOC_STAT, &st) < 0 && errno == EIDRM;
}

/* Wait. Return whether there is a message. */
static bool await(struct mbox__helper *h)
{
	int fd = h->eventfd;
	uint64_t n = 0;
	bool arrived;

	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;

	pthread_mutex_lock(&h->lock);
	arrived = n % ENDED && !h->revoked && !is_destroyed(h->handle);
	/* First, so that a child of a fork now does not close what it is not. */
	h->eventfd = -1;
	close(fd);
	h->closed = true;
	pthread_cond_signal(&h->has_closed);
	pthread_mutex_unlock(&h->lock);

	return arrived;
}

static void *run(void *arg)
{
	struct mbox__helper *h = arg;
	void (*function)(union sigval value) = h->function;
	union sigval value = h->value;
	sigset_t mask = h->mask;
	bool arrived;

	/* The program does not know it yet. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	arrived = await(h);
	put(h);
	if (arrived) {
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		function(value);
	}

	return NULL;
}

/* No signal handler of the program runs in a thread that it does not know of. */
static int start_thread(struct mbox__helper *h, const pthread_attr_t *attr)
{
	int state = PTHREAD_CREATE_JOINABLE;
	pthread_t thread;
	sigset_t all;
	int ret;

	if (attr)
		pthread_attr_getdetachstate(attr, &state);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &h->mask);
	ret = pthread_create(&thread, attr, run, h);
	pthread_sigmask(SIG_SETMASK, &h->mask, NULL);
	if (!ret && state == PTHREAD_CREATE_JOINABLE)
		pthread_detach(thread);

	return ret;
}

static struct mbox__helper *new_helper(int handle, const struct sigevent *sev)
{
	struct mbox__helper *h;
	int ret;

	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;

	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->has_closed, NULL);
	h->refs = 2;
	h->handle = handle;
	h->function = sev->sigev_notify_function;
	h->value = sev->sigev_value;
	h->generation = mbox__generation();
	if (!h->generation) {
		ret = errno;
		goto err_free;
	}
	h->eventfd = eventfd(0, EFD_CLOEXEC);
	if (h->eventfd < 0) {
		ret = errno;
		goto err_free;
	}

	ret = start_thread(h, sev->sigev_notify_attributes);
	if (ret)
		goto err_close;

	return h;

err_close:
	close(h->eventfd);
err_free:
	h->refs = 1;
	put(h);
	errno = ret;

	return NULL;
}

static void end(struct mbox__helper *h, bool revoke)
{
	uint64_t ended = ENDED;

	if (!h)
		return;

	/*
	 * After fork(2) there is no such thread here, but its descriptor is. It is
	 * left open if the thread was closing its own at that moment.
	 */
	if (h->generation != mbox__generation()) {
		if (h->eventfd >= 0)
			close(h->eventfd);
		free(h);
		return;
	}

	pthread_mutex_lock(&h->lock);
	h->revoked = revoke;
	if (h->eventfd >= 0 && write(h->eventfd, &ended, sizeof(ended)) < 0)
		abort();
	while (!h->closed)
		pthread_cond_wait(&h->has_closed, &h->lock);
	pthread_mutex_unlock(&h->lock);
	put(h);
}

void mbox__helper_end(struct mbox__helper *h)
{
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	end(h, true);
	pthread_setcancelstate(cancel, NULL);
}

/* A notification can come at once, and its handler can register again. */
void mbox__registrations_lock(sigset_t *mask)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, mask);
	pthread_mutex_lock(&registering);
}

void mbox__registrations_unlock(const sigset_t *mask)
{
	pthread_mutex_unlock(&registering);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

/* Tell the kernel, and keep @h in the place of what was there. */
static int enter(struct mbox__registrant *r, struct mbox_notify *arg, struct mbox__helper *h)
{
	struct mbox__helper **kept, *old = h;
	int saved, ret;
	sigset_t mask;

	mbox__registrations_lock(&mask);
	ret = ioctl(r->fd, MBOX_IOC_NOTIFY, arg);
	saved = errno;
	if (!ret) {
		kept = r->find(r, h);
		old = kept ? *kept : NULL;
		if (kept)
			*kept = h;
	}
	mbox__registrations_unlock(&mask);
	/* Its registration has ended, perhaps by a message that it has yet to see. */
	end(old, ret || arg->kind == MBOX_NOTIFY_OFF);
	errno = saved;

	return ret;
}

static int enter_thread(struct mbox__registrant *r, const struct sigevent *sev)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_EVENTFD };
	struct mbox__helper *h;

	h = new_helper(r->fd, sev);
	if (!h)
		return -1;
	arg.fd = h->eventfd;

	return enter(r, &arg, h);
}

static int notify(struct mbox__registrant *r, const struct sigevent *sev)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_OFF };

	if (!sev)
		return enter(r, &arg, NULL);

	switch (sev->sigev_notify) {
	case SIGEV_NONE:
		arg.kind = MBOX_NOTIFY_NONE;
		return enter(r, &arg, NULL);
	case SIGEV_SIGNAL:
		arg.kind = MBOX_NOTIFY_SIGNAL;
		arg.signo = sev->sigev_signo;
		arg.value = (uintptr_t)sev->sigev_value.sival_ptr;
		return enter(r, &arg, NULL);
	case SIGEV_THREAD:
		return enter_thread(r, sev);
	}

	errno = EINVAL;

	return -1;
}

int mbox__register(struct mbox__registrant *r, const struct sigevent *sev)
{
	int cancel, ret;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	ret = notify(r, sev);
	pthread_setcancelstate(cancel, NULL);

	return ret;
}

/**
 * struct handle_registrant - a handle of the library's that registers
 * @base: what it is for the functions above
 * @mb: the handle
 */
struct handle_registrant {
	struct mbox__registrant base;
	struct mbox *mb;
};

static struct mbox__helper **find_in_handle(struct mbox__registrant *r, bool make)
{
	(void)make;

	return &((struct handle_registrant *)r)->mb->helper;
}

MBOX_API int mbox_notify(struct mbox *mb, const struct sigevent *sev)
{
	struct handle_registrant r = { { mb->fd, find_in_handle }, mb };

	return mbox__register(&r.base, sev);
}
