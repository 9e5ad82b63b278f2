// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module against a model of it (model.h): random calls of six workers, three
 * of them threads and three processes. They act one at a time, and after each
 * step everything that it led to has come to rest, so that every result and all
 * of stat is known in advance. A sequence that leads to another result is cut
 * down to the steps that it takes, and printed.
 *
 * Mailboxes are of all kinds but rings; some are direct links.
 *
 * MBOX_SEED repeats a run, MBOX_MODEL_STEPS is its length, and MBOX_MODEL_BUG=n
 * breaks a rule of the model, to look at what is then printed.
 */
#include <sys/fsuid.h>

#include "executor.h"
#include "model_calls.h"
#include "model_difference.h"

#define SHRINK_MS 10000
/* Steps that show a broken rule. */
#define SHORT 40
/* Steps of models in which every broken rule shows: the rarest does in 340,000 on average. */
#define ENOUGH 20000000

/*
 * A mailbox with a name, which lives without handles. If it does not, *@keep is a handle
 * without rights, until there is another one; otherwise -1. @letters: a handle of that for
 * dead letters, or -1. Returns its id, or 0.
 */
static __u64 make_mailbox(const struct sequence *seq, const char *name, int letters, int *keep)
{
	struct mbox_create arg = {
		.name = (uintptr_t)name,
		.name_len = strlen(name),
		.oflags = O_ACCMODE | O_EXCL,
		.attr = attr_of(seq->flags, seq->capacity),
		.options = MBOX_OPTIONS_INIT,
	};
	int fd;

	arg.attr.msg_max = seq->msg_max;
	arg.options.max_bytes = seq->max_bytes;
	arg.options.history = seq->history;
	arg.options.max_deliveries = seq->max_deliveries;
	arg.options.dead_letter = letters;
	*keep = -1;
	/* Of this thread only. */
	if (seq->owner < NUSERS)
		setfsuid(seq->owner ? USER_B : USER_A);
	fd = raw_control(MBOX_IOC_CREATE, &arg);
	setfsuid(0);
	if (fd < 0)
		return 0;
	if (seq->flags & MBOX_TEMPORARY)
		*keep = fd;
	else
		close(fd);
	return arg.id;
}

/* Ends all that waits and all that is open, whatever state that is in. */
static bool clean_up(struct executor *c, struct world *w, const char *name)
{
	struct step close_it = { .op = CLOSE, .request = NO_REQUEST, .rival = NO_RIVAL };
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	int fd, i;

	/* The executor is on the side of its threads. */
	fd = w->link ? raw_direct(c->slot[0].pid, O_RDWR) : raw_open(name, O_RDWR);
	if (fd >= 0) {
		raw_destroy(fd);
		close(fd);
	}
	for (i = 0; i < NWORKERS / 2; i++)
		kill(c->slot[i].pid, SIGCONT);
	for (i = 0; i < NWORKERS; i++) {
		while (!is_done(&c->slot[i])) {
			if (now_ns(CLOCK_MONOTONIC) > limit)
				return false;
			if (c->slot[i].is_slow)
				release(&c->slot[i], false);
			sched_yield();
		}
		forget_page(&c->slot[i]);
		if (from_of(w, i)->access[i] < 0)
			continue;
		close_it.worker = i;
		issue(c, &close_it, 0);
		while (!is_done(&c->slot[i]))
			sched_yield();
	}
	return true;
}

enum verdict { SAME, DIFFERENT, STUCK };

/* Has a worker take its step. Returns false if what it takes does not happen. */
static bool make_step(struct executor *c, const struct sequence *seq, const struct step *s,
		      __u64 id, int caller)
{
	struct slot *slot = &c->slot[s->worker];
	int i;

	/* Of these, stat need not show anything; and limits show what is freed last. */
	c->rest = s->op == RESTART || s->op == CONTINUE || s->op == FETCH || seq->limit;
	for (i = 0; i < NWORKERS; i++)
		if (is_done(&c->slot[i]))
			forget_page(&c->slot[i]);
	switch (s->op) {
	case INTERRUPT:
		return !syscall(SYS_tgkill, slot->pid, slot->tid, SIGUSR1);
	case RESTART:
		return restart(slot);
	case STOP:
		return stop(slot);
	case CONTINUE:
		return !kill(slot->pid, SIGCONT);
	case RELEASE:
		release(slot, slot->step.bad);
		return true;
	case AGE:
		await_end(c, caller);
		return true;
	default:
		if (s->op == CAPACITY && s->rival != NO_RIVAL)
			issue_rival(c, s, seq->flags & MBOX_FIXED ? seq->msg_max : 0, id);
		issue(c, s, id);
		return true;
	}
}

