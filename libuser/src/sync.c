// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Synchronisation by messages: semaphores, mutexes, condition variables, barriers.
 *
 * A token is an empty message. A process that waits for a token gets it on lease, so the
 * kernel puts the token back if the process dies, and counts that in the number of
 * deliveries: the next holder learns of it. A process that is done puts the token back
 * as if it had never been delivered.
 *
 * A thread that waits for a condition has a call without a reply in the mailbox of the
 * condition. A signal replies to the first call. So a thread that gives up or dies is
 * not counted any more, and a signal that no thread waits for leaves nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#include "internal.h"

/* Tokens that one message of a batch call can add. */
#define ADD_AT_ONCE 64

/**
 * struct mbox_sem - a semaphore
 * @mb: the mailbox of the tokens
 * @lock: protects the following
 * @tokens: those that this object holds, the last one taken last
 * @n: number of @tokens
 * @room: how many fit
 */
struct mbox_sem {
	struct mbox *mb;
	pthread_mutex_t lock;
	uint64_t *tokens;
	size_t n;
	size_t room;
};

/**
 * struct mbox_mutex - a mutex
 * @mb: the mailbox of the token
 * @token: the token while a thread of this object is the owner
 * @owned: a thread of this object is the owner
 * @inconsistent: an earlier owner died, and none since has said that all is well
 *
 * Only the owner uses the last three.
 */
struct mbox_mutex {
	struct mbox *mb;
	uint64_t token;
	bool owned;
	bool inconsistent;
};

/**
 * struct mbox_cond - a condition variable
 * @mb: the mailbox of the calls
 */
struct mbox_cond {
	struct mbox *mb;
};

/**
 * struct mbox_barrier - a barrier
 * @mutex: for everything below
 * @cond: threads that have arrived; its capacity is the number to wait for
 * @n: that number
 */
struct mbox_barrier {
	struct mbox_mutex *mutex;
	struct mbox_cond *cond;
	uint32_t n;
};

/* ---- mailboxes of tokens and of calls -------------------------------------- */

/*
 * Open a mailbox, or create it if @oflags has O_CREAT; says in *@created which it was.
 * @oflags is otherwise O_EXCL or 0.
 */
static struct mbox *open_or_create(const char *name, int oflags, mode_t perm, uint32_t capacity,
				   bool *created)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	int saved = errno;
	struct mbox *mb;

	*created = false;
	if (oflags & ~(O_CREAT | O_EXCL) || (!name && !(oflags & O_CREAT))) {
		errno = EINVAL;
		return NULL;
	}
	attr.capacity = capacity;
	attr.msg_max = 1;
	attr.perm = perm;
	for (;;) {
		if (oflags & O_CREAT) {
			mb = mbox_create(name, O_RDWR | O_EXCL, &attr);
			*created = mb;
			if (mb || errno != EEXIST || oflags & O_EXCL)
				return mb;
		}
		mb = mbox_open(name, O_RDWR);
		if (mb)
			errno = saved;
		/* It may have been unlinked after it existed. */
		if (mb || errno != ENOENT || !(oflags & O_CREAT))
			return mb;
	}
}

/* Close what could not be completed. A mailbox that was created goes, too. */
static void abandon(struct mbox *mb, bool created)
{
	int saved = errno;

	if (created)
		mbox_destroy(mb);
	mbox_close(mb);
	errno = saved;
}

/* Add @n tokens without waiting. Returns 0, or -1 and errno. */
static int add_tokens(struct mbox *mb, unsigned int n)
{
	static const struct mbox_msg token = { .flags = MBOX_DONTWAIT };
	struct mbox_msg msgs[ADD_AT_ONCE];
	unsigned int i;
	int done;

	for (i = 0; i < ADD_AT_ONCE && i < n; i++)
		msgs[i] = token;
	for (; n; n -= done) {
		done = mbox_sendmmsg(mb, msgs, n < ADD_AT_ONCE ? n : ADD_AT_ONCE, 0);
		if (done < 0)
			return -1;
	}

	return 0;
}

