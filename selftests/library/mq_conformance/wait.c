// SPDX-License-Identifier: GPL-2.0-only
/* Rows about waiting: deadlines, signals, cancellation, and which thread comes first. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static mqd_t queue;

/* ---- another thread or process that waits ----------------------------------- */

/**
 * struct waiter - a thread that makes one call
 * @thread: the thread
 * @tid: its number, from just before the call
 * @send: it sends, otherwise it receives
 * @timed: the call has a deadline
 * @until: the deadline
 * @text: what it sends or has received
 * @result: of the call
 * @error: errno
 */
struct waiter {
	pthread_t thread;
	atomic_int tid;
	bool send;
	bool timed;
	struct timespec until;
	char text[64];
	int result;
	int error;
};

static void *run(void *arg)
{
	struct waiter *w = arg;

	w->tid = gettid();
	if (w->send && w->timed)
		w->result = mq_timedsend(queue, w->text, 1, 0, &w->until);
	else if (w->send)
		w->result = mq_send(queue, w->text, 1, 0);
	else if (w->timed)
		w->result = mq_timedreceive(queue, w->text, sizeof(w->text), NULL, &w->until);
	else
		w->result = mq_receive(queue, w->text, sizeof(w->text), NULL);
	w->error = errno;

	return NULL;
}

static void start(struct waiter *w, bool send, long timed_ms, char letter)
{
	memset(w, 0, sizeof(*w));
	w->send = send;
	w->timed = timed_ms;
	if (timed_ms)
		w->until = after_ms(timed_ms);
	w->text[0] = letter;
	if (pthread_create(&w->thread, NULL, run, w))
		add("pthread_create; ");
	await_asleep(&w->tid);
}

static void end(struct waiter *w)
{
	void *ret;

	pthread_join(w->thread, &ret);
	if (ret == PTHREAD_CANCELED) {
		add("cancelled; ");
		return;
	}
	errno = w->error;
	add_result(w->send ? "sent" : "received", w->result);
	if (!w->send && w->result >= 0)
		add("'%.1s'; ", w->text);
}

static void take(void)
{
	struct timespec past = { 1, 0 };
	char text[64];
	int n = mq_timedreceive(queue, text, sizeof(text), NULL, &past);

	if (n < 0)
		add("%s; ", strerrorname_np(errno));
	else
		add("'%.*s'; ", n, text);
}

static void receive_waits(void)
{
	struct waiter w;

	queue = make(2, 64, O_RDWR);
	start(&w, false, 0, 0);
	CALL(mq_send(queue, "a", 1, 0));
	end(&w);
	take();
}

static void send_waits(void)
{
	struct waiter w;

	queue = make(1, 64, O_RDWR);
	CALL(mq_send(queue, "a", 1, 0));
	start(&w, true, 0, 'b');
	take();
	end(&w);
	take();
}

static void timed_calls_wait(void)
{
	struct waiter w;

	queue = make(1, 64, O_RDWR);
	start(&w, false, 1000000, 0);
	CALL(mq_send(queue, "a", 1, 0));
	end(&w);
	CALL(mq_send(queue, "b", 1, 0));
	start(&w, true, 1000000, 'c');
	take();
	end(&w);
	take();
}

static void another_process_waits(void)
{
	int status;
	pid_t pid;

	queue = make(1, 64, O_RDWR);
	pid = fork();
	if (!pid) {
		char text[64];

		shared->tid = gettid();
		_exit(mq_receive(queue, text, sizeof(text), NULL) == 3 ? text[0] : 1);
	}
	await_asleep(&shared->tid);
	CALL(mq_send(queue, "xyz", 3, 0));
	waitpid(pid, &status, 0);
	SHOW(WEXITSTATUS(status));
}

static void longest_waiting_receiver(void)
{
	struct waiter a, b, c;

	queue = make(2, 64, O_RDWR);
	start(&a, false, 0, 0);
	start(&b, false, 0, 0);
	start(&c, false, 0, 0);
	CALL(mq_send(queue, "1", 1, 0));
	CALL(mq_send(queue, "2", 1, 0));
	CALL(mq_send(queue, "3", 1, 0));
	end(&a);
	end(&b);
	end(&c);
}

