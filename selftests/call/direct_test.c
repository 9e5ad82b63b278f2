// SPDX-License-Identifier: GPL-2.0-only
/* Direct links: one for each pair of processes. */
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kill.h"
#include "signals.h"

/* What a link is made with. */
#define LINK_CAPACITY	64
#define LINK_MSG_MAX	8192

/* More than a link takes. */
static char text[LINK_MSG_MAX + 1];

/* 0 when there was a handle, or -errno. */
static int closed(int fd)
{
	return fd < 0 ? fd : close(fd);
}

static int polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	p.revents = (short)POISON32;
	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

/* The process id of the sender of the next message. */
static long sender_of(int fd)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
	long ret = raw(fd, MBOX_IOC_RECV, &msg);

	return ret < 0 ? ret : (long)msg.pid;
}

static long recv_value(int fd)
{
	__u32 value = POISON32;
	long ret = raw_recv(fd, &value, sizeof(value), 0);

	return ret < 0 ? ret : ret == sizeof(value) ? (long)value : -EBADMSG;
}

static long send_value(int fd, __u32 value, __u32 flags)
{
	return raw_send(fd, &value, sizeof(value), flags);
}

/* A request of one number; returns the number in the reply. */
static long call_value(int fd, __u32 value)
{
	__u32 rep = POISON32;
	struct mbox_request req = {
		.buf = (uintptr_t)&value, .len = sizeof(value),
		.rep = (uintptr_t)&rep, .rep_len = sizeof(rep),
	};
	long ret = raw(fd, MBOX_IOC_CALL, &req);

	return ret < 0 ? ret : ret == sizeof(rep) ? (long)rep : -EBADMSG;
}

/* Receive a request, and reply with its number and @more. */
static long serve_value(int fd, __u32 more)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), 0);
	struct mbox_reply reply = { .buf = (uintptr_t)&value, .len = sizeof(value) };
	long ret = raw(fd, MBOX_IOC_RECV, &msg);

	if (ret < 0)
		return ret;
	value += more;
	reply.token = msg.token;
	return raw(fd, MBOX_IOC_REPLY, &reply);
}

/* ---- a process that does what it is told ---------------------------------- */

enum {
	/* On the link, of which it has one handle. */
	OPEN, OPEN_CLOEXEC, CLOSE, PUT, TAKE, SENDER, SEND, SEND_SYNC, RECV, CALL, SERVE,
	TAKE_REQUEST, POLL, DESTROY, CAPACITY, DEPTH, ID,
	/* On itself. */
	BECOME, EXIT, EXEC, EXEC_IN_THREAD, LEADER_EXITS, FORK, OPEN_ONLY,
};

struct order {
	int what;
	long arg;
};

struct process {
	pid_t pid;
	int sock;
};

/* What it has; across exec(2) in the environment. */
struct served {
	int sock;
	int fd;
};

static void *serve_in_thread(void *arg);
static void *exec_in_thread(void *arg);

static long restart(struct served *s)
{
	char value[32];

	snprintf(value, sizeof(value), "%d %d", s->sock, s->fd);
	setenv("MBOX_DIRECT_TEST", value, 1);
	execl("/proc/self/exe", "direct_test", NULL);
	return neg(-1);
}

static int idle(void *arg)
{
	pause();
	return 0;
}

/* Unlike others, it does not end with its parent, but after a while. */
static pid_t fork_survivor(void)
{
	pid_t pid = fork();

	if (!pid) {
		alarm(WAIT_LIMIT_MS / 1000);
		pause();
		_exit(0);
	}
	return pid;
}

static long obey(struct served *s, const struct order *o)
{
	__u32 value = POISON32;
	struct mbox_msg msg;
	pthread_t thread;

	switch (o->what) {
	case OPEN:
	case OPEN_CLOEXEC:
		s->fd = raw_direct(o->arg, O_RDWR | (o->what == OPEN ? 0 : O_CLOEXEC));
		return s->fd < 0 ? s->fd : 0;
	case OPEN_ONLY:
		return closed(raw_direct(o->arg, O_RDWR));
	case CLOSE:
		return neg(close(s->fd));
	case PUT:
		return put(s->fd, o->arg);
	case TAKE:
		return take(s->fd);
	case SENDER:
		return sender_of(s->fd);
	case SEND:
		return send_value(s->fd, o->arg, 0);
	case SEND_SYNC:
		return send_value(s->fd, o->arg, MBOX_SYNC);
	case RECV:
		return recv_value(s->fd);
	case CALL:
		return call_value(s->fd, o->arg);
	case SERVE:
		return serve_value(s->fd, o->arg);
	case TAKE_REQUEST:
		msg = msg_of(&value, sizeof(value), 0);
		return raw(s->fd, MBOX_IOC_RECV, &msg);
	case POLL:
		return polled(s->fd);
	case DESTROY:
		return raw_destroy(s->fd);
	case CAPACITY:
		return raw_set_capacity(s->fd, o->arg);
	case DEPTH:
		return stat_of(s->fd).queued;
	case ID:
		return stat_of(s->fd).id;
	case BECOME:
		return become(o->arg, GROUP_A);
	case EXEC:
		return restart(s);
	case EXEC_IN_THREAD:
		return thread_start(&thread, exec_in_thread, s) ?: (pause(), -EINTR);
	case LEADER_EXITS:
		if (!thread_start(&thread, serve_in_thread, s))
			syscall(SYS_exit, 0);
		return -ECHILD;
	case FORK:
		return fork_survivor();
	case EXIT:
		_exit(0);
	}
	return -ENOSYS;
}

/* Never returns. The end of the test ends it. */
static int serve(struct served *s)
{
	struct order o;
	long ret;

	for (;;) {
		if (recv(s->sock, &o, sizeof(o), 0) != sizeof(o))
			_exit(0);
		ret = obey(s, &o);
		if (send(s->sock, &ret, sizeof(ret), MSG_NOSIGNAL) != sizeof(ret))
			_exit(0);
	}
}

static void *serve_in_thread(void *arg)
{
	struct served s = *(struct served *)arg;
	char stat[512] = "";
	long ret = 0;

	do {
		pause_briefly();
		read_file("/proc/self/stat", stat, sizeof(stat));
	} while (!strstr(stat, ") Z "));
	send(s.sock, &ret, sizeof(ret), MSG_NOSIGNAL);
	serve(&s);
	return NULL;
}

static void *exec_in_thread(void *arg)
{
	restart(arg);
	_exit(1);
}

/* After exec(2): go on where it was. */
static void __attribute__((constructor)) resume(void)
{
	const char *value = getenv("MBOX_DIRECT_TEST");
	struct served s;
	long ret = 0;

	if (!value || sscanf(value, "%d %d", &s.sock, &s.fd) != 2)
		return;
	send(s.sock, &ret, sizeof(ret), MSG_NOSIGNAL);
	serve(&s);
}

static int process_main(void *arg)
{
	struct served s = { .sock = *(int *)arg, .fd = -1 };

	return serve(&s);
}

static int process_start(struct process *p)
{
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks))
		return neg(-1);
	fcntl(socks[0], F_SETFD, FD_CLOEXEC);
	p->sock = socks[0];
	p->pid = spawn(process_main, &socks[1]);
	close(socks[1]);
	return p->pid < 0 ? neg(-1) : 0;
}

static void tell(const struct process *p, int what, long arg)
{
	struct order o = { .what = what, .arg = arg };

	if (send(p->sock, &o, sizeof(o), MSG_NOSIGNAL) != sizeof(o))
		fprintf(stderr, "# cannot tell process %d: %s\n", p->pid, strerror(errno));
}

/* What it answered; -ESRCH when it is gone; -ETIMEDOUT when it says nothing. */
static long answer(const struct process *p)
{
	struct pollfd pfd = { .fd = p->sock, .events = POLLIN };
	long ret;

	if (poll(&pfd, 1, WAIT_LIMIT_MS) != 1)
		return -ETIMEDOUT;
	return recv(p->sock, &ret, sizeof(ret), 0) == sizeof(ret) ? ret : -ESRCH;
}

static long ask(const struct process *p, int what, long arg)
{
	tell(p, what, arg);
	return answer(p);
}

static void process_kill(struct process *p)
{
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		reap(p->pid);
	}
	p->pid = 0;
	if (p->sock >= 0)
		close(p->sock);
	p->sock = -1;
}

/* Until a send fails like that; the kernel handles exits some time later. */
static long await_put(int fd, long wanted)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	long ret;

	do {
		ret = put(fd, 1);
		if (ret == wanted)
			return ret;
		pause_briefly();
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	return ret;
}

/* ---- two processes -------------------------------------------------------- */

