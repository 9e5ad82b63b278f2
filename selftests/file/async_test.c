// SPDX-License-Identifier: GPL-2.0-only
/* O_ASYNC: signals for handles that can be read or written. */
#include <poll.h>
#include <sys/epoll.h>

#include "ring_memory.h"
#include "signals.h"

static int set_async(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return neg(fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC));
}

/* Signals for @fd go to @type and @pid. */
static int own(int fd, int type, pid_t pid)
{
	struct f_owner_ex owner = { .type = type, .pid = pid };

	return neg(fcntl(fd, F_SETOWN_EX, &owner)) ?: neg(fcntl(fd, F_SETSIG, QUEUED));
}

static int start_async(int fd)
{
	return own(fd, F_OWNER_PID, getpid()) ?: set_async(fd, true);
}

/* Handles with one right each. */
FIXTURE(async)
{
	int fd;
	int reader;
	int writer;
};

FIXTURE_SETUP(async)
{
	self->fd = new_mailbox(0, 2);
	ASSERT_LE(0, self->fd);
	self->reader = open_again(self->fd, O_RDONLY);
	self->writer = open_again(self->fd, O_WRONLY);
	ASSERT_LE(0, self->reader);
	ASSERT_LE(0, self->writer);
	ASSERT_EQ(0, block_signal(QUEUED));
}

FIXTURE_TEARDOWN(async)
{
	close(self->reader);
	close(self->writer);
	close(self->fd);
}

TEST_F(async, message_signals_the_reader)
{
	siginfo_t info;

	ASSERT_EQ(0, start_async(self->reader));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
	EXPECT_EQ(POLL_IN, info.si_code);
	EXPECT_EQ(POLLIN | POLLRDNORM, info.si_band);
	EXPECT_EQ(self->reader, info.si_fd);
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, room_signals_the_writer)
{
	siginfo_t info;

	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, start_async(self->writer));
	ASSERT_EQ(1, take(self->fd));
	ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
	EXPECT_EQ(POLL_OUT, info.si_code);
	EXPECT_EQ(POLLOUT | POLLWRNORM | POLLWRBAND, info.si_band);
	EXPECT_EQ(self->writer, info.si_fd);
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, no_signal_for_the_other_direction)
{
	ASSERT_EQ(0, start_async(self->writer));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(POLL_OUT, code_of_next(QUEUED));
	ASSERT_EQ(0, set_async(self->writer, false));
	ASSERT_EQ(0, start_async(self->reader));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, read_write_handle_is_signalled_for_both)
{
	ASSERT_EQ(0, start_async(self->fd));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(POLL_OUT, code_of_next(QUEUED));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, every_message_is_signalled)
{
	ASSERT_EQ(0, start_async(self->reader));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, message_for_a_waiting_receiver_is_not_signalled)
{
	struct call receiver = { 0 };

	ASSERT_EQ(0, start_async(self->reader));
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	ASSERT_EQ(0, await_waiting(self->fd, 0, 1));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, recv_join(&receiver));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, SIGIO_by_default)
{
	ASSERT_EQ(0, block_signal(SIGIO));
	ASSERT_EQ(0, neg(fcntl(self->reader, F_SETOWN, getpid())));
	ASSERT_EQ(0, set_async(self->reader, true));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(SI_KERNEL, code_of_next(SIGIO));
	EXPECT_TRUE(no_signal(SIGIO));
}

TEST_F(async, signal_runs_the_handler)
{
	ASSERT_EQ(0, catch_signal(SIGIO, SA_RESTART));
	ASSERT_EQ(0, neg(fcntl(self->reader, F_SETOWN, getpid())));
	ASSERT_EQ(0, set_async(self->reader, true));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, signals_seen);
}

TEST_F(async, no_signal_without_an_owner)
{
	ASSERT_EQ(0, neg(fcntl(self->reader, F_SETSIG, QUEUED)));
	ASSERT_EQ(0, set_async(self->reader, true));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, owner_without_the_flag_gets_no_signal)
{
	ASSERT_EQ(0, own(self->reader, F_OWNER_PID, getpid()));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, no_signal_after_the_flag_is_cleared)
{
	ASSERT_EQ(0, start_async(self->fd));
	EXPECT_EQ(O_ASYNC, fcntl(self->fd, F_GETFL) & O_ASYNC);
	ASSERT_EQ(0, set_async(self->fd, false));
	EXPECT_EQ(0, fcntl(self->fd, F_GETFL) & O_ASYNC);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(0, set_async(self->fd, true));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
}

