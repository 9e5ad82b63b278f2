/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names and ids of mailboxes, one set per network namespace.
 */
#ifndef MBOX_NAMESPACE_H
#define MBOX_NAMESPACE_H

#include <linux/types.h>

struct mailbox;

int mbox_namespace_publish(struct mailbox *mb);
struct mailbox *mbox_namespace_find(const char *name, size_t len);
struct mailbox *mbox_namespace_find_id(u64 id);
struct mailbox *mbox_namespace_next(u64 id);
int mbox_namespace_unlink(const char *name, size_t len);
void mbox_namespace_forget(struct mailbox *mb);
void mbox_namespace_forget_id(struct mailbox *mb);

int mbox_namespace_init(void);
void mbox_namespace_exit(void);

#endif /* MBOX_NAMESPACE_H */
