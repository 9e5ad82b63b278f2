// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: no system call while neither side has to wait. Each test traces
 * processes with ptrace(2) and counts the calls that they make.
 */
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "wrappers.h"

/**
 * struct plan - shared by the processes that carry it out
 * @met: how many have come to where they meet, each time counted on
 * @messages: how many to send and receive where it counts
 */
struct plan {
	_Atomic int met;
	int messages;
};

/* What a traced process does; it calls MARK before and after what counts. */
typedef int (*work_fn)(struct mbox *mb, struct plan *plan);

/* A call that nothing else makes here. */
#define MARK SYS_getppid

static void mark(void)
{
	syscall(MARK);
}

/**
 * struct traced - a traced process
 * @pid: its id
 * @marks: how often it was seen to call MARK
 * @counted: its other calls between the first and the second
 * @first: one of them
 * @status: how it ended, as waitpid(2) has it; -1: not yet
 */
struct traced {
	pid_t pid;
	int marks;
	int counted;
	int first;
	int status;
};

static int start(struct traced *t, work_fn work, struct mbox *mb, struct plan *plan)
{
	int status;

	*t = (struct traced){ .status = -1, .first = -1 };
	t->pid = fork();
	if (t->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) || raise(SIGSTOP))
			_exit(100);
		_exit(work(mb, plan));
	}
	if (t->pid < 0 || waitpid(t->pid, &status, 0) != t->pid || !WIFSTOPPED(status))
		return -1;
	if (ptrace(PTRACE_SETOPTIONS, t->pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		return -1;
	return ptrace(PTRACE_SYSCALL, t->pid, 0, 0);
}

/* It stopped: note why, and let it go on. */
static int go_on(struct traced *t, int status)
{
	struct __ptrace_syscall_info info = { 0 };
	int signal = 0;

	if (!WIFSTOPPED(status)) {
		t->status = status;
		return 0;
	}
	if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
		signal = WSTOPSIG(status);
	} else {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, sizeof(info), &info) <= 0)
			return -1;
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			if (info.entry.nr == MARK) {
				t->marks++;
			} else if (t->marks == 1) {
				t->counted++;
				t->first = info.entry.nr;
			}
		}
	}
	return ptrace(PTRACE_SYSCALL, t->pid, 0, signal);
}

/* Until all @n have ended. */
static int trace_all(struct traced *t, int n)
{
	int ended = 0, status, i;
	pid_t pid;

	while (ended < n) {
		pid = waitpid(-1, &status, __WALL);
		for (i = 0; i < n && t[i].pid != pid; i++)
			;
		if (pid < 0 || i == n || go_on(&t[i], status))
			return -1;
		ended += t[i].status != -1;
	}
	return 0;
}

FIXTURE(ring_syscalls)
{
	struct plan *plan;
	struct mbox *mb;
};

FIXTURE_VARIANT(ring_syscalls)
{
	__u32 mode;
	__u32 flags;
	int messages;
	/* Calls of a send and a receive. */
	int calls;
};

FIXTURE_VARIANT_ADD(ring_syscalls, ring)
{
	.mode = MBOX_RING,
	.messages = 1000,
};

FIXTURE_VARIANT_ADD(ring_syscalls, one_sender_one_receiver)
{
	.mode = MBOX_RING,
	.messages = 1000,
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
};

/* What the counting itself is checked with. Each call that is traced takes long. */
FIXTURE_VARIANT_ADD(ring_syscalls, queue)
{
	.mode = MBOX_QUEUE,
	.messages = 100,
	.calls = 1,
};

FIXTURE_SETUP(ring_syscalls)
{
	struct mbox_attr attr = attr_of(variant->flags, 4 * variant->messages);

	attr.mode = variant->mode;
	attr.msg_max = 64;
	self->mb = mbox_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	ASSERT_TRUE(!!self->mb) {
		TH_LOG("mbox_create: %s", strerror(errno));
	}
	self->plan = shared_memory(sizeof(*self->plan));
	ASSERT_TRUE(!!self->plan);
	self->plan->messages = variant->messages;
}

FIXTURE_TEARDOWN(ring_syscalls)
{
	munmap(self->plan, sizeof(*self->plan));
	mbox_close(self->mb);
}

static int send_some(struct mbox *mb, int from, int n)
{
	char data[64] = "";
	int i;

	for (i = from; i < from + n; i++) {
		memcpy(data, &i, sizeof(i));
		if (mbox_send(mb, data, sizeof(data), 0))
			return -1;
	}
	return 0;
}

static int recv_some(struct mbox *mb, int from, int n)
{
	char data[64] = "";
	int i, got;

	for (i = from; i < from + n; i++) {
		if (mbox_recv(mb, data, sizeof(data), 0) != sizeof(data))
			return -1;
		memcpy(&got, data, sizeof(got));
		if (got != i)
			return -1;
	}
	return 0;
}

/* The first message of each side maps the ring. */
static int alone(struct mbox *mb, struct plan *plan)
{
	if (send_some(mb, 0, 1) || recv_some(mb, 0, 1))
		return 1;
	mark();
	if (send_some(mb, 1, plan->messages) || recv_some(mb, 1, plan->messages))
		return 2;
	mark();
	return 0;
}

TEST_F(ring_syscalls, one_process_makes_no_call)
{
	struct traced t;

	ASSERT_EQ(0, start(&t, alone, self->mb, self->plan));
	ASSERT_EQ(0, trace_all(&t, 1));
	EXPECT_EQ(0, t.status);
	EXPECT_EQ(2, t.marks);
	EXPECT_EQ(2 * variant->messages * variant->calls, t.counted) {
		TH_LOG("call %d", t.first);
	}
}

/* Meet the other process, without a system call. */
static void meet(struct plan *plan, int all)
{
	plan->met++;
	while (plan->met < all)
		;
}

/*
 * The sender is ahead by the messages that count, and there is room for more:
 * neither waits, whatever the CPUs do.
 */
static int sender(struct mbox *mb, struct plan *plan)
{
	if (send_some(mb, 0, 1 + plan->messages))
		return 1;
	mark();
	meet(plan, 2);
	if (send_some(mb, 1 + plan->messages, plan->messages))
		return 2;
	mark();
	/* The end of a sender wakes receivers, and this is about neither. */
	meet(plan, 4);
	return 0;
}

static int receiver(struct mbox *mb, struct plan *plan)
{
	if (recv_some(mb, 0, 1))
		return 1;
	mark();
	meet(plan, 2);
	if (recv_some(mb, 1, plan->messages))
		return 2;
	mark();
	meet(plan, 4);
	return recv_some(mb, 1 + plan->messages, plan->messages) ? 3 : 0;
}

TEST_F(ring_syscalls, two_processes_make_no_call_while_neither_waits)
{
	struct traced t[2];
	int i;

	ASSERT_EQ(0, start(&t[0], sender, self->mb, self->plan));
	ASSERT_EQ(0, start(&t[1], receiver, self->mb, self->plan));
	ASSERT_EQ(0, trace_all(t, 2));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, t[i].status);
		EXPECT_EQ(2, t[i].marks);
		EXPECT_EQ(variant->messages * variant->calls, t[i].counted) {
			TH_LOG("process %d, call %d", i, t[i].first);
		}
	}
}

TEST_HARNESS_MAIN