TEST_F(async, no_signal_after_close)
{
	ASSERT_EQ(0, start_async(self->reader));
	ASSERT_EQ(0, start_async(self->writer));
	close(self->reader);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_EQ(POLL_OUT, code_of_next(QUEUED));
	close(self->writer);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(1, take(self->fd));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, stays_until_the_open_file_is_closed)
{
	siginfo_t info;
	int fd;

	ASSERT_EQ(0, start_async(self->reader));
	fd = dup(self->reader);
	close(self->reader);
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
	/* The number by which it was asked for, as for all files. */
	EXPECT_EQ(self->reader, info.si_fd);
	close(fd);
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, each_handle_has_its_own_owner_and_flag)
{
	int other = open_again(self->fd, O_RDONLY);
	siginfo_t info;
	int seen = 0;
	int i;

	ASSERT_EQ(0, start_async(self->reader));
	ASSERT_EQ(0, start_async(other));
	ASSERT_EQ(0, put(self->fd, 1));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
		seen += info.si_fd;
	}
	EXPECT_EQ(self->reader + other, seen);
	ASSERT_EQ(0, set_async(other, false));
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
	EXPECT_EQ(self->reader, info.si_fd);
	EXPECT_TRUE(no_signal(QUEUED));
	close(other);
}

/* A thread that takes one signal. */
struct taker {
	pthread_t thread;
	pid_t tid;
	int code;
};

static void *taker_run(void *arg)
{
	struct taker *t = arg;

	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	t->code = code_of_next(QUEUED);
	return NULL;
}

TEST_F(async, owner_can_be_a_thread)
{
	struct taker t = { 0 };

	ASSERT_EQ(0, thread_start(&t.thread, taker_run, &t));
	ASSERT_EQ(0, await_asleep(&t.tid));
	ASSERT_EQ(0, own(self->reader, F_OWNER_TID, t.tid));
	ASSERT_EQ(0, set_async(self->reader, true));
	ASSERT_EQ(0, put(self->fd, 1));
	pthread_join(t.thread, NULL);
	EXPECT_EQ(POLL_IN, t.code);
	/* It has ended: there is no owner then. */
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_TRUE(no_signal(QUEUED));
}

/* Says that it is there, and returns what it gets. */
static int child_takes(void *arg)
{
	int *pipe = arg;

	CHECK(write(pipe[1], "", 1) == 1);
	CHECK_EQ(POLL_IN, code_of_next(QUEUED));
	return 0;
}

static int child_takes_in_a_group(void *arg)
{
	CHECK_EQ(0, neg(setpgid(0, 0)));
	return child_takes(arg);
}

TEST_F(async, owner_can_be_another_process)
{
	int ready[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(ready));
	child = spawn(child_takes, ready);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, own(self->reader, F_OWNER_PID, child));
	ASSERT_EQ(0, set_async(self->reader, true));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, reap(child));
	ASSERT_EQ(0, put(self->fd, 2));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, owner_can_be_a_process_group)
{
	int ready[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(ready));
	child = spawn(child_takes_in_a_group, ready);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, own(self->reader, F_OWNER_PGRP, child));
	ASSERT_EQ(0, set_async(self->reader, true));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, reap(child));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async, rendezvous_signals_both_sides)
{
	struct call receiver = { 0 }, sender = { 0 };

	ASSERT_EQ(0, raw_set_capacity(self->fd, 0));
	ASSERT_EQ(0, start_async(self->writer));
	ASSERT_EQ(0, start_async(self->reader));
	ASSERT_EQ(0, recv_start(&receiver, self->fd));
	EXPECT_EQ(POLL_OUT, code_of_next(QUEUED));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, recv_join(&receiver));
	EXPECT_TRUE(no_signal(QUEUED));
	ASSERT_EQ(0, send_start(&sender, self->fd, 2));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
	EXPECT_EQ(2, take(self->fd));
	EXPECT_EQ(0, call_join(&sender));
}

