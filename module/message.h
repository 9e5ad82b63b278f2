/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One message: its memory, its payload, its sender.
 *
 * The header takes 80 bytes, so that a small message costs two cache lines.
 * Fields that only some messages need are in struct mbx_message_ext, in front of the
 * header.
 */
#ifndef MBX_MESSAGE_H
#define MBX_MESSAGE_H

#include <linux/kcsan-checks.h>
#include <linux/list.h>
#include <linux/mbox.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/uio.h>

#include "sender.h"
#include "user_copy.h"

struct mbx_entry;
struct mbx_fds;
struct mbx_lifespan;
struct mailbox;
struct mbx_share;
struct mbx_transaction;
struct mbx_user;

/* No allocation for a message is larger; longer payloads are chained. */
#define MBX_CHUNK 4096U

/*
 * How many messages of a batch are handled together: copied in and stored, or copied out
 * and freed.
 */
#define MBX_SOME 8

/*
 * A piece of a payload that does not fit behind the header. The last one has the payload
 * alone.
 */
struct mbx_chunk {
	struct mbx_chunk *next;
	u8 data[];
};

/* The message has a struct mbx_message_ext. Never changes. */
#define MBX_MSG_EXT 0x01
/* A sender waits in mailbox.accepted until this message is received. */
#define MBX_MSG_ACK 0x02
/* A receive call copies it, and checks WITHDRAWN afterwards. */
#define MBX_MSG_TRANSIT 0x04
/* Its sender gave up while the message was TRANSIT. */
#define MBX_MSG_WITHDRAWN 0x08
/* At least one struct mbx_peek in mailbox.peeks points to it. */
#define MBX_MSG_PEEKED 0x10
/*
 * It was released while it was PEEKED: the last call that peeks at it frees it. Only
 * without TRANSIT, so it shares the bit of WITHDRAWN; mbx_message_released() checks it.
 */
#define MBX_MSG_RELEASED MBX_MSG_WITHDRAWN
/* The mailbox has MBOX_HANGUP: in flight, it counts in mailbox.in_flight. */
#define MBX_MSG_HANGUP 0x20
/* It is in no queue, and @entry is its entry for an index, already charged. */
#define MBX_MSG_ENTRY 0x40
/* Its struct mbx_message_ext holds more than a long payload. Never changes. */
#define MBX_MSG_SPECIAL 0x80
/* It has been on lease: @deliveries is not 0. */
#define MBX_MSG_AGAIN 0x100
/* A handle has it on lease, or it comes back later. */
#define MBX_MSG_LEASED 0x200
/* It is in a queue, and a message that is behind it there begins a segment (queue.h). */
#define MBX_MSG_SEALED 0x400
/* Whatever is to free it moves it to the dead-letter mailbox instead (dead_letter.c). */
#define MBX_MSG_LETTER 0x800
/* Its sender has tried to make a copy for the history of the mailbox. */
#define MBX_MSG_COPIED 0x1000

/*
 * With one of these flags, a receive call has more to do than to copy the message:
 * the sender waits for the receipt; a call with MBOX_PEEK may be copying the message
 * too; it is a request or has files; receivers wait for it to be received; or the
 * receiver learns how often it has been delivered.
 */
#define MBX_MSG_UNUSUAL \
	(MBX_MSG_ACK | MBX_MSG_PEEKED | MBX_MSG_SPECIAL | MBX_MSG_HANGUP | MBX_MSG_AGAIN)
/* With one of these, the call takes the lock again when it has copied the message. */
#define MBX_MSG_COMPLETED (MBX_MSG_ACK | MBX_MSG_PEEKED | MBX_MSG_HANGUP)

/**
 * struct mbx_message - a message
 * @node: in the circular list of the messages of one rank; under mailbox.lock. Of a spare
 *	message (message.c), @node.next is the next one, and @type, @prio and @wprio say
 *	what it can be used for
 * @rb: in the tree of ranks if the message is a leader; otherwise empty; under
 *	mailbox.lock
 * @entry: MBX_MSG_ENTRY: the entry; under mailbox.lock
 * @sender: the sender, one reference
 * @type: what MBOX_MATCH compares
 * @arrival: its place in the order in which the mailbox accepted its messages, and when
 *	that was (MBX_ARRIVAL_SHIFT); set when it is accepted, under mailbox.lock
 * @len: length of the payload
 * @prio: priority
 * @deliveries: MBX_MSG_AGAIN: how often it has been on lease; under mailbox.lock
 * @flags: MBX_MSG_*; under mailbox.lock
 * @wprio: scheduling priority of the sender, while the message is in
 *	mailbox.blocked_sends; its place in mailbox.waited, once a receiver has taken it;
 *	under mailbox.lock
 * @data: the payload, or its beginning
 *
 * The other fields are constant once other calls can find the message.
 */
