// SPDX-License-Identifier: GPL-2.0-only
/* Rows about msgctl(2): state, changes, removal, limits. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

static int queue;

static void counts(void)
{
	int id = make(0600);

	CALL(snd_len(id, 1, 100, 0));
	CALL(snd_len(id, 2, 7, 0));
	SHOW(state(id).msg_qnum);
	SHOW(state(id).__msg_cbytes);
	take_len(id, 50, 1, MSG_NOERROR);
	SHOW(state(id).msg_qnum);
	SHOW(state(id).__msg_cbytes);
	take(id, 0, 0);
	SHOW(state(id).msg_qnum);
	SHOW(state(id).__msg_cbytes);
}

static bool is_now(time_t t)
{
	time_t now = time(NULL);

	return t >= now - 2 && t <= now + 1;
}

static void time_of_send(void)
{
	int id = make(0600);

	SHOW(state(id).msg_stime);
	CALL(snd(id, 1, "a", 0));
	SHOW(is_now(state(id).msg_stime));
}

static void last_calls(void)
{
	struct msqid_ds ds;
	int id = make(0600);

	snd(id, 1, "a", 0);
	take(id, 0, 0);
	ds = state(id);
	SHOW(ds.msg_lspid == getpid());
	SHOW(ds.msg_lrpid == getpid());
	SHOW(is_now(ds.msg_rtime));
}

static void time_of_change(void)
{
	struct msqid_ds a, b;
	int id = make(0600);

	a = state(id);
	usleep(1100000);
	snd(id, 1, "a", 0);
	take(id, 0, 0);
	b = state(id);
	SHOW(a.msg_ctime == b.msg_ctime);
	CALL(set_mode(id, 0640));
	b = state(id);
	SHOW(b.msg_ctime > a.msg_ctime);
	SHOW(is_now(b.msg_ctime));
}

/* What a time_t of any width can hold of it. */
static bool is_near(time_t t, int64_t seconds)
{
	time_t late = (uint64_t)t - seconds;

	return late >= -2 && late <= 2;
}

static void after_2038(void)
{
	int64_t start = clock_seconds();
	struct msqid_ds ds = { 0 };
	int id = make(0600);

	set_clock(AFTER_2038);
	CALL(snd(id, 1, "a", 0));
	take(id, 0, 0);
	CALL(msgctl(id, IPC_STAT, &ds));
	ds.msg_perm.mode = 0640;
	CALL(msgctl(id, IPC_SET, &ds));
	CALL(msgctl(id, IPC_STAT, &ds));
	set_clock(start);
	SHOW(ds.msg_perm.mode & 0777);
	SHOW(is_near(ds.msg_stime, AFTER_2038));
	SHOW(is_near(ds.msg_rtime, AFTER_2038));
	SHOW(is_near(ds.msg_ctime, AFTER_2038));
}

static void may_not_read_steps(void)
{
	struct msqid_ds ds;

	become(1000, 1000);
	CALL(msgctl(queue, IPC_STAT, &ds));
}

static void may_not_read(void)
{
	queue = make(0622);
	in_child(may_not_read_steps);
}

static void others_may_read(void)
{
	queue = make(0604);
	in_child(may_not_read_steps);
}

static void bad_arguments(void)
{
	struct msqid_ds ds;
	int id = make(0600);

	CALL(msgctl(-1, IPC_STAT, &ds));
	CALL(msgctl(INT_MAX, IPC_STAT, &ds));
	CALL(msgctl(INT_MAX, IPC_RMID, NULL));
	memset(&ds, 0, sizeof(ds));
	CALL(msgctl(INT_MAX, IPC_SET, &ds));
	CALL(msgctl(-1, IPC_RMID, NULL));
	CALL(msgctl(id, 99, &ds));
	CALL(msgctl(id, -1, &ds));
	CALL(msgctl(id, 14, &ds));
}

/*
 * For 32 bits, the C library copies the structure of a queue itself, so that with the kernel's
 * queues a bad address ends the program.
 */
static const bool kernel_copies = sizeof(long) == 8;

