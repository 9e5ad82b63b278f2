// SPDX-License-Identifier: GPL-2.0-only
/*
 * A named pipe: two programs that inherit nothing from each other meet at a mailbox with a
 * name, and what one writes the other filters. MBOX_HANGUP makes the end of the last writer
 * the end of the data, as with mkfifo(3). Each can come first.
 */
#include <ctype.h>

#include "example.h"

static char name[64];

/* [open] */
/* Open one end of the pipe; whichever comes first creates it. */
static struct mbox *open_pipe(int oflags)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.flags = MBOX_HANGUP;

	return TRY_NEW(mbox_create(name, oflags, &attr));
}

/* [/open] */
/* [writer] */
static void writer(int number)
{
	struct mbox *pipe = open_pipe(O_WRONLY);

	(void)number;
	send_text(pipe, "unrelated");
	send_text(pipe, "programs");
	mbox_close(pipe);
}

/* [/writer] */
/* [filter] */
static void filter(int number)
{
	struct mbox *pipe = open_pipe(O_RDONLY);
	char word[64], *c;
	ssize_t len;

	(void)number;
	while ((len = mbox_recv(pipe, word, 63, 0)) >= 0) {
		word[len] = 0;
		for (c = word; *c; c++)
			*c = toupper(*c);
		say("%s", word);
	}
	if (errno != EPIPE)
		give_up("mbox_recv");
	say("the writer has gone");
}

/* [/filter] */
int main(void)
{
	snprintf(name, sizeof(name), "pipe-%d", (int)getpid());
	start(filter, 0);
	start(writer, 0);
	join();
	TRY(mbox_unlink(name));

	return 0;
}
