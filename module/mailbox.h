/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_MAILBOX_H
#define MBX_MAILBOX_H

#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/llist.h>
#include <linux/mbox.h>
#include <linux/pid.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string_helpers.h>

#include "queue.h"

struct mbx_choices;
struct mbx_delays;
struct mbx_history;
struct mbx_lifespans;
struct mbx_reader;
struct mbx_ring;
struct mbx_user;
struct mbx_watch;
struct pid;
struct user_namespace;

/**
 * struct mailbox - a mailbox
 * @lock: protects the fields that say so; the order of locks is in mailbox.c
 * @capacity: present capacity; under @lock
 * @limit: how many messages @stored can have before a send waits: @capacity without
 *	what @held takes of it (mbx_limit_update()); under @lock
 * @held: number of messages on lease, in flight to a lease, or delayed; under @lock
 * @msg_max: largest message, as the mailbox was created
 * @len_max: largest message that has room: @msg_max, or @max_bytes if that is less;
 *	changes under @lock
 * @flags: MBOX_FIXED and so on
 * @dead: the mailbox is destroyed; under @lock, also read without it to fail early
 * @stored: accepted messages; under @lock
 * @blocked_sends: messages of @senders, not accepted yet; under @lock
 * @store_flags: MBX_STORE_*, and those of @flags that matter to storing a message;
 *	under @lock
 * @arrival_list: MBOX_DROP_OLDEST without MBOX_BROADCAST: @stored by arrival; under
 *	@lock
 * @spare: memory for the next messages, or NULL; taken and put by xchg()
 * @shares: MBOX_FAIR, MBOX_DROP_OLDEST: what each user has of @stored; under
 *	@lock
 * @contenders: MBOX_FAIR: users whose senders wait, by what they have; under @lock
 * @next_seq: MBOX_BROADCAST: number of the next message; under @lock
 * @caught_up: MBOX_BROADCAST: number of handles that have read all messages; under
 *	@lock
 * @readers: MBOX_BROADCAST: readers that were not expelled, by their number; under @lock
 * @receivers: calls that wait for any message; under @lock
 * @choosers: calls that wait for a message by its type; under @lock
 * @senders: calls that wait for room or for a receiver, without MBOX_FAIR; under
 *	@lock
 * @by_msg: send calls that can be found by their message; under @lock
 * @accepted: calls whose message was accepted and that wait for its receipt or
 *	for a reply; under @lock
 * @peekers: calls that wait to copy a message and leave it: with MBOX_PEEK, or at a
 *	MBOX_BROADCAST mailbox; under @lock
 * @waking: calls of @peekers that are to be woken, oldest first; under @lock
 * @collectors: calls that wait for the end of calls that were started; under @lock
 * @peeks: struct mbx_peek by the address of its message; under @lock
 * @arrivals: number of the last call that began to wait, handle that began to be
 *	polled, or request that was taken (its token); under @lock
 * @waiting_receivers: number of calls that wait to receive or to peek; under @lock
 * @waiting_senders: number of calls that wait to send, for a receipt or for a reply;
 *	under @lock
 * @recv_handles: number of open handles that may receive; under @lock
 * @lessees: handles that have messages on lease; under @lock
 * @delays: messages that come back later, NULL until the first one; set once, under
 *	@lock, with release order
 * @dead_letter: the mailbox that gets messages that come back too often, one reference, or
 *	NULL; set before the mailbox can be found, cleared under @lock
 * @max_deliveries: how often a message can be on lease; 0: any number
 * @depth: how many mailboxes the chain of @dead_letter has
 * @dead_letters: number of messages that came back too often; under @lock
 * @redelivered: number of deliveries of messages that had been on lease; under @lock
 * @last_reader: MBOX_BROADCAST: number of the last reader that came; under @lock
 * @in_flight: MBOX_HANGUP: number of messages in flight; under @lock
 * @handles: number of handles that are open or still being closed; under @lock
 * @fds: files in messages; under @lock
 * @send_handles: number of open handles that may send; under @lock
 * @had_receivers: a process has had a handle that may receive; under @lock
 * @had_senders: a process has had a handle that may send; under @lock
 * @policy: index in mbx_store_policies
 * @sent: number of messages accepted; under @lock
 * @last_arrival: mbx_message.arrival of the last one, or of a later one that came back;
 *	under @lock
 * @mtime_arrival: @last_arrival when the inode had the time of the last send; under
 *	@lock
 * @received_at: the jiffy in which the last message was delivered; 0: none was, or the
 *	inode has that time; set without @lock
 * @last_sender: the process that sent the last message, in the initial pid namespace; 0:
 *	there was none; under @lock
 * @last_receiver: likewise the one that received the last message; set without @lock
 * @waited: how many messages waited how long until they were delivered, each message in one
 *	place; under @lock
 * @dropped: number of messages dropped by the overflow policy; under @lock
 * @history: MBOX_BROADCAST: messages that stay for later handles, or NULL; constant
 * @expired: number of messages dropped because their lifespan ended; under @lock
 * @max_bytes: how many bytes of payload @stored and messages on lease may have; 0: any
 *	number, and then constant; changes under @lock
 * @held_bytes: payload of messages on lease, as far as it counts; under @lock
 * @lifespans: lifespans of messages, NULL until the first one; set once, under @lock,
 *	with release order
 * @pollers: handles that are polled, and the entry of @watch; under @lock
 * @id: unique in the network namespace of its creator
 * @net_ino: inode number of that namespace
 * @published: the mailbox can be, or could be, looked up; set before the first lookup
 * @direct: the mailbox is one direction of a direct link
 * @late_put: the instance has a reference, which it drops later; under @lock
 * @late_name: the instance is going to remove its name; under @lock
 * @uncharged: it is dead, its last handle is closed and the instance is done with it, so the
 *	user is not charged for it any more; set once, under @lock
 * @given_back: it is dead and its last handle is closed, and @ring has no memory any more; set
 *	once, by the thread that closes the handle, or that frees the mailbox
 * @dentry: the name, NULL if there is none; under inode.i_lock
 * @choices: MBX_STORE_CHOICES: readers with another policy; set once, under @lock
 * @receiver_pid: @direct: the process that receives, one reference
 * @sender_pid: @direct: the process that sends, one reference
 * @id_node: in mbx_instance.ids while inode.i_private points to the instance; under
 *	namespace_lock
 * @late: in mbx_instance.late_names or late_done, when there is no id any more
 * @user: the user that is charged for the mailbox
 * @ring: MBOX_RING: the memory; otherwise NULL
 * @watch: recipients of events other than polled handles, NULL until the first one;
 *	set once, under @lock, with release order
 * @inode: the file; its references are those of the mailbox. Its owner, group and
 *	mode are those of the mailbox: read for receiving and write for sending. It
 *	remains initialized while its memory is unused.
 */