static void bad_addresses(void)
{
	int id = make(0600);

	if (kernel_copies) {
		CALL(msgctl(id, IPC_STAT, (struct msqid_ds *)8));
		CALL(msgctl(id, IPC_SET, (struct msqid_ds *)8));
		CALL(msgctl(id, IPC_STAT, NULL));
		CALL(msgctl(id, IPC_RMID, (struct msqid_ds *)8));
	}
	CALL(msgctl(0, IPC_INFO, (struct msqid_ds *)8));
}

/* All but the last bytes of the structure, and the first ones alone. */
static void bad_ends(void)
{
	const size_t each[] = { sizeof(struct msqid_ds) - 1, sizeof(struct msqid_ds) - 8, 8, 1 };
	const size_t info[] = { sizeof(struct msginfo) - 1, sizeof(struct msginfo) - 8, 8, 1 };
	int id = make(0600), i;

	for (i = 0; i < 4; i++) {
		if (kernel_copies) {
			CALL(msgctl(id, IPC_STAT, before_bad(each[i])));
			CALL(msgctl(id, IPC_SET, before_bad(each[i])));
		}
		CALL(msgctl(0, IPC_INFO, before_bad(info[i])));
		CALL(msgctl(0, MSG_INFO, before_bad(info[i])));
	}
	CALL(msgctl(id, IPC_STAT, before_bad(sizeof(struct msqid_ds))));
	GET(msgctl(0, IPC_INFO, before_bad(sizeof(struct msginfo))));
	GET(msgctl(0, MSG_INFO, before_bad(sizeof(struct msginfo))));
}

static void set_mode_bits(void)
{
	int id = make(0600);

	CALL(set_mode(id, 0644));
	SHOW(state(id).msg_perm.mode);
	CALL(set_mode(id, 07777 | 0100000));
	SHOW(state(id).msg_perm.mode);
	CALL(set_mode(id, 0401));
	SHOW(state(id).msg_perm.mode);
}

static void set_changes_nothing_else(void)
{
	struct msqid_ds before, after;
	int id = make(0600);

	snd(id, 1, "abc", 0);
	before = state(id);
	after = before;
	after.msg_perm.__key = 12;
	after.msg_perm.mode = 0660;
	after.msg_qnum = 77;
	after.__msg_cbytes = 77;
	after.msg_lspid = 1;
	after.msg_stime = 1;
	CALL(msgctl(id, IPC_SET, &after));
	after = state(id);
	SHOW(after.msg_perm.__key == before.msg_perm.__key);
	SHOW(after.msg_qnum);
	SHOW(after.__msg_cbytes);
	SHOW(after.msg_stime == before.msg_stime);
	SHOW(after.msg_qbytes == before.msg_qbytes);
	SHOW(after.msg_perm.cuid == before.msg_perm.cuid);
	take(id, 0, 0);
}

static void new_owner_steps(void)
{
	become(1000, 1000);
	CALL(snd(queue, 1, "b", 0));
	take(queue, 0, 0);
	SHOW(state(queue).msg_perm.uid);
	SHOW(state(queue).msg_perm.gid);
	CALL(set_mode(queue, 0640));
	CALL(msgctl(queue, IPC_RMID, NULL));
}

static void new_owner(void)
{
	struct msqid_ds ds;

	queue = make(0600);
	ds = state(queue);
	ds.msg_perm.uid = 1000;
	ds.msg_perm.gid = 1005;
	CALL(msgctl(queue, IPC_SET, &ds));
	in_child(new_owner_steps);
	CALL(snd(queue, 1, "a", IPC_NOWAIT));
}

static void creator_stays(void)
{
	struct msqid_ds ds;

	queue = make(0600);
	ds = state(queue);
	ds.msg_perm.uid = 1000;
	CALL(msgctl(queue, IPC_SET, &ds));
	ds = state(queue);
	SHOW(ds.msg_perm.uid);
	SHOW(ds.msg_perm.cuid);
}

static void give_away_steps(void)
{
	struct msqid_ds ds;
	int id;

	become(1000, 1000);
	id = make(0600);
	ds = state(id);
	ds.msg_perm.uid = 1001;
	CALL(msgctl(id, IPC_SET, &ds));
	SHOW(state(id).msg_perm.uid);
	CALL(snd(id, 1, "a", 0));
}

