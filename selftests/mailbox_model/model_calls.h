/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that were started, and what a caller learns of its request, waiting or not.
 */
#ifndef SELFTESTS_MODEL_CALLS_H
#define SELFTESTS_MODEL_CALLS_H

#include "model.h"

long would_wait(const struct step *s);
bool has_caller(const struct model *m, const struct message *msg);
void end_call(struct model *m, const struct message *msg, long ret, const struct message *reply);
void begin_call(struct model *m, struct message *msg, int worker);
void expire_call(struct model *m, int id);
int timed_worker(const struct model *m);
void pass_deadlines(struct model *m);
void cancel_all(struct model *m, int worker);
void model_cancel(struct model *m, const struct step *s);
void model_fetch(struct model *m, const struct step *s);

#endif /* SELFTESTS_MODEL_CALLS_H */
