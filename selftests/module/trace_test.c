// SPDX-License-Identifier: GPL-2.0-only
/* The tracepoints, in a tracing instance of the test's own. */
#include <sys/mount.h>

#include "calls.h"
#include "leases.h"

#define TRACEFS "/sys/kernel/tracing"

FIXTURE(trace)
{
	char dir[128];
	bool usable;
	__u64 id;
	int fd;
};

static int trace_file(const char *dir, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return write_file(path, "%s", text);
}

FIXTURE_SETUP(trace)
{
	snprintf(self->dir, sizeof(self->dir), TRACEFS "/instances/mbox-test-%d", getpid());
	/* Where it is mounted already, this fails. */
	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	self->usable = !mkdir(self->dir, 0700) &&
		       !trace_file(self->dir, "events/mbox/enable", "1") &&
		       !trace_file(self->dir, "tracing_on", "1");
	self->fd = new_mailbox(0, 2);
	ASSERT_LE(0, self->fd);
	self->id = stat_of(self->fd).id;
}

FIXTURE_TEARDOWN(trace)
{
	trace_file(self->dir, "events/mbox/enable", "0");
	close(self->fd);
	rmdir(self->dir);
}

#define NEED_TRACING(self) do {						\
	if (!(self)->usable)						\
		SKIP(return, "no tracing instance with mbox events");	\
} while (0)

/* How often an event with both of these in it was recorded. */
static int count_events(FIXTURE_DATA(trace) *self, const char *name, const char *with,
			const char *and)
{
	static char text[1 << 20];
	char path[256], event[64], *line;
	int n = 0;

	snprintf(path, sizeof(path), "%s/trace", self->dir);
	if (read_file(path, text, sizeof(text)))
		return -1;
	snprintf(event, sizeof(event), " mbox_%s: ", name);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		n += strstr(line, event) && strstr(line, with) && strstr(line, and);
	return n;
}

/* How often an event of this mailbox, with that in it, was recorded. */
static int events(FIXTURE_DATA(trace) *self, const char *name, const char *with)
{
	char id[64];

	snprintf(id, sizeof(id), "id=%llu ns=%llu ", (unsigned long long)self->id,
		 current_net());
	return count_events(self, name, id, with);
}

TEST_F(trace, create_attach_and_destroy_are_traced)
{
	int reader;

	NEED_TRACING(self);
	EXPECT_EQ(1, events(self, "create", "capacity=2 "));
	EXPECT_EQ(1, events(self, "attach", ""));
	reader = raw_open_id(self->id, O_RDONLY);
	ASSERT_LE(0, reader);
	EXPECT_EQ(2, events(self, "attach", ""));
	close(reader);
	EXPECT_EQ(0, events(self, "destroy", ""));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(1, events(self, "destroy", ""));
}

/* Of an anonymous mailbox, and of a temporary one, whose flags tell that it is one. */
TEST_F(trace, end_with_the_last_handle_is_traced)
{
	struct mbox_attr attr = attr_of(MBOX_TEMPORARY | MBOX_LEAF, 2);
	char name[64], flags[32];

	NEED_TRACING(self);
	close(self->fd);
	EXPECT_EQ(1, events(self, "destroy", "released"));
	test_name(name, sizeof(name), "trace");
	self->fd = raw_create(name, O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, self->fd);
	self->id = stat_of(self->fd).id;
	snprintf(flags, sizeof(flags), "flags=%#x ", attr.flags);
	EXPECT_EQ(1, events(self, "create", flags));
	EXPECT_EQ(0, events(self, "destroy", ""));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(1, events(self, "destroy", "released"));
}

TEST_F(trace, direct_is_traced)
{
	char fields[64];
	int fd;

	NEED_TRACING(self);
	fd = raw_direct(getppid(), O_RDWR);
	ASSERT_LE(0, fd);
	self->id = stat_of(fd).id;
	snprintf(fields, sizeof(fields), "pid=%d peer=%d", getpid(), getppid());
	EXPECT_EQ(1, events(self, "direct", fields));
	EXPECT_EQ(0, events(self, "destroy", ""));
	close(fd);
	EXPECT_EQ(1, events(self, "destroy", "released"));
}

