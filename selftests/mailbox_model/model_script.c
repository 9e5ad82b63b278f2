// SPDX-License-Identifier: GPL-2.0-only
#define WITHOUT_HARNESS

#include "model_script.h"

static void say_flags(FILE *out, __u32 flags)
{
	static const char * const names[] = { "DONTWAIT", "REALTIME", "SYNC", "PEEK", "TRUNC",
					      "MATCH", "MATCH_NOT", "MATCH_LE",
					      "WAITFORONE", "CTRUNC", "LOST", "LEASE" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & 1U << i)
			SAY(out, " %s", names[i]);
}

void say_mailbox(FILE *out, const struct sequence *seq)
{
	if (seq->link) {
		SAY(out, "# direct link between worker 0 and workers 3, 4 and 5\n");
		return;
	}
	SAY(out, "# mailbox: flags %#x, capacity %d, msg_max %u\n", seq->flags,
	    (int)seq->capacity, seq->msg_max);
	if (seq->history)
		SAY(out, "# history %u\n", seq->history);
	if (seq->max_deliveries)
		SAY(out, "# max_deliveries %u\n", seq->max_deliveries);
	if (seq->letters)
		SAY(out, "# mailbox for dead letters: flags %#x, capacity %u\n",
		    seq->letter_flags, seq->letters);
	if (seq->handles)
		SAY(out, "# descriptors are handles of another mailbox\n");
	if (seq->max_bytes)
		SAY(out, "# max_bytes %llu\n", (unsigned long long)seq->max_bytes);
	if (seq->flags & MBOX_FAIR || seq->limit)
		SAY(out, "# of one user: workers 0, 2 and 4, of another: 1, 3 and 5\n");
	if (seq->limit)
		SAY(out, "# its owner: %s; user_bytes %llu; costs %llu, long %llu, sender %llu\n",
		    seq->owner == 0 ? "the one" : "a third", (unsigned long long)seq->limit,
		    (unsigned long long)seq->cost[0], (unsigned long long)seq->cost[1],
		    (unsigned long long)seq->cost[2]);
}

static void say_send(FILE *out, const struct step *s)
{
	const char *what = s->op == CALL ? "call with" : s->op == START ? "start a call with" :
			   s->plain ? "write" : "send";

	SAY(out, "%s message %d, length %u, prio %u, type %llu", what, s->id, s->len, s->prio,
	    (unsigned long long)s->type);
	say_flags(out, s->flags);
	if (s->files)
		SAY(out, ", with %u descriptors", s->files);
	if (s->lifespan)
		SAY(out, ", lifespan %s", s->lifespan == SOON ? "of some time" : "over at once");
	if (s->op == CALL || s->op == START)
		SAY(out, ", room for the reply %u%s", s->reply_len, s->reply_bad ? " (bad)" : "");
	if (s->reply_files)
		SAY(out, ", and for %u descriptors", s->reply_files);
}

static void say_recv(FILE *out, const struct step *s)
{
	SAY(out, "%s, room %u", s->plain ? "read" : "receive", s->len);
	say_flags(out, s->flags);
	if (s->flags & MATCHING)
		SAY(out, " %llu", (unsigned long long)s->type);
	if (s->skip)
		SAY(out, " skip %u", s->skip);
	if (s->files)
		SAY(out, ", for %u descriptors", s->files);
	if (s->slow)
		SAY(out, " slowly");
}

static void say_reply(FILE *out, const struct step *s)
{
	SAY(out, "reply %d to message %d, length %u%s", s->id, s->request, s->reply_len,
	    s->reply_bad ? " (bad)" : "");
	if (s->op == REPLY && s->files)
		SAY(out, ", with %u descriptors", s->files);
}

