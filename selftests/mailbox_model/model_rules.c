// SPDX-License-Identifier: GPL-2.0-only
#include "model_calls.h"
#include "model_rules.h"

/* ---- to receivers ------------------------------------------------------- */

bool peek(struct model *m, const struct step *call)
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
	take_files(m, call, &found.msg);
	m->out[call->worker].token = found.msg.request && broken(m, PEEK_SHOWS_THE_TOKEN);
	return true;
}

/* Receivers that ask for @msg and have no room for it fail, up to @until. */
static void refuse(struct model *m, const struct message *msg, int until)
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
 * A message has become visible to receivers. Waiting peeks are done when
 * the step is over: it is one thing for them, whatever it consists of.
 */
static void show(struct model *m, const struct message *msg)
{
	refuse(m, msg, m->nreceivers);
	m->shown = true;
}

static void let_all_look(struct model *m, struct waiting *list, int *n)
{
	bool all = m->flags & MBOX_BROADCAST;
	int i;

	for (i = 0; i < *n; i++)
		if (all ? recv_own(m, &list[i].call) : peek(m, &list[i].call)) {
			REMOVE(list, *n, i);
			i--;
		}
}

static void let_look(struct model *m)
{
	while (m->shown) {
		m->shown = false;
		let_all_look(m, m->peekers, &m->npeekers);
		/* A broadcast is not delivered to a single waiter. */
		if (m->flags & MBOX_BROADCAST)
			let_all_look(m, m->receivers, &m->nreceivers);
	}
}

static void store(struct model *m, const struct message *msg, bool front)
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
	count_highest(m);
	show(m, msg);
}

static int find_receiver(const struct model *m, const struct message *msg)
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

static void put_back(struct model *m, struct message msg);
static inline void model_recv(struct model *m, const struct step *s, unsigned int seq);

/* The request @msg was received: now its server has to reply, or none can. */
static void owe(struct model *m, const struct step *call, const struct message *msg)
{
	struct owed owed = { .msg = *msg, .server = call->plain ? -1 : call->worker };

	if (call->plain && !broken(m, READ_KEEPS_THE_CALL))
		return end_call(m, msg, -EPIPE, NULL);
	if (broken(m, CALL_RETURNS_WITH_THE_RECEIPT))
		return end_call(m, msg, 0, NULL);
	m->out[call->worker].token = !call->plain;
	INSERT(m->owed, m->nowed, m->nowed, owed);
}

/* It stays until it is acknowledged. */
static void lease(struct model *m, const struct step *call, const struct message *msg)
{
	struct leased leased = { .msg = *msg, .worker = call->worker };

	leased.msg.deliveries += !broken(m, DELIVERIES_ARE_NOT_COUNTED);
	m->redelivered += leased.msg.deliveries > 1;
	m->out[call->worker].msg.deliveries = leased.msg.deliveries;
	INSERT(m->leased, m->nleased, m->nleased, leased);
}

/* How many of its descriptors a receiver gets, and whether it is told that there were more. */
void take_files(struct model *m, const struct step *call, const struct message *msg)
{
	struct outcome *out = &m->out[call->worker];

	if (call->plain || (call->flags & MBOX_PEEK && !broken(m, PEEK_TAKES_FILES)))
		return;
	out->files = msg->given_up ? 0 : msg->files;
	out->no_files = msg->given_up;
	if (broken(m, FILES_COME_ONCE) && msg->deliveries)
		out->files = 0;
	if (out->files > call->files && !broken(m, FILES_NEED_NO_ROOM)) {
		out->files = call->files;
		out->no_files = true;
	}
	out->no_files &= !broken(m, MISSING_FILES_ARE_NOT_TOLD);
}

/* The same of a caller. The server's handles are closed when it has replied. */
void take_files_of_reply(struct model *m, const struct step *call, const struct message *reply)
{
	struct outcome *out = &m->out[call->worker];
	__u32 room = call->op == CALL ? call->reply_files : call->files;

	out->files = broken(m, REPLIES_HAVE_NO_FILES) ? 0 : reply->files;
	if (out->files > room && !broken(m, FILES_OF_REPLIES_NEED_NO_ROOM)) {
		out->files = room;
		out->no_files = true;
	}
}

/* No handle is left: descriptors are closed, and messages stay. */
static void give_up_files(struct model *m)
{
	int i;

	for (i = 0; i < m->nstored; i++)
		m->stored[i].given_up |= m->stored[i].files > 0;
	for (i = 0; i < m->nleased; i++)
		m->leased[i].msg.given_up |= m->leased[i].msg.files > 0;
}

/* A receiver has copied @msg. */
static void complete(struct model *m, const struct step *call, const struct message *msg)
{
	__u32 len = msg->len;

	if (len > call->len && broken(m, TRUNC_RETURNS_WHAT_FITS))
		len = call->len;
	finish(m, call->worker, len, msg);
	take_files(m, call, msg);
	if (call->flags & MBOX_LEASE)
		lease(m, call, msg);
	/* It has a token, whether the caller still waits or not. */
	m->out[call->worker].token = (msg->request && !call->plain) || call->flags & MBOX_LEASE;
	if (!has_caller(m, msg))
		return;
	if (msg->request)
		owe(m, call, msg);
	else
		finish(m, msg->sender, 0, NULL);
}

/* A receiver has @msg in its hands and copies it. */
static void deliver(struct model *m, struct waiting w, const struct message *msg)
{
	m->received++;
	if (w.call.slow && msg->len && w.call.len) {
		w.msg = *msg;
		INSERT(m->held, m->nheld, m->nheld, w);
	} else if (w.call.bad && msg->len && w.call.len) {
		m->received--;
		finish(m, w.call.worker, -EFAULT, NULL);
		put_back(m, *msg);
	} else {
		complete(m, &w.call, msg);
	}
}

static void hand(struct model *m, int i, const struct message *msg)
{
	struct waiting w = m->receivers[i];

	REMOVE(m->receivers, m->nreceivers, i);
	refuse(m, msg, i);
	deliver(m, w, msg);
}

/* The message of a rendezvous was not received: its sender waits as before. */
static void unaccept(struct model *m, struct message msg)
{
	struct waiting w = { .call = { .worker = msg.sender, .nice = msg.nice }, .seq = msg.seq };

	msg.place = --m->places[1];
	w.msg = msg;
	m->sent--;
	if (broken(m, UNACCEPTED_SENDER_GOES_LAST))
		w.seq = 0;
	if (broken(m, UNACCEPTED_SENDER_GOES_FIRST))
		INSERT(m->senders, m->nsenders, 0, w);
	else
		queue_up(m, m->senders, &m->nsenders, w);
	show(m, &msg);
}

