/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Call and reply: requests whose senders wait for a reply.
 */
#ifndef MBX_CALL_H
#define MBX_CALL_H

#include "copy_out.h"
#include "send.h"
#include "transaction.h"
#include "wait.h"

/**
 * struct mbx_resume - how a call goes on after an interruption
 * @parked: where the handle keeps the call meanwhile
 * @unumber: where the thread finds the number of its call when it enters it again
 *	(mbox_request.ticket); NULL: the call cannot be parked
 * @number: of the call that goes on; 0: a new call
 */
struct mbx_resume {
	struct mbx_parked *parked;
	u64 __user *unumber;
	u64 number;
};

void mbx_tokens_shutdown(struct mailbox *mb, struct mbx_tokens *tokens);
void mbx_parked_shutdown(struct mailbox *mb, struct mbx_parked *parked);

ssize_t mbx_call(struct mbx_outlet *outlet, struct mbx_send_args *args,
		 const struct mbx_buffer *to, const struct mbx_wait_opts *opts,
		 const struct mbx_resume *resume);
ssize_t mbx_callmsg(struct mbx_outlet *outlet, struct mbx_send_args *args,
		    const struct mbx_reply_args *reply, const struct mbx_wait_opts *opts,
		    const struct mbx_resume *resume);
int mbx_reply(struct mailbox *mb, struct mbx_tokens *tokens, u64 token,
	      const struct mbx_buffer *from);
int mbx_replymsg(struct mailbox *mb, struct mbx_tokens *tokens, u64 token,
		 const struct mbx_buffer *from, const s32 __user *fds, u32 nfds);
void mbx_expire_later(struct mbx_transaction *txn);

int mbx_parked_init(void);
void mbx_parked_exit(void);

#endif /* MBX_CALL_H */
