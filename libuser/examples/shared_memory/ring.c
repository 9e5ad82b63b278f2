// SPDX-License-Identifier: GPL-2.0-only
/* A ring: messages are written and read where they are, without system calls. */
#include <mbox.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* [write] */
static int sender(struct mbox *mb)
{
	char *slot = mbox_reserve(mb, 5, 0);

	if (!slot)
		return 1;
	memcpy(slot, "hello", 5);

	return mbox_commit(mb, slot, 5) < 0;
}

/* [/write] */

int main(void)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	const char *slot;
	struct mbox *mb;
	size_t len;

	attr.mode = MBOX_RING;
	mb = mbox_create(NULL, O_RDWR, &attr);
	if (!mb) {
		perror("mbox_create");
		return 1;
	}

	if (fork() == 0)
		return sender(mb);

	/* [read] */
	slot = mbox_peek(mb, &len, 0);
	if (!slot) {
		perror("mbox_peek");
		return 1;
	}
	printf("%.*s\n", (int)len, slot);
	mbox_release(mb, slot);
	/* [/read] */
	wait(NULL);

	return mbox_close(mb) < 0;
}
