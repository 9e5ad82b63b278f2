// SPDX-License-Identifier: GPL-2.0-only
/*
 * ONC RPC over mailboxes: libmbox-rpc, below libtirpc. The servers are processes of their
 * own, which tell by a byte in a pipe that they serve, and that they are in a procedure
 * that waits.
 */
#ifdef HAVE_TIRPC

#include <netinet/in.h>
#include <rpc/rpc.h>

#include <mbox_rpc.h>

#include "peers.h"
#include "workers.h"

#define PROG 0x20000042
/* The versions that are served. */
#define LOW 2
#define HIGH 4

/* NULLPROC is 0. */
#define DOUBLE 1
/* Has no reply. */
#define SILENT 2
/* What the server sees of its client: struct seen. */
#define WHO 3
/* Adds to the sum; made without waiting. */
#define NOTE 4
#define SUM 5
/* Waits until it is released. */
#define HOLD 6
/* So many bytes. */
#define BYTES 7
/* Ends the transport, and replies. */
#define END 8
/* Its reply is made later. */
#define LATER 9
/* Replies, serves another request, and waits until it is released. */
#define NESTED 10
/* Lets svc_mbox_run() serve, which it cannot, and then makes libtirpc forget the transport. */
#define FORGET 11
#define UNKNOWN 99

#define SEEN_MAX 8
#define THREADS 8
#define SIZE 65536

/* Whatever does not end at once does not end in this test. */
static const struct timeval forever = { .tv_sec = 10000 };
static const struct timeval at_once = { 0 };

static bool_t nothing(XDR *xdrs, ...)
{
	return TRUE;
}

static bool_t failing(XDR *xdrs, ...)
{
	return FALSE;
}

/**
 * struct seen - what a server sees of its client
 * @flavor: of the credentials
 * @uid: there
 * @gid: there
 * @groups: how many further ones are there
 * @known: svc_mbox_peer() knows the client
 * @pid: what it says
 * @peer_uid: what it says
 * @peer_gid: what it says
 */
struct seen {
	int flavor;
	int uid;
	int gid;
	int groups;
	int known;
	int pid;
	int peer_uid;
	int peer_gid;
};

static bool_t xdr_seen(XDR *xdrs, struct seen *seen)
{
	return xdr_vector(xdrs, (char *)seen, SEEN_MAX, sizeof(int), (xdrproc_t)xdr_int);
}

/**
 * struct blob - bytes, as rpcgen calls them
 * @len: how many
 * @data: where
 */
struct blob {
	u_int len;
	char *data;
};

static bool_t xdr_blob(XDR *xdrs, struct blob *blob)
{
	return xdr_bytes(xdrs, &blob->data, &blob->len, ~0U);
}

/**
 * struct server - of one process
 * @ready: it writes a byte when it serves, and one in HOLD
 * @release: it reads a byte in HOLD
 * @name: of its mailbox
 * @handle: or its handle
 * @listener: a socket that it serves, too, or -1
 * @prog: its program
 * @pid: the process
 */
struct server {
	int ready[2];
	int release[2];
	char name[64];
	struct mbox *handle;
	int listener;
	int prog;
	pid_t pid;
};

static struct server *this_server;
static int sum;

static void look(struct svc_req *req, struct seen *seen)
{
	struct authunix_parms *parms = req->rq_clntcred;
	struct mbox_rpc_peer peer = { 0 };

	*seen = (struct seen){ .flavor = req->rq_cred.oa_flavor };
	if (seen->flavor == AUTH_SYS) {
		seen->uid = parms->aup_uid;
		seen->gid = parms->aup_gid;
		seen->groups = parms->aup_len;
	}
	seen->known = svc_mbox_peer(req->rq_xprt, &peer);
	seen->pid = peer.pid;
	seen->peer_uid = peer.uid;
	seen->peer_gid = peer.gid;
}

static void dispatch(struct svc_req *req, SVCXPRT *xprt)
{
	struct blob blob = { 0 };
	struct seen seen;
	int n = 0;
	char c;

	switch (req->rq_proc) {
	case DOUBLE:
	case NOTE:
	case BYTES:
	case HOLD:
	case END:
		if (!svc_getargs(xprt, (xdrproc_t)xdr_int, &n)) {
			svcerr_decode(xprt);
			return;
		}
	}
	switch (req->rq_proc) {
	case NULLPROC:
		svc_sendreply(xprt, nothing, NULL);
		break;
	case DOUBLE:
		n *= 2;
		svc_sendreply(xprt, (xdrproc_t)xdr_int, &n);
		break;
	case END:
		svc_destroy(xprt);
		svc_sendreply(xprt, (xdrproc_t)xdr_int, &n);
		break;
	case LATER:
		break;
	case NESTED:
		svc_sendreply(xprt, (xdrproc_t)xdr_int, &sum);
		svc_getreq_common(xprt->xp_fd);
		if (read(this_server->release[0], &c, 1) != 1)
			abort();
		break;
	case FORGET:
		n = svc_mbox_run(xprt);
		svc_sendreply(xprt, (xdrproc_t)xdr_int, &n);
		xprt_unregister(xprt);
		break;
	case SILENT:
		sum++;
		break;
	case WHO:
		look(req, &seen);
		svc_sendreply(xprt, (xdrproc_t)xdr_seen, &seen);
		break;
	case NOTE:
		sum += n;
		/* As stubs do, whose procedure has a result. */
		if (!svc_sendreply(xprt, (xdrproc_t)xdr_int, &sum))
			svcerr_systemerr(xprt);
		break;
	case SUM:
		svc_sendreply(xprt, (xdrproc_t)xdr_int, &sum);
		break;
	case HOLD:
		if (write(this_server->ready[1], "", 1) != 1 ||
		    read(this_server->release[0], &c, 1) != 1)
			abort();
		svc_sendreply(xprt, (xdrproc_t)xdr_int, &n);
		break;
	case BYTES:
		blob.len = n;
		blob.data = calloc(1, n + 1);
		if (!svc_sendreply(xprt, (xdrproc_t)xdr_blob, &blob))
			svcerr_systemerr(xprt);
		free(blob.data);
		break;
	default:
		svcerr_noproc(xprt);
	}
}

static int serve(void *arg)
{
	struct server *s = arg;
	SVCXPRT *xprt;

	this_server = s;
	if (s->handle)
		xprt = svc_mbox_create_handle(s->handle);
	else
		xprt = svc_mbox_create(s->name, 0622);
	CHECK(xprt);
	CHECK(svc_reg(xprt, s->prog, LOW, dispatch, NULL));
	CHECK(svc_reg(xprt, s->prog, HIGH, dispatch, NULL));
	if (s->listener >= 0) {
		xprt = svc_vc_create(s->listener, 0, 0);
		CHECK(xprt);
		CHECK(svc_reg(xprt, s->prog, LOW, dispatch, NULL));
	}
	CHECK(write(s->ready[1], "", 1) == 1);
	svc_run();
	return 0;
}

static int await_byte(struct server *s)
{
	char c;

	return read(s->ready[0], &c, 1) == 1 ? 0 : -1;
}

static int start(struct server *s, struct mbox *handle)
{
	s->handle = handle;
	if (pipe(s->ready) || pipe(s->release))
		return neg(-1);
	s->pid = spawn(serve, s);
	/* So that the death of the server is the end of the pipe. */
	close(s->ready[1]);
	return await_byte(s);
}

static void stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	reap(s->pid);
	close(s->ready[0]);
	close(s->release[0]);
	close(s->release[1]);
}

static enum clnt_stat call(CLIENT *cl, int proc, int arg, int *res, struct timeval timeout)
{
	return clnt_call(cl, proc, (xdrproc_t)xdr_int, (void *)&arg, (xdrproc_t)xdr_int,
			 (void *)res, timeout);
}

static enum clnt_stat call_nothing(CLIENT *cl, int proc)
{
	return clnt_call(cl, proc, nothing, NULL, nothing, NULL, forever);
}

/* The sum of the server; POISON32 if that call failed. */
static int sum_of(CLIENT *cl)
{
	int res = POISON32;

	if (clnt_call(cl, SUM, nothing, NULL, (xdrproc_t)xdr_int, (void *)&res, forever))
		return POISON32;
	return res;
}

static struct rpc_err error_of(CLIENT *cl)
{
	struct rpc_err err;

	memset(&err, POISON, sizeof(err));
	clnt_geterr(cl, &err);
	return err;
}

FIXTURE(rpc)
{
	struct server server;
	CLIENT *cl;
	mode_t umask;
};

