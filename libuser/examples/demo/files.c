// SPDX-License-Identifier: GPL-2.0-only
/* A mailbox is a file: what the shell does with one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "demo.h"

/* Where packages mount the file system. */
#define MOUNTED "/dev/mailbox"

/* Runs a command with @dir as its working directory, and shows it and what it prints. */
static void shell(const char *dir, const char *command, const char *expected)
{
	char line[256], text[512], last[256] = "";
	FILE *output;

	saw("$ %s", command);
	snprintf(text, sizeof(text), "cd '%s' && %s", dir, command);
	output = popen(text, "r");
	CHECK(output);
	while (fgets(line, sizeof(line), output)) {
		line[strcspn(line, "\n")] = '\0';
		saw("%s", line);
		strcpy(last, line);
	}
	CHECK(pclose(output) == 0);
	CHECK(strstr(last, expected));
}

/* A mounted instance, in @dir; false: there is none, and the caller may not mount one. */
static bool mount_instance(char *dir, bool *mounted)
{
	struct statfs other, own;

	CHECK(mkdtemp(dir));
	*mounted = mount("mbox", dir, "mbox", 0, NULL) == 0;
	if (*mounted)
		return true;
	rmdir(dir);
	/* Something is mounted there, and not what /dev itself is. */
	if (statfs(MOUNTED, &own) < 0 || statfs("/dev", &other) < 0 || own.f_type == other.f_type)
		return false;
	strcpy(dir, MOUNTED);

	return true;
}

void show_files(void)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	char dir[] = "/tmp/mbox-demo-XXXXXX", name[32], command[100];
	struct mbox *mb;
	bool mounted;

	step("A mailbox is a file: owner, mode, and the tools of the shell.",
	     "A script needs no library, and permissions are what everybody knows.");

	if (!mount_instance(dir, &mounted)) {
		saw("left out: not root, and nothing is mounted at " MOUNTED);
		return;
	}
	/*
	 * A reader comes to the end when the last sender has gone. A handle without rights is
	 * neither.
	 */
	attr.flags = MBOX_HANGUP;
	snprintf(name, sizeof(name), "demo-%d", getpid());
	mb = mbox_create(name, O_ACCMODE | O_EXCL, &attr);
	CHECK(mb);
	mbox_close(mb);
	snprintf(command, sizeof(command), "echo hello, shell >%s", name);
	shell(dir, command, "");
	snprintf(command, sizeof(command), "chmod 640 %s && ls -l %s", name, name);
	shell(dir, command, name);
	snprintf(command, sizeof(command), "cat %s", name);
	shell(dir, command, "hello, shell");
	snprintf(command, sizeof(command), "rm %s", name);
	shell(dir, command, "");
	CHECK(!mbox_open(name, O_RDONLY) && errno == ENOENT);
	if (mounted) {
		CHECK(umount(dir) == 0);
		rmdir(dir);
	}
}
