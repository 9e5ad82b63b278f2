// SPDX-License-Identifier: GPL-2.0-only
/*
 * A call that goes to all servers at a mailbox with MBOX_BROADCAST: first one that is not
 * waited for, and then one that each of them answers.
 *
 * usage: rpc-everyone MAILBOX
 */
#include <mbox_rpc.h>
#include <stdio.h>
#include <stdlib.h>

#include "need.h"
#include "records.h"

static int servers;

/* [each] */
static bool_t add_one(void *res, const struct mbox_rpc_peer *server)
{
	(void)server;
	printf("a server has had %d visits\n", *(int *)res);
	servers++;

	/* The others are to be heard, too. */
	return FALSE;
}

/* [/each] */
int main(int argc, char **argv)
{
	struct timeval limit = { .tv_sec = 25 };
	int i, visits;
	CLIENT *cl;

	if (argc != 2) {
		fprintf(stderr, "usage: rpc-everyone MAILBOX\n");
		return 2;
	}
	cl = clnt_mbox_create(argv[1], RECORDS_PROG, RECORDS_V1);
	if (!cl) {
		clnt_pcreateerror(argv[1]);
		return 1;
	}
	/* [all] */
	for (i = 0; i < 3; i++)
		need(cl, clnt_call(cl, VISIT, (xdrproc_t)xdr_void, NULL, NULL, NULL,
				   (struct timeval){ 0 }), "visit");
	need(cl, clnt_mbox_broadcast(cl, VISITS, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_int,
				     &visits, sizeof(visits), add_one, limit), "visits");
	/* [/all] */
	printf("%d servers\n", servers);
	clnt_destroy(cl);

	return 0;
}
