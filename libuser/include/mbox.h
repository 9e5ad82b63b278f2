/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmbox: mailboxes between processes, through /dev/mbox.
 *
 * A mailbox carries whole messages from any number of senders to any number of
 * receivers. Each message goes to one receiver or, if the mailbox has
 * MBOX_BROADCAST, to every receiving handle. A struct mbox is one handle of a
 * mailbox; it wraps one descriptor. mbox(7) is the introduction.
 *
 * Each function has a page in section 3 of the manual. That page states its
 * errors and limits, when it blocks, whether threads and signal handlers can
 * call it, and which standard it follows. The comments here say what a function
 * does and returns. These rules hold for all functions:
 *
 * Return values: on failure a function returns -1 or NULL and sets errno, as
 * POSIX functions do, and has changed nothing unless its page says otherwise.
 *
 * Ownership: the caller owns each struct mbox that a function returns, and
 * closes it with mbox_close(). The library keeps no pointer to its arguments:
 * names, attributes and buffers can be reused when the call returns.
 *
 * Threads: any thread can call any function, and several threads can use one
 * handle at once. mbox_close() must be the last call on a handle. After fork(2)
 * a child can use the handles that it inherits, except those of mbox_direct().
 *
 * Blocking: a call waits only where its comment says so. A signal handler that
 * was installed without SA_RESTART ends it with EINTR; after one with SA_RESTART
 * the call continues with the same deadline. O_NONBLOCK and MBOX_DONTWAIT make
 * it fail with EAGAIN instead of waiting.
 *
 * Rings: the functions for queues work on mailboxes of mode MBOX_RING, too.
 * mbox(7) lists what a ring does not have; those calls fail with EOPNOTSUPP.
 *
 * 32-bit systems: a program and the library must agree about the size of time_t
 * (_TIME_BITS), as with every library that takes a struct timespec.
 */
#ifndef _MBOX_H
#define _MBOX_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <linux/mbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One handle on a mailbox. */
struct mbox;

/* ISO C alone (-std=c99) does not define it in <time.h>. */
struct timespec;

/* Defined in <signal.h>, which callers of mbox_notify() include. */
struct sigevent;

/*
 * Initialiser of a struct mbox_attr: a queue of 64 messages of up to 8192
 * bytes, for its owner only. Change single fields after it.
 */
#define MBOX_ATTR_INIT \
	{ \
		MBOX_QUEUE, 0, 64, 8192, 0600 \
	}

/**
 * mbox_create() - create a mailbox, or open the one that has the name
 * @name: the name, 1 to MBOX_NAME_MAX bytes without '/'; NULL: an anonymous
 *	mailbox, which lives until its last handle is closed
 * @oflags: O_RDONLY (receive), O_WRONLY (send) or O_RDWR (both), and any of
 *	O_EXCL (fail if the name exists) and O_NONBLOCK (no call on this handle
 *	waits); O_CREAT and O_CLOEXEC are accepted and change nothing
 * @attr: attributes of a new mailbox, see struct mbox_attr in <linux/mbox.h>;
 *	NULL: those of MBOX_ATTR_INIT
 *
 * If the name exists, the mailbox keeps its own attributes. If @attr differs from
 * them in more than @attr->perm, the call sets errno to EEXIST and succeeds. The
 * caller becomes the owner of a new mailbox. The descriptor of the handle has
 * FD_CLOEXEC.
 *
 * Return: a handle that the caller owns, or NULL and errno.
 */
struct mbox *mbox_create(const char *name, int oflags, const struct mbox_attr *attr);

/* Initialiser of a struct mbox_options: no option has a value. */
#define MBOX_OPTIONS_INIT \
	{ \
		sizeof(struct mbox_options), 0, 0, -1, 0 \
	}

/**
 * mbox_create_with() - create a mailbox that has options
 * @name: as for mbox_create()
 * @oflags: as for mbox_create()
 * @attr: as for mbox_create()
 * @options: options of a new mailbox, see struct mbox_options in <linux/mbox.h>, set
 *	to MBOX_OPTIONS_INIT first; NULL: none
 *
 * If the name exists, the options are checked and otherwise ignored. In all else the
 * call is mbox_create().
 *
 * Return: a handle that the caller owns, or NULL and errno.
 */
struct mbox *mbox_create_with(const char *name, int oflags, const struct mbox_attr *attr,
			      const struct mbox_options *options);

/**
 * mbox_open() - open an existing mailbox by its name
 * @name: the name, or a path where a mailbox is: a name with '/' in it
 * @oflags: O_RDONLY, O_WRONLY or O_RDWR, and O_NONBLOCK or not; O_CLOEXEC is
 *	accepted and changes nothing
 *
 * Return: a handle that the caller owns, or NULL and errno.
 */
struct mbox *mbox_open(const char *name, int oflags);

