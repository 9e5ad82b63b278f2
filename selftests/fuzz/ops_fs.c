// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on the file system. Each process has a mount namespace of its own, in which
 * the instance is mounted for as long as the process lives, and places where operations
 * mount it, or a mailbox, once more.
 *
 *   box/		the instance of the first network namespace
 *   d0/, d1/	folders for mounts
 *   f0, f1	files for bind mounts of one mailbox
 *
 * All of that is in a file system that is read-only: what is not mounted creates nothing.
 */
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include "fuzz.h"

#define BASE		"/tmp/fuzz-fs"
#define BOX		BASE "/box"
#define FS_MAGIC	0x6d626f78
#define PATH_SIZE	320
#define PLACES		4

static const char *const places[PLACES] = {
	BASE "/d0", BASE "/d1", BASE "/f0", BASE "/f1",
};

void fs_init_process(void)
{
	unsigned int i;
	int fd;

	mkdir(BASE, 0755);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", BASE, "tmpfs", 0, "mode=0755"))
		die("%s: %s", BASE, strerror(errno));
	mkdir(BOX, 0755);
	for (i = 0; i < PLACES; i++) {
		if (places[i][sizeof(BASE)] == 'd') {
			mkdir(places[i], 0755);
			continue;
		}
		fd = open(places[i], O_CREAT | O_RDWR | O_CLOEXEC, 0666);
		close(fd);
	}
	if (mount(NULL, BASE, NULL, MS_REMOUNT | MS_RDONLY, NULL) ||
	    mount("mbox", BOX, "mbox", 0, NULL))
		die("%s: %s", BOX, strerror(errno));
}

/* Undo what the operations below did to the mounts of this process. */
void fs_reset_process(void)
{
	unsigned int i;

	if (!program_has(&shared->program, "fs_mount"))
		return;
	for (i = 0; i < PLACES; i++)
		while (!umount2(places[i], MNT_DETACH))
			;
	mount(NULL, BOX, NULL, MS_REMOUNT, "mode=1777,uid=0,gid=0");
}

static long result(long ret)
{
	if (ret >= 0)
		return ret;
	check_errno(-errno, false);
	return -errno;
}

/* A mailbox in some mount, mostly; or a mount, or something bad. */
static const char *pick_path(char *path, uint8_t where, uint8_t which)
{
	char name[MBOX_NAME_MAX + 2];
	size_t len = pool_name(which % NAMES, name);

	name[len] = '\0';
	if (where < 176)
		snprintf(path, PATH_SIZE, "%s/%s", BOX, name);
	else if (where < 208)
		snprintf(path, PATH_SIZE, "%s/%s", places[where & 1], name);
	else if (where < 240)
		snprintf(path, PATH_SIZE, "%s", places[2 + (where & 1)]);
	else if (where < 248)
		snprintf(path, PATH_SIZE, "%s", where & 1 ? BOX : places[which & 1]);
	else if (where < 252)
		snprintf(path, PATH_SIZE, "%s/%s%c", BOX, name, '\xff');
	else
		snprintf(path, PATH_SIZE, "%s/%s/%s", BOX, name, where & 1 ? "." : "..");
	return path;
}

/* ---- opening ------------------------------------------------------------ */