TEST_F(trace, name_is_recorded)
{
	struct mbox_attr attr = attr_of(0, 1);
	char name[64];
	int fd;

	NEED_TRACING(self);
	fd = raw_create(test_name(name, sizeof(name), "trace"), O_RDWR, &attr);
	ASSERT_LE(0, fd);
	self->id = stat_of(fd).id;
	EXPECT_EQ(1, events(self, "create", name));
	EXPECT_EQ(0, raw_unlink(name));
	close(fd);
}

/* A name cannot forge an event, nor send control sequences to a terminal. */
TEST_F(trace, name_is_escaped)
{
	struct mbox_attr attr = attr_of(0, 1);
	char name[256], shown[512];
	int fd;

	NEED_TRACING(self);
	test_name(name, sizeof(name), "trace");
	snprintf(shown, sizeof(shown),
		 "name=%s\\x0a\\x20init-1\\x20[000]\\x20:\\x20mbox_destroy:\\x20id=%llu\\x20\\x1b\\x5c\\xc3",
		 name, (unsigned long long)self->id);
	snprintf(name + strlen(name), sizeof(name) - strlen(name),
		 "\n init-1 [000] : mbox_destroy: id=%llu \x1b\\\xc3",
		 (unsigned long long)self->id);
	fd = raw_create(name, O_RDWR, &attr);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, raw_unlink(name));
	EXPECT_EQ(0, events(self, "destroy", ""));
	self->id = stat_of(fd).id;
	EXPECT_EQ(1, events(self, "create", shown));
	close(fd);
}

/* The longest name, each byte of it four characters. */
TEST_F(trace, longest_name_is_recorded)
{
	struct mbox_attr attr = attr_of(0, 1);
	char name[MBOX_NAME_MAX + 1], shown[4 * MBOX_NAME_MAX + 16] = "name=";
	int fd, i;

	NEED_TRACING(self);
	memset(name, '\xfe', MBOX_NAME_MAX);
	name[MBOX_NAME_MAX] = '\0';
	for (i = 0; i < MBOX_NAME_MAX; i++)
		strcat(shown, "\\xfe");
	fd = raw_create(name, O_RDWR, &attr);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, raw_unlink(name));
	self->id = stat_of(fd).id;
	EXPECT_EQ(1, events(self, "create", shown));
	close(fd);
}

TEST_F(trace, send_and_recv_are_traced)
{
	NEED_TRACING(self);
	ASSERT_EQ(0, put_as(self->fd, 1, 17, 99));
	EXPECT_EQ(1, events(self, "send", "len=4 prio=17 type=99"));
	EXPECT_EQ(0, events(self, "recv", ""));
	EXPECT_EQ(1, take_as(self->fd, MBOX_PEEK, 0, 0));
	EXPECT_EQ(0, events(self, "recv", ""));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(1, events(self, "recv", "len=4 prio=17 type=99"));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(1, events(self, "send", ""));
	EXPECT_EQ(1, events(self, "recv", ""));
	EXPECT_EQ(0, events(self, "wait", ""));
}

TEST_F(trace, wait_and_wake_of_a_receiver_are_traced)
{
	struct call c = { 0 };

	NEED_TRACING(self);
	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	EXPECT_EQ(1, events(self, "wait", "receiver"));
	EXPECT_EQ(0, events(self, "wake", ""));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, recv_join(&c));
	EXPECT_EQ(1, events(self, "wake", ""));
	EXPECT_EQ(1, events(self, "send", ""));
	EXPECT_EQ(1, events(self, "recv", ""));
}

TEST_F(trace, wait_and_wake_of_a_sender_are_traced)
{
	char pid[32];
	struct call c = { 0 };

	NEED_TRACING(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, send_start(&c, self->fd, 3));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(1, events(self, "wait", "sender"));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(0, call_join(&c));
	snprintf(pid, sizeof(pid), "pid=%d ", c.tid);
	EXPECT_EQ(1, events(self, "wake", pid));
	EXPECT_EQ(3, events(self, "send", ""));
}

TEST_F(trace, drop_is_traced)
{
	static const __u32 policies[] = { MBOX_DROP_OLDEST, MBOX_DROP_NEWEST };
	unsigned int i;
	int fd;

	NEED_TRACING(self);
	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		fd = new_mailbox(policies[i], 1);
		self->id = stat_of(fd).id;
		ASSERT_EQ(0, put(fd, 1));
		EXPECT_EQ(0, events(self, "drop", ""));
		ASSERT_EQ(0, put(fd, 2));
		EXPECT_EQ(1, events(self, "drop", "len=4 "));
		close(fd);
	}
}

