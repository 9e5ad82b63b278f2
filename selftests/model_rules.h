/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each call does to the model of a mailbox.
 */
#ifndef SELFTESTS_MODEL_RULES_H
#define SELFTESTS_MODEL_RULES_H

#include "model_broadcast.h"

/* ---- to receivers ------------------------------------------------------- */

static inline bool look(struct model *m, const struct step *call)
{
	struct found found;

	if (!find(m, call, &found))
		return false;
	if (!fits(m, call, &found.msg))
		finish(m, call->worker, -EMSGSIZE, NULL);
	else if (call->bad && found.msg.len && call->len)
		finish(m, call->worker, -EFAULT, NULL);
	else
		finish(m, call->worker, found.msg.len, &found.msg);
	m->out[call->worker].token = found.msg.request && broken(m, PEEK_SHOWS_THE_TOKEN);
	return true;
}

/* Receivers that ask for @msg and have no room for it fail, up to @until. */
static inline void refuse(struct model *m, const struct message *msg, int until)
{
	int i;

	/* They see it when it is their turn. */
	if (m->flags & MBOX_BROADCAST)
		return;
	for (i = 0; i < until; i++) {
		if (!wants(&m->receivers[i].call, msg) || fits(m, &m->receivers[i].call, msg))
			continue;
		finish(m, m->receivers[i].call.worker, -EMSGSIZE, NULL);
		REMOVE(m->receivers, m->nreceivers, i);
		i--;
		until--;
	}
}

/*
 * A message has come to where receivers look. Those who wait to look do so when
 * the step is over: it is one thing for them, whatever it consists of.
 */
static inline void show(struct model *m, const struct message *msg)
{
	refuse(m, msg, m->nreceivers);
	m->shown = true;
}

static inline void let_all_look(struct model *m, struct waiting *list, int *n)
{
	bool all = m->flags & MBOX_BROADCAST;
	int i;

	for (i = 0; i < *n; i++)
		if (all ? recv_own(m, &list[i].call) : look(m, &list[i].call)) {
			REMOVE(list, *n, i);
			i--;
		}
}

static inline void let_look(struct model *m)
{
	while (m->shown) {
		m->shown = false;
		let_all_look(m, m->peekers, &m->npeekers);
		/* Where all get it, nobody is handed it. */
		if (m->flags & MBOX_BROADCAST)
			let_all_look(m, m->receivers, &m->nreceivers);
	}
}

static inline void store(struct model *m, const struct message *msg, bool front)
{
	int i;

	if (m->flags & MBOX_BROADCAST)
		return store_for_all(m, *msg);
	for (i = 0; i < m->nstored; i++) {
		if (m->stored[i].prio < msg->prio)
			break;
		if (m->stored[i].prio == msg->prio && (front || broken(m, LAST_IN_FIRST_OUT)))
			break;
	}
	INSERT(m->stored, m->nstored, i, *msg);
	m->stored[i].arrival = m->arrivals++;
	show(m, msg);
}

static inline int find_receiver(const struct model *m, const struct message *msg)
{
	int i, last = -1;

	/* It is not for one of them, but for all. */
	if (m->flags & MBOX_BROADCAST)
		return -1;
	for (i = 0; i < m->nreceivers; i++) {
		if (!wants(&m->receivers[i].call, msg) || !fits(m, &m->receivers[i].call, msg))
			continue;
		if (!broken(m, LAST_RECEIVER_FIRST))
			return i;
		last = i;
	}
	return last;
}

static inline void put_back(struct model *m, struct message msg);

/* The request @msg was received: now somebody has to reply, or nobody can. */
static inline void owe(struct model *m, const struct step *call, const struct message *msg)
{
	struct owed owed = { .msg = *msg, .server = call->plain ? -1 : call->worker };

	if (call->plain && !broken(m, READ_KEEPS_THE_CALL))
		return finish(m, msg->sender, -EPIPE, NULL);
	if (broken(m, CALL_RETURNS_WITH_THE_RECEIPT))
		return finish(m, msg->sender, 0, NULL);
	m->out[call->worker].token = !call->plain;
	INSERT(m->owed, m->nowed, m->nowed, owed);
}

/* A receiver has @msg in its hands and copies it. */
static inline void deliver(struct model *m, const struct step *call, const struct message *msg)
{
	__u32 len = msg->len;

	if (call->bad && len && call->len) {
		finish(m, call->worker, -EFAULT, NULL);
		put_back(m, *msg);
		return;
	}
	m->received++;
	if (len > call->len && broken(m, TRUNC_RETURNS_WHAT_FITS))
		len = call->len;
	finish(m, call->worker, len, msg);
	if (msg->request)
		owe(m, call, msg);
	else if (msg->sender >= 0)
		finish(m, msg->sender, 0, NULL);
}

