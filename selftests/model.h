/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A mailbox as it should be: plain arrays, one step at a time, nothing that
 * waits. What the calls of several workers return, and what stat shows after
 * each of them, comes out of these rules alone.
 *
 * Of workers that wait, the first to come is the first to be served: all have
 * the same scheduling priority.
 */
#ifndef SELFTESTS_MODEL_H
#define SELFTESTS_MODEL_H

#include "wrappers.h"

#define NWORKERS 4
/* Each other worker is of the same user. */
#define NUSERS 2
#define LEN_MAX 16
#define STORED_MAX 256
/* Steps of a sequence, and so of messages and replies. */
#define SEQUENCE_MAX 80

/* What a worker is told to do. */
enum op { OPEN, CLOSE, SEND, RECV, CALL, REPLY, REPLY_RECV, CAPACITY, DESTROY, INTERRUPT };

/*
 * How a call that would wait ends: not at all, or with one of two errors; or its
 * deadline comes before anybody does anything else.
 */
enum patience { WAIT, DONTWAIT, PAST_DEADLINE, EXPIRES };

/* REPLY_RECV: only receive. */
#define NO_REQUEST -1

/**
 * struct step - one call of one worker
 * @op: which
 * @worker: whose; a worker without a handle, or one that waits, skips it
 * @number: OPEN: the flags; CAPACITY: the capacity
 * @plain: SEND and RECV: write(2) or read(2)
 * @bad: the address of the message's buffer is bad
 * @patience: of what may wait; EXPIRES: only of CALL
 * @flags: of the call; MBOX_DONTWAIT is in @patience
 * @len: SEND and CALL: of the message; RECV and REPLY_RECV: of the buffer
 * @id: tells messages and replies apart
 * @request: REPLY and REPLY_RECV: @id of the one to reply to, or NO_REQUEST
 * @reply_len: CALL: of the buffer for the reply; otherwise of the reply
 * @reply_bad: the address of that buffer is bad
 */
struct step {
	enum op op;
	int worker;
	__u32 number;
	bool plain;
	bool bad;
	enum patience patience;
	__u32 flags;
	__u32 len;
	__u32 prio;
	__u32 skip;
	__u64 type;
	int id;
	int request;
	__u32 reply_len;
	bool reply_bad;
};

/**
 * struct message - a message
 * @from: the worker that sent it
 * @sender: the worker that waits until it is received, or -1
 * @sync: and waits whatever the capacity
 * @request: and then goes on to wait for a reply
 * @reply_room: for that
 * @reply_bad: where it cannot be put
 * @unread: MBOX_BROADCAST: by worker, whether it is still to receive it
 * @arrival: number, for MBOX_DROP_OLDEST
 */
struct message {
	int id;
	__u32 len;
	__u32 prio;
	__u64 type;
	int from;
	int sender;
	bool sync;
	bool request;
	__u32 reply_room;
	bool reply_bad;
	bool unread[NWORKERS];
	unsigned int arrival;
};

/* A call that waits, and a sender's message. */
struct waiting {
	struct step call;
	struct message msg;
};

/* A request that worker @server has received and has to reply to. */
struct owed {
	struct message msg;
	int server;
};

/**
 * struct outcome - how a call ended
 * @done: it did
 * @now: in the last step
 * @replied: REPLY_RECV: the reply was made
 * @token: there is one for @msg
 * @lost: how many were lost before @msg
 * @ret: what it returned, or -errno
 * @msg: RECV and REPLY_RECV: what it received; CALL: the reply
 */
struct outcome {
	bool done;
	bool now;
	bool replied;
	bool token;
	__u64 lost;
	long ret;
	struct message msg;
};

/**
 * struct model - a mailbox
 * @bug: a rule to break, see broken()
 * @stored: messages in the order in which they are received
 * @senders: those that wait to be let in, or without capacity for a receiver
 * @owed: requests that were received, whose callers wait for the reply
 * @shown: a message has come to where receivers look
 * @out: by worker, see struct world; a call that is not done waits
 */
