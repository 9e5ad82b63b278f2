// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server in the main loop of GLib, which GTK and much of a desktop run in: a source made
 * of a descriptor watches the mailbox.
 */
#include <glib-unix.h>

#include "event_loop/clients.h"

/* [readable] */
struct server {
	struct mbox *mb;
	GMainLoop *loop;
};

static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
	struct server *server = data;

	/* G_IO_HUP and G_IO_ERR come without being asked for. */
	if (answer(server->mb))
		return G_SOURCE_CONTINUE;
	g_main_loop_quit(server->loop);

	return G_SOURCE_REMOVE;
}

/* [/readable] */

int main(void)
{
	/* [watch] */
	struct server server = {
		.mb = start_clients(),
		.loop = g_main_loop_new(NULL, FALSE),
	};

	g_unix_fd_add(mbox_fd(server.mb), G_IO_IN, readable, &server);
	g_main_loop_run(server.loop);
	/* [/watch] */
	g_main_loop_unref(server.loop);
	end(server.mb);

	return 0;
}
