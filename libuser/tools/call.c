// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl call and mboxctl serve. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

/* What a shell says of a command that it cannot run. */
#define STATUS_NO_COMMAND 127

/**
 * struct call_job - what a command of this file is to do
 * @mb: the mailbox
 * @mailbox: the argument that says so
 * @msg_max: its longest message
 * @data: room for that much, and one byte more
 * @timeout_ns: how long to wait
 * @timed: @timeout_ns counts
 * @count: how many messages; 0: all
 * @newline: a newline follows the reply
 * @command: what serves a message, with its arguments
 */
struct call_job {
	struct mbox *mb;
	const char *mailbox;
	uint32_t msg_max;
	char *data;
	uint64_t timeout_ns;
	bool timed;
	uint64_t count;
	bool newline;
	char **command;
};

static void help_call(void)
{
	printf("Usage: mboxctl call [OPTIONS] NAME [TEXT]\n");
	printf("\n");
	printf("Send TEXT, or the standard input, as a request, wait for the reply, and write it\n");
	printf("to standard output.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -T, --timeout SECS   wait at most that long for the reply\n");
	printf("  -N, --newline        write a newline after the reply (default on terminals)\n");
	printf("      --no-newline     write none\n");
	printf("  -h, --help           display this help and exit\n");
	printf("  -v, --version        output version information and exit\n");
	printf("\n");
	printf("Ends with status 3 if there was no reply in time.\n");
}

static void help_serve(void)
{
	printf("Usage: mboxctl serve [OPTIONS] NAME COMMAND [ARGUMENT...]\n");
	printf("\n");
	printf("Receive messages and run COMMAND for each, one after the other, with the message\n");
	printf("as its standard input. What it writes to standard output is the reply to a\n");
	printf("request, and is dropped for other messages.\n");
	printf("\n");
	printf("Options:\n");
	printf("  -n, --count N        end after N messages (default: never)\n");
	printf("  -T, --timeout SECS   wait at most that long for each message\n");
	printf("  -h, --help           display this help and exit\n");
	printf("  -v, --version        output version information and exit\n");
	printf("\n");
	printf("Ends with status 3 when no message came in time.\n");
}

static bool open_job(struct call_job *job, int oflags)
{
	struct target target;
	struct mbox_stat st;

	if (!parse_target(job->mailbox, &target))
		return false;
	job->mb = open_target(&target, oflags | O_CLOEXEC);
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

/* ---- call ---------------------------------------------------------------- */

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

int cmd_call(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "timeout", required_argument, NULL, 'T' },
		{ "newline", no_argument, NULL, 'N' },
		{ "no-newline", no_argument, NULL, OPT_NO_NEWLINE },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct call_job job = { .newline = isatty(STDOUT_FILENO) };
	int opt, status;

	for (;;) {
		opt = getopt_long(argc, argv, "T:Nhv", longopts, NULL);
		if (opt < 0)
			break;

		switch (opt) {
		case 'T':
			if (!parse_seconds(optarg, &job.timeout_ns))
				return usage_try_help();
			job.timed = true;
			break;
		case 'N':
			job.newline = true;
			break;
		case OPT_NO_NEWLINE:
			job.newline = false;
			break;
		case 'h':
			help_call();
			return EXIT_OK;
		case 'v':
			print_version();
			return EXIT_OK;
		default:
			return usage_try_help();
		}
	}

	if (optind == argc)
		return usage_error("no mailbox given");
	if (argc - optind > 2)
		return usage_error("more than one text");
	job.mailbox = argv[optind];
	if (!open_job(&job, O_WRONLY))
		return EXIT_FAILED;
	status = do_call(&job, argv[optind + 1]);
	close_job(&job);

	return status;
}

/* ---- serve --------------------------------------------------------------- */

