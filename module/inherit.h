/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MBOX_INHERIT: a server has its caller's priority until it has replied.
 */
#ifndef MBX_INHERIT_H
#define MBX_INHERIT_H

#include "transaction.h"

struct mbx_pi_task;

unsigned int mbx_inherit_prio(void);
void __mbx_inherit_update(struct mailbox *mb, struct mbx_transaction *txn);

struct mbx_pi_task *mbx_pi_task_get(void);
int mbx_pi_task_prio(const struct mbx_pi_task *pi_task);
void mbx_pi_task_rest(struct mbx_pi_task *pi_task);
void mbx_pi_task_put(struct mbx_pi_task *pi_task);

/**
 * mbx_inherit_update() - boost or deboost threads after transaction.pi_task changed
 * @mb: the mailbox
 * @txn: the transaction; the current thread has a reference
 *
 * The thread that changes transaction.pi_task must call this after it has dropped
 * mailbox.lock.
 *
 * Context: Process context, without mailbox.lock. May sleep.
 */
static inline void mbx_inherit_update(struct mailbox *mb,
				      struct mbx_transaction *txn)
{
	if (txn->inherits)
		__mbx_inherit_update(mb, txn);
}

#endif /* MBX_INHERIT_H */
