// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes as files: what reaches a mailbox other than by opening its path. File
 * handles, watches of whole mounts, other file systems over this one, other roots.
 */
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>

#include "mboxfs.h"

/* ---- descriptors ------------------------------------------------------------ */

/* "/proc/PID/fd/N -> TEXT", of this process. */
static const char *link_of(int fd, char *text, size_t size)
{
	char proc[64];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

/* What lsof shows as the name of an open file. */
TEST_F(fs, links_in_proc_show_how_it_was_opened)
{
	int opened, path, anon = new_mailbox(0, 1);
	char text[256], want[256], file[96];

	opened = open_as(self->path, O_RDWR);
	path = open_as(self->path, O_PATH);
	ASSERT_LE(0, opened);
	ASSERT_LE(0, path);
	EXPECT_STREQ(self->path, link_of(opened, text, sizeof(text)));
	EXPECT_STREQ(self->path, link_of(path, text, sizeof(text)));
	/* By its name: the root is that of the instance. */
	snprintf(want, sizeof(want), "/%s", self->name);
	EXPECT_STREQ(want, link_of(self->fd, text, sizeof(text)));
	EXPECT_STREQ("/[mbox] (deleted)", link_of(anon, text, sizeof(text)));
	/* Opened again, it is the same place. */
	close(path);
	path = reopen(opened, O_RDONLY);
	EXPECT_STREQ(self->path, link_of(path, text, sizeof(text)));
	close(path);
	/* Through another mount. */
	snprintf(file, sizeof(file), "%s-bind", self->dir);
	close(open(file, O_CREAT | O_RDWR, 0600));
	ASSERT_EQ(0, mount(self->path, file, NULL, MS_BIND, NULL));
	path = open_as(file, O_RDONLY);
	EXPECT_STREQ(file, link_of(path, text, sizeof(text)));
	close(path);
	EXPECT_EQ(0, umount(file));
	unlink(file);
	/* After renaming and removing. */
	EXPECT_EQ(0, rename(self->path, self->other));
	EXPECT_STREQ(self->other, link_of(opened, text, sizeof(text)));
	EXPECT_STREQ("/other", link_of(self->fd, text, sizeof(text)));
	EXPECT_EQ(0, unlink(self->other));
	snprintf(want, sizeof(want), "%s (deleted)", self->other);
	EXPECT_STREQ(want, link_of(opened, text, sizeof(text)));
	close(opened);
	close(anon);
}

/* A mailbox without a name does not get one, and a name is not doubled. */
TEST_F(fs, linkat_gives_no_name)
{
	int opened = open_as(self->path, O_RDWR), anon = new_mailbox(0, 1), i;
	int fds[] = { opened, self->fd, anon };
	/* Handles of ioctls are on the mount of the module. */
	long errors[] = { -EPERM, -EXDEV, -EXDEV };
	char proc[64];

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		EXPECT_EQ(errors[i], neg(linkat(fds[i], "", self->root, "x", AT_EMPTY_PATH)))
			TH_LOG("case %d", i);
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fds[i]);
		EXPECT_EQ(errors[i], neg(linkat(AT_FDCWD, proc, self->root, "x",
						AT_SYMLINK_FOLLOW)))
			TH_LOG("case %d", i);
		EXPECT_EQ(-EXDEV, neg(linkat(AT_FDCWD, proc, AT_FDCWD, "/tmp/x",
					     AT_SYMLINK_FOLLOW)))
			TH_LOG("case %d", i);
	}
	EXPECT_EQ(-ENOENT, tried("x", O_RDWR));
	close(opened);
	close(anon);
}

/* ---- file handles ------------------------------------------------------------ */

