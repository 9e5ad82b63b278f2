// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handing over megabytes without copying them: the message carries a descriptor
 * of the memory that they are in.
 */
#define _GNU_SOURCE
#include <mbox.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (16 << 20)

static int give(struct mbox *mb)
{
	int mem = memfd_create("picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct mbox_msg msg = {
		.buf = (uintptr_t)"picture",
		.len = 7,
		.nfds = 1,
		.fds = (uintptr_t)&mem,
	};
	char *p;

	if (mem < 0 || ftruncate(mem, SIZE) < 0)
		return -1;
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	if (p == MAP_FAILED)
		return -1;
	memset(p, 'x', SIZE);
	munmap(p, SIZE);

	/* [give] */
	/* So that the receiver can rely on it. */
	if (fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -1;

	return mbox_sendmsg(mb, &msg);
	/* [/give] */
}

static int take(struct mbox *mb)
{
	char name[16];
	int mem = -1;
	struct mbox_msg msg = {
		.buf = (uintptr_t)name,
		.len = sizeof(name),
		.nfds = 1,
		.fds = (uintptr_t)&mem,
	};
	const char *p;
	ssize_t len;

	/* [take] */
	len = mbox_recvmsg(mb, &msg);
	if (len < 0 || msg.nfds != 1)
		return -1;
	/* Without this seal it could shrink, and reading it be fatal. */
	if (!(fcntl(mem, F_GET_SEALS) & F_SEAL_SHRINK))
		return -1;
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, mem, 0);
	if (p == MAP_FAILED)
		return -1;
	/* [/take] */
	printf("%.*s: %d MiB, from '%c' to '%c'\n", (int)len, name, SIZE >> 20, p[0], p[SIZE - 1]);

	return 0;
}

int main(void)
{
	struct mbox *mb = mbox_create(NULL, O_RDWR, NULL);
	int status = 1;

	if (!mb) {
		perror("mbox_create");
		return 1;
	}
	if (fork() == 0)
		return give(mb) < 0;
	if (wait(&status) < 0 || status || take(mb) < 0) {
		fprintf(stderr, "the memory was not handed over\n");
		return 1;
	}

	return mbox_close(mb) < 0;
}
