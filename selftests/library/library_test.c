// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the library adds to the system calls: checks of its own, several ways
 * into the kernel that have to behave as one, and its promises about errno,
 * signals and threads.
 */
#include "hold_up.h"
#include "api_variants.h"

#include <limits.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* Not an error number of any call. */
#define ERRNO_POISON 4095

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* -errno of a call that returns a handle; 0 when it wrongly succeeds. */
static long failure(struct mbox *mb)
{
	int error = errno;

	if (!mb)
		return -error;
	mbox_close(mb);
	return 0;
}

/*
 * Without the device.
 */
FIXTURE(device)
{
	struct mbox *mb;
};

FIXTURE_SETUP(device)
{
	self->mb = mbox_create(NULL, O_RDWR, NULL);
	ASSERT_TRUE(!!self->mb);
}

FIXTURE_TEARDOWN(device)
{
	mbox_close(self->mb);
}

/* Every call that needs the device fails with @error; a handle needs none. */
static int calls_fail(struct mbox *mb, int error)
{
	struct mbox_walk pos, before;
	struct mbox_info info;
	int fds = open_descriptors();
	char c = 0;

	memset(&pos, 0, sizeof(pos));
	before = pos;
	CHECK_EQ(-error, failure(mbox_create("x", O_RDWR, NULL)));
	CHECK_EQ(-error, failure(mbox_create(NULL, O_RDWR, NULL)));
	CHECK_EQ(-error, failure(mbox_open("x", O_RDWR)));
	CHECK_EQ(-error, failure(mbox_open_id(1, O_RDWR)));
	CHECK_EQ(-error, neg(mbox_unlink("x")));
	CHECK_EQ(-error, neg(mbox_walk(&pos)));
	CHECK_EQ(0, memcmp(&pos, &before, sizeof(pos)));
	CHECK_EQ(-error, neg(mbox_info(&info)));
	CHECK_EQ(fds, open_descriptors());

	/* What is wrong with a name needs no device to be seen. */
	CHECK_EQ(-EINVAL, failure(mbox_open(NULL, O_RDWR)));
	CHECK_EQ(-EINVAL, failure(mbox_open("", O_RDWR)));
	CHECK_EQ(-EINVAL, failure(mbox_create("", O_RDWR, NULL)));
	CHECK_EQ(-EINVAL, neg(mbox_unlink("")));
	CHECK_EQ(-EINVAL, neg(mbox_unlink(NULL)));

	CHECK_EQ(0, mbox_send(mb, "y", 1, 0));
	CHECK_EQ(1, mbox_recv(mb, &c, 1, 0));
	CHECK_EQ('y', c);
	mb = mbox_from_fd(dup(mbox_fd(mb)));
	CHECK(mb);
	CHECK_EQ(0, mbox_close(mb));
	return 0;
}

static int hide_device(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/dev", "tmpfs", 0, NULL))
		return neg(-1);
	return 0;
}

static int without_node(void *arg)
{
	CHECK_EQ(0, hide_device());
	return calls_fail(arg, ENODEV);
}

TEST_F(device, missing_device_is_ENODEV)
{
	EXPECT_EQ(0, in_child(without_node, self->mb));
}

static int without_driver(void *arg)
{
	CHECK_EQ(0, hide_device());
	/* A number that is never registered: for experiments. */
	CHECK_EQ(0, mknod(DEVICE, S_IFCHR | 0666, makedev(120, 0)));
	return calls_fail(arg, ENODEV);
}

TEST_F(device, device_without_a_driver_is_ENODEV)
{
	EXPECT_EQ(0, in_child(without_driver, self->mb));
}

static int without_permission(void *arg)
{
	struct stat st;

	CHECK_EQ(0, stat(DEVICE, &st));
	CHECK_EQ(0, hide_device());
	CHECK_EQ(0, mknod(DEVICE, S_IFCHR | 0600, st.st_rdev));
	CHECK_EQ(0, become(USER_A, GROUP_A));
	return calls_fail(arg, EACCES);
}

TEST_F(device, device_without_permission_is_EACCES)
{
	EXPECT_EQ(0, in_child(without_permission, self->mb));
}

static int without_descriptors(void *arg)
{
	struct rlimit limit = { 0, 0 };

	CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_EQ(-EMFILE, failure(mbox_create(NULL, O_RDWR, NULL)));
	CHECK_EQ(-EMFILE, failure(mbox_open("x", O_RDWR)));
	CHECK_EQ(-EMFILE, failure(mbox_open_id(1, O_RDWR)));
	CHECK_EQ(-EMFILE, neg(mbox_unlink("x")));
	CHECK_EQ(-EMFILE, neg(mbox_info(arg)));
	CHECK_EQ(-EMFILE, neg(mbox_walk(arg)));
	return 0;
}

TEST_F(device, no_descriptor_left_is_EMFILE)
{
	struct mbox_walk out;

	EXPECT_EQ(0, in_child(without_descriptors, &out));
}

/*
 * Handles.
 */
