/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mbox-nats: mailboxes on NATS.
 *
 * One thread, the loop, owns the mailboxes, the routes and all that is declared here.
 * The threads of libnats only put messages into an inbox, which has a fixed size, and
 * tell the loop. Nothing in the loop waits for a mailbox. It waits for the network only
 * while a connection is made, and when the buffer of a socket is full (WRITE_DEADLINE).
 *
 * After each event the loop runs every route: run() of its kind does all that can be
 * done at this moment, up to a bound, and says which events of the mailbox and what
 * time it waits for. So no event has to be remembered.
 */
#ifndef MBOX_NATS_BRIDGE_H
#define MBOX_NATS_BRIDGE_H

#include <mbox.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

/* What one run of a route does at most, in messages. */
#define RUN_MAX 256

/* Milliseconds that a write to a full socket may take. */
#define WRITE_DEADLINE 2000

#define WINDOW_MAX 4096

/* How long a route that ends waits for what is under way. */
#define DRAIN (3 * NSEC_PER_SEC)
/* How long, after that, for what a thread of libnats still has. */
#define DRAIN_REST (NSEC_PER_SEC / 5)

enum route_kind {
	ROUTE_EXPORT,
	ROUTE_IMPORT,
	ROUTE_SERVE,
	ROUTE_CALL,
};

/**
 * struct route_conf - a route as it was written
 * @kind: which one
 * @text: its words, with one blank between them; two routes are the same if these are
 * @mailbox: name or path of the mailbox
 * @subject: subject of NATS
 * @queue: import, serve: the queue group; NULL: none
 * @durable: import: the durable consumer; NULL: no JetStream
 * @stream: import: its stream; NULL: the server is asked; export: the stream to make if none
 *	has the subject; NULL: none
 * @replicas: export: how many servers keep that stream
 * @dead_letter: mailbox for messages that cannot be passed on; NULL: none
 * @jetstream: export: the stream acknowledges
 * @trust: import, serve: believe the identity in the headers
 * @window: most messages, or calls, that are under way
 * @timeout_ns: export: until the acknowledgment; serve, call: until the reply
 * @reply_max: serve: longest reply
 */
struct route_conf {
	enum route_kind kind;
	char *text;
	char *mailbox;
	char *subject;
	char *queue;
	char *durable;
	char *stream;
	unsigned int replicas;
	char *dead_letter;
	bool jetstream;
	bool trust;
	unsigned int window;
	uint64_t timeout_ns;
	unsigned int reply_max;
};

/**
 * struct conf - all that files and options say
 * @servers: URLs, with commas between them
 * @name: name of the connection, and of the service that tells the counters
 * @credentials: file with JWT and seed; NULL: none
 * @nkey: public key; NULL: none
 * @nkey_seed: file with its seed
 * @user: user name; NULL: none
 * @password: file with the password
 * @token: file with a token; NULL: none
 * @ca: file with certificates of authorities; NULL: those of the system
 * @cert: file with a certificate of this client; NULL: none
 * @key: file with its key
 * @tls: use TLS
 * @domain: domain of JetStream; NULL: none
 * @state: folder for what must outlive this process; NULL: none
 * @metrics: file for counters; NULL: none
 * @reconnect_ms: time between two attempts at a server
 * @pending: bytes that libnats keeps for a subscription
 * @routes: the routes
 * @count: how many
 */
struct conf {
	char *servers;
	char *name;
	char *credentials;
	char *nkey;
	char *nkey_seed;
	char *user;
	char *password;
	char *token;
	char *ca;
	char *cert;
	char *key;
	bool tls;
	char *domain;
	char *state;
	char *metrics;
	unsigned int reconnect_ms;
	unsigned int pending;
	struct route_conf *routes;
	unsigned int count;
};

/**
 * struct counters - what a route has done
 * @messages: messages, requests or calls that were passed on
 * @bytes: their payloads
 * @errors: those that failed
 * @retries: those that were sent again
 * @duplicates: those that the other side had already
 * @dead: those that went to the dead-letter mailbox
 * @rejected: those that were dropped because nobody can take them
 * @dropped: those that libnats dropped (slow consumer)
 * @late: replies whose caller has gone
 * @ns: serve: time from a request to its reply, together
 */
struct counters {
	uint64_t messages;
	uint64_t bytes;
	uint64_t errors;
	uint64_t retries;
	uint64_t duplicates;
	uint64_t dead;
	uint64_t rejected;
	uint64_t dropped;
	uint64_t late;
	uint64_t ns;
};

