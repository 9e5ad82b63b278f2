// SPDX-License-Identifier: GPL-2.0-only
/* The mailbox itself: creation, attributes, ids, state, walk. */
#include <sys/mman.h>

#include "peers.h"

#define HARD_LIMIT ((16U << 20) - 1)

FIXTURE(mailbox)
{
	char name[64];
	int seen;
};

FIXTURE_SETUP(mailbox)
{
	umask(0);
	test_name(self->name, sizeof(self->name), "mailbox");
	self->seen = count_mailboxes();
}

FIXTURE_TEARDOWN(mailbox)
{
	raw_unlink(self->name);
}

TEST_F(mailbox, stat_of_a_new_mailbox)
{
	struct mbox_attr attr = { MBOX_QUEUE, MBOX_HANGUP | MBOX_DROP_NEWEST, 17, 333, 0640 };
	struct mbox_stat st;
	int fd;

	fd = raw_create(NULL, O_RDWR, &attr);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, raw_stat(fd, &st));
	EXPECT_NE(0U, st.id);
	EXPECT_EQ(0, memcmp(&attr, &st.attr, sizeof(attr)));
	EXPECT_EQ(0U, st.queued);
	EXPECT_EQ(0U, st.bytes);
	EXPECT_EQ(0U, st.waiting_senders);
	EXPECT_EQ(0U, st.waiting_receivers);
	EXPECT_EQ(0U, st.sent);
	EXPECT_EQ(0U, st.received);
	EXPECT_EQ(0U, st.dropped);
	EXPECT_EQ(getuid(), st.uid);
	EXPECT_EQ(getgid(), st.gid);
	EXPECT_EQ(1U, st.send_handles);
	EXPECT_EQ(1U, st.recv_handles);
	close(fd);
}

TEST_F(mailbox, library_and_ioctl_report_the_same)
{
	struct mbox_stat st;
	struct mbox *mb;

	mb = mbox_create(NULL, O_RDWR, NULL);
	ASSERT_TRUE(!!mb);
	memset(&st, POISON, sizeof(st));
	ASSERT_EQ(0, mbox_stat(mb, &st));
	EXPECT_TRUE(same_stat(mbox_fd(mb), &st));
	EXPECT_EQ((__u32)MBOX_QUEUE, st.attr.mode);
	EXPECT_EQ(64U, st.attr.capacity);
	EXPECT_EQ(8192U, st.attr.msg_max);
	EXPECT_EQ(0600U, st.attr.perm);
	ASSERT_EQ(0, mbox_set_capacity(mb, 3));
	EXPECT_EQ(3U, stat_of(mbox_fd(mb)).attr.capacity);
	EXPECT_EQ(0, mbox_close(mb));
}

TEST_F(mailbox, stat_counts_messages_and_waiting_calls)
{
	int fd = new_mailbox(MBOX_DROP_NEWEST, 2);
	struct mbox_stat st;
	char text[3];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, raw_send(fd, "abc", 3, 0));
	ASSERT_EQ(0, raw_send(fd, "", 0, 0));
	ASSERT_EQ(0, raw_send(fd, "dropped", 7, 0));
	st = stat_of(fd);
	EXPECT_EQ(2U, st.queued);
	EXPECT_EQ(3U, st.bytes);
	EXPECT_EQ(1U, st.dropped);
	EXPECT_EQ(0U, st.received);
	EXPECT_EQ(st.sent, st.received + st.queued + st.dropped);
	ASSERT_EQ(3, raw_recv(fd, text, 3, 0));
	st = stat_of(fd);
	EXPECT_EQ(1U, st.queued);
	EXPECT_EQ(0U, st.bytes);
	EXPECT_EQ(1U, st.received);
	close(fd);
}