FIXTURE(library)
{
	struct mbox *mb;
	char name[64];
};

FIXTURE_SETUP(library)
{
	test_name(self->name, sizeof(self->name), "library");
	self->mb = mbox_create(self->name, O_RDWR | O_EXCL, NULL);
	ASSERT_TRUE(!!self->mb);
}

FIXTURE_TEARDOWN(library)
{
	mbox_unlink(self->name);
	mbox_close(self->mb);
}

TEST_F(library, default_attributes_are_those_of_the_header)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;
	struct mbox_stat st;

	EXPECT_EQ((__u32)MBOX_QUEUE, attr.mode);
	EXPECT_EQ(0U, attr.flags);
	EXPECT_EQ(64U, attr.capacity);
	EXPECT_EQ(8192U, attr.msg_max);
	EXPECT_EQ(0600U, attr.perm);
	memset(&st, POISON, sizeof(st));
	ASSERT_EQ(0, mbox_stat(self->mb, &st));
	EXPECT_EQ(0, memcmp(&attr, &st.attr, sizeof(attr)));
}

TEST_F(library, close_closes_an_adopted_descriptor)
{
	int fd = dup(mbox_fd(self->mb));
	int fds = open_descriptors();
	struct mbox *mb = mbox_from_fd(fd);

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(fd, mbox_fd(mb));
	EXPECT_EQ(fds, open_descriptors());
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_FALSE(is_open(fd));
	EXPECT_EQ(fds - 1, open_descriptors());
}

TEST_F(library, adopted_descriptor_keeps_its_flag)
{
	int fd = dup(mbox_fd(self->mb));
	struct mbox *mb = mbox_from_fd(fd);

	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, fcntl(fd, F_GETFD));
	mbox_close(mb);
	fd = fcntl(mbox_fd(self->mb), F_DUPFD_CLOEXEC, 0);
	mb = mbox_from_fd(fd);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	mbox_close(mb);
}

/* F_GETFD of a handle that ends here. */
static int flags_of(struct mbox *mb)
{
	int flags = mb ? fcntl(mbox_fd(mb), F_GETFD) : -errno;

	mbox_close(mb);
	return flags;
}

TEST_F(library, handles_are_close_on_exec)
{
	static const int oflags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK,
				      O_RDWR | O_CLOEXEC };
	__u64 id = stat_of(mbox_fd(self->mb)).id;
	struct mbox_attr ring = attr_of(0, 4);
	unsigned int i;

	ring.mode = MBOX_RING;
	for (i = 0; i < ARRAY_SIZE(oflags); i++) {
		EXPECT_EQ(FD_CLOEXEC, flags_of(mbox_create(NULL, oflags[i], NULL)));
		EXPECT_EQ(FD_CLOEXEC, flags_of(mbox_create(NULL, oflags[i], &ring)));
		EXPECT_EQ(FD_CLOEXEC, flags_of(mbox_create(self->name, oflags[i], NULL)));
		EXPECT_EQ(FD_CLOEXEC, flags_of(mbox_open(self->name, oflags[i])));
		EXPECT_EQ(FD_CLOEXEC, flags_of(mbox_open_id(id, oflags[i])));
		EXPECT_EQ(FD_CLOEXEC, flags_of(mbox_direct(getppid(), oflags[i])));
	}
}

/* Exit status of a shell that says whether it has that descriptor. */
static int shell_has(const posix_spawn_file_actions_t *actions, int fd)
{
	char command[64], *const argv[] = { "sh", "-c", command, NULL };
	pid_t pid;

	snprintf(command, sizeof(command), "[ -e /proc/self/fd/%d ]", fd);
	if (posix_spawn(&pid, "/bin/sh", actions, NULL, argv, environ))
		return -ECHILD;
	return reap(pid);
}

TEST_F(library, exec_closes_handles_that_are_not_passed)
{
	int fd = mbox_fd(self->mb);
	posix_spawn_file_actions_t actions;

	EXPECT_EQ(1, shell_has(NULL, fd));
	ASSERT_EQ(0, posix_spawn_file_actions_init(&actions));
	ASSERT_EQ(0, posix_spawn_file_actions_adddup2(&actions, fd, fd));
	EXPECT_EQ(0, shell_has(&actions, fd));
	EXPECT_EQ(1, shell_has(NULL, fd));
	posix_spawn_file_actions_destroy(&actions);
	ASSERT_EQ(0, fcntl(fd, F_SETFD, 0));
	EXPECT_EQ(0, shell_has(NULL, fd));
}

TEST_F(library, handle_can_be_passed_through_exec)
{
	char *const argv[] = { "sh", "-c", "printf hello >&9", NULL };
	posix_spawn_file_actions_t actions;
	char text[8] = "";
	pid_t pid;

	ASSERT_EQ(0, posix_spawn_file_actions_init(&actions));
	ASSERT_EQ(0, posix_spawn_file_actions_adddup2(&actions, mbox_fd(self->mb), 9));
	ASSERT_EQ(0, posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ));
	EXPECT_EQ(0, reap(pid));
	EXPECT_EQ(5, mbox_recv(self->mb, text, sizeof(text), MBOX_DONTWAIT));
	EXPECT_EQ(0, strcmp(text, "hello"));
	posix_spawn_file_actions_destroy(&actions);
}

