// SPDX-License-Identifier: GPL-2.0-only
/*
 * MBOX_INHERIT: a server has its caller's priority until it has replied.
 *
 * A thread with pending replies to callers of real-time priority is boosted to the
 * highest of these priorities while this is above its own. What the thread had before
 * is saved when it is boosted, and restored when it is deboosted.
 *
 * transaction.pi_task is the thread with the pending reply, under mailbox.lock. The
 * scheduler cannot be called under a spinlock, so transaction.boosted_task follows
 * later: mbx_inherit_update() reads transaction.pi_task and boosts and deboosts
 * threads to match. It is called after every change. Several threads can call it at
 * once and in any order; the last call leaves the right state.
 *
 * inherit_lock protects the tree of mbx_pi_tasks, what they contain, and
 * transaction.boosted_task. It is an rt_mutex because threads of all priorities take
 * it: its holder has the priority of its most urgent waiter. See reset_util_min() for
 * what this does to a thread that deboosts itself.
 *
 * Code that sets transaction.pi_task must hold a reference on it until it has called
 * mbx_inherit_update(). So an update can use the mbx_pi_task that it reads. Either the
 * code that set it has updated, and transaction.boosted_task has a reference. Or it
 * has not, and cannot drop its reference before inherit_lock is free.
 *
 * States of a transaction, as (pi_task, boosted_task), with threads S and T that receive
 * its request. "update" is mbx_inherit_update(); the other changes are those of pi_task:
 *
 *              S takes the request         update: add_pending()
 *     (-, -) ----------------------> (S, -) ------------------> (S, S)
 *      ^  ^                             |                         |
 *      |  '-----------------------------'                         |
 *      |     the call ends, or S puts the request back            |
 *      |                                                          v
 *      '------------------------------------------------------ (-, S)
 *                  update: remove_pending()                       |
 *                                                                 | T takes the request
 *                                                                 v
 *     (T, T) <------------------------------------------------ (T, S)
 *          update: add_pending() for T, remove_pending() for S
 *
 * If T is S, its last step leads back to (S, S), and no update is needed.
 *
 * States of a thread, by mbx_pi_task.boost. "due" is the highest priority at which a
 * reply is pending, or 0 if it is not above the thread's own; apply() compares it:
 *
 *                   due > 0: boost to due
 *        boost = 0 ----------------------> boost > 0 ---.  due > boost, or
 *          ^  ^                              |  |   ^   |  0 < due < boost and not busy:
 *          |  '------------------------------'  |   '---'  boost to due
 *          |     due = 0, not busy: deboost()   |
 *          |                                    |
 *          '------------------------------------'
 *             not has_boost(): forget_pending()
 *
 * A thread is busy from mbx_pi_task_get(), or from the receipt of a request, until
 * mbx_pi_task_rest() or mbx_pi_task_put(). forget_pending() also starts a new epoch, in
 * which the transactions of the old one do not count.
 */
#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/rbtree.h>
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
 * struct scheduling - scheduling attributes of a thread, copied from task_struct
 * @timer_slack_ns: task_struct.timer_slack_ns
 * @policy: task_struct.policy
 * @prio: task_struct.rt_priority: the real-time priority, or 0
 * @static_prio: task_struct.static_prio
 * @reset_on_fork: task_struct.sched_reset_on_fork
 * @ending: the thread is exiting, and its attributes are left as they are
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
 * struct mbx_pi_task - a thread that receives, or has pending replies
 * @node: in pi_tasks, by @task
 * @task: the thread, one reference
 * @refs: calls of the thread, and transactions
 * @busy: the thread will soon call apply() itself, and is not deboosted until then
 * @boost: the real-time priority that the thread is boosted to, or 0
 * @rest_prio: the task_struct.prio that it will have when it is no longer @busy
 * @epoch: how often its pending replies were forgotten
 * @own: the attributes of the thread without the boost
 * @levels: the priorities at which replies are pending
 * @pending: number of pending replies, by priority
 *
 * All under inherit_lock; mbx_pi_task_prio() reads @boost and @rest_prio without it.
 */
struct mbx_pi_task {
	struct rb_node node;
	struct task_struct *task;
	unsigned int refs;
	bool busy;
	unsigned int boost;
	int rest_prio;
	unsigned int epoch;
	struct scheduling own;
	DECLARE_BITMAP(levels, MAX_RT_PRIO);
	u32 pending[MAX_RT_PRIO];
};

