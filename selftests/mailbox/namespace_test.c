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

/* And not "." alone. */
TEST_F(names, names_of_any_bytes_except_slash_and_NUL_work)
{
	char name[1];
	int c, fd;

	for (c = 1; c < 256; c++) {
		if (c == '/' || c == '.')
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

TEST_F(names, names_of_every_length_work)
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

TEST_F(names, bad_names_are_EINVAL)
{
	static const struct {
		const char *name;
		__u32 len;
	} bad[] = { { ".", 1 }, { "..", 2 }, { "/", 1 }, { "/abc", 4 }, { "a/b", 3 },
		    { "abc/", 4 }, { "\0", 1 }, { "a\0b", 3 }, { "abc", 4 } };
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

TEST_F(names, bad_names_in_the_library_are_EINVAL)
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
		/* A name with a slash is a path. */
		EXPECT_EQ(strcmp(bad[i], "a/b") ? EINVAL : ENOENT, errno);
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
	EXPECT_EQ(1, count_mailboxes());
	ASSERT_EQ(0, put(fd, 1));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	ASSERT_EQ(0, setns(self->home, CLONE_NEWNET));
	EXPECT_TRUE(same_stat(self->fd, &outside));
	close(fd);
}

/* What a walk says of the mailbox, all zero when it does not show it. */
static struct mbox_walk walked(int fd)
{
	struct mbox_walk pos = { .id = stat_of(fd).id - 1 };

	if (raw_control(MBOX_IOC_WALK, &pos) || pos.id != stat_of(fd).id)
		memset(&pos, 0, sizeof(pos));
	return pos;
}

TEST_F(net, each_namespace_counts_its_ids)
{
	unsigned long long home = current_net(), away;
	int first = new_mailbox(0, 1), fds[10], i;
	__u64 id = stat_of(first).id;

	EXPECT_EQ(home, walked(first).ns);
	EXPECT_EQ(home, fdinfo_number(first, "mbox-ns:"));
	UNSHARE_OR_SKIP(CLONE_NEWNET);
	away = current_net();
	EXPECT_NE(home, away);
	for (i = 0; i < 10; i++) {
		fds[i] = new_mailbox(0, 1);
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(stat_of(fds[0]).id + i, stat_of(fds[i]).id);
		EXPECT_EQ(away, walked(fds[i]).ns);
		EXPECT_EQ(away, fdinfo_number(fds[i], "mbox-ns:"));
	}
	/* A handle from elsewhere says where the id belongs. */
	EXPECT_EQ(home, fdinfo_number(first, "mbox-ns:"));
	ASSERT_EQ(0, setns(self->home, CLONE_NEWNET));
	EXPECT_EQ(away, fdinfo_number(fds[9], "mbox-ns:"));
	close(first);
	first = new_mailbox(0, 1);
	EXPECT_EQ(id + 1, stat_of(first).id);
	close(first);
	for (i = 0; i < 10; i++)
		close(fds[i]);
}

static int direct_to(void *arg)
{
	int fd;

	CHECK(!unshare(CLONE_NEWNET));
	fd = raw_direct(*(pid_t *)arg, O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(current_net(), fdinfo_number(fd, "mbox-ns:"));
	return 0;
}

TEST_F(net, direct_links_get_ids_of_the_namespace_of_their_creator)
{
	int before = new_mailbox(0, 1), after;
	pid_t self_pid = getpid();

	EXPECT_EQ(0, in_child(direct_to, &self_pid));
	after = new_mailbox(0, 1);
	EXPECT_EQ(stat_of(before).id + 1, stat_of(after).id);
	close(after);
	close(before);
}

static int pass_one(void *arg)
{
	int *sock = arg;
	int fd;

	CHECK(!unshare(CLONE_NEWNET));
	fd = new_mailbox(0, 1);
	CHECK(fd >= 0);
	CHECK_EQ(0, pass_fd(sock[1], fd));
	return 0;
}

/* Inode numbers of namespaces are used again: a number and an id are not. */
TEST_F(net, mailboxes_that_outlive_their_namespace_keep_their_ids)
{
	unsigned long long seen[16][2];
	int fds[16], sock[2], i, j;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	for (i = 0; i < 16; i++) {
		ASSERT_EQ(0, in_child(pass_one, sock));
		fds[i] = receive_fd(sock[0]);
		ASSERT_LE(0, fds[i]);
		seen[i][0] = fdinfo_number(fds[i], "mbox-ns:");
		seen[i][1] = stat_of(fds[i]).id;
		for (j = 0; j < i; j++)
			EXPECT_FALSE(seen[i][0] == seen[j][0] && seen[i][1] == seen[j][1])
				TH_LOG("namespace %llu, id %llu", seen[i][0], seen[i][1]);
		/* The end of a namespace takes a moment. */
		usleep(20000);
	}
	for (i = 0; i < 16; i++)
		close(fds[i]);
}

/* Names are left behind. */
static int leave_many(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);
	char name[32];
	int i, fd;

	(void)arg;
	CHECK(!unshare(CLONE_NEWNET));
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "left-%d", i);
		fd = raw_create(name, O_RDWR | O_EXCL, &attr);
		CHECK(fd >= 0);
		close(fd);
	}
	return 0;
}