static inline void hand(struct model *m, int i, const struct message *msg)
{
	struct step call = m->receivers[i].call;

	REMOVE(m->receivers, m->nreceivers, i);
	refuse(m, msg, i);
	deliver(m, &call, msg);
}

/* A receiver could not take it: the next one gets it, or it is as before. */
static inline void put_back(struct model *m, struct message msg)
{
	int i = find_receiver(m, &msg);

	if (i >= 0) {
		hand(m, i, &msg);
		return;
	}
	/* Without capacity it was never accepted. */
	if (msg.sender >= 0 && !m->capacity) {
		struct waiting w = { .call = { .worker = msg.sender }, .msg = msg };

		m->sent--;
		INSERT(m->senders, m->nsenders, 0, w);
		show(m, &msg);
		return;
	}
	store(m, &msg, !broken(m, PUT_BACK_GOES_BEHIND));
}

/* ---- from senders ------------------------------------------------------- */

/* The message of waiting sender @i is accepted. */
static inline struct message accept_from(struct model *m, int i)
{
	struct message msg = m->senders[i].msg;

	REMOVE(m->senders, m->nsenders, i);
	m->sent++;
	if (m->capacity && !msg.sync) {
		finish(m, msg.sender, 0, NULL);
		msg.sender = -1;
	}
	return msg;
}

/* The first sender that can be let in, or -1. */
static inline int next_sender(const struct model *m)
{
	int i;

	for (i = 0; i < m->nsenders; i++) {
		if (has_room(m, m->senders[i].msg.from))
			return i;
		if (broken(m, USER_WITHOUT_ROOM_BLOCKS_OTHERS))
			break;
	}
	return -1;
}

static inline void admit(struct model *m, int most)
{
	struct message msg;
	int i;

	while (most-- && (i = next_sender(m)) >= 0) {
		msg = accept_from(m, i);
		store(m, &msg, false);
	}
}

static inline void drop_oldest(struct model *m)
{
	int i, oldest = 0;

	if (m->flags & MBOX_BROADCAST)
		return lose_first(m);
	for (i = 1; i < m->nstored; i++)
		if (m->stored[i].arrival < m->stored[oldest].arrival)
			oldest = i;
	if (broken(m, DROP_OLDEST_DROPS_THE_LAST))
		oldest = m->nstored - 1;
	if (m->stored[oldest].sender >= 0)
		finish(m, m->stored[oldest].sender, -EPIPE, NULL);
	REMOVE(m->stored, m->nstored, oldest);
	m->dropped++;
}

/* ---- the calls ---------------------------------------------------------- */

static inline long would_wait(const struct step *s)
{
	return s->patience == DONTWAIT ? -EAGAIN : -ETIMEDOUT;
}

/* With the message in its hands, for room or for a receiver. */
static inline void begin_to_wait(struct model *m, const struct step *s, const struct message *msg)
{
	struct waiting w = { .call = *s, .msg = *msg };

	INSERT(m->senders, m->nsenders, m->nsenders, w);
	if (m->capacity)
		refuse(m, msg, m->nreceivers);
	else
		show(m, msg);
}

