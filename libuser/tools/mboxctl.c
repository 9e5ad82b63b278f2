// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl: mailboxes from the command line. */
#include <stdlib.h>
#include <string.h>

#include "common.h"

static const struct command commands[] = {
	{ "create", "create mailboxes", cmd_create },
	{ "ls", "list the mailboxes that you may see", cmd_ls },
	{ "stat", "show everything about mailboxes", cmd_stat },
	{ "monitor", "show what goes on in mailboxes", cmd_monitor },
	{ "send", "send messages", cmd_send },
	{ "recv", "receive messages", cmd_recv },
	{ "call", "send a request and wait for the reply", cmd_call },
	{ "serve", "run a command for each message, and reply with its output", cmd_serve },
	{ "set-capacity", "change the capacity of a mailbox", cmd_set_capacity },
	{ "unlink", "take away the names of mailboxes", cmd_unlink },
	{ "rm", "the same, or destroy mailboxes", cmd_rm },
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	size_t i;

	printf("Usage: mboxctl COMMAND [OPTIONS] [ARGUMENTS]\n");
	printf("\n");
	printf("Mailboxes between processes.\n");
	printf("\n");
	printf("Commands:\n");
	for (i = 0; i < NCOMMANDS; i++)
		printf("  %-14s %s\n", commands[i].name, commands[i].summary);
	printf("\n");
	printf("Options:\n");
	printf("  -h, --help     display this help and exit\n");
	printf("  -v, --version  output version information and exit\n");
	printf("\n");
	printf("A mailbox is given by its name, or as id:NUMBER (name:NAME where a name\n");
	printf("itself begins with id: or name:).\n");
	printf("\n");
	printf("Exit status: 0 success, 1 something failed, 2 wrong usage, 3 it would have\n");
	printf("had to wait (longer).\n");
	printf("\n");
	printf("'mboxctl COMMAND --help' explains a command.\n");
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	size_t i;
	int opt;

	/* getopt_long() prints argv[0] before its errors. */
	if (argc > 0)
		argv[0] = prog_name;

	for (;;) {
		opt = getopt_long(argc, argv, "+hv", longopts, NULL);
		if (opt < 0)
			break;

		switch (opt) {
		case 'h':
			print_help();
			return finish_stdout(EXIT_OK);
		case 'v':
			print_version();
			return finish_stdout(EXIT_OK);
		default:
			return usage_try_help();
		}
	}

	argc -= optind;
	argv += optind;
	if (argc <= 0)
		return usage_error("no command given");

	for (i = 0; i < NCOMMANDS; i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		snprintf(prog_name, sizeof(prog_name), "mboxctl %s", commands[i].name);
		argv[0] = prog_name;
		/* Makes getopt_long() of glibc start afresh. */
		optind = 0;
		return finish_stdout(commands[i].run(argc, argv));
	}

	return usage_error("unknown command '%s'", argv[0]);
}
