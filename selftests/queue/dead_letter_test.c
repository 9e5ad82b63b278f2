// SPDX-License-Identifier: GPL-2.0-only
/* max_deliveries and dead-letter mailboxes. */
#include <poll.h>

#include "calls.h"
#include "leases.h"
#include "peers.h"

FIXTURE(dead)
{
	int letters;
	int fd;
};

FIXTURE_VARIANT(dead)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(dead, plain) { .flags = 0 };
FIXTURE_VARIANT_ADD(dead, fair) { .flags = MBOX_FAIR };
FIXTURE_VARIANT_ADD(dead, drop_oldest) { .flags = MBOX_DROP_OLDEST };
FIXTURE_VARIANT_ADD(dead, hangup) { .flags = MBOX_HANGUP };

FIXTURE_SETUP(dead)
{
	self->letters = new_mailbox(variant->flags, 8);
	ASSERT_LE(0, self->letters);
	self->fd = new_with(0, 16, 2, self->letters);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(dead)
{
	close(self->fd);
	close(self->letters);
}

/* Have the first message delivered and put back @n times. */
static int deliver(int fd, int n)
{
	__u64 token;
	long ret;

	while (n--) {
		ret = lease(fd, &token);
		if (ret < 0)
			return ret;
		ret = nack(fd, token, 0);
		if (ret)
			return ret;
	}
	return 0;
}

TEST_F(dead, goes_there_after_the_last_delivery)
{
	struct mbox_msg msg;

	ASSERT_EQ(0, put_as(self->fd, 7, 3, 9));
	ASSERT_EQ(0, deliver(self->fd, 1));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	ASSERT_EQ(0, deliver(self->fd, 1));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(0U, stat_of(self->fd).leased);
	EXPECT_EQ(1ULL, stat_of(self->fd).dead_letters);
	EXPECT_EQ(0ULL, stat_of(self->fd).dropped);
	ASSERT_EQ(7, lease_msg(self->letters, 0, 0, &msg));
	EXPECT_EQ(3U, msg.prio);
	EXPECT_EQ(9ULL, msg.type);
	EXPECT_EQ((__u32)getpid(), msg.pid);
	EXPECT_EQ((__u32)getuid(), msg.uid);
	/* Its deliveries are counted anew. */
	EXPECT_EQ(1U, msg.deliveries);
	EXPECT_EQ(0, ack(self->letters, msg.token));
}

TEST_F(dead, acknowledged_at_the_last_delivery_it_is_none)
{
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 7));
	ASSERT_EQ(0, deliver(self->fd, 1));
	ASSERT_EQ(7, lease(self->fd, &token));
	EXPECT_EQ(0, ack(self->fd, token));
	EXPECT_EQ(-EAGAIN, take(self->letters));
	EXPECT_EQ(0ULL, stat_of(self->fd).dead_letters);
}

TEST_F(dead, death_of_the_worker_counts)
{
	__u64 token;
	int i, fd;

	ASSERT_EQ(0, put(self->fd, 7));
	for (i = 0; i < 2; i++) {
		fd = open_again(self->fd, O_RDONLY);
		ASSERT_EQ(7, lease(fd, &token));
		close(fd);
	}
	EXPECT_EQ(7, take(self->letters));
}

TEST_F(dead, shows_in_fdinfo)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, put(self->fd, 7));
	ASSERT_EQ(0, deliver(self->fd, 1));
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "mbox-dead-letters:\t0\n"));
	ASSERT_EQ(0, deliver(self->fd, 1));
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "mbox-dead-letters:\t1\n"));
}

TEST_F(dead, failed_copy_does_not_count)
{
	struct mbox_msg msg = msg_of(bad_buffer(), 4, MBOX_LEASE | MBOX_DONTWAIT);
	int i;

	ASSERT_EQ(0, put(self->fd, 7));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(-EAGAIN, take(self->letters));
	EXPECT_EQ(7, take(self->fd));
}

