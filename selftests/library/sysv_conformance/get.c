// SPDX-License-Identifier: GPL-2.0-only
/* Rows about msgget(2): keys, ids, modes, and who may. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

static int queue;

static void same_key_same_id(void)
{
	int id = make(0600);

	SHOW(msgget(key, 0) == id);
	SHOW(msgget(key, IPC_CREAT | 0600) == id);
	SHOW(msgget(key, 0600) == id);
	SHOW(id >= 0);
}

static void no_queue(void)
{
	CALL(msgget(key, 0));
	CALL(msgget(key, 0600));
	CALL(msgget(key, IPC_EXCL | 0600));
}

static void exclusive(void)
{
	GET(msgget(key, IPC_CREAT | IPC_EXCL | 0600));
	CALL(msgget(key, IPC_CREAT | IPC_EXCL | 0600));
	CALL(msgget(key, IPC_CREAT | IPC_EXCL));
	GET(msgget(key, IPC_EXCL));
}

static void exclusive_without_permission_steps(void)
{
	become(1000, 1000);
	CALL(msgget(key, IPC_CREAT | IPC_EXCL | 0600));
}

static void exclusive_without_permission(void)
{
	make(0600);
	in_child(exclusive_without_permission_steps);
}

static void private(void)
{
	int a = GET(msgget(IPC_PRIVATE, 0600)), b = GET(msgget(IPC_PRIVATE, 0600));
	int c = GET(msgget(IPC_PRIVATE, IPC_CREAT | IPC_EXCL | 0600));

	SHOW(a != b && b != c && a != c);
	SHOW(state(a).msg_perm.__key);
	CALL(snd(a, 1, "a", 0));
	take(b, 0, 0);
	take(a, 0, 0);
	CALL(msgctl(a, IPC_RMID, NULL));
	CALL(msgctl(b, IPC_RMID, NULL));
	CALL(msgctl(c, IPC_RMID, NULL));
}

static void modes_with(mode_t mask)
{
	static const int each[] = { 0777, 0666, 0600, 0640, 0123, 0400 };
	unsigned int i;
	int id;

	umask(mask);
	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		id = msgget(IPC_PRIVATE, each[i]);
		SHOW(state(id).msg_perm.mode);
		msgctl(id, IPC_RMID, NULL);
	}
	SHOW(umask(0));
}

static void modes(void)
{
	modes_with(077);
	modes_with(0777);
}

static void owner_steps(void)
{
	struct msqid_ds ds = state(msgget(key, IPC_CREAT | 0600));

	SHOW(ds.msg_perm.uid);
	SHOW(ds.msg_perm.gid);
	SHOW(ds.msg_perm.cuid);
	SHOW(ds.msg_perm.cgid);
}

static void owner_as_user(void)
{
	become(1000, 1001);
	owner_steps();
}

static void owner(void)
{
	in_child(owner_as_user);
}

static void effective_owner(void)
{
	if (setegid(1001) || seteuid(1000))
		add("seteuid; ");
	owner_steps();
}

static void key_is_told(void)
{
	SHOW(state(make(0600)).msg_perm.__key == key);
}

static void new_queue(void)
{
	time_t before = time(NULL);
	struct msqid_ds ds = state(make(0600));

	SHOW(ds.msg_qnum);
	SHOW(ds.__msg_cbytes);
	SHOW(ds.msg_lspid);
	SHOW(ds.msg_lrpid);
	SHOW(ds.msg_stime);
	SHOW(ds.msg_rtime);
	SHOW(ds.msg_ctime >= before - 1 && ds.msg_ctime <= time(NULL));
}

static void default_limit(void)
{
	struct msginfo info;

	if (msgctl(0, IPC_INFO, (struct msqid_ds *)&info) < 0)
		add("IPC_INFO; ");
	SHOW(state(make(0600)).msg_qbytes == (msglen_t)info.msgmnb);
}

static void without_permission_steps(void)
{
	become(1000, 1000);
	CALL(msgget(key, 0600));
	CALL(msgget(key, 0400));
	CALL(msgget(key, 0200));
	CALL(msgget(key, 0006));
	CALL(msgget(key, IPC_CREAT | 0666));
}

static void without_permission(void)
{
	make(0600);
	in_child(without_permission_steps);
}

static void some_permission_steps(void)
{
	become(1000, 1000);
	GET(msgget(key, 0));
	GET(msgget(key, 0400));
	GET(msgget(key, 0004));
	CALL(msgget(key, 0200));
	CALL(msgget(key, 0600));
}

static void some_permission(void)
{
	make(0604);
	in_child(some_permission_steps);
}

static void write_permission_steps(void)
{
	become(1000, 1000);
	GET(msgget(key, 0));
	GET(msgget(key, 0200));
	CALL(msgget(key, 0400));
}

static void write_permission(void)
{
	make(0602);
	in_child(write_permission_steps);
}

static void group_steps(void)
{
	become(1000, 2000);
	GET(msgget(key, 0040));
	CALL(msgget(key, 0020));
	take(msgget(key, 0), 0, 0);
	CALL(snd(msgget(key, 0), 1, "a", 0));
}

static void group(void)
{
	struct msqid_ds ds;
	int id = make(0640);

	ds = state(id);
	ds.msg_perm.gid = 2000;
	CALL(msgctl(id, IPC_SET, &ds));
	in_child(group_steps);
}

static void class_of_owner_steps(void)
{
	become(1000, 2000);
	queue = make(0066);
	CALL(msgget(key, 0600));
	CALL(snd(queue, 1, "a", 0));
	take(queue, 0, 0);
}

static void class_of_owner(void)
{
	in_child(class_of_owner_steps);
}

static void asks_for_nothing_steps(void)
{
	become(1000, 1000);
	GET(msgget(key, 0));
}

static void asks_for_nothing(void)
{
	make(0600);
	in_child(asks_for_nothing_steps);
}

static void privileged(void)
{
	int id;

	in_child(class_of_owner_steps);
	id = GET(msgget(key, 0600));
	CALL(snd(id, 1, "a", 0));
	take(id, 0, 0);
}

static void survives_steps(void)
{
	CALL(snd(make(0600), 7, "from a process that is gone", 0));
}

static void survives(void)
{
	in_child(survives_steps);
	take(msgget(key, 0), 0, 0);
}

static void by_id_alone_steps(void)
{
	CALL(snd(queue, 3, "by id", 0));
}

static void by_id_alone(void)
{
	queue = make(0600);
	in_child(by_id_alone_steps);
	take(queue, 0, 0);
}

int after_exec(int id)
{
	struct message m;
	ssize_t n = msgrcv(id, &m, sizeof(m.text), 0, IPC_NOWAIT);

	return n == 5 && !memcmp(m.text, "image", 5) && !snd(id, 2, "back", 0) ? 0 : 1;
}

static void other_image(void)
{
	char number[16];
	int status;
	pid_t pid;

	queue = make(0600);
	CALL(snd(queue, 1, "image", 0));
	snprintf(number, sizeof(number), "%d", queue);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "sysv_conformance", "-x", number, NULL);
		_exit(9);
	}
	waitpid(pid, &status, 0);
	SHOW(status);
	take(queue, 0, 0);
}

static void new_after_removal(void)
{
	int old = make(0600), id;

	CALL(snd(old, 1, "lost", 0));
	CALL(msgctl(old, IPC_RMID, NULL));
	CALL(msgget(key, 0));
	id = make(0600);
	SHOW(id != old);
	take(id, 0, 0);
	CALL(snd(id, 1, "new", 0));
	take(id, 0, 0);
}

static void all_keys(void)
{
	static const key_t each[] = { -1, 1, INT_MAX, INT_MIN, -559038737, 0x00ffffff };
	unsigned int i;
	int id;

	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		id = GET(msgget(each[i], IPC_CREAT | IPC_EXCL | 0600));
		SHOW(state(id).msg_perm.__key);
		SHOW(msgget(each[i], 0) == id);
		CALL(msgctl(id, IPC_RMID, NULL));
	}
}

static void key_of_a_file(void)
{
	key_t a = ftok("/proc", 1), b = ftok("/proc", 2);
	int id;

	SHOW(a != b && a != -1);
	SHOW(ftok("/proc", 1) == a);
	CALL(ftok("/proc/none", 1));
	id = GET(msgget(a, IPC_CREAT | IPC_EXCL | 0600));
	SHOW(msgget(ftok("/proc", 1), 0) == id);
	CALL(msgctl(id, IPC_RMID, NULL));
}

/* Several processes at once; each tells what it got. */
static void race(int flags)
{
	int i, status, made = 0, exists = 0, other = 0, different = 0;

	for (i = 0; i < 8; i++) {
		if (fork())
			continue;
		while (!shared->flag)
			;
		shared->ids[i] = msgget(key, flags);
		_exit(shared->ids[i] >= 0 ? 0 : errno == EEXIST ? 1 : 2);
	}
	shared->flag = 1;
	while (wait(&status) > 0) {
		made += WEXITSTATUS(status) == 0;
		exists += WEXITSTATUS(status) == 1;
		other += WEXITSTATUS(status) == 2;
	}
	for (i = 0; i < 8; i++)
		different += shared->ids[i] >= 0 && shared->ids[i] != msgget(key, 0);
	SHOW(made);
	SHOW(exists);
	SHOW(other);
	SHOW(different);
}

