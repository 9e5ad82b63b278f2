// SPDX-License-Identifier: GPL-2.0-only
/* Names, and the namespaces that they and the senders' identities live in. */
#include "peers.h"

static int open_bytes(unsigned int cmd, const void *name, __u32 len)
{
	struct mbox_create create = { .name = (uintptr_t)name, .name_len = len,
				      .oflags = O_RDWR, .attr = MBOX_ATTR_INIT };
	struct mbox_open op = { .name = (uintptr_t)name, .name_len = len, .oflags = O_RDWR };
	struct mbox_unlink ul = { .name = (uintptr_t)name, .name_len = len };

	switch (cmd) {
	case MBOX_IOC_CREATE:
		return raw_control(cmd, &create);
	case MBOX_IOC_OPEN:
		return raw_control(cmd, &op);
	default:
		return raw_control(cmd, &ul);
	}
}

FIXTURE(names)
{
	int seen;
	char longest[MBOX_NAME_MAX + 2];
};

FIXTURE_SETUP(names)
{
	umask(0);
	self->seen = count_mailboxes();
	memset(self->longest, 'n', sizeof(self->longest));
}

FIXTURE_TEARDOWN(names)
{
	open_bytes(MBOX_IOC_UNLINK, self->longest, MBOX_NAME_MAX);
}

TEST_F(names, any_bytes_but_slash_and_NUL)
{
	char name[1];
	int c, fd;

	for (c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		name[0] = c;
		fd = open_bytes(MBOX_IOC_CREATE, name, 1);
		ASSERT_LE(0, fd)
			TH_LOG("byte %#x", c);
		close(fd);
		fd = open_bytes(MBOX_IOC_OPEN, name, 1);
		EXPECT_LE(0, fd)
			TH_LOG("byte %#x", c);
		close(fd);
		EXPECT_EQ(0, open_bytes(MBOX_IOC_UNLINK, name, 1));
	}
	EXPECT_EQ(self->seen, count_mailboxes());
}

TEST_F(names, all_lengths)
{
	__u64 id;
	__u32 len;
	int fd;

	for (len = 1; len <= MBOX_NAME_MAX; len++) {
		fd = open_bytes(MBOX_IOC_CREATE, self->longest, len);
		ASSERT_LE(0, fd)
			TH_LOG("length %u", len);
		id = stat_of(fd).id;
		close(fd);
		fd = open_bytes(MBOX_IOC_OPEN, self->longest, len);
		ASSERT_LE(0, fd)
			TH_LOG("length %u", len);
		EXPECT_EQ(id, stat_of(fd).id);
		close(fd);
		/* A longer one that begins like it is another one. */
		if (len > 1)
			EXPECT_EQ(-ENOENT, open_bytes(MBOX_IOC_OPEN, self->longest, len - 1));
		EXPECT_EQ(0, open_bytes(MBOX_IOC_UNLINK, self->longest, len));
	}
}

TEST_F(names, longest_is_reported_in_full)
{
	int fd = open_bytes(MBOX_IOC_CREATE, self->longest, MBOX_NAME_MAX);
	struct mbox_walk pos;

	ASSERT_LE(0, fd);
	memset(&pos, POISON, sizeof(pos));
	pos.id = stat_of(fd).id - 1;
	ASSERT_EQ(0, raw_control(MBOX_IOC_WALK, &pos));
	EXPECT_EQ(0, memcmp(pos.name, self->longest, MBOX_NAME_MAX));
	EXPECT_EQ('\0', pos.name[MBOX_NAME_MAX]);
	close(fd);
}

