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

#include "../sysv/sysv.h"
#include "attr.h"
#include "common.h"
#include "list.h"
#include "table.h"
#include "text.h"

/* As ipcs(1) has it. */
#define KEY_FORMAT "0x%08x"
/* The columns of ipcs -q, in its order. */
#define SYSV_COLUMNS "KEY,ID,USER,MODE,BYTES,QUEUED"

enum {
	OPT_SYSV = OPT_FIRST,
};

/* ---- the table --------------------------------------------------------------- */

enum column {
	ID,
	NAME,
	KIND,
	USER,
	MODE,
	CAPACITY,
	MSG_MAX,
	QUEUED,
	HIGHEST,
	BYTES,
	OLDEST,
	FLAGS,
	UID,
	GID,
	GROUP,
	SENT,
	RECEIVED,
	DROPPED,
	WAIT_SEND,
	WAIT_RECV,
	SEND_HANDLES,
	RECV_HANDLES,
	LEASED,
	EXPIRED,
	REDELIVERED,
	DEAD,
	KEY,
	COLUMNS,
};

static const struct table_column columns[COLUMNS] = {
	[ID] = { "ID", TABLE_NUMBER, true, "number of the mailbox" },
	[NAME] = { "NAME", TABLE_TEXT, true, "its name, or - if it has none" },
	[KIND] = { "KIND", TABLE_TEXT, true, "queue or ring" },
	[USER] = { "USER", TABLE_TEXT, true, "its owner" },
	[MODE] = { "MODE", TABLE_TEXT, true, "permission bits" },
	[CAPACITY] = { "CAPACITY", TABLE_MIXED, true, "how many messages it holds" },
	[MSG_MAX] = { "MSG-MAX", TABLE_NUMBER, true, "bytes of the largest message" },
	[QUEUED] = { "QUEUED", TABLE_NUMBER, true, "messages that are in it" },
	[HIGHEST] = { "HIGHEST", TABLE_NUMBER, true, "the most that were in it at one time" },
	[BYTES] = { "BYTES", TABLE_NUMBER, true, "bytes of those that are in it" },
	[OLDEST] = { "OLDEST", TABLE_NUMBER, true, "age of the oldest message, in seconds" },
	[FLAGS] = { "FLAGS", TABLE_TEXT, true, "flags that it was created with" },
	[UID] = { "UID", TABLE_NUMBER, false, "user id of its owner" },
	[GID] = { "GID", TABLE_NUMBER, false, "group id" },
	[GROUP] = { "GROUP", TABLE_TEXT, false, "its group" },
	[SENT] = { "SENT", TABLE_NUMBER, false, "messages sent so far" },
	[RECEIVED] = { "RECEIVED", TABLE_NUMBER, false, "messages received so far" },
	[DROPPED] = { "DROPPED", TABLE_NUMBER, false, "messages dropped so far" },
	[WAIT_SEND] = { "WAIT-SEND", TABLE_NUMBER, false, "senders that wait" },
	[WAIT_RECV] = { "WAIT-RECV", TABLE_NUMBER, false, "receivers that wait" },
	[SEND_HANDLES] = { "SENDERS", TABLE_NUMBER, false, "handles with the right to send" },
	[RECV_HANDLES] = { "RECEIVERS", TABLE_NUMBER, false, "handles with the right to receive" },
	[LEASED] = { "LEASED", TABLE_NUMBER, false, "messages on lease" },
	[EXPIRED] = { "EXPIRED", TABLE_NUMBER, false, "messages whose lifespan ended" },
	[REDELIVERED] = { "REDELIVERED", TABLE_NUMBER, false, "messages put back" },
	[DEAD] = { "DEAD", TABLE_NUMBER, false, "messages given to the dead-letter mailbox" },
	[KEY] = { "KEY", TABLE_TEXT, false, "key, if it is a System V queue" },
};

/* The number in a column of numbers. */
static uint64_t number_in(enum column column, const struct mbox_walk *item)
{
	const struct mbox_stat *st = &item->stat;

	switch (column) {
	case ID:
		return item->id;
	case UID:
		return st->uid;
	case GID:
		return st->gid;
	case MSG_MAX:
		return st->attr.msg_max;
	case QUEUED:
		return st->queued;
	case HIGHEST:
		return st->highest;
	case BYTES:
		return st->bytes;
	case SENT:
		return st->sent;
	case RECEIVED:
		return st->received;
	case DROPPED:
		return st->dropped;
	case WAIT_SEND:
		return st->waiting_senders;
	case WAIT_RECV:
		return st->waiting_receivers;
	case SEND_HANDLES:
		return st->send_handles;
	case RECV_HANDLES:
		return st->recv_handles;
	case LEASED:
		return st->leased;
	case EXPIRED:
		return st->expired;
	case REDELIVERED:
		return st->redelivered;
	default:
		return st->dead_letters;
	}
}

