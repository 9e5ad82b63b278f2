// SPDX-License-Identifier: GPL-2.0-only
/* The smallest program: a parent sends its child a message. */
#include <mbox.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	struct mbox *mb = mbox_create(NULL, O_RDWR, NULL);
	char text[64] = "";

	if (!mb) {
		perror("mbox_create");
		return 1;
	}

	/* [message] */
	if (fork() == 0)
		return mbox_recv(mb, text, sizeof(text) - 1, 0) < 0 || puts(text) < 0;

	if (mbox_send(mb, "hello", 5, 0) < 0)
		perror("mbox_send");
	/* [/message] */
	wait(NULL);

	return mbox_close(mb) < 0;
}
