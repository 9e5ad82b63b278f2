// SPDX-License-Identifier: GPL-2.0-only
/* Mailboxes as files: what each system call does with them, and who may. */
#include <linux/capability.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "leases.h"
#include "locked_dir.h"
#include "mboxfs.h"

/* ---- what a mailbox looks like ------------------------------------------- */

TEST_F(fs, a_mailbox_is_a_fifo_with_its_id_as_number)
{
	struct mbox_stat st = stat_of(self->fd);
	struct stat file = attributes(self->path), same;

	EXPECT_TRUE(S_ISFIFO(file.st_mode));
	EXPECT_EQ(0600, file.st_mode & 07777);
	EXPECT_EQ(st.id, file.st_ino);
	EXPECT_EQ(1, file.st_nlink);
	EXPECT_EQ(0, file.st_size);
	ASSERT_EQ(0, fstat(self->fd, &same));
	EXPECT_EQ(file.st_ino, same.st_ino);
	EXPECT_EQ(file.st_dev, same.st_dev);
}

TEST_F(fs, the_size_is_what_is_queued)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(8, attributes(self->path).st_size);
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(4, attributes(self->path).st_size);
}

static __s64 mtime_ns(const char *path)
{
	struct stat st = attributes(path);

	return st.st_mtim.tv_sec * 1000 * NSEC_PER_MSEC + st.st_mtim.tv_nsec;
}

TEST_F(fs, the_time_of_modification_is_that_of_the_last_send)
{
	__s64 created = mtime_ns(self->path), sent;

	usleep(100000);
	EXPECT_EQ(created, mtime_ns(self->path));
	ASSERT_EQ(0, put(self->fd, 1));
	sent = mtime_ns(self->path);
	EXPECT_LE(created + 50 * NSEC_PER_MSEC, sent);
	EXPECT_GE(now_ns(CLOCK_REALTIME), sent);
	usleep(100000);
	EXPECT_EQ(sent, mtime_ns(self->path));
	/* Receiving changes nothing. */
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(sent, mtime_ns(self->path));
}

static __s64 atime_ns(const char *path)
{
	struct stat st = attributes(path);

	return st.st_atim.tv_sec * 1000 * NSEC_PER_MSEC + st.st_atim.tv_nsec;
}

TEST_F(fs, the_time_of_access_is_that_of_the_last_receive)
{
	__s64 created = atime_ns(self->path), sent, received;
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_nsec = UTIME_OMIT } };
	int i;

	ASSERT_EQ(0, put(self->fd, 1));
	sent = mtime_ns(self->path);
	usleep(100000);
	/* Sending changes nothing. */
	EXPECT_EQ(created, atime_ns(self->path));
	ASSERT_EQ(1, take(self->fd));
	/* Asked for at once, or later. */
	for (i = 0; i < 2; i++) {
		if (!i)
			usleep(100000);
		received = atime_ns(self->path);
		EXPECT_LE(sent + 50 * NSEC_PER_MSEC, received);
		EXPECT_GE(now_ns(CLOCK_REALTIME) - (i ? 0 : 50 * NSEC_PER_MSEC), received);
		usleep(100000);
		EXPECT_EQ(received, atime_ns(self->path));
		EXPECT_EQ(sent, mtime_ns(self->path));
		ASSERT_EQ(0, put(self->fd, 2));
		sent = mtime_ns(self->path);
		usleep(100000);
		ASSERT_EQ(2, take(self->fd));
	}
	/* It can be set, as that of any file, until the next receive. */
	ASSERT_EQ(0, utimensat(AT_FDCWD, self->path, times, 0));
	EXPECT_EQ(1000 * NSEC_PER_MSEC, atime_ns(self->path));
	ASSERT_EQ(0, put(self->fd, 3));
	ASSERT_EQ(3, take(self->fd));
	EXPECT_LE(sent, atime_ns(self->path));
}

/* The time may have been asked for before the message comes back, or not. */
TEST_F(fs, a_message_that_comes_back_later_is_not_sent)
{
	__s64 before, sent = 0;
	__u64 token;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, put(self->fd, 1));
		before = now_ns(CLOCK_REALTIME);
		if (i)
			sent = mtime_ns(self->path);
		ASSERT_EQ(1, lease(self->fd, &token));
		usleep(100000);
		ASSERT_EQ(0, nack(self->fd, token, 1));
		while (!stat_of(self->fd).queued)
			pause_briefly();
		EXPECT_GE(before + 50 * NSEC_PER_MSEC, mtime_ns(self->path));
		EXPECT_TRUE(!i || sent == mtime_ns(self->path));
		usleep(50000);
		ASSERT_EQ(1, take(self->fd));
		ASSERT_EQ(0, put(self->fd, 2));
		EXPECT_LT(before + 100 * NSEC_PER_MSEC, mtime_ns(self->path));
		ASSERT_EQ(2, take(self->fd));
	}
}

TEST_F(fs, the_directory)
{
	struct stat st = attributes(self->dir);
	struct statfs fs;

	EXPECT_TRUE(S_ISDIR(st.st_mode));
	EXPECT_EQ(01777, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	ASSERT_EQ(0, statfs(self->dir, &fs));
	EXPECT_EQ(MBX_FS_MAGIC, fs.f_type);
	EXPECT_EQ(MBOX_NAME_MAX, fs.f_namelen);
	ASSERT_EQ(0, fstatfs(self->fd, &fs));
	EXPECT_EQ(MBX_FS_MAGIC, fs.f_type);
}

/* ---- opening --------------------------------------------------------------- */

TEST_F(fs, open_modes_are_rights)
{
	static const struct {
		int oflags;
		long put, take;
	} cases[] = {
		{ O_RDONLY, -EBADF, 1 }, { O_WRONLY, 0, -EBADF }, { O_RDWR, 0, 1 },
		{ O_RDWR | O_NONBLOCK, 0, 1 }, { O_RDWR | O_TRUNC, 0, 1 },
		{ O_RDWR | O_APPEND, 0, 1 },
	};
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, put(self->fd, 1));
		fd = open_as(self->path, cases[i].oflags);
		ASSERT_LE(0, fd)
			TH_LOG("case %u", i);
		EXPECT_EQ(cases[i].put, put(fd, 2))
			TH_LOG("case %u", i);
		EXPECT_EQ(cases[i].take, take(fd))
			TH_LOG("case %u", i);
		close(fd);
		while (take(self->fd) >= 0)
			;
	}
}

TEST_F(fs, open_errors)
{
	char longer[512];

	EXPECT_EQ(-ENOENT, tried(self->other, O_RDWR));
	EXPECT_EQ(-EINVAL, tried(self->path, O_ACCMODE));
	EXPECT_EQ(-EINVAL, tried(self->path, O_RDWR | O_DIRECT));
	EXPECT_EQ(-ENOTDIR, tried(self->path, O_RDONLY | O_DIRECTORY));
	EXPECT_EQ(-EEXIST, tried(self->path, O_RDWR | O_CREAT | O_EXCL));
	EXPECT_EQ(-EOPNOTSUPP, tried(self->dir, O_RDWR | O_TMPFILE));
	EXPECT_EQ(-EISDIR, tried(self->dir, O_WRONLY));
	snprintf(longer, sizeof(longer), "%s/%0256d", self->dir, 1);
	EXPECT_EQ(-ENAMETOOLONG, tried(longer, O_RDWR | O_CREAT));
	snprintf(longer, sizeof(longer), "%s/%0255d", self->dir, 1);
	EXPECT_EQ(0, tried(longer, O_RDWR | O_CREAT));
	EXPECT_EQ(0, unlink(longer));
}

TEST_F(fs, O_CREAT_makes_a_default_mailbox)
{
	int fd = open_as(self->other, O_RDWR | O_CREAT | O_EXCL);
	struct mbox_stat st;

	ASSERT_LE(0, fd);
	st = stat_of(fd);
	EXPECT_EQ(MBOX_QUEUE, st.attr.mode);
	EXPECT_EQ(0, st.attr.flags);
	EXPECT_EQ(64, st.attr.capacity);
	EXPECT_EQ(8192, st.attr.msg_max);
	EXPECT_EQ(0600, st.attr.perm);
	close(fd);
	/* The ioctl finds it. */
	fd = raw_open("other", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(st.id, stat_of(fd).id);
	close(fd);
	/* Opening it again changes nothing. */
	EXPECT_EQ(0, tried(self->other, O_RDWR | O_CREAT));
	EXPECT_EQ(st.id, attributes(self->other).st_ino);
	EXPECT_EQ(0, raw_unlink("other"));
	EXPECT_EQ(-ENOENT, tried(self->other, O_RDWR));
}

TEST_F(fs, open_that_fails_creates_nothing)
{
	char path[300];
	int len;

	EXPECT_EQ(-ENOENT, tried(self->other, O_RDWR));
	EXPECT_EQ(-EINVAL, tried(self->other, O_RDONLY | O_CREAT | O_DIRECTORY));
	EXPECT_EQ(-ENOENT, neg(access(self->other, F_OK)));
	snprintf(path, sizeof(path), "%s/", self->other);
	EXPECT_EQ(-EISDIR, tried(path, O_RDWR | O_CREAT));
	EXPECT_EQ(-ENOENT, neg(access(self->other, F_OK)));
	/* One byte too many. */
	len = snprintf(path, sizeof(path), "%s/", self->dir);
	memset(path + len, 'x', 256);
	path[len + 256] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, tried(path, O_RDWR | O_CREAT));
	path[len + 255] = '\0';
	EXPECT_EQ(0, tried(path, O_RDWR | O_CREAT));
	EXPECT_EQ(0, unlink(path));
	/* The kernel may remember that the name is free. */
	EXPECT_EQ(-ENOENT, tried(path, O_RDWR));
	EXPECT_EQ(-EPERM, neg(mknod(path, 0600, 0)));
	EXPECT_EQ(0, tried(path, O_RDWR | O_CREAT | O_EXCL));
	EXPECT_EQ(-EEXIST, tried(path, O_RDWR | O_CREAT | O_EXCL));
	EXPECT_EQ(-ENOTDIR, tried(path, O_RDONLY | O_DIRECTORY));
	EXPECT_EQ(0, unlink(path));
}

