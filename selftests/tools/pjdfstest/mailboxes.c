// SPDX-License-Identifier: GPL-2.0-only
/*
 * Put a directory of mailboxes where pjdfstest creates files. Its main() is called
 * after this one, which has the same arguments: "mkfifo name 0644".
 *
 * The tests make folders, and files in them. A folder in which the first file is going
 * to be made becomes a mount of mboxfs, with owner and mode of the folder. Each has a
 * network namespace of its own, and so an instance of its own.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define MBOXFS		0x6d626f78
#define TMPFS		0x01021994
/* Files on which namespaces are mounted, so that they stay. */
#define NAMESPACES	"/tmp/pjdfstest-ns"

int pjdfstest_main(int argc, char *argv[]);

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return false;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n == 2;
}

static bool is_on(const char *path, long magic)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == magic;
}

static void mount_mailboxes(const char *path, const struct stat *st)
{
	char options[80], ns[80];

	snprintf(options, sizeof(options), "mode=%o,uid=%u,gid=%u", st->st_mode & 07777,
		 st->st_uid, st->st_gid);
	snprintf(ns, sizeof(ns), "%s/%d", NAMESPACES, getpid());
	mkdir(NAMESPACES, 0700);
	close(open(ns, O_CREAT | O_WRONLY, 0600));
	if (unshare(CLONE_NEWNET) || mount("/proc/self/ns/net", ns, NULL, MS_BIND, NULL) ||
	    mount("mbox", path, "mbox", 0, options))
		err(1, "%s", path);
}

/* A file is going to be made at this path. */
static void prepare_folder(const char *file)
{
	char copy[PATH_MAX], *path;
	struct stat st;
	pid_t pid;

	if (strlen(file) >= sizeof(copy))
		return;
	path = dirname(strcpy(copy, file));
	if (stat(path, &st) || !is_on(path, TMPFS) || !is_empty(path))
		return;
	pid = fork();
	if (!pid) {
		mount_mailboxes(path, &st);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* Into what has been mounted on the current folder since the shell entered it. */
static void enter_again(void)
{
	char cwd[PATH_MAX];

	if (!getcwd(cwd, sizeof(cwd)) || chdir(cwd))
		err(1, "chdir");
}

static bool makes_file(char **words)
{
	static const char *const makers[] = { "create", "mkfifo", "mknod" };
	size_t i;

	for (i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (!strcmp(words[0], makers[i]))
			return true;
	return !strcmp(words[0], "open") && words[2] && strstr(words[2], "O_CREAT");
}

int main(int argc, char *argv[])
{
	int i;

	enter_again();
	for (i = 1; i + 1 < argc; i++) {
		if (makes_file(argv + i))
			prepare_folder(argv[i + 1]);
		else if (!strcmp(argv[i], "rmdir") && is_on(argv[i + 1], MBOXFS) &&
			 is_empty(argv[i + 1]))
			umount2(argv[i + 1], MNT_DETACH);
	}
	enter_again();
	return pjdfstest_main(argc, argv);
}
