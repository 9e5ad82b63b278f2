// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors in messages. */
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "calls.h"
#include "fds.h"
#include "slow.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define LIMIT 64

FIXTURE(fds)
{
	int fd;
	int pipe[2];
	int open;
	struct mbox_stat before;
	struct got got;
	struct slow slow;
};

FIXTURE_SETUP(fds)
{
	self->fd = new_mailbox(0, 8);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	self->before = stat_of(self->fd);
	self->open = open_descriptors();
}

FIXTURE_TEARDOWN(fds)
{
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->fd);
}

/* Whether the pipe's other end is closed. Files are closed some time later. */
static bool pipe_is_closed(FIXTURE_DATA(fds) *self, int timeout)
{
	struct pollfd pfd = { .fd = self->pipe[0] };

	return poll(&pfd, 1, timeout) == 1 && pfd.revents & POLLHUP;
}

/* The pipe's other end is in a message, and nowhere else. */
static long give_away(FIXTURE_DATA(fds) *self, __u32 flags)
{
	long ret = send_fds(self->fd, flags, &self->pipe[1], 1);

	close(self->pipe[1]);
	self->pipe[1] = -1;
	return ret;
}

TEST_F(fds, descriptors_refer_to_the_same_file)
{
	struct stat there, here;
	char text[8] = "";

	ASSERT_EQ(0, send_fds(self->fd, 0, self->pipe, 2));
	ASSERT_EQ(4, recv_fds(self->fd, 0, 2, &self->got));
	EXPECT_EQ(7U, self->got.value);
	EXPECT_EQ(2U, self->got.msg.nfds);
	EXPECT_EQ((uintptr_t)self->got.fds, self->got.msg.fds);
	EXPECT_EQ(0U, self->got.msg.flags & MBOX_CTRUNC);
	EXPECT_EQ((int)POISON32, self->got.fds[2]);
	ASSERT_EQ(self->open + 2, open_descriptors());
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->got.fds[0], F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(self->got.fds[0], F_GETFL) & O_ACCMODE);
	EXPECT_EQ(O_WRONLY, fcntl(self->got.fds[1], F_GETFL) & O_ACCMODE);
	ASSERT_EQ(0, fstat(self->pipe[0], &there));
	ASSERT_EQ(0, fstat(self->got.fds[0], &here));
	EXPECT_EQ(there.st_ino, here.st_ino);
	EXPECT_EQ(5, write(self->got.fds[1], "hello", 5));
	EXPECT_EQ(5, read(self->pipe[0], text, sizeof(text)));
	EXPECT_STREQ("hello", text);
}

static int hand_over_memory(void *arg)
{
	int fd = *(int *)arg, mem = syscall(SYS_memfd_create, "mbox", 0);
	char *p;

	CHECK(mem >= 0 && !ftruncate(mem, 4 << 20));
	p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	CHECK(p != MAP_FAILED);
	memset(p, 'm', 4 << 20);
	CHECK_EQ(0, send_fds(fd, 0, &mem, 1));
	return 0;
}

/* The sender is gone when its memory is received. */
TEST_F(fds, descriptors_outlive_their_sender)
{
	char *p;

	ASSERT_EQ(0, in_child(hand_over_memory, &self->fd));
	ASSERT_EQ(4, recv_fds(self->fd, 0, MBOX_FDS_MAX, &self->got));
	ASSERT_EQ(1U, self->got.msg.nfds);
	p = mmap(NULL, 4 << 20, PROT_READ, MAP_SHARED, self->got.fds[0], 0);
	ASSERT_TRUE(p != MAP_FAILED);
	EXPECT_EQ('m', p[0]);
	EXPECT_EQ('m', p[(4 << 20) - 1]);
}

TEST_F(fds, messages_without_descriptors_are_unchanged)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(4, recv_fds(self->fd, 0, 3, &self->got));
	EXPECT_EQ(0U, self->got.msg.nfds);
	EXPECT_EQ((int)POISON32, self->got.fds[0]);
	EXPECT_EQ(0U, self->got.msg.flags & MBOX_CTRUNC);
}

/* ---- what may travel ----------------------------------------------------- */

/* The place of a file, whatever it is. */
static int open_place(const char *path)
{
	return neg(open(path, O_PATH | O_CLOEXEC));
}

/* The place of what a descriptor is of. */
static int open_place_of(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_place(path);
}

