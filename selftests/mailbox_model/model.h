/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A mailbox as it should be: plain arrays, one step at a time, nothing that
 * waits. What the calls of several workers return, and what stat shows after
 * each of them, comes out of these rules alone.
 *
 * Of workers that wait, the most urgent is the first to be served, and of equally
 * urgent ones the first to come.
 */
#ifndef SELFTESTS_MODEL_H
#define SELFTESTS_MODEL_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include <mbox.h>

#define NWORKERS 6
/* Each other worker is of the same user. */
#define NUSERS 2
#define LEN_MAX 16
/* Of a message that takes the place of several, where a limit is near. */
#define LEN_LONG 600
#define STORED_MAX 256
/* Descriptors of a message. */
#define FILES_MAX 2
/* Steps of a sequence, and so of messages and replies. */
#define SEQUENCE_MAX 80

/* What a worker is told to do. */
enum op {
	OPEN, CLOSE, SEND, RECV, CALL, REPLY, REPLY_RECV, CAPACITY, DESTROY,
	/* A call that does not wait; its end is fetched, or it is withdrawn. */
	START, FETCH, CANCEL,
	/* MBOX_BROADCAST: another reader goes, and this one chooses its policy. */
	EXPEL, CHOOSE,
	/* Of a message that a RECV with MBOX_LEASE has brought. */
	ACK, NACK,
	/* It waits; then a signal comes, whose handler has SA_RESTART or not. */
	INTERRUPT, RESTART,
	/* It waits, and its process is stopped; and goes on. */
	STOP, CONTINUE,
	/* It is copying a message, and can go on. */
	RELEASE,
	/* The one lifespan, or deadline, that goes on ends; no worker does anything. */
	AGE,
};

/*
 * How a call that would wait ends: not at all, or with one of two errors; or its
 * deadline comes before any worker does anything else. So does that of a call that was
 * started with either kind of deadline, when its request was accepted. LATER: the deadline
 * comes with AGE, wherever the request is by then.
 */
enum block_mode { WAIT, DONTWAIT, PAST_DEADLINE, EXPIRES, LATER };

/* Of a message: it has none, it is over when the call begins, or it ends with AGE. */
enum lifespan { FOREVER, AT_ONCE, SOON };

/* REPLY_RECV: only receive. FETCH: the first call that has ended. */
#define NO_REQUEST -1
/* CAPACITY: no other worker does anything meanwhile. */
#define NO_RIVAL -1

/**
 * struct step - one call of one worker
 * @op: which
 * @worker: whose; a worker without a handle, or one that waits, skips it
 * @number: OPEN: the flags; CAPACITY: the capacity; EXPEL: of the reader, or 0: the
 *	slowest; CHOOSE: the policy; NACK: not 0: the message does not come back in time
 * @plain: SEND and RECV: write(2) or read(2)
 * @bad: the address of the message's buffer is bad
 * @slow: RECV and REPLY_RECV: the copy to it stops until RELEASE
 * @block_mode: of what may wait; EXPIRES and LATER: only of CALL and START
 * @flags: of the call; MBOX_DONTWAIT is in @block_mode
 * @len: SEND, CALL and START: of the message; RECV, REPLY_RECV and FETCH: of the buffer
 * @skip: RECV: as for the call; EXPEL: only one with as many messages to receive
 * @id: tells messages and replies apart
 * @request: REPLY and REPLY_RECV: @id of the one to reply to, or NO_REQUEST; ACK and
 *	NACK: @id of the message on lease; FETCH and CANCEL: @id of the call
 * @reply_len: CALL: of the buffer for the reply; START: of the longest reply; otherwise
 *	of the reply
 * @reply_bad: the address of that buffer is bad
 * @nice: the worker's nice value meanwhile
 * @lifespan: SEND: of the message
 * @files: SEND, CALL, START and REPLY: how many descriptors the message has; RECV,
 *	REPLY_RECV and FETCH: room for so many
 * @reply_files: CALL: room for so many of the reply
 * @rival: CAPACITY: a worker that meanwhile tries to send, in vain; or NO_RIVAL
 */
