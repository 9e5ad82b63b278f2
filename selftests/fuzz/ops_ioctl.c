// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ioctls: how they are made, and how they are spoilt.
 */
#include <signal.h>
#include <sys/ioctl.h>

#include "fuzz.h"

/* Tweaks below this do nothing, so that most programs work. */
#define FIRST_TWEAK 176

enum {
	SHORTER, LONGER_ZERO, LONGER_JUNK, OTHER_DIR, OTHER_NR, OTHER_TYPE,
	NULL_POINTER, UNMAPPED, KERNEL_POINTER, STRADDLING, READONLY, REQUIRED,
	OTHER_WORD, OTHER_BYTE, OTHER_BIT, HUGE,
};

static unsigned int tweak_of(const struct op *op)
{
	return op->tweak < FIRST_TWEAK ? -1 : op->tweak & 15;
}

/* Whether an operation may send from anywhere, so that payloads are unknown. */
bool op_is_wild(const struct op *op)
{
	switch (tweak_of(op)) {
	case OTHER_NR:
	case OTHER_WORD:
	case OTHER_BYTE:
	case OTHER_BIT:
	case SHORTER:
		return true;
	}
	return operation_of(op)->opens || operation_of(op)->run == op_raw;
}

static unsigned int with_size(unsigned int cmd, size_t size)
{
	return _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), size);
}

static void spoil(uint8_t *arg, size_t size, unsigned int tweak, uint8_t value)
{
	uint32_t word = pick32(value >> 3);

	if (!size)
		return;
	switch (tweak) {
	case OTHER_WORD:
		if (size >= sizeof(word))
			memcpy(arg + value * 4 % (size & ~3UL), &word,
			       sizeof(word));
		break;
	case OTHER_BYTE:
		arg[value % size] = value;
		break;
	case OTHER_BIT:
		arg[value / 8 % size] ^= 1 << (value & 7);
		break;
	}
}

/* A signal that a program asks for, however spoilt, is not to end it. */
static void tame(unsigned int nr, uint8_t *arg)
{
	static const uint32_t harmless[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGIO };
	struct mbox_notify *n = (void *)arg;
	unsigned int i;

	if (nr != _IOC_NR(MBOX_IOC_NOTIFY))
		return;
	for (i = 0; i < ARRAY_SIZE(harmless); i++)
		if (n->signo == harmless[i])
			return;
	if (n->signo <= 64)
		n->signo = n->signo ? SIGUSR2 : 0;
}

/* A call that the kernel keeps, because the thread was to come back for it. */
static bool is_left(const struct worker *l, const uint8_t *at, long ret)
{
	const struct mbox_request *r = (void *)at;

	return at == l->arg ? ret < 0 && r->ticket : ret == -EINTR;
}

/* An error is one of those that the interface lists. */
static void check_result(const struct worker *l, unsigned int cmd, long ret)
{
	long most = 0;

	if (ret < 0) {
		check_errno(ret, true);
		if (ret == -EDQUOT && !shared->has_setuid && !l->child)
			broken("ioctl %#x: a limit of a user without limits",
			       cmd);
		return;
	}
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(MBOX_IOC_CREATE):
	case _IOC_NR(MBOX_IOC_OPEN):
	case _IOC_NR(MBOX_IOC_DIRECT):
		/* Descriptors. */
		most = 65536;
		break;
	case _IOC_NR(MBOX_IOC_RECV):
	case _IOC_NR(MBOX_IOC_CALL):
	case _IOC_NR(MBOX_IOC_REPLY_RECV):
	case _IOC_NR(MBOX_IOC_CALL_WAIT):
	case _IOC_NR(MBOX_IOC_CALLMSG):
		most = 16 << 20;
		break;
	case _IOC_NR(MBOX_IOC_SENDV):
	case _IOC_NR(MBOX_IOC_RECVV):
		most = MBOX_BATCH_MAX;
		break;
	}
	if (_IOC_TYPE(cmd) == MBOX_IOC_MAGIC && ret > most)
		broken("ioctl %#x returned %ld", cmd, ret);
}

