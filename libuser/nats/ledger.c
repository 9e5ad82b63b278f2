// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which number each message of an export has on NATS, until it has ended.
 *
 * The number is in the header Nats-Msg-Id, by which a stream recognises a message that it
 * has. When this process is killed, the kernel puts back what it had on lease; what comes
 * back must be sent with the same number as before. The kernel gives messages no number
 * that outlives a lease. So the ledger has a line for each message that is under way:
 * its number, and a digest of its contents, sender, type and priority. It is in a file that
 * is mapped, and so survives this process; it need not survive the system, as no mailbox
 * does.
 *
 * A wrong match would lose a message, a missing one sends it twice. So a message that was
 * delivered before gets the number of the first line with its digest only if it is
 * certain that nothing but this route has taken messages from the mailbox since: the
 * mailbox counts what was received and did not come back, and what expired, was dropped or
 * made a dead letter; the ledger has counted the same. The counts begin anew whenever
 * nothing is under way. A line is removed before its message is acknowledged.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge.h"

#define LEDGER_MAGIC 0x3167646c786f626dULL

/**
 * struct line - a message that is under way
 * @number: its number; 0: the line is free
 * @digest: what it is recognised by
 */
struct line {
	uint64_t number;
	uint64_t digest;
};

/**
 * struct page - the file
 * @magic: LEDGER_MAGIC
 * @lines: how many lines it has
 * @boot: of the system
 * @dev: file system of the mailbox
 * @ino: the mailbox in it
 * @prefix: random; before each number
 * @next: the next number
 * @received: mbox_stat.received as it should be, as long as nothing comes back
 * @unknown: @received is not known, because messages were put back
 * @gone: messages that the mailbox has ended by itself
 * @line: the lines
 */
struct page {
	uint64_t magic;
	uint64_t lines;
	char boot[40];
	uint64_t dev;
	uint64_t ino;
	uint64_t prefix;
	uint64_t next;
	uint64_t received;
	uint64_t unknown;
	uint64_t gone;
	struct line line[];
};

/**
 * struct ledger - a ledger in use
 * @page: the file, or memory of this process alone
 * @size: its size
 * @old: lines of an earlier process that no message has claimed; they are sorted by
 *	their numbers
 * @old_count: how many
 * @fd: the file, which is locked; -1: none
 */
struct ledger {
	struct page *page;
	size_t size;
	struct line *old;
	unsigned int old_count;
	int fd;
};

static uint64_t add_bytes(uint64_t digest, const void *data, size_t len)
{
	const uint8_t *p = data;

	/* FNV-1a. */
	while (len--)
		digest = (digest ^ *p++) * 0x100000001b3ULL;
	return digest;
}

static uint64_t digest_of(const struct mbox_msg *msg)
{
	uint64_t digest = 0xcbf29ce484222325ULL;

	digest = add_bytes(digest, (const void *)(uintptr_t)msg->buf, msg->len);
	digest = add_bytes(digest, &msg->len, sizeof(msg->len));
	digest = add_bytes(digest, &msg->prio, sizeof(msg->prio));
	digest = add_bytes(digest, &msg->type, sizeof(msg->type));
	digest = add_bytes(digest, &msg->pid, sizeof(msg->pid));
	digest = add_bytes(digest, &msg->uid, sizeof(msg->uid));
	return add_bytes(digest, &msg->gid, sizeof(msg->gid));
}

static uint64_t gone_of(const struct mbox_stat *st)
{
	return st->expired + st->dead_letters + st->dropped;
}

static void boot_id(char *text, size_t size)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

	text[len < 0 ? 0 : len] = 0;
	if (fd >= 0)
		close(fd);
}

/* The file's name tells the route. */
static int open_file(const struct route *route, size_t size)
{
	uint64_t digest = add_bytes(0xcbf29ce484222325ULL, route->conf.mailbox,
				    strlen(route->conf.mailbox) + 1);
	char path[4096];
	int fd, error;

	digest = add_bytes(digest, route->conf.subject, strlen(route->conf.subject));
	snprintf(path, sizeof(path), "%s/export-%016" PRIx64, route->bridge->conf.state, digest);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	/* Another process with the same route has numbers of its own. */
	error = lockf(fd, F_TLOCK, 0) ? errno : 0;
	/* A hole that finds no room later would be SIGBUS. */
	if (!error)
		error = posix_fallocate(fd, 0, size);
	if (error) {
		say("%s: %s", path, strerror(error));
		close(fd);
		return -1;
	}
	return fd;
}

