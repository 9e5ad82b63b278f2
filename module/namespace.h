/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network namespaces: the ids of mailboxes, and the instance of the file system.
 */
#ifndef MBX_NAMESPACE_H
#define MBX_NAMESPACE_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct mailbox;
struct mbx_instance;
struct net;

/**
 * struct mbx_namespace - what a network namespace has
 * @last_id: the id of the newest mailbox
 * @instance: the instance of the file system, NULL until it is needed; set once, with
 *	release order
 * @net: the network namespace
 */
struct mbx_namespace {
	atomic64_t last_id;
	struct mbx_instance *instance;
	struct net *net;
};

/**
 * struct mbx_total - mailboxes that are being added up
 * @prefix: what their names begin with
 * @prefix_len: its length; 0: mailboxes without a name too
 * @caller: the user whose mailboxes need no check of permissions
 * @seen: id of the last mailbox that was looked at
 * @left: how many more may be added
 * @ended: there is no further mailbox
 * @last: id of the last mailbox that was added
 * @mailboxes: how many were added
 * @queued: their messages, without those of rings
 * @bytes: the payload of these messages
 */
struct mbx_total {
	const char *prefix;
	u32 prefix_len;
	kuid_t caller;
	u64 seen;
	u64 left;
	bool ended;
	u64 last;
	u64 mailboxes;
	u64 queued;
	u64 bytes;
};

struct mbx_namespace *mbx_namespace_of(struct net *net);
struct mbx_namespace *mbx_namespace_current(void);
void mbx_namespace_number(struct mbx_namespace *ns, struct mailbox *mb);
int mbx_namespace_publish(struct mailbox *mb);
struct mailbox *mbx_namespace_find_id(u64 id);
struct mailbox *mbx_namespace_next(u64 id);
struct mailbox *mbx_namespace_first(struct mbx_instance *instance);
struct mailbox *mbx_namespace_add_up(struct mbx_total *total);
void mbx_total_add(struct mbx_total *total, struct mailbox *mb);
void mbx_namespace_forget(struct mailbox *mb);
void mbx_namespace_gone(struct mbx_instance *instance);

int mbx_namespace_init(void);
void mbx_namespace_exit(void);

#endif /* MBX_NAMESPACE_H */