/* ---- lifespans ------------------------------------------------------------ */

/* What is in no queue is dropped, because its lifespan has ended. */
static void expire(struct model *m, const struct message *msg)
{
	if (msg->sender >= 0)
		finish(m, msg->sender, broken(m, EXPIRED_SEND_SUCCEEDS) ? 0 : -EPIPE, NULL);
	if (broken(m, EXPIRED_COUNTS_AS_DROPPED))
		m->dropped++;
	else
		m->expired++;
}

/* So is what is in a queue. */
static void expire_all(struct model *m)
{
	struct message msg;
	bool found = false;
	int i;

	for (i = m->nstored - 1; i >= 0; i--) {
		msg = m->stored[i];
		if (!msg.over)
			continue;
		found = true;
		REMOVE(m->stored, m->nstored, i);
		expire(m, &msg);
	}
	for (i = m->nsenders - 1; i >= 0; i--) {
		msg = m->senders[i].msg;
		if (!msg.over)
			continue;
		found = true;
		REMOVE(m->senders, m->nsenders, i);
		m->sent++;
		expire(m, &msg);
	}
	if (found && !broken(m, EXPIRED_KEEPS_ITS_PLACE))
		admit(m, STORED_MAX);
}

static void age(const struct model *m, struct message *msg)
{
	msg->over |= msg->mortal && !broken(m, EXPIRED_IS_RECEIVED);
	msg->mortal = false;
}

static void model_age(struct model *m)
{
	int i;

	for (i = 0; i < m->nstored; i++)
		age(m, &m->stored[i]);
	for (i = 0; i < m->nsenders; i++)
		age(m, &m->senders[i].msg);
	for (i = 0; i < m->nheld; i++)
		age(m, &m->held[i].msg);
	for (i = 0; i < m->nleased; i++)
		age(m, &m->leased[i].msg);
	expire_all(m);
	pass_deadlines(m);
}

static bool is_over(const struct model *m, const struct message *msg)
{
	return msg->over && !broken(m, EXPIRED_COMES_BACK);
}

/* A receiver could not take it: the next one gets it, or it is as before. */
static void put_back(struct model *m, struct message msg)
{
	int i = find_receiver(m, &msg);

	if (is_over(m, &msg))
		return expire(m, &msg);
	if (i >= 0)
		return hand(m, i, &msg);
	/* Without capacity it was never accepted. */
	if (has_caller(m, &msg) && !m->capacity)
		return unaccept(m, msg);
	/* There is one now, so that is all that its sender has waited for. */
	if (msg.sender >= 0 && !msg.sync) {
		finish(m, msg.sender, 0, NULL);
		msg.sender = -1;
	}
	store(m, &msg, !broken(m, PUT_BACK_GOES_BEHIND));
}

bool is_held(const struct model *m, int worker)
{
	int i;

	for (i = 0; i < m->nheld; i++)
		if (m->held[i].call.worker == worker)
			return true;
	return false;
}

/* The copy of @worker goes on, or fails. */
static void model_release(struct model *m, int worker)
{
	struct waiting w;
	bool unwanted;
	int i;

	for (i = 0; m->held[i].call.worker != worker; i++)
		;
	w = m->held[i];
	REMOVE(m->held, m->nheld, i);
	/* The page is there from now on, also for a call that is restarted. */
	m->out[worker].call.slow = false;
	w.call.slow = false;
	/* A caller that has given up leaves its request to the server. */
	unwanted = w.msg.request && !has_caller(m, &w.msg);
	if (w.call.bad) {
		m->received--;
		finish(m, worker, -EFAULT, NULL);
		m->sent -= unwanted && !w.withdrawn;
		if (!unwanted && !w.withdrawn && !m->dead)
			put_back(m, w.msg);
	} else if (w.withdrawn && !broken(m, WITHDRAWN_MESSAGE_IS_RECEIVED)) {
		/* As if it had never come. */
		m->received--;
		model_recv(m, &w.call, broken(m, WITHDRAWN_MESSAGE_COSTS_THE_PLACE) ? 0 : w.seq);
	} else {
		complete(m, &w.call, &w.msg);
	}
	if (!m->dead && at_end(m))
		end_receivers(m, -EPIPE);
}

/* ---- from senders ------------------------------------------------------- */

/* The message of waiting sender @i is accepted. */
static struct message accept_from(struct model *m, int i)
{
	struct message msg = m->senders[i].msg;

	REMOVE(m->senders, m->nsenders, i);
	m->sent++;
	msg.arrival = m->arrivals++;
	if (msg.started) {
		/* Without capacity, it may have been accepted before. */
		if (msg.sender >= 0)
			begin_call(m, &msg, msg.sender);
	} else if (m->capacity && !msg.sync) {
		finish(m, msg.sender, 0, NULL);
		msg.sender = -1;
	}
	return msg;
}

/* The first sender that can be let in, or -1. */
static int next_sender(const struct model *m)
{
	int i;

	for (i = 0; i < m->nsenders; i++) {
		if (m->flags & MBOX_BROADCAST)
			return spare(m, m->senders[i].msg.len) < 0 ? -1 : i;
		/* The first one waits for its bytes, and the others behind it. */
		if (has_place(m, m->senders[i].msg.from))
			return has_bytes(m, m->senders[i].msg.len) ? i : -1;
		if (broken(m, USER_WITHOUT_ROOM_BLOCKS_OTHERS))
			break;
	}
	return -1;
}

void admit(struct model *m, int most)
{
	struct message msg;
	int i, n;

	while (most-- && (i = next_sender(m)) >= 0) {
		if (m->flags & MBOX_BROADCAST)
			for (n = spare(m, m->senders[i].msg.len); n > 0; n--)
				lose(m, 0);
		msg = accept_from(m, i);
		store(m, &msg, false);
	}
}

static void drop(struct model *m, int i)
{
	struct message msg;

	if (m->flags & MBOX_BROADCAST)
		return lose(m, i);
	msg = m->stored[i];
	REMOVE(m->stored, m->nstored, i);
	m->dropped++;
	end_call(m, &msg, -EPIPE, NULL);
}

