// SPDX-License-Identifier: GPL-2.0-only
#define WITHOUT_HARNESS

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "costs.h"
#include "executor.h"
#include "peers.h"

/* ---- the workers -------------------------------------------------------- */

/* A message's bytes tell which it is, at any length. */
static unsigned char data_byte(int id, __u32 i)
{
	return id * 7 + i;
}

static void fill(unsigned char *data, int id, __u32 len)
{
	__u32 i;

	for (i = 0; i < len; i++)
		data[i] = data_byte(id, i);
}

/* Signals that a file can have, see F_SETSIG. */
#define NSIGNALS 64

/* What tells which descriptor of which message a file is: of a handle, of any other. */
static long mark_of_handle(int number, int access)
{
	return number % NSIGNALS * 4 + access;
}

static long mark_of_file(const struct slot *slot, int id, __u32 i)
{
	int number = number_of_file(id, i);

	return slot->handles_of ? mark_of_handle(number, access_of_file(id, i)) : number;
}

/* A new file, or handle, with that mark. */
static int open_file(const struct slot *slot, __u32 i)
{
	int id = slot->step.id, number = number_of_file(id, i), fd;

	if (!slot->handles_of) {
		fd = memfd_create("model", MFD_CLOEXEC);
		return fd < 0 || ftruncate(fd, number) ? -1 : fd;
	}
	fd = raw_open_id(slot->handles_of, access_of_file(id, i) | O_CLOEXEC);
	return fd < 0 || fcntl(fd, F_SETSIG, number % NSIGNALS) ? -1 : fd;
}

/* What a message with descriptors has. */
static bool open_files(struct slot *slot)
{
	__u32 i;

	for (i = 0; i < slot->step.files; i++) {
		slot->sent[i] = open_file(slot, i);
		if (slot->sent[i] < 0)
			return false;
	}
	return true;
}

static void attach_files(struct mbox_msg *msg, int *fds, __u32 n)
{
	msg->nfds = n;
	if (n)
		msg->fds = (uintptr_t)fds;
}

static void close_files(const int *fds, __u32 n)
{
	__u32 i;

	for (i = 0; i < n; i++)
		close(fds[i]);
}

/* The mark of a file, or -1. */
static long mark_of(const struct slot *slot, int fd)
{
	struct stat st;

	if (fcntl(fd, F_GETFD) != FD_CLOEXEC || fstat(fd, &st))
		return -1;
	if (!slot->handles_of)
		return st.st_size;
	return mark_of_handle(fcntl(fd, F_GETSIG), fcntl(fd, F_GETFL) & O_ACCMODE);
}

/* Which files a receiver or a caller got. */
static void look_at_files(struct slot *slot)
{
	__u32 i;

	for (i = 0; i < slot->msg.nfds && i < FILES_MAX; i++)
		slot->files[i] = mark_of(slot, slot->fds[i]);
	close_files(slot->fds, i);
}

static void *bad_address;

/* Long enough for some steps. */
static __s64 lifespan_ns(void)
{
	return 10 * NSEC_PER_MSEC * time_factor();
}

/* To show what such a deadline ends takes more of them. */
static __s64 later_ns(void)
{
	return 3 * lifespan_ns();
}

static long send_step(struct slot *slot)
{
	struct step *s = &slot->step;
	unsigned char data[LEN_LONG];
	void *buf = s->bad ? bad_address : data;
	struct mbox_msg msg = msg_of(buf, s->len, s->flags);
	long ret;

	fill(data, s->id, s->len);
	if (s->plain) {
		ret = neg(write(slot->fd, buf, s->len));
		return ret == s->len ? 0 : ret;
	}
	msg.prio = s->prio;
	msg.type = s->type;
	msg.flags |= s->block_mode == DONTWAIT ? MBOX_DONTWAIT : 0;
	msg.deadline_ns = s->block_mode == PAST_DEADLINE;
	if (s->lifespan)
		msg.lifespan_ns = s->lifespan == AT_ONCE ? 1 : lifespan_ns();
	attach_files(&msg, slot->sent, s->files);
	if (!open_files(slot))
		return -EPROTO;
	ret = raw(slot->fd, MBOX_IOC_SEND, &msg);
	close_files(slot->sent, s->files);
	return ret;
}

/* Sends that do not wait, as long as another call lasts and none succeeds. */
static long try_to_send(struct slot *slot)
{
	struct slot *other = slot + slot->step.rival - slot->step.worker;
	struct mbox_msg msg = msg_of(slot->data, slot->step.len, MBOX_DONTWAIT);
	long ret;

	do {
		ret = raw(slot->fd, MBOX_IOC_SEND, &msg);
		__atomic_fetch_add(&slot->tries, 1, __ATOMIC_SEQ_CST);
	} while (ret == -EAGAIN && !__atomic_load_n(&other->done, __ATOMIC_SEQ_CST));
	return ret;
}

