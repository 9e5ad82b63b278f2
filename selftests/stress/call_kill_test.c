// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGKILL at random moments of calls that do not wait. Clients start, fetch and cancel
 * calls; servers receive and reply; both are killed. Then the books are balanced: each
 * call of a client that lived ended exactly once, and its end and what the server saw of
 * its reply agree. The books are in memory that outlives the processes.
 *
 * MBOX_SEED repeats the choices of a run (not the scheduler's), MBOX_KILLS says how many
 * servers each test kills.
 */
#include "calls.h"
#include "kill.h"

#define CLIENTS 4
#define SERVERS 2
#define CALLS 300
/* Most calls that a client has outstanding, and a server has not replied to. */
#define AT_ONCE 24
#define HELD 6

/* What a server knows of its reply. */
enum reply {
	UNREPLIED,
	/* In a call that has not returned; if killed, it never does. */
	TRYING,
	REPLIED,
	/* The caller had gone. */
	REFUSED,
};

/* How a call ended for its client. */
enum end {
	NOT_STARTED,
	STARTED,
	GOT_REPLY,
	TIMED_OUT,
	BROKEN,
	CANCELLED,
};

/**
 * struct client - what a client leaves behind
 * @end: of each of its calls
 * @nends: how often each of them ended
 * @reply: of each of its calls, noted by the server
 */
struct client {
	pid_t pid;
	__u32 id;
	__u32 started;
	__u32 error_line;
	long error;
	struct random random;
	__u8 end[CALLS];
	__u8 nends[CALLS];
	__u8 reply[CALLS];
};

struct server {
	pid_t pid;
	__u32 started;
	__u32 error_line;
	long error;
	struct random random;
};

struct books {
	struct client client[CLIENTS];
	struct server server[SERVERS];
};

static struct books *books;

#define WORKER_CHECK(w, cond) do {			\
	if (!(cond)) {					\
		(w)->error = errno;			\
		(w)->error_line = __LINE__;		\
		_exit(1);				\
	}						\
} while (0)

static __u32 request_of(__u32 client, __u32 n)
{
	return client << 16 | n;
}

/* ---- servers ------------------------------------------------------------------ */

static void reply_to(struct server *s, int fd, __u64 token, __u32 request)
{
	__u8 *reply = &books->client[request >> 16].reply[request & 0xffff];
	long ret;

	NOTE(*reply, TRYING);
	ret = answer(fd, token, request + 1);
	WORKER_CHECK(s, !ret || ret == -ESRCH);
	NOTE(*reply, ret ? REFUSED : REPLIED);
}

static int run_server(struct server *s, int from)
{
	__u64 token[HELD];
	__u32 request[HELD];
	int fd = open_again(from, O_RDONLY), n = 0, i;
	long ret;

	/* The mailbox may have been destroyed since it was started. */
	if (fd == -ENOENT)
		return 0;
	WORKER_CHECK(s, fd >= 0);
	for (;;) {
		__u32 value = POISON32;
		struct mbox_msg msg = msg_of(&value, sizeof(value), n ? MBOX_DONTWAIT : 0);

		NOTE(s->started, 1);
		ret = n < HELD ? raw(fd, MBOX_IOC_RECV, &msg) : -EAGAIN;
		if (ret == -EIDRM)
			return 0;
		WORKER_CHECK(s, ret == 4 || ret == -EAGAIN);
		if (ret == 4) {
			WORKER_CHECK(s, msg.token && value >> 16 < CLIENTS);
			WORKER_CHECK(s, (value & 0xffff) < CALLS);
			token[n] = msg.token;
			request[n++] = value;
			if (!one_in(&s->random, 3))
				continue;
		}
		/* Any of them, so that replies come in another order. */
		i = random_below(&s->random, n);
		reply_to(s, fd, token[i], request[i]);
		n--;
		token[i] = token[n];
		request[i] = request[n];
	}
}

/* ---- clients ------------------------------------------------------------------ */

/* A call that is outstanding. */
struct started {
	__u64 token;
	__u32 n;
};

