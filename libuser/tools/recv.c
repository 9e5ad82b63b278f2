// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl recv. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "output.h"
#include "text.h"

/* Of the line about a message without a name, and the newline after it. */
#define LINE_MAX_BYTES 160
/* A byte of a name, as \xNN. */
#define ESCAPED_MAX 4

#define MATCH_FLAGS (MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE)

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
 * struct source - a mailbox to receive from
 * @mb: the handle
 * @name: the argument that names it
 * @msg_max: bytes of its largest message
 * @leases: its messages come on lease
 * @peeked: how many of its messages MBOX_PEEK has shown
 */
struct source {
	struct mbox *mb;
	const char *name;
	uint32_t msg_max;
	bool leases;
	uint64_t peeked;
};

/**
 * struct recv_job - what is wanted
 * @sources: where messages come from
 * @n: how many; those that have come to their end are left out
 * @next: of those, where the next turn begins
 * @group: receives from whichever has a message; NULL: one mailbox was given
 * @msg_max: bytes of the largest message of all
 * @line_max: bytes of the line about a message, and of the newline after it
 * @output: where they go
 * @output_name: the argument that says so
 * @to_file: it is a file, in which room can be reserved
 * @count: how many; 0: until there are no more
 * @timeout_ns: how long to wait for each
 * @timed: @timeout_ns counts
 * @meta: a line about each message precedes it
 * @newline: a newline follows each message
 * @flags: of each call
 * @skip: messages of each mailbox to look past with MBOX_PEEK
 * @type: what MBOX_MATCH compares with
 * @policy: what senders do when this falls behind a broadcast mailbox
 */
struct recv_job {
	struct source *sources;
	size_t n;
	size_t next;
	struct mbox_group *group;
	uint32_t msg_max;
	size_t line_max;
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

/* ---- writing ----------------------------------------------------------------- */

/* Of several mailboxes, each message is preceded by the one that it is from. */
static void write_line(const struct recv_job *job, const struct source *from,
		       const struct mbox_msg *msg)
{
	if (job->meta)
		fprintf(job->output,
			"prio=%" PRIu32 " type=%" PRIu64 " pid=%" PRIu32 " uid=%" PRIu32
			" gid=%" PRIu32 " ",
			msg->prio, (uint64_t)msg->type, msg->pid, msg->uid, msg->gid);
	fprintf(job->output, "len=%" PRIu32, msg->len);
	if (job->group) {
		fprintf(job->output, " mailbox=");
		text_print_word(job->output, from->name);
	}
	fputc('\n', job->output);
}

static bool write_message(const struct recv_job *job, const struct source *from,
			  const struct mbox_msg *msg, const char *data)
{
	if (job->meta || job->group)
		write_line(job, from, msg);
	fwrite(data, 1, msg->len, job->output);
	if (job->newline == NEWLINE_ALWAYS)
		fputc('\n', job->output);

	if (fflush(job->output) == 0 && !ferror(job->output))
		return true;
	/* It stays, or comes back when the handle is closed. */
	if (job->flags & MBOX_PEEK || from->leases)
		print_file_perror("cannot write to '%s'", job->output_name);
	else
		print_file_perror("a message of %" PRIu32
				  " bytes is lost: it was received, and cannot be written to '%s'",
				  msg->len, job->output_name);

	return false;
}

/*
 * How long the longest message is that the next receive can get: 0 if there is none,
 * @msg_max of the job if it would be waited for, or cannot be known.
 */
static size_t next_len(const struct recv_job *job)
{
	bool empty = true, unknown = false;
	struct mbox_msg msg;
	size_t i, len = 0;

	for (i = 0; i < job->n; i++) {
		msg = (struct mbox_msg){
			.flags = job->flags | MBOX_PEEK | MBOX_TRUNC | MBOX_DONTWAIT,
			.type = job->type,
		};
		if (mbox_recvmsg(job->sources[i].mb, &msg) < 0) {
			unknown |= errno != EAGAIN && errno != EPIPE;
			continue;
		}
		empty = false;
		if (msg.len > len)
			len = msg.len;
	}
	if (unknown || (empty && !(job->flags & MBOX_DONTWAIT)))
		return job->msg_max;

	return len;
}

/* Before a message is taken: once it is, there is no other copy. */
static bool check_output(const struct recv_job *job)
{
	size_t len = 0;

	if (job->flags & MBOX_PEEK)
		return true;
	if (job->to_file)
		len = job->line_max + next_len(job);
	if (!output_gone() && output_ready(job->output, len))
		return true;
	if (output_gone())
		errno = EPIPE;
	print_file_perror("cannot write to '%s'", job->output_name);

	return false;
}

/* ---- receiving --------------------------------------------------------------- */

/* @msg says what is wanted; @flags: besides those of the job. */
static ssize_t recv_from(const struct recv_job *job, struct source *from, uint32_t flags,
			 struct mbox_msg *msg)
{
	ssize_t len;

