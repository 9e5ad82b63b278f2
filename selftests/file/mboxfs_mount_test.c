// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes as files: where they are mounted. The system calls that make mounts, bind
 * mounts of one mailbox in containers, user namespaces, watches that outlast a mount.
 */
#include <linux/capability.h>
#include <poll.h>
#include <sys/inotify.h>

#include "calls.h"
#include "leases.h"
#include "mboxfs.h"
#include "rings.h"

/* Ids of a user namespace: so many from this one on. */
#define FIRST_ID 100000
#define IDS 10

/* ---- system calls ------------------------------------------------------------- */

static int make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);

	return fd < 0 ? neg(fd) : close(fd);
}

TEST_F(fs, fsopen_makes_an_instance)
{
	int context, tree, fd;
	char again[80];
	struct stat st;

	snprintf(again, sizeof(again), "%s-2", self->dir);
	ASSERT_EQ(0, mkdir(again, 0700));
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	context = neg(fsopen("mbox", FSOPEN_CLOEXEC));
	ASSERT_LE(0, context);
	EXPECT_EQ(-EINVAL, neg(fsconfig(context, FSCONFIG_SET_STRING, "mode", "9", 0)));
	EXPECT_EQ(-EINVAL, neg(fsconfig(context, FSCONFIG_SET_STRING, "size", "1", 0)));
	EXPECT_EQ(-EINVAL, neg(fsconfig(context, FSCONFIG_SET_FLAG, "mode", NULL, 0)));
	EXPECT_EQ(0, neg(fsconfig(context, FSCONFIG_SET_STRING, "mode", "0750", 0)));
	EXPECT_EQ(0, neg(fsconfig(context, FSCONFIG_SET_STRING, "uid", "1001", 0)));
	/* It is about the network namespace in which it was opened. */
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	ASSERT_EQ(0, neg(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)));
	tree = neg(fsmount(context, FSMOUNT_CLOEXEC, 0));
	ASSERT_LE(0, tree);
	/* It is a directory, also without being anywhere. */
	fd = neg(openat(tree, "q", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, put(fd, 1));
	EXPECT_EQ(1, take(fd));
	close(fd);
	close(context);
	ASSERT_EQ(0, neg(move_mount(tree, "", AT_FDCWD, again, MOVE_MOUNT_F_EMPTY_PATH)));
	close(tree);
	st = attributes(again);
	EXPECT_EQ(0750, st.st_mode & 07777);
	EXPECT_EQ(1001, st.st_uid);
	EXPECT_NE(attributes(self->dir).st_dev, st.st_dev);
	/* Nor is it that of the namespace to which the process went. */
	EXPECT_EQ(-ENOENT, raw_open("q", O_RDWR));
	EXPECT_EQ(0, umount(again));
	rmdir(again);
}

TEST_F(fs, fspick_changes_the_options)
{
	int context = neg(fspick(AT_FDCWD, self->dir, FSPICK_CLOEXEC));

	ASSERT_LE(0, context);
	EXPECT_EQ(0, neg(fsconfig(context, FSCONFIG_SET_STRING, "mode", "0700", 0)));
	EXPECT_EQ(0, neg(fsconfig(context, FSCONFIG_SET_STRING, "gid", "2001", 0)));
	EXPECT_EQ(01777, attributes(self->dir).st_mode & 07777);
	EXPECT_EQ(0, neg(fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0)));
	EXPECT_EQ(0700, attributes(self->dir).st_mode & 07777);
	EXPECT_EQ(2001, attributes(self->dir).st_gid);
	close(context);
	EXPECT_EQ(0, chmod(self->dir, 01777));
}