static void drop_oldest(struct model *m)
{
	int i, oldest = 0;

	for (i = 1; i < m->nstored; i++)
		if (m->stored[i].arrival < m->stored[oldest].arrival)
			oldest = i;
	if (broken(m, DROP_OLDEST_DROPS_THE_LAST))
		oldest = m->nstored - 1;
	drop(m, oldest);
}

/* What a send finds. */
enum room { ROOM, DROPS_OLD, DROPS_NEW, FULL };

/* Whether a sender that is as urgent would be the next to be let in. */
static bool sends_first(const struct model *m, int nice)
{
	int i;

	for (i = 0; i < m->nsenders && !has_place(m, m->senders[i].msg.from); i++)
		;
	if (i == m->nsenders)
		return true;
	return nice < m->senders[i].call.nice && !broken(m, URGENT_ONES_WAIT_FOR_BYTES) &&
	       !broken(m, URGENT_ONES_WAIT_THEIR_TURN);
}

static bool has_room(const struct model *m, int worker, int nice, __u32 len)
{
	/* A short message does not overtake a longer one of a sender that is as urgent. */
	if (m->max_bytes && !sends_first(m, nice) && !broken(m, SHORT_MESSAGES_OVERTAKE))
		return false;
	return has_place(m, worker) && has_bytes(m, len);
}

static enum room room_for(const struct model *m, int worker, int nice, __u32 len)
{
	if (has_room(m, worker, nice, len))
		return ROOM;
	if (m->flags & MBOX_BROADCAST && !m->nsenders && spare(m, len) >= 0)
		return DROPS_OLD;
	if (m->flags & MBOX_BROADCAST)
		return m->flags & MBOX_DROP_NEWEST ? DROPS_NEW : FULL;
	if (m->flags & MBOX_DROP_OLDEST && m->capacity)
		return DROPS_OLD;
	return m->flags & (MBOX_DROP_OLDEST | MBOX_DROP_NEWEST) ? DROPS_NEW : FULL;
}

/* For the message of @s. */
static void drop_until_room(struct model *m, const struct step *s)
{
	int n;

	if (m->flags & MBOX_BROADCAST) {
		for (n = spare(m, s->len); n > 0; n--)
			drop_oldest(m);
		return;
	}
	do
		drop_oldest(m);
	while (!has_room(m, s->worker, s->nice, s->len) && !broken(m, DROPPING_ONE_IS_ENOUGH));
}

/* ---- limits of bytes ----------------------------------------------------- */

static __u64 cost_of_message(const struct model *m, __u32 len)
{
	return m->cost[len > LEN_MAX];
}

/* Whether a message that was sent with that handle is among the first @n. */
static bool has_stored(const struct model *m, unsigned int handle, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (m->stored[i].handle == handle)
			return true;
	return false;
}

/*
 * Whether the sender that @worker is with its handle counts: as long as it has
 * messages, and with the user's own mailbox as long as there is the handle.
 */
static bool is_charged(const struct model *m, int worker)
{
	return has_stored(m, m->handle[worker], m->nstored) ||
	       (worker % NUSERS == m->owner && m->charged[worker]);
}

/* What the user of @worker has, with the senders of its messages. */
static __u64 bytes_of(const struct model *m, int worker)
{
	__u64 bytes = 0;
	int i;

	for (i = 0; i < m->nstored; i++) {
		if (!same_user(m->stored[i].from, worker))
			continue;
		bytes += cost_of_message(m, m->stored[i].len);
		if (!has_stored(m, m->stored[i].handle, i))
			bytes += m->cost[2];
	}
	for (i = 0; i < NWORKERS; i++)
		if (same_user(i, worker) && m->access[i] >= 0 && is_charged(m, i) &&
		    !has_stored(m, m->handle[i], m->nstored))
			bytes += m->cost[2];
	return bytes;
}

/*
 * How much has to go before the user of @worker can have @cost more. Here that is
 * all that it has, so the half of what that leaves is half of the limit. The first
 * message to another owner is always let in.
 */
static __u64 lacking(const struct model *m, int worker, __u64 cost)
{
	__u64 bytes = bytes_of(m, worker), limit = m->limit;

	if (bytes && worker % NUSERS != m->owner && !broken(m, LIMIT_IS_NOT_SHARED))
		limit -= limit / 2;
	return bytes + cost > limit ? bytes + cost - limit : 0;
}

static bool is_droppable(const struct model *m, int i, int worker)
{
	return same_user(m->stored[i].from, worker) || broken(m, LIMIT_DROPS_THE_OLDEST_OF_ALL);
}

/* Whether what can be dropped makes up @bytes. */
static bool may_drop(const struct model *m, int worker, __u64 bytes)
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < m->nstored; i++) {
		if (is_droppable(m, i, worker))
			sum += cost_of_message(m, m->stored[i].len);
		else if (m->flags & MBOX_BROADCAST && sum < bytes)
			/* What stands behind another's has to stay. */
			return false;
	}
	return sum >= bytes;
}

/* Returns how much that was. */
static __u64 drop_own(struct model *m, int worker)
{
	bool last = broken(m, LIMIT_DROPS_THE_LAST);
	int i, which = -1;
	__u64 cost;

	for (i = 0; i < m->nstored; i++) {
		bool older = which < 0 || m->stored[i].arrival < m->stored[which].arrival;

		if (is_droppable(m, i, worker) && (which < 0 || older != last))
			which = i;
	}
	cost = cost_of_message(m, m->stored[which].len);
	drop(m, which);
	return cost;
}

/* MBOX_DROP_OLDEST at a limit. Returns whether there is room now. */
static bool make_room(struct model *m, const struct step *s)
{
	__u64 bytes, dropped, cost;

	if (!m->limit)
		return true;
	for (;;) {
		cost = cost_of_message(m, s->len);
		if (!is_charged(m, s->worker))
			cost += m->cost[2];
		bytes = lacking(m, s->worker, cost);
		if (!bytes)
			break;
		if (!may_drop(m, s->worker, bytes)) {
			while (broken(m, LIMIT_DROPS_IN_VAIN) && may_drop(m, s->worker, 1))
				drop_own(m, s->worker);
			return false;
		}
		while (bytes) {
			dropped = drop_own(m, s->worker);
			if (broken(m, LIMIT_DROPS_ONE))
				return true;
			bytes -= dropped < bytes ? dropped : bytes;
		}
		/* Of a sender whose last message was dropped, it is the first one now. */
	}
	m->charged[s->worker] = true;
	return true;
}

/* ---- the calls ---------------------------------------------------------- */

