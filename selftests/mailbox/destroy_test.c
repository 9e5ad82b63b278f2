// SPDX-License-Identifier: GPL-2.0-only
/* Destroy: every waiting call is woken, and no later one succeeds. */
#include <poll.h>
#include <sys/epoll.h>

#include "locked_dir.h"
#include "mboxfs.h"
#include "peers.h"

FIXTURE(destroy)
{
	char name[64];
	int fd;
};

FIXTURE_SETUP(destroy)
{
	struct mbox_attr attr = attr_of(0, 1);

	umask(0);
	test_name(self->name, sizeof(self->name), "destroy");
	self->fd = raw_create(self->name, O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(destroy)
{
	raw_unlink(self->name);
	close(self->fd);
}

TEST_F(destroy, every_later_call_is_EIDRM)
{
	int other = raw_open(self->name, O_RDONLY);
	struct mbox *mb = mbox_from_fd(dup(self->fd));
	struct mbox_msg msg = msg_of("x", 1, 0);
	struct mbox_stat st;
	char c;

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, mbox_destroy(mb));
	EXPECT_EQ(-EIDRM, put(self->fd, 1));
	EXPECT_EQ(-EIDRM, raw_send(self->fd, "x", 1, 0));
	EXPECT_EQ(-EIDRM, raw_send(self->fd, "x", 1, MBOX_SYNC));
	EXPECT_EQ(-EIDRM, take(self->fd));
	EXPECT_EQ(-EIDRM, take(other));
	EXPECT_EQ(-EIDRM, raw_recv(self->fd, &c, 1, 0));
	EXPECT_EQ(-EIDRM, take_as(self->fd, MBOX_PEEK, 0, 0));
	EXPECT_EQ(-EIDRM, raw_vec(self->fd, MBOX_IOC_SENDV, &msg, 1, 0));
	EXPECT_EQ(-EIDRM, raw_vec(self->fd, MBOX_IOC_RECVV, &msg, 1, 0));
	EXPECT_EQ(-EIDRM, neg(write(self->fd, "x", 1)));
	EXPECT_EQ(-EIDRM, neg(read(self->fd, &c, 1)));
	EXPECT_EQ(-EIDRM, raw_stat(self->fd, &st));
	EXPECT_EQ(-EIDRM, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(-EIDRM, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, neg(mbox_destroy(mb)));
	errno = 0;
	EXPECT_FALSE(!!mbox_from_fd(other));
	EXPECT_EQ(EIDRM, errno);
	EXPECT_EQ(0, mbox_close(mb));
	close(other);
}

TEST_F(destroy, EINVAL_and_EBADF_come_before_EIDRM)
{
	int reader = raw_open(self->name, O_RDONLY);

	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EINVAL, raw_send(self->fd, "x", 1, MBOX_PEEK));
	EXPECT_EQ(-EBADF, put(reader, 1));
	close(reader);
}

TEST_F(destroy, name_and_id_are_ENOENT)
{
	struct mbox_attr attr = attr_of(0, 1);
	__u64 id = stat_of(self->fd).id;
	int seen = count_mailboxes(), fresh;

	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_unlink(self->name));
	EXPECT_EQ(seen - 1, count_mailboxes());
	fresh = raw_create(self->name, O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, fresh);
	EXPECT_NE(id, stat_of(fresh).id);
	EXPECT_EQ(0, put(fresh, 1));
	EXPECT_EQ(-EIDRM, put(self->fd, 1));
	close(fresh);
}

TEST_F(destroy, poll_reports_error_and_hangup)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN | POLLOUT };

	ASSERT_EQ(0, raw_destroy(self->fd));
	p.revents = (short)POISON32;
	ASSERT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(POLLERR | POLLHUP, p.revents & (POLLERR | POLLHUP));
}

/* Any calls that wait, all at once. */
static void destroy_while_waiting(struct __test_metadata *_metadata, int fd, struct call *calls,
				  int n, unsigned int cmd, __u32 senders, __u32 receivers)
{
	int i;

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, call_start(&calls[i], fd, cmd));
	ASSERT_EQ(0, await_waiting(fd, senders, receivers));
	ASSERT_EQ(0, raw_destroy(fd));
	for (i = 0; i < n; i++)
		EXPECT_EQ(-EIDRM, call_join(&calls[i]));
}

