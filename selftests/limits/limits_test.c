// SPDX-License-Identifier: GPL-2.0-only
/* Limits per user, and what overrides them. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "costs.h"
#include "fds.h"
#include "peers.h"
#include "slow.h"

/* The header of a message, which counts too. */
#define HEADER 64
/* At least what stands in an index for each message. */
#define ENTRY 96

static const char * const params[] = { "user_mailboxes", "user_bytes", "msg_max_limit" };

FIXTURE(limits)
{
	long saved[ARRAY_SIZE(params)];
	char name[64];
	int fd;
	/* What a message of put() is charged, and what each sender besides. */
	long cost;
	long sender;
};

static long cost_of(size_t len)
{
	return cost_with(len, 0, 0);
}

FIXTURE_SETUP(limits)
{
	struct mbox_attr attr = attr_of(0, MBOX_UNBOUNDED);
	unsigned int i;

	umask(0);
	for (i = 0; i < ARRAY_SIZE(params); i++) {
		self->saved[i] = param_get(params[i]);
		ASSERT_LT(0, self->saved[i]);
	}
	test_name(self->name, sizeof(self->name), "limits");
	attr.perm = 0666;
	self->fd = raw_create(self->name, O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, self->fd);
	self->cost = cost_of(4);
	ASSERT_LT(0, self->cost);
	self->sender = cost_of_sender();
	ASSERT_LT(0, self->sender);
}

FIXTURE_TEARDOWN(limits)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(params); i++)
		param_set(params[i], self->saved[i]);
	raw_unlink(self->name);
	close(self->fd);
}

TEST_F(limits, parameters_are_the_documented_ones)
{
	char path[128];
	struct stat st;
	unsigned int i;

	EXPECT_EQ(256, self->saved[0]);
	EXPECT_EQ(16 << 20, self->saved[1]);
	EXPECT_EQ(1 << 20, self->saved[2]);
	for (i = 0; i < ARRAY_SIZE(params); i++) {
		snprintf(path, sizeof(path), PARAM_DIR "%s", params[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0644U, st.st_mode & 0777);
		ASSERT_EQ(0, param_set(params[i], 1000 + i));
		EXPECT_EQ(1000 + (long)i, param_get(params[i]));
		EXPECT_EQ(-EINVAL, write_file(path, "rubbish"));
		EXPECT_EQ(1000 + (long)i, param_get(params[i]));
	}
}

TEST(ring_barriers_parameter_selects_asymmetric_fences)
{
	char text[16];
	struct stat st;

	ASSERT_EQ(0, stat(PARAM_DIR "ring_barriers", &st));
	EXPECT_EQ(0644U, st.st_mode & 0777);
	ASSERT_EQ(0, read_file(PARAM_DIR "ring_barriers", text, sizeof(text)));
	EXPECT_STREQ("-1\n", text);
}

/* Mailboxes: each test in a child that is an ordinary user, allowed three. */
static int fill_mailboxes(int fds[3])
{
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < 3; i++) {
		fds[i] = new_mailbox(0, MBOX_UNBOUNDED);
		CHECK(fds[i] >= 0);
	}
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	errno = 0;
	CHECK(!mbox_create(NULL, O_RDWR, NULL));
	CHECK_EQ(EDQUOT, errno);
	return 0;
}

static int closing_releases_a_mailbox(void *arg)
{
	int fds[3], copy;

	(void)arg;
	CHECK_EQ(0, fill_mailboxes(fds));
	copy = dup(fds[1]);
	close(fds[1]);
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	close(copy);
	CHECK(new_mailbox(0, 1) >= 0);
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	return 0;
}

static int destroying_releases_a_mailbox(void *arg)
{
	int fds[3];

	(void)arg;
	CHECK_EQ(0, fill_mailboxes(fds));
	CHECK_EQ(0, raw_destroy(fds[0]));
	close(fds[0]);
	CHECK(new_mailbox(0, 1) >= 0);
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	return 0;
}

static int names_count_without_handles(void *arg)
{
	FIXTURE_DATA(limits) *self = arg;
	struct mbox_attr attr = attr_of(0, 1);
	char name[80];
	int fds[3];

	CHECK_EQ(0, fill_mailboxes(fds));
	snprintf(name, sizeof(name), "%s-named", self->name);
	CHECK_EQ(-EDQUOT, raw_create(name, O_RDWR, &attr));
	CHECK_EQ(-ENOENT, raw_open(name, O_RDWR));
	close(fds[0]);
	fds[0] = raw_create(name, O_RDWR, &attr);
	CHECK(fds[0] >= 0);
	close(fds[0]);
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	/* Opening one that exists costs nothing. */
	CHECK(raw_create(name, O_RDWR, &attr) >= 0);
	CHECK(raw_open(self->name, O_RDWR) >= 0);
	CHECK_EQ(0, raw_unlink(name));
	return 0;
}

static int other_users_have_their_own(void *arg)
{
	int fds[3], i;

	(void)arg;
	CHECK_EQ(0, become(USER_B, GROUP_B));
	for (i = 0; i < 3; i++) {
		fds[i] = new_mailbox(0, 1);
		CHECK(fds[i] >= 0);
	}
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	return 0;
}

static int fill_and_run_another_user(void *arg)
{
	pid_t other = -1;
	int fds[3], ends[2];
	char c;

	(void)arg;
	CHECK(!pipe(ends));
	other = fork();
	if (!other) {
		/* It begins when the first user has used up everything. */
		if (read(ends[0], &c, 1) != 1)
			_exit(1);
		_exit(other_users_have_their_own(NULL));
	}
	CHECK_EQ(0, fill_mailboxes(fds));
	CHECK_EQ(1, write(ends[1], "", 1));
	CHECK_EQ(0, reap(other));
	return 0;
}

TEST_F(limits, user_mailboxes_is_EDQUOT_until_released)
{
	ASSERT_EQ(0, param_set("user_mailboxes", 3));
	EXPECT_EQ(0, in_child(closing_releases_a_mailbox, NULL));
	EXPECT_EQ(0, in_child(destroying_releases_a_mailbox, NULL));
	EXPECT_EQ(0, in_child(names_count_without_handles, self));
	EXPECT_EQ(0, in_child(fill_and_run_another_user, NULL));
}

TEST_F(limits, CAP_SYS_RESOURCE_overrides_limits)
{
	static char big[8192];
	struct mbox_attr attr = attr_of(0, 1);
	int fds[5], i;

	for (i = 0; i < (int)ARRAY_SIZE(params); i++)
		ASSERT_EQ(0, param_set(params[i], 1));
	for (i = 0; i < 5; i++) {
		fds[i] = raw_create(NULL, O_RDWR, &attr);
		EXPECT_LE(0, fds[i]);
	}
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, raw_send(fds[i], big, sizeof(big), 0));
		close(fds[i]);
	}
}

#ifndef CLONE_NEWUSER
#define CLONE_NEWUSER 0x10000000
#endif

static int info_counts(void *arg)
{
	int fd, memory = memfd_create("limits", MFD_CLOEXEC);
	struct mbox_info before, info;

	(void)arg;
	CHECK(memory >= 0);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, mbox_info(&before));
	CHECK_EQ(0U, before.mailboxes);
	CHECK_EQ(0ULL, before.bytes);
	CHECK_EQ(0U, before.fds);
	fd = new_mailbox(0, 4);
	CHECK(fd >= 0);
	CHECK_EQ(0, send_fds(fd, 0, &memory, 1));
	CHECK_EQ(0, mbox_info(&info));
	CHECK_EQ(1U, info.mailboxes);
	CHECK(info.bytes >= sizeof(__u32));
	CHECK_EQ(1U, info.fds);
	if (!unshare(CLONE_NEWUSER)) {
		/* What is above counts, since it is charged. */
		CHECK(new_mailbox(0, 1) >= 0);
		CHECK_EQ(0, mbox_info(&info));
		CHECK_EQ(2U, info.mailboxes);
		CHECK_EQ(1U, info.fds);
	}
	CHECK_EQ(0, close(fd));
	CHECK_EQ(0, mbox_info(&info));
	CHECK_EQ(0U, info.fds);
	return 0;
}

TEST_F(limits, info_tells_what_the_user_has)
{
	EXPECT_EQ(0, in_child(info_counts, NULL));
}

/* Its capabilities are not those of the system. */
static int root_of_a_user_namespace(void *arg)
{
	int fds[3];

	(void)arg;
	CHECK_EQ(0, fill_mailboxes(fds));
	if (unshare(CLONE_NEWUSER))
		return 4;
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	close(fds[0]);
	CHECK(new_mailbox(0, 1) >= 0);
	return 0;
}

TEST_F(limits, root_of_a_user_namespace_does_not_override_limits)
{
	int ret;

	ASSERT_EQ(0, param_set("user_mailboxes", 3));
	ret = in_child(root_of_a_user_namespace, NULL);
	if (ret == 4)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
}

/* Bytes: the child is an ordinary user, allowed ten messages of put(). */
static int own_mailbox(__u32 flags, __u32 capacity)
{
	CHECK_EQ(0, geteuid() ? 0 : become(USER_A, GROUP_A));
	return new_mailbox(flags, capacity);
}

static int fill_bytes(int fd)
{
	int i;

	for (i = 0; i < 10; i++)
		CHECK_EQ(0, put(fd, i));
	CHECK_EQ(-EDQUOT, put(fd, i));
	CHECK_EQ(-EDQUOT, raw_send(fd, "", 0, 0));
	CHECK_EQ(-EDQUOT, neg(write(fd, "x", 1)));
	return 0;
}

static int receiving_releases_bytes(void *arg)
{
	int fd = own_mailbox(0, MBOX_UNBOUNDED);

	(void)arg;
	CHECK_EQ(0, fill_bytes(fd));
	CHECK_EQ(0, take_as(fd, MBOX_PEEK, 0, 0));
	CHECK_EQ(-EDQUOT, put(fd, 1));
	CHECK_EQ(-EFAULT, raw_recv(fd, (void *)1, 8, 0));
	CHECK_EQ(-EDQUOT, put(fd, 1));
	CHECK_EQ(0, take(fd));
	CHECK_EQ(0, put(fd, 10));
	CHECK_EQ(-EDQUOT, put(fd, 1));
	return 0;
}

