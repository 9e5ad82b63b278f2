// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that wait while their thread has to leave the kernel: nothing ends them but
 * a signal handler without SA_RESTART.
 */
#include <linux/io_uring.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "calls.h"
#include "slow.h"

/* Calls that wait, and what lets them go on. */
enum {
	CALL_TAKEN, CALL_QUEUED, CALL_WAITS_FOR_ROOM, CALL_OF_A_RENDEZVOUS, SEND_WAITS_FOR_ROOM,
	SEND_SYNC, SEND_RENDEZVOUS, RECV, RECV_BATCH, READ, PEEK, REPLY_RECV, BROADCAST,
	RING_RECV, RING_SEND, N_WAITS,
};

/* Why their thread leaves the kernel. */
enum { STOP, FREEZE, TRACE_SEIZE, TRACE_ATTACH, RESTART, TASK_WORK, N_INTERRUPTIONS };

struct shared {
	struct mbox_request req;
	__u32 value;
	__u32 rep;
	long ret;
	int ready;
	int done;
	int uring;
	pid_t tid;
};

FIXTURE(interrupt)
{
	int fd;
	int server;
	int wait;
	pid_t pid;
	__u64 token;
	int pipe[2];
	struct mbox *ring;
	struct shared *shared;
};

FIXTURE_SETUP(interrupt)
{
	self->shared = shared_memory(sizeof(*self->shared));
	ASSERT_TRUE(!!self->shared);
	self->fd = new_mailbox(0, 4);
	self->server = open_again(self->fd, O_RDONLY);
	ASSERT_LE(0, self->server);
}

FIXTURE_TEARDOWN(interrupt)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		reap(self->pid);
	}
	close(self->server);
	close(self->fd);
	mbox_close(self->ring);
}

/* ---- a process that waits ------------------------------------------------- */

static int use_mailbox(FIXTURE_DATA(interrupt) *self, __u32 flags, __u32 capacity)
{
	close(self->server);
	close(self->fd);
	self->fd = new_mailbox(flags, capacity);
	self->server = open_again(self->fd, O_RDONLY);
	return self->server < 0 ? self->server : 0;
}

/* One completion needs the thread that asked for it: a poll on a pipe. */
static int poll_by_uring(int fd)
{
	struct io_uring_params params = { 0 };
	struct io_uring_sqe *sqe;
	unsigned int *tail, *array;
	char *ring;
	int uring = neg(syscall(__NR_io_uring_setup, 4, &params));

	if (uring < 0)
		return uring;
	ring = mmap(NULL, params.sq_off.array + 4 * sizeof(int), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, uring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, 4 * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring,
		   IORING_OFF_SQES);
	if (ring == MAP_FAILED || sqe == MAP_FAILED)
		return neg(-1);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_POLL_ADD;
	sqe->fd = fd;
	/* Its halves are in the order of two numbers of 16 bits. */
	sqe->poll32_events = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? POLLIN << 16 : POLLIN;
	array = (unsigned int *)(ring + params.sq_off.array);
	tail = (unsigned int *)(ring + params.sq_off.tail);
	array[0] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	return neg(syscall(__NR_io_uring_enter, uring, 1, 0, 0, NULL, 0));
}

static long do_wait(FIXTURE_DATA(interrupt) *self)
{
	struct shared *s = self->shared;
	struct mbox_msg msg = msg_of(&s->value, sizeof(s->value), 0);
	long ret;

	switch (self->wait) {
	case CALL_TAKEN:
	case CALL_QUEUED:
	case CALL_WAITS_FOR_ROOM:
	case CALL_OF_A_RENDEZVOUS:
		s->req = (struct mbox_request){
			.buf = (uintptr_t)&s->value, .len = sizeof(s->value),
			.rep = (uintptr_t)&s->rep, .rep_len = sizeof(s->rep),
			.deadline_ns = s->req.deadline_ns,
		};
		ret = raw(self->fd, MBOX_IOC_CALL, &s->req);
		return ret == sizeof(s->rep) ? (long)s->rep : ret < 0 ? ret : -EBADMSG;
	case SEND_WAITS_FOR_ROOM:
	case SEND_RENDEZVOUS:
		return raw(self->fd, MBOX_IOC_SEND, &msg);
	case SEND_SYNC:
		msg.flags = MBOX_SYNC;
		return raw(self->fd, MBOX_IOC_SEND, &msg);
	case RECV:
	case BROADCAST:
		ret = raw(self->server, MBOX_IOC_RECV, &msg);
		return ret == sizeof(s->value) ? (long)s->value : ret < 0 ? ret : -EBADMSG;
	case PEEK:
		msg.flags = MBOX_PEEK;
		ret = raw(self->server, MBOX_IOC_RECV, &msg);
		return ret == sizeof(s->value) ? (long)s->value : ret < 0 ? ret : -EBADMSG;
	case RECV_BATCH:
		ret = raw_vec(self->server, MBOX_IOC_RECVV, &msg, 1, 0);
		return ret == 1 ? (long)s->value : ret < 0 ? ret : -EBADMSG;
	case READ:
		ret = neg(read(self->server, &s->value, sizeof(s->value)));
		return ret == sizeof(s->value) ? (long)s->value : ret < 0 ? ret : -EBADMSG;
	case REPLY_RECV:
		self->token = 0;
		return reply_recv(self->server, &self->token, 0, 0);
	case RING_RECV:
		ret = neg(mbox_recv(self->ring, &s->value, sizeof(s->value), 0));
		return ret == sizeof(s->value) ? (long)s->value : ret < 0 ? ret : -EBADMSG;
	case RING_SEND:
		return neg(mbox_send(self->ring, &s->value, sizeof(s->value), 0));
	}
	return -ENOSYS;
}

