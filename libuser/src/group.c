// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Receiving from whichever of several mailboxes has a message.
 *
 * A group is an epoll instance and the list of its members. A call asks epoll which
 * members are ready, and tries to receive from them in the order that the group has,
 * without waiting; another receiver may have been faster. If there is nothing, it waits
 * for the epoll instance. A receive ends the turn of its member: within a rank the
 * member comes next whose last turn is the longest ago.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "internal.h"

/**
 * struct member - a mailbox in a group
 * @mb: the handle
 * @rank: members of a higher rank come first
 * @turn: number of the last receive from it
 * @prio: MBOX_GROUP_PRIO: priority of its first message, in one look at the group
 */
struct member {
	struct mbox *mb;
	unsigned int rank;
	unsigned long long turn;
	unsigned int prio;
};

/**
 * struct mbox_group - mailboxes to receive from
 * @epoll: the epoll instance
 * @by_prio: MBOX_GROUP_PRIO
 * @lock: protects what follows; not held while a call waits
 * @members: the members
 * @ready: as long as @members: the result of epoll_wait(2), then those to try
 * @n: number of members
 * @turns: number of receives
 */
struct mbox_group {
	int epoll;
	bool by_prio;
	pthread_mutex_t lock;
	struct member **members;
	struct epoll_event *ready;
	unsigned int n;
	unsigned long long turns;
};

MBOX_API struct mbox_group *mbox_group_new(unsigned int flags)
{
	struct mbox_group *group;
	int saved;

	if (flags & ~MBOX_GROUP_PRIO) {
		errno = EINVAL;
		return NULL;
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (group->epoll < 0) {
		saved = errno;
		free(group);
		errno = saved;
		return NULL;
	}
	group->by_prio = flags & MBOX_GROUP_PRIO;
	pthread_mutex_init(&group->lock, NULL);

	return group;
}

MBOX_API void mbox_group_free(struct mbox_group *group)
{
	int saved = errno;
	unsigned int i;

	if (!group)
		return;
	for (i = 0; i < group->n; i++)
		free(group->members[i]);
	close(group->epoll);
	pthread_mutex_destroy(&group->lock);
	free(group->members);
	free(group->ready);
	free(group);
	errno = saved;
}

MBOX_API int mbox_group_fd(const struct mbox_group *group)
{
	return group->epoll;
}

/* Room for one more member. Returns whether there is. */
static bool grow(struct mbox_group *group)
{
	size_t n = group->n + 1;
	void *mem;

	/* Doubled, when the number is a power of two. */
	if (group->n & (group->n - 1))
		return true;
	n = group->n ? 2 * (size_t)group->n : 1;
	mem = realloc(group->members, n * sizeof(*group->members));
	if (!mem)
		return false;
	group->members = mem;
	mem = realloc(group->ready, n * sizeof(*group->ready));
	if (!mem)
		return false;
	group->ready = mem;

	return true;
}

MBOX_API int mbox_group_add(struct mbox_group *group, struct mbox *mb, unsigned int rank)
{
	struct epoll_event event = { .events = EPOLLIN };
	int flags = fcntl(mb->fd, F_GETFL);
	struct member *member;
	int saved;

	if (flags < 0)
		return -1;
	if ((flags & O_ACCMODE) == O_WRONLY) {
		errno = EBADF;
		return -1;
	}
	member = malloc(sizeof(*member));
	if (!member)
		return -1;
	*member = (struct member){ .mb = mb, .rank = rank };
	event.data.ptr = member;
	pthread_mutex_lock(&group->lock);
	if (!grow(group) || epoll_ctl(group->epoll, EPOLL_CTL_ADD, mb->fd, &event) < 0) {
		saved = errno;
		pthread_mutex_unlock(&group->lock);
		free(member);
		errno = saved;
		return -1;
	}
	group->members[group->n++] = member;
	pthread_mutex_unlock(&group->lock);

	return 0;
}

MBOX_API int mbox_group_remove(struct mbox_group *group, struct mbox *mb)
{
	unsigned int i;
	int ret = -1;

	pthread_mutex_lock(&group->lock);
	for (i = 0; i < group->n; i++)
		if (group->members[i]->mb == mb)
			break;
	if (i == group->n) {
		errno = ENOENT;
		goto out;
	}
	ret = epoll_ctl(group->epoll, EPOLL_CTL_DEL, mb->fd, NULL);
	if (ret < 0)
		goto out;
	free(group->members[i]);
	group->members[i] = group->members[--group->n];
out:
	pthread_mutex_unlock(&group->lock);

	return ret;
}

/* Which of two comes first. */
static bool is_before(const struct member *a, const struct member *b)
{
	if (a->rank != b->rank)
		return a->rank > b->rank;
	if (a->prio != b->prio)
		return a->prio > b->prio;

	return a->turn < b->turn;
}

/* The priority of the first message; 0 if there is none, or no such thing. */
static unsigned int first_prio(struct mbox *mb)
{
	struct mbox_msg msg = { .flags = MBOX_PEEK | MBOX_TRUNC | MBOX_DONTWAIT };

	return mbox_recvmsg(mb, &msg) < 0 ? 0 : msg.prio;
}

/* The member to try next; takes it from the ready ones. */
static struct member *take_first(struct epoll_event *ready, int *n)
{
	struct member *member;
	int i, first = 0;

	for (i = 1; i < *n; i++)
		if (is_before(ready[i].data.ptr, ready[first].data.ptr))
			first = i;
	member = ready[first].data.ptr;
	ready[first] = ready[--*n];

	return member;
}

/* Receive from one of the members that are ready. EAGAIN: there is nothing. */
static ssize_t try_recv(struct mbox_group *group, struct mbox_msg *msg, struct mbox **from)
{
	const uint32_t flags = msg->flags;
	struct member *member;
	ssize_t len;
	int i, n;

	if (!group->n) {
		errno = EAGAIN;
		return -1;
	}
	n = epoll_wait(group->epoll, group->ready, group->n, 0);
	if (n < 0)
		return -1;
	for (i = 0; i < n && group->by_prio; i++) {
		member = group->ready[i].data.ptr;
		member->prio = first_prio(member->mb);
	}
	while (n) {
		member = take_first(group->ready, &n);
		msg->flags = flags | MBOX_DONTWAIT;
		len = mbox_recvmsg(member->mb, msg);
		if (len < 0)
			msg->flags = flags;
		else
			msg->flags &= flags | ~MBOX_DONTWAIT;
		if (len < 0 && errno == EAGAIN)
			continue;
		member->turn = ++group->turns;
		*from = member->mb;
		return len;
	}
	errno = EAGAIN;

	return -1;
}

/* Whether a deadline can come, in the time that a timer can have. */
static bool can_come(uint64_t deadline_ns)
{
	uint64_t sec = deadline_ns / 1000000000;

	return deadline_ns && deadline_ns <= INT64_MAX &&
	       (sizeof(time_t) > 4 || sec <= INT32_MAX);
}

/* A timer that runs out at the deadline of a message, or -1 and errno. */
static int deadline_timer(const struct mbox_msg *msg)
{
	struct itimerspec at = {
		.it_value.tv_sec = msg->deadline_ns / 1000000000,
		.it_value.tv_nsec = msg->deadline_ns % 1000000000,
	};
	int fd, saved;

	fd = timerfd_create(msg->flags & MBOX_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC,
			    TFD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL) < 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}

	return fd;
}

