// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages: allocate, copy from and to user space, free.
 *
 * All memory comes in pieces of at most MBOX_CHUNK bytes: a megabyte must not
 * depend on contiguous memory, and no user value sizes an allocation.
 */
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "call.h"
#include "compat.h"
#include "fds.h"
#include "limits.h"
#include "message.h"
#include "share.h"

#define CHUNK_ROOM (MBOX_CHUNK - sizeof(struct mbox_chunk))
#define PLAIN_ROOM (MBOX_CHUNK - sizeof(struct mbox_message))
#define EXT_ROOM (PLAIN_ROOM - sizeof(struct mbox_message_ext))

static bool sender_is_current(const struct mbox_sender *sender)
{
	const struct cred *cred = current_cred();

	return sender->pid == task_tgid(current) &&
	       uid_eq(sender->euid, cred->euid) &&
	       gid_eq(sender->egid, cred->egid) &&
	       uid_eq(sender->uid, cred->uid);
}

static struct mbox_sender *sender_new(void)
{
	const struct cred *cred = current_cred();
	struct mbox_sender *sender;

	sender = kmalloc(sizeof(*sender), GFP_KERNEL_ACCOUNT);
	if (!sender)
		return NULL;
	sender->user = mbox_user_get(cred->uid);
	if (!sender->user) {
		kfree(sender);
		return NULL;
	}
	refcount_set(&sender->refs, 1);
	sender->pid = get_pid(task_tgid(current));
	sender->euid = cred->euid;
	sender->egid = cred->egid;
	sender->uid = cred->uid;
	return sender;
}

/*
 * The identity of the current process, with a reference, or NULL.
 *
 * A handle is mostly used by one process that does not change its ids, so all
 * its messages share one object and none looks anything up.
 */
static struct mbox_sender *sender_get(struct mbox_sender **cache,
				      spinlock_t *lock)
{
	struct mbox_sender *sender, *old;

	spin_lock(lock);
	sender = *cache;
	if (likely(sender && sender_is_current(sender))) {
		refcount_inc(&sender->refs);
		spin_unlock(lock);
		return sender;
	}
	spin_unlock(lock);

	sender = sender_new();
	if (!sender)
		return NULL;
	refcount_inc(&sender->refs);
	spin_lock(lock);
	old = *cache;
	*cache = sender;
	spin_unlock(lock);
	if (old)
		mbox_sender_put(old);
	return sender;
}

/**
 * mbox_sender_put() - give a reference back
 * @sender: the identity
 */
void mbox_sender_put(struct mbox_sender *sender)
{
	if (!refcount_dec_and_test(&sender->refs))
		return;
	put_pid(sender->pid);
	mbox_user_put(sender->user);
	kfree(sender);
}

/**
 * struct piece - a piece of a payload
 * @data: where it is
 * @room: most that it holds
 * @next: the one behind it
 */
struct piece {
	u8 *data;
	size_t room;
	struct mbox_chunk *next;
};

static inline struct piece first_piece(struct mbox_message *msg)
{
	bool has_ext = mbox_message_has_ext(msg);

	return (struct piece){
		.data = msg->data,
		.room = has_ext ? EXT_ROOM : PLAIN_ROOM,
		.next = has_ext ? mbox_ext(msg)->more : NULL,
	};
}

static inline void go_to_next(struct piece *piece)
{
	piece->data = piece->next->data;
	piece->room = CHUNK_ROOM;
	piece->next = piece->next->next;
}

static int copy_from_iter_in(struct mbox_message *msg,
			     const struct mbox_buffer *from)
{
	struct piece piece = first_piece(msg);
	size_t n, left = from->len;

	for (;;) {
		n = min(piece.room, left);
		if (copy_from_iter(piece.data, n, from->iter) != n)
			return -EFAULT;
		left -= n;
		if (!left)
			return 0;
		go_to_next(&piece);
	}
}

static int copy_out_to_iter(struct mbox_message *msg,
			    const struct mbox_buffer *to)
{
	size_t n, left = min_t(size_t, msg->len, to->len);
	struct piece piece = first_piece(msg);

	for (;;) {
		n = min(piece.room, left);
		if (copy_to_iter(piece.data, n, to->iter) != n)
			return -EFAULT;
		left -= n;
		if (!left)
			return 0;
		go_to_next(&piece);
	}
}

/* mbox_message_copy_in() from or to several pieces. */
int __mbox_message_copy_in(struct mbox_message *msg,
			   const struct mbox_buffer *from)
{
	struct piece piece = first_piece(msg);
	void __user *user = from->user;
	size_t left = from->len;

	if (from->iter)
		return copy_from_iter_in(msg, from);
	while (left > piece.room) {
		if (copy_from_user(piece.data, user, piece.room))
			return -EFAULT;
		user += piece.room;
		left -= piece.room;
		go_to_next(&piece);
	}
	return copy_from_user(piece.data, user, left) ? -EFAULT : 0;
}

/* mbox_message_copy_out() from or to several pieces. */
int __mbox_message_copy_out(struct mbox_message *msg,
			    const struct mbox_buffer *to)
{
	size_t left = min_t(size_t, msg->len, to->len);
	struct piece piece = first_piece(msg);
	void __user *user = to->user;

	if (to->iter)
		return copy_out_to_iter(msg, to);
	while (left > piece.room) {
		if (copy_to_user(user, piece.data, piece.room))
			return -EFAULT;
		user += piece.room;
		left -= piece.room;
		go_to_next(&piece);
	}
	return copy_to_user(user, piece.data, left) ? -EFAULT : 0;
}