/* The first id of a new namespace. */
static int send_first_id(void *arg)
{
	__u64 id;
	int fd;

	CHECK(!unshare(CLONE_NEWNET));
	fd = new_mailbox(0, 1);
	CHECK(fd >= 0);
	id = stat_of(fd).id;
	CHECK_EQ((long)sizeof(id), write(*(int *)arg, &id, sizeof(id)));
	close(fd);
	return 0;
}

TEST_F(net, ids_do_not_grow_with_the_namespaces_that_are_gone)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	int pipes[2];
	__u64 id;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, in_child(leave_many, NULL));
	do {
		/* The end of a namespace takes a moment. */
		usleep(20000);
		ASSERT_EQ(0, in_child(send_first_id, &pipes[1]));
		ASSERT_EQ((long)sizeof(id), read(pipes[0], &id, sizeof(id)));
	} while (id >= 1000 && now_ns(CLOCK_MONOTONIC) < limit);
	EXPECT_GT(1000, id);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(net, open_device_uses_the_namespace_of_the_caller)
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

TEST_F(net, handles_work_in_other_namespaces)
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
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
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

TEST_F(net, end_of_a_namespace_destroys_its_mailboxes)
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
	/* USER_A does not make it, but the first user 0. */
	bool made_by_root;
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

	if (!u->made_by_root && become(USER_A, GROUP_A))
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

TEST_F(net, root_of_a_user_namespace_has_its_capabilities_inside)
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

TEST_F(net, root_of_a_user_namespace_is_EACCES_outside)
{
	struct userns u = { .body = root_of_nothing, .name = self->name, .fd = self->fd };
	pid_t pid = START_USERNS_OR_SKIP(&u);

	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, put(self->fd, 1));
}

/* What the ids of a user namespace use is charged to its creator. */

static int put_up_to(int fd, int limit)
{
	long ret;
	int n = 0;

	while (n < limit && !(ret = put(fd, n)))
		n++;
	return n == limit || ret == -EDQUOT || ret == -EAGAIN ? n : -1;
}

static int become_inside(int id)
{
	/* Through 0, which may. */
	CHECK_EQ(0, neg(setresuid(0, 0, 0)));
	CHECK_EQ(0, neg(setresuid(id, id, 0)));
	return 0;
}

static int fill_as_both(struct userns *u)
{
	struct mbox_attr attr = attr_of(0, MBOX_UNBOUNDED);
	int fd = raw_create(NULL, O_RDWR, &attr), all, n, i;

	CHECK(fd >= 0);
	/* The owner is not bound by a share of its own mailbox. */
	all = put_up_to(fd, 1000);
	CHECK(all > 0 && all < 1000);
	for (i = 0; i < all; i++)
		CHECK_EQ(i, take(fd));
	CHECK_EQ(0, become_inside(1));
	n = put_up_to(fd, 1000);
	CHECK(n > 0 && n <= all);
	/* Nothing is left for the other. */
	CHECK_EQ(0, become_inside(0));
	CHECK_EQ(u->made_by_root ? all : 0, put_up_to(fd, 1000));
	for (i = 0; i < n; i++)
		CHECK_EQ(i, take(fd));
	if (!u->made_by_root)
		CHECK_EQ(n, put_up_to(fd, 1000));
	return 0;
}

TEST_F(net, bytes_in_a_user_namespace_are_charged_to_its_creator)
{
	struct userns u = { .body = fill_as_both };
	long saved = param_get("user_bytes");
	pid_t pid;

	/* The child sends at once. */
	EXPECT_EQ(0, param_set("user_bytes", 4096));
	pid = START_USERNS_OR_SKIP(&u);
	EXPECT_EQ(0, reap(pid));
	param_set("user_bytes", saved);
}

TEST_F(net, bytes_in_a_user_namespace_of_root_are_charged_to_each_user)
{
	struct userns u = { .body = fill_as_both, .made_by_root = true };
	long saved = param_get("user_bytes");
	pid_t pid;

	EXPECT_EQ(0, param_set("user_bytes", 4096));
	pid = START_USERNS_OR_SKIP(&u);
	EXPECT_EQ(0, reap(pid));
	param_set("user_bytes", saved);
}

