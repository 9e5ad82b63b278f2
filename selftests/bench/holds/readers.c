// SPDX-License-Identifier: GPL-2.0-only
/* Broadcasts to many. */
#include "holds.h"

static void job_recv_handle(unsigned int i)
{
	while (recv_from(s.handles[i], 0, 0, MBOX_DONTWAIT, 0) >= 0)
		;
	recv_from(s.handles[i], 0, 0, 0, 0);
}

static void prepare_readers(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_BROADCAST, MBOX_UNBOUNDED, O_RDWR);
	open_handles(nreaders, O_RDONLY);
	fill(nmessages / 10, true, true);
}

static void prepare_waiting_readers(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_BROADCAST, MBOX_UNBOUNDED, O_RDWR);
	open_handles(nreaders, O_RDONLY);
	start_all(nreaders, job_recv_handle);
}

static void prepare_dropping_readers(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_BROADCAST | MBOX_DROP_OLDEST, MBOX_UNBOUNDED, O_RDWR);
	open_handles(nreaders, O_RDONLY);
	fill(nmessages / 10, true, true);
}

static void then_readers(void)
{
	OPERATION("a reader goes", mbox_close(s.handles[nreaders - 1]));
	s.nhandles--;
}

const struct state reader_states[] = {
	{ "readers", prepare_readers, then_readers },
	{ "readers, waiting", prepare_waiting_readers, then_readers,
	  .job = job_recv_handle, .empty = true },
	{ "readers, drop oldest", prepare_dropping_readers, then_readers },
	{ NULL },
};
