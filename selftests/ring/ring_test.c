// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: what goes in comes out, what rings do not have, limits, processes and
 * threads, and messages in place. Calls that wait are in ring_wait_test.c.
 */
#include "rings.h"

#define CAPACITY 5U
#define MSG_MAX  100U

FIXTURE(ring)
{
	struct mbox *mb;
	int fd;
	unsigned char out[MSG_MAX + 1];
	unsigned char in[MSG_MAX + 1];
};

FIXTURE_VARIANT(ring)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(ring, shared)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(ring, one_to_one)
{
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
};

FIXTURE_VARIANT_ADD(ring, one_sender)
{
	.flags = MBOX_ONE_SENDER,
};

FIXTURE_VARIANT_ADD(ring, one_receiver)
{
	.flags = MBOX_ONE_RECEIVER,
};

FIXTURE_SETUP(ring)
{
	unsigned int i;

	self->mb = new_ring(variant->flags, CAPACITY, MSG_MAX);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	for (i = 0; i < sizeof(self->out); i++)
		self->out[i] = i * 7 + 1;
	memset(self->in, POISON, sizeof(self->in));
}

FIXTURE_TEARDOWN(ring)
{
	EXPECT_EQ(0, mbox_close(self->mb));
}

TEST_F(ring, every_length_arrives_as_it_was)
{
	unsigned int len;

	for (len = 0; len <= MSG_MAX; len++) {
		memset(self->in, POISON, sizeof(self->in));
		ASSERT_EQ(0, neg(mbox_send(self->mb, self->out, len, 0)));
		ASSERT_EQ(len, neg(mbox_recv(self->mb, self->in, MSG_MAX, 0)));
		ASSERT_EQ(0, memcmp(self->in, self->out, len));
		ASSERT_EQ(POISON, self->in[len]);
	}
}

TEST_F(ring, holds_its_capacity_and_keeps_the_order)
{
	unsigned int lap, i;

	for (lap = 0; lap < 20; lap++) {
		for (i = 0; i < CAPACITY; i++)
			ASSERT_EQ(0, ring_put(self->mb, lap * 10 + i));
		ASSERT_EQ(-EAGAIN, ring_put(self->mb, 999));
		for (i = 0; i < CAPACITY; i++)
			ASSERT_EQ(lap * 10 + i, ring_take(self->mb));
		ASSERT_EQ(-EAGAIN, ring_take(self->mb));
	}
}

TEST_F(ring, stat_reports_the_contents)
{
	struct mbox_stat st;

	ASSERT_EQ(0, neg(mbox_stat(self->mb, &st)));
	EXPECT_EQ(MBOX_RING, st.attr.mode);
	EXPECT_EQ(variant->flags, st.attr.flags);
	EXPECT_EQ(CAPACITY, st.attr.capacity);
	EXPECT_EQ(MSG_MAX, st.attr.msg_max);
	EXPECT_EQ(0U, st.queued);
	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	ASSERT_EQ(1, ring_take(self->mb));
	ASSERT_EQ(0, neg(mbox_stat(self->mb, &st)));
	EXPECT_EQ(1U, st.queued);
	EXPECT_EQ(2U, st.sent);
	EXPECT_EQ(1U, st.received);
	EXPECT_EQ(0U, st.waiting_senders);
	EXPECT_EQ(0U, st.waiting_receivers);
}

TEST_F(ring, fdinfo_reports_a_ring)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_TRUE(!!strstr(text, "mbox-mode:\tring\n"));
	EXPECT_TRUE(!!strstr(text, "mbox-capacity:\t5\n"));
	EXPECT_TRUE(!!strstr(text, "mbox-queued:\t1\n"));
}

