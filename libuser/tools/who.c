// SPDX-License-Identifier: GPL-2.0-only
/*
 * mboxctl who: which processes have mailboxes open. It reads what the kernel says of
 * every descriptor in /proc/PID/fdinfo, and opens no mailbox.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attr.h"
#include "common.h"
#include "list.h"
#include "table.h"
#include "text.h"

#define PATH_SIZE 80
#define OPT_TREE OPT_FIRST

/**
 * struct wanted - a mailbox that is looked for
 * @label: what it is called in the output: @name or the path
 * @name: its name, or its id as a text
 * @id: its id
 * @ns: inode number of the network namespace of the id, if @path is not set
 * @dev: device number of its file system, if @path is set
 * @path: it was given by a path
 * @line: its row above those of its descriptors, once it has one
 */
struct wanted {
	const char *label;
	char name[MBOX_NAME_MAX + 1];
	uint64_t id;
	uint64_t ns;
	dev_t dev;
	bool path;
	struct libscols_line *line;
};

/**
 * struct holder - a descriptor of a mailbox
 * @pid: the process
 * @fd: the number of the descriptor
 * @uid: the user of the process
 * @id: the mailbox
 * @ns: inode number of the network namespace of its id
 * @oflags: how it is open
 * @waits: a thread waits in a call on it: 1, 0, or -1 if the kernel does not tell
 * @reader: its number, if it receives broadcasts; otherwise 0
 * @unread: how many messages it has to receive
 * @expelled: it receives nothing more
 * @policy: what senders do when it falls behind; empty if the kernel does not tell
 * @comm: the name of the process
 */
struct holder {
	int pid;
	int fd;
	uid_t uid;
	uint64_t id;
	uint64_t ns;
	unsigned int oflags;
	int waits;
	uint64_t reader;
	uint64_t unread;
	bool expelled;
	char policy[16];
	char comm[64];
};

/**
 * struct search - the whole job
 * @wanted: what is looked for
 * @n: how many
 * @json: everything is printed, as JSON
 * @choice: how the table is printed
 * @table: the table
 * @shown: how many descriptors were
 * @hidden: how many processes cannot be inspected
 */
struct search {
	struct wanted *wanted;
	size_t n;
	bool json;
	struct table_choice choice;
	struct table *table;
	size_t shown;
	size_t hidden;
};

/* ---- output ---------------------------------------------------------------- */

enum column {
	PID,
	USER,
	FD,
	RIGHTS,
	NONBLOCK,
	WAITS,
	READER,
	UNREAD,
	COMMAND,
	MAILBOX,
	ID,
	UID,
	POLICY,
	COLUMNS,
};

static const struct table_column columns[COLUMNS] = {
	[PID] = { "PID", TABLE_NUMBER, true, "the process" },
	[USER] = { "USER", TABLE_TEXT, true, "its user" },
	[FD] = { "FD", TABLE_NUMBER, true, "the number of the descriptor" },
	[RIGHTS] = { "RIGHTS", TABLE_TEXT, true, "recv, send, or both" },
	[NONBLOCK] = { "NONBLOCK", TABLE_TEXT, true, "O_NONBLOCK is set" },
	[WAITS] = { "WAITS", TABLE_TEXT, true, "a thread waits in a call; ? if that is hidden" },
	[READER] = { "READER", TABLE_NUMBER, true, "number of the reader of a broadcast mailbox" },
	[UNREAD] = { "UNREAD", TABLE_MIXED, true, "messages that it has to receive, or expelled" },
	[COMMAND] = { "COMMAND", TABLE_TEXT, true, "the name of the process" },
	[MAILBOX] = { "MAILBOX", TABLE_TEXT, true, "the mailbox" },
	[ID] = { "ID", TABLE_NUMBER, false, "its number" },
	[UID] = { "UID", TABLE_NUMBER, false, "user id of the process" },
	[POLICY] = { "POLICY", TABLE_TEXT, false, "what senders do when the reader is behind" },
};

/**
 * struct row - a row of the table
 * @holder: a descriptor, or NULL for a mailbox above its descriptors
 * @wanted: its mailbox
 * @below: it is below the row of the mailbox, whose name it need not have
 */
struct row {
	const struct holder *holder;
	const struct wanted *wanted;
	bool below;
};

