/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Receiving from a mailbox with MBOX_BROADCAST.
 */
#ifndef MBX_BROADCAST_H
#define MBX_BROADCAST_H

#include "copy_out.h"
#include "reader.h"
#include "wait.h"

ssize_t mbx_broadcast_recv(struct mailbox *mb, struct mbx_reader *reader,
			   const struct mbx_recv_args *args,
			   const struct mbx_match *match,
			   const struct mbx_wait_opts *opts);

#endif /* MBX_BROADCAST_H */
