/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_SEND_H
#define MBX_SEND_H

#include "message.h"
#include "wait.h"

struct mbx_deferred;
struct mbx_send_waiter;
struct mbx_transaction;

/**
 * struct mbx_send_args - what to send
 * @from: the payload
 * @type: type
 * @prio: priority, already checked
 * @txn: the transaction of a request, or NULL
 * @fds: descriptors to attach
 * @nfds: number of @fds, already checked
 * @lifespan_end: when the lifespan of the message ends, in CLOCK_MONOTONIC; 0: it has none
 */
struct mbx_send_args {
	struct mbx_buffer from;
	u64 type;
	u32 prio;
	struct mbx_transaction *txn;
	const s32 __user *fds;
	u32 nfds;
	ktime_t lifespan_end;
};

int mbx_send_check(struct mbx_outlet *outlet, const struct mbx_send_args *args,
		   const struct mbx_wait_opts *opts, bool request);
int mbx_send(struct mbx_outlet *outlet, const struct mbx_send_args *args,
	     const struct mbx_wait_opts *opts);
int mbx_send_start(struct mbx_outlet *outlet, const struct mbx_send_args *args,
		   const struct mbx_wait_opts *opts);
int mbx_send_bytes(struct mbx_outlet *outlet,
		   void __user *user, size_t len, bool nonblock);
int mbx_send_at_once(struct mbx_outlet *outlet, const struct mbox_msg *m);
unsigned int mbx_send_some(struct mbx_outlet *outlet, const struct mbox_msg *msgs,
			   unsigned int n);
int mbx_send_wait(struct mailbox *mb, struct mbx_send_waiter *w,
		  const struct mbx_wait_opts *opts);
int mbx_withdraw(struct mailbox *mb, struct mbx_send_waiter *w, int ret,
		 struct mbx_deferred *deferred);

#endif /* MBX_SEND_H */
