/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An index of the messages of a queue: by position and by type.
 *
 * A queue finds its first message at once. An index is built when a receiver first
 * asks a long queue for another message: one of a type, or one behind others.
 */
#ifndef MBX_INDEX_H
#define MBX_INDEX_H

#include <linux/rbtree.h>
#include <linux/types.h>

#include "entry.h"

struct mailbox;
struct mbx_match;
struct mbx_message;
struct mbx_queue;

/* A queue of this length is searched message by message. */
#define MBX_SCAN_MAX 64U

/**
 * struct mbx_index - the index of a queue
 * @by_order: entries in the order of the queue
 * @by_type: entries by type, within a type in the order of the queue
 * @by_msg: entries by the address of their message
 * @cursor: the message to add next while the index is being built, then NULL
 * @front: mailbox.blocked_sends: number of the last message that was put in front of its
 *	rank
 * @old: likewise: number of the last message that is older than the index
 * @back: likewise: number of the last message that was put behind its rank
 *
 * All under mailbox.lock.
 */
struct mbx_index {
	struct rb_root by_order;
	struct rb_root by_type;
	struct rb_root by_msg;
	struct mbx_message *cursor;
	s64 front;
	s64 old;
	s64 back;
};

void mbx_index_add(struct mbx_queue *queue, struct mbx_entry *entry,
		   struct mbx_message *msg, bool front);
struct mbx_entry *mbx_index_remove(struct mbx_index *index,
				   struct mbx_message *msg);
struct mbx_message *mbx_index_find(const struct mbx_index *index,
				   const struct mbx_match *match, u32 *skip);
int mbx_index_build(struct mailbox *mb);

#endif /* MBX_INDEX_H */
