// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl create, set-capacity, unlink and rm: whole mailboxes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "attr.h"
#include "common.h"

enum {
	OPT_FIXED = OPT_FIRST,
	OPT_DROP_OLDEST,
	OPT_DROP_NEWEST,
	OPT_FAIR,
	OPT_BROADCAST,
	OPT_HANGUP,
	OPT_INHERIT,
	OPT_LEAF,
	OPT_ALLOW_WAIT,
	OPT_RING,
	OPT_ONE_SENDER,
	OPT_ONE_RECEIVER,
	OPT_HISTORY,
	OPT_MAX_BYTES,
	OPT_DELIVERIES,
	OPT_DEAD_LETTER,
};

/**
 * struct create_job - what is created, and how
 * @wish: attributes of each mailbox
 * @oflags: how it is opened: without a right, so that it is as if no process had
 *	opened it; the handle is closed at once
 * @letters: the mailbox for dead letters, or NULL
 */
struct create_job {
	struct wish wish;
	int oflags;
	const char *letters;
};

/* The flag of an option, or 0. */
static uint32_t flag_of_option(int id)
{
	switch (id) {
	case OPT_FIXED:
		return MBOX_FIXED;
	case OPT_DROP_OLDEST:
		return MBOX_DROP_OLDEST;
	case OPT_DROP_NEWEST:
		return MBOX_DROP_NEWEST;
	case OPT_FAIR:
		return MBOX_FAIR;
	case OPT_BROADCAST:
		return MBOX_BROADCAST;
	case OPT_HANGUP:
		return MBOX_HANGUP;
	case OPT_INHERIT:
		return MBOX_INHERIT;
	case OPT_LEAF:
		return MBOX_LEAF;
	case OPT_ALLOW_WAIT:
		return MBOX_ALLOW_WAIT;
	case OPT_ONE_SENDER:
		return MBOX_ONE_SENDER;
	case OPT_ONE_RECEIVER:
		return MBOX_ONE_RECEIVER;
	default:
		return 0;
	}
}

static bool set_create_option(void *data, int id, const char *arg)
{
	struct create_job *job = data;
	struct wish *wish = &job->wish;
	uint64_t max_bytes;

	switch (id) {
	case 'c':
		wish->given |= ATTR_CAPACITY;
		return parse_capacity(arg, &wish->attr.capacity);
	case 's':
		wish->given |= ATTR_MSG_MAX;
		return parse_u32(arg, "size", UINT32_MAX, &wish->attr.msg_max);
	case 'm':
		/* As mkfifo -m: what was asked for is what one gets. */
		umask(0);
		wish->given |= ATTR_MODE;
		return parse_mode(arg, &wish->attr.perm);
	case 'o':
		return parse_owner(arg, wish);
	case 'x':
		job->oflags |= O_EXCL;
		break;
	case OPT_HISTORY:
		return parse_u32(arg, "number", UINT32_MAX, &wish->options.history);
	case OPT_MAX_BYTES:
		if (!parse_u64(arg, "number of bytes", UINT64_MAX, &max_bytes))
			return false;
		wish->options.max_bytes = max_bytes;
		break;
	case OPT_DELIVERIES:
		return parse_u32(arg, "number of deliveries", UINT32_MAX,
				 &wish->options.max_deliveries);
	case OPT_DEAD_LETTER:
		job->letters = arg;
		break;
	case OPT_RING:
		wish->attr.mode = MBOX_RING;
		wish->given |= ATTR_KIND;
		break;
	default:
		wish->attr.flags |= flag_of_option(id);
		wish->given |= ATTR_FLAGS;
		break;
	}

	return true;
}

/* The mailbox that was there stays as it is, and the user may expect another. */
static void warn_of_differences(const struct wish *wish, const char *name, struct mbox *mb)
{
	unsigned int differ;
	struct mbox_stat st;
	char *text;

	if (mbox_stat(mb, &st) < 0)
		return;
	differ = wish_compare(wish, &st);
	if (!differ)
		return;
	text = wish_explain(wish, &st, differ);
	print_error("'%s' exists with other attributes%s%s", name, text ? ": " : "",
		    text ? text : "");
	free(text);
}

static bool create_one(const struct create_job *job, const char *text)
{
	struct target target;
	struct mbox *mb;

	if (!parse_target(text, &target))
		return false;
	if (!target.name) {
		print_error("a mailbox is created by name, not as '%s'", text);
		return false;
	}
	mb = wish_create(&job->wish, target.name, job->oflags);
	if (!mb && errno != EEXIST)
		return false;
	if (!mb) {
		mb = mbox_create(target.name, job->oflags, &job->wish.attr);
		/* To open what exists, one right is enough. */
		if (!mb && errno == EACCES)
			mb = mbox_create(target.name, O_RDONLY | O_CLOEXEC, &job->wish.attr);
		if (!mb) {
			print_perror("cannot create '%s'", target.name);
			return false;
		}
		warn_of_differences(&job->wish, target.name, mb);
	}
	mbox_close(mb);

	return true;
}

