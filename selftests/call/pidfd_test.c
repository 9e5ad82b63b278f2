// SPDX-License-Identifier: GPL-2.0-only
/* Direct links to the process of a pidfd. */
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "hold_up.h"
#include "peers.h"

static int pidfd_of(pid_t pid)
{
	return neg(syscall(SYS_pidfd_open, pid, 0));
}

/* The handle, or NULL and -errno in *@ret. */
static struct mbox *link_by(int pidfd, int oflags, long *ret)
{
	struct mbox *mb;

	errno = 0;
	mb = mbox_direct_pidfd(pidfd, oflags);
	*ret = mb ? 0 : -errno;
	return mb;
}

/* -errno, or 0 when it wrongly succeeds. */
static long failure_of(int pidfd, int oflags)
{
	long ret;

	mbox_close(link_by(pidfd, oflags, &ret));
	return ret;
}

static int wait_for_the_end(void *arg)
{
	pause();
	return 0;
}

/* clone3(2) with a number of the caller's choice; -errno if it is not free. */
static pid_t spawn_as(pid_t nr)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&nr,
		.set_tid_size = 1,
	};
	pid_t pid = neg(syscall(SYS_clone3, &args, sizeof(args)));

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pause();
	_exit(0);
}

FIXTURE(pidfd)
{
	pid_t pid;
	int fd;
	int fds;
};

FIXTURE_SETUP(pidfd)
{
	self->pid = spawn(wait_for_the_end, NULL);
	ASSERT_LT(0, self->pid);
	self->fd = pidfd_of(self->pid);
	ASSERT_LE(0, self->fd);
	self->fds = open_descriptors();
}

FIXTURE_TEARDOWN(pidfd)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		reap(self->pid);
	}
	close(self->fd);
}

TEST_F(pidfd, opens_the_link_to_its_process)
{
	int fd = raw_direct(self->pid, O_RDWR);
	struct mbox *mb;
	long ret;

	ASSERT_LE(0, fd);
	mb = link_by(self->fd, O_RDWR | O_NONBLOCK, &ret);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(stat_of(fd).id, stat_of(mbox_fd(mb)).id);
	EXPECT_EQ(FD_CLOEXEC, fcntl(mbox_fd(mb), F_GETFD));
	EXPECT_EQ(-EAGAIN, neg(mbox_recv(mb, NULL, 0, 0)));
	EXPECT_EQ(0, mbox_close(mb));
	mb = link_by(self->fd, O_WRONLY, &ret);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(-EBADF, neg(mbox_recv(mb, NULL, 0, 0)));
	EXPECT_EQ(0, mbox_close(mb));
	close(fd);
	/* The pidfd is the caller's still. */
	EXPECT_EQ(self->fds, open_descriptors());
	EXPECT_EQ(0, syscall(SYS_pidfd_send_signal, self->fd, 0, NULL, 0));
}

TEST_F(pidfd, other_descriptor_is_EBADF)
{
	int null = open("/dev/null", O_RDWR), closed = dup(null);
	struct mbox *mb = mbox_create(NULL, O_RDWR, NULL);
	int link = raw_direct(self->pid, O_RDWR);

	ASSERT_TRUE(!!mb);
	close(closed);
	EXPECT_EQ(-EBADF, failure_of(-1, O_RDWR));
	EXPECT_EQ(-EBADF, failure_of(INT32_MAX, O_RDWR));
	EXPECT_EQ(-EBADF, failure_of(closed, O_RDWR));
	EXPECT_EQ(-EBADF, failure_of(null, O_RDWR));
	EXPECT_EQ(-EBADF, failure_of(mbox_fd(mb), O_RDWR));
	EXPECT_EQ(-EBADF, failure_of(link, O_RDWR));
	mbox_close(mb);
	close(link);
	close(null);
	EXPECT_EQ(self->fds, open_descriptors());
}

TEST_F(pidfd, errors_are_those_of_a_pid)
{
	int own = pidfd_of(getpid());

	EXPECT_EQ(-EINVAL, failure_of(own, O_RDWR));
	close(own);
	EXPECT_EQ(-EINVAL, failure_of(self->fd, O_RDWR | O_CREAT));
	EXPECT_EQ(-EINVAL, failure_of(self->fd, O_ACCMODE));
	EXPECT_EQ(self->fds, open_descriptors());
}

TEST_F(pidfd, ended_process_is_ESRCH)
{
	siginfo_t info;

	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	ASSERT_EQ(0, waitid(P_PID, self->pid, &info, WEXITED | WNOWAIT));
	EXPECT_EQ(-ESRCH, failure_of(self->fd, O_RDWR));
	EXPECT_EQ(1000 + SIGKILL, reap(self->pid));
	EXPECT_EQ(-ESRCH, failure_of(self->fd, O_RDWR));
	/* Whoever has its number now. */
	self->pid = spawn_as(self->pid);
	if (self->pid < 0)
		SKIP(return, "cannot choose a number: %s", strerror(-self->pid));
	EXPECT_EQ(-ESRCH, failure_of(self->fd, O_RDWR));
	EXPECT_EQ(self->fds, open_descriptors());
}

/* ---- the number changes hands in between ---------------------------------- */

