/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings: mailboxes whose messages are in memory that the participants map.
 */
#ifndef MBX_RING_H
#define MBX_RING_H

#include <linux/mbox.h>
#include <linux/poll.h>
#include <linux/types.h>

struct file;
struct mailbox;
struct mbx_deferred;
struct mbx_wait_opts;
struct mbx_poller;
struct mbx_ring;
struct mbx_user;
struct vm_area_struct;

int mbx_ring_attr_check(const struct mbox_attr *attr);
struct mbx_ring *mbx_ring_new(const struct mbox_attr *attr,
			      struct mbx_user *user);
bool mbx_ring_get(struct mbx_ring *ring);
void mbx_ring_put(struct mbx_ring *ring, struct mbx_user *user);
void mbx_ring_free(struct mbx_ring *ring);

int mbx_ring_mmap(struct mailbox *mb, struct vm_area_struct *vma,
		  unsigned int rights);
int mbx_ring_wait(struct mailbox *mb, unsigned int side,
		  const struct mbx_wait_opts *opts);
int mbx_ring_wake(struct mailbox *mb, unsigned int side, u32 n);
__poll_t mbx_ring_poll(struct mailbox *mb, struct mbx_poller *poller,
		       struct file *file, poll_table *wait,
		       unsigned int rights);

void mbx_ring_publish(struct mailbox *mb);
void mbx_ring_fence_peers(struct mailbox *mb, unsigned int rights);
void mbx_ring_shutdown(struct mailbox *mb, unsigned int side,
		       struct mbx_deferred *deferred);
void mbx_ring_shutdown_run(struct mailbox *mb);
void mbx_ring_stat(const struct mailbox *mb, struct mbox_stat *st);

#endif /* MBX_RING_H */
