/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of the file system: a mount of its own for each, and opening as a file. */
#ifndef SELFTESTS_MBOXFS_H
#define SELFTESTS_MBOXFS_H

#include <linux/capability.h>
#include <sys/mount.h>

#include "peers.h"

#define MBX_FS_MAGIC 0x6d626f78

/* A mount of the instance of this network namespace, in a mount namespace of its own. */
FIXTURE(fs)
{
	char dir[64];
	char path[128];
	char other[128];
	char name[64];
	struct mbox_attr attr;
	int fd;
	int root;
};

static inline int mount_at(const char *dir, const char *options)
{
	return neg(mount("mbox", dir, "mbox", 0, options));
}

FIXTURE_SETUP(fs)
{
	umask(0);
	self->root = -1;
	self->fd = -1;
	ASSERT_EQ(0, unshare(CLONE_NEWNS | CLONE_NEWNET));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	snprintf(self->dir, sizeof(self->dir), "/tmp/mboxfs-%d", getpid());
	ASSERT_EQ(0, mkdir(self->dir, 0755));
	ASSERT_EQ(0, mount_at(self->dir, NULL));
	test_name(self->name, sizeof(self->name), "fs");
	snprintf(self->path, sizeof(self->path), "%s/%s", self->dir, self->name);
	snprintf(self->other, sizeof(self->other), "%s/other", self->dir);
	self->attr = attr_of(0, 4);
	self->fd = raw_create(self->name, O_RDWR | O_EXCL, &self->attr);
	ASSERT_LE(0, self->fd);
	self->root = open(self->dir, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, self->root);
}

FIXTURE_TEARDOWN(fs)
{
	close(self->fd);
	close(self->root);
	umount2(self->dir, MNT_DETACH);
	rmdir(self->dir);
}

static inline int open_as(const char *path, int oflags)
{
	errno = 0;
	return neg(open(path, oflags | O_CLOEXEC, 0600));
}

/* 0 when it can be opened, or -errno. */
static inline int tried(const char *path, int oflags)
{
	int fd = open_as(path, oflags);

	return fd < 0 ? fd : close(fd);
}

static inline int reopen(int fd, int oflags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_as(path, oflags);
}

static inline struct stat attributes(const char *path)
{
	struct stat st;

	memset(&st, POISON, sizeof(st));
	stat(path, &st);
	return st;
}

/* become(), with one capability; -1: none. */
static inline int become_with(uid_t uid, gid_t gid, int cap)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	prctl(PR_SET_KEEPCAPS, 1);
	CHECK_EQ(0, become(uid, gid));
	if (cap < 0)
		return 0;
	data[cap / 32].effective = 1U << cap % 32;
	data[cap / 32].permitted = 1U << cap % 32;
	return neg(syscall(SYS_capset, &hdr, data));
}

/*
 * The namespaces of tests end some time after their processes, and the module is in use
 * until then: the tests of this fixture come last, and wait for it.
 */
FIXTURE(afterwards)
{
	int unused;
};

FIXTURE_SETUP(afterwards)
{
}

FIXTURE_TEARDOWN(afterwards)
{
}

/* How many use the module: 0, unless that takes too long; -ENOENT: unknown. */
static inline int await_unused_module(void)
{
	char text[16] = "";
	int i;

	for (i = 0; i < WAIT_LIMIT_MS / 100; i++) {
		if (read_file("/sys/module/mbox/refcnt", text, sizeof(text)))
			return -ENOENT;
		if (!atoi(text))
			break;
		usleep(100000);
	}
	return atoi(text);
}

#endif /* SELFTESTS_MBOXFS_H */