TEST_F(names, bad_ones)
{
	static const struct {
		const char *name;
		__u32 len;
	} bad[] = { { "/", 1 }, { "/abc", 4 }, { "a/b", 3 }, { "abc/", 4 }, { "\0", 1 },
		    { "a\0b", 3 }, { "abc", 4 } };
	static const unsigned int cmds[] = { MBOX_IOC_CREATE, MBOX_IOC_OPEN, MBOX_IOC_UNLINK };
	unsigned int i, c;

	for (c = 0; c < ARRAY_SIZE(cmds); c++) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(-EINVAL, open_bytes(cmds[c], bad[i].name, bad[i].len))
				TH_LOG("case %u of %#x", i, cmds[c]);
		}
		EXPECT_EQ(-ENAMETOOLONG, open_bytes(cmds[c], self->longest, MBOX_NAME_MAX + 1));
		EXPECT_EQ(-ENAMETOOLONG, open_bytes(cmds[c], NULL, ~0U));
	}
	EXPECT_EQ(-EINVAL, open_bytes(MBOX_IOC_UNLINK, NULL, 0));
	EXPECT_EQ(self->seen, count_mailboxes());
}

TEST_F(names, bad_ones_in_the_library)
{
	static const char * const bad[] = { "", "/", "a/b" };
	unsigned int i;

	self->longest[MBOX_NAME_MAX + 1] = '\0';
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		errno = 0;
		EXPECT_FALSE(!!mbox_create(bad[i], O_RDWR, NULL));
		EXPECT_EQ(EINVAL, errno);
		errno = 0;
		EXPECT_FALSE(!!mbox_open(bad[i], O_RDWR));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-EINVAL, neg(mbox_unlink(bad[i])));
	}
	errno = 0;
	EXPECT_FALSE(!!mbox_open(NULL, O_RDWR));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EINVAL, neg(mbox_unlink(NULL)));
	errno = 0;
	EXPECT_FALSE(!!mbox_create(self->longest, O_RDWR, NULL));
	EXPECT_EQ(ENAMETOOLONG, errno);
	EXPECT_EQ(-ENAMETOOLONG, neg(mbox_unlink(self->longest)));
	EXPECT_EQ(self->seen, count_mailboxes());
}

/* A second network namespace, entered and left by the test itself. */
FIXTURE(net)
{
	char name[64];
	struct mbox_attr attr;
	long limit;
	int home;
	int fd;
};

FIXTURE_SETUP(net)
{
	umask(0);
	self->limit = param_get("user_mailboxes");
	test_name(self->name, sizeof(self->name), "net");
	self->attr = attr_of(0, 4);
	self->fd = raw_create(self->name, O_RDWR | O_EXCL, &self->attr);
	ASSERT_LE(0, self->fd);
	self->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->home);
}

FIXTURE_TEARDOWN(net)
{
	setns(self->home, CLONE_NEWNET);
	param_set("user_mailboxes", self->limit);
	raw_unlink(self->name);
	close(self->fd);
}

#define UNSHARE_OR_SKIP(flags) do {					\
	if (unshare(flags))						\
		SKIP(return, "unshare: %s", strerror(errno));		\
} while (0)

TEST_F(net, names_and_ids_are_scoped)
{
	struct mbox_stat outside = stat_of(self->fd);
	int fd;

	UNSHARE_OR_SKIP(CLONE_NEWNET);
	EXPECT_EQ(0, count_mailboxes());
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_open_id(outside.id, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_unlink(self->name));
	fd = raw_create(self->name, O_RDWR | O_EXCL, &self->attr);
	ASSERT_LE(0, fd);
	EXPECT_NE(outside.id, stat_of(fd).id);
	EXPECT_EQ(1, count_mailboxes());
	ASSERT_EQ(0, put(fd, 1));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	ASSERT_EQ(0, setns(self->home, CLONE_NEWNET));
	EXPECT_EQ(-ENOENT, raw_open_id(stat_of(fd).id, O_RDWR));
	EXPECT_TRUE(same_stat(self->fd, &outside));
	close(fd);
}

TEST_F(net, an_open_device_follows_its_user)
{
	struct mbox_open op = { .name = (uintptr_t)self->name,
				.name_len = strlen(self->name), .oflags = O_RDWR };
	int dev = open_device(), fd;

	UNSHARE_OR_SKIP(CLONE_NEWNET);
	EXPECT_EQ(-ENOENT, raw(dev, MBOX_IOC_OPEN, &op));
	ASSERT_EQ(0, setns(self->home, CLONE_NEWNET));
	fd = raw(dev, MBOX_IOC_OPEN, &op);
	EXPECT_LE(0, fd);
	close(fd);
	close(dev);
}

