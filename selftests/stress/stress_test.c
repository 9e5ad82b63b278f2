// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eight processes do all kinds of things to one mailbox, at random. Messages
 * carry numbers, counted per sender and priority: in the end each has been
 * received once, and each receiver has seen them in order.
 *
 * MBOX_SEED repeats a run, as far as the scheduler lets it.
 */
#include <poll.h>
#include <sys/time.h>

#include "peers.h"

#define PROCESSES	8
#define PRIORITIES	3
#define OPERATIONS	2500
#define BATCH		4
#define LEN_MAX		6000

struct payload {
	__u32 sender;
	__u32 prio;
	__u32 seq;
	__u32 len;
	unsigned char filler[LEN_MAX];
};

#define HEADER offsetof(struct payload, filler)

/* Shared by all: what was sent, and how often each message was received. */
struct shared {
	__u32 sent[PROCESSES][PRIORITIES];
	__u8 received[PROCESSES][PRIORITIES][OPERATIONS * BATCH];
	__u64 receipts;
	__u64 operations[16];
	int fd;
	bool with_policy;
	unsigned int seed;
};

/* One process. */
struct actor {
	struct shared *shared;
	__u32 id;
	unsigned int random;
	__s64 last[PROCESSES][PRIORITIES];
	struct payload buf[BATCH];
};

static __u32 pick(struct actor *a, __u32 n)
{
	a->random = a->random * 1103515245 + 12345;
	return (a->random >> 16) % n;
}

static unsigned char filler_of(const struct payload *p, __u32 i)
{
	return p->sender * 31 + p->prio * 7 + p->seq + i;
}

static void compose(struct actor *a, struct payload *p, __u32 prio, __u32 ahead)
{
	__u32 i;

	p->sender = a->id;
	p->prio = prio;
	p->seq = a->shared->sent[a->id][prio] + ahead;
	/* Mostly short; some go over a page. */
	p->len = HEADER + (pick(a, 20) ? pick(a, 100) : pick(a, LEN_MAX));
	for (i = 0; i < p->len - HEADER; i++)
		p->filler[i] = filler_of(p, i);
}

/* Whether a message is one that was sent; @len is what the call returned. */
static int check(const struct payload *p, long len)
{
	__u32 i;

	CHECK(len >= (long)HEADER && (long)p->len == len);
	CHECK(p->sender < PROCESSES && p->prio < PRIORITIES);
	CHECK(p->seq < OPERATIONS * BATCH);
	for (i = 0; i < p->len - HEADER; i++)
		CHECK_EQ(filler_of(p, i), p->filler[i]);
	return 0;
}

