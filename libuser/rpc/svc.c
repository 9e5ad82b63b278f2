// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The server side: a transport of libtirpc's whose descriptor is that of a mailbox, so that
 * svc_run(), or any loop of the program's that asks for svc_pollfd, serves it beside
 * sockets. All requests of a mailbox come through the one transport. The reply goes to the
 * caller by the token of its request, and there is none for a message without a token.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The header of libtirpc for what its services keep beside a transport. */
#include <rpc/rpc.h>
#include <rpc/svc_mt.h>

#include "internal.h"

/* Of a mailbox that svc_mbox_create() makes. */
#define REQUESTS 64
#define SIZE_MAX_OF_REQUEST 65536

/* A call has at least these: xid, direction, version of RPC. */
#define FIRST_WORDS 3

/**
 * struct service - behind xp_p2
 * @xprt: the transport
 * @ext: what libtirpc keeps beside it
 * @mb: the handle
 * @broadcast: requests come with a mailbox for the reply
 * @dead: the mailbox has ended, or the program has ended the transport
 * @busy: how many svc_getreq_common() are between svc_mbox_recv() and svc_mbox_stat(); more
 *	than one, if a procedure serves other requests
 * @asked: svc_getreq_common() has called svc_mbox_recv()
 * @ended: svc_mbox_run() learns there that the transport has ended; NULL: that does not run
 * @owed: token of a reply in the buffer that the next receive takes along; 0: there is none
 * @owed_len: its length
 * @buffer: the request, and then the reply in its place
 * @size: bytes in it
 * @xdrs: what is at the buffer
 * @xid: the transaction of the present request
 * @token: whom its reply goes to; 0: there is none, or it was sent
 * @answer: a mailbox for the reply, or NULL
 * @peer: who has sent it
 * @cred: its credentials
 * @verf: room for the verifier of the reply
 * @host: the name of this machine
 * @address: that of every peer: it is on this machine
 */
struct service {
	SVCXPRT xprt;
	SVCXPRT_EXT ext;
	struct mbox *mb;
	bool broadcast;
	bool dead;
	unsigned int busy;
	bool asked;
	bool *ended;
	uint64_t owed;
	uint32_t owed_len;
	char *buffer;
	uint32_t size;
	XDR xdrs;
	uint32_t xid;
	uint64_t token;
	struct mbox *answer;
	struct mbox_rpc_peer peer;
	char cred[MAX_AUTH_BYTES];
	char verf[MAX_AUTH_BYTES];
	char host[MAX_MACHINE_NAME + 1];
	struct sockaddr_un address;
};

static void drop_answer(struct service *s)
{
	mbox_close(s->answer);
	s->answer = NULL;
}

/* Whether a receive is that of svc_mbox_run(), and not one of a procedure that it called. */
static bool is_loop(const struct service *s)
{
	return s->ended && s->busy == 1;
}

/* Send a reply that is owed. Where that was done, the kernel refuses it. */
static void send_owed(struct service *s)
{
	if (s->owed)
		mbox_reply(s->mb, s->owed, s->buffer, s->owed_len);
	s->owed = 0;
}

/* The reply to a broadcast does not wait for the client, which may be hostile. */
static int send_reply(struct service *s, uint32_t len)
{
	int ret;

	if (!s->answer && is_loop(s)) {
		s->owed = s->token;
		s->owed_len = len;
		return 0;
	}
	if (!s->answer)
		return mbox_reply(s->mb, s->token, s->buffer, len);
	ret = mbox_send(s->answer, s->buffer, len, MBOX_DONTWAIT);
	drop_answer(s);

	return ret;
}

