// SPDX-License-Identifier: GPL-2.0-only
/* What the library has around the calls: time-outs, priorities, buffers, pipes. */
#include "peers.h"

#define LONG 100000

FIXTURE(shorthand)
{
	struct mbox *mb;
	struct mbox *ring;
};

FIXTURE_SETUP(shorthand)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.capacity = 2;
	attr.msg_max = LONG;
	self->mb = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!self->mb);
	attr.mode = MBOX_RING;
	self->ring = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!self->ring);
}

FIXTURE_TEARDOWN(shorthand)
{
	mbox_close(self->mb);
	mbox_close(self->ring);
}

TEST_F(shorthand, timeouts_are_relative)
{
	struct mbox *each[] = { self->mb, self->ring };
	uint64_t begin, took;
	unsigned int i;
	char c;

	for (i = 0; i < ARRAY_SIZE(each); i++) {
		begin = now_ns(CLOCK_MONOTONIC);
		EXPECT_EQ(-ETIMEDOUT, neg(mbox_recv_for(each[i], &c, 1, 0, 30)));
		took = now_ns(CLOCK_MONOTONIC) - begin;
		EXPECT_LE(30 * NSEC_PER_MSEC, took);
		EXPECT_EQ(0, neg(mbox_send_for(each[i], "a", 1, 0, 30)));
		EXPECT_EQ(0, neg(mbox_send_for(each[i], "b", 1, 0, 30)));
		begin = now_ns(CLOCK_MONOTONIC);
		EXPECT_EQ(-ETIMEDOUT, neg(mbox_send_for(each[i], "c", 1, 0, 30)));
		took = now_ns(CLOCK_MONOTONIC) - begin;
		EXPECT_LE(30 * NSEC_PER_MSEC, took);
		/* No time at all is enough for what is there. */
		EXPECT_EQ(1, neg(mbox_recv_for(each[i], &c, 1, 0, 0)));
		EXPECT_EQ('a', c);
		EXPECT_EQ(0, neg(mbox_send_for(each[i], "c", 1, 0, 0)));
		EXPECT_EQ(-ETIMEDOUT, neg(mbox_send_for(each[i], "d", 1, 0, 0)));
		EXPECT_EQ(-EAGAIN, neg(mbox_send_for(each[i], "d", 1, MBOX_DONTWAIT, 30)));
		EXPECT_EQ(1, neg(mbox_recv_for(each[i], &c, 1, MBOX_DONTWAIT, 30)));
		EXPECT_EQ('b', c);
	}
}

TEST_F(shorthand, timeouts_have_no_clock_to_choose)
{
	char c;

	EXPECT_EQ(-EINVAL, neg(mbox_recv_for(self->mb, &c, 1, MBOX_REALTIME, 1)));
	EXPECT_EQ(-EINVAL, neg(mbox_send_for(self->mb, "a", 1, MBOX_REALTIME, 1)));
	EXPECT_EQ(0U, stat_of(mbox_fd(self->mb)).queued);
}

TEST_F(shorthand, priority_needs_no_structure)
{
	char c;

	EXPECT_EQ(0, neg(mbox_send_prio(self->mb, "l", 1, 0, 0)));
	EXPECT_EQ(0, neg(mbox_send_prio(self->mb, "h", 1, MBOX_PRIO_MAX, 0)));
	EXPECT_EQ(-EAGAIN, neg(mbox_send_prio(self->mb, "x", 1, 1, MBOX_DONTWAIT)));
	EXPECT_EQ(-EINVAL, neg(mbox_send_prio(self->mb, "x", 1, MBOX_PRIO_MAX + 1, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_send_prio(self->mb, "x", LONG + 1, 1, MBOX_DONTWAIT)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_send_prio(self->mb, "x", SIZE_MAX, 1, MBOX_DONTWAIT)));
	EXPECT_EQ(1, neg(mbox_recv(self->mb, &c, 1, 0)));
	EXPECT_EQ('h', c);
	EXPECT_EQ(1, neg(mbox_recv(self->mb, &c, 1, 0)));
	EXPECT_EQ('l', c);
	EXPECT_EQ(-EOPNOTSUPP, neg(mbox_send_prio(self->ring, "x", 1, 1, 0)));
	EXPECT_EQ(0, neg(mbox_send_prio(self->ring, "x", 1, 0, 0)));
}

TEST_F(shorthand, received_buffer_fits)
{
	static const size_t lengths[] = { 0, 1, 4095, 4096, 4097, LONG };
	struct mbox *each[] = { self->mb, self->ring };
	char *text = malloc(LONG);
	unsigned int i, j;
	void *got;

	ASSERT_TRUE(!!text);
	memset(text, 'x', LONG);
	for (i = 0; i < ARRAY_SIZE(each); i++) {
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			ASSERT_EQ(0, neg(mbox_send(each[i], text, lengths[j], 0)));
			got = NULL;
			errno = ERANGE;
			ASSERT_EQ((ssize_t)lengths[j], mbox_recv_alloc(each[i], &got, 0, NULL))
				TH_LOG("length %zu", lengths[j]);
			EXPECT_EQ(ERANGE, errno);
			EXPECT_EQ(0, memcmp(got, text, lengths[j]));
			EXPECT_EQ(0, ((char *)got)[lengths[j]]);
			free(got);
		}
	}
	free(text);
}

