// SPDX-License-Identifier: LGPL-2.1-or-later
/* The file of routes, and options, which are lines of such a file. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bridge.h"

#define WORDS_MAX 32
/* What JetStream allows. */
#define REPLICAS_MAX 5
/* Of the names in a request to JetStream. */
#define NAMES_MAX 700

static const char *const kind_names[] = { "export", "import", "serve", "call" };

/* The word that a line of the file has for it. */
const char *kind_name(enum route_kind kind)
{
	return kind_names[kind];
}

__attribute__((format(printf, 2, 3))) static bool wrong(const char *place, const char *fmt, ...)
{
	va_list va;

	fprintf(stderr, "mbox-nats: %s: ", place);
	va_start(va, fmt);
	vfprintf(stderr, fmt, va);
	va_end(va);
	fputc('\n', stderr);
	return false;
}

static char *copy(const char *text)
{
	char *to = strdup(text);

	if (!to) {
		perror("mbox-nats");
		exit(1);
	}
	return to;
}

static bool number(const char *place, const char *word, const char *value, unsigned int max,
		   unsigned int *to)
{
	unsigned long v;
	char *end;

	if (!value)
		return wrong(place, "%s wants a number", word);
	errno = 0;
	v = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || !v || v > max)
		return wrong(place, "%s %s: not a number from 1 to %u", word, value, max);
	*to = v;
	return true;
}

/* What NATS allows; wildcards are allowed to those that listen. */
static bool subject(const char *place, const char *text, bool wildcards)
{
	const char *part = text;

	for (;;) {
		size_t len = strcspn(part, ".");

		if (!len)
			return wrong(place, "%s: a part of the subject is empty", text);
		if (memchr(part, '*', len) || memchr(part, '>', len)) {
			if (!wildcards)
				return wrong(place, "%s: wildcards are for import and serve", text);
			if (len != 1 || (*part == '>' && part[1]))
				return wrong(place, "%s: this wildcard stands in a wrong place",
					     text);
		}
		if (!part[len])
			return true;
		part += len + 1;
	}
}

/* Names of streams and consumers go into subjects and JSON. */
static bool name(const char *place, const char *word, const char *text)
{
	if (text[strcspn(text, ".*>\"\\/")])
		return wrong(place, "%s %s: a name without . * > / \\ and \"", word, text);
	return true;
}

/* The requests in which a subject stands are JSON. */
static bool subject_in_json(const char *place, const struct route_conf *route)
{
	const char *text = route->subject;

	if (text[strcspn(text, "\"\\")])
		return wrong(place, "%s: a subject of JetStream is without \\ and \"", text);
	if (strlen(text) + strlen(route->stream ?: "") + strlen(route->durable ?: "") > NAMES_MAX)
		return wrong(place, "subject, stream and consumer have more than %d bytes",
			     NAMES_MAX);
	return true;
}

static bool one_of(enum route_kind kind, const char *kinds)
{
	return strchr(kinds, kind_names[kind][0]);
}

/* The options of a route; each letter of kinds is the first one of a kind's name. */
static bool route_option(struct route_conf *route, char ***words, const char *place)
{
	char *word = *(*words)++, *value = **words;
	static const struct {
		const char *word;
		const char *kinds;
		size_t offset;
	} texts[] = {
		{ "queue", "is", offsetof(struct route_conf, queue) },
		{ "durable", "i", offsetof(struct route_conf, durable) },
		{ "stream", "ei", offsetof(struct route_conf, stream) },
		{ "dead-letter", "ei", offsetof(struct route_conf, dead_letter) },
	};
	unsigned int seconds;
	size_t i;

	if (!strcmp(word, "jetstream") && one_of(route->kind, "e")) {
		route->jetstream = true;
		return true;
	}
	if (!strcmp(word, "trust") && one_of(route->kind, "is")) {
		route->trust = true;
		return true;
	}
	if (value && (!strcmp(value, "->") || !strcmp(value, "<-")))
		value = NULL;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char **to = (char **)((char *)route + texts[i].offset);

		if (strcmp(word, texts[i].word) || !one_of(route->kind, texts[i].kinds))
			continue;
		if (!value)
			return wrong(place, "%s wants a name", word);
		if (*to)
			return wrong(place, "%s stands there twice", word);
		if (strcmp(word, "dead-letter") && !name(place, word, value))
			return false;
		*to = copy(value);
		++*words;
		return true;
	}
	if (!strcmp(word, "window") && number(place, word, value, WINDOW_MAX, &route->window)) {
		++*words;
		return true;
	}
	if (!strcmp(word, "replicas") && one_of(route->kind, "e"))
		return number(place, word, value, REPLICAS_MAX, &route->replicas) && ++*words;
	if (!strcmp(word, "timeout") && one_of(route->kind, "esc") &&
	    number(place, word, value, 86400, &seconds)) {
		route->timeout_ns = seconds * NSEC_PER_SEC;
		++*words;
		return true;
	}
	if (!strcmp(word, "reply-max") && one_of(route->kind, "s") &&
	    number(place, word, value, 1U << 30, &route->reply_max)) {
		++*words;
		return true;
	}
	if (!strcmp(word, "window") || !strcmp(word, "timeout") || !strcmp(word, "reply-max")) {
		/* number() has told of its value. */
		return one_of(route->kind, *word == 'r' ? "s" : *word == 't' ? "esc"
									     : "eisc")
			       ? false
			       : wrong(place, "%s is not for %s", word,
				       kind_names[route->kind]);
	}
	return wrong(place, "%s: not a word for %s", word, kind_names[route->kind]);
}