/* A file in memory with the message in it, to be read from the beginning. */
static int message_file(const char *data, size_t len)
{
	int fd = memfd_create("message", MFD_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (done < len) {
		n = write(fd, data + done, len - done);
		if (n <= 0)
			goto fail;
		done += n;
	}
	if (lseek(fd, 0, SEEK_SET) == 0)
		return fd;
fail:
	close(fd);

	return -1;
}

static void exec_command(char **command, int input, int output)
{
	if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
		_exit(STATUS_NO_COMMAND);
	execvp(command[0], command);
	print_perror("cannot run '%s'", command[0]);
	_exit(STATUS_NO_COMMAND);
}

/* Run the command with @len bytes of job->data, which is replaced by its output. */
static ssize_t run_command(struct call_job *job, size_t len, int *status)
{
	size_t room = (size_t)job->msg_max + 1, done = 0;
	int input, output[2];
	char rest[4096];
	ssize_t n;
	pid_t pid;

	input = message_file(job->data, len);
	if (input < 0)
		return -1;
	if (pipe2(output, O_CLOEXEC) < 0) {
		close(input);
		return -1;
	}
	pid = fork();
	if (!pid)
		exec_command(job->command, input, output[1]);
	close(input);
	close(output[1]);
	if (pid < 0) {
		close(output[0]);
		return -1;
	}

	/* What does not fit is too much for a reply, however much it is. */
	do {
		if (done < room)
			n = read(output[0], job->data + done, room - done);
		else
			n = read(output[0], rest, sizeof(rest));
		if (n > 0 && done < room)
			done += n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	close(output[0]);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;

	return done;
}

/* Serve one message. False: no further one has a chance. */
static bool serve_one(struct call_job *job, int *status)
{
	struct mbox_msg msg = {
		.buf = (uintptr_t)job->data,
		.len = job->msg_max,
	};
	int how = 0, error;
	ssize_t len;

	if (job->timed)
		msg.deadline_ns = deadline_after(job->timeout_ns);
	len = mbox_recvmsg(job->mb, &msg);
	if (len < 0) {
		error = errno;
		print_perror("cannot receive from '%s'", job->mailbox);
		*status = error == ETIMEDOUT ? EXIT_TIMEOUT : EXIT_FAILED;
		return false;
	}

	len = run_command(job, len, &how);
	if (len < 0) {
		print_perror("cannot run '%s'", job->command[0]);
		*status = EXIT_FAILED;
		return false;
	}
	if (!WIFEXITED(how) || WEXITSTATUS(how)) {
		print_error("'%s' failed", job->command[0]);
		*status = EXIT_FAILED;
	}
	if (msg.token && mbox_reply(job->mb, msg.token, job->data, len) < 0) {
		error = errno;
		print_perror("cannot reply to process %u", (unsigned int)msg.pid);
		*status = EXIT_FAILED;
		/* A caller that gives up is no reason to. */
		return error == ESRCH || error == EMSGSIZE;
	}

	return true;
}

int cmd_serve(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "count", required_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int opt, status = EXIT_OK;
	struct call_job job = { 0 };
	uint64_t i;

	for (;;) {
		/* The command has options of its own. */
		opt = getopt_long(argc, argv, "+n:T:hv", longopts, NULL);
		if (opt < 0)
			break;

		switch (opt) {
		case 'n':
			if (!parse_u64(optarg, "count", UINT64_MAX, &job.count))
				return usage_try_help();
			break;
		case 'T':
			if (!parse_seconds(optarg, &job.timeout_ns))
				return usage_try_help();
			job.timed = true;
			break;
		case 'h':
			help_serve();
			return EXIT_OK;
		case 'v':
			print_version();
			return EXIT_OK;
		default:
			return usage_try_help();
		}
	}

	if (optind == argc)
		return usage_error("no mailbox given");
	if (argc - optind < 2)
		return usage_error("no command given");
	job.mailbox = argv[optind];
	job.command = argv + optind + 1;
	if (!open_job(&job, O_RDONLY))
		return EXIT_FAILED;
	for (i = 0; !job.count || i < job.count; i++)
		if (!serve_one(&job, &status))
			break;
	close_job(&job);

	return status;
}