static void prepare_recv(struct slot *slot)
{
	struct step *s = &slot->step;
	void *buf = s->slow ? slot->page.page : s->bad ? bad_address : (void *)slot->data;

	memset(slot->data, POISON, sizeof(slot->data));
	slot->msg = msg_of(buf, s->len, s->flags);
	slot->msg.type = s->type;
	slot->msg.skip = s->skip;
	slot->msg.token = POISON32;
	slot->msg.lost = POISON32;
	slot->msg.flags |= s->block_mode == DONTWAIT ? MBOX_DONTWAIT : 0;
	slot->msg.deadline_ns = s->block_mode == PAST_DEADLINE;
	attach_files(&slot->msg, slot->fds, s->files);
}

/* Its content is not compared when its copy has failed. */
static void finish_recv(struct slot *slot, long ret)
{
	if (slot->step.slow && ret > 0)
		memcpy(slot->data, slot->page.page, ret < slot->step.len ? ret : slot->step.len);
	if (ret >= 0)
		look_at_files(slot);
}

static long recv_step(struct slot *slot)
{
	long ret;

	prepare_recv(slot);
	if (slot->step.plain)
		return neg(read(slot->fd, (void *)(uintptr_t)slot->msg.buf, slot->step.len));
	ret = raw(slot->fd, MBOX_IOC_RECV, &slot->msg);
	finish_recv(slot, ret);
	return ret;
}

/* How often this thread has slept. */
static long count_sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static __u64 call_deadline(const struct step *s)
{
	switch (s->block_mode) {
	case PAST_DEADLINE:
		return 1;
	case EXPIRES:
		return in_ms(CLOCK_MONOTONIC, 2 * time_factor());
	case LATER:
		return now_ns(CLOCK_MONOTONIC) + later_ns();
	default:
		return 0;
	}
}

/* A call that can carry descriptors both ways. */
static bool has_files(const struct step *s)
{
	return s->files || s->reply_files;
}

static long call_plainly(struct slot *slot, void *buf, void *rep)
{
	struct step *s = &slot->step;
	struct mbox_request request = {
		.buf = (uintptr_t)buf,
		.len = s->len,
		.rep = (uintptr_t)rep,
		.rep_len = s->reply_len,
		.prio = s->prio,
		.type = s->type,
		.deadline_ns = call_deadline(s),
	};
	long ret = raw(slot->fd, MBOX_IOC_CALL, &request);

	return request.ticket ? -EPROTO : ret;
}

static long call_with_files(struct slot *slot, void *buf, void *rep)
{
	struct step *s = &slot->step;
	struct mbox_msg req = msg_of(buf, s->len, 0);
	struct mbox_callmsg arg = {
		.req = (uintptr_t)&req,
		.rep = (uintptr_t)&slot->msg,
		.msg_size = sizeof(req),
	};
	long ret;

	req.prio = s->prio;
	req.type = s->type;
	req.deadline_ns = call_deadline(s);
	attach_files(&req, slot->sent, s->files);
	slot->msg = msg_of(rep, s->reply_len, 0);
	attach_files(&slot->msg, slot->fds, s->reply_files);
	ret = raw(slot->fd, MBOX_IOC_CALLMSG, &arg);
	if (ret >= 0)
		look_at_files(slot);
	return arg.ticket || (ret >= 0 && slot->msg.len != ret) ? -EPROTO : ret;
}

/* This one can do without waiting only by its handle. */
static long call_step(struct slot *slot)
{
	struct step *s = &slot->step;
	unsigned char data[LEN_LONG];
	void *buf = s->bad ? bad_address : data;
	void *rep = s->reply_bad ? bad_address : slot->data;
	long ret, sleeps;

	memset(slot->data, POISON, sizeof(slot->data));
	fill(data, s->id, s->len);
	if (!open_files(slot))
		return -EPROTO;
	if (s->block_mode == DONTWAIT)
		fcntl(slot->fd, F_SETFL, O_NONBLOCK);
	sleeps = count_sleeps();
	ret = has_files(s) ? call_with_files(slot, buf, rep) : call_plainly(slot, buf, rep);
	slot->late = ret == -ETIMEDOUT && count_sleeps() == sleeps;
	if (s->block_mode == DONTWAIT)
		fcntl(slot->fd, F_SETFL, 0);
	close_files(slot->sent, s->files);
	return ret;
}

/* Of the calls that were started with that handle, how many have ended and were not fetched. */
static long count_ended(int fd)
{
	long n = fdinfo_number(fd, "mbox-calls-ended:");

	/* Before the first one, there is no such line. */
	return n < 0 ? 0 : n;
}

/* Until so many have. It does not sleep: a worker that does waits for another one. */
static bool await_ended(int fd, long n)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (count_ended(fd) != n) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return false;
		sched_yield();
	}
	return true;
}

/* None, one that has passed, passes soon or with AGE, or one long after the sequence. */
static __u64 start_deadline(const struct step *s)
{
	__u64 deadline = call_deadline(s);

	return deadline || !(s->id % 2) ? deadline : in_ms(CLOCK_MONOTONIC, 3600 * 1000);
}

