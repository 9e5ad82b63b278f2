/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmbox: mailboxes between processes, through /dev/mbox.
 *
 * A mailbox carries whole messages from any number of senders to any number of
 * receivers; each message goes to one receiver. Programs share a mailbox by
 * name, by id, or by file descriptor (inherited, or passed over an AF_UNIX
 * socket). A struct mbox is one handle on a mailbox; it wraps one descriptor.
 *
 * Return values: -1 (or NULL) and errno, as in the rest of POSIX. The errors
 * of each function are listed with it; on a failure nothing has changed unless
 * that list says otherwise.
 *
 * Ownership: functions that return a struct mbox give it to the caller, who
 * ends it with mbox_close(). The library keeps no pointer that it was given:
 * names, attributes and buffers may go as soon as the call returns.
 *
 * Threads: every function may be called from any thread, also several at once
 * on one handle. Only mbox_close() must be the last call on its handle. After
 * fork(2) a child uses the handles that it inherits, without further ado, but
 * for those of mbox_direct().
 *
 * Signals: "async-signal-safe" below means what signal-safety(7) means by it:
 * the function may be called from a signal handler. mbox_send() and
 * mbox_recv() without flags, and their timed forms without flags and deadline,
 * can be cancellation points, as mq_send(3) is: a thread that is cancelled in
 * them has neither sent nor received. No other function is one.
 *
 * Blocking: a call that waits can be ended by a signal. It fails with EINTR,
 * or goes on with its deadline unchanged if the handler was installed with
 * SA_RESTART.
 *
 * Rings: the same calls work on mailboxes of mode MBOX_RING, whose messages are
 * in memory that the participants share. Sending and receiving make no system
 * call while neither side has to wait. What is different:
 *
 *   - A slot holds bytes and their length: no priority, no type, no sender, no
 *     descriptors. MBOX_SYNC, MBOX_PEEK, MBOX_MATCH and its kin, a prio, type or
 *     nfds that is not zero in a send, read(2), write(2), mbox_call() and its
 *     kin, and mbox_set_capacity() fail with EOPNOTSUPP.
 *   - The first send, and the first receive, of a process on a handle maps the
 *     memory. They can fail with EBUSY (MBOX_ONE_SENDER or MBOX_ONE_RECEIVER,
 *     and another process is it), EUSERS (too many senders), ENOMEM, EAGAIN
 *     (RLIMIT_MEMLOCK) and EPROTONOSUPPORT (the module has another layout).
 *   - A bad address is a SIGSEGV, not EFAULT; what a failed receive leaves in
 *     the buffer is undefined.
 *   - EIO: a participant has written to the shared memory what no honest one
 *     can have written. The ring is of no more use; destroy it.
 *   - "async-signal-safe" does not hold for the first call of a process on a
 *     handle, nor with MBOX_ONE_SENDER (send) and MBOX_ONE_RECEIVER (receive). A
 *     signal handler must not wait for what the call that it interrupted has not
 *     finished: there, use MBOX_DONTWAIT.
 *   - A process may end at any moment, also by SIGKILL: what it had sent is
 *     received, what it had not finished sending is not, and others go on. A
 *     thread that is stopped between mbox_reserve() and mbox_commit() holds up
 *     the messages behind its own.
 *
 * Standards: sending and receiving follow POSIX message queues (mq_send(3),
 * mq_receive(3)); the batch calls sendmmsg(2) and recvmmsg(2); MBOX_MATCH
 * msgrcv(2); names, permissions and the flags of open calls open(2).
 *
 * 32-bit systems: a program and the library must agree about the size of
 * time_t (_TIME_BITS), as with every library that takes a struct timespec.
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

