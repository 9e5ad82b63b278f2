/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBOX_SEND_H
#define MBOX_SEND_H

#include "wait.h"

int mbox_send(struct mailbox *mb, struct mbox_sender **cache, spinlock_t *lock,
	      const struct mbox_buffer *from, u32 prio, u64 type,
	      const struct mbox_call *call);

#endif /* MBOX_SEND_H */
