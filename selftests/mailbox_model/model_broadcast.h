/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is different in the model of a mailbox with MBOX_BROADCAST: each message
 * has a list of the workers whose handles are still to receive it.
 */
#ifndef SELFTESTS_MODEL_BROADCAST_H
#define SELFTESTS_MODEL_BROADCAST_H

#include "model.h"

bool unsupported(const struct model *m, const struct step *s);
void store_for_all(struct model *m, struct message msg);
void lose(struct model *m, int at);
bool recv_own(struct model *m, const struct step *call);
void join(struct model *m, int worker);
void leave(struct model *m, int worker);
int spare(const struct model *m, __u32 len);
void model_expel(struct model *m, const struct step *s);
void model_choose(struct model *m, const struct step *s);

#endif /* SELFTESTS_MODEL_BROADCAST_H */
