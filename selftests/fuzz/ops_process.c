// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on processes: children, signals, identity, namespaces, passing
 * descriptors, priorities; and making the kernel fail.
 */
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fuzz.h"

/* ---- descriptors over sockets ------------------------------------------- */

long op_pass(struct worker *l, const struct op *op)
{
	int fds[3], i, n = 1 + op->a[2] % 3;
	union {
		char space[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	for (i = 0; i < n; i++)
		fds[i] = slot_fd(op->a[0] + i);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(head), fds, n * sizeof(int));
	return sendmsg(inbox_tx[op->a[1] % PROCS], &msg,
		       MSG_DONTWAIT | MSG_NOSIGNAL);
}

long op_take(struct worker *l, const struct op *op)
{
	int fds[3], i, n = 0;
	union {
		char space[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int flags = MSG_DONTWAIT | (op->a[1] & 1 ? MSG_PEEK : 0);
	struct cmsghdr *head;

	if (recvmsg(inbox_rx[l->proc->index], &msg, flags) < 0)
		return -errno;
	head = CMSG_FIRSTHDR(&msg);
	if (head && head->cmsg_type == SCM_RIGHTS) {
		n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(head), n * sizeof(int));
	}
	for (i = 0; i < n; i++)
		slot_put(op->a[0] + i, fds[i]);
	return n;
}

/* ---- children and signals ----------------------------------------------- */

unsigned int fork_ops(const struct op *op)
{
	return 1 + op->a[0] % 6;
}

static void child_namespaces(uint8_t how)
{
	/* These cost much time. */
	if (how < 0xe8)
		return;
	if (how & 1)
		unshare(CLONE_NEWUSER);
	if (how & 2)
		unshare(CLONE_NEWNET);
	if (how & 4)
		unshare(CLONE_NEWPID | CLONE_NEWNS);
}

/* The next operations of the program are the child's. */
long op_fork(struct worker *l, const struct op *op)
{
	unsigned int from = l->at + 1;
	pid_t pid;

	if (l->child || l->nchildren == WORKER_CHILDREN)
		return 0;
	/* A signal makes clone() begin anew, and it can take longer than a tick. */
	worker_tick(l, false);
	pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid)
		worker_tick(l, true);
	if (pid < 0)
		return -errno;
	if (pid) {
		l->patient[l->nchildren] = op->a[1] & 1;
		l->children[l->nchildren++] = pid;
		return 0;
	}
	worker_become_child(l);
	child_namespaces(op->a[2]);
	worker_run_ops(l, from, from + fork_ops(op));
	_exit(0);
}

long op_kill(struct worker *l, const struct op *op)
{
	const struct worker_shared *to = &shared->worker[op->a[1] % WORKERS];
	pid_t child = l->nchildren ? l->children[op->a[1] % l->nchildren] : 0;
	static const int signals[] = { SIGUSR1, SIGUSR2 };
	static const int child_signals[] = {
		SIGKILL, SIGKILL, SIGSTOP, SIGCONT, SIGUSR1, SIGUSR2,
	};
	int sig;

	if (op->a[0] & 1 && child > 0 && !l->child) {
		sig = child_signals[op->a[2] % ARRAY_SIZE(child_signals)];
		return kill(child, sig);
	}
	return syscall(SYS_tgkill, to->pid, to->tid, signals[op->a[2] & 1]);
}

void ops_process_reap(struct worker *l)
{
	uint64_t limit = now_ns(CLOCK_MONOTONIC) + NSEC / 2;
	unsigned int i;
	int status;

	for (i = 0; i < l->nchildren; i++) {
		pid_t pid = l->children[i];

		while (l->patient[i] && now_ns(CLOCK_MONOTONIC) < limit &&
		       !waitpid(pid, &status, WNOHANG))
			usleep(500);
		kill(pid, SIGKILL);
		/* Interrupted by the worker's timer; already waited for. */
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	l->nchildren = 0;
}

/* A signal soon, also in the midst of a call. */
long op_alarm(struct worker *l, const struct op *op)
{
	struct itimerspec spec = {
		.it_value.tv_nsec = (1 + op->a[0]) * 30000,
		.it_interval.tv_nsec = 8000000,
	};

	return l->child ? 0 : timer_settime(l->timer, 0, &spec, NULL);
}

/* As op_alarm(), but calls go on after it. */
long op_nudge(struct worker *l, const struct op *op)
{
	nudge(l, op->a[0]);
	return 0;
}

long op_sleep(struct worker *l, const struct op *op)
{
	struct timespec ts = { .tv_nsec = (op->a[0] & 127) * 5000 };

	if (!ts.tv_nsec)
		return sched_yield();
	return nanosleep(&ts, NULL);
}

/* ---- identity, namespaces, priority ------------------------------------- */

long op_setuid(struct worker *l, const struct op *op)
{
	unsigned int id = job_user(op->a[0]), gid = job_user(op->a[1]);

	/* The raw calls change this thread only; root remains to go back to. */
	if (op->a[2] & 1)
		syscall(SYS_setresgid, gid, gid, 0);
	switch (op->a[2] >> 1 & 3) {
	default:
		return syscall(SYS_setresuid, id, id, 0);
	case 2:
		return syscall(SYS_setresuid, -1, id, -1);
	case 3:
		return syscall(SYS_setfsuid, id);
	}
}

long op_setns(struct worker *l, const struct op *op)
{
	return setns(net_ns[op->a[0] & 1], CLONE_NEWNET);
}

long op_nice(struct worker *l, const struct op *op)
{
	struct sched_param param = { .sched_priority = 1 + op->a[1] % 3 };

	/* The raw call: of this thread. */
	if (op->a[0] >= 224)
		return syscall(SYS_sched_setscheduler, 0,
			       op->a[0] & 1 ? SCHED_FIFO : SCHED_RR, &param);
	return setpriority(PRIO_PROCESS, syscall(SYS_gettid),
			   (int)(op->a[0] % 40) - 20);
}

void ops_process_reset(struct worker *l)
{
	struct sched_param param = {};

	if (shared->has_setuid) {
		syscall(SYS_setfsuid, 0);
		syscall(SYS_setresuid, 0, 0, 0);
		syscall(SYS_setresgid, 0, 0, 0);
	}
	if (shared->has_nice) {
		syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param);
		setpriority(PRIO_PROCESS, syscall(SYS_gettid), 0);
	}
	if (shared->has_setns)
		setns(net_ns[0], CLONE_NEWNET);
}

/* ---- the kernel --------------------------------------------------------- */

/* One allocation or copy of the next operation fails. */
long op_fail(struct worker *l, const struct op *op)
{
	l->fail_nth = 1 + op->a[0] % 24;
	return 0;
}

long op_param(struct worker *l, const struct op *op)
{
	module_param_set(op->a[0], op->a[1]);
	return 0;
}

/* From here on the worker is a user with a low limit of messages. */
long op_poor(struct worker *l, const struct op *op)
{
	static const unsigned long bytes[] = { 192, 320, 640, 1024, 2048, 8192 };
	uint32_t id = job_user(1 + (op->a[1] & 1));

	module_set_user_bytes(bytes[op->a[0] % ARRAY_SIZE(bytes)]);
	return syscall(SYS_setresuid, id, id, 0);
}
