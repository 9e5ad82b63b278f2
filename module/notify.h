/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Notification: a process is notified once when a message arrives in an empty mailbox.
 */
#ifndef MBX_NOTIFY_H
#define MBX_NOTIFY_H

#include <linux/mbox.h>
#include <linux/signal_types.h>
#include <linux/types.h>

struct eventfd_ctx;
struct mailbox;
struct mbx_message;
struct mbx_reader;
struct mbx_sender;
struct pid;

/**
 * struct mbx_registration - a registered process
 * @kind: MBOX_NOTIFY_NONE, MBOX_NOTIFY_SIGNAL or MBOX_NOTIFY_EVENTFD
 * @signo: the signal
 * @value: the value that goes with the signal
 * @owner: the process, one reference
 * @thread: the thread that registered it, one reference
 * @exec_id: task_struct.self_exec_id when it registered
 * @handle: the reader of the handle that it used; only compared
 * @eventfd: the eventfd to signal, one reference, or NULL
 * @sender: whose message arrived, one reference, if the signal is still to be sent; or
 *	NULL
 *
 * All fields except @sender are constant. A registration belongs to its mailbox. The
 * thread that takes it from there, under mailbox.lock, then owns it.
 */
struct mbx_registration {
	u32 kind;
	u32 signo;
	sigval_t value;
	struct pid *owner;
	struct pid *thread;
	u64 exec_id;
	const struct mbx_reader *handle;
	struct eventfd_ctx *eventfd;
	struct mbx_sender *sender;
};

int mbx_notify(struct mailbox *mb, const struct mbx_reader *handle,
	       const struct mbox_notify *arg);
void mbx_registration_arrived(struct mailbox *mb, const struct mbx_message *msg,
			      struct mbx_registration **to_notify);
struct mbx_registration *mbx_registration_destroyed(struct mailbox *mb);
struct mbx_registration *mbx_registration_expelled(struct mailbox *mb,
						   const struct mbx_reader *handle);
void mbx_registration_run(struct mbx_registration *reg);
void mbx_registration_flush(struct mailbox *mb, const struct mbx_reader *handle);
void mbx_registration_release(struct mailbox *mb, const struct mbx_reader *handle);
u32 mbx_registration_get(struct mailbox *mb, pid_t *pid);

#endif /* MBX_NOTIFY_H */