struct opener {
	pthread_t thread;
	int pidfd;
	int listener;
	long ret;
};

static void *open_slowly(void *arg)
{
	struct opener *o = arg;
	int listener = hold_up(MBOX_IOC_DIRECT);

	__atomic_store_n(&o->listener, listener, __ATOMIC_RELEASE);
	if (listener >= 0)
		o->ret = failure_of(o->pidfd, O_RDWR);
	return NULL;
}

TEST_F(pidfd, reused_pid_is_ESRCH)
{
	struct opener o = { .pidfd = self->fd, .listener = POISON32 };
	struct seccomp_notif stopped;
	pid_t pid = self->pid;
	int link, listener;

	ASSERT_EQ(0, thread_start(&o.thread, open_slowly, &o));
	do {
		listener = __atomic_load_n(&o.listener, __ATOMIC_ACQUIRE);
	} while (listener == (int)POISON32);
	if (listener < 0) {
		pthread_join(o.thread, NULL);
		SKIP(return, "no seccomp: %s", strerror(-listener));
	}
	/* It knows the number, and has not opened the link. */
	ASSERT_EQ(0, await_held_up(listener, &stopped));
	kill(pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	self->pid = spawn_as(pid);
	EXPECT_EQ(0, let_go_on(listener, &stopped));
	pthread_join(o.thread, NULL);
	close(listener);
	EXPECT_EQ(-ESRCH, o.ret);
	EXPECT_EQ(self->fds, open_descriptors());
	if (self->pid < 0)
		SKIP(return, "cannot choose a number: %s", strerror(-self->pid));
	/* There is that process. */
	link = raw_direct(pid, O_RDWR);
	EXPECT_LE(0, link);
	close(link);
}

/* ---- /proc ---------------------------------------------------------------- */

static int hide_proc(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/proc", "tmpfs", 0, NULL))
		return neg(-1);
	return 0;
}

static int open_without_proc(void *arg)
{
	CHECK_EQ(0, hide_proc());
	CHECK_EQ(-ENOENT, failure_of(*(int *)arg, O_RDWR));
	CHECK_EQ(-EBADF, failure_of(-1, O_RDWR));
	return 0;
}

TEST_F(pidfd, without_proc_is_ENOENT)
{
	EXPECT_EQ(0, in_child(open_without_proc, &self->fd));
}

/* The number of a pidfd's process in the numbers of /proc. */
static long outer_number(int pidfd)
{
	return fdinfo_number(pidfd, "\nPid:\t");
}

/* The first process of a pid namespace, with the /proc of another. */
static int inside_main(int outside)
{
	pid_t pid = spawn(wait_for_the_end, NULL), other;
	int pidfd = pidfd_of(pid);
	struct mbox *mb;
	long nr, ret;

	CHECK_EQ(1, getpid());
	CHECK(pidfd >= 0);
	nr = outer_number(pidfd);
	CHECK(nr > 0);
	/* It has no such number here, or, worse, another process has. */
	CHECK_EQ(-ESRCH, failure_of(pidfd, O_RDWR));
	other = spawn_as(nr);
	if (other > 0)
		CHECK_EQ(-ESRCH, failure_of(pidfd, O_RDWR));
	/* Not in this namespace. */
	CHECK_EQ(-ESRCH, failure_of(outside, O_RDWR));

	CHECK_EQ(0, hide_proc());
	CHECK_EQ(0, mount("proc", "/proc", "proc", 0, NULL));
	CHECK_EQ(-ESRCH, failure_of(outside, O_RDWR));
	CHECK_EQ(pid, outer_number(pidfd));
	mb = link_by(pidfd, O_RDWR, &ret);
	CHECK(mb);
	CHECK_EQ(0, mbox_close(mb));
	return 0;
}

TEST_F(pidfd, proc_of_another_pid_namespace_is_ESRCH)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		SKIP(return, "no pid namespace: %s", strerror(errno));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(inside_main(self->fd));
	}
	EXPECT_EQ(0, reap(pid));
}

/* ---- permission ----------------------------------------------------------- */

struct strangers {
	pid_t root;
	int pidfd;
	int sock[2];
};

static int be_asked(void *arg)
{
	struct strangers *s = arg;
	char c;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EPERM, failure_of(s->pidfd, O_RDWR));
	CHECK_EQ(1, send(s->sock[1], "", 1, 0));
	CHECK_EQ(1, recv(s->sock[1], &c, 1, 0));
	/* It may not send that process a signal. */
	CHECK_EQ(0, failure_of(s->pidfd, O_RDWR));
	return 0;
}

TEST_F(pidfd, peer_of_an_open_link_needs_no_permission)
{
	struct strangers s = { .pidfd = pidfd_of(getpid()) };
	int link;
	pid_t pid;
	char c;

	ASSERT_LE(0, s.pidfd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s.sock));
	pid = spawn(be_asked, &s);
	close(s.sock[1]);
	ASSERT_EQ(1, recv(s.sock[0], &c, 1, 0));
	link = raw_direct(pid, O_RDWR);
	ASSERT_LE(0, link);
	ASSERT_EQ(1, send(s.sock[0], "", 1, 0));
	EXPECT_EQ(0, reap(pid));
	close(link);
	close(s.pidfd);
}

TEST_HARNESS_MAIN
