// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs as bytes: read, made up, changed, shown.
 */
#include <fcntl.h>

#include "fuzz.h"

/* ---- random numbers (splitmix64) ---------------------------------------- */

static uint64_t random_state;

void random_seed(uint64_t seed)
{
	random_state = seed;
}

uint64_t random64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint32_t below(uint32_t n)
{
	return (random64() >> 32) * n >> 32;
}

/* ---- arguments ---------------------------------------------------------- */

static const uint64_t edges[] = {
	0, 1, 2, 3, 4, 7, 8, 16, 63, 64, 127, 128, 255, 256, 1023, 1024, 1025,
	4095, 4096, 32767, 32768, 65535, 65536, 1 << 20, 0x7fffffff,
	0x80000000, 0xfffffffe, 0xffffffff, 0x7fffffffffffffff,
	0x8000000000000000, 0xfffffffffffffffe, 0xffffffffffffffff,
};

uint64_t pick64(uint8_t b)
{
	return b < ARRAY_SIZE(edges) ? edges[b] : b & 7;
}

uint32_t pick32(uint8_t b)
{
	return pick64(b);
}

/*
 * Lengths: small ones, around the sizes at which the module begins another
 * piece of memory, and edges.
 */
uint32_t pick_len(uint8_t b)
{
	static const uint32_t lens[] = {
		0, 1, 8, 63, 64, 65, 100, 255, 256, 1000, 2048, 4095, 4096,
		4097, 8000, 8191, 8192, 8193, 12288, 16384, 65535, 65536,
		65537, 131072, 262143, 262144, 1 << 20, (1 << 20) + 1,
		(16 << 20) - 1, 16 << 20, 0x7fffffff, 0xffffffff,
	};

	if (b < ARRAY_SIZE(lens))
		return lens[b];
	if (b < 160)
		return b - ARRAY_SIZE(lens);
	if (b < 224)
		return 3900 + 3 * (b - 160);
	return 7920 + 8 * (b - 224);
}

/* Mostly soon: time that is spent waiting is lost. */
uint64_t pick_deadline(uint8_t b, bool real)
{
	clockid_t clock = real ? CLOCK_REALTIME : CLOCK_MONOTONIC;

	switch (b) {
	case 0:
		/* Long enough for the next operations to begin. */
		return now_ns(clock) + 3000000;
	case 1 ... 15:
		return 0;
	case 16 ... 31:
		return 1;
	case 32 ... 63:
		return now_ns(clock) - 1000000;
	case 248 ... 255:
		return edges[ARRAY_SIZE(edges) - 1 - (b & 7)];
	}
	return now_ns(clock) + 200000 + (b & 15) * 200000;
}

/* ---- bytes -------------------------------------------------------------- */

size_t program_to_bytes(const struct program *p, uint8_t *bytes)
{
	bytes[0] = p->flags;
	memcpy(bytes + 1, p->ops, p->n * sizeof(p->ops[0]));
	return 1 + p->n * sizeof(p->ops[0]);
}

/* Any bytes are a program: what is missing is zero, what is too much ignored. */
bool program_from_bytes(struct program *p, const uint8_t *bytes, size_t len)
{
	memset(p, 0, sizeof(*p));
	if (len < 2)
		return false;
	len = MIN(len, PROGRAM_BYTES_MAX);
	p->flags = bytes[0];
	memcpy(p->ops, bytes + 1, len - 1);
	p->n = (len - 1 + sizeof(p->ops[0]) - 1) / sizeof(p->ops[0]);
	return true;
}

static size_t unhex(uint8_t *bytes, const char *text, size_t len)
{
	unsigned int value;
	size_t n;

	for (n = 0; n < PROGRAM_BYTES_MAX && 2 * n + 1 < len; n++) {
		if (sscanf(text + 2 * n, "%2x", &value) != 1)
			break;
		bytes[n] = value;
	}
	return n;
}

/* A file of bytes, or the argument itself in hexadecimal. */
bool program_from_file(struct program *p, const char *path)
{
	uint8_t bytes[PROGRAM_BYTES_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0 && strspn(path, "0123456789abcdef") == strlen(path)) {
		len = unhex(bytes, path, strlen(path));
		return program_from_bytes(p, bytes, len);
	}
	if (fd < 0)
		return false;
	len = read(fd, bytes, sizeof(bytes));
	close(fd);
	return len > 0 && program_from_bytes(p, bytes, len);
}

uint64_t program_hash(const struct program *p)
{
	uint8_t bytes[PROGRAM_BYTES_MAX];
	size_t i, len = program_to_bytes(p, bytes);
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash;
}

/* ---- made up and changed ------------------------------------------------ */

const struct operation *operation_of(const struct op *op)
{
	return &operations[op->code % noperations];
}

static unsigned int pick_operation(void)
{
	static unsigned int total;
	unsigned int i, at;

	if (!total)
		for (i = 0; i < noperations; i++)
			total += operations[i].weight;
	do {
		at = below(total);
		for (i = 0; at >= operations[i].weight; i++)
			at -= operations[i].weight;
	} while (operations[i].costly && below(4));
	return i;
}

/* Bytes that are often zero, often a few bits, and sometimes anything. */
static uint8_t pick_byte(void)
{
	uint64_t r = random64();

	switch (r & 7) {
	case 0 ... 2:
		return 0;
	case 3 ... 4:
		return 1 << (r >> 8 & 7);
	case 5:
		return r >> 8 & 15;
	}
	return r >> 8;
}