TEST_F(library, descriptor_that_is_not_adopted_stays_open)
{
	int sock[2], ends[2], fds[6], i;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, pipe(ends));
	fds[0] = sock[0];
	fds[1] = ends[0];
	fds[2] = open("/dev/null", O_RDWR);
	fds[3] = open("/", O_RDONLY | O_DIRECTORY);
	fds[4] = open_device();
	fds[5] = dup(STDERR_FILENO);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(-EINVAL, failure(mbox_from_fd(fds[i]))) {
			TH_LOG("descriptor %d", i);
		}
		EXPECT_EQ(0, close(fds[i]));
		EXPECT_EQ(-EBADF, failure(mbox_from_fd(fds[i])));
	}
	EXPECT_EQ(-EBADF, failure(mbox_from_fd(-1)));
	EXPECT_EQ(-EBADF, failure(mbox_from_fd(INT_MAX)));
	close(sock[1]);
	close(ends[1]);
	/* It is open, but for no call. */
	i = open(DEVICE, O_PATH);
	EXPECT_EQ(-EBADF, failure(mbox_from_fd(i)));
	EXPECT_EQ(0, close(i));
}

TEST_F(library, descriptor_of_a_destroyed_mailbox_is_not_adopted)
{
	int fd = dup(mbox_fd(self->mb));

	ASSERT_EQ(0, mbox_destroy(self->mb));
	EXPECT_EQ(-EIDRM, failure(mbox_from_fd(fd)));
	EXPECT_EQ(0, close(fd));
}

TEST_F(library, close_of_a_closed_descriptor_is_EBADF)
{
	struct mbox *mb = mbox_open(self->name, O_RDONLY);

	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, close(mbox_fd(mb)));
	EXPECT_EQ(-EBADF, neg(mbox_close(mb)));
}

TEST_F(library, failed_call_leaves_the_outputs)
{
	struct mbox_walk pos, pos_before;
	struct mbox_stat st, before;

	memset(&before, POISON, sizeof(before));
	st = before;
	memset(&pos, POISON, sizeof(pos));
	pos.id = ~0ULL;
	pos_before = pos;
	EXPECT_EQ(-ENOENT, neg(mbox_walk(&pos)));
	EXPECT_EQ(0, memcmp(&pos, &pos_before, sizeof(pos)));
	ASSERT_EQ(0, mbox_destroy(self->mb));
	EXPECT_EQ(-EIDRM, neg(mbox_stat(self->mb, &st)));
	EXPECT_EQ(0, memcmp(&st, &before, sizeof(st)));
	EXPECT_EQ(-EIDRM, neg(mbox_destroy(self->mb)));
	EXPECT_EQ(-EIDRM, neg(mbox_set_capacity(self->mb, 3)));
}

TEST_F(library, bad_pointers_are_EFAULT)
{
	void *bad = bad_buffer();

	ASSERT_TRUE(!!bad);
	EXPECT_EQ(-EFAULT, neg(mbox_stat(self->mb, bad)));
	EXPECT_EQ(-EFAULT, neg(mbox_walk(bad)));
	EXPECT_EQ(-EFAULT, neg(mbox_info(bad)));
	EXPECT_EQ(-EFAULT, neg(mbox_sendmsg(self->mb, bad)));
	EXPECT_EQ(-EFAULT, neg(mbox_recvmsg(self->mb, bad)));
	EXPECT_EQ(-EFAULT, neg(mbox_sendmmsg(self->mb, bad, 1, MBOX_DONTWAIT)));
	EXPECT_EQ(-EFAULT, neg(mbox_recvmmsg(self->mb, bad, 1, MBOX_DONTWAIT)));
	munmap(bad, 4096);
}

TEST_F(library, unknown_flags_and_flags_of_the_other_side_are_EINVAL)
{
	static const unsigned int not_senders[] = { 1U << 31, 1U << 9, MBOX_PEEK, MBOX_TRUNC,
						    MBOX_MATCH, MBOX_WAITFORONE };
	static const unsigned int not_receivers[] = { 1U << 31, 1U << 9, MBOX_SYNC,
						      MBOX_WAITFORONE,
						      MBOX_MATCH_NOT | MBOX_MATCH_LE };
	struct timespec past = { 0 };
	unsigned int i;
	char c;

	for (i = 0; i < ARRAY_SIZE(not_senders); i++) {
		EXPECT_EQ(-EINVAL, neg(mbox_send(self->mb, "x", 1, not_senders[i])));
		EXPECT_EQ(-EINVAL, neg(mbox_timedsend(self->mb, "x", 1, not_senders[i], &past)));
		EXPECT_EQ(-EINVAL, neg(mbox_timedsend(self->mb, "x", 1, not_senders[i], NULL)));
	}
	ASSERT_EQ(0, mbox_send(self->mb, "x", 1, 0));
	for (i = 0; i < ARRAY_SIZE(not_receivers); i++) {
		EXPECT_EQ(-EINVAL, neg(mbox_recv(self->mb, &c, 1, not_receivers[i])));
		EXPECT_EQ(-EINVAL,
			  neg(mbox_timedrecv(self->mb, &c, 1, not_receivers[i], &past)));
		EXPECT_EQ(-EINVAL, neg(mbox_timedrecv(self->mb, &c, 1, not_receivers[i], NULL)));
	}
	EXPECT_EQ(1, mbox_recv(self->mb, &c, 1, MBOX_DONTWAIT));
	EXPECT_EQ(-EAGAIN, neg(mbox_recv(self->mb, &c, 1, MBOX_DONTWAIT)));
}

