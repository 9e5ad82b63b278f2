// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits per user.
 *
 * A charge is added to the counter first and compared with the limit afterwards. So
 * two charges at the limit may both be refused, but they are never both granted.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>

#include "limits.h"

static unsigned int user_mailboxes = 256;
module_param(user_mailboxes, uint, 0644);
MODULE_PARM_DESC(user_mailboxes, "mailboxes that a user may have (256)");

unsigned long mbx_user_bytes = 16UL << 20;

static int set_user_bytes(const char *val, const struct kernel_param *kp);

static const struct kernel_param_ops user_bytes_ops = {
	.set = set_user_bytes,
	.get = param_get_ulong,
};

module_param_cb(user_bytes, &user_bytes_ops, &mbx_user_bytes, 0644);
__MODULE_PARM_TYPE(user_bytes, "ulong");
MODULE_PARM_DESC(user_bytes,
		 "bytes of memory for messages, replies, calls, senders and rings of a user (16 MiB)");

static struct rb_root users = RB_ROOT;
static DEFINE_SPINLOCK(users_lock);

/* ---- users --------------------------------------------------------------- */

static int compare_to(const struct user_namespace *ns, kuid_t uid,
		      const struct mbx_user *user)
{
	if (ns != user->ns)
		return ns < user->ns ? -1 : 1;
	if (uid_eq(uid, user->uid))
		return 0;
	return uid_lt(uid, user->uid) ? -1 : 1;
}

/* Find a user. Return it with a reference, or NULL and the place to insert it. */
static struct mbx_user *lookup_user(const struct user_namespace *ns, kuid_t uid,
				    struct rb_node ***where,
				    struct rb_node **parent)
{
	struct rb_node **link = &users.rb_node;
	struct mbx_user *user;
	int diff;

	lockdep_assert_held(&users_lock);
	*parent = NULL;
	while (*link) {
		user = rb_entry(*link, struct mbx_user, node);
		diff = compare_to(ns, uid, user);
		if (!diff) {
			user->refs++;
			return user;
		}
		*parent = *link;
		link = diff < 0 ? &(*link)->rb_left : &(*link)->rb_right;
	}
	*where = link;
	return NULL;
}

/*
 * Find or make one user. This takes over the reference on @above, even if it fails.
 */
static struct mbx_user *get_one(struct user_namespace *ns, kuid_t uid,
				struct mbx_user *above)
{
	struct rb_node **link, *parent;
	struct mbx_user *user, *new;
	bool made;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	spin_lock(&users_lock);
	user = lookup_user(ns, uid, &link, &parent);
	made = !user && new;
	if (made) {
		user = new;
		user->refs = 1;
		user->uid = uid;
		user->late_tick = jiffies;
		user->ns = get_user_ns(ns);
		user->parent = above;
		user->stakes = RB_ROOT;
		spin_lock_init(&user->lock);
		INIT_LIST_HEAD(&user->wants);
		rb_link_node(&user->node, parent, link);
		rb_insert_color(&user->node, &users);
	}
	spin_unlock(&users_lock);
	if (made)
		return user;
	/* An existing user has its parent already; otherwise, there is no memory. */
	kfree(new);
	if (above)
		mbx_user_put(above);
	return user;
}

/*
 * The namespace above @ns with the next user that is charged for what @ns takes, and
 * that user in *@uid; NULL: there is none.
 */
static struct user_namespace *limited_above(const struct user_namespace *ns,
					    kuid_t *uid)
{
	for (; ns->parent; ns = ns->parent) {
		*uid = ns->owner;
		if (!uid_eq(*uid, GLOBAL_ROOT_UID))
			return ns->parent;
	}
	return NULL;
}

/* Namespaces are nested 33 deep at most. */
#define LEVELS_MAX 34

static struct mbx_user *get_chain(struct user_namespace *ns, kuid_t uid)
{
	struct user_namespace *spaces[LEVELS_MAX];
	struct mbx_user *user = NULL;
	kuid_t uids[LEVELS_MAX];
	unsigned int n = 0;

	do {
		if (WARN_ON_ONCE(n == LEVELS_MAX))
			return NULL;
		spaces[n] = ns;
		uids[n++] = uid;
		ns = limited_above(ns, &uid);
	} while (ns);
	/* From the top, so that each user has its parent before it can be found. */
	while (n--) {
		user = get_one(spaces[n], uids[n], user);
		if (!user)
			return NULL;
	}
	return user;
}