struct mailbox {
	spinlock_t lock;
	u32 capacity;
	u32 limit;
	u32 msg_max;
	u32 len_max;
	u32 flags;
	u32 store_flags;
	u32 in_flight;
	struct mbx_message *spare;
	struct mbx_queue stored;
	struct mbx_queue blocked_sends;
	/* Only one of these is in use: the flags exclude each other. */
	union {
		struct list_head arrival_list;
		struct rb_root contenders;
		struct {
			u64 next_seq;
			struct rb_root readers;
		};
	};
	struct rb_root_cached receivers;
	struct rb_root senders;
	struct rb_root shares;
	struct rb_root choosers;
	struct rb_root by_msg;
	struct rb_root peeks;
	struct hlist_head accepted;
	struct list_head peekers;
	struct list_head waking;
	struct list_head collectors;
	u64 arrivals;
	u32 waiting_receivers;
	u32 waiting_senders;
	u32 recv_handles;
	u32 send_handles;
	u32 handles;
	u32 net_ino;
	struct hlist_head fds;
	u64 sent;
	u64 last_arrival;
	u64 mtime_arrival;
	u64 received_at;
	u32 last_sender;
	u32 last_receiver;
	u64 waited[MBOX_WAIT_BUCKETS];
	u64 dropped;
	struct mailbox *dead_letter;
	u64 dead_letters;
	/* There are no leases with MBOX_BROADCAST. */
	union {
		u64 redelivered;
		u64 last_reader;
	};
	struct hlist_head lessees;
	struct mbx_delays *delays;
	u32 held;
	union {
		u32 max_deliveries;
		u32 caught_up;
	};
	u64 expired;
	u64 max_bytes;
	u64 held_bytes;
	struct mbx_lifespans *lifespans;
	struct mbx_history *history;
	struct list_head pollers;
	bool dead;
	bool published;
	bool direct;
	bool had_receivers;
	bool had_senders;
	u8 policy : 4;
	u8 depth : 4;
	u8 late_put : 1;
	u8 late_name : 1;
	u8 uncharged : 1;
	bool given_back;
	u64 id;
	union {
		struct rb_node id_node;
		struct llist_node late;
	};
	/* A direct link has no name and no broadcasts. */
	union {
		struct {
			struct dentry *dentry;
			struct mbx_choices *choices;
		};
		struct {
			struct pid *receiver_pid;
			struct pid *sender_pid;
		};
	};
	struct mbx_user *user;
	struct mbx_ring *ring;
	struct mbx_watch *watch;
	struct inode inode;
};

