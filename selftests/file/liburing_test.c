// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles in io_uring, through liburing: hundreds of requests that wait do so
 * without a worker thread, and everything that ends them.
 */
#ifdef HAVE_LIBURING

#include <liburing.h>
#include <poll.h>

#include "peers.h"
#include "workers.h"

#define ENTRIES	512
/* So many requests wait at once. */
#define MANY	300
/* Newer than the library. */
#define OP_READ_MULTISHOT 49
#define GROUP	7

/**
 * struct slot - the memory of one request
 * @in: where it reads to
 * @out: what it writes
 * @iov: that, in two halves
 */
struct slot {
	__u32 in[2];
	__u32 out;
	struct iovec iov[2];
};

FIXTURE(liburing)
{
	struct io_uring ring;
	struct slot slots[MANY];
	int fd;
	int error;
};

FIXTURE_SETUP(liburing)
{
	int i;

	self->fd = new_mailbox(0, 1);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < MANY; i++) {
		struct slot *s = &self->slots[i];

		memset(s->in, POISON, sizeof(s->in));
		s->out = i;
		s->iov[0] = (struct iovec){ s->in, 2 };
		s->iov[1] = (struct iovec){ (char *)s->in + 2, sizeof(s->in) - 2 };
	}
	self->error = io_uring_queue_init(ENTRIES, &self->ring, 0);
	/* User-mode Linux loses count of a ring's pages at a fork. */
	if (!self->error)
		ASSERT_EQ(0, io_uring_ring_dontfork(&self->ring));
}

FIXTURE_TEARDOWN(liburing)
{
	if (!self->error)
		io_uring_queue_exit(&self->ring);
	close(self->fd);
}

#define NEED_URING(self) do {						\
	if ((self)->error)						\
		SKIP(return, "io_uring: %s", strerror(-(self)->error));	\
} while (0)

static bool supported(struct io_uring *ring, int op)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool ret = probe && io_uring_opcode_supported(probe, op);

	io_uring_free_probe(probe);
	return ret;
}

/* The next completion, at once or after some time; -EAGAIN or -ETIME. */
static int complete(FIXTURE_DATA(liburing) *self, bool wait, struct io_uring_cqe *out)
{
	struct __kernel_timespec ts = { .tv_sec = WAIT_LIMIT_MS / 1000 };
	struct io_uring_cqe *cqe;
	int ret;

	if (wait) {
		ret = io_uring_wait_cqe_timeout(&self->ring, &cqe, &ts);
	} else {
		/* Entering also runs what is due in this thread. */
		io_uring_get_events(&self->ring);
		ret = io_uring_peek_cqe(&self->ring, &cqe);
	}
	if (ret)
		return ret;
	*out = *cqe;
	io_uring_cqe_seen(&self->ring, cqe);
	return 0;
}

/* The result of the next completion; *@which gets its user_data. */
static int result_of(FIXTURE_DATA(liburing) *self, __u64 *which)
{
	struct io_uring_cqe cqe = { .user_data = -1 };
	int ret = complete(self, true, &cqe);

	*which = cqe.user_data;
	return ret ? ret : cqe.res;
}

static int result(FIXTURE_DATA(liburing) *self)
{
	__u64 which;

	return result_of(self, &which);
}

static bool nothing_completed(FIXTURE_DATA(liburing) *self)
{
	struct io_uring_cqe cqe;

	return complete(self, false, &cqe) == -EAGAIN;
}

static struct io_uring_sqe *get_sqe(FIXTURE_DATA(liburing) *self, __u64 which)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);

	if (!sqe)
		abort();
	sqe->user_data = which;
	return sqe;
}

/* Before user_data is set, which these clear. */
static struct io_uring_sqe *add_read(FIXTURE_DATA(liburing) *self, int fd, int i)
{
	struct io_uring_sqe *sqe = get_sqe(self, i);

	io_uring_prep_read(sqe, fd, self->slots[i].in, sizeof(self->slots[i].in), -1);
	sqe->user_data = i;
	return sqe;
}

