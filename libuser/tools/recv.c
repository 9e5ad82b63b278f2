// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl recv. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "output.h"

/* Of the line about a message, and the newline after it. */
#define META_MAX 128

enum {
	OPT_SKIP = OPT_FIRST,
	OPT_MATCH_NOT,
	OPT_MATCH_LE,
	OPT_NO_NEWLINE,
	OPT_WAIT_FOR_ME,
	OPT_DROP_FOR_ME,
};

enum newline {
	NEWLINE_ON_TERMINAL,
	NEWLINE_ALWAYS,
	NEWLINE_NEVER,
};

/**
 * struct recv_job - what is wanted
 * @mb: where messages come from
 * @mailbox: the argument that says so
 * @output: where they go
 * @output_name: the argument that says so
 * @to_file: it is a file, in which room can be reserved
 * @count: how many; 0: until there are no more
 * @timeout_ns: how long to wait for each
 * @timed: @timeout_ns counts
 * @meta: a line about each message precedes it
 * @newline: a newline follows each message
 * @flags: of each call
 * @skip: messages to look past with MBOX_PEEK
 * @type: what MBOX_MATCH compares with
 * @policy: what senders do when this falls behind a broadcast mailbox
 */
struct recv_job {
	struct mbox *mb;
	const char *mailbox;
	FILE *output;
	const char *output_name;
	bool to_file;
	uint64_t count;
	uint64_t timeout_ns;
	bool timed;
	bool meta;
	enum newline newline;
	uint32_t flags;
	uint32_t skip;
	uint64_t type;
	unsigned int policy;
};

static bool write_message(const struct recv_job *job, const struct mbox_msg *msg, const char *data)
{
	if (job->meta)
		fprintf(job->output,
			"prio=%" PRIu32 " type=%" PRIu64 " pid=%" PRIu32 " uid=%" PRIu32
			" gid=%" PRIu32 " len=%" PRIu32 "\n",
			msg->prio, (uint64_t)msg->type, msg->pid, msg->uid, msg->gid, msg->len);
	fwrite(data, 1, msg->len, job->output);
	if (job->newline == NEWLINE_ALWAYS)
		fputc('\n', job->output);

	if (fflush(job->output) == 0 && !ferror(job->output))
		return true;
	/* It stays, or comes back when the handle is closed. */
	if (job->flags & (MBOX_PEEK | MBOX_LEASE))
		print_file_perror("cannot write to '%s'", job->output_name);
	else
		print_file_perror("a message of %" PRIu32
				  " bytes is lost: it was received, and cannot be written to '%s'",
				  msg->len, job->output_name);

	return false;
}

/*
 * How long the message is that the next receive gets: 0 if there is none, @msg_max
 * if it would be waited for, or cannot be known.
 */
static size_t next_len(const struct recv_job *job, uint32_t msg_max)
{
	struct mbox_msg msg = {
		.flags = (job->flags & ~MBOX_LEASE) | MBOX_PEEK | MBOX_TRUNC | MBOX_DONTWAIT,
		.type = job->type,
	};

	if (mbox_recvmsg(job->mb, &msg) >= 0)
		return msg.len;

	return errno == EAGAIN && job->flags & MBOX_DONTWAIT ? 0 : msg_max;
}

/* Before a message is taken: once it is, there is no other copy. */
static bool check_output(const struct recv_job *job, uint32_t msg_max)
{
	size_t len = 0;

	if (job->flags & MBOX_PEEK)
		return true;
	if (job->to_file)
		len = META_MAX + next_len(job, msg_max);
	if (!output_gone() && output_ready(job->output, len))
		return true;
	if (output_gone())
		errno = EPIPE;
	print_file_perror("cannot write to '%s'", job->output_name);

	return false;
}

