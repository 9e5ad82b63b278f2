/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Raw calls on /dev/mbox, beside those of the library, and what every test
 * needs around them.
 *
 * All of them return what the call returned, or -errno: one comparison checks
 * both that a call failed and why.
 */
#ifndef SELFTESTS_WRAPPERS_H
#define SELFTESTS_WRAPPERS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mbox.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif

#define DEVICE		"/dev/mbox"
#define PARAM_DIR	"/sys/module/mbox/parameters/"

/* Outputs start as this, so that a call that writes nothing is noticed. */
#define POISON		0xa5
#define POISON32	0xa5a5a5a5U

/*
 * Longer than anything takes on an emulated machine, and shorter than the
 * harness's limit: the test that gives up says where.
 */
#define WAIT_LIMIT_MS	(25000 * time_factor())

#define NSEC_PER_MSEC	1000000LL

/* Some user that owns nothing. */
#define USER_A		1001
#define USER_B		1002
#define GROUP_A		2001
#define GROUP_B		2002

/* How much slower than usual things are: debug kernels. */
static inline int time_factor(void)
{
	const char *factor = getenv("MBOX_TIME_FACTOR");
	int n = factor ? atoi(factor) : 1;

	return n > 0 ? n : 1;
}

/* It defines variables: only one file of a program can have it. */
#ifndef WITHOUT_HARNESS
#include "harness.h"
#endif

/* -errno when a call failed; its result otherwise. No other negative passes. */
static inline long neg(long ret)
{
	if (ret >= 0)
		return ret;
	return ret == -1 && errno ? -errno : -10000;
}

static inline int open_device(void)
{
	return neg(open(DEVICE, O_RDONLY | O_CLOEXEC));
}

/* ioctl @cmd, with @size in place of the structure's size. */
static inline unsigned int sized(unsigned int cmd, size_t size)
{
	return _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), size);
}

/* Not ioctl(3), which cuts the result to an int. */
static inline long raw(int fd, unsigned int cmd, void *arg)
{
	errno = 0;
	return neg(syscall(SYS_ioctl, fd, cmd, arg));
}

/* A control ioctl on an open of its own. */
static inline long raw_control(unsigned int cmd, void *arg)
{
	int fd = open_device();
	long ret;

	if (fd < 0)
		return fd;
	ret = raw(fd, cmd, arg);
	close(fd);
	return ret;
}

static inline struct mbox_attr attr_of(__u32 flags, __u32 capacity)
{
	struct mbox_attr attr = MBOX_ATTR_INIT;

	attr.flags = flags;
	attr.capacity = capacity;
	return attr;
}

static inline int raw_create(const char *name, int oflags, const struct mbox_attr *attr)
{
	struct mbox_create arg = {
		.name = (uintptr_t)name,
		.name_len = name ? strlen(name) : 0,
		.oflags = oflags,
		.attr = *attr,
	};

	return raw_control(MBOX_IOC_CREATE, &arg);
}

/* An anonymous mailbox, open for both. */
static inline int new_mailbox(__u32 flags, __u32 capacity)
{
	struct mbox_attr attr = attr_of(flags, capacity);

	return raw_create(NULL, O_RDWR | O_CLOEXEC, &attr);
}

static inline int raw_open(const char *name, int oflags)
{
	struct mbox_open arg = {
		.name = (uintptr_t)name,
		.name_len = strlen(name),
		.oflags = oflags,
	};

	return raw_control(MBOX_IOC_OPEN, &arg);
}

static inline int raw_open_id(__u64 id, int oflags)
{
	struct mbox_open arg = { .id = id, .oflags = oflags };

	return raw_control(MBOX_IOC_OPEN, &arg);
}

static inline int raw_direct(pid_t pid, int oflags)
{
	struct mbox_direct arg = { .pid = pid, .oflags = oflags };

	return raw_control(MBOX_IOC_DIRECT, &arg);
}

static inline int raw_unlink(const char *name)
{
	struct mbox_unlink arg = {
		.name = (uintptr_t)name,
		.name_len = strlen(name),
	};

	return raw_control(MBOX_IOC_UNLINK, &arg);
}

static inline int raw_stat(int fd, struct mbox_stat *st)
{
	memset(st, POISON, sizeof(*st));
	return raw(fd, MBOX_IOC_STAT, st);
}

/* All poison when there is none. */
static inline struct mbox_stat stat_of(int fd)
{
	struct mbox_stat st;

	raw_stat(fd, &st);
	return st;
}

static inline void report_change(const char *what, __u64 before, __u64 now)
{
	if (now != before)
		fprintf(stderr, "# %s was %llu, is %llu\n", what,
			(unsigned long long)before, (unsigned long long)now);
}