/* Wait until a member may be ready, or until the timer runs out. 0, or -1 and errno. */
static int wait_for_any(struct mbox_group *group, int timer)
{
	struct pollfd fds[2] = {
		{ .fd = group->epoll, .events = POLLIN },
		{ .fd = timer, .events = POLLIN },
	};

	if (poll(fds, 2, -1) < 0)
		return -1;
	/* Also if a member is ready: another receiver may be faster every time. */
	if (fds[1].revents) {
		errno = ETIMEDOUT;
		return -1;
	}

	return 0;
}

MBOX_API ssize_t mbox_recv_any(struct mbox_group *group, struct mbox_msg *msg, struct mbox **from)
{
	int before = errno, timer = -1, saved, cancel;
	ssize_t len;

	*from = NULL;
	/* A member is ready for a receive of its first message. */
	if (msg->skip || msg->flags & (MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE | MBOX_PEEK)) {
		errno = EINVAL;
		return -1;
	}
	/* A thread that was cancelled here would leave the group locked. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	for (;;) {
		pthread_mutex_lock(&group->lock);
		len = try_recv(group, msg, from);
		pthread_mutex_unlock(&group->lock);
		if (len >= 0 || errno != EAGAIN || msg->flags & MBOX_DONTWAIT)
			break;
		if (can_come(msg->deadline_ns) && timer < 0) {
			timer = deadline_timer(msg);
			if (timer < 0)
				break;
		}
		if (wait_for_any(group, timer) < 0)
			break;
	}
	saved = len < 0 ? errno : before;
	if (timer >= 0)
		close(timer);
	pthread_setcancelstate(cancel, NULL);
	errno = saved;

	return len;
}
