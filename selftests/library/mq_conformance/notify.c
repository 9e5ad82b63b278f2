// SPDX-License-Identifier: GPL-2.0-only
/* Rows about mq_notify(3). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static mqd_t queue;

static struct sigevent by_signal(int signo, int value)
{
	struct sigevent sev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signo };

	sev.sigev_value.sival_int = value;

	return sev;
}

static int by_usr1(mqd_t q)
{
	struct sigevent sev = by_signal(SIGUSR1, 7);

	return mq_notify(q, &sev);
}

static int by_none(mqd_t q)
{
	struct sigevent sev = { .sigev_notify = SIGEV_NONE };

	return mq_notify(q, &sev);
}

static void block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 3);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* The signal is there when the send that caused it has returned. */
static void pending(void)
{
	struct timespec none = { 0, 0 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 3);
	if (sigtimedwait(&set, &info, &none) < 0) {
		add("no signal; ");
		return;
	}
	add("signal %d code %d value %d of %s uid %d; ", info.si_signo, info.si_code,
	    info.si_value.sival_int, info.si_pid == getpid() ? "self" : "other", info.si_uid);
}

static void take(void)
{
	char text[64];

	CALL(mq_receive(queue, text, sizeof(text), NULL));
}

static void put(void)
{
	CALL(mq_send(queue, "a", 1, 0));
}

static void begin(void)
{
	block();
	queue = make(4, 64, O_RDWR | O_NONBLOCK);
}

static void signal_on_arrival(void)
{
	begin();
	CALL(by_usr1(queue));
	pending();
	put();
	pending();
}

static void one_time(void)
{
	begin();
	CALL(by_usr1(queue));
	put();
	pending();
	take();
	put();
	pending();
	CALL(by_usr1(queue));
}

static void only_if_empty(void)
{
	begin();
	put();
	CALL(by_usr1(queue));
	put();
	pending();
	take();
	put();
	pending();
	take();
	take();
	put();
	pending();
}

static void value_and_number(void)
{
	struct sigevent sev = by_signal(SIGRTMIN + 3, -12345);

	begin();
	CALL(mq_notify(queue, &sev));
	put();
	pending();
}

static void send_one(void)
{
	become(1001, 1001);
	CALL(mq_send(queue, "a", 1, 0));
}

static void of_another_process(void)
{
	begin();
	CALL(by_usr1(queue));
	in_child(send_one);
	pending();
}

static void busy_child(void)
{
	CALL(by_usr1(queue));
	CALL(by_none(queue));
	CALL(mq_notify(queue, NULL));
}

static void busy(void)
{
	begin();
	CALL(by_usr1(queue));
	CALL(by_usr1(queue));
	in_child(busy_child);
	/* The other process has not removed it. */
	CALL(by_usr1(queue));
	put();
	pending();
}

static void removed(void)
{
	begin();
	CALL(by_usr1(queue));
	CALL(mq_notify(queue, NULL));
	put();
	pending();
	CALL(mq_notify(queue, NULL));
	take();
	CALL(by_usr1(queue));
	put();
	pending();
}

static void removed_by_close(void)
{
	begin();
	CALL(by_usr1(queue));
	CALL(mq_close(queue));
	queue = mq_open(name, O_RDWR | O_NONBLOCK);
	put();
	pending();
	take();
	CALL(by_usr1(queue));
}

static void removed_by_close_of_a_copy(void)
{
	mqd_t copy;

	begin();
	CALL(by_usr1(queue));
	copy = dup(queue);
	CALL(mq_close(copy));
	put();
	pending();
}

static void other_description_closed(void)
{
	mqd_t other;

	begin();
	other = mq_open(name, O_RDWR);
	CALL(by_usr1(queue));
	CALL(mq_close(other));
	put();
	pending();
}

static void register_and_exit(void)
{
	CALL(by_usr1(queue));
}

static void removed_by_exit(void)
{
	begin();
	in_child(register_and_exit);
	CALL(by_usr1(queue));
	put();
	pending();
}

static void child_closes(void)
{
	CALL(mq_close(queue));
}

static void not_inherited(void)
{
	begin();
	CALL(by_usr1(queue));
	in_child(child_closes);
	put();
	pending();
}

static void exec_child(void)
{
	CALL(by_usr1(queue));
	execl("/proc/self/exe", "mq_conformance", "-x", "-1", (char *)NULL);
}

