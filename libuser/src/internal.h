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

#include <stdbool.h>

#include "mbox.h"

/* Everything else stays hidden (-fvisibility=hidden). */
#define MBOX_API __attribute__((visibility("default")))

/**
 * struct mbox - one handle
 * @fd: its descriptor
 * @eof: read(2) returns 0 when all senders are gone (MBOX_HANGUP)
 *
 * Neither changes, so no call needs a lock.
 */
struct mbox {
	int fd;
	bool eof;
};

/*
 * One control ioctl: opens and closes /dev/mbox around it. A descriptor that
 * is kept open would be shared state, lost in closefrom(3) and leaked into
 * children. Returns what ioctl(2) returns; closing leaves errno alone.
 * ENODEV: there is no /dev/mbox (ENOENT is about mailboxes).
 */
int mbox__control(unsigned long cmd, void *arg);

/* The length of a name, or -1 and errno when it cannot be one. */
int mbox__name_len(const char *name);

#endif /* MBOX_INTERNAL_H */
