// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of 64 bytes per second, from one process to another: rings beside the
 * queues, sockets and pipes of the kernel. All take turns, run by run, so that a
 * disturbance meets each of them. Each holds about as many messages as the others,
 * which takes privilege.
 *
 * usage: rates [-r RUNS] [-t MS] [--judge]
 *
 * With --judge, exits 1 when a ring passes less than TARGET times as many messages
 * as the fastest of the kernel's.
 *
 * On a machine that other work keeps busy, a process that needs two CPUs at once
 * gets them by chance: the highest figures then say more than the medians. In a
 * virtual machine that counts instructions (measure.h) there is one CPU, and the
 * figures depend on nothing else.
 */
#include <getopt.h>
#include <mbox.h>
#include <mqueue.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "between.h"

#define TARGET 8
#define RUNS_MAX 101
#define CAPACITY 1024
#define MQ_NAME "/mbox-bench-rates"

/* What System V wants in front of a message; no other transport sends it. */
static struct {
	long type;
	union {
		uint64_t number;
		char data[64];
	};
} message = { .type = 1 };

#define LEN sizeof(message.data)

static struct mbox *mb;
static mqd_t mq;
static int msqid;
static int fds[2];

/* ---- mailboxes ----------------------------------------------------------- */

static void open_mailbox(uint32_t mode, uint32_t flags)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.mode = mode;
	attr.flags = flags;
	attr.capacity = CAPACITY;
	attr.msg_max = LEN;
	mb = mbox_create(NULL, O_RDWR, &attr);
	if (!mb)
		err(1, "mbox_create");
}

static void open_ring(void)
{
	open_mailbox(MBOX_RING, 0);
}

static void open_ring_one(void)
{
	open_mailbox(MBOX_RING, MBOX_ONE_SENDER | MBOX_ONE_RECEIVER);
}

static void open_queue(void)
{
	open_mailbox(MBOX_QUEUE, 0);
}

static void close_mailbox(void)
{
	mbox_close(mb);
}

static bool send_mailbox(uint64_t number)
{
	message.number = number;

	return !mbox_send(mb, message.data, LEN, 0);
}

static bool recv_mailbox(uint64_t *number)
{
	ssize_t len = mbox_recv(mb, message.data, LEN, 0);

	*number = message.number;

	return len == LEN;
}

/* ---- POSIX message queues ------------------------------------------------- */

