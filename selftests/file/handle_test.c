// SPDX-License-Identifier: GPL-2.0-only
/* Handles: rights, lifetime, inheritance, duplicates, passing them on. */
#include "peers.h"

FIXTURE(handle)
{
	char name[64];
	struct mbox_attr attr;
	int fd;
};

FIXTURE_SETUP(handle)
{
	umask(0);
	test_name(self->name, sizeof(self->name), "handle");
	self->attr = attr_of(0, 8);
	self->fd = raw_create(self->name, O_RDWR | O_EXCL, &self->attr);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(handle)
{
	raw_unlink(self->name);
	close(self->fd);
}

TEST_F(handle, without_the_right_to_send_is_EBADF)
{
	int fd = raw_open(self->name, O_RDONLY);
	struct mbox *mb = mbox_from_fd(dup(fd));
	struct mbox_msg msg = msg_of("x", 1, 0);
	struct mbox_stat before = stat_of(fd);

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(-EBADF, put(fd, 1));
	EXPECT_EQ(-EBADF, raw_send(fd, "x", 1, MBOX_SYNC));
	EXPECT_EQ(-EBADF, raw_vec(fd, MBOX_IOC_SENDV, &msg, 1, 0));
	EXPECT_EQ(-EBADF, neg(write(fd, "x", 1)));
	EXPECT_EQ(-EBADF, neg(mbox_send(mb, "x", 1, 0)));
	EXPECT_EQ(-EBADF, raw_destroy(fd));
	EXPECT_EQ(-EBADF, neg(mbox_destroy(mb)));
	EXPECT_TRUE(same_stat(fd, &before));
	EXPECT_EQ(0, mbox_close(mb));
	close(fd);
}

TEST_F(handle, without_the_right_to_receive_is_EBADF)
{
	int fd = raw_open(self->name, O_WRONLY);
	struct mbox *mb = mbox_from_fd(dup(fd));
	char c = (char)POISON;
	struct mbox_msg msg = msg_of(&c, 1, 0);
	struct mbox_stat before;

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, put(fd, 1));
	before = stat_of(fd);
	EXPECT_EQ(-EBADF, take(fd));
	EXPECT_EQ(-EBADF, take_as(fd, MBOX_PEEK, 0, 0));
	EXPECT_EQ(-EBADF, raw_vec(fd, MBOX_IOC_RECVV, &msg, 1, 0));
	EXPECT_EQ(-EBADF, neg(read(fd, &c, 1)));
	EXPECT_EQ(-EBADF, neg(mbox_recv(mb, &c, 1, 0)));
	EXPECT_EQ(-EBADF, raw_destroy(fd));
	EXPECT_TRUE(same_stat(fd, &before));
	EXPECT_EQ((char)POISON, c);
	EXPECT_EQ(0, mbox_close(mb));
	close(fd);
}

TEST_F(handle, rights_are_checked_before_the_message)
{
	int reader = raw_open(self->name, O_RDONLY);
	struct mbox_msg msg = msg_of(NULL, self->attr.msg_max + 1, 0);

	EXPECT_EQ(-EBADF, raw(reader, MBOX_IOC_SEND, &msg));
	msg.prio = MBOX_PRIO_MAX + 1;
	EXPECT_EQ(-EINVAL, raw(reader, MBOX_IOC_SEND, &msg));
	close(reader);
}

TEST_F(handle, stat_counts_handles_by_right)
{
	int reader = raw_open(self->name, O_RDONLY);
	int writer = raw_open(self->name, O_WRONLY);
	int another = raw_open(self->name, O_WRONLY);
	struct mbox_stat st = stat_of(reader);

	EXPECT_EQ(3U, st.send_handles);
	EXPECT_EQ(2U, st.recv_handles);
	close(writer);
	st = stat_of(another);
	EXPECT_EQ(2U, st.send_handles);
	EXPECT_EQ(2U, st.recv_handles);
	close(another);
	close(self->fd);
	st = stat_of(reader);
	EXPECT_EQ(0U, st.send_handles);
	EXPECT_EQ(1U, st.recv_handles);
	self->fd = reader;
}