TEST_F(ring, message_longer_than_msg_max_is_EMSGSIZE)
{
	EXPECT_EQ(-EMSGSIZE, neg(mbox_send(self->mb, self->out, MSG_MAX + 1, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_send(self->mb, self->out, SIZE_MAX, 0)));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

TEST_F(ring, message_stays_when_the_buffer_is_short)
{
	ASSERT_EQ(0, neg(mbox_send(self->mb, self->out, 10, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_recv(self->mb, self->in, 9, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_recv(self->mb, NULL, 0, 0)));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(10, neg(mbox_recv(self->mb, self->in, 10, 0)));
	EXPECT_EQ(0, memcmp(self->in, self->out, 10));
}

TEST_F(ring, MBOX_TRUNC_truncates)
{
	ASSERT_EQ(0, neg(mbox_send(self->mb, self->out, 10, 0)));
	EXPECT_EQ(10, neg(mbox_recv(self->mb, self->in, 3, MBOX_TRUNC)));
	EXPECT_EQ(0, memcmp(self->in, self->out, 3));
	EXPECT_EQ(POISON, self->in[3]);
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

TEST_F(ring, options_without_a_place_in_slots_are_EOPNOTSUPP)
{
	const __u32 recv_flags[] = { MBOX_PEEK, MBOX_MATCH, MBOX_MATCH_NOT, MBOX_MATCH_LE,
				     MBOX_LEASE, MBOX_LONGEST, MBOX_NORESTART,
				     MBOX_LEASE | MBOX_TRUNC };
	const __u32 send_flags[] = { MBOX_SYNC, MBOX_NORESTART };
	struct mbox_msg msg = msg_of(self->out, 4, MBOX_DONTWAIT);
	struct mbox_vec vec = { .msg_size = sizeof(msg) };
	unsigned int i;
	size_t len = 0;
	__s32 fd = 0;

	for (i = 0; i < ARRAY_SIZE(send_flags); i++) {
		EXPECT_EQ(-EOPNOTSUPP, neg(mbox_send(self->mb, self->out, 4, send_flags[i])));
		EXPECT_EQ(-EOPNOTSUPP, neg(mbox_sendmmsg(self->mb, &msg, 1, send_flags[i])));
		EXPECT_TRUE(!mbox_reserve(self->mb, 4, send_flags[i]) && errno == EOPNOTSUPP);
	}
	for (i = 0; i < ARRAY_SIZE(recv_flags); i++) {
		EXPECT_EQ(-EOPNOTSUPP, neg(mbox_recv(self->mb, self->in, 4, recv_flags[i])));
		EXPECT_EQ(-EOPNOTSUPP, neg(mbox_recvmmsg(self->mb, &msg, 1, recv_flags[i])));
		EXPECT_TRUE(!mbox_peek(self->mb, &len, recv_flags[i]) && errno == EOPNOTSUPP);
	}
	EXPECT_TRUE(!mbox_peek(self->mb, &len, MBOX_TRUNC) && errno == EOPNOTSUPP);
	msg.flags = MBOX_PEEK;
	msg.skip = 1;
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_recvmsg(self->mb, &msg)));
	msg = msg_of(self->out, 4, MBOX_DONTWAIT);
	msg.prio = 1;
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_sendmsg(self->mb, &msg)));
	msg.prio = 0;
	msg.type = 1;
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_sendmsg(self->mb, &msg)));
	msg.type = 0;
	msg.nfds = 1;
	msg.fds = (uintptr_t)&fd;
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_sendmsg(self->mb, &msg)));
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_call(self->mb, self->out, 4, self->in, 4, NULL)));
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_reply(self->mb, 1, self->out, 4)));
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_reply_recv(self->mb, 0, NULL, 0, &msg)));
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_set_capacity(self->mb, 7)));
	EXPECT_EQ(-EOPNOTSUPP, neg(read(self->fd, self->in, 4)));
	EXPECT_EQ(-EOPNOTSUPP, neg(write(self->fd, self->out, 4)));
	EXPECT_EQ(-EOPNOTSUPP, raw_send(self->fd, self->out, 4, 0));
	EXPECT_EQ(-EOPNOTSUPP, raw_recv(self->fd, self->in, 4, 0));
	EXPECT_EQ(-EOPNOTSUPP, raw(self->fd, MBOX_IOC_SENDV, &vec));
	EXPECT_EQ(-EOPNOTSUPP, raw(self->fd, MBOX_IOC_RECVV, &vec));
	EXPECT_EQ(CAPACITY, stat_of(self->fd).attr.capacity);
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
}