/* With the message in its hands, for room or for a receiver. */
static void begin_to_wait(struct model *m, const struct step *s, const struct message *msg)
{
	struct waiting w = { .call = *s, .seq = msg->seq, .msg = *msg };

	w.msg.place = ++m->places[0];
	/* Of many that wait, only some have a copy for the history. */
	w.msg.copied &= (__u32)m->nsenders < m->history;
	queue_up(m, m->senders, &m->nsenders, w);
	if (!blocked_can_go(m))
		refuse(m, msg, m->nreceivers);
	else
		show(m, msg);
}

/* @seq: 0, or when the call came that is made again. */
static void model_send(struct model *m, const struct step *s, unsigned int seq)
{
	bool waits = s->block_mode != DONTWAIT && s->block_mode != PAST_DEADLINE;
	bool request = s->op == CALL, started = s->op == START;
	bool sync = s->flags & MBOX_SYNC || request;
	struct message msg = {
		.id = s->id,
		.len = s->len,
		.prio = s->prio,
		.type = s->type,
		.from = s->worker,
		.handle = m->handle[s->worker],
		.sender = -1,
		.sync = sync,
		.request = request || started,
		.started = started,
		.timed = started && s->block_mode == LATER,
		.reply_room = s->reply_len < m->msg_max ? s->reply_len : m->msg_max,
		.reply_bad = s->reply_bad,
		.nice = s->nice,
		.seq = seq ?: ++m->seqs,
		.mortal = s->lifespan == SOON,
		.over = s->lifespan == AT_ONCE,
		.files = s->plain ? 0 : s->files,
		.copied = m->history,
	};
	int i;

	if (!model_may(m, s->worker, SEND))
		return finish(m, s->worker, -EBADF, NULL);
	/* write(2) of nothing. */
	if (s->op == SEND && s->plain && !s->len)
		return finish(m, s->worker, 0, NULL);
	if (unsupported(m, s))
		return finish(m, s->worker, -EOPNOTSUPP, NULL);
	if (m->dead)
		return finish(m, s->worker, -EIDRM, NULL);
	if (s->len > m->msg_max || (m->flags & MBOX_FIXED && s->len != m->msg_max))
		return finish(m, s->worker, -EMSGSIZE, NULL);
	if (m->max_bytes && s->len > m->max_bytes && !broken(m, LONG_MESSAGES_WAIT))
		return finish(m, s->worker, -EMSGSIZE, NULL);
	if (no_receivers(m))
		return finish(m, s->worker, -EPIPE, NULL);

	if (sync && !waits && !m->nreceivers)
		return finish(m, s->worker, would_wait(s), NULL);
	if (!make_room(m, s))
		return finish(m, s->worker, -EDQUOT, NULL);
	i = find_receiver(m, &msg);
	/* There is no reply before there is a request. */
	if ((i < 0 || request) && sync && !waits)
		return finish(m, s->worker, would_wait(s), NULL);
	if (i < 0 && !waits && room_for(m, s->worker, s->nice, s->len) == FULL)
		return finish(m, s->worker, would_wait(s), NULL);
	if (s->bad && s->len)
		return finish(m, s->worker, -EFAULT, NULL);

	if (i >= 0) {
		m->sent++;
		msg.arrival = m->arrivals++;
		if (started)
			begin_call(m, &msg, s->worker);
		else if (waits && (sync || !m->capacity))
			msg.sender = s->worker;
		else
			finish(m, s->worker, 0, NULL);
		return hand(m, i, &msg);
	}
	switch (room_for(m, s->worker, s->nice, s->len)) {
	case ROOM:
		break;
	case DROPS_OLD:
		drop_until_room(m, s);
		break;
	case DROPS_NEW:
		m->sent++;
		m->dropped++;
		return finish(m, s->worker, sync || started ? -EPIPE : 0, NULL);
	case FULL:
		if (broken(m, RENDEZVOUS_IS_STORED) && !m->capacity)
			break;
		msg.sender = s->worker;
		begin_to_wait(m, s, &msg);
		return expire_all(m);
	}
	m->sent++;
	msg.arrival = m->arrivals++;
	if (started)
		begin_call(m, &msg, s->worker);
	else if (sync)
		msg.sender = s->worker;
	else
		finish(m, s->worker, 0, NULL);
	store(m, &msg, false);
	expire_all(m);
}

/* Returns whether there was something for @s. */
static bool recv_now(struct model *m, const struct step *s, unsigned int seq)
{
	struct waiting w = { .call = *s, .seq = seq };
	struct message msg;
	struct found found;
	int i;

	if (m->flags & MBOX_BROADCAST)
		return recv_own(m, s);
	if (s->flags & MBOX_PEEK)
		return peek(m, s);
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
		for (i = 0; m->senders[i].msg.id != found.msg.id; i++)
			;
		msg = accept_from(m, i);
	}
	/* Senders that wait for room are admitted before the copy is made. */
	if (!(s->flags & MBOX_LEASE))
		admit(m, STORED_MAX);
	deliver(m, w, &msg);
	admit(m, STORED_MAX);
	return true;
}

/* @seq: 0, or when the call has come to wait before. */
static void model_recv(struct model *m, const struct step *s, unsigned int seq)
{
	struct waiting w = { .call = *s, .seq = seq };

	if (!model_may(m, s->worker, RECV))
		return finish(m, s->worker, -EBADF, NULL);
	/* read(2) of nothing. */
	if (s->op == RECV && s->plain && !s->len)
		return finish(m, s->worker, 0, NULL);
	if (unsupported(m, s))
		return finish(m, s->worker, -EOPNOTSUPP, NULL);
	if (m->dead)
		return finish(m, s->worker, -EIDRM, NULL);
	if (recv_now(m, s, seq))
		return;
	if (m->expelled[s->worker])
		return finish(m, s->worker, -ENOTCONN, NULL);
	if (at_end(m))
		/* The end of the file. */
		return finish(m, s->worker, s->plain ? 0 : -EPIPE, NULL);
	if (s->block_mode != WAIT)
		return finish(m, s->worker, would_wait(s), NULL);
	if (s->flags & MBOX_PEEK)
		queue_up(m, m->peekers, &m->npeekers, w);
	else
		queue_up(m, m->receivers, &m->nreceivers, w);
}

/* ---- leases ------------------------------------------------------------- */

