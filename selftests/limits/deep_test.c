// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deep queues: selection by type and position among more messages than are looked
 * at one by one, compared with a plain array that is searched from its beginning.
 */
#include "peers.h"
#include "random.h"

/* More than the module searches one by one. */
#define DEEP 700
#define TYPES 9
#define PRIOS 4

/**
 * struct expected - what is in the mailbox, in the order in which it is received
 * @n: how many
 * @msg: the messages
 */
struct expected {
	unsigned int n;
	struct {
		__u32 value;
		__u32 prio;
		__u64 type;
	} msg[2 * DEEP];
};

static __u64 some_type(struct random *r)
{
	/* Both ends of the range too. */
	static const __u64 ends[] = { 0, ~0ULL, ~0ULL - 1 };
	unsigned int i = random_below(r, TYPES);

	return i < ARRAY_SIZE(ends) ? ends[i] : i;
}

static void expect(struct expected *e, unsigned int at, __u32 value, __u32 prio, __u64 type)
{
	memmove(&e->msg[at + 1], &e->msg[at], (e->n - at) * sizeof(e->msg[0]));
	e->msg[at].value = value;
	e->msg[at].prio = prio;
	e->msg[at].type = type;
	e->n++;
}

static int send_one(struct expected *e, struct random *r, int fd, __u32 value)
{
	__u32 prio = random_below(r, PRIOS);
	__u64 type = some_type(r);
	unsigned int i = 0;

	while (i < e->n && e->msg[i].prio >= prio)
		i++;
	expect(e, i, value, prio, type);
	return put_as(fd, value, prio, type);
}

static bool wanted(__u32 flags, __u64 asked, __u64 type)
{
	if (flags & MBOX_MATCH_NOT)
		return type != asked;
	if (flags & MBOX_MATCH_LE)
		return type <= asked;
	return !(flags & MBOX_MATCH) || type == asked;
}

/* Which message a receive should get, or -1. */
static int find(const struct expected *e, __u32 flags, __u64 type, __u32 skip)
{
	int found = -1;
	unsigned int i;

	for (i = 0; i < e->n; i++) {
		if (!wanted(flags, type, e->msg[i].type))
			continue;
		if (flags & MBOX_MATCH_LE) {
			if (found < 0 || e->msg[i].type < e->msg[found].type)
				found = i;
		} else if (!skip--) {
			return i;
		}
	}
	return found;
}

static void forget(struct expected *e, unsigned int at)
{
	e->n--;
	memmove(&e->msg[at], &e->msg[at + 1], (e->n - at) * sizeof(e->msg[0]));
}

static __u32 some_flags(struct random *r)
{
	static const __u32 flags[] = {
		0, MBOX_MATCH, MBOX_MATCH | MBOX_MATCH_NOT, MBOX_MATCH_NOT,
		MBOX_MATCH | MBOX_MATCH_LE, MBOX_MATCH_LE,
	};

	return flags[random_below(r, ARRAY_SIZE(flags))];
}

FIXTURE(deep)
{
	struct expected *e;
	struct random r;
	unsigned long seed;
	int fd;
};

FIXTURE_VARIANT(deep)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(deep, plain) { .flags = 0 };
FIXTURE_VARIANT_ADD(deep, drop_oldest) { .flags = MBOX_DROP_OLDEST };
FIXTURE_VARIANT_ADD(deep, fair) { .flags = MBOX_FAIR };

