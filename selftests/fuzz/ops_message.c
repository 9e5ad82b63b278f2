// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations that send and receive by ioctl.
 */
#include <sys/ioctl.h>

#include "fuzz.h"

/* Where the structures of a batch are: behind what do_ioctl() uses. */
#define VEC_OFFSET	(9 * PAGE)
#define VEC_SIZE	(7 * PAGE)

uint32_t pick_prio(uint8_t b)
{
	return b < 192 ? b & 3 : pick32(b & 31);
}

uint64_t pick_type(uint8_t b)
{
	return b < 224 ? b & 3 : pick64(b & 31);
}

static void fill_send(struct worker *l, const struct op *op, struct mbox_msg *m)
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
	/* Most have none; of the others, most end soon. */
	if ((f & 0x38) == 0x38)
		m->lifespan_ns = op->a[7] < 224 ? op->a[7] * 2000 : pick64(op->a[7] & 31);
}

bool fill_recv(struct worker *l, const struct op *op, struct mbox_msg *m)
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
		m->skip = op->a[3] < 128 ? op->a[3] & 3 :
			  op->a[3] < 240 ? op->a[3] - 128 :
					   pick32(op->a[3] & 31);
	m->type = pick_type(op->a[6]);
	m->deadline_ns = pick_deadline(op->a[4], f & 64);
	m->buf = (uintptr_t)memory_target(l, op->a[5], m->len, &sure);
	return sure;
}

void check_payload(const void *at, size_t room, size_t len)
{
	if (!shared->wild && !memory_is_message(at, MIN(room, len), len))
		broken("a message of %zu bytes has the wrong content", len);
}

bool matches(uint32_t flags, uint64_t asked, uint64_t type)
{
	if (flags & MBOX_MATCH_LE)
		return type <= asked;
	if (flags & MBOX_MATCH_NOT)
		return type != asked;
	return !(flags & MBOX_MATCH) || type == asked;
}

/* ---- one message -------------------------------------------------------- */

long op_send(struct worker *l, const struct op *op)
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

long op_recv(struct worker *l, const struct op *op)
{
	uint32_t began = request_receive_begins();
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
	request_received(&m, began);
	if (m.len != ret || (m.token && before.flags & MBOX_PEEK) || m.nfds || m.fds ||
	    m.prio > MBOX_PRIO_MAX || m.flags != before.flags ||
	    m.buf != before.buf)
		broken("receive: %ld bytes, len %u, prio %u", ret, m.len,
		       m.prio);
	if (ret > before.len && !(before.flags & MBOX_TRUNC))
		broken("received %ld bytes into %u", ret, before.len);
	if (!matches(before.flags, before.type, m.type))
		broken("asked for type %llu, flags %#x, got %llu",
		       (unsigned long long)before.type, before.flags,
		       (unsigned long long)m.type);
	if (sure)
		check_payload((void *)(uintptr_t)before.buf, before.len, ret);
	return ret;
}

/* ---- batches ------------------------------------------------------------ */

/* An array of @n messages like @m, @size bytes each, one after the other. */
void *make_vec(struct worker *l, const struct mbox_msg *m, unsigned int n,
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

static long batch(struct worker *l, const struct op *op, unsigned int cmd,
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

long op_sendv(struct worker *l, const struct op *op)
{
	struct mbox_msg m;

	fill_send(l, op, &m);
	return batch(l, op, MBOX_IOC_SENDV, &m);
}

long op_recvv(struct worker *l, const struct op *op)
{
	const struct mbox_msg *got = (void *)(l->arg + VEC_OFFSET);
	uint32_t began = request_receive_begins();
	struct mbox_msg m;
	long i, ret;

	fill_recv(l, op, &m);
	ret = batch(l, op, MBOX_IOC_RECVV, &m);
	/* See there: which of them are whole structures, in place. */
	if (!op->tweak && op->a[7] < 0xe0 && (op->a[7] >> 3 & 7) < 3)
		for (i = 0; i < ret; i++) {
			/* For the whole batch: see there. */
			if (op->a[2] >= 0xf0 && 1U << (op->a[3] & 31) == MBOX_LEASE)
				request_leased(&got[i]);
			else
				request_received(&got[i], began);
		}
	return ret;
}

/* Many messages of several types at once, so that the queue is long. */
long op_fill(struct worker *l, const struct op *op)
{
	struct mbox_set_capacity set = { .capacity = MBOX_UNBOUNDED };
	unsigned int i, n = 65 + op->a[1] % 136;
	int fd = slot_fd(op->a[0]);
	struct mbox_msg m = {
		.len = op->a[6] & 15, .flags = MBOX_DONTWAIT,
	};
	struct mbox_vec vec = { .n = n, .msg_size = sizeof(m) };
	struct mbox_msg *msgs;

	if (op->a[2] & 1)
		ioctl(fd, MBOX_IOC_SET_CAPACITY, &set);
	m.buf = (uintptr_t)memory_source(l, 0, m.len);
	msgs = make_vec(l, &m, n, sizeof(m));
	for (i = 0; i < n; i++) {
		msgs[i].type = i * (1 + (op->a[3] & 7)) % 5;
		msgs[i].prio = op->a[4] & 1 ? i % 3 : 0;
	}
	vec.msgs = (uintptr_t)msgs;
	return do_ioctl(l, op, fd, MBOX_IOC_SENDV, &vec, sizeof(vec));
}
