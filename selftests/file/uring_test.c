// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles in io_uring: reads, writes and polls that wait do so without a worker
 * thread.
 */
#include <linux/io_uring.h>
#include <linux/swab.h>
#include <poll.h>

#include "calls.h"
#include "rings.h"
#include "workers.h"

#define ENTRIES 8

/* Its halves are in the order of two numbers of 16 bits. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define POLL32_IN __swahw32(POLLIN)
#define POLL32_OUT __swahw32(POLLOUT)
#define POLL32_PRI __swahw32(POLLPRI)
#else
#define POLL32_IN POLLIN
#define POLL32_OUT POLLOUT
#define POLL32_PRI POLLPRI
#endif

/* As little of a ring as these tests need: one entry is submitted at a time. */
struct ring {
	int fd;
	char *map;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
};

static __u32 *ring_word(struct ring *r, __u32 offset)
{
	return (__u32 *)(r->map + offset);
}

static int ring_init(struct ring *r)
{
	struct io_uring_params *p = &r->params;
	size_t size;

	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, ENTRIES, p);
	if (r->fd < 0)
		return neg(-1);
	if (!(p->features & IORING_FEAT_SINGLE_MMAP))
		return -EOPNOTSUPP;
	size = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	if (size < p->sq_off.array + p->sq_entries * sizeof(__u32))
		size = p->sq_off.array + p->sq_entries * sizeof(__u32);
	r->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, p->sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED, r->fd, IORING_OFF_SQES);
	return r->map == MAP_FAILED || (void *)r->sqes == MAP_FAILED ? neg(-1) : 0;
}

static int ring_submit(struct ring *r, const struct io_uring_sqe *sqe)
{
	__u32 tail = *ring_word(r, r->params.sq_off.tail);
	__u32 mask = *ring_word(r, r->params.sq_off.ring_mask);

	r->sqes[tail & mask] = *sqe;
	ring_word(r, r->params.sq_off.array)[tail & mask] = tail & mask;
	/* The kernel reads it in the system call below. */
	__atomic_store_n(ring_word(r, r->params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	return neg(syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0));
}

/* The next completion, waiting for it if asked to; -EAGAIN when there is none. */
static int ring_complete(struct ring *r, bool wait, struct io_uring_cqe *cqe)
{
	__u32 mask = *ring_word(r, r->params.cq_off.ring_mask);
	__u32 head = *ring_word(r, r->params.cq_off.head);
	struct io_uring_cqe *cqes = (void *)ring_word(r, r->params.cq_off.cqes);

	/* Entering also runs what is due in this thread. */
	if (syscall(SYS_io_uring_enter, r->fd, 0, wait, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return neg(-1);
	if (head == __atomic_load_n(ring_word(r, r->params.cq_off.tail), __ATOMIC_ACQUIRE))
		return -EAGAIN;
	*cqe = cqes[head & mask];
	__atomic_store_n(ring_word(r, r->params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return 0;
}

/* The result of the next completion. */
static int ring_result(struct ring *r, bool wait)
{
	struct io_uring_cqe cqe;
	int ret = ring_complete(r, wait, &cqe);

	return ret ? ret : cqe.res;
}

FIXTURE(uring)
{
	struct ring ring;
	int fd;
	int error;
	char in[64];
};

FIXTURE_SETUP(uring)
{
	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
	memset(self->in, POISON, sizeof(self->in));
	self->error = ring_init(&self->ring);
}

FIXTURE_TEARDOWN(uring)
{
	close(self->ring.fd);
	close(self->fd);
}

#define NEED_URING(self) do {						\
	if ((self)->error)						\
		SKIP(return, "io_uring: %s", strerror(-(self)->error));	\
} while (0)

static int submit(FIXTURE_DATA(uring) *self, int op, const void *buf, __u32 len)
{
	struct io_uring_sqe sqe = {
		.opcode = op, .fd = self->fd, .off = -1, .addr = (uintptr_t)buf, .len = len,
		.user_data = 1 };

	return ring_submit(&self->ring, &sqe);
}

TEST_F(uring, read_receives_a_queued_message)
{
	NEED_URING(self);
	ASSERT_EQ(0, raw_send(self->fd, "abc", 3, 0));
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, sizeof(self->in)));
	EXPECT_EQ(3, ring_result(&self->ring, false));
	EXPECT_EQ(0, memcmp(self->in, "abc\xa5", 4));
	EXPECT_EQ(0, workers());
}

TEST_F(uring, write_is_a_send)
{
	NEED_URING(self);
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, "abc", 3));
	EXPECT_EQ(3, ring_result(&self->ring, false));
	EXPECT_EQ(3, raw_recv(self->fd, self->in, sizeof(self->in), MBOX_DONTWAIT));
	EXPECT_EQ(0, memcmp(self->in, "abc\xa5", 4));
	EXPECT_EQ(0, workers());
}