/* The mailbox for dead letters, which the new ones are to name, or NULL. */
static struct mbox *open_letters(struct create_job *job)
{
	struct target target;
	struct mbox *mb;

	if (!parse_target(job->letters, &target))
		return NULL;
	mb = open_target(&target, O_WRONLY | O_CLOEXEC);
	if (!mb)
		print_perror("cannot open '%s'", job->letters);
	else
		job->wish.options.dead_letter = mbox_fd(mb);

	return mb;
}

static int run_create(int argc, char **argv)
{
	struct create_job job = { .wish = WISH_INIT, .oflags = CREATE_OFLAGS };
	struct mbox *letters = NULL;
	const char *conflict;
	int status;

	status = parse_options(&create_command, argc, argv, &job);
	if (status >= 0)
		return status;

	if (optind == argc)
		return usage_error("no name given");
	conflict = attr_conflict(&job.wish.attr);
	if (conflict)
		return usage_error("%s", conflict);
	if (job.letters && !job.wish.options.max_deliveries)
		return usage_error("--dead-letter needs --deliveries");
	if (job.letters) {
		letters = open_letters(&job);
		if (!letters)
			return EXIT_FAILED;
	}

	status = EXIT_OK;
	for (; optind < argc; optind++) {
		if (!create_one(&job, argv[optind]))
			status = EXIT_FAILED;
	}
	if (letters)
		mbox_close(letters);

	return status;
}

const struct command create_command = {
	.name = "create",
	.operands = "NAME...",
	.summary = "create mailboxes",
	.about = "Create mailboxes. If a name exists already, its mailbox stays as it is, and a\n"
		 "warning says how it differs from what the options ask for.\n",
	.options = {
		{ 'c', "capacity", "CAPACITY",
		  "number of messages that the mailbox holds, or\n"
		  "'unbounded'; with 0, a send waits until a receiver\n"
		  "takes the message (default 64)" },
		{ 's', "msg-max", "BYTES", "size of the largest message (default 8192)" },
		{ 'm', "mode", "MODE",
		  "permission bits in octal; the umask is not applied\n"
		  "(default 0600)" },
		{ 'o', "owner", "OWNER",
		  "USER, USER:GROUP or :GROUP, by names or numbers" },
		{ 'x', "exclusive", NULL, "fail if NAME exists" },
		{ OPT_FIXED, "fixed", NULL, "every message has exactly the largest size" },
		{ OPT_DROP_OLDEST, "drop-oldest", NULL,
		  "a send to the full mailbox drops the oldest message" },
		{ OPT_DROP_NEWEST, "drop-newest", NULL,
		  "a send to the full mailbox drops its own message" },
		{ OPT_FAIR, "fair", NULL,
		  "a user can fill at most half of the room that other\n"
		  "users leave" },
		{ OPT_BROADCAST, "broadcast", NULL, "every receiver gets every message" },
		{ OPT_ALLOW_WAIT, "allow-wait", NULL,
		  "a receiver may have senders wait for it (with\n"
		  "--broadcast --drop-oldest)" },
		{ OPT_HANGUP, "hangup", NULL,
		  "calls fail once the last handle of the other side is\n"
		  "closed" },
		{ OPT_INHERIT, "inherit", NULL,
		  "a server has the real-time priority of its caller\n"
		  "until it replies" },
		{ OPT_LEAF, "leaf", NULL,
		  "carry no descriptors, so that handles can be sent in\n"
		  "messages" },
		{ OPT_RING, "ring", NULL,
		  "keep messages in memory that senders and receivers\n"
		  "share" },
		{ OPT_ONE_SENDER, "one-sender", NULL,
		  "let one process at a time send (with --ring)" },
		{ OPT_ONE_RECEIVER, "one-receiver", NULL,
		  "let one process at a time receive (with --ring)" },
		{ OPT_HISTORY, "history", "COUNT",
		  "messages that a receiver that comes later gets first\n"
		  "(with --broadcast)" },
		{ OPT_MAX_BYTES, "max-bytes", "BYTES",
		  "most bytes of all messages in the mailbox together" },
		{ OPT_DELIVERIES, "deliveries", "COUNT",
		  "drop a message that comes back after so many\n"
		  "deliveries on lease" },
		{ OPT_DEAD_LETTER, "dead-letter", "NAME",
		  "send it to this mailbox instead (with --deliveries)" },
	},
	.set = set_create_option,
	.run = run_create,
};