TEST_F(net, handles_work_across)
{
	struct call c = { 0 };

	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	UNSHARE_OR_SKIP(CLONE_NEWNET);
	ASSERT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(7, recv_join(&c));
}

struct leaver {
	const char *name;
	int sock[2];
	int n;
};

/* Leaves a namespace behind with named mailboxes in it, passes one on. */
static int leave_mailboxes(void *arg)
{
	struct mbox_attr attr = attr_of(0, 4);
	struct leaver *l = arg;
	char name[80];
	int i, fd = -1;

	CHECK(!unshare(CLONE_NEWNET));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < l->n; i++) {
		snprintf(name, sizeof(name), "%s-%d", l->name, i);
		fd = raw_create(name, O_RDWR | O_EXCL, &attr);
		CHECK(fd >= 0);
	}
	CHECK_EQ(-EDQUOT, raw_create(NULL, O_RDWR, &attr));
	CHECK_EQ(0, put(fd, 3));
	CHECK_EQ(0, pass_fd(l->sock[1], fd));
	return 0;
}

/* Until USER_A's budget has room for n mailboxes; it never gets more. */
static int can_create(void *arg)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, PATIENCE_MS);
	struct mbox_attr attr = attr_of(0, 4);
	int n = *(int *)arg, i, fds[8];

	CHECK_EQ(0, become(USER_A, GROUP_A));
	do {
		for (i = 0; i <= n; i++) {
			fds[i] = raw_create(NULL, O_RDWR, &attr);
			if (fds[i] < 0)
				break;
		}
		if (i == n)
			return 0;
		CHECK(i < n);
		while (i--)
			close(fds[i]);
		pause_briefly();
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	CHECK(!"the mailboxes are gone");
	return 1;
}

TEST_F(net, end_of_a_namespace_ends_its_mailboxes)
{
	struct leaver l = { .name = self->name, .n = 3 };
	int two = 2, three = 3, fd;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, l.sock));
	ASSERT_EQ(0, param_set("user_mailboxes", l.n));
	EXPECT_EQ(0, in_child(leave_mailboxes, &l));
	fd = receive_fd(l.sock[0]);
	/* The one with a handle outside lives on, without its name. */
	EXPECT_EQ(0, in_child(can_create, &two));
	EXPECT_EQ(3, take(fd));
	EXPECT_EQ(0, put(fd, 4));
	EXPECT_EQ(4, take(fd));
	EXPECT_EQ(-ENOENT, raw_open_id(stat_of(fd).id, O_RDWR));
	close(fd);
	EXPECT_EQ(0, in_child(can_create, &three));
}

/* A child in a user namespace, where USER_A is 0 and USER_B is 1. */
struct userns {
	int (*body)(struct userns *u);
	int flags;
	int ready[2];
	int go[2];
	const char *name;
	int fd;
	int peer;
	pid_t sender;
};

static int enter_userns(void *arg)
{
	struct userns *u = arg;
	int err;
	char c;

	if (become(USER_A, GROUP_A))
		return 1;
	err = unshare(CLONE_NEWUSER | u->flags) ? errno : 0;
	if (write(u->ready[1], &err, sizeof(err)) != sizeof(err) || err)
		return 1;
	CHECK_EQ(1, read(u->go[0], &c, 1));
	CHECK_EQ(0, neg(setresgid(0, 0, 0)));
	CHECK_EQ(0, neg(setresuid(0, 0, 0)));
	return u->body(u);
}

static int map_ids(pid_t pid)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	ret = write_file(path, "0 %d 1\n1 %d 1\n", USER_A, USER_B);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	return write_file(path, "0 %d 1\n1 %d 1\n", GROUP_A, GROUP_B);
}

/* The child's pid, once it has its ids; -errno when the kernel forbids it. */
static pid_t start_userns(struct userns *u)
{
	int err = ECHILD;
	pid_t pid;

	if (pipe2(u->ready, O_CLOEXEC) || pipe2(u->go, O_CLOEXEC))
		return neg(-1);
	pid = spawn(enter_userns, u);
	if (pid < 0)
		return neg(-1);
	if (read(u->ready[0], &err, sizeof(err)) == sizeof(err) && !err)
		err = -map_ids(pid);
	if (err) {
		kill(pid, SIGKILL);
		reap(pid);
		return -err;
	}
	return write(u->go[1], "", 1) == 1 ? pid : neg(-1);
}

