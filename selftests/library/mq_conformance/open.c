// SPDX-License-Identifier: GPL-2.0-only
/* Rows about mq_open(3), mq_close(3), mq_unlink(3), and names. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static struct mq_attr small = { .mq_maxmsg = 4, .mq_msgsize = 64 };

static void open_missing(void)
{
	OPEN(mq_open(name, O_RDWR));
	OPEN(mq_open(name, O_RDONLY | O_EXCL));
}

static void create(void)
{
	OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open(name, O_RDWR));
}

static void create_existing(void)
{
	struct mq_attr other = { .mq_maxmsg = 8, .mq_msgsize = 128 }, attr;
	mqd_t q;

	make(4, 64, O_RDWR);
	q = OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &other));
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_maxmsg);
	SHOW(attr.mq_msgsize);
}

static void create_existing_bad_attr(void)
{
	struct mq_attr bad = { .mq_maxmsg = -1, .mq_msgsize = 0 };

	make(4, 64, O_RDWR);
	OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &bad));
	OPEN(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &bad));
}

static void exclusive(void)
{
	OPEN(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small));
	OPEN(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small));
	CALL(mq_unlink(name));
	OPEN(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small));
}

static void exclusive_alone(void)
{
	make(4, 64, O_RDWR);
	OPEN(mq_open(name, O_EXCL | O_RDWR));
}

static void exclusive_of_another_user(void)
{
	make(4, 64, O_RDWR);
	become(1001, 1001);
	OPEN(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small));
	OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &small));
}

static void one_of_many_creates(void)
{
	int i, status, made = 0, existed = 0;

	for (i = 0; i < 8; i++)
		if (!fork()) {
			mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small);

			_exit(q >= 0 ? 0 : errno == EEXIST ? 1 : 2);
		}
	for (i = 0; i < 8; i++) {
		wait(&status);
		made += WEXITSTATUS(status) == 0;
		existed += WEXITSTATUS(status) == 1;
	}
	SHOW(made);
	SHOW(existed);
}

/* While others unlink it again and again, no O_CREAT fails. */
static void create_while_unlinked(void)
{
	int i, failed = 0, status;
	pid_t pid = fork();

	if (!pid) {
		for (i = 0; i < 50; i++)
			mq_unlink(name);
		_exit(0);
	}
	for (i = 0; i < 50; i++) {
		mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, &small);

		failed += q < 0;
		mq_close(q);
	}
	waitpid(pid, &status, 0);
	SHOW(failed);
}

static void both_access_bits(void)
{
	make(4, 64, O_RDWR);
	OPEN(mq_open(name, O_RDWR | O_WRONLY));
	OPEN(mq_open(name, O_CREAT | O_RDWR | O_WRONLY, 0600, &small));
}

static void create_with_both_access_bits(void)
{
	char c[64];
	mqd_t q = OPEN(mq_open(name, O_CREAT | O_RDWR | O_WRONLY, 0600, &small));

	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_receive(q, c, sizeof(c), NULL));
}

