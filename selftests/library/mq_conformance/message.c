// SPDX-License-Identifier: GPL-2.0-only
/* Rows about messages: mq_send(3), mq_receive(3), priorities, lengths, attributes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rows.h"

/* What is received next, without waiting. */
static void take(mqd_t q)
{
	unsigned int prio = 99999;
	struct mq_attr attr;
	char text[8193];
	ssize_t n;

	if (mq_getattr(q, &attr) || attr.mq_msgsize >= (long)sizeof(text)) {
		add("mq_getattr; ");
		return;
	}
	if (!attr.mq_curmsgs) {
		add("none; ");
		return;
	}
	n = mq_receive(q, text, attr.mq_msgsize, &prio);
	if (n < 0) {
		add("%s; ", strerrorname_np(errno));
		return;
	}
	text[n] = '\0';
	add("'%s' %u; ", text, prio);
}

static void current(mqd_t q)
{
	struct mq_attr attr = { .mq_curmsgs = -1 };

	mq_getattr(q, &attr);
	SHOW(attr.mq_curmsgs);
}

static void fifo(void)
{
	mqd_t q = make(4, 64, O_RDWR);

	CALL(mq_send(q, "a", 1, 3));
	CALL(mq_send(q, "b", 1, 3));
	CALL(mq_send(q, "c", 1, 3));
	take(q);
	take(q);
	take(q);
	take(q);
}

static void highest_first(void)
{
	mqd_t q = make(9, 64, O_RDWR);

	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_send(q, "b", 1, 7));
	CALL(mq_send(q, "c", 1, 32767));
	CALL(mq_send(q, "d", 1, 7));
	CALL(mq_send(q, "e", 1, 1));
	CALL(mq_send(q, "f", 1, 32766));
	take(q);
	take(q);
	take(q);
	CALL(mq_send(q, "g", 1, 6));
	take(q);
	take(q);
	take(q);
	take(q);
}

static void many_priorities(void)
{
	mqd_t q = make(200, 64, O_RDWR);
	unsigned int i, prio, last = UINT_MAX, wrong = 0;
	char text[64];

	for (i = 0; i < 200; i++)
		mq_send(q, "x", 1, i * 7919 % 32768);
	for (i = 0; i < 200; i++) {
		if (mq_receive(q, text, sizeof(text), &prio) != 1 || prio > last)
			wrong++;
		last = prio;
	}
	SHOW(wrong);
	current(q);
}

static void highest_priority(void)
{
	mqd_t q = make(4, 64, O_RDWR);

	CALL(sysconf(_SC_MQ_PRIO_MAX));
	CALL(mq_send(q, "a", 1, 32767));
	CALL(mq_send(q, "b", 1, 32768));
	CALL(mq_send(q, "c", 1, UINT_MAX));
	current(q);
	take(q);
}

static void priority_before_descriptor(void)
{
	CALL(mq_send(-1, "b", 1, 32768));
	CALL(mq_send(-1, "b", 1, 32767));
}

static void priority_is_stored(void)
{
	unsigned int prio = 4711;
	mqd_t q = make(4, 64, O_RDWR | O_NONBLOCK);
	char text[64];

	CALL(mq_receive(q, text, sizeof(text), &prio));
	SHOW(prio);
	CALL(mq_send(q, "a", 1, 12));
	CALL(mq_receive(q, text, 1, &prio));
	SHOW(prio);
	CALL(mq_receive(q, text, sizeof(text), &prio));
	SHOW(prio);
}

static void no_priority_wanted(void)
{
	mqd_t q = make(4, 64, O_RDWR);
	char text[64];

	CALL(mq_send(q, "abc", 3, 12));
	CALL(mq_receive(q, text, sizeof(text), NULL));
}

static void lengths(void)
{
	char big[65] = "", text[64];
	mqd_t q = make(4, 64, O_RDWR);

	CALL(mq_send(q, big, 64, 0));
	CALL(mq_send(q, big, 65, 0));
	CALL(mq_send(q, big, 63, 0));
	CALL(mq_receive(q, text, sizeof(text), NULL));
	CALL(mq_receive(q, text, sizeof(text), NULL));
	current(q);
}

static void lengths_beyond(void)
{
	mqd_t q = make(4, 64, O_RDWR);
	char text[64] = "";

	CALL(mq_send(q, text, (size_t)INT_MAX + 1, 0));
	CALL(mq_send(q, text, BITS_33(1, 0x10001), 0));
	CALL(mq_send(q, text, SIZE_MAX, 0));
	current(q);
}

