// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * export: from a mailbox to a subject.
 *
 * With JetStream, a message is on lease until the stream has acknowledged it. What is
 * not acknowledged in time, or was under way when the connection was lost, is sent again,
 * in its order, with the same Nats-Msg-Id. It stays on lease meanwhile: put back, it could
 * go to another receiver although the stream has it.
 *
 * Without JetStream, a message ends when it is in the buffer of the connection.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge.h"

/* After an error of the server that passes. */
#define PAUSE (NSEC_PER_SEC / 2)
/* Until the server is asked for a stream again that did not answer. */
#define ASK_AGAIN (5 * NSEC_PER_SEC)
/* Until a message that the stream will never take comes back. */
#define COME_BACK NSEC_PER_SEC

/* Errors of JetStream: the message is longer than the stream allows. */
#define TOO_LONG_FOR_STREAM 10054

/* Name, subject, replicas. A message goes when one of its receivers has acknowledged it. */
#define NEW_STREAM \
	"{\"name\":\"%s\",\"subjects\":[\"%s\"],\"retention\":\"workqueue\"," \
	"\"storage\":\"file\",\"num_replicas\":%u}"
/* In the subject of the reply; messages have greater numbers. */
#define REPLY_STREAM 0

/**
 * struct parcel - a message that is under way
 * @token: of its lease; 0: it has none
 * @id: its number in the ledger
 * @msg: what is sent
 * @prio: its priority
 * @type: its type
 * @sent_ns: when it was last sent
 * @done: it has ended
 */
struct parcel {
	uint64_t token;
	struct ledger_id id;
	natsMsg *msg;
	uint32_t prio;
	uint64_t type;
	uint64_t sent_ns;
	bool done;
};

/**
 * struct exporter - what an export has
 * @ledger: numbers of messages, with JetStream
 * @ring: messages that are under way, in the order in which they were received
 * @head: the oldest one
 * @count: how many there are
 * @first: number of the oldest one in its reply subject
 * @pause_ns: nothing is sent before; 0: no pause
 * @asked_ns: when the server was asked to make the stream; 0: there is no question
 * @leased: messages are received on lease
 */
struct exporter {
	struct ledger *ledger;
	struct parcel *ring;
	unsigned int head;
	unsigned int count;
	uint64_t first;
	uint64_t pause_ns;
	uint64_t asked_ns;
	bool leased;
};

static int export_start(struct route *route)
{
	struct exporter *ex = calloc(1, sizeof(*ex));

	if (!ex)
		return -1;
	ex->ring = calloc(route->conf.window, sizeof(*ex->ring));
	if (!ex->ring) {
		free(ex);
		return -1;
	}
	ex->first = 1;
	route->own = ex;
	return 0;
}

static struct parcel *parcel_at(const struct route *route, unsigned int i)
{
	struct exporter *ex = route->own;

	return &ex->ring[(ex->head + i) % route->conf.window];
}

/* What was on lease has gone back with the handle. */
static void forget(struct route *route)
{
	struct exporter *ex = route->own;

	for (; ex->count; ex->count--) {
		natsMsg_Destroy(ex->ring[ex->head].msg);
		ex->head = (ex->head + 1) % route->conf.window;
		ex->first++;
	}
	ledger_close(ex->ledger);
	ex->ledger = NULL;
}

static int export_opened(struct route *route)
{
	struct exporter *ex = route->own;

	forget(route);
	ex->leased = !(route->attr.flags & MBOX_BROADCAST) && route->attr.mode == MBOX_QUEUE;
	if (!route->conf.jetstream)
		return 0;
	ex->ledger = ledger_open(route);
	return ex->ledger ? 0 : -1;
}

static int export_attach(struct route *route)
{
	struct exporter *ex = route->own;

	ex->asked_ns = 0;
	return route->conf.jetstream ? route_subscribe_reply(route) : NATS_OK;
}