TEST_F(ring, flags_that_queues_reject_are_EINVAL)
{
	const __u32 send_flags[] = { MBOX_PEEK, MBOX_TRUNC, MBOX_MATCH, MBOX_MATCH_NOT,
				     MBOX_MATCH_LE, MBOX_LEASE, MBOX_LONGEST, MBOX_CTRUNC,
				     MBOX_LOST, MBOX_SYNC | MBOX_PEEK };
	const __u32 recv_flags[] = { MBOX_SYNC, MBOX_CTRUNC, MBOX_LOST, MBOX_SYNC | MBOX_PEEK,
				     MBOX_LEASE | MBOX_PEEK, MBOX_MATCH_NOT | MBOX_MATCH_LE };
	struct mbox *mb[] = { self->mb, mbox_create(NULL, O_RDWR, NULL) };
	struct mbox_msg msg = msg_of(self->out, 4, MBOX_DONTWAIT);
	unsigned int i, m;
	size_t len = 0;

	ASSERT_TRUE(!!mb[1]);
	for (m = 0; m < ARRAY_SIZE(mb); m++) {
		for (i = 0; i < ARRAY_SIZE(send_flags); i++) {
			EXPECT_EQ(-EINVAL, neg(mbox_send(mb[m], self->out, 4, send_flags[i])));
			EXPECT_EQ(-EINVAL, neg(mbox_sendmmsg(mb[m], &msg, 1, send_flags[i])));
		}
		for (i = 0; i < ARRAY_SIZE(recv_flags); i++) {
			EXPECT_EQ(-EINVAL, neg(mbox_recv(mb[m], self->in, 4, recv_flags[i])));
			EXPECT_EQ(-EINVAL, neg(mbox_recvmmsg(mb[m], &msg, 1, recv_flags[i])));
		}
	}
	msg.flags = MBOX_PEEK | MBOX_MATCH_LE;
	msg.skip = 1;
	for (m = 0; m < ARRAY_SIZE(mb); m++)
		EXPECT_EQ(-EINVAL, neg(mbox_recvmsg(mb[m], &msg)));
	EXPECT_TRUE(!mbox_reserve(self->mb, 4, MBOX_PEEK) && errno == EINVAL);
	EXPECT_TRUE(!mbox_peek(self->mb, &len, MBOX_SYNC) && errno == EINVAL);
	mbox_close(mb[1]);
}