TEST_F(uring, read_waits_without_a_worker)
{
	NEED_URING(self);
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, sizeof(self->in)));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(0, raw_send(self->fd, "late", 4, 0));
	EXPECT_EQ(4, ring_result(&self->ring, true));
	EXPECT_EQ(0, memcmp(self->in, "late\xa5", 5));
	EXPECT_EQ(0, workers());
}

TEST_F(uring, write_waits_without_a_worker)
{
	NEED_URING(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, "late", 4));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(0, workers());
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(4, ring_result(&self->ring, true));
	EXPECT_EQ(4, raw_recv(self->fd, self->in, sizeof(self->in), MBOX_DONTWAIT));
	EXPECT_EQ(0, memcmp(self->in, "late", 4));
	EXPECT_EQ(0, workers());
}

/* A write waits for as many bytes as it has, and not at all for more than there can be. */
TEST_F(uring, write_waits_for_bytes)
{
	struct mbox_create arg = {
		.oflags = O_RDWR | O_CLOEXEC,
		.attr = attr_of(0, 10),
		.options = MBOX_OPTIONS_INIT,
	};

	NEED_URING(self);
	arg.options.max_bytes = 10;
	close(self->fd);
	self->fd = raw_control(MBOX_IOC_CREATE, &arg);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, "eleven bytes", 11));
	EXPECT_EQ(-EMSGSIZE, ring_result(&self->ring, false));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, "sevenby", 7));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(7, ring_result(&self->ring, true));
	EXPECT_EQ(7, raw_recv(self->fd, self->in, sizeof(self->in), MBOX_DONTWAIT));
	EXPECT_EQ(0, workers());
}

TEST_F(uring, read_meets_a_sender_at_a_rendezvous)
{
	struct call c = { 0 };

	NEED_URING(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, sizeof(self->in)));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	ASSERT_EQ(0, send_start(&c, self->fd, 5));
	EXPECT_EQ(4, ring_result(&self->ring, true));
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(0, workers());
}

TEST_F(uring, write_meets_a_receiver_at_a_rendezvous)
{
	struct call c = { 0 };
	__u32 value = 6;

	NEED_URING(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, &value, sizeof(value)));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	ASSERT_EQ(0, recv_start(&c, self->fd));
	EXPECT_EQ(4, ring_result(&self->ring, true));
	EXPECT_EQ(6, recv_join(&c));
	EXPECT_EQ(0, workers());
}

/* A poll is no call that waits, and io_uring waits by polling. */
TEST_F(uring, two_requests_do_not_meet_at_a_rendezvous)
{
	struct call c = { 0 };
	__u32 value = 8;

	NEED_URING(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, sizeof(self->in)));
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, &value, sizeof(value)));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	EXPECT_EQ(0U, stat_of(self->fd).waiting_receivers);
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	/* Each meets a call that waits. */
	ASSERT_EQ(0, recv_start(&c, self->fd));
	EXPECT_EQ(4, ring_result(&self->ring, true));
	EXPECT_EQ(8, recv_join(&c));
	memset(&c, 0, sizeof(c));
	ASSERT_EQ(0, send_start(&c, self->fd, 9));
	EXPECT_EQ(4, ring_result(&self->ring, true));
	EXPECT_EQ(0, call_join(&c));
	memcpy(&value, self->in, sizeof(value));
	EXPECT_EQ(9U, value);
	EXPECT_EQ(0, workers());
}

TEST_F(uring, length_of_0_does_nothing)
{
	struct mbox_stat before;

	NEED_URING(self);
	before = stat_of(self->fd);
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, 0));
	EXPECT_EQ(0, ring_result(&self->ring, false));
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, "a", 0));
	EXPECT_EQ(0, ring_result(&self->ring, false));
	EXPECT_TRUE(same_stat(self->fd, &before));
	ASSERT_EQ(0, put(self->fd, 4));
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, 0));
	EXPECT_EQ(0, ring_result(&self->ring, false));
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, "a", 0));
	EXPECT_EQ(0, ring_result(&self->ring, false));
	EXPECT_EQ(4, take(self->fd));
}