/**
 * mbox_open_id() - open an existing mailbox by its id
 * @id: the id, as mbox_stat() reports it, in the caller's network namespace
 * @oflags: as for mbox_open()
 *
 * This also opens anonymous mailboxes.
 *
 * Return: a handle that the caller owns, or NULL and errno.
 */
struct mbox *mbox_open_id(uint64_t id, int oflags);

/**
 * mbox_reopen() - open the mailbox of a handle again
 * @mb: a handle, not of mbox_direct()
 * @oflags: as for mbox_open()
 *
 * Gives a handle of its own, with the rights of @oflags, if the permission bits
 * allow them. @mb stays open. So a program keeps only the rights that it needs, or
 * gives a child only those. Needs /proc.
 *
 * Return: a handle that the caller owns, or NULL and errno.
 */
struct mbox *mbox_reopen(struct mbox *mb, int oflags);

/**
 * mbox_direct() - open the link to another process
 * @peer: the number of the process in the caller's pid namespace
 * @oflags: as for mbox_open()
 *
 * Two processes have one link, with one end for each of them. A send through the
 * handle goes to @peer, and a receive takes messages that @peer sent. Each
 * direction is a queue with MBOX_HANGUP and otherwise the attributes of
 * MBOX_ATTR_INIT. Only the process that opened the handle can use it.
 *
 * Return: a handle that the caller owns, or NULL and errno.
 */
struct mbox *mbox_direct(pid_t peer, int oflags);

/**
 * mbox_direct_pidfd() - open the link to the process of a pidfd
 * @pidfd: a descriptor from pidfd_open(2), clone(2) or another process; it stays
 *	the caller's
 * @oflags: as for mbox_open()
 *
 * As mbox_direct() with the number of that process, but never to another
 * process that was given the same number. Needs /proc.
 *
 * Return: a handle that the caller owns, or NULL and errno.
 */
struct mbox *mbox_direct_pidfd(int pidfd, int oflags);

/**
 * mbox_from_fd() - make a handle of a descriptor
 * @fd: the descriptor of a mailbox, inherited or received over an AF_UNIX socket
 *
 * On success the handle owns @fd; on failure @fd stays open and the caller's.
 *
 * Return: a handle that the caller owns, or NULL and errno.
 */
struct mbox *mbox_from_fd(int fd);

/**
 * mbox_fd() - the descriptor of a handle
 * @mb: a handle
 *
 * For poll(2), epoll(7), read(2), write(2) and fcntl(2), and for passing the
 * mailbox on.
 *
 * Return: the descriptor, which the handle owns: the caller must not close it.
 */
int mbox_fd(const struct mbox *mb);

/**
 * mbox_close() - close a handle
 * @mb: a handle; NULL has no effect
 *
 * Closes the descriptor and frees @mb, also if it returns -1.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_close(struct mbox *mb);

/**
 * mbox_unlink() - remove the name of a mailbox
 * @name: the name
 *
 * Needs the owner or CAP_IPC_OWNER. The mailbox continues to work for processes
 * that have it open, and ends with its last handle.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_unlink(const char *name);

/**
 * mbox_destroy() - destroy a mailbox for all processes
 * @mb: a handle opened with O_RDWR
 *
 * Needs the owner or CAP_IPC_OWNER. Every call on the mailbox then fails with
 * EIDRM. The handles, @mb included, must still be closed.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_destroy(struct mbox *mb);

/**
 * mbox_stat() - get the state of a mailbox
 * @mb: a handle with any right
 * @st: filled on success, see struct mbox_stat in <linux/mbox.h>
 *
 * Return: 0, or -1 and errno.
 */
int mbox_stat(struct mbox *mb, struct mbox_stat *st);

/**
 * mbox_set_perm() - change owner, group and permission bits
 * @mb: a handle
 * @uid: the owner; -1: unchanged
 * @gid: the group; -1: unchanged
 * @mode: the permission bits; -1: unchanged
 *
 * As fchown(2) and fchmod(2), in this order: if the second fails, the first has
 * had effect. Open handles keep their rights.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_set_perm(struct mbox *mb, uid_t uid, gid_t gid, mode_t mode);

/**
 * mbox_set_capacity() - change the capacity of a mailbox in use
 * @mb: a handle with any right
 * @capacity: messages; 0: rendezvous; MBOX_UNBOUNDED
 *
 * Needs the owner or CAP_IPC_OWNER.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_set_capacity(struct mbox *mb, uint32_t capacity);

/**
 * mbox_expel() - end the receiving of a handle that holds up an MBOX_BROADCAST mailbox
 * @mb: a handle with any right
 * @reader: in: the number of the handle (mbox-reader in its fdinfo); 0, or @reader NULL:
 *	the one with the most messages to receive. Out: which it was
 * @unread: in: only if it has at least as many messages to receive; NULL: any number. Out:
 *	how many it had
 * @flags: 0; or MBOX_EXPEL_LOOK: change nothing, only tell
 *
 * Needs the owner or CAP_IPC_OWNER. A receive with the expelled handle fails with ENOTCONN
 * from now on, and what it had to receive counts as dropped. Does not block.
 * Async-signal-safe. An extension without a standard.
 *
 * Return: 0, or -1 and errno: ESRCH, if there is no such handle. Nothing is written then.
 */
