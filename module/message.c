// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages: allocate, copy from and to user space, free.
 *
 * All memory is allocated in pieces of at most MBX_CHUNK bytes. So a message of a
 * megabyte does not depend on contiguous memory, and no user value sizes an
 * allocation.
 */
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "transaction.h"
#include "compat.h"
#include "fds.h"
#include "entry.h"
#include "limits.h"
#include "mailbox.h"
#include "message.h"
#include "share.h"

#define CHUNK_ROOM (MBX_CHUNK - sizeof(struct mbx_chunk))
#define PLAIN_ROOM (MBX_CHUNK - sizeof(struct mbx_message))
#define EXT_ROOM (PLAIN_ROOM - sizeof(struct mbx_message_ext))

/**
 * struct piece - a piece of a payload
 * @data: its memory
 * @size: how much it holds at most
 * @next: the next piece
 */
struct piece {
	u8 *data;
	size_t size;
	struct mbx_chunk *next;
};

static inline struct piece first_piece(struct mbx_message *msg)
{
	bool has_ext = mbx_message_has_ext(msg);

	return (struct piece){
		.data = msg->data,
		.size = has_ext ? EXT_ROOM : PLAIN_ROOM,
		.next = has_ext ? mbx_ext(msg)->more : NULL,
	};
}

static inline void go_to_next(struct piece *piece)
{
	piece->data = piece->next->data;
	piece->size = CHUNK_ROOM;
	piece->next = piece->next->next;
}

static int copy_from_iter_in(struct mbx_message *msg,
			     const struct mbx_buffer *from)
{
	struct piece piece = first_piece(msg);
	size_t n, left = from->len;

	for (;;) {
		n = min(piece.size, left);
		if (copy_from_iter(piece.data, n, from->iter) != n)
			return -EFAULT;
		left -= n;
		if (!left)
			return 0;
		go_to_next(&piece);
	}
}

static int copy_out_to_iter(struct mbx_message *msg,
			    const struct mbx_buffer *to)
{
	size_t n, left = min_t(size_t, msg->len, to->len);
	struct piece piece = first_piece(msg);

	for (;;) {
		n = min(piece.size, left);
		if (copy_to_iter(piece.data, n, to->iter) != n)
			return -EFAULT;
		left -= n;
		if (!left)
			return 0;
		go_to_next(&piece);
	}
}

/* mbx_message_copy_in() if the message or the buffer can have several pieces. */
int __mbx_message_copy_in(struct mbx_message *msg,
			  const struct mbx_buffer *from)
{
	void __user *user = from->user;
	struct mbx_chunk *chunk;
	size_t left, n;

	if (from->iter)
		return copy_from_iter_in(msg, from);
	n = min_t(size_t, from->len, EXT_ROOM);
	if (copy_from_user(msg->data, user, n))
		return -EFAULT;
	chunk = mbx_ext(msg)->more;
	for (left = from->len - n; left; left -= n) {
		user += n;
		n = min_t(size_t, left, CHUNK_ROOM);
		if (copy_from_user(chunk->data, user, n))
			return -EFAULT;
		chunk = chunk->next;
	}
	return 0;
}

/* mbx_message_copy_out() if the message or the buffer can have several pieces. */
int __mbx_message_copy_out(struct mbx_message *msg,
			   const struct mbx_buffer *to)
{
	size_t left = min_t(size_t, msg->len, to->len), n;
	void __user *user = to->user;
	struct mbx_chunk *chunk;

	if (to->iter)
		return copy_out_to_iter(msg, to);
	n = min_t(size_t, left, EXT_ROOM);
	if (copy_to_user(user, msg->data, n))
		return -EFAULT;
	chunk = mbx_ext(msg)->more;
	for (left -= n; left; left -= n) {
		user += n;
		n = min_t(size_t, left, CHUNK_ROOM);
		if (copy_to_user(user, chunk->data, n))
			return -EFAULT;
		chunk = chunk->next;
	}
	return 0;
}

/*
 * What kmalloc() allocates, in steps of COST_STEP bytes. Its sizes are multiples of
 * COST_STEP, except the smallest ones.
 */
#define COST_STEP 32
static u16 costs[MBX_CHUNK / COST_STEP] __ro_after_init;

/**
 * mbx_message_init() - work out the memory of messages
 */
void __init mbx_message_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(costs); i++)
		costs[i] = mbx_kmalloc_size((i + 1) * COST_STEP);
}

/* What kmalloc() allocates for a request of 1 to MBX_CHUNK bytes. */
static inline unsigned int cost_of(size_t size)
{
	return costs[(size - 1) / COST_STEP];
}

static inline bool is_plain(u32 len, bool ext)
{
	return likely(!ext && len <= PLAIN_ROOM);
}