static void print_cell(FILE *out, unsigned int column, const void *row)
{
	const struct mbox_walk *item = row;
	const struct mbox_stat *st = &item->stat;
	char text[16];
	key_t key;

	switch (column) {
	case NAME:
		fputs(item->name, out);
		break;
	case KIND:
		fputs(kind_text(st->attr.mode), out);
		break;
	case USER:
		print_user(out, st->uid);
		break;
	case GROUP:
		print_group(out, st->gid);
		break;
	case MODE:
		fprintf(out, "%04" PRIo32, st->attr.perm);
		break;
	case CAPACITY:
		fputs(capacity_text(st->attr.capacity, text, sizeof(text)), out);
		break;
	case OLDEST:
		if (st->oldest_ns)
			fprintf(out, "%.3f", st->oldest_ns / 1e9);
		break;
	case FLAGS:
		flags_print(out, st->attr.flags, "");
		break;
	case KEY:
		if (sysv__is_queue(item, &key))
			fprintf(out, KEY_FORMAT, (unsigned int)key);
		break;
	default:
		fprintf(out, "%" PRIu64, number_in(column, item));
	}
}

static const struct table_kind mailbox_table = {
	.name = "mailboxes",
	.columns = columns,
	.n = COLUMNS,
	.print = print_cell,
};

static int print_table(const struct list *list, const struct table_choice *choice)
{
	struct table *table;
	int status;
	size_t i;

	table = table_new(&mailbox_table, choice, &status);
	if (!table)
		return status;
	for (i = 0; i < list->n; i++)
		table_add(table, &list->items[i], NULL);

	return table_print(table);
}

/* ---- blocks and JSON ----------------------------------------------------------- */

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
	key_t key;
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
	if (sysv__is_queue(item, &key))
		printf(",\"key\":\"" KEY_FORMAT "\"", (unsigned int)key);
	printf("}");
}

static int print_json(const struct list *list)
{
	size_t i;

	printf("[");
	for (i = 0; i < list->n; i++) {
		printf(i ? ",\n " : "");
		list_print_json_item(&list->items[i]);
	}
	printf("]\n");

	return EXIT_OK;
}

static int print_blocks(const struct list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (i)
			putchar('\n');
		print_long(&list->items[i]);
	}

	return EXIT_OK;
}

/* ---- the commands -------------------------------------------------------------- */

/**
 * struct show - what is shown, and how
 * @table: ls
 * @sysv: only System V queues
 * @json: everything, as JSON
 * @choice: the table
 */
struct show {
	bool table;
	bool sysv;
	bool json;
	struct table_choice choice;
};

static int print_list(const struct show *how, const struct list *list)
{
	if (how->json)
		return print_json(list);
	if (how->table)
		return print_table(list, &how->choice);

	return print_blocks(list);
}

/* Takes out what is no System V queue. */
static void keep_sysv(struct list *list)
{
	size_t i, n = 0;
	key_t key;

	for (i = 0; i < list->n; i++) {
		if (sysv__is_queue(&list->items[i], &key))
			list->items[n++] = list->items[i];
	}
	list->n = n;
}

/* The mailbox that an argument names. Prints an error and returns false. */
static bool choose(const struct show *how, struct list *chosen, const struct list *all,
		   const char *text)
{
	key_t key;

	if (!list_target(chosen, all, text))
		return false;
	if (!how->sysv || sysv__is_queue(&chosen->items[chosen->n - 1], &key))
		return true;
	print_error("'%s' is not a System V queue", text);
	chosen->n--;

	return false;
}

static int show(const struct show *how, char **names, int n)
{
	struct list all = { 0 }, chosen = { 0 };
	int i, printed, status = EXIT_OK;

	if (!list_all(&all)) {
		list_free(&all);
		return EXIT_FAILED;
	}
	for (i = 0; i < n; i++) {
		if (!choose(how, &chosen, &all, names[i]))
			status = EXIT_FAILED;
	}
	if (how->sysv)
		keep_sysv(&all);

	printed = print_list(how, n ? &chosen : &all);
	if (printed != EXIT_OK)
		status = printed;

	list_free(&chosen);
	list_free(&all);

	return status;
}

static bool set_option(void *data, int id, const char *arg)
{
	struct show *how = data;

	switch (id) {
	case 'j':
		how->json = true;
		return true;
	case OPT_SYSV:
		how->sysv = true;
		how->choice.shown = SYSV_COLUMNS;
		return true;
	default:
		return table_option(&how->choice, id, arg);
	}
}

static int run_ls(int argc, char **argv)
{
	struct show how = { .table = true, .choice = TABLE_CHOICE_INIT };
	int status;

	status = parse_options(&ls_command, argc, argv, &how);
	if (status >= 0)
		return status;
	if (!table_choice_valid(&how.choice, how.json))
		return EXIT_USAGE;

	return show(&how, argv + optind, argc - optind);
}

const struct command ls_command = {
	.name = "ls",
	.operands = "[MAILBOX...]",
	.summary = "list the mailboxes that you may see",
	.about = "List the mailboxes that you can open or that you own. With MAILBOX, list only\n"
		 "the given ones.\n",
	.options = {
		{ 'j', "json", NULL, "print everything as a JSON array" },
		{ OPT_SYSV, "sysv", NULL,
		  "list only the queues of libmbox-sysv.so, with\n"
		  SYSV_COLUMNS },
		TABLE_OPTIONS,
	},
	.table = &mailbox_table,
	.set = set_option,
	.run = run_ls,
};

static int run_stat(int argc, char **argv)
{
	struct show how = { .choice = TABLE_CHOICE_INIT };
	int status;

	status = parse_options(&stat_command, argc, argv, &how);
	if (status >= 0)
		return status;

	if (optind == argc)
		return usage_error("no mailbox given");

	return show(&how, argv + optind, argc - optind);
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
