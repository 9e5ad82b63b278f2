// SPDX-License-Identifier: GPL-2.0-only
#include "model_broadcast.h"
#include "model_rules.h"

/* What a broadcast mailbox does not have. */
bool unsupported(const struct model *m, const struct step *s)
{
	return m->flags & MBOX_BROADCAST &&
	       (s->op == CALL || s->flags & (MBOX_SYNC | MATCHING) || s->lifespan);
}

/* Whether all handles have received it. */
static bool is_read(const struct message *msg)
{
	int i;

	for (i = 0; i < NWORKERS && !msg->unread[i]; i++)
		;
	return i == NWORKERS;
}

/* ---- the history ----------------------------------------------------------- */

/* What was kept, and then what is stored. */
static struct message *nth(struct model *m, int i)
{
	return i < m->nkept ? &m->kept[i] : &m->stored[i - m->nkept];
}

static int count_all(const struct model *m)
{
	return m->nkept + m->nstored;
}

/* What is not one of the last, and not waited for, goes. */
static void trim(struct model *m)
{
	if (broken(m, HISTORY_HAS_NO_END))
		return;
	while (m->nkept && count_all(m) > (int)m->history && is_read(&m->kept[0]))
		REMOVE(m->kept, m->nkept, 0);
}

/* All handles have received it. Without a copy, it and what came before cannot be kept. */
static void keep(struct model *m, const struct message *msg)
{
	if (!m->history)
		return;
	if (msg->copied)
		INSERT(m->kept, m->nkept, m->nkept, *msg);
	else
		m->nkept = 0;
	trim(m);
}

/* What is one of the last gets a copy from its first receiver, if it has none. */
static void give_copy(struct model *m, struct message *msg)
{
	int behind = m->stored + m->nstored - msg;

	if (msg >= m->stored && behind > 0 && (__u32)behind <= m->history)
		msg->copied = true;
}

/* For every handle that is open now; without one, it is dropped, or only kept. */
void store_for_all(struct model *m, struct message msg)
{
	int i, at = m->nstored;

	if (!m->recv_handles)
		return keep(m, &msg);
	for (i = 0; i < NWORKERS; i++)
		msg.unread[i] = model_may(m, i, RECV) && !m->expelled[i];
	if (broken(m, SENDER_GETS_NO_OWN_MESSAGES))
		msg.unread[msg.from] = false;
	while (at && m->stored[at - 1].prio < msg.prio && broken(m, PRIORITY_COMES_FIRST))
		at--;
	msg.arrival = m->arrivals++;
	INSERT(m->stored, m->nstored, at, msg);
	if (m->nstored > (int)m->history)
		m->stored[m->nstored - m->history - 1].copied = false;
	count_highest(m);
	m->shown = true;
}

/* The next one that @worker gets, having passed @skip. Returns its index or -1. */
static int next_unread(struct model *m, int worker, __u32 skip)
{
	int i;

	for (i = 0; i < count_all(m); i++)
		if (nth(m, i)->unread[worker] && !skip--)
			return i;
	return -1;
}

/* What every handle has received is removed, and others can be sent. */
static void forget_read(struct model *m)
{
	struct message msg;
	int i = 0;

	while (i < m->nstored) {
		msg = m->stored[i];
		if (!is_read(&msg)) {
			i++;
			continue;
		}
		REMOVE(m->stored, m->nstored, i);
		keep(m, &msg);
	}
	trim(m);
	admit(m, STORED_MAX);
}

/* A message, which is the first, goes before all have it; and with it, what was kept. */
void lose(struct model *m, int at)
{
	int i, j, n = 0;

	for (j = 0; j < m->nkept && !broken(m, HISTORY_OUTLIVES_A_DROP); j++)
		for (i = 0; i < NWORKERS; i++)
			m->lost[i] += m->kept[j].unread[i];
	if (!broken(m, HISTORY_OUTLIVES_A_DROP))
		m->nkept = 0;
	for (i = 0; i < NWORKERS; i++) {
		m->lost[i] += m->stored[at].unread[i];
		n += m->stored[at].unread[i];
	}
	REMOVE(m->stored, m->nstored, at);
	m->dropped += broken(m, DROP_COUNTS_FOR_EACH) ? n : 1;
}

/* Returns whether there was something to receive or to peek at. */
bool recv_own(struct model *m, const struct step *call)
{
	int worker = call->worker, i = next_unread(m, worker, call->skip);
	bool peek = call->flags & MBOX_PEEK;
	struct message *msg;

	if (i < 0)
		return false;
	msg = nth(m, i);
	if (!fits(m, call, msg)) {
		finish(m, worker, -EMSGSIZE, NULL);
	} else if (call->bad && msg->len && call->len) {
		finish(m, worker, -EFAULT, NULL);
	} else {
		finish(m, worker, msg->len, msg);
		if (!broken(m, LOSS_IS_NOT_TOLD))
			m->out[worker].lost = m->lost[worker];
		take_files(m, call, msg);
		if (!peek || broken(m, PEEK_ENDS_THE_LOSS))
			m->lost[worker] = 0;
		if (peek)
			return true;
		m->received++;
		msg->unread[worker] = false;
		give_copy(m, msg);
		if (broken(m, FIRST_READER_TAKES_IT))
			memset(msg->unread, 0, sizeof(msg->unread));
		forget_read(m);
	}
	return true;
}

