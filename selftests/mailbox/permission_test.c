// SPDX-License-Identifier: GPL-2.0-only
/* Permission to open, unlink and change a mailbox. */
#include <linux/capability.h>
#include <sys/fsuid.h>

#include "wrappers.h"

/* Give up one capability, keep the others. */
static int drop_capability(int cap)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data))
		return neg(-1);
	data[cap / 32].effective &= ~(1U << cap % 32);
	data[cap / 32].permitted &= ~(1U << cap % 32);
	return neg(syscall(SYS_capset, &hdr, data));
}

/* Become an ordinary user with one capability. */
static int become_with(uid_t uid, gid_t gid, int cap)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	data[cap / 32].effective = 1U << cap % 32;
	data[cap / 32].permitted = 1U << cap % 32;
	if (prctl(PR_SET_KEEPCAPS, 1) || become(uid, gid))
		return neg(-1);
	return neg(syscall(SYS_capset, &hdr, data));
}

static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };

/* The bits that an open with that mode asks for. */
static int wanted_bits(int mode)
{
	return mode == O_RDONLY ? 4 : mode == O_WRONLY ? 2 : 6;
}

static const char *matrix_name(char *name, size_t size, pid_t owner, int bits)
{
	snprintf(name, size, "mbox-test-%d-perm%d", owner, bits);
	return name;
}

/* One mailbox for each value of one class's bits; what others have is the opposite. */
FIXTURE(class)
{
	__u64 ids[8];
	pid_t pid;
	int shift;
	uid_t uid;
	gid_t gid;
	gid_t more;
};

FIXTURE_VARIANT(class)
{
	int shift;
	uid_t uid;
	gid_t gid;
	gid_t more;
};

FIXTURE_VARIANT_ADD(class, owner)
{
	.shift = 6, .uid = USER_A, .gid = GROUP_A, .more = GROUP_A,
};

FIXTURE_VARIANT_ADD(class, group)
{
	.shift = 3, .uid = USER_B, .gid = GROUP_A, .more = GROUP_B,
};

FIXTURE_VARIANT_ADD(class, supplementary_group)
{
	.shift = 3, .uid = USER_B, .gid = GROUP_B, .more = GROUP_A,
};

FIXTURE_VARIANT_ADD(class, other)
{
	.shift = 0, .uid = USER_B, .gid = GROUP_B, .more = GROUP_B,
};

static int create_matrix(void *arg)
{
	FIXTURE_DATA(class) *self = arg;
	struct mbox_attr attr = attr_of(0, 1);
	char name[64];
	int bits;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (bits = 0; bits < 8; bits++) {
		attr.perm = ((7 - bits) * 0111 & ~(7 << self->shift)) | bits << self->shift;
		matrix_name(name, sizeof(name), self->pid, bits);
		CHECK(raw_create(name, O_RDWR | O_EXCL, &attr) >= 0);
	}
	return 0;
}

FIXTURE_SETUP(class)
{
	char name[64];
	int bits, fd;

	umask(0);
	self->pid = getpid();
	self->shift = variant->shift;
	self->uid = variant->uid;
	self->gid = variant->gid;
	self->more = variant->more;
	ASSERT_EQ(0, in_child(create_matrix, self));
	for (bits = 0; bits < 8; bits++) {
		fd = raw_open(matrix_name(name, sizeof(name), self->pid, bits), O_RDWR);
		ASSERT_LE(0, fd);
		self->ids[bits] = stat_of(fd).id;
		close(fd);
	}
}

FIXTURE_TEARDOWN(class)
{
	char name[64];
	int bits;

	for (bits = 0; bits < 8; bits++)
		raw_unlink(matrix_name(name, sizeof(name), self->pid, bits));
}

static int become_class(FIXTURE_DATA(class) *self)
{
	if (setgroups(1, &self->more) || setresgid(self->gid, self->gid, self->gid))
		return neg(-1);
	return neg(setresuid(self->uid, self->uid, self->uid));
}

/* 0 when there was a handle, or -errno. */
static int closed(int fd)
{
	return fd < 0 ? fd : close(fd);
}

