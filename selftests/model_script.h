/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequences of steps: made up at random, and printed as a script that anybody can
 * follow.
 */
#ifndef SELFTESTS_MODEL_SCRIPT_H
#define SELFTESTS_MODEL_SCRIPT_H

#include "conductor.h"

/**
 * struct sequence - a mailbox and what happens to it
 * @link: not a mailbox, but a direct link of two
 * @calls: many of the messages are requests
 * @n: how many of @step count
 */
struct sequence {
	__u32 flags;
	__u32 capacity;
	__u32 msg_max;
	bool link;
	bool calls;
	int n;
	struct step step[SEQUENCE_MAX];
};

static inline void say_flags(FILE *out, __u32 flags)
{
	static const char * const names[] = { "DONTWAIT", "REALTIME", "SYNC", "PEEK", "TRUNC",
					      "MATCH", "MATCH_NOT", "MATCH_LE" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & 1U << i)
			SAY(out, " %s", names[i]);
}

static inline void say_mailbox(FILE *out, const struct sequence *seq)
{
	if (seq->link) {
		SAY(out, "# direct link between worker 0 and workers 2 and 3\n");
		return;
	}
	SAY(out, "# mailbox: flags %#x, capacity %d, msg_max %u\n", seq->flags,
	    (int)seq->capacity, seq->msg_max);
	if (seq->flags & MBOX_FAIR)
		SAY(out, "# of one user: workers 0 and 2, of another: 1 and 3\n");
}

static inline void say_send(FILE *out, const struct step *s)
{
	SAY(out, "%s message %d, length %u, prio %u, type %llu",
	    s->op == CALL ? "call with" : s->plain ? "write" : "send", s->id, s->len, s->prio,
	    (unsigned long long)s->type);
	say_flags(out, s->flags);
	if (s->op == CALL)
		SAY(out, ", room for the reply %u%s", s->reply_len, s->reply_bad ? " (bad)" : "");
}

static inline void say_recv(FILE *out, const struct step *s)
{
	SAY(out, "%s, room %u", s->plain ? "read" : "receive", s->len);
	say_flags(out, s->flags);
	if (s->flags & MATCHING)
		SAY(out, " %llu", (unsigned long long)s->type);
	if (s->skip)
		SAY(out, " skip %u", s->skip);
}

static inline void say_reply(FILE *out, const struct step *s)
{
	SAY(out, "reply %d to message %d, length %u%s", s->id, s->request, s->reply_len,
	    s->reply_bad ? " (bad)" : "");
}

static inline void say_step(FILE *out, const struct step *s)
{
	static const char * const patience[] = { "", " DONTWAIT", " past deadline",
						 " until a deadline" };

	SAY(out, "# worker %d: ", s->worker);
	switch (s->op) {
	case OPEN:
		SAY(out, "open %s", s->number == O_RDWR ? "O_RDWR" :
		    s->number == O_RDONLY ? "O_RDONLY" : "O_WRONLY");
		break;
	case CLOSE:
		SAY(out, "close");
		break;
	case SEND:
	case CALL:
		say_send(out, s);
		break;
	case REPLY_RECV:
		if (s->request != NO_REQUEST) {
			say_reply(out, s);
			SAY(out, " and ");
		}
		say_recv(out, s);
		break;
	case RECV:
		say_recv(out, s);
		break;
	case REPLY:
		say_reply(out, s);
		break;
	case CAPACITY:
		SAY(out, "set capacity %d", (int)s->number);
		break;
	case DESTROY:
		SAY(out, "destroy");
		break;
	case INTERRUPT:
		SAY(out, "interrupted by a signal");
		break;
	}
	SAY(out, "%s%s\n", patience[s->patience], s->bad ? " bad address" : "");
}

/* ---- random ones -------------------------------------------------------- */

/* write(2) and read(2) can say no more. */
static inline void make_simple(struct step *s)
{
	s->patience = WAIT;
	s->flags = 0;
	s->prio = 0;
	s->type = 0;
	s->skip = 0;
}

static inline void random_send(struct random *r, const struct model *m,
			       const struct sequence *seq, struct step *s)
{
	bool all = m->flags & MBOX_BROADCAST && !one_in(r, 12);

	s->op = !all && one_in(r, seq->calls ? 2 : 12) ? CALL : SEND;
	if (m->flags & MBOX_FIXED && !one_in(r, 8))
		s->len = m->msg_max;
	if (s->op == CALL) {
		s->reply_len = one_in(r, 3) ? random_below(r, LEN_MAX + 1) : LEN_MAX;
		s->reply_bad = one_in(r, 12);
		if (s->patience != WAIT && one_in(r, 2))
			s->patience = EXPIRES;
		return;
	}
	s->flags = !all && one_in(r, 5) ? MBOX_SYNC : 0;
	if (s->plain)
		make_simple(s);
}

static inline void random_recv(struct random *r, const struct model *m, struct step *s)
{
	static const __u32 matches[] = { 0, 0, 0, MBOX_MATCH, MBOX_MATCH_NOT, MBOX_MATCH_LE };

	s->op = RECV;
	if (!(m->flags & MBOX_BROADCAST) || one_in(r, 12))
		s->flags = matches[random_below(r, 6)];
	s->flags |= one_in(r, 5) ? MBOX_PEEK : 0;
	s->flags |= one_in(r, 5) ? MBOX_TRUNC : 0;
	if (s->flags & MBOX_PEEK && !(s->flags & MBOX_MATCH_LE) && one_in(r, 2))
		s->skip = random_below(r, 3);
	if (!one_in(r, 4))
		s->len = LEN_MAX;
	if (s->plain)
		make_simple(s);
}