/* A server of files could not find the mailbox again: it may be gone. */
TEST_F(fs, there_are_no_file_handles)
{
	struct {
		struct file_handle handle;
		unsigned char room[MAX_HANDLE_SZ];
	} buf;
	int mount_id, ret;

	buf.handle.handle_bytes = MAX_HANDLE_SZ;
	ret = neg(name_to_handle_at(AT_FDCWD, self->path, &buf.handle, &mount_id, 0));
	if (ret == -ENOSYS)
		SKIP(return, "no file handles in this kernel");
	EXPECT_EQ(-EOPNOTSUPP, ret);
	buf.handle.handle_bytes = MAX_HANDLE_SZ;
	EXPECT_EQ(-EOPNOTSUPP, neg(name_to_handle_at(self->fd, "", &buf.handle, &mount_id,
						     AT_EMPTY_PATH)));
	buf.handle.handle_bytes = MAX_HANDLE_SZ;
	EXPECT_EQ(-EOPNOTSUPP, neg(name_to_handle_at(self->root, ".", &buf.handle, &mount_id,
						     0)));
	/* A made-up one: the number and generation of the inode. */
	memset(&buf, 0, sizeof(buf));
	buf.handle.handle_bytes = 8;
	buf.handle.handle_type = 1;
	*(__u32 *)buf.handle.f_handle = stat_of(self->fd).id;
	EXPECT_EQ(-ESTALE, neg(open_by_handle_at(self->root, &buf.handle, O_RDWR)));
	EXPECT_EQ(-ESTALE, neg(open_by_handle_at(self->fd, &buf.handle, O_RDWR)));
}

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200
#endif

/* Since Linux 6.5 there are some that only tell files apart: they open nothing. */
TEST_F(fs, file_handles_that_identify)
{
	struct {
		struct file_handle handle;
		unsigned char room[MAX_HANDLE_SZ];
	} one, two;
	int mount_id, ret, other = raw_create("other", O_RDWR | O_EXCL, &self->attr);

	ASSERT_LE(0, other);
	one.handle.handle_bytes = MAX_HANDLE_SZ;
	ret = neg(name_to_handle_at(AT_FDCWD, self->path, &one.handle, &mount_id,
				    AT_HANDLE_FID));
	EXPECT_EQ(0, raw_unlink("other"));
	if (ret == -ENOSYS || ret == -EINVAL)
		SKIP(return, "no such file handles in this kernel");
	ASSERT_EQ(0, ret);
	/* The same by every way to it, and another one for another mailbox. */
	two.handle.handle_bytes = MAX_HANDLE_SZ;
	ASSERT_EQ(0, neg(name_to_handle_at(self->fd, "", &two.handle, &mount_id,
					   AT_EMPTY_PATH | AT_HANDLE_FID)));
	EXPECT_EQ(one.handle.handle_bytes, two.handle.handle_bytes);
	EXPECT_EQ(0, memcmp(one.handle.f_handle, two.handle.f_handle, one.handle.handle_bytes));
	two.handle.handle_bytes = MAX_HANDLE_SZ;
	ASSERT_EQ(0, neg(name_to_handle_at(other, "", &two.handle, &mount_id,
					   AT_EMPTY_PATH | AT_HANDLE_FID)));
	EXPECT_EQ(one.handle.handle_bytes, two.handle.handle_bytes);
	EXPECT_NE(0, memcmp(one.handle.f_handle, two.handle.f_handle, one.handle.handle_bytes));
	EXPECT_EQ(-ESTALE, neg(open_by_handle_at(self->root, &one.handle, O_RDWR)));
	EXPECT_EQ(-ESTALE, neg(open_by_handle_at(self->fd, &one.handle, O_RDWR)));
	close(other);
}

/* ---- fanotify ------------------------------------------------------------------ */

/* A group, or -errno. */
static int new_group(unsigned int class)
{
	return neg(fanotify_init(class | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY));
}

static bool has_event(int group)
{
	struct pollfd pfd = { .fd = group, .events = POLLIN };

	return poll(&pfd, 1, 100) == 1;
}

/* It reports paths of files and directories, and a mailbox is a FIFO. */
TEST_F(fs, fanotify_sees_no_messages)
{
	__u64 mask = FAN_OPEN | FAN_ACCESS | FAN_MODIFY | FAN_CLOSE;
	int group = new_group(FAN_CLASS_NOTIF), fd, fd2;
	char buf[16];

	if (group == -ENOSYS)
		SKIP(return, "no fanotify");
	ASSERT_LE(0, group);
	ASSERT_EQ(0, fanotify_mark(group, FAN_MARK_ADD, mask, AT_FDCWD, self->path));
	ASSERT_EQ(0, fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, mask, AT_FDCWD,
				   self->dir));
	ASSERT_EQ(0, fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, AT_FDCWD,
				   self->dir));
	fd = open_as(self->path, O_RDWR);
	fd2 = reopen(self->fd, O_RDONLY);
	EXPECT_EQ(5, write(fd, "hello", 5));
	EXPECT_EQ(5, read(fd2, buf, sizeof(buf)));
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, take(fd));
	close(fd);
	close(fd2);
	EXPECT_FALSE(has_event(group));
	close(group);
}

