// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * import: from a subject to a mailbox.
 *
 * With a durable consumer, the server is asked for as many messages as the mailbox has
 * room for, and each is acknowledged when the mailbox has it. If other senders take the
 * room in between, the messages wait here, and the server is told that work goes on. All
 * is done by the requests of the JetStream API, whose answers come to route.inbox.
 *
 * Without one, messages come as they are published. While the mailbox is full, they
 * collect in libnats, and what is beyond its limit is dropped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge.h"

/* Longest a request for messages lasts. */
#define PULL_EXPIRES (5 * NSEC_PER_SEC)
/* When the server must have said that it ended. */
#define PULL_LATE (7 * NSEC_PER_SEC)
#define API_TIMEOUT (5 * NSEC_PER_SEC)
#define API_PAUSE NSEC_PER_SEC
/* Not now; perhaps another machine can, and this one a second later. */
#define NAK_LATER "-NAK {\"delay\":1000000000}"
/* Of a consumer that is made here. */
#define ACK_WAIT (30 * NSEC_PER_SEC)
/* A mailbox without room is looked at after that, at the latest. */
#define FULL_AGAIN (NSEC_PER_SEC / 2)
/* epoll says that there is room, but there is not for this message. */
#define FULL_SPIN (2 * NSEC_PER_MSEC)
#define FULL_PAUSE (10 * NSEC_PER_MSEC)

/* Stream, consumer, time, subject. */
#define NEW_CONSUMER \
	"{\"stream_name\":\"%s\",\"config\":{\"durable_name\":\"%s\"," \
	"\"deliver_policy\":\"all\",\"ack_policy\":\"explicit\",\"ack_wait\":%llu," \
	"\"filter_subject\":\"%s\",\"replay_policy\":\"instant\"}}"

#define ERR_CONSUMER_NOT_FOUND 10014

enum step {
	/* Which stream has the subject. */
	FIND_STREAM,
	/* Whether there is the consumer. */
	FIND_CONSUMER,
	MAKE_CONSUMER,
	READY,
};

/* In the subject of the reply. Pulls have greater numbers. */
enum {
	REPLY_API = 1,
	REPLY_PULL = 2,
};

/**
 * struct importer - what an import has
 * @held: messages that the mailbox has not taken yet
 * @step: what comes next, with JetStream
 * @asked: the question of @step was sent
 * @until_ns: until when its answer is waited for, or when it is asked
 * @stream: the stream
 * @ack_wait: how long the server waits for an acknowledgment
 * @wanted: messages that are still to come from the last pull
 * @pull: its number
 * @pull_ns: when it was sent
 * @head: the oldest one
 * @count: how many
 * @size: of @held
 * @held_ns: when the server was last told that work goes on
 * @full_ns: when the mailbox last had no room
 * @seen: keys of messages that the mailbox has got
 */
struct importer {
	natsMsg **held;
	enum step step;
	bool asked;
	uint64_t until_ns;
	char stream[256];
	uint64_t ack_wait;
	unsigned int wanted;
	uint64_t pull;
	uint64_t pull_ns;
	unsigned int head;
	unsigned int count;
	unsigned int size;
	uint64_t held_ns;
	uint64_t full_ns;
	struct seen *seen;
};

static bool jetstream(const struct route *route)
{
	return route->conf.durable;
}

static int import_start(struct route *route)
{
	struct importer *im = calloc(1, sizeof(*im));

	if (!im)
		return -1;
	im->size = jetstream(route) ? route->conf.window : 1;
	im->held = calloc(im->size, sizeof(*im->held));
	im->seen = jetstream(route) ? seen_new() : NULL;
	if (!im->held || (jetstream(route) && !im->seen)) {
		free(im->held);
		free(im);
		return -1;
	}
	im->pull = REPLY_PULL;
	route->own = im;
	return 0;
}

static void begin(struct route *route)
{
	struct importer *im = route->own;

	im->step = route->conf.stream ? FIND_CONSUMER : FIND_STREAM;
	im->asked = false;
	im->until_ns = 0;
	im->wanted = 0;
	snprintf(im->stream, sizeof(im->stream), "%s", route->conf.stream ?: "");
}

