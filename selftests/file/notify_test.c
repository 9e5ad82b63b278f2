// SPDX-License-Identifier: GPL-2.0-only
/* Notification of a message in an empty mailbox: ioctl and mbox_notify(). */
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#include "signals.h"

#define VALUE 0x1234567U

static struct mbox_notify by_signal(int signo, __u64 value)
{
	struct mbox_notify arg = {
		.kind = MBOX_NOTIFY_SIGNAL, .signo = signo, .value = value };

	return arg;
}

static long enter(int fd, struct mbox_notify arg)
{
	return raw(fd, MBOX_IOC_NOTIFY, &arg);
}

static long enter_signal(int fd)
{
	union sigval value = { .sival_int = VALUE };

	return enter(fd, by_signal(QUEUED, (uintptr_t)value.sival_ptr));
}

static long enter_kind(int fd, __u32 kind)
{
	struct mbox_notify arg = { .kind = kind };

	return enter(fd, arg);
}

static long enter_eventfd(int fd, int eventfd)
{
	struct mbox_notify arg = { .kind = MBOX_NOTIFY_EVENTFD, .fd = eventfd };

	return enter(fd, arg);
}

/* Whether there is no registration, without leaving one. */
static bool is_free(int fd)
{
	long ret = enter_kind(fd, MBOX_NOTIFY_NONE);

	if (!ret)
		enter_kind(fd, MBOX_NOTIFY_OFF);
	return !ret;
}

FIXTURE(notify)
{
	int fd;
	int event;
};

FIXTURE_SETUP(notify)
{
	self->fd = new_mailbox(0, 2);
	self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->event);
	ASSERT_EQ(0, block_signal(QUEUED));
}

FIXTURE_TEARDOWN(notify)
{
	close(self->event);
	close(self->fd);
}

/* What was added, or -errno. */
static long count_of(int event)
{
	__u64 n = POISON;

	return read(event, &n, sizeof(n)) == sizeof(n) ? (long)n : neg(-1);
}

TEST_F(notify, signal_carries_the_value_and_the_sender)
{
	siginfo_t info;

	ASSERT_EQ(0, enter_signal(self->fd));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
	EXPECT_EQ(SI_MESGQ, info.si_code);
	EXPECT_EQ(VALUE, (unsigned int)info.si_value.sival_int);
	EXPECT_EQ(getpid(), info.si_pid);
	EXPECT_EQ(getuid(), info.si_uid);
	EXPECT_EQ(0, info.si_errno);
	EXPECT_EQ(1, take(self->fd));
}

TEST_F(notify, value_can_be_a_pointer)
{
	siginfo_t info;

	ASSERT_EQ(0, enter(self->fd, by_signal(QUEUED, (uintptr_t)&info)));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
	EXPECT_TRUE(info.si_value.sival_ptr == &info);
}

static volatile sig_atomic_t handled;

static void count_handled(int signo)
{
	(void)signo;
	handled++;
}

#define SIGNALS 500

/* Send a number each time the last one has been received. */
static void *sends_each(void *arg)
{
	const int *fds = arg;
	int go, i;

	for (i = 0; i < SIGNALS; i++) {
		if (raw_recv(fds[1], &go, sizeof(go), 0) < 0)
			return NULL;
		if (put(fds[0], i))
			return NULL;
	}
	return NULL;
}

/*
 * Who has received the message has had the signal: it does not end a later call, which
 * would wait for the next message.
 */
TEST_F(notify, signal_comes_before_the_message)
{
	struct sigaction action = { .sa_handler = count_handled }, before;
	int fds[2], i, late = 0;
	pthread_t thread;
	int got;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, &before));
	handled = 0;
	fds[0] = self->fd;
	fds[1] = new_mailbox(0, 2);
	ASSERT_LE(0, fds[1]);
	ASSERT_EQ(0, thread_start(&thread, sends_each, fds));
	for (i = 0; i < SIGNALS; i++) {
		ASSERT_EQ(0, enter(self->fd, by_signal(SIGUSR1, 0)));
		ASSERT_EQ(0, put(fds[1], i));
		while (raw_recv(self->fd, &got, sizeof(got), MBOX_DONTWAIT) < 0)
			;
		if (handled != i + 1)
			late++;
		while (handled != i + 1)
			;
	}
	EXPECT_EQ(0, late);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, sigaction(SIGUSR1, &before, NULL));
	close(fds[1]);
}

TEST_F(notify, eventfd_is_incremented_once)
{
	ASSERT_EQ(0, enter_eventfd(self->fd, self->event));
	EXPECT_EQ(-EAGAIN, count_of(self->event));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, count_of(self->event));
}

TEST_F(notify, eventfd_may_be_closed_meanwhile)
{
	int fd = dup(self->event), other = eventfd(0, 0);

	ASSERT_EQ(0, enter_eventfd(self->fd, fd));
	close(fd);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, count_of(self->event));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(0, enter_eventfd(self->fd, other));
	close(other);
	EXPECT_EQ(0, put(self->fd, 1));
}