static int make_fifo(void)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/fds-fifo-%d", getpid());
	if (mkfifo(path, 0600))
		return -errno;
	fd = neg(open(path, O_RDWR | O_NONBLOCK));
	unlink(path);
	return fd;
}

static int bound_socket_place(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), place;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/fds-socket-%d", getpid());
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	place = open_place(addr.sun_path);
	unlink(addr.sun_path);
	close(fd);
	return place;
}

TEST_F(fds, other_kinds_can_be_passed)
{
	int kinds[] = {
		neg(eventfd(0, 0)),
		neg(timerfd_create(CLOCK_MONOTONIC, 0)),
		neg(syscall(SYS_pidfd_open, getpid(), 0)),
		make_fifo(),
		neg(open("/proc/self/ns/net", O_RDONLY)),
		open_place("/"),
		open_place("/dev/null"),
		bound_socket_place(),
		open_place_of(self->pipe[0]),
		open_place_of(self->fd),
		open("/proc/self/exe", O_RDONLY),
		open("/", O_RDONLY | O_DIRECTORY),
		syscall(SYS_memfd_create, "mbox", 0),
		self->pipe[0],
		open("/dev/null", O_RDWR),
		open_device(),
		neg(socket(AF_INET, SOCK_STREAM, 0)),
		neg(socket(AF_INET, SOCK_DGRAM, 0)),
		neg(socket(AF_NETLINK, SOCK_RAW, 0)),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* A kernel can lack what a kind of socket needs. */
		if (kinds[i] == -EAFNOSUPPORT)
			continue;
		ASSERT_LE(0, kinds[i]);
		ASSERT_EQ(0, send_fds(self->fd, 0, &kinds[i], 1))
			TH_LOG("kind %u", i);
		ASSERT_EQ(4, recv_fds(self->fd, 0, 1, &self->got));
		EXPECT_EQ(1U, self->got.msg.nfds);
		EXPECT_EQ(0, close(self->got.fds[0]));
	}
}

TEST_F(fds, kinds_that_could_make_a_cycle_are_ELOOP)
{
	int sv[2], kinds[10], both[2];
	sigset_t none;
	unsigned int i, n = 0;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	kinds[n++] = self->fd;
	kinds[n++] = new_mailbox(0, 1);
	kinds[n++] = sv[0];
	kinds[n++] = sv[1];
	kinds[n++] = epoll_create1(0);
	kinds[n++] = neg(inotify_init1(0));
	sigemptyset(&none);
	kinds[n++] = neg(signalfd(-1, &none, 0));
	kinds[n++] = raw_direct(getppid(), O_RDWR);
	self->before = stat_of(self->fd);
	for (i = 0; i < n; i++) {
		/* A kernel can lack a kind. */
		if (kinds[i] == -ENOSYS)
			continue;
		ASSERT_LE(0, kinds[i])
			TH_LOG("kind %u", i);
		EXPECT_EQ(-ELOOP, send_fds(self->fd, 0, &kinds[i], 1))
			TH_LOG("kind %u", i);
	}
	/* One is enough, and the others are not kept. */
	both[0] = self->pipe[1];
	both[1] = sv[1];
	EXPECT_EQ(-ELOOP, send_fds(self->fd, 0, both, 2));
	close(self->pipe[1]);
	self->pipe[1] = -1;
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fds, invalid_descriptor_is_EBADF)
{
	int bad[][2] = {
		{ -1, self->pipe[0] }, { self->pipe[0], 9999 }, { INT32_MAX, INT32_MIN },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EBADF, send_fds(self->fd, 0, bad[i], 2))
			TH_LOG("case %u", i);
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

TEST_F(fds, more_than_32_are_EINVAL)
{
	int many[MBOX_FDS_MAX + 1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = self->pipe[i & 1];
	EXPECT_EQ(-EINVAL, send_fds(self->fd, 0, many, MBOX_FDS_MAX + 1));
	ASSERT_EQ(0, send_fds(self->fd, 0, many, MBOX_FDS_MAX));
	EXPECT_EQ(-EINVAL, recv_fds(self->fd, 0, MBOX_FDS_MAX + 1, &self->got));
	ASSERT_EQ(4, recv_fds(self->fd, 0, MBOX_FDS_MAX, &self->got));
	ASSERT_EQ((__u32)MBOX_FDS_MAX, self->got.msg.nfds);
	for (i = 0; i < MBOX_FDS_MAX; i++)
		EXPECT_EQ(i & 1 ? O_WRONLY : O_RDONLY,
			  fcntl(self->got.fds[i], F_GETFL) & O_ACCMODE);
	EXPECT_EQ(self->open + MBOX_FDS_MAX, open_descriptors());
}

TEST_F(fds, number_without_address_is_EINVAL)
{
	struct mbox_msg msg = msg_of(&self->got.value, 4, MBOX_DONTWAIT);

	msg.nfds = 1;
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_SEND, &msg));
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_RECV, &msg));
	msg.nfds = 0;
	msg.fds = (uintptr_t)self->pipe;
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_SEND, &msg));
	EXPECT_EQ(-EINVAL, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_TRUE(same_stat(self->fd, &self->before));
}

