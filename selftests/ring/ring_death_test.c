// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings whose participants are killed. Processes send and receive by every function
 * until they are; the others have to go on at once, and then the books are
 * balanced.
 *
 * All writing happens in memory that outlives the process. A sender notes that
 * it begins to send a message, and then that it was sent: one that was cut off
 * in between may have been sent or not. A receiver receives into such memory,
 * and notes what came: one that was cut off in between has the message in its
 * buffer, where it counts if no other receiver has it.
 *
 * MBOX_SEED repeats the choices of a run (not the scheduler's), MBOX_KILLS says
 * how many processes each of the random tests kills.
 */
#include "kill.h"
#include "rings.h"

#define NSENDERS 3
#define NRECEIVERS 3
#define NWORKERS (NSENDERS + NRECEIVERS)
#define BATCH 4
#define LETTER_MAX 200
/* Messages of one sender before the books are balanced; some are to spare. */
#define SEQ_MAX (1U << 20)
#define SEQ_SPARE (1U << 18)
/* Deaths until then. */
#define EPOCH_KILLS 40
/* The others go on within this time, but for some that have bad luck. */
#define GO_ON_MS (100 * time_factor())
#define NAP_US 250
#define NAPS_A_MS (1000 / NAP_US)
#define LATE_MAX(kills) (2 + (kills) / 50)

/* One message: its sender and its number determine the rest. */
struct letter {
	__u32 sender;
	__u32 seq;
	unsigned char filler[LETTER_MAX - 8];
};

enum fate { UNTOUCHED, SENT, UNSURE };

/**
 * struct worker - a process, and what it leaves behind
 * @pid: 0 when there is none
 * @started: it runs
 * @error_line: where it found something wrong
 * @error: and the error number there
 * @done: successful calls
 * @sent: a sender's last message that was sent
 * @trying: the last one that it has begun to send
 * @booked: the last one whose fate is written down
 * @last: a receiver's last message of each sender
 * @buf: where messages are received
 */
struct worker {
	pid_t pid;
	struct random random;
	__u32 started;
	__u32 error_line;
	long error;
	__u32 done;
	__u32 sent;
	__u32 trying;
	__u32 booked;
	__u32 last[NSENDERS];
	struct letter buf[BATCH];
};

/* What a dead receiver had in its buffers, and had received of each sender. */
struct hand {
	struct letter buf[BATCH];
	__u32 last[NSENDERS];
};

struct books {
	struct worker worker[NWORKERS];
	__u8 fate[NSENDERS][SEQ_MAX];
	__u8 received[NSENDERS][SEQ_MAX];
	struct hand hand[EPOCH_KILLS + NWORKERS];
	unsigned int nhands;
};

static __u32 hash(__u32 sender, __u32 seq)
{
	struct random r = { ((__u64)sender << 32) + seq };

	return random_next(&r);
}

static __u32 letter_len(__u32 sender, __u32 seq)
{
	__u32 h = hash(sender, seq) >> 8;

	return 8 + h / 8 % (h % 8 ? 40 : LETTER_MAX - 8 + 1);
}

static void letter_fill(struct letter *l, __u32 sender, __u32 seq)
{
	l->sender = sender;
	l->seq = seq;
	memset(l->filler, sender * 37 + seq, letter_len(sender, seq) - 8);
}

static bool letter_intact(const struct letter *l, long len)
{
	long i;

	if (l->sender >= NSENDERS || !l->seq || l->seq >= SEQ_MAX ||
	    len != letter_len(l->sender, l->seq))
		return false;
	for (i = 0; i < len - 8; i++)
		if (l->filler[i] != (unsigned char)(l->sender * 37 + l->seq))
			return false;
	return true;
}

/* ---- the processes ------------------------------------------------------ */

#define WORKER_CHECK(w, cond) \
	do { \
		if (!(cond)) { \
			(w)->error = errno; \
			(w)->error_line = __LINE__; \
			_exit(1); \
		} \
	} while (0)

static struct timespec soon_ts(struct random *r)
{
	__u64 ns = soon(r);
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	return ts;
}

/* One message, in one of the ways that may fail for want of room. */
static int send_one(struct worker *w, struct mbox *mb, const struct letter *l, __u32 len)
{
	struct timespec deadline;

	switch (random_below(&w->random, 3)) {
	case 0:
		return mbox_send(mb, l, len, 0);
	case 1:
		return mbox_send(mb, l, len, MBOX_DONTWAIT);
	default:
		deadline = soon_ts(&w->random);
		return mbox_timedsend(mb, l, len, 0, &deadline);
	}
}

static int send_batch(struct worker *w, struct mbox *mb, __u32 id, __u32 seq)
{
	struct letter letters[BATCH];
	struct mbox_msg msgs[BATCH];
	__u32 i;

	for (i = 0; i < BATCH; i++) {
		letter_fill(&letters[i], id, seq + i);
		msgs[i] = msg_of(&letters[i], letter_len(id, seq + i), 0);
		if (one_in(&w->random, 4))
			msgs[i].deadline_ns = soon(&w->random);
	}
	NOTE(w->trying, seq + BATCH - 1);
	return mbox_sendmmsg(mb, msgs, BATCH, 0);
}

/*
 * Up to three places are open at once; those behind the first only if they are
 * free, or senders would wait for each other. Some are given back, with
 * something in them that must not be received.
 */
static int send_in_place(struct worker *w, struct mbox *mb, __u32 id, __u32 seq)
{
	unsigned int want = 1 + random_below(&w->random, 3), n, i, used = 0;
	__u32 place_seq[3];
	void *place[3];

	NOTE(w->trying, seq + 2);
	for (n = 0; n < want; n++) {
		place[n] = mbox_reserve(mb, LETTER_MAX, n ? MBOX_DONTWAIT : 0);
		if (!place[n]) {
			WORKER_CHECK(w, n && errno == EAGAIN);
			break;
		}
		place_seq[n] = one_in(&w->random, 4) ? 0 : seq + used++;
		letter_fill(place[n], id, place_seq[n]);
	}
	/* The order in which they are committed is not that of the messages. */
	for (i = n; i-- > 0;) {
		if (place_seq[i])
			WORKER_CHECK(w, !mbox_commit(mb, place[i], letter_len(id, place_seq[i])));
		else
			WORKER_CHECK(w, !mbox_discard(mb, place[i]));
	}
	return used;
}

static void run_sender(struct worker *w, __u32 id, struct mbox *mb)
{
	struct letter letter;
	__u32 seq, ret;

	while (w->trying + 2 * BATCH < SEQ_MAX) {
		seq = w->sent + 1;
		errno = 0;
		switch (random_below(&w->random, 4)) {
		case 0:
			ret = send_batch(w, mb, id, seq);
			break;
		case 1:
			ret = send_in_place(w, mb, id, seq);
			break;
		default:
			letter_fill(&letter, id, seq);
			NOTE(w->trying, seq);
			ret = send_one(w, mb, &letter, letter_len(id, seq)) + 1;
			if (!ret)
				ret = -1;
		}
		if (ret == -1U) {
			WORKER_CHECK(w, errno == EAGAIN || errno == ETIMEDOUT);
			ret = 0;
		} else {
			NOTE(w->done, w->done + 1);
		}
		NOTE(w->sent, w->sent + ret);
	}
}

static void note_received(struct worker *w, __u8 (*received)[SEQ_MAX], int n, const long *len)
{
	int i;

	for (i = 0; i < n; i++) {
		struct letter *l = &w->buf[i];

		WORKER_CHECK(w, letter_intact(l, len[i]));
		WORKER_CHECK(w, w->last[l->sender] < l->seq);
		/* It has not been received before. */
		WORKER_CHECK(w, !__atomic_fetch_add(&received[l->sender][l->seq], 1,
						    __ATOMIC_SEQ_CST));
		NOTE(w->last[l->sender], l->seq);
	}
	NOTE(w->done, w->done + 1);
}

/* Returns the length, or -1 when another was faster or there is none. */
static long receive_in_place(struct worker *w, struct mbox *mb)
{
	unsigned int flags = one_in(&w->random, 2) ? MBOX_DONTWAIT : 0;
	const struct letter *slot;
	size_t len;

	slot = mbox_peek(mb, &len, flags);
	if (!slot)
		return -1;
	WORKER_CHECK(w, len <= LETTER_MAX);
	memcpy(w->buf, slot, len);
	if (!mbox_release(mb, slot))
		return len;
	WORKER_CHECK(w, errno == ESTALE);
	errno = EAGAIN;
	return -1;
}

static void run_receiver(struct worker *w, __u8 (*received)[SEQ_MAX], struct mbox *mb)
{
	struct mbox_msg msgs[BATCH];
	struct timespec deadline;
	long len[BATCH];
	int i, n;

	for (;;) {
		for (i = 0; i < BATCH; i++) {
			NOTE(w->buf[i].seq, 0);
			msgs[i] = msg_of(&w->buf[i], LETTER_MAX, 0);
		}
		n = 1;
		switch (random_below(&w->random, 5)) {
		case 0:
			len[0] = mbox_recv(mb, w->buf, LETTER_MAX, 0);
			break;
		case 1:
			len[0] = mbox_recv(mb, w->buf, LETTER_MAX, MBOX_DONTWAIT);
			break;
		case 2:
			deadline = soon_ts(&w->random);
			len[0] = mbox_timedrecv(mb, w->buf, LETTER_MAX, 0, &deadline);
			break;
		case 3:
			len[0] = receive_in_place(w, mb);
			break;
		default:
			n = mbox_recvmmsg(mb, msgs, BATCH,
					  one_in(&w->random, 2) ? MBOX_WAITFORONE : 0);
			WORKER_CHECK(w, n > 0);
			for (i = 0; i < n; i++)
				len[i] = msgs[i].len;
		}
		if (len[0] < 0)
			WORKER_CHECK(w, errno == EAGAIN || errno == ETIMEDOUT);
		else
			note_received(w, received, n, len);
	}
}

static int run_worker(struct books *b, unsigned int i, __u64 id)
{
	struct worker *w = &b->worker[i];
	struct mbox *mb = mbox_open_id(id, i < NSENDERS ? O_WRONLY : O_RDONLY);

	WORKER_CHECK(w, mb);
	/* So that they sleep. */
	if (one_in(&w->random, 2))
		WORKER_CHECK(w, !mbox_set_spin(mb, random_below(&w->random, 3)));
	NOTE(w->started, 1);
	if (i < NSENDERS)
		run_sender(w, i, mb);
	else
		run_receiver(w, b->received, mb);
	for (;;)
		pause();
}

/* ---- balancing ---------------------------------------------------------- */

#define WRONG(...) \
	do { \
		fprintf(stderr, "# " __VA_ARGS__); \
		fputc('\n', stderr); \
		return -1; \
	} while (0)

FIXTURE(death)
{
	struct random random;
	struct books *books;
	struct mbox *mb;
	__u64 id;
	unsigned long seed;
	unsigned int kills;
	unsigned int late;
	unsigned int unsure;
	unsigned int found;
	unsigned long long messages;
	__s64 longest_ns;
	__s64 total_ns;
	int mailboxes;
	long users;
};

/* What is known of the messages that a sender has begun to send by now. */
static void book_sender(FIXTURE_DATA(death) *self, unsigned int i)
{
	struct worker *w = &self->books->worker[i];
	__u32 seq;

	for (seq = w->booked + 1; seq <= w->trying || seq <= w->sent; seq++) {
		self->books->fate[i][seq] = seq <= w->sent ? SENT : UNSURE;
		self->unsure += seq > w->sent;
	}
	w->booked = seq - 1;
	/* Numbers are not used again. */
	w->sent = w->booked;
	w->trying = w->booked;
}

static void book_receiver(FIXTURE_DATA(death) *self, unsigned int i)
{
	struct worker *w = &self->books->worker[i];
	struct hand *hand = &self->books->hand[self->books->nhands++];

	memcpy(hand->buf, w->buf, sizeof(hand->buf));
	memcpy(hand->last, w->last, sizeof(hand->last));
	memset(w->buf, 0, sizeof(w->buf));
}

static int reap_worker(FIXTURE_DATA(death) *self, unsigned int i)
{
	struct worker *w = &self->books->worker[i];
	int status = reap(w->pid);

	w->pid = 0;
	if (status != 1000 + SIGKILL)
		WRONG("process %u ended with %d; line %u: %s", i, status, w->error_line,
		      strerror(w->error));
	if (i < NSENDERS)
		book_sender(self, i);
	else
		book_receiver(self, i);
	return 0;
}

/* What was not received, in order, and behind all that was received before. */
static int book_rest(FIXTURE_DATA(death) *self)
{
	struct mbox *mb = mbox_open_id(self->id, O_RDONLY);
	struct books *b = self->books;
	__u32 last[NSENDERS] = { 0 };
	struct letter l;
	unsigned int i, j;
	long len;

	if (!mb)
		WRONG("open: %s", strerror(errno));

	for (i = NSENDERS; i < NWORKERS; i++)
		for (j = 0; j < NSENDERS; j++)
			if (last[j] < b->worker[i].last[j])
				last[j] = b->worker[i].last[j];
	while ((len = mbox_recv(mb, &l, sizeof(l), MBOX_DONTWAIT)) >= 0) {
		if (!letter_intact(&l, len))
			WRONG("a message of %ld bytes is broken", len);
		if (l.seq <= last[l.sender])
			WRONG("message %u of %u came after %u", l.seq, l.sender, last[l.sender]);
		last[l.sender] = l.seq;
		b->received[l.sender][l.seq]++;
	}
	if (errno != EAGAIN)
		WRONG("receiving the rest: %s", strerror(errno));
	/* There may be only one receiver. */
	mbox_close(mb);
	return 0;
}

static void book_hands(FIXTURE_DATA(death) *self)
{
	struct books *b = self->books;
	unsigned int i, j;

	for (i = 0; i < b->nhands; i++) {
		for (j = 0; j < BATCH; j++) {
			struct letter *l = &b->hand[i].buf[j];

			if (!l->seq || l->sender >= NSENDERS ||
			    !letter_intact(l, letter_len(l->sender, l->seq)) ||
			    b->received[l->sender][l->seq] || l->seq <= b->hand[i].last[l->sender])
				continue;
			b->received[l->sender][l->seq]++;
			self->found++;
		}
	}
	b->nhands = 0;
}

static int balance(FIXTURE_DATA(death) *self)
{
	struct books *b = self->books;
	unsigned int i;
	__u32 seq;

	if (book_rest(self))
		return -1;
	book_hands(self);
	for (i = 0; i < NSENDERS; i++) {
		for (seq = 1; seq <= b->worker[i].booked; seq++) {
			if (b->received[i][seq] > 1)
				WRONG("message %u of %u came twice", seq, i);
			if (b->fate[i][seq] == SENT && !b->received[i][seq])
				WRONG("message %u of %u was sent and is missing", seq, i);
		}
		for (; seq < SEQ_MAX; seq++)
			if (b->received[i][seq])
				WRONG("message %u of %u was not sent and came", seq, i);
		self->messages += b->worker[i].booked;
		memset(b->fate[i], 0, b->worker[i].booked + 1);
		memset(b->received[i], 0, b->worker[i].booked + 1);
	}
	for (i = 0; i < NWORKERS; i++) {
		b->worker[i].sent = 0;
		b->worker[i].trying = 0;
		b->worker[i].booked = 0;
		memset(b->worker[i].last, 0, sizeof(b->worker[i].last));
	}
	return 0;
}

/* ---- killing ------------------------------------------------------------ */

FIXTURE_VARIANT(death)
{
	__u32 flags;
	bool asym_fences;
	__u32 capacity;
	unsigned int senders;
	unsigned int receivers;
};

FIXTURE_VARIANT_ADD(death, shared) {
	.flags = 0,
	.capacity = 6,
	.senders = 3,
	.receivers = 3,
};

FIXTURE_VARIANT_ADD(death, shared_of_one) {
	.flags = 0,
	.capacity = 1,
	.senders = 2,
	.receivers = 2,
};

FIXTURE_VARIANT_ADD(death, shared_large) {
	.flags = 0,
	.capacity = 1000,
	.senders = 2,
	.receivers = 3,
};

FIXTURE_VARIANT_ADD(death, one_sender) {
	.flags = MBOX_ONE_SENDER,
	.asym_fences = true,
	.capacity = 3,
	.senders = 1,
	.receivers = 3,
};

FIXTURE_VARIANT_ADD(death, one_receiver) {
	.flags = MBOX_ONE_RECEIVER,
	.asym_fences = true,
	.capacity = 4,
	.senders = 3,
	.receivers = 1,
};

FIXTURE_VARIANT_ADD(death, one_to_one) {
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.capacity = 2,
	.senders = 1,
	.receivers = 1,
};

FIXTURE_VARIANT_ADD(death, one_to_one_asymmetric) {
	.flags = MBOX_ONE_SENDER | MBOX_ONE_RECEIVER,
	.asym_fences = true,
	.capacity = 2,
	.senders = 1,
	.receivers = 1,
};

FIXTURE_SETUP(death)
{
	self->seed = random_seed();
	self->kills = env_number("MBOX_KILLS", 120 / time_factor() + 8);
	self->random.state = self->seed;
	TH_LOG("MBOX_SEED=%lu MBOX_KILLS=%u", self->seed, self->kills);
	self->mb = new_ring_with(variant->asym_fences, variant->flags, variant->capacity,
				 LETTER_MAX);
	ASSERT_TRUE(!!self->mb);
	self->id = stat_of(mbox_fd(self->mb)).id;
	self->books = shared_memory(sizeof(*self->books));
	ASSERT_TRUE(!!self->books);
	self->mailboxes = count_mailboxes();
	self->users = module_users();
	ASSERT_LT(0, self->users);
}

FIXTURE_TEARDOWN(death)
{
	unsigned int i;

	for (i = 0; i < NWORKERS; i++) {
		if (self->books->worker[i].pid > 0) {
			kill(self->books->worker[i].pid, SIGKILL);
			reap(self->books->worker[i].pid);
		}
	}
	munmap(self->books, sizeof(*self->books));
	mbox_close(self->mb);
}

static int start_worker(FIXTURE_DATA(death) *self, unsigned int i)
{
	struct worker *w = &self->books->worker[i];
	pid_t parent = getpid(), pid;

	w->random.state = random_next(&self->random);
	w->started = 0;
	w->error_line = 0;
	w->done = 0;
	pid = fork();
	if (pid < 0)
		WRONG("fork: %s", strerror(errno));
	if (pid) {
		w->pid = pid;
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	_exit(run_worker(self->books, i, self->id));
}

static void report_hang(FIXTURE_DATA(death) *self)
{
	struct mbox_stat st = stat_of(mbox_fd(self->mb));
	unsigned int i;

	fprintf(stderr, "# %u senders and %u receivers wait, %u queued\n", st.waiting_senders,
		st.waiting_receivers, st.queued);
	for (i = 0; i < NWORKERS; i++) {
		struct worker *w = &self->books->worker[i];

		if (w->pid)
			fprintf(stderr, "# process %u: %u calls, %u sent, line %u: %s\n", i,
				w->done, w->sent, w->error_line, strerror(w->error));
	}
}

/*
 * Until every process has completed another call. Counted in naps, so that a
 * time in which the whole machine stands still does not count.
 */
static int await_progress(FIXTURE_DATA(death) *self, __s64 since)
{
	struct worker *w = self->books->worker;
	unsigned int naps = 0, i;
	__u32 before[NWORKERS];
	__s64 ns;

	for (i = 0; i < NWORKERS; i++)
		before[i] = __atomic_load_n(&w[i].done, __ATOMIC_SEQ_CST);
	for (i = 0; i < NWORKERS;) {
		if (!w[i].pid || __atomic_load_n(&w[i].done, __ATOMIC_SEQ_CST) != before[i] ||
		    w[i].trying > SEQ_MAX - SEQ_SPARE) {
			i++;
			continue;
		}
		if (w[i].error_line) {
			report_hang(self);
			WRONG("process %u has ended", i);
		}
		usleep(NAP_US);
		if (++naps == GO_ON_MS * NAPS_A_MS)
			self->late++;
		if (naps > WAIT_LIMIT_MS * NAPS_A_MS / 4) {
			report_hang(self);
			WRONG("process %u does not go on", i);
		}
	}
	ns = now_ns(CLOCK_MONOTONIC) - since;
	self->total_ns += ns;
	if (ns > self->longest_ns)
		self->longest_ns = ns;
	return 0;
}

static bool full_books(FIXTURE_DATA(death) *self)
{
	unsigned int i;

	for (i = 0; i < NSENDERS; i++)
		if (self->books->worker[i].trying > SEQ_MAX - SEQ_SPARE)
			return true;
	return false;
}

/* One dies; if there are others like it they go on, and so do all with its heir. */
static int kill_one(FIXTURE_DATA(death) *self, const FIXTURE_VARIANT(death) *variant)
{
	unsigned int nth = random_below(&self->random, variant->senders + variant->receivers);
	bool sends = nth < variant->senders;
	unsigned int i = sends ? nth : NSENDERS + nth - variant->senders;
	struct worker *w = &self->books->worker[i];
	__s64 since;

	random_moment(&self->random, &w->started);
	since = now_ns(CLOCK_MONOTONIC);
	if (kill(w->pid, SIGKILL))
		WRONG("kill: %s", strerror(errno));
	if (reap_worker(self, i))
		return -1;
	if ((sends ? variant->senders : variant->receivers) > 1 && await_progress(self, since))
		return -1;
	since = now_ns(CLOCK_MONOTONIC);
	if (start_worker(self, i))
		return -1;
	if ((sends ? variant->senders : variant->receivers) == 1)
		return await_progress(self, since);
	return 0;
}

/* Some die one after the other; then all that are left at once. */
static int epoch(FIXTURE_DATA(death) *self, const FIXTURE_VARIANT(death) *variant)
{
	struct worker *w = self->books->worker;
	unsigned int i, n;

	for (i = 0; i < variant->senders; i++)
		if (start_worker(self, i))
			return -1;
	for (i = 0; i < variant->receivers; i++)
		if (start_worker(self, NSENDERS + i))
			return -1;
	for (n = 0; n < EPOCH_KILLS && n < self->kills && !full_books(self); n++)
		if (kill_one(self, variant))
			return -1;
	for (i = 0; i < NWORKERS; i++)
		if (w[i].pid && kill(w[i].pid, SIGKILL))
			WRONG("kill: %s", strerror(errno));
	for (i = 0; i < NWORKERS; i++)
		if (w[i].pid && reap_worker(self, i))
			return -1;
	n += variant->senders + variant->receivers;
	self->kills = self->kills > n ? self->kills - n : 0;
	return balance(self);
}

TEST_F_TIMEOUT(death, killed_participants_lose_and_duplicate_nothing_and_block_none, 3600)
{
	unsigned int kills = self->kills;
	struct mbox_stat st;

	while (self->kills)
		ASSERT_EQ(0, epoch(self, variant))
		{
			TH_LOG("with %u kills to go, seed %lu", self->kills, self->seed);
		}
	TH_LOG("%u kills, %llu messages, %u cut off, %u in dead hands", kills, self->messages,
	       self->unsure, self->found);
	TH_LOG("the others went on after %lld us, at most %lld us; %u late",
	       self->total_ns / kills / 1000, self->longest_ns / 1000, self->late);
	EXPECT_LT(0U, self->messages);
	EXPECT_GE(LATE_MAX(kills), self->late);
	ASSERT_EQ(0, raw_stat(mbox_fd(self->mb), &st));
	EXPECT_EQ(0, st.waiting_senders);
	EXPECT_EQ(0, st.waiting_receivers);
	EXPECT_EQ(0, st.queued);
	EXPECT_EQ(1, st.send_handles);
	EXPECT_EQ(1, st.recv_handles);
	EXPECT_EQ(self->mailboxes, count_mailboxes());
	EXPECT_EQ(self->users, module_users());
}

TEST_HARNESS_MAIN