TEST_F(notify, NONE_registers_and_sends_nothing)
{
	ASSERT_EQ(0, enter_kind(self->fd, MBOX_NOTIFY_NONE));
	EXPECT_EQ(-EBUSY, enter_signal(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(is_free(self->fd));
}

TEST_F(notify, notification_comes_once)
{
	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(2, take(self->fd));
	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
}

TEST_F(notify, only_a_message_in_an_empty_mailbox_notifies)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_TRUE(no_signal(QUEUED));
	EXPECT_FALSE(is_free(self->fd));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(2, take(self->fd));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(0, put(self->fd, 3));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
}

TEST_F(notify, waiting_receiver_prevents_it)
{
	struct call receiver = { 0 };

	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, recv_join(&receiver));
	EXPECT_TRUE(no_signal(QUEUED));
	EXPECT_FALSE(is_free(self->fd));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
}

TEST_F(notify, receiver_waiting_for_another_type_does_not_prevent_it)
{
	struct call receiver = { .msg = { .flags = MBOX_MATCH, .type = 7 } };

	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
	ASSERT_EQ(0, put_as(self->fd, 2, 0, 7));
	EXPECT_EQ(2, recv_join(&receiver));
}

TEST_F(notify, message_put_back_notifies)
{
	struct call bad = { .msg = msg_of(bad_buffer(), 4, 0) };

	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, recv_start(&bad, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-EFAULT, call_join(&bad));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
}

TEST_F(notify, message_that_replaces_another_does_not_notify)
{
	struct call sender = { 0 };
	int fd;

	ASSERT_EQ(0, raw_set_capacity(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, send_start(&sender, self->fd, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 1, 0));
	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(0, call_join(&sender));
	EXPECT_TRUE(no_signal(QUEUED));
	EXPECT_FALSE(is_free(self->fd));

	fd = new_mailbox(MBOX_DROP_OLDEST, 1);
	ASSERT_EQ(0, put(fd, 1));
	ASSERT_EQ(0, enter_signal(fd));
	ASSERT_EQ(0, put(fd, 2));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(2, take(fd));
	ASSERT_EQ(0, put(fd, 3));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
	close(fd);
}

TEST_F(notify, every_broadcast_notifies)
{
	int fd = new_mailbox(MBOX_BROADCAST, 4);

	ASSERT_EQ(0, enter_signal(fd));
	ASSERT_EQ(0, put(fd, 1));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
	ASSERT_EQ(0, put(fd, 2));
	EXPECT_TRUE(no_signal(QUEUED));
	/* There are two that were not received. */
	ASSERT_EQ(0, enter_signal(fd));
	ASSERT_EQ(0, put(fd, 3));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
	close(fd);
}

TEST_F(notify, waiting_sender_of_a_rendezvous_notifies)
{
	struct call senders[2] = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(0, enter_signal(self->fd));
	EXPECT_EQ(-EAGAIN, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(0, send_start(&senders[0], self->fd, 1));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, send_start(&senders[1], self->fd, 2));
	ASSERT_EQ(0, await_waiting(self->fd, 2, 0));
	EXPECT_TRUE(no_signal(QUEUED));
	EXPECT_LE(0, take(self->fd));
	EXPECT_LE(0, take(self->fd));
	EXPECT_EQ(0, call_join(&senders[0]));
	EXPECT_EQ(0, call_join(&senders[1]));
}

TEST_F(notify, SYNC_send_and_request_notify)
{
	struct mbox_request request = { .deadline_ns = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS) };
	struct call sync = { .msg.flags = MBOX_SYNC }, call = { .arg = &request };

	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, send_start(&sync, self->fd, 1));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(0, call_join(&sync));
	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, call_start(&call, self->fd, MBOX_IOC_CALL));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
	/* A reader cannot reply. */
	EXPECT_EQ(0, raw_recv(self->fd, NULL, 0, MBOX_DONTWAIT));
	EXPECT_LE(0, raw_destroy(self->fd));
	EXPECT_GT(0, call_join(&call));
}

TEST_F(notify, cancelled_registration_sends_nothing)
{
	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, enter_kind(self->fd, MBOX_NOTIFY_OFF));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
	/* There is none, and that is fine. */
	EXPECT_EQ(0, enter_kind(self->fd, MBOX_NOTIFY_OFF));
}

TEST_F(notify, second_registration_is_EBUSY)
{
	int other = open_again(self->fd, O_RDONLY);

	ASSERT_EQ(0, enter_signal(self->fd));
	EXPECT_EQ(-EBUSY, enter_signal(self->fd));
	EXPECT_EQ(-EBUSY, enter_signal(other));
	EXPECT_EQ(-EBUSY, enter_eventfd(other, self->event));
	/* It is the process's, whatever handle it uses. */
	EXPECT_EQ(0, enter_kind(other, MBOX_NOTIFY_OFF));
	EXPECT_EQ(0, enter_signal(other));
	close(other);
}

TEST_F(notify, without_the_right_to_receive_is_EBADF)
{
	int writer = open_again(self->fd, O_WRONLY), reader = open_again(self->fd, O_RDONLY);

	EXPECT_EQ(-EBADF, enter_signal(writer));
	EXPECT_EQ(-EBADF, enter_kind(writer, MBOX_NOTIFY_OFF));
	EXPECT_EQ(0, enter_signal(reader));
	close(writer);
	close(reader);
}

