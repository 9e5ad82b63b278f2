// SPDX-License-Identifier: GPL-2.0-only
/*
 * MBOX_INHERIT: a server has its caller's priority until it has replied.
 *
 * A thread that owes replies to callers of real-time priority is a debtor. While
 * the highest of these priorities is above its own, it has that one. What it had
 * before is noted when the first is lent, and comes back with the last.
 *
 * ticket.debtor says who owes the reply, under mailbox.lock. The scheduler cannot
 * be asked under a spinlock, so ticket.lent_to follows it later:
 * mbox_inherit_update() looks at what is true by then, and makes it so. It is
 * called after every change, in any order and by several at once, and the last
 * of them is right.
 *
 * inherit_lock protects what is in debtors, and ticket.lent_to. It is an rt_mutex
 * because it is taken by threads of all priorities: the one who holds it has that
 * of the most urgent one who waits. unlock_debtors() knows what that does to one
 * who takes back what it was lent itself.
 *
 * Who sets ticket.debtor to a debtor has a reference, and keeps it until it has
 * updated. So the debtor that an update finds there exists: its thread has
 * updated, and the reference is ticket.lent_to's; or it has not, and cannot before
 * inherit_lock is free.
 */
#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/rtmutex.h>
#include <linux/sched.h>
#include <linux/sched/prio.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <uapi/linux/sched/types.h>

#include "compat.h"
#include "inherit.h"
#include "trace.h"

/**
 * struct scheduling - what the scheduler knows of a thread
 * @timer_slack_ns: as the others, this is what task_struct has
 * @policy: likewise
 * @prio: real-time priority, or 0
 * @static_prio: likewise
 * @reset_on_fork: likewise
 * @ending: the thread needs nothing any more, and takes what it has to its end
 */
struct scheduling {
	u64 timer_slack_ns;
	unsigned int policy;
	unsigned int prio;
	int static_prio;
	bool reset_on_fork;
	bool ending;
};

/**
 * struct mbox_debtor - a thread that receives, or owes a reply
 * @node: in debtors, by @task
 * @task: the thread, one reference
 * @refs: calls of the thread, and tickets
 * @busy: the thread is about to look at it again, and is not lowered until then
 * @lent: the real-time priority that it was given, or 0
 * @rest_prio: task_struct.prio that it will have when it is not @busy any more
 * @epoch: counts how often its debts were forgotten
 * @own: what it had before
 * @levels: the priorities at which it owes something
 * @owed: how many replies, by priority
 *
 * All under inherit_lock; mbox_debtor_prio() looks at @lent and @rest_prio
 * without it.
 */
struct mbox_debtor {
	struct hlist_node node;
	struct task_struct *task;
	unsigned int refs;
	bool busy;
	unsigned int lent;
	int rest_prio;
	unsigned int epoch;
	struct scheduling own;
	DECLARE_BITMAP(levels, MAX_RT_PRIO);
	u32 owed[MAX_RT_PRIO];
};

static DEFINE_HASHTABLE(debtors, 8);
static DEFINE_RT_MUTEX(inherit_lock);

static bool is_realtime(unsigned int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/**
 * mbox_inherit_prio() - what the current task lends when it calls
 *
 * That is what it has at this moment, lent to itself or not. A deadline is above
 * all of these, and cannot be lent: the highest of them stands for it.
 *
 * Return: a real-time priority, or 0.
 */
unsigned int mbox_inherit_prio(void)
{
	/* Others may be changing it: what is seen counts. */
	int prio = data_race(current->prio);

	return prio < MAX_RT_PRIO ? MAX_RT_PRIO - 1 - max(prio, 0) : 0;
}

/* ---- what the scheduler knows -------------------------------------------- */

static void get_scheduling(struct task_struct *task, struct scheduling *sched)
{
	/* Who changes it in this very moment may find it undone. */
	data_race(({
		sched->timer_slack_ns = task->timer_slack_ns;
		sched->policy = task->policy;
		sched->prio = task->rt_priority;
		sched->static_prio = task->static_prio;
		sched->reset_on_fork = task->sched_reset_on_fork;
		sched->ending = task->flags & PF_EXITING;
		0;
	}));
}

static int set_scheduling(struct task_struct *task, unsigned int policy,
			  unsigned int prio, bool reset_on_fork)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = policy,
		.sched_flags = reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0,
		.sched_priority = prio,
	};

	if (!is_realtime(policy)) {
		/* Others may change these at any time: they stay as they are. */
		attr.sched_nice = data_race(task_nice(task));
		attr.sched_runtime = mbox_custom_slice(task);
	}
	return sched_setattr_nocheck(task, &attr);
}

/* Note what a thread has of its own. */
static void note_own(struct mbox_debtor *debtor)
{
	struct scheduling *own = &debtor->own;

	lockdep_assert_held(&inherit_lock);
	get_scheduling(debtor->task, own);
	/* There is nothing above a deadline. */
	if (own->policy == SCHED_DEADLINE || own->ending)
		own->prio = MAX_RT_PRIO;
}