static int import_attach(struct route *route)
{
	begin(route);
	if (jetstream(route))
		return route_subscribe_reply(route);
	route->inbox = inbox_new(route->bridge->event, 64);
	if (!route->inbox)
		return NATS_NO_MEMORY;
	return inbox_subscribe(route->inbox, &route->sub, route->bridge, route->conf.subject,
			       route->conf.queue, route->conf.window);
}

/* ---- the mailbox ------------------------------------------------------------- */

/* How many messages it would take now. */
static unsigned int room(struct route *route)
{
	struct mbox_stat st;
	uint64_t used;

	if (mbox_stat(route->mb, &st))
		return 0;
	if (st.attr.capacity == MBOX_UNBOUNDED ||
	    st.attr.flags & (MBOX_DROP_OLDEST | MBOX_DROP_NEWEST))
		return RUN_MAX;
	if (!st.attr.capacity)
		return st.waiting_receivers ? 1 : 0;
	used = (uint64_t)st.queued + st.leased;
	return used < st.attr.capacity ? st.attr.capacity - used : 0;
}

/* What the server is to know of a message. */
static void answer(struct route *route, const natsMsg *msg, const char *what)
{
	const char *to = natsMsg_GetReply(msg);

	if (jetstream(route) && to)
		natsConnection_PublishString(route->bridge->nc, to, what);
}

/*
 * $JS.ACK.STREAM.CONSUMER.DELIVERED.STREAM-SEQ.CONSUMER-SEQ.TIME.PENDING, or with a domain
 * and an account behind $JS.ACK, and perhaps more at the end. The number in the stream and
 * the time make a key that another stream of that name does not have.
 */
static bool key_of(const natsMsg *msg, uint64_t *key)
{
	const char *part = natsMsg_GetReply(msg), *parts[16];
	unsigned int n = 0, at;

	while (part && n < 16) {
		parts[n++] = part;
		part = strchr(part, '.');
		part = part ? part + 1 : NULL;
	}
	if (n < 9)
		return false;
	at = n == 9 ? 4 : 6;
	*key = strtoull(parts[at + 1], NULL, 10) + strtoull(parts[at + 3], NULL, 10);
	return true;
}

/*
 * The server sends a message again whose acknowledgment it did not get. How often it says
 * that it was delivered does not matter: a consumer whose state the servers lost starts
 * at the beginning, with messages that were never delivered.
 */
static bool seen_before(struct route *route, const natsMsg *msg)
{
	struct importer *im = route->own;
	uint64_t key;

	return im->seen && key_of(msg, &key) && seen_has(im->seen, key);
}

static void note_seen(struct route *route, const natsMsg *msg)
{
	struct importer *im = route->own;
	uint64_t key;

	if (im->seen && key_of(msg, &key))
		seen_add(im->seen, key);
}

static void reject(struct route *route, natsMsg *from, const char *why)
{
	route->n.errors++;
	route_reject(route, natsMsg_GetData(from), natsMsg_GetDataLength(from), 0, 0, why);
	answer(route, from, "+TERM");
}

static int send_as(struct route *route, struct mbox_msg *msg, const struct identity *identity)
{
	int ret, error;

	if (identity_take(identity))
		return -1;
	ret = mbox_sendmsg(route->mb, msg);
	error = errno;
	identity_drop(identity);
	errno = error;
	return ret;
}

static void over_quota(struct route *route, natsMsg *from, const struct identity *identity)
{
	char why[64];

	snprintf(why, sizeof(why), "the quota of user %u is used up", identity->uid);
	if (!jetstream(route)) {
		reject(route, from, why);
		return;
	}
	route_say(route, "%s", why);
	route->n.errors++;
	answer(route, from, NAK_LATER);
}

