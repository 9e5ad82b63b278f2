/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_EXPIRE_H
#define MBX_EXPIRE_H

#include "exchange.h"
#include "lifespan.h"

void mbx_expire_taken(struct mailbox *mb, struct mbx_message *msg,
		      struct mbx_deferred *deferred);
void mbx_expire_blocked(struct mailbox *mb, struct mbx_message *msg,
			struct mbx_deferred *deferred);
void mbx_expire_some(struct mailbox *mb, struct mbx_deferred *deferred);
u64 mbx_expire_rounds(const struct mailbox *mb);
void __mbx_expire(struct mailbox *mb);
void mbx_expire_work(struct work_struct *work);

/* Whether the mailbox has a message whose lifespan has ended. */
static inline bool mbx_has_expired(struct mailbox *mb)
{
	return unlikely(mb->store_flags & MBX_STORE_LIFESPANS) && mbx_lifespan_first_over(mb);
}

/**
 * mbx_expire() - drop the messages whose lifespan has ended
 * @mb: the mailbox
 *
 * Messages whose lifespan ends during the call may be left.
 *
 * Context: Process context, without mailbox.lock.
 */
static inline void mbx_expire(struct mailbox *mb)
{
	/* A data race: the first lifespan begins at the same time. */
	if (unlikely(data_race(mb->store_flags) & MBX_STORE_LIFESPANS))
		__mbx_expire(mb);
}

#endif /* MBX_EXPIRE_H */
