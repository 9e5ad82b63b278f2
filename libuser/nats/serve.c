// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * serve: requests of NATS become calls at a mailbox.
 *
 * Each request gets one answer: the reply of the server, or an error in the headers of the
 * convention for services. If there is no server, that is known at once. A server that
 * dies with a request ends its call; a request that no server has received yet is
 * withdrawn when the last server has gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge.h"

/* How often it is looked whether there is a server, while calls are under way. */
#define LOOK (NSEC_PER_SEC / 10)

#define DEFAULT_QUEUE "q"

/**
 * struct errand - a request that is under way
 * @token: the call; 0: this place is free
 * @begin_ns: when it came
 * @reply: subject of its reply
 */
struct errand {
	uint64_t token;
	uint64_t begin_ns;
	char *reply;
};

/**
 * struct serve - what a serve has
 * @errands: requests that are under way
 * @count: how many
 * @held: a request for which the mailbox has no room; NULL: none
 * @held_ns: when it came
 * @look_ns: when to look for a server
 * @rep: buffer for a reply
 */
struct serve {
	struct errand *errands;
	unsigned int count;
	natsMsg *held;
	uint64_t held_ns;
	uint64_t look_ns;
	char *rep;
};

static int serve_start(struct route *route)
{
	struct serve *sv = calloc(1, sizeof(*sv));

	if (!sv)
		return -1;
	sv->errands = calloc(route->conf.window, sizeof(*sv->errands));
	sv->rep = malloc(route->conf.reply_max);
	if (!sv->errands || !sv->rep) {
		free(sv->errands);
		free(sv->rep);
		free(sv);
		return -1;
	}
	route->own = sv;
	return 0;
}

static int serve_attach(struct route *route)
{
	route->inbox = inbox_new(route->bridge->event, route->conf.window);
	if (!route->inbox)
		return NATS_NO_MEMORY;
	return inbox_subscribe(route->inbox, &route->sub, route->bridge, route->conf.subject,
			       route->conf.queue ?: DEFAULT_QUEUE, WINDOW_MAX);
}

/* ---- answers ----------------------------------------------------------------- */

static void publish(struct route *route, natsMsg *msg)
{
	natsStatus status = natsConnection_PublishMsg(route->bridge->nc, msg);

	if (status != NATS_OK)
		route_say(route, "cannot reply: %s", natsStatus_GetText(status));
}

static void answer_error(struct route *route, const char *reply, const char *code,
			 const char *text)
{
	natsMsg *msg = NULL;

	route->n.errors++;
	if (!reply || !route->bridge->nc)
		return;
	if (natsMsg_Create(&msg, reply, NULL, "", 0) == NATS_OK &&
	    natsMsgHeader_Set(msg, "Nats-Service-Error", text) == NATS_OK &&
	    natsMsgHeader_Set(msg, "Nats-Service-Error-Code", code) == NATS_OK)
		publish(route, msg);
	natsMsg_Destroy(msg);
}

static void answer(struct route *route, const char *reply, const void *data, size_t len)
{
	natsMsg *msg = NULL;

	if (natsMsg_Create(&msg, reply, NULL, data, len) == NATS_OK)
		publish(route, msg);
	natsMsg_Destroy(msg);
}

static void answer_errno(struct route *route, const char *reply, int error)
{
	switch (error) {
	case EPIPE:
		answer_error(route, reply, "503", "the server has ended");
		break;
	case EIDRM:
		answer_error(route, reply, "503", "the mailbox has ended");
		break;
	case ETIMEDOUT:
		answer_error(route, reply, "504", "no reply in time");
		break;
	case EMSGSIZE:
		answer_error(route, reply, "413", "the request or the reply is too long");
		break;
	case EPERM:
		answer_error(route, reply, "403", "calling as another user is not permitted");
		break;
	default:
		answer_error(route, reply, "500", strerror(error));
	}
}

static void end_errand(struct serve *sv, struct errand *errand)
{
	free(errand->reply);
	*errand = (struct errand){ 0 };
	sv->count--;
}

/* ---- requests ---------------------------------------------------------------- */

static bool has_server(struct route *route)
{
	struct mbox_stat st;

	return !mbox_stat(route->mb, &st) && st.recv_handles;
}

static struct errand *free_errand(struct route *route)
{
	struct serve *sv = route->own;
	unsigned int i;

	for (i = 0; i < route->conf.window; i++) {
		if (!sv->errands[i].token)
			return &sv->errands[i];
	}
	return NULL;
}

static int start_as(struct route *route, const struct mbox_msg *req, uint64_t *token,
		    const struct identity *identity)
{
	int ret, error;

	if (identity_take(identity))
		return -1;
	ret = mbox_call_start(route->mb, req, route->conf.reply_max, token);
	error = errno;
	identity_drop(identity);
	errno = error;
	return ret;
}

