// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The connection to NATS.
 *
 * libnats reconnects by itself, for ever, with the waits that it was told. It gives up
 * only when a server refuses the credentials twice. Then, and while there has been no
 * connection yet, the loop tries again, after waits that grow.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "bridge.h"

#define BACKOFF_MIN (NSEC_PER_SEC / 2)
#define BACKOFF_MAX (30 * NSEC_PER_SEC)

/* What the threads of libnats tell. */
static struct {
	int event;
	atomic_bool changed;
	atomic_bool closed;
	pthread_mutex_t lock;
	char error[256];
} news = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

/* It was lost, or made again. */
static void on_changed(natsConnection *nc, void *closure)
{
	(void)nc;
	(void)closure;
	news.changed = true;
	eventfd_write(news.event, 1);
}

static void on_closed(natsConnection *nc, void *closure)
{
	(void)nc;
	(void)closure;
	news.closed = true;
	eventfd_write(news.event, 1);
}

/* The text belongs to the connection, which changes it. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure)
{
	const char *text = NULL;

	(void)sub;
	(void)closure;
	natsConnection_GetLastError(nc, &text);
	pthread_mutex_lock(&news.lock);
	if (status == NATS_SLOW_CONSUMER)
		snprintf(news.error, sizeof(news.error),
			 "messages were dropped: they come faster than a mailbox takes them");
	else
		snprintf(news.error, sizeof(news.error), "%s%s%s", natsStatus_GetText(status),
			 text && *text ? ": " : "", text ?: "");
	pthread_mutex_unlock(&news.lock);
	eventfd_write(news.event, 1);
}

/* The first line of a file with a secret. */
static char *secret(const char *file)
{
	static char line[1024];
	FILE *f = fopen(file, "re");

	if (!f || !fgets(line, sizeof(line), f)) {
		say("%s: %s", file, f && !ferror(f) ? "it is empty" : strerror(errno));
		if (f)
			fclose(f);
		return NULL;
	}
	fclose(f);
	line[strcspn(line, "\r\n")] = 0;
	return line;
}

/* Who we are, and what we want of the server. */
static natsStatus set_security(natsOptions *opts, const struct conf *conf)
{
	natsStatus status = NATS_OK;
	char *text;

	if (conf->credentials)
		status = natsOptions_SetUserCredentialsFromFiles(opts, conf->credentials, NULL);
	if (status == NATS_OK && conf->nkey)
		status = natsOptions_SetNKeyFromSeed(opts, conf->nkey, conf->nkey_seed);
	if (status == NATS_OK && conf->user) {
		text = secret(conf->password);
		status = text ? natsOptions_SetUserInfo(opts, conf->user, text) : NATS_INVALID_ARG;
	}
	if (status == NATS_OK && conf->token) {
		text = secret(conf->token);
		status = text ? natsOptions_SetToken(opts, text) : NATS_INVALID_ARG;
	}
	if (status == NATS_OK && (conf->tls || conf->ca || conf->cert))
		status = natsOptions_SetSecure(opts, true);
	if (status == NATS_OK && conf->ca)
		status = natsOptions_LoadCATrustedCertificates(opts, conf->ca);
	if (status == NATS_OK && conf->cert)
		status = natsOptions_LoadCertificatesChain(opts, conf->cert, conf->key);
	return status;
}

static natsStatus set_servers(natsOptions *opts, const char *servers)
{
	const char *list[64];
	char *text = strdup(servers), *save, *word;
	natsStatus status;
	int n = 0;

	if (!text)
		return NATS_NO_MEMORY;
	for (word = strtok_r(text, ",", &save); word && n < 64; word = strtok_r(NULL, ",", &save))
		list[n++] = word;
	status = n ? natsOptions_SetServers(opts, list, n) : NATS_ADDRESS_MISSING;
	free(text);
	return status;
}

static natsStatus make_options(natsOptions **to, const struct conf *conf)
{
	natsOptions *opts = NULL;
	natsStatus status = natsOptions_Create(&opts);

	if (status == NATS_OK)
		status = set_servers(opts, conf->servers ?: "nats://127.0.0.1:4222");
	if (status == NATS_OK)
		status = natsOptions_SetName(opts, conf->name);
	if (status == NATS_OK)
		status = natsOptions_SetMaxReconnect(opts, -1);
	if (status == NATS_OK)
		status = natsOptions_SetReconnectWait(opts, conf->reconnect_ms);
	if (status == NATS_OK)
		status = natsOptions_SetWriteDeadline(opts, WRITE_DEADLINE);
	if (status == NATS_OK)
		status = natsOptions_SetPingInterval(opts, 20000);
	if (status == NATS_OK)
		status = natsOptions_SetDisconnectedCB(opts, on_changed, NULL);
	if (status == NATS_OK)
		status = natsOptions_SetReconnectedCB(opts, on_changed, NULL);
	if (status == NATS_OK)
		status = natsOptions_SetClosedCB(opts, on_closed, NULL);
	if (status == NATS_OK)
		status = natsOptions_SetErrorHandler(opts, on_error, NULL);
	if (status == NATS_OK)
		status = set_security(opts, conf);
	*to = opts;
	return status;
}