static int closing_releases_bytes(void *arg)
{
	int fd = own_mailbox(0, MBOX_UNBOUNDED);

	(void)arg;
	CHECK_EQ(0, fill_bytes(fd));
	close(fd);
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, put(fd, 1));
	return 0;
}

static int destroying_releases_bytes(void *arg)
{
	int fd, fresh;

	(void)arg;
	fd = own_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, fill_bytes(fd));
	CHECK_EQ(0, raw_destroy(fd));
	fresh = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, put(fresh, 1));
	return 0;
}

static int dropping_releases_bytes(void *arg)
{
	int fd = own_mailbox(MBOX_DROP_OLDEST, 5), i;

	(void)arg;
	for (i = 0; i < 100; i++)
		CHECK_EQ(0, put(fd, i));
	CHECK_EQ(95, stat_of(fd).dropped);
	return 0;
}

static int failed_sends_cost_nothing(void *arg)
{
	FIXTURE_DATA(limits) *self = arg;
	int full = new_mailbox(0, 1), mine, i;
	struct mbox_msg past = { .deadline_ns = 1 };

	CHECK_EQ(0, put(full, 1));
	mine = own_mailbox(0, MBOX_UNBOUNDED);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(-EFAULT, raw_send(self->fd, (void *)1, 8, 0));
		CHECK_EQ(-EAGAIN, put(full, 1));
		CHECK_EQ(-ETIMEDOUT, raw(full, MBOX_IOC_SEND, &past));
		past.flags = MBOX_SYNC;
		CHECK_EQ(-ETIMEDOUT, raw(self->fd, MBOX_IOC_SEND, &past));
		past.flags = 0;
	}
	CHECK_EQ(0, fill_bytes(mine));
	return 0;
}

/* What a message is charged is what kmalloc() gives for header and payload. */
TEST(messages_are_charged_for_the_memory_that_they_use)
{
	static const size_t lens[] = {
		0, 1, 32, 33, 64, 128, 500, 1000, 4000, 4096, 5000, 65536, 1 << 20,
	};
	long cost, before = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		cost = cost_of(lens[i]);
		EXPECT_LE((long)lens[i] + HEADER, cost)
			TH_LOG("%zu bytes", lens[i]);
		/* At most the next power of two, and that for each piece. */
		EXPECT_GE((long)(lens[i] + HEADER) * 2 + 128, cost)
			TH_LOG("%zu bytes", lens[i]);
		EXPECT_LE(before, cost)
			TH_LOG("%zu bytes", lens[i]);
		before = cost;
	}
	/* Chunks have headers as well. */
	EXPECT_LE((1 << 20) + (1 << 20) / 4096 * 8, cost_of(1 << 20));
}

TEST(optional_parts_of_messages_are_charged)
{
	EXPECT_LT(cost_with(0, 0, 0), cost_with(0, MBOX_DROP_OLDEST, 0));
	EXPECT_LT(cost_with(0, MBOX_DROP_OLDEST, 0), cost_with(0, MBOX_DROP_OLDEST, 1));
	EXPECT_LE(cost_with(0, MBOX_DROP_OLDEST, 1) + 31 * (long)sizeof(void *),
		  cost_with(0, MBOX_DROP_OLDEST, 32));
}

static int put_until_refused(int fd)
{
	int n = 0;

	while (n < 1000 && !put(fd, n))
		n++;
	CHECK_EQ(-EDQUOT, put(fd, n));
	return n;
}

static int index_counts(void *arg)
{
	FIXTURE_DATA(limits) *self = arg;
	int fd = own_mailbox(0, MBOX_UNBOUNDED), i, more;
	struct mbox_msg msg;
	__u32 value;

	for (i = 0; i < 200; i++)
		CHECK_EQ(0, put(fd, i));
	/* From now on there is an index, for those that are queued too. */
	msg = msg_of(&value, sizeof(value), MBOX_MATCH | MBOX_DONTWAIT);
	msg.type = 9;
	CHECK_EQ(-EAGAIN, raw(fd, MBOX_IOC_RECV, &msg));
	more = put_until_refused(fd);
	CHECK(more > 0);
	CHECK((200 + more) * (self->cost + ENTRY) <= 600 * self->cost);
	for (i = 0; i < 200 + more; i++)
		CHECK_EQ(i < 200 ? i : i - 200, take(fd));
	CHECK_EQ(200 + more, put_until_refused(fd));
	close(fd);
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(600, put_until_refused(fd));
	return 0;
}

static int index_counts_where_the_oldest_go(void *arg)
{
	int fd = own_mailbox(MBOX_DROP_OLDEST, 500), i;
	struct mbox_msg msg;
	__u32 value;

	(void)arg;
	for (i = 0; i < 100; i++)
		CHECK_EQ(0, put(fd, i));
	msg = msg_of(&value, sizeof(value), MBOX_MATCH | MBOX_DONTWAIT);
	msg.type = 9;
	CHECK_EQ(-EAGAIN, raw(fd, MBOX_IOC_RECV, &msg));
	for (; i < 1000; i++)
		CHECK_EQ(0, put(fd, i));
	CHECK(stat_of(fd).dropped > 500);
	return 0;
}

TEST_F(limits, indexes_are_charged_to_the_senders)
{
	ASSERT_EQ(0, param_set("user_bytes", 600 * self->cost + self->sender));
	EXPECT_EQ(0, in_child(index_counts, self));
	EXPECT_EQ(0, in_child(index_counts_where_the_oldest_go, self));
}

TEST_F(limits, user_bytes_is_EDQUOT_until_released)
{
	static int (* const children[])(void *arg) = {
		receiving_releases_bytes, closing_releases_bytes, destroying_releases_bytes,
		dropping_releases_bytes, failed_sends_cost_nothing,
	};
	unsigned int i;

	ASSERT_EQ(0, param_set("user_bytes", 10 * self->cost + self->sender));
	for (i = 0; i < ARRAY_SIZE(children); i++) {
		EXPECT_EQ(0, in_child(children[i], self))
			TH_LOG("case %u", i);
		EXPECT_EQ(0U, stat_of(self->fd).queued);
	}
}

static int send_as_user_b(void *arg)
{
	int fd = *(int *)arg, mine, i;

	CHECK_EQ(0, become(USER_B, GROUP_B));
	for (i = 0; i < 5; i++)
		CHECK_EQ(0, put(fd, i));
	CHECK_EQ(-EAGAIN, put(fd, i));
	mine = new_mailbox(0, MBOX_UNBOUNDED);
	for (i = 0; i < 5; i++)
		CHECK_EQ(0, put(mine, i));
	CHECK_EQ(-EDQUOT, put(mine, i));
	return 0;
}

static int has_half_left(void *arg)
{
	int mine, i;

	(void)arg;
	CHECK_EQ(0, become(USER_B, GROUP_B));
	mine = new_mailbox(0, MBOX_UNBOUNDED);
	for (i = 0; i < 5; i++)
		CHECK_EQ(0, put(mine, i));
	CHECK_EQ(-EDQUOT, put(mine, 1));
	return 0;
}

static int has_its_whole_budget(void *arg)
{
	(void)arg;
	return fill_bytes(own_mailbox(0, MBOX_UNBOUNDED));
}

TEST_F(limits, bytes_are_charged_to_the_sender)
{
	int i;

	/* USER_B fills root's mailbox, through a handle that root opened. */
	ASSERT_EQ(0, param_set("user_bytes", 10 * self->cost + 2 * self->sender));
	EXPECT_EQ(0, in_child(send_as_user_b, &self->fd));
	/* The messages outlive their sender, and so does what they cost. */
	EXPECT_EQ(0, in_child(has_half_left, NULL));
	ASSERT_EQ(0, param_set("user_bytes", 10 * self->cost + self->sender));
	EXPECT_EQ(0, in_child(has_its_whole_budget, NULL));
	ASSERT_EQ(0, param_set("user_bytes", 10 * self->cost + 2 * self->sender));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(i, take(self->fd));
	EXPECT_EQ(0, in_child(send_as_user_b, &self->fd));
}

/* Each message is of another process. */
struct process {
	int fd;
	long ret;
};

static int send_in_a_process(void *arg)
{
	struct process *p = arg;

	CHECK_EQ(p->ret, put(p->fd, 1));
	return 0;
}

static int fill_with_processes(void *arg)
{
	struct process p = { .fd = own_mailbox(0, MBOX_UNBOUNDED) };
	int i;

	(void)arg;
	for (i = 0; i < 10; i++)
		CHECK_EQ(0, in_child(send_in_a_process, &p));
	p.ret = -EDQUOT;
	CHECK_EQ(0, in_child(send_in_a_process, &p));
	CHECK_EQ(-EDQUOT, put(p.fd, 1));
	/* Of both parts, what is left of the last message. */
	CHECK_EQ(1, take(p.fd));
	p.ret = 0;
	CHECK_EQ(0, in_child(send_in_a_process, &p));
	for (i = 0; i < 10; i++)
		CHECK_EQ(1, take(p.fd));
	/* All of it is free again, but for one that is this process. */
	for (i = 0; i < 10; i++)
		CHECK_EQ(0, in_child(send_in_a_process, &p));
	CHECK_EQ(-EDQUOT, put(p.fd, 1));
	return 0;
}

TEST_F(limits, sender_structures_are_charged_with_their_messages)
{
	/* At least what the kernel must know of them. */
	EXPECT_LE(64, self->sender);
	ASSERT_EQ(0, param_set("user_bytes", 10 * (self->cost + self->sender)));
	EXPECT_EQ(0, in_child(fill_with_processes, NULL));
}

static int create_up_to(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);
	int fd = *(int *)arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	attr.msg_max = 4096;
	CHECK(raw_create(NULL, O_RDWR, &attr) >= 0);
	attr.msg_max = 4097;
	CHECK_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
	/* One that exists keeps its own. */
	CHECK_EQ(8192, stat_of(fd).attr.msg_max);
	return 0;
}

