// SPDX-License-Identifier: GPL-2.0-only
/*
 * terminal ROWS COLUMNS COMMAND [ARGUMENT...]: run a command on a terminal of that size.
 * Standard input is what its keyboard types, standard output what it shows. The exit status
 * is that of the command, or 128 and the number of the signal that ended it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns false when there is no more. */
static bool copy(int from, int to)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof(buf)), done, len;

	for (done = 0; done < n; done += len) {
		len = write(to, buf + done, n - done);
		if (len < 0)
			return false;
	}

	return n > 0;
}

int main(int argc, char **argv)
{
	struct winsize size = { 0 };
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };
	int status;
	pid_t pid;

	if (argc < 4)
		return 2;
	size.ws_row = atoi(argv[1]);
	size.ws_col = atoi(argv[2]);
	pid = forkpty(&fds[1].fd, NULL, NULL, &size);
	if (pid < 0) {
		perror("forkpty");
		return 126;
	}
	if (!pid) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	/* EIO: the command has closed the terminal. */
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			return 126;
		if (fds[1].revents && !copy(fds[1].fd, STDOUT_FILENO))
			break;
		if (fds[0].revents && !copy(STDIN_FILENO, fds[1].fd))
			fds[0].fd = -1;
	}
	if (waitpid(pid, &status, 0) < 0)
		return 126;

	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
