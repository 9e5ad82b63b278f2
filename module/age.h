/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long messages wait: the age of those in the mailbox, and how long those waited that
 * were received. Both are told from mbx_message.arrival, in jiffies.
 */
#ifndef MBX_AGE_H
#define MBX_AGE_H

#include "mailbox.h"

void mbx_count_wait(struct mailbox *mb, struct mbx_message *msg);
void mbx_uncount_received(struct mailbox *mb, const struct mbx_message *msg);
u64 mbx_oldest_age(struct mailbox *mb);
void mbx_note_last_sent(struct mailbox *mb);
void mbx_arrive_again(struct mailbox *mb, struct mbx_message *msg);

/* A receiver took a message. */
static inline void mbx_count_received(struct mailbox *mb, struct mbx_message *msg)
{
	mb->received++;
	if (likely(msg->arrival >> MBX_ARRIVAL_SHIFT >= mbx_jiffy())) {
		msg->wprio = 0;
		mb->waited[0]++;
	} else {
		mbx_count_wait(mb, msg);
	}
}

#endif /* MBX_AGE_H */