/* The exit status when a receive has failed. */
static int recv_failed(const struct recv_job *job, int error)
{
	bool late = error == EAGAIN || error == ETIMEDOUT;

	if (error == EINTR && output_gone()) {
		errno = EPIPE;
		print_file_perror("cannot write to '%s'", job->output_name);
		return EXIT_FAILED;
	}

	/* Ways in which "until there are no more" ends. */
	if (!job->count && (late || error == EPIPE))
		return EXIT_OK;

	errno = error;
	print_perror("cannot receive from '%s'", job->mailbox);

	return late ? EXIT_TIMEOUT : EXIT_FAILED;
}

/*
 * A message that cannot be written is not lost: it is on lease until then. Broadcasts and
 * rings have no leases.
 */
static void use_leases(struct recv_job *job, const struct mbox_stat *st)
{
	if (st->attr.mode == MBOX_QUEUE && !(st->attr.flags & MBOX_BROADCAST) &&
	    !(job->flags & MBOX_PEEK))
		job->flags |= MBOX_LEASE;
}

static int recv_all(struct recv_job *job)
{
	struct mbox_stat st;
	struct mbox_msg msg;
	int status = EXIT_OK;
	uint64_t i;
	char *data;

	if (mbox_stat(job->mb, &st) < 0) {
		print_perror("cannot receive from '%s'", job->mailbox);
		return EXIT_FAILED;
	}
	use_leases(job, &st);
	data = malloc(st.attr.msg_max);
	if (!data) {
		print_perror("cannot receive from '%s'", job->mailbox);
		return EXIT_FAILED;
	}

	for (i = 0; !job->count || i < job->count; i++) {
		if (!check_output(job, st.attr.msg_max)) {
			status = EXIT_FAILED;
			break;
		}
		memset(&msg, 0, sizeof(msg));
		msg.buf = (uintptr_t)data;
		msg.len = st.attr.msg_max;
		msg.flags = job->flags;
		msg.type = job->type;
		if (job->flags & MBOX_PEEK) {
			if (i > UINT32_MAX - job->skip) {
				status = recv_failed(job, EAGAIN);
				break;
			}
			msg.skip = job->skip + i;
		}
		if (job->timed)
			msg.deadline_ns = deadline_after(job->timeout_ns);

		if (mbox_recvmsg(job->mb, &msg) < 0) {
			status = recv_failed(job, errno);
			break;
		}

		if (msg.flags & MBOX_LOST)
			print_error("%" PRIu64 " messages were dropped", (uint64_t)msg.lost);
		if (!write_message(job, &msg, data)) {
			status = EXIT_FAILED;
			break;
		}
		/* If the mailbox was destroyed, the next receive says so. */
		if (job->flags & MBOX_LEASE)
			mbox_ack(job->mb, msg.token);
	}
	free(data);

	return status;
}

/* Opens what the job needs, does it, closes. */
static int run_job(struct recv_job *job)
{
	struct target target;
	int status;

	if (!parse_target(job->mailbox, &target))
		return usage_try_help();

	job->mb = open_target(&target, O_RDONLY | O_CLOEXEC);
	if (!job->mb) {
		print_perror("cannot open '%s'", job->mailbox);
		return EXIT_FAILED;
	}
	if (!set_reader(job->mb, job->policy, job->mailbox)) {
		mbox_close(job->mb);
		return EXIT_FAILED;
	}

	job->output = stdout;
	if (job->output_name)
		job->output = fopen(job->output_name, "we");
	else
		job->output_name = "standard output";
	if (!job->output) {
		print_perror("cannot open '%s'", job->output_name);
		mbox_close(job->mb);
		return EXIT_FAILED;
	}
	job->to_file = output_is_file(job->output);
	if (job->newline == NEWLINE_ON_TERMINAL && isatty(fileno(job->output)))
		job->newline = NEWLINE_ALWAYS;

	status = EXIT_FAILED;
	if (!(job->flags & MBOX_DONTWAIT) && !output_watch(job->output))
		print_perror("cannot watch '%s'", job->output_name);
	else
		status = recv_all(job);

	if (job->output != stdout && fclose(job->output)) {
		print_file_perror("cannot write to '%s'", job->output_name);
		status = EXIT_FAILED;
	}
	mbox_close(job->mb);

	return status;
}

