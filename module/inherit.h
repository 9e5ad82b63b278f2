/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MBOX_INHERIT: a server has its caller's priority until it has replied.
 */
#ifndef MBOX_INHERIT_H
#define MBOX_INHERIT_H

#include "call.h"

struct mbox_debtor;

unsigned int mbox_inherit_prio(void);
void __mbox_inherit_update(struct mailbox *mb, struct mbox_ticket *ticket);

struct mbox_debtor *mbox_debtor_get(void);
int mbox_debtor_prio(const struct mbox_debtor *debtor);
void mbox_debtor_rest(struct mbox_debtor *debtor);
void mbox_debtor_put(struct mbox_debtor *debtor);

/**
 * mbox_inherit_update() - lend for a request, or take back, as is due now
 * @mb: the mailbox
 * @ticket: the request's; the caller has a reference
 *
 * To be called after every change of ticket.debtor, by whoever made it, once
 * mailbox.lock was dropped.
 *
 * Context: Process context, without mailbox.lock. May sleep.
 */
static inline void mbox_inherit_update(struct mailbox *mb,
				       struct mbox_ticket *ticket)
{
	if (ticket->prio)
		__mbox_inherit_update(mb, ticket);
}

#endif /* MBOX_INHERIT_H */
