// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl serve. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

/* What a shell says of a command that it cannot run. */
#define STATUS_NO_COMMAND 127
/* And of one that a signal has ended, whose number is added. */
#define STATUS_SIGNAL 128

/* A command that is ended has so long to end by itself. */
#define GRACE_STEPS 100
#define GRACE_STEP_NS 10000000

/* Most commands that run at a time. */
#define JOBS_MAX 1024

/**
 * struct serve_job - what is served, and how
 * @mb: the mailbox
 * @mailbox: the argument that says so
 * @msg_max: its longest message
 * @data: room for that much, and one byte more
 * @timeout_ns: how long to wait
 * @timed: @timeout_ns counts
 * @count: how many messages; 0: all
 * @taken: how many there were, of all processes
 * @parallel: how many commands can run at a time
 * @lease: MBOX_LEASE, or 0: the mailbox has no leases
 * @tells: each reply ends with the exit status of its command
 * @output_max: longest output of a command
 * @command: what serves a message, with its arguments
 */
struct serve_job {
	struct mbox *mb;
	const char *mailbox;
	uint32_t msg_max;
	char *data;
	uint64_t timeout_ns;
	bool timed;
	uint64_t count;
	uint64_t *taken;
	uint32_t parallel;
	uint32_t lease;
	bool tells;
	size_t output_max;
	char **command;
};

/* How a command ended. */
enum outcome {
	OUTCOME_OK,
	OUTCOME_FAILED,
	/* It was ended: it wrote more than a reply can have. */
	OUTCOME_TOO_LONG,
	/* It could not be run. */
	OUTCOME_NONE,
};

/* ---- the process ---------------------------------------------------------- */

static const int end_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

#define NSIGNALS (sizeof(end_signals) / sizeof(end_signals[0]))

/* The command that runs, and leads a process group; 0: none. */
static volatile sig_atomic_t running;

/* End the command and what it has started in its process group, and reap it. */
static void end_command(pid_t pid)
{
	const struct timespec step = { .tv_nsec = GRACE_STEP_NS };
	int i;

	kill(-pid, SIGTERM);
	/* One that is stopped does not end otherwise. */
	kill(-pid, SIGCONT);
	for (i = 0; i < GRACE_STEPS && waitpid(pid, NULL, WNOHANG) == 0; i++)
		nanosleep(&step, NULL);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* No command outlives mboxctl, which ends as if it had no handler. */
static void end_by_signal(int sig)
{
	if (running)
		end_command(running);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = end_by_signal }, old;
	size_t i;

	for (i = 0; i < NSIGNALS; i++)
		sigaddset(&action.sa_mask, end_signals[i]);
	for (i = 0; i < NSIGNALS; i++) {
		/* nohup(1) */
		if (sigaction(end_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(end_signals[i], &action, NULL);
	}
	/* Inherited, it would reap the command unseen. */
	signal(SIGCHLD, SIG_DFL);
}

static void block_signals(sigset_t *old)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < NSIGNALS; i++)
		sigaddset(&set, end_signals[i]);
	sigprocmask(SIG_BLOCK, &set, old);
}

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

static void set_number(const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	setenv(name, text, 1);
}

/* What the command can know of its message. */
static void set_environment(const struct mbox_msg *msg)
{
	set_number("MBOX_PID", msg->pid);
	set_number("MBOX_UID", msg->uid);
	set_number("MBOX_GID", msg->gid);
	set_number("MBOX_PRIO", msg->prio);
	set_number("MBOX_TYPE", msg->type);
	set_number("MBOX_DELIVERIES", msg->deliveries);
}