TEST_F(limits, msg_max_limit_applies_to_new_mailboxes)
{
	static char big[8192];
	struct mbox_attr attr = attr_of(0, 1);
	int fd;

	ASSERT_EQ(0, param_set("msg_max_limit", 4096));
	EXPECT_EQ(0, in_child(create_up_to, &self->fd));
	EXPECT_EQ(0, raw_send(self->fd, big, sizeof(big), 0));
	EXPECT_EQ(8192, raw_recv(self->fd, big, sizeof(big), 0));
	fd = raw_create(NULL, O_RDWR, &attr);
	EXPECT_LE(0, fd);
	close(fd);
}

/* ---- what one receiver can use up ------------------------------------------ */

/* USER_A sends, others own the mailboxes and do not read. */
FIXTURE(stake)
{
	long saved;
	long cost;
	long sender;
	/* A hundred messages of put(), and two senders. */
	long bytes;
	/* Of root, two, and of USER_B. */
	int root[2];
	int b;
	/* Written by a child. */
	struct shared {
		int step;
	} *shared;
};

static int create_and_pass(void *arg)
{
	struct mbox_attr attr = attr_of(0, MBOX_UNBOUNDED);
	int *sock = arg;
	int fd;

	CHECK_EQ(0, become(USER_B, GROUP_B));
	fd = raw_create(NULL, O_RDWR, &attr);
	CHECK(fd >= 0);
	CHECK_EQ(0, pass_fd(sock[1], fd));
	return 0;
}

FIXTURE_SETUP(stake)
{
	int i, sock[2];

	ASSERT_EQ(0, catch_signal(SIGUSR1, 0));
	self->saved = param_get("user_bytes");
	self->cost = cost_of(4);
	ASSERT_LT(0, self->cost);
	for (i = 0; i < 2; i++) {
		self->root[i] = new_mailbox(0, MBOX_UNBOUNDED);
		ASSERT_LE(0, self->root[i]);
	}
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, in_child(create_and_pass, sock));
	self->b = receive_fd(sock[0]);
	ASSERT_LE(0, self->b);
	close(sock[0]);
	close(sock[1]);
	self->shared = shared_memory(sizeof(*self->shared));
	self->sender = cost_of_sender();
	self->bytes = 100 * self->cost + 2 * self->sender;
	ASSERT_EQ(0, param_set("user_bytes", self->bytes));
}

FIXTURE_TEARDOWN(stake)
{
	param_set("user_bytes", self->saved);
	close(self->root[0]);
	close(self->root[1]);
	close(self->b);
	munmap(self->shared, sizeof(*self->shared));
}

/* How many messages of a sender that has none yet fit into as many bytes. */
static int fit(FIXTURE_DATA(stake) *self, long bytes)
{
	return bytes < self->sender ? 0 : (bytes - self->sender) / self->cost;
}

static long bytes_of(FIXTURE_DATA(stake) *self, int messages)
{
	return self->sender + messages * self->cost;
}

/* How many messages make as much room as a sender that has none needs for one. */
static int places(FIXTURE_DATA(stake) *self)
{
	return 1 + (self->sender + self->cost - 1) / self->cost;
}

/* How many messages there is room for. */
static int fill(int fd, int error)
{
	long ret;
	int n = 0;

	while (n < 1000 && !(ret = put(fd, n)))
		n++;
	CHECK_EQ(error, ret);
	return n;
}

static bool can_send(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	return poll(&pfd, 1, 0) == 1 && pfd.revents == POLLOUT;
}

static int get_halves(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	long rest = self->bytes;
	int mine, n;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK(can_send(self->root[0]));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	CHECK(!can_send(self->root[0]));
	/* All mailboxes of one owner are one, and each has one message. */
	CHECK_EQ(0, fill(self->root[1], -EAGAIN));
	CHECK(!can_send(self->root[1]));
	rest -= bytes_of(self, 50);
	n = fit(self, rest / 2);
	CHECK(n > 10);
	CHECK_EQ(n, fill(self->b, -EAGAIN));
	rest -= bytes_of(self, n);
	mine = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(fit(self, rest), fill(mine, -EDQUOT));
	CHECK(!can_send(mine));
	return 0;
}

TEST_F(stake, share_of_one_owner_is_half_of_what_others_leave)
{
	EXPECT_EQ(0, in_child(get_halves, self));
}

static void reach(struct shared *shared, int step)
{
	__atomic_store_n(&shared->step, step, __ATOMIC_RELEASE);
}

static int await_step(struct shared *shared, int step)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (__atomic_load_n(&shared->step, __ATOMIC_ACQUIRE) != step) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return -ETIMEDOUT;
		pause_briefly();
	}
	return 0;
}

/* With handles of root[0] that have sent, or not, before it goes from root to USER_B. */
static int send_to_both_owners(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	int n = fit(self, (self->bytes - bytes_of(self, 50)) / 2);
	int unused = open_again(self->root[0], O_WRONLY);

	CHECK(unused >= 0);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	reach(self->shared, 1);
	CHECK_EQ(0, await_step(self->shared, 2));
	/* What was sent stays with root, and so does the handle that has sent. */
	CHECK_EQ(0, fill(self->root[0], -EAGAIN));
	CHECK_EQ(0, fill(self->root[1], -EAGAIN));
	/* Another handle counts for USER_B. */
	CHECK_EQ(n, fill(unused, -EAGAIN));
	CHECK_EQ(0, fill(self->b, -EAGAIN));
	CHECK_EQ(0, fill(self->root[0], -EAGAIN));
	reach(self->shared, 3);
	CHECK_EQ(0, await_step(self->shared, 4));
	/* The messages of root's share were received, those of USER_B's share not. */
	CHECK_EQ(fit(self, (self->bytes - bytes_of(self, n)) / 2),
		 fill(self->root[1], -EAGAIN));
	CHECK_EQ(0, fill(self->root[0], -EAGAIN));
	return 0;
}

TEST_F(stake, charges_stay_after_a_chown)
{
	pid_t pid = spawn(send_to_both_owners, self);
	int i;

	ASSERT_EQ(0, await_step(self->shared, 1));
	ASSERT_EQ(0, neg(fchown(self->root[0], USER_B, -1)));
	reach(self->shared, 2);
	ASSERT_EQ(0, await_step(self->shared, 3));
	for (i = 0; i < 50; i++)
		ASSERT_LE(0, take(self->root[0]));
	reach(self->shared, 4);
	EXPECT_EQ(0, reap(pid));
}

static int send_first(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(1, fill(self->root[0], -EAGAIN));
	return 0;
}

TEST_F(stake, share_is_at_least_one_message)
{
	ASSERT_EQ(0, param_set("user_bytes", bytes_of(self, 1) + self->cost / 2));
	EXPECT_EQ(0, in_child(send_first, self));
}

#define HANDLES 60

/* What a handle has sent is received, and it stays open. */
static int send_with_many_handles(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	int fds[HANDLES], i;

	for (i = 0; i < HANDLES; i++)
		fds[i] = open_again(self->root[0], O_WRONLY);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < HANDLES; i++) {
		CHECK_EQ(0, put(fds[i], i));
		CHECK_EQ(i, take(self->root[0]));
	}
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	return 0;
}

TEST_F(stake, senders_without_messages_use_no_share)
{
	EXPECT_EQ(0, in_child(send_with_many_handles, self));
}

static int send_beyond(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	int fd = open_again(self->b, O_WRONLY), i;

	for (i = 0; i < 200; i++)
		CHECK_EQ(0, put(fd, i));
	CHECK(can_send(fd));
	return 0;
}

TEST_F(stake, CAP_SYS_RESOURCE_overrides_the_share)
{
	EXPECT_EQ(0, in_child(send_beyond, self));
}

/* What execve(2) of a set-user-id program of root makes of USER_A. */
static int become_set_user_id_program(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	int mine, fd;

	CHECK_EQ(0, neg(setresuid(USER_A, USER_A, 0)));
	mine = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(fit(self, self->bytes), fill(mine, -EDQUOT));
	CHECK_EQ(0, neg(setresuid(USER_A, 0, 0)));
	CHECK_EQ(-EDQUOT, put(mine, 1));
	CHECK(!can_send(mine));
	/* A handle that it opens itself is its own. */
	fd = open_again(mine, O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(0, put(fd, 1));
	CHECK(can_send(fd));
	return 0;
}

TEST_F(stake, set_user_id_programs_do_not_lift_it_for_who_started_them)
{
	EXPECT_EQ(0, in_child(become_set_user_id_program, self));
}

static int fill_and_send(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	__u32 value = 7;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	CHECK_EQ(0, raw_send(self->root[1], &value, sizeof(value), 0));
	return 0;
}

/* The call that waits is told whichever mailbox the room is in. */
TEST_F(stake, send_waits_until_the_owner_receives)
{
	pid_t pid = spawn(fill_and_send, self);
	int i;

	ASSERT_EQ(0, await_waiting(self->root[1], 1, 0));
	for (i = 0; i < places(self); i++)
		EXPECT_EQ(i, take(self->root[0]));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(7, take(self->root[1]));
	EXPECT_EQ(0U, stat_of(self->root[1]).waiting_senders);
}

static int fill_and_send_mortals(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	__u64 long_ns = 3600ULL * 1000 * NSEC_PER_MSEC;
	struct mbox_msg msg;
	__u32 value = 7;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	/* Before the deadline on either clock, and without one. */
	msg = msg_of(&value, sizeof(value), 0);
	msg.lifespan_ns = 20 * NSEC_PER_MSEC;
	CHECK_EQ(-EPIPE, raw(self->root[1], MBOX_IOC_SEND, &msg));
	msg.deadline_ns = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS * 10);
	CHECK_EQ(-EPIPE, raw(self->root[1], MBOX_IOC_SEND, &msg));
	msg.flags = MBOX_REALTIME;
	msg.deadline_ns = in_ms(CLOCK_REALTIME, WAIT_LIMIT_MS * 10);
	CHECK_EQ(-EPIPE, raw(self->root[1], MBOX_IOC_SEND, &msg));
	CHECK_EQ(3, stat_of(self->root[1]).expired);
	CHECK_EQ(3, stat_of(self->root[1]).sent);
	/* After the deadline. */
	msg.lifespan_ns = long_ns;
	msg.deadline_ns = in_ms(CLOCK_REALTIME, 20);
	CHECK_EQ(-ETIMEDOUT, raw(self->root[1], MBOX_IOC_SEND, &msg));
	/* A bad message counts nowhere. */
	msg = msg_of(NULL, sizeof(value), 0);
	msg.lifespan_ns = 20 * NSEC_PER_MSEC;
	CHECK_EQ(-EFAULT, raw(self->root[1], MBOX_IOC_SEND, &msg));
	CHECK_EQ(3, stat_of(self->root[1]).expired);
	/* It lives long enough. */
	msg = msg_of(&value, sizeof(value), 0);
	msg.lifespan_ns = long_ns;
	__atomic_store_n(&self->shared->step, 1, __ATOMIC_RELEASE);
	CHECK_EQ(0, raw(self->root[1], MBOX_IOC_SEND, &msg));
	return 0;
}