/* If it has a deadline that passes, the step is over when its call has ended. */
static long start_step(struct slot *slot)
{
	struct step *s = &slot->step;
	unsigned char data[LEN_LONG];
	struct mbox_msg req = msg_of(s->bad ? bad_address : data, s->len, 0);
	struct mbox_call_start arg = {
		.req = (uintptr_t)&req, .msg_size = sizeof(req), .rep_max = s->reply_len,
	};
	bool passes = has_deadline(s);
	long ret, sleeps, ended = passes ? count_ended(slot->fd) : 0;

	fill(data, s->id, s->len);
	req.prio = s->prio;
	req.type = s->type;
	req.flags = s->block_mode == DONTWAIT ? MBOX_DONTWAIT : 0;
	attach_files(&req, slot->sent, s->files);
	if (!open_files(slot))
		return -EPROTO;
	sleeps = count_sleeps();
	req.deadline_ns = start_deadline(s);
	ret = raw(slot->fd, MBOX_IOC_CALL_START, &arg);
	slot->late = ret == -ETIMEDOUT && count_sleeps() == sleeps;
	close_files(slot->sent, s->files);
	slot->call = arg.token;
	return !ret && passes && !await_ended(slot->fd, ended + 1) ? -EPROTO : ret;
}

static long fetch_step(struct slot *slot)
{
	struct step *s = &slot->step;
	struct mbox_msg *rep = &slot->msg;
	struct mbox_call_wait arg = {
		.token = slot->token,
		.rep = (uintptr_t)rep,
		.msg_size = sizeof(*rep),
		.deadline_ns = s->block_mode == PAST_DEADLINE,
	};
	long ret;

	memset(slot->data, POISON, sizeof(slot->data));
	*rep = msg_of(s->bad ? bad_address : (void *)slot->data, s->len, s->flags);
	rep->flags |= s->block_mode == DONTWAIT ? MBOX_DONTWAIT : 0;
	attach_files(rep, slot->fds, s->files);
	ret = raw(slot->fd, MBOX_IOC_CALL_WAIT, &arg);
	slot->call = arg.ended ? arg.token : 0;
	if (ret >= 0)
		look_at_files(slot);
	/* One that has a reply has ended, and its length is told. */
	return ret >= 0 && (!arg.ended || rep->len != ret) ? -EPROTO : ret;
}

static long cancel_step(struct slot *slot)
{
	struct mbox_call_cancel arg = { .token = slot->token };

	return raw(slot->fd, MBOX_IOC_CALL_CANCEL, &arg);
}

static long reply_with_files(struct slot *slot, const struct mbox_reply *reply)
{
	struct mbox_replymsg arg = {
		.token = reply->token,
		.buf = reply->buf,
		.len = reply->len,
		.nfds = slot->step.files,
		.fds = (uintptr_t)slot->sent,
	};
	long ret;

	if (!open_files(slot))
		return -EPROTO;
	ret = raw(slot->fd, MBOX_IOC_REPLYMSG, &arg);
	close_files(slot->sent, slot->step.files);
	return ret;
}

static long reply_step(struct slot *slot)
{
	struct step *s = &slot->step;
	unsigned char data[LEN_LONG];
	struct mbox_reply_recv arg = {
		.reply = {
			.token = slot->token,
			.buf = (uintptr_t)(s->reply_bad ? bad_address : data),
			.len = s->reply_len,
		},
		.next = (uintptr_t)&slot->msg,
		.next_size = sizeof(slot->msg),
	};
	long ret;

	fill(data, s->id, s->reply_len);
	if (s->op == REPLY)
		return s->files ? reply_with_files(slot, &arg.reply) :
				  raw(slot->fd, MBOX_IOC_REPLY, &arg.reply);
	prepare_recv(slot);
	ret = raw(slot->fd, MBOX_IOC_REPLY_RECV, &arg);
	finish_recv(slot, ret);
	slot->replied = !arg.reply.token;
	return ret;
}

static long lease_step(struct slot *slot)
{
	struct mbox_lease arg = {
		.token = slot->token,
		/* Longer than any sequence. */
		.delay_ns = slot->step.number ? 3600 * 1000 * NSEC_PER_MSEC : 0,
	};

	return raw(slot->fd, slot->step.op == ACK ? MBOX_IOC_ACK : MBOX_IOC_NACK, &arg);
}

static long expel_step(struct slot *slot)
{
	struct mbox_expel arg = { .reader = slot->step.number, .unread = slot->step.skip };
	long ret = raw(slot->fd, MBOX_IOC_EXPEL, &arg);

	return ret ? ret : EXPELLED(arg.reader, arg.unread);
}

static long choose_step(struct slot *slot)
{
	struct mbox_set_reader arg = { .policy = slot->step.number };

	return raw(slot->fd, MBOX_IOC_SET_READER, &arg);
}

static long carry_out(struct slot *slot)
{
	struct step *s = &slot->step;

	switch (s->op) {
	case OPEN:
		slot->fd = slot->id ? raw_open_id(slot->id, s->number | O_CLOEXEC) :
				      raw_direct(slot->peer, s->number | O_CLOEXEC);
		return slot->fd < 0 ? slot->fd : 0;
	case CLOSE:
		return neg(close(slot->fd));
	case SEND:
		return s->rival == NO_RIVAL ? send_step(slot) : try_to_send(slot);
	case RECV:
		return recv_step(slot);
	case CALL:
		return call_step(slot);
	case START:
		return start_step(slot);
	case FETCH:
		return fetch_step(slot);
	case CANCEL:
		return cancel_step(slot);
	case REPLY:
	case REPLY_RECV:
		return reply_step(slot);
	case CAPACITY:
		return raw_set_capacity(slot->fd, s->number);
	case DESTROY:
		return raw_destroy(slot->fd);
	case ACK:
	case NACK:
		return lease_step(slot);
	case EXPEL:
		return expel_step(slot);
	case CHOOSE:
		return choose_step(slot);
	default:
		return -ENOSYS;
	}
}