long do_ioctl(struct worker *l, const struct op *op, int fd, unsigned int cmd,
	      void *arg, size_t size)
{
	unsigned int tweak = tweak_of(op);
	uint8_t value = op->tweak_arg;
	size_t longer = size;
	uint8_t *at = l->arg;
	bool call;
	long ret;

	memcpy(at, arg, size);
	spoil(at, size, tweak, value);
	tame(tweak == OTHER_NR ? value : _IOC_NR(cmd), at);
	switch (tweak) {
	case SHORTER:
		cmd = with_size(cmd, size ? value % size : 0);
		break;
	case REQUIRED:
		cmd = with_size(cmd, MIN(size, (size_t)MBOX_MSG_SIZE_MIN));
		break;
	case HUGE:
		longer = _IOC_SIZEMASK;
		break;
	case LONGER_ZERO:
	case LONGER_JUNK:
		longer = MIN(size + 1 + 8UL * value, (size_t)_IOC_SIZEMASK);
		break;
	case OTHER_DIR:
		cmd = _IOC(value & 3, _IOC_TYPE(cmd), _IOC_NR(cmd), size);
		break;
	case OTHER_NR:
		cmd = _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), value, size);
		break;
	case OTHER_TYPE:
		cmd = _IOC(_IOC_DIR(cmd), value, _IOC_NR(cmd), size);
		break;
	case NULL_POINTER:
		at = NULL;
		break;
	case UNMAPPED:
		at = memory_hole();
		break;
	case KERNEL_POINTER:
		at = memory_source(l, 189, 0);
		break;
	case STRADDLING:
		/* Behind the worker's pages there is nothing. */
		at = l->arg + 16 * PAGE - (size ? value % size : 0);
		memmove(at, l->arg, l->arg + 16 * PAGE - at);
		break;
	case READONLY:
		if (!l->arg_shared)
			break;
		memcpy(l->arg_shared, l->arg, size);
		at = l->arg_readonly;
		break;
	}
	if (longer > size) {
		memset(at + size, 0, longer - size);
		if (tweak == LONGER_JUNK)
			at[size + value % (longer - size)] = 1 + value;
		cmd = with_size(cmd, longer);
	}

	l->shared->ioctls++;
	call = _IOC_TYPE(cmd) == MBOX_IOC_MAGIC &&
	       _IOC_NR(cmd) == _IOC_NR(MBOX_IOC_CALL);
	if (call)
		call_begins();
	ret = ioctl(fd, cmd, at);
	if (ret < 0)
		ret = -errno;
	if (call && !is_left(l, at, ret))
		call_ended();
	if (at == l->arg) {
		/* What the caller does not know of stays as it is. */
		if (longer > size && tweak != LONGER_JUNK && ret >= 0 &&
		    (at[size] || memcmp(at + size, at + size + 1,
					longer - size - 1)))
			broken("ioctl %#x wrote behind what it knows", cmd);
		memcpy(arg, at, size);
	}
	check_result(l, cmd, ret);
	return ret;
}

/* Any number with any content on any descriptor. */
long op_raw(struct worker *l, const struct op *op)
{
	static const unsigned int cmds[] = {
		MBOX_IOC_INFO, MBOX_IOC_CREATE, MBOX_IOC_OPEN,
		MBOX_IOC_UNLINK, MBOX_IOC_WALK, MBOX_IOC_SEND, MBOX_IOC_RECV,
		MBOX_IOC_SENDV, MBOX_IOC_RECVV, MBOX_IOC_STAT,
		MBOX_IOC_SET_CAPACITY, MBOX_IOC_DESTROY,
		MBOX_IOC_RING_WAIT, MBOX_IOC_RING_WAKE, MBOX_IOC_NOTIFY,
		MBOX_IOC_DIRECT, MBOX_IOC_ACK, MBOX_IOC_NACK, MBOX_IOC_EXPEL,
		MBOX_IOC_SET_READER, MBOX_IOC_TOTAL,
	};
	unsigned int cmd = cmds[op->a[1] % ARRAY_SIZE(cmds)];
	int fd = op->a[0] & 128 ? l->proc->device : slot_fd(op->a[0]);
	/* The longest argument is that of MBOX_IOC_WALK, whose name alone has 256 bytes. */
	uint8_t arg[PAGE] = {};
	unsigned int i;
	long ret;

	_Static_assert(sizeof(struct mbox_walk) <= sizeof(arg), "room for each argument");
	/* Each of the rest fills a word. */
	for (i = 2; i < sizeof(op->a); i++) {
		uint32_t word = pick32(op->a[i] & 31);

		memcpy(arg + (op->a[i] >> 5) * 4 + 16 * (i & 1), &word,
		       sizeof(word));
	}
	ret = do_ioctl(l, op, fd, cmd, arg, _IOC_SIZE(cmd));
	/* It may have made a descriptor. */
	if (ret > 0 && fd == l->proc->device)
		slot_put(op->a[2], ret);
	return ret;
}
