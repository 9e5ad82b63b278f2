/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entries of messages in the index of a queue. This file has their memory; index.c
 * links them.
 */
#ifndef MBX_ENTRY_H
#define MBX_ENTRY_H

#include <linux/rbtree.h>
#include <linux/types.h>

struct mbx_message;
struct mbx_sender;
struct mbx_user;

/**
 * struct mbx_entry - a message in an index
 * @by_order: in mbx_index.by_order
 * @next: in no index: the next of a list of entries to free
 * @sender: in no index, but in such a list: the sender of the message, one reference
 * @by_type: in mbx_index.by_type
 * @by_msg: in mbx_index.by_msg
 * @norder: number of nodes in the subtree of @by_order
 * @ntype: number of nodes in the subtree of @by_type
 * @rank: position in the queue: higher ranks first
 * @seq: order within a rank
 * @msg: the message
 * @payer: the user that the entry is charged to, one reference; NULL: the sender of the
 *	message
 */
struct mbx_entry {
	union {
		struct rb_node by_order;
		struct {
			struct mbx_entry *next;
			struct mbx_sender *sender;
		};
	};
	struct rb_node by_type;
	struct rb_node by_msg;
	u32 norder;
	u32 ntype;
	u32 rank;
	s64 seq;
	struct mbx_message *msg;
	struct mbx_user *payer;
};

/* The bytes that an entry is charged as. */
#define MBX_ENTRY_COST ((unsigned int)sizeof(struct mbx_entry))

struct mbx_entry *mbx_entry_alloc(gfp_t flags);
void mbx_entry_free(struct mbx_entry *entry);
struct mbx_entry *mbx_entry_new(void);
struct mbx_entry *mbx_entry_new_unasked(struct mbx_sender *sender);
void mbx_entry_release(struct mbx_entry *entry, struct mbx_sender *sender);

int mbx_entry_init(void);
void mbx_entry_exit(void);

#endif /* MBX_ENTRY_H */
