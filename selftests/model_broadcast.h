/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is different in the model of a mailbox with MBOX_BROADCAST: each message
 * has a list of the workers whose handles are still to receive it.
 */
#ifndef SELFTESTS_MODEL_BROADCAST_H
#define SELFTESTS_MODEL_BROADCAST_H

#include "model.h"

static inline void admit(struct model *m, int most);

/* What there is not where everybody gets everything. */
static inline bool unsupported(const struct model *m, const struct step *s)
{
	return m->flags & MBOX_BROADCAST &&
	       (s->op == CALL || s->flags & (MBOX_SYNC | MATCHING));
}

/* For all who are there now; nobody: it goes nowhere. */
static inline void store_for_all(struct model *m, struct message msg)
{
	int i, at = m->nstored;

	if (!m->recv_handles)
		return;
	for (i = 0; i < NWORKERS; i++)
		msg.unread[i] = model_may(m, i, RECV);
	if (broken(m, NOBODY_GETS_HIS_OWN))
		msg.unread[msg.from] = false;
	while (at && m->stored[at - 1].prio < msg.prio && broken(m, PRIORITY_COMES_FIRST))
		at--;
	INSERT(m->stored, m->nstored, at, msg);
	m->shown = true;
}

/* The next one that @worker gets, having passed @skip. Returns its index or -1. */
static inline int next_unread(const struct model *m, int worker, __u32 skip)
{
	int i;

	for (i = 0; i < m->nstored; i++)
		if (m->stored[i].unread[worker] && !skip--)
			return i;
	return -1;
}

/* What everybody has goes, and others can come. */
static inline void forget_read(struct model *m)
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

/* The first message goes before all have it. */
static inline void lose_first(struct model *m)
{
	int i, n = 0;

	for (i = 0; i < NWORKERS; i++) {
		m->lost[i] += m->stored[0].unread[i];
		n += m->stored[0].unread[i];
	}
	REMOVE(m->stored, m->nstored, 0);
	m->dropped += broken(m, DROP_COUNTS_FOR_EACH) ? n : 1;
}

/* Returns whether there was something to receive or to look at. */
static inline bool recv_own(struct model *m, const struct step *call)
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
static inline void join(struct model *m, int worker)
{
	int i;

	m->lost[worker] = 0;
	for (i = 0; i < m->nstored && broken(m, LATECOMERS_GET_OLD_ONES); i++)
		m->stored[i].unread[worker] = true;
}

/* It is closed: nobody waits for it any more. */
static inline void leave(struct model *m, int worker)
{
	int i;

	if (broken(m, CLOSED_HANDLES_KEEP_MESSAGES))
		return;
	for (i = 0; i < m->nstored; i++)
		m->stored[i].unread[worker] = false;
	forget_read(m);
}

#endif /* SELFTESTS_MODEL_BROADCAST_H */
