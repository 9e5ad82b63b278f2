// SPDX-License-Identifier: GPL-2.0-only
/* Queues with many calls. */
#include <string.h>
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

static void prepare_hangup_callers(void)
{
	s.mb = make(MBOX_QUEUE, MBOX_HANGUP, MBOX_UNBOUNDED, O_WRONLY);
	open_handles(1, O_RDONLY);
	start_all(nwaiters, job_call);
}

const struct state caller_states[] = {
	{ "callers", prepare_callers, .job = job_call },
	{ "callers, hang up", prepare_hangup_callers, hang_up, true },
	{ "callers, served", prepare_served, then_served },
	{ "callers, inherit", prepare_served_inherit, then_served },
	{ NULL },
};
