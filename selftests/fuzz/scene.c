// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scenes: mailboxes that only one operation uses, so that it is known what has to
 * become of each call. Threads beside the worker make many calls at once; these can
 * also be let loose on any mailbox.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "fuzz.h"

#define MSEC 1000000ULL

/* Users of these operations, and of no others. */
uint32_t scene_user(unsigned int i)
{
	return 1004 + 10 * job + i % 3;
}

uint64_t scene_deadline(unsigned int ms)
{
	return now_ns(CLOCK_MONOTONIC) + ms * MSEC;
}

/* ---- threads ------------------------------------------------------------ */

static void *member_main(void *arg)
{
	uint32_t began = request_receive_begins();
	struct member *m = arg;

	/* The raw call: of this thread. */
	if (m->uid)
		syscall(SYS_setresuid, m->uid, m->poor ? m->uid : -1,
			m->poor ? m->uid : -1);
	m->ret = ioctl(m->fd, m->cmd, &m->m);
	if (m->ret < 0)
		m->ret = -errno;
	else if (m->cmd == MBOX_IOC_RECV)
		request_received(&m->m, began);
	return NULL;
}

struct member *crowd_add(struct worker *l, const struct member *what)
{
	struct member *m = &l->crowd[l->ncrowd];
	pthread_attr_t attr;
	sigset_t all, old;
	int ret;

	if (l->child || l->ncrowd == CROWD_MAX)
		return NULL;
	*m = *what;
	if (m->cmd == MBOX_IOC_RECV)
		m->m.buf = (uintptr_t)m->room;
	/* Signals are for the workers; a deadline ends the call. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	ret = pthread_create(&m->thread, &attr, member_main, m);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		return NULL;
	l->ncrowd++;
	return m;
}

void crowd_join(struct worker *l)
{
	unsigned int i;

	for (i = 0; i < l->ncrowd; i++) {
		pthread_join(l->crowd[i].thread, NULL);
		if (l->crowd[i].ret < 0)
			check_errno(l->crowd[i].ret, true);
	}
	l->ncrowd = 0;
}

/* Calls of many threads on some mailbox, which are not waited for yet. */
long op_crowd(struct worker *l, const struct op *op)
{
	unsigned int i, n = 1 + op->a[1] % 12, what = op->a[2] & 7;
	struct member m = { .fd = slot_fd(op->a[0]) };

	for (i = 0; i < n; i++) {
		m.cmd = what < 4 ? MBOX_IOC_SEND : MBOX_IOC_RECV;
		if (what == 7)
			m.cmd = i & 1 ? MBOX_IOC_SEND : MBOX_IOC_RECV;
		m.m = (struct mbox_msg){
			.len = (op->a[3] + i) & 63,
			.deadline_ns = now_ns(CLOCK_MONOTONIC) + MSEC / 2 +
				       (op->a[4] & 15) * (MSEC / 4),
			.type = op->a[6] & 1 ? i & 3 : 0,
		};
		if (m.cmd == MBOX_IOC_SEND) {
			m.m.buf = (uintptr_t)memory_source(l, 0, m.m.len);
			m.m.prio = op->a[6] & 2 ? i & 3 : 0;
			m.m.flags = op->a[6] & 4 ? MBOX_SYNC : 0;
		} else {
			m.m.flags = op->a[6] & 8 ? MBOX_MATCH : 0;
			m.m.flags |= op->a[6] & 16 && i & 1 ? MBOX_PEEK : 0;
		}
		m.uid = op->a[7] & 1 ? job_user(i) : 0;
		m.poor = op->a[7] & 2;
		if (!crowd_add(l, &m))
			break;
	}
	return i;
}

/* ---- scenes ------------------------------------------------------------- */

/*
 * Whether it can be known what happens in a mailbox of the worker's own: without
 * other threads that use descriptors of this process, as they may just have been
 * closed, and without the workers that try the ids of mailboxes.
 */
bool scene_begins(struct worker *l)
{
	crowd_join(l);
	return !l->child && (shared->workers & 3) != 3 && !shared->wild &&
	       !program_has(&shared->program, "open_id") &&
	       !program_has(&shared->program, "crowd") &&
	       !syscall(SYS_getuid) && !syscall(SYS_geteuid) &&
	       !syscall(SYS_setfsuid, -1);
}

int scene_mailbox(struct worker *l, uint32_t flags, uint32_t capacity,
		  uint32_t msg_max)
{
	struct mbox_create create = {
		.oflags = O_RDWR | O_CLOEXEC,
		.attr.flags = flags, .attr.capacity = capacity,
		.attr.msg_max = msg_max, .attr.perm = 0600,
	};

	return ioctl(l->proc->device, MBOX_IOC_CREATE, &create);
}

struct mbox_stat scene_state(int fd)
{
	struct mbox_stat st = {};

	ioctl(fd, MBOX_IOC_STAT, &st);
	return st;
}

long scene_receive(int fd, struct mbox_msg *m, uint32_t flags, uint32_t skip)
{
	*m = (struct mbox_msg){
		.flags = flags | MBOX_DONTWAIT | MBOX_TRUNC, .skip = skip,
	};
	return ioctl(fd, MBOX_IOC_RECV, m) < 0 ? -errno : (long)m->len;
}