#define START_USERNS_OR_SKIP(u) ({					\
	pid_t __pid = start_userns(u);					\
									\
	if (__pid < 0)							\
		SKIP(return, "no user namespace: %s", strerror(-__pid)); \
	__pid;								\
})

static int root_in_its_own_scope(struct userns *u)
{
	struct mbox_attr attr = attr_of(0, 4);
	struct mbox_stat st;
	int fd;

	CHECK_EQ(-ENOENT, raw_open(u->name, O_RDWR));
	CHECK_EQ(0, count_mailboxes());
	attr.perm = 0;
	/* One that belongs to USER_B. */
	CHECK_EQ(0, neg(setresgid(1, 1, 0)));
	CHECK_EQ(0, neg(setresuid(1, 1, 0)));
	CHECK(raw_create(u->name, O_RDWR | O_EXCL, &attr) >= 0);
	CHECK_EQ(-EACCES, raw_open(u->name, O_RDONLY));
	CHECK_EQ(0, neg(setresuid(0, 0, 0)));
	fd = raw_open(u->name, O_RDWR);
	CHECK(fd >= 0);
	st = stat_of(fd);
	CHECK_EQ(1, st.uid);
	CHECK_EQ(1, st.gid);
	CHECK_EQ(0, raw_set_capacity(fd, 9));
	CHECK_EQ(0, raw_unlink(u->name));
	CHECK_EQ(0, raw_destroy(fd));
	return 0;
}

TEST_F(net, root_of_a_user_namespace_is_root_in_its_own_scope)
{
	struct userns u = { .body = root_in_its_own_scope, .name = self->name,
			    .flags = CLONE_NEWNET };
	struct mbox_stat before = stat_of(self->fd);
	pid_t pid = START_USERNS_OR_SKIP(&u);

	EXPECT_EQ(0, reap(pid));
	EXPECT_TRUE(same_stat(self->fd, &before));
}

static int root_of_nothing(struct userns *u)
{
	struct mbox_stat st = stat_of(u->fd);
	long overflow;
	char text[32];

	CHECK_EQ(-EACCES, raw_open(u->name, O_RDONLY));
	CHECK_EQ(-EACCES, raw_unlink(u->name));
	CHECK_EQ(-EPERM, raw_set_capacity(u->fd, 9));
	CHECK_EQ(-EPERM, raw_destroy(u->fd));
	CHECK_EQ(0, read_file("/proc/sys/kernel/overflowuid", text, sizeof(text)));
	overflow = atol(text);
	CHECK_EQ(overflow, st.uid);
	return 0;
}

TEST_F(net, root_of_a_user_namespace_has_no_power_outside)
{
	struct userns u = { .body = root_of_nothing, .name = self->name, .fd = self->fd };
	pid_t pid = START_USERNS_OR_SKIP(&u);

	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, put(self->fd, 1));
}

static int receive_identities(struct userns *u)
{
	long overflow_uid, overflow_gid;
	__u32 value = POISON32;
	struct mbox_msg msg;
	char text[32];

	CHECK_EQ(0, read_file("/proc/sys/kernel/overflowuid", text, sizeof(text)));
	overflow_uid = atol(text);
	CHECK_EQ(0, read_file("/proc/sys/kernel/overflowgid", text, sizeof(text)));
	overflow_gid = atol(text);
	msg = msg_of(&value, sizeof(value), 0);
	CHECK_EQ(4, raw(u->fd, MBOX_IOC_RECV, &msg));
	CHECK_EQ(u->sender, msg.pid);
	CHECK_EQ(1, msg.uid);
	CHECK_EQ(1, msg.gid);
	msg = msg_of(&value, sizeof(value), 0);
	CHECK_EQ(4, raw(u->fd, MBOX_IOC_RECV, &msg));
	CHECK_EQ(overflow_uid, msg.uid);
	CHECK_EQ(overflow_gid, msg.gid);
	return 0;
}