TEST_F(ring, bad_arguments_are_EINVAL)
{
	struct mbox_msg msg = msg_of(self->out, 4, MBOX_DONTWAIT);
	struct timespec bad = { .tv_nsec = 1000000000 };

	EXPECT_EQ(-EINVAL, neg(mbox_send(self->mb, self->out, 4, 1U << 31)));
	EXPECT_EQ(-EINVAL, neg(mbox_recv(self->mb, self->in, 4, 1U << 31)));
	EXPECT_EQ(-EINVAL, neg(mbox_timedsend(self->mb, self->out, 4, 0, &bad)));
	EXPECT_EQ(-EINVAL, neg(mbox_timedrecv(self->mb, self->in, 4, 0, &bad)));
	msg.prio = MBOX_PRIO_MAX + 1;
	EXPECT_EQ(-EINVAL, neg(mbox_sendmsg(self->mb, &msg)));
	msg = msg_of(self->out, 4, MBOX_DONTWAIT);
	msg.skip = 1;
	EXPECT_EQ(-EINVAL, neg(mbox_sendmsg(self->mb, &msg)));
	EXPECT_EQ(-EINVAL, neg(mbox_recvmsg(self->mb, &msg)));
	msg = msg_of(self->out, 4, MBOX_DONTWAIT);
	msg.fds = 1;
	EXPECT_EQ(-EINVAL, neg(mbox_sendmsg(self->mb, &msg)));
	EXPECT_EQ(-EINVAL, neg(mbox_recvmsg(self->mb, &msg)));
	msg.nfds = MBOX_FDS_MAX + 1;
	EXPECT_EQ(-EINVAL, neg(mbox_sendmsg(self->mb, &msg)));
	EXPECT_EQ(-EINVAL, neg(mbox_recvmsg(self->mb, &msg)));
	msg.fds = 0;
	msg.nfds = 1;
	EXPECT_EQ(-EINVAL, neg(mbox_sendmsg(self->mb, &msg)));
	EXPECT_EQ(-EINVAL, neg(mbox_recvmsg(self->mb, &msg)));
	msg = msg_of(self->out, 4, MBOX_DONTWAIT);
	EXPECT_EQ(-EINVAL, neg(mbox_sendmmsg(self->mb, &msg, 1, MBOX_WAITFORONE)));
	EXPECT_TRUE(!mbox_reserve(self->mb, 4, MBOX_SYNC) && errno == EOPNOTSUPP);
	EXPECT_TRUE(!mbox_reserve(self->mb, MSG_MAX + 1, 0) && errno == EMSGSIZE);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(ring, recvmsg_reports_every_field)
{
	struct mbox_msg msg = msg_of(self->out, 4, 0);

	ASSERT_EQ(0, neg(mbox_sendmsg(self->mb, &msg)));
	memset(&msg, POISON, sizeof(msg));
	msg.buf = (uintptr_t)self->in;
	msg.len = sizeof(self->in);
	msg.flags = MBOX_DONTWAIT;
	msg.deadline_ns = 0;
	msg.skip = 0;
	msg.nfds = 0;
	msg.fds = 0;
	msg.reserved = 0;
	ASSERT_EQ(4, neg(mbox_recvmsg(self->mb, &msg)));
	EXPECT_EQ(4U, msg.len);
	EXPECT_EQ(0U, msg.prio);
	EXPECT_EQ(0U, msg.type);
	EXPECT_EQ(0U, msg.token);
	EXPECT_EQ(0U, msg.pid);
	EXPECT_EQ(0U, msg.uid);
	EXPECT_EQ(0U, msg.gid);
	EXPECT_EQ(0U, msg.lost);
	EXPECT_EQ(0U, msg.deliveries);
	EXPECT_EQ(0U, msg.lifespan_ns);
	EXPECT_EQ((__u32)MBOX_DONTWAIT, msg.flags);
}

TEST_F(ring, batches_end_at_an_empty_or_full_ring)
{
	struct mbox_msg out[CAPACITY + 2], in[CAPACITY + 2];
	__u32 sent[CAPACITY + 2], got[CAPACITY + 2];
	unsigned int i;

	for (i = 0; i < CAPACITY + 2; i++) {
		sent[i] = i + 1;
		out[i] = msg_of(&sent[i], 4, 0);
		in[i] = msg_of(&got[i], 4, 0);
	}
	EXPECT_EQ(0, neg(mbox_sendmmsg(self->mb, out, 0, 0)));
	EXPECT_EQ(CAPACITY, neg(mbox_sendmmsg(self->mb, out, CAPACITY + 2, MBOX_DONTWAIT)));
	EXPECT_EQ(-EAGAIN, neg(mbox_sendmmsg(self->mb, out, 1, MBOX_DONTWAIT)));
	EXPECT_EQ(2, neg(mbox_recvmmsg(self->mb, in, 2, 0)));
	EXPECT_EQ(CAPACITY - 2, neg(mbox_recvmmsg(self->mb, in + 2, CAPACITY, MBOX_WAITFORONE)));
	for (i = 0; i < CAPACITY; i++)
		EXPECT_EQ(i + 1, got[i]);
	EXPECT_EQ(-EAGAIN, neg(mbox_recvmmsg(self->mb, in, 1, MBOX_DONTWAIT)));
	/* The second is too long. */
	out[1].len = MSG_MAX + 1;
	EXPECT_EQ(1, neg(mbox_sendmmsg(self->mb, out, 3, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_sendmmsg(self->mb, out + 1, 1, 0)));
	EXPECT_EQ(1, ring_take(self->mb));
}

static int talk_back(void *arg)
{
	struct mbox *mb = arg;
	long i;

	for (i = 0; i < 1000; i++)
		CHECK_EQ(0, neg(mbox_send(mb, &i, sizeof(i), 0)));
	return 0;
}

TEST_F(ring, forked_child_maps_the_ring_again)
{
	long i, value;
	pid_t pid;

	/* What one process may be, the parent must not have become. */
	if (!(variant->flags & MBOX_ONE_SENDER)) {
		ASSERT_EQ(0, ring_put(self->mb, 1));
		ASSERT_EQ(1, ring_take(self->mb));
	}
	pid = spawn(talk_back, self->mb);
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(sizeof(value), neg(mbox_recv(self->mb, &value, sizeof(value), 0)));
		ASSERT_EQ(i, value);
	}
	EXPECT_EQ(0, reap(pid));
}

static int grandchild(void *arg)
{
	struct mbox *mb = arg;

	CHECK_EQ(0, ring_put(mb, 7));
	CHECK_EQ(0, mbox_close(mb));
	return 0;
}

static int child_and_grandchild(void *arg)
{
	struct mbox *mb = arg;

	CHECK_EQ(0, ring_put(mb, 5));
	CHECK_EQ(0, in_child(grandchild, mb));
	CHECK_EQ(0, ring_put(mb, 6));
	CHECK_EQ(0, mbox_close(mb));
	return 0;
}

TEST_F(ring, generations_of_children)
{
	if (variant->flags & MBOX_ONE_SENDER)
		SKIP(return, "one sender at a time");
	ASSERT_EQ(0, ring_put(self->mb, 4));
	ASSERT_EQ(0, in_child(child_and_grandchild, self->mb));
	EXPECT_EQ(4, ring_take(self->mb));
	EXPECT_EQ(5, ring_take(self->mb));
	EXPECT_EQ(7, ring_take(self->mb));
	EXPECT_EQ(6, ring_take(self->mb));
}

struct many {
	struct mbox *mb;
	__u32 first;
	__u32 n;
	__u64 sum;
	long ret;
};

static void *send_many(void *arg)
{
	struct many *m = arg;
	__u32 i, value;

	for (i = 0; i < m->n && m->ret >= 0; i++) {
		value = m->first + i;
		m->ret = neg(mbox_send(m->mb, &value, sizeof(value), 0));
		m->sum += value;
	}
	return NULL;
}

static void *recv_many(void *arg)
{
	struct many *m = arg;
	__u32 i, value;

	for (i = 0; i < m->n && m->ret >= 0; i++) {
		m->ret = neg(mbox_recv(m->mb, &value, sizeof(value), 0));
		m->sum += value;
	}
	return NULL;
}

TEST_F(ring, threads_share_a_handle)
{
	enum { THREADS = 4, EACH = 2000 };
	struct many in[THREADS] = { 0 }, out[THREADS] = { 0 };
	pthread_t senders[THREADS], receivers[THREADS];
	__u64 sent = 0, received = 0;
	int i;

	for (i = 0; i < THREADS; i++) {
		out[i].mb = self->mb;
		out[i].first = i * EACH;
		out[i].n = EACH / time_factor();
		in[i].mb = self->mb;
		in[i].n = out[i].n;
		ASSERT_EQ(0, thread_start(&senders[i], send_many, &out[i]));
		ASSERT_EQ(0, thread_start(&receivers[i], recv_many, &in[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(senders[i], NULL);
		pthread_join(receivers[i], NULL);
		EXPECT_EQ(0, out[i].ret);
		EXPECT_EQ(4, in[i].ret);
		sent += out[i].sum;
		received += in[i].sum;
	}
	EXPECT_EQ(sent, received);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

/*
 * In place.
 */

TEST_F(ring, reserved_place_is_sent_when_committed)
{
	unsigned char *slot = mbox_reserve(self->mb, MSG_MAX, 0);

	ASSERT_TRUE(!!slot);
	EXPECT_EQ(0, (uintptr_t)slot % 16);
	memcpy(slot, self->out, 50);
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_commit(self->mb, slot, MSG_MAX + 1)));
	EXPECT_EQ(-EINVAL, neg(mbox_commit(self->mb, slot + 1, 50)));
	EXPECT_EQ(-EINVAL, neg(mbox_commit(self->mb, NULL, 50)));
	EXPECT_EQ(-EINVAL, neg(mbox_commit(self->mb, self->out, 50)));
	EXPECT_EQ(0, neg(mbox_commit(self->mb, slot, 50)));
	EXPECT_EQ(-EINVAL, neg(mbox_commit(self->mb, slot, 50)));
	EXPECT_EQ(-EINVAL, neg(mbox_discard(self->mb, slot)));
	EXPECT_EQ(50, neg(mbox_recv(self->mb, self->in, MSG_MAX, 0)));
	EXPECT_EQ(0, memcmp(self->in, self->out, 50));
}

TEST_F(ring, reservations_end_in_any_order)
{
	__u32 *slot[CAPACITY];
	unsigned int i;

	for (i = 0; i < CAPACITY; i++) {
		slot[i] = mbox_reserve(self->mb, 4, MBOX_DONTWAIT);
		ASSERT_TRUE(!!slot[i]);
		*slot[i] = i;
	}
	EXPECT_TRUE(!mbox_reserve(self->mb, 4, MBOX_DONTWAIT) && errno == EAGAIN);
	EXPECT_EQ(0, neg(mbox_commit(self->mb, slot[4], 4)));
	EXPECT_EQ(0, neg(mbox_discard(self->mb, slot[1])));
	EXPECT_EQ(0, neg(mbox_commit(self->mb, slot[2], 4)));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	EXPECT_EQ(0, neg(mbox_commit(self->mb, slot[0], 4)));
	EXPECT_EQ(0, ring_take(self->mb));
	EXPECT_EQ(2, ring_take(self->mb));
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	EXPECT_EQ(0, neg(mbox_discard(self->mb, slot[3])));
	/* One that is given back counts until it has been passed. */
	EXPECT_EQ(2U, stat_of(mbox_fd(self->mb)).queued);
	EXPECT_EQ(4, ring_take(self->mb));
	EXPECT_EQ(0U, stat_of(mbox_fd(self->mb)).queued);
	EXPECT_EQ(-EAGAIN, ring_take(self->mb));
	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(0, ring_put(self->mb, i));
}

TEST_F(ring, peeked_message_is_received_when_released)
{
	const void *slot;
	size_t len = 0;

	errno = 0;
	EXPECT_TRUE(!mbox_peek(self->mb, &len, MBOX_DONTWAIT) && errno == EAGAIN);
	ASSERT_EQ(0, neg(mbox_send(self->mb, self->out, 50, 0)));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	slot = mbox_peek(self->mb, &len, 0);
	ASSERT_TRUE(!!slot);
	EXPECT_EQ(50U, len);
	EXPECT_EQ(0, memcmp(slot, self->out, 50));
	EXPECT_EQ(2U, stat_of(self->fd).queued);
	EXPECT_TRUE(slot == mbox_peek(self->mb, &len, 0));
	EXPECT_EQ(-EINVAL, neg(mbox_release(self->mb, NULL)));
	EXPECT_EQ(-EINVAL, neg(mbox_release(self->mb, (const char *)slot + 1)));
	EXPECT_EQ(0, neg(mbox_release(self->mb, slot)));
	EXPECT_EQ(-EINVAL, neg(mbox_release(self->mb, slot)));
	EXPECT_EQ(2, ring_take(self->mb));
}

TEST_F(ring, release_of_a_message_that_another_received_is_ESTALE)
{
	const void *slot;
	size_t len;

	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(0, ring_put(self->mb, 2));
	slot = mbox_peek(self->mb, &len, 0);
	ASSERT_TRUE(!!slot);
	EXPECT_EQ(1, ring_take(self->mb));
	EXPECT_EQ(-ESTALE, neg(mbox_release(self->mb, slot)));
	EXPECT_EQ(2, ring_take(self->mb));
}

static int peek_and_die(void *arg)
{
	struct mbox *mb = arg;
	size_t len;

	CHECK(mbox_peek(mb, &len, 0));
	raise(SIGKILL);
	return 1;
}

TEST_F(ring, peeked_message_survives_its_receiver)
{
	ASSERT_EQ(0, ring_put(self->mb, 1));
	ASSERT_EQ(1000 + SIGKILL, in_child(peek_and_die, self->mb));
	EXPECT_EQ(1, ring_take(self->mb));
}

TEST(ring_calls_on_a_queue_are_EOPNOTSUPP)
{
	struct mbox *mb = mbox_create(NULL, O_RDWR, NULL);
	size_t len;
	char c;

	ASSERT_TRUE(!!mb);
	EXPECT_TRUE(!mbox_reserve(mb, 1, 0) && errno == EOPNOTSUPP);
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_commit(mb, &c, 1)));
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_discard(mb, &c)));
	EXPECT_TRUE(!mbox_peek(mb, &len, 0) && errno == EOPNOTSUPP);
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_release(mb, &c)));
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_set_spin(mb, 1)));
	mbox_close(mb);
}