/* By priority and arrival, whatever was put back before. */
static void store_again(struct model *m, const struct message *msg)
{
	int i;

	for (i = 0; i < m->nstored; i++)
		if (m->stored[i].prio < msg->prio ||
		    (m->stored[i].prio == msg->prio && m->stored[i].arrival > msg->arrival &&
		     !broken(m, NACK_GOES_BEHIND)))
			break;
	INSERT(m->stored, m->nstored, i, *msg);
	count_highest(m);
	show(m, msg);
}

/* Where a letter comes in the other mailbox. */
static int place_of_letter(const struct model *m, const struct message *msg)
{
	const struct letters *l = &m->letters;
	int i = l->n;

	while (i && l->list[i - 1].prio < msg->prio && !broken(m, LETTERS_ARE_NOT_SORTED))
		i--;
	return i;
}

static void drop_letter(const struct model *m, struct letters *l)
{
	int i, oldest = 0;

	for (i = 1; i < l->n; i++)
		if (l->list[i].arrival < l->list[oldest].arrival)
			oldest = i;
	if (broken(m, LETTERS_DROP_THE_NEWEST))
		oldest = l->n - 1;
	REMOVE(l->list, l->n, oldest);
	l->dropped++;
}

/* @msg goes to the other mailbox: beyond its capacity, or by its policy. */
static void send_letter(struct model *m, struct message msg)
{
	struct letters *l = &m->letters;

	msg.arrival = l->sent++;
	if ((l->flags & MBOX_DROP_NEWEST || broken(m, LETTERS_NEED_ROOM)) &&
	    (__u32)l->n >= l->capacity) {
		l->dropped++;
		return;
	}
	while (l->flags & MBOX_DROP_OLDEST && (__u32)l->n >= l->capacity)
		drop_letter(m, l);
	INSERT(l->list, l->n, place_of_letter(m, &msg), msg);
	if ((__u32)l->n > l->highest)
		l->highest = l->n;
}

/* Whether @msg has been on lease so often that it does not come back. */
static bool is_dead_letter(const struct model *m, const struct message *msg)
{
	if (broken(m, DELIVERIES_HAVE_NO_END))
		return false;
	return m->max_deliveries &&
	       msg->deliveries >= m->max_deliveries + broken(m, DELIVERIES_END_LATE);
}

/* The other mailbox is its receiver, if there is one. */
static void bury(struct model *m, const struct message *msg)
{
	m->dead_letters++;
	if (m->letters.capacity && !broken(m, DEAD_LETTERS_ARE_LOST)) {
		send_letter(m, *msg);
	} else {
		m->received--;
		m->dropped++;
	}
	if (!broken(m, DEAD_LETTERS_KEEP_THEIR_PLACE))
		admit(m, STORED_MAX);
}

/* Lease @at ends: its message comes back. */
static void return_lease(struct model *m, int at)
{
	struct message msg = m->leased[at].msg;
	int i;

	REMOVE(m->leased, m->nleased, at);
	if (is_dead_letter(m, &msg))
		return bury(m, &msg);
	if (!broken(m, NACK_STAYS_RECEIVED))
		m->received--;
	i = find_receiver(m, &msg);
	if (is_over(m, &msg))
		expire(m, &msg);
	else if (i >= 0)
		hand(m, i, &msg);
	else
		store_again(m, &msg);
	admit(m, STORED_MAX);
}

/* The lease that @s names, or -1. */
static int find_lease(const struct model *m, const struct step *s)
{
	int i;

	for (i = 0; i < m->nleased; i++)
		if (m->leased[i].msg.id == s->request &&
		    (m->leased[i].worker == s->worker || broken(m, ANY_HANDLE_ACKS)))
			return i;
	return -1;
}

static void model_end_lease(struct model *m, const struct step *s)
{
	int i = find_lease(m, s);

	if (!model_may(m, s->worker, RECV))
		return finish(m, s->worker, -EBADF, NULL);
	if (m->dead)
		return finish(m, s->worker, -EIDRM, NULL);
	if (i < 0)
		return finish(m, s->worker, -ESRCH, NULL);
	finish(m, s->worker, 0, NULL);
	if (s->op == NACK && s->number && !broken(m, DELAYED_COMES_AT_ONCE) &&
	    (!is_dead_letter(m, &m->leased[i].msg) || broken(m, DEAD_LETTERS_CAN_BE_DELAYED))) {
		m->leased[i].worker = -1;
	} else if (s->op == NACK) {
		return_lease(m, i);
	} else {
		REMOVE(m->leased, m->nleased, i);
		admit(m, STORED_MAX);
	}
}

/* The handle of @worker is closed. */
static void return_leases(struct model *m, int worker)
{
	int i;

	if (broken(m, CLOSED_HANDLE_KEEPS_LEASES))
		return;
	for (i = 0; i < m->nleased;)
		if (m->leased[i].worker == worker)
			return_lease(m, i);
		else
			i++;
}

/* ---- replies ------------------------------------------------------------ */

/* There will be no reply to what @server received, or (-1) any server. */
void end_owed(struct model *m, int server, long error)
{
	struct message msg;
	int i;

	for (i = m->nowed - 1; i >= 0; i--) {
		if (server >= 0 && m->owed[i].server != server)
			continue;
		msg = m->owed[i].msg;
		REMOVE(m->owed, m->nowed, i);
		end_call(m, &msg, error, NULL);
	}
}

/* The reply of @s to what it says. Returns 0 or an error. */
long reply(struct model *m, const struct step *s)
{
	struct message text = {
		.id = s->id, .len = s->reply_len, .files = s->op == REPLY ? s->files : 0,
	};
	struct message *msg;
	int i;

	if (!model_may(m, s->worker, RECV))
		return -EBADF;
	if (m->dead)
		return -EIDRM;
	for (i = 0; i < m->nowed; i++)
		if (m->owed[i].msg.id == s->request &&
		    (m->owed[i].server == s->worker || broken(m, ANY_HANDLE_REPLIES)))
			break;
	if (i == m->nowed)
		return broken(m, REPLY_WITHOUT_CALLER_SUCCEEDS) ? 0 : -ESRCH;

	msg = &m->owed[i].msg;
	if (text.len > msg->reply_room && broken(m, LONG_REPLY_IS_CUT))
		text.len = msg->reply_room;
	if (text.len > msg->reply_room) {
		if (broken(m, LONG_REPLY_KEEPS_THE_CALL))
			return -EMSGSIZE;
		end_call(m, msg, -EMSGSIZE, NULL);
		REMOVE(m->owed, m->nowed, i);
		return -EMSGSIZE;
	}
	if (s->reply_bad && text.len) {
		if (broken(m, FAILED_REPLY_ENDS_THE_CALL))
			end_owed(m, s->worker, -EPIPE);
		return -EFAULT;
	}
	/* That the caller cannot have it is nothing that the server learns. */
	end_call(m, msg, msg->reply_bad && text.len ? -EFAULT : (long)text.len, &text);
	REMOVE(m->owed, m->nowed, i);
	return 0;
}

