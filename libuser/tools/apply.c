// SPDX-License-Identifier: GPL-2.0-only
/*
 * mboxctl apply: mailboxes that a file lists are made to be there. It looks at those
 * that exist by a walk, and opens only one that it has to change.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attr.h"
#include "common.h"
#include "list.h"

/* The fields of a line, in their order. */
enum {
	FIELD_TYPE,
	FIELD_NAME,
	FIELD_MODE,
	FIELD_USER,
	FIELD_GROUP,
	FIELD_CAPACITY,
	FIELD_MSG_MAX,
	FIELD_FLAGS,
	NFIELDS,
};

/* What can change while a mailbox is there. */
#define ATTR_CHANGEABLE (ATTR_CAPACITY | ATTR_MODE | ATTR_OWNER)

/**
 * struct line - a line that was applied
 * @name: the mailbox
 * @file: the file that has it
 * @number: the number of the line
 */
struct line {
	char *name;
	const char *file;
	unsigned long number;
};

/**
 * struct apply_job - the whole job
 * @lines: what was applied so far, a growing array
 * @n: how many
 * @all: the mailboxes, as they were when one was looked for that exists
 */
struct apply_job {
	struct line *lines;
	size_t n;
	struct list all;
};

/* ---- reading ----------------------------------------------------------------- */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* In place: "\xNN" and "\\", as mboxctl writes names. */
static bool unescape(char *name)
{
	char *from = name, *to = name;
	int byte;

	while (*from) {
		if (*from != '\\') {
			*to++ = *from++;
		} else if (from[1] == '\\') {
			*to++ = '\\';
			from += 2;
		} else {
			byte = -1;
			if (from[1] == 'x' && hex_digit(from[2]) >= 0 && hex_digit(from[3]) >= 0)
				byte = hex_digit(from[2]) * 16 + hex_digit(from[3]);
			if (byte <= 0) {
				print_error("invalid escape in the name: '%s'", from);
				return false;
			}
			*to++ = byte;
			from += 4;
		}
	}
	*to = '\0';

	return true;
}

/* The number of fields, which it ends with NULs, or NFIELDS + 1 if there are more. */
static int split(char *text, char *fields[NFIELDS])
{
	static const char blanks[] = " \t\r\n";
	int n = 0;

	for (;;) {
		text += strspn(text, blanks);
		if (!*text || (!n && *text == '#'))
			return n;
		if (n == NFIELDS)
			return n + 1;
		fields[n++] = text;
		text += strcspn(text, blanks);
		if (*text)
			*text++ = '\0';
	}
}

static bool parse_kind(const char *text, uint32_t *mode)
{
	if (!strcmp(text, kind_text(MBOX_QUEUE)))
		*mode = MBOX_QUEUE;
	else if (!strcmp(text, kind_text(MBOX_RING)))
		*mode = MBOX_RING;
	else
		print_error("unknown type: '%s'", text);

	return !strcmp(text, kind_text(*mode));
}

static bool parse_field(int field, const char *text, struct wish *wish)
{
	switch (field) {
	case FIELD_TYPE:
		wish->given |= ATTR_KIND;
		return parse_kind(text, &wish->attr.mode);
	case FIELD_MODE:
		wish->given |= ATTR_MODE;
		return parse_mode(text, &wish->attr.perm);
	case FIELD_USER:
		wish->given |= ATTR_UID;
		return parse_user(text, &wish->uid);
	case FIELD_GROUP:
		wish->given |= ATTR_GID;
		return parse_group(text, &wish->gid);
	case FIELD_CAPACITY:
		wish->given |= ATTR_CAPACITY;
		return parse_capacity(text, &wish->attr.capacity);
	case FIELD_MSG_MAX:
		wish->given |= ATTR_MSG_MAX;
		return parse_u32(text, "size", UINT32_MAX, &wish->attr.msg_max);
	case FIELD_FLAGS:
		wish->given |= ATTR_FLAGS;
		return parse_flags(text, &wish->attr.flags);
	default:
		return true;
	}
}