TEST_F(library, errors_of_the_mailbox_come_before_EFAULT)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 2);
	void *bad = bad_buffer();
	struct mbox *writer, *reader;

	ASSERT_TRUE(!!bad);
	EXPECT_EQ(-EMSGSIZE, neg(mbox_send(self->mb, bad, 8193, 0)));
	EXPECT_EQ(-EAGAIN, neg(mbox_send(self->mb, bad, 1, MBOX_SYNC | MBOX_DONTWAIT)));
	ASSERT_EQ(0, mbox_set_capacity(self->mb, 0));
	EXPECT_EQ(-EAGAIN, neg(mbox_send(self->mb, bad, 1, MBOX_DONTWAIT)));
	writer = mbox_create(NULL, O_WRONLY, &attr);
	ASSERT_TRUE(!!writer);
	reader = mbox_open_id(stat_of(mbox_fd(writer)).id, O_RDONLY);
	ASSERT_TRUE(!!reader);
	EXPECT_EQ(0, mbox_close(reader));
	EXPECT_EQ(-EPIPE, neg(mbox_send(writer, bad, 1, MBOX_DONTWAIT)));
	EXPECT_EQ(-EPIPE, neg(mbox_send(writer, bad, 1, 0)));
	EXPECT_EQ(0, mbox_close(writer));
	munmap(bad, 4096);
}

TEST_F(library, match_without_a_structure_means_type_0)
{
	struct mbox_msg msg = msg_of("seven", 5, 0);
	char text[8];

	msg.type = 7;
	ASSERT_EQ(0, mbox_sendmsg(self->mb, &msg));
	EXPECT_EQ(-EAGAIN, neg(mbox_recv(self->mb, text, 8, MBOX_MATCH | MBOX_DONTWAIT)));
	ASSERT_EQ(0, mbox_send(self->mb, "zero", 4, MBOX_DONTWAIT));
	EXPECT_EQ(4, mbox_recv(self->mb, text, 8, MBOX_MATCH));
	EXPECT_EQ(5, mbox_recv(self->mb, text, 8, MBOX_MATCH_NOT));
}

TEST_F(library, bad_deadline_is_EINVAL_even_if_the_call_does_not_wait)
{
	static const struct timespec bad = { .tv_nsec = 1000000000 };
	struct mbox *reader = mbox_open(self->name, O_RDONLY);
	char c = (char)POISON;

	ASSERT_TRUE(!!reader);
	EXPECT_EQ(-EINVAL, neg(mbox_timedsend(self->mb, "x", 1, MBOX_DONTWAIT, &bad)));
	EXPECT_EQ(-EINVAL, neg(mbox_timedsend(reader, "x", 1, 0, &bad)));
	ASSERT_EQ(0, mbox_send(self->mb, "x", 1, 0));
	EXPECT_EQ(-EINVAL, neg(mbox_timedrecv(self->mb, &c, 1, MBOX_DONTWAIT, &bad)));
	EXPECT_EQ(-EINVAL, neg(mbox_timedrecv(self->mb, &c, 1, MBOX_REALTIME, &bad)));
	EXPECT_EQ((char)POISON, c);
	EXPECT_EQ(1U, stat_of(mbox_fd(self->mb)).queued);
	EXPECT_EQ(0, mbox_close(reader));
}

struct timed {
	struct mbox *mb;
	struct timespec deadline;
	unsigned int flags;
	pid_t tid;
	long ret;
};

static void *recv_until(void *arg)
{
	struct timed *t = arg;
	char c;

	t->ret = neg(mbox_timedrecv(t->mb, &c, 1, t->flags, &t->deadline));
	return NULL;
}

