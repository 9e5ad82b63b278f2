// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of both programs of the server, by mailbox or by TCP. All but connect_to() is the
 * same for both.
 *
 * usage: rpc-client MAILBOX
 *        rpc-client ADDRESS PORT
 */
#include <arpa/inet.h>
#include <mbox_rpc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calc.h"
#include "need.h"
#include "records.h"

static CLIENT *by_tcp(const char *address, int port, rpcprog_t prog, rpcvers_t vers)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	struct netbuf at = { .maxlen = sizeof(addr), .len = sizeof(addr), .buf = &addr };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	CLIENT *cl;

	if (inet_pton(AF_INET, address, &addr.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		perror(address);
		exit(1);
	}
	/* The port is known: rpcbind need not be asked. */
	cl = clnt_vc_create(fd, &at, prog, vers, 0, 0);
	if (cl)
		clnt_control(cl, CLSET_FD_CLOSE, NULL);

	return cl;
}

static CLIENT *connect_to(char **argv, rpcprog_t prog, rpcvers_t vers)
{
	CLIENT *cl;

	/* [connect] */
	if (argv[2])
		cl = by_tcp(argv[1], atoi(argv[2]), prog, vers);
	else
		cl = clnt_mbox_create(argv[1], prog, vers);
	/* [/connect] */
	if (!cl) {
		clnt_pcreateerror(argv[1]);
		exit(1);
	}

	return cl;
}

static void calculate(CLIENT *cl)
{
	operands in = { 6, 7 };
	quotient q;
	double out;

	need(cl, add_1(in, &out, cl), "add");
	printf("6 + 7 = %g\n", out);
	need(cl, multiply_1(in, &out, cl), "multiply");
	printf("6 * 7 = %g\n", out);
	/* [call] */
	in = (operands){ 1, 4 };
	need(cl, divide_1(in, &q, cl), "divide");
	printf("1 / 4 = %g\n", q.quotient_u.value);
	/* [/call] */
	in.b = 0;
	need(cl, divide_1(in, &q, cl), "divide");
	printf("1 / 0 = %s\n", q.exists ? "a number" : "no number");
}

static void keep_records(CLIENT *cl)
{
	record ada = {
		.number = 3,
		.name = "Ada",
		.balance = -12345678901,
		.note = { 3, (char[]){ 0, 1, 2 } },
	};
	record *found;
	record_result res;
	int error;

	need(cl, write_record_1(ada, &error, cl), "write");
	printf("written: %s\n", strerror(error));
	memset(&res, 0, sizeof(res));
	need(cl, read_record_1(3, &res, cl), "read");
	found = &res.record_result_u.found;
	if (!res.error)
		printf("record %u: %s has %lld, and a note of %u bytes\n", found->number,
		       found->name, (long long)found->balance, found->note.note_len);
	clnt_freeres(cl, (xdrproc_t)xdr_record_result, (caddr_t)&res);
	need(cl, read_record_1(2, &res, cl), "read");
	printf("record 2: %s\n", strerror(res.error));
}

/* Calls that the client does not wait for, and one behind them that it does. */
static void visit(CLIENT *cl)
{
	int i, before, after;

	need(cl, visits_1(&before, cl), "visits");
	for (i = 0; i < 10; i++)
		need(cl, clnt_call(cl, VISIT, (xdrproc_t)xdr_void, NULL, NULL, NULL,
				   (struct timeval){ 0 }), "visit");
	need(cl, visits_1(&after, cl), "visits");
	printf("%d visits\n", after - before);
}

static void make_mistakes(CLIENT *cl, CLIENT *wrong)
{
	struct timeval limit = { .tv_sec = 25 };
	enum clnt_stat stat;

	stat = clnt_call(cl, 99, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL, limit);
	printf("procedure 99: %s\n", clnt_sperrno(stat));
	stat = clnt_call(cl, WRITE_RECORD, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL,
			 limit);
	printf("no arguments: %s\n", clnt_sperrno(stat));
	stat = clnt_call(wrong, NULLPROC, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL,
			 limit);
	printf("version 2: %s\n", clnt_sperrno(stat));
}

int main(int argc, char **argv)
{
	CLIENT *calc, *records, *wrong;
	int user;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: rpc-client MAILBOX\n       rpc-client ADDRESS PORT\n");
		return 2;
	}
	calc = connect_to(argv, CALC_PROG, CALC_V1);
	records = connect_to(argv, RECORDS_PROG, RECORDS_V1);
	wrong = connect_to(argv, RECORDS_PROG, 2);
	calculate(calc);
	keep_records(records);
	visit(records);
	make_mistakes(records, wrong);
	need(records, who_am_i_1(&user, records), "who am I");
	if (user < 0)
		printf("The server does not know who I am.\n");
	else
		printf("The server knows %s user I am.\n",
		       user == (int)getuid() ? "which" : "another");
	clnt_destroy(calc);
	clnt_destroy(records);
	clnt_destroy(wrong);

	return 0;
}
