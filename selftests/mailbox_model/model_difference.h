/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequences that tell a model from one with a broken rule. Two models are compared, which
 * takes much less time than to compare one with the module.
 */
#ifndef SELFTESTS_MODEL_DIFFERENCE_H
#define SELFTESTS_MODEL_DIFFERENCE_H

#include "model_script.h"

bool find_difference(struct random *r, struct sequence *seq, int bug, unsigned long long *steps);

#endif /* SELFTESTS_MODEL_DIFFERENCE_H */
