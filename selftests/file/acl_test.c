// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access control lists of mailboxes: who may open one, by its path, by its name and by
 * its id, and what the system calls say. The lists are made here, byte by byte.
 */
#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/xattr.h>

#include "mboxfs.h"

#define ACCESS	"system.posix_acl_access"
#define DEFAULT	"system.posix_acl_default"

/* The module keeps as many entries. */
#define MAX_ENTRIES 64

/* Users and groups that only lists name. */
#define USER_C		1003
#define GROUP_C		2003

struct entry {
	unsigned int tag;
	unsigned int perm;
	unsigned int id;
};

struct list {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[MAX_ENTRIES + 8];
};

/* Make the value of the attribute. Return its length. */
static size_t make_list(struct list *list, const struct entry *entries, unsigned int n)
{
	unsigned int i;

	list->header.a_version = htole32(POSIX_ACL_XATTR_VERSION);
	for (i = 0; i < n; i++) {
		list->entries[i].e_tag = htole16(entries[i].tag);
		list->entries[i].e_perm = htole16(entries[i].perm);
		list->entries[i].e_id = htole32(entries[i].id);
	}
	return sizeof(list->header) + n * sizeof(list->entries[0]);
}

static int set_list(const char *path, const char *name, const struct entry *entries,
		    unsigned int n)
{
	struct list list;
	size_t len = make_list(&list, entries, n);

	return neg(setxattr(path, name, &list, len, 0));
}

/* The permission of the entry, or -errno. */
static int get_entry(const char *path, const char *name, unsigned int tag, unsigned int id)
{
	struct list list;
	ssize_t len;
	int i, n;

	memset(&list, POISON, sizeof(list));
	len = neg(getxattr(path, name, &list, sizeof(list)));
	if (len < 0)
		return len;
	n = (len - sizeof(list.header)) / sizeof(list.entries[0]);
	for (i = 0; i < n; i++)
		if (le16toh(list.entries[i].e_tag) == tag &&
		    (!(tag & (ACL_USER | ACL_GROUP)) || le32toh(list.entries[i].e_id) == id))
			return le16toh(list.entries[i].e_perm);
	return -ESRCH;
}

/* A list with all kinds of entries. */
static const struct entry all_kinds[] = {
	{ ACL_USER_OBJ, 6, ACL_UNDEFINED_ID },
	{ ACL_USER, 6, USER_B },
	{ ACL_USER, 2, USER_C },
	{ ACL_GROUP_OBJ, 4, ACL_UNDEFINED_ID },
	{ ACL_GROUP, 6, GROUP_B },
	{ ACL_MASK, 6, ACL_UNDEFINED_ID },
	{ ACL_OTHER, 0, ACL_UNDEFINED_ID },
};

static const struct entry three[] = {
	{ ACL_USER_OBJ, 6, ACL_UNDEFINED_ID },
	{ ACL_GROUP_OBJ, 4, ACL_UNDEFINED_ID },
	{ ACL_OTHER, 2, ACL_UNDEFINED_ID },
};

static int set_all_kinds(const char *path)
{
	return set_list(path, ACCESS, all_kinds, ARRAY_SIZE(all_kinds));
}

/* Whether a file system of the kernel's own has lists. Only then mailboxes have them. */
static bool kernel_has_lists(const char *dir)
{
	char path[96];
	int ret;

	snprintf(path, sizeof(path), "%s-tmpfs", dir);
	if (mkdir(path, 0755) || mount("tmpfs", path, "tmpfs", 0, NULL))
		return false;
	ret = set_list(path, ACCESS, three, ARRAY_SIZE(three));
	umount(path);
	rmdir(path);
	return !ret;
}

#define SKIP_WITHOUT_LISTS()						\
do {									\
	if (!kernel_has_lists(self->dir))				\
		SKIP(return, "no access control lists in this kernel");	\
} while (0)

/* ---- who may ---------------------------------------------------------------- */

struct person {
	uid_t uid;
	gid_t gid;
	gid_t more;
	int may;
};