TEST_F(async, growing_signals_writers)
{
	ASSERT_EQ(0, put(self->fd, 1));
	ASSERT_EQ(0, put(self->fd, 2));
	ASSERT_EQ(0, start_async(self->writer));
	ASSERT_EQ(0, raw_set_capacity(self->fd, 3));
	EXPECT_EQ(POLL_OUT, code_of_next(QUEUED));
}

TEST_F(async, destroy_signals_hangup)
{
	siginfo_t info;
	int i;

	ASSERT_EQ(0, start_async(self->reader));
	ASSERT_EQ(0, start_async(self->writer));
	ASSERT_EQ(0, raw_destroy(self->fd));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
		EXPECT_EQ(POLL_HUP, info.si_code);
		EXPECT_EQ(POLLHUP | POLLERR, info.si_band);
	}
	EXPECT_TRUE(no_signal(QUEUED));
	EXPECT_EQ(0, set_async(self->reader, false));
	EXPECT_EQ(0, set_async(self->fd, true));
}

TEST_F(async, closing_the_other_side_signals_hangup)
{
	int fd = new_mailbox(MBOX_HANGUP, 2);
	int reader = open_again(fd, O_RDONLY), writer = open_again(fd, O_WRONLY);

	close(fd);
	ASSERT_EQ(0, start_async(reader));
	ASSERT_EQ(0, put(writer, 1));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
	close(writer);
	EXPECT_EQ(POLL_HUP, code_of_next(QUEUED));
	writer = open_again(reader, O_WRONLY);
	ASSERT_EQ(0, start_async(writer));
	close(reader);
	EXPECT_EQ(POLL_HUP, code_of_next(QUEUED));
	EXPECT_TRUE(no_signal(QUEUED));
	close(writer);
}

TEST_F(async, poll_works_beside_O_ASYNC)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	ASSERT_EQ(0, neg(epoll_ctl(ep, EPOLL_CTL_ADD, self->reader, &event)));
	ASSERT_EQ(0, start_async(self->reader));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
	EXPECT_EQ(POLL_IN, code_of_next(QUEUED));
	ASSERT_EQ(0, set_async(self->reader, false));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
	EXPECT_TRUE(no_signal(QUEUED));
	close(ep);
}

/* Turns it on and off while others send. */
static void *turn(void *arg)
{
	int fd = *(int *)arg;
	int i;

	for (i = 0; i < 500; i++) {
		set_async(fd, i % 2 == 0);
		take(fd);
	}
	set_async(fd, false);
	return NULL;
}

TEST_F(async, owner_and_flag_change_while_messages_pass)
{
	pthread_t threads[2];
	int fds[2] = { self->fd, open_again(self->fd, O_RDONLY) };
	int i;

	ASSERT_EQ(0, catch_signal(SIGIO, SA_RESTART));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, neg(fcntl(fds[i], F_SETOWN, getpid())));
		ASSERT_EQ(0, thread_start(&threads[i], turn, &fds[i]));
	}
	for (i = 0; i < 1000; i++)
		put(self->writer, i);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	while (take(self->fd) >= 0)
		;
	/* All of it is gone, and none is missing when it is turned on again. */
	signals_seen = 0;
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(0, signals_seen);
	ASSERT_EQ(0, set_async(fds[1], true));
	ASSERT_EQ(0, put(self->fd, 1));
	EXPECT_EQ(1, signals_seen);
	close(fds[1]);
}

/* ---- rings --------------------------------------------------------------- */

FIXTURE(async_ring)
{
	struct mbox *mb;
	struct mbox *reader;
	struct mbox *writer;
};

FIXTURE_VARIANT(async_ring)
{
	__u32 flags;
	bool asym_fences;
};

FIXTURE_VARIANT_ADD(async_ring, shared)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(async_ring, one_to_one)
{
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.asym_fences = false,
};

FIXTURE_VARIANT_ADD(async_ring, one_to_one_asymmetric)
{
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.asym_fences = true,
};