static int open_matrix(void *arg)
{
	FIXTURE_DATA(class) *self = arg;
	struct mbox_attr attr = attr_of(0, 1);
	int bits, wanted, allowed;
	char name[64];
	unsigned int i;

	CHECK_EQ(0, become_class(self));
	for (bits = 0; bits < 8; bits++) {
		matrix_name(name, sizeof(name), self->pid, bits);
		for (i = 0; i < ARRAY_SIZE(modes); i++) {
			wanted = wanted_bits(modes[i]);
			allowed = (bits & wanted) == wanted ? 0 : -EACCES;
			CHECK_EQ(allowed, closed(raw_open(name, modes[i])));
			CHECK_EQ(allowed, closed(raw_open_id(self->ids[bits], modes[i])));
			CHECK_EQ(allowed, closed(raw_create(name, modes[i], &attr)));
		}
	}
	return 0;
}

TEST_F(class, mode_bits_of_the_class_decide)
{
	EXPECT_EQ(0, in_child(open_matrix, self));
}

FIXTURE(permission)
{
	char name[64];
	struct mbox_attr attr;
	int fd;
};

static int create_private(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK(raw_create(self->name, O_RDWR | O_EXCL, &self->attr) >= 0);
	return 0;
}

/* A mailbox of USER_A with mode 0, and a handle on it. */
FIXTURE_SETUP(permission)
{
	umask(0);
	test_name(self->name, sizeof(self->name), "permission");
	self->attr = attr_of(0, 4);
	self->attr.perm = 0;
	ASSERT_EQ(0, in_child(create_private, self));
	self->fd = raw_open(self->name, O_RDWR);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(permission)
{
	raw_unlink(self->name);
	close(self->fd);
}

TEST_F(permission, owner_and_group_are_the_creators)
{
	EXPECT_EQ((__u32)USER_A, stat_of(self->fd).uid);
	EXPECT_EQ((__u32)GROUP_A, stat_of(self->fd).gid);
}

static int owner_is_refused(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EACCES, raw_open(self->name, O_RDONLY));
	CHECK_EQ(-EACCES, raw_open(self->name, O_WRONLY));
	CHECK_EQ(-EACCES, raw_open_id(stat_of(self->fd).id, O_RDONLY));
	CHECK_EQ(-EACCES, raw_create(self->name, O_RDWR, &self->attr));
	/* Existence is told before permission, as open(2) does. */
	CHECK_EQ(-EEXIST, raw_create(self->name, O_RDWR | O_EXCL, &self->attr));
	return 0;
}

TEST_F(permission, mode_bits_apply_to_the_owner)
{
	EXPECT_EQ(0, in_child(owner_is_refused, self));
	EXPECT_EQ(1U, stat_of(self->fd).recv_handles);
}

static int creator_has_both_rights(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;
	int fd;

	CHECK_EQ(0, become(USER_B, GROUP_B));
	fd = raw_create(NULL, O_RDWR, &self->attr);
	CHECK(fd >= 0);
	CHECK_EQ(0, put(fd, 5));
	CHECK_EQ(5, take(fd));
	return 0;
}

TEST_F(permission, creator_gets_the_rights_that_it_asks_for)
{
	EXPECT_EQ(0, in_child(creator_has_both_rights, self));
}

static int has_everything(FIXTURE_DATA(permission) *self)
{
	int fd = raw_open(self->name, O_RDWR);

	CHECK(fd >= 0);
	CHECK_EQ(0, put(fd, 5));
	CHECK_EQ(5, take(fd));
	CHECK_EQ(0, raw_set_capacity(fd, 9));
	CHECK_EQ(0, raw_unlink(self->name));
	CHECK_EQ(0, raw_destroy(fd));
	return 0;
}

static int as_user_with_CAP_IPC_OWNER(void *arg)
{
	CHECK_EQ(0, become_with(USER_B, GROUP_B, CAP_IPC_OWNER));
	return has_everything(arg);
}

TEST_F(permission, CAP_IPC_OWNER_overrides_mode_bits)
{
	EXPECT_EQ(0, in_child(as_user_with_CAP_IPC_OWNER, self));
	EXPECT_EQ(-EIDRM, put(self->fd, 1));
}

static int as_user_with_other_capabilities(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, become_with(USER_B, GROUP_B, CAP_SYS_ADMIN));
	CHECK_EQ(-EACCES, raw_open(self->name, O_RDONLY));
	CHECK_EQ(-EACCES, raw_unlink(self->name));
	return 0;
}

TEST_F(permission, other_capabilities_do_not_override)
{
	EXPECT_EQ(0, in_child(as_user_with_other_capabilities, self));
}

static int as_user_with_CAP_DAC_OVERRIDE(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, become_with(USER_B, GROUP_B, CAP_DAC_OVERRIDE));
	CHECK(raw_open(self->name, O_RDWR) >= 0);
	CHECK_EQ(-EACCES, raw_unlink(self->name));
	CHECK_EQ(-EPERM, raw_destroy(self->fd));
	return 0;
}

