// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server in the event loop of libsystemd, sd-event(3): an I/O event source watches the
 * mailbox.
 */
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "event_loop/clients.h"

/* The functions of libsystemd return the error, and do not set errno. */
static void try_sd(int result, const char *what)
{
	errno = -result;
	if (result < 0)
		give_up(what);
}

/* [readable] */
static int readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct mbox *mb = data;

	/* EPOLLHUP and EPOLLERR come without being asked for. */
	if (answer(mb))
		return 0;

	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* [/readable] */

int main(void)
{
	struct mbox *mb = start_clients();
	/* [watch] */
	sd_event_source *source;
	sd_event *loop;

	try_sd(sd_event_new(&loop), "sd_event_new");
	try_sd(sd_event_add_io(loop, &source, mbox_fd(mb), EPOLLIN, readable, mb),
	       "sd_event_add_io");
	try_sd(sd_event_loop(loop), "sd_event_loop");
	/* [/watch] */
	/* It watches the descriptor until the mailbox is closed. */
	sd_event_source_unref(source);
	sd_event_unref(loop);
	end(mb);

	return 0;
}