FIXTURE_SETUP(rpc)
{
	if (access(DEVICE, F_OK))
		SKIP(return, "no " DEVICE);
	self->umask = umask(0);
	self->server.listener = -1;
	self->server.prog = PROG;
	test_name(self->server.name, sizeof(self->server.name), "rpc");
	ASSERT_EQ(0, start(&self->server, NULL));
	self->cl = clnt_mbox_create(self->server.name, PROG, LOW);
	ASSERT_TRUE(!!self->cl);
}

FIXTURE_TEARDOWN(rpc)
{
	if (self->cl)
		clnt_destroy(self->cl);
	if (self->server.pid)
		stop(&self->server);
	mbox_unlink(self->server.name);
	umask(self->umask);
}

TEST_F(rpc, result_comes_back)
{
	int i, res;

	EXPECT_EQ(RPC_SUCCESS, call_nothing(self->cl, NULLPROC));
	for (i = -3; i <= 3; i++) {
		res = POISON32;
		EXPECT_EQ(RPC_SUCCESS, call(self->cl, DOUBLE, i, &res, forever));
		EXPECT_EQ(2 * i, res);
	}
	EXPECT_EQ(RPC_SUCCESS, error_of(self->cl).re_status);
}

TEST_F(rpc, results_of_all_lengths)
{
	static const int lengths[] = { 0, 1, 2, 3, 4, 1000, SIZE - 100 };
	struct blob blob;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		blob = (struct blob){ .len = POISON32 };
		EXPECT_EQ(RPC_SUCCESS,
			  clnt_call(self->cl, BYTES, (xdrproc_t)xdr_int, (void *)&lengths[i],
				    (xdrproc_t)xdr_blob, (void *)&blob, forever));
		EXPECT_EQ(lengths[i], blob.len);
		EXPECT_TRUE(clnt_freeres(self->cl, (xdrproc_t)xdr_blob, (void *)&blob));
		EXPECT_EQ(NULL, blob.data);
	}
}

TEST_F(rpc, result_that_is_too_long)
{
	int length = SIZE;
	struct blob blob = { 0 };

	EXPECT_EQ(RPC_SYSTEMERROR,
		  clnt_call(self->cl, BYTES, (xdrproc_t)xdr_int, (void *)&length,
			    (xdrproc_t)xdr_blob, (void *)&blob, forever));
	EXPECT_EQ(NULL, blob.data);
	EXPECT_EQ(RPC_SUCCESS, call_nothing(self->cl, NULLPROC));
}

TEST_F(rpc, program_that_is_not_served)
{
	CLIENT *cl = clnt_mbox_create(self->server.name, PROG + 1, LOW);

	ASSERT_TRUE(!!cl);
	EXPECT_EQ(RPC_PROGUNAVAIL, call_nothing(cl, NULLPROC));
	EXPECT_EQ(RPC_PROGUNAVAIL, error_of(cl).re_status);
	clnt_destroy(cl);
}

TEST_F(rpc, version_that_is_not_served)
{
	CLIENT *cl = clnt_mbox_create(self->server.name, PROG, LOW + 1);
	struct rpc_err err;

	ASSERT_TRUE(!!cl);
	EXPECT_EQ(RPC_PROGVERSMISMATCH, call_nothing(cl, NULLPROC));
	err = error_of(cl);
	EXPECT_EQ(RPC_PROGVERSMISMATCH, err.re_status);
	EXPECT_EQ(LOW, err.re_vers.low);
	EXPECT_EQ(HIGH, err.re_vers.high);
	clnt_destroy(cl);
}

TEST_F(rpc, procedure_that_is_not_served)
{
	EXPECT_EQ(RPC_PROCUNAVAIL, call_nothing(self->cl, UNKNOWN));
	EXPECT_EQ(RPC_PROCUNAVAIL, error_of(self->cl).re_status);
}

TEST_F(rpc, arguments_that_cannot_be_decoded)
{
	EXPECT_EQ(RPC_CANTDECODEARGS, call_nothing(self->cl, DOUBLE));
	EXPECT_EQ(RPC_SUCCESS, call_nothing(self->cl, NULLPROC));
}

TEST_F(rpc, arguments_that_cannot_be_encoded)
{
	struct blob blob = { .len = SIZE, .data = calloc(1, SIZE) };

	EXPECT_EQ(RPC_CANTENCODEARGS,
		  clnt_call(self->cl, NOTE, failing, NULL, nothing, NULL, forever));
	EXPECT_EQ(RPC_CANTENCODEARGS,
		  clnt_call(self->cl, NOTE, (xdrproc_t)xdr_blob, (void *)&blob, nothing, NULL,
			    forever));
	free(blob.data);
	EXPECT_EQ(0, sum_of(self->cl));
}

TEST_F(rpc, result_that_cannot_be_decoded)
{
	struct seen seen;

	EXPECT_EQ(RPC_CANTDECODERES,
		  clnt_call(self->cl, SUM, nothing, NULL, (xdrproc_t)xdr_seen, (void *)&seen,
			    forever));
	EXPECT_EQ(RPC_CANTDECODERES,
		  clnt_call(self->cl, SUM, nothing, NULL, failing, NULL, forever));
}

/* What is no call of version 2 of RPC has an answer, too, and harms nothing. */
TEST_F(rpc, messages_that_are_no_calls)
{
	/* xid, CALL, version of RPC 3. */
	static const unsigned char version3[] = { 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 3 };
	/* xid, REPLY, MSG_DENIED, RPC_MISMATCH, lowest and highest version. */
	static const unsigned char denied[] = {
		1, 2, 3, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2,
	};
	struct mbox *mb = mbox_open(self->server.name, O_WRONLY);
	unsigned char rep[64];
	unsigned int i;

	ASSERT_TRUE(!!mb);
	memset(rep, POISON, sizeof(rep));
	EXPECT_EQ(sizeof(denied), neg(mbox_call(mb, version3, sizeof(version3), rep, sizeof(rep),
						NULL)));
	EXPECT_EQ(0, memcmp(denied, rep, sizeof(denied)));
	/* Cut off anywhere, and a reply. */
	for (i = 0; i < sizeof(version3); i++)
		EXPECT_EQ(0, neg(mbox_call(mb, version3, i, rep, sizeof(rep), NULL)));
	EXPECT_EQ(0, neg(mbox_call(mb, denied, sizeof(denied), rep, sizeof(rep), NULL)));
	EXPECT_EQ(0, neg(mbox_send(mb, version3, sizeof(version3), 0)));
	EXPECT_EQ(0, neg(mbox_send(mb, NULL, 0, 0)));
	EXPECT_EQ(RPC_SUCCESS, call_nothing(self->cl, NULLPROC));
	mbox_close(mb);
}

/* The bytes of RFC 5531 and RFC 4506, the same on machines of every byte order. */
TEST_F(rpc, bytes_of_a_call_and_of_its_reply)
{
	static const unsigned char request[] = {
		/* xid, CALL, version of RPC, program, version, procedure */
		0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0, 0, 0x42, 0, 0, 0, LOW,
		0, 0, 0, DOUBLE,
		/* credentials and verifier: AUTH_NONE of length 0 */
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		/* -2 */
		0xff, 0xff, 0xff, 0xfe,
	};
	static const unsigned char reply[] = {
		/* xid, REPLY, MSG_ACCEPTED, verifier, SUCCESS */
		0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0,
		/* -4 */
		0xff, 0xff, 0xff, 0xfc,
	};
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb = mbox_create(NULL, O_RDWR, &attr);
	unsigned char bytes[256];
	struct mbox *server;
	uint32_t xid = 0x12345678;
	CLIENT *cl;

	ASSERT_TRUE(!!mb);
	cl = clnt_mbox_create_handle(mb, PROG, LOW);
	ASSERT_TRUE(!!cl);
	ASSERT_TRUE(clnt_control(cl, CLSET_XID, (char *)&xid));
	EXPECT_EQ(RPC_SUCCESS, clnt_call(cl, DOUBLE, (xdrproc_t)xdr_int, (void *)&(int){ -2 },
					 NULL, NULL, at_once));
	EXPECT_EQ(sizeof(request), neg(mbox_recv(mb, bytes, sizeof(bytes), MBOX_DONTWAIT)));
	EXPECT_EQ(0, memcmp(request, bytes, sizeof(request)));
	clnt_destroy(cl);
	mbox_close(mb);

	server = mbox_open(self->server.name, O_WRONLY);
	ASSERT_TRUE(!!server);
	memset(bytes, POISON, sizeof(bytes));
	EXPECT_EQ(sizeof(reply), neg(mbox_call(server, request, sizeof(request), bytes,
					       sizeof(bytes), NULL)));
	EXPECT_EQ(0, memcmp(reply, bytes, sizeof(reply)));
	mbox_close(server);
}

/* Values of several kinds. */
struct values {
	double number;
	quad_t big;
	char *text;
	struct blob blob;
	bool_t yes;
};

