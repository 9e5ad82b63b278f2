// SPDX-License-Identifier: GPL-2.0-only
/*
 * One server of two programs, at a mailbox and at a TCP port at once. The procedures, and
 * the stubs that call them, are the same for both.
 *
 * usage: rpc-server MAILBOX FILE [PORT]
 */
#include <errno.h>
#include <mbox_rpc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calc.h"
#include "records.h"

/* Dispatch functions of rpcgen's, which no header of its declares. */
void calc_prog_1(struct svc_req *req, SVCXPRT *xprt);
void records_prog_1(struct svc_req *req, SVCXPRT *xprt);

/* Each record has as much of the file, and there are so many. */
#define SLOT 512
#define SLOTS 1000

static int file;
static int visits;

/* ---- the calculator ---------------------------------------------------------- */

bool_t add_1_svc(operands in, double *out, struct svc_req *req)
{
	(void)req;
	*out = in.a + in.b;

	return TRUE;
}

bool_t multiply_1_svc(operands in, double *out, struct svc_req *req)
{
	(void)req;
	*out = in.a * in.b;

	return TRUE;
}

/* [procedure] */
bool_t divide_1_svc(operands in, quotient *out, struct svc_req *req)
{
	(void)req;
	out->exists = in.b != 0;
	if (out->exists)
		out->quotient_u.value = in.a / in.b;

	return TRUE;
}

/* [/procedure] */
int calc_prog_1_freeresult(SVCXPRT *xprt, xdrproc_t code, caddr_t res)
{
	(void)xprt;
	xdr_free(code, res);

	return 1;
}

/* ---- the records ------------------------------------------------------------- */

/* The file has records as XDR, too: it can be moved to another machine. */
bool_t write_record_1_svc(record in, int *out, struct svc_req *req)
{
	char slot[SLOT] = { 0 };
	XDR xdrs;

	(void)req;
	xdrmem_create(&xdrs, slot, sizeof(slot), XDR_ENCODE);
	if (in.number >= SLOTS || !xdr_record(&xdrs, &in))
		*out = EINVAL;
	else if (pwrite(file, slot, SLOT, (off_t)in.number * SLOT) != SLOT)
		*out = EIO;
	else
		*out = 0;

	return TRUE;
}

bool_t read_record_1_svc(u_int number, record_result *out, struct svc_req *req)
{
	record *found = &out->record_result_u.found;
	char slot[SLOT];
	XDR xdrs;

	(void)req;
	memset(out, 0, sizeof(*out));
	xdrmem_create(&xdrs, slot, sizeof(slot), XDR_DECODE);
	if (number >= SLOTS)
		out->error = EINVAL;
	else if (pread(file, slot, SLOT, (off_t)number * SLOT) != SLOT)
		out->error = ENOENT;
	else if (!xdr_record(&xdrs, found))
		out->error = EIO;
	/* A hole in the file. */
	else if (!found->name[0])
		out->error = ENOENT;

	return TRUE;
}

/* The client waits for no reply, so it gets none. */
bool_t visit_1_svc(void *out, struct svc_req *req)
{
	(void)out;
	(void)req;
	visits++;

	return FALSE;
}

bool_t visits_1_svc(int *out, struct svc_req *req)
{
	(void)req;
	*out = visits;

	return TRUE;
}

/* By TCP, a client can claim to be any user. Only by mailbox it is true. */
bool_t who_am_i_1_svc(int *out, struct svc_req *req)
{
	struct mbox_rpc_peer peer;

	*out = svc_mbox_peer(req->rq_xprt, &peer) ? (int)peer.uid : -1;

	return TRUE;
}

int records_prog_1_freeresult(SVCXPRT *xprt, xdrproc_t code, caddr_t res)
{
	(void)xprt;
	xdr_free(code, res);

	return 1;
}

/* ---- both -------------------------------------------------------------------- */

static SVCXPRT *at_port(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8))
		return NULL;

	return svc_vc_create(fd, 0, 0);
}

static void serve(SVCXPRT *xprt, const char *where)
{
	if (!xprt) {
		perror(where);
		exit(1);
	}
	/* Without a network, there is nothing to tell rpcbind. */
	if (!svc_reg(xprt, CALC_PROG, CALC_V1, calc_prog_1, NULL) ||
	    !svc_reg(xprt, RECORDS_PROG, RECORDS_V1, records_prog_1, NULL)) {
		fprintf(stderr, "%s: cannot register\n", where);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: rpc-server MAILBOX FILE [PORT]\n");
		return 2;
	}
	file = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0) {
		perror(argv[2]);
		return 1;
	}
	/* [serve] */
	serve(svc_mbox_create(argv[1], 0622), argv[1]);
	if (argc == 4)
		serve(at_port(atoi(argv[3])), argv[3]);
	printf("ready\n");
	fflush(stdout);
	svc_run();
	/* [/serve] */

	return 1;
}
