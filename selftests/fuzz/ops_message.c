// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations that send and receive by ioctl.
 */
#include "fuzz.h"

/* Where the structures of a batch are: behind what do_ioctl() uses. */
#define VEC_OFFSET	(9 * PAGE)
#define VEC_SIZE	(7 * PAGE)

static uint32_t pick_prio(uint8_t b)
{
	return b < 192 ? b & 3 : pick32(b & 31);
}

static uint64_t pick_type(uint8_t b)
{
	return b < 224 ? b & 3 : pick64(b & 31);
}

static void fill_send(struct lane *l, const struct op *op, struct mbox_msg *m)
{
	uint8_t f = op->a[2];

	memset(m, 0, sizeof(*m));
	m->len = pick_len(op->a[1]);
	m->buf = (uintptr_t)memory_source(l, op->a[5], m->len);
	if (f & 1)
		m->flags |= MBOX_DONTWAIT;
	if (f & 2)
		m->flags |= MBOX_SYNC;
	if (f & 4)
		m->flags |= MBOX_REALTIME;
	if (f >= 0xf0)
		m->flags |= 1U << (op->a[7] & 31);
	m->prio = pick_prio(op->a[3]);
	m->type = pick_type(op->a[6]);
	m->deadline_ns = pick_deadline(op->a[4], f & 4);
}

/* Returns whether what is received can be looked at. */
static bool fill_recv(struct lane *l, const struct op *op, struct mbox_msg *m)
{
	static const uint32_t flags[] = {
		MBOX_DONTWAIT, MBOX_PEEK, MBOX_TRUNC, MBOX_MATCH,
		MBOX_MATCH_NOT, MBOX_MATCH_LE, MBOX_REALTIME,
	};
	uint8_t f = op->a[2];
	unsigned int i;
	bool sure;

	memset(m, 0, sizeof(*m));
	m->len = pick_len(op->a[1]);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (f & 1 << i)
			m->flags |= flags[i];
	if (f & 128)
		m->flags |= 1U << (op->a[7] & 31);
	if (m->flags & MBOX_PEEK || op->a[3] >= 160)
		m->skip = op->a[3] < 240 ? op->a[3] & 3 :
					   pick32(op->a[3] & 31);
	m->type = pick_type(op->a[6]);
	m->deadline_ns = pick_deadline(op->a[4], f & 64);
	m->buf = (uintptr_t)memory_target(l, op->a[5], m->len, &sure);
	return sure;
}

static void check_payload(struct lane *l, const void *at, size_t room,
			  size_t len)
{
	if (!shared->wild && !memory_is_message(at, MIN(room, len), len))
		broken("a message of %zu bytes has the wrong content", len);
}

/* ---- tokens ------------------------------------------------------------- */

static void token_found(uint64_t token)
{
	uint32_t n = __atomic_fetch_add(&shared->ntokens, 1, __ATOMIC_RELAXED);

	__atomic_store_n(&shared->tokens[n % ARRAY_SIZE(shared->tokens)], token,
			 __ATOMIC_RELAXED);
}

/* One of the last, mostly; also of other handles, and used ones. */
static uint64_t pick_token(uint8_t b)
{
	uint32_t n = __atomic_load_n(&shared->ntokens, __ATOMIC_RELAXED);

	if (b >= 240)
		return pick64(b & 15);
	n -= 1 + (b & 3);
	return __atomic_load_n(&shared->tokens[n % ARRAY_SIZE(shared->tokens)],
			       __ATOMIC_RELAXED);
}

/* ---- one message -------------------------------------------------------- */

long op_send(struct lane *l, const struct op *op)
{
	struct mbox_msg m, before;
	long ret;

	fill_send(l, op, &m);
	before = m;
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_SEND, &m, sizeof(m));
	if (!op->tweak && memcmp(&m, &before, sizeof(m)))
		broken("a send changed its argument");
	return ret;
}

long op_recv(struct lane *l, const struct op *op)
{
	struct mbox_msg m, before;
	bool sure;
	long ret;

	sure = fill_recv(l, op, &m);
	before = m;
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_RECV, &m, sizeof(m));
	if (op->tweak)
		return ret;
	if (ret < 0) {
		if (memcmp(&m, &before, sizeof(m)) && !l->failing)
			broken("a receive that failed changed its argument");
		return ret;
	}
	if (m.token)
		token_found(m.token);
	if (m.len != ret || (m.token && before.flags & MBOX_PEEK) || m.nfds || m.fds ||
	    m.prio > MBOX_PRIO_MAX || m.flags != before.flags ||
	    m.buf != before.buf)
		broken("receive: %ld bytes, len %u, prio %u", ret, m.len,
		       m.prio);
	if (ret > before.len && !(before.flags & MBOX_TRUNC))
		broken("received %ld bytes into %u", ret, before.len);
	if ((before.flags & (MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE)) ==
	    MBOX_MATCH && m.type != before.type)
		broken("asked for type %llu, got %llu",
		       (unsigned long long)before.type,
		       (unsigned long long)m.type);
	if (sure)
		check_payload(l, (void *)(uintptr_t)before.buf, before.len,
			      ret);
	return ret;
}

/* ---- batches ------------------------------------------------------------ */

/* An array of @n messages like @m, @size bytes each, one after the other. */
static void *make_vec(struct lane *l, const struct mbox_msg *m, unsigned int n,
		      uint32_t size)
{
	uint8_t *vec = l->arg + VEC_OFFSET;
	unsigned int i;

	/* Empty messages where nothing else is: no leftovers. */
	memset(vec, 0, VEC_SIZE);
	if (size < sizeof(m->buf) || (uint64_t)n * size > VEC_SIZE)
		return vec;
	for (i = 0; i < n; i++)
		memcpy(vec + i * size, m, MIN(sizeof(*m), size));
	return vec;
}

