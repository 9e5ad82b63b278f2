// SPDX-License-Identifier: GPL-2.0-only
/* Memory: what mailboxes and messages cost, and which user is charged. */
#include "peers.h"

#define CGROUPS "/sys/fs/cgroup"
#define MIB (1L << 20)

/*
 * The kernel adds a cgroup's memory up in batches. Among so many mailboxes what
 * is still missing is a few bytes for each.
 */
#define IDLE 20000
#define DESCRIPTORS (IDLE + 100)

FIXTURE(memory)
{
	char dir[128];
	bool usable;
};

static long cgroup_file(const char *dir, const char *file, const char *fmt, ...)
{
	char path[256], text[64];
	va_list args;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return write_file(path, "%s", text);
}

static long cgroup_number(const char *dir, const char *file)
{
	char path[256], text[64];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return read_file(path, text, sizeof(text)) ? -1 : atol(text);
}

/* One line of memory.stat, -1 when there is none. */
static long memory_stat(const char *dir, const char *key)
{
	char path[256], text[8192], *line;

	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	if (read_file(path, text, sizeof(text)))
		return -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ' ')
			return atol(line + strlen(key));
	return -1;
}

FIXTURE_SETUP(memory)
{
	char path[256];

	snprintf(self->dir, sizeof(self->dir), CGROUPS "/mbox-test-%d", getpid());
	cgroup_file(CGROUPS, "cgroup.subtree_control", "+memory");
	if (mkdir(self->dir, 0755))
		return;
	snprintf(path, sizeof(path), "%s/memory.max", self->dir);
	self->usable = !access(path, W_OK);
}

FIXTURE_TEARDOWN(memory)
{
	rmdir(self->dir);
}

#define NEED_CGROUP(self) do {						\
	if (!(self)->usable)						\
		SKIP(return, "no memory controller in " CGROUPS);	\
} while (0)

static bool inflated(void)
{
	if (kernel_checks_itself())
		return true;
	/* Real-time kernels have locks several times as large. */
	return !access("/sys/kernel/realtime", F_OK) ||
	       !access("/sys/kernel/debug/kmemleak", F_OK);
}

/* A child in the cgroup, which works on what it shares with its parent. */
struct worker {
	const char *dir;
	int fd;
	int n;
	size_t len;
	long sent;
	long last_error;
	long cost;
	long slab;
};

static struct worker *new_worker(const char *dir, int fd)
{
	struct worker *w = shared_memory(sizeof(*w));

	w->dir = dir;
	w->fd = fd;
	return w;
}

static int send_until_it_fails(void *arg)
{
	static char buf[128 * 1024];
	struct worker *w = arg;

	memset(buf, 'm', sizeof(buf));
	CHECK_EQ(0, cgroup_file(w->dir, "cgroup.procs", "0"));
	/* Until refused, or killed: 100 times the limit is neither. */
	while (w->sent * w->len < 100 * 8 * (size_t)MIB) {
		w->last_error = raw_send(w->fd, buf, w->len, 0);
		if (w->last_error)
			return 0;
		w->sent++;
	}
	return 1;
}

/* The runner takes a kernel's word about a cgroup out of memory for an error. */
static void announce(const char *text)
{
	write_file("/dev/kmsg", "mbox-test: %s\n", text);
}

