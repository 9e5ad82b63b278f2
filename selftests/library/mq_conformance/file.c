// SPDX-License-Identifier: GPL-2.0-only
/* Rows about descriptors, which on Linux are those of files, and about who inherits them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

static void events(mqd_t q)
{
	struct pollfd p = { .fd = q, .events = POLLIN | POLLOUT };

	CALL(poll(&p, 1, 0));
	add("%s%s%x; ", p.revents & POLLIN ? "IN " : "", p.revents & POLLOUT ? "OUT " : "",
	    p.revents & ~(POLLIN | POLLOUT));
}

static void poll_events(void)
{
	char text[64];
	mqd_t q = make(2, 64, O_RDWR);

	events(q);
	CALL(mq_send(q, "a", 1, 0));
	events(q);
	CALL(mq_send(q, "b", 1, 0));
	events(q);
	CALL(mq_receive(q, text, sizeof(text), NULL));
	events(q);
	CALL(mq_receive(q, text, sizeof(text), NULL));
	events(q);
}

static void poll_one_right(void)
{
	mqd_t q = make(1, 64, O_RDWR), r = mq_open(name, O_RDONLY), w = mq_open(name, O_WRONLY);

	events(r);
	events(w);
	CALL(mq_send(q, "a", 1, 0));
	events(r);
	events(w);
}

static void poll_waits(void)
{
	mqd_t q = make(2, 64, O_RDWR);
	struct pollfd p = { .fd = q, .events = POLLIN };
	int status;
	pid_t pid = fork();

	if (!pid) {
		shared->tid = getpid();
		_exit(poll(&p, 1, -1) == 1 && p.revents == POLLIN);
	}
	await_asleep(&shared->tid);
	CALL(mq_send(q, "a", 1, 0));
	waitpid(pid, &status, 0);
	SHOW(WEXITSTATUS(status));
}

static void poll_waits_for_room(void)
{
	char text[64];
	mqd_t q = make(1, 64, O_RDWR);
	struct pollfd p = { .fd = q, .events = POLLOUT };
	int status;
	pid_t pid;

	CALL(mq_send(q, "a", 1, 0));
	pid = fork();
	if (!pid) {
		shared->tid = getpid();
		_exit(poll(&p, 1, -1) == 1 && p.revents == POLLOUT);
	}
	await_asleep(&shared->tid);
	CALL(mq_receive(q, text, sizeof(text), NULL));
	waitpid(pid, &status, 0);
	SHOW(WEXITSTATUS(status));
}

static void select_events(void)
{
	struct timeval none = { 0, 0 };
	mqd_t q = make(2, 64, O_RDWR);
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(q, &in);
	FD_SET(q, &out);
	CALL(select(q + 1, &in, &out, NULL, &none));
	SHOW(!!FD_ISSET(q, &in));
	SHOW(!!FD_ISSET(q, &out));
	CALL(mq_send(q, "a", 1, 0));
	FD_SET(q, &in);
	FD_SET(q, &out);
	CALL(select(q + 1, &in, &out, NULL, &none));
}

static void epoll_levels(void)
{
	mqd_t q = make(2, 64, O_RDWR);
	struct epoll_event event = { .events = EPOLLIN }, got;
	int ep = epoll_create1(0);
	char text[64];

	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, q, &event));
	CALL(epoll_wait(ep, &got, 1, 0));
	CALL(mq_send(q, "a", 1, 0));
	CALL(epoll_wait(ep, &got, 1, 0));
	CALL(epoll_wait(ep, &got, 1, 0));
	CALL(mq_receive(q, text, sizeof(text), NULL));
	CALL(epoll_wait(ep, &got, 1, 0));
}

static void epoll_edges(void)
{
	mqd_t q = make(2, 64, O_RDWR);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(0);
	char text[64];

	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, q, &event));
	CALL(mq_send(q, "a", 1, 0));
	CALL(epoll_wait(ep, &got, 1, 0));
	CALL(epoll_wait(ep, &got, 1, 0));
	CALL(mq_receive(q, text, sizeof(text), NULL));
	CALL(mq_send(q, "a", 1, 0));
	CALL(epoll_wait(ep, &got, 1, 0));
}

static void duplicate(void)
{
	char text[64];
	mqd_t q = make(2, 64, O_RDWR), copy = OPEN(dup(q));

	CALL(mq_close(q));
	CALL(mq_send(copy, "a", 1, 0));
	CALL(mq_receive(copy, text, sizeof(text), NULL));
	copy = OPEN(dup2(copy, 77));
	CALL(mq_send(77, "a", 1, 0));
}

static mqd_t inherited;

static void use_inherited(void)
{
	struct mq_attr attr;
	char text[64];

	CALL(mq_receive(inherited, text, sizeof(text), NULL));
	CALL(mq_getattr(inherited, &attr));
	SHOW(attr.mq_maxmsg);
	CALL(mq_send(inherited, "xyz", 3, 9));
	CALL(mq_close(inherited));
}

static void inherited_by_fork(void)
{
	unsigned int prio = 0;
	char text[64];

	inherited = make(3, 64, O_RDWR);
	CALL(mq_send(inherited, "a", 1, 0));
	in_child(use_inherited);
	CALL(mq_receive(inherited, text, sizeof(text), &prio));
	SHOW(prio);
}

static void child_sets_nonblock(void)
{
	struct mq_attr attr = { .mq_flags = O_NONBLOCK };

	CALL(mq_setattr(inherited, &attr, NULL));
}

static void description_shared_by_fork(void)
{
	struct mq_attr attr;

	inherited = make(3, 64, O_RDWR);
	in_child(child_sets_nonblock);
	CALL(mq_getattr(inherited, &attr));
	SHOW(attr.mq_flags == O_NONBLOCK);
}

/* mq_conformance -x FD */
int after_exec(int fd)
{
	struct mq_attr attr = { 0 };
	char text[64] = "";
	int got = mq_receive(fd, text, sizeof(text), NULL);

	if (mq_getattr(fd, &attr))
		return errno == EBADF ? 50 : 51;

	return got * 10 + attr.mq_maxmsg;
}

