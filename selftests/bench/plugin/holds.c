// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's emulator: counts the instructions of stretches with
 * preemption off that a module is responsible for. For a guest with one CPU.
 *
 * Arguments: symbols=FILE, a copy of the guest's /proc/kallsyms, complete when
 * the first window begins; module=NAME; begin=ADDRESS and end=ADDRESS, functions
 * of a program in the guest, between whose calls (a window) is counted;
 * out=FILE, one line for each window.
 *
 * A stretch begins when a function that takes a spin lock is entered while none
 * is held, and ends when the function that gives the last one back is entered. It
 * counts if a function of the module is on the stack. If the scheduler or its
 * timers took the first lock, it is listed apart. Instructions of interrupts and
 * exceptions are left out, and listed apart too.
 *
 * The stack is made up from the order of execution: an entry to a function is a
 * call (or a jump to another function, which does no harm), and a jump to an
 * address behind a call on the stack is a return. It is unknown, and begins anew,
 * where the guest switches between tasks.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

/* Bits of struct symbol.is. */
#define LOCK	  (1 << 0)
#define UNLOCK	  (1 << 1)
#define INTERRUPT (1 << 2)
#define RETURN	  (1 << 3)
#define SWITCH	  (1 << 4)
#define SYSCALL	  (1 << 5)
#define MODULE	  (1 << 6)
#define SCHEDULER (1 << 7)

/**
 * struct symbol - a function of the guest's kernel
 * @start: address
 * @name: name
 * @is: what it does, a set of LOCK and so on
 * @insns: instructions in the current stretch
 */
struct symbol {
	uint64_t start;
	char *name;
	unsigned int is;
	uint64_t insns;
};

/**
 * struct block - instructions that are executed one after the other
 * @start: address of the first
 * @end: address behind the last
 * @n: how many
 * @known: @sym and @entry are valid
 * @entry: @start is that of @sym
 * @sym: what they belong to
 */
struct block {
	uint64_t start;
	uint64_t end;
	uint32_t n;
	bool known;
	bool entry;
	struct symbol *sym;
};

/**
 * struct frame - a call that has not returned
 * @back: where it returns to
 * @caller: the calling function
 */
struct frame {
	uint64_t back;
	struct symbol *caller;
};

#define FRAMES 256
/* A return goes to one of so many. */
#define NEAR 32
#define TOP 3

/**
 * struct stretch - the longest of a kind in a window
 * @insns: how long
 * @holder: the function of the module that took the lock
 * @locker: the function that took the lock
 * @top: where most of it was spent
 * @share: instructions there
 * @all: number of stretches
 */
struct stretch {
	uint64_t insns;
	struct symbol *holder;
	struct symbol *locker;
	struct symbol *top[TOP];
	uint64_t share[TOP];
	uint64_t all;
};

/* What is not of the module: the first lock is taken by one of these. */
static const char *const scheduler[] = {
	"try_to_wake_up",
	"ttwu_",
	"__schedule",
	"schedule",
	"raw_spin_rq_lock",
	"task_rq_lock",
	"__task_rq_lock",
	"finish_task_switch",
	"sched_",
	"__sched_",
	"hrtimer_",
	"__hrtimer_",
	"lock_hrtimer_base",
	"lock_timer_base",
	"__mod_timer",
	"rt_mutex_setprio",
	"wake_up_new_task",
};

static const char *symbols_file = "", *module = "mbox";
static uint64_t begin, end;
static FILE *out;

static struct symbol *symbols;
static size_t nsymbols;
static struct symbol nowhere = { .name = "-" };

static bool watching;
static struct frame frames[FRAMES];
static unsigned int nframes;
static const struct block *last;
static unsigned int depth, interrupts;
static uint64_t insns, in_interrupts, this_interrupt, longest_interrupt;
static enum { NONE, OTHER, HOLD, SCHED } kind;
static uint64_t length;
static struct symbol *holder, *locker;
static struct symbol **touched;
static size_t ntouched;
static struct stretch longest[2];

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

