// SPDX-License-Identifier: GPL-2.0-only
/* The fields of the ioctls' structures: flags, reserved ones, partial ones. */
#include "wrappers.h"

#define QUEUE_FLAGS (MBOX_FIXED | MBOX_DROP_OLDEST | MBOX_DROP_NEWEST | MBOX_HANGUP | \
		     MBOX_FAIR | MBOX_BROADCAST | MBOX_INHERIT | MBOX_LEAF | \
		     MBOX_TEMPORARY | MBOX_ALLOW_WAIT)
#define RING_FLAGS (MBOX_FIXED | MBOX_HANGUP | MBOX_ONE_SENDER | MBOX_ONE_RECEIVER | \
		    MBOX_LEAF | MBOX_TEMPORARY)
#define SEND_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_SYNC | MBOX_NORESTART)
#define RECV_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_PEEK | MBOX_TRUNC | MBOX_MATCH | \
		    MBOX_MATCH_NOT | MBOX_MATCH_LE | MBOX_LEASE | MBOX_LONGEST | MBOX_NORESTART)

FIXTURE(fields)
{
	int dev;
	int fd;
	__u32 value;
	struct mbox_msg msg;
	struct mbox_stat before;
};

FIXTURE_SETUP(fields)
{
	self->dev = open_device();
	ASSERT_LE(0, self->dev);
	self->fd = new_mailbox(0, 8);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, put_as(self->fd, 42, 7, 9));
	self->before = stat_of(self->fd);
	self->msg = msg_of(&self->value, sizeof(self->value), MBOX_DONTWAIT);
}

FIXTURE_TEARDOWN(fields)
{
	close(self->fd);
	close(self->dev);
}

TEST_F(fields, info_agrees_with_the_header)
{
	struct mbox_info raw_info, info;

	memset(&raw_info, POISON, sizeof(raw_info));
	ASSERT_EQ(0, raw(self->dev, MBOX_IOC_INFO, &raw_info));
	EXPECT_EQ((__u32)MBOX_ABI_VERSION, raw_info.abi);
	EXPECT_EQ(1U << MBOX_QUEUE | 1U << MBOX_RING, raw_info.modes);
	EXPECT_EQ(QUEUE_FLAGS | RING_FLAGS, raw_info.attr_flags);
	EXPECT_EQ(SEND_FLAGS | RECV_FLAGS | MBOX_WAITFORONE |
		  MBOX_CTRUNC | MBOX_LOST, raw_info.call_flags);

	EXPECT_EQ(param_get("user_mailboxes"), (long)raw_info.user_mailboxes);
	EXPECT_EQ(param_get("user_bytes"), (long)raw_info.user_bytes);
	EXPECT_EQ(param_get("msg_max_limit"), (long)raw_info.msg_max_limit);

	memset(&info, POISON, sizeof(info));
	ASSERT_EQ(0, mbox_info(&info));
	EXPECT_EQ(0, memcmp(&info, &raw_info, sizeof(info)));
}

TEST_F(fields, unknown_numbers_are_ENOTTY)
{
	static const unsigned int known_control = 0x5f, known_handle = 0x158fff;
	char arg[256] = { 0 };
	unsigned int nr;

	for (nr = 0; nr < 256; nr++) {
		bool control = nr < 0x10 && known_control >> nr & 1;
		bool handle = nr >= 0x10 && nr < 0x30 && known_handle >> (nr - 0x10) & 1;

		if (!control) {
			EXPECT_EQ(-ENOTTY, raw(self->dev, _IOWR(MBOX_IOC_MAGIC, nr, arg), arg))
				TH_LOG("number %#x", nr);
		}
		if (!handle) {
			EXPECT_EQ(-ENOTTY, raw(self->fd, _IOWR(MBOX_IOC_MAGIC, nr, arg), arg))
				TH_LOG("number %#x", nr);
		}
	}
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fields, other_magic_is_ENOTTY)
{
	struct mbox_info info;
	struct mbox_stat st;

	EXPECT_EQ(-ENOTTY, raw(self->dev, _IOR(0xBC, 0x00, struct mbox_info), &info));
	EXPECT_EQ(-ENOTTY, raw(self->fd, _IOR(0xBA, 0x14, struct mbox_stat), &st));
}