static void exec_command(char **command, pid_t parent, int input, int output, const sigset_t *mask)
{
	size_t i;

	setpgid(0, 0);
	/* Where mboxctl is killed, nobody is left to end the command. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_NO_COMMAND);
	for (i = 0; i < NSIGNALS; i++) {
		struct sigaction old;

		if (sigaction(end_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			signal(end_signals[i], SIG_DFL);
	}
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
		_exit(STATUS_NO_COMMAND);
	execvp(command[0], command);
	print_perror("cannot run '%s'", command[0]);
	_exit(STATUS_NO_COMMAND);
}

/* Returns the process, with @output to read from, or -1. */
static pid_t start_command(const struct serve_job *job, const struct mbox_msg *msg, int *output)
{
	pid_t pid = -1, parent = getpid();
	int input, pipe[2];
	sigset_t old;

	input = message_file(job->data, msg->len);
	if (input < 0)
		return -1;
	if (pipe2(pipe, O_CLOEXEC) == 0) {
		block_signals(&old);
		pid = fork();
		if (!pid)
			set_environment(msg);
		if (!pid)
			exec_command(job->command, parent, input, pipe[1], &old);
		if (pid > 0) {
			/* Whichever of the two comes first. */
			setpgid(pid, pid);
			running = pid;
		}
		sigprocmask(SIG_SETMASK, &old, NULL);
		close(pipe[1]);
		*output = pipe[0];
		if (pid < 0)
			close(pipe[0]);
	}
	close(input);

	return pid;
}

/* ---- what it writes -------------------------------------------------------- */

/* Reads up to @len bytes. False: there are no more, ever. */
static bool read_output(struct serve_job *job, int fd, size_t *done, size_t len)
{
	ssize_t n;

	if (len > job->output_max + 1 - *done)
		len = job->output_max + 1 - *done;
	n = read(fd, job->data + *done, len);
	if (n > 0)
		*done += n;

	return n > 0 || (n < 0 && errno == EINTR);
}

/*
 * Waits for the end of the command, and not of what it leaves in the background with
 * its output open. Anything but OUTCOME_OK: it has not ended.
 */
static enum outcome await_command(struct serve_job *job, pid_t pid, int output, size_t *done)
{
	struct pollfd fds[2] = {
		{ .fd = output, .events = POLLIN },
		{ .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
	};
	int left;

	if (fds[1].fd < 0)
		return OUTCOME_NONE;
	while (*done <= job->output_max) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents) {
			/* All that it wrote is in the pipe. */
			while (*done <= job->output_max && ioctl(output, FIONREAD, &left) == 0 &&
			       left > 0 && read_output(job, output, done, left))
				;
			break;
		}
		if (fds[0].revents && !read_output(job, output, done, SIZE_MAX))
			fds[0].fd = -1;
	}
	close(fds[1].fd);

	return *done <= job->output_max ? OUTCOME_OK : OUTCOME_TOO_LONG;
}

/*
 * Run the command with the message in job->data, which is replaced by *@len of its output.
 * *@code is its exit status as a shell has it, if it has ended by itself.
 */