/* The message has ended; its lease, too, unless it was given back. */
static void finish(struct route *route, struct parcel *parcel, bool ack)
{
	struct exporter *ex = route->own;

	if (ex->ledger)
		ledger_remove(ex->ledger, parcel->id, !ack);
	if (ack && parcel->token && mbox_ack(route->mb, parcel->token))
		route_say(route, "cannot acknowledge: %s", strerror(errno));
	natsMsg_Destroy(parcel->msg);
	parcel->msg = NULL;
	parcel->done = true;
	while (ex->count && ex->ring[ex->head].done) {
		ex->head = (ex->head + 1) % route->conf.window;
		ex->count--;
		ex->first++;
	}
}

static void lost(struct route *route, const char *why)
{
	route_say(route, "a message is lost: %s", why);
	route->n.rejected++;
}

/* Neither now nor later will it be taken. */
static void refuse(struct route *route, struct parcel *parcel, const char *why)
{
	struct mbox_msg msg = MBOX_MSG_INIT(natsMsg_GetData(parcel->msg),
					    natsMsg_GetDataLength(parcel->msg));

	route->n.errors++;
	msg.flags = MBOX_DONTWAIT;
	msg.prio = parcel->prio;
	msg.type = parcel->type;
	if (!parcel->token) {
		if (parcel->msg)
			route_reject(route, natsMsg_GetData(parcel->msg),
				     natsMsg_GetDataLength(parcel->msg), parcel->prio,
				     parcel->type, why);
		else
			lost(route, why);
		finish(route, parcel, true);
		return;
	}
	/* Without a message of NATS, for want of memory, its contents are only in the mailbox. */
	if (parcel->msg && route->dead && !mbox_sendmsg(route->dead, &msg)) {
		route->n.dead++;
		finish(route, parcel, true);
		return;
	}
	/* The limit of deliveries of the mailbox decides how often. */
	route_say(route, "a message of %d bytes comes back: %s",
		  natsMsg_GetDataLength(parcel->msg), why);
	if (mbox_nack_after(route->mb, parcel->token, COME_BACK))
		route_say(route, "cannot put back: %s", strerror(errno));
	finish(route, parcel, false);
}

/* ---- sending ----------------------------------------------------------------- */

/* False: not now. */
static bool publish(struct route *route, struct parcel *parcel)
{
	natsStatus status = natsConnection_PublishMsg(route->bridge->nc, parcel->msg);
	struct exporter *ex = route->own;

	if (status == NATS_OK) {
		parcel->sent_ns = route->bridge->now;
		return true;
	}
	if (status == NATS_MAX_PAYLOAD) {
		refuse(route, parcel, "longer than the server allows");
		return true;
	}
	route_say(route, "cannot publish: %s", natsStatus_GetText(status));
	ex->pause_ns = route->bridge->now + PAUSE;
	return false;
}

/* When the acknowledgment of the oldest one is late; others may come meanwhile. */
static uint64_t late_ns(const struct route *route)
{
	return parcel_at(route, 0)->sent_ns + route->conf.timeout_ns;
}

static void publish_again(struct route *route)
{
	struct exporter *ex = route->own;
	uint64_t end = ex->first + ex->count, number;

	ex->pause_ns = 0;
	for (number = ex->first; number < end; number++) {
		struct parcel *parcel;

		/* Those that are refused go. */
		if (number < ex->first)
			continue;
		parcel = parcel_at(route, number - ex->first);
		if (parcel->done)
			continue;
		route->n.retries++;
		if (!publish(route, parcel))
			return;
	}
}

/* ---- acknowledgments -------------------------------------------------------- */

static unsigned long number_in(const char *json, const char *key)
{
	const char *at = strstr(json, key);

	return at ? strtoul(at + strlen(key), NULL, 10) : 0;
}

static void text_in(const char *json, const char *key, char *text, size_t size)
{
	const char *at = strstr(json, key), *end;

	*text = 0;
	if (!at)
		return;
	at += strlen(key);
	end = strchr(at, '"');
	snprintf(text, size, "%.*s", end ? (int)(end - at) : (int)strlen(at), at);
}

static void failed(struct route *route, struct parcel *parcel, const char *json)
{
	struct exporter *ex = route->own;
	char why[128];

	if (number_in(json, "\"err_code\":") == TOO_LONG_FOR_STREAM) {
		refuse(route, parcel, "longer than the stream allows");
		return;
	}
	text_in(json, "\"description\":\"", why, sizeof(why));
	route_say(route, "the stream does not take it: %s", *why ? why : json);
	route->n.errors++;
	ex->pause_ns = route->bridge->now + PAUSE;
}

