// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failing allocations and copies in the system calls on mailboxes as files, and in
 * mounts: every call is repeated with the first, the second, the third ... of them
 * failing, until it succeeds. Each failure leaves everything as it was.
 */
#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "faults.h"
#include "mboxfs.h"

#define ACCESS "system.posix_acl_access"

/* The fixture, and what can fail. */
struct scene {
	FIXTURE_DATA(fs) *fs;
	struct faults faults;
	/* A place for mounts, and one for bind mounts. */
	char folder[96];
	char file[96];
};

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/**
 * struct operation - a call to be repeated
 * @run: makes it; returns a result, or -errno
 * @undo: after a success, or NULL
 * @prepare: before each attempt, or NULL
 * @intact: whether all is as it was after a failure, or NULL
 */
struct operation {
	long (*run)(struct scene *s);
	void (*undo)(struct scene *s, long ret);
	void (*prepare)(struct scene *s);
	bool (*intact)(struct scene *s);
};

static void repeat(struct __test_metadata *_metadata, struct scene *s,
		   const struct operation *op)
{
	int n, names, descriptors, failures = 0;
	struct mbox_stat before;
	bool hit = true;
	long ret;

	for (n = 1; hit; n++) {
		ASSERT_GT(1000, n);
		if (op->prepare)
			op->prepare(s);
		before = stat_of(s->fs->fd);
		names = count_entries(s->fs->dir);
		descriptors = open_descriptors();
		fault_at(&s->faults, n);
		ret = op->run(s);
		hit = fault_happened(&s->faults);
		if (ret >= 0) {
			if (op->undo)
				op->undo(s, ret);
			continue;
		}
		ASSERT_TRUE(hit)
			TH_LOG("attempt %d: %s", n, strerror(-ret));
		ASSERT_TRUE(is_expected(ret))
			TH_LOG("failure %d: %s", n, strerror(-ret));
		ASSERT_TRUE(!op->intact || op->intact(s));
		ASSERT_TRUE(same_stat(s->fs->fd, &before));
		ASSERT_EQ(names, count_entries(s->fs->dir));
		ASSERT_EQ(descriptors, open_descriptors());
		failures++;
	}
	EXPECT_LT(0, failures);
	TH_LOG("%d failures in %d attempts", failures, n - 1);
}

#define REPEAT_ALL(s, ops) do {						\
	unsigned int __i;						\
									\
	for (__i = 0; __i < ARRAY_SIZE(ops); __i++)			\
		repeat(_metadata, s, &(ops)[__i]);			\
} while (0)