/**
 * struct inbox - messages on their way from a thread of libnats to the loop
 * @ring: the messages
 * @lock: protects all else
 * @room: signalled when a message leaves a full @ring, and when it is closed
 * @event: eventfd of the loop
 * @size: how many it can hold
 * @head: the oldest one
 * @count: how many it has
 * @closed: messages are dropped
 * @ended: the subscription has ended: no more come
 * @refs: the route, and the subscription
 */
struct inbox {
	natsMsg **ring;
	pthread_mutex_t lock;
	pthread_cond_t room;
	int event;
	unsigned int size;
	unsigned int head;
	unsigned int count;
	bool closed;
	bool ended;
	unsigned int refs;
};

struct bridge;
struct route;

/**
 * struct route_ops - what a kind of route does
 * @oflags: rights on the mailbox
 * @start: allocate; 0, or -1 and errno
 * @opened: the mailbox was opened (again); may be NULL; 0, or -1 and errno
 * @attach: a connection was made (again): subscribe; a natsStatus
 * @run: do what can be done
 * @busy: whether something is under way that has an end
 * @stop: give back what is under way
 * @free: undo @start; the mailbox is closed
 */
struct route_ops {
	int oflags;
	int (*start)(struct route *route);
	int (*opened)(struct route *route);
	int (*attach)(struct route *route);
	void (*run)(struct route *route);
	bool (*busy)(struct route *route);
	void (*stop)(struct route *route);
	void (*free)(struct route *route);
};

/**
 * struct route - a route that runs
 * @next: the next one
 * @bridge: what it is a part of
 * @conf: what was written
 * @ops: its kind
 * @mb: the mailbox; NULL: it is not there
 * @attr: its attributes
 * @dead: the dead-letter mailbox; NULL: there is none
 * @inbox: messages from NATS
 * @sub: the subscription; NULL: there is none
 * @reply: prefix of subjects that are answered to @inbox; NULL: none
 * @generation: the connection (bridge.generation) for which it last ran
 * @open_ns: when to try again to open the mailbox
 * @due_ns: when to run at the latest; UINT64_MAX: not by time
 * @parked_ns: when to poll the mailbox again; 0: it is polled
 * @interest: events of the mailbox that are waited for
 * @stopping: it takes nothing new
 * @again: run() could do more
 * @n: counters
 * @written: counters that are in the file
 * @written_dropped: and what route_dropped() told
 * @dropped_before: dropped by former subscriptions
 * @dropped_now: by @sub
 * @error: what was last logged
 * @buf: of attr.msg_max bytes, or window_bytes
 * @own: of the kind
 */
struct route {
	struct route *next;
	struct bridge *bridge;
	struct route_conf conf;
	const struct route_ops *ops;
	struct mbox *mb;
	struct mbox_attr attr;
	struct mbox *dead;
	struct inbox *inbox;
	natsSubscription *sub;
	natsInbox *reply;
	unsigned int generation;
	uint64_t open_ns;
	uint64_t due_ns;
	uint64_t parked_ns;
	uint32_t interest;
	bool stopping;
	bool again;
	struct counters n;
	struct counters written;
	uint64_t written_dropped;
	uint64_t dropped_before;
	uint64_t dropped_now;
	char error[256];
	void *buf;
	void *own;
};

/**
 * struct bridge - the whole
 * @conf: files and options
 * @nc: the connection; NULL: none
 * @epoll: what the loop sleeps on
 * @event: eventfd: threads of libnats have something for the loop
 * @routes: the routes
 * @up: @nc is connected
 * @generation: how often it became so
 * @now: CLOCK_MONOTONIC when the loop woke up
 * @connect_ns: when to connect; UINT64_MAX: not now
 * @backoff_ns: how long after the next failure
 * @metrics_ns: when to write the file of counters, if any has changed
 * @metrics_up: @up, as the file has it
 * @metrics_routes: how many routes the file has
 * @metrics_failed: it could not be written
 * @ready: the service manager was told
 * @stats: subscriptions for $SRV
 * @stats_inbox: their messages
 * @id: of this instance of the service
 * @started: when it was, as text
 */
struct bridge {
	struct conf conf;
	natsConnection *nc;
	int epoll;
	int event;
	struct route *routes;
	bool up;
	unsigned int generation;
	uint64_t now;
	uint64_t connect_ns;
	uint64_t backoff_ns;
	uint64_t metrics_ns;
	bool metrics_up;
	unsigned int metrics_routes;
	bool metrics_failed;
	bool ready;
	natsSubscription *stats[9];
	struct inbox *stats_inbox;
	char id[23];
	char started[32];
};

/* main.c */
uint64_t now_ns(void);
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
/* say() about a route, unless that was said last. */
__attribute__((format(printf, 2, 3))) void route_say(struct route *route, const char *fmt, ...);
void notify_manager(const char *text);