static int by_number(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static void keep_old(struct ledger *ledger, unsigned int lines)
{
	unsigned int i;

	for (i = 0; i < lines; i++) {
		if (ledger->page->line[i].number)
			ledger->old[ledger->old_count++] = ledger->page->line[i];
	}
	qsort(ledger->old, ledger->old_count, sizeof(*ledger->old), by_number);
}

static void clear(struct ledger *ledger, uint64_t number)
{
	unsigned int i;

	for (i = 0; i < ledger->page->lines; i++) {
		if (ledger->page->line[i].number == number)
			ledger->page->line[i].number = 0;
	}
}

/* What an earlier process had under way is not told from other messages any more. */
static void forget_old(struct ledger *ledger)
{
	unsigned int i;

	for (i = 0; i < ledger->old_count; i++)
		clear(ledger, ledger->old[i].number);
	ledger->old_count = 0;
}

static void begin_count(struct page *page, const struct mbox_stat *st)
{
	page->received = st->received;
	page->unknown = 0;
	page->gone = gone_of(st);
}

/**
 * ledger_open() - open the ledger of a route whose mailbox was opened
 * @route: the route
 *
 * Return: the ledger, or NULL and errno.
 */
struct ledger *ledger_open(struct route *route)
{
	unsigned int lines = route->conf.window;
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	struct page *page;
	struct mbox_stat st;
	struct stat file;
	char boot[sizeof(page->boot)];
	bool known;

	if (!ledger)
		return NULL;
	ledger->size = sizeof(*page) + lines * sizeof(struct line);
	ledger->old = calloc(lines, sizeof(*ledger->old));
	ledger->fd = route->bridge->conf.state ? open_file(route, ledger->size) : -1;
	page = mmap(NULL, ledger->size, PROT_READ | PROT_WRITE,
		    ledger->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, ledger->fd, 0);
	if (!ledger->old || page == MAP_FAILED || fstat(mbox_fd(route->mb), &file) ||
	    mbox_stat(route->mb, &st)) {
		int error = errno;

		ledger->page = page == MAP_FAILED ? NULL : page;
		ledger_close(ledger);
		errno = error;
		return NULL;
	}
	ledger->page = page;
	boot_id(boot, sizeof(boot));
	known = page->magic == LEDGER_MAGIC && page->lines == lines &&
		!strcmp(page->boot, boot) && page->dev == file.st_dev && page->ino == file.st_ino;
	if (known)
		keep_old(ledger, lines);
	/* All that was on lease has come back. */
	if (page->unknown || page->received - ledger->old_count != st.received ||
	    page->gone != gone_of(&st))
		forget_old(ledger);
	if (!known) {
		memset(page, 0, ledger->size);
		page->lines = lines;
		strcpy(page->boot, boot);
		page->dev = file.st_dev;
		page->ino = file.st_ino;
		if (getrandom(&page->prefix, sizeof(page->prefix), 0) < 0)
			page->prefix = now_ns();
		page->next = 1;
	}
	begin_count(page, &st);
	page->magic = LEDGER_MAGIC;
	return ledger;
}

/* What is under way stays in the file. */
void ledger_close(struct ledger *ledger)
{
	if (!ledger)
		return;
	if (ledger->page)
		munmap(ledger->page, ledger->size);
	if (ledger->fd >= 0)
		close(ledger->fd);
	free(ledger->old);
	free(ledger);
}

/* The number that a message had in an earlier process; 0: none. */
static uint64_t claim(struct ledger *ledger, struct mbox *mb, const struct mbox_msg *msg,
		      uint64_t digest)
{
	struct mbox_stat st;
	uint64_t number;
	unsigned int i;

	if (mbox_stat(mb, &st) || st.received != ledger->page->received ||
	    gone_of(&st) != ledger->page->gone) {
		forget_old(ledger);
		return 0;
	}
	if (msg->deliveries < 2)
		return 0;
	for (i = 0; i < ledger->old_count; i++) {
		if (ledger->old[i].digest == digest)
			break;
	}
	if (i == ledger->old_count)
		return 0;
	number = ledger->old[i].number;
	memmove(&ledger->old[i], &ledger->old[i + 1],
		(--ledger->old_count - i) * sizeof(*ledger->old));
	return number;
}

static bool no_lines(const struct ledger *ledger)
{
	unsigned int i;

	for (i = 0; i < ledger->page->lines; i++) {
		if (ledger->page->line[i].number)
			return false;
	}
	return true;
}

/* A free line; lines of an earlier process make room if they must. */
static unsigned int free_line(struct ledger *ledger)
{
	unsigned int i;

	for (;;) {
		for (i = 0; i < ledger->page->lines; i++) {
			if (!ledger->page->line[i].number)
				return i;
		}
		forget_old(ledger);
	}
}

/* At most as many as the window of the route are there at one time. */
struct ledger_id ledger_add(struct ledger *ledger, struct mbox *mb, const struct mbox_msg *msg)
{
	uint64_t digest = digest_of(msg);
	struct ledger_id id = { 0 };
	struct mbox_stat st;
	unsigned int i;

	ledger->page->received++;
	if (no_lines(ledger) && !mbox_stat(mb, &st))
		begin_count(ledger->page, &st);
	if (ledger->old_count) {
		id.number = claim(ledger, mb, msg, digest);
		for (i = 0; id.number && i < ledger->page->lines; i++) {
			if (ledger->page->line[i].number == id.number) {
				id.place = i;
				return id;
			}
		}
	}
	id.place = free_line(ledger);
	id.number = ledger->page->next++;
	ledger->page->line[id.place].digest = digest;
	__atomic_store_n(&ledger->page->line[id.place].number, id.number, __ATOMIC_RELEASE);
	return id;
}

void ledger_text(const struct ledger *ledger, struct ledger_id id, char *text, size_t size)
{
	snprintf(text, size, "%016" PRIx64 "-%" PRIu64, ledger->page->prefix, id.number);
}

void ledger_remove(struct ledger *ledger, struct ledger_id id, bool comes_back)
{
	if (comes_back)
		ledger->page->unknown = 1;
	__atomic_store_n(&ledger->page->line[id.place].number, 0, __ATOMIC_RELEASE);
	/* The acknowledgment comes after this. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}