static bool_t xdr_values(XDR *xdrs, struct values *v)
{
	return xdr_double(xdrs, &v->number) && xdr_longlong_t(xdrs, &v->big) &&
	       xdr_string(xdrs, &v->text, 16) && xdr_blob(xdrs, &v->blob) &&
	       xdr_bool(xdrs, &v->yes);
}

/* As a machine of any byte order sends and receives them. */
static const unsigned char values_request[] = {
	0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0, 0, 0x42, 0, 0, 0, LOW, 0, 0, 0, NOTE,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* 0.15625, -12345678901, "Ada", 5 bytes, TRUE */
	0x3f, 0xc4, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfd, 0x20, 0x23, 0xe3, 0xcb,
	0, 0, 0, 3, 'A', 'd', 'a', 0, 0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 1,
};

static const unsigned char values_reply[] = {
	0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* -2.5, 2^40 + 1, "Babbage", 1 byte, FALSE */
	0xc0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1,
	0, 0, 0, 7, 'B', 'a', 'b', 'b', 'a', 'g', 'e', 0, 0, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0,
};

static void *serve_values(void *arg)
{
	unsigned char bytes[256];
	struct mbox_msg msg = MBOX_MSG_INIT(bytes, sizeof(bytes));

	if (mbox_recvmsg(arg, &msg) != sizeof(values_request) ||
	    memcmp(bytes, values_request, sizeof(values_request)))
		return (void *)-1L;
	return (void *)(long)mbox_reply(arg, msg.token, values_reply, sizeof(values_reply));
}

TEST_F(rpc, values_of_a_machine_of_another_byte_order)
{
	struct values in = {
		.number = 0.15625, .big = -12345678901, .text = "Ada",
		.blob = { 5, "\1\2\3\4\5" }, .yes = TRUE,
	};
	struct mbox *mb = mbox_create(NULL, O_RDWR, NULL);
	struct values out = { 0 };
	uint32_t xid = 7;
	pthread_t thread;
	CLIENT *cl;
	void *ret;

	ASSERT_TRUE(!!mb);
	cl = clnt_mbox_create_handle(mb, PROG, LOW);
	ASSERT_TRUE(!!cl);
	ASSERT_TRUE(clnt_control(cl, CLSET_XID, (char *)&xid));
	ASSERT_EQ(0, thread_start(&thread, serve_values, mb));
	EXPECT_EQ(RPC_SUCCESS, clnt_call(cl, NOTE, (xdrproc_t)xdr_values, (void *)&in,
					 (xdrproc_t)xdr_values, (void *)&out, forever));
	pthread_join(thread, &ret);
	EXPECT_EQ(NULL, ret);
	EXPECT_TRUE(out.number == -2.5);
	EXPECT_EQ((1LL << 40) + 1, out.big);
	EXPECT_STREQ("Babbage", out.text ? out.text : "");
	EXPECT_EQ(1, out.blob.len);
	EXPECT_EQ(9, out.blob.data ? out.blob.data[0] : -1);
	EXPECT_EQ(FALSE, out.yes);
	EXPECT_TRUE(clnt_freeres(cl, (xdrproc_t)xdr_values, (void *)&out));
	clnt_destroy(cl);
	mbox_close(mb);
}

TEST_F(rpc, deadline_ends_a_call)
{
	struct timeval brief = { .tv_usec = 30000 };
	int res = POISON32;
	__s64 begin;

	begin = now_ns(CLOCK_MONOTONIC);
	EXPECT_EQ(RPC_TIMEDOUT, call(self->cl, SILENT, 1, &res, brief));
	EXPECT_LE(30 * NSEC_PER_MSEC, now_ns(CLOCK_MONOTONIC) - begin);
	EXPECT_EQ(ETIMEDOUT, error_of(self->cl).re_errno);
	EXPECT_EQ(POISON32, (unsigned int)res);
	/* The time-out of the client is that of each call. */
	ASSERT_TRUE(clnt_control(self->cl, CLSET_TIMEOUT, (char *)&brief));
	EXPECT_EQ(RPC_TIMEDOUT, call(self->cl, SILENT, 1, &res, forever));
	ASSERT_TRUE(clnt_control(self->cl, CLSET_TIMEOUT, (char *)&forever));
	/* No request came twice; one whose time was over before it was received, not at all. */
	EXPECT_GE(2, sum_of(self->cl));
}

TEST_F(rpc, reply_behind_the_deadline_is_not_that_of_the_next_call)
{
	struct timeval brief = { .tv_usec = 30000 };
	struct pollfd pfd = { .fd = self->server.ready[0], .events = POLLIN };
	int res = POISON32;

	/* Until the server has received one: it receives no other before its release. */
	do {
		EXPECT_EQ(RPC_TIMEDOUT, call(self->cl, HOLD, 5, &res, brief));
	} while (!poll(&pfd, 1, 0));
	ASSERT_EQ(0, await_byte(&self->server));
	ASSERT_EQ(1, write(self->server.release[1], "", 1));
	EXPECT_EQ(RPC_SUCCESS, call(self->cl, DOUBLE, 3, &res, forever));
	EXPECT_EQ(6, res);
}

TEST_F(rpc, calls_without_waiting)
{
	int i, want = 0, res = POISON32;

	/* More than the mailbox holds. */
	for (i = 1; i <= 200; i++) {
		want += i;
		EXPECT_EQ(RPC_SUCCESS, clnt_call(self->cl, NOTE, (xdrproc_t)xdr_int, (void *)&i,
						 NULL, NULL, at_once));
	}
	EXPECT_EQ(want, sum_of(self->cl));
	/* As on TCP, where a result is wanted. */
	EXPECT_EQ(RPC_TIMEDOUT, call(self->cl, NOTE, 1, &res, at_once));
	EXPECT_EQ(POISON32, (unsigned int)res);
	EXPECT_EQ(want + 1, sum_of(self->cl));
}

static void *held_call(void *arg)
{
	CLIENT *cl = arg;
	int res = POISON32;
	enum clnt_stat stat = call(cl, HOLD, 7, &res, forever);

	if (stat == RPC_SUCCESS && res != 7)
		return (void *)-1L;
	if (error_of(cl).re_status != stat)
		return (void *)-2L;
	return (void *)(long)stat;
}

TEST_F(rpc, death_of_the_server_ends_its_calls)
{
	pthread_t held, waiting;
	void *ret;
	int res;

	ASSERT_EQ(0, thread_start(&held, held_call, self->cl));
	ASSERT_EQ(0, await_byte(&self->server));
	/* This one is still in the mailbox. */
	ASSERT_EQ(0, thread_start(&waiting, held_call, self->cl));
	kill(self->server.pid, SIGKILL);
	pthread_join(held, &ret);
	EXPECT_EQ(RPC_CANTRECV, (long)ret);
	pthread_join(waiting, &ret);
	EXPECT_EQ(RPC_CANTRECV, (long)ret);
	EXPECT_EQ(RPC_CANTRECV, call(self->cl, DOUBLE, 1, &res, forever));
	EXPECT_EQ(EPIPE, error_of(self->cl).re_errno);
	EXPECT_EQ(RPC_CANTSEND, call(self->cl, NOTE, 1, NULL, at_once));
	stop(&self->server);

	/* The next server has the same clients. */
	ASSERT_EQ(0, start(&self->server, NULL));
	EXPECT_EQ(RPC_SUCCESS, call(self->cl, DOUBLE, 21, &res, forever));
	EXPECT_EQ(42, res);
}

TEST_F(rpc, end_of_the_mailbox_ends_client_and_server)
{
	struct mbox *mb = mbox_open(self->server.name, O_RDWR);
	pthread_t held;
	void *ret;

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, thread_start(&held, held_call, self->cl));
	ASSERT_EQ(0, await_byte(&self->server));
	ASSERT_EQ(0, mbox_destroy(mb));
	pthread_join(held, &ret);
	EXPECT_EQ(RPC_CANTRECV, (long)ret);
	EXPECT_EQ(EIDRM, (call_nothing(self->cl, NULLPROC), error_of(self->cl).re_errno));
	mbox_close(mb);
}

static volatile int handled;

static void handle(int sig)
{
	handled++;
}

TEST_F(rpc, handler_ends_a_call)
{
	struct sigaction sa = { .sa_handler = handle };
	pthread_t held;
	void *ret;

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, thread_start(&held, held_call, self->cl));
	ASSERT_EQ(0, await_byte(&self->server));
	/* The handler may run before the thread waits. */
	while (pthread_tryjoin_np(held, &ret)) {
		pthread_kill(held, SIGUSR1);
		pause_briefly();
	}
	EXPECT_EQ(RPC_INTR, (long)ret);
}