TEST_F(fields, unknown_mailbox_flags_are_EINVAL)
{
	struct mbox_attr attr;
	int seen = count_mailboxes();
	int bit;

	for (bit = 0; bit < 32; bit++) {
		attr = attr_of(1U << bit, 8);
		if (!(QUEUE_FLAGS >> bit & 1)) {
			EXPECT_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr))
				TH_LOG("bit %d", bit);
		}
		attr.mode = MBOX_RING;
		if (!(RING_FLAGS >> bit & 1)) {
			EXPECT_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr))
				TH_LOG("bit %d of a ring", bit);
		}
	}
	EXPECT_EQ(seen, count_mailboxes());
}

TEST_F(fields, receive_flags_on_a_send_are_EINVAL)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		if (SEND_FLAGS >> bit & 1)
			continue;
		self->msg.flags = MBOX_DONTWAIT | 1U << bit;
		EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_SEND, &self->msg))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, raw_vec(self->fd, MBOX_IOC_SENDV, &self->msg, 1, 0));
		self->msg.flags = 0;
		EXPECT_EQ(-EINVAL, raw_vec(self->fd, MBOX_IOC_SENDV, &self->msg, 1, 1U << bit))
			TH_LOG("bit %d of a batch", bit);
	}
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fields, send_flags_on_a_receive_are_EINVAL)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		if (RECV_FLAGS >> bit & 1)
			continue;
		self->msg.flags = MBOX_DONTWAIT | 1U << bit;
		EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_RECV, &self->msg))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, raw_vec(self->fd, MBOX_IOC_RECVV, &self->msg, 1, 0))
			TH_LOG("bit %d in a batch", bit);
		if (1U << bit == MBOX_WAITFORONE)
			continue;
		self->msg.flags = MBOX_DONTWAIT;
		EXPECT_EQ(-EINVAL, raw_vec(self->fd, MBOX_IOC_RECVV, &self->msg, 1, 1U << bit))
			TH_LOG("bit %d of a batch", bit);
	}
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fields, contradicting_match_flags_are_EINVAL)
{
	EXPECT_EQ(-EINVAL, take_as(self->fd, MBOX_MATCH_NOT | MBOX_MATCH_LE, 9, 0));
	EXPECT_EQ(-EINVAL, take_as(self->fd, MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE, 9, 0));
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fields, skip_without_peek_is_EINVAL)
{
	EXPECT_EQ(-EINVAL, take_as(self->fd, 0, 0, 1));
	EXPECT_EQ(-EINVAL, take_as(self->fd, MBOX_MATCH, 9, 1));
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fields, reserved_fields_of_a_send_are_EINVAL)
{
	struct mbox_msg good = self->msg, bad[5] = { good, good, good, good, good };
	unsigned int i;

	bad[0].skip = 1;
	bad[1].token = 1ULL << 63;
	bad[2].nfds = 1;
	bad[3].fds = (uintptr_t)&self->value;
	bad[4].reserved = 1;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_SEND, &bad[i]))
			TH_LOG("case %u", i);
		EXPECT_EQ(-EINVAL, raw_vec(self->fd, MBOX_IOC_SENDV, &bad[i], 1, 0))
			TH_LOG("case %u", i);
	}
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fields, outputs_of_a_receive_are_ignored_by_a_send)
{
	self->msg.pid = POISON32;
	self->msg.uid = POISON32;
	self->msg.gid = POISON32;
	self->msg.lost = ~0ULL;
	self->msg.deliveries = POISON32;
	EXPECT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &self->msg));
}

TEST_F(fields, reserved_fields_of_a_receive_are_EINVAL)
{
	struct mbox_msg bad = self->msg;

	bad.nfds = 1;
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_RECV, &bad));
	EXPECT_EQ(-EINVAL, raw_vec(self->fd, MBOX_IOC_RECVV, &bad, 1, 0));
	bad.nfds = 0;
	bad.fds = (uintptr_t)&self->value;
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_RECV, &bad));
	EXPECT_EQ(-EINVAL, raw_vec(self->fd, MBOX_IOC_RECVV, &bad, 1, 0));
	bad.fds = 0;
	bad.reserved = 1;
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_RECV, &bad));
	EXPECT_EQ(-EINVAL, raw_vec(self->fd, MBOX_IOC_RECVV, &bad, 1, 0));
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fields, options_without_a_size_are_zero)
{
	struct mbox_create create = { .oflags = O_RDWR, .attr = MBOX_ATTR_INIT };
	int seen = count_mailboxes();
	unsigned int i;
	int fd;

	for (i = 4; i < sizeof(create.options); i++) {
		memset(&create.options, 0, sizeof(create.options));
		((char *)&create.options)[i] = 1;
		EXPECT_EQ(-EINVAL, raw(self->dev, MBOX_IOC_CREATE, &create))
			TH_LOG("byte %u", i);
	}
	EXPECT_EQ(seen, count_mailboxes());
	memset(&create.options, 0, sizeof(create.options));
	fd = raw(self->dev, MBOX_IOC_CREATE, &create);
	ASSERT_LE(0, fd);
	close(fd);
	create.options = (struct mbox_options)MBOX_OPTIONS_INIT;
	fd = raw(self->dev, MBOX_IOC_CREATE, &create);
	ASSERT_LE(0, fd);
	close(fd);
	/* A program that does not know them. */
	fd = raw(self->dev, sized(MBOX_IOC_CREATE, MBOX_CREATE_SIZE_MIN), &create);
	ASSERT_LE(0, fd);
	close(fd);
}