int mbox_expel(struct mbox *mb, uint64_t *reader, uint64_t *unread, unsigned int flags);

/**
 * mbox_set_reader() - choose what senders do when this handle falls behind
 * @mb: a handle of an MBOX_BROADCAST mailbox, with the right to receive
 * @policy: MBOX_READER_WAIT: they wait until it has received; MBOX_READER_DROP: it loses the
 *	oldest messages; MBOX_READER_DEFAULT: what the flags of the mailbox say
 *
 * For use right after the open. Async-signal-safe. An extension without a standard.
 *
 * Return: 0, or -1 and errno: EPERM: MBOX_READER_WAIT at a mailbox that drops messages, and
 * that is not MBOX_ALLOW_WAIT.
 */
int mbox_set_reader(struct mbox *mb, unsigned int policy);

/**
 * mbox_walk() - find the next mailbox that the caller may see
 * @pos: in: pos->id, find the first mailbox with a greater id (0: the first of
 *	all); filled on success, see struct mbox_walk in <linux/mbox.h>
 *
 * A call with the same structure finds the next mailbox.
 *
 * Return: 0, or -1 and errno; ENOENT: there is no further mailbox.
 */
int mbox_walk(struct mbox_walk *pos);

/**
 * mbox_info() - get the features of the loaded module, and limits
 * @info: filled on success, see struct mbox_info in <linux/mbox.h>
 *
 * Return: 0, or -1 and errno.
 */
int mbox_info(struct mbox_info *info);

/**
 * mbox_send() - send a message
 * @mb: a handle with the right to send
 * @buf: the message; may be NULL when @len is 0
 * @len: its length in bytes, 0 to msg_max
 * @flags: 0, or any of MBOX_DONTWAIT (fail instead of waiting) and MBOX_SYNC
 *	(return after a receiver has copied the message)
 *
 * Sends with priority 0 and type 0. While the mailbox is full, the call waits;
 * at capacity 0, until a receiver has copied the message.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_send(struct mbox *mb, const void *buf, size_t len, unsigned int flags);

/**
 * mbox_recv() - receive a message
 * @mb: a handle with the right to receive
 * @buf: where the message goes; may be NULL when @len is 0
 * @len: size of @buf in bytes
 * @flags: 0, or any of MBOX_DONTWAIT (fail instead of waiting), MBOX_PEEK
 *	(leave the message in the mailbox), MBOX_TRUNC (cut the message to
 *	@buf), and MBOX_MATCH, MBOX_MATCH_NOT or MBOX_MATCH_LE (with type 0)
 *
 * Takes the oldest message of the highest priority. While there is none, the call
 * waits. A message that is longer than @buf stays in the mailbox, unless
 * MBOX_TRUNC is set.
 *
 * Return: the full length of the message in bytes, or -1 and errno.
 */
ssize_t mbox_recv(struct mbox *mb, void *buf, size_t len, unsigned int flags);

/**
 * mbox_timedsend() - send a message, and wait until a deadline at most
 * @mb: as for mbox_send()
 * @buf: as for mbox_send()
 * @len: as for mbox_send()
 * @flags: as for mbox_send(), and MBOX_REALTIME
 * @deadline: absolute time of CLOCK_MONOTONIC, with MBOX_REALTIME of
 *	CLOCK_REALTIME; NULL: no limit
 *
 * Return: 0, or -1 and errno.
 */
int mbox_timedsend(struct mbox *mb, const void *buf, size_t len, unsigned int flags,
		   const struct timespec *deadline);

/**
 * mbox_timedrecv() - receive a message, and wait until a deadline at most
 * @mb: as for mbox_recv()
 * @buf: as for mbox_recv()
 * @len: as for mbox_recv()
 * @flags: as for mbox_recv(), and MBOX_REALTIME
 * @deadline: absolute time of CLOCK_MONOTONIC, with MBOX_REALTIME of
 *	CLOCK_REALTIME; NULL: no limit
 *
 * Return: the full length of the message in bytes, or -1 and errno.
 */
ssize_t mbox_timedrecv(struct mbox *mb, void *buf, size_t len, unsigned int flags,
		       const struct timespec *deadline);

/**
 * mbox_sendmsg() - send a message with priority, type and descriptors
 * @mb: a handle with the right to send
 * @msg: buf, len, flags, deadline_ns, prio, type, nfds and fds, see struct
 *	mbox_msg in <linux/mbox.h>; clear the structure first. Not changed.
 *
 * Waits as mbox_timedsend() does.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_sendmsg(struct mbox *mb, struct mbox_msg *msg);

/**
 * mbox_recvmsg() - receive a message, its properties and its descriptors
 * @mb: a handle with the right to receive
 * @msg: in: buf, len, flags, deadline_ns, with a match flag type, with MBOX_PEEK
 *	skip, nfds and fds, see struct mbox_msg in <linux/mbox.h>; clear the
 *	structure first. Its outputs are set only on success; set len, flags,
 *	type and nfds again before the next call.
 *
 * Waits as mbox_timedrecv() does.
 *
 * Return: the full length of the message in bytes, or -1 and errno.
 */