/* ---- room ---------------------------------------------------------------- */

TEST_F(fds, descriptors_without_room_are_closed)
{
	ASSERT_EQ(0, give_away(self, 0));
	EXPECT_FALSE(pipe_is_closed(self, 0));
	ASSERT_EQ(4, recv_fds(self->fd, 0, 0, &self->got));
	EXPECT_EQ(MBOX_DONTWAIT | MBOX_CTRUNC, self->got.msg.flags);
	EXPECT_EQ(0U, self->got.msg.nfds);
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	EXPECT_EQ(self->open - 1, open_descriptors());
}

TEST_F(fds, descriptors_that_fit_are_installed)
{
	int three[] = { self->pipe[0], self->pipe[0], self->pipe[1] };

	ASSERT_EQ(0, send_fds(self->fd, 0, three, 3));
	close(self->pipe[1]);
	self->pipe[1] = -1;
	ASSERT_EQ(4, recv_fds(self->fd, 0, 2, &self->got));
	EXPECT_EQ(MBOX_DONTWAIT | MBOX_CTRUNC, self->got.msg.flags);
	EXPECT_EQ(2U, self->got.msg.nfds);
	EXPECT_EQ((int)POISON32, self->got.fds[2]);
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	EXPECT_EQ(self->open + 1, open_descriptors());
}

TEST_F(fds, short_structure_gets_MBOX_CTRUNC)
{
	struct mbox_msg msg = msg_of(&self->got.value, 4, MBOX_DONTWAIT);

	ASSERT_EQ(0, give_away(self, 0));
	ASSERT_EQ(4, raw(self->fd, sized(MBOX_IOC_RECV, MBOX_MSG_SIZE_MIN), &msg));
	EXPECT_EQ(MBOX_DONTWAIT | MBOX_CTRUNC, msg.flags);
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
}

TEST_F(fds, read_closes_the_descriptors)
{
	ASSERT_EQ(0, give_away(self, 0));
	EXPECT_EQ(4, read(self->fd, &self->got.value, 4));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
}

/* It is an output: a program that reuses a structure has to clear it. */
TEST_F(fds, MBOX_CTRUNC_as_input_is_EINVAL)
{
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EINVAL, raw_recv(self->fd, &self->got.value, 4, MBOX_CTRUNC));
	EXPECT_EQ(-EINVAL, raw_send(self->fd, "", 1, MBOX_CTRUNC));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(fds, peek_installs_no_descriptor)
{
	ASSERT_EQ(0, give_away(self, 0));
	ASSERT_EQ(4, recv_fds(self->fd, MBOX_PEEK, 1, &self->got));
	EXPECT_EQ(0U, self->got.msg.nfds);
	EXPECT_EQ(MBOX_DONTWAIT | MBOX_PEEK, self->got.msg.flags);
	EXPECT_EQ((int)POISON32, self->got.fds[0]);
	EXPECT_EQ(self->open - 1, open_descriptors());
	ASSERT_EQ(4, recv_fds(self->fd, 0, 1, &self->got));
	EXPECT_EQ(1U, self->got.msg.nfds);
	EXPECT_FALSE(pipe_is_closed(self, 0));
}

