// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl recv. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

/**
 * struct recv_job - what is wanted
 * @mb: where messages come from
 * @mailbox: the argument that says so
 * @output: where they go
 * @output_name: the argument that says so
 * @count: how many; 0: until there are no more
 * @timeout_ns: how long to wait for each
 * @timed: @timeout_ns counts
 * @meta: a line about each message precedes it
 * @newline: a newline follows each message
 * @flags: of each call
 * @skip: messages to look past with MBOX_PEEK
 * @type: what MBOX_MATCH compares with
 */
struct recv_job {
	struct mbox *mb;
	const char *mailbox;
	FILE *output;
	const char *output_name;
	uint64_t count;
	uint64_t timeout_ns;
	bool timed;
	bool meta;
	bool newline;
	uint32_t flags;
	uint32_t skip;
	uint64_t type;
};

static void help(void)
{
	printf("Usage: mboxctl recv [OPTIONS] NAME\n");
	printf("\n");
	printf("Receive a message and write it to standard output.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -n, --count N        receive N messages; 0: until there are no more, or for ever\n");
	printf("  -o, --output FILE    write to FILE instead\n");
	printf("  -T, --timeout SECS   wait at most that long for each message\n");
	printf("  -d, --dontwait       never wait\n");
	printf("  -p, --peek           leave the messages in the mailbox\n");
	printf("      --skip N         look past N messages (with --peek)\n");
	printf("  -m, --match TYPE     only messages of this type\n");
	printf("      --match-not TYPE only messages of other types\n");
	printf("      --match-le TYPE  the lowest type that is not above TYPE\n");
	printf("  -M, --meta           write a line about each message before it\n");
	printf("  -N, --newline        write a newline after each message (default on terminals)\n");
	printf("      --no-newline     write none\n");
	printf("  -h, --help           display this help and exit\n");
	printf("  -v, --version        output version information and exit\n");
	printf("\n");
	printf("Ends with status 3 when a message would have to be waited for (longer); with\n");
	printf("--count 0 that is the normal end.\n");
}

static bool write_message(const struct recv_job *job, const struct mbox_msg *msg, const char *data)
{
	if (job->meta)
		fprintf(job->output,
			"prio=%" PRIu32 " type=%" PRIu64 " pid=%" PRIu32 " uid=%" PRIu32
			" gid=%" PRIu32 " len=%" PRIu32 "\n",
			msg->prio, (uint64_t)msg->type, msg->pid, msg->uid, msg->gid, msg->len);
	fwrite(data, 1, msg->len, job->output);
	if (job->newline)
		fputc('\n', job->output);

	/* The mailbox has it no longer: it must not be lost in a buffer. */
	if (fflush(job->output) || ferror(job->output)) {
		print_perror("cannot write to '%s'", job->output_name);
		return false;
	}

	return true;
}

/* The exit status when a receive has failed. */
static int recv_failed(const struct recv_job *job, int error)
{
	bool late = error == EAGAIN || error == ETIMEDOUT;

	/* Ways in which "until there are no more" ends. */
	if (!job->count && (late || error == EPIPE))
		return EXIT_OK;

	errno = error;
	print_perror("cannot receive from '%s'", job->mailbox);

	return late ? EXIT_TIMEOUT : EXIT_FAILED;
}

static int recv_all(const struct recv_job *job)
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
	data = malloc(st.attr.msg_max);
	if (!data) {
		print_perror("cannot receive from '%s'", job->mailbox);
		return EXIT_FAILED;
	}

	for (i = 0; !job->count || i < job->count; i++) {
		memset(&msg, 0, sizeof(msg));
		msg.buf = (uintptr_t)data;
		msg.len = st.attr.msg_max;
		msg.flags = job->flags;
		msg.type = job->type;
		if (job->flags & MBOX_PEEK)
			msg.skip = job->skip + i;
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
	}
	free(data);

	return status;
}

/* Opens what the job needs, does it, closes. */
static int run_job(struct recv_job *job, int newline)
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
	job->newline = newline < 0 ? isatty(fileno(job->output)) : newline;

	status = recv_all(job);

	if (job->output != stdout)
		fclose(job->output);
	mbox_close(job->mb);

	return status;
}

static uint32_t match_flag(int opt)
{
	switch (opt) {
	case OPT_MATCH_NOT:
		return MBOX_MATCH_NOT;
	case OPT_MATCH_LE:
		return MBOX_MATCH_LE;
	default:
		return MBOX_MATCH;
	}
}

int cmd_recv(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "count", required_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "dontwait", no_argument, NULL, 'd' },
		{ "peek", no_argument, NULL, 'p' },
		{ "skip", required_argument, NULL, OPT_SKIP },
		{ "match", required_argument, NULL, 'm' },
		{ "match-not", required_argument, NULL, OPT_MATCH_NOT },
		{ "match-le", required_argument, NULL, OPT_MATCH_LE },
		{ "meta", no_argument, NULL, 'M' },
		{ "newline", no_argument, NULL, 'N' },
		{ "no-newline", no_argument, NULL, OPT_NO_NEWLINE },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct recv_job job = { .count = 1 };
	int opt, newline = -1;
	uint32_t match = 0;

	for (;;) {
		opt = getopt_long(argc, argv, "n:o:T:dpm:MNhv", longopts, NULL);
		if (opt < 0)
			break;

		switch (opt) {
		case 'n':
			if (!parse_u64(optarg, "count", UINT64_MAX, &job.count))
				return usage_try_help();
			break;
		case 'o':
			job.output_name = optarg;
			break;
		case 'T':
			if (!parse_seconds(optarg, &job.timeout_ns))
				return usage_try_help();
			job.timed = true;
			break;
		case 'd':
			job.flags |= MBOX_DONTWAIT;
			break;
		case 'p':
			job.flags |= MBOX_PEEK;
			break;
		case OPT_SKIP:
			if (!parse_u32(optarg, "number", UINT32_MAX, &job.skip))
				return usage_try_help();
			break;
		case 'm':
		case OPT_MATCH_NOT:
		case OPT_MATCH_LE:
			if (!parse_u64(optarg, "type", UINT64_MAX, &job.type))
				return usage_try_help();
			if (match)
				return usage_error("only one --match option is possible");
			match = match_flag(opt);
			break;
		case 'M':
			job.meta = true;
			break;
		case 'N':
			newline = 1;
			break;
		case OPT_NO_NEWLINE:
			newline = 0;
			break;
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
	job.flags |= match;

	if (argc - optind != 1)
		return usage_error("exactly one mailbox is needed");
	if (job.skip && !(job.flags & MBOX_PEEK))
		return usage_error("--skip needs --peek");
	job.mailbox = argv[optind];

	return run_job(&job, newline);
}