/* False: the mailbox does not take it now, and the message stays. */
static bool deliver(struct route *route, natsMsg *from)
{
	struct mbox_msg msg = MBOX_MSG_INIT(natsMsg_GetData(from), natsMsg_GetDataLength(from));
	struct identity identity = { 0 };

	if (seen_before(route, from)) {
		route->n.duplicates++;
		answer(route, from, "+ACK");
		return true;
	}
	msg.flags = MBOX_DONTWAIT;
	if (headers_get(from, &msg, route->conf.trust ? &identity : NULL)) {
		reject(route, from, "a header is malformed");
		return true;
	}
	if (route->attr.flags & MBOX_BROADCAST)
		msg.lifespan_ns = 0;
	if (!send_as(route, &msg, &identity)) {
		route->n.messages++;
		route->n.bytes += msg.len;
		note_seen(route, from);
		answer(route, from, "+ACK");
		return true;
	}
	switch (errno) {
	case EDQUOT:
		/* That user's; the messages of others do not wait for it. */
		if (identity.known) {
			over_quota(route, from, &identity);
			return true;
		}
		return false;
	case EAGAIN:
	case EINTR:
	case ENOMEM:
		return false;
	case EPERM:
		reject(route, from, "sending as another user is not permitted");
		return true;
	case EMSGSIZE:
	case EINVAL:
	case EOPNOTSUPP:
		reject(route, from, strerror(errno));
		return true;
	case EPIPE:
		/* MBOX_HANGUP: the receivers are gone; others may come. */
		route_say(route, "%s: no receiver", route->conf.mailbox);
		return false;
	default:
		route_lost(route, "cannot send");
		return false;
	}
}

/* ---- JetStream --------------------------------------------------------------- */

static void ask(struct route *route)
{
	char prefix[300], subject[1024], reply[128], text[1024] = "";
	struct importer *im = route->own;
	const char *durable = route->conf.durable;

	route_api(route, prefix, sizeof(prefix));
	snprintf(reply, sizeof(reply), "%s.%u", route->reply, REPLY_API);
	switch (im->step) {
	case FIND_STREAM:
		snprintf(subject, sizeof(subject), "%s.STREAM.NAMES", prefix);
		snprintf(text, sizeof(text), "{\"subject\":\"%s\"}", route->conf.subject);
		break;
	case FIND_CONSUMER:
		snprintf(subject, sizeof(subject), "%s.CONSUMER.INFO.%s.%s", prefix, im->stream,
			 durable);
		break;
	default:
		snprintf(subject, sizeof(subject), "%s.CONSUMER.DURABLE.CREATE.%s.%s", prefix,
			 im->stream, durable);
		snprintf(text, sizeof(text), NEW_CONSUMER, im->stream, durable, ACK_WAIT,
			 route->conf.subject);
	}
	im->asked = natsConnection_PublishRequestString(route->bridge->nc, subject, reply,
							text) == NATS_OK;
	im->until_ns = route->bridge->now + (im->asked ? API_TIMEOUT : API_PAUSE);
}

static void ask_later(struct importer *im, struct route *route)
{
	im->asked = false;
	im->until_ns = route->bridge->now + API_PAUSE;
}