/* Kinds of memory, see memory.c: plain, bad, late, changing, any. */
static uint8_t pick_memory(void)
{
	switch (below(10)) {
	case 0:
		return 160 + below(36);
	case 1:
		return 196 + below(16);
	case 2:
		return random64();
	}
	return 0;
}

static void generate_op(struct op *op)
{
	unsigned int i;

	op->code = pick_operation();
	op->worker = below(WORKERS);
	for (i = 0; i < sizeof(op->a); i++)
		op->a[i] = pick_byte();
	/* Where that is memory; of a new mailbox it is the size of messages. */
	op->a[5] = operations[op->code].run == op_create ? below(256) :
							     pick_memory();
	/* Few slots, so that operations meet. */
	op->a[0] = below(8) ? below(5) : random64();
	op->tweak = below(10) ? 0 : random64();
	op->tweak_arg = op->tweak ? random64() : 0;
}

static unsigned int find_operation(const char *name)
{
	unsigned int i;

	for (i = 0; i < noperations; i++)
		if (!strcmp(operations[i].name, name))
			return i;
	die("no operation %s", name);
}

void program_generate(struct program *p)
{
	/* Mostly two workers: every process more costs time. */
	unsigned int i, n = 4 + below(28), workers = 1 + below(6) % WORKERS;

	uint8_t other = 1 + below(WORKERS - 1);

	memset(p, 0, sizeof(*p));
	p->flags = below(4) ? PROGRAM_STAGGERED : 0;
	p->n = n;
	for (i = 0; i < n; i++) {
		generate_op(&p->ops[i]);
		p->ops[i].worker %= workers;
		/* Two processes as often as two threads. */
		if (workers == 2 && p->ops[i].worker)
			p->ops[i].worker = other;
	}
	/* Without a mailbox, little happens. */
	p->ops[0].code = find_operation("create");
	p->ops[0].tweak = 0;
	if (below(2))
		/* Named, so that others can open it. */
		p->ops[0].a[1] = 96 + below(2);
	if (workers > 2 || (workers == 2 && other > 1)) {
		p->ops[1].code = find_operation("create");
		p->ops[1].worker = workers == 2 ? other : 2 + below(workers - 2);
		p->ops[1].a[1] = p->ops[0].a[1];
		p->ops[1].tweak = 0;
	}
}

static void insert(struct program *p, unsigned int at, const struct op *op)
{
	if (p->n == MAX_OPS)
		return;
	memmove(&p->ops[at + 1], &p->ops[at], (p->n - at) * sizeof(*op));
	p->ops[at] = *op;
	p->n++;
}

void program_remove(struct program *p, unsigned int i)
{
	p->n--;
	memmove(&p->ops[i], &p->ops[i + 1], (p->n - i) * sizeof(p->ops[0]));
	memset(&p->ops[p->n], 0, sizeof(p->ops[0]));
}

static void mutate_once(struct program *p, const struct program *other)
{
	unsigned int at = below(p->n), n;
	struct op op;

	switch (below(12)) {
	case 0 ... 2:
		generate_op(&op);
		if (below(4))
			op.worker = p->ops[at].worker;
		insert(p, below(p->n + 1), &op);
		break;
	case 3:
		if (p->n > 1)
			program_remove(p, at);
		break;
	case 4:
		op = p->ops[at];
		insert(p, below(p->n + 1), &op);
		break;
	case 5 ... 6:
		p->ops[at].a[below(8)] = below(2) ? pick_byte() : random64();
		break;
	case 7:
		p->ops[at].a[5] = pick_memory();
		break;
	case 8:
		op = p->ops[at];
		n = below(p->n);
		p->ops[at] = p->ops[n];
		p->ops[n] = op;
		break;
	case 9:
		p->ops[at].worker = below(3) ? p->ops[below(p->n)].worker :
					     below(WORKERS);
		break;
	case 10:
		p->ops[at].tweak = random64();
		p->ops[at].tweak_arg = random64();
		break;
	case 11:
		if (!below(4)) {
			p->flags ^= PROGRAM_STAGGERED;
			break;
		}
		/* A piece of another program behind, or in between. */
		at = below(p->n + 1);
		for (n = below(other->n); n < other->n && below(12); n++)
			insert(p, at++, &other->ops[n]);
		break;
	}
}

void program_mutate(struct program *p, const struct program *other)
{
	unsigned int n = 1 + below(8);

	while (n--)
		mutate_once(p, other);
}

/* ---- shown -------------------------------------------------------------- */

bool program_has(const struct program *p, const char *name)
{
	unsigned int i;

	for (i = 0; i < p->n; i++)
		if (!strcmp(operation_of(&p->ops[i])->name, name))
			return true;
	return false;
}

void program_show(const struct program *p, FILE *out)
{
	unsigned int i, j;

	fprintf(out, "# %s\n", p->flags & PROGRAM_STAGGERED ?
		"staggered" : "all workers at once");
	for (i = 0; i < p->n; i++) {
		const struct op *op = &p->ops[i];

		fprintf(out, "# %2u: worker %u %-12s", i, op->worker % WORKERS,
			operation_of(op)->name);
		for (j = 0; j < sizeof(op->a); j++)
			fprintf(out, " %02x", op->a[j]);
		if (op->tweak)
			fprintf(out, " tweak %02x %02x", op->tweak,
				op->tweak_arg);
		fputc('\n', out);
	}
}
