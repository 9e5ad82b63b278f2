// SPDX-License-Identifier: GPL-2.0-only
/* What the commands of mboxctl share: errors, numbers, names. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common.h"
#include "explain.h"
#include "text.h"

#define NSEC_PER_SEC 1000000000
/* What statfs(2) reports of a mailbox: "mbox". */
#define FS_MAGIC 0x6d626f78

char prog_name[64] = "mboxctl";

static bool stdout_closed;

/* The line of a file that errors are about, or NULL. */
static const char *input_file;
static unsigned long input_line;

void set_error_place(const char *file, unsigned long line)
{
	input_file = file;
	input_line = line;
}

static void print_prefixed(const char *fmt, va_list va, const char *suffix)
{
	char *text;

	/* What stdout has so far belongs before the error. */
	if (!stdout_closed)
		fflush(stdout);

	fprintf(stderr, "%s: ", prog_name);
	if (input_file) {
		text_print(stderr, input_file);
		fprintf(stderr, ":%lu: ", input_line);
	}
	if (vasprintf(&text, fmt, va) < 0) {
		/* There is no memory for what it is about. */
		fputs(fmt, stderr);
	} else {
		text_print(stderr, text);
		free(text);
	}
	if (suffix)
		fprintf(stderr, ": %s", suffix);
	fputc('\n', stderr);
}

void print_verror(const char *fmt, va_list va)
{
	print_prefixed(fmt, va, NULL);
}

void print_error(const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	print_verror(fmt, va);
	va_end(va);
}

void print_perror(const char *fmt, ...)
{
	char text[256];
	const char *why = explain_error(errno, text, sizeof(text));
	va_list va;

	va_start(va, fmt);
	print_prefixed(fmt, va, why);
	va_end(va);
}

void print_file_perror(const char *fmt, ...)
{
	const char *why = strerror(errno);
	va_list va;

	va_start(va, fmt);
	print_prefixed(fmt, va, why);
	va_end(va);
}

bool parse_u64(const char *text, const char *what, uint64_t max, uint64_t *value)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 0);
	/* strtoull() takes "-1" and leading blanks. */
	if (*text < '0' || *text > '9' || *end || errno || number > max) {
		print_error("invalid %s: '%s'", what, text);
		return false;
	}
	*value = number;

	return true;
}

bool parse_u32(const char *text, const char *what, uint32_t max, uint32_t *value)
{
	uint64_t number;

	if (!parse_u64(text, what, max, &number))
		return false;
	*value = number;

	return true;
}

bool parse_capacity(const char *text, uint32_t *capacity)
{
	if (!strcmp(text, "unbounded")) {
		*capacity = MBOX_UNBOUNDED;
		return true;
	}

	return parse_u32(text, "capacity", MBOX_UNBOUNDED - 1, capacity);
}

bool parse_seconds(const char *text, uint64_t *ns)
{
	double seconds = -1;
	char *end;

	/* strtod() takes signs, leading blanks, "inf" and "nan". */
	if ((*text < '0' || *text > '9') && *text != '.')
		end = (char *)text;
	else
		seconds = strtod(text, &end);
	/* More than a century is a mistake, and a sum that could overflow. */
	if (end == text || *end || !isfinite(seconds) || seconds > 4e9) {
		print_error("invalid number of seconds: '%s'", text);
		return false;
	}
	*ns = (uint64_t)(seconds * NSEC_PER_SEC);

	return true;
}

uint64_t deadline_after(uint64_t timeout_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec + timeout_ns;
}

bool parse_target(const char *text, struct target *target)
{
	target->name = NULL;
	target->id = 0;

	if (!strncmp(text, "id:", 3))
		return parse_u64(text + 3, "mailbox id", UINT64_MAX, &target->id);

	if (!strncmp(text, "name:", 5))
		text += 5;
	target->name = text;

	return true;
}

struct mbox *open_target(const struct target *target, int oflags)
{
	if (target->name)
		return mbox_open(target->name, oflags);

	return mbox_open_id(target->id, oflags);
}

bool set_reader(struct mbox *mb, unsigned int policy, const char *mailbox)
{
	/* An older module knows no other. */
	if (policy == MBOX_READER_DEFAULT || mbox_set_reader(mb, policy) == 0)
		return true;
	if (errno == EPERM)
		print_error("'%s' drops messages and does not allow that senders wait", mailbox);
	else
		print_perror("cannot choose what senders to '%s' do", mailbox);

	return false;
}

struct mbox *open_target_anyhow(const struct target *target)
{
	struct mbox *mb = open_target(target, O_RDONLY | O_CLOEXEC);

	if (!mb && errno == EACCES)
		mb = open_target(target, O_WRONLY | O_CLOEXEC);

	return mb;
}

int open_mailbox_path(const char *path)
{
	struct statfs fs;
	struct stat st;
	int fd;

	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		print_perror("cannot open '%s'", path);
		return -1;
	}
	if (fstatfs(fd, &fs) == 0 && (unsigned int)fs.f_type == FS_MAGIC &&
	    fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		return fd;

	print_error("'%s' is not a mailbox", path);
	close(fd);

	return -1;
}

void open_standard_files(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* To read or to write it is still an error. */
		if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH) != fd)
			_exit(EXIT_FAILED);
	}
}

int finish_stdout(int status)
{
	int error = 0;

	errno = EIO;
	if (fflush(stdout) || ferror(stdout))
		error = errno;
	/* Some file systems report a full disk only now. */
	stdout_closed = true;
	if (fclose(stdout) && !error)
		error = errno;
	if (!error)
		return status;

	errno = error;
	print_file_perror("cannot write to standard output");

	return EXIT_FAILED;
}