static enum clnt_stat ask_who(CLIENT *cl, struct seen *seen)
{
	memset(seen, POISON, sizeof(*seen));
	return clnt_call(cl, WHO, nothing, NULL, (xdrproc_t)xdr_seen, (void *)seen, forever);
}

static int claim_to_be_root(void *arg)
{
	gid_t groups[] = { 0, 1, 2 };
	struct server *s = arg;
	struct seen seen;
	CLIENT *cl;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	cl = clnt_mbox_create(s->name, PROG, LOW);
	CHECK(cl);
	CHECK_EQ(RPC_SUCCESS, ask_who(cl, &seen));
	CHECK_EQ(AUTH_NONE, seen.flavor);
	CHECK_EQ(getpid(), seen.pid);
	CHECK_EQ(USER_A, seen.peer_uid);
	CHECK_EQ(GROUP_A, seen.peer_gid);

	cl->cl_auth = authunix_create("elsewhere", 0, 0, 3, groups);
	CHECK_EQ(RPC_SUCCESS, ask_who(cl, &seen));
	CHECK_EQ(AUTH_SYS, seen.flavor);
	CHECK_EQ(USER_A, seen.uid);
	CHECK_EQ(GROUP_A, seen.gid);
	CHECK_EQ(0, seen.groups);
	CHECK(seen.known);
	CHECK_EQ(getpid(), seen.pid);
	auth_destroy(cl->cl_auth);
	clnt_destroy(cl);
	return 0;
}

TEST_F(rpc, credentials_are_those_that_the_kernel_knows)
{
	struct seen seen;

	if (getuid())
		SKIP(return, "needs root");
	EXPECT_EQ(0, in_child(claim_to_be_root, &self->server));
	self->cl->cl_auth = authunix_create("here", 4711, 4712, 0, NULL);
	EXPECT_EQ(RPC_SUCCESS, ask_who(self->cl, &seen));
	EXPECT_EQ(0, seen.uid);
	EXPECT_EQ(0, seen.gid);
	EXPECT_EQ(getpid(), seen.pid);
	auth_destroy(self->cl->cl_auth);
}

static int call_is_refused(void *arg)
{
	struct server *s = arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK(!clnt_mbox_create(s->name, PROG, LOW));
	CHECK_EQ(RPC_SYSTEMERROR, rpc_createerr.cf_stat);
	CHECK_EQ(EACCES, rpc_createerr.cf_error.re_errno);
	return 0;
}

TEST_F(rpc, right_to_call_is_the_right_to_send)
{
	struct mbox *mb = mbox_open(self->server.name, O_RDWR);

	if (getuid())
		SKIP(return, "needs root");
	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, mbox_set_perm(mb, -1, -1, 0600));
	mbox_close(mb);
	EXPECT_EQ(0, in_child(call_is_refused, &self->server));
}

/**
 * struct caller - a thread that calls
 * @cl: the client, that of all
 * @n: its number
 * @bad: how many calls went wrong
 */
struct rpc_caller {
	pthread_t thread;
	CLIENT *cl;
	int n;
	int bad;
};

static void *call_often(void *arg)
{
	struct rpc_caller *c = arg;
	int i, value, res;

	for (i = 0; i < 100; i++) {
		value = c->n * 1000 + i;
		res = POISON32;
		c->bad += call(c->cl, DOUBLE, value, &res, forever) != RPC_SUCCESS ||
			  res != 2 * value;
		/* Its own error, whatever the others' calls end with. */
		c->bad += error_of(c->cl).re_status != RPC_SUCCESS;
		if (c->n % 2 && i % 2) {
			c->bad += call_nothing(c->cl, UNKNOWN) != RPC_PROCUNAVAIL;
			c->bad += error_of(c->cl).re_status != RPC_PROCUNAVAIL;
		}
	}
	return NULL;
}

TEST_F(rpc, many_threads_on_one_client)
{
	struct rpc_caller callers[THREADS];
	int i;

	/* Its credentials are locked, those of none are not. */
	self->cl->cl_auth = authunix_create_default();
	for (i = 0; i < THREADS; i++) {
		callers[i] = (struct rpc_caller){ .cl = self->cl, .n = i };
		ASSERT_EQ(0, thread_start(&callers[i].thread, call_often, &callers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(callers[i].thread, NULL);
		EXPECT_EQ(0, callers[i].bad);
	}
	auth_destroy(self->cl->cl_auth);
}

/**
 * struct changing - credentials that change with each call
 * @auth: the credentials
 * @cl: their client
 * @inside: how many threads change them
 * @overlaps: how many found another one there
 */
static struct changing {
	AUTH auth;
	CLIENT *cl;
	int inside;
	int overlaps;
} changing;

static int changing_marshal(AUTH *auth, XDR *xdrs)
{
	int ok;

	if (__atomic_add_fetch(&changing.inside, 1, __ATOMIC_SEQ_CST) != 1)
		__atomic_add_fetch(&changing.overlaps, 1, __ATOMIC_SEQ_CST);
	pause_briefly();
	ok = xdr_opaque_auth(xdrs, &auth->ah_cred) && xdr_opaque_auth(xdrs, &auth->ah_verf);
	__atomic_sub_fetch(&changing.inside, 1, __ATOMIC_SEQ_CST);
	return ok;
}

static int changing_validate(AUTH *auth, struct opaque_auth *verf)
{
	return TRUE;
}

/* Those of RPCSEC_GSS ask the server, too. */
static int changing_refresh(AUTH *auth, void *msg)
{
	auth->ah_cred.oa_flavor = AUTH_NONE;
	return call_nothing(changing.cl, NULLPROC) == RPC_SUCCESS;
}

static int changing_wrap(AUTH *auth, XDR *xdrs, xdrproc_t code, caddr_t where)
{
	return (*code)(xdrs, where);
}

static struct auth_ops changing_ops = {
	.ah_marshal = changing_marshal,
	.ah_validate = changing_validate,
	.ah_refresh = changing_refresh,
	.ah_wrap = changing_wrap,
	.ah_unwrap = changing_wrap,
};

static void *call_sometimes(void *arg)
{
	long bad = 0;
	int i, res;

	for (i = 0; i < 5; i++)
		bad += call(arg, DOUBLE, i, &res, forever) != RPC_SUCCESS || res != 2 * i;
	return (void *)bad;
}

/* A reply can change the kind of credentials to any other. */
TEST_F(rpc, credentials_that_change_have_a_lock_whatever_their_kind)
{
	pthread_t threads[THREADS];
	void *bad;
	int i;

	changing = (struct changing){ .auth.ah_ops = &changing_ops };
	changing.auth.ah_cred.oa_flavor = AUTH_NONE;
	self->cl->cl_auth = &changing.auth;
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, thread_start(&threads[i], call_sometimes, self->cl));
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &bad);
		EXPECT_EQ(NULL, bad);
	}
	EXPECT_EQ(0, changing.overlaps);
}

TEST_F(rpc, credentials_that_call_to_refresh_themselves)
{
	int res = POISON32;

	changing = (struct changing){ .auth.ah_ops = &changing_ops, .cl = self->cl };
	/* No server knows this kind. */
	changing.auth.ah_cred.oa_flavor = 4711;
	self->cl->cl_auth = &changing.auth;
	EXPECT_EQ(RPC_SUCCESS, call(self->cl, DOUBLE, 21, &res, forever));
	EXPECT_EQ(42, res);
	EXPECT_EQ(AUTH_NONE, changing.auth.ah_cred.oa_flavor);
}

/* Two servers at one mailbox share the work, and a call does not wait for another. */
TEST_F(rpc, call_beside_one_that_waits)
{
	struct server second = self->server;
	struct server *holds = NULL;
	struct pollfd pfds[2];
	pthread_t held;
	void *ret;
	int res;

	ASSERT_EQ(0, start(&second, NULL));
	ASSERT_EQ(0, thread_start(&held, held_call, self->cl));
	pfds[0] = (struct pollfd){ .fd = self->server.ready[0], .events = POLLIN };
	pfds[1] = (struct pollfd){ .fd = second.ready[0], .events = POLLIN };
	ASSERT_EQ(1, poll(pfds, 2, -1));
	holds = pfds[0].revents ? &self->server : &second;
	EXPECT_EQ(RPC_SUCCESS, call(self->cl, DOUBLE, 4, &res, forever));
	EXPECT_EQ(8, res);
	ASSERT_EQ(1, write(holds->release[1], "", 1));
	pthread_join(held, &ret);
	EXPECT_EQ(RPC_SUCCESS, (long)ret);
	stop(&second);
}

