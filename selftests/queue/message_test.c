// SPDX-License-Identifier: GPL-2.0-only
/* One message: lengths, contents, buffers that do not fit or cannot be written. */
#include <sys/uio.h>

#include "peers.h"

#define BIG (1U << 20)

static const __u32 lengths[] = {
	0, 1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 4000, 4032, 4040, 4048, 4056, 4064, 4072,
	4080, 4088, 4095, 4096, 4097, 4104, 4160, 4200, 8191, 8192, 8193, 65535, 65536, 65537,
	BIG - 1, BIG,
};

FIXTURE(message)
{
	struct mbox *mb;
	int fd;
	char *out;
	char *in;
};

FIXTURE_SETUP(message)
{
	struct mbox_attr attr = attr_of(0, 4);
	__u32 i;

	attr.msg_max = BIG;
	self->mb = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	self->out = malloc(BIG);
	self->in = malloc(BIG + 16);
	ASSERT_TRUE(self->out && self->in);
	for (i = 0; i < BIG; i++)
		self->out[i] = i * 31 + (i >> 8) + (i >> 16);
}

FIXTURE_TEARDOWN(message)
{
	mbox_close(self->mb);
	free(self->out);
	free(self->in);
}

/* Right up to the end of the message, and untouched behind it. */
static bool same_content(const char *in, const char *out, __u32 len, __u32 size)
{
	__u32 i;

	if (memcmp(in, out, len))
		return false;
	for (i = len; i < size; i++)
		if (in[i] != (char)POISON)
			return false;
	return true;
}

TEST_F(message, arrives_as_it_was_sent)
{
	unsigned int i;
	__u32 len;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		len = lengths[i];
		memset(self->in, POISON, len + 16);
		/* Unaligned at both ends, from the second on. */
		ASSERT_EQ(0, mbox_send(self->mb, self->out, len, 0));
		EXPECT_EQ(len, stat_of(self->fd).bytes);
		ASSERT_EQ((long)len, mbox_recv(self->mb, self->in, len + 16, 0));
		EXPECT_TRUE(same_content(self->in, self->out, len, len + 16))
			TH_LOG("length %u", len);
	}
}

/* By read(2) and write(2), by ioctls, and by readv(2) and writev(2) in two pieces. */
static void pass_length(struct __test_metadata *_metadata, FIXTURE_DATA(message) *self,
			__u32 len)
{
	char *out = self->out + len % 8, *in = self->in + len / 8 % 8;
	struct iovec from[2] = { { out, len / 3 }, { out + len / 3, len - len / 3 } };
	struct iovec to[2] = { { in, len / 2 }, { in + len / 2, len - len / 2 } };

	memset(self->in, POISON, len + 16);
	ASSERT_EQ((ssize_t)len, write(self->fd, out, len));
	ASSERT_EQ((ssize_t)len, read(self->fd, in, len));
	EXPECT_TRUE(same_content(in, out, len, len + 8))
		TH_LOG("read, length %u", len);
	memset(self->in, POISON, len + 16);
	ASSERT_EQ(0, raw_send(self->fd, out, len, MBOX_DONTWAIT));
	ASSERT_EQ((long)len, raw_recv(self->fd, in, len, MBOX_DONTWAIT));
	EXPECT_TRUE(same_content(in, out, len, len + 8))
		TH_LOG("ioctl, length %u", len);
	memset(self->in, POISON, len + 16);
	ASSERT_EQ((ssize_t)len, writev(self->fd, from, 2));
	ASSERT_EQ((ssize_t)len, readv(self->fd, to, 2));
	EXPECT_TRUE(same_content(in, out, len, len + 8))
		TH_LOG("readv, length %u", len);
}

TEST_F(message, every_short_length)
{
	__u32 len;

	for (len = 1; len <= 600; len++)
		pass_length(_metadata, self, len);
	for (len = 1020; len <= 1300; len++)
		pass_length(_metadata, self, len);
	for (len = 2030; len <= 2060; len++)
		pass_length(_metadata, self, len);
}

