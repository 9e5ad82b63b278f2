/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long messages wait: the age of those in the mailbox, and how long those waited that
 * were received. Both are told from mbx_message.arrival, in jiffies.
 */
#ifndef MBX_AGE_H
#define MBX_AGE_H

#include <linux/sched.h>

#include "mailbox.h"

void mbx_count_wait(struct mailbox *mb, struct mbx_message *msg);
void mbx_uncount_received(struct mailbox *mb, const struct mbx_message *msg);
u64 mbx_oldest_age(struct mailbox *mb);
u64 mbx_received(const struct mailbox *mb);
void mbx_note_last_sent(struct mailbox *mb);
void mbx_note_last_received(struct mailbox *mb);
void mbx_arrive_again(struct mailbox *mb, struct mbx_message *msg);

/* A receiver took a message. */
static inline void mbx_count_received(struct mailbox *mb, struct mbx_message *msg)
{
	if (likely(msg->arrival >> MBX_ARRIVAL_SHIFT >= mbx_jiffy())) {
		msg->wprio = 0;
		mb->waited[0]++;
	} else {
		mbx_count_wait(mb, msg);
	}
}

/*
 * The calling process has received a message, and copied it: a call that fails leaves no
 * trace. Of calls at the same time, either is the last one.
 */
static inline void mbx_note_receiver(struct mailbox *mb)
{
	/* Pairs with mbx_mailbox_stat() and mbx_note_last_received(). */
	WRITE_ONCE(mb->last_receiver, current->tgid);
	WRITE_ONCE(mb->received_at, mbx_jiffy());
}

#endif /* MBX_AGE_H */