static struct io_uring_sqe *add_write(FIXTURE_DATA(liburing) *self, int i)
{
	struct io_uring_sqe *sqe = get_sqe(self, i);

	io_uring_prep_write(sqe, self->fd, &self->slots[i].out, sizeof(self->slots[i].out), -1);
	sqe->user_data = i;
	return sqe;
}

static int start_reads(FIXTURE_DATA(liburing) *self, int fd, int n)
{
	int i;

	for (i = 0; i < n; i++)
		add_read(self, fd, i);
	return io_uring_submit(&self->ring);
}

/*
 * MANY messages in one call. One by one, each would wake all that wait, and
 * io_uring gives a request that was woken too often in vain to a worker.
 */
static long put_many(int fd)
{
	struct mbox_msg msgs[MANY];
	__u32 values[MANY];
	int i;

	for (i = 0; i < MANY; i++) {
		values[i] = i;
		msgs[i] = msg_of(&values[i], sizeof(values[i]), MBOX_DONTWAIT);
	}
	return raw_vec(fd, MBOX_IOC_SENDV, msgs, MANY, 0);
}

/* All reads are done, each with a message of its own. */
static bool all_read(FIXTURE_DATA(liburing) *self)
{
	bool seen[MANY] = { false };
	__u64 which;
	__u32 value;
	int i;

	for (i = 0; i < MANY; i++) {
		if (result_of(self, &which) != 4 || which >= MANY)
			return false;
		value = self->slots[which].in[0];
		if (value >= MANY || seen[value])
			return false;
		seen[value] = true;
	}
	return true;
}