/* From <signal.h>, for those who call mbox_notify(). */
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
 *	O_EXCL (fail if the name exists), O_NONBLOCK (no call on this handle
 *	waits) and O_CLOEXEC; O_CREAT is accepted and changes nothing
 * @attr: attributes of a new mailbox, see struct mbox_attr in <linux/mbox.h>;
 *	NULL: those of MBOX_ATTR_INIT. An existing mailbox keeps its own.
 *
 * The caller becomes the owner of a new mailbox and gets the rights that
 * @oflags asks for, whatever attr->perm says; the umask is taken off
 * attr->perm. A named mailbox lives until its name is gone (mbox_unlink()) and
 * its last handle is closed. Names belong to a network namespace.
 *
 * Does not block. Thread-safe; not async-signal-safe (allocates). Follows
 * mq_open(3) with O_CREAT.
 *
 * Return: a handle, to be ended with mbox_close(), or NULL and errno:
 * EACCES (the name exists and its permission bits, or those of /dev/mbox, do
 * not allow this), EDQUOT (the user's limit of mailboxes), EEXIST (O_EXCL, and
 * the name exists), EFAULT, EINVAL (an empty name or one with '/', an unknown
 * flag or mode, msg_max 0 or above the limit, perm outside 0777),
 * EMFILE, ENFILE, ENAMETOOLONG, ENODEV (no /dev/mbox: the module is not
 * loaded), ENOMEM, EPERM (MBOX_INHERIT without CAP_SYS_NICE).
 */
struct mbox *mbox_create(const char *name, int oflags, const struct mbox_attr *attr);

/**
 * mbox_open() - open an existing mailbox by its name
 * @name: the name
 * @oflags: O_RDONLY, O_WRONLY or O_RDWR, and any of O_NONBLOCK and O_CLOEXEC
 *
 * The permission bits are checked as open(2) checks a file's: read is the
 * right to receive, write the right to send.
 *
 * Does not block. Thread-safe; not async-signal-safe (allocates). Follows
 * mq_open(3) without O_CREAT.
 *
 * Return: a handle, to be ended with mbox_close(), or NULL and errno:
 * EACCES, EFAULT, EINVAL (name NULL, empty or with '/', an unknown flag),
 * EMFILE, ENFILE, ENAMETOOLONG, ENODEV (no /dev/mbox), ENOENT (no mailbox of
 * that name), ENOMEM.
 */
struct mbox *mbox_open(const char *name, int oflags);

/**
 * mbox_open_id() - open an existing mailbox by its id
 * @id: the id, as mbox_stat() reports it; unique while the module is loaded
 * @oflags: as for mbox_open()
 *
 * Reaches anonymous mailboxes too, with the same check of permission bits.
 *
 * Does not block. Thread-safe; not async-signal-safe (allocates). An extension
 * without a standard.
 *
 * Return: a handle, to be ended with mbox_close(), or NULL and errno:
 * EACCES, EINVAL (an unknown flag), EMFILE, ENFILE, ENODEV (no /dev/mbox),
 * ENOENT (no mailbox of that id in this network namespace), ENOMEM.
 */
struct mbox *mbox_open_id(uint64_t id, int oflags);

/**
 * mbox_direct() - open the link to another process
 * @peer: the process, as getpid(2) numbers it in the caller's pid namespace
 * @oflags: O_RDONLY, O_WRONLY or O_RDWR, and any of O_NONBLOCK and O_CLOEXEC
 *
 * Two processes have one link, with one end for each of them. Whoever comes first
 * makes it, and both reach it by naming the other. A send through the handle goes
 * to @peer, a receive comes from it; each direction is a queue with the
 * attributes of MBOX_ATTR_INIT. What is sent before @peer opens its end waits
 * for it. Another call in the same process gives another handle on the same end.
 *
 * Once @peer has closed its last handle, or has exited, with or without having
 * opened the link, a send fails with EPIPE, and so does a receive when nothing is
 * left to receive (read(2): 0). A peer that has closed can open again. The link
 * ends, with the messages in it, when neither side has a handle.
 *
 * Allowed for whom kill(2) allows to signal @peer (the same user, or CAP_KILL),
 * and for whom @peer has opened its end to already; that is asked now and not
 * again. Both processes are the ones of this moment, whatever becomes of their
 * numbers. exec(2) keeps the process and its handles (O_CLOEXEC closes them). In
 * another process, a child or one that the handle was passed to, everything
 * but mbox_stat() and mbox_close() fails with EPERM, and poll reports POLLERR; it
 * calls mbox_direct() for a link of its own. An inherited handle keeps the end
 * open, but not beyond the end of the process that opened it.
 *
 * mbox_stat() is about the direction that this side receives from. Either side
 * may mbox_set_capacity(), which is that of both directions, and
 * mbox_destroy(), which ends the link for both; then mbox_direct() makes another
 * one. mbox_call() and its kin work, both ways. A link has no name, and no
 * mbox_open_id() or mbox_walk() finds it.
 *
 * Does not block. Thread-safe; not async-signal-safe (allocates). An extension
 * without a standard.
 *
 * Return: a handle, to be ended with mbox_close(), or NULL and errno:
 * EACCES (/dev/mbox does not allow it), EDQUOT (the user's limit of mailboxes; a
 * link counts as two of who makes it), EINVAL (an unknown flag, @peer not
 * positive or the caller itself, a limit of msg_max below that of the
 * attributes), EMFILE, ENFILE, ENODEV (no /dev/mbox), ENOMEM, EPERM (@peer is
 * another user's), ESRCH (no such process, as far as the caller can see, or it
 * has exited, or is a thread or the kernel's).
 */