TEST_F(destroy, wakes_receivers)
{
	struct call calls[6] = { 0 };

	calls[1].msg.flags = MBOX_PEEK;
	calls[2].msg.flags = MBOX_MATCH;
	calls[3].msg.flags = MBOX_TRUNC;
	calls[4].msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 3600 * 1000);
	destroy_while_waiting(_metadata, self->fd, calls, 6, MBOX_IOC_RECV, 0, 6);
}

TEST_F(destroy, wakes_senders_for_room)
{
	struct call calls[4] = { 0 };

	calls[1].msg.flags = MBOX_SYNC;
	calls[2].msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 3600 * 1000);
	ASSERT_EQ(0, put(self->fd, 1));
	destroy_while_waiting(_metadata, self->fd, calls, 4, MBOX_IOC_SEND, 4, 0);
}

TEST_F(destroy, wakes_senders_for_a_receiver)
{
	struct call calls[3] = { 0 };

	calls[1].msg.flags = MBOX_SYNC;
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	destroy_while_waiting(_metadata, self->fd, calls, 3, MBOX_IOC_SEND, 3, 0);
}

TEST_F(destroy, wakes_a_synchronous_sender)
{
	struct call calls[1] = { 0 };

	calls[0].msg.flags = MBOX_SYNC;
	destroy_while_waiting(_metadata, self->fd, calls, 1, MBOX_IOC_SEND, 1, 0);
}

TEST_F(destroy, wakes_batches)
{
	struct mbox_msg msgs[2] = { 0 };
	struct mbox_vec vec = { .msgs = (uintptr_t)msgs, .n = 2, .msg_size = sizeof(msgs[0]) };
	struct call c = { .arg = &vec };

	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_RECVV));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, call_join(&c));
}

struct reader {
	pthread_t thread;
	pid_t tid;
	int fd;
	long ret;
	char c;
};

static void *read_one(void *arg)
{
	struct reader *r = arg;

	__atomic_store_n(&r->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	errno = 0;
	r->ret = neg(read(r->fd, &r->c, 1));
	return NULL;
}

TEST_F(destroy, wakes_read)
{
	struct reader r = { .fd = self->fd };

	ASSERT_EQ(0, thread_start(&r.thread, read_one, &r));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, raw_destroy(self->fd));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(-EIDRM, r.ret);
}

static void *poll_one(void *arg)
{
	struct reader *r = arg;
	struct pollfd p = { .fd = r->fd, .events = POLLIN };

	__atomic_store_n(&r->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	r->ret = poll(&p, 1, -1) == 1 ? p.revents : -errno;
	return NULL;
}

TEST_F(destroy, wakes_poll)
{
	struct reader r = { .fd = self->fd };

	ASSERT_EQ(0, thread_start(&r.thread, poll_one, &r));
	ASSERT_EQ(0, await_asleep(&r.tid));
	ASSERT_EQ(0, raw_destroy(self->fd));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(POLLERR | POLLHUP, r.ret & (POLLERR | POLLHUP));
}

static void *epoll_one(void *arg)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct reader *r = arg;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, r->fd, &event);
	event.events = 0;
	__atomic_store_n(&r->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	r->ret = epoll_wait(ep, &event, 1, -1) == 1 ? (long)event.events : -errno;
	close(ep);
	return NULL;
}

TEST_F(destroy, wakes_edge_triggered_epoll)
{
	struct reader r = { .fd = self->fd };

	ASSERT_EQ(0, thread_start(&r.thread, epoll_one, &r));
	ASSERT_EQ(0, await_asleep(&r.tid));
	ASSERT_EQ(0, raw_destroy(self->fd));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(EPOLLERR | EPOLLHUP, (__u32)r.ret & (EPOLLERR | EPOLLHUP));
}

static int wait_in_child(void *arg)
{
	char c;

	CHECK_EQ(-EIDRM, raw_recv(*(int *)arg, &c, 1, 0));
	return 0;
}

TEST_F(destroy, wakes_other_processes)
{
	pid_t pids[4];
	int i;

	for (i = 0; i < 4; i++)
		pids[i] = spawn(wait_in_child, &self->fd);
	ASSERT_EQ(0, await_waiting(self->fd, 0, 4));
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, reap(pids[i]));
}

