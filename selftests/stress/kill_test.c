// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGKILL at random moments. Processes send, receive, wait, peek, create and
 * destroy until they are killed; then the books are balanced.
 *
 * All writing happens in memory that outlives the process: a sender notes that
 * it is about to send, and then how that ended; a receiver receives into such
 * memory, so that a message that it took, and could not note any more, is found
 * in its buffer. So there is no moment at which a kill makes a message's fate
 * unknown, but for a send that was cut off: it may have happened or not.
 *
 * MBOX_SEED repeats the choices of a run (not the scheduler's), MBOX_KILLS says
 * how many processes each test kills.
 */
#include "kill.h"

#define NWORKERS 6
#define BATCH 4
/* Messages that a sender has; after these it is idle. */
#define SEQ_MAX 2000
/* Priority and type of a message; within one, a sender's are in order. */
#define NCLASSES 4
#define PARCEL_MAX 6000

/* One message: its sender and its number determine the rest. */
struct parcel {
	__u32 sender;
	__u32 seq;
	unsigned char filler[PARCEL_MAX - 8];
};

enum role { SENDER, SYNC_SENDER, RECEIVER, PEEKER, NROLES };

/* What a sender knows of a message. */
enum outcome {
	UNTOUCHED,
	/* In a call that has not returned; if killed, it never does. */
	ATTEMPTED,
	SENT,
	/* The call failed, and the message is not received. */
	GAVE_UP,
};

/**
 * struct worker - what a process leaves behind
 * @started: it runs
 * @error_line: where it found something wrong
 * @error: and the error number there
 * @outcome: by sequence number, from 1
 * @log: messages received, as sender << 16 | sequence number
 * @nlog: how many
 * @buf: where messages are received
 */
struct worker {
	enum role role;
	__u32 id;
	pid_t pid;
	struct random random;
	__u32 started;
	__u32 error_line;
	long error;
	__u8 outcome[SEQ_MAX + 1];
	__u32 log[NWORKERS * SEQ_MAX];
	__u32 nlog;
	struct parcel buf[BATCH];
};

/* Where a message is found: in what a receiver noted, in a dead one's buffer, or queued. */
struct place {
	enum { LOGGED, IN_HAND, QUEUED } kind;
	__u32 receiver;
	/* Number in its log, or of its buffer. */
	__u32 at;
};

/* The books of one round. */
struct books {
	struct worker worker[NWORKERS];
	/* How often each message was received, and left in a dead one's buffer. */
	__u8 received[NWORKERS][SEQ_MAX + 1];
	__u8 found[NWORKERS][SEQ_MAX + 1];
	/* Where it was found first. */
	struct place place[NWORKERS][SEQ_MAX + 1];
	/* The last that was received. */
	__u32 last[NWORKERS][NCLASSES];
};

static __u32 hash(__u32 sender, __u32 seq)
{
	struct random r = { ((__u64)sender << 32) + seq };

	return random_next(&r);
}

static unsigned int class_of(__u32 sender, __u32 seq)
{
	return hash(sender, seq) % NCLASSES;
}

/* Few are longer than one piece of kernel memory. */
static __u32 parcel_len(__u32 sender, __u32 seq)
{
	__u32 h = hash(sender, seq) >> 8;

	return 8 + (h % 16 ? h / 16 % 80 : h / 16 % (PARCEL_MAX - 8));
}

static unsigned char filler_byte(__u32 sender, __u32 seq)
{
	return sender * 37 + seq;
}

static void parcel_fill(struct parcel *p, __u32 sender, __u32 seq)
{
	p->sender = sender;
	p->seq = seq;
	memset(p->filler, filler_byte(sender, seq), parcel_len(sender, seq) - 8);
}

static bool parcel_intact(const struct parcel *p, long len)
{
	long i;

	if (p->sender >= NWORKERS || !p->seq || p->seq > SEQ_MAX ||
	    len != parcel_len(p->sender, p->seq))
		return false;
	for (i = 0; i < len - 8; i++)
		if (p->filler[i] != filler_byte(p->sender, p->seq))
			return false;
	return true;
}

/* ---- the processes ------------------------------------------------------ */

#define WORKER_CHECK(w, cond) do {			\
	if (!(cond)) {					\
		(w)->error = errno;			\
		(w)->error_line = __LINE__;		\
		_exit(1);				\
	}						\
} while (0)