static void longest_waiting_sender(void)
{
	struct waiter a, b, c;

	queue = make(1, 64, O_RDWR);
	CALL(mq_send(queue, "0", 1, 0));
	start(&a, true, 0, '1');
	start(&b, true, 0, '2');
	start(&c, true, 0, '3');
	take();
	take();
	take();
	take();
	end(&a);
	end(&b);
	end(&c);
}

static void waiting_senders_do_not_count(void)
{
	struct mq_attr attr;
	struct waiter w;

	queue = make(1, 64, O_RDWR);
	CALL(mq_send(queue, "a", 1, 0));
	start(&w, true, 0, 'b');
	CALL(mq_getattr(queue, &attr));
	SHOW(attr.mq_curmsgs);
	take();
	end(&w);
	CALL(mq_getattr(queue, &attr));
	SHOW(attr.mq_curmsgs);
}

static void real_time_priority_first(void)
{
	struct sched_param high = { .sched_priority = 10 }, low = { .sched_priority = 5 };
	struct waiter a, b;

	queue = make(2, 64, O_RDWR);
	/* New threads inherit it. */
	if (sched_setscheduler(0, SCHED_FIFO, &low))
		add("sched_setscheduler %s; ", strerrorname_np(errno));
	start(&a, false, 0, 0);
	if (sched_setscheduler(0, SCHED_FIFO, &high))
		add("sched_setscheduler %s; ", strerrorname_np(errno));
	start(&b, false, 0, 0);
	CALL(mq_send(queue, "1", 1, 0));
	end(&b);
	CALL(mq_send(queue, "2", 1, 0));
	end(&a);
}

static void nonblocking_while_another_waits(void)
{
	struct mq_attr attr = { .mq_flags = O_NONBLOCK };
	struct waiter w;
	char text[64];
	mqd_t q;

	queue = make(1, 64, O_RDWR);
	q = mq_open(name, O_RDWR);
	start(&w, false, 0, 0);
	CALL(mq_setattr(q, &attr, NULL));
	CALL(mq_receive(q, text, sizeof(text), NULL));
	CALL(mq_send(q, "a", 1, 0));
	end(&w);
}

static void closed_while_another_waits(void)
{
	int status;
	pid_t pid;

	queue = make(1, 64, O_RDWR);
	pid = fork();
	if (!pid) {
		char text[64];

		shared->tid = gettid();
		_exit(mq_receive(queue, text, sizeof(text), NULL) == 1 ? text[0] : 1);
	}
	await_asleep(&shared->tid);
	CALL(mq_close(queue));
	CALL(mq_unlink(name));
	SHOW(state_of(shared->tid) == 'S');
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	SHOW(WTERMSIG(status) == SIGTERM);
}

static void killed_waiters(void)
{
	char text[64];
	pid_t pid;

	queue = make(1, 64, O_RDWR | O_NONBLOCK);
	pid = fork();
	if (!pid) {
		mqd_t q = mq_open(name, O_RDWR);

		shared->tid = gettid();
		_exit(mq_receive(q, text, sizeof(text), NULL));
	}
	await_asleep(&shared->tid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CALL(mq_send(queue, "a", 1, 0));
	CALL(mq_receive(queue, text, sizeof(text), NULL));
	CALL(mq_receive(queue, text, sizeof(text), NULL));
}

static void crowd_member(int i)
{
	char text[64];
	int n;

	for (n = 0; n < 40; n++) {
		if (i % 2 && mq_send(queue, "x", 1, n % 3))
			_exit(1);
		if (!(i % 2) && mq_receive(queue, text, sizeof(text), NULL) != 1)
			_exit(1);
	}
	_exit(0);
}

static void crowd(void)
{
	struct mq_attr attr;
	int i, status, failed = 0;

	queue = make(3, 64, O_RDWR);
	for (i = 0; i < 6; i++)
		if (!fork())
			crowd_member(i);
	for (i = 0; i < 6; i++) {
		wait(&status);
		failed += status != 0;
	}
	SHOW(failed);
	CALL(mq_getattr(queue, &attr));
	SHOW(attr.mq_curmsgs);
}

/* ---- deadlines ---------------------------------------------------------------- */

static void deadline_of_receive(void)
{
	struct timespec until = after_ms(30);
	char text[64];

	queue = make(1, 64, O_RDWR);
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &until));
	SHOW(is_past(&until));
}

