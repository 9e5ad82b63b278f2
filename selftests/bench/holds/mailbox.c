// SPDX-License-Identifier: GPL-2.0-only
/* Mailboxes, and single calls on them. */
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "holds.h"

#define URGENT 50

void must(long ret, const char *what)
{
	if (ret < 0)
		err(1, "%s: %s", s.state->name, what);
}

uint32_t random_u32(void)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;

	return seed >> 33;
}

/* A deadline that a call that waits reaches. */
uint64_t soon(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000000000ULL + ts.tv_nsec + 200000;
}

/* Of SCHED_FIFO, or 0 for an ordinary thread. */
void priority(int prio)
{
	struct sched_param param = { .sched_priority = prio };

	must(sched_setscheduler(0, prio ? SCHED_FIFO : SCHED_OTHER, &param), "sched_setscheduler");
}

void urgent(bool on)
{
	priority(on ? URGENT : 0);
}

/* The calling thread alone. */
void become(uid_t uid)
{
	must(syscall(SYS_setresuid, uid, uid, 0), "setresuid");
}

struct mbox *make(uint32_t mode, uint32_t flags, uint32_t capacity, int oflags)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;

	attr.mode = mode;
	attr.flags = flags;
	attr.capacity = capacity;
	attr.msg_max = 64;
	mb = mbox_create(NAME, oflags | O_EXCL, &attr);
	if (!mb)
		err(1, "%s: mbox_create", s.state->name);

	return mb;
}

struct mbox *another(int oflags)
{
	struct mbox *mb = mbox_open(NAME, oflags);

	if (!mb)
		err(1, "%s: mbox_open", s.state->name);

	return mb;
}

void open_handles(unsigned int n, int oflags)
{
	s.handles = calloc(n, sizeof(struct mbox *));
	if (!s.handles)
		err(1, "handles");
	for (s.nhandles = 0; s.nhandles < n; s.nhandles++)
		s.handles[s.nhandles] = another(oflags);
}

long send_to(struct mbox *mb, uint32_t prio, uint64_t type, uint32_t flags, uint64_t deadline)
{
	uint64_t data = type;
	struct mbox_msg msg = {
		.buf = (uintptr_t)&data,
		.len = sizeof(data),
		.flags = flags,
		.prio = prio,
		.type = type,
		.deadline_ns = deadline,
	};

	return mbox_sendmsg(mb, &msg);
}

long recv_from(struct mbox *mb, uint64_t type, uint32_t skip, uint32_t flags, uint64_t deadline)
{
	uint64_t data;
	struct mbox_msg msg = {
		.buf = (uintptr_t)&data,
		.len = sizeof(data),
		.flags = flags,
		.skip = skip,
		.type = type,
		.deadline_ns = deadline,
	};

	return mbox_recvmsg(mb, &msg);
}

void fill(unsigned int n, bool prios, bool types)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		must(send_to(s.mb, prios ? random_u32() & MBOX_PRIO_MAX : 0, types ? i + 1 : 1,
			     MBOX_DONTWAIT, 0),
		     "send");
}

void call_for(uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	char data[8] = "", rep[8];

	mbox_call(s.mb, data, sizeof(data), rep, sizeof(rep), &ts);
}

void job_call(unsigned int i)
{
	char req[8] = "", rep[8];

	mbox_call(s.mb, req, sizeof(req), rep, sizeof(rep), NULL);
}

void job_poll(unsigned int i)
{
	struct pollfd pfd = { .fd = mbox_fd(s.handles[i]), .events = POLLIN };

	poll(&pfd, 1, -1);
}