TEST_F(handle, duplicates_are_one_handle)
{
	int copy = dup(self->fd);

	EXPECT_EQ(1U, stat_of(copy).send_handles);
	ASSERT_EQ(0, fcntl(copy, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, raw_recv(self->fd, NULL, 0, 0));
	close(self->fd);
	EXPECT_EQ(1U, stat_of(copy).send_handles);
	ASSERT_EQ(0, put(copy, 3));
	EXPECT_EQ(3, take(copy));
	self->fd = copy;
}

TEST_F(handle, nonblocking_is_a_handles_own)
{
	int fd = raw_open(self->name, O_RDWR | O_NONBLOCK);
	struct call c = { 0 };

	EXPECT_EQ(-EAGAIN, raw_recv(fd, NULL, 0, 0));
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(fd, 0, 1));
	ASSERT_EQ(0, put(fd, 6));
	EXPECT_EQ(6, recv_join(&c));
	close(fd);
}

TEST_F(handle, closing_the_last_handle_ends_an_anonymous_mailbox)
{
	int fd = new_mailbox(0, 4), copy, other;
	__u64 id = stat_of(fd).id;

	ASSERT_EQ(0, put(fd, 5));
	copy = dup(fd);
	other = raw_open_id(id, O_RDONLY);
	ASSERT_LE(0, other);
	close(fd);
	close(copy);
	EXPECT_EQ(5, take(other));
	close(other);
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
}

TEST_F(handle, named_mailbox_lives_without_handles)
{
	__u64 id = stat_of(self->fd).id;

	ASSERT_EQ(0, put(self->fd, 5));
	close(self->fd);
	self->fd = raw_open(self->name, O_RDWR);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(id, stat_of(self->fd).id);
	EXPECT_EQ(5, take(self->fd));
	close(self->fd);
	self->fd = raw_open_id(id, O_RDWR);
	ASSERT_LE(0, self->fd);
}

TEST_F(handle, unlinked_mailbox_works_on_open_handles)
{
	__u64 id = stat_of(self->fd).id;
	int fresh, other;

	ASSERT_EQ(0, put(self->fd, 5));
	ASSERT_EQ(0, mbox_unlink(self->name));
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_unlink(self->name));
	EXPECT_EQ(-ENOENT, neg(mbox_unlink(self->name)));
	fresh = raw_create(self->name, O_RDWR | O_EXCL, &self->attr);
	ASSERT_LE(0, fresh);
	EXPECT_NE(id, stat_of(fresh).id);
	EXPECT_EQ(-EAGAIN, take(fresh));
	other = raw_open_id(id, O_RDWR);
	ASSERT_LE(0, other);
	close(self->fd);
	EXPECT_EQ(5, take(other));
	close(other);
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
	self->fd = fresh;
}

TEST_F(handle, unlinked_without_handles_ends_at_once)
{
	__u64 id = stat_of(self->fd).id;
	int seen = count_mailboxes();

	close(self->fd);
	EXPECT_EQ(seen, count_mailboxes());
	ASSERT_EQ(0, raw_unlink(self->name));
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
	EXPECT_EQ(seen - 1, count_mailboxes());
	self->fd = -1;
}

static int send_to_parent(void *arg)
{
	CHECK_EQ(0, raw_send(*(int *)arg, "from child", 10, 0));
	return 0;
}

TEST_F(handle, is_inherited_by_fork)
{
	char text[32];
	pid_t pid = spawn(send_to_parent, &self->fd);

	memset(text, POISON, sizeof(text));
	EXPECT_EQ(10, raw_recv(self->fd, text, sizeof(text), 0));
	EXPECT_EQ(0, memcmp(text, "from child", 10));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(1U, stat_of(self->fd).send_handles);
}

