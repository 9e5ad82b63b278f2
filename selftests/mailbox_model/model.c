// SPDX-License-Identifier: GPL-2.0-only
#include "model.h"

bool broken(const struct model *m, int rule)
{
	return m->bug == rule;
}

/* The @i-th descriptor of message @id. */
int number_of_file(int id, __u32 i)
{
	return id * FILES_MAX + i + 1;
}

/* If that is a handle: its O_RDONLY, O_WRONLY or O_RDWR. */
int access_of_file(int id, __u32 i)
{
	return number_of_file(id, i) % 3;
}

void model_init(struct model *m, __u32 flags, __u32 capacity, __u32 msg_max, int bug)
{
	int i;

	memset(m, 0, sizeof(*m));
	m->bug = bug;
	m->flags = flags;
	m->capacity = capacity;
	m->msg_max = msg_max;
	for (i = 0; i < NWORKERS; i++)
		m->access[i] = -1;
	m->owner = NUSERS;
}

bool model_may(const struct model *m, int worker, enum op op)
{
	return m->access[worker] == O_RDWR ||
	       m->access[worker] == (op == SEND ? O_WRONLY : O_RDONLY);
}

/* MBOX_HANGUP: a side has been there, and its last handle was closed. */
bool no_senders(const struct model *m)
{
	return m->flags & MBOX_HANGUP && !m->send_handles &&
	       (m->had_senders || broken(m, SENDERS_TO_COME_ARE_GONE));
}

/* A message that is being received can still come back. */
bool at_end(const struct model *m)
{
	return no_senders(m) && (!m->nheld || m->flags & MBOX_BROADCAST);
}

bool no_receivers(const struct model *m)
{
	return m->flags & MBOX_HANGUP && !m->recv_handles && m->had_receivers;
}

bool receives(const struct step *s)
{
	return s->op == RECV || s->op == REPLY_RECV;
}

bool sends(const struct step *s)
{
	return s->op == SEND || s->op == CALL || s->op == START;
}

/* What happens to a call that waits, rather than a call. */
bool interrupts(const struct step *s)
{
	return s->op == INTERRUPT || s->op == RESTART || s->op == STOP;
}

/* Whether it is a call that was started, and its deadline comes before the next step. */
bool has_deadline(const struct step *s)
{
	return s->op == START && (s->block_mode == PAST_DEADLINE || s->block_mode == EXPIRES);
}

void finish(struct model *m, int worker, long ret, const struct message *msg)
{
	struct outcome *out = &m->out[worker];

	out->ready = out->stopped;
	out->done = !out->stopped;
	out->now = !out->stopped;
	out->ret = ret;
	if (msg)
		out->msg = *msg;
}

bool same_user(int worker, int other)
{
	return worker % NUSERS == other % NUSERS;
}

/* What leases take of the capacity; with MBOX_DROP_OLDEST a lease makes room. */
__u32 held_places(const struct model *m)
{
	if (broken(m, HISTORY_TAKES_PLACES))
		return m->nkept;
	if (m->flags & MBOX_DROP_OLDEST || broken(m, LEASE_MAKES_ROOM))
		return 0;
	return m->nleased;
}

/* Capacity that is on lease holds back senders, and not receivers. */
bool blocked_can_go(const struct model *m)
{
	return !m->capacity || (m->nleased && !broken(m, LEASES_HOLD_BACK_RECEIVERS));
}

/* Whether a message of @len is within max_bytes. */
bool has_bytes(const struct model *m, __u32 len)
{
	__u64 bytes = len;
	int i;

	for (i = 0; i < m->nstored; i++)
		bytes += m->stored[i].len;
	for (i = 0; i < m->nleased && held_places(m); i++)
		bytes += m->leased[i].msg.len;
	return !m->max_bytes || bytes <= m->max_bytes || broken(m, BYTES_HOLD_NOTHING_BACK);
}

/* A place for one more message from that worker. */
bool has_place(const struct model *m, int worker)
{
	__u32 left = m->capacity, own = 0;
	int i;

	if (m->nstored + held_places(m) >= m->capacity)
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

/* Whether the deadline of a call goes on that waits, or that was started. */
static bool has_timed(const struct model *m)
{
	int i;

	for (i = 0; i < NWORKERS; i++)
		if (!m->out[i].done && m->out[i].call.block_mode == LATER)
			return true;
	for (i = 0; i < m->ncalls; i++)
		if (m->calls[i].timed)
			return true;
	return false;
}

/* Whether there is a message whose lifespan goes on, wherever it is, or such a deadline. */
bool has_mortal(const struct model *m)
{
	int i;

	if (has_timed(m))
		return true;

	for (i = 0; i < m->nstored; i++)
		if (m->stored[i].mortal)
			return true;
	for (i = 0; i < m->nsenders; i++)
		if (m->senders[i].msg.mortal)
			return true;
	for (i = 0; i < m->nheld; i++)
		if (m->held[i].msg.mortal)
			return true;
	for (i = 0; i < m->nleased; i++)
		if (m->leased[i].msg.mortal)
			return true;
	return false;
}

/* A message was stored. */
void count_highest(struct model *m)
{
	if ((__u32)m->nstored > m->highest)
		m->highest = m->nstored;
}

/* Which of the calls that wait for the same comes first. */
void queue_up(struct model *m, struct waiting *list, int *n, struct waiting w)
{
	int i = *n;

	if (!w.seq)
		w.seq = ++m->seqs;
	if (broken(m, URGENT_ONES_WAIT_THEIR_TURN))
		w.call.nice = 0;
	while (i && (list[i - 1].call.nice > w.call.nice ||
		     (list[i - 1].call.nice == w.call.nice && list[i - 1].seq > w.seq)))
		i--;
	INSERT(list, *n, i, w);
}

/* ---- which message ------------------------------------------------------ */

bool wants(const struct step *call, const struct message *msg)
{
	if (call->flags & MBOX_MATCH_LE)
		return msg->type <= call->type;
	if (call->flags & MBOX_MATCH_NOT)
		return msg->type != call->type;
	if (call->flags & MBOX_MATCH)
		return msg->type == call->type;
	return true;
}

bool fits(const struct model *m, const struct step *call, const struct message *msg)
{
	return call->flags & MBOX_TRUNC || msg->len <= call->len ||
	       broken(m, SHORT_BUFFER_TAKES_IT);
}

/* Index of what @call gets of @list, or -1; takes off *@skip what it passes. */
static int pick(const struct model *m, const struct step *call, const struct message *list,
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

/* Whether receivers find a waiting sender's message before another's. */
static bool offered_before(const struct message *a, const struct message *b)
{
	if (a->prio != b->prio)
		return a->prio > b->prio;
	return a->nice != b->nice ? a->nice < b->nice : a->place < b->place;
}

/* The waiting senders' messages as receivers find them. */
int offers(const struct model *m, struct message *list)
{
	int i, j, n = 0;

	for (i = 0; i < m->nsenders; i++) {
		for (j = n; j && offered_before(&m->senders[i].msg, &list[j - 1]); j--)
			;
		INSERT(list, n, j, m->senders[i].msg);
	}
	return n;
}

bool find(const struct model *m, const struct step *call, struct found *found)
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
	 * With capacity, blocked sends cannot be peeked at, but
	 * a receiver of a certain type gets it from there.
	 */
	if (call->flags & MBOX_PEEK ? m->capacity :
				      !(blocked_can_go(m) || call->flags & MATCHING))
		return false;
	i = pick(m, call, list, offers(m, list), &skip);
	if (i < 0)
		return false;
	found->msg = list[i];
	found->stored = -1;
	return true;
}