TEST_F(uring, errors_are_those_of_read_and_write)
{
	/* Far from the end of the address space, as the stack need not be. */
	static char low;

	NEED_URING(self);
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, &low, 1 << 24));
	EXPECT_EQ(-EMSGSIZE, ring_result(&self->ring, true));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, 1));
	EXPECT_EQ(-EMSGSIZE, ring_result(&self->ring, true));
	ASSERT_EQ(1, submit(self, IORING_OP_READ, (void *)1, 8));
	EXPECT_EQ(-EFAULT, ring_result(&self->ring, true));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(uring, destroy_ends_a_waiting_read)
{
	NEED_URING(self);
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, sizeof(self->in)));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, ring_result(&self->ring, true));
}

/* The result of a request of submit() that is cancelled while it waits. */
static int cancelled(FIXTURE_DATA(uring) *self)
{
	struct io_uring_sqe cancel = {
		.opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = 1, .user_data = 2 };
	struct io_uring_cqe cqe[2];
	int i;

	if (ring_result(&self->ring, false) != -EAGAIN ||
	    ring_submit(&self->ring, &cancel) != 1)
		return -EPROTO;
	for (i = 0; i < 2; i++)
		if (ring_complete(&self->ring, true, &cqe[i]))
			return -EPROTO;
	/* In either order. */
	i = cqe[0].user_data == 1 ? 0 : 1;
	return cqe[!i].res ? -EPROTO : cqe[i].res;
}

TEST_F(uring, cancelled_read_receives_nothing)
{
	NEED_URING(self);
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, sizeof(self->in)));
	EXPECT_EQ(-ECANCELED, cancelled(self));
	ASSERT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(3, take(self->fd));
}

TEST_F(uring, cancelled_request_at_a_rendezvous_leaves_nothing)
{
	struct mbox_stat before;
	struct call c = { 0 };

	NEED_URING(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	before = stat_of(self->fd);
	ASSERT_EQ(1, submit(self, IORING_OP_READ, self->in, sizeof(self->in)));
	EXPECT_EQ(-ECANCELED, cancelled(self));
	EXPECT_EQ(-EAGAIN, put(self->fd, 1));
	ASSERT_EQ(1, submit(self, IORING_OP_WRITE, "abcd", 4));
	EXPECT_EQ(-ECANCELED, cancelled(self));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ((char)POISON, self->in[0]);
	/* Others meet as if they had not been. */
	ASSERT_EQ(0, send_start(&c, self->fd, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(0, call_join(&c));
}

/* Whether each free place is reported once. */
static bool reports_each_room(FIXTURE_DATA(uring) *self, int fd)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD, .fd = fd, .poll32_events = POLL32_OUT,
		.len = IORING_POLL_ADD_MULTI, .user_data = 1 };
	struct io_uring_cqe cqe;
	int i;

	while (!put(fd, 1))
		;
	if (ring_submit(&self->ring, &sqe) != 1 ||
	    ring_result(&self->ring, false) != -EAGAIN)
		return false;
	for (i = 0; i < 5; i++) {
		if (take(fd) != 1 || ring_complete(&self->ring, true, &cqe) ||
		    cqe.res != POLLOUT || !(cqe.flags & IORING_CQE_F_MORE) || put(fd, 1) ||
		    ring_result(&self->ring, false) != -EAGAIN)
			return false;
	}
	return true;
}

TEST_F(uring, multishot_poll_reports_each_room)
{
	NEED_URING(self);
	EXPECT_TRUE(reports_each_room(self, self->fd));
}

TEST_F(uring, multishot_poll_reports_each_room_of_a_broadcast)
{
	int fd = new_mailbox(MBOX_BROADCAST, 1);

	NEED_URING(self);
	EXPECT_TRUE(reports_each_room(self, fd));
	close(fd);
}

TEST_F(uring, multishot_poll_reports_each_broadcast)
{
	int fd = new_mailbox(MBOX_BROADCAST, 4);
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD, .fd = fd, .poll32_events = POLL32_IN,
		.len = IORING_POLL_ADD_MULTI, .user_data = 1 };
	int other = open_again(fd, O_RDONLY), i;
	struct io_uring_cqe cqe;

	NEED_URING(self);
	ASSERT_EQ(1, ring_submit(&self->ring, &sqe));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, put(fd, i));
		ASSERT_EQ(0, ring_complete(&self->ring, true, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		EXPECT_EQ(i, take(fd));
		EXPECT_EQ(i, take(other));
		EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	}
	close(other);
	close(fd);
}

