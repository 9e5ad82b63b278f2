/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dead letters: messages that came back too often go to another mailbox.
 */
#ifndef MBX_DEAD_LETTER_H
#define MBX_DEAD_LETTER_H

struct mailbox;
struct mbox_attr;
struct mbox_options;
struct mbx_message;

int mbx_dead_letter_check(const struct mbox_attr *attr, const struct mbox_options *options);
int mbx_dead_letter_attach(struct mailbox *mb, const struct mbox_attr *attr,
			   const struct mbox_options *options);
void mbx_dead_letter_detach(struct mailbox *mb);
void mbx_bury(struct mailbox *mb, struct mbx_message *msg);

#endif /* MBX_DEAD_LETTER_H */