TEST_F(mailbox, bad_attributes_are_EINVAL)
{
	static const struct mbox_attr bad[] = {
		{ 2, 0, 64, 8192, 0600 },
		{ 3, 0, 64, 8192, 0600 },
		{ ~0U, 0, 64, 8192, 0600 },
		{ MBOX_QUEUE, MBOX_DROP_OLDEST | MBOX_DROP_NEWEST, 64, 8192, 0600 },
		{ MBOX_QUEUE, 0, 64, 0, 0600 },
		{ MBOX_QUEUE, 0, 64, HARD_LIMIT + 1, 0600 },
		{ MBOX_QUEUE, 0, 64, ~0U, 0600 },
		{ MBOX_QUEUE, 0, 64, 8192, 01000 },
		{ MBOX_QUEUE, 0, 64, 8192, 0100600 },
		{ MBOX_QUEUE, 0, 64, 8192, ~0U },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, raw_create(self->name, O_RDWR, &bad[i]))
			TH_LOG("case %u", i);
		errno = 0;
		EXPECT_FALSE(!!mbox_create(self->name, O_RDWR, &bad[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(self->seen, count_mailboxes());
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
}

TEST_F(mailbox, every_valid_attribute_works)
{
	static const struct mbox_attr good[] = {
		{ MBOX_QUEUE, 0, 0, 1, 0 },
		{ MBOX_QUEUE, 0, MBOX_UNBOUNDED, 1, 0777 },
		{ MBOX_QUEUE, 0, MBOX_UNBOUNDED - 1, 4096, 0 },
		{ MBOX_QUEUE, MBOX_FIXED | MBOX_DROP_OLDEST | MBOX_HANGUP, 1, 1, 0 },
		{ MBOX_QUEUE, MBOX_FIXED | MBOX_DROP_NEWEST | MBOX_HANGUP, 1, HARD_LIMIT, 0 },
	};
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		struct mbox_stat st;

		fd = raw_create(NULL, O_RDWR, &good[i]);
		ASSERT_LE(0, fd)
			TH_LOG("case %u", i);
		st = stat_of(fd);
		EXPECT_EQ(0, memcmp(&good[i], &st.attr, sizeof(st.attr)))
			TH_LOG("case %u", i);
		close(fd);
	}
}

TEST_F(mailbox, create_accepts_only_valid_open_flags)
{
	static const int bad[] = { 3, O_RDWR | O_APPEND, O_RDWR | O_TRUNC, O_RDWR | O_DIRECTORY,
				   O_RDWR | O_NOCTTY, O_RDWR | O_SYNC, O_RDWR | O_PATH,
				   O_RDWR | O_ASYNC, O_RDWR | 1 << 30 };
	static const int good[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_EXCL,
				    O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC };
	struct mbox_attr attr = attr_of(0, 1);
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, raw_create(NULL, bad[i], &attr))
			TH_LOG("oflags %#x", bad[i]);
	}
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		fd = raw_create(NULL, good[i], &attr);
		ASSERT_LE(0, fd)
			TH_LOG("oflags %#x", good[i]);
		EXPECT_EQ(good[i] & (O_ACCMODE | O_NONBLOCK),
			  fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
		EXPECT_EQ(good[i] & O_CLOEXEC ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
		close(fd);
	}
	EXPECT_EQ(self->seen, count_mailboxes());
}

static int open_with_one_right(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EACCES, raw_create(arg, O_ACCMODE, &attr));
	CHECK(raw_create(arg, O_RDONLY, &attr) >= 0);
	return 0;
}

/* Of the page with the senders' side, for reading. */
static int error_of_mapping(int fd)
{
	void *p = mmap64(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd,
			 MBOX_RING_OFFSET(MBOX_RING_TAIL));

	return p == MAP_FAILED ? errno : 0;
}

