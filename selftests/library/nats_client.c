// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of NATS for scripts: it knows nothing of mailboxes.
 *
 * usage: nats_client URL pub [-c COUNT] [-H KEY:VALUE]... SUBJECT TEXT
 *        nats_client URL sub [-n COUNT] [-q QUEUE] [-t MS] SUBJECT
 *        nats_client URL req [-H KEY:VALUE]... [-t MS] SUBJECT TEXT
 *        nats_client PATH notify
 *        nats_client URL reply [-n COUNT] [-q QUEUE] [-t MS] SUBJECT TEXT
 *
 * notify prints what services tell their manager at a socket.
 * What is received is printed as "SUBJECT [KEY=VALUE ...] TEXT". TEXT of pub can have one
 * %d, the number of the message; @FILE is the contents of a file. Exit status: 0; 1: an
 * error; 3: not all came in the time given.
 */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADERS_MAX 16

static struct {
	const char *headers[HEADERS_MAX];
	int header_count;
	long count;
	long timeout;
	const char *queue;
} options = { .count = 1, .timeout = 5000 };

static int fail(const char *what, natsStatus status)
{
	fprintf(stderr, "nats_client: %s: %s: %s\n", what, natsStatus_GetText(status),
		nats_GetLastError(NULL) ?: "");
	return status == NATS_TIMEOUT ? 3 : 1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print(natsMsg *msg)
{
	const char **keys = NULL, *value;
	int n = 0, i;

	printf("%s [", natsMsg_GetSubject(msg));
	if (natsMsgHeader_Keys(msg, &keys, &n) == NATS_OK)
		qsort(keys, n, sizeof(*keys), by_name);
	for (i = 0; i < n; i++) {
		if (natsMsgHeader_Get(msg, keys[i], &value) == NATS_OK)
			printf("%s%s=%s", i ? " " : "", keys[i], value ?: "");
	}
	free(keys);
	printf("] %.*s\n", natsMsg_GetDataLength(msg), natsMsg_GetData(msg) ?: "");
	fflush(stdout);
}

static natsMsg *make(const char *subject, const char *text, long i)
{
	char *data = NULL;
	natsMsg *msg = NULL;
	size_t len = 0;
	const char *at = strstr(text, "%d");
	FILE *f;

	if (*text == '@') {
		f = fopen(text + 1, "r");
		if (!f || getdelim(&data, &len, EOF, f) < 0)
			exit(fail(text, NATS_ERR));
		fclose(f);
	} else if (at) {
		if (asprintf(&data, "%.*s%ld%s", (int)(at - text), text, i, at + 2) < 0)
			exit(1);
	} else {
		data = strdup(text);
	}
	if (natsMsg_Create(&msg, subject, NULL, data, strlen(data)) != NATS_OK)
		exit(1);
	free(data);
	for (i = 0; i < options.header_count; i++) {
		char key[128];
		const char *colon = strchr(options.headers[i], ':');

		snprintf(key, sizeof(key), "%.*s", (int)(colon - options.headers[i]),
			 options.headers[i]);
		if (natsMsgHeader_Set(msg, key, colon + 1) != NATS_OK)
			exit(1);
	}
	return msg;
}

static int publish(natsConnection *nc, const char *subject, const char *text)
{
	natsStatus status = NATS_OK;
	long i;

	for (i = 1; status == NATS_OK && i <= options.count; i++) {
		natsMsg *msg = make(subject, text, i);

		status = natsConnection_PublishMsg(nc, msg);
		natsMsg_Destroy(msg);
	}
	if (status == NATS_OK)
		status = natsConnection_FlushTimeout(nc, options.timeout);
	return status == NATS_OK ? 0 : fail("pub", status);
}

static int request(natsConnection *nc, const char *subject, const char *text)
{
	natsMsg *msg = make(subject, text, 1), *reply = NULL;
	natsStatus status = natsConnection_RequestMsg(&reply, nc, msg, options.timeout);

	natsMsg_Destroy(msg);
	if (status != NATS_OK)
		return fail("req", status);
	print(reply);
	natsMsg_Destroy(reply);
	return 0;
}

/* With a text, each message gets it, and what came behind it, as its reply. */
static int subscribe(natsConnection *nc, const char *subject, const char *text)
{
	natsSubscription *sub = NULL;
	natsStatus status;
	char *data;
	long i;

	if (options.queue)
		status = natsConnection_QueueSubscribeSync(&sub, nc, subject, options.queue);
	else
		status = natsConnection_SubscribeSync(&sub, nc, subject);
	if (status == NATS_OK)
		status = natsConnection_FlushTimeout(nc, options.timeout);
	if (status != NATS_OK)
		return fail("sub", status);
	puts("ready");
	fflush(stdout);
	for (i = 0; i < options.count; i++) {
		natsMsg *msg = NULL;

		status = natsSubscription_NextMsg(&msg, sub, options.timeout);
		if (status != NATS_OK)
			return fail("sub", status);
		print(msg);
		if (text && asprintf(&data, "%s%.*s", text, natsMsg_GetDataLength(msg),
				     natsMsg_GetData(msg)) >= 0) {
			natsConnection_PublishString(nc, natsMsg_GetReply(msg), data);
			free(data);
		}
		natsMsg_Destroy(msg);
	}
	natsConnection_FlushTimeout(nc, options.timeout);
	return 0;
}

static int notify(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[1024];
	ssize_t len;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return 1;
	while ((len = recv(fd, text, sizeof(text), 0)) >= 0) {
		printf("%.*s\n", (int)len, text);
		fflush(stdout);
	}
	return 1;
}

int main(int argc, char **argv)
{
	natsConnection *nc = NULL;
	const char *url, *verb, *subject, *text;
	natsStatus status;
	int opt;

	if (argc == 3 && !strcmp(argv[2], "notify"))
		return notify(argv[1]);
	if (argc < 4)
		return 2;
	url = argv[1];
	verb = argv[2];
	argc -= 2;
	argv += 2;
	while ((opt = getopt(argc, argv, "c:n:t:q:H:")) != -1) {
		switch (opt) {
		case 'c':
		case 'n':
			options.count = atol(optarg);
			break;
		case 't':
			options.timeout = atol(optarg);
			break;
		case 'q':
			options.queue = optarg;
			break;
		case 'H':
			if (!strchr(optarg, ':') || options.header_count == HEADERS_MAX)
				return 2;
			options.headers[options.header_count++] = optarg;
			break;
		default:
			return 2;
		}
	}
	subject = argv[optind];
	text = argv[optind] ? argv[optind + 1] : NULL;
	if (!subject || (!text && strcmp(verb, "sub")))
		return 2;
	status = natsConnection_ConnectTo(&nc, url);
	if (status != NATS_OK)
		return fail(url, status);
	if (!strcmp(verb, "pub"))
		return publish(nc, subject, text);
	if (!strcmp(verb, "req"))
		return request(nc, subject, text);
	if (!strcmp(verb, "sub") || !strcmp(verb, "reply"))
		return subscribe(nc, subject, *verb == 'r' ? text : NULL);
	return 2;
}
