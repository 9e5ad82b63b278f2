// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many that wait: senders while the capacity changes, and receivers whose buffers
 * are too short.
 */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "fuzz.h"

/* ---- senders that wait, and the capacity changes ------------------------ */

#define USERS 3

struct press {
	int fd;
	bool fair;
	/* Senders of each user, and whose messages were received. */
	unsigned int senders[USERS];
	unsigned int received[USERS];
};

static unsigned int user_of(const struct mbox_msg *m)
{
	return (m->uid - scene_user(0)) % USERS;
}

/* No sender waits that has room. */
static void check_admitted(struct press *p)
{
	struct mbox_stat st = scene_state(p->fd);
	unsigned int stored[USERS] = {}, i, waiting;
	struct mbox_msg m;

	if (!st.waiting_senders || st.queued >= st.attr.capacity)
		return;
	if (!p->fair || st.attr.capacity == MBOX_UNBOUNDED) {
		broken("%u senders wait; queued %u, capacity %u",
		       st.waiting_senders, st.queued, st.attr.capacity);
		return;
	}
	for (i = 0; i < st.queued; i++)
		if (scene_receive(p->fd, &m, MBOX_PEEK, i) >= 0)
			stored[user_of(&m)]++;
	for (i = 0; i < USERS; i++) {
		waiting = p->senders[i] - p->received[i] - stored[i];
		if (waiting && stored[i] < st.attr.capacity - st.queued)
			broken("%u senders of a user wait that has %u of %u messages, capacity %u",
			       waiting, stored[i], st.queued,
			       st.attr.capacity);
	}
}

static uint32_t pick_capacity(uint8_t b)
{
	static const uint32_t capacities[] = {
		0, 1, 2, 3, 5, 8, 16, MBOX_UNBOUNDED,
	};

	return capacities[b & 7];
}

/* Until all are there: whether they are. */
static bool all_wait(int fd, unsigned int n)
{
	struct mbox_stat st;
	unsigned int i;

	for (i = 0; i < 400; i++) {
		st = scene_state(fd);
		if (st.queued + st.waiting_senders + st.waiting_receivers == n)
			return true;
		usleep(200);
	}
	return false;
}

static void press_step(struct press *p, uint32_t capacity, bool receives)
{
	struct mbox_set_capacity set = { .capacity = capacity };
	struct mbox_msg m;

	ioctl(p->fd, MBOX_IOC_SET_CAPACITY, &set);
	check_admitted(p);
	if (!receives || scene_receive(p->fd, &m, 0, 0) < 0)
		return;
	p->received[user_of(&m)]++;
	check_admitted(p);
}

/* Every sender has either sent, or been told that the mailbox has ended. */
static void check_senders(struct worker *l, const struct mbox_stat *st)
{
	unsigned int i, n = l->ncrowd, sent = 0;

	crowd_join(l);
	for (i = 0; i < n; i++) {
		const struct member *m = &l->crowd[i];

		sent += !m->ret;
		if (m->ret && m->ret != -EIDRM)
			broken("a send that waits gave %ld", m->ret);
	}
	if (sent != st->sent || st->sent != st->received + st->queued)
		broken("%u have sent, but %llu were; received %llu, queued %u",
		       sent, LLU(st->sent), LLU(st->received), st->queued);
}

long op_press(struct worker *l, const struct op *op)
{
	unsigned int i, n = 2 + op->a[1] % (CROWD_MAX - 1);
	struct press p = { .fair = op->a[2] & 1 };
	struct member m = { .cmd = MBOX_IOC_SEND };
	struct mbox_stat st;

	if (!scene_begins(l))
		return -EPERM;
	p.fd = scene_mailbox(l, p.fair ? MBOX_FAIR : 0,
			     pick_capacity(op->a[3]), 64);
	if (p.fd < 0)
		return -errno;
	m.fd = p.fd;
	for (i = 0; i < n; i++) {
		m.uid = scene_user(op->a[2] & 2 ? i : i / 7);
		m.m = (struct mbox_msg){ .deadline_ns = scene_deadline(10000) };
		m.m.prio = op->a[7] & 1 ? i & 3 : 0;
		if (!crowd_add(l, &m))
			break;
		p.senders[m.uid - scene_user(0)]++;
	}
	if (all_wait(p.fd, l->ncrowd)) {
		check_admitted(&p);
		for (i = 0; i < 3; i++)
			press_step(&p, pick_capacity(op->a[4 + i]),
				   op->a[7] & 2 << i);
	}
	st = scene_state(p.fd);
	/* Not all may have come to it, and none comes later. */
	n = st.sent + st.waiting_senders == l->ncrowd;
	ioctl(p.fd, MBOX_IOC_DESTROY);
	if (n)
		check_senders(l, &st);
	crowd_join(l);
	close(p.fd);
	return 0;
}

