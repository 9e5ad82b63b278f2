// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying a message to its receiver, and undoing the copy.
 */
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "copy_out.h"

/* Write the fields that a receive call returns: @len, and all from @prio on. */
static int write_meta(const struct mbx_recv_args *args,
		      const struct mbox_msg *meta)
{
	const size_t from = offsetof(struct mbox_msg, prio);

	if (put_user(meta->len, &args->umsg->len))
		return -EFAULT;
	if (args->usize <= from)
		return 0;
	if (copy_to_user((void __user *)args->umsg + from,
			 (const void *)meta + from,
			 min(args->usize, sizeof(*meta)) - from))
		return -EFAULT;
	return 0;
}

/**
 * mbx_copy_out_meta() - fill in the receiver's struct mbox_msg
 * @msg: the message
 * @token: the token, if the message is a request; otherwise 0
 * @lost: how many messages the receiver lost before this one
 * @args: where the message goes; @args->umsg is not NULL
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
int mbx_copy_out_meta(const struct mbx_message *msg, u64 token, u64 lost,
		      const struct mbx_recv_args *args)
{
	const struct mbx_sender *sender = msg->sender;
	struct mbox_msg meta = *args->kmsg;

	meta.len = msg->len;
	meta.prio = msg->prio;
	meta.type = msg->type;
	meta.token = token;
	meta.nfds = 0;
	meta.lost = lost;
	meta.pid = pid_vnr(sender->pid);
	meta.uid = from_kuid_munged(current_user_ns(), sender->uid);
	meta.gid = from_kgid_munged(current_user_ns(), sender->gid);
	return write_meta(args, &meta);
}

/**
 * mbx_undo_copy_out() - undo the copy of a message that was not received
 * @args: where the message went
 *
 * A restarted call reads the structure again, so this restores it. If the structure
 * is no longer mapped, a restarted call cannot read it either: ignore the fault.
 */
void mbx_undo_copy_out(const struct mbx_recv_args *args)
{
	mbx_buffer_rewind(&args->to);
	if (args->umsg)
		write_meta(args, args->kmsg);
}