static int account(struct actor *a, const struct payload *p, const struct mbox_msg *msg)
{
	__u8 *count;

	CHECK_EQ(0, check(p, msg->len));
	CHECK_EQ(p->prio, msg->prio);
	CHECK_EQ(p->sender, msg->type);
	CHECK(a->last[p->sender][p->prio] < p->seq);
	a->last[p->sender][p->prio] = p->seq;
	count = &a->shared->received[p->sender][p->prio][p->seq];
	CHECK_EQ(0, __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST));
	__atomic_fetch_add(&a->shared->receipts, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/* Every wait is short: the run ends whatever the others do. */
static __u64 soon(struct actor *a)
{
	return now_ns(CLOCK_MONOTONIC) + pick(a, 2000) * 1000;
}

static bool is_expected(long ret)
{
	return ret == -EAGAIN || ret == -ETIMEDOUT || ret == -EINTR;
}

static __u32 way_to_wait(struct actor *a, struct mbox_msg *msg)
{
	if (!pick(a, 3))
		return MBOX_DONTWAIT;
	msg->deadline_ns = soon(a);
	return 0;
}

static int do_send(struct actor *a, __u32 flags)
{
	__u32 prio = pick(a, PRIORITIES);
	struct mbox_msg msg;
	long ret;

	compose(a, &a->buf[0], prio, 0);
	msg = msg_of(&a->buf[0], a->buf[0].len, flags);
	msg.flags |= way_to_wait(a, &msg);
	msg.prio = prio;
	msg.type = a->id;
	ret = raw(a->shared->fd, MBOX_IOC_SEND, &msg);
	/* A policy that drops a message tells its waiting sender. */
	if (ret == -EPIPE && a->shared->with_policy && flags & MBOX_SYNC)
		ret = 0;
	CHECK(!ret || is_expected(ret));
	if (!ret)
		a->shared->sent[a->id][prio]++;
	return 0;
}

static int do_send_batch(struct actor *a)
{
	__u32 prio = pick(a, PRIORITIES), i;
	struct mbox_msg msgs[BATCH];
	long ret;

	for (i = 0; i < BATCH; i++) {
		compose(a, &a->buf[i], prio, i);
		msgs[i] = msg_of(&a->buf[i], a->buf[i].len, 0);
		msgs[i].deadline_ns = soon(a);
		msgs[i].prio = prio;
		msgs[i].type = a->id;
	}
	ret = raw_vec(a->shared->fd, MBOX_IOC_SENDV, msgs, BATCH, 0);
	CHECK(ret > 0 || is_expected(ret));
	if (ret > 0)
		a->shared->sent[a->id][prio] += ret;
	return 0;
}

static int do_receive(struct actor *a, __u32 flags)
{
	struct mbox_msg msg = msg_of(&a->buf[0], sizeof(a->buf[0]), flags);
	long ret;

	msg.flags |= way_to_wait(a, &msg);
	msg.type = pick(a, PROCESSES);
	ret = raw(a->shared->fd, MBOX_IOC_RECV, &msg);
	if (ret < 0) {
		CHECK(is_expected(ret));
		return 0;
	}
	if (flags & MBOX_PEEK)
		return check(&a->buf[0], ret);
	CHECK_EQ(ret, msg.len);
	return account(a, &a->buf[0], &msg);
}

static int do_receive_batch(struct actor *a)
{
	struct mbox_msg msgs[BATCH];
	long ret, i;

	for (i = 0; i < BATCH; i++) {
		msgs[i] = msg_of(&a->buf[i], sizeof(a->buf[i]), 0);
		msgs[i].deadline_ns = soon(a);
	}
	ret = raw_vec(a->shared->fd, MBOX_IOC_RECVV, msgs, BATCH,
		      pick(a, 2) ? MBOX_WAITFORONE : 0);
	CHECK(ret > 0 || is_expected(ret));
	for (i = 0; i < ret; i++)
		CHECK_EQ(0, account(a, &a->buf[i], &msgs[i]));
	return 0;
}

static int do_poll(struct actor *a)
{
	struct pollfd p = { .fd = a->shared->fd, .events = pick(a, 2) ? POLLIN : POLLOUT };
	int ret = poll(&p, 1, pick(a, 3));

	CHECK(ret >= 0 || errno == EINTR);
	CHECK(ret <= 0 || p.revents == p.events);
	return 0;
}

static int operate(struct actor *a)
{
	static const __u32 capacities[] = { 0, 1, 2, 5, 20 };
	static const __u32 selections[] = { 0, 0, MBOX_MATCH, MBOX_MATCH_NOT, MBOX_MATCH_LE,
					    MBOX_PEEK, MBOX_PEEK | MBOX_MATCH };
	__u32 what = pick(a, 16);

	__atomic_fetch_add(&a->shared->operations[what], 1, __ATOMIC_RELAXED);
	switch (what) {
	case 0 ... 4:
		return do_send(a, 0);
	case 5:
		return do_send(a, MBOX_SYNC);
	case 6:
		return do_send_batch(a);
	case 7 ... 12:
		return do_receive(a, selections[pick(a, ARRAY_SIZE(selections))]);
	case 13:
		return do_receive_batch(a);
	case 14:
		return do_poll(a);
	default:
		CHECK_EQ(0, raw_set_capacity(a->shared->fd,
					     capacities[pick(a, ARRAY_SIZE(capacities))]));
		return 0;
	}
}

struct start {
	struct shared *shared;
	__u32 id;
};

/* Signals hit the calls, with and without SA_RESTART. */
static int run_actor(void *arg)
{
	struct itimerval timer = { { 0, 5000 }, { 0, 5000 } };
	struct start *start = arg;
	static struct actor a;
	int i;

	a.shared = start->shared;
	a.id = start->id;
	a.random = a.shared->seed + a.id * 7919;
	memset(a.last, -1, sizeof(a.last));
	CHECK_EQ(0, catch_signal(SIGALRM, a.id & 1 ? SA_RESTART : 0));
	setitimer(ITIMER_REAL, &timer, NULL);
	for (i = 0; i < OPERATIONS; i++)
		CHECK_EQ(0, operate(&a));
	return 0;
}

FIXTURE(stress)
{
	struct shared *shared;
};

FIXTURE_VARIANT(stress)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(stress, waiting)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(stress, drop_oldest)
{
	.flags = MBOX_DROP_OLDEST,
};

FIXTURE_VARIANT_ADD(stress, drop_newest)
{
	.flags = MBOX_DROP_NEWEST,
};

FIXTURE_SETUP(stress)
{
	const char *seed = getenv("MBOX_SEED");

	self->shared = shared_memory(sizeof(*self->shared));
	ASSERT_TRUE(!!self->shared);
	self->shared->seed = seed ? strtoul(seed, NULL, 0) : (__u32)now_ns(CLOCK_REALTIME);
	TH_LOG("MBOX_SEED=%u", self->shared->seed);
	self->shared->with_policy = variant->flags;
	self->shared->fd = new_mailbox(variant->flags, 5);
	ASSERT_LE(0, self->shared->fd);
}

FIXTURE_TEARDOWN(stress)
{
	close(self->shared->fd);
}

static int drain(void *arg)
{
	static struct actor a;
	struct mbox_msg msg;

	a.shared = arg;
	memset(a.last, -1, sizeof(a.last));
	for (;;) {
		msg = msg_of(&a.buf[0], sizeof(a.buf[0]), MBOX_DONTWAIT);
		if (raw(a.shared->fd, MBOX_IOC_RECV, &msg) < 0)
			return 0;
		CHECK_EQ(0, account(&a, &a.buf[0], &msg));
	}
}

TEST_F_TIMEOUT(stress, nothing_is_lost_duplicated_or_reordered, 120)
{
	struct shared *s = self->shared;
	struct start starts[PROCESSES];
	__u64 sent = 0, missing = 0;
	pid_t pids[PROCESSES];
	struct mbox_stat st;
	__u32 i, p, n;

	for (i = 0; i < PROCESSES; i++) {
		starts[i] = (struct start){ s, i };
		pids[i] = spawn(run_actor, &starts[i]);
	}
	for (i = 0; i < PROCESSES; i++)
		EXPECT_EQ(0, reap(pids[i]));
	EXPECT_EQ(0, in_child(drain, s));
	for (i = 0; i < PROCESSES; i++) {
		for (p = 0; p < PRIORITIES; p++) {
			sent += s->sent[i][p];
			for (n = 0; n < s->sent[i][p]; n++)
				missing += !s->received[i][p][n];
			/* Nothing that its sender was told not to be sent. */
			for (; n < OPERATIONS * BATCH; n++)
				ASSERT_EQ(0, s->received[i][p][n]);
		}
	}
	st = stat_of(s->fd);
	TH_LOG("%llu messages sent, %llu dropped", (unsigned long long)sent,
	       (unsigned long long)st.dropped);
	EXPECT_LT(1000U, sent);
	EXPECT_EQ(st.dropped, missing);
	EXPECT_EQ(st.sent, sent);
	EXPECT_EQ(st.received, s->receipts);
	EXPECT_EQ(0U, st.queued);
	EXPECT_EQ(0U, st.bytes);
	EXPECT_EQ(0U, st.waiting_senders);
	EXPECT_EQ(0U, st.waiting_receivers);
}

TEST_HARNESS_MAIN