static int waiter_main(void *arg)
{
	FIXTURE_DATA(interrupt) *self = arg;
	struct shared *s = self->shared;

	catch_signal(SIGUSR1, 0);
	catch_signal(SIGUSR2, SA_RESTART);
	/* Otherwise its end would not be the server's. */
	if (self->wait <= CALL_OF_A_RENDEZVOUS)
		close(self->server);
	s->value = 7;
	s->rep = POISON32;
	s->uring = self->pipe[0] ? poll_by_uring(self->pipe[0]) : 0;
	s->tid = getpid();
	__atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
	s->ret = do_wait(self);
	__atomic_store_n(&s->done, 1, __ATOMIC_RELEASE);
	pause();
	return 0;
}

/* Until it waits, and for calls: until the server has the request. */
static int begin(FIXTURE_DATA(interrupt) *self, int wait)
{
	struct mbox_attr attr = attr_of(0, 1);
	int ret = 0, i;

	self->wait = wait;
	switch (wait) {
	case CALL_WAITS_FOR_ROOM:
	case SEND_WAITS_FOR_ROOM:
		for (i = 0; i < 4 && !ret; i++)
			ret = put(self->fd, 1);
		break;
	case CALL_OF_A_RENDEZVOUS:
	case SEND_RENDEZVOUS:
		ret = use_mailbox(self, 0, 0);
		break;
	case BROADCAST:
		ret = use_mailbox(self, MBOX_BROADCAST, 4);
		break;
	case RING_RECV:
	case RING_SEND:
		attr.mode = MBOX_RING;
		self->ring = mbox_create(NULL, O_RDWR, &attr);
		if (!self->ring)
			return neg(-1);
		if (wait == RING_SEND)
			ret = neg(mbox_send(self->ring, "1234", 4, 0));
		break;
	}
	if (ret)
		return ret;
	fflush(NULL);
	self->pid = spawn(waiter_main, self);
	while (!__atomic_load_n(&self->shared->ready, __ATOMIC_ACQUIRE))
		pause_briefly();
	if (wait == CALL_TAKEN && get_request(self->server, 0, &self->token) != 7)
		return -EPROTO;
	return await_asleep(&self->pid);
}

/* What it waits for. */
static int let_go_on(FIXTURE_DATA(interrupt) *self)
{
	__u32 value = 9;
	int i;

	switch (self->wait) {
	case CALL_TAKEN:
		return answer(self->server, self->token, 9);
	case CALL_WAITS_FOR_ROOM:
		for (i = 0; i < 4; i++)
			if (take(self->server) != 1)
				return -EPROTO;
		/* fall through */
	case CALL_QUEUED:
	case CALL_OF_A_RENDEZVOUS:
		if (get_request(self->server, 0, &self->token) != 7)
			return -EPROTO;
		return answer(self->server, self->token, 9);
	case SEND_WAITS_FOR_ROOM:
		return take(self->server) == 1 ? 0 : -EPROTO;
	case SEND_SYNC:
	case SEND_RENDEZVOUS:
		return raw_recv(self->server, &value, 4, 0) == 4 && value == 7 ? 0 : -EPROTO;
	case RING_RECV:
		return neg(mbox_send(self->ring, &value, 4, 0));
	case RING_SEND:
		return mbox_recv(self->ring, &value, 4, 0) == 4 ? 0 : -EPROTO;
	default:
		return put(self->fd, 9);
	}
}