static void removed_by_exec(void)
{
	begin();
	in_child(exec_child);
	CALL(by_usr1(queue));
}

static void none(void)
{
	begin();
	CALL(by_none(queue));
	CALL(by_usr1(queue));
	put();
	pending();
	CALL(by_usr1(queue));
}

static void invalid(void)
{
	static const int numbers[] = { -1, 65, 1000, 64 };
	struct sigevent sev = { .sigev_notify = 77 };
	unsigned int i;

	begin();
	CALL(mq_notify(queue, &sev));
	CALL(mq_notify(-1, &sev));
	sev.sigev_notify = SIGEV_THREAD_ID;
	CALL(mq_notify(queue, &sev));
	for (i = 0; i < 4; i++) {
		sev = by_signal(numbers[i], 0);
		CALL(mq_notify(queue, &sev));
		CALL(mq_notify(-1, &sev));
	}
}

static void only_to_send(void)
{
	mqd_t w;

	begin();
	w = mq_open(name, O_WRONLY);
	CALL(by_usr1(w));
}

static void only_to_receive(void)
{
	mqd_t r;

	begin();
	r = mq_open(name, O_RDONLY);
	CALL(by_usr1(r));
	put();
	pending();
}

static void *receive(void *arg)
{
	char text[64];

	shared->tid = gettid();
	*(int *)arg = mq_receive(queue, text, sizeof(text), NULL);

	return NULL;
}

static void receiver_waits(void)
{
	pthread_t thread;
	int got = 0;

	block();
	queue = make(4, 64, O_RDWR);
	CALL(by_usr1(queue));
	pthread_create(&thread, NULL, receive, &got);
	await_asleep(&shared->tid);
	put();
	pthread_join(thread, NULL);
	SHOW(got);
	pending();
	/* The registration remains. */
	CALL(by_usr1(queue));
	put();
	pending();
}

static void two_queues(void)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	struct sigevent sev = by_signal(SIGUSR2, 2);
	mqd_t other;

	begin();
	other = mq_open(name2, O_CREAT | O_RDWR, 0600, &attr);
	CALL(by_usr1(queue));
	CALL(mq_notify(other, &sev));
	CALL(mq_send(other, "a", 1, 0));
	pending();
	put();
	pending();
}

static void unlinked(void)
{
	begin();
	CALL(by_usr1(queue));
	CALL(mq_unlink(name));
	put();
	pending();
}

static void any_priority(void)
{
	begin();
	CALL(by_usr1(queue));
	CALL(mq_send(queue, "", 0, 32767));
	pending();
}

/* ---- SIGEV_THREAD --------------------------------------------------------------- */

static sem_t called;
static atomic_int calls, value, same_thread, stack_ok, blocked;
static pthread_t main_thread;

static void function(union sigval v)
{
	sigset_t mask;

	value = v.sival_int;
	same_thread = pthread_equal(pthread_self(), main_thread);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	blocked = sigismember(&mask, SIGUSR1);
	calls++;
	sem_post(&called);
}

static int by_thread(mqd_t q, int v, void (*f)(union sigval), pthread_attr_t *attr)
{
	struct sigevent sev = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = f,
				.sigev_notify_attributes = attr };

	sev.sigev_value.sival_int = v;

	return mq_notify(q, &sev);
}

static void begin_threads(void)
{
	main_thread = pthread_self();
	sem_init(&called, 0, 0);
	queue = make(4, 64, O_RDWR | O_NONBLOCK);
}

static void thread_on_arrival(void)
{
	begin_threads();
	CALL(by_thread(queue, 42, function, NULL));
	SHOW(calls);
	put();
	sem_wait(&called);
	SHOW(calls);
	SHOW(value);
	SHOW(same_thread);
}

static void thread_one_time(void)
{
	begin_threads();
	CALL(by_thread(queue, 1, function, NULL));
	put();
	sem_wait(&called);
	take();
	put();
	take();
	CALL(by_thread(queue, 2, function, NULL));
	put();
	sem_wait(&called);
	SHOW(calls);
	SHOW(value);
}

static void thread_busy(void)
{
	begin_threads();
	CALL(by_thread(queue, 1, function, NULL));
	CALL(by_thread(queue, 2, function, NULL));
	CALL(by_usr1(queue));
	put();
	sem_wait(&called);
	SHOW(calls);
	SHOW(value);
}