void say_step(FILE *out, const struct step *s)
{
	static const char * const block_mode[] = { "", " DONTWAIT", " past deadline",
						 " until a deadline",
						 " until a later deadline" };

	if (s->op == AGE) {
		SAY(out, "# the lifespan or the deadline ends\n");
		return;
	}
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
	case START:
		say_send(out, s);
		break;
	case FETCH:
		SAY(out, "fetch the end of ");
		if (s->request == NO_REQUEST)
			SAY(out, "any call");
		else
			SAY(out, "call %d", s->request);
		SAY(out, ", room %u", s->len);
		say_flags(out, s->flags);
		if (s->files)
			SAY(out, ", for %u descriptors", s->files);
		break;
	case CANCEL:
		SAY(out, "cancel call %d", s->request);
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
		if (s->rival != NO_RIVAL)
			SAY(out, ", while worker %d tries to send", s->rival);
		break;
	case DESTROY:
		SAY(out, "destroy");
		break;
	case ACK:
		SAY(out, "acknowledge message %d", s->request);
		break;
	case NACK:
		SAY(out, "put back message %d%s", s->request, s->number ? " much later" : "");
		break;
	case EXPEL:
		SAY(out, "expel reader %u, if it has %u messages to receive", s->number, s->skip);
		break;
	case CHOOSE:
		SAY(out, "choose policy %u", s->number);
		break;
	case INTERRUPT:
		SAY(out, "interrupted by a signal");
		break;
	case RESTART:
		SAY(out, "interrupted by a signal with SA_RESTART");
		break;
	case STOP:
		SAY(out, "stopped");
		break;
	case CONTINUE:
		SAY(out, "continued");
		break;
	case RELEASE:
		SAY(out, "goes on with its copy");
		break;
	default:
		break;
	}
	SAY(out, "%s%s", block_mode[s->block_mode], s->bad ? " bad address" : "");
	if (s->nice)
		SAY(out, ", nice %d", s->nice);
	SAY(out, "\n");
}

/* The model of a mailbox or a link that nothing has happened to; @bug: the rule to break, or 0. */
void world_of(const struct sequence *seq, int bug, struct world *w)
{
	struct model m;

	model_init(&m, seq->flags, seq->capacity, seq->msg_max, bug);
	m.limit = seq->limit;
	memcpy(m.cost, seq->cost, sizeof(m.cost));
	m.owner = seq->owner;
	m.max_bytes = seq->max_bytes;
	m.history = seq->history;
	m.leases = seq->leases;
	m.max_deliveries = seq->max_deliveries;
	m.letters.capacity = seq->letters;
	m.letters.flags = seq->letter_flags;
	world_init(w, seq->link, &m);
}

/* ---- random ones -------------------------------------------------------- */

/* write(2) and read(2) can say no more. */
static void make_simple(struct step *s)
{
	s->block_mode = WAIT;
	s->flags = 0;
	s->prio = 0;
	s->type = 0;
	s->skip = 0;
}

/* The descriptors of a message, or room for them. */
static void random_files(struct random *r, const struct sequence *seq, struct step *s)
{
	if (seq->files && !s->plain)
		s->files = random_below(r, FILES_MAX + 1);
}

static void random_send(struct random *r, const struct model *m, const struct sequence *seq,
			struct step *s)
{
	bool all = m->flags & MBOX_BROADCAST && !one_in(r, 12);

	s->op = !all && !seq->limit && !seq->leases && one_in(r, seq->calls ? 2 : 12) ?
		CALL : SEND;
	if (s->op == CALL && seq->starts && !one_in(r, 3))
		s->op = START;
	if (seq->crowd && !one_in(r, 4))
		s->block_mode = WAIT;
	if (seq->limit && one_in(r, 4))
		s->len = LEN_LONG;
	if (m->flags & MBOX_FIXED && !one_in(r, 8))
		s->len = m->msg_max;
	/* User-mode Linux looks for the page of an empty copy, too. */
	if (seq->slow && !s->len)
		s->len = 1;
	if (s->op != SEND)
		s->reply_len = one_in(r, 3) ? random_below(r, LEN_MAX + 1) : LEN_MAX;
	if (s->op == START) {
		/* Rather where a receiver has the request when that has passed. */
		if (one_in(r, m->nreceivers ? 2 : 3))
			s->block_mode = one_in(r, 4) ? EXPIRES : PAST_DEADLINE;
		else if (!has_mortal(m) && !one_in(r, 3))
			s->block_mode = LATER;
		s->plain = false;
		random_files(r, seq, s);
		return;
	}
	if (s->op == CALL) {
		random_files(r, seq, s);
		if (seq->files)
			s->reply_files = random_below(r, FILES_MAX + 1);
		s->reply_bad = one_in(r, 12);
		if (s->block_mode != WAIT && one_in(r, 2))
			s->block_mode = EXPIRES;
		else if (seq->starts && !has_mortal(m) && one_in(r, 4))
			s->block_mode = LATER;
		return;
	}
	/* With leases, what its sender waits for is a matter of other tests. */
	s->flags = !all && !seq->leases && one_in(r, 5) ? MBOX_SYNC : 0;
	random_files(r, seq, s);
	if (s->plain)
		make_simple(s);
	else if ((seq->lifespans || all) && one_in(r, all ? 20 : 3))
		s->lifespan = one_in(r, 3) || has_mortal(m) ? AT_ONCE : SOON;
}