static void long_before_full(void)
{
	char text[65] = "";
	mqd_t q = make(1, 64, O_RDWR | O_NONBLOCK);

	CALL(mq_send(q, text, 1, 0));
	CALL(mq_send(q, text, 1, 0));
	CALL(mq_send(q, text, 65, 0));
}

static void empty_message(void)
{
	const char *volatile nothing = NULL;
	mqd_t q = make(4, 64, O_RDWR);
	char text[64] = "untouched";
	unsigned int prio = 1;

	CALL(mq_send(q, "", 0, 9));
	CALL(mq_send(q, nothing, 0, 0));
	current(q);
	CALL(mq_receive(q, text, sizeof(text), &prio));
	SHOW(prio);
	add("%s; ", text);
	CALL(mq_receive(q, text, sizeof(text), &prio));
}

static void short_buffer(void)
{
	mqd_t q = make(4, 64, O_RDWR);
	char text[64];

	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_receive(q, text, 63, NULL));
	CALL(mq_receive(q, text, 1, NULL));
	CALL(mq_receive(q, text, 0, NULL));
	current(q);
	CALL(mq_receive(q, text, 64, NULL));
}

static void short_buffer_and_no_message(void)
{
	struct timespec past = { 1, 0 };
	mqd_t q = make(4, 64, O_RDWR);
	char text[64];

	CALL(mq_receive(q, text, 63, NULL));
	CALL(mq_timedreceive(q, text, 63, NULL, &past));
	q = mq_open(name, O_RDONLY | O_NONBLOCK);
	CALL(mq_receive(q, text, 63, NULL));
}

static void longer_buffer(void)
{
	mqd_t q = make(4, 64, O_RDWR);
	char text[100];

	memset(text, 'x', sizeof(text));
	CALL(mq_send(q, "abc", 3, 0));
	CALL(mq_receive(q, text, sizeof(text), NULL));
	add("%.6s; ", text);
	CALL(mq_send(q, "abc", 3, 0));
	CALL(mq_receive(q, text, SIZE_MAX / 2, NULL));
}

static void content(void)
{
	unsigned char sent[4096], got[4096];
	unsigned int i, wrong = 0;
	mqd_t q = make(4, 4096, O_RDWR);

	for (i = 0; i < sizeof(sent); i++)
		sent[i] = i * 31 + i / 256;
	CALL(mq_send(q, (char *)sent, sizeof(sent), 0));
	CALL(mq_receive(q, (char *)got, sizeof(got), NULL));
	for (i = 0; i < sizeof(sent); i++)
		wrong += sent[i] != got[i];
	SHOW(wrong);
}

static void all_lengths(void)
{
	char sent[600], got[600];
	mqd_t q = make(4, 600, O_RDWR);
	unsigned int i, wrong = 0;

	for (i = 0; i < sizeof(sent); i++)
		sent[i] = i * 7 + 1;
	for (i = 0; i <= sizeof(sent); i += i < 80 ? 1 : 40) {
		memset(got, 0, sizeof(got));
		if (mq_send(q, sent, i, i % 3) || mq_receive(q, got, sizeof(got), NULL) != (int)i)
			wrong++;
		wrong += memcmp(sent, got, i) != 0;
		wrong += i < sizeof(got) && got[i];
	}
	SHOW(wrong);
}

static void full(void)
{
	mqd_t q = make(2, 64, O_RDWR | O_NONBLOCK);

	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_send(q, "b", 1, 0));
	CALL(mq_send(q, "c", 1, 32767));
	current(q);
	take(q);
	CALL(mq_send(q, "d", 1, 0));
	CALL(mq_send(q, "e", 1, 0));
	take(q);
	take(q);
	take(q);
}

static void empty(void)
{
	mqd_t q = make(2, 64, O_RDWR | O_NONBLOCK);
	unsigned int prio;
	char text[64];

	CALL(mq_receive(q, text, sizeof(text), &prio));
	CALL(mq_receive(q, text, sizeof(text), NULL));
}

static void not_a_queue(void)
{
	struct mq_attr attr = { 0 };
	int fds[7], i;
	char text[64];

	fds[0] = open("/dev/null", O_RDWR);
	fds[1] = open("/tmp", O_RDONLY);
	fds[2] = socket(AF_UNIX, SOCK_STREAM, 0);
	fds[3] = eventfd(0, 0);
	if (pipe(fds + 4))
		add("pipe; ");
	fds[6] = open("/proc/self/status", O_RDONLY);
	for (i = 0; i < 7; i++) {
		CALL(mq_send(fds[i], "a", 1, 0));
		CALL(mq_receive(fds[i], text, sizeof(text), NULL));
		CALL(mq_getattr(fds[i], &attr));
		CALL(mq_setattr(fds[i], &attr, NULL));
		CALL(mq_notify(fds[i], NULL));
	}
	CALL(mq_close(fds[0]));
}