TEST_F(library, farthest_deadlines_wait)
{
	/* The greatest that time_t has, and one second past what the kernel counts. */
	static const __s64 far[] = { sizeof(time_t) > 4 ? INT64_MAX : INT32_MAX, 9223372037LL };
	unsigned int i, real;
	pthread_t thread;

	for (i = 0; i < ARRAY_SIZE(far); i++) {
		for (real = 0; real < 2; real++) {
			struct timed t = {
				.mb = self->mb,
				.deadline = { .tv_sec = far[i], .tv_nsec = 999999999 },
				.flags = real ? MBOX_REALTIME : 0,
			};

			if (t.deadline.tv_sec != far[i])
				continue;
			ASSERT_EQ(0, thread_start(&thread, recv_until, &t));
			ASSERT_EQ(0, await_waiting(mbox_fd(self->mb), 0, 1));
			ASSERT_EQ(0, mbox_send(self->mb, "x", 1, 0));
			pthread_join(thread, NULL);
			EXPECT_EQ(1, t.ret);
		}
	}
}

TEST_F(library, deadline_0_is_past)
{
	struct timespec epoch = { 0 };
	char c;

	EXPECT_EQ(-ETIMEDOUT, neg(mbox_timedrecv(self->mb, &c, 1, 0, &epoch)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_timedrecv(self->mb, &c, 1, MBOX_REALTIME, &epoch)));
	EXPECT_EQ(-EAGAIN, neg(mbox_timedrecv(self->mb, &c, 1, MBOX_DONTWAIT, &epoch)));
	EXPECT_EQ(-ETIMEDOUT, neg(mbox_timedsend(self->mb, "x", 1, MBOX_SYNC, &epoch)));
	EXPECT_EQ(0U, stat_of(mbox_fd(self->mb)).queued);
}

#define EXPECT_ERRNO_KEPT(expected, call) do {		\
	errno = ERRNO_POISON;				\
	EXPECT_EQ(expected, call);			\
	EXPECT_EQ(ERRNO_POISON, errno);			\
} while (0)

/* errno of a call that opens @name and succeeds, or -1. */
static int differs(const char *name, const struct mbox_attr *attr)
{
	struct mbox *mb;
	int seen;

	errno = 0;
	mb = mbox_create(name, O_RDWR, attr);
	seen = mb ? errno : -1;
	mbox_close(mb);
	return seen;
}

TEST_F(library, newer_options_must_be_zero)
{
	struct {
		struct mbox_options known;
		uint64_t unknown;
	} newer = { .known = MBOX_OPTIONS_INIT };
	struct mbox *mb;

	newer.known.size = sizeof(newer);
	mb = mbox_create_with(NULL, O_RDWR, NULL, &newer.known);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, mbox_close(mb));
	newer.unknown = 1;
	EXPECT_FALSE(!!mbox_create_with(NULL, O_RDWR, NULL, &newer.known));
	EXPECT_EQ(E2BIG, errno);
	newer.known.size = 3;
	EXPECT_FALSE(!!mbox_create_with(NULL, O_RDWR, NULL, &newer.known));
	EXPECT_EQ(EINVAL, errno);
	/* An older program, which knows only the size. */
	newer.known.size = sizeof(newer.known.size);
	mb = mbox_create_with(NULL, O_RDWR, NULL, &newer.known);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, mbox_close(mb));
	mb = mbox_create_with(NULL, O_RDWR, NULL, NULL);
	ASSERT_TRUE(!!mb);
	EXPECT_EQ(0, mbox_close(mb));
}

TEST_F(library, errno_is_kept_on_success)
{
	struct timespec past = { 0 };
	struct mbox_walk pos = { 0 };
	struct mbox_info info;
	struct mbox_stat st;
	struct mbox_msg msg;
	struct mbox *mb;
	char text[8];
	int fd;

	EXPECT_ERRNO_KEPT(0, mbox_stat(self->mb, &st));
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_open(self->name, O_RDWR)));
	EXPECT_ERRNO_KEPT(0, mbox_close(mb));
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_open_id(st.id, O_RDWR)));
	fd = dup(mbox_fd(mb));
	EXPECT_ERRNO_KEPT(0, mbox_close(mb));
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_from_fd(fd)));
	EXPECT_ERRNO_KEPT(0, mbox_close(mb));
	EXPECT_ERRNO_KEPT(0, mbox_close(NULL));
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_create(NULL, O_RDWR, NULL)));
	EXPECT_ERRNO_KEPT(true, is_open(mbox_fd(mb)));
	EXPECT_ERRNO_KEPT(0, mbox_set_capacity(mb, 9));
	EXPECT_ERRNO_KEPT(0, mbox_send(mb, "one", 3, 0));
	EXPECT_ERRNO_KEPT(0, mbox_send(mb, "two", 3, MBOX_DONTWAIT));
	EXPECT_ERRNO_KEPT(0, mbox_timedsend(mb, "three", 5, 0, &past));
	msg = msg_of("four", 4, 0);
	EXPECT_ERRNO_KEPT(0, mbox_sendmsg(mb, &msg));
	EXPECT_ERRNO_KEPT(1, mbox_sendmmsg(mb, &msg, 1, 0));
	EXPECT_ERRNO_KEPT(3, mbox_recv(mb, text, 8, 0));
	EXPECT_ERRNO_KEPT(3, mbox_recv(mb, text, 8, MBOX_DONTWAIT));
	EXPECT_ERRNO_KEPT(5, mbox_timedrecv(mb, text, 8, 0, &past));
	msg = msg_of(text, 8, 0);
	EXPECT_ERRNO_KEPT(4, mbox_recvmsg(mb, &msg));
	msg = msg_of(text, 8, 0);
	EXPECT_ERRNO_KEPT(1, mbox_recvmmsg(mb, &msg, 1, 0));
	EXPECT_ERRNO_KEPT(0, mbox_destroy(mb));
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_ERRNO_KEPT(0, mbox_walk(&pos));
	EXPECT_ERRNO_KEPT(0, mbox_info(&info));
	EXPECT_ERRNO_KEPT(0, mbox_unlink(self->name));
}