	msg->flags = job->flags | flags | (from->leases ? MBOX_LEASE : 0);
	if (!(job->flags & MBOX_PEEK))
		return mbox_recvmsg(from->mb, msg);

	if (from->peeked > UINT32_MAX - job->skip) {
		errno = EAGAIN;
		return -1;
	}
	msg->skip = job->skip + from->peeked;
	len = mbox_recvmsg(from->mb, msg);
	from->peeked += len >= 0;

	return len;
}

static struct source *source_of(const struct recv_job *job, const struct mbox *mb)
{
	size_t i;

	for (i = 0; i < job->n; i++) {
		if (job->sources[i].mb == mb)
			return &job->sources[i];
	}

	return NULL;
}

/* Rings and broadcasts have no leases: a lease of whichever comes first is refused there. */
static ssize_t recv_any(const struct recv_job *job, struct mbox_msg *msg, struct source **from)
{
	const struct mbox_msg wanted = *msg;
	struct mbox *mb;
	ssize_t len;

	do {
		*msg = wanted;
		msg->flags = job->flags | MBOX_LEASE;
		len = mbox_recv_any(job->group, msg, &mb);
		*from = source_of(job, mb);
		if (len >= 0 || errno != EOPNOTSUPP || !*from || (*from)->leases)
			return len;
		*msg = wanted;
		len = recv_from(job, *from, MBOX_DONTWAIT, msg);
		/* Another receiver can have been faster. */
	} while (len < 0 && errno == EAGAIN);

	return len;
}

/* What a group cannot do, which waits for any first message: MBOX_PEEK and MBOX_MATCH. */
static ssize_t recv_in_turn(struct recv_job *job, struct mbox_msg *msg, struct source **from)
{
	const struct mbox_msg wanted = *msg;
	size_t i, at;
	ssize_t len;

	for (i = 0; i < job->n; i++) {
		at = (job->next + i) % job->n;
		*from = &job->sources[at];
		*msg = wanted;
		len = recv_from(job, *from, MBOX_DONTWAIT, msg);
		if (len >= 0 || errno != EAGAIN) {
			job->next = at + 1;
			return len;
		}
	}
	*from = NULL;
	errno = EAGAIN;

	return -1;
}

/* A mailbox that no more messages come from. */
static void leave_out(struct recv_job *job, struct source *source)
{
	mbox_group_remove(job->group, source->mb);
	mbox_close(source->mb);
	job->n--;
	memmove(source, source + 1, (job->sources + job->n - source) * sizeof(*source));
}

/*
 * The next message, and where it is from. If it fails, *@from is the mailbox that it
 * failed at; NULL: all.
 */
static ssize_t recv_next(struct recv_job *job, struct mbox_msg *msg, struct source **from)
{
	const struct mbox_msg wanted = *msg;
	ssize_t len;

	*from = job->sources;
	if (!job->group)
		return recv_from(job, *from, 0, msg);

	for (;;) {
		*msg = wanted;
		if (job->flags & (MBOX_PEEK | MATCH_FLAGS))
			len = recv_in_turn(job, msg, from);
		else
			len = recv_any(job, msg, from);
		if (len >= 0 || errno != EPIPE || !*from || job->n == 1)
			return len;
		leave_out(job, *from);
	}
}

/* The exit status when a receive has failed. */
static int recv_failed(const struct recv_job *job, const struct source *from, int error)
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
	if (from)
		print_perror("cannot receive from '%s'", from->name);
	else
		print_perror("cannot receive from any of the mailboxes");

