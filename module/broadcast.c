// SPDX-License-Identifier: GPL-2.0-only
/*
 * Broadcast: every receiving handle gets every message that is sent while it is
 * open, all in the same order.
 *
 * A message is stored once. The messages of the mailbox have consecutive
 * numbers, and the last one sent has mailbox.next_seq - 1; each handle, a
 * reader, knows the number of the message that it gets next. Each message counts
 * the readers who get it next (its cursors), and mailbox.caught_up those who
 * have got all. So a send does the same for one reader and for thousands, but
 * for waking those who sleep, and the first message can go when it has no
 * cursors: nobody is behind it.
 *
 * If the first message has to go although it has cursors (MBOX_DROP_OLDEST),
 * they go to the next one. Those readers see from their number what they lost
 * when they come.
 *
 * A message is taken by moving on, after it was copied: a reader looks at it
 * like a call with MBOX_PEEK, and then, if the handle is still where it was,
 * moves it. So a failed copy has changed nothing, and two threads with one
 * handle cannot both have a message: the slower one tries the next. Nobody is
 * handed a message here. All who wait are woken by the next message, since all
 * can have it, and look for themselves.
 */
#include "broadcast.h"
#include "exchange.h"
#include "fds.h"
#include "trace.h"

/* How many messages are freed before the lock is given to others. */
#define TRIM_AT_ONCE 256

/* Number of the first message that is left, or of the next that is sent. */
static u64 first_seq(const struct mailbox *mb)
{
	return mb->next_seq - mb->stored.count;
}

/* Number of the message that a reader gets next. */
static u64 position(const struct mailbox *mb, const struct mbox_reader *reader)
{
	lockdep_assert_held(&mb->lock);
	return max(reader->seq, first_seq(mb));
}

static struct mbox_message *find_seq(const struct mailbox *mb, u64 seq)
{
	struct rb_node *node = mb->stored.leaders.rb_root.rb_node;
	struct mbox_message *msg = mbox_queue_first(&mb->stored);

	/* Where the slowest reader is. */
	if (seq == first_seq(mb))
		return msg;
	while (node) {
		msg = rb_entry(node, struct mbox_message, rb);
		if (seq == mbox_ext(msg)->seq)
			return msg;
		node = seq < mbox_ext(msg)->seq ? node->rb_left : node->rb_right;
	}
	WARN_ON_ONCE(1);
	return NULL;
}

/* How many readers are behind @msg, to be changed. */
static u32 *cursors_behind(struct mailbox *mb, struct mbox_message *msg)
{
	struct rb_node *node = rb_next(&msg->rb);

	if (!node)
		return &mb->caught_up;
	return &mbox_ext(rb_entry(node, struct mbox_message, rb))->cursors;
}

/* Free what everybody has got. Return whether there may be more of it. */
static bool trim(struct mailbox *mb, struct mbox_after *after)
{
	struct mbox_message *msg;
	unsigned int n;

	lockdep_assert_held(&mb->lock);
	for (n = 0; n < TRIM_AT_ONCE; n++) {
		msg = mbox_queue_first(&mb->stored);
		if (!msg || mbox_ext(msg)->cursors)
			break;
		mbox_unstore(mb, msg);
		mbox_retire(mb, msg, after);
	}
	if (n)
		mbox_room_made(mb, after);
	return n == TRIM_AT_ONCE;
}

/* ---- handles come and go -------------------------------------------------- */

/**
 * mbox_broadcast_join() - a handle begins to receive
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the handle's
 */
void mbox_broadcast_join(struct mailbox *mb, struct mbox_reader *reader)
{
	lockdep_assert_held(&mb->lock);
	reader->seq = mb->next_seq;
	reader->lost = 0;
	mb->caught_up++;
}

/**
 * mbox_broadcast_leave() - a handle will receive no more
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the handle's
 *
 * To be followed by mbox_broadcast_trim().
 */
