// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Receiving from a ring, with a copy or in place.
 */
#include <errno.h>

#include "ring.h"

/* Receive, or with @slot look at, the next message. Returns 0, or -1 and errno. */
static int recv_blocking(struct mbox *mb, struct mbox__side *s, void *buf, uint32_t room,
			 const void **slot, uint64_t *pos, uint32_t *len, struct ring_call *call)
{
	uint32_t state;
	uint64_t head;
	bool locked;
	int result;

	for (;;) {
		/* Read first: messages that the last sender left are received before EPIPE. */
		state = state_of(s, RECEIVERS);
		if (state & MBOX_RING_DEAD) {
			errno = EIDRM;
			return -1;
		}
		locked = lock_side(s);
		head = ring_head(&s->ring);
		if (slot)
			result = ring_front(&s->ring, pos, slot, len);
		else
			result = ring_receive(&s->ring, buf, room, call->flags & MBOX_TRUNC, len);
		unlock_side(s, locked);
		if (result == RING_OK && !slot)
			return 0;
		/* Passing abandoned slots has made room, too. */
		if (ring_head(&s->ring) != head)
			published(mb, s, SENDERS, 1);
		switch (result) {
		case RING_OK:
			return 0;
		case RING_BROKEN:
			errno = EIO;
			return -1;
		case RING_SHORT:
			errno = EMSGSIZE;
			return -1;
		}
		if (state) {
			errno = EPIPE;
			return -1;
		}
		if (mbox__ring_sleep(mb, s, RECEIVERS, call) < 0)
			return -1;
	}
}

SELDOM ssize_t recv_with_care(struct mbox *mb, void *buf, size_t len, uint32_t flags,
			      uint64_t deadline_ns)
{
	struct ring_call call = { .flags = flags, .deadline_ns = deadline_ns };
	struct mbox__side *s;
	uint32_t full = 0;
	int ret;

	if (check_recv_flags(flags, RECV_FLAGS) < 0)
		return -1;
	s = get_side(mb, RECEIVERS);
	if (!s)
		return -1;
	ret = recv_blocking(mb, s, buf, len < UINT32_MAX ? len : UINT32_MAX, NULL, NULL, &full,
			    &call);
	if (!ret)
		published(mb, s, SENDERS, 1);
	if (finish(mb, s, RECEIVERS, &call, ret) < 0)
		return -1;

	return full;
}

/* As mbox__ring_send(). */
ssize_t mbox__ring_recv(struct mbox *mb, void *buf, size_t len, uint32_t flags,
			uint64_t deadline_ns)
{
	struct mbox__side *s = mapped_side(mb, RECEIVERS);
	uint32_t full, room = len < UINT32_MAX ? len : UINT32_MAX;
	uint64_t head;

	if (s && !(flags & ~SEND_FLAGS) && !state_of(s, RECEIVERS) &&
	    (!s->locked || SINGLE_THREADED)) {
		head = ring_head(&s->ring);
		if (ring_receive(&s->ring, buf, room, false, &full) == RING_OK) {
			published(mb, s, SENDERS, 1);
			return full;
		}
		if (ring_head(&s->ring) != head)
			published(mb, s, SENDERS, 1);
	}

	return recv_with_care(mb, buf, len, flags, deadline_ns);
}

ssize_t mbox__ring_recvmsg(struct mbox *mb, struct mbox_msg *msg)
{
	ssize_t len;

	if ((msg->skip && (msg->flags & (MBOX_PEEK | MBOX_MATCH_LE)) != MBOX_PEEK) ||
	    msg->reserved || msg->nfds > MBOX_FDS_MAX || !msg->fds != !msg->nfds) {
		errno = EINVAL;
		return -1;
	}
	len = mbox__ring_recv(mb, (void *)(uintptr_t)msg->buf, msg->len, msg->flags,
			      msg->deadline_ns);
	if (len < 0)
		return -1;
	msg->len = len;
	msg->prio = 0;
	msg->type = 0;
	msg->token = 0;
	msg->pid = 0;
	msg->uid = 0;
	msg->gid = 0;
	msg->nfds = 0;
	msg->lost = 0;
	msg->deliveries = 0;
	msg->lifespan_ns = 0;

	return len;
}

/* ---- in place ----------------------------------------------------------- */

/**
 * struct own_peek - the message that mbox_peek() returned last to a thread
 * @serial: serial of its side, 0: none
 * @pos: its position
 * @slot: its payload
 *
 * A slot is reused for later positions, and another thread may be looking at one
 * of them.
 */
struct own_peek {
	uint64_t serial;
	uint64_t pos;
	const void *slot;
};

static __thread struct own_peek own_peek __attribute__((tls_model("initial-exec")));

MBOX_API const void *mbox_peek(struct mbox *mb, size_t *len, unsigned int flags)
{
	struct ring_call call = { .flags = flags };
	const void *slot = NULL;
	struct mbox__side *s;
	uint32_t full = 0;
	uint64_t pos;
	int ret;

	s = side_of_ring(mb, RECEIVERS);
	if (!s || check_recv_flags(flags, MBOX_DONTWAIT) < 0)
		return NULL;
	ret = recv_blocking(mb, s, NULL, 0, &slot, &pos, &full, &call);
	if (!ret && closed_meanwhile(s, &call)) {
		errno = EBADF;
		ret = -1;
	}
	if (ret < 0) {
		finish(mb, s, RECEIVERS, &call, ret);
		return NULL;
	}
	own_peek.serial = s->serial;
	own_peek.pos = pos;
	own_peek.slot = slot;
	atomic_store(&s->peeked, pos + 1);
	*len = full;
	/* mbox_release() passes the wake-up on. */
	if (call.counted)
		mbox__ring_leave(mb, s);

	return slot;
}

/* The position of a slot that mbox_peek() returned: last to this thread, or last. */
static bool find_peeked(const struct mbox__side *s, const void *slot, uint64_t *pos)
{
	unsigned long long peeked = atomic_load(&s->peeked);

	if (own_peek.serial == s->serial && own_peek.slot == slot) {
		own_peek.serial = 0;
		*pos = own_peek.pos;
		return true;
	}
	*pos = peeked - 1;

	return peeked && ring_payload(&s->ring, *pos) == slot;
}

MBOX_API int mbox_release(struct mbox *mb, const void *slot)
{
	unsigned long long peeked;
	struct mbox__side *s;
	bool locked, received;
	uint64_t pos;
	uint32_t len;

	s = side_of_ring(mb, RECEIVERS);
	if (!s)
		return -1;
	if (!find_peeked(s, slot, &pos)) {
		errno = EINVAL;
		return -1;
	}
	peeked = pos + 1;
	atomic_compare_exchange_strong(&s->peeked, &peeked, 0);
	if (is_dead(s, RECEIVERS)) {
		errno = EIDRM;
		return -1;
	}
	locked = lock_side(s);
	/* Then the slot can have another message. */
	len = ring_len(&s->ring, pos);
	received = ring_release(&s->ring, pos);
	unlock_side(s, locked);
	/* mbox_peek() may have been woken for messages behind it, too. */
	mbox__ring_pass_on(mb, s, RECEIVERS);
	if (!received) {
		errno = ESTALE;
		return -1;
	}
	RING_PROBE(ring_receive, s->ring.id, pos, len);
	published(mb, s, SENDERS, 1);

	return 0;
}
