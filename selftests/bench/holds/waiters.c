// SPDX-License-Identifier: GPL-2.0-only
/* Queues on which many wait, other than for a reply. */
#include <fcntl.h>
#include <poll.h>

#include "holds.h"

static void job_recv(unsigned int i)
{
	recv_from(s.mb, 0, 0, 0, 0);
}

static void job_recv_type(unsigned int i)
{
	recv_from(s.mb, i + 1, 0, MBOX_MATCH, 0);
}

static void job_peek(unsigned int i)
{
	recv_from(s.mb, 0, 0, MBOX_PEEK, 0);
}

static void job_send(unsigned int i)
{
	send_to(s.mb, 0, i + 1, 0, 0);
}

static void job_sync(unsigned int i)
{
	send_to(s.mb, 0, i + 1, MBOX_SYNC, 0);
}

static void job_recv_of_priority(unsigned int i)
{
	priority(1 + i % 99);
	recv_from(s.mb, 0, 0, 0, 0);
	priority(0);
}

static void job_send_of_priority(unsigned int i)
{
	priority(1 + i % 99);
	send_to(s.mb, 0, i + 1, 0, 0);
	priority(0);
}

/* Senders of many users; the first half of one. */
static void job_send_of_user(unsigned int i)
{
	become(i < nwaiters / 2 ? 1000 : 1000 + i);
	send_to(s.mb, 0, i + 1, 0, 0);
	become(0);
}

/* One user has what it may have in mailboxes of another. */
static void job_send_at_limit(unsigned int i)
{
	become(1000);
	send_to(s.handles[0], 0, i + 1, 0, 0);
	become(0);
}

static void prepare_receivers(void)
{
	s.mb = make(MBOX_QUEUE, 0, 64, O_RDWR);
	start_all(nwaiters, job_recv);
}

static void prepare_receivers_by_type(void)
{
	s.mb = make(MBOX_QUEUE, 0, 64, O_RDWR);
	start_all(nwaiters, job_recv_type);
}

static void prepare_peekers(void)
{
	s.mb = make(MBOX_QUEUE, 0, 64, O_RDWR);
	start_all(nwaiters, job_peek);
}

static void prepare_senders(void)
{
	s.mb = make(MBOX_QUEUE, 0, 1, O_RDWR);
	fill(1, false, false);
	start_all(nwaiters, job_send);
}

static void prepare_fair_senders(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_FAIR, 1, O_RDWR);
	fill(1, false, false);
	start_all(nwaiters, job_send_of_user);
}

static void prepare_receivers_of_priorities(void)
{
	s.mb = make(MBOX_QUEUE, 0, 64, O_RDWR);
	start_all(nwaiters, job_recv_of_priority);
}

static void prepare_senders_of_priorities(void)
{
	s.mb = make(MBOX_QUEUE, 0, 1, O_RDWR);
	fill(1, false, false);
	start_all(nwaiters, job_send_of_priority);
}

static void prepare_rendezvous(void)
{
	s.mb = make(MBOX_QUEUE, 0, 0, O_RDWR);
	start_all(nwaiters, job_send);
}

static void prepare_syncers(void)
{
	s.mb = make(MBOX_QUEUE, 0, MBOX_UNBOUNDED, O_RDWR);
	start_all(nwaiters, job_sync);
}

static void prepare_senders_at_limit(void)
{
	s.mb = make(MBOX_QUEUE, 0, MBOX_UNBOUNDED, O_RDWR);
	must(mbox_set_perm(s.mb, -1, -1, 0666), "set_perm");
	become(1000);
	open_handles(1, O_WRONLY);
	while (!send_to(s.handles[0], 0, 1, MBOX_DONTWAIT, 0))
		;
	become(0);
	start_all(nwaiters, job_send_at_limit);
}

static void prepare_pollers(void)
{
	s.mb = make(MBOX_QUEUE, 0, 64, O_RDWR);
	open_handles(nwaiters, O_RDONLY);
	start_all(nwaiters, job_poll);
}

static void prepare_hangup_receivers(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_HANGUP, 64, O_RDONLY);
	open_handles(1, O_WRONLY);
	start_all(nwaiters, job_recv);
}

static void prepare_hangup_senders(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_HANGUP, 1, O_WRONLY);
	open_handles(1, O_RDONLY);
	fill(1, false, false);
	start_all(nwaiters, job_send);
}

static void prepare_hangup_pollers(void)
{
	struct mbox *mb;

	s.mb = make(MBOX_QUEUE, MBOX_HANGUP, 64, O_WRONLY);
	mb = s.mb;
	open_handles(nwaiters, O_RDONLY);
	start_all(nwaiters, job_poll);
	s.mb = s.handles[0];
	s.handles[0] = mb;
}

const struct state waiter_states[] = {
	{ "receivers", prepare_receivers, .job = job_recv, .empty = true },
	{ "receivers by type", prepare_receivers_by_type, .job = job_recv_type, .empty = true },
	{ "receivers, priorities", prepare_receivers_of_priorities, .job = job_recv_of_priority,
	  .empty = true },
	{ "receivers, hang up", prepare_hangup_receivers, hang_up, true },
	{ "waiting peekers", prepare_peekers, .job = job_peek, .empty = true },
	{ "senders", prepare_senders, .job = job_send },
	{ "senders, fair", prepare_fair_senders, .job = job_send_of_user },
	{ "senders, priorities", prepare_senders_of_priorities, .job = job_send_of_priority },
	{ "senders, rendezvous", prepare_rendezvous, .job = job_send },
	{ "senders, sync", prepare_syncers, .job = job_sync },
	{ "senders, limit", prepare_senders_at_limit, .job = job_send_at_limit },
	{ "senders, hang up", prepare_hangup_senders, hang_up, true },
	{ "pollers", prepare_pollers, .job = job_poll, .empty = true },
	{ "pollers, hang up", prepare_hangup_pollers, hang_up, true },
	{ NULL },
};
