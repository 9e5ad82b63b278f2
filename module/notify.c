// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notification: a process is told once of a message in an empty mailbox.
 *
 * One process can be registered. The registration ends with the notification;
 * when its process takes it back, closes a descriptor of the handle with which
 * it registered, ends or executes another program; and with the mailbox.
 *
 * A message that a receiver waits for is no news, nor is one that takes the
 * place of another in the same call: the mailbox was never seen empty. With
 * MBOX_BROADCAST every message is.
 *
 * Only signals to threads can be sent from a module. One to a process goes to
 * some thread that does not block it, the first one if it can be, and that is
 * done here. If all block it, it is pending for the process, but here for one
 * thread: the one that registered, which is the one to wait for it.
 */
#include <linux/compat.h>
#include <linux/eventfd.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "compat.h"
#include "message.h"
#include "notify.h"
#include "trace.h"
#include "wait.h"

static void notice_free(struct mbox_notice *notice)
{
	if (!notice)
		return;
	put_pid(notice->owner);
	put_pid(notice->thread);
	if (notice->eventfd)
		eventfd_ctx_put(notice->eventfd);
	if (notice->sender)
		mbox_sender_put(notice->sender);
	kfree(notice);
}

/* Register the current process. */
static struct mbox_notice *notice_new(const void *handle,
				      const struct mbox_notify *arg)
{
	struct eventfd_ctx *eventfd = NULL;
	struct mbox_notice *notice;

	if (arg->kind == MBOX_NOTIFY_EVENTFD) {
		eventfd = eventfd_ctx_fdget(arg->fd);
		if (IS_ERR(eventfd))
			return ERR_CAST(eventfd);
	}
	notice = kzalloc(sizeof(*notice), GFP_KERNEL_ACCOUNT);
	if (!notice) {
		if (eventfd)
			eventfd_ctx_put(eventfd);
		return ERR_PTR(-ENOMEM);
	}
	notice->kind = arg->kind;
	notice->signo = arg->signo;
	/* A program of 32 bits gets back the number only. */
	if (in_compat_syscall())
		notice->value.sival_int = (int)arg->value;
	else
		notice->value.sival_ptr = u64_to_user_ptr(arg->value);
	notice->owner = get_pid(task_tgid(current));
	notice->thread = get_pid(task_pid(current));
	notice->exec_id = current->self_exec_id;
	notice->handle = handle;
	notice->eventfd = eventfd;
	return notice;
}

/* The first thread of the program that registered, if that still runs. */
static struct task_struct *notice_leader(const struct mbox_notice *notice)
{
	struct task_struct *task = pid_task(notice->owner, PIDTYPE_TGID);

	/* Programs do not expect what others have asked for. */
	if (!task || READ_ONCE(task->self_exec_id) != notice->exec_id)
		return NULL;
	return task;
}

/* Descriptors can outlive their process in another one that shares them. */
static bool is_stale(const struct mbox_notice *notice)
{
	bool stale;

	rcu_read_lock();
	stale = !notice_leader(notice);
	rcu_read_unlock();
	return stale;
}

/* Take the registration away; NULL if there is none, or not of this kind. */
static struct mbox_notice *take_notice(struct mailbox *mb, const void *handle,
				       const struct pid *owner)
{
	struct mbox_watch *watch = mb->watch;
	struct mbox_notice *notice;

	lockdep_assert_held(&mb->lock);
	notice = watch ? watch->notice : NULL;
	if (!notice || (handle && notice->handle != handle) ||
	    (owner && notice->owner != owner))
		return NULL;
	watch->notice = NULL;
	mbox_watch_update(mb);
	return notice;
}

static bool arg_valid(const struct mbox_notify *arg)
{
	bool signal = arg->kind == MBOX_NOTIFY_SIGNAL;
	bool eventfd = arg->kind == MBOX_NOTIFY_EVENTFD;

	if (arg->kind > MBOX_NOTIFY_EVENTFD || arg->reserved)
		return false;
	if (signal)
		return arg->signo && valid_signal(arg->signo) && !arg->fd;
	return !arg->signo && !arg->value && (eventfd || !arg->fd);
}

/**
 * mbox_notify() - register the current process, or take that back
 * @mb: the mailbox
 * @handle: through which
 * @arg: what it wants
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EINVAL, -EBADF, -ENOMEM, -EIDRM, -EBUSY.
 */
int mbox_notify(struct mailbox *mb, const void *handle,
		const struct mbox_notify *arg)
{
	struct mbox_notice *notice = NULL;
	int ret = 0;

	if (!arg_valid(arg))
		return -EINVAL;
	if (arg->kind != MBOX_NOTIFY_OFF) {
		ret = mbox_watch_make(mb);
		if (ret)
			return ret;
		notice = notice_new(handle, arg);
		if (IS_ERR(notice))
			return PTR_ERR(notice);
	}

	spin_lock(&mb->lock);
	if (mb->dead) {
		ret = -EIDRM;
	} else if (!notice) {
		notice = take_notice(mb, NULL, task_tgid(current));
	} else if (mb->watch->notice && !is_stale(mb->watch->notice)) {
		ret = -EBUSY;
	} else {
		swap(mb->watch->notice, notice);
		mbox_watch_update(mb);
	}
	spin_unlock(&mb->lock);
	notice_free(notice);
	return ret;
}

