// SPDX-License-Identifier: GPL-2.0-only
/*
 * Broadcast: every receiving handle gets every message that is sent while it is
 * open, all in the same order.
 *
 * Each handle has a position (reader.c). A receive call peeks at the message at that
 * position and copies it. If the handle has not moved in the meantime, the call then
 * advances it. A failed copy therefore changes nothing, and two threads that share a
 * handle never receive the same message: the slower thread tries the next one.
 *
 * No message is delivered to a waiting receiver here, since all receivers can have
 * it. A message wakes all waiting calls, and each of them reads from its own position.
 */
#include "age.h"
#include "broadcast.h"
#include "exchange.h"
#include "fds.h"
#include "history.h"
#include "trace.h"

/**
 * struct found - a message that a call copies and may take
 * @peek: keeps the message from being freed
 * @seq: its number
 * @lost: how many messages the reader lost before it
 * @lacks_copy: it has no copy for the history yet
 */
struct found {
	struct mbx_peek peek;
	u64 seq;
	u64 lost;
	bool lacks_copy;
};

/* Return 0 and @found; 1 if there is no message and the call may wait; or an error. */
static int begin(struct mailbox *mb, struct mbx_reader *reader,
		 const struct mbx_match *match, const struct mbx_wait_opts *opts,
		 size_t buf_len, struct found *found)
{
	struct mbx_message *msg;

	lockdep_assert_held(&mb->lock);
	if (mb->dead)
		return -EIDRM;
	mbx_reader_catch_up(mb, reader);
	msg = mbx_reader_find(mb, reader, match->skip);
	if (!msg) {
		if (mbx_reader_expelled(reader))
			return -ENOTCONN;
		if (mbx_at_end(mb, NULL))
			return -EPIPE;
		return opts->nowait_err ?: 1;
	}
	found->seq = reader->seq + match->skip;
	found->lost = reader->lost;
	if (msg->len > buf_len)
		return -EMSGSIZE;
	found->lacks_copy = mbx_history_lacks_copy(mb, msg);
	mbx_peek_begin(mb, &found->peek, msg);
	return 0;
}

/*
 * Take a message after the copy. *@copy is its copy for the history, or NULL; it is set to
 * NULL if the message gets it. Return false if the handle was moved meanwhile.
 */
static bool take(struct mailbox *mb, struct mbx_reader *reader, struct found *found,
		 struct mbx_message **copy, struct mbx_deferred *deferred)
{
	struct mbx_message *msg = found->peek.msg;

	lockdep_assert_held(&mb->lock);
	if (!mbx_reader_advance(mb, reader, msg, found->seq))
		return false;
	if (unlikely(*copy) && mbx_history_lacks_copy(mb, msg)) {
		mbx_ext(msg)->copy = *copy;
		*copy = NULL;
	}
	mbx_count_received(mb, msg);
	mbx_note_receiver(mb);
	trace_mbox_recv(mb, msg);
	mbx_drop_read(mb, deferred);
	return true;
}

/* Every receiver gets the files of a message, so the message keeps them. */
static void deliver_fds(struct mbx_message *msg,
			const struct mbx_recv_args *args)
{
	struct mbx_fds *fds = mbx_fds_of(msg);

	if (fds)
		mbx_fds_deliver(fds, args->fds, args->nfds,
				args->umsg, args->usize);
}

/*
 * Copy a message, and take it unless the call peeks. Return its length, an error, or
 * -EAGAIN if another thread moved the handle: try the next message.
 */
static ssize_t finish(struct mailbox *mb, struct mbx_reader *reader,
		      const struct mbx_recv_args *args,
		      const struct mbx_wait_opts *opts, struct found *found)
{
	struct mbx_message *msg = found->peek.msg;
	bool peek = opts->flags & MBOX_PEEK;
	struct mbx_message *copy = NULL;
	struct mbx_deferred deferred;
	ssize_t ret;

	ret = mbx_copy_out(msg, 0, found->lost, args);
	if (!ret && !peek && mbx_fds_of(msg))
		ret = mbx_fds_prepare(mbx_fds_of(msg), args->fds,
				      args->nfds);
	if (!ret && !peek) {
		if (unlikely(found->lacks_copy))
			copy = mbx_history_copy(mb, msg);
		mbx_deferred_init(&deferred);
		deferred.waits = args->batch;
		spin_lock(&mb->lock);
		if (!take(mb, reader, found, &copy, &deferred))
			ret = -EAGAIN;
		spin_unlock(&mb->lock);
		mbx_flush_deferred(mb, &deferred);
		if (unlikely(copy))
			mbx_message_free(copy);
	}
	if (ret) {
		mbx_undo_copy_out(args);
	} else {
		ret = msg->len;
		if (!peek)
			deliver_fds(msg, args);
		if (found->lost && args->umsg)
			mbx_note_flag(args->umsg, MBOX_LOST);
	}
	mbx_peek_end(mb, &found->peek);
	return ret;
}

/**
 * mbx_broadcast_recv() - receive a message from a mailbox with MBOX_BROADCAST
 * @mb: the mailbox
 * @reader: the position of the handle
 * @args: where the message goes
 * @match: only @match->skip is used
 * @opts: how the call may wait
 *
 * Context: Process context, may sleep.
 * Return: as mbx_recv(), and -EOPNOTSUPP if @match has one of MBX_MATCH_FLAGS.
 */
ssize_t mbx_broadcast_recv(struct mailbox *mb, struct mbx_reader *reader,
			   const struct mbx_recv_args *args,
			   const struct mbx_match *match,
			   const struct mbx_wait_opts *opts)
{
	size_t buf_len = opts->flags & MBOX_TRUNC ? SIZE_MAX : args->to.len;
	struct mbx_waiter w;
	struct found found;
	ssize_t ret;

	if (match->flags & (MBX_MATCH_FLAGS | MBOX_LEASE))
		return -EOPNOTSUPP;
	for (;;) {
		spin_lock(&mb->lock);
		ret = begin(mb, reader, match, opts, buf_len, &found);
		if (ret > 0) {
			w = (struct mbx_waiter){};
			mbx_waiter_init(&w, &mb->waiting_receivers);
			mbx_waiter_add_peeker(mb, &w);
			trace_mbox_wait(mb, false);
		}
		spin_unlock(&mb->lock);

		if (ret < 0)
			return ret;
		if (ret > 0) {
			ret = mbx_wait(mb, &w, opts);
			if (!ret)
				mbx_wake_next(mb);
		} else {
			ret = finish(mb, reader, args, opts, &found);
			if (ret != -EAGAIN)
				return ret;
			/* Another thread with this handle was faster. */
			ret = 0;
		}
		ret = ret ?: mbx_wait_goes_on(opts);
		if (ret)
			return ret;
	}
}
