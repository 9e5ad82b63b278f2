/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The present state of a mailbox that decides whether a call succeeds, waits or
 * fails. All of it is under mailbox.lock.
 */
#ifndef MBX_STATE_H
#define MBX_STATE_H

#include <linux/pid.h>
#include <linux/sched/signal.h>

#include "lease.h"
#include "mailbox.h"

static inline bool mbx_has_room(const struct mailbox *mb)
{
	return mb->stored.count < mb->limit;
}

/* Whether a message of that length is within mailbox.max_bytes. */
static inline bool mbx_has_bytes_for(const struct mailbox *mb, u32 len)
{
	if (likely(!mb->max_bytes))
		return true;
	return mb->stored.bytes + mb->held_bytes + len <= mb->max_bytes;
}

/* Whether a message of that length fits into the mailbox. */
static inline bool mbx_can_take(const struct mailbox *mb, u32 len)
{
	return mbx_has_room(mb) && mbx_has_bytes_for(mb, len);
}

/* Whether calls wait for a message to be delivered to them. */
static inline bool mbx_receivers_wait(const struct mailbox *mb)
{
	if (likely(!mb->waiting_receivers))
		return false;
	return !RB_EMPTY_ROOT(&mb->receivers.rb_root) ||
	       !RB_EMPTY_ROOT(&mb->choosers);
}

/*
 * Whether a message would be delivered to a receiver that waits, although there is no room
 * for it: without capacity, or while what is on lease takes the room.
 */
static inline bool mbx_passes_on(const struct mailbox *mb)
{
	return (!mb->limit || (mb->max_bytes && mb->held_bytes)) &&
	       mbx_receivers_wait(mb);
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
 * MBOX_HANGUP: a receiver will get no message that is not stored. A message in flight can
 * still be put back, and so can one that is on lease, except those of the receiver's own
 * handle: it is up to that handle to put them back. @own: its leases; NULL: any receiver.
 */
static inline bool mbx_at_end(const struct mailbox *mb, const struct mbx_leases *own)
{
	if (!mbx_no_senders(mb) || mb->in_flight)
		return false;
	return !mb->held || (own && mb->held == own->count);
}

/* The only handle with messages on lease, if nothing else can be put back, or NULL. */
static inline struct mbx_leases *mbx_only_lessee(const struct mailbox *mb)
{
	struct mbx_leases *first;

	if (hlist_empty(&mb->lessees))
		return NULL;
	first = hlist_entry(mb->lessees.first, struct mbx_leases, lessee);
	return first->count == mb->held ? first : NULL;
}

/*
 * Whether receivers take the messages of senders that wait for room. Without capacity
 * there are no others; and capacity that is on lease holds back senders, not receivers.
 */
static inline bool mbx_blocked_can_go(const struct mailbox *mb)
{
	return !mb->capacity || mb->held;
}

#endif /* MBX_STATE_H */
