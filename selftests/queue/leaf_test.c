// SPDX-License-Identifier: GPL-2.0-only
/* MBOX_LEAF: mailboxes without descriptors, whose handles travel in messages. */
#include <poll.h>
#include <sys/socket.h>

#include "calls.h"
#include "fds.h"
#include "leases.h"
#include "peers.h"
#include "random.h"

FIXTURE(leaf)
{
	int fd;
	int leaf;
	struct mbox_stat before;
	struct got got;
};

FIXTURE_SETUP(leaf)
{
	self->fd = new_mailbox(0, 8);
	self->leaf = new_mailbox(MBOX_LEAF, 8);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->leaf);
	self->before = stat_of(self->leaf);
}

FIXTURE_TEARDOWN(leaf)
{
	close(self->leaf);
	close(self->fd);
}

/* Send the only descriptor of a file. */
static long send_away(int to, int *fd)
{
	long ret = send_fds(to, 0, fd, 1);

	close(*fd);
	*fd = -1;
	return ret;
}

static int received_fd(FIXTURE_DATA(leaf) *self)
{
	long ret = recv_fds(self->fd, 0, 1, &self->got);

	return ret == 4 && self->got.msg.nfds == 1 ? self->got.fds[0] : -EBADMSG;
}

/* ---- what it carries ------------------------------------------------------- */

TEST_F(leaf, the_module_has_the_flag)
{
	struct mbox_info info = { 0 };

	ASSERT_EQ(0, raw_control(MBOX_IOC_INFO, &info));
	EXPECT_TRUE(info.attr_flags & MBOX_LEAF);
	EXPECT_EQ(MBOX_LEAF, self->before.attr.flags);
}

TEST_F(leaf, walk_and_fdinfo_show_the_flag)
{
	struct mbox_walk pos = { .id = self->before.id - 1 };
	char path[64], text[4096], want[32];

	ASSERT_EQ(0, raw_control(MBOX_IOC_WALK, &pos));
	EXPECT_EQ(self->before.id, pos.id);
	EXPECT_EQ(MBOX_LEAF, pos.stat.attr.flags);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->leaf);
	snprintf(want, sizeof(want), "mbox-flags:\t%#x\n", MBOX_LEAF);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_TRUE(!!strstr(text, want));
}

TEST_F(leaf, descriptors_in_its_messages_are_ELOOP)
{
	static const __u32 flags[] = {
		0, MBOX_DROP_OLDEST, MBOX_DROP_NEWEST, MBOX_FAIR, MBOX_BROADCAST, MBOX_HANGUP,
	};
	struct mbox_stat before;
	unsigned int i;
	int fd, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = new_mailbox(MBOX_LEAF | flags[i], 8);
		ASSERT_LE(0, fd);
		before = stat_of(fd);
		EXPECT_EQ(-ELOOP, send_fds(fd, 0, &null, 1));
		EXPECT_EQ(-ELOOP, send_fds(fd, 0, &self->leaf, 1));
		EXPECT_EQ(-ELOOP, send_fds(fd, 0, &fd, 1));
		/* Before anything is said about the descriptors. */
		EXPECT_EQ(-ELOOP, send_fds(fd, 0, (int *)1, 1));
		EXPECT_TRUE(same_stat(fd, &before));
		EXPECT_EQ(0, put(fd, 5));
		close(fd);
	}
	close(null);
}

TEST_F(leaf, a_batch_ends_at_descriptors)
{
	struct mbox_msg msgs[] = { msg_of("a", 1, 0), msg_of("b", 1, 0) };

	msgs[1].nfds = 1;
	msgs[1].fds = (uintptr_t)&self->fd;
	EXPECT_EQ(1, raw_vec(self->leaf, MBOX_IOC_SENDV, msgs, 2, 0));
	EXPECT_EQ(-ELOOP, raw_vec(self->leaf, MBOX_IOC_SENDV, msgs + 1, 1, 0));
	EXPECT_EQ(1U, stat_of(self->leaf).queued);
}

TEST_F(leaf, everything_else_works)
{
	__u64 token;
	struct got got;

	EXPECT_EQ(0, put_as(self->leaf, 3, 7, 9));
	EXPECT_EQ(4, recv_fds(self->leaf, 0, 1, &got));
	EXPECT_EQ(0U, got.msg.nfds);
	EXPECT_EQ(7U, got.msg.prio);
	EXPECT_EQ(0U, got.msg.flags & MBOX_CTRUNC);
	token = got.msg.token;
	EXPECT_EQ(0U, token);
}

/* ---- its handles travel ------------------------------------------------------ */