FIXTURE_SETUP(async_ring)
{
	self->mb = new_ring_with(variant->asym_fences, variant->flags, 2, 64);
	ASSERT_TRUE(!!self->mb);
	self->reader = open_ring(self->mb, O_RDONLY);
	self->writer = open_ring(self->mb, O_WRONLY);
	ASSERT_TRUE(self->reader && self->writer);
	ASSERT_EQ(0, block_signal(QUEUED));
}

FIXTURE_TEARDOWN(async_ring)
{
	mbox_close(self->reader);
	mbox_close(self->writer);
	mbox_close(self->mb);
}

TEST_F(async_ring, message_signals_the_reader)
{
	int fd = mbox_fd(self->reader);
	siginfo_t info;
	int i;

	ASSERT_EQ(0, ring_put(self->writer, 1));
	ASSERT_EQ(1, ring_take(self->reader));
	ASSERT_EQ(0, start_async(fd));
	/* Again and again: it is not polled in between. */
	for (i = 0; i < 5; i++) {
		EXPECT_TRUE(no_signal(QUEUED));
		ASSERT_EQ(0, ring_put(self->writer, i));
		ASSERT_EQ(QUEUED, take_signal(QUEUED, &info, 0));
		EXPECT_EQ(POLL_IN, info.si_code);
		EXPECT_EQ(fd, info.si_fd);
		ASSERT_EQ(i, ring_take(self->reader));
	}
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async_ring, room_signals_the_writer)
{
	int i;

	ASSERT_EQ(0, ring_put(self->writer, 1));
	ASSERT_EQ(0, ring_put(self->writer, 2));
	ASSERT_EQ(0, start_async(mbox_fd(self->writer)));
	for (i = 1; i < 6; i++) {
		EXPECT_TRUE(no_signal(QUEUED));
		ASSERT_EQ(i, ring_take(self->reader));
		EXPECT_EQ(POLL_OUT, code_of_next(QUEUED));
		ASSERT_EQ(0, ring_put(self->writer, i + 2));
	}
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async_ring, sends_and_receives_make_the_call_that_signals)
{
	struct ring_memory m;
	struct pollfd p = { .fd = mbox_fd(self->mb), .events = POLLIN };

	ASSERT_EQ(0, map_ring(&m, mbox_fd(self->mb), 0));
	EXPECT_EQ(0, await_words(&m, 0, 0));
	ASSERT_EQ(0, start_async(mbox_fd(self->reader)));
	EXPECT_EQ(0U, m.kernel->senders);
	EXPECT_NE(0U, m.kernel->receivers);
	ASSERT_EQ(0, start_async(mbox_fd(self->writer)));
	EXPECT_NE(0U, m.kernel->senders);
	ASSERT_EQ(0, set_async(mbox_fd(self->reader), false));
	ASSERT_EQ(0, set_async(mbox_fd(self->writer), false));
	EXPECT_EQ(0U, m.kernel->senders);
	EXPECT_EQ(0U, m.kernel->receivers);
	/* Nor does it take away what a poll has asked for. */
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(0, set_async(mbox_fd(self->reader), true));
	ASSERT_EQ(0, set_async(mbox_fd(self->reader), false));
	EXPECT_NE(0U, m.kernel->receivers);
	unmap_ring(&m);
}

TEST_F(async_ring, no_signal_after_close)
{
	struct mbox *reader = open_ring(self->mb, O_RDONLY);

	ASSERT_EQ(0, start_async(mbox_fd(reader)));
	ASSERT_EQ(0, mbox_close(reader));
	ASSERT_EQ(0, ring_put(self->writer, 1));
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_F(async_ring, destroy_signals_hangup)
{
	int last = 0, code;

	ASSERT_EQ(0, start_async(mbox_fd(self->reader)));
	ASSERT_EQ(0, mbox_destroy(self->mb));
	while ((code = code_of_next(QUEUED)) != POLL_HUP && code > 0)
		last = code;
	EXPECT_EQ(POLL_HUP, code);
	EXPECT_EQ(0, last);
	EXPECT_TRUE(no_signal(QUEUED));
}

TEST_HARNESS_MAIN