static int create_in_a_closed_directory(void *arg)
{
	FIXTURE_DATA(fs) *self = arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EACCES, tried(self->other, O_RDWR | O_CREAT));
	CHECK_EQ(-EACCES, tried(self->other, O_RDWR | O_CREAT | O_EXCL));
	CHECK_EQ(-EACCES, raw_create("other", O_RDWR, &self->attr));
	CHECK_EQ(-EACCES, neg(mknod(self->other, 0600, 0)));
	CHECK_EQ(-ENOENT, tried(self->other, O_RDWR));
	/* What is there can be opened all the same. */
	CHECK_EQ(0, tried(self->path, O_RDWR | O_CREAT));
	CHECK_EQ(-EEXIST, tried(self->path, O_RDWR | O_CREAT | O_EXCL));
	CHECK_EQ(-EEXIST, neg(mknod(self->path, 0600, 0)));
	return 0;
}

TEST_F(fs, creating_needs_the_right_to_write_to_the_directory)
{
	struct stat dir = attributes(self->dir);

	ASSERT_EQ(0, chmod(self->path, 0666));
	ASSERT_EQ(0, chmod(self->dir, 0755));
	EXPECT_EQ(0, in_child(create_in_a_closed_directory, self));
	EXPECT_EQ(0, chmod(self->dir, dir.st_mode & 07777));
	EXPECT_EQ(-ENOENT, neg(access(self->other, F_OK)));
}

TEST_F(fs, mkfifo_makes_a_default_mailbox)
{
	umask(027);
	ASSERT_EQ(0, mkfifo(self->other, 0666));
	umask(0);
	EXPECT_EQ(0640, attributes(self->other).st_mode & 07777);
	EXPECT_EQ(0, tried(self->other, O_RDWR));
	EXPECT_EQ(-EEXIST, neg(mkfifo(self->other, 0600)));
	EXPECT_EQ(0, unlink(self->other));
}

TEST_F(fs, one_write_is_one_message)
{
	int sender = open_as(self->path, O_WRONLY), receiver = open_as(self->path, O_RDONLY);
	char buf[16];

	ASSERT_LE(0, sender);
	ASSERT_LE(0, receiver);
	EXPECT_EQ(5, write(sender, "first", 5));
	EXPECT_EQ(6, write(sender, "second", 6));
	EXPECT_EQ(5, read(receiver, buf, sizeof(buf)));
	EXPECT_EQ(6, read(receiver, buf, sizeof(buf)));
	EXPECT_EQ(-EBADF, neg(read(sender, buf, 1)));
	EXPECT_EQ(-EBADF, neg(write(receiver, buf, 1)));
	EXPECT_EQ(-ESPIPE, neg(lseek(receiver, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, neg(pread(receiver, buf, 1, 0)));
	EXPECT_EQ(-EBADF, neg(fcntl(receiver, F_SETPIPE_SZ, 4096)));
	EXPECT_EQ(-EINVAL, neg(tee(receiver, sender, 1, 0)));
	close(receiver);
	close(sender);
}

/* ---- the other system calls -------------------------------------------------- */

TEST_F(fs, what_does_not_exist)
{
	char target[128];

	snprintf(target, sizeof(target), "%s/target", self->dir);
	EXPECT_EQ(-EPERM, neg(link(self->path, target)));
	EXPECT_EQ(-EPERM, neg(symlink(self->path, target)));
	EXPECT_EQ(-EPERM, neg(mkdir(target, 0700)));
	EXPECT_EQ(-EPERM, neg(mknod(target, S_IFSOCK | 0600, 0)));
	EXPECT_EQ(-EPERM, neg(mknod(target, S_IFCHR | 0600, 0x0103)));
	EXPECT_EQ(-EPERM, neg(mknod(target, S_IFREG | 0600, 0)));
	EXPECT_EQ(-EPERM, neg(mknod(target, 0600, 0)));
	EXPECT_EQ(-ENOENT, neg(access(target, F_OK)));
	EXPECT_EQ(-EEXIST, neg(mknod(self->path, S_IFREG | 0600, 0)));
	EXPECT_EQ(-EINVAL, neg(truncate(self->path, 0)));
	EXPECT_EQ(-EINVAL, neg(ftruncate(self->fd, 0)));
	EXPECT_EQ(-ENOTDIR, neg(rmdir(self->path)));
	EXPECT_EQ(-EISDIR, neg(unlinkat(self->root, ".", 0)) == -EINVAL ? -EISDIR :
		  neg(unlinkat(self->root, ".", 0)));
	EXPECT_EQ(-ENOTDIR, neg(chdir(self->path)));
	EXPECT_EQ(-EINVAL, neg(readlink(self->path, target, sizeof(target))));
	EXPECT_EQ(-EOPNOTSUPP, neg(setxattr(self->path, "trusted.mbox", "1", 1, 0)));
	EXPECT_EQ(-EACCES, neg(execl(self->path, self->path, NULL)));
	EXPECT_EQ(-EINVAL, neg(fallocate(self->fd, 0, 0, 1)) == -ESPIPE ? -EINVAL :
		  neg(fallocate(self->fd, 0, 0, 1)));
	EXPECT_TRUE(mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd, 0) == MAP_FAILED);
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(fs, what_files_have)
{
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 2 } };
	struct stat st;

	EXPECT_EQ(0, access(self->path, R_OK | W_OK));
	EXPECT_EQ(-EACCES, neg(access(self->path, X_OK)));
	EXPECT_EQ(0, chmod(self->path, 0640));
	EXPECT_EQ(0640, stat_of(self->fd).attr.perm);
	EXPECT_EQ(0, fchmod(self->fd, 0604));
	EXPECT_EQ(0604, stat_of(self->fd).attr.perm);
	EXPECT_EQ(0, chown(self->path, USER_A, GROUP_A));
	EXPECT_EQ(USER_A, stat_of(self->fd).uid);
	EXPECT_EQ(GROUP_A, stat_of(self->fd).gid);
	EXPECT_EQ(0, fchown(self->fd, USER_B, -1));
	EXPECT_EQ(USER_B, stat_of(self->fd).uid);
	EXPECT_EQ(0, utimensat(AT_FDCWD, self->path, times, 0));
	st = attributes(self->path);
	EXPECT_EQ(1, st.st_atim.tv_sec);
	EXPECT_EQ(0, flock(self->fd, LOCK_EX | LOCK_NB));
	EXPECT_EQ(0, fsync(self->fd) && errno != EINVAL);
}

/* The effective rights: faccessat2(2), or -1 before 5.8. */
static int effective_access(const char *path, int mode)
{
#ifdef SYS_faccessat2
	return syscall(SYS_faccessat2, AT_FDCWD, path, mode, AT_EACCESS);
#else
	errno = ENOSYS;
	return -1;
#endif
}

static int act_as_stranger(void *arg)
{
	FIXTURE_DATA(fs) *self = arg;
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 2 } };

	CHECK_EQ(0, become(USER_A, GROUP_A));
	/* The mode is 0604: others receive. */
	CHECK_EQ(0, access(self->path, R_OK));
	CHECK_EQ(-EACCES, neg(access(self->path, W_OK)));
	CHECK_EQ(-EACCES, neg(utimensat(AT_FDCWD, self->path, NULL, 0)));
	CHECK_EQ(-EPERM, neg(utimensat(AT_FDCWD, self->path, times, 0)));
	CHECK_EQ(-EPERM, neg(chmod(self->path, 0666)));
	CHECK_EQ(-EPERM, neg(chown(self->path, USER_A, -1)));
	CHECK_EQ(-EPERM, neg(unlink(self->path)));
	return 0;
}

/* The real user is root, the effective one is not. */
static int act_as_both(void *arg)
{
	FIXTURE_DATA(fs) *self = arg;
	int ret;

	CHECK_EQ(0, neg(setgroups(0, NULL)));
	CHECK_EQ(0, neg(setresgid(0, GROUP_A, 0)));
	CHECK_EQ(0, neg(setresuid(0, USER_A, 0)));
	CHECK_EQ(0, access(self->path, W_OK));
	ret = neg(effective_access(self->path, W_OK));
	CHECK(ret == -EACCES || ret == -ENOSYS);
	if (ret == -EACCES)
		CHECK_EQ(0, effective_access(self->path, R_OK));
	return 0;
}

TEST_F(fs, what_strangers_may_do)
{
	ASSERT_EQ(0, chmod(self->path, 0604));
	EXPECT_EQ(0, in_child(act_as_stranger, self));
	EXPECT_EQ(0, in_child(act_as_both, self));
}

TEST_F(fs, creat_opens_a_mailbox_to_send)
{
	int fd;

	ASSERT_EQ(0, put(self->fd, 1));
	fd = creat(self->path, 0600);
	ASSERT_LE(0, fd);
	/* Nothing is truncated. */
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(0, put(fd, 2));
	EXPECT_EQ(-EBADF, take(fd));
	EXPECT_EQ(2, take(self->fd));
	close(fd);
	fd = creat(self->other, 0640);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0640, stat_of(fd).attr.perm);
	EXPECT_EQ(64U, stat_of(fd).attr.capacity);
	EXPECT_EQ(0, raw_unlink("other"));
	close(fd);
}

