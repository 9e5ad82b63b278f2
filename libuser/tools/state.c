// SPDX-License-Identifier: GPL-2.0-only
/*
 * mboxctl ls and stat: the state of mailboxes. Both walk instead of opening,
 * because an open handle counts: it would show in what it looks at, and opening
 * and closing it would wake others on a MBOX_HANGUP mailbox.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "attr.h"
#include "common.h"
#include "list.h"
#include "text.h"

/* How long the oldest message has been there. */
static const char *age_text(uint64_t ns, char *text, size_t size)
{
	if (ns)
		snprintf(text, size, "%.3f", ns / 1e9);
	else
		snprintf(text, size, "-");

	return text;
}

static void print_table(const struct list *list)
{
	int name_width = list_name_width(list);
	const struct mbox_walk *item;
	char capacity[16], age[32];
	size_t i;

	printf("%8s  %-*s  %-5s  %5s  %4s  %9s  %8s  %8s  %8s  %10s  %8s  %s\n", "ID",
	       name_width, "NAME", "KIND", "UID", "MODE", "CAPACITY", "MSG-MAX", "QUEUED",
	       "HIGHEST", "BYTES", "OLDEST", "FLAGS");
	for (i = 0; i < list->n; i++) {
		item = &list->items[i];
		printf("%8" PRIu64 "  ", (uint64_t)item->id);
		text_print_padded(*item->name ? item->name : "-", name_width);
		printf("  %-5s  %5" PRIu32 "  %04" PRIo32, kind_text(item->stat.attr.mode),
		       item->stat.uid, item->stat.attr.perm);
		printf("  %9s  %8" PRIu32,
		       capacity_text(item->stat.attr.capacity, capacity, sizeof(capacity)),
		       item->stat.attr.msg_max);
		printf("  %8" PRIu32 "  %8" PRIu32 "  %10" PRIu64 "  %8s  ", item->stat.queued,
		       item->stat.highest, (uint64_t)item->stat.bytes,
		       age_text(item->stat.oldest_ns, age, sizeof(age)));
		flags_print(stdout, item->stat.attr.flags, "-");
		putchar('\n');
	}
}

/* How many messages waited how long, without what is zero. */
static void print_waited(const struct mbox_stat *st)
{
	const char *separator = "";
	int i;

	printf("waited:            ");
	for (i = 0; i < MBOX_WAIT_BUCKETS; i++) {
		if (!st->waited[i])
			continue;
		printf("%s%" PRIu64 " for ", separator, (uint64_t)st->waited[i]);
		if (!i)
			printf("< 1 ms");
		else if (i == MBOX_WAIT_BUCKETS - 1)
			printf(">= %u ms", 1U << (i - 1));
		else
			printf("%u-%u ms", 1U << (i - 1), 1U << i);
		separator = ", ";
	}
	printf("%s\n", *separator ? "" : "none");
}

static void print_long(const struct mbox_walk *item)
{
	const struct mbox_stat *st = &item->stat;
	char capacity[16];

	printf("name:              ");
	text_print_padded(*item->name ? item->name : "-", 0);
	printf("\n");
	printf("id:                %" PRIu64 "\n", (uint64_t)item->id);
	printf("kind:              %s\n", kind_text(st->attr.mode));
	printf("owner:             uid %" PRIu32 ", gid %" PRIu32 "\n", st->uid, st->gid);
	printf("mode:              %04" PRIo32 "\n", st->attr.perm);
	printf("capacity:          %s\n",
	       capacity_text(st->attr.capacity, capacity, sizeof(capacity)));
	printf("largest message:   %" PRIu32 "\n", st->attr.msg_max);
	printf("flags:             ");
	flags_print(stdout, st->attr.flags, "none");
	printf("\n");
	printf("queued:            %" PRIu32 " (%" PRIu64 " bytes)\n", st->queued,
	       (uint64_t)st->bytes);
	printf("waiting senders:   %" PRIu32 "\n", st->waiting_senders);
	printf("waiting receivers: %" PRIu32 "\n", st->waiting_receivers);
	printf("sent:              %" PRIu64 "\n", (uint64_t)st->sent);
	printf("received:          %" PRIu64 "\n", (uint64_t)st->received);
	printf("dropped:           %" PRIu64 "\n", (uint64_t)st->dropped);
	printf("send handles:      %" PRIu32 "\n", st->send_handles);
	printf("receive handles:   %" PRIu32 "\n", st->recv_handles);
	printf("highest:           %" PRIu32 "\n", st->highest);
	printf("on lease:          %" PRIu32 "\n", st->leased);
	printf("expired:           %" PRIu64 "\n", (uint64_t)st->expired);
	printf("redelivered:       %" PRIu64 "\n", (uint64_t)st->redelivered);
	printf("dead letters:      %" PRIu64 "\n", (uint64_t)st->dead_letters);
	print_waited(st);
	if (st->oldest_ns)
		printf("oldest message:    for %.3f s\n", st->oldest_ns / 1e9);
	if (st->stalled_ns)
		printf("stalled:           for %.3f s by process %" PRIu32 "\n",
		       st->stalled_ns / 1e9, st->stalled_pid);
}