/* The caller's end is open; the peer opens its own when it is told to. */
FIXTURE(direct)
{
	struct process peer;
	int fd;
};

FIXTURE_SETUP(direct)
{
	ASSERT_EQ(0, process_start(&self->peer));
	self->fd = raw_direct(self->peer.pid, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(direct)
{
	close(self->fd);
	process_kill(&self->peer);
}

#define OPEN_PEER(self) ASSERT_EQ(0, ask(&(self)->peer, OPEN, getpid()))

TEST_F(direct, sends_go_to_the_peer_and_receives_come_from_it)
{
	OPEN_PEER(self);
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(0, ask(&self->peer, PUT, 2));
	EXPECT_EQ(0, ask(&self->peer, PUT, 3));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(-EAGAIN, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(3, take(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd));
}

TEST_F(direct, messages_are_queued_until_the_peer_opens)
{
	EXPECT_EQ(POLLOUT, polled(self->fd));
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	OPEN_PEER(self);
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(2, ask(&self->peer, TAKE, 0));
}

TEST_F(direct, waiting_calls_are_completed_by_the_peer)
{
	struct call c = { 0 };

	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	OPEN_PEER(self);
	EXPECT_EQ(0, ask(&self->peer, PUT, 5));
	EXPECT_EQ(5, recv_join(&c));
	tell(&self->peer, RECV, 0);
	EXPECT_EQ(0, put(self->fd, 6));
	EXPECT_EQ(6, answer(&self->peer));
}

TEST_F(direct, received_pid_is_that_of_the_peer)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(self->peer.pid, sender_of(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(getpid(), ask(&self->peer, SENDER, 0));
}

TEST_F(direct, second_open_returns_a_handle_on_the_same_endpoint)
{
	int again = raw_direct(self->peer.pid, O_RDWR);

	ASSERT_LE(0, again);
	EXPECT_EQ(stat_of(self->fd).id, stat_of(again).id);
	OPEN_PEER(self);
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(1, take(again));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(0, put(again, 3));
	EXPECT_EQ(2, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(3, ask(&self->peer, TAKE, 0));
	/* The end is there until the last of them is closed. */
	close(again);
	EXPECT_EQ(0, ask(&self->peer, PUT, 4));
	EXPECT_EQ(4, take(self->fd));
	close(self->fd);
	EXPECT_EQ(-EPIPE, ask(&self->peer, PUT, 5));
	self->fd = -1;
}

TEST_F(direct, every_pair_has_its_own_link)
{
	struct process other;
	int fd;

	ASSERT_EQ(0, process_start(&other));
	fd = raw_direct(other.pid, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_NE(stat_of(self->fd).id, stat_of(fd).id);
	OPEN_PEER(self);
	ASSERT_EQ(0, ask(&other, OPEN, getpid()));
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EAGAIN, ask(&other, TAKE, 0));
	EXPECT_EQ(0, ask(&other, PUT, 2));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(2, take(fd));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	/* And so have these two. */
	ASSERT_EQ(0, ask(&other, CLOSE, 0));
	ASSERT_EQ(0, ask(&other, OPEN, self->peer.pid));
	EXPECT_EQ(0, ask(&other, PUT, 3));
	EXPECT_EQ(-EAGAIN, ask(&self->peer, TAKE, 0));
	close(fd);
	process_kill(&other);
}

#define MANY	24

/* In an order that is not that in which they were made. */
static int mixed(int i)
{
	return i * 7 % MANY;
}

TEST_F(direct, each_of_many_links_is_found_from_both_sides)
{
	struct process peers[MANY];
	int fds[MANY], again, i;

	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, process_start(&peers[i]));
		/* Some are made by the peer. */
		if (i % 2)
			ASSERT_EQ(0, ask(&peers[i], OPEN, getpid()));
		fds[i] = raw_direct(peers[i].pid, O_RDWR);
		ASSERT_LE(0, fds[i]);
		if (!(i % 2))
			ASSERT_EQ(0, ask(&peers[i], OPEN, getpid()));
		EXPECT_EQ(0, ask(&peers[i], PUT, i));
	}
	for (i = 0; i < MANY; i++) {
		again = raw_direct(peers[mixed(i)].pid, O_RDWR);
		ASSERT_LE(0, again);
		EXPECT_EQ(stat_of(fds[mixed(i)]).id, stat_of(again).id);
		EXPECT_EQ(mixed(i), take(again));
		close(again);
	}
	/* A third ends by closing, a third is destroyed, the others stay. */
	for (i = 0; i < MANY; i++) {
		if (mixed(i) % 3 == 0) {
			close(fds[mixed(i)]);
			ASSERT_EQ(0, ask(&peers[mixed(i)], CLOSE, 0));
		} else if (mixed(i) % 3 == 1) {
			ASSERT_EQ(0, raw_destroy(fds[mixed(i)]));
		}
	}
	for (i = 0; i < MANY; i++) {
		again = raw_direct(peers[i].pid, O_RDWR);
		ASSERT_LE(0, again);
		if (i % 3 == 2)
			EXPECT_EQ(stat_of(fds[i]).id, stat_of(again).id);
		if (i % 3 == 1) {
			EXPECT_EQ(-EIDRM, put(fds[i], 1));
			ASSERT_EQ(0, ask(&peers[i], CLOSE, 0));
		}
		if (i % 3 < 2)
			ASSERT_EQ(0, ask(&peers[i], OPEN, getpid()));
		EXPECT_EQ(0, put(again, i));
		EXPECT_EQ(i, ask(&peers[i], TAKE, 0));
		if (i % 3)
			close(fds[i]);
		close(again);
		process_kill(&peers[i]);
	}
}

TEST_F(direct, access_mode_restricts_the_handle)
{
	int reader = raw_direct(self->peer.pid, O_RDONLY);
	int writer = raw_direct(self->peer.pid, O_WRONLY);
	struct mbox_reply reply = { .token = 1 };
	struct mbox_replymsg replymsg = { .token = 1 };

	ASSERT_LE(0, reader);
	ASSERT_LE(0, writer);
	OPEN_PEER(self);
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(-EBADF, put(reader, 2));
	EXPECT_EQ(-EBADF, take(writer));
	EXPECT_EQ(-EBADF, raw(writer, MBOX_IOC_REPLY, &reply));
	EXPECT_EQ(-EBADF, raw(writer, MBOX_IOC_REPLYMSG, &replymsg));
	EXPECT_EQ(-ESRCH, raw(reader, MBOX_IOC_REPLY, &reply));
	EXPECT_EQ(-ESRCH, raw(reader, MBOX_IOC_REPLYMSG, &replymsg));
	EXPECT_EQ(-EBADF, raw_destroy(reader));
	EXPECT_EQ(-EBADF, raw_destroy(writer));
	EXPECT_EQ(POLLIN, polled(reader));
	EXPECT_EQ(POLLOUT, polled(writer));
	EXPECT_EQ(0, put(writer, 2));
	EXPECT_EQ(1, take(reader));
	EXPECT_EQ(2, ask(&self->peer, TAKE, 0));
	close(reader);
	close(writer);
}

TEST_F(direct, open_flags_apply_to_the_descriptor)
{
	int fd = raw_direct(self->peer.pid, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	__u32 value;

	ASSERT_LE(0, fd);
	EXPECT_EQ(O_RDWR | O_NONBLOCK, fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(-EAGAIN, raw_recv(fd, &value, sizeof(value), 0));
	close(fd);
	fd = raw_direct(self->peer.pid, O_RDWR);
	EXPECT_EQ(0, fcntl(fd, F_GETFD));
	close(fd);
}

TEST_F(direct, each_direction_has_the_default_attributes)
{
	int i;

	OPEN_PEER(self);
	EXPECT_EQ(0, raw_send(self->fd, text, LINK_MSG_MAX, MBOX_DONTWAIT));
	EXPECT_EQ(-EMSGSIZE, raw_send(self->fd, text, LINK_MSG_MAX + 1, MBOX_DONTWAIT));
	for (i = 1; i < LINK_CAPACITY; i++)
		ASSERT_EQ(0, put(self->fd, i));
	EXPECT_EQ(-EAGAIN, put(self->fd, i));
	EXPECT_EQ(0, polled(self->fd));
	/* The other direction is another queue. */
	for (i = 0; i < LINK_CAPACITY; i++)
		ASSERT_EQ(0, ask(&self->peer, PUT, i));
	EXPECT_EQ(-EAGAIN, ask(&self->peer, PUT, i));
	EXPECT_EQ(POLLIN, polled(self->fd));
	EXPECT_EQ((__u32)MBOX_QUEUE, stat_of(self->fd).attr.mode);
	EXPECT_EQ((__u32)MBOX_HANGUP, stat_of(self->fd).attr.flags);
	EXPECT_EQ((__u32)LINK_CAPACITY, stat_of(self->fd).attr.capacity);
	EXPECT_EQ((__u32)LINK_MSG_MAX, stat_of(self->fd).attr.msg_max);
}

TEST_F(direct, stat_describes_the_receiving_direction)
{
	struct mbox_stat st;

	OPEN_PEER(self);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0U, stat_of(self->fd).queued);
	EXPECT_EQ(1, ask(&self->peer, DEPTH, 0));
	EXPECT_NE((long)stat_of(self->fd).id, ask(&self->peer, ID, 0));
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	ASSERT_EQ(0, ask(&self->peer, PUT, 2));
	ASSERT_EQ(1, take(self->fd));
	st = stat_of(self->fd);
	EXPECT_EQ(1U, st.queued);
	EXPECT_EQ(2U, st.sent);
	EXPECT_EQ(1U, st.received);
	/* An end counts once. */
	EXPECT_EQ(1U, st.send_handles);
	EXPECT_EQ(1U, st.recv_handles);
	ASSERT_EQ(0, ask(&self->peer, CLOSE, 0));
	EXPECT_EQ(0U, stat_of(self->fd).send_handles);
}

TEST_F(direct, link_is_in_no_walk_and_cannot_be_opened_by_id)
{
	int before = count_mailboxes();
	struct mbox_stat st = stat_of(self->fd);

	EXPECT_EQ(-ENOENT, raw_open_id(st.id, O_RDWR));
	close(self->fd);
	EXPECT_EQ(before, count_mailboxes());
	self->fd = -1;
}

TEST_F(direct, set_capacity_applies_to_both_directions)
{
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	EXPECT_EQ(1U, stat_of(self->fd).attr.capacity);
	OPEN_PEER(self);
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EAGAIN, put(self->fd, 2));
	EXPECT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(-EAGAIN, ask(&self->peer, PUT, 2));
	/* Either process changes it, and wakes senders. */
	tell(&self->peer, SEND, 2);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 2));
	EXPECT_EQ(0, answer(&self->peer));
	ASSERT_EQ(0, ask(&self->peer, CAPACITY, 3));
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(-EAGAIN, put(self->fd, 4));
}

TEST_F(direct, capacity_0_is_a_rendezvous)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	EXPECT_EQ(-EAGAIN, put(self->fd, 1));
	tell(&self->peer, SEND, 7);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(7, take(self->fd));
	EXPECT_EQ(0, answer(&self->peer));
}

