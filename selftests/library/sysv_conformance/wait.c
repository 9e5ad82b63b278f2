// SPDX-License-Identifier: GPL-2.0-only
/* Rows about calls that wait: what ends the wait, and for whom. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static int queue;

/**
 * struct waiter - a thread that makes one call
 * @thread: the thread
 * @tid: its number, from just before the call
 * @send: it sends, otherwise it receives
 * @len: what it sends, or has room for
 * @type: what it sends, or wants
 * @flags: of the call
 * @m: what it has received
 * @result: of the call
 * @error: errno
 */
struct waiter {
	pthread_t thread;
	atomic_int tid;
	bool send;
	size_t len;
	long type;
	int flags;
	struct message m;
	long result;
	int error;
};

static void *run(void *arg)
{
	struct waiter *w = arg;

	w->m.type = w->type;
	memset(w->m.text, 'w', sizeof(w->m.text));
	w->tid = gettid();
	if (w->send)
		w->result = msgsnd(queue, &w->m, w->len, w->flags);
	else
		w->result = msgrcv(queue, &w->m, w->len, w->type, w->flags);
	w->error = errno;

	return NULL;
}

static void start(struct waiter *w, bool send, size_t len, long type, int flags)
{
	memset(w, 0, sizeof(*w));
	w->send = send;
	w->len = len;
	w->type = type;
	w->flags = flags;
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
		add("'%.*s' %ld; ", (int)w->result, w->m.text, w->m.type);
}

static struct waiter w, w2, w3;

static void receive_waits(void)
{
	queue = make(0600);
	start(&w, false, 10, 0, 0);
	CALL(snd(queue, 7, "a", 0));
	end(&w);
	take(queue, 0, 0);
}

static void receive_waits_for_a_type(void)
{
	queue = make(0600);
	start(&w, false, 10, 5, 0);
	CALL(snd(queue, 4, "no", 0));
	CALL(snd(queue, 5, "yes", 0));
	end(&w);
	take(queue, 0, 0);
	take(queue, 0, 0);
}

static void receive_waits_for_another_type(void)
{
	queue = make(0600);
	start(&w, false, 10, 5, MSG_EXCEPT);
	CALL(snd(queue, 5, "no", 0));
	CALL(snd(queue, 6, "yes", 0));
	end(&w);
	take(queue, 0, 0);
}

static void receive_waits_for_a_low_type(void)
{
	queue = make(0600);
	start(&w, false, 10, -5, 0);
	CALL(snd(queue, 6, "no", 0));
	CALL(snd(queue, 5, "yes", 0));
	end(&w);
	take(queue, 0, 0);
}

static void longest_waiting_first(void)
{
	queue = make(0600);
	start(&w, false, 10, 0, 0);
	start(&w2, false, 10, 0, 0);
	start(&w3, false, 10, 3, 0);
	CALL(snd(queue, 1, "a", 0));
	end(&w);
	CALL(snd(queue, 3, "b", 0));
	end(&w2);
	CALL(snd(queue, 3, "c", 0));
	end(&w3);
}

static void each_its_type(void)
{
	queue = make(0600);
	start(&w, false, 10, 1, 0);
	start(&w2, false, 10, 2, 0);
	CALL(snd(queue, 2, "b", 0));
	end(&w2);
	CALL(snd(queue, 1, "a", 0));
	end(&w);
}

static void too_small_for_it(void)
{
	queue = make(0600);
	start(&w, false, 2, 0, 0);
	start(&w2, false, 10, 0, 0);
	CALL(snd(queue, 1, "abc", 0));
	end(&w);
	end(&w2);
	SHOW(state(queue).msg_qnum);
}

static void cut_while_waiting(void)
{
	queue = make(0600);
	start(&w, false, 2, 0, MSG_NOERROR);
	CALL(snd(queue, 1, "abc", 0));
	end(&w);
	SHOW(state(queue).msg_qnum);
}

static void send_waits(void)
{
	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	CALL(snd(queue, 1, "aaaa", 0));
	start(&w, true, 3, 2, 0);
	take(queue, 0, 0);
	end(&w);
	take(queue, 0, 0);
}

static void send_waits_for_enough(void)
{
	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	CALL(snd(queue, 1, "aa", 0));
	CALL(snd(queue, 2, "bb", 0));
	start(&w, true, 3, 3, 0);
	take(queue, 0, 0);
	usleep(20000);
	SHOW(state_of(w.tid) == 'S');
	take(queue, 2, 0);
	end(&w);
	take(queue, 0, 0);
}

static void send_waits_for_a_limit(void)
{
	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	CALL(snd(queue, 1, "aaaa", 0));
	start(&w, true, 3, 2, 0);
	CALL(set_qbytes(queue, 7));
	end(&w);
	SHOW(state(queue).msg_qnum);
}