/* Where the executor can reach the pages. */
static bool may_be_slow(const struct model *m, const struct sequence *seq, const struct step *s)
{
	return seq->slow && side_of(s->worker) && !s->plain && !(s->flags & MBOX_PEEK) &&
	       !(m->flags & (MBOX_BROADCAST | MBOX_DROP_OLDEST));
}

static void random_recv(struct random *r, const struct model *m, const struct sequence *seq,
			struct step *s)
{
	static const __u32 matches[] = { 0, 0, 0, MBOX_MATCH, MBOX_MATCH_NOT, MBOX_MATCH_LE };

	s->op = RECV;
	if (!seq->limit && (!(m->flags & MBOX_BROADCAST) || one_in(r, 12)))
		s->flags = matches[random_below(r, 6)];
	s->flags |= one_in(r, 5) ? MBOX_PEEK : 0;
	s->flags |= one_in(r, 5) ? MBOX_TRUNC : 0;
	/* Where messages have to be found, they cost more. */
	if (s->flags & MBOX_PEEK && !(s->flags & MBOX_MATCH_LE) && !seq->limit && one_in(r, 2))
		s->skip = random_below(r, 3);
	if (seq->transit && !one_in(r, 3)) {
		s->block_mode = WAIT;
		s->flags = 0;
		s->skip = 0;
		s->bad = one_in(r, 4);
	}
	if (!one_in(r, 4))
		s->len = seq->limit ? LEN_LONG : LEN_MAX;
	random_files(r, seq, s);
	if (s->plain)
		make_simple(s);
	else if (seq->leases && !(s->flags & MBOX_PEEK) && !one_in(r, 3))
		s->flags |= MBOX_LEASE;
	s->slow = s->len && may_be_slow(m, seq, s) && !one_in(r, 3);
}

/* What the worker may reply to; sometimes, what it may not; or NO_REQUEST. */
static int random_request(struct random *r, const struct model *m, int worker, int id)
{
	int i;

	for (i = 0; i < m->nowed; i++)
		if (m->owed[i].server == worker && !one_in(r, 4))
			return m->owed[i].msg.id;
	if (m->nowed && one_in(r, 4))
		return m->owed[random_below(r, m->nowed)].msg.id;
	return id && one_in(r, 12) ? (int)random_below(r, id) : NO_REQUEST;
}

/* A message on lease; sometimes, another. */
static bool random_lease(struct random *r, const struct model *m, struct step *s, int id)
{
	int i, n = random_below(r, 4);

	s->op = one_in(r, m->max_deliveries ? 6 : 2) ? ACK : NACK;
	s->number = s->op == NACK && one_in(r, 6);
	if (one_in(r, 10)) {
		s->request = random_below(r, id + 1);
		return true;
	}
	for (i = 0; i < m->nleased; i++)
		if (m->leased[i].worker >= 0 && (!n-- || i == m->nleased - 1)) {
			s->request = m->leased[i].msg.id;
			/* Mostly the one that has it. */
			if (!one_in(r, 8) && m->out[m->leased[i].worker].done)
				s->worker = m->leased[i].worker;
			return true;
		}
	return false;
}

/* What a worker can do with calls that it has started; rarely, with another's. */
static bool random_end(struct random *r, const struct model *m, const struct sequence *seq,
		       struct step *s, int id)
{
	int i, n = random_below(r, 4);

