/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MBOX_BROADCAST: every receiving handle gets every message.
 */
#ifndef MBOX_BROADCAST_H
#define MBOX_BROADCAST_H

#include "recv.h"
#include "wait.h"

/**
 * struct mbox_reader - how far a handle has read
 * @seq: number of the message that it gets next; if that was dropped, it gets
 *	the first that is left
 * @lost: messages that were dropped before it got them, and that it has not been
 *	told of
 *
 * Under mailbox.lock.
 */
struct mbox_reader {
	u64 seq;
	u64 lost;
};

void mbox_broadcast_join(struct mailbox *mb, struct mbox_reader *reader);
void mbox_broadcast_leave(struct mailbox *mb, struct mbox_reader *reader);
void mbox_broadcast_trim(struct mailbox *mb);
void mbox_broadcast_store(struct mailbox *mb, struct mbox_message *msg,
			  struct mbox_after *after);
bool mbox_broadcast_unstore(struct mailbox *mb, struct mbox_message *msg);
u64 mbox_broadcast_unread(struct mailbox *mb, const struct mbox_reader *reader);
u64 mbox_broadcast_lost(struct mailbox *mb, const struct mbox_reader *reader);
ssize_t mbox_broadcast_recv(struct mailbox *mb, struct mbox_reader *reader,
			    const struct mbox_receipt *receipt,
			    const struct mbox_match *match,
			    const struct mbox_call *call);

#endif /* MBOX_BROADCAST_H */
