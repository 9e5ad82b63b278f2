// SPDX-License-Identifier: GPL-2.0-only
/*
 * A monitor: shared variables, a mutex that a process owns while it is inside, and
 * condition variables on which it waits inside until another process has changed the
 * variables. Here the variables are those of a bounded buffer.
 *
 * A signal has no memory, unlike a semaphore: if no process waits, it has no effect. So
 * a process looks at the variables, not at signals, and looks again when it has waited.
 */
#include <time.h>

#include "example.h"

#define SLOTS 3
#define ITEMS 60

static char lock[64], full[64], empty[64];
static struct {
	int slot[SLOTS];
	int in, out, count;
} *buffer;

struct monitor {
	struct mbox_mutex *mutex;
	struct mbox_cond *not_full, *not_empty;
};

/* Each process opens the objects itself: what it holds is then given back if it dies. */
static struct monitor open_monitor(int oflags)
{
	struct monitor m;

	m.mutex = TRY_NEW(mbox_mutex_open(lock, oflags, 0600));
	m.not_full = TRY_NEW(mbox_cond_open(full, oflags, 0600));
	m.not_empty = TRY_NEW(mbox_cond_open(empty, oflags, 0600));

	return m;
}

static void close_monitor(struct monitor *m)
{
	mbox_cond_close(m->not_empty);
	mbox_cond_close(m->not_full);
	mbox_mutex_close(m->mutex);
}

/* [insert] */
static void insert(struct monitor *m, int item)
{
	TRY(mbox_mutex_lock(m->mutex, NULL));
	while (buffer->count == SLOTS)
		TRY(mbox_cond_wait(m->not_full, m->mutex, NULL));
	buffer->slot[buffer->in] = item;
	buffer->in = (buffer->in + 1) % SLOTS;
	buffer->count++;
	TRY(mbox_cond_signal(m->not_empty));
	TRY(mbox_mutex_unlock(m->mutex));
}

/* [/insert] */
static int take_out(struct monitor *m)
{
	int item;

	TRY(mbox_mutex_lock(m->mutex, NULL));
	while (buffer->count == 0)
		TRY(mbox_cond_wait(m->not_empty, m->mutex, NULL));
	item = buffer->slot[buffer->out];
	buffer->out = (buffer->out + 1) % SLOTS;
	buffer->count--;
	TRY(mbox_cond_signal(m->not_full));
	TRY(mbox_mutex_unlock(m->mutex));

	return item;
}

static void produce(int number)
{
	struct monitor m = open_monitor(0);
	int i;

	for (i = 0; i < ITEMS; i++)
		insert(&m, number * ITEMS + i);
	close_monitor(&m);
}

static void signal_without_memory(struct monitor *m)
{
	struct timespec now;

	/* [memory] */
	TRY(mbox_cond_signal(m->not_empty));
	TRY(mbox_mutex_lock(m->mutex, NULL));
	TRY(clock_gettime(CLOCK_MONOTONIC, &now));
	if (mbox_cond_wait(m->not_empty, m->mutex, &now) < 0 && errno == ETIMEDOUT)
		say("the signal came before the wait: it is lost");
	TRY(mbox_mutex_unlock(m->mutex));
	/* [/memory] */
}

int main(void)
{
	int seen[2 * ITEMS] = { 0 };
	struct monitor m;
	int i, item;

	buffer = shared_memory(sizeof(*buffer));
	snprintf(lock, sizeof(lock), "monitor-%d", getpid());
	snprintf(full, sizeof(full), "not-full-%d", getpid());
	snprintf(empty, sizeof(empty), "not-empty-%d", getpid());
	m = open_monitor(O_CREAT | O_EXCL);
	signal_without_memory(&m);

	start(produce, 0);
	start(produce, 1);
	for (i = 0; i < 2 * ITEMS; i++) {
		item = take_out(&m);
		if (seen[item]++)
			say("item %d came twice", item);
	}
	join();
	say("%d items went through a buffer of %d slots, each once", i, SLOTS);

	close_monitor(&m);
	TRY(mbox_unlink(lock));
	TRY(mbox_unlink(full));
	TRY(mbox_unlink(empty));

	return 0;
}