/* What a person tries. */
struct visit {
	struct person who;
	const char *path;
	const char *name;
	__u64 id;
	/* A handle of it, whatever its rights. */
	int fd;
};

static int come_as(const struct person *who)
{
	CHECK_EQ(0, become(who->uid, who->gid));
	return 0;
}

/* 0 when there was a handle, or -errno. */
static int closed(int fd)
{
	return fd < 0 ? fd : close(fd);
}

static bool is_listed(__u64 id)
{
	struct mbox_walk pos;

	memset(&pos, POISON, sizeof(pos));
	pos.id = id - 1;
	return !raw_control(MBOX_IOC_WALK, &pos) && pos.id == id;
}

static int tries_all(void *arg)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	static const int wants[] = { 4, 2, 6 };
	const struct visit *v = arg;
	struct mbox_attr attr = attr_of(0, 1);
	struct mbox *mb;
	unsigned int i;
	int want;

	if (v->who.more)
		CHECK_EQ(0, neg(setgroups(1, &v->who.more)));
	else
		CHECK_EQ(0, neg(setgroups(0, NULL)));
	CHECK_EQ(0, neg(setresgid(v->who.gid, v->who.gid, v->who.gid)));
	CHECK_EQ(0, neg(setresuid(v->who.uid, v->who.uid, v->who.uid)));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		want = (v->who.may & wants[i]) == wants[i] ? 0 : -EACCES;
		CHECK_EQ(want, tried(v->path, modes[i]));
		CHECK_EQ(want, closed(reopen(v->fd, modes[i])));
		CHECK_EQ(want, closed(raw_open(v->name, modes[i])));
		CHECK_EQ(want, closed(raw_open_id(v->id, modes[i])));
		CHECK_EQ(want, closed(raw_create(v->name, modes[i], &attr)));
		mb = mbox_open(v->path, modes[i]);
		CHECK_EQ(want, mb ? mbox_close(mb) : -errno);
	}
	CHECK_EQ(v->who.may & 4 ? 0 : -EACCES, neg(access(v->path, R_OK)));
	CHECK_EQ(v->who.may & 2 ? 0 : -EACCES, neg(access(v->path, W_OK)));
	/* The owner sees it in any case; others, if they may do something with it. */
	CHECK_EQ(v->who.may || v->who.uid == USER_A, is_listed(v->id));
	return 0;
}

static void visit_all(struct __test_metadata *_metadata, FIXTURE_DATA(fs) *self,
		      const struct person *people, unsigned int n)
{
	struct visit visit = {
		.path = self->path, .name = self->name, .fd = self->fd,
		.id = stat_of(self->fd).id,
	};
	unsigned int i;

	for (i = 0; i < n; i++) {
		visit.who = people[i];
		EXPECT_EQ(0, in_child(tries_all, &visit))
			TH_LOG("person %u", i);
	}
}

TEST_F(fs, every_kind_of_entry_decides)
{
	static const struct person people[] = {
		{ USER_A, GROUP_C, 0, 6 },	/* owner */
		{ USER_B, GROUP_C, 0, 6 },	/* named user */
		{ USER_C, GROUP_C, 0, 2 },	/* named user, fewer rights */
		{ USER_C, GROUP_B, 0, 2 },	/* and its group does not add to them */
		{ 4711, GROUP_A, 0, 4 },	/* owning group */
		{ 4711, GROUP_C, GROUP_A, 4 },	/* which is supplementary */
		{ 4711, GROUP_B, 0, 6 },	/* named group */
		{ 4711, GROUP_A, GROUP_B, 6 },	/* both: any of them is enough */
		{ 4711, GROUP_C, 0, 0 },	/* others */
	};

	SKIP_WITHOUT_LISTS();
	ASSERT_EQ(0, chown(self->path, USER_A, GROUP_A));
	ASSERT_EQ(0, set_all_kinds(self->path));
	visit_all(_metadata, self, people, ARRAY_SIZE(people));
}