/* A success that says by errno what it found; permission bits are no difference. */
TEST_F(library, create_tells_that_an_existing_mailbox_differs)
{
	struct mbox_attr same = MBOX_ATTR_INIT, mode = same, flags = same, capacity = same;
	struct mbox_attr msg_max = same, perm = same;
	struct mbox *mb;

	mode.mode = MBOX_RING;
	flags.flags = MBOX_FIXED;
	capacity.capacity++;
	msg_max.msg_max--;
	perm.perm = 0644;
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_create(self->name, O_RDWR, NULL)));
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_create(self->name, O_RDWR, &same)));
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_create(self->name, O_RDWR, &perm)));
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_EQ(EEXIST, differs(self->name, &mode));
	EXPECT_EQ(EEXIST, differs(self->name, &flags));
	EXPECT_EQ(EEXIST, differs(self->name, &capacity));
	EXPECT_EQ(EEXIST, differs(self->name, &msg_max));
	ASSERT_EQ(0, mbox_set_capacity(self->mb, 9));
	EXPECT_EQ(EEXIST, differs(self->name, NULL));
	/* A new one does not, named or not. */
	EXPECT_EQ(0, mbox_unlink(self->name));
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_create(self->name, O_RDWR, &flags)));
	EXPECT_EQ(0, mbox_close(mb));
	EXPECT_ERRNO_KEPT(true, !!(mb = mbox_create(NULL, O_RDWR, &capacity)));
	EXPECT_EQ(0, mbox_close(mb));
}

/*
 * The end of the file and an empty message: two things for mbox_recv(), though
 * read(2) returns 0 for both.
 */
FIXTURE(end)
{
	struct mbox *mb, *sender;
	char name[64];
};

FIXTURE_VARIANT(end)
{
	enum { BY_CREATE, BY_NAME, BY_ID, BY_FD } how;
};

FIXTURE_VARIANT_ADD(end, created) { .how = BY_CREATE };
FIXTURE_VARIANT_ADD(end, opened_by_name) { .how = BY_NAME };
FIXTURE_VARIANT_ADD(end, opened_by_id) { .how = BY_ID };
FIXTURE_VARIANT_ADD(end, adopted) { .how = BY_FD };

FIXTURE_SETUP(end)
{
	struct mbox_attr attr = attr_of(MBOX_HANGUP, 8);
	struct mbox *mb;

	test_name(self->name, sizeof(self->name), "end");
	mb = mbox_create(self->name, O_RDONLY | O_EXCL, &attr);
	ASSERT_TRUE(!!mb);
	self->sender = mbox_open(self->name, O_WRONLY);
	ASSERT_TRUE(!!self->sender);
	switch (variant->how) {
	case BY_CREATE:
		self->mb = mb;
		break;
	case BY_NAME:
		self->mb = mbox_open(self->name, O_RDONLY);
		break;
	case BY_ID:
		self->mb = mbox_open_id(stat_of(mbox_fd(mb)).id, O_RDONLY);
		break;
	case BY_FD:
		self->mb = mbox_from_fd(dup(mbox_fd(mb)));
		break;
	}
	ASSERT_TRUE(!!self->mb);
	if (self->mb != mb)
		mbox_close(mb);
}

FIXTURE_TEARDOWN(end)
{
	mbox_close(self->mb);
	mbox_unlink(self->name);
}

TEST_F(end, end_of_file_is_EPIPE_and_an_empty_message_is_0)
{
	struct timespec past = { 0 };
	char c = (char)POISON;

	ASSERT_EQ(0, mbox_send(self->sender, NULL, 0, 0));
	ASSERT_EQ(0, mbox_send(self->sender, NULL, 0, MBOX_DONTWAIT));
	ASSERT_EQ(0, mbox_close(self->sender));
	EXPECT_EQ(0, mbox_recv(self->mb, &c, 1, 0));
	EXPECT_EQ(0, mbox_recv(self->mb, &c, 1, MBOX_DONTWAIT));
	EXPECT_EQ(-EPIPE, neg(mbox_recv(self->mb, &c, 1, 0)));
	EXPECT_EQ(-EPIPE, neg(mbox_recv(self->mb, &c, 1, MBOX_DONTWAIT)));
	EXPECT_EQ(-EPIPE, neg(mbox_timedrecv(self->mb, &c, 1, 0, NULL)));
	EXPECT_EQ(-EPIPE, neg(mbox_timedrecv(self->mb, &c, 1, 0, &past)));
	EXPECT_EQ(0, read(mbox_fd(self->mb), &c, 1));
	EXPECT_EQ((char)POISON, c);
	/* It is not for ever. */
	self->sender = mbox_open(self->name, O_WRONLY);
	ASSERT_TRUE(!!self->sender);
	ASSERT_EQ(0, mbox_send(self->sender, "x", 1, 0));
	EXPECT_EQ(1, mbox_recv(self->mb, &c, 1, 0));
	EXPECT_EQ(0, mbox_close(self->sender));
}