void mbox_broadcast_leave(struct mailbox *mb, struct mbox_reader *reader)
{
	u64 seq = position(mb, reader);

	lockdep_assert_held(&mb->lock);
	/* Then they are being freed. */
	if (mb->dead)
		return;
	if (seq == mb->next_seq)
		mb->caught_up--;
	else
		mbox_ext(find_seq(mb, seq))->cursors--;
}

/**
 * mbox_broadcast_trim() - free what only the handle that has left did not have
 * @mb: a mailbox with MBOX_BROADCAST
 *
 * Context: Process context, without mailbox.lock.
 */
void mbox_broadcast_trim(struct mailbox *mb)
{
	struct mbox_after after;
	bool more;

	do {
		mbox_after_init(&after);
		spin_lock(&mb->lock);
		more = trim(mb, &after);
		spin_unlock(&mb->lock);
		mbox_after_run(mb, &after);
	} while (more);
}

/* ---- messages come and go ------------------------------------------------- */

/**
 * mbox_broadcast_store() - mbox_store() with MBOX_BROADCAST
 * @mb: the mailbox
 * @msg: the message, with a struct mbox_message_ext
 * @after: to be run without the lock
 *
 * Where nobody can receive, the message goes nowhere.
 */
void mbox_broadcast_store(struct mailbox *mb, struct mbox_message *msg,
			  struct mbox_after *after)
{
	struct mbox_message_ext *ext = mbox_ext(msg);

	lockdep_assert_held(&mb->lock);
	if (!mb->recv_handles) {
		mbox_retire(mb, msg, after);
		return;
	}
	ext->seq = mb->next_seq++;
	ext->cursors = mb->caught_up;
	mb->caught_up = 0;
	mbox_queue_add_last(&mb->stored, msg);
	if (mbox_report(mb, MBOX_POLL_IN, after))
		mbox_notice_arrived(mb, msg, after);
	after->everyone = true;
	mbox_wake_readers(mb, after);
}

/**
 * mbox_broadcast_unstore() - the first message goes
 * @mb: the mailbox
 * @msg: the message, which is still there
 *
 * Return: whether somebody did not get it.
 */
bool mbox_broadcast_unstore(struct mailbox *mb, struct mbox_message *msg)
{
	u32 cursors = mbox_ext(msg)->cursors;

	lockdep_assert_held(&mb->lock);
	*cursors_behind(mb, msg) += cursors;
	return cursors;
}

/* ---- receiving ------------------------------------------------------------ */

/**
 * mbox_broadcast_unread() - how many messages a handle can receive
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the handle's
 */
u64 mbox_broadcast_unread(struct mailbox *mb, const struct mbox_reader *reader)
{
	return mb->next_seq - position(mb, reader);
}

/**
 * mbox_broadcast_lost() - how many messages were dropped before a handle had
 * them
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the handle's
 */
u64 mbox_broadcast_lost(struct mailbox *mb, const struct mbox_reader *reader)
{
	return reader->lost + position(mb, reader) - reader->seq;
}

/**
 * struct look - a message that is looked at, and perhaps taken
 * @peek: it cannot be freed meanwhile
 * @seq: its number
 * @lost: how many the reader lost before it
 */
struct look {
	struct mbox_peek peek;
	u64 seq;
	u64 lost;
};

/* Return 0 and @look, 1: there is nothing, and the call may wait; or an error. */
static int begin(struct mailbox *mb, struct mbox_reader *reader,
		 const struct mbox_match *match, const struct mbox_call *call,
		 size_t room, struct look *look)
{
	struct mbox_message *msg;
	u64 lost;

	lockdep_assert_held(&mb->lock);
	if (mb->dead)
		return -EIDRM;
	lost = mbox_broadcast_lost(mb, reader);
	reader->seq = position(mb, reader);
	reader->lost = lost;
	if (match->skip >= mb->next_seq - reader->seq) {
		if (mbox_no_senders(mb))
			return -EPIPE;
		return call->again ?: 1;
	}
	look->seq = reader->seq + match->skip;
	look->lost = lost;
	msg = find_seq(mb, look->seq);
	if (msg->len > room)
		return -EMSGSIZE;
	mbox_begin_look(mb, &look->peek, msg);
	return 0;
}