/* CAP_SYS_NICE. What the kernel has to ask this of another task is not exported. */
static bool is_privileged(struct task_struct *task)
{
	const struct cred *cred;
	bool ret;

	rcu_read_lock();
	cred = __task_cred(task);
	ret = cred->user_ns == &init_user_ns &&
	      cap_raised(cred->cap_effective, CAP_SYS_NICE);
	rcu_read_unlock();
	return ret;
}

/*
 * Whether a thread still has what it was lent. Others may have changed that
 * meanwhile, and then it is left as they want it. The thread may have, too, and
 * without privilege: to less than it was lent, with "reset on fork", which takes
 * a privilege to clear. Unless it may have this anyway, it was lent that.
 */
static bool has_loan(const struct mbox_debtor *debtor)
{
	struct task_struct *task = debtor->task;
	struct scheduling now;

	lockdep_assert_held(&inherit_lock);
	get_scheduling(task, &now);
	if (now.ending || !is_realtime(now.policy) || !now.reset_on_fork ||
	    now.prio > debtor->lent)
		return false;
	if (now.prio == debtor->lent)
		return true;
	return now.prio > debtor->own.prio &&
	       now.prio > task_rlimit(task, RLIMIT_RTPRIO) &&
	       !is_privileged(task);
}

/* What is owed so far does not count any more. */
static void forget_debts(struct mbox_debtor *debtor)
{
	lockdep_assert_held(&inherit_lock);
	WRITE_ONCE(debtor->lent, 0);
	debtor->epoch++;
	bitmap_zero(debtor->levels, MAX_RT_PRIO);
	memset(debtor->owed, 0, sizeof(debtor->owed));
}

static void take_back(struct mbox_debtor *debtor)
{
	const struct scheduling *own = &debtor->own;
	struct task_struct *task = debtor->task;

	lockdep_assert_held(&inherit_lock);
	/* A policy can be forbidden by now (SCHED_EXT). */
	if (set_scheduling(task, own->policy, own->prio, own->reset_on_fork))
		sched_set_normal(task, PRIO_TO_NICE(own->static_prio));
	if (is_realtime(own->policy))
		return;
	/* Real-time threads have none, and get the default afterwards. */
	task_lock(task);
	if (READ_ONCE(task->timer_slack_ns) == task->default_timer_slack_ns)
		WRITE_ONCE(task->timer_slack_ns, own->timer_slack_ns);
	task_unlock(task);
}

/* What a thread has that was lent no more than this, as task_struct.prio. */
static int prio_with(const struct mbox_debtor *debtor, unsigned int due)
{
	unsigned int prio = due ?: debtor->own.prio;

	return prio ? MAX_RT_PRIO - 1 - (int)prio : debtor->own.static_prio;
}

/* Give a thread what it is to have now. */
static void apply(struct mbox_debtor *debtor)
{
	unsigned int due = find_last_bit(debtor->levels, MAX_RT_PRIO);
	unsigned int policy;

	lockdep_assert_held(&inherit_lock);
	if (debtor->lent && !has_loan(debtor)) {
		forget_debts(debtor);
		return;
	}
	if (!debtor->lent)
		note_own(debtor);
	if (due == MAX_RT_PRIO || due <= debtor->own.prio)
		due = 0;
	WRITE_ONCE(debtor->rest_prio, prio_with(debtor, due));
	if (due == debtor->lent || (due < debtor->lent && debtor->busy))
		return;

	if (!due) {
		take_back(debtor);
	} else {
		policy = debtor->own.policy;
		if (!is_realtime(policy))
			policy = SCHED_FIFO;
		/* Children do not owe anything. */
		if (set_scheduling(debtor->task, policy, due, true))
			return;
	}
	WRITE_ONCE(debtor->lent, due);
	trace_mbox_inherit(task_pid_nr(debtor->task), due);
}

/* ---- debts --------------------------------------------------------------- */

#ifdef CONFIG_UCLAMP_TASK
/*
 * Whose policy is changed gets the default of the least utilization to be assumed.
 * For real-time tasks it is the highest there is, and that is decided by the
 * priority at this moment: one who held inherit_lock while somebody urgent waited
 * for it has kept that default. Ask for another one now, and change nothing else.
 */
static void reset_util_min(void)
{
	struct uclamp_se *util_min = &current->uclamp_req[UCLAMP_MIN];
	struct sched_attr attr = {
		.size = sizeof(attr),
		/* As it is; should it be real-time by now, this fails. */
		.sched_policy = -1,
		.sched_flags = SCHED_FLAG_KEEP_PARAMS | SCHED_FLAG_UTIL_CLAMP_MIN,
		.sched_util_min = -1,
	};

	/* Who changes it in this very moment may find it undone. */
	if (likely(data_race(is_realtime(current->policy) || !util_min->value ||
			     util_min->user_defined)))
		return;
	sched_setattr_nocheck(current, &attr);
}
#else
static void reset_util_min(void)
{
}
#endif