static struct mbox_msg parcel_msg(struct parcel *p, __u32 sender, __u32 seq, __u32 flags)
{
	struct mbox_msg msg = msg_of(p, parcel_len(sender, seq), flags);
	unsigned int class = class_of(sender, seq);

	parcel_fill(p, sender, seq);
	msg.prio = class / 2;
	msg.type = class % 2;
	return msg;
}

static void note_outcome(struct worker *w, __u32 seq, long ret)
{
	WORKER_CHECK(w, !ret || errno == EAGAIN || errno == ETIMEDOUT);
	NOTE(w->outcome[seq], ret ? GAVE_UP : SENT);
}

static void run_sender(struct worker *w, struct mbox *mb)
{
	struct parcel *parcels = calloc(BATCH, sizeof(*parcels));
	__u32 sync = w->role == SYNC_SENDER ? MBOX_SYNC : 0;
	struct mbox_msg msgs[BATCH];
	__u32 seq = 1, i;
	int ret;

	while (seq + BATCH <= SEQ_MAX) {
		NOTE(w->outcome[seq], ATTEMPTED);
		msgs[0] = parcel_msg(parcels, w->id, seq, sync);
		switch (random_below(&w->random, 4)) {
		case 0:
			msgs[0].deadline_ns = soon(&w->random);
			break;
		case 1:
			msgs[0].flags |= MBOX_DONTWAIT;
			break;
		case 2:
			if (class_of(w->id, seq))
				break;
			note_outcome(w, seq, mbox_send(mb, parcels, msgs[0].len, sync));
			seq++;
			continue;
		case 3:
			for (i = 1; i < BATCH; i++) {
				NOTE(w->outcome[seq + i], ATTEMPTED);
				msgs[i] = parcel_msg(&parcels[i], w->id, seq + i, sync);
			}
			ret = mbox_sendmmsg(mb, msgs, BATCH, 0);
			WORKER_CHECK(w, ret == BATCH);
			for (i = 0; i < BATCH; i++)
				NOTE(w->outcome[seq + i], SENT);
			seq += BATCH;
			continue;
		}
		note_outcome(w, seq, mbox_sendmsg(mb, &msgs[0]));
		seq++;
	}
}

static __u32 log_entry(const struct parcel *p)
{
	return p->sender << 16 | p->seq;
}

static void note_received(struct worker *w, int n, const long *len)
{
	int i;

	for (i = 0; i < n; i++) {
		WORKER_CHECK(w, parcel_intact(&w->buf[i], len[i]));
		w->log[w->nlog] = log_entry(&w->buf[i]);
		NOTE(w->nlog, w->nlog + 1);
	}
}

static void be_told(union sigval value)
{
}

/* Now and then it wants to be told, or not any more; another one may be. */
static void maybe_register(struct worker *w, struct mbox *mb)
{
	struct sigevent sev = {
		.sigev_notify = one_in(&w->random, 2) ? SIGEV_THREAD : SIGEV_SIGNAL,
		.sigev_signo = SIGURG,
	};

	if (!one_in(&w->random, 8))
		return;
	if (sev.sigev_notify == SIGEV_THREAD)
		sev.sigev_notify_function = be_told;
	WORKER_CHECK(w, !mbox_notify(mb, one_in(&w->random, 4) ? NULL : &sev) || errno == EBUSY);
}

