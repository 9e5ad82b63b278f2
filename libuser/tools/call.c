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
 * @status: the reply ends with an exit status
 * @prio: of the request
 * @type: of the request
 * @at_once: each line of standard input is a request, with so many calls at once; 0: no
 */
struct call_job {
	struct mbox *mb;
	const char *mailbox;
	uint32_t msg_max;
	char *data;
	uint64_t timeout_ns;
	bool timed;
	bool newline;
	bool status;
	uint32_t prio;
	uint64_t type;
	uint32_t at_once;
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

/* The request with these bytes. */
static struct mbox_msg request_of(const struct call_job *job, const char *text, size_t len)
{
	struct mbox_msg req = {
		.buf = (uintptr_t)text,
		.len = len <= UINT32_MAX ? len : UINT32_MAX,
		.prio = job->prio,
		.type = job->type,
	};

	if (job->timed)
		req.deadline_ns = deadline_after(job->timeout_ns);

	return req;
}

static struct mbox_msg room_of(const struct call_job *job, uint32_t flags)
{
	return (struct mbox_msg){
		.buf = (uintptr_t)job->data,
		.len = job->msg_max,
		.flags = flags,
	};
}

/* With --status, as timeout(1) has them: the others are those of the command. */
#define STATUS_TIMEOUT 124
#define STATUS_FAILED 125

static int failure(const struct call_job *job)
{
	return job->status ? STATUS_FAILED : EXIT_FAILED;
}

static int failed(const struct call_job *job, int error)
{
	errno = error;
	print_perror("cannot call '%s'", job->mailbox);
	if (error != ETIMEDOUT)
		return failure(job);

	return job->status ? STATUS_TIMEOUT : EXIT_TIMEOUT;
}

/* The exit status at the end of a reply, which is taken off; -1: there is none. */
static int take_status(const struct call_job *job, ssize_t *len)
{
	if (*len < STATUS_LEN || job->data[*len - STATUS_LEN])
		return -1;
	*len -= STATUS_LEN;

	return (unsigned char)job->data[*len + STATUS_LEN - 1];
}

static int do_call(struct call_job *job, const char *text)
{
	int status = EXIT_OK;
	struct mbox_msg req, rep;
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
			return failure(job);
		}
	}
	/* The server does its work only for a reply that has somewhere to go. */
	if (!output_ready(stdout, (size_t)job->msg_max + 1)) {
		print_file_perror("cannot write to standard output");
		return failure(job);
	}

	req = request_of(job, text, n);
	rep = room_of(job, 0);
	len = mbox_callmsg(job->mb, &req, &rep);
	if (len < 0)
		return failed(job, errno);
	if (job->status) {
		status = take_status(job, &len);
		if (status < 0) {
			print_error("the reply of '%s' has no exit status", job->mailbox);
			return STATUS_FAILED;
		}
	}
	fwrite(job->data, 1, len, stdout);
	if (job->newline)
		putchar('\n');

	return status;
}

/* Fetch the end of one call, and write its reply as a line. Returns the status. */
static int fetch_line(struct call_job *job, uint32_t *outstanding)
{
	struct mbox_msg rep = room_of(job, 0);
	uint64_t token = 0;
	ssize_t len;

	len = mbox_call_wait(job->mb, &token, &rep, NULL);
	if (rep.token)
		--*outstanding;
	if (len < 0)
		return failed(job, errno);
	fwrite(job->data, 1, len, stdout);
	putchar('\n');

	return EXIT_OK;
}

/*
 * Call with each line of standard input, and write the replies in the order in which they
 * come. A call that fails does not end the others, unless none can be fetched any more.
 */
static int call_lines(struct call_job *job)
{
	uint32_t outstanding = 0;
	int status = EXIT_OK, ret;
	size_t size = 0;
	char *line = NULL;
	ssize_t len = 0;

	while (len >= 0 || outstanding) {
		if (len >= 0 && outstanding < job->at_once) {
			len = getline(&line, &size, stdin);
			if (len > 0) {
				struct mbox_msg req;
				uint64_t token;

				len -= line[len - 1] == '\n';
				req = request_of(job, line, len);
				if (mbox_call_start(job->mb, &req, job->msg_max, &token))
					status = failed(job, errno);
				else
					outstanding++;
			}
			continue;
		}
		ret = outstanding;
		if (fetch_line(job, &outstanding) != EXIT_OK)
			status = EXIT_FAILED;
		if (outstanding == (uint32_t)ret)
			break;
	}
	free(line);
	if (ferror(stdin)) {
		print_perror("cannot read standard input");
		return EXIT_FAILED;
	}

	return status;
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
	case 'l':
		if (!parse_u32(arg, "number of calls", UINT32_MAX, &job->at_once))
			return false;
		if (!job->at_once)
			print_error("0 calls at once get nowhere");
		return job->at_once;
	case 's':
		job->status = true;
		break;
	case 'p':
		return parse_u32(arg, "priority", MBOX_PRIO_MAX, &job->prio);
	case 't':
		return parse_u64(arg, "type", UINT64_MAX, &job->type);
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
	if (job.at_once && argc - optind > 1)
		return usage_error("--lines takes its requests from standard input");
	if (job.at_once && job.status)
		return usage_error("there is one exit status, and --lines has many replies");
	job.mailbox = argv[optind];
	if (!open_job(&job))
		return failure(&job);
	if (job.at_once)
		status = call_lines(&job);
	else
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
		{ 'l', "lines", "COUNT",
		  "each line of standard input is a request, and each\n"
		  "reply a line, in the order in which they come; COUNT\n"
		  "calls are under way at once" },
		{ 's', "status", NULL,
		  "exit with the status of the command of \"mboxctl serve\n"
		  "--status\"" },
		{ 'p', "prio", "PRIORITY", "0 (default) to " VALUE_OF(MBOX_PRIO_MAX) },
		{ 't', "type", "TYPE", "any number (default 0)" },
	},
	.notes = "The exit status is 3 if no reply came in time. With --status it is 124 then,\n"
		 "and 125 if the call failed otherwise.\n",
	.set = set_option,
	.run = run_call,
};