bool is_done(struct slot *slot)
{
	return __atomic_load_n(&slot->done, __ATOMIC_SEQ_CST);
}

/*
 * A user is a real uid. It is this thread's alone, and all that a worker may do
 * comes from the effective one, which stays.
 */
static long change_user(int user)
{
	return neg(syscall(SYS_setresuid, user ? USER_B : USER_A, -1, -1));
}

/* Its limits are those of any user. */
static long drop_cap_resource(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return neg(-1);
	data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
	return neg(syscall(SYS_capset, &head, data));
}

static __thread struct slot *own_slot;

static void note_restart(int sig)
{
	__atomic_fetch_add(&own_slot->signals, 1, __ATOMIC_SEQ_CST);
}

static void *work(void *arg)
{
	struct slot *slot = arg;

	own_slot = slot;
	slot->pid = getpid();
	slot->tid = syscall(SYS_gettid);
	slot->ret = change_user(slot->step.worker % NUSERS);
	if (!slot->ret)
		slot->ret = drop_cap_resource();
	__atomic_store_n(&slot->done, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		while (sem_wait(&slot->go))
			;
		if (slot->quit)
			return NULL;
		if (slot->nice != slot->step.nice)
			setpriority(PRIO_PROCESS, slot->tid, slot->step.nice);
		slot->nice = slot->step.nice;
		__atomic_store_n(&slot->picked, 1, __ATOMIC_SEQ_CST);
		slot->ret = carry_out(slot);
		__atomic_store_n(&slot->done, 1, __ATOMIC_SEQ_CST);
	}
}

static int work_in_child(void *arg)
{
	work(arg);
	return 0;
}

int start_workers(struct executor *c, bool one_cpu)
{
	struct sigaction restarts = { .sa_handler = note_restart, .sa_flags = SA_RESTART };
	struct slow page;
	int i;

	if (one_cpu)
		CHECK_EQ(0, stay_on(sched_getcpu()));
	c->seed = random_seed();
	c->random.state = c->seed;
	CHECK_EQ(0, catch_signal(SIGUSR1, 0));
	CHECK_EQ(0, neg(sigaction(SIGUSR2, &restarts, NULL)));
	c->user_bytes = param_get("user_bytes");
	CHECK(c->user_bytes > 0);
	c->cost[0] = cost_with(LEN_MAX, MBOX_DROP_OLDEST, 0);
	c->cost[1] = cost_with(LEN_LONG, MBOX_DROP_OLDEST, 0);
	c->cost[2] = cost_of_sender();
	CHECK(c->cost[0] == (__u64)cost_with(0, MBOX_DROP_OLDEST, 0));
	c->slow = !slow_init(&page);
	if (c->slow)
		slow_end(&page);
	c->device = open_device();
	CHECK(c->device >= 0);
	bad_address = bad_buffer();
	CHECK(bad_address != MAP_FAILED);
	c->slot = shared_memory(NWORKERS * sizeof(*c->slot));
	CHECK(!!c->slot);
	for (i = 0; i < NWORKERS; i++) {
		CHECK_EQ(0, sem_init(&c->slot[i].go, 1, 0));
		c->slot[i].step.worker = i;
	}
	/* The processes first: a fork takes no threads along. */
	for (i = 0; i < NWORKERS / 2; i++) {
		c->child[i] = spawn(work_in_child, &c->slot[i]);
		CHECK(c->child[i] > 0);
	}
	for (; i < NWORKERS; i++)
		CHECK_EQ(0, thread_start(&c->thread[i], work, &c->slot[i]));
	for (i = 0; i < NWORKERS; i++) {
		while (!is_done(&c->slot[i]))
			sched_yield();
		CHECK_EQ(0, c->slot[i].ret);
	}
	c->pidfd = syscall(SYS_pidfd_open, c->slot[0].pid, 0);
	CHECK(c->pidfd >= 0);
	return 0;
}

void stop_workers(struct executor *c)
{
	int i;

	for (i = 0; i < NWORKERS; i++) {
		c->slot[i].quit = true;
		sem_post(&c->slot[i].go);
	}
	for (i = 0; i < NWORKERS / 2; i++)
		reap(c->child[i]);
	for (; i < NWORKERS; i++)
		pthread_join(c->thread[i], NULL);
	munmap(c->slot, NWORKERS * sizeof(*c->slot));
	munmap(bad_address, 4096);
	close(c->pidfd);
	close(c->device);
	param_set("user_bytes", c->user_bytes);
}

/* ---- lifespans and deadlines ------------------------------------------------ */

/*
 * If @s has a lifespan or a deadline that comes with AGE, that time begins now; or (@latest) it
 * has begun by now.
 */