static inline void model_send(struct model *m, const struct step *s)
{
	bool waits = s->patience == WAIT || s->patience == EXPIRES, request = s->op == CALL;
	bool sync = s->flags & MBOX_SYNC || request;
	struct message msg = {
		.id = s->id,
		.len = s->len,
		.prio = s->prio,
		.type = s->type,
		.from = s->worker,
		.sender = -1,
		.sync = sync,
		.request = request,
		.reply_room = s->reply_len < m->msg_max ? s->reply_len : m->msg_max,
		.reply_bad = s->reply_bad,
	};
	int i;

	if (!model_may(m, s->worker, SEND))
		return finish(m, s->worker, -EBADF, NULL);
	if (unsupported(m, s))
		return finish(m, s->worker, -EOPNOTSUPP, NULL);
	if (m->dead)
		return finish(m, s->worker, -EIDRM, NULL);
	if (s->len > m->msg_max || (m->flags & MBOX_FIXED && s->len != m->msg_max))
		return finish(m, s->worker, -EMSGSIZE, NULL);
	if (m->flags & MBOX_HANGUP && !m->recv_handles)
		return finish(m, s->worker, -EPIPE, NULL);

	i = find_receiver(m, &msg);
	/* Nobody has a reply before there is a request. */
	if ((i < 0 || request) && sync && !waits)
		return finish(m, s->worker, would_wait(s), NULL);
	if (i < 0 && !has_room(m, s->worker) && !waits &&
	    !(m->flags & (MBOX_DROP_OLDEST | MBOX_DROP_NEWEST)))
		return finish(m, s->worker, would_wait(s), NULL);
	if (s->bad && s->len)
		return finish(m, s->worker, -EFAULT, NULL);

	if (i >= 0) {
		m->sent++;
		if (waits && (sync || !m->capacity))
			msg.sender = s->worker;
		else
			finish(m, s->worker, 0, NULL);
		return hand(m, i, &msg);
	}
	if (!has_room(m, s->worker)) {
		if (m->flags & MBOX_DROP_OLDEST && m->capacity) {
			while ((__u32)m->nstored >= m->capacity)
				drop_oldest(m);
		} else if (m->flags & (MBOX_DROP_OLDEST | MBOX_DROP_NEWEST)) {
			m->sent++;
			m->dropped++;
			return finish(m, s->worker, sync ? -EPIPE : 0, NULL);
		} else if (!broken(m, RENDEZVOUS_IS_STORED) || m->capacity) {
			msg.sender = s->worker;
			return begin_to_wait(m, s, &msg);
		}
	}
	m->sent++;
	if (sync)
		msg.sender = s->worker;
	else
		finish(m, s->worker, 0, NULL);
	store(m, &msg, false);
}

/* Returns whether there was something for @s. */
static inline bool recv_now(struct model *m, const struct step *s)
{
	struct message msg;
	struct found found;
	int i;

	if (m->flags & MBOX_BROADCAST)
		return recv_own(m, s);
	if (s->flags & MBOX_PEEK)
		return look(m, s);
	if (!find(m, s, &found))
		return false;
	if (!fits(m, s, &found.msg)) {
		finish(m, s->worker, -EMSGSIZE, NULL);
		return true;
	}
	if (found.stored >= 0) {
		msg = found.msg;
		REMOVE(m->stored, m->nstored, found.stored);
	} else {
		for (i = 0; m->senders[i].msg.sender != found.msg.sender; i++)
			;
		msg = accept_from(m, i);
	}
	/* Who waits for room is let in before the copy is made. */
	admit(m, STORED_MAX);
	deliver(m, s, &msg);
	return true;
}

static inline void model_recv(struct model *m, const struct step *s)
{
	struct waiting w = { .call = *s };

	if (!model_may(m, s->worker, RECV))
		return finish(m, s->worker, -EBADF, NULL);
	if (unsupported(m, s))
		return finish(m, s->worker, -EOPNOTSUPP, NULL);
	if (m->dead)
		return finish(m, s->worker, -EIDRM, NULL);
	if (recv_now(m, s))
		return;
	if (m->flags & MBOX_HANGUP && !m->send_handles)
		/* The end of the file. */
		return finish(m, s->worker, s->plain ? 0 : -EPIPE, NULL);
	if (s->patience != WAIT)
		return finish(m, s->worker, would_wait(s), NULL);
	if (s->flags & MBOX_PEEK)
		INSERT(m->peekers, m->npeekers, m->npeekers, w);
	else
		INSERT(m->receivers, m->nreceivers, m->nreceivers, w);
}

/* ---- replies ------------------------------------------------------------ */

/* Nobody will reply to what @server received, or (-1) all received. */
static inline void end_owed(struct model *m, int server, long error)
{
	int i;

	for (i = m->nowed - 1; i >= 0; i--) {
		if (server >= 0 && m->owed[i].server != server)
			continue;
		finish(m, m->owed[i].msg.sender, error, NULL);
		REMOVE(m->owed, m->nowed, i);
	}
}

