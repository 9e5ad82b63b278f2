// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on calls that do not wait, and on calls and replies with descriptors.
 *
 * The end of each call is fetched once: by its token, those that were fetched are
 * remembered. A call that was cancelled is one of them.
 */
#include <poll.h>

#include "fuzz.h"

/* ---- tokens of calls ------------------------------------------------------ */

static void call_found(uint64_t token)
{
	uint32_t n = __atomic_fetch_add(&shared->nstarted, 1, __ATOMIC_RELAXED);

	__atomic_store_n(&shared->started[n % ARRAY_SIZE(shared->started)], token,
			 __ATOMIC_RELAXED);
}

/* None, mostly; otherwise one of the last, also of other handles, and used ones. */
static uint64_t pick_call(uint8_t b)
{
	uint32_t n = __atomic_load_n(&shared->nstarted, __ATOMIC_RELAXED);

	if (b < 128)
		return 0;
	if (b >= 240)
		return pick64(b & 15);
	n -= 1 + (b & 7);
	return __atomic_load_n(&shared->started[n % ARRAY_SIZE(shared->started)],
			       __ATOMIC_RELAXED);
}

/* A call is over, and nothing more is told of it. */
static void call_is_over(uint64_t token, const char *how)
{
	uint64_t *place = &shared->over[token % ARRAY_SIZE(shared->over)];

	call_ended();
	if (__atomic_exchange_n(place, token, __ATOMIC_SEQ_CST) == token)
		broken("call %llu was %s, and was over before", LLU(token), how);
}

/* ---- operations ------------------------------------------------------------ */

static void fill_request(struct worker *l, const struct op *op, struct mbox_msg *m)
{
	memset(m, 0, sizeof(*m));
	m->len = pick_len(op->a[1]);
	m->buf = (uintptr_t)memory_source(l, op->a[5], m->len);
	m->flags = op->a[2] & 4 ? MBOX_REALTIME : 0;
	if (op->a[2] >= 0xf0)
		m->flags |= 1U << (op->a[7] & 31);
	m->prio = pick_prio(op->a[3]);
	m->type = pick_type(op->a[6]);
	m->deadline_ns = pick_deadline(op->a[4], op->a[2] & 4);
}

/* The structure for a reply, beside the argument of the ioctl. */
static struct mbox_msg *reply_room(struct worker *l, const struct op *op, struct mbox_msg *m,
				   int *fds, bool *sure)
{
	memset(m, 0, sizeof(*m));
	m->len = pick_len(op->a[7]);
	m->buf = (uintptr_t)memory_target(l, op->a[5] & 31, m->len, sure);
	if (op->a[3] & 1) {
		m->nfds = 2;
		m->fds = (uintptr_t)fds;
	}
	return m;
}

static void close_received(const struct mbox_msg *m, const int *fds)
{
	unsigned int i;

	for (i = 0; m->nfds <= 2 && i < m->nfds; i++)
		close(fds[i]);
}

long op_call_start(struct worker *l, const struct op *op)
{
	struct mbox_call_start s = {};
	struct mbox_msg m;
	long ret;

	fill_request(l, op, &m);
	if (op->a[2] & 3)
		m.flags |= MBOX_DONTWAIT;
	s.req = (uintptr_t)&m;
	s.msg_size = op->a[3] < 240 ? sizeof(m) : pick32(op->a[3] & 31);
	s.rep_max = pick_len(op->a[7]);
	/* Before it can be fetched. */
	call_begins();
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_CALL_START, &s, sizeof(s));
	if (ret < 0) {
		if (!op->tweak)
			call_ended();
		return ret;
	}
	if (op->tweak)
		return ret;
	if (!s.token)
		broken("a call was started without a token");
	call_found(s.token);
	return ret;
}

long op_call_wait(struct worker *l, const struct op *op)
{
	struct mbox_call_wait w = {};
	struct mbox_msg m, before;
	int fds[2] = { -1, -1 };
	bool sure;
	long ret;

	reply_room(l, op, &m, fds, &sure);
	m.flags = op->a[2] & 4 ? MBOX_REALTIME : 0;
	if (op->a[2] & 3)
		m.flags |= MBOX_DONTWAIT;
	if (op->a[2] & 8)
		m.flags |= MBOX_TRUNC;
	if (op->a[2] >= 0xf0)
		m.flags |= 1U << (op->a[6] & 31);
	before = m;
	w.token = pick_call(op->a[1]);
	w.rep = (uintptr_t)&m;
	w.msg_size = sizeof(m);
	w.deadline_ns = pick_deadline(op->a[4], op->a[2] & 4);
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_CALL_WAIT, &w, sizeof(w));
	/* Where every copy can fail, so can the one that takes back "ended". */
	if (op->tweak || (l->failing && ret < 0)) {
		if (ret >= 0)
			close_received(&m, fds);
		return ret;
	}
	if (w.ended)
		call_is_over(w.token, "fetched");
	if (ret < 0) {
		if (w.ended && ret != -ETIMEDOUT && ret != -EPIPE && ret != -EIDRM &&
		    ret != -EMSGSIZE)
			broken("a call ended with %ld", ret);
		return ret;
	}
	if (!w.ended || m.len != ret || (m.flags & ~MBOX_CTRUNC) != before.flags ||
	    m.nfds > before.nfds || (ret > before.len && !(before.flags & MBOX_TRUNC)))
		broken("fetched %ld bytes: ended %u, len %u, flags %#x, %u descriptors", ret,
		       w.ended, m.len, m.flags, m.nfds);
	close_received(&m, fds);
	if (sure)
		check_payload((void *)(uintptr_t)before.buf, before.len, ret);
	return ret;
}

long op_call_cancel(struct worker *l, const struct op *op)
{
	struct mbox_call_cancel c = { .token = pick_call(op->a[1] | 128) };
	long ret;

	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_CALL_CANCEL, &c, sizeof(c));
	if (!ret && !op->tweak)
		call_is_over(c.token, "cancelled");
	return ret;
}

long op_callmsg(struct worker *l, const struct op *op)
{
	struct mbox_callmsg c = {};
	struct mbox_msg req, rep;
	int fds[2] = { -1, -1 };
	bool sure;
	long ret;

	fill_request(l, op, &req);
	reply_room(l, op, &rep, fds, &sure);
	c.req = (uintptr_t)&req;
	c.rep = (uintptr_t)&rep;
	c.msg_size = sizeof(req);
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_CALLMSG, &c, sizeof(c));
	if (ret < 0)
		return ret;
	close_received(&rep, fds);
	if (!op->tweak && (rep.len != ret || rep.flags & ~MBOX_CTRUNC))
		broken("a call of %ld bytes: len %u, flags %#x", ret, rep.len, rep.flags);
	return ret;
}

/* Descriptors of any kind, handles of MBOX_LEAF mailboxes among them. */
long op_replymsg(struct worker *l, const struct op *op)
{
	int fds[2] = { slot_fd(op->a[1]), slot_fd(op->a[2]) };
	struct mbox_replymsg r = {};

	r.token = pick_token(op->a[7]);
	r.len = pick_len(op->a[6]);
	r.buf = (uintptr_t)memory_source(l, op->a[5], r.len);
	reply_length(r.token, r.len);
	if (op->a[3] & 3) {
		r.nfds = 1 + (op->a[3] & 1);
		r.fds = (uintptr_t)fds;
	}
	return do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_REPLYMSG, &r, sizeof(r));
}