/*
 * A mailbox that is destroyed while it is opened.
 */

struct late {
	pthread_t thread;
	__u64 id;
	int listener;
	struct mbox *mb;
};

static void *open_late(void *arg)
{
	struct late *late = arg;
	int listener = hold_up(MBOX_IOC_STAT);

	__atomic_store_n(&late->listener, listener, __ATOMIC_RELEASE);
	if (listener >= 0)
		late->mb = mbox_open_id(late->id, O_RDWR);
	return NULL;
}

FIXTURE(late)
{
};

FIXTURE_SETUP(late)
{
}

FIXTURE_TEARDOWN(late)
{
}

FIXTURE_VARIANT(late)
{
	__u32 mode;
};

FIXTURE_VARIANT_ADD(late, queue) { .mode = MBOX_QUEUE };
FIXTURE_VARIANT_ADD(late, ring) { .mode = MBOX_RING };

TEST_F(late, mailbox_destroyed_before_each_call_is_EIDRM)
{
	struct mbox_attr attr = { variant->mode, 0, 4, 64, 0600 };
	struct late late = { .listener = POISON32 };
	int fd = raw_create(NULL, O_RDWR, &attr), listener;
	struct seccomp_notif stopped;
	char c;

	ASSERT_LE(0, fd);
	late.id = stat_of(fd).id;
	ASSERT_EQ(0, thread_start(&late.thread, open_late, &late));
	do {
		listener = __atomic_load_n(&late.listener, __ATOMIC_ACQUIRE);
	} while (listener == (int)POISON32);
	if (listener < 0) {
		pthread_join(late.thread, NULL);
		SKIP(return, "no seccomp: %s", strerror(-listener));
	}
	/* The handle is open, and has not asked what it is of. */
	ASSERT_EQ(0, await_held_up(listener, &stopped));
	ASSERT_EQ(0, raw_destroy(fd));
	EXPECT_EQ(0, let_go_on(listener, &stopped));
	pthread_join(late.thread, NULL);
	close(listener);
	ASSERT_TRUE(!!late.mb);
	EXPECT_EQ(-EIDRM, neg(mbox_send(late.mb, "x", 1, 0)));
	EXPECT_EQ(-EIDRM, neg(mbox_send(late.mb, "x", 1, MBOX_DONTWAIT)));
	EXPECT_EQ(-EIDRM, neg(mbox_recv(late.mb, &c, 1, 0)));
	EXPECT_EQ(-EIDRM, neg(mbox_recv(late.mb, &c, 1, MBOX_DONTWAIT)));
	EXPECT_EQ(0, mbox_close(late.mb));
	close(fd);
}

/*
 * Signal handlers.
 */
static struct mbox *handlers_mb;
static volatile int handler_errors;

static void send_from_handler(int sig)
{
	if (mbox_send(handlers_mb, "handler", 7, 0) ||
	    mbox_send(handlers_mb, "again", 5, MBOX_DONTWAIT))
		handler_errors++;
	count_signal(sig);
}

static void recv_from_handler(int sig)
{
	char text[8];

	if (mbox_recv(handlers_mb, text, sizeof(text), 0) != 3)
		handler_errors++;
	count_signal(sig);
}

static int handle_with(void (*handler)(int sig), int flags, struct mbox *mb)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	handlers_mb = mb;
	handler_errors = 0;
	signals_seen = 0;
	return neg(sigaction(SIGUSR1, &action, NULL));
}

struct interrupted {
	struct mbox *mb;
	bool sends;
	char text[8];
	long ret;
};

static void *call_to_interrupt(void *arg)
{
	struct interrupted *c = arg;

	if (c->sends)
		c->ret = neg(mbox_send(c->mb, "new", 3, 0));
	else
		c->ret = neg(mbox_recv(c->mb, c->text, sizeof(c->text), 0));
	return NULL;
}