static void run_receiver(struct worker *w, struct mbox *mb)
{
	struct mbox_msg msgs[BATCH];
	long len[BATCH];
	int i, n;

	for (;;) {
		for (i = 0; i < BATCH; i++) {
			NOTE(w->buf[i].seq, 0);
			msgs[i] = msg_of(&w->buf[i], PARCEL_MAX, 0);
		}
		maybe_register(w, mb);
		switch (random_below(&w->random, 5)) {
		case 0:
			len[0] = mbox_recv(mb, w->buf, PARCEL_MAX, 0);
			break;
		case 1:
			len[0] = mbox_recv(mb, w->buf, PARCEL_MAX, MBOX_DONTWAIT);
			break;
		case 2:
			msgs[0].deadline_ns = soon(&w->random);
			len[0] = mbox_recvmsg(mb, &msgs[0]);
			break;
		case 3:
			msgs[0].flags = MBOX_MATCH;
			msgs[0].type = 1;
			len[0] = mbox_recvmsg(mb, &msgs[0]);
			break;
		default:
			n = mbox_recvmmsg(mb, msgs, BATCH,
					  one_in(&w->random, 2) ? MBOX_WAITFORONE : 0);
			WORKER_CHECK(w, n > 0);
			for (i = 0; i < n; i++)
				len[i] = msgs[i].len;
			note_received(w, n, len);
			continue;
		}
		if (len[0] < 0)
			WORKER_CHECK(w, errno == EAGAIN || errno == ETIMEDOUT);
		else
			note_received(w, 1, len);
	}
}

static void run_peeker(struct worker *w, struct mbox *mb)
{
	for (;;) {
		struct mbox_msg msg = msg_of(w->buf, PARCEL_MAX, MBOX_PEEK);
		long len;

		msg.skip = random_below(&w->random, 3);
		if (one_in(&w->random, 3))
			msg.deadline_ns = soon(&w->random);
		len = mbox_recvmsg(mb, &msg);
		if (len < 0)
			WORKER_CHECK(w, errno == ETIMEDOUT);
		else
			WORKER_CHECK(w, parcel_intact(w->buf, len));
	}
}

/* Handles of its own: their end is part of the test. */
static int run_worker(struct worker *w, __u64 id)
{
	struct mbox *mb;

	WORKER_CHECK(w, !become(USER_A, GROUP_A));
	/*
	 * Its pages are there from now on. Else a killed process that waits for the lock of
	 * its memory in a page fault fails to copy a message: the message goes back to the
	 * mailbox, and its first part stays in the hand.
	 */
	memset(w->buf, 0, sizeof(w->buf));
	mb = mbox_open_id(id, w->role <= SYNC_SENDER ? O_WRONLY : O_RDONLY);
	WORKER_CHECK(w, mb);
	NOTE(w->started, 1);
	switch (w->role) {
	case SENDER:
	case SYNC_SENDER:
		run_sender(w, mb);
		break;
	case RECEIVER:
		run_receiver(w, mb);
		break;
	default:
		run_peeker(w, mb);
	}
	for (;;)
		pause();
}

/* ---- balancing ---------------------------------------------------------- */

#define WRONG(...) do {					\
	fprintf(stderr, "# " __VA_ARGS__);		\
	fputc('\n', stderr);				\
	return -1;					\
} while (0)

static const char *place_text(const struct place *place, char *text, size_t size)
{
	static const char * const kind[] = { "noted", "in hand", "queued" };

	snprintf(text, size, "%s, process %u, %u", kind[place->kind], place->receiver, place->at);
	return text;
}

static int book_received(struct books *b, __u32 (*last)[NCLASSES], __u32 entry,
			 struct place place)
{
	__u32 sender = entry >> 16, seq = entry & 0xffff;
	unsigned int class = class_of(sender, seq);
	char here[64], first[64];

	if (sender >= NWORKERS || b->worker[sender].role > SYNC_SENDER || !seq || seq > SEQ_MAX)
		WRONG("message %#x was never sent", entry);
	if (b->received[sender][seq]++)
		WRONG("message %u of %u, whose outcome is %u, came twice: %s, before %s", seq,
		      sender, b->worker[sender].outcome[seq],
		      place_text(&place, here, sizeof(here)),
		      place_text(&b->place[sender][seq], first, sizeof(first)));
	if (last[sender][class] >= seq)
		WRONG("message %u of %u came after %u: %s", seq, sender, last[sender][class],
		      place_text(&place, here, sizeof(here)));
	last[sender][class] = seq;
	b->place[sender][seq] = place;
	return 0;
}

