/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_TRANSACTION_H
#define MBX_TRANSACTION_H

#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

#include "lease.h"
#include "message.h"
#include "waiter.h"

/**
 * enum mbx_transaction_state - state of a request
 * @MBX_TRANSACTION_QUEUED: the request is stored, or its caller waits for room
 * @MBX_TRANSACTION_TAKEN: a receiver took the request; if the receiver can reply, the
 *	transaction is in the tokens of its handle
 * @MBX_TRANSACTION_REPLYING: the reply is being copied in
 */
enum mbx_transaction_state {
	MBX_TRANSACTION_QUEUED,
	MBX_TRANSACTION_TAKEN,
	MBX_TRANSACTION_REPLYING,
};

/**
 * struct mbx_tokens - what a handle has received and not finished
 * @root: the transactions of requests that it has not replied to, by token
 * @count: number of transactions
 * @leases: messages that it has on lease
 *
 * Under mailbox.lock. Every transaction in the tree has a caller.
 */
struct mbx_tokens {
	struct rb_root root;
	u32 count;
	struct mbx_leases leases;
};

/**
 * struct mbx_parked - calls of a handle whose threads have left the kernel
 * @root: their transactions by number
 * @last: the last number given to a call; 0: none
 *
 * Under the lock of the mailbox that the handle sends to. The threads are expected to
 * enter the ioctl again. If a thread does not, its call ends at the deadline, or when
 * the handle is released.
 */
struct mbx_parked {
	struct rb_root root;
	u64 last;
};

/**
 * struct mbx_started - calls that were started with a handle and do not wait in a thread
 * @refs: references: the handle, and each transaction
 * @root: their transactions by number, until their end has been told; under @lock of the
 *	mailbox that the handle sends to, as all that follows
 * @ended: those that have ended and that no thread is telling of, in the order of the end
 * @collectors: calls of mbx_call_wait() that wait for any of them, the most urgent first
 * @count: how many have not ended
 * @unread: how many are in @ended
 * @waiting: calls of mbx_call_wait() that wait
 * @poller: NULL until the handle is polled, and again when it is closed; set with release
 *	order, without the lock
 */
struct mbx_started {
	refcount_t refs;
	struct rb_root root;
	struct list_head ended;
	struct rb_root_cached collectors;
	u32 count;
	u32 unread;
	u32 waiting;
	struct mbx_poller *poller;
};

/**
 * struct mbx_transaction - a call: its caller, its request and the reply
 * @node: in tokens->root, if @tokens is set
 * @tokens: tokens of the handle that has to reply, or NULL; under mailbox.lock
 * @caller: @waiter while the caller waits, NULL once the call has ended; under
 *	mailbox.lock
 * @waiter: the waiting call; it keeps waiting when its thread leaves the kernel
 * @sender: the caller, which is charged, one reference
 * @reply: the reply; set, under mailbox.lock, if the call ends with one
 * @token: key in @tokens; set when the request is taken
 * @buf_len: longest reply that the caller can receive
 * @unlimited: the caller has CAP_SYS_RESOURCE
 * @prio: real-time priority that the server inherits from the caller, or 0; of a started
 *	call, under mailbox.lock
 * @state: state of the request; under mailbox.lock
 * @refs: references: the caller, the request, the call that copies a reply in, and
 *	struct mbx_deferred
 * @pi_task: @prio: the thread that has to reply, or NULL; under mailbox.lock
 * @boosted_task: the thread that is boosted to @prio, one reference, or NULL; follows
 *	@pi_task, under inherit_lock
 * @epoch: mbx_pi_task.epoch of the boost; under inherit_lock
 * @ended: next transaction in mbx_deferred.ended, after the call has ended
 * @home_node: in home->root while the call is @parked
 * @home: list of the handle for parked calls; NULL: the thread cannot come back
 * @parked: the call is in @home; under mailbox.lock
 * @left: @expiry ran after the call was completed, and its thread was free to come back
 *	then; under mailbox.lock
 * @number: key in @home; 0: the call was never parked
 * @thread: the thread that made the call, one reference
 * @mb: the mailbox
 * @deadline: deadline of the call, KTIME_MAX for none
 * @clock: clock of @deadline
 * @expiry: ends a parked call at @deadline, or, if it is completed, soon after that; ends
 *	a started one at @deadline
 * @started: the calls that this one was started with, one reference; NULL: a thread waits
 *	for the whole call. @number is its number then, and @home_node is in @started->root
 *	while @listed
 * @end: in @started->ended
 * @collectors: calls of mbx_call_wait() that wait for this one; under mailbox.lock
 * @reserved: @started: memory that is charged for the reply; 0 once no reply can come;
 *	under mailbox.lock after the request is accepted
 * @listed: in @started->root; under mailbox.lock
 * @inherits: the server is boosted to @prio, if that is not 0
 * @boosted_prio: @prio when @boosted_task was set; under inherit_lock
 */