/* Wait for a token. Returns whether an earlier holder died with it, or -1 and errno. */
static int take_token(struct mbox *mb, uint64_t *token, const struct timespec *deadline)
{
	struct mbox_msg msg = { .flags = MBOX_LEASE };
	int64_t ns;

	if (deadline) {
		ns = mbox__deadline_to_ns(deadline);
		if (ns < 0)
			return -1;
		msg.deadline_ns = ns;
	}
	if (mbox_recvmsg(mb, &msg) < 0)
		return -1;
	*token = msg.token;

	return msg.deliveries > 1;
}

/* ---- semaphores ----------------------------------------------------------- */

MBOX_API struct mbox_sem *mbox_sem_open(const char *name, int oflags, mode_t perm,
					unsigned int value)
{
	struct mbox_sem *sem = calloc(1, sizeof(*sem));
	bool created;

	if (!sem)
		return NULL;
	sem->mb = open_or_create(name, oflags, perm, MBOX_UNBOUNDED, &created);
	if (!sem->mb)
		goto err_free;
	if (created && add_tokens(sem->mb, value) < 0) {
		abandon(sem->mb, true);
		goto err_free;
	}
	pthread_mutex_init(&sem->lock, NULL);

	return sem;

err_free:
	free(sem);

	return NULL;
}

MBOX_API int mbox_sem_close(struct mbox_sem *sem)
{
	int ret;

	if (!sem)
		return 0;
	ret = mbox_close(sem->mb);
	pthread_mutex_destroy(&sem->lock);
	free(sem->tokens);
	free(sem);

	return ret;
}

/* Room for one more token, so that none is taken that could not be put back. */
static bool make_room(struct mbox_sem *sem)
{
	size_t room = sem->room ? 2 * sem->room : 8;
	uint64_t *tokens;

	if (sem->n < sem->room)
		return true;
	tokens = realloc(sem->tokens, room * sizeof(*tokens));
	if (!tokens)
		return false;
	sem->tokens = tokens;
	sem->room = room;

	return true;
}

MBOX_API int mbox_sem_wait(struct mbox_sem *sem, const struct timespec *deadline)
{
	uint64_t token;
	bool fits;
	int died;

	died = take_token(sem->mb, &token, deadline);
	if (died < 0)
		return -1;
	pthread_mutex_lock(&sem->lock);
	fits = make_room(sem);
	if (fits)
		sem->tokens[sem->n++] = token;
	pthread_mutex_unlock(&sem->lock);
	if (!fits) {
		if (died)
			mbox_nack(sem->mb, token);
		else
			mbox_put_back(sem->mb, token);
		errno = ENOMEM;
		return -1;
	}

	return died;
}

/* Take the last token from those that are held. Returns whether there is one. */
static bool pop(struct mbox_sem *sem, uint64_t *token)
{
	bool any;

	pthread_mutex_lock(&sem->lock);
	any = sem->n;
	if (any)
		*token = sem->tokens[--sem->n];
	pthread_mutex_unlock(&sem->lock);
	if (!any)
		errno = EPERM;

	return any;
}

MBOX_API int mbox_sem_post(struct mbox_sem *sem)
{
	uint64_t token;

	return pop(sem, &token) ? mbox_put_back(sem->mb, token) : -1;
}

MBOX_API int mbox_sem_spend(struct mbox_sem *sem)
{
	uint64_t token;

	return pop(sem, &token) ? mbox_ack(sem->mb, token) : -1;
}

MBOX_API int mbox_sem_add(struct mbox_sem *sem, unsigned int n)
{
	return add_tokens(sem->mb, n);
}

MBOX_API int mbox_sem_value(struct mbox_sem *sem, unsigned int *value)
{
	struct mbox_stat st;

	if (mbox_stat(sem->mb, &st) < 0)
		return -1;
	*value = st.queued;

	return 0;
}

/* ---- mutexes --------------------------------------------------------------- */