TEST_F(direct, priority_type_and_SYNC_work)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, put_as(self->fd, 1, 0, 0));
	ASSERT_EQ(0, put_as(self->fd, 2, 5, 0));
	EXPECT_EQ(2, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	tell(&self->peer, SEND_SYNC, 3);
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	EXPECT_EQ(3, take_as(self->fd, MBOX_MATCH, 0, 0));
	EXPECT_EQ(0, answer(&self->peer));
}

TEST_F(direct, read_and_write_transfer_messages)
{
	char c = (char)POISON;
	__u32 value = 1;

	OPEN_PEER(self);
	ASSERT_EQ(4, write(self->fd, &value, sizeof(value)));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	ASSERT_EQ(0, ask(&self->peer, PUT, 'x'));
	EXPECT_EQ(-EMSGSIZE, neg(read(self->fd, &c, 1)));
	EXPECT_EQ('x', take(self->fd));
	ASSERT_EQ(0, ask(&self->peer, CLOSE, 0));
	EXPECT_EQ(0, neg(read(self->fd, &c, 1)));
	EXPECT_EQ(-EPIPE, neg(write(self->fd, &c, 1)));
	EXPECT_EQ((char)POISON, c);
}

TEST_F(direct, descriptors_are_passed)
{
	__s32 fd = open("/dev/null", O_RDONLY);
	struct mbox_msg msg = msg_of("x", 1, 0);
	struct mbox *peer;
	int status;
	pid_t pid;

	/* To a process that answers with its exit status. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char c;

		peer = mbox_direct(getppid(), O_RDWR);
		msg = msg_of(&c, 1, 0);
		fd = -1;
		msg.fds = (uintptr_t)&fd;
		msg.nfds = 1;
		if (!peer || mbox_recvmsg(peer, &msg) != 1 || msg.nfds != 1)
			_exit(1);
		_exit(read(fd, &c, 1) ? 2 : 0);
	}
	peer = mbox_direct(pid, O_RDWR);
	ASSERT_TRUE(!!peer);
	msg.fds = (uintptr_t)&fd;
	msg.nfds = 1;
	EXPECT_EQ(0, mbox_sendmsg(peer, &msg));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, mbox_close(peer));
	close(fd);
}

/* ---- what is refused ------------------------------------------------------ */

TEST(own_pid_is_EINVAL)
{
	EXPECT_EQ(-EINVAL, raw_direct(getpid(), O_RDWR));
}

TEST(pid_that_is_not_positive_is_EINVAL)
{
	EXPECT_EQ(-EINVAL, raw_direct(0, O_RDWR));
	EXPECT_EQ(-EINVAL, raw_direct(-1, O_RDWR));
	EXPECT_EQ(-EINVAL, raw_direct(INT32_MIN, O_RDWR));
}

TEST_F(direct, unknown_flags_and_reserved_fields_are_EINVAL)
{
	static const int bad[] = { O_ACCMODE, O_RDWR | O_CREAT, O_RDWR | O_EXCL, O_RDWR | O_APPEND,
				   O_RDWR | O_TRUNC };
	struct mbox_direct arg = { .pid = self->peer.pid, .oflags = O_RDWR };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, raw_direct(self->peer.pid, bad[i]));
	for (i = 0; i < 32; i++) {
		arg.flags = 1U << i;
		EXPECT_EQ(-EINVAL, raw_control(MBOX_IOC_DIRECT, &arg));
	}
	arg.flags = 0;
	arg.reserved = 1;
	EXPECT_EQ(-EINVAL, raw_control(MBOX_IOC_DIRECT, &arg));
	EXPECT_EQ(-ENOTTY, raw(self->fd, MBOX_IOC_DIRECT, &arg));
}

static int end_at_once(void *arg)
{
	return 0;
}

TEST(pid_of_an_ended_process_is_ESRCH)
{
	pid_t pid = spawn(end_at_once, NULL);
	siginfo_t info;

	ASSERT_LE(0, pid);
	ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	/* A zombie will never open its end. */
	EXPECT_EQ(-ESRCH, raw_direct(pid, O_RDWR));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(-ESRCH, raw_direct(pid, O_RDWR));
	EXPECT_EQ(-ESRCH, raw_direct(INT32_MAX, O_RDWR));
}

static void *open_by_tid(void *arg)
{
	*(long *)arg = raw_direct(syscall(SYS_gettid), O_RDWR);
	return NULL;
}

TEST(pid_of_a_thread_is_ESRCH)
{
	pthread_t thread;
	long ret = 0;

	ASSERT_EQ(0, thread_start(&thread, open_by_tid, &ret));
	pthread_join(thread, NULL);
	EXPECT_EQ(-ESRCH, ret);
}

TEST(pid_of_a_kernel_thread_is_ESRCH)
{
	char name[32] = "";

	if (read_file("/proc/2/comm", name, sizeof(name)) || strcmp(name, "kthreadd\n"))
		SKIP(return, "process 2 is no kernel thread here");
	EXPECT_EQ(-ESRCH, raw_direct(2, O_RDWR));
}

TEST_F(direct, failed_open_leaves_no_endpoint)
{
	struct rlimit old, none;

	close(self->fd);
	ASSERT_EQ(0, ask(&self->peer, OPEN, getpid()));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	/* One for /dev/mbox. */
	self->fd = dup(0);
	none = (struct rlimit){ .rlim_cur = self->fd + 1, .rlim_max = old.rlim_max };
	close(self->fd);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, raw_direct(self->peer.pid, O_RDWR));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	/* This end is still to be opened, not closed again. */
	EXPECT_EQ(0, ask(&self->peer, PUT, 1));
	self->fd = raw_direct(self->peer.pid, O_RDWR);
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(direct, library_opens_direct_links)
{
	struct mbox *mb, *again;
	__u32 value = 3;
	char c = 0;

	errno = 0;
	EXPECT_TRUE(!mbox_direct(getpid(), O_RDWR));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_TRUE(!mbox_direct(INT32_MAX, O_RDWR));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_TRUE(!mbox_direct(self->peer.pid, O_CREAT));
	EXPECT_EQ(EINVAL, errno);
	mb = mbox_direct(self->peer.pid, O_RDWR | O_CLOEXEC);
	ASSERT_TRUE(!!mb);
	again = mbox_from_fd(dup(mbox_fd(mb)));
	ASSERT_TRUE(!!again);
	OPEN_PEER(self);
	ASSERT_EQ(0, mbox_send(mb, &value, sizeof(value), 0));
	EXPECT_EQ(3, ask(&self->peer, TAKE, 0));
	ASSERT_EQ(0, ask(&self->peer, CLOSE, 0));
	/* Not an empty message, which read(2) could not tell from the end. */
	EXPECT_EQ(-EPIPE, neg(mbox_recv(mb, &c, 1, 0)));
	EXPECT_EQ(-EPIPE, neg(mbox_recv(again, &c, 1, 0)));
	EXPECT_EQ(-EPIPE, neg(mbox_send(mb, &c, 1, 0)));
	EXPECT_EQ(0, mbox_destroy(mb));
	EXPECT_EQ(-EIDRM, neg(mbox_destroy(again)));
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_EQ(0, mbox_close(again));
}