TEST_F(dead, goes_to_a_waiting_receiver)
{
	struct call receiver = { 0 };

	ASSERT_EQ(0, recv_start(&receiver, self->letters));
	ASSERT_EQ(0, await_waiting(self->letters, 0, 1));
	ASSERT_EQ(0, put(self->fd, 7));
	ASSERT_EQ(0, deliver(self->fd, 2));
	EXPECT_EQ(7, recv_join(&receiver));
}

TEST_F(dead, does_not_wait_for_a_delay)
{
	__u64 token;

	ASSERT_EQ(0, put(self->fd, 7));
	ASSERT_EQ(0, deliver(self->fd, 1));
	ASSERT_EQ(7, lease(self->fd, &token));
	ASSERT_EQ(0, nack(self->fd, token, 3600 * 1000 * (__u64)NSEC_PER_MSEC));
	EXPECT_EQ(7, take(self->letters));
}

TEST_F(dead, keeps_descriptors)
{
	int pipes[2], got = -1;
	struct mbox_msg msg = msg_of(NULL, 0, MBOX_DONTWAIT);
	char byte;

	ASSERT_EQ(0, pipe(pipes));
	msg.nfds = 1;
	msg.fds = (uintptr_t)&pipes[1];
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	close(pipes[1]);
	for (int i = 0; i < 2; i++) {
		msg = msg_of(NULL, 0, MBOX_DONTWAIT | MBOX_LEASE);
		ASSERT_EQ(0, raw(self->fd, MBOX_IOC_RECV, &msg));
		ASSERT_EQ(0, nack(self->fd, msg.token, 0));
	}
	msg = msg_of(NULL, 0, MBOX_DONTWAIT);
	msg.nfds = 1;
	msg.fds = (uintptr_t)&got;
	ASSERT_EQ(0, raw(self->letters, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(1U, msg.nfds);
	EXPECT_EQ(1, write(got, "x", 1));
	EXPECT_EQ(1, read(pipes[0], &byte, 1));
	close(got);
	close(pipes[0]);
}

TEST_F(dead, sync_send_fails)
{
	struct call sender = { .msg.flags = MBOX_SYNC };

	ASSERT_EQ(0, send_start(&sender, self->fd, 7));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, deliver(self->fd, 2));
	EXPECT_EQ(-EPIPE, call_join(&sender));
	EXPECT_EQ(7, take(self->letters));
}

TEST_F(dead, call_fails_and_the_letter_has_no_token)
{
	struct caller caller = { 0 };
	struct mbox_msg msg;

	ASSERT_EQ(0, caller_start(&caller, self->fd, 7));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, deliver(self->fd, 2));
	EXPECT_EQ(-EPIPE, caller_join(&caller));
	EXPECT_EQ(7, receive_msg(self->letters, MBOX_DONTWAIT, &msg));
	EXPECT_EQ(0ULL, msg.token);
}

TEST_F(dead, stays_charged_to_its_sender)
{
	long limit = param_get("user_bytes");
	int i;

	ASSERT_EQ(0, put(self->fd, 7));
	ASSERT_EQ(0, deliver(self->fd, 2));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(0, deliver(self->fd, 2));
	}
	EXPECT_EQ(limit, param_get("user_bytes"));
	EXPECT_EQ(4U, stat_of(self->letters).queued);
	EXPECT_EQ(4U, stat_of(self->letters).sent);
}

/* A call that peeks at a message that becomes a dead letter holds it up. */
TEST_F(dead, is_found_by_type_in_a_long_queue)
{
	int i;

	ASSERT_EQ(0, raw_set_capacity(self->letters, 1000));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1000));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, put_as(self->letters, i, 0, i));
	/* An index is made. */
	ASSERT_EQ(100, take_as(self->letters, MBOX_MATCH, 100, 0));
	ASSERT_EQ(0, put_as(self->fd, 7, 0, 1000));
	ASSERT_EQ(0, deliver(self->fd, 2));
	EXPECT_EQ(7, take_as(self->letters, MBOX_MATCH, 1000, 0));
}

