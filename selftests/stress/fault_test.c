// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failing allocations and copies: every call is repeated with the first, the
 * second, the third ... of them failing, until it succeeds. Each failure leaves
 * everything as it was.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "fds.h"
#include "leases.h"
#include "faults.h"
#include "rings.h"

FIXTURE(fault)
{
	struct faults faults;
	char name[64];
	int fd;
	int epoll;
	/* For the library, a descriptor that is no handle's yet, and a handle. */
	int spare;
	struct mbox *mb;
	/* A ring, and a handle of it that has mapped nothing yet. */
	struct mbox *ring;
	struct mbox *fresh;
};

FIXTURE_SETUP(fault)
{
	struct mbox_attr attr = attr_of(0, 8);

	umask(0);
	test_name(self->name, sizeof(self->name), "fault");
	attr.msg_max = 1 << 20;
	self->fd = raw_create(NULL, O_RDWR, &attr);
	ASSERT_LE(0, self->fd);
	self->spare = -1;
	self->mb = mbox_from_fd(dup(self->fd));
	ASSERT_TRUE(!!self->mb);
	self->epoll = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, self->epoll);
	faults_begin(&self->faults);
}

FIXTURE_TEARDOWN(fault)
{
	faults_end(&self->faults);
	raw_unlink(self->name);
	mbox_close(self->fresh);
	mbox_close(self->ring);
	close(self->epoll);
	if (self->spare >= 0)
		close(self->spare);
	mbox_close(self->mb);
	close(self->fd);
}

static void inject(FIXTURE_DATA(fault) *self, int n)
{
	fault_at(&self->faults, n);
}

static bool injected(FIXTURE_DATA(fault) *self)
{
	return fault_happened(&self->faults);
}

/**
 * struct operation - something to be repeated
 * @run: does it
 * @undo: after a success, or NULL
 * @prepare: before each attempt, or NULL
 * @intact: whether all is as it was after a failure, where the figures do not
 *	say so; or NULL
 */
struct operation {
	long (*run)(FIXTURE_DATA(fault) *self);
	void (*undo)(FIXTURE_DATA(fault) *self, long ret);
	void (*prepare)(FIXTURE_DATA(fault) *self);
	bool (*intact)(FIXTURE_DATA(fault) *self);
};

static void repeat(struct __test_metadata *_metadata, FIXTURE_DATA(fault) *self,
		   const struct operation *op)
{
	struct mbox_stat before;
	int n, seen, descriptors, failures = 0;
	bool hit = true;
	long ret;

	for (n = 1; hit; n++) {
		ASSERT_GT(1000, n);
		if (op->prepare)
			op->prepare(self);
		before = stat_of(self->fd);
		seen = count_mailboxes();
		descriptors = open_descriptors();
		inject(self, n);
		ret = op->run(self);
		hit = injected(self);
		if (ret < 0) {
			ASSERT_TRUE(hit);
			ASSERT_TRUE(is_expected(ret))
				TH_LOG("failure %d: %s", n, strerror(-ret));
			ASSERT_TRUE(same_stat(self->fd, &before));
			ASSERT_EQ(seen, count_mailboxes());
			ASSERT_EQ(descriptors, open_descriptors());
			ASSERT_TRUE(!op->intact || op->intact(self));
			failures++;
		} else if (op->undo) {
			op->undo(self, ret);
		}
	}
	EXPECT_LT(0, failures);
	TH_LOG("%d failures in %d attempts", failures, n - 1);
}

static void repeat_all(struct __test_metadata *_metadata, FIXTURE_DATA(fault) *self,
		       const struct operation *ops, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		repeat(_metadata, self, &ops[i]);
}

#define REPEAT_ALL(self, ops) repeat_all(_metadata, self, ops, ARRAY_SIZE(ops))

static void close_result(FIXTURE_DATA(fault) *self, long ret)
{
	(void)self;
	close(ret);
}

static long create_anonymous(FIXTURE_DATA(fault) *self)
{
	struct mbox_create arg = { .oflags = O_RDWR, .attr = MBOX_ATTR_INIT };
	int dev = open_device();
	long ret;

	(void)self;
	/* The device itself may be what cannot be opened. */
	if (dev < 0)
		return dev;
	ret = raw(dev, MBOX_IOC_CREATE, &arg);
	close(dev);
	return ret;
}

TEST_F(fault, create)
{
	static const struct operation op = { .run = create_anonymous, .undo = close_result };

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
}

static long create_named(FIXTURE_DATA(fault) *self)
{
	struct mbox_attr attr = attr_of(0, 1);

	return raw_create(self->name, O_RDWR | O_EXCL, &attr);
}

static void close_and_unlink(FIXTURE_DATA(fault) *self, long ret)
{
	close(ret);
	raw_unlink(self->name);
}

TEST_F(fault, create_with_a_name)
{
	static const struct operation op = { .run = create_named, .undo = close_and_unlink };

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
}

static long create_temporary(FIXTURE_DATA(fault) *self)
{
	struct mbox_attr attr = attr_of(MBOX_TEMPORARY, 1);

	return raw_create(self->name, O_RDWR | O_EXCL, &attr);
}

/* What failed has left no name behind either: the next attempt needs it. */
TEST_F(fault, create_temporary)
{
	static const struct operation op = { .run = create_temporary, .undo = close_result };

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
}

static long open_it(FIXTURE_DATA(fault) *self)
{
	struct mbox_open arg = { .oflags = O_RDWR };
	struct mbox_walk pos = { 0 };
	int dev = open_device();
	long ret;

	(void)self;
	ret = dev < 0 ? dev : raw(dev, MBOX_IOC_WALK, &pos);
	arg.id = pos.id;
	if (!ret)
		ret = raw(dev, MBOX_IOC_OPEN, &arg);
	close(dev);
	return ret;
}

TEST_F(fault, walk_and_open)
{
	static const struct operation op = { .run = open_it, .undo = close_result };

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
}

static long add_up(FIXTURE_DATA(fault) *self)
{
	struct mbox_total total = {
		.prefix = (uintptr_t)self->name,
		.prefix_len = strlen(self->name),
	};
	int dev = open_device();
	long ret = dev < 0 ? dev : raw(dev, MBOX_IOC_TOTAL, &total);

	close(dev);
	return ret;
}

TEST_F(fault, total)
{
	static const struct operation op = { .run = add_up };

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
}

/* A link to the harness, which does not know. */
static long open_link(FIXTURE_DATA(fault) *self)
{
	struct mbox_direct arg = { .pid = getppid(), .oflags = O_RDWR };
	int dev = open_device();
	long ret;

	(void)self;
	if (dev < 0)
		return dev;
	ret = raw(dev, MBOX_IOC_DIRECT, &arg);
	close(dev);
	return ret;
}

TEST_F(fault, direct)
{
	static const struct operation op = { .run = open_link, .undo = close_result };
	int fd;

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
	/* Where there is a link, another handle can fail. */
	fd = open_link(self);
	ASSERT_LE(0, fd);
	repeat(_metadata, self, &op);
	EXPECT_EQ(0, put(fd, 1));
	close(fd);
}

static char big[300000];

static long send_len(FIXTURE_DATA(fault) *self, size_t len)
{
	return raw_send(self->fd, big, len, MBOX_DONTWAIT);
}

static long send_small(FIXTURE_DATA(fault) *self)
{
	return send_len(self, 8);
}

static long send_page(FIXTURE_DATA(fault) *self)
{
	return send_len(self, 5000);
}

static long send_big(FIXTURE_DATA(fault) *self)
{
	return send_len(self, sizeof(big));
}

static long write_big(FIXTURE_DATA(fault) *self)
{
	return neg(write(self->fd, big, sizeof(big)));
}

static void receive_all(FIXTURE_DATA(fault) *self, long ret)
{
	(void)ret;
	while (raw_recv(self->fd, NULL, 0, MBOX_TRUNC | MBOX_DONTWAIT) >= 0)
		;
}

TEST_F(fault, send)
{
	static const struct operation ops[] = {
		{ .run = send_small, .undo = receive_all },
		{ .run = send_page, .undo = receive_all },
		{ .run = send_big, .undo = receive_all },
		{ .run = write_big, .undo = receive_all },
	};

	NEED_FAULTS(self);
	REPEAT_ALL(self, ops);
}

#define NAMESPACES_PARAM "/proc/sys/user/max_user_namespaces"