static void send_longer_than_the_limit(void)
{
	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	start(&w, true, 6, 2, 0);
	usleep(50000);
	SHOW(w.result);
	SHOW(state(queue).msg_qnum);
	CALL(set_qbytes(queue, 7));
	end(&w);
	take(queue, 0, 0);
}

static void removal_ends_receivers(void)
{
	queue = make(0600);
	start(&w, false, 10, 0, 0);
	start(&w2, false, 10, 7, 0);
	CALL(msgctl(queue, IPC_RMID, NULL));
	end(&w);
	end(&w2);
}

static void removal_ends_senders(void)
{
	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	CALL(snd(queue, 1, "aaaa", 0));
	start(&w, true, 3, 2, 0);
	start(&w2, true, 1, 2, 0);
	CALL(msgctl(queue, IPC_RMID, NULL));
	end(&w);
	end(&w2);
}

static void removal_by_another_steps(void)
{
	CALL(msgctl(queue, IPC_RMID, NULL));
}

static void removal_by_another(void)
{
	queue = make(0600);
	start(&w, false, 10, 0, 0);
	in_child(removal_by_another_steps);
	end(&w);
	take(queue, 0, 0);
}

static void another_process_waits(void)
{
	int status;
	pid_t pid;

	queue = make(0600);
	pid = fork();
	if (!pid) {
		struct message m;
		ssize_t n;

		shared->tid = getpid();
		n = msgrcv(queue, &m, 10, 0, 0);
		_exit(n == 5 && !memcmp(m.text, "hello", 5) ? 0 : 1);
	}
	await_asleep(&shared->tid);
	CALL(snd(queue, 1, "hello", 0));
	waitpid(pid, &status, 0);
	SHOW(status);
}

static void another_process_sends(void)
{
	int status;
	pid_t pid;

	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	CALL(snd(queue, 1, "aaaa", 0));
	pid = fork();
	if (!pid) {
		shared->tid = getpid();
		_exit(snd(queue, 2, "b", 0) ? 1 : 0);
	}
	await_asleep(&shared->tid);
	take(queue, 0, 0);
	waitpid(pid, &status, 0);
	SHOW(status);
	take(queue, 0, 0);
}

/* ---- signals ------------------------------------------------------------------------ */

static atomic_int handled;

static void handle(int signo)
{
	(void)signo;
	handled++;
}

static void catch(int flags)
{
	struct sigaction sa = { .sa_handler = handle, .sa_flags = flags };

	sigaction(SIGUSR1, &sa, NULL);
}

static void interrupt_receive(int flags)
{
	queue = make(0600);
	catch(flags);
	start(&w, false, 10, 0, 0);
	pthread_kill(w.thread, SIGUSR1);
	end(&w);
	SHOW(handled);
	CALL(snd(queue, 1, "a", 0));
	take(queue, 0, 0);
}

static void interrupt_send(int flags)
{
	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	CALL(snd(queue, 1, "aaaa", 0));
	catch(flags);
	start(&w, true, 3, 2, 0);
	pthread_kill(w.thread, SIGUSR1);
	end(&w);
	SHOW(handled);
	take(queue, 0, 0);
	take(queue, 0, 0);
}

static void receive_interrupted(void)
{
	interrupt_receive(0);
}

static void receive_not_restarted(void)
{
	interrupt_receive(SA_RESTART);
}

static void send_interrupted(void)
{
	interrupt_send(0);
}

static void send_not_restarted(void)
{
	interrupt_send(SA_RESTART);
}

static void long_send_interrupted(void)
{
	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	catch(SA_RESTART);
	start(&w, true, 6, 2, 0);
	pthread_kill(w.thread, SIGUSR1);
	end(&w);
	SHOW(state(queue).msg_qnum);
}

/* Around the end of the pause after which a library may look at the limit again. */
static void long_send_interrupted_at_any_time(void)
{
	int i, interrupted = 0;

	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	catch(0);
	for (i = 0; i < 60; i++) {
		start(&w, true, 6, 2, 0);
		usleep(19500 + 20 * i);
		pthread_kill(w.thread, SIGUSR1);
		pthread_join(w.thread, NULL);
		interrupted += w.result < 0 && w.error == EINTR;
	}
	SHOW(interrupted);
}

static void alarm_limits_the_wait(void)
{
	struct message m;

	queue = make(0600);
	signal(SIGALRM, handle);
	alarm(1);
	CALL(msgrcv(queue, &m, 10, 0, 0));
	SHOW(handled);
}

