// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages with descriptors: handles of mailboxes, which travel or do not, and others. If
 * any of them kept what it is in, a mailbox would be left at the end of the program.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "fuzz.h"

/* One to send. *@made: it is only for that. */
static int pick_fd(struct worker *l, uint8_t b, bool *made)
{
	*made = b >= 240;
	if (*made)
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return b >= 224 ? l->proc->gone : slot_fd(b);
}

long op_give(struct worker *l, const struct op *op)
{
	/* So many, whatever a tweak makes of their number. */
	int fds[MBOX_FDS_MAX];
	struct mbox_msg m = { .len = op->a[2] & 15 };
	bool made[MBOX_FDS_MAX];
	unsigned int i;
	long ret;

	for (i = 0; i < MBOX_FDS_MAX; i++)
		fds[i] = pick_fd(l, op->a[4] + i * op->a[5], &made[i]);
	m.buf = (uintptr_t)memory_source(l, 0, m.len);
	m.fds = (uintptr_t)fds;
	m.nfds = op->a[3] < 240 ? 1 + (op->a[3] & 3) : MBOX_FDS_MAX;
	m.flags = op->a[1] & 3 ? MBOX_DONTWAIT : 0;
	m.deadline_ns = pick_deadline(op->a[6], false);
	if (op->a[7] & 64)
		m.lifespan_ns = 1 + op->a[7] * 2000;
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_SEND, &m, sizeof(m));
	for (i = 0; i < MBOX_FDS_MAX; i++)
		if (made[i])
			close(fds[i]);
	return ret;
}

/* Handles are there to be used, the others are closed. */
static void use(uint8_t b, int fd)
{
	struct mbox_stat st;

	if (ioctl(fd, MBOX_IOC_STAT, &st))
		close(fd);
	else
		slot_put(b, fd);
}

long op_get(struct worker *l, const struct op *op)
{
	uint32_t began = request_receive_begins();
	int fds[MBOX_FDS_MAX];
	struct mbox_msg m;
	uint32_t room, i;
	long ret;

	fill_recv(l, op, &m);
	room = op->a[7] < 240 ? 1 + (op->a[7] & 3) : MBOX_FDS_MAX;
	m.fds = (uintptr_t)fds;
	m.nfds = room;
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_RECV, &m, sizeof(m));
	if (ret < 0 || op->tweak)
		return ret;
	/* With a lease, they are installed at each delivery. */
	if (m.flags & MBOX_LEASE)
		request_leased(&m);
	else
		request_received(&m, began);
	if (m.nfds > room || (m.nfds && m.flags & MBOX_PEEK))
		broken("received %u descriptors, with room for %u, flags %#x", m.nfds, room,
		       m.flags);
	for (i = 0; i < m.nfds && i < room; i++)
		use(op->a[7] + i, fds[i]);
	return ret;
}
