// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions of a send and a receive, by message size: a mailbox against the kernel's
 * other queues, through their C library; a batch of messages; mailboxes by bare ioctls;
 * rings, which make no system call; and round trips between two threads. Exits 1 where a
 * mailbox needs more, in relation to the best of the others, than a bound allows.
 *
 * See measure.h for where to run it.
 */
#include <mbox.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

#define NAME "/mbox-bench-count"
#define SIZE_MOST 65536
#define BATCH 32

/*
 * Message sizes, and the most that a pair and a message of a batch may take, in relation to
 * the best of the others; 0: any number.
 */
static const struct {
	size_t size;
	double pair;
	double batch;
} rows[] = {
	{ 8, 0.72, 0.35 },   { 64, 0.72, 0.35 },   { 256, 0.75, 0.38 },
	{ 1024, 0.77, 0.6 }, { 4096, 0.87, 0.9 }, { SIZE_MOST, 0.85, 0 },
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

/* The most that round trips may take. */
#define TRIP_MOST 0.97

/**
 * struct channels - all kinds, and what is sent through them
 * @mb: the mailbox
 * @back: a second one, for round trips
 * @ring: the same as a ring
 * @ring_one: a ring for one sender and one receiver
 * @mq: the message queue
 * @mq_back: a second one
 * @sysv: the System V queue
 * @pipes: a pipe that keeps messages apart
 * @sockets: a pair of sockets
 * @len: length of the message
 * @sent: the message, behind a type for System V
 * @got: room for a message
 */
struct channels {
	struct mbox *mb;
	struct mbox *back;
	struct mbox *ring;
	struct mbox *ring_one;
	mqd_t mq;
	mqd_t mq_back;
	int sysv;
	int pipes[2];
	int sockets[2];
	size_t len;
	struct {
		long type;
		char data[SIZE_MOST];
	} sent, got;
};

static inline void pair_through(struct channels *c, struct mbox *mb)
{
	if (mbox_send(mb, c->sent.data, c->len, 0) < 0 ||
	    mbox_recv(mb, c->got.data, sizeof(c->got.data), 0) != (ssize_t)c->len)
		err(1, "mbox, %zu bytes", c->len);
}

static void pair_mbox(void *arg)
{
	struct channels *c = arg;

	pair_through(c, c->mb);
}

static void pair_ring(void *arg)
{
	struct channels *c = arg;

	pair_through(c, c->ring);
}

static void pair_ring_one(void *arg)
{
	struct channels *c = arg;

	pair_through(c, c->ring_one);
}

static void pair_ioctl(void *arg)
{
	struct channels *c = arg;
	struct mbox_msg msg;

	msg.buf = (uintptr_t)c->sent.data;
	msg.len = c->len;
	msg.flags = 0;
	if (syscall(SYS_ioctl, mbox_fd(c->mb),
		    _IOC(_IOC_WRITE, MBOX_IOC_MAGIC, _IOC_NR(MBOX_IOC_SEND), MBOX_MSG_SIZE_MIN),
		    &msg) < 0)
		err(1, "SEND, %zu bytes", c->len);

	msg.buf = (uintptr_t)c->got.data;
	msg.len = sizeof(c->got.data);
	msg.flags = 0;
	if (syscall(SYS_ioctl, mbox_fd(c->mb),
		    _IOC(_IOC_READ | _IOC_WRITE, MBOX_IOC_MAGIC, _IOC_NR(MBOX_IOC_RECV),
			 MBOX_MSG_SIZE_MIN),
		    &msg) != (long)c->len)
		err(1, "RECV, %zu bytes", c->len);
}

static void pair_batch(void *arg)
{
	static struct mbox_msg msgs[BATCH];
	struct channels *c = arg;
	int i;

	for (i = 0; i < BATCH; i++) {
		msgs[i] = (struct mbox_msg){ 0 };
		msgs[i].buf = (uintptr_t)c->sent.data;
		msgs[i].len = c->len;
	}
	if (mbox_sendmmsg(c->mb, msgs, BATCH, 0) != BATCH)
		err(1, "batch, %zu bytes", c->len);
	for (i = 0; i < BATCH; i++) {
		msgs[i].buf = (uintptr_t)c->got.data;
		msgs[i].len = sizeof(c->got.data);
	}
	if (mbox_recvmmsg(c->mb, msgs, BATCH, 0) != BATCH)
		err(1, "batch, %zu bytes", c->len);
}

static void pair_mq(void *arg)
{
	struct channels *c = arg;

	if (mq_send(c->mq, c->sent.data, c->len, 0) < 0 ||
	    mq_receive(c->mq, c->got.data, sizeof(c->got.data), NULL) != (ssize_t)c->len)
		err(1, "mq, %zu bytes", c->len);
}

static void pair_sysv(void *arg)
{
	struct channels *c = arg;

	if (msgsnd(c->sysv, &c->sent, c->len, 0) < 0 ||
	    msgrcv(c->sysv, &c->got, sizeof(c->got.data), 0, 0) != (ssize_t)c->len)
		err(1, "System V, %zu bytes", c->len);
}

static void pair_pipe(void *arg)
{
	struct channels *c = arg;

	if (write(c->pipes[1], c->sent.data, c->len) < 0 ||
	    read(c->pipes[0], c->got.data, sizeof(c->got.data)) != (ssize_t)c->len)
		err(1, "pipe, %zu bytes", c->len);
}

static void pair_socket(void *arg)
{
	struct channels *c = arg;

	if (send(c->sockets[1], c->sent.data, c->len, 0) < 0 ||
	    recv(c->sockets[0], c->got.data, sizeof(c->got.data), 0) != (ssize_t)c->len)
		err(1, "socket, %zu bytes", c->len);
}

/* ---- round trips ----------------------------------------------------------- */

static void trip_mbox(void *arg)
{
	struct channels *c = arg;

	if (mbox_send(c->mb, c->sent.data, c->len, 0) < 0 ||
	    mbox_recv(c->back, c->got.data, sizeof(c->got.data), 0) < 0)
		err(1, "trip");
}

/* Also in an ioctl, which is no cancellation point. */
static void end_when_cancelled(void)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
}