static void no_slash(void)
{
	OPEN(mq_open(name + 1, O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open("", O_CREAT | O_RDWR, 0600, &small));
	CALL(mq_unlink(name + 1));
	CALL(mq_unlink(""));
}

static void only_slash(void)
{
	OPEN(mq_open("/", O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open("/", O_RDWR));
	CALL(mq_unlink("/"));
}

static void more_slashes(void)
{
	OPEN(mq_open("/a/b", O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open("//a", O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open("/a/", O_RDWR));
	CALL(mq_unlink("/a/b"));
	CALL(mq_unlink("//a"));
}

static void dots(void)
{
	OPEN(mq_open("/.", O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open("/..", O_CREAT | O_RDWR, 0600, &small));
	CALL(mq_unlink("/.."));
	OPEN(mq_open("/...conformance", O_CREAT | O_RDWR, 0600, &small));
	CALL(mq_unlink("/...conformance"));
}

/* A name of so many bytes after the slash. */
static const char *name_of(size_t len, char last)
{
	static char text[2 * PATH_MAX];

	memset(text, 'n', sizeof(text));
	text[0] = '/';
	text[len] = last;
	text[len + 1] = '\0';

	return text;
}

static void longest_name(void)
{
	OPEN(mq_open(name_of(NAME_MAX, 'n'), O_CREAT | O_EXCL | O_RDWR, 0600, &small));
	OPEN(mq_open(name_of(NAME_MAX, 'n'), O_RDWR));
	CALL(mq_unlink(name_of(NAME_MAX, 'n')));
}

static void name_too_long(void)
{
	OPEN(mq_open(name_of(NAME_MAX + 1, 'n'), O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open(name_of(NAME_MAX + 1, 'n'), O_RDWR));
	CALL(mq_unlink(name_of(NAME_MAX + 1, 'n')));
}

static void long_name_with_slash(void)
{
	OPEN(mq_open(name_of(NAME_MAX + 1, '/'), O_RDWR));
	OPEN(mq_open(name_of(PATH_MAX - 1, 'n'), O_RDWR));
	OPEN(mq_open(name_of(PATH_MAX - 1, '/'), O_RDWR));
	OPEN(mq_open(name_of(PATH_MAX, '/'), O_RDWR));
	OPEN(mq_open(name_of(PATH_MAX, 'n'), O_RDWR));
	CALL(mq_unlink(name_of(PATH_MAX, '/')));
}

static void any_byte_in_name(void)
{
	OPEN(mq_open("/conformance \t\n\x01\xff*", O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open("/conformance \t\n\x01\xff*", O_RDWR));
	CALL(mq_unlink("/conformance \t\n\x01\xff*"));
}

static void case_of_name(void)
{
	OPEN(mq_open("/conformance-c", O_CREAT | O_RDWR, 0600, &small));
	OPEN(mq_open("/Conformance-c", O_RDWR));
	CALL(mq_unlink("/conformance-c"));
}

static void bad_attributes(void)
{
	/* How much is too much is another matter ("ceilings"), but for so much. */
	static const long max = LONG_MAX > INT_MAX ? LONG_MAX : -2;
	static const long each[][2] = {
		{ 0, 64 }, { 4, 0 }, { -1, 64 }, { 4, -1 }, { LONG_MIN, 64 }, { 4, LONG_MIN },
		{ max, 64 }, { 4, max }, { 0, 0 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		struct mq_attr attr = { .mq_maxmsg = each[i][0], .mq_msgsize = each[i][1] };

		OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &attr));
	}
	OPEN(mq_open(name, O_RDWR));
}

static void attributes_of_creation(void)
{
	struct mq_attr attr;
	mqd_t q = make(7, 99, O_RDWR);

	memset(&attr, 0xa5, sizeof(attr));
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_flags);
	SHOW(attr.mq_maxmsg);
	SHOW(attr.mq_msgsize);
	SHOW(attr.mq_curmsgs);
}

static void other_attributes_ignored(void)
{
	struct mq_attr attr = { -1, 3, 50, 77 };
	mqd_t q = OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &attr));

	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_flags);
	SHOW(attr.mq_curmsgs);
}

static void default_attributes(void)
{
	struct mq_attr attr;
	mqd_t q = OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, NULL));

	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_maxmsg);
	SHOW(attr.mq_msgsize);
}

static void set_default(const char *file, int value)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", file);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%d\n", value) < 0 || fclose(f))
		add("%s: %s; ", file, strerrorname_np(errno));
}

static void changed_defaults(void)
{
	struct mq_attr attr = { 0 };
	mqd_t q;

	set_default("msg_default", 3);
	set_default("msgsize_default", 300);
	q = OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, NULL));
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_maxmsg);
	SHOW(attr.mq_msgsize);
	set_default("msg_default", 10);
	set_default("msgsize_default", 8192);
}

static void defaults_above_maximum(void)
{
	struct mq_attr attr = { 0 };
	mqd_t q;

	set_default("msg_max", 5);
	set_default("msgsize_max", 200);
	q = OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, NULL));
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_maxmsg);
	SHOW(attr.mq_msgsize);
	set_default("msg_max", 10);
	set_default("msgsize_max", 8192);
}

static void above_maximum(void)
{
	struct mq_attr many = { .mq_maxmsg = 11, .mq_msgsize = 8 };
	struct mq_attr large = { .mq_maxmsg = 4, .mq_msgsize = 8193 };

	become(1001, 1001);
	OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &many));
	OPEN(mq_open(name2, O_CREAT | O_RDWR, 0600, &large));
}

static void show_mode(mqd_t q)
{
	struct stat st;

	CALL(fstat(q, &st));
	add("mode=%03o; ", st.st_mode & 07777);
}