/* It exists, and its handle can be asked what it is. */
TEST_F(mailbox, named_mailbox_can_be_created_without_a_right)
{
	__u32 modes[] = { MBOX_QUEUE, MBOX_RING }, value = 1, i;
	struct pollfd pfd = { .events = POLLIN | POLLOUT };
	struct mbox_attr attr = attr_of(0, 1);
	char name[64];
	int fd, again;

	umask(0);
	attr.perm = 0644;
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		attr.mode = modes[i];
		test_name(name, sizeof(name), "mailbox");
		fd = raw_create(name, O_ACCMODE | O_EXCL | O_CLOEXEC, &attr);
		ASSERT_LE(0, fd);
		EXPECT_EQ(O_ACCMODE, fcntl(fd, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(modes[i], stat_of(fd).attr.mode);
		EXPECT_EQ(0U, stat_of(fd).send_handles + stat_of(fd).recv_handles);
		EXPECT_GT(0, raw_send(fd, &value, sizeof(value), 0));
		EXPECT_GT(0, raw_recv(fd, &value, sizeof(value), 0));
		EXPECT_EQ(modes[i] == MBOX_QUEUE ? -EBADF : -EOPNOTSUPP,
			  neg(write(fd, &value, sizeof(value))));
		EXPECT_EQ(modes[i] == MBOX_QUEUE ? -EBADF : -EOPNOTSUPP,
			  neg(read(fd, &value, sizeof(value))));
		EXPECT_EQ(EACCES, error_of_mapping(fd));
		pfd.fd = fd;
		EXPECT_EQ(0, poll(&pfd, 1, 0));
		EXPECT_EQ(-EBADF, raw_destroy(fd));
		again = raw_create(name, O_ACCMODE, &attr);
		EXPECT_LE(0, again);
		EXPECT_EQ(0, in_child(open_with_one_right, name));
		close(again);
		close(fd);
		EXPECT_EQ(0, raw_unlink(name));
	}
	EXPECT_EQ(self->seen, count_mailboxes());
}

TEST_F(mailbox, open_accepts_only_valid_open_flags)
{
	static const int bad[] = { 3, O_RDWR | O_CREAT, O_RDWR | O_EXCL, O_RDWR | O_APPEND,
				   O_RDWR | O_TRUNC, O_RDWR | O_PATH, O_RDWR | 1 << 30 };
	static const int good[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_NONBLOCK,
				    O_RDWR | O_NONBLOCK | O_CLOEXEC };
	int mailbox = new_mailbox(0, 1);
	__u64 id = stat_of(mailbox).id;
	unsigned int i;
	int fd;

	ASSERT_LE(0, mailbox);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, raw_open_id(id, bad[i]))
			TH_LOG("oflags %#x", bad[i]);
	}
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		fd = raw_open_id(id, good[i]);
		ASSERT_LE(0, fd)
			TH_LOG("oflags %#x", good[i]);
		EXPECT_EQ(good[i] & (O_ACCMODE | O_NONBLOCK),
			  fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
		EXPECT_EQ(good[i] & O_CLOEXEC ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
		close(fd);
	}
	EXPECT_EQ(1U, stat_of(mailbox).send_handles);
	close(mailbox);
}

TEST_F(mailbox, create_of_an_existing_name_opens_it)
{
	struct mbox_attr first = attr_of(MBOX_HANGUP, 5), second = attr_of(0, 9);
	struct mbox_stat st;
	int one, two;

	second.perm = 0777;
	second.msg_max = 10;
	one = raw_create(self->name, O_RDWR | O_EXCL, &first);
	ASSERT_LE(0, one);
	two = raw_create(self->name, O_RDWR | O_CREAT, &second);
	ASSERT_LE(0, two);
	st = stat_of(two);
	EXPECT_EQ(stat_of(one).id, st.id);
	EXPECT_EQ(0, memcmp(&first, &st.attr, sizeof(first)));
	ASSERT_EQ(0, put(one, 1));
	EXPECT_EQ(1, take(two));
	EXPECT_EQ(self->seen + 1, count_mailboxes());
	close(two);
	close(one);
}

TEST_F(mailbox, bad_attributes_are_EINVAL_even_if_the_name_exists)
{
	struct mbox_attr attr = attr_of(0, 5);
	int fd = raw_create(self->name, O_RDWR, &attr);

	ASSERT_LE(0, fd);
	attr.msg_max = 0;
	EXPECT_EQ(-EINVAL, raw_create(self->name, O_RDWR, &attr));
	close(fd);
}

TEST_F(mailbox, exclusive_create_of_an_existing_name_is_EEXIST)
{
	struct mbox_attr attr = attr_of(0, 5);
	struct mbox_stat st;
	int fd;

	fd = raw_create(self->name, O_RDWR | O_EXCL, &attr);
	ASSERT_LE(0, fd);
	st = stat_of(fd);
	EXPECT_EQ(-EEXIST, raw_create(self->name, O_RDWR | O_EXCL, &attr));
	errno = 0;
	EXPECT_FALSE(!!mbox_create(self->name, O_RDWR | O_CREAT | O_EXCL, NULL));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_TRUE(same_stat(fd, &st));
	close(fd);
}

