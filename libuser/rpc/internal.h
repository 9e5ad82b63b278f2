/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of libmbox-rpc share. */
#ifndef _MBOX_RPC_INTERNAL_H
#define _MBOX_RPC_INTERNAL_H

#include <stdbool.h>

#include "mbox_rpc.h"

#define MBOX_API __attribute__((visibility("default")))

/*
 * Of the usual reply, before its results: xid, direction, accepted, a verifier without bytes
 * (a kind and a length), success. libtirpc's coders for replies of all kinds take much longer.
 */
#define REPLY_WORDS 6

struct client;

/* The memory of one call: the request, and then the reply in its place. */
struct buffer {
	struct buffer *next;
	char data[] __attribute__((aligned(8)));
};

/**
 * struct attempt - one call of one thread
 * @client: on which client
 * @buffer: its memory
 * @size: bytes in it
 * @xid: the transaction
 * @prog: which program, and which version of it
 * @timeout: how long the thread waits; zero: there is no reply
 * @err: how the call ended
 */
struct attempt {
	struct client *client;
	struct buffer *buffer;
	uint32_t size;
	uint32_t xid;
	uint32_t prog;
	uint32_t vers;
	struct timeval timeout;
	struct rpc_err err;
};

/* Begin a call. Returns false if there is no memory; the call has ended then. */
bool rpc_begin(CLIENT *cl, struct attempt *a, struct timeval timeout);

/* Encode the request. Returns its length; 0: it cannot be encoded, and @a->err says so. */
uint32_t rpc_encode(CLIENT *cl, struct attempt *a, rpcproc_t proc, xdrproc_t xargs, void *args);

/*
 * Decode the @len bytes in the buffer of @a, a reply, into @a->err and @res. Returns true if
 * the call is to be made again, with other credentials.
 */
bool rpc_decode(CLIENT *cl, struct attempt *a, size_t len, xdrproc_t xres, void *res);

/* End the call. Returns how it ended. */
enum clnt_stat rpc_end(struct attempt *a);

/* The mailbox of a client. */
struct mbox *rpc_mailbox(CLIENT *cl);

/* The absolute time @timeout from now, for the deadline_ns of a message. */
uint64_t rpc_deadline(const struct timeval *timeout);

/*
 * The length of the longest message of @mb, and its flags. Returns 0 and sets errno if @mb
 * is no queue.
 */
uint32_t rpc_msg_max(struct mbox *mb, uint32_t *flags);

#endif /* _MBOX_RPC_INTERNAL_H */