TEST_F(shorthand, failed_receive_leaves_buffer_and_message)
{
	struct timespec past = { 0 };
	char text[5000] = { 0 };
	void *got = self;

	EXPECT_EQ(-EAGAIN, neg(mbox_recv_alloc(self->mb, &got, MBOX_DONTWAIT, NULL)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_recv_alloc(self->mb, &got, 0, &past)));
	ASSERT_EQ(0, neg(mbox_send(self->mb, text, sizeof(text), 0)));
	EXPECT_EQ(-EINVAL, neg(mbox_recv_alloc(self->mb, &got, MBOX_TRUNC, NULL)));
	EXPECT_EQ(-EINVAL, neg(mbox_recv_alloc(self->mb, &got, 1U << 31, NULL)));
	EXPECT_EQ((void *)self, got);
	EXPECT_EQ(5000, neg(mbox_recv_alloc(self->mb, &got, MBOX_PEEK, NULL)));
	free(got);
	EXPECT_EQ(1U, stat_of(mbox_fd(self->mb)).queued);
	got = self;
	ASSERT_EQ(0, neg(mbox_destroy(self->mb)));
	EXPECT_EQ(-EIDRM, neg(mbox_recv_alloc(self->mb, &got, 0, NULL)));
	EXPECT_TRUE((void *)self == got);
}

TEST_F(shorthand, pipe_has_two_ends)
{
	struct mbox *ends[2];
	char c;

	ASSERT_EQ(0, neg(mbox_pipe(ends)));
	EXPECT_EQ(-EBADF, neg(mbox_send(ends[0], "a", 1, 0)));
	EXPECT_EQ(-EBADF, neg(mbox_recv(ends[1], &c, 1, 0)));
	EXPECT_EQ(0, neg(mbox_send(ends[1], "a", 1, 0)));
	EXPECT_EQ(1, neg(mbox_recv(ends[0], &c, 1, 0)));
	EXPECT_EQ(0, neg(mbox_send(ends[1], "b", 1, 0)));
	EXPECT_EQ(0, mbox_close(ends[1]));
	/* What was sent comes before the end. */
	EXPECT_EQ(1, neg(mbox_recv(ends[0], &c, 1, 0)));
	EXPECT_EQ(-EPIPE, neg(mbox_recv(ends[0], &c, 1, 0)));
	EXPECT_EQ(0, mbox_close(ends[0]));

	ASSERT_EQ(0, neg(mbox_pipe(ends)));
	EXPECT_EQ(0, mbox_close(ends[0]));
	EXPECT_EQ(-EPIPE, neg(mbox_send(ends[1], "a", 1, 0)));
	EXPECT_EQ(0, mbox_close(ends[1]));
}

TEST_F(shorthand, pipe_without_descriptors_leaves_nothing)
{
	struct mbox *ends[2] = { NULL, NULL };
	struct rlimit old, few;
	int fds = open_descriptors();
	int n = 0, spare[64];

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	few = old;
	few.rlim_cur = fds + 8;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	while (n < 64 && (spare[n] = dup(0)) >= 0)
		n++;
	ASSERT_GT(n, 2);
	/* Room for none, one and two of the three. */
	EXPECT_EQ(-EMFILE, neg(mbox_pipe(ends)));
	close(spare[--n]);
	EXPECT_EQ(-EMFILE, neg(mbox_pipe(ends)));
	close(spare[--n]);
	EXPECT_EQ(-EMFILE, neg(mbox_pipe(ends)));
	EXPECT_TRUE(!ends[0] && !ends[1]);
	while (n)
		close(spare[--n]);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(fds, open_descriptors());
}

TEST_F(shorthand, initialiser_sets_address_and_length)
{
	char text[3] = "abc";
	struct mbox_msg msg = MBOX_MSG_INIT(text, sizeof(text)), zero = { 0 };

	EXPECT_EQ((uintptr_t)text, msg.buf);
	EXPECT_EQ(3U, msg.len);
	EXPECT_EQ(MBOX_PTR(text), msg.buf);
	msg.buf = 0;
	msg.len = 0;
	EXPECT_EQ(0, memcmp(&msg, &zero, sizeof(msg)));
}

TEST_HARNESS_MAIN
