// SPDX-License-Identifier: GPL-2.0-only
/* MBOX_TEMPORARY: mailboxes that end with their last handle, in whatever way it goes. */
#include <poll.h>
#include <sys/mount.h>

#include "fds.h"
#include "leases.h"
#include "locked_dir.h"
#include "mboxfs.h"
#include "peers.h"

static struct mbox_info usage(void)
{
	struct mbox_info info;

	memset(&info, POISON, sizeof(info));
	raw_control(MBOX_IOC_INFO, &info);
	return info;
}

/* What removes the name of a mailbox gives back the charge a little later. */
static bool is_charged_for(__u64 mailboxes)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (usage().mailboxes > mailboxes && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	return usage().mailboxes == mailboxes;
}

FIXTURE(temporary)
{
	struct mbox_attr attr;
	char name[64];
	char path[128];
	char mnt[32];
	bool mounted;
	int root;
	__u64 mailboxes;
	struct locked_dir locked;
};

FIXTURE_SETUP(temporary)
{
	self->attr = attr_of(MBOX_TEMPORARY, 4);
	self->attr.perm = 0666;
	test_name(self->name, sizeof(self->name), "temporary");
	strcpy(self->mnt, "/tmp/mbox-XXXXXX");
	ASSERT_TRUE(!!mkdtemp(self->mnt));
	self->mounted = !mount("mbox", self->mnt, "mbox", 0, NULL);
	self->root = -1;
	self->mailboxes = usage().mailboxes;
	snprintf(self->path, sizeof(self->path), "%s/%s", self->mnt, self->name);
}

FIXTURE_TEARDOWN(temporary)
{
	if (self->locked.locked)
		locked_dir_end(&self->locked);
	raw_unlink(self->name);
	/* The next test counts, too. */
	is_charged_for(self->mailboxes);
	close(self->root);
	if (self->mounted)
		umount2(self->mnt, MNT_DETACH);
	rmdir(self->mnt);
}

#define NEED_MOUNT(self) do {						\
	if (!(self)->mounted)						\
		SKIP(return, "no mount");				\
} while (0)

/* Until locked_dir_end(), nobody gets the lock of the directory. */
#define LOCK_NAMES(self) do {						\
	int ret_;							\
									\
	(self)->root = open((self)->mnt, O_RDONLY | O_DIRECTORY);	\
	ASSERT_LE(0, (self)->root);					\
	ret_ = locked_dir_start(&(self)->locked, (self)->root);	\
	if (ret_ == -ENOSYS || ret_ == -EPERM)				\
		SKIP(return, "no userfaultfd: %s", strerror(-ret_));	\
	ASSERT_EQ(0, ret_);						\
} while (0)

static int make(FIXTURE_DATA(temporary) *self, int oflags)
{
	return raw_create(self->name, oflags | O_EXCL | O_CLOEXEC, &self->attr);
}

TEST_F(temporary, ends_with_the_last_handle)
{
	int fd = make(self, O_RDWR), other;
	__u64 id = stat_of(fd).id;

	ASSERT_LE(0, fd);
	EXPECT_EQ(MBOX_TEMPORARY, stat_of(fd).attr.flags);
	other = raw_open(self->name, O_RDONLY);
	ASSERT_LE(0, other);
	close(fd);
	fd = raw_open(self->name, O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, put(fd, 1));
	close(fd);
	EXPECT_EQ(1, take(other));
	close(other);
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
}

TEST_F(temporary, walk_and_fdinfo_show_the_flag)
{
	int fd = make(self, O_RDWR);
	__u64 id = stat_of(fd).id;
	struct mbox_walk pos = { .id = id - 1 };
	char path[64], text[4096], want[32];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, raw_control(MBOX_IOC_WALK, &pos));
	EXPECT_EQ(id, pos.id);
	EXPECT_STREQ(self->name, pos.name);
	EXPECT_EQ(MBOX_TEMPORARY, pos.stat.attr.flags);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(want, sizeof(want), "mbox-flags:\t%#x\n", MBOX_TEMPORARY);
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_TRUE(!!strstr(text, want));
	close(fd);
	pos.id = id - 1;
	EXPECT_TRUE(raw_control(MBOX_IOC_WALK, &pos) || pos.id != id);
}