ssize_t mbox_recvmsg(struct mbox *mb, struct mbox_msg *msg);

/**
 * mbox_sendmmsg() - send several messages in one system call
 * @mb: a handle with the right to send
 * @vec: the messages, each as for mbox_sendmsg()
 * @n: how many; at most MBOX_BATCH_MAX are sent
 * @flags: added to the flags of each message
 *
 * Waits for each message as mbox_sendmsg() does. Ends at the first message that
 * fails.
 *
 * Return: how many were sent (0 only if @n is 0), or -1 and errno if none was.
 */
int mbox_sendmmsg(struct mbox *mb, struct mbox_msg *vec, unsigned int n, unsigned int flags);

/**
 * mbox_recvmmsg() - receive several messages in one system call
 * @mb: a handle with the right to receive
 * @vec: in and out, each as for mbox_recvmsg()
 * @n: how many; at most MBOX_BATCH_MAX are received
 * @flags: added to the flags of each message; MBOX_WAITFORONE: wait for the
 *	first message only, then take the messages that are there
 *
 * Waits for each message as mbox_recvmsg() does. Ends at the first message that
 * fails.
 *
 * Return: how many were received (0 only if @n is 0), or -1 and errno if none
 * was.
 */
int mbox_recvmmsg(struct mbox *mb, struct mbox_msg *vec, unsigned int n, unsigned int flags);

/* The address in a field of a structure of <linux/mbox.h>. */
#define MBOX_PTR(p) ((__u64)(uintptr_t)(p))

/* Initialiser of a struct mbox_msg: @n bytes at @p, nothing else. */
#define MBOX_MSG_INIT(p, n) \
	{ \
		MBOX_PTR(p), (__u32)(n), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
	}

/**
 * mbox_send_for() - send a message, and wait for some time at most
 * @mb: as for mbox_send()
 * @buf: as for mbox_send()
 * @len: as for mbox_send()
 * @flags: as for mbox_send()
 * @milliseconds: how long to wait, at most
 *
 * Return: 0, or -1 and errno.
 */
int mbox_send_for(struct mbox *mb, const void *buf, size_t len, unsigned int flags,
		  unsigned int milliseconds);

/**
 * mbox_recv_for() - receive a message, and wait for some time at most
 * @mb: as for mbox_recv()
 * @buf: as for mbox_recv()
 * @len: as for mbox_recv()
 * @flags: as for mbox_recv()
 * @milliseconds: how long to wait, at most
 *
 * Return: the full length of the message in bytes, or -1 and errno.
 */
ssize_t mbox_recv_for(struct mbox *mb, void *buf, size_t len, unsigned int flags,
		      unsigned int milliseconds);

/**
 * mbox_send_prio() - send a message with a priority
 * @mb: as for mbox_send()
 * @buf: as for mbox_send()
 * @len: as for mbox_send()
 * @prio: 0 to MBOX_PRIO_MAX
 * @flags: as for mbox_send()
 *
 * Return: 0, or -1 and errno.
 */
int mbox_send_prio(struct mbox *mb, const void *buf, size_t len, unsigned int prio,
		   unsigned int flags);

/**
 * mbox_recv_alloc() - receive a message of any length
 * @mb: as for mbox_recv()
 * @buf: set on success: the message and a zero byte behind it, which the caller owns
 *	and frees with free(3)
 * @flags: as for mbox_timedrecv(), without MBOX_TRUNC
 * @deadline: as for mbox_timedrecv()
 *
 * Return: the length of the message in bytes, or -1 and errno.
 */
ssize_t mbox_recv_alloc(struct mbox *mb, void **buf, unsigned int flags,
			const struct timespec *deadline);

/**
 * mbox_pipe() - create an anonymous mailbox with a handle for each side
 * @ends: set on success: ends[0] receives and ends[1] sends; the caller owns both
 *
 * As pipe(2). The mailbox has the attributes of MBOX_ATTR_INIT and MBOX_HANGUP: once
 * one side is closed, calls of the other fail with EPIPE. Needs /proc.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_pipe(struct mbox *ends[2]);

/* Several mailboxes, to receive from whichever has a message. */
struct mbox_group;

/* Flag of mbox_group_new(): the message of the highest priority comes first. */
#define MBOX_GROUP_PRIO (1U << 0)

/**
 * mbox_group_new() - make an empty group of mailboxes
 * @flags: 0 or MBOX_GROUP_PRIO
 *
 * Return: a group that the caller owns and ends with mbox_group_free(), or NULL and
 * errno.
 */
struct mbox_group *mbox_group_new(unsigned int flags);