static void note_end(struct client *c, __u32 n, enum end end)
{
	c->nends[n]++;
	NOTE(c->end[n], end);
}

static void forget(struct started *calls, int *n, int i)
{
	calls[i] = calls[--*n];
}

static void fetched(struct client *c, struct started *calls, int *n, __u64 token, long ret,
		    __u32 value)
{
	int i;

	for (i = 0; i < *n && calls[i].token != token; i++)
		;
	WORKER_CHECK(c, i < *n);
	if (ret == 4)
		WORKER_CHECK(c, value == request_of(c->id, calls[i].n) + 1);
	else
		WORKER_CHECK(c, ret == -ETIMEDOUT || ret == -EPIPE);
	note_end(c, calls[i].n, ret == 4 ? GOT_REPLY : ret == -EPIPE ? BROKEN : TIMED_OUT);
	forget(calls, n, i);
}

/* Fetch one: of those, or any; do not wait long. */
static void fetch_one(struct client *c, int fd, struct started *calls, int *n)
{
	__u32 value = POISON32;
	struct mbox_msg rep = msg_of(&value, sizeof(value), 0);
	__u64 token = one_in(&c->random, 3) ? calls[random_below(&c->random, *n)].token : 0;
	long ret;

	if (one_in(&c->random, 2))
		rep.flags = MBOX_DONTWAIT;
	ret = raw_call_wait(fd, &token, &rep, soon(&c->random));
	if (token)
		fetched(c, calls, n, token, ret, value);
	else
		WORKER_CHECK(c, ret == -EAGAIN || ret == -ETIMEDOUT);
}

static void cancel_one(struct client *c, int fd, struct started *calls, int *n)
{
	int i = random_below(&c->random, *n);
	long ret = raw_call_cancel(fd, calls[i].token);

	/* If it has ended, its end is there to be fetched. */
	WORKER_CHECK(c, !ret || ret == -ESRCH);
	if (ret)
		return;
	note_end(c, calls[i].n, CANCELLED);
	forget(calls, n, i);
}

static bool start_one(struct client *c, int fd, __u32 next, struct started *call)
{
	__u64 deadline = 0;
	__u32 flags = 0;
	long ret;

	if (one_in(&c->random, 4))
		deadline = soon(&c->random);
	if (!deadline || one_in(&c->random, 2))
		flags = MBOX_DONTWAIT;
	NOTE(c->end[next], STARTED);
	ret = start_call(fd, request_of(c->id, next), flags, deadline, &call->token);
	WORKER_CHECK(c, !ret || ret == -EAGAIN || ret == -ETIMEDOUT);
	call->n = next;
	if (ret)
		NOTE(c->end[next], NOT_STARTED);
	return !ret;
}

static int run_client(struct client *c, int from)
{
	struct started calls[AT_ONCE];
	int fd = open_again(from, O_WRONLY), n = 0;
	__u32 next = 0;

	WORKER_CHECK(c, fd >= 0);
	while (next < CALLS || n) {
		NOTE(c->started, 1);
		switch (random_below(&c->random, 4)) {
		case 0:
		case 1:
			if (next < CALLS && n < AT_ONCE && start_one(c, fd, next, &calls[n])) {
				n++;
				next++;
			}
			break;
		case 2:
			if (n)
				fetch_one(c, fd, calls, &n);
			break;
		case 3:
			if (n && one_in(&c->random, 8))
				cancel_one(c, fd, calls, &n);
			break;
		}
	}
	close(fd);
	return 0;
}

/* ---- the test ------------------------------------------------------------------ */

static pid_t server_start(struct server *s, int fd)
{
	pid_t pid;

	s->started = 0;
	random_next(&s->random);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run_server(s, fd));
	}
	s->pid = pid;
	return pid;
}

static pid_t client_start(struct client *c, int fd)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run_client(c, fd));
	}
	c->pid = pid;
	return pid;
}

FIXTURE(call_kill)
{
	int fd;
};

FIXTURE_VARIANT(call_kill)
{
	__u32 flags;
	__u32 capacity;
};

