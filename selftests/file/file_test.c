// SPDX-License-Identifier: GPL-2.0-only
/* A handle as a file: read, write, and what files of this kind do not have. */
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "peers.h"

FIXTURE(file)
{
	int fd;
	char in[64];
};

FIXTURE_SETUP(file)
{
	self->fd = new_mailbox(0, 2);
	ASSERT_LE(0, self->fd);
	memset(self->in, POISON, sizeof(self->in));
}

FIXTURE_TEARDOWN(file)
{
	close(self->fd);
}

TEST_F(file, one_message_per_call)
{
	ASSERT_EQ(3, neg(write(self->fd, "abc", 3)));
	ASSERT_EQ(2, neg(write(self->fd, "de", 2)));
	EXPECT_EQ(2U, stat_of(self->fd).queued);
	EXPECT_EQ(3, neg(read(self->fd, self->in, sizeof(self->in))));
	EXPECT_EQ(0, memcmp(self->in, "abc\xa5", 4));
	EXPECT_EQ(2, neg(read(self->fd, self->in, 2)));
	EXPECT_EQ(0, memcmp(self->in, "dec\xa5", 4));
}

TEST_F(file, written_message_has_no_priority_and_no_type)
{
	struct mbox_msg msg = { .buf = (uintptr_t)self->in, .len = 8, .prio = 7, .type = 7 };

	ASSERT_EQ(3, neg(write(self->fd, "abc", 3)));
	ASSERT_EQ(3, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(0U, msg.prio);
	EXPECT_EQ(0U, msg.type);
	EXPECT_EQ((__u32)getpid(), msg.pid);
}

TEST_F(file, read_receives_the_highest_priority)
{
	__u32 value = POISON32;

	ASSERT_EQ(0, put_as(self->fd, 1, 0, 0));
	ASSERT_EQ(0, put_as(self->fd, 2, 3, 0));
	EXPECT_EQ(4, neg(read(self->fd, &value, sizeof(value))));
	EXPECT_EQ(2U, value);
}

TEST_F(file, short_buffer_is_EMSGSIZE)
{
	struct iovec iov[2] = { { self->in, 1 }, { self->in + 1, 1 } };

	ASSERT_EQ(3, neg(write(self->fd, "abc", 3)));
	EXPECT_EQ(-EMSGSIZE, neg(read(self->fd, self->in, 2)));
	EXPECT_EQ(-EMSGSIZE, neg(readv(self->fd, iov, 2)));
	EXPECT_EQ((char)POISON, self->in[0]);
	EXPECT_EQ(3, neg(read(self->fd, self->in, 3)));
}

TEST_F(file, message_longer_than_msg_max_is_EMSGSIZE)
{
	static char big[8193];
	struct iovec iov[2] = { { big, 8000 }, { big, 193 } };

	EXPECT_EQ(-EMSGSIZE, neg(write(self->fd, big, sizeof(big))));
	EXPECT_EQ(-EMSGSIZE, neg(writev(self->fd, iov, 2)));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(8192, neg(write(self->fd, big, 8192)));
}

TEST_F(file, empty_message_is_read_as_0)
{
	ASSERT_EQ(0, raw_send(self->fd, "", 0, 0));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(0, neg(read(self->fd, self->in, sizeof(self->in))));
	EXPECT_EQ((char)POISON, self->in[0]);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

/* All ways to read and write nothing; how many returned something else than 0. */
static int transfer_nothing(int fd, char *buf)
{
	struct iovec none[2] = { { buf, 0 }, { buf, 0 } };

	return !!read(fd, buf, 0) + !!read(fd, NULL, 0) + !!readv(fd, none, 2) +
	       !!readv(fd, none, 0) + !!preadv2(fd, none, 2, -1, 0) +
	       !!preadv2(fd, none, 2, -1, RWF_NOWAIT) +
	       !!write(fd, buf, 0) + !!write(fd, NULL, 0) + !!writev(fd, none, 2) +
	       !!writev(fd, none, 0) + !!pwritev2(fd, none, 2, -1, 0) +
	       !!pwritev2(fd, none, 2, -1, RWF_NOWAIT);
}

/* It neither waits nor moves a message, whatever the state of the mailbox. */
TEST_F(file, length_of_0_does_nothing)
{
	struct mbox_stat before = stat_of(self->fd);

	EXPECT_EQ(0, transfer_nothing(self->fd, self->in));
	EXPECT_TRUE(same_stat(self->fd, &before));
	ASSERT_EQ(0, raw_send(self->fd, "", 0, 0));
	ASSERT_EQ(3, neg(write(self->fd, "abc", 3)));
	before = stat_of(self->fd);
	EXPECT_EQ(0, transfer_nothing(self->fd, self->in));
	EXPECT_TRUE(same_stat(self->fd, &before));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(0, transfer_nothing(self->fd, self->in));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(0, transfer_nothing(self->fd, self->in));
	EXPECT_EQ((char)POISON, self->in[0]);
}

TEST_F(file, length_of_0_on_other_kinds_of_mailboxes)
{
	static const __u32 flags[] = { MBOX_FIXED, MBOX_BROADCAST, MBOX_DROP_NEWEST };
	struct mbox_attr ring = { MBOX_RING, 0, 2, 8, 0600 };
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = new_mailbox(flags[i], 1);
		EXPECT_EQ(0, transfer_nothing(fd, self->in));
		EXPECT_EQ(0U, stat_of(fd).sent);
		close(fd);
	}
	fd = raw_create(NULL, O_RDWR, &ring);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, transfer_nothing(fd, self->in));
	close(fd);
	fd = raw_direct(getppid(), O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, transfer_nothing(fd, self->in));
	close(fd);
}