static int run_again(mqd_t q)
{
	char number[16];
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", q);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "mq_conformance", "-x", number, (char *)NULL);
		_exit(99);
	}
	waitpid(pid, &status, 0);

	return WEXITSTATUS(status);
}

static void closed_by_exec(void)
{
	mqd_t q = make(3, 64, O_RDWR | O_NONBLOCK);

	CALL(mq_send(q, "ab", 2, 0));
	CALL(run_again(q));
}

static void kept_by_exec(void)
{
	mqd_t q = make(3, 64, O_RDWR | O_NONBLOCK);

	CALL(mq_send(q, "ab", 2, 0));
	CALL(fcntl(q, F_SETFD, 0));
	CALL(run_again(q));
}

static void send_fd(int to, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "", c = 0;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	CALL(sendmsg(to, &msg, 0));
}

static int receive_fd(int from)
{
	char control[CMSG_SPACE(sizeof(int))] = "", c = 0;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fd = -1;

	CALL(recvmsg(from, &msg, 0));
	if (CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));

	return fd;
}

static int pair[2];

static void use_received(void)
{
	mqd_t q;

	become(1001, 1001);
	OPEN(mq_open(name, O_RDWR));
	q = OPEN(receive_fd(pair[1]));
	CALL(mq_send(q, "abc", 3, 4));
}

static void over_a_socket(void)
{
	unsigned int prio = 0;
	char text[64];
	mqd_t q = make(3, 64, O_RDWR);

	CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	send_fd(pair[0], q);
	in_child(use_received);
	CALL(mq_receive(q, text, sizeof(text), &prio));
	SHOW(prio);
}

static void kind_of_file(void)
{
	struct stat st;
	mqd_t q = make(3, 64, O_RDWR);

	CALL(fstat(q, &st));
	SHOW(S_ISREG(st.st_mode));
	SHOW(st.st_size);
}

static void permission_bits(void)
{
	struct stat st;
	mqd_t q = make(3, 64, O_RDWR);

	CALL(fchmod(q, 0640));
	CALL(fchown(q, 1001, 2001));
	CALL(fstat(q, &st));
	add("%03o %d %d; ", st.st_mode & 07777, st.st_uid, st.st_gid);
	SHOW(st.st_nlink);
	CALL(mq_unlink(name));
	CALL(fstat(q, &st));
	SHOW(st.st_nlink);
}

static void same_file(void)
{
	struct stat a, b, c;
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	mqd_t q = make(3, 64, O_RDWR), r = mq_open(name, O_RDONLY);
	mqd_t other = mq_open(name2, O_CREAT | O_RDWR, 0600, &attr);

	CALL(fstat(q, &a));
	CALL(fstat(r, &b));
	CALL(fstat(other, &c));
	SHOW(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	SHOW(a.st_ino == c.st_ino);
	SHOW(a.st_dev == c.st_dev);
}

static void read_and_write(void)
{
	char text[8192];
	mqd_t q = make(3, 64, O_RDWR | O_NONBLOCK);

	CALL(write(q, "abc", 3));
	CALL(mq_send(q, "abcd", 4, 0));
	CALL(read(q, text, sizeof(text)) > 4);
}

static void flags_of_fcntl(void)
{
	mqd_t q = make(3, 64, O_RDWR | O_NONBLOCK), r = mq_open(name, O_RDONLY);

	add("%x; ", fcntl(q, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND | O_ASYNC));
	add("%x; ", fcntl(r, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND | O_ASYNC));
}

static void not_truncated(void)
{
	mqd_t q = make(3, 64, O_RDWR);

	CALL(ftruncate(q, 0));
	CALL(mq_send(q, "a", 1, 0));
}

const struct row file_rows[] = {
	{ "mq_overview: poll: POLLIN with messages, POLLOUT with room", poll_events },
	{ "mq_overview: poll: a descriptor with one right (Linux: both events)", poll_one_right,
	  "poll" },
	{ "mq_overview: poll waits for a message", poll_waits },
	{ "mq_overview: poll waits for room", poll_waits_for_room },
	{ "mq_overview: select", select_events },
	{ "mq_overview: epoll, level-triggered", epoll_levels },
	{ "mq_overview: epoll, edge-triggered", epoll_edges },
	{ "dup: a copy of a message queue descriptor is one", duplicate },
	{ "fork: the child inherits copies of the descriptors", inherited_by_fork },
	{ "fork: they refer to the same open descriptions", description_shared_by_fork },
	{ "exec: message queue descriptors are closed", closed_by_exec },
	{ "exec: a descriptor without FD_CLOEXEC works in the new program", kept_by_exec },
	{ "unix(7): a descriptor travels over a socket, with its rights", over_a_socket },
	{ "fstat: the type of the file and its size (Linux: a regular file)", kind_of_file,
	  "file" },
	{ "fchmod, fchown: change the permissions of a queue", permission_bits },
	{ "fstat: st_dev and st_ino tell queues apart", same_file },
	{ "read, write: none of mq_overview's (Linux: a text, and EINVAL)", read_and_write,
	  "read" },
	{ "fcntl: F_GETFL", flags_of_fcntl },
	{ "ftruncate: no message is lost (Linux: returns 0)", not_truncated, "file" },
	{ 0 },
};
