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
	mb->waited[msg->wprio]--;
}

/**
 * mbx_received() - how many messages were received
 * @mb: the mailbox
 *
 * Each of them is in one place of mailbox.waited.
 */
u64 mbx_received(const struct mailbox *mb)
{
	u64 sum = 0;
	unsigned int i;

	lockdep_assert_held(&mb->lock);
	for (i = 0; i < MBOX_WAIT_BUCKETS; i++)
		sum += mb->waited[i];
	return sum;
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

/* ---- the times of the last send and receive ---------------------------------- */

/* The time of a jiffy. */
static struct timespec64 time_of(u64 jiffy)
{
	struct timespec64 now, ago;

	ktime_get_coarse_real_ts64(&now);
	/* The number of a message can be ahead of the time. */
	if (mbx_jiffy() <= jiffy)
		return now;
	jiffies_to_timespec64(mbx_jiffy() - jiffy, &ago);
	return timespec64_sub(now, ago);
}

/*
 * A send only notes the tick. The time is computed when it is first asked for, or before a
 * message that is not sent takes a number. It is then kept in the inode, so that it does
 * not change with corrections of the clock.
 */
void mbx_note_last_sent(struct mailbox *mb)
{
	lockdep_assert_held(&mb->lock);
	if (mb->mtime_arrival == mb->last_arrival)
		return;
	mb->mtime_arrival = mb->last_arrival;
	mbx_inode_set_mtime(&mb->inode, time_of(mb->last_arrival >> MBX_ARRIVAL_SHIFT));
}

/* Likewise a receive. */
void mbx_note_last_received(struct mailbox *mb)
{
	u64 received_at;

	lockdep_assert_held(&mb->lock);
	/* Pairs with mbx_note_receiver(), which can set another time at any moment. */
	received_at = READ_ONCE(mb->received_at);
	if (!received_at)
		return;
	mbx_inode_set_atime(&mb->inode, time_of(received_at));
	cmpxchg64(&mb->received_at, received_at, 0);
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