TEST_F(mailbox, create_reports_the_id)
{
	struct mbox_create arg = { .oflags = O_RDWR, .attr = MBOX_ATTR_INIT };
	int fd;

	arg.name = (uintptr_t)self->name;
	arg.name_len = strlen(self->name);
	arg.id = ~0ULL;
	fd = raw_control(MBOX_IOC_CREATE, &arg);
	ASSERT_LE(0, fd);
	EXPECT_EQ(stat_of(fd).id, arg.id);
	close(fd);
	arg.id = ~0ULL;
	fd = raw_control(MBOX_IOC_CREATE, &arg);
	ASSERT_LE(0, fd);
	EXPECT_EQ(stat_of(fd).id, arg.id);
	close(fd);
}

struct racer {
	struct mbox_create arg;
	pthread_barrier_t *start;
	long ret;
};

static void *create_exclusively(void *arg)
{
	struct racer *r = arg;
	int dev = open_device();

	pthread_barrier_wait(r->start);
	r->ret = raw(dev, MBOX_IOC_CREATE, &r->arg);
	close(dev);
	return NULL;
}

/* Two find that there is no such name, and one of them makes it. */
TEST_F(mailbox, exclusive_create_that_loses_a_race_is_EEXIST)
{
	struct racer racers[2];
	pthread_barrier_t start;
	pthread_t threads[2];
	int i, n, lost;

	ASSERT_EQ(0, pthread_barrier_init(&start, NULL, 2));
	for (n = 0; n < 100; n++) {
		for (i = 0; i < 2; i++) {
			racers[i] = (struct racer){
				.arg = { .name = (uintptr_t)self->name,
					 .name_len = strlen(self->name),
					 .oflags = O_RDWR | O_EXCL, .attr = MBOX_ATTR_INIT,
					 .id = POISON32 },
				.start = &start,
			};
			ASSERT_EQ(0, thread_start(&threads[i], create_exclusively, &racers[i]));
		}
		for (i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		lost = racers[0].ret < 0 ? 0 : 1;
		ASSERT_EQ(-EEXIST, racers[lost].ret);
		ASSERT_EQ(POISON32, racers[lost].arg.id);
		ASSERT_LE(0, racers[!lost].ret);
		ASSERT_EQ(stat_of(racers[!lost].ret).id, racers[!lost].arg.id);
		close(racers[!lost].ret);
		ASSERT_EQ(0, raw_unlink(self->name));
	}
	pthread_barrier_destroy(&start);
}

TEST_F(mailbox, ids_are_never_reused)
{
	__u64 ids[200];
	unsigned int i, j;
	int fd;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		fd = new_mailbox(0, 1);
		ASSERT_LE(0, fd);
		ids[i] = stat_of(fd).id;
		close(fd);
		for (j = 0; j < i; j++)
			ASSERT_NE(ids[i], ids[j]);
		ASSERT_EQ(-ENOENT, raw_open_id(ids[i], O_RDWR));
	}
}

TEST_F(mailbox, open_of_an_unknown_name_or_id_is_ENOENT)
{
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_open_id(~0ULL, O_RDWR));
	EXPECT_EQ(-ENOENT, raw_open_id(0, O_RDWR));
	errno = 0;
	EXPECT_FALSE(!!mbox_open(self->name, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);
	errno = 0;
	EXPECT_FALSE(!!mbox_open_id(~0ULL, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);
}

TEST_F(mailbox, no_descriptor_left_is_EMFILE)
{
	struct rlimit old, low;
	struct mbox_attr attr = attr_of(0, 1);
	struct mbox_create arg = {
		.name = (uintptr_t)self->name, .name_len = strlen(self->name),
		.oflags = O_RDWR, .attr = attr };
	int dev = open_device(), mailbox = new_mailbox(0, 1);
	__u64 id = stat_of(mailbox).id;
	struct mbox_open op = { .oflags = O_RDWR, .id = id };

	ASSERT_LE(0, mailbox);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	low = old;
	low.rlim_cur = mailbox + 1;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &low));
	/* Lower numbers that are free. */
	while (dup(dev) >= 0)
		;
	EXPECT_EQ(-EMFILE, raw(dev, MBOX_IOC_CREATE, &arg));
	EXPECT_EQ(-EMFILE, raw(dev, MBOX_IOC_OPEN, &op));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(-ENOENT, raw_open(self->name, O_RDWR));
	EXPECT_EQ(self->seen + 1, count_mailboxes());
	EXPECT_EQ(1U, stat_of(mailbox).recv_handles);
	close(mailbox);
	close(dev);
}