TEST_F(fs, statx_shows_what_stat_shows)
{
	struct stat st;
	struct statx stx;

	ASSERT_EQ(0, put(self->fd, 1));
	st = attributes(self->path);
	memset(&stx, POISON, sizeof(stx));
	ASSERT_EQ(0, statx(AT_FDCWD, self->path, 0, STATX_BASIC_STATS | STATX_BTIME, &stx));
	EXPECT_EQ(STATX_BASIC_STATS, stx.stx_mask & STATX_BASIC_STATS);
	EXPECT_EQ(0U, stx.stx_mask & STATX_BTIME);
	EXPECT_EQ(st.st_ino, stx.stx_ino);
	EXPECT_EQ(st.st_mode, stx.stx_mode);
	EXPECT_EQ(st.st_nlink, stx.stx_nlink);
	EXPECT_EQ(4, st.st_size);
	EXPECT_EQ(4U, stx.stx_size);
	EXPECT_EQ(st.st_mtim.tv_sec, stx.stx_mtime.tv_sec);
	EXPECT_EQ(st.st_mtim.tv_nsec, stx.stx_mtime.tv_nsec);
	memset(&stx, POISON, sizeof(stx));
	ASSERT_EQ(0, statx(self->fd, "", AT_EMPTY_PATH, STATX_INO | STATX_SIZE, &stx));
	EXPECT_EQ(st.st_ino, stx.stx_ino);
	EXPECT_EQ(4U, stx.stx_size);
}

TEST_F(fs, fchmod_of_an_anonymous_mailbox_changes_only_that)
{
	int one = new_mailbox(0, 1), two = new_mailbox(0, 1);
	struct stat st;

	ASSERT_EQ(0, fchmod(one, 0444));
	ASSERT_EQ(0, fstat(two, &st));
	EXPECT_EQ(0600, st.st_mode & 0777);
	ASSERT_EQ(0, fstat(one, &st));
	EXPECT_EQ(0444, st.st_mode & 0777);
	EXPECT_EQ(0, st.st_nlink);
	close(one);
	close(two);
}

TEST_F(fs, unlink_takes_the_name)
{
	EXPECT_EQ(0, unlink(self->path));
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_EQ(-ENOENT, neg(unlink(self->path)));
	EXPECT_EQ(-ENOENT, raw_unlink(self->name));
	/* The mailbox goes on, and its id is known. */
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, take(open_again(self->fd, O_RDONLY)));
}

TEST_F(fs, destroy_takes_the_name)
{
	int path = open_as(self->path, O_PATH);

	ASSERT_LE(0, path);
	EXPECT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-ENOENT, tried(self->path, O_RDWR));
	EXPECT_EQ(-EIDRM, reopen(path, O_RDWR));
	EXPECT_EQ(-EIDRM, reopen(self->fd, O_RDWR));
	close(path);
}

static int rename_flags(const char *from, const char *to, unsigned int flags)
{
	return neg(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}

TEST_F(fs, rename_gives_another_name)
{
	__u64 id = stat_of(self->fd).id;
	struct mbox_walk pos;
	int fd;

	EXPECT_EQ(0, rename(self->path, self->other));
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	fd = raw_open("other", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(id, stat_of(fd).id);
	close(fd);
	memset(&pos, POISON, sizeof(pos));
	pos.id = id - 1;
	EXPECT_EQ(0, raw_control(MBOX_IOC_WALK, &pos));
	EXPECT_EQ(0, strcmp(pos.name, "other"));
	/* Over another one, which loses its name. */
	fd = raw_create(self->name, O_RDWR | O_EXCL, &self->attr);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EEXIST, rename_flags(self->other, self->path, RENAME_NOREPLACE));
	EXPECT_EQ(-EINVAL, rename_flags(self->other, self->path, RENAME_EXCHANGE));
	EXPECT_EQ(0, rename(self->other, self->path));
	EXPECT_EQ(id, attributes(self->path).st_ino);
	EXPECT_EQ(0, put(fd, 1));
	EXPECT_EQ(-EXDEV, neg(rename(self->path, "/tmp/mbox")));
	EXPECT_EQ(0, raw_unlink(self->name));
	close(fd);
}

TEST_F(fs, inotify_tells_who_comes_and_goes)
{
	static const __u32 masks[] = { IN_CREATE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE,
				       IN_CREATE, IN_DELETE, IN_CREATE, IN_DELETE,
				       IN_DELETE };
	char buf[4096] __attribute__((aligned(8)));
	int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), fd;
	struct inotify_event *ev = (void *)buf;
	unsigned int i;
	char third[128];
	ssize_t n;

	snprintf(third, sizeof(third), "%s/third", self->dir);
	if (in < 0 && errno == ENOSYS)
		SKIP(return, "no inotify");
	ASSERT_LE(0, in);
	ASSERT_LE(0, inotify_add_watch(in, self->dir, IN_ALL_EVENTS & ~IN_ATTRIB));
	fd = raw_create("other", O_RDWR | O_EXCL, &self->attr);
	ASSERT_LE(0, fd);
	/* Talking raises nothing. */
	EXPECT_EQ(0, put(fd, 1));
	EXPECT_EQ(4, write(fd, "text", 4));
	EXPECT_EQ(1, take(fd));
	close(fd);
	EXPECT_EQ(0, rename(self->other, third));
	EXPECT_EQ(0, raw_unlink("third"));
	EXPECT_EQ(0, mkfifo(self->other, 0600));
	EXPECT_EQ(0, unlink(self->other));
	EXPECT_EQ(0, tried(self->other, O_RDWR | O_CREAT));
	/* What was there, or cannot be made, is not announced. */
	EXPECT_EQ(0, tried(self->other, O_RDWR | O_CREAT));
	EXPECT_EQ(-EPERM, neg(mknod(third, 0600, 0)));
	EXPECT_EQ(0, unlink(self->other));
	EXPECT_EQ(0, raw_destroy(self->fd));
	n = read(in, buf, sizeof(buf));
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		ASSERT_GT((char *)buf + n, (char *)ev)
			TH_LOG("event %u", i);
		EXPECT_EQ(masks[i], ev->mask)
			TH_LOG("event %u of %s", i, ev->name);
		ev = (void *)((char *)(ev + 1) + ev->len);
	}
	EXPECT_EQ((char *)buf + n, (char *)ev);
	close(in);
}

/* The events that are there, in their order; names are not compared. */
static int read_masks(int in, __u32 *masks, int max)
{
	char buf[4096] __attribute__((aligned(8)));
	struct inotify_event *ev = (void *)buf;
	ssize_t n = read(in, buf, sizeof(buf));
	int i;

	for (i = 0; i < max && (char *)ev < buf + n; i++) {
		masks[i] = ev->mask;
		ev = (void *)((char *)(ev + 1) + ev->len);
	}
	return i;
}

TEST_F(fs, inotify_of_the_mailbox_itself)
{
	int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	__u32 masks[8];

	if (in < 0 && errno == ENOSYS)
		SKIP(return, "no inotify");
	ASSERT_LE(0, in);
	ASSERT_LE(0, inotify_add_watch(in, self->path, IN_ALL_EVENTS));
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(0, read_masks(in, masks, 8));
	EXPECT_EQ(0, chmod(self->path, 0640));
	ASSERT_EQ(1, read_masks(in, masks, 8));
	EXPECT_EQ(IN_ATTRIB, masks[0]);
	/* The number of links changes, and the rest waits for the handle. */
	EXPECT_EQ(0, unlink(self->path));
	ASSERT_EQ(1, read_masks(in, masks, 8));
	EXPECT_EQ(IN_ATTRIB, masks[0]);
	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(2, read_masks(in, masks, 8));
	EXPECT_EQ(IN_DELETE_SELF, masks[0]);
	EXPECT_EQ(IN_IGNORED, masks[1]);
	close(in);
}

/* The ioctls that remove a name raise the same events. */
TEST_F(fs, inotify_of_a_mailbox_that_ioctls_remove)
{
	int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), turn;
	__u32 masks[8];

	if (in < 0 && errno == ENOSYS)
		SKIP(return, "no inotify");
	ASSERT_LE(0, in);
	for (turn = 0; turn < 2; turn++) {
		ASSERT_LE(0, inotify_add_watch(in, self->path, IN_ALL_EVENTS));
		EXPECT_EQ(0, turn ? raw_destroy(self->fd) : raw_unlink(self->name));
		ASSERT_EQ(1, read_masks(in, masks, 8))
			TH_LOG("turn %d", turn);
		EXPECT_EQ(IN_ATTRIB, masks[0]);
		close(self->fd);
		ASSERT_EQ(2, read_masks(in, masks, 8))
			TH_LOG("turn %d", turn);
		EXPECT_EQ(IN_DELETE_SELF, masks[0]);
		EXPECT_EQ(IN_IGNORED, masks[1]);
		self->fd = raw_create(self->name, O_RDWR, &self->attr);
		ASSERT_LE(0, self->fd);
	}
	close(in);
}

/* ---- rights ------------------------------------------------------------------- */

TEST_F(fs, proc_fd_opens_with_fewer_rights)
{
	int anon = new_mailbox(0, 4), receiver, sender, path;
	int both[] = { self->fd, anon };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(both); i++) {
		receiver = reopen(both[i], O_RDONLY);
		ASSERT_LE(0, receiver);
		EXPECT_EQ(stat_of(both[i]).id, stat_of(receiver).id);
		EXPECT_EQ(-EBADF, put(receiver, 1));
		sender = reopen(receiver, O_WRONLY);
		ASSERT_LE(0, sender);
		EXPECT_EQ(0, put(sender, 1));
		EXPECT_EQ(-EBADF, take(sender));
		EXPECT_EQ(1, take(receiver));
		path = reopen(sender, O_PATH);
		ASSERT_LE(0, path);
		EXPECT_EQ(-EBADF, put(path, 1));
		close(sender);
		close(receiver);
		close(path);
	}
	close(anon);
}

