// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl: mailboxes from the command line. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "text.h"

static const struct command *const commands[] = {
	&create_command,
	&apply_command,
	&ls_command,
	&stat_command,
	&who_command,
	&monitor_command,
	&tap_command,
	&export_command,
	&send_command,
	&recv_command,
	&call_command,
	&serve_command,
	&set_capacity_command,
	&expel_command,
	&chmod_command,
	&chown_command,
	&unlink_command,
	&rm_command,
	&info_command,
	&doctor_command,
	&bench_command,
	&help_command,
	NULL,
};

static const struct command mboxctl = {
	.operands = "COMMAND [OPTIONS] [ARGUMENTS]",
	.about = "Create, show, use and remove mailboxes.\n",
	.notes = "A MAILBOX is given by its name or as id:NUMBER. If a name begins with id: or\n"
		 "name:, write it as name:NAME. A path, with a slash in it, leads to a mailbox of\n"
		 "a mounted file system; ls, stat, monitor, unlink and rm do not take one.\n"
		 "\n"
		 "Exit status: 0 success; 1 something failed; 2 wrong usage; 3 a message could\n"
		 "not be sent or received without waiting or in time, or no reply came in time.\n"
		 "\n"
		 "'mboxctl COMMAND --help' explains a command.\n",
	.commands = commands,
	.options_first = true,
};

static const struct command *find_command(const char *name)
{
	const struct command *const *command;

	for (command = commands; *command; command++) {
		if (!strcmp(name, (*command)->name))
			return *command;
	}

	return NULL;
}

static int run_help(int argc, char **argv)
{
	char *ask[3] = { prog_name, "--help" };
	const struct command *command = &mboxctl;
	int status;

	status = parse_options(&help_command, argc, argv, NULL);
	if (status >= 0)
		return status;
	if (argc - optind > 1)
		return usage_error("help is for one command at a time");
	if (optind < argc)
		command = find_command(argv[optind]);
	if (!command)
		return usage_error("unknown command '%s'", argv[optind]);

	snprintf(prog_name, sizeof(prog_name), "mboxctl%s%s", command->name ? " " : "",
		 command->name ? command->name : "");

	return parse_options(command, 2, ask, NULL);
}

const struct command help_command = {
	.name = "help",
	.operands = "[COMMAND]",
	.summary = "explain a command",
	.about = "Explain a command, as its option --help does.\n",
	.run = run_help,
};

int main(int argc, char **argv)
{
	const struct command *command;
	int status;

	/* A write to a pipe without a reader fails, and mboxctl says so. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	open_standard_files();
	text_init();

	status = parse_options(&mboxctl, argc, argv, NULL);
	if (status >= 0)
		return finish_stdout(status);

	argc -= optind;
	argv += optind;
	if (argc <= 0)
		return usage_error("no command given");

	command = find_command(argv[0]);
	if (!command)
		return usage_error("unknown command '%s'", argv[0]);
	snprintf(prog_name, sizeof(prog_name), "mboxctl %s", command->name);

	return finish_stdout(command->run(argc, argv));
}