/* routes.c: prints errors to stderr and returns false. */
bool conf_read(struct conf *conf, const char *file);
bool conf_line(struct conf *conf, char *line, const char *place);
void conf_free(struct conf *conf);
void route_conf_free(struct route_conf *conf);

/* connection.c */
void connection_start(struct bridge *bridge);
void connection_run(struct bridge *bridge);
void connection_stop(struct bridge *bridge);

/* inbox.c */
struct inbox *inbox_new(int event, unsigned int size);
void inbox_close(struct inbox *inbox);
natsMsg *inbox_take(struct inbox *inbox);
bool inbox_empty(struct inbox *inbox);
bool inbox_ended(struct inbox *inbox);
natsStatus inbox_subscribe(struct inbox *inbox, natsSubscription **sub, struct bridge *bridge,
			   const char *subject, const char *queue, int pending);

/* route.c */
struct route *route_new(struct bridge *bridge, const struct route_conf *conf);
void route_run(struct route *route);
natsStatus route_attach(struct route *route);
void route_detach(struct route *route);
void route_leave(struct route *route);
/* Whether a route that leaves has messages of its subscription, or can still get some. */
bool route_pending(struct route *route);
/* The next one of those that are left when it stops; NULL: none. */
natsMsg *route_take_rest(struct route *route, uint64_t until);
void route_stop(struct route *route);
void route_free(struct route *route);
/* Events of the mailbox to wait for from now on. */
void route_wait(struct route *route, uint32_t events);
void route_due(struct route *route, uint64_t ns);
/* The mailbox is gone or not usable: close it, and open it again later. */
void route_lost(struct route *route, const char *what);
void route_hung_up(struct route *route);
/* Subscribe to what is answered to route.reply. */
int route_subscribe_reply(struct route *route);
/* Count a message that nobody can take, after it went to the dead-letter mailbox. */
void route_reject(struct route *route, const void *data, size_t len, uint32_t prio,
		  uint64_t type, const char *why);
/* The number behind the prefix in the subject of a reply; 0: it is none. */
uint64_t route_reply_number(const struct route *route, const natsMsg *msg);
uint64_t route_dropped(struct route *route);
/* What the subjects of the API of JetStream begin with. */
const char *route_api(const struct route *route, char *to, size_t size);
const char *kind_name(enum route_kind kind);

extern const struct route_ops export_ops;
extern const struct route_ops import_ops;
extern const struct route_ops serve_ops;
extern const struct route_ops call_ops;

/* headers.c */
#define HEADER_PRIO "Mbox-Prio"
#define HEADER_TYPE "Mbox-Type"
#define HEADER_LIFESPAN "Mbox-Lifespan"
#define HEADER_DELIVERIES "Mbox-Deliveries"
#define HEADER_SENDER "Mbox-Sender"

/**
 * struct identity - who sent a message, as a header says
 * @known: there is such a header
 * @uid: user
 * @gid: group
 */
struct identity {
	bool known;
	uid_t uid;
	gid_t gid;
};

natsStatus headers_put(natsMsg *to, const struct mbox_msg *msg);
/* 0, or -1: a header is not as it should be. */
int headers_get(natsMsg *from, struct mbox_msg *msg, struct identity *identity);
/* Whether there is such a header, and its value. */
bool header_is(natsMsg *msg, const char *key, const char **value);
/* Be another user for one call; 0, or -1 and errno. */
int identity_take(const struct identity *identity);
void identity_drop(const struct identity *identity);

/* ledger.c */
struct ledger;

/**
 * struct ledger_id - what a message is known by on NATS
 * @number: number in the ledger
 * @place: its place there
 */
struct ledger_id {
	uint64_t number;
	unsigned int place;
};

struct ledger *ledger_open(struct route *route);
void ledger_close(struct ledger *ledger);
/* A message was received: give it a number, or the one that it had before. */
struct ledger_id ledger_add(struct ledger *ledger, struct mbox *mb, const struct mbox_msg *msg);
void ledger_text(const struct ledger *ledger, struct ledger_id id, char *text, size_t size);
/* The message is about to end, or was put back. */
void ledger_remove(struct ledger *ledger, struct ledger_id id, bool comes_back);

/* seen.c */
/* So many of the last messages are known. */
#define SEEN_MIN 32768

struct seen;

struct seen *seen_new(void);
bool seen_has(struct seen *seen, uint64_t key);
/* The key of a message that seen_has() does not know. */
void seen_add(struct seen *seen, uint64_t key);
void seen_free(struct seen *seen);

/* stats.c */
void stats_attach(struct bridge *bridge);
void stats_detach(struct bridge *bridge);
void stats_run(struct bridge *bridge);
void metrics_write(struct bridge *bridge);
/* Whether the file is not as it would be written now. */
bool metrics_changed(struct bridge *bridge);

#endif