struct mbox *mbox_direct(pid_t peer, int oflags);

/**
 * mbox_from_fd() - make a handle of a descriptor
 * @fd: a mailbox's descriptor, inherited or received over an AF_UNIX socket
 *
 * On success the handle owns @fd, and mbox_close() closes it; on a failure
 * @fd is still the caller's and open. It is not duplicated.
 *
 * Does not block. Thread-safe; not async-signal-safe (allocates). Follows
 * fdopen(3).
 *
 * Return: a handle, to be ended with mbox_close(), or NULL and errno:
 * EBADF (not an open descriptor), EIDRM (its mailbox was destroyed), EINVAL (a
 * descriptor of something else than a mailbox), ENOMEM.
 */
struct mbox *mbox_from_fd(int fd);

/**
 * mbox_fd() - the descriptor of a handle
 * @mb: a handle
 *
 * For poll(2), epoll(7), read(2), write(2), fcntl(2) and for passing on. It
 * stays the handle's: do not close it. poll reports POLLIN when a receive
 * would not block, POLLOUT when a send would not block.
 *
 * Does not block, cannot fail. Thread-safe; async-signal-safe. Follows
 * fileno(3).
 *
 * Return: the descriptor.
 */
int mbox_fd(const struct mbox *mb);

/**
 * mbox_close() - end a handle
 * @mb: a handle; NULL is allowed and does nothing
 *
 * Closes its descriptor and frees it, also when -1 is returned. Closing the
 * last handle of a mailbox that has no name ends the mailbox, with the
 * messages that are in it. A call that waits in another thread at the moment
 * goes on waiting on the mailbox.
 *
 * Does not block. No other call may use @mb at the same time or later; not
 * async-signal-safe (frees). Follows mq_close(3).
 *
 * Return: 0, or -1 and errno: EBADF (the descriptor was closed behind the
 * library's back).
 */
int mbox_close(struct mbox *mb);

/**
 * mbox_unlink() - take away a mailbox's name
 * @name: the name
 *
 * For the owner and CAP_IPC_OWNER. The mailbox goes on for those who have it
 * open, and ends with its last handle; the name is free at once.
 *
 * Does not block. Thread-safe; async-signal-safe. Follows mq_unlink(3).
 *
 * Return: 0, or -1 and errno:
 * EACCES (not the owner, or /dev/mbox does not allow it), EFAULT, EINVAL (name
 * NULL, empty or with '/'), EMFILE, ENFILE, ENAMETOOLONG, ENODEV (no
 * /dev/mbox), ENOENT (no mailbox of that name), ENOMEM.
 */
int mbox_unlink(const char *name);

/**
 * mbox_destroy() - end a mailbox for everybody
 * @mb: a handle opened with O_RDWR
 *
 * For the owner and CAP_IPC_OWNER. Drops the messages in it; every call that
 * waits on it, and every later one on any of its handles, fails with EIDRM;
 * poll reports POLLERR and POLLHUP. Its name and id are gone. The handles,
 * @mb too, must still be closed.
 *
 * Does not block. Thread-safe; async-signal-safe. Follows msgctl(2) with
 * IPC_RMID.
 *
 * Return: 0, or -1 and errno: EBADF (not opened with O_RDWR), EIDRM (destroyed
 * already), EPERM (not the owner).
 */
int mbox_destroy(struct mbox *mb);

/**
 * mbox_stat() - the state of a mailbox
 * @mb: a handle with any right
 * @st: where the state goes, see struct mbox_stat in <linux/mbox.h>; filled
 *	only on success
 *
 * The fields belong to one moment; with other processes at work it is past
 * when the call returns.
 *
 * Does not block. Thread-safe; async-signal-safe. Follows mq_getattr(3) and
 * msgctl(2) with IPC_STAT.
 *
 * Return: 0, or -1 and errno: EBADF, EFAULT, EIDRM.
 */