static int exec_writer(void *arg)
{
	dup2(*(int *)arg, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", "printf hello", NULL);
	return 1;
}

TEST_F(handle, is_inherited_by_exec)
{
	char text[32];

	memset(text, POISON, sizeof(text));
	EXPECT_EQ(0, in_child(exec_writer, &self->fd));
	EXPECT_EQ(5, raw_recv(self->fd, text, sizeof(text), MBOX_DONTWAIT));
	EXPECT_EQ(0, memcmp(text, "hello", 5));
}

static int exec_looks_for(void *arg)
{
	char command[64];

	snprintf(command, sizeof(command), "[ -e /proc/self/fd/%d ] && exit 7; exit 8",
		 *(int *)arg);
	execl("/bin/sh", "sh", "-c", command, NULL);
	return 1;
}

TEST_F(handle, close_on_exec_is_the_callers_choice)
{
	int fd = raw_open(self->name, O_RDWR | O_CLOEXEC);

	EXPECT_EQ(7, in_child(exec_looks_for, &self->fd));
	EXPECT_EQ(8, in_child(exec_looks_for, &fd));
	close(fd);
}

struct passing {
	int sock[2];
	int fd;
};

static int use_received(void *arg)
{
	struct passing *p = arg;
	struct mbox *mb;
	char text[8];
	int fd;

	close(p->fd);
	close(p->sock[0]);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = receive_fd(p->sock[1]);
	CHECK(fd >= 0);
	mb = mbox_from_fd(fd);
	CHECK(mb);
	CHECK_EQ(5, mbox_recv(mb, text, sizeof(text), 0));
	CHECK(!memcmp(text, "there", 5));
	CHECK_EQ(0, mbox_send(mb, "and back", 8, 0));
	CHECK_EQ(0, mbox_close(mb));
	return 0;
}

TEST_F(handle, passed_handle_works)
{
	struct passing p = { .fd = self->fd };
	char text[8];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p.sock));
	pid = spawn(use_received, &p);
	ASSERT_EQ(0, raw_send(self->fd, "there", 5, 0));
	ASSERT_EQ(0, pass_fd(p.sock[0], self->fd));
	EXPECT_EQ(0, reap(pid));
	memset(text, POISON, sizeof(text));
	EXPECT_EQ(8, raw_recv(self->fd, text, sizeof(text), MBOX_DONTWAIT));
	EXPECT_EQ(0, memcmp(text, "and back", 8));
}

TEST_F(handle, handle_in_flight_keeps_the_mailbox)
{
	int sock[2], fd = new_mailbox(0, 2);
	__u64 id = stat_of(fd).id;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock));
	ASSERT_EQ(0, put(fd, 4));
	ASSERT_EQ(0, pass_fd(sock[0], fd));
	close(fd);
	fd = receive_fd(sock[1]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(4, take(fd));
	close(fd);
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
}

static int use_read_only(void *arg)
{
	struct passing *p = arg;
	int fd = receive_fd(p->sock[1]);

	CHECK(fd >= 0);
	CHECK_EQ(-EBADF, put(fd, 1));
	CHECK_EQ(2, take(fd));
	return 0;
}

TEST_F(handle, keeps_its_right_when_passed_on)
{
	struct passing p = { .fd = raw_open(self->name, O_RDONLY) };
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p.sock));
	ASSERT_EQ(0, put(self->fd, 2));
	pid = spawn(use_read_only, &p);
	ASSERT_EQ(0, pass_fd(p.sock[0], p.fd));
	EXPECT_EQ(0, reap(pid));
	close(p.fd);
}

TEST_F(handle, adopting_another_file_fails)
{
	int null = open("/dev/null", O_RDWR), dev = open_device();

	errno = 0;
	EXPECT_FALSE(!!mbox_from_fd(null));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_FALSE(!!mbox_from_fd(dev));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_FALSE(!!mbox_from_fd(-1));
	EXPECT_EQ(EBADF, errno);
	/* The descriptor stays the caller's. */
	EXPECT_EQ(0, close(null));
	EXPECT_EQ(0, close(dev));
}

TEST_F(handle, close_in_another_thread_does_not_end_a_call)
{
	int fd = raw_open(self->name, O_RDONLY);
	struct call c = { 0 };

	ASSERT_EQ(0, recv_start(&c, fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, put(self->fd, 8));
	EXPECT_EQ(8, recv_join(&c));
}

TEST_F(handle, library_opens_by_name_and_id)
{
	struct mbox *by_name = mbox_open(self->name, O_WRONLY);
	struct mbox *by_id = mbox_open_id(stat_of(self->fd).id, O_RDONLY | O_NONBLOCK);
	char text[4];

	ASSERT_TRUE(by_name && by_id);
	ASSERT_EQ(0, mbox_send(by_name, "abc", 3, 0));
	memset(text, POISON, sizeof(text));
	EXPECT_EQ(3, mbox_recv(by_id, text, sizeof(text), 0));
	EXPECT_EQ(0, memcmp(text, "abc\xa5", 4));
	EXPECT_EQ(-EAGAIN, neg(mbox_recv(by_id, text, sizeof(text), 0)));
	EXPECT_EQ(0, mbox_close(by_name));
	EXPECT_EQ(0, mbox_close(by_id));
	EXPECT_EQ(0, mbox_close(NULL));
}

TEST_HARNESS_MAIN
