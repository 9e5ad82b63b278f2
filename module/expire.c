// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a lifespan: the message leaves the mailbox, calls that wait with it fail with
 * EPIPE, and other senders have its place.
 *
 * Only a message in a queue is dropped. What a receiver has taken it may keep; if it comes
 * back after its time, it is dropped then (mbx_put_back()).
 */
#include "expire.h"
#include "trace.h"

/**
 * mbx_expire_taken() - drop a message that is in no queue
 * @mb: the mailbox
 * @msg: the message, which was accepted
 * @deferred: to be run without the lock
 */
void mbx_expire_taken(struct mailbox *mb, struct mbx_message *msg,
		      struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	mb->expired++;
	trace_mbox_expire(mb, msg);
	mbx_drop_taken(mb, msg, -EPIPE, deferred);
}

/**
 * mbx_expire_blocked() - drop the message of a sender that waits for room or a receiver
 * @mb: the mailbox
 * @msg: the message, in mailbox.blocked_sends
 * @deferred: to be run without the lock
 */
void mbx_expire_blocked(struct mailbox *mb, struct mbx_message *msg,
			struct mbx_deferred *deferred)
{
	lockdep_assert_held(&mb->lock);
	mbx_count_sent(mb, msg);
	mb->expired++;
	trace_mbox_expire(mb, msg);
	mbx_fail_blocked_send(mb, msg, -EPIPE, deferred);
}

/**
 * mbx_expire_some() - drop some messages whose lifespan has ended, and start the timer
 * @mb: a mailbox with lifespans
 * @deferred: to be run without the lock
 *
 * If there are more, the timer expires at once; a caller that cannot wait for it calls
 * this again.
 */
void mbx_expire_some(struct mailbox *mb, struct mbx_deferred *deferred)
{
	struct mbx_message *msg;
	bool room = false;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	/* For a message or, in poll(2), for an event. */
	deferred->waits = true;
	for (n = 0; n < MBX_DROP_AT_ONCE; n++) {
		/* One more task would make mbx_waiter_complete() wake these here. */
		if (deferred->ntasks == ARRAY_SIZE(deferred->tasks))
			break;
		msg = mbx_lifespan_first_over(mb);
		if (!msg)
			break;
		if (mbx_lifespan_of(msg)->blocked) {
			mbx_expire_blocked(mb, msg, deferred);
			/* Others may have waited behind this one. */
			room |= mb->store_flags & MBX_STORE_BYTES;
			continue;
		}
		mbx_unstore(mb, msg);
		mbx_expire_taken(mb, msg, deferred);
		room = true;
	}
	if (room && !mb->dead)
		mbx_room_made(mb, deferred);
	mbx_lifespans_start_timer(mb);
}

/**
 * mbx_expire_rounds() - how often mbx_expire_some() has to be called at most
 * @mb: the mailbox
 *
 * Each call drops a message if the lifespan of one has ended. So after that many calls, every
 * message is gone whose lifespan had ended before. Other threads may send as many again
 * meanwhile.
 *
 * Context: Any.
 */
u64 mbx_expire_rounds(const struct mailbox *mb)
{
	/* Data races: without the lock, a number may be old by a few messages. */
	return 1 + (u64)data_race(mb->stored.count) + data_race(mb->blocked_sends.count);
}

/* mbx_expire() of a mailbox with lifespans. */
void __mbx_expire(struct mailbox *mb)
{
	struct mbx_deferred deferred;
	u64 left = mbx_expire_rounds(mb);
	bool more;

	do {
		mbx_deferred_init(&deferred);
		spin_lock(&mb->lock);
		mbx_expire_some(mb, &deferred);
		more = mbx_has_expired(mb);
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		cond_resched();
	} while (more && --left && !fatal_signal_pending(current));
}

/* The work that the timer schedules. */
void mbx_expire_work(struct work_struct *work)
{
	__mbx_expire(container_of(work, struct mbx_lifespans, work)->mb);
}