int mbox_stat(struct mbox *mb, struct mbox_stat *st);

/**
 * mbox_set_capacity() - change the capacity of a mailbox in use
 * @mb: a handle with any right
 * @capacity: messages; 0: rendezvous; MBOX_UNBOUNDED
 *
 * For the owner and CAP_IPC_OWNER. Takes effect at once: growing lets waiting
 * senders go on; shrinking below what is queued drops nothing and makes
 * senders wait.
 *
 * Does not block. Thread-safe; async-signal-safe. An extension without a
 * standard.
 *
 * Return: 0, or -1 and errno: EBADF, EIDRM, EPERM (not the owner).
 */
int mbox_set_capacity(struct mbox *mb, uint32_t capacity);

/**
 * mbox_walk() - the next mailbox that the caller may see
 * @pos: in: pos->id, return the first mailbox with a greater id (0: the
 *	first of all); out: its id, name and state, see struct mbox_walk in
 *	<linux/mbox.h>; filled only on success
 *
 * Seen are mailboxes of the network namespace that the caller could open, and
 * those that it owns. Call it again with the same structure for the next one.
 * Mailboxes that come and go during a walk may be missed; none is seen twice.
 *
 * Does not block. Thread-safe (with a structure per thread);
 * async-signal-safe. An extension without a standard.
 *
 * Return: 0, or -1 and errno: EACCES (/dev/mbox does not allow it), EFAULT,
 * EMFILE, ENFILE, ENODEV (no /dev/mbox), ENOENT (there is no further one),
 * ENOMEM.
 */
int mbox_walk(struct mbox_walk *pos);

/**
 * mbox_info() - what the loaded module can do
 * @info: where the answer goes, see struct mbox_info in <linux/mbox.h>; filled
 *	only on success
 *
 * Does not block. Thread-safe; async-signal-safe. An extension without a
 * standard.
 *
 * Return: 0, or -1 and errno: EACCES (/dev/mbox does not allow it), EFAULT,
 * EMFILE, ENFILE, ENODEV (no /dev/mbox), ENOMEM.
 */
int mbox_info(struct mbox_info *info);

/**
 * mbox_send() - send a message
 * @mb: a handle with the right to send
 * @buf: the message; may be NULL when @len is 0
 * @len: its length in bytes, 0 to msg_max
 * @flags: 0, or MBOX_DONTWAIT (fail instead of waiting) or MBOX_SYNC (return
 *	once a receiver has the message)
 *
 * Sends with priority 0 and type 0; mbox_sendmsg() gives others. Waits, without
 * a limit, while the mailbox is full; at capacity 0 until a receiver takes the
 * message. A full mailbox with an overflow policy (MBOX_DROP_OLDEST,
 * MBOX_DROP_NEWEST) drops a message instead. The message is copied: @buf can be
 * used again on return.
 *
 * Thread-safe; async-signal-safe. Follows mq_send(3).
 *
 * Return: 0, or -1 and errno:
 * EAGAIN (it would wait, and MBOX_DONTWAIT or O_NONBLOCK is set), EBADF (no
 * right to send), EDQUOT (the user's limit of queued bytes), EFAULT, EIDRM,
 * EINTR, EINVAL (an unknown flag), EMSGSIZE (longer than msg_max, or not
 * msg_max bytes on a MBOX_FIXED mailbox), ENOMEM, EPERM (a direct link of another
 * process), EPIPE (a MBOX_HANGUP mailbox without receivers; a direct link whose
 * peer is gone; a MBOX_SYNC message dropped by an overflow policy).
 */
int mbox_send(struct mbox *mb, const void *buf, size_t len, unsigned int flags);

