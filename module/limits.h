/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits of one user: mailboxes, memory of messages and rings, descriptors in
 * messages.
 *
 * A user is a user id in a user namespace. What a user takes is also charged to the
 * user that created this namespace, in the namespace above, and so on. So all
 * subordinate ids of a user count as one user. Namespaces that user 0 of the initial
 * namespace created are skipped.
 */
#ifndef MBX_LIMITS_H
#define MBX_LIMITS_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

struct task_struct;
struct user_namespace;

/**
 * struct mbx_user - the account of one user
 * @node: in the tree of users; under users_lock
 * @refs: references to this account; under users_lock
 * @uid: the user
 * @ns: the namespace of the user, one reference
 * @parent: the account that is charged too, one reference, or NULL
 * @mailboxes: mailboxes that it created and that exist
 * @bytes: memory of its messages and rings
 * @fds: descriptors in its messages
 * @spares: memory of spare messages in mailboxes of this user and of the users below; only
 *	without @parent
 * @staged: without @parent: memory of messages that this user and the users below are
 *	making, and that are to replace others
 * @fence_tick: when @fences began to count, in jiffies; only without @parent
 * @fences: interrupts to other CPUs since then, for rings of this user and of the
 *	users below
 * @late_tick: the last tick with a late fence of a ring, in jiffies; likewise; under
 *	@lock
 * @late_fences: how many there are in that tick; under @lock
 * @stakes: its stakes, by owner; under users_lock
 * @lock: protects @wants and @freed
 * @wants: without @parent: wants that wait until something of this user or of the
 *	users below is freed
 * @wanted: @wants is not empty; under @lock, also read without it
 * @freed: how often something was freed while @wants was not empty
 */
struct mbx_user {
	struct rb_node node;
	unsigned int refs;
	kuid_t uid;
	struct user_namespace *ns;
	struct mbx_user *parent;
	atomic_t mailboxes;
	atomic_long_t bytes;
	atomic_t fds;
	atomic_t spares;
	atomic_long_t staged;
	unsigned long fence_tick;
	atomic_t fences;
	unsigned long late_tick;
	unsigned int late_fences;
	struct rb_root stakes;
	spinlock_t lock;
	bool wanted;
	struct list_head wants;
	unsigned long freed;
};

/**
 * struct mbx_stake - what a user has in all mailboxes of another user
 * @node: in @user->stakes; under users_lock
 * @refs: references to this stake; under users_lock
 * @user: the user, one reference
 * @owner: the owner of the mailboxes
 * @bytes: memory of the user's messages there
 * @fds: descriptors in these messages
 *
 * A stake is at most half of what the other messages of the user leave of its limit.
 * So a receiver that does not read cannot use up the whole limit.
 */
struct mbx_stake {
	struct rb_node node;
	unsigned int refs;
	struct mbx_user *user;
	kuid_t owner;
	atomic_long_t bytes;
	atomic_t fds;
};

/**
 * struct mbx_shortage - what must be freed before limits have room
 * @bytes: memory
 * @fds: descriptors in messages
 */
struct mbx_shortage {
	unsigned long bytes;
	unsigned int fds;
};

/**
 * struct mbx_need - what a call needs room for
 * @stake: where
 * @bytes: memory of the message
 * @own: memory of the sender itself; another call of the same sender may be charged first
 * @fds: descriptors in messages
 */
struct mbx_need {
	const struct mbx_stake *stake;
	unsigned long bytes;
	unsigned int own;
	unsigned int fds;
};

/**
 * struct mbx_want - a handle or a call that has no room under a limit
 * @node: in mbx_user.wants, or empty
 * @user: the user at the top, whose list has @node, one reference, or NULL
 * @seen: mbx_user.freed when the want last checked for room
 * @queue: of a handle: the wait queue to wake; freed after a grace period
 * @task: of a call: the task to wake instead; otherwise NULL
 * @need: of a call: what it needed when it last checked
 *
 * @node, @seen and @need under @user->lock; only one thread at a time changes @user.
 */
struct mbx_want {
	struct list_head node;
	struct mbx_user *user;
	unsigned long seen;
	wait_queue_head_t *queue;
	struct task_struct *task;
	struct mbx_need need;
};

/**
 * struct mbx_usage - what a user has, and may have
 * @mailboxes: mailboxes
 * @mailboxes_max: the limit
 * @bytes: memory
 * @bytes_max: the limit
 * @fds: descriptors in messages
 */
struct mbx_usage {
	unsigned int mailboxes;
	unsigned int mailboxes_max;
	unsigned long bytes;
	unsigned long bytes_max;
	unsigned int fds;
};

extern unsigned long mbx_user_bytes;

