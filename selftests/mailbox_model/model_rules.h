/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each call does to the model of a mailbox.
 */
#ifndef SELFTESTS_MODEL_RULES_H
#define SELFTESTS_MODEL_RULES_H

#include "model_broadcast.h"

void take_files(struct model *m, const struct step *call, const struct message *msg);
void take_files_of_reply(struct model *m, const struct step *call, const struct message *reply);
bool peek(struct model *m, const struct step *call);
bool is_held(const struct model *m, int worker);
void admit(struct model *m, int most);
void end_owed(struct model *m, int server, long error);
long reply(struct model *m, const struct step *s);
void end_senders(struct model *m, long error);
void end_receivers(struct model *m, long error);
void give_up(struct model *m, int worker, long error);
void end_calls_of(struct model *m, int worker, long error);
bool never_has_a_chance(const struct model *m, const struct step *s);
bool model_takes(const struct model *m, const struct step *s);
void model_step(struct model *m, const struct step *s);
void model_stat(const struct model *m, struct mbox_stat *st);
struct handles count_handles(const struct model *m);

#endif /* SELFTESTS_MODEL_RULES_H */
