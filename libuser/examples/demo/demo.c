// SPDX-License-Identifier: GPL-2.0-only
/*
 * A demonstration: each step says what it is about to show, does it, checks
 * that it came out so, and prints what it saw. Exits 1 at the first step that
 * did not.
 */
#include <errno.h>
#include <mbox.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

/* How long the other side lets a blocked call wait. */
#define PAUSE_MS 200

#define WORKERS 3

#define GREETING "hello, program"

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void check(bool good, const char *file, int line, const char *condition)
{
	if (good)
		return;
	printf("FAILED at %s:%d: %s (errno: %s)\n", file, line, condition, strerror(errno));
	fflush(stdout);
	_exit(1);
}

void pause_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static struct timespec deadline_in(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000L;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}

	return ts;
}

void step(const char *title, const char *why)
{
	const bool colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	static int number;

	printf("\n%s%2d. %s%s\n", colours ? "\033[1;36m" : "", ++number, title,
	       colours ? "\033[0m" : "");
	printf("    %s%s%s\n", colours ? "\033[2m" : "", why, colours ? "\033[0m" : "");
	fflush(stdout);
}

pid_t begin_child(void)
{
	pid_t pid;

	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);

	return pid;
}

void end_child(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void end_killed(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

struct mbox *create(const char *name, uint32_t capacity)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;

	attr.capacity = capacity;
	mb = mbox_create(name, O_RDWR | O_EXCL, &attr);
	CHECK(mb);

	return mb;
}

void send_text(struct mbox *mb, const char *text)
{
	CHECK(mbox_send(mb, text, strlen(text), 0) == 0);
}

static void send_prio(struct mbox *mb, const char *text, uint32_t prio)
{
	struct mbox_msg msg = { .buf = (uintptr_t)text, .len = strlen(text), .prio = prio };

	CHECK(mbox_sendmsg(mb, &msg) == 0);
}

void recv_text(struct mbox *mb, const char *expected)
{
	char text[100] = "";

	CHECK(mbox_recv(mb, text, sizeof(text) - 1, 0) >= 0);
	CHECK(!strcmp(text, expected));
}

/* Until that many calls wait on the mailbox. */
static void await_waiting(struct mbox *mb, unsigned int senders, unsigned int receivers)
{
	int64_t end = now_ms() + PATIENCE_MS;
	struct mbox_stat st;

	do {
		CHECK(now_ms() < end);
		pause_ms(2);
		CHECK(mbox_stat(mb, &st) == 0);
	} while (st.waiting_senders != senders || st.waiting_receivers != receivers);
}

static void show_fork(void)
{
	struct mbox *mb;
	pid_t pid;

	step("An anonymous mailbox: parent and child share it across fork().",
	     "Related processes need no name, and nothing is left behind.");

	mb = create(NULL, 4);
	pid = begin_child();
	if (pid == 0) {
		recv_text(mb, "hello, child");
		send_text(mb, "hello, parent");
		_exit(0);
	}
	send_text(mb, "hello, child");
	end_child(pid);
	recv_text(mb, "hello, parent");
	saw("process %d sent 'hello, child', process %d received it and answered", getpid(), pid);
	mbox_close(mb);
}

/* The other program of show_name(): knows nothing but a name. */
static int run_peer(const char *name)
{
	char text[100] = "";
	struct mbox_msg msg = { .buf = (uintptr_t)text, .len = sizeof(text) - 1 };
	struct mbox *mb;

	mb = mbox_open(name, O_RDONLY);
	CHECK(mb);
	CHECK(mbox_recvmsg(mb, &msg) >= 0);
	CHECK(!strcmp(text, GREETING) && (pid_t)msg.pid == getppid());
	saw("program %d received '%s' from process %u of user %u", getpid(), text, msg.pid,
	    msg.uid);

	return mbox_close(mb) < 0;
}

static void show_name(void)
{
	char name[32];
	struct mbox *mb;
	pid_t pid;

	step("A named mailbox: another program finds it by its name alone.",
	     "Programs that know nothing of each other agree on a name; the kernel says who sent.");

	snprintf(name, sizeof(name), "demo-%d", getpid());
	mb = create(name, 4);
	pid = begin_child();
	if (pid == 0) {
		/* A new program: no memory and no descriptor of this one. */
		mbox_close(mb);
		execl("/proc/self/exe", "demo", "--peer", name, (char *)NULL);
		CHECK(false);
	}
	send_text(mb, GREETING);
	end_child(pid);
	CHECK(mbox_unlink(name) == 0);
	mbox_close(mb);
	CHECK(!mbox_open(name, O_RDONLY) && errno == ENOENT);
	saw("unlinked: '%s' cannot be opened any more", name);
}

static void show_full(void)
{
	int64_t start, waited;
	struct mbox *mb;
	pid_t pid;

	step("Full: a send waits until somebody receives.",
	     "A bounded queue keeps a fast sender from filling the memory.");

	mb = create(NULL, 1);
	send_text(mb, "first");
	CHECK(mbox_send(mb, "second", 6, MBOX_DONTWAIT) < 0 && errno == EAGAIN);
	saw("capacity 1, one message queued: a send with MBOX_DONTWAIT fails with EAGAIN");
	pid = begin_child();
	if (pid == 0) {
		await_waiting(mb, 1, 0);
		pause_ms(PAUSE_MS);
		recv_text(mb, "first");
		_exit(0);
	}
	start = now_ms();
	send_text(mb, "second");
	waited = now_ms() - start;
	CHECK(waited >= PAUSE_MS && waited < PATIENCE_MS);
	saw("a blocking send waited %lld ms, until process %d received", (long long)waited, pid);
	end_child(pid);
	recv_text(mb, "second");
	mbox_close(mb);
}

static void show_empty(void)
{
	int64_t start, waited;
	struct mbox *mb;
	pid_t pid;

	step("Empty: a receive waits until somebody sends.",
	     "A receiver needs no loop that asks again and again.");

	mb = create(NULL, 1);
	CHECK(mbox_recv(mb, NULL, 0, MBOX_DONTWAIT) < 0 && errno == EAGAIN);
	saw("nothing queued: a receive with MBOX_DONTWAIT fails with EAGAIN");
	pid = begin_child();
	if (pid == 0) {
		await_waiting(mb, 0, 1);
		pause_ms(PAUSE_MS);
		send_text(mb, "at last");
		_exit(0);
	}
	start = now_ms();
	recv_text(mb, "at last");
	waited = now_ms() - start;
	CHECK(waited >= PAUSE_MS && waited < PATIENCE_MS);
	saw("a blocking receive waited %lld ms, until process %d sent", (long long)waited, pid);
	end_child(pid);
	mbox_close(mb);
}

static void show_rendezvous(void)
{
	int64_t start, waited;
	struct mbox_stat st;
	struct mbox *mb;
	pid_t pid;

	step("Rendezvous: with capacity 0 sender and receiver meet, nothing is queued.",
	     "When the send returns, the sender knows that the message was taken.");

	mb = create(NULL, 0);
	CHECK(mbox_send(mb, "early", 5, MBOX_DONTWAIT) < 0 && errno == EAGAIN);
	saw("no receiver waits: a send with MBOX_DONTWAIT fails with EAGAIN");
	pid = begin_child();
	if (pid == 0) {
		await_waiting(mb, 1, 0);
		CHECK(mbox_stat(mb, &st) == 0 && st.queued == 0);
		pause_ms(PAUSE_MS);
		recv_text(mb, "hand to hand");
		_exit(0);
	}
	start = now_ms();
	send_text(mb, "hand to hand");
	waited = now_ms() - start;
	CHECK(waited >= PAUSE_MS && waited < PATIENCE_MS);
	saw("a blocking send waited %lld ms, until process %d took the message", (long long)waited,
	    pid);
	end_child(pid);
	mbox_close(mb);
}

static void show_timeout(void)
{
	struct timespec deadline;
	int64_t start, waited;
	struct mbox *mb;
	char text[8];

	step("Timeout: a call gives up at its deadline.",
	     "A deadline is a point in time: calls that follow each other can share one.");

	mb = create(NULL, 1);
	start = now_ms();
	deadline = deadline_in(PAUSE_MS);
	CHECK(mbox_timedrecv(mb, text, sizeof(text), 0, &deadline) < 0 && errno == ETIMEDOUT);
	waited = now_ms() - start;
	CHECK(waited >= PAUSE_MS && waited < PATIENCE_MS);
	saw("a receive with a deadline in %d ms failed with ETIMEDOUT after %lld ms", PAUSE_MS,
	    (long long)waited);

	send_text(mb, "ready");
	CHECK(mbox_timedrecv(mb, text, sizeof(text), 0, &deadline) == 5);
	saw("with the same deadline, now past, it took a message that was there");
	mbox_close(mb);
}

static void show_priorities(void)
{
	static const struct {
		const char *text;
		uint32_t prio;
	} sent[] = {
		{ "routine", 0 },
		{ "notice", 5 },
		{ "alarm", 9 },
		{ "second notice", 5 },
	};
	static const char *const expected[] = { "alarm", "notice", "second notice", "routine" };
	struct mbox *mb;
	size_t i;

	step("Priorities: the higher overtakes, equals stay in order.",
	     "What is urgent does not wait behind what is not.");

	mb = create(NULL, 8);
	printf("    sent:    ");
	for (i = 0; i < 4; i++) {
		send_prio(mb, sent[i].text, sent[i].prio);
		printf(" '%s' (%u)", sent[i].text, sent[i].prio);
	}
	printf("\n    received:");
	for (i = 0; i < 4; i++) {
		recv_text(mb, expected[i]);
		printf(" '%s'", expected[i]);
	}
	printf("\n");
	mbox_close(mb);
}

static void show_capacity(void)
{
	pid_t pids[WORKERS];
	struct mbox_stat st;
	struct mbox *mb;
	int i;

	step("Capacity changed in use: growing lets waiting senders go on.",
	     "An administrator can mend a queue that is too small, and nobody restarts.");

	mb = create(NULL, 1);
	send_text(mb, "x");
	for (i = 0; i < WORKERS; i++) {
		pids[i] = begin_child();
		if (pids[i] == 0) {
			send_text(mb, "x");
			_exit(0);
		}
	}
	await_waiting(mb, WORKERS, 0);
	CHECK(mbox_stat(mb, &st) == 0 && st.queued == 1);
	saw("capacity 1: %u queued, %u senders wait", st.queued, st.waiting_senders);

	CHECK(mbox_set_capacity(mb, 1 + WORKERS) == 0);
	for (i = 0; i < WORKERS; i++)
		end_child(pids[i]);
	CHECK(mbox_stat(mb, &st) == 0 && st.queued == 1 + WORKERS && !st.waiting_senders);
	saw("capacity %u: %u queued, %u senders wait", st.attr.capacity, st.queued,
	    st.waiting_senders);

	CHECK(mbox_set_capacity(mb, 2) == 0);
	CHECK(mbox_stat(mb, &st) == 0 && st.queued == 1 + WORKERS);
	CHECK(mbox_send(mb, "y", 1, MBOX_DONTWAIT) < 0 && errno == EAGAIN);
	saw("capacity %u: still %u queued, none is lost, but no room for another",
	    st.attr.capacity, st.queued);
	mbox_close(mb);
}

static void show_poll(void)
{
	struct pollfd fds[2] = { 0 };
	struct mbox *a, *b;
	int64_t start;
	pid_t pid;

	step("poll(): one call watches several mailboxes.",
	     "A mailbox is a descriptor: select, epoll, io_uring and event loops take it.");

	a = create(NULL, 1);
	b = create(NULL, 1);
	fds[0].fd = mbox_fd(a);
	fds[1].fd = mbox_fd(b);
	fds[0].events = POLLIN;
	fds[1].events = POLLIN;
	CHECK(poll(fds, 2, 0) == 0);
	pid = begin_child();
	if (pid == 0) {
		pause_ms(PAUSE_MS);
		send_text(b, "second one");
		_exit(0);
	}
	start = now_ms();
	CHECK(poll(fds, 2, PATIENCE_MS) == 1);
	CHECK(!fds[0].revents && fds[1].revents == POLLIN);
	saw("two empty mailboxes: after %lld ms poll() reported POLLIN for the second alone",
	    (long long)(now_ms() - start));
	end_child(pid);

	fds[0].events = POLLOUT;
	fds[1].events = POLLOUT;
	CHECK(poll(fds, 2, 0) == 1 && fds[0].revents == POLLOUT && !fds[1].revents);
	saw("and POLLOUT for the first alone: the second is full");
	mbox_close(a);
	mbox_close(b);
}

static void show_destroy(void)
{
	struct mbox_msg msg = { .flags = MBOX_MATCH, .type = 1 };
	pid_t senders[WORKERS], receivers[WORKERS];
	struct pollfd pfd = { 0 };
	struct mbox *mb;
	int i;

	step("Destroy: everybody who waits is told.",
	     "Nobody sleeps for ever on a mailbox that is no more.");

	/* Senders and receivers wait at once where no type is wanted. */
	mb = create(NULL, 0);
	for (i = 0; i < WORKERS; i++) {
		senders[i] = begin_child();
		if (senders[i] == 0) {
			CHECK(mbox_send(mb, NULL, 0, 0) < 0 && errno == EIDRM);
			_exit(0);
		}
		receivers[i] = begin_child();
		if (receivers[i] == 0) {
			CHECK(mbox_recvmsg(mb, &msg) < 0 && errno == EIDRM);
			_exit(0);
		}
	}
	await_waiting(mb, WORKERS, WORKERS);
	CHECK(mbox_destroy(mb) == 0);
	for (i = 0; i < WORKERS; i++) {
		end_child(senders[i]);
		end_child(receivers[i]);
	}
	saw("%d senders and %d receivers waited; all of them got EIDRM", WORKERS, WORKERS);

	pfd.fd = mbox_fd(mb);
	CHECK(poll(&pfd, 1, 0) == 1 && pfd.revents == (POLLERR | POLLHUP));
	CHECK(mbox_send(mb, NULL, 0, 0) < 0 && errno == EIDRM);
	saw("later calls get it too, and poll() reports POLLERR and POLLHUP");
	mbox_close(mb);
}

static struct mbox *create_ring(uint32_t capacity)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox *mb;

	attr.mode = MBOX_RING;
	attr.capacity = capacity;
	mb = mbox_create(NULL, O_RDWR | O_EXCL, &attr);
	CHECK(mb);

	return mb;
}