/* False: the mailbox has no room now. */
static bool request(struct route *route, natsMsg *from, uint64_t begin_ns)
{
	struct mbox_msg req = MBOX_MSG_INIT(natsMsg_GetData(from), natsMsg_GetDataLength(from));
	const char *reply = natsMsg_GetReply(from);
	struct identity identity = { 0 };
	struct serve *sv = route->own;
	struct errand *errand;
	uint64_t token;

	if (!reply) {
		route_say(route, "a message that is no request; dropped");
		route->n.rejected++;
		return true;
	}
	if (headers_get(from, &req, route->conf.trust ? &identity : NULL)) {
		answer_error(route, reply, "400", "a header is malformed");
		return true;
	}
	if (!has_server(route)) {
		answer_error(route, reply, "503", "no server");
		return true;
	}
	req.lifespan_ns = 0;
	req.flags = MBOX_DONTWAIT;
	req.deadline_ns = begin_ns + route->conf.timeout_ns;
	if (start_as(route, &req, &token, &identity)) {
		if (errno == EAGAIN && route->bridge->now < req.deadline_ns)
			return false;
		answer_errno(route, reply, errno == EAGAIN ? ETIMEDOUT : errno);
		if (errno == EIDRM)
			route_lost(route, "cannot call");
		return true;
	}
	errand = free_errand(route);
	errand->token = token;
	errand->begin_ns = begin_ns;
	errand->reply = strdup(reply);
	if (!sv->count++)
		sv->look_ns = route->bridge->now + LOOK;
	return true;
}

/* ---- replies ----------------------------------------------------------------- */

static struct errand *find_errand(struct route *route, uint64_t token)
{
	struct serve *sv = route->own;
	unsigned int i;

	for (i = 0; i < route->conf.window; i++) {
		if (sv->errands[i].token == token)
			return &sv->errands[i];
	}
	return NULL;
}

static void take_replies(struct route *route)
{
	struct serve *sv = route->own;

	while (route->mb && sv->count) {
		struct mbox_msg rep = MBOX_MSG_INIT(sv->rep, route->conf.reply_max);
		struct errand *errand;
		uint64_t token = 0;
		ssize_t len;

		rep.flags = MBOX_DONTWAIT;
		len = mbox_call_wait(route->mb, &token, &rep, NULL);
		if (len < 0 && !rep.token)
			return;
		errand = find_errand(route, token);
		if (!errand)
			continue;
		if (len < 0) {
			answer_errno(route, errand->reply, errno);
		} else {
			answer(route, errand->reply, sv->rep, len);
			route->n.messages++;
			route->n.bytes += len;
			route->n.ns += route->bridge->now - errand->begin_ns;
		}
		end_errand(sv, errand);
	}
}

/* Withdraw all calls, with an error for those that wait. */
static void give_up(struct route *route, const char *why)
{
	struct serve *sv = route->own;
	unsigned int i;

	for (i = 0; i < route->conf.window; i++) {
		struct errand *errand = &sv->errands[i];

		if (!errand->token)
			continue;
		if (route->mb)
			mbox_call_cancel(route->mb, errand->token);
		answer_error(route, errand->reply, "503", why);
		end_errand(sv, errand);
	}
}

static void look_for_server(struct route *route)
{
	struct serve *sv = route->own;

	if (!sv->count)
		return;
	if (route->bridge->now >= sv->look_ns) {
		sv->look_ns = route->bridge->now + LOOK;
		if (!has_server(route)) {
			/* What has ended in the meantime has its reply. */
			take_replies(route);
			give_up(route, "the server has ended");
			return;
		}
	}
	route_due(route, sv->look_ns);
}

/* A mailbox that is not there has no server. */
static void refuse_all(struct route *route)
{
	natsMsg *msg;

	give_up(route, "the mailbox has ended");
	while (route->inbox && (msg = inbox_take(route->inbox))) {
		if (natsMsg_GetReply(msg))
			answer_error(route, natsMsg_GetReply(msg), "503", "no mailbox");
		natsMsg_Destroy(msg);
	}
}

static void serve_run(struct route *route)
{
	struct serve *sv = route->own;
	bool full = false;
	unsigned int i;

	if (!route->mb) {
		refuse_all(route);
		return;
	}
	take_replies(route);
	for (i = 0; i < RUN_MAX && sv->count < route->conf.window; i++) {
		if (!route->mb || !route->inbox)
			break;
		if (!sv->held) {
			sv->held = inbox_take(route->inbox);
			sv->held_ns = route->bridge->now;
		}
		if (!sv->held)
			break;
		if (!request(route, sv->held, sv->held_ns)) {
			full = true;
			break;
		}
		natsMsg_Destroy(sv->held);
		sv->held = NULL;
	}
	if (!route->mb)
		return;
	route->again = i == RUN_MAX;
	look_for_server(route);
	if (full)
		route_due(route, route->bridge->now + LOOK);
	route_wait(route, EPOLLPRI);
}

static bool serve_busy(struct route *route)
{
	struct serve *sv = route->own;

	return sv->count || sv->held || route_pending(route);
}

static void serve_stop(struct route *route)
{
	uint64_t until = now_ns() + DRAIN_REST;
	struct serve *sv = route->own;
	natsMsg *msg;

	give_up(route, "the bridge has ended");
	if (sv->held)
		answer_error(route, natsMsg_GetReply(sv->held), "503", "the bridge has ended");
	natsMsg_Destroy(sv->held);
	sv->held = NULL;
	while ((msg = route_take_rest(route, until))) {
		if (natsMsg_GetReply(msg))
			answer_error(route, natsMsg_GetReply(msg), "503", "the bridge has ended");
		natsMsg_Destroy(msg);
	}
}

static void serve_free(struct route *route)
{
	struct serve *sv = route->own;
	unsigned int i;

	for (i = 0; i < route->conf.window; i++)
		free(sv->errands[i].reply);
	natsMsg_Destroy(sv->held);
	free(sv->errands);
	free(sv->rep);
	free(sv);
}

const struct route_ops serve_ops = {
	.oflags = O_WRONLY,
	.start = serve_start,
	.attach = serve_attach,
	.run = serve_run,
	.busy = serve_busy,
	.stop = serve_stop,
	.free = serve_free,
};