TEST_F(liburing, ready_read_and_write_complete_at_once)
{
	__u64 which;

	NEED_URING(self);
	add_write(self, 5);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(4, result_of(self, &which));
	EXPECT_EQ(5, which);
	add_read(self, self->fd, 6);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(4, result_of(self, &which));
	EXPECT_EQ(6, which);
	EXPECT_EQ(5, self->slots[6].in[0]);
	EXPECT_EQ(POISON32, self->slots[6].in[1]);
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, vectors_are_one_message)
{
	struct slot *s = self->slots;
	struct iovec out[2] = { { &s[1].out, 1 }, { (char *)&s[1].out + 1, 3 } };
	struct io_uring_sqe *sqe;

	NEED_URING(self);
	sqe = get_sqe(self, 0);
	io_uring_prep_readv(sqe, self->fd, s[0].iov, 2, -1);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_TRUE(nothing_completed(self));
	sqe = get_sqe(self, 0);
	io_uring_prep_writev(sqe, self->fd, out, 2, -1);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(4, result(self));
	EXPECT_EQ(4, result(self));
	EXPECT_EQ(1, s[0].in[0]);
	EXPECT_EQ(POISON32, s[0].in[1]);
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, registered_file_and_buffer_work)
{
	struct slot *s = self->slots;
	struct iovec iov = { s, sizeof(self->slots) };
	struct io_uring_sqe *sqe;

	NEED_URING(self);
	ASSERT_EQ(0, io_uring_register_files(&self->ring, &self->fd, 1));
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	sqe = get_sqe(self, 0);
	io_uring_prep_read_fixed(sqe, 0, s[0].in, sizeof(s[0].in), -1, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_TRUE(nothing_completed(self));
	sqe = get_sqe(self, 0);
	io_uring_prep_write_fixed(sqe, 0, &s[9].out, sizeof(s[9].out), -1, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(4, result(self));
	EXPECT_EQ(4, result(self));
	EXPECT_EQ(9, s[0].in[0]);
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, many_reads_wait_without_workers)
{
	NEED_URING(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, MANY));
	ASSERT_EQ(MANY, start_reads(self, self->fd, MANY));
	EXPECT_TRUE(nothing_completed(self));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(MANY, put_many(self->fd));
	EXPECT_TRUE(all_read(self));
	EXPECT_TRUE(nothing_completed(self));
	EXPECT_EQ(0, workers());
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

TEST_F(liburing, many_writes_wait_without_workers)
{
	bool seen[MANY] = { false };
	__u64 which;
	long value;
	int i;

	NEED_URING(self);
	ASSERT_EQ(0, put(self->fd, MANY));
	for (i = 0; i < MANY; i++)
		add_write(self, i);
	ASSERT_EQ(MANY, io_uring_submit(&self->ring));
	EXPECT_TRUE(nothing_completed(self));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(0, raw_set_capacity(self->fd, MBOX_UNBOUNDED));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(4, result_of(self, &which)) TH_LOG("message %d", i);
	EXPECT_TRUE(nothing_completed(self));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(MANY, take(self->fd));
	for (i = 0; i < MANY; i++) {
		value = take(self->fd);
		ASSERT_TRUE(value >= 0 && value < MANY && !seen[value]);
		seen[value] = true;
	}
}

TEST_F(liburing, poll_reports_a_message)
{
	struct io_uring_sqe *sqe;

	NEED_URING(self);
	ASSERT_EQ(0, put(self->fd, 1));
	sqe = get_sqe(self, 1);
	io_uring_prep_poll_add(sqe, self->fd, POLLOUT);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_TRUE(nothing_completed(self));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(POLLOUT, result(self));
	/* Once only. */
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_TRUE(nothing_completed(self));
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, multishot_poll_reports_each_message)
{
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	int i;

	NEED_URING(self);
	sqe = get_sqe(self, 1);
	io_uring_prep_poll_multishot(sqe, self->fd, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (i = 0; i < 50; i++) {
		EXPECT_TRUE(nothing_completed(self));
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(0, complete(self, true, &cqe));
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags & IORING_CQE_F_MORE);
		ASSERT_EQ(i, take(self->fd));
	}
	ASSERT_EQ(0, raw_destroy(self->fd));
	ASSERT_EQ(0, complete(self, true, &cqe));
	EXPECT_EQ(POLLERR | POLLHUP, cqe.res & (POLLERR | POLLHUP));
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, linked_timeout_ends_a_read)
{
	struct __kernel_timespec ts = { .tv_nsec = 20 * NSEC_PER_MSEC };
	struct io_uring_sqe *sqe;
	int res[2], i;
	__u64 which;

	NEED_URING(self);
	add_read(self, self->fd, 0)->flags |= IOSQE_IO_LINK;
	sqe = get_sqe(self, 1);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	sqe->user_data = 1;
	ASSERT_EQ(2, io_uring_submit(&self->ring));
	/* In either order. */
	for (i = 0; i < 2; i++) {
		int ret = result_of(self, &which);

		ASSERT_GT(2, which);
		res[which] = ret;
	}
	EXPECT_EQ(-ECANCELED, res[0]);
	EXPECT_EQ(-ETIME, res[1]);
	EXPECT_EQ(0, workers());
	/* It has taken nothing along. */
	ASSERT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(POISON32, self->slots[0].in[0]);
}

TEST_F(liburing, read_ends_a_linked_timeout)
{
	struct __kernel_timespec ts = { .tv_sec = 3600 };
	struct io_uring_sqe *sqe;
	int res[2], i;
	__u64 which;

	NEED_URING(self);
	add_read(self, self->fd, 0)->flags |= IOSQE_IO_LINK;
	sqe = get_sqe(self, 1);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	sqe->user_data = 1;
	ASSERT_EQ(2, io_uring_submit(&self->ring));
	EXPECT_TRUE(nothing_completed(self));
	ASSERT_EQ(0, put(self->fd, 4));
	for (i = 0; i < 2; i++) {
		int ret = result_of(self, &which);

		ASSERT_GT(2, which);
		res[which] = ret;
	}
	EXPECT_EQ(4, res[0]);
	EXPECT_EQ(-ECANCELED, res[1]);
	EXPECT_EQ(4, self->slots[0].in[0]);
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, multishot_read_receives_each_message)
{
	struct io_uring_cqe cqe = { 0 };
	__u32 buffers[16][2];
	struct io_uring_sqe *sqe;
	int i, id;

	NEED_URING(self);
	if (!supported(&self->ring, OP_READ_MULTISHOT))
		SKIP(return, "the kernel has no multishot read");
	sqe = get_sqe(self, 0);
	io_uring_prep_provide_buffers(sqe, buffers, sizeof(buffers[0]), ARRAY_SIZE(buffers),
				      GROUP, 0);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_LE(0, result(self));
	sqe = get_sqe(self, 0);
	io_uring_prep_rw(OP_READ_MULTISHOT, sqe, self->fd, NULL, 0, -1);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (i = 0; i < (int)ARRAY_SIZE(buffers); i++) {
		EXPECT_TRUE(nothing_completed(self));
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(0, complete(self, true, &cqe));
		ASSERT_EQ(4, cqe.res);
		ASSERT_TRUE(cqe.flags & IORING_CQE_F_BUFFER);
		ASSERT_TRUE(cqe.flags & IORING_CQE_F_MORE);
		id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
		EXPECT_EQ(i, buffers[id][0]);
	}
	EXPECT_EQ(0, workers());
	/* Without a buffer there is an end, and the message stays. */
	ASSERT_EQ(0, put(self->fd, 99));
	ASSERT_EQ(0, complete(self, true, &cqe));
	EXPECT_EQ(-ENOBUFS, cqe.res);
	EXPECT_FALSE(cqe.flags & IORING_CQE_F_MORE);
	EXPECT_EQ(99, take(self->fd));
}

TEST_F(liburing, cancelled_by_user_data)
{
	int n[2] = { 0 }, i, ret;
	struct io_uring_sqe *sqe;
	__u64 which;

	NEED_URING(self);
	ASSERT_EQ(10, start_reads(self, self->fd, 10));
	sqe = get_sqe(self, 0);
	io_uring_prep_cancel64(sqe, 4, 0);
	sqe->user_data = 100;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (i = 0; i < 2; i++) {
		ret = result_of(self, &which);
		if (which == 100)
			n[0] += ret == 0;
		else
			n[1] += which == 4 && ret == -ECANCELED;
	}
	EXPECT_EQ(1, n[0]);
	EXPECT_EQ(1, n[1]);
	/* The others go on. */
	for (i = 0; i < 9; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(4, result_of(self, &which));
		ASSERT_NE(4, which);
	}
	ASSERT_EQ(0, put(self->fd, 9));
	EXPECT_TRUE(nothing_completed(self));
	EXPECT_EQ(9, take(self->fd));
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, cancelled_by_descriptor)
{
	int i, ret, cancelled = 0, counted = 0;
	struct io_uring_sqe *sqe;
	__u64 which;

	NEED_URING(self);
	ASSERT_EQ(MANY, start_reads(self, self->fd, MANY));
	EXPECT_TRUE(nothing_completed(self));
	sqe = get_sqe(self, 0);
	io_uring_prep_cancel_fd(sqe, self->fd, IORING_ASYNC_CANCEL_ALL);
	sqe->user_data = MANY;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (i = 0; i <= MANY; i++) {
		ret = result_of(self, &which);
		if (which == MANY)
			counted = ret;
		else
			cancelled += ret == -ECANCELED;
	}
	EXPECT_EQ(MANY, counted);
	EXPECT_EQ(MANY, cancelled);
	EXPECT_EQ(0, workers());
	ASSERT_EQ(0, put(self->fd, 5));
	EXPECT_TRUE(nothing_completed(self));
	EXPECT_EQ(5, take(self->fd));
}

TEST_F(liburing, destroy_ends_every_request)
{
	int i;

	NEED_URING(self);
	ASSERT_EQ(MANY, start_reads(self, self->fd, MANY));
	EXPECT_TRUE(nothing_completed(self));
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(-EIDRM, result(self));
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, closing_the_last_sender_ends_every_read)
{
	int fd = new_mailbox(MBOX_HANGUP, 1), i;
	int reader = open_again(fd, O_RDONLY);

	NEED_URING(self);
	ASSERT_EQ(MANY, start_reads(self, reader, MANY));
	EXPECT_TRUE(nothing_completed(self));
	close(fd);
	/* End of file. */
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, result(self));
	EXPECT_EQ(0, workers());
	close(reader);
}

/* Until so many handles of @fd's mailbox receive: io_uring cleans up later. */
static int await_handles(int fd, __u32 receivers)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (stat_of(fd).recv_handles != receivers) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return -ETIMEDOUT;
		pause_briefly();
	}
	return 0;
}