struct step {
	enum op op;
	int worker;
	__u32 number;
	bool plain;
	bool bad;
	bool slow;
	enum block_mode block_mode;
	__u32 flags;
	__u32 len;
	__u32 prio;
	__u32 skip;
	__u64 type;
	int id;
	int request;
	__u32 reply_len;
	bool reply_bad;
	int nice;
	enum lifespan lifespan;
	__u32 files;
	__u32 reply_files;
	int rival;
};

/**
 * struct message - a message
 * @from: the worker that sent it
 * @handle: with which handle, see struct model
 * @sender: the worker that waits until it is received, or -1
 * @sync: and waits whatever the capacity
 * @request: and then goes on to wait for a reply
 * @started: which is fetched later, so that no worker waits once it is accepted
 * @timed: and whose deadline comes with AGE
 * @reply_room: for that
 * @reply_bad: where it cannot be put
 * @unread: MBOX_BROADCAST: by worker, whether it is still to receive it
 * @arrival: number, for MBOX_DROP_OLDEST, and for messages that were on lease
 * @deliveries: how often it has been on lease
 * @nice: how urgent its sender is
 * @seq: when that one came
 * @place: among the messages of equally urgent senders that wait
 * @mortal: its lifespan goes on; @over: it has ended
 * @files: how many descriptors it has
 * @given_up: they were closed, because no handle was left
 * @copied: with a history, there is a copy for it
 */
struct message {
	int id;
	__u32 len;
	__u32 prio;
	__u64 type;
	int from;
	unsigned int handle;
	int sender;
	bool sync;
	bool request;
	bool started;
	bool timed;
	__u32 reply_room;
	bool reply_bad;
	bool unread[NWORKERS];
	unsigned int arrival;
	__u32 deliveries;
	int nice;
	unsigned int seq;
	int place;
	bool mortal;
	bool over;
	__u32 files;
	bool given_up;
	bool copied;
};

/**
 * struct waiting - a call that waits, or is copying
 * @call: which
 * @seq: when it came to wait; 0: it has not waited
 * @msg: the sender's message, or the one that it copies
 * @withdrawn: that one's sender has given up
 */
struct waiting {
	struct step call;
	unsigned int seq;
	struct message msg;
	bool withdrawn;
};

/* A request that worker @server has received and has to reply to. */
struct owed {
	struct message msg;
	int server;
};

/**
 * struct started - a call that was started, and whose end was not fetched
 * @id: of its request
 * @worker: that has started it
 * @ended: it has a reply, or none will come
 * @timed: its deadline comes with AGE
 * @order: among those that have ended
 * @ret: the length of the reply, or -errno
 * @reply: the reply
 */
struct started {
	int id;
	int worker;
	bool ended;
	bool timed;
	int order;
	long ret;
	struct message reply;
};

/* A message that worker @worker has on lease; -1: it comes back after the sequence. */
struct leased {
	struct message msg;
	int worker;
};

/**
 * struct letters - another mailbox, which gets the dead letters, and nobody receives them
 * @flags: its policy, MBOX_DROP_OLDEST or MBOX_DROP_NEWEST, or 0
 * @capacity: of it
 * @list: they, in the order in which they would be received
 * @sent: how many have come; @dropped: how many of them were dropped
 * @highest: the most at one time
 */
struct letters {
	__u32 flags;
	__u32 capacity;
	struct message list[STORED_MAX];
	int n;
	__u64 sent, dropped;
	__u32 highest;
};

/**
 * struct outcome - how a call ended
 * @done: it did
 * @now: in the last step
 * @stopped: the process of its worker is stopped
 * @ready: it will have ended when that goes on
 * @kept: it waits meanwhile
 * @restarted: REPLY_RECV: it was, after it had replied
 * @again: the call was made again after a signal
 * @call: which
 * @replied: REPLY_RECV: the reply was made
 * @token: there is one for @msg
 * @lost: how many were lost before @msg
 * @ret: what it returned, or -errno
 * @msg: RECV and REPLY_RECV: what it received; CALL: the reply
 * @fetched: FETCH: it was told of the end of a call; @end_of: @id of its request
 * @files: how many descriptors it got, with a message or a reply; @no_files: it was told that
 *	there were more
 */
