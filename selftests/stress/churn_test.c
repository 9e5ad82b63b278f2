// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGKILL at random moments, for processes that create, open, unlink and
 * destroy mailboxes of the same few names. There is no telling what becomes of
 * their messages; but nothing may be left of them.
 *
 * MBOX_SEED repeats the choices of a run, MBOX_KILLS says how many are killed.
 */
#include "kill.h"

#define NWORKERS 6
#define NNAMES 3
#define NHANDLES 4

FIXTURE(churn)
{
	struct random random;
	/* Set by the processes when they run. */
	__u32 *started;
	unsigned int kills;
	int mailboxes;
	long users;
	long user_bytes;
	long user_mailboxes;
	char anchor[64];
};

FIXTURE_SETUP(churn)
{
	unsigned long seed = random_seed();

	self->kills = env_number("MBOX_KILLS", 240 / time_factor() + 12);
	self->random.state = seed;
	TH_LOG("MBOX_SEED=%lu MBOX_KILLS=%u", seed, self->kills);
	self->user_bytes = param_get("user_bytes");
	self->user_mailboxes = param_get("user_mailboxes");
	ASSERT_LT(0, self->user_bytes);
	test_name(self->anchor, sizeof(self->anchor), "anchor");
	ASSERT_EQ(0, in_child(drop_anchor, self->anchor));
	self->started = shared_memory(NWORKERS * sizeof(__u32));
	ASSERT_TRUE(!!self->started);
	self->mailboxes = count_mailboxes();
	self->users = module_users();
	ASSERT_LE(0, self->users);
}

FIXTURE_TEARDOWN(churn)
{
	param_set("user_bytes", self->user_bytes);
	param_set("user_mailboxes", self->user_mailboxes);
	raw_unlink(self->anchor);
	munmap(self->started, NWORKERS * sizeof(__u32));
}

static const char *churn_name(char *name, pid_t parent, unsigned int i)
{
	snprintf(name, 64, "mbox-test-%d-churn-%u", parent, i);
	return name;
}

/* What may come of a call while others destroy and unlink. */
static bool expected(long ret)
{
	switch (ret < 0 ? errno : 0) {
	case 0:
	case EAGAIN:
	case ETIMEDOUT:
	case EIDRM:
	case EPIPE:
	case ENOENT:
	case ESRCH:
		return true;
	}
	return false;
}

/* Receive, and reply to what is a request, mostly, and mostly at once. */
static long serve(struct mbox *mb, struct random *r, char *buf, size_t size, __u64 deadline_ns)
{
	struct mbox_msg msg = msg_of(buf, size, 0);
	__u64 token;
	long ret;

	msg.deadline_ns = deadline_ns;
	ret = mbox_recvmsg(mb, &msg);
	if (ret < 0 || !msg.token || one_in(r, 8))
		return ret;
	if (one_in(r, 4))
		spin_us(random_below(r, 300));
	if (one_in(r, 2))
		return mbox_reply(mb, msg.token, buf, random_below(r, size));
	token = msg.token;
	msg = msg_of(buf, size, 0);
	msg.deadline_ns = soon(r);
	return mbox_reply_recv(mb, token, buf, random_below(r, size), &msg);
}

static int churn(struct random *r, __u32 *started)
{
	static char big[20000];
	struct mbox *mb[NHANDLES] = { NULL }, **slot;
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox_walk pos = { 0 };
	pid_t parent = getppid();
	struct timespec deadline;
	char name[64];
	__u64 ns;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	attr.msg_max = sizeof(big);
	NOTE(*started, 1);
	for (;;) {
		slot = &mb[random_below(r, NHANDLES)];
		churn_name(name, parent, random_below(r, NNAMES));
		ns = soon(r);
		deadline.tv_sec = ns / 1000000000;
		deadline.tv_nsec = ns % 1000000000;
		if (!*slot) {
			attr.flags = random_below(r, 8) & ~MBOX_FIXED;
			if (attr.flags & MBOX_DROP_OLDEST)
				attr.flags &= ~MBOX_DROP_NEWEST;
			attr.capacity = random_below(r, 3);
			if (one_in(r, 3))
				*slot = mbox_create(NULL, O_RDWR, &attr);
			else if (one_in(r, 2))
				*slot = mbox_create(name, O_RDWR, &attr);
			else
				*slot = mbox_open(name, O_RDWR);
			/* A name can be taken by one that is being destroyed. */
			CHECK(*slot || errno == ENOENT || errno == EIDRM);
			continue;
		}
		switch (random_below(r, 12)) {
		case 0:
			mbox_close(*slot);
			*slot = NULL;
			break;
		case 1:
			CHECK(expected(mbox_destroy(*slot)));
			break;
		case 2:
			CHECK(expected(mbox_unlink(name)));
			break;
		case 3:
			CHECK(expected(mbox_set_capacity(*slot, random_below(r, 3))));
			break;
		case 4:
			CHECK(expected(mbox_walk(&pos)));
			if (one_in(r, 4))
				pos.id = 0;
			break;
		case 5:
			CHECK(expected(mbox_timedrecv(*slot, big, sizeof(big), 0, &deadline)));
			break;
		case 6:
		case 7:
			CHECK(expected(serve(*slot, r, big, sizeof(big), ns)));
			break;
		case 8:
		case 9:
			CHECK(expected(mbox_call(*slot, big, random_below(r, sizeof(big)), big,
						 sizeof(big), &deadline)));
			break;
		default:
			CHECK(expected(mbox_timedsend(*slot, big, random_below(r, sizeof(big)),
						      one_in(r, 3) ? MBOX_SYNC : 0, &deadline)));
		}
	}
}

TEST_F_TIMEOUT(churn, killed_processes_leave_nothing, 3600)
{
	pid_t pid[NWORKERS], parent = getpid();
	struct random r;
	unsigned int n, i, j;
	char name[64];

	for (n = 0; n < self->kills; n++) {
		/* One at a time is replaced by a new one. */
		i = n % NWORKERS;
		if (n >= NWORKERS) {
			random_moment(&self->random, &self->started[i]);
			ASSERT_EQ(0, kill(pid[i], SIGKILL));
			ASSERT_EQ(1000 + SIGKILL, reap(pid[i]));
		}
		self->started[i] = 0;
		r.state = random_next(&self->random);
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(125);
			_exit(churn(&r, &self->started[i]));
		}
	}
	for (j = 0; j < NWORKERS && j < n; j++) {
		random_moment(&self->random, &self->started[j]);
		ASSERT_EQ(0, kill(pid[j], SIGKILL));
		EXPECT_EQ(1000 + SIGKILL, reap(pid[j]));
	}
	/* Names are meant to stay; nothing else is. */
	for (i = 0; i < NNAMES; i++)
		raw_unlink(churn_name(name, parent, i));
	EXPECT_NOTHING_LEFT(self);
}

TEST_HARNESS_MAIN