static long result_of(FIXTURE_DATA(interrupt) *self)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (!__atomic_load_n(&self->shared->done, __ATOMIC_ACQUIRE)) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return -ETIMEDOUT;
		pause_briefly();
	}
	return self->shared->ret;
}

static bool is_a_send(int wait)
{
	return wait == SEND_WAITS_FOR_ROOM || wait == SEND_SYNC || wait == SEND_RENDEZVOUS ||
	       wait == RING_SEND;
}

/* ---- interruptions -------------------------------------------------------- */

#define GROUP_DIR	"/tmp/interrupt_test.cgroup"

static int await_frozen(void)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	char text[256];

	do {
		if (!read_file(GROUP_DIR "/test/cgroup.events", text, sizeof(text)) &&
		    strstr(text, "frozen 1"))
			return 0;
		pause_briefly();
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	return -ETIMEDOUT;
}

static int freeze(pid_t pid)
{
	int ret;

	mkdir(GROUP_DIR, 0700);
	if (mount("none", GROUP_DIR, "cgroup2", 0, NULL) && errno != EBUSY)
		return -ENOSYS;
	mkdir(GROUP_DIR "/test", 0700);
	ret = write_file(GROUP_DIR "/test/cgroup.procs", "%d", pid);
	if (!ret)
		ret = write_file(GROUP_DIR "/test/cgroup.freeze", "1");
	if (!ret)
		ret = await_frozen();
	if (!ret)
		ret = write_file(GROUP_DIR "/test/cgroup.freeze", "0");
	write_file(GROUP_DIR "/cgroup.procs", "%d", pid);
	rmdir(GROUP_DIR "/test");
	umount(GROUP_DIR);
	rmdir(GROUP_DIR);
	return ret;
}

static int trace(pid_t pid, bool seize)
{
	int status;

	if (ptrace(seize ? PTRACE_SEIZE : PTRACE_ATTACH, pid, 0, 0))
		return neg(-1);
	if (seize && ptrace(PTRACE_INTERRUPT, pid, 0, 0))
		return neg(-1);
	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		return -ECHILD;
	return neg(ptrace(PTRACE_DETACH, pid, 0, 0));
}

static int stop(pid_t pid)
{
	int status;

	if (kill(pid, SIGSTOP) || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		return neg(-1);
	return 0;
}

/* -ENOSYS: the kernel cannot. */
static int interrupt(FIXTURE_DATA(interrupt) *self, int how)
{
	int ret;

	switch (how) {
	case STOP:
		ret = stop(self->pid);
		return ret ?: neg(kill(self->pid, SIGCONT));
	case FREEZE:
		return freeze(self->pid);
	case TRACE_SEIZE:
	case TRACE_ATTACH:
		return trace(self->pid, how == TRACE_SEIZE);
	case RESTART:
		return neg(kill(self->pid, SIGUSR2));
	case TASK_WORK:
		if (self->shared->uring < 0)
			return -ENOSYS;
		return write(self->pipe[1], "", 1) == 1 ? 0 : neg(-1);
	}
	return -EINVAL;
}

FIXTURE_VARIANT(interrupt)
{
	int how;
	int times;
};

FIXTURE_VARIANT_ADD(interrupt, stop)
{
	.how = STOP, .times = 3,
};

FIXTURE_VARIANT_ADD(interrupt, freezer)
{
	.how = FREEZE, .times = 2,
};

FIXTURE_VARIANT_ADD(interrupt, debugger)
{
	.how = TRACE_SEIZE, .times = 3,
};

FIXTURE_VARIANT_ADD(interrupt, debugger_that_stops)
{
	.how = TRACE_ATTACH, .times = 3,
};

FIXTURE_VARIANT_ADD(interrupt, handler_with_SA_RESTART)
{
	.how = RESTART, .times = 3,
};

FIXTURE_VARIANT_ADD(interrupt, completion_of_io_uring)
{
	.how = TASK_WORK, .times = 1,
};

/* Until the thread of a call has left the kernel, which tells it the number then. */
static int await_parked(FIXTURE_DATA(interrupt) *self)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (!__atomic_load_n(&self->shared->req.ticket, __ATOMIC_ACQUIRE)) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return -ETIMEDOUT;
		pause_briefly();
	}
	return 0;
}