TEST_F(fs, the_list_of_a_destroyed_mailbox_stays)
{
	struct stat before, after;
	char path[32];

	SKIP_WITHOUT_LISTS();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	ASSERT_EQ(0, set_all_kinds(path));
	ASSERT_EQ(0, fstat(self->fd, &before));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, set_all_kinds(path));
	EXPECT_EQ(-EIDRM, neg(removexattr(path, ACCESS)));
	ASSERT_EQ(0, fstat(self->fd, &after));
	EXPECT_EQ(before.st_mode, after.st_mode);
}

/* It limits all but the owner and others. */
TEST_F(fs, the_mask_limits)
{
	static const struct person people[] = {
		{ USER_A, GROUP_C, 0, 6 }, { USER_B, GROUP_C, 0, 2 }, { USER_C, GROUP_C, 0, 2 },
		{ 4711, GROUP_A, 0, 0 }, { 4711, GROUP_B, 0, 2 }, { 4711, GROUP_C, 0, 4 },
	};
	struct entry entries[ARRAY_SIZE(all_kinds)];

	SKIP_WITHOUT_LISTS();
	memcpy(entries, all_kinds, sizeof(entries));
	entries[5].perm = 2;
	entries[6].perm = 4;
	ASSERT_EQ(0, chown(self->path, USER_A, GROUP_A));
	ASSERT_EQ(0, set_list(self->path, ACCESS, entries, ARRAY_SIZE(entries)));
	visit_all(_metadata, self, people, ARRAY_SIZE(people));
}

/* The mode shows the mask as the rights of the group, and changing it changes the mask. */
TEST_F(fs, chmod_changes_the_mask)
{
	static const struct person people[] = {
		{ USER_A, GROUP_C, 0, 6 }, { USER_B, GROUP_C, 0, 4 }, { USER_C, GROUP_C, 0, 0 },
		{ 4711, GROUP_A, 0, 4 }, { 4711, GROUP_B, 0, 4 }, { 4711, GROUP_C, 0, 2 },
	};
	struct mbox *mb;

	SKIP_WITHOUT_LISTS();
	ASSERT_EQ(0, chown(self->path, USER_A, GROUP_A));
	ASSERT_EQ(0, set_all_kinds(self->path));
	EXPECT_EQ(0660, attributes(self->path).st_mode & 07777);
	EXPECT_EQ(0660, stat_of(self->fd).attr.perm);
	EXPECT_EQ(0, chmod(self->path, 0642));
	EXPECT_EQ(4, get_entry(self->path, ACCESS, ACL_MASK, 0));
	EXPECT_EQ(2, get_entry(self->path, ACCESS, ACL_OTHER, 0));
	EXPECT_EQ(6, get_entry(self->path, ACCESS, ACL_USER, USER_B));
	EXPECT_EQ(4, get_entry(self->path, ACCESS, ACL_GROUP_OBJ, 0));
	visit_all(_metadata, self, people, ARRAY_SIZE(people));
	/* Also through a handle, and by the library. */
	EXPECT_EQ(0, fchmod(self->fd, 0620));
	EXPECT_EQ(2, get_entry(self->path, ACCESS, ACL_MASK, 0));
	mb = mbox_open(self->path, O_RDWR);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, mbox_set_perm(mb, -1, -1, 0660));
	EXPECT_EQ(6, get_entry(self->path, ACCESS, ACL_MASK, 0));
	EXPECT_EQ(0, mbox_close(mb));
	/* Another owner: the list stays. */
	EXPECT_EQ(0, chown(self->path, USER_C, GROUP_C));
	EXPECT_EQ(6, get_entry(self->path, ACCESS, ACL_USER, USER_B));
	EXPECT_EQ(6, get_entry(self->path, ACCESS, ACL_USER_OBJ, 0));
}