TEST_F(stake, lifespan_ends_a_send_that_waits_for_its_share)
{
	pid_t pid = spawn(fill_and_send_mortals, self);
	struct mbox_msg msg;
	__u32 value;

	/* Until the last of them waits: the others end by themselves. */
	while (!__atomic_load_n(&self->shared->step, __ATOMIC_ACQUIRE))
		pause_briefly();
	ASSERT_EQ(0, await_waiting(self->root[1], 1, 0));
	ASSERT_EQ(0, param_set("user_bytes", 2 * self->bytes));
	EXPECT_EQ(0, reap(pid));
	msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
	EXPECT_EQ(4, raw(self->root[1], MBOX_IOC_RECV, &msg));
	EXPECT_EQ(7, value);
	EXPECT_LT(0, msg.lifespan_ns);
	EXPECT_EQ(3U, stat_of(self->root[1]).expired);
}

static int fill_and_be_interrupted(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	struct mbox_msg msg;
	__u32 value = 7;

	CHECK_EQ(0, catch_signal(SIGUSR1, SA_RESTART));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	msg = msg_of(&value, sizeof(value), 0);
	msg.lifespan_ns = 3600ULL * 1000 * NSEC_PER_MSEC;
	CHECK_EQ(-EINTR, raw(self->root[1], MBOX_IOC_SEND, &msg));
	return 0;
}

TEST_F(stake, mortal_send_that_waits_for_its_share_is_not_restarted)
{
	pid_t pid = spawn(fill_and_be_interrupted, self);

	ASSERT_EQ(0, await_waiting(self->root[1], 1, 0));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0U, stat_of(self->root[1]).sent);
}

TEST_F(stake, a_send_waits_until_the_limit_is_raised)
{
	pid_t pid = spawn(fill_and_send, self);

	ASSERT_EQ(0, await_waiting(self->root[1], 1, 0));
	ASSERT_EQ(0, param_set("user_bytes", 2 * self->bytes));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(7, take(self->root[1]));
}

static int fill_elsewhere_and_send(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	__u32 value = 7;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->b, -EAGAIN));
	CHECK_EQ(fit(self, (self->bytes - bytes_of(self, 50)) / 2),
		 fill(self->root[0], -EAGAIN));
	CHECK_EQ(0, raw_send(self->root[1], &value, sizeof(value), 0));
	return 0;
}

TEST_F(stake, send_waits_until_another_mailbox_is_drained)
{
	pid_t pid = spawn(fill_elsewhere_and_send, self);
	int i;

	ASSERT_EQ(0, await_waiting(self->root[1], 1, 0));
	/* Half of what they leave there is room here. */
	for (i = 0; i < 2 * places(self); i++)
		EXPECT_EQ(i, take(self->b));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(7, take(self->root[1]));
}

struct crowd {
	int *fds;
	int which;
};

static int send_one_that_waits(void *arg)
{
	struct crowd *c = arg;
	__u32 value = 7;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, raw_send(c->fds[c->which], &value, sizeof(value), 0));
	return 0;
}

static int fill_first(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	return 0;
}

/* Senders that wait in two mailboxes: room for one lets one go on. */
TEST_F(stake, all_waiting_sends_are_admitted)
{
	enum { SENDERS = 8 };
	pid_t pids[SENDERS];
	struct crowd c;
	int i;

	EXPECT_EQ(0, in_child(fill_first, self));
	for (i = 0; i < SENDERS; i++) {
		c = (struct crowd){ .fds = self->root, .which = i % 2 };
		pids[i] = spawn(send_one_that_waits, &c);
	}
	ASSERT_EQ(0, await_waiting(self->root[0], SENDERS / 2, 0));
	ASSERT_EQ(0, await_waiting(self->root[1], SENDERS / 2, 0));
	for (i = 0; i < SENDERS * places(self); i++)
		EXPECT_EQ(i, take(self->root[0]));
	for (i = 0; i < SENDERS; i++)
		EXPECT_EQ(0, reap(pids[i]));
}

static int fill_and_send_second(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	__u32 value = 7;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	__atomic_store_n(&self->shared->step, 1, __ATOMIC_RELEASE);
	CHECK_EQ(0, await_waiting(self->root[1], 1, 0));
	CHECK_EQ(0, raw_send(self->root[0], &value, sizeof(value), 0));
	return 0;
}

/*
 * A sender that has no message yet is charged for with its first one. If the room is too
 * small for that, it can be enough for an equally long message of another sender.
 */
TEST_F(stake, room_too_small_for_a_first_message_goes_to_the_next_send)
{
	struct crowd c = { .fds = self->root, .which = 1 };
	pid_t first, second = spawn(fill_and_send_second, self);
	int i;

	while (!__atomic_load_n(&self->shared->step, __ATOMIC_ACQUIRE))
		pause_briefly();
	first = spawn(send_one_that_waits, &c);
	ASSERT_EQ(0, await_waiting(self->root[0], 1, 0));
	EXPECT_EQ(0, take(self->root[0]));
	EXPECT_EQ(0, reap(second));
	EXPECT_EQ(1U, stat_of(self->root[1]).waiting_senders);
	for (i = 0; i < places(self); i++)
		EXPECT_EQ(1 + i, take(self->root[0]));
	EXPECT_EQ(0, reap(first));
	EXPECT_EQ(7, take(self->root[1]));
}

/* Threads of one process that wait, of which those with short messages came last. */
#define LARGE_WAITING 40
#define SMALL_WAITING 2

/* How often threads other than this one have slept. */
static long sleeps_of_others(void)
{
	struct rusage all, own;

	getrusage(RUSAGE_SELF, &all);
	getrusage(RUSAGE_THREAD, &own);
	return all.ru_nvcsw - own.ru_nvcsw;
}

static int wait_in_threads(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	static struct call large[LARGE_WAITING], small[SMALL_WAITING];
	static char text[400];
	long before, after;
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	/* The sender of both has a message, and so counts no more. */
	CHECK_EQ(0, put(self->root[1], 0));
	CHECK(fill(self->root[0], -EAGAIN) > 40);
	for (i = 0; i < LARGE_WAITING; i++) {
		large[i].msg = msg_of(text, sizeof(text), 0);
		CHECK_EQ(0, send_start(&large[i], self->root[1], 0));
	}
	CHECK_EQ(0, await_waiting(self->root[1], LARGE_WAITING, 0));
	for (i = 0; i < SMALL_WAITING; i++)
		CHECK_EQ(0, send_start(&small[i], self->root[1], 7 + i));
	CHECK_EQ(0, await_waiting(self->root[1], LARGE_WAITING + SMALL_WAITING, 0));

	do {
		before = sleeps_of_others();
		usleep(100000);
	} while (before != sleeps_of_others());
	for (i = 0; i < SMALL_WAITING; i++) {
		CHECK_EQ(i, take(self->root[0]));
		CHECK_EQ(0, await_waiting(self->root[1], LARGE_WAITING + SMALL_WAITING - 1 - i,
					  0));
	}
	usleep(50000 * time_factor());
	after = sleeps_of_others();
	/* The first of the long ones each time, and those that were let in. */
	CHECK(after - before < LARGE_WAITING / 2);
	for (i = 0; i < SMALL_WAITING; i++)
		CHECK_EQ(0, call_join(&small[i]));
	CHECK_EQ(0, take(self->root[1]));
	CHECK_EQ(LARGE_WAITING, stat_of(self->root[1]).waiting_senders);

	/* Each of them is let in when there is room for it. */
	while (take(self->root[0]) >= 0)
		;
	while (stat_of(self->root[1]).waiting_senders || stat_of(self->root[1]).queued)
		if (raw_recv(self->root[1], text, sizeof(text), MBOX_DONTWAIT) < 0)
			pause_briefly();
	for (i = 0; i < LARGE_WAITING; i++)
		CHECK_EQ(0, call_join(&large[i]));
	return 0;
}

TEST_F(stake, room_wakes_few_of_the_sends_that_it_is_too_small_for)
{
	EXPECT_EQ(0, in_child(wait_in_threads, self));
}

/* One more than a single pass handles. */
#define CROWD 9

/* One message of this length is more than the share with its owner. */
#define OVER_HALF 8000

/**
 * struct large - one message that blocks many
 * @fds: mailboxes of root
 * @which: that of a child
 */
struct large {
	int fds[CROWD + 1];
	int which;
};

static bool prepare_large(struct large *l)
{
	int i;

	for (i = 0; i <= CROWD; i++) {
		l->fds[i] = new_mailbox(0, MBOX_UNBOUNDED);
		if (l->fds[i] < 0)
			return false;
	}
	return !param_set("user_bytes", 12000);
}

static char large_text[OVER_HALF];

static int send_large(void *arg)
{
	struct large *l = arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, raw_send(l->fds[0], large_text, OVER_HALF, 0));
	return 0;
}

/* Far more than are told for one send that has no room. */
#define POLLERS 40

/*
 * Handles with which a send had no room. All of them have tried before the first of
 * them polls: a send that fails tells those that have polled, as something freed does.
 */
