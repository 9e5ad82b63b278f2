// SPDX-License-Identifier: GPL-2.0-only
/*
 * reserve RING: reserve the next place of a ring, print the process id, and send the
 * message at the end of standard input.
 */
#include <mbox.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct mbox *mb;
	char *slot;

	if (argc != 2)
		return 2;
	mb = mbox_open(argv[1], O_WRONLY);
	slot = mb ? mbox_reserve(mb, 1, 0) : NULL;
	if (!slot) {
		perror(argv[1]);
		return 1;
	}
	printf("%d\n", getpid());
	fflush(stdout);
	while (getchar() != EOF)
		;
	*slot = 'x';
	if (mbox_commit(mb, slot, 1) < 0) {
		perror("mbox_commit");
		return 1;
	}

	return mbox_close(mb) < 0;
}
