// SPDX-License-Identifier: GPL-2.0-only
/* Leases: taken and ended in every way, also with tokens that are used up or of others. */
#include "fuzz.h"

static struct mbox_lease fill_lease(uint64_t token, uint8_t how)
{
	struct mbox_lease lease = { .token = token };

	/* Most of those that come back later do so soon. */
	if (how & 1)
		lease.delay_ns = how < 240 ? how * 10000ULL : pick64(how & 15);
	return lease;
}

/* What ending a lease can return to a thread that shares the handle with others. */
static void check_end(const struct worker *l, const struct op *op, long ret)
{
	if (op->tweak || l->failing || shared->wild)
		return;
	if (ret && ret != -ESRCH && ret != -EIDRM && ret != -EINVAL && ret != -EBADF &&
	    ret != -ENOMEM)
		broken("ending a lease returned %ld", ret);
}

/* Receive on lease, and mostly end the lease at once. */
long op_lease(struct worker *l, const struct op *op)
{
	struct mbox_lease lease;
	struct mbox_msg m;
	int fd = slot_fd(op->a[0]);
	long ret;

	fill_recv(l, op, &m);
	m.flags |= MBOX_LEASE;
	ret = do_ioctl(l, op, fd, MBOX_IOC_RECV, &m, sizeof(m));
	if (ret < 0 || op->tweak)
		return ret;
	request_leased(&m);
	if (!m.token || !m.deliveries || m.flags & MBOX_PEEK)
		broken("a lease with token %llu, %u deliveries, flags %#x",
		       (unsigned long long)m.token, m.deliveries, m.flags);
	lease = fill_lease(m.token, op->a[6]);
	switch (op->a[7] >> 5 & 3) {
	case 0:
		lease.delay_ns = 0;
		check_end(l, op, do_ioctl(l, op, fd, MBOX_IOC_ACK, &lease, sizeof(lease)));
		break;
	case 1:
		check_end(l, op, do_ioctl(l, op, fd, MBOX_IOC_NACK, &lease, sizeof(lease)));
		break;
	}
	return ret;
}

/* End a lease, with a token of any handle. */
long op_unlease(struct worker *l, const struct op *op)
{
	struct mbox_lease lease = fill_lease(pick_token(op->a[7]), op->a[6]);
	unsigned int cmd = op->a[1] & 1 ? MBOX_IOC_NACK : MBOX_IOC_ACK;

	return do_ioctl(l, op, slot_fd(op->a[0]), cmd, &lease, sizeof(lease));
}
