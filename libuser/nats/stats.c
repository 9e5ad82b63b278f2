// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the routes have done: as a service of NATS ($SRV.PING, $SRV.INFO, $SRV.STATS), and
 * as a file in the text format of Prometheus.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge.h"

#define VERBS 3

static const char *const verbs[VERBS] = { "PING", "INFO", "STATS" };
static const char *const types[VERBS] = { "ping", "info", "stats" };

static void put_escaped(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(to, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(to, "\\u%04x", *text);
		else
			fputc(*text, to);
	}
}

static void put_text(FILE *to, const char *key, const char *text)
{
	fprintf(to, "\"%s\":\"", key);
	put_escaped(to, text);
	fputc('"', to);
}

static void put_number(FILE *to, const char *key, uint64_t value)
{
	fprintf(to, ",\"%s\":%" PRIu64, key, value);
}

static void put_data(FILE *to, struct route *route)
{
	const struct counters *n = &route->n;

	fprintf(to, ",\"data\":{");
	put_text(to, "mailbox", route->conf.mailbox);
	put_number(to, "bytes", n->bytes);
	put_number(to, "retries", n->retries);
	put_number(to, "duplicates", n->duplicates);
	put_number(to, "dead_letters", n->dead);
	put_number(to, "rejected", n->rejected);
	put_number(to, "dropped", n->dropped + route_dropped(route));
	put_number(to, "late", n->late);
	fputc('}', to);
}

static void put_endpoint(FILE *to, struct route *route, unsigned int i, bool stats)
{
	const struct counters *n = &route->n;

	fprintf(to, "%s{\"name\":\"%s-%u\",", i ? "," : "", kind_name(route->conf.kind), i);
	put_text(to, "subject", route->conf.subject);
	if (route->conf.queue) {
		fputc(',', to);
		put_text(to, "queue_group", route->conf.queue);
	}
	if (stats) {
		put_number(to, "num_requests", n->messages + n->errors);
		put_number(to, "num_errors", n->errors);
		fputc(',', to);
		put_text(to, "last_error", route->error);
		put_number(to, "processing_time", n->ns);
		put_number(to, "average_processing_time", n->messages ? n->ns / n->messages : 0);
		put_data(to, route);
	}
	fputc('}', to);
}

static char *describe(struct bridge *bridge, unsigned int verb)
{
	struct route *route;
	unsigned int i = 0;
	size_t size = 0;
	char *text = NULL;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fputc('{', to);
	put_text(to, "name", bridge->conf.name);
	fprintf(to, ",\"id\":\"%s\",\"version\":\"%s\"", bridge->id, MBOX_VERSION);
	fprintf(to, ",\"metadata\":{},\"type\":\"io.nats.micro.v1.%s_response\"", types[verb]);
	if (verb) {
		if (verb == 2)
			fprintf(to, ",\"started\":\"%s\"", bridge->started);
		else
			fprintf(to, ",\"description\":\"mailboxes of one machine\"");
		fprintf(to, ",\"endpoints\":[");
		for (route = bridge->routes; route; route = route->next)
			put_endpoint(to, route, i++, verb == 2);
		fputc(']', to);
	}
	fputc('}', to);
	fclose(to);
	return text;
}

/* Subscribe to what the convention names. */
void stats_attach(struct bridge *bridge)
{
	unsigned int i, form, n = 0;
	char subject[300];

	bridge->stats_inbox = inbox_new(bridge->event, 64);
	if (!bridge->stats_inbox)
		return;
	for (i = 0; i < VERBS; i++) {
		for (form = 0; form < 3; form++) {
			snprintf(subject, sizeof(subject), "$SRV.%s%s%s%s%s", verbs[i],
				 form ? "." : "", form ? bridge->conf.name : "", form > 1 ? "." : "",
				 form > 1 ? bridge->id : "");
			if (inbox_subscribe(bridge->stats_inbox, &bridge->stats[n], bridge,
					    subject, NULL, 64) == NATS_OK)
				n++;
		}
	}
}

void stats_detach(struct bridge *bridge)
{
	unsigned int i;

	inbox_close(bridge->stats_inbox);
	bridge->stats_inbox = NULL;
	for (i = 0; i < 3 * VERBS; i++) {
		natsSubscription_Destroy(bridge->stats[i]);
		bridge->stats[i] = NULL;
	}
}

/* Answer those that have asked. */
void stats_run(struct bridge *bridge)
{
	unsigned int i;
	natsMsg *msg;

	while (bridge->stats_inbox && (msg = inbox_take(bridge->stats_inbox))) {
		const char *verb = natsMsg_GetSubject(msg) + strlen("$SRV.");

		for (i = 0; i < VERBS; i++) {
			const char *reply = natsMsg_GetReply(msg);
			char *text;

			if (strncmp(verb, verbs[i], strlen(verbs[i])) || !reply)
				continue;
			text = describe(bridge, i);
			if (text)
				natsConnection_PublishString(bridge->nc, reply, text);
			free(text);
		}
		natsMsg_Destroy(msg);
	}
}

