// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations that send requests, receive them, and reply.
 *
 * A request has a type of its own, if its operation wants that. So receivers can
 * tell whether it comes twice, or after its call has ended; and the caller knows
 * which replies were made to it.
 */
#include <signal.h>
#include <sys/ioctl.h>

#include "fuzz.h"

#define REQUEST_TYPE	0x7265710000000000ULL

static uint32_t next_event(void)
{
	return __atomic_add_fetch(&shared->events, 1, __ATOMIC_SEQ_CST);
}

/* ---- tokens ------------------------------------------------------------- */

static void token_found(uint64_t token)
{
	uint32_t n = __atomic_fetch_add(&shared->ntokens, 1, __ATOMIC_RELAXED);

	__atomic_store_n(&shared->tokens[n % ARRAY_SIZE(shared->tokens)], token,
			 __ATOMIC_RELAXED);
}

/* One of the last, mostly; also of other handles, and used ones. */
uint64_t pick_token(uint8_t b)
{
	uint32_t n = __atomic_load_n(&shared->ntokens, __ATOMIC_RELAXED);

	if (b >= 240)
		return pick64(b & 15);
	n -= 1 + (b & 3);
	return __atomic_load_n(&shared->tokens[n % ARRAY_SIZE(shared->tokens)],
			       __ATOMIC_RELAXED);
}

/* Which lengths replies to a token had; mailboxes have their own tokens. */
static uint64_t *lengths_of(uint64_t token)
{
	return &shared->lengths[token % ARRAY_SIZE(shared->lengths)];
}

void reply_length(uint64_t token, unsigned int len)
{
	__atomic_or_fetch(lengths_of(token), 1ULL << (len & 63), __ATOMIC_RELEASE);
}

/* ---- requests ----------------------------------------------------------- */

/* A request that is told apart; NULL when there are too many. */
static struct request *request_begin(bool refused)
{
	uint32_t n = __atomic_fetch_add(&shared->nrequests, 1,
					__ATOMIC_RELAXED);

	if (n >= ARRAY_SIZE(shared->requests))
		return NULL;
	shared->requests[n].refused = refused;
	return &shared->requests[n];
}

/* The call is over, and not left to its end in the kernel. */
static void request_end(struct request *r, long ret)
{
	uint64_t token = __atomic_load_n(&r->token, __ATOMIC_ACQUIRE);

	__atomic_store_n(&r->ended, next_event(), __ATOMIC_RELEASE);
	if (ret < 0 || !token || shared->wild)
		return;
	if (!(__atomic_load_n(lengths_of(token), __ATOMIC_ACQUIRE) &
	      1ULL << (ret & 63)))
		broken("a reply of %ld bytes that was not made to token %llu",
		       ret, (unsigned long long)token);
}

uint32_t request_receive_begins(void)
{
	return next_event();
}

/* It may come back, and have another token then: the reply is not compared. */
void request_leased(const struct mbox_msg *m)
{
	uint64_t n = m->type - REQUEST_TYPE;

	token_found(m->token);
	if (n < ARRAY_SIZE(shared->requests) && !shared->wild)
		__atomic_store_n(&shared->requests[n].token, 0, __ATOMIC_RELEASE);
}

void request_received(const struct mbox_msg *m, uint32_t began)
{
	uint64_t n = m->type - REQUEST_TYPE;
	struct request *r;
	uint32_t ended;

	if (!m->token)
		return;
	if (m->flags & MBOX_LEASE) {
		request_leased(m);
		return;
	}
	token_found(m->token);
	if (n >= ARRAY_SIZE(shared->requests) || shared->wild)
		return;
	r = &shared->requests[n];
	ended = __atomic_load_n(&r->ended, __ATOMIC_ACQUIRE);
	__atomic_store_n(&r->token, m->token, __ATOMIC_RELEASE);
	if (r->refused)
		broken("received a request that was made with a ticket");
	if (__atomic_fetch_add(&r->received, 1, __ATOMIC_RELAXED))
		broken("received a request twice");
	if (ended && ended < began)
		broken("received a request whose call had ended");
}

/* ---- calls -------------------------------------------------------------- */

/* A call whose number is not used any more may stay until its handle is closed. */
void call_begins(void)
{
	__atomic_add_fetch(&shared->calls_away, 1, __ATOMIC_RELAXED);
}

void call_ended(void)
{
	__atomic_sub_fetch(&shared->calls_away, 1, __ATOMIC_RELAXED);
}

