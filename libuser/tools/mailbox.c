// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl create, set-capacity, unlink and rm: whole mailboxes. */
#include <errno.h>
#include <sys/stat.h>

#include "common.h"

static void create_help(void)
{
	printf("Usage: mboxctl create [OPTIONS] NAME...\n");
	printf("\n");
	printf("Create mailboxes. One that exists already stays as it is.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -c, --capacity N     hold N messages, 'unbounded' many, or 0: a sender waits\n");
	printf("                       for the receiver (default 64)\n");
	printf("  -s, --msg-max BYTES  largest message (default 8192)\n");
	printf("  -m, --mode MODE      permission bits in octal, whatever the umask\n");
	printf("                       (default 0600)\n");
	printf("  -x, --exclusive      fail if the name exists\n");
	printf("      --fixed          every message has exactly the largest size\n");
	printf("      --drop-oldest    a full mailbox drops its oldest message\n");
	printf("      --drop-newest    a full mailbox drops the new message\n");
	printf("      --fair           a user has at most half of the room that others leave\n");
	printf("      --broadcast      every receiver gets every message\n");
	printf("      --hangup         end of file when the other side has no handle left\n");
	printf("      --inherit        servers have the real-time priority of their callers\n");
	printf("      --ring           keep messages in memory that senders and receivers share\n");
	printf("      --one-sender     a ring that one process at a time sends to\n");
	printf("      --one-receiver   a ring that one process at a time receives from\n");
	printf("  -h, --help           display this help and exit\n");
	printf("  -v, --version        output version information and exit\n");
}

static bool parse_mode(const char *text, uint32_t *perm)
{
	uint32_t mode = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '7' && mode <= 0777; p++)
		mode = mode * 8 + (*p - '0');

	if (p == text || *p || mode > 0777) {
		print_error("invalid mode: '%s'", text);
		return false;
	}
	*perm = mode;

	return true;
}