static int run_set_capacity(int argc, char **argv)
{
	struct target target;
	uint32_t capacity;
	struct mbox *mb;
	int status;

	status = parse_options(&set_capacity_command, argc, argv, NULL);
	if (status >= 0)
		return status;

	if (argc - optind != 2)
		return usage_error("a mailbox and a capacity are needed");
	if (!parse_target(argv[optind], &target) ||
	    !parse_capacity(argv[optind + 1], &capacity))
		return usage_try_help();

	mb = open_target_anyhow(&target);
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

const struct command set_capacity_command = {
	.name = "set-capacity",
	.operands = "MAILBOX CAPACITY",
	.summary = "change the capacity of a mailbox",
	.about = "Change the capacity of a mailbox that you own, also while it is in use.\n"
		 "CAPACITY is a number of messages, or 'unbounded'. With 0, a send waits until a\n"
		 "receiver takes the message. If more messages are queued than CAPACITY, they\n"
		 "stay.\n",
	.run = run_set_capacity,
};

/**
 * struct expel_job - what mboxctl expel does
 * @reader: number of the handle; 0: the slowest
 * @unread: only if it has so many messages to receive
 * @flags: of mbox_expel()
 */
struct expel_job {
	uint64_t reader;
	uint64_t unread;
	unsigned int flags;
};

static bool set_expel_option(void *data, int id, const char *arg)
{
	struct expel_job *job = data;

	switch (id) {
	case 'n':
		job->flags |= MBOX_EXPEL_LOOK;
		return true;
	case 'r':
		if (!parse_u64(arg, "reader", UINT64_MAX, &job->reader))
			return false;
		if (job->reader)
			return true;
		print_error("the first reader has number 1");
		return false;
	case 'u':
		return parse_u64(arg, "number of messages", UINT64_MAX, &job->unread);
	}

	return true;
}

static int run_expel(int argc, char **argv)
{
	struct expel_job job = { 0 };
	struct target target;
	struct mbox *mb;
	int status;

	status = parse_options(&expel_command, argc, argv, &job);
	if (status >= 0)
		return status;

	if (argc - optind != 1)
		return usage_error("a mailbox is needed");
	if (!parse_target(argv[optind], &target))
		return usage_try_help();

	mb = open_target_anyhow(&target);
	if (!mb) {
		print_perror("cannot open '%s'", argv[optind]);
		return EXIT_FAILED;
	}

	status = EXIT_OK;
	if (mbox_expel(mb, &job.reader, &job.unread, job.flags) < 0) {
		print_perror("cannot expel a reader of '%s'", argv[optind]);
		status = EXIT_FAILED;
	} else {
		printf("%" PRIu64 " %" PRIu64 "\n", job.reader, job.unread);
	}
	mbox_close(mb);

	return status;
}

const struct command expel_command = {
	.name = "expel",
	.operands = "MAILBOX",
	.summary = "end the receiving of a slow reader of broadcasts",
	.about = "End the receiving of a handle of a broadcast mailbox that you own: of the one\n"
		 "that has the most messages to receive, and for which senders wait. Print its\n"
		 "number, as 'mboxctl who' does, and how many messages it had to receive.\n",
	.options = {
		{ 'n', "dry-run", NULL, "expel none, only print" },
		{ 'r', "reader", "NUMBER", "this one instead of the slowest" },
		{ 'u', "unread", "COUNT", "only if it has so many messages to receive" },
	},
	.set = set_expel_option,
	.run = run_expel,
};

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

/* Apply @remove_one to each operand. */
static int remove_all(int argc, char **argv, bool (*remove_one)(const char *text))
{
	int status = EXIT_OK;

	if (optind == argc)
		return usage_error("no name given");

	for (; optind < argc; optind++) {
		if (!remove_one(argv[optind]))
			status = EXIT_FAILED;
	}

	return status;
}

static int run_unlink(int argc, char **argv)
{
	int status;

	status = parse_options(&unlink_command, argc, argv, NULL);
	if (status >= 0)
		return status;

	return remove_all(argc, argv, unlink_one);
}

const struct command unlink_command = {
	.name = "unlink",
	.operands = "MAILBOX...",
	.summary = "remove the names of mailboxes",
	.about = "Remove the names of mailboxes. A process that has the mailbox open can go on\n"
		 "using it. The mailbox ends when its last handle is closed.\n",
	.run = run_unlink,
};

static bool set_rm_option(void *data, int id, const char *arg)
{
	bool *destroy = data;

	(void)arg;
	if (id == 'D')
		*destroy = true;

	return true;
}

static int run_rm(int argc, char **argv)
{
	bool destroy = false;
	int status;

	status = parse_options(&rm_command, argc, argv, &destroy);
	if (status >= 0)
		return status;

	return remove_all(argc, argv, destroy ? destroy_one : unlink_one);
}

const struct command rm_command = {
	.name = "rm",
	.operands = "MAILBOX...",
	.summary = "remove the names of mailboxes, or destroy them",
	.about = "Remove the names of mailboxes, as mboxctl unlink does, or destroy the\n"
		 "mailboxes.\n",
	.options = {
		{ 'D', "destroy", NULL,
		  "destroy the mailboxes: their messages are dropped, and calls\n"
		  "that wait on them fail" },
	},
	.set = set_rm_option,
	.run = run_rm,
};