/*
 * Attributes, rights, limits.
 */

static long create_error(__u32 mode, __u32 flags, __u32 capacity, __u32 msg_max)
{
	struct mbox_attr attr = attr_of(flags, capacity);
	struct mbox *mb;

	attr.mode = mode;
	attr.msg_max = msg_max;
	mb = mbox_create(NULL, O_RDWR, &attr);
	if (!mb)
		return -errno;
	mbox_close(mb);
	return 0;
}

TEST(bad_attributes_are_EINVAL)
{
	EXPECT_EQ(0, create_error(MBOX_RING, 0, 1, 1));
	EXPECT_EQ(0, create_error(MBOX_RING, MBOX_FIXED | MBOX_HANGUP, 3, 8));
	EXPECT_EQ(-EINVAL, create_error(MBOX_RING, 0, 0, 8));
	EXPECT_EQ(-EINVAL, create_error(MBOX_RING, 0, MBOX_UNBOUNDED, 8));
	EXPECT_EQ(-EINVAL, create_error(MBOX_RING, 0, MBOX_RING_CAPACITY_MAX + 1, 8));
	EXPECT_EQ(-EINVAL, create_error(MBOX_RING, 0, MBOX_RING_CAPACITY_MAX, 2048));
	EXPECT_EQ(-EINVAL, create_error(MBOX_RING, 0, 1, 0));
	EXPECT_EQ(-EINVAL, create_error(MBOX_RING, MBOX_DROP_OLDEST, 1, 8));
	EXPECT_EQ(-EINVAL, create_error(MBOX_RING, MBOX_DROP_NEWEST, 1, 8));
	EXPECT_EQ(-EINVAL, create_error(MBOX_RING, 1U << 31, 1, 8));
	EXPECT_EQ(-EINVAL, create_error(MBOX_QUEUE, MBOX_ONE_SENDER, 1, 8));
	EXPECT_EQ(-EINVAL, create_error(MBOX_QUEUE, MBOX_ONE_RECEIVER, 1, 8));
	EXPECT_EQ(-EINVAL, create_error(2, 0, 1, 8));
}

