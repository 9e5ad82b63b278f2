/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the clients share: ending on an error.
 */
#ifndef _NEED_H
#define _NEED_H

#include <mbox_rpc.h>
#include <stdlib.h>

/* The program ends if the call has not succeeded. */
static inline void need(CLIENT *cl, enum clnt_stat stat, const char *what)
{
	if (stat == RPC_SUCCESS)
		return;
	clnt_perror(cl, what);
	exit(1);
}

#endif /* _NEED_H */
