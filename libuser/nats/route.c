// SPDX-License-Identifier: LGPL-2.1-or-later
/* What all kinds of routes share. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bridge.h"

/* How long until a mailbox that is not there is tried again. */
#define OPEN_AGAIN NSEC_PER_SEC
/* How long a mailbox whose other side is gone is not polled. */
#define PARK (NSEC_PER_SEC / 5)

static const struct route_ops *const kinds[] = {
	[ROUTE_EXPORT] = &export_ops,
	[ROUTE_IMPORT] = &import_ops,
	[ROUTE_SERVE] = &serve_ops,
	[ROUTE_CALL] = &call_ops,
};

void route_say(struct route *route, const char *fmt, ...)
{
	char text[sizeof(route->error)];
	va_list va;

	va_start(va, fmt);
	vsnprintf(text, sizeof(text), fmt, va);
	va_end(va);
	if (!strcmp(text, route->error))
		return;
	strcpy(route->error, text);
	say("%s: %s", route->conf.text, text);
}

/**
 * route_new() - make a route that does nothing yet
 * @bridge: the bridge
 * @conf: what was written, which goes into the route
 *
 * Return: the route, or NULL and errno.
 */
struct route *route_new(struct bridge *bridge, const struct route_conf *conf)
{
	struct route *route = calloc(1, sizeof(*route));

	if (!route)
		return NULL;
	route->bridge = bridge;
	route->ops = kinds[conf->kind];
	route->due_ns = UINT64_MAX;
	route->conf = *conf;
	if (route->ops->start(route)) {
		free(route);
		return NULL;
	}
	return route;
}

static void close_mailbox(struct route *route)
{
	if (!route->mb)
		return;
	if (!route->parked_ns)
		epoll_ctl(route->bridge->epoll, EPOLL_CTL_DEL, mbox_fd(route->mb), NULL);
	route->parked_ns = 0;
	mbox_close(route->mb);
	route->mb = NULL;
	mbox_close(route->dead);
	route->dead = NULL;
	free(route->buf);
	route->buf = NULL;
}

void route_lost(struct route *route, const char *what)
{
	route_say(route, "%s: %s: %s", route->conf.mailbox, what, strerror(errno));
	close_mailbox(route);
	route->open_ns = route->bridge->now + OPEN_AGAIN;
}

static void open_mailbox(struct route *route)
{
	struct epoll_event event = { .data.ptr = route };
	struct mbox_stat st;

	route->open_ns = route->bridge->now + OPEN_AGAIN;
	route->mb = mbox_open(route->conf.mailbox, route->ops->oflags);
	if (!route->mb) {
		route_say(route, "%s: cannot open: %s", route->conf.mailbox, strerror(errno));
		return;
	}
	route->interest = 0;
	if (epoll_ctl(route->bridge->epoll, EPOLL_CTL_ADD, mbox_fd(route->mb), &event) ||
	    mbox_stat(route->mb, &st)) {
		route_lost(route, "cannot use");
		return;
	}
	route->attr = st.attr;
	route->buf = malloc(st.attr.msg_max);
	if (!route->buf) {
		route_lost(route, "cannot use");
		return;
	}
	if (route->conf.dead_letter) {
		route->dead = mbox_open(route->conf.dead_letter, O_WRONLY);
		if (!route->dead) {
			route_say(route, "%s: cannot open: %s", route->conf.dead_letter,
				  strerror(errno));
			close_mailbox(route);
			return;
		}
	}
	if (route->ops->opened && route->ops->opened(route)) {
		route_lost(route, "cannot use");
		return;
	}
	*route->error = 0;
}

/**
 * route_hung_up() - the other side of the mailbox is gone, or the mailbox itself
 * @route: the route
 *
 * epoll would say so all the time, so the mailbox is not polled for a while.
 */
void route_hung_up(struct route *route)
{
	struct mbox_stat st;

	if (!route->mb || route->parked_ns)
		return;
	if (mbox_stat(route->mb, &st)) {
		route_lost(route, "cannot use");
		return;
	}
	epoll_ctl(route->bridge->epoll, EPOLL_CTL_DEL, mbox_fd(route->mb), NULL);
	route->parked_ns = route->bridge->now + PARK;
}

static void poll_again(struct route *route)
{
	struct epoll_event event = { .events = route->interest, .data.ptr = route };

	route->parked_ns = 0;
	epoll_ctl(route->bridge->epoll, EPOLL_CTL_ADD, mbox_fd(route->mb), &event);
}

/**
 * route_run() - do what can be done
 * @route: the route
 */
void route_run(struct route *route)
{
	route->due_ns = UINT64_MAX;
	route->again = false;
	if (!route->mb && route->bridge->now >= route->open_ns && !route->stopping)
		open_mailbox(route);
	if (route->parked_ns && route->bridge->now >= route->parked_ns)
		poll_again(route);
	route->ops->run(route);
	if (!route->mb)
		route_due(route, route->open_ns);
	else if (!route->bridge->up)
		route_wait(route, 0);
	if (route->parked_ns)
		route_due(route, route->parked_ns);
}

