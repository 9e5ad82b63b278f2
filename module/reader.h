/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MBX_READER_H
#define MBX_READER_H

#include "mailbox.h"

/**
 * struct mbx_reader - how far a handle has read a mailbox with MBOX_BROADCAST
 * @seq: number of the message to read next; if that was dropped, the handle reads the
 *	first message that is left. MBX_EXPELLED: it does not receive any more
 * @lost: number of messages before @seq that the handle lost and has not been told of
 * @number: of this reader in its mailbox, from 1 on, never used again
 * @chooses: it has another policy than the mailbox, and counts in mailbox.choices
 * @node: in mailbox.readers
 *
 * Under mailbox.lock, also @number, which does not change: it shares a word with @chooses.
 */
struct mbx_reader {
	u64 seq;
	u64 lost;
	u64 number : 63;
	u64 chooses : 1;
	struct rb_node node;
};

/**
 * struct mbx_choices - readers whose policy is not that of the mailbox
 * @caught_up: how many of them are in mailbox.caught_up
 * @late: how many of them are in history.late
 * @clear: number of a message that is stored or comes next: no reader holds one that is
 *	stored before it
 *
 * Under mailbox.lock. A reader holds a message if senders wait for it, or drop theirs, as
 * long as it has not received the message.
 */
struct mbx_choices {
	u32 caught_up;
	u32 late;
	u64 clear;
};

/* Whether dropping the messages that no reader holds makes room for another. */
enum mbx_spare {
	MBX_SPARE_NONE,
	MBX_SPARE_ENOUGH,
	/* Not known yet: ask again in another hold of the lock. */
	MBX_SPARE_UNKNOWN,
};

/*
 * A position behind all messages that there will ever be. What is left to read, a signed
 * number, is less than 0.
 */
#define MBX_EXPELLED ((u64)S64_MAX)

static inline bool mbx_reader_expelled(const struct mbx_reader *reader)
{
	return reader->seq == MBX_EXPELLED;
}

void mbx_reader_join(struct mailbox *mb, struct mbx_reader *reader);
void mbx_reader_leave(struct mailbox *mb, struct mbx_reader *reader);
void mbx_reader_expel(struct mailbox *mb, struct mbx_reader *reader);
struct mbx_reader *mbx_reader_from(const struct mailbox *mb, u64 number);
u64 mbx_reader_slowest(struct mailbox *mb, u64 *unread);
u64 mbx_reader_unread(const struct mailbox *mb, const struct mbx_reader *reader);
u64 mbx_reader_lost(const struct mailbox *mb, const struct mbx_reader *reader);
bool mbx_reader_has_unread(const struct mailbox *mb,
			   const struct mbx_reader *reader);
void mbx_reader_catch_up(const struct mailbox *mb, struct mbx_reader *reader);
struct mbx_message *mbx_reader_find(const struct mailbox *mb,
				    const struct mbx_reader *reader, u32 skip);
bool mbx_reader_advance(struct mailbox *mb, struct mbx_reader *reader,
			struct mbx_message *msg, u64 seq);

int mbx_choices_make(struct mailbox *mb);
void mbx_reader_choose(struct mailbox *mb, struct mbx_reader *reader, bool chooses);
const char *mbx_reader_policy(const struct mailbox *mb, const struct mbx_reader *reader);
bool mbx_readers_hold_late(const struct mailbox *mb);
bool mbx_readers_hold(const struct mailbox *mb, struct mbx_message *msg);
enum mbx_spare mbx_readers_spare(struct mailbox *mb, unsigned int steps);

void mbx_readers_skip(struct mailbox *mb, struct mbx_message *msg);
struct mbx_message *mbx_readers_surplus(struct mailbox *mb);
void mbx_readers_store(struct mailbox *mb, struct mbx_message *msg);
bool mbx_readers_unstore(struct mailbox *mb, struct mbx_message *msg);
struct mbx_message *mbx_readers_done(const struct mailbox *mb);

#endif /* MBX_READER_H */