MBOX_API struct mbox_mutex *mbox_mutex_open(const char *name, int oflags, mode_t perm)
{
	struct mbox_mutex *mutex = calloc(1, sizeof(*mutex));
	bool created;

	if (!mutex)
		return NULL;
	mutex->mb = open_or_create(name, oflags, perm, 1, &created);
	if (!mutex->mb)
		goto err_free;
	if (created && add_tokens(mutex->mb, 1) < 0) {
		abandon(mutex->mb, true);
		goto err_free;
	}

	return mutex;

err_free:
	free(mutex);

	return NULL;
}

MBOX_API int mbox_mutex_close(struct mbox_mutex *mutex)
{
	int ret;

	if (!mutex)
		return 0;
	ret = mbox_close(mutex->mb);
	free(mutex);

	return ret;
}

MBOX_API int mbox_mutex_lock(struct mbox_mutex *mutex, const struct timespec *deadline)
{
	uint64_t token;
	int died;

	died = take_token(mutex->mb, &token, deadline);
	if (died < 0)
		return -1;
	mutex->token = token;
	mutex->inconsistent = died;
	mutex->owned = true;
	if (died)
		errno = EOWNERDEAD;

	return died;
}

MBOX_API int mbox_mutex_consistent(struct mbox_mutex *mutex)
{
	if (!mutex->owned || !mutex->inconsistent) {
		errno = EINVAL;
		return -1;
	}
	mutex->inconsistent = false;

	return 0;
}

MBOX_API int mbox_mutex_unlock(struct mbox_mutex *mutex)
{
	const bool inconsistent = mutex->inconsistent;
	const uint64_t token = mutex->token;

	if (!mutex->owned) {
		errno = EPERM;
		return -1;
	}
	/* From the put-back on, another thread can be the owner. */
	mutex->owned = false;
	mutex->inconsistent = false;

	return inconsistent ? mbox_nack(mutex->mb, token) : mbox_put_back(mutex->mb, token);
}

/* ---- condition variables ---------------------------------------------------- */

static struct mbox_cond *open_cond(const char *name, int oflags, mode_t perm, uint32_t capacity,
				   bool *created)
{
	struct mbox_cond *cond = calloc(1, sizeof(*cond));

	if (!cond)
		return NULL;
	cond->mb = open_or_create(name, oflags, perm, capacity, created);
	if (!cond->mb) {
		free(cond);
		return NULL;
	}

	return cond;
}

MBOX_API struct mbox_cond *mbox_cond_open(const char *name, int oflags, mode_t perm)
{
	bool created;

	return open_cond(name, oflags, perm, MBOX_UNBOUNDED, &created);
}

MBOX_API int mbox_cond_close(struct mbox_cond *cond)
{
	int ret;

	if (!cond)
		return 0;
	ret = mbox_close(cond->mb);
	free(cond);

	return ret;
}

/* Lock again, after a wait that ended with @ret and errno. */
static int lock_again(struct mbox_mutex *mutex, int ret, bool *locked)
{
	const struct timespec a_moment = { .tv_nsec = 1000000 };
	int saved = errno, died;

	/* Memory that is missing now was there for the lock before: it comes back. */
	for (;;) {
		died = mbox_mutex_lock(mutex, NULL);
		if (died >= 0 || (errno != EINTR && errno != ENOMEM && errno != EDQUOT))
			break;
		if (errno != EINTR)
			nanosleep(&a_moment, NULL);
	}
	if (died < 0)
		return -1;
	*locked = true;
	if (ret < 0) {
		errno = saved;
		return -1;
	}
	if (!died)
		errno = saved;

	return died;
}

/* Withdraw a call. Returns false if a signal has ended it. */
static bool withdrawn(struct mbox_cond *cond, uint64_t *token)
{
	const struct timespec past = { 0 };
	struct mbox_msg reply = { 0 };

	if (!mbox_call_cancel(cond->mb, *token))
		return true;
	/* The thread that was to signal may have died after it had begun. */
	return mbox_call_wait(cond->mb, token, &reply, &past) < 0 && errno != EPIPE;
}

