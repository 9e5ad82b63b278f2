// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it takes to ask for the state of a queue, and for that of all of them: the calls of
 * POSIX and of System V, each beside what stands in for it.
 */
#include <err.h>
#include <sys/msg.h>

#include "../measure.h"
#include "compare.h"

static const struct shape shape = { 8, 2, 1, 1 };

static struct channel channel;
static int cmd;

static void ask(void *arg)
{
	if (!channel.transport->ask(&channel, cmd))
		err(1, "%s", channel.transport->name);
}

static void measure_state_of(const char *measure, enum asks_as asks_as, int cmd_of_sysv)
{
	struct row row = { measure, shape.size, 1, 1 };
	struct result results[TRANSPORTS_MOST] = { 0 };
	unsigned int i;

	cmd = cmd_of_sysv;
	for (i = 0; i < ntransports; i++) {
		const struct transport *t = transports[i];

		if (t->asks_as != asks_as || !open_channel(&channel, t, &shape))
			continue;
		results[i].there = true;
		results[i].middle = pair_cost(ask, NULL);
		t->close(&channel);
	}
	report(&row, results, NULL);
}

void measure_state(void)
{
	if (wanted("mq-getattr"))
		measure_state_of("mq-getattr", MQ_GETATTR, 0);
	if (wanted("ipc-stat"))
		measure_state_of("ipc-stat", MSGCTL, IPC_STAT);
	if (wanted("ipc-info"))
		measure_state_of("ipc-info", MSGCTL, IPC_INFO);
	if (wanted("msg-info"))
		measure_state_of("msg-info", MSGCTL, MSG_INFO);
}
