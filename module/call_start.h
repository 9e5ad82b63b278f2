/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that do not wait: started now, and their ends told later.
 */
#ifndef MBX_CALL_START_H
#define MBX_CALL_START_H

#include "copy_out.h"
#include "send.h"
#include "started.h"
#include "wait.h"

/**
 * struct mbx_collect_args - which end mbx_call_wait() tells, and where
 * @token: the call, or 0 for any
 * @reply: where a reply goes
 * @utoken: where the number of the call goes that has ended
 * @uended: where it is noted that the result is that of the call
 */
struct mbx_collect_args {
	u64 token;
	struct mbx_reply_args reply;
	u64 __user *utoken;
	u32 __user *uended;
};

int mbx_call_start(struct mbx_outlet *outlet, struct mbx_started *started,
		   struct mbx_send_args *args, u32 rep_max,
		   const struct mbx_wait_opts *opts, u64 __user *utoken, u64 old);
ssize_t mbx_call_wait(struct mailbox *mb, struct mbx_started *started,
		      const struct mbx_collect_args *args, const struct mbx_wait_opts *opts);
int mbx_call_cancel(struct mailbox *mb, struct mbx_started *started, u64 token);
void mbx_started_shutdown(struct mailbox *mb, struct mbx_started *started);

#endif /* MBX_CALL_START_H */
