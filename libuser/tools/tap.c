// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl tap: the messages of a broadcast mailbox, one a line. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common.h"
#include "text.h"

enum {
	OPT_WAIT_FOR_ME = OPT_FIRST,
	OPT_DROP_FOR_ME,
};

/**
 * struct tap_job - what is shown
 * @count: how many messages; 0: without end
 * @timeout_ns: how long to wait for each
 * @timed: @timeout_ns counts
 * @policy: what senders do when this falls behind
 */
struct tap_job {
	uint64_t count;
	uint64_t timeout_ns;
	bool timed;
	unsigned int policy;
};

/* The text ends at a NUL, so what is behind it is printed by itself. */
static void print_payload(const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		text_print(stdout, data + done);
		done += strlen(data + done);
		if (done < len) {
			printf("\\x00");
			done++;
		}
	}
}

static void print_message(const struct mbox_msg *msg, const char *data)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (msg->flags & MBOX_LOST)
		print_error("%" PRIu64 " messages were lost", (uint64_t)msg->lost);
	printf("%" PRIu64 ".%06ld pid=%" PRIu32 " uid=%" PRIu32 " prio=%" PRIu32 " type=%" PRIu64
	       " len=%" PRIu32 " ", (uint64_t)now.tv_sec, now.tv_nsec / 1000, msg->pid, msg->uid,
	       msg->prio, (uint64_t)msg->type, msg->len);
	print_payload(data, msg->len);
	putchar('\n');
	fflush(stdout);
}

static int tap(const struct tap_job *job, struct mbox *mb, const char *mailbox, uint32_t size)
{
	char *data = malloc((size_t)size + 1);
	struct mbox_msg msg;
	int status = EXIT_OK;
	uint64_t i;
	ssize_t len;

	for (i = 0; data && !ferror(stdout) && (!job->count || i < job->count); i++) {
		msg = (struct mbox_msg){ .buf = (uintptr_t)data, .len = size };
		if (job->timed)
			msg.deadline_ns = deadline_after(job->timeout_ns);
		len = mbox_recvmsg(mb, &msg);
		if (len < 0 && errno == EPIPE)
			break;
		if (len < 0) {
			status = errno == ETIMEDOUT ? EXIT_TIMEOUT : EXIT_FAILED;
			print_perror("cannot receive from '%s'", mailbox);
			break;
		}
		data[len] = '\0';
		print_message(&msg, data);
	}
	if (!data) {
		print_perror("cannot receive from '%s'", mailbox);
		status = EXIT_FAILED;
	}
	free(data);

	return status;
}

static bool set_option(void *data, int id, const char *arg)
{
	struct tap_job *job = data;

	switch (id) {
	case 'n':
		return parse_u64(arg, "count", UINT64_MAX, &job->count);
	case 'T':
		job->timed = true;
		return parse_seconds(arg, &job->timeout_ns);
	case OPT_WAIT_FOR_ME:
		job->policy = MBOX_READER_WAIT;
		break;
	case OPT_DROP_FOR_ME:
		job->policy = MBOX_READER_DROP;
		break;
	}

	return true;
}

static int run_tap(int argc, char **argv)
{
	struct tap_job job = { 0 };
	struct target target;
	struct mbox_stat st;
	struct mbox *mb;
	int status;

	status = parse_options(&tap_command, argc, argv, &job);
	if (status >= 0)
		return status;
	if (optind + 1 != argc)
		return usage_error(optind == argc ? "no mailbox given" : "more than one mailbox");
	if (!parse_target(argv[optind], &target))
		return usage_try_help();

	mb = open_target(&target, O_RDONLY | O_CLOEXEC);
	if (!mb || mbox_stat(mb, &st) < 0) {
		print_perror("cannot open '%s'", argv[optind]);
		status = EXIT_FAILED;
	} else if (!(st.attr.flags & MBOX_BROADCAST)) {
		/* A receive would take the message from its receiver. */
		print_error("'%s' is not a broadcast mailbox", argv[optind]);
		status = EXIT_FAILED;
	} else if (!set_reader(mb, job.policy, argv[optind])) {
		status = EXIT_FAILED;
	} else {
		status = tap(&job, mb, argv[optind], st.attr.msg_max);
	}
	if (mb)
		mbox_close(mb);

	return status;
}

const struct command tap_command = {
	.name = "tap",
	.operands = "MAILBOX",
	.summary = "show the messages of a broadcast mailbox",
	.about = "Show each message of a broadcast mailbox on a line, with its time and sender.\n"
		 "What is not printable is escaped. The command is one of the receivers: unless\n"
		 "the mailbox drops messages, its senders wait for the command (--drop-for-me).\n",
	.options = {
		{ 'n', "count", "COUNT", "end after that many messages (default: never)" },
		{ 'T', "timeout", "SECONDS", "wait at most that long for each message" },
		{ OPT_WAIT_FOR_ME, "wait-for-me", NULL,
		  "senders wait when this command falls behind, if the\n"
		  "mailbox allows it" },
		{ OPT_DROP_FOR_ME, "drop-for-me", NULL,
		  "never make senders wait: lose the oldest messages\n"
		  "instead" },
	},
	.set = set_option,
	.run = run_tap,
};