static void free_memory(struct mbox_message *msg)
{
	struct mbox_chunk *chunk, *next;

	if (likely(!(msg->flags & MBOX_MSG_EXT))) {
		kfree(msg);
		return;
	}
	for (chunk = mbox_ext(msg)->more; chunk; chunk = next) {
		next = chunk->next;
		kfree(chunk);
	}
	kfree(mbox_ext(msg));
}

static struct mbox_message *alloc_ext(u32 len)
{
	size_t head = min_t(size_t, len, EXT_ROOM);
	struct mbox_message_ext *ext;
	struct mbox_chunk **tail;
	struct mbox_message *msg;
	size_t left = len - head;

	/* Where the size is known here, no cache has to be looked for. */
	if (head == EXT_ROOM)
		ext = kmalloc(MBOX_CHUNK, GFP_KERNEL_ACCOUNT);
	else
		ext = kmalloc(sizeof(*ext) + sizeof(*msg) + head,
			      GFP_KERNEL_ACCOUNT);
	if (!ext)
		return NULL;
	ext->more = NULL;
	ext->ticket = NULL;
	ext->fds = NULL;
	ext->share = NULL;
	msg = (struct mbox_message *)(ext + 1);
	msg->flags = MBOX_MSG_EXT;

	for (tail = &ext->more; left; tail = &(*tail)->next) {
		size_t room = min_t(size_t, left, CHUNK_ROOM);

		*tail = kmalloc(sizeof(**tail) + room, GFP_KERNEL_ACCOUNT);
		if (!*tail) {
			free_memory(msg);
			return NULL;
		}
		(*tail)->next = NULL;
		left -= room;
		if (left)
			cond_resched();
	}
	return msg;
}

static __always_inline struct mbox_message *
message_alloc(struct mbox_sender **cache, spinlock_t *lock, u32 len, bool ext)
{
	struct mbox_sender *sender;
	struct mbox_message *msg;
	int ret;

	sender = sender_get(cache, lock);
	if (!sender)
		return ERR_PTR(-ENOMEM);
	ret = mbox_charge_bytes(sender->user, len);
	if (ret)
		goto err_put_sender;

	ret = -ENOMEM;
	if (likely(!ext && len <= PLAIN_ROOM)) {
		msg = kmalloc(sizeof(*msg) + len, GFP_KERNEL_ACCOUNT);
		if (!msg)
			goto err_uncharge;
		msg->flags = 0;
	} else {
		msg = alloc_ext(len);
		if (!msg)
			goto err_uncharge;
	}
	msg->sender = sender;
	msg->len = len;
	return msg;

err_uncharge:
	mbox_uncharge_bytes(sender->user, len);
err_put_sender:
	mbox_sender_put(sender);
	return ERR_PTR(ret);
}

/**
 * mbox_message_alloc() - memory for a message of the current process
 * @cache: identity of the handle's last sender
 * @lock: protects *@cache
 * @len: length of the payload
 * @ext: whether it needs a struct mbox_message_ext, however short it is
 *
 * Payload, type and priority are left to the caller. The payload is charged to
 * the user until mbox_message_free().
 *
 * Context: Process context, may sleep.
 * Return: the message, or -EDQUOT, -ENOMEM.
 */
struct mbox_message *mbox_message_alloc(struct mbox_sender **cache,
					spinlock_t *lock, u32 len, bool ext)
{
	return message_alloc(cache, lock, len, ext);
}

/**
 * mbox_message_new() - make a message of the current process
 * @cache: as for mbox_message_alloc()
 * @lock: as for mbox_message_alloc()
 * @from: the payload
 * @ext: as for mbox_message_alloc()
 *
 * Context: Process context, may sleep.
 * Return: the message, or -EFAULT, -EDQUOT, -ENOMEM.
 */
struct mbox_message *mbox_message_new(struct mbox_sender **cache,
				      spinlock_t *lock,
				      const struct mbox_buffer *from, bool ext)
{
	struct mbox_message *msg;
	int ret;

	msg = message_alloc(cache, lock, from->len, ext);
	if (IS_ERR(msg))
		return msg;
	ret = mbox_message_copy_in(msg, from);
	if (ret) {
		mbox_message_free(msg);
		return ERR_PTR(ret);
	}
	return msg;
}

static void release_ext(struct mbox_message_ext *ext)
{
	if (ext->ticket)
		mbox_ticket_put(ext->ticket);
	if (ext->fds)
		mbox_fds_free(ext->fds);
	if (ext->share)
		mbox_share_put(ext->share);
}

/**
 * mbox_message_free() - free a message that nobody else can see
 * @msg: the message
 */
void mbox_message_free(struct mbox_message *msg)
{
	struct mbox_sender *sender = msg->sender;

	if (unlikely(msg->flags & MBOX_MSG_EXT))
		release_ext(mbox_ext(msg));
	mbox_uncharge_bytes(sender->user, msg->len);
	free_memory(msg);
	mbox_sender_put(sender);
}