/* The reply of @s to what it says. Returns 0 or an error. */
static inline long reply(struct model *m, const struct step *s)
{
	struct message text = { .id = s->id, .len = s->reply_len };
	struct message *msg;
	int i;

	if (m->dead)
		return -EIDRM;
	for (i = 0; i < m->nowed; i++)
		if (m->owed[i].msg.id == s->request &&
		    (m->owed[i].server == s->worker || broken(m, ANY_HANDLE_REPLIES)))
			break;
	if (i == m->nowed)
		return broken(m, REPLY_TO_NOBODY_SUCCEEDS) ? 0 : -ESRCH;

	msg = &m->owed[i].msg;
	if (text.len > msg->reply_room && broken(m, LONG_REPLY_IS_CUT))
		text.len = msg->reply_room;
	if (text.len > msg->reply_room) {
		if (broken(m, LONG_REPLY_KEEPS_THE_CALL))
			return -EMSGSIZE;
		finish(m, msg->sender, -EMSGSIZE, NULL);
		REMOVE(m->owed, m->nowed, i);
		return -EMSGSIZE;
	}
	if (s->reply_bad && text.len) {
		if (broken(m, FAILED_REPLY_ENDS_THE_CALL))
			end_owed(m, s->worker, -EPIPE);
		return -EFAULT;
	}
	/* That the caller cannot have it is nothing that the server learns. */
	finish(m, msg->sender, msg->reply_bad && text.len ? -EFAULT : (long)text.len, &text);
	REMOVE(m->owed, m->nowed, i);
	return 0;
}

static inline void model_reply_recv(struct model *m, const struct step *s)
{
	long ret = 0;

	/* What fails in any case, before anything was done. */
	if (!model_may(m, s->worker, RECV))
		return finish(m, s->worker, -EBADF, NULL);
	if (s->request != NO_REQUEST) {
		ret = reply(m, s);
		m->out[s->worker].replied = !ret;
	}
	if (ret && !broken(m, FAILED_REPLY_STILL_RECEIVES))
		return finish(m, s->worker, ret, NULL);
	model_recv(m, s);
}

/* ---- the end of a side -------------------------------------------------- */

static inline void end_senders(struct model *m, long error)
{
	int i;

	for (; m->nsenders; m->nsenders--)
		finish(m, m->senders[m->nsenders - 1].msg.sender, error, NULL);
	for (i = 0; i < m->nstored; i++) {
		if (m->stored[i].sender < 0)
			continue;
		finish(m, m->stored[i].sender, error, NULL);
		m->sent--;
		REMOVE(m->stored, m->nstored, i);
		i--;
	}
}

static inline void end_receivers(struct model *m, long error)
{
	struct step *call;

	for (; m->nreceivers; m->nreceivers--) {
		call = &m->receivers[m->nreceivers - 1].call;
		finish(m, call->worker, call->plain && error == -EPIPE ? 0 : error, NULL);
	}
	for (; m->npeekers; m->npeekers--)
		finish(m, m->peekers[m->npeekers - 1].call.worker, error, NULL);
}

static inline void model_open(struct model *m, const struct step *s)
{
	if (m->dead)
		return finish(m, s->worker, -ENOENT, NULL);
	m->access[s->worker] = s->number;
	m->recv_handles += model_may(m, s->worker, RECV);
	m->send_handles += model_may(m, s->worker, SEND);
	join(m, s->worker);
	finish(m, s->worker, 0, NULL);
}

static inline void model_close(struct model *m, int worker)
{
	bool sends = model_may(m, worker, SEND), receives = model_may(m, worker, RECV);

	m->access[worker] = -1;
	m->send_handles -= sends;
	m->recv_handles -= receives;
	finish(m, worker, 0, NULL);
	if (!broken(m, CLOSED_SERVER_KEEPS_THE_CALL))
		end_owed(m, worker, -EPIPE);
	if (m->flags & MBOX_HANGUP && sends && !m->send_handles)
		end_receivers(m, -EPIPE);
	if (m->flags & MBOX_HANGUP && receives && !m->recv_handles)
		end_senders(m, -EPIPE);
	if (m->flags & MBOX_BROADCAST && receives)
		leave(m, worker);
}

static inline void model_capacity(struct model *m, const struct step *s)
{
	struct message list[NWORKERS];
	int i, n;

	if (m->flags & MBOX_BROADCAST && !s->number)
		return finish(m, s->worker, -EINVAL, NULL);
	if (m->dead)
		return finish(m, s->worker, -EIDRM, NULL);
	finish(m, s->worker, 0, NULL);
	if (m->capacity && !s->number) {
		/* From now on all can see what the waiting senders have. */
		m->capacity = 0;
		n = offers(m, list);
		for (i = 0; i < n; i++)
			show(m, &list[i]);
		return;
	}
	m->capacity = s->number;
	admit(m, broken(m, GROWING_ADMITS_ONE) ? 1 : STORED_MAX);
}

