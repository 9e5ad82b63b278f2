// SPDX-License-Identifier: GPL-2.0-only
/* Rows about msgsnd(2) and msgrcv(2) that do not wait: types, lengths, errors. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rows.h"

static int queue;

static void fill(int id)
{
	snd(id, 3, "a", 0);
	snd(id, 1, "b", 0);
	snd(id, 2, "c", 0);
	snd(id, 1, "d", 0);
	snd(id, 5, "e", 0);
}

static void drain(int id)
{
	int i;

	for (i = 0; i < 6; i++)
		take(id, 0, 0);
}

static void first_in_first_out(void)
{
	int id = make(0600);

	fill(id);
	drain(id);
}

static void by_type(void)
{
	int id = make(0600);

	fill(id);
	take(id, 1, 0);
	take(id, 5, 0);
	take(id, 1, 0);
	take(id, 1, 0);
	take(id, 4, 0);
	take(id, LONG_MAX, 0);
	drain(id);
}

static void except(void)
{
	int id = make(0600);

	fill(id);
	take(id, 3, MSG_EXCEPT);
	take(id, 1, MSG_EXCEPT);
	take(id, 4711, MSG_EXCEPT);
	take(id, 2, MSG_EXCEPT);
	take(id, 5, MSG_EXCEPT);
	drain(id);
}

static void except_without_type(void)
{
	int id = make(0600);

	fill(id);
	take(id, 0, MSG_EXCEPT);
	take(id, -1, MSG_EXCEPT);
	drain(id);
}

static void lowest(void)
{
	int id = make(0600);

	fill(id);
	take(id, -2, 0);
	take(id, -2, 0);
	take(id, -2, 0);
	take(id, -2, 0);
	take(id, -4, 0);
	take(id, -4, 0);
	take(id, -5, 0);
	drain(id);
}

static void lowest_of_all(void)
{
	int id = make(0600);

	CALL(snd(id, LONG_MAX, "max", 0));
	CALL(snd(id, LONG_MAX - 1, "less", 0));
	take(id, LONG_MIN + 2, 0);
	take(id, -LONG_MAX, 0);
	CALL(snd(id, 9, "nine", 0));
	take(id, LONG_MIN, 0);
}

static void large_types(void)
{
	int id = make(0600);

	CALL(snd(id, LONG_MAX, "max", 0));
	CALL(snd(id, BITS_33(1, 0x10001), "33 bits", 0));
	take(id, 1, 0);
	take(id, BITS_33(1, 0x10001), 0);
	take(id, LONG_MAX, 0);
}

static void bad_types(void)
{
	int id = make(0600);

	CALL(snd(id, 0, "a", 0));
	CALL(snd(id, -1, "a", 0));
	CALL(snd(id, LONG_MIN, "a", 0));
	SHOW(state(id).msg_qnum);
	CALL(snd(-1, 0, "a", 0));
}

static void no_message(void)
{
	int id = make(0600);

	take(id, 0, 0);
	take(id, 1, 0);
	take(id, -1, 0);
	take(id, 1, MSG_EXCEPT);
	CALL(snd(id, 2, "a", 0));
	take(id, 1, 0);
	take(id, -1, 0);
	take(id, 2, MSG_EXCEPT);
	take(id, 0, 0);
}

static void bad_ids(void)
{
	struct message m = { .type = 1 };

	CALL(msgsnd(-1, &m, 1, 0));
	CALL(msgsnd(INT_MIN, &m, 1, IPC_NOWAIT));
	CALL(msgsnd(INT_MAX, &m, 1, 0));
	CALL(msgrcv(-1, &m, 1, 0, 0));
	CALL(msgrcv(INT_MAX, &m, 1, 0, IPC_NOWAIT));
}

static void removed_id(void)
{
	struct message m = { .type = 1 };
	int id = make(0600);

	CALL(msgsnd(id, &m, 1, 0));
	CALL(msgctl(id, IPC_RMID, NULL));
	CALL(msgsnd(id, &m, 1, 0));
	CALL(msgrcv(id, &m, 1, 0, 0));
	CALL(msgsnd(id, &m, 1, IPC_NOWAIT));
	CALL(msgrcv(id, &m, 1, 0, IPC_NOWAIT));
}

static void removed_elsewhere_steps(void)
{
	CALL(msgctl(queue, IPC_RMID, NULL));
}

static void removed_elsewhere(void)
{
	queue = make(0600);
	CALL(snd(queue, 1, "a", 0));
	in_child(removed_elsewhere_steps);
	CALL(snd(queue, 1, "a", IPC_NOWAIT));
	CALL(snd(queue, 1, "a", 0));
	take(queue, 0, 0);
}

static void removed_before_a_wait(void)
{
	queue = make(0600);
	CALL(snd(queue, 1, "a", 0));
	in_child(removed_elsewhere_steps);
	CALL(snd(queue, 1, "a", 0));
	CALL(snd(queue, 1, "a", 0));
}

static void empty_messages(void)
{
	struct message m;
	int id = make(0600);

	CALL(snd(id, 4, "", 0));
	CALL(snd(id, 5, "", 0));
	SHOW(state(id).msg_qnum);
	SHOW(state(id).__msg_cbytes);
	CALL(msgrcv(id, &m, 0, 0, 0));
	SHOW(m.type);
	take(id, 5, 0);
}

static void lengths(void)
{
	int id = make(0600);

	CALL(snd_len(id, 1, 8192, 0));
	CALL(snd_len(id, 1, 8193, 0));
	CALL(snd_len(id, 1, BITS_33(1, 0x10001), 0));
	CALL(snd_len(id, 1, SIZE_MAX, 0));
	CALL(snd_len(id, 1, (size_t)LONG_MAX + 1, 0));
	take(id, 0, 0);
	take(id, 0, 0);
}

static void receive_lengths(void)
{
	struct message m;
	int id = make(0600);

	CALL(snd(id, 1, "abc", 0));
	CALL(msgrcv(id, &m, SIZE_MAX, 0, 0));
	CALL(msgrcv(id, &m, (size_t)LONG_MAX + 1, 0, 0));
	CALL(msgrcv(id, &m, LONG_MAX, 0, 0));
	CALL(snd(id, 1, "abcd", 0));
	CALL(msgrcv(id, &m, BITS_33(0, 0x10000), 0, 0));
}

static void too_long(void)
{
	int id = make(0600);

	CALL(snd(id, 1, "abcdef", 0));
	CALL(snd(id, 2, "x", 0));
	take_len(id, 5, 0, 0);
	take_len(id, 0, 0, 0);
	take_len(id, 5, 1, 0);
	take_len(id, 5, -1, 0);
	SHOW(state(id).msg_qnum);
	take_len(id, 5, 2, 0);
	take_len(id, 6, 0, 0);
}

static void cut(void)
{
	int id = make(0600);

	CALL(snd(id, 1, "abcdef", 0));
	CALL(snd(id, 2, "ghi", 0));
	CALL(snd(id, 3, "jkl", 0));
	take_len(id, 4, 0, MSG_NOERROR);
	take_len(id, 0, 0, MSG_NOERROR);
	take_len(id, 100, 0, MSG_NOERROR);
	take_len(id, 100, 0, MSG_NOERROR);
}

static void not_beyond(void)
{
	struct message m;
	unsigned int wrong = 0;
	int id = make(0600), len;

	for (len = 0; len < 300; len += 7) {
		memset(m.text, 'z', 512);
		snd_len(id, 9, len, 0);
		wrong += msgrcv(id, &m, 400, 0, IPC_NOWAIT) != len;
		wrong += m.text[len] != 'z' || (len && m.text[len - 1] != 'x');
	}
	SHOW(wrong);
	snd_len(id, 9, 10, 0);
	memset(m.text, 'z', 512);
	CALL(msgrcv(id, &m, 5, 0, MSG_NOERROR));
	SHOW(m.text[5] == 'z');
}

static void all_contents(void)
{
	static struct message in, out;
	unsigned int i, wrong = 0;
	int id = make(0600);

	for (i = 0; i < 8192; i++)
		in.text[i] = i * 31 + i / 256;
	for (i = 0; i <= 8192; i += i < 64 ? 1 : 508) {
		in.type = i + 1;
		memset(&out, 0, sizeof(out));
		wrong += msgsnd(id, &in, i, 0) != 0;
		wrong += msgrcv(id, &out, sizeof(out.text), 0, 0) != (ssize_t)i;
		wrong += out.type != in.type || memcmp(in.text, out.text, i) || out.text[i];
	}
	SHOW(wrong);
}

static void unaligned(void)
{
	char buf[64] __attribute__((aligned(8)));
	long type = 77;
	int id = make(0600);

	memcpy(buf + 3, &type, sizeof(type));
	memcpy(buf + 3 + sizeof(type), "odd", 3);
	CALL(msgsnd(id, buf + 3, 3, 0));
	memset(buf, 0, sizeof(buf));
	CALL(msgrcv(id, buf + 5, 10, 0, 0));
	memcpy(&type, buf + 5, sizeof(type));
	SHOW(type);
	add("%s; ", buf + 5 + sizeof(type));
}

static void failure_leaves_the_buffer(void)
{
	struct message m = { .type = -7, .text = "as it was" };
	int id = make(0600);

	CALL(msgrcv(id, &m, 10, 0, IPC_NOWAIT));
	CALL(snd(id, 1, "too long for it", 0));
	CALL(msgrcv(id, &m, 3, 0, IPC_NOWAIT));
	SHOW(m.type);
	add("%s; ", m.text);
}

static void full_by_bytes(void)
{
	int id = make(0600);

	CALL(set_qbytes(id, 10));
	CALL(snd_len(id, 1, 4, IPC_NOWAIT));
	CALL(snd_len(id, 2, 4, IPC_NOWAIT));
	CALL(snd_len(id, 3, 3, IPC_NOWAIT));
	CALL(snd_len(id, 4, 2, IPC_NOWAIT));
	CALL(snd_len(id, 5, 1, IPC_NOWAIT));
	CALL(snd_len(id, 6, 0, IPC_NOWAIT));
	take(id, 2, 0);
	CALL(snd_len(id, 7, 5, IPC_NOWAIT));
	CALL(snd_len(id, 8, 4, IPC_NOWAIT));
	SHOW(state(id).__msg_cbytes);
	SHOW(state(id).msg_qnum);
}

static void full_by_number(void)
{
	int id = make(0600);

	CALL(set_qbytes(id, 3));
	CALL(snd(id, 1, "", IPC_NOWAIT));
	CALL(snd(id, 2, "", IPC_NOWAIT));
	CALL(snd(id, 3, "", IPC_NOWAIT));
	CALL(snd(id, 4, "", IPC_NOWAIT));
	take(id, 0, 0);
	CALL(snd(id, 5, "abc", IPC_NOWAIT));
	CALL(snd(id, 6, "", IPC_NOWAIT));
}

static void longer_than_the_queue(void)
{
	int id = make(0600);

	CALL(set_qbytes(id, 10));
	CALL(snd_len(id, 1, 11, IPC_NOWAIT));
	CALL(snd_len(id, 1, 8193, IPC_NOWAIT));
	CALL(snd_len(id, 1, 10, IPC_NOWAIT));
}

static void default_room(void)
{
	int id = make(0600), n = 0;

	while (!snd_len(id, 1, 1000, IPC_NOWAIT))
		n++;
	SHOW(n);
	SHOW(errno == EAGAIN);
	CALL(snd_len(id, 1, 384, IPC_NOWAIT));
	CALL(snd_len(id, 1, 1, IPC_NOWAIT));
}

static void may_not_send_steps(void)
{
	become(1000, 1000);
	CALL(snd(queue, 1, "b", 0));
	CALL(snd(queue, 1, "b", IPC_NOWAIT));
	take(queue, 0, 0);
}

static void may_not_send(void)
{
	queue = make(0444);
	CALL(snd(queue, 1, "a", 0));
	in_child(may_not_send_steps);
}

static void may_not_receive_steps(void)
{
	become(1000, 1000);
	CALL(snd(queue, 1, "b", 0));
	take(queue, 0, 0);
}

static void may_not_receive(void)
{
	queue = make(0222);
	in_child(may_not_receive_steps);
	take(queue, 0, 0);
}

static void may_nothing_steps(void)
{
	become(1000, 1000);
	CALL(snd(queue, 1, "b", 0));
	take(queue, 0, 0);
	CALL(snd(queue, 0, "b", 0));
}

static void may_nothing(void)
{
	queue = make(0600);
	in_child(may_nothing_steps);
}

static void unreadable(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int id = make(0600);
	long type = 1;

	mprotect(page + 4096, 4096, PROT_NONE);
	CALL(msgsnd(id, (void *)8, 1, 0));
	CALL(msgsnd(id, page + 4096, 1, 0));
	memcpy(page + 4088, &type, sizeof(type));
	CALL(msgsnd(id, page + 4088, 1, 0));
	CALL(msgsnd(id, page + 4088, 0, 0));
	memcpy(page + 4080, &type, sizeof(type));
	CALL(msgsnd(id, page + 4080, 9, 0));
	CALL(msgsnd(id, page + 4080, 8, 0));
	CALL(msgsnd(id, page + 4092, 0, 0));
	CALL(msgsnd(id, (void *)-8L, 0, 0));
	SHOW(state(id).msg_qnum);
}

static void unwritable_text(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int id = make(0600);

	mprotect(page + 4096, 4096, PROT_READ);
	CALL(snd(id, 1, "abc", 0));
	/* Behind the type. */
	CALL(msgrcv(id, page + 4096 - sizeof(long), 10, 0, 0));
	SHOW(state(id).msg_qnum);
}