struct mbx_transaction {
	struct rb_node node;
	struct mbx_tokens *tokens;
	struct mbx_send_waiter *caller;
	struct mbx_sender *sender;
	struct mbx_send_waiter waiter;
	struct mbx_message *reply;
	u64 token;
	u32 buf_len;
	bool unlimited;
	unsigned int prio;
	enum mbx_transaction_state state;
	refcount_t refs;
	struct mbx_pi_task *pi_task;
	struct mbx_pi_task *boosted_task;
	unsigned int epoch;
	struct mbx_transaction *ended;
	struct rb_node home_node;
	struct mbx_parked *home;
	bool parked;
	bool left;
	u64 number;
	struct pid *thread;
	struct mailbox *mb;
	ktime_t deadline;
	clockid_t clock;
	struct delayed_work expiry;
	struct mbx_started *started;
	struct list_head end;
	struct rb_root_cached collectors;
	u32 reserved;
	bool listed;
	bool inherits;
	unsigned int boosted_prio;
};

struct mbx_transaction *mbx_transaction_new(struct mbx_outlet *outlet, u32 buf_len,
					    unsigned int cost);
struct mbx_transaction *mbx_transaction_start(struct mbx_outlet *outlet,
					      struct mbx_started *started,
					      u32 buf_len, unsigned int cost);
struct mbx_started *mbx_started_new(void);
void mbx_started_put(struct mbx_started *started);
void mbx_transaction_refused(struct mbx_transaction *txn);
void mbx_transaction_put(struct mbx_transaction *txn);
u32 mbx_transaction_unreserve(struct mailbox *mb, struct mbx_transaction *txn);
u64 __mbx_transaction_take(struct mailbox *mb, struct mbx_transaction *txn,
			   struct mbx_tokens *tokens, struct mbx_pi_task *pi_task);
bool mbx_transaction_return(struct mailbox *mb, struct mbx_transaction *txn);
bool mbx_transaction_abandon(struct mailbox *mb, struct mbx_transaction *txn);
bool mbx_transaction_comes_back(const struct mbx_transaction *txn);
void mbx_transaction_park(struct mailbox *mb, struct mbx_transaction *txn);
void mbx_transaction_unpark(struct mailbox *mb, struct mbx_transaction *txn);
void mbx_numbers_add(struct rb_root *root, struct mbx_transaction *txn);
struct mbx_transaction *mbx_numbers_find(const struct rb_root *root, u64 number);
struct mbx_transaction *mbx_parked_find(const struct mbx_parked *parked,
					u64 number);

void mbx_tokens_add(struct mbx_tokens *tokens, struct mbx_transaction *txn);
void mbx_tokens_remove(struct mbx_transaction *txn);
struct mbx_transaction *mbx_tokens_find(const struct mbx_tokens *tokens,
					u64 token);
u32 mbx_tokens_count(struct mailbox *mb, const struct mbx_tokens *tokens);

/* Whether a call needs its request if that is put back. */
static inline bool mbx_transaction_goes_on(const struct mbx_transaction *txn)
{
	return txn->caller && txn->state != MBX_TRANSACTION_REPLYING;
}

/* Whether a request is taken, no reply is on its way, and its caller still waits. */
static inline bool mbx_transaction_wanted(const struct mbx_transaction *txn)
{
	return txn->caller && txn->state == MBX_TRANSACTION_TAKEN;
}

/**
 * mbx_transaction_take() - a receiver takes a message, which may be a request
 * @mb: the mailbox
 * @msg: the message
 * @tokens: tokens of the receiver's handle; NULL: the receiver cannot reply
 * @pi_task: MBOX_INHERIT: the receiver's thread, if it can reply
 *
 * Return: the token of the request, or 0.
 */
static inline u64 mbx_transaction_take(struct mailbox *mb, struct mbx_message *msg,
				       struct mbx_tokens *tokens,
				       struct mbx_pi_task *pi_task)
{
	struct mbx_transaction *txn = mbx_transaction_of(msg);

	if (likely(!txn))
		return 0;
	return __mbx_transaction_take(mb, txn, tokens, pi_task);
}

#endif /* MBX_TRANSACTION_H */