void route_wait(struct route *route, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = route };

	if (!route->mb || events == route->interest)
		return;
	if (!route->parked_ns)
		epoll_ctl(route->bridge->epoll, EPOLL_CTL_MOD, mbox_fd(route->mb), &event);
	route->interest = events;
}

void route_due(struct route *route, uint64_t ns)
{
	if (ns < route->due_ns)
		route->due_ns = ns;
}

/* A connection was made: subscribe. */
natsStatus route_attach(struct route *route)
{
	if (route->stopping)
		return NATS_OK;
	return route->ops->attach(route);
}

uint64_t route_dropped(struct route *route)
{
	int64_t dropped;

	/* A subscription that has ended does not say. */
	if (route->sub && natsSubscription_GetDropped(route->sub, &dropped) == NATS_OK)
		route->dropped_now = dropped;
	return route->dropped_before + route->dropped_now;
}

/**
 * route_leave() - take nothing new
 * @route: the route
 *
 * What has come, and what libnats still gets until the server knows, is for route.inbox.
 * A subscription to replies stays: they are for what is under way.
 */
void route_leave(struct route *route)
{
	route->stopping = true;
	route_dropped(route);
	/* At its end libnats forgets what it still has, so that comes after route_stop(). */
	if (route->sub && !route->reply)
		natsSubscription_DrainTimeout(route->sub, 2 * DRAIN / NSEC_PER_MSEC);
}

bool route_pending(struct route *route)
{
	if (!route->inbox)
		return false;
	return !inbox_empty(route->inbox) || (route->sub && !inbox_ended(route->inbox));
}

natsMsg *route_take_rest(struct route *route, uint64_t until)
{
	while (route->inbox) {
		/* Before the message is taken: the last one may come in between. */
		bool more = route->sub && route->bridge->up && !inbox_ended(route->inbox);
		natsMsg *msg = inbox_take(route->inbox);

		if (msg || !more || now_ns() >= until)
			return msg;
		nats_Sleep(1);
	}
	return NULL;
}

/* The connection has ended: what has come of it is forgotten. */
void route_detach(struct route *route)
{
	route->dropped_before = route_dropped(route);
	route->dropped_now = 0;
	inbox_close(route->inbox);
	route->inbox = NULL;
	if (route->sub) {
		natsSubscription_Unsubscribe(route->sub);
		natsSubscription_Destroy(route->sub);
		route->sub = NULL;
	}
}

int route_subscribe_reply(struct route *route)
{
	char subject[128];
	natsStatus status;

	/* What is under way keeps it on another connection. */
	if (!route->reply) {
		status = natsInbox_Create(&route->reply);
		if (status != NATS_OK)
			return status;
	}
	route->inbox = inbox_new(route->bridge->event, route->conf.window + 64);
	if (!route->inbox)
		return NATS_NO_MEMORY;
	snprintf(subject, sizeof(subject), "%s.*", route->reply);
	return inbox_subscribe(route->inbox, &route->sub, route->bridge, subject, NULL,
			       4 * WINDOW_MAX);
}

uint64_t route_reply_number(const struct route *route, const natsMsg *msg)
{
	const char *subject = natsMsg_GetSubject(msg);
	size_t len = strlen(route->reply);

	if (strncmp(subject, route->reply, len) || subject[len] != '.')
		return 0;
	return strtoull(subject + len + 1, NULL, 10);
}

const char *route_api(const struct route *route, char *to, size_t size)
{
	const char *domain = route->bridge->conf.domain;

	snprintf(to, size, "$JS%s%s.API", domain ? "." : "", domain ?: "");
	return to;
}

void route_reject(struct route *route, const void *data, size_t len, uint32_t prio, uint64_t type,
		  const char *why)
{
	struct mbox_msg msg = MBOX_MSG_INIT(data, len);

	msg.flags = MBOX_DONTWAIT;
	msg.prio = prio;
	msg.type = type;
	if (route->dead && !mbox_sendmsg(route->dead, &msg)) {
		route->n.dead++;
		return;
	}
	if (route->dead)
		route_say(route, "%s: %s; dropped, because %s does not take it: %s",
			  route->conf.mailbox, why, route->conf.dead_letter, strerror(errno));
	else
		route_say(route, "%s: %s; dropped", route->conf.mailbox, why);
	route->n.rejected++;
}

/* Give back what is under way, and end. */
void route_stop(struct route *route)
{
	route->ops->stop(route);
	route_detach(route);
	close_mailbox(route);
}

void route_free(struct route *route)
{
	natsInbox_Destroy(route->reply);
	route->ops->free(route);
	route_conf_free(&route->conf);
	free(route);
}
