/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Mailboxes: the interface of /dev/mbox.
 *
 * An open /dev/mbox supports the control ioctls (numbers below 0x10). They
 * create, open, unlink and list mailboxes, and open direct links to processes.
 * Creating and opening return a new file descriptor, a handle. A handle
 * supports the handle ioctls (0x10 and up) and read, write and poll. O_RDONLY
 * handles receive, O_WRONLY handles send, O_RDWR handles do both.
 *
 * Structures grow only at their end. The size that the caller was compiled with
 * is part of the ioctl number (_IOC_SIZE). The kernel reads a structure that is
 * shorter than its own as if it continued with zeros. It accepts a longer one
 * if the part that it does not know is zero. Every structure has the same
 * layout for 32- and 64-bit programs.
 *
 * Errors, the same for every ioctl:
 *
 *   EAGAIN      the call would have to wait, and MBOX_DONTWAIT or O_NONBLOCK is
 *               set
 *   ETIMEDOUT   the deadline passed before the call could complete
 *   EINTR       a signal handler without SA_RESTART interrupted the call;
 *               MBOX_NORESTART: any signal handler did; send with lifespan_ns: any
 *               signal did
 *   EMSGSIZE    send: longer than msg_max or than max_bytes, or not msg_max bytes
 *               on an MBOX_FIXED mailbox; receive: the buffer is shorter than
 *               the message and MBOX_TRUNC is not set (the message stays queued),
 *               or shorter than msg_max and MBOX_LONGEST is set;
 *               call and reply: the reply is longer than the caller's buffer
 *   EIDRM       the mailbox was destroyed
 *   EPIPE       MBOX_HANGUP, and the last handle of the other side was closed;
 *               or the overflow policy dropped an MBOX_SYNC message; or the
 *               lifespan of a message ended while its sender waited; or no
 *               reply to a request is possible; or the peer of a direct link
 *               has closed it or exited (receive: only when nothing is queued)
 *   ENOTCONN    receive, set reader: the owner of the mailbox expelled this handle
 *   ESRCH       reply: no caller waits for this reply on this handle; ack, nack:
 *               this handle has no such message on lease; expel: no such reader,
 *               or it has fewer messages to receive; direct link: no such
 *               process
 *   EBADF       the handle lacks the right to send or to receive; send, notify:
 *               not an open descriptor
 *   EACCES      open, create, unlink: permission denied
 *   EPERM       destroy, set capacity, expel: the caller is not the owner; create:
 *               MBOX_INHERIT without CAP_SYS_NICE; set reader: the mailbox drops
 *               messages, and is not MBOX_ALLOW_WAIT; direct link: not allowed to
 *               open one to that process; any call on a direct link except
 *               stat: another process opened the handle
 *   EEXIST      create with O_EXCL: the name exists
 *   ENOENT      no mailbox of that name or id; the end of a walk
 *   ENAMETOOLONG  a name of more than MBOX_NAME_MAX bytes
 *   EDQUOT      the user's limit of mailboxes or of memory is reached
 *   EOVERFLOW   create: the user namespace of the network namespace has no id for
 *               the caller
 *   EINVAL      unknown flag or mode, flags that exclude each other, a reserved
 *               field that is not zero, a number out of range, a structure too
 *               short for its required part
 *   EOPNOTSUPP  a mailbox of this mode or with these flags does not have the
 *               operation
 *   EUSERS      mmap: the ring has MBOX_SLOT_OWNER_MAX senders
 *   EBUSY       mmap: MBOX_ONE_SENDER or MBOX_ONE_RECEIVER, and there is one;
 *               notify: a process is registered
 *   E2BIG       a structure longer than the kernel's whose tail is not zero
 *   EFAULT      a bad address; nothing changed
 *   ENOMEM      not enough memory; nothing changed
 *   EMFILE      no free descriptor; receive: too few for those of the message
 *   ENFILE      the system has no free descriptor
 *   ELOOP       send: a descriptor of a kind that cannot be sent, or the mailbox is
 *               MBOX_LEAF
 *   ETOOMANYREFS  send: the user's limit of descriptors in messages
 *   ENOTTY      no such ioctl on this file
 */
#ifndef _UAPI_LINUX_MBOX_H
#define _UAPI_LINUX_MBOX_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Grows by one with every change of the interface in this file. */
#define MBOX_ABI_VERSION	18

/* Longest name, in bytes; names are not terminated. */
#define MBOX_NAME_MAX		255
/* Highest message priority. */
#define MBOX_PRIO_MAX		32767
/* A capacity without a limit. */
#define MBOX_UNBOUNDED		0xffffffffU
/* Descriptors in one message. */
#define MBOX_FDS_MAX		32
/* Most messages that one batch call handles; it ignores the others. */
#define MBOX_BATCH_MAX		1024
/* The places of struct mbox_stat.waited. */
#define MBOX_WAIT_BUCKETS	24

/* Modes: how the mailbox keeps its messages. */
/* The kernel copies messages in and out. */
#define MBOX_QUEUE		0
/* The messages are in memory that the participants map. */
#define MBOX_RING		1