static void raise_last(__u32 (*to)[NCLASSES], __u32 (*from)[NCLASSES])
{
	int i, j;

	for (i = 0; i < NWORKERS; i++)
		for (j = 0; j < NCLASSES; j++)
			if (to[i][j] < from[i][j])
				to[i][j] = from[i][j];
}

/*
 * What a dead receiver had in its hands. A message of a sender that then gave
 * up may be there, too: the receiver was about to forget it.
 */
static int book_hands(struct books *b, struct worker *w, __u32 (*last)[NCLASSES])
{
	__u32 entry, sender, seq, j;
	int i;

	for (i = 0; i < BATCH; i++) {
		if (!w->buf[i].seq)
			continue;
		entry = log_entry(&w->buf[i]);
		for (j = w->nlog > BATCH ? w->nlog - BATCH : 0; j < w->nlog; j++)
			if (w->log[j] == entry)
				break;
		if (j < w->nlog)
			continue;
		sender = entry >> 16;
		seq = entry & 0xffff;
		if (sender < NWORKERS && seq <= SEQ_MAX &&
		    b->worker[sender].outcome[seq] == GAVE_UP) {
			b->found[sender][seq]++;
			continue;
		}
		if (book_received(b, last, entry, (struct place){ IN_HAND, w->id, i }))
			return -1;
	}
	return 0;
}

static int book_receiver(struct books *b, struct worker *w)
{
	__u32 last[NWORKERS][NCLASSES] = { 0 };
	__u32 i;

	for (i = 0; i < w->nlog; i++)
		if (book_received(b, last, w->log[i], (struct place){ LOGGED, w->id, i }))
			return -1;
	if (book_hands(b, w, last))
		return -1;
	raise_last(b->last, last);
	return 0;
}

/* The rest, in order, and behind all that was received before. */
static int book_queue(struct books *b, struct mbox *mb, __u32 queued)
{
	static struct parcel parcel;
	struct mbox_msg msg;
	__u32 n = 0, prio = 1;
	long len;

	for (;;) {
		msg = msg_of(&parcel, PARCEL_MAX, MBOX_DONTWAIT);
		len = mbox_recvmsg(mb, &msg);
		if (len < 0)
			break;
		n++;
		if (!parcel_intact(&parcel, len))
			WRONG("a message is broken");
		if (msg.prio > prio)
			WRONG("priority %u after %u", msg.prio, prio);
		prio = msg.prio;
		if (book_received(b, b->last, log_entry(&parcel), (struct place){ QUEUED, 0, n }))
			return -1;
		/* Its sender got a receipt. */
		if (b->worker[parcel.sender].role == SYNC_SENDER &&
		    b->worker[parcel.sender].outcome[parcel.seq] == SENT)
			WRONG("message %u of %u was acknowledged and is still queued",
			      parcel.seq, parcel.sender);
	}
	if (errno != EAGAIN)
		WRONG("receiving the rest: %s", strerror(errno));
	if (n != queued)
		WRONG("%u messages were queued, %u came", queued, n);
	return 0;
}