/**
 * mbx_user_get() - find or make the account of the user of the current process
 *
 * The account is that of the real user id.
 *
 * Context: Process context, may sleep.
 * Return: the account with a reference, or NULL if there is no memory.
 */
struct mbx_user *mbx_user_get(void)
{
	struct user_namespace *ns = current_user_ns();
	struct rb_node **link, *parent;
	kuid_t uid = current_uid();
	struct mbx_user *user;

	spin_lock(&users_lock);
	user = lookup_user(ns, uid, &link, &parent);
	spin_unlock(&users_lock);
	return user ?: get_chain(ns, uid);
}

/**
 * mbx_user_put() - drop a reference
 * @user: the account
 *
 * Context: Any but interrupts.
 */
void mbx_user_put(struct mbx_user *user)
{
	struct mbx_user *parent;

	do {
		spin_lock(&users_lock);
		if (--user->refs) {
			spin_unlock(&users_lock);
			return;
		}
		rb_erase(&user->node, &users);
		spin_unlock(&users_lock);
		parent = user->parent;
		put_user_ns(user->ns);
		kfree(user);
		user = parent;
	} while (user);
}

/* Whether a namespace is @viewer or is below it. */
static bool is_below(const struct user_namespace *ns,
		     const struct user_namespace *viewer)
{
	while (ns->level > viewer->level)
		ns = ns->parent;
	return ns == viewer;
}

/**
 * mbx_uid_seen_from() - the user that stands for another one in a user namespace
 * @viewer: the user namespace
 * @ns: the user namespace of @uid
 * @uid: the user
 *
 * The same as mbx_user_seen_from(), without an account.
 *
 * Return: the user id of the account.
 */
kuid_t mbx_uid_seen_from(const struct user_namespace *viewer,
			 const struct user_namespace *ns, kuid_t uid)
{
	kuid_t owner;

	while (ns != viewer) {
		ns = limited_above(ns, &owner);
		if (!ns || !is_below(ns, viewer))
			break;
		uid = owner;
	}
	return uid;
}

/**
 * mbx_user_seen_from() - the account that stands for another one in a user namespace
 * @viewer: the user namespace
 * @user: the account
 *
 * Return: the highest account above @user whose namespace is @viewer or is below it,
 * or @user if there is none. It lives as long as @user.
 */
struct mbx_user *mbx_user_seen_from(const struct user_namespace *viewer,
				    struct mbx_user *user)
{
	while (user->parent && is_below(user->parent->ns, viewer))
		user = user->parent;
	return user;
}

/**
 * mbx_owner_seen_from() - the user that the owner of a mailbox counts as for a sender
 * @user: the account of the owner
 * @viewer: the user namespace of the mailbox
 * @ns: the user namespace of the sender
 *
 * As mbx_user_seen_from(), and further up to an account whose namespace contains @ns.
 * So for a sender outside a user namespace, all owners in it are one.
 */
kuid_t mbx_owner_seen_from(const struct mbx_user *user,
			   const struct user_namespace *viewer,
			   const struct user_namespace *ns)
{
	while (user->parent && (is_below(user->parent->ns, viewer) ||
				!is_below(ns, user->ns)))
		user = user->parent;
	return user->uid;
}

/* ---- charges ------------------------------------------------------------- */

/**
 * mbx_unlimited() - whether limits do not apply to the current process
 *
 * Reaching a limit is normal, so a missing capability is not audited.
 */
bool mbx_unlimited(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
}

/**
 * mbx_usage() - what the user of the current process has
 * @usage: filled; of the accounts that are charged, it has the largest figures, because
 *	they decide
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int mbx_usage(struct mbx_usage *usage)
{
	struct mbx_user *user = mbx_user_get(), *u;

	if (!user)
		return -ENOMEM;
	*usage = (struct mbx_usage){
		.mailboxes_max = READ_ONCE(user_mailboxes),
		.bytes_max = READ_ONCE(mbx_user_bytes),
	};
	for (u = user; u; u = u->parent) {
		usage->mailboxes = max_t(unsigned int, usage->mailboxes,
					 atomic_read(&u->mailboxes));
		usage->bytes = max_t(unsigned long, usage->bytes,
				     atomic_long_read(&u->bytes));
		usage->fds = max_t(unsigned int, usage->fds, atomic_read(&u->fds));
	}
	mbx_user_put(user);
	return 0;
}

/**
 * mbx_charge_mailbox() - charge a mailbox
 * @user: its creator
 *
 * Return: 0, or -EDQUOT.
 */
