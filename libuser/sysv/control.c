// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions of <sys/msg.h> on mailboxes, for programs that are not compiled for them:
 * mbox_sysv(7). This file: making queues, their state, their end.
 *
 * Limits and errors are those of Linux's own queues.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/internal.h"
#include "sysv.h"

/* If the kernel has no System V queues, and what it has for them always. */
#define MSGMAX_DEFAULT 8192
#define MSGMNB_DEFAULT 16384
#define MSGMNI_DEFAULT 32000
#define MSGSSZ 16
#define MSGSEG 0xffff

#define MODE_BITS 0777

/* ---- limits ------------------------------------------------------------------------ */

/* Those of the kernel's own queues. Not by their files: that is three calls for each. */
static void get_limits(struct msginfo *to)
{
	static const struct msginfo defaults = {
		.msgmax = MSGMAX_DEFAULT,
		.msgmnb = MSGMNB_DEFAULT,
		.msgmni = MSGMNI_DEFAULT,
		.msgssz = MSGSSZ,
		.msgseg = MSGSEG,
		.msgpool = MSGMNI_DEFAULT * MSGMNB_DEFAULT / 1024,
		.msgmap = MSGMNB_DEFAULT,
		.msgtql = MSGMNB_DEFAULT,
	};
	int saved = errno;

	if (syscall(SYS_msgctl, 0, IPC_INFO, to) < 0)
		*to = defaults;
	errno = saved;
}

static bool has_capability(unsigned int number)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	int saved = errno;

	syscall(SYS_capget, &header, data);
	errno = saved;

	return data[number / 32].effective & 1U << number % 32;
}

/* ---- making queues ------------------------------------------------------------------ */

/**
 * struct creation - a mailbox to be made
 * @create: for the ioctl
 * @fd: what it returned
 * @error: errno
 */
struct creation {
	struct mbox_create create;
	int fd;
	int error;
};

static int create_without_umask(void *arg)
{
	struct creation *c = arg;

	umask(0);
	c->fd = sysv__control(MBOX_IOC_CREATE, &c->create);
	c->error = errno;

	return 0;
}

/* Its mode is right a moment later. */
static int create_and_correct(struct creation *c)
{
	struct mbox__file file;

	c->fd = sysv__control(MBOX_IOC_CREATE, &c->create);
	if (c->fd >= 0 && mbox__get_file(c->fd, &file) == 0 &&
	    (file.mode & MODE_BITS) != c->create.attr.perm)
		fchmod(c->fd, c->create.attr.perm);

	return c->fd;
}

/*
 * The umask does not apply to queues, but to files, and it belongs to all threads. So a
 * process that has a umask of its own, and shares all else, makes the mailbox: it has its
 * mode from the first moment on. Only if other users get no right anyway, none can see what
 * the umask has left in between.
 */