/* Flags of a mailbox, chosen when it is created. */
/* Every message has exactly msg_max bytes. */
#define MBOX_FIXED		(1U << 0)
/* A send to a full mailbox drops the oldest messages. */
#define MBOX_DROP_OLDEST	(1U << 1)
/* A send to a full mailbox drops its own message and succeeds. */
#define MBOX_DROP_NEWEST	(1U << 2)
/* Fail with EPIPE (read: 0) after the last handle of one side is closed. */
#define MBOX_HANGUP		(1U << 3)
/* MBOX_RING: one mapping at a time may send (mmap: EBUSY). */
#define MBOX_ONE_SENDER		(1U << 4)
/* MBOX_RING: one mapping at a time may receive (mmap: EBUSY). */
#define MBOX_ONE_RECEIVER	(1U << 5)
/* Every receiving handle gets every message. */
#define MBOX_BROADCAST		(1U << 6)
/* A user takes at most half of the room that the messages of others leave. */
#define MBOX_FAIR		(1U << 7)
/* A thread that owes replies inherits the real-time priority of the callers. */
#define MBOX_INHERIT		(1U << 8)
/* No descriptors in messages (ELOOP); in return, its handles may be sent in messages. */
#define MBOX_LEAF		(1U << 9)
/* The mailbox ends, and its name goes, when its last handle is closed. */
#define MBOX_TEMPORARY		(1U << 10)
/* MBOX_BROADCAST with MBOX_DROP_OLDEST: a reader may have senders wait for it. */
#define MBOX_ALLOW_WAIT		(1U << 11)

/* Flags of a call. */
/* Fail with EAGAIN instead of waiting. */
#define MBOX_DONTWAIT		(1U << 0)
/* The deadline is in CLOCK_REALTIME, not CLOCK_MONOTONIC. */
#define MBOX_REALTIME		(1U << 1)
/* Send: return after a receiver has copied the message. */
#define MBOX_SYNC		(1U << 2)
/* Receive: leave the message in the mailbox. */
#define MBOX_PEEK		(1U << 3)
/* Receive: cut the message to the buffer, report its full length. */
#define MBOX_TRUNC		(1U << 4)
/* Receive: the first message whose type equals struct mbox_msg.type. */
#define MBOX_MATCH		(1U << 5)
/* Receive: the first message whose type differs (implies MBOX_MATCH). */
#define MBOX_MATCH_NOT		(1U << 6)
/* Receive: the first of the lowest type not above (implies MBOX_MATCH). */
#define MBOX_MATCH_LE		(1U << 7)
/* Receive batch: wait only for the first message, as MSG_WAITFORONE does. */
#define MBOX_WAITFORONE		(1U << 8)
/* Receive: out: descriptors of the message were closed, not received. */
#define MBOX_CTRUNC		(1U << 9)
/* Receive: out: MBOX_BROADCAST: the handle lost messages before this one. */
#define MBOX_LOST		(1U << 10)
/* Receive: keep the message until MBOX_IOC_ACK: it comes back if the handle ends. */
#define MBOX_LEASE		(1U << 11)
/* Receive: EMSGSIZE if the buffer is shorter than msg_max, whatever the message has. */
#define MBOX_LONGEST		(1U << 12)
/* EINTR after any signal handler, also after one with SA_RESTART. */
#define MBOX_NORESTART		(1U << 13)

/**
 * struct mbox_attr - what a mailbox is
 * @mode: MBOX_QUEUE or MBOX_RING
 * @flags: MBOX_FIXED, MBOX_HANGUP, MBOX_LEAF, MBOX_TEMPORARY; MBOX_QUEUE: one of
 *	MBOX_DROP_OLDEST, MBOX_DROP_NEWEST and MBOX_FAIR, and MBOX_INHERIT or
 *	(without MBOX_FAIR) MBOX_BROADCAST; MBOX_BROADCAST with
 *	MBOX_DROP_OLDEST: MBOX_ALLOW_WAIT; MBOX_RING: MBOX_ONE_SENDER,
 *	MBOX_ONE_RECEIVER
 * @capacity: messages that can be queued; 0: a send waits until a receiver
 *	takes its message (rendezvous), not with MBOX_BROADCAST;
 *	MBOX_UNBOUNDED: a send never waits for room; MBOX_RING: 1 to
 *	MBOX_RING_CAPACITY_MAX
 * @msg_max: largest message in bytes, from 1 to the module's msg_max_limit
 * @perm: permission bits, 0 to 0777: read is the right to receive, write the
 *	right to send; the bits of the umask are cleared at creation
 *
 * This structure is part of others and does not grow.
 */
struct mbox_attr {
	__u32 mode;
	__u32 flags;
	__u32 capacity;
	__u32 msg_max;
	__u32 perm;
};

/**
 * struct mbox_info - the features of the module, and limits
 * @abi: out: MBOX_ABI_VERSION of the module
 * @modes: out: bit n is set when mode n exists
 * @attr_flags: out: the mailbox flags that exist
 * @call_flags: out: the call flags that exist
 * @user_mailboxes: out: how many mailboxes a user may have
 * @mailboxes: out: how many the user of the calling process has
 * @user_bytes: out: how many bytes of memory a user may have
 * @bytes: out: how many the user of the calling process has
 * @msg_max_limit: out: the largest msg_max of a new mailbox
 * @fds: out: descriptors in messages of the user of the calling process; RLIMIT_NOFILE
 *	is their limit
 *
 * In a user namespace, the user that created it is charged too, and so on above. Of
 * these users, @mailboxes, @bytes and @fds are each those of the one that has most.
 */
struct mbox_info {
	__u32 abi;
	__u32 modes;
	__u32 attr_flags;
	__u32 call_flags;
	__u32 user_mailboxes;
	__u32 mailboxes;
	__aligned_u64 user_bytes;
	__aligned_u64 bytes;
	__u32 msg_max_limit;
	__u32 fds;
};

