// SPDX-License-Identifier: GPL-2.0-only
/* Attributes of mailboxes: their words, and what is asked for. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "common.h"
#include "explain.h"

/* No user and no group has the number that stands for "unchanged". */
#define ID_MAX (UINT32_MAX - 1)

const struct flag_name flag_names[NFLAGS] = {
	{ MBOX_FIXED, "fixed" },
	{ MBOX_DROP_OLDEST, "drop-oldest" },
	{ MBOX_DROP_NEWEST, "drop-newest" },
	{ MBOX_HANGUP, "hangup" },
	{ MBOX_ONE_SENDER, "one-sender" },
	{ MBOX_ONE_RECEIVER, "one-receiver" },
	{ MBOX_BROADCAST, "broadcast" },
	{ MBOX_FAIR, "fair" },
	{ MBOX_INHERIT, "inherit" },
	{ MBOX_LEAF, "leaf" },
	{ MBOX_TEMPORARY, "temporary" },
	{ MBOX_ALLOW_WAIT, "allow-wait" },
};

/* ---- words ----------------------------------------------------------------- */

/* The bits of --mode are called the mode, so this is the kind. */
const char *kind_text(uint32_t mode)
{
	switch (mode) {
	case MBOX_QUEUE:
		return "queue";
	case MBOX_RING:
		return "ring";
	default:
		return "?";
	}
}

const char *capacity_text(uint32_t capacity, char *text, size_t size)
{
	if (capacity == MBOX_UNBOUNDED)
		return "unbounded";
	snprintf(text, size, "%" PRIu32, capacity);

	return text;
}

void flags_print(FILE *out, uint32_t flags, const char *none)
{
	const char *separator = "";
	size_t i;

	for (i = 0; i < NFLAGS; i++) {
		if (!(flags & flag_names[i].flag))
			continue;
		fprintf(out, "%s%s", separator, flag_names[i].name);
		separator = ",";
	}
	if (!*separator)
		fputs(none, out);
}

void print_user(FILE *out, uint32_t uid)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		fputs(user->pw_name, out);
	else
		fprintf(out, "%" PRIu32, uid);
}

void print_group(FILE *out, uint32_t gid)
{
	const struct group *group = getgrgid(gid);

	if (group)
		fputs(group->gr_name, out);
	else
		fprintf(out, "%" PRIu32, gid);
}

/* ---- parsing --------------------------------------------------------------- */

bool parse_mode(const char *text, uint32_t *perm)
{
	uint32_t mode = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '7' && mode <= 0777; p++)
		mode = mode * 8 + (*p - '0');

	if (p == text || *p || mode > 0777) {
		print_error("invalid mode: '%s'", text);
		return false;
	}
	*perm = mode;

	return true;
}

/* As chown(1) does it: first a name, then a number. */
static bool parse_id(const char *text, uint32_t *id)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number > ID_MAX)
		return false;
	*id = number;

	return true;
}

bool parse_user(const char *text, uid_t *uid)
{
	const struct passwd *user = getpwnam(text);

	if (user) {
		*uid = user->pw_uid;
		return true;
	}
	if (parse_id(text, uid))
		return true;
	print_error("unknown user: '%s'", text);

	return false;
}

bool parse_group(const char *text, gid_t *gid)
{
	const struct group *group = getgrnam(text);

	if (group) {
		*gid = group->gr_gid;
		return true;
	}
	if (parse_id(text, gid))
		return true;
	print_error("unknown group: '%s'", text);

	return false;
}

bool parse_owner(const char *text, struct wish *wish)
{
	const char *colon = strchr(text, ':');
	char *user;
	bool ok;

	if (!*text || (colon && !colon[1])) {
		print_error("invalid owner: '%s'", text);
		return false;
	}
	if (colon && !parse_group(colon + 1, &wish->gid))
		return false;
	if (colon)
		wish->given |= ATTR_GID;
	if (colon == text)
		return true;

	user = strndup(text, colon ? (size_t)(colon - text) : strlen(text));
	if (!user) {
		print_perror("cannot read the owner '%s'", text);
		return false;
	}
	ok = parse_user(user, &wish->uid);
	free(user);
	if (ok)
		wish->given |= ATTR_UID;

	return ok;
}

bool parse_flags(const char *text, uint32_t *flags)
{
	size_t i, len;

	*flags = 0;
	for (;;) {
		len = strcspn(text, ",");
		for (i = 0; i < NFLAGS; i++) {
			if (strlen(flag_names[i].name) == len &&
			    !memcmp(flag_names[i].name, text, len))
				break;
		}
		if (i == NFLAGS) {
			print_error("unknown flag: '%.*s'", (int)len, text);
			return false;
		}
		*flags |= flag_names[i].flag;
		if (!text[len])
			return true;
		text += len + 1;
	}
}

