// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl call. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "output.h"

/**
 * struct call_job - the call
 * @mb: the mailbox
 * @mailbox: the argument that says so
 * @msg_max: its longest message
 * @data: room for that much, and one byte more
 * @timeout_ns: how long to wait
 * @timed: @timeout_ns counts
 * @newline: a newline follows the reply
 */
struct call_job {
	struct mbox *mb;
	const char *mailbox;
	uint32_t msg_max;
	char *data;
	uint64_t timeout_ns;
	bool timed;
	bool newline;
};

static bool open_job(struct call_job *job)
{
	struct target target;
	struct mbox_stat st;

	if (!parse_target(job->mailbox, &target))
		return false;
	job->mb = open_target(&target, O_WRONLY | O_CLOEXEC);
	if (!job->mb) {
		print_perror("cannot open '%s'", job->mailbox);
		return false;
	}
	if (mbox_stat(job->mb, &st) == 0) {
		job->msg_max = st.attr.msg_max;
		job->data = malloc((size_t)job->msg_max + 1);
	}
	if (job->data)
		return true;
	print_perror("cannot use '%s'", job->mailbox);
	mbox_close(job->mb);

	return false;
}

static void close_job(struct call_job *job)
{
	free(job->data);
	mbox_close(job->mb);
}

static int do_call(struct call_job *job, const char *text)
{
	struct timespec deadline;
	uint64_t ns;
	ssize_t len;
	size_t n;

	/* One byte too much fails as it should. */
	if (text) {
		n = strlen(text);
	} else {
		text = job->data;
		n = fread(job->data, 1, (size_t)job->msg_max + 1, stdin);
		if (ferror(stdin)) {
			print_perror("cannot read standard input");
			return EXIT_FAILED;
		}
	}
	/* The server does its work only for a reply that has somewhere to go. */
	if (!output_ready(stdout, (size_t)job->msg_max + 1)) {
		print_perror("cannot write to standard output");
		return EXIT_FAILED;
	}
	if (job->timed) {
		ns = deadline_after(job->timeout_ns);
		deadline.tv_sec = ns / 1000000000;
		deadline.tv_nsec = ns % 1000000000;
	}

	len = mbox_call(job->mb, text, n, job->data, job->msg_max,
			job->timed ? &deadline : NULL);
	if (len < 0) {
		n = errno;
		print_perror("cannot call '%s'", job->mailbox);
		return n == ETIMEDOUT ? EXIT_TIMEOUT : EXIT_FAILED;
	}
	fwrite(job->data, 1, len, stdout);
	if (job->newline)
		putchar('\n');

	return EXIT_OK;
}

enum {
	OPT_NO_NEWLINE = OPT_FIRST,
};

static bool set_option(void *data, int id, const char *arg)
{
	struct call_job *job = data;

	switch (id) {
	case 'T':
		job->timed = true;
		return parse_seconds(arg, &job->timeout_ns);
	case 'N':
		job->newline = true;
		break;
	case OPT_NO_NEWLINE:
		job->newline = false;
		break;
	}

	return true;
}

static int run_call(int argc, char **argv)
{
	struct call_job job = { .newline = isatty(STDOUT_FILENO) };
	int status;

	status = parse_options(&call_command, argc, argv, &job);
	if (status >= 0)
		return status;

	if (optind == argc)
		return usage_error("no mailbox given");
	if (argc - optind > 2)
		return usage_error("more than one text");
	job.mailbox = argv[optind];
	if (!open_job(&job))
		return EXIT_FAILED;
	status = do_call(&job, argv[optind + 1]);
	close_job(&job);

	return status;
}

const struct command call_command = {
	.name = "call",
	.operands = "MAILBOX [TEXT]",
	.summary = "send a request and wait for the reply",
	.about = "Send TEXT as a request, wait for the reply, and write the reply to standard\n"
		 "output. Without TEXT, the request is read from standard input.\n",
	.options = {
		{ 'T', "timeout", "SECONDS", "wait at most that long for the reply" },
		{ 'N', "newline", NULL,
		  "write a newline after the reply (default on a\n"
		  "terminal)" },
		{ OPT_NO_NEWLINE, "no-newline", NULL, "write no newline after the reply" },
	},
	.notes = "The exit status is 3 if no reply came in time.\n",
	.set = set_option,
	.run = run_call,
};