struct outcome {
	bool done;
	bool now;
	bool stopped;
	bool ready;
	bool kept;
	bool restarted;
	bool again;
	struct step call;
	bool replied;
	bool token;
	__u64 lost;
	long ret;
	struct message msg;
	bool fetched;
	int end_of;
	__u32 files;
	bool no_files;
};

/**
 * struct model - a mailbox
 * @bug: a rule to break, see broken()
 * @stored: messages in the order in which they are received
 * @highest: the most that were stored at one time
 * @senders: those that wait to be let in, or without capacity for a receiver
 * @held: receivers that are copying
 * @owed: requests that were received, whose callers wait for the reply
 * @calls: that were started; @ends: how many have ended; @fronts: how many times one came back
 *	to the front
 * @fetching: by worker, whether it waits for the end of one
 * @leases: there are leases in the sequence
 * @leased: messages on lease, in the order in which they were received
 * @redelivered: leases of messages that had been on lease before
 * @max_deliveries: after so many a message does not come back, or 0
 * @dead_letters: how many did not
 * @letters: where they went; without a capacity there is no such mailbox
 * @shown: a message has become visible to receivers
 * @had_senders, @had_receivers: that side has been there
 * @seqs: how many have come to wait
 * @places: the last place given behind others; and in front of them
 * @limit: of bytes of each user, or 0; @cost: of a message, of a long one, and of a
 *	sender
 * @handle: by worker, the number of its handle; @handles: the last such number
 * @charged: by worker, whether it has sent with that handle
 * @owner: one of the users, or NUSERS: another
 * @max_bytes: that the stored messages may have, or 0
 * @expired: messages whose lifespan has ended
 * @history: MBOX_BROADCAST: how many messages a new handle gets first
 * @kept: messages that all have received, and that such a handle can get, in order
 * @reader: MBOX_BROADCAST: by worker, the number of its handle as a reader; @readers: the
 *	last such number
 * @expelled: by worker, whether its handle was
 * @policy: by worker, what its handle has chosen
 * @chosen: a handle has chosen another policy than that of the mailbox
 * @out: by worker, see struct world; a call that is not done waits
 */
struct model {
	int bug;
	__u32 flags;
	__u32 capacity;
	__u32 msg_max;
	bool dead;
	bool shown;
	struct message stored[STORED_MAX];
	int nstored;
	struct waiting receivers[NWORKERS], peekers[NWORKERS], senders[NWORKERS];
	struct waiting held[NWORKERS];
	int nreceivers, npeekers, nsenders, nheld;
	struct owed owed[NWORKERS];
	int nowed;
	struct started calls[SEQUENCE_MAX];
	int ncalls;
	int ends;
	int fronts;
	bool fetching[NWORKERS];
	bool leases;
	struct leased leased[STORED_MAX];
	int nleased;
	__u64 redelivered;
	__u32 max_deliveries;
	__u64 dead_letters;
	struct letters letters;
	__u64 sent, received, dropped;
	__u32 highest;
	__u32 send_handles, recv_handles;
	bool had_senders, had_receivers;
	unsigned int arrivals;
	unsigned int seqs;
	int places[2];
	__u64 limit;
	__u64 cost[3];
	unsigned int handle[NWORKERS], handles;
	bool charged[NWORKERS];
	int owner;
	__u64 max_bytes;
	__u64 expired;
	__u32 history;
	struct message kept[STORED_MAX];
	int nkept;
	unsigned int reader[NWORKERS], readers;
	bool expelled[NWORKERS];
	__u32 policy[NWORKERS];
	bool chosen;
	/* Of each worker: O_RDONLY ..., or -1 without a handle. */
	int access[NWORKERS];
	/* MBOX_BROADCAST: messages that it will not get, and was not told of. */
	__u64 lost[NWORKERS];
	struct outcome *out;
};