void list_print_json_item(const struct mbox_walk *item)
{
	const struct mbox_stat *st = &item->stat;
	const char *separator = "";
	size_t i;

	printf("{\"id\":%" PRIu64 ",\"name\":", (uint64_t)item->id);
	if (*item->name)
		text_print_json(item->name);
	else
		printf("null");
	printf(",\"kind\":\"%s\",\"uid\":%" PRIu32 ",\"gid\":%" PRIu32
	       ",\"mode\":\"%04" PRIo32 "\"",
	       kind_text(st->attr.mode), st->uid, st->gid, st->attr.perm);
	if (st->attr.capacity == MBOX_UNBOUNDED)
		printf(",\"capacity\":\"unbounded\"");
	else
		printf(",\"capacity\":%" PRIu32, st->attr.capacity);
	printf(",\"msg_max\":%" PRIu32 ",\"flags\":[", st->attr.msg_max);
	for (i = 0; i < NFLAGS; i++) {
		if (!(st->attr.flags & flag_names[i].flag))
			continue;
		printf("%s\"%s\"", separator, flag_names[i].name);
		separator = ",";
	}
	printf("],\"queued\":%" PRIu32 ",\"bytes\":%" PRIu64, st->queued, (uint64_t)st->bytes);
	printf(",\"waiting_senders\":%" PRIu32 ",\"waiting_receivers\":%" PRIu32,
	       st->waiting_senders, st->waiting_receivers);
	printf(",\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"dropped\":%" PRIu64,
	       (uint64_t)st->sent, (uint64_t)st->received, (uint64_t)st->dropped);
	printf(",\"send_handles\":%" PRIu32 ",\"recv_handles\":%" PRIu32, st->send_handles,
	       st->recv_handles);
	printf(",\"highest\":%" PRIu32 ",\"leased\":%" PRIu32 ",\"oldest_ns\":%" PRIu64,
	       st->highest, st->leased, (uint64_t)st->oldest_ns);
	printf(",\"expired\":%" PRIu64 ",\"redelivered\":%" PRIu64 ",\"dead_letters\":%" PRIu64,
	       (uint64_t)st->expired, (uint64_t)st->redelivered, (uint64_t)st->dead_letters);
	separator = ",\"waited\":[";
	for (i = 0; i < MBOX_WAIT_BUCKETS; i++) {
		printf("%s%" PRIu64, separator, (uint64_t)st->waited[i]);
		separator = ",";
	}
	printf("]");
	if (st->attr.mode == MBOX_RING)
		printf(",\"stalled_ns\":%" PRIu64 ",\"stalled_pid\":%" PRIu32,
		       (uint64_t)st->stalled_ns, st->stalled_pid);
	printf("}");
}

static void print_json(const struct list *list)
{
	size_t i;

	printf("[");
	for (i = 0; i < list->n; i++) {
		printf(i ? ",\n " : "");
		list_print_json_item(&list->items[i]);
	}
	printf("]\n");
}

static void print_blocks(const struct list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (i)
			putchar('\n');
		print_long(&list->items[i]);
	}
}

static int show(char **names, int n, bool json, void (*print)(const struct list *list))
{
	struct list all = { 0 }, chosen = { 0 };
	int i, status = EXIT_OK;

	if (!list_all(&all)) {
		list_free(&all);
		return EXIT_FAILED;
	}
	for (i = 0; i < n; i++) {
		if (!list_target(&chosen, &all, names[i]))
			status = EXIT_FAILED;
	}

	if (json)
		print = print_json;
	/* No heading over nothing when all that was asked for is missing. */
	if (json || !n || chosen.n)
		print(n ? &chosen : &all);

	list_free(&chosen);
	list_free(&all);

	return status;
}

static bool set_option(void *data, int id, const char *arg)
{
	bool *json = data;

	(void)arg;
	if (id == 'j')
		*json = true;

	return true;
}

static int run_ls(int argc, char **argv)
{
	bool json = false;
	int status;

	status = parse_options(&ls_command, argc, argv, &json);
	if (status >= 0)
		return status;

	return show(argv + optind, argc - optind, json, print_table);
}

const struct command ls_command = {
	.name = "ls",
	.operands = "[MAILBOX...]",
	.summary = "list the mailboxes that you may see",
	.about = "List the mailboxes that you can open or that you own. With MAILBOX, list only\n"
		 "the given ones.\n",
	.options = {
		{ 'j', "json", NULL, "print a JSON array" },
	},
	.set = set_option,
	.run = run_ls,
};

static int run_stat(int argc, char **argv)
{
	bool json = false;
	int status;

	status = parse_options(&stat_command, argc, argv, &json);
	if (status >= 0)
		return status;

	if (optind == argc)
		return usage_error("no mailbox given");

	return show(argv + optind, argc - optind, json, print_blocks);
}

const struct command stat_command = {
	.name = "stat",
	.operands = "MAILBOX...",
	.summary = "show all attributes and counters of mailboxes",
	.about = "Show all attributes and counters of mailboxes.\n",
	.options = {
		{ 'j', "json", NULL, "print a JSON array" },
	},
	.set = set_option,
	.run = run_stat,
};