static void mode_and_umask(void)
{
	umask(027);
	show_mode(mq_open(name, O_CREAT | O_RDWR, 0666, &small));
	mq_unlink(name);
	umask(0);
	show_mode(mq_open(name, O_CREAT | O_RDWR, 0777, &small));
	mq_unlink(name);
	show_mode(mq_open(name, O_CREAT | O_RDWR, 0, &small));
}

static void mode_not_of_the_creator(void)
{
	mqd_t q = OPEN(mq_open(name, O_CREAT | O_RDWR, 0, &small));

	CALL(mq_send(q, "a", 1, 0));
}

static void owner(void)
{
	struct stat st;
	mqd_t q;

	if (setresgid(-1, 2001, -1) || setresuid(-1, 1001, -1))
		add("cannot; ");
	q = OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &small));
	CALL(fstat(q, &st));
	SHOW(st.st_uid);
	SHOW(st.st_gid);
}

static void try_all(void)
{
	OPEN(mq_open(name, O_RDONLY));
	OPEN(mq_open(name, O_WRONLY));
	OPEN(mq_open(name, O_RDWR));
	OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, &small));
}

static void as_other(void)
{
	become(1001, 1001);
	try_all();
}

static void as_group(void)
{
	if (setgroups(0, NULL) || setresgid(2001, 2001, 2001) || setresuid(1001, 1001, 1001))
		add("cannot; ");
	try_all();
}

static void with_mode(mode_t mode, void (*steps)(void))
{
	mqd_t q = make(4, 64, O_RDWR);

	if (fchmod(q, mode) || fchown(q, 0, 2001))
		add("cannot; ");
	mq_close(q);
	in_child(steps);
}

static void none_for_others(void)
{
	with_mode(0660, as_other);
}

static void read_for_others(void)
{
	with_mode(0604, as_other);
}

static void write_for_others(void)
{
	with_mode(0602, as_other);
}

static void all_for_others(void)
{
	with_mode(0606, as_other);
}

static void as_other_with_o_creat(void)
{
	become(2000, 2000);
	OPEN(mq_open(name, O_CREAT | O_RDWR, 0600, NULL));
	OPEN(mq_open(name, O_CREAT | O_RDONLY, 0600, NULL));
	OPEN(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL));
}

/* Returns what it was. */
static char protect_fifos(char level)
{
	int fd = open("/proc/sys/fs/protected_fifos", O_RDWR);
	char had = '0';

	if (pread(fd, &had, 1, 0) != 1 || pwrite(fd, &level, 1, 0) != 1)
		add("cannot set it; ");
	close(fd);

	return had;
}

/* A FIFO of another user in a directory of all could not be opened so. */
static void protected_fifos(void)
{
	char had = protect_fifos('2');

	with_mode(0666, as_other_with_o_creat);
	protect_fifos(had);
}

static void all_for_the_group(void)
{
	with_mode(0660, as_group);
}

static void less_for_the_group(void)
{
	with_mode(0606, as_group);
}

static void owner_without_rights(void)
{
	mqd_t q;

	become(1001, 1001);
	q = make(4, 64, O_RDWR);
	CALL(fchmod(q, 0066));
	try_all();
}

static void privileged(void)
{
	with_mode(0, try_all);
}

static void open_keeps_rights(void)
{
	mqd_t q = make(4, 64, O_RDWR);

	CALL(fchmod(q, 0));
	CALL(mq_send(q, "a", 1, 0));
	become(1001, 1001);
	CALL(mq_send(q, "a", 1, 0));
	OPEN(mq_open(name, O_WRONLY));
}

static void rights_of_the_descriptor(void)
{
	char c[64];
	mqd_t q = make(4, 64, O_RDWR), r = mq_open(name, O_RDONLY), w = mq_open(name, O_WRONLY);

	CALL(mq_send(r, "a", 1, 0));
	CALL(mq_send(w, "a", 1, 0));
	CALL(mq_receive(w, c, sizeof(c), NULL));
	CALL(mq_receive(r, c, sizeof(c), NULL));
	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_receive(q, c, sizeof(c), NULL));
}

static void own_open_description(void)
{
	struct mq_attr attr;
	mqd_t q = make(4, 64, O_RDWR | O_NONBLOCK), r = OPEN(mq_open(name, O_RDWR));

	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_flags == O_NONBLOCK);
	CALL(mq_getattr(r, &attr));
	SHOW(attr.mq_flags);
}

static void close_on_exec(void)
{
	mqd_t q = make(4, 64, O_RDWR), r = mq_open(name, O_RDONLY | O_CLOEXEC);

	CALL(fcntl(q, F_GETFD));
	CALL(fcntl(r, F_GETFD));
}