TEST_F(fds, batch_carries_descriptors)
{
	int mem = syscall(SYS_memfd_create, "mbox", 0);
	struct mbox_msg out[2] = { msg_of("a", 1, 0), msg_of("b", 1, 0) };
	struct mbox_msg in[3];
	int fds[2] = { -1, -1 };
	char c[3];
	int i;

	out[1].nfds = 1;
	out[1].fds = (uintptr_t)&mem;
	ASSERT_EQ(2, raw_vec(self->fd, MBOX_IOC_SENDV, out, 2, 0));
	ASSERT_EQ(0, give_away(self, 0));
	for (i = 0; i < 3; i++) {
		in[i] = msg_of(&c[i], 1, MBOX_TRUNC);
		in[i].nfds = i < 2;
		in[i].fds = i < 2 ? (uintptr_t)&fds[i] : 0;
	}
	ASSERT_EQ(3, raw_vec(self->fd, MBOX_IOC_RECVV, in, 3, MBOX_DONTWAIT));
	EXPECT_EQ(0U, in[0].nfds);
	EXPECT_EQ(1U, in[1].nfds);
	EXPECT_EQ(0U, in[2].nfds);
	EXPECT_EQ(MBOX_TRUNC, in[0].flags);
	EXPECT_EQ(MBOX_TRUNC, in[1].flags);
	EXPECT_EQ(MBOX_TRUNC | MBOX_CTRUNC, in[2].flags);
	EXPECT_EQ(-1, fds[0]);
	EXPECT_EQ(0, close(fds[1]));
}

/* ---- failures ------------------------------------------------------------ */

TEST_F(fds, EMFILE_leaves_the_message)
{
	struct rlimit limit, none;

	ASSERT_EQ(0, send_fds(self->fd, 0, self->pipe, 2));
	ASSERT_EQ(0, put(self->fd, 1));
	self->before = stat_of(self->fd);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	/* Room for one more. */
	none.rlim_cur = dup(0) + 1;
	close(none.rlim_cur - 1);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, recv_fds(self->fd, 0, 2, &self->got));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_TRUE(same_stat(self->fd, &self->before));
	EXPECT_EQ(self->open, open_descriptors());
	/* It is still the first one, and whole. */
	ASSERT_EQ(4, recv_fds(self->fd, 0, 2, &self->got));
	EXPECT_EQ(7U, self->got.value);
	EXPECT_EQ(2U, self->got.msg.nfds);
}

TEST_F(fds, EFAULT_leaves_the_message)
{
	struct mbox_msg msg = msg_of(&self->got.value, 4, 0);

	ASSERT_EQ(0, give_away(self, 0));
	self->before = stat_of(self->fd);
	msg.nfds = 1;
	msg.fds = 1;
	EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(-EFAULT, raw(self->fd, MBOX_IOC_SEND, &msg));
	EXPECT_TRUE(same_stat(self->fd, &self->before));
	EXPECT_FALSE(pipe_is_closed(self, 0));
	ASSERT_EQ(4, recv_fds(self->fd, 0, 1, &self->got));
	EXPECT_EQ(1U, self->got.msg.nfds);
	EXPECT_EQ(self->open, open_descriptors());
}

TEST_F(fds, failed_send_keeps_no_file)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(-EAGAIN, give_away(self, 0));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
}

/* ---- the end of a message ------------------------------------------------ */

TEST_F(fds, close_with_the_mailbox)
{
	ASSERT_EQ(0, give_away(self, 0));
	close(self->fd);
	self->fd = -1;
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
}

TEST_F(fds, close_when_it_is_destroyed)
{
	ASSERT_EQ(0, give_away(self, 0));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
}

TEST_F(fds, close_when_it_is_dropped)
{
	static const __u32 policies[] = { MBOX_DROP_OLDEST, MBOX_DROP_NEWEST };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		close(self->fd);
		self->fd = new_mailbox(policies[i], 1);
		if (policies[i] == MBOX_DROP_NEWEST)
			ASSERT_EQ(0, put(self->fd, 1));
		ASSERT_EQ(0, give_away(self, 0));
		if (policies[i] == MBOX_DROP_OLDEST)
			ASSERT_EQ(0, put(self->fd, 1));
		EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
		EXPECT_EQ(1, take(self->fd));
		close(self->pipe[0]);
		ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	}
}