static int pick_oflags(uint8_t b, uint8_t other)
{
	static const int modes[] = { O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	static const int others[] = {
		O_PATH, O_DIRECT, O_TRUNC, O_APPEND, O_DIRECTORY, O_ASYNC, O_NOFOLLOW,
		O_NOATIME, O_TMPFILE, O_ACCMODE, O_SYNC, O_PATH | O_NOFOLLOW,
	};
	int flags = modes[b & 3];

	if (b & 4)
		flags |= O_NONBLOCK;
	if (b & 8)
		flags |= O_CREAT;
	if ((b & 0x30) == 0x30)
		flags |= O_EXCL;
	if (other >= 192)
		flags |= others[other % ARRAY_SIZE(others)];
	return flags | O_CLOEXEC;
}

long op_fs_open(struct worker *l, const struct op *op)
{
	int flags = pick_oflags(op->a[2], op->a[3]), fd;
	char path[PATH_SIZE];
	struct stat st;

	fd = open(pick_path(path, op->a[1], op->a[4]), flags, op->a[5] & 1 ? 0666 : 0600);
	if (fd < 0)
		return result(fd);
	/* A handle: what is opened is no other FIFO. */
	if (!(flags & O_PATH) && !fstat(fd, &st) && S_ISFIFO(st.st_mode))
		slot_put(op->a[0], fd);
	else
		close(fd);
	return 0;
}

/* ---- names -------------------------------------------------------------- */

long op_fs_name(struct worker *l, const struct op *op)
{
	static const unsigned int flags[] = {
		0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT, 1 << 30,
	};
	static const mode_t types[] = {
		S_IFIFO, S_IFIFO, S_IFIFO, S_IFREG, S_IFSOCK, S_IFCHR, S_IFBLK, 0,
	};
	char path[PATH_SIZE], to[PATH_SIZE];

	pick_path(path, op->a[0], op->a[1]);
	pick_path(to, op->a[2], op->a[3]);
	switch (op->a[4] & 15) {
	case 0 ... 3:
		return result(mknod(path, types[op->a[5] & 7] | (op->a[6] & 1 ? 0666 : 0600),
				    0));
	case 4 ... 6:
		return result(unlink(path));
	case 7 ... 11:
		return result(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, to,
				      flags[op->a[5] % ARRAY_SIZE(flags)]));
	case 12:
		return result(link(path, to));
	case 13:
		return result(symlink(path, to));
	case 14:
		return result(mkdir(path, 0777));
	case 15:
		return result(rmdir(path));
	}
	return 0;
}

/* ---- attributes --------------------------------------------------------- */

/* A list, mostly a good one, as the value of an attribute. Return its length. */
static size_t make_list(struct posix_acl_xattr_header *list, const struct op *op)
{
	static const uint16_t tags[] = {
		ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER,
	};
	struct posix_acl_xattr_entry *entry = (void *)(list + 1);
	unsigned int i, n = 0;

	list->a_version = htole32(op->a[6] >= 248 ? op->a[6] & 3 : POSIX_ACL_XATTR_VERSION);
	for (i = 0; i < ARRAY_SIZE(tags); i++) {
		/* Some are left out: the rest may be invalid then. */
		if (op->a[5] >= 224 && op->a[6] & 1 << i)
			continue;
		entry[n].e_tag = htole16(tags[i]);
		entry[n].e_perm = htole16(op->a[5] >> (i & 3) & 7);
		entry[n++].e_id = htole32(job_user(op->a[6] + i));
	}
	/* More users than a list may have, or nearly. */
	for (i = 0; op->a[7] >= 240 && i < 56U + (op->a[7] & 15); i++) {
		entry[n].e_tag = htole16(ACL_USER);
		entry[n].e_perm = htole16(6);
		entry[n++].e_id = htole32(5000 + i);
	}
	return sizeof(*list) + n * sizeof(*entry);
}

static long try_list(const char *path, const struct op *op)
{
	static const char *const names[] = {
		"system.posix_acl_access", "system.posix_acl_access",
		"system.posix_acl_default", "security.fuzz", "trusted.fuzz", "user.fuzz",
	};
	const char *name = names[op->a[4] % ARRAY_SIZE(names)];
	uint8_t buf[1024] __attribute__((aligned(8)));
	size_t len;
	long ret;

	switch (op->a[3] >> 4 & 3) {
	case 0 ... 1:
		len = make_list((void *)buf, op);
		ret = setxattr(path, name, buf, len, op->a[3] >= 240 ? op->a[7] & 3 : 0);
		/* The directory keeps nothing, so that programs do not depend on others. */
		if (!ret && op->a[4] % ARRAY_SIZE(names) == 2)
			removexattr(path, name);
		break;
	case 2:
		ret = op->a[5] & 1 ? getxattr(path, name, buf, op->a[6]) :
				     listxattr(path, (char *)buf, op->a[6]);
		break;
	default:
		ret = removexattr(path, name);
	}
	return result(ret);
}

static long try_stat(const char *path)
{
	struct statfs fs;
	struct stat st;

	if (lstat(path, &st))
		return result(-1);
	if (strncmp(path, BOX "/", sizeof(BOX)) || statfs(path, &fs))
		return 0;
	if (fs.f_type != FS_MAGIC)
		broken("%s is of file system %#lx", path, (long)fs.f_type);
	return 0;
}

