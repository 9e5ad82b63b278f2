/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_SENDER_H
#define MBX_SENDER_H

#include <linux/atomic.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include "compat.h"
#include "limits.h"

struct mailbox;
struct pid;
struct user_namespace;

/**
 * struct mbx_sender - the identity of a process that sends
 * @refs: references: the handle that caches it, messages, transactions and calls
 * @uid: real user id
 * @gid: real group id
 * @ns: user namespace of both; @user keeps a reference
 * @key: user id of @account: the user in shares
 * @pid: the process, one reference
 * @user: the account of @uid
 * @memcg: what tells the memory cgroup of the process from all others
 * @account: the account that stands for @user in the mailbox's user namespace
 * @stake: the stake of @account with the mailbox's owner, NULL if it is the owner
 * @charged: whether this object is charged: with a @stake, how many messages there
 *	are; without, not 0 from the first message on
 * @privileged: the handle was opened by a process that limits did not apply to
 * @slow: there is a @stake, or @user has a parent, or @charged is still 0
 * @refused: memory of a message that a limit refused; 0 once there is room for it
 * @refused_fds: likewise for descriptors
 * @rcu: used to free this structure
 *
 * The ids are the real ones: a set-user-id program that writes to an inherited
 * descriptor sends on behalf of the user that started it.
 */
struct mbx_sender {
	refcount_t refs;
	kuid_t uid;
	kgid_t gid;
	kuid_t key;
	struct user_namespace *ns;
	struct pid *pid;
	struct mbx_user *user;
	struct mbx_user *account;
	struct mbx_stake *stake;
	u64 memcg;
	atomic_t charged;
	bool privileged;
	bool slow;
	unsigned int refused;
	unsigned int refused_fds;
	struct rcu_head rcu;
};

/**
 * struct mbx_outlet - where a handle sends to, and as whom
 * @to: the mailbox
 * @sender: the process that sent last with the handle, one reference, or NULL; set under
 *	@lock
 * @privileged: limits did not apply to the process that opened the handle; constant
 * @refused_prio: priority of the thread whose send was @refused; under the lock of @to
 * @refused: length of a message that mailbox.max_bytes left no room for; 0 once there is
 *	room for it, or a later send succeeded; likewise
 * @refused_to: process whose send that was; likewise
 * @lock: protects @sender, and what the handle needs to be polled
 */
struct mbx_outlet {
	struct mailbox *to;
	struct mbx_sender __rcu *sender;
	bool privileged;
	u8 refused_prio;
	u32 refused;
	pid_t refused_to;
	spinlock_t lock;
};

/*
 * The memory of a sender. It includes the struct pid that the sender keeps. The size of
 * that depends on the depth of its namespace; MBX_PID_COST is the size in the initial
 * namespace on most kernels.
 */
#define MBX_PID_COST 128
#define MBX_SENDER_COST \
	(mbx_kmalloc_size(sizeof(struct mbx_sender)) + MBX_PID_COST)

struct mbx_sender *__mbx_sender_get(struct mbx_outlet *outlet);
void mbx_sender_put(struct mbx_sender *sender);
unsigned int mbx_sender_cost(const struct mbx_sender *sender);
bool mbx_sender_share_has_room(const struct mbx_sender *sender,
			       unsigned int cost, unsigned int nfds);
bool mbx_sender_has_room(const struct mbx_sender *sender, unsigned int cost,
			 unsigned int nfds);
struct mbx_shortage mbx_sender_excess(const struct mbx_sender *sender,
				      unsigned int cost, unsigned int nfds);
int __mbx_sender_charge(struct mbx_sender *sender, unsigned int cost);
void __mbx_sender_uncharge(struct mbx_sender *sender, unsigned int cost);
void mbx_sender_retract(struct mbx_sender *sender);
void mbx_sender_uncharge_part(struct mbx_sender *sender, unsigned int cost);
unsigned int mbx_sender_charge_unasked(struct mbx_sender *sender,
				       unsigned int cost);
int mbx_sender_charge_other(struct mbx_sender *sender, unsigned int cost,
			    bool unlimited);

/* A number that no other memory cgroup has or had. The caller reads under RCU. */
static inline u64 mbx_current_memcg(void)
{
#ifdef CONFIG_MEMCG
	return task_css_check(current, memory_cgrp_id, true)->serial_nr;
#else
	return 0;
#endif
}

static inline bool mbx_sender_is_current(const struct mbx_sender *sender)
{
	const struct cred *cred = current_cred();

	return sender->pid == task_tgid(current) &&
	       uid_eq(sender->uid, cred->uid) &&
	       gid_eq(sender->gid, cred->gid) &&
	       sender->ns == cred->user_ns &&
	       sender->memcg == mbx_current_memcg();
}

/**
 * mbx_sender_get() - get the sender for the current process
 * @outlet: where the handle sends to
 *
 * Most handles are used by one process that does not change its ids. Then all its
 * messages share one object, and no lookup is needed.
 *
 * Context: Process context, may sleep.
 * Return: the sender with a reference, or NULL if there is no memory.
 */
static inline struct mbx_sender *mbx_sender_get(struct mbx_outlet *outlet)
{
	struct mbx_sender *sender;

	/* In most kernels this takes less than rcu_read_lock(). */
	rcu_read_lock_sched();
	sender = rcu_dereference_sched(outlet->sender);
	if (likely(sender && mbx_sender_is_current(sender) &&
		   refcount_inc_not_zero(&sender->refs))) {
		rcu_read_unlock_sched();
		return sender;
	}
	rcu_read_unlock_sched();
	return __mbx_sender_get(outlet);
}

/**
 * mbx_sender_charge() - charge a message
 * @sender: its sender
 * @cost: its memory
 *
 * Return: 0, -EDQUOT at the limit of the user, or -ENOBUFS at the limit of its stake
 * with the owner of the mailbox.
 */
static inline int mbx_sender_charge(struct mbx_sender *sender, unsigned int cost)
{
	unsigned long sum;

	/* Pairs with the WRITE_ONCE() in began_message(). */
	if (unlikely(READ_ONCE(sender->slow)))
		return __mbx_sender_charge(sender, cost);
	sum = atomic_long_add_return(cost, &sender->user->bytes);
	if (likely(sum <= READ_ONCE(mbx_user_bytes)))
		return 0;
	return mbx_charge_chain(sender->user, cost, sum, sender->privileged);
}

/**
 * mbx_sender_uncharge() - undo mbx_sender_charge()
 * @sender: the sender
 * @cost: memory of the message
 */
static inline void mbx_sender_uncharge(struct mbx_sender *sender,
				       unsigned int cost)
{
	/* Pairs with the WRITE_ONCE() in began_message(). */
	if (unlikely(READ_ONCE(sender->slow))) {
		__mbx_sender_uncharge(sender, cost);
		return;
	}
	atomic_long_sub(cost, &sender->user->bytes);
	mbx_user_freed(sender->user);
}

#endif /* MBX_SENDER_H */