/* ---- the end of one side -------------------------------------------------- */

TEST_F(direct, peer_that_closed_is_EPIPE_once_drained)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	ASSERT_EQ(0, ask(&self->peer, PUT, 2));
	ASSERT_EQ(0, ask(&self->peer, CLOSE, 0));
	EXPECT_EQ(-EPIPE, put(self->fd, 1));
	EXPECT_EQ(-EPIPE, send_value(self->fd, 1, MBOX_SYNC));
	EXPECT_EQ(-EPIPE, call_value(self->fd, 1));
	EXPECT_EQ(POLLIN | POLLHUP | POLLERR, polled(self->fd) & (POLLIN | POLLHUP | POLLERR));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(-EPIPE, take(self->fd));
	EXPECT_EQ(-EPIPE, recv_value(self->fd));
	EXPECT_EQ(POLLHUP | POLLERR, polled(self->fd) & (POLLIN | POLLHUP | POLLERR));
}

TEST_F(direct, peer_that_exited_is_EPIPE_once_drained)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	tell(&self->peer, EXIT, 0);
	EXPECT_EQ(0, reap(self->peer.pid));
	/* Its handles were closed before it could be waited for. */
	EXPECT_EQ(-EPIPE, put(self->fd, 1));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(-EPIPE, take(self->fd));
	EXPECT_EQ(-ESRCH, raw_direct(self->peer.pid, O_RDWR));
	self->peer.pid = 0;
}

TEST_F(direct, peer_that_closed_can_open_again)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, ask(&self->peer, CLOSE, 0));
	ASSERT_EQ(-EPIPE, put(self->fd, 2));
	ASSERT_EQ(-EPIPE, take(self->fd));
	OPEN_PEER(self);
	/* It is the same link, with what was left in it. */
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(3, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(-EAGAIN, take(self->fd));
	EXPECT_EQ(0, ask(&self->peer, PUT, 4));
	EXPECT_EQ(4, take(self->fd));
}

TEST_F(direct, closing_the_last_handle_ends_the_link)
{
	__u64 id = stat_of(self->fd).id;

	ASSERT_EQ(0, put(self->fd, 1));
	close(self->fd);
	OPEN_PEER(self);
	EXPECT_EQ(-EAGAIN, ask(&self->peer, TAKE, 0));
	self->fd = raw_direct(self->peer.pid, O_RDWR);
	EXPECT_NE(id, stat_of(self->fd).id);
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(2, ask(&self->peer, TAKE, 0));
	/* One handle of either side keeps it. */
	id = stat_of(self->fd).id;
	close(self->fd);
	self->fd = raw_direct(self->peer.pid, O_RDWR);
	EXPECT_EQ(id, stat_of(self->fd).id);
}

/* Calls that wait while the peer goes, in each of these ways. */
FIXTURE(gone)
{
	struct process peer;
	int fd;
};

FIXTURE_VARIANT(gone)
{
	bool opens;
	bool closes;
	bool threads;
};

FIXTURE_VARIANT_ADD(gone, closed)
{
	.opens = true, .closes = true,
};

FIXTURE_VARIANT_ADD(gone, exited)
{
	.opens = true,
};

FIXTURE_VARIANT_ADD(gone, exited_without_opening)
{
	.opens = false,
};

FIXTURE_VARIANT_ADD(gone, exited_after_its_leader)
{
	.opens = true, .threads = true,
};

FIXTURE_VARIANT_ADD(gone, exited_after_its_leader_without_opening)
{
	.threads = true,
};

FIXTURE_SETUP(gone)
{
	ASSERT_EQ(0, process_start(&self->peer));
	self->fd = raw_direct(self->peer.pid, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	if (variant->opens)
		ASSERT_EQ(0, ask(&self->peer, OPEN, getpid()));
	if (variant->threads)
		ASSERT_EQ(0, ask(&self->peer, LEADER_EXITS, 0));
}

FIXTURE_TEARDOWN(gone)
{
	close(self->fd);
	process_kill(&self->peer);
}

static void go(const struct process *peer, bool closes)
{
	tell(peer, closes ? CLOSE : EXIT, 0);
	if (closes)
		answer(peer);
}

TEST_F(gone, waiting_receive_is_EPIPE)
{
	struct call c = { 0 };

	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	go(&self->peer, variant->closes);
	EXPECT_EQ(-EPIPE, call_join(&c));
	EXPECT_EQ(-EPIPE, await_put(self->fd, -EPIPE));
}

TEST_F(gone, waiting_peek_is_EPIPE)
{
	struct call c = { .msg = { .flags = MBOX_PEEK } };

	ASSERT_EQ(0, recv_start(&c, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	go(&self->peer, variant->closes);
	EXPECT_EQ(-EPIPE, call_join(&c));
}

TEST_F(gone, send_waiting_for_room_is_EPIPE)
{
	struct call c = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, send_start(&c, self->fd, 2));
	ASSERT_EQ(0, await_asleep(&c.tid));
	go(&self->peer, variant->closes);
	EXPECT_EQ(-EPIPE, call_join(&c));
}

TEST_F(gone, SYNC_send_waiting_for_the_receipt_is_EPIPE)
{
	struct call c = { .msg = { .flags = MBOX_SYNC } };

	ASSERT_EQ(0, send_start(&c, self->fd, 2));
	ASSERT_EQ(0, await_asleep(&c.tid));
	go(&self->peer, variant->closes);
	EXPECT_EQ(-EPIPE, call_join(&c));
}

TEST_F(gone, waiting_call_is_EPIPE)
{
	struct mbox_request req = { .buf = (uintptr_t)text, .len = 4 };
	struct call c = { .arg = &req };

	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_CALL));
	ASSERT_EQ(0, await_asleep(&c.tid));
	if (variant->opens)
		ASSERT_EQ(4, ask(&self->peer, TAKE_REQUEST, 0));
	go(&self->peer, variant->closes);
	EXPECT_EQ(-EPIPE, call_join(&c));
}

TEST_F(gone, waiting_poll_reports_hangup)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN };

	go(&self->peer, variant->closes);
	EXPECT_EQ(1, poll(&p, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLHUP | POLLERR, p.revents & (POLLIN | POLLHUP | POLLERR));
}

/*
 * A process that has reaped the peer knows that it is gone, and so does every call from
 * then on, though the kernel's workers may not have noticed.
 */
static int peer_is_gone(int opened, int how)
{
	struct process peer;
	int fd, events;

	CHECK_EQ(0, process_start(&peer));
	fd = raw_direct(peer.pid, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	if (opened)
		CHECK_EQ(0, ask(&peer, OPEN, getpid()));
	kill(peer.pid, SIGKILL);
	CHECK_EQ(1000 + SIGKILL, reap(peer.pid));
	switch (how) {
	case 0:
		CHECK_EQ(-EPIPE, put(fd, 1));
		break;
	case 1:
		CHECK_EQ(-EPIPE, take(fd));
		break;
	case 2:
		events = polled(fd) & (POLLIN | POLLHUP | POLLERR);
		CHECK_EQ(POLLHUP | POLLERR, events);
		break;
	case 3:
		CHECK_EQ(-EPIPE, call_value(fd, 1));
		break;
	case 4:
		CHECK_EQ(-EPIPE, send_value(fd, 1, MBOX_SYNC));
		break;
	case 5:
		CHECK_EQ(-EPIPE, recv_value(fd));
		break;
	}
	close(fd);
	peer.pid = 0;
	process_kill(&peer);
	return 0;
}

TEST(link_to_a_reaped_peer_is_EPIPE)
{
	int round;

	for (round = 0; round < 240; round++)
		ASSERT_EQ(0, peer_is_gone(round & 1, round / 2 % 6)) {
			TH_LOG("round %d", round);
		}
}

static int burn(void *arg)
{
	for (;;)
		;
	return 0;
}

/* One thread for each CPU that leaves it to nothing but what is more urgent. */
TEST(link_to_a_reaped_peer_is_EPIPE_under_load)
{
	struct sched_param low = { .sched_priority = 1 }, high = { .sched_priority = 10 };
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), i, round;
	pid_t hogs[64];

	if (cpus > 64 || sched_setscheduler(0, SCHED_FIFO, &high))
		SKIP(return, "cannot load every CPU");
	for (i = 0; i < cpus; i++) {
		hogs[i] = spawn(burn, NULL);
		EXPECT_EQ(0, sched_setscheduler(hogs[i], SCHED_FIFO, &low));
	}
	for (round = 0; round < 24; round++)
		EXPECT_EQ(0, peer_is_gone(round & 1, round / 2 % 6)) {
			TH_LOG("round %d", round);
		}
	for (i = 0; i < cpus; i++) {
		kill(hogs[i], SIGKILL);
		reap(hogs[i]);
	}
}