TEST_F(temporary, name_can_be_used_again)
{
	int fd, i;

	for (i = 0; i < 3; i++) {
		fd = make(self, O_RDWR);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, put(fd, i));
		close(fd);
	}
	self->attr.flags = 0;
	fd = make(self, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EAGAIN, take(fd));
	close(fd);
	fd = raw_open(self->name, O_RDWR);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(temporary, duplicate_is_the_same_handle)
{
	int fd = make(self, O_RDWR), copy = dup(fd);

	ASSERT_LE(0, fd);
	close(fd);
	fd = raw_open(self->name, O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
	close(copy);
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDONLY));
}

static int hold_and_wait(void *arg)
{
	FIXTURE_DATA(temporary) *self = arg;
	int fd = make(self, O_RDWR);

	CHECK(fd >= 0);
	CHECK_EQ(0, put(fd, 1));
	for (;;)
		pause();
}

TEST_F(temporary, nothing_is_left_after_SIGKILL)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	int fd, i;
	pid_t pid;

	for (i = 0; i < 10; i++) {
		pid = fork();
		if (!pid)
			_exit(hold_and_wait(self));
		while ((fd = raw_open(self->name, O_WRONLY)) < 0 &&
		       now_ns(CLOCK_MONOTONIC) < limit)
			pause_briefly();
		ASSERT_LE(0, fd);
		close(fd);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	}
}

TEST_F(temporary, handle_in_a_socket_counts)
{
	int fd = make(self, O_RDWR), pair[2], got;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_EQ(0, pass_fd(pair[0], fd));
	close(fd);
	got = raw_open(self->name, O_RDONLY);
	EXPECT_LE(0, got);
	close(got);
	got = receive_fd(pair[1]);
	ASSERT_LE(0, got);
	close(got);
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDONLY));
	close(pair[0]);
	close(pair[1]);
}

TEST_F(temporary, unlink_and_rename_change_nothing_else)
{
	char other[160];
	int fd = make(self, O_RDWR);

	NEED_MOUNT(self);
	ASSERT_LE(0, fd);
	snprintf(other, sizeof(other), "%s-other", self->path);
	ASSERT_EQ(0, rename(self->path, other));
	EXPECT_EQ(0, access(other, F_OK));
	close(fd);
	EXPECT_EQ(-ENOENT, neg(access(other, F_OK)));

	fd = make(self, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, raw_unlink(self->name));
	ASSERT_EQ(0, put(fd, 1));
	EXPECT_EQ(1, take(fd));
	close(fd);
}

TEST_F(temporary, neither_O_PATH_nor_a_bind_mount_keeps_it)
{
	char target[] = "/tmp/mbox-bind-XXXXXX", proc[64];
	int fd = make(self, O_RDWR), path, file;

	NEED_MOUNT(self);
	ASSERT_LE(0, fd);
	file = mkstemp(target);
	ASSERT_LE(0, file);
	close(file);
	ASSERT_EQ(0, mount(self->path, target, NULL, MS_BIND, NULL));
	path = open(self->path, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, path);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	file = open(target, O_RDWR);
	ASSERT_LE(0, file);
	close(fd);
	/* A handle that was opened through the mount is one. */
	EXPECT_EQ(0, access(self->path, F_OK));
	close(file);
	EXPECT_EQ(-ENOENT, neg(access(self->path, F_OK)));
	EXPECT_EQ(-EIDRM, neg(open(proc, O_RDWR)));
	EXPECT_EQ(-EIDRM, neg(open(target, O_RDWR)));
	close(path);
	umount(target);
	unlink(target);
}

TEST_F(temporary, messages_give_up_their_descriptors)
{
	int fd = make(self, O_RDWR), pipes[2];
	struct mbox_msg msg = msg_of("x", 1, 0);
	struct pollfd pfd;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(pipes));
	msg.fds = (uintptr_t)&pipes[1];
	msg.nfds = 1;
	ASSERT_EQ(0, raw(fd, MBOX_IOC_SEND, &msg));
	close(pipes[1]);
	close(fd);
	pfd = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLHUP, pfd.revents);
	close(pipes[0]);
}