/* A message that is no call of version 2 of RPC. Its caller is not left waiting. */
static void refuse(struct service *s, uint32_t len)
{
	struct rpc_msg reply = {
		.rm_direction = REPLY,
		.rm_reply = {
			.rp_stat = MSG_DENIED,
			.rp_rjct = {
				.rj_stat = RPC_MISMATCH,
				.rj_vers = { RPC_MSG_VERSION, RPC_MSG_VERSION },
			},
		},
	};
	uint32_t version = RPC_MSG_VERSION;
	int32_t *head;
	XDR xdrs;

	if (!s->token)
		return;
	xdrmem_create(&xdrs, s->buffer, len, XDR_DECODE);
	head = XDR_INLINE(&xdrs, FIRST_WORDS * BYTES_PER_XDR_UNIT);
	if (head) {
		reply.rm_xid = IXDR_GET_U_INT32(head);
		if (IXDR_GET_ENUM(head, enum msg_type) == CALL)
			version = IXDR_GET_U_INT32(head);
	}
	len = 0;
	if (version != RPC_MSG_VERSION) {
		xdrmem_create(&xdrs, s->buffer, s->size, XDR_ENCODE);
		if (xdr_replymsg(&xdrs, &reply))
			len = XDR_GETPOS(&xdrs);
	}
	/* An empty one is no reply that a client of RPC could take for a result. */
	send_reply(s, len);
	s->token = 0;
}

/*
 * What the caller claims to be is replaced by what the kernel says of it. The kernel does
 * not tell the other groups.
 */
static bool set_credentials(struct service *s, struct opaque_auth *cred)
{
	struct authunix_parms parms = {
		.aup_machname = s->host,
		.aup_uid = s->peer.uid,
		.aup_gid = s->peer.gid,
	};
	XDR xdrs;

	xdrmem_create(&xdrs, s->cred, sizeof(s->cred), XDR_ENCODE);
	if (!xdr_authunix_parms(&xdrs, &parms))
		return false;
	cred->oa_base = s->cred;
	cred->oa_length = XDR_GETPOS(&xdrs);

	return true;
}

/*
 * Whether @mb is such as clnt_mbox_broadcast() makes, and the client's own: or else a client
 * could make the server send, in its name, to mailboxes of others.
 */
static bool is_for_replies(const struct service *s, struct mbox *mb)
{
	const uint32_t flags = MBOX_LEAF | MBOX_HANGUP;
	struct mbox_stat st;

	return mbox_stat(mb, &st) == 0 && st.attr.mode == MBOX_QUEUE &&
	       (st.attr.flags & flags) == flags && st.uid == s->peer.uid;
}

/* Take @fd, which came with a broadcast: where the reply goes, if it is for that. */
static void take_answer(struct service *s, int fd)
{
	s->answer = mbox_from_fd(fd);
	if (!s->answer)
		close(fd);
	else if (!is_for_replies(s, s->answer))
		drop_answer(s);
}

static void await_request(const struct service *s)
{
	struct pollfd pfd = { .fd = mbox_fd(s->mb), .events = POLLIN };

	poll(&pfd, 1, -1);
}

/* Receive into the buffer of @s. Returns the length, or -1 and errno. */
static ssize_t receive(struct service *s)
{
	bool with_fd = s->broadcast;
	struct mbox_msg msg;
	ssize_t len;
	int fd = -1;

	drop_answer(s);
	s->token = 0;
	if (!is_loop(s))
		send_owed(s);
	for (;;) {
		msg = (struct mbox_msg)MBOX_MSG_INIT(s->buffer, s->size);
		if (!is_loop(s))
			msg.flags = MBOX_DONTWAIT;
		if (with_fd) {
			msg.fds = MBOX_PTR(&fd);
			msg.nfds = 1;
		}
		if (s->owed)
			len = mbox_reply_recv(s->mb, s->owed, s->buffer, s->owed_len, &msg);
		else
			len = mbox_recvmsg(s->mb, &msg);
		if (len >= 0)
			break;
		/* One of the two failed, and perhaps it was the reply. */
		if (s->owed) {
			send_owed(s);
			continue;
		}
		/* Served without an answer: otherwise poll(2) would report it for ever. */
		if (with_fd && (errno == EMFILE || errno == ENFILE))
			with_fd = false;
		/* The handle has O_NONBLOCK. */
		else if (errno == EAGAIN && is_loop(s))
			await_request(s);
		else if (errno != EINTR)
			return -1;
	}

	s->owed = 0;
	s->token = msg.token;
	s->peer.pid = msg.pid;
	s->peer.uid = msg.uid;
	s->peer.gid = msg.gid;
	if (with_fd && msg.nfds)
		take_answer(s, fd);

	return len;
}