static char *join(char **words)
{
	size_t size = 1;
	char *text;
	int i;

	for (i = 0; words[i]; i++)
		size += strlen(words[i]) + 1;
	text = calloc(1, size);
	if (!text) {
		perror("mbox-nats");
		exit(1);
	}
	for (i = 0; words[i]; i++) {
		if (i)
			strcat(text, " ");
		strcat(text, words[i]);
	}
	return text;
}

static unsigned int default_window(const struct route_conf *route)
{
	switch (route->kind) {
	case ROUTE_EXPORT:
		return 256;
	case ROUTE_IMPORT:
		return route->durable ? 256 : WINDOW_MAX;
	default:
		return 64;
	}
}

/* They would have one ledger, and one of them would take the numbers of the other. */
static bool same_export(const struct route_conf *a, const struct route_conf *b)
{
	return a->kind == ROUTE_EXPORT && b->kind == ROUTE_EXPORT &&
	       !strcmp(a->mailbox, b->mailbox) && !strcmp(a->subject, b->subject);
}

/* The second one could not make it. */
static bool same_stream(const struct route_conf *a, const struct route_conf *b)
{
	return a->kind == ROUTE_EXPORT && b->kind == ROUTE_EXPORT && a->stream && b->stream &&
	       !strcmp(a->stream, b->stream) && strcmp(a->subject, b->subject);
}

/* KIND FIRST [OPTION]... ARROW SECOND [OPTION]... */
static bool route_line(struct conf *conf, enum route_kind kind, char **words, const char *place)
{
	const char *arrow = kind == ROUTE_SERVE ? "<-" : "->", *first, *second;
	struct route_conf route = {
		.kind = kind,
		.text = join(words),
		.timeout_ns = (kind == ROUTE_EXPORT ? 5 : 30) * NSEC_PER_SEC,
		.reply_max = 8192,
	},
			  *routes;
	bool ok = true;
	unsigned int i;

	first = *++words;
	if (first)
		words++;
	while (first && ok && *words && strcmp(*words, arrow))
		ok = route_option(&route, &words, place);
	if (ok && (!first || !*words || !words[1] || !strcmp(first, arrow)))
		ok = wrong(place, "not of the form %s %s %s %s", kind_names[kind],
			   kind == ROUTE_IMPORT ? "SUBJECT" : "MAILBOX", arrow,
			   kind == ROUTE_IMPORT ? "MAILBOX" : "SUBJECT");
	if (ok) {
		second = words[1];
		words += 2;
		route.mailbox = copy(kind == ROUTE_IMPORT ? second : first);
		route.subject = copy(kind == ROUTE_IMPORT ? first : second);
		while (ok && *words)
			ok = route_option(&route, &words, place);
	}
	if (ok)
		ok = subject(place, route.subject, one_of(kind, "is"));
	if (ok && !route.window)
		route.window = default_window(&route);
	if (ok && route.queue && route.durable)
		ok = wrong(place, "queue and durable exclude each other");
	if (ok && route.stream && !route.durable && !route.jetstream)
		ok = wrong(place, "stream wants %s", kind == ROUTE_EXPORT ? "jetstream" : "durable");
	if (ok && route.replicas && !route.stream)
		ok = wrong(place, "replicas wants stream");
	if (ok && (route.stream || route.durable))
		ok = subject_in_json(place, &route);
	for (i = 0; ok && i < conf->count; i++) {
		if (!strcmp(conf->routes[i].text, route.text))
			ok = wrong(place, "this route stands there twice");
		else if (same_stream(&conf->routes[i], &route))
			ok = wrong(place, "the stream %s is made for one subject, and that is %s",
				   route.stream, conf->routes[i].subject);
		else if (same_export(&conf->routes[i], &route))
			ok = wrong(place, "there is an export from %s to %s", route.mailbox,
				   route.subject);
	}
	routes = ok ? realloc(conf->routes, (conf->count + 1) * sizeof(*routes)) : NULL;
	if (!routes) {
		route_conf_free(&route);
		return ok ? wrong(place, "%s", strerror(errno)) : false;
	}
	conf->routes = routes;
	conf->routes[conf->count++] = route;
	return true;
}