TEST_F(leaf, a_handle_travels_with_its_rights)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	unsigned int i;
	int fd, there;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = open_again(self->leaf, modes[i]);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, send_away(self->fd, &fd));
		there = received_fd(self);
		ASSERT_LE(0, there);
		EXPECT_EQ(modes[i], fcntl(there, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(FD_CLOEXEC, fcntl(there, F_GETFD));
		EXPECT_EQ(self->before.id, stat_of(there).id);
		EXPECT_EQ(modes[i] == O_RDONLY ? -EBADF : 0, put(there, i));
		EXPECT_EQ(modes[i] == O_WRONLY ? -EBADF : i == O_RDONLY ? -EAGAIN : (long)i,
			  take(there));
		close(there);
		while (take(self->leaf) >= 0)
			;
	}
}

static int use_what_comes(void *arg)
{
	FIXTURE_DATA(leaf) *self = arg;
	int there;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	/* It could not open the mailbox itself. */
	CHECK_EQ(-EACCES, raw_open_id(self->before.id, O_WRONLY));
	there = received_fd(self);
	CHECK(there >= 0);
	CHECK_EQ(0, put(there, 77));
	CHECK_EQ(-EBADF, take(there));
	return 0;
}

TEST_F(leaf, a_handle_is_a_capability)
{
	int fd = open_again(self->leaf, O_WRONLY);

	ASSERT_EQ(0, send_away(self->fd, &fd));
	EXPECT_EQ(0, in_child(use_what_comes, self));
	EXPECT_EQ(77, take(self->leaf));
}

TEST_F(leaf, a_handle_of_a_ring_travels)
{
	struct mbox_attr attr = attr_of(MBOX_LEAF | MBOX_HANGUP, 4);
	struct mbox *here, *there;
	char text[8] = "";
	int fd;

	attr.mode = MBOX_RING;
	attr.msg_max = 64;
	here = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!here);
	fd = open_again(mbox_fd(here), O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, send_away(self->fd, &fd));
	there = mbox_from_fd(received_fd(self));
	ASSERT_TRUE(!!there);
	ASSERT_EQ(0, mbox_send(there, "ring", 4, 0));
	EXPECT_EQ(4, mbox_recv(here, text, sizeof(text), MBOX_DONTWAIT));
	EXPECT_STREQ("ring", text);
	EXPECT_EQ(-EBADF, neg(mbox_recv(there, text, sizeof(text), MBOX_DONTWAIT)));
	EXPECT_EQ(0, mbox_close(there));
	EXPECT_EQ(0, mbox_close(here));
}

TEST_F(leaf, other_mailboxes_do_not_travel)
{
	struct mbox_attr attr = attr_of(0, 4);
	int kinds[3];
	unsigned int i;

	attr.mode = MBOX_RING;
	kinds[0] = self->fd;
	kinds[1] = raw_create(NULL, O_RDWR, &attr);
	kinds[2] = raw_direct(getppid(), O_RDWR);
	self->before = stat_of(self->fd);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_LE(0, kinds[i]);
		EXPECT_EQ(-ELOOP, send_fds(self->fd, 0, &kinds[i], 1));
	}
	EXPECT_TRUE(same_stat(self->fd, &self->before));
	close(kinds[1]);
	close(kinds[2]);
}

TEST_F(leaf, handles_travel_over_direct_links)
{
	int link = raw_direct(getpid(), O_RDWR);

	/* A process has no link to itself: to its parent, then. */
	if (link < 0)
		link = raw_direct(getppid(), O_RDWR);
	ASSERT_LE(0, link);
	EXPECT_EQ(0, send_fds(link, 0, &self->leaf, 1));
	close(link);
}

TEST_F(leaf, broadcasts_carry_handles_to_every_receiver)
{
	struct got got;
	int a, b, i;

	a = new_mailbox(MBOX_BROADCAST, 8);
	b = open_again(a, O_RDONLY);
	ASSERT_EQ(0, send_fds(a, 0, &self->leaf, 1));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(4, recv_fds(i ? a : b, 0, 1, &got));
		ASSERT_EQ(1U, got.msg.nfds);
		EXPECT_EQ(self->before.id, stat_of(got.fds[0]).id);
		close(got.fds[0]);
	}
	close(a);
	close(b);
}

/* ---- life --------------------------------------------------------------------- */

TEST_F(leaf, a_handle_in_a_message_counts_as_open)
{
	int receiver, sender, leaf = new_mailbox(MBOX_LEAF | MBOX_HANGUP, 8);
	struct pollfd pfd = { .events = POLLIN };

	sender = open_again(leaf, O_WRONLY);
	receiver = open_again(leaf, O_RDONLY);
	close(leaf);
	ASSERT_EQ(0, send_away(self->fd, &receiver));
	EXPECT_EQ(1U, stat_of(sender).recv_handles);
	EXPECT_EQ(0, put(sender, 1));
	receiver = received_fd(self);
	ASSERT_LE(0, receiver);
	ASSERT_EQ(0, send_away(self->fd, &sender));
	EXPECT_EQ(1, take(receiver));
	EXPECT_EQ(-EAGAIN, take(receiver));
	/* The message with the last sender is dropped. */
	ASSERT_EQ(0, raw_destroy(self->fd));
	pfd.fd = receiver;
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(-EPIPE, take(receiver));
	close(receiver);
}

