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

/*
 * How much of the payload of a message with extension is behind the header. One that
 * just fits into a page is apart, so that it is copied at once.
 */
static inline size_t ext_head(u32 len)
{
	if (len > EXT_ROOM && len <= MBX_CHUNK)
		return 0;
	return min_t(size_t, len, EXT_ROOM);
}

/**
 * struct piece - a piece of a payload
 * @data: its memory
 * @size: its length
 * @more: the next chunk
 * @left: length of what is behind this piece
 */
struct piece {
	u8 *data;
	size_t size;
	struct mbx_chunk *more;
	size_t left;
};

static inline void go_to_next(struct piece *piece)
{
	/* The last chunk has no struct mbx_chunk. */
	if (piece->left <= MBX_CHUNK) {
		piece->data = (u8 *)piece->more;
		piece->size = piece->left;
	} else {
		piece->data = piece->more->data;
		piece->size = CHUNK_ROOM;
		piece->more = piece->more->next;
	}
	piece->left -= piece->size;
}

static inline struct piece first_piece(struct mbx_message *msg)
{
	struct piece piece = { .data = msg->data, .size = msg->len };

	if (!mbx_message_has_ext(msg))
		return piece;
	piece.size = ext_head(msg->len);
	piece.more = mbx_ext(msg)->more;
	piece.left = msg->len - piece.size;
	if (!piece.size && piece.left)
		go_to_next(&piece);
	return piece;
}

/* Most pieces of long messages have one of three sizes: see user_copy.h. */
static inline bool piece_from_user(u8 *to, const u8 __user *from, size_t len)
{
	switch (len) {
	case MBX_CHUNK:
		return !copy_from_user(to, from, MBX_CHUNK);
	case CHUNK_ROOM:
		return !copy_from_user(to, from, CHUNK_ROOM);
	case EXT_ROOM:
		return !copy_from_user(to, from, EXT_ROOM);
	default:
		return mbx_copy_from_user(to, from, len);
	}
}

static inline bool piece_to_user(u8 __user *to, const u8 *from, size_t len)
{
	switch (len) {
	case MBX_CHUNK:
		return !copy_to_user(to, from, MBX_CHUNK);
	case CHUNK_ROOM:
		return !copy_to_user(to, from, CHUNK_ROOM);
	case EXT_ROOM:
		return !copy_to_user(to, from, EXT_ROOM);
	default:
		return mbx_copy_to_user(to, from, len);
	}
}

