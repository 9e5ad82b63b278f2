// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * call: local calls at a mailbox become requests of NATS.
 *
 * The deadline of a call is the caller's, and the kernel keeps it: what is answered later
 * finds no caller. A request that NATS cannot answer is ended, and the caller sees EPIPE.
 * Requests are on lease. If this process dies, they go back, and another one sends them
 * again, while the callers wait.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge.h"

/**
 * struct asked - a request that was sent
 * @token: of the call, and its lease; 0: this place is free
 * @number: in the subject of its reply
 * @until_ns: until when a reply is waited for
 */
struct asked {
	uint64_t token;
	uint64_t number;
	uint64_t until_ns;
};

/**
 * struct calls - what a call route has
 * @asked: requests that were sent
 * @count: how many
 * @number: of the last one
 */
struct calls {
	struct asked *asked;
	unsigned int count;
	uint64_t number;
};

static int call_start(struct route *route)
{
	struct calls *calls = calloc(1, sizeof(*calls));

	if (!calls)
		return -1;
	calls->asked = calloc(route->conf.window, sizeof(*calls->asked));
	if (!calls->asked) {
		free(calls);
		return -1;
	}
	route->own = calls;
	return 0;
}

static void forget(struct route *route)
{
	struct calls *calls = route->own;

	memset(calls->asked, 0, route->conf.window * sizeof(*calls->asked));
	calls->count = 0;
}

static int call_opened(struct route *route)
{
	forget(route);
	return 0;
}

static void end_asked(struct calls *calls, struct asked *asked)
{
	asked->token = 0;
	calls->count--;
}

/* Acknowledged without a reply: the caller sees EPIPE. */
static void fail(struct route *route, struct asked *asked)
{
	route->n.errors++;
	mbox_ack(route->mb, asked->token);
	end_asked(route->own, asked);
}

static struct asked *find_asked(struct route *route, uint64_t number)
{
	struct calls *calls = route->own;
	unsigned int i;

	for (i = 0; i < route->conf.window; i++) {
		if (calls->asked[i].token && calls->asked[i].number == number)
			return &calls->asked[i];
	}
	return NULL;
}

static void answered(struct route *route, natsMsg *msg)
{
	struct asked *asked = find_asked(route, route_reply_number(route, msg));
	struct calls *calls = route->own;
	const char *text;

	if (!asked)
		return;
	if (natsMsg_IsNoResponders(msg)) {
		route_say(route, "nobody answers requests of %s", route->conf.subject);
		fail(route, asked);
		return;
	}
	if (header_is(msg, "Nats-Service-Error", &text)) {
		route_say(route, "the service says: %s", text);
		fail(route, asked);
		return;
	}
	if (!mbox_reply(route->mb, asked->token, natsMsg_GetData(msg),
			natsMsg_GetDataLength(msg))) {
		route->n.messages++;
		route->n.bytes += natsMsg_GetDataLength(msg);
		*route->error = 0;
		end_asked(calls, asked);
		return;
	}
	if (errno == ESRCH) {
		route->n.late++;
		/* A message that is no request has no caller, and is still on lease. */
		mbox_ack(route->mb, asked->token);
		end_asked(calls, asked);
		return;
	}
	route_say(route, "cannot reply: %s", strerror(errno));
	fail(route, asked);
}

static natsStatus send_request(struct route *route, const struct mbox_msg *req)
{
	struct calls *calls = route->own;
	natsMsg *msg = NULL;
	char reply[128];
	natsStatus status;

	snprintf(reply, sizeof(reply), "%s.%" PRIu64, route->reply, calls->number + 1);
	status = natsMsg_Create(&msg, route->conf.subject, reply, route->buf,
				req->len);
	if (status == NATS_OK)
		status = headers_put(msg, req);
	if (status == NATS_OK)
		status = natsConnection_PublishMsg(route->bridge->nc, msg);
	natsMsg_Destroy(msg);
	return status;
}

/* False: none was received. */
static bool pass_one(struct route *route)
{
	struct mbox_msg req = MBOX_MSG_INIT(route->buf, route->attr.msg_max);
	struct calls *calls = route->own;
	natsStatus status;
	unsigned int i;

	req.flags = MBOX_DONTWAIT | MBOX_LEASE;
	if (mbox_recvmsg(route->mb, &req) < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != EPIPE) {
			route_lost(route, "cannot receive");
			forget(route);
		}
		return false;
	}
	status = send_request(route, &req);
	for (i = 0; calls->asked[i].token; i++)
		;
	calls->asked[i] = (struct asked){
		.token = req.token,
		.number = ++calls->number,
		.until_ns = route->bridge->now + route->conf.timeout_ns,
	};
	calls->count++;
	if (status != NATS_OK) {
		route_say(route, "cannot send: %s", natsStatus_GetText(status));
		fail(route, &calls->asked[i]);
	}
	return true;
}

static void end_late(struct route *route)
{
	struct calls *calls = route->own;
	unsigned int i;

	for (i = 0; calls->count && i < route->conf.window; i++) {
		struct asked *asked = &calls->asked[i];

		if (!asked->token)
			continue;
		if (route->bridge->now >= asked->until_ns)
			fail(route, asked);
		else
			route_due(route, asked->until_ns);
	}
}

static void call_run(struct route *route)
{
	struct calls *calls = route->own;
	unsigned int i = 0;
	natsMsg *msg;

	while (route->inbox && (msg = inbox_take(route->inbox))) {
		if (route->mb)
			answered(route, msg);
		natsMsg_Destroy(msg);
	}
	if (!route->mb)
		return;
	end_late(route);
	while (route->mb && route->bridge->up && !route->stopping && i < RUN_MAX &&
	       calls->count < route->conf.window && pass_one(route))
		i++;
	if (!route->mb)
		return;
	route->again = i == RUN_MAX;
	/* Of those that were sent just now, too. */
	end_late(route);
	route_wait(route, route->stopping || calls->count == route->conf.window ? 0 : EPOLLIN);
}

static bool call_busy(struct route *route)
{
	struct calls *calls = route->own;

	return calls->count;
}

/* With the handle, the requests go back, and their callers wait. */
static void call_stop(struct route *route)
{
	forget(route);
}

static void call_free(struct route *route)
{
	struct calls *calls = route->own;

	free(calls->asked);
	free(calls);
}

const struct route_ops call_ops = {
	.oflags = O_RDONLY,
	.start = call_start,
	.opened = call_opened,
	.attach = route_subscribe_reply,
	.run = call_run,
	.busy = call_busy,
	.stop = call_stop,
	.free = call_free,
};