static bool parse_line(char *fields[NFIELDS], int n, struct wish *wish)
{
	const char *conflict;
	int i;

	if (n < 2) {
		print_error("a type and a name are needed");
		return false;
	}
	if (n > NFIELDS) {
		print_error("more than %d fields", NFIELDS);
		return false;
	}
	for (i = 0; i < n; i++) {
		/* For a name it is no default. */
		if (i != FIELD_NAME && i != FIELD_TYPE && !strcmp(fields[i], "-"))
			continue;
		if (!parse_field(i, fields[i], wish))
			return false;
	}
	conflict = attr_conflict(&wish->attr);
	if (conflict)
		print_error("%s", conflict);

	return !conflict && unescape(fields[FIELD_NAME]);
}

/* ---- making it so -------------------------------------------------------------- */

static const struct mbox_walk *find_name(const struct list *all, const char *name)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		if (!strcmp(all->items[i].name, name))
			return &all->items[i];
	}

	return NULL;
}

/* A mailbox that exists; NULL: it is not there any more, or the caller may not see it. */
static const struct mbox_walk *find_existing(struct apply_job *job, const char *name)
{
	const struct mbox_walk *item = find_name(&job->all, name);

	if (item)
		return item;
	list_free(&job->all);

	return list_all(&job->all) ? find_name(&job->all, name) : NULL;
}

static bool change(const struct wish *wish, const char *name, unsigned int differ)
{
	struct target target = { .name = name };
	uid_t uid = differ & ATTR_UID ? wish->uid : (uid_t)-1;
	gid_t gid = differ & ATTR_GID ? wish->gid : (gid_t)-1;
	mode_t mode = differ & ATTR_MODE ? wish->attr.perm : (mode_t)-1;
	bool ok = false;
	struct mbox *mb;

	mb = open_target_anyhow(&target);
	if (!mb) {
		print_perror("cannot open '%s'", name);
		return false;
	}
	/* The owner is last: after that the caller may be able to change nothing. */
	if (differ & ATTR_CAPACITY && mbox_set_capacity(mb, wish->attr.capacity) < 0)
		print_perror("cannot change the capacity of '%s'", name);
	else if (mbox_set_perm(mb, -1, -1, mode) < 0)
		print_perror("cannot change the mode of '%s'", name);
	else if (mbox_set_perm(mb, uid, gid, -1) < 0)
		print_perror("cannot change the owner of '%s'", name);
	else
		ok = true;
	mbox_close(mb);

	return ok;
}

/*
 * Whoever made a mailbox may keep a handle of it with both rights, whatever its owner and
 * mode become. So a name that somebody else was first to take is not taken over.
 */
static bool is_trusted_owner(const struct wish *wish, uid_t uid)
{
	return !uid || uid == geteuid() || (wish->given & ATTR_UID && uid == wish->uid);
}

static void explain_owner(const char *name, uid_t uid)
{
	char *user = NULL;
	size_t size;
	FILE *out;

	out = open_memstream(&user, &size);
	if (out) {
		print_user(out, uid);
		fclose(out);
	}
	print_error("'%s' belongs to user %s, who may have it open: remove it first", name,
		    user ? user : "");
	free(user);
}

static bool apply_to_existing(struct apply_job *job, const struct wish *wish, const char *name)
{
	const struct mbox_walk *item = find_existing(job, name);
	unsigned int differ, fixed;
	char *text;

	if (!item) {
		print_error("'%s' exists, and you may not see it", name);
		return false;
	}
	if (!is_trusted_owner(wish, item->stat.uid)) {
		explain_owner(name, item->stat.uid);
		return false;
	}
	differ = wish_compare(wish, &item->stat);
	fixed = differ & ~ATTR_CHANGEABLE;
	if (item->stat.attr.mode == MBOX_RING)
		fixed |= differ & ATTR_CAPACITY;
	if (!fixed)
		return !differ || change(wish, name, differ);

	text = wish_explain(wish, &item->stat, fixed);
	print_error("'%s' exists with attributes that cannot change%s%s", name, text ? ": " : "",
		    text ? text : "");
	free(text);

	return false;
}