static void race_exclusive(void)
{
	race(IPC_CREAT | IPC_EXCL | 0600);
}

static void race_to_create(void)
{
	race(IPC_CREAT | 0600);
}

/* While another process removes it. */
static void race_with_removal(void)
{
	int i, status, wrong = 0;
	pid_t pid = fork();

	if (!pid) {
		while (!shared->flag)
			msgctl(msgget(key, IPC_CREAT | 0666), IPC_RMID, NULL);
		_exit(0);
	}
	for (i = 0; i < 300; i++)
		wrong += msgget(key, IPC_CREAT | 0666) < 0;
	shared->flag = 1;
	waitpid(pid, &status, 0);
	SHOW(wrong);
}

static void many(void)
{
	int ids[100], i, j, same = 0, wrong = 0;

	for (i = 0; i < 100; i++)
		ids[i] = msgget(IPC_PRIVATE, 0600);
	for (i = 0; i < 100; i++) {
		wrong += ids[i] < 0 || snd(ids[i], i + 1, "x", 0);
		for (j = 0; j < i; j++)
			same += ids[i] == ids[j];
	}
	for (i = 0; i < 100; i++) {
		struct message m;

		wrong += msgrcv(ids[i], &m, 1, 0, IPC_NOWAIT) != 1 || m.type != i + 1;
		wrong += msgctl(ids[i], IPC_RMID, NULL) != 0;
	}
	SHOW(same);
	SHOW(wrong);
}