static int queue_and_destroy(void *arg)
{
	struct mbox_attr attr = attr_of(0, MBOX_UNBOUNDED);
	long limit = param_get("user_bytes");
	static char big[1 << 20];
	/* The header of each piece counts too. */
	long ret, sent, n = limit / ((long)sizeof(big) + 4096);
	int fd, round;

	(void)arg;
	CHECK(n > 0);
	attr.msg_max = sizeof(big);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	/* The second round needs the budget of the first. */
	for (round = 0; round < 2; round++) {
		fd = raw_create(NULL, O_RDWR, &attr);
		CHECK(fd >= 0);
		for (sent = 0; !(ret = raw_send(fd, big, sizeof(big), 0)); sent++)
			;
		CHECK_EQ(-EDQUOT, ret);
		CHECK_EQ(n, sent);
		CHECK_EQ(0, raw_destroy(fd));
	}
	return 0;
}

TEST_F(destroy, destroy_releases_the_messages_at_once)
{
	if (param_get("msg_max_limit") < 1 << 20)
		SKIP(return, "msg_max_limit is below 1 MiB");
	EXPECT_EQ(0, in_child(queue_and_destroy, NULL));
}

/* ---- the name, of which the directory is locked ------------------------------------ */

struct blocked {
	pthread_t thread;
	const char *name;
	int fd;
	int ret;
};

static void *destroy_it(void *arg)
{
	struct blocked *b = arg;

	b->ret = raw_destroy(b->fd);
	return NULL;
}

static void *create_it(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);
	struct blocked *b = arg;

	b->fd = raw_create(b->name, O_RDWR | O_EXCL, &attr);
	return NULL;
}

/* Until the user of this process is charged for so much. */
static int await_bytes(__u64 bytes)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct mbox_info info;

	do {
		memset(&info, 0, sizeof(info));
		if (!raw_control(MBOX_IOC_INFO, &info) && info.bytes == bytes)
			return 0;
		pause_briefly();
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	return -ETIMEDOUT;
}

/* Anybody can lock the directory for long. The mailbox ends all the same, at once. */
TEST_F(fs, destroy_waits_for_the_directory_after_all_else)
{
	struct blocked destroyer = { .fd = self->fd }, creator = { .name = self->name };
	struct pollfd p = { .fd = self->fd };
	__u64 id = stat_of(self->fd).id;
	struct locked_dir locked = { 0 };
	struct mbox_info before = { 0 };
	struct call sender = { 0 };
	int ret, i;

	/* The handle keeps its last sender. */
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(0, raw_control(MBOX_IOC_INFO, &before));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, put(self->fd, i));
	ASSERT_EQ(0, send_start(&sender, self->fd, 4));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ret = locked_dir_start(&locked, self->root);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "no userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	/* Most likely it is the first to find the name when the lock is free. */
	ASSERT_EQ(0, thread_start(&creator.thread, create_it, &creator));
	usleep(300000);
	ASSERT_EQ(0, thread_start(&destroyer.thread, destroy_it, &destroyer));

	ASSERT_EQ(1, poll(&p, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLERR | POLLHUP, p.revents & (POLLERR | POLLHUP));
	EXPECT_EQ(-EIDRM, call_join(&sender));
	EXPECT_EQ(0, await_bytes(before.bytes));
	EXPECT_EQ(-EIDRM, take(self->fd));
	EXPECT_EQ(-EIDRM, raw_destroy(self->fd));
	/* The name is there, and whoever opens it learns what it leads to. */
	EXPECT_EQ(0, access(self->path, F_OK));
	EXPECT_EQ(-EIDRM, tried(self->path, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
	EXPECT_EQ(0, count_mailboxes());

	EXPECT_LT(0, locked_dir_end(&locked));
	pthread_join(destroyer.thread, NULL);
	pthread_join(creator.thread, NULL);
	EXPECT_EQ(0, destroyer.ret);
	ASSERT_LE(0, creator.fd);
	EXPECT_EQ(0, put(creator.fd, 1));
	EXPECT_NE(id, stat_of(creator.fd).id);
	EXPECT_EQ(0, tried(self->path, O_RDWR));
	close(creator.fd);
}

TEST_HARNESS_MAIN