TEST(capacity_1_works)
{
	struct mbox *mb = new_ring(0, 1, 4);
	unsigned int i;

	ASSERT_TRUE(!!mb);
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(0, ring_put(mb, i));
		EXPECT_EQ(-EAGAIN, ring_put(mb, i));
		EXPECT_EQ(i, ring_take(mb));
		EXPECT_EQ(-EAGAIN, ring_take(mb));
	}
	mbox_close(mb);
}

TEST(other_length_than_FIXED_is_EMSGSIZE)
{
	struct mbox *mb = new_ring(MBOX_FIXED, 4, 8);
	char buf[9] = { 0 };
	void *slot;

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(-EMSGSIZE, neg(mbox_send(mb, buf, 7, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_send(mb, buf, 9, 0)));
	EXPECT_EQ(0, neg(mbox_send(mb, buf, 8, 0)));
	EXPECT_TRUE(!mbox_reserve(mb, 7, 0) && errno == EMSGSIZE);
	slot = mbox_reserve(mb, 8, 0);
	ASSERT_TRUE(!!slot);
	EXPECT_EQ(-EMSGSIZE, neg(mbox_commit(mb, slot, 7)));
	EXPECT_EQ(0, neg(mbox_commit(mb, slot, 8)));
	mbox_close(mb);
}

TEST(without_the_right_is_EBADF)
{
	struct mbox *both = new_ring(0, 4, 4), *in, *out;

	ASSERT_TRUE(!!both);
	in = open_ring(both, O_RDONLY);
	out = open_ring(both, O_WRONLY);
	ASSERT_TRUE(in && out);
	EXPECT_EQ(-EBADF, ring_put(in, 1));
	EXPECT_EQ(-EBADF, ring_take(out));
	EXPECT_EQ(0, ring_put(out, 1));
	EXPECT_EQ(1, ring_take(in));
	EXPECT_EQ(-EBADF, neg(mbox_destroy(in)));
	EXPECT_EQ(-EBADF, neg(mbox_destroy(out)));
	EXPECT_EQ(O_RDONLY, fcntl(mbox_fd(in), F_GETFL) & O_ACCMODE);
	EXPECT_EQ(O_WRONLY, fcntl(mbox_fd(out), F_GETFL) & O_ACCMODE);
	EXPECT_EQ(O_RDWR, fcntl(mbox_fd(both), F_GETFL) & O_ACCMODE);
	mbox_close(in);
	mbox_close(out);
	mbox_close(both);
}

TEST(second_participant_of_an_only_side_is_EBUSY)
{
	struct mbox *first = new_ring(MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, 4, 4), *second;

	ASSERT_TRUE(!!first);
	second = open_ring(first, O_RDWR);
	ASSERT_TRUE(!!second);
	ASSERT_EQ(0, ring_put(first, 1));
	EXPECT_EQ(-EBUSY, ring_put(second, 2));
	EXPECT_EQ(1, ring_take(second));
	EXPECT_EQ(-EBUSY, ring_take(first));
	EXPECT_EQ(0, mbox_close(first));
	EXPECT_EQ(0, ring_put(second, 2));
	EXPECT_EQ(2, ring_take(second));
	mbox_close(second);
}

static int use_by_name(void *arg)
{
	struct mbox *mb = mbox_open(arg, O_RDWR);
	struct mbox_attr attr = MBOX_ATTR_INIT;

	CHECK(mb);
	CHECK_EQ(1, ring_take(mb));
	CHECK_EQ(0, ring_put(mb, 2));
	mbox_close(mb);
	/* The ring that exists, whatever is asked for. */
	mb = mbox_create(arg, O_RDWR, &attr);
	CHECK(mb);
	CHECK_EQ(2, ring_take(mb));
	CHECK_EQ(0, ring_put(mb, 3));
	mbox_close(mb);
	return 0;
}

TEST(unrelated_programs_meet_by_name)
{
	struct mbox_attr attr = attr_of(0, 4);
	char name[64];
	struct mbox *mb;

	attr.mode = MBOX_RING;
	test_name(name, sizeof(name), "ring");
	mb = mbox_create(name, O_RDWR | O_EXCL, &attr);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, ring_put(mb, 1));
	EXPECT_EQ(0, in_child(use_by_name, name));
	EXPECT_EQ(3, ring_take(mb));
	/* What is in it stays while only the name keeps it. */
	EXPECT_EQ(0, ring_put(mb, 4));
	mbox_close(mb);
	mb = mbox_open(name, O_RDONLY);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(4, ring_take(mb));
	mbox_close(mb);
	EXPECT_EQ(0, neg(mbox_unlink(name)));
}