TEST_F(fds, close_when_it_is_withdrawn)
{
	struct call c = { .msg.flags = MBOX_SYNC, .msg.nfds = 1 };

	c.msg.fds = (uintptr_t)&self->pipe[1];
	ASSERT_EQ(0, send_start(&c, self->fd, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	close(self->pipe[1]);
	EXPECT_FALSE(pipe_is_closed(self, 0));
	ASSERT_EQ(0, pthread_kill(c.thread, SIGUSR1));
	EXPECT_EQ(-EINTR, call_join(&c));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	self->pipe[1] = -1;
}

/* ---- a mailbox of which only the name is left ------------------------------ */

FIXTURE(given_up)
{
	FIXTURE_DATA(fds) fds;
	char name[64];
};

FIXTURE_SETUP(given_up)
{
	struct mbox_attr attr = attr_of(0, 64);

	test_name(self->name, sizeof(self->name), "given-up");
	self->fds.fd = raw_create(self->name, O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, self->fds.fd);
	ASSERT_EQ(0, pipe2(self->fds.pipe, O_CLOEXEC));
}

FIXTURE_TEARDOWN(given_up)
{
	close(self->fds.pipe[0]);
	close(self->fds.pipe[1]);
	close(self->fds.fd);
	raw_unlink(self->name);
}

/* The messages stay, and say that something is missing. */
TEST_F(given_up, closing_the_last_handle_releases_queued_descriptors)
{
	struct got got;
	int i;

	for (i = 0; i < 40; i++) {
		int many[] = { self->fds.pipe[1], self->fds.pipe[0], self->fds.pipe[1] };

		ASSERT_EQ(0, send_fds(self->fds.fd, 0, many, 3));
	}
	ASSERT_EQ(0, put(self->fds.fd, 5));
	ASSERT_EQ(0, give_away(&self->fds, 0));
	EXPECT_FALSE(pipe_is_closed(&self->fds, 0));
	close(self->fds.fd);
	EXPECT_TRUE(pipe_is_closed(&self->fds, WAIT_LIMIT_MS));

	self->fds.fd = raw_open(self->name, O_RDWR);
	ASSERT_LE(0, self->fds.fd);
	ASSERT_EQ(42U, stat_of(self->fds.fd).queued);
	for (i = 0; i < 42; i++) {
		ASSERT_EQ(4, recv_fds(self->fds.fd, 0, 3, &got));
		EXPECT_EQ(0U, got.msg.nfds);
		EXPECT_EQ((int)POISON32, got.fds[0]);
		EXPECT_EQ(i == 40 ? 0U : MBOX_CTRUNC, got.msg.flags & MBOX_CTRUNC);
		EXPECT_EQ(i == 40 ? 5U : 7U, got.value);
	}
}

TEST_F(given_up, queued_descriptors_stay_while_another_handle_is_open)
{
	int other = raw_open(self->name, O_WRONLY);
	struct got got;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, give_away(&self->fds, 0));
	close(self->fds.fd);
	EXPECT_FALSE(pipe_is_closed(&self->fds, 50));
	self->fds.fd = raw_open(self->name, O_RDONLY);
	close(other);
	ASSERT_EQ(4, recv_fds(self->fds.fd, 0, 1, &got));
	EXPECT_EQ(1U, got.msg.nfds);
	EXPECT_EQ(0U, got.msg.flags & MBOX_CTRUNC);
	close(got.fds[0]);
}

/* What is sent afterwards is not concerned. */
TEST_F(given_up, descriptors_queued_later_stay)
{
	struct got got;

	ASSERT_EQ(0, send_fds(self->fds.fd, 0, self->fds.pipe, 1));
	close(self->fds.fd);
	self->fds.fd = raw_open(self->name, O_RDWR);
	ASSERT_EQ(0, send_fds(self->fds.fd, 0, self->fds.pipe, 1));
	ASSERT_EQ(4, recv_fds(self->fds.fd, 0, 1, &got));
	EXPECT_EQ(0U, got.msg.nfds);
	ASSERT_EQ(4, recv_fds(self->fds.fd, 0, 1, &got));
	EXPECT_EQ(1U, got.msg.nfds);
	close(got.fds[0]);
}

static int send_and_be_killed(void *arg)
{
	FIXTURE_DATA(given_up) *self = arg;
	int fd = raw_open(self->name, O_WRONLY);

	CHECK(fd >= 0);
	CHECK_EQ(0, give_away(&self->fds, 0));
	raise(SIGKILL);
	return 1;
}

TEST_F(given_up, killed_last_process_releases_queued_descriptors)
{
	pid_t pid = spawn(send_and_be_killed, self);

	close(self->fds.fd);
	self->fds.fd = -1;
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	close(self->fds.pipe[1]);
	self->fds.pipe[1] = -1;
	EXPECT_TRUE(pipe_is_closed(&self->fds, WAIT_LIMIT_MS));
}

static int send_as_a_user(void *arg)
{
	FIXTURE_DATA(given_up) *self = arg;
	struct rlimit limit = { LIMIT, LIMIT };
	int many[MBOX_FDS_MAX], fd, i;

	for (i = 0; i < MBOX_FDS_MAX; i++)
		many[i] = self->fds.pipe[0];
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (i = 0; i < 4; i++) {
		fd = raw_open(self->name, O_WRONLY);
		CHECK(fd >= 0);
		CHECK_EQ(0, send_fds(fd, 0, many, 32));
		/* Half of them with one owner. */
		CHECK_EQ(-EAGAIN, send_fds(fd, 0, many, 1));
		close(fd);
	}
	return 0;
}

TEST_F(given_up, released_descriptors_are_not_charged)
{
	struct mbox_attr attr = attr_of(0, 64);
	mode_t mask = umask(0);

	close(self->fds.fd);
	raw_unlink(self->name);
	attr.perm = 0666;
	self->fds.fd = raw_create(self->name, O_RDWR | O_EXCL, &attr);
	umask(mask);
	ASSERT_LE(0, self->fds.fd);
	close(self->fds.fd);
	self->fds.fd = -1;
	EXPECT_EQ(0, in_child(send_as_a_user, self));
}

TEST_F(given_up, file_system_of_a_queued_descriptor_can_be_unmounted)
{
	char dir[64], file[80];
	int fd, i, ret = -1;

	snprintf(dir, sizeof(dir), "/tmp/fds-mount-%d", getpid());
	ASSERT_EQ(0, mkdir(dir, 0700));
	ASSERT_EQ(0, mount("fds", dir, "tmpfs", 0, ""));
	snprintf(file, sizeof(file), "%s/file", dir);
	fd = open(file, O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, send_fds(self->fds.fd, 0, &fd, 1));
	close(fd);
	EXPECT_EQ(-EBUSY, neg(umount(dir)));
	close(self->fds.fd);
	self->fds.fd = -1;
	for (i = 0; i < WAIT_LIMIT_MS && ret; i++) {
		ret = umount(dir);
		if (ret)
			usleep(1000);
	}
	EXPECT_EQ(0, ret);
	rmdir(dir);
}

/* As much as half of what a user may have, with its namespace, and a socket of it. */
static int fill_a_namespace(void *arg)
{
	struct mbox_attr attr = attr_of(0, 64);
	size_t len = 1 << 20;
	void *buf = calloc(1, len);
	struct mbox_msg msg = msg_of(buf, len, MBOX_DONTWAIT);
	int fds[2], fd, i;

	CHECK(buf);
	CHECK_EQ(0, unshare(CLONE_NEWNET));
	CHECK_EQ(0, become(USER_B, GROUP_B));
	attr.msg_max = len;
	fds[0] = open("/proc/self/ns/net", O_RDONLY);
	fds[1] = socket(AF_NETLINK, SOCK_RAW, 0);
	CHECK(fds[0] >= 0 && fds[1] >= 0);
	fd = raw_create("full", O_RDWR | O_EXCL, &attr);
	CHECK(fd >= 0);
	msg.nfds = 2;
	msg.fds = (uintptr_t)fds;
	for (i = 0; i < 9; i++)
		if (raw(fd, MBOX_IOC_SEND, &msg))
			return 100 + i;
	return 0;
}

TEST_F(given_up, network_namespace_of_a_queued_descriptor_ends)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	int ret;

	ret = in_child(fill_a_namespace, NULL);
	ASSERT_EQ(0, ret);
	/* There is room for that once more when the first is gone. */
	do {
		ret = in_child(fill_a_namespace, NULL);
		if (ret)
			usleep(50000);
	} while (ret && now_ns(CLOCK_MONOTONIC) < limit);
	EXPECT_EQ(0, ret);
}

