// SPDX-License-Identifier: GPL-2.0-only
/*
 * A work queue that ends: when the parent has no more jobs, each worker finds the end
 * of the queue, and when the last worker has gone, the parent finds the end of the
 * results. Each process reopens the two mailboxes with the one right that it needs, and
 * then closes the handle with both rights.
 */
#include <errno.h>
#include <mbox.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 3
#define JOBS 100

/* @mb with less rights, in its place. */
static struct mbox *keep_right(struct mbox *mb, int oflags)
{
	struct mbox *reduced = mbox_reopen(mb, oflags);

	/* In this order, so that the other side sees no moment without a handle. */
	mbox_close(mb);

	return reduced;
}

static int work(struct mbox *jobs, struct mbox *results)
{
	long job, result;

	jobs = keep_right(jobs, O_RDONLY);
	results = keep_right(results, O_WRONLY);
	if (!jobs || !results)
		return 1;

	/* [work] */
	while (mbox_recv(jobs, &job, sizeof(job), 0) == sizeof(job)) {
		result = job * job;
		if (mbox_send(results, &result, sizeof(result), 0) < 0)
			return 1;
	}

	/* The end of the queue. */
	return errno != EPIPE;
	/* [/work] */
}

static int give_jobs(struct mbox *jobs)
{
	long job;

	for (job = 1; job <= JOBS; job++) {
		/* EPIPE here says that all workers have died. */
		if (mbox_send(jobs, &job, sizeof(job), 0) < 0)
			return -1;
	}

	return mbox_close(jobs);
}

int main(void)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *jobs, *results;
	long result, sum = 0;
	int i, n = 0;

	attr.flags = MBOX_HANGUP;
	jobs = mbox_create(NULL, O_RDWR, &attr);
	/* The parent takes no result before it has given the last job. */
	attr.capacity = MBOX_UNBOUNDED;
	results = mbox_create(NULL, O_RDWR, &attr);
	if (!jobs || !results) {
		perror("mbox_create");
		return 1;
	}

	for (i = 0; i < WORKERS; i++) {
		if (fork() == 0)
			return work(jobs, results);
	}

	jobs = keep_right(jobs, O_WRONLY);
	results = keep_right(results, O_RDONLY);
	if (!jobs || !results || give_jobs(jobs) < 0) {
		perror("cannot give the jobs");
		return 1;
	}
	while (mbox_recv(results, &result, sizeof(result), 0) == sizeof(result)) {
		sum += result;
		n++;
	}
	if (errno != EPIPE) {
		perror("mbox_recv");
		return 1;
	}
	mbox_close(results);
	while (wait(NULL) > 0)
		;
	printf("%d results, their sum is %ld\n", n, sum);

	return 0;
}