/* The rules that can be broken, to see that it is noticed; in groups. */
enum {
	LAST_IN_FIRST_OUT = 1,
	MATCH_LE_TAKES_ANY,
	TRUNC_RETURNS_WHAT_FITS,
	DROP_OLDEST_DROPS_THE_LAST,
	LAST_RECEIVER_FIRST,
	WITHDRAWN_STAYS_COUNTED,
	PUT_BACK_GOES_BEHIND,
	GROWING_ADMITS_ONE,
	SHORT_BUFFER_TAKES_IT,
	URGENT_ONES_WAIT_THEIR_TURN,
	RESTARTED_CALL_KEEPS_ITS_PLACE,
	RESTARTED_SEND_IS_SENT_TWICE,
	RENDEZVOUS_IS_STORED,
	SENDERS_TO_COME_ARE_GONE,
	ANY_HANDLE_REPLIES,
	REPLY_WITHOUT_CALLER_SUCCEEDS,
	LONG_REPLY_IS_CUT,
	LONG_REPLY_KEEPS_THE_CALL,
	FAILED_REPLY_ENDS_THE_CALL,
	CLOSED_SERVER_KEEPS_THE_CALL,
	READ_KEEPS_THE_CALL,
	PEEK_SHOWS_THE_TOKEN,
	RECEIVED_REQUEST_IS_WITHDRAWN,
	FAILED_REPLY_STILL_RECEIVES,
	CALL_RETURNS_WITH_THE_RECEIPT,
	RECEIVED_REQUEST_IS_SENT_AGAIN,
	QUEUED_REQUEST_IS_SENT_AGAIN,
	STOPPED_CALL_LOSES_ITS_REPLY,
	RESTARTED_RECEIVE_REPLIES_AGAIN,
	UNACCEPTED_SENDER_GOES_LAST,
	UNACCEPTED_SENDER_GOES_FIRST,
	WITHDRAWN_MESSAGE_IS_RECEIVED,
	WITHDRAWN_MESSAGE_COSTS_THE_PLACE,
	USER_TAKES_ALL,
	USER_TAKES_HALF_OF_ALL,
	HALF_IS_ROUNDED_DOWN,
	USER_WITHOUT_ROOM_BLOCKS_OTHERS,
	LIMIT_DROPS_THE_OLDEST_OF_ALL,
	LIMIT_DROPS_THE_LAST,
	LIMIT_DROPS_ONE,
	LIMIT_DROPS_IN_VAIN,
	LIMIT_IS_NOT_SHARED,
	SENDER_GETS_NO_OWN_MESSAGES,
	FIRST_READER_TAKES_IT,
	PRIORITY_COMES_FIRST,
	DROP_COUNTS_FOR_EACH,
	LOSS_IS_NOT_TOLD,
	PEEK_ENDS_THE_LOSS,
	LATECOMERS_GET_OLD_ONES,
	CLOSED_HANDLES_KEEP_MESSAGES,
	EXPEL_TAKES_THE_FASTEST,
	EXPELLED_STILL_COUNTS,
	EXPEL_DROPS_NOTHING,
	EXPELLED_WAITS_ON,
	CHOICE_HAS_NO_EFFECT,
	HELD_MESSAGE_IS_DROPPED,
	ALL_CAN_BE_WAITED_FOR,
	EACH_HANDLE_COUNTS,
	UNOPENED_SIDE_IS_GONE,
	CLOSED_SIDE_LOSES_MESSAGES,
	HIGHEST_IS_THE_PRESENT,
	BYTES_HOLD_NOTHING_BACK,
	SHORT_MESSAGES_OVERTAKE,
	LONG_MESSAGES_WAIT,
	URGENT_ONES_WAIT_FOR_BYTES,
	DROPPING_ONE_IS_ENOUGH,
	TEMPORARY_ONES_STAY,
	NACK_GOES_BEHIND,
	LEASE_MAKES_ROOM,
	CLOSED_HANDLE_KEEPS_LEASES,
	ANY_HANDLE_ACKS,
	DELIVERIES_ARE_NOT_COUNTED,
	LEASES_HOLD_BACK_RECEIVERS,
	DELAYED_COMES_AT_ONCE,
	NACK_STAYS_RECEIVED,
	EXPIRED_IS_RECEIVED,
	EXPIRED_COUNTS_AS_DROPPED,
	EXPIRED_KEEPS_ITS_PLACE,
	EXPIRED_COMES_BACK,
	EXPIRED_SEND_SUCCEEDS,
	LIFESPAN_STARTS_AGAIN,
	HISTORY_IS_EMPTY,
	HISTORY_HAS_NO_END,
	HISTORY_TAKES_PLACES,
	HISTORY_OUTLIVES_A_DROP,
	HISTORY_IS_WAITED_FOR_BY_NOBODY,
	CALLS_END_AS_THEY_BEGAN,
	CANCELLED_REQUEST_STAYS,
	CANCELLED_CALL_IS_TOLD,
	FETCHED_CALL_STAYS,
	UNFETCHED_REPLY_IS_LOST,
	CLOSED_CALLER_LEAVES_REQUESTS,
	DELIVERIES_HAVE_NO_END,
	DELIVERIES_END_LATE,
	DEAD_LETTERS_CAN_BE_DELAYED,
	DEAD_LETTERS_ARE_LOST,
	DEAD_LETTERS_KEEP_THEIR_PLACE,
	LETTERS_ARE_NOT_SORTED,
	LETTERS_NEED_ROOM,
	LETTERS_DROP_THE_NEWEST,
	FILES_NEED_NO_ROOM,
	MISSING_FILES_ARE_NOT_TOLD,
	PEEK_TAKES_FILES,
	FILES_COME_ONCE,
	CALLS_HAVE_NO_DEADLINE,
	LATE_CALL_LEAVES_ITS_REQUEST,
	LATE_CALL_IS_NOT_TOLD,
	LATE_REPLY_SUCCEEDS,
	QUEUED_REQUEST_HAS_NO_DEADLINE,
	RECEIVED_REQUEST_HAS_NO_DEADLINE,
	REPLY_CAN_BE_LATE_AFTERWARDS,
	WAITING_REQUEST_HAS_NO_DEADLINE,
	LATE_REQUEST_KEEPS_ITS_PLACE,
	RESTARTED_CALL_HAS_NO_DEADLINE,
	REPLIES_HAVE_NO_FILES,
	FILES_OF_REPLIES_NEED_NO_ROOM,
	UNFETCHED_REPLY_LOSES_FILES,
	HANDLES_IN_MESSAGES_DO_NOT_COUNT,
	HANDLES_TRAVEL_WITH_ALL_RIGHTS,
	GIVEN_UP_HANDLES_COUNT,
	NBUGS,
};