/*
 * Carries out @seq, or with @r makes it up, and compares. DIFFERENT: @seq->n is
 * cut to the step that gave another result.
 */
static enum verdict run(struct executor *c, struct sequence *seq, struct random *r, int bug,
			FILE *out)
{
	enum verdict verdict = SAME;
	struct mbox_stat st;
	char name[64];
	struct world w;
	struct step *s;
	__u64 id = 0;
	bool same;
	int i, caller, keep = -1, n = r ? SEQUENCE_MAX : seq->n;

	test_name(name, sizeof(name), "model");
	c->leaf = seq->handles ? new_mailbox(MBOX_LEAF, 1) : -1;
	c->leaf_id = 0;
	if (c->leaf >= 0 && !raw_stat(c->leaf, &st))
		c->leaf_id = st.id;
	c->letters = seq->letters ? new_mailbox(seq->letter_flags, seq->letters) : -1;
	c->seen = 0;
	if (!seq->link) {
		id = make_mailbox(seq, name, c->letters, &keep);
		if (!id)
			return STUCK;
	}
	param_set("user_bytes", seq->limit ?: c->user_bytes);
	memset(c->token, 0xff, sizeof(c->token));
	memset(c->call, 0xff, sizeof(c->call));
	world_of(seq, bug, &w);
	for (i = 0; i < n; i++) {
		s = &seq->step[i];
		if (r)
			*s = random_step(r, &w, seq, i);
		c->missed = false;
		/* A file that nobody has any more is closed some time later. */
		c->patience = seq->handles ? 20 : 0;
		c->mortal = !w.link && has_mortal(&w.queue[0]) && s->op != AGE;
		caller = timed_worker(&w.queue[0]);
		if (!world_step(&w, s))
			continue;
		c->steps++;
		say_step(out, s);
		if (!make_step(c, seq, s, id, caller)) {
			verdict = STUCK;
			break;
		}
		same = agrees(c, &w, id) && keep_tokens(c, &w);
		note_end(c, s, true);
		if (!same) {
			seq->n = i + 1;
			verdict = c->late ? SAME : DIFFERENT;
		}
		if (!same || c->late)
			break;
		if (keep >= 0 && s->op == OPEN) {
			close(keep);
			keep = -1;
		}
	}
	if (keep >= 0)
		close(keep);
	if (!clean_up(c, &w, name))
		verdict = STUCK;
	if (c->letters >= 0)
		close(c->letters);
	if (c->leaf >= 0)
		close(c->leaf);
	c->letters = -1;
	c->leaf = -1;
	return verdict;
}

static bool is_late(const struct executor *c)
{
	return c->shrink_until && now_ns(CLOCK_MONOTONIC) > c->shrink_until;
}

/* Whether @shorter still leads to a difference; then it becomes @seq. */
static bool still_differs(struct executor *c, struct sequence *seq,
			  struct sequence *shorter, int bug)
{
	if (is_late(c) || seq->n <= c->short_enough)
		return false;
	if (run(c, shorter, NULL, bug, NULL) != DIFFERENT)
		return false;
	*seq = *shorter;
	return true;
}

static void cut(struct sequence *seq, int at, int n)
{
	seq->n -= n;
	memmove(&seq->step[at], &seq->step[at + n], (seq->n - at) * sizeof(seq->step[0]));
}

static bool drop_steps(struct executor *c, struct sequence *seq, int piece, int bug)
{
	struct sequence shorter;
	bool dropped = false;
	int at;

	/* From the end: what is opened first is needed longest. */
	for (at = seq->n - piece; at >= 0; at -= piece) {
		if (at + piece > seq->n)
			continue;
		shorter = *seq;
		cut(&shorter, at, piece);
		dropped |= still_differs(c, seq, &shorter, bug);
	}
	return dropped;
}