/**
 * mbox_group_free() - end a group
 * @group: the group, which no thread uses; NULL: no effect
 *
 * The handles in it stay open.
 */
void mbox_group_free(struct mbox_group *group);

/**
 * mbox_group_add() - add a mailbox to a group
 * @group: the group
 * @mb: a handle with the right to receive; must be removed before it is closed
 * @rank: mailboxes of a higher rank come first
 *
 * Return: 0, or -1 and errno.
 */
int mbox_group_add(struct mbox_group *group, struct mbox *mb, unsigned int rank);

/**
 * mbox_group_remove() - remove a mailbox from a group
 * @group: the group
 * @mb: the handle
 *
 * Return: 0, or -1 and errno; ENOENT: @mb is not in the group.
 */
int mbox_group_remove(struct mbox_group *group, struct mbox *mb);

/**
 * mbox_group_fd() - the descriptor of a group
 * @group: the group
 *
 * It is readable when a mailbox of the group is, for poll(2) and epoll(7). It belongs
 * to the group.
 *
 * Return: the descriptor.
 */
int mbox_group_fd(const struct mbox_group *group);

/**
 * mbox_recv_any() - receive from whichever mailbox of a group has a message
 * @group: the group
 * @msg: as for mbox_recvmsg(), without MBOX_PEEK and match flags
 * @from: set to the mailbox that the result comes from; NULL if it comes from none
 *
 * While no mailbox has a message, the call waits. If several have, the highest rank
 * comes first; with MBOX_GROUP_PRIO, within a rank, the message of the highest
 * priority; then the mailbox from which the last receive is the longest ago. An error
 * of one mailbox, EPIPE or EIDRM for example, is returned in its turn, with @from set.
 *
 * A signal handler ends the call with EINTR, whether it has SA_RESTART or not.
 *
 * Return: the full length of the message in bytes, or -1 and errno.
 */
ssize_t mbox_recv_any(struct mbox_group *group, struct mbox_msg *msg, struct mbox **from);

/**
 * mbox_reserve() - reserve a slot of a ring for a message written in place
 * @mb: a handle of a ring with the right to send
 * @len: most bytes that will be written, up to msg_max
 * @flags: 0 or MBOX_DONTWAIT
 *
 * While the ring is full, the call waits. The reservation determines the order of
 * messages and holds up later ones: end it soon, with mbox_commit() or
 * mbox_discard(), on the same handle and in the same process. The memory still
 * contains parts of earlier messages.
 *
 * Return: the address of the slot's payload, aligned to 16 bytes, valid until the
 * reservation ends; or NULL and errno.
 */
void *mbox_reserve(struct mbox *mb, size_t len, unsigned int flags);

/**
 * mbox_commit() - send the message in a reserved slot
 * @mb: the handle
 * @slot: from mbox_reserve(); not to be touched afterwards
 * @len: length of the message, up to msg_max
 *
 * Return: 0, or -1 and errno; EIDRM: the ring was destroyed, and the reservation has
 * ended.
 */
int mbox_commit(struct mbox *mb, void *slot, size_t len);

/**
 * mbox_discard() - give a reserved slot back without a message
 * @mb: the handle
 * @slot: from mbox_reserve(); not to be touched afterwards
 *
 * Return: 0, or -1 and errno; EIDRM as mbox_commit().
 */
int mbox_discard(struct mbox *mb, void *slot);

/**
 * mbox_peek() - look at the next message of a ring, in place
 * @mb: a handle of a ring with the right to receive
 * @len: where the length of the message is stored
 * @flags: 0 or MBOX_DONTWAIT
 *
 * While there is no message, the call waits. The message stays the next one until
 * mbox_release(). A sender that breaks the protocol can change it at any time:
 * read each value that has to be checked once.
 *
 * Return: the address of the payload, aligned to 16 bytes, valid until
 * mbox_release(); or NULL and errno.
 */
const void *mbox_peek(struct mbox *mb, size_t *len, unsigned int flags);

/**
 * mbox_release() - receive the message that mbox_peek() returned
 * @mb: the handle
 * @slot: from mbox_peek(), in this or another thread; not to be touched
 *	afterwards
 *
 * Return: 0, or -1 and errno; ESTALE: the message was received by another call
 * meanwhile, and the data that was read may belong to another message.
 */
int mbox_release(struct mbox *mb, const void *slot);

