// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Calls to all servers at a broadcast mailbox. The kernel has no calls there, so the request
 * has a descriptor with it: a handle, only for sending, of a mailbox for the replies. That
 * mailbox has MBOX_HANGUP: once each server has closed its copy, having replied or not, and
 * so has this process, there is nothing more to wait for.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* So many replies can wait for a client that is slow. */
#define REPLIES 1024

/*
 * Send the request of @len bytes with the right to send to @replies, and give that right up
 * here.
 */
static int send_request(CLIENT *cl, struct attempt *a, uint32_t len, struct mbox *replies,
			uint64_t deadline)
{
	struct mbox_msg msg = MBOX_MSG_INIT(a->buffer->data, len);
	struct mbox *answer;
	int fd, ret;

	answer = mbox_reopen(replies, O_WRONLY);
	if (!answer)
		return -1;
	fd = mbox_fd(answer);
	msg.fds = MBOX_PTR(&fd);
	msg.nfds = 1;
	msg.deadline_ns = deadline;
	ret = mbox_sendmsg(rpc_mailbox(cl), &msg);
	mbox_close(answer);

	return ret;
}

static void collect(CLIENT *cl, struct attempt *a, struct mbox *replies, uint64_t deadline,
		    xdrproc_t xres, void *res, size_t res_size,
		    bool_t (*each)(void *res, const struct mbox_rpc_peer *server))
{
	static const struct timeval at_once;
	XDR freeing = { .x_op = XDR_FREE };
	struct mbox_rpc_peer server;
	bool_t enough = FALSE;

	while (!enough) {
		struct mbox_msg msg = MBOX_MSG_INIT(a->buffer->data, a->size);

		/* A receive takes what is there at any time, and there may be more without end. */
		if (rpc_deadline(&at_once) >= deadline) {
			a->err.re_status = RPC_TIMEDOUT;
			a->err.re_errno = ETIMEDOUT;
			return;
		}
		msg.deadline_ns = deadline;
		if (mbox_recvmsg(replies, &msg) < 0) {
			a->err.re_errno = errno;
			/* Every server that had the request has answered, or given up. */
			if (errno == EPIPE)
				break;
			a->err.re_status = errno == ETIMEDOUT ? RPC_TIMEDOUT :
					   errno == EINTR     ? RPC_INTR :
								RPC_CANTRECV;
			return;
		}
		/* A decoder writes to where the pointers that it finds there point. */
		if (res)
			memset(res, 0, res_size);
		/* As for UDP: a server that has no such program is none. */
		rpc_decode(cl, a, msg.len, xres, res);
		if (a->err.re_status == RPC_SUCCESS) {
			server.pid = msg.pid;
			server.uid = msg.uid;
			server.gid = msg.gid;
			enough = each(res, &server);
		}
		if (a->err.re_status == RPC_SUCCESS || a->err.re_status == RPC_CANTDECODERES)
			(*xres)(&freeing, res);
	}
	memset(&a->err, 0, sizeof(a->err));
}

MBOX_API enum clnt_stat clnt_mbox_broadcast(CLIENT *cl, rpcproc_t proc, xdrproc_t xargs,
					    void *args, xdrproc_t xres, void *res,
					    size_t res_size,
					    bool_t (*each)(void *res,
							   const struct mbox_rpc_peer *server),
					    struct timeval timeout)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *replies = NULL;
	struct attempt a;
	uint64_t deadline;
	uint32_t len;

	if (!xres)
		xres = (xdrproc_t)xdr_void;
	if (!rpc_begin(cl, &a, timeout))
		return rpc_end(&a);
	len = rpc_encode(cl, &a, proc, xargs, args);
	if (!len)
		return rpc_end(&a);

	deadline = rpc_deadline(&a.timeout);
	attr.flags = MBOX_LEAF | MBOX_HANGUP;
	attr.capacity = REPLIES;
	attr.msg_max = a.size;
	/* Could this process send, there would be no end. */
	replies = mbox_create(NULL, O_RDONLY, &attr);
	if (!replies) {
		a.err.re_status = RPC_SYSTEMERROR;
		a.err.re_errno = errno;
		return rpc_end(&a);
	}
	if (send_request(cl, &a, len, replies, deadline) < 0) {
		a.err.re_status = errno == ETIMEDOUT ? RPC_TIMEDOUT : RPC_CANTSEND;
		a.err.re_errno = errno;
		mbox_close(replies);
		return rpc_end(&a);
	}
	collect(cl, &a, replies, deadline, xres, res, res_size, each);
	mbox_close(replies);

	return rpc_end(&a);
}