/* A tree, since users can have one entry for each of their threads. */
static struct rb_root pi_tasks = RB_ROOT;
static DEFINE_RT_MUTEX(inherit_lock);

static bool is_realtime(unsigned int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/**
 * mbx_inherit_prio() - the priority to which a call of the current task boosts
 *
 * This is its present priority, boosted or not. A deadline task is above all real-time
 * priorities. Its deadline cannot be inherited, so it counts as the highest of them.
 *
 * Return: a real-time priority, or 0.
 */
unsigned int mbx_inherit_prio(void)
{
	/* Another thread may be changing it: either value will do. */
	int prio = data_race(current->prio);

	return prio < MAX_RT_PRIO ? MAX_RT_PRIO - 1 - max(prio, 0) : 0;
}

/* ---- scheduling attributes ----------------------------------------------- */

static void get_scheduling(struct task_struct *task, struct scheduling *sched)
{
	/* A change by another thread at this very moment can be undone. */
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
		/* Other threads can change these at any time: keep them. */
		attr.sched_nice = data_race(task_nice(task));
		attr.sched_runtime = mbx_custom_slice(task);
	}
	return sched_setattr_nocheck(task, &attr);
}

/* Save the attributes of a thread before it is boosted. */
static void note_own(struct mbx_pi_task *pi_task)
{
	struct scheduling *own = &pi_task->own;

	lockdep_assert_held(&inherit_lock);
	get_scheduling(pi_task->task, own);
	/* Nothing is above a deadline, and an exiting thread is not boosted. */
	if (own->policy == SCHED_DEADLINE || own->ending)
		own->prio = MAX_RT_PRIO;
}

/* CAP_SYS_NICE. The kernel does not export its own check of another task. */
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
 * Whether a thread still has its boost. If something else has changed its attributes
 * since, the module leaves them alone. The thread itself can lower its priority without
 * privilege, but cannot clear "reset on fork". If it could not have got that priority
 * without the boost, it still counts as boosted.
 */
static bool has_boost(const struct mbx_pi_task *pi_task)
{
	struct task_struct *task = pi_task->task;
	struct scheduling now;

	lockdep_assert_held(&inherit_lock);
	get_scheduling(task, &now);
	if (now.ending || !is_realtime(now.policy) || !now.reset_on_fork ||
	    now.prio > pi_task->boost)
		return false;
	if (now.prio == pi_task->boost)
		return true;
	return now.prio > pi_task->own.prio &&
	       now.prio > task_rlimit(task, RLIMIT_RTPRIO) &&
	       !is_privileged(task);
}

/* Forget the boost and all pending replies of a thread. */
static void forget_pending(struct mbx_pi_task *pi_task)
{
	lockdep_assert_held(&inherit_lock);
	WRITE_ONCE(pi_task->boost, 0);
	pi_task->epoch++;
	bitmap_zero(pi_task->levels, MAX_RT_PRIO);
	memset(pi_task->pending, 0, sizeof(pi_task->pending));
}

static void deboost(struct mbx_pi_task *pi_task)
{
	const struct scheduling *own = &pi_task->own;
	struct task_struct *task = pi_task->task;

	lockdep_assert_held(&inherit_lock);
	/* The kernel can refuse a policy that it allowed before (SCHED_EXT). */
	if (set_scheduling(task, own->policy, own->prio, own->reset_on_fork))
		sched_set_normal(task, PRIO_TO_NICE(own->static_prio));
	if (is_realtime(own->policy))
		return;
	/* Real-time threads have no timer slack, and get the default afterwards. */
	task_lock(task);
	if (READ_ONCE(task->timer_slack_ns) == task->default_timer_slack_ns)
		WRITE_ONCE(task->timer_slack_ns, own->timer_slack_ns);
	task_unlock(task);
}

/* The task_struct.prio of a thread that is boosted to @due, or not at all. */
static int prio_with(const struct mbx_pi_task *pi_task, unsigned int due)
{
	unsigned int prio = due ?: pi_task->own.prio;

	return prio ? MAX_RT_PRIO - 1 - (int)prio : pi_task->own.static_prio;
}