int cmd_create(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "capacity", required_argument, NULL, 'c' },
		{ "msg-max", required_argument, NULL, 's' },
		{ "mode", required_argument, NULL, 'm' },
		{ "exclusive", no_argument, NULL, 'x' },
		{ "fixed", no_argument, NULL, OPT_FIXED },
		{ "drop-oldest", no_argument, NULL, OPT_DROP_OLDEST },
		{ "drop-newest", no_argument, NULL, OPT_DROP_NEWEST },
		{ "fair", no_argument, NULL, OPT_FAIR },
		{ "broadcast", no_argument, NULL, OPT_BROADCAST },
		{ "hangup", no_argument, NULL, OPT_HANGUP },
		{ "inherit", no_argument, NULL, OPT_INHERIT },
		{ "ring", no_argument, NULL, OPT_RING },
		{ "one-sender", no_argument, NULL, OPT_ONE_SENDER },
		{ "one-receiver", no_argument, NULL, OPT_ONE_RECEIVER },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct mbox_attr attr = MBOX_ATTR_INIT;
	int opt, status = EXIT_OK;
	/* The least that a handle can be; it is closed at once. */
	int oflags = O_RDONLY | O_CLOEXEC;
	struct target target;
	struct mbox *mb;

	for (;;) {
		opt = getopt_long(argc, argv, "c:s:m:xhv", longopts, NULL);
		if (opt < 0)
			break;

		switch (opt) {
		case 'c':
			if (!parse_capacity(optarg, &attr.capacity))
				return usage_try_help();
			break;
		case 's':
			if (!parse_u32(optarg, "size", UINT32_MAX, &attr.msg_max))
				return usage_try_help();
			break;
		case 'm':
			if (!parse_mode(optarg, &attr.perm))
				return usage_try_help();
			/* As mkfifo -m: what was asked for is what one gets. */
			umask(0);
			break;
		case 'x':
			oflags |= O_EXCL;
			break;
		case OPT_FIXED:
			attr.flags |= MBOX_FIXED;
			break;
		case OPT_DROP_OLDEST:
			attr.flags |= MBOX_DROP_OLDEST;
			break;
		case OPT_DROP_NEWEST:
			attr.flags |= MBOX_DROP_NEWEST;
			break;
		case OPT_FAIR:
			attr.flags |= MBOX_FAIR;
			break;
		case OPT_BROADCAST:
			attr.flags |= MBOX_BROADCAST;
			break;
		case OPT_HANGUP:
			attr.flags |= MBOX_HANGUP;
			break;
		case OPT_INHERIT:
			attr.flags |= MBOX_INHERIT;
			break;
		case OPT_RING:
			attr.mode = MBOX_RING;
			break;
		case OPT_ONE_SENDER:
			attr.flags |= MBOX_ONE_SENDER;
			break;
		case OPT_ONE_RECEIVER:
			attr.flags |= MBOX_ONE_RECEIVER;
			break;
		case 'h':
			create_help();
			return EXIT_OK;
		case 'v':
			print_version();
			return EXIT_OK;
		default:
			return usage_try_help();
		}
	}

	if (optind == argc)
		return usage_error("no name given");
	if ((attr.flags & MBOX_DROP_OLDEST) && (attr.flags & MBOX_DROP_NEWEST))
		return usage_error("--drop-oldest and --drop-newest exclude each other");
	if (attr.mode != MBOX_RING && attr.flags & (MBOX_ONE_SENDER | MBOX_ONE_RECEIVER))
		return usage_error("--one-sender and --one-receiver need --ring");
	if (attr.mode == MBOX_RING && attr.flags & (MBOX_DROP_OLDEST | MBOX_DROP_NEWEST))
		return usage_error("a ring drops no messages");
	if (attr.mode == MBOX_RING && attr.flags & (MBOX_FAIR | MBOX_BROADCAST))
		return usage_error("--fair and --broadcast are not for rings");
	if ((attr.flags & (MBOX_FAIR | MBOX_INHERIT)) && (attr.flags & MBOX_BROADCAST))
		return usage_error("--broadcast excludes --fair and --inherit");
	if (attr.mode == MBOX_RING && attr.flags & MBOX_INHERIT)
		return usage_error("--inherit and --ring exclude each other");
	if ((attr.flags & MBOX_FAIR) && (attr.flags & (MBOX_DROP_OLDEST | MBOX_DROP_NEWEST)))
		return usage_error("--fair and the --drop options exclude each other");

	for (; optind < argc; optind++) {
		if (!parse_target(argv[optind], &target)) {
			status = EXIT_FAILED;
			continue;
		}
		if (!target.name) {
			print_error("a mailbox is created by name, not as '%s'", argv[optind]);
			status = EXIT_FAILED;
			continue;
		}
		mb = mbox_create(target.name, oflags, &attr);
		if (!mb) {
			print_perror("cannot create '%s'", target.name);
			status = EXIT_FAILED;
			continue;
		}
		mbox_close(mb);
	}

	return status;
}

static void set_capacity_help(void)
{
	printf("Usage: mboxctl set-capacity [OPTIONS] NAME CAPACITY\n");
	printf("\n");
	printf("Change the capacity of a mailbox that you own, also while it is in use.\n");
	printf("CAPACITY is a number of messages, 'unbounded', or 0: a sender waits for the\n");
	printf("receiver. Messages beyond a smaller capacity stay.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -h, --help     display this help and exit\n");
	printf("  -v, --version  output version information and exit\n");
}

/* The options of a command that has none of its own; -1: go on. */
static int parse_no_options(int argc, char **argv, void (*help)(void))
{
	static const struct option longopts[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};

	switch (getopt_long(argc, argv, "hv", longopts, NULL)) {
	case -1:
		return -1;
	case 'h':
		help();
		return EXIT_OK;
	case 'v':
		print_version();
		return EXIT_OK;
	default:
		return usage_try_help();
	}
}