/* Names come and go: by inotify, and where the kernel takes it without file handles. */
TEST_F(fs, fanotify_of_names)
{
	int group = new_group(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME);
	int ret;

	if (group == -ENOSYS || group == -EINVAL)
		SKIP(return, "no fanotify of names");
	ASSERT_LE(0, group);
	ret = neg(fanotify_mark(group, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE, AT_FDCWD,
				self->dir));
	EXPECT_TRUE(!ret || ret == -ENODEV || ret == -EOPNOTSUPP)
		TH_LOG("%d", ret);
	if (!ret) {
		EXPECT_EQ(0, mkfifo(self->other, 0600));
		EXPECT_TRUE(has_event(group));
	}
	close(group);
}

/* Nor does a watcher that decides about opening: it would have to get a handle. */
TEST_F(fs, fanotify_does_not_decide_who_opens)
{
	int group = new_group(FAN_CLASS_CONTENT);

	if (group == -ENOSYS)
		SKIP(return, "no fanotify");
	ASSERT_LE(0, group);
	if (fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, self->path)) {
		close(group);
		SKIP(return, "no permission events");
	}
	EXPECT_EQ(0, tried(self->path, O_RDWR));
	EXPECT_FALSE(has_event(group));
	close(group);
}

/* ---- other file systems and roots ---------------------------------------------- */

/* A tmpfs with the folders lower, upper, work and merged, in @dir. */
static int make_folders(const char *dir)
{
	static const char *const folders[] = { "lower", "upper", "work", "merged" };
	char path[160];
	unsigned int i;

	CHECK_EQ(0, mkdir(dir, 0755));
	CHECK_EQ(0, mount("tmpfs", dir, "tmpfs", 0, NULL));
	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
		CHECK_EQ(0, mkdir(path, 0755));
	}
	return 0;
}

static void remove_folders(const char *dir)
{
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* An overlay shows an ordinary FIFO of that name, which is no mailbox. */
TEST_F(fs, an_overlay_shows_a_fifo)
{
	char top[80], merged[100], path[200], options[400];
	struct mbox *mb;
	int ret, fd;

	snprintf(top, sizeof(top), "%s-overlay", self->dir);
	snprintf(merged, sizeof(merged), "%s/merged", top);
	snprintf(path, sizeof(path), "%s/%s", merged, self->name);
	ASSERT_EQ(0, make_folders(top));
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/upper,workdir=%s/work",
		 self->dir, top, top);
	ret = neg(mount("overlay", merged, "overlay", 0, options));
	if (ret == -ENODEV) {
		remove_folders(top);
		SKIP(return, "no overlayfs");
	}
	ASSERT_EQ(0, ret);
	EXPECT_TRUE(S_ISFIFO(attributes(path).st_mode));
	/* Nobody is at its other end. */
	EXPECT_EQ(-ENXIO, tried(path, O_WRONLY | O_NONBLOCK));
	fd = open_as(path, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTTY, put(fd, 1));
	EXPECT_EQ(1, write(fd, "x", 1));
	close(fd);
	EXPECT_EQ(0, stat_of(self->fd).sent);
	mb = mbox_open(path, O_RDWR);
	EXPECT_TRUE(!mb && errno == EINVAL);
	/* A bind mount over it is the mailbox. */
	EXPECT_EQ(0, mount(self->path, path, NULL, MS_BIND, NULL));
	fd = open_as(path, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(0, put(fd, 1));
	EXPECT_EQ(1, take(self->fd));
	close(fd);
	EXPECT_EQ(0, umount(path));
	EXPECT_EQ(0, umount(merged));
	/* As the layer that is written to, it has no place for the work. */
	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s,workdir=%s/work", top,
		 self->dir, top);
	EXPECT_EQ(-EINVAL, neg(mount("overlay", merged, "overlay", 0, options)));
	EXPECT_EQ(1, count_mailboxes());
	remove_folders(top);
}