/* ---- Prometheus -------------------------------------------------------------- */

static void put_label(FILE *to, const char *key, const char *text)
{
	fprintf(to, "%s=\"", key);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(to, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", to);
		else
			fputc(*text, to);
	}
	fputc('"', to);
}

/* Two routes of one kind between the same two differ in the group. */
static void put_labels(FILE *to, const struct route_conf *conf)
{
	const char *group = conf->queue ?: conf->durable;

	fputc('{', to);
	put_label(to, "kind", kind_name(conf->kind));
	fputc(',', to);
	put_label(to, "mailbox", conf->mailbox);
	fputc(',', to);
	put_label(to, "subject", conf->subject);
	if (group) {
		fputc(',', to);
		put_label(to, "group", group);
	}
	fputc('}', to);
}

static void put_metric(FILE *to, struct bridge *bridge, const char *name, const char *help,
		       size_t offset)
{
	struct route *route;

	fprintf(to, "# HELP mbox_nats_%s_total %s\n# TYPE mbox_nats_%s_total counter\n", name, help,
		name);
	for (route = bridge->routes; route; route = route->next) {
		uint64_t value = *(const uint64_t *)((const char *)&route->n + offset);

		if (offset == offsetof(struct counters, dropped))
			value += route_dropped(route);
		fprintf(to, "mbox_nats_%s_total", name);
		put_labels(to, &route->conf);
		fprintf(to, " %" PRIu64 "\n", value);
	}
}

/* The folder may be open to others: a link that somebody has put there is not followed. */
static FILE *new_file(const char *path)
{
	FILE *to = NULL;
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0)
		to = fdopen(fd, "w");
	if (fd >= 0 && !to)
		close(fd);
	return to;
}

static void note_written(struct bridge *bridge)
{
	struct route *route;

	bridge->metrics_up = bridge->up;
	bridge->metrics_routes = 0;
	for (route = bridge->routes; route; route = route->next) {
		route->written = route->n;
		route->written_dropped = route_dropped(route);
		bridge->metrics_routes++;
	}
}

bool metrics_changed(struct bridge *bridge)
{
	unsigned int routes = 0;
	struct route *route;

	if (!bridge->conf.metrics)
		return false;
	for (route = bridge->routes; route; route = route->next) {
		if (memcmp(&route->n, &route->written, sizeof(route->n)) ||
		    route_dropped(route) != route->written_dropped)
			return true;
		routes++;
	}
	return bridge->metrics_up != bridge->up || bridge->metrics_routes != routes;
}

/* Said once, until it can be written again. */
static void cannot_write(struct bridge *bridge, const char *file, int error)
{
	if (!bridge->metrics_failed)
		say("%s: %s", file, strerror(error));
	bridge->metrics_failed = true;
}

/**
 * metrics_write() - write the counters to the file that the settings name
 * @bridge: the bridge
 *
 * Whoever reads it sees the old file or the new one, never a part.
 */
void metrics_write(struct bridge *bridge)
{
	const char *path = bridge->conf.metrics;
	char new[4096];
	bool failed;
	FILE *to;

	if (!path)
		return;
	/* Also if it fails now: it is tried again when there is something new. */
	note_written(bridge);
	snprintf(new, sizeof(new), "%s.new", path);
	to = new_file(new);
	if (!to) {
		cannot_write(bridge, new, errno);
		return;
	}
	fprintf(to, "# HELP mbox_nats_connected Whether there is a connection.\n"
		    "# TYPE mbox_nats_connected gauge\nmbox_nats_connected %d\n",
		bridge->up);
#define METRIC(field, help) put_metric(to, bridge, #field, help, offsetof(struct counters, field))
	METRIC(messages, "Messages, requests or calls that were passed on.");
	METRIC(bytes, "Their payloads.");
	METRIC(errors, "Those that failed.");
	METRIC(retries, "Messages that were sent again.");
	METRIC(duplicates, "Messages that the other side had already.");
	METRIC(dead, "Messages that went to the dead-letter mailbox.");
	METRIC(rejected, "Messages that nobody could take.");
	METRIC(dropped, "Messages that came faster than they were taken.");
	METRIC(late, "Replies whose caller had gone.");
#undef METRIC
	failed = ferror(to);
	if (fclose(to) || failed) {
		cannot_write(bridge, new, errno);
		unlink(new);
	} else if (rename(new, path)) {
		cannot_write(bridge, path, errno);
	} else {
		bridge->metrics_failed = false;
	}
}
