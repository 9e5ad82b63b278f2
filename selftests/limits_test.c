// SPDX-License-Identifier: GPL-2.0-only
/* Limits per user, and what overrides them. */
#include "peers.h"

/* What the shortest message costs. */
#define COST_MIN 64

static const char * const params[] = { "user_mailboxes", "user_bytes", "msg_max_limit" };

FIXTURE(limits)
{
	long saved[ARRAY_SIZE(params)];
	char name[64];
	int fd;
};

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

TEST(ring_barriers_are_asked_for_by_a_parameter)
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
		fds[i] = new_mailbox(0, 1);
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

TEST_F(limits, CAP_SYS_RESOURCE_overrides)
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

TEST_F(limits, root_of_a_user_namespace_does_not_override)
{
	int ret;

	ASSERT_EQ(0, param_set("user_mailboxes", 3));
	ret = in_child(root_of_a_user_namespace, NULL);
	if (ret == 4)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
}

/* Bytes: the child is an ordinary user, allowed ten of the shortest messages. */
static int fill_bytes(int fd)
{
	int i;

	CHECK_EQ(0, geteuid() ? 0 : become(USER_A, GROUP_A));
	for (i = 0; i < 10; i++)
		CHECK_EQ(0, put(fd, i));
	CHECK_EQ(-EDQUOT, put(fd, i));
	CHECK_EQ(-EDQUOT, raw_send(fd, "", 0, 0));
	CHECK_EQ(-EDQUOT, neg(write(fd, "x", 1)));
	return 0;
}

static int receiving_releases_bytes(void *arg)
{
	FIXTURE_DATA(limits) *self = arg;

	CHECK_EQ(0, fill_bytes(self->fd));
	CHECK_EQ(0, take_as(self->fd, MBOX_PEEK, 0, 0));
	CHECK_EQ(-EDQUOT, put(self->fd, 1));
	CHECK_EQ(-EFAULT, raw_recv(self->fd, (void *)1, 8, 0));
	CHECK_EQ(-EDQUOT, put(self->fd, 1));
	CHECK_EQ(0, take(self->fd));
	CHECK_EQ(0, put(self->fd, 10));
	CHECK_EQ(-EDQUOT, put(self->fd, 1));
	while (take(self->fd) >= 0)
		;
	return 0;
}

static int closing_releases_bytes(void *arg)
{
	int fd = new_mailbox(0, MBOX_UNBOUNDED);

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
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, fill_bytes(fd));
	CHECK_EQ(0, raw_destroy(fd));
	fresh = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK_EQ(0, put(fresh, 1));
	return 0;
}

static int dropping_releases_bytes(void *arg)
{
	int fd = new_mailbox(MBOX_DROP_OLDEST, 5), i;

	(void)arg;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < 100; i++)
		CHECK_EQ(0, put(fd, i));
	CHECK_EQ(95, stat_of(fd).dropped);
	return 0;
}

static int failed_sends_cost_nothing(void *arg)
{
	FIXTURE_DATA(limits) *self = arg;
	int full = new_mailbox(0, 1), i;
	struct mbox_msg past = { .deadline_ns = 1 };

	CHECK_EQ(0, put(full, 1));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < 100; i++) {
		CHECK_EQ(-EFAULT, raw_send(self->fd, (void *)1, 8, 0));
		CHECK_EQ(-EAGAIN, put(full, 1));
		CHECK_EQ(-ETIMEDOUT, raw(full, MBOX_IOC_SEND, &past));
		past.flags = MBOX_SYNC;
		CHECK_EQ(-ETIMEDOUT, raw(self->fd, MBOX_IOC_SEND, &past));
		past.flags = 0;
	}
	CHECK_EQ(0, fill_bytes(self->fd));
	while (take(self->fd) >= 0)
		;
	return 0;
}

static int longer_messages_cost_their_length(void *arg)
{
	FIXTURE_DATA(limits) *self = arg;
	static char text[10 * COST_MIN + 1];

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EDQUOT, raw_send(self->fd, text, 10 * COST_MIN + 1, 0));
	CHECK_EQ(0, raw_send(self->fd, text, 9 * COST_MIN, 0));
	CHECK_EQ(-EDQUOT, raw_send(self->fd, text, COST_MIN + 1, 0));
	CHECK_EQ(0, raw_send(self->fd, text, COST_MIN, 0));
	CHECK_EQ(-EDQUOT, raw_send(self->fd, text, 0, 0));
	CHECK_EQ(9 * COST_MIN, raw_recv(self->fd, text, sizeof(text), 0));
	CHECK_EQ(COST_MIN, raw_recv(self->fd, text, sizeof(text), 0));
	return 0;
}

TEST_F(limits, user_bytes_is_EDQUOT_until_released)
{
	static int (* const children[])(void *arg) = {
		receiving_releases_bytes, closing_releases_bytes, destroying_releases_bytes,
		dropping_releases_bytes, failed_sends_cost_nothing,
		longer_messages_cost_their_length,
	};
	unsigned int i;

	ASSERT_EQ(0, param_set("user_bytes", 10 * COST_MIN));
	for (i = 0; i < ARRAY_SIZE(children); i++) {
		EXPECT_EQ(0, in_child(children[i], self))
			TH_LOG("case %u", i);
		EXPECT_EQ(0U, stat_of(self->fd).queued);
	}
}

static int send_as_user_b(void *arg)
{
	int fd = *(int *)arg, i;

	CHECK_EQ(0, become(USER_B, GROUP_B));
	for (i = 0; i < 10; i++)
		CHECK_EQ(0, put(fd, i));
	CHECK_EQ(-EDQUOT, put(fd, i));
	return 0;
}

static int has_nothing_left(void *arg)
{
	CHECK_EQ(0, become(USER_B, GROUP_B));
	CHECK_EQ(-EDQUOT, put(*(int *)arg, 1));
	return 0;
}

static int has_its_whole_budget(void *arg)
{
	(void)arg;
	return fill_bytes(new_mailbox(0, MBOX_UNBOUNDED));
}

TEST_F(limits, bytes_are_the_senders_whoever_owns_the_mailbox)
{
	int i;

	/* USER_B fills root's mailbox, through a handle that root opened. */
	ASSERT_EQ(0, param_set("user_bytes", 10 * COST_MIN));
	EXPECT_EQ(0, in_child(send_as_user_b, &self->fd));
	/* The messages outlive their sender, and so does what they cost. */
	EXPECT_EQ(0, in_child(has_nothing_left, &self->fd));
	EXPECT_EQ(0, in_child(has_its_whole_budget, NULL));
	for (i = 0; i < 10; i++)
		EXPECT_EQ(i, take(self->fd));
	EXPECT_EQ(0, in_child(send_as_user_b, &self->fd));
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

TEST_F(limits, msg_max_limit_is_for_new_mailboxes)
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

TEST_HARNESS_MAIN
