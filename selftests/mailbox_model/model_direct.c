// SPDX-License-Identifier: GPL-2.0-only
#include "model_direct.h"

int side_of(int worker)
{
	return worker >= NWORKERS / 2;
}

/* From where a worker receives, and where it sends to. */
struct model *from_of(struct world *w, int worker)
{
	if (w->is_gone[worker])
		return &w->gone;
	return &w->queue[w->link ? side_of(worker) : 0];
}

static struct model *to_of(struct world *w, int worker)
{
	if (w->is_gone[worker])
		return &w->gone;
	return &w->queue[w->link ? !side_of(worker) : 0];
}

void world_init(struct world *w, bool link, const struct model *mailbox)
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
static void count_sides(struct world *w)
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
		/* One that has not opened the link yet counts as well. */
		w->queue[side].had_receivers = true;
		w->queue[!side].had_senders = true;
	}
}

/* Whoever has a handle of the last link keeps it, and what it is copying. */
static void new_link(struct world *w)
{
	struct model *gone = &w->gone, *queue;
	int i, side;

	for (i = 0; i < NWORKERS; i++) {
		if (w->queue[0].access[i] < 0)
			continue;
		w->gone.access[i] = w->queue[0].access[i];
		w->is_gone[i] = true;
	}
	for (side = 0; side < 2; side++) {
		queue = &w->queue[side];
		for (i = 0; i < queue->nheld; i++)
			INSERT(gone->held, gone->nheld, gone->nheld, queue->held[i]);
		model_init(&w->queue[side], w->gone.flags, w->gone.capacity, w->gone.msg_max,
			   w->gone.bug);
		w->queue[side].out = w->out;
		w->handles[side] = 0;
		w->there[side] = true;
	}
}

static void open_link(struct world *w, const struct step *s)
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

static void close_link(struct world *w, int worker)
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
	/* Nothing that is sent to it will be received, and nothing comes from it. */
	end_senders(&w->queue[side], -EPIPE);
	if (at_end(&w->queue[!side]))
		end_receivers(&w->queue[!side], -EPIPE);
	if (broken(&w->gone, CLOSED_SIDE_LOSES_MESSAGES))
		w->queue[side].nstored = 0;
}

static void link_step(struct world *w, const struct step *s)
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
	case RESTART:
	case STOP:
	case CONTINUE:
		model_step(w->sends[s->worker] ? to : from, s);
		break;
	case RELEASE:
		model_step(from, s);
		break;
	default:
		w->sends[s->worker] = sends(s);
		model_step(sends(s) ? to : from, s);
		break;
	}
}

/* Carries out @s; returns false for a step that means nothing now. */
bool world_step(struct world *w, const struct step *s)
{
	struct model *from = from_of(w, s->worker), *to = to_of(w, s->worker);
	int i;

	if (!model_takes(sends(s) ? to : from, s) ||
	    (w->link && s->worker && !side_of(s->worker)))
		return false;
	for (i = 0; i < NWORKERS; i++)
		w->out[i].now = false;
	if (w->out[s->worker].done && s->op != AGE)
		w->out[s->worker] = (struct outcome){ .call = *s };
	if (w->link)
		link_step(w, s);
	else
		model_step(from, s);
	return true;
}