/**
 * struct mbox_options - what few mailboxes need
 * @size: size of this structure; 0: there are no options, and the other fields must
 *	be zero
 * @history: MBOX_BROADCAST: how many of the last messages a handle that is opened later
 *	gets first, at most the capacity; otherwise must be zero
 * @max_deliveries: a message that comes back after so many deliveries on lease goes to
 *	@dead_letter, or is dropped; 0: any number. Not with MBOX_BROADCAST or MBOX_RING
 * @dead_letter: -1, or a handle with the right to send of the mailbox that gets such
 *	messages: a queue without MBOX_BROADCAST, MBOX_FIXED and MBOX_LEAF, with
 *	capacity, in the same network namespace, and whose msg_max is not smaller. Not
 *	with MBOX_LEAF
 * @max_bytes: MBOX_QUEUE: the most bytes that the messages in the mailbox may have
 *	together: a send that would exceed it acts as at a full mailbox, and a message
 *	longer than this cannot be sent; MBOX_FIXED: at least msg_max; 0: any number
 *
 * Options of a mailbox that exists already are checked and otherwise ignored.
 */
struct mbox_options {
	__u32 size;
	__u32 history;
	__u32 max_deliveries;
	__s32 dead_letter;
	__aligned_u64 max_bytes;
};

/**
 * struct mbox_create - create a mailbox, or open the one that has the name
 * @name: address of the name: no '/', no NUL, unterminated
 * @name_len: its length, 1 to MBOX_NAME_MAX; 0: the mailbox is anonymous
 * @oflags: one of O_RDONLY, O_WRONLY, O_RDWR, or with a name O_ACCMODE, for a handle
 *	with neither right; O_EXCL, O_NONBLOCK, O_CLOEXEC; O_CREAT is accepted and
 *	changes nothing
 * @attr: attributes of a new mailbox; if the name exists, they are checked and
 *	otherwise ignored
 * @reserved: must be zero
 * @id: out: the mailbox's id, never reused in its network namespace
 * @options: options of a new mailbox; the last field, because it grows
 *
 * The ioctl returns the new file descriptor.
 */
struct mbox_create {
	__aligned_u64 name;
	__u32 name_len;
	__u32 oflags;
	struct mbox_attr attr;
	__u32 reserved;
	__aligned_u64 id;
	struct mbox_options options;
};

/* The required part of struct mbox_create: all except options. */
#define MBOX_CREATE_SIZE_MIN	48

/**
 * struct mbox_open - open an existing mailbox by name or by id
 * @name: address of the name, as in struct mbox_create
 * @name_len: its length; 0: open by id
 * @oflags: O_RDONLY, O_WRONLY or O_RDWR; O_NONBLOCK, O_CLOEXEC
 * @id: the mailbox's id when name_len is 0; otherwise zero
 *
 * The ioctl returns the new file descriptor.
 */
struct mbox_open {
	__aligned_u64 name;
	__u32 name_len;
	__u32 oflags;
	__aligned_u64 id;
};

/**
 * struct mbox_unlink - remove a name
 * @name: address of the name, as in struct mbox_create
 * @name_len: its length
 * @reserved: must be zero
 *
 * Needs the owner or CAP_IPC_OWNER. The mailbox lives on without a name until
 * its last handle is closed.
 */
struct mbox_unlink {
	__aligned_u64 name;
	__u32 name_len;
	__u32 reserved;
};

/**
 * struct mbox_stat - the state of a mailbox at one moment
 * @id: the mailbox's id
 * @attr: attributes; the capacity is the present one
 * @queued: messages in the mailbox
 * @bytes: length of their payloads, added up
 * @waiting_senders: send calls that wait, for room, for a receiver, for a copy
 *	(MBOX_SYNC) or for a reply
 * @waiting_receivers: receive calls that wait
 * @sent: messages accepted since creation
 * @received: messages delivered since creation
 * @dropped: messages dropped by the overflow policy
 * @uid: the owner, in the caller's user namespace
 * @gid: the owner's group, in the caller's user namespace
 * @send_handles: open handles with the right to send
 * @recv_handles: open handles with the right to receive
 * @stalled_ns: MBOX_RING: nanoseconds since the kernel noticed that the next
 *	slot is reserved and not committed, which holds up all messages behind
 *	it; 0: no slot holds up the ring
 * @stalled_pid: the process that reserved that slot, in the caller's pid
 *	namespace; 0: it has no number there
 * @reserved: zero
 * @highest: the most messages that were in the mailbox at one time
 * @leased: messages on lease, and those that come back later
 * @oldest_ns: nanoseconds since the oldest message in the mailbox was accepted, as
 *	exact as a tick of the kernel; 0: there is none, or it is younger
 * @expired: messages dropped because their lifespan ended
 * @redelivered: leases of messages that had been on lease before
 * @dead_letters: messages that went to the dead-letter mailbox, or were dropped
 *	because there is none
 * @waited: how many messages waited how long from when they were accepted until a
 *	receiver took them: [0] less than a millisecond, [i] from 2^(i-1)
 *	milliseconds up to less than 2^i, the last one all that waited longer; as
 *	exact as a tick of the kernel. Together they are @received
 * @last_sender: the process that sent the last message, in the caller's pid namespace;
 *	0: there was none, or it has no number there, or (unless that is the initial
 *	pid namespace) it has exited
 * @last_receiver: likewise the process that received the last message
 *
 * The kernel does not see the messages of a ring: for MBOX_RING, the fields from
 * @highest on are zero.
 */
struct mbox_stat {
	__aligned_u64 id;
	struct mbox_attr attr;
	__u32 queued;
	__aligned_u64 bytes;
	__u32 waiting_senders;
	__u32 waiting_receivers;
	__aligned_u64 sent;
	__aligned_u64 received;
	__aligned_u64 dropped;
	__u32 uid;
	__u32 gid;
	__u32 send_handles;
	__u32 recv_handles;
	__aligned_u64 stalled_ns;
	__u32 stalled_pid;
	__u32 reserved;
	__u32 highest;
	__u32 leased;
	__aligned_u64 oldest_ns;
	__aligned_u64 expired;
	__aligned_u64 redelivered;
	__aligned_u64 dead_letters;
	__aligned_u64 waited[MBOX_WAIT_BUCKETS];
	__u32 last_sender;
	__u32 last_receiver;
};