TEST_F(fs, removal_leaves_the_mode)
{
	static const struct person people[] = {
		{ USER_A, GROUP_C, 0, 6 }, { USER_B, GROUP_C, 0, 0 },
		{ 4711, GROUP_A, 0, 6 }, { 4711, GROUP_B, 0, 0 },
	};
	char names[64];

	SKIP_WITHOUT_LISTS();
	ASSERT_EQ(0, chown(self->path, USER_A, GROUP_A));
	EXPECT_EQ(-ENODATA, neg(getxattr(self->path, ACCESS, NULL, 0)));
	EXPECT_EQ(0, listxattr(self->path, names, sizeof(names)));
	ASSERT_EQ(0, set_all_kinds(self->path));
	EXPECT_EQ(sizeof(ACCESS), listxattr(self->path, NULL, 0));
	EXPECT_EQ(sizeof(ACCESS), listxattr(self->path, names, sizeof(names)));
	EXPECT_STREQ(ACCESS, names);
	EXPECT_EQ(-ERANGE, neg(listxattr(self->path, names, sizeof(ACCESS) - 1)));
	EXPECT_EQ(0, removexattr(self->path, ACCESS));
	EXPECT_EQ(-ENODATA, neg(getxattr(self->path, ACCESS, NULL, 0)));
	EXPECT_EQ(0, listxattr(self->path, names, sizeof(names)));
	EXPECT_EQ(0660, attributes(self->path).st_mode & 07777);
	visit_all(_metadata, self, people, ARRAY_SIZE(people));
	/* A list that says no more than a mode becomes one. */
	EXPECT_EQ(0, set_list(self->path, ACCESS, three, ARRAY_SIZE(three)));
	EXPECT_EQ(0642, attributes(self->path).st_mode & 07777);
	EXPECT_EQ(-ENODATA, neg(getxattr(self->path, ACCESS, NULL, 0)));
}

/* Handles keep their rights, as with a mode. */
static int holds_on(void *arg)
{
	const struct visit *v = arg;
	int fd;

	CHECK_EQ(0, come_as(&v->who));
	fd = open_as(v->path, O_WRONLY);
	CHECK(fd >= 0);
	/* A stranger does not change the list of another. */
	CHECK_EQ(-EPERM, set_all_kinds(v->path));
	CHECK_EQ(-EPERM, neg(removexattr(v->path, ACCESS)));
	CHECK(get_entry(v->path, ACCESS, ACL_MASK, 0) >= 0);
	CHECK_EQ(0, put(fd, 1));
	return 0;
}

TEST_F(fs, only_the_owner_changes_the_list)
{
	struct visit visit = { .who = { USER_B, GROUP_C }, .path = self->path };

	SKIP_WITHOUT_LISTS();
	ASSERT_EQ(0, chown(self->path, USER_A, GROUP_A));
	ASSERT_EQ(0, set_all_kinds(self->path));
	EXPECT_EQ(0, in_child(holds_on, &visit));
	EXPECT_EQ(1, take(self->fd));
}

/* Anonymous mailboxes have lists, too: through their handle, and for their id. */
static int opens_anonymous(void *arg)
{
	const struct visit *v = arg;

	CHECK_EQ(0, come_as(&v->who));
	CHECK_EQ(v->who.may & 4 ? 0 : -EACCES, closed(raw_open_id(v->id, O_RDONLY)));
	CHECK_EQ(v->who.may & 2 ? 0 : -EACCES, closed(raw_open_id(v->id, O_WRONLY)));
	CHECK_EQ(v->who.may & 4 ? 0 : -EACCES, closed(reopen(v->fd, O_RDONLY)));
	return 0;
}

TEST_F(fs, anonymous_mailboxes_and_rings)
{
	struct mbox_attr attr = { .mode = MBOX_RING, .capacity = 4, .msg_max = 64, .perm = 0600 };
	struct list list;
	size_t len = make_list(&list, all_kinds, ARRAY_SIZE(all_kinds));
	struct visit visit;
	int i;

	SKIP_WITHOUT_LISTS();
	for (i = 0; i < 2; i++) {
		visit.fd = i ? raw_create(NULL, O_RDWR, &attr) : new_mailbox(0, 4);
		ASSERT_LE(0, visit.fd);
		visit.id = stat_of(visit.fd).id;
		EXPECT_EQ(0, fsetxattr(visit.fd, ACCESS, &list, len, 0));
		EXPECT_EQ(len, fgetxattr(visit.fd, ACCESS, NULL, 0));
		visit.who = (struct person){ USER_B, GROUP_C, 0, 6 };
		EXPECT_EQ(0, in_child(opens_anonymous, &visit));
		visit.who = (struct person){ USER_C, GROUP_C, 0, 2 };
		EXPECT_EQ(0, in_child(opens_anonymous, &visit));
		close(visit.fd);
	}
}