static void unwritable_type(void)
{
	int id = make(0600);

	CALL(snd(id, 1, "", 0));
	CALL(msgrcv(id, (void *)8, 10, 0, 0));
	SHOW(state(id).msg_qnum);
	CALL(msgrcv(id, (void *)8, 10, 0, IPC_NOWAIT));
}

static void unwritable_end_of_type(void)
{
	int id = make(0600);
	size_t len;

	for (len = 1; len <= sizeof(long); len++) {
		CALL(snd(id, 1, "", 0));
		CALL(msgrcv(id, before_bad(len), 10, 0, 0));
		SHOW(state(id).msg_qnum);
	}
}

static void copies(void)
{
	int id = make(0600);

	fill(id);
	take(id, 0, MSG_COPY);
	take(id, 3, MSG_COPY);
	take(id, 4, MSG_COPY);
	take(id, 5, MSG_COPY);
	take(id, 1000, MSG_COPY);
	take(id, 0, MSG_COPY);
	SHOW(state(id).msg_qnum);
	drain(id);
}

static void copy_flags(void)
{
	struct message m;
	int id = make(0600);

	fill(id);
	CALL(msgrcv(id, &m, 10, 0, MSG_COPY));
	CALL(msgrcv(id, &m, 10, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT));
	CALL(msgrcv(id, &m, 10, -1, MSG_COPY | IPC_NOWAIT));
	CALL(msgrcv(id, &m, 10, LONG_MIN, MSG_COPY | IPC_NOWAIT));
	CALL(msgrcv(id, &m, 10, LONG_MAX, MSG_COPY | IPC_NOWAIT));
	SHOW(state(id).msg_qnum);
}

