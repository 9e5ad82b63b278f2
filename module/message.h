/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One message: its memory, its payload, who sent it.
 *
 * The header is kept at 64 bytes, so that a small message costs its payload
 * and one or two cache lines. What only some messages need stands in front of
 * the header, in struct mbox_message_ext.
 */
#ifndef MBOX_MESSAGE_H
#define MBOX_MESSAGE_H

#include <linux/kcsan-checks.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/uio.h>

struct mbox_fds;
struct mbox_share;
struct mbox_ticket;
struct mbox_user;
struct pid;

/* No allocation for a message is larger; longer payloads are chained. */
#define MBOX_CHUNK 4096U

/**
 * struct mbox_sender - who sent a message
 * @refs: the handle that caches it, and every message that names it
 * @pid: process
 * @euid: effective user id, which the receiver sees
 * @egid: effective group id, which the receiver sees
 * @uid: real user id, which is charged
 * @user: the account of @uid
 */
struct mbox_sender {
	refcount_t refs;
	kuid_t euid;
	kgid_t egid;
	kuid_t uid;
	struct pid *pid;
	struct mbox_user *user;
};

/* A piece of a payload that does not fit behind the header. */
struct mbox_chunk {
	struct mbox_chunk *next;
	u8 data[];
};

/* Has a struct mbox_message_ext. Never changes. */
#define MBOX_MSG_EXT 0x01
/* A sender waits in mailbox.syncers until this message is received. */
#define MBOX_MSG_ACK 0x02
/* A receiver holds it, copies it out, and will look at WITHDRAWN. */
#define MBOX_MSG_TRANSIT 0x04
/* Its sender gave up while it was in transit. */
#define MBOX_MSG_WITHDRAWN 0x08

/**
 * struct mbox_message - a message
 * @node: ring of the messages of one priority; the leader is its start
 * @rb: leader: in the tree of priorities; others: empty
 * @sender: who sent it, one reference
 * @type: what MBOX_MATCH compares
 * @len: bytes of payload
 * @prio: priority
 * @flags: MBOX_MSG_*; under mailbox.lock
 * @wprio: scheduling priority of the sender, while it is an offer
 * @data: the payload, or its beginning
 *
 * Once it can be seen by others, all but @node, @rb and @flags is constant.
 */
struct mbox_message {
	struct list_head node;
	struct rb_node rb;
	struct mbox_sender *sender;
	u64 type;
	u32 len;
	u16 prio;
	u8 flags;
	u8 wprio;
	u8 data[];
};

/**
 * struct mbox_message_ext - what some messages need in addition
 * @age: in mailbox.ages, if it has MBOX_DROP_OLDEST; under mailbox.lock
 * @seq: MBOX_BROADCAST: its number; under mailbox.lock
 * @cursors: MBOX_BROADCAST: handles that get it next; under mailbox.lock
 * @more: the rest of a long payload
 * @ticket: a request: its call, one reference; otherwise NULL
 * @fds: files that travel with it, or NULL
 * @share: MBOX_FAIR: its user's, one reference; otherwise NULL
 */
struct mbox_message_ext {
	union {
		struct list_head age;
		struct {
			u64 seq;
			u32 cursors;
		};
	};
	struct mbox_chunk *more;
	struct mbox_ticket *ticket;
	struct mbox_fds *fds;
	struct mbox_share *share;
};

static inline struct mbox_message_ext *mbox_ext(struct mbox_message *msg)
{
	return (struct mbox_message_ext *)msg - 1;
}

/* The call whose request this is, or NULL. */
static inline struct mbox_ticket *mbox_ticket_of(struct mbox_message *msg)
{
	if (likely(!(msg->flags & MBOX_MSG_EXT)))
		return NULL;
	return mbox_ext(msg)->ticket;
}

/**
 * struct mbox_buffer - memory of a program
 * @user: where it is, when @iter is NULL
 * @iter: or its pieces
 * @len: how long it is
 *
 * Most calls have one piece, and an iterator would cost them as much as the
 * copy of a small message.
 */
struct mbox_buffer {
	void __user *user;
	struct iov_iter *iter;
	size_t len;
};

/* Undo the progress that a failed copy has made in @buffer->iter. */
static inline void mbox_buffer_rewind(const struct mbox_buffer *buffer)
{
	if (buffer->iter)
		iov_iter_revert(buffer->iter,
				buffer->len - iov_iter_count(buffer->iter));
}

void mbox_sender_put(struct mbox_sender *sender);
struct mbox_message *mbox_message_alloc(struct mbox_sender **cache,
					spinlock_t *lock, u32 len, bool ext);
struct mbox_message *mbox_message_new(struct mbox_sender **cache,
				      spinlock_t *lock,
				      const struct mbox_buffer *from, bool ext);
int __mbox_message_copy_in(struct mbox_message *msg,
			   const struct mbox_buffer *from);
int __mbox_message_copy_out(struct mbox_message *msg,
			    const struct mbox_buffer *to);
void mbox_message_free(struct mbox_message *msg);

/* Whether there is a struct mbox_message_ext, for who does not hold the lock. */
static inline bool mbox_message_has_ext(const struct mbox_message *msg)
{
	/* Meanwhile others may change other bits, under the lock. */
	ASSERT_EXCLUSIVE_BITS(msg->flags, MBOX_MSG_EXT);
	return msg->flags & MBOX_MSG_EXT;
}

/**
 * mbox_message_copy_in() - copy a payload from user space
 * @msg: the message, with memory for that much
 * @from: the payload
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
static inline int mbox_message_copy_in(struct mbox_message *msg,
				       const struct mbox_buffer *from)
{
	if (unlikely(mbox_message_has_ext(msg) || from->iter))
		return __mbox_message_copy_in(msg, from);
	return copy_from_user(msg->data, from->user, from->len) ? -EFAULT : 0;
}

/**
 * mbox_message_copy_out() - copy a payload to user space
 * @msg: the message
 * @to: where to; takes as much as it has room for
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
static inline int mbox_message_copy_out(struct mbox_message *msg,
					const struct mbox_buffer *to)
{
	size_t len = min_t(size_t, msg->len, to->len);

	if (unlikely(mbox_message_has_ext(msg) || to->iter))
		return __mbox_message_copy_out(msg, to);
	return copy_to_user(to->user, msg->data, len) ? -EFAULT : 0;
}

#endif /* MBOX_MESSAGE_H */