static int create_exactly(struct creation *c)
{
	char stack[16384] __attribute__((aligned(64)));
	sigset_t all, mask;
	int status, cancel;
	pid_t pid;

	if (!(c->create.attr.perm & 077))
		return create_and_correct(c);

	c->fd = -1;
	c->error = EAGAIN;
	sigfillset(&all);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	pid = clone(create_without_umask, stack + sizeof(stack),
		    CLONE_VM | CLONE_FILES | CLONE_VFORK, c);
	if (pid > 0)
		syscall(SYS_wait4, pid, &status, __WCLONE, NULL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	pthread_setcancelstate(cancel, NULL);
	if (pid > 0) {
		errno = c->error;
		return c->fd;
	}

	/* No process can be made. */
	return create_and_correct(c);
}

/* Know a queue that was opened by its name. Returns its id, or -1 and errno. */
static int keep_opened(int fd, key_t key, int oflags)
{
	struct mbox_stat st;
	int saved;

	if (ioctl(fd, MBOX_IOC_STAT, &st) < 0)
		goto fail;
	/* A mailbox that has the name of a queue but is none; or there were too many. */
	if (st.attr.mode != MBOX_QUEUE || st.id > INT_MAX) {
		errno = ENOSPC;
		goto fail;
	}
	sysv__keep(st.id, key, st.attr.msg_max, fd, oflags);

	return st.id;

fail:
	saved = errno;
	syscall(SYS_close, fd);
	errno = saved;

	return -1;
}

/* EEXIST: there is one. */
static int make(const char *name, key_t key, int flags)
{
	struct creation c = {
		.create = {
			.name = (uintptr_t)name,
			.name_len = strlen(name),
			.oflags = O_RDWR | O_CLOEXEC | O_EXCL,
			.attr = {
				.mode = MBOX_QUEUE,
				.perm = flags & MODE_BITS,
			},
			.options = MBOX_OPTIONS_INIT,
		},
	};
	struct mbox_info info = { 0 };
	struct msginfo limits;
	int id, fd;

	get_limits(&limits);
	/* Of a mailbox, 0 would be a rendezvous, and no limit of bytes. */
	c.create.attr.capacity = limits.msgmnb > 0 ? limits.msgmnb : MSGMNB_DEFAULT;
	c.create.attr.msg_max = limits.msgmax > 0 ? limits.msgmax : MSGMAX_DEFAULT;
	c.create.options.max_bytes = c.create.attr.capacity;
	fd = create_exactly(&c);
	/* The limit of mailboxes may be lower than that of queues. */
	if (fd < 0 && errno == EINVAL && sysv__control(MBOX_IOC_INFO, &info) == 0 &&
	    info.msg_max_limit < c.create.attr.msg_max) {
		c.create.attr.msg_max = info.msg_max_limit;
		fd = create_exactly(&c);
	}
	if (fd < 0)
		return -1;
	id = keep_opened(fd, key, O_RDWR);
	if (id < 0 && errno == ENOSPC) {
		struct mbox_unlink unlink = {
			.name = c.create.name,
			.name_len = c.create.name_len,
		};

		sysv__control(MBOX_IOC_UNLINK, &unlink);
		errno = ENOSPC;
	}
	/* Who may not use it has made it all the same; the process asks when it does. */
	if (id >= 0 && (flags & 0600) != 0600)
		sysv__forget(id);

	return id;
}

/* The access that the flags ask for, of any class; -1: none. */
static int wanted(int flags)
{
	switch ((flags >> 6 | flags >> 3 | flags) & 6) {
	case 6:
		return O_RDWR;
	case 4:
		return O_RDONLY;
	case 2:
		return O_WRONLY;
	}

	return -1;
}

static int open_name(const char *name, int oflags)
{
	struct mbox_open arg = {
		.name = (uintptr_t)name,
		.name_len = strlen(name),
		.oflags = oflags | O_CLOEXEC,
	};

	return sysv__control(MBOX_IOC_OPEN, &arg);
}

/* Find a queue by its key. */
static int find(const char *name, key_t key, int flags)
{
	int oflags = wanted(flags), fd;

	if (oflags >= 0) {
		fd = open_name(name, oflags);
		return fd < 0 ? -1 : keep_opened(fd, key, oflags);
	}
	/* None: whatever the caller may do. */
	oflags = O_RDONLY;
	fd = open_name(name, oflags);
	if (fd < 0 && errno == EACCES) {
		oflags = O_WRONLY;
		fd = open_name(name, oflags);
	}

	return fd < 0 ? -1 : keep_opened(fd, key, oflags);
}

MBOX_API int msgget(key_t key, int flags)
{
	char name[SYSV_NAME_SIZE];
	int id;

	for (;;) {
		if (key == IPC_PRIVATE) {
			if (!sysv__name_of_private(name))
				return -1;
			id = make(name, key, flags);
			if (id >= 0 || errno != EEXIST)
				return id;
			continue;
		}
		sysv__name_of_key(name, key);
		if (!(flags & IPC_CREAT) || !(flags & IPC_EXCL)) {
			id = find(name, key, flags);
			/* It was removed after it was found. */
			if (id < 0 && errno == EIDRM)
				continue;
			if (id >= 0 || errno != ENOENT || !(flags & IPC_CREAT))
				return id;
		}
		id = make(name, key, flags);
		if (id < 0 && errno == EIDRM)
			continue;
		if (id >= 0 || errno != EEXIST || flags & IPC_EXCL)
			return id;
	}
}

/* ---- state -------------------------------------------------------------------------- */

/* What both forms of the structure get, which differ in their times. */
#define FILL(to, id_, key_, mailbox, file) do { \
	memset(to, 0, sizeof(*(to))); \
	(to)->msg_perm.__key = key_; \
	(to)->msg_perm.uid = (mailbox)->uid; \
	(to)->msg_perm.gid = (mailbox)->gid; \
	(to)->msg_perm.cuid = (mailbox)->uid; \
	(to)->msg_perm.cgid = (mailbox)->gid; \
	(to)->msg_perm.mode = (file)->mode & MODE_BITS; \
	(to)->msg_perm.__seq = (id_) >> 15; \
	(to)->msg_stime = (mailbox)->sent ? (file)->mtime : 0; \
	(to)->msg_rtime = (mailbox)->received ? (file)->atime : 0; \
	(to)->msg_lspid = (mailbox)->last_sender; \
	(to)->msg_lrpid = (mailbox)->last_receiver; \
	(to)->msg_ctime = (file)->ctime; \
	(to)->msg_cbytes = (mailbox)->bytes; \
	(to)->msg_qnum = (mailbox)->queued; \
	(to)->msg_qbytes = (mailbox)->attr.capacity; \
} while (0)