static int create_as_both(struct userns *u)
{
	struct mbox_info info = { 0 };
	int i;

	CHECK_EQ(0, become_inside(1));
	for (i = 0; i < 3; i++)
		CHECK(new_mailbox(0, 1) >= 0);
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	CHECK_EQ(0, become_inside(0));
	/* It has none itself; what the limit leaves is told. */
	CHECK_EQ(0, raw_control(MBOX_IOC_INFO, &info));
	CHECK_EQ(3, info.user_mailboxes);
	CHECK_EQ(u->made_by_root ? 0 : 3, info.mailboxes);
	for (i = 0; i < 3 && u->made_by_root; i++)
		CHECK(new_mailbox(0, 1) >= 0);
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	return 0;
}

TEST_F(net, mailboxes_in_a_user_namespace_are_charged_to_its_creator)
{
	struct userns u = { .body = create_as_both };
	pid_t pid;

	ASSERT_EQ(0, param_set("user_mailboxes", 3));
	pid = START_USERNS_OR_SKIP(&u);
	EXPECT_EQ(0, reap(pid));
	u.made_by_root = true;
	pid = START_USERNS_OR_SKIP(&u);
	EXPECT_EQ(0, reap(pid));
}

/* A number of messages with a descriptor each. */
static int send_fds_up_to(int fd, int limit)
{
	__u32 value = 1;
	struct mbox_msg msg;
	int ends[2], n;

	CHECK(!pipe(ends));
	for (n = 0; n < limit; n++) {
		msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
		msg.nfds = 1;
		msg.fds = (uintptr_t)&ends[0];
		if (raw(fd, MBOX_IOC_SEND, &msg))
			break;
	}
	return n;
}

static int send_fds_as_both(struct userns *u)
{
	struct rlimit limit = { 32, 32 };
	struct mbox_attr attr = attr_of(0, MBOX_UNBOUNDED);
	int fd = raw_create(NULL, O_RDWR, &attr);

	(void)u;
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_EQ(0, become_inside(1));
	CHECK_EQ(32, send_fds_up_to(fd, 100));
	CHECK_EQ(0, become_inside(0));
	CHECK_EQ(0, send_fds_up_to(fd, 100));
	CHECK_EQ(1, take(fd));
	CHECK_EQ(1, send_fds_up_to(fd, 100));
	return 0;
}

TEST_F(net, descriptors_in_a_user_namespace_are_charged_to_its_creator)
{
	struct userns u = { .body = send_fds_as_both };
	pid_t pid = START_USERNS_OR_SKIP(&u);

	EXPECT_EQ(0, reap(pid));
}

/* Five of nine places for the first user, whatever it calls itself. */
static int share_as_both(struct userns *u)
{
	CHECK_EQ(0, become_inside(1));
	CHECK_EQ(5, put_up_to(u->fd, 100));
	CHECK_EQ(0, become_inside(0));
	CHECK_EQ(0, put_up_to(u->fd, 100));
	return 0;
}

static int share_as_user_b(void *arg)
{
	CHECK_EQ(0, become(USER_B, GROUP_B));
	CHECK_EQ(2, put_up_to(*(int *)arg, 100));
	return 0;
}

TEST_F(net, users_of_a_user_namespace_share_its_creators_fair_share)
{
	struct userns u = { .body = share_as_both, .fd = new_mailbox(MBOX_FAIR, 9) };
	pid_t pid = START_USERNS_OR_SKIP(&u);

	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, in_child(share_as_user_b, &u.fd));
	close(u.fd);
}

/* Inside, each id is a user of its own. */
static int share_inside(struct userns *u)
{
	struct mbox_attr attr = attr_of(MBOX_FAIR, 9);
	int fd = raw_create(NULL, O_RDWR, &attr);

	(void)u;
	CHECK_EQ(0, become_inside(1));
	CHECK_EQ(5, put_up_to(fd, 100));
	CHECK_EQ(0, become_inside(0));
	CHECK_EQ(2, put_up_to(fd, 100));
	return 0;
}

TEST_F(net, mailbox_in_a_user_namespace_has_a_fair_share_for_each_user)
{
	struct userns u = { .body = share_inside, .flags = CLONE_NEWNET };
	pid_t pid = START_USERNS_OR_SKIP(&u);

	EXPECT_EQ(0, reap(pid));
}

#define KEPT 3

/* USER_B sends first, and then USER_A more than its limit lets it keep. */
static int drop_as_both(struct userns *u)
{
	CHECK_EQ(0, become_inside(1));
	CHECK_EQ(KEPT, put_up_to(u->fd, KEPT));
	CHECK_EQ(0, become_inside(0));
	CHECK_EQ(500, put_up_to(u->fd, 500));
	return 0;
}