static int copy_from_iter_in(struct mbx_message *msg,
			     const struct mbx_buffer *from)
{
	struct piece piece = first_piece(msg);

	for (;;) {
		if (copy_from_iter(piece.data, piece.size, from->iter) != piece.size)
			return -EFAULT;
		if (!piece.left)
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
	struct piece piece = first_piece(msg);
	u8 __user *user = from->user;

	if (from->iter)
		return copy_from_iter_in(msg, from);
	for (;;) {
		if (!piece_from_user(piece.data, user, piece.size))
			return -EFAULT;
		if (!piece.left)
			return 0;
		user += piece.size;
		go_to_next(&piece);
	}
}

/* mbx_message_copy_out() if the message or the buffer can have several pieces. */
int __mbx_message_copy_out(struct mbx_message *msg,
			   const struct mbx_buffer *to)
{
	size_t n, left = min_t(size_t, msg->len, to->len);
	struct piece piece = first_piece(msg);
	u8 __user *user = to->user;

	if (to->iter)
		return copy_out_to_iter(msg, to);
	for (;;) {
		n = min(piece.size, left);
		if (!piece_to_user(user, piece.data, n))
			return -EFAULT;
		left -= n;
		if (!left)
			return 0;
		user += n;
		go_to_next(&piece);
	}
}

/* mbx_message_copy_from() if there can be several pieces. */
noinline bool __mbx_message_copy_from(struct mbx_message *msg, void __user *user)
{
	const struct mbx_buffer from = { .user = user, .len = msg->len };

	return !__mbx_message_copy_in(msg, &from);
}

/* mbx_message_copy_to() if there can be several pieces. */
noinline bool __mbx_message_copy_to(struct mbx_message *msg, void __user *user)
{
	const struct mbx_buffer to = { .user = user, .len = msg->len };

	return !__mbx_message_copy_out(msg, &to);
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

/* What alloc_ext() allocates. */
static noinline unsigned int cost_of_ext(u32 len)
{
	unsigned int headers = sizeof(struct mbx_message_ext) + sizeof(struct mbx_message);
	u32 left = len - ext_head(len);
	unsigned int cost, chunks;

	if (!left)
		return cost_of(headers + len);
	cost = cost_of(headers + ext_head(len));
	/* Only the last chunk can hold more than CHUNK_ROOM bytes. */
	if (unlikely(left > MBX_CHUNK)) {
		chunks = (left - MBX_CHUNK + CHUNK_ROOM - 1) / CHUNK_ROOM;
		cost += chunks * MBX_CHUNK;
		left -= chunks * CHUNK_ROOM;
	}
	return cost + cost_of(left);
}

/* What message_alloc() allocates. */
static inline unsigned int message_cost(u32 len, bool ext)
{
	if (is_plain(len, ext))
		return cost_of(sizeof(struct mbx_message) + len);
	return cost_of_ext(len);
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

/* Free the chunks of a payload of which they hold @left bytes. */
static void free_chunks(struct mbx_chunk *chunk, size_t left)
{
	struct mbx_chunk *next;

	for (; chunk && left > MBX_CHUNK; chunk = next, left -= CHUNK_ROOM) {
		next = chunk->next;
		kfree(chunk);
	}
	kfree(chunk);
}

/* Free the memory of a message with a struct mbx_message_ext. */
static void free_ext(struct mbx_message_ext *ext)
{
	u32 len = mbx_ext_message(ext)->len;

	free_chunks(ext->more, len - ext_head(len));
	kfree(ext);
}

/*
 * The memory of messages that were received serves the next ones of the same mailbox, if
 * these take as much and come from the same memory cgroup. A mailbox keeps a chain of
 * such messages: up to SPARES_IN_CHAIN of at most SPARE_SHORT bytes, or one with a
 * payload of at most MBX_CHUNK bytes. @type and @prio of a spare message are its memory
 * cgroup and its size, and @wprio is the length of the chain from there.
 *
 * No user is charged for spare messages. So those of the mailboxes that a user created
 * take at most SPARES_MAX bytes together, not counting up to SPARE_SHORT bytes in each
 * mailbox.
 */
#define SPARE_SHORT 512U
#define SPARES_IN_CHAIN 32
#define SPARES_MAX (16 * MBX_CHUNK)

static inline struct mbx_message *next_spare(const struct mbx_message *spare)
{
	return (struct mbx_message *)spare->node.next;
}

/* KASAN checks messages, and not memory that is used again; nor is that cleared. */
static inline bool keeps_spares(void)
{
	return !IS_ENABLED(CONFIG_KASAN) && !want_init_on_free();
}

/* Where the spare messages of a mailbox are counted. */
static inline atomic_t *spares_of(struct mailbox *mb)
{
	return &mbx_user_top(mb->user)->spares;
}

/* Whether it is counted in mbx_user.spares. The last short one of a chain is not. */
static inline bool is_counted(const struct mbx_message *spare)
{
	return spare->prio > SPARE_SHORT || next_spare(spare);
}

static noinline void __uncount(struct mailbox *mb, unsigned int cost)
{
	atomic_sub(cost, spares_of(mb));
}

static inline void uncount(struct mailbox *mb, const struct mbx_message *spare)
{
	if (unlikely(is_counted(spare)))
		__uncount(mb, spare->prio);
}

/* Count @cost bytes of a spare message, if that is within the bound. */
static noinline bool count_spare(struct mailbox *mb, unsigned int cost)
{
	if (atomic_add_return(cost, spares_of(mb)) <= SPARES_MAX)
		return true;
	__uncount(mb, cost);
	return false;
}

static void free_spares(struct mailbox *mb, struct mbx_message *spare)
{
	struct mbx_message *next;

	for (; spare; spare = next) {
		next = next_spare(spare);
		uncount(mb, spare);
		if (spare->flags & MBX_MSG_EXT)
			free_ext(mbx_ext(spare));
		else
			kfree(spare);
	}
}

static inline struct mbx_message *take_spares(struct mailbox *mb)
{
	/* A data race: what matters is who takes them. */
	return data_race(mb->spare) ? xchg(&mb->spare, NULL) : NULL;
}

static inline void put_spares(struct mailbox *mb, struct mbx_message *spares)
{
	spares = xchg(&mb->spare, spares);
	/* Another thread may have put some at the same time. */
	if (unlikely(spares))
		free_spares(mb, spares);
}

/*
 * Take the first of *@spares for a message. If it does not fit, free them and return NULL:
 * the next messages are more likely to be like this one.
 */
static inline struct mbx_message *use_spare(struct mailbox *mb, struct mbx_message **spares,
					    const struct mbx_sender *sender,
					    unsigned int cost)
{
	struct mbx_message *msg = *spares;

	if (!msg)
		return NULL;
	if (unlikely(msg->prio != cost || msg->type != sender->memcg)) {
		free_spares(mb, msg);
		*spares = NULL;
		return NULL;
	}
	uncount(mb, msg);
	*spares = next_spare(msg);
	return msg;
}

/* Make a message that is freed the first of *@spares. Return whether it was taken. */
static inline bool keep_spare(struct mailbox *mb, struct mbx_message **spares,
			      struct mbx_message *msg, u64 memcg,
			      unsigned int cost)
{
	struct mbx_message *next = *spares;

	if (!keeps_spares())
		return false;
	if (unlikely(next && (cost > SPARE_SHORT || next->prio > SPARE_SHORT ||
			      next->wprio >= SPARES_IN_CHAIN)))
		return false;
	if ((next || cost > SPARE_SHORT) && !count_spare(mb, cost))
		return false;
	msg->node.next = (struct list_head *)next;
	msg->type = memcg;
	msg->prio = cost;
	msg->wprio = next ? next->wprio + 1 : 1;
	*spares = msg;
	return true;
}

/*
 * How much to allocate for @size bytes, which take @cost bytes: all of these, as the
 * memory may serve a longer message next.
 */
static inline size_t alloc_size(size_t size, unsigned int cost)
{
	return keeps_spares() ? cost : size;
}

/**
 * mbx_message_free_spares() - free the spare messages of a mailbox
 * @mb: the mailbox, which no call uses any more
 */
void mbx_message_free_spares(struct mailbox *mb)
{
	free_spares(mb, mb->spare);
}

static struct mbx_message *alloc_ext(u32 len, bool special, unsigned int cost)
{
	struct mbx_chunk **tail, *chunk;
	struct mbx_message_ext *ext;
	struct mbx_message *msg;
	size_t left, size, head = ext_head(len);

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
	msg->len = len;
	msg->flags = MBX_MSG_EXT;
	if (special) {
		ext->txn = NULL;
		ext->fds = NULL;
		ext->nfds = 0;
		ext->share = NULL;
		ext->lifespan = NULL;
		ext->copy = NULL;
		ext->payer = NULL;
		msg->flags |= MBX_MSG_SPECIAL;
	}

	tail = &ext->more;
	for (left = len - head; left; left -= size) {
		bool last = left <= MBX_CHUNK;

		size = last ? left : CHUNK_ROOM;
		chunk = kmalloc(last ? alloc_size(size, cost_of(size)) : MBX_CHUNK,
				GFP_KERNEL_ACCOUNT);
		*tail = chunk;
		if (!chunk) {
			free_ext(ext);
			return NULL;
		}
		if (last)
			break;
		chunk->next = NULL;
		tail = &chunk->next;
		cond_resched();
	}
	return msg;
}

/*
 * Allocate a message. It takes over the charge and the reference on @sender. If this
 * fails, both are dropped. *@spares is used first.
 */
static __always_inline struct mbx_message *
message_alloc(struct mailbox *mb, struct mbx_message **spares, struct mbx_sender *sender,
	      u32 len, bool ext, unsigned int cost)
{
	struct mbx_message *msg = NULL;

	if (spares && !ext && len <= MBX_CHUNK)
		msg = use_spare(mb, spares, sender, cost);
	if (msg) {
		/* It has nothing to be set up. */
	} else if (is_plain(len, ext)) {
		msg = kmalloc(alloc_size(sizeof(*msg) + len, cost), GFP_KERNEL_ACCOUNT);
		if (unlikely(!msg))
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

/* A message could not be charged. */
static noinline struct mbx_message *refused(struct mbx_sender *sender, unsigned int cost,
					    int ret)
{
	/* Pairs with the READ_ONCE() of poll. */
	WRITE_ONCE(sender->refused, cost);
	mbx_sender_put(sender);
	return ERR_PTR(ret);
}

/**
 * mbx_message_of() - make a message of bytes
 * @outlet: where the handle sends to
 * @user: the payload
 * @len: its length
 *
 * The caller sets type and priority. The user is charged for the memory until
 * mbx_message_free().
 *
 * Context: Process context, may sleep.
 * Return: the message, or -EFAULT, -EDQUOT, -ENOBUFS, -ENOMEM.
 */
struct mbx_message *mbx_message_of(struct mbx_outlet *outlet, void __user *user, size_t len)
{
	struct mbx_sender *sender = mbx_sender_get(outlet);
	struct mbx_message *spares, *msg;
	struct mailbox *mb = outlet->to;
	unsigned int cost;
	int ret;

	if (unlikely(!sender))
		return ERR_PTR(-ENOMEM);
	cost = message_cost(len, false);
	ret = mbx_sender_charge(sender, cost);
	if (unlikely(ret))
		return refused(sender, cost, ret);
	spares = take_spares(mb);
	msg = message_alloc(mb, &spares, sender, len, false, cost);
	if (unlikely(spares))
		put_spares(mb, spares);
	if (IS_ERR(msg) || likely(mbx_message_copy_from(msg, user)))
		return msg;
	mbx_message_free(msg);
	return ERR_PTR(-EFAULT);
}

/**
 * mbx_messages_of() - make messages of bytes, types and priorities
 * @outlet: where the handle sends to
 * @msgs: what the messages are made of
 * @n: how many
 * @made: the messages that were made
 *
 * Ends at the first message that cannot be made.
 *
 * Context: Process context, may sleep.
 * Return: how many were made.
 */
unsigned int mbx_messages_of(struct mbx_outlet *outlet, const struct mbox_msg *msgs,
			     unsigned int n, struct mbx_message **made)
{
	struct mbx_sender *sender = mbx_sender_get(outlet);
	struct mbx_message *spares, *msg;
	struct mailbox *mb = outlet->to;
	unsigned int cost, i;

	if (unlikely(!sender))
		return 0;
	spares = take_spares(mb);
	for (i = 0; i < n && msgs[i].len <= READ_ONCE(mb->len_max); i++) {
		cost = message_cost(msgs[i].len, false);
		if (mbx_sender_charge(sender, cost))
			break;
		refcount_inc(&sender->refs);
		msg = message_alloc(mb, &spares, sender, msgs[i].len, false, cost);
		if (IS_ERR(msg))
			break;
		msg->prio = msgs[i].prio;
		msg->type = msgs[i].type;
		if (unlikely(!mbx_message_copy_from(msg, u64_to_user_ptr(msgs[i].buf)))) {
			mbx_message_free(msg);
			break;
		}
		made[i] = msg;
	}
	if (spares)
		put_spares(mb, spares);
	mbx_sender_put(sender);
	return i;
}

/**
 * mbx_message_new() - make any message of the current process
 * @outlet: where the handle sends to
 * @from: the payload
 * @ext: whether it needs a struct mbx_message_ext even if it is short
 *
 * Context: Process context, may sleep.
 * Return: as mbx_message_of().
 */
struct mbx_message *mbx_message_new(struct mbx_outlet *outlet,
				    const struct mbx_buffer *from, bool ext)
{
	struct mbx_sender *sender;
	unsigned int cost;
	int ret;

	if (likely(!ext && !from->iter))
		return mbx_message_of(outlet, from->user, from->len);
	sender = mbx_sender_get(outlet);
	if (unlikely(!sender))
		return ERR_PTR(-ENOMEM);
	cost = message_cost(from->len, ext);
	ret = mbx_sender_charge(sender, cost);
	if (unlikely(ret))
		return refused(sender, cost, ret);
	return fill(message_alloc(NULL, NULL, sender, from->len, ext, cost), from);
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
	return fill(message_alloc(NULL, NULL, sender, from->len, false, cost), from);
}

/**
 * mbx_message_with_ext() - make a reply that has a struct mbx_message_ext
 * @sender: the caller, whose user is charged
 * @from: the payload, of the current process
 * @unlimited: charge without a limit
 * @reserved: the payload is charged already, and the caller is uncharged elsewhere
 *
 * Context: Process context, may sleep.
 * Return: the message, or -EFAULT, -EDQUOT (not if it is reserved), -ENOMEM.
 */
struct mbx_message *mbx_message_with_ext(struct mbx_sender *sender,
					 const struct mbx_buffer *from, bool unlimited,
					 bool reserved)
{
	unsigned int cost = reserved ? 0 : message_cost(from->len, true);
	int ret = mbx_sender_charge_other(sender, cost, unlimited || reserved);

	if (ret)
		return ERR_PTR(ret);
	refcount_inc(&sender->refs);
	return fill(message_alloc(NULL, NULL, sender, from->len, true, cost), from);
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
	return fill(message_alloc(NULL, NULL, sender, from->len, true, 0), from);
}

/* Copy a payload from one message to another of the same length, in the same pieces. */
static void copy_payload(struct mbx_message *to, struct mbx_message *from)
{
	struct piece dst = first_piece(to), src = first_piece(from);

	for (;;) {
		memcpy(dst.data, src.data, src.size);
		if (!src.left)
			return;
		go_to_next(&dst);
		go_to_next(&src);
		cond_resched();
	}
}

/**
 * mbx_message_copy() - copy a message, without its files
 * @msg: the message, with a struct mbx_message_ext
 * @payer: the user that is charged for the copy, and for its sender; outlives the copy
 *
 * Context: Process context, may sleep.
 * Return: the copy, or NULL: there is no memory, or the limit of @payer has no room.
 */
struct mbx_message *mbx_message_copy(struct mbx_message *msg, struct mbx_user *payer)
{
	unsigned int cost = message_cost(msg->len, true) + cost_of(sizeof(struct mbx_sender));
	struct mbx_message *copy;

	if (mbx_charge_bytes(payer, cost, false))
		return NULL;
	copy = alloc_ext(msg->len, true, cost);
	if (!copy) {
		mbx_uncharge_bytes(payer, cost);
		return NULL;
	}
	refcount_inc(&msg->sender->refs);
	copy->sender = msg->sender;
	copy->type = msg->type;
	copy->prio = msg->prio;
	mbx_ext(copy)->payer = payer;
	copy_payload(copy, msg);
	return copy;
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
	kfree(ext->lifespan);
	if (ext->copy)
		mbx_message_free(ext->copy);
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
		if (unlikely(msg->flags & MBX_MSG_SPECIAL && ext->payer))
			mbx_uncharge_bytes(ext->payer, ext->cost);
		else
			mbx_sender_uncharge(sender, ext->cost);
		free_ext(ext);
	}
	mbx_sender_put(sender);
}

/* Free a message, and keep its memory in *@spares if that is possible. */
static inline void free_received(struct mailbox *mb, struct mbx_message **spares,
				 struct mbx_message *msg)
{
	struct mbx_sender *sender = msg->sender;
	unsigned int cost;

	if (unlikely(msg->len > MBX_CHUNK ||
		     msg->flags & (MBX_MSG_ENTRY | MBX_MSG_SPECIAL | MBX_MSG_AGAIN))) {
		mbx_message_free(msg);
		return;
	}
	cost = cost_of_message(msg);
	if (unlikely(!keep_spare(mb, spares, msg, sender->memcg, cost))) {
		mbx_message_free(msg);
		return;
	}
	mbx_sender_uncharge(sender, cost);
	mbx_sender_put(sender);
}

/**
 * mbx_message_received() - free a message that has been received
 * @mb: the mailbox that it was in
 * @msg: the message, which no other call can find
 */
void mbx_message_received(struct mailbox *mb, struct mbx_message *msg)
{
	struct mbx_message *spare = NULL;

	/* A data race: either will do. */
	if (unlikely(data_race(mb->spare))) {
		mbx_message_free(msg);
		return;
	}
	free_received(mb, &spare, msg);
	if (likely(spare))
		put_spares(mb, spare);
}

/**
 * mbx_messages_received() - free messages that have been received
 * @mb: the mailbox that they were in
 * @msgs: the messages, which no other call can find
 * @n: how many
 */
void mbx_messages_received(struct mailbox *mb, struct mbx_message **msgs, unsigned int n)
{
	struct mbx_message *spares = take_spares(mb);
	unsigned int i;

	for (i = 0; i < n; i++)
		free_received(mb, &spares, msgs[i]);
	if (spares)
		put_spares(mb, spares);
}
