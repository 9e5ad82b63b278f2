// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations that any file has.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

static long result(long ret)
{
	if (ret >= 0)
		return ret;
	check_errno(-errno, false);
	return -errno;
}

/* One buffer as several, of uneven sizes. */
static int split(struct iovec *iov, void *at, size_t len, unsigned int how)
{
	int i, n = 1 + how % 3;

	for (i = 0; i < n; i++) {
		iov[i].iov_base = at;
		iov[i].iov_len = i == n - 1 ? len : len / (2 + how % 5);
		at = (char *)at + iov[i].iov_len;
		len -= iov[i].iov_len;
	}
	return n;
}

static int rw_flags(uint8_t b)
{
	static const int flags[] = {
		RWF_NOWAIT, RWF_NOWAIT, RWF_HIPRI, RWF_DSYNC, RWF_APPEND,
		RWF_NOWAIT | RWF_HIPRI, 0, 1 << 30,
	};

	return flags[b & 7];
}

long op_read(struct worker *l, const struct op *op)
{
	size_t len = MIN(pick_len(op->a[1]), RECV_SIZE);
	uint8_t variant = op->a[2], how = op->a[3];
	int fd = slot_fd(op->a[0]);
	struct iovec iov[3];
	bool sure;
	void *at;
	long ret;
	int n;

	at = memory_target(l, op->a[5], len, &sure);
	n = split(iov, at, len, how);
	switch (variant & 7) {
	default:
		ret = read(fd, at, len);
		break;
	case 1 ... 2:
		ret = readv(fd, iov, n);
		break;
	case 3 ... 4:
		ret = preadv2(fd, iov, n, -1, rw_flags(how >> 4));
		break;
	case 5:
		ret = pread(fd, at, len, how);
		break;
	case 6:
		ret = readv(fd, iov, how & 8 ? 0 : 1025);
		break;
	}
	if (ret >= 0 && (size_t)ret > len)
		broken("read %ld bytes into %zu", ret, len);
	else if (ret > 0 && sure && !shared->wild &&
		 !memory_is_message(at, ret, ret))
		broken("read %ld bytes with the wrong content", ret);
	return result(ret);
}

long op_write(struct worker *l, const struct op *op)
{
	uint8_t variant = op->a[2], how = op->a[3];
	size_t len = pick_len(op->a[1]);
	int fd = slot_fd(op->a[0]);
	struct iovec iov[3];
	void *at;
	long ret;
	int n;

	at = memory_source(l, op->a[5], len);
	n = split(iov, at, len, how);
	switch (variant & 7) {
	default:
		ret = write(fd, at, len);
		break;
	case 1 ... 2:
		ret = writev(fd, iov, n);
		break;
	case 3 ... 4:
		ret = pwritev2(fd, iov, n, -1, rw_flags(how >> 4));
		break;
	case 5:
		ret = pwrite(fd, at, len, how);
		break;
	case 6:
		ret = writev(fd, iov, how & 8 ? 0 : 1025);
		break;
	}
	if (ret >= 0 && !shared->wild && (variant & 7) != 6 && (size_t)ret != len)
		broken("wrote %ld of %zu bytes", ret, len);
	return result(ret);
}

static short pick_events(uint8_t b)
{
	static const short events[] = {
		POLLIN, POLLOUT, POLLIN | POLLOUT, 0, POLLPRI,
		POLLIN | POLLRDNORM | POLLRDBAND,
		POLLOUT | POLLWRNORM | POLLWRBAND, -1,
	};

	return events[b & 7];
}

long op_poll(struct worker *l, const struct op *op)
{
	struct timespec timeout = { .tv_nsec = (op->a[1] & 31) * 20000 };
	struct pollfd fds[3];
	unsigned int i, n = 1 + op->a[2] % 3;

	for (i = 0; i < n; i++) {
		fds[i].fd = slot_fd(op->a[0] + i);
		fds[i].events = pick_events(op->a[3 + i]);
	}
	return result(ppoll(fds, n, &timeout, NULL));
}