TEST_F(rpc, control_of_a_client)
{
	struct timeval tv = { 0 };
	CLIENT *cl = self->cl;
	uint32_t n;
	int fd, res;

	ASSERT_TRUE(clnt_control(cl, CLGET_FD, (char *)&fd));
	EXPECT_EQ(0, stat_of(fd).queued);
	ASSERT_TRUE(clnt_control(cl, CLGET_PROG, (char *)&n));
	EXPECT_EQ(PROG, n);
	ASSERT_TRUE(clnt_control(cl, CLGET_VERS, (char *)&n));
	EXPECT_EQ(LOW, n);
	n = HIGH;
	ASSERT_TRUE(clnt_control(cl, CLSET_VERS, (char *)&n));
	EXPECT_EQ(RPC_SUCCESS, call(cl, DOUBLE, 1, &res, forever));
	n = PROG + 1;
	ASSERT_TRUE(clnt_control(cl, CLSET_PROG, (char *)&n));
	EXPECT_EQ(RPC_PROGUNAVAIL, call(cl, DOUBLE, 1, &res, forever));
	n = 4711;
	ASSERT_TRUE(clnt_control(cl, CLSET_XID, (char *)&n));
	call(cl, DOUBLE, 1, &res, forever);
	n = 0;
	ASSERT_TRUE(clnt_control(cl, CLGET_XID, (char *)&n));
	EXPECT_EQ(4711, n);

	ASSERT_TRUE(clnt_control(cl, CLSET_TIMEOUT, (char *)&forever));
	ASSERT_TRUE(clnt_control(cl, CLGET_TIMEOUT, (char *)&tv));
	EXPECT_EQ(forever.tv_sec, tv.tv_sec);
	tv.tv_usec = -2;
	EXPECT_FALSE(clnt_control(cl, CLSET_TIMEOUT, (char *)&tv));
	EXPECT_FALSE(clnt_control(cl, CLSET_TIMEOUT, NULL));
	/* Nothing is sent twice, and there is no address. */
	EXPECT_FALSE(clnt_control(cl, CLSET_RETRY_TIMEOUT, (char *)&forever));
	EXPECT_FALSE(clnt_control(cl, CLGET_SVC_ADDR, (char *)&tv));
}

TEST_F(rpc, time_that_is_none)
{
	struct timeval bad = { .tv_sec = -1 };
	int res;

	EXPECT_EQ(RPC_SYSTEMERROR, call(self->cl, NOTE, 1, &res, bad));
	EXPECT_EQ(EINVAL, error_of(self->cl).re_errno);
	EXPECT_EQ(0, sum_of(self->cl));
}

TEST_F(rpc, handle_of_the_caller_stays_open)
{
	struct mbox *mb = mbox_open(self->server.name, O_WRONLY);
	int before = open_descriptors();
	CLIENT *cl;

	ASSERT_TRUE(!!mb);
	cl = clnt_mbox_create_handle(mb, PROG, LOW);
	ASSERT_TRUE(!!cl);
	EXPECT_EQ(RPC_SUCCESS, call_nothing(cl, NULLPROC));
	clnt_destroy(cl);
	EXPECT_EQ(before, open_descriptors());
	cl = clnt_mbox_create_handle(mb, PROG, LOW);
	ASSERT_TRUE(!!cl);
	ASSERT_TRUE(clnt_control(cl, CLSET_FD_CLOSE, NULL));
	clnt_destroy(cl);
	EXPECT_EQ(before - 1, open_descriptors());
}

TEST_F(rpc, mailboxes_that_do_not_serve)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;
	CLIENT *cl;

	EXPECT_EQ(NULL, clnt_mbox_create("mbox-test-none", PROG, LOW));
	EXPECT_EQ(RPC_SYSTEMERROR, rpc_createerr.cf_stat);
	EXPECT_EQ(ENOENT, rpc_createerr.cf_error.re_errno);
	EXPECT_EQ(NULL, svc_mbox_create("a/b", 0600));
	EXPECT_EQ(EINVAL, errno);

	attr.mode = MBOX_RING;
	mb = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(NULL, clnt_mbox_create_handle(mb, PROG, LOW));
	EXPECT_EQ(EOPNOTSUPP, rpc_createerr.cf_error.re_errno);
	EXPECT_EQ(NULL, svc_mbox_create_handle(mb));
	EXPECT_EQ(EOPNOTSUPP, errno);
	mbox_close(mb);

	mb = mbox_create(NULL, O_RDONLY, NULL);
	ASSERT_TRUE(!!mb);
	cl = clnt_mbox_create_handle(mb, PROG, LOW);
	ASSERT_TRUE(!!cl);
	EXPECT_EQ(RPC_CANTSEND, call_nothing(cl, NULLPROC));
	EXPECT_EQ(EBADF, error_of(cl).re_errno);
	clnt_destroy(cl);
	mbox_close(mb);
}

/* The ways in which programs wait for libtirpc's descriptors. */
TEST_F(rpc, loops_of_the_program)
{
	struct server none = { .prog = PROG };
	int before = open_descriptors();
	int res = POISON32;
	struct mbox *mb;
	SVCXPRT *xprt;
	CLIENT *cl;
	fd_set fds;

	mb = mbox_create(NULL, O_RDWR, NULL);
	ASSERT_TRUE(!!mb);
	this_server = &none;
	sum = 0;
	cl = clnt_mbox_create_handle(mb, PROG, LOW);
	ASSERT_TRUE(!!cl);
	xprt = svc_mbox_create_handle(mb);
	ASSERT_TRUE(!!xprt);
	ASSERT_TRUE(svc_reg(xprt, PROG, LOW, dispatch, NULL));

	EXPECT_EQ(RPC_TIMEDOUT, call(cl, NOTE, 1, &res, at_once));
	fds = svc_fdset;
	ASSERT_EQ(1, select(FD_SETSIZE, &fds, NULL, NULL, NULL));
	svc_getreqset(&fds);
	EXPECT_EQ(1, sum);
	EXPECT_EQ(RPC_TIMEDOUT, call(cl, NOTE, 2, &res, at_once));
	ASSERT_EQ(1, poll(svc_pollfd, svc_max_pollfd, -1));
	svc_getreq_poll(svc_pollfd, 1);
	EXPECT_EQ(3, sum);
	EXPECT_EQ(0, poll(svc_pollfd, svc_max_pollfd, 0));
	/* Another one may have taken the request. */
	svc_getreq_common(xprt->xp_fd);
	EXPECT_EQ(3, sum);

	/* The end of the mailbox is that of the transport. */
	ASSERT_EQ(0, mbox_destroy(mb));
	ASSERT_EQ(1, poll(svc_pollfd, svc_max_pollfd, -1));
	svc_getreq_poll(svc_pollfd, 1);
	EXPECT_EQ(0, poll(svc_pollfd, svc_max_pollfd, 0));
	svc_unreg(PROG, LOW);
	clnt_destroy(cl);
	EXPECT_EQ(before, open_descriptors());
}

/* A transport of this process at a mailbox of no name, and a client that is a thread. */
FIXTURE(own)
{
	struct mbox *mb;
	SVCXPRT *xprt;
	CLIENT *cl;
	int before;
};

FIXTURE_SETUP(own)
{
	self->before = open_descriptors();
	self->mb = mbox_create(NULL, O_RDWR, NULL);
	ASSERT_TRUE(!!self->mb);
	self->cl = clnt_mbox_create_handle(self->mb, PROG, LOW);
	ASSERT_TRUE(!!self->cl);
	self->xprt = svc_mbox_create_handle(self->mb);
	ASSERT_TRUE(!!self->xprt);
	ASSERT_TRUE(svc_reg(self->xprt, PROG, LOW, dispatch, NULL));
}

FIXTURE_TEARDOWN(own)
{
	svc_unreg(PROG, LOW);
	clnt_destroy(self->cl);
	if (self->xprt)
		svc_destroy(self->xprt);
	EXPECT_EQ(self->before, open_descriptors());
}

static void serve_one(void)
{
	if (poll(svc_pollfd, svc_max_pollfd, -1) == 1)
		svc_getreq_poll(svc_pollfd, 1);
}

static void *end_call(void *arg)
{
	int res = POISON32;
	enum clnt_stat stat = call(arg, END, 42, &res, forever);

	return (void *)(long)(stat == RPC_SUCCESS ? res : -1);
}

TEST_F(own, procedure_that_ends_its_transport)
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, thread_start(&thread, end_call, self->cl));
	serve_one();
	self->xprt = NULL;
	pthread_join(thread, &ret);
	EXPECT_EQ(42, (long)ret);
	EXPECT_EQ(0, poll(svc_pollfd, svc_max_pollfd, 0));
}

/* A request for LATER with AUTH_SYS, and 8 bytes of a verifier of kind 7. */
static const unsigned char with_verifier[] = {
	0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0, 0, 0x42, 0, 0, 0, LOW, 0, 0, 0, LATER,
	/* AUTH_SYS: 20 bytes of no time, no name, user and group 0, no other groups */
	0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 7, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8,
};