static int open_refused(struct large *l, int fds[POLLERS])
{
	int i;

	for (i = 0; i < POLLERS; i++) {
		fds[i] = open_again(l->fds[1 + i % (CROWD - 1)], O_WRONLY);
		CHECK(fds[i] >= 0);
	}
	CHECK_EQ(0, send_large(l));
	for (i = 0; i < POLLERS; i++)
		CHECK_EQ(-EAGAIN, put(fds[i], 1));
	return 0;
}

/* The last one waits; before, others have polled, and do not any more. */
static int wait_behind_pollers(void *arg)
{
	int fds[POLLERS], i;
	struct large *l = arg;
	__u32 value = 7;

	CHECK_EQ(0, open_refused(l, fds));
	for (i = 0; i < POLLERS; i++)
		CHECK(!can_send(fds[i]));
	CHECK_EQ(0, raw_send(l->fds[CROWD], &value, sizeof(value), 0));
	return 0;
}

TEST_F(stake, waiting_send_does_not_rely_on_former_pollers)
{
	struct large l;
	pid_t pid;

	ASSERT_TRUE(prepare_large(&l));
	pid = spawn(wait_behind_pollers, &l);
	ASSERT_EQ(0, await_waiting(l.fds[CROWD], 1, 0));
	EXPECT_EQ(OVER_HALF, raw_recv(l.fds[0], large_text, OVER_HALF, 0));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(7, take(l.fds[CROWD]));
}

/* No thread waits for events of this epoll instance. */
static int wait_behind_epoll(void *arg)
{
	struct epoll_event event = { .events = EPOLLOUT };
	int epoll = epoll_create1(EPOLL_CLOEXEC), i;
	struct large *l = arg;
	int fds[POLLERS];
	__u32 value = 7;

	CHECK_EQ(0, open_refused(l, fds));
	for (i = 0; i < POLLERS; i++)
		CHECK_EQ(0, neg(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event)));
	CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
	CHECK_EQ(0, raw_send(l->fds[CROWD], &value, sizeof(value), 0));
	/* They were told as well. */
	CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
	return 0;
}

TEST_F(stake, waiting_send_does_not_rely_on_epoll)
{
	struct large l;
	pid_t pid;

	ASSERT_TRUE(prepare_large(&l));
	pid = spawn(wait_behind_epoll, &l);
	ASSERT_EQ(0, await_waiting(l.fds[CROWD], 1, 0));
	EXPECT_EQ(OVER_HALF, raw_recv(l.fds[0], large_text, OVER_HALF, 0));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(7, take(l.fds[CROWD]));
}

static int wait_behind_large(void *arg)
{
	struct large *l = arg;
	__u32 value = l->which;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, raw_send(l->fds[l->which], &value, sizeof(value), 0));
	return 0;
}

TEST_F(stake, room_for_one_message_wakes_every_poller_that_it_fits)
{
	pid_t pids[CROWD + 1];
	struct large l;
	int i;

	ASSERT_TRUE(prepare_large(&l));
	ASSERT_EQ(0, in_child(send_large, &l));
	for (i = 1; i <= CROWD; i++) {
		l.which = i;
		pids[i] = spawn(wait_behind_large, &l);
	}
	for (i = 1; i <= CROWD; i++)
		ASSERT_EQ(0, await_waiting(l.fds[i], 1, 0));
	EXPECT_EQ(OVER_HALF, raw_recv(l.fds[0], large_text, OVER_HALF, 0));
	for (i = 1; i <= CROWD; i++) {
		EXPECT_EQ(0, reap(pids[i]));
		EXPECT_EQ(i, take(l.fds[i]));
	}
}

/* The share has room again, but the limit has not any more. */
static int wait_until_EDQUOT(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	__u32 value = 7;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	CHECK_EQ(-EDQUOT, raw_send(self->root[1], &value, sizeof(value), 0));
	return 0;
}

TEST_F(stake, waiting_send_is_EDQUOT_at_the_users_limit)
{
	pid_t pid = spawn(wait_until_EDQUOT, self);

	ASSERT_EQ(0, await_waiting(self->root[1], 1, 0));
	/* Less than what there is, and the first is always let in. */
	ASSERT_EQ(0, param_set("user_bytes", self->cost / 2));
	while (take(self->root[0]) >= 0)
		;
	EXPECT_EQ(0, reap(pid));
}

static int send_until_the_end(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	struct mbox_msg msg;
	__u32 value = 7;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	msg = msg_of(&value, sizeof(value), 0);
	msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 20);
	CHECK_EQ(-ETIMEDOUT, raw(self->root[1], MBOX_IOC_SEND, &msg));
	CHECK_EQ(0, stat_of(self->root[1]).waiting_senders);
	CHECK_EQ(-EIDRM, raw_send(self->root[1], &value, sizeof(value), 0));
	return 0;
}

TEST_F(stake, destroy_ends_a_waiting_send)
{
	pid_t pid = spawn(send_until_the_end, self);
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	/* The first wait is over by then. */
	usleep(300000);
	while (!stat_of(self->root[1]).waiting_senders && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	ASSERT_EQ(0, raw_destroy(self->root[1]));
	EXPECT_EQ(0, reap(pid));
}

static int drop_newest(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < 60; i++)
		CHECK_EQ(0, put(self->root[0], i));
	CHECK(can_send(self->root[0]));
	return 0;
}

TEST_F(stake, MBOX_DROP_NEWEST_drops_beyond_the_share)
{
	close(self->root[0]);
	self->root[0] = new_mailbox(MBOX_DROP_NEWEST, MBOX_UNBOUNDED);
	EXPECT_EQ(0, in_child(drop_newest, self));
	EXPECT_EQ(50U, stat_of(self->root[0]).queued);
	EXPECT_EQ(10U, stat_of(self->root[0]).dropped);
	EXPECT_EQ(60U, stat_of(self->root[0]).sent);
}

/* Waits for POLLOUT in each of these, as it comes. */
static int poll_both(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	struct pollfd pfds[2];
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	CHECK_EQ(0, fill(self->root[1], -EAGAIN));
	for (i = 0; i < 2; i++)
		pfds[i] = (struct pollfd){ .fd = self->root[i], .events = POLLOUT };
	CHECK_EQ(0, poll(pfds, 2, 0));
	__atomic_store_n(&self->shared->step, 1, __ATOMIC_RELEASE);
	CHECK(poll(pfds, 2, WAIT_LIMIT_MS) > 0);
	CHECK_EQ(0, put(pfds[0].revents ? self->root[0] : self->root[1], 1));
	return 0;
}

TEST_F(stake, poll_reports_room_in_the_share)
{
	pid_t pid = spawn(poll_both, self);

	while (!__atomic_load_n(&self->shared->step, __ATOMIC_ACQUIRE))
		pause_briefly();
	ASSERT_EQ(0, await_asleep(&pid));
	EXPECT_EQ(0, take(self->root[0]));
	EXPECT_EQ(0, reap(pid));
}

/* One that has used up its share, and polls. */
static int fill_and_poll(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	uid_t uid = self->shared->step ? USER_B : USER_A;
	struct pollfd pfd = { .fd = self->root[0], .events = POLLOUT };

	CHECK_EQ(0, become(uid, GROUP_A));
	CHECK_EQ(50, fill(self->root[0], -EAGAIN));
	CHECK_EQ(0, poll(&pfd, 1, 0));
	if (!self->shared->step)
		return 0;
	__atomic_store_n(&self->shared->step, 2, __ATOMIC_RELEASE);
	CHECK_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	return 0;
}

/* The handle is the same, and what the first user has there goes in between. */
TEST_F(stake, poll_reports_the_room_of_the_user_of_the_last_send)
{
	pid_t pid;
	int i;

	EXPECT_EQ(0, in_child(fill_and_poll, self));
	for (i = 0; i < 50; i++)
		EXPECT_EQ(i, take(self->root[0]));
	self->shared->step = 1;
	pid = spawn(fill_and_poll, self);
	while (__atomic_load_n(&self->shared->step, __ATOMIC_ACQUIRE) != 2)
		pause_briefly();
	ASSERT_EQ(0, await_asleep(&pid));
	EXPECT_EQ(0, take(self->root[0]));
	EXPECT_EQ(0, reap(pid));
}

/* A large message was refused: what fits a small one is no room for it. */
static int poll_after_EDQUOT(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	static char large[3000];
	int fd, other;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	other = open_again(fd, O_WRONLY);
	CHECK_EQ(fit(self, self->bytes), fill(fd, -EDQUOT));
	CHECK_EQ(0, take(fd));
	CHECK(can_send(fd));
	CHECK_EQ(-EDQUOT, raw_send(fd, large, sizeof(large), 0));
	CHECK(!can_send(fd));
	/* Of that handle, not of others. */
	CHECK(can_send(other));
	CHECK_EQ(1, take(fd));
	CHECK(!can_send(fd));
	while (take(fd) >= 0)
		;
	CHECK(can_send(fd));
	CHECK_EQ(0, raw_send(fd, large, sizeof(large), 0));
	return 0;
}

TEST_F(stake, poll_reports_no_room_until_the_refused_message_fits)
{
	EXPECT_EQ(0, in_child(poll_after_EDQUOT, self));
}

/* The record of a call takes more than a message does. */
static int poll_after_refused_call(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	struct mbox_request req = { 0 };
	int fd, i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(fit(self, self->bytes), fill(fd, -EDQUOT));
	CHECK_EQ(-EDQUOT, raw(fd, MBOX_IOC_CALL, &req));
	for (i = 0; i < 4; i++) {
		CHECK_EQ(i, take(fd));
		CHECK(!can_send(fd));
		CHECK_EQ(-EDQUOT, raw(fd, MBOX_IOC_CALL, &req));
		CHECK(!can_send(fd));
	}
	while (take(fd) >= 0)
		;
	CHECK(can_send(fd));
	return 0;
}

TEST_F(stake, poll_leaves_room_out_until_the_refused_call_fits)
{
	EXPECT_EQ(0, in_child(poll_after_refused_call, self));
}

