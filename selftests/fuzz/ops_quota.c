// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits: a user meets its own, and its share with the owner of a mailbox.
 */
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "fuzz.h"

#define MSEC 1000000ULL

#define QUOTA_MAX 300

struct quota {
	int fd;
	uint32_t len;
	/* Wait, for a moment. */
	bool waits;
	unsigned int sent;
};

static long quota_send(struct worker *l, struct quota *q, uint32_t len)
{
	struct mbox_msg m = { .len = len, .type = q->sent };

	m.buf = (uintptr_t)memory_source(l, 0, len);
	m.flags = q->waits ? 0 : MBOX_DONTWAIT;
	m.deadline_ns = q->waits ? now_ns(CLOCK_MONOTONIC) + MSEC / 2 : 0;
	if (ioctl(q->fd, MBOX_IOC_SEND, &m))
		return -errno;
	q->sent++;
	return 0;
}

/* Until a message is refused, or one is dropped. */
static long quota_fill(struct worker *l, struct quota *q)
{
	long ret = 0;

	do {
		do
			ret = quota_send(l, q, q->len);
		while (ret == -EINTR);
	} while (!ret && q->sent < QUOTA_MAX && !scene_state(q->fd).dropped);
	return ret;
}

static bool can_send(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	poll(&p, 1, 0);
	return p.revents & POLLOUT;
}

/* What is refused because of a limit has room as soon as one message has gone. */
static void check_refused(struct quota *q)
{
	struct mbox_msg m;

	if (can_send(q->fd))
		broken("POLLOUT at a limit");
	if (scene_receive(q->fd, &m, 0, 0) < 0 || m.type)
		broken("at a limit, the first message is not the first");
	if (!can_send(q->fd))
		broken("no POLLOUT, although a message has gone");
}

static void check_dropped(struct worker *l, struct quota *q, unsigned int fits,
			  long ret)
{
	struct mbox_stat st = scene_state(q->fd);
	struct mbox_msg m;

	if (ret || st.queued + st.dropped != q->sent ||
	    st.queued + 1 != q->sent || st.queued > fits)
		broken("oldest dropped at a limit: a send gave %ld; sent %u, queued %u, dropped %llu, %u fit",
		       ret, q->sent, st.queued, LLU(st.dropped), fits);
	if (scene_receive(q->fd, &m, MBOX_PEEK, 0) < 0 || m.type != 1)
		broken("at a limit, not the oldest message was dropped");
}

static int quota_mailbox(struct worker *l, uint32_t flags)
{
	return scene_mailbox(l, flags, MBOX_UNBOUNDED, 16384);
}

/* How many messages the user may have in a mailbox of its own. */
static unsigned int quota_fits(struct worker *l, struct quota *q)
{
	unsigned int fits;
	long ret;

	q->fd = quota_mailbox(l, 0);
	ret = quota_fill(l, q);
	fits = q->sent;
	if (ret != -EDQUOT)
		broken("at its user's limit, after %u messages, a send gave %ld",
		       fits, ret);
	else
		check_refused(q);
	close(q->fd);
	q->sent = 0;
	return fits;
}

/*
 * Of the mailbox's owner, a user without privileges has a half. In each, the memory of the
 * sender itself takes the place of up to three messages: so the half may be one less.
 */
static void quota_try(struct worker *l, struct quota *q, uint32_t flags, bool own,
		      unsigned int fits)
{
	unsigned int least = fits / 2 > 1 ? fits / 2 - 1 : 1;
	struct mbox_stat st;
	long ret;

	if (q->fd < 0)
		return;
	ret = quota_fill(l, q);
	st = scene_state(q->fd);
	if (flags == MBOX_DROP_OLDEST) {
		check_dropped(l, q, own ? fits : (fits + 1) / 2, ret);
		/* Longer than all of them: none makes room. */
		st = scene_state(q->fd);
		ret = quota_send(l, q, 16384);
		if (ret != -EDQUOT || scene_state(q->fd).queued != st.queued)
			broken("longer than a limit: a send gave %ld, %u were queued, %u are",
			       ret, st.queued, scene_state(q->fd).queued);
	} else if (own) {
		if (ret != -EDQUOT || q->sent != fits)
			broken("at a limit of %u, after %u, a send gave %ld",
			       fits, q->sent, ret);
	} else if (flags == MBOX_DROP_NEWEST) {
		if (ret || st.dropped != 1 || st.queued != q->sent - 1)
			broken("newest dropped at a limit: a send gave %ld; sent %u, queued %u, dropped %llu",
			       ret, q->sent, st.queued, LLU(st.dropped));
	} else {
		if (ret != (q->waits ? -ETIMEDOUT : -EAGAIN) ||
		    q->sent < least || q->sent > (fits + 1) / 2)
			broken("at a share, after %u of %u, a send gave %ld",
			       q->sent, fits, ret);
		else
			check_refused(q);
	}
}

/* A user without privileges meets its limit, or its share with root. */
long op_quota(struct worker *l, const struct op *op)
{
	static const uint32_t policies[] = {
		0, 0, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST,
	};
	static const unsigned long limits[] = { 2048, 3000, 4096, 8192 };
	struct quota q = { .waits = op->a[4] & 1, .len = op->a[3] * 2 };
	uint32_t user = 1003 + 10 * job, flags = policies[op->a[2] & 3];
	bool own = op->a[2] & 4;
	unsigned int fits;
	int theirs = -1;

	if (!scene_begins(l) || program_has(&shared->program, "param") ||
	    program_has(&shared->program, "poor") ||
	    __atomic_exchange_n(&shared->quota, 1, __ATOMIC_ACQUIRE))
		return -EPERM;
	module_set_user_bytes(limits[op->a[1] & 3]);
	if (!own)
		theirs = quota_mailbox(l, flags);
	/* So that no call is interrupted. */
	worker_tick(l, false);
	syscall(SYS_setresuid, user, user, 0);
	fits = quota_fits(l, &q);
	q.fd = own ? quota_mailbox(l, flags) : theirs;
	quota_try(l, &q, flags, own, fits);
	close(q.fd);
	syscall(SYS_setresuid, 0, 0, 0);
	worker_tick(l, true);
	__atomic_store_n(&shared->quota, 0, __ATOMIC_RELEASE);
	return 0;
}
