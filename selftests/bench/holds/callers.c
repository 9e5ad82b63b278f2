// SPDX-License-Identifier: GPL-2.0-only
/* Queues with many calls. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "holds.h"

static uint64_t *tokens;

static void prepare_callers(void)
{
	s.mb = make(MBOX_QUEUE, 0, MBOX_UNBOUNDED, O_RDWR);
	start_all(nwaiters, job_call);
}

static void take_requests(void)
{
	struct mbox_msg msg;
	unsigned int i;
	uint64_t data;

	free(tokens);
	tokens = calloc(nwaiters, sizeof(*tokens));
	if (!tokens)
		err(1, "tokens");
	for (i = 0; i < nwaiters; i++) {
		memset(&msg, 0, sizeof(msg));
		msg.buf = (uintptr_t)&data;
		msg.len = sizeof(data);
		must(mbox_recvmsg(s.handles[0], &msg), "recv of a request");
		tokens[i] = msg.token;
	}
}

static void prepare_served(void)
{
	s.mb = make(MBOX_QUEUE, 0, MBOX_UNBOUNDED, O_RDWR);
	open_handles(1, O_RDWR);
	start_all(nwaiters, job_call);
	take_requests();
}

static void prepare_served_inherit(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_INHERIT, MBOX_UNBOUNDED, O_RDWR);
	open_handles(1, O_RDWR);
	start_all(nwaiters, job_call);
	take_requests();
}

static void reply(unsigned int i)
{
	mbox_reply(s.handles[0], tokens[i], "reply", 5);
}

/* Until its request was taken, and longer. */
static void job_call_briefly(unsigned int i)
{
	call_for(soon() + 5000000);
}

static void then_served(void)
{
	struct mbox_msg msg = { 0 };
	uint64_t data;

	OPERATION("reply, the first", reply(0));
	OPERATION("reply, one between", reply(nwaiters / 2));
	OPERATION("reply, the last", reply(nwaiters - 1));
	start_another(job_call_briefly);
	msg.buf = (uintptr_t)&data;
	msg.len = sizeof(data);
	OPERATION("recv of a request", mbox_recvmsg(s.handles[0], &msg));
	begin("a taken call gives up");
	usleep(10000);
	finish();
	OPERATION("close by the server", mbox_close(s.handles[0]));
	s.nhandles = 0;
}

/* ---- calls that wait without a thread ---------------------------------------- */

static struct mbox_request *requests;
/* No server replies. */
static uint64_t no_reply;
static __thread sigjmp_buf out;

static void jump_out(int sig)
{
	siglongjmp(out, 1);
}

static void job_park(unsigned int i)
{
	struct mbox_request *req = &requests[i];

	*req = (struct mbox_request){
		.buf = (uintptr_t)"request",
		.rep = (uintptr_t)&no_reply,
		.len = 8,
		.rep_len = sizeof(no_reply),
	};
	if (!sigsetjmp(out, 1))
		ioctl(mbox_fd(s.handles[0]), MBOX_IOC_CALL, req);
}

/* Until the deadline. */
static void job_come_back(unsigned int i)
{
	requests[i].deadline_ns = soon();
	ioctl(mbox_fd(s.handles[0]), MBOX_IOC_CALL, &requests[i]);
}

static void prepare_parked(void)
{
	struct sigaction action = { .sa_handler = jump_out, .sa_flags = SA_RESTART };
	struct mbox_stat st;

	free(requests);
	requests = calloc(nwaiters, sizeof(*requests));
	if (!requests || sigaction(SIGUSR1, &action, NULL))
		err(1, "requests");
	s.mb = make(MBOX_QUEUE, 0, MBOX_UNBOUNDED, O_RDWR);
	open_handles(1, O_WRONLY);
	start_all(nwaiters, job_park);
	signal_all(nwaiters, SIGUSR1);
	await_workers();
	must(mbox_stat(s.mb, &st), "stat");
	if (st.waiting_senders != nwaiters)
		errx(1, "%s: %u of %u", s.state->name, st.waiting_senders, nwaiters);
}

static void then_parked(void)
{
	begin("a call comes back");
	start_another(job_come_back);
	finish();
}

static void then_close_parked(void)
{
	OPERATION("close by the caller", mbox_close(s.handles[0]));
	s.nhandles = 0;
}

static void prepare_hangup_callers(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_HANGUP, MBOX_UNBOUNDED, O_WRONLY);
	open_handles(1, O_RDONLY);
	start_all(nwaiters, job_call);
}

const struct state caller_states[] = {
	{ "callers", prepare_callers, .job = job_call },
	{ "callers, parked", prepare_parked, then_parked },
	{ "callers, parked, close", prepare_parked, then_close_parked, true },
	{ "callers, hang up", prepare_hangup_callers, hang_up, true },
	{ "callers, served", prepare_served, then_served },
	{ "callers, inherit", prepare_served_inherit, then_served },
	{ NULL },
};