static void give_away(void)
{
	in_child(give_away_steps);
}

static void bad_owner(void)
{
	struct msqid_ds ds;
	int id = make(0600);

	ds = state(id);
	ds.msg_perm.uid = -1;
	ds.msg_perm.mode = 0666;
	CALL(msgctl(id, IPC_SET, &ds));
	ds.msg_perm.uid = 0;
	ds.msg_perm.gid = -1;
	CALL(msgctl(id, IPC_SET, &ds));
	SHOW(state(id).msg_perm.uid);
	SHOW(state(id).msg_perm.gid);
}

static void not_the_owner_steps(void)
{
	struct msqid_ds ds;

	become(1000, 1000);
	ds = state(queue);
	CALL(msgctl(queue, IPC_SET, &ds));
	CALL(msgctl(queue, IPC_RMID, NULL));
}

static void not_the_owner(void)
{
	queue = make(0666);
	in_child(not_the_owner_steps);
	SHOW(state(queue).msg_perm.mode);
}

static void not_even_permission_steps(void)
{
	struct msqid_ds ds = { .msg_qbytes = 1 };

	become(1000, 1000);
	CALL(msgctl(queue, IPC_SET, &ds));
	CALL(msgctl(queue, IPC_RMID, NULL));
}

static void not_even_permission(void)
{
	queue = make(0600);
	in_child(not_even_permission_steps);
}

static void owner_without_bits_steps(void)
{
	int id;

	become(1000, 1000);
	id = make(0);
	CALL(msgctl(id, IPC_RMID, NULL));
	CALL(msgctl(id, IPC_RMID, NULL));
	CALL(msgget(key, 0));
	id = make(0400);
	CALL(msgctl(id, IPC_RMID, NULL));
	id = make(0200);
	CALL(msgctl(id, IPC_RMID, NULL));
	CALL(msgget(key, 0));
}

static void owner_without_bits(void)
{
	in_child(owner_without_bits_steps);
}

static void owner_sets_steps(void)
{
	int id;

	become(1000, 1000);
	id = make(0400);
	CALL(snd(id, 1, "a", 0));
	CALL(set_mode(id, 0600));
	CALL(snd(id, 1, "a", 0));
	CALL(set_mode(id, 0400));
	CALL(snd(id, 1, "a", 0));
	take(id, 0, 0);
}

static void owner_sets(void)
{
	in_child(owner_sets_steps);
}

static void privileged_removal_steps(void)
{
	become(1000, 1000);
	make(0600);
}

static void privileged_removal(void)
{
	int id;

	in_child(privileged_removal_steps);
	id = GET(msgget(key, 0));
	CALL(set_mode(id, 0666));
	SHOW(state(id).msg_perm.uid);
	CALL(msgctl(id, IPC_RMID, NULL));
}

static void limit(void)
{
	int id = make(0600);

	CALL(set_qbytes(id, 100));
	SHOW(state(id).msg_qbytes);
	CALL(snd_len(id, 1, 100, IPC_NOWAIT));
	CALL(snd_len(id, 1, 1, IPC_NOWAIT));
	CALL(set_qbytes(id, 150));
	CALL(snd_len(id, 1, 50, IPC_NOWAIT));
	CALL(set_qbytes(id, 20));
	SHOW(state(id).msg_qnum);
	CALL(snd_len(id, 1, 1, IPC_NOWAIT));
	take(id, 0, 0);
	CALL(snd_len(id, 1, 1, IPC_NOWAIT));
	take(id, 0, 0);
	CALL(snd_len(id, 1, 20, IPC_NOWAIT));
}

static void limit_of_the_system_steps(void)
{
	struct msginfo info;
	int id;

	become(1000, 1000);
	id = make(0600);
	msgctl(0, IPC_INFO, (struct msqid_ds *)&info);
	CALL(set_qbytes(id, info.msgmnb));
	CALL(set_qbytes(id, info.msgmnb + 1));
	CALL(set_qbytes(id, 5));
	SHOW(state(id).msg_qbytes);
}

