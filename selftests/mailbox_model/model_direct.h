/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What steps are about: a mailbox, or a direct link, which has one for each
 * direction. Such a link joins worker 0 with the process of those that are
 * threads; the other workers that are processes have no part in it.
 */
#ifndef SELFTESTS_MODEL_DIRECT_H
#define SELFTESTS_MODEL_DIRECT_H

#include "model_rules.h"

/**
 * struct world - a mailbox or a link
 * @link: which
 * @queue: the mailbox, in the first; by side, what that side receives from
 * @gone: what handles have that are left of a destroyed link
 * @is_gone: by worker: its handle is such a one
 * @handles: by side: the others
 * @there: by side: it has a handle, or has not had one yet
 * @sends: by worker: its last step went to the other side
 * @out: by worker
 */
struct world {
	bool link;
	struct model queue[2];
	struct model gone;
	bool is_gone[NWORKERS];
	int handles[2];
	bool there[2];
	bool sends[NWORKERS];
	struct outcome out[NWORKERS];
};

int side_of(int worker);
struct model *from_of(struct world *w, int worker);
void world_init(struct world *w, bool link, const struct model *mailbox);
bool world_step(struct world *w, const struct step *s);

#endif /* SELFTESTS_MODEL_DIRECT_H */