/**
 * mbox_set_spin() - set how long calls on a ring look at it before they sleep
 * @mb: a handle of a ring
 * @n: at most this many pauses, of some ten nanoseconds each; 0: none
 *
 * The default is 1000. In a process that runs on one CPU only, each look first
 * yields the CPU, as sched_yield(2) does, and the default is 64.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_set_spin(struct mbox *mb, unsigned int n);

/**
 * mbox_notify() - be notified once of a message in an empty mailbox
 * @mb: a handle with the right to receive
 * @sev: SIGEV_SIGNAL, SIGEV_THREAD or SIGEV_NONE, see sigevent(7); NULL: remove
 *	the registration
 *
 * Registers the calling process for the next message that arrives while the
 * mailbox is empty and no receive call waits for it (MBOX_BROADCAST: for the next
 * message). The notification ends the registration.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_notify(struct mbox *mb, const struct sigevent *sev);

/**
 * mbox_call() - send a request and wait for the reply
 * @mb: a handle with the right to send
 * @req: the request; may be NULL when @req_len is 0
 * @req_len: its length in bytes, 0 to msg_max
 * @rep: where the reply goes; may be NULL when @rep_len is 0
 * @rep_len: size of @rep in bytes
 * @deadline: absolute time of CLOCK_MONOTONIC; NULL: no limit
 *
 * Waits until a receiver has replied with mbox_reply() or mbox_reply_recv(), with
 * the token that mbox_recvmsg() gave it.
 *
 * Return: the length of the reply in bytes, or -1 and errno.
 */
ssize_t mbox_call(struct mbox *mb, const void *req, size_t req_len, void *rep, size_t rep_len,
		  const struct timespec *deadline);

/**
 * mbox_reply() - reply to a request
 * @mb: the handle that received the request
 * @token: the token of the request, from mbox_recvmsg()
 * @rep: the reply; may be NULL when @len is 0
 * @len: its length in bytes
 *
 * Return: 0, or -1 and errno.
 */
int mbox_reply(struct mbox *mb, uint64_t token, const void *rep, size_t len);

/**
 * mbox_reply_recv() - reply to a request and receive the next message
 * @mb: the handle that received the request
 * @token: as for mbox_reply(); 0: no reply, @rep and @len are ignored
 * @rep: as for mbox_reply()
 * @len: as for mbox_reply()
 * @next: as for mbox_recvmsg()
 *
 * mbox_reply() and then mbox_recvmsg() in one system call. If the reply fails,
 * nothing is received. Waits as mbox_recvmsg() does, after the reply.
 *
 * Return: the full length of the message in bytes, or -1 and errno.
 */
ssize_t mbox_reply_recv(struct mbox *mb, uint64_t token, const void *rep, size_t len,
			struct mbox_msg *next);

/**
 * mbox_ack() - end a message that was received with MBOX_LEASE
 * @mb: the handle that received it
 * @token: the token of the message, from mbox_recvmsg() or mbox_recvmmsg()
 *
 * A message on lease comes back when the open file description of the handle ends,
 * however that happens. Duplicates of it, also in other processes, are the same worker;
 * each worker opens a handle of its own (mbox_reopen()).
 *
 * Return: 0, or -1 and errno: ESRCH (the handle has no such message on lease), EIDRM.
 */
int mbox_ack(struct mbox *mb, uint64_t token);

/**
 * mbox_nack() - put back a message that was received with MBOX_LEASE
 * @mb: the handle that received it
 * @token: the token of the message
 *
 * The message goes back to its place, by priority and by when it was sent.
 *
 * Return: 0, or -1 and errno, as mbox_ack().
 */
int mbox_nack(struct mbox *mb, uint64_t token);

/**
 * mbox_nack_after() - put back a message some time later
 * @mb: the handle that received it
 * @token: the token of the message, which is used up
 * @ns: after how many nanoseconds; 0: as mbox_nack()
 *
 * The message goes behind those of its priority. Until then no process sees it.
 *
 * Return: 0, or -1 and errno, as mbox_ack(), or ENOMEM.
 */
int mbox_nack_after(struct mbox *mb, uint64_t token, uint64_t ns);

/**
 * mbox_put_back() - put back a message as if it had never been on lease
 * @mb: the handle that received it
 * @token: its token
 *
 * As mbox_nack(), but the next lease is the first that counts in deliveries.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_put_back(struct mbox *mb, uint64_t token);

/**
 * mbox_callmsg() - send a request and wait for the reply, with all options
 * @mb: a handle with the right to send
 * @req: the request: buf, len, prio, type, nfds and fds; deadline_ns for the whole
 *	call; flags: MBOX_REALTIME, MBOX_DONTWAIT
 * @rep: where the reply goes: buf, len, nfds and fds; flags: 0. Out: len, nfds, and
 *	MBOX_CTRUNC in flags
 *
 * With MBOX_DONTWAIT the call does not wait for room, or for a receiver at capacity 0
 * (EAGAIN). It waits for the reply.
 *
 * Return: the length of the reply in bytes, or -1 and errno.
 */
ssize_t mbox_callmsg(struct mbox *mb, const struct mbox_msg *req, struct mbox_msg *rep);

/**
 * mbox_replymsg() - reply to a request with descriptors
 * @mb: the handle that received the request
 * @token: as for mbox_reply()
 * @rep: the reply: buf, len, nfds and fds; the other fields are ignored
 *
 * Return: 0, or -1 and errno.
 */
int mbox_replymsg(struct mbox *mb, uint64_t token, const struct mbox_msg *rep);