TEST_F(library, handler_sends_to_the_receive_that_it_interrupts)
{
	struct interrupted c = { .mb = self->mb };
	char text[8];
	pthread_t thread;

	ASSERT_EQ(0, handle_with(send_from_handler, SA_RESTART, self->mb));
	ASSERT_EQ(0, thread_start(&thread, call_to_interrupt, &c));
	ASSERT_EQ(0, await_waiting(mbox_fd(self->mb), 0, 1));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	pthread_join(thread, NULL);
	EXPECT_EQ(7, c.ret);
	EXPECT_EQ(0, memcmp(c.text, "handler", 7));
	EXPECT_EQ(1, signals_seen);
	EXPECT_EQ(0, handler_errors);
	EXPECT_EQ(5, mbox_recv(self->mb, text, sizeof(text), MBOX_DONTWAIT));
}

TEST_F(library, handler_sends_and_the_receive_ends_with_EINTR)
{
	struct interrupted c = { .mb = self->mb };
	char text[8];
	pthread_t thread;

	ASSERT_EQ(0, handle_with(send_from_handler, 0, self->mb));
	ASSERT_EQ(0, thread_start(&thread, call_to_interrupt, &c));
	ASSERT_EQ(0, await_waiting(mbox_fd(self->mb), 0, 1));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	pthread_join(thread, NULL);
	EXPECT_EQ(-EINTR, c.ret);
	EXPECT_EQ(0, handler_errors);
	EXPECT_EQ(7, mbox_recv(self->mb, text, sizeof(text), MBOX_DONTWAIT));
	EXPECT_EQ(5, mbox_recv(self->mb, text, sizeof(text), MBOX_DONTWAIT));
}

TEST_F(library, handler_makes_room_for_the_send_that_it_interrupts)
{
	struct interrupted c = { .mb = self->mb, .sends = true };
	pthread_t thread;

	ASSERT_EQ(0, mbox_set_capacity(self->mb, 1));
	ASSERT_EQ(0, mbox_send(self->mb, "old", 3, 0));
	ASSERT_EQ(0, handle_with(recv_from_handler, SA_RESTART, self->mb));
	ASSERT_EQ(0, thread_start(&thread, call_to_interrupt, &c));
	ASSERT_EQ(0, await_waiting(mbox_fd(self->mb), 1, 0));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, c.ret);
	EXPECT_EQ(0, handler_errors);
	EXPECT_EQ(3, mbox_recv(self->mb, c.text, sizeof(c.text), MBOX_DONTWAIT));
	EXPECT_EQ(0, memcmp(c.text, "new", 3));
}

/*
 * Threads on one handle.
 */
#define NTHREADS 4
#define NMESSAGES 250

struct worker {
	struct mbox *mb;
	pthread_t thread;
	unsigned int number;
	/* Per sender: how many of its messages came, and the last of them. */
	unsigned int received[NTHREADS];
	unsigned int last[NTHREADS];
	long error;
};

struct numbered {
	__u32 sender;
	__u32 number;
};

static void *send_many(void *arg)
{
	struct worker *w = arg;
	struct numbered msg = { .sender = w->number };

	for (msg.number = 1; msg.number <= NMESSAGES; msg.number++) {
		/* Each by another function. */
		w->error = send_by(msg.number % 6, w->mb, &msg, sizeof(msg));
		if (w->error)
			break;
	}
	return NULL;
}

static void *recv_many(void *arg)
{
	struct worker *w = arg;
	struct numbered msg;
	unsigned int n = 0;
	long ret;

	for (;;) {
		ret = recv_by(n++ % 6, w->mb, &msg, sizeof(msg));
		if (!ret)
			return NULL;
		if (ret != sizeof(msg) || msg.sender >= NTHREADS ||
		    msg.number <= w->last[msg.sender] || msg.number > NMESSAGES) {
			w->error = ret < 0 ? ret : -EBADMSG;
			return NULL;
		}
		w->last[msg.sender] = msg.number;
		w->received[msg.sender]++;
	}
}

TEST_F(library, many_threads_use_one_handle)
{
	struct worker senders[NTHREADS] = { 0 }, receivers[NTHREADS] = { 0 };
	unsigned int i, j, sum;

	ASSERT_EQ(0, mbox_set_capacity(self->mb, 5));
	for (i = 0; i < NTHREADS; i++) {
		senders[i].mb = self->mb;
		receivers[i].mb = self->mb;
		senders[i].number = i;
		ASSERT_EQ(0, thread_start(&receivers[i].thread, recv_many, &receivers[i]));
		ASSERT_EQ(0, thread_start(&senders[i].thread, send_many, &senders[i]));
	}
	for (i = 0; i < NTHREADS; i++) {
		pthread_join(senders[i].thread, NULL);
		EXPECT_EQ(0, senders[i].error);
	}
	/* An empty message for each: it is the last. */
	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(0, mbox_send(self->mb, NULL, 0, 0));
	for (i = 0; i < NTHREADS; i++) {
		pthread_join(receivers[i].thread, NULL);
		EXPECT_EQ(0, receivers[i].error);
	}
	for (i = 0; i < NTHREADS; i++) {
		for (j = 0, sum = 0; j < NTHREADS; j++)
			sum += receivers[j].received[i];
		EXPECT_EQ(NMESSAGES, sum);
	}
}

TEST_HARNESS_MAIN