static void ignored_signal(void)
{
	queue = make(0600);
	signal(SIGUSR1, SIG_IGN);
	start(&w, false, 10, 0, 0);
	pthread_kill(w.thread, SIGUSR1);
	CALL(snd(queue, 1, "a", 0));
	end(&w);
}

static void stop_and_continue(void)
{
	int status;
	pid_t pid;

	queue = make(0600);
	pid = fork();
	if (!pid) {
		struct message m;

		shared->tid = getpid();
		_exit(msgrcv(queue, &m, 10, 0, 0) == 1 ? 0 : 1);
	}
	await_asleep(&shared->tid);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	SHOW(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	CALL(snd(queue, 1, "a", 0));
	waitpid(pid, &status, 0);
	SHOW(status);
}

/* ---- cancellation ------------------------------------------------------------------- */

static void cancel_receive(void)
{
	int before = descriptors();

	queue = make(0600);
	start(&w, false, 10, 0, 0);
	pthread_cancel(w.thread);
	end(&w);
	CALL(snd(queue, 1, "a", 0));
	take(queue, 0, 0);
	CALL(msgctl(queue, IPC_RMID, NULL));
	SHOW(descriptors() - before);
}

static void cancel_send(void)
{
	int before = descriptors();

	queue = make(0600);
	CALL(set_qbytes(queue, 4));
	CALL(snd(queue, 1, "aaaa", 0));
	start(&w, true, 3, 2, 0);
	pthread_cancel(w.thread);
	end(&w);
	take(queue, 0, 0);
	take(queue, 0, 0);
	CALL(msgctl(queue, IPC_RMID, NULL));
	SHOW(descriptors() - before);
}

static void *cancel_itself(void *arg)
{
	struct message m = { .type = 1 };

	pthread_cancel(pthread_self());
	if (arg)
		msgrcv(queue, &m, 10, 0, IPC_NOWAIT);
	else
		msgsnd(queue, &m, 1, 0);

	return NULL;
}

static void pending_cancellation(void)
{
	pthread_t thread;
	void *ret;

	queue = make(0600);
	pthread_create(&thread, NULL, cancel_itself, NULL);
	pthread_join(thread, &ret);
	SHOW(ret == PTHREAD_CANCELED);
	SHOW(state(queue).msg_qnum);
	pthread_create(&thread, NULL, cancel_itself, &queue);
	pthread_join(thread, &ret);
	SHOW(ret == PTHREAD_CANCELED);
}

static void *get_and_stat(void *arg)
{
	struct msqid_ds ds;

	(void)arg;
	pthread_cancel(pthread_self());
	queue = msgget(key, IPC_CREAT | 0600);
	shared->flag = msgctl(queue, IPC_STAT, &ds) == 0 && msgctl(queue, IPC_SET, &ds) == 0;
	shared->flag += msgctl(queue, IPC_RMID, NULL) == 0;
	pthread_testcancel();

	return NULL;
}

static void no_cancellation_points(void)
{
	pthread_t thread;
	void *ret;

	pthread_create(&thread, NULL, get_and_stat, NULL);
	pthread_join(thread, &ret);
	SHOW(ret == PTHREAD_CANCELED);
	SHOW(shared->flag);
}

/* ---- many --------------------------------------------------------------------------- */

#define MANY 200

static void *send_many(void *arg)
{
	struct message m;
	int i;

	for (i = 0; i < MANY; i++) {
		m.type = (long)arg;
		memcpy(m.text, &i, sizeof(i));
		if (msgsnd(queue, &m, sizeof(i), 0))
			shared->count++;
	}

	return NULL;
}

static void *receive_many(void *arg)
{
	struct message m;
	int i, number;

	for (i = 0; i < MANY; i++) {
		if (msgrcv(queue, &m, sizeof(number), (long)arg, 0) != sizeof(number))
			shared->count++;
		memcpy(&number, m.text, sizeof(number));
		/* Of one sender, in its order. */
		if (number != i || m.type != (long)arg)
			shared->count++;
	}

	return NULL;
}

static void many_threads(void)
{
	pthread_t threads[8];
	long i;

	queue = make(0600);
	CALL(set_qbytes(queue, 64));
	for (i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, receive_many, (void *)(i + 1));
		pthread_create(&threads[4 + i], NULL, send_many, (void *)(i + 1));
	}
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	SHOW(shared->count);
	SHOW(state(queue).msg_qnum);
}