static unsigned int what_is(const char *name, const char *of)
{
	unsigned int is = 0;
	size_t i;

	if (*of) {
		if (begins(of + 1, module) && of[1 + strlen(module)] == ']')
			is |= MODULE;
		return is;
	}
	if (begins(name, "_raw_") && !strstr(name, "rcu")) {
		if (strstr(name, "unlock"))
			is |= UNLOCK;
		else if (strstr(name, "lock"))
			is |= LOCK;
	}
	if (begins(name, "asm_exc_") || begins(name, "asm_sysvec_") ||
	    begins(name, "asm_common_interrupt"))
		is |= INTERRUPT;
	if (!strcmp(name, "native_irq_return_iret"))
		is |= RETURN;
	if (!strcmp(name, "__switch_to_asm"))
		is |= SWITCH;
	if (!strcmp(name, "entry_SYSCALL_64"))
		is |= SYSCALL;
	for (i = 0; i < sizeof(scheduler) / sizeof(scheduler[0]); i++)
		if (begins(name, scheduler[i]))
			is |= SCHEDULER;
	return is;
}

static int by_start(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void die(const char *what)
{
	fprintf(stderr, "holds: %s\n", what);
	exit(2);
}

static void read_symbols(void)
{
	char name[256], of[128], line[512], type;
	FILE *file = fopen(symbols_file, "r");
	size_t room = 0, i, n = 0;
	uint64_t start;
	int got;

	if (!file)
		die("cannot read the symbols");
	while (fgets(line, sizeof(line), file)) {
		of[0] = '\0';
		got = sscanf(line, "%" SCNx64 " %c %255s %127s", &start, &type, name, of);
		if (got < 3 || !strchr("tTwW", type))
			continue;
		if (nsymbols == room) {
			room = room ? room * 2 : 65536;
			symbols = realloc(symbols, room * sizeof(*symbols));
			if (!symbols)
				die("no memory");
		}
		symbols[nsymbols++] = (struct symbol){
			.start = start,
			.name = strdup(name),
			.is = what_is(name, of),
		};
	}
	fclose(file);
	if (!nsymbols)
		die("no symbols");
	qsort(symbols, nsymbols, sizeof(*symbols), by_start);
	/* One for each address, which is all that its names say. */
	for (i = 1; i < nsymbols; i++) {
		if (symbols[i].start == symbols[n].start)
			symbols[n].is |= symbols[i].is;
		else
			symbols[++n] = symbols[i];
	}
	nsymbols = n + 1;
	touched = calloc(nsymbols + 1, sizeof(struct symbol *));
	if (!touched)
		die("no memory");
}

static void find_symbol(struct block *b)
{
	size_t low = 0, high = nsymbols, middle;

	b->known = true;
	b->sym = &nowhere;
	while (high - low > 1) {
		middle = (low + high) / 2;
		if (symbols[middle].start <= b->start)
			low = middle;
		else
			high = middle;
	}
	/* Not user space. */
	if (b->start >> 63 && symbols[low].start <= b->start) {
		b->sym = &symbols[low];
		b->entry = symbols[low].start == b->start;
	}
}

/* ---- the stack ----------------------------------------------------------- */

static void follow(const struct block *b)
{
	unsigned int i;

	if (b->start == last->end)
		return;
	for (i = 1; i <= nframes && i <= NEAR; i++) {
		if (frames[nframes - i].back == b->start) {
			nframes -= i;
			return;
		}
	}
	if (!b->entry)
		return;
	if (nframes == FRAMES)
		nframes = 0;
	frames[nframes++] = (struct frame){ .back = last->end, .caller = last->sym };
}

/* The innermost function of the module. */
static struct symbol *innermost(void)
{
	unsigned int i;

	if (last->sym->is & MODULE)
		return last->sym;
	for (i = nframes; i > 0; i--)
		if (frames[i - 1].caller->is & MODULE)
			return frames[i - 1].caller;
	return NULL;
}

/* ---- stretches ----------------------------------------------------------- */

static void begin_stretch(void)
{
	holder = innermost();
	locker = last->sym;
	length = 0;
	if (!holder)
		kind = OTHER;
	else if (locker->is & SCHEDULER)
		kind = SCHED;
	else
		kind = HOLD;
}

static void note_top(struct stretch *s)
{
	size_t i, j, best;

	for (i = 0; i < TOP; i++) {
		best = ntouched;
		for (j = 0; j < ntouched; j++)
			if (touched[j]->insns &&
			    (best == ntouched || touched[j]->insns > touched[best]->insns))
				best = j;
		s->top[i] = best == ntouched ? NULL : touched[best];
		s->share[i] = best == ntouched ? 0 : touched[best]->insns;
		if (best != ntouched)
			touched[best]->insns = 0;
	}
}

static void end_stretch(void)
{
	struct stretch *s = &longest[kind == SCHED];

	if (kind == HOLD || kind == SCHED) {
		s->all++;
		if (length > s->insns) {
			s->insns = length;
			s->holder = holder;
			s->locker = locker;
			note_top(s);
		}
	}
	while (ntouched)
		touched[--ntouched]->insns = 0;
	kind = NONE;
}

static void count(const struct block *b)
{
	insns += b->n;
	if (interrupts) {
		in_interrupts += b->n;
		this_interrupt += b->n;
		if (this_interrupt > longest_interrupt)
			longest_interrupt = this_interrupt;
		return;
	}
	if (kind != HOLD && kind != SCHED)
		return;
	length += b->n;
	if (!b->sym->insns)
		touched[ntouched++] = b->sym;
	b->sym->insns += b->n;
}

static void event(const struct block *b)
{
	unsigned int is = b->sym->is;

	if (is & INTERRUPT) {
		if (!interrupts++)
			this_interrupt = 0;
	} else if (is & SWITCH) {
		/* The interrupt, if any, goes on when its task does. */
		interrupts = 0;
		nframes = 0;
	} else if (is & SYSCALL) {
		interrupts = 0;
		depth = 0;
		kind = NONE;
		nframes = 0;
	} else if (interrupts) {
		return;
	} else if (is & LOCK) {
		if (!depth++)
			begin_stretch();
	} else if (is & UNLOCK) {
		if (depth && !--depth)
			end_stretch();
	}
}

/* ---- windows ------------------------------------------------------------- */

static void open_window(void)
{
	if (!symbols)
		read_symbols();
	memset(longest, 0, sizeof(longest));
	insns = 0;
	in_interrupts = 0;
	longest_interrupt = 0;
	interrupts = 0;
	depth = 0;
	kind = NONE;
	nframes = 0;
	last = NULL;
	watching = true;
}

static void print_stretch(const struct stretch *s)
{
	int i;

	fprintf(out, " %" PRIu64 " %" PRIu64 " %s %s", s->all, s->insns,
		s->holder ? s->holder->name : "-", s->locker ? s->locker->name : "-");
	for (i = 0; i < TOP; i++)
		fprintf(out, "%c%s:%" PRIu64, i ? ',' : ' ', s->top[i] ? s->top[i]->name : "-",
			s->share[i]);
}

static void close_window(void)
{
	watching = false;
	fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64, insns, in_interrupts, longest_interrupt);
	print_stretch(&longest[0]);
	print_stretch(&longest[1]);
	fprintf(out, "\n");
	fflush(out);
}