static int balance(struct books *b, struct mbox *mb)
{
	struct mbox_stat st;
	struct worker *w;
	__u32 i, seq;

	if (mbox_stat(mb, &st))
		WRONG("stat: %s", strerror(errno));
	if (st.waiting_senders || st.waiting_receivers)
		WRONG("%u senders and %u receivers wait", st.waiting_senders,
		      st.waiting_receivers);
	if (st.send_handles != 1 || st.recv_handles != 1)
		WRONG("%u sending and %u receiving handles", st.send_handles, st.recv_handles);

	memset(b->received, 0, sizeof(b->received));
	memset(b->found, 0, sizeof(b->found));
	memset(b->last, 0, sizeof(b->last));
	for (i = 0; i < NWORKERS; i++) {
		w = &b->worker[i];
		if (w->error_line)
			WRONG("process %u of role %u, line %u: %s", i, w->role, w->error_line,
			      strerror(w->error));
		if (w->role == RECEIVER && book_receiver(b, w))
			return -1;
	}
	if (book_queue(b, mb, st.queued))
		return -1;

	for (i = 0; i < NWORKERS; i++) {
		w = &b->worker[i];
		for (seq = 1; seq <= SEQ_MAX; seq++) {
			if (w->outcome[seq] == SENT && !b->received[i][seq])
				WRONG("message %u of %u was sent and is missing", seq, i);
			if (w->outcome[seq] == GAVE_UP && b->received[i][seq])
				WRONG("message %u of %u was given up and came", seq, i);
			if (w->outcome[seq] == UNTOUCHED && b->received[i][seq])
				WRONG("message %u of %u was not sent and came", seq, i);
			if (b->found[i][seq] > 1)
				WRONG("message %u of %u was in two hands", seq, i);
		}
	}
	if (mbox_stat(mb, &st))
		WRONG("stat: %s", strerror(errno));
	if (st.queued || st.bytes || st.sent != st.received || st.dropped)
		WRONG("%u queued, %llu bytes, %llu sent, %llu received, %llu dropped", st.queued,
		      (unsigned long long)st.bytes, (unsigned long long)st.sent,
		      (unsigned long long)st.received, (unsigned long long)st.dropped);
	return 0;
}

FIXTURE(kill)
{
	struct random random;
	struct books *books;
	struct mbox *mb;
	unsigned long seed;
	unsigned int kills;
	int mailboxes;
	long users;
	long user_bytes;
	long user_mailboxes;
	char anchor[64];
};

FIXTURE_VARIANT(kill)
{
	/* Capacities that it has in turn, up to the last that is the first again. */
	__u32 capacity[4];
	/* How many of the six are what. */
	unsigned int role[NROLES];
};

/* The rest is drawn by lot. */
FIXTURE_VARIANT_ADD(kill, bounded) {
	.capacity = { 1, 2, 3, 1 },
	.role = { 1, 0, 1, 0 },
};

FIXTURE_VARIANT_ADD(kill, unbounded) {
	.capacity = { MBOX_UNBOUNDED, MBOX_UNBOUNDED, MBOX_UNBOUNDED, MBOX_UNBOUNDED },
	.role = { 2, 0, 1, 0 },
};

FIXTURE_VARIANT_ADD(kill, rendezvous) {
	.capacity = { 0, 0, 0, 0 },
	.role = { 2, 0, 2, 0 },
};

FIXTURE_VARIANT_ADD(kill, synchronous) {
	.capacity = { 2, 2, 2, 2 },
	.role = { 0, 2, 2, 0 },
};

FIXTURE_VARIANT_ADD(kill, changing_capacity) {
	.capacity = { 0, 3, MBOX_UNBOUNDED, 1 },
	.role = { 1, 1, 1, 1 },
};

FIXTURE_SETUP(kill)
{
	struct mbox_attr attr = attr_of(0, 1);

	self->seed = random_seed();
	/* What a debug kernel makes slower is mostly the making of processes. */
	self->kills = env_number("MBOX_KILLS", 240 / time_factor() + 12);
	self->random.state = self->seed;
	TH_LOG("MBOX_SEED=%lu MBOX_KILLS=%u", self->seed, self->kills);
	self->user_bytes = param_get("user_bytes");
	self->user_mailboxes = param_get("user_mailboxes");
	ASSERT_LT(0, self->user_bytes);
	test_name(self->anchor, sizeof(self->anchor), "anchor");
	ASSERT_EQ(0, in_child(drop_anchor, self->anchor));
	umask(0);
	attr.perm = 0666;
	self->mb = mbox_create(NULL, O_RDWR | O_CLOEXEC, &attr);
	ASSERT_TRUE(!!self->mb);
	self->books = shared_memory(sizeof(*self->books));
	ASSERT_TRUE(!!self->books);
	self->mailboxes = count_mailboxes();
	self->users = module_users();
	ASSERT_LT(0, self->users);
}

