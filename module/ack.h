/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of leases.
 */
#ifndef MBX_ACK_H
#define MBX_ACK_H

#include <linux/types.h>

struct mailbox;
struct mbx_leases;

int mbx_ack(struct mailbox *mb, struct mbx_leases *leases, u64 token);
int mbx_nack(struct mailbox *mb, struct mbx_leases *leases, u64 token, u64 delay_ns,
	     bool uncounted);
void mbx_leases_shutdown(struct mailbox *mb, struct mbx_leases *leases);
void mbx_leases_drop(struct mailbox *mb);
void mbx_leases_release(struct mailbox *mb);

#endif /* MBX_ACK_H */