TEST_F(notify, bad_arguments_are_EINVAL)
{
	struct mbox_notify bad[] = {
		{ .kind = MBOX_NOTIFY_EVENTFD + 1 },
		{ .kind = POISON32 },
		{ .kind = MBOX_NOTIFY_SIGNAL },
		{ .kind = MBOX_NOTIFY_SIGNAL, .signo = 65 + 63 },
		{ .kind = MBOX_NOTIFY_SIGNAL, .signo = POISON32 },
		{ .kind = MBOX_NOTIFY_SIGNAL, .signo = SIGUSR1, .fd = 1 },
		{ .kind = MBOX_NOTIFY_SIGNAL, .signo = SIGUSR1, .reserved = 1 },
		{ .kind = MBOX_NOTIFY_OFF, .signo = SIGUSR1 },
		{ .kind = MBOX_NOTIFY_OFF, .value = 1 },
		{ .kind = MBOX_NOTIFY_NONE, .fd = 1 },
		{ .kind = MBOX_NOTIFY_NONE, .value = 1ULL << 32 },
		{ .kind = MBOX_NOTIFY_EVENTFD, .fd = self->event, .signo = SIGUSR1 },
		{ .kind = MBOX_NOTIFY_EVENTFD, .fd = self->event, .value = 1 },
		{ .kind = MBOX_NOTIFY_EVENTFD, .fd = self->event, .reserved = 1 },
		{ .kind = MBOX_NOTIFY_EVENTFD, .fd = self->fd },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, enter(self->fd, bad[i])) TH_LOG("argument %u", i);
	EXPECT_EQ(-EBADF, enter_eventfd(self->fd, -1));
	EXPECT_EQ(-EBADF, enter_eventfd(self->fd, 9999));
	EXPECT_TRUE(is_free(self->fd));
}

TEST_F(notify, destroy_ends_the_registration)
{
	int other = new_mailbox(0, 1);

	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, raw_destroy(self->fd));
	EXPECT_TRUE(no_signal(QUEUED));
	EXPECT_EQ(-EIDRM, enter_signal(self->fd));
	EXPECT_EQ(-EIDRM, enter_kind(self->fd, MBOX_NOTIFY_OFF));
	ASSERT_EQ(0, enter_eventfd(other, self->event));
	ASSERT_EQ(0, raw_destroy(other));
	EXPECT_EQ(1, count_of(self->event));
	close(other);
}

TEST_F(notify, close_ends_the_registration)
{
	int other = open_again(self->fd, O_RDONLY), copy;

	ASSERT_EQ(0, enter_signal(other));
	close(other);
	EXPECT_TRUE(is_free(self->fd));
	other = open_again(self->fd, O_RDONLY);
	ASSERT_EQ(0, enter_signal(other));
	/* As for a message queue: that there are others does not matter. */
	copy = dup(other);
	close(copy);
	EXPECT_TRUE(is_free(self->fd));
	/* But another handle does. */
	ASSERT_EQ(0, enter_signal(self->fd));
	close(other);
	EXPECT_FALSE(is_free(self->fd));
}

static int enters(void *arg)
{
	CHECK_EQ(0, enter_signal(*(int *)arg));
	return 0;
}

static int closes(void *arg)
{
	close(*(int *)arg);
	return 0;
}

static int cannot_take_back(void *arg)
{
	int fd = *(int *)arg;

	CHECK_EQ(0, enter_kind(fd, MBOX_NOTIFY_OFF));
	CHECK_EQ(-EBUSY, enter_signal(fd));
	return 0;
}

TEST_F(notify, process_that_ends_is_not_registered)
{
	ASSERT_EQ(0, in_child(enters, &self->fd));
	EXPECT_TRUE(is_free(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
}

TEST_F(notify, close_in_another_process_keeps_the_registration)
{
	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, in_child(closes, &self->fd));
	ASSERT_EQ(0, in_child(cannot_take_back, &self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
}

/* Waits to be killed, registered. */
static int enters_and_stays(void *arg)
{
	int *fds = arg;

	CHECK_EQ(0, enter_signal(fds[0]));
	CHECK(write(fds[1], "", 1) == 1);
	for (;;)
		pause();
}

TEST_F(notify, process_that_is_killed_is_not_registered)
{
	int ready[2], fds[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(ready));
	fds[0] = self->fd;
	fds[1] = ready[1];
	child = spawn(enters_and_stays, fds);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_FALSE(is_free(self->fd));
	kill(child, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, reap(child));
	EXPECT_TRUE(is_free(self->fd));
	/* Nor does another process get what was meant for it. */
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
}

static int registers(void *arg)
{
	return enter_signal(*(int *)arg) ? 1 : 0;
}

/* Shares its parent's descriptors, so nothing is closed at its end. */
TEST_F(notify, exit_of_a_process_that_shares_its_descriptors_ends_the_registration)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	pid_t child = clone(registers, stack + sizeof(stack), CLONE_FILES | SIGCHLD, &self->fd);

	ASSERT_LT(0, child);
	ASSERT_EQ(0, reap(child));
	EXPECT_TRUE(is_free(self->fd));
}

static int registers_and_execs(void *arg)
{
	int *fds = arg;

	/* By default it would end the shell. */
	CHECK_EQ(0, enter(fds[0], by_signal(SIGUSR1, 0)));
	execl("/bin/sh", "sh", "-c", "echo; read line; exit 3", NULL);
	return 1;
}

TEST_F(notify, exec_ends_the_registration)
{
	int to[2], from[2];
	pid_t child;
	char byte;

	/* The handle goes with it. */
	ASSERT_EQ(0, fcntl(self->fd, F_SETFD, 0));
	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(from));
	fflush(NULL);
	child = fork();
	if (!child) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		_exit(registers_and_execs(&self->fd));
	}
	ASSERT_EQ(1, read(from[0], &byte, 1));
	EXPECT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, take(self->fd));
	EXPECT_TRUE(is_free(self->fd));
	ASSERT_EQ(1, write(to[1], "\n", 1));
	EXPECT_EQ(3, reap(child));
}