static int goes_on(FIXTURE_DATA(interrupt) *self, const FIXTURE_VARIANT(interrupt) *variant,
		   int wait)
{
	int i, ret;

	if (variant->how == TASK_WORK && pipe(self->pipe))
		return neg(-1);
	memset(self->shared, 0, sizeof(*self->shared));
	ret = begin(self, wait);
	for (i = 0; i < variant->times && !ret; i++) {
		ret = interrupt(self, variant->how);
		if (ret == -ENOSYS)
			break;
		if (!ret && wait == CALL_TAKEN)
			ret = await_parked(self);
		if (!ret)
			ret = await_asleep(&self->pid);
	}
	if (!ret)
		ret = let_go_on(self);
	if (!ret) {
		ret = result_of(self);
		ret = ret == (is_a_send(wait) ? 0 : 9) ? 0 : ret ?: -EBADMSG;
	}
	kill(self->pid, SIGKILL);
	reap(self->pid);
	self->pid = 0;
	if (self->pipe[0]) {
		close(self->pipe[0]);
		close(self->pipe[1]);
	}
	self->pipe[0] = 0;
	mbox_close(self->ring);
	self->ring = NULL;
	use_mailbox(self, 0, 4);
	return ret;
}

TEST_F(interrupt, call_continues)
{
	int wait, ret;

	for (wait = 0; wait < N_WAITS; wait++) {
		ret = goes_on(self, variant, wait);
		if (ret == -ENOSYS)
			SKIP(return, "the kernel does not have it");
		EXPECT_EQ(0, ret) {
			TH_LOG("wait %d", wait);
		}
	}
}

/* ---- calls whose request the server has ----------------------------------- */

FIXTURE(parked)
{
	FIXTURE_DATA(interrupt) i;
};

FIXTURE_SETUP(parked)
{
	memset(&self->i, 0, sizeof(self->i));
	self->i.shared = shared_memory(sizeof(*self->i.shared));
	ASSERT_TRUE(!!self->i.shared);
	self->i.fd = new_mailbox(0, 4);
	self->i.server = open_again(self->i.fd, O_RDONLY);
	ASSERT_LE(0, self->i.server);
}

FIXTURE_TEARDOWN(parked)
{
	if (self->i.pid > 0) {
		kill(self->i.pid, SIGKILL);
		reap(self->i.pid);
	}
	close(self->i.server);
	close(self->i.fd);
}

TEST_F(parked, reply_is_kept_until_the_caller_resumes)
{
	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	ASSERT_EQ(0, stop(self->i.pid));
	EXPECT_NE(0U, self->i.shared->req.ticket);
	EXPECT_EQ(1U, stat_of(self->i.fd).waiting_senders);
	EXPECT_EQ(0, answer(self->i.server, self->i.token, 9));
	EXPECT_EQ(-ESRCH, answer(self->i.server, self->i.token, 9));
	EXPECT_EQ(0U, stat_of(self->i.fd).waiting_senders);
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(9, result_of(&self->i));
	EXPECT_EQ(0U, self->i.shared->req.ticket);
	EXPECT_EQ(1U, stat_of(self->i.fd).sent);
}

TEST_F(parked, end_of_the_server_is_EPIPE)
{
	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	ASSERT_EQ(0, stop(self->i.pid));
	close(self->i.server);
	self->i.server = -1;
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(-EPIPE, result_of(&self->i));
}

TEST_F(parked, destroy_is_EIDRM)
{
	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	ASSERT_EQ(0, stop(self->i.pid));
	ASSERT_EQ(0, raw_destroy(self->i.fd));
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(-EIDRM, result_of(&self->i));
}

/* The copy of the reply fails, which is no end of the call. */
TEST_F(parked, reply_from_a_bad_address_leaves_the_token)
{
	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	ASSERT_EQ(0, stop(self->i.pid));
	EXPECT_EQ(-EFAULT, raw_reply(self->i.server, self->i.token, (void *)1, 4));
	EXPECT_EQ(1U, stat_of(self->i.fd).waiting_senders);
	EXPECT_EQ(-EAGAIN, take(self->i.server));
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(0, answer(self->i.server, self->i.token, 9));
	EXPECT_EQ(9, result_of(&self->i));
	EXPECT_EQ(-EAGAIN, take(self->i.server));
}

/*
 * A receiver has the request while its caller is stopped, and cannot take it. Return 0
 * when it is in the mailbox again.
 */