static void no_descriptor(void)
{
	struct mq_attr attr = { 0 };
	char text[64];

	CALL(mq_send(-1, "a", 1, 0));
	CALL(mq_receive(-1, text, sizeof(text), NULL));
	CALL(mq_getattr(-1, &attr));
	CALL(mq_setattr(-1, &attr, NULL));
	CALL(mq_notify(-1, NULL));
	CALL(mq_send(1 << 30, "a", 1, 0));
}

static void path_descriptor(void)
{
	struct mq_attr attr;
	char path[64];
	mqd_t q = make(2, 64, O_RDWR);
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", q);
	fd = OPEN(open(path, O_PATH));
	CALL(mq_send(fd, "a", 1, 0));
	CALL(mq_getattr(fd, &attr));
}

static void set_nonblock(void)
{
	struct mq_attr attr = { .mq_flags = O_NONBLOCK, .mq_maxmsg = -5, .mq_msgsize = -5,
				.mq_curmsgs = 100 };
	mqd_t q = make(2, 64, O_RDWR);
	struct mq_attr old;
	char text[64];

	CALL(mq_setattr(q, &attr, &old));
	SHOW(old.mq_flags);
	CALL(mq_receive(q, text, sizeof(text), NULL));
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_flags == O_NONBLOCK);
	SHOW(attr.mq_maxmsg);
	SHOW(attr.mq_msgsize);
	SHOW(attr.mq_curmsgs);
	attr.mq_flags = 0;
	CALL(mq_setattr(q, &attr, &old));
	SHOW(old.mq_flags == O_NONBLOCK);
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_flags);
}

static void set_other_flags(void)
{
	struct mq_attr attr = { .mq_flags = O_NONBLOCK | O_APPEND }, old = { .mq_maxmsg = 77 };
	mqd_t q = make(2, 64, O_RDWR);

	CALL(mq_setattr(q, &attr, &old));
	SHOW(old.mq_maxmsg);
	attr.mq_flags = O_CREAT;
	CALL(mq_setattr(q, &attr, NULL));
	attr.mq_flags = -1;
	CALL(mq_setattr(q, &attr, NULL));
	CALL(mq_setattr(-1, &attr, NULL));
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_flags);
}