static void unlock_debtors(void)
{
	rt_mutex_unlock(&inherit_lock);
	reset_util_min();
}

static void put_debtor(struct mbox_debtor *debtor)
{
	lockdep_assert_held(&inherit_lock);
	if (--debtor->refs)
		return;
	WARN_ON_ONCE(debtor->lent);
	hash_del(&debtor->node);
	put_task_struct(debtor->task);
	kfree(debtor);
}

static void add_debt(struct mbox_debtor *debtor, struct mbox_ticket *ticket)
{
	lockdep_assert_held(&inherit_lock);
	/* What others have changed does not stand against new debts. */
	if (debtor->lent && !has_loan(debtor))
		forget_debts(debtor);
	debtor->refs++;
	ticket->lent_to = debtor;
	ticket->epoch = debtor->epoch;
	debtor->owed[ticket->prio]++;
	__set_bit(ticket->prio, debtor->levels);
	/* It has come back from its sleep. */
	if (debtor->task == current)
		debtor->busy = true;
	apply(debtor);
}

static void remove_debt(struct mbox_debtor *debtor, struct mbox_ticket *ticket)
{
	lockdep_assert_held(&inherit_lock);
	if (ticket->epoch == debtor->epoch && !--debtor->owed[ticket->prio])
		__clear_bit(ticket->prio, debtor->levels);
	apply(debtor);
	put_debtor(debtor);
}

/* mbox_inherit_update() for a request whose caller has something to lend. */
void __mbox_inherit_update(struct mailbox *mb, struct mbox_ticket *ticket)
{
	struct mbox_debtor *debtor, *old;

	rt_mutex_lock(&inherit_lock);
	spin_lock(&mb->lock);
	debtor = ticket->debtor;
	spin_unlock(&mb->lock);

	old = ticket->lent_to;
	if (debtor != old) {
		ticket->lent_to = NULL;
		/* First, because the old one may be the current task. */
		if (debtor)
			add_debt(debtor, ticket);
		if (old)
			remove_debt(old, ticket);
	}
	unlock_debtors();
}

/* ---- threads that receive ------------------------------------------------ */

static struct mbox_debtor *find_debtor(struct task_struct *task)
{
	struct mbox_debtor *debtor;

	lockdep_assert_held(&inherit_lock);
	hash_for_each_possible(debtors, debtor, node, (unsigned long)task)
		if (debtor->task == task)
			return debtor;
	return NULL;
}

/**
 * mbox_debtor_get() - the current task begins to receive, or to reply and receive
 *
 * What it has been lent it keeps until mbox_debtor_rest() or mbox_debtor_put():
 * were it taken away with the reply, the thread might not come to receive the next
 * request, and then nobody would lend it anything.
 *
 * Context: Process context, may sleep.
 * Return: the task's record with a reference, or -ENOMEM.
 */
struct mbox_debtor *mbox_debtor_get(void)
{
	struct mbox_debtor *debtor;

	rt_mutex_lock(&inherit_lock);
	debtor = find_debtor(current);
	if (!debtor) {
		/* Nobody else makes the current task's. */
		rt_mutex_unlock(&inherit_lock);
		debtor = kzalloc(sizeof(*debtor), GFP_KERNEL_ACCOUNT);
		if (!debtor)
			return ERR_PTR(-ENOMEM);
		debtor->task = get_task_struct(current);
		rt_mutex_lock(&inherit_lock);
		hash_add(debtors, &debtor->node, (unsigned long)current);
	}
	debtor->refs++;
	debtor->busy = true;
	rt_mutex_unlock(&inherit_lock);
	return debtor;
}

/**
 * mbox_debtor_prio() - the scheduling priority that the current task waits with
 * @debtor: its record
 *
 * It has what it was lent until mbox_debtor_rest(), and is not to come before
 * other receivers because of that.
 *
 * Return: as task_struct.prio.
 */
int mbox_debtor_prio(const struct mbox_debtor *debtor)
{
	if (READ_ONCE(debtor->lent))
		return READ_ONCE(debtor->rest_prio);
	/* Others may be changing it: what is seen counts. */
	return data_race(current->prio);
}

/**
 * mbox_debtor_rest() - the current task is going to wait for a message
 * @debtor: its record; it is among the receivers, so it can be lent to
 */
void mbox_debtor_rest(struct mbox_debtor *debtor)
{
	rt_mutex_lock(&inherit_lock);
	debtor->busy = false;
	apply(debtor);
	unlock_debtors();
}

/**
 * mbox_debtor_put() - the current task has received
 * @debtor: its record, whose reference is given back
 */
void mbox_debtor_put(struct mbox_debtor *debtor)
{
	rt_mutex_lock(&inherit_lock);
	debtor->busy = false;
	apply(debtor);
	put_debtor(debtor);
	unlock_debtors();
}