/* MBOX_DROP_OLDEST keeps what was sent last, whatever limit is met first. */
static int drop_at_the_limit(void *arg)
{
	__u32 flags = (uintptr_t)arg;
	static char large[3000];
	int fd, other, i, n;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(flags, MBOX_UNBOUNDED);
	CHECK(fd >= 0);
	for (i = 0; i < 300; i++)
		CHECK_EQ(0, put(fd, i));
	n = stat_of(fd).queued;
	CHECK(n > 40 && n <= 100);
	CHECK_EQ(300 - n, stat_of(fd).dropped);
	CHECK(can_send(fd));
	/* The oldest is the first that is left. */
	CHECK_EQ(300 - n, take(fd));
	/* One that is larger takes the place of several. */
	CHECK_EQ(0, put(fd, 300));
	CHECK_EQ(0, raw_send(fd, large, sizeof(large), MBOX_DONTWAIT));
	CHECK(stat_of(fd).queued < (unsigned int)n - 10);
	/* If all do not make room, none is dropped. */
	other = new_mailbox(0, MBOX_UNBOUNDED);
	while (take(fd) != -EMSGSIZE)
		;
	CHECK_EQ(3000, raw_recv(fd, large, sizeof(large), MBOX_DONTWAIT));
	fill(other, -EDQUOT);
	CHECK_EQ(0, take(other));
	CHECK_EQ(1, take(other));
	CHECK_EQ(2, take(other));
	CHECK_EQ(3, take(other));
	CHECK_EQ(0, put(fd, 1));
	i = stat_of(fd).dropped;
	CHECK_EQ(-EDQUOT, raw_send(fd, large, sizeof(large), MBOX_DONTWAIT));
	CHECK_EQ(i, stat_of(fd).dropped);
	CHECK_EQ(1U, stat_of(fd).queued);
	CHECK_EQ(1, take(fd));
	return 0;
}

TEST_F(stake, MBOX_DROP_OLDEST_drops_at_the_limit)
{
	EXPECT_EQ(0, in_child(drop_at_the_limit, (void *)(uintptr_t)MBOX_DROP_OLDEST));
}

TEST_F(stake, MBOX_DROP_OLDEST_drops_broadcasts_at_the_limit)
{
	EXPECT_EQ(0, in_child(drop_at_the_limit,
			      (void *)(uintptr_t)(MBOX_DROP_OLDEST | MBOX_BROADCAST)));
}

/* What a send considers if there are messages of other users too. */
#define CONSIDERED 8
#define DROPPING (MBOX_BROADCAST | MBOX_DROP_OLDEST)

/**
 * struct shared_broadcast - a mailbox with messages of two users
 * @fd: of root, without a limit
 * @go: the other user, which is limited, tells root to send one message
 * @gone: root has
 * @shorter: length of a message that takes less than those that are considered
 * @longer: and of one that takes more
 */
struct shared_broadcast {
	int fd;
	int go[2];
	int gone[2];
	long shorter;
	long longer;
};

static int send_when_told(void *arg)
{
	struct shared_broadcast *b = arg;
	/* A handle of its own: each remembers only its last sender. */
	int fd = open_again(b->fd, O_WRONLY);
	char c;

	while (read(b->go[0], &c, 1) == 1)
		if (put(fd, 1) || write(b->gone[1], &c, 1) != 1)
			return 1;
	return 0;
}

static int have_root_send(struct shared_broadcast *b)
{
	char c = 0;

	return write(b->go[1], &c, 1) == 1 && read(b->gone[0], &c, 1) == 1 ? 0 : -EIO;
}

/* Until a message is dropped for the next one. */
static int send_up_to_the_limit(int fd)
{
	__u64 dropped = stat_of(fd).dropped;
	int n;

	for (n = 0; n < 1000 && stat_of(fd).dropped == dropped; n++)
		CHECK_EQ(0, put(fd, 2));
	CHECK_EQ(dropped + 1, stat_of(fd).dropped);
	return 0;
}

static char broadcast_text[8192];

static int receive_all(int fd)
{
	while (raw_recv(fd, broadcast_text, sizeof(broadcast_text), MBOX_DONTWAIT) >= 0)
		;
	return stat_of(fd).queued;
}

static int drop_broadcasts(void *arg)
{
	char *text = broadcast_text;
	struct shared_broadcast *b = arg;
	__u64 dropped;
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, send_up_to_the_limit(b->fd));
	/* Of one user alone, any number is dropped. */
	dropped = stat_of(b->fd).dropped;
	CHECK_EQ(0, raw_send(b->fd, text, b->longer, MBOX_DONTWAIT));
	CHECK(stat_of(b->fd).dropped > dropped + CONSIDERED);
	CHECK_EQ(0, receive_all(b->fd));

	CHECK_EQ(0, send_up_to_the_limit(b->fd));
	CHECK_EQ(0, have_root_send(b));
	dropped = stat_of(b->fd).dropped;
	CHECK_EQ(0, put(b->fd, 2));
	CHECK_EQ(dropped + 1, stat_of(b->fd).dropped);
	CHECK_EQ(0, raw_send(b->fd, text, b->shorter, MBOX_DONTWAIT));
	CHECK_EQ(0, send_up_to_the_limit(b->fd));
	dropped = stat_of(b->fd).dropped;
	CHECK_EQ(-EDQUOT, raw_send(b->fd, text, b->longer, MBOX_DONTWAIT));
	CHECK_EQ(dropped, stat_of(b->fd).dropped);

	/* Two messages of this user, one of root, and more of this user. */
	CHECK_EQ(0, receive_all(b->fd));
	for (i = 0; i < 2; i++)
		CHECK_EQ(0, put(b->fd, 2));
	CHECK_EQ(0, have_root_send(b));
	CHECK_EQ(0, send_up_to_the_limit(b->fd));
	dropped = stat_of(b->fd).dropped;
	CHECK_EQ(0, put(b->fd, 2));
	CHECK_EQ(dropped + 1, stat_of(b->fd).dropped);
	CHECK_EQ(-EDQUOT, put(b->fd, 2));
	CHECK_EQ(dropped + 1, stat_of(b->fd).dropped);
	CHECK_EQ(1, take(b->fd));
	CHECK_EQ(0, put(b->fd, 2));
	CHECK_EQ(dropped + 2, stat_of(b->fd).dropped);
	return 0;
}

TEST_F(stake, MBOX_DROP_OLDEST_drops_the_first_broadcasts_only)
{
	struct shared_broadcast b = { .fd = new_mailbox(DROPPING, MBOX_UNBOUNDED) };
	long cost = cost_with(4, DROPPING, 0);
	pid_t root;

	ASSERT_LE(0, b.fd);
	ASSERT_LT(0, cost);
	for (b.longer = 512; cost_with(b.longer, DROPPING, 0) < (CONSIDERED + 1) * cost;)
		b.longer += 512;
	for (b.shorter = b.longer; cost_with(b.shorter, DROPPING, 0) > CONSIDERED * cost;)
		b.shorter -= 256;
	ASSERT_EQ(0, pipe(b.go));
	ASSERT_EQ(0, pipe(b.gone));
	root = spawn(send_when_told, &b);
	EXPECT_EQ(0, in_child(drop_broadcasts, &b));
	close(b.go[0]);
	close(b.go[1]);
	kill(root, SIGKILL);
	reap(root);
	close(b.gone[0]);
	close(b.gone[1]);
	close(b.fd);
}

/*
 * At the limit, messages of a user that a reader has senders wait for are not dropped, and
 * after it has received them, they are.
 */
static int keep_what_is_held(void *arg)
{
	struct mbox_set_reader wait = { .policy = MBOX_READER_WAIT };
	struct pollfd pfd;
	int fd, reader;
	__u64 dropped;
	long ret = 0;
	int n;

	(void)arg;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(DROPPING | MBOX_ALLOW_WAIT, MBOX_UNBOUNDED);
	pfd = (struct pollfd){ .fd = fd, .events = POLLOUT };
	reader = open_again(fd, O_RDONLY);
	CHECK_EQ(0, raw(reader, MBOX_IOC_SET_READER, &wait));
	for (n = 0; n < 1000 && !ret; n++)
		ret = put(fd, 2);
	CHECK_EQ(-EDQUOT, ret);
	CHECK_EQ(0U, stat_of(fd).dropped);
	CHECK_EQ(0, poll(&pfd, 1, 0));
	CHECK_EQ(2, take(reader));
	CHECK_EQ(2, take(reader));
	CHECK_EQ(1, poll(&pfd, 1, 0));
	CHECK_EQ(0, put(fd, 2));
	CHECK_EQ(1U, stat_of(fd).dropped);
	/* All of them, when it is not waited for any more. */
	wait.policy = MBOX_READER_DEFAULT;
	CHECK_EQ(0, raw(reader, MBOX_IOC_SET_READER, &wait));
	for (n = 0; n < 100; n++)
		CHECK_EQ(0, put(fd, 2));
	dropped = stat_of(fd).dropped;
	CHECK(dropped >= 100);
	return 0;
}

/* At the limit: a poller of sends is told when a reader stops holding the messages. */
static int await_what_is_held(void *arg)
{
	struct mbox_set_reader set = { .policy = MBOX_READER_WAIT };
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int fd, reader, epoll = epoll_create1(EPOLL_CLOEXEC);
	long ret = 0;
	int n;

	(void)arg;
	CHECK(epoll >= 0);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(DROPPING | MBOX_ALLOW_WAIT, MBOX_UNBOUNDED);
	reader = open_again(fd, O_RDONLY);
	CHECK_EQ(0, raw(reader, MBOX_IOC_SET_READER, &set));
	for (n = 0; n < 1000 && !ret; n++)
		ret = put(fd, 2);
	CHECK_EQ(-EDQUOT, ret);
	CHECK_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
	set.policy = MBOX_READER_DEFAULT;
	CHECK_EQ(0, raw(reader, MBOX_IOC_SET_READER, &set));
	CHECK_EQ(1, epoll_wait(epoll, &event, 1, WAIT_LIMIT_MS));
	CHECK_EQ(0, put(fd, 2));
	return 0;
}