/* How much memory message_alloc() allocates. */
static inline unsigned int message_cost(u32 len, bool ext)
{
	const unsigned int headers = sizeof(struct mbx_message_ext) +
				     sizeof(struct mbx_message);
	u32 left;

	if (is_plain(len, ext))
		return cost_of(sizeof(struct mbx_message) + len);
	if (len <= EXT_ROOM)
		return cost_of(headers + len);
	left = len - EXT_ROOM;
	if (likely(left <= CHUNK_ROOM))
		return MBX_CHUNK + cost_of(sizeof(struct mbx_chunk) + left);
	/* The last piece is not empty. */
	left--;
	return MBX_CHUNK + left / CHUNK_ROOM * MBX_CHUNK +
	       cost_of(sizeof(struct mbx_chunk) + left % CHUNK_ROOM + 1);
}

/**
 * mbx_message_cost() - how much memory a message takes
 * @len: length of the payload
 * @ext: as for mbx_message_new()
 */
unsigned int mbx_message_cost(u32 len, bool ext)
{
	return message_cost(len, ext);
}

static unsigned int cost_of_message(struct mbx_message *msg)
{
	if (msg->flags & MBX_MSG_EXT)
		return mbx_ext(msg)->cost;
	return cost_of(sizeof(*msg) + msg->len);
}

/* Free the memory of a message with a struct mbx_message_ext. */
static inline void free_memory(struct mbx_message_ext *ext)
{
	struct mbx_chunk *chunk, *next;

	for (chunk = ext->more; chunk; chunk = next) {
		next = chunk->next;
		kfree(chunk);
	}
	kfree(ext);
}

static struct mbx_message *alloc_ext(u32 len, bool special, unsigned int cost)
{
	size_t head = min_t(size_t, len, EXT_ROOM);
	struct mbx_chunk **tail, *chunk;
	struct mbx_message_ext *ext;
	struct mbx_message *msg;
	size_t left = len - head;

	/* With a constant size, the compiler chooses the cache of kmalloc(). */
	if (head == EXT_ROOM)
		ext = kmalloc(MBX_CHUNK, GFP_KERNEL_ACCOUNT);
	else
		ext = kmalloc(sizeof(*ext) + sizeof(*msg) + head,
			      GFP_KERNEL_ACCOUNT);
	if (!ext)
		return NULL;
	ext->more = NULL;
	ext->cost = cost;
	msg = mbx_ext_message(ext);
	msg->flags = MBX_MSG_EXT;
	if (special) {
		ext->txn = NULL;
		ext->fds = NULL;
		ext->nfds = 0;
		ext->share = NULL;
		msg->flags |= MBX_MSG_SPECIAL;
	}

	for (tail = &ext->more; left; tail = &chunk->next) {
		size_t size = min_t(size_t, left, CHUNK_ROOM);

		chunk = kmalloc(sizeof(*chunk) + size, GFP_KERNEL_ACCOUNT);
		if (!chunk) {
			free_memory(ext);
			return NULL;
		}
		chunk->next = NULL;
		*tail = chunk;
		left -= size;
		if (left)
			cond_resched();
	}
	return msg;
}

/*
 * Allocate a message. It takes over the charge and the reference on @sender. If this
 * fails, both are dropped.
 */
static __always_inline struct mbx_message *
message_alloc(struct mbx_sender *sender, u32 len, bool ext,
	      unsigned int cost)
{
	struct mbx_message *msg;

	if (is_plain(len, ext)) {
		msg = kmalloc(sizeof(*msg) + len, GFP_KERNEL_ACCOUNT);
		if (!msg)
			goto err_uncharge;
		msg->flags = 0;
	} else {
		msg = alloc_ext(len, ext, cost);
		if (!msg)
			goto err_uncharge;
	}
	msg->sender = sender;
	msg->len = len;
	return msg;

err_uncharge:
	mbx_sender_uncharge(sender, cost);
	mbx_sender_put(sender);
	return ERR_PTR(-ENOMEM);
}

/* Copy the payload into a new message, or free the message if that fails. */
static inline struct mbx_message *fill(struct mbx_message *msg,
				       const struct mbx_buffer *from)
{
	int ret;

	if (IS_ERR(msg))
		return msg;
	ret = mbx_message_copy_in(msg, from);
	if (likely(!ret))
		return msg;
	mbx_message_free(msg);
	return ERR_PTR(ret);
}

/**
 * mbx_message_new() - make a message of the current process
 * @cache: the handle's cached sender
 * @lock: protects @cache->sender
 * @mb: the mailbox that the handle sends to
 * @from: the payload
 * @ext: whether it needs a struct mbx_message_ext even if it is short
 *
 * The caller sets type and priority. The user is charged for the memory until
 * mbx_message_free().
 *
 * Context: Process context, may sleep.
 * Return: the message, or -EFAULT, -EDQUOT, -ENOBUFS, -ENOMEM.
 */
