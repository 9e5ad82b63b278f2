// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct links: one for each pair of processes.
 *
 * A link is two queues, one for each direction, with MBOX_HANGUP: so all that
 * is said of senders and receivers that are not there holds for the processes.
 * What differs is who counts as being there. Each end of a link is attached to
 * its two queues once, whatever the number of its handles:
 *
 *   expected	from the beginning, though its process has not opened it yet
 *   open	its process has a handle
 *   closed	it had one; it can be opened again
 *   dead	its process has exited, whoever else has inherited a handle
 *
 * The first two are attached. A link lives while one of its ends has a handle.
 *
 * Processes are known by their struct pid, which is not used again while the
 * link holds it. Exits are learnt from the wait queue on which pidfds are
 * polled: it is woken under locks that allow nothing but to schedule work.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "direct.h"
#include "exchange.h"
#include "mailbox.h"
#include "trace.h"

/**
 * struct mbox_end - what one process has of a link
 * @link: the link
 * @pid: the process, one reference
 * @mb: the queue that it receives from, one reference
 * @exit: in the wait queue of @pid
 * @handles: its handles, also those that are being made; under links_lock
 * @opened: it had a handle once; under links_lock
 * @attached: it counts as a receiver of @mb and a sender of the other queue;
 *	under links_lock
 * @dead: its process has exited; under links_lock
 */
struct mbox_end {
	struct mbox_link *link;
	struct pid *pid;
	struct mailbox *mb;
	struct wait_queue_entry exit;
	u32 handles;
	bool opened;
	bool attached;
	bool dead;
};

/**
 * struct mbox_link - a link
 * @node: in the table of links, unless it was destroyed; under links_lock
 * @ends: the two processes, in no order
 * @exits: looks which of them has exited
 * @over: it was destroyed; under links_lock
 */
struct mbox_link {
	struct hlist_node node;
	struct mbox_end ends[2];
	struct work_struct exits;
	bool over;
};

static DEFINE_HASHTABLE(links, 6);
static DEFINE_MUTEX(links_lock);

static struct mbox_end *other_end(const struct mbox_end *end)
{
	struct mbox_link *link = end->link;

	return &link->ends[end == &link->ends[0]];
}

/* ---- being there --------------------------------------------------------- */

static void attach(struct mbox_end *end)
{
	lockdep_assert_held(&links_lock);
	/* Neither fails: both queues are destroyed under the lock, or not. */
	WARN_ON_ONCE(mbox_mailbox_attach(end->mb, MBOX_MAY_RECV, NULL));
	WARN_ON_ONCE(mbox_mailbox_attach(other_end(end)->mb, MBOX_MAY_SEND,
					 NULL));
	end->attached = true;
}

static void detach(struct mbox_end *end)
{
	lockdep_assert_held(&links_lock);
	end->attached = false;
	mbox_mailbox_detach(end->mb, MBOX_MAY_RECV, NULL);
	mbox_mailbox_detach(other_end(end)->mb, MBOX_MAY_SEND, NULL);
}

/* Its process has a handle. */
static bool is_open(const struct mbox_end *end)
{
	lockdep_assert_held(&links_lock);
	return end->opened && end->attached;
}

/* All its threads have, whether it was waited for or not. */
static bool has_exited(struct pid *pid)
{
	struct task_struct *task;
	bool exited;

	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_TGID);
	exited = !task || !atomic_read(&task->signal->live);
	rcu_read_unlock();
	return exited;
}

static void look_for_exits(struct work_struct *work)
{
	struct mbox_link *link = container_of(work, struct mbox_link, exits);
	struct mbox_end *end;

	mutex_lock(&links_lock);
	for (end = link->ends; end < link->ends + ARRAY_SIZE(link->ends);
	     end++) {
		if (end->dead || !has_exited(end->pid))
			continue;
		end->dead = true;
		if (end->attached)
			detach(end);
		/* Nobody will receive these. */
		mbox_drop_all(end->mb);
	}
	mutex_unlock(&links_lock);
}

/*
 * Threads and tracers make this wake up too early; has_exited() knows better.
 * The last wake-up comes after the last thread began to exit.
 */
static int wake_on_exit(struct wait_queue_entry *entry, unsigned int mode,
			int flags, void *key)
{
	struct mbox_end *end = container_of(entry, struct mbox_end, exit);

	schedule_work(&end->link->exits);
	return 0;
}

/* ---- making and freeing -------------------------------------------------- */

/* A link that is not in the table. */
static void link_free(struct mbox_link *link)
{
	struct mbox_end *ends = link->ends;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(link->ends); i++)
		remove_wait_queue(&ends[i].pid->wait_pidfd, &ends[i].exit);
	/* Nobody schedules it any more. */
	cancel_work_sync(&link->exits);

	mutex_lock(&links_lock);
	for (i = 0; i < ARRAY_SIZE(link->ends); i++)
		if (ends[i].attached)
			detach(&ends[i]);
	mutex_unlock(&links_lock);
	for (i = 0; i < ARRAY_SIZE(link->ends); i++) {
		put_pid(ends[i].pid);
		mbox_mailbox_put(ends[i].mb);
	}
	kfree(link);
}