/* Whether no line before has this name; then this one is noted. */
static bool note_name(struct apply_job *job, const char *file, unsigned long number,
		      const char *name)
{
	struct line *lines;
	size_t i;

	for (i = 0; i < job->n; i++) {
		if (strcmp(job->lines[i].name, name))
			continue;
		print_error("'%s' is already in %s:%lu", name, job->lines[i].file,
			    job->lines[i].number);
		return false;
	}
	/* Grows whenever n is a power of two. */
	if (!(job->n & (job->n - 1))) {
		lines = realloc(job->lines, (job->n ? 2 * job->n : 1) * sizeof(*lines));
		if (!lines)
			goto err_memory;
		job->lines = lines;
	}
	job->lines[job->n].name = strdup(name);
	if (!job->lines[job->n].name)
		goto err_memory;
	job->lines[job->n].file = file;
	job->lines[job->n].number = number;
	job->n++;

	return true;

err_memory:
	print_perror("cannot create '%s'", name);
	return false;
}

static bool apply_line(struct apply_job *job, const char *file, unsigned long number, char *text)
{
	struct wish wish = WISH_INIT;
	char *fields[NFIELDS];
	const char *name;
	struct mbox *mb;
	int n;

	n = split(text, fields);
	if (!n)
		return true;
	if (!parse_line(fields, n, &wish))
		return false;
	name = fields[FIELD_NAME];
	if (!note_name(job, file, number, name))
		return false;
	mb = wish_create(&wish, name, CREATE_OFLAGS);
	if (!mb)
		return errno == EEXIST && apply_to_existing(job, &wish, name);
	mbox_close(mb);

	return true;
}

/* @file is what errors call it. */
static bool apply_stream(struct apply_job *job, FILE *input, const char *file)
{
	unsigned long number = 0;
	char *text = NULL;
	size_t size = 0;
	bool ok = true;
	ssize_t len;

	errno = 0;
	while ((len = getline(&text, &size, input)) >= 0) {
		set_error_place(file, ++number);
		if (memchr(text, '\0', len)) {
			print_error("a NUL is in the line");
			ok = false;
		} else if (!apply_line(job, file, number, text)) {
			ok = false;
		}
		errno = 0;
	}
	set_error_place(NULL, 0);
	if (ferror(input) || errno) {
		print_perror("cannot read '%s'", file);
		ok = false;
	}
	free(text);

	return ok;
}

static bool apply_file(struct apply_job *job, const char *name)
{
	FILE *input;
	bool ok;

	if (!strcmp(name, "-"))
		return apply_stream(job, stdin, "standard input");
	input = fopen(name, "re");
	if (!input) {
		print_perror("cannot open '%s'", name);
		return false;
	}
	ok = apply_stream(job, input, name);
	fclose(input);

	return ok;
}

static int run_apply(int argc, char **argv)
{
	struct apply_job job = { 0 };
	int status;
	size_t i;

	status = parse_options(&apply_command, argc, argv, NULL);
	if (status >= 0)
		return status;

	if (optind == argc)
		return usage_error("no file given");

	/* The file says who may, not the shell of whoever applies it. */
	umask(0);
	status = EXIT_OK;
	for (; optind < argc; optind++) {
		if (!apply_file(&job, argv[optind]))
			status = EXIT_FAILED;
	}
	for (i = 0; i < job.n; i++)
		free(job.lines[i].name);
	free(job.lines);
	list_free(&job.all);

	return status;
}

const struct command apply_command = {
	.name = "apply",
	.operands = "FILE...",
	.summary = "make the mailboxes that files list",
	.about = "Create the mailboxes that files list, and change those that exist and differ.\n"
		 "Applying a file again changes nothing. The FILE '-' is standard input.\n",
	.notes = "Each line has up to 8 fields, with blanks between them:\n"
		 "\n"
		 "  TYPE NAME MODE USER GROUP CAPACITY MSG-MAX FLAGS\n"
		 "\n"
		 "TYPE is 'queue' or 'ring'. FLAGS are options of 'mboxctl create' without the\n"
		 "dashes and with commas between them. A '-', or a field that is left out, is the\n"
		 "default for a new mailbox, and changes nothing of one that exists. Empty lines\n"
		 "and lines that begin with '#' are ignored.\n",
	.run = run_apply,
};
