// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has to be true when a program has ended and nothing is under way.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "fuzz.h"

void broken(const char *format, ...)
{
	uint32_t none = 0;
	va_list args;

	/* 1: being written; 2: to be read. */
	if (!__atomic_compare_exchange_n(&shared->broken, &none, 1, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	va_start(args, format);
	vsnprintf(shared->why, sizeof(shared->why), format, args);
	va_end(args);
	__atomic_store_n(&shared->broken, 2, __ATOMIC_RELEASE);
}

void check_errno(long ret, bool strict)
{
	static const int listed[] = {
		EAGAIN, ETIMEDOUT, EINTR, EMSGSIZE, EIDRM, EPIPE, EBADF,
		EACCES, EPERM, EEXIST, ENOENT, ENAMETOOLONG, EDQUOT, EINVAL,
		E2BIG, EFAULT, ENOMEM, EMFILE, ENFILE, ENOTTY, ESRCH,
		ELOOP, ETOOMANYREFS, EOPNOTSUPP, EBUSY, ENOTCONN,
	};
	unsigned int i;

	if (ret < -EHWPOISON)
		broken("error %ld, which is the kernel's own", -ret);
	if (!strict)
		return;
	for (i = 0; i < ARRAY_SIZE(listed); i++)
		if (ret == -listed[i])
			return;
	broken("error %ld (%s), which no ioctl of a mailbox has", -ret,
	       strerror(-ret));
}

/* ---- mailboxes ---------------------------------------------------------- */

static bool stat_of(int fd, struct mbox_stat *st)
{
	memset(st, 0xa5, sizeof(*st));
	return !ioctl(fd, MBOX_IOC_STAT, st);
}

static void check_stat(const struct mbox_stat *st)
{
	uint64_t most = (uint64_t)st->queued * st->attr.msg_max, waited = 0;
	int i;

	/* What is in a ring is what programs say, and these here lie. */
	if (st->attr.mode == MBOX_QUEUE && !(st->attr.flags & MBOX_BROADCAST) &&
	    st->sent != st->received + st->queued + st->dropped + st->expired)
		broken("sent %llu, received %llu, queued %u, dropped %llu, expired %llu",
		       LLU(st->sent), LLU(st->received), st->queued,
		       LLU(st->dropped), LLU(st->expired));
	for (i = 0; i < MBOX_WAIT_BUCKETS; i++)
		waited += st->waited[i];
	if (st->attr.mode == MBOX_QUEUE &&
	    (waited != st->received || st->queued > st->highest ||
	     (st->oldest_ns && !st->queued)))
		broken("received %llu, of which %llu waited; queued %u, highest %u, the oldest for %llu ns",
		       LLU(st->received), LLU(waited), st->queued, st->highest,
		       LLU(st->oldest_ns));
	if (st->waiting_senders > shared->calls_away || st->waiting_receivers)
		broken("%u senders and %u receivers wait, but only %u calls were left",
		       st->waiting_senders, st->waiting_receivers,
		       shared->calls_away);
	if (st->bytes > most ||
	    (st->attr.mode == MBOX_QUEUE && st->attr.flags & MBOX_FIXED &&
	     st->bytes != most))
		broken("%llu bytes in %u messages of at most %u",
		       LLU(st->bytes), st->queued, st->attr.msg_max);
	/* A handle that was expelled does not count. */
	if (!(st->send_handles | st->recv_handles) && !(st->attr.flags & MBOX_BROADCAST))
		broken("a handle that is not counted");
}

/* Until it is about one state: others may be closing their handles. */
static short poll_of(int fd, struct mbox_stat *st)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	struct mbox_stat before;

	do {
		before = *st;
		poll(&p, 1, 0);
	} while (stat_of(fd, st) &&
		 (st->send_handles != before.send_handles ||
		  st->recv_handles != before.recv_handles));
	return p.revents;
}

/* Whether a mailbox can be full, for this handle, by bytes that stat does not tell. */
static bool has_max_bytes(int fd)
{
	char path[64], line[512];
	bool found = false;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	/* Without /proc: perhaps. */
	if (!info)
		return true;
	while (!found && fgets(line, sizeof(line), info))
		found = !strncmp(line, "mbox-max-bytes:", strlen("mbox-max-bytes:"));
	fclose(info);
	return found;
}

static void check_poll(int fd, struct mbox_stat *st)
{
	const uint32_t drops = MBOX_DROP_OLDEST | MBOX_DROP_NEWEST;
	int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
	uint32_t taken = st->queued;
	short expect = 0, hangup = 0, perhaps = 0, known = POLLIN | POLLOUT, seen;

	/* What is queued may be for other handles. */
	if (st->attr.flags & MBOX_BROADCAST)
		return;
	seen = poll_of(fd, st);
	/* What is on lease takes room, too. */
	if (st->attr.capacity && !(st->attr.flags & MBOX_DROP_OLDEST))
		taken += st->leased;
	/* Nor is it said whose it is. */
	if (st->attr.flags & MBOX_FAIR && taken && taken < st->attr.capacity &&
	    st->attr.capacity != MBOX_UNBOUNDED)
		known = POLLIN;
	if (has_max_bytes(fd))
		known &= ~POLLOUT;
	/* The user that opened it may be at a limit that this program has lowered. */
	if (shared->has_setuid && shared->has_params)
		known &= ~POLLOUT;
	if (mode != O_WRONLY && st->queued)
		expect |= POLLIN;
	if (mode != O_RDONLY &&
	    (taken < st->attr.capacity || st->attr.capacity == MBOX_UNBOUNDED ||
	     st->attr.flags & drops))
		expect |= POLLOUT;
	if (st->attr.flags & MBOX_HANGUP) {
		/* Whether a side has been there shows in what it did, if anything. */
		if (mode != O_WRONLY && !st->send_handles)
			*(st->sent && !st->leased ? &hangup : &perhaps) |= POLLHUP;
		if (mode != O_RDONLY && !st->recv_handles)
			*(st->received ? &hangup : &perhaps) |= POLLERR | POLLHUP;
	}
	if ((seen & known) != (expect & known) || hangup & ~seen ||
	    seen & (POLLERR | POLLHUP) & ~(hangup | perhaps))
		broken("poll says %#x; queued %u, capacity %u, flags %#x, senders %u, receivers %u, mode %d",
		       seen, st->queued, st->attr.capacity,
		       st->attr.flags, st->send_handles, st->recv_handles,
		       mode);
}

/* Everything that is said to be there can be received, in order. */
static void drain(int fd, const struct mbox_stat *st)
{
	uint32_t n = 0, prio = MBOX_PRIO_MAX;
	struct mbox_msg m = {};
	struct mbox_stat after;
	uint64_t bytes = 0;
	uint8_t buf[256];
	int len;

	for (;;) {
		m.buf = (uintptr_t)buf;
		m.len = sizeof(buf);
		m.flags = MBOX_DONTWAIT | MBOX_TRUNC;
		len = ioctl(fd, MBOX_IOC_RECV, &m);
		if (len < 0 || n > st->queued)
			break;
		n++;
		bytes += len;
		if (m.prio > prio)
			broken("priority %u behind %u", m.prio, prio);
		prio = m.prio;
		if (!shared->wild &&
		    !memory_is_message(buf, MIN(sizeof(buf), (size_t)len), len))
			broken("a queued message of %d bytes has the wrong content",
			       len);
	}
	if (n != st->queued || bytes != st->bytes)
		broken("%u messages, %llu bytes received; %u, %llu were queued",
		       n, LLU(bytes), st->queued, LLU(st->bytes));
	if (!stat_of(fd, &after))
		broken("no state after receiving all");
	else if (after.queued || after.bytes ||
		 after.received != st->received + n)
		broken("empty, but %u queued, %llu bytes; received %llu, then %u, gives %llu",
		       after.queued, LLU(after.bytes), LLU(st->received), n,
		       LLU(after.received));
}

enum { NOT_DIRECT, DIRECT, SOMEBODYS_DIRECT };

/* Whether a handle is of a direct link, and of use to this process. */
static int directness(int fd)
{
	struct mbox_reply reply = {};
	char path[64], text[2048];
	ssize_t len;
	int info;

	/* What all others are, mostly. */
	if (!program_has(&shared->program, "direct") && !shared->wild)
		return NOT_DIRECT;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	len = read(info, text, sizeof(text) - 1);
	close(info);
	text[len > 0 ? len : 0] = '\0';
	if (!strstr(text, "mbox-peer:"))
		return NOT_DIRECT;
	ioctl(fd, MBOX_IOC_REPLY, &reply);
	return errno == EPERM ? SOMEBODYS_DIRECT : DIRECT;
}

/* The handles of one process, while no other looks at its own. */
void check_process(struct process *p)
{
	struct mbox_stat st;
	unsigned int i;
	int direct;

	for (i = 0; i < SLOTS; i++) {
		int fd = p->slots[i];

		if (fd < 0 || !stat_of(fd, &st))
			continue;
		/* It only served to create the mailbox: it has no rights. */
		if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_ACCMODE)
			continue;
		__atomic_add_fetch(&jobs->checks, 1, __ATOMIC_RELAXED);
		direct = directness(fd);
		if (direct == SOMEBODYS_DIRECT)
			continue;
		check_stat(&st);
		if (st.attr.mode == MBOX_RING || st.attr.flags & MBOX_BROADCAST)
			continue;
		/* The request of such a call may come back at any time. */
		if (st.waiting_senders)
			continue;
		/* What it sends to is another mailbox. */
		if (direct == NOT_DIRECT)
			check_poll(fd, &st);
		if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
			drain(fd, &st);
	}
}