/* The system's limit of open files binds those without CAP_SYS_ADMIN. */
static int beyond_file_max(void *arg)
{
	struct mbox_create create = { .oflags = O_RDWR, .attr = MBOX_ATTR_INIT };
	struct mbox_open op = { .oflags = O_RDWR, .id = *(__u64 *)arg };
	int dev = open_device(), i;

	/* The count of files is exact only where it is large. */
	for (i = 0; i < 300; i++)
		CHECK(open_device() >= 0);
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-ENFILE, raw(dev, MBOX_IOC_CREATE, &create));
	CHECK_EQ(-ENFILE, raw(dev, MBOX_IOC_OPEN, &op));
	return 0;
}

TEST_F(mailbox, no_file_left_is_ENFILE)
{
	static const char file_max[] = "/proc/sys/fs/file-max";
	struct mbox_attr attr = attr_of(0, 1);
	struct mbox_stat before;
	char saved[32];
	__u64 id;
	int fd;

	attr.perm = 0666;
	fd = raw_create(NULL, O_RDWR, &attr);
	before = stat_of(fd);
	id = before.id;
	ASSERT_EQ(0, read_file(file_max, saved, sizeof(saved)));
	ASSERT_EQ(0, write_file(file_max, "1"));
	EXPECT_EQ(0, in_child(beyond_file_max, &id));
	EXPECT_EQ(0, write_file(file_max, "%s", saved));
	EXPECT_TRUE(same_stat(fd, &before));
	EXPECT_EQ(self->seen + 1, count_mailboxes());
	close(fd);
}

static int too_long_for_a_user(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);

	(void)arg;
	attr.msg_max = param_get("msg_max_limit");
	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK(raw_create(NULL, O_RDWR, &attr) >= 0);
	attr.msg_max++;
	CHECK_EQ(-EINVAL, raw_create(NULL, O_RDWR, &attr));
	return 0;
}

TEST_F(mailbox, msg_max_limit_needs_CAP_SYS_RESOURCE_to_exceed)
{
	struct mbox_attr attr = attr_of(0, 1);
	long limit = param_get("msg_max_limit");
	int fd;

	ASSERT_LT(0, limit);
	EXPECT_EQ(0, in_child(too_long_for_a_user, NULL));
	attr.msg_max = limit + 1;
	fd = raw_create(NULL, O_RDWR, &attr);
	EXPECT_LE(0, fd);
	close(fd);
}

static int not_the_owner(void *arg)
{
	int fd = *(int *)arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	CHECK_EQ(-EPERM, raw_set_capacity(fd, 9));
	CHECK_EQ(-EPERM, raw_destroy(fd));
	return 0;
}

TEST_F(mailbox, change_or_destroy_by_another_user_is_EPERM)
{
	int fd = new_mailbox(0, 5);
	struct mbox_stat st = stat_of(fd);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, in_child(not_the_owner, &fd));
	EXPECT_TRUE(same_stat(fd, &st));
	close(fd);
}

static int owner_without_capabilities(void *arg)
{
	int fd, reader;

	(void)arg;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = new_mailbox(0, 5);
	CHECK(fd >= 0);
	reader = open_again(fd, O_RDONLY);
	CHECK_EQ(0, raw_set_capacity(reader, 9));
	CHECK_EQ(9, stat_of(fd).attr.capacity);
	CHECK_EQ(0, raw_destroy(fd));
	return 0;
}

TEST_F(mailbox, owner_needs_no_capability)
{
	EXPECT_EQ(0, in_child(owner_without_capabilities, NULL));
}