static int sends_as_another(void *arg)
{
	if (become(USER_A, GROUP_A))
		return 1;
	CHECK_EQ(0, put(*(int *)arg, 1));
	return 0;
}

TEST_F(notify, sender_needs_no_permission_to_signal)
{
	siginfo_t info;
	pid_t child;

	ASSERT_EQ(0, enter_signal(self->fd));
	child = spawn(sends_as_another, &self->fd);
	ASSERT_EQ(0, reap(child));
	ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
	EXPECT_EQ(child, info.si_pid);
	EXPECT_EQ(USER_A, info.si_uid);
}

/* ---- threads ------------------------------------------------------------- */

struct taker {
	pthread_t thread;
	int fd;
	bool enters;
	pid_t tid;
	int code;
};

static void *taker_run(void *arg)
{
	struct taker *t = arg;

	if (t->enters && enter_signal(t->fd))
		return NULL;
	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	t->code = code_of_next(QUEUED);
	return NULL;
}

TEST_F(notify, thread_in_sigwait_gets_the_signal)
{
	struct taker t = { .fd = self->fd };

	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, thread_start(&t.thread, taker_run, &t));
	ASSERT_EQ(0, await_asleep(&t.tid));
	ASSERT_EQ(0, put(self->fd, 1));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(SI_MESGQ, t.code);
}

static void *enters_later(void *arg)
{
	struct taker *t = arg;

	t->code = enter_signal(t->fd);
	/* Then the signal comes, while all block it. */
	if (!t->code)
		t->code = put(t->fd, 1) ?: code_of_next(QUEUED);
	return NULL;
}

TEST_F(notify, blocked_signal_is_pending_for_the_registering_thread)
{
	struct taker t = { .fd = self->fd };

	ASSERT_EQ(0, thread_start(&t.thread, enters_later, &t));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(SI_MESGQ, t.code);
}

TEST_F(notify, exit_of_the_registering_thread_keeps_the_registration)
{
	struct taker t = { .fd = self->fd, .enters = true };

	ASSERT_EQ(0, thread_start(&t.thread, taker_run, &t));
	ASSERT_EQ(0, await_asleep(&t.tid));
	ASSERT_EQ(0, pthread_kill(t.thread, QUEUED));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(SI_USER, t.code);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(SI_MESGQ, code_of_next(QUEUED));
}

/* More threads than the module checks. */
#define MANY	64

static volatile sig_atomic_t handled;

static void handle_it(int sig)
{
	handled++;
}

static void *lets_it_through(void *arg)
{
	struct taker *t = arg;
	sigset_t none;

	sigemptyset(&none);
	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	/* Until it came, or another one that ends the thread. */
	t->code = unblock_signal(QUEUED);
	poll(NULL, 0, 1000 * WAIT_LIMIT_MS);
	return NULL;
}

static void *idles(void *arg)
{
	sem_wait(arg);
	return NULL;
}

/*
 * All threads block the signal but one, that comes before or behind many. The last
 * one registers, and causes the signal. Return how many the handler got, and in
 * *@code what the last one got.
 */
static int notify_many(int fd, bool first, int *code)
{
	struct taker open = { .fd = fd }, t = { .fd = fd };
	struct sigaction sa = { .sa_handler = handle_it };
	pthread_t threads[MANY];
	sem_t end;
	int i;

	handled = 0;
	sem_init(&end, 0, 0);
	CHECK_EQ(0, sigaction(QUEUED, &sa, NULL));
	if (first) {
		CHECK_EQ(0, thread_start(&open.thread, lets_it_through, &open));
		CHECK_EQ(0, await_asleep(&open.tid));
	}
	for (i = 0; i < MANY; i++)
		CHECK_EQ(0, thread_start(&threads[i], idles, &end));
	if (!first) {
		CHECK_EQ(0, thread_start(&open.thread, lets_it_through, &open));
		CHECK_EQ(0, await_asleep(&open.tid));
	}
	CHECK_EQ(0, thread_start(&t.thread, enters_later, &t));
	/* Whoever of the two does not get it is to end as well. */
	if (first)
		pthread_kill(t.thread, QUEUED);
	pthread_join(t.thread, NULL);
	for (i = 0; i < MANY; i++)
		sem_post(&end);
	for (i = 0; i < MANY; i++)
		pthread_join(threads[i], NULL);
	if (!first)
		pthread_kill(open.thread, QUEUED);
	pthread_join(open.thread, NULL);
	*code = t.code;
	return handled;
}

TEST_F(notify, first_of_many_threads_that_does_not_block_the_signal_gets_it)
{
	int code;

	EXPECT_EQ(1, notify_many(self->fd, true, &code));
	EXPECT_EQ(SI_USER, code);
}

TEST_F(notify, registering_thread_gets_the_signal_behind_many_that_block_it)
{
	int code;

	EXPECT_EQ(1, notify_many(self->fd, false, &code));
	EXPECT_EQ(SI_MESGQ, code);
}

static int handler_fd;
static int handler_errors;

