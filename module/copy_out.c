// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying a message to its receiver, and undoing the copy.
 */
#include <linux/cred.h>
#include <linux/fault-inject-usercopy.h>
#include <linux/pid.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "copy_out.h"
#include "fds.h"
#include "lifespan.h"

/* Write the fields that a receive call returns: @len, and all from @prio on. */
static int write_meta(const struct mbx_recv_args *args,
		      const struct mbox_msg *meta)
{
	const size_t from = offsetof(struct mbox_msg, prio);

	if (put_user(meta->len, &args->umsg->len))
		return -EFAULT;
	if (args->usize <= from)
		return 0;
	if (!mbx_copy_to_user((void __user *)args->umsg + from, (const void *)meta + from,
			      min(args->usize, sizeof(*meta)) - from))
		return -EFAULT;
	return 0;
}

/* Write the fields that a receive call changes, if the caller knows all of them. */
static int write_fields(struct mbox_msg __user *umsg, const struct mbx_message *msg,
			u64 token, u64 lost, const struct mbx_seen_sender *seen)
{
	u64 left = mbx_lifespan_left(msg);

	if (should_fail_usercopy() || !user_access_begin(umsg, sizeof(*umsg)))
		return -EFAULT;
	unsafe_put_user(msg->len, &umsg->len, fault);
	unsafe_put_user(msg->prio, &umsg->prio, fault);
	unsafe_put_user(msg->type, &umsg->type, fault);
	unsafe_put_user(token, &umsg->token, fault);
	unsafe_put_user(seen->pid, &umsg->pid, fault);
	unsafe_put_user(seen->uid, &umsg->uid, fault);
	unsafe_put_user(seen->gid, &umsg->gid, fault);
	unsafe_put_user(0, &umsg->nfds, fault);
	unsafe_put_user(lost, &umsg->lost, fault);
	unsafe_put_user(0, &umsg->deliveries, fault);
	unsafe_put_user(left, &umsg->lifespan_ns, fault);
	user_access_end();
	return 0;

fault:
	user_access_end();
	return -EFAULT;
}

/* The same for older programs. */
static noinline int write_part(const struct mbx_recv_args *args, const struct mbx_message *msg,
			       u64 token, u64 lost, const struct mbx_seen_sender *seen)
{
	struct mbox_msg meta = *args->kmsg;

	meta.len = msg->len;
	meta.prio = msg->prio;
	meta.type = msg->type;
	meta.token = token;
	meta.nfds = 0;
	meta.lost = lost;
	meta.deliveries = 0;
	meta.lifespan_ns = mbx_lifespan_left(msg);
	meta.pid = seen->pid;
	meta.uid = seen->uid;
	meta.gid = seen->gid;
	return write_meta(args, &meta);
}

/* The same for a caller that knows no more than the message itself: not its sender. */
static int write_first(const struct mbx_recv_args *args, const struct mbx_message *msg)
{
	static const struct mbx_seen_sender unseen;
	struct mbox_msg __user *umsg = args->umsg;

	if (args->usize <= offsetof(struct mbox_msg, prio))
		return put_user(msg->len, &umsg->len) ? -EFAULT : 0;
	if (unlikely(args->usize < offsetofend(struct mbox_msg, type)))
		return write_part(args, msg, 0, 0, &unseen);
	if (should_fail_usercopy() ||
	    !user_access_begin(umsg, offsetofend(struct mbox_msg, type)))
		return -EFAULT;
	unsafe_put_user(msg->len, &umsg->len, fault);
	unsafe_put_user(msg->prio, &umsg->prio, fault);
	unsafe_put_user(msg->type, &umsg->type, fault);
	user_access_end();
	return 0;

fault:
	user_access_end();
	return -EFAULT;
}

static void see_sender(struct mbx_seen_sender *seen, const struct mbx_sender *sender)
{
	seen->sender = sender;
	seen->pid = pid_vnr(sender->pid);
	seen->uid = from_kuid_munged(current_user_ns(), sender->uid);
	seen->gid = from_kgid_munged(current_user_ns(), sender->gid);
}

/**
 * mbx_copy_out_meta() - fill in the receiver's struct mbox_msg
 * @msg: the message
 * @token: the token, if the message is a request; otherwise 0
 * @lost: how many messages the receiver lost before this one
 * @args: where the message goes; @args->umsg is not NULL
 * @seen: how the receiver sees the sender, if it is the same as that of an earlier
 *	message, which must not have been freed
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
int mbx_copy_out_meta(const struct mbx_message *msg, u64 token, u64 lost,
		      const struct mbx_recv_args *args, struct mbx_seen_sender *seen)
{
	if (args->usize <= offsetof(struct mbox_msg, token))
		return write_first(args, msg);
	if (msg->sender != seen->sender)
		see_sender(seen, msg->sender);
	if (likely(args->usize >= sizeof(struct mbox_msg)))
		return write_fields(args->umsg, msg, token, lost, seen);
	return write_part(args, msg, token, lost, seen);
}

/**
 * mbx_copy_out_deliveries() - tell a receiver how often a message has been delivered
 * @deliveries: how often it has been on lease
 * @args: where the message goes
 *
 * mbx_copy_out() says 0.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
int mbx_copy_out_deliveries(u32 deliveries, const struct mbx_recv_args *args)
{
	if (!args->umsg || args->usize < offsetofend(struct mbox_msg, deliveries))
		return 0;
	return put_user(deliveries, &args->umsg->deliveries) ? -EFAULT : 0;
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

/* ---- replies ---------------------------------------------------------------- */

static int write_reply_meta(const struct mbx_reply_args *args, u32 len, u32 nfds)
{
	if (put_user(len, &args->umsg->len))
		return -EFAULT;
	if (args->usize < offsetofend(struct mbox_msg, nfds))
		return 0;
	return put_user(nfds, &args->umsg->nfds) ? -EFAULT : 0;
}

/**
 * mbx_reply_copy_out() - copy a reply to the caller
 * @reply: the reply; if it is longer than the buffer, it is cut
 * @args: where it goes
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
int mbx_reply_copy_out(struct mbx_message *reply, const struct mbx_reply_args *args)
{
	int ret = mbx_message_copy_out(reply, &args->to);

	return ret ?: write_reply_meta(args, reply->len, 0);
}

/**
 * mbx_reply_undo_copy_out() - undo mbx_reply_copy_out(), except for the buffer
 * @args: where the reply went
 */
void mbx_reply_undo_copy_out(const struct mbx_reply_args *args)
{
	/* If the structure is no longer mapped, nothing can read it either. */
	write_reply_meta(args, args->kmsg->len, args->kmsg->nfds);
}

/**
 * mbx_reply_install() - install the files of a reply in the current process
 * @reply: the reply, which the caller has
 * @args: where it went
 *
 * Context: Process context, may sleep.
 */
void mbx_reply_install(struct mbx_message *reply, const struct mbx_reply_args *args)
{
	const struct mbx_fds *fds = mbx_fds_of(reply);

	if (fds)
		mbx_fds_deliver(fds, u64_to_user_ptr(args->kmsg->fds), args->kmsg->nfds,
				args->umsg, args->usize);
}
