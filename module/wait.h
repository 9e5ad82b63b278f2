/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sleeping and waking: the one place where calls wait.
 */
#ifndef MBOX_WAIT_H
#define MBOX_WAIT_H

#include <linux/ktime.h>
#include <linux/poll.h>
#include <linux/time.h>

#include "mailbox.h"

struct mbox_debtor;
struct mbox_notice;
struct mbox_reader;
struct mbox_ticket;
struct mbox_tokens;

#define MBOX_POLL_IN (EPOLLIN | EPOLLRDNORM)
#define MBOX_POLL_OUT (EPOLLOUT | EPOLLWRNORM)

/**
 * struct mbox_watch - who is to be told of events besides pollers
 * @asyncs: handles with O_ASYNC that receive, and that send; fasync_helper()'s
 * @notice: the process that is to be notified, or NULL; under mailbox.lock, also
 *	read without it to find that there is none
 * @entry: in mailbox.pollers while there is somebody, so that there is one place
 *	to look; wakes nobody
 * @added: it is there; under mailbox.lock
 *
 * Few mailboxes have one, and then keep it.
 */
struct mbox_watch {
	struct fasync_struct *asyncs[2];
	struct mbox_notice *notice;
	struct wait_queue_entry entry;
	bool added;
};

/**
 * struct mbox_call - how a call may wait
 * @flags: MBOX_* flags of the call
 * @again: 0 when it may wait; otherwise what to return instead: -EAGAIN, or
 *	-ETIMEDOUT when the deadline had passed before the call began
 * @clock: clock of @deadline
 * @deadline: absolute, KTIME_MAX for none
 */
struct mbox_call {
	u32 flags;
	int again;
	clockid_t clock;
	ktime_t deadline;
};

/**
 * struct mbox_waiter - a call that waits, on the stack of its task
 * @node: in one of the mailbox's lists; under mailbox.lock
 * @count: the mailbox's counter of such calls
 * @task: who
 * @prio: scheduling priority when it began to wait; lower is more urgent
 * @done: it was served, and is in no list; set last, with release order,
 *	pairs with the acquire in mbox_sleep_on()
 * @sync: sender: it waits until its message is received
 * @accepted: sender: it is in mailbox.syncers, otherwise in mailbox.senders
 *	with @msg in mailbox.offers; under mailbox.lock
 * @ack: receiver: the sender of @msg waits for the receipt
 * @peeked: receiver: somebody may be looking at @msg
 * @result: 0 or an error; valid when @done
 * @room: receiver: longest message that it takes
 * @msg: sender: its message; receiver: what it was handed
 * @match: receiver: what it asks for
 * @ticket: sender: NULL, or its call; then it is in mailbox.callers, not in
 *	mailbox.syncers, once @accepted
 * @tokens: receiver: where its requests are kept, or NULL
 * @debtor: receiver: MBOX_INHERIT: its task, when it has @tokens
 * @token: receiver: of the request that it was handed, or 0
 */
struct mbox_waiter {
	struct list_head node;
	u32 *count;
	struct task_struct *task;
	int prio;
	bool done;
	bool sync;
	bool accepted;
	bool ack;
	bool peeked;
	int result;
	u32 room;
	struct mbox_message *msg;
	const struct mbox_match *match;
	struct mbox_ticket *ticket;
	struct mbox_tokens *tokens;
	struct mbox_debtor *debtor;
	u64 token;
};

/**
 * struct mbox_after - what to do once mailbox.lock has been dropped
 * @garbage: messages to free, a chain of their nodes
 * @notice: NULL, or a process to be notified; then there are @events
 * @events: poll events to report
 * @everyone: report them to exclusive waiters too, all of them
 * @sync: the current task is about to sleep, and leaves its CPU to them
 * @ntasks: entries of @tasks
 * @tasks: tasks to wake, each with a reference
 * @handed: MBOX_INHERIT: NULL, or a request that one of @tasks was handed, with
 *	a reference; before it is woken it is to have the caller's priority
 * @ended: MBOX_INHERIT: calls of which one of @tasks is the caller, each with a
 *	reference; after it was woken the server is to give its priority back
 */
struct mbox_after {
	struct list_head *garbage;
	struct mbox_notice *notice;
	__poll_t events;
	bool everyone;
	bool sync;
	unsigned int ntasks;
	struct task_struct *tasks[2];
	struct mbox_ticket *handed;
	struct mbox_ticket *ended;
};

/*
 * Nothing to do so far. Where it counts, an initializer does the same: kernels
 * that clear the stack's variables would do so twice.
 */
static inline void mbox_after_init(struct mbox_after *after)
{
	*after = (struct mbox_after){};
}

void __mbox_after_run(struct mailbox *mb, struct mbox_after *after);

/**
 * mbox_after_run() - do what was found to do
 * @mb: the mailbox
 * @after: what it was
 *
 * Context: Process context, without mailbox.lock.
 */
static inline void mbox_after_run(struct mailbox *mb, struct mbox_after *after)
{
	if (unlikely(after->events || after->ntasks || after->garbage))
		__mbox_after_run(mb, after);
}

/**
 * mbox_report() - tell pollers and O_ASYNC handles, once the lock is dropped
 * @mb: the mailbox
 * @events: what has become possible
 * @after: to be run without the lock
 *
 * Return: whether anybody is to be told.
 */
static inline bool mbox_report(struct mailbox *mb, __poll_t events,
			       struct mbox_after *after)
{
	lockdep_assert_held(&mb->lock);
	/*
	 * No barrier: a poller adds itself, and then takes the lock to look. So
	 * whoever is not there yet will see the present state by himself.
	 */
	if (likely(!waitqueue_active(&mb->pollers)))
		return false;
	after->events |= events;
	return true;
}

/**
 * mbox_call_nonblock() - how a call without flags and deadline may wait
 * @call: to be filled in
 * @nonblock: it may not
 */
static inline void mbox_call_nonblock(struct mbox_call *call, bool nonblock)
{
	call->flags = 0;
	call->again = nonblock ? -EAGAIN : 0;
	call->clock = CLOCK_MONOTONIC;
	call->deadline = KTIME_MAX;
}

void mbox_call_init(struct mbox_call *call, u32 flags, u64 deadline_ns,
		    bool nonblock);

void mbox_waiter_init(struct mbox_waiter *w, u32 *count);
void mbox_waiter_add(struct list_head *waiters, struct mbox_waiter *w,
		     bool front);
void mbox_waiter_del(struct mbox_waiter *w);
void mbox_serve(struct mailbox *mb, struct mbox_waiter *w, int result,
		struct mbox_after *after);
int mbox_sleep_on(struct mbox_waiter *w, const struct mbox_call *call);
int mbox_wait(struct mailbox *mb, struct mbox_waiter *w,
	      const struct mbox_call *call);

__poll_t mbox_poll(struct mailbox *mb, const struct mbox_reader *reader,
		   struct file *file, fmode_t mode, poll_table *wait);

int mbox_watch_make(struct mailbox *mb);
void mbox_watch_update(struct mailbox *mb);
int mbox_fasync(struct mailbox *mb, int fd, struct file *file, bool on,
		unsigned int rights);

#endif /* MBOX_WAIT_H */
