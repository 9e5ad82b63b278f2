/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Leases: messages that a handle has received and has to acknowledge.
 */
#ifndef MBX_LEASE_H
#define MBX_LEASE_H

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/types.h>

struct mailbox;
struct mbx_message;
struct mbx_user;

/**
 * struct mbx_leases - what a handle has on lease
 * @root: the leases by token
 * @lessee: in mailbox.lessees while there are any
 * @waiters: MBOX_HANGUP: receive calls of the handle that wait
 * @count: number of leases
 *
 * Under mailbox.lock.
 */
struct mbx_leases {
	struct rb_root root;
	struct hlist_node lessee;
	struct hlist_head waiters;
	u32 count;
};

/**
 * struct mbx_lease - a message on lease, or one that comes back later
 * @node: in mbx_leases.root, or in mbx_delays.root
 * @leases: the leases of the handle
 * @msg: the message
 * @token: names the lease on its handle
 * @due: of a message that comes back later: when
 * @payer: the user that is charged for this structure, one reference
 */
struct mbx_lease {
	struct rb_node node;
	struct mbx_leases *leases;
	struct mbx_message *msg;
	union {
		u64 token;
		ktime_t due;
	};
	struct mbx_user *payer;
};

/* The bytes that a lease is charged as. */
#define MBX_LEASE_COST ((unsigned int)sizeof(struct mbx_lease))

struct mbx_lease *mbx_lease_new(struct mbx_leases *leases);
void mbx_lease_free(struct mbx_lease *lease);
void mbx_lease_take(struct mailbox *mb, struct mbx_lease *lease, struct mbx_message *msg,
		    u64 token);
void mbx_lease_part(struct mailbox *mb);
void mbx_lease_add(struct mailbox *mb, struct mbx_lease *lease);
void mbx_lease_remove(struct mailbox *mb, struct mbx_lease *lease);
struct mbx_lease *mbx_lease_find(const struct mbx_leases *leases, u64 token);
void mbx_hold(struct mailbox *mb, struct mbx_message *msg);
void mbx_unhold(struct mailbox *mb, struct mbx_message *msg);
void mbx_limit_update(struct mailbox *mb);
u32 mbx_leases_count(struct mailbox *mb, const struct mbx_leases *leases);

int mbx_lease_init(void);
void mbx_lease_exit(void);

#endif /* MBX_LEASE_H */