/* It was copied: take it. Return whether it was still to be had. */
static bool take(struct mailbox *mb, struct mbox_reader *reader,
		 struct look *look, struct mbox_after *after)
{
	struct mbox_message *msg = look->peek.msg;

	lockdep_assert_held(&mb->lock);
	if (mb->dead || reader->seq != look->seq)
		return false;
	/* If it was dropped meanwhile, its cursors have gone on already. */
	if (look->seq >= first_seq(mb)) {
		mbox_ext(msg)->cursors--;
		++*cursors_behind(mb, msg);
	}
	reader->seq++;
	reader->lost = 0;
	mb->received++;
	trace_mbox_recv(mb, msg);
	trim(mb, after);
	return true;
}

/* The files of a message are given to all, so they stay with it. */
static void deliver_fds(struct mbox_message *msg,
			const struct mbox_receipt *receipt)
{
	struct mbox_fds *fds = mbox_fds_of(msg);

	if (fds)
		mbox_fds_deliver(fds, receipt->fds, receipt->nfds,
				 receipt->umsg, receipt->usize);
}

/* Copy and take. Return the length, an error, or -EAGAIN: try the next one. */
static ssize_t finish(struct mailbox *mb, struct mbox_reader *reader,
		      const struct mbox_receipt *receipt,
		      const struct mbox_call *call, struct look *look)
{
	struct mbox_message *msg = look->peek.msg;
	bool peek = call->flags & MBOX_PEEK;
	struct mbox_after after;
	ssize_t ret;

	ret = mbox_copy_out(msg, 0, look->lost, receipt);
	if (!ret && !peek && mbox_fds_of(msg))
		ret = mbox_fds_prepare(mbox_fds_of(msg), receipt->fds,
				       receipt->nfds);
	if (!ret && !peek) {
		mbox_after_init(&after);
		spin_lock(&mb->lock);
		if (!take(mb, reader, look, &after))
			ret = -EAGAIN;
		spin_unlock(&mb->lock);
		mbox_after_run(mb, &after);
	}
	if (ret) {
		mbox_undo_copy_out(receipt);
	} else {
		ret = msg->len;
		if (!peek)
			deliver_fds(msg, receipt);
		if (look->lost && receipt->umsg)
			mbox_note_flag(receipt->umsg, MBOX_LOST);
	}
	mbox_end_look(mb, &look->peek);
	return ret;
}

/**
 * mbox_broadcast_recv() - mbox_recv() with MBOX_BROADCAST
 * @mb: where from
 * @reader: the handle's
 * @receipt: where to put it
 * @match: only @match->skip is heeded
 * @call: how it may wait
 *
 * Context: Process context, may sleep.
 * Return: as mbox_recv(), and -EOPNOTSUPP for MBOX_MATCH.
 */
ssize_t mbox_broadcast_recv(struct mailbox *mb, struct mbox_reader *reader,
			    const struct mbox_receipt *receipt,
			    const struct mbox_match *match,
			    const struct mbox_call *call)
{
	size_t room = call->flags & MBOX_TRUNC ? SIZE_MAX : receipt->to.len;
	struct mbox_waiter w;
	struct look look;
	ssize_t ret;

	if (match->flags & MBOX_MATCH_FLAGS)
		return -EOPNOTSUPP;
	for (;;) {
		spin_lock(&mb->lock);
		ret = begin(mb, reader, match, call, room, &look);
		if (ret > 0) {
			mbox_waiter_init(&w, &mb->waiting_receivers);
			mbox_waiter_add(&mb->receivers, &w, false);
			trace_mbox_wait(mb, false);
		}
		spin_unlock(&mb->lock);

		if (ret < 0)
			return ret;
		if (ret > 0) {
			ret = mbox_wait(mb, &w, call);
			if (ret)
				return ret;
			continue;
		}
		ret = finish(mb, reader, receipt, call, &look);
		if (ret != -EAGAIN)
			return ret;
		/* Another thread with this handle was faster. */
	}
}