	return late ? EXIT_TIMEOUT : EXIT_FAILED;
}

static void print_lost(const struct recv_job *job, const struct source *from,
		       const struct mbox_msg *msg)
{
	if (job->group)
		print_error("%" PRIu64 " messages of '%s' were dropped", (uint64_t)msg->lost,
			    from->name);
	else
		print_error("%" PRIu64 " messages were dropped", (uint64_t)msg->lost);
}

static int recv_all(struct recv_job *job)
{
	struct source *from;
	struct mbox_msg msg;
	int status = EXIT_OK;
	uint64_t i;
	char *data;

	data = malloc(job->msg_max);
	if (!data) {
		print_perror("cannot receive");
		return EXIT_FAILED;
	}

	for (i = 0; !job->count || i < job->count; i++) {
		if (!check_output(job)) {
			status = EXIT_FAILED;
			break;
		}
		msg = (struct mbox_msg){
			.buf = (uintptr_t)data,
			.len = job->msg_max,
			.type = job->type,
		};
		if (job->timed)
			msg.deadline_ns = deadline_after(job->timeout_ns);

		if (recv_next(job, &msg, &from) < 0) {
			status = recv_failed(job, from, errno);
			break;
		}

		if (msg.flags & MBOX_LOST)
			print_lost(job, from, &msg);
		if (!write_message(job, from, &msg, data)) {
			status = EXIT_FAILED;
			break;
		}
		/* If the mailbox was destroyed, the next receive says so. */
		if (from->leases)
			mbox_ack(from->mb, msg.token);
	}
	free(data);

	return status;
}

/* ---- the command -------------------------------------------------------------- */

/*
 * A message that cannot be written is not lost: it is on lease until then. Broadcasts and
 * rings have no leases.
 */
static bool has_leases(const struct recv_job *job, const struct mbox_stat *st)
{
	return st->attr.mode == MBOX_QUEUE && !(st->attr.flags & MBOX_BROADCAST) &&
	       !(job->flags & MBOX_PEEK);
}

/* EXIT_OK: the mailbox is the last one of @job->sources. */
static int add_source(struct recv_job *job, const char *name)
{
	struct source *source = &job->sources[job->n];
	struct target target;
	struct mbox_stat st;

	if (!parse_target(name, &target))
		return usage_try_help();

	source->name = name;
	source->mb = open_target(&target, O_RDONLY | O_CLOEXEC);
	if (!source->mb) {
		print_perror("cannot open '%s'", name);
		return EXIT_FAILED;
	}
	job->n++;
	if (!set_reader(source->mb, job->policy, name))
		return EXIT_FAILED;
	if (mbox_stat(source->mb, &st) < 0 ||
	    (job->group && mbox_group_add(job->group, source->mb, 0) < 0)) {
		print_perror("cannot receive from '%s'", name);
		return EXIT_FAILED;
	}
	source->leases = has_leases(job, &st);
	source->msg_max = st.attr.msg_max;

	return EXIT_OK;
}

