/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings: mailboxes whose messages are in memory that the participants map.
 */
#ifndef MBOX_RING_H
#define MBOX_RING_H

#include <linux/mbox.h>
#include <linux/poll.h>
#include <linux/types.h>

struct file;
struct mailbox;
struct mbox_after;
struct mbox_call;
struct mbox_ring;
struct mbox_user;
struct vm_area_struct;

extern int mbox_ring_barriers;

int mbox_ring_attr_check(const struct mbox_attr *attr);
struct mbox_ring *mbox_ring_new(const struct mbox_attr *attr,
				struct mbox_user *user);
void mbox_ring_free(struct mbox_ring *ring, struct mbox_user *user);

int mbox_ring_mmap(struct mailbox *mb, struct vm_area_struct *vma,
		   unsigned int rights);
int mbox_ring_wait(struct mailbox *mb, bool send, const struct mbox_call *call);
int mbox_ring_wake(struct mailbox *mb, bool send, u32 n);
__poll_t mbox_ring_poll(struct mailbox *mb, struct file *file,
			poll_table *wait, unsigned int rights);

void mbox_ring_publish(struct mailbox *mb);
void mbox_ring_order(struct mailbox *mb, unsigned int rights);
void mbox_ring_end(struct mailbox *mb, bool send, int result,
		   struct mbox_after *after);
void mbox_ring_stat(const struct mailbox *mb, struct mbox_stat *st);

#endif /* MBOX_RING_H */
