// SPDX-License-Identifier: GPL-2.0-only
/* Several messages in one call. */
#include <sys/epoll.h>

#include "peers.h"

#define N 5

FIXTURE(batch)
{
	struct mbox *mb;
	int fd;
	__u32 out[N];
	__u32 in[N];
	struct mbox_msg sends[N];
	struct mbox_msg recvs[N];
};

static void reset_recvs(FIXTURE_DATA(batch) *self)
{
	int i;

	memset(self->in, POISON, sizeof(self->in));
	memset(self->recvs, 0, sizeof(self->recvs));
	for (i = 0; i < N; i++)
		self->recvs[i] = msg_of(&self->in[i], sizeof(self->in[i]), 0);
}

FIXTURE_SETUP(batch)
{
	struct mbox_attr attr = attr_of(0, 8);
	int i;

	self->mb = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	for (i = 0; i < N; i++) {
		self->out[i] = i;
		self->sends[i] = msg_of(&self->out[i], sizeof(self->out[i]), 0);
	}
	reset_recvs(self);
}

FIXTURE_TEARDOWN(batch)
{
	mbox_close(self->mb);
}

TEST_F(batch, carries_every_field_of_every_message)
{
	static const int order[N] = { 4, 3, 2, 1, 0 };
	int i;

	for (i = 0; i < N; i++) {
		self->sends[i].prio = i * 100;
		self->sends[i].type = 1000 + i;
	}
	ASSERT_EQ(N, mbox_sendmmsg(self->mb, self->sends, N, 0));
	ASSERT_EQ(N, mbox_recvmmsg(self->mb, self->recvs, N, 0));
	for (i = 0; i < N; i++) {
		EXPECT_EQ((__u32)order[i], self->in[i]);
		EXPECT_EQ(sizeof(self->in[i]), self->recvs[i].len);
		EXPECT_EQ((__u32)order[i] * 100, self->recvs[i].prio);
		EXPECT_EQ((__u64)1000 + order[i], self->recvs[i].type);
		EXPECT_EQ((__u32)getpid(), self->recvs[i].pid);
	}
}

TEST_F(batch, each_message_has_its_own_flags)
{
	const __u32 one = 1;
	__u32 cut = POISON32;

	/* The first byte in memory, whichever that is. */
	memcpy(&cut, &one, 1);
	ASSERT_EQ(N, mbox_sendmmsg(self->mb, self->sends, N, 0));
	self->recvs[0].flags = MBOX_PEEK;
	self->recvs[0].skip = 2;
	self->recvs[2].len = 1;
	self->recvs[2].flags = MBOX_TRUNC;
	ASSERT_EQ(3, mbox_recvmmsg(self->mb, self->recvs, 3, MBOX_DONTWAIT));
	EXPECT_EQ(2U, self->in[0]);
	EXPECT_EQ(0U, self->in[1]);
	EXPECT_EQ(cut, self->in[2]);
	EXPECT_EQ(4U, self->recvs[2].len);
	EXPECT_EQ(3U, stat_of(self->fd).queued);
}

TEST_F(batch, empty_batch_returns_0)
{
	struct mbox_stat before = stat_of(self->fd);

	EXPECT_EQ(0, neg(mbox_sendmmsg(self->mb, self->sends, 0, 0)));
	EXPECT_EQ(0, neg(mbox_recvmmsg(self->mb, self->recvs, 0, 0)));
	EXPECT_EQ(0, neg(mbox_recvmmsg(self->mb, NULL, 0, MBOX_WAITFORONE)));
	EXPECT_TRUE(same_stat(self->fd, &before));
}

TEST_F(batch, batch_beyond_the_maximum_is_cut)
{
	static struct mbox_msg vec[MBOX_BATCH_MAX + 100];
	static __u32 values[MBOX_BATCH_MAX + 100];
	unsigned int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < ARRAY_SIZE(vec); i++) {
		values[i] = i;
		vec[i] = msg_of(&values[i], sizeof(values[i]), 0);
	}
	EXPECT_EQ(MBOX_BATCH_MAX, mbox_sendmmsg(self->mb, vec, ARRAY_SIZE(vec), 0));
	EXPECT_EQ(MBOX_BATCH_MAX, mbox_sendmmsg(self->mb, vec, ~0U, 0));
	memset(values, POISON, sizeof(values));
	EXPECT_EQ(MBOX_BATCH_MAX, mbox_recvmmsg(self->mb, vec, ARRAY_SIZE(vec), 0));
	for (i = 0; i < MBOX_BATCH_MAX; i++)
		ASSERT_EQ(i, values[i]);
	EXPECT_EQ(POISON32, values[i]);
	EXPECT_EQ(MBOX_BATCH_MAX, mbox_recvmmsg(self->mb, vec, ~0U, MBOX_DONTWAIT));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(batch, send_stops_where_it_would_wait)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 3));
	EXPECT_EQ(3, mbox_sendmmsg(self->mb, self->sends, N, MBOX_DONTWAIT));
	EXPECT_EQ(-EAGAIN, neg(mbox_sendmmsg(self->mb, self->sends, N, MBOX_DONTWAIT)));
	EXPECT_EQ(3U, stat_of(self->fd).queued);
}