static int open_sources(struct recv_job *job, char **names, size_t n)
{
	int status = EXIT_OK;
	size_t i, len;

	job->line_max = LINE_MAX_BYTES;
	job->sources = calloc(n, sizeof(*job->sources));
	if (job->sources && n > 1)
		job->group = mbox_group_new(0);
	if (!job->sources || (n > 1 && !job->group)) {
		print_perror("cannot receive");
		return EXIT_FAILED;
	}
	for (i = 0; i < n && status == EXIT_OK; i++) {
		status = add_source(job, names[i]);
		len = LINE_MAX_BYTES + ESCAPED_MAX * strlen(names[i]);
		if (job->group && len > job->line_max)
			job->line_max = len;
		if (job->sources[i].msg_max > job->msg_max)
			job->msg_max = job->sources[i].msg_max;
	}

	return status;
}

static void close_sources(struct recv_job *job)
{
	size_t i;

	mbox_group_free(job->group);
	for (i = 0; i < job->n; i++)
		mbox_close(job->sources[i].mb);
	free(job->sources);
}

/* Opens the output, receives, closes it. */
static int run_job(struct recv_job *job)
{
	int status = EXIT_FAILED;

	job->output = stdout;
	if (job->output_name)
		job->output = fopen(job->output_name, "we");
	else
		job->output_name = "standard output";
	if (!job->output) {
		print_perror("cannot open '%s'", job->output_name);
		return EXIT_FAILED;
	}
	job->to_file = output_is_file(job->output);
	if (job->newline == NEWLINE_ON_TERMINAL && isatty(fileno(job->output)))
		job->newline = NEWLINE_ALWAYS;

	if (!(job->flags & MBOX_DONTWAIT) && !output_watch(job->output))
		print_perror("cannot watch '%s'", job->output_name);
	else
		status = recv_all(job);

	if (job->output != stdout && fclose(job->output)) {
		print_file_perror("cannot write to '%s'", job->output_name);
		status = EXIT_FAILED;
	}

	return status;
}

static bool set_match(struct recv_job *job, uint32_t flag, const char *arg)
{
	if (!parse_u64(arg, "type", UINT64_MAX, &job->type))
		return false;
	if (job->flags & MATCH_FLAGS) {
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
	int status, n;

	status = parse_options(&recv_command, argc, argv, &job);
	if (status >= 0)
		return status;

	n = argc - optind;
	if (!n)
		return usage_error("no mailbox given");
	if (job.skip && !(job.flags & MBOX_PEEK))
		return usage_error("--skip needs --peek");
	if (n > 1 && job.flags & (MBOX_PEEK | MATCH_FLAGS) && !(job.flags & MBOX_DONTWAIT))
		return usage_error("--peek and --match of several mailboxes need --dontwait");

	status = open_sources(&job, argv + optind, n);
	if (status == EXIT_OK)
		status = run_job(&job);
	close_sources(&job);

	return status;
}

const struct command recv_command = {
	.name = "recv",
	.operands = "MAILBOX...",
	.summary = "receive messages",
	.about = "Receive a message and write it to standard output. With several mailboxes,\n"
		 "receive from whichever has a message, and write a line before it that names\n"
		 "the mailbox.\n",
	.options = {
		{ 'n', "count", "COUNT",
		  "receive that many messages; with 0, receive until\n"
		  "there are no more" },
		{ 'o', "output", "FILE", "write to FILE instead" },
		{ 'T', "timeout", "SECONDS", "wait at most that long for each message" },
		{ 'd', "dontwait", NULL, "never wait" },
		{ 'p', "peek", NULL, "leave the messages in the mailbox" },
		{ OPT_SKIP, "skip", "COUNT",
		  "pass over that many messages of each mailbox\n"
		  "(with --peek)" },
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
	.notes = "With several mailboxes, --peek and the --match options need --dontwait.\n"
		 "\n"
		 "If the output cannot be written, the command fails before it receives a\n"
		 "message.\n"
		 "\n"
		 "The exit status is 3 if no message came in time, or none was there\n"
		 "(--dontwait). With --count 0, this is the normal end, and the exit status is 0.\n",
	.set = set_option,
	.run = run_recv,
};
