/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that were started: those of one handle, and who waits for their end.
 */
#ifndef MBX_STARTED_H
#define MBX_STARTED_H

#include "transaction.h"

struct mbx_deferred;
struct mbx_poller;

void mbx_started_add(struct mailbox *mb, struct mbx_transaction *txn);
void mbx_started_remove(struct mailbox *mb, struct mbx_transaction *txn);
struct mbx_transaction *mbx_started_find(const struct mbx_started *started, u64 number);
void mbx_started_accept(struct mailbox *mb, struct mbx_send_waiter *w,
			struct mbx_deferred *deferred);
void mbx_started_ended(struct mailbox *mb, struct mbx_send_waiter *w, int result,
		       struct mbx_deferred *deferred);
void mbx_started_end(struct mailbox *mb, struct mbx_transaction *txn, int result,
		     struct mbx_deferred *deferred);
void mbx_started_offer(struct mailbox *mb, struct mbx_transaction *txn, bool first,
		       struct mbx_deferred *deferred);
bool mbx_started_dismiss(struct mailbox *mb, struct rb_root_cached *collectors,
			 struct mbx_deferred *deferred);
void mbx_started_polled(struct mbx_started *started, struct mbx_poller *poller);
void mbx_started_tell(struct mbx_started *started);
bool mbx_started_ready(struct mailbox *mb, const struct mbx_started *started);

#endif /* MBX_STARTED_H */