long op_epoll(struct worker *l, const struct op *op)
{
	static const uint32_t modes[] = {
		0, EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT,
		EPOLLET | EPOLLEXCLUSIVE, EPOLLET | EPOLLONESHOT, 0, EPOLLET,
	};
	struct epoll_event event, events[8];
	int fd = slot_fd(op->a[0]);
	uint32_t mode = modes[op->a[3] & 7];

	event.events = pick_events(op->a[2]) & (EPOLLIN | EPOLLOUT | EPOLLPRI);
	event.events |= mode;
	event.data.fd = fd;
	switch (op->a[1] & 3) {
	case 0:
		epoll_ctl(l->proc->epoll, EPOLL_CTL_ADD, fd, &event);
		break;
	case 1:
		epoll_ctl(l->proc->epoll, EPOLL_CTL_MOD, fd, &event);
		break;
	case 2:
		epoll_ctl(l->proc->epoll, EPOLL_CTL_DEL, fd, &event);
		break;
	}
	return result(epoll_wait(l->proc->epoll, events, 8, op->a[4] & 1));
}

long op_dup(struct worker *l, const struct op *op)
{
	int fd = slot_fd(op->a[0]), ret;

	switch (op->a[2] & 3) {
	default:
		ret = dup(fd);
		break;
	case 2:
		ret = fcntl(fd, F_DUPFD_CLOEXEC, l->proc->base + 64);
		break;
	case 3:
		/* In the place of another one, which is closed by that. */
		ret = slot_take(op->a[1]);
		if (ret < 0)
			return -EBADF;
		if (dup2(fd, ret) < 0) {
			close(ret);
			return -EBADF;
		}
		break;
	}
	if (ret < 0)
		return -errno;
	slot_put(op->a[1], ret);
	return ret;
}

long op_close(struct worker *l, const struct op *op)
{
	int fd = slot_take(op->a[0]);

	return fd < 0 ? -EBADF : result(close(fd));
}

/* Which process gets the signals of O_ASYNC, and which ones. Never a group: it is not ours. */
static long set_owner(int fd, uint8_t how)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = gettid() };

	switch (how & 3) {
	case 1:
		return fcntl(fd, F_SETSIG, SIGUSR1);
	case 2:
		return fcntl(fd, F_SETOWN_EX, &owner);
	case 3:
		return fcntl(fd, F_SETSIG, 0);
	}
	return fcntl(fd, F_SETOWN, getpid());
}

long op_fcntl(struct worker *l, const struct op *op)
{
	static const int flags[] = {
		O_NONBLOCK, 0, 0, O_NONBLOCK, O_APPEND, O_ASYNC | O_NONBLOCK,
		O_DIRECT, O_NOATIME,
	};
	struct flock lock = { .l_type = F_WRLCK, .l_len = op->a[3] };
	int fd = slot_fd(op->a[0]), on = op->a[3] & 1;

	/* Errors of these are not the module's. */
	switch (op->a[1] & 7) {
	default:
		return fcntl(fd, F_SETFL, flags[op->a[2] & 7]);
	case 3:
		return ioctl(fd, FIONBIO, &on);
	case 4:
		return ioctl(fd, FIOASYNC, &on);
	case 5:
		return fcntl(fd, F_SETLK, &lock);
	case 6:
		return set_owner(fd, op->a[2]);
	case 7:
		return fcntl(fd, F_GETFL);
	}
}

static bool ring_mode(int fd)
{
	struct mbox_stat st;

	return !ioctl(fd, MBOX_IOC_STAT, &st) && st.attr.mode == MBOX_RING;
}

static size_t region_size(int fd, unsigned int region)
{
	size_t page = sysconf(_SC_PAGESIZE), size = page;
	struct mbox_ring_info *info;

	if (region != MBOX_RING_SLOTS)
		return page;
	info = mmap64(NULL, page, PROT_READ, MAP_SHARED, fd,
		      MBOX_RING_OFFSET(MBOX_RING_INFO));
	if (info == MAP_FAILED)
		return page;
	size = info->slots_size;
	munmap(info, page);
	return size;
}