static void copy_too_long(void)
{
	int id = make(0600);

	CALL(snd(id, 1, "abcdef", 0));
	take_len(id, 5, 0, MSG_COPY);
	take_len(id, 5, 0, MSG_COPY | MSG_NOERROR);
	take_len(id, 6, 0, MSG_COPY);
	SHOW(state(id).msg_qnum);
	take(id, 0, 0);
}

static void copy_nothing(void)
{
	int id = make(0600);

	take(id, 0, MSG_COPY);
	take(id, 1, MSG_COPY);
}

static void long_queue(void)
{
	struct message m;
	int id = make(0600), i, wrong = 0;

	for (i = 0; i < 1000; i++)
		wrong += snd_len(id, i % 100 + 1, 1, IPC_NOWAIT) != 0;
	for (i = 99; i >= 0; i--)
		wrong += msgrcv(id, &m, 1, i + 1, IPC_NOWAIT) != 1 || m.type != i + 1;
	for (i = 0; i < 9; i++)
		wrong += msgrcv(id, &m, 1, -50, IPC_NOWAIT) != 1 || m.type != 1;
	wrong += msgrcv(id, &m, 1, -50, IPC_NOWAIT) != 1 || m.type != 2;
	SHOW(wrong);
	SHOW(state(id).msg_qnum);
}

