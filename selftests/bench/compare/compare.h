/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every way to send messages from one process to another, in one interface, and what
 * measures it.
 */
#ifndef MBOX_BENCH_COMPARE_H
#define MBOX_BENCH_COMPARE_H

#include <mbox.h>
#include <mqueue.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIZE_MOST (1U << 20)
#define BATCH_MOST 128
#define MANY_MOST 10000
#define RUNS_MOST 101

/* The message to send, and room for one; the type is what System V sends. */
struct message {
	long type;
	union {
		uint64_t number;
		char data[SIZE_MOST];
	};
};

extern struct message sent, got;

/**
 * struct shape - what is needed of a channel
 * @size: bytes of a message
 * @capacity: messages that it must hold; about as many as it should hold
 * @senders: processes that send
 * @receivers: processes that receive
 */
struct shape {
	size_t size;
	unsigned int capacity;
	unsigned int senders;
	unsigned int receivers;
};

/* Whose a transport is: ours; the kernel's; shared memory without rules of its own. */
enum kind {
	OURS,
	KERNEL,
	MEMORY,
};

struct transport;

/**
 * struct channel - one open transport
 * @transport: which
 * @len: bytes of a message
 * @mb: a mailbox
 * @mq: a POSIX message queue
 * @id: a System V message queue
 * @fds: sockets, a pipe, eventfds: the receiver's, the sender's
 * @ring: shared memory
 */
struct channel {
	const struct transport *transport;
	size_t len;
	struct mbox *mb;
	mqd_t mq;
	int id;
	int fds[2];
	struct plain *ring;
};

/**
 * struct transport - a way to send messages
 * @name: for tables
 * @kind: whose
 * @size_most: the longest message; 0: SIZE_MOST
 * @atomic_most: the longest message of several senders; 0: @size_most
 * @one: one sender and one receiver only
 * @apart: sender and receiver are not the same process
 * @both_ways: one channel carries messages in both directions
 * @variant: another way to call what is in the table already: only in pairs and batches
 * @one_of_many: cheap enough to have thousands of it
 * @rpc: calls by libtirpc, which are compared with each other only
 * @open: make a channel for a shape, before fork(2); false and errno: that cannot be
 * @open_named: likewise, by a name that it makes and removes
 * @join: take part, in each process; the other's number is @other
 * @close: end it, in the process that opened it
 * @send: send @sent
 * @recv: receive a message to @got
 * @send_many: send @n messages, in as few calls as possible
 * @recv_many: receive as many
 * @send_prio: send with a priority
 * @send_type: send with a type
 * @recv_type: receive the first of a type
 * @call: send a request and receive its reply
 * @serve: receive @n requests and reply to them
 * @asks_as: which functions @ask calls; transports with the same are compared
 * @ask: get the state; of System V, by a command of msgctl(2)
 */
struct transport {
	const char *name;
	enum kind kind;
	size_t size_most;
	size_t atomic_most;
	bool one;
	bool apart;
	bool both_ways;
	bool variant;
	bool one_of_many;
	bool rpc;
	bool (*open)(struct channel *c, const struct shape *shape);
	bool (*open_named)(struct channel *c, const struct shape *shape);
	bool (*join)(struct channel *c, pid_t other);
	void (*close)(struct channel *c);
	bool (*send)(struct channel *c);
	bool (*recv)(struct channel *c);
	bool (*send_many)(struct channel *c, unsigned int n);
	bool (*recv_many)(struct channel *c, unsigned int n);
	bool (*send_prio)(struct channel *c, unsigned int prio);
	bool (*send_type)(struct channel *c, unsigned int type);
	bool (*recv_type)(struct channel *c, unsigned int type);
	bool (*call)(struct channel *c);
	bool (*serve)(struct channel *c, unsigned int n);
	enum asks_as {
		MQ_GETATTR = 1,
		MSGCTL,
	} asks_as;
	bool (*ask)(struct channel *c, int cmd);
};

extern const struct transport queue_rw, queue_ioctl, queue_sendmsg, ring_many, ring_one;
extern const struct transport direct, calls;
extern const struct transport posix_mq, mq_drop_in, system_v, sysv_drop_in;
extern const struct transport seqpacket, dgram, byte_pipe, packet_pipe;
extern const struct transport shared_eventfd, shared_futex;
extern const struct transport rpc_by_mbox_run, rpc_by_svc_run, rpc_by_socket;

extern const struct transport *const transports[];
extern const unsigned int ntransports;

#define TRANSPORTS_MOST 24

/**
 * struct row - what a line of the table is about
 * @measure: what was measured
 * @size: bytes of a message
 * @n: how many: senders, messages of a batch, messages in the queue
 * @cpus: how many CPUs the processes may use; 0: all
 */
struct row {
	const char *measure;
	size_t size;
	unsigned int n;
	int cpus;
};

/**
 * struct result - one transport in it, nanoseconds of a message
 * @there: it was measured
 * @middle: the median
 * @late: 99 of 100 are not above; 0: not known
 * @lowest: the least
 * @highest: the most
 */
struct result {
	bool there;
	double middle;
	double late;
	double lowest;
	double highest;
};

/**
 * struct options - how to measure
 * @quick: few sizes and short runs
 * @runs: how often each is measured
 * @samples: how often each batch of pairs is
 * @ms: about how long a run takes
 * @cpus: CPUs of the machine
 * @only: a name of the measure; NULL: all
 */
struct options {
	bool quick;
	unsigned int runs;
	unsigned int samples;
	unsigned int ms;
	int cpus;
	const char *only;
};

extern struct options options;

/* main.c: is there to be one, the table, and one line of it for each transport. */
bool wanted(const char *measure);
bool open_channel(struct channel *c, const struct transport *t, const struct shape *shape);
void report(const struct row *row, const struct result *results, double *first);
struct result summary(double *values, unsigned int n);

/* pairs.c, flows.c, flat.c, life.c, state.c: all of their rows. */
void measure_pairs(void);
void measure_flows(void);
void measure_trips(void);
void measure_flat(void);
void measure_life(void);
void measure_state(void);

#endif /* MBOX_BENCH_COMPARE_H */