TEST_F(trace, expel_is_traced)
{
	struct mbox_attr attr = attr_of(MBOX_BROADCAST, 2);
	struct mbox_expel expel = { .flags = MBOX_EXPEL_LOOK };
	int fd;

	NEED_TRACING(self);
	fd = raw_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	ASSERT_LE(0, fd);
	self->id = stat_of(fd).id;
	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(0, raw(fd, MBOX_IOC_EXPEL, &expel));
	EXPECT_EQ(0, events(self, "expel", ""));
	expel.flags = 0;
	ASSERT_EQ(0, raw(fd, MBOX_IOC_EXPEL, &expel));
	EXPECT_EQ(1, events(self, "expel", "reader=1 unread=1"));
	close(fd);
}

TEST_F(trace, expire_is_traced)
{
	__u32 value = 1;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);

	NEED_TRACING(self);
	msg.lifespan_ns = 1;
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_SEND, &msg));
	EXPECT_EQ(0, stat_of(self->fd).queued);
	EXPECT_EQ(1, events(self, "expire", "len=4 "));
	EXPECT_EQ(0, events(self, "drop", ""));
}

TEST_F(trace, recover_is_traced)
{
	NEED_TRACING(self);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EFAULT, raw_recv(self->fd, (void *)1, 4, 0));
	EXPECT_EQ(1, events(self, "recover", "len=4 "));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(1, events(self, "recover", ""));
}

TEST_F(trace, leases_are_traced)
{
	char with[64];
	__u64 token;
	int other;

	NEED_TRACING(self);
	other = open_again(self->fd, O_RDONLY);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, lease(self->fd, &token));
	snprintf(with, sizeof(with), "token=%llu ", (unsigned long long)token);
	EXPECT_EQ(1, events(self, "lease", with));
	EXPECT_EQ(1, events(self, "lease", "deliveries=1 leased=1"));
	ASSERT_EQ(0, nack(self->fd, token, 0));
	EXPECT_EQ(1, events(self, "nack", with));
	/* The end of the handle puts it back too. */
	ASSERT_EQ(1, lease(other, &token));
	close(other);
	EXPECT_EQ(2, events(self, "nack", ""));
	ASSERT_EQ(1, lease(self->fd, &token));
	EXPECT_EQ(0, events(self, "ack", ""));
	ASSERT_EQ(0, ack(self->fd, token));
	EXPECT_EQ(1, events(self, "ack", "deliveries=3"));
}

TEST_F(trace, the_end_of_a_started_call_is_traced)
{
	struct mbox_msg rep = msg_of(NULL, 0, 0);
	char with[64];
	__u64 call, token;

	NEED_TRACING(self);
	ASSERT_EQ(0, start_call(self->fd, 1, 0, 0, &call));
	ASSERT_EQ(1, get_request(self->fd, 0, &token));
	EXPECT_EQ(0, events(self, "call_end", ""));
	ASSERT_EQ(0, answer(self->fd, token, 10));
	snprintf(with, sizeof(with), "call=%llu result=0", (unsigned long long)call);
	EXPECT_EQ(1, events(self, "call_end", with));
	EXPECT_EQ(10, fetch_call(self->fd, &call));
	ASSERT_EQ(0, start_call(self->fd, 1, 0, 1, &call));
	EXPECT_EQ(-ETIMEDOUT, raw_call_wait(self->fd, &call, &rep, 0));
	EXPECT_EQ(1, events(self, "call_end", "result=-110"));
	/* Cancelled, it has no end. */
	ASSERT_EQ(0, start_call(self->fd, 2, 0, 0, &call));
	ASSERT_EQ(0, raw_call_cancel(self->fd, call));
	EXPECT_EQ(2, events(self, "call_end", ""));
}

TEST_F(trace, dead_letter_is_traced)
{
	__u64 token;

	NEED_TRACING(self);
	close(self->fd);
	self->fd = new_with(0, 4, 1, -1);
	ASSERT_LE(0, self->fd);
	self->id = stat_of(self->fd).id;
	ASSERT_EQ(0, put_as(self->fd, 1, 5, 0));
	ASSERT_EQ(1, lease(self->fd, &token));
	EXPECT_EQ(0, events(self, "dead_letter", ""));
	ASSERT_EQ(0, nack(self->fd, token, 0));
	EXPECT_EQ(1, events(self, "dead_letter", "prio=5 "));
}