TEST_F(fs, open_tree_takes_one_mailbox)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	char file[80], proc[64];
	int tree, fd;

	snprintf(file, sizeof(file), "%s-bind", self->dir);
	ASSERT_EQ(0, make_file(file));
	tree = neg(open_tree(AT_FDCWD, self->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	ASSERT_LE(0, tree);
	/* A descriptor as O_PATH makes it, of a mount that is nowhere. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", tree);
	EXPECT_EQ(-EBADF, put(tree, 1));
	EXPECT_EQ(0, tried(proc, O_RDWR));
	ASSERT_EQ(0, neg(mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr))));
	EXPECT_EQ(-EROFS, tried(proc, O_RDWR));
	EXPECT_EQ(0, tried(proc, O_RDONLY));
	EXPECT_EQ(0, tried(self->path, O_RDWR));
	ASSERT_EQ(0, neg(move_mount(tree, "", AT_FDCWD, file, MOVE_MOUNT_F_EMPTY_PATH)));
	close(tree);
	EXPECT_EQ(-EROFS, tried(file, O_WRONLY));
	fd = open_as(file, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, put(self->fd, 7));
	EXPECT_EQ(7, take(fd));
	close(fd);
	attr = (struct mount_attr){ .attr_clr = MOUNT_ATTR_RDONLY };
	ASSERT_EQ(0, neg(mount_setattr(AT_FDCWD, file, 0, &attr, sizeof(attr))));
	EXPECT_EQ(0, tried(file, O_RDWR));
	EXPECT_EQ(0, umount(file));
	unlink(file);
}

struct container {
	FIXTURE_DATA(fs) *fs;
	char dir[80];
	char file[80];
	int ready[2];
	int go[2];
	pid_t pid;
	int (*inside)(const struct container *c);
};

static int contain(void *arg)
{
	struct container *c = arg;
	char byte = 0;

	close(c->go[1]);
	/* It has all capabilities in its namespaces, and no identity yet. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET))
		return 77;
	CHECK_EQ(1, write(c->ready[1], &byte, 1));
	CHECK_EQ(1, read(c->go[0], &byte, 1));
	CHECK_EQ(0, become(0, 0));
	return c->inside(c);
}

/*
 * Begin to run @inside as root of a user namespace with IDS ids, and with a network and
 * mounts of its own. Return 0; 77: there are no user namespaces.
 */
static int container_start(struct container *c, FIXTURE_DATA(fs) *fs,
			   int (*inside)(const struct container *c))
{
	char path[64], byte = 0;

	c->fs = fs;
	c->inside = inside;
	snprintf(c->dir, sizeof(c->dir), "%s-container", fs->dir);
	snprintf(c->file, sizeof(c->file), "%s-bind", fs->dir);
	CHECK_EQ(0, mkdir(c->dir, 0755));
	CHECK_EQ(0, make_file(c->file));
	CHECK_EQ(0, pipe2(c->ready, O_CLOEXEC));
	CHECK_EQ(0, pipe2(c->go, O_CLOEXEC));
	c->pid = spawn(contain, c);
	close(c->ready[1]);
	if (read(c->ready[0], &byte, 1) != 1)
		return reap(c->pid);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", c->pid);
	CHECK_EQ(0, write_file(path, "0 %d %d", FIRST_ID, IDS));
	snprintf(path, sizeof(path), "/proc/%d/gid_map", c->pid);
	CHECK_EQ(0, write_file(path, "0 %d %d", FIRST_ID, IDS));
	CHECK_EQ(1, write(c->go[1], &byte, 1));
	return 0;
}

/* What it returned. */
static int container_end(struct container *c)
{
	int ret = reap(c->pid);

	close(c->ready[0]);
	close(c->go[0]);
	close(c->go[1]);
	rmdir(c->dir);
	unlink(c->file);
	return ret;
}

static int in_container(struct container *c, FIXTURE_DATA(fs) *fs,
			int (*inside)(const struct container *c))
{
	int ret = container_start(c, fs, inside);

	return ret ? ret : container_end(c);
}

static int wait_for_end(const struct container *c)
{
	char byte;

	CHECK_EQ(1, read(c->go[0], &byte, 1));
	return 0;
}

static int map_ids(const char *path, int userns)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = userns };
	int tree = neg(open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)), ret;

	if (tree < 0)
		return tree;
	ret = neg(mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
	close(tree);
	return ret;
}