void note_end(struct executor *c, const struct step *s, bool latest)
{
	if (s->lifespan == SOON)
		c->ends[latest] = now_ns(CLOCK_MONOTONIC) + lifespan_ns();
	else if (s->block_mode == LATER)
		c->ends[latest] = now_ns(CLOCK_MONOTONIC) + later_ns();
}

/* Of the calls that worker @slot has started: those that go on, and those that have ended. */
static void count_calls(const struct slot *slot, long *counts)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", slot->pid, slot->fd);
	counts[0] = number_in_file(path, "mbox-calls:");
	counts[1] = number_in_file(path, "mbox-calls-ended:");
}

/*
 * The kernel ends a call that was started some time after its deadline. Afterwards there is
 * one less that goes on, or, if the worker starts the next one meanwhile, one more that has
 * ended. A call that has ended already changes nothing.
 */
static void await_end_of_call(struct executor *c, int caller, const long *before)
{
	__s64 limit = c->ends[1] + 200 * NSEC_PER_MSEC * time_factor();
	long now[2];

	do {
		usleep(1000);
		count_calls(&c->slot[caller], now);
	} while (now[0] >= before[0] && now[1] <= before[1] && now_ns(CLOCK_MONOTONIC) < limit);
	c->patience = 5;
}

/* Until it has ended. @caller: of the worker that has started a call, or -1. */
void await_end(struct executor *c, int caller)
{
	long before[2] = { 0 };
	int i;

	if (caller >= 0)
		count_calls(&c->slot[caller], before);
	c->missed = now_ns(CLOCK_MONOTONIC) >= c->ends[0];
	/* A call that waits ends by itself now. */
	for (i = 0; i < NWORKERS; i++)
		if (!is_done(&c->slot[i]) && c->slot[i].step.block_mode == LATER)
			c->slot[i].step.block_mode = EXPIRES;
	while (now_ns(CLOCK_MONOTONIC) <= c->ends[1])
		usleep(1000);
	if (caller >= 0)
		await_end_of_call(c, caller, before);
}

/* ---- steps ------------------------------------------------------------------ */

/* Give a worker its step. */
void issue(struct executor *c, const struct step *s, __u64 id)
{
	struct slot *slot = &c->slot[s->worker];

	slot->step = *s;
	slot->id = id;
	slot->handles_of = c->leaf >= 0 ? c->leaf_id : 0;
	slot->peer = c->slot[side_of(s->worker) ? 0 : NWORKERS - 1].pid;
	slot->token = s->request == NO_REQUEST		    ? 0 :
		      s->op == FETCH || s->op == CANCEL ? c->call[s->request] :
							    c->token[s->request];
	slot->late = false;
	note_end(c, s, false);
	if (s->slow)
		slot->is_slow = !slow_init(&slot->page);
	slot->picked = 0;
	slot->done = 0;
	sem_post(&slot->go);
}

/* Have the rival of a step try to send, before and while it is made. */
void issue_rival(struct executor *c, const struct step *s, __u32 len, __u64 id)
{
	struct slot *slot = &c->slot[s->rival];
	struct step try = {
		.op = SEND, .worker = s->rival, .rival = s->worker, .len = len,
		.request = NO_REQUEST,
	};

	c->slot[s->worker].done = 0;
	slot->tries = 0;
	issue(c, &try, id);
	while (!__atomic_load_n(&slot->tries, __ATOMIC_SEQ_CST))
		sched_yield();
}

/* Let a slow copy go on, or what is left of it. */
void release(struct slot *slot, bool fail)
{
	if (fail)
		slow_fail(&slot->page);
	else
		slow_go_on(&slot->page);
}

/* Of a call that has ended. */
void forget_page(struct slot *slot)
{
	if (slot->is_slow)
		slow_end(&slot->page);
	slot->is_slow = false;
}

/* A signal whose handler has SA_RESTART. Returns whether that has run. */
bool restart(struct slot *slot)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	slot->signals = 0;
	syscall(SYS_tgkill, slot->pid, slot->tid, SIGUSR2);
	while (!__atomic_load_n(&slot->signals, __ATOMIC_SEQ_CST)) {
		if (now_ns(CLOCK_MONOTONIC) > limit)
			return false;
		sched_yield();
	}
	return true;
}

/* Stop a process. Returns whether it has stopped. */
bool stop(struct slot *slot)
{
	int status;

	return !kill(slot->pid, SIGSTOP) &&
	       waitpid(slot->pid, &status, WUNTRACED) == slot->pid && WIFSTOPPED(status);
}

/* ---- what has to come out ----------------------------------------------- */

static bool same_number(FILE *out, const char *name, __u64 want, __u64 got)
{
	if (want == got)
		return true;
	SAY(out, "#   stat: %s is %llu, not %llu\n", name, (unsigned long long)got,
	    (unsigned long long)want);
	return false;
}