static int reopen_as_stranger(void *arg)
{
	int fd = *(int *)arg;

	CHECK_EQ(0, become(USER_B, GROUP_B));
	CHECK_EQ(-EACCES, reopen(fd, O_RDONLY));
	CHECK_EQ(-EACCES, reopen(fd, O_WRONLY));
	CHECK(reopen(fd, O_PATH) >= 0);
	/* The handle that it has goes on. */
	CHECK_EQ(0, put(fd, 1));
	return 0;
}

TEST_F(fs, proc_fd_checks_the_permission)
{
	int anon = new_mailbox(0, 4);

	EXPECT_EQ(0, in_child(reopen_as_stranger, &anon));
	EXPECT_EQ(0, in_child(reopen_as_stranger, &self->fd));
	close(anon);
}

TEST_F(fs, rings_are_opened_as_files)
{
	struct mbox_attr attr = { .mode = MBOX_RING, .capacity = 4, .msg_max = 64, .perm = 0600 };
	int fd = raw_create("other", O_RDWR | O_EXCL, &attr), receiver, sender, anon, i;
	struct mbox *from, *to;
	char buf[64];

	ASSERT_LE(0, fd);
	anon = raw_create(NULL, O_RDWR, &attr);
	ASSERT_LE(0, anon);
	for (i = 0; i < 2; i++) {
		receiver = i ? reopen(anon, O_RDONLY) : open_as(self->other, O_RDONLY);
		sender = i ? reopen(anon, O_WRONLY) : open_as(self->other, O_WRONLY);
		ASSERT_LE(0, receiver);
		ASSERT_LE(0, sender);
		EXPECT_EQ(O_RDONLY, fcntl(receiver, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(O_WRONLY, fcntl(sender, F_GETFL) & O_ACCMODE);
		from = mbox_from_fd(receiver);
		to = mbox_from_fd(sender);
		ASSERT_TRUE(from && to);
		EXPECT_EQ(0, mbox_send(to, "text", 4, 0));
		EXPECT_EQ(4, mbox_recv(from, buf, sizeof(buf), 0));
		EXPECT_EQ(-EBADF, neg(mbox_send(from, "text", 4, 0)));
		EXPECT_EQ(-EBADF, neg(mbox_recv(to, buf, sizeof(buf), 0)));
		mbox_close(from);
		mbox_close(to);
	}
	close(fd);
	close(anon);
	EXPECT_EQ(0, unlink(self->other));
}

static int open_link(void *arg)
{
	int fd = raw_direct(getppid(), O_RDWR);

	CHECK(fd >= 0);
	CHECK_EQ(-ENXIO, reopen(fd, O_RDWR));
	CHECK_EQ(-ENXIO, reopen(fd, O_RDONLY));
	CHECK(reopen(fd, O_PATH) >= 0);
	return 0;
}

TEST_F(fs, links_are_not_opened_as_files)
{
	EXPECT_EQ(0, in_child(open_link, NULL));
}

struct who {
	uid_t uid;
	gid_t gid;
	int cap;
	int may;
	const char *path;
	const char *name;
};

static int become_who(const struct who *who)
{
	return become_with(who->uid, who->gid, who->cap);
}

static int opens_as(void *arg)
{
	const struct who *who = arg;
	int recv = who->may & 4 ? 0 : -EACCES, send = who->may & 2 ? 0 : -EACCES;
	struct mbox_attr attr = attr_of(0, 1);
	int fd;

	CHECK_EQ(0, become_who(who));
	CHECK_EQ(recv, tried(who->path, O_RDONLY));
	CHECK_EQ(send, tried(who->path, O_WRONLY));
	CHECK_EQ(recv ? recv : send, tried(who->path, O_RDWR));
	/* The same decides for ioctls. */
	fd = raw_open(who->name, O_RDONLY);
	CHECK_EQ(recv, fd < 0 ? fd : 0);
	fd = raw_open(who->name, O_WRONLY);
	CHECK_EQ(send, fd < 0 ? fd : 0);
	fd = raw_create(who->name, O_WRONLY, &attr);
	CHECK_EQ(send, fd < 0 ? fd : 0);
	return 0;
}

TEST_F(fs, owner_group_mode_and_capabilities_decide)
{
	struct who cases[] = {
		{ USER_A, GROUP_B, -1, 6 }, { USER_B, GROUP_A, -1, 4 }, { USER_B, GROUP_B, -1, 2 },
		{ USER_B, GROUP_A, CAP_IPC_OWNER, 6 }, { USER_B, GROUP_A, CAP_DAC_OVERRIDE, 6 },
		{ USER_B, GROUP_A, CAP_FOWNER, 4 },
	};
	unsigned int i;

	ASSERT_EQ(0, chown(self->path, USER_A, GROUP_A));
	ASSERT_EQ(0, chmod(self->path, 0642));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		cases[i].path = self->path;
		cases[i].name = self->name;
		EXPECT_EQ(0, in_child(opens_as, &cases[i]))
			TH_LOG("case %u", i);
	}
}

struct remover {
	struct who who;
	int rm, unlink, rename, chmod, chown;
};

static int removes_as(void *arg)
{
	const struct remover *r = arg;
	char to[160];

	CHECK_EQ(0, become_who(&r->who));
	snprintf(to, sizeof(to), "%s-renamed", r->who.path);
	CHECK_EQ(r->chmod, neg(chmod(r->who.path, 0600)));
	CHECK_EQ(r->chown, neg(chown(r->who.path, USER_B, -1)));
	CHECK_EQ(r->rename, neg(rename(r->who.path, to)));
	if (!r->rename)
		CHECK_EQ(0, rename(to, r->who.path));
	if (r->rm) {
		CHECK_EQ(r->rm, neg(unlink(r->who.path)));
		CHECK_EQ(r->unlink, raw_unlink(r->who.name));
	} else {
		CHECK_EQ(0, unlink(r->who.path));
	}
	return 0;
}

static int make_as_user_a(void *arg)
{
	struct mbox_attr attr = attr_of(0, 4);

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK(raw_create(arg, O_RDWR, &attr) >= 0);
	return 0;
}

TEST_F(fs, who_may_remove)
{
	struct remover cases[] = {
		{ { USER_A, GROUP_B, -1 }, 0, 0, 0, 0, -EPERM },
		{ { USER_B, GROUP_A, -1 }, -EPERM, -EACCES, -EPERM, -EPERM, -EPERM },
		{ { USER_B, GROUP_B, CAP_FOWNER }, 0, 0, 0, 0, -EPERM },
		/* The directory is not the mailbox's. */
		{ { USER_B, GROUP_B, CAP_IPC_OWNER }, -EPERM, 0, -EPERM, -EPERM, -EPERM },
		/* It makes itself the owner. */
		{ { USER_B, GROUP_B, CAP_CHOWN }, 0, 0, 0, -EPERM, 0 },
	};
	char name[] = "other";
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, in_child(make_as_user_a, name));
		cases[i].who.path = self->other;
		cases[i].who.name = "other";
		EXPECT_EQ(0, in_child(removes_as, &cases[i]))
			TH_LOG("case %u", i);
		raw_unlink("other");
	}
}

static int squat(void *arg)
{
	struct mbox_attr attr = attr_of(0, 4);

	attr.perm = 0666;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK(raw_create("other", O_RDWR | O_EXCL, &attr) >= 0);
	return 0;
}

static int fall_for_it(void *arg)
{
	struct mbox_attr attr = attr_of(0, 4);
	int ret = *(int *)arg, fd;
	char path[64];

	snprintf(path, sizeof(path), "/tmp/mboxfs-%d/other", getppid());
	CHECK_EQ(0, become(USER_B, GROUP_B));
	CHECK_EQ(ret, tried(path, O_RDWR | O_CREAT));
	fd = raw_create("other", O_RDWR, &attr);
	CHECK_EQ(ret, fd < 0 ? fd : 0);
	/* Without O_CREAT nothing is expected of the owner. */
	CHECK_EQ(0, tried(path, O_RDWR));
	CHECK(raw_open("other", O_RDWR) >= 0);
	/* The owner of the directory is trusted. */
	snprintf(path, sizeof(path), "/tmp/mboxfs-%d/trusted", getppid());
	CHECK_EQ(0, tried(path, O_RDWR | O_CREAT));
	CHECK(raw_create("trusted", O_RDWR, &attr) >= 0);
	return 0;
}

TEST_F(fs, protected_fifos_protects_mailboxes)
{
	static const struct {
		int value;
		mode_t mode;
		int ret;
	} rows[] = { { 0, 01777, 0 }, { 1, 01777, -EACCES }, { 2, 01777, -EACCES },
		     { 1, 01775, 0 }, { 2, 01775, -EACCES }, { 2, 0777, 0 }, { 2, 01755, 0 } };
	struct mbox_attr attr = attr_of(0, 4);
	char before[16];
	unsigned int i;
	int ret;

	if (read_file("/proc/sys/fs/protected_fifos", before, sizeof(before)))
		SKIP(return, "no fs.protected_fifos");
	ASSERT_EQ(0, in_child(squat, NULL));
	attr.perm = 0666;
	ASSERT_LE(0, raw_create("trusted", O_RDWR | O_EXCL, &attr));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, chmod(self->dir, rows[i].mode));
		ASSERT_EQ(0, write_file("/proc/sys/fs/protected_fifos", "%d", rows[i].value));
		ret = rows[i].ret;
		EXPECT_EQ(0, in_child(fall_for_it, &ret))
			TH_LOG("protected_fifos %d, mode %o", rows[i].value, rows[i].mode);
	}
	EXPECT_EQ(0, chmod(self->dir, 01777));
	EXPECT_EQ(0, raw_unlink("trusted"));
	write_file("/proc/sys/fs/protected_fifos", "%s", before);
	EXPECT_EQ(0, raw_unlink("other"));
}

/* ---- mounts --------------------------------------------------------------------- */