/* ---- inheritance --------------------------------------------------------------- */

TEST_F(fs, the_directory_hands_its_default_list_down)
{
	struct mbox_attr attr = attr_of(0, 1);
	char third[128], names[64];
	int fd;

	SKIP_WITHOUT_LISTS();
	snprintf(third, sizeof(third), "%s/third", self->dir);
	umask(077);
	/* Without a default list the umask is applied, for all ways to create. */
	attr.perm = 0666;
	EXPECT_EQ(0, mkfifo(self->other, 0666));
	EXPECT_EQ(0600, attributes(self->other).st_mode & 07777);
	EXPECT_EQ(0, unlink(self->other));
	close(raw_create("other", O_RDWR | O_EXCL, &attr));
	EXPECT_EQ(0600, attributes(self->other).st_mode & 07777);
	EXPECT_EQ(0, unlink(self->other));
	EXPECT_EQ(0, closed(open(self->other, O_CREAT | O_RDWR, 0666)));
	EXPECT_EQ(0600, attributes(self->other).st_mode & 07777);
	EXPECT_EQ(0, unlink(self->other));

	ASSERT_EQ(0, set_list(self->dir, DEFAULT, all_kinds, ARRAY_SIZE(all_kinds)));
	EXPECT_EQ(01777, attributes(self->dir).st_mode & 07777);
	EXPECT_EQ(sizeof(DEFAULT), listxattr(self->dir, names, sizeof(names)));
	EXPECT_STREQ(DEFAULT, names);
	/* With it, the list takes the place of the umask. */
	EXPECT_EQ(0, mkfifo(self->other, 0666));
	EXPECT_EQ(0660, attributes(self->other).st_mode & 07777);
	EXPECT_EQ(6, get_entry(self->other, ACCESS, ACL_USER, USER_B));
	EXPECT_EQ(0, unlink(self->other));
	fd = raw_create("other", O_RDWR | O_EXCL, &attr);
	EXPECT_EQ(2, get_entry(self->other, ACCESS, ACL_USER, USER_C));
	EXPECT_EQ(6, get_entry(self->other, ACCESS, ACL_MASK, 0));
	EXPECT_EQ(0660, stat_of(fd).attr.perm);
	close(fd);
	/* The mode that is asked for limits. */
	EXPECT_EQ(0, closed(open(third, O_CREAT | O_RDWR, 0640)));
	EXPECT_EQ(4, get_entry(third, ACCESS, ACL_MASK, 0));
	EXPECT_EQ(-ENODATA, get_entry(third, DEFAULT, ACL_MASK, 0));
	EXPECT_EQ(0, unlink(third));
	/* What has no directory inherits nothing. */
	fd = raw_create(NULL, O_RDWR, &attr);
	EXPECT_EQ(-ENODATA, neg(fgetxattr(fd, ACCESS, NULL, 0)));
	EXPECT_EQ(0600, stat_of(fd).attr.perm);
	close(fd);
	/* Each has its own copy. */
	EXPECT_EQ(0, removexattr(self->dir, DEFAULT));
	EXPECT_EQ(6, get_entry(self->other, ACCESS, ACL_GROUP, GROUP_B));
	EXPECT_EQ(0, unlink(self->other));
	umask(0);
}

/* It can also have a list of its own, whose mask remounting changes. */
static int creates(void *arg)
{
	const struct visit *v = arg;

	CHECK_EQ(0, come_as(&v->who));
	CHECK_EQ(v->who.may, neg(mkfifo(v->path, 0600)));
	return 0;
}