static int send_back(FIXTURE_DATA(interrupt) *self, struct slow *slow)
{
	struct call receiver = { .msg = msg_of(slow->page, 4, 0) };
	int ret;

	ret = begin(self, CALL_QUEUED);
	ret = ret ?: call_start(&receiver, self->server, MBOX_IOC_RECV);
	if (ret)
		return ret;
	ret = slow_await(slow);
	ret = ret ?: stop(self->pid);
	/* It is parked. */
	if (!ret && !self->shared->req.ticket)
		ret = -EPROTO;
	ret = ret ?: slow_fail(slow);
	if (call_join(&receiver) != -EFAULT)
		ret = ret ?: -EBADMSG;
	return ret;
}

TEST_F(parked, request_put_back_is_received_again)
{
	struct slow slow;

	if (slow_init(&slow))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, send_back(&self->i, &slow));
	EXPECT_EQ(1U, stat_of(self->i.fd).queued);
	EXPECT_EQ(1U, stat_of(self->i.fd).waiting_senders);
	ASSERT_EQ(7, get_request(self->i.server, MBOX_DONTWAIT, &self->i.token));
	EXPECT_EQ(0, answer(self->i.server, self->i.token, 9));
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(9, result_of(&self->i));
	EXPECT_EQ(-EAGAIN, take(self->i.server));
	EXPECT_EQ(1U, stat_of(self->i.fd).sent);
	EXPECT_EQ(1U, stat_of(self->i.fd).received);
	close(slow.uffd);
}

/* The caller is there again, and stopped again, before the request is received. */
TEST_F(parked, request_put_back_belongs_to_its_caller)
{
	struct slow slow;

	if (slow_init(&slow))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, send_back(&self->i, &slow));
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	ASSERT_EQ(0, await_asleep(&self->i.pid));
	EXPECT_EQ(1U, stat_of(self->i.fd).queued);
	ASSERT_EQ(0, stop(self->i.pid));
	EXPECT_NE(0U, self->i.shared->req.ticket);
	EXPECT_EQ(1U, stat_of(self->i.fd).queued);
	EXPECT_EQ(1U, stat_of(self->i.fd).waiting_senders);
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	ASSERT_EQ(7, get_request(self->i.server, 0, &self->i.token));
	EXPECT_EQ(0, answer(self->i.server, self->i.token, 9));
	EXPECT_EQ(9, result_of(&self->i));
	EXPECT_EQ(1U, stat_of(self->i.fd).sent);
	close(slow.uffd);
}

TEST_F(parked, queued_request_keeps_its_place)
{
	ASSERT_EQ(0, put(self->i.fd, 1));
	ASSERT_EQ(0, begin(&self->i, CALL_QUEUED));
	ASSERT_EQ(0, put(self->i.fd, 2));
	ASSERT_EQ(0, stop(self->i.pid));
	EXPECT_EQ(3U, stat_of(self->i.fd).queued);
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	ASSERT_EQ(0, await_asleep(&self->i.pid));
	EXPECT_EQ(1, take(self->i.server));
	ASSERT_EQ(7, get_request(self->i.server, 0, &self->i.token));
	EXPECT_EQ(0, answer(self->i.server, self->i.token, 9));
	EXPECT_EQ(9, result_of(&self->i));
	EXPECT_EQ(2, take(self->i.server));
	EXPECT_EQ(3U, stat_of(self->i.fd).sent);
}

/* It is served while its caller is stopped, too. */
TEST_F(parked, queued_request_of_a_stopped_caller_is_served)
{
	ASSERT_EQ(0, begin(&self->i, CALL_QUEUED));
	ASSERT_EQ(0, stop(self->i.pid));
	ASSERT_EQ(7, get_request(self->i.server, MBOX_DONTWAIT, &self->i.token));
	EXPECT_EQ(0, answer(self->i.server, self->i.token, 9));
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(9, result_of(&self->i));
}

