// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages per second through a POSIX message queue. This program knows nothing of
 * mailboxes; started with LD_PRELOAD=libmbox-mq.so, it uses one.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = 64 };
	char text[64] = "a message";
	struct timespec start, end;
	unsigned int i, n;
	mqd_t mq;

	if (argc != 3) {
		fprintf(stderr, "usage: mq_rate /NAME MESSAGES\n");
		return 2;
	}
	n = strtoul(argv[2], NULL, 10);
	/* The queue remains, for whoever has chosen its name. */
	mq = mq_open(argv[1], O_RDWR | O_CREAT, 0600, &attr);
	if (mq == (mqd_t)-1) {
		perror(argv[1]);
		return 1;
	}

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < n; i++)
		if (mq_send(mq, text, sizeof(text), 0) < 0 ||
		    mq_receive(mq, text, sizeof(text), NULL) < 0) {
			perror(argv[1]);
			return 1;
		}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.0f\n", n / (end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9));
	mq_close(mq);

	return 0;
}