/* Which of the two, and where. */
struct target {
	void *buf;
	bool time64;
};

static size_t size_of(const struct target *to)
{
#if __TIMESIZE == 32
	if (to->time64)
		return sizeof(struct __msqid64_ds);
#endif
	(void)to;

	return sizeof(struct msqid_ds);
}

static int fill(const struct target *to, int id, key_t key, const struct mbox_stat *st,
		const struct mbox__file *file)
{
	if (!sysv__can_write(to->buf, size_of(to)))
		return -1;
#if __TIMESIZE == 32
	if (to->time64) {
		FILL((struct __msqid64_ds *)to->buf, id, key, st, file);
		return 0;
	}
#endif
	FILL((struct msqid_ds *)to->buf, id, key, st, file);

	return 0;
}

/* The state of a queue, with permission to read. */
static int get_stat(int id, const struct target *to)
{
	struct sysv_queue *queue;
	struct mbox__file file;
	struct mbox_stat st;
	key_t key;
	int ret, fd;

	queue = sysv__get(id, SYSV_RECEIVE);
	if (!queue)
		return -1;
	key = queue->key;
	fd = queue->fd[SYSV_RECEIVE];
	ret = ioctl(fd, MBOX_IOC_STAT, &st);
	if (!ret)
		ret = mbox__get_file(fd, &file);
	sysv__put(queue);
	if (ret < 0 && errno == EIDRM) {
		sysv__forget(id);
		errno = EINVAL;
		return -1;
	}
	if (ret < 0 || st.id != (uint64_t)id) {
		/* The program has closed the descriptor. */
		sysv__was_closed(id, fd);
		errno = EAGAIN;
		return -1;
	}

	return fill(to, id, key, &st, &file);
}

static int stat_queue(int id, const struct target *to)
{
	int ret;

	do
		ret = get_stat(id, to);
	while (ret < 0 && errno == EAGAIN);

	return ret;
}

/* A handle with any right: the owner may have none, and then there is none. */
static int open_any(int id, int *oflags)
{
	static const int each[] = { O_RDWR, O_RDONLY, O_WRONLY };
	unsigned int i;
	int fd = -1;

	if (id <= 0) {
		errno = EINVAL;
		return -1;
	}
	for (i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		*oflags = each[i];
		fd = sysv__open_id(id, each[i]);
		if (fd >= 0 || errno != EACCES)
			break;
	}

	return fd;
}