static void thread_removed(void)
{
	begin_threads();
	CALL(by_thread(queue, 1, function, NULL));
	CALL(mq_notify(queue, NULL));
	put();
	take();
	CALL(by_thread(queue, 2, function, NULL));
	put();
	sem_wait(&called);
	SHOW(calls);
	SHOW(value);
}

static void thread_removed_by_close(void)
{
	begin_threads();
	CALL(by_thread(queue, 1, function, NULL));
	CALL(mq_close(queue));
	queue = mq_open(name, O_RDWR | O_NONBLOCK);
	put();
	take();
	CALL(by_thread(queue, 2, function, NULL));
	put();
	sem_wait(&called);
	SHOW(calls);
	SHOW(value);
}

static void register_again(union sigval v)
{
	char text[64];

	/* Register first, then empty the queue: so the manual page says. */
	if (v.sival_int < 20 && by_thread(queue, v.sival_int + 1, register_again, NULL))
		value = -1;
	while (mq_receive(queue, text, sizeof(text), NULL) >= 0)
		;
	calls++;
	sem_post(&called);
}

static void thread_registers_again(void)
{
	int i;

	begin_threads();
	CALL(by_thread(queue, 1, register_again, NULL));
	for (i = 0; i < 20; i++) {
		if (mq_send(queue, "a", 1, 0))
			add("mq_send; ");
		sem_wait(&called);
	}
	SHOW(calls);
	SHOW(value);
}

static void stack_size(union sigval v)
{
	pthread_attr_t attr;
	size_t size = 0;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &size);
	stack_ok = size >= 3 << 20 && size < 5 << 20;
	sem_post(&called);
}

static void thread_attributes(void)
{
	pthread_attr_t attr;

	begin_threads();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 4 << 20);
	CALL(by_thread(queue, 1, stack_size, &attr));
	pthread_attr_destroy(&attr);
	put();
	sem_wait(&called);
	SHOW(stack_ok);
}

static void send_by_child(void)
{
	put();
}

static void thread_by_another_process(void)
{
	begin_threads();
	CALL(by_thread(queue, 1, function, NULL));
	in_child(send_by_child);
	sem_wait(&called);
	SHOW(calls);
}

static void thread_in_child(void)
{
	/*
	 * It has no thread of its parent's, and starts none: the C library hangs now and
	 * then if it does.
	 */
	CALL(mq_notify(queue, NULL));
	put();
	take();
	CALL(mq_close(queue));
}

static void thread_and_fork(void)
{
	begin_threads();
	CALL(by_thread(queue, 1, function, NULL));
	in_child(thread_in_child);
	sem_wait(&called);
	SHOW(calls);
	SHOW(value);
}

/* Of the numbers up to there, which the parent's library may have used. */
#define FEW 32

static void close_in_child(void)
{
	int fd, open = 0;
	mqd_t q;

	for (fd = 3; fd < FEW; fd++)
		close(fd);
	q = mq_open(name, O_RDWR);
	if (q != queue) {
		dup2(q, queue);
		close(q);
	}
	for (fd = 3; fd < FEW; fd++)
		if (fd != queue)
			dup2(0, fd);
	shared->result = mq_close(queue);
	for (fd = 3; fd < FEW; fd++)
		open += fcntl(fd, F_GETFD) >= 0;
	shared->flag = open;
}