/* Its entry for the index of the first mailbox has no use in the second. */
TEST_F(dead, comes_from_an_indexed_queue_to_one_without_an_index)
{
	__u64 token;
	int i, n;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 1000));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, put_as(self->fd, i, 0, i));
	ASSERT_EQ(100, take_as(self->fd, MBOX_MATCH, 100, 0));
	for (i = 50; i < 53; i++) {
		for (n = 0; n < 2; n++) {
			ASSERT_EQ(i, lease_as(self->fd, MBOX_MATCH, i, &token));
			ASSERT_EQ(0, nack(self->fd, token, 0));
		}
	}
	for (i = 50; i < 53; i++)
		EXPECT_EQ(i, take(self->letters));
	EXPECT_EQ(-EAGAIN, take(self->letters));
}

TEST_F(dead, uncounted_deliveries_make_no_letter)
{
	struct mbox_lease arg = { .flags = MBOX_NACK_UNCOUNTED };
	int i;

	ASSERT_EQ(0, put(self->fd, 7));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(7, lease(self->fd, &arg.token));
		ASSERT_EQ(0, raw(self->fd, MBOX_IOC_NACK, &arg));
	}
	EXPECT_EQ(-EAGAIN, take(self->letters));
	ASSERT_EQ(0, deliver(self->fd, 2));
	EXPECT_EQ(7, take(self->letters));
}

TEST(without_a_mailbox_it_is_dropped_and_counted)
{
	int fd = new_with(0, 4, 1, -1);

	ASSERT_EQ(0, put(fd, 7));
	ASSERT_EQ(0, deliver(fd, 1));
	EXPECT_EQ(-EAGAIN, take(fd));
	EXPECT_EQ(1ULL, stat_of(fd).dropped);
	EXPECT_EQ(1ULL, stat_of(fd).dead_letters);
	close(fd);
}

TEST(destroyed_mailbox_drops_and_counts)
{
	int letters = new_mailbox(0, 4), fd = new_with(0, 4, 1, letters);

	ASSERT_EQ(0, raw_destroy(letters));
	ASSERT_EQ(0, put(fd, 7));
	ASSERT_EQ(0, deliver(fd, 1));
	EXPECT_EQ(1ULL, stat_of(fd).dropped);
	EXPECT_EQ(1ULL, stat_of(fd).dead_letters);
	close(letters);
	close(fd);
}

TEST(letters_are_stored_beyond_the_capacity)
{
	int letters = new_mailbox(0, 1), fd = new_with(0, 8, 1, letters);
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, put(fd, i));
	ASSERT_EQ(0, deliver(fd, 4));
	EXPECT_EQ(4U, stat_of(letters).queued);
	EXPECT_EQ(-EAGAIN, put(letters, 9));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i, take(letters));
	close(fd);
	close(letters);
}

TEST(drop_policy_of_the_letters_applies)
{
	int oldest = new_mailbox(MBOX_DROP_OLDEST, 2), newest = new_mailbox(MBOX_DROP_NEWEST, 2);
	int fds[2] = { new_with(0, 16, 1, oldest), new_with(0, 16, 1, newest) };
	int i, k;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < 10; i++)
			ASSERT_EQ(0, put(fds[k], i));
		ASSERT_EQ(0, deliver(fds[k], 10));
	}
	EXPECT_EQ(8, take(oldest));
	EXPECT_EQ(9, take(oldest));
	EXPECT_EQ(8ULL, stat_of(oldest).dropped);
	EXPECT_EQ(0, take(newest));
	EXPECT_EQ(1, take(newest));
	EXPECT_EQ(-EAGAIN, take(newest));
	EXPECT_EQ(8ULL, stat_of(newest).dropped);
	for (k = 0; k < 2; k++)
		close(fds[k]);
	close(oldest);
	close(newest);
}