/* Handles come and go while there are messages that carry something. */
static int open_and_close(void *arg)
{
	FIXTURE_DATA(given_up) *self = arg;
	struct got got;
	int i, fd;

	for (i = 0; i < 300; i++) {
		fd = raw_open(self->name, O_RDWR);
		CHECK(fd >= 0);
		send_fds(fd, 0, self->fds.pipe, 2);
		if (i & 1 && recv_fds(fd, 0, 2, &got) == 4) {
			CHECK(got.msg.nfds == 2 ? !(got.msg.flags & MBOX_CTRUNC) :
			      !got.msg.nfds && got.msg.flags & MBOX_CTRUNC);
			while (got.msg.nfds)
				close(got.fds[--got.msg.nfds]);
		}
		close(fd);
	}
	return 0;
}

TEST_F(given_up, release_races_with_open_and_close)
{
	pid_t pids[4];
	struct got got;
	int i;

	close(self->fds.fd);
	self->fds.fd = -1;
	for (i = 0; i < 4; i++)
		pids[i] = spawn(open_and_close, self);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, reap(pids[i]));
	close(self->fds.pipe[1]);
	self->fds.pipe[1] = -1;
	EXPECT_TRUE(pipe_is_closed(&self->fds, WAIT_LIMIT_MS));
	self->fds.fd = raw_open(self->name, O_RDWR);
	while (recv_fds(self->fds.fd, 0, 2, &got) == 4)
		EXPECT_EQ(MBOX_CTRUNC, got.msg.flags & MBOX_CTRUNC);
}