static void enter_again(int sig)
{
	long ret;

	__atomic_fetch_add(&signals_seen, 1, __ATOMIC_SEQ_CST);
	/* The order that loses nothing. */
	if (enter(handler_fd, by_signal(sig, 0)))
		handler_errors++;
	while ((ret = take(handler_fd)) >= 0)
		;
	if (ret != -EAGAIN)
		handler_errors++;
}

TEST_F(notify, handler_registers_again)
{
	struct sigaction action = { .sa_handler = enter_again, .sa_flags = SA_RESTART };
	int i;

	signals_seen = 0;
	handler_fd = self->fd;
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, enter(self->fd, by_signal(SIGUSR1, 0)));
	for (i = 1; i <= 20; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_EQ(i, signals_seen);
	}
	EXPECT_EQ(0, handler_errors);
	EXPECT_EQ(0U, stat_of(self->fd).queued);
}

/* ---- several processes ---------------------------------------------------- */

#define RACERS	4
#define ROUNDS	200

/* One of them is registered at any time, and none is told of another's. */
static int races(void *arg)
{
	int fd = *(int *)arg, event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), i, won = 0;
	long ret;

	for (i = 0; i < ROUNDS; i++) {
		ret = enter_eventfd(fd, event);
		if (ret) {
			CHECK_EQ(-EBUSY, ret);
			sched_yield();
			continue;
		}
		won++;
		CHECK_EQ(-EBUSY, enter_eventfd(fd, event));
		CHECK_EQ(0, enter_kind(fd, MBOX_NOTIFY_OFF));
	}
	CHECK_EQ(-EAGAIN, count_of(event));
	return won ? 0 : 2;
}

TEST_F(notify, processes_race_to_register)
{
	pid_t pids[RACERS];
	int i, status, unlucky = 0;

	for (i = 0; i < RACERS; i++)
		pids[i] = spawn(races, &self->fd);
	for (i = 0; i < RACERS; i++) {
		status = reap(pids[i]);
		unlucky += status == 2;
		EXPECT_TRUE(status == 0 || status == 2) TH_LOG("status %d", status);
	}
	EXPECT_LT(unlucky, RACERS);
	EXPECT_TRUE(is_free(self->fd));
}

struct sending {
	pthread_t thread;
	int fd;
	int n;
};

static void *sends(void *arg)
{
	struct sending *s = arg;
	__u32 value = 1;
	int i;

	for (i = 0; i < s->n; i++)
		raw_send(s->fd, &value, sizeof(value), 0);
	return NULL;
}

/* Registered first, then empty: every message is received, without waiting. */
TEST_F(notify, no_message_goes_unnoticed)
{
	struct sending s = { .fd = self->fd, .n = 500 };
	int received = 0;

	ASSERT_EQ(0, enter_signal(self->fd));
	ASSERT_EQ(0, thread_start(&s.thread, sends, &s));
	while (received < s.n) {
		ASSERT_EQ(SI_MESGQ, code_of_next(QUEUED));
		ASSERT_EQ(0, enter_signal(self->fd));
		while (take(self->fd) >= 0)
			received++;
	}
	pthread_join(s.thread, NULL);
	EXPECT_EQ(s.n, received);
}

/* ---- what can be seen ----------------------------------------------------- */

static int fdinfo_line(int fd, char *value, size_t size)
{
	char path[64], text[1024], *line;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (read_file(path, text, sizeof(text)))
		return -1;
	line = strstr(text, "mbox-notify:\t");
	snprintf(value, size, "%s", line ? line + strlen("mbox-notify:\t") : "");
	value[strcspn(value, "\n")] = '\0';
	return 0;
}

TEST_F(notify, fdinfo_reports_the_registered_process)
{
	char value[64], want[64];

	ASSERT_EQ(0, fdinfo_line(self->fd, value, sizeof(value)));
	EXPECT_STREQ("", value);
	ASSERT_EQ(0, enter_signal(self->fd));
	snprintf(want, sizeof(want), "signal %d", getpid());
	ASSERT_EQ(0, fdinfo_line(self->fd, value, sizeof(value)));
	EXPECT_STREQ(want, value);
	ASSERT_EQ(0, enter_kind(self->fd, MBOX_NOTIFY_OFF));
	ASSERT_EQ(0, enter_eventfd(self->fd, self->event));
	snprintf(want, sizeof(want), "eventfd %d", getpid());
	ASSERT_EQ(0, fdinfo_line(self->fd, value, sizeof(value)));
	EXPECT_STREQ(want, value);
}

TEST_F(notify, ring_is_EOPNOTSUPP)
{
	struct mbox_attr attr = attr_of(0, 4);
	int fd;

	attr.mode = MBOX_RING;
	fd = raw_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, enter_signal(fd));
	EXPECT_EQ(-EOPNOTSUPP, enter_kind(fd, MBOX_NOTIFY_OFF));
	close(fd);
}

/* ---- the library ---------------------------------------------------------- */

/* Threads end a moment after they have closed everything. */
static bool threads_become(int n)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (count_entries("/proc/self/task") != n) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return false;
		pause_briefly();
	}
	return true;
}

FIXTURE(mbox_notify)
{
	struct mbox *mb;
	int fd;
	int threads;
	int files;
};

