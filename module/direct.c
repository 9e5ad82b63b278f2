// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct links: one for each pair of processes.
 *
 * A link is two queues with MBOX_HANGUP, one for each direction. The rules for absent
 * senders and receivers therefore hold for the two processes. The difference is when a
 * process counts as present. Each endpoint of a link is attached to its two queues
 * once, whatever the number of its handles:
 *
 *   expected	attached: the process has not opened the link yet
 *   open	attached: the process has a handle
 *   closed	not attached: the process has closed its handles and may open it again
 *   dead	not attached: the process has exited; others may still have a handle
 *
 * A link lives while one of its endpoints has a handle.
 *
 * A process is identified by its struct pid, which is not reused while the link holds
 * a reference. Its exit wakes the wait queue on which pidfds are polled. That wake-up
 * happens under locks that allow nothing but to schedule work. The work ends the calls
 * that wait. A call that decides whether to fail does not rely on the work:
 * mbx_no_receivers() and mbx_no_senders() check the process itself.
 *
 * links_lock is an rt_mutex, since threads of all priorities take it. Ending calls and
 * dropping messages takes time in proportion to their number, so it is done without
 * links_lock.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/mount.h>
#include <linux/pid.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/rtmutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "ack.h"
#include "direct.h"
#include "exchange.h"
#include "fs.h"
#include "instance.h"
#include "mailbox.h"
#include "trace.h"

/**
 * struct mbx_endpoint - the side of a link that belongs to one process
 * @link: the link
 * @pid: the process, one reference
 * @mb: the queue that it receives from, one reference
 * @exit: entry in the wait queue of @pid
 * @handles: its handles, including those that are being opened; under links_lock
 * @opened: the process has had a handle; under links_lock
 * @attached: it counts as a receiver of @mb and a sender of the other queue;
 *	under links_lock
 * @dead: the process has exited; under links_lock
 */
struct mbx_endpoint {
	struct mbx_link *link;
	struct pid *pid;
	struct mailbox *mb;
	struct wait_queue_entry exit;
	u32 handles;
	bool opened;
	bool attached;
	bool dead;
};

/**
 * struct mbx_link - a link
 * @node: in links, or empty if the link is not there; under links_lock
 * @endpoints: the endpoints of the two processes, in no order
 * @mnt: the mount of the network namespace that the link is from, one reference
 * @exits: checks which of the processes has exited
 * @refs: handles of both endpoints, until each is closed completely; under links_lock
 * @capacity: the capacity that was requested last; under links_lock
 * @over: the link was destroyed; under links_lock
 */
struct mbx_link {
	struct rb_node node;
	struct mbx_endpoint endpoints[2];
	struct vfsmount *mnt;
	struct work_struct exits;
	u32 refs;
	u32 capacity;
	bool over;
};

/* All links, ordered by their two processes. */
static struct rb_root links = RB_ROOT;
static DEFINE_RT_MUTEX(links_lock);

static struct mbx_endpoint *peer_of(const struct mbx_endpoint *endpoint)
{
	struct mbx_link *link = endpoint->link;

	return &link->endpoints[endpoint == &link->endpoints[0]];
}

/* ---- peer presence ------------------------------------------------------- */

static void attach(struct mbx_endpoint *endpoint)
{
	struct mailbox *to = peer_of(endpoint)->mb;

	lockdep_assert_held(&links_lock);
	/* Neither fails: no endpoint is attached once the link is over. */
	WARN_ON_ONCE(mbx_mailbox_attach(endpoint->mb, MBX_MAY_RECV, NULL));
	mbx_mailbox_arrived(endpoint->mb, MBX_MAY_RECV);
	WARN_ON_ONCE(mbx_mailbox_attach(to, MBX_MAY_SEND, NULL));
	mbx_mailbox_arrived(to, MBX_MAY_SEND);
	endpoint->attached = true;
}