static void made(struct bridge *bridge)
{
	char url[256] = "";
	char text[300];

	natsConnection_GetConnectedUrl(bridge->nc, url, sizeof(url));
	bridge->up = true;
	bridge->generation++;
	bridge->backoff_ns = BACKOFF_MIN;
	say("connected to %s", url);
	snprintf(text, sizeof(text), "STATUS=connected to %s", url);
	notify_manager(text);
}

/*
 * It was lost, or made again, or both. In which order is not known, so the connection
 * itself is asked. What was under way may be lost also if it is connected already.
 */
static void changed(struct bridge *bridge)
{
	if (bridge->up) {
		bridge->up = false;
		say("disconnected");
		notify_manager("STATUS=disconnected");
	}
	if (natsConnection_Status(bridge->nc) == NATS_CONN_STATUS_CONNECTED)
		made(bridge);
}

static void try_later(struct bridge *bridge)
{
	bridge->connect_ns = bridge->now + bridge->backoff_ns;
	bridge->backoff_ns *= 2;
	if (bridge->backoff_ns > BACKOFF_MAX)
		bridge->backoff_ns = BACKOFF_MAX;
}

static void drop(struct bridge *bridge)
{
	struct route *route;

	bridge->up = false;
	if (!bridge->nc)
		return;
	for (route = bridge->routes; route; route = route->next)
		route_detach(route);
	stats_detach(bridge);
	natsConnection_Destroy(bridge->nc);
	bridge->nc = NULL;
	news.closed = false;
	news.changed = false;
}

static void attach(struct bridge *bridge)
{
	struct route *route;
	natsStatus status;

	for (route = bridge->routes; route; route = route->next) {
		status = route_attach(route);
		if (status != NATS_OK)
			route_say(route, "cannot subscribe: %s", natsStatus_GetText(status));
	}
	stats_attach(bridge);
	/* The server knows of all subscriptions when it answers. */
	if (natsConnection_FlushTimeout(bridge->nc, WRITE_DEADLINE) == NATS_OK)
		say("ready");
}

static void make_connection(struct bridge *bridge)
{
	natsOptions *opts = NULL;
	natsStatus status = make_options(&opts, &bridge->conf);
	char text[300];

	if (status == NATS_OK)
		status = natsConnection_Connect(&bridge->nc, opts);
	natsOptions_Destroy(opts);
	bridge->connect_ns = UINT64_MAX;
	if (status == NATS_OK) {
		made(bridge);
		attach(bridge);
		return;
	}
	snprintf(text, sizeof(text), "STATUS=cannot connect: %s: %s", natsStatus_GetText(status),
		 nats_GetLastError(NULL) ?: "");
	say("%s", text + strlen("STATUS="));
	notify_manager(text);
	bridge->nc = NULL;
	bridge->now = now_ns();
	try_later(bridge);
}

/**
 * connection_start() - prepare, and connect when the loop runs
 * @bridge: the bridge
 */
void connection_start(struct bridge *bridge)
{
	news.event = bridge->event;
	bridge->backoff_ns = BACKOFF_MIN;
	bridge->connect_ns = 0;
}

static void say_news(void)
{
	char error[sizeof(news.error)];

	pthread_mutex_lock(&news.lock);
	memcpy(error, news.error, sizeof(error));
	*news.error = 0;
	pthread_mutex_unlock(&news.lock);
	if (*error)
		say("%s", error);
}

/**
 * connection_run() - see what has become of the connection, and connect if it is time
 * @bridge: the bridge
 */
void connection_run(struct bridge *bridge)
{
	const char *text = NULL;

	say_news();
	if (bridge->nc && atomic_exchange(&news.closed, false)) {
		natsConnection_GetLastError(bridge->nc, &text);
		say("the connection has ended: %s", text && *text ? text : "no reason given");
		notify_manager("STATUS=not connected");
		drop(bridge);
		try_later(bridge);
	}
	if (bridge->nc && atomic_exchange(&news.changed, false))
		changed(bridge);
	if (!bridge->nc && bridge->now >= bridge->connect_ns)
		make_connection(bridge);
}

/**
 * connection_stop() - send what is buffered, and end the connection
 * @bridge: the bridge
 */
void connection_stop(struct bridge *bridge)
{
	if (bridge->nc && bridge->up)
		natsConnection_FlushTimeout(bridge->nc, WRITE_DEADLINE);
	drop(bridge);
}