TEST_F(fields, shorter_options_are_EINVAL)
{
	struct mbox_create create = { .oflags = O_RDWR, .attr = MBOX_ATTR_INIT,
				      .options = MBOX_OPTIONS_INIT };
	__u32 size;

	for (size = 1; size < sizeof(create.options); size++) {
		create.options.size = size;
		EXPECT_EQ(-EINVAL, raw(self->dev, MBOX_IOC_CREATE, &create))
			TH_LOG("size %u", size);
	}
}

TEST_F(fields, longer_options_must_end_with_zeros)
{
	struct {
		struct mbox_create known;
		__u64 unknown;
	} newer = { .known = { .oflags = O_RDWR, .attr = MBOX_ATTR_INIT,
			       .options = MBOX_OPTIONS_INIT } };
	unsigned int cmd = sized(MBOX_IOC_CREATE, sizeof(newer));
	int fd;

	newer.known.options.size += sizeof(newer.unknown);
	fd = raw(self->dev, cmd, &newer);
	ASSERT_LE(0, fd);
	close(fd);
	newer.unknown = 1;
	EXPECT_EQ(-E2BIG, raw(self->dev, cmd, &newer));
}

TEST_F(fields, reserved_fields_of_other_ioctls_are_EINVAL)
{
	struct mbox_create create = { .oflags = O_RDWR, .attr = MBOX_ATTR_INIT, .reserved = 1 };
	struct mbox_set_capacity cap = { .capacity = 3, .reserved = 1 };
	struct mbox_unlink ul = { .name = (uintptr_t)"x", .name_len = 1, .reserved = 1 };
	struct mbox_open op = { .name = (uintptr_t)"x", .name_len = 1, .oflags = O_RDWR,
				.id = self->before.id };
	struct mbox_vec vec = { .msgs = (uintptr_t)&self->msg, .n = 1, .reserved = 1,
				.msg_size = sizeof(self->msg) };

	EXPECT_EQ(-EINVAL, raw(self->dev, MBOX_IOC_CREATE, &create));
	EXPECT_EQ(-EINVAL, raw(self->dev, MBOX_IOC_UNLINK, &ul));
	EXPECT_EQ(-EINVAL, raw(self->dev, MBOX_IOC_OPEN, &op));
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_SET_CAPACITY, &cap));
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_SENDV, &vec));
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_RECVV, &vec));
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fields, every_length_of_a_sent_structure_works)
{
	struct mbox_msg msg = msg_of(&self->value, sizeof(self->value), 0);
	const size_t at = offsetof(struct mbox_msg, prio);
	size_t size;
	__u32 prio;

	msg.prio = 5;
	for (size = MBOX_MSG_SIZE_MIN; size <= sizeof(self->msg); size++) {
		ASSERT_LE(0, take(self->fd));
		self->value = 42;
		/* Nothing behind the stated size may be read. */
		memset(&self->msg, POISON, sizeof(self->msg));
		memcpy(&self->msg, &msg, size);
		ASSERT_EQ(0, raw(self->fd, sized(MBOX_IOC_SEND, size), &self->msg))
			TH_LOG("size %zu", size);
		self->msg = msg_of(&self->value, sizeof(self->value), MBOX_PEEK);
		ASSERT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &self->msg));
		/* Of the priority, the bytes that were there; the others are 0. */
		prio = 0;
		if (size > at)
			memcpy(&prio, &msg.prio, size - at < 4 ? size - at : 4);
		EXPECT_EQ(prio, self->msg.prio)
			TH_LOG("size %zu", size);
	}
}