TEST_F(gone, link_stays_while_any_thread_of_the_peer_runs)
{
	__u32 value;

	if (!variant->threads)
		SKIP(return, "it has one thread");
	/* Time for a wrong check. */
	usleep(20000);
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EAGAIN, raw_recv(self->fd, &value, sizeof(value), MBOX_DONTWAIT));
	EXPECT_EQ(0, closed(raw_direct(self->peer.pid, O_RDWR)));
	if (!variant->opens)
		ASSERT_EQ(0, ask(&self->peer, OPEN, getpid()));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(0, ask(&self->peer, PUT, 2));
	EXPECT_EQ(2, take(self->fd));
}

/* ---- the owner of a handle ---------------------------------------------------- */

/* What a process that is no side of the link meets. */
static int use_as_stranger(void *arg)
{
	int fd = *(int *)arg;
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);
	struct mbox_reply_recv rr = { .next = (uintptr_t)&msg, .next_size = sizeof(msg) };
	struct mbox_reply reply = { .token = 1 };
	struct iovec iov = { .iov_base = &value, .iov_len = sizeof(value) };
	struct mbox *mb = mbox_from_fd(dup(fd));
	struct mbox_stat st = stat_of(fd);

	CHECK_EQ(-EPERM, put(fd, 1));
	CHECK_EQ(-EPERM, take(fd));
	CHECK_EQ(-EPERM, take_as(fd, MBOX_PEEK, 0, 0));
	CHECK_EQ(-EPERM, recv_value(fd));
	CHECK_EQ(-EPERM, raw_vec(fd, MBOX_IOC_SENDV, &msg, 1, 0));
	CHECK_EQ(-EPERM, raw_vec(fd, MBOX_IOC_RECVV, &msg, 1, 0));
	CHECK_EQ(-EPERM, neg(write(fd, &value, sizeof(value))));
	CHECK_EQ(-EPERM, neg(read(fd, &value, sizeof(value))));
	CHECK_EQ(-EPERM, neg(writev(fd, &iov, 1)));
	CHECK_EQ(-EPERM, neg(readv(fd, &iov, 1)));
	CHECK_EQ(-EPERM, call_value(fd, 1));
	CHECK_EQ(-EPERM, raw(fd, MBOX_IOC_REPLY, &reply));
	CHECK_EQ(-EPERM, raw(fd, MBOX_IOC_REPLY_RECV, &rr));
	CHECK_EQ(-EPERM, raw_set_capacity(fd, 1));
	CHECK_EQ(-EPERM, raw_destroy(fd));
	CHECK_EQ(POLLERR, polled(fd));
	CHECK_EQ(-ENOTTY, raw(fd, TCGETS, text));
	CHECK(mb);
	CHECK_EQ(-EPERM, neg(mbox_send(mb, &value, sizeof(value), 0)));
	CHECK_EQ(-EPERM, neg(mbox_recv(mb, &value, sizeof(value), 0)));
	CHECK_EQ(0, mbox_close(mb));
	/* Its state is no secret. */
	CHECK(same_stat(fd, &st));
	CHECK_EQ(LINK_CAPACITY, st.attr.capacity);
	CHECK(value == POISON32);
	return 0;
}

TEST_F(direct, inherited_handle_in_a_forked_child_is_EPERM)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(0, in_child(use_as_stranger, &self->fd));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(2, ask(&self->peer, TAKE, 0));
}

static int use_what_is_passed(void *arg)
{
	int fd = receive_fd(*(int *)arg);

	CHECK(fd >= 0);
	return use_as_stranger(&fd);
}

TEST_F(direct, handle_passed_over_a_socket_is_EPERM)
{
	int socks[2];
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = spawn(use_what_is_passed, &socks[1]);
	ASSERT_EQ(0, pass_fd(socks[0], self->fd));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(0, put(self->fd, 1));
}

TEST_F(direct, handle_passed_to_the_peer_is_EPERM)
{
	int socks[2];
	pid_t pid;
	int fd;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = spawn(use_what_is_passed, &socks[1]);
	fd = raw_direct(pid, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pass_fd(socks[0], fd));
	EXPECT_EQ(0, reap(pid));
	close(fd);
}

struct pair {
	pid_t peer;
	__u64 id;
};

static int open_in_child(void *arg)
{
	struct pair *pair = arg;
	int fd = raw_direct(pair->peer, O_RDWR);

	CHECK(fd >= 0);
	CHECK(stat_of(fd).id != pair->id);
	CHECK_EQ(-EAGAIN, take(fd));
	CHECK_EQ(0, put(fd, 9));
	return 0;
}

TEST_F(direct, forked_child_can_open_its_own_link)
{
	struct pair pair = { .peer = self->peer.pid, .id = stat_of(self->fd).id };

	OPEN_PEER(self);
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(0, in_child(open_in_child, &pair));
	EXPECT_EQ(-EAGAIN, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(direct, inherited_handle_does_not_keep_the_link_of_an_ended_process)
{
	long child;

	OPEN_PEER(self);
	child = ask(&self->peer, FORK, 0);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, put(self->fd, 1));
	tell(&self->peer, EXIT, 0);
	EXPECT_EQ(-EPIPE, recv_value(self->fd));
	EXPECT_EQ(-EPIPE, put(self->fd, 2));
	kill(child, SIGKILL);
}

TEST_F(direct, endpoint_stays_open_while_a_child_has_the_handle)
{
	long child;

	OPEN_PEER(self);
	child = ask(&self->peer, FORK, 0);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, ask(&self->peer, CLOSE, 0));
	EXPECT_EQ(0, put(self->fd, 1));
	OPEN_PEER(self);
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	kill(child, SIGKILL);
}

TEST_F(direct, exec_keeps_the_link)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, ask(&self->peer, EXEC, 0));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(0, ask(&self->peer, PUT, 2));
	EXPECT_EQ(2, take(self->fd));
}

TEST_F(direct, exec_in_a_thread_keeps_the_link)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, ask(&self->peer, EXEC_IN_THREAD, 0));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(0, ask(&self->peer, PUT, 2));
	EXPECT_EQ(2, take(self->fd));
}

TEST_F(direct, exec_closes_handles_with_O_CLOEXEC)
{
	ASSERT_EQ(0, ask(&self->peer, OPEN_CLOEXEC, getpid()));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, ask(&self->peer, EXEC, 0));
	EXPECT_EQ(-EPIPE, put(self->fd, 2));
	/* It is the same process still. */
	OPEN_PEER(self);
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(0, put(self->fd, 3));
}

/* clone3(2) with a number of the caller's choice; -errno if it is not free. */
static pid_t spawn_as(pid_t nr)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&nr,
		.set_tid_size = 1,
	};

	return neg(syscall(SYS_clone3, &args, sizeof(args)));
}