int mbx_charge_mailbox(struct mbx_user *user)
{
	unsigned int limit = READ_ONCE(user_mailboxes);
	struct mbx_user *u, *last;

	for (u = user; u; u = u->parent) {
		last = u;
		if (atomic_inc_return(&u->mailboxes) > limit &&
		    !mbx_unlimited())
			goto err_undo;
	}
	return 0;

err_undo:
	for (u = user; u != last->parent; u = u->parent)
		atomic_dec(&u->mailboxes);
	return -EDQUOT;
}

void mbx_uncharge_mailbox(struct mbx_user *user)
{
	for (; user; user = user->parent)
		atomic_dec(&user->mailboxes);
}

/* Called after a charge is undone: it may have made others find no room meanwhile. */
static void undone(struct mbx_user *user)
{
	mbx_user_freed(mbx_user_top(user));
}

/* Undo the charges from @user up to @last. */
static void uncharge_upto(struct mbx_user *user, const struct mbx_user *last,
			  unsigned long cost)
{
	struct mbx_user *u;

	for (u = user; u != last->parent; u = u->parent)
		atomic_long_sub(cost, &u->bytes);
	undone(user);
}

/* Slow path of mbx_charge_bytes(): @user is charged already and has @sum. */
int mbx_charge_chain(struct mbx_user *user, unsigned long cost,
		     unsigned long sum, bool privileged)
{
	unsigned long limit = READ_ONCE(mbx_user_bytes);
	struct mbx_user *u = user;

	while (sum <= limit || mbx_is_exempt(privileged)) {
		if (!u->parent)
			return 0;
		u = u->parent;
		sum = atomic_long_add_return(cost, &u->bytes);
	}
	uncharge_upto(user, u, cost);
	return -EDQUOT;
}

/**
 * mbx_charge_other() - charge memory that another process allocates for a user
 * @user: the user, which is charged up to twice its limit
 * @cost: bytes that are allocated
 * @unlimited: the limit does not apply
 *
 * Return: 0, or -EDQUOT.
 */
int mbx_charge_other(struct mbx_user *user, unsigned long cost,
		     bool unlimited)
{
	unsigned long limit = READ_ONCE(mbx_user_bytes);
	struct mbx_user *u;

	for (u = user; u; u = u->parent) {
		unsigned long sum = atomic_long_add_return(cost, &u->bytes);

		/* Half the sum, since twice the limit could overflow. */
		if (sum / 2 > limit && !unlimited) {
			uncharge_upto(user, u, cost);
			return -EDQUOT;
		}
	}
	return 0;
}

/**
 * mbx_charge_unasked() - charge memory that cannot be refused
 * @user: the user, which is charged whatever its limit
 * @cost: bytes that are allocated
 *
 * Only for little memory that belongs to something that is charged already.
 *
 * Return: how many accounts were charged.
 */
unsigned int mbx_charge_unasked(struct mbx_user *user, unsigned long cost)
{
	unsigned int n = 0;

	for (; user; user = user->parent) {
		atomic_long_add(cost, &user->bytes);
		n++;
	}
	return n;
}

/**
 * mbx_charge_fds() - charge descriptors in a message
 * @user: the sender
 * @n: how many
 * @privileged: as for mbx_is_exempt()
 *
 * The limit is that of unix(7): the number of descriptors that the process may have
 * open.
 *
 * Return: 0, or -ETOOMANYREFS.
 */
int mbx_charge_fds(struct mbx_user *user, unsigned int n, bool privileged)
{
	struct mbx_user *u, *last;

	for (u = user; u; u = u->parent) {
		unsigned int sum = atomic_add_return(n, &u->fds);

		last = u;
		if (sum > rlimit(RLIMIT_NOFILE) && !mbx_is_exempt(privileged))
			goto err_undo;
	}
	return 0;

err_undo:
	for (u = user; u != last->parent; u = u->parent)
		atomic_sub(n, &u->fds);
	undone(user);
	return -ETOOMANYREFS;
}