TEST_F(fs, the_directory_has_a_list_of_its_own)
{
	static const struct entry entries[] = {
		{ ACL_USER_OBJ, 7, ACL_UNDEFINED_ID }, { ACL_USER, 7, USER_B },
		{ ACL_GROUP_OBJ, 5, ACL_UNDEFINED_ID }, { ACL_MASK, 7, ACL_UNDEFINED_ID },
		{ ACL_OTHER, 5, ACL_UNDEFINED_ID },
	};
	struct visit visit = { .path = self->other };

	SKIP_WITHOUT_LISTS();
	ASSERT_EQ(0, set_list(self->dir, ACCESS, entries, ARRAY_SIZE(entries)));
	EXPECT_EQ(01775, attributes(self->dir).st_mode & 07777);
	visit.who = (struct person){ USER_C, GROUP_C, 0, -EACCES };
	EXPECT_EQ(0, in_child(creates, &visit));
	visit.who = (struct person){ USER_B, GROUP_C, 0, 0 };
	EXPECT_EQ(0, in_child(creates, &visit));
	EXPECT_EQ(0, unlink(self->other));
	EXPECT_EQ(0, neg(mount(NULL, self->dir, NULL, MS_REMOUNT, "mode=1755")));
	EXPECT_EQ(5, get_entry(self->dir, ACCESS, ACL_MASK, 0));
	visit.who.may = -EACCES;
	EXPECT_EQ(0, in_child(creates, &visit));
	EXPECT_EQ(0, neg(mount(NULL, self->dir, NULL, MS_REMOUNT, "mode=1777")));
	EXPECT_EQ(0, removexattr(self->dir, ACCESS));
	EXPECT_EQ(01777, attributes(self->dir).st_mode & 07777);
}

/* ---- errors --------------------------------------------------------------------- */

TEST_F(fs, bad_lists)
{
	static const struct entry bad[][4] = {
		{ { ACL_USER_OBJ, 6, -1 } },
		{ { ACL_USER_OBJ, 6, -1 }, { ACL_GROUP_OBJ, 4, -1 }, { 64, 0, -1 } },
		{ { ACL_USER_OBJ, 8, -1 }, { ACL_GROUP_OBJ, 4, -1 }, { ACL_OTHER, 0, -1 } },
		/* Names, and no mask. */
		{ { ACL_USER_OBJ, 6, -1 }, { ACL_USER, 6, USER_B }, { ACL_GROUP_OBJ, 4, -1 },
		  { ACL_OTHER, 0, -1 } },
	};
	struct list list;
	size_t len = make_list(&list, all_kinds, ARRAY_SIZE(all_kinds));
	unsigned int i, n;

	SKIP_WITHOUT_LISTS();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (n = 0; n < ARRAY_SIZE(bad[i]) && bad[i][n].tag; n++)
			;
		EXPECT_EQ(-EINVAL, set_list(self->path, ACCESS, bad[i], n))
			TH_LOG("case %u", i);
	}
	EXPECT_EQ(-EINVAL, neg(setxattr(self->path, ACCESS, &list, len - 1, 0)));
	list.header.a_version = htole32(1);
	EXPECT_EQ(-EOPNOTSUPP, neg(setxattr(self->path, ACCESS, &list, len, 0)));
	/* Nothing creates mailboxes in a mailbox. */
	EXPECT_EQ(-EACCES, set_list(self->path, DEFAULT, three, ARRAY_SIZE(three)));
	EXPECT_EQ(0600, attributes(self->path).st_mode & 07777);
	EXPECT_EQ(-ENODATA, neg(getxattr(self->path, ACCESS, NULL, 0)));
	/* Other attributes are unknown. */
	EXPECT_EQ(-EOPNOTSUPP, neg(setxattr(self->path, "system.mbox", "1", 1, 0)));
	EXPECT_EQ(-EOPNOTSUPP, neg(setxattr(self->path, "trusted.mbox", "1", 1, 0)));
	EXPECT_EQ(-EOPNOTSUPP, neg(setxattr(self->path, "security.mbox", "1", 1, 0)));
	EXPECT_EQ(-EOPNOTSUPP, neg(removexattr(self->path, "security.mbox")));
	EXPECT_EQ(-EPERM, neg(setxattr(self->path, "user.mbox", "1", 1, 0)));
}