/*
 * Called after endpoint->attached was cleared. It ends all waiting calls, so the
 * caller does not hold links_lock. The endpoint may have been attached again by then.
 */
static void detach(struct mbx_endpoint *endpoint)
{
	mbx_mailbox_detach(endpoint->mb, MBX_MAY_RECV, NULL);
	mbx_mailbox_detach(peer_of(endpoint)->mb, MBX_MAY_SEND, NULL);
}

/* Whether the process has a handle. */
static bool is_open(const struct mbx_endpoint *endpoint)
{
	lockdep_assert_held(&links_lock);
	return endpoint->opened && endpoint->attached;
}

static void endpoint_exited(struct mbx_endpoint *endpoint)
{
	bool attached;

	rt_mutex_lock(&links_lock);
	endpoint->dead = true;
	attached = endpoint->attached;
	endpoint->attached = false;
	rt_mutex_unlock(&links_lock);

	if (attached)
		detach(endpoint);
	/* No process can receive these messages. */
	mbx_drop_all(endpoint->mb);
	mbx_leases_drop(endpoint->mb);
}

static void check_exits(struct work_struct *work)
{
	struct mbx_link *link = container_of(work, struct mbx_link, exits);
	struct mbx_endpoint *endpoint;

	/* Only this work sets mbx_endpoint.dead. */
	for (endpoint = link->endpoints;
	     endpoint < link->endpoints + ARRAY_SIZE(link->endpoints); endpoint++)
		if (!endpoint->dead && mbx_has_exited(endpoint->pid))
			endpoint_exited(endpoint);
}

/*
 * The exit of a single thread and tracers can cause early wake-ups, so the work checks
 * mbx_has_exited(). The last wake-up comes after the last thread began to exit.
 */
static int wake_on_exit(struct wait_queue_entry *entry, unsigned int mode,
			int flags, void *key)
{
	struct mbx_endpoint *endpoint = container_of(entry, struct mbx_endpoint, exit);

	schedule_work(&endpoint->link->exits);
	return 0;
}

/* ---- making and freeing -------------------------------------------------- */

/* Free a link that is not in links and has no handle. */
static void link_free(struct mbx_link *link)
{
	struct mbx_endpoint *endpoints = link->endpoints;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(link->endpoints); i++)
		remove_wait_queue(&endpoints[i].pid->wait_pidfd, &endpoints[i].exit);
	/* No wake-up can schedule the work any more. */
	cancel_work_sync(&link->exits);

	for (i = 0; i < ARRAY_SIZE(link->endpoints); i++)
		if (endpoints[i].attached)
			detach(&endpoints[i]);
	for (i = 0; i < ARRAY_SIZE(link->endpoints); i++) {
		put_pid(endpoints[i].pid);
		mbx_mailbox_put(endpoints[i].mb);
	}
	mntput(link->mnt);
	kfree(link);
}

static struct mailbox *queue_new(struct vfsmount *mnt, struct pid *receiver,
				 struct pid *sender)
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

	ret = mbx_attr_check(&attr);
	if (ret)
		return ERR_PTR(ret);
	mb = mbx_fs_anonymous(mnt, &attr, &mbx_no_options);
	if (IS_ERR(mb))
		return mb;
	mb->direct = true;
	mb->receiver_pid = get_pid(receiver);
	mb->sender_pid = get_pid(sender);
	return mb;
}

static void endpoint_init(struct mbx_endpoint *endpoint, struct mbx_link *link,
			  struct pid *pid, struct mailbox *mb)
{
	endpoint->link = link;
	endpoint->pid = get_pid(pid);
	endpoint->mb = mb;
}

/* Have the exit of the process schedule the work from now on. */
static void watch(struct mbx_endpoint *endpoint)
{
	init_waitqueue_func_entry(&endpoint->exit, wake_on_exit);
	add_wait_queue(&endpoint->pid->wait_pidfd, &endpoint->exit);
}