static void other_flags(void)
{
	int id = make(0600);

	CALL(snd(id, 1, "a", 01 | 040000));
	take(id, 0, 0100000);
}

const struct row message_rows[] = {
	{ "msgrcv: msgtyp 0: the first message in the queue", first_in_first_out },
	{ "msgrcv: msgtyp above 0: the first message of that type", by_type },
	{ "msgrcv: MSG_EXCEPT: the first message of another type", except },
	{ "msgrcv: MSG_EXCEPT is about types above 0", except_without_type },
	{ "msgrcv: msgtyp below 0: the first of the lowest type not above its value", lowest },
	{ "msgrcv: the value of LONG_MIN is LONG_MAX", lowest_of_all },
	{ "msgsnd: a type is a positive long", large_types },
	{ "msgsnd: EINVAL: mtype is less than 1", bad_types },
	{ "msgrcv: ENOMSG: IPC_NOWAIT, and no such message", no_message },
	{ "msgop: EINVAL: no queue has this identifier", bad_ids },
	{ "msgctl: EINVAL: the queue was removed", removed_id },
	{ "msgop: EINVAL: another process has removed it", removed_elsewhere },
	{ "msgop: likewise without IPC_NOWAIT", removed_before_a_wait, "first use" },
	{ "msgsnd: messages of zero length are permitted", empty_messages },
	{ "msgsnd: EINVAL: msgsz is above MSGMAX, or below 0", lengths },
	{ "msgrcv: EINVAL: msgsz is below 0", receive_lengths },
	{ "msgrcv: E2BIG: the text is longer than msgsz, and stays in the queue", too_long },
	{ "msgrcv: MSG_NOERROR: the text is cut, and the rest is lost", cut },
	{ "msgrcv: nothing behind the text is written", not_beyond },
	{ "msgop: the text and its type arrive, of every length", all_contents },
	{ "msgop: a structure at an odd address (Linux)", unaligned },
	{ "msgrcv: a call that fails writes nothing", failure_leaves_the_buffer },
	{ "msgsnd: EAGAIN: the bytes would exceed msg_qbytes", full_by_bytes },
	{ "msgsnd: EAGAIN: the number of messages would exceed msg_qbytes", full_by_number },
	{ "msgsnd: EAGAIN: longer than msg_qbytes, but not than MSGMAX", longer_than_the_queue },
	{ "msgsnd: a new queue has room for MSGMNB bytes", default_room },
	{ "msgsnd: EACCES: no write permission", may_not_send },
	{ "msgrcv: EACCES: no read permission", may_not_receive },
	{ "msgop: EACCES: no permission at all", may_nothing },
	{ "msgsnd: EFAULT: msgp is not accessible", unreadable },
	{ "msgrcv: EFAULT: the text cannot be written (Linux: the message is lost)",
	  unwritable_text, "addresses" },
	{ "msgrcv: EFAULT: the type cannot be written", unwritable_type },
	{ "msgrcv: EFAULT: the end of the type cannot be written", unwritable_end_of_type },
	{ "msgrcv: MSG_COPY: a copy of the message at the position msgtyp", copies,
	  .optional = true },
	{ "msgrcv: MSG_COPY: EINVAL without IPC_NOWAIT and with MSG_EXCEPT", copy_flags,
	  .optional = true },
	{ "msgrcv: MSG_COPY: E2BIG and MSG_NOERROR", copy_too_long, .optional = true },
	{ "msgrcv: MSG_COPY: ENOMSG: no message at the position", copy_nothing, .optional = true },
	{ "msgrcv: types in a long queue", long_queue },
	{ "msgop: other flags are ignored", other_flags },
	{ 0 },
};
