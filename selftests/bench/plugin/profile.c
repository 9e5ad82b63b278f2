// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's emulator: counts the instructions of each function of the
 * guest's kernel, and those of user space together, while a program of the guest is
 * in a window.
 *
 * Arguments: symbols=FILE, a copy of the guest's /proc/kallsyms, complete when the
 * first window begins; begin=ADDRESS and end=ADDRESS, functions of the program, between
 * whose calls is counted; out=FILE, a line for each function: instructions, name.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

/**
 * struct symbol - a function of the guest's kernel
 * @start: address
 * @name: name
 * @insns: instructions in the window
 */
struct symbol {
	uint64_t start;
	char *name;
	uint64_t insns;
};

/**
 * struct block - instructions that are executed one after the other
 * @start: address of the first
 * @n: how many
 * @sym: what they belong to, NULL while unknown
 */
struct block {
	uint64_t start;
	uint32_t n;
	struct symbol *sym;
};

static const char *symbols_file = "";
static uint64_t begin, end;
static FILE *out;
static struct symbol *symbols;
static size_t nsymbols;
static struct symbol user = { .name = "(user space)" };
static bool watching;

static void die(const char *what)
{
	fprintf(stderr, "profile: %s\n", what);
	exit(2);
}

static int by_start(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int by_insns(const void *a, const void *b)
{
	const struct symbol *x = *(struct symbol *const *)a, *y = *(struct symbol *const *)b;

	return x->insns > y->insns ? -1 : x->insns < y->insns;
}

static void read_symbols(void)
{
	FILE *file = fopen(symbols_file, "r");
	char name[256], line[512], type;
	size_t room = 0;
	uint64_t start;

	if (!file)
		die("cannot read the symbols");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %255s", &start, &type, name) != 3 ||
		    !strchr("tTwW", type))
			continue;
		if (nsymbols == room) {
			room = room ? room * 2 : 65536;
			symbols = realloc(symbols, room * sizeof(*symbols));
			if (!symbols)
				die("no memory");
		}
		symbols[nsymbols++] = (struct symbol){ .start = start, .name = strdup(name) };
	}
	fclose(file);
	if (!nsymbols)
		die("no symbols");
	qsort(symbols, nsymbols, sizeof(*symbols), by_start);
}

static struct symbol *symbol_of(uint64_t address)
{
	size_t low = 0, high = nsymbols, middle;

	if (!(address >> 63) || address < symbols[0].start)
		return &user;
	while (high - low > 1) {
		middle = (low + high) / 2;
		if (symbols[middle].start <= address)
			low = middle;
		else
			high = middle;
	}
	return &symbols[low];
}

static void print_window(void)
{
	struct symbol **sorted = calloc(nsymbols + 1, sizeof(*sorted));
	size_t i, n = 0;

	if (!sorted)
		die("no memory");
	for (i = 0; i < nsymbols; i++)
		if (symbols[i].insns)
			sorted[n++] = &symbols[i];
	if (user.insns)
		sorted[n++] = &user;
	qsort(sorted, n, sizeof(*sorted), by_insns);
	for (i = 0; i < n; i++)
		fprintf(out, "%" PRIu64 " %s\n", sorted[i]->insns, sorted[i]->name);
	fflush(out);
	free(sorted);
}

static void executed(unsigned int cpu, void *arg)
{
	struct block *b = arg;

	if (!watching) {
		if (b->start != begin)
			return;
		if (!symbols)
			read_symbols();
		watching = true;
		return;
	}
	if (b->start == end) {
		watching = false;
		print_window();
		return;
	}
	if (!b->sym)
		b->sym = symbol_of(b->start);
	b->sym->insns += b->n;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		die("no memory");
	b->start = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
	b->n = qemu_plugin_tb_n_insns(tb);
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
		if (!strncmp(argv[i], "symbols=", 8))
			symbols_file = strdup(value);
		else if (!strncmp(argv[i], "begin=", 6))
			begin = strtoull(value, NULL, 16);
		else if (!strncmp(argv[i], "end=", 4))
			end = strtoull(value, NULL, 16);
		else if (!strncmp(argv[i], "out=", 4))
			out = fopen(value, "w");
		else
			return -1;
	}
	if (!begin || !end || !out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);

	return 0;
}