TEST(handle_travels_over_a_socket)
{
	struct mbox *mb = new_ring(0, 4, 4), *other;
	int sock[2], fd;

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sock));
	ASSERT_EQ(0, pass_fd(sock[0], mbox_fd(mb)));
	fd = receive_fd(sock[1]);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ring_put(mb, 1));
	mbox_close(mb);
	other = mbox_from_fd(fd);
	ASSERT_TRUE(!!other);
	EXPECT_EQ(1, ring_take(other));
	EXPECT_EQ(0, ring_put(other, 2));
	EXPECT_EQ(2, ring_take(other));
	mbox_close(other);
	close(sock[0]);
	close(sock[1]);
}

/* Rings of one MiB until the limit. */
static int use_up_bytes(void *unused)
{
	struct mbox *mb[32];
	int n, again;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (n = 0; n < 32; n++) {
		mb[n] = new_ring(0, 1024, 1000);
		if (!mb[n])
			break;
	}
	CHECK_EQ(EDQUOT, errno);
	CHECK(n > 0 && n < 32);
	CHECK_EQ(0, mbox_close(mb[n - 1]));
	mb[n - 1] = new_ring(0, 1024, 1000);
	CHECK(mb[n - 1]);
	/* A message of a queue counts against the same limit. */
	for (again = 0; again < n; again++)
		mbox_close(mb[again]);
	for (again = 0; again < n; again++) {
		mb[again] = new_ring(0, 1024, 1000);
		CHECK(mb[again]);
	}
	return 0;
}