static bool same_numbers(FILE *out, const struct mbox_stat *want, const struct mbox_stat *got)
{
	bool same = same_number(out, "capacity", want->attr.capacity, got->attr.capacity);
	__u64 waited = 0;
	int i;

	same &= same_number(out, "queued", want->queued, got->queued);
	same &= same_number(out, "bytes", want->bytes, got->bytes);
	same &= same_number(out, "waiting_senders", want->waiting_senders, got->waiting_senders);
	same &= same_number(out, "waiting_receivers", want->waiting_receivers,
			    got->waiting_receivers);
	same &= same_number(out, "sent", want->sent, got->sent);
	same &= same_number(out, "received", want->received, got->received);
	same &= same_number(out, "dropped", want->dropped, got->dropped);
	same &= same_number(out, "expired", want->expired, got->expired);
	same &= same_number(out, "send_handles", want->send_handles, got->send_handles);
	same &= same_number(out, "recv_handles", want->recv_handles, got->recv_handles);
	same &= same_number(out, "highest", want->highest, got->highest);
	same &= same_number(out, "leased", want->leased, got->leased);
	same &= same_number(out, "redelivered", want->redelivered, got->redelivered);
	same &= same_number(out, "dead_letters", want->dead_letters, got->dead_letters);
	/* How long is up to the machine. */
	for (i = 0; i < MBOX_WAIT_BUCKETS; i++)
		waited += got->waited[i];
	same &= same_number(out, "waited", want->received, waited);
	return same;
}

/* Whether the @i-th letter to be received is @want. */
static bool same_letter(struct executor *c, FILE *out, __u32 i, const struct message *want)
{
	unsigned char data[LEN_LONG];
	struct mbox_msg msg = msg_of(data, sizeof(data), MBOX_PEEK | MBOX_DONTWAIT);
	__u32 j = 0;
	long ret;

	msg.skip = i;
	ret = raw(c->letters, MBOX_IOC_RECV, &msg);
	while (j < want->len && ret == want->len && data[j] == data_byte(want->id, j))
		j++;
	if (ret == want->len && j == want->len && msg.prio == want->prio &&
	    msg.type == want->type && !msg.token)
		return true;
	SAY(out, "#   dead letter %u is not message %d\n", i, want->id);
	return false;
}

/* Whether the mailbox for dead letters has what it should. */
static bool same_letters(struct executor *c, FILE *out, const struct letters *l)
{
	struct mbox_stat got;
	bool same = true;
	__u64 bytes = 0;
	int i;

	if (c->letters < 0)
		return true;
	CHECK_EQ(0, raw_stat(c->letters, &got));
	for (i = 0; i < l->n; i++)
		bytes += l->list[i].len;
	same &= same_number(out, "letters, queued", l->n, got.queued);
	same &= same_number(out, "letters, bytes", bytes, got.bytes);
	same &= same_number(out, "letters, sent", l->sent, got.sent);
	same &= same_number(out, "letters, dropped", l->dropped, got.dropped);
	same &= same_number(out, "letters, highest", l->highest, got.highest);
	if (!same || c->seen == l->sent)
		return same;
	for (i = 0; i < l->n && same; i++)
		same = same_letter(c, out, i, &l->list[i]);
	if (same)
		c->seen = l->sent;
	return same;
}

/* Whether each handle counts that goes with a message; and the executor's own. */
static bool same_handles(struct executor *c, FILE *out, const struct model *m)
{
	struct handles want = count_handles(m);
	struct mbox_stat got;
	bool same = true;

	if (c->leaf < 0)
		return true;
	CHECK_EQ(0, raw_stat(c->leaf, &got));
	same &= same_number(out, "send_handles, in messages", want.send + 1, got.send_handles);
	same &= same_number(out, "recv_handles, in messages", want.recv + 1, got.recv_handles);
	return same;
}

/* By walking: no handle of the executor's shall count. */
static bool same_state(struct executor *c, FILE *out, const struct model *m, __u64 id)
{
	struct mbox_walk pos = { .id = id - 1 };
	struct mbox_stat want = { 0 };
	bool gone;

	if (!same_letters(c, out, &m->letters) || !same_handles(c, out, m))
		return false;
	gone = raw(c->device, MBOX_IOC_WALK, &pos) || pos.id != id;
	if (gone || m->dead) {
		if (gone != m->dead)
			SAY(out, "#   the mailbox is %s\n", gone ? "gone" : "still there");
		return gone == m->dead;
	}
	model_stat(m, &want);
	return same_numbers(out, &want, &pos.stat);
}

/* A worker's handle tells the state to other processes, too. */
static long stat_of_worker(struct executor *c, int worker, struct mbox_stat *st)
{
	struct slot *slot = &c->slot[worker];
	int fd = slot->fd;
	long ret;

	memset(st, 0, sizeof(*st));
	if (side_of(worker))
		return raw_stat(fd, st);
	fd = syscall(SYS_pidfd_getfd, c->pidfd, fd, 0);
	if (fd < 0)
		return neg(fd);
	ret = raw_stat(fd, st);
	close(fd);
	return ret;
}

/* What a side receives from, as long as a worker has a handle. */
static bool same_sides(struct executor *c, FILE *out, struct world *w)
{
	struct mbox_stat want, got;
	bool same = true;
	struct model *m;
	long ret;
	int i;

	for (i = 0; i < NWORKERS; i++) {
		m = from_of(w, i);
		if (m->access[i] < 0)
			continue;
		ret = stat_of_worker(c, i, &got);
		if (ret != (m->dead ? -EIDRM : 0)) {
			SAY(out, "#   stat: worker %d gets %ld\n", i, ret);
			same = false;
			continue;
		}
		memset(&want, 0, sizeof(want));
		model_stat(m, &want);
		if (!m->dead && !same_numbers(out, &want, &got)) {
			SAY(out, "#   with the handle of worker %d\n", i);
			same = false;
		}
	}
	return same;
}