void mbx_uncharge_fds(struct mbx_user *user, unsigned int n)
{
	for (;;) {
		atomic_sub(n, &user->fds);
		if (!user->parent)
			break;
		user = user->parent;
	}
	mbx_user_freed(user);
}

/* ---- stakes -------------------------------------------------------------- */

static struct mbx_stake *lookup_stake(struct mbx_user *user, kuid_t owner,
				      struct rb_node ***where,
				      struct rb_node **parent)
{
	struct rb_node **link = &user->stakes.rb_node;
	struct mbx_stake *stake;

	lockdep_assert_held(&users_lock);
	*parent = NULL;
	while (*link) {
		stake = rb_entry(*link, struct mbx_stake, node);
		if (uid_eq(owner, stake->owner))
			return stake;
		*parent = *link;
		link = uid_lt(owner, stake->owner) ? &(*link)->rb_left : &(*link)->rb_right;
	}
	*where = link;
	return NULL;
}

/**
 * mbx_stake_get() - find or make a stake
 * @user: the account of a sender, as the user namespace of a mailbox sees it
 * @owner: the owner of the mailbox
 *
 * Context: Process context, may sleep.
 * Return: the stake with a reference; NULL, if that user is the owner; or -ENOMEM.
 */
struct mbx_stake *mbx_stake_get(struct mbx_user *user, kuid_t owner)
{
	struct rb_node **link, *parent;
	struct mbx_stake *stake, *new;

	if (uid_eq(user->uid, owner))
		return NULL;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return ERR_PTR(-ENOMEM);
	spin_lock(&users_lock);
	stake = lookup_stake(user, owner, &link, &parent);
	if (!stake) {
		stake = new;
		stake->user = user;
		stake->owner = owner;
		user->refs++;
		rb_link_node(&stake->node, parent, link);
		rb_insert_color(&stake->node, &user->stakes);
	}
	stake->refs++;
	spin_unlock(&users_lock);
	if (stake != new)
		kfree(new);
	return stake;
}

/**
 * mbx_stake_put() - drop a reference
 * @stake: the stake
 *
 * Context: Any but interrupts.
 */
void mbx_stake_put(struct mbx_stake *stake)
{
	bool last;

	spin_lock(&users_lock);
	last = --stake->refs == 0;
	if (last)
		rb_erase(&stake->node, &stake->user->stakes);
	spin_unlock(&users_lock);
	if (!last)
		return;
	mbx_user_put(stake->user);
	kfree(stake);
}

/*
 * By how much @mine exceeds half of what the rest of @all leaves of @limit. Both @mine
 * and @all include the charge in question.
 */
static unsigned long beyond_half(unsigned long mine, unsigned long all,
				 unsigned long limit)
{
	unsigned long rest = all > mine ? all - mine : 0;
	unsigned long left = limit > rest ? limit - rest : 0;

	left -= left / 2;
	return mine > left ? mine - left : 0;
}

/**
 * mbx_charge_stake() - charge memory of a message to another user
 * @stake: the stake of the sender
 * @user: the account of the sender
 * @cost: bytes that are allocated
 * @privileged: as for mbx_is_exempt()
 *
 * The limit of a stake does not apply to its first message.
 *
 * Return: 0, or -ENOBUFS: the stake is as large as it may be, or -EDQUOT.
 */
int mbx_charge_stake(struct mbx_stake *stake, struct mbx_user *user,
		     unsigned long cost, bool privileged)
{
	unsigned long mine = atomic_long_add_return(cost, &stake->bytes);
	unsigned long all = atomic_long_read(&stake->user->bytes) + cost;
	int ret = -ENOBUFS;

	if (mine == cost ||
	    !beyond_half(mine, all, READ_ONCE(mbx_user_bytes)) ||
	    mbx_is_exempt(privileged))
		ret = mbx_charge_bytes(user, cost, privileged);
	if (ret) {
		atomic_long_sub(cost, &stake->bytes);
		undone(user);
	}
	return ret;
}

/* The caller calls mbx_uncharge_bytes() afterwards, which tells the wants. */
void mbx_uncharge_stake(struct mbx_stake *stake, unsigned long cost)
{
	atomic_long_sub(cost, &stake->bytes);
}

/**
 * mbx_charge_stake_fds() - charge descriptors of a message to another user
 * @stake: the stake of the sender, whose account was charged before
 * @n: how many
 * @privileged: as for mbx_is_exempt()
 *
 * Return: 0, or -ENOBUFS.
 */