struct model {
	int bug;
	__u32 flags;
	__u32 capacity;
	__u32 msg_max;
	bool dead;
	bool shown;
	struct message stored[STORED_MAX];
	int nstored;
	struct waiting receivers[NWORKERS], peekers[NWORKERS], senders[NWORKERS];
	int nreceivers, npeekers, nsenders;
	struct owed owed[NWORKERS];
	int nowed;
	__u64 sent, received, dropped;
	__u32 send_handles, recv_handles;
	unsigned int arrivals;
	/* Of each worker: O_RDONLY ..., or -1 without a handle. */
	int access[NWORKERS];
	/* MBOX_BROADCAST: messages that it will not get, and was not told of. */
	__u64 lost[NWORKERS];
	struct outcome *out;
};

/* The rules that can be broken, to see that it is noticed; in groups, see shows(). */
enum {
	LAST_IN_FIRST_OUT = 1,
	MATCH_LE_TAKES_ANY,
	TRUNC_RETURNS_WHAT_FITS,
	DROP_OLDEST_DROPS_THE_LAST,
	LAST_RECEIVER_FIRST,
	WITHDRAWN_STAYS_COUNTED,
	PUT_BACK_GOES_BEHIND,
	GROWING_ADMITS_ONE,
	SHORT_BUFFER_TAKES_IT,
	RENDEZVOUS_IS_STORED,
	ANY_HANDLE_REPLIES,
	REPLY_TO_NOBODY_SUCCEEDS,
	LONG_REPLY_IS_CUT,
	LONG_REPLY_KEEPS_THE_CALL,
	FAILED_REPLY_ENDS_THE_CALL,
	CLOSED_SERVER_KEEPS_THE_CALL,
	READ_KEEPS_THE_CALL,
	PEEK_SHOWS_THE_TOKEN,
	RECEIVED_REQUEST_IS_WITHDRAWN,
	FAILED_REPLY_STILL_RECEIVES,
	CALL_RETURNS_WITH_THE_RECEIPT,
	USER_TAKES_ALL,
	USER_TAKES_HALF_OF_ALL,
	HALF_IS_ROUNDED_DOWN,
	USER_WITHOUT_ROOM_BLOCKS_OTHERS,
	NOBODY_GETS_HIS_OWN,
	FIRST_READER_TAKES_IT,
	PRIORITY_COMES_FIRST,
	DROP_COUNTS_FOR_EACH,
	LOSS_IS_NOT_TOLD,
	PEEK_ENDS_THE_LOSS,
	LATECOMERS_GET_OLD_ONES,
	CLOSED_HANDLES_KEEP_MESSAGES,
	EACH_HANDLE_COUNTS,
	UNOPENED_SIDE_IS_GONE,
	CLOSED_SIDE_LOSES_MESSAGES,
	NBUGS,
};

static inline bool broken(const struct model *m, int rule)
{
	return m->bug == rule;
}

#define REMOVE(array, n, i) \
	memmove(&(array)[i], &(array)[(i) + 1], (--(n) - (i)) * sizeof((array)[0]))

#define INSERT(array, n, i, what) do {						\
	memmove(&(array)[(i) + 1], &(array)[i], ((n) - (i)) * sizeof((array)[0])); \
	(array)[i] = (what);							\
	(n)++;									\
} while (0)

static inline void model_init(struct model *m, __u32 flags, __u32 capacity, __u32 msg_max, int bug)
{
	int i;

	memset(m, 0, sizeof(*m));
	m->bug = bug;
	m->flags = flags;
	m->capacity = capacity;
	m->msg_max = msg_max;
	for (i = 0; i < NWORKERS; i++)
		m->access[i] = -1;
}

static inline bool model_may(const struct model *m, int worker, enum op op)
{
	return m->access[worker] == O_RDWR ||
	       m->access[worker] == (op == SEND ? O_WRONLY : O_RDONLY);
}