TEST_F(fs, options)
{
	char again[80];
	struct stat st;

	snprintf(again, sizeof(again), "%s-2", self->dir);
	ASSERT_EQ(0, mkdir(again, 0700));
	/* Those of a second mount are ignored. */
	EXPECT_EQ(0, mount_at(again, "mode=0700,uid=1001"));
	st = attributes(again);
	EXPECT_EQ(01777, st.st_mode & 07777);
	EXPECT_EQ(attributes(self->dir).st_dev, st.st_dev);
	EXPECT_EQ(0, neg(mount(NULL, again, NULL, MS_REMOUNT, "mode=0750,uid=1001,gid=2001")));
	st = attributes(self->dir);
	EXPECT_EQ(0750, st.st_mode & 07777);
	EXPECT_EQ(1001, st.st_uid);
	EXPECT_EQ(2001, st.st_gid);
	EXPECT_EQ(-EINVAL, neg(mount(NULL, again, NULL, MS_REMOUNT, "mode=12345670")));
	EXPECT_EQ(-EINVAL, neg(mount(NULL, again, NULL, MS_REMOUNT, "size=1")));
	EXPECT_EQ(0, umount(again));
	rmdir(again);
}

/* The line of a mount in /proc/self/mounts has these options, or none that are shown. */
static bool shows_options(const char *dir, const char *options)
{
	char line[512], point[128], given[256];
	bool found = false;
	FILE *f = fopen("/proc/self/mounts", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %127s mbox %255s", point, given) == 2 &&
		    !strcmp(point, dir))
			found = options ? !!strstr(given, options) :
					  !strstr(given, "mode=") && !strstr(given, "id=");
	}
	if (f)
		fclose(f);
	return found;
}

TEST_F(fs, options_of_the_first_mount)
{
	static const char * const bad[] = { "uid=4294967295", "gid=4294967295", "uid=x",
					    "gid=-1", "mode=8", "mode=010000", "uid" };
	struct stat st;
	unsigned int i;
	int fd;

	EXPECT_TRUE(shows_options(self->dir, NULL));
	close(self->root);
	EXPECT_EQ(0, umount(self->dir));
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, mount_at(self->dir, bad[i]))
			TH_LOG("option %u", i);
	ASSERT_EQ(0, mount_at(self->dir, "mode=0750,uid=1001,gid=2001"));
	st = attributes(self->dir);
	EXPECT_EQ(0750, st.st_mode & 07777);
	EXPECT_EQ(1001, st.st_uid);
	EXPECT_EQ(2001, st.st_gid);
	EXPECT_TRUE(shows_options(self->dir, "mode=750,uid=1001,gid=2001"));
	/* What is open through a mount keeps it. */
	fd = open_as(self->other, O_RDWR | O_CREAT);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, neg(umount(self->dir)));
	close(fd);
	self->root = open(self->dir, O_RDONLY | O_DIRECTORY);
}

TEST_F(fs, a_read_only_mount_is_for_receivers)
{
	char again[80], path[160];
	int fd, before, receiver;

	snprintf(again, sizeof(again), "%s-2", self->dir);
	snprintf(path, sizeof(path), "%s/%s", again, self->name);
	ASSERT_EQ(0, mkdir(again, 0700));
	ASSERT_EQ(0, mount_at(again, NULL));
	before = open_as(path, O_RDWR);
	ASSERT_LE(0, before);
	EXPECT_EQ(0, neg(mount(NULL, again, NULL, MS_REMOUNT | MS_RDONLY, NULL)));
	EXPECT_EQ(-EROFS, tried(path, O_WRONLY));
	EXPECT_EQ(-EROFS, tried(path, O_RDWR));
	EXPECT_EQ(-EROFS, reopen(before, O_WRONLY));
	receiver = open_as(path, O_RDONLY);
	ASSERT_LE(0, receiver);
	EXPECT_EQ(-EROFS, reopen(receiver, O_WRONLY));
	/* What is open goes on. */
	EXPECT_EQ(0, put(before, 1));
	EXPECT_EQ(1, take(receiver));
	/* The owner changes nothing through this mount, as with fchmod(2). */
	EXPECT_EQ(-EROFS, neg(fchmod(receiver, 0)));
	EXPECT_EQ(-EROFS, raw_set_capacity(receiver, 9));
	EXPECT_EQ(-EROFS, raw_set_capacity(before, 9));
	EXPECT_EQ(4U, stat_of(self->fd).attr.capacity);
	EXPECT_EQ(0, raw_set_capacity(self->fd, 5));
	EXPECT_EQ(5U, stat_of(self->fd).attr.capacity);
	EXPECT_EQ(-EROFS, raw_destroy(before));
	EXPECT_EQ(-EBADF, raw_destroy(receiver));
	EXPECT_EQ(0, put(before, 2));
	EXPECT_EQ(2, take(receiver));
	EXPECT_EQ(-EROFS, neg(unlink(path)));
	EXPECT_EQ(-EROFS, neg(chmod(path, 0)));
	snprintf(path, sizeof(path), "%s/new", again);
	EXPECT_EQ(-EROFS, neg(mkfifo(path, 0600)));
	EXPECT_EQ(-EROFS, neg(mknod(path, 0600, 0)));
	EXPECT_EQ(-EROFS, tried(path, O_RDONLY | O_CREAT));
	/* The other mount, and ioctls, are not affected. */
	EXPECT_EQ(0, tried(self->path, O_RDWR));
	fd = raw_create("other", O_RDWR, &self->attr);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, raw_unlink("other"));
	close(fd);
	close(before);
	close(receiver);
	EXPECT_EQ(0, umount(again));
	rmdir(again);
}

TEST_F(fs, expelling_needs_a_mount_that_is_not_read_only)
{
	struct mbox_expel expel = { .flags = MBOX_EXPEL_LOOK };
	struct mbox_attr attr = attr_of(MBOX_BROADCAST, 4);
	int fd, receiver;

	fd = raw_create("other", O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, neg(mount(NULL, self->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL)));
	receiver = open_as(self->other, O_RDONLY);
	ASSERT_LE(0, receiver);
	ASSERT_EQ(0, put(fd, 1));
	EXPECT_EQ(0, raw(receiver, MBOX_IOC_EXPEL, &expel));
	expel.flags = 0;
	EXPECT_EQ(-EROFS, raw(receiver, MBOX_IOC_EXPEL, &expel));
	EXPECT_EQ(1, take(receiver));
	EXPECT_EQ(1, take(fd));
	ASSERT_EQ(0, put(fd, 2));
	expel = (struct mbox_expel){ 0 };
	EXPECT_EQ(0, raw(fd, MBOX_IOC_EXPEL, &expel));
	EXPECT_EQ(0, raw_unlink("other"));
	close(receiver);
	close(fd);
}

TEST_F(fs, a_bind_mount_gives_one_mailbox)
{
	char file[80];
	int fd;

	snprintf(file, sizeof(file), "%s-bind", self->dir);
	fd = open(file, O_CREAT | O_RDWR, 0600);
	close(fd);
	ASSERT_EQ(0, mount(self->path, file, NULL, MS_BIND, NULL));
	/* Also where there is neither the network namespace nor the instance. */
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	fd = open_as(file, O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, put(fd, 7));
	EXPECT_EQ(7, take(self->fd));
	close(fd);
	/* The mount keeps the mailbox. */
	EXPECT_EQ(0, unlink(self->path));
	EXPECT_EQ(0, put(self->fd, 8));
	close(self->fd);
	self->fd = open_as(file, O_RDWR);
	EXPECT_EQ(8, take(self->fd));
	EXPECT_EQ(0, umount2(file, MNT_DETACH));
	unlink(file);
}

static int in_user_namespace(void *arg)
{
	char dir[64], path[80];
	int fd;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET))
		return 77;
	/* After the change of user, root owns /proc/self. */
	CHECK_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	CHECK_EQ(0, write_file("/proc/self/setgroups", "deny"));
	CHECK_EQ(0, write_file("/proc/self/uid_map", "0 %d 1", USER_A));
	CHECK_EQ(0, write_file("/proc/self/gid_map", "0 %d 1", GROUP_A));
	snprintf(dir, sizeof(dir), "/tmp/mboxfs-user-%d", getppid());
	CHECK_EQ(0, mount_at(dir, NULL));
	snprintf(path, sizeof(path), "%s/q", dir);
	fd = open_as(path, O_RDWR | O_CREAT);
	CHECK(fd >= 0);
	CHECK_EQ(0, attributes(path).st_uid);
	CHECK_EQ(-EINVAL, neg(chown(path, 4711, -1)));
	CHECK_EQ(0, put(fd, 1));
	return 0;
}

static int foreign_instance(void *arg)
{
	char dir[64];

	CHECK_EQ(0, become(USER_A, GROUP_A));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return 77;
	/* After the change of user, root owns /proc/self. */
	CHECK_EQ(0, prctl(PR_SET_DUMPABLE, 1));
	CHECK_EQ(0, write_file("/proc/self/setgroups", "deny"));
	CHECK_EQ(0, write_file("/proc/self/uid_map", "0 %d 1", USER_A));
	snprintf(dir, sizeof(dir), "/tmp/mboxfs-user-%d", getppid());
	/* The network namespace is not one that it owns. */
	CHECK_EQ(-EPERM, mount_at(dir, NULL));
	return 0;
}

TEST_F(fs, user_namespaces_mount_their_own)
{
	char dir[64];
	int ret;

	snprintf(dir, sizeof(dir), "/tmp/mboxfs-user-%d", getpid());
	ASSERT_EQ(0, mkdir(dir, 0755));
	ret = in_child(in_user_namespace, NULL);
	if (ret != 77) {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(0, in_child(foreign_instance, NULL));
	}
	rmdir(dir);
	if (ret == 77)
		SKIP(return, "no user namespaces");
}

