/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The poll events of a handle, and O_ASYNC.
 */
#ifndef MBX_POLL_H
#define MBX_POLL_H

#include <linux/poll.h>
#include <linux/types.h>

struct file;
struct mailbox;
struct mbx_leases;
struct mbx_outlet;
struct mbx_poller;
struct mbx_reader;

__poll_t mbx_poll(struct mailbox *mb, const struct mbx_reader *reader,
		  const struct mbx_leases *leases, struct mbx_poller *poller,
		  struct file *file, fmode_t mode, poll_table *wait);
bool mbx_poll_refused(struct mbx_outlet *outlet);
int mbx_fasync(struct mailbox *mb, int fd, struct file *file, bool on,
	       unsigned int rights);

#endif /* MBX_POLL_H */