/**
 * struct mbox_walk - the next mailbox that the caller may see
 * @id: in: return the first mailbox with a greater id; out: that id
 * @name: out: its name, NUL-terminated; empty if it has none
 * @ns: out: inode number of the network namespace that its id belongs to
 * @stat: out: its state; the last field, because it grows
 *
 * A caller may see the mailboxes that it owns, and those that it could open for
 * receiving or for sending. ENOENT ends the walk.
 */
struct mbox_walk {
	__aligned_u64 id;
	char name[MBOX_NAME_MAX + 1];
	__aligned_u64 ns;
	struct mbox_stat stat;
};

/**
 * struct mbox_total - add up mailboxes
 * @prefix: address of what their names begin with, unterminated
 * @prefix_len: its length, at most MBOX_NAME_MAX; 0: mailboxes without a name too
 * @max: add up at most so many; 0: all
 * @id: in: only mailboxes with a greater id; out: the id of the last one, unchanged if
 *	there is none
 * @mailboxes: out: how many there are
 * @queued: out: their messages, without those of rings
 * @bytes: out: the payload of these messages
 *
 * Those that the caller may see, as in a walk, in the order of ids. The numbers of
 * messages are of slightly different times.
 */
struct mbox_total {
	__aligned_u64 prefix;
	__u32 prefix_len;
	__u32 max;
	__aligned_u64 id;
	__aligned_u64 mailboxes;
	__aligned_u64 queued;
	__aligned_u64 bytes;
};

/**
 * struct mbox_direct - open the caller's direct link to another process
 * @pid: the process, in the caller's pid namespace
 * @oflags: O_RDONLY, O_WRONLY or O_RDWR; O_NONBLOCK, O_CLOEXEC
 * @flags: must be zero
 * @reserved: must be zero
 *
 * Two processes have one link; the process that opens it first creates it. Each
 * direction is a queue with MBOX_HANGUP, for 64 messages of up to 8192 bytes.
 * Sends go to @pid, and receives take messages that @pid sent. An end is
 * present until it has been opened and closed again, or its process has exited.
 *
 * Only the process that opened the handle can use it. A link may be opened to
 * any process that the caller could signal (kill(2)), or that already has a
 * link open to the caller. Each direction counts as a mailbox of the creator's
 * user.
 *
 * The ioctl returns the new file descriptor.
 */