/* SETTING VALUE... */
static bool setting_line(struct conf *conf, char **words, const char *place)
{
	static const struct {
		const char *word;
		size_t first, second;
	} texts[] = {
		{ "server", offsetof(struct conf, servers), 0 },
		{ "name", offsetof(struct conf, name), 0 },
		{ "credentials", offsetof(struct conf, credentials), 0 },
		{ "nkey", offsetof(struct conf, nkey), offsetof(struct conf, nkey_seed) },
		{ "user", offsetof(struct conf, user), offsetof(struct conf, password) },
		{ "token", offsetof(struct conf, token), 0 },
		{ "ca", offsetof(struct conf, ca), 0 },
		{ "certificate", offsetof(struct conf, cert), offsetof(struct conf, key) },
		{ "domain", offsetof(struct conf, domain), 0 },
		{ "state", offsetof(struct conf, state), 0 },
		{ "metrics", offsetof(struct conf, metrics), 0 },
	};
	size_t i, k, n = 0;

	while (words[n])
		n++;
	if (!strcmp(words[0], "tls") && n == 1) {
		conf->tls = true;
		return true;
	}
	if (!strcmp(words[0], "pending") && n == 2)
		return number(place, "pending", words[1], INT_MAX, &conf->pending);
	if (!strcmp(words[0], "reconnect") && n == 2)
		return number(place, "reconnect", words[1], 3600000, &conf->reconnect_ms);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t offsets[] = { texts[i].first, texts[i].second };

		if (strcmp(words[0], texts[i].word))
			continue;
		if (n != (texts[i].second ? 3 : 2))
			return wrong(place, "%s wants %s", words[0],
				     texts[i].second ? "two values" : "one value");
		if (!strcmp(words[0], "name") && words[1][strcspn(words[1], ".*>\"\\")])
			return wrong(place, "name %s: without . * > \\ and \"", words[1]);
		if (!strcmp(words[0], "domain") && !name(place, "domain", words[1]))
			return false;
		for (k = 0; k < n - 1; k++) {
			char **to = (char **)((char *)conf + offsets[k]);

			free(*to);
			*to = copy(words[k + 1]);
		}
		return true;
	}
	return wrong(place, "%s: not a word that a line begins with", words[0]);
}

/**
 * conf_line() - read one line
 * @conf: what it is added to
 * @line: the line, which is changed
 * @place: what an error begins with
 *
 * Return: whether it is right; otherwise an error was printed.
 */
bool conf_line(struct conf *conf, char *line, const char *place)
{
	char *words[WORDS_MAX + 1], *save, *word;
	unsigned int n = 0, kind;

	line[strcspn(line, "#\n")] = 0;
	for (word = strtok_r(line, " \t\r", &save); word; word = strtok_r(NULL, " \t\r", &save)) {
		if (n == WORDS_MAX)
			return wrong(place, "too many words");
		words[n++] = word;
	}
	words[n] = NULL;
	if (!n)
		return true;
	for (kind = 0; kind < sizeof(kind_names) / sizeof(kind_names[0]); kind++) {
		if (!strcmp(words[0], kind_names[kind]))
			return route_line(conf, kind, words, place);
	}
	return setting_line(conf, words, place);
}

/**
 * conf_read() - read a file of routes
 * @conf: what it is added to
 * @file: its name
 *
 * Return: whether it is right; otherwise errors were printed.
 */
bool conf_read(struct conf *conf, const char *file)
{
	FILE *f = fopen(file, "re");
	unsigned int number = 0;
	char *line = NULL;
	size_t size = 0;
	bool ok = true;
	char place[512];

	if (!f)
		return wrong(file, "%s", strerror(errno));
	while (getline(&line, &size, f) >= 0) {
		snprintf(place, sizeof(place), "%s:%u", file, ++number);
		if (!conf_line(conf, line, place))
			ok = false;
	}
	if (ferror(f))
		ok = wrong(file, "%s", strerror(errno));
	free(line);
	fclose(f);
	return ok;
}

void route_conf_free(struct route_conf *conf)
{
	free(conf->text);
	free(conf->mailbox);
	free(conf->subject);
	free(conf->queue);
	free(conf->durable);
	free(conf->stream);
	free(conf->dead_letter);
}

/* Free all that is in it. */
void conf_free(struct conf *conf)
{
	unsigned int i;

	free(conf->servers);
	free(conf->name);
	free(conf->credentials);
	free(conf->nkey);
	free(conf->nkey_seed);
	free(conf->user);
	free(conf->password);
	free(conf->token);
	free(conf->ca);
	free(conf->cert);
	free(conf->key);
	free(conf->domain);
	free(conf->state);
	free(conf->metrics);
	for (i = 0; i < conf->count; i++)
		route_conf_free(&conf->routes[i]);
	free(conf->routes);
}
