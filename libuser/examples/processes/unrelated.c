// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unrelated processes: neither has inherited anything from the other. What they both
 * know is the name of the mailbox.
 *
 * usage: unrelated                 start both, as two programs
 *        unrelated writer NAME
 *        unrelated reader NAME
 */
#include "example.h"

/* [writer] */
static void write_letter(const char *name)
{
	struct mbox *mb = TRY_NEW(mbox_create(name, O_WRONLY, NULL));

	send_text(mb, "a letter to whom it may concern");
}

/* [/writer] */
/* [reader] */
static void read_letter(const char *name)
{
	struct mbox *mb = TRY_NEW(mbox_create(name, O_RDONLY, NULL));
	char text[64];

	recv_text(mb, text);
	say("the reader has: %s", text);
}

/* [/reader] */

static void run_program(const char *role, const char *name)
{
	if (TRY(fork()) == 0) {
		execl("/proc/self/exe", "unrelated", role, name, NULL);
		give_up("execl");
	}
}

int main(int argc, char **argv)
{
	char name[64];

	if (argc == 3 && !strcmp(argv[1], "writer")) {
		write_letter(argv[2]);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "reader")) {
		read_letter(argv[2]);
		return 0;
	}

	snprintf(name, sizeof(name), "unrelated-%d", getpid());
	/* Whichever comes first creates the mailbox. */
	run_program("reader", name);
	run_program("writer", name);
	join();
	TRY(mbox_unlink(name));

	return 0;
}