static struct mailbox *queue_new(void)
{
	const struct mbox_attr attr = {
		.mode = MBOX_QUEUE,
		.flags = MBOX_HANGUP,
		.capacity = 64,
		.msg_max = 8192,
		.perm = 0600,
	};
	struct mailbox *mb;
	int ret;

	ret = mbox_attr_check(&attr);
	if (ret)
		return ERR_PTR(ret);
	mb = mbox_mailbox_new(&attr, NULL, 0);
	if (!IS_ERR(mb))
		mb->direct = true;
	return mb;
}

static void end_init(struct mbox_end *end, struct mbox_link *link,
		     struct pid *pid, struct mailbox *mb)
{
	end->link = link;
	end->pid = get_pid(pid);
	end->mb = mb;
}

/* From now on, the exit of its process is seen. */
static void watch(struct mbox_end *end)
{
	init_waitqueue_func_entry(&end->exit, wake_on_exit);
	add_wait_queue(&end->pid->wait_pidfd, &end->exit);
}

/* A link that nobody knows yet. */
static struct mbox_link *link_new(struct pid *self, struct pid *peer)
{
	struct mailbox *from, *to;
	struct mbox_link *link;
	int ret;

	link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	if (!link)
		return ERR_PTR(-ENOMEM);
	from = queue_new();
	if (IS_ERR(from)) {
		ret = PTR_ERR(from);
		goto err_free;
	}
	to = queue_new();
	if (IS_ERR(to)) {
		ret = PTR_ERR(to);
		goto err_put_queue;
	}

	INIT_HLIST_NODE(&link->node);
	INIT_WORK(&link->exits, look_for_exits);
	end_init(&link->ends[0], link, self, from);
	end_init(&link->ends[1], link, peer, to);
	mutex_lock(&links_lock);
	attach(&link->ends[0]);
	attach(&link->ends[1]);
	mutex_unlock(&links_lock);
	watch(&link->ends[0]);
	watch(&link->ends[1]);
	/* An exit that comes after this look is seen. */
	if (has_exited(peer)) {
		link_free(link);
		return ERR_PTR(-ESRCH);
	}
	return link;

err_put_queue:
	mbox_mailbox_put(from);
err_free:
	kfree(link);
	return ERR_PTR(ret);
}

/* ---- opening and closing -------------------------------------------------- */

/* As kill(2) has it. */
static bool may_link(struct task_struct *peer)
{
	const struct cred *cred = current_cred();
	const struct cred *pcred = __task_cred(peer);

	return uid_eq(cred->euid, pcred->suid) ||
	       uid_eq(cred->euid, pcred->uid) ||
	       uid_eq(cred->uid, pcred->suid) ||
	       uid_eq(cred->uid, pcred->uid) ||
	       ns_capable(pcred->user_ns, CAP_KILL);
}

/* Whether it can ever open its end. */
static bool can_link(struct task_struct *peer)
{
	return !(peer->flags & PF_KTHREAD) && atomic_read(&peer->signal->live);
}

/* The process of that number, with a reference, or NULL. */
static struct pid *find_peer(pid_t nr, bool *may)
{
	struct task_struct *task;
	struct pid *pid;

	rcu_read_lock();
	pid = find_vpid(nr);
	task = pid_task(pid, PIDTYPE_TGID);
	if (task && can_link(task)) {
		*may = may_link(task);
		get_pid(pid);
	} else {
		pid = NULL;
	}
	rcu_read_unlock();
	return pid;
}

/* The same for both sides. */
static unsigned long key_of(const struct pid *a, const struct pid *b)
{
	return (unsigned long)a + (unsigned long)b;
}

/* The end that @self has of its link to @peer, or NULL. */
static struct mbox_end *find_end(const struct pid *self, const struct pid *peer)
{
	struct mbox_link *link;

	lockdep_assert_held(&links_lock);
	hash_for_each_possible(links, link, node, key_of(self, peer)) {
		struct mbox_end *ends = link->ends;

		if (ends[0].pid == self && ends[1].pid == peer)
			return &ends[0];
		if (ends[1].pid == self && ends[0].pid == peer)
			return &ends[1];
	}
	return NULL;
}

/*
 * Count a handle on the link of the pair, which is @new if there is none.
 * Whoever has opened a link has asked for its peer, so that one may join in any
 * case. Return the end, or NULL (no link), or -EPERM.
 */
static struct mbox_end *join(struct pid *self, struct pid *peer, bool may,
			     struct mbox_link *new)
{
	struct mbox_end *end;

	lockdep_assert_held(&links_lock);
	end = find_end(self, peer);
	if (!may && !(end && is_open(other_end(end))))
		return ERR_PTR(-EPERM);
	if (!end && new) {
		hash_add(links, &new->node, key_of(self, peer));
		end = &new->ends[0];
	}
	if (end)
		end->handles++;
	return end;
}