/* The state of a queue that the caller may see, without permission to read. */
static int stat_any(const struct mbox_walk *walk, key_t key, const struct target *to)
{
	struct mbox__file file = { .mode = walk->stat.attr.perm };
	int oflags, fd;

	fd = open_any(walk->id, &oflags);
	if (fd >= 0) {
		mbox__get_file(fd, &file);
		syscall(SYS_close, fd);
	} else if (errno != EACCES) {
		return -1;
	}

	/* Who has no right at all is not told the times. */
	return fill(to, walk->id, key, &walk->stat, &file);
}

/* The queue with that number, of those that the caller may see. */
static int stat_by_index(int index, int cmd, const struct target *to)
{
	struct mbox_total total;
	struct mbox_walk walk;
	key_t key;
	int ret;

	if (sysv__add_up(&total, index + 1U) < 0)
		return -1;
	if (total.mailboxes != index + 1U || total.id > INT_MAX ||
	    !sysv__look_up(total.id, &walk, &key)) {
		errno = EINVAL;
		return -1;
	}
	if (cmd == MSG_STAT_ANY)
		ret = stat_any(&walk, key, to);
	else
		ret = stat_queue(walk.id, to);

	return ret < 0 ? -1 : (int)walk.id;
}

static int get_info(int cmd, struct msginfo *to)
{
	struct mbox_total total;
	struct msginfo info;

	get_limits(&info);
	if (sysv__add_up(&total, 0) < 0)
		return -1;
	if (cmd == MSG_INFO) {
		info.msgpool = total.mailboxes;
		info.msgmap = total.queued;
		info.msgtql = total.bytes;
	}
	if (!sysv__can_write(to, sizeof(*to)))
		return -1;
	*to = info;

	return total.mailboxes ? total.mailboxes - 1 : 0;
}

/* ---- changes ------------------------------------------------------------------------ */

/* What IPC_SET changes. */
struct change {
	uid_t uid;
	gid_t gid;
	mode_t mode;
	unsigned long qbytes;
};

static bool is_above_limit(unsigned long qbytes)
{
	struct msginfo limits;

	get_limits(&limits);

	return qbytes > (unsigned long)limits.msgmnb;
}

static int set_limits(int fd, unsigned long qbytes)
{
	struct mbox_set_capacity arg = {
		.capacity = qbytes < MBOX_UNBOUNDED - 1 ? qbytes : MBOX_UNBOUNDED - 1,
		/* Without room for a byte, there is none for an empty message either. */
		.max_bytes = qbytes ?: 1,
	};

	return ioctl(fd, MBOX_IOC_SET_CAPACITY, &arg);
}

static int apply(int fd, const struct mbox_stat *st, mode_t mode, const struct change *to)
{
	int saved;

	/* Says first whether the caller may change anything. */
	if (set_limits(fd, to->qbytes) < 0)
		return -1;
	if (fchmod(fd, to->mode) == 0) {
		/* Last: afterwards the caller may have no right to change anything. */
		if (to->uid == st->uid && to->gid == st->gid)
			return 0;
		if (fchown(fd, to->uid, to->gid) == 0)
			return 0;
		saved = errno;
		fchmod(fd, mode);
		errno = saved;
	}
	saved = errno;
	set_limits(fd, st->attr.capacity);
	errno = saved;

	return -1;
}

static int change_queue(int id, const struct change *to)
{
	struct mbox__file file;
	struct mbox_walk walk;
	int oflags, fd, ret, saved;
	key_t key;

	fd = open_any(id, &oflags);
	if (fd < 0) {
		if (errno == EACCES)
			errno = EPERM;
		return -1;
	}
	ret = -1;
	if (!sysv__look_up(id, &walk, &key))
		errno = EINVAL;
	else if (mbox__get_file(fd, &file) < 0)
		errno = EINVAL;
	else if (walk.stat.uid != geteuid() && !has_capability(CAP_SYS_ADMIN))
		errno = EPERM;
	else if (is_above_limit(to->qbytes) && !has_capability(CAP_SYS_RESOURCE))
		errno = EPERM;
	else if (to->uid == (uid_t)-1 || to->gid == (gid_t)-1)
		errno = EINVAL;
	else
		ret = apply(fd, &walk.stat, file.mode & MODE_BITS, to);
	saved = errno == EIDRM ? EINVAL : errno;
	syscall(SYS_close, fd);
	/* What the process may do is to be asked again. */
	if (!ret)
		sysv__forget(id);
	errno = saved;

	return ret;
}