static void no_descriptor_left(void)
{
	struct rlimit limit = { 0, 0 };

	make(4, 64, O_RDWR);
	CALL(setrlimit(RLIMIT_NOFILE, &limit));
	OPEN(mq_open(name, O_RDWR));
	OPEN(mq_open(name2, O_CREAT | O_RDWR, 0600, &small));
}

static void close_twice(void)
{
	mqd_t q = make(4, 64, O_RDWR);

	CALL(mq_close(q));
	CALL(mq_close(q));
	CALL(mq_close(-1));
}

static void use_after_close(void)
{
	struct mq_attr attr;
	char c[64];
	mqd_t q = make(4, 64, O_RDWR);

	mq_close(q);
	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_receive(q, c, sizeof(c), NULL));
	CALL(mq_getattr(q, &attr));
	CALL(mq_setattr(q, &small, NULL));
	CALL(mq_notify(q, NULL));
}

static void messages_outlive_descriptors(void)
{
	unsigned int prio = 0;
	char c[64];
	mqd_t q = make(4, 64, O_RDWR);

	CALL(mq_send(q, "abc", 3, 5));
	CALL(mq_close(q));
	q = OPEN(mq_open(name, O_RDONLY));
	CALL(mq_receive(q, c, sizeof(c), &prio));
	SHOW(prio);
}

static void leave_one(void)
{
	mqd_t q = make(4, 64, O_RDWR);

	CALL(mq_send(q, "abc", 3, 0));
}

static void queue_outlives_process(void)
{
	char c[64];
	mqd_t q;

	in_child(leave_one);
	q = OPEN(mq_open(name, O_RDONLY));
	CALL(mq_receive(q, c, sizeof(c), NULL));
}

static void unlink_once(void)
{
	make(4, 64, O_RDWR);
	CALL(mq_unlink(name));
	CALL(mq_unlink(name));
	OPEN(mq_open(name, O_RDWR));
}

static void unlink_while_open(void)
{
	char c[64];
	mqd_t q = make(4, 64, O_RDWR);

	CALL(mq_unlink(name));
	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_receive(q, c, sizeof(c), NULL));
	CALL(mq_close(q));
}

static void new_queue_of_an_old_name(void)
{
	struct mq_attr attr;
	mqd_t q = make(4, 64, O_RDWR), r;

	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_unlink(name));
	r = OPEN(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small));
	CALL(mq_getattr(r, &attr));
	SHOW(attr.mq_curmsgs);
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_curmsgs);
}

static void unlink_as_other(void)
{
	become(1001, 1001);
	CALL(mq_unlink(name));
	CALL(mq_unlink(name2));
}

static void unlink_of_another(void)
{
	with_mode(0777, unlink_as_other);
	OPEN(mq_open(name, O_RDWR));
}

static void unlink_without_rights(void)
{
	mqd_t q;

	become(1001, 1001);
	q = make(4, 64, O_RDWR);
	CALL(fchmod(q, 0));
	CALL(mq_unlink(name));
}

static void make_as_other(void)
{
	become(1001, 1001);
	make(4, 64, O_RDWR);
}

static void unlink_by_root(void)
{
	in_child(make_as_other);
	CALL(mq_unlink(name));
}

static void ignored_flags(void)
{
	mqd_t q = make(4, 64, O_RDWR);

	CALL(mq_send(q, "a", 1, 0));
	OPEN(mq_open(name, O_RDWR | O_TRUNC));
	OPEN(mq_open(name, O_RDWR | O_NOCTTY));
	OPEN(mq_open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK));
	CALL(mq_send(q, "a", 1, 0));
}

static void set_user_id_bits(void)
{
	OPEN(mq_open(name, O_CREAT | O_RDWR, 0100600, &small));
	OPEN(mq_open(name2, O_CREAT | O_RDWR, ~0U, &small));
}