static void limit_of_the_system(void)
{
	in_child(limit_of_the_system_steps);
}

static void beyond_the_limit(void)
{
	int id = make(0600), i, n = 0;

	CALL(set_qbytes(id, 100000));
	SHOW(state(id).msg_qbytes);
	for (i = 0; i < 100; i++)
		n += !snd_len(id, 1, 8000, IPC_NOWAIT);
	SHOW(n);
}

static void no_room_at_all(void)
{
	int id = make(0600);

	CALL(set_qbytes(id, 0));
	CALL(snd(id, 1, "", IPC_NOWAIT));
	CALL(snd(id, 1, "a", IPC_NOWAIT));
	SHOW(state(id).msg_qbytes);
}

static void info(void)
{
	struct msginfo a;

	memset(&a, 0, sizeof(a));
	SHOW(msgctl(0, IPC_INFO, (struct msqid_ds *)&a) >= 0);
	SHOW(a.msgmax);
	SHOW(a.msgmnb);
	SHOW(a.msgmni);
	SHOW(a.msgssz);
	SHOW(a.msgseg);
	SHOW(a.msgpool);
	SHOW(a.msgmap);
	SHOW(a.msgtql);
}

static void usage(void)
{
	struct msginfo a, b;
	int id;

	CALL(msgctl(0, MSG_INFO, (struct msqid_ds *)&a) < 0);
	id = make(0600);
	snd_len(id, 1, 10, 0);
	snd_len(id, 1, 20, 0);
	CALL(msgctl(0, MSG_INFO, (struct msqid_ds *)&b) < 0);
	SHOW(b.msgpool - a.msgpool);
	SHOW(b.msgmap - a.msgmap);
	SHOW(b.msgtql - a.msgtql);
	SHOW(a.msgmax == b.msgmax);
}

/* As ipcs(1) does. */
static void list(int cmd)
{
	struct msginfo all;
	struct msqid_ds ds;
	int id = make(0640), max, i, found = 0;

	snd_len(id, 1, 10, 0);
	max = msgctl(0, MSG_INFO, (struct msqid_ds *)&all);
	for (i = 0; i <= max; i++)
		if (msgctl(i, cmd, &ds) == id)
			found += ds.__msg_cbytes == 10 && ds.msg_perm.__key == key &&
				 ds.msg_perm.mode == 0640;
	SHOW(found);
	CALL(msgctl(max + 1, cmd, &ds));
	CALL(msgctl(-1, cmd, &ds));
}

static void list_readable(void)
{
	list(MSG_STAT);
}

static void list_any(void)
{
	list(MSG_STAT_ANY);
}

/* That of the row, among all. */
static struct msqid_ds list_unreadable(void)
{
	struct msqid_ds ds, other;
	struct msginfo all;
	int max, i, found = -1;

	max = msgctl(0, MSG_INFO, (struct msqid_ds *)&all);
	for (i = 0; i <= max; i++)
		if (msgctl(i, MSG_STAT_ANY, &ds) == queue)
			found = i;
	SHOW(found >= 0);
	memset(&ds, 0xff, sizeof(ds));
	SHOW(msgctl(found, MSG_STAT_ANY, &ds) == queue);
	SHOW(ds.msg_perm.__key == key);
	SHOW(ds.msg_perm.uid);
	SHOW(ds.msg_perm.mode);
	SHOW(ds.msg_qnum);
	SHOW(ds.__msg_cbytes);
	SHOW(ds.msg_qbytes);
	if (kernel_copies)
		CALL(msgctl(found, MSG_STAT_ANY, before_bad(8)));
	CALL(msgctl(found, MSG_STAT, &other));
	CALL(msgctl(queue, IPC_STAT, &other));

	return ds;
}

static void list_of_another_steps(void)
{
	struct msqid_ds ds;

	become(1000, 1000);
	ds = list_unreadable();
	SHOW(is_now(ds.msg_ctime));
	SHOW(is_now(ds.msg_stime));
}

static void list_of_another(void)
{
	queue = make(0622);
	CALL(snd_len(queue, 1, 10, 0));
	in_child(list_of_another_steps);
}