int mbx_charge_stake_fds(struct mbx_stake *stake, unsigned int n, bool privileged)
{
	unsigned int mine = atomic_add_return(n, &stake->fds);
	unsigned int all = atomic_read(&stake->user->fds);

	if (mine == n || !beyond_half(mine, all, rlimit(RLIMIT_NOFILE)) ||
	    mbx_is_exempt(privileged))
		return 0;
	atomic_sub(n, &stake->fds);
	undone(stake->user);
	return -ENOBUFS;
}

/* The caller calls mbx_uncharge_fds() afterwards, which tells the wants. */
void mbx_uncharge_stake_fds(struct mbx_stake *stake, unsigned int n)
{
	atomic_sub(n, &stake->fds);
}

/**
 * mbx_lacking() - how much memory must be freed before a message can be charged
 * @stake: the stake of the sender, or NULL
 * @user: the account of the sender, or NULL: its limit is not checked
 * @cost: memory of the message
 */
unsigned long mbx_lacking(const struct mbx_stake *stake,
			  const struct mbx_user *user, unsigned long cost)
{
	unsigned long limit = READ_ONCE(mbx_user_bytes), lacking = 0, sum;

	if (stake && atomic_long_read(&stake->bytes))
		lacking = beyond_half(atomic_long_read(&stake->bytes) + cost,
				      atomic_long_read(&stake->user->bytes) + cost,
				      limit);
	for (; user; user = user->parent) {
		sum = atomic_long_read(&user->bytes) + cost;
		if (sum > limit)
			lacking = max(lacking, sum - limit);
	}
	return lacking;
}

/**
 * mbx_lacking_fds() - how many descriptors must be closed before others can be charged
 * @stake: the stake of the sender
 * @n: how many others
 */
unsigned int mbx_lacking_fds(const struct mbx_stake *stake, unsigned int n)
{
	unsigned int mine = atomic_read(&stake->fds);

	if (!mine)
		return 0;
	return beyond_half(mine + n, atomic_read(&stake->user->fds) + n,
			   rlimit(RLIMIT_NOFILE));
}

/**
 * mbx_excess() - mbx_lacking() for a message that is charged already
 * @stake: the stake of the sender, or NULL
 * @user: the account of the sender
 * @cost: what the message added to the stake at most
 */
unsigned long mbx_excess(const struct mbx_stake *stake,
			 const struct mbx_user *user, unsigned long cost)
{
	unsigned long limit = READ_ONCE(mbx_user_bytes), excess = 0, sum;

	if (stake) {
		sum = atomic_long_read(&stake->bytes);
		if (sum > cost)
			excess = beyond_half(sum, atomic_long_read(&stake->user->bytes),
					     limit);
	}
	for (; user; user = user->parent) {
		sum = atomic_long_read(&user->bytes);
		if (sum > limit)
			excess = max(excess, sum - limit);
	}
	return excess;
}

/**
 * mbx_excess_fds() - mbx_lacking_fds() for descriptors that are charged already
 * @stake: the stake of the sender
 * @n: how many
 */
unsigned int mbx_excess_fds(const struct mbx_stake *stake, unsigned int n)
{
	unsigned int mine = atomic_read(&stake->fds);

	if (mine <= n)
		return 0;
	return beyond_half(mine, atomic_read(&stake->user->fds),
			   rlimit(RLIMIT_NOFILE));
}

/**
 * mbx_stage() - count memory of a message that is charged once it has been made
 * @user: the account of the sender
 * @cost: bytes that are to be allocated
 * @privileged: as for mbx_is_exempt()
 *
 * Copying a message can take as long as a process wants. If the message was charged
 * meanwhile, other calls would find no room. So a user may take as much again as its
 * limit for messages that are being made.
 *
 * Return: 0, or -EDQUOT.
 */
int mbx_stage(struct mbx_user *user, unsigned long cost, bool privileged)
{
	user = mbx_user_top(user);
	if (atomic_long_add_return(cost, &user->staged) <= READ_ONCE(mbx_user_bytes) ||
	    mbx_is_exempt(privileged))
		return 0;
	atomic_long_sub(cost, &user->staged);
	return -EDQUOT;
}