/* ---- the rest of the world ---------------------------------------------- */

static int device = -1;

void check_nothing_left(void)
{
	struct mbox_unlink unlink = {};
	struct mbox_walk walk = {};
	unsigned int tries = 0;

	if (device < 0)
		device = open(DEVICE, O_RDWR | O_CLOEXEC);
	while (!ioctl(device, MBOX_IOC_WALK, &walk)) {
		if (walk.name[0]) {
			unlink.name = (uintptr_t)walk.name;
			unlink.name_len = strlen(walk.name);
			ioctl(device, MBOX_IOC_UNLINK, &unlink);
		} else if (++tries < 500) {
			/* Files of io_uring and of sockets go a little later. */
			usleep(2000);
		} else {
			broken("mailbox %llu is left, with %u and %u handles",
			       LLU(walk.id), walk.stat.send_handles,
			       walk.stat.recv_handles);
			break;
		}
		walk.id = 0;
	}
	if (!shared->broken && errno != ENOENT)
		broken("walk: %s", strerror(errno));
}

#define LIMIT_MAILBOXES	5
/* An empty message is charged 96 bytes, and its sender 256. */
#define LIMIT_BYTES	4096
#define LIMIT_MESSAGES	((LIMIT_BYTES - 256) / 96)

/* As an unprivileged user: how many mailboxes, how many empty messages fit? */
static void count_allowed(unsigned int *mailboxes, unsigned int *messages)
{
	struct mbox_create create = {
		.oflags = O_RDWR | O_CLOEXEC,
		.attr.capacity = MBOX_UNBOUNDED, .attr.msg_max = 64,
		.attr.perm = 0600,
	};
	int fds[LIMIT_MAILBOXES + 1];
	struct mbox_msg m = {};
	unsigned int i, n;

	for (n = 0; n < ARRAY_SIZE(fds); n++) {
		fds[n] = ioctl(device, MBOX_IOC_CREATE, &create);
		if (fds[n] < 0)
			break;
	}
	*mailboxes = n;
	for (i = 0; n && i <= LIMIT_BYTES; i++)
		if (ioctl(fds[0], MBOX_IOC_SEND, &m))
			break;
	*messages = i;
	for (i = 0; i < n; i++)
		close(fds[i]);
}