	s->op = one_in(r, 5) ? CANCEL : FETCH;
	if (s->op == FETCH)
		random_files(r, seq, s);
	s->request = NO_REQUEST;
	s->block_mode = one_in(r, 2) ? WAIT : one_in(r, 4) ? PAST_DEADLINE : DONTWAIT;
	s->len = one_in(r, 4) ? random_below(r, LEN_MAX + 1) : LEN_MAX;
	s->flags = one_in(r, 5) ? MBOX_TRUNC : 0;
	s->bad = one_in(r, 16);
	for (i = 0; i < m->ncalls; i++)
		if (m->calls[i].worker == s->worker && (!n-- || i == m->ncalls - 1))
			s->request = m->calls[i].id;
	if (one_in(r, 12))
		s->request = random_below(r, id + 1);
	else if (s->op == FETCH && one_in(r, 2))
		s->request = NO_REQUEST;
	return s->op == FETCH || s->request != NO_REQUEST;
}

/* What can happen to a worker that waits. */
static void random_interruption(struct random *r, const struct world *w, const struct model *m,
				struct step *s)
{
	if (w->out[s->worker].stopped)
		s->op = CONTINUE;
	else if (is_held(m, s->worker))
		s->op = RELEASE;
	else if (!side_of(s->worker) && one_in(r, 3))
		s->op = STOP;
	else
		s->op = one_in(r, 2) ? RESTART : INTERRUPT;
}

/* Rather one that admits the waiting calls, and hardly any other. */
static void random_capacity(struct random *r, const struct model *m, const struct sequence *seq,
			    struct step *s)
{
	static const __u32 capacities[] = { 0, 1, 2, 3, 5, MBOX_UNBOUNDED };

	s->op = CAPACITY;
	s->number = capacities[random_below(r, ARRAY_SIZE(capacities))];
	if (seq->transit && m->capacity) {
		s->number = 0;
		return;
	}
	if (!m->nsenders || one_in(r, 3))
		return;
	s->number = m->nstored + 1 + random_below(r, m->nsenders + 1);
	if (s->number <= m->capacity)
		return;
	for (s->rival = NWORKERS - 1; s->rival > NO_RIVAL; s->rival--)
		if (never_has_a_chance(m, s))
			return;
}

/*
 * What shows which call keeps its place: another receiver beside one that is copying, and
 * room for one sender, or another receive, after a receive has failed. Returns whether
 * it is time.
 */
static bool random_contest(struct random *r, const struct world *w, const struct model *m,
			   struct step *s)
{
	bool failed = false;
	int i;

	if (!w->out[s->worker].done || m->access[s->worker] != O_RDWR || one_in(r, 2))
		return false;
	for (i = 0; i < NWORKERS; i++)
		failed |= w->out[i].now && w->out[i].ret == -EFAULT && receives(&w->out[i].call);
	if (m->nheld && !m->nsenders && !m->nreceivers) {
		s->op = RECV;
		s->len = LEN_MAX;
		return true;
	}
	if (m->nsenders < 2 || m->capacity)
		return false;
	s->op = failed && one_in(r, 2) ? CAPACITY : RECV;
	s->number = m->nstored + 1;
	s->len = LEN_MAX;
	s->bad = !failed;
	return failed || one_in(r, 2);
}

/* Of a mailbox with readers; and rarely of another. */
static void random_reader(struct random *r, const struct model *m, struct step *s)
{
	s->op = one_in(r, 3) ? EXPEL : CHOOSE;
	if (s->op == CHOOSE)
		s->number = random_below(r, 3);
	else if (one_in(r, 3))
		s->number = m->readers ? 1 + random_below(r, m->readers + 1) : 1;
	if (s->op == EXPEL)
		s->skip = random_below(r, 4);
}

/* Whether there is a handle or two. */
static bool has_few(const struct model *m)
{
	return m->send_handles + m->recv_handles < 3;
}

/* A step that is of use in the present state, mostly. */
struct step random_step(struct random *r, struct world *w, const struct sequence *seq, int id)
{
	static const __u32 accesses[] = { O_RDWR, O_RDWR, O_WRONLY, O_RDONLY, O_RDONLY };
	struct step s = {
		.worker = random_below(r, NWORKERS), .id = id,
		.request = NO_REQUEST, .rival = NO_RIVAL,
	};
	unsigned int lot = random_below(r, 100);
	struct step contest;
	const struct model *m;
	int i;