/* A handle begins to receive: of what was sent before, only the history is for it. */
void join(struct model *m, int worker)
{
	int i, n = m->history;

	m->lost[worker] = 0;
	m->expelled[worker] = false;
	m->policy[worker] = MBOX_READER_DEFAULT;
	m->reader[worker] = model_may(m, worker, RECV) ? ++m->readers : 0;
	for (i = 0; i < m->nstored && broken(m, LATECOMERS_GET_OLD_ONES); i++)
		m->stored[i].unread[worker] = true;
	if (!m->reader[worker] || broken(m, HISTORY_IS_EMPTY))
		return;
	if (n > count_all(m) || (n && broken(m, HISTORY_HAS_NO_END)))
		n = count_all(m);
	for (i = count_all(m) - n; i < count_all(m); i++)
		nth(m, i)->unread[worker] = i < m->nkept ||
					    !broken(m, HISTORY_IS_WAITED_FOR_BY_NOBODY);
}

/* It is closed: no message waits for it any more. */
void leave(struct model *m, int worker)
{
	int i;

	if (broken(m, CLOSED_HANDLES_KEEP_MESSAGES))
		return;
	for (i = 0; i < count_all(m); i++)
		nth(m, i)->unread[worker] = false;
	forget_read(m);
}

/* ---- readers that others do not wait for ---------------------------------- */

/* Whether senders wait, or drop theirs, as long as @worker has not received a message. */
static bool holds(const struct model *m, int worker)
{
	bool by_flags = !(m->flags & MBOX_DROP_OLDEST);

	if (m->policy[worker] == MBOX_READER_DEFAULT || broken(m, CHOICE_HAS_NO_EFFECT))
		return by_flags;
	return m->policy[worker] == MBOX_READER_WAIT;
}

static bool is_held_by_one(const struct model *m, const struct message *msg)
{
	int i;

	for (i = 0; i < NWORKERS; i++)
		if (msg->unread[i] && holds(m, i))
			return !broken(m, HELD_MESSAGE_IS_DROPPED);
	return false;
}

/* How many of the first messages have to go for one of @len; -1: one that is held. */
int spare(const struct model *m, __u32 len)
{
	struct model rest = *m;
	int n = 0;

	while (rest.nstored + held_places(m) >= m->capacity || !has_bytes(&rest, len)) {
		if (!rest.nstored || is_held_by_one(m, &rest.stored[0]))
			return -1;
		REMOVE(rest.stored, rest.nstored, 0);
		n++;
	}
	return n;
}

static int unread_of(const struct model *m, int worker)
{
	int i, n = 0;

	for (i = 0; i < m->nkept; i++)
		n += m->kept[i].unread[worker];
	for (i = 0; i < m->nstored; i++)
		n += m->stored[i].unread[worker];
	return n;
}

static bool is_reader(const struct model *m, int worker)
{
	return model_may(m, worker, RECV) && !m->expelled[worker];
}

/* The one of that number; or the one with the most to receive, the first of equal ones. */
static int find_reader(const struct model *m, __u32 number)
{
	int i, n, found = -1, most = -1;

	for (i = 0; i < NWORKERS; i++) {
		if (!is_reader(m, i))
			continue;
		if (number) {
			if (m->reader[i] == number)
				return i;
			continue;
		}
		n = unread_of(m, i);
		if (broken(m, EXPEL_TAKES_THE_FASTEST))
			n = STORED_MAX - n;
		if (n > most || (n == most && m->reader[i] < m->reader[found])) {
			most = n;
			found = i;
		}
	}
	return found;
}

/* Returns the number of the reader and how much it had to receive, in one, or an error. */
static long expel(struct model *m, const struct step *s)
{
	int unread, least = s->number || s->skip ? (int)s->skip : 1, i;

	if (!(m->flags & MBOX_BROADCAST))
		return -EOPNOTSUPP;
	if (m->dead)
		return -EIDRM;
	i = find_reader(m, s->number);
	if (i < 0)
		return -ESRCH;
	unread = unread_of(m, i);
	if (unread < least)
		return -ESRCH;
	m->expelled[i] = true;
	if (!broken(m, EXPELLED_STILL_COUNTS))
		m->recv_handles--;
	if (!broken(m, EXPEL_DROPS_NOTHING))
		m->dropped += unread;
	m->lost[i] = 0;
	if (!broken(m, EXPELLED_WAITS_ON))
		end_calls_of(m, i, -ENOTCONN);
	if (no_receivers(m))
		end_senders(m, -EPIPE);
	leave(m, i);
	return EXPELLED(m->reader[i], unread);
}

void model_expel(struct model *m, const struct step *s)
{
	finish(m, s->worker, expel(m, s), NULL);
}

static long choose(struct model *m, const struct step *s)
{
	const __u32 drops = MBOX_DROP_OLDEST | MBOX_DROP_NEWEST;

	if (!model_may(m, s->worker, RECV))
		return -EBADF;
	if (!(m->flags & MBOX_BROADCAST))
		return -EOPNOTSUPP;
	if (s->number == MBOX_READER_WAIT && m->flags & drops && !(m->flags & MBOX_ALLOW_WAIT) &&
	    !broken(m, ALL_CAN_BE_WAITED_FOR))
		return -EPERM;
	if (s->number == (m->flags & MBOX_DROP_OLDEST ? MBOX_READER_WAIT : MBOX_READER_DROP)) {
		if (m->max_bytes)
			return -EOPNOTSUPP;
		m->chosen = true;
	}
	if (m->dead)
		return -EIDRM;
	if (m->expelled[s->worker])
		return -ENOTCONN;
	m->policy[s->worker] = s->number;
	return 0;
}

void model_choose(struct model *m, const struct step *s)
{
	long ret = choose(m, s);

	finish(m, s->worker, ret, NULL);
	if (!ret && m->chosen)
		admit(m, STORED_MAX);
}
