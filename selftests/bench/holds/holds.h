/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations on mailboxes in which there is much of something: messages, waiters
 * of one kind, handles, mappings. A plugin of QEMU's (../plugin/holds.c) counts for
 * how many instructions each of them keeps preemption off; report.py says what came
 * out. Each operation is announced in a line "op STATE|OPERATION", and is
 * executed, with all that it sets going, between window_begin() and window_end().
 *
 * For a guest with one CPU, as root.
 */
#ifndef MBOX_BENCH_HOLDS_H
#define MBOX_BENCH_HOLDS_H

#include <err.h>
#include <mbox.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#define NAME "holds"

/* How many of each. */
extern unsigned int nwaiters, nmessages, npeekers, nreaders, nmappings;

typedef void (*job_fn)(unsigned int i);

/**
 * struct state - a mailbox with much of something
 * @name: what there is
 * @prepare: makes it; s.mb is the mailbox then
 * @then: operations of this state only, or NULL
 * @only: no others
 * @job: what workers wait in, and do again before each operation if they had to
 *	leave
 * @empty: they wait for a message: there must be none
 */
struct state {
	const char *name;
	void (*prepare)(void);
	void (*then)(void);
	bool only;
	job_fn job;
	bool empty;
};

/**
 * struct current - the state that there is
 * @state: its description
 * @mb: the mailbox
 * @handles: more handles, or NULL
 * @nhandles: how many
 * @nworkers: workers that wait
 */
struct current {
	const struct state *state;
	struct mbox *mb;
	struct mbox **handles;
	unsigned int nhandles;
	unsigned int nworkers;
};

extern struct current s;

/* States end with one that has no name. */
extern const struct state message_states[], waiter_states[], caller_states[], peeker_states[],
	reader_states[], ring_states[], mailbox_states[];

/* window.c */
void quiet(void);
void begin(const char *operation);
void finish(void);
void show_symbols(void);

/* workers.c */
void start_workers(void);
void start_another(job_fn job);
void start_all(unsigned int n, job_fn job);
void signal_all(unsigned int n, int sig);
void await_workers(void);
void wait_again(void);

/* mailbox.c */
void must(long ret, const char *what);
uint32_t random_u32(void);
uint64_t soon(void);
void priority(int prio);
void urgent(bool on);
void become(uid_t uid);
struct mbox *make(uint32_t mode, uint32_t flags, uint32_t capacity, int oflags);
struct mbox *another(int oflags);
void open_handles(unsigned int n, int oflags);
long send_to(struct mbox *mb, uint32_t prio, uint64_t type, uint32_t flags, uint64_t deadline);
long recv_from(struct mbox *mb, uint64_t type, uint32_t skip, uint32_t flags, uint64_t deadline);
void fill(unsigned int n, bool prios, bool types);
void call_for(uint64_t ns);
void job_call(unsigned int i);
void job_poll(unsigned int i);

/* operations.c */
void small_operations(void);
void epoll_operations(void);
void every_operation(void);
void hang_up(void);

/* messages.c */
void prepare_deep(void);
void prepare_drop(void);

/* What a call comes to depends on the state, and does not matter. */
#define OPERATION(name, expression) \
	do { \
		begin(name); \
		expression; \
		finish(); \
	} while (0)

#endif /* MBOX_BENCH_HOLDS_H */