/* mbox_cond_wait(), which says in *@locked whether the thread owns the mutex. */
static int cond_wait(struct mbox_cond *cond, struct mbox_mutex *mutex,
		     const struct timespec *deadline, bool *locked)
{
	struct mbox_msg call = { .flags = MBOX_DONTWAIT }, reply = { 0 };
	const int before = errno;
	bool gave_up, signalled;
	uint64_t token;
	ssize_t ret;
	int saved;

	*locked = mutex->owned;
	if (!*locked) {
		errno = EPERM;
		return -1;
	}
	if (mbox_call_start(cond->mb, &call, 0, &token) < 0)
		return -1;
	*locked = false;
	if (mbox_mutex_unlock(mutex) < 0) {
		saved = errno;
		mbox_call_cancel(cond->mb, token);
		errno = saved;
		return -1;
	}
	ret = mbox_call_wait(cond->mb, &token, &reply, deadline);
	signalled = ret >= 0 || errno == EPIPE;
	gave_up = !signalled && errno != EIDRM;
	if (signalled)
		errno = before;
	ret = lock_again(mutex, signalled ? 0 : -1, locked);
	if (!gave_up)
		return ret;

	/*
	 * Until the mutex is locked, this thread counts as one that waits. If a signal was
	 * faster, this is the thread that has it.
	 */
	saved = errno;
	if (withdrawn(cond, &token) || !*locked) {
		errno = saved;
		return -1;
	}
	errno = mutex->inconsistent ? EOWNERDEAD : before;

	return mutex->inconsistent;
}

MBOX_API int mbox_cond_wait(struct mbox_cond *cond, struct mbox_mutex *mutex,
			    const struct timespec *deadline)
{
	bool locked;

	return cond_wait(cond, mutex, deadline, &locked);
}

/* Wake a thread that waits. Returns whether there was one, or -1 and errno. */
static int wake_one(struct mbox_cond *cond)
{
	const int before = errno;
	struct mbox_msg msg;

	for (;;) {
		/* Calls have type 0. */
		msg = (struct mbox_msg){ .flags = MBOX_DONTWAIT | MBOX_MATCH };
		if (mbox_recvmsg(cond->mb, &msg) < 0)
			break;
		if (!mbox_reply(cond->mb, msg.token, NULL, 0)) {
			errno = before;
			return 1;
		}
		/* That thread has given up. */
		if (errno != ESRCH)
			return -1;
	}
	if (errno != EAGAIN)
		return -1;
	errno = before;

	return 0;
}

MBOX_API int mbox_cond_signal(struct mbox_cond *cond)
{
	return wake_one(cond) < 0 ? -1 : 0;
}

MBOX_API int mbox_cond_broadcast(struct mbox_cond *cond)
{
	struct mbox_stat st;
	int ret = 1;

	if (mbox_stat(cond->mb, &st) < 0)
		return -1;
	/* Those that begin to wait from now on are not meant. */
	while (st.queued-- && ret > 0)
		ret = wake_one(cond);

	return ret < 0 ? -1 : 0;
}

/* ---- barriers --------------------------------------------------------------- */

/* Type of the message that is there while the threads at a barrier are woken. */
#define OPEN_TYPE 1

static bool lock_name(char name[MBOX_NAME_MAX + 2], const char *of)
{
	int len = snprintf(name, MBOX_NAME_MAX + 2, "%s.lock", of);

	if (len <= MBOX_NAME_MAX)
		return true;
	errno = ENAMETOOLONG;

	return false;
}

static void close_parts(struct mbox_barrier *barrier)
{
	int saved = errno;

	mbox_cond_close(barrier->cond);
	mbox_mutex_close(barrier->mutex);
	errno = saved;
}