/**
 * mbox_recv() - receive a message
 * @mb: a handle with the right to receive
 * @buf: where the message goes; may be NULL when @len is 0
 * @len: size of @buf in bytes
 * @flags: 0, or any of MBOX_DONTWAIT (fail instead of waiting), MBOX_PEEK
 *	(leave the message in the mailbox), MBOX_TRUNC (cut the message to
 *	@buf), and MBOX_MATCH, MBOX_MATCH_NOT or MBOX_MATCH_LE (with type 0
 *	here; mbox_recvmsg() gives others)
 *
 * Takes the oldest message of the highest priority. Waits, without a limit,
 * while there is none. There is no way to reply to a request (mbox_call()) that
 * is received like this; its caller fails with EPIPE.
 *
 * Thread-safe; async-signal-safe. Follows mq_receive(3), but does not demand a
 * buffer of msg_max bytes: a message that is longer than the buffer stays in
 * the mailbox.
 *
 * Return: the message's length in bytes (its full length with MBOX_TRUNC, also
 * when more than @len), or -1 and errno:
 * EAGAIN (it would wait, and MBOX_DONTWAIT or O_NONBLOCK is set), EBADF (no
 * right to receive), EFAULT, EIDRM, EINTR, EINVAL (an unknown flag), EMSGSIZE
 * (longer than @len, without MBOX_TRUNC), ENOMEM, EPERM (a direct link of another
 * process), EPIPE (a MBOX_HANGUP mailbox, empty and without senders; an empty
 * direct link whose peer is gone).
 */
ssize_t mbox_recv(struct mbox *mb, void *buf, size_t len, unsigned int flags);

/**
 * mbox_timedsend() - send a message, waiting until a deadline at most
 * @mb: as for mbox_send()
 * @buf: as for mbox_send()
 * @len: as for mbox_send()
 * @flags: as for mbox_send(), and MBOX_REALTIME
 * @deadline: absolute time of CLOCK_MONOTONIC, with MBOX_REALTIME of
 *	CLOCK_REALTIME; NULL: no limit
 *
 * As mbox_send(), but gives up at @deadline. A deadline that has passed sends
 * what can be sent at once. With MBOX_DONTWAIT or O_NONBLOCK the deadline plays
 * no part.
 *
 * Thread-safe; async-signal-safe. Follows mq_timedsend(3), with another clock.
 *
 * Return: 0, or -1 and errno: as mbox_send(), and EINVAL (tv_sec negative, or
 * tv_nsec outside 0 to 999999999), ETIMEDOUT.
 */
int mbox_timedsend(struct mbox *mb, const void *buf, size_t len, unsigned int flags,
		   const struct timespec *deadline);

/**
 * mbox_timedrecv() - receive a message, waiting until a deadline at most
 * @mb: as for mbox_recv()
 * @buf: as for mbox_recv()
 * @len: as for mbox_recv()
 * @flags: as for mbox_recv(), and MBOX_REALTIME
 * @deadline: absolute time of CLOCK_MONOTONIC, with MBOX_REALTIME of
 *	CLOCK_REALTIME; NULL: no limit
 *
 * As mbox_recv(), but gives up at @deadline. A deadline that has passed takes
 * what is there. With MBOX_DONTWAIT or O_NONBLOCK the deadline plays no part.
 *
 * Thread-safe; async-signal-safe. Follows mq_timedreceive(3), with another
 * clock.
 *
 * Return: the message's length in bytes, or -1 and errno: as mbox_recv(), and
 * EINVAL (tv_sec negative, or tv_nsec outside 0 to 999999999), ETIMEDOUT.
 */
ssize_t mbox_timedrecv(struct mbox *mb, void *buf, size_t len, unsigned int flags,
		       const struct timespec *deadline);

/**
 * mbox_sendmsg() - send a message, with everything that can be said about it
 * @mb: a handle with the right to send
 * @msg: buf, len, flags, deadline_ns (nanoseconds; 0: no limit), prio and type,
 *	see struct mbox_msg in <linux/mbox.h>; clear the structure first, all
 *	else must be zero. Not changed. nfds and fds: descriptors that are sent
 *	with the message, an array of up to MBOX_FDS_MAX.
 *
 * The receiver gets descriptors of the same open files; the sender can close
 * its own on return. Regular files (memfd_create(2) too), directories, FIFOs,
 * devices, and sockets but AF_UNIX ones can be sent.
 *
 * Blocks as mbox_timedsend() does. Thread-safe; async-signal-safe. Follows
 * mq_timedsend(3) (priority) and msgsnd(2) (type).
 *
 * Return: 0, or -1 and errno: as mbox_send(), and EBADF (not an open
 * descriptor), EINVAL (prio above MBOX_PRIO_MAX, too many descriptors, a
 * reserved field that is not zero), ELOOP (another kind of descriptor),
 * ETIMEDOUT, ETOOMANYREFS (the user has RLIMIT_NOFILE descriptors in messages).
 */