TEST(from_any_policy_to_any)
{
	static const __u32 flags[] = {
		0, MBOX_FAIR, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_HANGUP,
	};
	const long len = 8192;
	static char big[8192];
	unsigned int from, to;
	int letters, fd;
	__u64 token;

	for (from = 0; from < ARRAY_SIZE(flags); from++) {
		for (to = 0; to < ARRAY_SIZE(flags); to++) {
			letters = new_mailbox(flags[to], 8);
			fd = new_with(flags[from], 8, 1, letters);
			ASSERT_LE(0, fd);
			ASSERT_EQ(0, put(fd, 7));
			ASSERT_EQ(0, raw_send(fd, big, len, 0));
			ASSERT_EQ(7, lease(fd, &token));
			ASSERT_EQ(0, nack(fd, token, 0));
			EXPECT_EQ(-EBADMSG, lease_as(fd, MBOX_TRUNC, 0, &token));
			ASSERT_EQ(0, nack(fd, token, 0));
			EXPECT_EQ(7, take(letters));
			/* Some are freed with their mailbox. */
			ASSERT_EQ(len, from == to ? raw_recv(letters, big, len, 0) : len);
			close(fd);
			close(letters);
		}
	}
}

TEST(reference_counts_as_a_sending_handle)
{
	int letters = new_mailbox(MBOX_HANGUP, 4), reader, fd;
	struct call receiver = { 0 };
	__u64 id;

	fd = new_with(0, 4, 1, letters);
	ASSERT_LE(0, fd);
	EXPECT_EQ(2U, stat_of(letters).send_handles);
	reader = open_again(letters, O_RDONLY);
	id = stat_of(letters).id;
	close(letters);
	EXPECT_EQ(1U, stat_of(reader).send_handles);
	EXPECT_EQ(-EAGAIN, take(reader));
	ASSERT_EQ(0, recv_start(&receiver, reader));
	ASSERT_EQ(0, await_waiting(reader, 0, 1));
	close(fd);
	EXPECT_EQ(-EPIPE, call_join(&receiver));
	EXPECT_EQ(id, stat_of(reader).id);
	close(reader);
}

TEST(reference_keeps_the_mailbox)
{
	int letters = new_mailbox(0, 4), fd = new_with(0, 4, 1, letters);
	__u64 id = stat_of(letters).id;

	close(letters);
	ASSERT_EQ(0, put(fd, 7));
	ASSERT_EQ(0, deliver(fd, 1));
	letters = raw_open_id(id, O_RDWR);
	ASSERT_LE(0, letters);
	EXPECT_EQ(7, take(letters));
	close(letters);
	/* Destroying it gives up the reference. */
	ASSERT_EQ(0, raw_destroy(fd));
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
	close(fd);
}

TEST(chains_are_short_and_work)
{
	int fds[16], i, n;

	fds[0] = new_mailbox(0, 4);
	for (n = 1; n < 16; n++) {
		fds[n] = new_with(0, 4, 1, fds[n - 1]);
		if (fds[n] < 0)
			break;
	}
	ASSERT_EQ(8, n);
	EXPECT_EQ(-ELOOP, fds[n]);
	ASSERT_EQ(0, put(fds[n - 1], 7));
	for (i = n - 1; i > 0; i--)
		ASSERT_EQ(0, deliver(fds[i], 1));
	EXPECT_EQ(7, take(fds[0]));
	/* The first one that is closed is that which holds no other. */
	for (i = 0; i < n; i++)
		close(fds[i]);
}

