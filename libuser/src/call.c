// SPDX-License-Identifier: LGPL-2.1-or-later
/* Call and reply, leases. Each function is one system call, as in message.c. */
#include <errno.h>
#include <sys/ioctl.h>

#include "internal.h"

MBOX_API ssize_t mbox_call(struct mbox *mb, const void *req, size_t req_len, void *rep,
			   size_t rep_len, const struct timespec *deadline)
{
	struct mbox_request arg = {
		.buf = (uintptr_t)req,
		.rep = (uintptr_t)rep,
		.len = req_len,
		.rep_len = mbox__clamp_len(rep_len),
	};
	int64_t ns;

	if (deadline) {
		ns = mbox__deadline_to_ns(deadline);
		if (ns < 0)
			return -1;
		arg.deadline_ns = ns;
	}
	if (mbox__send_too_long(req_len))
		return -1;

	return ioctl(mb->fd, MBOX_IOC_CALL, &arg);
}

MBOX_API int mbox_reply(struct mbox *mb, uint64_t token, const void *rep, size_t len)
{
	struct mbox_reply arg = {
		.token = token,
		.buf = (uintptr_t)rep,
		/* As long as it can be, it is too long for everybody. */
		.len = mbox__clamp_len(len),
	};

	return ioctl(mb->fd, MBOX_IOC_REPLY, &arg);
}

MBOX_API ssize_t mbox_reply_recv(struct mbox *mb, uint64_t token, const void *rep, size_t len,
				 struct mbox_msg *next)
{
	struct mbox_reply_recv arg = {
		.reply.token = token,
		.reply.buf = (uintptr_t)rep,
		.reply.len = mbox__clamp_len(len),
		.next = (uintptr_t)next,
		.next_size = sizeof(*next),
	};

	return ioctl(mb->fd, MBOX_IOC_REPLY_RECV, &arg);
}

MBOX_API int mbox_ack(struct mbox *mb, uint64_t token)
{
	struct mbox_lease arg = { .token = token };

	return ioctl(mb->fd, MBOX_IOC_ACK, &arg);
}

MBOX_API int mbox_nack(struct mbox *mb, uint64_t token)
{
	return mbox_nack_after(mb, token, 0);
}

MBOX_API int mbox_put_back(struct mbox *mb, uint64_t token)
{
	struct mbox_lease arg = { .token = token, .flags = MBOX_NACK_UNCOUNTED };

	return ioctl(mb->fd, MBOX_IOC_NACK, &arg);
}

MBOX_API int mbox_nack_after(struct mbox *mb, uint64_t token, uint64_t ns)
{
	struct mbox_lease arg = { .token = token, .delay_ns = ns };

	return ioctl(mb->fd, MBOX_IOC_NACK, &arg);
}

/* ---- calls that do not wait, and calls with descriptors ---------------------- */

MBOX_API int mbox_call_start(struct mbox *mb, const struct mbox_msg *req, size_t rep_max,
			     uint64_t *token)
{
	struct mbox_call_start arg = {
		.req = (uintptr_t)req,
		.msg_size = sizeof(*req),
		.rep_max = mbox__clamp_len(rep_max),
	};

	if (ioctl(mb->fd, MBOX_IOC_CALL_START, &arg))
		return -1;
	*token = arg.token;
	return 0;
}

MBOX_API ssize_t mbox_call_wait(struct mbox *mb, uint64_t *token, struct mbox_msg *rep,
				const struct timespec *deadline)
{
	struct mbox_call_wait arg = {
		.token = *token,
		.rep = (uintptr_t)rep,
		.msg_size = sizeof(*rep),
	};
	ssize_t ret;
	int64_t ns;

	if (deadline) {
		ns = mbox__deadline_to_ns(deadline);
		if (ns < 0)
			return -1;
		arg.deadline_ns = ns;
	}
	ret = ioctl(mb->fd, MBOX_IOC_CALL_WAIT, &arg);
	/* 0: the call itself failed, and none of those that were started has ended. */
	rep->token = arg.ended ? arg.token : 0;
	if (arg.ended)
		*token = arg.token;
	return ret;
}

MBOX_API int mbox_call_cancel(struct mbox *mb, uint64_t token)
{
	struct mbox_call_cancel arg = { .token = token };

	return ioctl(mb->fd, MBOX_IOC_CALL_CANCEL, &arg);
}

MBOX_API ssize_t mbox_callmsg(struct mbox *mb, const struct mbox_msg *req, struct mbox_msg *rep)
{
	struct mbox_callmsg arg = {
		.req = (uintptr_t)req,
		.rep = (uintptr_t)rep,
		.msg_size = sizeof(*rep),
	};

	return ioctl(mb->fd, MBOX_IOC_CALLMSG, &arg);
}

MBOX_API int mbox_replymsg(struct mbox *mb, uint64_t token, const struct mbox_msg *rep)
{
	struct mbox_replymsg arg = {
		.token = token,
		.buf = rep->buf,
		.len = rep->len,
		.nfds = rep->nfds,
		.fds = rep->fds,
	};

	return ioctl(mb->fd, MBOX_IOC_REPLYMSG, &arg);
}
