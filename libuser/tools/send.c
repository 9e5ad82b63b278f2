// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl send. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

/**
 * struct send_job - what all messages of one command have in common
 * @mb: where they go
 * @mailbox: the argument that says so
 * @data: room for its longest message and one byte more
 * @size: so much
 * @timeout_ns: how long each may wait
 * @timed: @timeout_ns counts
 * @files: the arguments of --file
 * @nfiles: how many
 * @lines: input is cut into a message per line
 * @flags: of each call
 * @prio: of each message
 * @type: of each message
 * @lifespan_ns: of each message, or 0
 */
struct send_job {
	struct mbox *mb;
	const char *mailbox;
	char *data;
	size_t size;
	uint64_t timeout_ns;
	bool timed;
	const char **files;
	int nfiles;
	bool lines;
	uint32_t flags;
	uint32_t prio;
	uint64_t type;
	uint64_t lifespan_ns;
};

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
		.lifespan_ns = job->lifespan_ns,
	};
	struct mbox_stat st;
	int error;

	if (job->timed)
		msg.deadline_ns = deadline_after(job->timeout_ns);

	if (mbox_sendmsg(job->mb, &msg) == 0)
		return true;

	error = errno;
	if (error == EMSGSIZE && mbox_stat(job->mb, &st) == 0)
		print_error("cannot send to '%s': %s: it has %s %" PRIu32 " bytes here",
			    job->mailbox, strerror(error),
			    st.attr.flags & MBOX_FIXED ? "exactly" : "at most", st.attr.msg_max);
	else
		print_perror("cannot send to '%s'", job->mailbox);
	if (error == EAGAIN || error == ETIMEDOUT) {
		*status = EXIT_TIMEOUT;
		return false;
	}
	*status = EXIT_FAILED;

	/* Only a wrong length is about this message alone. */
	return error == EMSGSIZE;
}

/*
 * A line that is too long is refused when that is known, with as much of it as
 * there is room for, and the rest of it is passed over.
 */
static bool send_lines(const struct send_job *job, FILE *input, int *status)
{
	bool go_on = true, partial = false;
	size_t len = 0;
	int c;

	while (go_on) {
		c = getc_unlocked(input);
		if (c == EOF)
			break;
		if (c == '\n') {
			if (len < job->size)
				go_on = send_message(job, job->data, len, status);
			len = 0;
			partial = false;
			continue;
		}
		partial = true;
		if (len == job->size)
			continue;
		job->data[len++] = c;
		if (len == job->size)
			go_on = send_message(job, job->data, len, status);
	}
	/* What could be read only in part is not sent. */
	if (go_on && partial && len < job->size && !ferror(input))
		go_on = send_message(job, job->data, len, status);

	return go_on;
}

/* What is too long is refused as such, with one byte too much. */
static bool send_whole(const struct send_job *job, FILE *input, int *status)
{
	size_t len = fread(job->data, 1, job->size, input);

	/* What could be read only in part is not sent. */
	if (ferror(input))
		return true;

	return send_message(job, job->data, len, status);
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

static int send_all(const struct send_job *job, char **texts, int ntexts)
{
	int i, status = EXIT_OK;
	bool go_on = true;

	if (!job->nfiles && !ntexts)
		send_file(job, "-", &status);

	for (i = 0; go_on && i < job->nfiles; i++)
		go_on = send_file(job, job->files[i], &status);

	for (i = 0; go_on && i < ntexts; i++) {
		if (!strcmp(texts[i], "-"))
			go_on = send_file(job, "-", &status);
		else
			go_on = send_message(job, texts[i], strlen(texts[i]), &status);
	}

	return status;
}

/* Room for a message, as long as one can be. */
static bool make_room(struct send_job *job)
{
	struct mbox_stat st;

	if (mbox_stat(job->mb, &st) < 0)
		return false;
	job->size = (size_t)st.attr.msg_max + 1;
	job->data = malloc(job->size);

	return job->data;
}

static bool set_option(void *data, int id, const char *arg)
{
	struct send_job *job = data;

	switch (id) {
	case 'f':
		job->files[job->nfiles++] = arg;
		break;
	case 'l':
		job->lines = true;
		break;
	case 'p':
		return parse_u32(arg, "priority", MBOX_PRIO_MAX, &job->prio);
	case 't':
		return parse_u64(arg, "type", UINT64_MAX, &job->type);
	case 'T':
		job->timed = true;
		return parse_seconds(arg, &job->timeout_ns);
	case 'L':
		if (!parse_seconds(arg, &job->lifespan_ns))
			return false;
		if (job->lifespan_ns)
			break;
		print_error("the lifespan '%s' is too short", arg);
		return false;
	case 'd':
		job->flags |= MBOX_DONTWAIT;
		break;
	case 's':
		job->flags |= MBOX_SYNC;
		break;
	}

	return true;
}

static int run_job(struct send_job *job, int argc, char **argv)
{
	struct target target;
	int status;

	status = parse_options(&send_command, argc, argv, job);
	if (status >= 0)
		return status;

	if (optind == argc)
		return usage_error("no mailbox given");
	job->mailbox = argv[optind++];
	if (!parse_target(job->mailbox, &target))
		return usage_try_help();

	job->mb = open_target(&target, O_WRONLY | O_CLOEXEC);
	if (!job->mb) {
		print_perror("cannot open '%s'", job->mailbox);
		return EXIT_FAILED;
	}
	status = EXIT_FAILED;
	if (make_room(job))
		status = send_all(job, argv + optind, argc - optind);
	else
		print_perror("cannot send to '%s'", job->mailbox);
	free(job->data);
	mbox_close(job->mb);

	return status;
}

static int run_send(int argc, char **argv)
{
	struct send_job job = { 0 };
	int status;

	/* There are not more files than arguments. */
	job.files = calloc(argc, sizeof(*job.files));
	if (!job.files) {
		print_perror("cannot start");
		return EXIT_FAILED;
	}
	status = run_job(&job, argc, argv);
	free(job.files);

	return status;
}

const struct command send_command = {
	.name = "send",
	.operands = "MAILBOX [TEXT...]",
	.summary = "send messages",
	.about = "Send each TEXT as a message. The text '-' stands for the whole standard input.\n"
		 "Without TEXT and --file, standard input is sent.\n",
	.options = {
		{ 'f', "file", "FILE", "send the content of FILE; can be repeated" },
		{ 'l', "lines", NULL,
		  "make each line of the input a message, without its\n"
		  "newline" },
		{ 'p', "prio", "PRIORITY", "0 (default) to " VALUE_OF(MBOX_PRIO_MAX) },
		{ 't', "type", "TYPE", "any number (default 0)" },
		{ 'T', "timeout", "SECONDS", "wait at most that long for each message" },
		{ 'd', "dontwait", NULL, "never wait" },
		{ 's', "sync", NULL, "wait until a receiver has each message" },
		{ 'L', "lifespan", "SECONDS", "drop each message that nobody received by then" },
	},
	.notes = "If a message cannot be sent in time, or without waiting (--dontwait), the\n"
		 "command sends no further message, and the exit status is 3.\n",
	.set = set_option,
	.run = run_send,
};