/* A namespace whose root is this user and this group of the one above. */
static int enter_userns(uid_t uid, gid_t gid)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	int ret;

	/* Those of processes that exited are freed later. */
	while ((ret = neg(unshare(CLONE_NEWUSER))) == -ENOSPC &&
	       now_ns(CLOCK_MONOTONIC) < limit)
		usleep(1000);
	if (ret)
		return ret;
	/* Or it could not write to its own files. */
	prctl(PR_SET_DUMPABLE, 1);
	ret = write_file("/proc/self/uid_map", "0 %u 1", uid);
	if (!ret)
		ret = write_file("/proc/self/setgroups", "deny");
	return ret ?: write_file("/proc/self/gid_map", "0 %u 1", gid);
}

/**
 * struct below - a send from a namespace in a namespace
 * @self: the fixture
 * @n: which allocation fails
 * @hit: whether it has failed
 */
struct below {
	FIXTURE_DATA(fault) *self;
	int n;
	bool hit;
};

static int send_from_below(void *arg)
{
	int fd = new_mailbox(0, 8);
	struct below *b = arg;
	long ret;

	b->self->faults.nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	CHECK(b->self->faults.nth >= 0);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	ret = enter_userns(USER_A, GROUP_A);
	if (ret == -EPERM || ret == -EINVAL)
		return 4;
	CHECK_EQ(0, ret);
	CHECK_EQ(0, enter_userns(0, 0));
	inject(b->self, b->n);
	ret = raw_send(fd, big, 8, MBOX_DONTWAIT);
	b->hit = injected(b->self);
	CHECK(!ret || is_expected(ret));
	return 0;
}

/*
 * The user that is charged in each namespace is found from the top. An account that was not
 * given back would keep its namespace, and its user may have two.
 */
TEST_F(fault, failed_send_from_a_user_namespace_keeps_no_account)
{
	struct below *b = shared_memory(sizeof(*b));
	char saved[16];
	int n, ret = 0;

	NEED_FAULTS(self);
	if (read_file(NAMESPACES_PARAM, saved, sizeof(saved)))
		SKIP(return, "no user namespaces");
	ASSERT_EQ(0, write_file(NAMESPACES_PARAM, "2"));
	b->self = self;
	b->hit = true;
	for (n = 1; b->hit && !ret && n < 1000; n++) {
		b->n = n;
		ret = in_child(send_from_below, b);
	}
	EXPECT_EQ(0, write_file(NAMESPACES_PARAM, "%s", saved));
	if (ret == 4)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
	EXPECT_FALSE(b->hit);
	/* The sender, the accounts, what it has with the owner, the message. */
	EXPECT_LT(6, n);
	munmap(b, sizeof(*b));
}

static long send_by_dropping(FIXTURE_DATA(fault) *self)
{
	return send_len(self, 8);
}

static void fill(FIXTURE_DATA(fault) *self)
{
	while (!send_len(self, 8) && stat_of(self->fd).queued < 8)
		;
}

static void empty_and_fill(FIXTURE_DATA(fault) *self, long ret)
{
	receive_all(self, ret);
	fill(self);
}

TEST_F(fault, send_that_would_drop_drops_nothing)
{
	static const struct operation op = { .run = send_by_dropping, .undo = empty_and_fill };

	NEED_FAULTS(self);
	close(self->fd);
	self->fd = new_mailbox(MBOX_DROP_OLDEST, 8);
	fill(self);
	repeat(_metadata, self, &op);
}

static long send_descriptors(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, 5000, MBOX_DONTWAIT);
	int fds[] = { self->faults.nth, self->faults.nth, self->faults.nth };

	msg.nfds = ARRAY_SIZE(fds);
	msg.fds = (uintptr_t)fds;
	return raw(self->fd, MBOX_IOC_SEND, &msg);
}

TEST_F(fault, send_with_descriptors)
{
	static const struct operation op = { .run = send_descriptors, .undo = receive_all };

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
}

static long send_with_lifespan(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, 5000, MBOX_DONTWAIT);

	msg.lifespan_ns = ~0ULL;
	return raw(self->fd, MBOX_IOC_SEND, &msg);
}

/* The first one also makes the mailbox ready for it. */
TEST_F(fault, send_with_a_lifespan)
{
	static const struct operation op = { .run = send_with_lifespan, .undo = receive_all };

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
}

static int received_fds[3];

static void queue_descriptors(FIXTURE_DATA(fault) *self)
{
	receive_all(self, 0);
	send_descriptors(self);
}

static long receive_descriptors(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, sizeof(big), MBOX_DONTWAIT);
	long ret;

	msg.nfds = ARRAY_SIZE(received_fds);
	msg.fds = (uintptr_t)received_fds;
	ret = raw(self->fd, MBOX_IOC_RECV, &msg);
	return ret < 0 ? ret : (long)msg.nfds;
}

static void close_descriptors(FIXTURE_DATA(fault) *self, long ret)
{
	while (ret--)
		close(received_fds[ret]);
}

TEST_F(fault, receive_with_descriptors)
{
	static const struct operation op = {
		.prepare = queue_descriptors, .run = receive_descriptors,
		.undo = close_descriptors,
	};
	int before = dup(0), after;

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	close(before);
	repeat(_metadata, self, &op);
	/* None was left behind by those that failed. */
	after = dup(0);
	EXPECT_EQ(before, after);
}

/* A mailbox whose handle travels in messages. */
static int leaf;

static long send_handle(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, 5000, MBOX_DONTWAIT);

	msg.nfds = 1;
	msg.fds = (uintptr_t)&leaf;
	return raw(self->fd, MBOX_IOC_SEND, &msg);
}

static void queue_handle(FIXTURE_DATA(fault) *self)
{
	receive_all(self, 0);
	send_handle(self);
}

static long create_leaf(FIXTURE_DATA(fault) *self)
{
	(void)self;
	return new_mailbox(MBOX_LEAF, 8);
}

/* What cannot be sent or received leaves the handle where it was. */
TEST_F(fault, handles_in_messages)
{
	static const struct operation ops[] = {
		{ .run = create_leaf, .undo = close_result },
		{ .run = send_handle, .undo = receive_all },
		{ .run = receive_descriptors, .undo = close_descriptors,
		  .prepare = queue_handle },
	};
	__u64 id;

	NEED_FAULTS(self);
	leaf = new_mailbox(MBOX_LEAF, 8);
	ASSERT_LE(0, leaf);
	id = stat_of(leaf).id;
	REPEAT_ALL(self, ops);
	EXPECT_EQ(0U, stat_of(leaf).queued);
	close(leaf);
	EXPECT_TRUE(is_gone(id));
}

/* It allocates nothing, and takes away no reader of the other operations. */
static long look_at_the_reader(FIXTURE_DATA(fault) *self)
{
	struct mbox_expel arg = { .reader = 1, .flags = MBOX_EXPEL_LOOK };

	return raw(self->fd, MBOX_IOC_EXPEL, &arg);
}

static long choose_policy(FIXTURE_DATA(fault) *self)
{
	struct mbox_set_reader arg = { .policy = MBOX_READER_WAIT };

	return raw(self->fd, MBOX_IOC_SET_READER, &arg);
}

static void choose_default(FIXTURE_DATA(fault) *self, long ret)
{
	struct mbox_set_reader arg = { 0 };

	(void)ret;
	raw(self->fd, MBOX_IOC_SET_READER, &arg);
}

TEST_F(fault, broadcast)
{
	static const struct operation ops[] = {
		{ .run = look_at_the_reader },
		{ .run = choose_policy, .undo = choose_default },
		{ .run = send_descriptors, .undo = receive_all },
		{ .run = receive_descriptors, .undo = close_descriptors,
		  .prepare = queue_descriptors },
	};

	NEED_FAULTS(self);
	close(self->fd);
	self->fd = new_mailbox(MBOX_BROADCAST | MBOX_DROP_OLDEST | MBOX_ALLOW_WAIT, 8);
	REPEAT_ALL(self, ops);
}

static int new_with_options(__u32 flags, __u32 history, __u64 max_bytes)
{
	struct mbox_create arg = {
		.oflags = O_RDWR | O_CLOEXEC,
		.attr = attr_of(flags, 8),
		.options = MBOX_OPTIONS_INIT,
	};

	arg.options.history = history;
	arg.options.max_bytes = max_bytes;
	return raw_control(MBOX_IOC_CREATE, &arg);
}