static void fill_cgroup(struct __test_metadata *_metadata, FIXTURE_DATA(memory) *self, size_t len)
{
	struct mbox_attr attr = attr_of(0, MBOX_UNBOUNDED);
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct worker *w;
	struct mbox *mb;
	long queued;
	int ret;

	attr.msg_max = len;
	mb = mbox_create(NULL, O_RDWR, &attr);
	ASSERT_TRUE(!!mb);
	w = new_worker(self->dir, mbox_fd(mb));
	w->len = len;
	ASSERT_EQ(0, cgroup_file(self->dir, "memory.max", "%ld", 8 * MIB));
	announce("expect memcg oom");
	ret = in_child(send_until_it_fails, w);
	announce("end memcg oom");
	if (ret == 1000 + SIGKILL)
		TH_LOG("killed after %ld messages of %zu bytes", w->sent, len);
	else
		TH_LOG("refused after %ld messages of %zu bytes: %s", w->sent, len,
		       strerror(-w->last_error));
	EXPECT_TRUE(ret == 1000 + SIGKILL || (ret == 0 && w->last_error == -ENOMEM));
	EXPECT_LT(0, w->sent);

	/* The mailbox is whole: what was sent is there, and it goes on working. */
	queued = stat_of(mbox_fd(mb)).queued;
	EXPECT_TRUE(queued == w->sent || (ret && queued == w->sent + 1));
	EXPECT_EQ((__u64)queued * len, stat_of(mbox_fd(mb)).bytes);
	while (queued--) {
		char first = (char)POISON;

		ASSERT_EQ((long)len, mbox_recv(mb, &first, 1, MBOX_TRUNC | MBOX_DONTWAIT));
		ASSERT_EQ('m', first);
	}
	EXPECT_EQ(0, mbox_send(mb, "works", 5, 0));
	EXPECT_EQ(0, mbox_close(mb));
	while (cgroup_number(self->dir, "memory.current") > MIB &&
	       now_ns(CLOCK_MONOTONIC) < limit)
		pause_briefly();
	EXPECT_GT(MIB, cgroup_number(self->dir, "memory.current"));
}

TEST_F(memory, limit_of_a_cgroup_stops_small_messages)
{
	NEED_CGROUP(self);
	fill_cgroup(_metadata, self, 256);
}

TEST_F(memory, limit_of_a_cgroup_stops_big_messages)
{
	NEED_CGROUP(self);
	fill_cgroup(_metadata, self, 128 * 1024);
}

/* What all the kernel's memory of the cgroup comes to. */
static long kernel_memory(const char *dir)
{
	long kernel = memory_stat(dir, "kernel");

	return kernel >= 0 ? kernel : memory_stat(dir, "slab");
}

static int enter_and_settle(struct worker *w)
{
	CHECK_EQ(0, cgroup_file(w->dir, "cgroup.procs", "0"));
	/* The table of descriptors is not what is measured. */
	CHECK(dup2(w->fd, DESCRIPTORS - 1) == DESCRIPTORS - 1);
	CHECK_EQ(0, put(w->fd, 1));
	CHECK_EQ(1, take(w->fd));
	return 0;
}

static int create_idle(void *arg)
{
	struct mbox_attr attr = attr_of(0, 64);
	struct worker *w = arg;
	char name[32];
	int i, fd;

	CHECK_EQ(0, enter_and_settle(w));
	w->cost = kernel_memory(w->dir);
	w->slab = memory_stat(w->dir, "slab");
	for (i = 0; i < w->n; i++) {
		/* With a handle when anonymous; a name alone otherwise. */
		snprintf(name, sizeof(name), "mbox-test-idle-%d", i);
		fd = raw_create(w->len ? name : NULL, O_RDWR, &attr);
		CHECK(fd >= 0);
		if (w->len)
			close(fd);
	}
	w->cost = kernel_memory(w->dir) - w->cost;
	w->slab = memory_stat(w->dir, "slab") - w->slab;
	for (i = 0; w->len && i < w->n; i++) {
		snprintf(name, sizeof(name), "mbox-test-idle-%d", i);
		raw_unlink(name);
	}
	return 0;
}

static void raise_limit_of_descriptors(void)
{
	struct rlimit limit = { DESCRIPTORS, DESCRIPTORS };

	setrlimit(RLIMIT_NOFILE, &limit);
}

static void measure_idle(struct __test_metadata *_metadata, FIXTURE_DATA(memory) *self, bool named)
{
	struct worker *w = new_worker(self->dir, new_mailbox(0, 4));
	long saved = param_get("user_mailboxes");

	raise_limit_of_descriptors();
	ASSERT_EQ(0, cgroup_file(self->dir, "memory.max", "max"));
	w->n = IDLE;
	w->len = named;
	EXPECT_EQ(0, in_child(create_idle, w));
	param_set("user_mailboxes", saved);
	TH_LOG("an idle %s mailbox: %ld bytes (slab: %ld)",
	       named ? "named" : "anonymous, open", w->cost / w->n, w->slab / w->n);
	EXPECT_LT(100, w->cost / w->n);
	/* Of this, 632 bytes are the inode's. With a name there is no handle, and no file. */
	EXPECT_GE(named ? 1638 : 2048, w->cost / w->n);
	close(w->fd);
}