TEST_F(direct, reused_pid_gets_a_new_link)
{
	pid_t pid = self->peer.pid;
	int fd;

	OPEN_PEER(self);
	process_kill(&self->peer);
	ASSERT_EQ(-EPIPE, put(self->fd, 1));
	self->peer.pid = spawn_as(pid);
	if (!self->peer.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = raw_direct(getppid(), O_RDWR);
		_exit(fd < 0 || recv_value(fd) != 7 || put(fd, 8));
	}
	if (self->peer.pid < 0)
		SKIP(return, "cannot choose a number: %s", strerror(-self->peer.pid));
	EXPECT_EQ(-EPIPE, put(self->fd, 1));
	EXPECT_EQ(-EPIPE, take(self->fd));
	fd = raw_direct(pid, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_NE(stat_of(self->fd).id, stat_of(fd).id);
	EXPECT_EQ(0, put(fd, 7));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(-EPIPE, take(self->fd));
	EXPECT_EQ(8, take(fd));
	close(fd);
	self->peer.pid = 0;
}

/* ---- destroying ----------------------------------------------------------- */

TEST_F(direct, destroy_is_EIDRM_in_both_directions)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, put(self->fd, 1));
	EXPECT_EQ(-EIDRM, take(self->fd));
	EXPECT_EQ(-EIDRM, raw_destroy(self->fd));
	EXPECT_EQ(-EIDRM, raw_set_capacity(self->fd, 1));
	EXPECT_EQ(-EIDRM, ask(&self->peer, PUT, 1));
	EXPECT_EQ(-EIDRM, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(-EIDRM, ask(&self->peer, DESTROY, 0));
	EXPECT_EQ(POLLERR | POLLHUP, polled(self->fd));
	EXPECT_EQ(POLLERR | POLLHUP, ask(&self->peer, POLL, 0));
}

TEST_F(direct, destroy_wakes_waiting_calls)
{
	struct call receiver = { 0 }, sender = { 0 };

	OPEN_PEER(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, send_start(&sender, self->fd, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, await_asleep(&sender.tid));
	/* The peer may, whoever made the link. */
	ASSERT_EQ(0, ask(&self->peer, DESTROY, 0));
	EXPECT_EQ(-EIDRM, call_join(&receiver));
	EXPECT_EQ(-EIDRM, call_join(&sender));
}

TEST_F(direct, new_link_can_be_opened_after_destroy)
{
	struct process other;
	int old = self->fd;
	int fd;

	ASSERT_EQ(0, process_start(&other));
	fd = raw_direct(other.pid, O_RDWR);
	ASSERT_EQ(0, raw_destroy(old));
	self->fd = raw_direct(self->peer.pid, O_RDWR);
	ASSERT_LE(0, self->fd);
	OPEN_PEER(self);
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(-EIDRM, put(old, 1));
	/* What another pair has is not concerned. */
	EXPECT_EQ(0, put(fd, 1));
	close(old);
	EXPECT_EQ(0, put(self->fd, 2));
	close(fd);
	process_kill(&other);
}

/* ---- call and reply ------------------------------------------------------- */

TEST_F(direct, calls_go_both_ways)
{
	struct call c = { 0 };
	__u32 value = 5, rep = POISON32;
	struct mbox_request req = {
		.buf = (uintptr_t)&value, .len = 4, .rep = (uintptr_t)&rep, .rep_len = 4,
	};

	OPEN_PEER(self);
	tell(&self->peer, SERVE, 100);
	EXPECT_EQ(105, call_value(self->fd, 5));
	EXPECT_EQ(0, answer(&self->peer));
	tell(&self->peer, CALL, 7);
	EXPECT_EQ(0, serve_value(self->fd, 200));
	EXPECT_EQ(207, answer(&self->peer));
	/* Each waits for the other. */
	c.arg = &req;
	ASSERT_EQ(0, call_start(&c, self->fd, MBOX_IOC_CALL));
	ASSERT_EQ(0, await_asleep(&c.tid));
	tell(&self->peer, CALL, 8);
	EXPECT_EQ(0, serve_value(self->fd, 1));
	EXPECT_EQ(9, answer(&self->peer));
	EXPECT_EQ(0, ask(&self->peer, SERVE, 1));
	EXPECT_EQ(4, call_join(&c));
	EXPECT_EQ(6U, rep);
}

/* ---- poll ----------------------------------------------------------------- */

TEST_F(direct, poll_reports_both_directions)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	EXPECT_EQ(POLLOUT, polled(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, polled(self->fd));
	EXPECT_EQ(POLLIN | POLLOUT, ask(&self->peer, POLL, 0));
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(POLLIN, polled(self->fd));
	ASSERT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(POLLIN | POLLOUT, polled(self->fd));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(POLLOUT, polled(self->fd));
}

TEST_F(direct, O_ASYNC_signals_both_directions)
{
	OPEN_PEER(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, block_signal(QUEUED));
	ASSERT_EQ(0, neg(fcntl(self->fd, F_SETOWN, getpid())));
	ASSERT_EQ(0, neg(fcntl(self->fd, F_SETSIG, QUEUED)));
	ASSERT_EQ(0, neg(fcntl(self->fd, F_SETFL, O_ASYNC)));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
	ASSERT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(POLL_OUT, code_of_next(QUEUED));
	ASSERT_EQ(0, neg(fcntl(self->fd, F_SETFL, 0)));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(direct, notification_reports_messages_of_the_peer)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_SIGNAL, .signo = QUEUED };

	OPEN_PEER(self);
	ASSERT_EQ(0, block_signal(QUEUED));
	ASSERT_EQ(0, raw(self->fd, MBOX_IOC_NOTIFY, &arg));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
}

static int epoll_of(int fd, __u32 events)
{
	struct epoll_event event = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
		return neg(-1);
	return ep;
}

/* The events within that time, 0 for none. */
static long epolled(int ep, int ms)
{
	struct epoll_event event = { 0 };
	int n = epoll_wait(ep, &event, 1, ms);

	return n < 0 ? -errno : n ? event.events : 0;
}

TEST_F(direct, epoll_reports_both_directions)
{
	int ep;

	OPEN_PEER(self);
	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	ep = epoll_of(self->fd, EPOLLIN | EPOLLOUT | EPOLLET);
	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epolled(ep, 0));
	ASSERT_EQ(0, ask(&self->peer, PUT, 1));
	EXPECT_EQ(EPOLLIN, epolled(ep, WAIT_LIMIT_MS));
	EXPECT_EQ(0, epolled(ep, 0));
	ASSERT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(EPOLLIN | EPOLLOUT, epolled(ep, WAIT_LIMIT_MS));
	EXPECT_EQ(0, epolled(ep, 0));
	ASSERT_EQ(0, ask(&self->peer, CLOSE, 0));
	EXPECT_TRUE(epolled(ep, WAIT_LIMIT_MS) & EPOLLHUP);
	close(ep);
}

/* ---- permission ----------------------------------------------------------- */

/* Give up all capabilities but one, as that user. */
static int become_with(uid_t uid, uid_t euid, uid_t suid, int cap)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (cap >= 0) {
		data[cap / 32].effective = 1U << cap % 32;
		data[cap / 32].permitted = 1U << cap % 32;
	}
	if (prctl(PR_SET_KEEPCAPS, 1) || syscall(SYS_setresuid, uid, euid, suid))
		return neg(-1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return neg(syscall(SYS_capset, &hdr, data));
}

struct person {
	uid_t uid, euid, suid;
	int cap;
	pid_t pid;
	int ready;
};

/* Be that person until killed. */
static int be(void *arg)
{
	struct person *p = arg;

	if (become_with(p->uid, p->euid, p->suid, p->cap) ||
	    write(p->ready, "", 1) != 1)
		return 1;
	pause();
	return 0;
}

/* A pid once the child has its credentials, or a negative number. */
static pid_t person_start(struct person *p)
{
	int pipe_fds[2];
	char c;

	if (pipe(pipe_fds))
		return -1;
	p->ready = pipe_fds[1];
	p->pid = spawn(be, p);
	close(pipe_fds[1]);
	if (read(pipe_fds[0], &c, 1) != 1)
		return -1;
	close(pipe_fds[0]);
	return p->pid;
}

static int link_as(void *arg)
{
	struct person *p = arg;
	pid_t peer = p->pid;
	int may;

	CHECK_EQ(0, become_with(p->uid, p->euid, p->suid, p->cap));
	/* Whatever kill(2) says. */
	may = neg(kill(peer, 0));
	CHECK_EQ(may, closed(raw_direct(peer, O_RDWR)));
	CHECK_EQ(may, closed(raw_direct(peer, O_RDONLY)));
	CHECK_EQ(may, closed(raw_direct(peer, O_WRONLY)));
	return may ? 2 : 0;
}

TEST(link_needs_the_permission_of_kill)
{
	static const uid_t uids[] = { USER_A, USER_B };
	struct person peer = { .cap = -1 };
	struct person self = { .cap = -1 };
	unsigned int target, source, allowed = 0, refused = 0;

	for (target = 0; target < 8; target++) {
		peer.uid = uids[target & 1];
		peer.euid = uids[target >> 1 & 1];
		peer.suid = uids[target >> 2];
		ASSERT_LT(0, person_start(&peer));
		self.pid = peer.pid;
		for (source = 0; source < 4; source++) {
			int ret;

			self.uid = uids[source & 1];
			self.euid = uids[source >> 1];
			self.suid = self.euid;
			ret = in_child(link_as, &self);
			EXPECT_TRUE(ret == 0 || ret == 2)
				TH_LOG("target %u, source %u", target, source);
			allowed += ret == 0;
			refused += ret == 2;
		}
		kill(peer.pid, SIGKILL);
		reap(peer.pid);
	}
	EXPECT_EQ(32U, allowed + refused);
	EXPECT_LT(0U, refused);
}

