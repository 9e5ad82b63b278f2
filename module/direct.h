/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Direct links: one for each pair of processes.
 */
#ifndef MBOX_DIRECT_H
#define MBOX_DIRECT_H

#include <linux/types.h>

struct mailbox;
struct mbox_end;
struct pid_namespace;

struct mbox_end *mbox_direct_open(pid_t nr);
void mbox_direct_opened(struct mbox_end *end);
void mbox_direct_close(struct mbox_end *end);

bool mbox_direct_is_mine(const struct mbox_end *end);
struct mailbox *mbox_direct_from(const struct mbox_end *end);
struct mailbox *mbox_direct_to(const struct mbox_end *end);
pid_t mbox_direct_peer(const struct mbox_end *end, struct pid_namespace *ns);
int mbox_direct_set_capacity(struct mbox_end *end, u32 capacity);
int mbox_direct_destroy(struct mbox_end *end);

#endif /* MBOX_DIRECT_H */