static void make_stream(struct route *route)
{
	char prefix[300], subject[1024], reply[128], text[1024];
	const struct route_conf *conf = &route->conf;
	struct exporter *ex = route->own;
	natsStatus status;

	if (ex->asked_ns && route->bridge->now < ex->asked_ns + ASK_AGAIN)
		return;
	if (ex->asked_ns) {
		route_say(route, "the server does not say whether it made the stream %s",
			  conf->stream);
		route->n.errors++;
	}
	route_api(route, prefix, sizeof(prefix));
	snprintf(subject, sizeof(subject), "%s.STREAM.CREATE.%s", prefix, conf->stream);
	snprintf(reply, sizeof(reply), "%s.%u", route->reply, REPLY_STREAM);
	snprintf(text, sizeof(text), NEW_STREAM, conf->stream, conf->subject, conf->replicas ?: 1);
	status = natsConnection_PublishRequestString(route->bridge->nc, subject, reply, text);
	ex->asked_ns = route->bridge->now;
	if (status != NATS_OK)
		route_say(route, "cannot publish: %s", natsStatus_GetText(status));
}

static void stream_made(struct route *route, natsMsg *msg)
{
	struct exporter *ex = route->own;
	char json[4096], why[128];

	/* Others know where replies go, too. */
	if (!ex->asked_ns)
		return;
	ex->asked_ns = 0;
	snprintf(json, sizeof(json), "%.*s", natsMsg_GetDataLength(msg),
		 natsMsg_GetData(msg) ?: "");
	if (!strstr(json, "\"error\":") && strstr(json, "\"config\":")) {
		say("made the stream %s for %s", route->conf.stream, route->conf.subject);
		*route->error = 0;
		if (ex->pause_ns)
			ex->pause_ns = route->bridge->now;
		return;
	}
	route->n.errors++;
	text_in(json, "\"description\":\"", why, sizeof(why));
	route_say(route, "cannot make the stream %s: %s", route->conf.stream,
		  natsMsg_IsNoResponders(msg) ? "the server has no JetStream" : *why ? why : json);
}

static void no_stream(struct route *route)
{
	struct exporter *ex = route->own;

	if (!route->conf.stream) {
		route_say(route, "no stream has the subject %s", route->conf.subject);
		route->n.errors++;
	} else if (!ex->pause_ns) {
		make_stream(route);
	}
	ex->pause_ns = route->bridge->now + PAUSE;
}

static void acknowledge(struct route *route, natsMsg *msg)
{
	uint64_t number = route_reply_number(route, msg);
	int len = natsMsg_GetDataLength(msg);
	struct exporter *ex = route->own;
	struct parcel *parcel;
	char json[512];

	if (number == REPLY_STREAM) {
		stream_made(route, msg);
		return;
	}
	if (number < ex->first || number >= ex->first + ex->count)
		return;
	parcel = parcel_at(route, number - ex->first);
	if (parcel->done)
		return;
	if (natsMsg_IsNoResponders(msg)) {
		no_stream(route);
		return;
	}
	snprintf(json, sizeof(json), "%.*s", len, natsMsg_GetData(msg) ?: "");
	if (strstr(json, "\"error\":")) {
		failed(route, parcel, json);
		return;
	}
	if (!strstr(json, "\"stream\":"))
		return;
	if (strstr(json, "\"duplicate\":true") || strstr(json, "\"duplicate\": true"))
		route->n.duplicates++;
	route->n.messages++;
	route->n.bytes += natsMsg_GetDataLength(parcel->msg);
	*route->error = 0;
	finish(route, parcel, true);
}

/* ---- receiving --------------------------------------------------------------- */

static natsStatus make_message(struct route *route, struct parcel *parcel,
			       const struct mbox_msg *msg)
{
	struct exporter *ex = route->own;
	char reply[128], id[48];
	natsStatus status;

	snprintf(reply, sizeof(reply), "%s.%" PRIu64, route->reply ?: "", ex->first + ex->count);
	status = natsMsg_Create(&parcel->msg, route->conf.subject,
				route->conf.jetstream ? reply : NULL, route->buf, msg->len);
	if (status == NATS_OK)
		status = headers_put(parcel->msg, msg);
	if (status == NATS_OK && ex->ledger) {
		ledger_text(ex->ledger, parcel->id, id, sizeof(id));
		status = natsMsgHeader_Set(parcel->msg, "Nats-Msg-Id", id);
	}
	return status;
}