TEST_F(batch, receive_stops_where_it_would_wait)
{
	ASSERT_EQ(2, mbox_sendmmsg(self->mb, self->sends, 2, 0));
	EXPECT_EQ(2, mbox_recvmmsg(self->mb, self->recvs, N, MBOX_DONTWAIT));
	EXPECT_EQ(0U, self->in[0]);
	EXPECT_EQ(1U, self->in[1]);
	EXPECT_EQ(POISON32, self->in[2]);
	EXPECT_EQ(0U, self->recvs[2].pid);
	EXPECT_EQ(-EAGAIN, neg(mbox_recvmmsg(self->mb, self->recvs, N, MBOX_DONTWAIT)));
}

TEST_F(batch, first_error_is_reported)
{
	struct mbox_stat before = stat_of(self->fd);

	self->sends[0].len = 8193;
	EXPECT_EQ(-EMSGSIZE, neg(mbox_sendmmsg(self->mb, self->sends, N, 0)));
	self->sends[0].prio = MBOX_PRIO_MAX + 1;
	EXPECT_EQ(-EINVAL, neg(mbox_sendmmsg(self->mb, self->sends, N, 0)));
	EXPECT_EQ(-EFAULT, neg(mbox_sendmmsg(self->mb, NULL, N, 0)));
	EXPECT_TRUE(same_stat(self->fd, &before));
	ASSERT_EQ(0, put(self->fd, 1));
	self->recvs[0].len = 1;
	EXPECT_EQ(-EMSGSIZE, neg(mbox_recvmmsg(self->mb, self->recvs, N, 0)));
	EXPECT_EQ(-EFAULT, neg(mbox_recvmmsg(self->mb, NULL, N, 0)));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(batch, later_error_returns_the_sent_messages)
{
	self->sends[2].len = 8193;
	EXPECT_EQ(2, mbox_sendmmsg(self->mb, self->sends, N, 0));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_sendmmsg(self->mb, self->sends + 2, N - 2, 0)));
	self->sends[1].buf = 0;
	EXPECT_EQ(1, mbox_sendmmsg(self->mb, self->sends, N, 0));
	EXPECT_EQ(-EFAULT, neg(mbox_sendmmsg(self->mb, self->sends + 1, 1, 0)));
	EXPECT_EQ(3U, stat_of(self->fd).queued);
}

TEST_F(batch, later_error_returns_the_received_messages)
{
	ASSERT_EQ(N, mbox_sendmmsg(self->mb, self->sends, N, 0));
	self->recvs[1].len = 1;
	EXPECT_EQ(1, mbox_recvmmsg(self->mb, self->recvs, N, 0));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_recvmmsg(self->mb, self->recvs + 1, 1, 0)));
	reset_recvs(self);
	self->recvs[2].buf = 1;
	EXPECT_EQ(2, mbox_recvmmsg(self->mb, self->recvs, N, 0));
	EXPECT_EQ(1U, self->in[0]);
	EXPECT_EQ(2U, self->in[1]);
	/* What could not be taken is still the first. */
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(4, take(self->fd));
}

TEST_F(batch, partly_mapped_array_transfers_the_mapped_messages)
{
	size_t page = getpagesize();
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	struct mbox_msg *vec = (void *)(p + page - 2 * sizeof(*vec));

	ASSERT_EQ(0, mprotect(p + page, page, PROT_NONE));
	memcpy(vec, self->sends, 2 * sizeof(*vec));
	EXPECT_EQ(2, mbox_sendmmsg(self->mb, vec, N, 0));
	memcpy(vec, self->recvs, 2 * sizeof(*vec));
	ASSERT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(2, mbox_recvmmsg(self->mb, vec, N, 0));
	EXPECT_EQ(7, take(self->fd));
}