static int send_as_user_b(void *arg)
{
	CHECK_EQ(0, become(USER_B, GROUP_B));
	CHECK_EQ(0, put(*(int *)arg, 1));
	return 0;
}

TEST_F(net, ids_of_the_sender_are_the_receivers)
{
	struct userns u = { .body = receive_identities, .fd = self->fd };
	pid_t pid;

	u.sender = spawn(send_as_user_b, &self->fd);
	ASSERT_EQ(0, reap(u.sender));
	ASSERT_EQ(0, put(self->fd, 2));
	pid = START_USERNS_OR_SKIP(&u);
	EXPECT_EQ(0, reap(pid));
}

static long sender_pid(int fd)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);
	long ret = raw(fd, MBOX_IOC_RECV, &msg);

	return ret < 0 ? ret : (long)msg.pid;
}

static int in_pid_namespace(void *arg)
{
	struct userns *u = arg;

	CHECK_EQ(1, getpid());
	/* The parent sent this from outside. */
	CHECK_EQ(0, sender_pid(u->fd));
	CHECK_EQ(0, put(u->fd, 2));
	CHECK_EQ(1, sender_pid(u->fd));
	CHECK_EQ(0, put(u->peer, 3));
	return 0;
}

TEST_F(net, pid_of_the_sender_is_the_receivers)
{
	struct userns u = { .fd = self->fd, .peer = new_mailbox(0, 1) };
	pid_t pid;

	ASSERT_EQ(0, put(self->fd, 1));
	UNSHARE_OR_SKIP(CLONE_NEWPID);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(in_pid_namespace(&u));
	EXPECT_EQ(pid, sender_pid(u.peer));
	EXPECT_EQ(0, reap(pid));
	close(u.peer);
}

static void *send_in_thread(void *arg)
{
	return (void *)put(*(int *)arg, 1);
}

TEST_F(net, pid_of_the_sender_is_its_processs)
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, thread_start(&thread, send_in_thread, &self->fd));
	pthread_join(thread, &ret);
	ASSERT_EQ(0, (long)ret);
	EXPECT_EQ(getpid(), sender_pid(self->fd));
}

static void expect_identity(struct __test_metadata *_metadata, int fd, __u32 uid, __u32 gid)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);

	EXPECT_EQ(4, raw(fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ(uid, msg.uid);
	EXPECT_EQ(gid, msg.gid);
}

/* The effective ids, as SCM_CREDENTIALS has them; each send has its own. */
TEST_F(net, identity_is_the_senders_of_the_moment)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, neg(setresgid(-1, GROUP_B, -1)));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, neg(setresuid(-1, USER_B, -1)));
	ASSERT_EQ(0, put(self->fd, 3));
	ASSERT_EQ(0, neg(setresuid(-1, 0, -1)));
	ASSERT_EQ(0, neg(setresuid(USER_A, -1, -1)));
	ASSERT_EQ(0, put(self->fd, 4));
	expect_identity(_metadata, self->fd, 0, 0);
	expect_identity(_metadata, self->fd, 0, GROUP_B);
	expect_identity(_metadata, self->fd, USER_B, GROUP_B);
	expect_identity(_metadata, self->fd, 0, GROUP_B);
}

static int send_then_change(void *arg)
{
	CHECK_EQ(0, neg(setresgid(GROUP_B, GROUP_B, 0)));
	CHECK_EQ(0, neg(setresuid(USER_B, USER_B, 0)));
	CHECK_EQ(0, put(*(int *)arg, 1));
	CHECK_EQ(0, neg(setresuid(0, 0, 0)));
	return 0;
}

TEST_F(net, identity_is_taken_at_the_send)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
	pid_t pid = spawn(send_then_change, &self->fd);

	/* The sender is no more when its message is received. */
	ASSERT_EQ(0, reap(pid));
	ASSERT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &msg));
	EXPECT_EQ((__u32)USER_B, msg.uid);
	EXPECT_EQ((__u32)GROUP_B, msg.gid);
}

TEST_HARNESS_MAIN
