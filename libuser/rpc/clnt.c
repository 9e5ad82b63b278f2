// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The client side. A call is one mbox_call() in a buffer of its own, so threads that
 * share a CLIENT do not wait for each other: the kernel brings each its own reply.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* xid, direction, version of RPC itself, program, version, procedure. */
#define HEADER_WORDS 6
/* Behind them: credentials and verifier, each a kind and a length. */
#define NONE_WORDS 4

#define NS_PER_S 1000000000

/**
 * struct client - behind cl_private
 * @mb: the handle
 * @close: the client owns it
 * @msg_max: length of the longest message
 * @id: no other client of the process has it
 * @none: the credentials that are none; they never change
 * @credentials: lock of the credentials. Recursive: some kinds of credentials make calls on
 *	the client to refresh themselves
 * @lock: of all that follows; nothing is called under it
 * @prog: the program
 * @vers: its version
 * @xid: of the last call
 * @timeout: of each call, if @timeout_set
 * @buffers: of calls that have ended
 * @err: how the last call ended
 */
struct client {
	struct mbox *mb;
	bool close;
	uint32_t msg_max;
	unsigned long id;
	AUTH *none;
	pthread_mutex_t credentials;
	pthread_mutex_t lock;
	uint32_t prog;
	uint32_t vers;
	uint32_t xid;
	struct timeval timeout;
	bool timeout_set;
	struct buffer *buffers;
	struct rpc_err err;
};

static unsigned long last_id;

/* How the last call of this thread ended, and on which client. */
static __thread struct {
	unsigned long id;
	struct rpc_err err;
} last_call;

uint32_t rpc_msg_max(struct mbox *mb, uint32_t *flags)
{
	struct mbox_stat st;

	if (mbox_stat(mb, &st) < 0)
		return 0;
	if (st.attr.mode != MBOX_QUEUE) {
		errno = EOPNOTSUPP;
		return 0;
	}
	*flags = st.attr.flags;

	return st.attr.msg_max;
}

uint64_t rpc_deadline(const struct timeval *timeout)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (now.tv_sec + (uint64_t)timeout->tv_sec) * NS_PER_S + now.tv_nsec +
	       (uint64_t)timeout->tv_usec * 1000;
}

struct mbox *rpc_mailbox(CLIENT *cl)
{
	struct client *c = cl->cl_private;

	return c->mb;
}

/* As the other transports judge. */
static bool time_is_valid(const struct timeval *t)
{
	return t->tv_sec >= 0 && t->tv_sec <= 100000000 && t->tv_usec >= 0 &&
	       t->tv_usec <= 1000000;
}

bool rpc_begin(CLIENT *cl, struct attempt *a, struct timeval timeout)
{
	struct client *c = cl->cl_private;

	memset(&a->err, 0, sizeof(a->err));
	a->client = c;
	a->size = c->msg_max;

	pthread_mutex_lock(&c->lock);
	a->xid = ++c->xid;
	a->prog = c->prog;
	a->vers = c->vers;
	a->timeout = c->timeout_set ? c->timeout : timeout;
	a->buffer = c->buffers;
	if (a->buffer)
		c->buffers = a->buffer->next;
	pthread_mutex_unlock(&c->lock);

	if (!a->buffer)
		a->buffer = malloc(sizeof(*a->buffer) + a->size);
	if (!a->buffer) {
		a->err.re_status = RPC_SYSTEMERROR;
		a->err.re_errno = ENOMEM;
		return false;
	}
	if (!time_is_valid(&a->timeout)) {
		a->err.re_status = RPC_SYSTEMERROR;
		a->err.re_errno = EINVAL;
		return false;
	}

	return true;
}

enum clnt_stat rpc_end(struct attempt *a)
{
	struct client *c = a->client;

	last_call.id = c->id;
	last_call.err = a->err;

	pthread_mutex_lock(&c->lock);
	c->err = a->err;
	if (a->buffer) {
		a->buffer->next = c->buffers;
		c->buffers = a->buffer;
	}
	pthread_mutex_unlock(&c->lock);

	return a->err.re_status;
}

/*
 * Some kinds of credentials change with each call, and none has a lock of its own. What they
 * say of their kind is no guide: a reply can change that.
 */