struct mbox_direct {
	__s32 pid;
	__u32 oflags;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct mbox_msg - one message, for sending and for receiving
 * @buf: address of the payload
 * @len: send: bytes to send; receive: in: size of the buffer; out: the
 *	message's full length
 * @flags: flags of the call
 * @deadline_ns: absolute time at which the call gives up, in nanoseconds of
 *	CLOCK_MONOTONIC (MBOX_REALTIME: CLOCK_REALTIME); 0: never. A call whose
 *	deadline has passed already still does what it can do without waiting
 * @prio: send: 0 to MBOX_PRIO_MAX, the highest is received first; receive: out:
 *	the message's
 * @skip: receive: MBOX_PEEK without MBOX_MATCH_LE: look past that many
 *	(matching) messages; otherwise, and in a send, must be zero
 * @type: send: any number; receive: in: what MBOX_MATCH compares with; out: the
 *	message's
 * @token: send: must be zero; receive: out: for struct mbox_lease, with MBOX_LEASE;
 *	for struct mbox_reply, if the message is a request (MBOX_IOC_CALL); otherwise
 *	zero
 * @pid: receive: out: the sender's process id in the receiver's pid namespace;
 *	0: it has none there
 * @uid: receive: out: the sender's real user id in the receiver's user
 *	namespace
 * @gid: receive: out: the sender's real group id, likewise
 * @nfds: send: number of descriptors in the message, at most MBOX_FDS_MAX;
 *	receive: in: size of the array, at most MBOX_FDS_MAX; out: how many were
 *	stored
 * @fds: address of an array of @nfds descriptors, each a __s32; zero if and
 *	only if @nfds is
 * @lost: receive: out: how many messages this handle lost between the last one
 *	that it received and this one (MBOX_BROADCAST, and MBOX_LOST in @flags);
 *	otherwise zero
 * @deliveries: receive: out: how often the message has been on lease, this time
 *	included; otherwise zero
 * @reserved: must be zero
 * @lifespan_ns: send: nanoseconds after which the message is dropped, unless a
 *	receiver has taken it; 0: it has no lifespan; not with MBOX_BROADCAST, nor
 *	in a request; receive: out: what is left of it, at least 1; 0: it has none
 *
 * A caller may pass only the first three fields (MBOX_MSG_SIZE_MIN bytes).
 * A receive ignores the input in fields that it only sets, and a send ignores
 * @pid, @uid, @gid, @lost and @deliveries. If a call fails, the structure is as before.
 */
struct mbox_msg {
	__aligned_u64 buf;
	__u32 len;
	__u32 flags;
	__aligned_u64 deadline_ns;
	__u32 prio;
	__u32 skip;
	__aligned_u64 type;
	__aligned_u64 token;
	__u32 pid;
	__u32 uid;
	__u32 gid;
	__u32 nfds;
	__aligned_u64 fds;
	__aligned_u64 lost;
	__u32 deliveries;
	__u32 reserved;
	__aligned_u64 lifespan_ns;
};

/* The required part of struct mbox_msg: buf, len and flags. */
#define MBOX_MSG_SIZE_MIN	16

/**
 * struct mbox_vec - several messages in one call
 * @msgs: address of an array of struct mbox_msg
 * @n: its length; the ioctl handles at most MBOX_BATCH_MAX messages
 * @flags: flags that are added to those of each message; receive: also
 *	MBOX_WAITFORONE
 * @msg_size: sizeof(struct mbox_msg) of the caller, from MBOX_MSG_SIZE_MIN to
 *	4096
 * @reserved: must be zero
 *
 * The ioctl ends at the first message that fails. It returns how many messages
 * were sent or received, or the error if there was none.
 */
struct mbox_vec {
	__aligned_u64 msgs;
	__u32 n;
	__u32 flags;
	__u32 msg_size;
	__u32 reserved;
};

/**
 * struct mbox_set_capacity - change the capacity of a mailbox in use
 * @capacity: as in struct mbox_attr
 * @reserved: must be zero
 * @max_bytes: as in struct mbox_options; 0: it stays as it is. Only of a mailbox that
 *	was created with max_bytes, and with none of MBOX_FIXED, MBOX_DROP_OLDEST,
 *	MBOX_DROP_NEWEST, MBOX_FAIR and MBOX_BROADCAST
 *
 * Needs the owner or CAP_IPC_OWNER. If a limit grows, waiting senders continue; if
 * it shrinks below what is queued, nothing is dropped. A send that waits with a message
 * longer than a new max_bytes fails with EMSGSIZE.
 */
struct mbox_set_capacity {
	__u32 capacity;
	__u32 reserved;
	__aligned_u64 max_bytes;
};

/*
 * Rings
 *
 * A handle of an MBOX_RING mailbox is mapped region by region: mmap(2) with
 * MAP_SHARED, the offset MBOX_RING_OFFSET(region), and the region's size. The
 * handle's rights decide which regions can be mapped with PROT_WRITE; a region
 * that is mapped without it cannot get it later. A child of fork(2) does not
 * inherit a mapping. A mapping cannot be split, moved or grown.
 *
 * Mapping MBOX_RING_SLOTS with PROT_WRITE makes the process a sender with an
 * owner number until that mapping ends. The kernel then turns the slots that
 * the process has left MBOX_SLOT_BUSY into MBOX_SLOT_ABANDONED and wakes all
 * calls that sleep. Mapping MBOX_RING_HEAD with PROT_WRITE makes the process a
 * receiver.
 *
 * The n slots, n a power of two, are used in turn: position p, a number that
 * counts from 0, is in slot p modulo n. A slot's word contains the position,
 * the owner number of the sender that fills the slot, and the state.
 */
#define MBOX_RING_INFO		0	/* struct mbox_ring_info, read */
#define MBOX_RING_KERNEL	1	/* struct mbox_ring_kernel, read */
#define MBOX_RING_TAIL		2	/* __u64 tail; senders write */
#define MBOX_RING_HEAD		3	/* __u64 head; receivers write */
#define MBOX_RING_SLOTS		4	/* struct mbox_ring_slot; senders write */
#define MBOX_RING_REGIONS	5

#define MBOX_RING_OFFSET(region)	((__u64)(region) << 32)

/* Grows with every change of the regions' layout or of the protocol. */
#define MBOX_RING_VERSION	1

/* Most messages that a ring can hold. */
#define MBOX_RING_CAPACITY_MAX	(1U << 20)
/* Largest region of slots, in bytes. */
#define MBOX_RING_SIZE_MAX	(1U << 30)

/* Parts of a slot's word: position, owner number, state. */
#define MBOX_SLOT_COMMITTED	1	/* holds a message */
#define MBOX_SLOT_BUSY		2	/* its owner is filling it */
#define MBOX_SLOT_ABANDONED	3	/* its owner gave it up or ended */
#define MBOX_SLOT_STATE_MASK	3
#define MBOX_SLOT_OWNER_SHIFT	2
#define MBOX_SLOT_OWNER_MAX	4095	/* numbers start at 1 */
#define MBOX_SLOT_POS_SHIFT	14	/* positions are kept modulo 2^50 */

/**
 * struct mbox_ring_info - MBOX_RING_INFO: layout of the ring
 * @version: MBOX_RING_VERSION
 * @owner: owner number of this process and handle while they map the slots for
 *	writing, otherwise 0
 * @capacity: most messages that may be in the ring
 * @slots: number of slots, a power of two, at least @capacity
 * @msg_max: longest payload
 * @stride: bytes from one slot to the next
 * @flags: flags of the mailbox
 * @barrier: bit MBOX_RING_RECEIVERS or MBOX_RING_SENDERS: that side has
 *	asymmetric fences (membarrier(2)): before a call of the other side
 *	sleeps, the kernel executes a full fence on the CPUs of this one, which
 *	need only keep the compiler from reordering where the protocol has a
 *	full fence
 * @slots_size: size of MBOX_RING_SLOTS; the other regions have one page
 */
struct mbox_ring_info {
	__u32 version;
	__u32 owner;
	__u32 capacity;
	__u32 slots;
	__u32 msg_max;
	__u32 stride;
	__u32 flags;
	__u32 barrier;
	__aligned_u64 slots_size;
};

/* Bits of struct mbox_ring_kernel.state. */
#define MBOX_RING_DEAD		(1U << 0)	/* destroyed */
#define MBOX_RING_NO_SENDER	(1U << 1)	/* MBOX_HANGUP: none is open */
#define MBOX_RING_NO_RECEIVER	(1U << 2)	/* MBOX_HANGUP: none is open */

/**
 * struct mbox_ring_kernel - MBOX_RING_KERNEL: written by the kernel alone
 * @state: MBOX_RING_DEAD and so on
 * @receivers: not 0: receivers sleep or poll until there is a message; a sender
 *	reads it after each message, and then calls MBOX_IOC_RING_WAKE
 * @senders: not 0: senders sleep or poll until there is room; for receivers,
 *	likewise
 * @reserved0: zero
 * @reserved1: zero
 * @reserved2: zero
 *
 * Each is in a cache line of its own.
 */
struct mbox_ring_kernel {
	__u32 state;
	__u32 reserved0[15];
	__u32 receivers;
	__u32 reserved1[15];
	__u32 senders;
	__u32 reserved2[15];
};

/**
 * struct mbox_ring_slot - one slot
 * @word: position, owner and state
 * @len: length of the payload; valid if MBOX_SLOT_COMMITTED; each reader must
 *	check it
 * @reserved: zero
 *
 * The payload follows.
 */
struct mbox_ring_slot {
	__aligned_u64 word;
	__u32 len;
	__u32 reserved;
};

/* Sides of a ring, for struct mbox_ring_wait and struct mbox_ring_wake. */
#define MBOX_RING_RECEIVERS	0
#define MBOX_RING_SENDERS	1

/**
 * struct mbox_ring_wait - sleep until a side of a ring has something to do
 * @side: MBOX_RING_RECEIVERS: until there is a message; MBOX_RING_SENDERS:
 *	until there is room
 * @flags: any of MBOX_DONTWAIT, MBOX_REALTIME
 * @deadline_ns: as in struct mbox_msg
 *
 * Needs the right of that side. If the ioctl returns 0, the caller looks at the
 * ring again, and may find nothing to do. EPIPE: MBOX_HANGUP, and the last
 * handle of the other side was closed; for a receiver only if there is no
 * message.
 */
struct mbox_ring_wait {
	__u32 side;
	__u32 flags;
	__aligned_u64 deadline_ns;
};

/**
 * struct mbox_ring_wake - wake calls of MBOX_IOC_RING_WAIT
 * @side: MBOX_RING_RECEIVERS or MBOX_RING_SENDERS
 * @n: most calls to wake; all pollers of that side are told in any case
 *
 * Any handle can wake both sides: a receiver that took a message wakes senders,
 * and also receivers if there are more messages (it passes its wake-up on).
 */
struct mbox_ring_wake {
	__u32 side;
	__u32 n;
};

/* Flags of struct mbox_expel. */
/* Change nothing, only tell which reader it would be. */
#define MBOX_EXPEL_LOOK		0x1

/**
 * struct mbox_expel - end the receiving of a handle of an MBOX_BROADCAST mailbox
 * @reader: number of the handle, see mbox-reader in fdinfo; 0: the one with the most
 *	messages to receive, if it has any. Out: which it was
 * @unread: only if it has at least as many messages to receive. Out: how many it had,
 *	which count as dropped
 * @flags: 0 or MBOX_EXPEL_LOOK
 * @reserved: must be zero
 *
 * Needs the owner or CAP_IPC_OWNER. The handle stays open, but receives nothing more.
 */
struct mbox_expel {
	__aligned_u64 reader;
	__aligned_u64 unread;
	__u32 flags;
	__u32 reserved;
};

/* What a send to a full MBOX_BROADCAST mailbox does for a handle that has not read all. */
/* What the flags of the mailbox say. */
#define MBOX_READER_DEFAULT	0
/* The send waits, or fails with EAGAIN. */
#define MBOX_READER_WAIT	1
/* The handle loses the oldest messages. */
#define MBOX_READER_DROP	2

/**
 * struct mbox_set_reader - choose what senders do when this handle falls behind
 * @policy: MBOX_READER_DEFAULT and so on; MBOX_READER_WAIT: only where senders wait by
 *	the flags of the mailbox, or with MBOX_ALLOW_WAIT; with max_bytes, only what the
 *	mailbox does anyway
 * @reserved: must be zero
 *
 * For an MBOX_BROADCAST mailbox; needs the right to receive. Applies to the open file
 * description, from now on.
 */
struct mbox_set_reader {
	__u32 policy;
	__u32 reserved;
};

/**
 * struct mbox_request - send a message and wait for the reply
 * @buf: address of the request
 * @rep: address of the buffer for the reply
 * @len: bytes to send
 * @rep_len: size of the buffer for the reply
 * @flags: 0 or MBOX_REALTIME
 * @prio: as in struct mbox_msg
 * @type: as in struct mbox_msg
 * @deadline_ns: as in struct mbox_msg, for the reply
 * @ticket: must be zero; written by the kernel while it restarts the ioctl
 *
 * The ioctl returns the length of the reply.
 *
 * If the thread has to leave the kernel after the request was received, and no
 * signal handler without SA_RESTART runs, the kernel writes a number to
 * @ticket, restarts the ioctl, and continues to wait for the reply. With a
 * structure that ends before @ticket, the ioctl fails with EINTR instead.
 */
struct mbox_request {
	__aligned_u64 buf;
	__aligned_u64 rep;
	__u32 len;
	__u32 rep_len;
	__u32 flags;
	__u32 prio;
	__aligned_u64 type;
	__aligned_u64 deadline_ns;
	__aligned_u64 ticket;
};

/* The required part of struct mbox_request: all except ticket. */
#define MBOX_REQUEST_SIZE_MIN	48

/**
 * struct mbox_reply - reply to a request
 * @token: token of the request, as this handle received it
 * @buf: address of the reply
 * @len: bytes to send
 * @reserved: must be zero
 *
 * This structure is part of another and does not grow.
 */
struct mbox_reply {
	__aligned_u64 token;
	__aligned_u64 buf;
	__u32 len;
	__u32 reserved;
};

/**
 * struct mbox_reply_recv - reply to a request, and receive the next message
 * @reply: the reply; token 0: none. If the reply was sent and the receive
 *	failed, the kernel sets the token to 0
 * @next: address of a struct mbox_msg for the receive
 * @next_size: sizeof(struct mbox_msg) of the caller, from MBOX_MSG_SIZE_MIN to
 *	4096
 * @reserved: must be zero
 *
 * The ioctl returns the full length of the message.
 */
struct mbox_reply_recv {
	struct mbox_reply reply;
	__aligned_u64 next;
	__u32 next_size;
	__u32 reserved;
};

/* Flag of MBOX_IOC_NACK: the message comes back as if it had never been on lease. */
#define MBOX_NACK_UNCOUNTED	(1U << 0)

/**
 * struct mbox_lease - end a lease
 * @token: token of the message, as this handle received it with MBOX_LEASE
 * @delay_ns: MBOX_IOC_NACK: nanoseconds after which the message comes back, behind its
 *	priority; 0: it comes back at once, in its place by arrival. MBOX_IOC_ACK: must
 *	be zero
 * @flags: MBOX_IOC_NACK: 0 or MBOX_NACK_UNCOUNTED; MBOX_IOC_ACK: must be zero
 * @reserved: must be zero
 *
 * MBOX_IOC_ACK ends the message, MBOX_IOC_NACK puts it back. Both need the right to
 * receive. When the open file description ends, all messages that it has on lease
 * are put back.
 */
struct mbox_lease {
	__aligned_u64 token;
	__aligned_u64 delay_ns;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct mbox_call_start - send a request, and do not wait for the reply
 * @req: address of a struct mbox_msg: buf, len, prio, type, nfds and fds of the
 *	request; flags: MBOX_DONTWAIT, MBOX_REALTIME; deadline_ns: when the call
 *	ends without a reply, and until when the ioctl waits for room
 * @msg_size: sizeof(struct mbox_msg) of the caller, from MBOX_MSG_SIZE_MIN to
 *	4096
 * @rep_max: length of the longest reply
 * @token: out: for MBOX_IOC_CALL_WAIT and MBOX_IOC_CALL_CANCEL on this handle;
 *	if the ioctl fails, it is as before
 *
 * The ioctl waits for room as MBOX_IOC_SEND does. The caller is charged for a
 * reply of @rep_max bytes, until the end of the call has been fetched. Each
 * call ends once: by a reply, with ETIMEDOUT, EPIPE, EIDRM, or with EMSGSIZE if
 * the server made a longer reply. Until that is fetched by MBOX_IOC_CALL_WAIT,
 * poll(2) reports POLLPRI on this handle.
 */
struct mbox_call_start {
	__aligned_u64 req;
	__u32 msg_size;
	__u32 rep_max;
	__aligned_u64 token;
};

/**
 * struct mbox_call_wait - wait until a call that was started has ended
 * @token: in: the call; 0: any; out: if @ended is 1, the call that has ended
 * @rep: address of a struct mbox_msg for the reply: in: buf, len, nfds, fds;
 *	flags: MBOX_DONTWAIT, MBOX_REALTIME, MBOX_TRUNC; out: len, nfds,
 *	MBOX_CTRUNC in flags; the other fields are neither read nor written
 * @deadline_ns: until when the ioctl waits, as in struct mbox_msg
 * @msg_size: sizeof(struct mbox_msg) of the caller, from MBOX_MSG_SIZE_MIN to
 *	4096
 * @ended: in: must be zero; out: 1: the result of the ioctl is that of the call,
 *	and the token is used up; 0: the ioctl itself failed
 *
 * The ioctl returns the length of the reply, or the error that ended the call.
 * Calls are told in the order in which they ended. ESRCH: @token names no call
 * of this handle whose end has not been told; EIDRM: likewise, and the mailbox was
 * destroyed.
 */
struct mbox_call_wait {
	__aligned_u64 token;
	__aligned_u64 rep;
	__aligned_u64 deadline_ns;
	__u32 msg_size;
	__u32 ended;
};

/**
 * struct mbox_call_cancel - withdraw a call that was started
 * @token: the call
 *
 * The end of the call is not told then. If its request is still in the mailbox,
 * no server receives it; otherwise the reply fails with ESRCH. ESRCH: there is
 * no such call, or it has ended; EIDRM: there is none, and the mailbox was destroyed.
 */
struct mbox_call_cancel {
	__aligned_u64 token;
};

/**
 * struct mbox_callmsg - send a message and wait for the reply, with descriptors
 * @req: address of a struct mbox_msg: buf, len, prio, type, deadline_ns, nfds
 *	and fds of the request; flags: MBOX_REALTIME, MBOX_DONTWAIT: fail with EAGAIN
 *	instead of waiting until the request is accepted
 * @rep: address of a struct mbox_msg for the reply: in: buf, len, nfds, fds;
 *	flags: 0; out: len, nfds, MBOX_CTRUNC in flags; the other fields are
 *	neither read nor written
 * @msg_size: sizeof(struct mbox_msg) of the caller, from MBOX_MSG_SIZE_MIN to
 *	4096
 * @reserved: must be zero
 * @ticket: as in struct mbox_request
 *
 * The ioctl returns the length of the reply.
 */
struct mbox_callmsg {
	__aligned_u64 req;
	__aligned_u64 rep;
	__u32 msg_size;
	__u32 reserved;
	__aligned_u64 ticket;
};

/**
 * struct mbox_replymsg - reply to a request with descriptors
 * @token: as in struct mbox_reply
 * @buf: address of the reply
 * @len: bytes to send
 * @nfds: number of descriptors, at most MBOX_FDS_MAX
 * @fds: address of an array of @nfds descriptors, each a __s32; zero if and
 *	only if @nfds is
 *
 * Descriptors count for the caller, against RLIMIT_NOFILE of this process. A
 * caller that does not ask for them does not get them.
 */
struct mbox_replymsg {
	__aligned_u64 token;
	__aligned_u64 buf;
	__u32 len;
	__u32 nfds;
	__aligned_u64 fds;
};

/* Kinds of notification. */
/* Remove the caller's registration. */
#define MBOX_NOTIFY_OFF		0
/* Register without a notification. */
#define MBOX_NOTIFY_NONE	1
/* Send a signal to the process. */
#define MBOX_NOTIFY_SIGNAL	2
/* Add 1 to an eventfd. */
#define MBOX_NOTIFY_EVENTFD	3

/**
 * struct mbox_notify - be notified once of a message in an empty mailbox
 * @kind: MBOX_NOTIFY_OFF and so on
 * @signo: MBOX_NOTIFY_SIGNAL: the signal; otherwise zero
 * @value: MBOX_NOTIFY_SIGNAL: its si_value, as a pointer; otherwise zero
 * @fd: MBOX_NOTIFY_EVENTFD: an eventfd; otherwise zero
 * @reserved: must be zero
 *
 * Needs the right to receive. Registers the calling process, if no other
 * process is registered, for the next message that arrives while the mailbox is
 * empty and no receive call waits for it (MBOX_BROADCAST: the next message).
 * The notification ends the registration. So do a close(2) of a descriptor of
 * the handle by that process, its exit and execve(2), without a notification.
 * The end of the mailbox, and the expulsion of the handle, send no signal, but add 1 to
 * an eventfd.
 */
struct mbox_notify {
	__u32 kind;
	__u32 signo;
	__aligned_u64 value;
	__s32 fd;
	__u32 reserved;
};

#define MBOX_IOC_MAGIC		0xBB

/* On /dev/mbox. */
#define MBOX_IOC_INFO		_IOR(MBOX_IOC_MAGIC, 0x00, struct mbox_info)
#define MBOX_IOC_CREATE		_IOWR(MBOX_IOC_MAGIC, 0x01, struct mbox_create)
#define MBOX_IOC_OPEN		_IOW(MBOX_IOC_MAGIC, 0x02, struct mbox_open)
#define MBOX_IOC_UNLINK		_IOW(MBOX_IOC_MAGIC, 0x03, struct mbox_unlink)
#define MBOX_IOC_WALK		_IOWR(MBOX_IOC_MAGIC, 0x04, struct mbox_walk)
#define MBOX_IOC_DIRECT		_IOW(MBOX_IOC_MAGIC, 0x05, struct mbox_direct)
#define MBOX_IOC_TOTAL		_IOWR(MBOX_IOC_MAGIC, 0x06, struct mbox_total)

/* On a handle. */
#define MBOX_IOC_SEND		_IOW(MBOX_IOC_MAGIC, 0x10, struct mbox_msg)
#define MBOX_IOC_RECV		_IOWR(MBOX_IOC_MAGIC, 0x11, struct mbox_msg)
#define MBOX_IOC_SENDV		_IOW(MBOX_IOC_MAGIC, 0x12, struct mbox_vec)
#define MBOX_IOC_RECVV		_IOW(MBOX_IOC_MAGIC, 0x13, struct mbox_vec)
#define MBOX_IOC_STAT		_IOR(MBOX_IOC_MAGIC, 0x14, struct mbox_stat)
#define MBOX_IOC_SET_CAPACITY	_IOW(MBOX_IOC_MAGIC, 0x15, struct mbox_set_capacity)
/* Destroys the mailbox; needs both rights, and the owner or CAP_IPC_OWNER. */
#define MBOX_IOC_DESTROY	_IO(MBOX_IOC_MAGIC, 0x16)
#define MBOX_IOC_RING_WAIT	_IOW(MBOX_IOC_MAGIC, 0x17, struct mbox_ring_wait)
#define MBOX_IOC_RING_WAKE	_IOW(MBOX_IOC_MAGIC, 0x18, struct mbox_ring_wake)
#define MBOX_IOC_CALL		_IOW(MBOX_IOC_MAGIC, 0x19, struct mbox_request)
#define MBOX_IOC_REPLY		_IOW(MBOX_IOC_MAGIC, 0x1a, struct mbox_reply)
#define MBOX_IOC_REPLY_RECV	_IOWR(MBOX_IOC_MAGIC, 0x1b, struct mbox_reply_recv)
#define MBOX_IOC_NOTIFY		_IOW(MBOX_IOC_MAGIC, 0x1c, struct mbox_notify)
#define MBOX_IOC_ACK		_IOW(MBOX_IOC_MAGIC, 0x1d, struct mbox_lease)
#define MBOX_IOC_NACK		_IOW(MBOX_IOC_MAGIC, 0x1e, struct mbox_lease)
#define MBOX_IOC_CALL_START	_IOWR(MBOX_IOC_MAGIC, 0x1f, struct mbox_call_start)
#define MBOX_IOC_CALL_WAIT	_IOWR(MBOX_IOC_MAGIC, 0x20, struct mbox_call_wait)
#define MBOX_IOC_CALL_CANCEL	_IOW(MBOX_IOC_MAGIC, 0x21, struct mbox_call_cancel)
#define MBOX_IOC_CALLMSG	_IOWR(MBOX_IOC_MAGIC, 0x22, struct mbox_callmsg)
#define MBOX_IOC_REPLYMSG	_IOW(MBOX_IOC_MAGIC, 0x23, struct mbox_replymsg)
#define MBOX_IOC_EXPEL		_IOWR(MBOX_IOC_MAGIC, 0x24, struct mbox_expel)
#define MBOX_IOC_SET_READER	_IOW(MBOX_IOC_MAGIC, 0x25, struct mbox_set_reader)

#endif /* _UAPI_LINUX_MBOX_H */
