// SPDX-License-Identifier: GPL-2.0-only
#include "model_calls.h"
#include "model_rules.h"

/* What a call returns that would wait and must not. */
long would_wait(const struct step *s)
{
	return s->block_mode == DONTWAIT ? -EAGAIN : -ETIMEDOUT;
}

/* Whether @call is what @s asks for, and has ended. */
static bool can_fetch(const struct step *s, const struct started *call)
{
	return call->worker == s->worker && call->ended &&
	       (s->request == NO_REQUEST || call->id == s->request);
}

/* Which call @s fetches, or -1. */
static int next_end(const struct model *m, const struct step *s)
{
	int i, first = -1;

	for (i = 0; i < m->ncalls; i++) {
		if (!can_fetch(s, &m->calls[i]))
			continue;
		if (first < 0 || m->calls[i].order < m->calls[first].order)
			first = i;
		if (broken(m, CALLS_END_AS_THEY_BEGAN))
			break;
	}
	return first;
}

/* Returns whether there was an end for @s. */
static bool fetch(struct model *m, const struct step *s)
{
	int i = next_end(m, s);
	struct started call;
	bool fetched;

	if (i < 0)
		return false;
	call = m->calls[i];
	if (call.ret > (long)s->len && !(s->flags & MBOX_TRUNC))
		finish(m, s->worker, -EMSGSIZE, NULL);
	else if (call.ret > 0 && s->bad && s->len)
		finish(m, s->worker, -EFAULT, NULL);
	else
		finish(m, s->worker, call.ret, &call.reply);
	fetched = m->out[s->worker].ret == call.ret;
	if (fetched && call.ret >= 0)
		take_files_of_reply(m, s, &call.reply);
	else if (!fetched && broken(m, UNFETCHED_REPLY_LOSES_FILES))
		m->calls[i].reply.files = 0;
	m->out[s->worker].fetched = fetched;
	m->out[s->worker].end_of = call.id;
	fetched &= !broken(m, FETCHED_CALL_STAYS);
	/* What could not be fetched is the first again. */
	if (fetched || broken(m, UNFETCHED_REPLY_IS_LOST))
		REMOVE(m->calls, m->ncalls, i);
	else
		m->calls[i].order = -++m->fronts;
	return true;
}

/* The call with that request, as long as it goes on, or NULL. */
static struct started *find_call(struct model *m, int id)
{
	int i;

	for (i = 0; i < m->ncalls; i++)
		if (m->calls[i].id == id && !m->calls[i].ended)
			return &m->calls[i];
	return NULL;
}

/* Whether the end of such a call has still to be told to the worker. */
static bool goes_on(const struct model *m, const struct step *s)
{
	int i;

	for (i = 0; i < m->ncalls; i++)
		if (m->calls[i].worker == s->worker &&
		    (s->request == NO_REQUEST || m->calls[i].id == s->request))
			return true;
	return false;
}

static int no_such_call(const struct model *m)
{
	return m->dead ? -EIDRM : -ESRCH;
}

/* Whether there is a caller, or a sender, for which it matters what becomes of @msg. */
bool has_caller(const struct model *m, const struct message *msg)
{
	return msg->sender >= 0 || (msg->started && find_call((struct model *)m, msg->id));
}

/* Tell the sender of @msg what has become of it, if it still waits. */
void end_call(struct model *m, const struct message *msg, long ret,
	      const struct message *reply)
{
	struct started *call = msg->started ? find_call(m, msg->id) : NULL;
	int worker;

	if (msg->sender >= 0) {
		finish(m, msg->sender, ret, reply);
		if (reply && ret >= 0)
			take_files_of_reply(m, &m->out[msg->sender].call, reply);
		return;
	}
	if (!call)
		return;
	worker = call->worker;
	call->ended = true;
	call->order = ++m->ends;
	call->ret = ret;
	if (reply)
		call->reply = *reply;
	if (m->fetching[worker] && fetch(m, &m->out[worker].call))
		m->fetching[worker] = false;
}

/* A request is accepted, and its call goes on without its worker. */
void begin_call(struct model *m, struct message *msg, int worker)
{
	struct started call = { .id = msg->id, .worker = worker, .timed = msg->timed };

	INSERT(m->calls, m->ncalls, m->ncalls, call);
	finish(m, worker, 0, NULL);
	msg->sender = -1;
}

/* The request of a call is withdrawn, or its server learns that nobody waits. */
static void withdraw_call(struct model *m, int id)
{
	int i;

	for (i = 0; i < m->nowed; i++)
		if (m->owed[i].msg.id == id) {
			REMOVE(m->owed, m->nowed, i);
			return;
		}
	for (i = 0; i < m->nsenders; i++)
		if (m->senders[i].msg.id == id) {
			REMOVE(m->senders, m->nsenders, i);
			return;
		}
	for (i = 0; i < m->nstored; i++)
		if (m->stored[i].id == id) {
			REMOVE(m->stored, m->nstored, i);
			m->sent--;
			if (!broken(m, LATE_REQUEST_KEEPS_ITS_PLACE))
				admit(m, STORED_MAX);
			return;
		}
}