/* The owner of a mailbox does not choose how much memory it takes. */
TEST_F(fs, the_number_of_entries_is_limited)
{
	struct entry entries[MAX_ENTRIES + 1];
	unsigned int i;

	SKIP_WITHOUT_LISTS();
	entries[0] = all_kinds[0];
	for (i = 1; i < MAX_ENTRIES - 2; i++)
		entries[i] = (struct entry){ ACL_USER, 6, 5000 + i };
	memcpy(entries + i, all_kinds + 3, sizeof(entries[0]));
	memcpy(entries + i + 1, all_kinds + 5, 2 * sizeof(entries[0]));
	EXPECT_EQ(-E2BIG, set_list(self->path, ACCESS, entries, MAX_ENTRIES + 1));
	EXPECT_EQ(-E2BIG, set_list(self->dir, DEFAULT, entries, MAX_ENTRIES + 1));
	EXPECT_EQ(0600, attributes(self->path).st_mode & 07777);
	/* One fewer. */
	memmove(entries + 1, entries + 2, (MAX_ENTRIES - 1) * sizeof(entries[0]));
	EXPECT_EQ(0, set_list(self->path, ACCESS, entries, MAX_ENTRIES));
	EXPECT_EQ(6, get_entry(self->path, ACCESS, ACL_USER, 5002));
}

TEST_F(fs, a_read_only_mount_keeps_the_list)
{
	char again[80], path[160];

	SKIP_WITHOUT_LISTS();
	snprintf(again, sizeof(again), "%s-2", self->dir);
	snprintf(path, sizeof(path), "%s/%s", again, self->name);
	ASSERT_EQ(0, set_all_kinds(self->path));
	ASSERT_EQ(0, mkdir(again, 0700));
	ASSERT_EQ(0, mount_at(again, NULL));
	ASSERT_EQ(0, neg(mount(NULL, again, NULL, MS_REMOUNT | MS_RDONLY, NULL)));
	EXPECT_EQ(-EROFS, set_all_kinds(path));
	EXPECT_EQ(-EROFS, neg(removexattr(path, ACCESS)));
	EXPECT_EQ(6, get_entry(path, ACCESS, ACL_USER, USER_B));
	EXPECT_EQ(0, umount(again));
	rmdir(again);
}

/* A direct link is not opened again, whatever its list says. */
static int sets_of_a_link(void *arg)
{
	struct list list;
	size_t len = make_list(&list, all_kinds, ARRAY_SIZE(all_kinds));
	int fd = raw_direct(getppid(), O_RDWR);

	CHECK(fd >= 0);
	CHECK_EQ(0, neg(fsetxattr(fd, ACCESS, &list, len, 0)));
	CHECK_EQ(-ENXIO, reopen(fd, O_RDWR));
	return 0;
}

TEST_F(fs, the_list_of_a_direct_link_opens_nothing)
{
	SKIP_WITHOUT_LISTS();
	EXPECT_EQ(0, in_child(sets_of_a_link, NULL));
}

TEST_F(fs, a_kernel_without_lists_says_so)
{
	if (kernel_has_lists(self->dir))
		SKIP(return, "this kernel has access control lists");
	EXPECT_EQ(-EOPNOTSUPP, set_all_kinds(self->path));
	EXPECT_EQ(-EOPNOTSUPP, neg(getxattr(self->path, ACCESS, NULL, 0)));
	EXPECT_EQ(-EOPNOTSUPP, set_list(self->dir, DEFAULT, three, ARRAY_SIZE(three)));
	/* The mode and the umask are all there is. */
	umask(027);
	EXPECT_EQ(0, mkfifo(self->other, 0666));
	EXPECT_EQ(0640, attributes(self->other).st_mode & 07777);
	EXPECT_EQ(0, unlink(self->other));
}

TEST_F_TIMEOUT(afterwards, the_module_is_not_in_use, 60)
{
	EXPECT_GE(0, await_unused_module());
}

TEST_HARNESS_MAIN