TEST_F(liburing, requests_outlive_the_descriptor)
{
	int reader = open_again(self->fd, O_RDONLY);

	NEED_URING(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, MANY));
	ASSERT_EQ(MANY, start_reads(self, reader, MANY));
	EXPECT_TRUE(nothing_completed(self));
	close(reader);
	/* The handle is theirs now. */
	EXPECT_EQ(2U, stat_of(self->fd).recv_handles);
	ASSERT_EQ(MANY, put_many(self->fd));
	EXPECT_TRUE(all_read(self));
	EXPECT_EQ(0, await_handles(self->fd, 1));
	EXPECT_EQ(0, workers());
}

TEST_F(liburing, close_works_as_a_request)
{
	int reader = open_again(self->fd, O_RDONLY);
	struct io_uring_sqe *sqe;

	NEED_URING(self);
	sqe = get_sqe(self, 0);
	io_uring_prep_close(sqe, reader);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	EXPECT_EQ(0, result(self));
	EXPECT_EQ(-1, fcntl(reader, F_GETFD));
	EXPECT_EQ(0, await_handles(self->fd, 1));
}

TEST_F(liburing, exit_of_the_io_uring_ends_every_request)
{
	int reader = open_again(self->fd, O_RDONLY);

	NEED_URING(self);
	ASSERT_EQ(MANY, start_reads(self, reader, MANY));
	close(reader);
	io_uring_queue_exit(&self->ring);
	self->error = -EBADF;
	EXPECT_EQ(0, await_handles(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 6));
	EXPECT_EQ(6, take(self->fd));
}