/* Of more messages than are sent and received in one hold of the lock. */
#define MANY 50

struct many {
	struct mbox_msg msgs[MANY];
	char data[MANY][64];
};

static struct many *many_msgs(size_t len)
{
	struct many *many = shared_memory(sizeof(*many));
	int i;

	for (i = 0; i < MANY; i++)
		many->msgs[i] = msg_of(many->data[i], len, 0);
	return many;
}

TEST_F(batch, many_lengths_priorities_and_types_in_one_batch)
{
	struct mbox_attr attr = attr_of(0, MANY);
	struct many *out = many_msgs(0), *in = many_msgs(64);
	struct mbox *mb = mbox_create(NULL, O_RDWR, &attr);
	int i, round;

	ASSERT_TRUE(!!mb);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MANY; i++) {
			out->msgs[i].len = (i * 7 + round * 30) % 64;
			out->msgs[i].prio = MANY - i;
			out->msgs[i].type = i * 1000 + round;
			memset(out->data[i], i + round, 64);
			in->msgs[i] = msg_of(in->data[i], 64, 0);
		}
		ASSERT_EQ(MANY, mbox_sendmmsg(mb, out->msgs, MANY, 0));
		ASSERT_EQ(MANY, mbox_recvmmsg(mb, in->msgs, MANY, 0));
		for (i = 0; i < MANY; i++) {
			EXPECT_EQ(out->msgs[i].len, in->msgs[i].len);
			EXPECT_EQ(out->msgs[i].prio, in->msgs[i].prio);
			EXPECT_EQ(out->msgs[i].type, in->msgs[i].type);
			EXPECT_EQ((__u32)getpid(), in->msgs[i].pid);
			EXPECT_EQ(getuid(), in->msgs[i].uid);
			EXPECT_EQ(0, memcmp(in->data[i], out->data[i], in->msgs[i].len));
		}
	}
	EXPECT_EQ(0, stat_of(mbox_fd(mb)).queued);
	EXPECT_EQ(3 * MANY, stat_of(mbox_fd(mb)).received);
	mbox_close(mb);
}

static int send_from_child(void *arg)
{
	return put(*(int *)arg, 77);
}

TEST_F(batch, each_message_has_its_own_sender)
{
	struct many *in = many_msgs(64);
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(0, in_child(send_from_child, &self->fd));
	}
	ASSERT_EQ(6, mbox_recvmmsg(self->mb, in->msgs, 8, MBOX_DONTWAIT));
	for (i = 0; i < 6; i += 2) {
		EXPECT_EQ((__u32)getpid(), in->msgs[i].pid);
		EXPECT_NE((__u32)getpid(), in->msgs[i + 1].pid);
		EXPECT_EQ(77, *(int *)in->data[i + 1]);
	}
}

TEST_F(batch, batch_of_a_full_mailbox_sends_what_fits)
{
	struct many *out = many_msgs(4);
	int i;

	for (i = 0; i < MANY; i++)
		memcpy(out->data[i], &i, sizeof(i));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, put(self->fd, 100 + i));
	EXPECT_EQ(5, mbox_sendmmsg(self->mb, out->msgs, MANY, MBOX_DONTWAIT));
	EXPECT_EQ(-EAGAIN, neg(mbox_sendmmsg(self->mb, out->msgs, MANY, MBOX_DONTWAIT)));
	EXPECT_EQ(8, stat_of(self->fd).queued);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(100 + i, take(self->fd));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(i, take(self->fd));
}