static void executed(unsigned int cpu, void *arg)
{
	struct block *b = arg;

	if (!watching) {
		if (b->start == begin)
			open_window();
		return;
	}
	if (b->start == end) {
		close_window();
		return;
	}
	if (!b->known)
		find_symbol(b);
	if (!interrupts && last)
		follow(b);
	if (b->entry && b->sym->is && last)
		event(b);
	count(b);
	/* Behind it, what was interrupted goes on. */
	if (!interrupts)
		last = b;
	else if (b->sym->is & RETURN)
		interrupts--;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, 0);
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		die("no memory");
	b->start = qemu_plugin_insn_vaddr(insn);
	insn = qemu_plugin_tb_get_insn(tb, n - 1);
	b->end = qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn);
	b->n = n;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, b);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	const char *value;
	int i;

	for (i = 0; i < argc; i++) {
		value = strchr(argv[i], '=');
		if (!value++)
			return -1;
		if (begins(argv[i], "symbols="))
			symbols_file = strdup(value);
		else if (begins(argv[i], "module="))
			module = strdup(value);
		else if (begins(argv[i], "begin="))
			begin = strtoull(value, NULL, 16);
		else if (begins(argv[i], "end="))
			end = strtoull(value, NULL, 16);
		else if (begins(argv[i], "out="))
			out = fopen(value, "w");
		else
			return -1;
	}
	if (!begin || !end || !out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);

	return 0;
}