TEST_F(trace, reply_is_traced)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);
	struct mbox_request req = { .len = 4, .rep_len = 4 };
	struct mbox_reply reply = { .len = 3 };
	struct call c = { .arg = &req };
	char token[64];

	NEED_TRACING(self);
	req.buf = (uintptr_t)&c.value;
	req.rep = (uintptr_t)&c.value;
	reply.buf = (uintptr_t)&c;
	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_CALL));
	ASSERT_EQ(4, raw(self->fd, MBOX_IOC_RECV, &msg));
	reply.token = msg.token;
	EXPECT_EQ(0, events(self, "reply", ""));
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_REPLY, &reply));
	snprintf(token, sizeof(token), "token=%llu len=3", (unsigned long long)msg.token);
	EXPECT_EQ(1, events(self, "reply", token));
	EXPECT_EQ(3, call_join(&c));
	/* A reply without a waiting caller is not traced. */
	EXPECT_EQ(-ESRCH, raw(self->fd, MBOX_IOC_REPLY, &reply));
	EXPECT_EQ(1, events(self, "reply", ""));
}

TEST_F(trace, notify_is_traced)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_NONE };

	NEED_TRACING(self);
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_NOTIFY, &arg));
	EXPECT_EQ(0, events(self, "notify", ""));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, events(self, "notify", "kind=1 signo=0"));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(1, events(self, "notify", ""));
}

TEST_F(trace, inherit_is_traced)
{
	struct caller c = { .call.rt_prio = 30 };
	char pid[32];
	__u64 token;
	int fd;

	NEED_TRACING(self);
	fd = new_mailbox(MBOX_INHERIT, 1);
	ASSERT_EQ(0, caller_start(&c, fd, 1));
	snprintf(pid, sizeof(pid), "pid=%ld ", syscall(SYS_gettid));
	EXPECT_EQ(0, count_events(self, "inherit", pid, ""));
	ASSERT_EQ(1, get_request(fd, 0, &token));
	EXPECT_EQ(1, count_events(self, "inherit", pid, "prio=30"));
	EXPECT_EQ(0, answer(fd, token, 10));
	EXPECT_EQ(1, count_events(self, "inherit", pid, "prio=0"));
	EXPECT_EQ(2, count_events(self, "inherit", pid, ""));
	EXPECT_EQ(10, caller_join(&c));
	close(fd);
}

TEST_F(trace, filter_by_id_shows_one_mailbox)
{
	int other = new_mailbox(0, 2);

	NEED_TRACING(self);
	ASSERT_EQ(0, put(other, 1));
	EXPECT_EQ(0, events(self, "send", ""));
	close(other);
}

/* The functions of the module that ran, in a trace of functions. */
static int functions_of_module(FIXTURE_DATA(trace) *self)
{
	static char text[1 << 16];
	char path[256], name[64], *line;
	int n = 0;

	snprintf(path, sizeof(path), "%s/trace", self->dir);
	if (read_file(path, text, sizeof(text)))
		return -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (line[0] == '#' || sscanf(line, " %*[^:]: %63s <-", name) != 1)
			continue;
		n++;
	}
	return n;
}

/*
 * A reader of the code who follows such a send meets few functions. Only those that the
 * compiler keeps apart are seen here.
 */
TEST_F(trace, write_that_meets_nobody_runs_at_most_10_functions)
{
	char pid[16], buf[8];
	int i, n;

	NEED_TRACING(self);
	trace_file(self->dir, "events/mbox/enable", "0");
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (trace_file(self->dir, "set_ftrace_filter", ":mod:mbox") ||
	    trace_file(self->dir, "set_ftrace_pid", pid) ||
	    trace_file(self->dir, "current_tracer", "function"))
		SKIP(return, "a kernel that does not trace functions");
	/* The first send of a process does more. */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(8, write(self->fd, "message", 8));
		trace_file(self->dir, "tracing_on", "0");
		n = functions_of_module(self);
		ASSERT_EQ(8, read(self->fd, buf, sizeof(buf)));
		trace_file(self->dir, "trace", "\n");
		trace_file(self->dir, "tracing_on", "1");
	}
	trace_file(self->dir, "current_tracer", "nop");
	EXPECT_LE(3, n);
	EXPECT_GE(10, n);
}

TEST_HARNESS_MAIN
