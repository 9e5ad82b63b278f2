/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Call and reply: requests whose senders wait for an answer.
 */
#ifndef MBOX_CALL_H
#define MBOX_CALL_H

#include <linux/rbtree.h>
#include <linux/refcount.h>

#include "message.h"
#include "send.h"
#include "wait.h"

/**
 * enum mbox_ticket_state - where a request is
 * @MBOX_TICKET_QUEUED: in the mailbox, or with its caller that waits for room
 * @MBOX_TICKET_TAKEN: a receiver took it; if that one can reply, the ticket is
 *	in its handle's tokens
 * @MBOX_TICKET_REPLYING: the reply is being copied in
 */
enum mbox_ticket_state {
	MBOX_TICKET_QUEUED,
	MBOX_TICKET_TAKEN,
	MBOX_TICKET_REPLYING,
};

/**
 * struct mbox_tokens - requests that a handle received and has to reply to
 * @root: their tickets by token
 * @count: how many
 *
 * Under mailbox.lock. Every ticket in it has a caller.
 */
struct mbox_tokens {
	struct rb_root root;
	u32 count;
};

/**
 * struct mbox_ticket - what joins a caller, its request and the reply
 * @node: in tokens->root, where @tokens is set
 * @tokens: those of the handle that is to reply, or NULL; under mailbox.lock
 * @caller: the call that waits, NULL once it has ended; under mailbox.lock
 * @reply: memory for the reply, charged to the caller
 * @token: names it in @tokens; set when it is taken
 * @len: length of the reply; valid once the caller was served without an error
 * @prio: real-time priority that the caller lends to its server, or 0
 * @state: under mailbox.lock
 * @refs: the caller, the request, whoever copies a reply in, and mbox_after
 * @debtor: @prio: the thread that owes the reply, or NULL; under mailbox.lock
 * @lent_to: the thread that was lent @prio, one reference, or NULL; follows
 *	@debtor, under inherit_lock
 * @epoch: mbox_debtor.epoch when that happened; under inherit_lock
 * @ended: @debtor: the next in mbox_after.ended, once the call has ended
 */
struct mbox_ticket {
	struct rb_node node;
	struct mbox_tokens *tokens;
	struct mbox_waiter *caller;
	struct mbox_message *reply;
	u64 token;
	u32 len;
	unsigned int prio;
	enum mbox_ticket_state state;
	refcount_t refs;
	struct mbox_debtor *debtor;
	struct mbox_debtor *lent_to;
	unsigned int epoch;
	struct mbox_ticket *ended;
};

void mbox_ticket_put(struct mbox_ticket *ticket);
u64 __mbox_ticket_take(struct mailbox *mb, struct mbox_ticket *ticket,
		       struct mbox_tokens *tokens, struct mbox_debtor *debtor);
bool mbox_ticket_return(struct mailbox *mb, struct mbox_ticket *ticket);
bool mbox_ticket_abandon(struct mailbox *mb, struct mbox_ticket *ticket);
void mbox_ticket_end(struct mailbox *mb, struct mbox_ticket *ticket, int result,
		     struct mbox_after *after);

u32 mbox_tokens_count(struct mailbox *mb, const struct mbox_tokens *tokens);
void mbox_tokens_end(struct mailbox *mb, struct mbox_tokens *tokens);

ssize_t mbox_call(struct mailbox *mb, struct mbox_sender **cache,
		  spinlock_t *lock, struct mbox_draft *draft,
		  const struct mbox_buffer *to, const struct mbox_call *call);
int mbox_reply(struct mailbox *mb, struct mbox_tokens *tokens, u64 token,
	       const struct mbox_buffer *from);

/**
 * mbox_ticket_take() - a receiver takes a message, perhaps a request
 * @mb: the mailbox
 * @msg: the message
 * @tokens: where the receiver keeps its requests; NULL: it cannot reply
 * @debtor: MBOX_INHERIT: the receiver, if it can
 *
 * Return: the token that names the request, or 0.
 */
static inline u64 mbox_ticket_take(struct mailbox *mb, struct mbox_message *msg,
				   struct mbox_tokens *tokens,
				   struct mbox_debtor *debtor)
{
	struct mbox_ticket *ticket = mbox_ticket_of(msg);

	if (likely(!ticket))
		return 0;
	return __mbox_ticket_take(mb, ticket, tokens, debtor);
}

#endif /* MBOX_CALL_H */
