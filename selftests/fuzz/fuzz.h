/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer: programs of operations on mailboxes, run by several processes
 * and threads at once (workers), and what is checked around them.
 *
 *   input.c	bytes <-> programs: parse, generate, mutate, show
 *   corpus.c	programs that are kept, and why
 *   cover.c	which places of the module were reached (KCOV)
 *   module.c	loading and unloading the module, its parameters
 *   memory.c	buffers, good and bad
 *   worker.c	the processes and threads that run programs
 *   sync.c	futexes and locks
 *   ops_*.c	the operations
 *   scene.c	mailboxes of one operation, and threads for many calls
 *   check.c	what has to be true when a program has ended
 *   run.c	one program from beginning to end, as the main process sees it
 *   tracing.c	the tracepoints
 *   log.c	what is to survive the guest
 *   loop.c	which programs are run, figures
 *   main.c	options, jobs
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <linux/mbox.h>

#define DEVICE		"/dev/mbox"
#define MAX_OPS		48
/* Workers 0 and 1 are threads of one process; the last has a time namespace. */
#define WORKERS		4
#define PROCS		3
/* Descriptors that a process plays with. */
#define SLOTS		16
#define NSEC		1000000000LL

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define LLU(x)		((unsigned long long)(x))

/* ---- programs (input.c) ------------------------------------------------- */

/*
 * One operation; a program's file is one byte of flags and these, 12 bytes
 * each. What the arguments mean is up to the operation.
 */
struct op {
	uint8_t code;
	uint8_t worker;
	uint8_t a[8];
	/* How the argument of an ioctl is spoilt. */
	uint8_t tweak;
	uint8_t tweak_arg;
};

/* Operations begin in the order of the program, even if they wait. */
#define PROGRAM_STAGGERED	1

struct program {
	uint8_t flags;
	unsigned int n;
	struct op ops[MAX_OPS];
};

#define PROGRAM_BYTES_MAX	(1 + MAX_OPS * sizeof(struct op))

uint64_t random64(void);
void random_seed(uint64_t seed);
/* From 0 to n - 1. */
uint32_t below(uint32_t n);

size_t program_to_bytes(const struct program *p, uint8_t *bytes);
bool program_from_bytes(struct program *p, const uint8_t *bytes, size_t len);
bool program_from_file(struct program *p, const char *path);
uint64_t program_hash(const struct program *p);
void program_generate(struct program *p);
void program_mutate(struct program *p, const struct program *other);
void program_remove(struct program *p, unsigned int i);
void program_show(const struct program *p, FILE *out);
bool program_has(const struct program *p, const char *name);

/* Numbers that tend to be at an edge; small ones, mostly. */
uint32_t pick32(uint8_t b);
uint64_t pick64(uint8_t b);
uint32_t pick_len(uint8_t b);
/* An absolute time for struct mbox_msg. */
uint64_t pick_deadline(uint8_t b, bool real);
uint32_t pick_prio(uint8_t b);
uint64_t pick_type(uint8_t b);

/* ---- shared between the processes --------------------------------------- */

struct worker_shared {
	/* Futex: the number of the program that the worker is to run. */
	uint32_t go;
	/* What the worker is at; for the watchdog. */
	uint32_t at;
	pid_t pid;
	pid_t tid;
	uint64_t calls;
	uint64_t ioctls;
};

/* A request that receivers can tell from others. */
struct request {
	/* As its receiver got it; 0: none has. */
	uint64_t token;
	uint32_t received;
	/* When its call had ended, by shared->events; 0: it has not. */
	uint32_t ended;
	/* The call had a ticket, so that nothing is to be sent. */
	bool refused;
};

