/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pollers: the handles that are polled, and other recipients of events.
 */
#ifndef MBX_POLLER_H
#define MBX_POLLER_H

#include <linux/list.h>
#include <linux/poll.h>
#include <linux/types.h>
#include <linux/wait.h>

struct fasync_struct;
struct file;
struct mailbox;
struct mbx_call_poller;
struct mbx_registration;

#define MBX_POLL_IN (EPOLLIN | EPOLLRDNORM)
#define MBX_POLL_OUT (EPOLLOUT | EPOLLWRNORM)

/**
 * struct mbx_poll_link - an entry of mailbox.pollers
 * @node: in that list; under mailbox.lock
 * @seq: number of a poller; 0: a placeholder, which is not told. The numbers rise
 *	along the list. Under mailbox.lock
 */
struct mbx_poll_link {
	struct list_head node;
	u64 seq;
};

/**
 * struct mbx_poller - a handle that is polled for events of one mailbox
 * @link: in mailbox.pollers while @queue may have entries
 * @queue: entries of poll, epoll and io_uring
 * @divider: in @queue, behind the entries that are not exclusive and before those
 *	that are
 *
 * Freed after an RCU grace period.
 */
struct mbx_poller {
	struct mbx_poll_link link;
	wait_queue_head_t queue;
	struct wait_queue_entry divider;
};

/**
 * struct mbx_watch - recipients of events other than pollers
 * @asyncs: lists of fasync_helper(): handles with O_ASYNC that may receive, and that
 *	may send
 * @reg: the registration for notification, or NULL; under mailbox.lock, also
 *	read without it to return early if there is none
 * @link: in mailbox.pollers while there is any recipient, so that the check of that
 *	list covers them
 *
 * Few mailboxes have a watch. Once made, it stays until the mailbox is freed.
 */
struct mbx_watch {
	struct fasync_struct *asyncs[2];
	struct mbx_registration *reg;
	struct mbx_poll_link link;
};

struct mbx_call_poller *mbx_call_poller_new(struct mailbox *mb);
void mbx_call_poller_free(struct mailbox *mb, struct mbx_call_poller *call);
bool mbx_pollers_wait(struct mailbox *mb);
void mbx_poll_tell(struct mailbox *mb, __poll_t events, bool everyone);

void mbx_poller_init(struct mbx_poller *poller);
void mbx_poller_leave(struct mailbox *mb, struct mbx_poller *poller);
void mbx_poller_join(struct mailbox *mb, struct mbx_poller *poller);

int mbx_watch_make(struct mailbox *mb);
void mbx_watch_update(struct mailbox *mb);
int mbx_watch_fasync(struct mbx_watch *watch, int fd, struct file *file,
		     bool on, unsigned int rights);

#endif /* MBX_POLLER_H */
