/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The history of a broadcast mailbox: messages that stay for handles that open it later.
 */
#ifndef MBX_HISTORY_H
#define MBX_HISTORY_H

#include "mailbox.h"

/**
 * struct mbx_history - the history of a mailbox
 * @kept: copies of messages that have left mailbox.stored, in the order of arrival
 * @limit: how many messages a new handle gets first
 * @late: number of handles that read a message of @kept next
 * @first: number of the first message that a handle can get; what comes before it in
 *	@kept is only still to be freed
 * @missing: number of messages of which there is no copy, because the creator's limit
 *	had no room for it
 *
 * All but @limit under mailbox.lock. The numbers from @first up to the first message in
 * mailbox.stored are all in @kept.
 */
struct mbx_history {
	struct mbx_queue kept;
	u32 limit;
	u32 late;
	u64 first;
	u64 missing;
};

struct mbx_history *mbx_history_new(u32 limit);
struct mbx_message *mbx_history_copy(struct mailbox *mb, struct mbx_message *msg);
bool mbx_history_queues_copy(const struct mailbox *mb);
bool mbx_history_lacks_copy(const struct mailbox *mb, struct mbx_message *msg);
struct mbx_message *mbx_history_take_copy(struct mailbox *mb, struct mbx_message *msg);
void mbx_history_gap(struct mailbox *mb, u64 first);
struct mbx_message *mbx_history_trim(struct mailbox *mb);

#endif /* MBX_HISTORY_H */