TEST(descriptors_are_given_up_without_a_handle)
{
	int letters = new_mailbox(0, 4), fd = new_with(0, 4, 1, letters);
	struct mbox_msg msg = msg_of(NULL, 0, MBOX_DONTWAIT);
	__u64 id = stat_of(letters).id;
	struct pollfd pfd;
	int pipes[2], got;

	ASSERT_EQ(0, pipe(pipes));
	msg.nfds = 1;
	msg.fds = (uintptr_t)&pipes[1];
	ASSERT_EQ(0, raw(fd, MBOX_IOC_SEND, &msg));
	close(pipes[1]);
	close(letters);
	msg = msg_of(NULL, 0, MBOX_DONTWAIT | MBOX_LEASE);
	ASSERT_EQ(0, raw(fd, MBOX_IOC_RECV, &msg));
	ASSERT_EQ(0, nack(fd, msg.token, 0));
	pfd = (struct pollfd){ .fd = pipes[0] };
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	letters = raw_open_id(id, O_RDWR);
	msg = msg_of(NULL, 0, MBOX_DONTWAIT);
	msg.nfds = 1;
	msg.fds = (uintptr_t)&got;
	EXPECT_EQ(0, raw(letters, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0U, msg.nfds);
	EXPECT_TRUE(msg.flags & MBOX_CTRUNC);
	close(letters);
	close(fd);
	close(pipes[0]);
}

/* ---- errors -------------------------------------------------------------- */

TEST(what_cannot_have_dead_letters_is_EINVAL)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	int fd, out;

	static const struct {
		__u32 flags;
		__u32 capacity;
	} unfit[] = {
		{ MBOX_BROADCAST, 4 },
		{ MBOX_FIXED, 4 },
		{ MBOX_LEAF, 4 },
		{ 0, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unfit); i++) {
		fd = new_mailbox(unfit[i].flags, unfit[i].capacity);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, new_with(0, 4, 1, fd)) TH_LOG("mailbox %u", i);
		close(fd);
	}
	attr.msg_max = 4095;
	fd = raw_create(NULL, O_RDWR, &attr);
	EXPECT_EQ(-EINVAL, new_with(0, 4, 1, fd));
	close(fd);
	attr = (struct mbox_attr)MBOX_ATTR_INIT;
	attr.mode = MBOX_RING;
	fd = raw_create(NULL, O_RDWR, &attr);
	EXPECT_EQ(-EINVAL, new_with(0, 4, 1, fd));
	close(fd);
	fd = raw_direct(getppid(), O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, new_with(0, 4, 1, fd));
	close(fd);
	/* Not a mailbox, not a descriptor, not the right to send. */
	EXPECT_EQ(-EINVAL, new_with(0, 4, 1, 0));
	EXPECT_EQ(-EBADF, new_with(0, 4, 1, 999));
	EXPECT_EQ(-EBADF, new_with(0, 4, 1, -2));
	fd = new_mailbox(0, 4);
	out = open_again(fd, O_RDONLY);
	EXPECT_EQ(-EBADF, new_with(0, 4, 1, out));
	close(out);
	/* Such a mailbox has no leases, or no descriptors. */
	EXPECT_EQ(-EINVAL, new_with(MBOX_BROADCAST, 4, 1, -1));
	EXPECT_EQ(-EINVAL, new_with(MBOX_BROADCAST, 4, 0, fd));
	EXPECT_EQ(-EINVAL, new_with(MBOX_LEAF, 4, 1, fd));
	ASSERT_EQ(0, raw_destroy(fd));
	EXPECT_EQ(-EIDRM, new_with(0, 4, 1, fd));
	close(fd);
}

TEST(options_of_a_mailbox_that_exists_are_checked)
{
	struct mbox_attr attr = attr_of(0, 4);
	struct mbox_create arg = {
		.oflags = O_RDWR,
		.attr = attr,
		.options = { .size = sizeof(arg.options), .max_deliveries = 1, .dead_letter = 999 },
	};
	char name[64];
	int fd, again;

	test_name(name, sizeof(name), "letters");
	fd = raw_create(name, O_RDWR, &attr);
	ASSERT_LE(0, fd);
	arg.name = (uintptr_t)name;
	arg.name_len = strlen(name);
	EXPECT_EQ(-EBADF, raw_control(MBOX_IOC_CREATE, &arg));
	arg.options.dead_letter = -1;
	again = raw_control(MBOX_IOC_CREATE, &arg);
	ASSERT_LE(0, again);
	/* And otherwise ignored. */
	ASSERT_EQ(0, put(fd, 7));
	ASSERT_EQ(0, deliver(again, 3));
	EXPECT_EQ(7, take(fd));
	ASSERT_EQ(0, raw_unlink(name));
	close(again);
	/* A named mailbox has them too. */
	again = raw_control(MBOX_IOC_CREATE, &arg);
	ASSERT_LE(0, again);
	ASSERT_EQ(0, put(again, 7));
	ASSERT_EQ(0, deliver(again, 1));
	EXPECT_EQ(-EAGAIN, take(again));
	ASSERT_EQ(0, raw_unlink(name));
	close(again);
	close(fd);
}

TEST_HARNESS_MAIN