FIXTURE_SETUP(mbox_notify)
{
	struct mbox_attr attr = attr_of(0, 2);

	self->mb = mbox_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	ASSERT_TRUE(!!self->mb);
	self->fd = mbox_fd(self->mb);
	ASSERT_EQ(0, block_signal(QUEUED));
	self->threads = count_entries("/proc/self/task");
	self->files = open_descriptors();
}

FIXTURE_TEARDOWN(mbox_notify)
{
	if (self->mb) {
		EXPECT_EQ(0, mbox_close(self->mb));
		self->files--;
	}
	EXPECT_EQ(self->files, open_descriptors());
	EXPECT_TRUE(threads_become(self->threads));
}

static sem_t told;
static pthread_t teller;
static union sigval told_value;
static struct mbox *told_mb;
static struct sigevent told_sev;
static sigset_t told_mask;
static long told_ret;

static void tell(union sigval value)
{
	told_value = value;
	teller = pthread_self();
	pthread_sigmask(SIG_SETMASK, NULL, &told_mask);
	sem_post(&told);
}

/* Ready for another message before the function is left. */
static void tell_and_enter(union sigval value)
{
	told_ret = neg(mbox_notify(told_mb, &told_sev));
	tell(value);
}

static void tell_and_close(union sigval value)
{
	told_ret = neg(mbox_close(told_mb));
	tell(value);
}

static struct sigevent by_thread(void (*function)(union sigval value))
{
	struct sigevent sev = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = function,
		.sigev_value.sival_ptr = &told,
	};

	sem_init(&told, 0, 0);
	return sev;
}

static bool is_told(void)
{
	__s64 limit = in_ms(CLOCK_REALTIME, WAIT_LIMIT_MS);
	struct timespec ts = {
		.tv_sec = limit / (1000 * NSEC_PER_MSEC),
		.tv_nsec = limit % (1000 * NSEC_PER_MSEC),
	};

	while (sem_timedwait(&told, &ts))
		if (errno != EINTR)
			return false;
	return true;
}

TEST_F(mbox_notify, SIGEV_SIGNAL_sends_the_signal)
{
	struct sigevent sev = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = QUEUED,
		.sigev_value.sival_int = VALUE,
	};
	siginfo_t info;

	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	EXPECT_EQ(-EBUSY, neg(mbox_notify(self->mb, &sev)));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
	EXPECT_EQ(SI_MESGQ, info.si_code);
	EXPECT_EQ(VALUE, (unsigned int)info.si_value.sival_int);
}

/* In the place of the C library's: a signal comes while the library is in an ioctl. */
static volatile sig_atomic_t raises;
/* Or another thread forks. */
static bool forks;

static void fork_in_a_thread(void);

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	ret = syscall(SYS_ioctl, fd, request, arg);
	if (request == MBOX_IOC_NOTIFY && raises) {
		raises = 0;
		raise(SIGUSR2);
	}
	if (request == MBOX_IOC_NOTIFY && forks) {
		forks = false;
		fork_in_a_thread();
	}
	return ret;
}

static struct mbox *interrupted_mb;

static void take_back(int sig)
{
	told_ret = neg(mbox_notify(interrupted_mb, NULL));
}

TEST_F(mbox_notify, signal_handler_registers_during_a_registration)
{
	struct sigevent sev = { .sigev_notify = SIGEV_NONE };
	struct sigaction action = { .sa_handler = take_back };

	interrupted_mb = self->mb;
	told_ret = 1;
	ASSERT_EQ(0, sigaction(SIGUSR2, &action, NULL));
	raises = 1;
	EXPECT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	/* The handler was last. */
	EXPECT_EQ(0, told_ret);
	EXPECT_TRUE(is_free(self->fd));
}

TEST_F(mbox_notify, SIGEV_NONE_is_not_told)
{
	struct sigevent sev = { .sigev_notify = SIGEV_NONE, .sigev_signo = -1 };

	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	EXPECT_FALSE(is_free(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(is_free(self->fd));
}

TEST_F(mbox_notify, NULL_cancels_the_registration)
{
	struct sigevent sev = { .sigev_notify = SIGEV_NONE };

	EXPECT_EQ(0, neg(mbox_notify(self->mb, NULL)));
	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	ASSERT_EQ(0, neg(mbox_notify(self->mb, NULL)));
	EXPECT_TRUE(is_free(self->fd));
}

TEST_F(mbox_notify, bad_sigevent_is_EINVAL)
{
	struct sigevent sev = { .sigev_notify = 77 };

	EXPECT_EQ(-EINVAL, neg(mbox_notify(self->mb, &sev)));
	sev.sigev_notify = SIGEV_SIGNAL;
	sev.sigev_signo = 200;
	EXPECT_EQ(-EINVAL, neg(mbox_notify(self->mb, &sev)));
	EXPECT_TRUE(is_free(self->fd));
}

TEST_F(mbox_notify, thread_runs_the_function)
{
	struct sigevent sev = by_thread(tell);

	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	EXPECT_EQ(-EBUSY, neg(mbox_notify(self->mb, &sev)));
	EXPECT_TRUE(threads_become(self->threads + 1));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_TRUE(is_told());
	EXPECT_TRUE(told_value.sival_ptr == &told);
	EXPECT_FALSE(pthread_equal(teller, pthread_self()));
	/* It has the signal mask of the thread that registered. */
	EXPECT_TRUE(sigismember(&told_mask, QUEUED));
	EXPECT_FALSE(sigismember(&told_mask, SIGUSR2));
	EXPECT_TRUE(is_free(self->fd));
}

TEST_F(mbox_notify, thread_has_the_attributes)
{
	struct sigevent sev = by_thread(tell);
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sev.sigev_notify_attributes = &attr;
	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	pthread_attr_destroy(&attr);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(is_told());
}

TEST_F(mbox_notify, function_registers_again)
{
	int i;

	told_sev = by_thread(tell_and_enter);
	told_mb = self->mb;
	ASSERT_EQ(0, neg(mbox_notify(self->mb, &told_sev)));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, put(self->fd, i));
		ASSERT_TRUE(is_told());
		ASSERT_EQ(0, told_ret);
		ASSERT_EQ(i, take(self->fd));
	}
}