struct container {
	const char *dir;
	int ready[2];
	int done[2];
	pid_t pid;
};

/* Mounts an instance of its own, and lets others work on it. */
static int mount_in_container(void *arg)
{
	struct container *c = arg;
	char byte = 0;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET))
		byte = 77;
	if (!byte) {
		/* After the change of user, root owns /proc/self. */
		CHECK_EQ(0, prctl(PR_SET_DUMPABLE, 1));
		CHECK_EQ(0, write_file("/proc/self/setgroups", "deny"));
		CHECK_EQ(0, write_file("/proc/self/uid_map", "0 %d 1", USER_A));
		CHECK_EQ(0, write_file("/proc/self/gid_map", "0 %d 1", GROUP_A));
		CHECK_EQ(0, mount_at(c->dir, NULL));
	}
	CHECK_EQ(1, write(c->ready[1], &byte, 1));
	close(c->done[1]);
	CHECK_EQ(0, read(c->done[0], &byte, 1));
	return 0;
}

/* In the mount namespace of the container, and in none of its other ones. */
static int remount_from_outside(void *arg)
{
	struct container *c = arg;
	char path[64], option[32];
	int ns;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", c->pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(ns >= 0);
	CHECK_EQ(0, neg(setns(ns, CLONE_NEWNS)));
	/* The user namespace of the instance maps neither. */
	CHECK_EQ(-EINVAL, neg(mount(NULL, c->dir, NULL, MS_REMOUNT, "uid=4711")));
	CHECK_EQ(-EINVAL, neg(mount(NULL, c->dir, NULL, MS_REMOUNT, "gid=4711")));
	CHECK_EQ(USER_A, attributes(c->dir).st_uid);
	CHECK_EQ(GROUP_A, attributes(c->dir).st_gid);
	snprintf(option, sizeof(option), "uid=%d,mode=0755", USER_A);
	CHECK_EQ(0, neg(mount(NULL, c->dir, NULL, MS_REMOUNT, option)));
	CHECK_EQ(0755, attributes(c->dir).st_mode & 07777);
	return 0;
}

TEST_F(fs, remount_maps_ids_as_the_instance_does)
{
	char dir[80], byte;
	struct container c = { .dir = dir };

	snprintf(dir, sizeof(dir), "%s-container", self->dir);
	ASSERT_EQ(0, mkdir(dir, 0755));
	ASSERT_EQ(0, pipe2(c.ready, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(c.done, O_CLOEXEC));
	c.pid = spawn(mount_in_container, &c);
	ASSERT_LT(0, c.pid);
	close(c.ready[1]);
	close(c.done[0]);
	ASSERT_EQ(1, read(c.ready[0], &byte, 1));
	if (!byte)
		EXPECT_EQ(0, in_child(remount_from_outside, &c));
	close(c.done[1]);
	EXPECT_EQ(0, reap(c.pid));
	close(c.ready[0]);
	rmdir(dir);
	if (byte == 77)
		SKIP(return, "no user namespaces");
}

/* Creates in a user namespace that maps nothing. */
static int unmapped(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);

	CHECK_EQ(0, become(USER_A, GROUP_A));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return 77;
	CHECK_EQ(-EOVERFLOW, raw_create(NULL, O_RDWR, &attr));
	CHECK_EQ(-EOVERFLOW, raw_create("other", O_RDWR, &attr));
	return 0;
}

TEST_F(fs, ids_that_are_not_mapped)
{
	int ret = in_child(unmapped, NULL);

	if (ret == 77)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
}

/* What creating fails with, as soon as it does; 0: it goes on succeeding. */
static int await_refusal(const char *path)
{
	int i, fd;

	for (i = 0; i < WAIT_LIMIT_MS / 10; i++) {
		fd = open_as(path, O_RDWR | O_CREAT);
		if (fd < 0)
			return fd;
		close(fd);
		unlink(path);
		usleep(10000);
	}
	return 0;
}

/* Work that the end of a namespace leaves behind removes its names. */
static int await_no_file(const char *path)
{
	int i;

	for (i = 0; i < WAIT_LIMIT_MS / 10 && !access(path, F_OK); i++)
		usleep(10000);
	return access(path, F_OK) ? 0 : -ETIMEDOUT;
}

TEST_F(fs, a_mount_outlives_its_namespace)
{
	char path[128];
	int fd;

	/* The only process of the namespace leaves it. */
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	snprintf(path, sizeof(path), "%s/new", self->dir);
	EXPECT_EQ(-ESTALE, await_refusal(path));
	EXPECT_EQ(-ESTALE, neg(mkfifo(path, 0600)));
	EXPECT_EQ(0, await_no_file(self->path));
	EXPECT_EQ(-ENOENT, tried(self->path, O_RDWR));
	EXPECT_EQ(0, put(self->fd, 1));
	fd = reopen(self->fd, O_RDONLY);
	EXPECT_EQ(1, take(fd));
	close(fd);
}

/* Leaves a mount of an instance with a name in it behind. */
static int leave_a_mount(void *arg)
{
	const char *dir = arg;
	char path[128];

	CHECK_EQ(0, neg(unshare(CLONE_NEWNET)));
	CHECK_EQ(0, mount_at(dir, NULL));
	snprintf(path, sizeof(path), "%s/left", dir);
	CHECK_EQ(0, neg(mkfifo(path, 0600)));
	return 0;
}

/* The kernel ends namespaces one after the other: none of them may wait for a process. */
TEST_F(fs, a_reader_of_the_directory_holds_up_no_namespace)
{
	struct locked_dir locked = { 0 };
	char again[80], path[96];
	int ret;

	snprintf(again, sizeof(again), "%s-2", self->dir);
	snprintf(path, sizeof(path), "%s/left", again);
	ASSERT_EQ(0, mkdir(again, 0700));
	ret = locked_dir_start(&locked, self->root);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "no userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	/* Nothing keeps the namespace of the instance any more. */
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	usleep(300000);
	ASSERT_EQ(0, in_child(leave_a_mount, again));
	EXPECT_EQ(0, await_no_file(path));
	EXPECT_EQ(0, access(self->path, F_OK));
	EXPECT_LT(0, locked_dir_end(&locked));
	/* Now it ends. */
	EXPECT_EQ(0, await_no_file(self->path));
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, umount(again));
	rmdir(again);
}

/* Remounting keeps a lock of the super block, for which sync(2) of any process waits. */
TEST_F(fs, a_reader_of_the_directory_holds_up_no_remount)
{
	struct locked_dir locked = { 0 };
	int ret;

	ret = locked_dir_start(&locked, self->root);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "no userfaultfd: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-EBUSY, neg(mount(NULL, self->dir, NULL, MS_REMOUNT, "mode=0700")));
	EXPECT_EQ(01777, attributes(self->dir).st_mode & 07777);
	/* There is nothing to change. */
	EXPECT_EQ(0, neg(mount(NULL, self->dir, NULL, MS_REMOUNT, NULL)));
	EXPECT_LT(0, locked_dir_end(&locked));
	EXPECT_EQ(0, neg(mount(NULL, self->dir, NULL, MS_REMOUNT, "mode=0700")));
	EXPECT_EQ(0700, attributes(self->dir).st_mode & 07777);
}

/* ---- the library ------------------------------------------------------------------ */

TEST_F(fs, mbox_open_takes_a_path)
{
	struct mbox *mb = mbox_open(self->path, O_WRONLY | O_NONBLOCK);
	char fifo[80];

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(stat_of(self->fd).id, stat_of(mbox_fd(mb)).id);
	EXPECT_EQ(FD_CLOEXEC, fcntl(mbox_fd(mb), F_GETFD));
	EXPECT_EQ(0, mbox_send(mb, "text", 4, 0));
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_TRUE(!mbox_open(self->other, O_RDWR) && errno == ENOENT);
	EXPECT_TRUE(!mbox_open(self->dir, O_RDONLY) && errno == EINVAL);
	EXPECT_TRUE(!mbox_open("/dev/null", O_RDWR) && errno == EINVAL);
	EXPECT_TRUE(!mbox_open(self->path, O_RDWR | O_CREAT) && errno == EINVAL);
	/* Nor does it wait for somebody at a FIFO. */
	snprintf(fifo, sizeof(fifo), "%s-fifo", self->dir);
	ASSERT_EQ(0, mkfifo(fifo, 0600));
	EXPECT_TRUE(!mbox_open(fifo, O_RDONLY) && errno == EINVAL);
	unlink(fifo);
}

/* A link that leads to a mailbox and to something else, in turn. */
struct switching {
	const char *link;
	const char *targets[2];
	bool stop;
	pthread_t thread;
};

static void *switch_targets(void *arg)
{
	struct switching *s = arg;
	char temp[128];
	int i;

	snprintf(temp, sizeof(temp), "%s-new", s->link);
	for (i = 0; !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i++) {
		if (symlink(s->targets[i & 1], temp) || rename(temp, s->link))
			return (void *)1;
	}
	return NULL;
}

/* How many of the handles that it gives are not of the mailbox. */
static int open_while_switching(struct switching *s, __u64 id)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, 3000);
	struct mbox *mb;
	int wrong = 0;
	void *failed;

	s->stop = false;
	if (symlink(s->targets[0], s->link) ||
	    thread_start(&s->thread, switch_targets, s))
		return -1;
	do {
		mb = mbox_open(s->link, O_RDONLY);
		if (mb)
			wrong += stat_of(mbox_fd(mb)).id != id;
		else
			wrong += errno != EINVAL;
		mbox_close(mb);
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	pthread_join(s->thread, &failed);
	unlink(s->link);
	return failed ? -1 : wrong;
}