static void begin(struct scene *s, FIXTURE_DATA(fs) *fs)
{
	s->fs = fs;
	snprintf(s->folder, sizeof(s->folder), "%s-folder", fs->dir);
	snprintf(s->file, sizeof(s->file), "%s-file", fs->dir);
	mkdir(s->folder, 0700);
	close(open(s->file, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	faults_begin(&s->faults);
}

static void end(struct scene *s)
{
	faults_end(&s->faults);
	rmdir(s->folder);
	unlink(s->file);
}

static void close_it(struct scene *s, long fd)
{
	close(fd);
}

/* ---- names ------------------------------------------------------------------- */

static long open_path(struct scene *s)
{
	return open_as(s->fs->path, O_RDWR);
}

static long open_by_proc(struct scene *s)
{
	return reopen(s->fs->fd, O_RDONLY);
}

static long open_path_only(struct scene *s)
{
	return open_as(s->fs->path, O_PATH);
}

static long make_fifo(struct scene *s)
{
	return neg(mkfifo(s->fs->other, 0600));
}

static void have_other(struct scene *s)
{
	make_fifo(s);
}

static void remove_other(struct scene *s, long ret)
{
	unlink(s->fs->other);
}

static void no_other(struct scene *s)
{
	unlink(s->fs->other);
}

static bool is_other(struct scene *s)
{
	return exists(s->fs->other);
}

static bool is_no_other(struct scene *s)
{
	return !exists(s->fs->other);
}

static void close_and_remove(struct scene *s, long fd)
{
	close(fd);
	unlink(s->fs->other);
}

/* As everywhere, the file can be there although it could not be opened. */
static bool remove_if_there(struct scene *s)
{
	unlink(s->fs->other);
	return true;
}

static long create_path(struct scene *s)
{
	return open_as(s->fs->other, O_RDWR | O_CREAT);
}

static long unlink_it(struct scene *s)
{
	return neg(unlink(s->fs->other));
}

static long rename_it(struct scene *s)
{
	return neg(rename(s->fs->path, s->fs->other));
}

static void rename_back(struct scene *s, long ret)
{
	rename(s->fs->other, s->fs->path);
}

static bool is_where_it_was(struct scene *s)
{
	return exists(s->fs->path) && !exists(s->fs->other);
}

/* By the ioctl: neither a name nor a mailbox is left. */
static long create_by_name(struct scene *s)
{
	struct mbox_attr attr = attr_of(0, 1);

	return raw_create("other", O_RDWR | O_EXCL, &attr);
}

/* Its memory is made before the directory is locked for good. */
static long create_ring_by_name(struct scene *s)
{
	struct mbox_attr attr = attr_of(0, 4);

	attr.mode = MBOX_RING;
	return raw_create("other", O_RDWR | O_EXCL, &attr);
}

TEST_F(fs, opening_and_names)
{
	static const struct operation ops[] = {
		{ .run = open_path, .undo = close_it },
		{ .run = open_path_only, .undo = close_it },
		{ .run = open_by_proc, .undo = close_it },
		{ make_fifo, remove_other, no_other, is_no_other },
		{ create_path, close_and_remove, no_other, remove_if_there },
		{ create_by_name, close_and_remove, no_other, is_no_other },
		{ create_ring_by_name, close_and_remove, no_other, is_no_other },
		{ unlink_it, NULL, have_other, is_other },
		{ rename_it, rename_back, NULL, is_where_it_was },
	};
	struct scene s;

	begin(&s, self);
	if (s.faults.usable)
		REPEAT_ALL(&s, ops);
	end(&s);
	if (!s.faults.usable)
		SKIP(return, "the kernel cannot inject failures");
}

/* ---- attributes ----------------------------------------------------------------- */

static long change_mode(struct scene *s)
{
	return neg(chmod(s->fs->path, 0640));
}

static void change_mode_back(struct scene *s, long ret)
{
	chmod(s->fs->path, 0600);
}

static bool has_mode(struct scene *s)
{
	return (attributes(s->fs->path).st_mode & 0777) == 0600;
}

static void have_mode(struct scene *s)
{
	chmod(s->fs->path, 0600);
}

static long change_owner(struct scene *s)
{
	return neg(chown(s->fs->path, USER_A, GROUP_A));
}

static void change_owner_back(struct scene *s, long ret)
{
	chown(s->fs->path, 0, 0);
}

static bool has_owner(struct scene *s)
{
	return !attributes(s->fs->path).st_uid;
}

static long ask_stat(struct scene *s)
{
	struct stat st;

	return neg(lstat(s->fs->path, &st));
}

static long ask_statfs(struct scene *s)
{
	struct statfs fs;

	return neg(statfs(s->fs->path, &fs));
}

static void rewind_root(struct scene *s)
{
	lseek(s->fs->root, 0, SEEK_SET);
}

static long read_names(struct scene *s)
{
	char buf[512] __attribute__((aligned(8)));

	return neg(syscall(SYS_getdents64, s->fs->root, buf, sizeof(buf)));
}

TEST_F(fs, attributes_and_the_directory)
{
	static const struct operation ops[] = {
		{ change_mode, change_mode_back, have_mode, has_mode },
		{ change_owner, change_owner_back, NULL, has_owner },
		{ .run = ask_stat },
		{ .run = ask_statfs },
		{ .run = read_names, .prepare = rewind_root },
	};
	struct scene s;
	bool usable;

	begin(&s, self);
	usable = s.faults.usable && !access(FAIL_DIR "fail_usercopy", F_OK);
	if (usable)
		REPEAT_ALL(&s, ops);
	end(&s);
	if (!usable)
		SKIP(return, "the kernel cannot let copies fail");
}

/* A list with one entry more than the mode has. */
static size_t make_list(char *buf)
{
	static const struct {
		unsigned int tag;
		unsigned int perm;
		unsigned int id;
	} entries[] = {
		{ ACL_USER_OBJ, 6, ACL_UNDEFINED_ID }, { ACL_USER, 4, USER_A },
		{ ACL_GROUP_OBJ, 0, ACL_UNDEFINED_ID }, { ACL_MASK, 4, ACL_UNDEFINED_ID },
		{ ACL_OTHER, 0, ACL_UNDEFINED_ID },
	};
	struct posix_acl_xattr_header *header = (void *)buf;
	struct posix_acl_xattr_entry *entry = (void *)(header + 1);
	unsigned int i;

	header->a_version = htole32(POSIX_ACL_XATTR_VERSION);
	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		entry[i].e_tag = htole16(entries[i].tag);
		entry[i].e_perm = htole16(entries[i].perm);
		entry[i].e_id = htole32(entries[i].id);
	}
	return sizeof(*header) + i * sizeof(*entry);
}

static long set_list(struct scene *s)
{
	char buf[128] __attribute__((aligned(8)));
	size_t len = make_list(buf);

	return neg(setxattr(s->fs->path, ACCESS, buf, len, 0));
}

static void remove_list(struct scene *s, long ret)
{
	removexattr(s->fs->path, ACCESS);
}

/* Without it, the mode stays as the list had it. */
static void no_list(struct scene *s)
{
	removexattr(s->fs->path, ACCESS);
	have_mode(s);
}

static bool has_no_list(struct scene *s)
{
	return getxattr(s->fs->path, ACCESS, NULL, 0) < 0 && errno == ENODATA && has_mode(s);
}

static void have_list(struct scene *s)
{
	set_list(s);
}

static bool has_list(struct scene *s)
{
	return getxattr(s->fs->path, ACCESS, NULL, 0) > 0;
}

static long get_list(struct scene *s)
{
	char buf[128];

	return neg(getxattr(s->fs->path, ACCESS, buf, sizeof(buf)));
}

static long list_attributes(struct scene *s)
{
	char buf[128];

	return neg(listxattr(s->fs->path, buf, sizeof(buf)));
}

static long drop_list(struct scene *s)
{
	return neg(removexattr(s->fs->path, ACCESS));
}

static long chmod_with_list(struct scene *s)
{
	return neg(chmod(s->fs->path, 0660));
}

TEST_F(fs, access_control_lists)
{
	static const struct operation ops[] = {
		{ set_list, remove_list, no_list, has_no_list },
		{ .run = get_list, .prepare = have_list },
		{ .run = list_attributes, .prepare = have_list },
		{ chmod_with_list, NULL, have_list, has_list },
		{ drop_list, NULL, have_list, has_list },
	};
	struct scene s;
	bool usable;

	begin(&s, self);
	chmod(self->path, 0600);
	usable = s.faults.usable && !set_list(&s);
	if (usable)
		REPEAT_ALL(&s, ops);
	end(&s);
	if (!usable)
		SKIP(return, "no injected failures, or no lists in this kernel");
}

/* The new mailbox has the list, or there is none. */
TEST_F(fs, inheritance_of_the_directory)
{
	static const struct operation ops[] = {
		{ make_fifo, remove_other, no_other, is_no_other },
		{ create_by_name, close_and_remove, no_other, is_no_other },
	};
	char buf[128] __attribute__((aligned(8)));
	size_t len = make_list(buf);
	struct scene s;
	bool usable;

	begin(&s, self);
	usable = s.faults.usable &&
		 !setxattr(self->dir, "system.posix_acl_default", buf, len, 0);
	if (usable)
		REPEAT_ALL(&s, ops);
	end(&s);
	if (!usable)
		SKIP(return, "no injected failures, or no lists in this kernel");
}

/* ---- mounts ------------------------------------------------------------------- */

/* A network namespace without an instance; the fixture keeps that of its mount. */
static void new_namespace(struct scene *s)
{
	unshare(CLONE_NEWNET);
}

static long mount_it(struct scene *s)
{
	return mount_at(s->folder, "mode=0755,uid=1001");
}

static void unmount_it(struct scene *s, long ret)
{
	umount(s->folder);
}

static bool is_not_mounted(struct scene *s)
{
	struct statfs fs;

	return !statfs(s->folder, &fs) && fs.f_type != MBX_FS_MAGIC;
}

/* The first mailbox of a namespace makes the instance. */
static long create_first(struct scene *s)
{
	struct mbox_attr attr = attr_of(0, 1);

	return raw_create(NULL, O_RDWR, &attr);
}

static long bind_it(struct scene *s)
{
	return neg(mount(s->fs->path, s->file, NULL, MS_BIND, NULL));
}

static void unbind_it(struct scene *s, long ret)
{
	umount(s->file);
}

static bool is_not_bound(struct scene *s)
{
	return !S_ISFIFO(attributes(s->file).st_mode);
}

static long remount_it(struct scene *s)
{
	return neg(mount(NULL, s->fs->dir, NULL, MS_REMOUNT, "mode=0700"));
}

static void remount_back(struct scene *s, long ret)
{
	mount(NULL, s->fs->dir, NULL, MS_REMOUNT, "mode=1777");
}

static bool is_as_mounted(struct scene *s)
{
	return (attributes(s->fs->dir).st_mode & 07777) == 01777;
}

TEST_F_TIMEOUT(fs, mounts_and_instances, 120)
{
	static const struct operation ops[] = {
		{ bind_it, unbind_it, NULL, is_not_bound },
		{ remount_it, remount_back, NULL, is_as_mounted },
		{ mount_it, unmount_it, NULL, is_not_mounted },
		{ mount_it, unmount_it, new_namespace, is_not_mounted },
		{ create_first, close_it, new_namespace, NULL },
	};
	/* Names go with their namespace, and the process leaves that of the fixture. */
	int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct scene s;

	ASSERT_LE(0, net);
	begin(&s, self);
	if (s.faults.usable)
		REPEAT_ALL(&s, ops);
	end(&s);
	close(net);
	if (!s.faults.usable)
		SKIP(return, "the kernel cannot inject failures");
}

TEST_F_TIMEOUT(afterwards, the_module_is_not_in_use, 60)
{
	EXPECT_GE(0, await_unused_module());
}

TEST_HARNESS_MAIN