/**
 * mbox_call_start() - send a request, and do not wait for the reply
 * @mb: a handle with the right to send
 * @req: as for mbox_callmsg()
 * @rep_max: length of the longest reply in bytes
 * @token: out: the call, for mbox_call_wait() and mbox_call_cancel() on this handle
 *
 * Waits for room as mbox_sendmsg() does, and returns when the request is accepted. Any
 * number of calls can be outstanding. poll(2) reports POLLPRI on the handle while the
 * end of one can be fetched with mbox_call_wait().
 *
 * Return: 0, or -1 and errno.
 */
int mbox_call_start(struct mbox *mb, const struct mbox_msg *req, size_t rep_max,
		    uint64_t *token);

/**
 * mbox_call_wait() - wait until a call has ended, and fetch its reply
 * @mb: the handle that the call was started with
 * @token: in: the call; 0: the next that ends; out: the call that has ended
 * @rep: where the reply goes: buf, len, nfds and fds; flags: MBOX_DONTWAIT,
 *	MBOX_REALTIME, MBOX_TRUNC. Out: token; with a reply also len, nfds, and
 *	MBOX_CTRUNC in flags
 * @deadline: absolute time of CLOCK_MONOTONIC (MBOX_REALTIME: CLOCK_REALTIME) until
 *	which this function waits; NULL: no limit
 *
 * Each call is fetched once, also if it ended without a reply. If the result is that
 * of a call, @rep->token is the call. If it is 0, this function itself failed, and no
 * call was fetched.
 *
 * Return: the length of the reply in bytes, or -1 and errno.
 */
ssize_t mbox_call_wait(struct mbox *mb, uint64_t *token, struct mbox_msg *rep,
		       const struct timespec *deadline);

/**
 * mbox_call_cancel() - withdraw a call that was started
 * @mb: the handle that the call was started with
 * @token: the call
 *
 * There is nothing to fetch then. If the call has ended, it fails with ESRCH, and
 * mbox_call_wait() fetches it.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_call_cancel(struct mbox *mb, uint64_t token);

/*
 * Synchronisation by messages. A process that is killed gives back what it holds, if no
 * other process shares its handles: each process opens its own objects, and does not
 * use those that it inherited over fork(2).
 */
struct mbox_sem;
struct mbox_mutex;
struct mbox_cond;
struct mbox_barrier;

/**
 * mbox_sem_open() - open a semaphore, or create it
 * @name: name of its mailbox; NULL, with O_CREAT: it has none
 * @oflags: 0, O_CREAT (create it if it does not exist), or O_CREAT | O_EXCL
 * @perm: permission bits of a new semaphore; both rights are needed to open it
 * @value: number of tokens of a new semaphore
 *
 * A process that is killed while it creates a semaphore leaves one without all its
 * tokens.
 *
 * Return: a semaphore that the caller owns and ends with mbox_sem_close(), or NULL and
 * errno.
 */
struct mbox_sem *mbox_sem_open(const char *name, int oflags, mode_t perm, unsigned int value);

/**
 * mbox_sem_close() - close a semaphore
 * @sem: the semaphore, which no thread uses; NULL: no effect
 *
 * Tokens that it holds are put back.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_sem_close(struct mbox_sem *sem);

/**
 * mbox_sem_wait() - take a token
 * @sem: the semaphore
 * @deadline: absolute time of CLOCK_MONOTONIC; NULL: no limit
 *
 * Waits while there is no token. The process holds the token until mbox_sem_post() or
 * mbox_sem_spend(). If it dies before, the token is put back.
 *
 * Return: 0; 1: a process has died with this token, and no process has put it back
 * since; or -1 and errno.
 */
int mbox_sem_wait(struct mbox_sem *sem, const struct timespec *deadline);

/**
 * mbox_sem_post() - put a token back
 * @sem: the semaphore
 *
 * Return: 0, or -1 and errno; EPERM: this object holds no token.
 */
int mbox_sem_post(struct mbox_sem *sem);

/**
 * mbox_sem_spend() - end a token
 * @sem: the semaphore
 *
 * The token is not put back, also if the process dies. For credits, which the other side
 * gives with mbox_sem_add().
 *
 * Return: 0, or -1 and errno; EPERM: this object holds no token.
 */
int mbox_sem_spend(struct mbox_sem *sem);

/**
 * mbox_sem_add() - add tokens
 * @sem: the semaphore
 * @n: how many
 *
 * Return: 0, or -1 and errno; some may have been added then.
 */
int mbox_sem_add(struct mbox_sem *sem, unsigned int n);

/**
 * mbox_sem_value() - how many tokens can be taken
 * @sem: the semaphore
 * @value: set on success
 *
 * Return: 0, or -1 and errno.
 */
int mbox_sem_value(struct mbox_sem *sem, unsigned int *value);

