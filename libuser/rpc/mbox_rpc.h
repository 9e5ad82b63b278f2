/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmbox-rpc: ONC RPC (RFC 5531) over mailboxes, a transport for libtirpc.
 *
 * Stubs that rpcgen(1) makes, and all other programs for the interface of rpc(3t), work
 * with the handles of these functions as with those of TCP. One request is one message,
 * the XDR bytes of an RPC call without a record mark, and its reply is the reply of
 * mbox_call(3). clnt_mbox_create(3) and svc_mbox_create(3) are the manual.
 *
 * Errors: as in libtirpc. A function that makes a client returns NULL and sets
 * rpc_createerr; one that makes a server returns NULL and sets errno.
 *
 * Threads: any number of threads can make calls on one CLIENT at the same time, and none
 * waits for the call of another. clnt_destroy() must be the last call on it. A SVCXPRT
 * belongs to the one thread that runs the services, as all of libtirpc's do.
 */
#ifndef _MBOX_RPC_H
#define _MBOX_RPC_H

#include <mbox.h>
#include <rpc/rpc.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct mbox_rpc_peer - what the kernel says of a process that has sent a message
 * @pid: its number in the pid namespace of the receiver; 0: it has none there
 * @uid: its real user id in the user namespace of the receiver
 * @gid: its real group id, likewise
 *
 * Credentials of kind AUTH_SYS have these ids, too. RFC 5531 has the effective ones there: a
 * daemon that has called seteuid(2) is seen as the user who has started it.
 */
struct mbox_rpc_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/**
 * clnt_mbox_create() - make a client of the server at a mailbox
 * @name: name or path of the mailbox, which exists
 * @prog: number of the program
 * @vers: its version
 *
 * The handle on the mailbox belongs to the client.
 *
 * Return: a client that the caller owns and ends with clnt_destroy(), or NULL and
 * rpc_createerr.
 */
CLIENT *clnt_mbox_create(const char *name, rpcprog_t prog, rpcvers_t vers);

/**
 * clnt_mbox_create_handle() - make a client on a handle
 * @mb: a handle with the right to send, of a queue; it stays the caller's, and open until
 *	the client is destroyed, unless clnt_control() with CLSET_FD_CLOSE gives it away
 * @prog: number of the program
 * @vers: its version
 *
 * Return: a client that the caller owns and ends with clnt_destroy(), or NULL and
 * rpc_createerr.
 */
CLIENT *clnt_mbox_create_handle(struct mbox *mb, rpcprog_t prog, rpcvers_t vers);

/**
 * clnt_mbox_broadcast() - call all servers at a broadcast mailbox
 * @cl: a client on a mailbox with MBOX_BROADCAST
 * @proc: number of the procedure
 * @xargs: codes the arguments
 * @args: the arguments
 * @xres: decodes a result
 * @res: where each result goes
 * @res_size: bytes at @res, which are set to 0 before each result
 * @each: called for each result with @res and the server that has sent it; what it
 *	decoded is freed afterwards. TRUE: no more are wanted
 * @timeout: how long to wait for all of them
 *
 * Servers that fail are left out. Needs /proc.
 *
 * Return: RPC_SUCCESS: @each returned TRUE, or every server has answered or given up;
 * RPC_TIMEDOUT: not every server has; or another error.
 */
enum clnt_stat clnt_mbox_broadcast(CLIENT *cl, rpcproc_t proc, xdrproc_t xargs, void *args,
				   xdrproc_t xres, void *res, size_t res_size,
				   bool_t (*each)(void *res, const struct mbox_rpc_peer *server),
				   struct timeval timeout);

/**
 * svc_mbox_create() - serve at a mailbox
 * @name: its name, as for mbox_create()
 * @perm: permission bits of a new mailbox: write is the right to call
 *
 * Creates the mailbox if there is none of this name, for 64 requests of up to 64 KiB
 * and with MBOX_HANGUP, and registers the transport for svc_run() and its like.
 *
 * Return: a transport, which svc_destroy() ends, or NULL and errno. In a procedure, it ends
 * when the procedure returns.
 */
SVCXPRT *svc_mbox_create(const char *name, mode_t perm);

/**
 * svc_mbox_create_handle() - serve on a handle
 * @mb: a handle with the right to receive, of a queue; on success it belongs to the
 *	transport
 *
 * Return: a transport, which svc_destroy() ends, or NULL and errno.
 */
SVCXPRT *svc_mbox_create_handle(struct mbox *mb);

/**
 * svc_mbox_peer() - who has sent the present request
 * @xprt: a transport, in the function that serves the request
 * @peer: set on success
 *
 * Return: TRUE; FALSE: @xprt is another kind of transport, such as TCP.
 */
bool_t svc_mbox_peer(SVCXPRT *xprt, struct mbox_rpc_peer *peer);

/**
 * svc_mbox_run() - serve at one mailbox, and nothing else
 * @xprt: a transport of this library
 *
 * As svc_run(), with one system call for a request instead of three: the thread waits in
 * the call that receives, and the reply goes out with the next receive, so when the
 * procedure has returned. Other transports are not served.
 *
 * Return: TRUE: the transport has ended, or libtirpc does not know it any more; FALSE: @xprt
 * is another kind of transport, such as TCP, or a procedure called this.
 */
bool_t svc_mbox_run(SVCXPRT *xprt);

#ifdef __cplusplus
}
#endif

#endif /* _MBOX_RPC_H */