/* A message and its receipt: one is not left out without the other. */
static bool drop_pair(struct executor *c, struct sequence *seq, int bug)
{
	struct sequence shorter;
	int i, j;

	for (i = seq->n - 1; i > 0; i--) {
		for (j = i - 1; j >= 0; j--) {
			shorter = *seq;
			cut(&shorter, i, 1);
			cut(&shorter, j, 1);
			if (still_differs(c, seq, &shorter, bug))
				return true;
		}
	}
	return false;
}

/*
 * Leaves out whatever is not needed for a difference, in ever smaller pieces, until
 * @short_enough steps are left, or as few as can be. A candidate in which a call does not end
 * takes long, so this has a limit. Returns whether it was kept.
 */
static bool shrink(struct executor *c, struct sequence *seq, int short_enough, int bug)
{
	bool kept;
	int piece;

	c->short_enough = short_enough;
	c->shrink_until = in_ms(CLOCK_MONOTONIC, SHRINK_MS * time_factor());
	for (piece = seq->n / 2; piece > 1; piece /= 2)
		drop_steps(c, seq, piece, bug);
	do {
		while (drop_steps(c, seq, 1, bug))
			;
	} while (drop_pair(c, seq, bug));
	kept = !is_late(c);
	c->shrink_until = 0;
	c->short_enough = 0;
	return kept;
}

/* One of several ways to make a step plainer; false: there are no more. */
static bool make_plainer(struct step *s, int how)
{
	static const __u32 flags[] = { MBOX_SYNC, MBOX_PEEK, MBOX_TRUNC, MBOX_MATCH,
				       MBOX_MATCH_NOT, MBOX_MATCH_LE, MBOX_LEASE };

	switch (how) {
	case 0:
		s->plain = false;
		break;
	case 1:
		s->bad = false;
		break;
	case 2:
		s->block_mode = s->plain ? WAIT : DONTWAIT;
		break;
	case 3:
		s->block_mode = WAIT;
		break;
	case 4:
		s->prio = 0;
		break;
	case 5:
		s->type = 0;
		break;
	case 6:
		s->skip = 0;
		break;
	case 7:
		s->len = sends(s) ? 1 : LEN_MAX;
		break;
	case 8:
		s->reply_len = s->op == CALL ? LEN_MAX : 1;
		break;
	case 9:
		s->reply_bad = false;
		break;
	case 10:
		s->slow = false;
		break;
	case 11:
		s->nice = 0;
		break;
	case 12:
		s->lifespan = FOREVER;
		break;
	case 13:
		s->files = 0;
		s->reply_files = 0;
		break;
	default:
		if (how - 14 >= (int)ARRAY_SIZE(flags))
			return false;
		s->flags &= ~flags[how - 14];
		/* Nothing else may go with it. */
		if (!(s->flags & MBOX_PEEK))
			s->skip = 0;
		break;
	}
	return true;
}

/* Makes the steps that are left plainer, where that makes no difference. */
static void simplify(struct executor *c, struct sequence *seq, int bug)
{
	struct sequence plainer;
	struct step *s;
	int i, how;

	for (i = 0; i < seq->n; i++) {
		s = &plainer.step[i];
		plainer = *seq;
		if (s->op == OPEN) {
			s->number = O_RDWR;
			still_differs(c, seq, &plainer, bug);
		}
		if (s->op == CAPACITY) {
			s->rival = NO_RIVAL;
			still_differs(c, seq, &plainer, bug);
		}
		if (!sends(s) && !receives(s) && s->op != REPLY)
			continue;
		for (how = 0; ; how++) {
			plainer = *seq;
			if (!make_plainer(s, how))
				break;
			if (memcmp(s, &seq->step[i], sizeof(*s)))
				still_differs(c, seq, &plainer, bug);
		}
	}
}

static void print(struct executor *c, struct sequence *seq, int bug)
{
	/* A script that can be followed by hand, with the result at the end. */
	say_mailbox(stderr, seq);
	c->report = stderr;
	if (run(c, seq, NULL, bug, stderr) == SAME)
		fprintf(stderr, "#   not this time\n");
	c->report = NULL;
}

/*
 * Random sequences until @steps are done, or one differs, which is in @seq. For a broken rule
 * the module makes only those that should show it; the others are steps of models.
 */