TEST_F(leaf, a_reply_port_in_a_request)
{
	int port = open_again(self->leaf, O_WRONLY);
	int there;

	ASSERT_EQ(0, send_away(self->fd, &port));
	there = received_fd(self);
	ASSERT_LE(0, there);
	EXPECT_EQ(0, put(there, 42));
	close(there);
	EXPECT_EQ(42, take(self->leaf));
}

/* Each message holds the last handle of a leaf, which has messages of its own. */
TEST_F(leaf, many_mailboxes_end_with_the_messages_that_hold_them)
{
	enum { MANY = 200, EACH = 32 };
	int fds[EACH], fd, i, k;
	__u64 first = 0, last = 0;

	fd = new_mailbox(0, MBOX_UNBOUNDED);
	ASSERT_LE(0, fd);
	for (i = 0; i < MANY; i++) {
		for (k = 0; k < EACH; k++) {
			fds[k] = k ? dup(fds[0]) : new_mailbox(MBOX_LEAF, 8);
			ASSERT_LE(0, fds[k]);
		}
		ASSERT_EQ(0, put(fds[0], i));
		last = stat_of(fds[0]).id;
		first = first ?: last;
		ASSERT_EQ(0, send_fds(fd, 0, fds, EACH));
		for (k = 0; k < EACH; k++)
			close(fds[k]);
	}
	EXPECT_LE(0, fcntl(fd, F_GETFD));
	close(fd);
	EXPECT_TRUE(is_gone(first));
	EXPECT_TRUE(is_gone(last));
}

TEST_F(leaf, a_name_alone_keeps_no_handle)
{
	struct mbox_attr attr = attr_of(0, 8);
	char name[64];
	int fd;

	test_name(name, sizeof(name), "leaf");
	fd = raw_create(name, O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, send_away(fd, &self->leaf));
	close(fd);
	EXPECT_TRUE(is_gone(self->before.id));
	fd = raw_open(name, O_RDWR);
	ASSERT_EQ(4, recv_fds(fd, 0, 1, &self->got));
	EXPECT_EQ(0U, self->got.msg.nfds);
	EXPECT_TRUE(self->got.msg.flags & MBOX_CTRUNC);
	close(fd);
	raw_unlink(name);
}

static int send_and_be_killed(void *arg)
{
	FIXTURE_DATA(leaf) *self = arg;
	int fds[2];

	fds[0] = new_mailbox(MBOX_LEAF | MBOX_HANGUP, 8);
	fds[1] = open_again(fds[0], O_RDONLY);
	CHECK_EQ(0, send_fds(self->fd, 0, &fds[1], 1));
	raise(SIGKILL);
	return 1;
}

TEST_F(leaf, a_handle_outlives_its_sender)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	long ret;
	int fd;

	ASSERT_EQ(1000 + SIGKILL, in_child(send_and_be_killed, self));
	fd = received_fd(self);
	ASSERT_LE(0, fd);
	do {
		ret = take(fd);
		pause_briefly();
	} while (ret == -EAGAIN && now_ns(CLOCK_MONOTONIC) < limit);
	EXPECT_EQ(-EPIPE, ret);
	close(fd);
}

#define MAILBOXES 16
#define ROUNDS 40
#define STEPS 400

/*
 * A mailbox of any kind, which may have another one for its dead letters, or an error. A
 * mailbox in a circle would never end.
 */
static int any_mailbox(struct random *r, const int *fds)
{
	static const __u32 flags[] = {
		0, 0, MBOX_DROP_OLDEST, MBOX_HANGUP, MBOX_TEMPORARY, MBOX_BROADCAST,
		MBOX_LEAF, MBOX_LEAF, MBOX_LEAF | MBOX_HANGUP, MBOX_LEAF | MBOX_BROADCAST,
	};
	__u32 which = flags[random_below(r, ARRAY_SIZE(flags))];

	if (one_in(r, 2))
		return new_with(which, 8, 1 + random_below(r, 2), fds[random_below(r, MAILBOXES)]);
	return new_mailbox(which, 8);
}

/* Request or message, with handles, to any of @fds. */
static long give_any(struct random *r, const int *fds)
{
	struct mbox_msg req = { .flags = MBOX_DONTWAIT };
	int to = fds[random_below(r, MAILBOXES)], some[2];
	__u64 token;

	some[0] = fds[random_below(r, MAILBOXES)];
	some[1] = fds[random_below(r, MAILBOXES)];
	if (one_in(r, 2))
		return send_fds(to, 0, some, 1 + random_below(r, 2));
	req.fds = (uintptr_t)some;
	req.nfds = 1;
	return raw_call_start(to, &req, 8, &token);
}