/* Waits to be killed, with requests that wait. */
static int reads_and_stays(void *arg)
{
	int *fds = arg, reader = open_again(fds[0], O_RDONLY), i;
	static __u32 in[MANY];
	struct io_uring ring;
	struct io_uring_sqe *sqe;

	CHECK_EQ(0, io_uring_queue_init(ENTRIES, &ring, 0));
	for (i = 0; i < MANY; i++) {
		sqe = io_uring_get_sqe(&ring);
		CHECK(sqe);
		io_uring_prep_read(sqe, reader, &in[i], sizeof(in[i]), -1);
	}
	CHECK_EQ(MANY, io_uring_submit(&ring));
	CHECK_EQ(0, workers());
	CHECK(write(fds[1], "", 1) == 1);
	for (;;)
		pause();
}

TEST_F(liburing, exit_of_the_process_ends_every_request)
{
	int ready[2], fds[2];
	pid_t child;
	char byte;

	NEED_URING(self);
	ASSERT_EQ(0, pipe(ready));
	fds[0] = self->fd;
	fds[1] = ready[1];
	child = spawn(reads_and_stays, fds);
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(2U, stat_of(self->fd).recv_handles);
	kill(child, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(child));
	EXPECT_EQ(0, await_handles(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(7, take(self->fd));
}

TEST_HARNESS_MAIN

#else /* HAVE_LIBURING */

#include <kselftest.h>

int main(void)
{
	ksft_print_header();
	ksft_exit_skip("built without liburing: it is not there for this width or architecture\n");
}

#endif /* HAVE_LIBURING */