int mbox_sendmsg(struct mbox *mb, struct mbox_msg *msg);

/**
 * mbox_recvmsg() - receive a message, with everything that is known about it
 * @mb: a handle with the right to receive
 * @msg: in: buf, len (size of the buffer in bytes), flags, deadline_ns
 *	(nanoseconds; 0: no limit), with MBOX_MATCH, MBOX_MATCH_NOT or
 *	MBOX_MATCH_LE type, with MBOX_PEEK skip; clear the structure first.
 *	out: len (the message's full length), prio, type, pid, uid and gid of
 *	the sender, and token: not 0 for a request (mbox_call()), which is to be
 *	replied to with mbox_reply() on this handle. Changed only on success;
 *	set len, flags, type and nfds again before the next call. nfds and fds:
 *	in: room for that many descriptors, and the array; out: how many came.
 *
 * Descriptors in the message are opened for the caller, with FD_CLOEXEC. Those
 * for which there is no room are closed, and flags has MBOX_CTRUNC; mbox_recv()
 * has room for none. MBOX_PEEK gives none.
 *
 * Where an MBOX_BROADCAST mailbox dropped messages before this handle had them,
 * flags has MBOX_LOST, and lost is their number; otherwise it is 0.
 *
 * Blocks as mbox_timedrecv() does. Thread-safe (with a structure per thread);
 * async-signal-safe. Follows mq_timedreceive(3) (priority) and msgrcv(2)
 * (type).
 *
 * Return: the message's length in bytes, or -1 and errno: as mbox_recv(), and
 * EINVAL (skip without MBOX_PEEK, MBOX_MATCH_NOT together with MBOX_MATCH_LE, too
 * many descriptors, a reserved field that is not zero), EMFILE and ENFILE (for the
 * descriptors; the message stays), ETIMEDOUT.
 */
ssize_t mbox_recvmsg(struct mbox *mb, struct mbox_msg *msg);

/**
 * mbox_sendmmsg() - send several messages in one system call
 * @mb: a handle with the right to send
 * @vec: the messages, each as for mbox_sendmsg()
 * @n: how many; more than MBOX_BATCH_MAX are cut to that
 * @flags: added to the flags of each message
 *
 * Sends in the order of @vec and blocks for each as mbox_sendmsg() does. Stops
 * at the first that fails; its error is reported only when none was sent.
 *
 * Thread-safe; async-signal-safe. Follows sendmmsg(2).
 *
 * Return: how many were sent (0 only when @n is 0), or -1 and errno as
 * mbox_sendmsg().
 */
int mbox_sendmmsg(struct mbox *mb, struct mbox_msg *vec, unsigned int n, unsigned int flags);

/**
 * mbox_recvmmsg() - receive several messages in one system call
 * @mb: a handle with the right to receive
 * @vec: in and out, each as for mbox_recvmsg()
 * @n: how many; more than MBOX_BATCH_MAX are cut to that
 * @flags: added to the flags of each message; MBOX_WAITFORONE: wait for the
 *	first message only, then take what is there
 *
 * Blocks for each message as mbox_recvmsg() does. Stops at the first that
 * fails; its error is reported only when none was received.
 *
 * Thread-safe (with an array per thread); async-signal-safe. Follows
 * recvmmsg(2).
 *
 * Return: how many were received (0 only when @n is 0), or -1 and errno as
 * mbox_recvmsg().
 */
int mbox_recvmmsg(struct mbox *mb, struct mbox_msg *vec, unsigned int n, unsigned int flags);

/**
 * mbox_reserve() - get room for a message in a ring, to be written in place
 * @mb: a handle of a ring with the right to send
 * @len: bytes that will be written at most, up to msg_max
 * @flags: 0 or MBOX_DONTWAIT
 *
 * The message has its place in the order of messages from now on, and those
 * behind it are received after it: end the reservation soon, with mbox_commit()
 * or mbox_discard(), on the same handle and in the same process. Several
 * reservations may be open, and be ended in any order. What the memory contains
 * is left over from other messages.
 *
 * Waits, without a limit, while the ring is full. Thread-safe. An extension
 * without a standard.
 *
 * Return: the address, aligned to 16 bytes, or NULL and errno: EAGAIN (it would
 * wait, and MBOX_DONTWAIT or O_NONBLOCK is set), EBADF (no right to send),
 * EBUSY, EIDRM, EINTR, EINVAL (an unknown flag), EIO, EMSGSIZE, EOPNOTSUPP (not
 * a ring), EPIPE, and those of the first call (see "Rings" above).
 */