TEST_F(file, length_of_0_without_the_right_is_EBADF)
{
	int reader = open_again(self->fd, O_RDONLY), writer = open_again(self->fd, O_WRONLY);

	EXPECT_EQ(-EBADF, neg(write(reader, "", 0)));
	EXPECT_EQ(-EBADF, neg(read(writer, self->in, 0)));
	close(reader);
	close(writer);
}

TEST_F(file, vectors_are_gathered_and_scattered)
{
	struct iovec out[3] = { { "abc", 3 }, { "", 0 }, { "defgh", 5 } };
	struct iovec in[3] = { { self->in, 2 }, { self->in + 10, 5 }, { self->in + 20, 5 } };

	ASSERT_EQ(8, neg(writev(self->fd, out, 3)));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(8, neg(readv(self->fd, in, 3)));
	EXPECT_EQ(0, memcmp(self->in, "ab\xa5", 3));
	EXPECT_EQ(0, memcmp(self->in + 10, "cdefg\xa5", 6));
	EXPECT_EQ(0, memcmp(self->in + 20, "h\xa5", 2));
}

TEST_F(file, bad_part_of_a_vector_is_EFAULT)
{
	char *bad = bad_buffer();
	struct iovec out[2] = { { "abc", 3 }, { bad, 3 } };
	struct iovec in[2] = { { self->in, 3 }, { bad, 3 } };
	struct mbox_stat before;

	EXPECT_EQ(-EFAULT, neg(writev(self->fd, out, 2)));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(0U, stat_of(self->fd).sent);
	ASSERT_EQ(6, neg(write(self->fd, "abcdef", 6)));
	before = stat_of(self->fd);
	EXPECT_EQ(-EFAULT, neg(readv(self->fd, in, 2)));
	EXPECT_TRUE(same_stat(self->fd, &before));
	EXPECT_EQ(6, neg(read(self->fd, self->in, sizeof(self->in))));
	EXPECT_EQ(0, memcmp(self->in, "abcdef", 6));
}

static int set_nonblock(int fd, bool by_ioctl, int on)
{
	return by_ioctl ? ioctl(fd, FIONBIO, &on) : fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0);
}

TEST_F(file, nonblocking_by_fcntl_and_FIONBIO)
{
	struct call c = { 0 };
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_nonblock(self->fd, i, 1));
		EXPECT_EQ(-EAGAIN, neg(read(self->fd, self->in, 1)));
		EXPECT_EQ(-EAGAIN, raw_recv(self->fd, self->in, 1, 0));
		ASSERT_EQ(1, neg(write(self->fd, "a", 1)));
		ASSERT_EQ(1, neg(write(self->fd, "b", 1)));
		EXPECT_EQ(-EAGAIN, neg(write(self->fd, "c", 1)));
		ASSERT_EQ(1, neg(read(self->fd, self->in, 1)));
		ASSERT_EQ(1, neg(read(self->fd, self->in, 1)));
		ASSERT_EQ(0, set_nonblock(self->fd, i, 0));
		memset(&c, 0, sizeof(c));
		ASSERT_EQ(0, recv_start(&c, self->fd));
		ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
		ASSERT_EQ(0, put(self->fd, 1));
		EXPECT_EQ(1, recv_join(&c));
	}
}