TEST_F(fs, mounts_do_not_map_ids)
{
	struct container c;
	char path[64];
	int ret, ns;

	ret = container_start(&c, self, wait_for_end);
	if (ret == 77)
		SKIP(return, "no user namespaces");
	ASSERT_EQ(0, ret);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", c.pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, ns);
	EXPECT_EQ(-EINVAL, map_ids(self->dir, ns));
	EXPECT_EQ(-EINVAL, map_ids(self->path, ns));
	close(ns);
	EXPECT_EQ(1, write(c.go[1], "", 1));
	EXPECT_EQ(0, container_end(&c));
}

/* ---- containers without the device -------------------------------------------- */

struct parcel {
	char path[80];
	char bound[80];
	struct mbox_attr attr;
	int fd;
};

static int make_parcel(struct parcel *p, const char *dir, const char *name)
{
	snprintf(p->path, sizeof(p->path), "%s/%s", dir, name);
	snprintf(p->bound, sizeof(p->bound), "%s-%s", dir, name);
	CHECK_EQ(0, make_file(p->bound));
	p->fd = raw_create(name, O_RDWR | O_EXCL, &p->attr);
	CHECK(p->fd >= 0);
	return 0;
}

static void remove_parcel(struct parcel *p, const char *name)
{
	close(p->fd);
	unlink(p->bound);
	raw_unlink(name);
}

static int talk_by_queue(const char *path)
{
	struct mbox *mb = mbox_open(path, O_RDWR);
	struct pollfd pfd = { .events = POLLIN };
	__u32 request = 20, reply = 0;
	char buf[8];
	__u64 token;

	CHECK(mb);
	pfd.fd = mbox_fd(mb);
	CHECK_EQ(0, poll(&pfd, 1, 0));
	/* The server is outside. */
	CHECK_EQ(4, mbox_call(mb, &request, sizeof(request), &reply, sizeof(reply), NULL));
	CHECK_EQ(21, reply);
	/* It has left a job. */
	CHECK_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	CHECK_EQ(5, lease(pfd.fd, &token));
	CHECK_EQ(-EAGAIN, neg(mbox_recv(mb, buf, sizeof(buf), MBOX_DONTWAIT)));
	CHECK_EQ(0, nack(pfd.fd, token, 0));
	CHECK_EQ(5, lease(pfd.fd, &token));
	CHECK_EQ(0, ack(pfd.fd, token));
	/* For whoever is outside. */
	CHECK_EQ(0, mbox_send(mb, &request, sizeof(request), 0));
	CHECK_EQ(0, mbox_close(mb));
	return 0;
}

static int talk_by_ring(const char *path)
{
	struct mbox *mb = mbox_open(path, O_RDWR);
	struct pollfd pfd = { .events = POLLIN };

	CHECK(mb);
	pfd.fd = mbox_fd(mb);
	CHECK_EQ(1, ring_take(mb));
	CHECK_EQ(0, poll(&pfd, 1, 0));
	CHECK_EQ(0, ring_put(mb, 2));
	CHECK_EQ(1, poll(&pfd, 1, 0));
	CHECK_EQ(0, mbox_close(mb));
	return 0;
}

struct delivery {
	struct parcel queue, ring;
};

/* Network and mounts of its own, and of mailboxes only those that are mounted. */
static int without_device(void *arg)
{
	struct delivery *d = arg;
	struct mbox_attr attr = attr_of(0, 1);

	CHECK_EQ(0, neg(unshare(CLONE_NEWNS | CLONE_NEWNET)));
	CHECK_EQ(0, neg(mount(d->queue.path, d->queue.bound, NULL, MS_BIND, NULL)));
	CHECK_EQ(0, neg(mount(d->ring.path, d->ring.bound, NULL, MS_BIND, NULL)));
	CHECK_EQ(0, neg(mount("tmpfs", "/dev", "tmpfs", 0, NULL)));
	CHECK_EQ(-ENOENT, neg(access(DEVICE, F_OK)));
	CHECK(!mbox_create(NULL, O_RDWR, &attr) && errno == ENODEV);
	CHECK(!mbox_open("queue", O_RDWR) && errno == ENODEV);
	CHECK_EQ(0, talk_by_queue(d->queue.bound));
	CHECK_EQ(0, talk_by_ring(d->ring.bound));
	/* For receivers. */
	CHECK_EQ(0, neg(mount(NULL, d->queue.bound, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY,
			      NULL)));
	CHECK_EQ(0, neg(mount(NULL, d->ring.bound, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY,
			      NULL)));
	CHECK(!mbox_open(d->queue.bound, O_WRONLY) && errno == EROFS);
	CHECK(!mbox_open(d->queue.bound, O_RDWR) && errno == EROFS);
	CHECK(!mbox_open(d->ring.bound, O_WRONLY) && errno == EROFS);
	CHECK_EQ(0, tried(d->queue.bound, O_RDONLY));
	CHECK_EQ(0, tried(d->ring.bound, O_RDONLY));
	CHECK_EQ(-EROFS, neg(chmod(d->queue.bound, 0666)));
	return 0;
}