	/* Rather one that can do something, if there is one. */
	for (i = 0; i < NWORKERS && !w->out[s.worker].done && !one_in(r, 6); i++)
		s.worker = (s.worker + 1) % NWORKERS;
	/* Or one whose message must not get more time when its call is made again. */
	for (i = 0; i < NWORKERS && (seq->lifespans || seq->starts); i++)
		if (!w->out[i].done && one_in(r, 4) &&
		    (w->out[i].call.lifespan || w->out[i].call.block_mode == LATER))
			s.worker = i;
	m = from_of(w, s.worker);
	/* Or, so that the last handle is closed before there are more, one that has a handle. */
	for (i = 0; i < NWORKERS && seq->handles && has_few(m); i++)
		if (m->access[i] >= 0 && w->out[i].done && !one_in(r, 4))
			s.worker = i;
	/* Or the one whose message is being copied. */
	if (seq->transit && m->nheld && one_in(r, 2) && m->held[0].msg.sender >= 0)
		s.worker = m->held[0].msg.sender;
	if (seq->transit) {
		contest = s;
		if (random_contest(r, w, m, &contest))
			return contest;
	}
	if (!w->out[s.worker].done) {
		random_interruption(r, w, m, &s);
		return s;
	}
	if (m->access[s.worker] < 0) {
		s.op = OPEN;
		/* So that one side can be there before the other. */
		s.number = accesses[random_below(r, 4) + !!(m->flags & MBOX_HANGUP)];
		return s;
	}
	/* A mailbox that goes with it, or whose messages give up their descriptors. */
	if ((m->flags & MBOX_TEMPORARY || seq->handles) && has_few(m) && one_in(r, 6)) {
		s.op = CLOSE;
		return s;
	}
	if (lot >= (seq->transit ? 78 : 88)) {
		s.op = lot < 99 ? CLOSE : DESTROY;
		if (lot < 94)
			random_capacity(r, m, seq, &s);
		if (seq->link)
			s.rival = NO_RIVAL;
		/* There, a lease is a receive: that is a matter of other tests. */
		if (seq->leases && s.op == CAPACITY && !s.number)
			s.number = 1;
		return s;
	}
	if ((seq->lifespans || seq->starts) && has_mortal(m) && one_in(r, 6)) {
		s.op = AGE;
		return s;
	}
	if (seq->starts && one_in(r, 4) && random_end(r, m, seq, &s, id))
		return s;
	if (seq->leases && one_in(r, 4) && random_lease(r, m, &s, id))
		return s;
	s.request = NO_REQUEST;
	s.number = 0;
	s.flags = 0;
	s.bad = false;
	if (!seq->link && !seq->limit && one_in(r, m->flags & MBOX_BROADCAST ? 8 : 100)) {
		random_reader(r, m, &s);
		return s;
	}
	s.nice = one_in(r, 4) ? 5 : 0;
	s.block_mode = one_in(r, 3) ? DONTWAIT : one_in(r, 6) ? PAST_DEADLINE : WAIT;
	s.bad = one_in(r, 16);
	s.plain = one_in(r, 6);
	s.type = random_below(r, 4);
	s.prio = random_below(r, 3);
	s.len = random_below(r, LEN_MAX + 1);
	s.request = random_request(r, m, s.worker, id);
	if (s.request != NO_REQUEST || (seq->calls && one_in(r, 8))) {
		s.plain = false;
		random_recv(r, m, seq, &s);
		s.op = one_in(r, 2) || s.request == NO_REQUEST ? REPLY_RECV : REPLY;
		/* Descriptors of the reply, or room for those of the next message. */
		random_files(r, seq, &s);
		s.reply_len = random_below(r, LEN_MAX + 1);
		s.reply_bad = one_in(r, 12);
	} else if (lot < (seq->crowd ? 66 : 44) ||
		   (!model_may(m, s.worker, RECV) && !one_in(r, 8))) {
		random_send(r, m, seq, &s);
	} else {
		random_recv(r, m, seq, &s);
	}
	return s;
}

bool needs_slow(int bug)
{
	return bug == WITHDRAWN_MESSAGE_IS_RECEIVED || bug == WITHDRAWN_MESSAGE_COSTS_THE_PLACE;
}