static void *answer_mbox(void *arg)
{
	static char data[SIZE_MOST];
	struct channels *c = arg;
	ssize_t len;

	end_when_cancelled();
	for (;;) {
		len = mbox_recv(c->mb, data, sizeof(data), 0);
		if (len < 0 || mbox_send(c->back, data, len, 0) < 0)
			err(1, "answer");
	}
	return NULL;
}

static void trip_mq(void *arg)
{
	struct channels *c = arg;

	if (mq_send(c->mq, c->sent.data, c->len, 0) < 0 ||
	    mq_receive(c->mq_back, c->got.data, sizeof(c->got.data), NULL) < 0)
		err(1, "trip");
}

static void *answer_mq(void *arg)
{
	static char data[SIZE_MOST];
	struct channels *c = arg;
	ssize_t len;

	end_when_cancelled();
	for (;;) {
		len = mq_receive(c->mq, data, sizeof(data), NULL);
		if (len < 0 || mq_send(c->mq_back, data, len, 0) < 0)
			err(1, "answer");
	}
	return NULL;
}

static void trip_call(void *arg)
{
	struct channels *c = arg;

	if (mbox_call(c->mb, c->sent.data, c->len, c->got.data, sizeof(c->got.data), NULL) < 0)
		err(1, "mbox_call");
}

static void *answer_calls(void *arg)
{
	static char data[SIZE_MOST];
	struct channels *c = arg;
	struct mbox_msg msg;
	uint64_t token = 0;
	ssize_t len = 0;

	end_when_cancelled();
	for (;;) {
		msg = (struct mbox_msg){ 0 };
		msg.buf = (uintptr_t)data;
		msg.len = sizeof(data);
		if (token)
			len = mbox_reply_recv(c->mb, token, data, len, &msg);
		else
			len = mbox_recvmsg(c->mb, &msg);
		if (len < 0)
			err(1, "server");
		token = msg.token;
	}
	return NULL;
}

static double trip_cost(pair_fn trip, void *(*answer)(void *arg), struct channels *c)
{
	pthread_t thread;
	double cost;

	if (pthread_create(&thread, NULL, answer, c))
		errx(1, "pthread_create");
	cost = pair_cost(trip, c);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	return cost;
}

/* ---- the table ------------------------------------------------------------- */

static struct mbox *create(uint32_t mode, uint32_t flags, uint32_t capacity, uint32_t msg_max)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;

	attr.mode = mode;
	attr.flags = flags;
	attr.capacity = capacity;
	attr.msg_max = msg_max;
	mb = mbox_create(NULL, O_RDWR, &attr);
	if (!mb)
		err(1, "mbox_create");

	return mb;
}