/* Boost or deboost a thread as its pending replies require. */
static void apply(struct mbx_pi_task *pi_task)
{
	unsigned int due = find_last_bit(pi_task->levels, MAX_RT_PRIO);
	unsigned int policy;

	lockdep_assert_held(&inherit_lock);
	if (pi_task->boost && !has_boost(pi_task)) {
		forget_pending(pi_task);
		return;
	}
	if (!pi_task->boost)
		note_own(pi_task);
	if (due == MAX_RT_PRIO || due <= pi_task->own.prio)
		due = 0;
	WRITE_ONCE(pi_task->rest_prio, prio_with(pi_task, due));
	if (due == pi_task->boost || (due < pi_task->boost && pi_task->busy))
		return;

	if (!due) {
		deboost(pi_task);
	} else {
		policy = pi_task->own.policy;
		if (!is_realtime(policy))
			policy = SCHED_FIFO;
		/* Children have no pending replies, so they get no boost. */
		if (set_scheduling(pi_task->task, policy, due, true))
			return;
	}
	WRITE_ONCE(pi_task->boost, due);
	trace_mbox_inherit(task_pid_nr(pi_task->task), due);
}

/* ---- pending replies ----------------------------------------------------- */

#ifdef CONFIG_UCLAMP_TASK
/*
 * When the policy of a task changes, the kernel gives the task the default of its
 * minimum utilization clamp. For real-time tasks this is the maximum. The kernel
 * decides by the present priority. If an urgent thread waits for inherit_lock, its
 * holder has a real-time priority while it deboosts itself, and keeps the default of
 * real-time tasks. Reset the clamp now, and change nothing else.
 */