static void open_mq(void)
{
	struct mq_attr attr = { .mq_maxmsg = CAPACITY, .mq_msgsize = LEN };

	mq = mq_open(MQ_NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (mq == (mqd_t)-1)
		err(1, "mq_open");
	mq_unlink(MQ_NAME);
}

static void close_mq(void)
{
	mq_close(mq);
}

static bool send_mq(uint64_t number)
{
	message.number = number;

	return !mq_send(mq, message.data, LEN, 0);
}

static bool recv_mq(uint64_t *number)
{
	ssize_t len = mq_receive(mq, message.data, LEN, NULL);

	*number = message.number;

	return len == LEN;
}

/* ---- System V message queues ---------------------------------------------- */

static void open_sysv(void)
{
	struct msqid_ds ds;

	msqid = msgget(IPC_PRIVATE, 0600);
	if (msqid < 0 || msgctl(msqid, IPC_STAT, &ds))
		err(1, "msgget");
	ds.msg_qbytes = CAPACITY * LEN;
	if (msgctl(msqid, IPC_SET, &ds))
		err(1, "msgctl");
}

static void close_sysv(void)
{
	msgctl(msqid, IPC_RMID, NULL);
}

static bool send_sysv(uint64_t number)
{
	message.number = number;

	return !msgsnd(msqid, &message, LEN, 0);
}

static bool recv_sysv(uint64_t *number)
{
	ssize_t len = msgrcv(msqid, &message, LEN, 0, 0);

	*number = message.number;

	return len == LEN;
}

/* ---- sockets and pipes ---------------------------------------------------- */

static void open_sockets(int type)
{
	/* The kernel counts what a message takes, and doubles the limit. */
	int bytes = CAPACITY * 768 / 2;

	if (socketpair(AF_UNIX, type, 0, fds) ||
	    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		err(1, "socketpair");
}

static void open_seqpacket(void)
{
	open_sockets(SOCK_SEQPACKET);
}

static void open_dgram(void)
{
	open_sockets(SOCK_DGRAM);
}

static bool send_socket(uint64_t number)
{
	message.number = number;

	return send(fds[1], message.data, LEN, 0) == LEN;
}

static bool recv_socket(uint64_t *number)
{
	ssize_t len = recv(fds[0], message.data, LEN, 0);

	*number = message.number;

	return len == LEN;
}

static void open_pipe(void)
{
	if (pipe(fds) || fcntl(fds[1], F_SETPIPE_SZ, CAPACITY * LEN) < 0)
		err(1, "pipe");
}

static bool send_pipe(uint64_t number)
{
	message.number = number;

	return write(fds[1], message.data, LEN) == LEN;
}

static bool recv_pipe(uint64_t *number)
{
	ssize_t len = read(fds[0], message.data, LEN);

	*number = message.number;

	return len == LEN;
}

static void close_fds(void)
{
	close(fds[0]);
	close(fds[1]);
}

/* ---- the table ------------------------------------------------------------ */

static const struct transport transports[] = {
	{ "ring, one and one", open_ring_one, close_mailbox, send_mailbox, recv_mailbox },
	{ "ring", open_ring, close_mailbox, send_mailbox, recv_mailbox },
	{ "queue", open_queue, close_mailbox, send_mailbox, recv_mailbox },
	{ "POSIX mq", open_mq, close_mq, send_mq, recv_mq },
	{ "System V", open_sysv, close_sysv, send_sysv, recv_sysv },
	{ "SOCK_SEQPACKET", open_seqpacket, close_fds, send_socket, recv_socket },
	{ "SOCK_DGRAM", open_dgram, close_fds, send_socket, recv_socket },
	{ "pipe", open_pipe, close_fds, send_pipe, recv_pipe },
};

#define NTRANSPORTS (sizeof(transports) / sizeof(transports[0]))
/* Where they are in the table: the ring that is judged, and the others' kind. */
#define RING 1
#define FIRST_PEER 3

/* Returns how many times faster the ring is than the fastest of the peers. */
static double measure(const char *where, unsigned int runs, unsigned int ms, int send_cpu,
		      int recv_cpu)
{
	static double rates[NTRANSPORTS][RUNS_MAX], calls[NTRANSPORTS][RUNS_MAX];
	double fastest = 0, highest = 0, ring, rate;
	uint64_t n[NTRANSPORTS];
	const char *peer = "";
	struct passage p;
	unsigned int j;
	size_t i;

	for (i = 0; i < NTRANSPORTS; i++)
		n[i] = messages_in(&transports[i], ms, send_cpu, recv_cpu);
	for (j = 0; j < runs; j++) {
		for (i = 0; i < NTRANSPORTS; i++) {
			p = pass(&transports[i], n[i], send_cpu, recv_cpu);
			rates[i][j] = n[i] / (p.ns / 1e9);
			calls[i][j] = p.calls / n[i];
		}
	}
	for (i = 0; i < NTRANSPORTS; i++) {
		qsort(rates[i], runs, sizeof(double), compare_double);
		qsort(calls[i], runs, sizeof(double), compare_double);
		rate = rates[i][runs / 2];
		if (i < FIRST_PEER)
			continue;
		if (rates[i][runs - 1] > highest)
			highest = rates[i][runs - 1];
		if (rate > fastest) {
			fastest = rate;
			peer = transports[i].name;
		}
	}

	printf("\n%s\n%-18s %11s %11s %11s %12s %11s\n", where, "", "messages/s", "lowest",
	       "highest", "system calls", "ring is");
	ring = rates[RING][runs / 2];
	for (i = 0; i < NTRANSPORTS; i++) {
		rate = rates[i][runs / 2];
		printf("%-18s %11.0f %11.0f %11.0f", transports[i].name, rate, rates[i][0],
		       rates[i][runs - 1]);
		if (calls[i][0] < 0)
			printf(" %12s", "-");
		else
			printf(" %12.3f", calls[i][runs / 2]);
		printf(" %9.2f x\n", ring / rate);
	}
	printf("ring: %.1f times %s, one and one: %.1f times; by the highest: %.1f and %.1f times\n",
	       ring / fastest, peer, rates[0][runs / 2] / fastest, rates[RING][runs - 1] / highest,
	       rates[0][runs - 1] / highest);
	printf("the target, %d times, is %s\n", TARGET,
	       ring / fastest >= TARGET ? "reached" : "missed");
	fflush(stdout);

	return ring / fastest;
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "judge", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned int runs = 7, ms = 150;
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	bool judge = false;
	bool missed = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "r:t:", longopts, NULL)) >= 0) {
		if (opt == 'r')
			runs = atoi(optarg);
		else if (opt == 't')
			ms = atoi(optarg);
		else if (opt == 'j')
			judge = true;
		else
			return 2;
	}
	if (optind != argc || runs < 1 || runs > RUNS_MAX || ms < 1)
		errx(2, "usage: rates [-r RUNS] [-t MS] [--judge]");
	if (setrlimit(RLIMIT_MSGQUEUE, &limit))
		err(1, "room for a message queue");

	printf("messages of %zu bytes per second from a process to another; system calls\n"
	       "per message, of both; medians of %u runs in turn\n",
	       LEN, runs);
	if (cpus > 1)
		missed = measure("each on a CPU of its own", runs, ms, 0, 1) < TARGET;
	missed |= measure("both on one CPU", runs, ms, 0, 0) < TARGET;

	return judge && missed;
}