/* What the worker may reply to; sometimes, what it may not; or NO_REQUEST. */
static inline int random_request(struct random *r, const struct model *m, int worker, int id)
{
	int i;

	for (i = 0; i < m->nowed; i++)
		if (m->owed[i].server == worker && !one_in(r, 4))
			return m->owed[i].msg.id;
	if (m->nowed && one_in(r, 4))
		return m->owed[random_below(r, m->nowed)].msg.id;
	return id && one_in(r, 12) ? (int)random_below(r, id) : NO_REQUEST;
}

/* A step that is of use in the present state, mostly. */
static inline struct step random_step(struct random *r, struct world *w,
				      const struct sequence *seq, int id)
{
	static const __u32 accesses[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
	static const __u32 capacities[] = { 0, 1, 2, 3, 5, MBOX_UNBOUNDED };
	struct step s = { .worker = random_below(r, NWORKERS), .id = id, .request = NO_REQUEST };
	unsigned int lot = random_below(r, 100);
	const struct model *m;
	int i;

	/* Rather one that can do something, if there is one. */
	for (i = 0; i < NWORKERS && !w->out[s.worker].done && !one_in(r, 6); i++)
		s.worker = (s.worker + 1) % NWORKERS;
	m = from_of(w, s.worker);
	if (!w->out[s.worker].done) {
		s.op = INTERRUPT;
		return s;
	}
	if (m->access[s.worker] < 0) {
		s.op = OPEN;
		s.number = accesses[random_below(r, 4)];
		return s;
	}
	if (lot >= 88) {
		s.op = lot < 94 ? CAPACITY : lot < 99 ? CLOSE : DESTROY;
		if (s.op == CAPACITY)
			s.number = capacities[random_below(r, ARRAY_SIZE(capacities))];
		return s;
	}
	s.patience = one_in(r, 3) ? DONTWAIT : one_in(r, 6) ? PAST_DEADLINE : WAIT;
	s.bad = one_in(r, 16);
	s.plain = one_in(r, 6);
	s.type = random_below(r, 4);
	s.prio = random_below(r, 3);
	s.len = random_below(r, LEN_MAX + 1);
	s.request = random_request(r, m, s.worker, id);
	if (s.request != NO_REQUEST || (seq->calls && one_in(r, 8))) {
		s.plain = false;
		random_recv(r, m, &s);
		s.op = one_in(r, 2) || s.request == NO_REQUEST ? REPLY_RECV : REPLY;
		s.reply_len = random_below(r, LEN_MAX + 1);
		s.reply_bad = one_in(r, 12);
	} else if (lot < 44 || (!model_may(m, s.worker, RECV) && !one_in(r, 8))) {
		random_send(r, m, seq, &s);
	} else {
		random_recv(r, m, &s);
	}
	return s;
}

/* Whether it is to be seen, in such a mailbox, that a rule is broken. */
static inline bool shows(const struct sequence *seq, int bug)
{
	if (bug >= EACH_HANDLE_COUNTS)
		return seq->link;
	if (bug && seq->link)
		return false;
	if (bug >= NOBODY_GETS_HIS_OWN)
		return seq->flags & MBOX_BROADCAST;
	if (bug >= USER_TAKES_ALL)
		return seq->flags & MBOX_FAIR;
	if (bug >= ANY_HANDLE_REPLIES)
		return seq->calls;
	return !bug || !(seq->flags & MBOX_BROADCAST);
}

static inline void random_mailbox(struct random *r, struct sequence *seq)
{
	static const __u32 flags[] = {
		0, 0, 0, 0, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_HANGUP,
		MBOX_HANGUP | MBOX_DROP_OLDEST, MBOX_FIXED, MBOX_FAIR, MBOX_FAIR | MBOX_HANGUP,
		MBOX_BROADCAST, MBOX_BROADCAST | MBOX_HANGUP, MBOX_BROADCAST | MBOX_DROP_OLDEST,
		MBOX_BROADCAST | MBOX_DROP_OLDEST, MBOX_BROADCAST | MBOX_DROP_NEWEST,
	};
	static const __u32 capacities[] = { 0, 0, 1, 2, 3, 5, MBOX_UNBOUNDED };

	memset(seq, 0, sizeof(*seq));
	seq->flags = flags[random_below(r, ARRAY_SIZE(flags))];
	seq->capacity = capacities[random_below(r, ARRAY_SIZE(capacities))];
	if (seq->flags & MBOX_BROADCAST && !seq->capacity)
		seq->capacity = 2;
	seq->msg_max = one_in(r, 4) ? 8 : LEN_MAX;
	seq->link = one_in(r, 6);
	if (seq->link) {
		seq->flags = MBOX_HANGUP;
		seq->capacity = 64;
		seq->msg_max = 8192;
	}
	seq->calls = one_in(r, 3) && !(seq->flags & MBOX_BROADCAST);
}

#endif /* SELFTESTS_MODEL_SCRIPT_H */