static mqd_t create_mq(void)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = SIZE_MOST };
	mqd_t mq = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	if (mq == (mqd_t)-1)
		err(1, "mq_open");
	mq_unlink(NAME);
	return mq;
}

static void open_channels(struct channels *c)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	int size = 4 * SIZE_MOST;

	c->mb = create(MBOX_QUEUE, 0, BATCH, SIZE_MOST);
	c->back = create(MBOX_QUEUE, 0, BATCH, SIZE_MOST);
	c->ring = create(MBOX_RING, 0, 10, SIZE_MOST);
	c->ring_one = create(MBOX_RING, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER, 10, SIZE_MOST);

	if (setrlimit(RLIMIT_MSGQUEUE, &limit) < 0)
		err(1, "setrlimit");
	c->mq = create_mq();
	c->mq_back = create_mq();
	c->sysv = msgget(IPC_PRIVATE, 0600);
	if (c->sysv < 0)
		err(1, "msgget");
	if (pipe2(c->pipes, O_DIRECT) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, c->sockets) ||
	    setsockopt(c->sockets[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)))
		err(1, "pipe, socketpair");

	/* Also touches the pages. */
	memset(&c->sent, 's', sizeof(c->sent));
	memset(&c->got, 'g', sizeof(c->got));
	c->sent.type = 1;
}

static int judge(const char *what, size_t size, double ratio, double most)
{
	if (ratio <= most)
		return 0;
	printf("%s of %zu bytes: %.3f of the best of the others, at most %.2f: too much\n", what,
	       size, ratio, most);
	return 1;
}

static int measure_pairs(struct channels *c)
{
	double mbox, batch, best, mq, sysv, pipe, socket;
	int status = 0;
	size_t i;

	printf("instructions of a send and a receive that do not wait\n");
	printf("%6s %9s %6s %9s %9s %9s %9s %9s %9s %9s %9s\n", "size", "mbox", "ratio", "mq",
	       "System V", "pipe", "socket", "batch", "ioctl", "ring", "1:1 ring");
	for (i = 0; i < NROWS; i++) {
		c->len = rows[i].size;
		mbox = pair_cost(pair_mbox, c);
		mq = pair_cost(pair_mq, c);
		/* What the kernel lets a System V message have, and a pipe. */
		sysv = c->len <= 4096 ? pair_cost(pair_sysv, c) : 0;
		socket = pair_cost(pair_socket, c);
		best = socket < mq ? socket : mq;
		best = sysv && sysv < best ? sysv : best;
		pipe = c->len <= 4096 ? pair_cost(pair_pipe, c) : 0;
		best = pipe && pipe < best ? pipe : best;
		batch = pair_cost(pair_batch, c) / BATCH;
		printf("%6zu %9.1f %6.3f %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f\n",
		       c->len, mbox, mbox / best, mq, sysv, pipe, socket, batch,
		       pair_cost(pair_ioctl, c), pair_cost(pair_ring, c),
		       pair_cost(pair_ring_one, c));
		status |= judge("pair", c->len, mbox / best, rows[i].pair);
		if (rows[i].batch)
			status |= judge("batch", c->len, batch / best, rows[i].batch);
	}
	return status;
}

static int measure_trips(struct channels *c)
{
	double mbox, mq, call;
	int status;

	c->len = 64;
	mbox = trip_cost(trip_mbox, answer_mbox, c);
	call = trip_cost(trip_call, answer_calls, c);
	mq = trip_cost(trip_mq, answer_mq, c);
	printf("\ninstructions of a round trip between two threads, 64 bytes\n"
	       "%-14s %9s %6s\n%-14s %9.1f %6.3f\n%-14s %9.1f %6.3f\n%-14s %9.1f\n",
	       "", "", "ratio", "two mailboxes", mbox, mbox / mq, "mbox_call", call, call / mq,
	       "two mqs", mq);
	status = judge("round trip", c->len, mbox / mq, TRIP_MOST);
	return status;
}

int main(void)
{
	static struct channels c;
	int status;

	open_channels(&c);
	status = measure_pairs(&c);
	status |= measure_trips(&c);
	msgctl(c.sysv, IPC_RMID, NULL);
	printf("bounds: %s\n", status ? "too much" : "ok");

	return status;
}
