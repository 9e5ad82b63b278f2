// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl send. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

/* No module accepts longer messages, so there is no point in reading them. */
#define READ_MAX (16U << 20)

/**
 * struct send_job - what all messages of one command have in common
 * @mb: where they go
 * @mailbox: the argument that says so
 * @timeout_ns: how long each may wait
 * @timed: @timeout_ns counts
 * @lines: input is cut into a message per line
 * @flags: of each call
 * @prio: of each message
 * @type: of each message
 */
struct send_job {
	struct mbox *mb;
	const char *mailbox;
	uint64_t timeout_ns;
	bool timed;
	bool lines;
	uint32_t flags;
	uint32_t prio;
	uint64_t type;
};

static void help(void)
{
	printf("Usage: mboxctl send [OPTIONS] NAME [TEXT...]\n");
	printf("\n");
	printf("Send each TEXT as a message; '-' stands for the whole standard input. Without\n");
	printf("TEXT and --file the standard input is sent.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -f, --file FILE      send the content of FILE; can be repeated\n");
	printf("  -l, --lines          make each line of the input a message, without its newline\n");
	printf("  -p, --prio N         priority, 0 (default) to %d\n", MBOX_PRIO_MAX);
	printf("  -t, --type N         type, any number (default 0)\n");
	printf("  -T, --timeout SECS   wait at most that long for each message\n");
	printf("  -d, --dontwait       never wait\n");
	printf("  -s, --sync           wait until a receiver has the message\n");
	printf("  -h, --help           display this help and exit\n");
	printf("  -v, --version        output version information and exit\n");
	printf("\n");
	printf("Ends with status 3 at the first message that would have to wait (longer).\n");
}

/*
 * Sends one message. Worsens *status if that fails; false: no further message
 * has a chance, or it would overtake this one.
 */
static bool send_message(const struct send_job *job, const void *data, size_t len, int *status)
{
	struct mbox_msg msg = {
		.buf = (uintptr_t)data,
		.len = len,
		.flags = job->flags,
		.prio = job->prio,
		.type = job->type,
	};
	int error;

	if (job->timed)
		msg.deadline_ns = deadline_after(job->timeout_ns);

	if (mbox_sendmsg(job->mb, &msg) == 0)
		return true;

	error = errno;
	print_perror("cannot send to '%s'", job->mailbox);
	if (error == EAGAIN || error == ETIMEDOUT) {
		*status = EXIT_TIMEOUT;
		return false;
	}
	*status = EXIT_FAILED;

	/* Only a wrong length is about this message alone. */
	return error == EMSGSIZE;
}

static bool send_lines(const struct send_job *job, FILE *input, int *status)
{
	bool go_on = true;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while (go_on) {
		len = getline(&line, &size, input);
		if (len < 0)
			break;
		if (line[len - 1] == '\n')
			len--;
		go_on = send_message(job, line, len, status);
	}
	free(line);

	return go_on;
}

static bool send_whole(const struct send_job *job, FILE *input, int *status)
{
	size_t len = 0, size = 0, got;
	bool go_on = true;
	char *data = NULL;
	char *bigger;

	do {
		if (len == size) {
			size = size ? 2 * size : 8192;
			bigger = realloc(data, size);
			if (!bigger) {
				print_perror("cannot read");
				*status = EXIT_FAILED;
				free(data);
				return false;
			}
			data = bigger;
		}
		got = fread(data + len, 1, size - len, input);
		len += got;
	} while (got && len <= READ_MAX);

	/* What could be read only in part is not sent. */
	if (!ferror(input))
		go_on = send_message(job, data, len, status);
	free(data);

	return go_on;
}

static bool send_input(const struct send_job *job, FILE *input, const char *name, int *status)
{
	bool go_on;

	if (job->lines)
		go_on = send_lines(job, input, status);
	else
		go_on = send_whole(job, input, status);

	if (ferror(input)) {
		print_error("cannot read '%s'", name);
		*status = EXIT_FAILED;
	}

	return go_on;
}

static bool send_file(const struct send_job *job, const char *name, int *status)
{
	FILE *input;
	bool go_on;

	if (!strcmp(name, "-"))
		return send_input(job, stdin, "standard input", status);

	input = fopen(name, "re");
	if (!input) {
		print_perror("cannot open '%s'", name);
		*status = EXIT_FAILED;
		return true;
	}
	go_on = send_input(job, input, name, status);
	fclose(input);

	return go_on;
}

static int send_all(const struct send_job *job, char **files, int nfiles, char **texts, int ntexts)
{
	int i, status = EXIT_OK;
	bool go_on = true;

	if (!nfiles && !ntexts)
		send_file(job, "-", &status);

	for (i = 0; go_on && i < nfiles; i++)
		go_on = send_file(job, files[i], &status);

	for (i = 0; go_on && i < ntexts; i++) {
		if (!strcmp(texts[i], "-"))
			go_on = send_file(job, "-", &status);
		else
			go_on = send_message(job, texts[i], strlen(texts[i]), &status);
	}

	return status;
}

int cmd_send(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "lines", no_argument, NULL, 'l' },
		{ "prio", required_argument, NULL, 'p' },
		{ "type", required_argument, NULL, 't' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "dontwait", no_argument, NULL, 'd' },
		{ "sync", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct send_job job = { 0 };
	int opt, status, nfiles = 0;
	struct target target;
	char **files;

	/* There are not more files than arguments. */
	files = calloc(argc, sizeof(*files));
	if (!files) {
		print_perror("cannot start");
		return EXIT_FAILED;
	}

	status = EXIT_USAGE;
	for (;;) {
		opt = getopt_long(argc, argv, "f:lp:t:T:dshv", longopts, NULL);
		if (opt < 0)
			break;

		switch (opt) {
		case 'f':
			files[nfiles++] = optarg;
			break;
		case 'l':
			job.lines = true;
			break;
		case 'p':
			if (!parse_u32(optarg, "priority", MBOX_PRIO_MAX, &job.prio))
				goto try_help;
			break;
		case 't':
			if (!parse_u64(optarg, "type", UINT64_MAX, &job.type))
				goto try_help;
			break;
		case 'T':
			if (!parse_seconds(optarg, &job.timeout_ns))
				goto try_help;
			job.timed = true;
			break;
		case 'd':
			job.flags |= MBOX_DONTWAIT;
			break;
		case 's':
			job.flags |= MBOX_SYNC;
			break;
		case 'h':
			help();
			status = EXIT_OK;
			goto free_files;
		case 'v':
			print_version();
			status = EXIT_OK;
			goto free_files;
		default:
			goto try_help;
		}
	}

	if (optind == argc) {
		usage_error("no mailbox given");
		goto free_files;
	}

	job.mailbox = argv[optind++];
	if (!parse_target(job.mailbox, &target))
		goto try_help;

	status = EXIT_FAILED;
	job.mb = open_target(&target, O_WRONLY | O_CLOEXEC);
	if (!job.mb) {
		print_perror("cannot open '%s'", job.mailbox);
		goto free_files;
	}
	status = send_all(&job, files, nfiles, argv + optind, argc - optind);
	mbox_close(job.mb);
	goto free_files;

try_help:
	usage_try_help();
free_files:
	free(files);
	return status;
}