static void thread_and_numbers_of_a_child(void)
{
	pid_t pid;

	begin_threads();
	CALL(by_thread(queue, 1, function, NULL));
	pid = fork();
	if (!pid) {
		close_in_child();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	SHOW(shared->result);
	/* All but the queue. */
	SHOW(FEW - 3 - shared->flag);
	put();
	sem_wait(&called);
	SHOW(calls);
}

/* ---- another thread gets the number of a queue that is being closed ------------------ */

/* volatile, as the compiler is told that functions of <mqueue.h> call nothing in here. */
static void (*volatile after_close)(void);

/* In the place of the C library's, for a library that closes a queue by it. */
long syscall(long number, ...)
{
	long (*real)(long number, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	void (*then)(void) = after_close;
	long arg[6], ret;
	va_list ap;
	int i;

	va_start(ap, number);
	for (i = 0; i < 6; i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
	ret = real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	if (number == SYS_close && then) {
		after_close = NULL;
		then();
	}

	return ret;
}

static pthread_t next;
static atomic_int next_result;

static void *open_and_register(void *arg)
{
	queue = dup2(mq_open(name, O_RDWR | O_NONBLOCK), *(int *)arg);
	/* Only now: to see whether this sleeps, the other thread opens and closes files. */
	shared->tid = gettid();
	next_result = by_thread(queue, 2, function, NULL);

	return NULL;
}

static mqd_t closed_queue;

/* Until it has registered, or waits for the thread that closes. */
static void let_another_register(void)
{
	pthread_create(&next, NULL, open_and_register, &closed_queue);
	await_asleep(&shared->tid);
}

static void thread_of_the_next_queue(void)
{
	begin_threads();
	CALL(by_thread(queue, 1, function, NULL));
	closed_queue = queue;
	after_close = let_another_register;
	CALL(mq_close(queue));
	if (after_close)
		let_another_register();
	pthread_join(next, NULL);
	SHOW(next_result);
	put();
	sem_wait(&called);
	SHOW(calls);
	SHOW(value);
}

/* ---- the function closes the queue before mq_notify() returns ------------------------ */

static void (*volatile after_unlock)(void);
static volatile bool watches;
static void *freed[16];
static atomic_int n_freed, freed_again;

/* In the place of the C library's, as above: the first thread may be held up at any moment. */
int pthread_mutex_unlock(pthread_mutex_t *m)
{
	int (*real)(pthread_mutex_t *m) =
		(int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_unlock");
	void (*then)(void) = NULL;
	int ret;

	if (after_unlock && pthread_equal(pthread_self(), main_thread)) {
		then = after_unlock;
		after_unlock = NULL;
	}
	ret = real(m);
	if (then)
		then();

	return ret;
}

void __libc_free(void *p);

/* What another thread has freed is overwritten at once, and not freed by the first one. */
void free(void *p)
{
	int i;

	if (p && watches && !pthread_equal(pthread_self(), main_thread)) {
		memset(p, 0, malloc_usable_size(p));
		if (n_freed < 16)
			freed[n_freed++] = p;
	} else if (p && watches) {
		for (i = 0; i < n_freed; i++)
			if (freed[i] == p) {
				freed_again++;
				return;
			}
	}
	__libc_free(p);
}

static void close_in_function(union sigval v)
{
	value = mq_close(queue);
	calls++;
	sem_post(&called);
}

static void put_and_wait(void)
{
	put();
	sem_wait(&called);
}

static void thread_closes_at_once(void)
{
	int ret;

	begin_threads();
	watches = true;
	after_unlock = put_and_wait;
	ret = by_thread(queue, 1, close_in_function, NULL);
	if (after_unlock) {
		after_unlock = NULL;
		put_and_wait();
	}
	watches = false;
	SHOW(ret);
	SHOW(calls);
	SHOW(value);
	SHOW(freed_again);
}

static void exit_in_function(union sigval v)
{
	sem_post(&called);
	pthread_exit(NULL);
}

static void thread_exits(void)
{
	begin_threads();
	CALL(by_thread(queue, 1, exit_in_function, NULL));
	put();
	sem_wait(&called);
	take();
	CALL(by_thread(queue, 2, function, NULL));
	put();
	sem_wait(&called);
	SHOW(calls);
}

static void thread_bad_descriptor(void)
{
	begin_threads();
	CALL(by_thread(-1, 1, function, NULL));
	CALL(by_thread(0, 1, function, NULL));
}

static void many_times(void)
{
	int i, failed = 0;

	begin_threads();
	for (i = 0; i < 20; i++) {
		failed += by_thread(queue, i, function, NULL) != 0;
		failed += mq_notify(queue, NULL) != 0;
	}
	SHOW(failed);
	SHOW(calls);
	CALL(by_thread(queue, 7, function, NULL));
	put();
	sem_wait(&called);
	SHOW(calls);
}

static atomic_int handler_result;

static void handler(int signo)
{
	char text[64];

	handler_result = by_usr1(queue);
	while (mq_receive(queue, text, sizeof(text), NULL) >= 0)
		;
}

static void handler_registers_again(void)
{
	struct sigaction action = { .sa_handler = handler };
	int i, failed = 0;

	queue = make(4, 64, O_RDWR | O_NONBLOCK);
	sigaction(SIGUSR1, &action, NULL);
	CALL(by_usr1(queue));
	for (i = 0; i < 100; i++) {
		handler_result = -1;
		failed += mq_send(queue, "a", 1, 0) != 0;
		/* It came before the call returned. */
		failed += handler_result != 0;
	}
	SHOW(failed);
}

static void after_2038(void)
{
	int64_t start = clock_seconds();
	char text[64];

	block();
	queue = make(4, 64, O_RDWR | O_NONBLOCK);
	set_clock(AFTER_2038);
	/* The file has these times. */
	CALL(mq_send(queue, "a", 1, 0));
	CALL(mq_receive(queue, text, sizeof(text), NULL));
	CALL(by_usr1(queue));
	CALL(mq_send(queue, "a", 1, 0));
	pending();
	set_clock(start);
}

const struct row notify_rows[] = {
	{ "mq_notify: SIGEV_SIGNAL sends the signal when a message arrives", signal_on_arrival },
	{ "mq_notify: notification occurs once, and then the process may register again",
	  one_time },
	{ "mq_notify: only when the queue was empty before", only_if_empty },
	{ "mq_notify: si_signo, si_value, and si_code SI_MESGQ", value_and_number },
	{ "mq_notify: si_pid and si_uid are those of the sender", of_another_process },
	{ "mq_notify: EBUSY: a process is registered already", busy },
	{ "mq_notify: NULL removes the registration of the calling process", removed },
	{ "mq_close: a notification request via this descriptor is removed", removed_by_close },
	{ "mq_close: so is that of a copy of the descriptor (Linux)",
	  removed_by_close_of_a_copy },
	{ "mq_close: a request via another description stays (Linux: is removed)",
	  other_description_closed, "close" },
	{ "exit: the registration of a process ends with it", removed_by_exit },
	{ "fork: the registration is not inherited", not_inherited },
	{ "exec: message queue descriptors are closed", removed_by_exec },
	{ "mq_notify: SIGEV_NONE registers, and sends nothing", none },
	{ "mq_notify: EINVAL: sigev_notify or sigev_signo is invalid", invalid },
	{ "mq_notify: a descriptor that only sends (Linux: can register)", only_to_send,
	  "notify" },
	{ "mq_notify: a descriptor that only receives", only_to_receive },
	{ "mq_notify: a receiver that waits gets the message, and the registration remains",
	  receiver_waits },
	{ "mq_notify: one registration for each queue", two_queues },
	{ "mq_unlink: the registration remains", unlinked },
	{ "mq_notify: for each priority and length", any_priority },
	{ "mq_notify: SIGEV_THREAD calls the function in another thread", thread_on_arrival },
	{ "mq_notify: SIGEV_THREAD, once", thread_one_time },
	{ "mq_notify: SIGEV_THREAD: EBUSY", thread_busy },
	{ "mq_notify: SIGEV_THREAD is removed by NULL", thread_removed },
	{ "mq_notify: SIGEV_THREAD is removed by mq_close", thread_removed_by_close },
	{ "mq_notify: the function registers again, then empties the queue",
	  thread_registers_again },
	{ "mq_notify: SIGEV_THREAD: the thread has the attributes", thread_attributes },
	{ "mq_notify: SIGEV_THREAD: a message of another process", thread_by_another_process },
	{ "mq_notify: SIGEV_THREAD: a child does not remove it", thread_and_fork },
	{ "mq_notify: SIGEV_THREAD: a child closes no descriptor that only has a number of it",
	  thread_and_numbers_of_a_child },
	{ "mq_close: a request via the next descriptor with this number stays",
	  thread_of_the_next_queue },
	{ "mq_notify: SIGEV_THREAD: the function may close the queue before the call returns",
	  thread_closes_at_once },
	{ "mq_notify: SIGEV_THREAD: the function may end its thread", thread_exits },
	{ "mq_notify: SIGEV_THREAD: EBADF", thread_bad_descriptor },
	{ "mq_notify: SIGEV_THREAD: registered and removed many times", many_times },
	{ "mq_notify: a signal handler registers again, then empties the queue",
	  handler_registers_again },
	{ "mq_notify: works after 2038 for every width of time_t", after_2038 },
	{ 0 },
};
