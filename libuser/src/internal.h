/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the library share.
 *
 * The library states the size of every structure in the ioctl number, and
 * that is the size at its own compile time. So when a structure in
 * <linux/mbox.h> grows, the functions that fill it get a new symbol version,
 * and the old version goes on with the old size: a program that was compiled
 * with the shorter structure must not be written past its end.
 */
#ifndef MBOX_INTERNAL_H
#define MBOX_INTERNAL_H

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mbox.h"

/* Everything else stays hidden (-fvisibility=hidden). */
#define MBOX_API __attribute__((visibility("default")))

struct mbox__helper;
struct mbox__side;

/**
 * struct mbox - one handle
 * @fd: its descriptor
 * @eof: read(2) returns 0 when all senders are gone (MBOX_HANGUP)
 * @ring: the mailbox is a ring
 * @spin_set: @spin_max is the program's
 * @spin_max: how often a call looks at a ring before it sleeps
 * @helper: the thread of mbox_notify(), or NULL
 * @side: a ring, mapped to receive and to send, at the first such call
 * @attaching: a thread maps that side: the number of its process
 * @left: what has to go before a closed handle can be freed
 *
 * The first three do not change, so no call on a queue needs a lock.
 */
struct mbox {
	int fd;
	bool eof;
	bool ring;
	bool spin_set;
	atomic_uint spin_max;
	struct mbox__helper *helper;
	struct mbox__side *_Atomic side[2];
	atomic_ullong attaching[2];
	atomic_uint left;
};

/*
 * One control ioctl: opens and closes /dev/mbox around it. A descriptor that
 * is kept open would be shared state, lost in closefrom(3) and leaked into
 * children. Returns what ioctl(2) returns; closing leaves errno alone.
 * ENODEV: there is no /dev/mbox (ENOENT is about mailboxes).
 */
int mbox__control(unsigned long cmd, void *arg);

/* A handle on what a control ioctl returns a descriptor of, or NULL and errno. */
struct mbox *mbox__handle_from_control(unsigned long cmd, void *arg);

/* The length of a name, or -1 and errno when it cannot be one. */
int mbox__name_len(const char *name);

/* The calls on a ring. What they do is in mbox.h; deadline_ns 0: none. */
int mbox__ring_send(struct mbox *mb, const void *buf, size_t len, uint32_t flags,
		    uint64_t deadline_ns);
ssize_t mbox__ring_recv(struct mbox *mb, void *buf, size_t len, uint32_t flags,
			uint64_t deadline_ns);
int mbox__ring_sendmsg(struct mbox *mb, const struct mbox_msg *msg);
ssize_t mbox__ring_recvmsg(struct mbox *mb, struct mbox_msg *msg);
int mbox__ring_batch(struct mbox *mb, struct mbox_msg *vec, unsigned int n, unsigned int flags,
		     bool send);
/*
 * End the mappings of a handle. Returns whether the caller frees it and closes
 * its descriptor; otherwise a call still waits, and does so at its end.
 */
bool mbox__ring_close(struct mbox *mb);

/*
 * The number of this process, or 0 and errno. No process that descends from this
 * one by fork(2) has the same.
 */
uint64_t mbox__generation(void);

/* Where that number is, 0 after a fork(2) until the process takes one; or NULL. */
extern atomic_ullong *_Atomic mbox__generation_page __attribute__((visibility("hidden")));

/* mmap(2), with ENOMEM for EAGAIN. */
void *mbox__map_memory(size_t size, int prot, int flags, int fd, uint64_t offset);

/* The thread of mbox_notify() is not needed any more; NULL: there is none. */
void mbox__helper_end(struct mbox__helper *h);

/**
 * struct mbox__registrant - a descriptor with which a process registers
 * @fd: the descriptor
 * @find: tells where the thread of the mailbox's registration is kept, while
 *	registrations are locked; NULL: nowhere, and with @make a place must be found
 */
struct mbox__registrant {
	int fd;
	struct mbox__helper **(*find)(struct mbox__registrant *r, bool make);
};

/* mbox_notify(), for any descriptor of a mailbox. */
int mbox__register(struct mbox__registrant *r, const struct sigevent *sev);

/* No registration of this process changes, and no signal handler runs in this thread. */
void mbox__registrations_lock(sigset_t *mask);
void mbox__registrations_unlock(const sigset_t *mask);

/**
 * struct mbox__file - what a descriptor is open for
 * @dev: the file system
 * @ino: number of the file in it
 * @mode: its type and permissions
 * @atime: seconds of its last access
 * @mtime: seconds of its last change
 * @ctime: seconds of the last change of its state
 */
struct mbox__file {
	uint64_t dev;
	uint64_t ino;
	unsigned int mode;
	int64_t atime;
	int64_t mtime;
	int64_t ctime;
};

/* As fstat(2), with 64 bits everywhere. Returns 0, or -1 and errno. */
int mbox__get_file(int fd, struct mbox__file *to);

/* Nanoseconds of a deadline, or -1 and errno. */
int64_t mbox__deadline_to_ns(const struct timespec *ts);

/*
 * No message is that long, and write(2) and the length field have limits: true
 * and EMSGSIZE for a length to send, the limit for the size of a buffer.
 */
int mbox__send_too_long(size_t len);

static inline uint32_t mbox__clamp_len(size_t len)
{
	return len <= INT_MAX ? len : INT_MAX;
}

#endif /* MBOX_INTERNAL_H */