void mbx_unstage(struct mbx_user *user, unsigned long cost)
{
	atomic_long_sub(cost, &mbx_user_top(user)->staged);
}

/* ---- waiting for room under a limit --------------------------------------- */

/*
 * A want (a handle or a call without room) is in the list of the user at the top of
 * the chain, which all charges below reach. When something is freed, wants leave the
 * list and are told one by one, up to and including the first call. That call checks
 * for room. Whether it finds room or not, it then has the next wants told that have
 * not checked since. A poller may never check, so it is not relied on to tell others.
 * In this way all wants get to check, and a thread that frees something wakes at most
 * one call.
 *
 * A call that found no room need not have those told that need at least as much in the
 * same stake. They count as having checked when it did.
 */

/* How many wants are passed over in one hold of the lock. */
#define PASS_AT_ONCE 32

static void unlist(struct mbx_user *user, struct mbx_want *want)
{
	lockdep_assert_held(&user->lock);
	list_del_init(&want->node);
	/* Pairs with the READ_ONCE() in mbx_user_freed(). */
	WRITE_ONCE(user->wanted, !list_empty(&user->wants));
}

/* The first want, if it has not checked for room since @freed; otherwise NULL. */
static struct mbx_want *first_want(struct mbx_user *user, unsigned long freed)
{
	struct mbx_want *want;

	lockdep_assert_held(&user->lock);
	want = list_first_entry_or_null(&user->wants, struct mbx_want, node);
	/* The list has the order in which the wants checked for room. */
	return want && time_before(want->seen, freed) ? want : NULL;
}

/*
 * Whether a want has no room, because @refused had none. Nothing was freed since, or
 * @refused would not be in the list behind it.
 */
static bool is_refused_too(const struct mbx_want *want, const struct mbx_want *refused)
{
	return want->task && want->need.stake == refused->need.stake &&
	       want->need.bytes >= refused->need.bytes + refused->need.own &&
	       want->need.fds >= refused->need.fds;
}

/*
 * Pass over wants that need not be told after @refused, a call that found no room.
 * Return false if there may be more of them.
 */
static bool pass_over(struct mbx_user *user, unsigned long freed,
		      struct mbx_want *refused)
{
	struct mbx_want *want;
	unsigned int n;

	lockdep_assert_held(&user->lock);
	/* It was told again, or something was freed after it checked. */
	if (!refused || list_empty(&refused->node) || time_before(refused->seen, freed))
		return true;
	for (n = 0; n < PASS_AT_ONCE; n++) {
		want = first_want(user, freed);
		if (!want || !is_refused_too(want, refused))
			return true;
		want->seen = refused->seen;
		list_move(&want->node, &refused->node);
	}
	return false;
}

/*
 * Tell the first want that has not checked for room since @freed. Return whether there
 * is more to do: it was a poller, and then the next want is to be told too. Waking all
 * pollers of a handle can take long, so no lock is held meanwhile: RCU keeps the queue
 * of the handle. @refused: NULL, or the want of this call, which found no room.
 */
static bool tell_first(struct mbx_user *user, unsigned long freed,
		       struct mbx_want *refused)
{
	struct task_struct *task;
	wait_queue_head_t *queue;
	struct mbx_want *want;
	bool passed;

	spin_lock(&user->lock);
	passed = pass_over(user, freed, refused);
	want = passed ? first_want(user, freed) : NULL;
	if (!want) {
		spin_unlock(&user->lock);
		return !passed;
	}
	unlist(user, want);
	queue = want->queue;
	task = want->task;
	if (task)
		get_task_struct(task);
	rcu_read_lock();
	spin_unlock(&user->lock);
	if (task)
		wake_up_process(task);
	else
		__wake_up(queue, TASK_NORMAL, 0,
			  poll_to_key(EPOLLOUT | EPOLLWRNORM));
	rcu_read_unlock();
	if (task)
		put_task_struct(task);
	return !task;
}

/* Tell pollers, up to and including the first call. */
static void tell_wants(struct mbx_user *user, unsigned long freed,
		       struct mbx_want *refused)
{
	while (tell_first(user, freed, refused))
		cond_resched();
}

/* Slow path of mbx_user_freed(): there are wants. */
void mbx_wake_wants(struct mbx_user *user)
{
	unsigned long freed;

	spin_lock(&user->lock);
	freed = ++user->freed;
	spin_unlock(&user->lock);
	tell_wants(user, freed, NULL);
}