TEST(memory_is_charged_to_the_user)
{
	EXPECT_EQ(0, in_child(use_up_bytes, NULL));
}

TEST(memory_stays_until_the_last_mapping_ends)
{
	struct mbox *mb = new_ring(0, 64, 4096);
	const unsigned char *slot;
	size_t len;

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, ring_put(mb, 0x01020304));
	slot = mbox_peek(mb, &len, 0);
	ASSERT_TRUE(!!slot);
	/* The mapping outlives the descriptor. */
	ASSERT_EQ(0, close(mbox_fd(mb)));
	EXPECT_EQ(4U, len);
	EXPECT_EQ(0x01020304U, *(const __u32 *)slot);
}

/* In a child: memory that it maps from now on is locked, but not that much. */
static int use_beyond_RLIMIT_MEMLOCK(void *arg)
{
	struct rlimit limit = { 64 << 10, 64 << 10 };
	struct mbox *mb = arg;
	char c;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	CHECK(!mlockall(MCL_FUTURE));
	CHECK_EQ(-ENOMEM, neg(mbox_send(mb, "x", 1, 0)));
	CHECK_EQ(-ENOMEM, neg(mbox_send(mb, "x", 1, MBOX_DONTWAIT)));
	CHECK_EQ(-ENOMEM, neg(mbox_recv(mb, &c, 1, 0)));
	CHECK_EQ(-ENOMEM, neg(mbox_recv(mb, &c, 1, MBOX_DONTWAIT)));
	CHECK(!munlockall());
	CHECK_EQ(0, mbox_send(mb, "x", 1, 0));
	CHECK_EQ(1, mbox_recv(mb, &c, 1, 0));
	return 0;
}

TEST(RLIMIT_MEMLOCK_is_not_EAGAIN)
{
	struct mbox *mb = new_ring(0, 256, 8192);

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, in_child(use_beyond_RLIMIT_MEMLOCK, mb));
	EXPECT_EQ(0, mbox_close(mb));
}

TEST_HARNESS_MAIN