TEST_F(mbox_notify, function_closes_the_handle)
{
	struct sigevent sev = by_thread(tell_and_close);
	int other = open_again(self->fd, O_WRONLY);

	told_mb = self->mb;
	self->mb = NULL;
	ASSERT_EQ(0, neg(mbox_notify(told_mb, &sev)));
	ASSERT_EQ(0, put(other, 1));
	EXPECT_TRUE(is_told());
	EXPECT_EQ(0, told_ret);
	close(other);
	self->files--;
}

TEST_F(mbox_notify, thread_ends_when_the_registration_is_cancelled)
{
	struct sigevent sev = by_thread(tell);
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
		ASSERT_EQ(0, neg(mbox_notify(self->mb, NULL)));
		ASSERT_EQ(self->files, open_descriptors());
	}
	EXPECT_TRUE(threads_become(self->threads));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(-1, sem_trywait(&told));
}

TEST_F(mbox_notify, thread_ends_when_the_handle_is_closed)
{
	struct sigevent sev = by_thread(tell);

	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	ASSERT_EQ(0, mbox_close(self->mb));
	self->mb = NULL;
	self->files--;
	EXPECT_EQ(self->files, open_descriptors());
	EXPECT_TRUE(threads_become(self->threads));
	EXPECT_EQ(-1, sem_trywait(&told));
}

TEST_F(mbox_notify, thread_ends_when_the_mailbox_is_destroyed)
{
	struct sigevent sev = by_thread(tell);

	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	ASSERT_EQ(0, mbox_destroy(self->mb));
	EXPECT_TRUE(threads_become(self->threads));
	EXPECT_EQ(self->files, open_descriptors());
	EXPECT_EQ(-1, sem_trywait(&told));
	EXPECT_EQ(-EIDRM, neg(mbox_notify(self->mb, &sev)));
}

TEST_F(mbox_notify, thread_that_cannot_be_created_is_EAGAIN)
{
	struct sigevent sev = by_thread(tell);
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	/* More than any address space has. */
	ASSERT_EQ(0, pthread_attr_setstacksize(&attr, SIZE_MAX / 4 & ~0xffffUL));
	sev.sigev_notify_attributes = &attr;
	EXPECT_EQ(-EAGAIN, neg(mbox_notify(self->mb, &sev)));
	EXPECT_EQ(self->files, open_descriptors());
	EXPECT_TRUE(is_free(self->fd));
}

static int child_closes(void *arg)
{
	struct mbox *mb = arg;
	int files = open_descriptors();

	CHECK_EQ(0, mbox_close(mb));
	/* The handle, and what its parent's thread waits for. */
	CHECK_EQ(files - 2, open_descriptors());
	return 0;
}

TEST_F(mbox_notify, child_does_not_wait_for_the_thread)
{
	struct sigevent sev = by_thread(tell);

	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	EXPECT_EQ(0, in_child(child_closes, self->mb));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(is_told());
}

/* The only threads of the first process in a namespace have the number 1 as well. */
static int first_child_closes(void *arg)
{
	FIXTURE_DATA(mbox_notify) *self = arg;
	struct sigevent sev = by_thread(tell);
	int status;
	pid_t pid;

	CHECK_EQ(1, getpid());
	CHECK_EQ(0, neg(mbox_notify(self->mb, &sev)));
	CHECK_EQ(0, unshare(CLONE_NEWPID));
	pid = fork();
	if (!pid) {
		alarm(10);
		_exit(getpid() != 1 ? 2 : child_closes(self->mb));
	}
	CHECK(pid > 0);
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	CHECK_EQ(0, status);
	/* Its own thread is there. */
	CHECK_EQ(0, put(self->fd, 1));
	CHECK(is_told());
	CHECK_EQ(0, mbox_close(self->mb));
	return 0;
}

static int in_a_namespace(void *arg)
{
	pid_t pid;

	CHECK_EQ(0, unshare(CLONE_NEWPID));
	/* spawn() would not find its parent there. */
	pid = fork();
	if (!pid)
		_exit(first_child_closes(arg));
	return reap(pid);
}

TEST_F(mbox_notify, child_with_the_number_of_its_parent_does_not_wait)
{
	EXPECT_EQ(0, in_child(in_a_namespace, self));
}

static int forked_status;

static void *fork_and_register(void *arg)
{
	sigset_t none;
	pid_t child;

	child = fork();
	if (!child) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		alarm(WAIT_LIMIT_MS / 1000);
		if (mbox_notify(told_mb, NULL))
			_exit(2);
		_exit(mbox_close(told_mb) ? 3 : 0);
	}
	forked_status = reap(child);
	return NULL;
}