static void reset_util_min(void)
{
	struct uclamp_se *util_min = &current->uclamp_req[UCLAMP_MIN];
	struct sched_attr attr = {
		.size = sizeof(attr),
		/* Keep the policy. If the task is real-time by now, the call fails. */
		.sched_policy = -1,
		.sched_flags = SCHED_FLAG_KEEP_PARAMS | SCHED_FLAG_UTIL_CLAMP_MIN,
		.sched_util_min = -1,
	};

	/* A change by another thread at this very moment can be undone. */
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

static void unlock_inherit(void)
{
	rt_mutex_unlock(&inherit_lock);
	reset_util_min();
}

static void put_pi_task(struct mbx_pi_task *pi_task)
{
	lockdep_assert_held(&inherit_lock);
	if (--pi_task->refs)
		return;
	WARN_ON_ONCE(pi_task->boost);
	rb_erase(&pi_task->node, &pi_tasks);
	put_task_struct(pi_task->task);
	kfree(pi_task);
}

/**
 * struct pending - what a transaction added to a mbx_pi_task
 * @pi_task: the thread that was boosted, or NULL
 * @prio: the priority that it was boosted to; 0: none
 * @epoch: mbx_pi_task.epoch then
 */
struct pending {
	struct mbx_pi_task *pi_task;
	unsigned int prio;
	unsigned int epoch;
};

static void add_pending(struct mbx_pi_task *pi_task, struct mbx_transaction *txn,
			unsigned int prio)
{
	lockdep_assert_held(&inherit_lock);
	/* If the boost was changed from outside, start again with this reply alone. */
	if (pi_task->boost && !has_boost(pi_task))
		forget_pending(pi_task);
	pi_task->refs++;
	txn->boosted_task = pi_task;
	txn->boosted_prio = prio;
	txn->epoch = pi_task->epoch;
	pi_task->pending[prio]++;
	__set_bit(prio, pi_task->levels);
	/* The thread has returned from its sleep. */
	if (pi_task->task == current)
		pi_task->busy = true;
	apply(pi_task);
}

static void remove_pending(const struct pending *old)
{
	struct mbx_pi_task *pi_task = old->pi_task;

	lockdep_assert_held(&inherit_lock);
	if (old->epoch == pi_task->epoch && !--pi_task->pending[old->prio])
		__clear_bit(old->prio, pi_task->levels);
	apply(pi_task);
	put_pi_task(pi_task);
}

/* mbx_inherit_update() for a request whose server may be boosted. */
void __mbx_inherit_update(struct mailbox *mb, struct mbx_transaction *txn)
{
	struct mbx_pi_task *pi_task;
	struct pending old;
	unsigned int prio;

	rt_mutex_lock(&inherit_lock);
	spin_lock(&mb->lock);
	pi_task = txn->pi_task;
	prio = txn->prio;
	spin_unlock(&mb->lock);

	old = (struct pending){
		.pi_task = txn->boosted_task,
		.prio = txn->boosted_prio,
		.epoch = txn->epoch,
	};
	if (pi_task != old.pi_task || (pi_task && prio != old.prio)) {
		txn->boosted_task = NULL;
		/* Boost first: removing the old one may deboost the current task. */
		if (pi_task)
			add_pending(pi_task, txn, prio);
		if (old.pi_task)
			remove_pending(&old);
	}
	unlock_inherit();
}

/* ---- threads that receive ------------------------------------------------ */

static struct mbx_pi_task *find_pi_task(const struct task_struct *task)
{
	struct rb_node *node = pi_tasks.rb_node;
	struct mbx_pi_task *pi_task;

	lockdep_assert_held(&inherit_lock);
	while (node) {
		pi_task = rb_entry(node, struct mbx_pi_task, node);
		if (task == pi_task->task)
			return pi_task;
		node = task < pi_task->task ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static void insert_pi_task(struct mbx_pi_task *pi_task)
{
	struct rb_node **link = &pi_tasks.rb_node, *parent = NULL;

	lockdep_assert_held(&inherit_lock);
	while (*link) {
		parent = *link;
		if (pi_task->task < rb_entry(parent, struct mbx_pi_task, node)->task)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&pi_task->node, parent, link);
	rb_insert_color(&pi_task->node, &pi_tasks);
}

/**
 * mbx_pi_task_get() - the current task begins to receive, or to reply and receive
 *
 * A boosted thread stays boosted until mbx_pi_task_rest() or mbx_pi_task_put(). If it
 * were deboosted as soon as it replies, it might not get to run and receive the next
 * request, and only a received request boosts it again.
 *
 * Context: Process context, may sleep.
 * Return: the struct mbx_pi_task of the task with a reference, or -ENOMEM.
 */
struct mbx_pi_task *mbx_pi_task_get(void)
{
	struct mbx_pi_task *pi_task;

	rt_mutex_lock(&inherit_lock);
	pi_task = find_pi_task(current);
	if (!pi_task) {
		/* Only the current task inserts its own entry. */
		rt_mutex_unlock(&inherit_lock);
		pi_task = kzalloc(sizeof(*pi_task), GFP_KERNEL_ACCOUNT);
		if (!pi_task)
			return ERR_PTR(-ENOMEM);
		pi_task->task = get_task_struct(current);
		rt_mutex_lock(&inherit_lock);
		insert_pi_task(pi_task);
	}
	pi_task->refs++;
	pi_task->busy = true;
	rt_mutex_unlock(&inherit_lock);
	return pi_task;
}

/**
 * mbx_pi_task_prio() - the scheduling priority with which the current task waits
 * @pi_task: the task's
 *
 * The task stays boosted until mbx_pi_task_rest(). This boost must not put it ahead of
 * other receivers, so the priority that it will have afterwards counts.
 *
 * Return: as task_struct.prio.
 */
int mbx_pi_task_prio(const struct mbx_pi_task *pi_task)
{
	if (READ_ONCE(pi_task->boost))
		return READ_ONCE(pi_task->rest_prio);
	/* Another thread may be changing it: either value will do. */
	return data_race(current->prio);
}

/**
 * mbx_pi_task_rest() - the current task is going to wait for a message
 * @pi_task: the task's; it waits with the receivers already, so it can be boosted
 */
void mbx_pi_task_rest(struct mbx_pi_task *pi_task)
{
	rt_mutex_lock(&inherit_lock);
	pi_task->busy = false;
	apply(pi_task);
	unlock_inherit();
}

/**
 * mbx_pi_task_put() - the current task has received, or has given up
 * @pi_task: the task's; this drops the reference
 */
void mbx_pi_task_put(struct mbx_pi_task *pi_task)
{
	rt_mutex_lock(&inherit_lock);
	pi_task->busy = false;
	apply(pi_task);
	put_pi_task(pi_task);
	unlock_inherit();
}