static const char *rights_text(unsigned int oflags)
{
	switch (oflags & O_ACCMODE) {
	case O_RDONLY:
		return "recv";
	case O_WRONLY:
		return "send";
	default:
		return "recv,send";
	}
}

static void print_reader(FILE *out, unsigned int column, const struct holder *holder)
{
	if (!holder->reader)
		return;
	if (column == READER)
		fprintf(out, "%" PRIu64, holder->reader);
	else if (column == POLICY)
		fputs(holder->policy, out);
	else if (holder->expelled)
		fputs("expelled", out);
	else
		fprintf(out, "%" PRIu64, holder->unread);
}

static void print_cell(FILE *out, unsigned int column, const void *data)
{
	static const char *const answers[] = { "?", "no", "yes" };
	const struct row *row = data;
	const struct holder *holder = row->holder;

	if (!holder) {
		if (column == MAILBOX)
			fputs(row->wanted->label, out);
		else if (column == ID)
			fprintf(out, "%" PRIu64, row->wanted->id);
		return;
	}
	switch (column) {
	case PID:
		fprintf(out, "%d", holder->pid);
		break;
	case USER:
		print_user(out, holder->uid);
		break;
	case FD:
		fprintf(out, "%d", holder->fd);
		break;
	case RIGHTS:
		fputs(rights_text(holder->oflags), out);
		break;
	case NONBLOCK:
		fputs(holder->oflags & O_NONBLOCK ? "yes" : "no", out);
		break;
	case WAITS:
		fputs(answers[holder->waits + 1], out);
		break;
	case COMMAND:
		fputs(holder->comm, out);
		break;
	case MAILBOX:
		fputs(row->below ? holder->comm : row->wanted->label, out);
		break;
	case ID:
		fprintf(out, "%" PRIu64, holder->id);
		break;
	case UID:
		fprintf(out, "%" PRIu32, holder->uid);
		break;
	default:
		print_reader(out, column, holder);
	}
}

static const struct table_kind handle_table = {
	.name = "handles",
	.columns = columns,
	.n = COLUMNS,
	.print = print_cell,
};

static void add_row(const struct search *search, const struct holder *holder,
		    struct wanted *wanted)
{
	const struct row above = { .wanted = wanted };
	struct row row = { .holder = holder, .wanted = wanted };
	bool tree = search->choice.tree >= 0;

	row.below = tree && !search->choice.json;
	if (tree && !wanted->line)
		wanted->line = table_add(search->table, &above, NULL);
	table_add(search->table, &row, wanted->line);
}

static void print_object(const struct search *search, const struct holder *holder,
			 const struct wanted *wanted)
{
	static const char *const answers[] = { "null", "false", "true" };
	unsigned int access = holder->oflags & O_ACCMODE;

	printf("%s{\"mailbox\":", search->shown ? ",\n " : "");
	text_print_json(wanted->label);
	printf(",\"id\":%" PRIu64 ",\"pid\":%d,\"uid\":%" PRIu32 ",\"command\":", holder->id,
	       holder->pid, holder->uid);
	text_print_json(holder->comm);
	printf(",\"fd\":%d,\"recv\":%s,\"send\":%s,\"nonblock\":%s,\"waits\":%s", holder->fd,
	       access == O_WRONLY ? "false" : "true", access == O_RDONLY ? "false" : "true",
	       holder->oflags & O_NONBLOCK ? "true" : "false", answers[holder->waits + 1]);
	if (holder->reader)
		printf(",\"reader\":%" PRIu64 ",\"unread\":%" PRIu64 ",\"expelled\":%s",
		       holder->reader, holder->unread, holder->expelled ? "true" : "false");
	if (holder->reader && *holder->policy)
		printf(",\"policy\":\"%s\"", holder->policy);
	putchar('}');
}

/* ---- what /proc says --------------------------------------------------------- */

/* The begin of a small file as a string; false: it is gone, or may not be read. */
static bool read_text(const char *path, char *text, size_t size)
{
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, text, size - 1);
	close(fd);
	if (len < 0)
		return false;
	text[len] = '\0';

	return true;
}

/* The number behind "\n@key:\t" in @text. */
static bool find_number(const char *text, const char *key, int base, uint64_t *value)
{
	const char *line = strstr(text, key);

	if (!line)
		return false;
	*value = strtoull(line + strlen(key), NULL, base);

	return true;
}