const char *attr_conflict(const struct mbox_attr *attr)
{
	const uint32_t drop = MBOX_DROP_OLDEST | MBOX_DROP_NEWEST;
	bool ring = attr->mode == MBOX_RING;

	if ((attr->flags & drop) == drop)
		return "drop-oldest and drop-newest exclude each other";
	if (!ring && attr->flags & (MBOX_ONE_SENDER | MBOX_ONE_RECEIVER))
		return "one-sender and one-receiver are for rings";
	if (ring && attr->flags & drop)
		return "a ring drops no messages";
	if (ring && attr->flags & (MBOX_FAIR | MBOX_BROADCAST))
		return "fair and broadcast are not for rings";
	if (attr->flags & (MBOX_FAIR | MBOX_INHERIT) && attr->flags & MBOX_BROADCAST)
		return "broadcast excludes fair and inherit";
	if (ring && attr->flags & MBOX_INHERIT)
		return "inherit and ring exclude each other";
	if (attr->flags & MBOX_ALLOW_WAIT &&
	    (!(attr->flags & MBOX_BROADCAST) || !(attr->flags & MBOX_DROP_OLDEST)))
		return "allow-wait needs broadcast and drop-oldest";
	if (attr->flags & MBOX_FAIR && attr->flags & drop)
		return "fair and the drop policies exclude each other";
	if (attr->flags & MBOX_TEMPORARY)
		return "a temporary mailbox would end with this command";

	return NULL;
}

/* ---- what is asked for ------------------------------------------------------ */

unsigned int wish_compare(const struct wish *wish, const struct mbox_stat *st)
{
	const struct mbox_attr *want = &wish->attr, *have = &st->attr;
	unsigned int differ = 0;

	if (want->mode != have->mode)
		differ |= ATTR_KIND;
	if (want->flags != have->flags)
		differ |= ATTR_FLAGS;
	if (want->capacity != have->capacity)
		differ |= ATTR_CAPACITY;
	if (want->msg_max != have->msg_max)
		differ |= ATTR_MSG_MAX;
	if (want->perm != have->perm)
		differ |= ATTR_MODE;
	if (wish->uid != st->uid)
		differ |= ATTR_UID;
	if (wish->gid != st->gid)
		differ |= ATTR_GID;

	return differ & wish->given;
}

char *wish_explain(const struct wish *wish, const struct mbox_stat *st, unsigned int which)
{
	const struct mbox_attr *want = &wish->attr, *have = &st->attr;
	char has[16], wants[16], *text = NULL;
	size_t size;
	FILE *out;

	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	if (which & ATTR_KIND)
		fprintf(out, "; kind %s, not %s", kind_text(have->mode), kind_text(want->mode));
	if (which & ATTR_FLAGS) {
		fputs("; flags ", out);
		flags_print(out, have->flags, "none");
		fputs(", not ", out);
		flags_print(out, want->flags, "none");
	}
	if (which & ATTR_CAPACITY)
		fprintf(out, "; capacity %s, not %s",
			capacity_text(have->capacity, has, sizeof(has)),
			capacity_text(want->capacity, wants, sizeof(wants)));
	if (which & ATTR_MSG_MAX)
		fprintf(out, "; msg-max %" PRIu32 ", not %" PRIu32, have->msg_max, want->msg_max);
	if (which & ATTR_MODE)
		fprintf(out, "; mode %04" PRIo32 ", not %04" PRIo32, have->perm, want->perm);
	if (which & ATTR_UID)
		fprintf(out, "; uid %" PRIu32 ", not %" PRIu32, st->uid, wish->uid);
	if (which & ATTR_GID)
		fprintf(out, "; gid %" PRIu32 ", not %" PRIu32, st->gid, wish->gid);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	/* Without the first separator. */
	if (*text)
		memmove(text, text + 2, strlen(text + 2) + 1);

	return text;
}

struct mbox *wish_create(const struct wish *wish, const char *name, int oflags)
{
	struct mbox *mb = mbox_create_with(name, oflags | O_EXCL, &wish->attr, &wish->options);
	uid_t uid = wish->given & ATTR_UID ? wish->uid : (uid_t)-1;
	gid_t gid = wish->given & ATTR_GID ? wish->gid : (gid_t)-1;
	const char *why;
	char text[256];
	int error;

	if (!mb && errno == EEXIST)
		return NULL;
	if (mb && mbox_set_perm(mb, uid, gid, -1) == 0)
		return mb;

	error = errno;
	why = error == EINVAL ? explain_create(name, &wish->attr, &wish->options, text,
					       sizeof(text)) : NULL;
	errno = error;
	if (mb) {
		print_perror("cannot change the owner of '%s'", name);
		mbox_unlink(name);
		mbox_close(mb);
	} else if (why) {
		print_error("cannot create '%s': %s: %s", name, strerror(EINVAL), why);
	} else {
		print_perror("cannot create '%s'", name);
	}
	errno = 0;

	return NULL;
}
