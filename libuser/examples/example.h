/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the examples share: beginning and ending processes, ending on an error, and
 * printing. Everything else is in the file of the example.
 *
 * Comments such as "[producer]" and "[/producer]" mark lines that
 * Documentation/textbook.rst shows.
 */
#ifndef _EXAMPLE_H
#define _EXAMPLE_H

#include <errno.h>
#include <mbox.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* The result of @call; the program ends if that is negative. */
#define TRY(call) try_number(call, #call)

/* The result of @call; the program ends if that is NULL. */
#define TRY_NEW(call) try_pointer(call, #call)

static inline void give_up(const char *what)
{
	perror(what);
	_exit(1);
}

static inline long try_number(long result, const char *what)
{
	if (result < 0)
		give_up(what);

	return result;
}

static inline void *try_pointer(void *result, const char *what)
{
	if (!result)
		give_up(what);

	return result;
}

/* Print a line at once, so that the lines of several processes have a definite order. */
__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* A new process that calls @body with @number, and then ends. */
static inline pid_t start(void (*body)(int number), int number)
{
	pid_t pid = TRY(fork());

	if (pid == 0) {
		body(number);
		_exit(0);
	}

	return pid;
}

/* Wait for all processes that were started; the program ends if one failed. */
static inline void join(void)
{
	int status;

	while (wait(&status) > 0) {
		if (status)
			_exit(1);
	}
}

/* Wait until @senders and @receivers wait in calls on @mb. */
static inline void until_waiting(struct mbox *mb, unsigned int senders, unsigned int receivers)
{
	struct mbox_stat st;

	for (;;) {
		TRY(mbox_stat(mb, &st));
		if (st.waiting_senders == senders && st.waiting_receivers == receivers)
			return;
		sched_yield();
	}
}

/* A mailbox without a name: @mode, @flags and @capacity as in struct mbox_attr. */
static inline struct mbox *new_mailbox(unsigned int mode, unsigned int flags,
				       unsigned int capacity)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.mode = mode;
	attr.flags = flags;
	attr.capacity = capacity;

	return TRY_NEW(mbox_create(NULL, O_RDWR, &attr));
}

/* Send @text, and wait while there is no room. */
static inline void send_text(struct mbox *mb, const char *text)
{
	TRY(mbox_send(mb, text, strlen(text), 0));
}

/* Wait for a message, and receive it as text. */
static inline void recv_text(struct mbox *mb, char text[64])
{
	text[TRY(mbox_recv(mb, text, 63, 0))] = 0;
}

/* Memory of @size bytes, zero, that processes started later share. */
static inline void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		give_up("mmap");

	return p;
}

#endif /* _EXAMPLE_H */
