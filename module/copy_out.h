/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_COPY_OUT_H
#define MBX_COPY_OUT_H

#include "message.h"

/**
 * struct mbx_recv_args - where a message goes that a call receives
 * @to: the buffer
 * @umsg: NULL, or the caller's struct mbox_msg to fill in
 * @kmsg: the copy of @umsg that the call was made with
 * @usize: size of the caller's structure
 * @tokens: what the handle has received and not finished, see mbx_reply_tokens()
 * @pi_task: MBOX_INHERIT: the current task, if it can reply; otherwise NULL
 * @fds: where the numbers of received descriptors go
 * @nfds: how many fit there
 * @batch: the call may go on to wait for another message
 */
struct mbx_recv_args {
	struct mbx_buffer to;
	struct mbox_msg __user *umsg;
	const struct mbox_msg *kmsg;
	size_t usize;
	struct mbx_tokens *tokens;
	struct mbx_pi_task *pi_task;
	s32 __user *fds;
	u32 nfds;
	bool batch;
};

/**
 * struct mbx_reply_args - where a reply goes
 * @to: the buffer
 * @umsg: the caller's struct mbox_msg to fill in
 * @kmsg: the copy of @umsg that the call was made with
 * @usize: size of the caller's structure
 *
 * Only @kmsg.len and the fields for descriptors are written: a reply has no others.
 */
struct mbx_reply_args {
	struct mbx_buffer to;
	struct mbox_msg __user *umsg;
	const struct mbox_msg *kmsg;
	size_t usize;
};

/**
 * struct mbx_seen_sender - how the receiver sees the sender of a message
 * @sender: the sender, or NULL: the rest is not known yet
 * @pid: its process id
 * @uid: its user id
 * @gid: its group id
 */
struct mbx_seen_sender {
	const struct mbx_sender *sender;
	u32 pid;
	u32 uid;
	u32 gid;
};

/* Where a request is kept until it is replied to; NULL: the caller does not learn its token. */
static inline struct mbx_tokens *mbx_reply_tokens(const struct mbx_recv_args *args)
{
	return args->usize >= offsetofend(struct mbox_msg, token) ? args->tokens : NULL;
}

int mbx_copy_out_meta(const struct mbx_message *msg, u64 token, u64 lost,
		      const struct mbx_recv_args *args, struct mbx_seen_sender *seen);
void mbx_undo_copy_out(const struct mbx_recv_args *args);
int mbx_copy_out_deliveries(u32 deliveries, const struct mbx_recv_args *args);
int mbx_reply_copy_out(struct mbx_message *reply, const struct mbx_reply_args *args);
void mbx_reply_undo_copy_out(const struct mbx_reply_args *args);
void mbx_reply_install(struct mbx_message *reply, const struct mbx_reply_args *args);

/**
 * mbx_copy_out() - copy a message to a receiver
 * @msg: the message
 * @token: the token, if the message is a request; otherwise 0
 * @lost: how many messages the receiver lost before this one
 * @args: where the message goes
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
static inline int mbx_copy_out(struct mbx_message *msg, u64 token, u64 lost,
			       const struct mbx_recv_args *args)
{
	struct mbx_seen_sender seen;
	int ret = mbx_message_copy_out(msg, &args->to);

	if (ret || !args->umsg)
		return ret;
	seen.sender = NULL;
	return mbx_copy_out_meta(msg, token, lost, args, &seen);
}

#endif /* MBX_COPY_OUT_H */