/* xid, REPLY, MSG_ACCEPTED, the verifier, SUCCESS. */
static const unsigned char verified[] = {
	0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8,
	0, 0, 0, 0,
};

static void *call_with_verifier(void *arg)
{
	unsigned char rep[64];

	if (mbox_call(arg, with_verifier, sizeof(with_verifier), rep, sizeof(rep), NULL) !=
	    sizeof(verified))
		return (void *)-1L;
	return (void *)(long)memcmp(verified, rep, sizeof(verified));
}

/* What svc_getreq_common() had there is gone. */
static __attribute__((noinline)) void use_the_stack(void)
{
	volatile char bytes[16384];
	unsigned int i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = POISON;
}

TEST_F(own, reply_behind_its_procedure)
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, thread_start(&thread, call_with_verifier, self->mb));
	serve_one();
	use_the_stack();
	EXPECT_TRUE(svc_sendreply(self->xprt, nothing, NULL));
	pthread_join(thread, &ret);
	EXPECT_EQ(0, (long)ret);
}

/* What a client does while svc_mbox_run() serves; it ends the transport at last. */
struct visitor {
	CLIENT *cl;
	struct server *server;
	pthread_t server_thread;
	int wrong;
};

static void *call_all_kinds(void *arg)
{
	struct visitor *v = arg;
	int i, res;

	for (i = 0; i < 1000; i++) {
		res = POISON32;
		/* The handler of a signal does not end a wait. */
		if (i % 16 == 0)
			pthread_kill(v->server_thread, SIGUSR1);
		v->wrong += call(v->cl, DOUBLE, i, &res, forever) != RPC_SUCCESS || res != 2 * i;
		v->wrong += call(v->cl, NOTE, 1, &res, at_once) != RPC_TIMEDOUT;
	}
	v->wrong += sum_of(v->cl) != 1000;
	v->wrong += call_nothing(v->cl, UNKNOWN) != RPC_PROCUNAVAIL;
	v->wrong += call_nothing(v->cl, DOUBLE) != RPC_CANTDECODEARGS;
	v->wrong += end_call(v->cl) != (void *)42;
	return NULL;
}

static void no_action(int sig)
{
}

TEST_F(own, run_serves_until_the_transport_ends)
{
	struct visitor v = { .cl = self->cl, .server_thread = pthread_self() };
	struct sigaction act = { .sa_handler = no_action };
	pthread_t thread;

	sum = 0;
	ASSERT_EQ(0, sigaction(SIGUSR1, &act, NULL));
	ASSERT_EQ(0, thread_start(&thread, call_all_kinds, &v));
	EXPECT_TRUE(svc_mbox_run(self->xprt));
	self->xprt = NULL;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, v.wrong);
}

/* A reply that nobody waits for any more is dropped with the receive that takes it along. */
static void *leave_early(void *arg)
{
	static const struct timeval soon = { .tv_usec = 1000 };
	struct visitor *v = arg;
	struct pollfd pfd = { .fd = v->server->ready[0], .events = POLLIN };
	int res = POISON32;
	char c;

	/* Until the server has received one: its time can be over before. */
	do
		v->wrong += call(v->cl, HOLD, 1, &res, soon) != RPC_TIMEDOUT || res != POISON32;
	while (!poll(&pfd, 1, 1));
	v->wrong += read(v->server->ready[0], &c, 1) != 1;
	v->wrong += write(v->server->release[1], "", 1) != 1;
	v->wrong += call(v->cl, DOUBLE, 4, &res, forever) != RPC_SUCCESS || res != 8;
	v->wrong += end_call(v->cl) != (void *)42;
	return NULL;
}

static void *nest(void *arg)
{
	struct visitor *v = arg;
	int res = POISON32;

	sum = 7;
	/* Its reply is here before the procedure ends. */
	v->wrong += call(v->cl, NESTED, 1, &res, forever) != RPC_SUCCESS || res != 7;
	v->wrong += write(v->server->release[1], "", 1) != 1;
	v->wrong += call(v->cl, DOUBLE, 4, &res, forever) != RPC_SUCCESS || res != 8;
	v->wrong += end_call(v->cl) != (void *)42;
	return NULL;
}

static int run_for(SVCXPRT *xprt, CLIENT *cl, void *(*body)(void *arg))
{
	struct server here = { .prog = PROG };
	struct visitor v = { .cl = cl, .server = &here };
	pthread_t thread;
	bool served;
	int i;

	this_server = &here;
	if (pipe(here.ready) || pipe(here.release) || thread_start(&thread, body, &v))
		return -1;
	served = svc_mbox_run(xprt);
	pthread_join(thread, NULL);
	v.wrong += !served;
	for (i = 0; i < 2; i++) {
		close(here.ready[i]);
		close(here.release[i]);
	}
	return v.wrong;
}

TEST_F(own, run_and_a_client_that_has_left)
{
	EXPECT_EQ(0, run_for(self->xprt, self->cl, leave_early));
	self->xprt = NULL;
}