static bool set_match(struct recv_job *job, uint32_t flag, const char *arg)
{
	if (!parse_u64(arg, "type", UINT64_MAX, &job->type))
		return false;
	if (job->flags & (MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE)) {
		print_error("only one --match option is possible");
		return false;
	}
	job->flags |= flag;

	return true;
}

static bool set_option(void *data, int id, const char *arg)
{
	struct recv_job *job = data;

	switch (id) {
	case 'n':
		return parse_u64(arg, "count", UINT64_MAX, &job->count);
	case 'o':
		job->output_name = arg;
		break;
	case 'T':
		job->timed = true;
		return parse_seconds(arg, &job->timeout_ns);
	case 'd':
		job->flags |= MBOX_DONTWAIT;
		break;
	case 'p':
		job->flags |= MBOX_PEEK;
		break;
	case OPT_SKIP:
		return parse_u32(arg, "number", UINT32_MAX, &job->skip);
	case 'm':
		return set_match(job, MBOX_MATCH, arg);
	case OPT_MATCH_NOT:
		return set_match(job, MBOX_MATCH_NOT, arg);
	case OPT_MATCH_LE:
		return set_match(job, MBOX_MATCH_LE, arg);
	case 'M':
		job->meta = true;
		break;
	case 'N':
		job->newline = NEWLINE_ALWAYS;
		break;
	case OPT_NO_NEWLINE:
		job->newline = NEWLINE_NEVER;
		break;
	case OPT_WAIT_FOR_ME:
		job->policy = MBOX_READER_WAIT;
		break;
	case OPT_DROP_FOR_ME:
		job->policy = MBOX_READER_DROP;
		break;
	}

	return true;
}

static int run_recv(int argc, char **argv)
{
	struct recv_job job = { .count = 1 };
	int status;

	status = parse_options(&recv_command, argc, argv, &job);
	if (status >= 0)
		return status;

	if (argc - optind != 1)
		return usage_error("exactly one mailbox is needed");
	if (job.skip && !(job.flags & MBOX_PEEK))
		return usage_error("--skip needs --peek");
	job.mailbox = argv[optind];

	return run_job(&job);
}

const struct command recv_command = {
	.name = "recv",
	.operands = "MAILBOX",
	.summary = "receive messages",
	.about = "Receive a message and write it to standard output.\n",
	.options = {
		{ 'n', "count", "COUNT",
		  "receive that many messages; with 0, receive until\n"
		  "there are no more" },
		{ 'o', "output", "FILE", "write to FILE instead" },
		{ 'T', "timeout", "SECONDS", "wait at most that long for each message" },
		{ 'd', "dontwait", NULL, "never wait" },
		{ 'p', "peek", NULL, "leave the messages in the mailbox" },
		{ OPT_SKIP, "skip", "COUNT", "pass over that many messages (with --peek)" },
		{ 'm', "match", "TYPE", "only messages of this type" },
		{ OPT_MATCH_NOT, "match-not", "TYPE", "only messages of other types" },
		{ OPT_MATCH_LE, "match-le", "TYPE", "the lowest type that is not above TYPE" },
		{ 'M', "meta", NULL, "write a line about each message before it" },
		{ 'N', "newline", NULL,
		  "write a newline after each message (default on a\n"
		  "terminal)" },
		{ OPT_NO_NEWLINE, "no-newline", NULL, "write no newline after messages" },
		{ OPT_WAIT_FOR_ME, "wait-for-me", NULL,
		  "broadcast: senders wait when this command falls\n"
		  "behind, if the mailbox allows it" },
		{ OPT_DROP_FOR_ME, "drop-for-me", NULL,
		  "broadcast: never make senders wait: lose the oldest\n"
		  "messages instead" },
	},
	.notes = "If the output cannot be written, the command fails before it receives a\n"
		 "message.\n"
		 "\n"
		 "The exit status is 3 if no message came in time, or none was there\n"
		 "(--dontwait). With --count 0, this is the normal end, and the exit status is 0.\n",
	.set = set_option,
	.run = run_recv,
};