static bool lock_credentials(CLIENT *cl)
{
	struct client *c = cl->cl_private;

	if (cl->cl_auth == c->none)
		return false;
	pthread_mutex_lock(&c->credentials);

	return true;
}

static void unlock_credentials(CLIENT *cl, bool locked)
{
	struct client *c = cl->cl_private;

	if (locked)
		pthread_mutex_unlock(&c->credentials);
}

uint32_t rpc_encode(CLIENT *cl, struct attempt *a, rpcproc_t proc, xdrproc_t xargs, void *args)
{
	struct client *c = cl->cl_private;
	bool none = cl->cl_auth == c->none;
	int words = HEADER_WORDS + (none ? NONE_WORDS : 0);
	int32_t *head;
	bool locked, ok;
	XDR xdrs;

	if (!xargs)
		xargs = (xdrproc_t)xdr_void;
	xdrmem_create(&xdrs, a->buffer->data, a->size, XDR_ENCODE);
	head = XDR_INLINE(&xdrs, words * BYTES_PER_XDR_UNIT);
	if (!head)
		goto error;
	IXDR_PUT_U_INT32(head, a->xid);
	IXDR_PUT_ENUM(head, CALL);
	IXDR_PUT_U_INT32(head, RPC_MSG_VERSION);
	IXDR_PUT_U_INT32(head, a->prog);
	IXDR_PUT_U_INT32(head, a->vers);
	IXDR_PUT_U_INT32(head, proc);

	if (none) {
		/* What libtirpc makes of none, which would take longer. */
		memset(head, 0, NONE_WORDS * BYTES_PER_XDR_UNIT);
		ok = (*xargs)(&xdrs, args);
	} else {
		locked = lock_credentials(cl);
		ok = AUTH_MARSHALL(cl->cl_auth, &xdrs) &&
		     AUTH_WRAP(cl->cl_auth, &xdrs, xargs, args);
		unlock_credentials(cl, locked);
	}
	if (ok)
		return XDR_GETPOS(&xdrs);
error:
	a->err.re_status = RPC_CANTENCODEARGS;
	return 0;
}

/*
 * Whether the reply is the usual one, whose results follow at @xdrs; @verf is its verifier.
 * Otherwise @xdrs is at its begin, and libtirpc's decoder for all kinds is to look at it.
 */
static bool is_usual(const struct attempt *a, XDR *xdrs, struct opaque_auth *verf)
{
	int32_t *head = XDR_INLINE(xdrs, REPLY_WORDS * BYTES_PER_XDR_UNIT);
	bool usual;

	if (!head)
		return false;
	usual = IXDR_GET_U_INT32(head) == a->xid;
	usual &= IXDR_GET_U_INT32(head) == REPLY;
	usual &= IXDR_GET_U_INT32(head) == MSG_ACCEPTED;
	verf->oa_flavor = IXDR_GET_INT32(head);
	usual &= IXDR_GET_U_INT32(head) == 0;
	usual &= IXDR_GET_U_INT32(head) == SUCCESS;
	verf->oa_length = 0;
	if (!usual)
		XDR_SETPOS(xdrs, 0);

	return usual;
}

/* Decode a reply that is not the usual one into @a->err and @reply. */
static void decode_any(struct attempt *a, XDR *xdrs, struct rpc_msg *reply, char *verf)
{
	/* Not in memory that the decoder allocates. */
	memset(reply, 0, sizeof(*reply));
	reply->acpted_rply.ar_verf.oa_base = verf;
	reply->acpted_rply.ar_results.proc = (xdrproc_t)xdr_void;

	if (xdr_replymsg(xdrs, reply) && reply->rm_xid == a->xid)
		_seterr_reply(reply, &a->err);
	else
		a->err.re_status = RPC_CANTDECODERES;
}