/* The word behind "\n@key:\t" in @text, or nothing. */
static void find_word(const char *text, const char *key, char *word, size_t size)
{
	const char *line = strstr(text, key);
	size_t len;

	*word = '\0';
	if (!line)
		return;
	line += strlen(key);
	len = strspn(line, "abcdefghijklmnopqrstuvwxyz-");
	if (len < size)
		snprintf(word, len + 1, "%s", line);
}

/* The calls that can wait on a descriptor, which is their first argument. */
static bool call_waits(long number)
{
	switch (number) {
	case SYS_read:
	case SYS_write:
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv2:
	case SYS_pwritev2:
	case SYS_ioctl:
		return true;
	default:
		return false;
	}
}

/* Whether a thread of the process is in a call on the descriptor; -1: unknown. */
static int process_waits(int pid, int fd)
{
	char path[PATH_SIZE + 256], text[128];
	struct dirent *entry;
	unsigned long first;
	int waits = -1;
	long number;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (waits != 1 && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", pid, entry->d_name);
		if (!read_text(path, text, sizeof(text)))
			continue;
		waits = sscanf(text, "%ld %lx", &number, &first) == 2 && call_waits(number) &&
			first == (unsigned long)fd;
	}
	closedir(dir);

	return waits;
}

static struct wanted *find_wanted(const struct search *search, const struct holder *holder)
{
	struct wanted *wanted;
	char path[PATH_SIZE];
	struct stat st;
	size_t i;

	for (i = 0; i < search->n; i++) {
		wanted = &search->wanted[i];
		if (wanted->id != holder->id)
			continue;
		if (!wanted->path && wanted->ns == holder->ns)
			return wanted;
		if (!wanted->path)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", holder->pid, holder->fd);
		if (stat(path, &st) == 0 && st.st_dev == wanted->dev)
			return wanted;
	}

	return NULL;
}

/* A descriptor of any kind, by the text that the kernel has about it. */
static void look_at(struct search *search, struct holder *holder, const char *text)
{
	struct wanted *wanted;
	char path[PATH_SIZE];
	uint64_t oflags;

	if (!find_number(text, "\nmbox-id:\t", 10, &holder->id) ||
	    !find_number(text, "\nmbox-ns:\t", 10, &holder->ns) ||
	    !find_number(text, "\nflags:\t", 8, &oflags))
		return;
	holder->oflags = oflags;
	holder->reader = 0;
	holder->unread = 0;
	holder->expelled = false;
	if (find_number(text, "\nmbox-reader:\t", 10, &holder->reader)) {
		find_number(text, "\nmbox-unread:\t", 10, &holder->unread);
		holder->expelled = strstr(text, "\nmbox-expelled:\t");
		find_word(text, "\nmbox-reader-policy:\t", holder->policy,
			  sizeof(holder->policy));
	}
	wanted = find_wanted(search, holder);
	if (!wanted)
		return;

	if (!*holder->comm) {
		snprintf(path, sizeof(path), "/proc/%d/comm", holder->pid);
		if (!read_text(path, holder->comm, sizeof(holder->comm)))
			return;
		holder->comm[strcspn(holder->comm, "\n")] = '\0';
	}
	holder->waits = process_waits(holder->pid, holder->fd);
	if (search->json)
		print_object(search, holder, wanted);
	else
		add_row(search, holder, wanted);
	search->shown++;
}

static void look_at_process(struct search *search, int pid)
{
	char path[PATH_SIZE + 256], text[4096];
	struct holder holder = { .pid = pid };
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0)
		return;
	holder.uid = st.st_uid;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	if (!dir) {
		search->hidden += errno == EACCES || errno == EPERM;
		return;
	}
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		holder.fd = atoi(entry->d_name);
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, entry->d_name);
		if (read_text(path, text, sizeof(text)))
			look_at(search, &holder, text);
	}
	closedir(dir);
}

static bool look_at_all(struct search *search)
{
	struct dirent *entry;
	DIR *dir;

	dir = opendir("/proc");
	if (!dir || access("/proc/self", F_OK) < 0) {
		print_perror("cannot read /proc");
		if (dir)
			closedir(dir);
		return false;
	}
	while ((entry = readdir(dir))) {
		if (isdigit((unsigned char)*entry->d_name))
			look_at_process(search, atoi(entry->d_name));
	}
	closedir(dir);

	return true;
}

/* ---- what is looked for -------------------------------------------------------- */