/* read(2) or write(2) in a thread. */
struct transfer {
	pthread_t thread;
	int fd;
	bool write;
	char buf[8];
	long ret;
};

static void *transfer_run(void *arg)
{
	struct transfer *t = arg;

	errno = 0;
	t->ret = neg(t->write ? write(t->fd, "late", 4) : read(t->fd, t->buf, sizeof(t->buf)));
	return NULL;
}

TEST_F(file, read_waits_for_a_message)
{
	struct transfer t = { .fd = self->fd };

	ASSERT_EQ(0, thread_start(&t.thread, transfer_run, &t));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(2, neg(write(self->fd, "hi", 2)));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(2, t.ret);
	EXPECT_EQ(0, memcmp(t.buf, "hi", 3));
}

TEST_F(file, write_waits_for_room)
{
	struct transfer t = { .fd = self->fd, .write = true };

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, thread_start(&t.thread, transfer_run, &t));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(1, take(self->fd));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(4, t.ret);
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(4, neg(read(self->fd, self->in, 8)));
	EXPECT_EQ(0, memcmp(self->in, "late", 4));
}

TEST_F(file, write_waits_for_a_receiver_at_a_rendezvous)
{
	struct transfer t = { .fd = self->fd, .write = true };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(0, thread_start(&t.thread, transfer_run, &t));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(4, neg(read(self->fd, self->in, 8)));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(4, t.ret);
}

TEST_F(file, signal_interrupts_read_and_write)
{
	struct transfer t = { .fd = self->fd };
	int i;

	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	for (i = 0; i < 2; i++) {
		t.write = i;
		ASSERT_EQ(0, thread_start(&t.thread, transfer_run, &t));
		ASSERT_EQ(0, await_waiting(self->fd, i, !i));
		ASSERT_EQ(0, pthread_kill(t.thread, SIGUSR1));
		pthread_join(t.thread, NULL);
		EXPECT_EQ(-EINTR, t.ret);
	}
}

TEST_F(file, signal_with_SA_RESTART_restarts_read)
{
	struct transfer t = { .fd = self->fd };

	ASSERT_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, thread_start(&t.thread, transfer_run, &t));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, pthread_kill(t.thread, SIGUSR1));
	ASSERT_EQ(0, await_signals(1));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(1, neg(write(self->fd, "x", 1)));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(1, t.ret);
}