/* What the users' accounts say when nothing is charged: they can use it all. */
void check_limits(void)
{
	unsigned int i, mailboxes, messages;

	lock(&jobs->param_lock);
	write_file("/sys/module/mbox/parameters/user_mailboxes", "5");
	write_file("/sys/module/mbox/parameters/user_bytes", "4096");
	for (i = 1; i < 4; i++) {
		syscall(SYS_setresuid, job_user(i), job_user(i), 0);
		count_allowed(&mailboxes, &messages);
		syscall(SYS_setresuid, 0, 0, 0);
		if (mailboxes != LIMIT_MAILBOXES ||
		    messages != LIMIT_MESSAGES)
			broken("user %u may have %u of %u mailboxes, %u of %u messages",
			       job_user(i), mailboxes, LIMIT_MAILBOXES,
			       messages, LIMIT_MESSAGES);
	}
	module_params_reset();
	unlock(&jobs->param_lock);
}

/* ---- the kernel log ----------------------------------------------------- */

static int log_fd = -1;

void check_log_open(void)
{
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd >= 0)
		lseek(log_fd, 0, SEEK_END);
}

/*
 * Stop at the first complaint, while it is known which program was there; the
 * host looks through the whole log again.
 */
void check_log(void)
{
	static const char *const words[] = {
		"BUG", "WARNING:", "KASAN", "UBSAN", "INFO: ", "ODEBUG",
		"refcount_t", "Call Trace", "lock held", "corruption",
	};
	/* Whose a data race is, the host finds out: many are the kernel's. */
	static bool in_race;
	char text[2048];
	unsigned int i;
	ssize_t len;

	while (log_fd >= 0 && (len = read(log_fd, text, sizeof(text) - 1)) > 0) {
		text[len] = '\0';
		if (in_race || strstr(text, "BUG: KCSAN:")) {
			in_race = !strstr(text, "==========");
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(words); i++)
			if (strstr(text, words[i]))
				broken("the kernel says: %s", text);
	}
}
