/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequences of steps: made up at random, and printed as a script that can be
 * followed.
 */
#ifndef SELFTESTS_MODEL_SCRIPT_H
#define SELFTESTS_MODEL_SCRIPT_H

#include "executor.h"

/**
 * struct sequence - a mailbox and what happens to it
 * @link: not a mailbox, but a direct link of two
 * @calls: many of the messages are requests
 * @starts: and many of those calls do not wait
 * @crowd: many senders wait
 * @transit: much happens to messages that are being copied
 * @slow: some receivers copy slowly
 * @limit: of bytes of each user, or 0; @cost: of a message, of a long one, and of a
 *	sender
 * @leases: some messages are received on lease
 * @max_deliveries: of the mailbox, or 0
 * @letters: its dead letters go to a mailbox of this capacity, or (0) to none
 * @letter_flags: the policy of that
 * @lifespans: some messages have a lifespan
 * @files: some messages have descriptors
 * @handles: these are handles of another mailbox
 * @history: of the mailbox
 * @max_bytes: of the mailbox
 * @owner: whose mailbox it is: one of the users, or NUSERS: another's
 * @n: how many of @step count
 */
struct sequence {
	__u32 flags;
	__u32 capacity;
	__u32 msg_max;
	bool link;
	bool calls;
	bool starts;
	bool crowd;
	bool transit;
	bool slow;
	bool leases;
	__u32 max_deliveries;
	__u32 letters;
	__u32 letter_flags;
	bool lifespans;
	bool files;
	bool handles;
	__u32 history;
	__u64 limit;
	__u64 cost[3];
	__u64 max_bytes;
	int owner;
	int n;
	struct step step[SEQUENCE_MAX];
};

void say_mailbox(FILE *out, const struct sequence *seq);
void say_step(FILE *out, const struct step *s);
struct step random_step(struct random *r, struct world *w, const struct sequence *seq, int id);
void world_of(const struct sequence *seq, int bug, struct world *w);
bool needs_slow(int bug);
void random_mailbox(struct random *r, const __u64 *cost, bool slow, struct sequence *seq);

#endif /* SELFTESTS_MODEL_SCRIPT_H */
