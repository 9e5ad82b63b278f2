// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notification: a process is notified once when a message arrives in an empty mailbox.
 *
 * A mailbox has at most one registration. It ends with the notification or with the
 * mailbox, or when the owner expels the handle with which it was made. It also ends when
 * its process cancels it, closes a descriptor of that handle, exits, or executes another
 * program.
 *
 * A message that is delivered to a waiting receiver does not notify. Nor does one that
 * replaces another in the same call, because the mailbox was never seen empty. With
 * MBOX_BROADCAST every message notifies.
 *
 * Usually, a signal that a handler catches is sent under mailbox.lock, so it is pending
 * before the message can be received. A process that has received the message gets no
 * signal for it in its next call, which would fail with EINTR although nothing is new.
 * Signals that may take long to send wait until the lock is dropped: see is_short(). Most of
 * these interrupt no call.
 *
 * A module can send signals to threads only. For a process, the kernel chooses a
 * thread that does not block the signal, if possible the first; choose_thread() does
 * the same. If all threads block it, the kernel makes the signal pending for the
 * process. Here it becomes pending for the thread that registered, which is likely
 * to wait for it. The same happens if the first THREADS_AT_MOST threads block it: a
 * sender should not have to go through more of them.
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
#include "mailbox.h"
#include "message.h"
#include "notify.h"
#include "poller.h"
#include "trace.h"

/* How many threads of a process are checked, besides the one that registered. */
#define THREADS_AT_MOST 64

static void registration_free(struct mbx_registration *reg)
{
	if (!reg)
		return;
	put_pid(reg->owner);
	put_pid(reg->thread);
	if (reg->eventfd)
		eventfd_ctx_put(reg->eventfd);
	if (reg->sender)
		mbx_sender_put(reg->sender);
	kfree(reg);
}

/* Register the current process. */
static struct mbx_registration *registration_new(const struct mbx_reader *handle,
						 const struct mbox_notify *arg)
{
	struct eventfd_ctx *eventfd = NULL;
	struct mbx_registration *reg;

	if (arg->kind == MBOX_NOTIFY_EVENTFD) {
		eventfd = eventfd_ctx_fdget(arg->fd);
		if (IS_ERR(eventfd))
			return ERR_CAST(eventfd);
	}
	reg = kzalloc(sizeof(*reg), GFP_KERNEL_ACCOUNT);
	if (!reg) {
		if (eventfd)
			eventfd_ctx_put(eventfd);
		return ERR_PTR(-ENOMEM);
	}
	reg->kind = arg->kind;
	reg->signo = arg->signo;
	/* A 32-bit program reads sival_int only. */
	if (in_compat_syscall())
		reg->value.sival_int = (int)arg->value;
	else
		reg->value.sival_ptr = u64_to_user_ptr(arg->value);
	reg->owner = get_pid(task_tgid(current));
	reg->thread = get_pid(task_pid(current));
	reg->exec_id = current->self_exec_id;
	reg->handle = handle;
	reg->eventfd = eventfd;
	return reg;
}

/* The thread group leader, if the process still runs the program that registered. */
static struct task_struct *registration_leader(const struct mbx_registration *reg)
{
	struct task_struct *task = pid_task(reg->owner, PIDTYPE_TGID);

	/* A new program does not expect the signal that the old one asked for. */
	if (!task || READ_ONCE(task->self_exec_id) != reg->exec_id)
		return NULL;
	return task;
}

/* A descriptor can outlive its process in another one that shares the table. */
static bool is_stale(const struct mbx_registration *reg)
{
	bool stale;

	rcu_read_lock();
	stale = !registration_leader(reg);
	rcu_read_unlock();
	return stale;
}