static void note_ticket(struct worker *l, uint64_t ticket)
{
	uint32_t n;

	if (!ticket || ticket == l->ticket)
		return;
	l->ticket = ticket;
	n = __atomic_fetch_add(&shared->ntickets, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->tickets[n % ARRAY_SIZE(shared->tickets)],
			 ticket, __ATOMIC_RELAXED);
}

/*
 * Of a signal whose handler has SA_RESTART: the call goes on afterwards, unless
 * this does not return, or goes on with it in its place.
 */
void call_interrupted(struct worker *l)
{
	/* Where do_ioctl() puts it. */
	const struct mbox_request *r = (void *)l->arg;
	const struct timespec pause = { .tv_nsec = 1500000 };
	struct mbox_request copy = *r;
	int was = errno;

	note_ticket(l, copy.ticket);
	if (l->how_call & CALL_PAUSE)
		nanosleep(&pause, NULL);
	if (l->how_call & CALL_INSIDE && copy.ticket) {
		l->how_call = 0;
		copy.deadline_ns = pick_deadline(128, copy.flags & MBOX_REALTIME);
		copy.rep = (uintptr_t)l->recv;
		copy.rep_len = RECV_SIZE;
		l->inside = ioctl(l->call_fd, MBOX_IOC_CALL, &copy);
	}
	errno = was;
	if (l->how_call & CALL_LEAVE) {
		l->how_call = 0;
		siglongjmp(l->away, 1);
	}
}

static uint64_t pick_ticket(struct worker *l, uint8_t b)
{
	switch (b) {
	case 0 ... 95:
		return 0;
	case 96 ... 159:
		return l->ticket;
	case 160 ... 207:
		return 1 + (b & 7);
	case 208 ... 239:
		return __atomic_load_n(&shared->tickets[b & 7],
				       __ATOMIC_RELAXED);
	}
	return pick64(b & 31);
}

/* Returns CALL_LEFT when a handler has not come back from it. */
static long call_as_told(struct worker *l, const struct op *op, int fd,
			 struct mbox_request *r, unsigned int how)
{
	long ret;

	l->call_fd = fd;
	l->inside = -1;
	l->how_call = how;
	if (sigsetjmp(l->away, 1)) {
		__atomic_store_n(&l->calling, false, __ATOMIC_RELEASE);
		return CALL_LEFT;
	}
	__atomic_store_n(&l->calling, true, __ATOMIC_RELEASE);
	ret = do_ioctl(l, op, fd, MBOX_IOC_CALL, r, sizeof(*r));
	__atomic_store_n(&l->calling, false, __ATOMIC_RELEASE);
	l->how_call = 0;
	return ret;
}

/*
 * It was interrupted, and then came a handler that ended it, or the thread found
 * something else under that descriptor.
 */
static bool may_be_parked(const struct mbox_request *r, uint64_t given, long ret)
{
	if (!r->ticket || r->ticket == given)
		return false;
	return ret == -EINTR || ret == -EBADF || ret == -ENOTTY ||
	       ret == -EPERM || ret == -EOPNOTSUPP;
}

/* What a call has left in its argument, and whether it can have succeeded. */
static void check_ticket(struct worker *l, const struct mbox_request *r,
			 uint64_t given, long ret)
{
	if (may_be_parked(r, given, ret)) {
		note_ticket(l, r->ticket);
		l->left++;
	} else if (r->ticket && (ret >= 0 || r->ticket != given)) {
		broken("ticket %llu is left of a call that gave %ld",
		       (unsigned long long)r->ticket, ret);
	}
	if (ret >= 0 && given && !l->left)
		broken("a call with ticket %llu, which is not its thread's, gave %ld",
		       (unsigned long long)given, ret);
	if (ret >= 0 && l->inside >= 0)
		broken("one call gave %ld and %ld", l->inside, ret);
}

static long call(struct worker *l, const struct op *op, struct mbox_request *r,
		 bool named, unsigned int how, bool sure)
{
	struct request *request = NULL;
	uint64_t given = r->ticket;
	int fd = slot_fd(op->a[0]);
	long ret;

	/* With a ticket, nothing is sent. */
	if (named)
		request = request_begin(given);
	if (request)
		r->type = REQUEST_TYPE + (request - shared->requests);
	ret = call_as_told(l, op, fd, r, how);
	if (ret == CALL_LEFT) {
		l->left++;
		return -EINTR;
	}
	if (op->tweak && (ret >= 0 || ret == -EINTR))
		return ret;
	if (!op->tweak && !l->failing)
		check_ticket(l, r, given, ret);
	if (request && !given && !r->ticket && l->inside < 0)
		request_end(request, ret);
	if (op->tweak || ret < 0)
		return ret;
	if (ret > r->rep_len)
		broken("a reply of %ld bytes in %u", ret, r->rep_len);
	if (sure)
		check_payload((void *)(uintptr_t)r->rep, r->rep_len, ret);
	return ret;
}

