// SPDX-License-Identifier: GPL-2.0-only
/* Many mailboxes. */
#include <stdio.h>

#include "holds.h"

static void numbered(char *name, unsigned int i)
{
	sprintf(name, "holds-%u", i);
}

static void prepare_names(void)
{
	char name[32];
	unsigned int i;

	s.mb = make(MBOX_QUEUE, 0, 64, O_RDWR);
	s.handles = calloc(nwaiters, sizeof(struct mbox *));
	for (i = 0; i < nwaiters; i++) {
		numbered(name, i);
		s.handles[i] = mbox_create(name, O_RDWR, NULL);
		if (!s.handles[i])
			err(1, "%s", name);
	}
	s.nhandles = nwaiters;
}

static void then_names(void)
{
	struct mbox_walk walk = { 0 }, none = { 0 };
	struct mbox *mb;
	unsigned int i;
	char name[32];

	OPERATION("create", mb = mbox_create("holds-new", O_RDWR, NULL));
	OPERATION("unlink", mbox_unlink("holds-new"));
	OPERATION("close", mbox_close(mb));
	OPERATION("open by id", mb = mbox_open_id(1, O_RDWR));
	mbox_close(mb);
	OPERATION("walk", mbox_walk(&walk));
	become(65534);
	OPERATION("walk, none is seen", mbox_walk(&none));
	become(0);
	for (i = 0; i < nwaiters; i++) {
		numbered(name, i);
		must(mbox_unlink(name), "unlink");
	}
}

const struct state mailbox_states[] = {
	{ "mailboxes", prepare_names, then_names, true },
	{ NULL },
};