static bool same_meta(FILE *out, const struct slot *slot, const struct outcome *want)
{
	const struct message *msg = &want->msg;
	const struct mbox_msg *got = &slot->msg;

	if (got->prio == msg->prio && got->type == msg->type && got->len == msg->len &&
	    !got->token == !want->token && got->lost == want->lost &&
	    (!(slot->step.flags & MBOX_LEASE) || got->deliveries == msg->deliveries) &&
	    !(got->flags & MBOX_LOST) == !want->lost)
		return true;
	SAY(out, "#   worker %d got prio %u, type %llu, length %u, %s token, lost %llu%s, %u deliveries\n",
	    slot->step.worker, got->prio, (unsigned long long)got->type, got->len,
	    got->token ? "a" : "no", (unsigned long long)got->lost,
	    got->flags & MBOX_LOST ? " and said so" : "", got->deliveries);
	return false;
}

/* The descriptors of a message that was received, or of a reply. */
static bool same_files(FILE *out, const struct slot *slot, const struct outcome *want)
{
	bool same = slot->msg.nfds == want->files &&
		    !(slot->msg.flags & MBOX_CTRUNC) == !want->no_files;
	__u32 i;

	for (i = 0; i < want->files && same; i++)
		same = slot->files[i] == mark_of_file(slot, want->msg.id, i);
	if (!same)
		SAY(out, "#   worker %d got %u descriptors%s, not %u%s, or other ones\n",
		    slot->step.worker, slot->msg.nfds,
		    slot->msg.flags & MBOX_CTRUNC ? " of more" : "", want->files,
		    want->no_files ? " of more" : "");
	return same;
}

/* Whether the end of a call was told, and of which. */
static bool same_end(struct executor *c, FILE *out, const struct slot *slot,
		     const struct outcome *want)
{
	if (slot->step.op != FETCH || slot->call == (want->fetched ? c->call[want->end_of] : 0))
		return true;
	SAY(out, "#   worker %d was %stold of the end of a call, or of another\n",
	    slot->step.worker, slot->call ? "" : "not ");
	return false;
}

static bool same_message(FILE *out, const struct slot *slot, const struct outcome *want)
{
	const struct step *s = &slot->step;
	const struct message *msg = &want->msg;
	bool bad = s->op == CALL ? s->reply_bad : s->bad;
	bool buffer = receives(s) || s->op == FETCH;
	__u32 i, n = buffer && s->len < msg->len ? s->len : msg->len;

	/* The end of the file brings none. */
	if (!(buffer || s->op == CALL) || want->ret < 0 || (s->plain && !want->ret))
		return true;
	if (receives(s) && !s->plain && !same_meta(out, slot, want))
		return false;
	if (((receives(s) && !s->plain) || s->op == FETCH || (s->op == CALL && has_files(s))) &&
	    !same_files(out, slot, want))
		return false;
	for (i = 0; i < n && !bad; i++)
		if (slot->data[i] != data_byte(msg->id, i)) {
			SAY(out, "#   worker %d did not get %s %d\n", s->worker,
			    receives(s) ? "message" : "reply", msg->id);
			return false;
		}
	if (slot->data[n] != POISON) {
		SAY(out, "#   worker %d got more than the message\n", s->worker);
		return false;
	}
	return true;
}

/* Whether a call that replies and then fails says that it has replied. */
static bool same_reply(FILE *out, const struct slot *slot, const struct outcome *want)
{
	const struct step *s = &slot->step;
	bool replied = (want->replied && want->ret < 0) || want->restarted;

	if (s->op != REPLY_RECV || s->request == NO_REQUEST || slot->replied == replied)
		return true;
	SAY(out, "#   worker %d has %sreplied\n", s->worker, slot->replied ? "" : "not ");
	return false;
}

static const char *result_text(char *text, long ret)
{
	if (ret < 0)
		snprintf(text, 32, "%s", strerrorname_np(-ret) ?: "?");
	else
		snprintf(text, 32, "%ld", ret);
	return text;
}

static bool same_results(struct executor *c, FILE *out, const struct world *w)
{
	const struct outcome *want;
	char got_text[32], want_text[32];
	bool same = true;
	struct slot *slot;
	int i;

	for (i = 0; i < NWORKERS; i++) {
		slot = &c->slot[i];
		want = &w->out[i];
		if (!is_done(slot) || !want->done) {
			if (is_done(slot) != want->done) {
				SAY(out, "#   worker %d %s, not %s\n", i,
				    is_done(slot) ? result_text(got_text, slot->ret) : "waits",
				    want->done ? result_text(want_text, want->ret) : "waits");
				same = false;
			}
			continue;
		}
		if (!want->now)
			continue;
		if (slot->ret != want->ret) {
			SAY(out, "#   worker %d: %s, not %s\n", i,
			    result_text(got_text, slot->ret), result_text(want_text, want->ret));
			same = false;
		} else if (!same_message(out, slot, want) || !same_reply(out, slot, want) ||
			   !same_end(c, out, slot, want)) {
			same = false;
		}
	}
	return same;
}