static enum outcome run_command(struct serve_job *job, const struct mbox_msg *msg, size_t *len,
				int *code)
{
	int output, error, how = 0;
	enum outcome outcome;
	siginfo_t info;
	sigset_t old;
	pid_t pid;

	pid = start_command(job, msg, &output);
	if (pid < 0)
		return OUTCOME_NONE;
	*len = 0;
	outcome = await_command(job, pid, output, len);
	error = errno;
	close(output);
	/* Once it is reaped, its number can be another's. */
	if (outcome == OUTCOME_OK)
		while (waitid(P_PID, pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
			;
	block_signals(&old);
	running = 0;
	if (outcome == OUTCOME_OK)
		waitpid(pid, &how, 0);
	else
		end_command(pid);
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = error;
	*code = WIFEXITED(how) ? WEXITSTATUS(how) : STATUS_SIGNAL + WTERMSIG(how);
	if (outcome == OUTCOME_OK && *code)
		outcome = OUTCOME_FAILED;

	return outcome;
}

/* ---- the messages ---------------------------------------------------------- */

/* What could not be done may work later. */
#define RETRY_NS 1000000000

/*
 * Whether the message is a request whose caller waits: a reply that cannot be copied leaves
 * it as it is.
 */
static bool has_caller(const struct serve_job *job, const struct mbox_msg *msg)
{
	return mbox_reply(job->mb, msg->token, (void *)1, 1) == 0 || errno != ESRCH;
}

/*
 * The command has failed. A caller learns that there will be no reply. A job is not lost:
 * it is delivered again.
 */
static void give_back(const struct serve_job *job, const struct mbox_msg *msg)
{
	if (!msg->token)
		return;
	if (has_caller(job, msg))
		mbox_ack(job->mb, msg->token);
	else
		mbox_nack_after(job->mb, msg->token, RETRY_NS);
}

/* Reply with the output, and what it ends with. Returns -1 and errno. */
static int reply(const struct serve_job *job, const struct mbox_msg *msg, size_t len, int code)
{
	if (job->tells) {
		job->data[len++] = '\0';
		job->data[len++] = (char)code;
	}

	return mbox_reply(job->mb, msg->token, job->data, len);
}

/* The command has succeeded. Returns -1 and errno. */
static int finish(const struct serve_job *job, const struct mbox_msg *msg, size_t len)
{
	if (!msg->token || reply(job, msg, len, 0) == 0)
		return 0;
	/* It is no request. If its caller has gone, the lease is over, too. */
	if (errno == ESRCH && job->lease)
		return mbox_ack(job->mb, msg->token);

	return -1;
}

static int receive(struct serve_job *job, struct mbox_msg *msg)
{
	*msg = (struct mbox_msg){
		.buf = (uintptr_t)job->data,
		.len = job->msg_max,
		.flags = job->lease,
	};
	if (job->timed)
		msg->deadline_ns = deadline_after(job->timeout_ns);

	return mbox_recvmsg(job->mb, msg) < 0 ? -1 : 0;
}

/* Serve one message. False: no further one has a chance. */
static bool serve_one(struct serve_job *job, int *status)
{
	struct mbox_msg msg;
	int error, code;
	size_t len;

	if (receive(job, &msg) < 0) {
		error = errno;
		print_perror("cannot receive from '%s'", job->mailbox);
		*status = error == ETIMEDOUT ? EXIT_TIMEOUT : EXIT_FAILED;
		return false;
	}

	switch (run_command(job, &msg, &len, &code)) {
	case OUTCOME_OK:
		break;
	case OUTCOME_FAILED:
		/* What it says is the caller's. Otherwise it is no request. */
		if (job->tells && msg.token && reply(job, &msg, len, code) == 0)
			return true;
		print_error("'%s' failed", job->command[0]);
		*status = EXIT_FAILED;
		give_back(job, &msg);
		return true;
	case OUTCOME_TOO_LONG:
		print_error("'%s' wrote more than a reply can have", job->command[0]);
		*status = EXIT_FAILED;
		/* A reply that is too long says so to the caller. */
		if (msg.token &&
		    mbox_reply(job->mb, msg.token, job->data, (size_t)job->msg_max + 1) < 0 &&
		    errno == ESRCH)
			give_back(job, &msg);
		return true;
	case OUTCOME_NONE:
		print_perror("cannot run '%s'", job->command[0]);
		*status = EXIT_FAILED;
		return false;
	}
	if (finish(job, &msg, len) < 0) {
		error = errno;
		print_perror("cannot reply to process %u", (unsigned int)msg.pid);
		*status = EXIT_FAILED;
		/* A caller that gives up is no reason to. */
		return error == ESRCH || error == EMSGSIZE;
	}

	return true;
}

static bool open_job(struct serve_job *job)
{
	struct target target;
	struct mbox_stat st;

	if (!parse_target(job->mailbox, &target))
		return false;
	job->mb = open_target(&target, O_RDONLY | O_CLOEXEC);
	if (!job->mb) {
		print_perror("cannot open '%s'", job->mailbox);
		return false;
	}
	if (mbox_stat(job->mb, &st) == 0) {
		job->msg_max = st.attr.msg_max;
		if (st.attr.mode == MBOX_QUEUE && !(st.attr.flags & MBOX_BROADCAST))
			job->lease = MBOX_LEASE;
		job->output_max = job->msg_max;
		if (job->tells && job->msg_max < STATUS_LEN) {
			errno = EMSGSIZE;
		} else {
			job->output_max -= job->tells ? STATUS_LEN : 0;
			job->data = malloc((size_t)job->msg_max + 1);
		}
	}
	if (job->data)
		return true;
	print_perror("cannot use '%s'", job->mailbox);
	mbox_close(job->mb);

	return false;
}

static bool set_option(void *data, int id, const char *arg)
{
	struct serve_job *job = data;

	switch (id) {
	case 'j':
		return parse_u32(arg, "number of jobs", JOBS_MAX, &job->parallel);
	case 'n':
		return parse_u64(arg, "count", UINT64_MAX, &job->count);
	case 's':
		job->tells = true;
		break;
	case 'T':
		job->timed = true;
		return parse_seconds(arg, &job->timeout_ns);
	}

	return true;
}

/* Serve with a handle of this process: what it has on lease comes back if it is killed. */
static int serve(struct serve_job *job)
{
	int status = EXIT_OK;

	if (!open_job(job))
		return EXIT_FAILED;
	catch_signals();
	while (!job->count || __atomic_fetch_add(job->taken, 1, __ATOMIC_RELAXED) < job->count)
		if (!serve_one(job, &status))
			break;
	free(job->data);
	mbox_close(job->mb);

	return status;
}

/* Serve in several processes. Each ends its command if this one ends. */
static int serve_in_parallel(struct serve_job *job)
{
	pid_t pid, parent = getpid();
	int how, status = EXIT_OK;
	uint32_t i;

	for (i = 0; i < job->parallel; i++) {
		pid = fork();
		if (pid < 0) {
			print_perror("cannot make a process");
			status = EXIT_FAILED;
			break;
		}
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (getppid() != parent)
				_exit(EXIT_FAILED);
			_exit(serve(job));
		}
	}
	while (wait(&how) > 0 || errno == EINTR) {
		how = WIFEXITED(how) ? WEXITSTATUS(how) : EXIT_FAILED;
		if (how && status != EXIT_FAILED)
			status = how;
	}

	return status;
}

static int run_serve(int argc, char **argv)
{
	struct serve_job job = { .parallel = 1 };
	int status;

	status = parse_options(&serve_command, argc, argv, &job);
	if (status >= 0)
		return status;

	if (optind == argc)
		return usage_error("no mailbox given");
	if (argc - optind < 2)
		return usage_error("no command given");
	if (!job.parallel)
		return usage_error("at least one job is needed");
	job.mailbox = argv[optind];
	job.command = argv + optind + 1;
	job.taken = mmap(NULL, sizeof(*job.taken), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (job.taken == MAP_FAILED) {
		print_perror("cannot serve '%s'", job.mailbox);
		return EXIT_FAILED;
	}

	return job.parallel > 1 ? serve_in_parallel(&job) : serve(&job);
}

const struct command serve_command = {
	.name = "serve",
	.operands = "MAILBOX COMMAND [ARGUMENT...]",
	.summary = "run a command for each message, and reply with its output",
	.about = "Receive messages, and run COMMAND for each with the message as its standard\n"
		 "input. The standard output of COMMAND is the reply to a request; for other\n"
		 "messages it is dropped. If COMMAND fails, the call of the sender fails, and a\n"
		 "message that is no request is delivered again. If mboxctl is killed, both are.\n",
	.options = {
		{ 'j', "jobs", "COUNT", "run that many commands at a time (default 1)" },
		{ 'n', "count", "COUNT", "end after that many messages (default: never)" },
		{ 's', "status", NULL,
		  "tell callers the exit status of COMMAND, for \"mboxctl\n"
		  "call --status\"; one that is not 0 fails no call" },
		{ 'T', "timeout", "SECONDS", "wait at most that long for each message" },
	},
	.notes = "The exit status is 3 if no message came in time.\n",
	/* COMMAND has options of its own. */
	.options_first = true,
	.set = set_option,
	.run = run_serve,
};
