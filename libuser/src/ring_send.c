// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sending to a ring, with a copy or in place.
 */
#include <errno.h>

#include "ring.h"

/* The error with which a call fails before it looks at the ring, or 0. */
static int state_error(uint32_t state)
{
	if (state & MBOX_RING_DEAD)
		return -EIDRM;

	return state ? -EPIPE : 0;
}

/* Claim a slot, or send @buf at once. Returns 0, or -1 and errno. */
static int send_blocking(struct mbox *mb, struct mbox__side *s, const void *buf, size_t len,
			 uint64_t *pos, struct ring_call *call)
{
	int result, error;
	bool locked;

	for (;;) {
		error = state_error(state_of(s, SENDERS));
		if (error)
			break;
		locked = lock_side(s);
		result = pos ? ring_claim(&s->ring, pos) : ring_send(&s->ring, buf, len);
		unlock_side(s, locked);
		if (result == RING_OK)
			return 0;
		if (result == RING_BROKEN) {
			error = -EIO;
			break;
		}
		if (mbox__ring_sleep(mb, s, SENDERS, call) < 0)
			return -1;
	}
	errno = -error;

	return -1;
}

static inline bool is_sendable(const struct mbox__side *s, size_t len)
{
	return len <= s->ring.msg_max && (!s->fixed || len == s->ring.msg_max);
}

static int check_len(const struct mbox__side *s, size_t len)
{
	if (is_sendable(s, len))
		return 0;
	/* As on a queue: in a destroyed mailbox, every length fails so. */
	errno = is_dead(s, SENDERS) ? EIDRM : EMSGSIZE;

	return -1;
}

SELDOM int send_with_care(struct mbox *mb, const void *buf, size_t len, uint32_t flags,
			  uint64_t deadline_ns)
{
	struct ring_call call = { .flags = flags, .deadline_ns = deadline_ns };
	struct mbox__side *s;
	int ret;

	if (check_send_flags(flags, SEND_FLAGS) < 0)
		return -1;
	s = get_side(mb, SENDERS);
	if (!s || check_len(s, len) < 0)
		return -1;
	ret = send_blocking(mb, s, buf, len, NULL, &call);
	if (!ret)
		published(mb, s, RECEIVERS, 1);

	return finish(mb, s, SENDERS, &call, ret);
}

/* The fast path: if any condition does not hold, send_with_care() does all of it. */
int mbox__ring_send(struct mbox *mb, const void *buf, size_t len, uint32_t flags,
		    uint64_t deadline_ns)
{
	struct mbox__side *s = mapped_side(mb, SENDERS);

	if (s && !(flags & ~SEND_FLAGS) && is_sendable(s, len) && !state_of(s, SENDERS) &&
	    (!s->locked || SINGLE_THREADED) && ring_send(&s->ring, buf, len) == RING_OK) {
		published(mb, s, RECEIVERS, 1);
		return 0;
	}

	return send_with_care(mb, buf, len, flags, deadline_ns);
}

int mbox__ring_sendmsg(struct mbox *mb, const struct mbox_msg *msg)
{
	if (msg->prio > MBOX_PRIO_MAX || msg->skip || msg->token || msg->reserved ||
	    msg->nfds > MBOX_FDS_MAX || !msg->fds != !msg->nfds) {
		errno = EINVAL;
		return -1;
	}
	/* A slot does not hold these. */
	if (msg->prio || msg->type || msg->nfds || msg->lifespan_ns) {
		errno = EOPNOTSUPP;
		return -1;
	}

	return mbox__ring_send(mb, (const void *)(uintptr_t)msg->buf, msg->len, msg->flags,
			       msg->deadline_ns);
}

/* ---- in place ----------------------------------------------------------- */

MBOX_API void *mbox_reserve(struct mbox *mb, size_t len, unsigned int flags)
{
	struct ring_call call = { .flags = flags };
	struct mbox__side *s;
	void *slot = NULL;
	uint64_t pos;
	int ret;

	s = side_of_ring(mb, SENDERS);
	if (!s || check_send_flags(flags, MBOX_DONTWAIT) < 0 || check_len(s, len) < 0)
		return NULL;
	ret = send_blocking(mb, s, NULL, 0, &pos, &call);
	if (!ret && closed_meanwhile(s, &call)) {
		ring_abandon(&s->ring, pos);
		published(mb, s, RECEIVERS, 1);
		errno = EBADF;
		ret = -1;
	}
	if (!ret)
		slot = ring_payload(&s->ring, pos);
	finish(mb, s, SENDERS, &call, ret);

	return slot;
}

/*
 * The slot of a message in place, to be committed or abandoned. In a destroyed ring it is
 * abandoned here.
 */
static int get_claimed(struct mbox__side *s, const void *slot, uint64_t *pos)
{
	if (!ring_claimed(&s->ring, slot, pos)) {
		errno = EINVAL;
		return -1;
	}
	if (is_dead(s, SENDERS)) {
		ring_abandon(&s->ring, *pos);
		errno = EIDRM;
		return -1;
	}

	return 0;
}

MBOX_API int mbox_commit(struct mbox *mb, void *slot, size_t len)
{
	struct mbox__side *s;
	uint64_t pos;

	s = side_of_ring(mb, SENDERS);
	if (!s || get_claimed(s, slot, &pos) < 0 || check_len(s, len) < 0)
		return -1;
	ring_commit(&s->ring, pos, len);
	published(mb, s, RECEIVERS, 1);

	return 0;
}

MBOX_API int mbox_discard(struct mbox *mb, void *slot)
{
	struct mbox__side *s;
	uint64_t pos;

	s = side_of_ring(mb, SENDERS);
	if (!s || get_claimed(s, slot, &pos) < 0)
		return -1;
	ring_abandon(&s->ring, pos);
	/* Receivers may be waiting for the messages behind it. */
	published(mb, s, RECEIVERS, 1);

	return 0;
}