/* Other priorities; the last has other flags. */
static void vary(uint8_t *vec, unsigned int n, uint32_t size, uint8_t flags)
{
	struct mbox_msg *m;
	unsigned int i;

	if (size < sizeof(*m) || (uint64_t)n * size > VEC_SIZE)
		return;
	for (i = 0; i < n; i++) {
		m = (struct mbox_msg *)(vec + i * size);
		m->prio = i & 3;
		if (i == n - 1)
			m->flags |= pick32(flags);
	}
}

static long batch(struct lane *l, const struct op *op, unsigned int cmd,
		  struct mbox_msg *m)
{
	static const uint32_t sizes[] = {
		sizeof(struct mbox_msg), sizeof(struct mbox_msg),
		sizeof(struct mbox_msg), MBOX_MSG_SIZE_MIN, 24,
		sizeof(struct mbox_msg) + 8, 15, 4096,
	};
	static const uint32_t counts[] = { 1, 2, 3, 8, 0, 64, 256, 300 };
	struct mbox_vec vec = {};
	uint8_t how = op->a[7];
	long ret;

	vec.n = counts[how & 7];
	vec.msg_size = sizes[how >> 3 & 7];
	/* A waiting batch of many would be at it for long. */
	if (vec.n > 8)
		m->flags |= MBOX_DONTWAIT;
	vec.msgs = (uintptr_t)make_vec(l, m, vec.n, vec.msg_size);
	if (how >= 0xf0)
		vec.msgs = (uintptr_t)memory_hole();
	else if (how >= 0xe0)
		vec.n = pick32(op->a[3] & 31);
	/* Flags of the whole: the lowest are those of each. */
	if (op->a[2] & 1)
		vec.flags |= MBOX_DONTWAIT;
	if (op->a[2] & 16)
		vec.flags |= MBOX_WAITFORONE;
	if (op->a[2] >= 0xf0)
		vec.flags |= 1U << (op->a[3] & 31);
	if (how & 64 && how < 0xe0)
		vary(l->arg + VEC_OFFSET, vec.n, vec.msg_size, op->a[4] & 31);
	ret = do_ioctl(l, op, slot_fd(op->a[0]), cmd, &vec, sizeof(vec));
	if (!op->tweak && ret > 0 && (uint32_t)ret > vec.n)
		broken("a batch of %u did %ld", vec.n, ret);
	return ret;
}

long op_sendv(struct lane *l, const struct op *op)
{
	struct mbox_msg m;

	fill_send(l, op, &m);
	return batch(l, op, MBOX_IOC_SENDV, &m);
}

long op_recvv(struct lane *l, const struct op *op)
{
	struct mbox_msg m;

	fill_recv(l, op, &m);
	return batch(l, op, MBOX_IOC_RECVV, &m);
}

/* ---- call and reply ----------------------------------------------------- */

long op_call(struct lane *l, const struct op *op)
{
	struct mbox_request r = {};
	bool sure;
	long ret;

	r.len = pick_len(op->a[1]);
	r.rep_len = pick_len(op->a[7]);
	r.buf = (uintptr_t)memory_source(l, op->a[5], r.len);
	r.rep = (uintptr_t)memory_target(l, op->a[2] >> 3, r.rep_len, &sure);
	if (op->a[2] & 4)
		r.flags |= MBOX_REALTIME;
	if (op->a[2] >= 0xf0)
		r.flags |= 1U << (op->a[3] & 31);
	r.prio = pick_prio(op->a[3]);
	r.type = pick_type(op->a[6]);
	r.deadline_ns = pick_deadline(op->a[4], op->a[2] & 4);
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_CALL, &r, sizeof(r));
	if (op->tweak || ret < 0)
		return ret;
	if (ret > r.rep_len)
		broken("a reply of %ld bytes in %u", ret, r.rep_len);
	if (sure)
		check_payload(l, (void *)(uintptr_t)r.rep, r.rep_len, ret);
	return ret;
}

static void fill_reply(struct lane *l, const struct op *op, unsigned int len,
		       struct mbox_reply *r)
{
	memset(r, 0, sizeof(*r));
	r->token = pick_token(op->a[7]);
	r->len = len;
	r->buf = (uintptr_t)memory_source(l, op->a[5], len);
}

long op_reply(struct lane *l, const struct op *op)
{
	struct mbox_reply r;

	fill_reply(l, op, pick_len(op->a[1]), &r);
	if (op->a[2] >= 0xf0)
		r.reserved = pick32(op->a[3] & 31);
	return do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_REPLY, &r,
			sizeof(r));
}

long op_reply_recv(struct lane *l, const struct op *op)
{
	struct mbox_reply_recv r = {};
	struct mbox_msg m, before, *next;
	long ret;

	fill_recv(l, op, &m);
	before = m;
	/* Short, mostly, so that it is not refused. */
	fill_reply(l, op, op->a[6] & 63, &r.reply);
	if (op->a[7] & 64)
		r.reply.token = 0;
	next = make_vec(l, &m, 1, sizeof(m));
	r.next = (uintptr_t)next;
	r.next_size = op->a[3] < 240 ? sizeof(m) : pick32(op->a[3] & 31);
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_REPLY_RECV, &r,
		       sizeof(r));
	if (op->tweak || ret < 0 || r.next_size < sizeof(m))
		return ret;
	if (next->token)
		token_found(next->token);
	if (next->len != ret || next->flags != before.flags ||
	    (ret > before.len && !(before.flags & MBOX_TRUNC)))
		broken("reply and receive: %ld bytes, len %u", ret, next->len);
	return ret;
}