static void many_processes(void)
{
	int status, failed = 0;
	long i;

	queue = make(0600);
	CALL(set_qbytes(queue, 64));
	for (i = 0; i < 4; i++) {
		if (!fork()) {
			receive_many((void *)(i + 1));
			_exit(0);
		}
		if (!fork()) {
			send_many((void *)(i + 1));
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed += status != 0;
	SHOW(failed);
	SHOW(shared->count);
	SHOW(state(queue).msg_qnum);
}

static void *fork_often(void *arg)
{
	int i, status;
	pid_t pid;

	(void)arg;
	for (i = 0; i < 50; i++) {
		pid = fork();
		if (!pid) {
			struct msqid_ds ds;

			_exit(msgctl(queue, IPC_STAT, &ds) ? 1 : 0);
		}
		waitpid(pid, &status, 0);
		shared->count += status != 0;
	}
	shared->flag = 1;

	return NULL;
}

static void forks_among_threads(void)
{
	pthread_t thread;
	int wrong = 0;

	queue = make(0600);
	pthread_create(&thread, NULL, fork_often, NULL);
	while (!shared->flag) {
		int id = msgget(IPC_PRIVATE, 0600);

		wrong += snd(id, 1, "a", 0) != 0;
		wrong += msgctl(id, IPC_RMID, NULL) != 0;
	}
	pthread_join(thread, NULL);
	SHOW(wrong);
	SHOW(shared->count);
}

/* ---- what a process knows of a queue ----------------------------------------------- */

static void permission_withdrawn(void)
{
	int status;
	pid_t pid;

	queue = make(0666);
	pid = fork();
	if (!pid) {
		int error = 0;

		become(1000, 1000);
		snd(queue, 1, "a", 0);
		shared->flag = 1;
		while (shared->flag != 2)
			usleep(1000);
		if (snd(queue, 1, "b", 0))
			error = errno;
		_exit(error == EACCES ? 1 : error ? 2 : 0);
	}
	while (!shared->flag)
		usleep(1000);
	CALL(set_mode(queue, 0600));
	shared->flag = 2;
	waitpid(pid, &status, 0);
	SHOW(WEXITSTATUS(status));
}

const struct row wait_rows[] = {
	{ "msgrcv: waits until there is a message", receive_waits },
	{ "msgrcv: waits until there is one of the type", receive_waits_for_a_type },
	{ "msgrcv: waits until there is one of another type", receive_waits_for_another_type },
	{ "msgrcv: waits until there is one of a low type", receive_waits_for_a_low_type },
	{ "msgrcv: who waits longest is served first (Linux)", longest_waiting_first },
	{ "msgrcv: who waits for the type is served", each_its_type },
	{ "msgrcv: E2BIG ends a wait, and the next one gets the message", too_small_for_it },
	{ "msgrcv: MSG_NOERROR in a call that waited", cut_while_waiting },
	{ "msgsnd: waits until there is room", send_waits },
	{ "msgsnd: waits until there is room for all of it", send_waits_for_enough },
	{ "msgctl: a larger msg_qbytes ends the wait of senders", send_waits_for_a_limit },
	{ "msgsnd: a message longer than msg_qbytes waits for a larger one",
	  send_longer_than_the_limit },
	{ "msgop: EIDRM: the queue was removed while the call waited to receive",
	  removal_ends_receivers },
	{ "msgop: EIDRM: the queue was removed while the call waited to send",
	  removal_ends_senders },
	{ "msgctl: IPC_RMID of another process ends the wait", removal_by_another },
	{ "msgrcv: waits in one process for a message of another", another_process_waits },
	{ "msgsnd: waits in one process for room that another makes", another_process_sends },
	{ "msgrcv: EINTR: a signal handler ran", receive_interrupted },
	{ "signal: msgrcv is never restarted, whatever SA_RESTART", receive_not_restarted },
	{ "msgsnd: EINTR: a signal handler ran", send_interrupted },
	{ "signal: msgsnd is never restarted, whatever SA_RESTART", send_not_restarted },
	{ "msgsnd: EINTR: likewise for a message longer than msg_qbytes", long_send_interrupted },
	{ "msgsnd: EINTR: whenever the signal comes", long_send_interrupted_at_any_time },
	{ "alarm: ends a wait", alarm_limits_the_wait },
	{ "signal: a signal that is ignored does not end a wait", ignored_signal },
	{ "signal: a stop does not end a wait", stop_and_continue },
	{ "pthreads: a thread that waits in msgrcv can be cancelled", cancel_receive },
	{ "pthreads: a thread that waits in msgsnd can be cancelled", cancel_send },
	{ "pthreads: msgsnd and msgrcv are cancellation points", pending_cancellation },
	{ "pthreads: msgget and msgctl are none", no_cancellation_points },
	{ "msgop: several threads send and receive at once", many_threads },
	{ "msgop: several processes send and receive at once", many_processes },
	{ "fork: while threads make and remove queues", forks_among_threads },
	{ "msgop: EACCES: the permission was withdrawn", permission_withdrawn, "first use" },
	{ 0 },
};