TEST_F(fs, a_container_without_the_device_talks)
{
	struct delivery d = { .queue.attr = attr_of(0, 4), .ring.attr = attr_of(0, 4) };
	struct mbox *ring;
	__u64 token;
	pid_t pid;

	d.ring.attr.mode = MBOX_RING;
	d.ring.attr.msg_max = 64;
	ASSERT_EQ(0, make_parcel(&d.queue, self->dir, "queue"));
	ASSERT_EQ(0, make_parcel(&d.ring, self->dir, "ring"));
	ring = mbox_open("ring", O_RDWR);
	ASSERT_TRUE(!!ring);
	ASSERT_EQ(0, ring_put(ring, 1));
	pid = spawn(without_device, &d);
	EXPECT_EQ(20, get_request(d.queue.fd, 0, &token));
	EXPECT_EQ(0, put(d.queue.fd, 5));
	EXPECT_EQ(0, answer(d.queue.fd, token, 21));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(20, take(d.queue.fd));
	EXPECT_EQ(2, ring_take(ring));
	mbox_close(ring);
	remove_parcel(&d.queue, "queue");
	remove_parcel(&d.ring, "ring");
}

/* ---- user namespaces ---------------------------------------------------------- */

/* Root of the container, at a mailbox that is not the container's. */
static int use_foreign(const struct container *c)
{
	struct stat st;

	CHECK_EQ(0, neg(mount(c->fs->path, c->file, NULL, MS_BIND, NULL)));
	st = attributes(c->file);
	CHECK_EQ(65534, st.st_uid);
	CHECK_EQ(65534, st.st_gid);
	CHECK_EQ(0600, st.st_mode & 07777);
	/* Its capabilities are for what has its ids. */
	CHECK_EQ(-EACCES, tried(c->file, O_RDONLY));
	CHECK_EQ(-EACCES, tried(c->file, O_WRONLY));
	CHECK_EQ(-EACCES, tried(c->file, O_RDWR));
	CHECK_EQ(0, tried(c->file, O_PATH));
	CHECK_EQ(-EPERM, neg(chmod(c->file, 0666)));
	CHECK_EQ(-EPERM, neg(chown(c->file, 0, -1)));
	CHECK_EQ(-EPERM, neg(fchmod(c->fs->fd, 0666)));
	CHECK_EQ(-EPERM, raw_set_capacity(c->fs->fd, 9));
	CHECK_EQ(-EPERM, raw_destroy(c->fs->fd));
	/* What it has open, it uses. */
	CHECK_EQ(0, put(c->fs->fd, 1));
	CHECK_EQ(1, take(c->fs->fd));
	return 0;
}

TEST_F(fs, a_mailbox_of_others_in_a_user_namespace)
{
	struct container c;
	int ret = in_container(&c, self, use_foreign);

	if (ret == 77)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
	EXPECT_EQ(4U, stat_of(self->fd).attr.capacity);
}