TEST_F(parked, queued_request_goes_with_the_handle)
{
	int other = open_again(self->i.fd, O_RDWR);

	ASSERT_EQ(0, begin(&self->i, CALL_QUEUED));
	ASSERT_EQ(0, stop(self->i.pid));
	ASSERT_EQ(0, kill(self->i.pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(self->i.pid));
	self->i.pid = 0;
	EXPECT_EQ(1U, stat_of(other).queued);
	close(self->i.fd);
	self->i.fd = other;
	EXPECT_EQ(0U, stat_of(other).queued);
	EXPECT_EQ(0U, stat_of(other).waiting_senders);
}

TEST_F(parked, queued_request_ends_with_its_deadline)
{
	self->i.shared->req.deadline_ns = in_ms(CLOCK_MONOTONIC, 500 * time_factor());
	ASSERT_EQ(0, begin(&self->i, CALL_QUEUED));
	ASSERT_EQ(0, stop(self->i.pid));
	ASSERT_EQ(0, await_waiting(self->i.fd, 0, 0));
	EXPECT_EQ(0U, stat_of(self->i.fd).queued);
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(-ETIMEDOUT, result_of(&self->i));
	EXPECT_EQ(0U, stat_of(self->i.fd).sent);
}

/* Whether it is stopped or not. */
TEST_F(parked, deadline_ends_a_parked_call)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	self->i.shared->req.deadline_ns = in_ms(CLOCK_MONOTONIC, 1000 * time_factor());
	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	ASSERT_EQ(0, stop(self->i.pid));
	while (stat_of(self->i.fd).waiting_senders && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	EXPECT_EQ(0U, stat_of(self->i.fd).waiting_senders);
	EXPECT_LE(self->i.shared->req.deadline_ns, (__u64)now_ns(CLOCK_MONOTONIC));
	EXPECT_EQ(-ESRCH, answer(self->i.server, self->i.token, 9));
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(-ETIMEDOUT, result_of(&self->i));
}

TEST_F(parked, reply_before_the_deadline_counts)
{
	__u64 deadline = in_ms(CLOCK_MONOTONIC, 1000 * time_factor());

	self->i.shared->req.deadline_ns = deadline;
	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	ASSERT_EQ(0, stop(self->i.pid));
	ASSERT_EQ(0, answer(self->i.server, self->i.token, 9));
	/* Longer than for a thread that is free to come back. */
	while ((__u64)now_ns(CLOCK_MONOTONIC) < deadline + 3000 * NSEC_PER_MSEC)
		pause_briefly();
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(9, result_of(&self->i));
}

/* The test has the caller's handle, too, so only its thread has gone. */
TEST_F(parked, caller_never_resumes)
{
	int other = open_again(self->i.fd, O_RDWR);

	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	ASSERT_EQ(0, stop(self->i.pid));
	ASSERT_EQ(0, kill(self->i.pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(self->i.pid));
	self->i.pid = 0;
	EXPECT_EQ(1U, stat_of(other).waiting_senders);
	close(self->i.fd);
	self->i.fd = other;
	EXPECT_EQ(0U, stat_of(other).waiting_senders);
	EXPECT_EQ(-ESRCH, answer(self->i.server, self->i.token, 9));
}

TEST_F(parked, handler_without_SA_RESTART_is_EINTR)
{
	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	/* Both are there when it goes on. */
	ASSERT_EQ(0, stop(self->i.pid));
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	ASSERT_EQ(0, await_asleep(&self->i.pid));
	ASSERT_EQ(0, kill(self->i.pid, SIGUSR1));
	EXPECT_EQ(-EINTR, result_of(&self->i));
	EXPECT_EQ(-ESRCH, answer(self->i.server, self->i.token, 9));
	EXPECT_EQ(0U, stat_of(self->i.fd).waiting_senders);
}

static void *come_as_another(void *arg)
{
	FIXTURE_DATA(interrupt) *self = arg;

	return (void *)raw(self->fd, MBOX_IOC_CALL, &self->shared->req);
}

TEST_F(parked, ticket_is_of_one_thread_and_handle)
{
	int other = open_again(self->i.fd, O_RDWR);
	struct mbox_request req;
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, begin(&self->i, CALL_TAKEN));
	ASSERT_EQ(0, stop(self->i.pid));
	req = self->i.shared->req;
	/* The same open file description. */
	EXPECT_EQ(-EINTR, raw(self->i.fd, MBOX_IOC_CALL, &req));
	req = self->i.shared->req;
	EXPECT_EQ(-EINVAL, raw(other, MBOX_IOC_CALL, &req));
	req = self->i.shared->req;
	req.ticket++;
	EXPECT_EQ(-EINVAL, raw(self->i.fd, MBOX_IOC_CALL, &req));
	req.ticket = ~0ULL;
	EXPECT_EQ(-EINVAL, raw(self->i.fd, MBOX_IOC_CALL, &req));
	req = self->i.shared->req;
	ASSERT_EQ(0, thread_start(&thread, come_as_another, &self->i));
	pthread_join(thread, &ret);
	EXPECT_EQ(-EINTR, (long)ret);
	/* The others have written a zero to the shared structure. */
	self->i.shared->req = req;
	EXPECT_EQ(1U, stat_of(self->i.fd).waiting_senders);
	EXPECT_EQ(0, answer(self->i.server, self->i.token, 9));
	ASSERT_EQ(0, kill(self->i.pid, SIGCONT));
	EXPECT_EQ(9, result_of(&self->i));
	close(other);
}

TEST_F(parked, short_structure_is_EINTR)
{
	struct caller c = { 0 };
	__u64 token;

	ASSERT_EQ(0, catch_signal(SIGUSR2, SA_RESTART));
	c.req.rep = (uintptr_t)&c.rep;
	c.req.rep_len = 4;
	c.req.buf = (uintptr_t)&c.value;
	c.req.len = 4;
	c.call.arg = &c.req;
	ASSERT_EQ(0, call_start(&c.call, self->i.fd,
				sized(MBOX_IOC_CALL, MBOX_REQUEST_SIZE_MIN)));
	ASSERT_EQ(0, get_request(self->i.server, 0, &token));
	ASSERT_EQ(0, await_asleep(&c.call.tid));
	ASSERT_EQ(0, pthread_kill(c.call.thread, SIGUSR2));
	EXPECT_EQ(-EINTR, call_join(&c.call));
	EXPECT_EQ(-ESRCH, answer(self->i.server, token, 9));
}

/* ---- handlers that do more than to return --------------------------------- */

static pid_t child_of_handler;

static void fork_in_handler(int sig)
{
	child_of_handler = fork();
}

static int call_and_fork(void *arg)
{
	FIXTURE_DATA(interrupt) *self = arg;
	struct sigaction action = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
	__u32 value = 7, rep = 0;
	struct mbox_request req = {
		.buf = (uintptr_t)&value, .len = 4, .rep = (uintptr_t)&rep, .rep_len = 4,
	};
	long ret;

	sigaction(SIGUSR2, &action, NULL);
	__atomic_store_n(&self->shared->ready, 1, __ATOMIC_RELEASE);
	ret = raw(self->fd, MBOX_IOC_CALL, &req);
	if (!child_of_handler)
		_exit(ret == -EINTR ? 0 : 1);
	CHECK_EQ(4, ret);
	CHECK_EQ(9, rep);
	CHECK_EQ(0, reap(child_of_handler));
	return 0;
}

TEST_F(parked, child_forked_in_a_handler_cannot_resume_the_call)
{
	pid_t pid = spawn(call_and_fork, &self->i);

	ASSERT_EQ(7, get_request(self->i.server, 0, &self->i.token));
	ASSERT_EQ(0, await_asleep(&pid));
	ASSERT_EQ(0, kill(pid, SIGUSR2));
	usleep(100 * 1000 * time_factor());
	EXPECT_EQ(0, answer(self->i.server, self->i.token, 9));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(1U, stat_of(self->i.fd).sent);
}

static sigjmp_buf out_of_call;

static void jump_away(int sig)
{
	siglongjmp(out_of_call, 1);
}

#define ABANDONED	200

/* It abandons all of its calls. */
static int abandon_calls(void *arg)
{
	FIXTURE_DATA(interrupt) *self = arg;
	struct sigaction action = { .sa_handler = jump_away, .sa_flags = SA_RESTART };
	int fd = open_again(self->fd, O_WRONLY);
	volatile int i;
	__u32 value;

	sigaction(SIGUSR2, &action, NULL);
	for (i = 0; i < ABANDONED; i++) {
		if (sigsetjmp(out_of_call, 1))
			continue;
		value = i;
		raw(fd, MBOX_IOC_CALL, &(struct mbox_request){
			.buf = (uintptr_t)&value, .len = sizeof(value),
			.rep = (uintptr_t)&value, .rep_len = sizeof(value) });
	}
	__atomic_store_n(&self->shared->done, 1, __ATOMIC_RELEASE);
	pause();
	return 0;
}

TEST_F(parked, calls_left_by_longjmp_end_with_the_handle)
{
	__u64 tokens[ABANDONED];
	pid_t pid = spawn(abandon_calls, &self->i);
	int i;

	for (i = 0; i < ABANDONED; i++) {
		ASSERT_EQ(i, get_request(self->i.server, 0, &tokens[i]));
		ASSERT_EQ(0, await_asleep(&pid));
		ASSERT_EQ(0, kill(pid, SIGUSR2));
	}
	while (!__atomic_load_n(&self->i.shared->done, __ATOMIC_ACQUIRE))
		pause_briefly();
	EXPECT_EQ((__u32)ABANDONED, stat_of(self->i.fd).waiting_senders);
	/* No caller receives it. */
	EXPECT_EQ(0, answer(self->i.server, tokens[3], 9));
	EXPECT_EQ((__u32)ABANDONED - 1, stat_of(self->i.fd).waiting_senders);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1000 + SIGKILL, reap(pid));
	EXPECT_EQ(0U, stat_of(self->i.fd).waiting_senders);
	for (i = 0; i < ABANDONED; i++)
		EXPECT_EQ(-ESRCH, answer(self->i.server, tokens[i], 9));
}

