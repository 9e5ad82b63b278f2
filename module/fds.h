/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Descriptors that travel in messages.
 */
#ifndef MBX_FDS_H
#define MBX_FDS_H

#include <linux/list.h>
#include <linux/mbox.h>
#include <linux/workqueue.h>

#include "message.h"

struct mailbox;

/**
 * struct mbx_fds - the files of a message
 * @node: in mailbox.fds, unless @given_up; under mailbox.lock
 * @closing: after mbx_fds_free_later(), instead of @node
 * @mb: the mailbox that the message is for; lives longer than the message
 * @sender: the sender, which is charged for the files, one reference
 * @n: how many files there are
 * @max: how many files there is memory for
 * @given_up: the files were closed, because the mailbox had no handle
 * @files: the files, one reference each
 *
 * While the mailbox has a handle, all fields except @node are constant once other
 * threads can see the message.
 */
struct mbx_fds {
	union {
		struct hlist_node node;
		struct work_struct closing;
	};
	struct mailbox *mb;
	struct mbx_sender *sender;
	unsigned int n;
	unsigned int max;
	bool given_up;
	struct file *files[];
};

unsigned long mbx_fds_cost(unsigned int n);
int mbx_fds_check(const struct mailbox *mb, const s32 __user *ufds, unsigned int n);
int mbx_fds_attach(struct mbx_message *msg, struct mailbox *mb,
		   const s32 __user *ufds, unsigned int n, bool unasked);
void mbx_fds_free(struct mbx_fds *fds);
void mbx_fds_free_later(struct mbx_fds *fds);
void mbx_fds_detach_later(struct mbx_message *msg);
int mbx_fds_init(void);
void mbx_fds_exit(void);
void mbx_fds_give_up(struct mailbox *mb);
int mbx_fds_prepare(const struct mbx_fds *fds, s32 __user *ufds,
		    unsigned int max);
void mbx_fds_deliver(const struct mbx_fds *fds, s32 __user *ufds, unsigned int max,
		     struct mbox_msg __user *umsg, size_t usize);

/* The files of a message, or NULL. */
static inline struct mbx_fds *mbx_fds_of(struct mbx_message *msg)
{
	if (likely(!(msg->flags & MBX_MSG_SPECIAL)))
		return NULL;
	return mbx_ext(msg)->fds;
}

/* Give the files to the receiver, the only call that has the message. */
static inline struct mbx_fds *mbx_fds_detach(struct mbx_message *msg)
{
	struct mbx_fds *fds = mbx_fds_of(msg);

	if (unlikely(fds))
		mbx_ext(msg)->fds = NULL;
	return fds;
}

#endif /* MBX_FDS_H */
