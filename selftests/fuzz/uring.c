// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring: requests that outlive the call that makes them. One small ring for
 * each process; at the end of a program everything is cancelled.
 */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <poll.h>

#include "fuzz.h"

#define ENTRIES		16
#define ROOM		8192

struct uring {
	int fd;
	uint32_t *sq_head;
	uint32_t *sq_tail;
	uint32_t *sq_array;
	uint32_t *cq_head;
	uint32_t *cq_tail;
	uint32_t sq_mask;
	uint32_t cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	/* Requests that have not ended. */
	int pending;
	/* Both workers of a process use the ring. */
	uint32_t busy;
	/* What is received goes here, and is not looked at. */
	uint8_t room[ROOM];
};

static void *map(int fd, size_t size, off_t what)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, what);
}

struct uring *uring_new(void)
{
	struct io_uring_params params = {};
	struct uring *u = calloc(1, sizeof(*u));
	uint8_t *sq, *cq;

	if (!u)
		return NULL;
	u->fd = syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (u->fd < 0)
		goto err_free;
	sq = map(u->fd, params.sq_off.array + ENTRIES * sizeof(uint32_t),
		 IORING_OFF_SQ_RING);
	cq = map(u->fd, params.cq_off.cqes +
		 params.cq_entries * sizeof(struct io_uring_cqe),
		 IORING_OFF_CQ_RING);
	u->sqes = map(u->fd, ENTRIES * sizeof(struct io_uring_sqe),
		      IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || u->sqes == MAP_FAILED)
		goto err_close;
	u->sq_head = (uint32_t *)(sq + params.sq_off.head);
	u->sq_tail = (uint32_t *)(sq + params.sq_off.tail);
	u->sq_array = (uint32_t *)(sq + params.sq_off.array);
	u->sq_mask = params.sq_entries - 1;
	u->cq_head = (uint32_t *)(cq + params.cq_off.head);
	u->cq_tail = (uint32_t *)(cq + params.cq_off.tail);
	u->cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
	u->cq_mask = params.cq_entries - 1;
	return u;

err_close:
	close(u->fd);
err_free:
	free(u);
	return NULL;
}

static void reap(struct uring *u)
{
	uint32_t head = *u->cq_head;

	while (head != __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE)) {
		if (!(u->cqes[head & u->cq_mask].flags & IORING_CQE_F_MORE))
			u->pending--;
		head++;
	}
	__atomic_store_n(u->cq_head, head, __ATOMIC_RELEASE);
}

static long submit(struct uring *u, const struct io_uring_sqe *sqe)
{
	uint32_t tail = *u->sq_tail, at = tail & u->sq_mask;
	long ret;

	u->sqes[at] = *sqe;
	u->sq_array[at] = at;
	__atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
	ret = syscall(SYS_io_uring_enter, u->fd, 1, 0, IORING_ENTER_GETEVENTS,
		      NULL, 0);
	if (ret == 1)
		u->pending++;
	else
		/* It was not taken: it must not be taken later. */
		__atomic_store_n(u->sq_tail, tail, __ATOMIC_RELEASE);
	return ret;
}

static void fill(struct worker *l, const struct op *op, struct io_uring_sqe *sqe)
{
	size_t len = MIN(pick_len(op->a[1]), (uint32_t)ROOM);
	struct uring *u = l->proc->uring;

	memset(sqe, 0, sizeof(*sqe));
	sqe->fd = slot_fd(op->a[0]);
	sqe->user_data = l->at;
	switch (op->a[2] & 7) {
	case 0 ... 1:
		sqe->opcode = IORING_OP_READ;
		sqe->addr = (uintptr_t)u->room;
		sqe->len = len;
		sqe->off = -1;
		break;
	case 2 ... 3:
		sqe->opcode = IORING_OP_WRITE;
		sqe->addr = (uintptr_t)memory_source(l, op->a[5], len);
		sqe->len = len;
		sqe->off = -1;
		break;
	case 4:
		sqe->opcode = IORING_OP_POLL_ADD;
		sqe->poll32_events = POLLIN | POLLOUT;
		sqe->len = op->a[3] & 1 ? IORING_POLL_ADD_MULTI : 0;
		break;
	case 5:
		sqe->opcode = IORING_OP_ASYNC_CANCEL;
		sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY;
		break;
	case 6:
		sqe->opcode = IORING_OP_POLL_ADD;
		sqe->poll32_events = POLLIN;
		break;
	case 7:
		/* Into and out of nowhere. */
		sqe->opcode = op->a[3] & 1 ? IORING_OP_READ : IORING_OP_WRITE;
		sqe->addr = (uintptr_t)memory_hole();
		sqe->len = len;
		sqe->off = -1;
		break;
	}
	/* By a thread of its own, which may wait. */
	if (op->a[4] >= 224)
		sqe->flags |= IOSQE_ASYNC;
}

long op_uring(struct worker *l, const struct op *op)
{
	struct uring *u = l->proc->uring;
	struct io_uring_sqe sqe;
	long ret = -EBUSY;

	/* A child has the ring, but not the memory that it writes to. */
	if (!u || l->child)
		return -EOPNOTSUPP;
	if (__atomic_exchange_n(&u->busy, 1, __ATOMIC_ACQUIRE))
		return -EBUSY;
	if (u->pending < ENTRIES) {
		fill(l, op, &sqe);
		ret = submit(u, &sqe);
	}
	reap(u);
	__atomic_store_n(&u->busy, 0, __ATOMIC_RELEASE);
	return ret;
}

void uring_settle(struct uring *u)
{
	struct io_uring_sync_cancel_reg cancel = {
		.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
		.timeout = { .tv_sec = -1, .tv_nsec = -1 },
	};
	unsigned int i;

	for (i = 0; u->pending > 0 && i < 2000; i++) {
		syscall(SYS_io_uring_register, u->fd,
			IORING_REGISTER_SYNC_CANCEL, &cancel, 1);
		syscall(SYS_io_uring_enter, u->fd, 0, 0,
			IORING_ENTER_GETEVENTS, NULL, 0);
		reap(u);
		if (u->pending > 0)
			usleep(500);
	}
	if (u->pending > 0)
		broken("%d requests of io_uring cannot be cancelled",
		       u->pending);
}
