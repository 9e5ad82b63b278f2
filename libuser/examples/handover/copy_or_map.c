// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same data to another process in two ways. Copied: in messages, each of which the kernel
 * copies in and out. Mapped: one message with a descriptor of the memory that they are in,
 * which the receiver maps. Both sides touch every byte, as they would in earnest.
 *
 * usage: copy_or_map              both, for 16 MiB
 *        copy_or_map -t [TIMES]   the time of both, by the size of the data
 */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <time.h>

#include "example.h"

/* Of one message. */
#define PIECE 65536
#define SIZE_MOST (16 << 20)
#define TIMES 9

static struct mbox *mail, *answers;
static char data[SIZE_MOST], got[SIZE_MOST];
static size_t size;

/* What the receiver says of the data: how many messages they came in, and their sum. */
struct receipt {
	int messages;
	unsigned int sum;
};

static void answer(const char *from, int messages)
{
	struct receipt r = { .messages = messages };
	size_t i;

	for (i = 0; i < size; i++)
		r.sum += (unsigned char)from[i];
	TRY(mbox_send(answers, &r, sizeof(r), 0));
}

/* [copy] */
static void send_copies(void)
{
	size_t at, len;

	for (at = 0; at < size; at += len) {
		len = size - at < PIECE ? size - at : PIECE;
		TRY(mbox_send(mail, data + at, len, 0));
	}
}

static void recv_copies(void)
{
	int messages = 0;
	size_t at;

	for (at = 0; at < size; messages++)
		at += TRY(mbox_recv(mail, got + at, PIECE, 0));
	answer(got, messages);
}

/* [/copy] */
/* [map] */
static void send_memory(void)
{
	int mem = TRY(memfd_create("data", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	struct mbox_msg msg = { .fds = MBOX_PTR(&mem), .nfds = 1 };

	if (TRY(write(mem, data, size)) != (ssize_t)size)
		give_up("write");
	/* So that the receiver can rely on it. */
	TRY(fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
	TRY(mbox_sendmsg(mail, &msg));
	close(mem);
}

static void recv_memory(void)
{
	int mem = -1;
	struct mbox_msg msg = { .fds = MBOX_PTR(&mem), .nfds = 1 };
	struct stat st;
	char *p;

	TRY(mbox_recvmsg(mail, &msg));
	TRY(fstat(mem, &st));
	if (!(TRY(fcntl(mem, F_GET_SEALS)) & F_SEAL_SHRINK) || st.st_size < (off_t)size)
		give_up("seals and size");
	p = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, mem, 0);
	if (p == MAP_FAILED)
		give_up("mmap");
	answer(p, 1);
	munmap(p, size);
	close(mem);
}

/* [/map] */

static const struct way {
	const char *name;
	void (*send)(void);
	void (*recv)(void);
} ways[] = {
	{ "copied", send_copies, recv_copies },
	{ "mapped", send_memory, recv_memory },
};

/* Receives so many times by each way in turn. */
static void receive(int times)
{
	while (times--) {
		ways[0].recv();
		ways[1].recv();
	}
}

static struct receipt hand_over(const struct way *way)
{
	struct receipt r;

	way->send();
	TRY(mbox_recv(answers, &r, sizeof(r), 0));

	return r;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);

	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* The least of some times: others disturb, and nothing makes it faster. */
static void print_times(int times)
{
	double least[2] = { 0 }, begin, us;
	int i, way;

	printf("%10s %14s %14s\n", "bytes", "copied, us", "mapped, us");
	for (size = 4096; size <= SIZE_MOST; size *= 4) {
		/* A line that waits would be printed by the child, too. */
		fflush(stdout);
		start(receive, times);
		for (i = 0; i < times; i++) {
			for (way = 0; way < 2; way++) {
				begin = now();
				hand_over(&ways[way]);
				us = now() - begin;
				if (i == 0 || us < least[way])
					least[way] = us;
			}
		}
		join();
		printf("%10zu %14.0f %14.0f\n", size, least[0], least[1]);
	}
}

int main(int argc, char **argv)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct receipt r;
	size_t i;
	int way;

	attr.capacity = 16;
	attr.msg_max = PIECE;
	mail = TRY_NEW(mbox_create(NULL, O_RDWR, &attr));
	answers = new_mailbox(MBOX_QUEUE, 0, 1);
	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 31 + i / 4096;
	if (argc > 1 && !strcmp(argv[1], "-t")) {
		print_times(argc > 2 ? atoi(argv[2]) : TIMES);
		return 0;
	}

	size = SIZE_MOST;
	start(receive, 1);
	for (way = 0; way < 2; way++) {
		r = hand_over(&ways[way]);
		say("%s: %d MiB in %d message%s, with the sum %u", ways[way].name, SIZE_MOST >> 20,
		    r.messages, r.messages == 1 ? "" : "s", r.sum);
	}
	join();

	return 0;
}
