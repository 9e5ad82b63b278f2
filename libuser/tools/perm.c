// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl chmod and chown: who may use a mailbox. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attr.h"
#include "common.h"

/* A path needs no handle, and so no right on the mailbox. */
static bool change_path(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	bool ok = true;
	int fd;

	fd = open_mailbox_path(path);
	if (fd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (mode == (mode_t)-1 && chown(link, uid, gid) < 0) {
		print_perror("cannot change the owner of '%s'", path);
		ok = false;
	} else if (mode != (mode_t)-1 && chmod(link, mode) < 0) {
		print_perror("cannot change the mode of '%s'", path);
		ok = false;
	}
	close(fd);

	return ok;
}

/* Change the mode or, if that is -1, the owner. */
static bool change_one(const char *text, uid_t uid, gid_t gid, mode_t mode)
{
	struct target target;
	bool ok = true;
	struct mbox *mb;

	if (!parse_target(text, &target))
		return false;
	if (target.name && strchr(target.name, '/'))
		return change_path(target.name, uid, gid, mode);

	mb = open_target_anyhow(&target);
	if (!mb) {
		print_perror("cannot open '%s'", text);
		return false;
	}
	if (mbox_set_perm(mb, uid, gid, mode) < 0) {
		print_perror("cannot change the %s of '%s'", mode == (mode_t)-1 ? "owner" : "mode",
			     text);
		ok = false;
	}
	mbox_close(mb);

	return ok;
}

static int change_all(int argc, char **argv, uid_t uid, gid_t gid, mode_t mode)
{
	int i, status = EXIT_OK;

	for (i = optind + 1; i < argc; i++) {
		if (!change_one(argv[i], uid, gid, mode))
			status = EXIT_FAILED;
	}

	return status;
}

static int run_chmod(int argc, char **argv)
{
	uint32_t mode;
	int status;

	status = parse_options(&chmod_command, argc, argv, NULL);
	if (status >= 0)
		return status;

	if (argc - optind < 2)
		return usage_error("a mode and a mailbox are needed");
	if (!parse_mode(argv[optind], &mode))
		return usage_try_help();

	return change_all(argc, argv, -1, -1, mode);
}

const struct command chmod_command = {
	.name = "chmod",
	.operands = "MODE MAILBOX...",
	.summary = "change the permission bits of mailboxes",
	.about = "Change the permission bits of mailboxes that you own. MODE is octal. Read\n"
		 "permission is the right to receive, write permission the right to send. Open\n"
		 "handles keep their rights.\n",
	.run = run_chmod,
};

static int run_chown(int argc, char **argv)
{
	struct wish wish = WISH_INIT;
	int status;

	status = parse_options(&chown_command, argc, argv, NULL);
	if (status >= 0)
		return status;

	if (argc - optind < 2)
		return usage_error("an owner and a mailbox are needed");
	if (!parse_owner(argv[optind], &wish))
		return usage_try_help();

	return change_all(argc, argv, wish.uid, wish.gid, -1);
}

const struct command chown_command = {
	.name = "chown",
	.operands = "OWNER MAILBOX...",
	.summary = "change the owner of mailboxes",
	.about = "Change the owner and the group of mailboxes. OWNER is USER, USER:GROUP or\n"
		 ":GROUP, by names or numbers.\n",
	.run = run_chown,
};