static void deadline_of_send(void)
{
	struct timespec until;

	queue = make(1, 64, O_RDWR);
	CALL(mq_send(queue, "a", 1, 0));
	until = after_ms(30);
	CALL(mq_timedsend(queue, "b", 1, 0, &until));
	SHOW(is_past(&until));
	take();
	take();
}

static void past_deadline(void)
{
	struct timespec past = { 1, 999999999 }, zero = { 0, 0 };
	char text[64];

	queue = make(1, 64, O_RDWR);
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &past));
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &zero));
	CALL(mq_timedsend(queue, "a", 1, 0, &past));
	CALL(mq_timedsend(queue, "b", 1, 0, &past));
	CALL(mq_timedsend(queue, "b", 1, 0, &zero));
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &zero));
}

static void invalid_deadline(void)
{
	static const struct timespec each[] = {
		{ 1, -1 }, { 1, 1000000000 }, { 1, 2000000000 }, { -1, 0 }, { 1, INT32_MIN },
	};
	char text[64];
	unsigned int i;

	queue = make(1, 64, O_RDWR);
	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &each[i]));
	CALL(mq_send(queue, "a", 1, 0));
	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		CALL(mq_timedsend(queue, "b", 1, 0, &each[i]));
}

static void invalid_deadline_not_needed(void)
{
	struct timespec bad = { 1, 1000000000 };
	struct mq_attr attr;
	char text[64];

	queue = make(1, 64, O_RDWR);
	CALL(mq_timedsend(queue, "a", 1, 0, &bad));
	CALL(mq_send(queue, "a", 1, 0));
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &bad));
	CALL(mq_getattr(queue, &attr));
	SHOW(attr.mq_curmsgs);
}

static void order_of_errors(void)
{
	struct timespec bad = { 1, 1000000000 }, past = { 1, 0 };
	char text[65];

	queue = make(1, 64, O_RDWR | O_NONBLOCK);
	CALL(mq_timedreceive(-1, text, 64, NULL, &bad));
	CALL(mq_timedreceive(queue, text, 1, NULL, &bad));
	CALL(mq_timedreceive(queue, text, 1, NULL, &past));
	CALL(mq_timedreceive(queue, text, 64, NULL, &past));
	CALL(mq_timedsend(-1, text, 65, 0, &past));
	CALL(mq_timedsend(queue, text, 65, 32768, &past));
	CALL(mq_timedsend(queue, text, 65, 0, &past));
	CALL(mq_timedsend(queue, text, 64, 0, &past));
	CALL(mq_timedsend(queue, text, 64, 0, &past));
}

static void deadline_with_nonblock(void)
{
	struct timespec later = after_ms(1000000);
	char text[64];

	queue = make(1, 64, O_RDWR | O_NONBLOCK);
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &later));
	CALL(mq_timedsend(queue, "a", 1, 0, &later));
	CALL(mq_timedsend(queue, "a", 1, 0, &later));
}

static void far_deadline(void)
{
	struct waiter w;

	queue = make(1, 64, O_RDWR);
	memset(&w, 0, sizeof(w));
	w.timed = true;
	w.until.tv_sec = sizeof(time_t) == 8 ? (time_t)INT64_MAX : INT32_MAX;
	w.until.tv_nsec = 999999999;
	pthread_create(&w.thread, NULL, run, &w);
	await_asleep(&w.tid);
	CALL(mq_send(queue, "a", 1, 0));
	end(&w);
}