static int use_given(const struct container *c)
{
	int fd;

	CHECK_EQ(0, neg(mount(c->fs->path, c->file, NULL, MS_BIND, NULL)));
	CHECK_EQ(0, attributes(c->file).st_uid);
	CHECK_EQ(1, attributes(c->file).st_gid);
	fd = open_as(c->file, O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(0, put(fd, 3));
	CHECK_EQ(0, neg(chmod(c->file, 0640)));
	/* Within its own ids. */
	CHECK_EQ(-EINVAL, neg(chown(c->file, IDS, -1)));
	CHECK_EQ(-EINVAL, neg(chown(c->file, -1, IDS)));
	CHECK_EQ(0, neg(chown(c->file, 2, -1)));
	/* The instance is not its own: another owner is a stranger there. */
	CHECK_EQ(-EPERM, raw_set_capacity(fd, 9));
	CHECK_EQ(-EPERM, raw_destroy(fd));
	/* The mount goes with the namespace. */
	CHECK_EQ(0, neg(mount(NULL, c->file, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL)));
	CHECK_EQ(-EROFS, tried(c->file, O_WRONLY));
	CHECK_EQ(-EROFS, raw_destroy(fd));
	return 0;
}

TEST_F(fs, a_mailbox_that_is_given_to_a_user_namespace)
{
	struct container c;
	int ret;

	ASSERT_EQ(0, chown(self->path, FIRST_ID, FIRST_ID + 1));
	ret = in_container(&c, self, use_given);
	if (ret == 77)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(0640, attributes(self->path).st_mode & 07777);
	EXPECT_EQ(FIRST_ID + 2, attributes(self->path).st_uid);
}

struct attempt {
	int cap;
	int open, chmod, chown, unlink;
	const char *path;
};

static int make_as_one(void *arg)
{
	CHECK_EQ(0, become(1, 1));
	CHECK_EQ(0, neg(mkfifo(arg, 0600)));
	return 0;
}

static int attempt_as_two(void *arg)
{
	const struct attempt *a = arg;

	CHECK_EQ(0, become_with(2, 2, a->cap));
	CHECK_EQ(a->open, tried(a->path, O_RDWR));
	CHECK_EQ(a->open, tried(a->path, O_RDONLY));
	CHECK_EQ(a->open, tried(a->path, O_WRONLY));
	CHECK_EQ(a->chmod, neg(chmod(a->path, 0600)));
	CHECK_EQ(a->chown, neg(chown(a->path, 3, -1)));
	if (!a->chown)
		CHECK_EQ(-EINVAL, neg(chown(a->path, IDS, -1)));
	CHECK_EQ(a->unlink, neg(unlink(a->path)));
	return 0;
}

/* The instance of a container obeys the capabilities that its processes have there. */
static int use_own(const struct container *c)
{
	struct attempt attempts[] = {
		{ -1, -EACCES, -EPERM, -EPERM, -EPERM },
		{ CAP_FOWNER, -EACCES, 0, -EPERM, 0 },
		{ CAP_DAC_OVERRIDE, 0, -EPERM, -EPERM, -EPERM },
		{ CAP_IPC_OWNER, 0, -EPERM, -EPERM, -EPERM },
		{ CAP_CHOWN, -EACCES, -EPERM, 0, -EPERM },
	};
	char path[96];
	unsigned int i;

	CHECK_EQ(0, mount_at(c->dir, NULL));
	snprintf(path, sizeof(path), "%s/q", c->dir);
	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		attempts[i].path = path;
		CHECK_EQ(0, in_child(make_as_one, path));
		CHECK_EQ(1, attributes(path).st_uid);
		if (in_child(attempt_as_two, &attempts[i])) {
			fprintf(stderr, "# attempt %u\n", i);
			return 1;
		}
		CHECK_EQ(attempts[i].unlink ? 0 : -ENOENT, neg(unlink(path)));
	}
	return 0;
}

TEST_F(fs, capabilities_of_a_user_namespace_are_for_its_instance)
{
	struct container c;
	int ret = in_container(&c, self, use_own);

	if (ret == 77)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
}

/* ---- watches -------------------------------------------------------------------- */