/* Whether nothing has changed; says what has. */
static inline bool same_stat(int fd, const struct mbox_stat *before)
{
	struct mbox_stat now = stat_of(fd);

	report_change("capacity", before->attr.capacity, now.attr.capacity);
	report_change("queued", before->queued, now.queued);
	report_change("bytes", before->bytes, now.bytes);
	report_change("waiting_senders", before->waiting_senders, now.waiting_senders);
	report_change("waiting_receivers", before->waiting_receivers, now.waiting_receivers);
	report_change("sent", before->sent, now.sent);
	report_change("received", before->received, now.received);
	report_change("dropped", before->dropped, now.dropped);
	report_change("send_handles", before->send_handles, now.send_handles);
	report_change("recv_handles", before->recv_handles, now.recv_handles);
	report_change("highest", before->highest, now.highest);
	report_change("expired", before->expired, now.expired);
	/* Messages grow older by themselves. */
	now.oldest_ns = before->oldest_ns;
	/* Of a message that its sender withdraws, too. */
	now.last_sender = before->last_sender;
	return !memcmp(&now, before, sizeof(now));
}

/* Another handle on the same mailbox. */
static inline int open_again(int fd, int oflags)
{
	return raw_open_id(stat_of(fd).id, oflags | O_CLOEXEC);
}

static inline int raw_set_capacity(int fd, __u32 capacity)
{
	struct mbox_set_capacity arg = { .capacity = capacity };

	return raw(fd, MBOX_IOC_SET_CAPACITY, &arg);
}

static inline int raw_destroy(int fd)
{
	return raw(fd, MBOX_IOC_DESTROY, NULL);
}

static inline struct mbox_msg msg_of(const void *buf, size_t len, __u32 flags)
{
	struct mbox_msg msg = {
		.buf = (uintptr_t)buf,
		.len = len,
		.flags = flags,
	};

	return msg;
}

static inline long raw_send(int fd, const void *buf, size_t len, __u32 flags)
{
	struct mbox_msg msg = msg_of(buf, len, flags);

	return raw(fd, MBOX_IOC_SEND, &msg);
}

static inline long raw_recv(int fd, void *buf, size_t len, __u32 flags)
{
	struct mbox_msg msg = msg_of(buf, len, flags);

	return raw(fd, MBOX_IOC_RECV, &msg);
}

static inline long raw_vec(int fd, unsigned int cmd, struct mbox_msg *msgs, __u32 n, __u32 flags)
{
	struct mbox_vec vec = {
		.msgs = (uintptr_t)msgs,
		.n = n,
		.flags = flags,
		.msg_size = sizeof(*msgs),
	};

	return raw(fd, cmd, &vec);
}

/*
 * Most messages of the tests are one number. put() and take() never wait.
 */
static inline long put_as(int fd, __u32 value, __u32 prio, __u64 type)
{
	struct mbox_msg msg = msg_of(&value, sizeof(value), MBOX_DONTWAIT);

	msg.prio = prio;
	msg.type = type;
	return raw(fd, MBOX_IOC_SEND, &msg);
}

static inline long put(int fd, __u32 value)
{
	return put_as(fd, value, 0, 0);
}

/* The number received, or -errno. */
static inline long take_as(int fd, __u32 flags, __u64 type, __u32 skip)
{
	__u32 value = POISON32;
	struct mbox_msg msg = msg_of(&value, sizeof(value), flags | MBOX_DONTWAIT);
	long ret;

	msg.type = type;
	msg.skip = skip;
	ret = raw(fd, MBOX_IOC_RECV, &msg);
	if (ret < 0)
		return ret;
	return ret == sizeof(value) && value <= INT32_MAX ? (long)value : -EBADMSG;
}

static inline long take(int fd)
{
	return take_as(fd, 0, 0, 0);
}

/* Absolute times, in nanoseconds. */
static inline __s64 now_ns(clockid_t clock)
{
	struct timespec ts;

	/* In user-mode Linux it is a system call, which an injected failure can hit. */
	while (clock_gettime(clock, &ts))
		;
	return ts.tv_sec * 1000 * NSEC_PER_MSEC + ts.tv_nsec;
}

static inline __s64 in_ms(clockid_t clock, int ms)
{
	return now_ns(clock) + ms * NSEC_PER_MSEC;
}

/* Between two checks of something that another thread or the kernel changes. */
static inline void pause_briefly(void)
{
	struct timespec ts = { .tv_nsec = NSEC_PER_MSEC };

	nanosleep(&ts, NULL);
}

/* Until @fd's mailbox has that many callers waiting; -ETIMEDOUT otherwise. */
static inline int await_waiting(int fd, __u32 senders, __u32 receivers)
{
	__s64 limit = in_ms(CLOCK_MONOTONIC, WAIT_LIMIT_MS);
	struct mbox_stat st;
	int ret;

	do {
		ret = raw_stat(fd, &st);
		if (ret)
			return ret;
		if (st.waiting_senders == senders && st.waiting_receivers == receivers)
			return 0;
		pause_briefly();
	} while (now_ns(CLOCK_MONOTONIC) < limit);
	fprintf(stderr, "# %u senders and %u receivers wait, not %u and %u\n",
		st.waiting_senders, st.waiting_receivers, senders, receivers);
	return -ETIMEDOUT;
}