static void close_it(FIXTURE_DATA(fault) *self, long fd)
{
	(void)self;
	close(fd);
}

static long create_with_history(FIXTURE_DATA(fault) *self)
{
	(void)self;
	return new_with_options(MBOX_BROADCAST, 4, 0);
}

static long create_with_max_bytes(FIXTURE_DATA(fault) *self)
{
	(void)self;
	return new_with_options(0, 0, 10000);
}

static __u64 late_id;

static long open_late(FIXTURE_DATA(fault) *self)
{
	(void)self;
	return raw_open_id(late_id, O_RDONLY | O_CLOEXEC);
}

/* A send whose copy for the history fails does not fail: the history is shorter. */
TEST_F(fault, history)
{
	static const struct operation ops[] = {
		{ .run = create_with_history, .undo = close_it },
		{ .run = send_page, .undo = receive_all },
		{ .run = open_late, .undo = close_it },
	};

	NEED_FAULTS(self);
	close(self->fd);
	self->fd = new_with_options(MBOX_BROADCAST, 4, 0);
	ASSERT_LE(0, self->fd);
	late_id = stat_of(self->fd).id;
	REPEAT_ALL(self, ops);
}

TEST_F(fault, max_bytes)
{
	static const struct operation ops[] = {
		{ .run = create_with_max_bytes, .undo = close_it },
		{ .run = send_page, .undo = receive_all },
	};

	NEED_FAULTS(self);
	close(self->fd);
	self->fd = new_with_options(0, 0, 10000);
	ASSERT_LE(0, self->fd);
	REPEAT_ALL(self, ops);
}

static struct mbox_request request = { .len = 5000, .rep_len = 9000 };

/* No thread replies: what the call needs, it has allocated by then. */
static long call_in_vain(FIXTURE_DATA(fault) *self)
{
	long ret;

	request.buf = (uintptr_t)big;
	request.deadline_ns = in_ms(CLOCK_MONOTONIC, 20);
	ret = raw(self->fd, MBOX_IOC_CALL, &request);
	return ret == -ETIMEDOUT ? 0 : ret;
}

TEST_F(fault, call)
{
	static const struct operation op = { .run = call_in_vain, .undo = receive_all };

	NEED_FAULTS(self);
	repeat(_metadata, self, &op);
}

/* One caller that waits, and stays while its reply cannot be copied. */
static struct call caller = { .arg = &request };
static struct mbox_reply reply = { .len = 9000 };

static void have_a_caller(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, sizeof(big), 0);

	if (reply.token)
		return;
	request.buf = (uintptr_t)big;
	request.deadline_ns = 0;
	request.rep = (uintptr_t)big;
	reply.buf = (uintptr_t)big;
	if (call_start(&caller, self->fd, MBOX_IOC_CALL) ||
	    raw(self->fd, MBOX_IOC_RECV, &msg) != request.len)
		abort();
	reply.token = msg.token;
}

static long reply_to_it(FIXTURE_DATA(fault) *self)
{
	return raw(self->fd, MBOX_IOC_REPLY, &reply);
}

static void caller_has_it(FIXTURE_DATA(fault) *self, long ret)
{
	if (call_join(&caller) != reply.len)
		abort();
	reply.token = 0;
}

TEST_F(fault, reply)
{
	static const struct operation op = {
		.prepare = have_a_caller, .run = reply_to_it, .undo = caller_has_it,
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	repeat(_metadata, self, &op);
}

/* Reply, and receive the number that is queued. */
static long reply_and_receive(FIXTURE_DATA(fault) *self, __u32 *value)
{
	struct mbox_msg next = msg_of(value, sizeof(*value), MBOX_DONTWAIT);
	struct mbox_reply_recv arg = {
		.reply = reply, .next = (uintptr_t)&next, .next_size = sizeof(next),
	};
	long ret = raw(self->fd, MBOX_IOC_REPLY_RECV, &arg);

	reply.token = arg.reply.token;
	return ret;
}

static long lib_reply_recv(FIXTURE_DATA(fault) *self, __u32 *value)
{
	struct mbox_msg next = msg_of(value, sizeof(*value), MBOX_DONTWAIT);

	return neg(mbox_reply_recv(self->mb, reply.token, big, reply.len, &next));
}

/* Whichever half fails, there is one reply, and what was queued is received once. */
TEST_F(fault, reply_and_receive)
{
	static long (* const ways[])(FIXTURE_DATA(fault) *self, __u32 *value) = {
		reply_and_receive, lib_reply_recv,
	};
	int n, unreplied = 0, replied = 0;
	unsigned int i;
	__u32 value;
	bool hit;
	long ret;

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		for (n = 1, hit = true; hit; n++) {
			ASSERT_GT(1000, n);
			have_a_caller(self);
			ASSERT_EQ(0, put(self->fd, 7));
			value = POISON32;
			inject(self, n);
			ret = ways[i](self, &value);
			hit = injected(self);
			if (ret < 0) {
				ASSERT_TRUE(hit);
				ASSERT_TRUE(is_expected(ret));
				ASSERT_EQ(7, take(self->fd));
				/* The library does not say which half it was. */
				ret = reply.token ? reply_to_it(self) : -ESRCH;
				ASSERT_TRUE(!ret || ret == -ESRCH);
				if (ret)
					replied++;
				else
					unreplied++;
			} else {
				ASSERT_EQ(sizeof(value), (size_t)ret);
				ASSERT_EQ(7U, value);
			}
			caller_has_it(self, 0);
			ASSERT_EQ(0U, stat_of(self->fd).queued);
		}
	}
	EXPECT_LT(0, replied);
	EXPECT_LT(0, unreplied);
}

/* One caller of real-time priority, whose request goes back when that fails. */
static void have_an_urgent_caller(FIXTURE_DATA(fault) *self)
{
	if (stat_of(self->fd).queued)
		return;
	request.buf = (uintptr_t)big;
	request.deadline_ns = 0;
	request.rep = (uintptr_t)big;
	reply.buf = (uintptr_t)big;
	caller.rt_prio = 30;
	if (call_start(&caller, self->fd, MBOX_IOC_CALL) || await_waiting(self->fd, 1, 0))
		abort();
}

static bool priority_is_its_own(FIXTURE_DATA(fault) *self)
{
	return sched_getscheduler(0) == SCHED_OTHER;
}

static long receive_request(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, sizeof(big), 0);
	long ret = raw(self->fd, MBOX_IOC_RECV, &msg);

	reply.token = msg.token;
	return ret;
}

static void reply_at_last(FIXTURE_DATA(fault) *self, long ret)
{
	if (sched_getscheduler(0) != (SCHED_FIFO | SCHED_RESET_ON_FORK) ||
	    raw(self->fd, MBOX_IOC_REPLY, &reply) || !priority_is_its_own(self))
		abort();
	caller_has_it(self, ret);
}

TEST_F(fault, receive_of_inherited_priority)
{
	static const struct operation op = {
		receive_request, reply_at_last, have_an_urgent_caller, priority_is_its_own,
	};

	struct mbox_attr attr = attr_of(MBOX_INHERIT, 8);

	NEED_FAULTS(self);
	close(self->fd);
	attr.msg_max = sizeof(big);
	self->fd = raw_create(NULL, O_RDWR, &attr);
	repeat(_metadata, self, &op);
}

static void queue_three(FIXTURE_DATA(fault) *self)
{
	int i;

	receive_all(self, 0);
	for (i = 0; i < 3; i++)
		put_as(self->fd, i, i, i);
}

static long receive_second(FIXTURE_DATA(fault) *self)
{
	return take_as(self->fd, MBOX_MATCH, 1, 0);
}

static long peek_second(FIXTURE_DATA(fault) *self)
{
	return take_as(self->fd, MBOX_PEEK, 0, 1);
}

static long read_first(FIXTURE_DATA(fault) *self)
{
	__u32 value;

	return neg(read(self->fd, &value, sizeof(value)));
}

/* What queue_three() queued, highest priority first. */
static bool three_are_queued(FIXTURE_DATA(fault) *self)
{
	return take(self->fd) == 2 && take(self->fd) == 1 && take(self->fd) == 0 &&
	       !stat_of(self->fd).queued;
}

/* In two pieces. */
static long readv_first(FIXTURE_DATA(fault) *self)
{
	__u16 halves[2];
	struct iovec iov[] = { { &halves[0], 2 }, { &halves[1], 2 } };

	return neg(readv(self->fd, iov, 2));
}