static struct mbox_end *find_or_make(struct pid *self, struct pid *peer,
				     bool may)
{
	struct mbox_link *new;
	struct mbox_end *end;

	mutex_lock(&links_lock);
	end = join(self, peer, may, NULL);
	mutex_unlock(&links_lock);
	if (end)
		return end;

	new = link_new(self, peer);
	if (IS_ERR(new))
		return ERR_CAST(new);
	mutex_lock(&links_lock);
	end = join(self, peer, may, new);
	mutex_unlock(&links_lock);
	/* The peer, or another thread, was faster. */
	if (IS_ERR(end) || end->link != new)
		link_free(new);
	return end;
}

/**
 * mbox_direct_open() - find or make the link to another process
 * @nr: its number in the pid namespace of the caller
 *
 * Context: Process context, may sleep.
 * Return: the caller's end, which counts one handle more, or -EINVAL, -ESRCH,
 * -EPERM, -EDQUOT, -ENOMEM.
 */
struct mbox_end *mbox_direct_open(pid_t nr)
{
	struct pid *self = task_tgid(current);
	struct mbox_end *end;
	struct pid *peer;
	bool may;

	if (nr <= 0)
		return ERR_PTR(-EINVAL);
	peer = find_peer(nr, &may);
	if (!peer)
		return ERR_PTR(-ESRCH);
	if (peer == self)
		end = ERR_PTR(-EINVAL);
	else
		end = find_or_make(self, peer, may);
	put_pid(peer);
	return end;
}

/**
 * mbox_direct_opened() - nothing of mbox_direct_open() can fail any more
 * @end: the caller's end
 */
void mbox_direct_opened(struct mbox_end *end)
{
	struct mbox_end *other = other_end(end);

	mutex_lock(&links_lock);
	end->opened = true;
	if (!end->attached && !end->dead && !end->link->over)
		attach(end);
	end->mb->published = true;
	other->mb->published = true;
	trace_mbox_direct(end->mb, other->mb, pid_nr(end->pid),
			  pid_nr(other->pid));
	mutex_unlock(&links_lock);
}

/**
 * mbox_direct_close() - a handle is closed, or could not be made
 * @end: its end; may be gone afterwards
 */
void mbox_direct_close(struct mbox_end *end)
{
	struct mbox_link *link = end->link;
	bool last;

	mutex_lock(&links_lock);
	/* An attempt to open does not turn an end that is expected away. */
	if (!--end->handles && is_open(end))
		detach(end);
	last = !end->handles && !other_end(end)->handles;
	if (last)
		hash_del(&link->node);
	mutex_unlock(&links_lock);
	if (last)
		link_free(link);
}

/* ---- what a handle asks --------------------------------------------------- */

/**
 * mbox_direct_is_mine() - whether an end is the caller's
 * @end: the end of a handle, which may have been inherited or passed on
 */
bool mbox_direct_is_mine(const struct mbox_end *end)
{
	return end->pid == task_tgid(current);
}

/**
 * mbox_direct_from() - what an end receives from
 * @end: the end
 */
struct mailbox *mbox_direct_from(const struct mbox_end *end)
{
	return end->mb;
}

/**
 * mbox_direct_to() - what an end sends to
 * @end: the end
 */
struct mailbox *mbox_direct_to(const struct mbox_end *end)
{
	return other_end(end)->mb;
}

/**
 * mbox_direct_peer() - the number of the process at the other end
 * @end: the end
 * @ns: where it is to be the number
 *
 * Return: the number, or 0 when it has none there, or none any more.
 */
pid_t mbox_direct_peer(const struct mbox_end *end, struct pid_namespace *ns)
{
	struct pid *peer = other_end(end)->pid;

	return has_exited(peer) ? 0 : pid_nr_ns(peer, ns);
}

/**
 * mbox_direct_set_capacity() - change the capacity of both directions
 * @end: an end of the link
 * @capacity: the new one
 *
 * Return: 0, or -EIDRM.
 */
int mbox_direct_set_capacity(struct mbox_end *end, u32 capacity)
{
	int ret;

	mutex_lock(&links_lock);
	ret = mbox_mailbox_set_capacity(end->mb, capacity);
	if (!ret)
		ret = mbox_mailbox_set_capacity(other_end(end)->mb, capacity);
	mutex_unlock(&links_lock);
	return ret;
}

/**
 * mbox_direct_destroy() - end a link for both processes
 * @end: an end of the link
 *
 * The next mbox_direct_open() makes another one.
 *
 * Return: 0, or -EIDRM.
 */
int mbox_direct_destroy(struct mbox_end *end)
{
	struct mbox_link *link = end->link;
	int ret = -EIDRM;

	mutex_lock(&links_lock);
	if (!link->over) {
		link->over = true;
		hash_del(&link->node);
		ret = mbox_mailbox_destroy(end->mb);
		if (!ret)
			ret = mbox_mailbox_destroy(other_end(end)->mb);
	}
	mutex_unlock(&links_lock);
	return ret;
}