TEST_F(uring, multishot_poll_reports_each_arrival)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD, .fd = self->fd, .poll32_events = POLL32_IN,
		.len = IORING_POLL_ADD_MULTI, .user_data = 1 };
	struct io_uring_cqe cqe;
	int i;

	NEED_URING(self);
	ASSERT_EQ(1, ring_submit(&self->ring, &sqe));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(0, ring_complete(&self->ring, true, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
		EXPECT_EQ(i, take(self->fd));
	}
	EXPECT_EQ(0, workers());
}

/* The ends of calls that were started, also with a handle that only sends. */
TEST_F(uring, multishot_poll_reports_each_end_of_a_call)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD, .poll32_events = POLL32_PRI,
		.len = IORING_POLL_ADD_MULTI, .user_data = 1 };
	int client = open_again(self->fd, O_WRONLY);
	__u64 call, ended, token;
	struct io_uring_cqe cqe;
	struct mbox_msg msg;
	__u32 value;
	int i;

	NEED_URING(self);
	ASSERT_LE(0, client);
	sqe.fd = client;
	ASSERT_EQ(1, ring_submit(&self->ring, &sqe));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	for (i = 0; i < 5; i++) {
		value = i;
		msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
		ASSERT_EQ(0, raw_call_start(client, &msg, sizeof(value), &call));
		/* Neither the request nor its receipt is an end. */
		ASSERT_EQ(i, get_request(self->fd, MBOX_DONTWAIT, &token));
		EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
		ASSERT_EQ(0, answer(self->fd, token, 10 + i));
		ASSERT_EQ(0, ring_complete(&self->ring, true, &cqe));
		EXPECT_EQ(POLLPRI, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		ended = 0;
		msg = msg_of(&value, sizeof(value), 0);
		EXPECT_EQ(sizeof(value), raw_call_wait(client, &ended, &msg, 0));
		EXPECT_EQ(call, ended);
		EXPECT_EQ(10U + i, value);
		EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	}
	EXPECT_EQ(0, workers());
	close(client);
}

/* There is no new poll in between: the side has to stay polled. */
static void multishot_on_ring(struct __test_metadata *_metadata, FIXTURE_DATA(uring) *self,
			      struct mbox *mb, bool send)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD, .fd = mbox_fd(mb),
		.poll32_events = send ? POLL32_OUT : POLL32_IN,
		.len = IORING_POLL_ADD_MULTI, .user_data = 1 };
	struct io_uring_cqe cqe;
	int i;

	ASSERT_EQ(0, ring_put(mb, 0));
	if (!send)
		ASSERT_EQ(0, ring_take(mb));
	ASSERT_EQ(1, ring_submit(&self->ring, &sqe));
	EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(send ? i : 0, send ? ring_take(mb) : ring_put(mb, i));
		ASSERT_EQ(0, ring_complete(&self->ring, true, &cqe));
		EXPECT_EQ(send ? POLLOUT : POLLIN, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		EXPECT_EQ(-EAGAIN, ring_result(&self->ring, false));
		ASSERT_EQ(send ? 0 : i, send ? ring_put(mb, i + 1) : ring_take(mb));
	}
	ASSERT_EQ(0, raw_destroy(mbox_fd(mb)));
	ASSERT_EQ(0, ring_complete(&self->ring, true, &cqe));
	mbox_close(mb);
}

TEST_F(uring, multishot_poll_reports_each_message_of_a_ring)
{
	NEED_URING(self);
	multishot_on_ring(_metadata, self, new_ring(0, 1, 4), false);
	multishot_on_ring(_metadata, self,
			  new_ring_with(true, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, 1, 4), false);
}

TEST_F(uring, multishot_poll_reports_room_in_a_ring)
{
	NEED_URING(self);
	multishot_on_ring(_metadata, self, new_ring(0, 1, 4), true);
	multishot_on_ring(_metadata, self,
			  new_ring_with(true, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, 1, 4), true);
}

TEST_HARNESS_MAIN