/* What cannot be received is received later, in the order in which it was sent. */
TEST_F(batch, fault_keeps_the_other_messages_in_order)
{
	struct many *in = many_msgs(64);
	char *bad = mmap(NULL, getpagesize(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i, at;

	for (at = 0; at < 8; at++) {
		for (i = 0; i < 8; i++) {
			ASSERT_EQ(0, put(self->fd, i));
			in->msgs[i] = msg_of(i == at ? bad : in->data[i], 64, 0);
		}
		EXPECT_EQ(at ?: -EFAULT, neg(mbox_recvmmsg(self->mb, in->msgs, 8, 0)));
		EXPECT_EQ(8 - at, (int)stat_of(self->fd).queued);
		/* The length that the call was made with. */
		EXPECT_EQ(64, in->msgs[at].len);
		for (i = at; i < 8; i++)
			EXPECT_EQ(i, take(self->fd));
	}
}

/* The fields cannot be written, so the message is not received. */
TEST_F(batch, read_only_element_ends_the_batch)
{
	size_t page = getpagesize();
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	struct mbox_msg *vec = (void *)(p + page - 3 * sizeof(*vec));
	int in[8];
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		vec[i] = msg_of(&in[i], sizeof(in[i]), 0);
	}
	ASSERT_EQ(0, mprotect(p + page, page, PROT_READ));
	EXPECT_EQ(3, mbox_recvmmsg(self->mb, vec, 8, 0));
	EXPECT_EQ(5, (int)stat_of(self->fd).queued);
	for (i = 3; i < 8; i++)
		EXPECT_EQ(i, take(self->fd));
}

static int receive_two(void *arg)
{
	int fd = *(int *)arg;
	int first = take(fd), second = take(fd);

	return first != second && first <= 2 && second <= 2 ? 0 : 1;
}

/* A receiver overtakes another one by the one message that this one cannot receive. */
TEST_F(batch, fault_delays_one_message_for_another_receiver)
{
	char *bad = mmap(NULL, getpagesize(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct many *in = many_msgs(64);
	int i, round;
	pid_t pid;

	for (i = 0; i < 8; i++)
		in->msgs[i] = msg_of(bad, 64, 0);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 8; i++)
			ASSERT_EQ(0, put(self->fd, i));
		pid = spawn(receive_two, &self->fd);
		for (i = 0; i < 50; i++)
			mbox_recvmmsg(self->mb, in->msgs, 8, MBOX_DONTWAIT);
		EXPECT_EQ(0, reap(pid));
		EXPECT_GE(2, take(self->fd));
		for (i = 3; i < 8; i++)
			EXPECT_EQ(i, take(self->fd));
	}
}

/* While somebody polls, messages are sent and received one by one. */
TEST_F(batch, batch_of_a_polled_mailbox)
{
	struct mbox_attr attr = attr_of(0, MANY);
	struct many *out = many_msgs(4), *in = many_msgs(64);
	struct mbox *mb = mbox_create(NULL, O_RDWR, &attr);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };
	int i, epfd = epoll_create1(0);

	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, mbox_fd(mb), &ev));
	for (i = 0; i < MANY; i++)
		memcpy(out->data[i], &i, sizeof(i));
	EXPECT_EQ(MANY, mbox_sendmmsg(mb, out->msgs, MANY, MBOX_DONTWAIT));
	ASSERT_EQ(1, epoll_wait(epfd, &ev, 1, 0));
	EXPECT_EQ(EPOLLIN, ev.events);
	EXPECT_EQ(MANY, mbox_recvmmsg(mb, in->msgs, MANY, MBOX_DONTWAIT));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(i, *(int *)in->data[i]);
	ASSERT_EQ(1, epoll_wait(epfd, &ev, 1, 0));
	EXPECT_EQ(EPOLLOUT, ev.events);
	close(epfd);
	mbox_close(mb);
}

TEST_F(batch, unreadable_message_ends_the_batch)
{
	struct many *out = many_msgs(4);
	char *bad = mmap(NULL, getpagesize(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i, at;

	for (at = 0; at < 8; at++) {
		for (i = 0; i < 8; i++) {
			memcpy(out->data[i], &i, sizeof(i));
			out->msgs[i] = msg_of(i == at ? bad : out->data[i], 4, 0);
		}
		EXPECT_EQ(at ?: -EFAULT, neg(mbox_sendmmsg(self->mb, out->msgs, 8, 0)));
		EXPECT_EQ(at, (int)stat_of(self->fd).queued);
		for (i = 0; i < at; i++)
			EXPECT_EQ(i, take(self->fd));
	}
}

TEST_F(batch, short_buffer_ends_the_batch)
{
	struct many *in = many_msgs(64);
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, put(self->fd, i));
	in->msgs[5].len = 3;
	EXPECT_EQ(5, mbox_recvmmsg(self->mb, in->msgs, 8, 0));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_recvmmsg(self->mb, in->msgs + 5, 3, 0)));
	for (i = 5; i < 8; i++)
		EXPECT_EQ(i, take(self->fd));
}

static struct mbox_vec vec_of(struct mbox_msg *msgs, __u32 n, __u32 flags)
{
	return (struct mbox_vec){ .msgs = (uintptr_t)msgs, .n = n, .flags = flags,
				  .msg_size = sizeof(*msgs) };
}

TEST_F(batch, receive_waits_for_every_message)
{
	struct mbox_vec vec = vec_of(self->recvs, 3, 0);
	struct call c = { .arg = &vec };
	int i;

	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_RECVV));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
		ASSERT_EQ(0, put(self->fd, i));
	}
	EXPECT_EQ(3, call_join(&c));
	for (i = 0; i < 3; i++)
		EXPECT_EQ((__u32)i, self->in[i]);
}