TEST_F(own, run_waits_on_a_handle_with_O_NONBLOCK)
{
	struct mbox *mb = mbox_reopen(self->mb, O_RDWR | O_CLOEXEC);
	CLIENT *cl = clnt_mbox_create_handle(mb, PROG, LOW);

	ASSERT_TRUE(!!cl);
	ASSERT_EQ(0, fcntl(self->xprt->xp_fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(0, run_for(self->xprt, cl, nest));
	self->xprt = NULL;
	clnt_destroy(cl);
	mbox_close(mb);
}

static void *forget(void *arg)
{
	struct visitor *v = arg;
	int res = POISON32;

	v->wrong += call(v->cl, FORGET, 1, &res, forever) != RPC_SUCCESS || res;
	return NULL;
}

/* It ends too when libtirpc knows nothing of the transport, and its reply is not lost. */
TEST_F(own, run_ends_with_a_transport_that_is_not_registered)
{
	EXPECT_EQ(0, run_for(self->xprt, self->cl, forget));
}

TEST_F(own, run_and_a_procedure_that_serves)
{
	EXPECT_EQ(0, run_for(self->xprt, self->cl, nest));
	self->xprt = NULL;
}

static void *destroy_later(void *arg)
{
	struct mbox *mb = arg;
	struct mbox_stat st;

	do {
		if (mbox_stat(mb, &st))
			return (void *)-1L;
	} while (!st.waiting_receivers);
	return (void *)(long)mbox_destroy(mb);
}

TEST_F(own, run_ends_with_the_mailbox)
{
	struct mbox *mb = mbox_reopen(self->mb, O_RDWR);
	pthread_t thread;
	void *ret;

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, thread_start(&thread, destroy_later, mb));
	EXPECT_TRUE(svc_mbox_run(self->xprt));
	self->xprt = NULL;
	pthread_join(thread, &ret);
	EXPECT_EQ(NULL, ret);
	mbox_close(mb);
}

TEST_F(own, run_is_for_mailboxes)
{
	SVCXPRT *other;
	int fds[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	other = svc_fd_create(fds[0], 0, 0);
	ASSERT_TRUE(!!other);
	EXPECT_FALSE(svc_mbox_run(other));
	svc_destroy(other);
	close(fds[1]);
}

/* ---- beside sockets ---------------------------------------------------------- */

/* A socket that listens, and its address; or -1. */
static int listener(int family, struct sockaddr_storage *addr, socklen_t *len, const char *name)
{
	struct sockaddr_un *un = (struct sockaddr_un *)addr;
	int fd = socket(family, SOCK_STREAM, 0);

	memset(addr, 0, sizeof(*addr));
	addr->ss_family = family;
	*len = sizeof(struct sockaddr_in);
	if (family == AF_UNIX) {
		snprintf(un->sun_path, sizeof(un->sun_path), "/tmp/%s", name);
		unlink(un->sun_path);
		*len = sizeof(*un);
	} else {
		((struct sockaddr_in *)addr)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, *len) || listen(fd, 5) ||
	    (family == AF_INET && getsockname(fd, (struct sockaddr *)addr, len))) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static CLIENT *stream_client(struct sockaddr_storage *addr, socklen_t len)
{
	struct netbuf address = { .maxlen = len, .len = len, .buf = addr };
	int fd = socket(addr->ss_family, SOCK_STREAM, 0);
	CLIENT *cl;

	if (fd < 0 || connect(fd, (struct sockaddr *)addr, len))
		return NULL;
	cl = clnt_vc_create(fd, &address, PROG, LOW, 0, 0);
	if (cl)
		clnt_control(cl, CLSET_FD_CLOSE, NULL);
	return cl;
}

FIXTURE(beside)
{
	struct server server;
	struct sockaddr_storage addr;
};

FIXTURE_VARIANT(beside)
{
	int family;
};

FIXTURE_VARIANT_ADD(beside, af_unix) { .family = AF_UNIX };

FIXTURE_VARIANT_ADD(beside, tcp) { .family = AF_INET };

FIXTURE_SETUP(beside)
{
}

FIXTURE_TEARDOWN(beside)
{
	if (variant->family == AF_UNIX)
		unlink(((struct sockaddr_un *)&self->addr)->sun_path);
	mbox_unlink(self->server.name);
}

TEST_F(beside, one_server_has_a_mailbox_and_a_socket)
{
	struct server *s = &self->server;
	CLIENT *by_mailbox, *by_socket;
	struct seen seen;
	socklen_t len;
	int i, res;

	test_name(s->name, sizeof(s->name), "beside");
	s->prog = PROG;
	s->listener = listener(variant->family, &self->addr, &len, s->name);
	if (s->listener < 0)
		SKIP(return, "this kernel has no such sockets");
	ASSERT_EQ(0, start(s, NULL));
	by_mailbox = clnt_mbox_create(s->name, PROG, LOW);
	by_socket = stream_client(&self->addr, len);
	ASSERT_TRUE(by_mailbox && by_socket);
	for (i = 1; i <= 20; i++) {
		res = POISON32;
		EXPECT_EQ(RPC_SUCCESS, call(by_mailbox, NOTE, i, &res, forever));
		EXPECT_EQ(i * i, res);
		EXPECT_EQ(RPC_SUCCESS, call(by_socket, NOTE, i, &res, forever));
		EXPECT_EQ(i * (i + 1), res);
	}
	EXPECT_EQ(RPC_PROCUNAVAIL, call_nothing(by_mailbox, UNKNOWN));
	EXPECT_EQ(RPC_PROCUNAVAIL, call_nothing(by_socket, UNKNOWN));
	EXPECT_EQ(RPC_SUCCESS, ask_who(by_mailbox, &seen));
	EXPECT_EQ(getpid(), seen.pid);
	EXPECT_EQ(RPC_SUCCESS, ask_who(by_socket, &seen));
	EXPECT_EQ(0, seen.known);
	clnt_destroy(by_mailbox);
	clnt_destroy(by_socket);
	close(s->listener);
	stop(s);
}

/* ---- broadcast --------------------------------------------------------------- */

#define SERVERS 3

FIXTURE(broadcast)
{
	struct server servers[SERVERS];
	struct mbox *mb;
	CLIENT *cl;
	int started;
};

/**
 * struct results - what came
 * @value: decoded, one after the other
 * @n: how many
 * @pids: who has sent it
 * @enough: how many are wanted
 * @bad: values that are not 42
 */
static struct results {
	int value;
	int n;
	pid_t pids[SERVERS];
	int enough;
	int bad;
} results;

static bool_t got(void *res, const struct mbox_rpc_peer *server)
{
	results.bad += *(int *)res != 42 || server->uid != getuid() || results.n == SERVERS;
	if (results.n < SERVERS)
		results.pids[results.n] = server->pid;
	return ++results.n == results.enough;
}

/* A broadcast of @arg; how many have answered, or minus the error. */
static int ask_all(CLIENT *cl, int proc, int arg, int enough, struct timeval timeout)
{
	enum clnt_stat stat;

	memset(&results, 0, sizeof(results));
	results.enough = enough;
	stat = clnt_mbox_broadcast(cl, proc, (xdrproc_t)xdr_int, &arg, (xdrproc_t)xdr_int,
				   &results.value, sizeof(results.value), got, timeout);
	if (results.bad)
		return -1000;
	return stat ? -(int)stat : results.n;
}

FIXTURE_SETUP(broadcast)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *each;
	int i;

	attr.flags = MBOX_BROADCAST | MBOX_HANGUP;
	self->mb = mbox_create(NULL, O_WRONLY, &attr);
	ASSERT_TRUE(!!self->mb);
	for (i = 0; i < SERVERS; i++) {
		self->servers[i].listener = -1;
		/* The last one serves something else. */
		self->servers[i].prog = i == SERVERS - 1 ? PROG + 1 : PROG;
		each = mbox_reopen(self->mb, O_RDONLY);
		ASSERT_TRUE(!!each);
		ASSERT_EQ(0, start(&self->servers[i], each));
		mbox_close(each);
	}
	self->cl = clnt_mbox_create_handle(self->mb, PROG, LOW);
	ASSERT_TRUE(!!self->cl);
}

FIXTURE_TEARDOWN(broadcast)
{
	int i;

	for (i = 0; i < SERVERS; i++)
		stop(&self->servers[i]);
	clnt_destroy(self->cl);
	mbox_close(self->mb);
}

TEST_F(broadcast, every_server_answers)
{
	int before = open_descriptors();
	int i;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(2, ask_all(self->cl, DOUBLE, 21, 0, forever));
		EXPECT_TRUE((results.pids[0] == self->servers[0].pid &&
			     results.pids[1] == self->servers[1].pid) ||
			    (results.pids[1] == self->servers[0].pid &&
			     results.pids[0] == self->servers[1].pid));
	}
	EXPECT_EQ(1, ask_all(self->cl, DOUBLE, 21, 1, forever));
	EXPECT_EQ(before, open_descriptors());
}

TEST_F(broadcast, servers_that_do_not_answer)
{
	/* They say nothing, or that they cannot: none is waited for. */
	EXPECT_EQ(0, ask_all(self->cl, SILENT, 0, 0, forever));
	EXPECT_EQ(0, ask_all(self->cl, UNKNOWN, 0, 0, forever));
	/* The dead are not waited for, either. */
	kill(self->servers[0].pid, SIGKILL);
	EXPECT_EQ(1, ask_all(self->cl, DOUBLE, 21, 0, forever));
	EXPECT_EQ(self->servers[1].pid, results.pids[0]);
}

TEST_F(broadcast, server_that_is_busy)
{
	struct timeval brief = { .tv_usec = 30000 };

	EXPECT_EQ(-RPC_TIMEDOUT, ask_all(self->cl, HOLD, 42, 0, brief));
	ASSERT_EQ(0, await_byte(&self->servers[0]));
	ASSERT_EQ(0, await_byte(&self->servers[1]));
	/* Nobody takes what they say now. */
	ASSERT_EQ(1, write(self->servers[0].release[1], "", 1));
	ASSERT_EQ(1, write(self->servers[1].release[1], "", 1));
	EXPECT_EQ(2, ask_all(self->cl, DOUBLE, 21, 0, forever));
}

TEST_F(broadcast, calls_to_all_without_waiting)
{
	int res;

	EXPECT_EQ(RPC_SUCCESS, clnt_call(self->cl, NOTE, (xdrproc_t)xdr_int, (void *)&(int){ 42 },
					 NULL, NULL, at_once));
	EXPECT_EQ(2, ask_all(self->cl, SUM, 0, 0, forever));
	/* Which one's reply it would be is not said. */
	EXPECT_EQ(RPC_CANTSEND, call(self->cl, DOUBLE, 1, &res, forever));
	EXPECT_EQ(EOPNOTSUPP, error_of(self->cl).re_errno);
}

/* A server that has no descriptor left serves, and cannot answer. */
TEST_F(broadcast, server_without_descriptors)
{
	/* Those of the standard streams are taken. poll(2) wants as many as it is given. */
	struct rlimit none = { .rlim_cur = 3, .rlim_max = 1024 };

	ASSERT_EQ(0, prlimit(self->servers[0].pid, RLIMIT_NOFILE, &none, NULL));
	EXPECT_EQ(1, ask_all(self->cl, DOUBLE, 21, 0, forever));
	EXPECT_EQ(self->servers[1].pid, results.pids[0]);
	none.rlim_cur = none.rlim_max;
	ASSERT_EQ(0, prlimit(self->servers[0].pid, RLIMIT_NOFILE, &none, NULL));
	EXPECT_EQ(RPC_SUCCESS, clnt_call(self->cl, NOTE, (xdrproc_t)xdr_int, (void *)&(int){ 42 },
					 NULL, NULL, at_once));
	EXPECT_EQ(2, ask_all(self->cl, SUM, 0, 0, forever));
}