struct new_root {
	char top[80];
	const char *name;
};

/* In a mount namespace whose root is a tmpfs, from which pivot_root(2) can go. */
static int pivot(void *arg)
{
	const struct new_root *root = arg;
	char path[80];
	int fd;

	CHECK_EQ(0, unshare(CLONE_NEWNS));
	CHECK_EQ(0, mkdir(root->top, 0755));
	CHECK_EQ(0, mount("tmpfs", root->top, "tmpfs", 0, NULL));
	CHECK_EQ(0, chdir(root->top));
	CHECK_EQ(0, chroot("."));
	CHECK_EQ(0, mkdir("/box", 0755));
	CHECK_EQ(0, mount_at("/box", NULL));
	/* A mailbox is no directory, and no directory is in the new root. */
	snprintf(path, sizeof(path), "/box/%s", root->name);
	CHECK_EQ(-ENOTDIR, neg(syscall(SYS_pivot_root, path, "/")));
	CHECK_EQ(-ENOTDIR, neg(syscall(SYS_pivot_root, "/box", path)));
	CHECK_EQ(0, chdir("/box"));
	CHECK_EQ(0, neg(syscall(SYS_pivot_root, ".", ".")));
	CHECK_EQ(0, umount2(".", MNT_DETACH));
	CHECK_EQ(0, chdir("/"));
	/* Nothing but mailboxes are there. */
	snprintf(path, sizeof(path), "/%s", root->name);
	fd = open_as(path, O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(0, put(fd, 7));
	CHECK_EQ(-ENOENT, tried("/proc", O_RDONLY));
	CHECK_EQ(-EPERM, neg(mkdir("/proc", 0755)));
	return 0;
}

TEST_F(fs, pivot_root_makes_it_the_root)
{
	struct new_root root = { .name = self->name };

	snprintf(root.top, sizeof(root.top), "%s-root", self->dir);
	EXPECT_EQ(0, in_child(pivot, &root));
	EXPECT_EQ(7, take(self->fd));
	rmdir(root.top);
}

/* The memory of a ring is written by receivers too: the mount is about sending. */
TEST_F(fs, a_ring_on_a_read_only_mount_is_for_receivers)
{
	struct mbox_attr attr = { .mode = MBOX_RING, .capacity = 4, .msg_max = 64, .perm = 0600 };
	int fd = raw_create("other", O_RDWR | O_EXCL, &attr);
	struct mbox *from, *to;
	char again[80], path[160], buf[64];

	ASSERT_LE(0, fd);
	snprintf(again, sizeof(again), "%s-2", self->dir);
	snprintf(path, sizeof(path), "%s/other", again);
	ASSERT_EQ(0, mkdir(again, 0700));
	ASSERT_EQ(0, mount_at(again, NULL));
	ASSERT_EQ(0, neg(mount(NULL, again, NULL, MS_REMOUNT | MS_RDONLY, NULL)));
	to = mbox_open("other", O_WRONLY);
	from = mbox_open(path, O_RDONLY);
	ASSERT_TRUE(to && from);
	EXPECT_EQ(0, mbox_send(to, "text", 4, MBOX_DONTWAIT));
	EXPECT_EQ(4, mbox_recv(from, buf, sizeof(buf), MBOX_DONTWAIT));
	EXPECT_TRUE(!mbox_open(path, O_WRONLY) && errno == EROFS);
	EXPECT_EQ(-EBADF, neg(mbox_send(from, "text", 4, MBOX_DONTWAIT)));
	EXPECT_EQ(0, mbox_close(from));
	EXPECT_EQ(0, mbox_close(to));
	close(fd);
	EXPECT_EQ(0, umount(again));
	rmdir(again);
	EXPECT_EQ(0, raw_unlink("other"));
}

TEST_F_TIMEOUT(afterwards, the_module_is_not_in_use, 60)
{
	EXPECT_GE(0, await_unused_module());
}

TEST_HARNESS_MAIN