static void list_without_bits_steps(void)
{
	become(1000, 1000);
	queue = make(0);
	list_unreadable();
}

static void list_without_bits(void)
{
	in_child(list_without_bits_steps);
}

static void removal(void)
{
	struct msqid_ds ds;
	int id = make(0600);

	snd(id, 1, "a", 0);
	CALL(msgctl(id, IPC_RMID, NULL));
	CALL(msgctl(id, IPC_RMID, NULL));
	CALL(msgctl(id, IPC_STAT, &ds));
	memset(&ds, 0, sizeof(ds));
	CALL(msgctl(id, IPC_SET, &ds));
	CALL(msgget(key, 0));
}

static void state_by_another_steps(void)
{
	struct msqid_ds ds;

	ds = state(queue);
	SHOW(ds.msg_qnum);
	SHOW(ds.msg_perm.__key == key);
	CALL(snd(queue, 1, "b", 0));
}

static void state_by_another(void)
{
	queue = make(0600);
	snd(queue, 1, "a", 0);
	in_child(state_by_another_steps);
	SHOW(state(queue).msg_qnum);
}

const struct row control_rows[] = {
	{ "msgctl: msg_qnum and msg_cbytes are what is in the queue", counts },
	{ "msgsnd: msg_stime is set to the current time", time_of_send },
	{ "msgop: msg_lspid, msg_lrpid and msg_rtime tell of the last calls", last_calls },
	{ "msgctl: msg_ctime is the time of creation or of the last IPC_SET", time_of_change },
	{ "msgctl: IPC_STAT and IPC_SET work after 2038 for every width of time_t", after_2038 },
	{ "msgctl: IPC_STAT: EACCES: no read permission", may_not_read },
	{ "msgctl: IPC_STAT needs read permission alone", others_may_read },
	{ "msgctl: EINVAL: cmd or msqid is not valid", bad_arguments },
	{ "msgctl: EFAULT: buf is not accessible", bad_addresses },
	{ "msgctl: EFAULT: the end of buf is not accessible", bad_ends },
	{ "msgctl: IPC_SET sets the low-order 9 bits of the mode", set_mode_bits },
	{ "msgctl: IPC_SET sets nothing but owner, mode and msg_qbytes", set_changes_nothing_else },
	{ "msgctl: IPC_SET gives a queue to another owner", new_owner },
	{ "msgctl: the creator remains", creator_stays, "owner" },
	{ "msgctl: IPC_SET: the owner needs no privilege to give it away", give_away, "owner" },
	{ "msgctl: IPC_SET: EINVAL: no such user or group", bad_owner },
	{ "msgctl: EPERM: neither the owner nor the creator", not_the_owner },
	{ "msgctl: EPERM comes with no permission at all, too", not_even_permission },
	{ "msgctl: IPC_RMID needs no permission bits", owner_without_bits },
	{ "msgctl: IPC_SET by the owner takes effect for its own calls", owner_sets },
	{ "msgctl: a privileged process changes and removes queues of others",
	  privileged_removal },
	{ "msgctl: IPC_SET: msg_qbytes takes effect, and loses nothing", limit },
	{ "msgctl: EPERM: msg_qbytes above MSGMNB without CAP_SYS_RESOURCE", limit_of_the_system },
	{ "msgctl: a privileged process can raise msg_qbytes beyond MSGMNB", beyond_the_limit },
	{ "msgctl: IPC_SET: msg_qbytes 0 has room for nothing", no_room_at_all },
	{ "msgctl: IPC_INFO: the limits of the system", info },
	{ "msgctl: MSG_INFO: the number of queues, messages and bytes", usage },
	{ "msgctl: MSG_STAT: each index up to that of MSG_INFO", list_readable },
	{ "msgctl: MSG_STAT_ANY: likewise", list_any },
	{ "msgctl: MSG_STAT_ANY needs no read permission", list_of_another },
	{ "msgctl: MSG_STAT_ANY works without any permission bits", list_without_bits },
	{ "msgctl: IPC_RMID removes the queue at once", removal },
	{ "msgctl: every process sees the same state", state_by_another },
	{ 0 },
};