/* A reply that reaches no caller, and a message that has no room beside it. */
#define LONG 8000

static char long_text[LONG];

/* It leaves its call, and then has room for no more than one of both. */
static int abandon_one_call(void *arg)
{
	FIXTURE_DATA(interrupt) *self = arg;
	struct sigaction action = { .sa_handler = jump_away, .sa_flags = SA_RESTART };
	int fd = open_again(self->fd, O_WRONLY), own;
	__s64 limit;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	own = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK(own >= 0);
	sigaction(SIGUSR2, &action, NULL);
	self->shared->req = (struct mbox_request){
		.buf = (uintptr_t)&self->shared->value, .len = sizeof(self->shared->value),
		.rep = (uintptr_t)long_text, .rep_len = LONG,
		.deadline_ns = in_ms(CLOCK_MONOTONIC, 3000 * time_factor()),
	};
	if (!sigsetjmp(out_of_call, 1))
		raw(fd, MBOX_IOC_CALL, &self->shared->req);
	CHECK(self->shared->req.ticket);
	__atomic_store_n(&self->shared->ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&self->shared->done, __ATOMIC_ACQUIRE))
		pause_briefly();
	CHECK_EQ(-EDQUOT, raw_send(own, long_text, LONG, 0));
	limit = self->shared->req.deadline_ns + WAIT_LIMIT_MS * NSEC_PER_MSEC;
	while (raw_send(own, long_text, LONG, 0)) {
		CHECK(now_ns(CLOCK_MONOTONIC) < limit);
		pause_briefly();
	}
	CHECK((__u64)now_ns(CLOCK_MONOTONIC) >= self->shared->req.deadline_ns);
	/* What it would get if it came back after all. */
	CHECK_EQ(-ETIMEDOUT, raw(fd, MBOX_IOC_CALL, &self->shared->req));
	return 0;
}

