/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Descriptors that travel in messages.
 */
#ifndef MBOX_FDS_H
#define MBOX_FDS_H

#include <linux/mbox.h>

#include "message.h"

/**
 * struct mbox_fds - the files of a message
 * @sender: who is charged for them, one reference
 * @n: how many
 * @files: one reference each
 *
 * Constant once the message can be seen by others.
 */
struct mbox_fds {
	struct mbox_sender *sender;
	unsigned int n;
	struct file *files[];
};

int mbox_fds_attach(struct mbox_message *msg, const s32 __user *ufds,
		    unsigned int n);
void mbox_fds_free(struct mbox_fds *fds);
int mbox_fds_prepare(const struct mbox_fds *fds, s32 __user *ufds,
		     unsigned int room);
void mbox_fds_deliver(const struct mbox_fds *fds, s32 __user *ufds, unsigned int room,
		      struct mbox_msg __user *umsg, size_t usize);

/* The files of a message, or NULL. */
static inline struct mbox_fds *mbox_fds_of(struct mbox_message *msg)
{
	if (likely(!(msg->flags & MBOX_MSG_EXT)))
		return NULL;
	return mbox_ext(msg)->fds;
}

/* They belong to the receiver now, who is the only one to have the message. */
static inline struct mbox_fds *mbox_fds_detach(struct mbox_message *msg)
{
	struct mbox_fds *fds = mbox_fds_of(msg);

	if (unlikely(fds))
		mbox_ext(msg)->fds = NULL;
	return fds;
}

#endif /* MBOX_FDS_H */