/* A time_t of 32 bits makes invalid times of these. */
static void deadlines_after_2038(void)
{
	const struct timespec past = { .tv_sec = (time_t)AFTER_2038 };
	const struct timespec later = { .tv_sec = (time_t)(AFTER_2038 + 1000) };
	int64_t start = clock_seconds();
	char text[64];

	queue = make(1, 64, O_RDWR);
	set_clock(AFTER_2038 + 10);
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &past));
	CALL(mq_timedsend(queue, "a", 1, 0, &later));
	CALL(mq_timedsend(queue, "b", 1, 0, &past));
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, &later));
	set_clock(start);
}

static void no_deadline(void)
{
	struct timespec *volatile none = NULL;
	char text[64];

	queue = make(1, 64, O_RDWR);
	CALL(mq_timedsend(queue, "a", 1, 3, none));
	CALL(mq_timedreceive(queue, text, sizeof(text), NULL, none));
}

static void deadline_and_priority(void)
{
	struct timespec later = after_ms(1000000);
	unsigned int prio = 0;
	char text[64];

	queue = make(2, 64, O_RDWR);
	CALL(mq_timedsend(queue, "a", 1, 3, &later));
	CALL(mq_timedsend(queue, "b", 1, 32767, &later));
	CALL(mq_timedreceive(queue, text, sizeof(text), &prio, &later));
	SHOW(prio);
	CALL(mq_timedreceive(queue, text, sizeof(text), &prio, &later));
	SHOW(prio);
}

/* ---- signals ------------------------------------------------------------------- */

static atomic_int handled;

static void handler(int signo)
{
	handled++;
}

static void catch(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
}

static void interrupt(struct waiter *w)
{
	int before = handled;

	pthread_kill(w->thread, SIGUSR1);
	while (handled == before)
		usleep(1000);
}

static void interrupted(bool send, long timed_ms)
{
	struct waiter w;

	catch(0);
	queue = make(1, 64, O_RDWR);
	if (send)
		CALL(mq_send(queue, "a", 1, 0));
	start(&w, send, timed_ms, 'b');
	interrupt(&w);
	end(&w);
	take();
	take();
}

static void receive_interrupted(void)
{
	interrupted(false, 0);
}

static void send_interrupted(void)
{
	interrupted(true, 0);
}

static void timed_receive_interrupted(void)
{
	interrupted(false, 1000000);
}

static void timed_send_interrupted(void)
{
	interrupted(true, 1000000);
}

static void restarted(bool send, long timed_ms)
{
	struct waiter w;

	catch(SA_RESTART);
	queue = make(1, 64, O_RDWR);
	if (send)
		CALL(mq_send(queue, "a", 1, 0));
	start(&w, send, timed_ms, 'b');
	interrupt(&w);
	interrupt(&w);
	if (send)
		take();
	else
		CALL(mq_send(queue, "c", 1, 0));
	end(&w);
	take();
}

static void receive_restarted(void)
{
	restarted(false, 0);
}

static void send_restarted(void)
{
	restarted(true, 0);
}

static void timed_receive_restarted(void)
{
	restarted(false, 1000000);
}

static void timed_send_restarted(void)
{
	restarted(true, 1000000);
}

static void restart_keeps_deadline(void)
{
	struct waiter w;

	catch(SA_RESTART);
	queue = make(1, 64, O_RDWR);
	start(&w, false, 300, 0);
	/* It may have ended already. */
	pthread_kill(w.thread, SIGUSR1);
	end(&w);
	SHOW(is_past(&w.until));
}

