// SPDX-License-Identifier: GPL-2.0-only
#define WITHOUT_HARNESS

#include "model_difference.h"

/* What the executor compares with the module, of a message that was received or a reply. */
static bool same_message(const struct outcome *a, const struct outcome *b)
{
	const struct message *msg = &a->msg, *other = &b->msg;

	return msg->id == other->id && msg->len == other->len && msg->prio == other->prio &&
	       msg->type == other->type && msg->deliveries == other->deliveries &&
	       a->token == b->token && a->lost == b->lost && a->files == b->files &&
	       a->no_files == b->no_files;
}

/* And of a call. */
static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
	if (a->done != b->done || a->now != b->now)
		return false;
	if (!a->done || !a->now)
		return true;
	return a->ret == b->ret && a->replied == b->replied && a->restarted == b->restarted &&
	       a->fetched == b->fetched && a->end_of == b->end_of &&
	       (a->ret < 0 || same_message(a, b));
}

static bool same_letters(const struct letters *a, const struct letters *b)
{
	int i;

	if (a->n != b->n || a->sent != b->sent || a->dropped != b->dropped ||
	    a->highest != b->highest)
		return false;
	for (i = 0; i < a->n; i++)
		if (a->list[i].id != b->list[i].id)
			return false;
	return true;
}

/* And of a mailbox. */
static bool same_mailbox(const struct model *a, const struct model *b)
{
	struct handles handles = count_handles(a), others = count_handles(b);
	struct mbox_stat st = { 0 }, other = { 0 };

	if (!same_letters(&a->letters, &b->letters) || handles.send != others.send ||
	    handles.recv != others.recv || a->dead != b->dead)
		return false;
	if (a->dead)
		return true;
	model_stat(a, &st);
	model_stat(b, &other);
	return !memcmp(&st, &other, sizeof(st));
}

/* Of a link, each side is seen by those who receive from it. */
static bool same_sides(struct world *a, struct world *b)
{
	const struct model *from;
	int i;

	for (i = 0; i < NWORKERS; i++) {
		from = from_of(a, i);
		if (from->access[i] >= 0 && !same_mailbox(from, from_of(b, i)))
			return false;
	}
	return true;
}

static bool same_world(struct world *a, struct world *b)
{
	int i;

	for (i = 0; i < NWORKERS; i++)
		if (!same_outcome(&a->out[i], &b->out[i]))
			return false;
	return a->link ? same_sides(a, b) : same_mailbox(&a->queue[0], &b->queue[0]);
}

/*
 * Makes up a sequence for the mailbox of @seq, and adds its steps to @steps. Returns whether it
 * seems to show that rule @bug is broken. What differs first may be what the executor does
 * not look at, so the sequence goes on after that.
 */
bool find_difference(struct random *r, struct sequence *seq, int bug, unsigned long long *steps)
{
	struct world right, wrong;
	bool differs = false;

	world_of(seq, 0, &right);
	world_of(seq, bug, &wrong);
	for (seq->n = 0; seq->n < SEQUENCE_MAX; seq->n++) {
		struct step *s = &seq->step[seq->n];

		*s = random_step(r, &wrong, seq, seq->n);
		if (!world_step(&wrong, s))
			continue;
		++*steps;
		if (!differs)
			differs = !world_step(&right, s) || !same_world(&wrong, &right);
	}
	return differs;
}