void *mbox_reserve(struct mbox *mb, size_t len, unsigned int flags);

/**
 * mbox_commit() - send what was written to a reserved place
 * @mb: the handle
 * @slot: from mbox_reserve(); not to be touched afterwards
 * @len: length of the message, up to msg_max
 *
 * Does not block. Thread-safe; async-signal-safe.
 *
 * Return: 0, or -1 and errno: EINVAL (@slot is no reservation of this process on
 * this handle), EMSGSIZE (the reservation stays), EOPNOTSUPP.
 */
int mbox_commit(struct mbox *mb, void *slot, size_t len);

/**
 * mbox_discard() - give a reserved place back, without a message
 * @mb: the handle
 * @slot: from mbox_reserve(); not to be touched afterwards
 *
 * Does not block. Thread-safe; async-signal-safe.
 *
 * Return: 0, or -1 and errno: EINVAL (as mbox_commit()), EOPNOTSUPP.
 */
int mbox_discard(struct mbox *mb, void *slot);

/**
 * mbox_peek() - look at the next message of a ring, in place
 * @mb: a handle of a ring with the right to receive
 * @len: where the message's length goes
 * @flags: 0 or MBOX_DONTWAIT
 *
 * The message stays the next one until mbox_release(), so if the process ends
 * before, the next receiver finds it. This is for rings with one receiver:
 * where there are more, another may take the message while it is being looked
 * at, which mbox_release() then tells. One message at a time on a handle. A
 * sender that does not keep to the protocol can change the message meanwhile:
 * read what is checked only once.
 *
 * Waits, without a limit, while there is no message. Thread-safe, but threads
 * that look at the same time see the same message. An extension without a
 * standard.
 *
 * Return: the address, aligned to 16 bytes, or NULL and errno: EAGAIN (it would
 * wait, and MBOX_DONTWAIT or O_NONBLOCK is set), EBADF (no right to receive),
 * EBUSY, EIDRM, EINTR, EINVAL (an unknown flag), EIO, EOPNOTSUPP (not a ring),
 * EPIPE, and those of the first call (see "Rings" above).
 */
const void *mbox_peek(struct mbox *mb, size_t *len, unsigned int flags);

/**
 * mbox_release() - receive the message that mbox_peek() showed
 * @mb: the handle
 * @slot: from mbox_peek(); not to be touched afterwards
 *
 * Does not block. Thread-safe; async-signal-safe, except with
 * MBOX_ONE_RECEIVER.
 *
 * Return: 0, or -1 and errno: EINVAL (@slot is not what mbox_peek() showed last
 * on this handle), EOPNOTSUPP, ESTALE (another receiver took the message: what
 * was read of it may be part of another).
 */
int mbox_release(struct mbox *mb, const void *slot);

/**
 * mbox_set_spin() - how long calls on a ring look before they sleep
 * @mb: a handle of a ring
 * @n: for at most so many pauses, of some ten nanoseconds each; 0: none
 *
 * A call that would wait looks at the ring for a while before it asks the
 * kernel to be put to sleep: longer, up to @n, where that has been of use, and
 * shorter where not. Unset, it is 1000. In a process that runs on one CPU only
 * each look gives the CPU to others first, as sched_yield(2) does, and it is 64
 * unless set.
 *
 * Does not block. Thread-safe; async-signal-safe. An extension without a
 * standard.
 *
 * Return: 0, or -1 and errno: EOPNOTSUPP (not a ring).
 */
int mbox_set_spin(struct mbox *mb, unsigned int n);