/* ---- receivers with buffers that are too short -------------------------- */

struct narrow {
	unsigned int ok;
	unsigned int failed;
	unsigned int ended;
};

static struct narrow count_receivers(struct worker *l, bool others)
{
	struct narrow found = {};
	unsigned int i;

	for (i = 0; i < l->ncrowd; i++) {
		const struct member *m = &l->crowd[i];

		if (!!(m->m.flags & MBOX_MATCH) != others)
			continue;
		found.ok += m->ret >= 0;
		found.failed += m->ret == -EMSGSIZE;
		found.ended += m->ret == -EIDRM;
	}
	return found;
}

/*
 * A message goes to the one with room, past those without; if there is none, all
 * of them fail, unless the message goes nowhere. A receiver that asks for something else
 * waits on.
 */
static void check_narrow(struct worker *l, long ret, bool room, bool kept,
			 bool sure, const struct mbox_stat *st)
{
	unsigned int n = l->ncrowd;
	struct narrow those, others;

	crowd_join(l);
	l->ncrowd = n;
	those = count_receivers(l, false);
	others = count_receivers(l, true);
	l->ncrowd = 0;
	if (!sure)
		return;
	if (those.ok + those.failed + those.ended + others.ended != n)
		broken("of %u receivers, %u received, %u were short, %u and %u ended",
		       n, those.ok, those.failed, those.ended, others.ended);
	if (those.ok != room || (room && ret) || (!room && !ret && !st->queued))
		broken("a send gave %ld; %u received, %u has room; %u queued",
		       ret, those.ok, room, st->queued);
	/* A deadline that has passed when the call begins is like MBOX_DONTWAIT. */
	if (ret == -ETIMEDOUT && !those.failed)
		kept = false;
	if (!room && kept ? those.ended : !room && those.failed)
		broken("a send gave %ld; of %u without room %u failed",
		       ret, those.failed + those.ended, those.failed);
}

long op_narrow(struct worker *l, const struct op *op)
{
	unsigned int i, n = 7 + op->a[1] % (CROWD_MAX - 6), at = op->a[3] % n;
	bool room = op->a[2] & 1, now = op->a[2] & 2, sync = op->a[2] & 4;
	uint32_t capacity = op->a[4] & 3;
	struct member m = { .cmd = MBOX_IOC_RECV };
	struct mbox_msg msg = { .len = 64 };
	struct mbox_stat st;
	bool sure;
	long ret;

	if (!scene_begins(l))
		return -EPERM;
	m.fd = scene_mailbox(l, 0, capacity, 64);
	if (m.fd < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		m.m = (struct mbox_msg){ .deadline_ns = scene_deadline(10000) };
		m.m.len = room && i == at ? 64 : (op->a[6] + i) & 63;
		if (op->a[2] & 8 && i != at && i % 3 == 0) {
			m.m.flags = MBOX_MATCH;
			m.m.type = 5;
		}
		if (!crowd_add(l, &m))
			break;
	}
	sure = l->ncrowd == n && all_wait(m.fd, n);
	msg.buf = (uintptr_t)memory_source(l, 0, msg.len);
	msg.flags = (now ? MBOX_DONTWAIT : 0) | (sync ? MBOX_SYNC : 0);
	/* Without a receiver for it, there is nothing to wait for. */
	msg.deadline_ns = now ? 0 : scene_deadline(room ? 10000 : 2);
	ret = ioctl(m.fd, MBOX_IOC_SEND, &msg) < 0 ? -errno : 0;
	/* The worker's timer may have come first. */
	sure = sure && ret != -EINTR;
	st = scene_state(m.fd);
	ioctl(m.fd, MBOX_IOC_DESTROY);
	check_narrow(l, ret, room, !now || (capacity && !sync), sure, &st);
	close(m.fd);
	return ret;
}