static void stopped_and_continued(void)
{
	int status;
	pid_t pid;

	queue = make(1, 64, O_RDWR);
	pid = fork();
	if (!pid) {
		char text[64];

		shared->tid = gettid();
		_exit(mq_receive(queue, text, sizeof(text), NULL) == 1 ? text[0] : 1);
	}
	await_asleep(&shared->tid);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	SHOW(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	CALL(mq_send(queue, "a", 1, 0));
	waitpid(pid, &status, 0);
	SHOW(WEXITSTATUS(status));
}

static void handler_sends(int signo)
{
	handled = mq_send(queue, "h", 1, 0) ? errno : -1;
}

static void called_in_a_handler(void)
{
	struct sigaction action = { .sa_handler = handler_sends };

	sigaction(SIGUSR1, &action, NULL);
	queue = make(1, 64, O_RDWR | O_NONBLOCK);
	raise(SIGUSR1);
	SHOW(handled);
	take();
}

/* ---- cancellation ----------------------------------------------------------------- */

static void cancelled(bool send, long timed_ms)
{
	struct mq_attr attr;
	struct waiter w;

	queue = make(1, 64, O_RDWR);
	if (send)
		CALL(mq_send(queue, "a", 1, 0));
	start(&w, send, timed_ms, 'b');
	pthread_cancel(w.thread);
	end(&w);
	/* Nothing of it is left. */
	CALL(mq_getattr(queue, &attr));
	SHOW(attr.mq_curmsgs);
	if (!send)
		CALL(mq_send(queue, "c", 1, 0));
	take();
	take();
}

static void receive_cancelled(void)
{
	cancelled(false, 0);
}

static void send_cancelled(void)
{
	cancelled(true, 0);
}

static void timed_receive_cancelled(void)
{
	cancelled(false, 1000000);
}

static void timed_send_cancelled(void)
{
	cancelled(true, 1000000);
}

static void *cancel_self_and(void *arg)
{
	struct timespec past = { 1, 0 };
	struct mq_attr attr;
	char text[64];
	mqd_t q;

	pthread_cancel(pthread_self());
	switch ((intptr_t)arg) {
	case 0:
		mq_send(queue, "a", 1, 0);
		break;
	case 1:
		mq_receive(queue, text, sizeof(text), NULL);
		break;
	case 2:
		mq_timedsend(queue, "a", 1, 0, &past);
		break;
	case 3:
		mq_timedreceive(queue, text, sizeof(text), NULL, &past);
		break;
	default:
		/* None of these is a cancellation point. */
		q = mq_open(name, O_RDWR);
		mq_getattr(q, &attr);
		mq_setattr(q, &attr, NULL);
		mq_notify(q, NULL);
		mq_close(q);
		mq_unlink(name2);
		return NULL;
	}

	return NULL;
}

static void pending_cancellation(void)
{
	struct mq_attr attr;
	pthread_t thread;
	intptr_t i;
	void *ret;

	queue = make(1, 64, O_RDWR | O_NONBLOCK);
	for (i = 0; i < 5; i++) {
		pthread_create(&thread, NULL, cancel_self_and, (void *)i);
		pthread_join(thread, &ret);
		SHOW(ret == PTHREAD_CANCELED);
	}
	CALL(mq_getattr(queue, &attr));
	SHOW(attr.mq_curmsgs);
}

static void *disabled(void *arg)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);

	return run(arg);
}

static void disabled_cancellation(void)
{
	struct waiter w;

	memset(&w, 0, sizeof(w));
	queue = make(1, 64, O_RDWR);
	pthread_create(&w.thread, NULL, disabled, &w);
	await_asleep(&w.tid);
	pthread_cancel(w.thread);
	CALL(mq_send(queue, "a", 1, 0));
	end(&w);
}

static void clean_up(void *arg)
{
	*(int *)arg = 1;
}

static int cleaned;

static void *with_cleanup(void *arg)
{
	pthread_cleanup_push(clean_up, &cleaned);
	run(arg);
	pthread_cleanup_pop(0);

	return NULL;
}

static void cleanup_handlers(void)
{
	struct waiter w;

	memset(&w, 0, sizeof(w));
	queue = make(1, 64, O_RDWR);
	pthread_create(&w.thread, NULL, with_cleanup, &w);
	await_asleep(&w.tid);
	pthread_cancel(w.thread);
	end(&w);
	SHOW(cleaned);
}

