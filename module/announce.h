/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_ANNOUNCE_H
#define MBX_ANNOUNCE_H

#include "deferred.h"
#include "notify.h"
#include "poller.h"

/*
 * How many calls are completed in one hold of mailbox.lock. struct mbx_deferred has
 * room for two tasks, which are woken after the lock is dropped. A wake-up under the
 * lock would cost as much as everything else that is done there.
 */
#define MBX_WAKE_AT_ONCE 2

void mbx_wake_peekers(struct mailbox *mb, struct mbx_deferred *deferred);
void mbx_wake_more(struct mailbox *mb, u64 last, struct mbx_deferred *deferred);
void mbx_wake_next(struct mailbox *mb);

/*
 * Announce a message that can be received from now on. @arrived: it may trigger a
 * notification. It may not if it came from a sender that waited for room, or if it
 * replaces a message that was dropped.
 */
static inline void mbx_announce(struct mailbox *mb,
				const struct mbx_message *msg, bool arrived,
				struct mbx_deferred *deferred)
{
	if (mbx_queue_events(mb, MBX_POLL_IN, deferred) && arrived)
		mbx_registration_arrived(mb, msg, &deferred->reg);
	if (unlikely(mb->waiting_receivers))
		mbx_wake_peekers(mb, deferred);
}

#endif /* MBX_ANNOUNCE_H */
