/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What steps are about: a mailbox, or a direct link, which has one for each
 * direction. Such a link joins worker 0 with the process of those that are
 * threads; the other worker that is a process has no part in it.
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

static inline int side_of(int worker)
{
	return worker >= NWORKERS / 2;
}

/* From where a worker receives, and where it sends to. */
static inline struct model *from_of(struct world *w, int worker)
{
	if (w->is_gone[worker])
		return &w->gone;
	return &w->queue[w->link ? side_of(worker) : 0];
}

static inline struct model *to_of(struct world *w, int worker)
{
	if (w->is_gone[worker])
		return &w->gone;
	return &w->queue[w->link ? !side_of(worker) : 0];
}

static inline void world_init(struct world *w, bool link, const struct model *mailbox)
{
	int i;

	memset(w, 0, sizeof(*w));
	w->link = link;
	for (i = 0; i < NWORKERS; i++)
		w->out[i].done = true;
	w->queue[0] = *mailbox;
	w->queue[0].out = w->out;
	w->queue[1] = w->queue[0];
	w->gone = w->queue[0];
	w->gone.dead = true;
}

/* A side that is there counts once, however many handles it has. */
static inline void count_sides(struct world *w)
{
	int side, n;

	for (side = 0; side < 2; side++) {
		n = w->there[side];
		if (broken(&w->gone, UNOPENED_SIDE_IS_GONE) && !w->handles[side])
			n = 0;
		if (broken(&w->gone, EACH_HANDLE_COUNTS))
			n = w->handles[side];
		w->queue[side].recv_handles = n;
		w->queue[!side].send_handles = n;
	}
}

/* Whoever has a handle of the last link keeps it. */
static inline void new_link(struct world *w)
{
	int i, side;

	for (i = 0; i < NWORKERS; i++) {
		if (w->queue[0].access[i] < 0)
			continue;
		w->gone.access[i] = w->queue[0].access[i];
		w->is_gone[i] = true;
	}
	for (side = 0; side < 2; side++) {
		model_init(&w->queue[side], w->gone.flags, w->gone.capacity, w->gone.msg_max,
			   w->gone.bug);
		w->queue[side].out = w->out;
		w->handles[side] = 0;
		w->there[side] = true;
	}
}

static inline void open_link(struct world *w, const struct step *s)
{
	int side = side_of(s->worker);

	if (w->queue[0].dead || !(w->handles[0] + w->handles[1]))
		new_link(w);
	w->handles[side]++;
	w->there[side] = true;
	count_sides(w);
	w->queue[0].access[s->worker] = s->number;
	w->queue[1].access[s->worker] = s->number;
	finish(&w->queue[0], s->worker, 0, NULL);
}

static inline void close_link(struct world *w, int worker)
{
	int side = side_of(worker);

	finish(&w->queue[0], worker, 0, NULL);
	if (w->is_gone[worker]) {
		w->gone.access[worker] = -1;
		w->is_gone[worker] = false;
		return;
	}
	w->queue[0].access[worker] = -1;
	w->queue[1].access[worker] = -1;
	end_owed(&w->queue[side], worker, -EPIPE);
	w->there[side] = --w->handles[side];
	count_sides(w);
	if (w->there[side])
		return;
	/* Nobody will receive what is sent to it, nor get anything from it. */
	end_senders(&w->queue[side], -EPIPE);
	end_receivers(&w->queue[!side], -EPIPE);
	if (broken(&w->gone, CLOSED_SIDE_LOSES_MESSAGES))
		w->queue[side].nstored = 0;
}

static inline void link_step(struct world *w, const struct step *s)
{
	struct model *from = from_of(w, s->worker), *to = to_of(w, s->worker);

	switch (s->op) {
	case OPEN:
		open_link(w, s);
		break;
	case CLOSE:
		close_link(w, s->worker);
		break;
	case CAPACITY:
	case DESTROY:
		model_step(from, s);
		model_step(to, s);
		break;
	case INTERRUPT:
		model_step(w->sends[s->worker] ? to : from, s);
		break;
	default:
		w->sends[s->worker] = sends(s);
		model_step(sends(s) ? to : from, s);
		break;
	}
}

/* Carries out @s; returns false for a step that means nothing now. */
static inline bool world_step(struct world *w, const struct step *s)
{
	struct model *from = from_of(w, s->worker), *to = to_of(w, s->worker);
	int i;

	if (!model_takes(sends(s) ? to : from, s) || (w->link && s->worker == 1))
		return false;
	for (i = 0; i < NWORKERS; i++)
		w->out[i].now = false;
	if (s->op != INTERRUPT)
		w->out[s->worker] = (struct outcome){ .done = false };
	if (w->link)
		link_step(w, s);
	else
		model_step(from, s);
	return true;
}

#endif /* SELFTESTS_MODEL_DIRECT_H */
