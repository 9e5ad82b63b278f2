// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets and pipes.
 */
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "compare.h"

#define PAGE 4096

static void close_fds(struct channel *c)
{
	close(c->fds[0]);
	close(c->fds[1]);
}

/* ---- sockets ----------------------------------------------------------------- */

static bool open_sockets(struct channel *c, const struct shape *shape, int type)
{
	/*
	 * The kernel counts what it allocates for a message, up to twice its size and the
	 * header, and doubles the limit.
	 */
	uint64_t bytes = shape->capacity * (2ULL * shape->size + 1024) / 2;
	int limit = bytes < INT_MAX / 2 ? bytes : INT_MAX / 2;

	if (socketpair(AF_UNIX, type, 0, c->fds))
		return false;
	if (!setsockopt(c->fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &limit, sizeof(limit)))
		return true;
	close_fds(c);

	return false;
}

static bool open_seqpacket(struct channel *c, const struct shape *shape)
{
	return open_sockets(c, shape, SOCK_SEQPACKET);
}

static bool open_dgram(struct channel *c, const struct shape *shape)
{
	return open_sockets(c, shape, SOCK_DGRAM);
}

static bool send_socket(struct channel *c)
{
	return send(c->fds[1], sent.data, c->len, 0) == c->len;
}

static bool recv_socket(struct channel *c)
{
	return recv(c->fds[0], got.data, c->len, 0) == c->len;
}

static struct mmsghdr *fill(struct channel *c, unsigned int n, char *data)
{
	static struct mmsghdr vec[BATCH_MOST];
	static struct iovec iov;
	unsigned int i;

	iov.iov_base = data;
	iov.iov_len = c->len;
	for (i = 0; i < n; i++)
		vec[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };

	return vec;
}

static bool send_sockets(struct channel *c, unsigned int n)
{
	return sendmmsg(c->fds[1], fill(c, n, sent.data), n, 0) == (int)n;
}

static bool recv_sockets(struct channel *c, unsigned int n)
{
	return recvmmsg(c->fds[0], fill(c, n, got.data), n, 0, NULL) == (int)n;
}

/* ---- pipes ------------------------------------------------------------------- */

static bool open_pipes(struct channel *c, uint64_t bytes, int flags)
{
	if (bytes > INT_MAX / 2 || pipe2(c->fds, flags))
		return false;
	if (fcntl(c->fds[1], F_SETPIPE_SZ, (int)bytes) >= 0)
		return true;
	close_fds(c);

	return false;
}

static bool open_byte_pipe(struct channel *c, const struct shape *shape)
{
	/* Room that was read is free only with its page. */
	return open_pipes(c, (uint64_t)shape->capacity * shape->size + 2 * PAGE, 0);
}

/* Each message has a page of its own. */
static bool open_packet_pipe(struct channel *c, const struct shape *shape)
{
	return open_pipes(c, (uint64_t)shape->capacity * PAGE, O_DIRECT);
}

static bool send_pipe(struct channel *c)
{
	return write(c->fds[1], sent.data, c->len) == c->len;
}

/* As much as one message had: a pipe keeps only bytes apart. */
static bool recv_byte_pipe(struct channel *c)
{
	size_t have = 0;
	ssize_t n;

	while (have < c->len) {
		n = read(c->fds[0], got.data + have, c->len - have);
		if (n <= 0)
			return false;
		have += n;
	}
	return true;
}

static bool recv_packet_pipe(struct channel *c)
{
	return read(c->fds[0], got.data, c->len) == c->len;
}

const struct transport seqpacket = {
	.name = "SOCK_SEQPACKET",
	.kind = KERNEL,
	.one_of_many = true,
	.open = open_seqpacket,
	.close = close_fds,
	.send = send_socket,
	.recv = recv_socket,
	.send_many = send_sockets,
	.recv_many = recv_sockets,
};

const struct transport dgram = {
	.name = "SOCK_DGRAM",
	.kind = KERNEL,
	.one_of_many = true,
	.open = open_dgram,
	.close = close_fds,
	.send = send_socket,
	.recv = recv_socket,
	.send_many = send_sockets,
	.recv_many = recv_sockets,
};

const struct transport byte_pipe = {
	.name = "pipe",
	.kind = KERNEL,
	.atomic_most = PIPE_BUF,
	.one_of_many = true,
	.open = open_byte_pipe,
	.close = close_fds,
	.send = send_pipe,
	.recv = recv_byte_pipe,
};

const struct transport packet_pipe = {
	.name = "packet pipe",
	.kind = KERNEL,
	.size_most = PIPE_BUF,
	.one_of_many = true,
	.open = open_packet_pipe,
	.close = close_fds,
	.send = send_pipe,
	.recv = recv_packet_pipe,
};