/**
 * mbox_notify() - be told once of a message in an empty mailbox
 * @mb: a handle with the right to receive
 * @sev: how; NULL: not any more
 *
 * Registers the calling process for the next message that arrives while the
 * mailbox is empty and no receive call waits for it (MBOX_BROADCAST: for the next
 * message). One process at a time can be registered. sigev_notify says what happens then:
 *
 *   - SIGEV_SIGNAL: the process gets sigev_signo, with si_code SI_MESGQ,
 *     sigev_value, and the sender's pid and real uid.
 *   - SIGEV_THREAD: sigev_notify_function is called with sigev_value, in a
 *     thread with sigev_notify_attributes that this call has created. It has the
 *     signal mask of the caller and is detached, whatever the attributes say.
 *   - SIGEV_NONE: nothing.
 *
 * After that the process is not registered any more, and registers again if it
 * wants to; then it should receive until EAGAIN, for what has come in between.
 * Closing a descriptor of the handle ends the registration of its process, as
 * do execve(2), the end of the process, and mbox_destroy(), of which nothing is
 * told. A child of fork(2) is not registered.
 *
 * If all threads block the signal, it is pending for the thread that made this
 * call, not for the process: that is the one to call sigwaitinfo(2) or to read
 * from signalfd(2).
 *
 * Does not block; where it ends a registration with SIGEV_THREAD, as mbox_close()
 * may too, it waits until the library's descriptor for that is closed.
 * Thread-safe; not async-signal-safe with SIGEV_THREAD nor after it. Modelled on
 * mq_notify(3).
 *
 * Return: 0, or -1 and errno:
 * EAGAIN (SIGEV_THREAD: no further thread), EBADF (no right to receive), EBUSY (a
 * process is registered, perhaps this one), EIDRM, EINVAL (sigev_notify or
 * sigev_signo), EMFILE, ENFILE (SIGEV_THREAD: no free descriptor), ENOMEM,
 * EOPNOTSUPP (a ring).
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
 * Sends @req with priority 0 and type 0, and waits until somebody has received
 * it and replied to it: mbox_recvmsg() gives the receiver a token, which
 * mbox_reply() takes. No other receiver can reply, and nobody twice.
 *
 * When the call ends without a reply, a request that nobody has received is
 * withdrawn. One that was received is being worked on; the reply to it fails
 * with ESRCH.
 *
 * Memory for the reply counts, from the beginning, against the user's limit of
 * queued bytes: @rep_len, or msg_max if that is less.
 *
 * Thread-safe; async-signal-safe. A signal handler installed with SA_RESTART
 * restarts the call as long as nobody has received the request; after that, the
 * call fails with EINTR. Modelled on MsgSend() of QNX.
 *
 * Return: the length of the reply, or -1 and errno:
 * EAGAIN (O_NONBLOCK: there is no reply without waiting), EBADF (no right to
 * send), EDQUOT, EFAULT (a bad address; a reply that does not reach @rep is
 * lost), EIDRM, EINTR, EINVAL (tv_sec negative, or tv_nsec outside 0 to
 * 999999999), EMSGSIZE (@req_len as for mbox_send(), or the reply is longer than
 * @rep_len), ENOMEM, EPIPE (who received the request has closed its handle or
 * ended, or cannot reply; an overflow policy dropped it; a MBOX_HANGUP mailbox
 * without receivers), ETIMEDOUT (a deadline that has passed sends nothing).
 */
ssize_t mbox_call(struct mbox *mb, const void *req, size_t req_len, void *rep, size_t rep_len,
		  const struct timespec *deadline);

/**
 * mbox_reply() - reply to a request
 * @mb: the handle that received the request
 * @token: the token of the request, see mbox_recvmsg()
 * @rep: the reply; may be NULL when @len is 0
 * @len: its length in bytes
 *
 * Ends the call. A token is good for one reply.
 *
 * Does not block. Thread-safe; async-signal-safe. Modelled on MsgReply() of QNX.
 *
 * Return: 0, or -1 and errno:
 * EFAULT (the token stays good), EIDRM, EMSGSIZE (longer than the caller's
 * buffer, or than msg_max: the caller gets EMSGSIZE too, and the token is used),
 * ESRCH (no caller waits for this: it has given up or has its reply, or this
 * handle has not received such a request).
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
 * nothing is received. After any failure, calling again with token 0 goes on
 * with the next message.
 *
 * Blocks as mbox_recvmsg() does; the reply is not held up by that. Thread-safe
 * (with a structure per thread); async-signal-safe. Modelled on
 * MsgReplyv()/MsgReceivev() of QNX and seL4_ReplyRecv().
 *
 * Return: the message's length in bytes, or -1 and errno: as mbox_reply() (except
 * with token 0) and as mbox_recvmsg().
 */
ssize_t mbox_reply_recv(struct mbox *mb, uint64_t token, const void *rep, size_t len,
			struct mbox_msg *next);

#ifdef __cplusplus
}
#endif

#endif /* _MBOX_H */