long op_call(struct worker *l, const struct op *op)
{
	struct mbox_request r = {};
	bool sure;

	r.len = pick_len(op->a[1]);
	r.rep_len = pick_len(op->a[7]);
	r.buf = (uintptr_t)memory_source(l, op->a[5], r.len);
	r.rep = (uintptr_t)memory_target(l, op->a[2] >> 3, r.rep_len, &sure);
	if (op->a[2] & 4)
		r.flags |= MBOX_REALTIME;
	if (op->a[2] >= 0xf0)
		r.flags |= 1U << (op->a[3] & 31);
	r.prio = pick_prio(op->a[3]);
	r.type = pick_type(op->a[6]);
	r.deadline_ns = pick_deadline(op->a[4], op->a[2] & 4);
	return call(l, op, &r, false, 0, sure);
}

/* A call that is interrupted, or has a ticket, or both. */
long op_recall(struct worker *l, const struct op *op)
{
	struct mbox_request r = {};
	unsigned int how = op->a[2];
	bool sure;
	long ret;

	r.ticket = pick_ticket(l, op->a[1]);
	r.len = op->a[6] & 63;
	r.rep_len = op->a[7] < 128 ? RECV_SIZE : pick_len(op->a[7]);
	r.buf = (uintptr_t)memory_source(l, op->a[5], r.len);
	r.rep = (uintptr_t)memory_target(l, 0, r.rep_len, &sure);
	if (how & 4)
		r.flags |= MBOX_REALTIME;
	r.prio = how & 64 ? 3 : 0;
	r.deadline_ns = pick_deadline(op->a[4], how & 4);
	/* Time for a server to reply, and nothing that ends the call. */
	if (how & 128) {
		r.deadline_ns = now_ns(how & 4 ? CLOCK_REALTIME :
						 CLOCK_MONOTONIC) + 12000000;
		worker_tick(l, false);
	}
	if (how & 8)
		nudge(l, op->a[3]);
	ret = call(l, op, &r, true,
		   how & (CALL_LEAVE | CALL_INSIDE | CALL_PAUSE),
		   sure && r.rep_len <= RECV_SIZE);
	if (how & 128 && !l->child)
		worker_tick(l, true);
	return ret;
}

/* ---- replies ------------------------------------------------------------ */

static void fill_reply(struct worker *l, const struct op *op, unsigned int len,
		       struct mbox_reply *r)
{
	memset(r, 0, sizeof(*r));
	r->token = pick_token(op->a[7]);
	r->len = len;
	r->buf = (uintptr_t)memory_source(l, op->a[5], len);
	reply_length(r->token, len);
}

long op_reply(struct worker *l, const struct op *op)
{
	struct mbox_reply r;

	fill_reply(l, op, pick_len(op->a[1]), &r);
	if (op->a[2] >= 0xf0)
		r.reserved = pick32(op->a[3] & 31);
	return do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_REPLY, &r,
			sizeof(r));
}

long op_reply_recv(struct worker *l, const struct op *op)
{
	uint32_t began = request_receive_begins();
	struct mbox_reply_recv r = {};
	struct mbox_msg m, before, *next;
	long ret;

	fill_recv(l, op, &m);
	before = m;
	/* Short, mostly, so that it is not refused. */
	fill_reply(l, op, op->a[6] & 63, &r.reply);
	if (op->a[7] & 64)
		r.reply.token = 0;
	next = make_vec(l, &m, 1, sizeof(m));
	r.next = (uintptr_t)next;
	r.next_size = op->a[3] < 240 ? sizeof(m) : pick32(op->a[3] & 31);
	ret = do_ioctl(l, op, slot_fd(op->a[0]), MBOX_IOC_REPLY_RECV, &r,
		       sizeof(r));
	if (op->tweak || ret < 0 || r.next_size < sizeof(m))
		return ret;
	request_received(next, began);
	if (next->len != ret || next->flags != before.flags ||
	    (ret > before.len && !(before.flags & MBOX_TRUNC)))
		broken("reply and receive: %ld bytes, len %u", ret, next->len);
	return ret;
}