/* ---- calls that wait ----------------------------------------------------- */

TEST_F(fds, waiting_receiver_gets_descriptors)
{
	struct call c = { .msg.nfds = 1 };
	int got = -1;

	c.msg.fds = (uintptr_t)&got;
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, give_away(self, 0));
	EXPECT_EQ(7, recv_join(&c));
	EXPECT_EQ(1U, c.msg.nfds);
	EXPECT_EQ(O_WRONLY, fcntl(got, F_GETFL) & O_ACCMODE);
}

TEST_F(fds, rendezvous_carries_descriptors)
{
	struct call c = { .msg.nfds = 1 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	c.msg.fds = (uintptr_t)&self->pipe[1];
	ASSERT_EQ(0, send_start(&c, self->fd, 1));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(4, recv_fds(self->fd, 0, 1, &self->got));
	EXPECT_EQ(0, call_join(&c));
	EXPECT_EQ(1U, self->got.msg.nfds);
	EXPECT_EQ(O_WRONLY, fcntl(self->got.fds[0], F_GETFL) & O_ACCMODE);
}

/*
 * A rendezvous: @receiver copies the message slowly, its sender takes it back meanwhile, and
 * the copy goes on. Returns 0 or an error.
 */
static long withdraw_while_copied(FIXTURE_DATA(fds) *self, struct call *receiver)
{
	struct call sender = { .msg.nfds = 1, .msg.fds = (uintptr_t)&self->pipe[1] };
	long ret;

	ret = send_start(&sender, self->fd, 1) ?: await_waiting(self->fd, 1, 0) ?:
	      call_start(receiver, self->fd, MBOX_IOC_RECV) ?: slow_await(&self->slow);
	if (ret)
		return ret;
	close(self->pipe[1]);
	self->pipe[1] = -1;
	ret = -pthread_kill(sender.thread, SIGUSR1);
	if (!ret)
		ret = call_join(&sender);
	return ret == -EINTR ? slow_go_on(&self->slow) : ret ?: -EPROTO;
}

/* The sender takes it back while it is being copied: nothing is installed. */
TEST_F(fds, withdrawn_message_installs_no_descriptor)
{
	struct call receiver = { 0 };
	int got = POISON;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	if (slow_init(&self->slow))
		SKIP(return, "no userfaultfd");
	receiver.msg = msg_of(self->slow.page, 4, MBOX_DONTWAIT);
	receiver.msg.nfds = 1;
	receiver.msg.fds = (uintptr_t)&got;
	ASSERT_EQ(0, withdraw_while_copied(self, &receiver));
	EXPECT_EQ(-EAGAIN, call_join(&receiver));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	EXPECT_EQ(1U, receiver.msg.nfds);
	EXPECT_EQ(POISON, got);
}

/* ---- closed, although the call goes on to wait ----------------------------- */

TEST_F(fds, dropped_ones_are_closed_while_the_call_that_dropped_them_waits)
{
	struct caller c = {};

	close(self->fd);
	self->fd = new_mailbox(MBOX_DROP_OLDEST, 1);
	ASSERT_EQ(0, give_away(self, 0));
	ASSERT_EQ(0, caller_start(&c, self->fd, 1));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, caller_join(&c));
}

