/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Handles: open mailboxes as files.
 */
#ifndef MBX_HANDLE_H
#define MBX_HANDLE_H

#include <linux/fs.h>
#include <linux/mbox.h>
#include <linux/spinlock.h>

#include "broadcast.h"
#include "call.h"
#include "call_start.h"
#include "direct.h"
#include "limits.h"
#include "mailbox.h"
#include "poller.h"
#include "recv.h"
#include "send.h"

/**
 * struct polling - what a handle needs only when it is polled
 * @rcu: used to free this structure
 * @want: told when there is room again under a limit; under the lock of handle.outlet
 * @pollers: for events of handle.mb, and for a direct link also of handle.outlet.to
 */
struct polling {
	struct rcu_head rcu;
	struct mbx_want want;
	struct mbx_poller pollers[];
};

/**
 * struct handle - an open mailbox
 * @mb: the mailbox that it receives from, one reference
 * @outlet: the mailbox that it sends to, which is @mb or the other direction of a direct
 *	link, and the last process that sent; its lock protects polling.want too, and is
 *	held to set @polling
 * @endpoint: NULL, or the endpoint of a direct link, which then holds the references
 *	on both mailboxes
 * @tokens: requests that it received and has to reply to; under mailbox.lock
 * @parked: calls that its threads will enter again; under the lock of @outlet.to
 * @reader: MBOX_BROADCAST: how far it has read; under mailbox.lock
 * @rights: MBX_MAY_RECV, MBX_MAY_SEND
 * @polling: NULL until it is polled; set once, with release order
 * @started: NULL until a call is started; set once, with release order
 */
struct handle {
	struct mailbox *mb;
	struct mbx_outlet outlet;
	struct mbx_endpoint *endpoint;
	struct mbx_tokens tokens;
	struct mbx_parked parked;
	struct mbx_reader reader;
	unsigned int rights;
	struct polling *polling;
	struct mbx_started *started;
};

/**
 * struct mbx_new_handle - a handle that is not published yet
 * @fd: the reserved descriptor
 * @file: the file to install there
 */
struct mbx_new_handle {
	int fd;
	struct file *file;
};

static inline struct mailbox *mbx_file_mailbox(struct file *file)
{
	return ((struct handle *)file->private_data)->mb;
}

static inline bool mbx_nonblock(struct file *file)
{
	/* fcntl(2) may be changing it: either value will do. */
	return data_race(file->f_flags) & O_NONBLOCK;
}

/*
 * Only the process that opened a handle of a direct link can use it. A process that
 * inherits the handle, or that it is passed to, can only close it and query its state.
 */
static inline bool mbx_file_is_mine(struct file *file)
{
	return mbx_direct_is_mine(((struct handle *)file->private_data)->endpoint);
}

static inline int mbx_handle_send(struct handle *handle,
				  const struct mbx_send_args *args,
				  const struct mbx_wait_opts *opts)
{
	return mbx_send(&handle->outlet, args, opts);
}

static inline ssize_t mbx_handle_recv(struct handle *handle,
				      const struct mbx_recv_args *args,
				      const struct mbx_match *match,
				      const struct mbx_wait_opts *opts)
{
	struct mailbox *mb = handle->mb;

	if (unlikely(mb->flags & MBOX_BROADCAST))
		return mbx_broadcast_recv(mb, &handle->reader, args, match,
					  opts);
	return mbx_recv(mb, args, match, opts);
}

int mbx_handle_open(struct mailbox *mb, struct file *file);
int mbx_handle_prepare(struct mailbox *mb, struct vfsmount *mnt,
		       const struct file_operations *fops, unsigned int oflags,
		       unsigned int rights, struct mbx_new_handle *new);
int mbx_handle_prepare_direct(struct mbx_endpoint *endpoint,
			      const struct file_operations *fops,
			      unsigned int oflags, unsigned int rights,
			      struct mbx_new_handle *new);
int mbx_handle_publish(struct mbx_new_handle *new);
void mbx_handle_abort(struct mbx_new_handle *new);
void mbx_handle_free(struct handle *handle);
struct polling *mbx_start_polling(struct handle *handle);
struct mbx_started *mbx_handle_started(struct handle *handle);

int mbx_handle_init(void);
void mbx_handle_exit(void);

#endif /* MBX_HANDLE_H */
