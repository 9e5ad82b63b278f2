// SPDX-License-Identifier: GPL-2.0-only
/*
 * Remote procedure calls by libtirpc, whose procedure returns the bytes that it was called
 * with: over a mailbox, by libmbox-rpc, and over a connection of AF_UNIX, which is libtirpc's
 * own way within one machine. Client and server are the same for both but for the line that
 * makes them. Each makes its end in the process that uses it, at the first call.
 */
#ifdef HAVE_TIRPC

#include <err.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <mbox_rpc.h>

#include "compare.h"

#define PROG 0x20000043
#define VERS 1
#define ECHO 1

/* Of a record of libtirpc's: what it takes by default in each direction. */
#define DEFAULT_SIZE 0

static CLIENT *client;
static size_t bytes;
static unsigned int served, left;

static bool_t xdr_message(XDR *xdrs, ...)
{
	va_list args;
	char *data;

	va_start(args, xdrs);
	data = va_arg(args, char *);
	va_end(args);

	return xdr_opaque(xdrs, data, bytes);
}

static void dispatch(struct svc_req *req, SVCXPRT *xprt)
{
	if (!svc_getargs(xprt, xdr_message, got.data)) {
		svcerr_decode(xprt);
		return;
	}
	if (!svc_sendreply(xprt, xdr_message, got.data))
		warnx("no reply");
	served++;
}

static void dispatch_run(struct svc_req *req, SVCXPRT *xprt)
{
	dispatch(req, xprt);
	if (!--left)
		svc_destroy(xprt);
}

/* As svc_run(), which has no end. */
static bool serve_calls(struct channel *c, SVCXPRT *xprt, unsigned int n)
{
	static struct pollfd *fds;
	static int nfds;

	/* Otherwise it was the first call, and it may have failed. */
	if (xprt && !svc_reg(xprt, PROG, VERS, dispatch, NULL))
		return false;
	bytes = c->len;
	served = 0;
	while (served < n) {
		int ready;

		if (nfds != svc_max_pollfd) {
			nfds = svc_max_pollfd;
			fds = reallocarray(fds, nfds, sizeof(*fds));
			if (!fds)
				return false;
		}
		if (!nfds)
			return false;
		memcpy(fds, svc_pollfd, nfds * sizeof(*fds));
		ready = poll(fds, nfds, -1);
		if (ready < 0)
			return false;
		svc_getreq_poll(fds, ready);
	}

	return true;
}

static bool call_by(struct channel *c)
{
	static const struct timeval limit = { .tv_sec = 25 };

	if (!client)
		return false;
	bytes = c->len;

	return clnt_call(client, ECHO, xdr_message, sent.data, xdr_message, got.data, limit) ==
	       RPC_SUCCESS;
}

/* ---- over a mailbox ---------------------------------------------------------- */

static bool open_mailbox(struct channel *c, const struct shape *shape)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	/* As svc_mbox_create() makes it. */
	attr.flags = MBOX_HANGUP;
	attr.capacity = 64;
	attr.msg_max = 65536;
	c->mb = mbox_create(NULL, O_RDWR, &attr);

	return c->mb;
}

static void close_mailbox(struct channel *c)
{
	mbox_close(c->mb);
}

static bool call_mailbox(struct channel *c)
{
	if (!client)
		client = clnt_mbox_create_handle(c->mb, PROG, VERS);

	return call_by(c);
}

static bool serve_mailbox(struct channel *c, unsigned int n)
{
	static SVCXPRT *xprt;
	bool first = !xprt;

	if (first)
		xprt = svc_mbox_create_handle(c->mb);

	return xprt && serve_calls(c, first ? xprt : NULL, n);
}

/* By svc_mbox_run(), which dispatch_run() ends. */
static bool serve_run(struct channel *c, unsigned int n)
{
	struct mbox *mb = mbox_reopen(c->mb, O_RDWR);
	SVCXPRT *xprt;

	/* Each makes a transport of its own, the last of which has ended. */
	xprt = mb ? svc_mbox_create_handle(mb) : NULL;
	if (!xprt || !svc_reg(xprt, PROG, VERS, dispatch_run, NULL))
		return false;
	bytes = c->len;
	left = n;

	return svc_mbox_run(xprt);
}

/* ---- over AF_UNIX ------------------------------------------------------------ */

/* A server has a socket that listens, and which it waits for beside its connections. */
static bool open_sockets(struct channel *c, const struct shape *shape)
{
	/* With no other name, the kernel makes one. */
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr);

	c->fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	c->fds[1] = socket(AF_UNIX, SOCK_STREAM, 0);

	return c->fds[0] >= 0 && c->fds[1] >= 0 &&
	       !bind(c->fds[0], (struct sockaddr *)&addr, sizeof(sa_family_t)) &&
	       !listen(c->fds[0], 1) &&
	       !getsockname(c->fds[0], (struct sockaddr *)&addr, &len) &&
	       !connect(c->fds[1], (struct sockaddr *)&addr, len);
}

static void close_sockets(struct channel *c)
{
	close(c->fds[0]);
	close(c->fds[1]);
}

static bool call_socket(struct channel *c)
{
	struct netbuf nowhere = { 0 };

	if (!client)
		client = clnt_vc_create(c->fds[1], &nowhere, PROG, VERS, DEFAULT_SIZE,
					DEFAULT_SIZE);

	return call_by(c);
}

static bool serve_socket(struct channel *c, unsigned int n)
{
	static SVCXPRT *xprt;
	bool first = !xprt;

	if (first)
		xprt = svc_vc_create(c->fds[0], DEFAULT_SIZE, DEFAULT_SIZE);

	return xprt && serve_calls(c, first ? xprt : NULL, n);
}

const struct transport rpc_by_svc_run = {
	.name = "RPC, svc_run",
	.size_most = 32768,
	.apart = true,
	.rpc = true,
	.open = open_mailbox,
	.close = close_mailbox,
	.call = call_mailbox,
	.serve = serve_mailbox,
};

const struct transport rpc_by_mbox_run = {
	.name = "RPC, mailbox",
	.size_most = 32768,
	.apart = true,
	.rpc = true,
	.open = open_mailbox,
	.close = close_mailbox,
	.call = call_mailbox,
	.serve = serve_run,
};

const struct transport rpc_by_socket = {
	.name = "RPC, AF_UNIX",
	.kind = KERNEL,
	.size_most = 32768,
	.apart = true,
	.rpc = true,
	.open = open_sockets,
	.close = close_sockets,
	.call = call_socket,
	.serve = serve_socket,
};

#endif /* HAVE_TIRPC */