/* A message that comes back much later, with a descriptor of its own mailbox. */
TEST_F(temporary, delayed_messages_do_not_keep_it)
{
	int fd = make(self, O_RDWR), path, pipes[2];
	struct pollfd pfd;
	struct mbox_msg msg;
	char link[64];
	int fds[2];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(pipes));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	path = open(link, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, path);
	fds[0] = pipes[1];
	fds[1] = path;
	msg = msg_of("abcd", 4, 0);
	msg.fds = (uintptr_t)fds;
	msg.nfds = 2;
	ASSERT_EQ(0, raw(fd, MBOX_IOC_SEND, &msg));
	close(pipes[1]);
	close(path);
	/* Without room for the descriptors, which stay in the message. */
	msg = msg_of(link, sizeof(link), MBOX_LEASE);
	ASSERT_EQ(4, raw(fd, MBOX_IOC_RECV, &msg));
	ASSERT_EQ(0, nack(fd, msg.token, ~0ULL));
	close(fd);
	pfd = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLHUP, pfd.revents);
	close(pipes[0]);
}

TEST_F(temporary, anonymous_ends_as_ever)
{
	int fd = raw_create(NULL, O_RDWR, &self->attr);
	__u64 id = stat_of(fd).id;

	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_EQ(-ENOENT, raw_open_id(id, O_RDWR));
}

TEST_F(temporary, ring_ends_too)
{
	struct mbox *mb;

	self->attr.mode = MBOX_RING;
	mb = mbox_create(self->name, O_RDWR | O_EXCL, &self->attr);
	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, mbox_send(mb, "x", 1, 0));
	mbox_close(mb);
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
}

/* Each create gives a mailbox that works, whoever closes the one before. */
struct racer {
	FIXTURE_DATA(temporary) *self;
	pthread_t thread;
	int failed;
	int opened;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	int fd, i;

	for (i = 0; i < 400; i++) {
		fd = i & 1 ? raw_create(r->self->name, O_RDWR, &r->self->attr) :
			     raw_open(r->self->name, O_RDWR);
		if ((fd == -ENOENT || fd == -EIDRM) && !(i & 1))
			continue;
		/* It is open, so it has not ended. */
		if (fd < 0 || put(fd, 1) == -EIDRM || take(fd) == -EIDRM)
			r->failed = fd < 0 ? fd : -EIDRM;
		else
			r->opened++;
		close(fd);
	}
	return NULL;
}

TEST_F(temporary, open_races_with_the_last_close)
{
	struct racer racers[4] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i].self = self;
		ASSERT_EQ(0, thread_start(&racers[i].thread, race, &racers[i]));
	}
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		pthread_join(racers[i].thread, NULL);
		EXPECT_EQ(0, racers[i].failed);
		EXPECT_LT(0, racers[i].opened);
	}
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
}

struct blocked {
	FIXTURE_DATA(temporary) *self;
	pthread_t thread;
	int fd;
};

static void *close_last(void *arg)
{
	struct blocked *b = arg;

	close(b->fd);
	return NULL;
}

static void *create_again(void *arg)
{
	struct blocked *b = arg;

	b->fd = raw_create(b->self->name, O_RDWR, &b->self->attr);
	return NULL;
}

/* The mailbox ends, and still has its name. */
static bool has_ended(FIXTURE_DATA(temporary) *self)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (!chmod(self->path, 0666) && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	return neg(chmod(self->path, 0666)) == -EIDRM;
}

static bool loses_name(FIXTURE_DATA(temporary) *self)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);

	while (!access(self->path, F_OK) && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	return neg(access(self->path, F_OK)) == -ENOENT;
}

static bool is_reaped(pid_t pid)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	pid_t ret;

	while (!(ret = waitpid(pid, NULL, WNOHANG)) && now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	return ret == pid;
}