/* Make a link that is not in links yet. */
static struct mbx_link *link_new(struct pid *self, struct pid *peer)
{
	struct mailbox *from, *to;
	struct mbx_link *link;
	struct vfsmount *mnt;
	int ret;

	mnt = mbx_instance_mount();
	if (IS_ERR(mnt))
		return ERR_CAST(mnt);
	link = kzalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	if (!link)
		return ERR_PTR(-ENOMEM);
	from = queue_new(mnt, self, peer);
	if (IS_ERR(from)) {
		ret = PTR_ERR(from);
		goto err_free;
	}
	to = queue_new(mnt, peer, self);
	if (IS_ERR(to)) {
		ret = PTR_ERR(to);
		goto err_put_queue;
	}

	link->mnt = mntget(mnt);
	RB_CLEAR_NODE(&link->node);
	INIT_WORK(&link->exits, check_exits);
	endpoint_init(&link->endpoints[0], link, self, from);
	endpoint_init(&link->endpoints[1], link, peer, to);
	rt_mutex_lock(&links_lock);
	attach(&link->endpoints[0]);
	attach(&link->endpoints[1]);
	rt_mutex_unlock(&links_lock);
	watch(&link->endpoints[0]);
	watch(&link->endpoints[1]);
	/* An exit after this check schedules the work. */
	if (mbx_has_exited(peer)) {
		link_free(link);
		return ERR_PTR(-ESRCH);
	}
	return link;

err_put_queue:
	mbx_mailbox_put(from);
err_free:
	kfree(link);
	return ERR_PTR(ret);
}

/* ---- opening and closing -------------------------------------------------- */

/* The rule of kill(2). See join() for a peer that has the link open. */
static bool may_link(struct task_struct *peer)
{
	const struct cred *cred = current_cred();
	const struct cred *pcred = __task_cred(peer);

	return uid_eq(cred->euid, pcred->suid) ||
	       uid_eq(cred->euid, pcred->uid) ||
	       uid_eq(cred->uid, pcred->suid) ||
	       uid_eq(cred->uid, pcred->uid) ||
	       ns_capable_noaudit(pcred->user_ns, CAP_KILL);
}

/* Whether the peer can ever open its endpoint. */
static bool can_link(struct task_struct *peer)
{
	return !(peer->flags & PF_KTHREAD) && atomic_read(&peer->signal->live);
}

/* The process with this number, with a reference, or NULL. */
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

/* The order of links. Both processes of a pair find the same place. */
static int compare(const struct pid *a, const struct pid *b,
		   const struct mbx_link *link)
{
	const struct pid *p = link->endpoints[0].pid, *q = link->endpoints[1].pid;

	if (min(a, b) != min(p, q))
		return min(a, b) < min(p, q) ? -1 : 1;
	if (max(a, b) != max(p, q))
		return max(a, b) < max(p, q) ? -1 : 1;
	return 0;
}

/* Where the link of the pair is, or below *@parent where it would be. */
static struct rb_node **find_link(const struct pid *a, const struct pid *b,
				  struct rb_node **parent)
{
	struct rb_node **where = &links.rb_node;
	int diff;

	lockdep_assert_held(&links_lock);
	*parent = NULL;
	while (*where) {
		diff = compare(a, b, rb_entry(*where, struct mbx_link, node));
		if (!diff)
			break;
		*parent = *where;
		where = diff < 0 ? &(*where)->rb_left : &(*where)->rb_right;
	}
	return where;
}

/* The endpoint of @self in its link to @peer, or NULL. */
static struct mbx_endpoint *find_endpoint(const struct pid *self, const struct pid *peer)
{
	struct rb_node *parent, *node = *find_link(self, peer, &parent);
	struct mbx_link *link;

	if (!node)
		return NULL;
	link = rb_entry(node, struct mbx_link, node);
	return &link->endpoints[link->endpoints[0].pid != self];
}

