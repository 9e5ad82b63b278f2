/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Handles: open mailboxes as files.
 */
#ifndef MBOX_HANDLE_H
#define MBOX_HANDLE_H

#include <linux/mbox.h>
#include <linux/types.h>

struct file;
struct mailbox;
struct mbox_end;

#define MBOX_SEND_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_SYNC)
#define MBOX_RECV_FLAGS (MBOX_DONTWAIT | MBOX_REALTIME | MBOX_PEEK | \
			 MBOX_TRUNC | MBOX_MATCH | MBOX_MATCH_NOT | \
			 MBOX_MATCH_LE)

/**
 * struct mbox_new_handle - a handle that its process does not know of yet
 * @fd: reserved
 * @file: belongs there
 */
struct mbox_new_handle {
	int fd;
	struct file *file;
};

int mbox_handle_prepare(struct mailbox *mb, unsigned int oflags,
			unsigned int rights, struct mbox_new_handle *new);
int mbox_handle_prepare_direct(struct mbox_end *end, unsigned int oflags,
			       unsigned int rights, struct mbox_new_handle *new);
int mbox_handle_publish(struct mbox_new_handle *new);
void mbox_handle_abort(struct mbox_new_handle *new);

#endif /* MBOX_HANDLE_H */