static bool is_owed(const struct model *m, int id)
{
	int i;

	for (i = 0; i < m->nowed; i++)
		if (m->owed[i].msg.id == id)
			return true;
	return false;
}

/* The deadline of the call with that request has passed. */
void expire_call(struct model *m, int id)
{
	struct message msg = { .id = id, .sender = -1, .started = true };
	struct started *call = find_call(m, id);

	if (!call || broken(m, CALLS_HAVE_NO_DEADLINE))
		return;
	if (broken(m, LATE_CALL_IS_NOT_TOLD))
		REMOVE(m->calls, m->ncalls, call - m->calls);
	else
		end_call(m, &msg, -ETIMEDOUT, NULL);
	if (!broken(m, LATE_CALL_LEAVES_ITS_REQUEST) &&
	    !(broken(m, LATE_REPLY_SUCCEEDS) && is_owed(m, id)))
		withdraw_call(m, id);
}

static bool is_stored(const struct model *m, int id)
{
	int i;

	for (i = 0; i < m->nstored; i++)
		if (m->stored[i].id == id)
			return true;
	return false;
}

/* The worker with a call that goes on and whose deadline comes with AGE, or -1. */
int timed_worker(const struct model *m)
{
	int i;

	for (i = 0; i < m->ncalls; i++)
		if (m->calls[i].timed && !m->calls[i].ended)
			return m->calls[i].worker;
	return -1;
}

/* The deadline of a call that was started passes, wherever its request is. */
static void pass_started(struct model *m, struct started *call)
{
	call->timed = false;
	if (call->ended) {
		if (broken(m, REPLY_CAN_BE_LATE_AFTERWARDS))
			call->ret = -ETIMEDOUT;
		return;
	}
	if (broken(m, QUEUED_REQUEST_HAS_NO_DEADLINE) && is_stored(m, call->id))
		return;
	if (broken(m, RECEIVED_REQUEST_HAS_NO_DEADLINE) && is_owed(m, call->id))
		return;
	expire_call(m, call->id);
}

/* The one deadline that goes on passes. */
void pass_deadlines(struct model *m)
{
	struct outcome *out;
	int i;

	for (i = 0; i < NWORKERS; i++) {
		out = &m->out[i];
		if (out->done || out->call.block_mode != LATER)
			continue;
		if ((broken(m, WAITING_REQUEST_HAS_NO_DEADLINE) && out->call.op == START) ||
		    (broken(m, RESTARTED_CALL_HAS_NO_DEADLINE) && out->again))
			out->call.block_mode = WAIT;
		else
			give_up(m, i, -ETIMEDOUT);
	}
	for (i = 0; i < m->ncalls; i++)
		if (m->calls[i].timed) {
			pass_started(m, &m->calls[i]);
			break;
		}
}

void model_cancel(struct model *m, const struct step *s)
{
	struct started *call = find_call(m, s->request);
	int id = s->request;

	if (!model_may(m, s->worker, SEND))
		return finish(m, s->worker, -EBADF, NULL);
	if (m->flags & MBOX_BROADCAST)
		return finish(m, s->worker, -EOPNOTSUPP, NULL);
	if (!call || call->worker != s->worker)
		return finish(m, s->worker, goes_on(m, s) ? -ESRCH : no_such_call(m), NULL);
	finish(m, s->worker, 0, NULL);
	if (broken(m, CANCELLED_CALL_IS_TOLD)) {
		call->ended = true;
		call->ret = -EPIPE;
	} else {
		REMOVE(m->calls, m->ncalls, call - m->calls);
	}
	if (!broken(m, CANCELLED_REQUEST_STAYS))
		withdraw_call(m, id);
}

/* Those of a handle that is closed. */
void cancel_all(struct model *m, int worker)
{
	struct started call;
	int i;

	for (i = 0; i < m->ncalls;) {
		call = m->calls[i];
		if (call.worker != worker) {
			i++;
			continue;
		}
		REMOVE(m->calls, m->ncalls, i);
		if (!call.ended && !broken(m, CLOSED_CALLER_LEAVES_REQUESTS))
			withdraw_call(m, call.id);
	}
}

void model_fetch(struct model *m, const struct step *s)
{
	if (!model_may(m, s->worker, SEND))
		return finish(m, s->worker, -EBADF, NULL);
	if (m->flags & MBOX_BROADCAST)
		return finish(m, s->worker, -EOPNOTSUPP, NULL);
	if (fetch(m, s))
		return;
	if (s->request != NO_REQUEST && !goes_on(m, s))
		return finish(m, s->worker, no_such_call(m), NULL);
	if (m->dead)
		return finish(m, s->worker, -EIDRM, NULL);
	if (s->block_mode != WAIT)
		return finish(m, s->worker, would_wait(s), NULL);
	m->fetching[s->worker] = true;
}
