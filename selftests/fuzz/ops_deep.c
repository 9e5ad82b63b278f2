// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long queues: behind 64 messages there is an index.
 */
#include <sys/ioctl.h>

#include "fuzz.h"

#define DEEP_MAX 256

struct deep {
	int fd;
	unsigned int n;
	uint32_t capacity;
	/* In the order in which they are received; @serial as they came. */
	struct deep_message {
		uint64_t type;
		uint32_t prio;
		uint32_t len;
		uint32_t serial;
	} messages[DEEP_MAX];
	uint32_t serial;
};

static void deep_remove(struct deep *d, unsigned int i)
{
	d->n--;
	memmove(&d->messages[i], &d->messages[i + 1],
		(d->n - i) * sizeof(d->messages[0]));
}

static void deep_drop_oldest(struct deep *d)
{
	unsigned int i, oldest = 0;

	for (i = 1; i < d->n; i++)
		if (d->messages[i].serial < d->messages[oldest].serial)
			oldest = i;
	deep_remove(d, oldest);
}

static void deep_add(struct deep *d, const struct mbox_msg *m)
{
	unsigned int i = d->n;

	if (d->n == d->capacity) {
		deep_drop_oldest(d);
		i = d->n;
	}
	while (i && d->messages[i - 1].prio < m->prio)
		i--;
	memmove(&d->messages[i + 1], &d->messages[i],
		(d->n - i) * sizeof(d->messages[0]));
	d->messages[i] = (struct deep_message){
		m->type, m->prio, m->len, d->serial++,
	};
	d->n++;
}

/* Which message a receive gets, or -1. */
static int deep_find(const struct deep *d, const struct mbox_msg *m)
{
	uint32_t skip = m->skip;
	int i, best = -1;

	for (i = 0; i < d->n; i++) {
		if (!matches(m->flags, m->type, d->messages[i].type))
			continue;
		if (m->flags & MBOX_MATCH_LE) {
			if (best < 0 ||
			    d->messages[i].type < d->messages[best].type)
				best = i;
		} else if (!skip--) {
			return i;
		}
	}
	return best;
}

/* Numbers that are the same in every run of the program. */
static uint32_t deep_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static void deep_send(struct worker *l, struct deep *d, uint64_t *random,
		      unsigned int types)
{
	struct mbox_msg m = {
		.type = deep_random(random) % types,
		.prio = deep_random(random) % 3,
		.len = deep_random(random) & 63, .flags = MBOX_DONTWAIT,
	};

	if (d->n == DEEP_MAX)
		return;
	m.buf = (uintptr_t)memory_source(l, 0, m.len);
	while (ioctl(d->fd, MBOX_IOC_SEND, &m)) {
		if (errno == EINTR)
			continue;
		if (!l->failing)
			broken("a send to a mailbox with room: %s",
			       strerror(errno));
		return;
	}
	deep_add(d, &m);
}

static void deep_receive(struct worker *l, struct deep *d, uint64_t *random,
			 unsigned int types)
{
	static const uint32_t flags[] = {
		0, MBOX_MATCH, MBOX_MATCH_NOT, MBOX_MATCH_LE,
	};
	uint32_t r = deep_random(random);
	struct mbox_msg m = {
		.flags = MBOX_DONTWAIT | MBOX_TRUNC | flags[r & 3],
		.type = (r >> 2) % (types + 1),
	}, asked;
	const struct deep_message *e;
	int i, ret;

	if (r & 1 << 20)
		m.flags |= MBOX_PEEK;
	if (m.flags & MBOX_PEEK && !(m.flags & MBOX_MATCH_LE))
		m.skip = (r >> 10) % (d->n + 2);
	asked = m;
	i = deep_find(d, &m);
	/* What takes several steps can be interrupted between them. */
	do
		ret = ioctl(d->fd, MBOX_IOC_RECV, &m) < 0 ? -errno : 0;
	while (ret == -EINTR);
	if (l->failing && ret)
		return;
	if (ret && (i >= 0 || ret != -EAGAIN)) {
		broken("flags %#x, type %llu, skip %u: error %d, but message %d of %u",
		       asked.flags, LLU(asked.type), asked.skip, -ret, i, d->n);
		return;
	}
	if (ret)
		return;
	e = &d->messages[i < 0 ? 0 : i];
	if (i < 0 || m.type != e->type || m.prio != e->prio || m.len != e->len)
		broken("flags %#x, type %llu, skip %u: type %llu, priority %u, %u bytes instead of message %d of %u",
		       asked.flags, LLU(asked.type), asked.skip, LLU(m.type),
		       m.prio, m.len, i, d->n);
	else if (!(m.flags & MBOX_PEEK))
		deep_remove(d, i);
}

/* Against what a simple list does: behind 64 messages, there is an index. */
long op_deep(struct worker *l, const struct op *op)
{
	unsigned int i, n = 60 + op->a[1] % 180, types = 1 + op->a[3] % 5;
	uint64_t random = op->a[4] << 16 | op->a[6] << 8 | op->a[7];
	bool drops = op->a[2] & 1;
	struct deep *d;

	if (!scene_begins(l))
		return -EPERM;
	d = (void *)l->recv;
	memset(d, 0, sizeof(*d));
	d->capacity = drops ? 65 + n / 2 : MBOX_UNBOUNDED;
	d->fd = scene_mailbox(l, drops ? MBOX_DROP_OLDEST : 0, d->capacity, 64);
	if (d->fd < 0)
		return -errno;
	for (i = 0; i < n; i++)
		deep_send(l, d, &random, types);
	for (i = 0; i < 40 + (op->a[6] & 63) && !shared->broken; i++) {
		if (deep_random(&random) & 3)
			deep_receive(l, d, &random, types);
		else
			deep_send(l, d, &random, types);
	}
	close(d->fd);
	return 0;
}