FIXTURE_SETUP(deep)
{
	self->e = calloc(1, sizeof(*self->e));
	ASSERT_TRUE(!!self->e);
	self->seed = random_seed();
	self->r.state = self->seed;
	self->fd = new_mailbox(variant->flags, 4 * DEEP);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(deep)
{
	free(self->e);
	close(self->fd);
}

/* One receive or peek, compared. */
static bool same(struct expected *e, struct random *r, int fd, bool peek)
{
	__u32 flags = some_flags(r), skip = 0;
	__u64 type = some_type(r);
	long want, got;
	int i;

	if (peek && !(flags & MBOX_MATCH_LE))
		skip = random_below(r, e->n + 3);
	i = find(e, flags, type, skip);
	want = i < 0 ? -EAGAIN : (long)e->msg[i].value;
	got = take_as(fd, flags | (peek ? MBOX_PEEK : 0), type, skip);
	if (got != want) {
		fprintf(stderr, "# flags 0x%x, type %llu, skip %u of %u: %ld, not %ld\n", flags,
			(unsigned long long)type, skip, e->n, got, want);
		return false;
	}
	if (i >= 0 && !peek)
		forget(e, i);
	return true;
}

TEST_F(deep, selection_agrees_with_a_search_of_all_messages)
{
	unsigned int i;

	for (i = 0; i < DEEP; i++)
		ASSERT_EQ(0, send_one(self->e, &self->r, self->fd, i));
	for (i = 0; i < 4 * DEEP; i++) {
		if (one_in(&self->r, 3) && self->e->n < DEEP)
			ASSERT_EQ(0, send_one(self->e, &self->r, self->fd, DEEP + i));
		ASSERT_TRUE(same(self->e, &self->r, self->fd, one_in(&self->r, 2)))
			TH_LOG("MBOX_SEED=%lu, step %u", self->seed, i);
	}
	while (self->e->n)
		ASSERT_TRUE(same(self->e, &self->r, self->fd, false))
			TH_LOG("MBOX_SEED=%lu, %u left", self->seed, self->e->n);
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(deep, failed_copy_puts_a_message_back_to_its_place)
{
	struct mbox_msg msg;
	unsigned int i;
	int at;

	for (i = 0; i < DEEP; i++)
		ASSERT_EQ(0, send_one(self->e, &self->r, self->fd, i));
	for (i = 0; i < DEEP; i++) {
		msg = msg_of(NULL, 4, some_flags(&self->r) | MBOX_DONTWAIT);
		msg.type = some_type(&self->r);
		at = find(self->e, msg.flags, msg.type, 0);
		if (one_in(&self->r, 2)) {
			ASSERT_EQ(at < 0 ? -EAGAIN : -EFAULT, raw(self->fd, MBOX_IOC_RECV, &msg))
				TH_LOG("MBOX_SEED=%lu, step %u", self->seed, i);
			/* In front of its priority, wherever it stood there. */
			while (at > 0 && self->e->msg[at - 1].prio == self->e->msg[at].prio) {
				__u32 value = self->e->msg[at].value, prio = self->e->msg[at].prio;
				__u64 type = self->e->msg[at].type;
				unsigned int first = at;

				while (first && self->e->msg[first - 1].prio == prio)
					first--;
				forget(self->e, at);
				expect(self->e, first, value, prio, type);
				at = 0;
			}
		}
		ASSERT_TRUE(same(self->e, &self->r, self->fd, true))
			TH_LOG("MBOX_SEED=%lu, step %u", self->seed, i);
	}
}

/* The messages that were there before the first selection are in the index too. */
TEST_F(deep, messages_of_before_and_after_the_first_selection_keep_their_order)
{
	unsigned int i;

	for (i = 0; i < DEEP; i++)
		ASSERT_EQ(0, put_as(self->fd, i, 0, i % 2));
	ASSERT_EQ(1, take_as(self->fd, MBOX_MATCH, 1, 0));
	for (; i < DEEP + 10; i++)
		ASSERT_EQ(0, put_as(self->fd, i, 0, i % 2));
	for (i = 3; i < DEEP + 10; i += 2)
		ASSERT_EQ(i, take_as(self->fd, MBOX_MATCH, 1, 0));
	for (i = 0; i < DEEP + 10; i += 2)
		ASSERT_EQ(i, take(self->fd));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

#define SENDERS 150

/* Without capacity, selection is among the messages of waiting senders. */
TEST(selection_among_many_waiting_senders)
{
	struct call *c = calloc(SENDERS, sizeof(*c));
	int fd = new_mailbox(0, 0), i;
	struct random r = { .state = random_seed() };
	long got;

	ASSERT_TRUE(!!c);
	ASSERT_LE(0, fd);
	for (i = 0; i < SENDERS; i++) {
		c[i].msg = msg_of(&c[i].value, sizeof(c[i].value), 0);
		c[i].msg.type = i % 5;
		c[i].msg.prio = i % 3;
		ASSERT_EQ(0, send_start(&c[i], fd, i));
	}
	ASSERT_EQ(0, await_waiting(fd, SENDERS, 0));
	/* The lowest type, then whatever is not of type 4, then the others. */
	for (i = 0; i < SENDERS / 5; i++) {
		got = take_as(fd, MBOX_MATCH_LE, 3, 0);
		ASSERT_LE(0, got);
		EXPECT_EQ(0, got % 5);
	}
	for (i = 0; i < SENDERS * 3 / 5; i++) {
		EXPECT_LE(0, take_as(fd, MBOX_MATCH_NOT | MBOX_PEEK, 4,
				     random_below(&r, SENDERS * 3 / 5 - i)));
		got = take_as(fd, MBOX_MATCH_NOT, 4, 0);
		ASSERT_LE(0, got);
		EXPECT_NE(4, got % 5);
	}
	EXPECT_EQ(-EAGAIN, take_as(fd, MBOX_MATCH_NOT, 4, 0));
	/* With room they are let in, and found there. */
	ASSERT_EQ(0, raw_set_capacity(fd, SENDERS));
	ASSERT_EQ(0, await_waiting(fd, 0, 0));
	for (i = 0; i < SENDERS / 5; i++)
		EXPECT_EQ(4, take_as(fd, MBOX_MATCH, 4, 0) % 5);
	EXPECT_EQ(-EAGAIN, take(fd));
	for (i = 0; i < SENDERS; i++)
		EXPECT_EQ(0, call_join(&c[i]));
	free(c);
	close(fd);
}

/* Receivers and senders use the mailbox while its index is being made. */
struct busy {
	int fd;
	bool stop;
	long received;
};

static void *receive_all(void *arg)
{
	struct busy *b = arg;
	long got;

	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		got = take(b->fd);
		if (got >= 0)
			b->received++;
	}
	return NULL;
}

TEST(index_is_made_while_the_mailbox_is_in_use)
{
	const int n = 3000;
	struct busy b = { .fd = new_mailbox(0, MBOX_UNBOUNDED) };
	struct expected *e = calloc(1, sizeof(*e));
	long got, selected = 0;
	pthread_t thread;
	int i;

	ASSERT_LE(0, b.fd);
	ASSERT_TRUE(!!e);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, put_as(b.fd, i, i % 7, i % 50));
	ASSERT_EQ(0, thread_start(&thread, receive_all, &b));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, put_as(b.fd, n + i, i % 7, i % 50));
		got = take_as(b.fd, MBOX_MATCH, i % 50, 0);
		if (got >= 0) {
			ASSERT_EQ(i % 50, got % n % 50);
			selected++;
		}
	}
	while (stat_of(b.fd).queued)
		pause_briefly();
	__atomic_store_n(&b.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(2 * n, b.received + selected);
	free(e);
	close(b.fd);
}

/* Dropping what an index names. */
TEST(overflow_of_an_indexed_mailbox_drops_the_oldest)
{
	int fd = new_mailbox(MBOX_DROP_OLDEST, 200), i;

	ASSERT_LE(0, fd);
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, put_as(fd, i, 0, i % 2));
	ASSERT_EQ(199, take_as(fd, MBOX_PEEK, 0, 199));
	for (; i < 500; i++)
		ASSERT_EQ(0, put_as(fd, i, 0, i % 2));
	EXPECT_EQ(301, take_as(fd, MBOX_MATCH, 1, 0));
	EXPECT_EQ(300, take(fd));
	/* Far below what is stored: all but the newest goes in one send. */
	ASSERT_EQ(0, raw_set_capacity(fd, 1));
	ASSERT_EQ(0, put_as(fd, 1000, 0, 0));
	EXPECT_EQ(1U, stat_of(fd).queued);
	EXPECT_EQ(300U + 198, stat_of(fd).dropped);
	EXPECT_EQ(1000, take(fd));
	close(fd);
}

TEST_HARNESS_MAIN