TEST_F(memory, idle_anonymous_mailbox_with_a_handle_is_at_most_2_KiB)
{
	NEED_CGROUP(self);
	if (inflated())
		SKIP(return, "a debug kernel's objects are larger");
	measure_idle(_metadata, self, false);
}

TEST_F(memory, idle_named_mailbox_is_at_most_1638_bytes)
{
	NEED_CGROUP(self);
	if (inflated())
		SKIP(return, "a debug kernel's objects are larger");
	measure_idle(_metadata, self, true);
}

static int queue_messages(void *arg)
{
	struct worker *w = arg;
	char buf[256] = { 0 };
	int i;

	CHECK_EQ(0, enter_and_settle(w));
	w->cost = kernel_memory(w->dir);
	w->slab = memory_stat(w->dir, "slab");
	for (i = 0; i < w->n; i++)
		CHECK_EQ(0, raw_send(w->fd, buf, w->len, 0));
	w->cost = kernel_memory(w->dir) - w->cost;
	w->slab = memory_stat(w->dir, "slab") - w->slab;
	for (i = 0; i < w->n; i++)
		CHECK_EQ((long)w->len, raw_recv(w->fd, buf, sizeof(buf), MBOX_DONTWAIT));
	return 0;
}

/* The smallest piece that the kernel allocates, 0 when it does not say. */
static size_t smallest_piece(void)
{
	FILE *file = fopen("/proc/slabinfo", "r");
	size_t size, smallest = 0;
	char line[256], next;

	/* Behind the number there is a "k" or nothing. */
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "kmalloc-%zu%c", &size, &next) == 2 && next == ' ' &&
		    (!smallest || size < smallest))
			smallest = size;
	if (file)
		fclose(file);
	return smallest;
}

/*
 * What a queued message may cost: 144 bytes more than its payload. Where the
 * smallest piece is larger than a header, as on arm64, all sizes are powers of
 * two, and a message takes the one that it fits in, and the word by which it is
 * accounted.
 */
static size_t most_of_a_message(size_t len, size_t smallest)
{
	const size_t header = 80;
	size_t size = smallest;

	if (smallest <= header)
		return len + 144;
	while (size < header + len)
		size *= 2;
	return size + sizeof(__u64);
}

TEST_F(memory, queued_message_is_at_most_144_bytes_more_than_its_payload)
{
	static const size_t lengths[] = { 1, 8, 24, 64, 100, 128 };
	size_t smallest = smallest_piece();
	struct worker *w;
	unsigned int i;

	NEED_CGROUP(self);
	if (inflated())
		SKIP(return, "a debug kernel's objects are larger");
	raise_limit_of_descriptors();
	w = new_worker(self->dir, new_mailbox(0, MBOX_UNBOUNDED));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		w->n = 10000;
		w->len = lengths[i];
		EXPECT_EQ(0, in_child(queue_messages, w));
		TH_LOG("a queued message of %zu bytes: %ld bytes (slab: %ld)", w->len,
		       w->cost / w->n, w->slab / w->n);
		EXPECT_LE((long)w->len, w->cost / w->n);
		EXPECT_GE((long)most_of_a_message(w->len, smallest), w->cost / w->n);
	}
	close(w->fd);
}

/* Memory that a message of one cgroup left in a mailbox is not another one's. */
static int use_and_leave(void *arg)
{
	struct worker *w = arg;
	char buf[400] = { 0 };
	int i;

	if (w->len)
		CHECK_EQ(0, enter_and_settle(w));
	w->cost = w->len ? kernel_memory(w->dir) : 0;
	for (i = 0; i < w->n; i++) {
		CHECK_EQ(0, raw_send(w->fd + 1 + i, buf, sizeof(buf), 0));
		if (!w->len)
			CHECK_EQ((long)sizeof(buf), raw_recv(w->fd + 1 + i, buf, sizeof(buf), 0));
	}
	if (w->len)
		w->cost = kernel_memory(w->dir) - w->cost;
	return 0;
}