TEST(CAP_KILL_permits_any_link)
{
	struct person peer = { USER_A, USER_A, USER_A, -1 };
	struct person self = { USER_B, USER_B, USER_B, -1 };

	ASSERT_LT(0, person_start(&peer));
	self.pid = peer.pid;
	EXPECT_EQ(2, in_child(link_as, &self));
	self.cap = CAP_IPC_OWNER;
	EXPECT_EQ(2, in_child(link_as, &self));
	self.cap = CAP_KILL;
	EXPECT_EQ(0, in_child(link_as, &self));
	kill(peer.pid, SIGKILL);
	reap(peer.pid);
}

TEST(root_without_CAP_KILL_is_EPERM)
{
	struct person peer = { USER_A, USER_A, USER_A, -1 };
	struct person self = { 0, 0, 0, -1 };

	ASSERT_LT(0, person_start(&peer));
	self.pid = peer.pid;
	EXPECT_EQ(2, in_child(link_as, &self));
	kill(peer.pid, SIGKILL);
	reap(peer.pid);
}

/* As root of a user namespace, over a process outside of it. */
static int in_user_namespace(void *arg)
{
	struct person *p = arg;

	CHECK_EQ(0, become_with(USER_B, USER_B, USER_B, -1));
	if (unshare(CLONE_NEWUSER))
		return 77;
	CHECK_EQ(-EPERM, raw_direct(p->pid, O_RDWR));
	return 0;
}

TEST(CAP_KILL_in_a_child_user_namespace_is_EPERM)
{
	struct person peer = { USER_A, USER_A, USER_A, -1 };
	int ret;

	ASSERT_LT(0, person_start(&peer));
	ret = in_child(in_user_namespace, &peer);
	kill(peer.pid, SIGKILL);
	reap(peer.pid);
	if (ret == 77)
		SKIP(return, "no user namespace");
	EXPECT_EQ(0, ret);
}

TEST_F(direct, peer_of_an_open_link_needs_no_permission)
{
	ASSERT_EQ(0, ask(&self->peer, BECOME, USER_A));
	OPEN_PEER(self);
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	EXPECT_EQ(0, ask(&self->peer, PUT, 2));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(0, ask(&self->peer, CAPACITY, 1));
	/* Not any more: what it has stays. */
	close(self->fd);
	EXPECT_EQ(-EPERM, ask(&self->peer, OPEN_ONLY, getpid()));
	EXPECT_EQ(-EPIPE, ask(&self->peer, PUT, 1));
	self->fd = raw_direct(self->peer.pid, O_RDWR);
	EXPECT_LE(0, self->fd);
	EXPECT_EQ(0, ask(&self->peer, OPEN_ONLY, getpid()));
	EXPECT_EQ(0, ask(&self->peer, DESTROY, 0));
	EXPECT_EQ(-EPERM, ask(&self->peer, OPEN_ONLY, getpid()));
}

TEST_F(direct, permission_is_checked_at_open)
{
	struct process other;

	ASSERT_EQ(0, process_start(&other));
	ASSERT_EQ(0, ask(&other, OPEN, self->peer.pid));
	ASSERT_EQ(0, ask(&self->peer, OPEN, other.pid));
	ASSERT_EQ(0, ask(&other, BECOME, USER_A));
	EXPECT_EQ(0, ask(&other, PUT, 1));
	EXPECT_EQ(1, ask(&self->peer, TAKE, 0));
	process_kill(&other);
}

/* ---- limits --------------------------------------------------------------- */

static int two_mailboxes_each(void *arg)
{
	struct process a, b;
	int first, second, third;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(0, process_start(&a));
	CHECK_EQ(0, process_start(&b));
	first = raw_direct(a.pid, O_RDWR);
	CHECK(first >= 0);
	/* One is left of three. */
	CHECK_EQ(-EDQUOT, raw_direct(b.pid, O_RDWR));
	CHECK_EQ(0, closed(raw_direct(a.pid, O_RDWR)));
	CHECK_EQ(0, closed(new_mailbox(0, 1)));
	/* The other side pays nothing. */
	CHECK_EQ(0, ask(&a, OPEN, getpid()));
	CHECK_EQ(0, close(first));
	CHECK_EQ(-EDQUOT, raw_direct(b.pid, O_RDWR));
	CHECK_EQ(0, ask(&a, CLOSE, 0));
	second = raw_direct(b.pid, O_RDWR);
	CHECK(second >= 0);
	process_kill(&a);
	process_kill(&b);
	/* As long as there is a handle, the process may be gone. */
	third = new_mailbox(0, 1);
	CHECK(third >= 0);
	CHECK_EQ(-EDQUOT, new_mailbox(0, 1));
	CHECK_EQ(0, close(second));
	CHECK_EQ(0, closed(new_mailbox(0, 1)));
	CHECK_EQ(0, close(third));
	return 0;
}

TEST(link_counts_as_two_mailboxes)
{
	long old = param_get("user_mailboxes");

	ASSERT_EQ(0, param_set("user_mailboxes", 3));
	EXPECT_EQ(0, in_child(two_mailboxes_each, NULL));
	EXPECT_EQ(0, param_set("user_mailboxes", old));
}

static int bytes_of_the_dead(void *arg)
{
	struct process peer;
	int fd, i;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	for (i = 0; i < 4; i++) {
		CHECK_EQ(0, process_start(&peer));
		fd = raw_direct(peer.pid, O_RDWR);
		CHECK_EQ(0, raw_send(fd, text, 8000, MBOX_DONTWAIT));
		CHECK_EQ(-EDQUOT, raw_send(fd, text, 8000, MBOX_DONTWAIT));
		process_kill(&peer);
		/* What it will never receive is freed, though the link is open. */
		CHECK_EQ(-EPIPE, await_put(fd, -EPIPE));
	}
	return 0;
}

TEST(queued_messages_are_charged_until_no_receiver_is_left)
{
	long old = param_get("user_bytes");

	ASSERT_EQ(0, param_set("user_bytes", 12000));
	EXPECT_EQ(0, in_child(bytes_of_the_dead, NULL));
	EXPECT_EQ(0, param_set("user_bytes", old));
}

static int open_as_user(void *arg)
{
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EINVAL, raw_direct(spawn(idle, NULL), O_RDWR));
	return 0;
}

TEST_F(direct, msg_max_limit_applies_to_links)
{
	long old = param_get("msg_max_limit");
	struct process other;

	ASSERT_EQ(0, process_start(&other));
	ASSERT_EQ(0, param_set("msg_max_limit", LINK_MSG_MAX - 1));
	EXPECT_EQ(0, in_child(open_as_user, NULL));
	/* CAP_SYS_RESOURCE */
	EXPECT_EQ(0, closed(raw_direct(other.pid, O_RDWR)));
	EXPECT_EQ(0, param_set("msg_max_limit", old));
	process_kill(&other);
}

/* ---- namespaces and display ----------------------------------------------- */

/* The number behind mbox-peer in the fdinfo of a process, or -1. */
static long peer_in_fdinfo(pid_t pid, int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	return number_in_file(path, "mbox-peer:\t");
}

TEST_F(direct, fdinfo_names_the_peer)
{
	int fd = new_mailbox(0, 1);

	EXPECT_EQ(self->peer.pid, peer_in_fdinfo(getpid(), self->fd));
	EXPECT_EQ(-1, peer_in_fdinfo(getpid(), fd));
	close(fd);
	process_kill(&self->peer);
	/* It has no number any more. */
	EXPECT_EQ(0, peer_in_fdinfo(getpid(), self->fd));
}

struct inside {
	pid_t outer;
	int sock;
	int link;
};