TEST_F(parked, reply_left_by_longjmp_ends_with_the_deadline)
{
	long saved = param_get("user_bytes");
	pid_t pid;

	ASSERT_EQ(0, param_set("user_bytes", LONG + LONG / 2));
	pid = spawn(abandon_one_call, &self->i);
	ASSERT_EQ(0, get_request(self->i.server, 0, &self->i.token));
	ASSERT_EQ(0, await_asleep(&pid));
	ASSERT_EQ(0, kill(pid, SIGUSR2));
	while (!__atomic_load_n(&self->i.shared->ready, __ATOMIC_ACQUIRE))
		pause_briefly();
	EXPECT_EQ(0, raw_reply(self->i.server, self->i.token, long_text, LONG));
	__atomic_store_n(&self->i.shared->done, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, reap(pid));
	param_set("user_bytes", saved);
}

/* ---- a timer --------------------------------------------------------------- */

#define TIMED_CALLS	20

static int call_with_a_timer(void *arg)
{
	FIXTURE_DATA(interrupt) *self = arg;
	struct itimerval timer = { .it_interval.tv_usec = 10000, .it_value.tv_usec = 10000 };
	struct mbox *mb = mbox_from_fd(self->fd);
	__u32 i, rep;

	CHECK(mb);
	catch_signal(SIGALRM, SA_RESTART);
	CHECK_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	for (i = 0; i < TIMED_CALLS; i++) {
		rep = POISON32;
		CHECK_EQ(4, mbox_call(mb, &i, 4, &rep, 4, NULL));
		CHECK_EQ(i + 1, rep);
	}
	CHECK(signals_seen >= TIMED_CALLS);
	return 0;
}

TEST_F(parked, timer_with_SA_RESTART_ends_no_call)
{
	pid_t pid = spawn(call_with_a_timer, &self->i);
	int i;

	for (i = 0; i < TIMED_CALLS; i++) {
		ASSERT_EQ(i, get_request(self->i.server, 0, &self->i.token));
		usleep(25000);
		EXPECT_EQ(0, answer(self->i.server, self->i.token, i + 1));
	}
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ((__u64)TIMED_CALLS, stat_of(self->i.fd).sent);
}

TEST_HARNESS_MAIN
