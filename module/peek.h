/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_PEEK_H
#define MBX_PEEK_H

#include <linux/rbtree.h>

#include "deferred.h"

/**
 * struct mbx_peek - a call that copies a message and leaves it in the mailbox
 * @node: in mailbox.peeks, by @msg; under mailbox.lock
 * @msg: the message
 *
 * On the stack of the call.
 */
struct mbx_peek {
	struct rb_node node;
	struct mbx_message *msg;
};

void mbx_peek_begin(struct mailbox *mb, struct mbx_peek *peek,
		    struct mbx_message *msg);
void mbx_peek_end(struct mailbox *mb, struct mbx_peek *peek);
void mbx_defer_release(struct mailbox *mb, struct mbx_message *msg,
		       struct mbx_deferred *deferred);

#endif /* MBX_PEEK_H */