/* The mailbox has ended and still has its name: a call that creates it sleeps until then. */
TEST_F(temporary, create_sleeps_until_the_name_is_free)
{
	struct blocked closer = { self }, creator = { self };
	struct timespec before, used;
	clockid_t clock;
	__s64 ns = 0;
	int i;

	NEED_MOUNT(self);
	closer.fd = raw_create(self->name, O_RDWR, &self->attr);
	ASSERT_LE(0, closer.fd);
	LOCK_NAMES(self);
	ASSERT_EQ(0, thread_start(&closer.thread, close_last, &closer));
	ASSERT_TRUE(has_ended(self));
	ASSERT_EQ(0, thread_start(&creator.thread, create_again, &creator));
	ASSERT_EQ(0, pthread_getcpuclockid(creator.thread, &clock));
	/* A loop uses the processor all the time; a guest that stalls seems to, now and then. */
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, clock_gettime(clock, &before));
		usleep(300000);
		ASSERT_EQ(0, clock_gettime(clock, &used));
		ns = (used.tv_sec - before.tv_sec) * 1000 * NSEC_PER_MSEC +
		     used.tv_nsec - before.tv_nsec;
		if (ns < 100 * NSEC_PER_MSEC)
			break;
	}
	EXPECT_GT(100 * NSEC_PER_MSEC, ns);
	EXPECT_LT(0, locked_dir_end(&self->locked));
	pthread_join(closer.thread, NULL);
	pthread_join(creator.thread, NULL);
	EXPECT_LE(0, creator.fd);
	EXPECT_EQ(0, put(creator.fd, 1));
	close(creator.fd);
}

/* What was in it is free then: anybody can lock the directory for long. The name counts. */
TEST_F(temporary, content_is_free_before_the_name)
{
	struct mbox_info before = usage(), now = before;
	struct blocked closer = { self };
	__s64 limit;

	NEED_MOUNT(self);
	closer.fd = raw_create(self->name, O_RDWR, &self->attr);
	ASSERT_LE(0, closer.fd);
	ASSERT_EQ(0, put(closer.fd, 1));
	LOCK_NAMES(self);
	ASSERT_EQ(before.mailboxes + 1, usage().mailboxes);
	ASSERT_EQ(0, thread_start(&closer.thread, close_last, &closer));
	limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	do {
		pause_briefly();
		now = usage();
	} while (now.bytes != before.bytes && now_ns(CLOCK_MONOTONIC) < limit);
	EXPECT_EQ(before.bytes, now.bytes);
	EXPECT_EQ(before.mailboxes + 1, now.mailboxes);
	EXPECT_EQ(0, access(self->path, F_OK));
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_LT(0, locked_dir_end(&self->locked));
	pthread_join(closer.thread, NULL);
	EXPECT_TRUE(loses_name(self));
	EXPECT_TRUE(is_charged_for(before.mailboxes));
}

/* A message that a work item drops. */
static long send_briefly(int mb, int fd)
{
	__u32 value = 7;
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);

	msg.nfds = 1;
	msg.fds = (uintptr_t)&fd;
	msg.lifespan_ns = 100 * NSEC_PER_MSEC;
	return raw(mb, MBOX_IOC_SEND, &msg);
}

struct last_holder {
	pid_t pid;
	int fd;
	int told[2];
	bool closes;
	int mb;
};

/* Gives up the last handle when it is told to: by a message, by close(2), or by its exit. */
static int hold_until_told(void *arg)
{
	struct last_holder *h = arg;
	char go;

	CHECK_EQ(1, read(h->told[0], &go, 1));
	if (h->mb)
		CHECK_EQ(0, send_briefly(h->mb, h->fd));
	if (h->closes)
		close(h->fd);
	return 0;
}

static pid_t hold_last(FIXTURE_DATA(temporary) *self, struct last_holder *h)
{
	pid_t pid;

	h->fd = make(self, O_RDWR);
	if (h->fd < 0 || pipe(h->told))
		return -1;
	pid = spawn(hold_until_told, h);
	close(h->fd);
	return pid;
}

static void end_holder(struct last_holder *h)
{
	close(h->told[0]);
	close(h->told[1]);
}

/* A process gives up the last handle while nobody gets the lock: anybody can hold it for long. */
#define GIVE_UP_LAST(self, h) do {					\
	(h)->pid = hold_last(self, h);					\
	ASSERT_LT(0, (h)->pid);						\
	LOCK_NAMES(self);						\
	EXPECT_EQ(1, write((h)->told[1], "", 1));			\
} while (0)

