/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Notification: a process is told once of a message in an empty mailbox.
 */
#ifndef MBOX_NOTIFY_H
#define MBOX_NOTIFY_H

#include <linux/mbox.h>
#include <linux/signal_types.h>
#include <linux/types.h>

struct eventfd_ctx;
struct mailbox;
struct mbox_after;
struct mbox_message;
struct mbox_sender;
struct pid;

/**
 * struct mbox_notice - a process that is registered
 * @kind: MBOX_NOTIFY_NONE, MBOX_NOTIFY_SIGNAL or MBOX_NOTIFY_EVENTFD
 * @signo: signal
 * @value: what goes with it
 * @owner: the process
 * @thread: the thread that registered it
 * @exec_id: the program that it ran
 * @handle: through which it registered; only compared
 * @eventfd: what is added to, or NULL
 * @sender: of the message that has come, or NULL; one reference
 *
 * All but @sender is constant. It belongs to the mailbox, and then to whoever
 * has taken it from there, under mailbox.lock.
 */
struct mbox_notice {
	u32 kind;
	u32 signo;
	sigval_t value;
	struct pid *owner;
	struct pid *thread;
	u64 exec_id;
	const void *handle;
	struct eventfd_ctx *eventfd;
	struct mbox_sender *sender;
};

int mbox_notify(struct mailbox *mb, const void *handle,
		const struct mbox_notify *arg);
void mbox_notice_arrived(struct mailbox *mb, const struct mbox_message *msg,
			 struct mbox_after *after);
void mbox_notice_destroyed(struct mailbox *mb, struct mbox_after *after);
void mbox_notice_run(struct mbox_notice *notice);
void mbox_notice_flush(struct mailbox *mb, const void *handle);
void mbox_notice_release(struct mailbox *mb, const void *handle);
u32 mbox_notice_get(struct mailbox *mb, pid_t *pid);

#endif /* MBOX_NOTIFY_H */