struct shared {
	struct program program;
	/* An operation may pass arguments that no check can foresee. */
	bool wild;
	/* What has to be undone afterwards; each costs system calls. */
	bool has_setuid;
	bool has_setns;
	bool has_nice;
	bool has_memory;
	/* The module's parameters are not what they were. */
	bool has_params;
	uint32_t workers;
	/* Futexes: workers that have not ended; processes whose workers have. */
	uint32_t running;
	uint32_t arrived;
	/* A lock: one process receives what is left. */
	uint32_t checking;
	/* Staggered programs: a futex, and where every operation is. */
	uint32_t progress;
	uint32_t progress_waiters;
	uint8_t state[MAX_OPS];
	uint64_t began[MAX_OPS];
	/* Ids of mailboxes that the program made. */
	uint64_t ids[8];
	uint32_t nids;
	/* Of requests that were received last. */
	uint64_t tokens[8];
	uint32_t ntokens;
	/* Bit n % 64: some reply to a token that falls here had n bytes. */
	uint64_t lengths[64];
	struct request requests[64];
	uint32_t nrequests;
	uint32_t events;
	/* Numbers that calls had when they were interrupted. */
	uint64_t tickets[8];
	uint32_t ntickets;
	/* Calls that were started last, and calls that are over by their tokens. */
	uint64_t started[16];
	uint32_t nstarted;
	uint64_t over[1024];
	/* Calls that have begun and not ended, even if no thread waits for them. */
	uint32_t calls_away;
	/* Held by the worker that changes the limits of one user. */
	uint32_t quota;
	/* The first thing that was wrong. */
	uint32_t broken;
	char why[400];
	struct worker_shared worker[WORKERS];
};

extern struct shared *shared;

/* Something is wrong with the module; the first to say so is heard. */
void __attribute__((format(printf, 1, 2))) broken(const char *format, ...);
/* Something is wrong with the fuzzer or its surroundings. */
void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format,
							 ...);

/* Memory that processes made from now on share. */
void *share(size_t size);
/* For a short time. */
void lock(uint32_t *word);
void unlock(uint32_t *word);
void futex_wait(uint32_t *word, uint32_t value, long nsec);
void futex_wake(uint32_t *word);
uint64_t now_ns(clockid_t clock);

/* ---- a worker (worker.c) ---------------------------------------------------- */

#define WORKER_CHILDREN	4
/* Threads beside a worker, each of them for one call. */
#define CROWD_MAX	20

struct member {
	pthread_t thread;
	int fd;
	unsigned int cmd;
	/* Real user, 0 as the worker has; and whether it is without privileges. */
	uint32_t uid;
	bool poor;
	struct mbox_msg m;
	long ret;
	uint8_t room[64];
};

struct process {
	unsigned int index;
	unsigned int first_worker;
	unsigned int nworkers;
	/* Workers that are through with the program. */
	unsigned int ended;
	int slots[SLOTS];
	/* Descriptors from this one on are the program's. */
	int base;
	int device;
	int epoll;
	int null;
	/* A pidfd of a process that has exited. */
	int gone;
	struct uring *uring;
};

struct worker {
	unsigned int index;
	struct process *proc;
	struct worker_shared *shared;
	/* The operation that is carried out, for messages. */
	unsigned int at;
	bool child;
	/* Which allocation or copy of the next operation is to fail. */
	unsigned int fail_nth;
	bool failing;
	/* Back from a signal that came of such a failure. */
	sigjmp_buf jump;
	int fail_fd;
	/* The file above is open. */
	bool ready;
	timer_t timer;
	timer_t nudge;
	/* A call is under way on that descriptor; see ops_call.c. */
	bool calling;
	int call_fd;
	unsigned int how_call;
	sigjmp_buf away;
	/* What a call gave that a handler made in its place. */
	long inside;
	uint64_t ticket;
	/* Calls that this thread has left behind in the kernel. */
	unsigned int left;
	struct member crowd[CROWD_MAX];
	unsigned int ncrowd;
	pid_t children[WORKER_CHILDREN];
	bool patient[WORKER_CHILDREN];
	unsigned int nchildren;
	/* Memory: see memory.c. */
	uint8_t *recv;
	uint8_t *arg;
	uint8_t *arg_shared;
	uint8_t *arg_readonly;
};