static void queue_big(FIXTURE_DATA(fault) *self)
{
	receive_all(self, 0);
	memset(big, 'b', sizeof(big));
	send_len(self, sizeof(big));
	memset(big, POISON, sizeof(big));
}

static long receive_big(FIXTURE_DATA(fault) *self)
{
	return raw_recv(self->fd, big, sizeof(big), MBOX_DONTWAIT);
}

static bool big_is_queued(FIXTURE_DATA(fault) *self)
{
	size_t i;

	if (raw_recv(self->fd, big, sizeof(big), MBOX_DONTWAIT) != sizeof(big))
		return false;
	for (i = 0; i < sizeof(big); i++)
		if (big[i] != 'b')
			return false;
	return true;
}

TEST_F(fault, receive)
{
	static const struct operation ops[] = {
		{ receive_second, receive_all, queue_three, three_are_queued },
		{ peek_second, receive_all, queue_three, three_are_queued },
		{ read_first, receive_all, queue_three, three_are_queued },
		{ readv_first, receive_all, queue_three, three_are_queued },
		{ receive_big, receive_all, queue_big, big_is_queued },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
}

/* ---- what is left of the ioctls ----------------------------------------- */

static long ask_info(FIXTURE_DATA(fault) *self)
{
	struct mbox_info info = { 0 };

	(void)self;
	return raw_control(MBOX_IOC_INFO, &info);
}

static long ask_stat(FIXTURE_DATA(fault) *self)
{
	struct mbox_stat st;

	return raw_stat(self->fd, &st);
}

static long grow(FIXTURE_DATA(fault) *self)
{
	return raw_set_capacity(self->fd, 16);
}

static void shrink(FIXTURE_DATA(fault) *self, long ret)
{
	(void)ret;
	raw_set_capacity(self->fd, 8);
}

static void have_name(FIXTURE_DATA(fault) *self)
{
	struct mbox_attr attr = attr_of(0, 1);
	int fd = raw_create(self->name, O_RDWR, &attr);

	close(fd);
}

static bool name_is_there(FIXTURE_DATA(fault) *self)
{
	int fd = raw_open(self->name, O_RDWR);

	close(fd);
	return fd >= 0;
}

static long unlink_name(FIXTURE_DATA(fault) *self)
{
	return raw_unlink(self->name);
}

static long open_name(FIXTURE_DATA(fault) *self)
{
	return raw_open(self->name, O_RDWR);
}

static long create_existing(FIXTURE_DATA(fault) *self)
{
	struct mbox_attr attr = attr_of(0, 1);

	return raw_create(self->name, O_RDWR, &attr);
}

TEST_F(fault, names_and_state)
{
	static const struct operation ops[] = {
		{ .run = ask_info },
		{ .run = ask_stat },
		{ .run = grow, .undo = shrink },
		{ unlink_name, NULL, have_name, name_is_there },
		{ open_name, close_result, have_name, name_is_there },
		{ create_existing, close_result, have_name, name_is_there },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
}

static int event_of_notice = -1;

static long register_eventfd(FIXTURE_DATA(fault) *self)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_EVENTFD, .fd = event_of_notice };

	return raw(self->fd, MBOX_IOC_NOTIFY, &arg);
}

static long register_signal(FIXTURE_DATA(fault) *self)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_SIGNAL, .signo = SIGUSR1 };

	return raw(self->fd, MBOX_IOC_NOTIFY, &arg);
}

static long register_none(FIXTURE_DATA(fault) *self)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_NONE };

	return raw(self->fd, MBOX_IOC_NOTIFY, &arg);
}

static void unregister(FIXTURE_DATA(fault) *self, long ret)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_OFF };

	(void)ret;
	raw(self->fd, MBOX_IOC_NOTIFY, &arg);
}

/* There is no registration. */
static bool not_registered(FIXTURE_DATA(fault) *self)
{
	bool free = !register_none(self);

	unregister(self, 0);
	return free;
}

static long turn_async_on(FIXTURE_DATA(fault) *self)
{
	return neg(fcntl(self->fd, F_SETFL, O_ASYNC));
}

static void turn_async_off(FIXTURE_DATA(fault) *self, long ret)
{
	(void)ret;
	fcntl(self->fd, F_SETFL, 0);
}

static bool is_not_async(FIXTURE_DATA(fault) *self)
{
	return !(fcntl(self->fd, F_GETFL) & O_ASYNC);
}

TEST_F(fault, notifications)
{
	static const struct operation ops[] = {
		{ register_eventfd, unregister, NULL, not_registered },
		{ register_signal, unregister, NULL, not_registered },
		{ register_none, unregister, NULL, not_registered },
		{ turn_async_on, turn_async_off, NULL, is_not_async },
	};

	NEED_FAULTS(self);
	event_of_notice = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, event_of_notice);
	REPEAT_ALL(self, ops);
	close(event_of_notice);
}

/* ---- leases --------------------------------------------------------------- */

static __u64 lease_token;

static void put_one(FIXTURE_DATA(fault) *self)
{
	while (take(self->fd) >= 0)
		;
	put(self->fd, 1);
}

static long lease_one(FIXTURE_DATA(fault) *self)
{
	return lease(self->fd, &lease_token);
}

static void end_lease(FIXTURE_DATA(fault) *self, long ret)
{
	(void)ret;
	ack(self->fd, lease_token);
}

/* The first message is the one that was put there, and it was not on lease. */
static bool never_on_lease(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg;

	return receive_msg(self->fd, MBOX_PEEK, &msg) == 1 && !msg.deliveries;
}

static void have_lease(FIXTURE_DATA(fault) *self)
{
	put_one(self);
	lease_one(self);
}

static long ack_it(FIXTURE_DATA(fault) *self)
{
	struct mbox_lease arg = { .token = lease_token };

	return raw(self->fd, MBOX_IOC_ACK, &arg);
}

static long nack_it(FIXTURE_DATA(fault) *self)
{
	struct mbox_lease arg = { .token = lease_token };

	return raw(self->fd, MBOX_IOC_NACK, &arg);
}

/* The handle is that of self->fd. */
static long lib_ack(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_ack(self->mb, lease_token));
}

static long lib_nack(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_nack(self->mb, lease_token));
}

static long lib_put_back(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_put_back(self->mb, lease_token));
}

static long lib_nack_after(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_nack_after(self->mb, lease_token, 3600 * 1000 * (__u64)NSEC_PER_MSEC));
}

/* The token is still good. */
static bool still_on_lease(FIXTURE_DATA(fault) *self)
{
	return !ack(self->fd, lease_token);
}

TEST_F(fault, leases)
{
	static const struct operation ops[] = {
		{ lease_one, end_lease, put_one, never_on_lease },
		{ ack_it, NULL, have_lease, still_on_lease },
		{ nack_it, receive_all, have_lease, still_on_lease },
		{ lib_ack, NULL, have_lease, still_on_lease },
		{ lib_nack, receive_all, have_lease, still_on_lease },
		{ lib_put_back, receive_all, have_lease, still_on_lease },
		{ lib_nack_after, NULL, have_lease, still_on_lease },
	};

	NEED_FAULTS(self);
	REPEAT_ALL(self, ops);
}

/* ---- dead letters --------------------------------------------------------- */

static int letters;

static long create_with_dead_letters(FIXTURE_DATA(fault) *self)
{
	(void)self;
	return new_with(0, 8, 1, letters);
}

/* A put-back cannot fail: the letter finds what it needs in the other mailbox. */
static bool came_as_letter(FIXTURE_DATA(fault) *self)
{
	return !ack(self->fd, lease_token);
}

static void receive_letters(FIXTURE_DATA(fault) *self, long ret)
{
	(void)self;
	(void)ret;
	while (take(letters) >= 0)
		;
}

TEST_F(fault, dead_letters)
{
	/* What a message needs in a mailbox differs by their flags. */
	static const __u32 flags[] = { 0, MBOX_FAIR, MBOX_DROP_OLDEST, MBOX_HANGUP };
	static const struct operation ops[] = {
		{ .run = create_with_dead_letters, .undo = close_it },
		{ nack_it, receive_letters, have_lease, came_as_letter },
		{ lib_nack, receive_letters, have_lease, came_as_letter },
	};
	unsigned int i;

	NEED_FAULTS(self);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		letters = new_mailbox(flags[i], 8);
		ASSERT_LE(0, letters);
		close(self->fd);
		self->fd = new_with(0, 8, 1, letters);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, neg(mbox_close(self->mb)));
		self->mb = mbox_from_fd(dup(self->fd));
		ASSERT_TRUE(!!self->mb);
		REPEAT_ALL(self, ops);
		close(letters);
	}
}