TEST_F(fds, withdrawn_ones_are_closed_while_the_receiver_waits_for_another)
{
	struct call receiver = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	if (slow_init(&self->slow))
		SKIP(return, "no userfaultfd");
	receiver.msg = msg_of(self->slow.page, 4, 0);
	ASSERT_EQ(0, withdraw_while_copied(self, &receiver));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(4, call_join(&receiver));
}

TEST_F(fds, ones_without_room_are_closed_while_a_batch_waits_for_the_next_message)
{
	__u32 values[2];
	struct mbox_msg msgs[] = {
		msg_of(&values[0], 4, 0),
		msg_of(&values[1], 4, 0),
	};
	struct mbox_vec vec = {
		.msgs = (uintptr_t)msgs, .n = 2, .msg_size = sizeof(msgs[0]),
	};
	struct call c = { .arg = &vec };

	ASSERT_EQ(0, give_away(self, 0));
	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_RECVV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(2, call_join(&c));
	EXPECT_EQ(MBOX_CTRUNC, msgs[0].flags);
}

TEST_F(fds, those_of_a_leased_request_are_closed_while_its_server_waits_for_the_next)
{
	__u32 value = 1, got = 0, next = 0;
	struct mbox_msg req = msg_of(&value, sizeof(value), 0);
	struct mbox_msg msgs[] = {
		msg_of(&got, sizeof(got), MBOX_LEASE),
		msg_of(&next, sizeof(next), 0),
	};
	struct mbox_reply_recv arg = {
		.next = (uintptr_t)&msgs[1],
		.next_size = sizeof(msgs[1]),
	};
	struct call c = { .arg = &arg };
	__u64 token;

	req.nfds = 1;
	req.fds = (uintptr_t)&self->pipe[1];
	ASSERT_EQ(0, raw_call_start(self->fd, &req, 0, &token));
	close(self->pipe[1]);
	self->pipe[1] = -1;
	ASSERT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &msgs[0]));
	EXPECT_FALSE(pipe_is_closed(self, 0));
	arg.reply.token = msgs[0].token;
	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_REPLY_RECV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_TRUE(pipe_is_closed(self, WAIT_LIMIT_MS));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(4, call_join(&c));
}

/* ---- the limit ----------------------------------------------------------- */

static int send_too_many(void *arg)
{
	FIXTURE_DATA(fds) *self = arg;
	struct rlimit limit = { LIMIT, LIMIT };
	int many[MBOX_FDS_MAX], fd, i;

	for (i = 0; i < MBOX_FDS_MAX; i++)
		many[i] = self->pipe[0];
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_EQ(0, send_fds(fd, 0, many, 32));
	CHECK_EQ(0, send_fds(fd, 0, many, 31));
	CHECK_EQ(-ETOOMANYREFS, send_fds(fd, 0, many, 2));
	/* One that fails is not counted. */
	many[0] = -1;
	CHECK_EQ(-EBADF, send_fds(fd, 0, many, 1));
	many[0] = fd;
	CHECK_EQ(-ELOOP, send_fds(fd, 0, many, 1));
	many[0] = self->pipe[0];
	CHECK_EQ(0, send_fds(fd, 0, many, 1));
	CHECK_EQ(-ETOOMANYREFS, send_fds(fd, 0, many, 1));
	CHECK_EQ(0, raw_send(fd, "", 1, MBOX_DONTWAIT));
	/* Free again, whether received or not. */
	CHECK_EQ(4, recv_fds(fd, 0, 0, &self->got));
	CHECK_EQ(0, send_fds(fd, 0, many, 32));
	CHECK_EQ(-ETOOMANYREFS, send_fds(fd, 0, many, 1));
	CHECK_EQ(4, recv_fds(fd, 0, 4, &self->got));
	CHECK_EQ(4U, self->got.msg.nfds);
	CHECK_EQ(0, send_fds(fd, 0, many, 31));
	CHECK_EQ(-ETOOMANYREFS, send_fds(fd, 0, many, 1));
	return 0;
}

TEST_F(fds, descriptors_beyond_the_limit_are_ETOOMANYREFS)
{
	int many[MBOX_FDS_MAX], i;

	/* Before another user's, which would take its place. */
	EXPECT_EQ(0, in_child(send_too_many, self));
	for (i = 0; i < MBOX_FDS_MAX; i++)
		many[i] = self->pipe[0];
	/* For that user only. */
	EXPECT_EQ(0, send_fds(self->fd, 0, many, 32));
}

TEST_HARNESS_MAIN