TEST_F(temporary, exit_does_not_wait_for_the_directory)
{
	__u64 before = usage().mailboxes;
	struct last_holder holder = { 0 };
	int fd;

	NEED_MOUNT(self);
	GIVE_UP_LAST(self, &holder);
	EXPECT_TRUE(is_reaped(holder.pid));
	EXPECT_TRUE(has_ended(self));
	/* The next process would have as many again. */
	EXPECT_EQ(before + 1, usage().mailboxes);
	EXPECT_LT(0, locked_dir_end(&self->locked));
	/* It need not wait for the work item. */
	fd = raw_create("another", O_RDWR | O_EXCL, &self->attr);
	EXPECT_LE(0, fd);
	EXPECT_EQ(-ENOENT, neg(access(self->path, F_OK)));
	close(fd);
	EXPECT_TRUE(is_charged_for(before));
	end_holder(&holder);
}

/* Nor does a process that removes a name and is killed. */
static int unlink_it(void *arg)
{
	FIXTURE_DATA(temporary) *self = arg;

	return raw_unlink(self->name);
}

TEST_F(temporary, killed_unlink_does_not_wait_for_the_directory)
{
	int fd = make(self, O_RDWR);
	pid_t pid;

	NEED_MOUNT(self);
	ASSERT_LE(0, fd);
	LOCK_NAMES(self);
	pid = spawn(unlink_it, self);
	ASSERT_LT(0, pid);
	usleep(20000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	kill(pid, SIGKILL);
	EXPECT_TRUE(is_reaped(pid));
	EXPECT_EQ(0, access(self->path, F_OK));
	EXPECT_LT(0, locked_dir_end(&self->locked));
	close(fd);
}

/* Its descriptor can be another user's, who keeps the directory locked. */
TEST_F(temporary, close_does_not_wait_for_the_directory)
{
	struct last_holder holder = { .closes = true };

	NEED_MOUNT(self);
	GIVE_UP_LAST(self, &holder);
	EXPECT_TRUE(is_reaped(holder.pid));
	EXPECT_TRUE(has_ended(self));
	EXPECT_EQ(0, access(self->path, F_OK));
	EXPECT_LT(0, locked_dir_end(&self->locked));
	EXPECT_TRUE(loses_name(self));
	end_holder(&holder);
}

/* More of them than one hold of the lock removes. */
TEST_F(temporary, names_of_many_closes_go_later)
{
	__u64 before = usage().mailboxes;
	char name[32];
	int fds[100];
	int i;

	NEED_MOUNT(self);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "temporary-%d", i);
		fds[i] = raw_create(name, O_RDWR | O_EXCL, &self->attr);
		ASSERT_LE(0, fds[i]);
	}
	LOCK_NAMES(self);
	for (i = 0; i < 100; i++)
		close(fds[i]);
	EXPECT_EQ(before + 100, usage().mailboxes);
	EXPECT_EQ(-ENOENT, raw_open("temporary-0", O_RDWR));
	EXPECT_LT(0, locked_dir_end(&self->locked));
	EXPECT_TRUE(is_charged_for(before));
}

/* The kernel has one thread that closes the files of all kernel threads. */
TEST_F(temporary, kernel_thread_does_not_wait_for_the_directory)
{
	struct last_holder holder = { .mb = new_mailbox(0, 4) };
	struct pollfd pfd = { 0 };
	int ends[2];

	NEED_MOUNT(self);
	ASSERT_LT(0, holder.mb);
	self->attr.flags |= MBOX_LEAF;
	ASSERT_EQ(0, pipe(ends));
	GIVE_UP_LAST(self, &holder);
	EXPECT_TRUE(is_reaped(holder.pid));
	EXPECT_TRUE(has_ended(self));
	EXPECT_EQ(0, send_briefly(holder.mb, ends[1]));
	close(ends[1]);
	pfd.fd = ends[0];
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_LIMIT_MS));
	EXPECT_EQ(POLLHUP, pfd.revents);
	EXPECT_EQ(0, access(self->path, F_OK));
	EXPECT_LT(0, locked_dir_end(&self->locked));
	EXPECT_TRUE(loses_name(self));
	close(ends[0]);
	close(holder.mb);
	end_holder(&holder);
}

/* The fixture "afterwards" comes first here: its header is above those of this file. */
FIXTURE(at_last)
{
	int unused;
};

FIXTURE_SETUP(at_last)
{
}

FIXTURE_TEARDOWN(at_last)
{
}

TEST_F_TIMEOUT(at_last, the_module_is_not_in_use, 60)
{
	EXPECT_GE(0, await_unused_module());
}

TEST_HARNESS_MAIN