TEST_F(mailbox, walk_shows_each_once_in_order_of_ids)
{
	int one = new_mailbox(0, 1), three = new_mailbox(0, 3), two, found = 0;
	struct mbox_attr attr = attr_of(0, 2);
	struct mbox_walk pos;
	__u64 last = 0;

	two = raw_create(self->name, O_RDWR, &attr);
	ASSERT_LE(0, two);
	ASSERT_EQ(0, put(two, 1));
	memset(&pos, POISON, sizeof(pos));
	pos.id = 0;
	while (!raw_control(MBOX_IOC_WALK, &pos)) {
		ASSERT_LT(last, pos.id);
		last = pos.id;
		EXPECT_EQ(pos.id, pos.stat.id);
		if (pos.id == stat_of(two).id) {
			EXPECT_STREQ(self->name, pos.name);
			EXPECT_TRUE(same_stat(two, &pos.stat));
		} else if (pos.id == stat_of(one).id || pos.id == stat_of(three).id) {
			EXPECT_STREQ("", pos.name);
		}
		found++;
		memset(&pos, POISON, sizeof(pos));
		pos.id = last;
	}
	EXPECT_EQ(self->seen + 3, found);
	close(two);
	EXPECT_EQ(self->seen + 3, count_mailboxes());
	close(one);
	close(three);
	EXPECT_EQ(self->seen + 1, count_mailboxes());
}

TEST_F(mailbox, end_of_a_walk_is_ENOENT)
{
	struct mbox_walk pos, before;

	memset(&pos, POISON, sizeof(pos));
	pos.id = ~0ULL;
	before = pos;
	EXPECT_EQ(-ENOENT, raw_control(MBOX_IOC_WALK, &pos));
	EXPECT_EQ(0, memcmp(&pos, &before, sizeof(pos)));
	EXPECT_EQ(-ENOENT, neg(mbox_walk(&pos)));
	EXPECT_EQ(0, memcmp(&pos, &before, sizeof(pos)));
}

static int sees(void *arg)
{
	struct mbox_walk pos = { 0 };
	__u64 id = *(__u64 *)arg;

	CHECK_EQ(0, become(USER_A, GROUP_A));
	while (!raw_control(MBOX_IOC_WALK, &pos))
		if (pos.id == id)
			return 0;
	return 1;
}

TEST_F(mailbox, walk_shows_what_the_caller_could_open)
{
	static const struct {
		__u32 perm;
		int hidden;
	} cases[] = { { 0600, 1 }, { 0604, 0 }, { 0602, 0 }, { 0601, 1 }, { 0660, 1 } };
	struct mbox_attr attr = attr_of(0, 1);
	unsigned int i;
	__u64 id;
	int fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		attr.perm = cases[i].perm;
		fd = raw_create(NULL, O_RDWR, &attr);
		ASSERT_LE(0, fd);
		id = stat_of(fd).id;
		EXPECT_EQ(cases[i].hidden, in_child(sees, &id))
			TH_LOG("perm %#o", attr.perm);
		close(fd);
	}
}

static int owner_sees_its_own(void *arg)
{
	struct mbox_attr attr = attr_of(0, 1);
	struct mbox_walk pos = { 0 };
	__u64 id;
	int fd;

	(void)arg;
	attr.perm = 0;
	CHECK_EQ(0, become(USER_A, GROUP_A));
	fd = raw_create(NULL, O_RDWR, &attr);
	CHECK(fd >= 0);
	id = stat_of(fd).id;
	pos.id = id - 1;
	CHECK_EQ(0, raw_control(MBOX_IOC_WALK, &pos));
	CHECK(pos.id == id);
	return 0;
}

TEST_F(mailbox, walk_shows_owners_their_mailboxes)
{
	EXPECT_EQ(0, in_child(owner_sees_its_own, NULL));
}

/* Add up the mailboxes whose names begin so. */
static struct mbox_total total_of(const char *prefix, __u64 id, __u32 max)
{
	struct mbox_total total;

	memset(&total, POISON, sizeof(total));
	total.prefix = (uintptr_t)prefix;
	total.prefix_len = strlen(prefix);
	total.id = id;
	total.max = max;
	if (raw_control(MBOX_IOC_TOTAL, &total))
		memset(&total, POISON, sizeof(total));
	return total;
}

#define EXPECT_TOTAL(total_, mailboxes_, queued_, bytes_, id_) do { \
	struct mbox_total got_ = (total_); \
	EXPECT_EQ((__u64)(mailboxes_), got_.mailboxes); \
	EXPECT_EQ((__u64)(queued_), got_.queued); \
	EXPECT_EQ((__u64)(bytes_), got_.bytes); \
	EXPECT_EQ((__u64)(id_), got_.id); \
} while (0)

