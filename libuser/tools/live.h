/* SPDX-License-Identifier: GPL-2.0-only */
/* A screen of the terminal that shows the activity in mailboxes. */
#ifndef MBOXCTL_LIVE_H
#define MBOXCTL_LIVE_H

#include <signal.h>
#include <stdint.h>

#include "list.h"

/**
 * struct live - what to show
 * @chosen: these mailboxes only, in the order of their ids; NULL: all
 * @routes: the file of mbox-nats; where there is none, no routes are shown
 * @interval_ns: time between two looks
 * @count: how many looks; 0: until it is stopped
 * @stopped: set by the handlers of the signals that stop it
 * @waiting: the signals that stay blocked while it waits
 */
struct live {
	const struct list *chosen;
	const char *routes;
	uint64_t interval_ns;
	uint64_t count;
	const volatile sig_atomic_t *stopped;
	const sigset_t *waiting;
};

/*
 * Shows mailboxes until the user presses q, a signal stops it, or @count looks are shown.
 * Standard output must be a terminal. Returns an exit status; errors are printed.
 */
int live_show(const struct live *live);

#endif /* MBOXCTL_LIVE_H */