TEST_F(net, MBOX_DROP_OLDEST_knows_the_users_in_a_user_namespace_of_root)
{
	struct userns u = { .body = drop_as_both, .made_by_root = true };
	long saved = param_get("user_bytes");
	pid_t pid;
	int i;

	u.fd = new_mailbox(MBOX_DROP_OLDEST, MBOX_UNBOUNDED);
	ASSERT_LE(0, u.fd);
	EXPECT_EQ(0, param_set("user_bytes", 8192));
	pid = START_USERNS_OR_SKIP(&u);
	EXPECT_EQ(0, reap(pid));
	param_set("user_bytes", saved);
	EXPECT_LT(0U, stat_of(u.fd).dropped);
	for (i = 0; i < KEPT; i++)
		EXPECT_EQ(i, take(u.fd));
	EXPECT_LT(KEPT, take(u.fd));
	close(u.fd);
}

/* The mailboxes of USER_A and USER_B, for a sender outside. */
static int pass_as_both(struct userns *u)
{
	int id, fd;

	for (id = 0; id < 2; id++) {
		CHECK_EQ(0, become_inside(id));
		fd = new_mailbox(0, MBOX_UNBOUNDED);
		CHECK(fd >= 0);
		CHECK_EQ(0, pass_fd(u->peer, fd));
	}
	return 0;
}

static int fill_both(void *arg)
{
	int *fds = arg;

	CHECK_EQ(0, become(4711, 4711));
	CHECK(put_up_to(fds[0], 1000) > 2);
	CHECK_EQ(0, put_up_to(fds[1], 1000));
	return 0;
}

TEST_F(net, a_share_with_owners_in_a_user_namespace_is_one)
{
	long saved = param_get("user_bytes");
	struct userns u = { .body = pass_as_both };
	int sock[2], fds[2], i;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	u.peer = sock[1];
	pid = START_USERNS_OR_SKIP(&u);
	for (i = 0; i < 2; i++) {
		fds[i] = receive_fd(sock[0]);
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, param_set("user_bytes", 8192));
	EXPECT_EQ(0, in_child(fill_both, fds));
	param_set("user_bytes", saved);
	for (i = 0; i < 2; i++) {
		close(fds[i]);
		close(sock[i]);
	}
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

TEST_F(net, sender_uid_and_gid_are_mapped_for_the_receiver)
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

TEST_F(net, sender_pid_is_of_the_receivers_pid_namespace)
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

TEST_F(net, sender_pid_is_of_the_process)
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

/* The real ids; each send has its own. */
TEST_F(net, sender_identity_follows_its_credentials)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, neg(setresgid(GROUP_B, -1, -1)));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, neg(setresuid(USER_B, -1, -1)));
	ASSERT_EQ(0, put(self->fd, 3));
	ASSERT_EQ(0, neg(setresuid(-1, USER_A, -1)));
	ASSERT_EQ(0, put(self->fd, 4));
	ASSERT_EQ(0, neg(setresuid(-1, 0, -1)));
	expect_identity(_metadata, self->fd, 0, 0);
	expect_identity(_metadata, self->fd, 0, GROUP_B);
	expect_identity(_metadata, self->fd, USER_B, GROUP_B);
	expect_identity(_metadata, self->fd, USER_B, GROUP_B);
}

/* What execve(2) of a set-user-id program of root makes of USER_A. */
static int write_as_set_user_id_program(void *arg)
{
	int fd = *(int *)arg;
	__u32 value = 1;

	CHECK_EQ(0, neg(setresgid(GROUP_A, 0, 0)));
	CHECK_EQ(0, neg(setresuid(USER_A, 0, 0)));
	CHECK_EQ(0, put(fd, 1));
	CHECK_EQ(4, write(fd, &value, sizeof(value)));
	CHECK_EQ(0, neg(setresgid(GROUP_A, GROUP_A, 0)));
	CHECK_EQ(0, neg(setresuid(USER_A, USER_A, 0)));
	CHECK_EQ(0, put(fd, 1));
	return 0;
}

TEST_F(net, sender_uid_of_a_set_user_ID_program_is_the_real_one)
{
	int i;

	ASSERT_EQ(0, in_child(write_as_set_user_id_program, &self->fd));
	for (i = 0; i < 3; i++)
		expect_identity(_metadata, self->fd, USER_A, GROUP_A);
}

static int send_then_change(void *arg)
{
	CHECK_EQ(0, neg(setresgid(GROUP_B, GROUP_B, 0)));
	CHECK_EQ(0, neg(setresuid(USER_B, USER_B, 0)));
	CHECK_EQ(0, put(*(int *)arg, 1));
	CHECK_EQ(0, neg(setresuid(0, 0, 0)));
	return 0;
}

TEST_F(net, sender_identity_is_taken_at_the_send)
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