/* Destroying needs both rights, which the owner can give itself. */
static int open_to_remove(int id, const struct mbox_stat *st)
{
	int oflags, fd, both;

	fd = open_any(id, &oflags);
	if (fd < 0 || oflags == O_RDWR || st->uid != geteuid())
		return fd;
	fchmod(fd, 0600);
	both = sysv__open_id(id, O_RDWR);
	syscall(SYS_close, fd);

	return both;
}

static int remove_queue(int id)
{
	struct mbox_walk walk;
	int fd, ret, saved;
	key_t key;

	if (id <= 0) {
		errno = EINVAL;
		return -1;
	}
	if (!sysv__look_up(id, &walk, &key)) {
		/* There is none, or it belongs to another user, and cannot be seen. */
		fd = sysv__open_id(id, O_RDONLY);
		if (fd >= 0)
			syscall(SYS_close, fd);
		errno = fd < 0 && errno == EACCES ? EPERM : EINVAL;
		return -1;
	}
	fd = open_to_remove(id, &walk.stat);
	if (fd >= 0) {
		ret = ioctl(fd, MBOX_IOC_DESTROY);
		if (ret < 0 && errno == EBADF)
			errno = EPERM;
		saved = errno;
		syscall(SYS_close, fd);
		errno = saved;
	} else if (errno == EACCES) {
		struct mbox_unlink unlink = {
			.name = (uintptr_t)walk.name,
			.name_len = strlen(walk.name),
		};

		/* No one has a right: without its name it ends, and no call waits. */
		ret = sysv__control(MBOX_IOC_UNLINK, &unlink);
		if (ret < 0 && errno == EACCES)
			errno = EPERM;
	} else {
		ret = -1;
	}
	if (ret < 0 && (errno == EIDRM || errno == ENOENT))
		errno = EINVAL;
	if (!ret)
		sysv__forget(id);

	return ret;
}

#define TAKE(change, from) do { \
	(change)->uid = (from)->msg_perm.uid; \
	(change)->gid = (from)->msg_perm.gid; \
	(change)->mode = (from)->msg_perm.mode & MODE_BITS; \
	(change)->qbytes = (from)->msg_qbytes; \
} while (0)

static int set_queue(int id, const struct target *from)
{
	struct change change;

	if (!sysv__can_read(from->buf, size_of(from)))
		return -1;
#if __TIMESIZE == 32
	if (from->time64) {
		TAKE(&change, (const struct __msqid64_ds *)from->buf);
		return change_queue(id, &change);
	}
#endif
	TAKE(&change, (const struct msqid_ds *)from->buf);

	return change_queue(id, &change);
}

static int control(int id, int cmd, const struct target *buf)
{
	if (id < 0) {
		errno = EINVAL;
		return -1;
	}
	switch (cmd) {
	case IPC_STAT:
		return stat_queue(id, buf);
	case IPC_SET:
		return set_queue(id, buf);
	case IPC_RMID:
		return remove_queue(id);
	case IPC_INFO:
	case MSG_INFO:
		return get_info(cmd, buf->buf);
	case MSG_STAT:
	case MSG_STAT_ANY:
		return stat_by_index(id, cmd, buf);
	}
	errno = EINVAL;

	return -1;
}

MBOX_API int msgctl(int id, int cmd, struct msqid_ds *buf)
{
	const struct target target = { buf, false };

	return control(id, cmd, &target);
}

/* What <sys/msg.h> calls where time_t may have 32 bits. */
int __msgctl64(int id, int cmd, void *buf);

MBOX_API int __msgctl64(int id, int cmd, void *buf)
{
	const struct target target = { buf, true };

	return control(id, cmd, &target);
}
