// SPDX-License-Identifier: GPL-2.0-only
/* Rings with many sleepers, pollers and mappings. */
#include <sys/ioctl.h>
#include <time.h>

#include "holds.h"

static void job_ring_recv(unsigned int i)
{
	uint64_t data;

	mbox_recv(s.mb, &data, sizeof(data), 0);
}

static void job_ring_send(unsigned int i)
{
	uint64_t data = i;

	mbox_send(s.mb, &data, sizeof(data), 0);
}

static void ring_timed(bool send)
{
	uint64_t deadline = soon(), data = 0;
	struct timespec ts = {
		.tv_sec = deadline / 1000000000,
		.tv_nsec = deadline % 1000000000,
	};

	if (send)
		mbox_timedsend(s.mb, &data, sizeof(data), 0, &ts);
	else
		mbox_timedrecv(s.mb, &data, sizeof(data), 0, &ts);
}

static void wake_side(unsigned int side, unsigned int n)
{
	struct mbox_ring_wake arg = { .side = side, .n = n };

	ioctl(mbox_fd(s.mb), MBOX_IOC_RING_WAKE, &arg);
}

static void ring_operations(void)
{
	uint64_t data = 0;
	struct mbox *mb;

	small_operations();
	epoll_operations();
	OPERATION("recv, waits", ring_timed(false));
	OPERATION("send, waits", ring_timed(true));
	urgent(true);
	OPERATION("recv, urgent, waits", ring_timed(false));
	OPERATION("send, urgent, waits", ring_timed(true));
	urgent(false);
	OPERATION("send", mbox_send(s.mb, &data, sizeof(data), MBOX_DONTWAIT));
	OPERATION("recv", mbox_recv(s.mb, &data, sizeof(data), MBOX_DONTWAIT));
	OPERATION("open", mb = mbox_open(NAME, O_RDWR));
	if (!mb)
		err(1, "mbox_open");
	OPERATION("map", mbox_send(mb, &data, sizeof(data), MBOX_DONTWAIT));
	OPERATION("map for receiving", mbox_recv(mb, &data, sizeof(data), MBOX_DONTWAIT));
	OPERATION("close", mbox_close(mb));
	OPERATION("wake one", wake_side(MBOX_RING_RECEIVERS, 1));
	OPERATION("wake one sender", wake_side(MBOX_RING_SENDERS, 1));
	OPERATION("wake 100", wake_side(MBOX_RING_RECEIVERS, 100));
	OPERATION("wake all", wake_side(MBOX_RING_RECEIVERS, UINT32_MAX));
	OPERATION("wake all senders", wake_side(MBOX_RING_SENDERS, UINT32_MAX));
}

static void prepare_ring_receivers(void)
{
	s.mb = make(MBOX_RING, 0, 64, O_RDWR);
	mbox_set_spin(s.mb, 0);
	start_all(nwaiters, job_ring_recv);
}

static void prepare_ring_senders(void)
{
	uint64_t data = 0;

	s.mb = make(MBOX_RING, 0, 1, O_RDWR);
	mbox_set_spin(s.mb, 0);
	must(mbox_send(s.mb, &data, sizeof(data), 0), "send");
	start_all(nwaiters, job_ring_send);
}

static void prepare_ring_pollers(void)
{
	s.mb = make(MBOX_RING, 0, 64, O_RDWR);
	open_handles(nwaiters, O_RDONLY);
	start_all(nwaiters, job_poll);
}

static void prepare_mappings(void)
{
	uint64_t data = 0;
	unsigned int i;

	s.mb = make(MBOX_RING, 0, 65536, O_RDWR);
	open_handles(nmappings, O_RDWR);
	for (i = 0; i < nmappings; i++) {
		must(mbox_send(s.handles[i], &data, sizeof(data), MBOX_DONTWAIT), "map");
		must(mbox_recv(s.handles[i], &data, sizeof(data), MBOX_DONTWAIT), "map");
	}
}

static void then_mappings(void)
{
	ring_operations();
	OPERATION("a mapping goes", mbox_close(s.handles[nmappings - 1]));
	s.nhandles--;
}

const struct state ring_states[] = {
	{ "ring receivers", prepare_ring_receivers, ring_operations, true, job_ring_recv },
	{ "ring senders", prepare_ring_senders, ring_operations, true, job_ring_send },
	{ "ring pollers", prepare_ring_pollers, ring_operations, true, job_poll,
	  true },
	{ "ring mappings", prepare_mappings, then_mappings, true },
	{ NULL },
};