static inline bool receives(const struct step *s)
{
	return s->op == RECV || s->op == REPLY_RECV;
}

static inline bool sends(const struct step *s)
{
	return s->op == SEND || s->op == CALL;
}

static inline void finish(struct model *m, int worker, long ret, const struct message *msg)
{
	m->out[worker].done = true;
	m->out[worker].now = true;
	m->out[worker].ret = ret;
	if (msg)
		m->out[worker].msg = *msg;
}

static inline bool same_user(int worker, int other)
{
	return worker % NUSERS == other % NUSERS;
}

/* Room for one more message from that worker. */
static inline bool has_room(const struct model *m, int worker)
{
	__u32 left = m->capacity, own = 0;
	int i;

	if ((__u32)m->nstored >= m->capacity)
		return false;
	if (!(m->flags & MBOX_FAIR) || m->capacity == MBOX_UNBOUNDED || broken(m, USER_TAKES_ALL))
		return true;
	for (i = 0; i < m->nstored; i++) {
		if (same_user(m->stored[i].from, worker))
			own++;
		else if (!broken(m, USER_TAKES_HALF_OF_ALL))
			left--;
	}
	return own < (left + !broken(m, HALF_IS_ROUNDED_DOWN)) / 2;
}

/* ---- which message ------------------------------------------------------ */

#define MATCHING (MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE)

static inline bool wants(const struct step *call, const struct message *msg)
{
	if (call->flags & MBOX_MATCH_LE)
		return msg->type <= call->type;
	if (call->flags & MBOX_MATCH_NOT)
		return msg->type != call->type;
	if (call->flags & MBOX_MATCH)
		return msg->type == call->type;
	return true;
}

static inline bool fits(const struct model *m, const struct step *call, const struct message *msg)
{
	return call->flags & MBOX_TRUNC || msg->len <= call->len ||
	       broken(m, SHORT_BUFFER_TAKES_IT);
}

/* Index of what @call gets of @list, or -1; takes off *@skip what it passes. */
static inline int pick(const struct model *m, const struct step *call, const struct message *list,
		       int n, __u32 *skip)
{
	int i, best = -1;

	for (i = 0; i < n; i++) {
		if (!wants(call, &list[i]))
			continue;
		if (!(call->flags & MBOX_MATCH_LE) || broken(m, MATCH_LE_TAKES_ANY)) {
			if (!(*skip)--)
				return i;
			continue;
		}
		if (best < 0 || list[i].type < list[best].type)
			best = i;
	}
	return best;
}

/* The waiting senders' messages as receivers find them. */
static inline int offers(const struct model *m, struct message *list)
{
	int i, j, n = 0;

	for (i = 0; i < m->nsenders; i++) {
		for (j = n; j && list[j - 1].prio < m->senders[i].msg.prio; j--)
			;
		INSERT(list, n, j, m->senders[i].msg);
	}
	return n;
}

/* Where a receiver finds its message. */
struct found {
	struct message msg;
	/* Index in stored, or -1: it is in the hands of a waiting sender. */
	int stored;
};

static inline bool find(const struct model *m, const struct step *call, struct found *found)
{
	struct message list[NWORKERS];
	__u32 skip = call->skip;
	int i;

	i = pick(m, call, m->stored, m->nstored, &skip);
	if (i >= 0) {
		found->msg = m->stored[i];
		found->stored = i;
		return true;
	}
	/*
	 * With capacity, what waits outside is not there to be looked at, but
	 * who needs a certain type gets it from there.
	 */
	if (m->capacity && (!(call->flags & MATCHING) || call->flags & MBOX_PEEK))
		return false;
	i = pick(m, call, list, offers(m, list), &skip);
	if (i < 0)
		return false;
	found->msg = list[i];
	found->stored = -1;
	return true;
}

#endif /* SELFTESTS_MODEL_H */