/*
 * Whether worker @slot sleeps in its call, which only another one can end. Its
 * state alone does not say so, because that is set before it looks for the last
 * time whether it has been served. The kernel tells the call of a task only when
 * it does not run.
 */
static bool is_asleep(struct slot *slot)
{
	char path[64], text[256];
	const char *state;

	if (!__atomic_load_n(&slot->picked, __ATOMIC_SEQ_CST))
		return false;
	/* It will end by itself. */
	if (slot->step.block_mode == EXPIRES)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", slot->pid, slot->tid);
	if (read_file(path, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", slot->pid, slot->tid);
	if (read_file(path, text, sizeof(text)))
		return false;
	state = strrchr(text, ')');
	return state && (state[2] == 'S' || state[2] == 'T');
}

static bool all_done_or_asleep(struct executor *c)
{
	bool done[NWORKERS];
	int i;

	for (i = 0; i < NWORKERS; i++)
		done[i] = is_done(&c->slot[i]);
	for (i = 0; i < NWORKERS; i++)
		if (!done[i] && (!is_asleep(&c->slot[i]) || is_done(&c->slot[i])))
			return false;
	return true;
}

/*
 * Nothing will happen any more. One check is not enough: a worker that was seen asleep may
 * have been woken by one that had gone to sleep itself when it was looked at.
 */
static bool at_rest(struct executor *c)
{
	int i;

	for (i = 0; i < NWORKERS; i++)
		if (!all_done_or_asleep(c))
			return false;
	return true;
}

/* On a busy machine, a lifespan or a deadline may have ended that was to go on. */
static bool is_too_old(const struct executor *c, const struct world *w)
{
	bool mortal = c->mortal || (!w->link && has_mortal(&w->queue[0]));

	return c->missed || (mortal && now_ns(CLOCK_MONOTONIC) >= c->ends[0]);
}

/* Or a deadline that was to pass in a call had passed before. */
static bool came_late(struct executor *c, const struct world *w)
{
	int i;

	for (i = 0; i < NWORKERS; i++)
		if (w->out[i].now && c->slot[i].step.block_mode == EXPIRES && c->slot[i].late)
			return true;
	return false;
}

static bool is_as_it_should(struct executor *c, FILE *out, struct world *w, __u64 id)
{
	bool same = same_results(c, out, w);

	/* What handles there are is known when the results are. */
	if (!same && (!out || w->link))
		return false;
	return (w->link ? same_sides(c, out, w) : same_state(c, out, &w->queue[0], id)) && same;
}

/*
 * Stat of a link does not show senders to a side without a handle. So for links it
 * is not enough that nothing differs.
 */
static bool may_agree(struct executor *c, const struct world *w)
{
	return !(w->link || c->rest) || (same_results(c, NULL, w) && at_rest(c));
}

/*
 * Whether all is still at rest when what has ended is dropped: workers that wait with it are
 * woken by a timer, or by any call before that.
 */
static bool expires_nothing(struct executor *c, __u64 id)
{
	struct mbox_walk pos = { .id = id - 1 };

	raw(c->device, MBOX_IOC_WALK, &pos);
	return at_rest(c);
}

/* Until all is as the model says; false if it comes to rest otherwise. */
bool agrees(struct executor *c, struct world *w, __u64 id)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	int looks = 0;

	c->late = false;
	for (;;) {
		if (may_agree(c, w) && is_as_it_should(c, NULL, w, id)) {
			c->late = is_too_old(c, w);
			return true;
		}
		sched_yield();
		if (++looks % 64)
			continue;
		if (at_rest(c) && (w->link || expires_nothing(c, id))) {
			if (is_as_it_should(c, NULL, w, id)) {
				c->late = is_too_old(c, w);
				return true;
			}
			if (!c->patience--)
				break;
			usleep(1000);
		}
		if (now_ns(CLOCK_MONOTONIC) > limit) {
			SAY(c->report, "#   a worker neither waits nor returns\n");
			break;
		}
	}
	c->late = came_late(c, w) || is_too_old(c, w);
	if (!c->late)
		is_as_it_should(c, c->report, w, id);
	return false;
}

/*
 * Keep the tokens that the last step brought, for the workers that are to reply. Returns
 * whether they are new.
 */
bool keep_tokens(struct executor *c, const struct world *w)
{
	const struct outcome *out;
	__u64 token;
	int i, j;

	for (i = 0; i < NWORKERS; i++) {
		out = &w->out[i];
		if (out->now && !out->ret && out->call.op == START)
			c->call[out->call.id] = c->slot[i].call;
		if (!out->now || out->ret < 0 || !out->token)
			continue;
		token = c->slot[i].msg.token;
		for (j = 0; j < SEQUENCE_MAX; j++)
			if (c->token[j] == token) {
				SAY(c->report, "#   worker %d got an old token\n", i);
				return false;
			}
		c->token[out->msg.id] = token;
	}
	return true;
}