/**
 * mbox_notice_arrived() - there is a message that nobody waited for
 * @mb: the mailbox
 * @msg: the message, which is in it
 * @after: to be run without the lock
 */
void mbox_notice_arrived(struct mailbox *mb, const struct mbox_message *msg,
			 struct mbox_after *after)
{
	u32 count = mb->stored.count;
	struct mbox_notice *notice;

	lockdep_assert_held(&mb->lock);
	/* Without capacity, what senders offer is in the mailbox too. */
	if (!mb->capacity)
		count += mb->offers.count;
	/* A broadcast is news to every handle, whatever others have not read. */
	if (count != 1 && !(mb->flags & MBOX_BROADCAST))
		return;
	notice = take_notice(mb, NULL, NULL);
	if (!notice)
		return;
	refcount_inc(&msg->sender->refs);
	notice->sender = msg->sender;
	trace_mbox_notify(mb, notice->kind, notice->signo);
	after->notice = notice;
}

/**
 * mbox_notice_destroyed() - there will be no message any more
 * @mb: the mailbox
 * @after: to be run without the lock
 */
void mbox_notice_destroyed(struct mailbox *mb, struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	after->notice = take_notice(mb, NULL, NULL);
}

/* Who of the registered process gets the signal. */
static struct task_struct *choose_thread(const struct mbox_notice *notice)
{
	struct task_struct *leader = notice_leader(notice), *t, *found = NULL;

	if (!leader)
		return NULL;
	for_each_thread(leader, t) {
		/* Others may be changing it: either value will do. */
		if (data_race(t->flags) & PF_EXITING)
			continue;
		/* So here. */
		if (!data_race(sigismember(&t->blocked, notice->signo)))
			return t;
		if (!found || task_pid(t) == notice->thread)
			found = t;
	}
	return found;
}

static void send_signal(const struct mbox_notice *notice)
{
	const struct mbox_sender *sender = notice->sender;
	struct kernel_siginfo info;
	struct task_struct *task;

	clear_siginfo(&info);
	info.si_signo = notice->signo;
	info.si_code = SI_MESGQ;
	info.si_value = notice->value;
	info.si_pid = pid_nr_ns(sender->pid, ns_of_pid(notice->owner));
	/* Sending translates it from here to there. */
	info.si_uid = from_kuid_munged(current_user_ns(), sender->uid);

	rcu_read_lock();
	task = choose_thread(notice);
	if (task)
		send_sig_info(notice->signo, &info, task);
	rcu_read_unlock();
}

/**
 * mbox_notice_run() - tell the process, and forget it
 * @notice: was taken from its mailbox, because of a message or of the end
 *
 * The receiver has asked for it, so that the sender may send it no other signal
 * does not matter.
 *
 * Context: Process context, without mailbox.lock.
 */
void mbox_notice_run(struct mbox_notice *notice)
{
	/* Who waits for the eventfd has to learn of the end as well. */
	if (notice->eventfd)
		mbox_eventfd_signal(notice->eventfd);
	else if (notice->kind == MBOX_NOTIFY_SIGNAL && notice->sender)
		send_signal(notice);
	notice_free(notice);
}

/**
 * mbox_notice_flush() - a process closes a descriptor
 * @mb: the mailbox
 * @handle: of this handle
 */
void mbox_notice_flush(struct mailbox *mb, const void *handle)
{
	/* Pairs with the release in mbox_watch_make(). */
	struct mbox_watch *watch = smp_load_acquire(&mb->watch);
	struct mbox_notice *notice;

	/* Who registers at the same time may come before or after. */
	if (likely(!watch || !data_race(watch->notice)))
		return;
	spin_lock(&mb->lock);
	notice = take_notice(mb, handle, task_tgid(current));
	spin_unlock(&mb->lock);
	notice_free(notice);
}

/**
 * mbox_notice_release() - a handle is closed for good
 * @mb: the mailbox
 * @handle: the handle
 */
void mbox_notice_release(struct mailbox *mb, const void *handle)
{
	struct mbox_notice *notice;

	spin_lock(&mb->lock);
	notice = take_notice(mb, handle, NULL);
	spin_unlock(&mb->lock);
	notice_free(notice);
}

/**
 * mbox_notice_get() - who is registered
 * @mb: the mailbox
 * @pid: out: the process, as the caller knows it
 *
 * Return: the kind of notification; MBOX_NOTIFY_OFF: nobody is.
 */
u32 mbox_notice_get(struct mailbox *mb, pid_t *pid)
{
	u32 kind = MBOX_NOTIFY_OFF;

	*pid = 0;
	spin_lock(&mb->lock);
	if (mb->watch && mb->watch->notice) {
		kind = mb->watch->notice->kind;
		*pid = pid_vnr(mb->watch->notice->owner);
	}
	spin_unlock(&mb->lock);
	return kind;
}