/* Take the registration from the mailbox. @handle and @owner, if set, must match. */
static struct mbx_registration *take_registration(struct mailbox *mb,
						  const struct mbx_reader *handle,
						  const struct pid *owner)
{
	struct mbx_watch *watch = mb->watch;
	struct mbx_registration *reg;

	lockdep_assert_held(&mb->lock);
	reg = watch ? watch->reg : NULL;
	if (!reg || (handle && reg->handle != handle) ||
	    (owner && reg->owner != owner))
		return NULL;
	watch->reg = NULL;
	mbx_watch_update(mb);
	return reg;
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
 * mbx_notify() - register the current process, or cancel its registration
 * @mb: the mailbox
 * @handle: the reader of the handle that it uses
 * @arg: the argument of the ioctl
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EINVAL, -EBADF, -ENOMEM, -EIDRM, -EBUSY.
 */
int mbx_notify(struct mailbox *mb, const struct mbx_reader *handle,
	       const struct mbox_notify *arg)
{
	struct mbx_registration *reg = NULL;
	int ret = 0;

	if (!arg_valid(arg))
		return -EINVAL;
	if (arg->kind != MBOX_NOTIFY_OFF) {
		ret = mbx_watch_make(mb);
		if (ret)
			return ret;
		reg = registration_new(handle, arg);
		if (IS_ERR(reg))
			return PTR_ERR(reg);
	}

	spin_lock(&mb->lock);
	if (mb->dead) {
		ret = -EIDRM;
	} else if (!reg) {
		reg = take_registration(mb, NULL, task_tgid(current));
	} else if (mb->watch->reg && !is_stale(mb->watch->reg)) {
		ret = -EBUSY;
	} else {
		swap(mb->watch->reg, reg);
		mbx_watch_update(mb);
	}
	spin_unlock(&mb->lock);
	registration_free(reg);
	return ret;
}

/**
 * mbx_registration_destroyed() - the mailbox is destroyed
 * @mb: the mailbox
 *
 * Return: the registration, for mbx_registration_run() without the lock, or NULL.
 */
struct mbx_registration *mbx_registration_destroyed(struct mailbox *mb)
{
	lockdep_assert_held(&mb->lock);
	return take_registration(mb, NULL, NULL);
}

/**
 * mbx_registration_expelled() - a handle can receive nothing more
 * @mb: the mailbox
 * @handle: the reader of the handle
 *
 * Return: its registration, for mbx_registration_run() without the lock, or NULL.
 */
struct mbx_registration *mbx_registration_expelled(struct mailbox *mb,
						   const struct mbx_reader *handle)
{
	lockdep_assert_held(&mb->lock);
	return take_registration(mb, handle, NULL);
}

static bool is_exiting(const struct task_struct *task)
{
	/* Another thread may change it concurrently: either value will do. */
	return data_race(task->flags) & PF_EXITING;
}

static bool is_blocked(struct task_struct *task, int signo)
{
	/* Likewise. */
	return data_race(sigismember(&task->blocked, signo));
}

/* The thread of the registered process that gets the signal, or NULL. */
static struct task_struct *choose_thread(const struct mbx_registration *reg)
{
	struct task_struct *leader = registration_leader(reg), *t, *found;
	unsigned int n = 0;

	if (!leader)
		return NULL;
	found = pid_task(reg->thread, PIDTYPE_PID);
	if (found && is_exiting(found))
		found = NULL;
	for_each_thread(leader, t) {
		if (n++ == THREADS_AT_MOST)
			break;
		if (is_exiting(t))
			continue;
		if (!is_blocked(t, reg->signo))
			return t;
		if (!found)
			found = t;
	}
	return found;
}

/*
 * Whether it takes few steps to send a signal. Those that stop, continue or end a process
 * reach each of its threads, and each signal wakes all who wait for a signalfd. How long the
 * lock of the handlers is held otherwise is up to the process, which can make many signals
 * pending for example.
 *
 * That lock is not held. A process that takes away its handler meanwhile is
 * ended by the signal, so it does so once.
 */
static bool is_short(struct task_struct *task, int signo)
{
	struct sighand_struct *sighand = rcu_dereference(task->sighand);

	if (!sighand || sig_kernel_only(signo) || sig_kernel_stop(signo) || signo == SIGCONT)
		return false;
	/* Without a barrier: one that comes now is woken, too; there are not many at once. */
	if (waitqueue_active(&sighand->signalfd_wqh))
		return false;
	/* What is left is a race of a few instructions. */
	if (spin_is_locked(&sighand->siglock))
		return false;
	/* Another thread may change it concurrently: see above. */
	return data_race(sighand->action[signo - 1].sa.sa_handler) != SIG_DFL;
}

/* Returns false, and sends nothing, if that would take long and @locked is set. */
static bool send_signal(const struct mbx_registration *reg, const struct mbx_sender *sender,
			bool locked)
{
	struct kernel_siginfo info;
	struct task_struct *task;
	bool send;

	clear_siginfo(&info);
	info.si_signo = reg->signo;
	info.si_code = SI_MESGQ;
	info.si_value = reg->value;
	info.si_pid = pid_nr_ns(sender->pid, ns_of_pid(reg->owner));
	/* send_sig_info() translates it to the receiver's user namespace. */
	info.si_uid = from_kuid_munged(current_user_ns(), sender->uid);

	rcu_read_lock();
	task = choose_thread(reg);
	send = !locked || !task || is_short(task, reg->signo);
	if (task && send)
		send_sig_info(reg->signo, &info, task);
	rcu_read_unlock();
	return send;
}

/**
 * mbx_registration_arrived() - a message arrived that no receiver waits for
 * @mb: the mailbox
 * @msg: the message, which is in the mailbox
 * @to_notify: out: the registration, for mbx_registration_run() without the lock;
 *	unchanged if no process is to be notified
 *
 * The permission of the sender to signal the process is not checked: the process
 * asked for this signal.
 */
void mbx_registration_arrived(struct mailbox *mb, const struct mbx_message *msg,
			      struct mbx_registration **to_notify)
{
	u32 count = mb->stored.count;
	struct mbx_registration *reg;

	lockdep_assert_held(&mb->lock);
	/* If they can be received, blocked sends count as messages in the mailbox. */
	if (!mb->capacity || mb->held)
		count += mb->blocked_sends.count;
	/* A broadcast is new for every handle, even if others have unread messages. */
	if (count != 1 && !(mb->flags & MBOX_BROADCAST))
		return;
	reg = take_registration(mb, NULL, NULL);
	if (!reg)
		return;
	trace_mbox_notify(mb, reg->kind, reg->signo);
	if (reg->kind == MBOX_NOTIFY_SIGNAL && !send_signal(reg, msg->sender, true)) {
		refcount_inc(&msg->sender->refs);
		reg->sender = msg->sender;
	}
	*to_notify = reg;
}

/**
 * mbx_registration_run() - notify the process, and free the registration
 * @reg: the registration, taken from its mailbox because a message arrived, the mailbox
 *	was destroyed, or the handle was expelled
 *
 * Context: Process context, without mailbox.lock.
 */
void mbx_registration_run(struct mbx_registration *reg)
{
	/* A thread that waits for the eventfd has to learn of the end too. */
	if (reg->eventfd)
		mbx_eventfd_signal(reg->eventfd);
	else if (reg->sender)
		send_signal(reg, reg->sender, false);
	registration_free(reg);
}

/**
 * mbx_registration_flush() - a process closes a descriptor of a handle
 * @mb: the mailbox
 * @handle: the reader of the handle
 */
void mbx_registration_flush(struct mailbox *mb, const struct mbx_reader *handle)
{
	/* Pairs with the release in mbx_watch_make(). */
	struct mbx_watch *watch = smp_load_acquire(&mb->watch);
	struct mbx_registration *reg;

	/* A registration at the same time may come before or after this. */
	if (likely(!watch || !data_race(watch->reg)))
		return;
	spin_lock(&mb->lock);
	reg = take_registration(mb, handle, task_tgid(current));
	spin_unlock(&mb->lock);
	registration_free(reg);
}

/**
 * mbx_registration_release() - the last descriptor of a handle is closed
 * @mb: the mailbox
 * @handle: the reader of the handle
 */
void mbx_registration_release(struct mailbox *mb, const struct mbx_reader *handle)
{
	struct mbx_registration *reg;

	spin_lock(&mb->lock);
	reg = take_registration(mb, handle, NULL);
	spin_unlock(&mb->lock);
	registration_free(reg);
}

/**
 * mbx_registration_get() - get the registered process
 * @mb: the mailbox
 * @pid: out: the process, in the caller's pid namespace
 *
 * Return: the kind of notification; MBOX_NOTIFY_OFF: no process is registered.
 */
u32 mbx_registration_get(struct mailbox *mb, pid_t *pid)
{
	u32 kind = MBOX_NOTIFY_OFF;

	*pid = 0;
	spin_lock(&mb->lock);
	if (mb->watch && mb->watch->reg) {
		kind = mb->watch->reg->kind;
		*pid = pid_vnr(mb->watch->reg->owner);
	}
	spin_unlock(&mb->lock);
	return kind;
}