TEST_F(batch, send_waits_for_room_for_every_message)
{
	struct mbox_vec vec = vec_of(self->sends, N, 0);
	struct call c = { .arg = &vec };
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_SENDV));
	for (i = 0; i < N - 1; i++) {
		ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
		EXPECT_EQ(i, take(self->fd));
	}
	EXPECT_EQ(N, call_join(&c));
	EXPECT_EQ(N - 1, take(self->fd));
}

TEST_F(batch, WAITFORONE_waits_for_the_first_message)
{
	struct mbox_vec vec = vec_of(self->recvs, N, MBOX_WAITFORONE);
	struct call c = { .arg = &vec };

	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_RECVV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(1, call_join(&c));
	EXPECT_EQ(7U, self->in[0]);
}

TEST_F(batch, WAITFORONE_receives_only_queued_messages)
{
	ASSERT_EQ(3, mbox_sendmmsg(self->mb, self->sends, 3, 0));
	EXPECT_EQ(3, mbox_recvmmsg(self->mb, self->recvs, N, MBOX_WAITFORONE));
	EXPECT_EQ(2U, self->in[2]);
	EXPECT_EQ(-EAGAIN, neg(mbox_recvmmsg(self->mb, self->recvs, N,
					     MBOX_WAITFORONE | MBOX_DONTWAIT)));
}

TEST_F(batch, deadline_of_a_later_message_ends_the_batch)
{
	self->recvs[1].deadline_ns = 1;
	ASSERT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(1, mbox_recvmmsg(self->mb, self->recvs, N, 0));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_recvmmsg(self->mb, self->recvs + 1, 1, 0)));
}

TEST_F(batch, signal_returns_the_completed_messages)
{
	struct mbox_vec vec = vec_of(self->recvs, N, 0);
	struct call c = { .arg = &vec };

	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(2, mbox_sendmmsg(self->mb, self->sends, 2, 0));
	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_RECVV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	pthread_kill(c.thread, SIGUSR1);
	EXPECT_EQ(2, call_join(&c));
	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_RECVV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	pthread_kill(c.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, call_join(&c));
}

TEST_F(batch, destroy_returns_the_completed_messages)
{
	struct mbox_vec vec = vec_of(self->sends, N, 0);
	struct call c = { .arg = &vec };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_SENDV));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(2, call_join(&c));
	EXPECT_EQ(-EIDRM, raw(self->fd, MBOX_IOC_SENDV, &vec));
}

TEST_F(batch, synchronous_messages_complete_one_by_one)
{
	struct mbox_vec vec = vec_of(self->sends, 3, MBOX_SYNC);
	struct call c = { .arg = &vec };
	int i;

	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_SENDV));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
		EXPECT_EQ(1U, stat_of(self->fd).queued);
		EXPECT_EQ(i, take(self->fd));
	}
	EXPECT_EQ(3, call_join(&c));
}

TEST_F(batch, elements_of_other_sizes_work)
{
	char *bytes = calloc(N, 128);
	struct mbox_vec vec = { .msgs = (uintptr_t)bytes, .n = N, .msg_size = 128 };
	int i;

	for (i = 0; i < N; i++)
		memcpy(bytes + i * 128, &self->sends[i], sizeof(self->sends[i]));
	EXPECT_EQ(N, raw(self->fd, MBOX_IOC_SENDV, &vec));
	bytes[2 * 128 + sizeof(struct mbox_msg)] = 1;
	vec.n = 3;
	EXPECT_EQ(2, raw(self->fd, MBOX_IOC_SENDV, &vec));
	bytes[sizeof(struct mbox_msg)] = 1;
	EXPECT_EQ(-E2BIG, raw(self->fd, MBOX_IOC_SENDV, &vec));
	/* The shortest ones. */
	for (i = 0; i < N; i++)
		memcpy(bytes + i * MBOX_MSG_SIZE_MIN, &self->recvs[i], MBOX_MSG_SIZE_MIN);
	vec.n = N;
	vec.msg_size = MBOX_MSG_SIZE_MIN;
	EXPECT_EQ(N, raw(self->fd, MBOX_IOC_RECVV, &vec));
	for (i = 0; i < N; i++)
		EXPECT_EQ((__u32)i, self->in[i]);
	free(bytes);
}

TEST_HARNESS_MAIN
