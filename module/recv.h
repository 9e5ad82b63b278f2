/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_RECV_H
#define MBX_RECV_H

#include "copy_out.h"
#include "queue.h"
#include "wait.h"

ssize_t mbx_recv_bytes(struct mailbox *mb, void __user *user, size_t len);
ssize_t mbx_recv_otherwise(struct mailbox *mb, const struct mbx_recv_args *args, bool nonblock);
ssize_t mbx_recv_at_once(struct mailbox *mb, const struct mbx_recv_args *args);
int mbx_recv_some(struct mailbox *mb, size_t usize, const struct mbox_msg *msgs,
		  void __user *umsgs, unsigned int n);
ssize_t mbx_recv(struct mailbox *mb, const struct mbx_recv_args *args,
		 const struct mbx_match *match, const struct mbx_wait_opts *opts);

#endif /* MBX_RECV_H */