static void model_reply_recv(struct model *m, const struct step *s)
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
	model_recv(m, s, 0);
}

/* ---- the end of a side -------------------------------------------------- */

/* Calls that go on without their workers: the last one whose request was accepted is first. */
static void end_started(struct model *m, long error)
{
	struct message msg = { .sender = -1, .started = true };
	int i;

	for (i = m->ncalls - 1; i >= 0; i--) {
		msg.id = m->calls[i].id;
		if (!m->calls[i].ended)
			end_call(m, &msg, error, NULL);
	}
}

void end_senders(struct model *m, long error)
{
	int i;

	for (; m->nsenders; m->nsenders--)
		end_call(m, &m->senders[m->nsenders - 1].msg, error, NULL);
	for (i = 0; i < m->nstored; i++) {
		if (!has_caller(m, &m->stored[i]))
			continue;
		if (m->stored[i].sender >= 0)
			end_call(m, &m->stored[i], error, NULL);
		m->sent--;
		REMOVE(m->stored, m->nstored, i);
		i--;
	}
	end_started(m, error);
}

/* The sender that waits for the receipt of what is being copied, or for the reply. */
static void end_held(struct model *m, long error)
{
	int i;

	for (i = 0; i < m->nheld; i++) {
		if (!has_caller(m, &m->held[i].msg))
			continue;
		end_call(m, &m->held[i].msg, error, NULL);
		m->held[i].withdrawn = !m->held[i].msg.request;
		m->held[i].msg.sender = -1;
	}
}

void end_receivers(struct model *m, long error)
{
	struct step *call;

	for (; m->nreceivers; m->nreceivers--) {
		call = &m->receivers[m->nreceivers - 1].call;
		finish(m, call->worker, call->plain && error == -EPIPE ? 0 : error, NULL);
	}
	for (; m->npeekers; m->npeekers--)
		finish(m, m->peekers[m->npeekers - 1].call.worker, error, NULL);
}

/* Returns when it came, or 0: it is not there. */
static unsigned int forget(struct waiting *list, int *n, int worker)
{
	unsigned int seq;
	int i;

	for (i = 0; i < *n; i++)
		if (list[i].call.worker == worker) {
			seq = list[i].seq;
			REMOVE(list, *n, i);
			return seq;
		}
	return 0;
}

/* Those of one handle. */
void end_calls_of(struct model *m, int worker, long error)
{
	if (forget(m->receivers, &m->nreceivers, worker) ||
	    forget(m->peekers, &m->npeekers, worker))
		finish(m, worker, error, NULL);
}

static void model_open(struct model *m, const struct step *s)
{
	if (m->dead)
		return finish(m, s->worker, -ENOENT, NULL);
	m->access[s->worker] = s->number;
	m->handle[s->worker] = ++m->handles;
	m->charged[s->worker] = false;
	m->recv_handles += model_may(m, s->worker, RECV);
	m->send_handles += model_may(m, s->worker, SEND);
	m->had_receivers |= m->recv_handles;
	m->had_senders |= m->send_handles;
	join(m, s->worker);
	finish(m, s->worker, 0, NULL);
}

static void model_close(struct model *m, int worker)
{
	bool sends = model_may(m, worker, SEND), receives = model_may(m, worker, RECV);
	int i;

	receives &= !m->expelled[worker];
	cancel_all(m, worker);
	return_leases(m, worker);
	m->access[worker] = -1;
	m->send_handles -= sends;
	m->recv_handles -= receives;
	finish(m, worker, 0, NULL);
	if (!broken(m, CLOSED_SERVER_KEEPS_THE_CALL))
		end_owed(m, worker, -EPIPE);
	if (sends && at_end(m))
		end_receivers(m, -EPIPE);
	if (receives && no_receivers(m))
		end_senders(m, -EPIPE);
	if (m->flags & MBOX_BROADCAST && receives)
		leave(m, worker);
	for (i = 0; i < NWORKERS && m->access[i] < 0; i++)
		;
	if (i == NWORKERS)
		give_up_files(m);
	if (i == NWORKERS && m->flags & MBOX_TEMPORARY && !broken(m, TEMPORARY_ONES_STAY)) {
		m->dead = true;
		m->nstored = 0;
	}
}

static void model_capacity(struct model *m, const struct step *s)
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

static void model_destroy(struct model *m, int worker)
{
	int i;

	if (m->access[worker] != O_RDWR)
		return finish(m, worker, -EBADF, NULL);
	if (m->dead)
		return finish(m, worker, -EIDRM, NULL);
	m->dead = true;
	end_receivers(m, -EIDRM);
	end_senders(m, -EIDRM);
	end_owed(m, -1, -EIDRM);
	end_held(m, -EIDRM);
	m->nstored = 0;
	m->nleased = 0;
	finish(m, worker, 0, NULL);
	for (i = 0; i < NWORKERS; i++)
		if (m->fetching[i])
			finish(m, i, -EIDRM, NULL);
	memset(m->fetching, 0, sizeof(m->fetching));
}

/* The request of @worker that was received, or is being copied; NULL: there is none. */
static struct message *received_request(struct model *m, int worker)
{
	int i;

	for (i = 0; i < m->nowed; i++)
		if (m->owed[i].msg.sender == worker)
			return &m->owed[i].msg;
	for (i = 0; i < m->nheld; i++)
		if (m->held[i].msg.sender == worker && m->held[i].msg.request)
			return &m->held[i].msg;
	return NULL;
}