TEST_F(message, every_length_around_a_page)
{
	__u32 len;

	for (len = 3930; len <= 4250; len++)
		pass_length(_metadata, self, len);
	for (len = 8000; len <= 8250; len++)
		pass_length(_metadata, self, len);
	for (len = 12000; len <= 12400; len += 7)
		pass_length(_metadata, self, len);
}

/* With these, a message has more than its bytes: other memory, and other boundaries. */
TEST_F(message, every_length_around_a_page_with_DROP_OLDEST)
{
	__u32 len;

	mbox_close(self->mb);
	self->mb = mbox_create(NULL, O_RDWR, &(struct mbox_attr){
		.mode = MBOX_QUEUE, .capacity = 4, .msg_max = BIG, .perm = 0600,
		.flags = MBOX_DROP_OLDEST });
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	for (len = 3930; len <= 4120; len++)
		pass_length(_metadata, self, len);
	for (len = 8020; len <= 8100; len++)
		pass_length(_metadata, self, len);
}

TEST_F(message, payload_that_ends_with_its_page)
{
	size_t page = getpagesize();
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	struct mbox_stat before;
	char *end = p + page;
	size_t len;

	ASSERT_EQ(0, mprotect(end, page, PROT_NONE));
	for (len = 1; len <= page; len += len < 300 ? 1 : 97) {
		memset(end - len, len, len);
		ASSERT_EQ((ssize_t)len, write(self->fd, end - len, len));
		before = stat_of(self->fd);
		/* One byte too far, and each byte of a word. */
		ASSERT_EQ(-EFAULT, neg(write(self->fd, end - len + 1, len)));
		ASSERT_EQ(-EFAULT, neg(read(self->fd, end - len + 1, len)));
		ASSERT_EQ(-EFAULT, neg(read(self->fd, end - len / 2, len)));
		ASSERT_TRUE(same_stat(self->fd, &before));
		memset(p, 0, page);
		ASSERT_EQ((ssize_t)len, read(self->fd, end - len, len));
		ASSERT_EQ((char)len, end[-1]);
		ASSERT_EQ((char)len, end[-(long)len]);
	}
}