#define REMOVE(array, n, i) \
	memmove(&(array)[i], &(array)[(i) + 1], (--(n) - (i)) * sizeof((array)[0]))

#define INSERT(array, n, i, what) do {						\
	memmove(&(array)[(i) + 1], &(array)[i], ((n) - (i)) * sizeof((array)[0])); \
	(array)[i] = (what);							\
	(n)++;									\
} while (0)

/* The result of EXPEL: which reader it was, and how many messages it had to receive. */
#define EXPELLED(reader, unread) ((long)(reader) * 1000 + (unread))

#define MATCHING (MBOX_MATCH | MBOX_MATCH_NOT | MBOX_MATCH_LE)

/* Where a receiver finds its message. */
struct found {
	struct message msg;
	/* Index in stored, or -1: it is in the hands of a waiting sender. */
	int stored;
};

/* How many handles there are, by side. */
struct handles {
	__u32 send, recv;
};

bool broken(const struct model *m, int rule);
int number_of_file(int id, __u32 i);
int access_of_file(int id, __u32 i);
void model_init(struct model *m, __u32 flags, __u32 capacity, __u32 msg_max, int bug);
bool model_may(const struct model *m, int worker, enum op op);
bool no_senders(const struct model *m);
bool at_end(const struct model *m);
bool no_receivers(const struct model *m);
bool receives(const struct step *s);
bool sends(const struct step *s);
bool interrupts(const struct step *s);
bool has_deadline(const struct step *s);
void finish(struct model *m, int worker, long ret, const struct message *msg);
bool same_user(int worker, int other);
__u32 held_places(const struct model *m);
bool blocked_can_go(const struct model *m);
bool has_bytes(const struct model *m, __u32 len);
bool has_place(const struct model *m, int worker);
bool has_mortal(const struct model *m);
void count_highest(struct model *m);
void queue_up(struct model *m, struct waiting *list, int *n, struct waiting w);
bool wants(const struct step *call, const struct message *msg);
bool fits(const struct model *m, const struct step *call, const struct message *msg);
int offers(const struct model *m, struct message *list);
bool find(const struct model *m, const struct step *call, struct found *found);

#endif /* SELFTESTS_MODEL_H */