bool rpc_decode(CLIENT *cl, struct attempt *a, size_t len, xdrproc_t xres, void *res)
{
	char verf[MAX_AUTH_BYTES];
	bool locked, again = false;
	struct rpc_msg reply;
	XDR xdrs;

	if (!xres)
		xres = (xdrproc_t)xdr_void;
	xdrmem_create(&xdrs, a->buffer->data, len, XDR_DECODE);
	reply.acpted_rply.ar_verf.oa_base = verf;
	if (is_usual(a, &xdrs, &reply.acpted_rply.ar_verf))
		a->err.re_status = RPC_SUCCESS;
	else
		decode_any(a, &xdrs, &reply, verf);
	if (a->err.re_status != RPC_SUCCESS && a->err.re_status != RPC_AUTHERROR)
		return false;

	locked = lock_credentials(cl);
	if (a->err.re_status == RPC_AUTHERROR) {
		again = AUTH_REFRESH(cl->cl_auth, &reply);
	} else if (!AUTH_VALIDATE(cl->cl_auth, &reply.acpted_rply.ar_verf)) {
		a->err.re_status = RPC_AUTHERROR;
		a->err.re_why = AUTH_INVALIDRESP;
	} else if (!AUTH_UNWRAP(cl->cl_auth, &xdrs, xres, res)) {
		a->err.re_status = RPC_CANTDECODERES;
	}
	unlock_credentials(cl, locked);

	return again;
}

/* What a failed call of libmbox is to a caller of clnt_call(). */
static void set_error(struct rpc_err *err)
{
	err->re_errno = errno;
	switch (errno) {
	case ETIMEDOUT:
		err->re_status = RPC_TIMEDOUT;
		break;
	case EINTR:
		err->re_status = RPC_INTR;
		break;
	/* Whoever had the request or could take it is gone. */
	case EPIPE:
	case EIDRM:
		err->re_status = RPC_CANTRECV;
		break;
	/* The request fits: its buffer has that size. */
	case EMSGSIZE:
		err->re_status = RPC_CANTDECODERES;
		break;
	default:
		err->re_status = RPC_CANTSEND;
	}
}

/* A request that there is no reply to, as on TCP with a time-out of zero. */
static void send_only(struct attempt *a, uint32_t len, xdrproc_t xres)
{
	if (mbox_send(a->client->mb, a->buffer->data, len, 0) < 0) {
		set_error(&a->err);
		if (a->err.re_status == RPC_CANTRECV)
			a->err.re_status = RPC_CANTSEND;
		return;
	}
	a->err.re_status = xres ? RPC_TIMEDOUT : RPC_SUCCESS;
}

static enum clnt_stat clnt_mbox_call(CLIENT *cl, rpcproc_t proc, xdrproc_t xargs, void *args,
				     xdrproc_t xres, void *res, struct timeval timeout)
{
	int refreshes = 2;
	struct attempt a;
	struct timespec deadline;
	uint64_t deadline_ns;
	uint32_t len;
	ssize_t got;

	if (!rpc_begin(cl, &a, timeout))
		return rpc_end(&a);
	if (!a.timeout.tv_sec && !a.timeout.tv_usec) {
		len = rpc_encode(cl, &a, proc, xargs, args);
		if (len)
			send_only(&a, len, xres);
		return rpc_end(&a);
	}

	deadline_ns = rpc_deadline(&a.timeout);
	deadline.tv_sec = deadline_ns / NS_PER_S;
	deadline.tv_nsec = deadline_ns % NS_PER_S;
	do {
		len = rpc_encode(cl, &a, proc, xargs, args);
		if (!len)
			break;
		got = mbox_call(a.client->mb, a.buffer->data, len, a.buffer->data, a.size,
				&deadline);
		if (got < 0) {
			set_error(&a.err);
			break;
		}
	} while (rpc_decode(cl, &a, got, xres, res) && refreshes--);

	return rpc_end(&a);
}

/* There is nothing of a call but in the thread that makes it. */
static void clnt_mbox_abort(CLIENT *cl)
{
	(void)cl;
}

static void clnt_mbox_geterr(CLIENT *cl, struct rpc_err *err)
{
	struct client *c = cl->cl_private;

	if (last_call.id == c->id) {
		*err = last_call.err;
		return;
	}
	pthread_mutex_lock(&c->lock);
	*err = c->err;
	pthread_mutex_unlock(&c->lock);
}

static bool_t clnt_mbox_freeres(CLIENT *cl, xdrproc_t xres, void *res)
{
	XDR xdrs = { .x_op = XDR_FREE };

	(void)cl;

	return (*xres)(&xdrs, res);
}