/* A limit that a few messages reach. */
static void random_limit(struct random *r, const __u64 *cost, struct sequence *seq)
{
	memcpy(seq->cost, cost, sizeof(seq->cost));
	seq->limit = cost[0] * (3 + random_below(r, 8)) + random_below(r, cost[0]) +
		     cost[2] * (1 + random_below(r, NWORKERS / NUSERS));
	seq->owner = one_in(r, 2) ? 0 : NUSERS;
	seq->msg_max = LEN_LONG;
	if (seq->capacity)
		seq->capacity = one_in(r, 2) ? MBOX_UNBOUNDED : 8;
}

/* What becomes of messages that come back too often. */
static void random_letters(struct random *r, struct sequence *seq)
{
	static const __u32 flags[] = { 0, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST };

	seq->max_deliveries = 1 + random_below(r, 2);
	if (one_in(r, 5))
		return;
	seq->letters = 1 + random_below(r, 3);
	seq->letter_flags = flags[random_below(r, ARRAY_SIZE(flags))];
}

/* @cost: of messages with MBOX_DROP_OLDEST; @slow: there can be slow copies. */
void random_mailbox(struct random *r, const __u64 *cost, bool slow, struct sequence *seq)
{
	static const __u32 flags[] = {
		0, 0, 0, 0, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_HANGUP,
		MBOX_HANGUP | MBOX_DROP_OLDEST, MBOX_FIXED, MBOX_FAIR, MBOX_FAIR | MBOX_HANGUP,
		MBOX_BROADCAST, MBOX_BROADCAST | MBOX_HANGUP, MBOX_BROADCAST | MBOX_DROP_OLDEST,
		MBOX_BROADCAST | MBOX_DROP_OLDEST, MBOX_BROADCAST | MBOX_DROP_NEWEST,
		MBOX_BROADCAST | MBOX_DROP_OLDEST | MBOX_ALLOW_WAIT,
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
	seq->owner = NUSERS;
	if (seq->flags & MBOX_DROP_OLDEST && !(seq->flags & MBOX_ALLOW_WAIT) && !one_in(r, 3))
		random_limit(r, cost, seq);
	/* At least one message of a length that is common. */
	if (!seq->link && !seq->limit && one_in(r, 4))
		seq->max_bytes = seq->msg_max + random_below(r, 2 * LEN_MAX);
	else if (!seq->link && !seq->limit && !(seq->flags & MBOX_FIXED) && one_in(r, 12))
		seq->max_bytes = 1 + random_below(r, seq->msg_max);
	if (!seq->link && one_in(r, 6))
		seq->flags |= MBOX_TEMPORARY;
	if (seq->flags & MBOX_BROADCAST && !seq->link && !seq->limit && one_in(r, 2))
		seq->history = 1 + random_below(r, seq->capacity < 4 ? seq->capacity : 4);
	seq->crowd = one_in(r, 3);
	seq->slow = slow && one_in(r, 2);
	seq->transit = one_in(r, 3) && !seq->link && !seq->max_bytes &&
		       !(seq->flags & ~(MBOX_HANGUP | MBOX_FAIR | MBOX_TEMPORARY));
	if (seq->transit) {
		seq->capacity = 0;
		seq->slow = slow;
	}
	seq->leases = one_in(r, 3) && !seq->link && !seq->transit && seq->capacity &&
		      !(seq->flags & ~(MBOX_DROP_NEWEST | MBOX_FIXED | MBOX_TEMPORARY));
	if (seq->leases)
		seq->slow = false;
	if (seq->leases && one_in(r, 2))
		random_letters(r, seq);
	seq->lifespans = one_in(r, 4) && !seq->link && !seq->limit &&
			 !(seq->flags & MBOX_BROADCAST);
	seq->calls = !seq->limit && !seq->leases && one_in(r, 3) && !(seq->flags & MBOX_BROADCAST);
	seq->starts = seq->calls && !seq->link && one_in(r, 2);
	/* What they cost, and what a history has of them, is a matter of other tests. */
	seq->files = one_in(r, 3) && !seq->link && !seq->limit && !seq->history;
	/* When a broadcast is freed is a matter of other tests. */
	seq->handles = seq->files && one_in(r, 2) && !(seq->flags & MBOX_BROADCAST);
}
