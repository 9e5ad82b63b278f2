// SPDX-License-Identifier: GPL-2.0-only
/* mboxctl export: the state of mailboxes for Prometheus, in its text format. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "attr.h"
#include "common.h"
#include "list.h"
#include "text.h"

/**
 * struct metric - a number that every mailbox has
 * @name: its name
 * @type: as in the text format
 * @help: what it is
 * @offset: of the number in struct mbox_stat
 * @size: 4 or 8: its size
 * @unit: what one is, in the unit of the metric
 */
struct metric {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
	size_t size;
	double unit;
};

static const struct metric metrics[] = {
	{ "mbox_queued_messages", "gauge",
	  "Messages in the mailbox.",
	  offsetof(struct mbox_stat, queued), 4, 1 },
	{ "mbox_queued_bytes", "gauge",
	  "Bytes of the messages in the mailbox.",
	  offsetof(struct mbox_stat, bytes), 8, 1 },
	{ "mbox_capacity_messages", "gauge",
	  "Messages that the mailbox can hold.",
	  offsetof(struct mbox_stat, attr.capacity), 4, 1 },
	{ "mbox_highest_messages", "gauge",
	  "The most messages at one time.",
	  offsetof(struct mbox_stat, highest), 4, 1 },
	{ "mbox_oldest_message_seconds", "gauge",
	  "Age of the oldest message.",
	  offsetof(struct mbox_stat, oldest_ns), 8, 1 / 1e9 },
	{ "mbox_leased_messages", "gauge",
	  "Messages on lease.",
	  offsetof(struct mbox_stat, leased), 4, 1 },
	{ "mbox_waiting_senders", "gauge",
	  "Calls that wait to send.",
	  offsetof(struct mbox_stat, waiting_senders), 4, 1 },
	{ "mbox_waiting_receivers", "gauge",
	  "Calls that wait to receive.",
	  offsetof(struct mbox_stat, waiting_receivers), 4, 1 },
	{ "mbox_send_handles", "gauge",
	  "Handles that may send.",
	  offsetof(struct mbox_stat, send_handles), 4, 1 },
	{ "mbox_receive_handles", "gauge",
	  "Handles that may receive.",
	  offsetof(struct mbox_stat, recv_handles), 4, 1 },
	{ "mbox_stalled_seconds", "gauge",
	  "How long a ring has been held up.",
	  offsetof(struct mbox_stat, stalled_ns), 8, 1 / 1e9 },
	{ "mbox_sent_messages_total", "counter",
	  "Messages accepted.",
	  offsetof(struct mbox_stat, sent), 8, 1 },
	{ "mbox_received_messages_total", "counter",
	  "Messages delivered.",
	  offsetof(struct mbox_stat, received), 8, 1 },
	{ "mbox_dropped_messages_total", "counter",
	  "Messages dropped by the overflow policy.",
	  offsetof(struct mbox_stat, dropped), 8, 1 },
	{ "mbox_expired_messages_total", "counter",
	  "Messages whose lifespan ended.",
	  offsetof(struct mbox_stat, expired), 8, 1 },
	{ "mbox_redelivered_messages_total", "counter",
	  "Leases of messages that had been on lease before.",
	  offsetof(struct mbox_stat, redelivered), 8, 1 },
	{ "mbox_dead_letters_total", "counter",
	  "Messages given up after leases.",
	  offsetof(struct mbox_stat, dead_letters), 8, 1 },
};

static double value_of(const struct metric *metric, const struct mbox_stat *st)
{
	const char *at = (const char *)st + metric->offset;
	uint64_t wide;
	uint32_t narrow;

	if (metric->size == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return wide * metric->unit;
	}
	memcpy(&narrow, at, sizeof(narrow));

	return narrow * metric->unit;
}

/* What tells a mailbox from others; its name may have any bytes. */
static void print_labels(const struct mbox_walk *item)
{
	printf("{id=\"%" PRIu64 "\",namespace=\"%" PRIu64 "\",kind=\"%s\",name=\"",
	       (uint64_t)item->id, (uint64_t)item->ns, kind_text(item->stat.attr.mode));
	text_print_label(item->name);
	printf("\"");
}

static void print_metric(const struct metric *metric, const struct list *list)
{
	const struct mbox_stat *st;
	size_t i;

	printf("# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
	       metric->type);
	for (i = 0; i < list->n; i++) {
		st = &list->items[i].stat;
		printf("%s", metric->name);
		print_labels(&list->items[i]);
		if (metric->offset == offsetof(struct mbox_stat, attr.capacity) &&
		    st->attr.capacity == MBOX_UNBOUNDED)
			printf("} +Inf\n");
		else
			printf("} %.17g\n", value_of(metric, st));
	}
}

/*
 * How long messages waited, as a histogram. Each bucket has all that waited less. The sum
 * is what it is at least: each message waited as long as its place begins.
 */
static void print_waits(const struct list *list)
{
	static const char name[] = "mbox_wait_seconds";
	const struct mbox_stat *st;
	uint64_t count;
	double sum;
	size_t i;
	int j;

	printf("# HELP %s How long messages waited; the sum is a lower bound.\n", name);
	printf("# TYPE %s histogram\n", name);
	for (i = 0; i < list->n; i++) {
		st = &list->items[i].stat;
		count = 0;
		sum = 0;
		for (j = 0; j < MBOX_WAIT_BUCKETS; j++) {
			count += st->waited[j];
			sum += j ? st->waited[j] * 0.001 * (1U << (j - 1)) : 0;
			printf("%s_bucket", name);
			print_labels(&list->items[i]);
			if (j < MBOX_WAIT_BUCKETS - 1)
				printf(",le=\"%g\"} %" PRIu64 "\n", 0.001 * (1U << j), count);
			else
				printf(",le=\"+Inf\"} %" PRIu64 "\n", count);
		}
		printf("%s_sum", name);
		print_labels(&list->items[i]);
		printf("} %.17g\n%s_count", sum, name);
		print_labels(&list->items[i]);
		printf("} %" PRIu64 "\n", count);
	}
}

static int run_export(int argc, char **argv)
{
	struct list all = { 0 }, chosen = { 0 };
	const struct list *list = &all;
	int status;
	size_t i;

	status = parse_options(&export_command, argc, argv, NULL);
	if (status >= 0)
		return status;

	status = EXIT_OK;
	if (!list_all(&all)) {
		list_free(&all);
		return EXIT_FAILED;
	}
	if (optind < argc)
		list = &chosen;
	for (; optind < argc; optind++) {
		if (!list_target(&chosen, &all, argv[optind]))
			status = EXIT_FAILED;
	}
	for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(&metrics[i], list);
	print_waits(list);
	list_free(&chosen);
	list_free(&all);

	return status;
}

const struct command export_command = {
	.name = "export",
	.operands = "[MAILBOX...]",
	.summary = "print the state of mailboxes for Prometheus",
	.about = "Print the state of the mailboxes that you may see, or of the given ones, in the\n"
		 "text format of Prometheus.\n",
	.run = run_export,
};