static void other_flags(void)
{
	GET(msgget(key, IPC_CREAT | IPC_NOWAIT | 010000 | 0600));
	SHOW(state(msgget(key, 0)).msg_perm.mode);
}

/* As a daemon does, which closes what it does not know, and then uses the numbers. */
static void no_descriptors(void)
{
	int id = make(0600), fd;

	CALL(snd(id, 1, "a", 0));
	/* The row has some below. */
	for (fd = 20; fd < 1024; fd++)
		close(fd);
	CALL(snd(id, 1, "b", 0));
	take(id, 0, 0);
	for (fd = 20; fd < 1024; fd++)
		dup2(STDERR_FILENO, fd);
	CALL(snd(id, 1, "c", 0));
	take(id, 0, 0);
	for (fd = 20; fd < 1024; fd++)
		dup2(STDERR_FILENO, fd);
	SHOW(state(id).msg_qnum);
	take(id, 0, 0);
}

/* What only may be received first, and is sent to later, has two, of which one goes. */
static void one_of_two_steps(void)
{
	int before = descriptors(), id = msgget(key, 0400);

	CALL(snd(id, 1, "a", 0));
	/* The first one that mbox_sysv(7) names. */
	close(500);
	take(id, 0, 0);
	CALL(snd(id, 1, "b", 0));
	take(id, 0, 0);
	CALL(msgctl(id, IPC_RMID, NULL));
	SHOW(descriptors() - before);
}

static void one_of_two(void)
{
	make(0600);
	in_child(one_of_two_steps);
}

static void number_taken_steps(void)
{
	SHOW(fcntl(500, F_GETFD));
}

/* Likewise, and no call on the queue comes before its end. */
static void number_taken(void)
{
	int id = make(0600);

	CALL(snd(id, 1, "a", 0));
	SHOW(dup2(STDERR_FILENO, 500));
	in_child(number_taken_steps);
	CALL(msgctl(id, IPC_RMID, NULL));
	SHOW(fcntl(500, F_GETFD));
}

const struct row get_rows[] = {
	{ "msgget: returns the identifier that belongs to the key", same_key_same_id },
	{ "msgget: ENOENT: no queue for the key, and no IPC_CREAT", no_queue },
	{ "msgget: EEXIST: IPC_CREAT and IPC_EXCL, and there is a queue for the key", exclusive },
	{ "msgget: EEXIST comes before EACCES", exclusive_without_permission },
	{ "msgget: IPC_PRIVATE: a new queue, whatever the flags", private },
	{ "msgget: the low-order bits of msgflg are the mode (not of the umask)", modes },
	{ "msgget: the owner and the creator are the effective user and group", owner },
	{ "msgget: that is, not the real ones", effective_owner },
	{ "msgctl: msg_perm.__key is the key supplied to msgget", key_is_told },
	{ "msgget: msg_qnum, pids and times are 0, msg_ctime is the current time", new_queue },
	{ "msgget: msg_qbytes is set to the system limit MSGMNB", default_limit },
	{ "msgget: EACCES: a queue exists, and the caller has no permission", without_permission },
	{ "sysvipc: each class of bits asks for read and write permission", some_permission },
	{ "sysvipc: write permission alone", write_permission },
	{ "sysvipc: the bits of the group are for its members", group },
	{ "sysvipc: the owner has the bits of the owner alone", class_of_owner },
	{ "msgget: flags without permission bits ask for none", asks_for_nothing, "first use" },
	{ "msgget: a process with CAP_IPC_OWNER has all permission", privileged },
	{ "sysvipc: queues exist until they are removed", survives },
	{ "msgop: the identifier is all that a process needs", by_id_alone },
	{ "execve: the identifier is good in another image", other_image },
	{ "msgctl: a queue that was removed is gone, with its messages", new_after_removal },
	{ "msgget: every key that is not 0 is a key", all_keys },
	{ "ftok: the key of a file and a number", key_of_a_file },
	{ "msgget: of several with IPC_EXCL one succeeds", race_exclusive },
	{ "msgget: of several without IPC_EXCL all get the same queue", race_to_create },
	{ "msgget: IPC_CREAT does not fail because a queue goes", race_with_removal },
	{ "msgget: queues are independent of each other", many },
	{ "msgget: other flags are ignored", other_flags },
	{ "close: identifiers are no descriptors", no_descriptors },
	{ "msgctl: a queue that was removed leaves no descriptors", one_of_two },
	{ "dup2: a file with the number of a closed descriptor stays open", number_taken },
	{ 0 },
};