/**
 * mbox_mutex_open() - open a mutex, or create it
 * @name: as for mbox_sem_open()
 * @oflags: as for mbox_sem_open()
 * @perm: as for mbox_sem_open()
 *
 * Return: a mutex that the caller owns and ends with mbox_mutex_close(), or NULL and
 * errno.
 */
struct mbox_mutex *mbox_mutex_open(const char *name, int oflags, mode_t perm);

/**
 * mbox_mutex_close() - close a mutex
 * @mutex: the mutex, which no thread uses; NULL: no effect
 *
 * If it is locked through this object, that is as if its owner had died.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_mutex_close(struct mbox_mutex *mutex);

/**
 * mbox_mutex_lock() - become the owner of a mutex
 * @mutex: the mutex
 * @deadline: absolute time of CLOCK_MONOTONIC; NULL: no limit
 *
 * Waits while there is an owner. A mutex is not recursive.
 *
 * Return: 0; 1, with errno EOWNERDEAD: the caller is the owner, and an earlier owner has
 * died since the mutex was last said to be consistent; or -1 and errno.
 */
int mbox_mutex_lock(struct mbox_mutex *mutex, const struct timespec *deadline);

/**
 * mbox_mutex_consistent() - say that what the mutex protects is consistent again
 * @mutex: the mutex; the caller is its owner, and learned that an owner died
 *
 * Without this, the next owner is told as well that an owner died.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_mutex_consistent(struct mbox_mutex *mutex);

/**
 * mbox_mutex_unlock() - end being the owner of a mutex
 * @mutex: the mutex
 *
 * Return: 0, or -1 and errno; EPERM: it is not locked through this object.
 */
int mbox_mutex_unlock(struct mbox_mutex *mutex);

/**
 * mbox_cond_open() - open a condition variable, or create it
 * @name: as for mbox_sem_open()
 * @oflags: as for mbox_sem_open()
 * @perm: as for mbox_sem_open()
 *
 * Return: a condition variable that the caller owns and ends with mbox_cond_close(), or
 * NULL and errno.
 */
struct mbox_cond *mbox_cond_open(const char *name, int oflags, mode_t perm);

/**
 * mbox_cond_close() - close a condition variable
 * @cond: the condition variable, which no thread uses; NULL: no effect
 *
 * Return: 0, or -1 and errno.
 */
int mbox_cond_close(struct mbox_cond *cond);

/**
 * mbox_cond_wait() - unlock a mutex, wait for a signal, and lock the mutex
 * @cond: the condition variable
 * @mutex: the mutex, whose owner the caller is; an owner again on every return, unless
 *	the mutex itself fails
 * @deadline: absolute time of CLOCK_MONOTONIC; NULL: no limit
 *
 * No signal that comes after the unlock is lost. The call can return without a signal:
 * the caller looks at its condition again.
 *
 * Return: as mbox_mutex_lock(); ETIMEDOUT and EINTR end the wait for the signal.
 */
int mbox_cond_wait(struct mbox_cond *cond, struct mbox_mutex *mutex,
		   const struct timespec *deadline);

/**
 * mbox_cond_signal() - wake a thread that waits
 * @cond: the condition variable
 *
 * The thread that has waited longest. If none waits, there is no effect.
 *
 * Return: 0, or -1 and errno.
 */
int mbox_cond_signal(struct mbox_cond *cond);

/**
 * mbox_cond_broadcast() - wake all threads that wait
 * @cond: the condition variable
 *
 * Return: 0, or -1 and errno.
 */
int mbox_cond_broadcast(struct mbox_cond *cond);

/**
 * mbox_barrier_open() - open a barrier, or create it
 * @name: as for mbox_sem_open(); a second mailbox has the name with ".lock" behind it
 * @oflags: as for mbox_sem_open()
 * @perm: as for mbox_sem_open()
 * @n: number of threads that a new barrier waits for; not used without O_CREAT
 *
 * Return: a barrier that the caller owns and ends with mbox_barrier_close(), or NULL and
 * errno.
 */
struct mbox_barrier *mbox_barrier_open(const char *name, int oflags, mode_t perm,
				       unsigned int n);

/**
 * mbox_barrier_close() - close a barrier
 * @barrier: the barrier, which no thread uses; NULL: no effect
 *
 * Return: 0.
 */
int mbox_barrier_close(struct mbox_barrier *barrier);

/**
 * mbox_barrier_unlink() - remove the names of a barrier
 * @name: its name
 *
 * Return: 0, or -1 and errno.
 */
int mbox_barrier_unlink(const char *name);

/**
 * mbox_barrier_wait() - wait until all threads have arrived
 * @barrier: the barrier
 * @deadline: absolute time of CLOCK_MONOTONIC; NULL: no limit
 *
 * A thread that gives up or dies while it waits has not arrived.
 *
 * Return: 0; 1: the caller is the one that arrived last; or -1 and errno.
 */
int mbox_barrier_wait(struct mbox_barrier *barrier, const struct timespec *deadline);

#ifdef __cplusplus
}
#endif

#endif /* _MBOX_H */