/* The flags that a mailbox can have: all of them, and those of each mode. */
#define MBX_ATTR_FLAGS (MBX_QUEUE_FLAGS | MBX_RING_FLAGS)
#define MBX_QUEUE_FLAGS (MBOX_FIXED | MBOX_DROP_OLDEST | MBOX_DROP_NEWEST | \
			 MBOX_HANGUP | MBOX_FAIR | MBOX_BROADCAST | \
			 MBOX_INHERIT | MBOX_LEAF | MBOX_TEMPORARY | MBOX_ALLOW_WAIT)
#define MBX_RING_FLAGS (MBOX_FIXED | MBOX_HANGUP | MBOX_ONE_SENDER | \
			MBOX_ONE_RECEIVER | MBOX_LEAF | MBOX_TEMPORARY)

/* Flags that make no difference to sending a message of bytes. */
#define MBX_PLAIN_FLAGS (MBOX_INHERIT | MBOX_LEAF | MBOX_TEMPORARY)
/* Only in mailbox.flags, and not shown: each message has a struct mbx_message_ext. */
#define MBX_FLAG_EXT BIT(31)

/* Flags that make storing a message more than adding it to the queue. */
#define MBX_STORE_FLAGS (MBOX_DROP_OLDEST | MBOX_FAIR | MBOX_BROADCAST)
/* Only in mailbox.store_flags: the queues of the mailbox have indexes. */
#define MBX_STORE_INDEXED BIT(31)
/* Likewise: a rank of @stored can have several segments (queue.h). */
#define MBX_STORE_PARTED BIT(29)
/* Likewise: senders wait although there may be room; no send may overtake them. */
#define MBX_STORE_BACKLOG BIT(30)
/* Likewise: messages have lifespans, or had. */
#define MBX_STORE_LIFESPANS BIT(28)
/* Likewise: the mailbox has mailbox.max_bytes. */
#define MBX_STORE_BYTES BIT(27)
/* Likewise: readers of broadcasts have, or had, another policy than the mailbox. */
#define MBX_STORE_CHOICES BIT(26)

/* Without leases an empty queue has one segment for each rank: new messages make no others. */
static inline void mbx_unpart(struct mailbox *mb)
{
	if (mb->held || mb->stored.count)
		return;
	mb->stored.parted = false;
	mb->store_flags &= ~MBX_STORE_PARTED;
}

/* Rights of a handle, as bits of a permission class. */
#define MBX_MAY_RECV 4
#define MBX_MAY_SEND 2

/*
 * How a name is escaped when the kernel prints it: blanks, backslashes and every
 * byte that is not printable ASCII become \xNN. An escaped name is one word and
 * contains no control sequence for a terminal.
 */
#define MBX_NAME_ESCAPE (ESCAPE_HEX | ESCAPE_NAP | ESCAPE_APPEND)
#define MBX_NAME_ESCAPED " \\"

/* Escape a name, without a NUL. Return its escaped length, as snprintf() does. */
static inline int mbx_name_escape(const char *name, size_t len, char *dst,
				  size_t size)
{
	return string_escape_mem(name, len, dst, size, MBX_NAME_ESCAPE,
				 MBX_NAME_ESCAPED);
}

static inline struct mailbox *mbx_mailbox_of(struct inode *inode)
{
	return container_of(inode, struct mailbox, inode);
}

/* The namespace in which CAP_IPC_OWNER is checked and senders are told apart. */
static inline struct user_namespace *mbx_mailbox_user_ns(const struct mailbox *mb)
{
	return mb->inode.i_sb->s_user_ns;
}