TEST_F(stake, EPOLLOUT_comes_when_a_reader_stops_holding)
{
	EXPECT_EQ(0, in_child(await_what_is_held, NULL));
}

TEST_F(stake, MBOX_DROP_OLDEST_keeps_broadcasts_that_are_held)
{
	EXPECT_EQ(0, in_child(keep_what_is_held, NULL));
}

static int await_POLLOUT(void *arg)
{
	struct pollfd pfd = { .fd = *(int *)arg, .events = POLLOUT };

	/* Without a limit: at its end it would check once more by itself. */
	CHECK_EQ(1, poll(&pfd, 1, -1));
	CHECK_EQ(POLLOUT, pfd.revents);
	return 0;
}

/* Handles whose first message was refused, each with a sender of its own. */
#define REFUSED 10

static int be_refused(void *arg)
{
	static char large[3000];
	int fd, other, i;

	(void)arg;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	other = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, put(fd, 1));
	fill(other, -EDQUOT);
	for (i = 0; i < REFUSED; i++)
		CHECK_EQ(-EDQUOT, raw_send(open_again(fd, O_WRONLY), large, sizeof(large),
					   MBOX_DONTWAIT));
	CHECK_EQ(1U, stat_of(fd).queued);
	CHECK_EQ(0U, stat_of(fd).dropped);
	CHECK_EQ(0, take(other));
	CHECK_EQ(0, put(other, 1));
	return 0;
}

TEST_F(stake, a_refused_first_message_charges_nothing)
{
	EXPECT_EQ(0, in_child(be_refused, NULL));
}

/* What a call peeks at takes its memory until the call ends. */
static int drop_what_is_peeked(void *arg)
{
	struct call peek = { 0 };
	static char large[3000];
	int fd, other, dropped;
	struct slow slow;
	pid_t poller;

	(void)arg;
	CHECK_EQ(0, slow_init(&slow));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	other = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, raw_send(fd, large, sizeof(large), MBOX_DONTWAIT));
	fill(other, -EDQUOT);
	peek.msg = msg_of(slow.page, sizeof(large), MBOX_PEEK);
	CHECK_EQ(0, recv_start(&peek, fd));
	CHECK_EQ(0, slow_await(&slow));
	dropped = stat_of(fd).dropped;
	CHECK_EQ(-EDQUOT, raw_send(fd, large, sizeof(large), MBOX_DONTWAIT));
	CHECK_EQ(dropped, stat_of(fd).dropped);
	CHECK_EQ(1U, stat_of(fd).queued);
	CHECK(!can_send(fd));
	poller = spawn(await_POLLOUT, &fd);
	CHECK_EQ(0, await_asleep(&poller));
	CHECK_EQ(0, slow_go_on(&slow));
	CHECK_EQ((long)sizeof(large), call_join(&peek));
	CHECK_EQ(0, reap(poller));
	CHECK_EQ(0, raw_send(fd, large, sizeof(large), MBOX_DONTWAIT));
	CHECK_EQ(dropped + 1, stat_of(fd).dropped);
	CHECK_EQ(1U, stat_of(fd).queued);
	return 0;
}

/* Nor does a message in flight make room, until it is put back. */
static int drop_what_is_put_back(void *arg)
{
	struct call receiver = { 0 };
	static char large[3000];
	int fd, other, dropped;
	struct slow slow;
	pid_t poller;

	(void)arg;
	CHECK_EQ(0, slow_init(&slow));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	other = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, raw_send(fd, large, sizeof(large), MBOX_DONTWAIT));
	fill(other, -EDQUOT);
	receiver.msg = msg_of(slow.page, sizeof(large), 0);
	CHECK_EQ(0, recv_start(&receiver, fd));
	CHECK_EQ(0, slow_await(&slow));
	dropped = stat_of(fd).dropped;
	CHECK_EQ(-EDQUOT, raw_send(fd, large, sizeof(large), MBOX_DONTWAIT));
	CHECK_EQ(dropped, stat_of(fd).dropped);
	CHECK(!can_send(fd));
	poller = spawn(await_POLLOUT, &fd);
	CHECK_EQ(0, await_asleep(&poller));
	CHECK_EQ(0, slow_fail(&slow));
	CHECK_EQ(-EFAULT, call_join(&receiver));
	CHECK_EQ(0, reap(poller));
	CHECK_EQ(0, raw_send(fd, large, sizeof(large), MBOX_DONTWAIT));
	CHECK_EQ(dropped + 1, stat_of(fd).dropped);
	CHECK_EQ(1U, stat_of(fd).queued);
	return 0;
}

TEST_F(stake, poll_reports_that_a_message_that_was_put_back_can_be_dropped)
{
	struct slow slow;

	if (slow_init(&slow))
		SKIP(return, "no userfaultfd");
	slow_end(&slow);
	EXPECT_EQ(0, in_child(drop_what_is_put_back, NULL));
}

TEST_F(stake, MBOX_DROP_OLDEST_does_not_drop_a_message_that_a_peek_keeps)
{
	struct slow slow;

	if (slow_init(&slow))
		SKIP(return, "no userfaultfd");
	slow_end(&slow);
	EXPECT_EQ(0, in_child(drop_what_is_peeked, NULL));
}

/* The array of descriptors takes memory, too. */
static int drop_for_descriptors(void *arg)
{
	struct mbox_msg msg = { .flags = MBOX_DONTWAIT, .nfds = MBOX_FDS_MAX };
	int fds[MBOX_FDS_MAX] = { 0 };
	int fd, i;

	(void)arg;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	for (i = 0; i < 300; i++)
		CHECK_EQ(0, put(fd, i));
	msg.fds = (uintptr_t)fds;
	CHECK_EQ(0, raw(fd, MBOX_IOC_SEND, &msg));
	CHECK(can_send(fd));
	CHECK(stat_of(fd).dropped < stat_of(fd).sent - 10);
	return 0;
}

TEST_F(stake, MBOX_DROP_OLDEST_drops_for_descriptors)
{
	EXPECT_EQ(0, in_child(drop_for_descriptors, NULL));
}

/* The blocking messages are in root[0]; root[1] has MBOX_DROP_OLDEST. */
static int never_wait(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	static char text[2000];
	__u32 value = 7;
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	fill(self->root[0], -EAGAIN);
	CHECK_EQ(-EDQUOT, put(self->root[1], 1));
	CHECK_EQ(-EDQUOT, raw_send(self->root[1], &value, sizeof(value), 0));
	CHECK(!can_send(self->root[1]));
	/* Room for three of these, which have an extension, and for their sender. */
	for (i = 0; i < 9; i++)
		CHECK_EQ(i, take(self->root[0]));
	CHECK(can_send(self->root[1]));
	for (i = 0; i < 3; i++)
		CHECK_EQ(0, put(self->root[1], i));
	fill(self->root[0], -EAGAIN);
	CHECK_EQ(0U, stat_of(self->root[1]).dropped);
	/* One for one. */
	CHECK_EQ(0, put(self->root[1], 3));
	CHECK_EQ(1U, stat_of(self->root[1]).dropped);
	CHECK_EQ(3U, stat_of(self->root[1]).queued);
	CHECK(can_send(self->root[1]));
	/* All of them would not be enough, so none is dropped. */
	CHECK_EQ(-EDQUOT, raw_send(self->root[1], text, sizeof(text), 0));
	CHECK(!can_send(self->root[1]));
	CHECK_EQ(1U, stat_of(self->root[1]).dropped);
	while (take(self->root[0]) >= 0)
		;
	CHECK(can_send(self->root[1]));
	CHECK_EQ(0, raw_send(self->root[1], text, sizeof(text), 0));
	CHECK_EQ(1U, stat_of(self->root[1]).dropped);
	return 0;
}

TEST_F(stake, MBOX_DROP_OLDEST_never_waits_for_messages_in_other_mailboxes)
{
	close(self->root[1]);
	self->root[1] = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	EXPECT_EQ(0, in_child(never_wait, self));
}

static int drop_only_own(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < 200; i++)
		CHECK_EQ(0, put(self->root[0], 1000 + i));
	return 0;
}

/* At the share with another owner as well, and never what others sent. */
TEST_F(stake, MBOX_DROP_OLDEST_drops_the_senders_own_messages)
{
	int i, n;

	close(self->root[0]);
	self->root[0] = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, put(self->root[0], i));
	EXPECT_EQ(0, in_child(drop_only_own, self));
	n = stat_of(self->root[0]).queued;
	EXPECT_LT(20, n);
	EXPECT_GE(55, n);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(i, take(self->root[0]));
	for (i = 5; i < n; i++)
		EXPECT_EQ(1200 - n + i, take(self->root[0]));
}

/* A send that fails by itself drops nothing, at a limit either. */
static int send_bad_messages(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	struct mbox_msg msg = { .flags = MBOX_DONTWAIT, .nfds = 1 };
	/* So that the compiler does not know it. */
	void *volatile nowhere = (void *)1;
	struct iovec iov = { nowhere, 4 };
	int fd = self->root[0], bad = -1, i, n;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < 200; i++)
		CHECK_EQ(0, put(fd, i));
	n = stat_of(fd).dropped;
	CHECK(n > 100);
	CHECK_EQ(-EFAULT, raw_send(fd, nowhere, 4, MBOX_DONTWAIT));
	CHECK_EQ(-EFAULT, neg(write(fd, nowhere, 4)));
	CHECK_EQ(-EFAULT, neg(writev(fd, &iov, 1)));
	msg.fds = (uintptr_t)&bad;
	CHECK_EQ(-EBADF, raw(fd, MBOX_IOC_SEND, &msg));
	msg.fds = 1;
	CHECK_EQ(-EFAULT, raw(fd, MBOX_IOC_SEND, &msg));
	CHECK_EQ(n, stat_of(fd).dropped);
	CHECK_EQ(0, put(fd, 200));
	CHECK_EQ(n + 1, stat_of(fd).dropped);
	return 0;
}

