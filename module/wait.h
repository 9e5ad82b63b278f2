/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sleeping: how long a call waits, and what ends the wait.
 */
#ifndef MBX_WAIT_H
#define MBX_WAIT_H

#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/time.h>
#include <linux/types.h>

struct mailbox;
struct mbx_alarm;
struct mbx_waiter;

/*
 * What a function returns that carries out a call only if that takes few steps, and has
 * done nothing. This is no error.
 */
#define MBX_OTHERWISE (-MAX_ERRNO - 1)

/**
 * struct mbx_wait_opts - how a call may wait
 * @flags: MBOX_* flags of the call
 * @nowait_err: 0 if the call may wait; otherwise the error to return instead: -EAGAIN,
 *	or -ETIMEDOUT if the deadline had passed before the call began. Of a request with
 *	MBOX_DONTWAIT in @flags, until it is accepted
 * @clock: clock of @deadline
 * @deadline: absolute, KTIME_MAX for none
 */
struct mbx_wait_opts {
	u32 flags;
	int nowait_err;
	clockid_t clock;
	ktime_t deadline;
};

/**
 * mbx_wait_opts_nonblock() - set the options of a call without flags and deadline
 * @opts: to be filled in
 * @nonblock: the call must not wait
 */
static inline void mbx_wait_opts_nonblock(struct mbx_wait_opts *opts, bool nonblock)
{
	opts->flags = 0;
	opts->nowait_err = nonblock ? -EAGAIN : 0;
	opts->clock = CLOCK_MONOTONIC;
	opts->deadline = KTIME_MAX;
}

/**
 * mbx_waits_for_all() - whether a call with a request fails if it may not wait
 * @opts: how the call may wait
 *
 * With MBOX_DONTWAIT it still waits for the reply.
 */
static inline bool mbx_waits_for_all(const struct mbx_wait_opts *opts)
{
	return !(opts->flags & MBOX_DONTWAIT);
}

void mbx_wait_opts_init(struct mbx_wait_opts *opts, u32 flags, u64 deadline_ns,
			bool nonblock);
bool mbx_deadline_passed(const struct mbx_wait_opts *opts);
int mbx_wait_goes_on(const struct mbx_wait_opts *opts);
int mbx_try_goes_on(const struct mbx_wait_opts *opts, u64 *left);

struct mbx_alarm *mbx_alarm_new(ktime_t end);
void mbx_alarm_free(struct mbx_alarm *alarm);

int mbx_sleep_on(struct mbx_waiter *w, const struct mbx_wait_opts *opts);
int mbx_wait(struct mailbox *mb, struct mbx_waiter *w,
	     const struct mbx_wait_opts *opts);

#endif /* MBX_WAIT_H */