TEST_F(mailbox, total_leaves_out_the_messages_of_rings)
{
	struct mbox_attr attr = attr_of(0, 4);
	char name[MBOX_NAME_MAX + 1];
	struct mbox *mb;

	attr.mode = MBOX_RING;
	snprintf(name, sizeof(name), "%s-ring", self->name);
	mb = mbox_create(name, O_RDWR | O_EXCL, &attr);
	ASSERT_TRUE(!!mb);
	ASSERT_EQ(0, mbox_send(mb, "x", 1, 0));
	EXPECT_EQ(1, stat_of(mbox_fd(mb)).queued);
	EXPECT_TOTAL(total_of(name, 0, 0), 1, 0, 0, stat_of(mbox_fd(mb)).id);
	EXPECT_EQ(0, raw_unlink(name));
	EXPECT_EQ(0, mbox_close(mb));
}

TEST_F(mailbox, total_adds_up_those_of_a_prefix)
{
	struct mbox_attr attr = attr_of(0, 4);
	char name[MBOX_NAME_MAX + 1];
	struct mbox_total all;
	int fd[3], none, i;
	__u64 id[3];

	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s-%d", self->name, i);
		fd[i] = raw_create(name, O_RDWR, &attr);
		ASSERT_LE(0, fd[i]);
		id[i] = stat_of(fd[i]).id;
	}
	none = new_mailbox(0, 1);
	ASSERT_EQ(0, put(none, 1));
	ASSERT_EQ(0, put(fd[0], 1));
	ASSERT_EQ(0, put(fd[2], 1));
	ASSERT_EQ(0, put(fd[2], 2));
	snprintf(name, sizeof(name), "%s-", self->name);
	EXPECT_TOTAL(total_of(name, 0, 0), 3, 3, stat_of(fd[0]).bytes * 3, id[2]);
	EXPECT_TOTAL(total_of(name, 0, 2), 2, 1, stat_of(fd[0]).bytes, id[1]);
	EXPECT_TOTAL(total_of(name, 0, 9), 3, 3, stat_of(fd[0]).bytes * 3, id[2]);
	EXPECT_TOTAL(total_of(name, id[0], 0), 2, 2, stat_of(fd[2]).bytes, id[2]);
	EXPECT_TOTAL(total_of(name, id[2], 0), 0, 0, 0, id[2]);
	EXPECT_TOTAL(total_of(name, ~0ULL, 0), 0, 0, 0, ~0ULL);
	snprintf(name, sizeof(name), "%s-1", self->name);
	EXPECT_TOTAL(total_of(name, 0, 0), 1, 0, 0, id[1]);
	snprintf(name, sizeof(name), "%s-1-longer", self->name);
	EXPECT_TOTAL(total_of(name, 0, 0), 0, 0, 0, 0);
	/* Without a name, and one that is gone. */
	all = total_of("", 0, 0);
	EXPECT_EQ(self->seen + 4, all.mailboxes);
	EXPECT_EQ(stat_of(none).id, all.id);
	snprintf(name, sizeof(name), "%s-1", self->name);
	ASSERT_EQ(0, raw_unlink(name));
	EXPECT_TOTAL(total_of(name, 0, 0), 0, 0, 0, 0);
	EXPECT_EQ(self->seen + 4, total_of("", 0, 0).mailboxes);
	ASSERT_EQ(0, raw(fd[2], MBOX_IOC_DESTROY, NULL));
	EXPECT_EQ(self->seen + 3, total_of("", 0, 0).mailboxes);
	snprintf(name, sizeof(name), "%s-0", self->name);
	EXPECT_EQ(0, raw_unlink(name));
	for (i = 0; i < 3; i++)
		close(fd[i]);
	close(none);
}

/* More than are looked at in one hold of the lock. */
TEST_F(mailbox, total_of_many)
{
	enum { MANY = 150 };
	struct mbox_attr attr = attr_of(0, 1);
	char name[MBOX_NAME_MAX + 1];
	int fd[MANY], i;

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%s-%d", self->name, i);
		fd[i] = raw_create(i % 3 ? name : NULL, O_RDWR, &attr);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, put(fd[i], 1));
	}
	snprintf(name, sizeof(name), "%s-", self->name);
	EXPECT_TOTAL(total_of(name, 0, 0), MANY - MANY / 3, MANY - MANY / 3,
		     (MANY - MANY / 3) * stat_of(fd[0]).bytes, stat_of(fd[MANY - 1]).id);
	EXPECT_EQ(stat_of(fd[MANY - 2]).id, total_of(name, 0, MANY - MANY / 3 - 1).id);
	EXPECT_EQ(self->seen + MANY, total_of("", 0, 0).mailboxes);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%s-%d", self->name, i);
		if (i % 3)
			EXPECT_EQ(0, raw_unlink(name));
		close(fd[i]);
	}
}