/* Insert the link of a pair that has none. */
static void insert_link(struct mbx_link *link)
{
	struct rb_node **where, *parent;

	where = find_link(link->endpoints[0].pid, link->endpoints[1].pid, &parent);
	rb_link_node(&link->node, parent, where);
	rb_insert_color(&link->node, &links);
}

static void remove_link(struct mbx_link *link)
{
	lockdep_assert_held(&links_lock);
	if (RB_EMPTY_NODE(&link->node))
		return;
	rb_erase(&link->node, &links);
	RB_CLEAR_NODE(&link->node);
}

/*
 * Count a handle on the link of the pair. If the pair has no link, it gets @new.
 * A process that has the link open has consented to its peer, so the peer may join
 * without @may. Return the endpoint of @self, or NULL (no link), or -EPERM.
 */
static struct mbx_endpoint *join(struct pid *self, struct pid *peer, bool may,
				 struct mbx_link *new)
{
	struct mbx_endpoint *endpoint;

	lockdep_assert_held(&links_lock);
	endpoint = find_endpoint(self, peer);
	if (!may && !(endpoint && is_open(peer_of(endpoint))))
		return ERR_PTR(-EPERM);
	if (!endpoint && new) {
		insert_link(new);
		endpoint = &new->endpoints[0];
	}
	if (endpoint) {
		endpoint->handles++;
		endpoint->link->refs++;
	}
	return endpoint;
}

static struct mbx_endpoint *find_or_make(struct pid *self, struct pid *peer,
					 bool may)
{
	struct mbx_link *new;
	struct mbx_endpoint *endpoint;

	rt_mutex_lock(&links_lock);
	endpoint = join(self, peer, may, NULL);
	rt_mutex_unlock(&links_lock);
	if (endpoint)
		return endpoint;

	new = link_new(self, peer);
	if (IS_ERR(new))
		return ERR_CAST(new);
	rt_mutex_lock(&links_lock);
	endpoint = join(self, peer, may, new);
	rt_mutex_unlock(&links_lock);
	/* The peer or another thread may have been faster. */
	if (IS_ERR(endpoint) || endpoint->link != new)
		link_free(new);
	return endpoint;
}

/**
 * mbx_direct_open() - find or make the link to another process
 * @nr: the number of that process in the pid namespace of the caller
 *
 * Context: Process context, may sleep.
 * Return: the endpoint of the caller, which counts one more handle, or -EINVAL,
 * -ESRCH, -EPERM, -EDQUOT, -ENOMEM.
 */
struct mbx_endpoint *mbx_direct_open(pid_t nr)
{
	struct pid *self = task_tgid(current);
	struct mbx_endpoint *endpoint;
	struct pid *peer;
	bool may;

	if (nr <= 0)
		return ERR_PTR(-EINVAL);
	peer = find_peer(nr, &may);
	if (!peer)
		return ERR_PTR(-ESRCH);
	if (peer == self)
		endpoint = ERR_PTR(-EINVAL);
	else
		endpoint = find_or_make(self, peer, may);
	put_pid(peer);
	return endpoint;
}

/**
 * mbx_direct_opened() - complete mbx_direct_open(): the open cannot fail any more
 * @endpoint: the endpoint of the caller
 */
void mbx_direct_opened(struct mbx_endpoint *endpoint)
{
	struct mbx_endpoint *other = peer_of(endpoint);

	rt_mutex_lock(&links_lock);
	endpoint->opened = true;
	if (!endpoint->attached && !endpoint->dead && !endpoint->link->over)
		attach(endpoint);
	endpoint->mb->published = true;
	other->mb->published = true;
	trace_mbox_direct(endpoint->mb, other->mb, pid_nr(endpoint->pid),
			  pid_nr(other->pid));
	rt_mutex_unlock(&links_lock);
}

/**
 * mbx_direct_close() - a handle is closed, or could not be made
 * @endpoint: the endpoint of the handle; may be gone afterwards
 */