/* False: nothing was received, or it cannot be passed on now. */
static bool pass_one(struct route *route)
{
	struct exporter *ex = route->own;
	struct parcel *parcel = parcel_at(route, ex->count);
	struct mbox_msg msg = MBOX_MSG_INIT(route->buf, route->attr.msg_max);
	natsStatus status;

	msg.flags = MBOX_DONTWAIT | (ex->leased ? MBOX_LEASE : 0);
	if (mbox_recvmsg(route->mb, &msg) < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != EPIPE) {
			route_lost(route, "cannot receive");
			forget(route);
		}
		return false;
	}
	*parcel = (struct parcel){
		.token = ex->leased ? msg.token : 0,
		.prio = msg.prio,
		.type = msg.type,
	};
	if (msg.flags & MBOX_LOST)
		route->n.dropped += msg.lost;
	if (ex->ledger)
		parcel->id = ledger_add(ex->ledger, route->mb, &msg);
	status = make_message(route, parcel, &msg);
	ex->count++;
	if (status != NATS_OK) {
		refuse(route, parcel, natsStatus_GetText(status));
		return true;
	}
	if (route->conf.jetstream)
		return publish(route, parcel);
	status = natsConnection_PublishMsg(route->bridge->nc, parcel->msg);
	if (status == NATS_OK) {
		route->n.messages++;
		route->n.bytes += msg.len;
		finish(route, parcel, true);
		return true;
	}
	if (status == NATS_MAX_PAYLOAD) {
		refuse(route, parcel, "longer than the server allows");
		return true;
	}
	route_say(route, "cannot publish: %s", natsStatus_GetText(status));
	if (parcel->token)
		mbox_put_back(route->mb, parcel->token);
	else
		route->n.rejected++;
	finish(route, parcel, false);
	ex->pause_ns = route->bridge->now + PAUSE;
	return false;
}

static void export_run(struct route *route)
{
	struct exporter *ex = route->own;
	unsigned int i = 0;
	natsMsg *msg;

	while (route->inbox && (msg = inbox_take(route->inbox))) {
		if (route->mb)
			acknowledge(route, msg);
		natsMsg_Destroy(msg);
	}
	if (!route->mb || !route->bridge->up)
		return;
	if (route->generation != route->bridge->generation) {
		route->generation = route->bridge->generation;
		publish_again(route);
	} else if (ex->pause_ns) {
		if (route->bridge->now >= ex->pause_ns)
			publish_again(route);
	} else if (ex->count && route->bridge->now >= late_ns(route)) {
		route_say(route, "no acknowledgment; sent again");
		publish_again(route);
	}
	while (!ex->pause_ns && !route->stopping && ex->count < route->conf.window &&
	       i++ < RUN_MAX) {
		if (!pass_one(route)) {
			i = 0;
			break;
		}
	}
	if (!route->mb)
		return;
	route->again = i > RUN_MAX;
	if (ex->pause_ns)
		route_due(route, ex->pause_ns);
	else if (ex->count)
		route_due(route, late_ns(route));
	if (ex->pause_ns || route->stopping || ex->count == route->conf.window)
		route_wait(route, 0);
	else
		route_wait(route, EPOLLIN);
}

static bool export_busy(struct route *route)
{
	struct exporter *ex = route->own;

	return route->mb && ex->count;
}

/* With the handle, all that is on lease goes back to its place. */
static void export_stop(struct route *route)
{
	forget(route);
}

static void export_free(struct route *route)
{
	struct exporter *ex = route->own;

	forget(route);
	free(ex->ring);
	free(ex);
}

const struct route_ops export_ops = {
	.oflags = O_RDONLY,
	.start = export_start,
	.opened = export_opened,
	.attach = export_attach,
	.run = export_run,
	.busy = export_busy,
	.stop = export_stop,
	.free = export_free,
};