TEST_F(memory, message_is_charged_to_the_cgroup_of_its_sender)
{
	struct worker *w;
	int i;

	NEED_CGROUP(self);
	if (inflated())
		SKIP(return, "a debug kernel's objects are larger");
	raise_limit_of_descriptors();
	ASSERT_EQ(0, cgroup_file(self->dir, "memory.max", "max"));
	w = new_worker(self->dir, new_mailbox(0, 4));
	w->n = 4000;
	for (i = 0; i < w->n; i++)
		ASSERT_EQ(w->fd + 1 + i, new_mailbox(0, 4));
	EXPECT_EQ(0, in_child(use_and_leave, w));
	w->len = 1;
	EXPECT_EQ(0, in_child(use_and_leave, w));
	TH_LOG("a message of 400 bytes: %ld bytes", w->cost / w->n);
	EXPECT_LE(400, w->cost / w->n);
	for (i = w->n; i >= 0; i--)
		close(w->fd + i);
}

/* Receive several messages in one call, all into @buf. */
static int recv_batch(int fd, char *buf, int n)
{
	struct mbox_msg msgs[32];
	struct mbox_vec vec = { .msgs = (uintptr_t)msgs, .n = n, .msg_size = sizeof(msgs[0]) };
	int i;

	for (i = 0; i < n; i++)
		msgs[i] = msg_of(buf, 4096, 0);
	return neg(ioctl(fd, MBOX_IOC_RECVV, &vec));
}

static int use_each(void *arg)
{
	static char buf[4096];
	struct worker *w = arg;
	int i, j, got;

	CHECK_EQ(0, enter_and_settle(w));
	w->cost = kernel_memory(w->dir);
	for (i = 0; i < w->n; i++) {
		for (j = 0; j < w->sent; j++)
			CHECK_EQ(0, raw_send(w->fd + 1 + i, buf, w->len, 0));
		while (j > 0) {
			got = recv_batch(w->fd + 1 + i, buf, j);
			CHECK(got > 0);
			j -= got;
		}
	}
	w->cost = kernel_memory(w->dir) - w->cost;
	return 0;
}

TEST_F(memory, mailboxes_keep_little_of_received_messages)
{
	static const struct {
		size_t len;
		long n;
		long most;
	} cases[] = {
		{ 8, 1, 128 },	 { 8, 30, 128 },   { 400, 1, 544 },
		{ 400, 30, 544 }, { 1000, 1, 64 }, { 4096, 1, 64 },
	};
	struct worker *w;
	unsigned int c;
	int i;

	NEED_CGROUP(self);
	if (inflated())
		SKIP(return, "a debug kernel's objects are larger");
	raise_limit_of_descriptors();
	ASSERT_EQ(0, cgroup_file(self->dir, "memory.max", "max"));
	for (c = 0; c < ARRAY_SIZE(cases); c++) {
		w = new_worker(self->dir, new_mailbox(0, 4));
		w->n = 4000;
		w->len = cases[c].len;
		w->sent = cases[c].n;
		for (i = 0; i < w->n; i++)
			ASSERT_EQ(w->fd + 1 + i, new_mailbox(0, 32));
		EXPECT_EQ(0, in_child(use_each, w));
		TH_LOG("after %ld messages of %zu bytes: %ld bytes", w->sent, w->len,
		       w->cost / w->n);
		/* Each sender and its cgroup need some memory too. */
		EXPECT_GE(cases[c].most + 160, w->cost / w->n);
		for (i = w->n; i >= 0; i--)
			close(w->fd + i);
	}
}

/* A user's gauge that is not the cgroup's: pages that the slabs really use. */
static long slab_pages(void)
{
	char text[4096], *line;

	if (read_file("/proc/meminfo", text, sizeof(text)))
		return -1;
	line = strstr(text, "\nSlab:");
	return line ? atol(line + 6) * 1024 : -1;
}

TEST_F(memory, system_wide_memory_agrees)
{
	long before, cost, n = 50000, i;
	char buf[64] = { 0 };
	int fd;

	if (inflated())
		SKIP(return, "a debug kernel's objects are larger");
	fd = new_mailbox(0, MBOX_UNBOUNDED);
	before = slab_pages();
	ASSERT_LT(0, before);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, raw_send(fd, buf, sizeof(buf), 0));
	cost = (slab_pages() - before) / n;
	close(fd);
	TH_LOG("a queued message of 64 bytes takes %ld bytes of the system's memory", cost);
	EXPECT_LE(64, cost);
	EXPECT_GE(64 + 144, cost);
}

TEST_HARNESS_MAIN