const struct row open_rows[] = {
	{ "mq_open: fails with ENOENT if O_CREAT is not set and the queue does not exist",
	  open_missing },
	{ "mq_open: O_CREAT creates a message queue", create },
	{ "mq_open: O_CREAT has no effect if the queue exists", create_existing },
	{ "mq_open: attributes are examined only if a queue is created", create_existing_bad_attr },
	{ "mq_open: O_EXCL and O_CREAT fail with EEXIST if the name exists", exclusive },
	{ "mq_open: O_EXCL without O_CREAT is undefined (Linux: ignored)", exclusive_alone },
	{ "mq_open: EEXIST comes before EACCES", exclusive_of_another_user },
	{ "mq_open: check and creation are atomic with respect to other processes",
	  one_of_many_creates },
	{ "mq_open: O_CREAT never fails because the name comes or goes", create_while_unlinked },
	{ "mq_open: applications shall specify exactly one access mode (Linux: EINVAL)",
	  both_access_bits },
	{ "mq_open: a queue that is created with both access bits set (Linux: no rights)",
	  create_with_both_access_bits },
	{ "mq_overview: a name begins with a slash (glibc: otherwise EINVAL)", no_slash },
	{ "mq_open: ENOENT: name was just \"/\" followed by no other characters", only_slash },
	{ "mq_open: EACCES: name contained more than one slash", more_slashes },
	{ "mq_overview: a name names a file of a directory, not the directory", dots },
	{ "mq_overview: a name has up to NAME_MAX characters after the slash", longest_name },
	{ "mq_open: ENAMETOOLONG: name was too long", name_too_long },
	{ "mq_open: which error of a name comes first", long_name_with_slash },
	{ "mq_overview: a name is a string of any characters, none of which are slashes",
	  any_byte_in_name },
	{ "mq_open: the name is a string, so case matters", case_of_name },
	{ "mq_open: EINVAL: mq_maxmsg or mq_msgsize is not greater than zero, or too large",
	  bad_attributes },
	{ "mq_open: the queue gets mq_maxmsg and mq_msgsize of attr", attributes_of_creation },
	{ "mq_open: mq_flags and mq_curmsgs of attr are ignored", other_attributes_ignored },
	{ "mq_open: attr NULL: implementation-defined default attributes", default_attributes },
	{ "mq_overview: msg_default and msgsize_default are those defaults", changed_defaults },
	{ "mq_overview: if a default is above the maximum, the maximum is used instead",
	  defaults_above_maximum },
	{ "mq_overview: msg_max and msgsize_max are the limits of users", above_maximum,
	  "ceilings" },
	{ "mq_open: the permission bits are those of mode without those of the umask",
	  mode_and_umask },
	{ "mq_open: mode does not matter for the open that creates", mode_not_of_the_creator },
	{ "mq_open: owner and group are the effective ids of the process", owner },
	{ "mq_open: EACCES: no permission for others", none_for_others },
	{ "mq_open: EACCES: read permission receives", read_for_others },
	{ "mq_open: EACCES: write permission sends", write_for_others },
	{ "mq_open: both permissions for others", all_for_others },
	{ "mq_open: O_CREAT opens a queue of another user, whatever fs.protected_fifos",
	  protected_fifos },
	{ "mq_open: permissions of the group", all_for_the_group },
	{ "mq_open: the group's permissions count for its members, not the others'",
	  less_for_the_group },
	{ "mq_open: the owner's permissions count for the owner", owner_without_rights },
	{ "mq_open: appropriate privileges override permissions", privileged },
	{ "mq_open: permissions are checked when a queue is opened", open_keeps_rights },
	{ "mq_send, mq_receive: EBADF: not open for that", rights_of_the_descriptor },
	{ "mq_open: creates an open message queue description of its own", own_open_description },
	{ "mq_open: the close-on-exec flag is set", close_on_exec },
	{ "mq_open: EMFILE: no descriptor is left", no_descriptor_left },
	{ "mq_close: EBADF: not an open message queue descriptor", close_twice },
	{ "mq_*: EBADF: the descriptor was closed", use_after_close },
	{ "mq_open: messages stay when no process has the queue open",
	  messages_outlive_descriptors },
	{ "mq_overview: kernel persistence: the queue outlives its process",
	  queue_outlives_process },
	{ "mq_unlink: ENOENT: there is no queue with the name", unlink_once },
	{ "mq_unlink: the queue stays until all references are closed", unlink_while_open },
	{ "mq_unlink: a queue that is then created with the name is another one",
	  new_queue_of_an_old_name },
	{ "mq_unlink: EACCES: no permission to unlink", unlink_of_another },
	{ "mq_unlink: the owner needs no permission bits", unlink_without_rights },
	{ "mq_unlink: appropriate privileges unlink any queue", unlink_by_root },
	{ "mq_open: other flags (Linux: ignored)", ignored_flags },
	{ "mq_open: bits of mode other than the permission bits (Linux: accepted)",
	  set_user_id_bits },
	{ 0 },
};