/* ---- what files have besides -------------------------------------------- */

static long writev_halves(FIXTURE_DATA(fault) *self)
{
	struct iovec iov[] = { { big, 5000 }, { big + 5000, 5000 } };

	return neg(writev(self->fd, iov, 2));
}

static long epoll_add(FIXTURE_DATA(fault) *self)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };

	return neg(epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->fd, &event));
}

static void epoll_del(FIXTURE_DATA(fault) *self, long ret)
{
	(void)ret;
	epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->fd, NULL);
}

TEST_F(fault, file_operations)
{
	static const struct operation ops[] = {
		{ .run = writev_halves, .undo = receive_all },
		{ .run = epoll_add, .undo = epoll_del },
	};

	NEED_FAULTS(self);
	REPEAT_ALL(self, ops);
}

/* ---- the library -------------------------------------------------------- */

/* A handle that was made takes the place of the test's own. */
static long made(FIXTURE_DATA(fault) *self, struct mbox *mb)
{
	if (!mb)
		return neg(-1);
	mbox_close(self->mb);
	self->mb = mb;
	return 0;
}

static void renew_mb(FIXTURE_DATA(fault) *self, long ret)
{
	(void)ret;
	mbox_close(self->mb);
	self->mb = mbox_from_fd(dup(self->fd));
}

static void renew_mb_and_unlink(FIXTURE_DATA(fault) *self, long ret)
{
	renew_mb(self, ret);
	raw_unlink(self->name);
}

static long lib_create(FIXTURE_DATA(fault) *self)
{
	return made(self, mbox_create(NULL, O_RDWR, NULL));
}

static long lib_create_named(FIXTURE_DATA(fault) *self)
{
	return made(self, mbox_create(self->name, O_RDWR | O_EXCL, NULL));
}

static long lib_create_with(FIXTURE_DATA(fault) *self)
{
	static const struct mbox_options options = MBOX_OPTIONS_INIT;

	return made(self, mbox_create_with(NULL, O_RDWR, NULL, &options));
}

static long lib_open(FIXTURE_DATA(fault) *self)
{
	return made(self, mbox_open(self->name, O_RDWR));
}

static long lib_open_id(FIXTURE_DATA(fault) *self)
{
	struct mbox_stat st;
	long ret = neg(mbox_stat(self->mb, &st));

	return ret < 0 ? ret : made(self, mbox_open_id(st.id, O_RDWR));
}

static long lib_reopen(FIXTURE_DATA(fault) *self)
{
	return made(self, mbox_reopen(self->mb, O_RDONLY));
}

static void have_spare(FIXTURE_DATA(fault) *self)
{
	if (self->spare < 0)
		self->spare = dup(self->fd);
}

static long lib_from_fd(FIXTURE_DATA(fault) *self)
{
	long ret = made(self, mbox_from_fd(self->spare));

	if (!ret)
		self->spare = -1;
	return ret;
}

static long lib_direct(FIXTURE_DATA(fault) *self)
{
	return made(self, mbox_direct(getppid(), O_RDWR));
}

static long lib_direct_pidfd(FIXTURE_DATA(fault) *self)
{
	int pidfd = neg(syscall(SYS_pidfd_open, getppid(), 0));
	long ret;

	if (pidfd < 0)
		return pidfd;
	ret = made(self, mbox_direct_pidfd(pidfd, O_RDWR));
	close(pidfd);
	/* What procfs says when it has no memory for a name. */
	return ret == -ENOENT ? -ENOMEM : ret;
}

static long lib_unlink(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_unlink(self->name));
}

static long lib_stat(FIXTURE_DATA(fault) *self)
{
	struct mbox_stat st;

	return neg(mbox_stat(self->mb, &st));
}

static long lib_set_capacity(FIXTURE_DATA(fault) *self)
{
	/* This one allocates nothing. */
	if (mbox_set_perm(self->mb, geteuid(), -1, 0600))
		return neg(-1);
	return neg(mbox_set_capacity(self->mb, 16));
}

static long lib_expel(FIXTURE_DATA(fault) *self)
{
	long ret = neg(mbox_expel(self->mb, NULL, NULL, 0));

	/* This is no broadcast. */
	return ret == -EOPNOTSUPP ? 0 : ret;
}

static long lib_set_reader(FIXTURE_DATA(fault) *self)
{
	long ret = neg(mbox_set_reader(self->mb, MBOX_READER_DROP));

	/* Likewise. */
	return ret == -EOPNOTSUPP ? 0 : ret;
}

static long lib_walk(FIXTURE_DATA(fault) *self)
{
	struct mbox_walk pos = { 0 };

	(void)self;
	return neg(mbox_walk(&pos));
}

static long lib_info(FIXTURE_DATA(fault) *self)
{
	struct mbox_info info;

	(void)self;
	return neg(mbox_info(&info));
}

TEST_F(fault, library_handles_and_names)
{
	static const struct operation ops[] = {
		{ .run = lib_create, .undo = renew_mb },
		{ .run = lib_create_named, .undo = renew_mb_and_unlink },
		{ .run = lib_create_with, .undo = renew_mb },
		{ lib_open, renew_mb, have_name, name_is_there },
		{ .run = lib_open_id, .undo = renew_mb },
		{ .run = lib_reopen, .undo = renew_mb },
		{ .run = lib_from_fd, .undo = renew_mb, .prepare = have_spare },
		{ .run = lib_direct, .undo = renew_mb },
		{ .run = lib_direct_pidfd, .undo = renew_mb },
		{ lib_unlink, NULL, have_name, name_is_there },
		{ .run = lib_stat },
		{ .run = lib_set_capacity, .undo = shrink },
		{ .run = lib_expel },
		{ .run = lib_set_reader },
		{ .run = lib_walk },
		{ .run = lib_info },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
}

static long lib_send(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_send(self->mb, big, 5000, 0));
}

static long lib_send_flags(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_send(self->mb, big, 5000, MBOX_DONTWAIT));
}

static long lib_timedsend(FIXTURE_DATA(fault) *self)
{
	struct timespec ts = deadline_in(CLOCK_MONOTONIC, 60000);

	return neg(mbox_timedsend(self->mb, big, 5000, 0, &ts));
}

static long lib_sendmsg(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, 5000, MBOX_DONTWAIT);

	return neg(mbox_sendmsg(self->mb, &msg));
}

/* Of one: more than that can be sent in part, see batches. */
static long lib_sendmmsg(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, 5000, 0);

	return neg(mbox_sendmmsg(self->mb, &msg, 1, MBOX_DONTWAIT));
}

static long lib_recv(FIXTURE_DATA(fault) *self)
{
	__u32 value;

	return neg(mbox_recv(self->mb, &value, sizeof(value), 0));
}

static long lib_recv_flags(FIXTURE_DATA(fault) *self)
{
	__u32 value;

	return neg(mbox_recv(self->mb, &value, sizeof(value), MBOX_DONTWAIT));
}

static long lib_timedrecv(FIXTURE_DATA(fault) *self)
{
	struct timespec ts = deadline_in(CLOCK_MONOTONIC, 60000);
	__u32 value;

	return neg(mbox_timedrecv(self->mb, &value, sizeof(value), 0, &ts));
}

static long lib_recvmsg(FIXTURE_DATA(fault) *self)
{
	__u32 value;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);

	return neg(mbox_recvmsg(self->mb, &msg));
}

static long lib_recvmmsg(FIXTURE_DATA(fault) *self)
{
	__u32 value;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);

	return neg(mbox_recvmmsg(self->mb, &msg, 1, MBOX_DONTWAIT));
}

static long lib_send_for(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_send_for(self->mb, big, 5000, 0, 60000));
}

static long lib_recv_for(FIXTURE_DATA(fault) *self)
{
	__u32 value;

	return neg(mbox_recv_for(self->mb, &value, sizeof(value), 0, 60000));
}

static long lib_send_prio(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_send_prio(self->mb, big, 5000, 7, MBOX_DONTWAIT));
}

static long lib_recv_alloc(FIXTURE_DATA(fault) *self)
{
	void *got;
	long ret = neg(mbox_recv_alloc(self->mb, &got, 0, NULL));

	if (ret >= 0)
		free(got);
	return ret;
}

