/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBOX_RECV_H
#define MBOX_RECV_H

#include "wait.h"

/**
 * struct mbox_receipt - where a receiver wants its message
 * @to: the buffer
 * @umsg: NULL, or the caller's struct mbox_msg to fill in
 * @kmsg: what was read from there
 * @usize: size of the caller's
 * @tokens: where requests are kept until they are replied to; NULL: the caller
 *	does not learn their tokens
 * @debtor: MBOX_INHERIT: the current task, if there are @tokens; otherwise NULL
 * @fds: where the numbers of received files go
 * @nfds: for how many there is room
 */
struct mbox_receipt {
	struct mbox_buffer to;
	struct mbox_msg __user *umsg;
	const struct mbox_msg *kmsg;
	size_t usize;
	struct mbox_tokens *tokens;
	struct mbox_debtor *debtor;
	s32 __user *fds;
	u32 nfds;
};

int mbox_copy_out(struct mbox_message *msg, u64 token, u64 lost,
		  const struct mbox_receipt *receipt);
void mbox_undo_copy_out(const struct mbox_receipt *receipt);
void mbox_note_flag(struct mbox_msg __user *umsg, u32 flag);
ssize_t mbox_recv(struct mailbox *mb, const struct mbox_receipt *receipt,
		  const struct mbox_match *match, const struct mbox_call *call);

#endif /* MBOX_RECV_H */