static uint64_t json_number(const char *json, const char *key)
{
	const char *at = strstr(json, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void json_text(const char *json, const char *key, char *to, size_t size)
{
	const char *at = strstr(json, key);

	*to = 0;
	if (!at)
		return;
	at += strlen(key);
	for (; *at && *at != '"' && size > 1; size--) {
		unsigned int c;
		int used = 0;

		/* So the server writes > and others. */
		if (sscanf(at, "\\u00%2x%n", &c, &used) == 1) {
			*to++ = c;
			at += used;
		} else {
			*to++ = *at++;
		}
	}
	*to = 0;
}

/* Whether the consumer that there is delivers what the route is for. */
static bool filter_fits(struct route *route, const char *json)
{
	char filter[512];

	json_text(json, "\"filter_subject\":\"", filter, sizeof(filter));
	if (!strcmp(*filter ? filter : ">", route->conf.subject))
		return true;
	route_say(route, "%s is a consumer of %s", route->conf.durable,
		  *filter ? filter : "all subjects of the stream, or of several");
	return false;
}

static void answered(struct route *route, natsMsg *msg)
{
	struct importer *im = route->own;
	char json[4096], text[256];

	if (!im->asked || im->step == READY)
		return;
	ask_later(im, route);
	if (natsMsg_IsNoResponders(msg)) {
		route_say(route, "the server has no JetStream");
		return;
	}
	snprintf(json, sizeof(json), "%.*s", natsMsg_GetDataLength(msg),
		 natsMsg_GetData(msg) ?: "");
	if (strstr(json, "\"error\":")) {
		if (im->step == FIND_CONSUMER &&
		    json_number(json, "\"err_code\":") == ERR_CONSUMER_NOT_FOUND) {
			im->step = MAKE_CONSUMER;
			im->until_ns = 0;
			return;
		}
		json_text(json, "\"description\":\"", text, sizeof(text));
		route_say(route, "JetStream: %s", *text ? text : json);
		begin(route);
		im->until_ns = route->bridge->now + API_PAUSE;
		return;
	}
	if (im->step == FIND_STREAM) {
		json_text(json, "\"streams\":[\"", im->stream, sizeof(im->stream));
		if (!*im->stream) {
			route_say(route, "no stream has the subject %s", route->conf.subject);
			return;
		}
		if (json_number(json, "\"total\":") > 1) {
			route_say(route, "several streams have the subject %s: name one with stream",
				  route->conf.subject);
			return;
		}
		im->step = FIND_CONSUMER;
		im->until_ns = 0;
		return;
	}
	if (strstr(json, "\"deliver_subject\":")) {
		route_say(route, "%s is no pull consumer", route->conf.durable);
		return;
	}
	if (!strstr(json, "\"ack_policy\":\"explicit\"")) {
		route_say(route, "%s does not acknowledge each message", route->conf.durable);
		return;
	}
	if (!filter_fits(route, json))
		return;
	im->ack_wait = json_number(json, "\"ack_wait\":") ?: ACK_WAIT;
	im->step = READY;
	im->wanted = 0;
	*route->error = 0;
}

static void pull(struct route *route, unsigned int batch)
{
	char prefix[300], subject[1024], reply[128], text[128];
	struct importer *im = route->own;

	route_api(route, prefix, sizeof(prefix));
	snprintf(subject, sizeof(subject), "%s.CONSUMER.MSG.NEXT.%s.%s", prefix, im->stream,
		 route->conf.durable);
	snprintf(reply, sizeof(reply), "%s.%" PRIu64, route->reply, ++im->pull);
	snprintf(text, sizeof(text), "{\"batch\":%u,\"expires\":%llu}", batch, PULL_EXPIRES);
	if (natsConnection_PublishRequestString(route->bridge->nc, subject, reply, text) != NATS_OK)
		return;
	im->wanted = batch;
	im->pull_ns = route->bridge->now;
}

/* The end of a pull, said by the server. */
static void pull_status(struct route *route, natsMsg *msg)
{
	struct importer *im = route->own;
	const char *status, *text;

	if (route_reply_number(route, msg) != im->pull)
		return;
	im->wanted = 0;
	if (!header_is(msg, "Status", &status) || !strcmp(status, "404") || !strcmp(status, "408"))
		return;
	/* 409: among others, the consumer is gone. */
	if (!header_is(msg, "Description", &text))
		text = natsMsg_IsNoResponders(msg) ? "no JetStream, or no consumer" : status;
	route_say(route, "JetStream: %s", text);
	begin(route);
	im->until_ns = route->bridge->now + API_PAUSE;
}

/* Take all that came: no more than was asked for. */
static void sort_inbox(struct route *route)
{
	struct importer *im = route->own;
	natsMsg *msg;

	while ((msg = inbox_take(route->inbox))) {
		uint64_t number = route_reply_number(route, msg);

		if (number == REPLY_API) {
			answered(route, msg);
		} else if (number) {
			pull_status(route, msg);
		} else if (im->count == im->size) {
			/* Of a pull that was given up. */
			answer(route, msg, "-NAK");
		} else {
			if (!im->count)
				im->held_ns = route->bridge->now;
			im->held[(im->head + im->count++) % im->size] = msg;
			im->wanted -= !!im->wanted;
			continue;
		}
		natsMsg_Destroy(msg);
	}
}

static void tell_progress(struct route *route)
{
	struct importer *im = route->own;
	unsigned int i;

	if (!im->count)
		return;
	if (route->bridge->now >= im->held_ns + im->ack_wait / 3) {
		for (i = 0; i < im->count; i++)
			answer(route, im->held[(im->head + i) % im->size], "+WPI");
		im->held_ns = route->bridge->now;
	}
	route_due(route, im->held_ns + im->ack_wait / 3);
}

/* Whether more could be had if there was room. */
static bool ask_for_more(struct route *route)
{
	struct importer *im = route->own;
	unsigned int n;

	if (im->step != READY) {
		if (route->bridge->now >= im->until_ns) {
			if (im->asked)
				route_say(route, "JetStream does not answer");
			ask(route);
		}
		route_due(route, im->until_ns);
		return false;
	}
	if (im->wanted && route->bridge->now >= im->pull_ns + PULL_LATE)
		im->wanted = 0;
	if (im->wanted) {
		route_due(route, im->pull_ns + PULL_LATE);
		return false;
	}
	if (im->count || route->stopping)
		return false;
	n = room(route);
	if (!n)
		return true;
	pull(route, n < im->size ? n : im->size);
	route_due(route, im->pull_ns + PULL_LATE);
	return false;
}

/* ---- both kinds -------------------------------------------------------------- */

static natsMsg *next(struct route *route)
{
	struct importer *im = route->own;

	if (!im->count && !jetstream(route)) {
		natsMsg *msg = inbox_take(route->inbox);

		if (msg)
			im->held[(im->head + im->count++) % im->size] = msg;
	}
	return im->count ? im->held[im->head] : NULL;
}

static void drop_first(struct importer *im)
{
	natsMsg_Destroy(im->held[im->head]);
	im->head = (im->head + 1) % im->size;
	im->count--;
}

/* The mailbox has ended: what was fetched for it is not kept from others. */
static void give_back(struct route *route)
{
	struct importer *im = route->own;

	while (im->count) {
		answer(route, im->held[im->head], NAK_LATER);
		drop_first(im);
	}
}

static void wait_for_room(struct route *route, bool full)
{
	struct importer *im = route->own;
	uint64_t now = route->bridge->now;
	bool spin = full && now < im->full_ns + FULL_SPIN;

	if (full) {
		im->full_ns = now;
		route_due(route, now + (spin ? FULL_PAUSE : FULL_AGAIN));
	}
	route_wait(route, full && !spin ? EPOLLOUT : 0);
}

static void import_run(struct route *route)
{
	struct importer *im = route->own;
	bool full = false;
	unsigned int i;
	natsMsg *msg;

	if (!route->inbox || !route->bridge->up)
		return;
	if (route->generation != route->bridge->generation) {
		route->generation = route->bridge->generation;
		begin(route);
	}
	if (jetstream(route))
		sort_inbox(route);
	for (i = 0; route->mb && i < RUN_MAX && (msg = next(route)); i++) {
		if (!deliver(route, msg)) {
			full = true;
			break;
		}
		drop_first(im);
	}
	route->again = i == RUN_MAX;
	if (jetstream(route)) {
		if (!route->mb)
			give_back(route);
		tell_progress(route);
		if (route->mb && ask_for_more(route))
			full = true;
	}
	if (!route->mb)
		return;
	wait_for_room(route, full);
}

static bool import_busy(struct route *route)
{
	struct importer *im = route->own;

	if (jetstream(route))
		return im->count;
	return route->mb && (im->count || route_pending(route));
}

/* Others get at once what the mailbox has not taken. */
static void import_stop(struct route *route)
{
	uint64_t until = now_ns() + DRAIN_REST, before = route->n.rejected;
	struct importer *im = route->own;
	natsMsg *msg;

	if (jetstream(route) && route->inbox && route->bridge->up)
		sort_inbox(route);
	while (im->count) {
		if (route->bridge->up)
			answer(route, im->held[im->head], "-NAK");
		if (!jetstream(route))
			route->n.rejected++;
		drop_first(im);
	}
	while (!jetstream(route) && (msg = route_take_rest(route, until))) {
		route->n.rejected++;
		natsMsg_Destroy(msg);
	}
	if (route->n.rejected != before)
		route_say(route, "%" PRIu64 " messages are lost", route->n.rejected - before);
}

static void import_free(struct route *route)
{
	struct importer *im = route->own;

	while (im->count)
		drop_first(im);
	seen_free(im->seen);
	free(im->held);
	free(im);
}

const struct route_ops import_ops = {
	.oflags = O_WRONLY,
	.start = import_start,
	.attach = import_attach,
	.run = import_run,
	.busy = import_busy,
	.stop = import_stop,
	.free = import_free,
};
