/* SPDX-License-Identifier: GPL-2.0-only */
/* Attributes of mailboxes: their words, and what is asked for. */
#ifndef MBOXCTL_ATTR_H
#define MBOXCTL_ATTR_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <mbox.h>

#define NFLAGS 12

/**
 * struct flag_name - a flag of a mailbox
 * @flag: its bit
 * @name: its word
 */
struct flag_name {
	uint32_t flag;
	const char *name;
};

extern const struct flag_name flag_names[NFLAGS];

/* Attributes that can be asked for. */
#define ATTR_KIND (1U << 0)
#define ATTR_FLAGS (1U << 1)
#define ATTR_CAPACITY (1U << 2)
#define ATTR_MSG_MAX (1U << 3)
#define ATTR_MODE (1U << 4)
#define ATTR_UID (1U << 5)
#define ATTR_GID (1U << 6)
#define ATTR_OWNER (ATTR_UID | ATTR_GID)

/**
 * struct wish - the attributes that a mailbox is to have
 * @attr: with defaults where nothing is asked for
 * @options: options of a new mailbox
 * @uid: its owner
 * @gid: its group
 * @given: ATTR_* bits of what is asked for
 */
struct wish {
	struct mbox_attr attr;
	struct mbox_options options;
	uid_t uid;
	gid_t gid;
	unsigned int given;
};

#define WISH_INIT \
	{ \
		.attr = MBOX_ATTR_INIT, .options = MBOX_OPTIONS_INIT, .uid = -1, .gid = -1 \
	}

/* "queue", "ring". */
const char *kind_text(uint32_t mode);
const char *capacity_text(uint32_t capacity, char *text, size_t size);
/* Words with commas between them, or @none. */
void flags_print(FILE *out, uint32_t flags, const char *none);

/* Their names, or their numbers if they have none. */
void print_user(FILE *out, uid_t uid);
void print_group(FILE *out, gid_t gid);

/* These print an error and return false if the text is wrong. */
bool parse_mode(const char *text, uint32_t *perm);
/* "USER", "USER:GROUP" or ":GROUP". Sets the ATTR_UID and ATTR_GID bits of @given. */
bool parse_owner(const char *text, struct wish *wish);
/* Names or numbers. */
bool parse_user(const char *text, uid_t *uid);
bool parse_group(const char *text, gid_t *gid);
/* Words with commas between them. */
bool parse_flags(const char *text, uint32_t *flags);

/* What excludes what: why no mailbox can be made like this, or NULL. */
const char *attr_conflict(const struct mbox_attr *attr);

/* ATTR_* bits of what is asked for and not so. */
unsigned int wish_compare(const struct wish *wish, const struct mbox_stat *st);
/*
 * Those in @which as a text that the caller frees: "capacity 2, not 3; ...". NULL if
 * there is no memory.
 */
char *wish_explain(const struct wish *wish, const struct mbox_stat *st, unsigned int which);

/*
 * How a command opens a mailbox that it only creates: with neither right, so that with
 * MBOX_HANGUP it has been on neither side.
 */
#define CREATE_OFLAGS (O_ACCMODE | O_CLOEXEC)

/*
 * Create a mailbox with the attributes that are asked for, the owner included, or leave
 * none behind. Returns NULL with EEXIST if the name exists. After another failure it
 * has printed an error, and errno is 0.
 */
struct mbox *wish_create(const struct wish *wish, const char *name, int oflags);

#endif /* MBOXCTL_ATTR_H */
