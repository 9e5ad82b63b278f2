/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBOX_SEND_H
#define MBOX_SEND_H

#include "wait.h"

struct mbox_ticket;

/**
 * struct mbox_draft - a message that is to be sent
 * @from: the payload
 * @type: type
 * @prio: priority, already checked
 * @ticket: NULL, or the call whose request it is
 * @fds: descriptors that go with it
 * @nfds: how many, already checked
 */
struct mbox_draft {
	struct mbox_buffer from;
	u64 type;
	u32 prio;
	struct mbox_ticket *ticket;
	const s32 __user *fds;
	u32 nfds;
};

int mbox_send_check(struct mailbox *mb, const struct mbox_draft *draft,
		    const struct mbox_call *call, bool request);
int mbox_send(struct mailbox *mb, struct mbox_sender **cache, spinlock_t *lock,
	      const struct mbox_draft *draft, const struct mbox_call *call);

#endif /* MBOX_SEND_H */