static bool_t clnt_mbox_control(CLIENT *cl, u_int request, void *info)
{
	struct client *c = cl->cl_private;
	bool_t ret = TRUE;

	if (!info && request != CLSET_FD_CLOSE && request != CLSET_FD_NCLOSE)
		return FALSE;

	pthread_mutex_lock(&c->lock);
	switch (request) {
	case CLSET_FD_CLOSE:
		c->close = true;
		break;
	case CLSET_FD_NCLOSE:
		c->close = false;
		break;
	case CLSET_TIMEOUT:
		ret = time_is_valid(info);
		if (ret) {
			c->timeout = *(struct timeval *)info;
			c->timeout_set = true;
		}
		break;
	case CLGET_TIMEOUT:
		*(struct timeval *)info = c->timeout;
		break;
	case CLGET_FD:
		*(int *)info = mbox_fd(c->mb);
		break;
	/* Of the last call, and of the next. */
	case CLGET_XID:
		*(uint32_t *)info = c->xid;
		break;
	case CLSET_XID:
		c->xid = *(uint32_t *)info - 1;
		break;
	case CLGET_VERS:
		*(uint32_t *)info = c->vers;
		break;
	case CLSET_VERS:
		c->vers = *(uint32_t *)info;
		break;
	case CLGET_PROG:
		*(uint32_t *)info = c->prog;
		break;
	case CLSET_PROG:
		c->prog = *(uint32_t *)info;
		break;
	/* No address, and nothing is sent twice. */
	default:
		ret = FALSE;
	}
	pthread_mutex_unlock(&c->lock);

	return ret;
}

static void clnt_mbox_destroy(CLIENT *cl)
{
	struct client *c = cl->cl_private;
	struct buffer *b;

	while (c->buffers) {
		b = c->buffers;
		c->buffers = b->next;
		free(b);
	}
	if (c->close)
		mbox_close(c->mb);
	pthread_mutex_destroy(&c->credentials);
	pthread_mutex_destroy(&c->lock);
	free(c);
	/* A caller may have set them, as for the other transports. */
	free(cl->cl_netid);
	free(cl->cl_tp);
	free(cl);
}

static struct clnt_ops clnt_mbox_ops = {
	.cl_call = clnt_mbox_call,
	.cl_abort = clnt_mbox_abort,
	.cl_geterr = clnt_mbox_geterr,
	.cl_freeres = clnt_mbox_freeres,
	.cl_destroy = clnt_mbox_destroy,
	.cl_control = clnt_mbox_control,
};

static CLIENT *create_failed(void)
{
	rpc_createerr.cf_stat = RPC_SYSTEMERROR;
	rpc_createerr.cf_error.re_errno = errno;

	return NULL;
}

MBOX_API CLIENT *clnt_mbox_create_handle(struct mbox *mb, rpcprog_t prog, rpcvers_t vers)
{
	pthread_mutexattr_t recursive;
	uint32_t msg_max, flags;
	struct client *c;
	CLIENT *cl;

	msg_max = rpc_msg_max(mb, &flags);
	if (!msg_max)
		return create_failed();

	c = calloc(1, sizeof(*c));
	cl = calloc(1, sizeof(*cl));
	if (!c || !cl) {
		free(c);
		free(cl);
		errno = ENOMEM;
		return create_failed();
	}

	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&c->credentials, &recursive);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutexattr_destroy(&recursive);
	c->mb = mb;
	c->msg_max = msg_max;
	c->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	c->prog = prog;
	c->vers = vers;
	cl->cl_ops = &clnt_mbox_ops;
	cl->cl_private = c;
	c->none = authnone_create();
	cl->cl_auth = c->none;

	return cl;
}

MBOX_API CLIENT *clnt_mbox_create(const char *name, rpcprog_t prog, rpcvers_t vers)
{
	struct mbox *mb;
	CLIENT *cl;

	mb = mbox_open(name, O_WRONLY);
	if (!mb)
		return create_failed();
	cl = clnt_mbox_create_handle(mb, prog, vers);
	if (!cl) {
		mbox_close(mb);
		return NULL;
	}
	CLNT_CONTROL(cl, CLSET_FD_CLOSE, NULL);

	return cl;
}