long op_fs_attr(struct worker *l, const struct op *op)
{
	static const mode_t modes[] = { 0666, 0600, 0640, 0, 0777, 06755, 01777, 0444 };
	struct timespec times[2] = { { .tv_sec = op->a[5] }, { .tv_nsec = UTIME_OMIT } };
	char path[PATH_SIZE];

	/* The directory is not changed for programs to come. */
	pick_path(path, op->a[0] % 240, op->a[1]);
	switch (op->a[3] & 15) {
	case 0 ... 2:
		return result(chmod(path, modes[op->a[4] & 7]));
	case 3 ... 4:
		return result(chown(path, op->a[4] & 1 ? -1 : (int)job_user(op->a[5]),
				    op->a[4] & 2 ? -1 : (int)job_user(op->a[6])));
	case 5 ... 9:
		return try_list(op->a[2] >= 224 ? BOX : path, op);
	case 10 ... 11:
		return try_stat(path);
	case 12:
		return result(utimensat(AT_FDCWD, path, times, 0));
	case 13:
		return result(truncate(path, op->a[4]));
	default:
		return result(syscall(SYS_faccessat2, AT_FDCWD, path, op->a[4] & 7,
				      op->a[5] & 1 ? AT_EACCESS : 0));
	}
}

/* ---- the directory ------------------------------------------------------ */

struct found {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* Nothing but mailboxes is there. */
static void check_found(const struct found *f)
{
	if (strcmp(f->name, ".") && strcmp(f->name, "..") && (f->type != DT_FIFO || !f->ino))
		broken("the directory has %s, type %u, number %llu", f->name, f->type,
		       LLU(f->ino));
}

/* While others create and remove: it comes to an end. */
static long read_dir(const char *path, uint8_t how)
{
	uint8_t buf[1024] __attribute__((aligned(8)));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	unsigned int i;
	long n = 0, at;
	bool ours;

	if (fd < 0)
		return result(fd);
	ours = !fstatfs(fd, &fs) && fs.f_type == FS_MAGIC;
	for (i = 0; i < 64; i++) {
		n = syscall(SYS_getdents64, fd, buf, 40 + (how & 3) * 300);
		if (n <= 0)
			break;
		for (at = 0; ours && at < n; at += ((struct found *)(buf + at))->len)
			check_found((struct found *)(buf + at));
		/* Back, or to some other place. */
		if (how & 16)
			lseek(fd, how & 32 ? how : 2, how & 64 ? SEEK_CUR : SEEK_SET);
	}
	close(fd);
	return result(n);
}

long op_fs_dir(struct worker *l, const struct op *op)
{
	char text[512];
	ssize_t len;
	int fd;

	if (op->a[1] < 224)
		return read_dir(op->a[0] < 192 ? BOX : places[op->a[0] & 1], op->a[2]);
	/* The options, as mount(8) shows them. */
	fd = open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return result(fd);
	do {
		len = read(fd, text, sizeof(text));
	} while (len > 0);
	close(fd);
	return result(len);
}

/* ---- mounts ------------------------------------------------------------- */

long op_fs_mount(struct worker *l, const struct op *op)
{
	static const char *const options[] = {
		NULL, NULL, "mode=1777", "mode=1755", "uid=1001,gid=1001", "mode=77777",
		"uid=-1", "nonsense",
	};
	const char *place = places[op->a[0] % PLACES], *folder = places[op->a[0] & 1];
	unsigned long flags = op->a[3] & 1 ? MS_RDONLY : 0;
	const char *option = options[op->a[4] & 7];
	char from[PATH_SIZE];

	pick_path(from, op->a[1], op->a[2]);
	switch (op->a[5] & 15) {
	case 0 ... 3:
		return result(mount("mbox", folder, "mbox", flags, option));
	case 4 ... 6:
		return result(mount(from, place, NULL, MS_BIND, NULL));
	case 7:
		/* What was opened on the module's own mount is not bound. */
		snprintf(from, sizeof(from), "/proc/self/fd/%d", slot_fd(op->a[1]));
		return result(mount(from, place, NULL, MS_BIND, NULL));
	case 8 ... 9:
		return result(mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | flags, NULL));
	case 10:
		return result(mount(NULL, folder, NULL, MS_REMOUNT | flags, option));
	case 11:
		return result(mount(place, folder, NULL, MS_MOVE, NULL));
	default:
		return result(umount2(place, op->a[3] & 1 ? MNT_DETACH : 0));
	}
}
