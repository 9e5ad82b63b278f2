// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl info: what the module can do, and the limits of the user who asks. */
#include <inttypes.h>

#include "attr.h"
#include "common.h"

static void print_text(const struct mbox_info *info)
{
	printf("mboxctl:              %s, ABI %d\n", MBOX_VERSION, MBOX_ABI_VERSION);
	printf("module:               ABI %" PRIu32 "\n", info->abi);
	printf("kinds:                %s%s\n", info->modes & 1U << MBOX_QUEUE ? "queue" : "",
	       info->modes & 1U << MBOX_RING ? ",ring" : "");
	printf("flags:                ");
	flags_print(stdout, info->attr_flags, "none");
	printf("\nmailboxes:            %" PRIu32 " of %" PRIu32 "\n", info->mailboxes,
	       info->user_mailboxes);
	printf("bytes:                %" PRIu64 " of %" PRIu64 "\n", (uint64_t)info->bytes,
	       (uint64_t)info->user_bytes);
	printf("descriptors:          %" PRIu32 "\n", info->fds);
	printf("largest message:      %" PRIu32 "\n", info->msg_max_limit);
}

static void print_object(const struct mbox_info *info)
{
	const char *separator = "";
	size_t i;

	printf("{\"version\":\"%s\",\"abi\":%" PRIu32 ",\"flags\":[", MBOX_VERSION, info->abi);
	for (i = 0; i < NFLAGS; i++) {
		if (!(info->attr_flags & flag_names[i].flag))
			continue;
		printf("%s\"%s\"", separator, flag_names[i].name);
		separator = ",";
	}
	printf("],\"user_mailboxes\":%" PRIu32 ",\"mailboxes\":%" PRIu32, info->user_mailboxes,
	       info->mailboxes);
	printf(",\"user_bytes\":%" PRIu64 ",\"bytes\":%" PRIu64, (uint64_t)info->user_bytes,
	       (uint64_t)info->bytes);
	printf(",\"descriptors\":%" PRIu32 ",\"msg_max_limit\":%" PRIu32 "}\n", info->fds,
	       info->msg_max_limit);
}

static bool set_option(void *data, int id, const char *arg)
{
	bool *json = data;

	(void)arg;
	if (id == 'j')
		*json = true;

	return true;
}

static int run_info(int argc, char **argv)
{
	struct mbox_info info;
	bool json = false;
	int status;

	status = parse_options(&info_command, argc, argv, &json);
	if (status >= 0)
		return status;
	if (optind != argc)
		return usage_error("info takes no operands");
	if (mbox_info(&info) < 0) {
		print_perror("cannot ask the module");
		return EXIT_FAILED;
	}
	(json ? print_object : print_text)(&info);

	return EXIT_OK;
}

const struct command info_command = {
	.name = "info",
	.operands = "",
	.summary = "show what the module can do, and your limits",
	.about = "Show the version of the kernel interface, the kinds and flags of mailboxes that\n"
		 "exist, and how much of the limits you use.\n",
	.options = {
		{ 'j', "json", NULL, "print a JSON object" },
	},
	.set = set_option,
	.run = run_info,
};
