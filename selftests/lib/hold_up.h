/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads whose ioctls stop before the kernel gets them (seccomp). */
#ifndef SELFTESTS_HOLD_UP_H
#define SELFTESTS_HOLD_UP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "wrappers.h"

/*
 * From now on each @request of this thread waits until another thread lets it go
 * on. Return the descriptor for that, or -errno.
 */
static inline int hold_up(__u32 request)
{
	const unsigned int low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + low),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return neg(-1);
	return neg(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			   &prog));
}

/* Wait until a thread is held up; for the function below. */
static inline int await_held_up(int listener, struct seccomp_notif *stopped)
{
	memset(stopped, 0, sizeof(*stopped));
	return neg(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, stopped));
}

static inline int let_go_on(int listener, const struct seccomp_notif *stopped)
{
	struct seccomp_notif_resp go = {
		.id = stopped->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	return neg(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &go));
}

#endif /* SELFTESTS_HOLD_UP_H */