static enum verdict explore(struct executor *c, struct sequence *seq,
			    unsigned long long steps, int bug)
{
	enum verdict verdict = SAME;

	for (c->steps = 0; c->steps < steps && verdict == SAME;) {
		random_mailbox(&c->random, c->cost, c->slow, seq);
		if (!bug)
			verdict = run(c, seq, &c->random, 0, NULL);
		else if (find_difference(&c->random, seq, bug, &c->steps))
			verdict = run(c, seq, NULL, bug, NULL);
	}
	return verdict;
}

FIXTURE(model)
{
	struct executor executor;
};

FIXTURE_VARIANT(model)
{
	bool one_cpu;
};

/* Here the parts of a step overlap as they can. */
FIXTURE_VARIANT_ADD(model, all_cpus) { .one_cpu = false };
/* And this is faster. */
FIXTURE_VARIANT_ADD(model, one_cpu) { .one_cpu = true };

FIXTURE_SETUP(model)
{
	ASSERT_EQ(0, start_workers(&self->executor, variant->one_cpu));
}

FIXTURE_TEARDOWN(model)
{
	stop_workers(&self->executor);
}

TEST_F_TIMEOUT(model, module_agrees_with_the_model, 3600)
{
	unsigned long long usual = (variant->one_cpu ? 24000 : 4000) / time_factor();
	int bug = env_number("MBOX_MODEL_BUG", 0);
	unsigned long long steps = env_number("MBOX_MODEL_STEPS", bug ? ENOUGH : usual);
	struct executor *c = &self->executor;
	struct sequence seq;
	enum verdict verdict;
	__s64 start = now_ns(CLOCK_MONOTONIC), ms;

	/* The first time may be the only one. */
	c->report = stderr;
	verdict = explore(c, &seq, steps, bug);
	c->report = NULL;
	ms = (now_ns(CLOCK_MONOTONIC) - start) / NSEC_PER_MSEC;
	TH_LOG("MBOX_SEED=%lu: %llu steps, %llu a second", c->seed, c->steps,
	       c->steps * 1000 / (ms ?: 1));
	ASSERT_NE(STUCK, verdict) {
		TH_LOG("calls do not end when their mailbox is destroyed");
	}
	if (verdict == DIFFERENT) {
		shrink(c, &seq, 0, bug);
		simplify(c, &seq, bug);
		print(c, &seq, bug);
	}
	EXPECT_EQ(SAME, verdict);
}

/* A test of the test: a model with a wrong rule does not pass. */
FIXTURE(rules)
{
	struct executor executor;
};

FIXTURE_SETUP(rules)
{
	ASSERT_EQ(0, start_workers(&self->executor, true));
}

FIXTURE_TEARDOWN(rules)
{
	stop_workers(&self->executor);
}

TEST_F_TIMEOUT(rules, broken_rules_are_detected, 3600)
{
	/*
	 * They try the model, which is the same in each width and on each kernel: with 32 bits
	 * some, and where all is slow a few.
	 */
	const int step = time_factor() > 1 ? 16 : sizeof(long) < 8 ? 4 : 1;
	struct executor *c = &self->executor;
	struct sequence seq;
	int bug, enough;

	for (bug = 1 + random_below(&c->random, step); bug < NBUGS; bug += step) {
		if (!c->slow && needs_slow(bug))
			continue;
		ASSERT_EQ(DIFFERENT, explore(c, &seq, ENOUGH, bug)) {
			TH_LOG("MBOX_SEED=%lu MBOX_MODEL_BUG=%d", c->seed, bug);
		}
		/*
		 * Most are shown in a few steps; some need a mailbox that is filled first.
		 * To find them takes longer than anything else, so that is done for some.
		 */
		enough = one_in(&c->random, 12) ? 0 : SHORT;
		if (shrink(c, &seq, enough, bug)) {
			EXPECT_GE(SHORT, seq.n) {
				print(c, &seq, bug);
			}
		} else {
			TH_LOG("MBOX_SEED=%lu MBOX_MODEL_BUG=%d: no time to shrink %d steps",
			       c->seed, bug, seq.n);
		}
		/* The same steps are no news to the right model. */
		EXPECT_EQ(SAME, run(c, &seq, NULL, 0, NULL)) {
			print(c, &seq, 0);
		}
	}
}

TEST_HARNESS_MAIN