TEST_F(message, EIDRM_comes_before_EFAULT)
{
	void *bad = mmap(NULL, getpagesize(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = dup(self->fd);

	ASSERT_EQ(0, neg(ioctl(fd, MBOX_IOC_DESTROY)));
	EXPECT_EQ(-EIDRM, neg(write(fd, bad, 8)));
	EXPECT_EQ(-EIDRM, raw_send(fd, bad, 8, 0));
	EXPECT_EQ(-EIDRM, neg(read(fd, bad, 8)));
	close(fd);
}

TEST_F(message, address_of_no_bytes_does_not_count)
{
	EXPECT_EQ(0, raw_send(self->fd, (void *)-1L, 0, 0));
	EXPECT_EQ(0, raw_recv(self->fd, (void *)-1L, 0, 0));
	EXPECT_EQ(-EFAULT, raw_send(self->fd, (void *)-1L, 1, 0));
}

TEST_F(message, big_message_is_delivered_to_a_waiting_receiver)
{
	struct call c = { .msg = msg_of(self->in, BIG, 0) };
	__u32 capacity;

	for (capacity = 0; capacity < 2; capacity++) {
		ASSERT_EQ(0, raw_set_capacity(self->fd, capacity));
		memset(self->in, POISON, BIG);
		c.msg.len = BIG;
		ASSERT_EQ(0, recv_start(&c, self->fd));
		ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
		ASSERT_EQ(0, mbox_send(self->mb, self->out, BIG, 0));
		EXPECT_EQ((long)BIG, call_join(&c));
		EXPECT_EQ(0, memcmp(self->in, self->out, BIG));
	}
}

TEST_F(message, empty_message_is_received)
{
	ASSERT_EQ(0, mbox_send(self->mb, NULL, 0, 0));
	ASSERT_EQ(0, raw_send(self->fd, (void *)1, 0, 0));
	EXPECT_EQ(2U, stat_of(self->fd).queued);
	EXPECT_EQ(0, mbox_recv(self->mb, NULL, 0, MBOX_DONTWAIT));
	EXPECT_EQ(0, mbox_recv(self->mb, self->in, 8, MBOX_DONTWAIT));
	EXPECT_EQ(-EAGAIN, neg(mbox_recv(self->mb, NULL, 0, MBOX_DONTWAIT)));
}

TEST_F(message, longer_than_msg_max_is_EMSGSIZE)
{
	struct mbox_stat before = stat_of(self->fd);
	struct mbox_msg msg = msg_of(self->out, ~0U, 0);

	EXPECT_EQ(-EMSGSIZE, neg(mbox_send(self->mb, self->out, BIG + 1, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_send(self->mb, self->out, BIG + 1, MBOX_DONTWAIT)));
	EXPECT_EQ(-EMSGSIZE, raw(self->fd, MBOX_IOC_SEND, &msg));
	EXPECT_TRUE(same_stat(self->fd, &before));
}

TEST_F(message, EMSGSIZE_comes_before_EAGAIN)
{
	int fd = new_mailbox(0, 0);

	EXPECT_EQ(-EMSGSIZE, raw_send(fd, self->out, 8193, MBOX_DONTWAIT));
	EXPECT_EQ(-EAGAIN, raw_send(fd, self->out, 8192, MBOX_DONTWAIT));
	close(fd);
}

TEST_F(message, other_length_than_FIXED_is_EMSGSIZE)
{
	struct mbox_attr attr = attr_of(MBOX_FIXED, 4);
	int fd;

	attr.msg_max = 8;
	fd = raw_create(NULL, O_RDWR, &attr);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EMSGSIZE, raw_send(fd, self->out, 0, 0));
	EXPECT_EQ(-EMSGSIZE, raw_send(fd, self->out, 7, 0));
	EXPECT_EQ(-EMSGSIZE, raw_send(fd, self->out, 9, 0));
	EXPECT_EQ(0U, stat_of(fd).queued);
	EXPECT_EQ(0, raw_send(fd, self->out, 8, 0));
	memset(self->in, POISON, 16);
	EXPECT_EQ(8, raw_recv(fd, self->in, 16, 0));
	EXPECT_TRUE(same_content(self->in, self->out, 8, 16));
	close(fd);
}

TEST_F(message, message_longer_than_the_buffer_is_EMSGSIZE_and_stays)
{
	struct mbox_stat before;

	ASSERT_EQ(0, mbox_send(self->mb, self->out, 100, 0));
	before = stat_of(self->fd);
	memset(self->in, POISON, 100);
	EXPECT_EQ(-EMSGSIZE, neg(mbox_recv(self->mb, self->in, 99, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_recv(self->mb, self->in, 0, 0)));
	EXPECT_EQ(-EMSGSIZE, neg(mbox_recv(self->mb, self->in, 99, MBOX_PEEK)));
	EXPECT_TRUE(same_content(self->in, self->out, 0, 100));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(100, mbox_recv(self->mb, self->in, 100, MBOX_DONTWAIT));
}

TEST_F(message, truncated_receive_reports_the_full_length)
{
	struct mbox_msg msg = msg_of(self->in, 60, MBOX_TRUNC | MBOX_PEEK);

	ASSERT_EQ(0, mbox_send(self->mb, self->out, 100, 0));
	memset(self->in, POISON, 100);
	EXPECT_EQ(100, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(100U, msg.len);
	EXPECT_TRUE(same_content(self->in, self->out, 60, 100));
	EXPECT_EQ(100, mbox_recv(self->mb, NULL, 0, MBOX_TRUNC | MBOX_PEEK));
	memset(self->in, POISON, 100);
	EXPECT_EQ(100, mbox_recv(self->mb, self->in, 1, MBOX_TRUNC));
	EXPECT_TRUE(same_content(self->in, self->out, 1, 100));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(message, buffer_for_the_longest_message_can_be_asked_for)
{
	__u32 msg_max = stat_of(self->fd).attr.msg_max;
	struct mbox_msg each[2], msg = msg_of(self->in, 100, MBOX_LONGEST);
	struct mbox_vec vec = { MBOX_PTR(each), 2, MBOX_LONGEST, sizeof(msg) };
	struct mbox_stat before;
	struct mbox *sender;

	/* Whether there is a message or not, and whether the call would wait or not. */
	EXPECT_EQ(-EMSGSIZE, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(-EMSGSIZE, raw_recv(self->fd, self->in, msg_max - 1,
				      MBOX_LONGEST | MBOX_DONTWAIT | MBOX_TRUNC));
	EXPECT_EQ(-EAGAIN, raw_recv(self->fd, self->in, msg_max, MBOX_LONGEST | MBOX_DONTWAIT));
	ASSERT_EQ(0, mbox_send(self->mb, self->out, 100, 0));
	ASSERT_EQ(0, mbox_send(self->mb, self->out, 7, 0));
	before = stat_of(self->fd);
	EXPECT_EQ(-EMSGSIZE, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(-EMSGSIZE, raw_recv(self->fd, self->in, msg_max - 1, MBOX_LONGEST));
	EXPECT_EQ(-EMSGSIZE, raw_recv(self->fd, self->in, 0, MBOX_LONGEST | MBOX_PEEK));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(100, raw_recv(self->fd, self->in, msg_max, MBOX_LONGEST | MBOX_PEEK));

	/* A batch: the second buffer is too short. */
	each[0] = msg_of(self->in, msg_max, 0);
	each[1] = msg_of(self->in, msg_max - 1, 0);
	EXPECT_EQ(1, raw(self->fd, MBOX_IOC_RECVV, &vec));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	each[0] = each[1];
	EXPECT_EQ(-EMSGSIZE, raw(self->fd, MBOX_IOC_RECVV, &vec));
	EXPECT_EQ(7, raw_recv(self->fd, self->in, msg_max, MBOX_LONGEST));

	/* The flag is a receiver's, and the right comes first. */
	EXPECT_EQ(-EINVAL, raw_send(self->fd, self->out, 1, MBOX_LONGEST));
	sender = mbox_reopen(self->mb, O_WRONLY);
	ASSERT_TRUE(!!sender);
	EXPECT_EQ(-EBADF, raw_recv(mbox_fd(sender), self->in, 0, MBOX_LONGEST));
	mbox_close(sender);
}

TEST_F(message, big_message_is_truncated_at_any_length)
{
	unsigned int i;

	ASSERT_EQ(0, mbox_send(self->mb, self->out, BIG, 0));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(self->in, POISON, lengths[i] + 16);
		ASSERT_EQ((long)BIG, mbox_recv(self->mb, self->in, lengths[i],
					       MBOX_TRUNC | MBOX_PEEK));
		EXPECT_TRUE(same_content(self->in, self->out, lengths[i], lengths[i] + 16))
			TH_LOG("length %u", lengths[i]);
	}
}

TEST_F(message, shorter_messages_are_not_truncated)
{
	ASSERT_EQ(0, mbox_send(self->mb, self->out, 10, 0));
	memset(self->in, POISON, 20);
	EXPECT_EQ(10, mbox_recv(self->mb, self->in, 20, MBOX_TRUNC));
	EXPECT_TRUE(same_content(self->in, self->out, 10, 20));
}

TEST_F(message, unwritable_buffer_puts_the_message_back_in_front)
{
	char *bad = bad_buffer();
	struct mbox_stat before;

	ASSERT_EQ(0, put_as(self->fd, 1, 0, 0));
	ASSERT_EQ(0, put_as(self->fd, 2, 5, 0));
	ASSERT_EQ(0, put_as(self->fd, 3, 5, 0));
	ASSERT_EQ(0, put_as(self->fd, 4, 9, 0));
	before = stat_of(self->fd);
	EXPECT_EQ(-EFAULT, raw_recv(self->fd, bad, 8, MBOX_DONTWAIT));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(4, take(self->fd));
	before = stat_of(self->fd);
	EXPECT_EQ(-EFAULT, raw_recv(self->fd, bad, 8, 0));
	EXPECT_EQ(-EFAULT, raw_recv(self->fd, bad, 8, MBOX_PEEK));
	EXPECT_EQ(-EFAULT, raw_recv(self->fd, bad, 8, MBOX_TRUNC));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(message, partly_writable_buffer_puts_the_message_back)
{
	size_t page = getpagesize();
	char *p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	struct mbox_stat before;

	ASSERT_EQ(0, mprotect(p + 2 * page, page, PROT_NONE));
	ASSERT_EQ(0, mbox_send(self->mb, self->out, 3 * page, 0));
	before = stat_of(self->fd);
	EXPECT_EQ(-EFAULT, raw_recv(self->fd, p, 3 * page, 0));
	EXPECT_EQ(-EFAULT, neg(read(self->fd, p, 3 * page)));
	EXPECT_TRUE(same_stat(self->fd, &before));
	/* The part that fits can be taken with a cut. */
	EXPECT_EQ((long)(3 * page), raw_recv(self->fd, p, 2 * page, MBOX_TRUNC));
	EXPECT_EQ(0, memcmp(p, self->out, 2 * page));
}

TEST_F(message, unreadable_buffer_sends_nothing)
{
	struct mbox_stat before = stat_of(self->fd);
	size_t page = getpagesize();
	char *p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	ASSERT_EQ(0, mprotect(p + 2 * page, page, PROT_NONE));
	EXPECT_EQ(-EFAULT, raw_send(self->fd, p + 2 * page - 4, 8, 0));
	EXPECT_EQ(-EFAULT, raw_send(self->fd, p, 3 * page, 0));
	EXPECT_EQ(-EFAULT, neg(write(self->fd, p, 3 * page)));
	EXPECT_EQ(-EFAULT, neg(mbox_send(self->mb, NULL, 8, 0)));
	EXPECT_TRUE(same_stat(self->fd, &before));
}

TEST_F(message, unreadable_buffer_drops_nothing)
{
	int fd = new_mailbox(MBOX_DROP_OLDEST, 1);
	struct mbox_stat before;

	ASSERT_EQ(0, put(fd, 1));
	before = stat_of(fd);
	EXPECT_EQ(-EFAULT, raw_send(fd, bad_buffer(), 8, 0));
	EXPECT_TRUE(same_stat(fd, &before));
	EXPECT_EQ(1, take(fd));
	close(fd);
}

/* The receiver waits with the bad buffer: the message had a taker already. */
TEST_F(message, waiting_receiver_with_a_bad_buffer_puts_the_message_back)
{
	struct call bad = { .msg = msg_of(bad_buffer(), 8, 0) };

	ASSERT_EQ(0, recv_start(&bad, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EFAULT, call_join(&bad));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(0U, stat_of(self->fd).received);
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
}

/*
 * The fault makes no room: what is put back may exceed the capacity, or
 * the sender that waited is still waiting.
 */
TEST_F(message, message_put_back_stays_before_a_waiting_sender)
{
	struct call sender = { 0 };
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, send_start(&sender, self->fd, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	for (i = 0; i < 10; i++)
		EXPECT_EQ(-EFAULT, raw_recv(self->fd, bad_buffer(), 8, 0));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(0, call_join(&sender));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(message, waiting_receiver_with_a_short_buffer_is_EMSGSIZE)
{
	struct call receiver = { .msg = msg_of(self->in, 3, 0) };

	memset(self->in, POISON, 8);
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EMSGSIZE, call_join(&receiver));
	EXPECT_TRUE(same_content(self->in, self->out, 0, 8));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(message, waiting_receiver_gets_a_truncated_message)
{
	struct call receiver = { .msg = msg_of(self->in, 3, MBOX_TRUNC) };

	memset(self->in, POISON, 8);
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, mbox_send(self->mb, self->out, 100, 0));
	EXPECT_EQ(100, call_join(&receiver));
	EXPECT_EQ(100U, receiver.msg.len);
	EXPECT_TRUE(same_content(self->in, self->out, 3, 8));
}

TEST_HARNESS_MAIN
