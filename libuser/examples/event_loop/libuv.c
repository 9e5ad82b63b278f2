// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server in the event loop of libuv: a handle of type uv_poll_t watches the mailbox. The
 * loop ends when nothing is left to watch.
 */
#include <uv.h>

#include "event_loop/clients.h"

/* The functions of libuv return the error, and do not set errno. */
static void try_uv(int result, const char *what)
{
	errno = -result;
	if (result < 0)
		give_up(what);
}

/* [readable] */
static void readable(uv_poll_t *watch, int status, int events)
{
	try_uv(status, "poll");
	/* A hangup comes as UV_READABLE, too. */
	if (!answer(watch->data))
		uv_close((uv_handle_t *)watch, NULL);
}

/* [/readable] */

int main(void)
{
	struct mbox *mb = start_clients();
	uv_loop_t loop;

	try_uv(uv_loop_init(&loop), "uv_loop_init");
	/* [watch] */
	uv_poll_t watch = { .data = mb };

	try_uv(uv_poll_init(&loop, &watch, mbox_fd(mb)), "uv_poll_init");
	try_uv(uv_poll_start(&watch, UV_READABLE, readable), "uv_poll_start");
	uv_run(&loop, UV_RUN_DEFAULT);
	/* [/watch] */
	try_uv(uv_loop_close(&loop), "uv_loop_close");
	end(mb);

	return 0;
}