/* Takes back what the call of @worker is about. Returns when it came. */
static unsigned int withdraw(struct model *m, int worker)
{
	unsigned int seq;
	int i;

	if (m->fetching[worker]) {
		m->fetching[worker] = false;
		return 1;
	}
	seq = forget(m->receivers, &m->nreceivers, worker);
	seq = seq ?: forget(m->peekers, &m->npeekers, worker);
	if (seq)
		return seq;
	seq = forget(m->senders, &m->nsenders, worker);
	if (seq) {
		/* There may be room for a shorter message. */
		if (m->max_bytes)
			admit(m, STORED_MAX);
		return seq;
	}
	if (!broken(m, WITHDRAWN_STAYS_COUNTED))
		m->sent--;
	for (i = 0; i < m->nheld; i++)
		if (m->held[i].msg.sender == worker) {
			m->held[i].withdrawn = true;
			m->held[i].msg.sender = -1;
			return m->held[i].msg.seq;
		}
	for (i = 0; m->stored[i].sender != worker; i++)
		;
	seq = m->stored[i].seq;
	REMOVE(m->stored, m->nstored, i);
	admit(m, STORED_MAX);
	return seq;
}

/* The call of @worker ends with @error before what it waits for has come. */
void give_up(struct model *m, int worker, long error)
{
	struct message *request = received_request(m, worker);
	int i;

	finish(m, worker, error, NULL);
	if (!request) {
		withdraw(m, worker);
		return;
	}
	/* It is with the server: what was received stays received. */
	request->sender = -1;
	for (i = 0; i < m->nowed; i++)
		if (&m->owed[i].msg == request)
			REMOVE(m->owed, m->nowed, i);
	if (broken(m, RECEIVED_REQUEST_IS_WITHDRAWN))
		m->sent--;
}

/* The call of @worker is made once more, as it was. */
static void again(struct model *m, int worker, unsigned int seq)
{
	struct step call = m->out[worker].call;

	m->out[worker].again = true;
	if (!broken(m, RESTARTED_CALL_KEEPS_ITS_PLACE))
		seq = 0;
	if (sends(&call))
		return model_send(m, &call, seq);
	if (call.op == FETCH)
		return model_fetch(m, &call);
	/* It has replied. */
	m->out[worker].restarted = m->out[worker].replied;
	if (broken(m, RESTARTED_RECEIVE_REPLIES_AGAIN) && m->out[worker].replied)
		return finish(m, worker, reply(m, &call), NULL);
	model_recv(m, &call, seq);
}

/* Whether a call stays as it is while its thread is away. */
static bool stays(struct model *m, int worker)
{
	if (received_request(m, worker))
		return !broken(m, RECEIVED_REQUEST_IS_SENT_AGAIN);
	return m->out[worker].call.op == CALL && !broken(m, QUEUED_REQUEST_IS_SENT_AGAIN);
}

/* A call with a request goes on; anything else begins anew. */
static void model_restart(struct model *m, int worker)
{
	struct message twice;
	unsigned int seq;

	if (stays(m, worker))
		return;
	/* So would its lifespan. */
	if (m->out[worker].call.lifespan && !broken(m, LIFESPAN_STARTS_AGAIN))
		return give_up(m, worker, -EINTR);
	if (received_request(m, worker))
		return again(m, worker, 0);
	if (broken(m, RESTARTED_SEND_IS_SENT_TWICE) && sends(&m->out[worker].call) && m->nstored) {
		twice = m->stored[m->nstored - 1];
		if (twice.sender == worker) {
			twice.sender = -1;
			store(m, &twice, false);
		}
	}
	seq = withdraw(m, worker);
	again(m, worker, seq);
}

static void model_stop(struct model *m, int worker)
{
	struct outcome *out = &m->out[worker];

	out->kept = received_request(m, worker) || stays(m, worker);
	if (!out->kept)
		withdraw(m, worker);
	out->stopped = true;
}

static void model_continue(struct model *m, int worker)
{
	struct outcome *out = &m->out[worker];

	out->stopped = false;
	if (!out->kept && out->call.lifespan && !broken(m, LIFESPAN_STARTS_AGAIN)) {
		finish(m, worker, -EINTR, NULL);
	} else if (!out->kept) {
		again(m, worker, 0);
	} else if (out->ready) {
		out->done = true;
		out->now = true;
		if (broken(m, STOPPED_CALL_LOSES_ITS_REPLY))
			out->ret = -EINTR;
	}
}

/* ---- a rival ------------------------------------------------------------- */

/* Whether a send of that worker that does not wait would fail with EAGAIN. */
static bool has_no_chance(const struct model *m, int worker)
{
	struct message msg = { .len = m->flags & MBOX_FIXED ? m->msg_max : 0 };

	return !m->dead && model_may(m, worker, SEND) && !no_receivers(m) &&
	       room_for(m, worker, 0, msg.len) == FULL && find_receiver(m, &msg) < 0;
}

static void model_capacity(struct model *m, const struct step *s);

/* Before and after; there is no visible state in between. */
bool never_has_a_chance(const struct model *m, const struct step *s)
{
	struct outcome out[NWORKERS];
	struct model after = *m;

	if (s->rival == s->worker || !m->out[s->rival].done || !has_no_chance(m, s->rival))
		return false;
	memcpy(out, m->out, sizeof(out));
	after.out = out;
	model_capacity(&after, s);
	return has_no_chance(&after, s->rival);
}

/* ---- steps --------------------------------------------------------------- */

/* Whoever has to do with a call that expires has done it when it is handed over. */
static bool none_is_late(const struct model *m)
{
	int i;

	for (i = 0; i < m->nreceivers; i++)
		if (m->receivers[i].call.bad || m->receivers[i].call.plain)
			return false;
	return !m->npeekers;
}

/* Whether leases come back one by one, which waiting peeks may see. */
static bool returns_several(const struct model *m, const struct step *s)
{
	int i, n = 0;

	for (i = 0; i < m->nleased; i++)
		n += m->leased[i].worker == s->worker;
	return s->op == CLOSE && n > 1;
}

/* Whether the deadline that goes on is that of a worker that is stopped. */
static bool is_stopped(const struct model *m)
{
	int i;

	for (i = 0; i < NWORKERS; i++)
		if (m->out[i].stopped && m->out[i].call.block_mode == LATER)
			return true;
	return false;
}