/* Of the process that we are in. */
extern struct process process;
extern int net_ns[2];
extern int inbox_tx[PROCS];
extern int inbox_rx[PROCS];

unsigned int worker_process(unsigned int worker);
void processes_start(void);
void processes_stop(void);
bool processes_alive(void);
/* Run operations @from to @to of the program, those of this worker. */
void worker_run_ops(struct worker *l, unsigned int from, unsigned int to);
void worker_become_child(struct worker *l);
/* The signal that ends calls that wait. */
void worker_tick(struct worker *l, bool on);
/* One that does not, soon. */
void nudge(struct worker *l, uint8_t when);

/* The descriptor of a slot, or of another one; -1 when there is none. */
int slot_fd(uint8_t b);
/* Give a new descriptor a place; what was there is closed. */
void slot_put(uint8_t b, int fd);
int slot_take(uint8_t b);

/* ---- operations (ops_*.c) ----------------------------------------------- */

struct operation {
	const char *name;
	/* Returns what the call returned, or -errno. */
	long (*run)(struct worker *l, const struct op *op);
	/* How often it is generated. */
	unsigned int weight;
	/* It takes much time, so it is generated less often still. */
	bool costly;
	/* It may fail by injection: all that it does is a mailbox's business. */
	bool may_fail;
	/* It opens files of another kind: their numbers can be mistaken. */
	bool opens;
};

extern const struct operation operations[];
extern const unsigned int noperations;
/* For FORK: how many of the following operations are the child's. */
unsigned int fork_ops(const struct op *op);
const struct operation *operation_of(const struct op *op);

#define OPERATION(name) long op_##name(struct worker *l, const struct op *op)
OPERATION(create);
OPERATION(open);
OPERATION(open_id);
OPERATION(unlink);
OPERATION(walk);
OPERATION(info);
OPERATION(send);
OPERATION(recv);
OPERATION(sendv);
OPERATION(recvv);
OPERATION(stat);
OPERATION(set_capacity);
OPERATION(expel);
OPERATION(set_reader);
OPERATION(destroy);
OPERATION(raw);
OPERATION(read);
OPERATION(write);
OPERATION(poll);
OPERATION(epoll);
OPERATION(dup);
OPERATION(close);
OPERATION(fcntl);
OPERATION(pass);
OPERATION(take);
OPERATION(misc);
OPERATION(fdinfo);
OPERATION(fork);
OPERATION(kill);
OPERATION(alarm);
OPERATION(setuid);
OPERATION(setns);
OPERATION(nice);
OPERATION(sleep);
OPERATION(fail);
OPERATION(trace);
OPERATION(param);
OPERATION(memory);
OPERATION(uring);
OPERATION(call);
OPERATION(reply);
OPERATION(reply_recv);
OPERATION(notify);
OPERATION(direct);
OPERATION(recall);
OPERATION(nudge);
OPERATION(fill);
OPERATION(crowd);
OPERATION(press);
OPERATION(narrow);
OPERATION(deep);
OPERATION(quota);
OPERATION(poor);
OPERATION(pidfd);
OPERATION(fs_open);
OPERATION(fs_name);
OPERATION(fs_attr);
OPERATION(fs_dir);
OPERATION(fs_mount);
OPERATION(call_start);
OPERATION(call_wait);
OPERATION(call_cancel);
OPERATION(callmsg);
OPERATION(replymsg);
OPERATION(lease);
OPERATION(unlease);
OPERATION(give);
OPERATION(get);

/* Undo what the operations above did to the worker's task. */
void ops_process_reset(struct worker *l);
/* The children of the worker end. */
void ops_process_reap(struct worker *l);

/* The mounts that the operations on the file system work in, and what they add to them. */
void fs_init_process(void);
void fs_reset_process(void);