static inline void model_destroy(struct model *m, int worker)
{
	if (m->access[worker] != O_RDWR)
		return finish(m, worker, -EBADF, NULL);
	if (m->dead)
		return finish(m, worker, -EIDRM, NULL);
	m->dead = true;
	end_receivers(m, -EIDRM);
	end_senders(m, -EIDRM);
	end_owed(m, -1, -EIDRM);
	m->nstored = 0;
	finish(m, worker, 0, NULL);
}

static inline bool forget(struct waiting *list, int *n, int worker)
{
	int i;

	for (i = 0; i < *n; i++)
		if (list[i].call.worker == worker) {
			REMOVE(list, *n, i);
			return true;
		}
	return false;
}

/* The call of @worker ends with @error before what it waits for has come. */
static inline void give_up(struct model *m, int worker, long error)
{
	int i;

	finish(m, worker, error, NULL);
	for (i = 0; i < m->nowed; i++) {
		if (m->owed[i].msg.sender != worker)
			continue;
		/* It is with the server: what was received stays received. */
		REMOVE(m->owed, m->nowed, i);
		if (broken(m, RECEIVED_REQUEST_IS_WITHDRAWN))
			m->sent--;
		return;
	}
	if (forget(m->receivers, &m->nreceivers, worker) ||
	    forget(m->peekers, &m->npeekers, worker) ||
	    forget(m->senders, &m->nsenders, worker))
		return;
	for (i = 0; m->stored[i].sender != worker; i++)
		;
	REMOVE(m->stored, m->nstored, i);
	if (!broken(m, WITHDRAWN_STAYS_COUNTED))
		m->sent--;
	admit(m, STORED_MAX);
}

/* Whoever has to do with a call that expires has done it when it is handed over. */
static inline bool nobody_is_late(const struct model *m)
{
	int i;

	for (i = 0; i < m->nreceivers; i++)
		if (m->receivers[i].call.bad || m->receivers[i].call.plain)
			return false;
	return !m->npeekers;
}

/* Whether @s is a step for a worker in this state. */
static inline bool model_takes(const struct model *m, const struct step *s)
{
	bool waits = !m->out[s->worker].done, opens = s->op == OPEN;
	bool is_open = m->access[s->worker] >= 0;

	if (s->op == INTERRUPT)
		return waits;
	if (waits || is_open == opens || m->nstored == STORED_MAX)
		return false;
	/*
	 * A put-back happens some time after the rest of the step, so who waits
	 * to look may or may not see what is there in between. What the age of
	 * such a message is, nobody says.
	 */
	if (receives(s) && s->bad && !(m->flags & MBOX_BROADCAST) &&
	    (m->npeekers || m->flags & MBOX_DROP_OLDEST))
		return false;
	/* Which of two errors is reported is a matter of other tests. */
	if (sends(s) && s->bad && (s->patience != WAIT || m->flags & MBOX_HANGUP))
		return false;
	return s->patience != EXPIRES || nobody_is_late(m);
}

/* Carries out @s. */
static inline void model_step(struct model *m, const struct step *s)
{
	switch (s->op) {
	case OPEN:
		model_open(m, s);
		break;
	case CLOSE:
		model_close(m, s->worker);
		break;
	case SEND:
		model_send(m, s);
		break;
	case RECV:
		model_recv(m, s);
		break;
	case CALL:
		model_send(m, s);
		if (s->patience == EXPIRES && !m->out[s->worker].done)
			give_up(m, s->worker, -ETIMEDOUT);
		break;
	case REPLY:
		finish(m, s->worker, reply(m, s), NULL);
		break;
	case REPLY_RECV:
		model_reply_recv(m, s);
		break;
	case CAPACITY:
		model_capacity(m, s);
		break;
	case DESTROY:
		model_destroy(m, s->worker);
		break;
	case INTERRUPT:
		give_up(m, s->worker, -EINTR);
		break;
	}
	let_look(m);
}

/* What stat shows of it, in the fields that change. */
static inline void model_stat(const struct model *m, struct mbox_stat *st)
{
	int i;

	st->attr.capacity = m->capacity;
	st->queued = m->nstored;
	st->bytes = 0;
	st->waiting_senders = m->nsenders + m->nowed;
	for (i = 0; i < m->nstored; i++) {
		st->bytes += m->stored[i].len;
		st->waiting_senders += m->stored[i].sender >= 0;
	}
	st->waiting_receivers = m->nreceivers + m->npeekers;
	st->sent = m->sent;
	st->received = m->received;
	st->dropped = m->dropped;
	st->send_handles = m->send_handles;
	st->recv_handles = m->recv_handles;
}

#endif /* SELFTESTS_MODEL_RULES_H */