static int as_user_with_CAP_FOWNER(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, become_with(USER_B, GROUP_B, CAP_FOWNER));
	CHECK_EQ(-EACCES, raw_open(self->name, O_RDONLY));
	CHECK_EQ(-EPERM, raw_destroy(self->fd));
	CHECK_EQ(0, raw_unlink(self->name));
	return 0;
}

TEST_F(permission, capabilities_of_files_count)
{
	EXPECT_EQ(0, in_child(as_user_with_CAP_DAC_OVERRIDE, self));
	EXPECT_EQ(0, in_child(as_user_with_CAP_FOWNER, self));
}

/* And without those of files. */
static int drop_capabilities(void)
{
	static const int caps[] = { CAP_IPC_OWNER, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
				    CAP_FOWNER };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caps); i++)
		CHECK_EQ(0, drop_capability(caps[i]));
	return 0;
}

static int root_without_capability(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, drop_capabilities());
	CHECK_EQ(-EACCES, raw_open(self->name, O_RDONLY));
	CHECK_EQ(-EACCES, raw_open(self->name, O_WRONLY));
	CHECK_EQ(-EACCES, raw_unlink(self->name));
	CHECK_EQ(-EPERM, raw_set_capacity(self->fd, 9));
	CHECK_EQ(-EPERM, raw_destroy(self->fd));
	return 0;
}

TEST_F(permission, root_without_CAP_IPC_OWNER_is_EACCES)
{
	EXPECT_EQ(0, in_child(root_without_capability, self));
	EXPECT_EQ(0, put(self->fd, 1));
}

static int with_the_owners_fsuid(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, drop_capability(CAP_IPC_OWNER));
	CHECK_EQ(-EPERM, raw_set_capacity(self->fd, 9));
	setfsuid(USER_A);
	CHECK_EQ(0, raw_set_capacity(self->fd, 9));
	CHECK_EQ(0, raw_unlink(self->name));
	return 0;
}

TEST_F(permission, fsuid_is_checked)
{
	EXPECT_EQ(0, in_child(with_the_owners_fsuid, self));
}

static int unlink_as_stranger(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, become(USER_B, GROUP_A));
	CHECK_EQ(0, put(self->fd, 1));
	CHECK_EQ(-EACCES, raw_unlink(self->name));
	CHECK_EQ(-EACCES, neg(mbox_unlink(self->name)));
	return 0;
}

static int unlink_as_owner(void *arg)
{
	FIXTURE_DATA(permission) *self = arg;

	CHECK_EQ(0, become(USER_A, GROUP_B));
	CHECK_EQ(0, mbox_unlink(self->name));
	CHECK_EQ(-ENOENT, neg(mbox_unlink(self->name)));
	return 0;
}

TEST_F(permission, unlink_by_another_user_is_EACCES)
{
	struct mbox_attr open_to_all = attr_of(0, 4);

	open_to_all.perm = 0777;
	EXPECT_EQ(0, in_child(unlink_as_stranger, self));
	EXPECT_EQ(0, in_child(unlink_as_owner, self));
	/* Bits that allow everything else do not allow this. */
	self->attr = open_to_all;
	ASSERT_EQ(0, in_child(create_private, self));
	EXPECT_EQ(0, in_child(unlink_as_stranger, self));
}

TEST_F(permission, umask_applies_to_new_mailboxes)
{
	static const struct {
		mode_t mask;
		__u32 perm, result;
	} cases[] = {
		{ 0, 0777, 0777 }, { 022, 0666, 0644 }, { 077, 0777, 0700 },
		{ 0777, 0777, 0 }, { 027, 0666, 0640 }, { 0200, 0600, 0400 },
	};
	struct mbox_attr attr = attr_of(0, 1);
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		umask(cases[i].mask);
		attr.perm = cases[i].perm;
		fd = raw_create(NULL, O_RDWR, &attr);
		ASSERT_LE(0, fd);
		EXPECT_EQ(cases[i].result, stat_of(fd).attr.perm)
			TH_LOG("umask %#o", cases[i].mask);
		close(fd);
	}
}

TEST_F(permission, device_can_be_opened_by_every_user)
{
	struct stat st;

	ASSERT_EQ(0, stat(DEVICE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0666U, st.st_mode & 0777);
}

TEST_HARNESS_MAIN