/* A call of SUM. */
static const unsigned char request[] = {
	0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0, 0, 0x42, 0, 0, 0, LOW,
	0, 0, 0, SUM, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

/* How many replies come to a new mailbox of @flags and of @owner; -1: any. */
static int replies_to(int flags, uid_t owner, struct mbox *mb, CLIENT *cl)
{
	struct mbox_msg msg = MBOX_MSG_INIT(request, sizeof(request));
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *answer;
	char rep[64];
	int fd, n;

	attr.flags = flags;
	answer = mbox_create(NULL, O_RDWR, &attr);
	if (!answer || (owner != (uid_t)-1 && mbox_set_perm(answer, owner, -1, -1)))
		return -1;
	fd = mbox_fd(answer);
	msg.fds = MBOX_PTR(&fd);
	msg.nfds = 1;
	if (mbox_sendmsg(mb, &msg) < 0)
		return -2;
	/* Each server is done with the one request when it has answered the next. */
	if (ask_all(cl, DOUBLE, 21, 0, forever) != 2)
		return -3;
	for (n = 0; mbox_recv(answer, rep, sizeof(rep), MBOX_DONTWAIT) >= 0; n++)
		;
	mbox_close(answer);
	return n;
}

/* A client cannot make a server send to any mailbox that the client can name. */
TEST_F(broadcast, mailboxes_that_are_not_for_replies)
{
	/* That of another program, too: it says so. */
	EXPECT_EQ(SERVERS, replies_to(MBOX_LEAF | MBOX_HANGUP, -1, self->mb, self->cl));
	EXPECT_EQ(0, replies_to(MBOX_LEAF, -1, self->mb, self->cl));
	if (getuid())
		SKIP(return, "the rest needs root");
	EXPECT_EQ(0, replies_to(MBOX_LEAF | MBOX_HANGUP, USER_A, self->mb, self->cl));
}

/* What comes with a broadcast need not be a mailbox for the reply. */
TEST_F(broadcast, descriptors_of_other_kinds)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox_msg msg = MBOX_MSG_INIT(request, sizeof(request));
	struct mbox *ring;
	int fds[3];
	int i;

	attr.flags = 0;
	attr.mode = MBOX_RING;
	ring = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!ring);
	ASSERT_EQ(0, pipe(fds));
	fds[2] = open("/dev/null", O_RDWR);
	msg.fds = MBOX_PTR(fds);
	for (i = 1; i <= 3; i++) {
		msg.nfds = i;
		EXPECT_EQ(0, neg(mbox_sendmsg(self->mb, &msg)));
	}
	EXPECT_EQ(2, ask_all(self->cl, DOUBLE, 21, 0, forever));
	for (i = 0; i < 3; i++)
		close(fds[i]);
	mbox_close(ring);
}

/* ---- servers that make their replies themselves ------------------------------- */

/* A union as rpcgen makes them, whose number has the memory of its pointer. */
struct either {
	int is_text;
	union {
		uint64_t number;
		char *text;
	};
};

static bool_t xdr_either(XDR *xdrs, struct either *either)
{
	if (!xdr_int(xdrs, &either->is_text))
		return FALSE;
	if (either->is_text)
		return xdr_string(xdrs, &either->text, 100);
	return xdr_uint64_t(xdrs, &either->number);
}

/**
 * struct forger - a thread that sends replies to each broadcast
 * @mb: where it receives
 * @sent: it writes a byte when they are sent
 * @replies: what they have as results
 */
struct forger {
	pthread_t thread;
	struct mbox *mb;
	int sent[2];
	struct either replies[2];
};

/* @xid has the byte order of the request. */
static void forge(struct mbox *answer, uint32_t xid, struct either *result)
{
	uint32_t reply[32] = { xid, htonl(REPLY), htonl(MSG_ACCEPTED), htonl(AUTH_NONE), 0,
			       htonl(SUCCESS) };
	const size_t head = 6 * sizeof(reply[0]);
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)reply + head, sizeof(reply) - head, XDR_ENCODE);
	if (!xdr_either(&xdrs, result))
		abort();
	/* The client may have given up. */
	mbox_send(answer, reply, head + XDR_GETPOS(&xdrs), 0);
}

static void *forge_replies(void *arg)
{
	struct forger *f = arg;
	struct mbox *answer;
	uint32_t request[64];
	unsigned int i;
	int fd;

	for (;;) {
		struct mbox_msg msg = MBOX_MSG_INIT(request, sizeof(request));

		msg.fds = MBOX_PTR(&fd);
		msg.nfds = 1;
		/* The end of the client. */
		if (mbox_recvmsg(f->mb, &msg) < 0)
			return NULL;
		answer = mbox_from_fd(fd);
		for (i = 0; i < ARRAY_SIZE(f->replies); i++)
			forge(answer, request[0], &f->replies[i]);
		mbox_close(answer);
		if (write(f->sent[1], "", 1) != 1)
			abort();
	}
}

FIXTURE(forged)
{
	struct forger forger;
	struct mbox *mb;
	CLIENT *cl;
};

FIXTURE_SETUP(forged)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.flags = MBOX_BROADCAST | MBOX_HANGUP;
	self->mb = mbox_create(NULL, O_WRONLY, &attr);
	ASSERT_TRUE(!!self->mb);
	self->forger.mb = mbox_reopen(self->mb, O_RDONLY);
	ASSERT_TRUE(!!self->forger.mb);
	ASSERT_EQ(0, pipe(self->forger.sent));
	self->cl = clnt_mbox_create_handle(self->mb, PROG, LOW);
	ASSERT_TRUE(!!self->cl);
	ASSERT_EQ(0, thread_start(&self->forger.thread, forge_replies, &self->forger));
}

FIXTURE_TEARDOWN(forged)
{
	clnt_destroy(self->cl);
	mbox_close(self->mb);
	pthread_join(self->forger.thread, NULL);
	mbox_close(self->forger.mb);
	close(self->forger.sent[0]);
	close(self->forger.sent[1]);
}

static char victim[16];

/**
 * struct taken - the results of a broadcast
 * @either: decoded, one after the other
 * @n: how many
 * @bad: those that are not as sent
 * @sent: to read from when the first one is there, unless -1
 * @wait_ms: how long to wait then
 */
static struct taken {
	struct either either;
	int n;
	int bad;
	int sent;
	int wait_ms;
} taken;

static bool_t take_either(void *res, const struct mbox_rpc_peer *server)
{
	struct either *either = res;
	__s64 limit = in_ms(CLOCK_MONOTONIC, taken.wait_ms);
	char c;

	if (either->is_text)
		taken.bad += !strcmp(either->text, "text") ? either->text == victim : 1;
	else
		taken.bad += either->number != (uintptr_t)victim;
	if (!taken.n++ && taken.sent >= 0) {
		taken.bad += read(taken.sent, &c, 1) != 1;
		while (now_ns(CLOCK_MONOTONIC) <= limit)
			pause_briefly();
	}
	return FALSE;
}

static enum clnt_stat take_all(CLIENT *cl, int sent, struct timeval timeout)
{
	memset(&taken, 0, sizeof(taken));
	taken.sent = sent;
	taken.wait_ms = timeout.tv_sec * 1000 + timeout.tv_usec / 1000 + 1;
	return clnt_mbox_broadcast(cl, DOUBLE, nothing, NULL, (xdrproc_t)xdr_either,
				   &taken.either, sizeof(taken.either), take_either, timeout);
}

/* Nothing of a result is there when the next is decoded: it would be taken as a pointer. */
TEST_F(forged, results_of_other_kinds_one_after_the_other)
{
	int i;

	strcpy(victim, "untouched");
	self->forger.replies[0] = (struct either){ .number = (uintptr_t)victim };
	self->forger.replies[1] = (struct either){ .is_text = 1, .text = "text" };
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(RPC_SUCCESS, take_all(self->cl, -1, forever));
		EXPECT_EQ(2, taken.n);
		EXPECT_EQ(0, taken.bad);
		EXPECT_STREQ("untouched", victim);
	}
}

/* However many replies wait, none is taken when the time is over. */
TEST_F(forged, deadline_ends_a_broadcast)
{
	struct timeval timeout = { .tv_usec = 50000 };
	char c;

	self->forger.replies[0] = (struct either){ .number = (uintptr_t)victim };
	self->forger.replies[1] = self->forger.replies[0];
	for (;;) {
		EXPECT_EQ(RPC_TIMEDOUT, take_all(self->cl, self->forger.sent[0], timeout));
		EXPECT_EQ(ETIMEDOUT, error_of(self->cl).re_errno);
		if (taken.n)
			break;
		/* The server was too slow. */
		ASSERT_EQ(1, read(self->forger.sent[0], &c, 1));
		timeout.tv_sec++;
	}
	EXPECT_EQ(1, taken.n);
	EXPECT_EQ(0, taken.bad);
}

TEST_HARNESS_MAIN

#else /* HAVE_TIRPC */

#include <kselftest.h>

int main(void)
{
	ksft_print_header();
	ksft_exit_skip("built without libtirpc: it is not there for this width or architecture\n");
}

#endif /* HAVE_TIRPC */