TEST_F(file, RWF_NOWAIT_does_not_wait)
{
	struct iovec out = { "ab", 2 }, in = { self->in, sizeof(self->in) };

	EXPECT_EQ(-EAGAIN, neg(preadv2(self->fd, &in, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(2, neg(pwritev2(self->fd, &out, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(2, neg(pwritev2(self->fd, &out, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(-EAGAIN, neg(pwritev2(self->fd, &out, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(2, neg(preadv2(self->fd, &in, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(0, memcmp(self->in, "ab\xa5", 3));
	EXPECT_EQ(2, neg(preadv2(self->fd, &in, 1, -1, 0)));
	EXPECT_EQ(-EAGAIN, neg(preadv2(self->fd, &in, 1, -1, RWF_NOWAIT)));
}

TEST_F(file, RWF_NOWAIT_at_a_rendezvous)
{
	struct iovec out = { "ab", 2 }, in = { self->in, sizeof(self->in) };
	struct transfer t = { .fd = self->fd };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(-EAGAIN, neg(pwritev2(self->fd, &out, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(0, thread_start(&t.thread, transfer_run, &t));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(2, neg(pwritev2(self->fd, &out, 1, -1, RWF_NOWAIT)));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(2, t.ret);
	t.write = true;
	ASSERT_EQ(0, thread_start(&t.thread, transfer_run, &t));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(4, neg(preadv2(self->fd, &in, 1, -1, RWF_NOWAIT)));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(4, t.ret);
}

TEST_F(file, seek_and_pread_are_ESPIPE)
{
	struct iovec iov = { self->in, 1 };

	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-ESPIPE, neg(lseek(self->fd, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, neg(lseek(self->fd, 0, SEEK_CUR)));
	EXPECT_EQ(-ESPIPE, neg(pread(self->fd, self->in, 8, 0)));
	EXPECT_EQ(-ESPIPE, neg(pwrite(self->fd, "x", 1, 0)));
	EXPECT_EQ(-ESPIPE, neg(preadv(self->fd, &iov, 1, 0)));
	EXPECT_EQ(-ESPIPE, neg(pwritev(self->fd, &iov, 1, 0)));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(file, mmap_of_a_queue_is_ENODEV)
{
	void *p = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, self->fd, 0);

	EXPECT_TRUE(p == MAP_FAILED);
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(file, ftruncate_and_fsync_are_EINVAL)
{
	EXPECT_EQ(-EINVAL, neg(ftruncate(self->fd, 0)));
	EXPECT_EQ(-EINVAL, neg(fsync(self->fd)));
}

/* A message is neither part of a stream nor a page of a file. */
TEST_F(file, copies_between_descriptors_are_EINVAL)
{
	FILE *other = tmpfile();
	struct iovec iov = { self->in, 1 };
	off_t from = 0;
	loff_t start = 0;
	int pipes[2];

	ASSERT_TRUE(!!other);
	ASSERT_EQ(4, write(fileno(other), "text", 4));
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(4, write(pipes[1], "text", 4));
	ASSERT_EQ(0, put(self->fd, 1));

	EXPECT_EQ(-EINVAL, neg(splice(self->fd, NULL, pipes[1], NULL, 64, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(-EINVAL, neg(splice(pipes[0], NULL, self->fd, NULL, 64, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(-EINVAL, neg(tee(self->fd, pipes[1], 64, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(-EINVAL, neg(tee(pipes[0], self->fd, 64, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(-EBADF, neg(vmsplice(self->fd, &iov, 1, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(-EINVAL, neg(sendfile(self->fd, fileno(other), &from, 4)));
	EXPECT_EQ(-EINVAL, neg(sendfile(pipes[1], self->fd, NULL, 4)));
	EXPECT_EQ(-EINVAL, neg(copy_file_range(fileno(other), &start, self->fd, NULL, 4, 0)));
	EXPECT_EQ(-EINVAL, neg(copy_file_range(self->fd, NULL, fileno(other), NULL, 4, 0)));
	EXPECT_EQ(0, start + from);
	/* Nothing was lost. */
	EXPECT_EQ(4, read(pipes[0], self->in, sizeof(self->in)));
	EXPECT_EQ(1U, stat_of(self->fd).queued);
	EXPECT_EQ(1, take(self->fd));
	close(pipes[0]);
	close(pipes[1]);
	fclose(other);
}

/* What has a position, or is kept on a disk. */
TEST_F(file, calls_about_ranges)
{
	EXPECT_EQ(-ESPIPE, -posix_fadvise(self->fd, 0, 1, POSIX_FADV_DONTNEED));
	EXPECT_EQ(-EINVAL, neg(readahead(self->fd, 0, 1)));
	EXPECT_EQ(-ESPIPE, neg(sync_file_range(self->fd, 0, 1, 0)));
	EXPECT_EQ(-EINVAL, neg(fdatasync(self->fd)));
	EXPECT_EQ(0, syncfs(self->fd));
	EXPECT_EQ(-ENOTDIR, neg(fchdir(self->fd)));
	EXPECT_EQ(-EBADF, neg(fcntl(self->fd, F_GETPIPE_SZ)));
	EXPECT_EQ(-EINVAL, neg(fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE)));
}

/* They are of the kernel, and of no meaning to messages. */
TEST_F(file, locks_are_those_of_each_file)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	EXPECT_EQ(0, fcntl(self->fd, F_SETLK, &lock));
	EXPECT_EQ(0, flock(self->fd, LOCK_EX | LOCK_NB));
	EXPECT_EQ(-EINVAL, neg(fcntl(self->fd, F_SETLEASE, F_RDLCK)));
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(file, other_ioctls_are_ENOTTY)
{
	int n = (int)POISON32;

	EXPECT_EQ(-ENOTTY, raw(self->fd, FIONREAD, &n));
	EXPECT_EQ((int)POISON32, n);
}

TEST_F(file, read_and_write_of_the_device_are_EINVAL)
{
	int dev = open(DEVICE, O_RDWR);

	ASSERT_LE(0, dev);
	EXPECT_EQ(-EINVAL, neg(read(dev, self->in, 1)));
	EXPECT_EQ(-EINVAL, neg(write(dev, "x", 1)));
	close(dev);
}

TEST_HARNESS_MAIN
