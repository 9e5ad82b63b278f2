// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sending several messages to a ring, and receiving several.
 */
#include <errno.h>

#include "ring.h"

int mbox__ring_batch(struct mbox *mb, struct mbox_msg *vec, unsigned int n, unsigned int flags,
		     bool send)
{
	uint32_t own = flags & ~MBOX_WAITFORONE;
	struct mbox__side *s;
	struct mbox_msg msg;
	unsigned int i;
	int ret = 0;

	if (send && flags & MBOX_WAITFORONE) {
		errno = EINVAL;
		return -1;
	}
	if ((send ? check_send_flags(own, SEND_FLAGS) : check_recv_flags(own, RECV_FLAGS)) < 0)
		return -1;
	s = get_side(mb, send ? SENDERS : RECEIVERS);
	if (!s)
		return -1;
	if (n > MBOX_BATCH_MAX)
		n = MBOX_BATCH_MAX;
	enter(s);
	for (i = 0; i < n; i++) {
		msg = vec[i];
		msg.flags |= own;
		ret = send ? mbox__ring_sendmsg(mb, &msg) : (int)mbox__ring_recvmsg(mb, &msg);
		if (ret < 0)
			break;
		if (!send) {
			msg.flags = vec[i].flags;
			vec[i] = msg;
		}
		if (flags & MBOX_WAITFORONE)
			own |= MBOX_DONTWAIT;
	}
	mbox__ring_leave(mb, s);

	return ret < 0 && !i ? -1 : (int)i;
}
