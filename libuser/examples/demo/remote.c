// SPDX-License-Identifier: GPL-2.0-only
/* Remote procedures: the server and the client of the examples, by mailbox and by TCP. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

#define SERVER "mbox-rpc-server"
#define CLIENT "mbox-rpc-client"

/* A port that nobody uses now, or 0: there is no TCP here. */
static int free_port(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0), port = 0;

	if (fd < 0)
		return 0;
	if (bind(fd, (struct sockaddr *)&addr, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&addr, &len) == 0)
		port = ntohs(addr.sin_port);
	close(fd);

	return port;
}

/* Starts the server, and returns when it serves. It ends with this process. */
static pid_t start_server(const char *name, const char *file, int port)
{
	char text[16], line[16] = "";
	int ends[2];
	pid_t pid;

	CHECK(pipe(ends) == 0);
	snprintf(text, sizeof(text), "%d", port);
	pid = begin_child();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp(SERVER, SERVER, name, file, port ? text : (char *)NULL, (char *)NULL);
		_exit(1);
	}
	close(ends[1]);
	CHECK(read(ends[0], line, sizeof(line) - 1) > 0 && !strcmp(line, "ready\n"));
	close(ends[0]);

	return pid;
}

/* Runs the client, and shows those of its lines that say most. */
static void call_server(const char *way, const char *arguments, const char *who)
{
	bool product = false, caller = false;
	char command[100], line[256];
	FILE *output;

	saw("%s:", way);
	snprintf(command, sizeof(command), CLIENT " %s", arguments);
	output = popen(command, "r");
	CHECK(output);
	while (fgets(line, sizeof(line), output)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "6 * 7 = 42"))
			product = true;
		else if (!strcmp(line, who))
			caller = true;
		else if (strncmp(line, "record 3", strlen("record 3")))
			continue;
		saw("  %s", line);
	}
	CHECK(pclose(output) == 0);
	CHECK(product && caller);
}

void show_rpc(void)
{
	char name[32], file[] = "/tmp/mbox-demo-XXXXXX", address[64];
	int port, fd;
	pid_t pid;

	step("Remote procedures: one server, by mailbox and by TCP at once.",
	     "What rpcgen makes of an interface runs unchanged, here and between machines.");

	if (system("command -v " SERVER " >/dev/null && command -v " CLIENT " >/dev/null")) {
		saw("left out: the examples were built without libtirpc and rpcgen");
		return;
	}
	fd = mkstemp(file);
	CHECK(fd >= 0);
	close(fd);
	port = free_port();
	snprintf(name, sizeof(name), "demo-rpc-%d", getpid());
	pid = start_server(name, file, port);
	call_server("by mailbox", name, "The server knows which user I am.");
	snprintf(address, sizeof(address), "127.0.0.1 %d", port);
	if (port)
		call_server("by TCP", address, "The server does not know who I am.");
	else
		saw("this kernel has no TCP");
	kill(pid, SIGKILL);
	end_killed(pid);
	CHECK(mbox_unlink(name) == 0 || errno == ENOENT);
	unlink(file);
}