static void *type_after_call(void *arg)
{
	char text[64];
	int type;

	mq_receive(queue, text, sizeof(text), NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
	*(int *)arg = type == PTHREAD_CANCEL_DEFERRED;

	return NULL;
}

static void cancel_type_stays(void)
{
	pthread_t thread;
	int deferred = -1;

	queue = make(1, 64, O_RDWR | O_NONBLOCK);
	pthread_create(&thread, NULL, type_after_call, &deferred);
	pthread_join(thread, NULL);
	SHOW(deferred);
}

const struct row wait_rows[] = {
	{ "mq_receive: blocks until a message is queued", receive_waits },
	{ "mq_send: blocks until space becomes available", send_waits },
	{ "mq_timedsend, mq_timedreceive: block as well", timed_calls_wait },
	{ "mq_receive: a process that waits gets the message of another", another_process_waits },
	{ "mq_receive: the thread that has waited longest is selected", longest_waiting_receiver },
	{ "mq_send: the thread that has waited longest is unblocked", longest_waiting_sender },
	{ "mq_getattr: a message of a sender that waits is not in the queue",
	  waiting_senders_do_not_count },
	{ "mq_receive: with priority scheduling, the highest priority thread is selected",
	  real_time_priority_first },
	{ "mq_setattr: does not affect other descriptions' calls that wait",
	  nonblocking_while_another_waits },
	{ "mq_close, mq_unlink: a call of another process goes on", closed_while_another_waits },
	{ "mq_send: a process that was killed while it waited gets nothing", killed_waiters },
	{ "mq_send: each message is received once, by many processes at once", crowd },
	{ "mq_timedreceive: ETIMEDOUT when abs_timeout passes", deadline_of_receive },
	{ "mq_timedsend: ETIMEDOUT when abs_timeout passes; nothing is sent", deadline_of_send },
	{ "mq_timedsend, mq_timedreceive: never fail with a timeout if they need not wait",
	  past_deadline },
	{ "mq_timedsend, mq_timedreceive: EINVAL: invalid abs_timeout and the call would block",
	  invalid_deadline },
	{ "mq_timedsend: validity need not be checked if the call need not wait (Linux: is)",
	  invalid_deadline_not_needed },
	{ "mq_timedsend, mq_timedreceive: which error comes first", order_of_errors },
	{ "mq_timedsend, mq_timedreceive: with O_NONBLOCK, abs_timeout does not matter",
	  deadline_with_nonblock },
	{ "mq_timedreceive: abs_timeout may be in the far future", far_deadline },
	{ "mq_timedsend, mq_timedreceive: abs_timeout may be after 2038 if time_t has 64 bits",
	  deadlines_after_2038 },
	{ "mq_timedsend: abs_timeout NULL (Linux: no deadline)", no_deadline },
	{ "mq_timedsend, mq_timedreceive: as mq_send and mq_receive otherwise",
	  deadline_and_priority },
	{ "mq_receive: EINTR: interrupted by a signal handler", receive_interrupted },
	{ "mq_send: EINTR: interrupted by a signal handler; nothing is sent", send_interrupted },
	{ "mq_timedreceive: EINTR: interrupted by a signal handler", timed_receive_interrupted },
	{ "mq_timedsend: EINTR: interrupted by a signal handler", timed_send_interrupted },
	{ "signal(7): SA_RESTART restarts mq_receive", receive_restarted },
	{ "signal(7): SA_RESTART restarts mq_send", send_restarted },
	{ "signal(7): SA_RESTART restarts mq_timedreceive", timed_receive_restarted },
	{ "signal(7): SA_RESTART restarts mq_timedsend", timed_send_restarted },
	{ "mq_timedreceive: the deadline is absolute, also after a restart",
	  restart_keeps_deadline },
	{ "signal(7): mq_receive goes on after a stop", stopped_and_continued },
	{ "signal handlers can send (no standard says so)", called_in_a_handler },
	{ "pthreads: mq_receive is a cancellation point", receive_cancelled },
	{ "pthreads: mq_send is a cancellation point", send_cancelled },
	{ "pthreads: mq_timedreceive is a cancellation point", timed_receive_cancelled },
	{ "pthreads: mq_timedsend is a cancellation point", timed_send_cancelled },
	{ "pthreads: a pending cancellation acts before the call, and in no other function",
	  pending_cancellation },
	{ "pthread_setcancelstate: a disabled cancellation does not act", disabled_cancellation },
	{ "pthread_cleanup_push: handlers run", cleanup_handlers },
	{ "pthread_setcanceltype: stays as it was", cancel_type_stays },
	{ 0 },
};