static void show_ring(void)
{
	const uint32_t *numbers;
	uint32_t *slot, i;
	struct mbox *mb;
	uint64_t sum;
	size_t len;
	pid_t pid;

	step("A ring: messages in memory that two processes share.",
	     "Without a system call a message costs a fraction, and a crash loses none but its own.");

	mb = create_ring(4);
	pid = begin_child();
	if (pid == 0) {
		send_text(mb, "by the same calls");
		/* Written where the receiver will read it. */
		slot = mbox_reserve(mb, 1000 * sizeof(*slot), 0);
		CHECK(slot);
		for (i = 0; i < 1000; i++)
			slot[i] = i + 1;
		CHECK(mbox_commit(mb, slot, 1000 * sizeof(*slot)) == 0);
		/* What it does not commit before it dies, nobody sees. */
		slot = mbox_reserve(mb, 5, 0);
		CHECK(slot);
		memcpy(slot, "ghost", 5);
		send_text(mb, "behind it");
		kill(getpid(), SIGKILL);
		_exit(1);
	}
	recv_text(mb, "by the same calls");
	saw("process %d sent 'by the same calls'", pid);
	numbers = mbox_peek(mb, &len, 0);
	CHECK(numbers && len == 1000 * sizeof(*numbers));
	for (i = 0, sum = 0; i < 1000; i++)
		sum += numbers[i];
	CHECK(sum == 500500 && mbox_release(mb, numbers) == 0);
	saw("it wrote 1 to 1000 into the ring, in place, and here their sum is %llu",
	    (unsigned long long)sum);
	recv_text(mb, "behind it");
	end_killed(pid);
	CHECK(mbox_recv(mb, NULL, 0, MBOX_DONTWAIT) < 0 && errno == EAGAIN);
	saw("it was killed while it wrote a third: that one is gone, the one behind it came");
	mbox_close(mb);
}

int main(int argc, char **argv)
{
	struct mbox_info info;

	if (argc == 3 && !strcmp(argv[1], "--peer"))
		return run_peer(argv[2]);

	if (mbox_info(&info) < 0) {
		perror("demo: /dev/mbox");
		return 1;
	}
	printf("Mailboxes, version %u of the interface.\n", info.abi);

	show_fork();
	show_name();
	show_full();
	show_empty();
	show_rendezvous();
	show_timeout();
	show_priorities();
	show_capacity();
	show_poll();
	show_destroy();
	show_ring();
	show_files();
	show_lease();
	show_started_calls();
	show_rpc();
	show_drop_in();
	step("Speed: messages per second, against a POSIX message queue and a pipe.",
	     "The same payloads, in this machine, in this run.");
	show_rates();

	printf("\nAll steps came out as said.\n");

	return 0;
}
