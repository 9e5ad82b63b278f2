// SPDX-License-Identifier: GPL-2.0-only
/* Queues with many messages or handles, and without. */
#include "holds.h"

static void prepare_idle(void)
{
	s.mb = make(MBOX_QUEUE, 0, 64, O_RDWR);
}

void prepare_deep(void)
{
	s.mb = make(MBOX_QUEUE, 0, MBOX_UNBOUNDED, O_RDWR);
	fill(nmessages, true, true);
}

static void prepare_one_type(void)
{
	s.mb = make(MBOX_QUEUE, 0, MBOX_UNBOUNDED, O_RDWR);
	fill(nmessages, false, false);
}

static void prepare_fair_deep(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_FAIR, MBOX_UNBOUNDED, O_RDWR);
	fill(nmessages, true, true);
}

void prepare_drop(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_DROP_OLDEST, MBOX_UNBOUNDED, O_RDWR);
	fill(nmessages, true, true);
}

static void then_last_close(void)
{
	must(mbox_unlink(NAME), "unlink");
	OPERATION("close, the last", mbox_close(s.mb));
	s.mb = NULL;
}

static void prepare_handles(void)
{
	s.mb = make(MBOX_QUEUE, 0, 64, O_RDWR);
	open_handles(nwaiters, O_RDWR);
}

const struct state message_states[] = {
	{ "nothing", prepare_idle },
	{ "messages", prepare_deep },
	{ "messages, one type", prepare_one_type },
	{ "messages, fair", prepare_fair_deep },
	{ "messages, drop oldest", prepare_drop },
	{ "messages, last handle", prepare_deep, then_last_close, true },
	{ "handles", prepare_handles },
	{ NULL },
};
