// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server that gives up all system calls but those with which it answers: it opens its
 * mailbox, and installs a filter of seccomp(2). Then it can neither open another mailbox, nor
 * destroy its own, nor make a socket. A call that the filter does not know fails with EPERM.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "example.h"

#define REQUESTS 5

/* Each ABI has numbers of its own for the system calls. */
#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__s390x__)
#define ARCH AUDIT_ARCH_S390X
#endif

static struct mbox *mb;

static void call(int first)
{
	int i, number;

	for (i = first; i < first + REQUESTS; i++) {
		number = i;
		TRY(mbox_call(mb, &number, sizeof(number), &number, sizeof(number), NULL));
		if (number != i * 2)
			say("a wrong answer");
	}
}

#ifdef ARCH
/* [filter] */
#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define ALLOW(value) UNLESS(value), RETURN(SECCOMP_RET_ALLOW)

/* Of an argument, its lower half. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HALF 0
#else
#define HALF sizeof(__u32)
#endif
#define LOAD_LOWER(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + HALF)

/* An ioctl without the size of its structure, and the direction. */
#define NUMBER(cmd) (_IOC_TYPE(cmd) << 8 | _IOC_NR(cmd))

static struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
	ALLOW(__NR_read),
	ALLOW(__NR_write),
	ALLOW(__NR_close),
	ALLOW(__NR_exit_group),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 1, 0),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	LOAD_LOWER(args[1]),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff),
	ALLOW(NUMBER(MBOX_IOC_RECV)),
	ALLOW(NUMBER(MBOX_IOC_REPLY)),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
};

/* [/filter] */

static void confine(void)
{
	/* [confine] */
	struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = filter,
	};

	TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	TRY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	/* [/confine] */
}

static const char *result(bool success)
{
	return success ? "possible" : strerror(errno);
}

static void serve(int number)
{
	struct mbox_msg request;
	int i;

	say("before: to ask for the state is %s", result(!mbox_stat(mb, &(struct mbox_stat){ 0 })));
	confine();
	for (i = 0; i < REQUESTS; i++) {
		request = (struct mbox_msg)MBOX_MSG_INIT(&number, sizeof(number));
		TRY(mbox_recvmsg(mb, &request));
		number *= 2;
		TRY(mbox_reply(mb, request.token, &number, sizeof(number)));
	}
	say("%d requests are answered", i);
	say("to ask for the state: %s", result(!mbox_stat(mb, &(struct mbox_stat){ 0 })));
	say("to destroy the mailbox: %s", result(!mbox_destroy(mb)));
	say("to open another one: %s", result(mbox_open("jobs", O_RDONLY)));
	say("to make a socket: %s", result(socket(AF_UNIX, SOCK_STREAM, 0) >= 0));
}

int main(void)
{
	mb = new_mailbox(MBOX_QUEUE, 0, 8);
	start(serve, 0);
	start(call, 1);
	join();

	return 0;
}
#else
int main(void)
{
	fputs("not written for this architecture\n", stderr);

	return 1;
}
#endif
