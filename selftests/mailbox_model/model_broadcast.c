// SPDX-License-Identifier: GPL-2.0-only
#include "model_broadcast.h"
#include "model_rules.h"

/* What a broadcast mailbox does not have. */
bool unsupported(const struct model *m, const struct step *s)
{
	return m->flags & MBOX_BROADCAST &&
	       (s->op == CALL || s->flags & (MBOX_SYNC | MATCHING));
}

/* For every handle that is open now; without one, it is dropped. */
void store_for_all(struct model *m, struct message msg)
{
	int i, at = m->nstored;

	if (!m->recv_handles)
		return;
	for (i = 0; i < NWORKERS; i++)
		msg.unread[i] = model_may(m, i, RECV);
	if (broken(m, SENDER_GETS_NO_OWN_MESSAGES))
		msg.unread[msg.from] = false;
	while (at && m->stored[at - 1].prio < msg.prio && broken(m, PRIORITY_COMES_FIRST))
		at--;
	msg.arrival = m->arrivals++;
	INSERT(m->stored, m->nstored, at, msg);
	count_highest(m);
	m->shown = true;
}

/* The next one that @worker gets, having passed @skip. Returns its index or -1. */
static int next_unread(const struct model *m, int worker, __u32 skip)
{
	int i;

	for (i = 0; i < m->nstored; i++)
		if (m->stored[i].unread[worker] && !skip--)
			return i;
	return -1;
}

/* What every handle has received is removed, and others can be sent. */
static void forget_read(struct model *m)
{
	int i, j;

	for (i = m->nstored - 1; i >= 0; i--) {
		for (j = 0; j < NWORKERS && !m->stored[i].unread[j]; j++)
			;
		if (j == NWORKERS)
			REMOVE(m->stored, m->nstored, i);
	}
	admit(m, STORED_MAX);
}

/* A message, which is the first, goes before all have it. */
void lose(struct model *m, int at)
{
	int i, n = 0;

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
	msg = &m->stored[i];
	if (!fits(m, call, msg)) {
		finish(m, worker, -EMSGSIZE, NULL);
	} else if (call->bad && msg->len && call->len) {
		finish(m, worker, -EFAULT, NULL);
	} else {
		finish(m, worker, msg->len, msg);
		if (!broken(m, LOSS_IS_NOT_TOLD))
			m->out[worker].lost = m->lost[worker];
		if (!peek || broken(m, PEEK_ENDS_THE_LOSS))
			m->lost[worker] = 0;
		if (peek)
			return true;
		m->received++;
		msg->unread[worker] = false;
		if (broken(m, FIRST_READER_TAKES_IT))
			memset(msg->unread, 0, sizeof(msg->unread));
		forget_read(m);
	}
	return true;
}

/* A handle begins to receive: nothing of what was sent before is for it. */
void join(struct model *m, int worker)
{
	int i;

	m->lost[worker] = 0;
	for (i = 0; i < m->nstored && broken(m, LATECOMERS_GET_OLD_ONES); i++)
		m->stored[i].unread[worker] = true;
}

/* It is closed: no message waits for it any more. */
void leave(struct model *m, int worker)
{
	int i;

	if (broken(m, CLOSED_HANDLES_KEEP_MESSAGES))
		return;
	for (i = 0; i < m->nstored; i++)
		m->stored[i].unread[worker] = false;
	forget_read(m);
}