/* What was checked is opened: not a file with memory of its own, nor a FIFO that waits. */
TEST_F(fs, mbox_open_opens_nothing_but_mailboxes)
{
	__u64 id = stat_of(self->fd).id;
	char link[80], fifo[80];
	struct switching s = { .link = link, .targets = { self->path, "/proc/self/stat" } };

	snprintf(link, sizeof(link), "%s-link", self->dir);
	EXPECT_EQ(0, open_while_switching(&s, id));
	snprintf(fifo, sizeof(fifo), "%s-fifo", self->dir);
	ASSERT_EQ(0, mkfifo(fifo, 0600));
	s.targets[1] = fifo;
	EXPECT_EQ(0, open_while_switching(&s, id));
	unlink(fifo);
}

static int open_without_proc(void *arg)
{
	FIXTURE_DATA(fs) *self = arg;
	struct mbox *mb;
	char path[80];

	CHECK_EQ(0, neg(chroot(self->dir)));
	CHECK_EQ(0, neg(chdir("/")));
	snprintf(path, sizeof(path), "/%s", self->name);
	mb = mbox_open(path, O_RDWR);
	CHECK(mb);
	CHECK_EQ(0, fcntl(mbox_fd(mb), F_GETFL) & O_NONBLOCK);
	CHECK_EQ(0, mbox_close(mb));
	mb = mbox_open(path, O_RDWR | O_NONBLOCK);
	CHECK(mb);
	CHECK_EQ(O_NONBLOCK, fcntl(mbox_fd(mb), F_GETFL) & O_NONBLOCK);
	CHECK_EQ(FD_CLOEXEC, fcntl(mbox_fd(mb), F_GETFD));
	CHECK_EQ(0, mbox_close(mb));
	CHECK(!mbox_open("/none", O_RDWR) && errno == ENOENT);
	CHECK(!mbox_open("/.", O_RDONLY) && errno == EINVAL);
	return 0;
}

TEST_F(fs, mbox_open_works_without_proc)
{
	EXPECT_EQ(0, in_child(open_without_proc, self));
}

/* A parent with both rights, a worker that receives, and the end of the queue. */
TEST_F(fs, mbox_reopen_gives_up_a_right)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 4);
	struct mbox *both = mbox_create(NULL, O_RDWR, &attr), *worker, *parent;
	char buf[8];

	ASSERT_TRUE(!!both);
	worker = mbox_reopen(both, O_RDONLY);
	parent = mbox_reopen(both, O_WRONLY | O_NONBLOCK);
	ASSERT_TRUE(worker && parent);
	EXPECT_EQ(0, mbox_close(both));
	EXPECT_EQ(0, mbox_send(parent, "job", 3, 0));
	EXPECT_EQ(0, mbox_close(parent));
	EXPECT_EQ(3, mbox_recv(worker, buf, sizeof(buf), 0));
	EXPECT_EQ(-EPIPE, neg(mbox_recv(worker, buf, sizeof(buf), 0)));
	EXPECT_TRUE(!mbox_reopen(worker, O_RDWR | O_EXCL) && errno == EINVAL);
	EXPECT_EQ(0, fchmod(mbox_fd(worker), 0));
	EXPECT_EQ(0, mbox_close(worker));
}

TEST_F(fs, mbox_set_perm_is_fchown_and_fchmod)
{
	struct mbox *mb = mbox_open(self->path, O_RDONLY);
	struct mbox_stat st;

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, mbox_set_perm(mb, USER_A, -1, 0640));
	st = stat_of(self->fd);
	EXPECT_EQ(USER_A, st.uid);
	EXPECT_EQ(0, st.gid);
	EXPECT_EQ(0640, st.attr.perm);
	EXPECT_EQ(0, mbox_set_perm(mb, -1, GROUP_A, -1));
	st = stat_of(self->fd);
	EXPECT_EQ(USER_A, st.uid);
	EXPECT_EQ(GROUP_A, st.gid);
	EXPECT_EQ(0640, st.attr.perm);
	EXPECT_EQ(-EINVAL, neg(mbox_set_perm(mb, -1, -1, 01640)));
	EXPECT_EQ(0640, stat_of(self->fd).attr.perm);
	EXPECT_EQ(0, mbox_close(mb));
}

TEST_F(fs, attributes_of_a_destroyed_mailbox_are_EIDRM)
{
	struct mbox *mb = mbox_open(self->path, O_RDWR);
	struct stat before, after;

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, fstat(mbox_fd(mb), &before));
	ASSERT_EQ(0, neg(mbox_destroy(mb)));
	EXPECT_EQ(-EIDRM, neg(mbox_set_perm(mb, -1, -1, 0640)));
	EXPECT_EQ(-EIDRM, neg(mbox_set_perm(mb, USER_A, -1, -1)));
	EXPECT_EQ(-EIDRM, neg(mbox_set_perm(mb, -1, GROUP_A, 0600)));
	EXPECT_EQ(-EIDRM, neg(futimens(mbox_fd(mb), NULL)));
	/* No attribute is asked for, so no system call is made. */
	EXPECT_EQ(0, neg(mbox_set_perm(mb, -1, -1, -1)));
	ASSERT_EQ(0, fstat(mbox_fd(mb), &after));
	EXPECT_EQ(before.st_mode, after.st_mode);
	EXPECT_EQ(before.st_uid, after.st_uid);
	EXPECT_EQ(before.st_gid, after.st_gid);
	EXPECT_EQ(0, mbox_close(mb));
}

/* ---- what a destroyed mailbox costs ----------------------------------------------- */

static struct mbox_info usage(void)
{
	struct mbox_info info;

	memset(&info, POISON, sizeof(info));
	raw_control(MBOX_IOC_INFO, &info);
	return info;
}

/* Anybody may have it open with O_PATH. */
static int destroy_and_count(void *arg)
{
	FIXTURE_DATA(fs) *self = arg;
	struct mbox_info before;
	int fd, i, paths[10];

	CHECK_EQ(0, become(USER_A, GROUP_A));
	before = usage();
	for (i = 0; i < 10; i++) {
		fd = raw_create("other", O_RDWR | O_EXCL, &self->attr);
		CHECK(fd >= 0);
		paths[i] = open(self->other, O_PATH | O_CLOEXEC);
		CHECK(paths[i] >= 0);
		if (!(self->attr.flags & MBOX_TEMPORARY))
			CHECK_EQ(0, raw_destroy(fd));
		/* The handle keeps what it needs. */
		CHECK_EQ(before.mailboxes + 1, usage().mailboxes);
		CHECK(self->attr.mode != MBOX_RING || usage().bytes > before.bytes);
		close(fd);
		CHECK_EQ(before.mailboxes, usage().mailboxes);
		CHECK_EQ(before.bytes, usage().bytes);
	}
	for (i = 0; i < 10; i++) {
		CHECK_EQ(-EIDRM, reopen(paths[i], O_RDONLY));
		close(paths[i]);
	}
	CHECK_EQ(before.mailboxes, usage().mailboxes);
	CHECK_EQ(before.bytes, usage().bytes);
	return 0;
}

TEST_F(fs, a_destroyed_mailbox_costs_nothing_without_a_handle)
{
	long limit = param_get("user_mailboxes");

	ASSERT_EQ(0, param_set("user_mailboxes", 3));
	EXPECT_EQ(0, in_child(destroy_and_count, self));
	self->attr.flags = MBOX_TEMPORARY;
	EXPECT_EQ(0, in_child(destroy_and_count, self));
	self->attr.flags = 0;
	self->attr.mode = MBOX_RING;
	EXPECT_EQ(0, in_child(destroy_and_count, self));
	param_set("user_mailboxes", limit);
}

static int open_without_room(void *arg)
{
	FIXTURE_DATA(fs) *self = arg;
	__u64 bytes;
	int fd;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	bytes = usage().bytes;
	/* It is there: nothing is made. */
	fd = raw_create("ring", O_RDWR, &self->attr);
	CHECK(fd >= 0);
	CHECK_EQ(-EEXIST, raw_create("ring", O_RDWR | O_EXCL, &self->attr));
	CHECK_EQ(-EDQUOT, raw_create("other", O_RDWR, &self->attr));
	CHECK_EQ(-EDQUOT, raw_create(NULL, O_RDWR, &self->attr));
	CHECK_EQ(-ENOENT, neg(access(self->other, F_OK)));
	CHECK_EQ(bytes, usage().bytes);
	close(fd);
	return 0;
}

/* The memory of a ring is made before its name, and only if the name is free. */
TEST_F(fs, a_ring_takes_memory_only_where_there_is_none)
{
	long limit = param_get("user_bytes");
	int fd;

	self->attr.mode = MBOX_RING;
	self->attr.perm = 0666;
	fd = raw_create("ring", O_RDWR | O_EXCL, &self->attr);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, param_set("user_bytes", 4096));
	EXPECT_EQ(0, in_child(open_without_room, self));
	param_set("user_bytes", limit);
	EXPECT_EQ(0, raw_unlink("ring"));
	close(fd);
}

/* Many at once: one of them makes the ring, and what the others made is freed. */
static int create_ring(void *arg)
{
	struct mbox_attr attr = attr_of(0, 64);
	int i, fd;

	attr.mode = MBOX_RING;
	for (i = 0; i < 200; i++) {
		fd = raw_create(arg, O_RDWR, &attr);
		CHECK(fd >= 0);
		close(fd);
		fd = raw_unlink(arg);
		CHECK(!fd || fd == -ENOENT);
	}
	return 0;
}

TEST_F(fs, rings_of_one_name_at_once)
{
	__u64 before = usage().bytes;
	char name[] = "other";
	pid_t pids[3];
	int i;

	for (i = 0; i < 3; i++)
		pids[i] = spawn(create_ring, name);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, reap(pids[i]));
	raw_unlink(name);
	/* Those of tests before it can go meanwhile. */
	EXPECT_GE(before, usage().bytes);
}