static void set_keeps_status_flags(void)
{
	struct mq_attr attr = { .mq_flags = O_NONBLOCK };
	mqd_t q = make(2, 64, O_RDWR);

	CALL(mq_setattr(q, &attr, NULL));
	SHOW((fcntl(q, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
	attr.mq_flags = 0;
	CALL(mq_setattr(q, &attr, NULL));
	SHOW((fcntl(q, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_RDWR);
}

static void set_by_fcntl(void)
{
	struct mq_attr attr;
	mqd_t q = make(2, 64, O_RDWR);
	char text[64];

	CALL(fcntl(q, F_SETFL, O_NONBLOCK));
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_flags == O_NONBLOCK);
	CALL(mq_receive(q, text, sizeof(text), NULL));
}

static void set_for_a_description(void)
{
	struct mq_attr attr = { .mq_flags = O_NONBLOCK };
	mqd_t q = make(2, 64, O_RDWR), other = mq_open(name, O_RDWR), copy = dup(q);

	CALL(mq_setattr(q, &attr, NULL));
	CALL(mq_getattr(other, &attr));
	SHOW(attr.mq_flags);
	CALL(mq_getattr(copy, &attr));
	SHOW(attr.mq_flags == O_NONBLOCK);
}

static void set_same_structure(void)
{
	struct mq_attr attr = { .mq_flags = O_NONBLOCK }, *volatile same = &attr;
	mqd_t q = make(2, 64, O_RDWR);

	CALL(mq_setattr(q, &attr, same));
	SHOW(attr.mq_flags);
	SHOW(attr.mq_maxmsg);
	CALL(mq_getattr(q, &attr));
	SHOW(attr.mq_flags == O_NONBLOCK);
}

static void count(void)
{
	mqd_t q = make(3, 64, O_RDWR), r = mq_open(name, O_RDONLY);

	current(q);
	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_send(q, "b", 1, 0));
	current(q);
	current(r);
	take(q);
	current(r);
}

static void attributes_with_any_right(void)
{
	struct mq_attr attr = { 0 };

	make(3, 64, O_RDWR);
	CALL(mq_getattr(mq_open(name, O_RDONLY), &attr));
	SHOW(attr.mq_maxmsg);
	CALL(mq_getattr(mq_open(name, O_WRONLY), &attr));
	SHOW(attr.mq_maxmsg);
}

static void large(void)
{
	static char sent[1 << 20], got[1 << 20];
	mqd_t q = make(2, sizeof(sent), O_RDWR);

	memset(sent, 'y', sizeof(sent));
	CALL(mq_send(q, sent, sizeof(sent), 1));
	CALL(mq_receive(q, got, sizeof(got), NULL));
	SHOW(memcmp(sent, got, sizeof(sent)));
}

static void unreadable(void)
{
	mqd_t q = make(2, 64, O_RDWR);

	CALL(mq_send(q, (char *)8, 5, 0));
	current(q);
}

static void unwritable(void)
{
	mqd_t q = make(2, 64, O_RDWR);

	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_receive(q, (char *)8, 64, NULL));
	current(q);
}

static void two_names(void)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	mqd_t q = make(2, 64, O_RDWR);
	mqd_t r = OPEN(mq_open(name2, O_CREAT | O_RDWR, 0600, &attr));

	CALL(mq_send(q, "a", 1, 0));
	CALL(mq_send(r, "b", 1, 0));
	take(r);
	take(q);
	take(r);
}

const struct row message_rows[] = {
	{ "mq_send: messages of one priority are received first in, first out", fifo },
	{ "mq_receive: receives the oldest of the highest priority messages", highest_first },
	{ "mq_send: a message is inserted after others of its priority, before lower ones",
	  many_priorities },
	{ "mq_send: EINVAL: msg_prio is not less than MQ_PRIO_MAX", highest_priority },
	{ "mq_send: which error comes first (Linux: EINVAL)", priority_before_descriptor },
	{ "mq_receive: the priority is stored, if a message was received", priority_is_stored },
	{ "mq_receive: msg_prio may be NULL", no_priority_wanted },
	{ "mq_send: msg_len may be up to mq_msgsize, above it EMSGSIZE", lengths },
	{ "mq_send: EMSGSIZE for a length that fits in no integer", lengths_beyond },
	{ "mq_send: EMSGSIZE comes before EAGAIN", long_before_full },
	{ "mq_send: zero-length messages are allowed", empty_message },
	{ "mq_receive: EMSGSIZE: msg_len is less than mq_msgsize, whatever the message has",
	  short_buffer },
	{ "mq_receive: EMSGSIZE also without a message", short_buffer_and_no_message },
	{ "mq_receive: returns the length of the message, and removes it", longer_buffer },
	{ "mq_receive: the message is copied to the buffer", content },
	{ "mq_receive: nothing behind the message is written", all_lengths },
	{ "mq_send: EAGAIN: O_NONBLOCK and the queue is full; nothing is queued", full },
	{ "mq_receive: EAGAIN: O_NONBLOCK and the queue is empty", empty },
	{ "mq_*: EBADF: the descriptor is of another kind of file", not_a_queue },
	{ "mq_*: EBADF: there is no such descriptor", no_descriptor },
	{ "open: EBADF: a descriptor that was opened with O_PATH", path_descriptor },
	{ "mq_setattr: sets O_NONBLOCK, and ignores the other attributes", set_nonblock },
	{ "mq_setattr: EINVAL: mq_flags has other bits (Linux)", set_other_flags },
	{ "mq_setattr: the other status flags stay", set_keeps_status_flags },
	{ "fcntl: sets O_NONBLOCK of a message queue descriptor, too", set_by_fcntl },
	{ "mq_setattr: the flag is of the open message queue description", set_for_a_description },
	{ "mq_setattr: omqstat gets the values from before", set_same_structure },
	{ "mq_getattr: mq_curmsgs is the number of messages in the queue", count },
	{ "mq_getattr: needs no right", attributes_with_any_right },
	{ "mq_send: messages of a megabyte", large },
	{ "mq_send: EFAULT is none of its errors (Linux: nothing is sent)", unreadable },
	{ "mq_receive: EFAULT is none of its errors (Linux: the message is lost)", unwritable,
	  "addresses" },
	{ "mq_open: queues of other names are other queues", two_names },
	{ 0 },
};