static int new_watches(void)
{
	return neg(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

/* Wait for these events, and for no others before them. */
static int await_events(int in, const __u32 *masks, int n)
{
	char buf[512] __attribute__((aligned(8)));
	struct pollfd pfd = { .fd = in, .events = POLLIN };
	struct inotify_event *ev;
	ssize_t len;
	int i = 0;

	while (i < n) {
		CHECK_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
		len = read(in, buf, sizeof(buf));
		CHECK(len > 0);
		for (ev = (void *)buf; (char *)ev < buf + len; i++) {
			CHECK(i < n);
			/* That it is a directory is not said of every event. */
			CHECK_EQ(masks[i], ev->mask & ~IN_ISDIR);
			ev = (void *)((char *)(ev + 1) + ev->len);
		}
	}
	CHECK_EQ(0, poll(&pfd, 1, 0));
	return 0;
}

static __u32 mailboxes_charged(void)
{
	struct mbox_info info;

	memset(&info, POISON, sizeof(info));
	raw_control(MBOX_IOC_INFO, &info);
	return info.mailboxes;
}

/* Also of one without a name: watched through its descriptor. */
static int watch_and_close(void *arg)
{
	FIXTURE_DATA(fs) *self = arg;
	static const __u32 named[] = { IN_ATTRIB, IN_DELETE_SELF, IN_IGNORED };
	static const __u32 anonymous[] = { IN_DELETE_SELF, IN_IGNORED };
	char proc[64];
	int in, fd;

	in = new_watches();
	if (in == -ENOSYS)
		return 77;
	CHECK(in >= 0);
	/* A user whose mailboxes no other test counts, or leaves behind. */
	CHECK_EQ(0, become(FIRST_ID, FIRST_ID));
	CHECK_EQ(0, mailboxes_charged());
	fd = raw_create("other", O_RDWR | O_EXCL, &self->attr);
	CHECK(fd >= 0);
	CHECK(inotify_add_watch(in, self->other, IN_ALL_EVENTS) >= 0);
	close(fd);
	CHECK_EQ(1, mailboxes_charged());
	CHECK_EQ(0, unlink(self->other));
	CHECK_EQ(0, mailboxes_charged());
	CHECK_EQ(0, await_events(in, named, ARRAY_SIZE(named)));
	fd = new_mailbox(0, 1);
	CHECK(fd >= 0);
	/* After the change of user, root owns /proc/self. */
	CHECK_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	CHECK(inotify_add_watch(in, proc, IN_ALL_EVENTS) >= 0);
	CHECK_EQ(1, mailboxes_charged());
	close(fd);
	CHECK_EQ(0, mailboxes_charged());
	CHECK_EQ(0, await_events(in, anonymous, ARRAY_SIZE(anonymous)));
	return 0;
}

TEST_F(fs, a_watch_keeps_no_mailbox)
{
	int ret = in_child(watch_and_close, self);

	if (ret == 77)
		SKIP(return, "no inotify");
	EXPECT_EQ(0, ret);
}

TEST_F(fs, a_watch_keeps_no_namespace)
{
	static const __u32 mailbox[] = { IN_ATTRIB, IN_DELETE_SELF, IN_IGNORED };
	static const __u32 directory[] = { IN_DELETE, IN_UNMOUNT, IN_IGNORED };
	int of_mailbox = new_watches(), of_directory = new_watches();

	if (of_mailbox == -ENOSYS)
		SKIP(return, "no inotify");
	ASSERT_LE(0, of_mailbox);
	ASSERT_LE(0, of_directory);
	ASSERT_LE(0, inotify_add_watch(of_mailbox, self->path, IN_ALL_EVENTS));
	ASSERT_LE(0, inotify_add_watch(of_directory, self->dir, IN_CREATE | IN_DELETE));
	close(self->fd);
	close(self->root);
	self->fd = -1;
	self->root = -1;
	ASSERT_EQ(0, umount(self->dir));
	/* Only the watches are left. */
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	EXPECT_EQ(0, await_events(of_mailbox, mailbox, ARRAY_SIZE(mailbox)));
	EXPECT_EQ(0, await_events(of_directory, directory, ARRAY_SIZE(directory)));
	close(of_mailbox);
	close(of_directory);
}

TEST_F_TIMEOUT(afterwards, the_module_is_not_in_use, 60)
{
	EXPECT_GE(0, await_unused_module());
}

TEST_HARNESS_MAIN