/* The first process of a pid namespace, and another one in it. */
static int inside_main(struct inside *in)
{
	struct process other;
	int fd;

	CHECK_EQ(1, getpid());
	/* Processes that it does not see, whatever the number. */
	CHECK_EQ(-ESRCH, raw_direct(in->outer, O_RDWR));
	CHECK_EQ(-EINVAL, raw_direct(1, O_RDWR));
	CHECK_EQ(-EINVAL, raw_direct(0, O_RDWR));
	CHECK_EQ(-EPERM, put(in->link, 1));
	CHECK_EQ(0, process_start(&other));
	CHECK_EQ(2, other.pid);
	fd = raw_direct(2, O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(0, ask(&other, OPEN, 1));
	CHECK_EQ(0, put(fd, 5));
	CHECK_EQ(1, ask(&other, SENDER, 0));
	CHECK_EQ(0, ask(&other, PUT, 6));
	CHECK_EQ(2, sender_of(fd));
	/* The process outside uses this one. */
	CHECK_EQ(sizeof(fd), write(in->sock, &fd, sizeof(fd)));
	CHECK_EQ(sizeof(fd), read(in->sock, &fd, sizeof(fd)));
	return 0;
}

TEST_F(direct, pids_are_of_the_callers_pid_namespace)
{
	struct inside in = { .outer = getpid(), .link = self->fd };
	int socks[2], fd = -1, link;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	in.sock = socks[1];
	if (unshare(CLONE_NEWPID))
		SKIP(return, "no pid namespace: %s", strerror(errno));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(socks[0]);
		_exit(inside_main(&in));
	}
	close(socks[1]);
	/* From outside, it is seen. */
	link = raw_direct(pid, O_RDWR);
	EXPECT_LE(0, link);
	EXPECT_EQ(0, put(link, 1));
	ASSERT_EQ((ssize_t)sizeof(fd), read(socks[0], &fd, sizeof(fd)));
	/* In the numbers of this /proc, which are not those inside. */
	EXPECT_LT(2, peer_in_fdinfo(pid, fd));
	EXPECT_NE(pid, peer_in_fdinfo(pid, fd));
	ASSERT_EQ((ssize_t)sizeof(fd), write(socks[0], &fd, sizeof(fd)));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(-EPIPE, recv_value(link));
	close(link);
}

/* ---- races ---------------------------------------------------------------- */

#define CROWD	6

/* Each opens a link to each, at the same moment, and sends its number. */
static int one_of_the_crowd(int me, const pid_t *pids, int sock)
{
	int fds[CROWD];
	int i;

	/* The others', once they are there. */
	CHECK_EQ(CROWD * sizeof(*pids), recv(sock, (void *)pids, CROWD * sizeof(*pids), 0));
	for (i = 0; i < CROWD; i++) {
		if (i == me)
			continue;
		fds[i] = raw_direct(pids[i], O_RDWR);
		CHECK(fds[i] >= 0);
		CHECK_EQ(0, put(fds[i], me));
	}
	for (i = 0; i < CROWD; i++) {
		if (i == me)
			continue;
		CHECK_EQ(i, recv_value(fds[i]));
		CHECK_EQ(-EAGAIN, take(fds[i]));
	}
	/* Until all have. */
	CHECK_EQ(1, send(sock, "", 1, 0));
	CHECK_EQ(1, recv(sock, fds, 1, 0));
	return 0;
}

TEST(many_processes_open_links_to_each_other)
{
	int socks[CROWD][2];
	pid_t pids[CROWD];
	int i, round;
	char c;

	for (round = 0; round < 8; round++) {
		for (i = 0; i < CROWD; i++) {
			ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks[i]));
			pids[i] = fork();
			ASSERT_LE(0, pids[i]);
			if (!pids[i]) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				_exit(one_of_the_crowd(i, pids, socks[i][1]));
			}
		}
		for (i = 0; i < CROWD; i++)
			ASSERT_EQ((ssize_t)sizeof(pids), send(socks[i][0], pids, sizeof(pids), 0));
		for (i = 0; i < CROWD; i++) {
			struct pollfd p = { .fd = socks[i][0], .events = POLLIN };

			ASSERT_EQ(1, poll(&p, 1, WAIT_LIMIT_MS));
			ASSERT_EQ(1, recv(socks[i][0], &c, 1, 0));
		}
		for (i = 0; i < CROWD; i++)
			ASSERT_EQ(1, send(socks[i][0], "", 1, 0));
		for (i = 0; i < CROWD; i++) {
			EXPECT_EQ(0, reap(pids[i]));
			close(socks[i][0]);
			close(socks[i][1]);
		}
	}
}

struct opener {
	pthread_t thread;
	pid_t peer;
	int *go;
	int fd;
};

static void *open_when_told(void *arg)
{
	struct opener *o = arg;

	while (!__atomic_load_n(o->go, __ATOMIC_ACQUIRE))
		;
	o->fd = raw_direct(o->peer, O_RDWR);
	return NULL;
}

TEST(threads_that_open_concurrently_share_one_link)
{
	struct process peer;
	struct opener o[4];
	int round, i, go;

	ASSERT_EQ(0, process_start(&peer));
	for (round = 0; round < 50; round++) {
		go = 0;
		for (i = 0; i < 4; i++) {
			o[i] = (struct opener){ .peer = peer.pid, .go = &go };
			ASSERT_EQ(0, thread_start(&o[i].thread, open_when_told, &o[i]));
		}
		__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
		for (i = 0; i < 4; i++)
			pthread_join(o[i].thread, NULL);
		for (i = 0; i < 4; i++) {
			ASSERT_LE(0, o[i].fd);
			EXPECT_EQ(stat_of(o[0].fd).id, stat_of(o[i].fd).id);
		}
		for (i = 0; i < 4; i++)
			close(o[i].fd);
	}
	process_kill(&peer);
}

/* Open, use and close, over and over, until the peer is gone. */
static void *use_until_gone(void *arg)
{
	struct opener *o = arg;
	long ret = 0;
	int fd;

	for (;;) {
		fd = raw_direct(o->peer, O_RDWR);
		if (fd < 0) {
			o->fd = fd;
			return NULL;
		}
		do {
			ret = put(fd, 1);
			if (!ret || ret == -EAGAIN)
				ret = recv_value(fd);
		} while (ret >= 0);
		close(fd);
		if (ret != -EPIPE) {
			o->fd = ret;
			return NULL;
		}
	}
}

/* Answers a little, closes now and then, and is killed at any moment. */
static int answer_until_killed(void *arg)
{
	struct random rng = { .state = getpid() };
	int fd;

	for (;;) {
		fd = raw_direct(*(pid_t *)arg, O_RDWR);
		CHECK(fd >= 0);
		while (random_below(&rng, 8)) {
			put(fd, 1);
			take(fd);
		}
		close(fd);
	}
}

TEST(peer_is_killed_while_its_link_is_in_use)
{
	struct random rng = { .state = 1 };
	struct opener o[2];
	long users = module_users();
	pid_t self = getpid();
	int round, i;

	for (round = 0; round < 60; round++) {
		pid_t pid = spawn(answer_until_killed, &self);

		ASSERT_LE(0, pid);
		for (i = 0; i < 2; i++) {
			o[i] = (struct opener){ .peer = pid };
			ASSERT_EQ(0, thread_start(&o[i].thread, use_until_gone, &o[i]));
		}
		usleep(random_below(&rng, 4000));
		kill(pid, SIGKILL);
		if (round & 1)
			reap(pid);
		for (i = 0; i < 2; i++) {
			pthread_join(o[i].thread, NULL);
			EXPECT_EQ(-ESRCH, o[i].fd);
		}
		if (!(round & 1))
			reap(pid);
	}
	EXPECT_EQ(users, module_users());
}

static int end_soon(void *arg)
{
	usleep(*(int *)arg);
	return 0;
}

/* The other side never opens: it must be seen that it is gone all the same. */
TEST(peer_is_killed_while_a_link_to_it_is_opened)
{
	int round, us, fd;
	pid_t pid;

	for (round = 0; round < 100; round++) {
		us = round * 20;
		pid = spawn(end_soon, &us);
		ASSERT_LE(0, pid);
		do {
			fd = raw_direct(pid, O_RDWR);
			if (fd >= 0) {
				if (round & 1)
					EXPECT_EQ(-EPIPE, recv_value(fd));
				close(fd);
			}
		} while (fd >= 0);
		EXPECT_EQ(-ESRCH, fd);
		EXPECT_EQ(0, reap(pid));
	}
}

static void *close_it(void *arg)
{
	close(*(int *)arg);
	return NULL;
}

TEST_F(direct, close_races_with_open)
{
	pthread_t thread;
	int round, fd;

	OPEN_PEER(self);
	for (round = 0; round < 200; round++) {
		ASSERT_EQ(0, thread_start(&thread, close_it, &self->fd));
		fd = raw_direct(self->peer.pid, O_RDWR);
		pthread_join(thread, NULL);
		ASSERT_LE(0, fd);
		self->fd = fd;
		/* Whichever came first, the end is open now. */
		ASSERT_EQ(0, ask(&self->peer, PUT, 1));
		ASSERT_EQ(1, take(self->fd));
	}
}

TEST_HARNESS_MAIN