void mbx_direct_close(struct mbx_endpoint *endpoint)
{
	struct mbx_link *link = endpoint->link;
	bool closed, last;

	rt_mutex_lock(&links_lock);
	/* If an open fails, an endpoint that is still expected stays attached. */
	closed = !--endpoint->handles && is_open(endpoint);
	if (closed)
		endpoint->attached = false;
	rt_mutex_unlock(&links_lock);
	if (closed)
		detach(endpoint);

	rt_mutex_lock(&links_lock);
	last = !--link->refs;
	if (last)
		remove_link(link);
	rt_mutex_unlock(&links_lock);
	if (last)
		link_free(link);
}

/* ---- queries and changes of a handle -------------------------------------- */

/**
 * mbx_direct_is_mine() - whether an endpoint belongs to the current process
 * @endpoint: the endpoint of a handle, which may have been inherited or passed on
 */
bool mbx_direct_is_mine(const struct mbx_endpoint *endpoint)
{
	return endpoint->pid == task_tgid(current);
}

/**
 * mbx_direct_from() - the queue that an endpoint receives from
 * @endpoint: the endpoint
 */
struct mailbox *mbx_direct_from(const struct mbx_endpoint *endpoint)
{
	return endpoint->mb;
}

/**
 * mbx_direct_mount() - the mount that handles of an endpoint are on
 * @endpoint: the endpoint
 */
struct vfsmount *mbx_direct_mount(const struct mbx_endpoint *endpoint)
{
	return endpoint->link->mnt;
}

/**
 * mbx_direct_to() - the queue that an endpoint sends to
 * @endpoint: the endpoint
 */
struct mailbox *mbx_direct_to(const struct mbx_endpoint *endpoint)
{
	return peer_of(endpoint)->mb;
}

/**
 * mbx_direct_peer() - the process number of the peer
 * @endpoint: the endpoint
 * @ns: the pid namespace for the number
 *
 * Return: the number, or 0 if the peer has exited or has no number in @ns.
 */
pid_t mbx_direct_peer(const struct mbx_endpoint *endpoint, struct pid_namespace *ns)
{
	struct pid *peer = peer_of(endpoint)->pid;

	return mbx_has_exited(peer) ? 0 : pid_nr_ns(peer, ns);
}

/**
 * mbx_direct_set_capacity() - change the capacity of both directions
 * @endpoint: an endpoint of the link
 * @capacity: the new capacity
 *
 * Return: 0, or -EIDRM.
 */
int mbx_direct_set_capacity(struct mbx_endpoint *endpoint, u32 capacity)
{
	struct mbx_link *link = endpoint->link;
	bool changed;
	int ret;

	rt_mutex_lock(&links_lock);
	link->capacity = capacity;
	rt_mutex_unlock(&links_lock);
	/* When calls race, the last one sets both queues to the last request. */
	do {
		ret = mbx_mailbox_set_capacity(endpoint->mb, capacity, 0);
		if (!ret)
			ret = mbx_mailbox_set_capacity(peer_of(endpoint)->mb,
						       capacity, 0);
		rt_mutex_lock(&links_lock);
		changed = link->capacity != capacity;
		capacity = link->capacity;
		rt_mutex_unlock(&links_lock);
	} while (!ret && changed && !fatal_signal_pending(current));
	return ret;
}

/**
 * mbx_direct_destroy() - destroy a link for both processes
 * @endpoint: an endpoint of the link
 *
 * The next mbx_direct_open() makes a new link.
 *
 * Return: 0, or -EIDRM.
 */
int mbx_direct_destroy(struct mbx_endpoint *endpoint)
{
	struct mbx_link *link = endpoint->link;
	bool over;
	int ret;

	rt_mutex_lock(&links_lock);
	over = link->over;
	link->over = true;
	remove_link(link);
	rt_mutex_unlock(&links_lock);
	if (over)
		return -EIDRM;
	ret = mbx_mailbox_destroy(endpoint->mb);
	if (!ret)
		ret = mbx_mailbox_destroy(peer_of(endpoint)->mb);
	return ret;
}
