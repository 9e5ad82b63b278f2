// SPDX-License-Identifier: GPL-2.0-only
/*
 * One contract, whichever function of the library is called and whichever
 * system call carries it out.
 */
#include "api_variants.h"

#include <limits.h>
#include <sys/mman.h>

FIXTURE(api_variant)
{
	struct mbox *mb;
	char name[64];
	/* Another handle on the mailbox. */
	struct mbox *other;
	void *bad;
};

FIXTURE_VARIANT(api_variant)
{
	enum api_variant api;
};

FIXTURE_VARIANT_ADD(api_variant, without_flags) { .api = PLAIN };
FIXTURE_VARIANT_ADD(api_variant, with_flags) { .api = WITH_FLAGS };
FIXTURE_VARIANT_ADD(api_variant, without_deadline) { .api = NO_DEADLINE };
FIXTURE_VARIANT_ADD(api_variant, with_deadline) { .api = DEADLINE };
FIXTURE_VARIANT_ADD(api_variant, with_structure) { .api = STRUCTURE };
FIXTURE_VARIANT_ADD(api_variant, as_batch) { .api = BATCH };

FIXTURE_SETUP(api_variant)
{
	struct mbox_attr attr = attr_of(0, 2);

	attr.msg_max = 4;
	test_name(self->name, sizeof(self->name), "api");
	/* Nothing here may wait, and only this makes that the same for all. */
	self->mb = mbox_create(self->name, O_RDWR | O_EXCL | O_NONBLOCK, &attr);
	ASSERT_TRUE(!!self->mb);
	self->bad = bad_buffer();
	ASSERT_TRUE(!!self->bad);
}

FIXTURE_TEARDOWN(api_variant)
{
	munmap(self->bad, 4096);
	mbox_unlink(self->name);
	mbox_close(self->mb);
}

#define SEND(mb, buf, len) send_by(variant->api, mb, buf, len)
#define RECV(mb, buf, len) recv_by(variant->api, mb, buf, len)

TEST_F(api_variant, carries_messages)
{
	char text[8];

	ASSERT_EQ(0, SEND(self->mb, "abc", 3));
	ASSERT_EQ(0, SEND(self->mb, NULL, 0));
	EXPECT_EQ(2U, stat_of(mbox_fd(self->mb)).queued);
	memset(text, POISON, sizeof(text));
	EXPECT_EQ(3, RECV(self->mb, text, sizeof(text)));
	EXPECT_EQ(0, memcmp(text, "abc\xa5", 4));
	EXPECT_EQ(0, RECV(self->mb, NULL, 0));
	EXPECT_EQ(0U, stat_of(mbox_fd(self->mb)).queued);
}

TEST_F(api_variant, would_wait_is_EAGAIN)
{
	char c = (char)POISON;

	EXPECT_EQ(-EAGAIN, RECV(self->mb, &c, 1));
	EXPECT_EQ((char)POISON, c);
	ASSERT_EQ(0, SEND(self->mb, "a", 1));
	ASSERT_EQ(0, SEND(self->mb, "b", 1));
	EXPECT_EQ(-EAGAIN, SEND(self->mb, "c", 1));
	EXPECT_EQ(2U, stat_of(mbox_fd(self->mb)).queued);
}

TEST_F(api_variant, bad_length_is_EMSGSIZE)
{
	struct mbox_attr attr = attr_of(MBOX_FIXED, 2);
	struct mbox *fixed;
	char c[2] = { (char)POISON, (char)POISON };

	EXPECT_EQ(-EMSGSIZE, SEND(self->mb, "abcde", 5));
	EXPECT_EQ(0U, stat_of(mbox_fd(self->mb)).queued);
	ASSERT_EQ(0, SEND(self->mb, "ab", 2));
	EXPECT_EQ(-EMSGSIZE, RECV(self->mb, c, 1));
	EXPECT_EQ(-EMSGSIZE, RECV(self->mb, NULL, 0));
	EXPECT_EQ((char)POISON, c[0]);
	EXPECT_EQ(2, RECV(self->mb, c, 2));

	attr.msg_max = 3;
	fixed = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!fixed);
	EXPECT_EQ(-EMSGSIZE, SEND(fixed, "ab", 2));
	EXPECT_EQ(-EMSGSIZE, SEND(fixed, NULL, 0));
	EXPECT_EQ(0, SEND(fixed, "abc", 3));
	EXPECT_EQ(0, mbox_close(fixed));
}

TEST_F(api_variant, without_the_right_is_EBADF)
{
	struct mbox *reader = mbox_open(self->name, O_RDONLY | O_NONBLOCK);
	struct mbox *writer = mbox_open(self->name, O_WRONLY | O_NONBLOCK);
	char c = (char)POISON;

	ASSERT_TRUE(reader && writer);
	EXPECT_EQ(-EBADF, SEND(reader, "a", 1));
	ASSERT_EQ(0, SEND(writer, "a", 1));
	EXPECT_EQ(-EBADF, RECV(writer, &c, 1));
	EXPECT_EQ((char)POISON, c);
	EXPECT_EQ(1, RECV(reader, &c, 1));
	EXPECT_EQ(0, mbox_close(reader));
	EXPECT_EQ(0, mbox_close(writer));
}

TEST_F(api_variant, destroyed_is_EIDRM)
{
	char c;

	ASSERT_EQ(0, SEND(self->mb, "a", 1));
	ASSERT_EQ(0, mbox_destroy(self->mb));
	EXPECT_EQ(-EIDRM, RECV(self->mb, &c, 1));
	EXPECT_EQ(-EIDRM, SEND(self->mb, "a", 1));
}