static bool_t svc_mbox_recv(SVCXPRT *xprt, struct rpc_msg *msg)
{
	struct service *s = xprt->xp_p2;
	ssize_t len;

	s->busy++;
	s->asked = true;
	len = receive(s);
	if (len < 0) {
		/* All but what the next attempt may not meet. */
		if (errno != EAGAIN && errno != ENOMEM)
			s->dead = true;
		return FALSE;
	}

	/*
	 * The caller's areas may be smaller than those of svc_getreq_common(), and a reply that
	 * is made later can have the verifier of the request.
	 */
	msg->rm_call.cb_cred.oa_base = s->cred;
	msg->rm_call.cb_verf.oa_base = s->verf;
	xdrmem_create(&s->xdrs, s->buffer, len, XDR_DECODE);
	if (!xdr_callmsg(&s->xdrs, msg) ||
	    (msg->rm_call.cb_cred.oa_flavor == AUTH_SYS &&
	     !set_credentials(s, &msg->rm_call.cb_cred))) {
		refuse(s, len);
		return FALSE;
	}
	s->xid = msg->rm_xid;

	return TRUE;
}

/* Asked after each request: a broadcast that was not answered until now will never be. */
static enum xprt_stat svc_mbox_stat(SVCXPRT *xprt)
{
	struct service *s = xprt->xp_p2;

	drop_answer(s);
	if (s->busy)
		s->busy--;

	return s->dead ? XPRT_DIED : XPRT_IDLE;
}

static bool_t svc_mbox_getargs(SVCXPRT *xprt, xdrproc_t xargs, void *args)
{
	struct service *s = xprt->xp_p2;

	return SVCAUTH_UNWRAP(&SVC_XP_AUTH(xprt), &s->xdrs, xargs, args);
}

static bool_t svc_mbox_freeargs(SVCXPRT *xprt, xdrproc_t xargs, void *args)
{
	XDR xdrs = { .x_op = XDR_FREE };

	(void)xprt;

	return (*xargs)(&xdrs, args);
}

/* What is before the results of the usual reply: without a verifier, as xdr_replymsg() does. */
static bool encode_usual(XDR *xdrs, struct rpc_msg *msg)
{
	const struct opaque_auth *verf = &msg->acpted_rply.ar_verf;
	int32_t *head;

	if (verf->oa_length)
		return xdr_replymsg(xdrs, msg);
	head = XDR_INLINE(xdrs, REPLY_WORDS * BYTES_PER_XDR_UNIT);
	if (!head)
		return false;
	IXDR_PUT_U_INT32(head, msg->rm_xid);
	IXDR_PUT_U_INT32(head, REPLY);
	IXDR_PUT_U_INT32(head, MSG_ACCEPTED);
	IXDR_PUT_INT32(head, verf->oa_flavor);
	IXDR_PUT_U_INT32(head, 0);
	IXDR_PUT_U_INT32(head, SUCCESS);

	return true;
}

static bool_t svc_mbox_reply(SVCXPRT *xprt, struct rpc_msg *msg)
{
	struct service *s = xprt->xp_p2;
	xdrproc_t xres = NULL;
	void *res = NULL;
	XDR xdrs;

	/* There is no caller that waits. */
	if (!s->token && !s->answer)
		return TRUE;

	if (msg->rm_reply.rp_stat == MSG_ACCEPTED && msg->acpted_rply.ar_stat == SUCCESS) {
		xres = msg->acpted_rply.ar_results.proc;
		res = msg->acpted_rply.ar_results.where;
		msg->acpted_rply.ar_results.proc = (xdrproc_t)xdr_void;
		msg->acpted_rply.ar_results.where = NULL;
	}
	msg->rm_xid = s->xid;
	xdrmem_create(&xdrs, s->buffer, s->size, XDR_ENCODE);
	if (!(xres ? encode_usual(&xdrs, msg) : xdr_replymsg(&xdrs, msg)) ||
	    (xres && !SVCAUTH_WRAP(&SVC_XP_AUTH(xprt), &xdrs, xres, res)))
		return FALSE;
	if (send_reply(s, XDR_GETPOS(&xdrs)) < 0)
		return FALSE;
	s->token = 0;

	return TRUE;
}

