// SPDX-License-Identifier: GPL-2.0-only
/* What an error number of the module means in words that say what to do. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "explain.h"

#define PARAMETERS "/sys/module/mbox/parameters/"

static const char *why_no_device(void)
{
	if (!access("/dev/mbox", F_OK))
		return "/dev/mbox belongs to no driver (is the module loaded?)";
	if (!access("/sys/module/mbox", F_OK))
		return "/dev/mbox is missing, though the module is loaded (is it hidden here?)";

	return "/dev/mbox is missing (is the module loaded?)";
}

/* Which limit of the user is reached. */
static void explain_quota(char *text, size_t size)
{
	struct mbox_info info;

	if (mbox_info(&info) < 0)
		snprintf(text, size, "%s", strerror(EDQUOT));
	else if (info.mailboxes >= info.user_mailboxes)
		snprintf(text, size, "%s: you have %" PRIu32 " of %" PRIu32 " mailboxes ("
			 PARAMETERS "user_mailboxes)", strerror(EDQUOT), info.mailboxes,
			 info.user_mailboxes);
	else
		snprintf(text, size, "%s: you have %" PRIu64 " of %" PRIu64
			 " bytes of messages and rings (" PARAMETERS "user_bytes)",
			 strerror(EDQUOT), (uint64_t)info.bytes, (uint64_t)info.user_bytes);
}

const char *explain_error(int error, char *text, size_t size)
{
	switch (error) {
	case ENODEV:
		return why_no_device();
	case EIDRM:
		return "The mailbox was destroyed";
	case EACCES:
		if (access("/dev/mbox", F_OK) || !access("/dev/mbox", R_OK))
			break;
		return "You may not open /dev/mbox (its mode is usually 0666)";
	case EDQUOT:
		explain_quota(text, size);
		return text;
	}

	return strerror(error);
}

const char *explain_create(const char *name, const struct mbox_attr *attr,
			   const struct mbox_options *options, char *text, size_t size)
{
	bool broadcast = attr->flags & MBOX_BROADCAST, ring = attr->mode == MBOX_RING;
	struct mbox_info info;

	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return "a name is not empty, has no slash, and is neither . nor ..";
	if (!attr->msg_max)
		return "the largest message has at least 1 byte (--msg-max)";
	if (mbox_info(&info) == 0 && attr->msg_max > info.msg_max_limit) {
		snprintf(text, size, "the largest message has at most %" PRIu32 " bytes ("
			 PARAMETERS "msg_max_limit)", info.msg_max_limit);
		return text;
	}
	if (broadcast && !attr->capacity)
		return "a broadcast mailbox has room for at least 1 message (--capacity)";
	if (ring && (!attr->capacity || attr->capacity > MBOX_RING_CAPACITY_MAX)) {
		snprintf(text, size, "the capacity of a ring is from 1 to %d (--capacity)",
			 MBOX_RING_CAPACITY_MAX);
		return text;
	}
	if (options->history && !broadcast)
		return "only a broadcast mailbox has a history (--broadcast)";
	if (options->history > attr->capacity)
		return "the history is at most the capacity (--history, --capacity)";
	if (options->max_deliveries && (broadcast || ring))
		return "there are leases on queues that are not broadcast only (--deliveries)";
	if (options->dead_letter >= 0 && attr->flags & MBOX_LEAF)
		return "a leaf has no mailbox for dead letters (--leaf)";
	if (options->dead_letter >= 0)
		return "that mailbox takes no dead letters of these messages (--dead-letter)";
	if (options->max_bytes && attr->flags & MBOX_FIXED && options->max_bytes < attr->msg_max)
		return "no message of the fixed size would have room (--max-bytes, --msg-max)";
	if (options->max_bytes && ring)
		return "a ring has no limit of bytes (--max-bytes)";

	return NULL;
}