struct mbx_message {
	struct list_head node;
	union {
		struct rb_node rb;
		struct mbx_entry *entry;
	};
	struct mbx_sender *sender;
	u64 type;
	u64 arrival;
	u32 len;
	u16 prio;
	u16 wprio;
	u32 deliveries;
	u32 flags;
	u8 data[];
};

/**
 * struct mbx_message_ext - fields that only some messages need
 * @arrival: MBOX_DROP_OLDEST without MBOX_BROADCAST: in mailbox.arrival_list; under
 *	mailbox.lock
 * @seq: MBOX_BROADCAST: its number; under mailbox.lock
 * @cursors: MBOX_BROADCAST: number of handles that read it next; under mailbox.lock
 * @choosers: likewise, of them those with another policy than the mailbox
 * @more: the rest of a long payload
 * @txn: MBX_MSG_SPECIAL: the transaction of a request, one reference; otherwise NULL
 * @fds: MBX_MSG_SPECIAL: files in the message, or NULL
 * @lifespan: MBX_MSG_SPECIAL: its lifespan, or NULL
 * @copy: MBX_MSG_SPECIAL: its copy for the history of the mailbox, or NULL; under
 *	mailbox.lock
 * @payer: MBX_MSG_SPECIAL: the user that is charged for it instead of @sender, or NULL
 * @own: MBOX_DROP_OLDEST: in @share->own; under mailbox.lock
 * @share: MBOX_FAIR, MBOX_DROP_OLDEST: the share of its user, one reference;
 *	otherwise NULL
 * @cost: memory of the message
 * @nfds: MBX_MSG_SPECIAL: number of files that came in the message
 */
struct mbx_message_ext {
	union {
		struct list_head arrival;
		struct {
			u64 seq;
			u32 cursors;
			u32 choosers;
		};
	};
	struct mbx_chunk *more;
	struct mbx_transaction *txn;
	struct mbx_fds *fds;
	struct mbx_lifespan *lifespan;
	struct mbx_message *copy;
	struct mbx_user *payer;
	struct list_head own;
	struct mbx_share *share;
	unsigned int cost;
	unsigned int nfds;
};

static inline struct mbx_message_ext *mbx_ext(struct mbx_message *msg)
{
	return (struct mbx_message_ext *)msg - 1;
}

/* The message that an extension belongs to. */
static inline struct mbx_message *mbx_ext_message(struct mbx_message_ext *ext)
{
	return (struct mbx_message *)(ext + 1);
}

/* Give a message that is in no queue its entry for an index. */
static inline void mbx_message_give_entry(struct mbx_message *msg,
					  struct mbx_entry *entry)
{
	msg->entry = entry;
	msg->flags |= MBX_MSG_ENTRY;
}

/* Undo mbx_message_give_entry(). Return the entry, or NULL. */
static inline struct mbx_entry *
mbx_message_take_entry(struct mbx_message *msg)
{
	if (likely(!(msg->flags & MBX_MSG_ENTRY)))
		return NULL;
	msg->flags &= ~MBX_MSG_ENTRY;
	return msg->entry;
}

/* The transaction of a request, or NULL. */
static inline struct mbx_transaction *mbx_transaction_of(struct mbx_message *msg)
{
	if (likely(!(msg->flags & MBX_MSG_SPECIAL)))
		return NULL;
	return mbx_ext(msg)->txn;
}

/**
 * struct mbx_buffer - a buffer in user space
 * @user: its address, if @iter is NULL
 * @iter: its pieces, or NULL
 * @len: its length
 *
 * Most calls have one piece. For them an iterator would cost as much as the copy of
 * a small message.
 */
struct mbx_buffer {
	void __user *user;
	struct iov_iter *iter;
	size_t len;
};

/* Rewind @buffer->iter after a copy that failed. */
static inline void mbx_buffer_rewind(const struct mbx_buffer *buffer)
{
	if (buffer->iter)
		iov_iter_revert(buffer->iter,
				buffer->len - iov_iter_count(buffer->iter));
}

struct mbx_message *mbx_message_new(struct mbx_outlet *outlet,
				    const struct mbx_buffer *from, bool ext);
struct mbx_message *mbx_message_of(struct mbx_outlet *outlet, void __user *user, size_t len);
unsigned int mbx_messages_of(struct mbx_outlet *outlet, const struct mbox_msg *msgs,
			     unsigned int n, struct mbx_message **made);