/* The names that programs use: their bytes, and how many. */
#define NAMES		7
size_t pool_name(unsigned int i, char *name);

/* Carry out an ioctl, spoilt as the operation says. */
long do_ioctl(struct worker *l, const struct op *op, int fd, unsigned int cmd,
	      void *arg, size_t size);
bool op_is_wild(const struct op *op);

/* Returns whether what is received can be looked at. */
bool fill_recv(struct worker *l, const struct op *op, struct mbox_msg *m);
void check_payload(const void *at, size_t room, size_t len);
bool matches(uint32_t flags, uint64_t asked, uint64_t type);
void *make_vec(struct worker *l, const struct mbox_msg *m, unsigned int n,
	       uint32_t size);

/* What a call does when a handler with SA_RESTART runs: it does not come back. */
#define CALL_LEAVE	1
/* Or another one goes on with it. */
#define CALL_INSIDE	2
/* Or it takes its time. */
#define CALL_PAUSE	16
#define CALL_LEFT	(-100000L)
void call_begins(void);
void call_ended(void);
void call_interrupted(struct worker *l);
/* When a receive begins, and what it got. */
uint32_t request_receive_begins(void);
void request_received(const struct mbox_msg *m, uint32_t began);
/* A token that a server has, and that a reply of that length is made to it. */
uint64_t pick_token(uint8_t b);
void reply_length(uint64_t token, unsigned int len);
void request_leased(const struct mbox_msg *m);

/* ---- scenes (scene.c) --------------------------------------------------- */

/* Returns the new thread, or NULL when there are too many. */
struct member *crowd_add(struct worker *l, const struct member *m);
void crowd_join(struct worker *l);
/* Whether it can be known what happens in a mailbox of one operation. */
bool scene_begins(struct worker *l);
int scene_mailbox(struct worker *l, uint32_t flags, uint32_t capacity,
		  uint32_t msg_max);
struct mbox_stat scene_state(int fd);
/* Nothing but the envelope, at once: the length, or an error. */
long scene_receive(int fd, struct mbox_msg *m, uint32_t flags, uint32_t skip);
uint64_t scene_deadline(unsigned int ms);
/* Users of scenes, and of nothing else. */
uint32_t scene_user(unsigned int i);

/* ---- memory (memory.c) -------------------------------------------------- */

#define PAGE		4096UL
#define RECV_SIZE	(256UL << 10)

void memory_init_process(void);
void memory_init_worker(struct worker *l);
void memory_become_child(struct worker *l);
void memory_renew(void);
void memory_shake(uint8_t how);
/* Where to send @len bytes from: byte i there is (len + i) & 255. */
void *memory_source(struct worker *l, uint8_t kind, size_t len);
/* Where to receive to; *@sure: the content can be looked at afterwards. */
void *memory_target(struct worker *l, uint8_t kind, size_t room, bool *sure);
/* Whether @have bytes at @data are the beginning of a message of @len. */
bool memory_is_message(const void *data, size_t have, size_t len);
void *memory_hole(void);

/* ---- io_uring (uring.c) ------------------------------------------------- */

struct uring *uring_new(void);
/* Nothing of ours is under way any more. */
void uring_settle(struct uring *u);

/* ---- checks (check.c) --------------------------------------------------- */

/* No other call may see errors like these: @strict, or those of an ioctl. */
void check_errno(long ret, bool strict);
void check_process(struct process *p);
/* In the main process: no mailbox is left in the network namespace. */
void check_nothing_left(void);
/* The accounts of unprivileged users are balanced. */
void check_limits(void);
void check_log_open(void);
void check_log(void);

/* ---- coverage (cover.c) ------------------------------------------------- */

#define MAX_SITES	4096
#define MAX_EDGES	65536

struct cover {
	uint64_t sites[MAX_SITES / 64];
};

/* Areas: one for each worker, one for its children, one for the main process. */
#define COVER_CHILD	WORKERS
#define COVER_MAIN	(2 * WORKERS)
#define COVER_AREAS	(2 * WORKERS + 1)

