// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends of a path through JetStream, for bench/nats.sh.
 *
 * usage: nats_rate pub URL SUBJECT BYTES WINDOW
 *        nats_rate sub URL SUBJECT WINDOW SECONDS
 *        nats_rate send MAILBOX BYTES
 *        nats_rate recv MAILBOX SECONDS
 *
 * pub and send go on until they are killed. sub and recv let WARM_UP pass, and then print how
 * many messages a second came in SECONDS. pub has WINDOW messages under way that the stream
 * has not acknowledged; sub fetches as many at a time, and acknowledges each.
 */
#include <errno.h>
#include <mbox.h>
#include <nats/nats.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_UP 3

static char data[1 << 16];

static int failed(const char *what, const char *why)
{
	fprintf(stderr, "nats_rate: %s: %s\n", what, why);
	return 1;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* A message has come: whether there has been enough of them. */
static int enough(double seconds)
{
	static double begin, first;
	static uint64_t n;
	double t = now();

	if (!begin)
		begin = t;
	if (t - begin < WARM_UP)
		return 0;
	if (!first)
		first = t;
	n++;
	if (t - first < seconds)
		return 0;
	printf("%.0f\n", n / (t - first));
	return 1;
}

static natsStatus connect_to(const char *url, int window, natsConnection **nc, jsCtx **js)
{
	natsStatus status = natsConnection_ConnectTo(nc, url);
	jsOptions options;

	if (status != NATS_OK)
		return status;
	jsOptions_Init(&options);
	options.PublishAsync.MaxPending = window;
	/* How long it may wait for the window, in milliseconds. */
	options.PublishAsync.StallWait = 30000;
	return natsConnection_JetStream(js, *nc, &options);
}

static int publish(const char *url, const char *subject, size_t bytes, int window)
{
	natsConnection *nc = NULL;
	natsStatus status;
	jsCtx *js = NULL;

	status = connect_to(url, window, &nc, &js);
	while (status == NATS_OK)
		status = js_PublishAsync(js, subject, data, bytes, NULL);
	return failed("pub", natsStatus_GetText(status));
}

static int subscribe(const char *url, const char *subject, int window, double seconds)
{
	natsSubscription *sub = NULL;
	natsConnection *nc = NULL;
	natsMsgList list = { 0 };
	natsStatus status;
	jsCtx *js = NULL;
	int i, end = 0;

	status = connect_to(url, window, &nc, &js);
	if (status == NATS_OK)
		status = js_PullSubscribe(&sub, js, subject, "rate", NULL, NULL, NULL);
	while (status == NATS_OK && !end) {
		status = natsSubscription_Fetch(&list, sub, window, 10000, NULL);
		for (i = 0; status == NATS_OK && i < list.Count; i++) {
			status = natsMsg_Ack(list.Msgs[i], NULL);
			end |= enough(seconds);
		}
		natsMsgList_Destroy(&list);
	}
	return status == NATS_OK ? 0 : failed("sub", natsStatus_GetText(status));
}

static int send_all(const char *name, size_t bytes)
{
	struct mbox *mb = mbox_open(name, O_WRONLY);

	while (mb && !mbox_send(mb, data, bytes, 0))
		;
	return failed(name, strerror(errno));
}

static int receive(const char *name, double seconds)
{
	struct mbox *mb = mbox_open(name, O_RDONLY);

	while (mb && mbox_recv(mb, data, sizeof(data), 0) >= 0) {
		if (enough(seconds))
			return 0;
	}
	return failed(name, strerror(errno));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	size_t bytes = argc > 3 ? strtoul(argv[argc == 6 ? 4 : 3], NULL, 10) : 0;

	if (bytes > sizeof(data))
		return failed(what, "too many bytes");
	if (argc == 6 && !strcmp(what, "pub"))
		return publish(argv[2], argv[3], bytes, atoi(argv[5]));
	if (argc == 6 && !strcmp(what, "sub"))
		return subscribe(argv[2], argv[3], atoi(argv[4]), atof(argv[5]));
	if (argc == 4 && !strcmp(what, "send"))
		return send_all(argv[2], bytes);
	if (argc == 4 && !strcmp(what, "recv"))
		return receive(argv[2], atof(argv[3]));
	return failed("usage", "pub, sub, send or recv");
}