TEST_F(stake, bad_messages_drop_nothing)
{
	static const __u32 flags[] = { MBOX_DROP_OLDEST, MBOX_DROP_NEWEST };
	int i;

	for (i = 0; i < 2; i++) {
		close(self->root[0]);
		self->root[0] = new_mailbox(flags[i], MBOX_UNBOUNDED);
		ASSERT_LE(0, self->root[0]);
		EXPECT_EQ(0, in_child(send_bad_messages, self));
	}
}

/* A service and its clients: those that read go on. */
static int serve(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	int i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	/* This client never reads. */
	fill(self->b, -EAGAIN);
	for (i = 0; i < 500; i++) {
		CHECK_EQ(0, put(self->root[0], i));
		CHECK_EQ(i, take(self->root[0]));
		CHECK_EQ(-EAGAIN, put(self->b, 1));
	}
	return 0;
}

TEST_F(stake, client_that_never_receives_does_not_stop_the_service)
{
	EXPECT_EQ(0, in_child(serve, self));
}

static int send_descriptors(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	struct rlimit limit = { 64, 64 };
	struct mbox_msg msg;
	__u32 value = 1;
	int zero = 0, i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, neg(setrlimit(RLIMIT_NOFILE, &limit)));
	for (i = 0; i < 100; i++) {
		msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
		msg.nfds = 1;
		msg.fds = (uintptr_t)&zero;
		if (raw(self->root[0], MBOX_IOC_SEND, &msg))
			break;
	}
	CHECK_EQ(32, i);
	CHECK(!can_send(self->root[0]));
	msg.deadline_ns = in_ms(CLOCK_MONOTONIC, 20);
	msg.flags = 0;
	CHECK_EQ(-ETIMEDOUT, raw(self->root[0], MBOX_IOC_SEND, &msg));
	/* Others get theirs, and a message without any goes on. */
	msg.flags = MBOX_DONTWAIT;
	CHECK_EQ(0, raw(self->b, MBOX_IOC_SEND, &msg));
	CHECK_EQ(0, put(self->root[0], 1));
	return 0;
}

TEST_F(stake, descriptors_have_a_share)
{
	ASSERT_EQ(0, param_set("user_bytes", self->saved));
	EXPECT_EQ(0, in_child(send_descriptors, self));
}

/* More messages than a receiver searches one by one. */
#define INDEXED 200

static int fill_indexed(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(INDEXED, fill(self->b, -EAGAIN));
	return 0;
}

static long receive_missing_type(int fd)
{
	struct mbox_msg msg;
	__u32 value;

	msg = msg_of(&value, sizeof(value), MBOX_MATCH | MBOX_DONTWAIT);
	msg.type = 9;
	return raw(fd, MBOX_IOC_RECV, &msg);
}

/* An entry takes more than the message. */
static int index_what_others_sent(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	int mine, n, all;

	CHECK_EQ(0, become(USER_B, GROUP_B));
	mine = new_mailbox(0, MBOX_UNBOUNDED);
	all = fill(mine, -EDQUOT);
	CHECK_EQ(-EDQUOT, receive_missing_type(self->b));
	/* That used up nothing. */
	CHECK_EQ(0, take(mine));
	CHECK_EQ(0, put(mine, 1));
	CHECK_EQ(-EDQUOT, put(mine, 1));
	/* Any other receive goes on. */
	CHECK_EQ(0, take(self->b));
	while (take(mine) >= 0)
		;
	CHECK_EQ(-EAGAIN, receive_missing_type(self->b));
	n = fill(mine, -EDQUOT);
	CHECK((INDEXED - 1) * ENTRY <= (all - n) * self->cost);
	while (take(self->b) >= 0)
		;
	CHECK_EQ(all - n, fill(mine, -EDQUOT));
	return 0;
}

static int has_all_but_the_share(void *arg)
{
	int mine;

	(void)arg;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	mine = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(INDEXED, fill(mine, -EDQUOT));
	return 0;
}

TEST_F(stake, an_index_counts_for_whoever_asks_for_it)
{
	self->bytes = 2 * bytes_of(self, INDEXED);
	ASSERT_EQ(0, param_set("user_bytes", self->bytes));
	ASSERT_EQ(0, in_child(fill_indexed, self));
	EXPECT_EQ(0, in_child(index_what_others_sent, self));
}

TEST_F(stake, an_index_of_a_receiver_costs_the_senders_nothing)
{
	self->bytes = 2 * bytes_of(self, INDEXED);
	ASSERT_EQ(0, param_set("user_bytes", self->bytes));
	ASSERT_EQ(0, in_child(fill_indexed, self));
	EXPECT_EQ(-EAGAIN, receive_missing_type(self->b));
	EXPECT_EQ(0, in_child(has_all_but_the_share, self));
}

/* One descriptor in a message, and half of 64 at most in root[0]. */
static int replace_descriptors(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	struct rlimit limit = { 64, 64 };
	struct mbox_msg msg;
	__u32 value = 1;
	int zero = 0, i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, neg(setrlimit(RLIMIT_NOFILE, &limit)));
	for (i = 0; i < 100; i++) {
		msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
		msg.nfds = 1;
		msg.fds = (uintptr_t)&zero;
		CHECK_EQ(0, raw(self->root[0], MBOX_IOC_SEND, &msg));
	}
	CHECK_EQ(32U, stat_of(self->root[0]).queued);
	CHECK_EQ(68U, stat_of(self->root[0]).dropped);
	CHECK(can_send(self->root[0]));
	/* What is in another mailbox of the owner cannot be dropped. */
	for (i = 0; i < 32; i++)
		take(self->root[0]);
	for (i = 0; i < 32; i++)
		CHECK_EQ(0, raw(self->root[1], MBOX_IOC_SEND, &msg));
	CHECK_EQ(-EDQUOT, raw(self->root[0], MBOX_IOC_SEND, &msg));
	CHECK(!can_send(self->root[0]));
	CHECK_EQ(68U, stat_of(self->root[0]).dropped);
	return 0;
}

TEST_F(stake, MBOX_DROP_OLDEST_drops_at_the_share_of_descriptors)
{
	close(self->root[0]);
	self->root[0] = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	ASSERT_EQ(0, param_set("user_bytes", self->saved));
	EXPECT_EQ(0, in_child(replace_descriptors, self));
}

/* There is room for as many descriptors as two messages have, which are elsewhere. */
static int have_too_many_descriptors(void *arg)
{
	FIXTURE_DATA(stake) *self = arg;
	struct rlimit limit = { 2 * MBOX_FDS_MAX, 2 * MBOX_FDS_MAX };
	struct mbox_msg msg = { .flags = MBOX_DONTWAIT, .nfds = MBOX_FDS_MAX };
	int fds[MBOX_FDS_MAX] = { 0 };
	int fd, other, i, n;

	(void)self;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, neg(setrlimit(RLIMIT_NOFILE, &limit)));
	fd = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	other = new_mailbox(0, MBOX_UNBOUNDED);
	msg.fds = (uintptr_t)fds;
	for (i = 0; i < 2; i++)
		CHECK_EQ(0, raw(other, MBOX_IOC_SEND, &msg));
	for (i = 0; i < 300; i++)
		CHECK_EQ(0, put(fd, i));
	n = stat_of(fd).dropped;
	CHECK(n > 0);
	CHECK_EQ(-ETOOMANYREFS, raw(fd, MBOX_IOC_SEND, &msg));
	CHECK_EQ(n, stat_of(fd).dropped);
	return 0;
}

TEST_F(stake, ETOOMANYREFS_drops_nothing)
{
	EXPECT_EQ(0, in_child(have_too_many_descriptors, self));
}

/* ---- audit ---------------------------------------------------------------- */

#define TRACEFS "/sys/kernel/tracing/"
#define PROBE TRACEFS "events/mbox_test/asked/"
#define RESOURCE "24"

/* Reaches the limits, and asks once for something that is audited. */
static int reach_limits(void *arg)
{
	FIXTURE_DATA(limits) *self = arg;
	struct rlimit limit = { 3, 3 };
	struct mbox_attr attr = attr_of(0, 1);
	int fds[3], i;

	CHECK_EQ(0, fill_mailboxes(fds));
	attr.msg_max = 1 << 21;
	CHECK_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
	for (i = 0; !raw_send(fds[0], "", 0, MBOX_DONTWAIT); i++)
		CHECK(i < 1000);
	CHECK_EQ(-EDQUOT, raw_send(fds[0], "", 0, MBOX_DONTWAIT));
	for (i = 0; !raw_send(self->fd, "", 0, MBOX_DONTWAIT); i++)
		CHECK(i < 1000);
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_max = 4;
	CHECK_EQ(-EPERM, neg(setrlimit(RLIMIT_NOFILE, &limit)));
	return 0;
}

/* How often a capability was asked for that is audited when it is missing. */
static int audited_questions(void)
{
	FILE *trace = fopen(TRACEFS "trace", "r");
	char line[512];
	int n = 0;

	if (!trace)
		return -1;
	/* Others may have left events enabled, so that there are many lines. */
	while (fgets(line, sizeof(line), trace))
		n += !!strstr(line, " asked: ");
	fclose(trace);
	return n;
}

TEST_F(limits, reaching_a_limit_is_not_audited)
{
	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	write_file(TRACEFS "trace", "\n");
	if (write_file(TRACEFS "kprobe_events",
		       "p:mbox_test/asked cap_capable cap=$arg3:s32 opts=$arg4:u32"))
		SKIP(return, "no probes in the kernel");
	/* Of the options, 2 is CAP_OPT_NOAUDIT. */
	EXPECT_EQ(0, write_file(PROBE "filter", "cap == " RESOURCE " && !(opts & 2) && comm == \"%s\"",
				program_invocation_short_name));
	EXPECT_EQ(0, write_file(PROBE "enable", "1"));
	EXPECT_EQ(0, param_set("user_mailboxes", 3));
	EXPECT_EQ(0, param_set("user_bytes", 10 * self->cost));
	EXPECT_EQ(0, in_child(reach_limits, self));
	EXPECT_EQ(1, audited_questions());
	write_file(PROBE "enable", "0");
	write_file(TRACEFS "kprobe_events", "-:mbox_test/asked");
}

TEST_HARNESS_MAIN