static void fork_in_a_thread(void)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, fork_and_register, NULL))
		pthread_join(thread, NULL);
}

TEST_F(mbox_notify, child_forked_during_a_registration_can_register)
{
	struct sigevent sev = by_thread(tell);

	told_mb = self->mb;
	forked_status = -1;
	forks = true;
	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	EXPECT_EQ(0, forked_status);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(is_told());
}

/* What happens to a thread other than the first one in its next read(2), once. */
enum { NOTHING, STOPS_BEFORE, STOPS_AFTER, FAILS };
static int in_read;
static bool stops;
static sem_t stopped, resumed;

static void stop(void)
{
	sem_post(&stopped);
	while (sem_wait(&resumed))
		;
}

ssize_t read(int fd, void *buf, size_t len)
{
	int what = NOTHING;
	ssize_t ret;

	if (syscall(SYS_gettid) != getpid())
		what = __atomic_exchange_n(&in_read, NOTHING, __ATOMIC_SEQ_CST);
	if (what == FAILS) {
		errno = EBADF;
		return -1;
	}
	if (what == STOPS_BEFORE)
		stop();
	ret = syscall(SYS_read, fd, buf, len);
	if (what == STOPS_AFTER)
		stop();
	return ret;
}

/* It goes on when the first thread has told it to end. */
ssize_t write(int fd, const void *buf, size_t len)
{
	ssize_t ret = syscall(SYS_write, fd, buf, len);

	if (stops && len == sizeof(__u64) && syscall(SYS_gettid) == getpid()) {
		stops = false;
		sem_post(&resumed);
	}
	return ret;
}

/* Register. A message comes, of which the thread does not know when this returns 0. */
static int miss_a_message(struct mbox *mb, const struct sigevent *sev, int where)
{
	sem_init(&stopped, 0, 0);
	sem_init(&resumed, 0, 0);
	stops = true;
	in_read = where;
	if (mbox_notify(mb, sev))
		return -1;
	if (where == STOPS_BEFORE)
		sem_wait(&stopped);
	if (put(mbox_fd(mb), 1))
		return -2;
	if (where == STOPS_AFTER)
		sem_wait(&stopped);
	return take(mbox_fd(mb)) == 1 ? 0 : -3;
}

TEST_F(mbox_notify, message_just_before_another_registration_notifies)
{
	struct sigevent sev = by_thread(tell);
	int where;

	for (where = STOPS_BEFORE; where <= STOPS_AFTER; where++) {
		ASSERT_EQ(0, miss_a_message(self->mb, &sev, where));
		ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
		EXPECT_TRUE(is_told());
		ASSERT_EQ(0, put(self->fd, 2));
		EXPECT_TRUE(is_told());
		ASSERT_EQ(2, take(self->fd));
	}
}

TEST_F(mbox_notify, message_just_before_it_is_cancelled_does_not_notify)
{
	struct sigevent sev = by_thread(tell);
	int where;

	for (where = STOPS_BEFORE; where <= STOPS_AFTER; where++) {
		ASSERT_EQ(0, miss_a_message(self->mb, &sev, where));
		ASSERT_EQ(0, neg(mbox_notify(self->mb, NULL)));
		EXPECT_TRUE(threads_become(self->threads));
		EXPECT_EQ(-1, sem_trywait(&told));
	}
}

TEST_F(mbox_notify, thread_that_cannot_wait_does_not_notify)
{
	struct sigevent sev = by_thread(tell);
	int ret;

	in_read = FAILS;
	ret = neg(mbox_notify(self->mb, &sev));
	/* The thread may have closed its eventfd already. */
	ASSERT_TRUE(!ret || ret == -EBADF);
	EXPECT_TRUE(threads_become(self->threads));
	EXPECT_EQ(-1, sem_trywait(&told));
}

/* What a thread other than the first one does after it has closed a descriptor. */
static void (*after_close)(int fd);

int close(int fd)
{
	int ret = neg(syscall(SYS_close, fd));
	void (*then)(int fd);

	if (ret) {
		errno = -ret;
		return -1;
	}
	then = __atomic_load_n(&after_close, __ATOMIC_ACQUIRE);
	if (then && syscall(SYS_gettid) != getpid())
		then(fd);
	return 0;
}

static int closing_status;

/* The number is free, and nothing else has been done. */
static void fork_when_closed(int fd)
{
	pid_t child;
	int status;

	__atomic_store_n(&after_close, NULL, __ATOMIC_RELEASE);
	child = fork();
	if (!child) {
		int other = open("/dev/null", O_RDONLY);

		if (other != fd)
			_exit(2);
		if (mbox_close(told_mb))
			_exit(3);
		_exit(fcntl(other, F_GETFD) < 0 ? 4 : 0);
	}
	waitpid(child, &status, 0);
	/* Read afterwards, by the thread that is notified. */
	closing_status = status;
}

TEST_F(mbox_notify, child_forked_during_the_registration_closes_nothing_else)
{
	struct sigevent sev = by_thread(tell);

	told_mb = self->mb;
	closing_status = -1;
	ASSERT_EQ(0, neg(mbox_notify(self->mb, &sev)));
	__atomic_store_n(&after_close, fork_when_closed, __ATOMIC_RELEASE);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(is_told());
	EXPECT_EQ(0, closing_status);
}

TEST_HARNESS_MAIN