/* Whether @s is a step for a worker in this state. */
bool model_takes(const struct model *m, const struct step *s)
{
	bool waits = !m->out[s->worker].done, opens = s->op == OPEN;
	bool is_open = m->access[s->worker] >= 0;

	if (s->op == AGE)
		return has_mortal(m) && !is_stopped(m);
	/* Only one, because none shall end while another does. */
	if ((s->lifespan == SOON || s->block_mode == LATER) && has_mortal(m))
		return false;
	if (s->op == CONTINUE)
		return waits && m->out[s->worker].stopped;
	if (s->op == RELEASE)
		return waits && is_held(m, s->worker);
	if (interrupts(s))
		return waits && !m->out[s->worker].stopped && !is_held(m, s->worker);
	if (waits || is_open == opens || m->nstored == STORED_MAX)
		return false;
	/*
	 * A put-back happens some time after the rest of the step, so waiting
	 * peeks may or may not see what is there in between. The age of such a
	 * message is undefined.
	 */
	if (receives(s) && s->bad && !(m->flags & MBOX_BROADCAST) &&
	    (m->npeekers || m->flags & MBOX_DROP_OLDEST))
		return false;
	if (m->npeekers && returns_several(m, s))
		return false;
	/* Behind a put-back in front, arrival is no order any more. */
	if (receives(s) && s->bad && s->flags & MATCHING && m->leases)
		return false;
	/* What counts of a message that cannot be read is a matter of other tests. */
	if (sends(s) && s->bad && m->limit)
		return false;
	if (s->op == CAPACITY && s->rival != NO_RIVAL && !never_has_a_chance(m, s))
		return false;
	/* Which of two errors is reported is a matter of other tests. */
	if (sends(s) && s->bad && (s->block_mode != WAIT || m->flags & MBOX_HANGUP))
		return false;
	/* The executor sees only how many calls have ended, and a drop may end another one. */
	if (has_deadline(s) && m->flags & MBOX_DROP_OLDEST)
		return false;
	return !(s->block_mode == EXPIRES || has_deadline(s)) || none_is_late(m);
}

/* Carries out @s. */
void model_step(struct model *m, const struct step *s)
{
	switch (s->op) {
	case OPEN:
		model_open(m, s);
		break;
	case CLOSE:
		model_close(m, s->worker);
		break;
	case SEND:
		model_send(m, s, 0);
		break;
	case RECV:
		model_recv(m, s, 0);
		break;
	case CALL:
		model_send(m, s, 0);
		if (s->block_mode == EXPIRES && !m->out[s->worker].done)
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
		if (s->rival != NO_RIVAL)
			finish(m, s->rival, -EAGAIN, NULL);
		break;
	case DESTROY:
		model_destroy(m, s->worker);
		break;
	case START:
		model_send(m, s, 0);
		if (s->block_mode == EXPIRES && !m->out[s->worker].done)
			give_up(m, s->worker, -ETIMEDOUT);
		else if (has_deadline(s) && !m->out[s->worker].ret)
			expire_call(m, s->id);
		break;
	case FETCH:
		model_fetch(m, s);
		break;
	case CANCEL:
		model_cancel(m, s);
		break;
	case ACK:
	case NACK:
		model_end_lease(m, s);
		break;
	case EXPEL:
		model_expel(m, s);
		break;
	case CHOOSE:
		model_choose(m, s);
		break;
	case INTERRUPT:
		give_up(m, s->worker, -EINTR);
		break;
	case RESTART:
		model_restart(m, s->worker);
		break;
	case STOP:
		model_stop(m, s->worker);
		break;
	case CONTINUE:
		model_continue(m, s->worker);
		break;
	case RELEASE:
		model_release(m, s->worker);
		break;
	case AGE:
		model_age(m);
		break;
	}
	let_look(m);
}

/* A message that was sent again has the same descriptors as before. */
struct count {
	struct handles handles;
	bool seen[SEQUENCE_MAX];
};

static void count_files(const struct model *m, int id, __u32 files, struct count *n)
{
	int access;
	__u32 i;

	if (!files || n->seen[id])
		return;
	n->seen[id] = true;
	for (i = 0; i < files; i++) {
		access = access_of_file(id, i);
		if (broken(m, HANDLES_TRAVEL_WITH_ALL_RIGHTS))
			access = O_RDWR;
		n->handles.send += access != O_RDONLY;
		n->handles.recv += access != O_WRONLY;
	}
}

static void count_message(const struct model *m, const struct message *msg, struct count *n)
{
	if (broken(m, HANDLES_IN_MESSAGES_DO_NOT_COUNT))
		return;
	if (!msg->given_up || broken(m, GIVEN_UP_HANDLES_COUNT))
		count_files(m, msg->id, msg->files, n);
}

/* If all descriptors are handles: how many there are, in messages and of their senders. */
struct handles count_handles(const struct model *m)
{
	const struct outcome *out;
	struct count n = { 0 };
	int i;

	for (i = 0; i < NWORKERS; i++) {
		out = &m->out[i];
		if (!out->done && sends(&out->call))
			count_files(m, out->call.id, out->call.files, &n);
		/* The reply waits for its caller, which may not be able to read it. */
		if (out->stopped && out->ready && out->call.op == CALL &&
		    (out->ret >= 0 || out->ret == -EFAULT))
			count_message(m, &out->msg, &n);
	}
	for (i = 0; i < m->nstored; i++)
		count_message(m, &m->stored[i], &n);
	for (i = 0; i < m->nsenders; i++)
		count_message(m, &m->senders[i].msg, &n);
	for (i = 0; i < m->nheld; i++)
		count_message(m, &m->held[i].msg, &n);
	for (i = 0; i < m->nleased; i++)
		count_message(m, &m->leased[i].msg, &n);
	for (i = 0; i < m->letters.n; i++)
		count_message(m, &m->letters.list[i], &n);
	for (i = 0; i < m->ncalls; i++)
		count_message(m, &m->calls[i].reply, &n);
	return n.handles;
}

/* What stat shows of it, in the fields that change. */
void model_stat(const struct model *m, struct mbox_stat *st)
{
	int i;

	st->attr.capacity = m->capacity;
	st->queued = m->nstored;
	st->bytes = 0;
	st->waiting_senders = m->nsenders + m->nowed;
	for (i = 0; i < m->nstored; i++) {
		st->bytes += m->stored[i].len;
		st->waiting_senders += has_caller(m, &m->stored[i]);
	}
	for (i = 0; i < m->nheld; i++)
		st->waiting_senders += has_caller(m, &m->held[i].msg);
	st->waiting_receivers = m->nreceivers + m->npeekers;
	st->sent = m->sent;
	st->received = m->received;
	st->dropped = m->dropped;
	st->expired = m->expired;
	st->highest = broken(m, HIGHEST_IS_THE_PRESENT) ? m->nstored : m->highest;
	st->leased = m->nleased;
	st->redelivered = m->redelivered;
	st->dead_letters = m->dead_letters;
	st->send_handles = m->send_handles;
	st->recv_handles = m->recv_handles;
}
