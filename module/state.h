/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The present state of a mailbox that decides whether a call succeeds, waits or
 * fails. All of it is under mailbox.lock.
 */
#ifndef MBX_STATE_H
#define MBX_STATE_H

#include <linux/pid.h>
#include <linux/sched/signal.h>

#include "mailbox.h"

static inline bool mbx_has_room(const struct mailbox *mb)
{
	return mb->stored.count < mb->capacity;
}

/* Whether calls wait for a message to be delivered to them. */
static inline bool mbx_receivers_wait(const struct mailbox *mb)
{
	if (likely(!mb->waiting_receivers))
		return false;
	return !RB_EMPTY_ROOT(&mb->receivers.rb_root) ||
	       !RB_EMPTY_ROOT(&mb->choosers);
}

static inline bool mbx_drops(const struct mailbox *mb)
{
	return mb->flags & (MBOX_DROP_OLDEST | MBOX_DROP_NEWEST);
}

/* Whether all threads of a process have exited, even if it is still a zombie. */
static inline bool mbx_has_exited(struct pid *pid)
{
	struct task_struct *task;
	bool exited;

	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_TGID);
	exited = !task || !atomic_read(&task->signal->live);
	rcu_read_unlock();
	return exited;
}

/*
 * MBOX_HANGUP: there were receivers, and none is left. A busy system can delay the
 * work item that tells a direct link that its process has exited. The parent, once it
 * has waited for the process, relies on the exit; so this checks the process itself.
 */
static inline bool mbx_no_receivers(const struct mailbox *mb)
{
	if (likely(!(mb->flags & MBOX_HANGUP)))
		return false;
	return mbx_receivers_gone(mb) ||
	       (mb->direct && mbx_has_exited(mb->receiver_pid));
}

/* MBOX_HANGUP: there were senders, and none is left. */
static inline bool mbx_no_senders(const struct mailbox *mb)
{
	if (likely(!(mb->flags & MBOX_HANGUP)))
		return false;
	return mbx_senders_gone(mb) ||
	       (mb->direct && mbx_has_exited(mb->sender_pid));
}

/*
 * MBOX_HANGUP: no receiver will get a message that is not stored. A message in flight
 * can still be put back.
 */
static inline bool mbx_at_end(const struct mailbox *mb)
{
	return mbx_no_senders(mb) && !mb->in_flight;
}

#endif /* MBX_STATE_H */