/* Receives, and keeps a handle that has come; the message goes back, or is replied to. */
static void get_any(struct random *r, int *fds)
{
	int fd = fds[random_below(r, MAILBOXES)], k = random_below(r, MAILBOXES);
	__u32 flags = one_in(r, 2) ? MBOX_LEASE : 0;
	struct mbox_replymsg reply = { .nfds = 1 };
	struct got got;

	if (recv_fds(fd, flags, 1, &got) < 0)
		return;
	if (got.msg.nfds) {
		close(fds[k]);
		fds[k] = got.fds[0];
	}
	reply.fds = (uintptr_t)&fds[random_below(r, MAILBOXES)];
	reply.token = got.msg.token;
	if (flags && one_in(r, 2))
		nack(fd, got.msg.token, 0);
	else if (one_in(r, 2))
		raw(fd, MBOX_IOC_REPLYMSG, &reply);
}

/* Whatever is sent where, and whatever is left there, no mailbox keeps itself. */
TEST_F_TIMEOUT(leaf, no_circle_closes, 120)
{
	unsigned long seed = random_seed(), sent = 0, refused = 0, round, step;
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct random r = { .state = seed };
	int before = count_mailboxes(), i, k;
	int fds[MAILBOXES];
	long ret;

	TH_LOG("MBOX_SEED=%lu", seed);
	for (round = 0; round < ROUNDS; round++) {
		memset(fds, 0xff, sizeof(fds));
		for (i = 0; i < MAILBOXES; i++) {
			fds[i] = any_mailbox(&r, fds);
			if (fds[i] < 0)
				fds[i] = new_mailbox(0, 8);
			ASSERT_LE(0, fds[i]);
		}
		for (step = 0; step < STEPS; step++) {
			if (one_in(&r, 3)) {
				get_any(&r, fds);
			} else {
				ret = give_any(&r, fds);
				sent += !ret;
				refused += ret == -ELOOP;
			}
			if (!one_in(&r, 40))
				continue;
			k = random_below(&r, MAILBOXES);
			ret = any_mailbox(&r, fds);
			if (ret < 0)
				continue;
			close(fds[k]);
			fds[k] = ret;
		}
		for (i = 0; i < MAILBOXES; i++)
			close(fds[i]);
	}
	while (count_mailboxes() != before && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	EXPECT_EQ(before, count_mailboxes());
	/* It has tried both. */
	EXPECT_LT(ROUNDS, sent);
	EXPECT_LT(ROUNDS, refused);
	TH_LOG("%lu were sent, %lu refused", sent, refused);
}

/* Sends handles of its mailboxes, and uses those that it gets, until it is killed. */
static int exchange_handles(void *arg)
{
	FIXTURE_DATA(leaf) *self = arg;
	struct got got;
	long ret;
	int leaf;

	for (;;) {
		leaf = new_mailbox(MBOX_LEAF, 8);
		CHECK(leaf >= 0);
		CHECK_EQ(0, put(leaf, 42));
		ret = send_away(self->fd, &leaf);
		CHECK(!ret || ret == -EAGAIN);
		if (recv_fds(self->fd, 0, 1, &got) < 0)
			continue;
		CHECK_EQ(1U, got.msg.nfds);
		CHECK_EQ(42, take(got.fds[0]));
		close(got.fds[0]);
	}
}

/* Wherever a handle was: with its sender, in a message, or with its receiver. */
TEST_F(leaf, killed_processes_leave_no_mailbox)
{
	unsigned long kills = env_number("MBOX_KILLS", 60), seed = random_seed(), i;
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct random random = { .state = seed };
	int before = count_mailboxes(), k;
	pid_t pids[3];

	TH_LOG("MBOX_SEED=%lu MBOX_KILLS=%lu", seed, kills);
	for (k = 0; k < 3; k++)
		pids[k] = spawn(exchange_handles, self);
	for (i = 0; i < kills; i++) {
		usleep(random_below(&random, 3000));
		k = random_below(&random, 3);
		kill(pids[k], SIGKILL);
		ASSERT_EQ(1000 + SIGKILL, reap(pids[k]));
		pids[k] = spawn(exchange_handles, self);
	}
	for (k = 0; k < 3; k++) {
		kill(pids[k], SIGKILL);
		EXPECT_EQ(1000 + SIGKILL, reap(pids[k]));
	}
	EXPECT_LT(0U, stat_of(self->fd).received);
	while (take(self->fd) >= 0)
		;
	while (count_mailboxes() != before && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	EXPECT_EQ(before, count_mailboxes());
}

TEST_HARNESS_MAIN
