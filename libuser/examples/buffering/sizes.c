// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of fixed and of variable size. A receiver gets whole messages, never a part
 * of one and never two at once, so it needs no marks between them.
 */
#include "example.h"

static void try_lengths(const char *name, unsigned int flags)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	char text[8] = "";
	struct mbox *mb;
	size_t len;

	/* [sizes] */
	attr.flags = flags;
	attr.msg_max = sizeof(text);
	mb = TRY_NEW(mbox_create(NULL, O_RDWR, &attr));
	for (len = 0; len <= 12; len += 4) {
		if (mbox_send(mb, "abcdefghijkl", len, 0) == 0)
			say("%s: %zd bytes sent, %zd received", name, len,
			    mbox_recv(mb, text, sizeof(text), 0));
		else
			say("%s: %zd bytes refused: %s", name, len, strerror(errno));
	}
	/* [/sizes] */
	mbox_close(mb);
}

int main(void)
{
	try_lengths("variable", 0);
	try_lengths("fixed", MBOX_FIXED);

	return 0;
}