struct mbx_message *mbx_message_new(struct mbx_sender_cache *cache,
				    spinlock_t *lock,
				    const struct mailbox *mb,
				    const struct mbx_buffer *from, bool ext)
{
	struct mbx_sender *sender = mbx_sender_get(cache, lock, mb);
	unsigned int cost = message_cost(from->len, ext);
	int ret;

	if (unlikely(!sender))
		return ERR_PTR(-ENOMEM);
	ret = mbx_sender_charge(sender, cost);
	if (unlikely(ret)) {
		/* Pairs with the READ_ONCE() of poll. */
		WRITE_ONCE(sender->refused, cost);
		mbx_sender_put(sender);
		return ERR_PTR(ret);
	}
	return fill(message_alloc(sender, from->len, ext, cost), from);
}

/**
 * mbx_message_for() - make a message that is charged to another user
 * @sender: its user is charged, up to twice its limit
 * @from: the payload, of the current process
 * @unlimited: charge without a limit
 *
 * Context: Process context, may sleep.
 * Return: the message, or -EFAULT, -EDQUOT, -ENOMEM.
 */
struct mbx_message *mbx_message_for(struct mbx_sender *sender,
				    const struct mbx_buffer *from,
				    bool unlimited)
{
	unsigned int cost = message_cost(from->len, false);
	int ret = mbx_sender_charge_other(sender, cost, unlimited);

	if (ret)
		return ERR_PTR(ret);
	refcount_inc(&sender->refs);
	return fill(message_alloc(sender, from->len, false, cost), from);
}

/**
 * mbx_message_stage() - make a message that is charged later
 * @sender: its sender; the caller has called mbx_stage()
 * @from: the payload
 *
 * The message has a struct mbx_message_ext. Until mbx_message_charge() only the sender
 * itself is charged, up to twice the limit.
 *
 * Context: Process context, may sleep.
 * Return: the message, or -EFAULT, -EDQUOT, -ENOMEM.
 */
struct mbx_message *mbx_message_stage(struct mbx_sender *sender,
				      const struct mbx_buffer *from)
{
	int ret = mbx_sender_charge_other(sender, 0, mbx_is_exempt(sender->privileged));

	if (ret)
		return ERR_PTR(ret);
	refcount_inc(&sender->refs);
	return fill(message_alloc(sender, from->len, true, 0), from);
}

/**
 * mbx_message_charge() - charge a message, whatever the limits
 * @msg: the message, from mbx_message_stage()
 * @cost: its memory
 */
void mbx_message_charge(struct mbx_message *msg, unsigned int cost)
{
	mbx_sender_charge_unasked(msg->sender, cost);
	mbx_ext(msg)->cost = cost;
}

/**
 * mbx_message_add_entry() - give a message its entry for an index
 * @msg: a message of the current process that is in no queue
 * @unasked: charge the entry whatever the limit; the caller makes room
 *
 * Context: Process context, may sleep.
 * Return: 0, or -EDQUOT, -ENOMEM.
 */
int mbx_message_add_entry(struct mbx_message *msg, bool unasked)
{
	struct mbx_sender *sender = msg->sender;
	struct mbx_entry *entry;
	int ret = 0;

	/* The limit of a stake is checked for whole messages only. */
	if (unasked)
		mbx_charge_unasked(sender->user, MBX_ENTRY_COST);
	else
		ret = mbx_charge_bytes(sender->user, MBX_ENTRY_COST,
				       sender->privileged);
	if (ret) {
		/* Pairs with the READ_ONCE() of poll. */
		WRITE_ONCE(sender->refused, cost_of_message(msg) + MBX_ENTRY_COST);
		return ret;
	}
	if (sender->stake)
		atomic_long_add(MBX_ENTRY_COST, &sender->stake->bytes);
	entry = mbx_entry_alloc(GFP_KERNEL);
	if (!entry) {
		mbx_sender_uncharge_part(sender, MBX_ENTRY_COST);
		return -ENOMEM;
	}
	mbx_message_give_entry(msg, entry);
	return 0;
}

/* Release what a message refers to. */
static void release(struct mbx_message_ext *ext)
{
	if (ext->txn)
		mbx_transaction_put(ext->txn);
	if (ext->fds)
		mbx_fds_free(ext->fds);
	if (ext->share)
		mbx_share_put(ext->share);
}

/**
 * mbx_message_free() - free a message that no other call can find
 * @msg: the message
 */
void mbx_message_free(struct mbx_message *msg)
{
	struct mbx_sender *sender = msg->sender;
	struct mbx_message_ext *ext;

	if (unlikely(msg->flags & MBX_MSG_ENTRY))
		mbx_entry_release(msg->entry, sender);
	if (likely(!(msg->flags & MBX_MSG_EXT))) {
		mbx_sender_uncharge(sender, cost_of(sizeof(*msg) + msg->len));
		kfree(msg);
	} else {
		ext = mbx_ext(msg);
		if (unlikely(msg->flags & MBX_MSG_SPECIAL))
			release(ext);
		mbx_sender_uncharge(sender, ext->cost);
		free_memory(ext);
	}
	mbx_sender_put(sender);
}