/*
 * Children end with the test, also when it is aborted. @fn returns 0 when all
 * is well.
 */
static inline pid_t spawn(int (*fn)(void *arg), void *arg)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	_exit(fn(arg));
}

/* Exit status, or 1000 and the signal that ended it. */
static inline int reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline int in_child(int (*fn)(void *arg), void *arg)
{
	return reap(spawn(fn, arg));
}

/* For children, where the harness's assertions would not reach the parent. */
#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "# %s:%d: in child: %s: %s\n",		\
			__FILE__, __LINE__, #cond, strerror(errno));	\
		return 1;						\
	}								\
} while (0)

#define CHECK_EQ(expected, seen) do {					\
	long __want = (expected), __got = (seen);			\
									\
	if (__want != __got) {						\
		fprintf(stderr, "# %s:%d: in child: %s is %ld, not %ld\n", \
			__FILE__, __LINE__, #seen, __got, __want);	\
		return 1;						\
	}								\
} while (0)

/* Become an ordinary user, for good. */
static inline int become(uid_t uid, gid_t gid)
{
	/* The system calls: glibc's wrappers look for threads to tell. */
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return neg(-1);
	/* Changing credentials has cleared it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}

static inline int write_file(const char *path, const char *fmt, ...)
{
	char text[256];
	va_list args;
	ssize_t ret;
	int fd, len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return neg(-1);
	ret = neg(write(fd, text, len));
	close(fd);
	return ret < 0 ? ret : 0;
}

/* The beginning of a file as a string. */
static inline int read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t ret;

	if (fd < 0)
		return neg(-1);
	while ((ret = read(fd, text + len, size - 1 - len)) > 0)
		len += ret;
	ret = neg(ret);
	close(fd);
	text[len] = '\0';
	return ret < 0 ? ret : 0;
}

/* The number behind @key in a file, or -1. */
static inline long long number_in_file(const char *path, const char *key)
{
	char text[4096];
	const char *found;

	if (read_file(path, text, sizeof(text)))
		return -1;
	found = strstr(text, key);
	return found ? atoll(found + strlen(key)) : -1;
}

/* What fdinfo of a descriptor of the calling thread says behind @key, or -1. */
static inline long long fdinfo_number(int fd, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
	return number_in_file(path, key);
}

static inline long param_get(const char *name)
{
	char path[128], text[32];
	int ret;

	snprintf(path, sizeof(path), PARAM_DIR "%s", name);
	ret = read_file(path, text, sizeof(text));
	return ret ? ret : atol(text);
}

/* Memory that processes made from now on share, or NULL. */
static inline void *shared_memory(size_t size)
{
	void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return addr == MAP_FAILED ? NULL : addr;
}

/* Memory that cannot be read or written. */
static inline char *bad_buffer(void)
{
	return mmap(NULL, getpagesize(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* How many entries folder @path has; -errno. Its own is one, while it is read. */
static inline int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return neg(-1);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* How many descriptors this process has open, and some constant. */
static inline int open_descriptors(void)
{
	return count_entries("/proc/self/fd");
}

/* Whether this is what uname(2) calls the machine, whose kernel has 64 bits. */
static inline bool on_machine(const char *name)
{
	struct utsname u;

	return !uname(&u) && !strcmp(u.machine, name);
}

/* The calling thread, and those that it creates from now on. */
static inline int stay_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return neg(sched_setaffinity(0, sizeof(cpus), &cpus));
}

/* Whether the kernel is one that was built to check itself: large and slow. */
static inline bool kernel_checks_itself(void)
{
	const char *name = getenv("MBOX_KERNEL");

	return name && (!strncmp(name, "debug", 5) || !strcmp(name, "kcsan") ||
			!strcmp(name, "lockdep") || !strcmp(name, "um-kasan"));
}

static inline int param_set(const char *name, long value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAM_DIR "%s", name);
	return write_file(path, "%ld", value);
}

/* A name that no other test and no other run uses. */
static inline const char *test_name(char *name, size_t size, const char *what)
{
	snprintf(name, size, "mbox-test-%d-%s", getpid(), what);
	return name;
}

/* How many mailboxes the caller sees. */
static inline int count_mailboxes(void)
{
	struct mbox_walk pos = { 0 };
	int n = 0;
	int fd;

	fd = open_device();
	while (!raw(fd, MBOX_IOC_WALK, &pos))
		n++;
	close(fd);
	return n;
}

/* Inode number of the caller's network namespace. */
static inline unsigned long long current_net(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
}

#endif /* SELFTESTS_WRAPPERS_H */