/**
 * mbx_want_init() - initialize a want
 * @want: the want
 * @queue: for a handle: the wait queue to wake if @task is NULL
 * @task: for a call: the current task, which is to be woken; otherwise NULL
 */
void mbx_want_init(struct mbx_want *want, wait_queue_head_t *queue,
		   struct task_struct *task)
{
	INIT_LIST_HEAD(&want->node);
	want->user = NULL;
	want->queue = queue;
	want->task = task;
	want->need = (struct mbx_need){};
}

/* @need: of a call; otherwise NULL. Return a reference to the former user, or NULL. */
static struct mbx_user *want_room(struct mbx_want *want, struct mbx_user *user,
				  const struct mbx_need *need)
{
	struct mbx_user *former = NULL;

	user = mbx_user_top(user);
	if (want->user != user) {
		former = want->user;
		if (former) {
			spin_lock(&former->lock);
			unlist(former, want);
			spin_unlock(&former->lock);
		}
		spin_lock(&users_lock);
		user->refs++;
		spin_unlock(&users_lock);
		want->user = user;
	}
	spin_lock(&user->lock);
	want->seen = user->freed;
	if (need)
		want->need = *need;
	list_move_tail(&want->node, &user->wants);
	WRITE_ONCE(user->wanted, true);
	spin_unlock(&user->lock);
	/* Pairs with the barrier in mbx_user_freed(). */
	smp_mb();
	return former;
}

/**
 * mbx_want_room() - have the want of a handle told when something is freed
 * @want: the want; the caller checks for room after this
 * @user: the user without room; the caller has a reference
 *
 * Return: the user of whom the handle wanted room before, or NULL. The caller drops
 * this reference without locks.
 */
struct mbx_user *mbx_want_room(struct mbx_want *want, struct mbx_user *user)
{
	return want_room(want, user, NULL);
}

/**
 * mbx_want_need() - mbx_want_room() for the want of a call
 * @want: the want; the caller checks for room after this
 * @user: the user without room, always the same; the caller has a reference
 * @need: what the call needs
 */
void mbx_want_need(struct mbx_want *want, struct mbx_user *user,
		   const struct mbx_need *need)
{
	want_room(want, user, need);
}

/* A call has checked for room: tell the next wants. */
static void tell_on(struct mbx_user *user, struct mbx_want *refused)
{
	unsigned long freed;

	spin_lock(&user->lock);
	freed = user->freed;
	spin_unlock(&user->lock);
	tell_wants(user, freed, refused);
}

/**
 * mbx_want_on() - tell the next wants after a call found no room
 * @want: the want of the call, after mbx_want_need()
 *
 * Context: Process context, without locks.
 */
void mbx_want_on(struct mbx_want *want)
{
	tell_on(want->user, want);
}

/**
 * mbx_want_cancel() - end a want; if it is the want of a call, tell the next wants
 * @want: the want; may be unused
 *
 * Context: Any but interrupts; for the want of a call, without locks.
 */
void mbx_want_cancel(struct mbx_want *want)
{
	struct mbx_user *user = want->user;

	if (!user)
		return;
	spin_lock(&user->lock);
	unlist(user, want);
	spin_unlock(&user->lock);
	if (want->task)
		tell_on(user, NULL);
	want->user = NULL;
	mbx_user_put(user);
}

/* The next user after @user, or the first one, with a reference; or NULL. */
static struct mbx_user *next_user(const struct mbx_user *user)
{
	struct mbx_user *next;
	struct rb_node *node;

	spin_lock(&users_lock);
	node = user ? rb_next(&user->node) : rb_first(&users);
	next = rb_entry_safe(node, struct mbx_user, node);
	if (next)
		next->refs++;
	spin_unlock(&users_lock);
	return next;
}

/* The limit was changed: there may be room now for those that wait. */
static int set_user_bytes(const char *val, const struct kernel_param *kp)
{
	struct mbx_user *user = NULL, *next;
	int ret = param_set_ulong(val, kp);

	if (ret)
		return ret;
	/* Pairs with the barrier in want_room(). */
	smp_mb();
	while ((next = next_user(user))) {
		if (user)
			mbx_user_put(user);
		user = next;
		mbx_user_freed(user);
		cond_resched();
	}
	if (user)
		mbx_user_put(user);
	return 0;
}