struct mbx_message *mbx_message_for(struct mbx_sender *sender,
				    const struct mbx_buffer *from,
				    bool unlimited);
struct mbx_message *mbx_message_with_ext(struct mbx_sender *sender,
					 const struct mbx_buffer *from, bool unlimited,
					 bool reserved);
bool __mbx_message_copy_from(struct mbx_message *msg, void __user *user);
bool __mbx_message_copy_to(struct mbx_message *msg, void __user *user);
int __mbx_message_copy_in(struct mbx_message *msg,
			  const struct mbx_buffer *from);
int __mbx_message_copy_out(struct mbx_message *msg,
			   const struct mbx_buffer *to);
unsigned int mbx_message_cost(u32 len, bool ext);
struct mbx_message *mbx_message_stage(struct mbx_sender *sender,
				      const struct mbx_buffer *from);
struct mbx_message *mbx_message_copy(struct mbx_message *msg, struct mbx_user *payer);
void mbx_message_charge(struct mbx_message *msg, unsigned int cost);
int mbx_message_add_entry(struct mbx_message *msg, bool unasked);
void mbx_message_free(struct mbx_message *msg);
void mbx_message_received(struct mailbox *mb, struct mbx_message *msg);
void mbx_messages_received(struct mailbox *mb, struct mbx_message **msgs, unsigned int n);
void mbx_message_free_spares(struct mailbox *mb);
void mbx_message_init(void);

/* Whether the last call that peeks at a message is to free it. */
static inline bool mbx_message_released(const struct mbx_message *msg)
{
	return (msg->flags & (MBX_MSG_RELEASED | MBX_MSG_TRANSIT)) == MBX_MSG_RELEASED;
}

/* Whether there is a struct mbx_message_ext. For callers without mailbox.lock. */
static inline bool mbx_message_has_ext(const struct mbx_message *msg)
{
	/* Other threads may change other bits at the same time, under the lock. */
	ASSERT_EXCLUSIVE_BITS(msg->flags, MBX_MSG_EXT);
	return msg->flags & MBX_MSG_EXT;
}

/**
 * mbx_message_copy_in() - copy a payload from user space
 * @msg: the message, with memory for the whole payload
 * @from: the payload
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
static inline int mbx_message_copy_in(struct mbx_message *msg,
				      const struct mbx_buffer *from)
{
	if (unlikely(mbx_message_has_ext(msg) || from->iter))
		return __mbx_message_copy_in(msg, from);
	return mbx_copy_from_user(msg->data, from->user, from->len) ? 0 : -EFAULT;
}

/**
 * mbx_message_copy_from() - copy a payload from user space
 * @msg: the message
 * @user: the payload, of the message's length
 *
 * Context: Process context, may sleep.
 * Return: whether all of it was copied.
 */
static inline bool mbx_message_copy_from(struct mbx_message *msg, void __user *user)
{
	if (unlikely(mbx_message_has_ext(msg)))
		return __mbx_message_copy_from(msg, user);
	return mbx_copy_from_user(msg->data, user, msg->len);
}

/**
 * mbx_message_copy_to() - copy a payload to user space
 * @msg: the message
 * @user: the receiver's buffer, which is long enough
 *
 * Context: Process context, may sleep.
 * Return: whether all of it was copied.
 */
static inline bool mbx_message_copy_to(struct mbx_message *msg, void __user *user)
{
	if (unlikely(mbx_message_has_ext(msg)))
		return __mbx_message_copy_to(msg, user);
	return mbx_copy_to_user(user, msg->data, msg->len);
}

/**
 * mbx_message_copy_out() - copy a payload to user space
 * @msg: the message
 * @to: the receiver's buffer; a payload that is longer is cut
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EFAULT.
 */
static inline int mbx_message_copy_out(struct mbx_message *msg,
				       const struct mbx_buffer *to)
{
	size_t len = min_t(size_t, msg->len, to->len);

	if (unlikely(mbx_message_has_ext(msg) || to->iter))
		return __mbx_message_copy_out(msg, to);
	return mbx_copy_to_user(to->user, msg->data, len) ? 0 : -EFAULT;
}

/**
 * mbx_note_flag() - add a flag to the structure that a receive call fills in
 * @umsg: the structure in user space
 * @flag: the flag to add
 *
 * If the address is no longer mapped, nothing can read the flag either: ignore the
 * fault.
 */
static inline void mbx_note_flag(struct mbox_msg __user *umsg, u32 flag)
{
	u32 flags;

	if (!get_user(flags, &umsg->flags))
		put_user(flags | flag, &umsg->flags);
}

#endif /* MBX_MESSAGE_H */