/* A group of this mailbox, a receive from it, and its end. */
static long lib_recv_any(FIXTURE_DATA(fault) *self)
{
	struct mbox_group *group = mbox_group_new(MBOX_GROUP_PRIO);
	struct timespec ts = deadline_in(CLOCK_MONOTONIC, 60000);
	struct mbox *from;
	__u32 value;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);
	long ret;

	if (!group)
		return neg(-1);
	msg.deadline_ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
	ret = mbox_group_fd(group) < 0 ? -EBADF : neg(mbox_group_add(group, self->mb, 0));
	if (!ret) {
		ret = neg(mbox_recv_any(group, &msg, &from));
		mbox_group_remove(group, self->mb);
	}
	mbox_group_free(group);
	return ret;
}

static long lib_pipe(FIXTURE_DATA(fault) *self)
{
	struct mbox *ends[2];

	(void)self;
	if (mbox_pipe(ends))
		/* As in lib_direct_pidfd(). */
		return errno == ENOENT ? -ENOMEM : neg(-1);
	mbox_close(ends[0]);
	return neg(mbox_close(ends[1]));
}

static long lib_sem(FIXTURE_DATA(fault) *self)
{
	struct mbox_sem *sem = mbox_sem_open(NULL, O_CREAT, 0600, 2);
	unsigned int value;
	long ret;

	(void)self;
	if (!sem)
		return neg(-1);
	ret = neg(mbox_sem_wait(sem, NULL));
	if (!ret)
		ret = neg(mbox_sem_post(sem));
	if (!ret)
		ret = neg(mbox_sem_wait(sem, NULL));
	if (!ret)
		ret = neg(mbox_sem_spend(sem));
	if (!ret)
		ret = neg(mbox_sem_add(sem, 1));
	if (!ret)
		ret = neg(mbox_sem_value(sem, &value));
	mbox_sem_close(sem);
	return ret;
}

/* A mutex and a condition that nobody signals. */
static long lib_monitor(FIXTURE_DATA(fault) *self)
{
	struct mbox_mutex *mutex = mbox_mutex_open(NULL, O_CREAT, 0600);
	struct mbox_cond *cond = mutex ? mbox_cond_open(NULL, O_CREAT, 0600) : NULL;
	struct timespec ts = { 0 };
	long ret = cond ? 0 : neg(-1);

	(void)self;
	if (!ret)
		ret = neg(mbox_mutex_lock(mutex, NULL));
	if (!ret) {
		ret = neg(mbox_cond_wait(cond, mutex, &ts));
		ret = ret == -ETIMEDOUT ? 0 : ret;
	}
	if (!ret)
		ret = neg(mbox_cond_signal(cond));
	if (!ret)
		ret = neg(mbox_cond_broadcast(cond));
	if (!ret && mbox_mutex_consistent(mutex) == 0)
		ret = -EINVAL;
	if (!ret)
		ret = neg(mbox_mutex_unlock(mutex));
	mbox_cond_close(cond);
	mbox_mutex_close(mutex);
	return ret;
}

static long lib_barrier(FIXTURE_DATA(fault) *self)
{
	struct mbox_barrier *barrier = mbox_barrier_open(NULL, O_CREAT, 0600, 1);
	long ret;

	(void)self;
	if (!barrier)
		return neg(-1);
	ret = neg(mbox_barrier_wait(barrier, NULL));
	mbox_barrier_close(barrier);
	return ret < 0 ? ret : 0;
}

static long lib_barrier_unlink(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_barrier_unlink(self->name));
}