/*
 * libtirpc uses the transport once more when a procedure has returned, and destroys it when
 * it is told then that it is dead.
 */
static void svc_mbox_destroy(SVCXPRT *xprt)
{
	struct service *s = xprt->xp_p2;

	if (s->busy) {
		s->dead = true;
		return;
	}
	if (s->ended)
		*s->ended = true;
	send_owed(s);
	xprt_unregister(xprt);
	drop_answer(s);
	mbox_close(s->mb);
	free(xprt->xp_netid);
	free(xprt->xp_tp);
	free(s->buffer);
	free(s);
}

static bool_t svc_mbox_control(SVCXPRT *xprt, const u_int request, void *info)
{
	(void)xprt;
	(void)request;
	(void)info;

	return FALSE;
}

static const struct xp_ops svc_mbox_ops = {
	.xp_recv = svc_mbox_recv,
	.xp_stat = svc_mbox_stat,
	.xp_getargs = svc_mbox_getargs,
	.xp_reply = svc_mbox_reply,
	.xp_freeargs = svc_mbox_freeargs,
	.xp_destroy = svc_mbox_destroy,
};

static const struct xp_ops2 svc_mbox_ops2 = {
	.xp_control = svc_mbox_control,
};

MBOX_API SVCXPRT *svc_mbox_create_handle(struct mbox *mb)
{
	struct utsname names;
	uint32_t size, flags;
	struct service *s;
	SVCXPRT *xprt;

	size = rpc_msg_max(mb, &flags);
	if (!size)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->buffer = malloc(size);
	if (!s->buffer) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	s->size = size;
	s->mb = mb;
	s->broadcast = flags & MBOX_BROADCAST;
	if (uname(&names) == 0)
		memcpy(s->host, names.nodename, strlen(names.nodename));
	s->address.sun_family = AF_UNIX;

	xprt = &s->xprt;
	xprt->xp_fd = mbox_fd(mb);
	xprt->xp_ops = &svc_mbox_ops;
	xprt->xp_ops2 = &svc_mbox_ops2;
	xprt->xp_p2 = s;
	xprt->xp_p3 = &s->ext;
	xprt->xp_verf.oa_base = s->verf;
	xprt->xp_rtaddr.buf = &s->address;
	xprt->xp_rtaddr.len = sizeof(s->address.sun_family);
	xprt->xp_rtaddr.maxlen = sizeof(s->address);
	xprt->xp_ltaddr = xprt->xp_rtaddr;
	xprt_register(xprt);

	return xprt;
}

MBOX_API SVCXPRT *svc_mbox_create(const char *name, mode_t perm)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;
	SVCXPRT *xprt;
	int saved;

	/*
	 * The death of the last server ends all calls that wait. The handle can send, too: so
	 * the end of the last client is none for the server.
	 */
	attr.flags = MBOX_HANGUP;
	attr.capacity = REQUESTS;
	attr.msg_max = SIZE_MAX_OF_REQUEST;
	attr.perm = perm;
	mb = mbox_create(name, O_RDWR, &attr);
	if (!mb)
		return NULL;
	xprt = svc_mbox_create_handle(mb);
	if (!xprt) {
		saved = errno;
		mbox_close(mb);
		errno = saved;
	}

	return xprt;
}

MBOX_API bool_t svc_mbox_peer(SVCXPRT *xprt, struct mbox_rpc_peer *peer)
{
	struct service *s = xprt->xp_p2;

	if (xprt->xp_ops != &svc_mbox_ops)
		return FALSE;
	*peer = s->peer;

	return TRUE;
}

MBOX_API bool_t svc_mbox_run(SVCXPRT *xprt)
{
	struct service *s = xprt->xp_p2;
	bool ended = false;
	int fd = xprt->xp_fd;

	if (xprt->xp_ops != &svc_mbox_ops || s->busy)
		return FALSE;
	s->ended = &ended;
	do {
		s->asked = false;
		svc_getreq_common(fd);
		/* Otherwise libtirpc does not know the transport any more. */
	} while (!ended && s->asked);
	if (!ended) {
		send_owed(s);
		/* Of a transport that is gone, libtirpc does not ask for the state. */
		s->busy = 0;
		s->ended = NULL;
	}

	return TRUE;
}
