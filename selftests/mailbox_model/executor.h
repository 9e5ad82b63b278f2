/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Workers that make calls one at a time, and the comparison of what comes out
 * with a model: after each step until everything that it led to is at rest.
 */
#ifndef SELFTESTS_EXECUTOR_H
#define SELFTESTS_EXECUTOR_H

#include <semaphore.h>

#include "model_direct.h"
#include "random.h"
#include "slow.h"

/**
 * struct slot - a worker and the call that it is told to make
 * @go: the call is here
 * @id: of the mailbox, or 0 for a link
 * @handles_of: of the mailbox whose handles messages carry, or 0: they carry other files
 * @peer: the process at the other end of a link
 * @token: of the request to reply to, or of the call to fetch or to cancel
 * @call: the call that was started or fetched
 * @picked: the worker has begun
 * @done: it has ended
 * @msg: with which it received
 * @late: its deadline may have passed before it was made
 * @replied: the reply's token is 0 now
 * @tries: to send, as a rival
 * @signals: whose handler has SA_RESTART; it has run so often
 * @page: to receive slowly, in the executor's process
 * @is_slow: there is one
 * @sent: the descriptors of the message or the reply that it sends
 * @fds: those of the message or the reply that it got
 * @files: by descriptor that it got: which file that is, or -1
 * @data: the message or the reply that it got
 */
struct slot {
	sem_t go;
	struct step step;
	__u64 id;
	__u64 handles_of;
	pid_t peer;
	__u64 token;
	__u64 call;
	pid_t pid;
	pid_t tid;
	int nice;
	int fd;
	bool quit;
	__u32 picked;
	__u32 done;
	long ret;
	bool late;
	bool replied;
	__u32 tries;
	__u32 signals;
	struct slow page;
	bool is_slow;
	struct mbox_msg msg;
	int sent[FILES_MAX];
	int fds[FILES_MAX];
	long files[FILES_MAX];
	unsigned char data[LEN_LONG + 1];
};

/**
 * struct executor - tells the workers what to do
 * @child: the workers that are processes
 * @thread: those that are threads
 * @pidfd: worker 0
 * @token: by message, of the requests that were received
 * @call: by message, of the calls that were started
 * @steps: carried out so far
 * @late: the last step was not what it should have been, or may not have been
 * @ends: when the lifespan or the deadline that goes on ends, at the earliest and at the
 *	latest
 * @mortal: there was one before the last step, which did not wait for its end
 * @missed: that end came before the executor could look
 * @patience: how often to look again, because a thread of the kernel may not be done
 * @rest: it is over only when every worker is at rest
 * @slow: copies can be slow
 * @shrink_until: when it is too late to cut a sequence down; 0: never
 * @short_enough: steps; a sequence of so many is not cut down
 * @letters: a handle of the mailbox for dead letters, or -1
 * @seen: of the letters in it, so many were compared
 * @leaf: a handle of the mailbox whose handles messages carry, or -1; @leaf_id: its id
 * @user_bytes: what this limit was
 * @cost: of a message and of a long one, with MBOX_DROP_OLDEST, and of a sender
 * @report: where to say what differs, or NULL
 */
struct executor {
	struct slot *slot;
	pid_t child[NWORKERS];
	pthread_t thread[NWORKERS];
	struct random random;
	unsigned long seed;
	int device;
	int pidfd;
	__u64 token[SEQUENCE_MAX];
	__u64 call[SEQUENCE_MAX];
	unsigned long long steps;
	bool late;
	__s64 ends[2];
	bool mortal;
	bool missed;
	int patience;
	bool rest;
	bool slow;
	__s64 shrink_until;
	int short_enough;
	int letters;
	__u64 seen;
	int leaf;
	__u64 leaf_id;
	long user_bytes;
	__u64 cost[3];
	FILE *report;
};

/* Where to say what differs; NULL: nowhere. */
#define SAY(out, ...) do {			\
	if (out)				\
		fprintf(out, __VA_ARGS__);	\
} while (0)

bool is_done(struct slot *slot);
int start_workers(struct executor *c, bool one_cpu);
void stop_workers(struct executor *c);
void issue(struct executor *c, const struct step *s, __u64 id);
void issue_rival(struct executor *c, const struct step *s, __u32 len, __u64 id);
void release(struct slot *slot, bool fail);
void note_end(struct executor *c, const struct step *s, bool latest);
void await_end(struct executor *c, int caller);
void forget_page(struct slot *slot);
bool restart(struct slot *slot);
bool stop(struct slot *slot);
bool agrees(struct executor *c, struct world *w, __u64 id);
bool keep_tokens(struct executor *c, const struct world *w);

#endif /* SELFTESTS_EXECUTOR_H */