static int total_sees(void *arg)
{
	CHECK_EQ(0, become(USER_A, GROUP_A));
	return total_of(arg, 0, 0).mailboxes;
}

TEST_F(mailbox, total_leaves_out_what_the_caller_cannot_see)
{
	static const struct {
		__u32 perm;
		int seen;
	} cases[] = { { 0600, 0 }, { 0604, 1 }, { 0602, 1 }, { 0601, 0 }, { 0660, 0 } };
	struct mbox_attr attr = attr_of(0, 1);
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		attr.perm = cases[i].perm;
		fd = raw_create(self->name, O_RDWR, &attr);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fchmod(fd, attr.perm));
		EXPECT_EQ(cases[i].seen, in_child(total_sees, self->name))
			TH_LOG("perm %#o", attr.perm);
		ASSERT_EQ(0, fchown(fd, USER_A, GROUP_A));
		EXPECT_EQ(1, total_of(self->name, 0, 0).mailboxes);
		EXPECT_EQ(1, in_child(total_sees, self->name));
		EXPECT_EQ(0, raw_unlink(self->name));
		close(fd);
	}
}

TEST_F(mailbox, total_of_bad_prefixes)
{
	char name[MBOX_NAME_MAX + 1];
	struct mbox_total total = { .prefix = (uintptr_t)name, .prefix_len = sizeof(name) };

	memset(name, 'x', sizeof(name));
	EXPECT_EQ(-ENAMETOOLONG, raw_control(MBOX_IOC_TOTAL, &total));
	total.prefix_len--;
	EXPECT_EQ(0, raw_control(MBOX_IOC_TOTAL, &total));
	EXPECT_EQ(0, total.mailboxes);
	total.prefix = 1;
	EXPECT_EQ(-EFAULT, raw_control(MBOX_IOC_TOTAL, &total));
	/* What no name can be, names can begin with. */
	EXPECT_EQ(0, total_of(".", 0, 0).mailboxes);
	EXPECT_EQ(0, total_of("/", 0, 0).mailboxes);
}

TEST_F(mailbox, fdinfo_names_the_mailbox)
{
	struct mbox_attr attr = attr_of(0, 5);
	int fd = raw_create(self->name, O_RDWR, &attr);
	char path[64], text[2048], want[128];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, put(fd, 1));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	memset(text, POISON, sizeof(text));
	ASSERT_EQ(0, read_file(path, text, sizeof(text)));
	snprintf(want, sizeof(want), "mbox-id:\t%llu\n", (unsigned long long)stat_of(fd).id);
	EXPECT_TRUE(!!strstr(text, want))
		TH_LOG("no %s in %s", want, text);
	snprintf(want, sizeof(want), "mbox-name:\t%s\n", self->name);
	EXPECT_TRUE(!!strstr(text, want))
		TH_LOG("no %s in %s", want, text);
	close(fd);
}

/* One name is one word on one line, whatever bytes it has. */
TEST_F(mailbox, fdinfo_escapes_the_name)
{
	static const char odd[] = "\n\x1b[2J \\\x9b\xff\"~";
	static const char shown[] = "\\x0a\\x1b[2J\\x20\\x5c\\x9b\\xff\"~";
	struct mbox_attr attr = attr_of(0, 5);
	char path[64], text[2048], name[96], want[192];
	int fd;

	snprintf(name, sizeof(name), "%s%s", self->name, odd);
	fd = raw_create(name, O_RDWR, &attr);
	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	memset(text, POISON, sizeof(text));
	EXPECT_EQ(0, read_file(path, text, sizeof(text)));
	EXPECT_EQ(0, raw_unlink(name));
	snprintf(want, sizeof(want), "\nmbox-name:\t%s%s\nmbox-mode:", self->name, shown);
	EXPECT_TRUE(!!strstr(text, want))
		TH_LOG("no %s in %s", want, text);
	close(fd);
}

TEST_HARNESS_MAIN