TEST_F(fields, receive_writes_back_no_more_than_the_callers_size)
{
	struct mbox_msg asked = msg_of(&self->value, sizeof(self->value), MBOX_PEEK);
	struct mbox_msg full = asked, cut, want;
	size_t size;

	ASSERT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &full));
	for (size = MBOX_MSG_SIZE_MIN; size <= sizeof(full); size++) {
		memset(&cut, POISON, sizeof(cut));
		memcpy(&cut, &asked, size);
		memset(&want, POISON, sizeof(want));
		memcpy(&want, &full, size);
		ASSERT_EQ(4, raw(self->fd, sized(MBOX_IOC_RECV, size), &cut))
			TH_LOG("size %zu", size);
		EXPECT_EQ(0, memcmp(&cut, &want, sizeof(cut)))
			TH_LOG("size %zu", size);
	}
}

TEST_F(fields, receive_reports_every_field)
{
	struct mbox_msg msg = { .buf = (uintptr_t)&self->value, .len = 4, .flags = 0,
				.deadline_ns = 77, .prio = POISON32, .type = ~0ULL,
				.token = ~0ULL, .pid = POISON32, .uid = POISON32,
				.gid = POISON32, .lost = ~0ULL,
				.deliveries = POISON32, .lifespan_ns = ~0ULL };

	self->value = POISON32;
	ASSERT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(42U, self->value);
	EXPECT_EQ((uintptr_t)&self->value, msg.buf);
	EXPECT_EQ(4U, msg.len);
	EXPECT_EQ(0U, msg.flags);
	EXPECT_EQ(77U, msg.deadline_ns);
	EXPECT_EQ(7U, msg.prio);
	EXPECT_EQ(0U, msg.skip);
	EXPECT_EQ(9U, msg.type);
	EXPECT_EQ(0U, msg.token);
	EXPECT_EQ((__u32)getpid(), msg.pid);
	EXPECT_EQ(getuid(), msg.uid);
	EXPECT_EQ(getgid(), msg.gid);
	EXPECT_EQ(0U, msg.nfds);
	EXPECT_EQ(0U, msg.fds);
	EXPECT_EQ(0U, msg.lost);
	EXPECT_EQ(0U, msg.deliveries);
	EXPECT_EQ(0U, msg.lifespan_ns);
}

TEST_F(fields, failed_receive_leaves_the_structure)
{
	struct mbox_msg msg, before;
	char byte = (char)POISON;

	memset(&msg, POISON, sizeof(msg));
	msg.buf = (uintptr_t)&byte;
	msg.len = 1;
	msg.flags = MBOX_DONTWAIT;
	msg.skip = 0;
	msg.nfds = 0;
	msg.fds = 0;
	msg.reserved = 0;
	before = msg;
	EXPECT_EQ(-EMSGSIZE, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0, memcmp(&msg, &before, sizeof(msg)));
	EXPECT_EQ((char)POISON, byte);
	ASSERT_EQ(42, take(self->fd));
	EXPECT_EQ(-EAGAIN, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0, memcmp(&msg, &before, sizeof(msg)));
}

TEST_F(fields, outputs_are_truncated_to_the_callers_size)
{
	struct mbox_stat st, full = stat_of(self->fd);
	struct mbox_info info, all;

	memset(&st, POISON, sizeof(st));
	ASSERT_EQ(0, raw(self->fd, sized(MBOX_IOC_STAT, sizeof(st.id)), &st));
	EXPECT_EQ(full.id, st.id);
	EXPECT_EQ(POISON32, st.attr.mode);
	EXPECT_EQ(POISON32, st.recv_handles);

	ASSERT_EQ(0, raw(self->dev, MBOX_IOC_INFO, &all));
	memset(&info, POISON, sizeof(info));
	ASSERT_EQ(0, raw(self->dev, sized(MBOX_IOC_INFO, 8), &info));
	EXPECT_EQ(all.abi, info.abi);
	EXPECT_EQ(all.modes, info.modes);
	EXPECT_EQ(POISON32, info.attr_flags);
}

TEST_F(fields, bad_element_size_of_a_batch_is_EINVAL)
{
	static const __u32 sizes[] = { 0, 1, MBOX_MSG_SIZE_MIN - 1, 4097, ~0U };
	struct mbox_vec vec = { .msgs = (uintptr_t)&self->msg, .n = 1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		vec.msg_size = sizes[i];
		EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_SENDV, &vec))
			TH_LOG("size %u", sizes[i]);
		EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_RECVV, &vec))
			TH_LOG("size %u", sizes[i]);
	}
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_HARNESS_MAIN