/* For use without a process, a file or a mount that keeps the instance. */
static inline void mbx_mailbox_hold(struct mailbox *mb)
{
	atomic_inc(&mb->inode.i_sb->s_active);
	ihold(&mb->inode);
}

static inline void mbx_mailbox_unhold(struct mailbox *mb)
{
	struct super_block *sb = mb->inode.i_sb;

	iput(&mb->inode);
	deactivate_super(sb);
}

static inline void mbx_mailbox_put(struct mailbox *mb)
{
	iput(&mb->inode);
}

/*
 * The upper bits of mbx_message.arrival are the jiffies in which the mailbox accepted the
 * message. The lower bits make the numbers of a mailbox increase strictly. If they do not
 * suffice for the messages of a jiffy, the numbers run ahead of the time.
 */
#define MBX_ARRIVAL_SHIFT 20

/* The present jiffy, in a number that does not wrap. */
static inline u64 mbx_jiffy(void)
{
	return get_jiffies_64();
}

/* The number of the next message that is accepted. */
static inline u64 mbx_next_arrival(struct mailbox *mb)
{
	u64 now = mbx_jiffy() << MBX_ARRIVAL_SHIFT;

	mb->last_arrival = max(mb->last_arrival + 1, now);
	return mb->last_arrival;
}

/* A message was accepted. */
static inline void mbx_count_sent(struct mailbox *mb, struct mbx_message *msg)
{
	mb->sent++;
	mb->last_sender = msg->sender->pid->numbers[0].nr;
	msg->arrival = mbx_next_arrival(mb);
}

/* A message was accepted, and dropped before it was made, or instead of being stored. */
static inline void mbx_count_sent_dropped(struct mailbox *mb)
{
	mb->sent++;
	mb->dropped++;
	mb->last_sender = current->tgid;
	mbx_next_arrival(mb);
}

/* Likewise a message whose lifespan ended before it was made. */
static inline void mbx_count_sent_expired(struct mailbox *mb)
{
	mb->sent++;
	mb->expired++;
	mb->last_sender = current->tgid;
	mbx_next_arrival(mb);
}

/* Whether there were receivers, and the last of their handles is closed. */
static inline bool mbx_receivers_gone(const struct mailbox *mb)
{
	return !mb->recv_handles && mb->had_receivers;
}

/* Whether there were senders, and the last of their handles is closed. */
static inline bool mbx_senders_gone(const struct mailbox *mb)
{
	return !mb->send_handles && mb->had_senders;
}

/* The options of a mailbox for which none are given. */
extern const struct mbox_options mbx_no_options;

unsigned int mbx_msg_max_limit(void);
int mbx_attr_check(const struct mbox_attr *attr);
int mbx_options_check(struct mbox_options *options, const struct mbox_attr *attr);
struct mailbox *mbx_mailbox_new(const struct mbox_attr *attr,
				const struct mbox_options *options,
				struct mbx_ring **ring, struct super_block *sb);
void mbx_mailbox_release(struct mailbox *mb);
bool mbx_mailbox_visible(struct mailbox *mb);
bool mbx_mailbox_owned(struct mailbox *mb);
int mbx_mailbox_attach(struct mailbox *mb, unsigned int rights,
		       struct mbx_reader *reader);
void mbx_mailbox_arrived(struct mailbox *mb, unsigned int rights);
void mbx_mailbox_detach(struct mailbox *mb, unsigned int rights,
			struct mbx_reader *reader);
int mbx_mailbox_set_capacity(struct mailbox *mb, u32 capacity, u64 max_bytes);
int mbx_mailbox_expel(struct mailbox *mb, struct mbox_expel *expel);
int mbx_mailbox_set_reader(struct mailbox *mb, struct mbx_reader *reader, u32 policy);
int mbx_mailbox_notify(struct mailbox *mb, const struct mbx_reader *reader,
		       const struct mbox_notify *arg);
bool mbx_mailbox_keep_late(struct mailbox *mb);
void mbx_mailbox_put_late(struct mailbox *mb);
void mbx_mailbox_forgotten(struct mailbox *mb);
int mbx_mailbox_destroy(struct mailbox *mb);
int mbx_mailbox_stat(struct mailbox *mb, struct mbox_stat *st);
u64 mbx_mailbox_getattr(struct mailbox *mb);

#endif /* MBX_MAILBOX_H */