TEST_F(api_variant, no_peer_is_EPIPE_without_SIGPIPE)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	struct mbox *reader, *writer;
	char c;

	ASSERT_EQ(0, catch_signal(SIGPIPE, 0));
	reader = mbox_create(NULL, O_RDONLY, &attr);
	ASSERT_TRUE(!!reader);
	EXPECT_EQ(-EAGAIN, neg(mbox_recv(reader, &c, 1, MBOX_DONTWAIT)));
	writer = mbox_open_id(stat_of(mbox_fd(reader)).id, O_WRONLY);
	ASSERT_TRUE(!!writer);
	EXPECT_EQ(0, mbox_close(writer));
	EXPECT_EQ(-EPIPE, RECV(reader, &c, 1));
	writer = mbox_open_id(stat_of(mbox_fd(reader)).id, O_WRONLY);
	ASSERT_TRUE(!!writer);
	EXPECT_EQ(0, mbox_close(reader));
	EXPECT_EQ(-EPIPE, SEND(writer, "a", 1));
	EXPECT_EQ(0, signals_seen);
	EXPECT_EQ(0, mbox_close(writer));
}

TEST_F(api_variant, bad_buffer_is_EFAULT)
{
	struct mbox_stat before;
	char c;

	before = stat_of(mbox_fd(self->mb));
	EXPECT_EQ(-EFAULT, SEND(self->mb, self->bad, 1));
	EXPECT_TRUE(same_stat(mbox_fd(self->mb), &before));
	ASSERT_EQ(0, SEND(self->mb, "a", 1));
	before = stat_of(mbox_fd(self->mb));
	EXPECT_EQ(-EFAULT, RECV(self->mb, self->bad, 1));
	EXPECT_TRUE(same_stat(mbox_fd(self->mb), &before));
	EXPECT_EQ(1, RECV(self->mb, &c, 1));
	EXPECT_EQ('a', c);
}

TEST_F(api_variant, receive_buffer_of_any_size_works)
{
	/* Of a structure the caller fills in the length, which has 32 bits. */
	size_t most = variant->api < STRUCTURE ? SIZE_MAX : UINT32_MAX;
	char text[8];

	ASSERT_EQ(0, SEND(self->mb, "ab", 2));
	EXPECT_EQ(2, RECV(self->mb, text, most));
	ASSERT_EQ(0, SEND(self->mb, "ab", 2));
	EXPECT_EQ(2, RECV(self->mb, text, (size_t)INT_MAX + 1));
}

TEST_F(api_variant, huge_length_is_EMSGSIZE)
{
	static const __u64 sizes[] = { (__u64)INT_MAX, (__u64)INT_MAX + 1, UINT32_MAX,
				       1ULL << 32, (1ULL << 32) + 1, 1ULL << 63, UINT64_MAX };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i] > (variant->api < STRUCTURE ? SIZE_MAX : UINT32_MAX))
			continue;
		EXPECT_EQ(-EMSGSIZE, SEND(self->mb, "abcd", sizes[i])) {
			TH_LOG("%llu bytes", (unsigned long long)sizes[i]);
		}
	}
	EXPECT_EQ(0U, stat_of(mbox_fd(self->mb)).queued);
}

struct blocked_call {
	struct mbox *mb;
	enum api_variant api;
	bool sends;
	long ret;
};

static void *call_by(void *arg)
{
	struct blocked_call *c = arg;
	char text[8] = "b";

	c->ret = c->sends ? send_by(c->api, c->mb, text, 1) :
			    recv_by(c->api, c->mb, text, sizeof(text));
	return NULL;
}

TEST_F(api_variant, signal_during_the_wait_is_EINTR)
{
	struct blocked_call c = { .api = variant->api };
	pthread_t thread;
	int fd;

	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	c.mb = mbox_open(self->name, O_RDWR);
	ASSERT_TRUE(!!c.mb);
	fd = mbox_fd(c.mb);
	for (c.sends = false; ; c.sends = true) {
		ASSERT_EQ(0, thread_start(&thread, call_by, &c));
		ASSERT_EQ(0, await_waiting(fd, c.sends, !c.sends));
		ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
		pthread_join(thread, NULL);
		EXPECT_EQ(-EINTR, c.ret);
		if (c.sends)
			break;
		ASSERT_EQ(0, put(fd, 1));
		ASSERT_EQ(0, put(fd, 2));
	}
	EXPECT_EQ(2U, stat_of(fd).queued);
	EXPECT_EQ(0, mbox_close(c.mb));
}

TEST_F(api_variant, waiting_call_completes)
{
	struct blocked_call c = { .api = variant->api };
	pthread_t thread;
	char text[8];
	int fd;

	c.mb = mbox_open(self->name, O_RDWR);
	ASSERT_TRUE(!!c.mb);
	fd = mbox_fd(c.mb);
	ASSERT_EQ(0, thread_start(&thread, call_by, &c));
	ASSERT_EQ(0, await_waiting(fd, 0, 1));
	ASSERT_EQ(0, SEND(self->mb, "abc", 3));
	pthread_join(thread, NULL);
	EXPECT_EQ(3, c.ret);

	ASSERT_EQ(0, mbox_set_capacity(self->mb, 0));
	c.sends = true;
	ASSERT_EQ(0, thread_start(&thread, call_by, &c));
	ASSERT_EQ(0, await_waiting(fd, 1, 0));
	EXPECT_EQ(1, RECV(self->mb, text, sizeof(text)));
	EXPECT_EQ('b', text[0]);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, c.ret);
	EXPECT_EQ(0, mbox_close(c.mb));
}

TEST_HARNESS_MAIN
