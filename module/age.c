// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long messages wait.
 *
 * The first message of each priority is the oldest of it. So the oldest message of the
 * mailbox is one of those that lead a priority. Their number is that of the priorities in
 * use, whatever the depth, and no send or receive call keeps a structure for it: the
 * leaders are walked when somebody asks, some in each hold of the lock.
 */
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/time64.h>

#include "age.h"
#include "compat.h"

/* How many priorities are looked at in one hold of the lock. */
#define LEADERS_AT_ONCE 32

/* The jiffies since a message was accepted, 0 if it ran ahead of the time. */
static u64 age_of(u64 arrival)
{
	u64 then = arrival >> MBX_ARRIVAL_SHIFT, now = mbx_jiffy();

	return now > then ? now - then : 0;
}

/*
 * The place of a message in mailbox.waited: 0 for less than a millisecond, and i for 2^(i-1)
 * milliseconds or more, but less than 2^i. The last place is for all that waited longer.
 */
static unsigned int bucket_of(const struct mbx_message *msg)
{
	u64 ms = jiffies64_to_msecs(age_of(msg->arrival));

	return min(fls64(ms), MBOX_WAIT_BUCKETS - 1);
}

/* mbx_count_received() of a message that was accepted in an earlier jiffy. */
noinline void mbx_count_wait(struct mailbox *mb, struct mbx_message *msg)
{
	lockdep_assert_held(&mb->lock);
	msg->wprio = bucket_of(msg);
	mb->waited[msg->wprio]++;
}

/**
 * mbx_uncount_received() - a message was not received after all
 * @mb: the mailbox, without MBOX_BROADCAST
 * @msg: the message
 */
void mbx_uncount_received(struct mailbox *mb, const struct mbx_message *msg)
{
	lockdep_assert_held(&mb->lock);
	mb->received--;
	mb->waited[msg->wprio]--;
}

/* The next leader in the order of the queue; @rank is that of the one before. */
static struct mbx_message *leader_below(const struct mbx_queue *queue, u32 rank)
{
	struct rb_node *node = queue->leaders.rb_root.rb_node;
	struct mbx_message *leader, *found = NULL;

	while (node) {
		leader = rb_entry(node, struct mbx_message, rb);
		if (mbx_queue_rank(queue, leader) < rank) {
			found = leader;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

/*
 * Look at some leaders below *@rank, and set *@rank to that of the last one. Return
 * whether there are more.
 */
static bool look_at_some(const struct mailbox *mb, u32 *rank, u64 *oldest)
{
	const struct mbx_queue *queue = &mb->stored;
	struct mbx_message *leader;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	/* Broadcasts are in the order of arrival, and each is a leader. */
	if (mb->flags & MBOX_BROADCAST) {
		leader = mbx_queue_first(queue);
		if (leader)
			*oldest = leader->arrival;
		return false;
	}
	leader = leader_below(queue, *rank);
	for (n = 0; leader && n < LEADERS_AT_ONCE; n++) {
		struct rb_node *next = rb_next(&leader->rb);

		*rank = mbx_queue_rank(queue, leader);
		*oldest = min(*oldest, leader->arrival);
		leader = next ? rb_entry(next, struct mbx_message, rb) : NULL;
	}
	return leader;
}

/**
 * mbx_oldest_age() - the age of the oldest message in a mailbox
 * @mb: the mailbox
 *
 * A message that was put back counts from when it was accepted first.
 *
 * Context: Process context, may sleep.
 * Return: nanoseconds, as exact as a jiffy; 0: there is none, or it is younger than that.
 */
u64 mbx_oldest_age(struct mailbox *mb)
{
	u64 oldest = U64_MAX;
	u32 rank = U32_MAX;
	bool more;

	do {
		spin_lock(&mb->lock);
		more = look_at_some(mb, &rank, &oldest);
		spin_unlock(&mb->lock);
		cond_resched();
	} while (more);
	return oldest == U64_MAX ? 0 : jiffies64_to_nsecs(age_of(oldest));
}

/* ---- the time of the last send ----------------------------------------------- */

/*
 * A send only notes the tick. The time is computed when it is first asked for, or before a
 * message that is not sent takes a number. It is then kept in the inode, so that it does
 * not change with corrections of the clock.
 */
void mbx_note_last_sent(struct mailbox *mb)
{
	struct timespec64 now, ago;
	u64 sent_at;

	lockdep_assert_held(&mb->lock);
	if (mb->mtime_arrival == mb->last_arrival)
		return;
	mb->mtime_arrival = mb->last_arrival;
	sent_at = mb->last_arrival >> MBX_ARRIVAL_SHIFT;
	ktime_get_coarse_real_ts64(&now);
	/* The number can be ahead of the time. */
	if (mbx_jiffy() > sent_at) {
		jiffies_to_timespec64(mbx_jiffy() - sent_at, &ago);
		now = timespec64_sub(now, ago);
	}
	mbx_inode_set_mtime(&mb->inode, now);
}

/**
 * mbx_arrive_again() - give a message that comes back the number of a new one
 * @mb: the mailbox
 * @msg: the message
 *
 * The time of the last send does not change.
 */
void mbx_arrive_again(struct mailbox *mb, struct mbx_message *msg)
{
	mbx_note_last_sent(mb);
	msg->arrival = mbx_next_arrival(mb);
	mb->mtime_arrival = mb->last_arrival;
}