/* What takes long to free: of each kind as little as makes it one. */
enum large { A_RING, MANY_MESSAGES, MANY_BYTES, HISTORY, DEAD_LETTERS, DELAYED, LARGE_KINDS };

/* A mailbox with the name "other" that holds much, or what needs more than memory to end. */
static int large_mailbox(enum large kind, int dead_letter)
{
	struct mbox_create arg = {
		.name = (__u64)(uintptr_t)"other",
		.name_len = 5,
		.oflags = O_RDWR | O_EXCL | O_CLOEXEC,
		.attr = attr_of(kind == HISTORY ? MBOX_BROADCAST : 0, MBOX_UNBOUNDED),
		.options = {
			.size = sizeof(arg.options),
			.history = kind == HISTORY,
			.max_deliveries = kind == DEAD_LETTERS,
			.dead_letter = kind == DEAD_LETTERS ? dead_letter : -1,
		},
	};
	static char payload[8192];
	__u64 token;
	int fd, i;

	if (kind == A_RING)
		arg.attr = (struct mbox_attr){ .mode = MBOX_RING, .capacity = 512,
					       .msg_max = 1000, .perm = 0600 };
	if (kind == HISTORY)
		arg.attr.capacity = 4;
	if (kind == MANY_BYTES)
		arg.attr.msg_max = sizeof(payload);
	fd = raw_control(MBOX_IOC_CREATE, &arg);
	if (fd < 0)
		return fd;
	for (i = 0; kind == MANY_MESSAGES && i < 1000; i++)
		put(fd, i);
	for (i = 0; kind == MANY_BYTES && i < 9; i++) {
		if (write(fd, payload, sizeof(payload)) != sizeof(payload))
			return -EIO;
	}
	if (kind == HISTORY || kind == DEAD_LETTERS || kind == DELAYED)
		put(fd, 1);
	if (kind == DELAYED &&
	    (lease(fd, &token) != 1 || nack(fd, token, 3600000ULL * NSEC_PER_MSEC)))
		return -EIO;
	return fd;
}

/* Close it, and have another one take its name. */
static int rename_over_it(FIXTURE_DATA(fs) *self, enum large kind, int dead_letter)
{
	int fd = large_mailbox(kind, dead_letter);

	if (fd < 0)
		return fd;
	close(fd);
	return neg(rename(self->path, self->other)) ?: neg(rename(self->other, self->path));
}

static bool used_more_than(const struct mbox_info *before)
{
	struct mbox_info now = usage();

	return now.mailboxes > before->mailboxes || now.bytes > before->bytes;
}

/* What is large is freed afterwards, without the lock of the directory. */
TEST_F(fs, rename_over_a_large_mailbox_frees_it)
{
	struct mbox_info before = usage();
	int dead_letter = new_with(0, 4, 0, -1);
	int i, j;

	ASSERT_LE(0, dead_letter);
	for (i = 0; i < LARGE_KINDS; i++) {
		for (j = 0; j < 4; j++) {
			ASSERT_EQ(0, rename_over_it(self, i, dead_letter))
				TH_LOG("kind %d", i);
		}
	}
	EXPECT_EQ(stat_of(self->fd).id, attributes(self->path).st_ino);
	close(dead_letter);
	for (i = 0; i < WAIT_LIMIT_MS / 10 && used_more_than(&before); i++)
		usleep(10000);
	/* Those for which the dead-letter mailbox was kept have gone. */
	EXPECT_FALSE(used_more_than(&before));
	/* The mount can go at once. */
	EXPECT_EQ(0, rename_over_it(self, MANY_MESSAGES, -1));
	EXPECT_EQ(0, rename_over_it(self, A_RING, -1));
	EXPECT_EQ(0, umount2(self->dir, MNT_DETACH));
}

struct walker {
	bool stop;
	int walked;
};

static void *walk_all(void *arg)
{
	struct walker *w = arg;
	struct mbox_walk pos = { 0 };

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		pos.id = 0;
		while (!raw_control(MBOX_IOC_WALK, &pos))
			w->walked++;
	}
	return NULL;
}

/* A walk reads the memory of rings without a handle. */
TEST_F(fs, walk_races_with_the_end_of_rings)
{
	struct walker walker = { 0 };
	pthread_t thread;
	int fd, i;

	self->attr.mode = MBOX_RING;
	ASSERT_EQ(0, thread_start(&thread, walk_all, &walker));
	while (!__atomic_load_n(&walker.walked, __ATOMIC_RELAXED))
		sched_yield();
	for (i = 0; i < 500; i++) {
		fd = raw_create("other", O_RDWR | O_EXCL, &self->attr);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, raw_destroy(fd));
		close(fd);
	}
	__atomic_store_n(&walker.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(0, walker.walked);
}

/* ---- races ---------------------------------------------------------------------- */

struct racer {
	char path[128];
	char other[128];
	int kind;
	int turns;
};

static int race_open(void *arg)
{
	struct mbox_attr attr = attr_of(0, 4);
	struct racer *r = arg;
	const char *name = strrchr(r->path, '/') + 1;
	int i, fd;

	for (i = 0; i < r->turns; i++) {
		switch ((i + r->kind) % 6) {
		case 0:
			fd = open_as(r->path, O_RDWR | O_CREAT);
			break;
		case 1:
			fd = raw_create(name, O_RDWR, &attr);
			break;
		case 2:
			fd = raw_open(name, O_RDWR);
			break;
		case 3:
			unlink(r->path);
			fd = raw_create(NULL, O_RDWR, &attr);
			break;
		case 4:
			raw_unlink(name);
			fd = open_as(r->path, O_RDONLY);
			break;
		default:
			rename(r->path, r->other);
			rename(r->other, r->path);
			fd = raw_create(name, O_RDWR | O_EXCL, &attr);
			if (fd >= 0 && i % 3 == 0)
				raw_destroy(fd);
			break;
		}
		if (fd >= 0) {
			put(fd, 1);
			take(fd);
			close(fd);
		} else {
			CHECK(fd == -ENOENT || fd == -EEXIST || fd == -EIDRM);
		}
	}
	return 0;
}

TEST_F_TIMEOUT(fs, races_of_open_unlink_rename_destroy, 120)
{
	struct racer r[4];
	pid_t pids[4];
	int i;

	for (i = 0; i < 4; i++) {
		snprintf(r[i].path, sizeof(r[i].path), "%s/racing", self->dir);
		snprintf(r[i].other, sizeof(r[i].other), "%s/racing-2", self->dir);
		r[i].kind = i;
		r[i].turns = 1000;
		pids[i] = spawn(race_open, &r[i]);
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, reap(pids[i]));
	raw_unlink("racing");
	raw_unlink("racing-2");
	/* What a rename has replaced stays until nobody has the directory locked. */
	for (i = 0; i < WAIT_LIMIT_MS / 10 && count_mailboxes() != 1; i++)
		usleep(10000);
	EXPECT_EQ(1, count_mailboxes());
}

/* A namespace with a mount ends while others use what was in it. */
static int leave_namespace(void *arg)
{
	struct mbox_attr attr = attr_of(0, 4);
	char path[128];
	int fd, i;

	CHECK_EQ(0, unshare(CLONE_NEWNET));
	CHECK_EQ(0, mount_at(arg, NULL));
	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%d", (char *)arg, i);
		fd = i % 2 ? raw_create(strrchr(path, '/') + 1, O_RDWR, &attr) :
			     open_as(path, O_RDWR | O_CREAT);
		CHECK(fd >= 0);
	}
	return 0;
}

TEST_F_TIMEOUT(fs, races_of_mount_and_namespace_end, 120)
{
	char path[128];
	int i, j, fd;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, in_child(leave_namespace, self->dir));
		for (j = 0; j < 20; j++) {
			snprintf(path, sizeof(path), "%s/%d", self->dir, j % 4);
			fd = open_as(path, O_RDWR | O_CREAT);
			EXPECT_TRUE(fd >= 0 || fd == -ESTALE)
				TH_LOG("open: %d", fd);
			if (fd >= 0)
				EXPECT_EQ(0, put(fd, 1));
			unlink(path);
			close(fd);
		}
		EXPECT_EQ(0, umount2(self->dir, i % 2 ? MNT_DETACH : 0));
	}
}

TEST_F_TIMEOUT(fs, many_names, 120)
{
	struct mbox_attr attr = attr_of(0, 1);
	char name[128];
	int i, fd;

	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "many-%d", i);
		fd = raw_create(name, O_RDWR | O_EXCL, &attr);
		ASSERT_LE(0, fd);
		close(fd);
	}
	EXPECT_EQ(10001, count_mailboxes());
	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "%s/many-%d", self->dir, i);
		ASSERT_EQ(0, unlink(name));
	}
	EXPECT_EQ(1, count_mailboxes());
}

/* ---- descriptors in messages ------------------------------------------------------ */

static long send_fd(int fd, int passed)
{
	struct mbox_msg msg = msg_of("x", 1, MBOX_DONTWAIT);

	msg.fds = (uintptr_t)&passed;
	msg.nfds = 1;
	return raw(fd, MBOX_IOC_SEND, &msg);
}

TEST_F(fs, handles_do_not_travel_but_paths_do)
{
	int opened = open_as(self->path, O_RDWR), path = open_as(self->path, O_PATH);

	EXPECT_EQ(-ELOOP, send_fd(self->fd, opened));
	EXPECT_EQ(-ELOOP, send_fd(self->fd, self->fd));
	EXPECT_EQ(0, send_fd(self->fd, path));
	EXPECT_EQ(0, send_fd(self->fd, self->root));
	close(opened);
	close(path);
}

TEST_F_TIMEOUT(afterwards, unmounted_instances_do_not_keep_the_module, 60)
{
	int users = await_unused_module();

	if (users == -ENOENT)
		SKIP(return, "the module cannot be unloaded");
	EXPECT_EQ(0, users);
}

TEST_HARNESS_MAIN