bool cover_init(void);
bool cover_available(void);
void cover_find_module(void);
void cover_enable(unsigned int area);
void cover_disable(unsigned int area);
void cover_reset(void);
/* Add what was reached since the reset; returns how many edges are new. */
unsigned int cover_collect(struct cover *c);
unsigned int cover_count(const struct cover *c);
/* How many in @c are not in @known; they are put into @fresh. */
unsigned int cover_new(const struct cover *c, const struct cover *known,
		       struct cover *fresh);
bool cover_contains(const struct cover *c, const struct cover *part);
void cover_add(struct cover *to, const struct cover *c);
void cover_write(const struct cover *c);

/* ---- corpus (corpus.c) -------------------------------------------------- */

struct entry {
	struct program program;
	struct cover cover;
};

void corpus_init(void);
unsigned int corpus_size(void);
void corpus_add(const struct program *p, const struct cover *c);
void corpus_pick(struct program *p);
/* What of @c was not reached before: now it is. */
unsigned int corpus_claim(const struct cover *c, struct cover *fresh);
const struct cover *corpus_reached(void);
/* The files of a folder, or a file: calls @fn for each. */
void corpus_load(const char *path,
		 void (*fn)(const char *path, const struct program *p));
/* Few entries that reach what all of them reach; writes them to the log. */
void corpus_distill(void);

/* ---- the module (module.c) ---------------------------------------------- */

extern const char *module_file;

void module_load(void);
void module_unload(void);
/* Wait until nothing uses the module. */
void module_settle(void);
void module_params_init(void);
void module_params_reset(void);
void module_param_set(unsigned int which, uint8_t value);
void module_set_user_bytes(unsigned long bytes);
bool program_has_params(const struct program *p);
unsigned long module_param_get(unsigned int which);
bool write_file(const char *path, const char *text);

/* ---- tracepoints (tracing.c) -------------------------------------------- */

void tracing_init(void);
/* Before the first job begins. */
void tracing_begin(void);
/* Before the first job runs its @program-th program. */
void tracing_step(uint64_t program);
void tracing_end(void);

/* ---- the log (log.c) ---------------------------------------------------- */

/*
 * Lines: "P job hex" a program that is about to run, "K hex" one that is kept,
 * "D hex" one of the distilled corpus, "F hex" one that failed and "E text" why,
 * "W hex" one that a process did not survive, "C section offset" a place that was
 * reached.
 */
void log_to_port(void);
void __attribute__((format(printf, 1, 2))) log_line(const char *format, ...);
void log_program(const char *what, const struct program *p);

/* ---- running (run.c) ---------------------------------------------------- */

/* Run a program; what it reached goes to @c. Ends the fuzzer on a failure. */
unsigned int run_program(const struct program *p, struct cover *c);
void run_end(void);

/* What is common to all jobs: processes like this one, each with its workers. */
struct jobs {
	uint32_t log_lock;
	/* Held by the worker that changes the module's parameters. */
	uint32_t param_lock;
	uint32_t failed;
	uint64_t programs;
	uint64_t calls;
	uint64_t ioctls;
	uint64_t checks;
	uint64_t lost;
};

extern struct jobs *jobs;
/* Which of them we are. */
extern unsigned int job;
/* Users without privileges, of this job. */
uint32_t job_user(uint8_t b);

/* ---- main.c, loop.c ----------------------------------------------------- */

extern struct options {
	double minutes;
	uint64_t end_ns;
	uint64_t programs;
	uint64_t seed;
	unsigned int jobs;
	unsigned int times;
	bool blind;
	bool steady;
	bool distill;
	bool port;
	const char *seeds[8];
	unsigned int nseeds;
	const char *replays[64];
	unsigned int nreplays;
} options;

void __attribute__((noreturn)) job_main(unsigned int number);

#endif /* FUZZ_H */