int cmd_set_capacity(int argc, char **argv)
{
	struct target target;
	uint32_t capacity;
	struct mbox *mb;
	int status;

	status = parse_no_options(argc, argv, set_capacity_help);
	if (status >= 0)
		return status;

	if (argc - optind != 2)
		return usage_error("a mailbox and a capacity are needed");
	if (!parse_target(argv[optind], &target) ||
	    !parse_capacity(argv[optind + 1], &capacity))
		return usage_try_help();

	/* Any right will do: the owner may have left itself only one. */
	mb = open_target(&target, O_RDONLY | O_CLOEXEC);
	if (!mb && errno == EACCES)
		mb = open_target(&target, O_WRONLY | O_CLOEXEC);
	if (!mb) {
		print_perror("cannot open '%s'", argv[optind]);
		return EXIT_FAILED;
	}

	status = EXIT_OK;
	if (mbox_set_capacity(mb, capacity) < 0) {
		print_perror("cannot change the capacity of '%s'", argv[optind]);
		status = EXIT_FAILED;
	}
	mbox_close(mb);

	return status;
}

static bool unlink_one(const char *text)
{
	struct target target;

	if (!parse_target(text, &target))
		return false;
	if (!target.name) {
		print_error("cannot unlink '%s': a name is needed", text);
		return false;
	}
	if (mbox_unlink(target.name) < 0) {
		print_perror("cannot unlink '%s'", text);
		return false;
	}

	return true;
}

static bool destroy_one(const char *text)
{
	struct target target;
	bool done = false;
	struct mbox *mb;

	if (!parse_target(text, &target))
		return false;

	mb = open_target(&target, O_RDWR | O_CLOEXEC);
	if (!mb) {
		print_perror("cannot open '%s'", text);
		return false;
	}
	if (mbox_destroy(mb) < 0)
		print_perror("cannot destroy '%s'", text);
	else
		done = true;
	mbox_close(mb);

	return done;
}

static void unlink_help(void)
{
	printf("Usage: mboxctl unlink [OPTIONS] NAME...\n");
	printf("\n");
	printf("Take away the names of mailboxes. Who has one open can go on using it; it\n");
	printf("ends with its last handle.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -h, --help     display this help and exit\n");
	printf("  -v, --version  output version information and exit\n");
}

int cmd_unlink(int argc, char **argv)
{
	int status;

	status = parse_no_options(argc, argv, unlink_help);
	if (status >= 0)
		return status;

	if (optind == argc)
		return usage_error("no name given");

	status = EXIT_OK;
	for (; optind < argc; optind++) {
		if (!unlink_one(argv[optind]))
			status = EXIT_FAILED;
	}

	return status;
}

static void rm_help(void)
{
	printf("Usage: mboxctl rm [OPTIONS] NAME...\n");
	printf("\n");
	printf("Take away the names of mailboxes, as mboxctl unlink does, or destroy them.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -D, --destroy  end the mailbox for everybody: its messages are dropped, and\n");
	printf("                 calls that wait on it fail\n");
	printf("  -h, --help     display this help and exit\n");
	printf("  -v, --version  output version information and exit\n");
}

int cmd_rm(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "destroy", no_argument, NULL, 'D' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	bool (*remove_one)(const char *text) = unlink_one;
	int opt, status = EXIT_OK;

	for (;;) {
		opt = getopt_long(argc, argv, "Dhv", longopts, NULL);
		if (opt < 0)
			break;

		switch (opt) {
		case 'D':
			remove_one = destroy_one;
			break;
		case 'h':
			rm_help();
			return EXIT_OK;
		case 'v':
			print_version();
			return EXIT_OK;
		default:
			return usage_try_help();
		}
	}

	if (optind == argc)
		return usage_error("no name given");

	for (; optind < argc; optind++) {
		if (!remove_one(argv[optind]))
			status = EXIT_FAILED;
	}

	return status;
}