/* Map a region of a ring, scribble over it, and maul the mapping. */
static long try_ring(struct worker *l, int fd, const struct op *op)
{
	static const int prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ, PROT_WRITE, PROT_NONE,
	};
	unsigned int region = op->a[2] & 7, i;
	size_t size = region_size(fd, region);
	int prot = prots[op->a[3] & 3];
	uint64_t *p;

	p = mmap64(NULL, size, prot, op->a[3] & 0xf0 ? MAP_SHARED : MAP_PRIVATE,
		   fd, MBOX_RING_OFFSET(region));
	if (p == MAP_FAILED)
		return -errno;
	if (region < MBOX_RING_TAIL && prot & PROT_WRITE)
		broken("region %u was mapped for writing", region);
	if (prot & PROT_WRITE)
		for (i = 0; i < 16; i++)
			p[(op->a[4 + (i & 3)] * 7UL + i) % (size / sizeof(*p))] =
				pick64(op->a[4 + (i & 3)] + i);
	switch (op->a[2] >> 3 & 7) {
	case 0:
		mprotect(p, size, PROT_READ | PROT_WRITE);
		break;
	case 1:
		madvise(p, size, op->a[4] % 26);
		break;
	case 2:
		mremap(p, size, size * (op->a[4] & 3), MREMAP_MAYMOVE);
		break;
	case 3:
		munmap(p, PAGE);
		break;
	case 4:
		/* Left to the end of the process, if that is near. */
		if (l->child)
			return 0;
		break;
	}
	munmap(p, size);
	return 0;
}

static long try_mmap(int fd, uint8_t how)
{
	static const int prots[] = {
		PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_EXEC,
	};
	size_t size = PAGE << (how >> 6);
	void *p = mmap(NULL, size, prots[how & 3],
		       how & 4 ? MAP_PRIVATE : MAP_SHARED, fd,
		       (how >> 3 & 7) * PAGE);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, size);
	broken("a mailbox was mapped");
	return 0;
}

/* Calls that a mailbox has no answer to, but that must not hurt it. */
long op_misc(struct worker *l, const struct op *op)
{
	int fd = op->a[0] & 128 ? l->proc->device : slot_fd(op->a[0]);
	struct stat st;
	char text[64];
	int pipes[2];
	long ret;

	switch (op->a[1] % 12) {
	case 0:
		return ring_mode(fd) ? try_ring(l, fd, op) :
				       try_mmap(fd, op->a[2]);
	case 1:
		return lseek(fd, pick64(op->a[2]), op->a[3] % 6);
	case 2:
		return fstat(fd, &st);
	case 3:
		return fsync(fd);
	case 4:
		return ftruncate(fd, pick32(op->a[2]));
	case 5:
		return fallocate(fd, op->a[3] & 3, 0, pick32(op->a[2]));
	case 6:
		return posix_fadvise(fd, 0, 0, op->a[2] % 6);
	case 7:
		return ioctl(fd, FIONREAD, &ret);
	case 8:
		return sendfile(fd, slot_fd(op->a[2]), NULL,
				pick32(op->a[3]) & 0xffff);
	case 9:
		return copy_file_range(fd, NULL, slot_fd(op->a[2]), NULL,
				       pick32(op->a[3]) & 0xffff, 0);
	case 10:
		/* What would be spliced has no pattern. */
		if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
			return -errno;
		ret = splice(fd, NULL, pipes[1], NULL, 4096,
			     SPLICE_F_NONBLOCK);
		close(pipes[0]);
		close(pipes[1]);
		return ret;
	case 11:
		/* Again through /proc: there is nothing to open. */
		snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
		ret = open(text, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (ret >= 0)
			close(ret);
		return ret;
	}
	return 0;
}

long op_fdinfo(struct worker *l, const struct op *op)
{
	char path[64], text[1024];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d",
		 slot_fd(op->a[0]));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text));
	close(fd);
	return len;
}

long op_memory(struct worker *l, const struct op *op)
{
	memory_shake(op->a[1]);
	return 0;
}