bool mbx_unlimited(void);
struct mbx_user *mbx_user_get(void);
int mbx_usage(struct mbx_usage *usage);
void mbx_user_put(struct mbx_user *user);
kuid_t mbx_uid_seen_from(const struct user_namespace *viewer,
			 const struct user_namespace *ns, kuid_t uid);
struct mbx_user *mbx_user_seen_from(const struct user_namespace *viewer,
				    struct mbx_user *user);
kuid_t mbx_owner_seen_from(const struct mbx_user *user,
			   const struct user_namespace *viewer,
			   const struct user_namespace *ns);
struct mbx_stake *mbx_stake_get(struct mbx_user *user, kuid_t owner);
void mbx_stake_put(struct mbx_stake *stake);
int mbx_charge_stake(struct mbx_stake *stake, struct mbx_user *user,
		     unsigned long cost, bool privileged);
void mbx_uncharge_stake(struct mbx_stake *stake, unsigned long cost);
int mbx_charge_stake_fds(struct mbx_stake *stake, unsigned int n,
			 bool privileged);
void mbx_uncharge_stake_fds(struct mbx_stake *stake, unsigned int n);
unsigned long mbx_lacking(const struct mbx_stake *stake,
			  const struct mbx_user *user, unsigned long cost);
unsigned int mbx_lacking_fds(const struct mbx_stake *stake, unsigned int n);
unsigned long mbx_excess(const struct mbx_stake *stake,
			 const struct mbx_user *user, unsigned long cost);
unsigned int mbx_excess_fds(const struct mbx_stake *stake, unsigned int n);
int mbx_stage(struct mbx_user *user, unsigned long cost, bool privileged);
void mbx_unstage(struct mbx_user *user, unsigned long cost);
void mbx_want_init(struct mbx_want *want, wait_queue_head_t *queue,
		   struct task_struct *task);
struct mbx_user *mbx_want_room(struct mbx_want *want,
			       struct mbx_user *user);
void mbx_want_need(struct mbx_want *want, struct mbx_user *user,
		   const struct mbx_need *need);
void mbx_want_on(struct mbx_want *want);
void mbx_want_cancel(struct mbx_want *want);
void mbx_wake_wants(struct mbx_user *user);
int mbx_charge_mailbox(struct mbx_user *user);
void mbx_uncharge_mailbox(struct mbx_user *user);
int mbx_charge_chain(struct mbx_user *user, unsigned long cost,
		     unsigned long sum, bool privileged);
int mbx_charge_other(struct mbx_user *user, unsigned long cost,
		     bool unlimited);
unsigned int mbx_charge_unasked(struct mbx_user *user, unsigned long cost);
int mbx_charge_fds(struct mbx_user *user, unsigned int n, bool privileged);
void mbx_uncharge_fds(struct mbx_user *user, unsigned int n);

/**
 * mbx_is_exempt() - whether limits do not apply to a call of the current process
 * @privileged: whether the process that opened the handle was exempt then
 *
 * A program with set-user-id can be made to write to a handle that it did not open.
 */
static inline bool mbx_is_exempt(bool privileged)
{
	return privileged && mbx_unlimited();
}

/* The account at the top of the chain, which all charges reach. */
static inline struct mbx_user *mbx_user_top(struct mbx_user *user)
{
	while (user->parent)
		user = user->parent;
	return user;
}

/**
 * mbx_user_freed() - tell the wants that something was uncharged
 * @user: the user at the top
 *
 * Context: Process context, without spinlocks: there may be many wants.
 */
static inline void mbx_user_freed(struct mbx_user *user)
{
	/* Pairs with the barrier in want_room(). */
	smp_mb__after_atomic();
	if (unlikely(READ_ONCE(user->wanted)))
		mbx_wake_wants(user);
}

/**
 * mbx_want_told() - whether something was freed since mbx_want_room()
 * @want: the want
 */
static inline bool mbx_want_told(const struct mbx_want *want)
{
	return list_empty(&want->node);
}

/**
 * mbx_charge_bytes() - charge memory
 * @user: the user of the current process
 * @cost: bytes that are allocated
 * @privileged: as for mbx_is_exempt(); true if no handle is involved
 *
 * Return: 0, or -EDQUOT.
 */
static inline int mbx_charge_bytes(struct mbx_user *user, unsigned long cost,
				   bool privileged)
{
	unsigned long sum = atomic_long_add_return(cost, &user->bytes);

	if (likely(sum <= READ_ONCE(mbx_user_bytes) && !user->parent))
		return 0;
	return mbx_charge_chain(user, cost, sum, privileged);
}

static inline void mbx_uncharge_bytes(struct mbx_user *user,
				      unsigned long cost)
{
	for (;;) {
		atomic_long_sub(cost, &user->bytes);
		if (likely(!user->parent))
			break;
		user = user->parent;
	}
	mbx_user_freed(user);
}

#endif /* MBX_LIMITS_H */