FIXTURE_TEARDOWN(kill)
{
	param_set("user_bytes", self->user_bytes);
	param_set("user_mailboxes", self->user_mailboxes);
	raw_unlink(self->anchor);
	munmap(self->books, sizeof(*self->books));
	mbox_close(self->mb);
}

static void start_worker(FIXTURE_DATA(kill) *self, __u32 i, enum role role)
{
	struct worker *w = &self->books->worker[i];
	__u64 id = stat_of(mbox_fd(self->mb)).id;
	pid_t parent = getpid(), pid;
	int j;

	w->role = role;
	w->id = i;
	w->random.state = random_next(&self->random);
	w->started = 0;
	w->error_line = 0;
	w->nlog = 0;
	memset(w->outcome, 0, sizeof(w->outcome));
	for (j = 0; j < BATCH; j++)
		w->buf[j].seq = 0;
	pid = fork();
	if (pid) {
		w->pid = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	_exit(run_worker(w, id));
}

/* Starts all, kills one after the other, in any order. */
static int kill_all(FIXTURE_DATA(kill) *self, const FIXTURE_VARIANT(kill) *variant)
{
	unsigned int order[NWORKERS], i, j, n = 0, role, left;
	struct worker *w;

	for (role = 0; role < NROLES; role++)
		for (i = 0; i < variant->role[role]; i++)
			start_worker(self, n++, role);
	while (n < NWORKERS)
		start_worker(self, n++, random_below(&self->random, NROLES));

	for (i = 0; i < NWORKERS; i++)
		order[i] = i;
	for (left = NWORKERS; left; left--) {
		j = random_below(&self->random, left);
		w = &self->books->worker[order[j]];
		order[j] = order[left - 1];
		if (w->pid < 0)
			WRONG("fork: %s", strerror(errno));
		random_moment(&self->random, &w->started);
		if (kill(w->pid, SIGKILL))
			WRONG("kill: %s", strerror(errno));
		if (one_in(&self->random, 2))
			mbox_set_capacity(self->mb,
					  variant->capacity[random_below(&self->random, 4)]);
	}
	for (i = 0; i < NWORKERS; i++) {
		w = &self->books->worker[i];
		j = reap(w->pid);
		if (j != 1000 + SIGKILL)
			WRONG("process %u of role %u ended with %u; line %u: %s", i, w->role, j,
			      w->error_line, strerror(w->error));
	}
	return 0;
}

TEST_F_TIMEOUT(kill, killed_processes_lose_and_duplicate_nothing, 3600)
{
	struct sigevent nothing = { .sigev_notify = SIGEV_NONE };
	unsigned long long messages = 0;
	unsigned int n, i;

	for (n = 0; n < self->kills; n += NWORKERS) {
		ASSERT_EQ(0, mbox_set_capacity(self->mb, variant->capacity[0]));
		ASSERT_EQ(0, kill_all(self, variant)) {
			TH_LOG("after %u kills, seed %lu", n, self->seed);
		}
		ASSERT_EQ(0, balance(self->books, self->mb)) {
			TH_LOG("after %u kills, seed %lu", n, self->seed);
			for (i = 0; i < NWORKERS; i++)
				TH_LOG("process %u had role %u", i, self->books->worker[i].role);
		}
		/* There is no registration any more. */
		ASSERT_EQ(0, mbox_notify(self->mb, &nothing));
		ASSERT_EQ(0, mbox_notify(self->mb, NULL));
	}
	messages = stat_of(mbox_fd(self->mb)).sent;
	TH_LOG("%u kills, %llu messages", n, messages);
	EXPECT_LT(0U, messages);
	EXPECT_NOTHING_LEFT(self);
}

TEST_HARNESS_MAIN