static bool want_item(struct wanted *wanted, const struct mbox_walk *item)
{
	wanted->id = item->id;
	wanted->ns = item->ns;
	wanted->label = wanted->name;
	if (*item->name)
		snprintf(wanted->name, sizeof(wanted->name), "%s", item->name);
	else
		snprintf(wanted->name, sizeof(wanted->name), "id:%" PRIu64, (uint64_t)item->id);

	return true;
}

static bool want_path(struct wanted *wanted, const char *path)
{
	struct stat st;
	int fd;

	fd = open_mailbox_path(path);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0) {
		print_perror("cannot open '%s'", path);
		close(fd);
		return false;
	}
	close(fd);
	wanted->path = true;
	wanted->id = st.st_ino;
	wanted->dev = st.st_dev;
	wanted->label = path;

	return true;
}

static bool want_text(struct wanted *wanted, const struct list *all, const char *text)
{
	struct list found = { 0 };
	bool ok;

	if (strchr(text, '/'))
		return want_path(wanted, strncmp(text, "name:", 5) ? text : text + 5);
	ok = list_target(&found, all, text) && want_item(wanted, found.items);
	list_free(&found);

	return ok;
}

/* A path needs neither the device nor a list of mailboxes, as in a container. */
static bool only_paths(char **names, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (!strchr(names[i], '/'))
			return false;
	}

	return n;
}

static int print_holders(struct search *search)
{
	int printed = EXIT_OK, status = EXIT_OK;

	if (search->json) {
		putchar('[');
	} else {
		search->table = table_new(&handle_table, &search->choice, &status);
		if (!search->table)
			return status;
	}
	if (search->n && !look_at_all(search))
		status = EXIT_FAILED;
	if (search->json)
		puts("]");
	else
		printed = table_print(search->table);

	return printed == EXIT_OK ? status : printed;
}

static int look_for(struct search *search, char **names, int n)
{
	struct list all = { 0 };
	int printed, status = EXIT_OK;
	size_t i;

	if (!only_paths(names, n) && !list_all(&all)) {
		list_free(&all);
		return EXIT_FAILED;
	}
	search->wanted = calloc((n ? (size_t)n : all.n) + 1, sizeof(*search->wanted));
	if (!search->wanted) {
		print_perror("cannot list mailboxes");
		list_free(&all);
		return EXIT_FAILED;
	}
	for (i = 0; !n && i < all.n; i++)
		search->n += want_item(&search->wanted[search->n], &all.items[i]);
	for (i = 0; i < (size_t)n; i++) {
		if (want_text(&search->wanted[search->n], &all, names[i]))
			search->n++;
		else
			status = EXIT_FAILED;
	}
	list_free(&all);

	printed = print_holders(search);
	if (printed != EXIT_OK)
		status = printed;
	free(search->wanted);
	if (search->hidden)
		print_error("%zu processes cannot be inspected without more privilege",
			    search->hidden);

	return status;
}

static bool set_option(void *data, int id, const char *arg)
{
	struct search *search = data;

	if (id == 'j')
		search->json = true;
	else if (id == OPT_TREE)
		search->choice.tree = MAILBOX;
	else
		return table_option(&search->choice, id, arg);

	return true;
}

static int run_who(int argc, char **argv)
{
	struct search search = { .choice = TABLE_CHOICE_INIT };
	int status;

	status = parse_options(&who_command, argc, argv, &search);
	if (status >= 0)
		return status;
	if (!table_choice_valid(&search.choice, search.json))
		return EXIT_USAGE;
	/* What is below a mailbox is called as the process is. */
	if (search.choice.tree >= 0 && !search.choice.json && !search.choice.columns)
		search.choice.columns = "PID,USER,FD,RIGHTS,NONBLOCK,WAITS,READER,UNREAD";

	return look_for(&search, argv + optind, argc - optind);
}

const struct command who_command = {
	.name = "who",
	.operands = "[MAILBOX...]",
	.summary = "list the processes that have mailboxes open",
	.about = "List the processes that have mailboxes open, their rights, and whether they\n"
		 "wait in a call. Without MAILBOX, look for all mailboxes that you may see.\n",
	.options = {
		{ 'j', "json", NULL, "print everything as a JSON array" },
		{ OPT_TREE, "tree", NULL, "print each mailbox above its processes" },
		TABLE_OPTIONS,
	},
	.table = &handle_table,
	.set = set_option,
	.run = run_who,
};