MBOX_API struct mbox_barrier *mbox_barrier_open(const char *name, int oflags, mode_t perm,
						unsigned int n)
{
	char lock[MBOX_NAME_MAX + 2];
	struct mbox_barrier *barrier;
	struct mbox_stat st;
	bool created;

	if ((!n && (!name || oflags & O_CREAT)) || n >= MBOX_UNBOUNDED) {
		errno = EINVAL;
		return NULL;
	}
	if (name && !lock_name(lock, name))
		return NULL;
	barrier = calloc(1, sizeof(*barrier));
	if (!barrier)
		return NULL;
	barrier->cond = open_cond(name, oflags, perm, n, &created);
	if (!barrier->cond)
		goto err_free;
	barrier->mutex = mbox_mutex_open(name ? lock : NULL, oflags & ~O_EXCL, perm);
	if (!barrier->mutex || mbox_stat(barrier->cond->mb, &st) < 0)
		goto err_abandon;
	/* What was there already may wait for another number. */
	barrier->n = st.attr.capacity;

	return barrier;

err_abandon:
	abandon(barrier->cond->mb, created);
	free(barrier->cond);
	barrier->cond = NULL;
	close_parts(barrier);
err_free:
	free(barrier);

	return NULL;
}

MBOX_API int mbox_barrier_close(struct mbox_barrier *barrier)
{
	if (!barrier)
		return 0;
	close_parts(barrier);
	free(barrier);

	return 0;
}

MBOX_API int mbox_barrier_unlink(const char *name)
{
	char lock[MBOX_NAME_MAX + 2];

	if (!lock_name(lock, name))
		return -1;
	if (mbox_unlink(lock) < 0 && errno != ENOENT)
		return -1;

	return mbox_unlink(name);
}

/* Wake all threads at a barrier that is open, and close it. */
static int let_through(struct mbox_barrier *barrier)
{
	struct mbox_msg open = {
		.type = OPEN_TYPE,
		.flags = MBOX_DONTWAIT | MBOX_MATCH,
	};
	int ret;

	do {
		ret = wake_one(barrier->cond);
	} while (ret > 0);
	if (ret < 0)
		return -1;

	return mbox_recvmsg(barrier->cond->mb, &open) < 0 ? -1 : 0;
}

/* If the last owner died while it woke the threads at the barrier, go on with it. */
static int repair(struct mbox_barrier *barrier)
{
	const int before = errno;
	struct mbox_msg open = {
		.type = OPEN_TYPE,
		.flags = MBOX_DONTWAIT | MBOX_MATCH | MBOX_PEEK,
	};

	if (mbox_recvmsg(barrier->cond->mb, &open) < 0) {
		if (errno != EAGAIN)
			return -1;
	} else if (let_through(barrier) < 0) {
		return -1;
	}
	errno = before;

	return mbox_mutex_consistent(barrier->mutex);
}

/* Unlock, at the end of a call that returns @ret and errno. */
static int unlock(struct mbox_barrier *barrier, int ret)
{
	const int saved = errno;

	if (mbox_mutex_unlock(barrier->mutex) < 0 && ret >= 0)
		return -1;
	errno = saved;

	return ret;
}

MBOX_API int mbox_barrier_wait(struct mbox_barrier *barrier, const struct timespec *deadline)
{
	struct mbox_msg open = {
		.type = OPEN_TYPE,
		.prio = MBOX_PRIO_MAX,
		.flags = MBOX_DONTWAIT,
	};
	struct mbox_stat st;
	int died, ret;
	bool locked;

	died = mbox_mutex_lock(barrier->mutex, deadline);
	if (died < 0)
		return -1;
	if ((died && repair(barrier) < 0) || mbox_stat(barrier->cond->mb, &st) < 0)
		return unlock(barrier, -1);
	if (st.queued + 1 >= barrier->n) {
		if (mbox_sendmsg(barrier->cond->mb, &open) < 0 || let_through(barrier) < 0)
			return unlock(barrier, -1);
		return unlock(barrier, 1);
	}
	ret = cond_wait(barrier->cond, barrier->mutex, deadline, &locked);
	if (!locked)
		return -1;
	if (barrier->mutex->inconsistent && repair(barrier) < 0)
		ret = -1;

	return unlock(barrier, ret < 0 ? -1 : 0);
}