FIXTURE_VARIANT_ADD(call_kill, bounded) { .capacity = 4 };
FIXTURE_VARIANT_ADD(call_kill, unbounded) { .capacity = MBOX_UNBOUNDED };
FIXTURE_VARIANT_ADD(call_kill, rendezvous) { .capacity = 0 };
FIXTURE_VARIANT_ADD(call_kill, fair) { .flags = MBOX_FAIR, .capacity = 8 };

FIXTURE_SETUP(call_kill)
{
	self->fd = new_mailbox(variant->flags, variant->capacity);
	ASSERT_LE(0, self->fd);
	books = shared_memory(sizeof(*books));
	ASSERT_TRUE(!!books);
}

FIXTURE_TEARDOWN(call_kill)
{
	close(self->fd);
	munmap(books, sizeof(*books));
}

/* What a client knows of a call, and what a server knows of it. */
static bool agree(const struct client *c, int n)
{
	switch (c->end[n]) {
	case GOT_REPLY:
		return c->reply[n] == REPLIED || c->reply[n] == TRYING;
	case TIMED_OUT:
	case BROKEN:
	case CANCELLED:
		return c->reply[n] != REPLIED;
	}
	return false;
}

static void check_client(struct __test_metadata *_metadata, const struct client *c)
{
	int n;

	for (n = 0; n < CALLS; n++) {
		EXPECT_EQ(1, c->nends[n])
			TH_LOG("call %u of client %u ended %u times", n, c->id, c->nends[n]);
		EXPECT_TRUE(agree(c, n))
			TH_LOG("call %u of client %u: end %u, reply %u", n, c->id, c->end[n],
			       c->reply[n]);
	}
}

TEST_F(call_kill, each_call_ends_exactly_once)
{
	unsigned long kills = env_number("MBOX_KILLS", 60 / time_factor() + 8);
	struct random r = { random_seed() };
	bool killed[CLIENTS] = { 0 };
	int i, status;

	TH_LOG("MBOX_SEED=%llu MBOX_KILLS=%lu", (unsigned long long)r.state, kills);
	for (i = 0; i < CLIENTS; i++) {
		books->client[i].id = i;
		books->client[i].random.state = random_next(&r);
		ASSERT_LT(0, client_start(&books->client[i], self->fd));
	}
	for (i = 0; i < SERVERS; i++) {
		books->server[i].random.state = random_next(&r);
		ASSERT_LT(0, server_start(&books->server[i], self->fd));
	}
	while (kills--) {
		struct server *s = &books->server[random_below(&r, SERVERS)];

		random_moment(&r, &s->started);
		ASSERT_EQ(0, kill(s->pid, SIGKILL));
		ASSERT_EQ(s->pid, waitpid(s->pid, &status, 0));
		EXPECT_EQ(0U, s->error_line);
		EXPECT_TRUE(WIFSIGNALED(status));
		ASSERT_LT(0, server_start(s, self->fd));
		/* Half of the clients are killed on the way. */
		i = random_below(&r, CLIENTS);
		if (i & 1 && !killed[i] && one_in(&r, 4)) {
			killed[i] = true;
			kill(books->client[i].pid, SIGKILL);
		}
	}
	for (i = 0; i < CLIENTS; i++) {
		struct client *c = &books->client[i];

		ASSERT_EQ(c->pid, waitpid(c->pid, &status, 0));
		EXPECT_EQ(0U, c->error_line)
			TH_LOG("line %u, error %ld", c->error_line, c->error);
		if (!killed[i])
			EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status));
	}
	/* Those that were killed have withdrawn what they had sent. */
	EXPECT_EQ(0U, stat_of(self->fd).waiting_senders);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < SERVERS; i++) {
		ASSERT_EQ(books->server[i].pid, waitpid(books->server[i].pid, &status, 0));
		EXPECT_EQ(0U, books->server[i].error_line);
	}
	for (i = 0; i < CLIENTS; i++)
		if (!killed[i])
			check_client(_metadata, &books->client[i]);
}

TEST_HARNESS_MAIN