TEST_F(fault, library_synchronisation)
{
	static const struct operation ops[] = {
		{ .run = lib_sem },
		{ .run = lib_monitor },
		{ .run = lib_barrier },
		{ lib_barrier_unlink, NULL, have_name, name_is_there },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
}

TEST_F(fault, library_messages)
{
	static const struct operation ops[] = {
		{ .run = lib_send_for, .undo = receive_all },
		{ .run = lib_send_prio, .undo = receive_all },
		{ .run = lib_pipe },
		{ lib_recv_for, receive_all, queue_three, three_are_queued },
		{ lib_recv_alloc, receive_all, queue_three, three_are_queued },
		{ lib_recv_any, receive_all, queue_three, three_are_queued },
		{ .run = lib_send, .undo = receive_all },
		{ .run = lib_send_flags, .undo = receive_all },
		{ .run = lib_timedsend, .undo = receive_all },
		{ .run = lib_sendmsg, .undo = receive_all },
		{ .run = lib_sendmmsg, .undo = receive_all },
		{ lib_recv, receive_all, queue_three, three_are_queued },
		{ lib_recv_flags, receive_all, queue_three, three_are_queued },
		{ lib_timedrecv, receive_all, queue_three, three_are_queued },
		{ lib_recvmsg, receive_all, queue_three, three_are_queued },
		{ lib_recvmmsg, receive_all, queue_three, three_are_queued },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
}

static long lib_call(FIXTURE_DATA(fault) *self)
{
	struct timespec ts = deadline_in(CLOCK_MONOTONIC, 20);
	long ret;

	/* As call_in_vain(). */
	ret = neg(mbox_call(self->mb, big, 5000, big, 9000, &ts));
	return ret == -ETIMEDOUT ? 0 : ret;
}

static long lib_reply(FIXTURE_DATA(fault) *self)
{
	return neg(mbox_reply(self->mb, reply.token, big, reply.len));
}

TEST_F(fault, library_calls)
{
	static const struct operation ops[] = {
		{ .run = lib_call, .undo = receive_all },
		{ .run = lib_reply, .undo = caller_has_it, .prepare = have_a_caller },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
}

/* ---- calls that do not wait, and with descriptors ---- */

static uint64_t started;
static int passed[2] = { -1, -1 };

/* A request with descriptors; undo cancels it. */
static struct mbox_msg request_with_fds(void)
{
	struct mbox_msg req = msg_of(big, 5000, MBOX_DONTWAIT);

	if (passed[0] < 0 && pipe2(passed, O_CLOEXEC))
		abort();
	req.nfds = 2;
	req.fds = (uintptr_t)passed;
	return req;
}

/* Where clock_gettime(2) is a system call, it must not be what fails. */
static __u64 soon;

static void have_a_pipe(FIXTURE_DATA(fault) *self)
{
	(void)self;
	request_with_fds();
	soon = in_ms(CLOCK_MONOTONIC, 20);
}

static long start_a_call(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg req = request_with_fds();
	struct mbox_call_start arg = {
		.req = (uintptr_t)&req, .msg_size = sizeof(req), .rep_max = 9000,
	};
	long ret = raw(self->fd, MBOX_IOC_CALL_START, &arg);

	started = arg.token;
	return ret;
}

static long lib_start_a_call(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg req = request_with_fds();

	return neg(mbox_call_start(self->mb, &req, 9000, &started));
}

static void cancel_it(FIXTURE_DATA(fault) *self, long ret)
{
	struct mbox_call_cancel arg = { .token = started };

	(void)ret;
	if (raw(self->fd, MBOX_IOC_CALL_CANCEL, &arg))
		abort();
}

/* A call whose reply, with descriptors, waits to be fetched. */
static void have_a_reply(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, sizeof(big), 0);
	struct mbox_replymsg arg = { .buf = (uintptr_t)big, .len = 9000, .nfds = 2 };

	if (started)
		return;
	if (start_a_call(self) || raw(self->fd, MBOX_IOC_RECV, &msg) != 5000)
		abort();
	arg.token = msg.token;
	arg.fds = (uintptr_t)passed;
	if (raw(self->fd, MBOX_IOC_REPLYMSG, &arg))
		abort();
}

static struct mbox_msg room_for_fds(int *fds)
{
	struct mbox_msg rep = msg_of(big, sizeof(big), MBOX_DONTWAIT);

	rep.nfds = 2;
	rep.fds = (uintptr_t)fds;
	return rep;
}

static int fetched[2];

static long fetch_a_reply(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg rep = room_for_fds(fetched);
	struct mbox_call_wait arg = { .rep = (uintptr_t)&rep, .msg_size = sizeof(rep) };
	long ret = raw(self->fd, MBOX_IOC_CALL_WAIT, &arg);

	return ret >= 0 && rep.nfds != 2 ? -EBADMSG : ret;
}

static long lib_fetch_a_reply(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg rep = room_for_fds(fetched);
	uint64_t token = 0;
	long ret = neg(mbox_call_wait(self->mb, &token, &rep, NULL));

	return ret >= 0 && rep.nfds != 2 ? -EBADMSG : ret;
}

static void close_fetched(FIXTURE_DATA(fault) *self, long ret)
{
	(void)self;
	(void)ret;
	close(fetched[0]);
	close(fetched[1]);
	started = 0;
}

static bool is_still_there(FIXTURE_DATA(fault) *self)
{
	struct pollfd pfd = { .fd = self->fd, .events = POLLPRI };

	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLPRI;
}

/* A call of the own mailbox that no thread fetches: only the server's half counts. */
static void have_a_started_call(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg msg = msg_of(big, sizeof(big), 0);

	if (reply.token)
		return;
	if (start_a_call(self) || raw(self->fd, MBOX_IOC_RECV, &msg) != 5000)
		abort();
	reply.token = msg.token;
}

static long reply_with_fds(FIXTURE_DATA(fault) *self)
{
	struct mbox_replymsg arg = {
		.token = reply.token, .buf = (uintptr_t)big, .len = 9000,
		.nfds = 2, .fds = (uintptr_t)passed,
	};

	return raw(self->fd, MBOX_IOC_REPLYMSG, &arg);
}

static long lib_reply_with_fds(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg rep = msg_of(big, 9000, 0);

	rep.nfds = 2;
	rep.fds = (uintptr_t)passed;
	return neg(mbox_replymsg(self->mb, reply.token, &rep));
}

static void fetch_it(FIXTURE_DATA(fault) *self, long ret)
{
	(void)ret;
	if (fetch_a_reply(self) != 9000)
		abort();
	close_fetched(self, 0);
	reply.token = 0;
}

/* As call_in_vain(). */
static long callmsg_in_vain(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg req = request_with_fds(), rep = room_for_fds(fetched);
	struct mbox_callmsg arg = {
		.req = (uintptr_t)&req, .rep = (uintptr_t)&rep, .msg_size = sizeof(req),
	};
	long ret;

	req.flags = 0;
	rep.flags = 0;
	req.deadline_ns = soon;
	ret = raw(self->fd, MBOX_IOC_CALLMSG, &arg);
	return ret == -ETIMEDOUT ? 0 : ret;
}

static long lib_callmsg_in_vain(FIXTURE_DATA(fault) *self)
{
	struct mbox_msg req = request_with_fds(), rep = room_for_fds(fetched);
	long ret;

	req.flags = 0;
	rep.flags = 0;
	req.deadline_ns = soon;
	ret = neg(mbox_callmsg(self->mb, &req, &rep));
	return ret == -ETIMEDOUT ? 0 : ret;
}

TEST_F(fault, calls_that_do_not_wait)
{
	static const struct operation ops[] = {
		{ .run = start_a_call, .undo = cancel_it, .prepare = have_a_pipe },
		{ .run = lib_start_a_call, .undo = cancel_it, .prepare = have_a_pipe },
	};
	static const struct operation fetches[] = {
		{ .run = fetch_a_reply, .undo = close_fetched, .prepare = have_a_reply,
		  .intact = is_still_there },
		{ .run = lib_fetch_a_reply, .undo = close_fetched, .prepare = have_a_reply,
		  .intact = is_still_there },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
	started = 0;
	REPEAT_ALL(self, fetches);
	EXPECT_EQ(-ESRCH, neg(mbox_call_cancel(self->mb, 1)));
}

TEST_F(fault, calls_and_replies_with_descriptors)
{
	static const struct operation ops[] = {
		{ .run = callmsg_in_vain, .undo = receive_all, .prepare = have_a_pipe },
		{ .run = lib_callmsg_in_vain, .undo = receive_all, .prepare = have_a_pipe },
		{ .run = reply_with_fds, .undo = fetch_it, .prepare = have_a_started_call },
		{ .run = lib_reply_with_fds, .undo = fetch_it, .prepare = have_a_started_call },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
}

/* No SIGEV_THREAD: a thread without memory is a warning in the kernel log. */
static long lib_notify_by(FIXTURE_DATA(fault) *self, struct sigevent sev)
{
	return neg(mbox_notify(self->mb, &sev));
}

static long lib_notify_none(FIXTURE_DATA(fault) *self)
{
	return lib_notify_by(self, (struct sigevent){ .sigev_notify = SIGEV_NONE });
}

static long lib_notify_signal(FIXTURE_DATA(fault) *self)
{
	return lib_notify_by(self, (struct sigevent){
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 });
}

static void lib_unregister(FIXTURE_DATA(fault) *self, long ret)
{
	(void)ret;
	if (mbox_notify(self->mb, NULL))
		abort();
}

TEST_F(fault, library_notifications)
{
	static const struct operation ops[] = {
		{ lib_notify_none, lib_unregister, NULL, not_registered },
		{ lib_notify_signal, lib_unregister, NULL, not_registered },
	};

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	REPEAT_ALL(self, ops);
}

/* ---- batches ------------------------------------------------------------ */

static void batch_of(struct mbox_msg *msgs, __u32 *values)
{
	int i;

	for (i = 0; i < 4; i++) {
		values[i] = i;
		msgs[i] = msg_of(&values[i], sizeof(values[i]), MBOX_DONTWAIT);
	}
}

/* A batch that fails later on says how far it came. */
TEST_F(fault, batches)
{
	struct mbox_msg msgs[4];
	__u32 values[4];
	int n, i;
	bool hit;
	long ret;

	NEED_FAULTS(self);
	for (n = 1, hit = true; hit; n++) {
		ASSERT_GT(1000, n);
		batch_of(msgs, values);
		inject(self, n);
		ret = raw_vec(self->fd, MBOX_IOC_SENDV, msgs, 4, 0);
		hit = injected(self);
		ASSERT_TRUE(ret > 0 || is_expected(ret));
		ASSERT_EQ(ret < 0 ? 0U : (__u32)ret, stat_of(self->fd).queued);
		for (i = 0; i < ret; i++)
			ASSERT_EQ(i, take(self->fd));
	}
	ASSERT_EQ(4, ret);
	for (n = 1, hit = true; hit; n++) {
		ASSERT_GT(1000, n);
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, put(self->fd, i));
		batch_of(msgs, values);
		inject(self, n);
		ret = raw_vec(self->fd, MBOX_IOC_RECVV, msgs, 4, 0);
		hit = injected(self);
		ASSERT_TRUE(ret > 0 || is_expected(ret));
		ASSERT_EQ(ret < 0 ? 4U : 4U - (__u32)ret, stat_of(self->fd).queued);
		for (i = ret < 0 ? 0 : ret; i < 4; i++)
			ASSERT_EQ(i, take(self->fd));
	}
	ASSERT_EQ(4, ret);
}

static long send_sync(FIXTURE_DATA(fault) *self)
{
	return raw_send(self->fd, big, 4, MBOX_SYNC);
}

/* A receiver waits all the time: only a whole message is handed to it. */
TEST_F(fault, synchronous_send_to_a_waiting_receiver)
{
	struct call c = { 0 };
	bool hit = true;
	long ret;
	int n;

	NEED_FAULTS(self);
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	for (n = 1; hit; n++) {
		ASSERT_GT(1000, n);
		inject(self, n);
		ret = send_sync(self);
		hit = injected(self);
		if (ret < 0) {
			ASSERT_TRUE(is_expected(ret));
			ASSERT_EQ(1U, stat_of(self->fd).waiting_receivers);
			ASSERT_EQ(0U, stat_of(self->fd).queued);
			continue;
		}
		ASSERT_EQ(0, recv_join(&c));
		if (!hit)
			break;
		ASSERT_EQ(0, recv_start(&c, self->fd));
		ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	}
	EXPECT_EQ(0, ret);
}

static long change_capacity(FIXTURE_DATA(fault) *self)
{
	return raw_set_capacity(self->fd, 8);
}

static long destroy_it(FIXTURE_DATA(fault) *self)
{
	return raw_destroy(self->fd);
}

/*
 * Rings: their memory, and mapping it, which the first call of each kind does.
 */

static long create_ring(FIXTURE_DATA(fault) *self)
{
	struct mbox_attr attr = attr_of(0, 5);

	(void)self;
	attr.mode = MBOX_RING;
	return raw_create(NULL, O_RDWR, &attr);
}

/* A failed attempt may have left some of the regions mapped: not any more. */
static void have_fresh(FIXTURE_DATA(fault) *self)
{
	if (self->fresh)
		mbox_close(self->fresh);
	self->fresh = mbox_open_id(stat_of(mbox_fd(self->ring)).id, O_RDWR);
}

static long first_send(FIXTURE_DATA(fault) *self)
{
	__u32 value = 7;

	return neg(mbox_send(self->fresh, &value, sizeof(value), MBOX_DONTWAIT));
}

static void take_it(FIXTURE_DATA(fault) *self, long ret)
{
	__u32 value = 0;

	if (mbox_recv(self->ring, &value, sizeof(value), MBOX_DONTWAIT) != 4 || value != 7)
		abort();
}

static bool ring_is_empty(FIXTURE_DATA(fault) *self)
{
	return stat_of(mbox_fd(self->ring)).queued == 0;
}

static void have_fresh_and_message(FIXTURE_DATA(fault) *self)
{
	__u32 value = 7;

	have_fresh(self);
	if (ring_is_empty(self) && mbox_send(self->ring, &value, sizeof(value), 0))
		abort();
}

static bool ring_has_one(FIXTURE_DATA(fault) *self)
{
	return stat_of(mbox_fd(self->ring)).queued == 1;
}

static long first_receive(FIXTURE_DATA(fault) *self)
{
	__u32 value;

	return neg(mbox_recv(self->fresh, &value, sizeof(value), MBOX_DONTWAIT));
}

/* In place. Only getting the place needs anything. */
static long first_reserve(FIXTURE_DATA(fault) *self)
{
	__u32 *slot = mbox_reserve(self->fresh, sizeof(*slot), MBOX_DONTWAIT);

	if (!slot)
		return neg(-1);
	*slot = 7;
	return neg(mbox_commit(self->fresh, slot, sizeof(*slot)));
}

static long reserve_and_discard(FIXTURE_DATA(fault) *self)
{
	void *slot = mbox_reserve(self->fresh, 4, MBOX_DONTWAIT);

	return slot ? neg(mbox_discard(self->fresh, slot)) : neg(-1);
}

/* The place counts until a receiver has come past it. */
static void pass_it(FIXTURE_DATA(fault) *self, long ret)
{
	__u32 value;

	if (neg(mbox_recv(self->ring, &value, sizeof(value), MBOX_DONTWAIT)) != -EAGAIN)
		abort();
}

static long first_peek(FIXTURE_DATA(fault) *self)
{
	const __u32 *slot;
	size_t len;

	slot = mbox_peek(self->fresh, &len, MBOX_DONTWAIT);
	if (!slot)
		return neg(-1);
	if (len != sizeof(*slot) || *slot != 7)
		abort();
	return neg(mbox_release(self->fresh, slot));
}

static long wait_for_nothing(FIXTURE_DATA(fault) *self)
{
	struct mbox_ring_wait wait = { .side = MBOX_RING_SENDERS };

	return raw(mbox_fd(self->ring), MBOX_IOC_RING_WAIT, &wait);
}

static long wake_nobody(FIXTURE_DATA(fault) *self)
{
	struct mbox_ring_wake wake = { .side = MBOX_RING_SENDERS, .n = 1 };

	return raw(mbox_fd(self->ring), MBOX_IOC_RING_WAKE, &wake);
}

TEST_F(fault, rings)
{
	static const struct operation ops[] = {
		{ .run = create_ring, .undo = close_result },
		{ first_send, take_it, have_fresh, ring_is_empty },
		{ first_receive, NULL, have_fresh_and_message, ring_has_one },
		{ first_reserve, take_it, have_fresh, ring_is_empty },
		{ reserve_and_discard, pass_it, have_fresh, ring_is_empty },
		{ first_peek, NULL, have_fresh_and_message, ring_has_one },
		{ .run = wait_for_nothing },
		{ .run = wake_nobody },
	};
	struct mbox_attr attr = attr_of(0, 5);

	NEED_FAULTS(self);
	NEED_COPY_FAULTS();
	attr.mode = MBOX_RING;
	self->ring = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!self->ring);
	REPEAT_ALL(self, ops);
}

/* ---- half an index --------------------------------------------------------- */

#define STORED 70

/*
 * A full mailbox whose blocked sends have an index, and whose stored messages have none.
 * The first allocation that stops a receive call by type is the index of the blocked
 * sends, the second one that of the stored messages.
 */
static int new_half_index(FIXTURE_DATA(fault) *self)
{
	int fd, i, n, failed = 0;
	struct mbox_msg msg;
	long ret;

	for (n = 1; n < 30; n++) {
		fd = new_mailbox(0, STORED);
		for (i = 0; i < STORED; i++)
			CHECK_EQ(0, put(fd, i));
		msg = (struct mbox_msg){ .flags = MBOX_DONTWAIT | MBOX_MATCH, .type = 7 };
		inject(self, n);
		ret = raw(fd, MBOX_IOC_RECV, &msg);
		CHECK(injected(self));
		if (ret == -ENOMEM && ++failed == 2)
			return fd;
		close(fd);
	}
	return -ENOENT;
}

static pid_t poller_tid;

static void *poll_for_room(void *arg)
{
	__atomic_store_n(&poller_tid, gettid(), __ATOMIC_RELEASE);
	poll(arg, 1, WAIT_LIMIT_MS);
	return NULL;
}

static int use_half_an_index(void *arg)
{
	FIXTURE_DATA(fault) *self = arg;
	struct pollfd pfd = { .events = POLLOUT };
	struct call sender = { 0 };
	pthread_t thread;
	int fd, i, ret;
	__s64 limit;

	self->faults.nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	CHECK(self->faults.nth >= 0);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_half_index(self);
	pfd.fd = new_mailbox(0, MBOX_UNBOUNDED);
	CHECK(fd >= 0 && pfd.fd >= 0);
	CHECK_EQ(0, send_start(&sender, fd, STORED));
	CHECK_EQ(0, await_waiting(fd, 1, 0));
	do {
		ret = put(pfd.fd, 1);
	} while (!ret);
	CHECK_EQ(-EDQUOT, ret);
	CHECK_EQ(0, poll(&pfd, 1, 0));
	limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS / 2);
	CHECK_EQ(0, neg(pthread_create(&thread, NULL, poll_for_room, &pfd)));
	CHECK_EQ(0, await_asleep(&poller_tid));
	/* The entry of the blocked send is freed, and nothing else. */
	CHECK_EQ(0, raw_set_capacity(fd, STORED + 1));
	CHECK_EQ(0, call_join(&sender));
	CHECK_EQ(0, pthread_join(thread, NULL));
	/* At the end of its time, it would have checked by itself. */
	CHECK(now_ns(CLOCK_MONOTONIC) < limit);
	CHECK_EQ(1, poll(&pfd, 1, 0));
	CHECK_EQ(0, put(pfd.fd, 1));
	for (i = 0; i <= STORED; i++)
		CHECK_EQ(i, take(fd));
	return 0;
}

TEST_F(fault, entry_without_an_index_is_uncharged)
{
	long saved = param_get("user_bytes");

	NEED_FAULTS(self);
	ASSERT_EQ(0, param_set("user_bytes", 20000));
	EXPECT_EQ(0, in_child(use_half_an_index, self));
	EXPECT_EQ(0, param_set("user_bytes", saved));
}

/* What needs no memory does not fail. */
TEST_F(fault, destroy_never_fails)
{
	struct mbox_attr ring = attr_of(0, 5);
	int n;

	NEED_FAULTS(self);
	for (n = 1; n < 4; n++) {
		queue_three(self);
		inject(self, n);
		/* Only its argument can fail to be copied. */
		if (change_capacity(self))
			EXPECT_TRUE(injected(self));
		inject(self, n);
		EXPECT_EQ(0, destroy_it(self));
		injected(self);
		close(self->fd);
		self->fd = new_mailbox(0, 8);

		renew_mb(self, 0);
		inject(self, n);
		EXPECT_EQ(0, mbox_destroy(self->mb));
		injected(self);
		EXPECT_EQ(-EIDRM, put(self->fd, 1));
		close(self->fd);
		self->fd = new_mailbox(0, 8);
	}

	ring.mode = MBOX_RING;
	self->ring = mbox_create(NULL, O_RDWR, &ring);
	ASSERT_TRUE(!!self->ring);
	inject(self, 1);
	EXPECT_EQ(0, mbox_set_spin(self->ring, 10));
	injected(self);
}

TEST_HARNESS_MAIN
